/* kernels_bench.c: `seesaw kernels bench`: how fast a backend does each operation, beside what its memory and its
 * matrix products give and beside PyTorch, all in one run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "csv.h"
#include "kernels_device.h"
#include "kernels_names.h"
#include "kernels_peer.h"
#include "options.h"
#include "progress.h"
#include "relay.h"
#include "samples.h"

enum { SETS_MOST = 1024, SETS_SLOW = 16, ROWS_MOST = 512, CALLS_MOST = 250 /* a GPU's queue takes 1024 launches */ };
static const double sample_seconds = 5e-3; /* that a sample takes by repeating the call, CALLS_MOST times at most */

typedef struct BenchPlan {
  const char *operation, *shape, *dtype, *device, *algorithms, *file, *json, *csv;
  int64_t repeats;
  double limit; /* seconds of a shape */
  bool peer, quick, here;
} BenchPlan;

/* What the process that computes tells of it; the limits are asked for like a row. */
typedef struct Report {
  double copy_rate, product_rate; /* bytes and operations a second */
  Spread seconds;
  double bytes, operations; /* of a call */
  CudaChoices choices;
} Report;

/* A case at a shape, and what came of it. */
typedef struct Row {
  Request request; /* to the peer */
  Report report;
  bool taken;
  Status outcome;
} Row;

typedef struct Session {
  const BenchPlan *plan;
  const char *line; /* the command */
  Device device;    /* of the process that computes, like the next */
  Ops maker;        /* makes what backward passes are given */
  Facts facts;
  double copy_rate, product_rate;
  char torch[PEER_WORDS]; /* its version; empty: not asked, or not there */
  CudaChoices choices;
  Progress progress;
  size_t count, failed;
  Row rows[ROWS_MOST];
  size_t large; /* shapes left out: they do not fit into memory */
} Session;

/* ---- the limits ---- */

/* What is timed, over and over. */
typedef struct Timed {
  Call *call;
  size_t sets, next;
  Placed *placed;
} Timed;

static double time_calls(Session *s, Timed *timed, size_t calls) {
  s->device.clock.start(s->device.clock.context, calls);
  for (size_t i = 0; i < calls; i++)
    timed->call(&timed->placed[timed->next++ % timed->sets]);
  return s->device.clock.stop(s->device.clock.context) / (double)calls;
}

/* First every set once, for what is done only once; then as many calls a sample as a sample needs. */
static Spread time_all(Session *s, Timed *timed) {
  double samples[SAMPLES_MOST];
  time_calls(s, timed, timed->sets);
  double once = time_calls(s, timed, timed->sets), wanted = sample_seconds / (once > 1e-9 ? once : 1e-9);
  size_t calls = wanted < 1.0 ? 1 : wanted > CALLS_MOST ? CALLS_MOST : (size_t)wanted;
  for (int64_t i = 0; i < s->plan->repeats; i++)
    samples[i] = time_calls(s, timed, calls);
  return spread_of(samples, (size_t)s->plan->repeats);
}

static Status time_limit(Session *s, const char *operation, const Shape *shape, Spread *seconds, double *bytes) {
  Placed placed = {0};
  Timed timed = {.sets = 1, .placed = &placed};
  Workload workload = {0};
  for (size_t i = 0; i < case_count(); i++)
    if (strcmp(case_at(i)->operation, operation) == 0 && strcmp(case_at(i)->direction, "fwd") == 0) {
      timed.call = case_at(i)->call;
      if (!case_supported(case_at(i), &s->device.ops))
        return status_ok();
      case_begin(case_at(i), &workload, shape, LAYOUT_PLAIN, s->device.ops.real, &s->maker, 1);
    }
  Status status = workload_place(&workload, &s->device.ops, &placed);
  if (status.code == STATUS_OK)
    *seconds = time_all(s, &timed);
  *bytes = workload_bytes(&workload);
  placed_free(&placed);
  workload_free(&workload);
  return status.code == STATUS_OK ? ops_status(&s->device.ops) : status;
}

/* A copy of four times the cache, and a square product, both small where time is short; NaN where the backend has
 * neither. */
