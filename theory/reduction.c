/* reduction.c: between full dimension and six numbers; starts; the Measure in closed form. */
#include "reduction.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

#include "rng.h"

/* Below this |c| the singular values 1+|c| and 1-|c| count as one: a'b of orthogonal vectors is rarely 0 in floating
 * point. */
#define TIE 1e-12

/* Along p and q for one factor, then the norm of what is left, in a second pass so that nothing cancels. */
static void reduce_factor(const Problem *bilinear, const double *factor, double out[3]) {
  const double *a, *b;
  problem_vectors(bilinear, &a, &b);
  size_t d = bilinear->rows;
  double c = bilinear->cosine, to_p = 1.0 / sqrt(2.0 * (1.0 + c)), to_q = 1.0 / sqrt(2.0 * (1.0 - c));
  double sum[2][4] = {{0.0}}; /* four running sums each: shorter chains, smaller errors */
  for (size_t i = 0; i < d; ++i) {
    sum[0][i % 4] += (a[i] + b[i]) * factor[i];
    sum[1][i % 4] += (a[i] - b[i]) * factor[i];
  }
  out[0] = to_p * ((sum[0][0] + sum[0][1]) + (sum[0][2] + sum[0][3]));
  out[1] = to_q * ((sum[1][0] + sum[1][1]) + (sum[1][2] + sum[1][3]));
  double along_p = to_p * out[0], along_q = to_q * out[1], rest[4] = {0.0};
  for (size_t i = 0; i < d; ++i) {
    double left = factor[i] - (along_p * (a[i] + b[i]) + along_q * (a[i] - b[i]));
    rest[i % 4] += left * left;
  }
  out[2] = sqrt((rest[0] + rest[1]) + (rest[2] + rest[3]));
}

Reduced reduction_of(const Problem *bilinear, const double *u, const double *v) {
  Reduced state;
  reduce_factor(bilinear, u, state.x);
  reduce_factor(bilinear, v, state.y);
  return state;
}

Reduced reduction_paper(double cosine, double alpha, double beta) {
  double tau = (alpha + beta) * M_SQRT1_2, nu = (alpha - beta) * M_SQRT1_2;
  double along_p = sqrt(1.0 + cosine) * tau, along_q = sqrt(1.0 - cosine) * nu;
  return (Reduced){.x = {along_p, along_q, 0.0}, .y = {along_p, -along_q, 0.0}};
}

/* The quantile of chi-squared where there are many degrees of freedom: the cube root of chi^2/k is nearly normal
 * (Wilson and Hilferty 1931), with excess kurtosis -4/(9k) (Cornish and Fisher's term). Off by less than 1e-6 in
 * probability from k = 1000 on, and the less the larger k. */
static double chi_squared_of_many(double uniform, double degrees) {
  double z = gsl_cdf_ugaussian_Pinv(uniform), variance = 2.0 / (9.0 * degrees);
  double root = 1.0 - variance + sqrt(variance) * (z - (z * z * z - 3.0 * z) / (54.0 * degrees));
  return degrees * root * root * root;
}

/* The norm of a Gaussian vector in `degrees` dimensions, from one uniform number. GSL's inverse is not to be had for
 * many: from about 3000 degrees on it fails for some numbers, at a million for one in five. */
static double chi(double uniform, size_t degrees) {
  enum { MANY = 1000 };
  if (degrees == 0)
    return 0.0;
  return sqrt(degrees <= MANY ? gsl_cdf_chisq_Pinv(uniform, (double)degrees)
                              : chi_squared_of_many(uniform, (double)degrees));
}

Reduced reduction_gaussian(double scale, size_t dimension, uint64_t seed, uint64_t index) {
  REQUIRE(dimension >= 2, "dimension %zu: the bilinear problem needs at least 2", dimension);
  Rng x = rng_make(seed, RNG_START_U, 1), y = rng_make(seed, RNG_START_V, 1);
  Rng rest = rng_make(seed, RNG_START_SCALES, 1);
  Reduced state;
  for (int i = 0; i < 2; ++i) {
    state.x[i] = scale * rng_normal(x, 2 * index + (uint64_t)i);
    state.y[i] = scale * rng_normal(y, 2 * index + (uint64_t)i);
  }
  state.x[2] = scale * chi(rng_uniform(rest, 2 * index), dimension - 2);
  state.y[2] = scale * chi(rng_uniform(rest, 2 * index + 1), dimension - 2);
  return state;
}

void start_paper(const Problem *bilinear, double scale, uint64_t seed, double *u, double *v) {
  const double *a, *b;
  problem_vectors(bilinear, &a, &b);
  Rng rng = rng_make(seed, RNG_START_SCALES, 0);
  double alpha = scale * rng_normal(rng, 0), beta = scale * rng_normal(rng, 1);
  for (size_t i = 0; i < bilinear->rows; ++i) {
    u[i] = alpha * a[i] + beta * b[i];
    v[i] = beta * a[i] + alpha * b[i];
  }
}

void start_gaussian(const Problem *problem, double scale, uint64_t seed, double *u, double *v) {
  size_t rows = problem->rows * problem->rank, columns = problem->columns * problem->rank;
  rng_fill_normal(rng_make(seed, RNG_START_U, 0), 0, rows, u);
  rng_fill_normal(rng_make(seed, RNG_START_V, 0), 0, columns, v);
  for (size_t i = 0; i < rows; ++i)
    u[i] *= scale;
  for (size_t i = 0; i < columns; ++i)
    v[i] *= scale;
}

/* Write u = x_1 t + x_2 r + rest and v = sign (y_1 t + y_2 r) + rest in the top and the second direction, so that
 * X = sigma t t' + ... with sigma = 1+|c| > 0. Then
 *   L - L* = 1/2 [(x_1 y_1 - sigma)^2 + x_1^2 |v_rest|^2 + |u_rest|^2 |v|^2] - u_rest' X v_rest,
 * and each term is small near the optimum: no cancellation. */
void reduced_measure(double cosine, const Reduced *state, Measure *measure) {
  int top = cosine >= 0.0 ? 0 : 1, second = 1 - top;
  double sign = cosine >= 0.0 ? 1.0 : -1.0, sigma = 1.0 + fabs(cosine), lesser = -sign * (1.0 - fabs(cosine));
  const double *x = state->x, *y = state->y;
  double x_rest = x[second] * x[second] + x[2] * x[2], y_rest = y[second] * y[second] + y[2] * y[2];
  double norm2_u = x[top] * x[top] + x_rest, norm2_v = y[top] * y[top] + y_rest;
  double gap = sign * x[top] * y[top] - sigma;
  double excess = 0.5 * (gap * gap + x[top] * x[top] * y_rest + x_rest * norm2_v) - lesser * x[second] * y[second];
  double leading = fabs(cosine) <= TIE ? hypot(x[0], x[1]) : fabs(x[top]);
  *measure = (Measure){.loss = excess + 0.5 * (1.0 - fabs(cosine)) * (1.0 - fabs(cosine)),
                       .excess = excess,
                       .tau = x[0] / sqrt(1.0 + cosine),
                       .nu = x[1] / sqrt(1.0 - cosine),
                       .norm_u = sqrt(norm2_u),
                       .norm_v = sqrt(norm2_v),
                       .alignment = norm2_u > 0.0 ? leading / sqrt(norm2_u) : 0.0};
}
