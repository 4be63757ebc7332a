/* theory_phase.c: `seesaw theory phase`: trajectories in the paper's plane (tau, nu), of gradient descent and of the
 * flow, from starts around the origin (Lemma 1, Eq. 6). */
#include <math.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "method.h"
#include "output.h"
#include "reduction.h"

typedef struct PhasePlan {
  double cosine, eta, radius, time;
  int64_t starts, seed;
  const char *out;
} PhasePlan;

static void write_row(CsvWriter *csv, const PhasePlan *plan, size_t trajectory, const char *kind, double step_size,
                      const Minimizer *minimizer) {
  csv_integer(csv, (int64_t)trajectory);
  csv_text(csv, kind);
  csv_real(csv, plan->cosine);
  csv_real(csv, plan->eta);
  csv_integer(csv, (int64_t)minimizer->iteration);
  csv_real(csv, (double)minimizer->iteration * step_size);
  csv_real(csv, minimizer->u[0] / sqrt(1.0 + plan->cosine));
  csv_real(csv, minimizer->u[1] / sqrt(1.0 - plan->cosine));
  csv_end(csv);
}

/* One trajectory from the paper's start in direction `angle`; the flow is sampled finely so that it draws as a curve.
 */
static Status write_trajectory(const PhasePlan *plan, CsvWriter *csv, const Problem *problem, size_t trajectory,
                               const char *kind, double angle) {
  MethodParameters parameters = method_defaults();
  bool flow = strcmp(kind, "flow") == 0;
  parameters.step = flow ? plan->time / 200.0 : plan->eta;
  double tau = plan->radius * cos(angle), nu = plan->radius * sin(angle);
  Reduced start = reduction_paper(plan->cosine, (tau + nu) * M_SQRT1_2, (tau - nu) * M_SQRT1_2);
  Minimizer minimizer;
  TRY(minimizer_alloc(&minimizer, method_find(kind), problem, &parameters));
  Status status = minimizer_set(&minimizer, start.x, start.y);
  size_t steps = (size_t)ceil(plan->time / parameters.step);
  for (size_t t = 0; t <= steps && status.code == STATUS_OK; ++t) {
    write_row(csv, plan, trajectory, kind, parameters.step, &minimizer);
    status = minimizer_iterate(&minimizer);
    if (status.code == STATUS_OK)
      status = interrupt_check();
  }
  minimizer_free(&minimizer);
  return status;
}

static Status write_rows(const void *argument, CsvWriter *csv) {
  const PhasePlan *plan = argument;
  Problem problem;
  TRY(problem_reduced(&problem, plan->cosine));
  Status status = status_ok();
  for (int64_t i = 0; i < plan->starts && status.code == STATUS_OK; ++i) {
    double angle = 2.0 * M_PI * ((double)i + 0.5) / (double)plan->starts;
    status = write_trajectory(plan, csv, &problem, (size_t)i, "gd", angle);
    if (status.code == STATUS_OK)
      status = write_trajectory(plan, csv, &problem, (size_t)i, "flow", angle);
  }
  problem_free(&problem);
  return status;
}

Status command_theory_phase(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  PhasePlan plan = {.cosine = 0.3, .eta = 0.15, .radius = 0.15, .time = 15.0, .starts = 12, .out = "-"};
  const Option options[] = {
      {"cos", OPTION_REAL, &plan.cosine, "C", "c = a'b", -1, 1, .open = true},
      {"eta", OPTION_REAL, &plan.eta, "E", "step of gradient descent", 0, 10, .open = true},
      {"radius", OPTION_REAL, &plan.radius, "R", "distance of the starts from the origin", 0, 10, .open = true},
      {"time", OPTION_REAL, &plan.time, "T", "how long: eta times the number of steps", 0, 1e4, .open = true},
      {"starts", OPTION_INTEGER, &plan.starts, "N", "starts, evenly around the origin", 1, 10000},
      {"out", OPTION_TEXT, &plan.out, "FILE.csv", "where to write; - is standard output"},
      {0},
  };
  const Command command = {
      .name = "theory phase",
      .summary = "trajectories in the plane (tau, nu)",
      .description =
          "From the paper's start u0 = alpha a + beta b, v0 = beta a + alpha b the whole run lies in the plane of "
          "tau and nu (Theorem 3, Lemma 1). Writes gradient descent and the flow from the same starts, a row a "
          "step: trajectory, kind, cosine, eta, step, time, tau, nu. Nothing here is random.",
      .examples = "seesaw theory phase --out phase.csv\n"
                  "seesaw theory phase --cos -0.5 --eta 0.4 --starts 24 --out phase.csv",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  return csv_produce(plan.out, "trajectory,kind,cosine,eta,step,time,tau,nu", write_rows, &plan, &command,
                     (uint64_t)plan.seed);
}
