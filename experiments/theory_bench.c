/* theory_bench.c: `seesaw theory bench`: how fast the theory runs, beside the machine's limits and NumPy, all measured in one
 * run by turns. Medians of several repeats; nothing here fails because something is slow. */
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "lanes.h"
#include "options.h"
#include "progress.h"

#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_max_threads(void) {
  return 1;
}
static void omp_set_num_threads(int threads) {
  (void)threads;
}
#endif

enum { REPEATS = 9, SIX_OPERATIONS = 18, FOUR_OPERATIONS = 14 };

/* The median and the extremes of a rate over the repeats. */
typedef struct Rate {
  double sample[REPEATS], median, least, most;
} Rate;

static void settle(Rate *rate) {
  gsl_sort(rate->sample, 1, REPEATS);
  rate->median = gsl_stats_median_from_sorted_data(rate->sample, 1, REPEATS);
  rate->least = rate->sample[0];
  rate->most = rate->sample[REPEATS - 1];
}

static cJSON *rate_to_json(const Rate *rate) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddNumberToObject(object, "median", rate->median);
  cJSON_AddNumberToObject(object, "least", rate->least);
  cJSON_AddNumberToObject(object, "most", rate->most);
  return object;
}

/* A bundle of runs at k = 0.9; `rest` is the part orthogonal to a and b, 0 for the paper's start. */
static void fill(Bundle *bundle, double rest) {
  MethodParameters parameters = method_defaults();
  lanes_clear(bundle, &parameters);
  for (size_t i = 0; i < LANES; ++i) {
    double part = 0.01 * (double)i;
    Reduced start = {{0.5 + part, 0.3, rest}, {0.4, 0.2 - part, rest}};
    lanes_set(bundle, i, 0.1 + part, 0.9 / (1.1 + part), &start);
  }
}

/* Trajectory-steps a second of one rule on one core. */
static double steps_per_second(LanesIsa isa, LaneRule rule, double rest, size_t steps) {
  Bundle bundle;
  fill(&bundle, rest);
  double started = clock_seconds();
  lanes_advance(isa, rule, &bundle, steps);
  return (double)steps * LANES / (clock_seconds() - started);
}

/* Fused multiply-adds a second of one core, each element of a vector counted. */
static double multiply_adds_per_second(LanesIsa isa, size_t rounds) {
  static volatile double sink;
  double started = clock_seconds();
  sink = lanes_multiply_adds(isa, rounds);
  (void)sink;
  return (double)rounds * LANES_CHAINS * (double)lanes_width(isa) / (clock_seconds() - started);
}

/* ---- the recursion in lanes ---- */

static void measure_recursion(size_t scale, cJSON *root) {
  LanesIsa best = lanes_best();
  Rate six, four, limit;
  size_t steps = 200000 * scale;
  for (int i = 0; i < REPEATS; ++i) {
    six.sample[i] = steps_per_second(best, LANES_GD, 0.1, steps);
    four.sample[i] = steps_per_second(best, LANES_GD, 0.0, steps);
    limit.sample[i] = multiply_adds_per_second(best, 400000 * scale);
  }
  settle(&six), settle(&four), settle(&limit);
  double share6 = six.median * SIX_OPERATIONS / limit.median, share4 = four.median * FOUR_OPERATIONS / limit.median;
  printf("Recursion of gd, one core (%s)     G steps/s   least   most   of the multiply-add limit\n", lanes_name(best));
  printf("  six numbers, any start          %8.3f %8.3f %7.3f   %4.0f %% (%d operations a step)\n", six.median / 1e9,
         six.least / 1e9, six.most / 1e9, 100 * share6, SIX_OPERATIONS);
  printf("  four numbers, the paper's start %8.3f %8.3f %7.3f   %4.0f %% (%d operations a step)\n", four.median / 1e9,
         four.least / 1e9, four.most / 1e9, 100 * share4, FOUR_OPERATIONS);
  printf("  multiply-adds in registers      %8.2f G/s\n", limit.median / 1e9);
  cJSON_AddStringToObject(root, "instruction_set", lanes_name(best));
  cJSON_AddNumberToObject(root, "steps_per_second_per_core", six.median);
  cJSON_AddItemToObject(root, "six_numbers", rate_to_json(&six));
  cJSON_AddItemToObject(root, "four_numbers", rate_to_json(&four));
  cJSON_AddItemToObject(root, "multiply_adds_per_second", rate_to_json(&limit));
  cJSON_AddNumberToObject(root, "six_numbers_fraction_of_limit", share6);
  cJSON_AddNumberToObject(root, "four_numbers_fraction_of_limit", share4);
}

