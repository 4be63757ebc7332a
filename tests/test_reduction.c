/* test_reduction.c: six numbers carry a run of any dimension; the coordinates, starts and measures they stand for. */
#include "reduction.h"

#include <gsl/gsl_cdf.h>
#include <stdlib.h>

#include "runs.h"
#include "scratch.h"

static const double ROUNDING = 0x1p-53;

static const double cosines[] = {-0.9, 0.0, 0.3, 0.95};
enum { COSINES = sizeof cosines / sizeof *cosines };

/* How far the six numbers of a vector of this dimension and size may be off: sums of d products, 8 sqrt(d) u, against p
 * and q, which the rounding of a - b and a + b turns by 1/(1-|c|) times as much. */
static double error_of_coordinates(size_t dimension, double cosine, double size) {
  return 8.0 * sqrt((double)dimension) * ROUNDING * fmax(1.0, size) / (1.0 - fabs(cosine));
}

static double *numbers(size_t count) {
  double *block = malloc(count * sizeof *block);
  cr_assert_not_null(block);
  return block;
}

/* max over the six numbers, the last of each three (whose sign a vector does not have) by its absolute value. */
static double distance_of(const Reduced *seen, const double *u, const double *v) {
  const double x[3] = {u[0], u[1], fabs(u[2])}, y[3] = {v[0], v[1], fabs(v[2])};
  return fmax(difference(seen->x, x, 3), difference(seen->y, y, 3));
}

static double size_of(const double *u, const double *v) {
  const double zero[3] = {0.0};
  return fmax(difference(u, zero, 3), difference(v, zero, 3));
}

/* ---- a whole run ---- */

enum { SIX = 6, STEPS = 60 };

/* The state after each step of a reduced run: [0] is the start. */
typedef struct Path {
  double u[STEPS + 1][3], v[STEPS + 1][3];
} Path;

static void follow(const MethodType *type, const Problem *reduced, const MethodParameters *parameters,
                   const Reduced *start, size_t steps, Path *path) {
  Minimizer minimizer;
  begin_run(&minimizer, type->name, reduced, parameters, start->x, start->y);
  for (size_t t = 0; t <= steps; t++) {
    memcpy(path->u[t], minimizer.u, sizeof path->u[t]);
    memcpy(path->v[t], minimizer.v, sizeof path->v[t]);
    if (t < steps)
      take_steps(&minimizer, 1);
  }
  minimizer_free(&minimizer);
}

/* The norm of the Jacobian of the states with respect to the start, at its largest along the run: what an early error
 * grows by. */
static double growth_along(const MethodType *type, const Problem *reduced, const MethodParameters *parameters,
                           const Reduced *start, size_t steps, const Path *path) {
  const double offset = 1e-7;
  double sum2[STEPS + 1] = {0.0}, growth = 1.0;
  for (int k = 0; k < SIX; k++) {
    Path twin;
    Reduced disturbed = *start;
    *(k < 3 ? &disturbed.x[k] : &disturbed.y[k - 3]) += offset;
    follow(type, reduced, parameters, &disturbed, steps, &twin);
    for (size_t t = 0; t <= steps; t++)
      for (int i = 0; i < 3; i++) {
        double du = (twin.u[t][i] - path->u[t][i]) / offset, dv = (twin.v[t][i] - path->v[t][i]) / offset;
        sum2[t] += du * du + dv * dv;
      }
  }
  for (size_t t = 0; t <= steps; t++)
    growth = fmax(growth, sqrt(sum2[t]));
  return growth;
}

/* By how much the losses of two states may differ that lie `distance` apart: the slope there, the curvature (at most
 * |u|^2 + |v|^2 + 2 |u||v| + 2 sigma), and the rounding of sums of this size. */
static double error_of_loss(const Problem *reduced, const double *u, const double *v, double distance) {
  double du[3], dv[3], slope = 0.0, size = size_of(u, v);
  problem_gradient(reduced, u, v, du, dv);
  for (int i = 0; i < 3; i++)
    slope += fabs(du[i]) + fabs(dv[i]);
  return slope * distance + (12 * size * size + 4) * distance * distance + 64 * ROUNDING * fmax(1.0, pow(size, 4));
}

