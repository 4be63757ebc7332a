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
  return status_error(STATUS_USAGE, "there is no figure '%.100s'; there are %s and all", name, figure_names());
}

/* The figures that the operands name, each once, in the order given. */
static Status select_figures(const char *const *names, size_t count, const Figure *figures[FIGURES_MOST + 1]) {
  size_t chosen = 0;
  if (count == 0)
    return status_error(STATUS_USAGE, "which figure? One or more of %s, or all", figure_names());
  for (size_t i = 0; i < count; i++) {
    const Figure *one[] = {figure_find(names[i]), NULL};
    const Figure *const *wanted = strcmp(names[i], "all") == 0 ? figure_table : one;
    if (!*wanted)
      return unknown_figure(names[i]);
    for (; *wanted; wanted++) {
      bool there = false;
      for (size_t j = 0; j < chosen; j++)
        there = there || figures[j] == *wanted;
      if (!there && chosen < FIGURES_MOST)
        figures[chosen++] = *wanted;
    }
  }
  figures[chosen] = NULL;
  return status_ok();
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
    Status status = figure_draw(figures[count], results, output);
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
                       "drawn; the exit status is then the first failure's.\n\nFigures:");
  for (const Figure *const *figure = figure_table; *figure && used < size; figure++)
    used += (size_t)snprintf(text + used, size - used, "\n  %-12s %s", (*figure)->name, (*figure)->title);
}

Status command_plot(int argc, char **argv, Ranks ranks) {
  const char *results = "results/theory", *output = "results/figures", *names[FIGURES_MOST];
  const Figure *figures[FIGURES_MOST + 1];
  char description[2048];
  size_t count = 0;
  bool done = false;
  describe(description, sizeof description);
  const Option options[] = {
      {"results", OPTION_TEXT, &results, "DIR", .help = "folder of the result files"},
      {"out", OPTION_TEXT, &output, "DIR", .help = "folder for the figures; created if it is not there"},
      {0},
  };
  const Command command = {.name = "plot",
                           .summary = "draw figures from results, as PNG and PDF",
                           .operands = "FIGURE|all",
                           .description = description,
                           .examples = "seesaw plot all\n"
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
