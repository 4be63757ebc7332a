/* gradient.c: gradient descent from the paper's start (Theorem 3, Eq. 4, Lemma 1): a run in full dimension beside the
 * recursions, compared at every step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "method.h"

enum { STEPS = 1000 };

/* Theorem 3's z and Lemma 1's (tau, nu), each run by its own recursion. */
typedef struct Recursion {
  double c, eta, alpha, beta, tau, nu;
} Recursion;

static double norm2_of_z(const Recursion *r) {
  return r->alpha * r->alpha + r->beta * r->beta + 2.0 * r->c * r->alpha * r->beta; /* z'Mz */
}

static double norm2_of_tau(const Recursion *r) {
  return (1.0 + r->c) * r->tau * r->tau + (1.0 - r->c) * r->nu * r->nu; /* Eq. 4 */
}

static void recursion_step(Recursion *r) {
  double diagonal = 1.0 + r->eta * (1.0 - norm2_of_z(r)), off = r->eta * r->c; /* F_t, Eq. 3 */
  double alpha = diagonal * r->alpha + off * r->beta;
  r->beta = off * r->alpha + diagonal * r->beta;
  r->alpha = alpha;
  double norm2 = norm2_of_tau(r); /* Eq. 5 */
  r->tau *= 1.0 + r->eta * (1.0 + r->c - norm2);
  r->nu *= 1.0 + r->eta * (1.0 - r->c - norm2);
}

/* What one pass over memory finds at one step. */
typedef struct Differences {
  double state2;          /* |u - A z|^2 + |v - A P z|^2 */
  double norm2_u, norm2_v;
  double along_p, along_q; /* (a+b)'u, (a-b)'u */
} Differences;

/* Sums over fixed blocks, so that the result does not depend on the number of threads. */
static Differences compare(const Problem *problem, const Recursion *r, const double *u, const double *v) {
  enum { PARTS = 64 };
  const double *a, *b;
  problem_vectors(problem, &a, &b);
  Differences part[PARTS] = {{0.0}}, sum = {0.0};
  size_t d = problem->rows, length = (d + PARTS - 1) / PARTS;
#pragma omp parallel for if (d > 20000)
  for (size_t k = 0; k < PARTS; ++k) {
    Differences p = {0.0};
    size_t end = (k + 1) * length < d ? (k + 1) * length : d;
    for (size_t i = k * length; i < end; ++i) {
      double du = u[i] - (r->alpha * a[i] + r->beta * b[i]), dv = v[i] - (r->beta * a[i] + r->alpha * b[i]);
      p.state2 += du * du + dv * dv;
      p.norm2_u += u[i] * u[i];
      p.norm2_v += v[i] * v[i];
      p.along_p += (a[i] + b[i]) * u[i];
      p.along_q += (a[i] - b[i]) * u[i];
    }
    part[k] = p;
  }
  for (size_t k = 0; k < PARTS; ++k) {
    sum.state2 += part[k].state2;
    sum.norm2_u += part[k].norm2_u;
    sum.norm2_v += part[k].norm2_v;
    sum.along_p += part[k].along_p;
    sum.along_q += part[k].along_q;
  }
  return sum;
}

static void account(const Problem *problem, const Recursion *r, const Differences *d, RecursionResiduals *out) {
  double c = problem->cosine, size = sqrt(d->norm2_u);
  /* u = A(tau w+ + nu w-): tau = (a+b)'u / (sqrt2 (1+c)), nu = (a-b)'u / (sqrt2 (1-c)); weighted as they enter |u|. */
  double tau_error = fabs(d->along_p * M_SQRT1_2 / (1.0 + c) - r->tau) * sqrt(1.0 + c);
  double nu_error = fabs(d->along_q * M_SQRT1_2 / (1.0 - c) - r->nu) * sqrt(1.0 - c);
  out->state = fmax(out->state, sqrt(d->state2) / size);
  out->norms = fmax(out->norms, fabs(sqrt(d->norm2_v) - size) / size);
  out->norm_form = fmax(out->norm_form, fabs(norm2_of_tau(r) - d->norm2_u) / d->norm2_u);
  out->norm_form = fmax(out->norm_form, fabs(norm2_of_tau(r) - norm2_of_z(r)) / d->norm2_u);
  out->coordinates = fmax(out->coordinates, fmax(tau_error, nu_error) / size);
  ++out->steps;
}

