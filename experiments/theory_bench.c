/* theory_bench.c: `seesaw theory bench`: how fast the lanes and the full-dimension pass are, beside the machine's
 * limits and NumPy, all measured in turn in one run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "commands.h"
#include "files.h"
#include "json.h"
#include "lanes.h"
#include "options.h"
#include "progress.h"
#include "samples.h"

enum { MOST_REPEATS = 15, MOST_ITEMS = 64, SIZES = 3, LARGEST = 10000000, BURST = 256 };

static const size_t sizes[SIZES] = {1000000, 3000000, LARGEST};

/* ---- what is measured ---- */

typedef enum { ITEM_LANES, ITEM_MULTIPLY_ADDS, ITEM_FULL, ITEM_COPY, ITEM_STREAM } Kind;

/* One thing to time: `times` calls make one sample, in units a second. */
typedef struct Item {
  Kind kind;
  LanesIsa isa;
  LaneRule rule;
  bool flat; /* four numbers instead of six */
  size_t d;  /* dimension of the full pass */
  int threads;
  double units; /* of one call: steps, fused multiply-adds or bytes */
  size_t times;
  double rate[MOST_REPEATS];
} Item;

typedef struct Bench {
  Item items[MOST_ITEMS];
  size_t count, repeats;
  int threads;    /* all of them */
  double seconds; /* of a sample, at least */
  Bundle start, bundle;
  double *a, *b, *u, *v, *from, *to; /* LARGEST each */
  double numpy;                      /* steps a second; NaN if there is no NumPy */
} Bench;

static Item *add(Bench *bench, Item item) {
  REQUIRE(bench->count < MOST_ITEMS, "room for %d items", MOST_ITEMS);
  item.threads = item.threads > 0 ? item.threads : 1;
  item.times = 1;
  bench->items[bench->count] = item;
  return &bench->items[bench->count++];
}

/* The limits stand next to what they limit, so that they are measured in the same state of the machine. */
static void list_items(Bench *bench) {
  for (LanesIsa isa = 0; isa < ISA_COUNT; isa++)
    if (lanes_has(isa)) {
      double lanes = (double)LANES * BURST, adds = 1000.0 * LANES_CHAINS * (double)lanes_width(isa);
      add(bench, (Item){.kind = ITEM_MULTIPLY_ADDS, .isa = isa, .units = adds});
      add(bench, (Item){.kind = ITEM_LANES, .isa = isa, .rule = LANES_GD, .units = lanes});
      add(bench, (Item){.kind = ITEM_LANES, .isa = isa, .rule = LANES_GD, .flat = true, .units = lanes});
    }
  for (LaneRule rule = LANES_GD + 1; rule < LANES_COUNT; rule++)
    add(bench, (Item){.kind = ITEM_LANES, .isa = lanes_best(), .rule = rule, .units = (double)LANES * BURST});
  for (int threads = 1; threads <= bench->threads; threads += bench->threads > 1 ? bench->threads - 1 : 1) {
    add(bench, (Item){.kind = ITEM_COPY, .threads = threads, .units = 16.0 * LARGEST});
    add(bench, (Item){.kind = ITEM_STREAM, .threads = threads, .units = 16.0 * LARGEST});
    for (int i = 0; i < SIZES; i++)
      add(bench, (Item){.kind = ITEM_FULL, .d = sizes[i], .threads = threads, .units = 48.0 * (double)sizes[i]});
  }
}

static void set_threads(int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#else
  (void)threads;
#endif
}

