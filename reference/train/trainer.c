/* trainer.c: one phase of training. A step is: batches forward and backward, the optimiser, a line of the log. */
#include "trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "identity.h"
#include "progress.h"
#include "rng.h"
#include "train_log.h"

typedef struct Trainer {
  const TrainPlan *plan;
  const Phase *phase;
  TrainReport *report;
  Store *store;
  Ops ops; /* the store's, but counting operations */
  Model turn[PHASE_TURNS];
  Optimiser optimiser;
  Order order;
  Batcher batcher;
  SlimeTape tape;
  Run run;
  size_t *chosen; /* samples of a batch */
  TrainCounts counts;
  uint64_t steps, samples;       /* of the phase */
  uint64_t from;                 /* samples that had been shown when this run began */
  uint64_t good;                 /* the step of the last checkpoint */
  char devices[DEVICES_ROOM];    /* that have computed it */
  char *identity, *path, *final; /* the checkpoint's path, and that of the finished phase */
  TrainLog log;
  Progress progress;
  char title[32];
  double since; /* when the counted seconds began */
} Trainer;

/* ---- models of the turns ---- */

static void freeze_others(void *context, const Entry *entry) {
  const unsigned *groups = context;
  if (!(*groups >> entry->group & 1))
    entry->parameter->d = TENSOR_NONE;
}

/* The model as a turn sees it: without the gradients of the groups that stand still, which then cost nothing. */
static Status make_turn(const Trainer *t, unsigned groups, Model *turn) {
  const ModelConfig *config = &t->store->model->config;
  Model model = *t->store->model;
  TRY(model_alloc(turn, config));
  memcpy(turn->vision.layers, model.vision.layers, config->vision.layers * sizeof *model.vision.layers);
  memcpy(turn->decoder.layers, model.decoder.layers, config->decoder.layers * sizeof *model.decoder.layers);
  model.vision.layers = turn->vision.layers;
  model.decoder.layers = turn->decoder.layers;
  *turn = model;
  model_walk(turn, freeze_others, &groups);
  if (config->decoder.tied)
    turn->decoder.head = turn->decoder.embedding;
  if (t->phase->gamma >= 0.0)
    turn->config.switches.gamma = t->phase->gamma;
  if (t->phase->global != BRIDGE_COUNT)
    turn->config.global = t->phase->global;
  return status_ok();
}

static size_t turn_of(const Trainer *t, uint64_t step) {
  return t->phase->turns > 1 && t->phase->soft == 0.0 ? step / t->phase->period % t->phase->turns : 0;
}

static Status make_turns(Trainer *t) {
  bool together = t->phase->soft > 0.0;
  for (size_t i = 0; i < (together ? 1 : t->phase->turns); i++)
    TRY(make_turn(t, together ? phase_groups(t->phase) : t->phase->turn[i].groups, &t->turn[i]));
  return status_ok();
}

/* ---- errors ---- */

/* "; the last good checkpoint is X, of step 10" */
static Status with_checkpoint(const Trainer *t, Status status) {
  if (t->good > 0)
    return status_error(status.code, "%s; the last good checkpoint is %s, of step %" PRIu64, status.message, t->path,
                        t->good);
  return status_error(status.code, "%s; there is no checkpoint", status.message);
}

/* The first parameter whose values are not finite. */
typedef struct Search {
  const Ops *ops;
  char text[192];
} Search;

static void search(void *context, const Entry *entry) {
  enum { PIECE = 4096 };
  Search *search_for = context;
  Tensor w = entry->parameter->w;
  double room[PIECE];
  size_t count = tensor_count(w), each = dtype_bits(w.dtype) / 8;
  for (size_t first = 0; first < count && !search_for->text[0]; first += PIECE) {
    size_t piece = count - first < PIECE ? count - first : PIECE;
    ops_read(search_for->ops, room, (unsigned char *)w.data + first * each, piece * each);
    for (size_t i = 0; i < piece; i++)
      if (!isfinite(tensor_get(tensor_1(room, w.dtype, piece), i)) && !search_for->text[0])
        snprintf(search_for->text, sizeof search_for->text, "group %s holds numbers that are not finite, in %.100s",
                 group_name(entry->group), entry->name);
  }
}

/* No group's weights are at fault if the activations overflow. */
static Status diverged(const Trainer *t, const char *what, double value, const char *group) {
  Search found = {.ops = t->store->ops};
  model_walk(t->store->model, search, &found);
  if (!found.text[0])
    snprintf(found.text, sizeof found.text, "all weights are finite");
  return with_checkpoint(t, status_error(STATUS_NUMERICS,
                                         "phase %s: %s%s in step %" PRIu64 " is %g: %s; a lower rate may help",
                                         t->phase->name, what, group, t->counts.steps + 1, value, found.text));
}

