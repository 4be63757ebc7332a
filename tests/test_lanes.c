/* test_lanes.c: the SIMD lanes against plain C, bit by bit, and against the methods they stand for; the fused pass. */
#include "lanes.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "runs.h"

static const char *name_of(LaneRule rule) {
  for (const MethodType *const *type = method_table; *type; type++)
    if ((*type)->lanes == rule)
      return (*type)->name;
  return "no method";
}

static MethodParameters parameters_of_tests(void) {
  return (MethodParameters){.step = 0.1, .momentum = 0.3, .balance_cap = 1.5, .soft_period = 7};
}

/* Every lane another c, of either sign, another step and another start; flat: with x_o = y_o = 0. */
static void fill_random(Bundle *bundle, bool flat, double largest_step, uint64_t seed) {
  MethodParameters parameters = parameters_of_tests();
  Rng rng = rng_make(seed, RNG_TEST, 1);
  lanes_clear(bundle, &parameters);
  for (size_t lane = 0; lane < LANES; lane++) {
    Reduced start;
    for (size_t i = 0; i < 3; i++) {
      start.x[i] = rng_normal(rng, 100 * lane + i);
      start.y[i] = rng_normal(rng, 100 * lane + 10 + i);
    }
    if (flat)
      start.x[2] = start.y[2] = 0;
    double cosine = 1.98 * rng_uniform(rng, 100 * lane + 20) - 0.99;
    lanes_set(bundle, lane, cosine, largest_step * rng_uniform(rng, 100 * lane + 21), &start);
  }
}

/* Numbers at which something overflows, underflows, vanishes or is not a number. */
static void add_extremes(Bundle *bundle, bool flat) {
  static const double values[] = {0,     -0.0,   1e-320, -1e-310, 1e-170, 1e-154,   -1e-100,   1e30,
                                  1e100, -1e160, 1e200,  1e308,   -1e308, INFINITY, -INFINITY, NAN};
  enum { VALUES = sizeof values / sizeof *values };
  for (size_t lane = 0; lane < VALUES; lane++) {
    bundle->x[lane % (flat ? 2 : 3)][lane] = values[lane];
    bundle->y[lane % 2][VALUES - 1 - lane] *= lane % 3 == 0 ? values[lane] : 1;
  }
  bundle->x[0][20] = bundle->x[1][20] = bundle->x[2][20] = 0; /* a block that is zero */
  bundle->cosine[21] = 0;
  bundle->cosine[22] = -0.0;
}

static bool same_bytes(const void *left, const void *right, size_t size) {
  return memcmp(left, right, size) == 0;
}

static void expect_same_state(const Bundle *expected, const Bundle *got, const char *what) {
  cr_expect(same_bytes(expected->x, got->x, sizeof got->x), "%s: x", what);
  cr_expect(same_bytes(expected->y, got->y, sizeof got->y), "%s: y", what);
  cr_expect(same_bytes(expected->previous_x, got->previous_x, sizeof got->previous_x), "%s: previous x", what);
  cr_expect(same_bytes(expected->previous_y, got->previous_y, sizeof got->previous_y), "%s: previous y", what);
}

/* ---- which instruction sets ---- */

Test(lanes, plain_c_is_always_there_and_the_best_is_there) {
  cr_expect(lanes_has(ISA_PORTABLE));
  cr_expect(lanes_has(lanes_best()));
  cr_expect_not(lanes_has(ISA_COUNT));
  for (LanesIsa isa = 0; isa < ISA_COUNT; isa++) {
    cr_expect_not(lanes_has(isa) && isa > lanes_best());
    cr_expect_eq(LANES % lanes_width(isa), 0);
  }
  cr_expect_str_eq(lanes_name(ISA_PORTABLE), "portable");
  cr_expect_str_eq(lanes_name(ISA_AVX512), "avx512");
}

Test(lanes, an_instruction_set_that_does_not_exist_is_the_callers_mistake, .signal = SIGABRT) {
  Bundle bundle;
  fill_random(&bundle, false, 0.1, 1);
  lanes_advance(ISA_COUNT, LANES_GD, &bundle, 1);
}

