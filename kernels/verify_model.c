/* verify_model.c: three worlds, alike in weights, pictures and tokens. The exact one is the reference's. The rounded
 * one is the reference's, too, but each named tensor is rounded as soon as it is final, as coarsely as the tested
 * backend may err from one named tensor to the next: up to 16 operations lie between them, each with an error of e =
 * sqrt(L) 2^-24 [+ 2^-8] (verify.h, L the longest side of any tensor), and independent errors add like a walk: 4 e. The
 * tested world comes last.
 *
 * Tolerance: that of one operation, 8 e (|ref| + rms), and beside it 8 times what rounding did to the row or, if more,
 * to the tensor: the root mean square of rounded less exact. So what the model makes of errors is measured, not
 * assumed. */
#include "verify_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "optimiser.h"
#include "progress.h"
#include "replay.h"
#include "synthetic.h"

enum { ALL_GROUPS = (1 << GROUP_COUNT) - 1 };

/* A tensor of both reference worlds, under its name. */
typedef struct Noted {
  char name[120];
  size_t count, columns;
  double *exact, *rounded;
} Noted;

typedef struct Trace {
  size_t count, room, next; /* next: to be compared */
  size_t longest;           /* side of a tensor */
  Noted *noted;
  bool full; /* memory is out */
} Trace;

/* A model on a backend. */
typedef struct World {
  Replay replay;
  Model model;
  Store store;
  Synthetic synthetic;
  SlimeTape tape;
  Run run;
  Optimiser optimiser;
} World;

typedef struct Pass {
  World exact, rounded, tested;
  Trace trace;
  ModelVerdict *verdict;
} Pass;

/* ---- the trace ---- */

static void note(void *context, const char *name, Tensor tensor) {
  Pass *pass = context;
  Trace *trace = &pass->trace;
  if (trace->count == trace->room) {
    size_t room = 2 * trace->room + 64;
    Noted *grown = realloc(trace->noted, room * sizeof *grown);
    trace->full = trace->full || !grown;
    if (!grown)
      return;
    trace->noted = grown;
    trace->room = room;
  }
  Noted *noted = &trace->noted[trace->count];
  *noted = (Noted){.count = tensor_count(tensor), .columns = tensor_width(tensor)};
  noted->exact = tensor_numbers(pass->exact.run.ops, tensor);
  trace->full = trace->full || !noted->exact;
  snprintf(noted->name, sizeof noted->name, "%s", name);
  for (int i = 0; i < tensor.rank; i++)
    trace->longest = tensor.size[i] > trace->longest ? tensor.size[i] : trace->longest;
  trace->count += noted->exact != NULL;
}

static void trace_clear(Trace *trace) {
  for (size_t i = 0; i < trace->count; i++) {
    free(trace->noted[i].exact);
    free(trace->noted[i].rounded);
  }
  trace->count = trace->next = 0;
}

static bool narrow(const Pass *pass) {
  return pass->tested.replay.ops.real == DTYPE_BF16;
}

/* The tolerance of one operation. */
static double units_of(const Pass *pass) {
  return tolerance_units(DTYPE_F32, (double)pass->trace.longest, narrow(pass));
}

static double round_to(double x, int bits) {
  int exponent;
  double part = frexp(x, &exponent);
  return ldexp(nearbyint(ldexp(part, bits)), exponent - bits);
}

static double rms_of(const double *numbers, size_t count) {
  double square = 0.0;
  for (size_t i = 0; i < count; i++)
    square += numbers[i] * numbers[i];
  return count > 0 ? sqrt(square / (double)count) : 0.0;
}

static void round_noted(void *context, const char *name, Tensor tensor) {
  Pass *pass = context;
  Trace *trace = &pass->trace;
  int bits = (int)ceil(-log2(4.0 * units_of(pass) / 8.0));
  if (trace->full)
    return;
  REQUIRE(trace->next < trace->count, "%s: only the rounded world has it", name);
  Noted *noted = &trace->noted[trace->next++];
  REQUIRE(strcmp(noted->name, name) == 0, "%s: %s in the rounded world", noted->name, name);
  noted->rounded = tensor_numbers(pass->rounded.run.ops, tensor);
  for (size_t i = 0; noted->rounded && i < noted->count; i++)
    noted->rounded[i] = round_to(noted->rounded[i], bits);
  trace->full = !noted->rounded || tensor_put(pass->rounded.run.ops, tensor, noted->rounded).code != STATUS_OK;
}

