/* test_trainer.c: phases of training on the tiny model: what they leave, that they go on where they stopped, and how
 * they fail. */
#include "trainer.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "c.h"
#include "feeds.h"
#include "files.h"
#include "safetensors.h"
#include "sanitized.h"
#include "scratch.h"

TestSuite(trainer, .init = scratch_make, .fini = scratch_remove);

typedef struct World {
  Ops ops;
  Model model;
  Store store;
  SmallFeed feed;
  Phase phase;
  TrainPlan plan;
  TrainReport report;
} World;

static void begin_world(World *w, const ModelConfig *config, Dtype real, int threads) {
  *w = (World){0};
  assert_ok(c_open(&w->ops, real, threads));
  assert_ok(model_alloc(&w->model, config));
  assert_ok(store_random(&w->store, &w->ops, &w->model, 0.1, 5));
  small_feed(&w->feed, 13, 3);
  w->phase = phase_default("stage1");
  strcpy(w->phase.data, "small");
  w->phase.samples = 40;
  w->phase.batch = 5;
  w->plan = (TrainPlan){
      .store = &w->store, .phase = &w->phase, .feed = &w->feed.feed, .seed = 7, .folder = "", .quiet = true};
}

static void begin_tiny(World *w, int threads) {
  ModelConfig config;
  assert_ok(config_preset("tiny", &config));
  begin_world(w, &config, DTYPE_F32, threads);
}

static void end_world(World *w) {
  store_free(&w->store);
  model_free(&w->model);
  c_close(&w->ops);
}

static void moves(World *w, unsigned groups, Views views, double rate) {
  w->phase.turn[0] = (PhaseTurn){.groups = groups, .views = views};
  for (int group = 0; group < GROUP_COUNT; group++)
    w->phase.rate[group] = groups >> group & 1 ? rate : 0.0;
}

/* All values, one after the other, as doubles. */
typedef struct Values {
  double *numbers;
  size_t count;
  int group; /* of the numbers that are wanted; -1: of all */
} Values;

static void gather_values(void *context, const Entry *entry) {
  Values *values = context;
  Tensor w = entry->parameter->w;
  if (values->group >= 0 && (int)entry->group != values->group)
    return;
  values->numbers = realloc(values->numbers, (values->count + tensor_count(w)) * sizeof(double));
  for (size_t i = 0; i < tensor_count(w); i++)
    values->numbers[values->count++] = tensor_get(w, i);
}

static Values values_of(World *w, int group) {
  Values values = {.group = group};
  model_walk(&w->model, gather_values, &values);
  return values;
}

/* ---- what moves ---- */

Test(trainer, frozen_groups_keep_their_bytes_and_the_others_move) {
  static const unsigned groups[] = {1 << GROUP_MLP | 1 << GROUP_GATE, 1 << GROUP_COMPRESSION, 1 << GROUP_DECODER,
                                    1 << GROUP_VISION, 1 << GROUP_FORMER};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    World w;
    begin_tiny(&w, 1);
    moves(&w, groups[i], VIEWS_BOTH, 1e-2);
    Values before[GROUP_COUNT];
    for (int group = 0; group < GROUP_COUNT; group++)
      before[group] = values_of(&w, group);
    assert_ok(train_phase(&w.plan, &w.report));
    cr_expect_eq(w.report.counts.steps, 8);
    cr_expect_eq(w.report.counts.samples, 40);
    cr_expect_eq(w.report.counts.trained, 80);
    cr_expect_gt(w.report.counts.operations, 1e6);
    for (int group = 0; group < GROUP_COUNT; group++) {
      Values after = values_of(&w, group);
      bool same = after.count == 0 || memcmp(before[group].numbers, after.numbers, after.count * sizeof(double)) == 0;
      cr_expect_eq(same, after.count == 0 || !(groups[i] >> group & 1), "%s", group_name((Group)group));
      free(after.numbers);
      free(before[group].numbers);
    }
    end_world(&w);
  }
}

Test(trainer, learns_a_handful_of_samples_by_heart) {
  World w;
  begin_tiny(&w, 1);
  w.feed.feed.count = 6;
  w.phase.samples = 600;
  w.phase.batch = 6;
  moves(&w, 1 << GROUP_DECODER | 1 << GROUP_MLP | 1 << GROUP_COMPRESSION, VIEWS_BOTH, 1e-2);
  assert_ok(train_phase(&w.plan, &w.report));
  cr_expect_lt(w.report.counts.loss, 0.02, "%g", w.report.counts.loss);
  end_world(&w);
}

