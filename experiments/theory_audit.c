/* theory_audit.c: `seesaw theory audit`: the table of verdicts, and the same as JSON. */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "audit/audit.h"
#include "commands.h"
#include "files.h"
#include "json.h"
#include "options.h"
#include "progress.h"

typedef struct AuditCommand {
  int64_t seed, trials;
  const char *json;
} AuditCommand;

/* JSON has no infinities: a string keeps them readable. */
static cJSON *number(double value) {
  if (isinf(value))
    return cJSON_CreateString(value > 0 ? "inf" : "-inf");
  return isnan(value) ? cJSON_CreateNull() : cJSON_CreateNumber(value);
}

static cJSON *check_to_json(const Check *check) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, "quantity", check->quantity);
  cJSON_AddItemToObject(object, "predicted", number(check->predicted));
  cJSON_AddItemToObject(object, "measured", number(check->measured));
  cJSON_AddItemToObject(object, "residual", number(check->residual));
  cJSON_AddItemToObject(object, "tolerance", number(check->tolerance));
  return object;
}

static cJSON *row_to_json(const DesignRow *row) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, "method", row->method);
  cJSON_AddItemToObject(object, "eta", number(row->step));
  cJSON_AddItemToObject(object, "predicted_rate", number(row->predicted_rate));
  cJSON_AddItemToObject(object, "measured_rate", number(row->measured_rate));
  cJSON_AddItemToObject(object, "predicted_limit", number(row->predicted_limit));
  cJSON_AddItemToObject(object, "measured_limit", number(row->measured_limit));
  cJSON_AddItemToObject(object, "basin", number(row->basin));
  cJSON_AddItemToObject(object, "median_steps", number(row->median_steps));
  return object;
}

/* The claim with its worst check in front, all checks behind. */
static cJSON *claim_to_json(const Claim *claim) {
  const Check *worst = claim_worst(claim);
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, "id", claim->id);
  cJSON_AddStringToObject(object, "title", claim->title);
  cJSON_AddStringToObject(object, "source", claim->source);
  cJSON_AddStringToObject(object, "quantity", worst->quantity);
  cJSON_AddItemToObject(object, "predicted", number(worst->predicted));
  cJSON_AddItemToObject(object, "measured", number(worst->measured));
  cJSON_AddItemToObject(object, "residual", number(worst->residual));
  cJSON_AddItemToObject(object, "tolerance", number(worst->tolerance));
  cJSON_AddStringToObject(object, "verdict", verdict_name(claim->verdict));
  cJSON_AddStringToObject(object, "condition", claim->condition);
  cJSON_AddStringToObject(object, "note", claim->note);
  cJSON_AddBoolToObject(object, "contradicted", claim_contradicted(claim));
  cJSON *checks = cJSON_AddArrayToObject(object, "checks");
  for (size_t i = 0; i < claim->check_count; ++i)
    cJSON_AddItemToArray(checks, check_to_json(&claim->checks[i]));
  if (claim->row_count > 0) {
    cJSON *rows = cJSON_AddArrayToObject(object, "table");
    for (size_t i = 0; i < claim->row_count; ++i)
      cJSON_AddItemToArray(rows, row_to_json(&claim->rows[i]));
  }
  return object;
}

static cJSON *misprints_to_json(void) {
  cJSON *array = cJSON_CreateArray();
  for (const Misprint *m = audit_misprints; m->where; ++m) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "where", m->where);
    cJSON_AddStringToObject(object, "printed", m->printed);
    cJSON_AddStringToObject(object, "meant", m->meant);
    cJSON_AddItemToArray(array, object);
  }
  return array;
}

static Color verdict_color(const Claim *claim) {
  if (claim_contradicted(claim))
    return COLOR_RED;
  return claim->verdict == VERDICT_HOLDS ? COLOR_GREEN : COLOR_YELLOW;
}

static void print_claim(const Claim *claim) {
  const Check *worst = claim_worst(claim);
  printf("%s%-13s%s %s%-9s%s %s\n", color(stdout, COLOR_BOLD), claim->id, color(stdout, COLOR_RESET),
         color(stdout, verdict_color(claim)), claim_contradicted(claim) ? "CONTRADICTED" : verdict_name(claim->verdict),
         color(stdout, COLOR_RESET), claim->title);
  if (claim->condition[0])
    printf("%14s%s: %s\n", "", claim->verdict == VERDICT_FAILS ? "because" : "if", claim->condition);
  printf("%14sworst of %zu checks: %s\n", "", claim->check_count, worst->quantity);
  printf("%14spredicted %.10g, measured %.10g, residual %.2e, tolerance %.0e\n", "", worst->predicted, worst->measured,
         worst->residual, worst->tolerance);
  printf("%14s%s\n", "", claim->note);
}

