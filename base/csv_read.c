/* csv_read.c: comma-separated files, cut in place. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "number.h"

static const size_t MAX_BYTES = (size_t)64 << 20;

size_t csv_cut(char **rest, char *cells[CSV_COLUMNS_MOST + 1]) {
  char *from = *rest, *to = *rest;
  size_t count = 0;
  bool quoted = false;
  cells[count++] = to;
  for (; *from && (quoted || *from != '\n'); from++) {
    if (*from == '"' && quoted && from[1] == '"')
      *to++ = *from++;
    else if (*from == '"')
      quoted = !quoted;
    else if (*from == ',' && !quoted && count <= CSV_COLUMNS_MOST) {
      *to++ = '\0';
      cells[count++] = to;
    } else if (*from != '\r')
      *to++ = *from;
  }
  *rest = *from ? from + 1 : from;
  *to = '\0';
  return count;
}

/* Start with `size` bytes that the reader now owns, followed by a zero byte. */
static Status begin(CsvReader *csv, const char *name, char *text, size_t size, const char *header) {
  size_t length = strlen(header), first = strcspn(text, "\r\n");
  Status status = status_ok();
  *csv = (CsvReader){.path = name, .text = text, .rest = text, .line = 1};
  if (strlen(text) != size)
    status = status_error(STATUS_INPUT, "%s is not text: it holds zero bytes", name);
  else if (first != length || memcmp(text, header, length) != 0)
    status = status_error(STATUS_INPUT, "%s: the first line is '%.*s', not '%s'", name,
                          (int)(first < 100 ? first : 100), text, header);
  if (status.code != STATUS_OK) {
    csv_close(csv);
    return status;
  }
  csv->columns = csv_cut(&csv->rest, csv->cells);
  REQUIRE(csv->columns <= CSV_COLUMNS_MOST, "a header of more than %d columns", CSV_COLUMNS_MOST);
  memcpy(csv->names, csv->cells, sizeof csv->names);
  return status;
}

Status csv_read(CsvReader *csv, const char *path, const char *header) {
  unsigned char *bytes;
  size_t size;
  *csv = (CsvReader){0};
  TRY(file_read(path, MAX_BYTES, &bytes, &size));
  return begin(csv, path, (char *)bytes, size, header);
}

Status csv_parse(CsvReader *csv, const char *name, const unsigned char *bytes, size_t size, const char *header) {
  *csv = (CsvReader){0};
  char *text = size < MAX_BYTES ? malloc(size + 1) : NULL;
  if (!text)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu bytes of %s", size, name);
  if (size > 0)
    memcpy(text, bytes, size);
  text[size] = '\0';
  return begin(csv, name, text, size, header);
}

void csv_close(CsvReader *csv) {
  free(csv->text);
  *csv = (CsvReader){0};
}

Status csv_row(CsvReader *csv, bool *there) {
  *there = *csv->rest != '\0';
  if (!*there)
    return status_ok();
  csv->line++;
  size_t count = csv_cut(&csv->rest, csv->cells);
  if (count != csv->columns)
    return csv_error(csv, "%zu cells where the first line has %zu columns", count, csv->columns);
  return status_ok();
}

Status csv_error(const CsvReader *csv, const char *format, ...) {
  char sentence[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s, line %zu: %s", csv->path, csv->line, sentence);
}

static Status wrong_cell(const CsvReader *csv, size_t column, const char *expected) {
  char quoted[QUOTE_ROOM];
  const char *cell = csv->cells[column];
  return csv_error(csv, "column '%s' holds '%s', which is not %s", csv->names[column],
                   quote_printable(cell, strlen(cell), quoted), expected);
}

Status csv_read_integer(const CsvReader *csv, size_t column, int64_t low, int64_t high, int64_t *value) {
  char expected[96];
  if (number_parse_integer(csv->cells[column], value) && *value >= low && *value <= high)
    return status_ok();
  snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, low, high);
  return wrong_cell(csv, column, expected);
}

Status csv_read_real(const CsvReader *csv, size_t column, double low, double *value) {
  char expected[64];
  if (number_parse(csv->cells[column], value) && isfinite(*value) && *value >= low)
    return status_ok();
  snprintf(expected, sizeof expected, "a finite number from %g up", low);
  return wrong_cell(csv, column, expected);
}

Status csv_read_word(const CsvReader *csv, size_t column, const char *const *words, int *value) {
  char expected[160] = "one of";
  for (*value = 0; words[*value]; ++*value) {
    if (strcmp(csv->cells[column], words[*value]) == 0)
      return status_ok();
    size_t used = strlen(expected);
    snprintf(expected + used, sizeof expected - used, "%s %s", *value ? "," : "", words[*value]);
  }
  return wrong_cell(csv, column, expected);
}