static void compare_measures(const char *what, const Minimizer *full, const Problem *reduced, const double *u,
                             const double *v, double bound) {
  Measure of_full = measure_of(full), of_six;
  double c = reduced->cosine;
  problem_measure(reduced, u, v, &of_six);
  double loss = error_of_loss(reduced, u, v, 3 * bound);
  expect_within(fabs(of_full.loss - of_six.loss), loss, "%s: loss", what);
  expect_within(fabs(of_full.excess - of_six.excess), loss, "%s: excess", what);
  expect_within(fabs(of_full.tau - of_six.tau), bound / sqrt(1.0 + c), "%s: tau", what);
  expect_within(fabs(of_full.nu - of_six.nu), bound / sqrt(1.0 - c), "%s: nu", what);
  expect_within(fabs(of_full.norm_u - of_six.norm_u), 3 * bound, "%s: |u|", what);
  expect_within(fabs(of_full.norm_v - of_six.norm_v), 3 * bound, "%s: |v|", what);
  expect_within(fabs(of_full.alignment - of_six.alignment), 6 * bound / of_six.norm_u, "%s: alignment", what);
}

/* What one iterate adds. The flow's two integrations are off by 1e-14 an element and 1e-13 of it in each of their
 * steps, fewer than four. */
static double error_of_step(const MethodType *type, size_t dimension, double cosine, double size) {
  double elements = sqrt(2.0 * (double)dimension);
  double integration = strcmp(type->name, "flow") == 0 ? 2 * 4 * (1e-14 * elements + 1e-13 * fmax(1.0, size)) : 0.0;
  return error_of_coordinates(dimension, cosine, size) + integration;
}

/* k = 0.4 or a relaxation by 0.5 (simultaneous preconditioned steps beyond scatter unbalanced scales); a cap and a
 * period that matter. */
static MethodParameters parameters_for(const MethodType *type, double cosine) {
  return (MethodParameters){.step = type->preconditioned ? 0.5 : 0.4 / (1.0 + fabs(cosine)),
                            .momentum = 0.5,
                            .balance_cap = 1.2,
                            .soft_period = 7.0};
}

/* |u| and |v| about 1, with a share in the plane of a and b that does not vanish as d grows: methods that solve for a
 * block magnify errors by its inverse. */
static void make_start(const Problem *problem, double *u, double *v) {
  const double *a, *b;
  problem_vectors(problem, &a, &b);
  start_gaussian(problem, 0.7 / sqrt((double)problem->rows), 5, u, v);
  for (size_t i = 0; i < problem->rows; i++) {
    u[i] += 0.8 * a[i] + 0.3 * b[i];
    v[i] += 0.2 * a[i] + 0.6 * b[i];
  }
}

static void check_run(const MethodType *type, size_t dimension, double cosine, size_t steps) {
  Problem problem, reduced;
  Minimizer full;
  Path path;
  char what[128];
  double *u = numbers(2 * dimension), *v = u + dimension;
  assert_ok(problem_bilinear_random(&problem, dimension, cosine, 3));
  assert_ok(problem_reduced(&reduced, problem.cosine));
  make_start(&problem, u, v);
  const Reduced start = reduction_of(&problem, u, v);
  const MethodParameters parameters = parameters_for(type, cosine);
  follow(type, &reduced, &parameters, &start, steps, &path);
  double growth = growth_along(type, &reduced, &parameters, &start, steps, &path), own = 0.0;
  begin_run(&full, type->name, &problem, &parameters, u, v);
  for (size_t t = 0; t <= steps; t++) {
    const Reduced seen = reduction_of(&problem, full.u, full.v);
    own += error_of_step(type, dimension, cosine, size_of(path.u[t], path.v[t]));
    snprintf(what, sizeof what, "%s, d = %zu, c = %g, step %zu", type->name, dimension, cosine, t);
    expect_within(distance_of(&seen, path.u[t], path.v[t]), growth * own, "%s", what);
    compare_measures(what, &full, &reduced, path.u[t], path.v[t], growth * own);
    if (t < steps)
      take_steps(&full, 1);
  }
  expect_within(growth * own, 1e-6, "%s: the bound itself", what);
  minimizer_free(&full);
  problem_free(&problem);
  problem_free(&reduced);
  free(u);
}