/* ---- turns ---- */

/* What a probe has seen, step by step. */
typedef struct Seen {
  size_t steps;
  struct {
    double loss, rate[GROUP_COUNT], gradient[GROUP_COUNT], update[GROUP_COUNT];
    size_t globals, tiles;
    uint64_t moved[GROUP_COUNT];
  } step[64];
  uint64_t stop; /* end after this step; 0: never */
} Seen;

static Status look(void *context, const TrainStep *step) {
  Seen *seen = context;
  cr_assert_lt(seen->steps, 64);
  memcpy(seen->step[seen->steps].rate, step->rate, sizeof step->rate);
  memcpy(seen->step[seen->steps].gradient, step->norms.gradient, sizeof step->rate);
  memcpy(seen->step[seen->steps].update, step->norms.update, sizeof step->rate);
  memcpy(seen->step[seen->steps].moved, step->optimiser->steps, sizeof step->optimiser->steps);
  seen->step[seen->steps].loss = step->loss;
  seen->step[seen->steps].globals = step->tape->globals;
  seen->step[seen->steps++].tiles = step->tape->tiles;
  return step->step == seen->stop ? status_error(STATUS_UNAVAILABLE, "that will do") : status_ok();
}

static void watch(World *w, Seen *seen) {
  *seen = (Seen){0};
  w->plan.probe = look;
  w->plan.context = seen;
}

enum { ADAPTER = 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER };

/* The scheme's key global: of the mixture only the branch that the phase names is used, and the gate is idle. */
Test(trainer, a_phase_may_use_one_branch_of_the_mixture) {
  static const Bridge ways[] = {BRIDGE_MLP, BRIDGE_FORMER, BRIDGE_COUNT};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    World w;
    Seen seen;
    begin_tiny(&w, 1);
    cr_assert_eq(w.model.config.global, BRIDGE_MIXTURE);
    watch(&w, &seen);
    w.plan.measure = true;
    moves(&w, ADAPTER, VIEWS_GLOBAL, 1e-3);
    w.phase.global = ways[i];
    assert_ok(train_phase(&w.plan, &w.report));
    bool mixture = ways[i] == BRIDGE_COUNT;
    cr_expect_gt(seen.step[0].gradient[GROUP_MLP], 0.0, "the former's tokens go through it, too");
    cr_expect_eq(seen.step[0].gradient[GROUP_FORMER] > 0.0, ways[i] != BRIDGE_MLP);
    cr_expect_eq(seen.step[0].gradient[GROUP_GATE] > 0.0, mixture);
    cr_expect_eq(w.model.config.global, BRIDGE_MIXTURE, "the model stays what it was");
    end_world(&w);
  }
}

Test(trainer, turns_move_one_after_the_other) {
  World w;
  Seen seen;
  begin_tiny(&w, 1);
  watch(&w, &seen);
  w.plan.measure = true;
  w.phase.turns = 2;
  w.phase.period = 3;
  w.phase.turn[0] = (PhaseTurn){.groups = ADAPTER, .views = VIEWS_GLOBAL};
  w.phase.turn[1] = (PhaseTurn){.groups = 1 << GROUP_COMPRESSION, .views = VIEWS_LOCAL};
  assert_ok(train_phase(&w.plan, &w.report));
  cr_assert_eq(seen.steps, 8);
  for (size_t i = 0; i < 8; i++) {
    bool first = i / 3 % 2 == 0;
    cr_expect_eq(seen.step[i].globals > 0, first);
    cr_expect_eq(seen.step[i].tiles > 0, !first);
    cr_expect_eq(seen.step[i].gradient[GROUP_MLP] > 0, first, "step %zu", i);
    cr_expect_eq(seen.step[i].update[GROUP_MLP] > 0, first);
    cr_expect_eq(seen.step[i].gradient[GROUP_COMPRESSION] > 0, !first);
    cr_expect_eq(seen.step[i].rate[GROUP_COMPRESSION] > 0, !first);
  }
  cr_expect_eq(seen.step[7].moved[GROUP_MLP], 5);
  cr_expect_eq(seen.step[7].moved[GROUP_COMPRESSION], 3);
  end_world(&w);
}