/* ---- verdicts ---- */

/* Of numbers in rows: rounded becomes what the tolerance of each is larger by. */
static void allow(double *rounded, const double *exact, size_t count, size_t columns) {
  for (size_t i = 0; i < count; i++)
    rounded[i] -= exact[i];
  double all = rms_of(rounded, count);
  for (size_t i = 0; i < count; i += columns) {
    double allowed = 8.0 * fmax(all, rms_of(rounded + i, columns));
    for (size_t j = i; j < i + columns; j++)
      rounded[j] = allowed;
  }
}

/* What is compared: the worlds' numbers. rounded is used up. */
typedef struct Numbers {
  size_t count, columns;
  const double *exact, *tested;
  double *rounded;
} Numbers;

/* The verdict keeps the first that differs. floor: as in Comparison. */
static void judge(const Pass *pass, Verdict *verdict, const char *name, const Numbers *numbers, double floor) {
  Comparison c = {.count = numbers->count,
                  .columns = numbers->columns,
                  .units = units_of(pass),
                  .floor = floor,
                  .beside = numbers->rounded};
  allow(numbers->rounded, numbers->exact, numbers->count, numbers->columns);
  compare(&c, numbers->tested, numbers->exact);
  verdict->worst = c.worst > verdict->worst ? c.worst : verdict->worst;
  if (c.out > 0 && verdict->good) {
    verdict->good = false;
    comparison_print(&c, name, numbers->tested, numbers->exact, verdict->sentence, sizeof verdict->sentence);
  }
}

static void compare_noted(void *context, const char *name, Tensor tensor) {
  Pass *pass = context;
  Trace *trace = &pass->trace;
  Verdict *verdict = &pass->verdict->pass;
  const Noted *noted = trace->next < trace->count ? &trace->noted[trace->next] : NULL;
  trace->next++;
  if (!verdict->good)
    return;
  if (!noted || strcmp(noted->name, name) != 0 || noted->count != tensor_count(tensor)) {
    verdict->good = false;
    snprintf(verdict->sentence, sizeof verdict->sentence, "%s: the reference has %s there, of %zu numbers", name,
             noted ? noted->name : "nothing", noted ? noted->count : 0);
    return;
  }
  double *is = tensor_numbers(pass->tested.run.ops, tensor);
  Numbers numbers = {noted->count, noted->columns, noted->exact, is, noted->rounded};
  trace->full = trace->full || !is;
  if (is)
    judge(pass, verdict, name, &numbers, 0.0);
  pass->verdict->compared++;
  free(is);
}

/* ---- all worlds alike ---- */

static Status open_world(World *w, const ModelConfig *config, uint64_t seed) {
  const SyntheticPlan plan = {.count = 4, .text = 9, .answer = 3, .columns = 2, .rows = 1, .without = 1, .seed = seed};
  const Ops *ops = &w->replay.ops;
  TRY(model_alloc(&w->model, config));
  TRY(store_random(&w->store, ops, &w->model, 0.15, seed));
  TRY(store_train(&w->store, ALL_GROUPS));
  TRY(synthetic_make(&w->synthetic, ops, config, &plan));
  return slime_tape_alloc(&w->tape, config);
}

static void close_world(World *w) {
  optimiser_free(&w->optimiser);
  run_free(&w->run);
  slime_tape_free(&w->tape);
  synthetic_free(&w->synthetic);
  store_free(&w->store);
  model_free(&w->model);
  replay_close(&w->replay);
}

/* The parameters of a model, in the order of the walk. */
typedef struct Walk {
  size_t count;
  Entry entry[512];
} Walk;

static void list_entry(void *context, const Entry *entry) {
  Walk *walk = context;
  REQUIRE(walk->count < sizeof walk->entry / sizeof *walk->entry, "more parameters than expected");
  walk->entry[walk->count++] = *entry;
}

