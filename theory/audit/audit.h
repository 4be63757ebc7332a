/* audit.h: every claim of the paper's theory and of our own, measured, compared with its closed form, and judged. */
#ifndef SEESAW_AUDIT_H
#define SEESAW_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef enum { VERDICT_HOLDS, VERDICT_HOLDS_IF, VERDICT_FAILS } VerdictKind;

/* One comparison of a measurement with a closed form. */
typedef struct Check {
  char quantity[120];
  double predicted, measured;
  double residual, tolerance; /* the measurement contradicts its closed form unless residual <= tolerance */
} Check;

enum { AUDIT_CHECKS = 48, AUDIT_ROWS = 12 };

/* A row of the 2 x 2 design's table. */
typedef struct DesignRow {
  const char *method;
  double step, predicted_rate, measured_rate, predicted_limit, measured_limit, basin, median_steps;
} DesignRow;

/* The verdict is on the claim as it is stated; the checks are of what really holds. So a claim can fail while every check
 * passes: then the counterexample is what the closed form predicts. */
typedef struct Claim {
  const char *id, *title, *source;
  VerdictKind verdict;
  char condition[320]; /* when it holds, or the counterexample */
  char note[640];
  Check checks[AUDIT_CHECKS];
  size_t check_count;
  DesignRow rows[AUDIT_ROWS]; /* design-2x2 only */
  size_t row_count;
} Claim;

typedef struct AuditPlan {
  uint64_t seed;
  size_t trials; /* random instances a claim; from 10 on, one has d = 10^6 */
} AuditPlan;

typedef struct Misprint {
  const char *where, *printed, *meant;
} Misprint;

enum { CLAIM_COUNT = 16 };

/* audit_claim: claim i (0 <= i < CLAIM_COUNT, in the order eq1, sec2.3, thm3, eq4, lemma1, eq6, eq7, thm4, thm1, thm5,
 * thm2, exact-blocks, step-limit, rates, design-2x2, reduction). Errors: STATUS_MEMORY, STATUS_NUMERICS. */
Status audit_claim(const AuditPlan *plan, size_t i, Claim *claim);

/* claim_worst: the check with the largest residual/tolerance (NaN counts as infinite). */
const Check *claim_worst(const Claim *claim);

/* claim_contradicted: some residual is not <= its tolerance. */
bool claim_contradicted(const Claim *claim);

const char *verdict_name(VerdictKind verdict); /* "holds", "holds if", "fails" */

/* The misprints of the paper's theory; ends with a NULL. */
extern const Misprint audit_misprints[];

#endif
