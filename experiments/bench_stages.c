/* bench_stages.c: whole steps of SliME's stages on a device: random weights, drawn where they lie, one tensor after the
 * other; random pictures and tokens; CLIP, forward, backward, clip and AdamW. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "device.h"
#include "memory.h"
#include "optimiser.h"
#include "progress.h"

enum { ADAPTER = 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER };

/* Of 576 global tokens, a separator and six tiles of 144, with text: 676, 964 and 1641 rows of the decoder. Batches fit
 * a card of 80 GB without checkpoints. LoRA's rank and alpha are LLaVA's. */
typedef struct Stage {
  const char *name;
  unsigned groups;
  Views views;
  size_t text, answer, batch, rank;
} Stage;

static const Stage stages[] = {
    {"Stage I", ADAPTER, VIEWS_GLOBAL, 100, 100, 28, 0},
    {"Stage II", 1 << GROUP_COMPRESSION, VIEWS_LOCAL, 100, 100, 20, 0},
    {"Stage III, LoRA", ADAPTER | 1 << GROUP_COMPRESSION | 1 << GROUP_LORA, VIEWS_BOTH, 200, 200, 8, 128},
};
enum { STAGES = sizeof stages / sizeof *stages, QUICK_TEXT = 12, QUICK_RANK = 4 };

/* A stage's model with a batch. */
typedef struct Course {
  const StagesPlan *plan;
  const Ops *ops;
  Stage stage; /* its sizes as they are run */
  Model model, shown;
  Store store;
  Optimiser optimiser;
  Synthetic synthetic;
  SlimeTape tape;
  Run run;
  double operations; /* of a step */
  size_t bytes;      /* of weights, gradients, moments and activations */
  Timed timed;
} Course;

/* ---- the device's rate ---- */

/* A product of random matrices side x side, in the type of the activations; so many of them at once. */
typedef struct Square {
  const Ops *ops;
  size_t side, times;
  void *memory;
  Tensor y, x, w;
} Square;

static Status open_square(Square *s, const Device *device) {
  bool card = strcmp(device->kind, "cuda") == 0;
  *s = (Square){.ops = &device->ops, .side = card ? 8192 : 32, .times = card ? 8 : 1};
  size_t bytes = s->side * s->side * dtype_bits(s->ops->real) / 8;
  Tensor *const all[] = {&s->y, &s->x, &s->w};
  TRY(ops_alloc(s->ops, 3 * bytes, &s->memory));
  for (size_t i = 0; i < 3; i++) {
    *all[i] = tensor_2((unsigned char *)s->memory + i * bytes, s->ops->real, s->side, s->side);
    normal_fill(s->ops, *all[i], rng_make(1, RNG_TEST, (uint32_t)i), 0, 1.0);
  }
  return ops_status(s->ops);
}

/* Operations a second, timed now. */
static double rate_of(const Square *s) {
  double side = (double)s->side, began;
  (void)ops_status(s->ops); /* waits; a fault sticks */
  began = clock_seconds();
  for (size_t i = 0; i < s->times; i++)
    linear_fwd(s->ops, s->y, s->x, s->w, TENSOR_NONE, TENSOR_NONE);
  (void)ops_status(s->ops);
  return 2.0 * side * side * side * (double)s->times / (clock_seconds() - began);
}

/* ---- a model ---- */

static void add_bytes(void *context, const Entry *entry) {
  size_t *numbers = context;
  *numbers += tensor_count(entry_shape(entry, NULL, DTYPE_F32));
}

/* A machine whose memory is the host's would be brought down instead of refusing. */
static Status check_room(Course *c) {
  size_t numbers = 0, bytes;
  char needed[32];
  model_walk(&c->model, add_bytes, &numbers);
  bytes = numbers * dtype_bits(c->ops->real) / 8;
  return !c->ops->table->host || bytes < memory_available() / 2
             ? status_ok()
             : status_error(STATUS_MEMORY,
                            "this machine has too little memory for the %s of weights that %s has; give --config tiny",
                            memory_print(bytes, needed), c->plan->config);
}