static int all_threads(void) {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/* ---- the work ---- */

/* Contracting runs, but none that ends within a burst: the numbers stay ordinary. */
static void fill_bundle(Bundle *bundle) {
  MethodParameters parameters = method_defaults();
  lanes_clear(bundle, &parameters);
  for (size_t lane = 0; lane < LANES; lane++) {
    double part = (double)lane / LANES;
    Reduced start = {{0.5 + 0.2 * part, 0.3, 0.4 - 0.1 * part}, {0.4, -0.2 - 0.1 * part, 0.3}};
    lanes_set(bundle, lane, 0.1 + 0.5 * part, 0.2, &start);
  }
}

static void run_lanes(Bench *bench, const Item *item) {
  Bundle *bundle = &bench->bundle;
  *bundle = bench->start;
  if (item->flat) {
    memset(bundle->x[2], 0, sizeof bundle->x[2]);
    memset(bundle->y[2], 0, sizeof bundle->y[2]);
    memset(bundle->previous_x[2], 0, sizeof bundle->x[2]);
    memset(bundle->previous_y[2], 0, sizeof bundle->y[2]);
  }
  lanes_advance(item->isa, item->rule, bundle, BURST);
}

static void run_full(Bench *bench, const Item *item) {
  static const double coefficient[4] = {0.999, 0.001, 0.999, 0.001};
  double sums[6] = {0.1, 0.1, 1, 0.1, 0.1, 1}; /* whatever they are, the work is the same */
  lanes_step_full(item->d, bench->a, bench->b, bench->u, bench->v, coefficient, sums);
}

/* Each thread its part, a multiple of 8 numbers. */
static void run_copy(Bench *bench, const Item *item) {
  enum { PART = LARGEST / 8 };
#pragma omp parallel for schedule(static)
  for (int thread = 0; thread < item->threads; thread++) {
    size_t first = 8 * ((size_t)PART * (size_t)thread / (size_t)item->threads);
    size_t last = 8 * ((size_t)PART * ((size_t)thread + 1) / (size_t)item->threads);
    if (item->kind == ITEM_COPY)
      memcpy(bench->to + first, bench->from + first, (last - first) * sizeof(double));
    else
      lanes_copy_stream(lanes_best(), last - first, bench->from + first, bench->to + first);
  }
}

static void call(Bench *bench, const Item *item) {
  static volatile double sink; /* what comes out must not be optimised away */
  switch (item->kind) {
  case ITEM_LANES:
    run_lanes(bench, item);
    sink = bench->bundle.x[0][0];
    break;
  case ITEM_MULTIPLY_ADDS:
    sink = lanes_multiply_adds(item->isa, 1000);
    break;
  case ITEM_FULL:
    run_full(bench, item);
    break;
  default:
    run_copy(bench, item);
    break;
  }
  (void)sink;
}

static double seconds_of(Bench *bench, const Item *item) {
  double began = clock_seconds();
  for (size_t i = 0; i < item->times; i++)
    call(bench, item);
  return clock_seconds() - began;
}

/* So many calls that a sample takes long enough for the clock. */
static void calibrate(Bench *bench, Item *item) {
  set_threads(item->threads);
  for (double taken = seconds_of(bench, item); taken < bench->seconds; taken = seconds_of(bench, item))
    item->times *= taken < bench->seconds / 16 ? 8 : 2;
}

static Status measure(Bench *bench) {
  Progress progress;
  for (size_t i = 0; i < bench->count; i++) {
    calibrate(bench, &bench->items[i]);
    TRY(interrupt_check());
  }
  progress_start(&progress, "bench", (double)bench->repeats);
  Status status = status_ok();
  for (size_t repeat = 0; repeat < bench->repeats && status.code == STATUS_OK; repeat++) {
    for (size_t i = 0; i < bench->count; i++) {
      Item *item = &bench->items[i];
      set_threads(item->threads);
      item->rate[repeat] = item->units * (double)item->times / seconds_of(bench, item);
    }
    progress_update(&progress, (double)repeat + 1);
    status = interrupt_check();
  }
  progress_end(&progress);
  set_threads(bench->threads);
  return status;
}

/* ---- NumPy, the peer ---- */

/* The same six-number recursion over arrays of trajectories, as one would write it; the better of two lengths. */
static const char *const numpy_script =
    "import time, numpy as np\n"
    "def rate(n, steps):\n"
    "    rng = np.random.default_rng(1)\n"
    "    xp, xq, xo, yp, yq, yo = 0.5 * rng.random((6, n))\n"
    "    c = 0.1 + 0.5 * rng.random(n); eta = np.full(n, 0.2)\n"
    "    gp = eta * (1 + c); gq = -eta * (1 - c)\n"
    "    began = time.perf_counter()\n"
    "    for t in range(steps):\n"
    "        kx = 1 - eta * (yp * yp + yq * yq + yo * yo)\n"
    "        ky = 1 - eta * (xp * xp + xq * xq + xo * xo)\n"
    "        xp, yp = kx * xp + gp * yp, ky * yp + gp * xp\n"
    "        xq, yq = kx * xq + gq * yq, ky * yq + gq * xq\n"
    "        xo = kx * xo; yo = ky * yo\n"
    "    return n * steps / (time.perf_counter() - began)\n"
    "print(max(rate(n, 10000000 // n) for n in (2000, 20000, 100000) for again in range(3)))\n";

static double numpy_rate(void) {
  char *command;
  double rate = NAN;
  if (asprintf(&command, "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python3 -c '%s' 2>/dev/null", numpy_script) < 0)
    return NAN;
  fflush(NULL);
  FILE *answer = popen(command, "r");
  free(command);
  if (answer == NULL)
    return NAN;
  if (fscanf(answer, "%lf", &rate) != 1)
    rate = NAN;
  pclose(answer);
  return rate;
}

/* ---- numbers out of samples ---- */

static const Item *find(const Bench *bench, Kind kind, LanesIsa isa, int threads) {
  for (size_t i = 0; i < bench->count; i++)
    if (bench->items[i].kind == kind && bench->items[i].isa == isa && bench->items[i].threads == threads)
      return &bench->items[i];
  return NULL;
}

/* The better of the two copies, sample by sample. */
static void copy_rates(const Bench *bench, int threads, double rates[MOST_REPEATS]) {
  const Item *copy = find(bench, ITEM_COPY, 0, threads), *stream = find(bench, ITEM_STREAM, 0, threads);
  for (size_t i = 0; i < bench->repeats; i++)
    rates[i] = fmax(copy->rate[i], stream->rate[i]);
}

/* Samples of one item over samples of its limit, taken at about the same time. */
static Spread fraction(const Bench *bench, const double *rates, double scale, const double *limits) {
  double ratios[MOST_REPEATS];
  for (size_t i = 0; i < bench->repeats; i++)
    ratios[i] = scale * rates[i] / limits[i];
  return spread_of(ratios, bench->repeats);
}

static Spread copy_fraction(const Bench *bench, const Item *full) {
  double copies[MOST_REPEATS];
  copy_rates(bench, full->threads, copies);
  return fraction(bench, full->rate, 1, copies);
}

/* Operations of a gd step: multiplications and fused multiply-adds. */
static double operations(const Item *item) {
  return item->flat ? 14 : 18;
}

static Spread limit_fraction(const Bench *bench, const Item *item) {
  return fraction(bench, item->rate, operations(item), find(bench, ITEM_MULTIPLY_ADDS, item->isa, 1)->rate);
}

static const char *method_of(LaneRule rule) {
  for (const MethodType *const *type = method_table; *type; type++)
    if ((*type)->lanes == rule)
      return (*type)->name;
  return "?";
}

/* ---- the table ---- */

static void print_lanes(const Bench *bench) {
  printf("%sSteps of runs packed into SIMD lanes%s, one core; median (least .. greatest) of %zu\n",
         color(stdout, COLOR_BOLD), color(stdout, COLOR_RESET), bench->repeats);
  for (size_t i = 0; i < bench->count; i++) {
    const Item *item = &bench->items[i];
    if (item->kind != ITEM_LANES)
      continue;
    Spread rate = spread_of(item->rate, bench->repeats);
    printf("  %-12s %-4s numbers  %-9s %8.4f  (%.4f .. %.4f) G steps/s", method_of(item->rule),
           item->flat ? "four" : "six", lanes_name(item->isa), 1e-9 * rate.median, 1e-9 * rate.low, 1e-9 * rate.high);
    if (item->rule == LANES_GD)
      printf("   %3.0f %% of multiply-adds at full rate", 100 * limit_fraction(bench, item).median);
    printf("\n");
  }
}

static double best_rate(const Bench *bench) {
  return spread_of(find(bench, ITEM_LANES, lanes_best(), 1)->rate, bench->repeats)
      .median; /* gd, six numbers: listed first */
}

static void print_numpy(const Bench *bench) {
  if (isnan(bench->numpy))
    printf("  NumPy: not there (python3 -c 'import numpy' fails), so nothing to compare with\n");
  else
    printf("  gd           six  numbers  NumPy     %8.4f G steps/s   lanes are %.0f times as fast\n",
           1e-9 * bench->numpy, best_rate(bench) / bench->numpy);
}

static void print_full(const Bench *bench) {
  printf("\n%sOne step in full dimension%s, one pass of 48 d bytes, beside a copy of %d numbers (16 bytes each)\n",
         color(stdout, COLOR_BOLD), color(stdout, COLOR_RESET), LARGEST);
  for (size_t i = 0; i < bench->count; i++) {
    const Item *item = &bench->items[i];
    Spread rate = spread_of(item->rate, bench->repeats);
    const char *plural = item->threads == 1 ? "thread " : "threads";
    if (item->kind == ITEM_COPY || item->kind == ITEM_STREAM)
      printf("  %-14s %2d %s  %7.2f  (%.2f .. %.2f) GB/s\n",
             item->kind == ITEM_COPY ? "copy, memcpy" : "copy, streamed", item->threads, plural, 1e-9 * rate.median,
             1e-9 * rate.low, 1e-9 * rate.high);
    if (item->kind == ITEM_FULL)
      printf("  d = %-10zu %2d %s  %7.2f  (%.2f .. %.2f) GB/s   %3.0f %% of the better copy\n", item->d, item->threads,
             plural, 1e-9 * rate.median, 1e-9 * rate.low, 1e-9 * rate.high, 100 * copy_fraction(bench, item).median);
  }
}

/* ---- JSON ---- */

static void put_spread(cJSON *object, const char *key, Spread spread) {
  cJSON *value = cJSON_AddObjectToObject(object, key);
  cJSON_AddNumberToObject(value, "median", spread.median);
  cJSON_AddNumberToObject(value, "min", spread.low);
  cJSON_AddNumberToObject(value, "max", spread.high);
}

static cJSON *put_item(cJSON *array) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddItemToArray(array, object);
  return object;
}