static void measure_rules(size_t scale, cJSON *root) {
  cJSON *isas = cJSON_AddObjectToObject(root, "instruction_sets"), *rules = cJSON_AddObjectToObject(root, "methods");
  printf("\nEach instruction set (gd, six numbers)\n");
  for (int isa = 0; isa < ISA_COUNT; ++isa)
    if (lanes_has((LanesIsa)isa)) {
      double rate = steps_per_second((LanesIsa)isa, LANES_GD, 0.1, 20000 * scale);
      printf("  %-12s %8.3f G steps/s\n", lanes_name((LanesIsa)isa), rate / 1e9);
      cJSON_AddNumberToObject(isas, lanes_name((LanesIsa)isa), rate);
    }
  printf("\nEach method (%s, six numbers)\n", lanes_name(lanes_best()));
  for (size_t m = 0; method_table[m]; ++m)
    if (method_table[m]->lanes != LANES_NONE) {
      double rate = steps_per_second(lanes_best(), method_table[m]->lanes, 0.1, 50000 * scale);
      printf("  %-12s %8.3f G steps/s\n", method_table[m]->name, rate / 1e9);
      cJSON_AddNumberToObject(rules, method_table[m]->name, rate);
    }
}

/* ---- NumPy ---- */

/* The same six-number step, vectorised over 100,000 trajectories, one thread; prints steps a second. */
static const char numpy_script[] =
    "import time,statistics,numpy as n\n"
    "N=100000;c=.3;e=.9/1.3;s=e*(1+c);d=e*(1-c)\n"
    "r=n.random.default_rng(1);p,q,o,P,Q,O=[.3*r.standard_normal(N) for _ in range(6)]\n"
    "def f(p,q,o,P,Q,O):\n"
    " a=1-e*(P*P+Q*Q+O*O);b=1-e*(p*p+q*q+o*o)\n"
    " return a*p+s*P,a*q-d*Q,a*o,b*P+s*p,b*Q-d*q,b*O\n"
    "z=[]\n"
    "for k in range(7):\n"
    " t=time.perf_counter();w=(p,q,o,P,Q,O)\n"
    " for i in range(20): w=f(*w)\n"
    " z.append(20*N/(time.perf_counter()-t))\n"
    "print(n.__version__,statistics.median(z))\n";

static void measure_numpy(double ours, cJSON *root) {
  char command[sizeof numpy_script + 200], version[64];
  double rate = NAN;
  snprintf(command, sizeof command, "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python3 -c '%s' 2>/dev/null", numpy_script);
  FILE *pipe = popen(command, "r");
  if (pipe && fscanf(pipe, "%63s %lf", version, &rate) != 2)
    rate = NAN;
  if (pipe)
    pclose(pipe);
  if (isnan(rate)) {
    printf("\nNumPy: not found (python3 with numpy), so no comparison\n");
    cJSON_AddNullToObject(root, "numpy_steps_per_second");
    cJSON_AddNullToObject(root, "ratio_to_numpy");
    return;
  }
  printf("\nNumPy %s, 100,000 trajectories at once, one core: %.3f G steps/s; ours is %.0f times that\n", version,
         rate / 1e9, ours / rate);
  cJSON_AddStringToObject(root, "numpy_version", version);
  cJSON_AddNumberToObject(root, "numpy_steps_per_second", rate);
  cJSON_AddNumberToObject(root, "ratio_to_numpy", ours / rate);
}

/* ---- full dimension ---- */

typedef struct Field {
  size_t d;
  double *a, *b, *u, *v;
} Field;

/* Bytes a second of one step in full dimension (48 d bytes). */
static double full_step_rate(Field *field, double sums[6]) {
  const double coefficient[4] = {0.5, 0.1, 0.5, 0.1};
  double started = clock_seconds();
  lanes_step_full(field->d, field->a, field->b, field->u, field->v, coefficient, sums);
  return 48.0 * (double)field->d / (clock_seconds() - started);
}

/* Bytes a second of a copy (16 bytes an element): the better of memcpy and a streaming copy, each over two halves when two
 * threads work. */
static double copy_rate(const Field *field, bool stream) {
  size_t threads = (size_t)omp_get_max_threads(), part = field->d / threads / 8 * 8;
  double started = clock_seconds();
#pragma omp parallel for schedule(static)
  for (size_t t = 0; t < threads; ++t)
    if (stream)
      lanes_copy_stream(lanes_best(), part, field->a + t * part, field->u + t * part);
    else
      memcpy(field->u + t * part, field->a + t * part, part * sizeof(double));
  return 16.0 * (double)(part * threads) / (clock_seconds() - started);
}