static Status measure_limits(Session *s, Report *r) {
  bool card = strcmp(s->device.kind, "cuda") == 0, small = s->device.slow || s->plan->quick;
  size_t side = small ? 64 : card ? 8192 : 1024, each = dtype_bits(s->device.ops.real) / 8;
  const Shape square = {"square", .n = {side, side, side, 0, 1}};
  const Shape large = {"large", .n = {(small ? (size_t)1 << 16 : 4 * s->device.cache) / each / 1024 + 1, 1024}};
  Spread copy = {NAN}, product = {NAN};
  double bytes = NAN, unused;
  TRY(time_limit(s, "copy", &large, &copy, &bytes));
  r->copy_rate = bytes / copy.median;
  TRY(time_limit(s, "linear", &square, &product, &unused));
  r->product_rate = 2.0 * (double)side * (double)side * (double)side / product.median;
  return status_ok();
}

/* ---- a case ---- */

static bool wanted_shape(const Session *s, const Shape *shape) {
  const char *name = s->plan->shape;
  bool automatic = strcmp(name, "auto") == 0;
  if (automatic || strcmp(name, "real") == 0 || strcmp(name, "odd") == 0)
    return shape->real == (automatic ? !s->facts.slow : strcmp(name, "real") == 0);
  return strstr(shape->name, name) != NULL;
}

/* Inputs taken in turn are together twice as large as the cache, so that none is found there; only where a call moves
 * less than a five-hundredth of the cache are there too few. */
static size_t sets_of(const Session *s, double numbers) {
  double bytes = numbers * (double)dtype_bits(s->facts.real) / 8.0, most = s->facts.slow ? SETS_SLOW : SETS_MOST;
  double sets = 1.0 + 2.0 * (double)s->facts.cache / (bytes > 1.0 ? bytes : 1.0);
  return (size_t)(sets > most ? most : sets);
}

static void list_rows(Session *s) {
  for (size_t i = 0; i < case_count(); i++) {
    const Case *c = case_at(i);
    bool wanted = !*s->plan->operation || strcmp(s->plan->operation, c->operation) == 0;
    for (size_t k = 0; k < c->shape_count && wanted; k++) {
      double numbers = case_numbers(c, &c->shapes[k], s->facts.real);
      if (!wanted_shape(s, &c->shapes[k]))
        continue;
      REQUIRE(s->count < ROWS_MOST, "more than %d shapes", ROWS_MOST);
      if (host_fits(24.0 * numbers))
        s->rows[s->count++].request =
            (Request){.c = c, .shape = &c->shapes[k], .sets = sets_of(s, numbers), .seconds = NAN};
      else
        s->large++;
    }
  }
}

static Status time_sets(Session *s, const Request *request, const Workload *workload, Timed *timed, Report *r) {
  for (; timed->sets < request->sets; timed->sets++)
    TRY(workload_place(workload, &s->device.ops, &timed->placed[timed->sets]));
  s->device.ops.operations = &r->operations;
  timed->call(&timed->placed[0]);
  s->device.ops.operations = NULL;
  r->seconds = time_all(s, timed);
  r->bytes = workload_bytes(workload);
  return ops_status(&s->device.ops);
}

static Status time_row(Session *s, const Request *request, Report *report) {
  Timed timed = {.call = request->c->call, .placed = calloc(request->sets, sizeof *timed.placed)};
  Workload workload = {0};
  if (!timed.placed)
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  case_begin(request->c, &workload, request->shape, LAYOUT_PLAIN, s->device.ops.real, &s->maker, 1);
  Status status = time_sets(s, request, &workload, &timed, report);
  for (size_t i = 0; i < request->sets; i++)
    placed_free(&timed.placed[i]);
  workload_free(&workload);
  free(timed.placed);
  return status;
}

/* ---- the process that computes ---- */

static Status begin(void *context) {
  Session *s = context;
  TRY(device_open(&s->device, s->facts.kind, s->plan->dtype, 0));
  device_algorithms(&s->device, s->plan->algorithms, s->plan->file);
  Status status = c_open(&s->maker, DTYPE_F32, 0);
  if (status.code != STATUS_OK)
    device_close(&s->device);
  return status;
}

static void end(void *context) {
  Session *s = context;
  c_close(&s->maker);
  device_close(&s->device);
}

