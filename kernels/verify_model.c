/* verify_model.c: two worlds, alike in weights, pictures and tokens, one on each backend; the reference's goes first.
 *
 * Tolerance of tensor i of a pass: i operations lie behind it, none with a longer sum than the longest side L of a
 * tensor so far, and independent errors add like a walk: units = 8 sqrt(i L) 2^-24, and with numbers kept in bf16 each
 * of the i roundings adds 2^-8: 8 sqrt(i) 2^-8. A training step starts where the last one ended: after s steps of n
 * tensors i = s n. */
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

/* A tensor of the reference's, under its name. */
typedef struct Noted {
  char name[120];
  size_t count, columns;
  double *numbers;
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
  World reference, tested;
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
  noted->numbers = tensor_numbers(pass->reference.run.ops, tensor);
  trace->full = trace->full || !noted->numbers;
  snprintf(noted->name, sizeof noted->name, "%s", name);
  for (int i = 0; i < tensor.rank; i++)
    trace->longest = tensor.size[i] > trace->longest ? tensor.size[i] : trace->longest;
  trace->count += noted->numbers != NULL;
}

static void trace_clear(Trace *trace) {
  for (size_t i = 0; i < trace->count; i++)
    free(trace->noted[i].numbers);
  trace->count = trace->next = 0;
}

/* After so many operations. */
static double units_after(const Pass *pass, size_t operations) {
  double count = (double)operations + 1.0;
  bool rounded = pass->tested.replay.ops.real == DTYPE_BF16;
  return tolerance_units(DTYPE_F32, count * (double)pass->trace.longest, false) +
         (rounded ? sqrt(count) * 8.0 * 0x1p-8 : 0.0);
}

/* The verdict keeps the first that differs. */
static void judge(Verdict *verdict, Comparison *c, const char *name, const double *is, const double *should) {
  compare(c, is, should);
  verdict->worst = c->worst > verdict->worst ? c->worst : verdict->worst;
  if (c->out > 0 && verdict->good) {
    verdict->good = false;
    comparison_print(c, name, is, should, verdict->sentence, sizeof verdict->sentence);
  }
}

static void compare_noted(void *context, const char *name, Tensor tensor) {
  Pass *pass = context;
  Trace *trace = &pass->trace;
  Verdict *verdict = &pass->verdict->pass;
  const Noted *noted = trace->next < trace->count ? &trace->noted[trace->next] : NULL;
  size_t place = trace->next++;
  if (!verdict->good)
    return;
  if (!noted || strcmp(noted->name, name) != 0 || noted->count != tensor_count(tensor)) {
    verdict->good = false;
    snprintf(verdict->sentence, sizeof verdict->sentence, "%s: the reference has %s there, of %zu numbers", name,
             noted ? noted->name : "nothing", noted ? noted->count : 0);
    return;
  }
  double *is = tensor_numbers(pass->tested.run.ops, tensor);
  Comparison c = {.count = noted->count, .columns = noted->columns, .units = units_after(pass, place)};
  trace->full = trace->full || !is;
  if (is)
    judge(verdict, &c, name, is, noted->numbers);
  pass->verdict->compared++;
  free(is);
}

/* ---- both worlds alike ---- */

