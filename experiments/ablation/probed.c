/* probed.c: what was measured, line by line. */
#include "probed.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "files.h"
#include "job.h"
#include "look.h"
#include "probe.h"

static Status begin_file(const Probed *p, const char *name, OutputFile *file) {
  char *path = path_join(p->folder, name);
  Status status = path ? output_open(file, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(path);
  return status;
}

/* Commits, or gives up. */
static Status end_file(OutputFile *file, Status status) {
  if (status.code == STATUS_OK)
    return output_commit(file);
  output_abort(file);
  return status;
}

/* "e2e,1," */
static void begin_line(const Probed *p, FILE *stream) {
  fprintf(stream, "%s,%" PRIu64 ",", p->row, p->seed);
}

/* ---- training ---- */

static Status write_phase(const Probed *p, const ChainLink *link, FILE *probes, FILE *gates) {
  ProbeWhose whose = {.row = p->row, .seed = p->seed, .phase = link->phase->name};
  char *folder = path_join(p->runs, link->digest), *path = folder ? probe_path(folder, link->phase->name) : NULL;
  Status status = path ? probe_windows(path, link->report.steps, &whose, probes, gates)
                       : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(folder);
  free(path);
  return status;
}

static Status write_training(const Probed *p) {
  OutputFile probes = {0}, gates = {0};
  Status status = begin_file(p, "probes.csv", &probes);
  if (status.code == STATUS_OK)
    status = begin_file(p, "gates.csv", &gates);
  for (size_t i = 0; i < p->phases && status.code == STATUS_OK; i++)
    status = write_phase(p, &p->links[i], probes.stream, gates.stream);
  status = end_file(&probes, status);
  return end_file(&gates, status);
}

/* ---- the trained model ---- */

static void print_losses(const Probed *p, const LookLosses *losses, FILE *stream) {
  for (int local = 0; local < TOKEN_STATES; local++)
    for (int global = 0; global < TOKEN_STATES; global++) {
      if (isnan(losses->loss[local][global]))
        continue;
      begin_line(p, stream);
      fprintf(stream, "%s,%s,%s,%.6g\n", views_name(p->views), token_states[local], token_states[global],
              losses->loss[local][global]);
    }
}

static Status write_losses(const Probed *p, const LookPlan *look) {
  OutputFile file;
  LookLosses losses;
  TRY(look_losses(look, &losses));
  TRY(begin_file(p, "loss_probes.csv", &file));
  print_losses(p, &losses, file.stream);
  return output_commit(&file);
}

static Status write_shares(const Probed *p, double (*share)[PARTS]) {
  OutputFile file;
  TRY(begin_file(p, "attention.csv", &file));
  for (size_t layer = 0; layer < p->store->model->config.decoder.layers; layer++) {
    begin_line(p, file.stream);
    fprintf(file.stream, "%zu,%.6g,%.6g,%.6g\n", layer, share[layer][PART_LOCAL], share[layer][PART_GLOBAL],
            share[layer][PART_TEXT]);
  }
  return output_commit(&file);
}

static Status write_attention(const Probed *p, const LookPlan *look) {
  double(*share)[PARTS] = calloc(p->store->model->config.decoder.layers + 1, sizeof *share);
  Status status = share ? look_attention(look, share) : status_error(STATUS_MEMORY, "not enough memory for layers");
  if (status.code == STATUS_OK)
    status = write_shares(p, share);
  free(share);
  return status;
}

/* A model that has no local tokens, or is not used with them, has no router. */
static Status write_router(const Probed *p) {
  ExamPlan plan = {.store = p->store, .scenes = p->scenes, .features = p->features, .views = p->views};
  bool local = p->views & VIEWS_LOCAL && p->store->model->config.local != BRIDGE_NONE;
  LookRouter points[LOOK_GAMMAS];
  OutputFile file;
  if (local)
    TRY(look_router(&plan, points));
  TRY(begin_file(p, PROBED_LAST, &file));
  for (int i = 0; local && i < LOOK_GAMMAS; i++) {
    begin_line(p, file.stream);
    fprintf(file.stream, "%.6g,%.6g,%.6g,%.6g\n", points[i].gamma, points[i].kept, points[i].relate, points[i].read);
  }
  return output_commit(&file);
}

/* Questions of all families about each scene. */
static Status look_at(const Probed *p) {
  SceneFeedPlan scenes = *p->scenes;
  Feed feed;
  scenes.talk = (SceneTalk){.families = (1U << FAMILIES) - 1, .rounds = FAMILIES};
  TRY(feed_scenes_open(&feed, &scenes));
  LookPlan look = {.store = p->store, .feed = &feed, .features = p->features, .views = p->views};
  Status status = write_losses(p, &look);
  if (status.code == STATUS_OK)
    status = write_attention(p, &look);
  feed_scenes_close(&feed);
  return status;
}

Status probed_write(const Probed *probed) {
  TRY(write_training(probed));
  TRY(look_at(probed));
  return write_router(probed);
}