static Status compute_limits(void *context, size_t item, void *report) {
  Session *s = context;
  Report *r = report;
  (void)item;
  r->copy_rate = r->product_rate = NAN;
  return measure_limits(s, r);
}

static Status compute_row(void *context, size_t i, void *report) {
  Session *s = context;
  Report *r = report;
  const Request *request = &s->rows[i].request;
  CudaChoices before = choices_since(&s->device, &(CudaChoices){0});
  r->seconds = (Spread){NAN, NAN, NAN};
  if (!case_supported(request->c, &s->device.ops))
    return status_error(STATUS_UNAVAILABLE, "the backend does not have it");
  TRY(time_row(s, request, r));
  r->choices = choices_since(&s->device, &before);
  return status_ok();
}

static Relay relay_of(Session *s) {
  return (Relay){.size = sizeof(Report),
                 .seconds = s->plan->limit,
                 .here = s->plan->here,
                 .context = s,
                 .begin = begin,
                 .end = end};
}

/* ---- what is told ---- */

static void print_row(const Session *s, const Row *row) {
  char name[64], shape[128];
  const Report *r = &row->report;
  double took = r->seconds.median, bytes = r->bytes / took, operations = r->operations / took;
  printf("%-20s %-48s ", case_print(row->request.c, name), shape_print(row->request.shape, shape));
  if (row->outcome.code != STATUS_OK) {
    printf("%sFAILED%s: %s\n", color(stdout, COLOR_RED), color(stdout, COLOR_RESET), row->outcome.message);
    return;
  }
  printf("%10.1f us  -%.0f +%.0f %%  %9.3f MB %7.1f GB/s %4.0f %% of copy", 1e6 * took,
         100.0 * (1.0 - r->seconds.low / took), 100.0 * (r->seconds.high / took - 1.0), 1e-6 * r->bytes, 1e-9 * bytes,
         100.0 * bytes / s->copy_rate);
  if (r->operations > 0.0)
    printf("  %10.3f MFLOP %8.1f GFLOP/s %4.0f %% of the product", 1e-6 * r->operations, 1e-9 * operations,
           100.0 * operations / s->product_rate);
  if (!isnan(row->request.seconds))
    printf("  PyTorch %.1f us: %.2f times as long", 1e6 * row->request.seconds, row->request.seconds / took);
  if (s->plan->peer && *row->request.how)
    printf(isnan(row->request.seconds) ? "  PyTorch: %s" : " (%s)", row->request.how);
  printf("\n");
}

static void ask_peer(Session *s) {
  Request requests[ROWS_MOST];
  for (size_t i = 0; i < s->count; i++)
    requests[i] = s->rows[i].request;
  if (!peer_ask(requests, s->count, strcmp(s->facts.kind, "cuda") == 0, s->facts.real == DTYPE_BF16,
                (int)s->plan->repeats, s->torch))
    printf("PyTorch did not answer: python3 has no torch, or it does not see the device\n");
  for (size_t i = 0; i < s->count; i++)
    s->rows[i].request = requests[i];
}

/* ---- results ---- */

static cJSON *json_of(const Session *s, const Row *row) {
  char shape[128];
  const Report *r = &row->report;
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "name", row->request.c->operation);
  cJSON_AddStringToObject(json, "direction", row->request.c->direction);
  cJSON_AddStringToObject(json, "dtype", s->plan->dtype);
  cJSON_AddStringToObject(json, "shape", shape_print(row->request.shape, shape));
  cJSON_AddNumberToObject(json, "seconds", r->seconds.median);
  cJSON_AddNumberToObject(json, "fastest", r->seconds.low);
  cJSON_AddNumberToObject(json, "slowest", r->seconds.high);
  cJSON_AddNumberToObject(json, "bytes", r->bytes);
  cJSON_AddNumberToObject(json, "operations", r->operations);
  cJSON_AddNumberToObject(json, "fraction_of_copy", r->bytes / r->seconds.median / s->copy_rate);
  cJSON_AddNumberToObject(json, "fraction_of_product", r->operations / r->seconds.median / s->product_rate);
  cJSON_AddNumberToObject(json, "torch_seconds", row->request.seconds);
  cJSON_AddStringToObject(json, "torch", row->request.how);
  if (row->outcome.code != STATUS_OK)
    cJSON_AddStringToObject(json, "failure", row->outcome.message);
  return json;
}

