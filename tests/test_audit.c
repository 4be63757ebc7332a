/* test_audit.c: the audit's verdicts, its bookkeeping (can it fail?), and the program around it. */
#include "audit/audit.h"

#include <cJSON.h>
#include <float.h>
#include <signal.h>
#include <time.h>

#include "audit/claims.h"
#include "dynamics.h"
#include "json.h"
#include "program.h"
#include "runs.h"
#include "sanitized.h"

/* In the documented order; the verdicts are those of NOTES.md and of the claims themselves. */
static const struct {
  const char *id;
  VerdictKind verdict;
} EXPECTED[] = {
    {"eq1", VERDICT_HOLDS},           {"sec2.3", VERDICT_HOLDS_IF}, {"thm3", VERDICT_HOLDS},
    {"eq4", VERDICT_HOLDS},           {"lemma1", VERDICT_HOLDS},    {"eq6", VERDICT_HOLDS},
    {"eq7", VERDICT_HOLDS_IF},        {"thm4", VERDICT_FAILS},      {"thm1", VERDICT_HOLDS_IF},
    {"thm5", VERDICT_HOLDS},          {"thm2", VERDICT_HOLDS_IF},   {"exact-blocks", VERDICT_HOLDS},
    {"step-limit", VERDICT_HOLDS_IF}, {"rates", VERDICT_HOLDS_IF},  {"design-2x2", VERDICT_HOLDS_IF},
    {"reduction", VERDICT_HOLDS},
};

static const AuditPlan PLAN = {.seed = 3, .trials = 2};

static size_t claim_number(const char *id) {
  size_t i = 0;
  while (i < CLAIM_COUNT && strcmp(EXPECTED[i].id, id) != 0)
    i++;
  return i;
}

static Claim audited(const AuditPlan *plan, const char *id) {
  Claim claim;
  assert_ok(audit_claim(plan, claim_number(id), &claim));
  return claim;
}

/* ---- the claims ---- */

static void expect_words(const Claim *claim) {
  cr_expect(claim->title && claim->title[0] && claim->source && claim->source[0], "%s", claim->id);
  cr_expect_gt(strlen(claim->note), 0, "%s has no note", claim->id);
  cr_expect_lt(strlen(claim->note), sizeof claim->note - 1, "the note of %s is cut", claim->id);
  cr_expect_lt(strlen(claim->condition), sizeof claim->condition - 1, "the condition of %s is cut", claim->id);
  cr_expect_eq(claim->condition[0] == '\0', claim->verdict == VERDICT_HOLDS, "%s: %s", claim->id, claim->condition);
}

Test(claims, come_in_order_with_their_verdicts_and_no_contradiction, .timeout = 120) {
  cr_assert_eq(sizeof EXPECTED / sizeof *EXPECTED, CLAIM_COUNT);
  for (size_t i = 0; i < CLAIM_COUNT; i++) {
    Claim claim;
    assert_ok(audit_claim(&PLAN, i, &claim));
    const Check *worst = claim_worst(&claim);
    cr_expect_str_eq(claim.id, EXPECTED[i].id);
    cr_expect_eq(claim.verdict, EXPECTED[i].verdict, "%s %s", claim.id, verdict_name(claim.verdict));
    cr_expect_not(claim_contradicted(&claim), "%s: %s: predicted %g, measured %g, residual %g > %g", claim.id,
                  worst->quantity, worst->predicted, worst->measured, worst->residual, worst->tolerance);
    cr_expect_geq(claim.check_count, 1);
    cr_expect_eq(claim.row_count > 0, strcmp(claim.id, "design-2x2") == 0);
    expect_words(&claim);
  }
}

