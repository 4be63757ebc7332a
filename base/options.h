/* options.h: one table describes a command's options; parsing, --help, the man page and --config all read it.
 *
 * The parser is getopt_long; types, ranges and sentences are ours. Every command also takes --help and --config FILE:
 * an INI file (inih) whose section names the command, e.g. [theory run], and whose keys are its options without the
 * dashes; options on the command line win over the file. A command with an option `config` of its own does not read
 * one. */
#ifndef SEESAW_OPTIONS_H
#define SEESAW_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "status.h"

/* A grid written lo:hi:count (count evenly spaced points, ends included), a single number, or log:lo:hi:count
 * (geometric). */
typedef struct Grid {
  double low, high;
  size_t count;
  bool geometric;
} Grid;

/* grid_point: point i of the grid; the ends are exactly low and high. */
double grid_point(const Grid *grid, size_t i);

typedef enum {
  OPTION_FLAG,    /* bool: takes no argument */
  OPTION_INTEGER, /* int64_t; also written 1e6 */
  OPTION_REAL,    /* double; finite */
  OPTION_TEXT,    /* const char *: points into argv or the config's text, lives as long as the program */
  OPTION_CHOICE,  /* const char *: one of `choices` */
  OPTION_GRID     /* Grid */
} OptionKind;

typedef struct Option {
  const char *name; /* without dashes */
  OptionKind kind;
  void *value;          /* holds the default before parsing and the value after; its type follows kind */
  const char *argument; /* how help names the argument, e.g. "FILE" */
  const char *help;     /* one line; the default is appended by help itself unless it is empty */
  double low, high;     /* the range of a number or of all points of a grid; low == high: no range */
  bool open;            /* the ends are excluded */
  const char *choices;  /* "paper,gaussian,file" */
  bool *given;          /* may be NULL: set when the option was given */
} Option;

typedef struct Command {
  const char *name;        /* "theory run" */
  const char *summary;     /* one line */
  const char *operands;    /* "FIGURE|all", or NULL when the command takes none */
  const char *description; /* paragraphs; may be NULL */
  const char *examples;    /* command lines with a word on each */
  const Option *options;   /* ends with a NULL name */
} Command;

/* options_parse: read argv (the words after the command's name) and then the --config file under it. Operands are
 * gathered into `operands` (room for `room`; *count says how many; `count` may be NULL). --help or -h prints
 * options_help, --man options_man, to standard output and sets *done: the command then returns at once.
 * Errors: STATUS_USAGE naming the option, what was given and what would be right (with the nearest name for an unknown
 * one); STATUS_INPUT for the config file, with its line; STATUS_OUTPUT when help cannot be printed. */
Status options_parse(const Command *command, int argc, char **argv, const char **operands, size_t room, size_t *count,
                     bool *done);

/* options_config: a parse of a --config file's text alone, already in memory; `name` is used in messages. */
Status options_config(const Command *command, const char *name, const char *text);

/* options_line: after a parse, the command line that gives the same run: "seesaw NAME" and every option that was given,
 * on the line or in the config file, with its value, in the table's order, and the operands; quoted where a shell needs
 * it. Allocated; NULL when memory is out. */
char *options_line(const Command *command);

/* options_help: usage, description, every option with its default and range, examples. */
void options_help(const Command *command, FILE *stream);

/* options_man: the same as a man page (man macros), section 1. */
void options_man(const Command *command, FILE *stream);

/* options_nearest: of the comma-separated `names`, the one closest to `word` by edit distance, copied into `nearest`;
 * false if none is close. */
bool options_nearest(const char *word, const char *names, char *nearest, size_t size);

#endif
