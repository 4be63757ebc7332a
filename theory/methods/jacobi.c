/* jacobi.c: simultaneous exact minimisation: each block solves for the other's old value.
 *
 * At the top singular pair with scales (s, t) it maps to (sigma/t, sigma/s) and back: period 2 unless s t = sigma. The
 * direction converges, the scales never do. */
#include "rates.h"

static Status iterate(Minimizer *minimizer) {
  TRY(block_preconditioned(minimizer, SIDE_U, 1.0));
  TRY(block_preconditioned(minimizer, SIDE_V, 1.0));
  block_update_both(minimizer);
  return status_ok();
}

static double rate(double cosine, const MethodParameters *parameters) {
  (void)cosine, (void)parameters;
  return 1.0; /* eigenvalue -1 along the scales */
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)cosine, (void)parameters;
  return NAN;
}

const MethodType method_jacobi = {
    .name = "jacobi",
    .title = "Exact minimisation (simultaneous)",
    .source = "block Jacobi iteration",
    .simultaneous = true,
    .lanes = LANES_JACOBI,
    .iterate = iterate,
    .rate = rate,
    .limit = limit,
};