/* Gamma is 1: all local tokens are kept, so that lengths do not depend on random weights. */
static Status configure(const Course *c, ModelConfig *config) {
  TRY(config_open(c->plan->config, config));
  config->lora_rank = c->stage.rank;
  config->lora_alpha = 2.0 * (double)c->stage.rank;
  config->switches.gamma = 1.0;
  return config_check(config);
}

/* What there is too little memory for may fit with fewer samples. */
static Status with_batch(const Course *c, Status status) {
  return status.code == STATUS_MEMORY ? status_error(STATUS_MEMORY,
                                                     "%s, %zu samples a pass: %.400s; a smaller --batch "
                                                     "needs less",
                                                     c->stage.name, c->stage.batch, status.message)
                                      : status;
}

/* Weights, gradients, moments and masters, then what the activations of a pass take. */
static Status prepare(Course *c) {
  ModelConfig config;
  SyntheticPlan batch = {.count = c->stage.batch,
                         .text = c->stage.text,
                         .answer = c->stage.answer,
                         .columns = 3,
                         .rows = 2,
                         .same = true,
                         .seed = 1};
  TRY(configure(c, &config));
  TRY(model_alloc(&c->model, &config));
  TRY(check_room(c));
  TRY(store_random(&c->store, c->ops, &c->model, 0.02, 1));
  TRY(store_train(&c->store, c->stage.groups));
  TRY(optimiser_alloc(&c->optimiser, &c->store));
  c->shown = model_showing(&c->model, c->stage.views);
  TRY(synthetic_make(&c->synthetic, c->ops, &c->shown.config, &batch));
  TRY(slime_tape_alloc(&c->tape, &config));
  c->tape.decoder.recomputed = c->plan->recomputed;
  size_t activations = slime_measure(&c->shown, &c->synthetic.batch, &c->tape, c->ops->real, true, &c->operations);
  size_t copies = ops_fine(c->ops) == c->ops->real ? 3 : 4; /* gradient, two moments, master */
  c->bytes = c->store.value_bytes + copies * tensor_bytes(store_gradients(&c->store)) + activations;
  return with_batch(c, run_alloc(&c->run, c->ops, activations));
}

static void finish(Course *c) {
  run_free(&c->run);
  slime_tape_free(&c->tape);
  synthetic_free(&c->synthetic);
  optimiser_free(&c->optimiser);
  store_free(&c->store);
  model_free(&c->model);
}

/* ---- steps ---- */

static Status time_step(Course *c, size_t number, double *seconds) {
  OptimiserRule rule = optimiser_rule();
  size_t trained;
  for (int group = 0; group < GROUP_COUNT; group++)
    rule.rate[group] = c->stage.groups >> group & 1 ? 1e-5 : 0.0;
  TRY(ops_status(c->ops));
  double began = clock_seconds();
  run_reset(&c->run);
  c->run.training = true;
  c->run.seed = 1;
  c->run.step = (uint32_t)number;
  store_zero(&c->store);
  double loss = slime_forward(&c->run, &c->shown, &c->synthetic.batch, &c->tape, &trained);
  slime_backward(&c->run, &c->shown, &c->tape, 0);
  OptimiserReport report = optimiser_step(&c->optimiser, &rule);
  TRY(ops_status(c->ops));
  *seconds = clock_seconds() - began;
  return isfinite(loss) && report.bad == GROUP_COUNT
             ? status_ok()
             : status_error(STATUS_NUMERICS, "%s: the loss of a step is %g, the norm of its gradient %g", c->stage.name,
                            loss, report.norm);
}

/* The first step touches everything for the first time and is not counted. */
static Status time_steps(Course *c, const Square *square) {
  for (size_t i = 0; i <= c->plan->repeats; i++) {
    double rate = rate_of(square), seconds;
    TRY(time_step(c, i, &seconds));
    if (i > 0)
      timed_add(&c->timed, seconds, c->operations, rate);
    TRY(interrupt_check());
  }
  return status_ok();
}