/* To both reference worlds comes what the tested backend has after rounding. */
static Status put_all(Pass *pass, Tensor tested, Tensor exact, Tensor rounded, const double *numbers) {
  TRY(tensor_put(pass->tested.run.ops, tested, numbers));
  double *stored = tensor_numbers(pass->tested.run.ops, tested);
  if (!stored)
    return status_error(STATUS_MEMORY, "not enough memory for %zu numbers", tensor_count(tested));
  Status status = tensor_put(pass->exact.run.ops, exact, stored);
  if (status.code == STATUS_OK)
    status = tensor_put(pass->rounded.run.ops, rounded, stored);
  free(stored);
  return status;
}

/* Random everywhere: also what starts as zeros or ones. */
static Status draw_parameters(Pass *pass, uint64_t seed) {
  Walk *walk = calloc(3, sizeof *walk);
  Status status = walk ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the list of parameters");
  if (walk) {
    model_walk(&pass->tested.model, list_entry, &walk[0]);
    model_walk(&pass->exact.model, list_entry, &walk[1]);
    model_walk(&pass->rounded.model, list_entry, &walk[2]);
  }
  for (size_t i = 0; walk && i < walk[0].count && status.code == STATUS_OK; i++) {
    Tensor w = walk[0].entry[i].parameter->w;
    double *numbers = tensor_numbers(pass->tested.run.ops, w);
    for (size_t k = 0; numbers && k < tensor_count(w) && !walk[0].entry[i].fixed; k++)
      numbers[k] += 0.1 * rng_normal(rng_make(seed, RNG_TEST, (uint32_t)i), k);
    status = numbers ? put_all(pass, w, walk[1].entry[i].parameter->w, walk[2].entry[i].parameter->w, numbers)
                     : status_error(STATUS_MEMORY, "not enough memory for the parameters");
    free(numbers);
  }
  free(walk);
  return status;
}

static Status make_alike(Pass *pass, uint64_t seed) {
  World *worlds[] = {&pass->exact, &pass->rounded, &pass->tested};
  Tensor pictures = pass->tested.synthetic.batch.pictures;
  for (size_t i = 0; i < 3; i++)
    worlds[i]->run.ops = &worlds[i]->replay.ops;
  TRY(draw_parameters(pass, seed));
  for (size_t i = 0; i < 3; i++)
    TRY(store_prepare(&worlds[i]->store));
  double *numbers = tensor_numbers(pass->tested.run.ops, pictures);
  if (!numbers)
    return status_error(STATUS_MEMORY, "not enough memory for the pictures");
  Status status =
      put_all(pass, pictures, pass->exact.synthetic.batch.pictures, pass->rounded.synthetic.batch.pictures, numbers);
  free(numbers);
  return status;
}

/* ---- a pass ---- */

static Status run_world(World *w, uint64_t seed, uint32_t step, double *loss) {
  size_t trained;
  w->run.training = true;
  w->run.seed = seed;
  w->run.step = step;
  replay_begin(&w->replay);
  TRY(slime_room(&w->run, &w->replay.ops, &w->model, &w->synthetic.batch, &w->tape, true));
  *loss = slime_forward(&w->run, &w->model, &w->synthetic.batch, &w->tape, &trained);
  store_zero(&w->store);
  slime_backward(&w->run, &w->model, &w->tape, 0);
  return ops_status(&w->replay.ops);
}

/* Of rounded less exact, for their size. */
static double rms_of_rounding(const Noted *noted) {
  double square = 0.0;
  for (size_t i = 0; i < noted->count; i++)
    square += (noted->rounded[i] - noted->exact[i]) * (noted->rounded[i] - noted->exact[i]);
  return sqrt(square / (double)noted->count) / rms_of(noted->exact, noted->count);
}

/* Of the router's scores, by which rows are chosen. */
static double units_of_scores(const Pass *pass) {
  double units = units_of(pass);
  for (size_t i = 0; i < pass->trace.count; i++)
    if (strcmp(pass->trace.noted[i].name, "router.score") == 0)
      units += 8.0 * rms_of_rounding(&pass->trace.noted[i]);
  return units;
}

