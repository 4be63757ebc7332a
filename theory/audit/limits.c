/* limits.c: the flow and where gradient descent goes (Eq. 6, Eq. 7, Theorems 4 and 1). */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_fit.h>
#include <gsl/gsl_multiroots.h>
#include <gsl/gsl_odeiv2.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "claims.h"
#include "dynamics.h"
#include "rng.h"

/* Eq. 6: the slope at (tau, nu). */
static void slope_of(double c, const double z[2], double slope[2]) {
  double norm2 = (1.0 + c) * z[0] * z[0] + (1.0 - c) * z[1] * z[1];
  slope[0] = (1.0 + c - norm2) * z[0];
  slope[1] = (1.0 - c - norm2) * z[1];
}

/* Its Jacobian, row-major. */
static void jacobian_of(double c, const double z[2], double jacobian[4]) {
  double norm2 = (1.0 + c) * z[0] * z[0] + (1.0 - c) * z[1] * z[1];
  jacobian[0] = 1.0 + c - norm2 - 2.0 * (1.0 + c) * z[0] * z[0];
  jacobian[1] = -2.0 * (1.0 - c) * z[0] * z[1];
  jacobian[2] = -2.0 * (1.0 + c) * z[0] * z[1];
  jacobian[3] = 1.0 - c - norm2 - 2.0 * (1.0 - c) * z[1] * z[1];
}

/* ---- Eq. 6 ---- */

static int flow_derivative(double time, const double z[], double slope[], void *cosine) {
  (void)time;
  slope_of(*(const double *)cosine, z, slope);
  return GSL_SUCCESS;
}

static Status flow_at(double c, double time, double z[2]) {
  gsl_odeiv2_system system = {flow_derivative, NULL, 2, &c};
  gsl_odeiv2_driver *driver = gsl_odeiv2_driver_alloc_y_new(&system, gsl_odeiv2_step_rk8pd, 1e-3, 1e-15, 1e-14);
  if (!driver)
    return status_error(STATUS_MEMORY, "not enough memory for the integrator");
  double now = 0.0;
  int result = gsl_odeiv2_driver_apply(driver, &now, time, z);
  gsl_odeiv2_driver_free(driver);
  return result == GSL_SUCCESS ? status_ok() : status_error(STATUS_NUMERICS, "the flow's integrator failed");
}

static void descend(double c, double eta, size_t steps, double z[2]) {
  double slope[2];
  for (size_t t = 0; t < steps; ++t) {
    slope_of(c, z, slope);
    z[0] += eta * slope[0];
    z[1] += eta * slope[1];
  }
}

/* Slope of log(error at time T) against log eta, over steps small enough for the leading term. */
static Status measured_order(double c, const double start[2], double *order) {
  enum { LEVELS = 5, COARSEST = 1000 };
  const double time = 2.0;
  double exact[2] = {start[0], start[1]}, x[LEVELS], y[LEVELS];
  double intercept, covariance[3], sum;
  TRY(flow_at(c, time, exact));
  for (int j = 0; j < LEVELS; ++j) {
    size_t steps = (size_t)COARSEST << j;
    double z[2] = {start[0], start[1]};
    descend(c, time / (double)steps, steps, z);
    x[j] = log(time / (double)steps);
    y[j] = log(hypot(z[0] - exact[0], z[1] - exact[1]));
  }
  gsl_fit_linear(x, 1, y, 1, LEVELS, &intercept, order, &covariance[0], &covariance[1], &covariance[2], &sum);
  return status_ok();
}

Status claim_eq6(const AuditPlan *plan, Claim *claim) {
  double worst = 1.0;
  for (size_t i = 0; i < plan->trials; ++i) {
    Instance instance = audit_instance(plan, i);
    Rng rng = rng_make(instance.seed, RNG_AUDIT, 0);
    double angle = 2.0 * M_PI * rng_uniform(rng, 0), order;
    const double start[2] = {0.4 * cos(angle), 0.4 * sin(angle)}; /* well inside: the error's constant is not small */
    TRY(measured_order(instance.cosine, start, &order));
    if (fabs(order - 1.0) > fabs(worst - 1.0))
      worst = order;
  }
  claim_relative(claim, "order in eta of the error at time 2 against odeiv2 (rk8pd, 1e-14)", 1.0, worst, 0.02);
  claim_conclude(claim, VERDICT_HOLDS, "", "%zu starts; eta from 2e-3 down to 1.25e-4; the worst order is shown.",
                 plan->trials);
  return status_ok();
}

