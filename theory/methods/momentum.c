/* momentum.c: heavy ball: a simultaneous gradient step plus mu times the last displacement (Polyak 1964). */
#include <string.h>

#include "rates.h"

typedef struct Previous {
  double *u, *v;         /* the state before the current one */
  double *last_u, *last_v; /* work: the current state while the step is taken */
} Previous;

static size_t size(const Problem *problem) {
  return arena_size(1, sizeof(Previous)) + 2 * arena_size(problem->rows * problem->rank, sizeof(double)) +
         2 * arena_size(problem->columns * problem->rank, sizeof(double));
}

static Status alloc(Minimizer *minimizer) {
  const Problem *problem = minimizer->problem;
  Previous *previous = minimizer->state = arena_carve(&minimizer->arena, 1, sizeof *previous);
  previous->u = arena_doubles(&minimizer->arena, problem->rows * problem->rank);
  previous->last_u = arena_doubles(&minimizer->arena, problem->rows * problem->rank);
  previous->v = arena_doubles(&minimizer->arena, problem->columns * problem->rank);
  previous->last_v = arena_doubles(&minimizer->arena, problem->columns * problem->rank);
  return status_ok();
}

/* At rest: the first step is a plain gradient step. */
static Status set(Minimizer *minimizer) {
  const Problem *problem = minimizer->problem;
  Previous *previous = minimizer->state;
  memcpy(previous->u, minimizer->u, problem->rows * problem->rank * sizeof(double));
  memcpy(previous->v, minimizer->v, problem->columns * problem->rank * sizeof(double));
  return status_ok();
}

/* x <- x + mu (last - previous); previous <- last */
static void push(size_t count, double mu, double *x, const double *last, double *previous) {
  for (size_t i = 0; i < count; ++i) {
    x[i] += mu * (last[i] - previous[i]);
    previous[i] = last[i];
  }
}

static Status iterate(Minimizer *minimizer) {
  size_t rows = minimizer->problem->rows * minimizer->problem->rank;
  size_t columns = minimizer->problem->columns * minimizer->problem->rank;
  Previous *previous = minimizer->state;
  memcpy(previous->last_u, minimizer->u, rows * sizeof(double));
  memcpy(previous->last_v, minimizer->v, columns * sizeof(double));
  block_gradient(minimizer, SIDE_U, 1.0);
  block_gradient(minimizer, SIDE_V, 1.0);
  block_update_both(minimizer);
  push(rows, minimizer->parameters.momentum, minimizer->u, previous->last_u, previous->u);
  push(columns, minimizer->parameters.momentum, minimizer->v, previous->last_v, previous->v);
  minimizer_refresh(minimizer);
  return status_ok();
}

/* Each Hessian eigenvalue h gives the roots of z^2 - (1 + mu - eta h) z + mu. */
static double rate(double cosine, const MethodParameters *parameters) {
  Spectrum s = spectrum_of(cosine);
  double mu = parameters->momentum, eta = parameters->step, worst = 0.0;
  const double h[] = {2.0 * s.sigma, 2.0, s.sigma, 2.0 * s.c};
  for (int i = 0; i < 4; ++i)
    worst = fmax(worst, rate_radius(1.0 + mu - eta * h[i], mu));
  return worst;
}

/* Polyak's choice for h between 2|c| and 2 sigma; the rate is sqrt(mu). */
static void best(double cosine, MethodParameters *parameters) {
  Spectrum s = spectrum_of(cosine);
  double high = sqrt(s.sigma), low = sqrt(s.c);
  parameters->step = 2.0 / ((high + low) * (high + low));
  parameters->momentum = (high - low) * (high - low) / ((high + low) * (high + low));
}

static double limit(double cosine, const MethodParameters *parameters) {
  return (1.0 + parameters->momentum) / spectrum_of(cosine).sigma;
}

const MethodType method_momentum = {
    .name = "momentum",
    .title = "Heavy-ball momentum (simultaneous)",
    .source = "Polyak 1964",
    .uses_step = true,
    .simultaneous = true,
    .lanes = LANES_MOMENTUM,
    .size = size,
    .alloc = alloc,
    .set = set,
    .iterate = iterate,
    .rate = rate,
    .best = best,
    .limit = limit,
};