typedef struct Losses {
  double exact, rounded, tested;
} Losses;

static void watch(Pass *pass, World *world, void (*observe)(void *, const char *, Tensor)) {
  pass->trace.next = 0;
  world->run.observe = observe;
  world->run.context = pass;
}

/* The references first. A fault of the tested backend is a verdict. */
static Status run_pass(Pass *pass, uint64_t seed, uint32_t step, Verdict *verdict, Losses *loss) {
  trace_clear(&pass->trace);
  watch(pass, &pass->exact, note);
  TRY(run_world(&pass->exact, seed, step, &loss->exact));
  watch(pass, &pass->rounded, round_noted);
  TRY(run_world(&pass->rounded, seed, step, &loss->rounded));
  pass->trace.next = 0;
  pass->tested.replay.units = units_of_scores(pass);
  double began = clock_seconds();
  Status status = run_world(&pass->tested, seed, step, &loss->tested);
  verdict->seconds += clock_seconds() - began;
  if (status.code == STATUS_OK && !pass->tested.replay.wrong)
    return pass->trace.full ? status_error(STATUS_MEMORY, "not enough memory for the model's activations")
                            : status_ok();
  if (verdict->good)
    snprintf(verdict->sentence, sizeof verdict->sentence, "%s%.300s",
             pass->tested.replay.wrong ? "router_select: " : "",
             pass->tested.replay.wrong ? pass->tested.replay.sentence : status.message);
  verdict->good = false;
  verdict->worst = INFINITY;
  return status.code == STATUS_MEMORY ? status : status_ok();
}

static void judge_loss(const Pass *pass, Verdict *verdict, const char *name, Losses *loss) {
  Numbers numbers = {1, 1, &loss->exact, &loss->tested, &loss->rounded};
  judge(pass, verdict, name, &numbers, 0.0);
}

static Status watched_pass(Pass *pass, uint64_t seed) {
  Verdict *verdict = &pass->verdict->pass;
  Losses loss;
  watch(pass, &pass->tested, compare_noted);
  Status status = run_pass(pass, seed, 0, verdict, &loss);
  watch(pass, &pass->tested, NULL);
  if (status.code != STATUS_OK || !verdict->good)
    return status;
  judge_loss(pass, verdict, "the loss", &loss);
  if (pass->verdict->compared < pass->trace.count && verdict->good) {
    verdict->good = false;
    snprintf(verdict->sentence, sizeof verdict->sentence, "%s: is not there",
             pass->trace.noted[pass->verdict->compared].name);
  }
  return status;
}

/* One parameter's gradient (or value). *of_matrix: the size of the last matrix's gradient, which that of the bias after
 * it is measured by: what a bias sums may cancel altogether, as a key's does, since no softmax sees a bias of all keys.
 */
static Status compare_slot(Pass *pass, Verdict *verdict, size_t i, bool gradient, double *of_matrix) {
  World *worlds[] = {&pass->exact, &pass->rounded, &pass->tested};
  const Slot *slot = &pass->tested.optimiser.slots[i];
  double *x[3];
  char name[260];
  for (size_t k = 0; k < 3; k++) {
    const Slot *of = &worlds[k]->optimiser.slots[i];
    x[k] = tensor_numbers(worlds[k]->run.ops, gradient ? of->d : of->w);
  }
  Numbers numbers = {tensor_count(slot->w), tensor_width(slot->w), x[0], x[2], x[1]};
  Status status = x[0] && x[1] && x[2] ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for gradients");
  snprintf(name, sizeof name, "%s%s", gradient ? "gradient of " : "", slot->entry.name);
  if (status.code == STATUS_OK) {
    if (slot->w.rank > 1)
      *of_matrix = rms_of(x[0], numbers.count);
    judge(pass, verdict, name, &numbers, gradient && slot->w.rank == 1 ? *of_matrix : 0.0);
  }
  pass->verdict->compared += gradient;
  for (size_t k = 0; k < 3; k++)
    free(x[k]);
  return status;
}