/* Where lambda is one or zero a single block moves. */
Test(trainer, the_soft_constraint_moves_both) {
  World w;
  Seen seen;
  begin_tiny(&w, 1);
  watch(&w, &seen);
  w.phase.turns = 2;
  w.phase.soft = 4;
  w.phase.turn[0] = (PhaseTurn){.groups = ADAPTER, .views = VIEWS_GLOBAL};
  w.phase.turn[1] = (PhaseTurn){.groups = 1 << GROUP_COMPRESSION, .views = VIEWS_LOCAL};
  assert_ok(train_phase(&w.plan, &w.report));
  for (size_t i = 0; i < 8; i++) {
    cr_expect(seen.step[i].globals > 0 && seen.step[i].tiles > 0);
    cr_expect_eq(seen.step[i].gradient[GROUP_MLP] > 0, i % 4 != 2);
    cr_expect_eq(seen.step[i].gradient[GROUP_COMPRESSION] > 0, i % 4 != 0);
  }
  end_world(&w);
}

Test(trainer, mixed_views_come_in_all_three_kinds) {
  World w;
  Seen seen, again;
  size_t kinds[4] = {0};
  begin_tiny(&w, 1);
  watch(&w, &seen);
  w.phase.samples = 240;
  w.phase.turn[0].mixed = true;
  assert_ok(train_phase(&w.plan, &w.report));
  const uint64_t *moved = seen.step[47].moved;
  for (size_t i = 0; i < seen.steps; i++)
    kinds[(seen.step[i].globals > 0 ? VIEWS_GLOBAL : 0) | (seen.step[i].tiles > 0 ? VIEWS_LOCAL : 0)]++;
  cr_expect(kinds[VIEWS_NONE] == 0, "no step is without views");
  for (int kind = 1; kind < 4; kind++)
    cr_expect(kinds[kind] >= 6, "%zu of 48 of kind %d", kinds[kind], kind);
  cr_expect_eq(moved[GROUP_MLP], 48);
  cr_expect_eq(moved[GROUP_FORMER], 48 - kinds[VIEWS_LOCAL], "what is not shown does not move");
  cr_expect_eq(moved[GROUP_COMPRESSION], 48 - kinds[VIEWS_GLOBAL]);
  end_world(&w);
  begin_tiny(&w, 1);
  watch(&w, &again);
  w.phase.samples = 240;
  w.phase.turn[0].mixed = true;
  assert_ok(train_phase(&w.plan, &w.report));
  cr_expect_eq(memcmp(&seen, &again, sizeof seen), 0);
  end_world(&w);
}

/* ---- accumulation ---- */

/* In double, without noise: steps of 3 passes of 4 are steps of 12, also where the last one is smaller. */
Test(trainer, accumulation_is_one_large_batch) {
  World one, many;
  ModelConfig config;
  assert_ok(config_preset("tiny", &config));
  config.global = BRIDGE_FORMER;
  config.switches.gamma = 1.0;
  begin_world(&one, &config, DTYPE_F64, 1);
  begin_world(&many, &config, DTYPE_F64, 1);
  World *const worlds[] = {&one, &many};
  for (int i = 0; i < 2; i++) {
    moves(worlds[i], 1 << GROUP_MLP | 1 << GROUP_COMPRESSION | 1 << GROUP_DECODER, VIEWS_BOTH, 1e-3);
    worlds[i]->phase.samples = 41;
    worlds[i]->phase.batch = i ? 4 : 12;
    worlds[i]->phase.accumulate = i ? 3 : 1;
    worlds[i]->phase.epsilon = 1e-4; /* where a gradient is zero but for rounding its sign is not */
    assert_ok(train_phase(&worlds[i]->plan, &worlds[i]->report));
  }
  Values a = values_of(&one, -1), b = values_of(&many, -1);
  cr_expect_eq(one.report.counts.steps, 4);
  cr_expect_eq(many.report.counts.steps, 4);
  expect_within(difference(a.numbers, b.numbers, a.count), 1e-9, "values");
  expect_within(relative(one.report.counts.loss, many.report.counts.loss), 1e-9, "loss");
  free(a.numbers);
  free(b.numbers);
  end_world(&one);
  end_world(&many);
}

/* ---- files, and going on ---- */

typedef struct Bytes {
  unsigned char *bytes;
  size_t size;
} Bytes;

static Bytes bytes_of(const char *name) {
  Bytes b;
  Status status = file_read(scratch_path(name), 1 << 26, &b.bytes, &b.size);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  return b;
}

static void expect_same_bytes(Bytes a, const char *name, const char *when) {
  Bytes b = bytes_of(name);
  cr_expect(a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0, "%s differs %s", name, when);
  free(b.bytes);
}