static void put_lanes(const Bench *bench, cJSON *array) {
  for (size_t i = 0; i < bench->count; i++) {
    const Item *item = &bench->items[i];
    if (item->kind != ITEM_LANES)
      continue;
    cJSON *object = put_item(array);
    cJSON_AddStringToObject(object, "method", method_of(item->rule));
    cJSON_AddNumberToObject(object, "numbers", item->flat ? 4 : 6);
    cJSON_AddStringToObject(object, "isa", lanes_name(item->isa));
    put_spread(object, "steps_per_second_per_core", spread_of(item->rate, bench->repeats));
    if (item->rule == LANES_GD)
      put_spread(object, "fraction_of_multiply_add_limit", limit_fraction(bench, item));
  }
}

static void put_limits(const Bench *bench, cJSON *array) {
  for (LanesIsa isa = 0; isa < ISA_COUNT; isa++)
    if (lanes_has(isa)) {
      cJSON *object = put_item(array);
      Spread rate = spread_of(find(bench, ITEM_MULTIPLY_ADDS, isa, 1)->rate, bench->repeats);
      cJSON_AddStringToObject(object, "isa", lanes_name(isa));
      put_spread(object, "multiply_adds_per_second", rate);
      cJSON_AddNumberToObject(object, "limit_steps_per_second_six_numbers", rate.median / 18);
      cJSON_AddNumberToObject(object, "limit_steps_per_second_four_numbers", rate.median / 14);
    }
}

