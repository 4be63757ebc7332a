/* csv.c: rows of cells into an OutputFile. */
#include "csv.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

Status csv_open(CsvWriter *csv, const char *path, const char *header) {
  *csv = (CsvWriter){.columns = 1};
  TRY(output_open(&csv->file, path));
  for (const char *c = header; *c != '\0'; c++)
    csv->columns += *c == ',';
  fprintf(csv->file.stream, "%s\n", header);
  return status_ok();
}

/* What goes before a cell, and the check that it has a column. */
static FILE *begin_cell(CsvWriter *csv) {
  REQUIRE(csv->column < csv->columns, "the row has more than the header's %d cells", csv->columns);
  if (csv->column++ > 0)
    fputc(',', csv->file.stream);
  return csv->file.stream;
}

void csv_text(CsvWriter *csv, const char *text) {
  FILE *stream = begin_cell(csv);
  if (strpbrk(text, ",\"\r\n") == NULL) {
    fputs(text, stream);
    return;
  }
  fputc('"', stream);
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"')
      fputc('"', stream);
    fputc(*c, stream);
  }
  fputc('"', stream);
}

void csv_real(CsvWriter *csv, double value) {
  FILE *stream = begin_cell(csv);
  if (isnan(value)) /* printf would tell the sign of a NaN */
    fputs("nan", stream);
  else
    fprintf(stream, "%.17g", value);
}

void csv_integer(CsvWriter *csv, int64_t value) {
  fprintf(begin_cell(csv), "%" PRId64, value);
}

void csv_end(CsvWriter *csv) {
  REQUIRE(csv->column == csv->columns, "the row has %d cells, the header %d", csv->column, csv->columns);
  fputc('\n', csv->file.stream);
  csv->column = 0;
}

Status csv_commit(CsvWriter *csv) {
  REQUIRE(csv->column == 0, "the last row is not closed: csv_end is missing");
  return output_commit(&csv->file);
}

void csv_abort(CsvWriter *csv) {
  output_abort(&csv->file);
}
