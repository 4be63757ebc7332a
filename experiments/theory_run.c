/* theory_run.c: `seesaw theory run`: methods on one problem, one row a step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "npy.h"
#include "output.h"
#include "progress.h"
#include "reduction.h"
#include "select.h"

/* What the user asked for. */
typedef struct RunPlan {
  const char *methods, *start, *out;
  const char *a, *b, *u0, *v0, *matrix;
  int64_t dimension, rank, steps, every, seed;
  double cosine, eta, k, scale, tolerance;
  MethodParameters parameters;
  bool no_truth;
  bool has_dimension, has_cosine, has_eta, has_k, has_start, has_rank;
} RunPlan;

static const RunPlan default_plan = {.methods = "gd,altgd,als",
                                     .start = "",
                                     .out = "-",
                                     .a = "",
                                     .b = "",
                                     .u0 = "",
                                     .v0 = "",
                                     .matrix = "",
                                     .dimension = 100,
                                     .rank = 1,
                                     .steps = 200,
                                     .every = 1,
                                     .seed = 1,
                                     .cosine = 0.5,
                                     .eta = 0.1,
                                     .k = 0.5,
                                     .scale = 1.0,
                                     .tolerance = 0.0};

/* A problem and the start that all methods share. */
typedef struct Setting {
  Problem problem;
  double *u, *v;
} Setting;

static void setting_free(Setting *setting) {
  problem_free(&setting->problem);
  free(setting->u);
  free(setting->v);
}

static Status conflict(const char *first, const char *second) {
  return status_error(STATUS_USAGE, "--%s and --%s exclude each other: give one of them", first, second);
}

/* Which options go together; the sentence names the first pair that does not. */
static Status check_plan(const RunPlan *plan) {
  bool from_vectors = *plan->a || *plan->b, from_matrix = *plan->matrix;
  if (plan->has_eta && plan->has_k)
    return conflict("eta", "k");
  if (from_matrix && from_vectors)
    return conflict("matrix", *plan->a ? "a" : "b");
  if (!*plan->a != !*plan->b)
    return status_error(STATUS_USAGE, "--a and --b go together: --%s is missing", *plan->a ? "b" : "a");
  if (!*plan->u0 != !*plan->v0)
    return status_error(STATUS_USAGE, "--u0 and --v0 go together: --%s is missing", *plan->u0 ? "v0" : "u0");
  if ((from_matrix || from_vectors) && plan->has_cosine)
    return conflict(from_matrix ? "matrix" : "a", "cos");
  if ((from_matrix || from_vectors) && plan->has_dimension)
    return conflict(from_matrix ? "matrix" : "a", "dim");
  if (plan->has_rank && !from_matrix && plan->rank != 1)
    return status_error(STATUS_USAGE, "--rank needs --matrix: the bilinear problem has rank 1");
  if (from_matrix && strcmp(plan->start, "paper") == 0)
    return status_error(STATUS_USAGE, "--start paper needs the bilinear problem's a and b; use --start gaussian");
  if (strcmp(plan->start, "file") == 0 && !*plan->u0)
    return status_error(STATUS_USAGE, "--start file needs --u0 and --v0");
  if (*plan->u0 && plan->has_start && strcmp(plan->start, "file") != 0)
    return conflict("start", "u0");
  const MethodType *methods[METHODS_MOST];
  size_t count;
  return select_methods(plan->methods, methods, &count); /* before any work */
}

static Status problem_from_vectors(const RunPlan *plan, Problem *problem) {
  NpyArray a, b;
  TRY(npy_read(plan->a, &a));
  Status status = npy_read(plan->b, &b);
  if (status.code != STATUS_OK) {
    npy_free(&a);
    return status;
  }
  if (a.rank != 1 || b.rank != 1)
    status = status_error(STATUS_INPUT, "%s: a vector has 1 dimension, this array has %zu",
                          a.rank != 1 ? plan->a : plan->b, a.rank != 1 ? a.rank : b.rank);
  else if (a.count != b.count)
    status = status_error(STATUS_INPUT, "a and b must have the same length: %s holds %zu numbers, %s holds %zu",
                          plan->a, a.count, plan->b, b.count);
  else
    status = problem_bilinear(problem, a.count, a.data, b.data);
  npy_free(&a);
  npy_free(&b);
  return status;
}

static Status make_problem(const RunPlan *plan, Problem *problem) {
  if (*plan->matrix)
    return problem_file(problem, plan->matrix, (size_t)plan->rank, !plan->no_truth);
  if (*plan->a)
    return problem_from_vectors(plan, problem);
  return problem_bilinear_random(problem, (size_t)plan->dimension, plan->cosine, (uint64_t)plan->seed);
}