static void begin_phase(World *w, int threads, Seen *seen) {
  begin_tiny(w, threads);
  watch(w, seen);
  w->plan.folder = scratch_folder;
  w->plan.interval = 3;
  moves(w, ADAPTER | 1 << GROUP_COMPRESSION, VIEWS_BOTH, 6e-3);
}

/* working: the type of the working copies; DTYPE_COUNT: there are none. */
static Status run_narrow(Dtype working, int threads, uint64_t stop, bool resume, TrainReport *report) {
  World w;
  Seen seen;
  begin_phase(&w, threads, &seen);
  if (working != DTYPE_COUNT)
    assert_ok(store_narrow(&w.store, working));
  seen.stop = stop;
  w.plan.resume = resume;
  Status status = train_phase(&w.plan, &w.report);
  *report = w.report;
  end_world(&w);
  return status;
}

static Status run_until(int threads, uint64_t stop, bool resume, TrainReport *report) {
  return run_narrow(DTYPE_COUNT, threads, stop, resume, report);
}

Test(trainer, goes_on_after_any_step_to_the_same_bytes) {
  TrainReport whole, report;
  assert_ok(run_until(1, 0, false, &whole));
  cr_expect_eq(scratch_count(), 2, "stage1.safetensors, log.csv");
  Bytes final = bytes_of("stage1.safetensors"), log = bytes_of("log.csv");
  cr_expect_eq(whole.resumed, 0);
  static const struct {
    uint64_t stop;
    int threads, then;
  } cases[] = {{1, 1, 1}, {2, 1, 1}, {3, 1, 1}, {4, 1, 1}, {5, 1, 1}, {6, 1, 1}, {7, 1, 1}, {4, 2, 3}, {7, 3, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char when[64];
    uint64_t stop = cases[i].stop;
    snprintf(when, sizeof when, "stopped at %d with %d threads", (int)stop, cases[i].threads);
    expect_refused(run_until(cases[i].threads, stop, false, &report), STATUS_UNAVAILABLE, "that will do");
    cr_expect_eq(access(scratch_path("stage1.safetensors"), F_OK), -1);
    assert_ok(run_until(cases[i].then, 0, true, &report));
    cr_expect_eq(report.resumed, (stop - 1) / 3 * 3, "%s: %d", when, (int)report.resumed);
    expect_same_bytes(final, "stage1.safetensors", when);
    expect_same_bytes(log, "log.csv", when);
    cr_expect_eq(memcmp(&report.digest, &whole.digest, sizeof report.digest), 0);
    cr_expect_eq(report.counts.trained, whole.counts.trained);
    cr_expect_eq(report.counts.operations, whole.counts.operations);
    cr_expect_eq(scratch_count(), 2);
  }
  free(final.bytes);
  free(log.bytes);
}

/* Twice, and at the same place. */
Test(trainer, goes_on_again_and_again) {
  TrainReport whole, report;
  assert_ok(run_until(1, 0, false, &whole));
  Bytes final = bytes_of("stage1.safetensors"), log = bytes_of("log.csv");
  static const uint64_t stops[] = {2, 4, 4, 5, 7};
  for (size_t i = 0; i < 5; i++)
    expect_refused(run_until(1, stops[i], i > 0, &report), STATUS_UNAVAILABLE, "that will do");
  assert_ok(run_until(1, 0, true, &report));
  expect_same_bytes(final, "stage1.safetensors", "after five stops");
  expect_same_bytes(log, "log.csv", "after five stops");
  free(final.bytes);
  free(log.bytes);
}

/* ---- working copies ---- */

Test(working_copies, go_on_after_a_stop_to_the_same_bytes, .init = scratch_make, .fini = scratch_remove) {
  static const Dtype types[] = {DTYPE_BF16, DTYPE_F16};
  for (size_t k = 0; k < (SANITIZED ? 1 : 2); k++) {
    TrainReport whole, report;
    assert_ok(run_narrow(types[k], 1, 0, false, &whole));
    Bytes final = bytes_of("stage1.safetensors"), log = bytes_of("log.csv");
    static const uint64_t stops[] = {4, 2, 7};
    for (size_t i = 0; i < (SANITIZED ? 1 : 3); i++) {
      expect_refused(run_narrow(types[k], 1, stops[i], false, &report), STATUS_UNAVAILABLE, "that will do");
      assert_ok(run_narrow(types[k], 2, 0, true, &report));
      expect_same_bytes(final, "stage1.safetensors", dtype_name(types[k]));
      expect_same_bytes(log, "log.csv", dtype_name(types[k]));
    }
    expect_refused(run_until(1, 0, true, &report), STATUS_INPUT, "is of another run");
    free(final.bytes);
    free(log.bytes);
  }
}

/* Of the values in stage1.safetensors; their names are in order. */
static Values kept_values(void) {
  TensorFile file;
  Values values = {0};
  assert_ok(safetensors_open(&file, scratch_path("stage1.safetensors")));
  for (size_t i = 0; i < file.count; i++) {
    cr_expect_eq(file.tensors[i].tensor.dtype, DTYPE_F32, "%s", file.tensors[i].name);
    Parameter parameter = {.w = file.tensors[i].tensor};
    values.group = -1;
    gather_values(&values, &(Entry){.parameter = &parameter});
  }
  tensor_file_close(&file);
  return values;
}

/* Values after so many steps, from the same start, which BF16 holds exactly; 0: that start. */
static Values trained_values(Dtype working, size_t steps) {
  World w;
  Seen seen;
  begin_phase(&w, 1, &seen);
  assert_ok(store_narrow(&w.store, DTYPE_BF16));
  assert_ok(store_narrow(&w.store, working));
  w.phase.samples = 5 * (steps > 0 ? steps : 1);
  w.phase.epsilon = 1e-4; /* where a gradient is zero but for rounding its sign is not */
  if (steps == 0)
    moves(&w, ADAPTER | 1 << GROUP_COMPRESSION, VIEWS_BOTH, 0.0);
  assert_ok(train_phase(&w.plan, &w.report));
  end_world(&w);
  return kept_values();
}

/* The distance between the ends, as a part of the way from the start. */
static double apart(Values start, Values one, Values other) {
  double apart = 0.0, gone = 0.0;
  for (size_t i = 0; i < start.count; i++) {
    apart += pow(one.numbers[i] - other.numbers[i], 2.0);
    gone += pow(one.numbers[i] - start.numbers[i], 2.0);
  }
  return sqrt(apart / gone);
}

/* The first gradient is that of the same numbers, multiplied in another order at most; so is the first step of the
 * masters that of the values in plain training. Later the loss is seen through rounded values. */
Test(working_copies, change_training_by_their_rounding_alone, .init = scratch_make, .fini = scratch_remove) {
  Values plain[3], narrow[3];
  static const size_t steps[3] = {0, 1, 8};
  for (int i = 0; i < 3; i++) {
    plain[i] = trained_values(DTYPE_F32, steps[i]);
    narrow[i] = trained_values(DTYPE_BF16, steps[i]);
  }
  cr_expect_eq(memcmp(plain[0].numbers, narrow[0].numbers, plain[0].count * sizeof(double)), 0, "the start");
  double first = apart(plain[0], plain[1], narrow[1]), last = apart(plain[0], plain[2], narrow[2]);
  expect_within(first, 1e-5, "after one step");
  expect_within(last, 0x1p-5, "after eight");
  cr_expect_gt(last, first);
  for (int i = 0; i < 3; i++) {
    free(plain[i].numbers);
    free(narrow[i].numbers);
  }
}

Test(trainer, a_finished_phase_is_taken_as_it_is) {
  TrainReport whole;
  assert_ok(run_until(1, 0, false, &whole));
  World w;
  Seen seen;
  begin_phase(&w, 1, &seen);
  w.plan.resume = true;
  assert_ok(train_phase(&w.plan, &w.report));
  cr_expect(w.report.finished && seen.steps == 0 && w.report.counts.steps == 8);
  cr_expect_eq(memcmp(&w.report.digest, &whole.digest, sizeof whole.digest), 0);
  cr_expect_eq(w.report.counts.loss, whole.counts.loss);
  Values taken = values_of(&w, -1);
  end_world(&w);
  begin_phase(&w, 1, &seen);
  w.plan.folder = "";
  assert_ok(train_phase(&w.plan, &w.report));
  Values trained = values_of(&w, -1);
  cr_expect_eq(difference(taken.numbers, trained.numbers, taken.count), 0.0);
  cr_expect_eq(memcmp(&w.report.digest, &whole.digest, sizeof whole.digest), 0, "without files too");
  free(taken.numbers);
  free(trained.numbers);
  end_world(&w);
}

/* Names and layout of the file are those of checkpoints. */
Test(trainer, leaves_the_trained_groups_under_their_names) {
  TrainReport report;
  TensorFile file;
  World w;
  Seen seen;
  begin_phase(&w, 1, &seen);
  assert_ok(train_phase(&w.plan, &report));
  assert_ok(safetensors_open(&file, scratch_path("stage1.safetensors")));
  const NamedTensor *gate = tensor_file_find(&file, "model.mm_projector.w_gate");
  cr_assert_not_null(gate);
  cr_expect(gate->tensor.size[0] == 32 && gate->tensor.size[1] == 2);
  for (size_t i = 0; i < 32; i++)
    for (size_t j = 0; j < 2; j++)
      cr_expect_eq(tensor_get(gate->tensor, i * 2 + j), tensor_get(w.model.adapter.gate.w, j * 32 + i));
  cr_expect_not_null(tensor_file_find(&file, "model.sampler.post_qformer.query"));
  cr_expect_null(tensor_file_find(&file, "model.embed_tokens.weight"));
  cr_expect_str_eq(tensor_file_metadata(&file, "format"), "pt");
  cr_expect_str_eq(tensor_file_metadata(&file, "steps"), "8");
  cr_expect_null(tensor_file_metadata(&file, "seconds"));
  tensor_file_close(&file);
  end_world(&w);
}

Test(trainer, phases_share_a_log) {
  char text[4096];
  World w;
  Seen seen;
  begin_phase(&w, 1, &seen);
  assert_ok(train_phase(&w.plan, &w.report));
  strcpy(w.phase.name, "stage2");
  assert_ok(train_phase(&w.plan, &w.report));
  scratch_read(scratch_path("log.csv"), text, sizeof text);
  cr_expect_eq(strncmp(text, "phase,step,samples,loss,rate,norm\nstage1,1,5,", 45), 0, "%s", text);
  expect_contains(text, "\nstage1,8,40,");
  expect_contains(text, "\nstage2,1,5,");
  expect_contains(text, "\nstage2,8,40,");
  strcpy(w.phase.name, "stage1");
  assert_ok(train_phase(&w.plan, &w.report));
  scratch_read(scratch_path("log.csv"), text, sizeof text);
  cr_expect_null(strstr(text, "stage2"), "what comes after the phase is dropped with it");
  scratch_text("log.csv", "a,b\n");
  expect_refused(train_phase(&w.plan, &w.report), STATUS_INPUT, "log.csv is no log of training");
  end_world(&w);
}

/* ---- files of another run, and damaged ones ---- */

static void stopped_half_way(void) {
  TrainReport report;
  expect_refused(run_until(1, 5, false, &report), STATUS_UNAVAILABLE, "that will do");
}

Test(trainer, refuses_the_checkpoint_of_another_run) {
  static const char *const parts[] = {
      "it has 'rate.compression = 0.006', this run 'rate.compression = 0.005'",
      "it has 'seed = 7', this run 'seed = 8'",
      "it has '(nothing else)', this run 'gamma = 0.5'",
      "it has 'conversations = 13', this run 'conversations = 12'",
      "it has 'start = ",
      "it has 'turns = gate mlp former compression:both', this run 'turns = gate mlp former compression:local'"};
  stopped_half_way();
  Bytes before = bytes_of("stage1.checkpoint.safetensors");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    World w;
    Seen seen;
    begin_phase(&w, 1, &seen);
    w.plan.resume = true;
    if (i == 0)
      moves(&w, ADAPTER | 1 << GROUP_COMPRESSION, VIEWS_BOTH, 5e-3);
    w.plan.seed += i == 1;
    w.phase.gamma = i == 2 ? 0.5 : -1.0;
    w.feed.feed.count -= i == 3;
    if (i == 4)
      *(float *)w.model.decoder.embedding.w.data += 1.0F;
    if (i == 5)
      w.phase.turn[0].views = VIEWS_LOCAL;
    expect_refused(train_phase(&w.plan, &w.report), STATUS_INPUT, parts[i]);
    end_world(&w);
  }
  expect_same_bytes(before, "stage1.checkpoint.safetensors", "after refusals");
  free(before.bytes);
}

