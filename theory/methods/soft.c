/* soft.c: a soft form of alternation: lambda(t) fades one block's gradient out while the other's fades in.
 *
 *   u <- u - eta lambda grad_u,  v <- v - eta (1 - lambda) grad_v,  lambda(t) = (1 + cos(2 pi t / T)) / 2,
 * both from the same state: the paper's own direction for future work ("a soft constraint within the gradient").
 * T = 2 is hard alternation, one block a step, so two steps are one of altgd. */
#include "rates.h"

static double fade(size_t t, double period) {
  return 0.5 * (1.0 + cos(2.0 * M_PI * fmod((double)t, period) / period));
}

static Status iterate(Minimizer *minimizer) {
  double lambda = fade(minimizer->iteration, minimizer->parameters.soft_period);
  block_gradient(minimizer, SIDE_U, lambda);
  block_gradient(minimizer, SIDE_V, 1.0 - lambda);
  block_update_both(minimizer);
  return status_ok();
}

/* One period, as a product of 2 x 2 steps x <- x - eta lambda (h x + g y), y <- y - eta (1-lambda) (g x + h y). */
static double radius_of_period(double h, double g, double eta, size_t period) {
  double m[2][2] = {{1.0, 0.0}, {0.0, 1.0}};
  for (size_t t = 0; t < period; ++t) {
    double l = eta * fade(t, (double)period), r = eta - l;
    for (int j = 0; j < 2; ++j) {
      double x = m[0][j], y = m[1][j];
      m[0][j] = x - l * (h * x + g * y);
      m[1][j] = y - r * (g * x + h * y);
    }
  }
  return rate_radius(m[0][0] + m[1][1], m[0][0] * m[1][1] - m[0][1] * m[1][0]);
}

/* A step: along the scales the sum x_p + y_p contracts by 1 - k whatever lambda is. No closed form unless T is a whole
 * number of steps: lambda(t) then repeats only after several periods, or never. */
static double rate(double cosine, const MethodParameters *parameters) {
  Spectrum s = spectrum_of(cosine);
  double eta = parameters->step, period = parameters->soft_period;
  if (!(isfinite(period) && period == floor(period)))
    return NAN;
  double second = radius_of_period(s.sigma, s.delta, eta, (size_t)period);
  double rest = radius_of_period(s.sigma, 0.0, eta, (size_t)period);
  return fmax(fabs(1.0 - eta * s.sigma), pow(fmax(second, rest), 1.0 / period));
}

/* In the norm of the Hessian H a step is I - eta H^1/2 diag(lambda, 1-lambda) H^1/2, whose eigenvalues lie in [1-k, 1]:
 * stable for k < 2, for every T. */
static double limit(double cosine, const MethodParameters *parameters) {
  (void)parameters;
  return 2.0 / spectrum_of(cosine).sigma;
}

const MethodType method_soft = {
    .name = "soft",
    .title = "Soft alternation",
    .source = "paper Section 5 (future work)",
    .uses_step = true,
    .simultaneous = true,
    .cyclic = true,
    .lanes = LANES_SOFT,
    .iterate = iterate,
    .rate = rate,
    .limit = limit,
};