static void reset(Field *field) {
  for (size_t i = 0; i < field->d; ++i) {
    field->a[i] = field->b[i] = 1e-3;
    field->u[i] = field->v[i] = 1e-3;
  }
}

/* Step and copy by turns; returns the step's median share of the copy. */
static double measure_full(Field *field, int threads, cJSON *list, double *copy_median) {
  Rate step, copy, share;
  omp_set_num_threads(threads);
  reset(field);
  for (int i = 0; i < REPEATS; ++i) {
    double sums[6] = {0.1, 0.1, 1.0, 0.1, 0.1, 1.0};
    full_step_rate(field, sums);
    step.sample[i] = full_step_rate(field, sums);
    copy.sample[i] = fmax(copy_rate(field, false), copy_rate(field, true));
    share.sample[i] = step.sample[i] / copy.sample[i];
  }
  settle(&step), settle(&copy), settle(&share);
  printf("  d = %-9zu %d thread%s  step %6.2f GB/s, copy %6.2f GB/s, share %3.0f %% (%.0f to %.0f)\n", field->d, threads,
         threads > 1 ? "s" : " ", step.median / 1e9, copy.median / 1e9, 100 * share.median, 100 * share.least,
         100 * share.most);
  cJSON *object = cJSON_CreateObject();
  cJSON_AddNumberToObject(object, "dimension", (double)field->d);
  cJSON_AddNumberToObject(object, "threads", threads);
  cJSON_AddItemToObject(object, "step_bytes_per_second", rate_to_json(&step));
  cJSON_AddItemToObject(object, "copy_bytes_per_second", rate_to_json(&copy));
  cJSON_AddItemToObject(object, "fraction_of_copy", rate_to_json(&share));
  cJSON_AddItemToArray(list, object);
  *copy_median = copy.median;
  return share.median;
}

static Status measure_dimensions(bool quick, cJSON *root) {
  const size_t dimensions[] = {1000000, 3000000, 10000000};
  int most = omp_get_max_threads(), count = quick ? 1 : 3;
  Arena arena;
  TRY(arena_alloc(&arena, 4 * arena_size(dimensions[count - 1], sizeof(double))));
  Field field = {.d = dimensions[count - 1]};
  field.a = arena_doubles(&arena, field.d), field.b = arena_doubles(&arena, field.d);
  field.u = arena_doubles(&arena, field.d), field.v = arena_doubles(&arena, field.d);
  printf("\nA gradient step in full dimension, one pass of 48 d bytes, beside a copy\n");
  cJSON *list = cJSON_AddArrayToObject(root, "full_step");
  double copy = NAN, share = NAN, unused;
  for (int i = 0; i < count; ++i) {
    field.d = dimensions[i];
    share = measure_full(&field, 1, list, &copy); /* the largest dimension, beyond all caches, is reported */
    if (most > 1)
      measure_full(&field, most, list, &unused);
  }
  cJSON_AddNumberToObject(root, "full_step_fraction_of_copy", share);
  cJSON_AddNumberToObject(root, "copy_bytes_per_second", copy);
  omp_set_num_threads(most);
  arena_free(&arena);
  return status_ok();
}

static Status run_bench(bool quick, const char *json, const char *line) {
  cJSON *root = cJSON_CreateObject();
  size_t scale = quick ? 1 : 4;
  measure_recursion(scale, root);
  measure_numpy(cJSON_GetNumberValue(cJSON_GetObjectItem(root, "steps_per_second_per_core")), root);
  measure_rules(scale, root);
  Status status = measure_dimensions(quick, root);
  cJSON_AddItemToObject(root, "origin", json_origin(line, 0));
  if (status.code == STATUS_OK && *json)
    status = json_write(json, root);
  cJSON_Delete(root);
  return status;
}

Status command_theory_bench(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  bool quick = false, done = false;
  const char *json = "";
  const Option options[] = {
      {"json", OPTION_TEXT, &json, "FILE", "also write the figures as JSON"},
      {"quick", OPTION_FLAG, &quick, NULL, "shorter repeats and d = 10^6 only"},
      {0},
  };
  const Command command = {
      .name = "theory bench",
      .summary = "speed, beside the machine's limits and NumPy",
      .description = "Measures the recursion in SIMD lanes (trajectory-steps a second on one core) beside the processor's "
                     "multiply-add rate and NumPy, if python3 has it, and the step in full dimension beside a copy. Medians "
                     "of 9 repeats taken by turns in one run; least and most show the noise.",
      .examples = "seesaw theory bench\n"
                  "seesaw theory bench --quick --json bench.json",
      .options = options};
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  char *line = options_line(&command);
  Status status = run_bench(quick, json, line ? line : command.name);
  free(line);
  return status;
}
