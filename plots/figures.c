/* figures.c: the list of figures, and how one is drawn: check its inputs, run gnuplot for each kind of picture into
 * side files, and put both in place only when both are whole. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "gnuplot.h"
#include "plots.h"
#include "style.h"
#include "table.h"

extern const Figure figure_phase, figure_losses, figure_rates, figure_bifurcation, figure_basin, figure_escape,
    figure_iterations, figure_matrix, figure_table4, figure_figure1, figure_curves, figure_tokens, figure_gradients,
    figure_removal, figure_attention, figure_gates, figure_kept;

const Figure *const figure_table[] = {
    &figure_phase,      &figure_losses,  &figure_rates,     &figure_bifurcation, &figure_basin,  &figure_escape,
    &figure_iterations, &figure_matrix,  &figure_table4,    &figure_figure1,     &figure_curves, &figure_tokens,
    &figure_gradients,  &figure_removal, &figure_attention, &figure_gates,       &figure_kept,   NULL};

const char *const figure_sets[FIGURE_SETS] = {"theory", "ablation"};

static const char *const ENDINGS[PICTURE_COUNT] = {".png", ".pdf"};
static const char *const STARTS[PICTURE_COUNT] = {"\x89PNG", "%PDF"};
static const char *const ENDS[PICTURE_COUNT] = {"IEND", "%%EOF"};

const Figure *figure_find(const char *name) {
  for (const Figure *const *figure = figure_table; *figure; figure++)
    if (strcmp((*figure)->name, name) == 0)
      return *figure;
  return NULL;
}

const char *figure_names(void) {
  static char names[512];
  if (names[0])
    return names;
  size_t used = 0;
  for (const Figure *const *figure = figure_table; *figure && used < sizeof names; figure++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "", (*figure)->name);
  return names;
}

Status figure_check(void) {
  Gnuplot gnuplot;
  TRY(gnuplot_start(&gnuplot));
  return gnuplot_finish(&gnuplot);
}

static Status out_of_memory(const Figure *figure) {
  return status_error(STATUS_MEMORY, "not enough memory to draw the figure %s", figure->name);
}

/* The figure's command with the folder in place of each DIR; allocated, NULL when memory is out. */
static char *command_for(const Figure *figure, const char *results) {
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  if (!stream)
    return NULL;
  const char *at = figure->command;
  for (const char *next; (next = strstr(at, "DIR")); at = next + strlen("DIR"))
    fprintf(stream, "%.*s%s", (int)(next - at), at, results);
  fputs(at, stream);
  fclose(stream);
  return text;
}

static Status check_inputs(const Figure *figure, const char *results) {
  char *command = command_for(figure, results);
  Status status = command ? status_ok() : out_of_memory(figure);
  for (const FigureInput *input = figure->inputs; input->file && status.code == STATUS_OK; input++) {
    char *path = path_join(results, input->file);
    status = path ? table_check(path, input, command) : out_of_memory(figure);
    free(path);
  }
  free(command);
  return status;
}

/* The figure's note, then where its data come from. The small print runs to about 19 characters an inch. */
static char *read_caption(const Figure *figure, const char *results) {
  char *path = path_join(results, figure->inputs[0].file);
  char *caption = path ? caption_read(path, (size_t)((figure->width - 0.16) * 19)) : NULL, *noted = NULL;
  if (caption && figure->note) {
    if (asprintf(&noted, "%s\n%s", figure->note, caption) < 0)
      noted = NULL;
    free(caption);
    caption = noted;
  }
  free(path);
  return caption;
}

static Status open_pictures(const Figure *figure, const char *output, OutputFile files[PICTURE_COUNT]) {
  for (int i = 0; i < PICTURE_COUNT; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", figure->name, ENDINGS[i]);
    char *path = path_join(output, name);
    if (!path)
      return out_of_memory(figure);
    Status status = output_open(&files[i], path);
    if (status.code == STATUS_OK &&
        !files[i].side) { /* a device or a pipe: gnuplot could not be kept from half of it */
      output_abort(&files[i]);
      status = status_error(STATUS_OUTPUT, "cannot write %s: it is not a regular file", path);
    }
    free(path);
    TRY(status);
  }
  return status_ok();
}

/* gnuplot can end well and leave nothing, or half (a full disk, a terminal that gave up): look at both ends. */
static bool is_whole(const char *path, Picture picture) {
  char start[4], end[16];
  FILE *stream = fopen(path, "rb");
  bool whole = stream && fread(start, 1, sizeof start, stream) == sizeof start &&
               memcmp(start, STARTS[picture], sizeof start) == 0 && fseek(stream, -(long)sizeof end, SEEK_END) == 0 &&
               fread(end, 1, sizeof end, stream) == sizeof end &&
               memmem(end, sizeof end, ENDS[picture], strlen(ENDS[picture])) != NULL;
  if (stream)
    fclose(stream);
  return whole;
}

static Status draw_picture(const Figure *figure, const char *results, const char *caption, Picture picture,
                           const OutputFile *file) {
  Gnuplot gnuplot;
  TRY(gnuplot_start(&gnuplot));
  style_begin(gnuplot.commands, figure, picture, file->side, caption);
  figure->draw(gnuplot.commands, results);
  fputs("unset output\n", gnuplot.commands);
  Status status = gnuplot_finish(&gnuplot);
  TRY(interrupt_check()); /* the interrupt reaches gnuplot too, and is then why it failed */
  if (status.code != STATUS_OK)
    return status_error(status.code, "%s: %.400s", figure->name, status.message);
  if (!is_whole(file->side, picture))
    return status_error(STATUS_UNAVAILABLE, "gnuplot ended without an error but left no whole picture for %s",
                        file->path);
  return status_ok();
}

static Status draw_pictures(const Figure *figure, const char *results, const char *output,
                            OutputFile files[PICTURE_COUNT]) {
  TRY(open_pictures(figure, output, files));
  char *caption = read_caption(figure, results);
  if (!caption)
    return out_of_memory(figure);
  Status status = status_ok();
  for (int i = 0; i < PICTURE_COUNT && status.code == STATUS_OK; i++)
    status = draw_picture(figure, results, caption, (Picture)i, &files[i]);
  free(caption);
  for (int i = 0; i < PICTURE_COUNT && status.code == STATUS_OK; i++)
    status = output_commit(&files[i]);
  return status;
}

Status figure_draw(const Figure *figure, const char *results, const char *output) {
  OutputFile files[PICTURE_COUNT] = {{0}};
  TRY(check_inputs(figure, results));
  Status status = draw_pictures(figure, results, output, files);
  for (int i = 0; i < PICTURE_COUNT; i++)
    output_abort(&files[i]);
  return status;
}
