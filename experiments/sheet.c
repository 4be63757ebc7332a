/* sheet.c: the cells are gathered first, since a column is as wide as its widest cell. */
#include "sheet.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

SheetFormat sheet_format(const char *word) {
  return strcmp(word, "markdown") == 0 ? FORMAT_MARKDOWN : strcmp(word, "latex") == 0 ? FORMAT_LATEX : FORMAT_TEXT;
}

void sheet_begin(Sheet *sheet, const char *align) {
  *sheet = (Sheet){.align = align, .columns = strlen(align)};
}

void sheet_cell(Sheet *sheet, const char *format, ...) {
  if (sheet->count == sheet->room) {
    size_t room = sheet->room ? 2 * sheet->room : 16 * sheet->columns;
    char **cells = realloc(sheet->cells, room * sizeof *cells);
    sheet->failed = sheet->failed || !cells;
    if (!cells)
      return;
    sheet->cells = cells;
    sheet->room = room;
  }
  va_list arguments;
  va_start(arguments, format);
  if (vasprintf(&sheet->cells[sheet->count], format, arguments) < 0)
    sheet->failed = true;
  else
    sheet->count++;
  va_end(arguments);
}

/* Characters, not bytes. */
static int width_of(const char *text) {
  int width = 0;
  for (; *text; text++)
    width += (*text & 0xC0) != 0x80;
  return width;
}

static int column_width(const Sheet *sheet, size_t column) {
  int widest = 0;
  for (size_t i = column; i < sheet->count; i += sheet->columns)
    if (width_of(sheet->cells[i]) > widest)
      widest = width_of(sheet->cells[i]);
  return widest;
}

/* What LaTeX would read as something else; a minus before a digit is one. */
static void print_latex(const char *text, FILE *stream) {
  char before = ' ';
  for (; *text; before = *text++) {
    if (strncmp(text, "±", strlen("±")) == 0) {
      fputs("$\\pm$", stream);
      text += strlen("±") - 1;
    } else if (*text == '-' && strchr(" [", before) && isdigit((unsigned char)text[1])) {
      fputs("$-$", stream);
    } else {
      fprintf(stream, strchr("_%&#$", *text) ? "\\%c" : "%c", *text);
    }
  }
}

static void print_cell(SheetFormat format, const char *text, FILE *stream) {
  if (format == FORMAT_LATEX)
    print_latex(text, stream);
  else
    fputs(text, stream);
}

/* One row: in text columns are padded and two blanks apart. */
static void print_row(const Sheet *sheet, SheetFormat format, char *const *cells, FILE *stream) {
  static const char *const starts[] = {"", "| ", ""}, *const between[] = {"  ", " | ", " & "},
                           *const ends[] = {"\n", " |\n", " \\\\\n"};
  fputs(starts[format], stream);
  for (size_t column = 0; column < sheet->columns; column++) {
    bool last = column + 1 == sheet->columns, left = sheet->align[column] == 'l';
    int padding = format == FORMAT_TEXT ? column_width(sheet, column) - width_of(cells[column]) : 0;
    fprintf(stream, "%*s", left ? 0 : padding, "");
    print_cell(format, cells[column], stream);
    fprintf(stream, "%*s%s", left && !last ? padding : 0, "", last ? ends[format] : between[format]);
  }
}

/* What stands between the header and the rows. */
static void print_rule(const Sheet *sheet, SheetFormat format, FILE *stream) {
  if (format == FORMAT_LATEX)
    fputs("\\hline\n", stream);
  if (format != FORMAT_MARKDOWN)
    return;
  for (size_t column = 0; column < sheet->columns; column++)
    fputs(sheet->align[column] == 'l' ? "|:--" : "|--:", stream);
  fputs("|\n", stream);
}

Status sheet_print(Sheet *sheet, SheetFormat format, const char *title, FILE *stream) {
  Status status =
      sheet->failed ? status_error(STATUS_MEMORY, "not enough memory for the table '%s'", title) : status_ok();
  if (!sheet->failed) {
    REQUIRE(sheet->count >= sheet->columns && sheet->count % sheet->columns == 0, "%zu cells in %zu columns",
            sheet->count, sheet->columns);
    sheet_note(format, title, stream);
    if (format == FORMAT_LATEX)
      fprintf(stream, "\\begin{tabular}{%s}\n", sheet->align);
    for (size_t i = 0; i < sheet->count; i += sheet->columns) {
      print_row(sheet, format, sheet->cells + i, stream);
      if (i == 0)
        print_rule(sheet, format, stream);
    }
    fputs(format == FORMAT_LATEX ? "\\end{tabular}\n\n" : "\n", stream);
  }
  for (size_t i = 0; i < sheet->count; i++)
    free(sheet->cells[i]);
  free(sheet->cells);
  *sheet = (Sheet){0};
  return status;
}

void sheet_note(SheetFormat format, const char *text, FILE *stream) {
  static const char *const starts[] = {"", "", "\\noindent "}, *const ends[] = {"\n", "\n\n", "\n\n"};
  fputs(starts[format], stream);
  print_cell(format, text, stream);
  fputs(ends[format], stream);
}
