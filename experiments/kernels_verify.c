/* kernels_verify.c: `seesaw kernels verify`: every operation and the whole tiny model of a backend, beside the C
 * backend in double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "kernels_device.h"
#include "kernels_names.h"
#include "options.h"
#include "progress.h"
#include "relay.h"
#include "verify_model.h"

enum { TRAINING_STEPS = 10 };

typedef struct VerifyPlan {
  const char *operation, *dtype, *shapes, *device, *json;
  int64_t seed;
  double limit; /* seconds of an item */
  bool here;
} VerifyPlan;

/* A case at a shape, laid out so; or, without a case, the tiny model. */
typedef struct Item {
  const Case *c;
  const Shape *shape;
  Layout layout;
  bool paper; /* the model's switches are the paper's */
} Item;

/* What the process that computes tells of it. */
typedef struct Report {
  Verdict verdict;
  ModelVerdict model;
} Report;

/* What came of an operation's shapes. */
typedef struct Tally {
  size_t shapes, failed;
  double worst;
  char sentence[600]; /* of the first failure */
} Tally;

typedef struct Session {
  const VerifyPlan *plan;
  Facts facts;
  Item *item;
  size_t items, large; /* large: shapes left out: they do not fit into memory */
  Device device;       /* of the process that computes, like the next */
  Ops reference;
  Progress progress;
  Tally tally; /* of the operation under way */
  cJSON *json; /* its "operations" is the next */
  cJSON *operations;
  size_t verified, failed, missing; /* operations and directions */
} Session;

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

/* ---- what is to be done ---- */

/* In double on both sides, what is and what should be. */
static bool fits(Session *s, const Case *c, const Shape *shape) {
  bool room = host_fits(48.0 * case_numbers(c, shape, s->facts.real));
  s->large += !room;
  return room;
}

static bool wanted_shape(const Session *s, const Shape *shape) {
  const char *shapes = s->plan->shapes;
  bool real = strcmp(shapes, "all") == 0 || strcmp(shapes, "real") == 0 ||
              (strcmp(shapes, "auto") == 0 && !s->facts.slow && strcmp(s->facts.kind, "cpu") != 0);
  return shape->real ? real : strcmp(shapes, "real") != 0;
}

static bool wanted(const VerifyPlan *plan, const char *operation) {
  return !*plan->operation || strcmp(plan->operation, operation) == 0;
}

/* Odd shapes as views in two layouts, real ones contiguous as the model has most. */
static void list_case(Session *s, const Case *c) {
  for (size_t i = 0; i < c->shape_count; i++) {
    const Shape *shape = &c->shapes[i];
    if (!wanted_shape(s, shape) || !fits(s, c, shape))
      continue;
    for (Layout layout = shape->real ? LAYOUT_PLAIN : LAYOUT_VIEW;; layout++) {
      s->item[s->items++] = (Item){.c = c, .shape = shape, .layout = layout};
      if (shape->real || layout == LAYOUT_ALIGNED)
        break;
    }
  }
}

static Status list_items(Session *s) {
  size_t most = 2;
  for (size_t i = 0; i < case_count(); i++)
    most += 2 * case_at(i)->shape_count;
  s->item = calloc(most, sizeof *s->item);
  if (!s->item)
    return status_error(STATUS_MEMORY, "not enough memory for the list of shapes");
  for (size_t i = 0; i < case_count(); i++)
    if (wanted(s->plan, case_at(i)->operation))
      list_case(s, case_at(i));
  for (int i = 0; i < 2 && wanted(s->plan, "model"); i++)
    s->item[s->items++] = (Item){.paper = i == 1};
  return s->items + s->large > 0
             ? status_ok()
             : status_error(STATUS_USAGE, "--shapes %s: no operation has such a shape", s->plan->shapes);
}

/* ---- the process that computes ---- */

static Status begin(void *context) {
  Session *s = context;
  TRY(device_open(&s->device, s->facts.kind, s->plan->dtype, 0));
  Status status = c_open(&s->reference, DTYPE_F64, 0);
  if (status.code != STATUS_OK)
    device_close(&s->device);
  return status;
}

static void end(void *context) {
  Session *s = context;
  c_close(&s->reference);
  device_close(&s->device);
}

/* The model is too small for threads. */
static Status compute_model(Session *s, bool paper, ModelVerdict *verdict) {
  Ops reference;
  TRY(c_open(&reference, DTYPE_F64, 1));
  Status status = verify_model(paper, &s->device.ops, &reference, (uint64_t)s->plan->seed, TRAINING_STEPS, verdict);
  c_close(&reference);
  return status;
}

/* A fault sticks to the backend, so it ends the process. */
static Status compute(void *context, size_t i, void *report) {
  Session *s = context;
  const Item *item = &s->item[i];
  Report *r = report;
  TRY(item->c ? verify_case(item->c, item->shape, item->layout, &s->device.ops, &s->reference, (uint64_t)s->plan->seed,
                            &r->verdict)
              : compute_model(s, item->paper, &r->model));
  return ops_status(&s->device.ops);
}