static Status open_world(World *w, const ModelConfig *config, uint64_t seed) {
  const SyntheticPlan plan = {.count = 4, .text = 9, .answer = 3, .columns = 2, .rows = 1, .without = 1, .seed = seed};
  const Ops *ops = &w->replay.ops;
  TRY(model_alloc(&w->model, config));
  TRY(store_random(&w->store, ops, &w->model, 0.15, seed));
  TRY(store_train(&w->store, ALL_GROUPS));
  TRY(synthetic_make(&w->synthetic, ops, config, &plan));
  TRY(slime_tape_alloc(&w->tape, config));
  return optimiser_alloc(&w->optimiser, &w->store);
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

static void put_all(const Store *store, Tensor to, const double *numbers) {
  enum { PIECE = 4096 };
  size_t count = tensor_count(to);
  for (size_t first = 0; first < count; first += PIECE)
    store_put(store, to, first, count - first < PIECE ? count - first : PIECE, numbers + first);
}

/* To `numbers` come the tested backend's, after rounding. */
static Status put_both(Pass *pass, Tensor tested, Tensor reference, double *numbers) {
  put_all(&pass->tested.store, tested, numbers);
  double *rounded = tensor_numbers(pass->tested.run.ops, tested);
  if (!rounded)
    return status_error(STATUS_MEMORY, "not enough memory for %zu parameters", tensor_count(tested));
  put_all(&pass->reference.store, reference, rounded);
  free(rounded);
  return status_ok();
}

/* Random everywhere: also what starts as zeros or ones. */
static Status draw_parameters(Pass *pass, uint64_t seed) {
  Walk *walk = calloc(2, sizeof *walk);
  Status status = walk ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the list of parameters");
  if (walk) {
    model_walk(&pass->tested.model, list_entry, &walk[0]);
    model_walk(&pass->reference.model, list_entry, &walk[1]);
  }
  for (size_t i = 0; walk && i < walk[0].count && status.code == STATUS_OK; i++) {
    Tensor w = walk[0].entry[i].parameter->w;
    double *numbers = tensor_numbers(pass->tested.run.ops, w);
    for (size_t k = 0; numbers && k < tensor_count(w) && !walk[0].entry[i].fixed; k++)
      numbers[k] += 0.1 * rng_normal(rng_make(seed, RNG_TEST, (uint32_t)i), k);
    status = numbers ? put_both(pass, w, walk[1].entry[i].parameter->w, numbers)
                     : status_error(STATUS_MEMORY, "not enough memory for the parameters");
    free(numbers);
  }
  free(walk);
  return status;
}

static Status make_alike(Pass *pass, uint64_t seed) {
  Tensor tested = pass->tested.synthetic.batch.pictures, reference = pass->reference.synthetic.batch.pictures;
  pass->tested.run.ops = &pass->tested.replay.ops;
  TRY(draw_parameters(pass, seed));
  TRY(store_prepare(&pass->tested.store));
  TRY(store_prepare(&pass->reference.store));
  double *numbers = tensor_numbers(pass->tested.run.ops, tested);
  if (!numbers)
    return status_error(STATUS_MEMORY, "not enough memory for the pictures");
  put_all(&pass->reference.store, tensor_1(reference.data, reference.dtype, tensor_count(reference)), numbers);
  free(numbers);
  return status_ok();
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

/* The reference first. A fault of the tested backend is a verdict. */
static Status run_pass(Pass *pass, uint64_t seed, uint32_t step, Verdict *verdict, double loss[2]) {
  TRY(run_world(&pass->reference, seed, step, &loss[0]));
  double began = clock_seconds();
  Status status = run_world(&pass->tested, seed, step, &loss[1]);
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

static Status watched_pass(Pass *pass, uint64_t seed) {
  double loss[2];
  pass->reference.run.observe = note;
  pass->tested.run.observe = compare_noted;
  pass->reference.run.context = pass->tested.run.context = pass;
  Status status = run_pass(pass, seed, 0, &pass->verdict->pass, loss);
  pass->reference.run.observe = pass->tested.run.observe = NULL;
  if (status.code != STATUS_OK || !pass->verdict->pass.good)
    return status;
  Comparison c = {.count = 1, .units = units_after(pass, pass->trace.count)};
  judge(&pass->verdict->pass, &c, "the loss", &loss[1], &loss[0]);
  if (pass->trace.next < pass->trace.count && pass->verdict->pass.good) {
    pass->verdict->pass.good = false;
    snprintf(pass->verdict->pass.sentence, sizeof pass->verdict->pass.sentence, "%s: is not there",
             pass->trace.noted[pass->trace.next].name);
  }
  return status;
}

static double rms_of(const double *numbers, size_t count) {
  double square = 0.0;
  for (size_t i = 0; i < count; i++)
    square += numbers[i] * numbers[i];
  return count > 0 ? sqrt(square / (double)count) : 0.0;
}

/* One parameter's gradient (or value). *of_matrix: the size of the last matrix's gradient, which that of the bias after
 * it is measured by: what a bias sums may cancel altogether, as a key's does, since no softmax sees a bias of all keys.
 */
static Status compare_slot(Pass *pass, Verdict *verdict, size_t i, bool gradient, double units, double *of_matrix) {
  const Slot *is = &pass->tested.optimiser.slots[i], *should = &pass->reference.optimiser.slots[i];
  char name[260];
  double *x = tensor_numbers(pass->tested.run.ops, gradient ? is->d : is->w);
  double *y = tensor_numbers(pass->reference.run.ops, gradient ? should->d : should->w);
  Comparison c = {.count = tensor_count(is->w), .columns = tensor_width(is->w), .units = units};
  Status status = x && y ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the gradients");
  snprintf(name, sizeof name, "%s%s", gradient ? "gradient of " : "", is->entry.name);
  if (status.code == STATUS_OK) {
    if (is->w.rank > 1)
      *of_matrix = rms_of(y, c.count);
    c.floor = gradient && is->w.rank == 1 ? *of_matrix : 0.0;
    judge(verdict, &c, name, x, y);
  }
  pass->verdict->compared += gradient;
  free(x);
  free(y);
  return status;
}

static Status compare_slots(Pass *pass, Verdict *verdict, bool gradient, size_t operations) {
  double units = units_after(pass, operations), of_matrix = 0.0;
  for (size_t i = 0; i < pass->tested.optimiser.count && verdict->good; i++)
    TRY(compare_slot(pass, verdict, i, gradient, units, &of_matrix));
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
  size_t each = pass->trace.count;
  for (size_t step = 0; step < steps && verdict->good; step++) {
    double loss[2];
    char name[64];
    TRY(interrupt_check());
    TRY(run_pass(pass, seed, (uint32_t)step + 1, verdict, loss));
    Comparison c = {.count = 1, .units = units_after(pass, (step + 1) * each)};
    snprintf(name, sizeof name, "the loss of step %zu", step + 1);
    judge(verdict, &c, name, &loss[1], &loss[0]);
    optimiser_step(&pass->reference.optimiser, &rule);
    optimiser_step(&pass->tested.optimiser, &rule);
    pass->verdict->steps++;
  }
  return verdict->good ? compare_slots(pass, verdict, false, steps * each) : status_ok();
}

static Status verify(Pass *pass, const ModelConfig *config, uint64_t seed, size_t steps) {
  TRY(open_world(&pass->reference, config, seed));
  TRY(open_world(&pass->tested, config, seed));
  TRY(make_alike(pass, seed));
  pass->trace.longest = config->decoder.vocabulary;
  pass->tested.replay.units = units_after(pass, 64); /* operations before the choice */
  TRY(watched_pass(pass, seed));
  if (pass->verdict->pass.good)
    TRY(compare_slots(pass, &pass->verdict->pass, true, pass->trace.count));
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
  replay_open(&pass->reference.replay, reference, NULL, 0.0);
  replay_open(&pass->tested.replay, tested, &pass->reference.replay, 0.0);
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
  close_world(&pass->reference);
  free(pass);
  return status;
}
