/* probe.c: a line for each step of a phase, and means of them. */
#include "probe.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv.h"
#include "number.h"

enum { HEADER_ROOM = 512 };

/* "step,gate_mean,vision_gradient,vision_change,..." */
static void print_header(char header[HEADER_ROOM]) {
  char *end = header + sprintf(header, "step,gate_mean");
  for (int group = 0; group < GROUP_COUNT; group++) {
    const char *name = group_name((Group)group);
    end += snprintf(end, (size_t)(header + HEADER_ROOM - end), ",%s_gradient,%s_change", name, name);
  }
}

char *probe_path(const char *folder, const char *phase) {
  char *path;
  return asprintf(&path, "%s/%s.probe.csv", folder, phase) < 0 ? NULL : path;
}

/* ---- writing ---- */

/* The bytes of the lines before step `first`; *last: the step of the last of them. */
static size_t kept_bytes(const char *text, uint64_t first, uint64_t *last) {
  size_t at = 0;
  *last = 0;
  for (const char *end; (end = strchr(text + at, '\n')); at = (size_t)(end - text) + 1) {
    uint64_t step = strtoull(text + at, NULL, 10); /* 0 of the header */
    if (step >= first)
      break;
    *last = step;
  }
  return at;
}

static Status write_start(const char *path, const char *text, size_t size) {
  OutputFile file;
  TRY(output_open(&file, path));
  fwrite(text, 1, size, file.stream);
  return output_commit(&file);
}

static Status begin_anew(const char *path) {
  char header[HEADER_ROOM];
  print_header(header);
  strcat(header, "\n");
  return write_start(path, header, strlen(header));
}

/* A file that is cut back to the steps before `first`. */
static Status go_on(const char *path, uint64_t first) {
  unsigned char *bytes;
  size_t size;
  uint64_t last;
  TRY(file_read(path, (size_t)1 << 32, &bytes, &size));
  size_t kept = kept_bytes((const char *)bytes, first, &last);
  Status status = last == first - 1 ? write_start(path, (const char *)bytes, kept)
                                    : status_error(STATUS_INPUT,
                                                   "%s ends at step %" PRIu64 ", but training goes on at step %" PRIu64
                                                   "; remove its folder to train the phase anew",
                                                   path, last, first);
  free(bytes);
  return status;
}

static Status begin(Probe *probe, uint64_t first) {
  probe->path = probe_path(probe->folder, probe->phase);
  if (!probe->path)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  TRY(first == 1 ? begin_anew(probe->path) : go_on(probe->path, first));
  probe->stream = fopen(probe->path, "a");
  return probe->stream ? status_ok() : status_from_errno(STATUS_OUTPUT, "cannot write %s", probe->path);
}

/* The mean of the MLP's weight over the global tokens of the step's last pass; NaN where there is no mixture. */
static Status gate_mean(const TrainStep *step, double *mean) {
  const SlimeTape *tape = step->tape;
  *mean = NAN;
  if (tape->globals == 0 || tape->global.kind != BRIDGE_MIXTURE)
    return status_ok();
  Tensor shares = tape->global.s;
  size_t tokens = shares.size[0];
  void *numbers = malloc(tensor_bytes(shares));
  if (!numbers)
    return status_error(STATUS_MEMORY, "not enough memory for the gate of %zu tokens", tokens);
  ops_read(step->run->ops, numbers, shares.data, tensor_bytes(shares));
  shares.data = numbers;
  *mean = 0.0;
  for (size_t i = 0; i < tokens; i++)
    *mean += tensor_get(shares, 2 * i) / (double)tokens;
  free(numbers);
  return status_ok();
}

/* Whole in the file after each step, so that it is never behind a checkpoint when the process is killed. */
Status probe_step(void *context, const TrainStep *step) {
  Probe *probe = context;
  char number[NUMBER_ROOM];
  double mean;
  if (!probe->stream)
    TRY(begin(probe, step->step));
  TRY(gate_mean(step, &mean));
  number_print(mean, number);
  fprintf(probe->stream, "%" PRIu64 ",%s", step->step, number);
  for (int group = 0; group < GROUP_COUNT; group++) {
    number_print(step->norms.gradient[group], number);
    fprintf(probe->stream, ",%s", number);
    number_print(step->norms.change[group], number);
    fprintf(probe->stream, ",%s", number);
  }
  fputc('\n', probe->stream);
  return fflush(probe->stream) == 0 ? status_ok() : status_from_errno(STATUS_OUTPUT, "cannot write %s", probe->path);
}