/* ---- stationary points ---- */

enum { MOST_ROOTS = 16, GRID_SIDE = 13 };

typedef struct Roots {
  double z[MOST_ROOTS][2];
  size_t count;
} Roots;

static int root_function(const gsl_vector *x, void *cosine, gsl_vector *f) {
  double z[2] = {gsl_vector_get(x, 0), gsl_vector_get(x, 1)}, slope[2];
  slope_of(*(const double *)cosine, z, slope);
  gsl_vector_set(f, 0, slope[0]);
  gsl_vector_set(f, 1, slope[1]);
  return GSL_SUCCESS;
}

static int root_derivative(const gsl_vector *x, void *cosine, gsl_matrix *j) {
  double z[2] = {gsl_vector_get(x, 0), gsl_vector_get(x, 1)}, jacobian[4];
  jacobian_of(*(const double *)cosine, z, jacobian);
  memcpy(gsl_matrix_ptr(j, 0, 0), jacobian, 2 * sizeof *jacobian);
  memcpy(gsl_matrix_ptr(j, 1, 0), jacobian + 2, 2 * sizeof *jacobian);
  return GSL_SUCCESS;
}

static int root_both(const gsl_vector *x, void *cosine, gsl_vector *f, gsl_matrix *j) {
  root_function(x, cosine, f);
  return root_derivative(x, cosine, j);
}

static void add_root(Roots *roots, double tau, double nu) {
  for (size_t i = 0; i < roots->count; ++i)
    if (hypot(roots->z[i][0] - tau, roots->z[i][1] - nu) < 1e-6)
      return;
  if (roots->count < MOST_ROOTS) {
    roots->z[roots->count][0] = tau;
    roots->z[roots->count][1] = nu;
  }
  ++roots->count; /* more than fit is a contradiction, and is seen as one */
}

/* All roots that hybridsj finds from a grid of starts in [-1.5, 1.5]^2, a little off the axes. */
static Status find_roots(double c, Roots *roots) {
  roots->count = 0;
  gsl_multiroot_function_fdf system = {root_function, root_derivative, root_both, 2, &c};
  gsl_multiroot_fdfsolver *solver = gsl_multiroot_fdfsolver_alloc(gsl_multiroot_fdfsolver_hybridsj, 2);
  gsl_vector *x = gsl_vector_alloc(2);
  Status status = solver && x ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the root finder");
  gsl_error_handler_t *handler = gsl_set_error_handler_off();
  for (size_t k = 0; k < (size_t)GRID_SIDE * GRID_SIDE && status.code == STATUS_OK; ++k) {
    gsl_vector_set(x, 0, -1.5 + 3.0 * (double)(k % GRID_SIDE) / (GRID_SIDE - 1) + 0.011);
    gsl_vector_set(x, 1, -1.5 + 3.0 * (double)(k / GRID_SIDE) / (GRID_SIDE - 1) - 0.013);
    gsl_multiroot_fdfsolver_set(solver, &system, x);
    int state = GSL_CONTINUE;
    for (int i = 0; i < 200 && state == GSL_CONTINUE; ++i) {
      if (gsl_multiroot_fdfsolver_iterate(solver) != GSL_SUCCESS)
        break; /* stuck: another start will do */
      state = gsl_multiroot_test_residual(solver->f, 1e-14);
    }
    if (state == GSL_SUCCESS)
      add_root(roots, gsl_vector_get(solver->x, 0), gsl_vector_get(solver->x, 1));
  }
  gsl_set_error_handler(handler);
  gsl_multiroot_fdfsolver_free(solver);
  gsl_vector_free(x);
  return status;
}

