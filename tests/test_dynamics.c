/* test_dynamics.c: what is measured of the methods against their closed forms, and the measuring itself against
 * invented methods whose rates, limits and failures are known because they were made so. */
#include "dynamics.h"

#include <float.h>
#include <signal.h>

#include "files.h"
#include "runs.h"

/* ---- the balanced optimum ---- */

static const double COSINES[] = {0.5, -0.5, 0.03, -0.999, 0.999, 1e-9, 0};
enum { COSINE_COUNT = sizeof COSINES / sizeof *COSINES };

Test(optimum, has_no_excess_and_equal_norms_at_either_sign_of_c) {
  for (size_t i = 0; i < COSINE_COUNT; i++) {
    double c = COSINES[i], sigma = 1 + fabs(c);
    Reduced state = balanced_optimum(c, 0, 0, 7);
    Measure measure;
    reduced_measure(c, &state, &measure);
    expect_within(fabs(measure.excess), 2 * sigma * sigma * DBL_EPSILON * DBL_EPSILON, "excess at c = %g", c);
    expect_within(fabs(measure.norm_u - sqrt(sigma)), 2 * DBL_EPSILON, "|u| at c = %g", c);
    cr_expect_eq(measure.norm_u, measure.norm_v);
    cr_expect_eq(measure.alignment, 1);
    cr_expect_eq(state.x[2], 0);
    cr_expect_eq(state.y[2], 0);
  }
}

/* Along: the top direction, p for c >= 0 and q for c < 0. Across: everything else. */
Test(optimum, is_disturbed_where_it_was_asked_to_be) {
  for (size_t i = 0; i < COSINE_COUNT; i++) {
    double c = COSINES[i];
    int top = c >= 0 ? 0 : 1;
    Reduced still = balanced_optimum(c, 0, 0, 7);
    Reduced along = balanced_optimum(c, 0.25, 0, 7), across = balanced_optimum(c, 0, 0.25, 7);
    for (int j = 0; j < 3; j++) {
      cr_expect_eq(along.x[j] != still.x[j] && along.y[j] != still.y[j], j == top, "along, coordinate %d, c = %g", j,
                   c);
      cr_expect_eq(across.x[j] != still.x[j] && across.y[j] != still.y[j], j != top, "across, coordinate %d, c = %g", j,
                   c);
    }
  }
}

/* A direction that the start lacks would hide its rate: the slow ones are coordinates, or sums or differences of them.
 */
Test(optimum, is_never_disturbed_by_nearly_nothing) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    Reduced state = balanced_optimum(0, 0, 1, seed);
    for (int i = 1; i < 3; i++) {
      double x = fabs(state.x[i]), y = fabs(state.y[i]);
      cr_expect(x >= 0.75 && x <= 1.5 && y >= 0.25 && y <= 0.5, "seed %d: %g, %g", (int)seed, x, y);
    }
  }
}

Test(optimum, is_disturbed_by_a_multiple_of_numbers_that_depend_on_the_seed_alone) {
  Reduced once = balanced_optimum(0.5, 0, 0.125, 3), twice = balanced_optimum(0.5, 0, 0.25, 3);
  Reduced again = balanced_optimum(0.5, 0, 0.125, 3), other = balanced_optimum(0.5, 0, 0.125, 4);
  cr_expect_eq(memcmp(&once, &again, sizeof once), 0);
  for (int j = 1; j < 3; j++) {
    cr_expect_eq(twice.x[j], 2 * once.x[j]);
    cr_expect_eq(twice.y[j], 2 * once.y[j]);
    cr_expect_neq(other.x[j], once.x[j]);
  }
}

Test(optimum, is_disturbed_to_either_side) {
  int positive[2] = {0};
  for (uint64_t seed = 0; seed < 200; seed++) {
    Reduced state = balanced_optimum(0, 0, 1, seed);
    positive[0] += state.x[1] > 0;
    positive[1] += (state.x[1] > 0) == (state.y[1] > 0);
  }
  for (int i = 0; i < 2; i++)
    cr_expect(positive[i] > 60 && positive[i] < 140, "%d of 200", positive[i]); /* 5.6 standard deviations */
}