void probe_close(Probe *probe) {
  if (probe->stream)
    fclose(probe->stream);
  free(probe->path);
  probe->stream = NULL;
  probe->path = NULL;
}

/* ---- windows ---- */

typedef struct Line {
  uint64_t step;
  double gate, gradient[GROUP_COUNT], change[GROUP_COUNT];
} Line;

typedef struct Window {
  uint64_t last;                    /* step */
  size_t gated, moved[GROUP_COUNT]; /* steps that show the mixture, that move a group */
  double gate, gradient[GROUP_COUNT], squares[GROUP_COUNT];
} Window;

/* The window of a step, from 0. */
static uint64_t window_of(uint64_t step, uint64_t steps) {
  uint64_t windows = steps < PROBE_WINDOWS ? steps : PROBE_WINDOWS;
  return (step - 1) * windows / steps;
}

/* A step in which a group has no gradient does not move it (optimiser.h). */
static void add_line(Window *window, const Line *line) {
  window->last = line->step;
  if (!isnan(line->gate)) {
    window->gated++;
    window->gate += line->gate;
  }
  for (int group = 0; group < GROUP_COUNT; group++) {
    window->moved[group] += line->gradient[group] > 0.0;
    window->gradient[group] += line->gradient[group];
    window->squares[group] += line->change[group] * line->change[group];
  }
}

static void print_window(const Window *window, const ProbeWhose *whose, FILE *probes, FILE *gates) {
  double all = 0.0;
  for (int group = 0; group < GROUP_COUNT; group++)
    all += window->squares[group];
  for (int group = 0; group < GROUP_COUNT; group++)
    if (window->moved[group] > 0)
      fprintf(probes, "%s,%" PRIu64 ",%s,%" PRIu64 ",%s,%.6g,%.6g\n", whose->row, whose->seed, whose->phase,
              window->last, group_name((Group)group), window->gradient[group] / (double)window->moved[group],
              all > 0.0 ? window->squares[group] / all : 0.0);
  if (window->gated > 0)
    fprintf(gates, "%s,%" PRIu64 ",%s,%" PRIu64 ",%.6g\n", whose->row, whose->seed, whose->phase, window->last,
            window->gate / (double)window->gated);
}

static Status read_norm(const CsvReader *csv, size_t column, double *value) {
  return csv_read_real(csv, column, 0.0, value);
}

/* The lines must come one by one. */
static Status read_line(const CsvReader *csv, uint64_t step, Line *line) {
  int64_t number;
  TRY(csv_read_integer(csv, 0, 1, INT64_MAX, &number));
  line->step = (uint64_t)number;
  if (line->step != step)
    return csv_error(csv, "step %" PRIu64 " stands where step %" PRIu64 " should be", line->step, step);
  line->gate = NAN;
  if (strcmp(csv->cells[1], "nan") != 0)
    TRY(csv_read_real(csv, 1, 0.0, &line->gate));
  for (size_t group = 0; group < GROUP_COUNT; group++) {
    TRY(read_norm(csv, 2 + 2 * group, &line->gradient[group]));
    TRY(read_norm(csv, 3 + 2 * group, &line->change[group]));
  }
  return status_ok();
}

static Status print_windows(CsvReader *csv, uint64_t steps, const ProbeWhose *whose, FILE *probes, FILE *gates) {
  Window window = {0};
  for (uint64_t step = 1; step <= steps; step++) {
    Line line;
    bool there;
    TRY(csv_row(csv, &there));
    if (!there)
      return status_error(STATUS_INPUT,
                          "%s has %" PRIu64 " of the phase's %" PRIu64 " steps; remove its folder to "
                          "train the phase anew",
                          csv->path, step - 1, steps);
    TRY(read_line(csv, step, &line));
    add_line(&window, &line);
    if (step == steps || window_of(step + 1, steps) != window_of(step, steps)) {
      print_window(&window, whose, probes, gates);
      window = (Window){0};
    }
  }
  return status_ok();
}

Status probe_windows(const char *path, uint64_t steps, const ProbeWhose *whose, FILE *probes, FILE *gates) {
  char header[HEADER_ROOM];
  CsvReader csv;
  print_header(header);
  TRY(csv_read(&csv, path, header));
  Status status = print_windows(&csv, steps, whose, probes, gates);
  csv_close(&csv);
  return status;
}