Test(lanes, a_rule_that_does_not_exist_is_the_callers_mistake, .signal = SIGABRT) {
  Bundle bundle;
  fill_random(&bundle, false, 0.1, 1);
  lanes_advance(ISA_PORTABLE, LANES_NONE, &bundle, 1);
}

Test(lanes, looking_too_far_ahead_is_the_callers_mistake, .signal = SIGABRT) {
  Bundle bundle;
  double first[LANES];
  fill_random(&bundle, false, 0.1, 1);
  lanes_track(ISA_PORTABLE, LANES_GD, &bundle, LANES_TRACKED + 1, 1e-6, first);
}

/* ---- the same bytes on every instruction set ---- */

static void compare_isa(LanesIsa isa, LaneRule rule, const Bundle *start, size_t steps) {
  char what[128];
  Bundle expected = *start, got = *start;
  double first_expected[LANES], first_got[LANES];
  snprintf(what, sizeof what, "%s, %s, %zu steps", lanes_name(isa), name_of(rule), steps);
  lanes_track(ISA_PORTABLE, rule, &expected, steps, 0.1, first_expected);
  lanes_track(isa, rule, &got, steps, 0.1, first_got);
  cr_expect(same_bytes(first_expected, first_got, sizeof first_got), "%s: arrivals", what);
  lanes_advance(ISA_PORTABLE, rule, &expected, steps);
  lanes_advance(isa, rule, &got, steps);
  expect_same_state(&expected, &got, what);
  uint32_t done_expected = lanes_check(ISA_PORTABLE, &expected, 0.1, 1e8);
  uint32_t done_got = lanes_check(isa, &got, 0.1, 1e8);
  cr_expect_eq(done_expected, done_got, "%s: lanes done", what);
  cr_expect(same_bytes(expected.excess, got.excess, sizeof got.excess), "%s: excess", what);
  cr_expect_eq(got.iteration, start->iteration + steps);
}

Test(lanes, every_instruction_set_gives_the_bytes_of_plain_c) {
  static const size_t steps[] = {1, 2, 7, 64};
  for (LanesIsa isa = 1; isa < ISA_COUNT; isa++)
    for (LaneRule rule = 1; rule < LANES_COUNT && lanes_has(isa); rule++)
      for (int kind = 0; kind < 4; kind++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
          Bundle bundle;
          bool flat = kind % 2 == 1;
          fill_random(&bundle, flat, 3, 7 + (uint64_t)kind);
          if (kind >= 2)
            add_extremes(&bundle, flat);
          bundle.iteration = 5;
          compare_isa(isa, rule, &bundle, steps[i]);
        }
}

/* The checker is checked: one wrong bit in one lane is seen. */
Test(lanes, a_wrong_bit_would_be_seen) {
  Bundle bundle, wrong;
  fill_random(&bundle, false, 1, 3);
  wrong = bundle;
  wrong.y[2][17] = nextafter(wrong.y[2][17], 10);
  cr_expect_not(same_bytes(bundle.y, wrong.y, sizeof wrong.y));
}

/* ---- what a lane's result may not depend on ---- */

Test(lanes, steps_may_be_taken_in_any_portions) {
  for (LaneRule rule = 1; rule < LANES_COUNT; rule++) {
    Bundle whole, parts;
    fill_random(&whole, false, 0.5, 11);
    parts = whole;
    lanes_advance(lanes_best(), rule, &whole, 75);
    lanes_advance(lanes_best(), rule, &parts, 0);
    for (size_t n = 1; n <= 9; n++) /* 1 + ... + 9 = 45 */
      lanes_advance(lanes_best(), rule, &parts, n);
    lanes_advance(lanes_best(), rule, &parts, 30);
    cr_expect_eq(whole.iteration, parts.iteration);
    expect_same_state(&whole, &parts, name_of(rule));
  }
}

