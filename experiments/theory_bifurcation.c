/* theory_bifurcation.c: `seesaw theory bifurcation`: where a method ends up as its step grows. */
#include <math.h>
#include <stdlib.h>

#include "commands.h"
#include "dynamics.h"
#include "files.h"
#include "output.h"
#include "progress.h"
#include "select.h"

typedef struct BifurcationPlan {
  const char *methods, *out;
  Grid k;
  double cosine, alpha, beta;
  int64_t transient, samples;
  MethodParameters parameters;
} BifurcationPlan;

static Status write_point(const BifurcationPlan *plan, CsvWriter *csv, const MethodType *type, double k, double *tau) {
  MethodParameters parameters = plan->parameters;
  parameters.step = k / (1.0 + fabs(plan->cosine));
  TRY(measure_attractor(type, plan->cosine, &parameters, plan->alpha, plan->beta, (size_t)plan->transient,
                        (size_t)plan->samples, tau));
  for (int64_t i = 0; i < plan->samples; ++i) {
    if (isnan(tau[i]))
      return status_ok(); /* it left every bound: no attractor */
    csv_text(csv, type->name);
    csv_real(csv, plan->cosine);
    csv_real(csv, k);
    csv_integer(csv, i);
    csv_real(csv, tau[i]);
    csv_end(csv);
  }
  return interrupt_check();
}

static Status write_rows(const void *argument, CsvWriter *csv) {
  const BifurcationPlan *plan = argument;
  const MethodType *methods[METHODS_MOST];
  size_t count;
  TRY(select_methods(plan->methods, methods, &count));
  double *tau = malloc((size_t)plan->samples * sizeof *tau);
  if (!tau)
    return status_error(STATUS_MEMORY, "not enough memory for %lld samples", (long long)plan->samples);
  Progress progress;
  progress_start(&progress, "theory bifurcation", (double)(count * plan->k.count));
  Status status = status_ok();
  for (size_t m = 0; m < count; ++m)
    for (size_t i = 0; i < plan->k.count && status.code == STATUS_OK; ++i) {
      status = write_point(plan, csv, methods[m], grid_point(&plan->k, i), tau);
      progress_update(&progress, (double)(m * plan->k.count + i + 1));
    }
  progress_end(&progress);
  free(tau);
  return status;
}

Status command_theory_bifurcation(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  BifurcationPlan plan = {.methods = "gd,altgd",
                          .out = "-",
                          .k = {0.5, 2.1, 321, false},
                          .cosine = 0.5,
                          .alpha = 0.3,
                          .beta = 0.2,
                          .transient = 2000,
                          .samples = 64,
                          .parameters = method_defaults()};
  const Option options[] = {
      {"method", OPTION_TEXT, &plan.methods, "M[,M..]", "methods, or all"},
      {"k", OPTION_GRID, &plan.k, "GRID", "values of k = eta (1+|c|): lo:hi:count", 0, 100, .open = true},
      {"cos", OPTION_REAL, &plan.cosine, "C", "c = a'b", -1, 1, .open = true},
      {"alpha", OPTION_REAL, &plan.alpha, "A", "the paper's start u0 = alpha a + beta b, v0 = beta a + alpha b", -100,
       100},
      {"beta", OPTION_REAL, &plan.beta, "B", "its other coefficient", -100, 100},
      METHOD_OPTIONS(plan.parameters),
      {"transient", OPTION_INTEGER, &plan.transient, "N", "steps before the first sample", 0, 1e9},
      {"samples", OPTION_INTEGER, &plan.samples, "N", "successive steps that are written", 1, 1e7},
      {"out", OPTION_TEXT, &plan.out, "FILE.csv", "where to write; - is standard output"},
      {0},
  };
  const Command command = {
      .name = "theory bifurcation",
      .summary = "attractors of a method as its step grows",
      .description =
          "Runs each method from the paper's start, lets the transient pass and writes tau at the steps after it: "
          "method, cosine, k, sample, tau. One value: a fixed point; n values: period n; many: chaos; no row: it "
          "diverged. Nothing here is random.",
      .examples = "seesaw theory bifurcation --out bifurcation.csv\n"
                  "seesaw theory bifurcation --method gd,altgd,soft --cos 0.2 --k 0.9:2:1000 --samples 200 --out b.csv",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  return csv_produce(plan.out, "method,cosine,k,sample,tau", write_rows, &plan, &command, 0);
}
