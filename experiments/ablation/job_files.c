/* job_files.c: what a job leaves: costs, learning curves, answers; or what was measured. */
#include <stdio.h>
#include <stdlib.h>

#include "desk.h"
#include "examine.h"
#include "files.h"
#include "probed.h"

/* A row that is never shown a picture has its answers where other rows have those to both views. */
const char *views_name(Views views) {
  static const char *const names[] = {"both", "global", "local", "both"};
  return names[views];
}

/* ---- files ---- */

char *job_file(const Setting *setting, const Recipe *recipe, uint64_t seed, const char *name) {
  char *path;
  return asprintf(&path, "%s/rows/%s-%llu%s%s", setting->folder, recipe->id, (unsigned long long)seed, *name ? "/" : "",
                  name) < 0
             ? NULL
             : path;
}

/* Opens one for writing. */
Status desk_file(const Desk *desk, const char *name, OutputFile *file) {
  char *path = job_file(desk->setting, desk->recipe, desk->seed, name);
  Status status = path ? output_open(file, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(path);
  return status;
}

static Status write_costs(const Desk *desk, const ChainLink *links) {
  OutputFile file;
  TRY(desk_file(desk, "costs.csv", &file));
  for (size_t i = 0; i < desk->scheme.count; i++) {
    const TrainCounts *c = &links[i].report.counts;
    char digest[2 * DIGEST_SIZE + 1];
    fprintf(file.stream, "%s,%llu,%s,%llu,%llu,%.6g,%.6g,%.6g,%s\n", desk->recipe->id, (unsigned long long)desk->seed,
            links[i].phase->name, (unsigned long long)c->samples, (unsigned long long)c->steps, 1e-12 * c->operations,
            (double)c->image_tokens / (double)c->samples, c->seconds, digest_print(links[i].report.digest, digest));
  }
  return output_commit(&file);
}

/* ---- learning curves: the phases' logs, as means over windows ---- */

enum { CURVE_POINTS = 50 };

typedef struct Window {
  size_t lines;
  double loss;
} Window;

/* A phase's log goes on: after each window a point. */
static void curve_of(const Desk *desk, const ChainLink *link, FILE *log, FILE *stream) {
  Window window = {0};
  uint64_t each = link->report.steps / CURVE_POINTS > 0 ? link->report.steps / CURVE_POINTS : 1;
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, log) > 0) {
    unsigned long long step, samples;
    double loss, rate;
    if (sscanf(line, "%*[^,],%llu,%llu,%lf,%lf", &step, &samples, &loss, &rate) != 4)
      continue; /* the header */
    window.lines++;
    window.loss += loss;
    if (step % each == 0) {
      fprintf(stream, "%s,%llu,%s,%llu,%llu,%.6g,%.6g\n", desk->recipe->id, (unsigned long long)desk->seed,
              link->phase->name, step, samples, window.loss / (double)window.lines, rate);
      window = (Window){0};
    }
  }
  free(line);
}

static Status write_curves(const Desk *desk, const ChainLink *links) {
  OutputFile file;
  TRY(desk_file(desk, "curves.csv", &file));
  for (size_t i = 0; i < desk->scheme.count; i++) {
    char *path;
    FILE *log = NULL;
    if (asprintf(&path, "%s/%s/log.csv", desk->setting->folder, links[i].digest) >= 0) {
      log = fopen(path, "r");
      free(path);
    }
    if (!log) {
      output_abort(&file);
      return status_error(STATUS_INPUT, "the log of phase %s is not there", links[i].phase->name);
    }
    curve_of(desk, &links[i], log, file.stream);
    fclose(log);
  }
  return output_commit(&file);
}

/* ---- answers ---- */

static void write_exam(const Desk *desk, Views views, const Exam *exam, FILE *stream) {
  for (int f = 0; f < FAMILIES; f++)
    for (int b = 0; b < EXAM_BLOCKS; b++) {
      const ExamCount *c = &exam->count[f][b];
      fprintf(stream, "%s,%llu,%s,%s,%d,%zu,%zu,%zu,%zu,%zu\n", desk->recipe->id, (unsigned long long)desk->seed,
              views_name(views), family_name((Family)f), b, c->items, c->correct, c->true_positive, c->false_positive,
              c->false_negative);
    }
}

static Status write_answers(Desk *desk, const Store *store, const Features *features) {
  OutputFile file;
  TRY(desk_file(desk, "answers.csv", &file));
  Status status = status_ok();
  for (size_t i = 0; i < desk->recipe->tested_count && status.code == STATUS_OK; i++) {
    ExamPlan plan = {.store = store, .scenes = &desk->testing, .features = features, .views = desk->recipe->tested[i]};
    Exam exam;
    status = examine(&plan, &exam);
    if (status.code == STATUS_OK)
      write_exam(desk, plan.views, &exam, file.stream);
  }
  if (status.code == STATUS_OK)
    return output_commit(&file);
  output_abort(&file);
  return status;
}

/* ---- or what was measured ---- */

static Status write_probed(Desk *desk, const ChainLink *links, const Store *store, const Features *features) {
  char *folder = job_file(desk->setting, desk->recipe, desk->seed, "");
  Probed probed = {.row = desk->recipe->id,
                   .seed = desk->seed,
                   .folder = folder,
                   .runs = desk->setting->folder,
                   .links = links,
                   .phases = desk->scheme.count,
                   .store = store,
                   .scenes = &desk->testing,
                   .features = features,
                   .views = desk->recipe->tested[0]};
  Status status = folder ? probed_write(&probed) : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(folder);
  return status;
}

Status desk_write(Desk *desk, const ChainLink *links, const Store *store, const Features *features) {
  if (desk->setting->probed)
    return write_probed(desk, links, store, features);
  TRY(write_costs(desk, links));
  TRY(write_curves(desk, links));
  return write_answers(desk, store, features);
}
