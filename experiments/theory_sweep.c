/* theory_sweep.c: `seesaw theory sweep`: what runs come to, over grids of c, step, start and method. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "select.h"
#include "sweep.h"

/* What the user asked for. */
typedef struct Wish {
  const char *methods, *start, *out;
  Grid cosine, k, eta;
  double scale, tolerance;
  int64_t dimension, starts, steps, seed;
  MethodParameters parameters;
  bool has_k, has_eta, has_dimension;
} Wish;

static const Wish default_wish = {.methods = "gd,altgd",
                                  .start = "paper",
                                  .out = "",
                                  .cosine = {0.05, 0.95, 48, false},
                                  .k = {0.1, 2, 48, false},
                                  .eta = {0.1, 0.1, 1, false},
                                  .scale = 1,
                                  .tolerance = 1e-12,
                                  .dimension = 100,
                                  .starts = 64,
                                  .steps = 2000,
                                  .seed = 1};

static Status plan_of(const Wish *wish, SweepPlan *plan) {
  if (!*wish->out)
    return status_error(STATUS_USAGE, "--out FILE.csv is missing: a sweep keeps its journal beside its output");
  if (wish->has_k && wish->has_eta)
    return status_error(STATUS_USAGE, "--k and --eta exclude each other: give one of them");
  *plan = (SweepPlan){.cosine = wish->cosine,
                      .step = wish->has_eta ? wish->eta : wish->k,
                      .step_is_k = !wish->has_eta,
                      .paper_start = strcmp(wish->start, "paper") == 0,
                      .scale = wish->scale,
                      .dimension = (size_t)wish->dimension,
                      .starts = (size_t)wish->starts,
                      .steps = (size_t)wish->steps,
                      .tolerance = wish->tolerance,
                      .seed = (uint64_t)wish->seed,
                      .parameters = wish->parameters};
  if (plan->paper_start && wish->has_dimension)
    return status_error(STATUS_USAGE, "--dim goes with --start gaussian: the paper's start lies in span{a, b} in every "
                                      "dimension");
  TRY(select_methods(wish->methods, plan->methods, &plan->method_count));
  return sweep_check(plan);
}

static void tell(const SweepPlan *plan, const char *out, const SweepReport *report) {
  size_t rows = plan->method_count * plan->cosine.count * plan->step.count;
  if (report->finished_before)
    printf("%s holds this sweep already; nothing to do\n", out);
  else if (report->resumed > 0)
    printf("%s: %zu rows of %zu starts in %.2f s (%zu of %zu tiles were finished before)\n", out, rows, plan->starts,
           report->seconds, report->resumed, report->tiles);
  else
    printf("%s: %zu rows of %zu starts in %.2f s\n", out, rows, plan->starts, report->seconds);
}

static Status sweep(const Wish *wish, const Command *command, Ranks ranks) {
  SweepPlan plan;
  SweepReport report;
  TRY(plan_of(wish, &plan));
  char *line = options_line(command);
  if (!line)
    return status_error(STATUS_MEMORY, "not enough memory for the command's line");
  Status status = sweep_run(&plan, wish->out, line, ranks, &report);
  free(line);
  if (status.code == STATUS_OK && ranks.rank == 0)
    tell(&plan, wish->out, &report);
  return status;
}

Status command_theory_sweep(int argc, char **argv, Ranks ranks) {
  Wish wish = default_wish;
  wish.parameters = method_defaults();
  const Option options[] = {
      {"method", OPTION_TEXT, &wish.methods, "M[,M..]", "methods, or all", .choices = method_names()},
      {"cos", OPTION_GRID, &wish.cosine, "GRID", "c = a'b", -1, 1, .open = true},
      {"k", OPTION_GRID, &wish.k, "GRID", "steps as k = eta (1+|c|)", 0, INFINITY, .open = true, .given = &wish.has_k},
      {"eta", OPTION_GRID, &wish.eta, "GRID", "or step sizes themselves, the same at every c", 0, INFINITY,
       .open = true, .given = &wish.has_eta},
      METHOD_OPTIONS(wish.parameters),
      {"start", OPTION_CHOICE, &wish.start, "HOW", "paper: u0 = alpha a + beta b, v0 = beta a + alpha b; or gaussian",
       .choices = "paper,gaussian"},
      {"scale", OPTION_REAL, &wish.scale, "S", "standard deviation of the starts", 0, INFINITY, .open = true},
      {"dim", OPTION_INTEGER, &wish.dimension, "D", "dimension of gaussian starts", 2, 1e15,
       .given = &wish.has_dimension},
      {"starts", OPTION_INTEGER, &wish.starts, "N", "starts a point, the same at all points", 1, 1e7},
      {"steps", OPTION_INTEGER, &wish.steps, "N", "the most steps of a run", 1, 1e12},
      {"tol", OPTION_REAL, &wish.tolerance, "T", "a run has arrived when excess <= T", 0, INFINITY},
      {"seed", OPTION_INTEGER, &wish.seed, "N", "seed of the starts", 0, 9e15},
      {"out", OPTION_TEXT, &wish.out, "FILE.csv", "where to write; required"},
      {0},
  };
  const Command command = {
      .name = "theory sweep",
      .summary = "grids over cosine, step, start and method; resumable",
      .description =
          "Runs every method from many starts at every point of a grid over c and the step, in six numbers a run and "
          "many "
          "runs at once, and writes a row a point: the fractions of the starts that reached the optimum, rest at a "
          "saddle, "
          "repeat with a period, move chaotically, diverged, or are undecided within the steps given; the commonest "
          "period, "
          "the median number of steps to the optimum and the mean Lyapunov exponent of the chaotic runs.\n\nA GRID is "
          "lo:hi:count, log:lo:hi:count or one number. Methods without a step (als, jacobi) are run once and their "
          "rows "
          "repeat along it.\n\nFinished pieces are kept in FILE.csv.partial-0 (one a rank): an interrupted or killed "
          "sweep "
          "goes on where it was when the same command is given again. The bytes of the result do not depend on "
          "threads, "
          "ranks or interruptions.",
      .examples = "seesaw theory sweep --out basin.csv\n"
                  "seesaw theory sweep --method all --start gaussian --dim 1000 --scale 0.02 --out all.csv\n"
                  "seesaw theory sweep --method gd --cos 0.5 --k 0.9:2:400 --steps 20000 --out cascade.csv\n"
                  "mpirun -n 8 seesaw theory sweep --method gd,altgd,momentum --eta log:0.01:1:64 --out big.csv",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : sweep(&wish, &command, ranks);
}
