/* table.c: check a CSV file before gnuplot reads it: gnuplot passes over much that is wrong without a word. */
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "files.h"

static const size_t MAX_BYTES = (size_t)1 << 32;

typedef struct Table {
  const char *path;
  const char *name[CSV_COLUMNS_MOST];
  bool text[CSV_COLUMNS_MOST];   /* the figure reads it as names */
  bool number[CSV_COLUMNS_MOST]; /* or as numbers */
  bool finite[CSV_COLUMNS_MOST]; /* and has found one */
  size_t columns, line;
  size_t drawn; /* rows that the figure draws */
} Table;

/* Is `name` one of the comma-separated `names`? */
static bool listed(const char *name, const char *names) {
  size_t length = strlen(name);
  for (const char *at = names; *at; at += *at == ',') {
    size_t here = strcspn(at, ",");
    if (here == length && strncmp(at, name, length) == 0)
      return true;
    at += here;
  }
  return false;
}

static Status require_columns(const Table *table, const char *names, const char *command) {
  for (const char *at = names; at && *at; at += *at == ',') {
    size_t length = strcspn(at, ",");
    bool found = false;
    for (size_t i = 0; i < table->columns; i++)
      found = found || (strlen(table->name[i]) == length && strncmp(table->name[i], at, length) == 0);
    if (!found)
      return status_error(STATUS_INPUT, "%s has no column '%.*s' in its first line; %s writes one that has",
                          table->path, (int)length, at, command);
    at += length;
  }
  return status_ok();
}

static Status read_header(Table *table, char **rest, const FigureInput *input, const char *command) {
  char *cells[CSV_COLUMNS_MOST + 1];
  if (!**rest)
    return status_error(STATUS_INPUT, "%s is empty; make it with: %s", table->path, command);
  table->columns = csv_cut(rest, cells);
  table->line = 1;
  if (table->columns > CSV_COLUMNS_MOST)
    return status_error(STATUS_INPUT, "%s: the first line has more than %d columns", table->path, CSV_COLUMNS_MOST);
  for (size_t i = 0; i < table->columns; i++) {
    table->name[i] = cells[i];
    table->text[i] = listed(cells[i], input->texts);
    table->number[i] = listed(cells[i], input->numbers);
    table->finite[i] = false;
  }
  TRY(require_columns(table, input->texts, command));
  TRY(require_columns(table, input->labels, command));
  return require_columns(table, input->numbers, command);
}

static bool is_drawn(const Table *table, const FigureInput *input, char *const *cells) {
  for (size_t i = 0; input->only[0] && i < table->columns; i++)
    if (strcmp(table->name[i], input->only[0]) == 0)
      return strcmp(cells[i], input->only[1]) == 0;
  return true;
}

static Status read_row(Table *table, char **rest, const FigureInput *input) {
  char *cells[CSV_COLUMNS_MOST + 1];
  size_t count = csv_cut(rest, cells);
  table->line++;
  if (count != table->columns)
    return status_error(STATUS_INPUT, "%s, line %zu: %zu cells where the first line has %zu columns", table->path,
                        table->line, count, table->columns);
  bool drawn = is_drawn(table, input, cells);
  table->drawn += drawn;
  for (size_t i = 0; i < count; i++) {
    if (table->text[i] && (!*cells[i] || strpbrk(cells[i], " \t\n")))
      return status_error(STATUS_INPUT, "%s, line %zu: column '%s' holds '%.40s', which is not one word", table->path,
                          table->line, table->name[i], cells[i]);
    if (!table->number[i])
      continue;
    char *end;
    double value = strtod(cells[i], &end);
    if (end == cells[i] || *end)
      return status_error(STATUS_INPUT, "%s, line %zu: column '%s' holds '%.40s', which is not a number", table->path,
                          table->line, table->name[i], cells[i]);
    table->finite[i] = table->finite[i] || (drawn && isfinite(value));
  }
  return status_ok();
}

static Status check_text(const char *path, char *text, const FigureInput *input, const char *command) {
  Table table = {.path = path};
  char *rest = text;
  TRY(read_header(&table, &rest, input, command));
  if (!*rest)
    return status_error(STATUS_INPUT, "%s has a first line and no rows; make it with: %s", path, command);
  while (*rest)
    TRY(read_row(&table, &rest, input));
  if (table.drawn == 0)
    return status_error(STATUS_INPUT, "%s has no row with %s '%s'; make it with: %s", path, input->only[0],
                        input->only[1], command);
  for (size_t i = 0; i < table.columns; i++)
    if (table.number[i] && !table.finite[i])
      return status_error(STATUS_INPUT, "%s: column '%s' holds no finite number: there is nothing to draw", path,
                          table.name[i]);
  return status_ok();
}

Status table_check(const char *path, const FigureInput *input, const char *command) {
  unsigned char *bytes;
  size_t size;
  Status status = file_read(path, MAX_BYTES, &bytes, &size);
  if (status.code == STATUS_INPUT)
    return status_error(STATUS_INPUT, "%.250s; make it with: %s", status.message, command);
  TRY(status);
  if (strlen((char *)bytes) != size)
    status = status_error(STATUS_INPUT, "%s is not text: it holds zero bytes; make it with: %s", path, command);
  else
    status = check_text(path, (char *)bytes, input, command);
  free(bytes);
  return status;
}
