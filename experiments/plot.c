/* plot.c: `seesaw plot`: figures from result files. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "options.h"
#include "plots.h"

enum { FIGURES_MOST = 32 };

static Status unknown_figure(const char *name) {
  char nearest[64];
  if (options_nearest(name, figure_names(), nearest, sizeof nearest))
    return status_error(STATUS_USAGE, "there is no figure '%.100s'; did you mean '%s'?", name, nearest);
  return status_error(STATUS_USAGE, "there is no figure '%.100s'; there are %s; theory, ablation and all", name,
                      figure_names());
}

/* Does the operand name this figure, its set, or all? */
static bool is_named(const Figure *figure, const char *name) {
  return strcmp(name, figure->name) == 0 || strcmp(name, figure_sets[figure->set]) == 0 || strcmp(name, "all") == 0;
}

/* The figures that the operands name, each once, in the order given. */
static Status select_figures(const char *const *names, size_t count, const Figure *figures[FIGURES_MOST + 1]) {
  size_t chosen = 0;
  if (count == 0)
    return status_error(STATUS_USAGE, "which figure? One or more of %s; or theory, ablation or all", figure_names());
  for (size_t i = 0; i < count; i++) {
    bool known = false;
    for (const Figure *const *figure = figure_table; *figure; figure++) {
      bool there = !is_named(*figure, names[i]);
      known = known || !there;
      for (size_t j = 0; j < chosen; j++)
        there = there || figures[j] == *figure;
      if (!there && chosen < FIGURES_MOST)
        figures[chosen++] = *figure;
    }
    if (!known)
      return unknown_figure(names[i]);
  }
  figures[chosen] = NULL;
  return status_ok();
}

/* Where a figure's result files lie: `results`, or if that is empty, its set's own folder. */
static Status draw_figure(const Figure *figure, const char *results, const char *output) {
  char folder[64];
  snprintf(folder, sizeof folder, "results/%s", figure_sets[figure->set]);
  return figure_draw(figure, *results ? results : folder, output);
}

static void print_written(const Figure *figure, const char *folder) {
  char *path = path_join(folder, figure->name);
  if (path)
    printf("%s.png\n%s.pdf\n", path, path);
  fflush(stdout);
  free(path);
}

/* Draw all; one that fails does not keep the others from being drawn. Its own sentence is told at once, except that a
 * single failure's sentence is the command's. */
static Status draw_figures(const Figure *const *figures, const char *results, const char *output) {
  size_t failed = 0, count = 0;
  Status first = status_ok();
  for (; figures[count]; count++) {
    Status status = draw_figure(figures[count], results, output);
    if (status.code == STATUS_INTERRUPTED)
      return status;
    if (status.code == STATUS_OK) {
      print_written(figures[count], output);
      continue;
    }
    if (failed++ == 0)
      first = status;
    if (figures[1])
      fprintf(stderr, "%s: %s\n", figures[count]->name, status.message);
  }
  if (failed > 0 && count > 1)
    return status_error(first.code, "%zu of %zu figures could not be drawn", failed, count);
  return first;
}

static void describe(char *text, size_t size) {
  size_t used =
      (size_t)snprintf(text, size,
                       "Draws figures with gnuplot from the result files of a folder, each as FIGURE.png and "
                       "FIGURE.pdf. The line under a figure says which command made its data, with the seed and "
                       "the commit. With several figures, one that fails does not keep the others from being "
                       "drawn; the exit status is then the first failure's.");
  for (int set = 0; set < FIGURE_SETS; set++) {
    used += used < size ? (size_t)snprintf(text + used, size - used, "\n\nFigures of the %s:", figure_sets[set]) : 0;
    for (const Figure *const *figure = figure_table; *figure && used < size; figure++)
      if ((int)(*figure)->set == set)
        used += (size_t)snprintf(text + used, size - used, "\n  %-12s %s", (*figure)->name, (*figure)->title);
  }
}

Status command_plot(int argc, char **argv, Ranks ranks) {
  const char *results = "", *output = "results/figures", *names[FIGURES_MOST];
  const Figure *figures[FIGURES_MOST + 1];
  char description[4096];
  size_t count = 0;
  bool done = false;
  describe(description, sizeof description);
  const Option options[] = {
      {"results", OPTION_TEXT, &results, "DIR",
       .help = "folder of the result files; without it, results/theory and results/ablation"},
      {"out", OPTION_TEXT, &output, "DIR", .help = "folder for the figures; created if it is not there"},
      {0},
  };
  const Command command = {.name = "plot",
                           .summary = "draw figures from results, as PNG and PDF",
                           .operands = "FIGURE|theory|ablation|all",
                           .description = description,
                           .examples = "seesaw plot all\n"
                                       "seesaw plot ablation --out figures\n"
                                       "seesaw plot losses phase --out figures\n"
                                       "seesaw plot basin --results results/theory --out /tmp",
                           .options = options};
  TRY(options_parse(&command, argc, argv, names, FIGURES_MOST, &count, &done));
  if (done)
    return status_ok();
  TRY(select_figures(names, count, figures));
  if (ranks.rank != 0)
    return status_ok();
  TRY(figure_check());
  TRY(folder_create(output));
  return draw_figures(figures, results, output);
}