/* One lane with x_o != 0 makes all go the long way. Also lanes that overflow agree, and x_o = -0. */
Test(lanes, four_numbers_give_the_bytes_of_six) {
  for (LaneRule rule = 1; rule < LANES_COUNT; rule++)
    for (int extremes = 0; extremes < 2; extremes++) {
      Bundle four, six;
      fill_random(&four, true, 3, 13);
      if (extremes)
        add_extremes(&four, true);
      four.x[2][9] = -0.0;
      six = four;
      six.x[2][31] = six.previous_x[2][31] = 0.25;
      lanes_advance(lanes_best(), rule, &four, 41);
      lanes_advance(lanes_best(), rule, &six, 41);
      for (size_t lane = 0; lane < 31; lane++) {
        Reduced a = lanes_state(&four, lane), b = lanes_state(&six, lane);
        cr_expect(same_bytes(&a, &b, sizeof a), "%s: lane %zu", name_of(rule), lane);
      }
    }
}

Test(lanes, lanes_do_not_see_each_other) {
  for (LaneRule rule = 1; rule < LANES_COUNT; rule++) {
    Bundle alone, among;
    MethodParameters parameters = parameters_of_tests();
    fill_random(&among, false, 0.7, 17);
    add_extremes(&among, false);
    lanes_clear(&alone, &parameters);
    lanes_copy(&alone, 5, &among, 30);
    lanes_advance(lanes_best(), rule, &alone, 33);
    lanes_advance(lanes_best(), rule, &among, 33);
    Reduced a = lanes_state(&alone, 5), b = lanes_state(&among, 30);
    cr_expect(same_bytes(&a, &b, sizeof a), "%s", name_of(rule));
  }
}

Test(lanes, an_overflown_lane_is_the_same_nan_everywhere) {
  Bundle bundle;
  double nan = NAN;
  fill_random(&bundle, false, 0.1, 19);
  bundle.x[0][3] = 1e200;
  lanes_advance(lanes_best(), LANES_GD, &bundle, 4);
  for (int i = 0; i < 3; i++) {
    cr_expect(same_bytes(&bundle.x[i][3], &nan, sizeof nan));
    cr_expect(same_bytes(&bundle.y[i][3], &nan, sizeof nan));
    cr_expect(isfinite(bundle.x[i][2]) && isfinite(bundle.y[i][4]));
  }
  cr_expect_eq(lanes_check(lanes_best(), &bundle, -INFINITY, 1e8), 1u << 3);
  cr_expect(same_bytes(&bundle.excess[3], &nan, sizeof nan));
}

Test(lanes, numbers_whose_square_underflows_become_zero) {
  Bundle bundle;
  fill_random(&bundle, false, 0.1, 23);
  bundle.x[2][0] = 1e-160;
  bundle.x[2][1] = 1e-150;
  lanes_advance(lanes_best(), LANES_GD, &bundle, 1);
  cr_expect_eq(bundle.x[2][0], 0);
  cr_expect(fabs(bundle.x[2][1]) > 1e-151);
}

/* ---- the methods that the rules stand for ---- */

/* The largest distance from the general minimiser on the reduced problem over the steps, relative to the state. */
static double distance_from_method(const MethodType *type, double cosine, const Reduced *start, double step,
                                   size_t steps) {
  Problem problem;
  Minimizer minimizer;
  Bundle bundle;
  MethodParameters parameters = parameters_of_tests();
  double largest = 0;
  parameters.step = step;
  assert_ok(problem_reduced(&problem, cosine));
  begin_run(&minimizer, type->name, &problem, &parameters, start->x, start->y);
  lanes_clear(&bundle, &parameters);
  lanes_set(&bundle, 0, cosine, step, start);
  for (size_t t = 0; t < steps; t++) {
    take_steps(&minimizer, 1);
    lanes_advance(lanes_best(), type->lanes, &bundle, 1);
    Reduced state = lanes_state(&bundle, 0);
    Measure measure = measure_of(&minimizer);
    double far = fmax(difference(state.x, minimizer.u, 3), difference(state.y, minimizer.v, 3));
    largest = fmax(largest, far / hypot(measure.norm_u, measure.norm_v));
  }
  minimizer_free(&minimizer);
  problem_free(&problem);
  return largest;
}

