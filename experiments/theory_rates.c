/* theory_rates.c: `seesaw theory rates`: predicted against measured contraction, and iterations to the optimum, over c.
 */
#include <math.h>
#include <string.h>

#include "commands.h"
#include "dynamics.h"
#include "files.h"
#include "output.h"
#include "progress.h"
#include "select.h"

typedef struct RatesPlan {
  const char *methods, *rule, *out;
  Grid cosine;
  double k, tolerance, scale;
  int64_t starts, steps, seed;
  MethodParameters parameters;
} RatesPlan;

/* eta for this method and c: k / (1+|c|), or the method's best. */
static MethodParameters parameters_at(const RatesPlan *plan, const MethodType *type, double cosine) {
  MethodParameters parameters = plan->parameters;
  parameters.step = plan->k / (1.0 + fabs(cosine));
  if (strcmp(plan->rule, "best") == 0 && type->best)
    type->best(cosine, &parameters);
  return parameters;
}

static Status write_point(const RatesPlan *plan, CsvWriter *csv, const MethodType *type, double cosine) {
  MethodParameters parameters = parameters_at(plan, type, cosine);
  double predicted = type->rate ? type->rate(cosine, &parameters) : NAN, measured;
  double limit = type->limit ? type->limit(cosine, &parameters) : NAN;
  if (parameters.step >= limit) /* beyond its limit there is nothing to converge to */
    return status_ok();
  Basin basin;
  TRY(measure_rate(type, cosine, &parameters, (uint64_t)plan->seed, &measured));
  TRY(measure_basin(type, cosine, &parameters, plan->scale, 10, (size_t)plan->starts, (size_t)plan->steps,
                    plan->tolerance, (uint64_t)plan->seed, &basin));
  csv_text(csv, type->name);
  csv_text(csv, plan->rule);
  csv_real(csv, cosine);
  csv_real(csv, parameters.step * (1.0 + fabs(cosine)));
  csv_real(csv, parameters.step);
  csv_real(csv, predicted);
  csv_real(csv, measured);
  csv_real(csv, fabs(measured - predicted) / predicted);
  csv_real(csv, basin.median_steps);
  csv_end(csv);
  return status_ok();
}

static Status write_rows(const void *argument, CsvWriter *csv) {
  const RatesPlan *plan = argument;
  const MethodType *methods[METHODS_MOST];
  size_t count;
  TRY(select_methods(plan->methods, methods, &count));
  Progress progress;
  progress_start(&progress, "theory rates", (double)count * (double)plan->cosine.count);
  Status status = status_ok();
  for (size_t m = 0; m < count; ++m)
    for (size_t i = 0; i < plan->cosine.count && status.code == STATUS_OK; ++i) {
      status = write_point(plan, csv, methods[m], grid_point(&plan->cosine, i));
      progress_update(&progress, (double)(m * plan->cosine.count + i + 1));
      if (status.code == STATUS_OK)
        status = interrupt_check();
    }
  progress_end(&progress);
  return status;
}

Status command_theory_rates(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  RatesPlan plan = {.methods = "gd,altgd,als,scaledgd,altscaledgd,momentum,soft",
                    .rule = "k",
                    .out = "-",
                    .cosine = {0.02, 0.9, 12, false},
                    .k = 0.9,
                    .tolerance = 1e-12,
                    .scale = 0.3,
                    .starts = 31,
                    .steps = 100000,
                    .seed = 1,
                    .parameters = method_defaults()};
  const Option options[] = {
      {"method", OPTION_TEXT, &plan.methods, "M[,M..]", "methods, or all"},
      {"cos", OPTION_GRID, &plan.cosine, "GRID", "values of c: lo:hi:count, log:lo:hi:count or one", -1, 1,
       .open = true},
      {"rule", OPTION_CHOICE, &plan.rule, "RULE", "the step: k (from --k), or best (each method's best at that c)",
       .choices = "k,best"},
      {"k", OPTION_REAL, &plan.k, "K", "step as k = eta (1+|c|)", 0, 100, .open = true},
      METHOD_OPTIONS(plan.parameters),
      {"starts", OPTION_INTEGER, &plan.starts, "N", "Gaussian starts in 10 dimensions for the median of iterations", 1,
       1000000},
      {"scale", OPTION_REAL, &plan.scale, "S", "standard deviation of those starts", 0, INFINITY, .open = true},
      {"steps", OPTION_INTEGER, &plan.steps, "N", "the most steps of each", 1, 1e9},
      {"tol", OPTION_REAL, &plan.tolerance, "T", "they have arrived when excess <= T", 0, 1, .open = true},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of the starts", 0, 9e15},
      {"out", OPTION_TEXT, &plan.out, "FILE.csv", "where to write; - is standard output"},
      {0},
  };
  const Command command = {
      .name = "theory rates",
      .summary = "predicted against measured convergence rates",
      .description =
          "For each method and c: the closed form of the factor by which the distance to the balanced optimum "
          "shrinks a step, the factor measured by running the method near it, and the median number of iterations "
          "to the optimum from random starts (inf if fewer than half arrived). Columns: method, rule, cosine, k, eta, "
          "predicted, measured, residual, iterations. Points beyond a method's stability limit are left out.",
      .examples = "seesaw theory rates --k 0.9 --cos 0.02:0.9:12 --out rates.csv\n"
                  "seesaw theory rates --rule best --cos log:0.001:0.9:16 --out iterations.csv",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  return csv_produce(plan.out, "method,rule,cosine,k,eta,predicted,measured,residual,iterations", write_rows, &plan,
                     &command, (uint64_t)plan.seed);
}
