/* bench_stages.c: whole steps of SliME's stages on a device: random weights, drawn where they lie, one tensor after the
 * other; random pictures and tokens; CLIP, forward, backward, clip and AdamW. Last, an answer (bench_answers.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "kernels_device.h"
#include "memory.h"
#include "optimiser.h"
#include "progress.h"
#include "relay.h"

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

/* Behind the stages: an answer to a picture and a question. */
enum { ANSWERS = STAGES, ITEMS, QUESTION = 100, ANSWER = 64, QUICK_ANSWER = 4 };

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
  config_lora(config, c->stage.rank);
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

static Status draw_weights(Course *c) {
  ModelConfig config;
  TRY(configure(c, &config));
  TRY(model_alloc(&c->model, &config));
  TRY(check_room(c));
  return store_random(&c->store, c->ops, &c->model, 0.02, 1);
}

/* Weights, gradients, moments and masters, then what the activations of a pass take. */
static Status prepare(Course *c) {
  SyntheticPlan batch = {.count = c->stage.batch,
                         .text = c->stage.text,
                         .answer = c->stage.answer,
                         .columns = 3,
                         .rows = 2,
                         .same = true,
                         .seed = 1};
  TRY(draw_weights(c));
  TRY(store_train(&c->store, c->stage.groups));
  TRY(optimiser_alloc(&c->optimiser, &c->store));
  c->shown = model_showing(&c->model, c->stage.views);
  TRY(synthetic_make(&c->synthetic, c->ops, &c->shown.config, &batch));
  TRY(slime_tape_alloc(&c->tape, &c->model.config));
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

/* ---- the process that computes ---- */

/* What it tells of a stage. */
typedef struct Report {
  double rows, samples; /* of a pass */
  double operations, bytes;
  double used;  /* bytes of the device's memory, by whomever, while the stage has all its own; 0: not a card */
  double share; /* of the product's rate */
  Spread seconds, rate;
  AnswersReport answers; /* of the last item, which has of the above only bytes and used */
  CudaChoices choices;   /* of this item */
} Report;

typedef struct Session {
  const StagesPlan *plan;
  Facts facts;
  Device device; /* of the process that computes, like the next */
  Square square;
  cJSON *json, *list; /* the list is in it */
  Status first;       /* that failed */
  size_t failed;
  CudaChoices choices;
} Session;

static Status begin(void *context) {
  Session *s = context;
  TRY(device_open(&s->device, s->facts.kind, s->plan->dtype, 0));
  device_algorithms(&s->device, "timed", "");
  Status status = open_square(&s->square, &s->device);
  if (status.code != STATUS_OK)
    device_close(&s->device);
  return status;
}

static void end(void *context) {
  Session *s = context;
  ops_free(&s->device.ops, s->square.memory);
  device_close(&s->device);
}

static double memory_used(const Device *device) {
  CudaDevice card;
  return strcmp(device->kind, "cuda") == 0 && cuda_device(&card).code == STATUS_OK ? (double)(card.memory - card.free)
                                                                                   : 0.0;
}

static void tell(const Course *c, const Device *device, const CudaChoices *before, Report *r) {
  *r = (Report){.rows = (double)c->tape.sequence.rows.rows,
                .samples = (double)c->stage.batch,
                .operations = c->operations,
                .bytes = (double)c->bytes,
                .used = memory_used(device),
                .share = timed_share(&c->timed),
                .seconds = spread_of(c->timed.seconds, c->timed.count),
                .rate = spread_of(c->timed.sgemm, c->timed.count),
                .choices = choices_since(device, before)};
}

static Stage stage_as_run(const StagesPlan *plan, size_t which) {
  Stage stage = stages[which];
  if (plan->quick) {
    stage.text = QUICK_TEXT;
    stage.answer = QUICK_TEXT / 2;
    stage.batch = 1;
    stage.rank = stage.rank > 0 ? QUICK_RANK : 0;
  }
  stage.batch = plan->batch > 0 ? plan->batch : stage.batch;
  return stage;
}

static Status compute_stage(Course *c, const Session *s, const CudaChoices *before, Report *report) {
  TRY(prepare(c));
  TRY(time_steps(c, &s->square));
  tell(c, &s->device, before, report);
  return status_ok();
}

static Status compute_answers(Course *c, const Session *s, const CudaChoices *before, Report *report) {
  const StagesPlan *plan = s->plan;
  const AnswersPlan answers = {.ops = c->ops,
                               .text = plan->quick ? QUICK_TEXT : QUESTION,
                               .tokens = plan->quick ? QUICK_ANSWER : ANSWER,
                               .repeats = plan->repeats,
                               .small = strcmp(s->device.kind, "cuda") != 0};
  TRY(draw_weights(c));
  TRY(bench_answers(&answers, &c->model, &report->answers));
  report->bytes = (double)c->store.value_bytes + report->answers.memory;
  report->used = memory_used(&s->device);
  report->choices = choices_since(&s->device, before);
  return status_ok();
}

static Status compute(void *context, size_t which, void *report) {
  Session *s = context;
  CudaChoices before = choices_since(&s->device, &(CudaChoices){0});
  Course *c = calloc(1, sizeof *c);
  if (!c)
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  *c = (Course){.plan = s->plan, .ops = &s->device.ops};
  if (which < STAGES)
    c->stage = stage_as_run(s->plan, which);
  Status status = which < STAGES ? compute_stage(c, s, &before, report) : compute_answers(c, s, &before, report);
  finish(c);
  free(c);
  return status;
}

/* ---- what is told ---- */

static void print_stage(const Stage *stage, const Report *r) {
  double took = r->seconds.median;
  char memory[32];
  printf("%-16s %3.0f samples of %4.0f rows  %10.2f ms  -%.0f +%.0f %%  %8.4g samples/s  %8.4g TFLOP a sample  %8.4g "
         "TFLOP/s  %4.0f %% of the product's %.4g  %s\n",
         stage->name, r->samples, r->rows / r->samples, 1e3 * took, 100.0 * (1.0 - r->seconds.low / took),
         100.0 * (r->seconds.high / took - 1.0), r->samples / took, 1e-12 * r->operations / r->samples,
         1e-12 * r->operations / took, 100.0 * r->share, 1e-12 * r->rate.median,
         memory_print((size_t)r->bytes, memory));
}

/* What both kinds of rows hold: times under `name`, and memory. */
static void add_common(const Session *s, const Report *r, const char *name, const Spread *seconds, cJSON *row) {
  cJSON_AddNumberToObject(row, "repeats", (double)s->plan->repeats);
  cJSON_AddNumberToObject(row, name, seconds->median);
  cJSON_AddNumberToObject(row, "fastest", seconds->low);
  cJSON_AddNumberToObject(row, "slowest", seconds->high);
  cJSON_AddNumberToObject(row, "bytes", r->bytes);
  if (r->used > 0.0)
    cJSON_AddNumberToObject(row, "device_bytes_in_use", r->used);
}

static void add_stage(const Session *s, const Report *r, cJSON *row) {
  double took = r->seconds.median;
  cJSON_AddNumberToObject(row, "samples", r->samples);
  cJSON_AddNumberToObject(row, "rows", r->rows);
  add_common(s, r, "seconds", &r->seconds, row);
  cJSON_AddNumberToObject(row, "samples_per_second", r->samples / took);
  cJSON_AddNumberToObject(row, "operations", r->operations);
  cJSON_AddNumberToObject(row, "product_flops", r->rate.median);
  cJSON_AddNumberToObject(row, "fraction_of_product", r->share);
}

static void print_answers(const Report *r) {
  const AnswersReport *a = &r->answers;
  double took = a->seconds.median;
  char memory[32];
  printf(
      "%-16s   to a prompt of %4.0f rows  %10.2f ms a token  -%.0f +%.0f %%  %8.4g tokens/s  %8.4g GB/s  %4.0f %% of "
      "copying's %.4g  %s\n",
      "Answers", a->rows, 1e3 * took, 100.0 * (1.0 - a->seconds.low / took), 100.0 * (a->seconds.high / took - 1.0),
      1.0 / took, 1e-9 * a->bytes / took, 100.0 * a->share, 1e-9 * a->copying.median,
      memory_print((size_t)r->bytes, memory));
}

static void add_answers(const Session *s, const Report *r, cJSON *row) {
  const AnswersReport *a = &r->answers;
  cJSON_AddNumberToObject(row, "prompt_rows", a->rows);
  cJSON_AddNumberToObject(row, "prompt_seconds", a->prompt.median);
  add_common(s, r, "seconds_per_token", &a->seconds, row);
  cJSON_AddNumberToObject(row, "tokens_per_second", 1.0 / a->seconds.median);
  cJSON_AddNumberToObject(row, "bytes_per_token", a->bytes);
  cJSON_AddNumberToObject(row, "copy_bytes_per_second", a->copying.median);
  cJSON_AddNumberToObject(row, "fraction_of_copy", a->share);
}

static void show(const Session *s, size_t which, const Report *r, cJSON *row) {
  if (which == ANSWERS) {
    print_answers(r);
    add_answers(s, r, row);
    return;
  }
  const Stage stage = stage_as_run(s->plan, which);
  print_stage(&stage, r);
  add_stage(s, r, row);
}

static Status write_result(const Session *s, bool complete) {
  cJSON_DeleteItemFromObject(s->json, "algorithms");
  choices_json(&s->choices, &s->facts, s->json);
  return result_write(s->plan->json, s->json, complete);
}

/* What failed leaves the others. */
static Status take(void *context, size_t which, const void *report, Status outcome) {
  Session *s = context;
  const Report *r = report;
  const char *name = which == ANSWERS ? "Answers" : stages[which].name;
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", name);
  if (outcome.code == STATUS_OK) {
    show(s, which, r, row);
    choices_add(&s->choices, &r->choices);
  } else {
    printf("%-16s %sFAILED%s: %s\n", name, color(stdout, COLOR_RED), color(stdout, COLOR_RESET), outcome.message);
    cJSON_AddStringToObject(row, "failure", outcome.message);
    s->first = s->failed++ == 0 ? outcome : s->first;
  }
  if (which == ANSWERS)
    cJSON_AddItemToObject(s->json, "answers", row);
  else
    cJSON_AddItemToArray(s->list, row);
  return write_result(s, false);
}

static Status bench_all(Session *s) {
  const Relay relay = {.count = ITEMS,
                       .size = sizeof(Report),
                       .here = s->plan->here,
                       .context = s,
                       .begin = begin,
                       .work = compute,
                       .end = end,
                       .take = take};
  Status status = relay_run(&relay);
  choices_print(&s->choices, &s->facts);
  Status written = write_result(s, status.code == STATUS_OK);
  TRY(status);
  TRY(written);
  return s->failed > 0 ? s->first : status_ok();
}

Status bench_stages(const StagesPlan *plan, cJSON *json) {
  Session s = {.plan = plan, .json = json};
  TRY(facts_ask(plan->device, plan->dtype, plan->here, &s.facts));
  printf("%s (%s), %s, %s\n", s.facts.name, s.facts.kind, plan->dtype, plan->config);
  facts_json(&s.facts, json);
  cJSON_AddStringToObject(json, "config", plan->config);
  s.list = cJSON_AddArrayToObject(json, "stages");
  return s.list ? bench_all(&s) : status_error(STATUS_MEMORY, "not enough memory for the bench");
}