/* A factor from a file: shape (length) for rank 1, or (length, rank), row-major; stored column by column. */
static Status read_factor(const char *option, const char *path, size_t length, size_t rank, double *factor) {
  NpyArray array;
  TRY(npy_read(path, &array));
  bool right =
      array.count == length * rank && ((array.rank == 1 && rank == 1) || (array.rank == 2 && array.shape[0] == length));
  for (size_t i = 0; right && i < length; ++i)
    for (size_t j = 0; j < rank; ++j)
      factor[j * length + i] = array.data[i * rank + j];
  Status status = right ? status_ok()
                        : status_error(STATUS_INPUT, "%s: --%s must hold %zu x %zu numbers, this array holds %zu", path,
                                       option, length, rank, array.count);
  npy_free(&array);
  return status;
}

static Status make_start(const RunPlan *plan, Setting *setting) {
  const Problem *problem = &setting->problem;
  setting->u = malloc(problem->rows * problem->rank * sizeof(double));
  setting->v = malloc(problem->columns * problem->rank * sizeof(double));
  if (!setting->u || !setting->v)
    return status_error(STATUS_MEMORY, "not enough memory for the start");
  if (*plan->u0) {
    TRY(read_factor("u0", plan->u0, problem->rows, problem->rank, setting->u));
    return read_factor("v0", plan->v0, problem->columns, problem->rank, setting->v);
  }
  if (*plan->matrix || strcmp(plan->start, "gaussian") == 0)
    start_gaussian(problem, plan->scale, (uint64_t)plan->seed, setting->u, setting->v);
  else
    start_paper(problem, plan->scale, (uint64_t)plan->seed, setting->u, setting->v);
  return status_ok();
}

/* k = eta (1 + |c|) for the bilinear problem. For a matrix k = eta sigma_1, but preconditioned methods, whose eta has
 * no units, take it as eta. */
static Status choose_step(const RunPlan *plan, const Problem *problem, const MethodType *type, double *step) {
  bool matrix = isnan(problem->cosine);
  *step = plan->has_k ? plan->k : plan->eta;
  if (!plan->has_k || (matrix && type->preconditioned))
    return status_ok();
  if (!problem->has_truth)
    return status_error(STATUS_USAGE, "--k needs the largest singular value: leave out --no-truth, or give --eta");
  if (!(problem->truth.sigma[0] > 0.0))
    return status_error(STATUS_INPUT, "--k needs a matrix that is not zero; give --eta");
  *step = plan->k / problem->truth.sigma[0];
  return status_ok();
}

static void write_row(CsvWriter *csv, const char *method, size_t step, const Measure *measure) {
  csv_text(csv, method);
  csv_integer(csv, (int64_t)step);
  csv_real(csv, measure->loss);
  csv_real(csv, measure->excess);
  csv_real(csv, measure->tau);
  csv_real(csv, measure->nu);
  csv_real(csv, measure->norm_u);
  csv_real(csv, measure->norm_v);
  csv_real(csv, measure->alignment);
  csv_end(csv);
}

/* Steps of one method until the tolerance, the last step or divergence, which ends its rows. */
static Status run_steps(const RunPlan *plan, Minimizer *minimizer, CsvWriter *csv, Progress *progress, double done) {
  const char *name = minimizer->type->name;
  for (size_t t = 0;; ++t) {
    Measure measure;
    problem_measure(minimizer->problem, minimizer->u, minimizer->v, &measure);
    bool arrived = minimizer_test(minimizer, &measure, plan->tolerance), lost = !isfinite(measure.loss);
    bool last = arrived || lost || t == (size_t)plan->steps;
    if (last || t % (size_t)plan->every == 0)
      write_row(csv, name, t, &measure);
    if (lost)
      fprintf(stderr, "%s diverged at step %zu\n", name, t);
    if (last)
      return status_ok();
    Status status = minimizer_iterate(minimizer);
    if (status.code != STATUS_OK)
      return status_error(status.code, "%s at step %zu: %.400s", name, t + 1, status.message);
    progress_update(progress, done + (double)t);
    TRY(interrupt_check());
  }
}

static Status run_methods(const RunPlan *plan, const Setting *setting, CsvWriter *csv) {
  const MethodType *methods[METHODS_MOST];
  size_t count;
  MethodParameters parameters = plan->parameters;
  TRY(select_methods(plan->methods, methods, &count));
  Progress progress;
  progress_start(&progress, "theory run", (double)count * (double)plan->steps);
  Status status = status_ok();
  for (size_t i = 0; i < count && status.code == STATUS_OK; ++i) {
    Minimizer minimizer;
    status = choose_step(plan, &setting->problem, methods[i], &parameters.step);
    if (status.code == STATUS_OK)
      status = minimizer_alloc(&minimizer, methods[i], &setting->problem, &parameters);
    if (status.code != STATUS_OK)
      break;
    status = minimizer_set(&minimizer, setting->u, setting->v);
    if (status.code == STATUS_OK)
      status = run_steps(plan, &minimizer, csv, &progress, (double)i * (double)plan->steps);
    minimizer_free(&minimizer);
  }
  progress_end(&progress);
  return status;
}