Test(trainer, refuses_a_damaged_checkpoint) {
  TrainReport report;
  stopped_half_way();
  Bytes good = bytes_of("stage1.checkpoint.safetensors");
  good.bytes[good.size - 3] ^= 1;
  scratch_write("stage1.checkpoint.safetensors", good.bytes, good.size);
  expect_refused(run_until(1, 0, true, &report), STATUS_INPUT, "is damaged: the digest of its tensors is");
  good.bytes[good.size - 3] ^= 1;
  char *samples = memmem(good.bytes, good.size, "\"samples\":\"15\"", 14);
  cr_assert_not_null(samples);
  samples[12] = '6';
  scratch_write("stage1.checkpoint.safetensors", good.bytes, good.size);
  expect_refused(run_until(1, 0, true, &report), STATUS_INPUT, "is damaged: the digest of its metadata is");
  scratch_write("stage1.checkpoint.safetensors", good.bytes, good.size - 1);
  expect_refused(run_until(1, 0, true, &report), STATUS_INPUT, "stage1.checkpoint.safetensors");
  scratch_write("stage1.checkpoint.safetensors", good.bytes, 100);
  expect_refused(run_until(1, 0, true, &report), STATUS_INPUT, "stage1.checkpoint.safetensors");
  NamedTensor one = named_tensor("x", tensor_1(good.bytes, DTYPE_U8, 1));
  assert_ok(safetensors_write(scratch_path("stage1.checkpoint.safetensors"), &one, 1, NULL, 0, NULL));
  expect_refused(run_until(1, 0, true, &report), STATUS_INPUT, "is no checkpoint of training: it has no 'identity'");
  free(good.bytes);
}