/* 50 steps of about 20 roundings each, and no error grows: a stable step. */
Test(lanes, each_rule_is_its_method) {
  static const double cosines[] = {0.4, -0.4, 0.05, -0.9};
  size_t rules = 0;
  for (const MethodType *const *type = method_table; *type; type++)
    for (size_t i = 0; i < 4 && (*type)->lanes != LANES_NONE; i++) {
      Reduced general = {{0.7, -0.4, 0.5}, {0.6, 0.3, -0.2}};
      Reduced paper = reduction_paper(cosines[i], 0.8, -0.3);
      rules += i == 0;
      expect_within(distance_from_method(*type, cosines[i], &general, 0.3, 50), 1e-13, "%s at c = %g", (*type)->name,
                    cosines[i]);
      expect_within(distance_from_method(*type, cosines[i], &paper, 0.3, 50), 1e-13, "%s at c = %g, paper's start",
                    (*type)->name, cosines[i]);
    }
  cr_expect_eq(rules, LANES_COUNT - 1, "a rule of the lanes has no method, or more than one");
}

/* ---- the excess ---- */

Test(lanes, excess_is_that_of_problem_measure) {
  Bundle bundle;
  fill_random(&bundle, false, 1, 29);
  lanes_excess(lanes_best(), &bundle);
  for (size_t lane = 0; lane < LANES; lane++) {
    Measure measure;
    Reduced state = lanes_state(&bundle, lane);
    reduced_measure(bundle.cosine[lane], &state, &measure);
    expect_within(fabs(bundle.excess[lane] - measure.excess), 8 * 0x1p-52 * measure.loss, "lane %zu", lane);
  }
}

/* Close to the optimum nothing cancels: at distance 1e-12 the excess is about 1e-24, to many digits. */
Test(lanes, excess_keeps_its_digits_near_the_optimum) {
  Bundle bundle;
  MethodParameters parameters = parameters_of_tests();
  lanes_clear(&bundle, &parameters);
  for (int sign = -1; sign <= 1; sign += 2) {
    double cosine = 0.3 * sign, small = 1e-12;
    Reduced state = balanced(cosine);
    int second = cosine > 0 ? 1 : 0;
    state.x[second] = small;
    lanes_set(&bundle, 0, cosine, 0.1, &state);
    lanes_excess(lanes_best(), &bundle);
    expect_within(relative(bundle.excess[0], 0.5 * small * small * 1.3), 1e-6, "c = %g", cosine);
  }
}

Test(lanes, excess_is_zero_at_the_optimum_and_known_at_the_saddles) {
  Bundle bundle;
  MethodParameters parameters = parameters_of_tests();
  lanes_clear(&bundle, &parameters);
  Reduced zero = {{0}, {0}}, second = {{0, 0.5, 0}, {0, -1, 0}}; /* x_q y_q = -(1 - c) */
  lanes_set(&bundle, 0, 0.5, 0.1, &zero);
  lanes_set(&bundle, 1, 0.5, 0.1, &second);
  Reduced best = {{1.5, 0, 0}, {1, 0, 0}};
  lanes_set(&bundle, 2, 0.5, 0.1, &best);
  uint32_t done = lanes_check(lanes_best(), &bundle, 0, 1e8);
  cr_expect_eq(bundle.excess[0], 0.5 * 1.5 * 1.5);
  cr_expect_eq(bundle.excess[1], 1.0); /* 2 |c| */
  cr_expect_eq(bundle.excess[2], 0);
  cr_expect_eq(done & 7, 4);
}

Test(lanes, bounds_are_checked_on_every_number) {
  for (int i = 0; i < 6; i++) {
    Bundle bundle;
    fill_random(&bundle, false, 1, 31);
    double *number = i < 3 ? &bundle.x[i][6] : &bundle.y[i - 3][6];
    *number = -1.1e8;
    cr_expect_eq(lanes_check(lanes_best(), &bundle, -INFINITY, 1e8), 1u << 6);
    *number = 1e8;
    cr_expect_eq(lanes_check(lanes_best(), &bundle, -INFINITY, 1e8), 0);
  }
}

