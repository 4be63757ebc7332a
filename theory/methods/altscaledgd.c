/* altscaledgd.c: alternating scaled gradient descent: relaxed exact minimisation, u then v.
 *
 * Successive over-relaxation with omega = eta, whatever the scales of u and v; eta = 1 is ALS started at the other block. */
#include "rates.h"

static Status iterate(Minimizer *minimizer) {
  TRY(block_preconditioned(minimizer, SIDE_U, minimizer->parameters.step));
  block_update(minimizer, SIDE_U);
  TRY(block_preconditioned(minimizer, SIDE_V, minimizer->parameters.step));
  block_update(minimizer, SIDE_V);
  return status_ok();
}

static double rate(double cosine, const MethodParameters *parameters) {
  return rate_relaxation(cosine, parameters->step);
}

static void best(double cosine, MethodParameters *parameters) {
  parameters->step = relaxation_best(cosine);
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)cosine, (void)parameters;
  return 2.0;
}

const MethodType method_altscaledgd = {
    .name = "altscaledgd",
    .title = "Preconditioned (alternating)",
    .source = "Tong, Ma, Chi 2021, in turn; Young 1954 for the rate",
    .uses_step = true,
    .preconditioned = true,
    .lanes = LANES_ALTSCALEDGD,
    .iterate = iterate,
    .rate = rate,
    .best = best,
    .limit = limit,
};
