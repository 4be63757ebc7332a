/* setting.c: the problem itself: the gradient step (Eq. 1) and the spectrum of X (Section 2.3). */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "method.h"
#include "reduction.h"
#include "rng.h"

enum { SMALL = 24 }; /* dimension up to which X is written out */

static double norm(size_t d, const double *x) {
  return cblas_dnrm2((int)d, x, 1);
}

/* Largest |direct - analytic| over all coordinates, relative to the largest gradient; the loss is a quartic along a line,
 * so a five-point stencil is exact up to rounding. */
static double gradient_residual(const Problem *problem, double *u, double *v, double *du, double *dv) {
  size_t d = problem->rows;
  double worst = 0.0, size = 0.0, h = 0.01;
  problem_gradient(problem, u, v, du, dv);
  for (size_t i = 0; i < 2 * d; ++i) {
    double *coordinate = i < d ? &u[i] : &v[i - d], kept = *coordinate, loss[4];
    const double offset[] = {-2.0, -1.0, 1.0, 2.0};
    for (int j = 0; j < 4; ++j) {
      *coordinate = kept + offset[j] * h;
      loss[j] = problem_loss_direct(problem, u, v);
    }
    *coordinate = kept;
    double slope = (loss[0] - 8.0 * loss[1] + 8.0 * loss[2] - loss[3]) / (12.0 * h);
    double analytic = i < d ? du[i] : dv[i - d];
    worst = fmax(worst, fabs(slope - analytic));
    size = fmax(size, fabs(analytic));
  }
  return worst / size;
}

/* One iterate of gd against u - eta dL/du, v - eta dL/dv. */
static Status step_residual(const Problem *problem, const double *u, const double *v, const double *du,
                            const double *dv, double *residual) {
  MethodParameters parameters = method_defaults();
  Minimizer minimizer;
  TRY(minimizer_alloc(&minimizer, method_find("gd"), problem, &parameters));
  Status status = minimizer_set(&minimizer, u, v);
  if (status.code == STATUS_OK)
    status = minimizer_iterate(&minimizer);
  *residual = 0.0;
  for (size_t i = 0; i < problem->rows && status.code == STATUS_OK; ++i) {
    *residual = fmax(*residual, fabs(minimizer.u[i] - (u[i] - parameters.step * du[i])));
    *residual = fmax(*residual, fabs(minimizer.v[i] - (v[i] - parameters.step * dv[i])));
  }
  *residual /= norm(problem->rows, u) + norm(problem->rows, v);
  minimizer_free(&minimizer);
  return status;
}

Status claim_eq1(const AuditPlan *plan, Claim *claim) {
  double gradient = 0.0, step = 0.0;
  for (size_t i = 0; i < plan->trials; ++i) {
    Instance instance = audit_instance(plan, i);
    double u[SMALL], v[SMALL], du[SMALL], dv[SMALL], residual;
    size_t d = 2 + instance.dimension % (SMALL - 1);
    Problem problem;
    TRY(problem_bilinear_random(&problem, d, instance.cosine, instance.seed));
    start_gaussian(&problem, 1.0, instance.seed, u, v);
    gradient = fmax(gradient, gradient_residual(&problem, u, v, du, dv));
    Status status = step_residual(&problem, u, v, du, dv, &residual);
    problem_free(&problem);
    TRY(status);
    step = fmax(step, residual);
  }
  claim_check(claim, "gradient against five-point differences of the loss summed entry by entry", 0, gradient, gradient,
              1e-10);
  claim_check(claim, "one iterate of gd against u - eta dL/du", 0, step, step, 1e-14);
  claim_conclude(claim, VERDICT_HOLDS, "", "%zu instances, d from 2 to %d, Gaussian u and v.", plan->trials, SMALL);
  return status_ok();
}

/* Largest residuals of the spectrum over the instances. */
typedef struct SpectrumResiduals {
  double factorised, values, aligned, optimum, eigenpairs;
  size_t largest;
} SpectrumResiduals;

/* X, written out by columns. */
static void write_out(const Problem *problem, double *x) {
  const double *a, *b;
  problem_vectors(problem, &a, &b);
  size_t d = problem->rows;
  for (size_t j = 0; j < d; ++j)
    for (size_t i = 0; i < d; ++i)
      x[j * d + i] = a[i] * b[j] + b[i] * a[j];
}

/* max |X X' - A M A'| entry by entry. */
static double factorisation_residual(const Problem *problem, const double *x) {
  const double *a, *b;
  problem_vectors(problem, &a, &b);
  size_t d = problem->rows;
  double c = problem->cosine, worst = 0.0;
  for (size_t i = 0; i < d; ++i)
    for (size_t j = 0; j < d; ++j) {
      double square = cblas_ddot((int)d, x + i, (int)d, x + j, (int)d);
      double form = a[i] * (a[j] + c * b[j]) + b[i] * (c * a[j] + b[j]);
      worst = fmax(worst, fabs(square - form));
    }
  return worst;
}

