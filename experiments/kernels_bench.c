/* kernels_bench.c: `seesaw kernels bench`: how fast a backend does each operation, beside what its memory and its
 * matrix products give and beside PyTorch, all in one run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "csv.h"
#include "device.h"
#include "json.h"
#include "kernels_names.h"
#include "kernels_peer.h"
#include "options.h"
#include "progress.h"
#include "samples.h"

enum { SETS_MOST = 1024, SETS_SLOW = 16, ROWS_MOST = 512, CALLS_MOST = 250 /* a GPU's queue takes 1024 launches */ };
static const double sample_seconds = 5e-3; /* that a sample takes by repeating the call, CALLS_MOST times at most */

typedef struct BenchPlan {
  const char *operation, *shape, *dtype, *device, *algorithms, *file, *json, *csv;
  int64_t repeats;
  bool peer, quick;
} BenchPlan;

/* A case at a shape, and what came of it. */
typedef struct Row {
  Request request; /* to the peer */
  Spread seconds;
  double bytes, operations; /* of a call */
  bool done;
} Row;

typedef struct Session {
  const BenchPlan *plan;
  Device device;
  Ops maker;                      /* makes what backward passes are given */
  double copy_rate, product_rate; /* bytes and operations a second */
  size_t count;
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
static Status measure_limits(Session *s) {
  bool card = strcmp(s->device.kind, "cuda") == 0, small = s->device.slow || s->plan->quick;
  size_t side = small ? 64 : card ? 8192 : 1024, each = dtype_bits(s->device.ops.real) / 8;
  const Shape square = {"square", .n = {side, side, side, 0, 1}};
  const Shape large = {"large", .n = {(small ? (size_t)1 << 16 : 4 * s->device.cache) / each / 1024 + 1, 1024}};
  Spread copy = {NAN}, product = {NAN};
  double bytes = NAN, unused;
  TRY(time_limit(s, "copy", &large, &copy, &bytes));
  TRY(time_limit(s, "linear", &square, &product, &unused));
  s->copy_rate = bytes / copy.median;
  s->product_rate = 2.0 * (double)side * (double)side * (double)side / product.median;
  printf("%s (%s), %s: copy %.1f GB/s, a product of %zu x %zu %.1f GFLOP/s\n", s->device.name, s->device.kind,
         s->plan->dtype, 1e-9 * s->copy_rate, side, side, 1e-9 * s->product_rate);
  return status_ok();
}

/* ---- a case ---- */

static bool wanted_shape(const Session *s, const Shape *shape) {
  const char *name = s->plan->shape;
  bool automatic = strcmp(name, "auto") == 0;
  if (automatic || strcmp(name, "real") == 0 || strcmp(name, "odd") == 0)
    return shape->real == (automatic ? !s->device.slow : strcmp(name, "real") == 0);
  return strstr(shape->name, name) != NULL;
}

/* Inputs taken in turn are together twice as large as the cache, so that none is found there; only where a call moves
 * less than a five-hundredth of the cache are there too few. */
static size_t sets_of(const Session *s, double numbers) {
  double bytes = numbers * (double)dtype_bits(s->device.ops.real) / 8.0, most = s->device.slow ? SETS_SLOW : SETS_MOST;
  double sets = 1.0 + 2.0 * (double)s->device.cache / (bytes > 1.0 ? bytes : 1.0);
  return (size_t)(sets > most ? most : sets);
}

static void list_rows(Session *s) {
  for (size_t i = 0; i < case_count(); i++) {
    const Case *c = case_at(i);
    bool wanted = !*s->plan->operation || strcmp(s->plan->operation, c->operation) == 0;
    for (size_t k = 0; k < c->shape_count && wanted && case_supported(c, &s->device.ops); k++) {
      double numbers = case_numbers(c, &c->shapes[k], s->device.ops.real);
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

static Status time_sets(Session *s, Row *row, const Workload *workload, Timed *timed) {
  for (; timed->sets < row->request.sets; timed->sets++)
    TRY(workload_place(workload, &s->device.ops, &timed->placed[timed->sets]));
  s->device.ops.operations = &row->operations;
  timed->call(&timed->placed[0]);
  s->device.ops.operations = NULL;
  row->seconds = time_all(s, timed);
  row->bytes = workload_bytes(workload);
  row->done = true;
  return ops_status(&s->device.ops);
}

static Status time_row(Session *s, Row *row) {
  const Request *r = &row->request;
  Timed timed = {.call = r->c->call, .placed = calloc(r->sets, sizeof *timed.placed)};
  Workload workload = {0};
  if (!timed.placed)
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  case_begin(r->c, &workload, r->shape, LAYOUT_PLAIN, s->device.ops.real, &s->maker, 1);
  Status status = time_sets(s, row, &workload, &timed);
  for (size_t i = 0; i < r->sets; i++)
    placed_free(&timed.placed[i]);
  workload_free(&workload);
  free(timed.placed);
  return status;
}

static void print_row(const Session *s, const Row *row) {
  char name[64], shape[128];
  double took = row->seconds.median, bytes = row->bytes / took, operations = row->operations / took;
  printf("%-20s %-48s %10.1f us  -%.0f +%.0f %%  %9.3f MB %7.1f GB/s %4.0f %% of copy",
         case_print(row->request.c, name), shape_print(row->request.shape, shape), 1e6 * took,
         100.0 * (1.0 - row->seconds.low / took), 100.0 * (row->seconds.high / took - 1.0), 1e-6 * row->bytes,
         1e-9 * bytes, 100.0 * bytes / s->copy_rate);
  if (row->operations > 0.0)
    printf("  %10.3f MFLOP %8.1f GFLOP/s %4.0f %% of the product", 1e-6 * row->operations, 1e-9 * operations,
           100.0 * operations / s->product_rate);
  if (!isnan(row->request.seconds))
    printf("  PyTorch %.1f us: %.2f times as long", 1e6 * row->request.seconds, row->request.seconds / took);
  printf("\n");
}

static void ask_peer(Session *s) {
  Request requests[ROWS_MOST];
  for (size_t i = 0; i < s->count; i++)
    requests[i] = s->rows[i].request;
  if (!peer_ask(requests, s->count, strcmp(s->device.kind, "cuda") == 0, s->device.ops.real == DTYPE_BF16,
                (int)s->plan->repeats))
    printf("PyTorch did not answer: python3 has no torch, or it does not see the device\n");
  for (size_t i = 0; i < s->count; i++)
    s->rows[i].request.seconds = requests[i].seconds;
}

static Status time_rows(Session *s) {
  Progress progress;
  Status status = status_ok();
  progress_start(&progress, "bench", (double)s->count);
  for (size_t i = 0; i < s->count && status.code == STATUS_OK; i++) {
    status = interrupt_check();
    if (status.code == STATUS_OK)
      status = time_row(s, &s->rows[i]);
    progress_end(&progress);
    if (s->rows[i].done)
      print_row(s, &s->rows[i]);
    progress_update(&progress, (double)i + 1.0);
  }
  progress_end(&progress);
  if (s->large > 0)
    printf("%zu shapes were left out: the host has too little memory for them\n", s->large);
  return status;
}

/* ---- results ---- */

static cJSON *json_of(const Session *s, const Row *row) {
  char shape[128];
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "name", row->request.c->operation);
  cJSON_AddStringToObject(json, "direction", row->request.c->direction);
  cJSON_AddStringToObject(json, "dtype", s->plan->dtype);
  cJSON_AddStringToObject(json, "shape", shape_print(row->request.shape, shape));
  cJSON_AddNumberToObject(json, "seconds", row->seconds.median);
  cJSON_AddNumberToObject(json, "fastest", row->seconds.low);
  cJSON_AddNumberToObject(json, "slowest", row->seconds.high);
  cJSON_AddNumberToObject(json, "bytes", row->bytes);
  cJSON_AddNumberToObject(json, "operations", row->operations);
  cJSON_AddNumberToObject(json, "fraction_of_copy", row->bytes / row->seconds.median / s->copy_rate);
  cJSON_AddNumberToObject(json, "fraction_of_product", row->operations / row->seconds.median / s->product_rate);
  cJSON_AddNumberToObject(json, "torch_seconds", row->request.seconds);
  return json;
}

static Status write_json(const Session *s, const char *line) {
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "device", s->device.name);
  cJSON_AddStringToObject(json, "backend", s->device.kind);
  cJSON_AddNumberToObject(json, "copy_bytes_per_second", s->copy_rate);
  cJSON_AddNumberToObject(json, "product_flops", s->product_rate);
  cJSON *list = cJSON_AddArrayToObject(json, "operations");
  for (size_t i = 0; i < s->count; i++)
    cJSON_AddItemToArray(list, json_of(s, &s->rows[i]));
  cJSON_AddItemToObject(json, "origin", json_origin(line, 1));
  Status status = json_write(s->plan->json, json);
  cJSON_Delete(json);
  return status;
}

static Status write_csv(const Session *s, const char *line) {
  CsvWriter csv;
  char text[128];
  TRY(csv_open(&csv, s->plan->csv,
               "operation,direction,dtype,shape,seconds,fastest,slowest,bytes,operations,copy_rate,product_rate,"
               "torch_seconds"));
  for (size_t i = 0; i < s->count; i++) {
    const Row *row = &s->rows[i];
    csv_text(&csv, row->request.c->operation);
    csv_text(&csv, row->request.c->direction);
    csv_text(&csv, s->plan->dtype);
    csv_text(&csv, shape_print(row->request.shape, text));
    const double cells[] = {row->seconds.median, row->seconds.low, row->seconds.high, row->bytes,
                            row->operations,     s->copy_rate,     s->product_rate,   row->request.seconds};
    for (size_t k = 0; k < sizeof cells / sizeof *cells; k++)
      csv_real(&csv, cells[k]);
    csv_end(&csv);
  }
  TRY(csv_commit(&csv));
  return origin_write(s->plan->csv, line, 1);
}

static Status run(Session *s, const Command *command) {
  TRY(measure_limits(s));
  list_rows(s);
  if (s->count == 0 && s->large == 0)
    return status_error(STATUS_USAGE, "--shape %s: no operation has such a shape; give odd, real or a part of a name",
                        s->plan->shape);
  if (s->plan->peer)
    ask_peer(s);
  TRY(time_rows(s));
  device_choices(&s->device);
  char *line = options_line(command);
  Status status = *s->plan->json ? write_json(s, line ? line : "") : status_ok();
  if (status.code == STATUS_OK && *s->plan->csv)
    status = write_csv(s, line ? line : "");
  free(line);
  return status;
}

static Status open_and_run(const BenchPlan *plan, const Command *command) {
  TRY(operation_check(plan->operation));
  Session *s = calloc(1, sizeof *s);
  if (!s)
    return status_error(STATUS_MEMORY, "not enough memory for the bench");
  s->plan = plan;
  Status status = device_open(&s->device, plan->device, plan->dtype, 0);
  if (status.code == STATUS_OK) {
    device_algorithms(&s->device, plan->algorithms, plan->file);
    status = c_open(&s->maker, DTYPE_F32, 0);
  }
  if (status.code == STATUS_OK)
    status = run(s, command);
  c_close(&s->maker);
  device_close(&s->device);
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
      {"json", OPTION_TEXT, &plan.json, "FILE", "write the numbers as JSON too"},
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
          "on the same backend.",
      .examples = "seesaw kernels bench\n"
                  "seesaw kernels bench --op layernorm --shape CLIP --peer\n"
                  "seesaw kernels bench --device cpu --shape odd --csv bench.csv\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : open_and_run(&plan, &command);
}
