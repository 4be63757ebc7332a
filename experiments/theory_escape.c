/* theory_escape.c: `seesaw theory escape`: how long gradient descent stays near the saddle, against tau_0. */
#include <math.h>

#include "commands.h"
#include "dynamics.h"
#include "files.h"
#include "output.h"

typedef struct EscapePlan {
  const char *out;
  Grid cosine, eta, exponent;
} EscapePlan;

static Status write_rows(const void *argument, CsvWriter *csv) {
  const EscapePlan *plan = argument;
  for (size_t i = 0; i < plan->cosine.count; ++i)
    for (size_t j = 0; j < plan->eta.count; ++j)
      for (size_t l = 0; l < plan->exponent.count; ++l) {
        double c = grid_point(&plan->cosine, i), eta = grid_point(&plan->eta, j);
        double exponent = -grid_point(&plan->exponent, l);
        csv_real(csv, c);
        csv_real(csv, eta);
        csv_real(csv, exponent);
        csv_integer(csv, (int64_t)measure_escape(c, eta, exponent));
        csv_real(csv, escape_flow(c, eta, exponent));
        csv_real(csv, escape_linear(c, eta, exponent));
        csv_end(csv);
        TRY(interrupt_check());
      }
  return status_ok();
}

Status command_theory_escape(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  EscapePlan plan = {
      .out = "-", .cosine = {0.1, 0.5, 2, false}, .eta = {0.02, 0.2, 2, false}, .exponent = {1.0, 300.0, 24, false}};
  const Option options[] = {
      {"cos", OPTION_GRID, &plan.cosine, "GRID", "values of c > 0", 0.001, 1, .open = true},
      {"eta", OPTION_GRID, &plan.eta, "GRID", "step sizes; stable for eta (1+c) < 1", 1e-6, 0.5, .open = true},
      {"digits", OPTION_GRID, &plan.exponent, "GRID", "log10(1/tau_0): how many digits the start is off the saddle",
       0.1, 307},
      {"out", OPTION_TEXT, &plan.out, "FILE.csv", "where to write; - is standard output"},
      {0},
  };
  const Command command = {
      .name = "theory escape",
      .summary = "time to escape from the saddle",
      .description =
          "Gradient descent from the paper's start with nu_0 = 1 and tau_0 = 10^-digits: the first step with |tau| "
          ">= |nu|, beside ln(1/tau_0)/(2 c eta), exact for the flow, and ln(1/tau_0)/ln(1 + 2 c eta). Columns: "
          "cosine, eta, log10_tau0, steps, predicted, exact. Nothing here is random.",
      .examples = "seesaw theory escape --out escape.csv\n"
                  "seesaw theory escape --cos 0.3 --eta 0.01:0.4:5 --digits 10:300:30 --out escape.csv",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  return csv_produce(plan.out, "cosine,eta,log10_tau0,steps,predicted,exact", write_rows, &plan, &command, 0);
}
