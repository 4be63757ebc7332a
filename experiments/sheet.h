/* sheet.h: a table of short texts, printed for a terminal, for Markdown or for LaTeX. */
#ifndef SEESAW_SHEET_H
#define SEESAW_SHEET_H

#include <stdbool.h>
#include <stdio.h>

#include "status.h"

typedef enum { FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_LATEX } SheetFormat;

/* The words of a --format option. */
#define SHEET_FORMATS "text,markdown,latex"
SheetFormat sheet_format(const char *word);

typedef struct Sheet {
  const char *align; /* one letter a column: l or r */
  size_t columns, count, room;
  char **cells; /* row by row; the first row is the header */
  bool failed;  /* out of memory; sheet_print says so */
} Sheet;

/* sheet_begin: an empty sheet. sheet_cell: the next cell, left to right, by printf; UTF-8. */
void sheet_begin(Sheet *sheet, const char *align);
void sheet_cell(Sheet *sheet, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sheet_print: the title and the sheet, and free it. Half a row is the caller's mistake. Errors: STATUS_MEMORY. */
Status sheet_print(Sheet *sheet, SheetFormat format, const char *title, FILE *stream);

/* sheet_note: a sentence outside of a sheet. */
void sheet_note(SheetFormat format, const char *text, FILE *stream);

#endif
