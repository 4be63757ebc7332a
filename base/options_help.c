/* options_help.c: the table as a page of help and as a man page. */
#include "options_internal.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "version.h" /* generated: SEESAW_VERSION */

enum { WIDTH = 80, INDENT = 2, WIDEST_NAME = 26 };

/* Print `text` word by word, from `column` on; further lines start at `indent`. */
static void print_wrapped(FILE *stream, const char *text, int column, int indent) {
  for (bool first = true; *text != '\0'; first = false) {
    text += strspn(text, " \n");
    int length = (int)strcspn(text, " \n");
    if (length == 0)
      break;
    if (!first && column + 1 + length > WIDTH) {
      fprintf(stream, "\n%*s", indent, "");
      column = indent;
      first = true;
    }
    column += fprintf(stream, "%s%.*s", first ? "" : " ", length, text);
    text += length;
  }
  fputc('\n', stream);
}

/* A block of text is handed out piece by piece: a paragraph (lines up to a blank one), or one line that starts with a
 * blank and is to be printed as it is. */
typedef struct Piece {
  char *text;
  bool verbatim, after_gap; /* after_gap: a blank line stood before it */
} Piece;

/* The next piece of *rest, allocated; false at the end. */
static bool next_piece(const char **rest, Piece *piece) {
  piece->after_gap = **rest == '\n';
  *rest += strspn(*rest, "\n");
  if (**rest == '\0')
    return false;
  piece->verbatim = **rest == ' ';
  const char *end = *rest;
  do {
    end += strcspn(end, "\n");
    end += *end == '\n';
  } while (!piece->verbatim && *end != '\0' && *end != '\n' && *end != ' ');
  size_t length = (size_t)(end - *rest);
  piece->text = strndup(*rest, length - (end[-1] == '\n'));
  *rest = end;
  return piece->text != NULL;
}

static void help_description(FILE *stream, const char *text) {
  Piece piece;
  while (next_piece(&text, &piece)) {
    if (piece.after_gap)
      fputc('\n', stream);
    if (piece.verbatim)
      fprintf(stream, "%s\n", piece.text);
    else
      print_wrapped(stream, piece.text, 0, 0);
    free(piece.text);
  }
}

/* The help's line, with what it stands at and what it may be: "... (default 0.5; strictly between -1 and 1)". A
 * choice's names are listed. Allocated; NULL when memory is out. */
static char *help_sentence(const Option *option) {
  char range[RANGE_ROOM], *text = NULL, *value = NULL;
  bool shown = option->value != NULL && option->kind != OPTION_FLAG;
  option_range(option, range);
  if (shown && (value = option_print(option)) == NULL)
    return NULL;
  bool has_default = value != NULL && value[0] != '\0', has_choices = option->kind == OPTION_CHOICE;
  FILE *stream = open_memstream(&text, &(size_t){0});
  if (stream != NULL) {
    fputs(option->help, stream);
    if (has_choices) {
      fputs(": ", stream);
      for (const char *c = option->choices; *c != '\0'; c++)
        fprintf(stream, "%c%s", *c, *c == ',' ? " " : "");
    }
    if (has_default || range[0] != '\0')
      fprintf(stream, " (%s%s%s%s)", has_default ? "default " : "", has_default ? value : "",
              has_default && range[0] != '\0' ? "; " : "", range);
    fclose(stream);
  }
  free(value);
  return text;
}

/* "--cos=X" */
static int name_width(const Option *option) {
  size_t width = 2 + strlen(option->name);
  if (option->kind != OPTION_FLAG)
    width += 1 + strlen(option_argument(option));
  return (int)width;
}

static void help_option(FILE *stream, const Option *option, int column) {
  bool flag = option->kind == OPTION_FLAG;
  int used = INDENT + name_width(option);
  char *sentence = help_sentence(option);
  fprintf(stream, "%*s%s--%s%s%s%s", INDENT, "", color(stream, COLOR_BOLD), option->name, color(stream, COLOR_RESET),
          flag ? "" : "=", flag ? "" : option_argument(option));
  if (used + 2 > column)
    fprintf(stream, "\n%*s", column, "");
  else
    fprintf(stream, "%*s", column - used, "");
  print_wrapped(stream, sentence != NULL ? sentence : option->help, column, column);
  free(sentence);
}

/* Where the sentences start: after the widest name that is not excessive. */
static int help_column(const Command *command) {
  int widest = name_width(&options_builtin[BUILTIN_CONFIG]);
  for (const Option *option = command->options; option->name != NULL; option++)
    if (name_width(option) > widest && name_width(option) <= WIDEST_NAME)
      widest = name_width(option);
  return INDENT + widest + 2;
}

static void help_heading(FILE *stream, const char *text) {
  fprintf(stream, "\n%s%s%s\n", color(stream, COLOR_BOLD), text, color(stream, COLOR_RESET));
}