static Status compare_slots(Pass *pass, Verdict *verdict, bool gradient) {
  double of_matrix = 0.0;
  for (size_t i = 0; i < pass->tested.optimiser.count && verdict->good; i++)
    TRY(compare_slot(pass, verdict, i, gradient, &of_matrix));
  return status_ok();
}

/* ---- training ---- */

/* AdamW divides a gradient by its own size, so of one that is all rounding (a key's bias) it makes a full step in a
 * random direction; an epsilon above that noise keeps a step a function of the gradient. */
static OptimiserRule rule_of_training(void) {
  OptimiserRule rule = optimiser_rule();
  for (int group = 0; group < GROUP_COUNT; group++)
    rule.rate[group] = 0.01;
  rule.epsilon = 0.1;
  rule.decay = 0.01;
  return rule;
}

static Status train(Pass *pass, uint64_t seed, size_t steps) {
  OptimiserRule rule = rule_of_training();
  Verdict *verdict = &pass->verdict->training;
  for (size_t step = 0; step < steps && verdict->good; step++) {
    Losses loss;
    char name[64];
    TRY(interrupt_check());
    TRY(run_pass(pass, seed, (uint32_t)step + 1, verdict, &loss));
    snprintf(name, sizeof name, "the loss of step %zu", step + 1);
    judge_loss(pass, verdict, name, &loss);
    optimiser_step(&pass->exact.optimiser, &rule);
    optimiser_step(&pass->rounded.optimiser, &rule);
    optimiser_step(&pass->tested.optimiser, &rule);
    pass->verdict->steps++;
  }
  return verdict->good ? compare_slots(pass, verdict, false) : status_ok();
}

static Status verify(Pass *pass, const ModelConfig *config, uint64_t seed, size_t steps) {
  TRY(open_world(&pass->exact, config, seed));
  TRY(open_world(&pass->rounded, config, seed));
  TRY(open_world(&pass->tested, config, seed));
  TRY(make_alike(pass, seed));
  pass->trace.longest = config->decoder.vocabulary;
  TRY(optimiser_alloc(&pass->exact.optimiser, &pass->exact.store)); /* masters begin as the parameters are now */
  TRY(optimiser_alloc(&pass->rounded.optimiser, &pass->rounded.store));
  TRY(optimiser_alloc(&pass->tested.optimiser, &pass->tested.store));
  TRY(watched_pass(pass, seed));
  if (pass->verdict->pass.good)
    TRY(compare_slots(pass, &pass->verdict->pass, true));
  return pass->verdict->pass.good ? train(pass, seed, steps) : status_ok();
}

/* Has the backend every operation? */
static bool whole(const Ops *ops) {
  bool all = true;
  for (size_t i = 0; i < case_count(); i++)
    all = all && case_supported(case_at(i), ops);
  return all;
}

Status verify_model(bool paper, const Ops *tested, const Ops *reference, uint64_t seed, size_t steps,
                    ModelVerdict *verdict) {
  Pass *pass = calloc(1, sizeof *pass);
  ModelConfig config;
  *verdict = (ModelVerdict){.pass = {.supported = true, .good = true}, .training = {.supported = true, .good = true}};
  if (!pass)
    return status_error(STATUS_MEMORY, "not enough memory to verify the model");
  if (!whole(tested)) {
    verdict->pass.supported = verdict->training.supported = false;
    free(pass);
    return status_ok();
  }
  pass->verdict = verdict;
  replay_open(&pass->exact.replay, reference, NULL, 0.0);
  replay_open(&pass->rounded.replay, reference, &pass->exact.replay, INFINITY);
  replay_open(&pass->tested.replay, tested, &pass->exact.replay, 0.0);
  Status status = config_preset("tiny", &config);
  if (paper)
    config.switches = switches_paper();
  if (status.code == STATUS_OK)
    status = verify(pass, &config, seed, steps);
  verdict->doubtful = pass->tested.replay.doubtful;
  verdict->training.good = verdict->training.good && (verdict->steps == steps || verdict->pass.good);
  trace_clear(&pass->trace);
  free(pass->trace.noted);
  close_world(&pass->tested);
  close_world(&pass->rounded);
  close_world(&pass->exact);
  free(pass);
  return status;
}