/* ---- invented methods, which move the reduced problem's balanced optimum of c = 0.5 as they like ---- */

static const double INVENTED = 0.5;

/* Distance from the optimum times these factors, one a coordinate. */
static void shrink(Minimizer *minimizer, const double factors[3]) {
  Reduced optimum = balanced(INVENTED);
  for (int i = 0; i < 3; i++) {
    minimizer->u[i] = optimum.x[i] + factors[i] * (minimizer->u[i] - optimum.x[i]);
    minimizer->v[i] = optimum.y[i] + factors[i] * (minimizer->v[i] - optimum.y[i]);
  }
}

static Status stay(Minimizer *minimizer) {
  (void)minimizer;
  return status_ok();
}

static Status shrink_along_slowest(Minimizer *minimizer) {
  shrink(minimizer, (const double[]){0.97, 0.6, 0.2});
  return status_ok();
}

static Status shrink_across_slowest(Minimizer *minimizer) {
  shrink(minimizer, (const double[]){0.2, -0.9, 0.5});
  return status_ok();
}

static Status shrink_rest_slowest(Minimizer *minimizer) {
  shrink(minimizer, (const double[]){0.2, 0.5, 0.99});
  return status_ok();
}

/* Stable for steps below 0.7. */
static Status turn_at_0_7(Minimizer *minimizer) {
  double factor = minimizer->parameters.step < 0.7 ? 0.999 : -1.001;
  shrink(minimizer, (const double[]){factor, factor, factor});
  return status_ok();
}

static Status fail_from_0_7(Minimizer *minimizer) {
  if (minimizer->parameters.step >= 0.7)
    return status_error(STATUS_NUMERICS, "invented failure");
  shrink(minimizer, (const double[]){0.5, 0.5, 0.5});
  return status_ok();
}

static Status find_no_memory(Minimizer *minimizer) {
  (void)minimizer;
  return status_error(STATUS_MEMORY, "invented want of memory");
}

static void stop_the_test(Minimizer *minimizer) {
  (void)minimizer;
  cr_assert(false, "freed what was never made");
}

static MethodType invented(Status (*iterate)(Minimizer *)) {
  return (MethodType){.name = "invented", .uses_step = true, .lanes = LANES_GD, .iterate = iterate};
}

/* ---- rates ---- */

static double rate_of(const MethodType *type, double cosine, const MethodParameters *parameters) {
  double rate = NAN;
  assert_ok(measure_rate(type, cosine, parameters, 11, &rate));
  return rate;
}

/* Shares of the stability limit (of 1 where there is none), on both sides of each method's best step. */
Test(rate, is_the_closed_form_for_every_method) {
  static const double cosines[] = {0.1, -0.6}, shares[] = {0.3, 0.7};
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) {
        MethodParameters parameters = method_defaults();
        double limit = (*type)->limit(cosines[i], &parameters);
        parameters.step = shares[j] * (isfinite(limit) ? limit : 1);
        double predicted = (*type)->rate(cosines[i], &parameters);
        expect_within(relative(rate_of(*type, cosines[i], &parameters), predicted), 1e-6, "%s, c = %g, eta = %g",
                      (*type)->name, cosines[i], parameters.step);
      }
}

/* Written out here once more, so that a mistake shared by a method's file and its rate would show. */
Test(rate, is_what_theory_says_for_the_three_of_the_paper) {
  double c = 0.3, rho = (1 - c) / (1 + c);
  MethodParameters parameters = with_step(0.2);
  expect_within(relative(rate_of(method_find("gd"), c, &parameters), 1 - 2 * 0.2 * c), 1e-6, "gd");
  expect_within(relative(rate_of(method_find("als"), c, &parameters), rho * rho), 1e-6, "als");
  parameters.step = 1 / (1 + c);
  expect_within(relative(rate_of(method_find("altgd"), c, &parameters), rho * rho), 1e-6, "altgd at k = 1");
}

