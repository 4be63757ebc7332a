/* dynamics.c: rates, limits, basins, escapes and attractors, each measured by running the method in six numbers. */
#include "dynamics.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "files.h"
#include "rates.h"
#include "rng.h"

/* A number of either sign, its size between low and 2 low. */
static double disturbance(Rng rng, uint64_t index, double low) {
  double uniform = 2.0 * rng_uniform(rng, index) - 1.0;
  return copysign(low * (1.0 + fabs(uniform)), uniform);
}

Reduced balanced_optimum(double cosine, double along, double across, uint64_t seed) {
  double scale = sqrt(1.0 + fabs(cosine));
  int top = cosine >= 0.0 ? 0 : 1;
  Reduced state;
  Rng rng = rng_make(seed, RNG_AUDIT, 0);
  for (int i = 0; i < 3; ++i) {
    double spread = i == top ? along : across;
    state.x[i] = spread * disturbance(rng, (uint64_t)i, 0.75);
    state.y[i] = spread * disturbance(rng, (uint64_t)i + 3, 0.25);
  }
  state.x[top] += scale;
  state.y[top] += cosine >= 0.0 ? scale : -scale;
  return state;
}

/* A method on the reduced problem, ready to iterate. */
typedef struct Runner {
  Problem problem;
  Minimizer minimizer;
} Runner;

static Status runner_start(Runner *runner, const MethodType *type, double cosine, const MethodParameters *parameters,
                           const Reduced *start) {
  TRY(problem_reduced(&runner->problem, cosine));
  Status status = minimizer_alloc(&runner->minimizer, type, &runner->problem, parameters);
  if (status.code == STATUS_OK) {
    status = minimizer_set(&runner->minimizer, start->x, start->y);
    if (status.code != STATUS_OK)
      minimizer_free(&runner->minimizer);
  }
  if (status.code != STATUS_OK)
    problem_free(&runner->problem);
  return status;
}

static void runner_stop(Runner *runner) {
  minimizer_free(&runner->minimizer);
  problem_free(&runner->problem);
}

static double runner_excess(const Runner *runner) {
  Measure measure;
  problem_measure(&runner->problem, runner->minimizer.u, runner->minimizer.v, &measure);
  return measure.excess;
}

/* ---- rates ---- */

enum { RATE_STEPS = 6000, FIT_ROWS = 120 };

/* The coordinates whose tails are fitted, two modes each: the gap x_t y_t - sigma along the top direction, sum and
 * difference of the second coordinates (at once they move apart from each other), and what is left of u and v. */
enum { TRACK_GAP, TRACK_SUM, TRACK_DIFFERENCE, TRACK_REST_U, TRACK_REST_V, TRACKS };

typedef struct Tracks {
  double value[TRACKS][RATE_STEPS];
  double second[RATE_STEPS]; /* size of the second coordinates, of which sum and difference are made */
  size_t count;
} Tracks;

static void track(Tracks *tracks, double cosine, const double *x, const double *y) {
  int top = cosine >= 0.0 ? 0 : 1;
  size_t t = tracks->count++;
  tracks->value[TRACK_GAP][t] = fabs(x[top] * y[top]) - (1.0 + fabs(cosine));
  tracks->value[TRACK_SUM][t] = x[1 - top] + y[1 - top];
  tracks->value[TRACK_DIFFERENCE][t] = x[1 - top] - y[1 - top];
  tracks->second[t] = fabs(x[1 - top]) + fabs(y[1 - top]);
  tracks->value[TRACK_REST_U][t] = x[2];
  tracks->value[TRACK_REST_V][t] = y[2];
}

/* Fit e[i+2] = trace e[i+1] - determinant e[i] over samples first, first+stride, ... and return the larger root's modulus.
 * Rows are scaled to their largest entry, in which `noise` is the error; below it the second mode is taken as gone, and the
 * minimum-norm solution is then right for the first. Where e is under a thousandth of `terms` (may be NULL), which e is made
 * of, it holds more of their rounding and of what is not linear than of itself, and is passed over. NaN if the samples are
 * too few, or have faded below `least` before there were enough. */