/* A stationary point and its eigenvalues in closed form, larger first. */
typedef struct Point {
  double z[2], eigenvalue[2];
} Point;

static void closed_points(double c, Point points[5]) {
  const Point list[5] = {
      {{0.0, 0.0}, {1.0 + fabs(c), 1.0 - fabs(c)}},
      {{1.0, 0.0}, {fmax(-2.0 * (1.0 + c), -2.0 * c), fmin(-2.0 * (1.0 + c), -2.0 * c)}},
      {{-1.0, 0.0}, {fmax(-2.0 * (1.0 + c), -2.0 * c), fmin(-2.0 * (1.0 + c), -2.0 * c)}},
      {{0.0, 1.0}, {fmax(-2.0 * (1.0 - c), 2.0 * c), fmin(-2.0 * (1.0 - c), 2.0 * c)}},
      {{0.0, -1.0}, {fmax(-2.0 * (1.0 - c), 2.0 * c), fmin(-2.0 * (1.0 - c), 2.0 * c)}},
  };
  memcpy(points, list, sizeof list);
}

/* Eigenvalues of the Jacobian at z by LAPACK, larger real part first; imaginary parts go into the residual. */
static Status eigenvalues_at(double c, const double z[2], double real[2], double *imaginary) {
  double jacobian[4], im[2];
  jacobian_of(c, z, jacobian);
  if (LAPACKE_dgeev(LAPACK_ROW_MAJOR, 'N', 'N', 2, jacobian, 2, real, im, NULL, 1, NULL, 1) != 0)
    return status_error(STATUS_NUMERICS, "LAPACK's eigenvalues failed");
  if (real[0] < real[1]) {
    double swap = real[0];
    real[0] = real[1];
    real[1] = swap;
  }
  *imaginary = fmax(fabs(im[0]), fabs(im[1]));
  return status_ok();
}

typedef struct StationaryResiduals {
  double position, eigenvalue;
  size_t missing, extra;
} StationaryResiduals;

static Status compare_points(double c, StationaryResiduals *r) {
  Roots roots;
  Point points[5];
  TRY(find_roots(c, &roots));
  closed_points(c, points);
  r->extra += roots.count > 5 ? roots.count - 5 : 0;
  for (int i = 0; i < 5; ++i) {
    double nearest = INFINITY, real[2], imaginary = INFINITY;
    const double *found = points[i].z;
    for (size_t k = 0; k < roots.count && k < MOST_ROOTS; ++k) {
      double distance = hypot(roots.z[k][0] - points[i].z[0], roots.z[k][1] - points[i].z[1]);
      if (distance < nearest) {
        nearest = distance;
        found = roots.z[k];
      }
    }
    if (nearest > 1e-6) {
      ++r->missing;
      continue;
    }
    TRY(eigenvalues_at(c, found, real, &imaginary));
    r->position = fmax(r->position, nearest);
    r->eigenvalue = fmax(r->eigenvalue, fmax(imaginary, fmax(fabs(real[0] - points[i].eigenvalue[0]),
                                                             fabs(real[1] - points[i].eigenvalue[1]))));
  }
  return status_ok();
}

/* At c = 0 every point of the unit circle is stationary: largest slope on it. */
static double circle_residual(void) {
  double worst = 0.0, slope[2];
  for (int i = 0; i < 360; ++i) {
    const double z[2] = {cos(i * M_PI / 180.0), sin(i * M_PI / 180.0)};
    slope_of(0.0, z, slope);
    worst = fmax(worst, hypot(slope[0], slope[1]));
  }
  return worst;
}