/* Where a check compares numbers the residual must be their difference, or a test of the residual says nothing. */
Test(claims, have_residuals_that_are_differences_of_what_is_shown) {
  static const char *const ids[] = {"eq1", "sec2.3", "thm3", "eq4", "lemma1", "thm5", "thm2", "reduction"};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    Claim claim = audited(&PLAN, ids[i]);
    for (size_t j = 0; j < claim.check_count; j++) {
      const Check *check = &claim.checks[j];
      cr_expect_eq(check->residual, fabs(check->measured - check->predicted), "%s: %s", ids[i], check->quantity);
      cr_expect(check->tolerance <= 1e-9, "%s: %s: tolerance %g", ids[i], check->quantity, check->tolerance);
    }
  }
}

Test(claims, are_the_same_for_the_same_seed_and_others_for_another) {
  static const char *const ids[] = {"eq1", "sec2.3", "thm3", "eq6", "eq7", "thm5", "exact-blocks", "reduction"};
  const AuditPlan other = {.seed = 4, .trials = 2};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    Claim first = audited(&PLAN, ids[i]), between = audited(&other, ids[i]), again = audited(&PLAN, ids[i]);
    cr_expect_eq(memcmp(&first, &again, sizeof first), 0, "%s", ids[i]);
    cr_expect_neq(memcmp(first.checks, between.checks, sizeof first.checks), 0, "%s does not use the seed", ids[i]);
  }
}

Test(claims, of_the_design_measure_every_method_at_its_best_step, .timeout = 120) {
  Claim claim = audited(&PLAN, "design-2x2");
  size_t methods = 0;
  while (method_table[methods])
    methods++;
  cr_assert_eq(claim.row_count, methods);
  for (size_t i = 0; i < claim.row_count; i++) {
    const DesignRow *row = &claim.rows[i];
    const MethodType *type = method_find(row->method);
    cr_assert_not_null(type, "%s", row->method);
    expect_within(relative(row->measured_rate, row->predicted_rate), 1e-3, "rate of %s", row->method);
    cr_expect_eq(isnan(row->step), !type->uses_step);
    cr_expect(row->basin >= 0 && row->basin <= 1);
    cr_expect_eq(isfinite(row->median_steps), row->basin > 0.5, "%s: %g, %g", row->method, row->median_steps,
                 row->basin);
  }
}

/* Seeds at which the audit once contradicted itself: chaotic runs of scaledgd. */
Test(claims, of_the_reduction_hold_beside_chaos, .timeout = 120) {
  const AuditPlan chaotic = {.seed = 12, .trials = 4};
  if (SANITIZED)
    return; /* runs of many steps in many dimensions take long */
  Claim claim = audited(&chaotic, "reduction");
  cr_expect_not(claim_contradicted(&claim), "%s", claim_worst(&claim)->quantity);
  cr_expect(strstr(claim.note, "and 0 left out") == NULL, "%s", claim.note);
  claim = audited(&PLAN, "reduction");
  cr_expect(strstr(claim.note, "and 0 left out") != NULL, "%s", claim.note);
}

Test(claims, beyond_the_last_stop, .signal = SIGABRT) {
  Claim claim;
  audit_claim(&PLAN, CLAIM_COUNT, &claim);
}

Test(instances, are_special_first_and_within_their_ranges) {
  AuditPlan plan = {.seed = 5, .trials = 40};
  static const double cosines[] = {0.5, 0, 0.999, -0.999};
  cr_expect_eq(audit_instance(&plan, 0).dimension, 2);
  cr_expect_eq(audit_instance(&plan, 9).dimension, 1000000);
  for (size_t i = 0; i < plan.trials; i++) {
    Instance instance = audit_instance(&plan, i);
    cr_expect(instance.dimension >= 2 && (instance.dimension <= 100000 || i == 9), "%zu", instance.dimension);
    cr_expect(fabs(instance.cosine) <= 0.999 && instance.k > 0.05 && instance.k < 0.95);
    if (i < 4)
      cr_expect_eq(instance.cosine, cosines[i]);
  }
}

/* ---- the checker is checked ---- */

