/* flow.c: the gradient flow dU/dt = -dL/dU, dV/dt = -dL/dV (paper Eq. 6), by GSL's Runge-Kutta Prince-Dormand (8, 9).
 * One iterate is the time `step`. */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_odeiv2.h>
#include <stdlib.h>
#include <string.h>

#include "rates.h"

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

static int derivative(double time, const double state[], double slope[], void *parameters) {
  (void)time;
  const Problem *problem = parameters;
  size_t split = problem->rows * problem->rank, total = dimension(problem);
  problem_gradient(problem, state, state + split, slope, slope + split);
  for (size_t i = 0; i < total; ++i)
    slope[i] = -slope[i];
  return GSL_SUCCESS;
}

static Status alloc(Minimizer *minimizer) {
  Flow *flow = minimizer->state = arena_carve(&minimizer->arena, 1, sizeof *flow);
  flow->state = arena_doubles(&minimizer->arena, dimension(minimizer->problem));
  flow->system = (gsl_odeiv2_system){derivative, NULL, dimension(minimizer->problem), (void *)minimizer->problem};
  double first = isfinite(minimizer->parameters.step) ? 0.1 * minimizer->parameters.step : 1e-3;
  flow->driver = gsl_odeiv2_driver_alloc_y_new(&flow->system, gsl_odeiv2_step_rk8pd, first, 1e-14, 1e-13);
  if (!flow->driver)
    return status_error(STATUS_MEMORY, "not enough memory for the integrator");
  return status_ok();
}

static Status set(Minimizer *minimizer) {
  Flow *flow = minimizer->state;
  flow->time = 0.0;
  gsl_odeiv2_driver_reset(flow->driver);
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
