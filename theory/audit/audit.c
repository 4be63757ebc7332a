/* audit.c: the list of claims, the bookkeeping of checks, the random instances, the misprints. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "claims.h"
#include "rng.h"

typedef struct Entry {
  const char *id, *title, *source;
  Status (*run)(const AuditPlan *plan, Claim *claim);
} Entry;

static const Entry entries[CLAIM_COUNT] = {
    {"eq1", "Simultaneous gradient descent is u - eta (u v' - X) v, v - eta (v u' - X) u", "paper Eq. 1", claim_eq1},
    {"sec2.3", "X X' = A M A', and the best u is its top eigenvector", "paper Section 2.3", claim_sec23},
    {"thm3", "From the paper's start u_t = A z_t, v_t = A P z_t, |u_t| = |v_t|, z_{t+1} = F_t z_t",
     "paper Theorem 3, Eq. 3", claim_thm3},
    {"eq4", "|u|^2 = z'Mz = (1+c) tau^2 + (1-c) nu^2", "paper Eq. 4", claim_eq4},
    {"lemma1", "The recursions of tau and nu", "paper Lemma 1, Eq. 5", claim_lemma1},
    {"eq6", "Gradient descent tends to the flow as eta -> 0", "paper Eq. 6", claim_eq6},
    {"eq7", "At the flow's limits d|u|^2/dt = 0, so |u|^2 = 1+c, nu = 0 or |u|^2 = 1-c, tau = 0", "paper Eq. 7",
     claim_eq7},
    {"thm4", "The flow has two limits, (tau, nu) = (1, 0) and (0, 1)", "paper Theorem 4", claim_thm4},
    {"thm1", "Gradient descent does not necessarily converge to the optimum", "paper Theorem 1", claim_thm1},
    {"thm5", "Alternating minimisation: z_{t+1} = M^2 z_t / (|u_t|^2 |v_t|^2)", "paper Theorem 5", claim_thm5},
    {"thm2", "Alternating minimisation is guaranteed to converge to the top eigenvector", "paper Theorem 2", claim_thm2},
    {"exact-blocks", "Exact block steps: at once never converges, in turn at ((1-c)/(1+c))^2", "ours", claim_exact_blocks},
    {"step-limit", "Gradient steps: at once stable for k < 1, in turn for k < 2", "ours", claim_step_limit},
    {"rates", "Each method's rate near the optimum has a closed form", "ours", claim_rates},
    {"design-2x2", "{at once, in turn} x {gradient, preconditioned}: what comes from alternating", "ours", claim_design},
    {"reduction", "Six numbers carry every method exactly, for any start and dimension", "ours", claim_reduction},
};

Status audit_claim(const AuditPlan *plan, size_t i, Claim *claim) {
  REQUIRE(i < CLAIM_COUNT, "there is no claim %zu", i);
  memset(claim, 0, sizeof *claim);
  claim->id = entries[i].id;
  claim->title = entries[i].title;
  claim->source = entries[i].source;
  Status status = entries[i].run(plan, claim);
  if (status.code != STATUS_OK)
    return status_error(status.code, "claim %s: %.400s", claim->id, status.message);
  REQUIRE(claim->check_count > 0, "claim %s measured nothing", claim->id);
  return status;
}

void claim_check(Claim *claim, const char *quantity, double predicted, double measured, double residual,
                 double tolerance) {
  REQUIRE(claim->check_count < AUDIT_CHECKS, "claim %s has more than %d checks", claim->id, AUDIT_CHECKS);
  Check *check = &claim->checks[claim->check_count++];
  snprintf(check->quantity, sizeof check->quantity, "%s", quantity);
  check->predicted = predicted;
  check->measured = measured;
  check->residual = residual;
  check->tolerance = tolerance;
}

void claim_relative(Claim *claim, const char *quantity, double predicted, double measured, double tolerance) {
  claim_check(claim, quantity, predicted, measured, fabs(measured - predicted) / fabs(predicted), tolerance);
}

void claim_conclude(Claim *claim, VerdictKind verdict, const char *condition, const char *note, ...) {
  claim->verdict = verdict;
  snprintf(claim->condition, sizeof claim->condition, "%s", condition);
  va_list arguments;
  va_start(arguments, note);
  vsnprintf(claim->note, sizeof claim->note, note, arguments);
  va_end(arguments);
}

/* How near a check is to failing: at most 1 if it passes. */
static double strain(const Check *check) {
  if (!(check->residual <= check->tolerance))
    return INFINITY;
  return check->tolerance > 0.0 ? check->residual / check->tolerance : 0.0;
}

const Check *claim_worst(const Claim *claim) {
  const Check *worst = &claim->checks[0];
  for (size_t i = 1; i < claim->check_count; ++i)
    if (strain(&claim->checks[i]) > strain(worst))
      worst = &claim->checks[i];
  return worst;
}

bool claim_contradicted(const Claim *claim) {
  for (size_t i = 0; i < claim->check_count; ++i)
    if (!(claim->checks[i].residual <= claim->checks[i].tolerance))
      return true;
  return false;
}

const char *verdict_name(VerdictKind verdict) {
  static const char *const names[] = {"holds", "holds if", "fails"};
  return names[verdict];
}

Instance audit_instance(const AuditPlan *plan, size_t i) {
  static const double special[] = {0.5, 0.0, 0.999, -0.999};
  Rng rng = rng_make(plan->seed, RNG_AUDIT, (uint32_t)i + 1);
  Instance instance = {
      .dimension = (size_t)floor(2.0 * pow(5e4, rng_uniform(rng, 0))),
      .cosine = 0.999 * (2.0 * rng_uniform(rng, 1) - 1.0),
      .alpha = 0.5 * rng_normal(rng, 2),
      .beta = 0.5 * rng_normal(rng, 3),
      .k = 0.05 + 0.9 * rng_uniform(rng, 4),
      .seed = plan->seed * 1000003u + i,
  };
  if (i < sizeof special / sizeof *special)
    instance.cosine = special[i];
  if (i == 0)
    instance.dimension = 2;
  if (i == 9)
    instance.dimension = 1000000;
  return instance;
}

void instance_start(const Problem *bilinear, double alpha, double beta, double *u, double *v) {
  const double *a, *b;
  problem_vectors(bilinear, &a, &b);
  for (size_t i = 0; i < bilinear->rows; ++i) {
    u[i] = alpha * a[i] + beta * b[i];
    v[i] = beta * a[i] + alpha * b[i];
  }
}

const Misprint audit_misprints[] = {
    {"Section 2.3, X X'", "(ab' + b'a)(ba' + a'b)", "(ab' + ba')(ab' + ba')'"},
    {"Theorem 3, statement", "v_0 = beta_t a + alpha_t b", "v_t = beta_t a + alpha_t b"},
    {"Theorem 3, proof, update of u", "u_t - eta (u_t v_t' - X) v_0", "u_t - eta (u_t v_t' - X) v_t"},
    {"Theorem 3, proof, coefficient of b in u_{t+1}", "(1 - eta|u_t|^2 + eta) beta_t + a'b alpha_t",
     "(1 - eta|u_t|^2 + eta) beta_t + eta a'b alpha_t"},
    {"after Theorem 3", "lambda_+ = 1 + a'b is the largest eigenvalue of M", "only if a'b > 0; for a'b < 0 it is 1 - a'b"},
    {"Theorem 4, proof", "|u_*|^2 = 1 + a'b, v_* = 0", "|u_*|^2 = 1 + a'b, nu_* = 0"},
    {NULL, NULL, NULL},
};