static Claim passing(void) {
  Claim claim = {.id = "hand-made"};
  claim_check(&claim, "easy", 0, 1e-14, 1e-14, 1e-12);
  claim_check(&claim, "near", 0, 9e-13, 9e-13, 1e-12);
  claim_check(&claim, "exact", 1, 1, 0, 0);
  return claim;
}

Test(checker, passes_what_is_within_and_shows_what_is_nearest) {
  Claim claim = passing();
  cr_expect_not(claim_contradicted(&claim));
  cr_expect_str_eq(claim_worst(&claim)->quantity, "near");
  claim_check(&claim, "at the tolerance itself", 0, 1e-12, 1e-12, 1e-12);
  cr_expect_not(claim_contradicted(&claim));
  cr_expect_str_eq(claim_worst(&claim)->quantity, "at the tolerance itself");
}

Test(checker, catches_every_residual_that_is_not_within) {
  static const struct {
    const char *name;
    double residual, tolerance;
  } wrong[] = {{"a little over", 1.0000001e-12, 1e-12}, {"far over", 1e300, 1e-12},       {"not a number", NAN, 1e-12},
               {"infinite", INFINITY, 1e-12},           {"not exact", 1e-300, 0},         {"no tolerance", 1e-14, NAN},
               {"not a number, and exact", NAN, 0},     {"infinite, both", NAN, INFINITY}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    for (size_t before = 0; before <= 3; before += 3) { /* as the first check and as the last */
      Claim claim = before ? passing() : (Claim){.id = "hand-made"};
      claim_check(&claim, wrong[i].name, 0, 0, wrong[i].residual, wrong[i].tolerance);
      if (before == 0)
        claim_check(&claim, "easy", 0, 1e-14, 1e-14, 1e-12);
      cr_expect(claim_contradicted(&claim), "%s", wrong[i].name);
      cr_expect_str_eq(claim_worst(&claim)->quantity, wrong[i].name);
    }
}

Test(checker, takes_residuals_relative_to_the_prediction) {
  Claim claim = {.id = "hand-made"};
  claim_relative(&claim, "smaller", 4, 3, 0.3);
  claim_relative(&claim, "negative", -4, -5, 0.3);
  claim_relative(&claim, "predicted zero", 0, 0, 0.3);
  cr_expect_eq(claim.checks[0].residual, 0.25);
  cr_expect_eq(claim.checks[1].residual, 0.25);
  cr_expect(isnan(claim.checks[2].residual));
  cr_expect(claim_contradicted(&claim), "0/0 passes");
}

/* The measurement is the audit's own, the prediction is wrong by what the audit ought to notice. */
Test(checker, catches_a_wrong_prediction_of_a_rate) {
  MethodParameters parameters = with_step(0.4);
  const MethodType *gd = method_find("gd");
  double measured;
  assert_ok(measure_rate(gd, 0.3, &parameters, PLAN.seed, &measured));
  for (int wrong = 0; wrong < 2; wrong++) {
    Claim claim = {.id = "hand-made"};
    claim_relative(&claim, "gd", gd->rate(0.3, &parameters) + (wrong ? 3e-6 : 0), measured, 1e-6);
    cr_expect_eq(claim_contradicted(&claim), wrong);
  }
}

/* thm1 says 0 steps and thm2 a few dozen: the same measurement must be able to give both. */
Test(checker, tells_a_start_that_rounding_frees_from_one_that_it_does_not) {
  size_t gd, als;
  assert_ok(rounding_escape("gd", 0.4, 0.1, PLAN.seed, &gd));
  assert_ok(rounding_escape("als", 0.4, 0.1, PLAN.seed, &als));
  cr_expect_eq(gd, 0);
  cr_expect(als > 1 && als < 200, "%zu", als);
}

Test(checker, has_room_for_so_many_checks_and_no_more, .signal = SIGABRT) {
  Claim claim = {.id = "hand-made"};
  for (int i = 0; i < AUDIT_CHECKS; i++)
    claim_check(&claim, "one", 0, 0, 0, 0);
  if (claim.check_count == AUDIT_CHECKS)
    claim_check(&claim, "one more", 0, 0, 0, 0);
}

Test(checker, names_its_verdicts) {
  cr_expect_str_eq(verdict_name(VERDICT_HOLDS), "holds");
  cr_expect_str_eq(verdict_name(VERDICT_HOLDS_IF), "holds if");
  cr_expect_str_eq(verdict_name(VERDICT_FAILS), "fails");
}

Test(misprints, say_where_what_and_what_was_meant) {
  size_t count = 0;
  for (const Misprint *m = audit_misprints; m->where; m++, count++) {
    cr_assert(m->printed != NULL && m->meant != NULL, "%s", m->where);
    cr_expect(m->where[0] && m->printed[0] && m->meant[0], "%s", m->where);
    cr_expect_str_neq(m->printed, m->meant);
  }
  cr_expect_geq(count, 3);
}

/* ---- the program ---- */

TestSuite(audit_program, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

static const cJSON *item(const cJSON *object, const char *key) {
  const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
  cr_assert_not_null(found, "no \"%s\"", key);
  return found;
}

static const char *text_of(const cJSON *object, const char *key) {
  const cJSON *found = item(object, key);
  cr_assert(cJSON_IsString(found), "\"%s\" is no text", key);
  return found->valuestring;
}

/* JSON has no infinities: they are "inf" and "-inf", and NaN is null. cJSON writes 15 digits where that is within an
 * epsilon. */
static void expect_number(const cJSON *object, const char *key, double value) {
  const cJSON *found = item(object, key);
  if (isnan(value))
    cr_expect(cJSON_IsNull(found), "%s", key);
  else if (isinf(value))
    cr_expect_str_eq(text_of(object, key), value > 0 ? "inf" : "-inf");
  else
    cr_expect(cJSON_IsNumber(found) && fabs(found->valuedouble - value) <= DBL_EPSILON * fabs(value),
              "%s: %.17g, not %.17g", key, found->valuedouble, value);
}

static void expect_check(const cJSON *object, const Check *check) {
  cr_expect_str_eq(text_of(object, "quantity"), check->quantity);
  expect_number(object, "predicted", check->predicted);
  expect_number(object, "measured", check->measured);
  expect_number(object, "residual", check->residual);
  expect_number(object, "tolerance", check->tolerance);
}

/* Claims that take long with sanitizers: their values are not measured a second time. */
static bool slow(const char *id) {
  return strcmp(id, "step-limit") == 0 || strcmp(id, "rates") == 0 || strcmp(id, "design-2x2") == 0;
}

/* The values of the object are what the library says of claim i. */
static void expect_values(const cJSON *object, size_t i) {
  Claim claim;
  assert_ok(audit_claim(&PLAN, i, &claim));
  cr_expect_str_eq(text_of(object, "title"), claim.title);
  cr_expect_str_eq(text_of(object, "source"), claim.source);
  cr_expect_str_eq(text_of(object, "condition"), claim.condition);
  cr_expect_str_eq(text_of(object, "note"), claim.note);
  expect_check(object, claim_worst(&claim));
  cr_assert_eq(cJSON_GetArraySize(item(object, "checks")), (int)claim.check_count);
  for (size_t j = 0; j < claim.check_count; j++)
    expect_check(cJSON_GetArrayItem(item(object, "checks"), (int)j), &claim.checks[j]);
}

static void expect_claim(const cJSON *object, size_t i) {
  static const char *const texts[] = {"title", "source", "quantity", "condition", "note"};
  static const char *const numbers[] = {"predicted", "measured", "residual", "tolerance"};
  cr_expect_str_eq(text_of(object, "id"), EXPECTED[i].id);
  cr_expect_str_eq(text_of(object, "verdict"), verdict_name(EXPECTED[i].verdict));
  cr_expect(cJSON_IsFalse(item(object, "contradicted")));
  for (int j = 0; j < 5; j++)
    text_of(object, texts[j]);
  for (int j = 0; j < 4; j++)
    item(object, numbers[j]);
  cr_expect_geq(cJSON_GetArraySize(item(object, "checks")), 1);
  cr_expect_eq(cJSON_HasObjectItem(object, "table"), strcmp(EXPECTED[i].id, "design-2x2") == 0);
  if (!slow(EXPECTED[i].id))
    expect_values(object, i);
}

Test(audit_program, writes_every_claim_as_json_and_prints_it) {
  cJSON *root;
  Run run = program_run("theory audit --trials 2 --seed 3 --json audit.json");
  cr_assert_eq(run.exit, 0, "%s", run.err);
  cr_expect_eq(scratch_count(), 1);
  assert_ok(json_read(scratch_path("audit.json"), &root));
  expect_number(root, "seed", 3);
  expect_number(root, "trials", 2);
  cr_assert_eq(cJSON_GetArraySize(item(root, "claims")), CLAIM_COUNT);
  for (size_t i = 0; i < CLAIM_COUNT; i++) {
    expect_claim(cJSON_GetArrayItem(item(root, "claims"), (int)i), i);
    expect_contains(run.out, EXPECTED[i].id);
  }
  const cJSON *misprint = item(root, "misprints")->child;
  for (const Misprint *m = audit_misprints; m->where; m++, misprint = misprint->next) {
    cr_assert_not_null(misprint);
    cr_expect_str_eq(text_of(misprint, "where"), m->where);
    cr_expect_str_eq(text_of(misprint, "printed"), m->printed);
    cr_expect_str_eq(text_of(misprint, "meant"), m->meant);
    expect_contains(run.out, m->where);
  }
  cr_expect_str_eq(text_of(item(root, "origin"), "command"),
                   "seesaw theory audit --seed=3 --trials=2 --json=audit.json");
  cr_expect_null(strstr(run.out, "CONTRADICTED"));
  cJSON_Delete(root);
  program_free(&run);
}

Test(audit_program, prints_nothing_but_json_to_standard_output) {
  Run run = program_run("theory audit --trials 1 --json -");
  cr_assert_eq(run.exit, 0, "%s", run.err);
  cJSON *root = cJSON_ParseWithOpts(run.out, NULL, true);
  cr_assert_not_null(root, "%s", run.out);
  cr_expect_eq(cJSON_GetArraySize(item(root, "claims")), CLAIM_COUNT);
  cr_expect_eq(scratch_count(), 0);
  cJSON_Delete(root);
  program_free(&run);
}

/* With 10000 trials: if it began to work before it looked, the test would run out of time. */
Test(audit_program, finds_a_file_that_cannot_be_written_before_any_work) {
  program_refuses(4, "cannot write missing/audit.json: there is no folder missing",
                  "theory audit --trials 10000 --json missing/audit.json");
  program_refuses(4, "it is a folder", "theory audit --trials 10000 --json .");
}

Test(audit_program, says_what_is_wrong) {
  program_refuses(2, "--trials must lie between 1 and 10000, not 0", "theory audit --trials 0");
  program_refuses(2, "--seed must lie between 0", "theory audit --seed -1");
  program_refuses(2, "did you mean --trials", "theory audit --trails 3");
}

Test(audit_program, keeps_the_old_file_when_it_is_interrupted) {
  scratch_text("audit.json", "old");
  Run run = program_start("theory audit --trials 9 --json audit.json");
  while (ftell(run.streams[0]) == 0) { /* until the first claim is printed */
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    fseek(run.streams[0], 0, SEEK_END);
  }
  kill(run.child, SIGINT);
  program_finish(&run);
  char text[16];
  cr_expect_eq(run.exit, 130, "%s", run.err);
  expect_contains(run.err, "interrupted");
  cr_expect_str_eq(scratch_read(scratch_path("audit.json"), text, sizeof text), "old");
  cr_expect_eq(scratch_count(), 1);
  program_free(&run);
}