Test(reduction, six_numbers_carry_every_method) {
  const size_t dimensions[] = {2, 3, 17, 1001};
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < COSINES; j++)
        check_run(*type, dimensions[i], cosines[j], STEPS);
}

Test(reduction, six_numbers_carry_a_hundred_thousand_dimensions) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int j = 0; j < COSINES; j++)
      check_run(*type, 100000, cosines[j], 3);
}

/* A wrong number, a wrong sign where it counts, a NaN. */
Test(reduction, comparison_notices_an_error) {
  const Reduced state = {{1, -2, 3}, {4, 5, 6}};
  cr_expect_eq(distance_of(&state, (double[]){1, -2, -3}, (double[]){4, 5, -6}), 0.0);
  cr_expect_eq(distance_of(&state, (double[]){1, 2, 3}, (double[]){4, 5, 6}), 4.0);
  cr_expect(distance_of(&state, (double[]){1, -2, 3}, (double[]){4, 5, 6 + 1e-12}) > 1e-13);
  cr_expect_eq(distance_of(&state, (double[]){1, -2, 3}, (double[]){4, NAN, 6}), INFINITY);
}

/* ---- coordinates ---- */

typedef long double Wide;

static Wide dot(const Wide *x, const Wide *y, size_t count) {
  Wide sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += x[i] * y[i];
  return sum;
}

enum { MOST = 33 };

/* p, q and two unit vectors orthogonal to them and to each other, by Gram and Schmidt, each pass twice. */
static void basis_of(const Problem *problem, Wide basis[4][MOST]) {
  const double *a, *b;
  double noise[2 * MOST];
  size_t d = problem->rows;
  problem_vectors(problem, &a, &b);
  fill_normal(noise, 2 * MOST, 1.0, 7);
  for (size_t i = 0; i < d; i++) {
    basis[0][i] = (Wide)a[i] + b[i];
    basis[1][i] = (Wide)a[i] - b[i];
    basis[2][i] = noise[i];
    basis[3][i] = noise[MOST + i];
  }
  for (int k = 0; k < 4; k++) {
    for (int pass = 0; pass < 2; pass++)
      for (int l = 0; l < k; l++) {
        Wide along = dot(basis[l], basis[k], d);
        for (size_t i = 0; i < d; i++)
          basis[k][i] -= along * basis[l][i];
      }
    Wide norm = sqrtl(dot(basis[k], basis[k], d));
    for (size_t i = 0; i < d; i++)
      basis[k][i] /= norm;
  }
}

Test(reduction, coordinates_are_those_a_state_is_made_of) {
  const size_t dimensions[] = {5, 17, MOST};
  const Reduced made = {{-0.7, 1.3, 0.4}, {2.0, 0.0, 1e-3}};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < COSINES; j++) {
      Problem problem;
      Wide basis[4][MOST];
      double u[MOST], v[MOST];
      size_t d = dimensions[i];
      assert_ok(problem_bilinear_random(&problem, d, cosines[j], 11));
      basis_of(&problem, basis);
      for (size_t k = 0; k < d; k++) { /* -e is as good a direction as e */
        u[k] = (double)(made.x[0] * basis[0][k] + made.x[1] * basis[1][k] - made.x[2] * basis[2][k]);
        v[k] = (double)(made.y[0] * basis[0][k] + made.y[1] * basis[1][k] + made.y[2] * basis[3][k]);
      }
      const Reduced seen = reduction_of(&problem, u, v);
      expect_within(distance_of(&seen, made.x, made.y), error_of_coordinates(d, cosines[j], 2.0), "d = %zu, c = %g", d,
                    cosines[j]);
      cr_expect(seen.x[2] >= 0.0 && seen.y[2] >= 0.0);
      problem_free(&problem);
    }
}

