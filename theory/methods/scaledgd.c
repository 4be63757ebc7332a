/* scaledgd.c: scaled gradient descent: each block's gradient divided by the other's Gram matrix (Tong, Ma, Chi 2021). */
#include "rates.h"

static Status iterate(Minimizer *minimizer) {
  TRY(block_preconditioned(minimizer, SIDE_U, minimizer->parameters.step));
  TRY(block_preconditioned(minimizer, SIDE_V, minimizer->parameters.step));
  block_update_both(minimizer);
  return status_ok();
}

/* Scale direction 1 - 2 eta; second direction 1 - eta (1 -+ rho). */
static double rate(double cosine, const MethodParameters *parameters) {
  double eta = parameters->step;
  return fmax(fabs(1.0 - 2.0 * eta), fabs(1.0 - eta * (1.0 - spectrum_of(cosine).rho)));
}

static void best(double cosine, MethodParameters *parameters) {
  parameters->step = 2.0 / (3.0 - spectrum_of(cosine).rho); /* rate 1 / (1 + 2|c|), as for gd */
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)cosine, (void)parameters;
  return 1.0;
}

const MethodType method_scaledgd = {
    .name = "scaledgd",
    .title = "Preconditioned (simultaneous)",
    .source = "Tong, Ma, Chi 2021",
    .uses_step = true,
    .preconditioned = true,
    .simultaneous = true,
    .lanes = LANES_SCALEDGD,
    .iterate = iterate,
    .rate = rate,
    .best = best,
    .limit = limit,
};
