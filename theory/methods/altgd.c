/* altgd.c: alternating gradient descent: u moves, then v with the new u (Ward and Kolda 2023).
 *
 * Near the optimum it is successive over-relaxation with omega = k = eta (1+|c|): stable up to k = 2, and at
 * eta = 2 / (1 + sqrt|c|)^2 it contracts by ((1 - sqrt|c|) / (1 + sqrt|c|))^2. */
#include "rates.h"

static Status iterate(Minimizer *minimizer) {
  block_gradient(minimizer, SIDE_U, 1.0);
  block_update(minimizer, SIDE_U);
  block_gradient(minimizer, SIDE_V, 1.0);
  block_update(minimizer, SIDE_V);
  return status_ok();
}

static double rate(double cosine, const MethodParameters *parameters) {
  return rate_relaxation(cosine, parameters->step * spectrum_of(cosine).sigma);
}

static void best(double cosine, MethodParameters *parameters) {
  parameters->step = relaxation_best(cosine) / spectrum_of(cosine).sigma;
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)parameters;
  return 2.0 / spectrum_of(cosine).sigma; /* k = 2 */
}

const MethodType method_altgd = {
    .name = "altgd",
    .title = "Gradient descent (alternating)",
    .source = "Ward and Kolda 2023",
    .uses_step = true,
    .lanes = LANES_ALTGD,
    .iterate = iterate,
    .rate = rate,
    .best = best,
    .limit = limit,
};