/* ---- a full disk ---- */

static void limit_file_size(rlim_t bytes) {
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(trainer, a_full_disk_keeps_the_last_checkpoint) {
  TrainReport whole, report;
  assert_ok(run_until(1, 0, false, &whole));
  Bytes final = bytes_of("stage1.safetensors");
  stopped_half_way();
  Bytes before = bytes_of("stage1.checkpoint.safetensors");
  limit_file_size((rlim_t)before.size - 4096);
  Status status = run_until(1, 0, true, &report);
  limit_file_size(RLIM_INFINITY);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "stage1.checkpoint.safetensors");
  expect_same_bytes(before, "stage1.checkpoint.safetensors", "after a full disk");
  limit_file_size(100); /* the log */
  status = run_until(1, 0, true, &report);
  limit_file_size(RLIM_INFINITY);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "log.csv");
  assert_ok(run_until(1, 0, true, &report));
  expect_same_bytes(final, "stage1.safetensors", "after a full disk");
  free(before.bytes);
  free(final.bytes);
}

Test(trainer, a_folder_that_is_not_there) {
  World w;
  begin_tiny(&w, 1);
  w.plan.folder = "/nowhere/at/all";
  expect_refused(train_phase(&w.plan, &w.report), STATUS_OUTPUT, "/nowhere/at/all");
  end_world(&w);
}

