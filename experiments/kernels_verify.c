/* kernels_verify.c: `seesaw kernels verify`: every operation and the whole tiny model of a backend, beside the C
 * backend in double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "device.h"
#include "json.h"
#include "kernels_names.h"
#include "options.h"
#include "progress.h"
#include "verify_model.h"

enum { TRAINING_STEPS = 10 };

typedef struct VerifyPlan {
  const char *operation, *dtype, *shapes, *device, *json;
  int64_t seed;
} VerifyPlan;

typedef struct Session {
  const VerifyPlan *plan;
  Device device;
  Ops reference;
  Progress progress;
  cJSON *operations;
  size_t verified, failed, missing; /* operations and directions */
  size_t large;                     /* shapes left out: they do not fit into memory */
  size_t steps;                     /* of the progress bar */
} Session;

/* What came of an operation's shapes. */
typedef struct Tally {
  size_t shapes, failed;
  double worst;
  char at[160];
  char sentence[600]; /* of the first failure */
} Tally;

static const char *layout_name(Layout layout) {
  static const char *const names[] = {"contiguous", "views", "aligned views"};
  return names[layout];
}

/* ---- one line an operation ---- */

static void print_line(Session *s, const char *name, const Tally *t) {
  bool good = t->failed == 0;
  progress_end(&s->progress);
  printf("%-24s %-5s %4zu shapes   worst %8.3g of the tolerance   %s%s%s", name, s->plan->dtype, t->shapes, t->worst,
         color(stdout, good ? COLOR_GREEN : COLOR_RED), good ? "ok" : "FAILED", color(stdout, COLOR_RESET));
  if (!good)
    printf("   at %s", t->sentence);
  printf("\n");
  s->verified++;
  s->failed += !good;
}

static void print_missing(Session *s, const char *name) {
  progress_end(&s->progress);
  printf("%-24s %-5s    - the backend does not have it\n", name, s->plan->dtype);
  s->missing++;
}

static void add_verdict(Tally *t, const Verdict *verdict, const char *where) {
  t->shapes++;
  if (verdict->worst > t->worst || t->shapes == 1)
    snprintf(t->at, sizeof t->at, "%s", where);
  t->worst = fmax(t->worst, verdict->worst);
  if (!verdict->good && t->failed++ == 0)
    snprintf(t->sentence, sizeof t->sentence, "%s: %s", where, verdict->sentence);
}

static void add_row(Session *s, const char *operation, const char *direction, const char *shape, const char *layout,
                    const Verdict *verdict) {
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", operation);
  cJSON_AddStringToObject(row, "direction", direction);
  cJSON_AddStringToObject(row, "dtype", s->plan->dtype);
  cJSON_AddStringToObject(row, "shape", shape);
  cJSON_AddStringToObject(row, "layout", layout);
  cJSON_AddBoolToObject(row, "ok", verdict->good);
  cJSON_AddNumberToObject(row, "worst", verdict->worst); /* infinite: null */
  cJSON_AddNumberToObject(row, "seconds", verdict->seconds);
  if (!verdict->good)
    cJSON_AddStringToObject(row, "failure", verdict->sentence);
  cJSON_AddItemToArray(s->operations, row);
}

/* ---- operations ---- */

/* In double on both sides, what is and what should be. */
static bool fits(Session *s, const Case *c, const Shape *shape) {
  bool room = host_fits(48.0 * case_numbers(c, shape, s->device.ops.real));
  s->large += !room;
  return room;
}

static bool wanted_shape(const Session *s, const Shape *shape) {
  const char *shapes = s->plan->shapes;
  bool real = strcmp(shapes, "all") == 0 || strcmp(shapes, "real") == 0 ||
              (strcmp(shapes, "auto") == 0 && !s->device.slow && strcmp(s->device.kind, "cpu") != 0);
  return shape->real ? real : strcmp(shapes, "real") != 0;
}

static Status verify_shape(Session *s, const Case *c, const Shape *shape, Layout layout, Tally *tally) {
  char text[128], where[160];
  Verdict verdict;
  TRY(interrupt_check());
  TRY(verify_case(c, shape, layout, &s->device.ops, &s->reference, (uint64_t)s->plan->seed, &verdict));
  shape_print(shape, text);
  snprintf(where, sizeof where, "%s, %s", text, layout_name(layout));
  add_verdict(tally, &verdict, where);
  add_row(s, c->operation, c->direction, text, layout_name(layout), &verdict);
  return status_ok();
}

/* Odd shapes as views in two layouts, real ones contiguous as the model has most. */
static Status verify_operation(Session *s, const Case *c) {
  Tally tally = {0};
  char name[64];
  case_print(c, name);
  if (!case_supported(c, &s->device.ops)) {
    print_missing(s, name);
    return status_ok();
  }
  for (size_t i = 0; i < c->shape_count; i++) {
    const Shape *shape = &c->shapes[i];
    if (!wanted_shape(s, shape) || !fits(s, c, shape))
      continue;
    for (Layout layout = shape->real ? LAYOUT_PLAIN : LAYOUT_VIEW;; layout++) {
      TRY(verify_shape(s, c, shape, layout, &tally));
      if (shape->real || layout == LAYOUT_ALIGNED)
        break;
    }
  }
  print_line(s, name, &tally);
  return status_ok();
}

static bool wanted(const VerifyPlan *plan, const char *operation) {
  return !*plan->operation || strcmp(plan->operation, operation) == 0;
}