static Status write_rows(const void *argument, CsvWriter *csv) {
  const RunPlan *plan = argument;
  Setting setting = {0};
  Status status = make_problem(plan, &setting.problem);
  if (status.code == STATUS_OK)
    status = make_start(plan, &setting);
  if (status.code == STATUS_OK)
    status = run_methods(plan, &setting, csv);
  setting_free(&setting);
  return status;
}

Status command_theory_run(int argc, char **argv, Ranks ranks) {
  (void)ranks;
  RunPlan plan = default_plan;
  plan.parameters = method_defaults();
  const Option options[] = {
      {"method", OPTION_TEXT, &plan.methods, "M[,M..]", "methods, or all", .choices = method_names()},
      {"dim", OPTION_INTEGER, &plan.dimension, "D", "dimension of the random a and b", 2, 1e9,
       .given = &plan.has_dimension},
      {"cos", OPTION_REAL, &plan.cosine, "C", "c = a'b of the random a and b", -1, 1, .open = true,
       .given = &plan.has_cosine},
      {"a", OPTION_TEXT, &plan.a, "A.npy", "a from a file, a unit vector, with --b"},
      {"b", OPTION_TEXT, &plan.b, "B.npy", "b from a file, with --a"},
      {"matrix", OPTION_TEXT, &plan.matrix, "FILE", "any real matrix instead: .mtx or .npy"},
      {"rank", OPTION_INTEGER, &plan.rank, "R", "rank of the factors, with --matrix", 1, PROBLEM_MAX_RANK,
       .given = &plan.has_rank},
      {"no-truth", OPTION_FLAG, &plan.no_truth, NULL, "no singular values: excess and alignment are nan"},
      {"eta", OPTION_REAL, &plan.eta, "E", "step size", 0, INFINITY, .open = true, .given = &plan.has_eta},
      {"k", OPTION_REAL, &plan.k, "K",
       "instead of eta: k = eta (1+|c|); with --matrix eta times its largest singular value, or eta itself for "
       "preconditioned methods",
       0, INFINITY, .open = true, .given = &plan.has_k},
      METHOD_OPTIONS(plan.parameters),
      {"start", OPTION_CHOICE, &plan.start, "HOW",
       "paper: u0 = alpha a + beta b, v0 = beta a + alpha b; gaussian; file", .choices = "paper,gaussian,file",
       .given = &plan.has_start},
      {"u0", OPTION_TEXT, &plan.u0, "U.npy", "the start of u from a file, with --v0"},
      {"v0", OPTION_TEXT, &plan.v0, "V.npy", "the start of v from a file, with --u0"},
      {"scale", OPTION_REAL, &plan.scale, "S", "standard deviation of a random start", 0, INFINITY, .open = true},
      {"steps", OPTION_INTEGER, &plan.steps, "N", "the most steps", 0, 1e12},
      {"tol", OPTION_REAL, &plan.tolerance, "T", "stop when excess <= T (of a matrix: T |X|^2/2); 0 runs all the steps",
       0, INFINITY},
      {"every", OPTION_INTEGER, &plan.every, "N", "write every Nth step, and the last", 1, 1e12},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of all that is random", 0, 9e15},
      {"out", OPTION_TEXT, &plan.out, "FILE.csv", "where to write; - is standard output"},
      {0},
  };
  const Command command = {
      .name = "theory run",
      .summary = "run methods on one problem, step by step, to CSV",
      .description = "Minimises 1/2 |U V' - X|^2 by one or more methods from the same start and writes a row a step: "
                     "method, step, "
                     "loss, excess (loss minus optimum), tau, nu (u in the paper's basis), norm_u, norm_v, alignment "
                     "(cosine of the "
                     "largest angle to the optimal subspace).\n\nX = ab' + ba' for random unit vectors with a'b = C, "
                     "for vectors from "
                     "files, or any matrix. A step is both blocks; alternating gradient methods move u, then v with "
                     "the new u; als "
                     "moves v from u, then u from v. A run that diverges ends with its first row that is not finite.",
      .examples = "seesaw theory run --method gd,altgd,als --dim 1000 --cos 0.3 --k 0.9 --steps 100 --out losses.csv\n"
                  "seesaw theory run --method all --cos -0.5 --eta 0.2 --start gaussian --tol 1e-12 --steps 10000\n"
                  "seesaw theory run --method als,scaledgd --matrix X.mtx --rank 5 --eta 0.5 --out matrix.csv",
      .options = options};
  bool done = false;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  TRY(check_plan(&plan));
  return csv_produce(plan.out, "method,step,loss,excess,tau,nu,norm_u,norm_v,alignment", write_rows, &plan, &command,
                     (uint64_t)plan.seed);
}