static double prony(const double *e, const double *terms, size_t first, size_t end, size_t stride, double least,
                    double noise) {
  double matrix[2 * FIT_ROWS], right[FIT_ROWS], singular[2];
  lapack_int rows = 0, rank;
  for (size_t i = first; i + 2 * stride < end && rows < FIT_ROWS; i += stride) {
    double scale = fmax(fabs(e[i]), fmax(fabs(e[i + stride]), fabs(e[i + 2 * stride])));
    if (!(scale > least))
      break;
    if (terms && scale < 1e-3 * terms[i])
      continue;
    matrix[2 * rows] = e[i + stride] / scale;
    matrix[2 * rows + 1] = -e[i] / scale;
    right[rows++] = e[i + 2 * stride] / scale;
  }
  if (rows < 4)
    return NAN;
  if (LAPACKE_dgelsd(LAPACK_ROW_MAJOR, rows, 2, 1, matrix, 2, right, 1, singular, noise, &rank) != 0)
    return NAN;
  return pow(rate_radius(right[0], right[1]), 1.0 / (double)stride);
}

/* The first step after which |e| stays at or below the level; count if there is none. */
static size_t settles(const double *e, size_t count, double level) {
  size_t t = count;
  while (t > 0 && fabs(e[t - 1]) <= level)
    --t;
  return t;
}

/* By the loss of amplitude between the second and the last quarter: for what hardly moves. */
static double slow_rate(const double *e, size_t count) {
  double early = 0.0, late = 0.0;
  for (size_t t = 0; t < count / 4; ++t) {
    early = fmax(early, fabs(e[count / 4 + t]));
    late = fmax(late, fabs(e[3 * (count / 4) + t]));
  }
  return early > 0.0 ? pow(late / early, 2.0 / (double)count) : 0.0;
}

/* The gap is a difference of numbers of size 1, so it is fitted down to 1e-8 (exact enough), from 1e-4 (linear enough once
 * mirror images are subtracted), step by step: it follows u + v, whose recurrence does not depend on time. */
static double rate_along(const Tracks *tracks) {
  const double *gap = tracks->value[TRACK_GAP];
  size_t open = settles(gap, tracks->count, 1e-4), shut = settles(gap, tracks->count, 1e-8);
  return shut < tracks->count ? prony(gap, NULL, open, shut, 1, 0.0, 3e-7) : slow_rate(gap, tracks->count);
}

/* The other coordinates are products and can be fitted however small, down to `least`, once the gap has closed. */
static double rate_across(const Tracks *tracks, size_t stride, double least, double noise) {
  size_t closed = settles(tracks->value[TRACK_GAP], tracks->count, fmax(1e-13, 0.1 * least));
  double rate = NAN;
  for (int i = TRACK_SUM; i < TRACKS; ++i) {
    const double *terms = i == TRACK_SUM || i == TRACK_DIFFERENCE ? tracks->second : NULL;
    rate = fmax(rate, prony(tracks->value[i], terms, closed, tracks->count, stride, least, noise));
  }
  return rate;
}

static bool faded(const Tracks *tracks, double least) {
  double largest = 0.0;
  for (int i = TRACK_SUM; i < TRACKS; ++i)
    largest = fmax(largest, fabs(tracks->value[i][tracks->count - 1]));
  return largest < least && fabs(tracks->value[TRACK_GAP][tracks->count - 1]) < 1e-12;
}

static Status record(Runner *runner, double cosine, double least, Tracks *tracks) {
  tracks->count = 0;
  while (tracks->count < RATE_STEPS) {
    track(tracks, cosine, runner->minimizer.u, runner->minimizer.v);
    if (faded(tracks, least))
      break;
    TRY(minimizer_iterate(&runner->minimizer));
    if (!(runner_excess(runner) < 1.0))
      return status_error(STATUS_NUMERICS, "%s with step %g leaves the optimum at c = %g", runner->minimizer.type->name,
                          runner->minimizer.parameters.step, cosine);
  }
  return status_ok();
}