static Status verify_operations(Session *s) {
  for (size_t i = 0; i < case_count(); i++) {
    if (wanted(s->plan, case_at(i)->operation))
      TRY(verify_operation(s, case_at(i)));
    progress_update(&s->progress, (double)++s->steps);
  }
  return status_ok();
}

/* ---- the model ---- */

static void report_model(Session *s, const char *preset, const ModelVerdict *verdict) {
  char name[64];
  Tally pass = {0}, training = {0};
  if (!verdict->pass.supported) {
    print_missing(s, "model");
    return;
  }
  snprintf(name, sizeof name, "model, %s", preset);
  add_verdict(&pass, &verdict->pass, "tiny");
  add_row(s, "model", "fwd and bwd", preset, "", &verdict->pass);
  print_line(s, name, &pass);
  if (!verdict->pass.good)
    return;
  snprintf(name, sizeof name, "model, %s, %zu steps", preset, verdict->steps);
  add_verdict(&training, &verdict->training, "tiny");
  add_row(s, "model", "training", preset, "", &verdict->training);
  print_line(s, name, &training);
}

static Status verify_models_beside(Session *s, const Ops *reference) {
  static const char *const presets[] = {"released", "paper"};
  for (int i = 0; i < 2 && wanted(s->plan, "model"); i++) {
    ModelVerdict verdict;
    TRY(verify_model(i == 1, &s->device.ops, reference, (uint64_t)s->plan->seed, TRAINING_STEPS, &verdict));
    report_model(s, presets[i], &verdict);
    progress_update(&s->progress, (double)++s->steps);
  }
  return status_ok();
}

/* The model is too small for threads. */
static Status verify_models(Session *s) {
  Ops reference;
  TRY(c_open(&reference, DTYPE_F64, 1));
  Status status = verify_models_beside(s, &reference);
  c_close(&reference);
  return status;
}

/* ---- the work ---- */

static Status write_json(const Session *s, cJSON *json, const Command *command) {
  char *line = options_line(command);
  cJSON_AddStringToObject(json, "device", s->device.name);
  cJSON_AddStringToObject(json, "backend", s->device.kind);
  cJSON_AddItemToObject(json, "origin", json_origin(line ? line : "", (uint64_t)s->plan->seed));
  free(line);
  return *s->plan->json ? json_write(s->plan->json, json) : status_ok();
}

static Status run(Session *s, const Command *command) {
  cJSON *json = cJSON_CreateObject();
  s->operations = cJSON_AddArrayToObject(json, "operations");
  if (!s->operations) {
    cJSON_Delete(json);
    return status_error(STATUS_MEMORY, "not enough memory for the report");
  }
  printf("%s (%s) beside C in double\n", s->device.name, s->device.kind);
  progress_start(&s->progress, "verify", (double)case_count() + 2.0);
  Status status = verify_operations(s);
  if (status.code == STATUS_OK)
    status = verify_models(s);
  progress_end(&s->progress);
  if (s->large > 0)
    printf("%zu shapes were left out: the host has too little memory for them\n", s->large);
  if (status.code == STATUS_OK)
    status = write_json(s, json, command);
  cJSON_Delete(json);
  if (status.code == STATUS_OK && s->failed > 0)
    return status_error(STATUS_CONTRADICTED, "%zu of %zu operations differ from the reference", s->failed, s->verified);
  return status;
}

static Status open_and_run(const VerifyPlan *plan, const Command *command) {
  Session session = {.plan = plan};
  TRY(operation_check(plan->operation));
  TRY(device_open(&session.device, plan->device, plan->dtype, 0));
  Status status = c_open(&session.reference, DTYPE_F64, 0);
  if (status.code == STATUS_OK)
    status = run(&session, command);
  c_close(&session.reference);
  device_close(&session.device);
  return status;
}

Status command_kernels_verify(int argc, char **argv, Ranks ranks) {
  VerifyPlan plan = {.operation = "", .dtype = "f32", .shapes = "auto", .device = "auto", .json = "", .seed = 1};
  const Option options[] = {
      {"op", OPTION_TEXT, &plan.operation, "NAME", "only this operation of reference/ops.h, or model"},
      {"dtype", OPTION_CHOICE, &plan.dtype, NULL, "what activations are stored as", .choices = DTYPE_CHOICES},
      {"shapes", OPTION_CHOICE, &plan.shapes, NULL, "odd ones, those of real models, or both; auto: all on a GPU",
       .choices = "auto,odd,real,all"},
      {"device", OPTION_CHOICE, &plan.device, NULL, "auto: the GPU if there is one", .choices = "auto," DEVICE_CHOICES},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of all inputs", 0, 9e15},
      {"json", OPTION_TEXT, &plan.json, "FILE", "write every shape's result as JSON too"},
      {NULL},
  };
  const Command command = {
      .name = "kernels verify",
      .summary = "compare every operation of a backend with the reference",
      .description =
          "Each operation in each of its directions on random inputs of odd and real shapes, beside the C backend in "
          "double on the same inputs: each element within 8 sqrt(K) 2^-24 (and, stored in bf16, 8 2^-8) of its size "
          "and the output's root mean square, K being the longest sum; outputs start as NaN, and bytes around every "
          "tensor are watched. Then the whole tiny model, forward, backward and ten training steps; the first named "
          "tensor that differs is named. Exit status 1 if anything differs.",
      .examples = "seesaw kernels verify\n"
                  "seesaw kernels verify --op attention --dtype bf16 --shapes odd\n"
                  "seesaw kernels verify --device cpu --json verify.json\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : open_and_run(&plan, &command);
}