/* The SVD of X by LAPACK against 1+|c|, 1-|c|, 0.., the direction of the top pair and the least loss. */
static Status svd_residuals(const Problem *problem, double *x, SpectrumResiduals *r) {
  lapack_int d = (lapack_int)problem->rows;
  double sigma[SMALL], left[SMALL * SMALL], right[SMALL * SMALL], u[SMALL], v[SMALL], rest = 0.0;
  if (LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'A', d, d, x, d, sigma, left, d, right, d) != 0)
    return status_error(STATUS_NUMERICS, "LAPACK's singular value decomposition failed");
  double c = fabs(problem->cosine);
  r->values = fmax(r->values, fmax(fabs(sigma[0] - (1.0 + c)), fabs(sigma[1] - (1.0 - c))));
  for (lapack_int i = 2; i < d; ++i)
    r->values = fmax(r->values, sigma[i]);
  for (lapack_int i = 1; i < d; ++i)
    rest += 0.5 * sigma[i] * sigma[i];
  r->optimum = fmax(r->optimum, fabs(rest - problem->truth.optimum));
  for (lapack_int i = 0; i < d; ++i) {
    u[i] = left[i];
    v[i] = sigma[0] * right[i * d];
  }
  Measure measure;
  problem_measure(problem, u, v, &measure); /* alignment with p or q, or their span at c = 0 */
  r->aligned = fmax(r->aligned, fmax(1.0 - measure.alignment, fabs(measure.excess)));
  return status_ok();
}

/* |X p - (1+c) p| and |X q + (1-c) q|, X implicit, any d. */
static double eigenpair_residual(const Problem *problem) {
  const double *a, *b;
  size_t d = problem->rows;
  problem_vectors(problem, &a, &b);
  double *p = malloc(2 * d * sizeof *p), c = problem->cosine, worst = 0.0;
  REQUIRE(p, "out of memory for %zu numbers", 2 * d);
  for (int sign = 1; sign >= -1; sign -= 2) {
    double scale = 1.0 / sqrt(2.0 * (1.0 + sign * c));
    for (size_t i = 0; i < d; ++i)
      p[i] = scale * (a[i] + sign * b[i]);
    problem->type->apply(problem, SIDE_V, p, p + d);
    cblas_daxpy((int)d, -(sign + c), p, 1, p + d, 1);
    worst = fmax(worst, norm(d, p + d));
  }
  free(p);
  return worst;
}

static Status spectrum_residuals(const Instance *instance, SpectrumResiduals *r) {
  double x[SMALL * SMALL];
  Problem problem;
  TRY(problem_bilinear_random(&problem, 2 + instance->dimension % (SMALL - 1), instance->cosine, instance->seed));
  write_out(&problem, x);
  r->factorised = fmax(r->factorised, factorisation_residual(&problem, x));
  Status status = svd_residuals(&problem, x, r);
  problem_free(&problem);
  TRY(status);
  TRY(problem_bilinear_random(&problem, instance->dimension, instance->cosine, instance->seed));
  r->eigenpairs = fmax(r->eigenpairs, eigenpair_residual(&problem));
  r->largest = instance->dimension > r->largest ? instance->dimension : r->largest;
  problem_free(&problem);
  return status_ok();
}

Status claim_sec23(const AuditPlan *plan, Claim *claim) {
  SpectrumResiduals r = {0};
  for (size_t i = 0; i < plan->trials; ++i) {
    Instance instance = audit_instance(plan, i);
    TRY(spectrum_residuals(&instance, &r));
  }
  claim_check(claim, "X X' against A M A', entry by entry", 0, r.factorised, r.factorised, 1e-14);
  claim_check(claim, "singular values (LAPACK) against 1+|c|, 1-|c|, 0", 0, r.values, r.values, 1e-13);
  claim_check(claim, "least loss against (1-|c|)^2/2", 0, r.optimum, r.optimum, 1e-13);
  claim_check(claim, "top left singular vector against p (c>0), q (c<0), span{p,q} (c=0)", 0, r.aligned, r.aligned, 1e-10);
  claim_check(claim, "X p = (1+c) p, X q = -(1-c) q in full dimension", 0, r.eigenpairs, r.eigenpairs, 1e-13);
  claim_conclude(claim, VERDICT_HOLDS_IF, "c != 0 (at c = 0 the optimum is any direction of span{a, b})",
                 "The optimum is p = (a+b)/|a+b| if c > 0 but q = (a-b)/|a-b| if c < 0: the paper's lambda_+ is the largest "
                 "eigenvalue only for c > 0. Closed form checked up to d = %zu.",
                 r.largest);
  return status_ok();
}