void options_help(const Command *command, FILE *stream) {
  const char *space = command->operands != NULL ? " " : "", *operands = command->operands ? command->operands : "";
  fprintf(stream, "%sUsage:%s seesaw %s [OPTION]...%s%s\n", color(stream, COLOR_BOLD), color(stream, COLOR_RESET),
          command->name, space, operands);
  print_wrapped(stream, command->summary, 0, 0);
  if (command->description != NULL) {
    fputc('\n', stream);
    help_description(stream, command->description);
  }
  help_heading(stream, "Options:");
  int column = help_column(command);
  for (const Option *option = command->options; option->name != NULL; option++)
    help_option(stream, option, column);
  for (size_t i = 0; i < BUILTIN_COUNT; i++)
    if (!options_shadowed(command, i))
      help_option(stream, &options_builtin[i], column);
  if (command->examples == NULL)
    return;
  help_heading(stream, "Examples:");
  for (const char *line = command->examples; *line != '\0';) {
    int length = (int)strcspn(line, "\n");
    fprintf(stream, "%*s%.*s\n", length > 0 ? INDENT : 0, "", length, line);
    line += length + (line[length] == '\n');
  }
}

/* ---- The man page ---- */

/* Text in roff: backslashes and hyphens are escaped, and so is a dot or quote that would make a line a request. */
static void man_text(FILE *stream, const char *text) {
  bool line_start = true;
  for (const char *c = text; *c != '\0'; c++) {
    if (line_start && (*c == '.' || *c == '\''))
      fputs("\\&", stream);
    if (*c == '\\')
      fputs("\\e", stream);
    else if (*c == '-')
      fputs("\\-", stream);
    else
      fputc(*c, stream);
    line_start = *c == '\n';
  }
}

/* A text with its words set apart by single blanks, so that no line of the page starts or ends with one. */
static void man_paragraph(FILE *stream, const char *text) {
  char *line = NULL;
  FILE *folded = open_memstream(&line, &(size_t){0});
  if (folded == NULL)
    return;
  for (const char *c = text; *c != '\0'; c++)
    fputc(*c == '\n' ? ' ' : *c, folded);
  fclose(folded);
  if (line != NULL)
    man_text(stream, line);
  free(line);
  fputc('\n', stream);
}

static void man_verbatim(FILE *stream, const char *text) {
  fputs(".nf\n", stream);
  man_text(stream, text);
  fprintf(stream, "%s.fi\n", text[0] != '\0' && text[strlen(text) - 1] == '\n' ? "" : "\n");
}

static void man_description(FILE *stream, const char *text) {
  Piece piece;
  for (bool first = true; next_piece(&text, &piece); first = false) {
    if (!first && piece.after_gap)
      fputs(".PP\n", stream);
    if (piece.verbatim)
      man_verbatim(stream, piece.text);
    else
      man_paragraph(stream, piece.text);
    free(piece.text);
  }
}

static void man_option(FILE *stream, const Option *option) {
  char *sentence = help_sentence(option);
  fputs(".TP\n\\fB\\-\\-", stream);
  man_text(stream, option->name);
  fputs("\\fR", stream);
  if (option->kind != OPTION_FLAG) {
    fputs("=\\fI", stream);
    man_text(stream, option_argument(option));
    fputs("\\fR", stream);
  }
  fputc('\n', stream);
  man_paragraph(stream, sentence != NULL ? sentence : option->help);
  free(sentence);
}

/* "theory run" as one word: SEESAW\-THEORY\-RUN in the title, seesaw\-theory\-run as the name. */
static void man_name(FILE *stream, const Command *command, bool title) {
  fputs(title ? "SEESAW\\-" : "seesaw\\-", stream);
  for (const char *c = command->name; *c != '\0'; c++)
    if (*c == ' ' || *c == '-')
      fputs("\\-", stream);
    else
      fputc(title && *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, stream);
}

static void man_synopsis(FILE *stream, const Command *command) {
  fputs(".SH SYNOPSIS\n\\fBseesaw ", stream);
  man_text(stream, command->name);
  fputs("\\fR [\\fIOPTION\\fR]...", stream);
  if (command->operands != NULL) {
    fputs(" \\fI", stream);
    man_text(stream, command->operands);
    fputs("\\fR", stream);
  }
  fputc('\n', stream);
}

void options_man(const Command *command, FILE *stream) {
  fputs(".TH ", stream);
  man_name(stream, command, true);
  fputs(" 1 \"\" \"Seesaw " SEESAW_VERSION "\" \"Seesaw\"\n.SH NAME\n", stream);
  man_name(stream, command, false);
  fputs(" \\- ", stream);
  man_paragraph(stream, command->summary);
  man_synopsis(stream, command);
  if (command->description != NULL) {
    fputs(".SH DESCRIPTION\n", stream);
    man_description(stream, command->description);
  }
  fputs(".SH OPTIONS\n", stream);
  for (const Option *option = command->options; option->name != NULL; option++)
    man_option(stream, option);
  for (size_t i = 0; i < BUILTIN_COUNT; i++)
    if (!options_shadowed(command, i))
      man_option(stream, &options_builtin[i]);
  if (command->examples != NULL) {
    fputs(".SH EXAMPLES\n", stream);
    man_verbatim(stream, command->examples);
  }
}
