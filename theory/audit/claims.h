/* claims.h: the audit's own: one function a claim, and what they share. */
#ifndef SEESAW_CLAIMS_H
#define SEESAW_CLAIMS_H

#include "audit.h"
#include "problem.h"

/* claim_check: record a comparison; claim_relative: with residual |measured - predicted| / |predicted|. */
void claim_check(Claim *claim, const char *quantity, double predicted, double measured, double residual,
                 double tolerance);
void claim_relative(Claim *claim, const char *quantity, double predicted, double measured, double tolerance);

/* claim_conclude: the verdict, its condition (may be ""), and a printf-style note. */
void claim_conclude(Claim *claim, VerdictKind verdict, const char *condition, const char *note, ...)
    __attribute__((format(printf, 4, 5)));

/* Instance i of the plan: dimension (2 for i = 0, 10^6 for i = 9, else log-uniform up to 10^5), cosine (0, 0.999, -0.999
 * among the first, else uniform in (-0.999, 0.999)), start scales alpha, beta, and k in (0.05, 0.95). */
typedef struct Instance {
  size_t dimension;
  double cosine, alpha, beta, k;
  uint64_t seed;
} Instance;
Instance audit_instance(const AuditPlan *plan, size_t i);

/* instance_start: the paper's start u0 = alpha a + beta b, v0 = beta a + alpha b. */
void instance_start(const Problem *bilinear, double alpha, double beta, double *u, double *v);

/* What a run in full dimension of the given method from the paper's start, beside the recursion in z, comes to: the largest
 * residuals over all instances and steps, relative to |u|. */
typedef struct RecursionResiduals {
  double state;       /* of u_t = A z_t and v_t = A P z_t (Thm 3), or u_t = A z_t (Thm 5) */
  double norms;       /* of |u_t| = |v_t| */
  double norm_form;   /* of Eq. 4 */
  double coordinates; /* of Lemma 1's tau and nu */
  size_t largest;     /* dimension */
  size_t steps;       /* steps compared, over all instances */
} RecursionResiduals;

/* rounding_escape: a run in 100 dimensions from the paper's start with alpha = -beta, so tau_0 = 0 up to rounding: the first
 * step with |tau| >= |nu|, 0 if there is none in 20000. c > 0. */
Status rounding_escape(const char *method, double cosine, double step, uint64_t seed, size_t *steps);

Status gradient_recursion(const AuditPlan *plan, RecursionResiduals *residuals);

Status claim_eq1(const AuditPlan *plan, Claim *claim);
Status claim_sec23(const AuditPlan *plan, Claim *claim);
Status claim_thm3(const AuditPlan *plan, Claim *claim);
Status claim_eq4(const AuditPlan *plan, Claim *claim);
Status claim_lemma1(const AuditPlan *plan, Claim *claim);
Status claim_eq6(const AuditPlan *plan, Claim *claim);
Status claim_eq7(const AuditPlan *plan, Claim *claim);
Status claim_thm4(const AuditPlan *plan, Claim *claim);
Status claim_thm1(const AuditPlan *plan, Claim *claim);
Status claim_thm5(const AuditPlan *plan, Claim *claim);
Status claim_thm2(const AuditPlan *plan, Claim *claim);
Status claim_exact_blocks(const AuditPlan *plan, Claim *claim);
Status claim_step_limit(const AuditPlan *plan, Claim *claim);
Status claim_rates(const AuditPlan *plan, Claim *claim);
Status claim_design(const AuditPlan *plan, Claim *claim);
Status claim_reduction(const AuditPlan *plan, Claim *claim);

#endif
