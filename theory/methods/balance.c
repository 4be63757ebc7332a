/* balance.c: a simultaneous gradient step, then teleportation along the symmetry u_j -> s u_j, v_j -> v_j / s, which leaves
 * the loss as it is, towards |u_j| = |v_j|, by at most the cap (paper's reference 59, Zhao et al.). */
#include "rates.h"

static double column_norm2(size_t length, const double *column) {
  double sum = 0.0;
  for (size_t i = 0; i < length; ++i)
    sum += column[i] * column[i];
  return sum;
}

static void rescale(size_t length, double factor, double *column) {
  for (size_t i = 0; i < length; ++i)
    column[i] *= factor;
}

static Status iterate(Minimizer *minimizer) {
  const Problem *problem = minimizer->problem;
  double cap = minimizer->parameters.balance_cap;
  block_gradient(minimizer, SIDE_U, 1.0);
  block_gradient(minimizer, SIDE_V, 1.0);
  block_update_both(minimizer);
  for (size_t j = 0; j < problem->rank; ++j) {
    double *u = minimizer->u + j * problem->rows, *v = minimizer->v + j * problem->columns;
    double norm_u = sqrt(column_norm2(problem->rows, u)), norm_v = sqrt(column_norm2(problem->columns, v));
    double factor = sqrt(norm_v / norm_u);
    if (!(isfinite(factor) && factor > 0.0))
      continue; /* a zero column has no scale to share */
    factor = fmin(fmax(factor, 1.0 / cap), cap);
    rescale(problem->rows, factor, u);
    rescale(problem->columns, 1.0 / factor, v);
  }
  minimizer_refresh(minimizer);
  return status_ok();
}

static double rate(double cosine, const MethodParameters *parameters) {
  return rate_simultaneous(cosine, parameters->step); /* at the balanced optimum there is nothing left to rescale */
}

static void best(double cosine, MethodParameters *parameters) {
  parameters->step = 1.0 / (1.0 + 2.0 * fabs(cosine));
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)parameters;
  return 1.0 / spectrum_of(cosine).sigma;
}

const MethodType method_balance = {
    .name = "balance",
    .title = "Gradient descent with balancing",
    .source = "Zhao et al. (teleportation)",
    .uses_step = true,
    .simultaneous = true,
    .lanes = LANES_BALANCE,
    .iterate = iterate,
    .rate = rate,
    .best = best,
    .limit = limit,
};