/* ---- what is told ---- */

static void report(const Course *c, cJSON *list) {
  Spread seconds = spread_of(c->timed.seconds, c->timed.count), rate = spread_of(c->timed.sgemm, c->timed.count);
  double took = seconds.median, share = timed_share(&c->timed), samples = (double)c->stage.batch;
  size_t rows = c->tape.sequence.rows.rows;
  char memory[32];
  printf("%-16s %3zu samples of %4zu rows  %10.2f ms  -%.0f +%.0f %%  %8.4g samples/s  %8.4g TFLOP a sample  %8.4g "
         "TFLOP/s  %4.0f %% of the product's %.4g  %s\n",
         c->stage.name, c->stage.batch, rows / c->stage.batch, 1e3 * took, 100.0 * (1.0 - seconds.low / took),
         100.0 * (seconds.high / took - 1.0), samples / took, 1e-12 * c->operations / samples,
         1e-12 * c->operations / took, 100.0 * share, 1e-12 * rate.median, memory_print(c->bytes, memory));
  fflush(stdout);
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", c->stage.name);
  cJSON_AddNumberToObject(row, "samples", samples);
  cJSON_AddNumberToObject(row, "rows", (double)rows);
  cJSON_AddNumberToObject(row, "seconds", took);
  cJSON_AddNumberToObject(row, "fastest", seconds.low);
  cJSON_AddNumberToObject(row, "slowest", seconds.high);
  cJSON_AddNumberToObject(row, "samples_per_second", samples / took);
  cJSON_AddNumberToObject(row, "operations", c->operations);
  cJSON_AddNumberToObject(row, "product_flops", rate.median);
  cJSON_AddNumberToObject(row, "fraction_of_product", share);
  cJSON_AddNumberToObject(row, "bytes", (double)c->bytes);
  cJSON_AddItemToArray(list, row);
}

static Status bench_stage(const StagesPlan *plan, const Device *device, const Square *square, size_t which,
                          cJSON *list) {
  Course *c = calloc(1, sizeof *c);
  if (!c)
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  *c = (Course){.plan = plan, .ops = &device->ops, .stage = stages[which]};
  if (plan->quick) {
    c->stage.text = QUICK_TEXT;
    c->stage.answer = QUICK_TEXT / 2;
    c->stage.batch = 1;
    c->stage.rank = c->stage.rank > 0 ? QUICK_RANK : 0;
  }
  c->stage.batch = plan->batch > 0 ? plan->batch : c->stage.batch;
  Status status = prepare(c);
  if (status.code == STATUS_OK)
    status = time_steps(c, square);
  if (status.code == STATUS_OK)
    report(c, list);
  finish(c);
  free(c);
  return status;
}

static Status bench_all(const StagesPlan *plan, const Device *device, cJSON *json) {
  Square square = {0};
  cJSON *list = cJSON_AddArrayToObject(json, "stages");
  Status status = list ? open_square(&square, device) : status_error(STATUS_MEMORY, "not enough memory for the bench");
  for (size_t i = 0; i < STAGES && status.code == STATUS_OK; i++)
    status = bench_stage(plan, device, &square, i, list);
  ops_free(&device->ops, square.memory);
  return status;
}

Status bench_stages(const StagesPlan *plan, cJSON *json) {
  Device device;
  TRY(device_open(&device, plan->device, plan->dtype, 0));
  printf("%s (%s), %s, %s\n", device.name, device.kind, plan->dtype, plan->config);
  cJSON_AddStringToObject(json, "device", device.name);
  cJSON_AddStringToObject(json, "backend", device.kind);
  cJSON_AddStringToObject(json, "dtype", plan->dtype);
  cJSON_AddStringToObject(json, "config", plan->config);
  device_algorithms(&device, "timed", "");
  Status status = bench_all(plan, &device, json);
  device_choices(&device);
  device_close(&device);
  return status;
}