/* ---- a pass ---- */

/* What the passes of a step add up to. */
typedef struct Sums {
  double loss; /* over tokens */
  size_t trained;
} Sums;

static Views views_of(const Trainer *t, PhaseTurn turn, uint64_t pass) {
  Rng rng = rng_make(t->plan->seed, RNG_VIEWS, (uint32_t)t->counts.steps);
  return turn.mixed ? (Views)(1 + (int)(3.0 * rng_uniform(rng, pass))) : turn.views;
}

/* Was the sample's end cut off? Of a sample with as many rows as there may be, some of its text's are missing. */
static bool is_cut(const Trainer *t, const ModelConfig *config, size_t i) {
  const Sequence *s = &t->tape.sequence;
  const Example *example = &t->batcher.examples[i];
  size_t text = example->text.ids.count, placed = 0;
  if (example->pictured &&
      !(config->switches.separator && config->global != BRIDGE_NONE && config->local != BRIDGE_NONE))
    text--;
  for (int32_t row = s->rows.host[i]; row < s->rows.host[i + 1]; row++)
    placed += s->ids[row] >= 0;
  return example->text.cut > 0 || placed < text;
}

static void count_pass(Trainer *t, const ModelConfig *config) {
  t->counts.samples += t->batcher.batch.count;
  t->counts.image_tokens += t->tape.globals * config_global_tokens(config) + t->tape.kept_count;
  for (size_t i = 0; i < t->batcher.batch.count; i++)
    t->counts.cut += is_cut(t, config, i);
}

/* `count` samples, forward and backward. The gradients are those of the mean loss, or, where a step has several passes,
 * of the sum. */
static Status pass(Trainer *t, uint64_t which, size_t count, Sums *sums) {
  const Phase *phase = t->phase;
  Views views = views_of(t, phase_turn(phase, t->counts.steps), which);
  Model shown = model_showing(&t->turn[turn_of(t, t->counts.steps)], views);
  size_t trained;
  for (size_t i = 0; i < count; i++)
    t->chosen[i] = order_at(&t->order, t->counts.samples + i);
  TRY(batcher_fill(&t->batcher, &shown, t->chosen, count, phase->longest));
  TRY(slime_room(&t->run, &t->ops, &shown, &t->batcher.batch, &t->tape, true));
  t->run.training = true;
  t->run.seed = t->plan->seed;
  t->run.step = (uint32_t)(t->counts.steps * phase->accumulate + which);
  double loss = slime_forward(&t->run, &shown, &t->batcher.batch, &t->tape, &trained);
  if (!isfinite(loss))
    return diverged(t, "the loss", loss, "");
  slime_backward(&t->run, &shown, &t->tape, phase->accumulate > 1 ? 1 : 0);
  sums->loss += loss * (double)trained;
  sums->trained += trained;
  count_pass(t, &shown.config);
  return status_ok();
}

static Status passes(Trainer *t, Sums *sums) {
  const Phase *phase = t->phase;
  store_zero(t->store);
  for (uint64_t i = 0; i < phase->accumulate && t->counts.samples < t->samples; i++) {
    uint64_t left = t->samples - t->counts.samples;
    TRY(pass(t, i, left < phase->batch ? left : phase->batch, sums));
  }
  if (sums->trained == 0)
    return status_error(STATUS_INPUT,
                        "phase %s: step %" PRIu64
                        " has no token to learn: all answers lie beyond the %zu rows that are "
                        "the longest a sample may be (longest)",
                        phase->name, t->counts.steps + 1, phase->longest);
  if (phase->accumulate > 1)
    ops_scale(t->store->ops, store_gradients(t->store), 1.0 / (double)sums->trained);
  return status_ok();
}

/* ---- a step ---- */

static OptimiserRule rule_of(const Trainer *t) {
  const Phase *phase = t->phase;
  OptimiserRule rule = {.beta1 = phase->beta1,
                        .beta2 = phase->beta2,
                        .epsilon = phase->epsilon,
                        .decay = phase->decay,
                        .clip = phase->clip,
                        .measure = t->plan->measure};
  phase_rates(phase, t->counts.steps, t->steps, rule.rate);
  return rule;
}

static double largest(const double rate[GROUP_COUNT]) {
  double most = 0.0;
  for (int group = 0; group < GROUP_COUNT; group++)
    most = fmax(most, rate[group]);
  return most;
}