Test(rate, of_soft_alternation_is_a_step_s_at_odd_periods_too) {
  for (int period = 2; period <= 5; period++) {
    MethodParameters parameters = with_step(0.7);
    parameters.soft_period = period;
    const MethodType *soft = method_find("soft");
    expect_within(relative(rate_of(soft, 0.4, &parameters), soft->rate(0.4, &parameters)), 1e-6, "period %d", period);
  }
}

Test(rate, is_one_for_what_stays) {
  MethodType still = invented(stay);
  MethodParameters parameters = method_defaults();
  expect_within(fabs(rate_of(&still, INVENTED, &parameters) - 1), 1e-12, "nothing moves");
  expect_within(fabs(rate_of(method_find("jacobi"), INVENTED, &parameters) - 1), 1e-9, "the scales of jacobi");
}

Test(rate, is_that_of_the_slowest_direction) {
  MethodParameters parameters = method_defaults();
  MethodType along = invented(shrink_along_slowest), across = invented(shrink_across_slowest);
  MethodType rest = invented(shrink_rest_slowest);
  expect_within(relative(rate_of(&along, INVENTED, &parameters), 0.97), 1e-6, "along");
  expect_within(relative(rate_of(&across, INVENTED, &parameters), 0.9), 1e-6, "across, alternating in sign");
  expect_within(relative(rate_of(&rest, INVENTED, &parameters), 0.99), 1e-6, "the rest");
}

/* Of the audit's own: seeds at which a slow direction was nearly missing from the start, where the faster of two
 * coordinates is rounding after a few steps, and where an imbalance shows in the rest. */
Test(rate, does_not_depend_on_the_start) {
  static const struct {
    const char *method;
    double cosine, share;
  } cases[] = {{"altgd", 0.03, 0.8},      {"balance", 0.8, 0.45}, {"momentum", 0.03, 0.15}, {"gd", -0.6, 0.7},
               {"scaledgd", -0.35, 0.45}, {"soft", 0.9, 0.8},     {"flow", -0.6, 0.3}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const MethodType *type = method_find(cases[i].method);
    MethodParameters parameters = method_defaults();
    double c = cases[i].cosine, limit = type->limit(c, &parameters), rate = NAN;
    parameters.step = cases[i].share * (isfinite(limit) ? limit : 1);
    for (uint64_t seed = 0; seed < 30; seed++) {
      assert_ok(measure_rate(type, c, &parameters, seed, &rate));
      expect_within(relative(rate, type->rate(c, &parameters)), 1e-7, "%s, c = %g, seed %d", type->name, c, (int)seed);
    }
  }
}

Test(rate, is_refused_where_there_is_none) {
  double rate;
  MethodParameters parameters = with_step(3);
  MethodType failing = invented(fail_from_0_7);
  expect_refused(measure_rate(method_find("gd"), 0.5, &parameters, 1, &rate), STATUS_NUMERICS,
                 "gd with step 3 leaves the optimum at c = 0.5");
  expect_refused(measure_rate(&failing, 0.5, &parameters, 1, &rate), STATUS_NUMERICS, "invented failure");
  parameters.step = -1;
  expect_refused(measure_rate(method_find("gd"), 0.5, &parameters, 1, &rate), STATUS_USAGE, "step");
  parameters.step = NAN;
  expect_refused(measure_rate(method_find("gd"), 0.5, &parameters, 1, &rate), STATUS_USAGE, "step");
  expect_refused(measure_rate(method_find("als"), 1, &parameters, 1, &rate), STATUS_USAGE, "cosine");
}

/* ---- limits ---- */

static double limit_of(const MethodType *type, double cosine, double low, double high) {
  MethodParameters parameters = method_defaults();
  double limit = NAN;
  assert_ok(measure_limit(type, cosine, &parameters, low, high, 5, &limit));
  return limit;
}