static Status record_from(const MethodType *type, double cosine, const MethodParameters *parameters, Reduced start,
                          double least, Tracks *tracks) {
  Runner runner;
  TRY(runner_start(&runner, type, cosine, parameters, &start));
  Status status = record(&runner, cosine, least, tracks);
  runner_stop(&runner);
  return status;
}

/* The gap of a run disturbed along the top direction alone, so that nothing else drives it, less that of its mirror image,
 * halved: of a disturbance e only terms in e, e^3, .. are left. tracks[1] is work. */
static Status record_along(const MethodType *type, double cosine, const MethodParameters *parameters, uint64_t seed,
                           double least, Tracks tracks[2]) {
  const double size = 3e-5;
  TRY(record_from(type, cosine, parameters, balanced_optimum(cosine, size, 0.0, seed), least, &tracks[0]));
  TRY(record_from(type, cosine, parameters, balanced_optimum(cosine, -size, 0.0, seed), least, &tracks[1]));
  double *gap = tracks[0].value[TRACK_GAP];
  const double *mirrored = tracks[1].value[TRACK_GAP];
  tracks->count = tracks[1].count < tracks[0].count ? tracks[1].count : tracks[0].count;
  for (size_t t = 0; t < tracks->count; ++t)
    gap[t] = 0.5 * (gap[t] - mirrored[t]);
  return status_ok();
}

/* Disturbed along the top direction alone; then across it alone, so that the scales stay balanced to second order, which
 * moves the rate of the rest by as much. */
static Status rates_of_runs(const MethodType *type, double cosine, const MethodParameters *parameters, uint64_t seed,
                            Tracks tracks[2], double *rate) {
  size_t stride = type->cyclic ? (size_t)parameters->soft_period : 1;
  bool integrated = type->lanes == LANES_NONE; /* then each iterate has an absolute error, about 1e-13 */
  double least = integrated ? 1e-7 : 1e-280, noise = integrated ? 1e-5 : 1e-8, across = integrated ? 1e-4 : 1e-6;
  TRY(record_along(type, cosine, parameters, seed, least, tracks));
  *rate = rate_along(tracks);
  TRY(record_from(type, cosine, parameters, balanced_optimum(cosine, 0.0, across, seed), least, tracks));
  *rate = fmax(*rate, rate_across(tracks, stride, least, noise));
  return status_ok();
}

Status measure_rate(const MethodType *type, double cosine, const MethodParameters *parameters, uint64_t seed,
                    double *rate) {
  Tracks *tracks = malloc(2 * sizeof *tracks);
  if (!tracks)
    return status_error(STATUS_MEMORY, "not enough memory to measure a rate");
  Status status = rates_of_runs(type, cosine, parameters, seed, tracks, rate);
  free(tracks);
  return status;
}

/* ---- limits ---- */

enum { LIMIT_STEPS = 20000, BISECTIONS = 24 };

/* Has the largest excess of the last quarter grown over that of the second, or ever by much over the start's? The
 * disturbance along the top direction is the smaller one: just below a limit it unbalances the scales by its size over the
 * distance to the limit, which moves the limit itself. A step that fails has grown. */
static Status grows(const MethodType *type, double cosine, const MethodParameters *parameters, uint64_t seed,
                    bool *grown) {
  Reduced start = balanced_optimum(cosine, 1e-9, 1e-7, seed);
  Runner runner;
  double early = 0.0, late = 0.0;
  TRY(runner_start(&runner, type, cosine, parameters, &start));
  double initial = runner_excess(&runner);
  for (size_t t = 0; t < LIMIT_STEPS; ++t) {
    Status status = minimizer_iterate(&runner.minimizer);
    double excess = runner_excess(&runner);
    if (status.code != STATUS_OK || !(excess < 1e4 * initial)) {
      late = INFINITY;
      break;
    }
    if (t >= LIMIT_STEPS / 4 && t < LIMIT_STEPS / 2)
      early = fmax(early, excess);
    else if (t >= 3 * LIMIT_STEPS / 4)
      late = fmax(late, excess);
  }
  runner_stop(&runner);
  *grown = late > early;
  return status_ok();
}

