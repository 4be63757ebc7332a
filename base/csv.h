/* csv.h: comma-separated results, written whole (files.h), numbers with the 17 digits that read back exactly; and such
 * files read again. */
#ifndef SEESAW_CSV_H
#define SEESAW_CSV_H

#include <stdbool.h>
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

enum { CSV_COLUMNS_MOST = 64 };

/* A file under reading, row by row. */
typedef struct CsvReader {
  const char *path;                  /* for messages; the caller's */
  char *text, *rest;                 /* the whole file, cut in place as it is read; what is left */
  size_t line, columns;              /* of the row last read, from 1: the header's; cells a row */
  char *names[CSV_COLUMNS_MOST];     /* the header's cells */
  char *cells[CSV_COLUMNS_MOST + 1]; /* the row last read */
} CsvReader;

/* csv_read: the file at PATH, whose first line must be `header`. `path` must live as long as the reader; csv_close
 * frees. Errors: STATUS_INPUT (missing, larger than 64 MB, zero bytes, another header, both printed), STATUS_MEMORY. */
Status csv_read(CsvReader *csv, const char *path, const char *header);

/* csv_parse: the same from memory, which is copied; `name` is used in messages and must live as long. */
Status csv_parse(CsvReader *csv, const char *name, const unsigned char *bytes, size_t size, const char *header);
void csv_close(CsvReader *csv);

/* csv_row: the next row into `cells`; *there is false after the last. Errors: STATUS_INPUT naming file and line of a
 * row with more or fewer cells than the header. */
Status csv_row(CsvReader *csv, bool *there);

/* csv_error: STATUS_INPUT with "PATH, line N: " before the sentence. */
Status csv_error(const CsvReader *csv, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* Cells of the row last read as numbers. Errors: STATUS_INPUT naming file, line, column, what it holds and what would
 * be right: a whole number from low to high; a finite number from low up; the place of one of `words`, which end with
 * NULL. */
Status csv_read_integer(const CsvReader *csv, size_t column, int64_t low, int64_t high, int64_t *value);
Status csv_read_real(const CsvReader *csv, size_t column, double low, double *value);
Status csv_read_word(const CsvReader *csv, size_t column, const char *const *words, int *value);

/* csv_cut: cut the line at *rest into cells, in place, quotes taken off; *rest <- the next line. Gives the number of
 * cells found, at most CSV_COLUMNS_MOST + 1, where it stops cutting. */
size_t csv_cut(char **rest, char *cells[CSV_COLUMNS_MOST + 1]);

#endif