/* u = alpha a + beta b has tau = (alpha + beta)/sqrt 2 and nu = (alpha - beta)/sqrt 2 (Eq. 4), and nothing else. */
Test(reduction, nothing_is_left_of_a_state_in_the_plane) {
  const size_t dimensions[] = {2, 3, 1001};
  const double alpha = 0.8, beta = -1.7;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < COSINES; j++) {
      Problem problem;
      const double *a, *b;
      double u[1001], v[1001], c = cosines[j];
      assert_ok(problem_bilinear_random(&problem, dimensions[i], c, 13));
      problem_vectors(&problem, &a, &b);
      for (size_t k = 0; k < dimensions[i]; k++) {
        u[k] = alpha * a[k] + beta * b[k];
        v[k] = 3.0 * a[k];
      }
      const Reduced seen = reduction_of(&problem, u, v);
      const double x[3] = {sqrt((1 + c) / 2) * (alpha + beta), sqrt((1 - c) / 2) * (alpha - beta), 0.0};
      const double y[3] = {sqrt((1 + c) / 2) * 3.0, sqrt((1 - c) / 2) * 3.0, 0.0};
      expect_within(distance_of(&seen, x, y), error_of_coordinates(dimensions[i], c, 3.0), "d = %zu, c = %g",
                    dimensions[i], c);
      problem_free(&problem);
    }
}

/* In the plane there is no third direction, whatever the state. */
Test(reduction, two_dimensions_are_the_plane) {
  for (int j = 0; j < COSINES; j++)
    for (uint64_t seed = 0; seed < 20; seed++) {
      Problem problem;
      double u[2], v[2];
      assert_ok(problem_bilinear_random(&problem, 2, cosines[j], 17 + seed));
      start_gaussian(&problem, 1.0, seed, u, v);
      const Reduced seen = reduction_of(&problem, u, v);
      double bound = error_of_coordinates(2, cosines[j], hypot(u[0], u[1]) + hypot(v[0], v[1]));
      expect_within(seen.x[2], bound, "x_o, c = %g", cosines[j]);
      expect_within(seen.y[2], bound, "y_o, c = %g", cosines[j]);
      expect_within(fabs(hypot(seen.x[0], seen.x[1]) - hypot(u[0], u[1])), bound, "|u|, c = %g", cosines[j]);
      problem_free(&problem);
    }
}

Test(reduction, what_is_not_a_number_stays_none) {
  Problem problem;
  double u[9], v[9];
  assert_ok(problem_bilinear_random(&problem, 9, 0.3, 19));
  start_gaussian(&problem, 1.0, 1, u, v);
  v[4] = NAN;
  const Reduced seen = reduction_of(&problem, u, v);
  cr_expect(isnan(seen.y[0]) && isnan(seen.y[1]) && isnan(seen.y[2]));
  cr_expect_not(isnan(seen.x[0]) || isnan(seen.x[1]) || isnan(seen.x[2]));
  problem_free(&problem);
}

/* ---- the paper's start ---- */

/* alpha and beta of u = alpha a + beta b. */
static void scales_of(const Problem *problem, const double *u, double *alpha, double *beta) {
  const double *a, *b;
  double c = problem->cosine, of_a = 0.0, of_b = 0.0;
  problem_vectors(problem, &a, &b);
  for (size_t i = 0; i < problem->rows; i++) {
    of_a += a[i] * u[i];
    of_b += b[i] * u[i];
  }
  *alpha = (of_a - c * of_b) / ((1 - c) * (1 + c));
  *beta = (of_b - c * of_a) / ((1 - c) * (1 + c));
}