Status claim_thm4(const AuditPlan *plan, Claim *claim) {
  StationaryResiduals r = {0};
  double minus[2] = {-0.5, 0.3}, saddle[2] = {0.0, 0.3}, near[2] = {1e-6, 0.3};
  for (size_t i = 0; i < plan->trials; ++i) {
    double c = audit_instance(plan, i).cosine;
    if (fabs(c) >= 0.02) /* nearer to 0 the points of the circle are too nearly stationary for a root finder */
      TRY(compare_points(c, &r));
  }
  TRY(flow_at(0.5, 60.0, minus));
  TRY(flow_at(0.5, 60.0, saddle));
  TRY(flow_at(0.5, 60.0, near));
  double circle = circle_residual();
  claim_check(claim, "stationary points that multiroots misses of {(0,0), (+-1,0), (0,+-1)}", 0, (double)r.missing,
              (double)r.missing, 0);
  claim_check(claim, "stationary points beyond those five", 0, (double)r.extra, (double)r.extra, 0);
  claim_check(claim, "their positions", 0, r.position, r.position, 1e-10);
  claim_check(claim, "Jacobian eigenvalues (LAPACK) against -2(1+c), -2c; -2(1-c), 2c; 1+c, 1-c", 0, r.eigenvalue,
              r.eigenvalue, 1e-9);
  claim_relative(claim, "limit of tau from (-0.5, 0.3), c = 0.5", -1.0, minus[0], 1e-10);
  claim_relative(claim, "limit of nu from (0, 0.3), c = 0.5", 1.0, saddle[1], 1e-10);
  claim_relative(claim, "limit of tau from (1e-6, 0.3), c = 0.5", 1.0, near[0], 1e-10);
  claim_check(claim, "slope on the unit circle at c = 0", 0, circle, circle, 1e-15);
  claim_conclude(claim, VERDICT_FAILS,
                 "counterexamples: (0,0) is stationary too; from (-0.5, 0.3) the flow goes to (-1, 0); at c = 0 every unit z "
                 "is a limit",
                 "For c > 0 the stationary points are (0,0) (source), (+-1,0) (sinks) and (0,+-1) (strict saddles, reached "
                 "only from tau_0 = 0 exactly); for c < 0 the roles of tau and nu swap, and so does the optimum.");
  return status_ok();
}

Status claim_eq7(const AuditPlan *plan, Claim *claim) {
  double identity = 0.0, stationary = 0.0;
  for (size_t i = 0; i < plan->trials; ++i) {
    double c = audit_instance(plan, i).cosine, slope[2];
    Rng rng = rng_make(plan->seed, RNG_AUDIT, 1000 + (uint32_t)i);
    double z[2] = {rng_normal(rng, 0), rng_normal(rng, 1)};
    double norm2 = (1.0 + c) * z[0] * z[0] + (1.0 - c) * z[1] * z[1];
    slope_of(c, z, slope);
    double chain = 2.0 * (1.0 + c) * z[0] * slope[0] + 2.0 * (1.0 - c) * z[1] * slope[1];
    double printed = 2.0 * (1.0 - norm2) * norm2 + 2.0 * c * ((1.0 + c) * z[0] * z[0] - (1.0 - c) * z[1] * z[1]);
    identity = fmax(identity, fabs(chain - printed) / (norm2 * (1.0 + norm2)));
    Point points[5];
    closed_points(c, points);
    for (int k = 0; k < 5; ++k) {
      slope_of(c, points[k].z, slope);
      stationary = fmax(stationary, hypot(slope[0], slope[1]));
    }
  }
  double zero_norm2 = 0.0, nearest = fmin(fabs(zero_norm2 - 1.5), fabs(zero_norm2 - 0.5));
  claim_check(claim, "Eq. 7's expression against the chain rule on Eq. 6", 0, identity, identity, 1e-14);
  claim_check(claim, "slope at the five stationary points", 0, stationary, stationary, 1e-14);
  claim_relative(claim, "distance of |u|^2 = 0 at (0,0) from the nearer of 1+c, 1-c, c = 0.5", 0.5, nearest, 1e-15);
  claim_conclude(claim, VERDICT_HOLDS_IF, "u_* != 0 and c != 0",
                 "The expression is right, but 'either' leaves out u_* = 0, and at c = 0 the two cases become one circle.");
  return status_ok();
}

/* ---- Theorem 1 ---- */