Test(limit, is_the_closed_form_where_a_method_has_one) {
  static const double cosines[] = {0.3, -0.6};
  int compared = 0;
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < 2; i++) {
      MethodParameters parameters = method_defaults();
      double limit = (*type)->limit(cosines[i], &parameters);
      if (!isfinite(limit))
        continue;
      compared++;
      expect_within(relative(limit_of(*type, cosines[i], 0.6 * limit, 1.7 * limit), limit), 1e-4, "%s, c = %g",
                    (*type)->name, cosines[i]);
    }
  cr_expect_eq(compared, 14);
}

Test(limit, is_k_1_at_once_and_k_2_in_turn) {
  expect_within(relative(limit_of(method_find("gd"), 0.5, 0.1, 2) * 1.5, 1), 1e-4, "gd");
  expect_within(relative(limit_of(method_find("altgd"), 0.5, 0.1, 2) * 1.5, 2), 1e-4, "altgd");
}

Test(limit, of_an_invented_method_is_found_to_the_last_bisection) {
  MethodType turning = invented(turn_at_0_7), failing = invented(fail_from_0_7);
  expect_within(fabs(limit_of(&turning, INVENTED, 0, 2) - 0.7), 0x1p-24, "growth");
  expect_within(fabs(limit_of(&failing, INVENTED, 0, 2) - 0.7), 0x1p-24, "a step that fails counts as growth");
}

Test(limit, is_the_end_of_the_interval_that_is_nearer_when_there_is_none_inside) {
  MethodType turning = invented(turn_at_0_7);
  expect_within(fabs(limit_of(&turning, INVENTED, 0.1, 0.5) - 0.5), 1e-6, "always stable");
  expect_within(fabs(limit_of(&turning, INVENTED, 0.8, 1) - 0.8), 1e-6, "never stable");
}

Test(limit, is_refused_for_a_cosine_that_cannot_be) {
  MethodParameters parameters = method_defaults();
  double limit;
  expect_refused(measure_limit(method_find("gd"), -1, &parameters, 0.1, 1, 1, &limit), STATUS_USAGE, "cosine");
  expect_refused(measure_limit(method_find("gd"), NAN, &parameters, 0.1, 1, 1, &limit), STATUS_USAGE, "cosine");
}

/* ---- basins ---- */

static Basin basin_of(const char *method, double k, double scale, size_t starts, size_t steps, uint64_t seed) {
  MethodParameters parameters = with_step(k / 1.5);
  Basin basin;
  assert_ok(measure_basin(method_find(method), 0.5, &parameters, scale, 10, starts, steps, 1e-12, seed, &basin));
  return basin;
}

Test(basin, of_exact_alternation_is_everything) {
  Basin basin = basin_of("als", 1, 1, 101, 200, 1);
  cr_expect_eq(basin.fraction, 1);
  cr_expect(basin.median_steps > 1 && basin.median_steps < 40, "median %g", basin.median_steps);
}

Test(basin, of_exact_blocks_at_once_is_nothing) {
  Basin basin = basin_of("jacobi", 1, 1, 51, 200, 1);
  cr_expect_eq(basin.fraction, 0);
  cr_expect_eq(basin.median_steps, INFINITY);
}

/* A start counts as arrived at step t if t <= steps: cut off just below the median, and fewer than half arrive. */
Test(basin, has_an_infinite_median_when_fewer_than_half_arrive) {
  size_t median = (size_t)basin_of("als", 1, 1, 101, 200, 1).median_steps;
  Basin within = basin_of("als", 1, 1, 101, median, 1), without = basin_of("als", 1, 1, 101, median - 1, 1);
  cr_expect(within.fraction >= 0.5 && within.fraction < 1, "%g", within.fraction);
  cr_expect_eq(within.median_steps, (double)median);
  cr_expect(without.fraction > 0 && without.fraction < 0.5, "%g", without.fraction);
  cr_expect_eq(without.median_steps, INFINITY);
}