static Status tell(Trainer *t, const OptimiserRule *rule, const OptimiserReport *norms, const Sums *sums) {
  const TrainPlan *plan = t->plan;
  if (t->log.stream)
    log_row(&t->log, &(TrainRow){.step = t->counts.steps,
                                 .samples = t->counts.samples,
                                 .loss = t->counts.loss,
                                 .rate = largest(rule->rate),
                                 .norm = norms->norm});
  TrainStep step = {.step = t->counts.steps,
                    .loss = t->counts.loss,
                    .trained = sums->trained,
                    .norms = *norms,
                    .optimiser = &t->optimiser,
                    .counts = &t->counts,
                    .batch = &t->batcher.batch,
                    .tape = &t->tape,
                    .run = &t->run};
  memcpy(step.rate, rule->rate, sizeof step.rate);
  return plan->probe ? plan->probe(plan->context, &step) : status_ok();
}

/* "stage1 0.693 512/s" before the bar. */
static void show(Trainer *t) {
  double seconds = clock_seconds() - t->progress.started, done = (double)(t->counts.samples - t->from);
  snprintf(t->title, sizeof t->title, "%.9s %.3g %.0f/s", t->phase->name, t->counts.loss, done / seconds);
  t->progress.title = t->title;
  progress_update(&t->progress, done);
}

static Status step(Trainer *t) {
  Sums sums = {0};
  TRY(passes(t, &sums));
  OptimiserRule rule = rule_of(t);
  OptimiserReport norms = optimiser_step(&t->optimiser, &rule);
  TRY(ops_status(t->store->ops)); /* before numbers are judged that a fault left behind */
  if (norms.bad != GROUP_COUNT)
    return diverged(t, "the gradient of ", norms.gradient[norms.bad], group_name(norms.bad));
  t->counts.steps++;
  t->counts.trained += sums.trained;
  t->counts.loss = sums.loss / (double)sums.trained;
  show(t);
  return tell(t, &rule, &norms, &sums);
}

/* ---- files ---- */

static bool is_there(const char *path) {
  return access(path, F_OK) == 0;
}

static Snapshot snapshot_of(Trainer *t, bool moments) {
  double now = clock_seconds();
  t->counts.seconds += now - t->since;
  t->since = now;
  Snapshot snapshot = {.optimiser = &t->optimiser, .counts = t->counts, .identity = t->identity, .moments = moments};
  memcpy(snapshot.devices, t->devices, sizeof snapshot.devices);
  return snapshot;
}

/* The log first: it may be ahead of the checkpoint, never behind. */
static Status save(Trainer *t, bool moments) {
  Snapshot snapshot = snapshot_of(t, moments);
  TRY(log_sync(&t->log));
  Status status = snapshot_save(&snapshot, moments ? t->path : t->final);
  if (status.code == STATUS_NUMERICS)
    return with_checkpoint(t, status_error(STATUS_NUMERICS, "phase %s: after step %" PRIu64 " %s", t->phase->name,
                                           t->counts.steps, status.message));
  if (status.code == STATUS_OK)
    t->good = t->counts.steps;
  t->report->digest = snapshot.digest;
  return status;
}

static Status load(Trainer *t, bool moments) {
  Snapshot snapshot = snapshot_of(t, moments);
  TRY(snapshot_load(&snapshot, moments ? t->path : t->final));
  t->counts = snapshot.counts;
  memcpy(t->devices, snapshot.devices, sizeof t->devices);
  t->good = t->counts.steps;
  t->report->resumed = t->counts.steps;
  t->report->finished = !moments;
  t->report->digest = snapshot.digest;
  return status_ok();
}

static Status name_files(Trainer *t) {
  const char *folder = t->plan->folder;
  if (asprintf(&t->path, "%s/%s.checkpoint.safetensors", folder, t->phase->name) < 0)
    t->path = NULL;
  if (asprintf(&t->final, "%s/%s.safetensors", folder, t->phase->name) < 0)
    t->final = NULL;
  return t->path && t->final ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for a name");
}

/* Where it goes on: at the end, in the middle, or at the start, where no older files may mislead a later resume. */
static Status find_start(Trainer *t) {
  TRY(name_files(t));
  if (t->plan->resume && is_there(t->final))
    return load(t, false);
  if (t->plan->resume && is_there(t->path))
    TRY(load(t, true));
  if (!t->plan->resume &&
      ((is_there(t->path) && unlink(t->path) != 0) || (is_there(t->final) && unlink(t->final) != 0)))
    return status_from_errno(STATUS_OUTPUT, "cannot remove older files of phase %s in %s", t->phase->name,
                             t->plan->folder);
  return log_open(&t->log, t->plan->folder, t->phase->name, t->counts.steps);
}