/* ---- numbers that are not finite ---- */

static Status poison(void *context, const TrainStep *step) {
  World *w = context;
  if (step->step == 5)
    ((float *)w->model.compression.out.w.w.data)[3] = NAN;
  return status_ok();
}

Test(trainer, stops_with_the_step_the_group_and_the_last_good_checkpoint) {
  World w;
  Seen seen;
  begin_phase(&w, 1, &seen);
  w.plan.probe = poison;
  w.plan.context = &w;
  Status status = train_phase(&w.plan, &w.report);
  cr_expect_eq(status.code, STATUS_NUMERICS);
  expect_contains(status.message,
                  "phase stage1: the loss in step 6 is nan: group compression holds numbers that are not "
                  "finite, in model.sampler.post_qformer.attn.out_proj.weight");
  expect_contains(status.message, "/stage1.checkpoint.safetensors, of step 3");
  cr_expect_eq(access(scratch_path("stage1.safetensors"), F_OK), -1);
  end_world(&w);
  TrainReport report; /* and from there it goes on */
  assert_ok(run_until(1, 0, true, &report));
  cr_expect_eq(report.resumed, 3);
}

Test(trainer, never_keeps_values_that_are_not_finite) {
  World w;
  Seen seen;
  begin_phase(&w, 1, &seen);
  w.plan.interval = 5;
  w.plan.probe = poison;
  w.plan.context = &w;
  expect_refused(train_phase(&w.plan, &w.report), STATUS_NUMERICS,
                 "after step 5 group compression holds numbers that are not finite");
  cr_expect_eq(access(scratch_path("stage1.checkpoint.safetensors"), F_OK), -1);
  end_world(&w);
}