Test(basin, counts_the_steps_of_a_run_exactly) {
  MethodParameters parameters = with_step(0.3);
  Reduced start = reduction_gaussian(0.4, 10, 9, 0);
  Problem problem;
  Minimizer minimizer;
  Basin basin;
  assert_ok(problem_reduced(&problem, 0.5));
  begin_run(&minimizer, "altgd", &problem, &parameters, start.x, start.y);
  while (!(measure_of(&minimizer).excess <= 1e-9))
    take_steps(&minimizer, 1);
  assert_ok(measure_basin(minimizer.type, 0.5, &parameters, 0.4, 10, 1, 10000, 1e-9, 9, &basin));
  cr_expect_eq(basin.median_steps, (double)minimizer.iteration);
  cr_expect_eq(basin.fraction, 1);
  minimizer_free(&minimizer);
  problem_free(&problem);
}

Test(basin, depends_on_the_seed_alone) {
  Basin first = basin_of("gd", 0.8, 0.7, 40, 3000, 6), again = basin_of("gd", 0.8, 0.7, 40, 3000, 6);
  Basin other = basin_of("gd", 0.8, 0.7, 40, 3000, 7);
  cr_expect_eq(memcmp(&first, &again, sizeof first), 0);
  cr_expect(other.fraction != first.fraction || other.median_steps != first.median_steps);
}

Test(basin, leaves_out_starts_that_diverge_or_cannot_go_on) {
  MethodParameters parameters = method_defaults();
  MethodType failing = invented(fail_from_0_7);
  Basin basin = basin_of("gd", 0.9, 10, 20, 100000, 1);
  cr_expect_eq(basin.fraction, 0);
  parameters.step = 1;
  assert_ok(measure_basin(&failing, 0.5, &parameters, 1, 10, 20, 100, 1e-12, 1, &basin));
  cr_expect_eq(basin.fraction, 0);
  cr_expect_eq(basin.median_steps, INFINITY);
}

Test(basin, of_no_starts_is_not_a_number) {
  Basin basin = basin_of("als", 1, 1, 0, 10, 1);
  cr_expect(isnan(basin.fraction) && isnan(basin.median_steps));
}

Test(basin, is_refused_for_a_step_or_a_cosine_that_cannot_be) {
  MethodParameters parameters = with_step(0);
  const MethodType *gd = method_find("gd");
  Basin basin;
  expect_refused(measure_basin(gd, 0.5, &parameters, 1, 10, 5, 10, 1e-12, 1, &basin), STATUS_USAGE, "step");
  parameters.step = 0.1;
  expect_refused(measure_basin(gd, 1.5, &parameters, 1, 10, 5, 10, 1e-12, 1, &basin), STATUS_USAGE, "cosine");
}

/* ---- escapes ---- */

/* From the first step until tau and nu meet, |z| changes little, so the linearised count is right to a step or two. */
Test(escape, takes_the_linearised_step_s_count_down_to_1e_300) {
  static const double exponents[] = {-1, -2.5, -10, -50, -150, -300};
  for (int i = 0; i < 6; i++) {
    double measured = (double)measure_escape(0.6, 0.05, exponents[i]);
    expect_within(fabs(measured - escape_linear(0.6, 0.05, exponents[i])), 2, "1e%g, c = 0.6", exponents[i]);
    measured = (double)measure_escape(0.05, 0.1, exponents[i]);
    expect_within(fabs(measured - escape_linear(0.05, 0.1, exponents[i])), 2, "1e%g, c = 0.05", exponents[i]);
  }
}

Test(escape, tends_to_the_flow_s_time_as_the_step_shrinks) {
  double last = INFINITY;
  for (double step = 0.04; step > 0.001; step /= 2) {
    double error = relative((double)measure_escape(0.5, step, -100), escape_flow(0.5, step, -100));
    expect_within(error, 0.6 * last, "eta = %g", step); /* first order */
    last = error;
  }
}