static Status finish(Trainer *t) {
  if (!*t->plan->folder) {
    Snapshot snapshot = snapshot_of(t, false);
    return snapshot_digest(&snapshot, &t->report->digest);
  }
  if (!t->report->finished)
    TRY(save(t, false));
  if (is_there(t->path) && unlink(t->path) != 0)
    return status_from_errno(STATUS_OUTPUT, "cannot remove %s", t->path);
  return status_ok();
}

/* ---- the phase ---- */

/* Keeps what has been done when the user interrupts. */
static Status interrupted(Trainer *t) {
  Status status = interrupt_check();
  if (status.code == STATUS_OK || !*t->plan->folder)
    return status;
  TRY(save(t, true));
  return status_error(STATUS_INTERRUPTED,
                      "interrupted in phase %s after step %" PRIu64 " of %" PRIu64 ", which is kept: --resume goes on",
                      t->phase->name, t->counts.steps, t->steps);
}

static Status steps(Trainer *t) {
  uint64_t interval = *t->plan->folder ? t->plan->interval : 0;
  Status status = status_ok();
  t->from = t->counts.samples;
  if (!t->plan->quiet)
    progress_start(&t->progress, t->phase->name, (double)(t->samples - t->from));
  t->progress.started = t->since = clock_seconds();
  while (status.code == STATUS_OK && t->counts.steps < t->steps) {
    status = step(t);
    bool last = t->counts.steps == t->steps;
    if (status.code == STATUS_OK && interval > 0 && t->counts.steps % interval == 0 && !last)
      status = save(t, true);
    if (status.code == STATUS_OK && !last)
      status = interrupted(t);
  }
  progress_end(&t->progress);
  return status;
}

/* Other groups that are named may be missing: one scheme serves models with and without a compression. */
Status phase_suits(const Phase *phase, const ModelConfig *config) {
  return phase_groups(phase) >> GROUP_LORA & 1 && config->lora_rank == 0
             ? status_error(STATUS_INPUT,
                            "phase %s moves lora, but the model has no low-rank updates (`seesaw train --lora-rank R` "
                            "adds them)",
                            phase->name)
             : status_ok();
}

static Status prepare(Trainer *t) {
  const TrainPlan *plan = t->plan;
  unsigned groups = phase_groups(t->phase);
  char moved[GROUPS_ROOM];
  REQUIRE(!plan->features || !(groups >> GROUP_VISION & 1), "a vision tower is not trained from kept features");
  t->samples = phase_samples(t->phase, plan->feed->count);
  t->steps = phase_steps(t->phase, plan->feed->count);
  if (plan->feed->count == 0 || t->samples == 0)
    return status_error(STATUS_INPUT, "phase %s: the data '%s' have no conversation to learn from", t->phase->name,
                        t->phase->data);
  TRY(phase_suits(t->phase, &t->store->model->config));
  TRY(identity_of(plan, &t->identity));
  TRY(store_train(t->store, groups));
  TRY(optimiser_alloc(&t->optimiser, t->store));
  if (t->optimiser.count == 0)
    return status_error(STATUS_INPUT, "phase %s moves %s, which this model does not have", t->phase->name,
                        groups_print(groups, moved));
  TRY(order_open(&t->order, plan->seed, plan->feed->count));
  TRY(batcher_open(&t->batcher, &t->ops, plan->feed, plan->features, t->phase->batch));
  TRY(slime_tape_alloc(&t->tape, &t->store->model->config));
  t->tape.decoder.recomputed = plan->recomputed;
  t->chosen = calloc(t->phase->batch, sizeof *t->chosen);
  if (!t->chosen)
    return status_error(STATUS_MEMORY, "not enough memory for a batch");
  return make_turns(t);
}

static Status train(Trainer *t) {
  TRY(prepare(t));
  if (*t->plan->folder)
    TRY(find_start(t));
  if (!t->report->finished)
    TRY(steps(t));
  return finish(t);
}

static void release(Trainer *t) {
  for (size_t i = 0; i < PHASE_TURNS; i++)
    model_free(&t->turn[i]);
  run_free(&t->run);
  slime_tape_free(&t->tape);
  batcher_close(&t->batcher);
  order_close(&t->order);
  optimiser_free(&t->optimiser);
  log_close(&t->log);
  free(t->chosen);
  free(t->identity);
  free(t->path);
  free(t->final);
}

Status train_phase(const TrainPlan *plan, TrainReport *report) {
  Trainer t = {.plan = plan, .phase = plan->phase, .report = report, .store = plan->store, .ops = *plan->store->ops};
  t.ops.operations = &t.counts.operations;
  *report = (TrainReport){0};
  Status status = train(&t);
  report->counts = t.counts;
  report->steps = t.steps;
  release(&t);
  return status;
}