Test(lanes, track_finds_the_first_step_below) {
  enum { STEPS = 40 };
  for (LaneRule rule = 1; rule < LANES_COUNT; rule++) {
    Bundle bundle;
    double first[LANES], expected[LANES];
    fill_random(&bundle, false, 0.8, 37);
    bundle.iteration = 3;
    Bundle untouched = bundle;
    lanes_track(lanes_best(), rule, &bundle, STEPS, 0.05, first);
    cr_expect(same_bytes(&bundle, &untouched, sizeof bundle), "%s: the bundle has moved", name_of(rule));
    for (size_t lane = 0; lane < LANES; lane++)
      expected[lane] = INFINITY;
    for (size_t t = 1; t <= STEPS; t++) {
      lanes_advance(lanes_best(), rule, &bundle, 1);
      lanes_excess(lanes_best(), &bundle);
      for (size_t lane = 0; lane < LANES; lane++)
        if (bundle.excess[lane] <= 0.05 && (double)t < expected[lane])
          expected[lane] = (double)t;
    }
    cr_expect(same_bytes(first, expected, sizeof first), "%s", name_of(rule));
  }
}

/* ---- the full-dimension pass ---- */

typedef struct Full {
  size_t d;
  double *a, *b, *u, *v, sums[6];
} Full;

static Full full_make(size_t d) {
  Full f = {.d = d, .a = calloc(4 * d, sizeof(double))};
  cr_assert_not_null(f.a);
  f.b = f.a + d, f.u = f.b + d, f.v = f.u + d;
  fill_normal(f.a, 4 * d, 1, d);
  for (size_t i = 0; i < 2 * d; i++)
    f.a[i] /= sqrt((double)d);
  for (size_t i = 0; i < d; i++) {
    f.sums[0] += f.a[i] * f.u[i], f.sums[1] += f.b[i] * f.u[i], f.sums[2] += f.u[i] * f.u[i];
    f.sums[3] += f.a[i] * f.v[i], f.sums[4] += f.b[i] * f.v[i], f.sums[5] += f.v[i] * f.v[i];
  }
  return f;
}

static const double coefficient[4] = {0.9, 0.25, 1.1, -0.125};

static void full_step(Full *f, LanesIsa isa) {
  lanes_step_full_with(isa, f->d, f->a, f->b, f->u, f->v, coefficient, f->sums);
}

/* The definition, in long double. */
static void full_step_slowly(Full *f) {
  long double sums[6] = {0};
  for (size_t i = 0; i < f->d; i++) {
    long double a = f->a[i], b = f->b[i];
    long double u = coefficient[0] * (long double)f->u[i] + coefficient[1] * (a * f->sums[4] + b * f->sums[3]);
    long double v = coefficient[2] * (long double)f->v[i] + coefficient[3] * (a * f->sums[1] + b * f->sums[0]);
    const long double terms[6] = {a * u, b * u, u * u, a * v, b * v, v * v};
    f->u[i] = (double)u, f->v[i] = (double)v;
    for (int k = 0; k < 6; k++)
      sums[k] += terms[k];
  }
  for (int k = 0; k < 6; k++)
    f->sums[k] = (double)sums[k];
}

static void compare_full(size_t d) {
  Full expected = full_make(d), got = full_make(d);
  double size = 0;
  for (int t = 0; t < 3; t++) { /* the sums that come out go in again */
    full_step_slowly(&expected);
    full_step(&got, lanes_best());
  }
  for (size_t i = 0; i < d; i++)
    size += expected.u[i] * expected.u[i] + expected.v[i] * expected.v[i];
  expect_within(difference(got.u, expected.u, d), 1e-14, "u at d = %zu", d);
  expect_within(difference(got.v, expected.v, d), 1e-14, "v at d = %zu", d);
  for (int k = 0; k < 6; k++) /* 4096 / 8 additions in a row, the rest compensated */
    expect_within(fabs(got.sums[k] - expected.sums[k]), 64 * 0x1p-52 * size, "sum %d at d = %zu", k, d);
  free(expected.a);
  free(got.a);
}

Test(full_step, is_what_it_says_at_odd_sizes) {
  static const size_t sizes[] = {2, 3, 7, 8, 9, 4095, 4096, 4097, 100003};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    compare_full(sizes[i]);
}

/* Many more blocks than groups. */
Test(full_step, is_what_it_says_in_high_dimension) {
  compare_full(3000017);
}

