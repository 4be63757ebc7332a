/* csv.h: comma-separated results, written whole (files.h), numbers with the 17 digits that read back exactly. */
#ifndef SEESAW_CSV_H
#define SEESAW_CSV_H

#include <stdint.h>

#include "files.h"

typedef struct CsvWriter {
  OutputFile file;
  int columns, column; /* how many the header has; the next one to write in this row */
} CsvWriter;

/* csv_open: start PATH ("-" is standard output) with a header line, e.g. "method,step,loss". */
Status csv_open(CsvWriter *csv, const char *path, const char *header);

/* One cell each, left to right; csv_end closes the row. A row with more or fewer cells than the header is the caller's
 * mistake. NaN is written as nan, infinities as inf and -inf; text with a comma, quote or line break is quoted. */
void csv_text(CsvWriter *csv, const char *text);
void csv_real(CsvWriter *csv, double value);
void csv_integer(CsvWriter *csv, int64_t value);
void csv_end(CsvWriter *csv);

/* csv_commit, csv_abort: as for OutputFile. */
Status csv_commit(CsvWriter *csv);
void csv_abort(CsvWriter *csv);

#endif