Test(escape, has_the_closed_forms_that_it_says) {
  expect_within(relative(escape_flow(0.25, 0.1, -3), 3 * log(10) / 0.05), 1e-15, "flow");
  expect_within(relative(escape_linear(0.25, 0.1, -3), 3 * log(10) / log(1.05)), 1e-14, "linear");
  cr_expect_eq(escape_flow(0.25, 0.1, -200), 2 * escape_flow(0.25, 0.1, -100));
}

Test(escape, is_over_at_once_where_tau_and_nu_are_equal) {
  cr_expect_eq(measure_escape(0.3, 0.1, 0), 0);
}

/* Lemma 1's recursion beside the method itself, from the same start. */
Test(escape, is_that_of_gradient_descent) {
  double c = 0.4, tau = 1e-7, nu = 1;
  MethodParameters parameters = with_step(0.1);
  Reduced start = reduction_paper(c, (tau + nu) * M_SQRT1_2, (tau - nu) * M_SQRT1_2);
  Problem problem;
  Minimizer minimizer;
  assert_ok(problem_reduced(&problem, c));
  begin_run(&minimizer, "gd", &problem, &parameters, start.x, start.y);
  for (Measure measure = measure_of(&minimizer); fabs(measure.tau) < fabs(measure.nu); measure = measure_of(&minimizer))
    take_steps(&minimizer, 1);
  cr_expect_eq(measure_escape(c, 0.1, -7), minimizer.iteration);
  minimizer_free(&minimizer);
  problem_free(&problem);
}

/* ---- attractors ---- */

enum { SAMPLES = 16 };

static void attractor_of(const char *method, double cosine, double k, double alpha, double beta, size_t transient,
                         double tau[SAMPLES]) {
  MethodParameters parameters = with_step(k / (1 + fabs(cosine)));
  assert_ok(measure_attractor(method_find(method), cosine, &parameters, alpha, beta, transient, SAMPLES, tau));
}

Test(attractor, is_the_optimum_for_a_small_step) {
  double tau[SAMPLES];
  attractor_of("gd", 0.5, 0.6, 0.3, 0.2, 2000, tau);
  for (int i = 0; i < SAMPLES; i++)
    expect_within(fabs(tau[i] - 1), 1e-14, "sample %d, c > 0", i);
  attractor_of("gd", 0.5, 0.6, -0.3, -0.2, 2000, tau);
  for (int i = 0; i < SAMPLES; i++)
    expect_within(fabs(tau[i] + 1), 1e-14, "sample %d, from the other side", i);
  attractor_of("gd", -0.5, 0.6, 0.3, 0.2, 2000, tau);
  for (int i = 0; i < SAMPLES; i++)
    expect_within(fabs(tau[i]), 1e-14, "sample %d, c < 0: the optimum has tau = 0", i);
}

/* The two points x, y of the cubic map tau (1 + k (1 - tau^2)) that go to each other have x y = 1/k and
 * (x + y)^2 = 1 + 3/k. */
Test(attractor, has_period_2_past_the_limit_of_gd) {
  double tau[SAMPLES];
  for (double k = 1.05; k < 1.22; k += 0.05) {
    attractor_of("gd", 0.5, k, 0.3, 0.2, 3000, tau);
    for (int i = 0; i + 1 < SAMPLES; i++) {
      expect_within(fabs(tau[i] * tau[i + 1] - 1 / k), 1e-12, "product at k = %g", k);
      expect_within(fabs(tau[i] + tau[i + 1] - sqrt(1 + 3 / k)), 1e-12, "sum at k = %g", k);
      cr_expect_gt(fabs(tau[i] - tau[i + 1]), 0.1);
    }
  }
}

Test(attractor, is_still_the_optimum_there_for_altgd) {
  double tau[SAMPLES];
  attractor_of("altgd", 0.5, 1.2, 0.3, 0.2, 2000, tau);
  for (int i = 1; i < SAMPLES; i++)
    expect_within(fabs(tau[i] - tau[0]), 1e-14, "sample %d", i);
}