static void put_full(const Bench *bench, cJSON *array) {
  for (size_t i = 0; i < bench->count; i++) {
    const Item *item = &bench->items[i];
    if (item->kind != ITEM_FULL)
      continue;
    cJSON *object = put_item(array);
    cJSON_AddNumberToObject(object, "d", (double)item->d);
    cJSON_AddNumberToObject(object, "threads", item->threads);
    put_spread(object, "bytes_per_second", spread_of(item->rate, bench->repeats));
    put_spread(object, "fraction_of_copy", copy_fraction(bench, item));
  }
}

/* Of all dimensions the least. */
static double least_fraction(const Bench *bench, int threads) {
  double least = INFINITY;
  for (size_t i = 0; i < bench->count; i++)
    if (bench->items[i].kind == ITEM_FULL && bench->items[i].threads == threads)
      least = fmin(least, copy_fraction(bench, &bench->items[i]).median);
  return least;
}

static void put_summary(const Bench *bench, cJSON *root) {
  double copies[MOST_REPEATS];
  copy_rates(bench, 1, copies);
  cJSON_AddStringToObject(root, "isa", lanes_name(lanes_best()));
  cJSON_AddNumberToObject(root, "repeats", (double)bench->repeats);
  cJSON_AddNumberToObject(root, "steps_per_second_per_core", best_rate(bench));
  cJSON_AddNumberToObject(root, "full_step_fraction_of_copy", least_fraction(bench, 1));
  cJSON_AddNumberToObject(root, "full_step_fraction_of_copy_all_threads", least_fraction(bench, bench->threads));
  cJSON_AddNumberToObject(root, "copy_bytes_per_second", spread_of(copies, bench->repeats).median);
  copy_rates(bench, bench->threads, copies);
  cJSON_AddNumberToObject(root, "copy_bytes_per_second_all_threads", spread_of(copies, bench->repeats).median);
  cJSON_AddNumberToObject(root, "numpy_steps_per_second", bench->numpy); /* NaN becomes null */
  cJSON_AddNumberToObject(root, "times_numpy", best_rate(bench) / bench->numpy);
}