static Status write_json(const Session *s, bool complete) {
  cJSON *json = cJSON_CreateObject();
  facts_json(&s->facts, json);
  choices_json(&s->choices, &s->facts, json);
  cJSON_AddStringToObject(json, "torch", s->torch);
  cJSON_AddNumberToObject(json, "copy_bytes_per_second", s->copy_rate);
  cJSON_AddNumberToObject(json, "product_flops", s->product_rate);
  cJSON *list = cJSON_AddArrayToObject(json, "operations");
  for (size_t i = 0; i < s->count && s->rows[i].taken; i++)
    cJSON_AddItemToArray(list, json_of(s, &s->rows[i]));
  cJSON_AddItemToObject(json, "origin", json_origin(s->line, 1));
  Status status = result_write(s->plan->json, json, complete);
  cJSON_Delete(json);
  return status;
}

static Status write_csv(const Session *s) {
  CsvWriter csv;
  char text[128];
  TRY(csv_open(&csv, s->plan->csv,
               "operation,direction,dtype,shape,seconds,fastest,slowest,bytes,operations,copy_rate,product_rate,"
               "torch_seconds"));
  for (size_t i = 0; i < s->count && s->rows[i].taken; i++) {
    const Row *row = &s->rows[i];
    const Report *r = &row->report;
    csv_text(&csv, row->request.c->operation);
    csv_text(&csv, row->request.c->direction);
    csv_text(&csv, s->plan->dtype);
    csv_text(&csv, shape_print(row->request.shape, text));
    const double cells[] = {r->seconds.median, r->seconds.low, r->seconds.high, r->bytes,
                            r->operations,     s->copy_rate,   s->product_rate, row->request.seconds};
    for (size_t k = 0; k < sizeof cells / sizeof *cells; k++)
      csv_real(&csv, cells[k]);
    csv_end(&csv);
  }
  TRY(csv_commit(&csv));
  return origin_write(s->plan->csv, s->line, 1);
}

/* ---- the work ---- */

/* Without them rows are still timed. */
static Status take_limits(void *context, size_t item, const void *report, Status outcome) {
  Session *s = context;
  const Report *r = report;
  (void)item;
  s->copy_rate = r->copy_rate > 0.0 ? r->copy_rate : NAN; /* 0: the process ended and told nothing */
  s->product_rate = r->product_rate > 0.0 ? r->product_rate : NAN;
  if (outcome.code == STATUS_OK)
    printf("copy %.1f GB/s, square product %.1f GFLOP/s\n", 1e-9 * s->copy_rate, 1e-9 * s->product_rate);
  else
    printf("not all limits could be measured: %s\n", outcome.message);
  return status_ok();
}

/* An operation is done when its next is another's. */
static Status take_row(void *context, size_t i, const void *report, Status outcome) {
  Session *s = context;
  Row *row = &s->rows[i];
  row->report = *(const Report *)report;
  row->outcome = outcome;
  row->taken = true;
  if (outcome.code != STATUS_OK)
    row->report.seconds = (Spread){NAN, NAN, NAN};
  s->failed += outcome.code != STATUS_OK;
  choices_add(&s->choices, &row->report.choices);
  progress_end(&s->progress);
  print_row(s, row);
  fflush(stdout);
  progress_update(&s->progress, (double)i + 1.0);
  return i + 1 == s->count || s->rows[i + 1].request.c != row->request.c ? write_json(s, false) : status_ok();
}

static Status time_rows(Session *s) {
  Relay relay = relay_of(s);
  relay.count = s->count;
  relay.work = compute_row;
  relay.take = take_row;
  progress_start(&s->progress, "bench", (double)s->count);
  Status status = relay_run(&relay);
  progress_end(&s->progress);
  if (s->large > 0)
    printf("%zu shapes were left out: the host has too little memory for them\n", s->large);
  choices_print(&s->choices, &s->facts);
  return status;
}

static Status ask_limits(Session *s) {
  Relay relay = relay_of(s);
  relay.count = 1;
  relay.work = compute_limits;
  relay.take = take_limits;
  return relay_run(&relay);
}

