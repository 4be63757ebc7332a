/* dynamics.h: what a method does on the bilinear problem, measured by running it in six numbers (reduction.h). What can
 * take long, basins and attractors, ends at the user's interrupt with STATUS_INTERRUPTED. */
#ifndef SEESAW_DYNAMICS_H
#define SEESAW_DYNAMICS_H

#include "method.h"
#include "reduction.h"

/* The balanced optimum u = sqrt(sigma) t, v = +-sqrt(sigma) t, t the top direction, plus a disturbance drawn from seed:
 * times `along` in the top direction (which unbalances the scales) and times `across` in the others. Its numbers are of
 * either sign, of size 0.75 to 1.5 in u and 0.25 to 0.5 in v: neither they nor their sums and differences, where the slow
 * directions lie, are ever nearly 0. */
Reduced balanced_optimum(double cosine, double along, double across, uint64_t seed);

/* measure_rate: the asymptotic contraction factor a step, from a start near the balanced optimum: the largest modulus of
 * the linear recurrence that fits the tail of each coordinate (Prony's method, two modes, least squares).
 * 1 for a method that stays where it is. Errors: STATUS_NUMERICS (the run left the neighbourhood). */
Status measure_rate(const MethodType *type, double cosine, const MethodParameters *parameters, uint64_t seed,
                    double *rate);

/* measure_limit: the step at which the balanced optimum loses stability, by bisection in (low, high): below, a small
 * disturbance has shrunk after a few thousand steps; above, it has grown. */
Status measure_limit(const MethodType *type, double cosine, const MethodParameters *parameters, double low, double high,
                     uint64_t seed, double *limit);

/* What became of many starts. */
typedef struct Basin {
  double fraction;     /* of the starts that reached excess <= tolerance */
  double median_steps; /* over all starts, those that did not arrive counting as infinitely many */
} Basin;

/* measure_basin: `starts` Gaussian starts of the given scale and dimension, at most `steps` steps each. */
Status measure_basin(const MethodType *type, double cosine, const MethodParameters *parameters, double scale,
                     size_t dimension, size_t starts, size_t steps, double tolerance, uint64_t seed, Basin *basin);

/* measure_escape: steps of gradient descent from tau_0 = 10^log10_tau0, nu_0 = 1 (paper's start, c > 0) until
 * |tau| >= |nu|. Under the flow ln(tau/nu) grows at the constant rate 2c, so the flow takes ln(1/tau_0)/(2c) exactly. */
size_t measure_escape(double cosine, double step, double log10_tau0);

/* escape_flow: ln(1/tau_0) / (2 c eta). escape_linear: ln(1/tau_0) / ln(1 + 2 c eta), the linearised step's count. */
double escape_flow(double cosine, double step, double log10_tau0);
double escape_linear(double cosine, double step, double log10_tau0);

/* measure_attractor: tau at `samples` successive steps after `transient` steps from the paper's start. Numbers that
 * left every bound are NaN. */
Status measure_attractor(const MethodType *type, double cosine, const MethodParameters *parameters, double alpha,
                         double beta, size_t transient, size_t samples, double *tau);

#endif
