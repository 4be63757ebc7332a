/* als.c: alternating least squares: v exactly from u, then u exactly from v (paper Theorems 2 and 5). */
#include "rates.h"

static Status iterate(Minimizer *minimizer) {
  TRY(block_preconditioned(minimizer, SIDE_V, 1.0));
  block_update(minimizer, SIDE_V);
  TRY(block_preconditioned(minimizer, SIDE_U, 1.0));
  block_update(minimizer, SIDE_U);
  return status_ok();
}

static double rate(double cosine, const MethodParameters *parameters) {
  (void)parameters;
  double rho = spectrum_of(cosine).rho;
  return rho * rho; /* z_{t+1} is proportional to M^2 z_t */
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)cosine, (void)parameters;
  return NAN;
}

const MethodType method_als = {
    .name = "als",
    .title = "Exact minimisation (alternating)",
    .source = "paper Theorems 2 and 5",
    .lanes = LANES_ALS,
    .iterate = iterate,
    .rate = rate,
    .limit = limit,
};