static Status write_json(const Bench *bench, const char *path, const char *line) {
  cJSON *root = json_origin(line, 0);
  if (root == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to write %s", path);
  put_summary(bench, root);
  put_lanes(bench, cJSON_AddArrayToObject(root, "lanes"));
  put_limits(bench, cJSON_AddArrayToObject(root, "limits"));
  put_full(bench, cJSON_AddArrayToObject(root, "full_step"));
  Status status = json_write(path, root);
  cJSON_Delete(root);
  return status;
}

/* ---- the command ---- */

static Status allocate(Bench *bench) {
  double **const arrays[] = {&bench->a, &bench->b, &bench->u, &bench->v, &bench->from, &bench->to};
  bool all = true;
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
    *arrays[i] = aligned_alloc(64, LARGEST * sizeof(double));
    all = all && *arrays[i] != NULL;
  }
  if (!all)
    return status_error(STATUS_MEMORY, "the bench needs %zu MB of memory", 6 * LARGEST * sizeof(double) / 1000000);
#pragma omp parallel for schedule(static)
  for (size_t j = 0; j < LARGEST; j++)
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
      (*arrays[i])[j] = 1e-3;
  return status_ok();
}

static void release(Bench *bench) {
  double *const arrays[] = {bench->a, bench->b, bench->u, bench->v, bench->from, bench->to};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  free(bench);
}

static Status run(Bench *bench, const char *json, const char *line) {
  bench->threads = all_threads();
  fill_bundle(&bench->start);
  list_items(bench);
  TRY(allocate(bench));
  TRY(measure(bench));
  bench->numpy = numpy_rate();
  print_lanes(bench);
  print_numpy(bench);
  print_full(bench);
  return *json ? write_json(bench, json, line) : status_ok();
}

static Status begin(const char *json, bool quick, const Command *command) {
  char *line = options_line(command);
  Bench *bench = aligned_alloc(64, (sizeof *bench + 63) / 64 * 64);
  Status status = status_error(STATUS_MEMORY, "not enough memory for the bench");
  if (line && bench) {
    memset(bench, 0, sizeof *bench);
    bench->repeats = quick ? 7 : MOST_REPEATS;
    bench->seconds = quick ? 0.005 : 0.03;
    status = run(bench, json, line);
  }
  free(line);
  if (bench)
    release(bench);
  return status;
}

Status command_theory_bench(int argc, char **argv, Ranks ranks) {
  const char *json = "";
  bool quick = false, done = false;
  const Option options[] = {
      {"json", OPTION_TEXT, &json, "FILE", "also write the numbers to a JSON file; - is standard output"},
      {"quick", OPTION_FLAG, &quick, NULL, "fewer and shorter samples: a few seconds instead of half a minute"},
      {0},
  };
  const Command command = {.name = "theory bench",
                           .summary = "speed, beside the machine's limits and NumPy",
                           .description = "Measures the steps of runs packed into SIMD lanes, for every instruction "
                                          "set that is there and every method, and "
                                          "the one-pass gradient step in full dimension; beside them, in the same run "
                                          "and in turn, what limits them: fused "
                                          "multiply-adds in registers, and a copy through memory. NumPy runs the same "
                                          "recursion if python3 has it. Needs "
                                          "0.5 GB of memory. Never fails for being slow.",
                           .examples = "seesaw theory bench\n"
                                       "seesaw theory bench --quick --json bench.json",
                           .options = options};
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done || ranks.rank != 0 ? status_ok() : begin(json, quick, &command);
}
