/* flow.c: the gradient flow dU/dt = -dL/dU, dV/dt = -dL/dV (paper Eq. 6), by GSL's Runge-Kutta Prince-Dormand (8, 9).
 * One iterate is the time `step`. */
#include <float.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_odeiv2.h>
#include <stdlib.h>
#include <string.h>

#include "rates.h"

enum { MOST_STEPS = 100000 }; /* of the integrator's in one iterate: |u|^2 + |v|^2 times the time up to about 4e5 */

typedef struct Flow {
  gsl_odeiv2_system system;
  gsl_odeiv2_driver *driver;
  double *state, time; /* u then v */
} Flow;

static size_t dimension(const Problem *problem) {
  return (problem->rows + problem->columns) * problem->rank;
}

static size_t size(const Problem *problem) {
  return arena_size(1, sizeof(Flow)) + arena_size(dimension(problem), sizeof(double));
}

/* A slope that is not finite is an error, at which GSL halves its step: its error control lets NaN pass. */
static int derivative(double time, const double state[], double slope[], void *parameters) {
  (void)time;
  const Problem *problem = parameters;
  size_t split = problem->rows * problem->rank, total = dimension(problem);
  problem_gradient(problem, state, state + split, slope, slope + split);
  for (size_t i = 0; i < total; ++i) {
    slope[i] = -slope[i];
    if (!isfinite(slope[i]))
      return GSL_ERANGE;
  }
  return GSL_SUCCESS;
}

static Status alloc(Minimizer *minimizer) {
  Flow *flow = minimizer->state = arena_carve(&minimizer->arena, 1, sizeof *flow);
  flow->state = arena_doubles(&minimizer->arena, dimension(minimizer->problem));
  flow->system = (gsl_odeiv2_system){derivative, NULL, dimension(minimizer->problem), (void *)minimizer->problem};
  gsl_error_handler_t *handler = gsl_set_error_handler_off();
  flow->driver = gsl_odeiv2_driver_alloc_y_new(&flow->system, gsl_odeiv2_step_rk8pd, 1e-3, 1e-14, 1e-13);
  gsl_set_error_handler(handler);
  if (!flow->driver)
    return status_error(STATUS_MEMORY, "not enough memory for the integrator");
  gsl_odeiv2_driver_set_nmax(flow->driver, MOST_STEPS);
  return status_ok();
}

/* The first guess of the integrator's own step, too, so that a second run is the same as the first. */
static Status set(Minimizer *minimizer) {
  Flow *flow = minimizer->state;
  flow->time = 0.0;
  gsl_odeiv2_driver_reset(flow->driver);
  gsl_odeiv2_driver_reset_hstart(flow->driver, fmax(0.1 * minimizer->parameters.step, DBL_MIN));
  return status_ok();
}

static Status iterate(Minimizer *minimizer) {
  Flow *flow = minimizer->state;
  size_t split = minimizer->problem->rows * minimizer->problem->rank;
  size_t rest = minimizer->problem->columns * minimizer->problem->rank;
  memcpy(flow->state, minimizer->u, split * sizeof(double));
  memcpy(flow->state + split, minimizer->v, rest * sizeof(double));
  gsl_error_handler_t *handler = gsl_set_error_handler_off();
  double target = (double)(minimizer->iteration + 1) * minimizer->parameters.step;
  int result = gsl_odeiv2_driver_apply(flow->driver, &flow->time, target, flow->state);
  gsl_set_error_handler(handler);
  if (result != GSL_SUCCESS)
    return status_error(STATUS_NUMERICS, "the integrator of the flow gave up at time %g: %s", flow->time,
                        gsl_strerror(result));
  memcpy(minimizer->u, flow->state, split * sizeof(double));
  memcpy(minimizer->v, flow->state + split, rest * sizeof(double));
  minimizer_refresh(minimizer);
  return status_ok();
}

static void release(Minimizer *minimizer) {
  Flow *flow = minimizer->state;
  if (flow && flow->driver)
    gsl_odeiv2_driver_free(flow->driver);
}

static double rate(double cosine, const MethodParameters *parameters) {
  return exp(-2.0 * fabs(cosine) * parameters->step);
}

static double limit(double cosine, const MethodParameters *parameters) {
  (void)cosine, (void)parameters;
  return INFINITY;
}

const MethodType method_flow = {
    .name = "flow",
    .title = "Gradient flow",
    .source = "paper Eq. 6",
    .uses_step = true,
    .simultaneous = true,
    .lanes = LANES_NONE,
    .size = size,
    .alloc = alloc,
    .set = set,
    .iterate = iterate,
    .free = release,
    .rate = rate,
    .limit = limit,
};
