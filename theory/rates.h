/* rates.h: closed forms near the balanced optimum of the bilinear problem, shared by the methods' files.
 *
 * For |c| write sigma = 1+|c|, delta = 1-|c|, rho = delta/sigma, k = eta sigma. The linearised step acts on
 *   the scale direction   (x_p, y_p): Hessian sigma [1 1; 1 1], eigenvalues 2 sigma and 0 (the symmetry u -> su, v -> v/s)
 *   the second direction  (x_q, y_q): Hessian [sigma delta; delta sigma], eigenvalues 2 and 2|c|
 *   the rest              x_o, y_o:   Hessian sigma
 * separately, so a method's rate is the largest spectral radius of three small matrices. */
#ifndef SEESAW_RATES_H
#define SEESAW_RATES_H

#include <math.h>

#include "method.h"

typedef struct Spectrum {
  double c, sigma, delta, rho;
} Spectrum;

static inline Spectrum spectrum_of(double cosine) {
  double c = fabs(cosine);
  return (Spectrum){c, 1.0 + c, 1.0 - c, (1.0 - c) / (1.0 + c)};
}

/* Simultaneous gradient descent: every Hessian eigenvalue h contracts by |1 - eta h|; the extremes decide. */
static inline double rate_simultaneous(double cosine, double eta) {
  Spectrum s = spectrum_of(cosine);
  return fmax(fabs(1.0 - 2.0 * eta * s.sigma), fabs(1.0 - 2.0 * eta * s.c));
}

/* Successive over-relaxation of the second direction with factor omega (Young 1954): the alternating methods are this,
 * with omega = k for gradient steps and omega = eta for preconditioned ones. */
static inline double rate_relaxation(double cosine, double omega) {
  Spectrum s = spectrum_of(cosine);
  double left = 1.0 - omega, coupling = omega * s.rho;
  return rate_radius(2.0 * left + coupling * coupling, left * left);
}

/* The factor that makes the two roots meet, 2 / (1 + sqrt(1 - rho^2)) = 2 (1+c) / (1+sqrt c)^2; the rate is then
 * omega - 1 = ((1 - sqrt c) / (1 + sqrt c))^2. */
static inline double relaxation_best(double cosine) {
  Spectrum s = spectrum_of(cosine);
  double root = 1.0 + sqrt(s.c);
  return 2.0 * s.sigma / (root * root);
}

#endif