/* u0 = alpha a + beta b, v0 = beta a + alpha b (Eq. 2), drawn in d dimensions and written down in six numbers. */
Test(reduction, papers_start_in_six_numbers_is_that_in_full) {
  const size_t dimensions[] = {2, 3, 17, 1001};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < COSINES; j++) {
      Problem problem;
      double u[1001], v[1001], alpha, beta, other_alpha, other_beta, c = cosines[j];
      assert_ok(problem_bilinear_random(&problem, dimensions[i], c, 23));
      start_paper(&problem, 1.5, 29 + (uint64_t)j, u, v);
      scales_of(&problem, u, &alpha, &beta);
      scales_of(&problem, v, &other_alpha, &other_beta);
      const Reduced seen = reduction_of(&problem, u, v), written = reduction_paper(problem.cosine, alpha, beta);
      double bound = 4 * error_of_coordinates(dimensions[i], c, fabs(alpha) + fabs(beta)); /* of scales_of, too */
      expect_within(fabs(other_alpha - beta), bound, "v0's scale of a, c = %g", c);
      expect_within(fabs(other_beta - alpha), bound, "v0's scale of b, c = %g", c);
      expect_within(distance_of(&seen, written.x, written.y), bound, "d = %zu, c = %g", dimensions[i], c);
      cr_expect(written.x[2] == 0.0 && written.y[2] == 0.0);
      cr_expect(fabs(alpha - beta) > 1e-3 && fabs(alpha + beta) > 1e-3, "the draw tells a from b");
      problem_free(&problem);
    }
}

Test(reduction, papers_start_has_the_papers_coordinates) {
  for (int j = 0; j < COSINES; j++) {
    Measure measure;
    const Reduced start = reduction_paper(cosines[j], 1.25, -0.5);
    reduced_measure(cosines[j], &start, &measure);
    expect_within(relative(measure.tau, 0.75 * M_SQRT1_2), 8 * ROUNDING, "tau, c = %g", cosines[j]);
    expect_within(relative(measure.nu, 1.75 * M_SQRT1_2), 8 * ROUNDING, "nu, c = %g", cosines[j]);
    cr_expect_eq(measure.norm_u, measure.norm_v, "Theorem 3");
  }
}

/* ---- statistics of the starts ---- */

enum { DRAWS = 4000 };

/* The mean of the draws is within five standard errors of what it should be. */
static void expect_mean(const double *draws, double mean, double deviation, const char *what) {
  double sum = 0.0;
  for (int i = 0; i < DRAWS; i++)
    sum += draws[i];
  expect_within(fabs(sum / DRAWS - mean), 5 * deviation / sqrt(DRAWS), "%s: the mean %g, not %g", what, sum / DRAWS,
                mean);
}

/* Standard normal: the first two moments (the square has the variance 2). */
static void expect_normal(const double *draws, const char *what) {
  double square[DRAWS];
  for (int i = 0; i < DRAWS; i++)
    square[i] = draws[i] * draws[i];
  expect_mean(draws, 0.0, 1.0, what);
  expect_mean(square, 1.0, M_SQRT2, what);
}

/* Chi-squared with k degrees of freedom: mean k, variance 2k; the squared deviation has the mean 2k and, since the
 * fourth central moment is 12k(k+4), the variance 12k(k+4) - 4k^2. */
static void expect_chi_squared(const double *draws, double degrees, const char *what) {
  double square[DRAWS];
  for (int i = 0; i < DRAWS; i++)
    square[i] = (draws[i] - degrees) * (draws[i] - degrees);
  expect_mean(draws, degrees, sqrt(2 * degrees), what);
  expect_mean(square, 2 * degrees, sqrt(8 * degrees * degrees + 48 * degrees), what);
}

/* Uncorrelated: the product of two standardised draws has the mean 0 and the variance 1. */
static void expect_unrelated(const double *one, double mean_one, double deviation_one, const double *other,
                             double mean_other, double deviation_other, const char *what) {
  double product[DRAWS];
  for (int i = 0; i < DRAWS; i++)
    product[i] = (one[i] - mean_one) / deviation_one * (other[i] - mean_other) / deviation_other;
  expect_mean(product, 0.0, 1.0, what);
}

/* The six numbers of many starts, in units of the scale; the third of each three squared. */
typedef struct Sample {
  double of[SIX][DRAWS];
} Sample;