static void print_design(const Claim *claim) {
  if (claim->row_count == 0)
    return;
  printf("%14s%-12s %9s %11s %11s %9s %9s %6s %7s\n", "", "method", "best eta", "rate", "measured", "limit", "measured",
         "basin", "median");
  for (size_t i = 0; i < claim->row_count; ++i) {
    const DesignRow *row = &claim->rows[i];
    printf("%14s%-12s %9.4f %11.8f %11.8f %9.5f %9.5f %6.3f %7.0f\n", "", row->method, row->step, row->predicted_rate,
           row->measured_rate, row->predicted_limit, row->measured_limit, row->basin, row->median_steps);
  }
}

static void print_misprints(void) {
  printf("\nMisprints in the paper's theory:\n");
  for (const Misprint *m = audit_misprints; m->where; ++m)
    printf("  %s: '%s' for '%s'\n", m->where, m->printed, m->meant);
}

/* All claims, printed as they come and gathered into `claims`. */
static Status run_claims(const AuditPlan *plan, bool print, cJSON *claims, size_t *contradicted) {
  Claim *claim = malloc(sizeof *claim);
  if (!claim)
    return status_error(STATUS_MEMORY, "not enough memory for a claim");
  Progress progress;
  progress_start(&progress, "theory audit", CLAIM_COUNT);
  Status status = status_ok();
  for (size_t i = 0; i < CLAIM_COUNT && status.code == STATUS_OK; ++i) {
    status = audit_claim(plan, i, claim);
    if (status.code != STATUS_OK)
      break;
    *contradicted += claim_contradicted(claim);
    cJSON_AddItemToArray(claims, claim_to_json(claim));
    progress_end(&progress);
    if (print) {
      print_claim(claim);
      print_design(claim);
      fflush(stdout);
    }
    progress_update(&progress, (double)(i + 1));
    status = interrupt_check();
  }
  progress_end(&progress);
  free(claim);
  return status;
}

/* Before minutes of work: can the file be written? A pipe is not tried, whose reader would take that for the end. */
static Status check_output(const char *path) {
  OutputFile file;
  struct stat there;
  if (stat(path, &there) == 0 && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode))
    return status_ok();
  TRY(output_open(&file, path));
  output_abort(&file);
  return status_ok();
}

static Status run_audit(const AuditCommand *options, const char *line) {
  AuditPlan plan = {.seed = (uint64_t)options->seed, .trials = (size_t)options->trials};
  bool to_stdout = options->json[0] == '-' && options->json[1] == '\0';
  size_t contradicted = 0;
  if (options->json[0] && !to_stdout)
    TRY(check_output(options->json));
  cJSON *root = cJSON_CreateObject(), *claims = cJSON_CreateArray();
  cJSON_AddNumberToObject(root, "seed", (double)options->seed);
  cJSON_AddNumberToObject(root, "trials", (double)options->trials);
  cJSON_AddItemToObject(root, "claims", claims);
  cJSON_AddItemToObject(root, "misprints", misprints_to_json());
  cJSON_AddItemToObject(root, "origin", json_origin(line, plan.seed));
  Status status = run_claims(&plan, !to_stdout, claims, &contradicted);
  if (status.code == STATUS_OK && !to_stdout)
    print_misprints();
  if (status.code == STATUS_OK && options->json[0])
    status = json_write(options->json, root);
  cJSON_Delete(root);
  TRY(status);
  if (contradicted > 0)
    return status_error(STATUS_CONTRADICTED, "%zu of %d claims: a measurement contradicts its closed form",
                        contradicted, CLAIM_COUNT);
  return status_ok();
}

Status command_theory_audit(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  AuditCommand plan = {.seed = 1, .trials = 20, .json = ""};
  const Option options[] = {
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of the random instances", 0, 9e15},
      {"trials", OPTION_INTEGER, &plan.trials, "N", "random instances a claim; from 10 on, one has dimension 10^6", 1,
       10000},
      {"json", OPTION_TEXT, &plan.json, "FILE", "also write the claims as JSON; - prints only that"},
      {0},
  };
  const Command command = {
      .name = "theory audit",
      .summary = "check every claim of the theory and give a verdict on each",
      .description =
          "Measures each claim of the paper's Section 2.3 and Appendix C, and each of our own, compares it with its "
          "closed "
          "form and gives a verdict: holds, holds if (a condition), or fails (a counterexample). Ends with the "
          "misprints.\n\n"
          "Exit status 1 means that a measurement contradicts its closed form, which is a fault of this program or its "
          "theory; that a claim of the paper fails is a verdict, not a fault.",
      .examples = "seesaw theory audit\n"
                  "seesaw theory audit --seed 7 --trials 40 --json audit.json\n"
                  "seesaw theory audit --trials 3 --json - | jq '.claims[] | [.id, .verdict]'",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  char *line = options_line(&command);
  Status status = run_audit(&plan, line ? line : "seesaw theory audit");
  free(line);
  return status;
}
