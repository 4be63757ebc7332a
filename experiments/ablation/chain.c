/* chain.c: phases by the digest of all that they depend on. */
#include "chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "lock.h"
#include "probe.h"

/* ---- the start ---- */

static const double START_SPREAD = 0.08; /* of the adapter's random matrices: about 1/sqrt of the width */

typedef struct Copy {
  const Ops *ops;
  const char *name; /* wanted; found is then its value */
  Tensor found;
  Model *from;
  Status status;
} Copy;

static void find(void *context, const Entry *entry) {
  Copy *copy = context;
  if (strcmp(entry->name, copy->name) == 0)
    copy->found = entry->parameter->w;
}

/* From the pair's store to the row's, in the backend's own type. */
static void copy_value(void *context, const Entry *entry) {
  Copy *copy = context;
  if (entry->group != GROUP_VISION && entry->group != GROUP_DECODER)
    return;
  copy->name = entry->name;
  copy->found = TENSOR_NONE;
  model_walk(copy->from, find, copy);
  if (!copy->found.data || !tensor_same(copy->found, entry->parameter->w))
    copy->status = status_error(STATUS_INPUT, "the pretrained pair has no %s of the row's shape", entry->name);
  else
    ops_copy(copy->ops, entry->parameter->w, copy->found);
}

Status chain_start(const ChainPlan *plan, Model *model, Store *store) {
  Model from = plan->pair->model; /* walks take models that may change; this one does not */
  Copy copy = {.ops = plan->ops, .from = &from, .status = status_ok()};
  TRY(model_alloc(model, plan->config));
  Status status = store_random(store, plan->ops, model, START_SPREAD, plan->seed);
  if (status.code == STATUS_OK) {
    model_walk(model, copy_value, &copy);
    status = copy.status;
  }
  if (status.code == STATUS_OK)
    status = store_prepare(store);
  if (status.code != STATUS_OK) {
    store_free(store);
    model_free(model);
  }
  return status;
}

/* ---- what a phase depends on ---- */

/* The views that any turn of the phase shows. */
static Views views_of(const Phase *phase) {
  Views views = VIEWS_NONE;
  for (size_t i = 0; i < phase->turns; i++)
    views = (Views)(views | (phase->turn[i].mixed ? VIEWS_BOTH : phase->turn[i].views));
  return views;
}

/* The model's configuration without what the phase does not use. Which parameters there are stays: the random start of
 * each depends on its place among them. */
static ModelConfig relevant(const ModelConfig *config, const Phase *phase) {
  ModelConfig c = *config;
  bool compression = phase_groups(phase) >> GROUP_COMPRESSION & 1;
  if (phase->gamma >= 0.0)
    c.switches.gamma = phase->gamma;
  if (phase->global != BRIDGE_COUNT)
    c.global = phase->global;
  if (!(views_of(phase) & VIEWS_LOCAL)) {
    Switches none = switches_released();
    none.gate_shares_weight = c.switches.gate_shares_weight;
    none.gate_floor = c.switches.gate_floor;
    none.gate_epsilon = c.switches.gate_epsilon;
    none.positions_half = c.switches.positions_half;
    none.slicing_paper = c.switches.slicing_paper;
    none.gamma = 1.0;
    c.switches = none;
    if (!compression)
      c.local_queries = 1;
  }
  return c;
}

static Status add_phase(Text *text, const ModelConfig *config, const Phase *phase) {
  char *printed = NULL, *fields = phase_print(phase);
  size_t size = 0;
  FILE *stream = open_memstream(&printed, &size);
  Status status = status_error(STATUS_MEMORY, "not enough memory for a phase's description");
  if (stream && fields) {
    ModelConfig c = relevant(config, phase);
    config_print(&c, stream);
    fclose(stream);
    status = text_append_string(text, printed);
    if (status.code == STATUS_OK)
      status = text_append_string(text, fields);
  }
  free(printed);
  free(fields);
  return status;
}

/* The text of phases 0 to `last`. */
static Status describe(const ChainPlan *plan, size_t last, Text *text) {
  char line[160], digest[2 * DIGEST_SIZE + 1], device[OPS_ROOM];
  snprintf(line, sizeof line, "pair %s\nseed %llu, spread %g\n", digest_print(plan->pair->digest, digest),
           (unsigned long long)plan->seed, START_SPREAD);
  TRY(text_append_string(text, line));
  snprintf(line, sizeof line, "computed in %s\n", ops_print(plan->ops, device));
  if (!ops_definition(plan->ops))
    TRY(text_append_string(text, line));
  for (size_t i = 0; i <= last; i++) {
    TRY(add_phase(text, plan->config, &plan->scheme->phases[i]));
    TRY(plan->about(plan->context, plan->scheme->phases[i].data, text));
  }
  return status_ok();
}

Status chain_text(const ChainPlan *plan, Text *text) {
  return describe(plan, plan->scheme->count - 1, text);
}

/* ---- a phase's folder ---- */

typedef struct Place {
  char *folder;
  char digest[2 * DIGEST_SIZE + 1];
  Text what; /* what the digest is of */
  int lock;
} Place;