/* ---- what came of it ---- */

/* What was not computed to its end failed. */
static void judge_outcome(Verdict *verdict, const Status *outcome) {
  if (outcome->code == STATUS_OK)
    return;
  *verdict = (Verdict){.supported = true, .worst = INFINITY, .seconds = verdict->seconds};
  snprintf(verdict->sentence, sizeof verdict->sentence, "%.390s", outcome->message);
}

static void take_case(Session *s, const Item *item, Verdict *verdict, bool last) {
  char name[64], text[128], where[160];
  const Case *c = item->c;
  case_print(c, name);
  if (verdict->supported) {
    shape_print(item->shape, text);
    snprintf(where, sizeof where, "%s, %s", text, layout_name(item->layout));
    add_verdict(&s->tally, verdict, where);
    add_row(s, c->operation, c->direction, text, layout_name(item->layout), verdict);
  }
  if (last && s->tally.shapes > 0)
    print_line(s, name, &s->tally);
  else if (last)
    print_missing(s, name);
  if (last)
    s->tally = (Tally){0};
}

/* A fault that the verdict does not tell of is told of the pass; a pass that failed has no training behind it. */
static void take_model(Session *s, bool paper, ModelVerdict *verdict, const Status *outcome) {
  const char *preset = paper ? "paper" : "released";
  char name[64];
  Tally pass = {0}, training = {0};
  bool told = verdict->pass.supported && !(verdict->pass.good && verdict->training.good);
  if (!told)
    judge_outcome(&verdict->pass, outcome);
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

/* After each operation the file holds all so far. */
static Status take(void *context, size_t i, const void *report, Status outcome) {
  Session *s = context;
  const Item *item = &s->item[i];
  Report r = *(const Report *)report;
  bool last = i + 1 == s->items || s->item[i + 1].c != item->c || !item->c;
  if (item->c) {
    judge_outcome(&r.verdict, &outcome);
    take_case(s, item, &r.verdict, last);
  } else {
    take_model(s, item->paper, &r.model, &outcome);
  }
  progress_update(&s->progress, (double)i + 1.0);
  fflush(stdout);
  return last ? result_write(s->plan->json, s->json, false) : status_ok();
}

/* ---- the work ---- */

static Status compute_all(Session *s) {
  const Relay relay = {.count = s->items,
                       .size = sizeof(Report),
                       .seconds = s->plan->limit,
                       .here = s->plan->here,
                       .context = s,
                       .begin = begin,
                       .work = compute,
                       .end = end,
                       .take = take};
  progress_start(&s->progress, "verify", (double)s->items);
  Status status = relay_run(&relay);
  progress_end(&s->progress);
  return status;
}

/* An interruption keeps what was finished. */
static Status run(Session *s) {
  TRY(result_write(s->plan->json, s->json, false));
  Status status = compute_all(s);
  if (s->large > 0)
    printf("%zu shapes were left out: the host has too little memory for them\n", s->large);
  Status written = result_write(s->plan->json, s->json, status.code == STATUS_OK);
  TRY(status);
  TRY(written);
  return s->failed == 0 ? status_ok()
                        : status_error(STATUS_CONTRADICTED, "%zu of %zu operations differ from the reference",
                                       s->failed, s->verified);
}

static Status start_json(Session *s, const Command *command) {
  char *line = options_line(command);
  s->json = cJSON_CreateObject();
  facts_json(&s->facts, s->json);
  cJSON_AddItemToObject(s->json, "origin", json_origin(line ? line : "", (uint64_t)s->plan->seed));
  free(line);
  s->operations = cJSON_AddArrayToObject(s->json, "operations");
  return s->operations ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the report");
}

static Status open_and_run(const VerifyPlan *plan, const Command *command) {
  Session session = {.plan = plan};
  TRY(operation_check(plan->operation));
  TRY(facts_ask(plan->device, plan->dtype, plan->here, &session.facts));
  printf("%s (%s) beside C in double\n", session.facts.name, session.facts.kind);
  Status status = list_items(&session);
  if (status.code == STATUS_OK)
    status = start_json(&session, command);
  if (status.code == STATUS_OK)
    status = run(&session);
  cJSON_Delete(session.json);
  free(session.item);
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
      {"limit", OPTION_REAL, &plan.limit, "SECONDS", "what takes longer at a shape has failed; 0: no limit", 0, 1e6},
      RELAY_OPTION(plan.here),
      {"json", OPTION_TEXT, &plan.json, "FILE", "write every shape's result as JSON too, after each operation"},
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
          "tensor that differs is named. A process of its own computes; where a fault, a crash or the time limit ends "
          "it, "
          "that shape has failed and another process goes on. Exit status 1 if anything differs.",
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