static void sample_put(Sample *sample, int draw, const Reduced *state, double scale) {
  for (int k = 0; k < 3; k++) {
    double x = state->x[k] / scale, y = state->y[k] / scale;
    sample->of[k][draw] = k < 2 ? x : x * x;
    sample->of[k + 3][draw] = k < 2 ? y : y * y;
  }
}

static void expect_gaussian_start(const Sample *sample, size_t dimension) {
  static const char *const names[SIX] = {"x_p", "x_q", "x_o", "y_p", "y_q", "y_o"};
  double degrees = (double)dimension - 2.0;
  char what[64];
  for (int k = 0; k < SIX; k++) {
    snprintf(what, sizeof what, "%s, d = %zu", names[k], dimension);
    if (k % 3 < 2)
      expect_normal(sample->of[k], what);
    else
      expect_chi_squared(sample->of[k], degrees, what);
    for (int l = 0; l < k; l++) {
      snprintf(what, sizeof what, "%s and %s, d = %zu", names[k], names[l], dimension);
      expect_unrelated(sample->of[k], k % 3 < 2 ? 0 : degrees, k % 3 < 2 ? 1 : sqrt(2 * degrees), sample->of[l],
                       l % 3 < 2 ? 0 : degrees, l % 3 < 2 ? 1 : sqrt(2 * degrees), what);
    }
  }
}

static Sample sample; /* too large for the stack */

Test(reduction, gaussian_start_has_normal_and_chi_squared_numbers) {
  const size_t dimensions[] = {3, 4, 17, 1001, 1000000};
  for (int i = 0; i < 5; i++) {
    for (int draw = 0; draw < DRAWS; draw++) {
      const Reduced start = reduction_gaussian(0.25, dimensions[i], 31, (uint64_t)draw);
      sample_put(&sample, draw, &start, 0.25);
    }
    expect_gaussian_start(&sample, dimensions[i]);
  }
}

/* The same statistics from starts drawn in full. */
Test(reduction, gaussian_start_in_full_has_the_same_numbers) {
  Problem problem;
  double u[17], v[17];
  assert_ok(problem_bilinear_random(&problem, 17, -0.6, 37));
  for (int draw = 0; draw < DRAWS; draw++) {
    start_gaussian(&problem, 0.25, (uint64_t)draw, u, v);
    const Reduced start = reduction_of(&problem, u, v);
    sample_put(&sample, draw, &start, 0.25);
  }
  expect_gaussian_start(&sample, 17);
  problem_free(&problem);
}

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Kolmogorov and Smirnov: sqrt(n) times the largest distance exceeds 2.2 with a chance of 2 exp(-2 2.2^2) = 1e-4. */
Test(reduction, gaussian_start_follows_the_whole_distribution) {
  const size_t dimensions[] = {3, 17, 1002, 1003, 30000};
  for (int i = 0; i < 5; i++) {
    double draws[DRAWS], most = 0.0;
    for (int draw = 0; draw < DRAWS; draw++)
      draws[draw] = pow(reduction_gaussian(1.0, dimensions[i], 41, (uint64_t)draw).y[2], 2);
    qsort(draws, DRAWS, sizeof *draws, ascending);
    for (int draw = 0; draw < DRAWS; draw++) {
      double chance = gsl_cdf_chisq_P(draws[draw], (double)dimensions[i] - 2.0);
      most = fmax(most, fmax(chance - (double)draw / DRAWS, (draw + 1.0) / DRAWS - chance));
    }
    expect_within(most * sqrt(DRAWS), 2.2, "d = %zu", dimensions[i]);
  }
}

/* From 1000 to 1001 degrees the formula changes. A quantile is k + z sqrt(2k) + 2/3 (z^2 - 1) + ..., so it grows there
 * by 1 + z / sqrt(2k), and the formulas differ by less than 1e-4 standard deviations, sqrt(2000) each. */