/* An interruption keeps what was finished. */
static Status run(Session *s) {
  TRY(facts_ask(s->plan->device, s->plan->dtype, s->plan->here, &s->facts));
  list_rows(s);
  if (s->count == 0 && s->large == 0)
    return status_error(STATUS_USAGE, "--shape %s: no operation has such a shape; give odd, real or a part of a name",
                        s->plan->shape);
  printf("%s (%s), %s: ", s->facts.name, s->facts.kind, s->plan->dtype);
  TRY(ask_limits(s));
  TRY(write_json(s, false));
  if (s->plan->peer)
    ask_peer(s);
  Status status = time_rows(s);
  Status written = write_json(s, status.code == STATUS_OK);
  if (written.code == STATUS_OK && *s->plan->csv)
    written = write_csv(s);
  TRY(status);
  TRY(written);
  return s->failed == 0 ? status_ok()
                        : status_error(STATUS_UNAVAILABLE, "%zu of %zu shapes could not be timed", s->failed, s->count);
}

static Status check_and_run(const BenchPlan *plan, const Command *command) {
  TRY(operation_check(plan->operation));
  if (strcmp(plan->operation, "model") == 0)
    return status_error(STATUS_USAGE, "--op model: the model is no operation; `seesaw model bench` times it");
  Session *s = calloc(1, sizeof *s);
  char *line = options_line(command);
  if (!s || !line) {
    free(s);
    free(line);
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  }
  s->plan = plan;
  s->line = line;
  Status status = run(s);
  free(line);
  free(s);
  return status;
}

Status command_kernels_bench(int argc, char **argv, Ranks ranks) {
  BenchPlan plan = {.operation = "",
                    .shape = "auto",
                    .dtype = "f32",
                    .device = "auto",
                    .algorithms = "timed",
                    .file = "",
                    .json = "",
                    .csv = "",
                    .repeats = 9};
  const Option options[] = {
      {"op", OPTION_TEXT, &plan.operation, "NAME", "only this operation of reference/ops.h"},
      {"shape", OPTION_TEXT, &plan.shape, "odd|real|NAME", "shapes, or a part of their names; auto: real ones"},
      {"dtype", OPTION_CHOICE, &plan.dtype, NULL, "what activations are stored as", .choices = DTYPE_CHOICES},
      {"device", OPTION_CHOICE, &plan.device, NULL, "auto: the GPU if there is one", .choices = "auto," DEVICE_CHOICES},
      {"algorithms", OPTION_CHOICE, &plan.algorithms, NULL,
       "of a GPU's matrix products: cuBLASLt's first answer, those kept in a file, or timed where the file has none",
       .choices = ALGORITHM_CHOICES},
      {"algorithms-file", OPTION_TEXT, &plan.file, "FILE", "that file; without it one in the user's cache"},
      {"repeats", OPTION_INTEGER, &plan.repeats, "N", "samples of each; the median counts", 1, SAMPLES_MOST},
      {"quick", OPTION_FLAG, &plan.quick, NULL, "a small copy and product instead of the limits: to try it out"},
      {"peer", OPTION_FLAG, &plan.peer, NULL, "the same in PyTorch on the same device, if python3 has it"},
      {"limit", OPTION_REAL, &plan.limit, "SECONDS", "what takes longer at a shape is given up; 0: no limit", 0, 1e6},
      RELAY_OPTION(plan.here),
      {"json", OPTION_TEXT, &plan.json, "FILE", "write the numbers as JSON too, after each operation"},
      {"csv", OPTION_TEXT, &plan.csv, "FILE", "write the numbers as CSV too"},
      {NULL},
  };
  const Command command = {
      .name = "kernels bench",
      .summary = "speed of every operation, beside the device's limits and PyTorch",
      .description =
          "The time of each operation in each direction, on a GPU by its own clock, over inputs taken in turn that are "
          "together larger than the cache: median and spread; the bytes that it has to move beside the rate of a "
          "large copy, and its operations beside the rate of a square product of the same type, both measured first, "
          "on the same backend. A process of its own computes; where a fault, a crash or the time limit ends it, that "
          "shape has no time and another process goes on.",
      .examples = "seesaw kernels bench\n"
                  "seesaw kernels bench --op layernorm --shape CLIP --peer\n"
                  "seesaw kernels bench --device cpu --shape odd --csv bench.csv\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : check_and_run(&plan, &command);
}