/* In six numbers tau_0 = 0 is kept exactly: the loss at which gd stays. */
static Status saddle_loss(double c, double eta, double *loss) {
  MethodParameters parameters = method_defaults();
  parameters.step = eta;
  Reduced start = reduction_paper(c, 0.3, -0.3);
  Problem problem;
  Minimizer minimizer;
  Measure measure;
  TRY(problem_reduced(&problem, c));
  Status status = minimizer_alloc(&minimizer, method_find("gd"), &problem, &parameters);
  if (status.code == STATUS_OK)
    status = minimizer_set(&minimizer, start.x, start.y);
  for (size_t t = 0; t < 2000 && status.code == STATUS_OK; ++t)
    status = minimizer_iterate(&minimizer);
  if (status.code == STATUS_OK)
    problem_measure(&problem, minimizer.u, minimizer.v, &measure);
  *loss = status.code == STATUS_OK ? measure.loss : NAN;
  minimizer_free(&minimizer);
  problem_free(&problem);
  return status;
}

/* Escape times from tau_0 down to 1e-300, against the exact one of the flow with the step's own logarithm. */
static void check_escapes(Claim *claim) {
  double worst_linear = 0.0, worst_flow = 0.0;
  const double exponents[] = {-1.0, -3.0, -10.0, -30.0, -100.0, -300.0};
  for (int i = 0; i < 6; ++i) {
    double c = 0.3, fine = 1e-3, coarse = 0.05;
    double measured = (double)measure_escape(c, fine, exponents[i]);
    worst_flow = fmax(worst_flow, fabs(measured / escape_flow(c, fine, exponents[i]) - 1.0));
    measured = (double)measure_escape(c, coarse, exponents[i]);
    worst_linear = fmax(worst_linear, fabs(measured - escape_linear(c, coarse, exponents[i])));
  }
  claim_check(claim, "escape steps over ln(1/tau_0)/(2 c eta), tau_0 = 1e-1..1e-300, eta = 1e-3", 1.0, 1.0 + worst_flow,
              worst_flow, 2e-3);
  claim_check(claim, "escape steps minus ln(1/tau_0)/ln(1 + 2 c eta), eta = 0.05", 0, worst_linear, worst_linear, 2.0);
}

Status claim_thm1(const AuditPlan *plan, Claim *claim) {
  double c = 0.4, loss;
  size_t escape, starts = 20 * plan->trials;
  MethodParameters parameters = method_defaults();
  Basin basin;
  parameters.step = 0.25 / (1.0 + c);
  TRY(measure_basin(method_find("gd"), c, &parameters, 0.5, 10, starts, 20000, 1e-12, plan->seed, &basin));
  TRY(saddle_loss(c, parameters.step, &loss));
  TRY(rounding_escape("gd", c, parameters.step, plan->seed, &escape));
  claim_check(claim, "share of Gaussian starts (d = 10, scale 0.5, k = 0.25, c = 0.4) that miss the optimum", 0,
              1.0 - basin.fraction, 1.0 - basin.fraction, 0);
  claim_relative(claim, "loss at which gd stays from tau_0 = 0 against (1+c)^2/2", 0.5 * (1.0 + c) * (1.0 + c), loss, 1e-12);
  claim_check(claim, "full dimension, floating point: steps in which rounding frees gd from tau_0 = 0 (0: never)", 0,
              (double)escape, (double)escape, 0);
  check_escapes(claim);
  claim_conclude(claim, VERDICT_HOLDS_IF,
                 "tau_0 = 0 exactly (c > 0; nu_0 = 0 for c < 0): a set of measure zero for a small step; or k >= 1",
                 "It is not what sets simultaneous updates apart: Theorem 2 has the same exception. Rounding does not leave "
                 "the set: tau_0 = 0 makes v_0 = -u_0, which simultaneous steps keep to the last bit (20000 steps, d = 100). "
                 "What can be measured is time: escape takes ln(1/|tau_0|)/(2 c eta) steps. %zu starts.",
                 starts);
  return status_ok();
}