Test(reduction, gaussian_start_goes_on_smoothly_where_the_formula_changes) {
  for (uint64_t index = 0; index < DRAWS; index++) {
    double low = pow(reduction_gaussian(1.0, 1002, 41, index).x[2], 2);
    double high = pow(reduction_gaussian(1.0, 1003, 41, index).x[2], 2);
    double z = (low - 1000.0) / sqrt(2000.0), skewness = 2.0 / 3.0 * (z * z - 1.0);
    double growth = 1.0 + (z - skewness / sqrt(2000.0)) / sqrt(2000.0);
    expect_within(fabs(high - low - growth), 1e-4 * sqrt(2000.0) + 5e-4, "chi^2 = %g", low);
  }
}

Test(reduction, scales_of_the_papers_start_are_normal) {
  Problem problem;
  double alpha[DRAWS], beta[DRAWS], u[3], v[3];
  assert_ok(problem_bilinear_random(&problem, 3, 0.3, 43));
  for (int draw = 0; draw < DRAWS; draw++) {
    start_paper(&problem, 2.0, (uint64_t)draw, u, v);
    scales_of(&problem, u, &alpha[draw], &beta[draw]);
    alpha[draw] /= 2.0;
    beta[draw] /= 2.0;
  }
  expect_normal(alpha, "alpha");
  expect_normal(beta, "beta");
  expect_unrelated(alpha, 0, 1, beta, 0, 1, "alpha and beta");
  problem_free(&problem);
}

/* ---- starts are functions of their arguments ---- */

Test(reduction, gaussian_start_is_a_function_of_seed_and_index) {
  const Reduced start = reduction_gaussian(1.0, 17, 5, 9), again = reduction_gaussian(1.0, 17, 5, 9);
  const Reduced others[] = {reduction_gaussian(1.0, 17, 6, 9), reduction_gaussian(1.0, 17, 5, 10)};
  cr_expect_arr_eq(&start, &again, sizeof start);
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 3; k++)
      cr_expect(others[i].x[k] != start.x[k] && others[i].y[k] != start.y[k], "%d %d", i, k);
  const Reduced twice = reduction_gaussian(2.0, 17, 5, 9), wide = reduction_gaussian(1.0, 1001, 5, 9);
  for (int k = 0; k < 3; k++)
    cr_expect(twice.x[k] == 2.0 * start.x[k] && twice.y[k] == 2.0 * start.y[k], "the scale is a factor");
  cr_expect(wide.x[0] == start.x[0] && wide.y[1] == start.y[1] && wide.x[2] > start.x[2], "d is of x_o alone");
}

Test(reduction, full_starts_are_functions_of_the_seed) {
  Problem problem;
  double u[2][9], v[2][9], other_u[9], other_v[9];
  assert_ok(problem_bilinear_random(&problem, 9, 0.3, 47));
  for (int i = 0; i < 2; i++)
    start_gaussian(&problem, 1.0, 3, u[i], v[i]);
  cr_expect(memcmp(u[0], u[1], sizeof u[0]) == 0 && memcmp(v[0], v[1], sizeof v[0]) == 0);
  start_gaussian(&problem, 1.0, 4, other_u, other_v);
  cr_expect(other_u[0] != u[0][0] && other_v[0] != v[0][0] && u[0][0] != v[0][0]);
  for (int i = 0; i < 2; i++)
    start_paper(&problem, 1.0, 3, u[i], v[i]);
  cr_expect(memcmp(u[0], u[1], sizeof u[0]) == 0 && memcmp(v[0], v[1], sizeof v[0]) == 0);
  start_paper(&problem, 1.0, 4, other_u, other_v);
  cr_expect(other_u[0] != u[0][0] && other_v[0] != v[0][0]);
  problem_free(&problem);
}

Test(reduction, gaussian_start_in_two_dimensions_has_no_rest) {
  for (uint64_t index = 0; index < 100; index++) {
    const Reduced start = reduction_gaussian(1.0, 2, 53, index);
    cr_expect(start.x[2] == 0.0 && start.y[2] == 0.0 && start.x[0] != 0.0);
  }
}

static void start_in_one_dimension(void) {
  reduction_gaussian(1.0, 1, 0, 0);
}