/* A gradient that overflows while the loss does not. */
static const OpsTable *right_table;

static void overflow(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Activation kind, Write write) {
  right_table->activation_bwd(ops, dx, dy, x, kind, write);
  *(float *)dx.data = INFINITY;
}

Test(trainer, names_the_group_of_a_gradient_that_is_not_finite) {
  World w;
  begin_tiny(&w, 1);
  OpsTable table = *w.ops.table;
  right_table = w.ops.table;
  table.activation_bwd = overflow;
  w.ops.table = &table;
  moves(&w, 1 << GROUP_MLP | 1 << GROUP_DECODER, VIEWS_GLOBAL, 1e-3);
  Status status = train_phase(&w.plan, &w.report);
  cr_expect_eq(status.code, STATUS_NUMERICS);
  expect_contains(status.message, "the gradient of mlp in step 1 is");
  expect_contains(status.message, "all weights are finite");
  expect_contains(status.message, "there is no checkpoint");
  w.ops.table = right_table;
  end_world(&w);
}

/* ---- samples that teach nothing, and long ones ---- */

Test(trainer, a_sample_without_labels_is_an_error) {
  World w;
  begin_tiny(&w, 1);
  w.feed.empty = 3;
  expect_refused(train_phase(&w.plan, &w.report), STATUS_INPUT, "conversation 3 has nothing to learn");
  end_world(&w);
}

Test(trainer, counts_samples_that_are_cut_off) {
  World w;
  Seen seen;
  begin_tiny(&w, 1);
  watch(&w, &seen);
  moves(&w, 1 << GROUP_MLP, VIEWS_GLOBAL, 1e-3);
  w.feed.plain = 0;
  w.phase.samples = 13;
  assert_ok(train_phase(&w.plan, &w.report));
  cr_expect_eq(w.report.counts.cut, 0);
  cr_expect_eq(w.report.counts.image_tokens, 13 * 16);
  /* each has 1 + 16 + 2 to 7 + 2 rows, and a separator if tiles are shown, which is not so here */
  size_t cut = 0, lost = 0;
  for (size_t i = 0; i < 13; i++) {
    Example example = {0};
    assert_ok(small_example(&w.feed, i, &example));
    size_t rows = example.text.ids.count - 1 + 16;
    cut += rows > 22;
    lost += rows > 22 ? (rows > 23 ? 2 : 1) : 0;
    example_free(&example);
  }
  cr_assert(cut > 1 && cut < 13);
  w.phase.longest = 22;
  assert_ok(train_phase(&w.plan, &w.report));
  cr_expect_eq(w.report.counts.cut, cut);
  cr_expect_eq(w.report.counts.trained, 26 - lost);
  w.phase.longest = 18;
  expect_refused(train_phase(&w.plan, &w.report), STATUS_INPUT,
                 "step 1 has no token to learn: all answers lie beyond the 18 rows");
  end_world(&w);
}

Test(trainer, a_feed_of_nothing_and_groups_that_are_not_there) {
  World w;
  begin_tiny(&w, 1);
  moves(&w, 1 << GROUP_LORA, VIEWS_BOTH, 1e-3);
  expect_refused(train_phase(&w.plan, &w.report), STATUS_INPUT,
                 "phase stage1 moves lora, but the model has no low-rank updates");
  w.feed.feed.count = 0;
  expect_refused(train_phase(&w.plan, &w.report), STATUS_INPUT, "the data 'small' have no conversation");
  end_world(&w);
}

/* ---- kept features ---- */

Test(trainer, learns_from_kept_features_much_the_same) {
  World seen, kept;
  Features *features;
  begin_tiny(&seen, 1);
  begin_tiny(&kept, 1);
  assert_ok(features_open(&features,
                          &(FeaturesPlan){.store = &kept.store, .feed = &kept.feed.feed, .folder = "", .quiet = true}));
  kept.feed.reading = 0;
  kept.plan.features = features;
  assert_ok(train_phase(&seen.plan, &seen.report));
  assert_ok(train_phase(&kept.plan, &kept.report));
  cr_expect_eq(kept.feed.reading, 0);
  expect_within(relative(kept.report.counts.loss, seen.report.counts.loss), 2e-2, "loss");
  cr_expect_lt(kept.report.counts.operations, seen.report.counts.operations);
  cr_expect_eq(kept.report.counts.image_tokens, seen.report.counts.image_tokens);
  features_close(features);
  end_world(&seen);
  end_world(&kept);
}