/* For people: what the folder holds. */
static Status write_what(const Place *place) {
  char *path = path_join(place->folder, "what.txt");
  OutputFile file;
  Status status = path ? output_open(&file, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK) {
    fwrite(place->what.bytes, 1, place->what.length, file.stream);
    status = output_commit(&file);
  }
  free(path);
  return status;
}

/* Where it would be, whether or not there is such a folder. */
static Status name_place(const ChainPlan *plan, size_t which, Place *place) {
  *place = (Place){.lock = -1};
  Status status = describe(plan, which, &place->what);
  if (status.code == STATUS_OK) {
    digest_print(digest_of(place->what.bytes, place->what.length), place->digest);
    place->folder = path_join(plan->folder, place->digest);
    status = place->folder ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for a path");
  }
  return status;
}

static Status find_place(const ChainPlan *plan, size_t which, Place *place) {
  Status status = name_place(plan, which, place);
  return status.code == STATUS_OK ? folder_create(place->folder) : status;
}

static void leave_place(Place *place) {
  lock_give(place->lock);
  free(place->folder);
  text_free(&place->what);
}

static bool is_finished(const Place *place, const Phase *phase) {
  char *name, *path = NULL;
  bool there = false;
  if (asprintf(&name, "%s.safetensors", phase->name) < 0)
    return false;
  path = path_join(place->folder, name);
  there = path && access(path, R_OK) == 0;
  free(path);
  free(name);
  return there;
}

Status chain_busy(const ChainPlan *plan, bool *busy) {
  *busy = false;
  for (size_t i = 0; i < plan->scheme->count && !*busy; i++) {
    Place place;
    bool taken = true;
    Status status = find_place(plan, i, &place);
    if (status.code == STATUS_OK && !is_finished(&place, &plan->scheme->phases[i]))
      status = lock_take(place.folder, false, &place.lock, &taken);
    *busy = !taken;
    leave_place(&place);
    TRY(status);
  }
  return status_ok();
}

Status chain_finished(const ChainPlan *plan, bool *finished) {
  *finished = true;
  for (size_t i = 0; i < plan->scheme->count && *finished; i++) {
    Place place;
    Status status = name_place(plan, i, &place);
    *finished = status.code == STATUS_OK && is_finished(&place, &plan->scheme->phases[i]);
    leave_place(&place);
    TRY(status);
  }
  return status_ok();
}

/* ---- how long a phase took: in a file of its own, since its result is the same however long it takes ---- */

static Status keep_seconds(const Place *place, double seconds) {
  char *path = path_join(place->folder, "seconds.txt");
  OutputFile file;
  Status status = path ? output_open(&file, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK) {
    fprintf(file.stream, "%.3f\n", seconds);
    status = output_commit(&file);
  }
  free(path);
  return status;
}

/* 0 if nobody wrote it down: a worker was killed between the phase's end and this. */
static double kept_seconds(const Place *place) {
  char *path = path_join(place->folder, "seconds.txt");
  FILE *file = path ? fopen(path, "r") : NULL;
  double seconds = 0.0;
  if (file && fscanf(file, "%lf", &seconds) != 1)
    seconds = 0.0;
  if (file)
    fclose(file);
  free(path);
  return seconds;
}

/* ---- training ---- */

static Status train_link(const ChainPlan *plan, Store *store, const Place *place, ChainLink *link) {
  Probe probe = {.folder = place->folder, .phase = link->phase->name};
  TrainPlan train = {.store = store,
                     .phase = link->phase,
                     .feed = plan->feed(plan->context, link->phase->data),
                     .features = plan->features,
                     .identity = place->what.bytes,
                     .seed = plan->seed,
                     .folder = place->folder,
                     .interval = 100,
                     .resume = true,
                     .quiet = plan->quiet,
                     .measure = plan->probed,
                     .probe = plan->probed ? probe_step : NULL,
                     .context = &probe};
  if (!train.feed)
    return status_error(STATUS_INPUT, "phase %s wants the data '%s', and there are none of that name",
                        link->phase->name, link->phase->data);
  Status status = train_phase(&train, &link->report);
  probe_close(&probe);
  TRY(status);
  if (!link->report.finished)
    return keep_seconds(place, link->report.counts.seconds);
  link->report.counts.seconds = kept_seconds(place);
  return status_ok();
}

Status chain_run(const ChainPlan *plan, Store *store, ChainLink *links) {
  for (size_t i = 0; i < plan->scheme->count; i++) {
    Place place;
    bool taken;
    links[i] = (ChainLink){.phase = &plan->scheme->phases[i]};
    Status status = find_place(plan, i, &place);
    memcpy(links[i].digest, place.digest, sizeof place.digest);
    if (status.code == STATUS_OK)
      status = lock_take(place.folder, true, &place.lock, &taken);
    if (status.code == STATUS_OK)
      status = write_what(&place);
    if (status.code == STATUS_OK)
      status = train_link(plan, store, &place, &links[i]);
    leave_place(&place);
    TRY(status);
  }
  return status_ok();
}
