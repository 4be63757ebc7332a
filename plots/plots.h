/* plots.h: figures, drawn by gnuplot through a pipe from result files alone.
 *
 * A figure is one file, plots/NAME.c, with one `const Figure figure_NAME`; it names the result files that it reads and
 * writes gnuplot commands in the terms that style.h sets up. Each is drawn twice, as NAME.png and NAME.pdf. */
#ifndef SEESAW_PLOTS_H
#define SEESAW_PLOTS_H

#include <stdio.h>

#include "status.h"

/* A result file and the columns that the figure reads. They must be there; a text column holds one word a row, a number
 * column only numbers (nan and inf are numbers), at least one of them finite. */
typedef struct FigureInput {
  const char *file;    /* name in the results folder, e.g. "phase.csv" */
  const char *texts;   /* "method,rule"; "" for none */
  const char *numbers; /* "step,excess" */
  const char *only[2]; /* a text column and a word: the figure draws only rows with that word; NULL: all rows */
  const char *labels;  /* columns that hold any text; NULL for none */
} FigureInput;

/* The sets that figures come in, each with a folder of result files of its own: results/theory, results/ablation. */
typedef enum { FIGURES_THEORY, FIGURES_ABLATION, FIGURE_SETS } FigureSet;
extern const char *const figure_sets[FIGURE_SETS]; /* "theory", "ablation" */

typedef struct Figure {
  const char *name; /* "phase" */
  FigureSet set;
  const char *title;     /* one line, for help */
  FigureInput inputs[4]; /* ends with a NULL file; the caption speaks of the first */
  const char *note;      /* lines that the caption begins with; NULL for none */
  const char *command;   /* how those are made, for the message when one is missing; DIR stands for their folder */
  double width, height;  /* inches, without the caption, whose height is added */
  /* write the gnuplot commands; `folder` holds the inputs */
  void (*draw)(FILE *gnuplot, const char *folder);
} Figure;

/* All figures; ends with NULL. */
extern const Figure *const figure_table[];

/* figure_find: the figure of that name, or NULL. */
const Figure *figure_find(const char *name);

/* figure_names: "phase,losses,..." for help and messages. */
const char *figure_names(void);

/* figure_check: is gnuplot there at all? Errors: STATUS_UNAVAILABLE naming the package that has it. */
Status figure_check(void);

/* figure_draw: read the inputs in `results`, write output/NAME.png and NAME.pdf, each whole or not at all.
 * Errors: STATUS_INPUT (a missing or empty input, and the command that makes it; a row or column that is not as it
 * should be), STATUS_UNAVAILABLE (no gnuplot, which package has it; gnuplot failed, with its first message),
 * STATUS_OUTPUT, STATUS_MEMORY, STATUS_INTERRUPTED. */
Status figure_draw(const Figure *figure, const char *results, const char *output);

#endif