Status measure_limit(const MethodType *type, double cosine, const MethodParameters *parameters, double low, double high,
                     uint64_t seed, double *limit) {
  MethodParameters trial = *parameters;
  for (int i = 0; i < BISECTIONS; ++i) {
    bool grown;
    trial.step = 0.5 * (low + high);
    TRY(grows(type, cosine, &trial, seed, &grown));
    if (grown)
      high = trial.step;
    else
      low = trial.step;
  }
  *limit = 0.5 * (low + high);
  return status_ok();
}

/* ---- basins ---- */

/* The first step with excess <= tolerance, or `steps` + 1. */
static Status steps_to_optimum(const MethodType *type, double cosine, const MethodParameters *parameters,
                               const Reduced *start, size_t steps, double tolerance, size_t *taken) {
  Runner runner;
  TRY(runner_start(&runner, type, cosine, parameters, start));
  *taken = steps + 1;
  for (size_t t = 0; t <= steps; ++t) {
    double excess = runner_excess(&runner);
    if (excess <= tolerance) {
      *taken = t;
      break;
    }
    if (!(excess < 1e12) || minimizer_iterate(&runner.minimizer).code != STATUS_OK || interrupt_raised())
      break; /* diverged, or a block became singular: this start does not arrive */
  }
  runner_stop(&runner);
  return interrupt_check();
}

Status measure_basin(const MethodType *type, double cosine, const MethodParameters *parameters, double scale,
                     size_t dimension, size_t starts, size_t steps, double tolerance, uint64_t seed, Basin *basin) {
  double *arrived = malloc((starts + 1) * sizeof *arrived);
  if (!arrived)
    return status_error(STATUS_MEMORY, "not enough memory for %zu starts", starts);
  size_t count = 0;
  Status status = status_ok();
  for (size_t i = 0; i < starts && status.code == STATUS_OK; ++i) {
    Reduced start = reduction_gaussian(scale, dimension, seed, i);
    size_t taken;
    status = steps_to_optimum(type, cosine, parameters, &start, steps, tolerance, &taken);
    if (status.code == STATUS_OK && taken <= steps)
      arrived[count++] = (double)taken;
  }
  for (size_t i = count; i < starts; ++i)
    arrived[i] = INFINITY;
  gsl_sort(arrived, 1, starts);
  basin->fraction = starts > 0 ? (double)count / (double)starts : NAN;
  basin->median_steps = starts > 0 ? gsl_stats_median_from_sorted_data(arrived, 1, starts) : NAN;
  free(arrived);
  return status;
}

/* ---- escape from the saddle ---- */

size_t measure_escape(double cosine, double step, double log10_tau0) {
  double tau = pow(10.0, log10_tau0), nu = 1.0;
  size_t t = 0;
  while (fabs(tau) < fabs(nu)) { /* Lemma 1 (paper Eq. 5) */
    double norm2 = (1.0 + cosine) * tau * tau + (1.0 - cosine) * nu * nu;
    tau *= 1.0 + step * (1.0 + cosine - norm2);
    nu *= 1.0 + step * (1.0 - cosine - norm2);
    ++t;
  }
  return t;
}

double escape_flow(double cosine, double step, double log10_tau0) {
  return -log10_tau0 * M_LN10 / (2.0 * cosine * step);
}

double escape_linear(double cosine, double step, double log10_tau0) {
  return -log10_tau0 * M_LN10 / log1p(2.0 * cosine * step);
}

/* ---- attractors ---- */

Status measure_attractor(const MethodType *type, double cosine, const MethodParameters *parameters, double alpha,
                         double beta, size_t transient, size_t samples, double *tau) {
  Reduced start = reduction_paper(cosine, alpha, beta);
  Runner runner;
  TRY(runner_start(&runner, type, cosine, parameters, &start));
  bool bounded = true;
  for (size_t t = 0; t < transient + samples; ++t) {
    if (interrupt_raised())
      break;
    if (bounded)
      bounded = minimizer_iterate(&runner.minimizer).code == STATUS_OK && runner_excess(&runner) < 1e12;
    if (t >= transient)
      tau[t - transient] = bounded ? runner.minimizer.u[0] / sqrt(1.0 + cosine) : NAN;
  }
  runner_stop(&runner);
  return interrupt_check();
}