/* d numbers that end, or begin, where the next byte cannot be touched. */
static double *guarded(size_t d, bool at_end, void **region, size_t *size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (d * sizeof(double) + page - 1) / page * page;
  *size = bytes + 2 * page;
  char *start = mmap(NULL, *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert(start != MAP_FAILED);
  cr_assert_eq(mprotect(start + page, bytes, PROT_READ | PROT_WRITE), 0);
  *region = start;
  return (double *)(start + page + (at_end ? bytes - d * sizeof(double) : 0));
}

static void step_between_guards(LanesIsa isa, size_t d, bool at_end) {
  double *array[4], sums[6] = {0};
  void *region[4];
  size_t size = 0;
  for (int k = 0; k < 4; k++)
    fill_normal(array[k] = guarded(d, at_end, &region[k], &size), d, 1, d);
  lanes_step_full_with(isa, d, array[0], array[1], array[2], array[3], coefficient, sums);
  cr_expect(isfinite(sums[2]) && sums[2] > 0, "%s at d = %zu", lanes_name(isa), d);
  for (int k = 0; k < 4; k++)
    munmap(region[k], size);
}

Test(full_step, touches_nothing_beyond_its_arrays) {
  static const size_t sizes[] = {2, 3, 7, 8, 9, 4095, 4096, 4097};
  for (LanesIsa isa = 0; isa < ISA_COUNT; isa++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && lanes_has(isa); i++) {
      step_between_guards(isa, sizes[i], false);
      step_between_guards(isa, sizes[i], true);
    }
}

static void expect_same_full(const Full *expected, const Full *got, const char *what) {
  cr_expect(same_bytes(expected->u, got->u, 2 * got->d * sizeof(double)), "%s: u, v at d = %zu", what, got->d);
  cr_expect(same_bytes(expected->sums, got->sums, sizeof got->sums), "%s: sums at d = %zu", what, got->d);
}

Test(full_step, the_bytes_do_not_depend_on_the_instruction_set) {
  static const size_t sizes[] = {2, 3, 4095, 4096, 4097, 100003};
  for (LanesIsa isa = 1; isa < ISA_COUNT; isa++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && lanes_has(isa); i++) {
      Full expected = full_make(sizes[i]), got = full_make(sizes[i]);
      full_step(&expected, ISA_PORTABLE);
      full_step(&got, isa);
      expect_same_full(&expected, &got, lanes_name(isa));
      free(expected.a);
      free(got.a);
    }
}

Test(full_step, the_bytes_do_not_depend_on_the_number_of_threads) {
#ifdef _OPENMP
  static const size_t sizes[] = {4096 * 8, 100003, 3000017};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    Full expected = full_make(sizes[i]);
    omp_set_num_threads(1);
    full_step(&expected, lanes_best());
    for (int threads = 2; threads <= 5; threads++) {
      Full got = full_make(sizes[i]);
      omp_set_num_threads(threads);
      full_step(&got, lanes_best());
      expect_same_full(&expected, &got, "threads");
      free(got.a);
    }
    free(expected.a);
  }
#else
  cr_skip_test("built without OpenMP");
#endif
}

/* ---- the bench's tools ---- */

Test(limits, the_copy_copies_and_the_multiply_adds_add) {
  enum { COUNT = 1024 };
  double *from = aligned_alloc(64, COUNT * sizeof *from), *to = aligned_alloc(64, COUNT * sizeof *to);
  cr_assert(from != NULL && to != NULL);
  fill_normal(from, COUNT, 1, 1);
  for (LanesIsa isa = 0; isa < ISA_COUNT; isa++)
    if (lanes_has(isa)) {
      memset(to, 0, COUNT * sizeof *to);
      lanes_copy_stream(isa, COUNT, from, to);
      cr_expect(same_bytes(from, to, COUNT * sizeof *to), "%s", lanes_name(isa));
      /* x <- x / 2 + 1 tends to 2 */
      cr_expect_eq(lanes_multiply_adds(isa, 200), 2.0 * LANES_CHAINS, "%s", lanes_name(isa));
    }
  free(from);
  free(to);
}