/* Without a transient the first sample is that after the first step. */
Test(attractor, samples_follow_each_other_from_the_transient_on) {
  double all[SAMPLES], later[SAMPLES], map = 0.5 * M_SQRT2;
  attractor_of("gd", 0.5, 1.9, 0.5, 0.5, 0, all);
  attractor_of("gd", 0.5, 1.9, 0.5, 0.5, 5, later);
  for (int i = 0; i < 5; i++) {
    map *= 1 + 1.9 * (1 - map * map);
    expect_within(fabs(all[i] - map), 1e-12, "step %d", i + 1);
  }
  cr_expect_eq(memcmp(all + 5, later, (SAMPLES - 5) * sizeof *all), 0);
}

Test(attractor, is_not_a_number_where_there_is_none) {
  double tau[SAMPLES];
  attractor_of("gd", 0.5, 3, 0.3, 0.2, 100, tau);
  for (int i = 0; i < SAMPLES; i++)
    cr_expect(isnan(tau[i]), "sample %d is %g", i, tau[i]);
  attractor_of("als", 0.5, 1, 0, 0, 0, tau); /* a zero block cannot be solved for */
  for (int i = 0; i < SAMPLES; i++)
    cr_expect(isnan(tau[i]), "sample %d is %g", i, tau[i]);
}

Test(attractor, keeps_the_samples_before_it_was_lost) {
  double tau[SAMPLES];
  int kept = 0;
  attractor_of("gd", 0.5, 3, 0.3, 0.2, 0, tau);
  while (kept < SAMPLES && isfinite(tau[kept]))
    kept++;
  cr_expect(kept > 0 && kept < SAMPLES, "%d", kept);
  for (int i = kept; i < SAMPLES; i++)
    cr_expect(isnan(tau[i]), "sample %d is %g", i, tau[i]);
}

Test(attractor, is_refused_for_a_step_or_a_cosine_that_cannot_be) {
  MethodParameters parameters = with_step(0);
  double tau[SAMPLES];
  expect_refused(measure_attractor(method_find("gd"), 0.5, &parameters, 1, 1, 0, SAMPLES, tau), STATUS_USAGE, "step");
  parameters.step = 0.1;
  expect_refused(measure_attractor(method_find("gd"), 1, &parameters, 1, 1, 0, SAMPLES, tau), STATUS_USAGE, "cosine");
}

/* ---- ends before the end ---- */

Test(interrupt, ends_basins_and_attractors, .timeout = 20) {
  MethodParameters parameters = with_step(1e-9);
  double tau[SAMPLES];
  Basin basin;
  interrupt_watch();
  raise(SIGINT);
  expect_refused(measure_basin(method_find("gd"), 0.5, &parameters, 1, 10, 1000000, (size_t)1 << 40, 1e-12, 1, &basin),
                 STATUS_INTERRUPTED, "interrupted");
  expect_refused(measure_attractor(method_find("gd"), 0.5, &parameters, 1, 1, (size_t)1 << 40, SAMPLES, tau),
                 STATUS_INTERRUPTED, "interrupted");
}

Test(memory, that_a_method_does_not_find_leaves_nothing_to_free) {
  MethodType poor = {.name = "poor", .alloc = find_no_memory, .iterate = stay, .free = stop_the_test};
  MethodParameters parameters = method_defaults();
  Problem problem;
  Minimizer minimizer;
  double rate;
  assert_ok(problem_reduced(&problem, 0.5));
  expect_refused(minimizer_alloc(&minimizer, &poor, &problem, &parameters), STATUS_MEMORY, "invented");
  minimizer_free(&minimizer);
  expect_refused(measure_rate(&poor, 0.5, &parameters, 1, &rate), STATUS_MEMORY, "invented");
  problem_free(&problem);
}
