/* gd.c: simultaneous gradient descent, both blocks from the same state (paper Eq. 1, Theorem 1). */
#include "rates.h"

static Status iterate(Minimizer *minimizer) {
  block_gradient(minimizer, SIDE_U, 1.0);
  block_gradient(minimizer, SIDE_V, 1.0);
  block_update_both(minimizer);
  return status_ok();
}

static double rate(double cosine, const MethodParameters *parameters) {
  return rate_simultaneous(cosine, parameters->step);
}

static void best(double cosine, MethodParameters *parameters) {
  parameters->step = 1.0 / (1.0 + 2.0 * fabs(cosine)); /* rate 1 / (1 + 2|c|) */
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)parameters;
  return 1.0 / spectrum_of(cosine).sigma; /* k = 1 */
}

const MethodType method_gd = {
    .name = "gd",
    .title = "Gradient descent (simultaneous)",
    .source = "paper Eq. 1, Theorem 1",
    .uses_step = true,
    .simultaneous = true,
    .lanes = LANES_GD,
    .iterate = iterate,
    .rate = rate,
    .best = best,
    .limit = limit,
};