/* One instance: gd in full dimension and the recursions from the same start. */
static Status follow(const Instance *instance, RecursionResiduals *out) {
  Problem problem;
  TRY(problem_bilinear_random(&problem, instance->dimension, instance->cosine, instance->seed));
  double c = problem.cosine, *u = malloc(2 * problem.rows * sizeof *u);
  MethodParameters parameters = method_defaults();
  parameters.step = instance->k / (1.0 + fabs(c));
  Recursion r = {.c = c, .eta = parameters.step, .alpha = instance->alpha, .beta = instance->beta};
  r.tau = (r.alpha + r.beta) * M_SQRT1_2;
  r.nu = (r.alpha - r.beta) * M_SQRT1_2;
  Minimizer minimizer = {0};
  Status status = u ? minimizer_alloc(&minimizer, method_find("gd"), &problem, &parameters)
                    : status_error(STATUS_MEMORY, "not enough memory for dimension %zu", problem.rows);
  if (status.code == STATUS_OK) {
    instance_start(&problem, r.alpha, r.beta, u, u + problem.rows);
    status = minimizer_set(&minimizer, u, u + problem.rows);
  }
  for (size_t t = 0; t < STEPS && status.code == STATUS_OK; ++t) {
    Differences differences = compare(&problem, &r, minimizer.u, minimizer.v);
    account(&problem, &r, &differences, out);
    status = minimizer_iterate(&minimizer);
    recursion_step(&r);
  }
  out->largest = instance->dimension > out->largest ? instance->dimension : out->largest;
  minimizer_free(&minimizer);
  problem_free(&problem);
  free(u);
  return status;
}

/* The three claims below look at the same runs: the last plan's residuals are kept. */
Status gradient_recursion(const AuditPlan *plan, RecursionResiduals *residuals) {
  static AuditPlan last;
  static RecursionResiduals kept;
  if (last.trials != plan->trials || last.seed != plan->seed) {
    kept = (RecursionResiduals){0};
    last = (AuditPlan){0};
    for (size_t i = 0; i < plan->trials; ++i) {
      Instance instance = audit_instance(plan, i);
      TRY(follow(&instance, &kept));
    }
    last = *plan;
  }
  *residuals = kept;
  return status_ok();
}

Status claim_thm3(const AuditPlan *plan, Claim *claim) {
  RecursionResiduals r;
  TRY(gradient_recursion(plan, &r));
  claim_check(claim, "|u_t - A z_t| and |v_t - A P z_t| relative to |u_t|, every step", 0, r.state, r.state, 1e-12);
  claim_check(claim, "|u_t| = |v_t|, every step", 0, r.norms, r.norms, 1e-12);
  claim_conclude(claim, VERDICT_HOLDS, "",
                 "%zu instances, d from 2 to %zu, c from -0.999 to 0.999 and 0, %zu steps compared; k < 1.", plan->trials,
                 r.largest, r.steps);
  return status_ok();
}

Status claim_eq4(const AuditPlan *plan, Claim *claim) {
  RecursionResiduals r;
  TRY(gradient_recursion(plan, &r));
  claim_check(claim, "(1+c) tau^2 + (1-c) nu^2 and z'Mz against |u_t|^2, every step", 0, r.norm_form, r.norm_form, 1e-12);
  claim_conclude(claim, VERDICT_HOLDS, "", "%zu steps in up to %zu dimensions.", r.steps, r.largest);
  return status_ok();
}

Status claim_lemma1(const AuditPlan *plan, Claim *claim) {
  RecursionResiduals r;
  TRY(gradient_recursion(plan, &r));
  claim_check(claim, "tau_t and nu_t of the full run against Eq. 5's recursions, every step", 0, r.coordinates,
              r.coordinates, 1e-12);
  claim_conclude(claim, VERDICT_HOLDS, "", "%zu steps in up to %zu dimensions.", r.steps, r.largest);
  return status_ok();
}