Test(reduction, one_dimension_is_too_few) {
  char text[512];
  int end = in_child(start_in_one_dimension, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT);
  expect_contains(text, "dimension 1: the bilinear problem needs at least 2");
}

/* ---- measures ---- */

/* From six numbers, from the vectors, from X written out (its truth by LAPACK), and for the loss entry by entry. */
static void check_measure(const Problem *problem, const Problem *dense, const double *u, const double *v) {
  Measure six, full, plain;
  size_t d = problem->rows;
  double c = problem->cosine, size2 = 0.0;
  const Reduced state = reduction_of(problem, u, v);
  reduced_measure(c, &state, &six);
  problem_measure(problem, u, v, &full);
  problem_measure(dense, u, v, &plain);
  for (size_t i = 0; i < d; i++)
    size2 += u[i] * u[i] + v[i] * v[i];
  double distance = error_of_coordinates(d, c, sqrt(size2));
  double loss = distance * fmax(1.0, size2) * (2.0 + size2); /* |dL| <= |gradient| |distance| */
  cr_expect_arr_eq(&six, &full, sizeof six, "the vectors' measure is that of their six numbers");
  expect_within(fabs(six.loss - plain.loss), loss, "loss, c = %g", c);
  expect_within(fabs(six.loss - problem_loss_direct(problem, u, v)), loss, "loss entry by entry, c = %g", c);
  expect_within(fabs(six.excess - plain.excess), loss, "excess, c = %g", c);
  expect_within(fabs(six.norm_u - plain.norm_u), distance, "|u|, c = %g", c);
  expect_within(fabs(six.norm_v - plain.norm_v), distance, "|v|, c = %g", c);
  /* the singular vectors of X written out are turned by rounding over the gap 2|c|, but by nothing where they tie */
  expect_within(fabs(six.alignment - plain.alignment),
                distance * (fabs(c) < 1e-12 ? 2.0 : 2.0 + 2.0 / fabs(c)) / six.norm_u, "alignment, c = %g", c);
}

Test(reduction, measure_from_six_numbers_is_that_of_the_full_problem) {
  enum { D = 7 };
  for (int j = 0; j < COSINES; j++)
    for (uint64_t seed = 0; seed < 10; seed++) {
      Problem problem, dense;
      const double *a, *b;
      double x[D * D], u[D], v[D], alpha, beta;
      assert_ok(problem_bilinear_random(&problem, D, cosines[j], 59 + seed));
      problem_vectors(&problem, &a, &b);
      for (int i = 0; i < D * D; i++)
        x[i] = a[i / D] * b[i % D] + b[i / D] * a[i % D];
      assert_ok(problem_dense(&dense, D, D, x, 1, true));
      start_gaussian(&problem, 0.6, seed, u, v);
      check_measure(&problem, &dense, u, v);
      Measure measure;
      problem_measure(&problem, u, v, &measure);
      scales_of(&problem, u, &alpha, &beta); /* of u's part in span{a, b} */
      double bound = 4 * error_of_coordinates(D, cosines[j], fabs(alpha) + fabs(beta));
      expect_within(fabs(measure.tau - M_SQRT1_2 * (alpha + beta)), bound, "tau, c = %g", cosines[j]);
      expect_within(fabs(measure.nu - M_SQRT1_2 * (alpha - beta)), bound, "nu, c = %g", cosines[j]);
      problem_free(&problem);
      problem_free(&dense);
    }
}

Test(reduction, measure_of_nothing_and_of_nan) {
  Measure measure;
  reduced_measure(-0.4, &(Reduced){{0.0}, {0.0}}, &measure);
  expect_within(fabs(measure.loss - 1.16), 4 * ROUNDING, "1 + c^2");
  cr_expect(measure.alignment == 0.0 && measure.norm_u == 0.0 && measure.tau == 0.0 && measure.nu == 0.0);
  reduced_measure(0.4, &(Reduced){{1.0, 0.0, NAN}, {1.0, 1.0, 1.0}}, &measure);
  cr_expect(isnan(measure.loss) && isnan(measure.excess) && isnan(measure.norm_u));
}
