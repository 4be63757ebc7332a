/* test_theory_run.c: the program's theory commands that write CSV: what they write against the library run directly,
 * and everything they refuse, with its sentence. (theory sweep: test_sweep.c; theory audit: test_audit.c.) */
#include <float.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "dynamics.h"
#include "json.h"
#include "npy.h"
#include "program.h"
#include "runs.h"
#include "sanitized.h"

TestSuite(run, .init = scratch_make, .fini = scratch_remove, .timeout = 100);
TestSuite(refusals, .init = scratch_make, .fini = scratch_remove, .timeout = 100);
TestSuite(commands, .init = scratch_make, .fini = scratch_remove, .timeout = 100);

/* ---- reading what was written ---- */

static const char *slurp(const char *name) {
  static char texts[4][1 << 20];
  static int next;
  return scratch_read(scratch_path(name), texts[next++ % 4], sizeof texts[0]);
}

static bool there(const char *name) {
  return access(scratch_path(name), F_OK) == 0;
}

typedef struct Row {
  char method[16];
  size_t step;
  Measure measure;
} Row;

enum { ROWS = 4096 };

typedef struct Table {
  Row rows[ROWS];
  size_t count;
} Table;

static Table *table_read(const char *name) {
  static Table tables[2];
  static int next;
  Table *table = &tables[next++ % 2];
  char *copy = strdup(slurp(name)), *rest = copy;
  table->count = 0;
  cr_assert_str_eq(strsep(&rest, "\n"), "method,step,loss,excess,tau,nu,norm_u,norm_v,alignment");
  for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
    cr_assert_lt(table->count, ROWS);
    Row *row = &table->rows[table->count++];
    Measure *m = &row->measure;
    char end;
    cr_assert_eq(sscanf(line, "%15[^,],%zu,%lf,%lf,%lf,%lf,%lf,%lf,%lf%c", row->method, &row->step, &m->loss,
                        &m->excess, &m->tau, &m->nu, &m->norm_u, &m->norm_v, &m->alignment, &end),
                 9, "row %zu: %s", table->count, line);
  }
  cr_expect(copy[0] == '\0' || rest == NULL || *rest == '\0');
  free(copy);
  return table;
}

/* Bit for bit but for NaN, of which there is one: 17 digits read back exactly. */
static bool same(double x, double y) {
  return x == y || (isnan(x) && isnan(y));
}

static void expect_measure(const Row *row, const Measure *measure) {
  const double written[] = {row->measure.loss,   row->measure.excess, row->measure.tau,      row->measure.nu,
                            row->measure.norm_u, row->measure.norm_v, row->measure.alignment};
  const double expected[] = {measure->loss,   measure->excess, measure->tau,      measure->nu,
                             measure->norm_u, measure->norm_v, measure->alignment};
  for (int i = 0; i < 7; i++)
    cr_expect(same(written[i], expected[i]), "%s, step %zu, column %d: %.17g, not %.17g", row->method, row->step, i + 3,
              written[i], expected[i]);
}

/* The rows from `first` on are a run of this method from (u, v). Returns the first row after them. */
static size_t expect_run(const Table *table, size_t first, const char *method, const Problem *problem,
                         const MethodParameters *parameters, const double *u, const double *v, size_t steps) {
  Minimizer minimizer;
  begin_run(&minimizer, method, problem, parameters, u, v);
  cr_assert_leq(first + steps + 1, table->count);
  for (size_t t = 0; t <= steps; t++) {
    const Row *row = &table->rows[first + t];
    Measure measure = measure_of(&minimizer);
    cr_expect_str_eq(row->method, method);
    cr_expect_eq(row->step, t);
    expect_measure(row, &measure);
    take_steps(&minimizer, 1);
  }
  minimizer_free(&minimizer);
  return first + steps + 1;
}

static void save(const char *name, const double *data, size_t rows, size_t columns) {
  assert_ok(npy_write(scratch_path(name), data, columns > 0 ? 2 : 1, (const size_t[]){rows, columns}));
}

/* ---- what a run writes ---- */

Test(run, is_the_library_s_for_every_method) {
  enum { D = 31, STEPS = 12 };
  Problem problem;
  double u[D], v[D];
  size_t next = 0;
  assert_ok(problem_bilinear_random(&problem, D, -0.4, 5));
  start_paper(&problem, 0.7, 5, u, v);
  program_succeeds(
      "theory run --method all --dim 31 --cos -0.4 --seed 5 --scale 0.7 --eta 0.3 --steps 12 --momentum 0.25 "
      "--soft-period 3 --balance-cap 1.5 --out run.csv");
  Table *table = table_read("run.csv");
  MethodParameters parameters = {.step = 0.3, .momentum = 0.25, .balance_cap = 1.5, .soft_period = 3};
  for (const MethodType *const *type = method_table; *type; type++)
    next = expect_run(table, next, (*type)->name, &problem, &parameters, u, v, STEPS);
  cr_expect_eq(table->count, next);
  problem_free(&problem);
}

Test(run, keeps_the_order_of_the_methods_and_starts_as_told) {
  enum { D = 5 };
  Problem problem;
  double u[D], v[D];
  MethodParameters parameters = method_defaults();
  assert_ok(problem_bilinear_random(&problem, D, 0.5, 9));
  start_gaussian(&problem, 1, 9, u, v);
  program_succeeds("theory run --method als,gd --dim 5 --seed 9 --start gaussian --steps 3 --out run.csv");
  Table *table = table_read("run.csv");
  size_t next = expect_run(table, 0, "als", &problem, &parameters, u, v, 3);
  cr_expect_eq(expect_run(table, next, "gd", &problem, &parameters, u, v, 3), table->count);
  problem_free(&problem);
}

/* Unit vectors of odd length, at an angle that is neither 0 nor special. */
enum { LENGTH = 7 };

static void make_vectors(double *a, double *b) {
  double *both[] = {a, b};
  for (uint64_t i = 0; i < 2; i++) {
    double norm = 0;
    fill_normal(both[i], LENGTH, 1, i + 1);
    for (size_t j = 0; j < LENGTH; j++)
      norm += both[i][j] * both[i][j];
    for (size_t j = 0; j < LENGTH; j++)
      both[i][j] /= sqrt(norm);
  }
}

Test(run, takes_vectors_and_a_start_from_files) {
  double a[LENGTH], b[LENGTH], u[LENGTH], v[LENGTH];
  Problem problem;
  MethodParameters parameters = with_step(0.2);
  make_vectors(a, b);
  fill_normal(u, LENGTH, 1, 3);
  fill_normal(v, LENGTH, 1, 4);
  save("a.npy", a, LENGTH, 0);
  save("b.npy", b, LENGTH, 0);
  save("u.npy", u, LENGTH, 0);
  save("v.npy", v, LENGTH, 1); /* a column is a vector too */
  assert_ok(problem_bilinear(&problem, LENGTH, a, b));
  program_succeeds(
      "theory run --method altgd --a a.npy --b b.npy --start file --u0 u.npy --v0 v.npy --eta 0.2 --steps 5 "
      "--out run.csv");
  cr_expect_eq(expect_run(table_read("run.csv"), 0, "altgd", &problem, &parameters, u, v, 5), 6);
  problem_free(&problem);
}

static const char MATRIX[] = "%%MatrixMarket matrix array real general\n4 3\n"
                             "1.5\n-2\n0.25\n0.5\n1\n1\n-0.75\n2\n0\n-1.25\n3\n0.125\n";
enum { TALL = 4, WIDE = 3, RANK = 2 };

/* Row-major in the files, column by column in the library. */
static void save_factor(const char *name, const double *factor, size_t length) {
  double rows[TALL * RANK];
  for (size_t i = 0; i < length; i++)
    for (size_t j = 0; j < RANK; j++)
      rows[i * RANK + j] = factor[j * length + i];
  save(name, rows, length, RANK);
}

Test(run, takes_any_matrix_and_rank) {
  double u[TALL * RANK], v[WIDE * RANK];
  Problem problem;
  MethodParameters parameters = with_step(0.05);
  fill_normal(u, TALL * RANK, 1, 3);
  fill_normal(v, WIDE * RANK, 1, 4);
  save_factor("u.npy", u, TALL);
  save_factor("v.npy", v, WIDE);
  assert_ok(problem_file(&problem, scratch_text("x.mtx", MATRIX), RANK, true));
  program_succeeds(
      "theory run --method gd,als --matrix x.mtx --rank 2 --u0 u.npy --v0 v.npy --eta 0.05 --steps 5 --out "
      "run.csv");
  Table *table = table_read("run.csv");
  size_t next = expect_run(table, 0, "gd", &problem, &parameters, u, v, 5);
  cr_expect_eq(expect_run(table, next, "als", &problem, &parameters, u, v, 5), table->count);
  cr_expect(isnan(table->rows[0].measure.tau) && isnan(table->rows[0].measure.nu), "a matrix has no tau and nu");
  start_gaussian(&problem, 1, 1, u, v);
  program_succeeds("theory run --method gd --matrix x.mtx --rank 2 --eta 0.05 --steps 5 --out run.csv");
  expect_run(table_read("run.csv"), 0, "gd", &problem, &parameters, u, v, 5);
  problem_free(&problem);
}

Test(run, has_no_excess_without_truth) {
  scratch_text("x.mtx", MATRIX);
  program_succeeds("theory run --method gd --matrix x.mtx --no-truth --eta 0.05 --tol 1e-3 --steps 5 --out run.csv");
  Table *table = table_read("run.csv");
  cr_expect_eq(table->count, 6, "what is not known is not within the tolerance");
  for (size_t i = 0; i < table->count; i++) {
    Measure *m = &table->rows[i].measure;
    cr_expect(isnan(m->excess) && isnan(m->alignment) && isfinite(m->loss));
  }
}

/* Two runs whose steps differ by rounding: compared by tolerance. */
static void expect_alike(const char *left, const char *right) {
  Table *one = table_read(left), *two = table_read(right);
  cr_assert_eq(one->count, two->count);
  cr_assert_gt(one->count, 0);
  for (size_t i = 0; i < one->count; i++) {
    cr_expect_str_eq(one->rows[i].method, two->rows[i].method);
    expect_within(relative(one->rows[i].measure.loss, two->rows[i].measure.loss), 1e-12, "%s against %s, row %zu", left,
                  right, i);
  }
}

Test(run, has_k_equal_to_eta_times_1_plus_the_absolute_cosine) {
  for (int sign = -1; sign <= 1; sign += 2) {
    program_succeeds("theory run --method gd,altscaledgd --cos %g --k 0.6 --steps 9 --out k.csv", 0.5 * sign);
    program_succeeds("theory run --method gd,altscaledgd --cos %g --eta 0.4 --steps 9 --out eta.csv", 0.5 * sign);
    expect_alike("k.csv", "eta.csv");
  }
}

Test(run, has_k_of_a_matrix_in_units_of_its_largest_singular_value) {
  Problem problem;
  assert_ok(problem_file(&problem, scratch_text("x.mtx", MATRIX), 1, true));
  program_succeeds("theory run --method gd --matrix x.mtx --k 0.3 --steps 9 --out k.csv");
  program_succeeds("theory run --method gd --matrix x.mtx --eta %.17g --steps 9 --out eta.csv",
                   0.3 / problem.truth.sigma[0]);
  expect_alike("k.csv", "eta.csv");
  program_succeeds("theory run --method scaledgd --matrix x.mtx --k 0.3 --steps 9 --out k.csv");
  program_succeeds("theory run --method scaledgd --matrix x.mtx --eta 0.3 --steps 9 --out eta.csv");
  cr_expect_str_eq(slurp("k.csv"), slurp("eta.csv"), "a preconditioned step has no units");
  problem_free(&problem);
}

Test(run, with_tolerance_0_takes_all_the_steps) {
  program_succeeds("theory run --method als --steps 120 --tol 0 --out run.csv");
  Table *table = table_read("run.csv");
  cr_assert_eq(table->count, 121);
  expect_within(table->rows[100].measure.excess, 1e-25, "it had arrived long before");
  scratch_text("x.mtx", "%%MatrixMarket matrix array real general\n2 2\n2\n0\n0\n0\n");
  save("u.npy", (const double[]){1, 0}, 2, 0);
  save("v.npy", (const double[]){2, 0}, 2, 0);
  program_succeeds("theory run --method gd --matrix x.mtx --u0 u.npy --v0 v.npy --steps 4 --tol 0 --out run.csv");
  table = table_read("run.csv");
  cr_assert_eq(table->count, 5);
  cr_expect_eq(table->rows[0].measure.excess, 0, "an excess of 0 is no reason to stop either");
}

Test(run, stops_at_the_first_step_within_the_tolerance) {
  program_succeeds("theory run --method als,gd --steps 900 --eta 0.3 --tol 1e-6 --out run.csv");
  Table *table = table_read("run.csv");
  cr_assert_gt(table->count, 4);
  for (size_t i = 0; i < table->count; i++) {
    bool last = i + 1 == table->count || strcmp(table->rows[i].method, table->rows[i + 1].method) != 0;
    cr_expect_eq(table->rows[i].measure.excess <= 1e-6, last, "%s, step %zu", table->rows[i].method,
                 table->rows[i].step);
  }
}

Test(run, takes_the_tolerance_of_a_matrix_relative_to_its_norm) {
  Problem problem;
  assert_ok(problem_file(&problem, scratch_text("x.mtx", MATRIX), 1, true));
  program_succeeds("theory run --method als --matrix x.mtx --tol 1e-3 --steps 100 --out run.csv");
  Table *table = table_read("run.csv");
  double bound = 1e-3 * problem.truth.half_norm2;
  for (size_t i = 0; i < table->count; i++)
    cr_expect_eq(table->rows[i].measure.excess <= bound, i + 1 == table->count, "step %zu", i);
  problem_free(&problem);
}

Test(run, writes_every_nth_step_and_the_last) {
  program_succeeds("theory run --method gd --steps 10 --every 4 --out run.csv");
  program_succeeds("theory run --method gd --steps 10 --out all.csv");
  Table *some = table_read("run.csv"), *all = table_read("all.csv");
  static const size_t steps[] = {0, 4, 8, 10};
  cr_assert_eq(some->count, 4);
  for (int i = 0; i < 4; i++) {
    cr_expect_eq(some->rows[i].step, steps[i]);
    expect_measure(&some->rows[i], &all->rows[steps[i]].measure);
  }
}

Test(run, of_no_steps_is_the_start) {
  program_succeeds("theory run --method gd,als --steps 0 --out run.csv");
  Table *table = table_read("run.csv");
  cr_assert_eq(table->count, 2);
  expect_measure(&table->rows[0], &table->rows[1].measure);
}

Test(run, that_diverges_ends_with_its_first_row_that_is_not_finite) {
  Run run = program_run("theory run --method gd,als --k 3 --scale 10 --steps 60 --every 50 --out run.csv");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  Table *table = table_read("run.csv");
  char sentence[64];
  cr_assert_geq(table->count, 3);
  const Row *last = &table->rows[1];
  cr_expect(strcmp(last->method, "gd") == 0 && last->step < 50 && !isfinite(last->measure.loss));
  cr_expect_str_eq(table->rows[2].method, "als");
  snprintf(sentence, sizeof sentence, "gd diverged at step %zu", last->step);
  expect_contains(run.err, sentence);
  program_free(&run);
}

Test(run, goes_to_standard_output_without_an_origin) {
  program_succeeds("theory run --steps 5 --out run.csv");
  Run run = program_run("theory run --steps 5"), dash = program_run("theory run --steps 5 --out -");
  cr_expect_str_eq(run.out, slurp("run.csv"));
  cr_expect_str_eq(dash.out, run.out);
  cr_expect_eq(scratch_count(), 2);
  expect_contains(slurp("run.csv.origin.json"), "seesaw theory run --steps=5 --out=run.csv");
  program_free(&run);
  program_free(&dash);
}

/* ---- the same bytes ---- */

Test(run, gives_the_same_bytes_for_any_number_of_threads) {
  static const char words[] = "theory run --method gd,altgd,als,momentum,soft --dim 30011 --cos 0.3 --k 0.4 --start "
                              "gaussian --scale 0.01 --steps 6";
  setenv("OMP_NUM_THREADS", "1", 1);
  program_succeeds("%s --out one.csv", words);
  setenv("OMP_NUM_THREADS", "2", 1);
  program_succeeds("%s --out two.csv", words);
  setenv("OPENBLAS_NUM_THREADS", "2", 1);
  program_succeeds("%s --out blas.csv", words);
  cr_expect_eq(table_read("one.csv")->count, 35);
  cr_expect_str_eq(slurp("one.csv"), slurp("two.csv"));
  cr_expect_str_eq(slurp("one.csv"), slurp("blas.csv"));
}

Test(run, gives_the_same_bytes_for_the_same_seed_and_others_for_another) {
  static const char *const starts[] = {"paper", "gaussian"};
  for (int i = 0; i < 2; i++) {
    program_succeeds("theory run --start %s --seed 4 --steps 5 --out one.csv", starts[i]);
    program_succeeds("theory run --start %s --seed 4 --steps 5 --out same.csv", starts[i]);
    program_succeeds("theory run --start %s --seed 5 --steps 5 --out other.csv", starts[i]);
    cr_expect_str_eq(slurp("one.csv"), slurp("same.csv"));
    cr_expect_str_neq(slurp("one.csv"), slurp("other.csv"));
  }
}

Test(run, replaces_an_old_result_whole) {
  scratch_text("run.csv", "old\n");
  program_succeeds("theory run --method gd --steps 2 --out run.csv");
  cr_expect_eq(table_read("run.csv")->count, 3);
}

/* ---- refusals ---- */

typedef struct Refusal {
  int status;
  const char *words, *part;
} Refusal;

static void expect_refusals(const char *command, const Refusal *refusals, size_t count) {
  for (size_t i = 0; i < count; i++)
    program_refuses(refusals[i].status, refusals[i].part, "%s %s", command, refusals[i].words);
}

#define EXPECT_REFUSALS(command, refusals) expect_refusals(command, refusals, sizeof(refusals) / sizeof *(refusals))

Test(refusals, of_numbers_out_of_range) {
  static const Refusal refusals[] = {
      {2, "--cos 1", "--cos must lie strictly between -1 and 1, not 1"},
      {2, "--cos -1", "strictly between -1 and 1, not -1"},
      {2, "--cos 1.5", "strictly between -1 and 1, not 1.5"},
      {2, "--cos nan", "--cos must be a finite number, not 'nan'"},
      {2, "--eta 0", "--eta must be greater than 0, not 0"},
      {2, "--eta -0.1", "--eta must be greater than 0, not -0.1"},
      {2, "--eta nan", "--eta must be a finite number"},
      {2, "--eta inf", "--eta must be a finite number"},
      {2, "--k 0", "--k must be greater than 0"},
      {2, "--dim 1", "--dim must lie between 2"},
      {2, "--scale 0", "--scale must be greater than 0"},
      {2, "--steps -1", "--steps must lie between 0"},
      {2, "--every 0", "--every must lie between 1"},
      {2, "--tol -1", "--tol must be"},
      {2, "--seed -1", "--seed must lie between 0"},
      {2, "--momentum 1", "--momentum must lie between 0"},
      {2, "--balance-cap 0.5", "--balance-cap must lie between 1"},
      {2, "--soft-period 1", "--soft-period must lie between 2"},
      {2, "--rank 0", "--rank must lie between 1"},
      {2, "--rank 65", "--rank must lie between 1 and 64, not 65"},
  };
  EXPECT_REFUSALS("theory run --out run.csv", refusals);
}

Test(refusals, of_options_that_do_not_go_together) {
  static const Refusal refusals[] = {
      {2, "--eta 0.1 --k 0.2", "--eta and --k exclude each other"},
      {2, "--a a.npy", "--a and --b go together: --b is missing"},
      {2, "--b b.npy", "--a and --b go together: --a is missing"},
      {2, "--u0 u.npy", "--u0 and --v0 go together: --v0 is missing"},
      {2, "--v0 v.npy", "--u0 and --v0 go together: --u0 is missing"},
      {2, "--matrix x.mtx --a a.npy --b b.npy", "--matrix and --a exclude each other"},
      {2, "--matrix x.mtx --cos 0.1", "--matrix and --cos exclude each other"},
      {2, "--matrix x.mtx --dim 5", "--matrix and --dim exclude each other"},
      {2, "--a a.npy --b b.npy --cos 0.1", "--a and --cos exclude each other"},
      {2, "--a a.npy --b b.npy --dim 7", "--a and --dim exclude each other"},
      {2, "--rank 2", "--rank needs --matrix"},
      {2, "--matrix x.mtx --start paper", "--start paper needs the bilinear problem"},
      {2, "--start file", "--start file needs --u0 and --v0"},
      {2, "--start gaussian --u0 u.npy --v0 v.npy", "--start and --u0 exclude each other"},
      {2, "--matrix x.mtx --no-truth --k 0.5", "--k needs the largest singular value"},
      {3, "--matrix zero.mtx --k 0.5", "--k needs a matrix that is not zero"},
  };
  scratch_text("x.mtx", MATRIX);
  scratch_text("zero.mtx", "%%MatrixMarket matrix coordinate real general\n4 3 0\n");
  EXPECT_REFUSALS("theory run --out run.csv", refusals);
}

/* Lists of methods are read by all the commands alike. */
Test(refusals, of_methods) {
  static const Refusal refusals[] = {
      {2, "gdd", "there is no method 'gdd'; did you mean 'gd'?"},
      {2, "gd,altscaledg", "there is no method 'altscaledg'; did you mean 'altscaledgd'?"},
      {2, "zzzzzz", "there is no method 'zzzzzz'; there are gd,altgd,als,"},
      {2, "gd,als,gd", "'gd' stands twice in the list"},
      {2, "''", "there is no method ''"},
      {2, "gd,", "there is no method ''"},
      {2, "gd,,als", "there is no method ''"},
      {2, "gd,all", "there is no method 'all'"},
      {2, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is not a list of methods"},
  };
  static const char *const commands[] = {"run", "rates", "bifurcation"};
  for (int i = 0; i < 3; i++) {
    char command[80];
    snprintf(command, sizeof command, "theory %s --out run.csv --method", commands[i]);
    EXPECT_REFUSALS(command, refusals);
  }
}

Test(refusals, of_words) {
  static const Refusal refusals[] = {
      {2, "run --etta 3", "unknown option --etta; did you mean --eta?"},
      {2, "run --frobnicate 3", "unknown option --frobnicate; see seesaw theory run --help"},
      {2, "run --start gausian",
       "--start must be one of paper, gaussian, file, not 'gausian'; did you mean 'gaussian'?"},
      {2, "run extra", "unexpected 'extra'"},
      {2, "run --eta", "--eta"},
      {2, "rnu", "there is no command 'theory rnu'; did you mean 'theory run'?"},
      {2, "", "there is no command 'theory'"},
  };
  EXPECT_REFUSALS("theory", refusals);
  program_refuses(2, "there is no command 'moonrise'; `seesaw --help` lists them", "moonrise");
}

Test(refusals, of_vectors) {
  double a[LENGTH], b[LENGTH], bad[LENGTH], twice[LENGTH], minus[LENGTH];
  make_vectors(a, b);
  memcpy(bad, a, sizeof a);
  for (int i = 0; i < LENGTH; i++) {
    twice[i] = 2 * a[i];
    minus[i] = -a[i];
  }
  save("a.npy", a, LENGTH, 0);
  save("b.npy", b, LENGTH, 0);
  save("short.npy", b, LENGTH - 2, 0);
  save("twice.npy", twice, LENGTH, 0);
  save("minus.npy", minus, LENGTH, 0);
  save("matrix.npy", a, 1, LENGTH);
  save("none.npy", a, 0, 0);
  save("one.npy", (const double[]){1}, 1, 0);
  bad[3] = NAN;
  save("nan.npy", bad, LENGTH, 0);
  bad[3] = -INFINITY;
  save("inf.npy", bad, LENGTH, 0);
  static const Refusal refusals[] = {
      {3, "--a nan.npy --b b.npy", "nan.npy: element (3) is NaN or infinite"},
      {3, "--a a.npy --b inf.npy", "inf.npy: element (3) is NaN or infinite"},
      {3, "--a a.npy --b short.npy", "a.npy holds 7 numbers, short.npy holds 5"},
      {3, "--a twice.npy --b b.npy", "|a| is 2: the problem needs unit vectors"},
      {3, "--a b.npy --b twice.npy", "|b| is 2: the problem needs unit vectors"},
      {3, "--a a.npy --b a.npy", "a and b are parallel (a'b = 1)"},
      {3, "--a a.npy --b minus.npy", "a and b are parallel (a'b = -1)"},
      {3, "--a matrix.npy --b b.npy", "matrix.npy: a vector has 1 dimension, this array has 2"},
      {3, "--a none.npy --b none.npy", "vectors of length 2 or more, not 0"},
      {3, "--a one.npy --b one.npy", "vectors of length 2 or more, not 1"},
      {3, "--a missing.npy --b b.npy", "cannot read missing.npy: No such file"},
      {3, "--a a.npy --b .", "it is a folder"},
      {3, "--a a.npy --b b.npy --u0 short.npy --v0 b.npy",
       "short.npy: --u0 must hold 7 x 1 numbers, this array holds 5"},
      {3, "--a a.npy --b b.npy --u0 a.npy --v0 matrix.npy", "matrix.npy: --v0 must hold 7 x 1 numbers"},
      {3, "--u0 a.npy --v0 b.npy", "a.npy: --u0 must hold 100 x 1 numbers"},
      {3, "--a a.npy --b b.npy --u0 a.npy --v0 nan.npy", "nan.npy: element (3) is NaN or infinite"},
  };
  EXPECT_REFUSALS("theory run --out run.csv", refusals);
}

/* A .npy of version 1.0 with this shape and so many bytes of numbers, all zero. */
static void save_lie(const char *name, const char *shape, size_t bytes) {
  char file[512] = "\x93NUMPY\x01";
  int length = snprintf(file + 10, 118, "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }", shape);
  memset(file + 10 + length, ' ', (size_t)(117 - length)); /* to a multiple of 64 */
  file[127] = '\n';
  file[8] = 118;
  scratch_write(name, file, 128 + bytes);
}

Test(refusals, of_npy_files_that_lie) {
  save_lie("longer.npy", "(100,)", 80);
  save_lie("huge.npy", "(1000000000000,)", 80);
  save_lie("overflow.npy", "(4294967296, 4294967296, 4294967296)", 80);
  save_lie("wraps.npy", "(2305843009213693953,)", 8); /* times 8 bytes wraps to 8 */
  save_lie("more.npy", "(3,)", 80);
  save_lie("half.npy", "(10,)", 77);
  save_lie("honest.npy", "(10,)", 80); /* read, and refused for what it holds: the lies are in the headers alone */
  scratch_write("cut.npy", "\x93NUMPY\x01\x00\x76", 9);
  scratch_text("text.npy", "1, 2, 3\n");
  scratch_text("nothing.npy", "");
  static const Refusal refusals[] = {
      {3, "longer.npy --b honest.npy", "longer.npy: "},     {3, "huge.npy --b honest.npy", "huge.npy: "},
      {3, "overflow.npy --b honest.npy", "overflow.npy: "}, {3, "wraps.npy --b honest.npy", "wraps.npy: "},
      {3, "more.npy --b honest.npy", "more.npy: "},         {3, "half.npy --b honest.npy", "half.npy: "},
      {3, "cut.npy --b honest.npy", "cut.npy: "},           {3, "text.npy --b honest.npy", "text.npy: "},
      {3, "nothing.npy --b honest.npy", "nothing.npy: "},   {3, "honest.npy --b honest.npy", "|a| is 0"},
  };
  EXPECT_REFUSALS("theory run --out run.csv --a", refusals);
}

#define COORDINATE "%%MatrixMarket matrix coordinate real general\n"
#define ARRAY "%%MatrixMarket matrix array real general\n"

Test(refusals, of_matrices) {
  static const struct {
    const char *text, *part;
  } files[] = {
      {ARRAY "2 2\n1\n2\nnan\n4\n", "'nan'"},
      {ARRAY "2 2\n1\n2\ninf\n4\n", "'inf'"},
      {COORDINATE "2 2 1\n1 1 1e999\n", "'1e999'"},
      {COORDINATE "0 2 0\n", "empty (0 x 2)"},
      {ARRAY "0 0\n", "empty (0 x 0)"},
      {ARRAY "2 2\n1.25\n2.5\n3.75\n", "ends after 3 of 4"},
      {COORDINATE "9 9 2\n1 1 1.000000000\n", "ends after 1 of 2 entries"},
      {ARRAY "2 2\n1\n2\n3\n4\n5\n", "x.mtx"},
      {COORDINATE "1000000 1000000 1000000000000\n1 1 1\n", "x.mtx"},
      {ARRAY "4294967296 4294967296\n1\n", "x.mtx"},
      {ARRAY "99999999999999999999 2\n1\n", "x.mtx"},
      {COORDINATE "2 2 1\n3 1 1\n", "x.mtx"},
      {COORDINATE "2 2 1\n0 1 1\n", "x.mtx"},
      {COORDINATE "2 2", "x.mtx"},
      {"%%MatrixMarket matrix", "x.mtx"},
      {"1 2\n3 4\n", "x.mtx"},
      {"", "x.mtx"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    scratch_text("x.mtx", files[i].text);
    program_refuses(3, files[i].part, "theory run --out run.csv --eta 0.1 --matrix x.mtx");
  }
  scratch_text("x.mtx", MATRIX);
  scratch_text("x.txt", MATRIX);
  save("none.npy", (const double[]){0}, 0, 3);
  save("flat.npy", (const double[]){1, 2}, 2, 0);
  static const Refusal refusals[] = {
      {3, "x.mtx --rank 4", "x.mtx: the rank must lie between 1 and 3 for a 4 x 3 matrix, not 4"},
      {3, "x.txt", "x.txt: a matrix file must end in .mtx (Matrix Market) or .npy (NumPy)"},
      {3, "missing.mtx", "cannot read missing.mtx: No such file"},
      {3, "none.npy", "none.npy: the matrix is empty (0 x 3)"},
      {3, "flat.npy", "flat.npy: a matrix needs 2 dimensions, this array has 1"},
  };
  EXPECT_REFUSALS("theory run --out run.csv --eta 0.1 --matrix", refusals);
}

Test(refusals, of_factors_of_another_shape) {
  double zeros[TALL * RANK] = {0};
  scratch_text("x.mtx", MATRIX);
  save("tall.npy", zeros, TALL, RANK);
  save("wide.npy", zeros, WIDE, RANK);
  save("turned.npy", zeros, RANK, TALL);
  save("flat.npy", zeros, TALL * RANK, 0);
  static const Refusal refusals[] = {
      {3, "--u0 wide.npy --v0 tall.npy", "wide.npy: --u0 must hold 4 x 2 numbers, this array holds 6"},
      {3, "--u0 turned.npy --v0 wide.npy", "turned.npy: --u0 must hold 4 x 2 numbers"},
      {3, "--u0 flat.npy --v0 wide.npy", "flat.npy: --u0 must hold 4 x 2 numbers"},
      {3, "--u0 tall.npy --v0 tall.npy", "tall.npy: --v0 must hold 3 x 2 numbers, this array holds 8"},
      {7, "--u0 tall.npy --v0 wide.npy --method als", "als at step 1: a block has become singular"},
  };
  EXPECT_REFUSALS("theory run --out run.csv --eta 0.1 --matrix x.mtx --rank 2", refusals);
}

/* With 1e12 steps: if it began to work before it looked, the test would run out of time. */
Test(refusals, of_places_that_cannot_be_written_come_before_any_work) {
  static const char *const commands[] = {"run --steps 1e12", "phase --time 9999 --eta 1e-6", "escape", "rates",
                                         "bifurcation --transient 1e9"};
  cr_assert_eq(mkdir(scratch_path("folder"), 0777), 0);
  cr_assert_eq(mkdir(scratch_path("locked"), 0555), 0);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    program_refuses(4, "cannot write missing/run.csv: there is no folder missing", "theory %s --out missing/run.csv",
                    commands[i]);
    program_refuses(4, "cannot write folder: it is a folder", "theory %s --out folder", commands[i]);
    if (geteuid() != 0)
      program_refuses(4, "Permission denied", "theory %s --out locked/run.csv", commands[i]);
  }
}

Test(refusals, of_a_full_device) {
  program_refuses(4, "cannot write /dev/full: No space left on device", "theory run --steps 3 --out /dev/full");
  program_refuses(4, "No space left on device", "theory run --steps 3000 --out /dev/full");
  program_refuses(4, "No space left on device", "theory run --steps 3 --out - >/dev/full");
}

/* A failure after rows have been written leaves the old file as it was. */
Test(refusals, keep_the_old_file) {
  double zeros[100] = {0};
  save("zero.npy", zeros, 100, 0);
  scratch_text("run.csv", "old");
  program_refuses(7, "als at step 1", "theory run --method gd,als --u0 zero.npy --v0 zero.npy --out run.csv");
  cr_expect_str_eq(slurp("run.csv"), "old");
}

/* ---- interrupts ---- */

/* Each would go on for minutes, or, where the work is finite, for seconds after the interrupt. */
Test(commands, end_at_an_interrupt_and_leave_no_half_a_file) {
  static const char *const words[] = {
      "run --method gd --dim 1000 --steps 1e9 --every 1e9",
      "phase --starts 3000 --eta 0.02",
      "escape --cos 0.1:0.2:200 --eta 1e-4:2e-4:2 --digits 300",
      "rates --method gd --cos 0.1 --k 0.01 --starts 1e6 --steps 1e6",
      "bifurcation --k 1.5 --transient 1e9",
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    scratch_text("run.csv", "old");
    Run run = program_start("theory %s --out run.csv", words[i]);
    while (!there("run.csv.partial"))
      nanosleep(&(struct timespec){0, 1000000}, NULL);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    kill(run.child, SIGINT);
    program_finish(&run);
    cr_expect_eq(run.exit, 130, "%s: exit status %d: %s", words[i], run.exit, run.err);
    expect_contains(run.err, "interrupted");
    cr_expect_str_eq(slurp("run.csv"), "old", "%s", words[i]);
    cr_expect_eq(scratch_count(), 1, "%s", words[i]);
    program_free(&run);
  }
}

/* ---- help ---- */

Test(commands, help_with_an_example) {
  static const char *const names[] = {"audit", "run", "phase", "rates", "bifurcation", "escape", "sweep", "bench"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char line[64];
    Run run = program_run("theory %s --help", names[i]);
    cr_expect_eq(run.exit, 0, "%s: %s", names[i], run.err);
    expect_contains(run.out, "Example");
    snprintf(line, sizeof line, "  seesaw theory %s", names[i]);
    expect_contains(run.out, line);
    cr_expect_str_eq(run.err, "");
    program_free(&run);
  }
}

/* ---- the other commands ---- */

/* The numbers of a CSV, texts as NaN, row by row; the header must be this. Returns the number of rows. */
static size_t numbers_read(const char *name, const char *header, size_t columns, double *numbers, size_t most) {
  char *copy = strdup(slurp(name)), *rest = copy;
  size_t rows = 0;
  cr_assert_str_eq(strsep(&rest, "\n"), header);
  for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n"), rows++) {
    cr_assert_lt(rows, most);
    for (size_t i = 0; i < columns; i++) {
      char *cell = strsep(&line, ","), *end;
      cr_assert_not_null(cell, "row %zu of %s has %zu cells", rows, name, i);
      double value = strtod(cell, &end);
      numbers[rows * columns + i] = *end == '\0' ? value : NAN;
    }
    cr_expect_null(line, "row %zu of %s has more cells", rows, name);
  }
  free(copy);
  return rows;
}

/* Three starts: gradient descent obeys Lemma 1, the flow is the library's, and both start on the circle. */
Test(commands, phase_writes_gradient_descent_beside_the_flow) {
  enum { COLUMNS = 8 };
  static double numbers[1000 * COLUMNS];
  double c = 0.3, eta = 0.5;
  program_succeeds("theory phase --cos 0.3 --eta 0.5 --radius 0.2 --time 20 --starts 3 --out phase.csv");
  size_t rows = numbers_read("phase.csv", "trajectory,kind,cosine,eta,step,time,tau,nu", COLUMNS, numbers, 1000);
  cr_assert_eq(rows, 3 * (41 + 201));
  for (size_t i = 0; i < rows; i++) {
    const double *row = numbers + i * COLUMNS, *next = row + COLUMNS;
    bool flow = i % 242 >= 41, last = i % 242 == 40 || i % 242 == 241;
    cr_expect_eq(row[0], (double)(i / 242));
    cr_expect(row[2] == c && row[3] == eta);
    expect_within(fabs(row[5] - row[4] * (flow ? 0.1 : eta)), 1e-13, "time of row %zu", i);
    if (row[4] == 0)
      expect_within(fabs(hypot(row[6], row[7]) - 0.2), 1e-15, "start of row %zu", i);
    if (last)
      expect_within(fabs(fabs(row[6]) - 1) + fabs(row[7]), flow ? 1e-4 : 1e-3, "end in row %zu", i);
    if (flow || last)
      continue;
    double norm2 = (1 + c) * row[6] * row[6] + (1 - c) * row[7] * row[7]; /* Eq. 4, Eq. 5 */
    expect_within(fabs(next[6] - row[6] * (1 + eta * (1 + c - norm2))), 1e-14, "tau after row %zu", i);
    expect_within(fabs(next[7] - row[7] * (1 + eta * (1 - c - norm2))), 1e-14, "nu after row %zu", i);
  }
}

Test(commands, rates_are_those_measured) {
  enum { COLUMNS = 9 };
  static const char *const methods[] = {"gd", "altgd"};
  double numbers[8 * COLUMNS];
  program_succeeds(
      "theory rates --method gd,altgd --cos 0.2:0.6:2 --k 0.8 --starts 5 --steps 1000 --seed 6 --out rates.csv");
  cr_assert_eq(
      numbers_read("rates.csv", "method,rule,cosine,k,eta,predicted,measured,residual,iterations", COLUMNS, numbers, 8),
      4);
  for (int i = 0; i < 4; i++) {
    const double *row = numbers + i * COLUMNS, c = i % 2 ? 0.6 : 0.2;
    const MethodType *type = method_find(methods[i / 2]);
    MethodParameters parameters = with_step(0.8 / (1 + c));
    double measured;
    Basin basin;
    assert_ok(measure_rate(type, c, &parameters, 6, &measured));
    assert_ok(measure_basin(type, c, &parameters, 0.3, 10, 5, 1000, 1e-12, 6, &basin));
    const double expected[] = {c,
                               0.8,
                               parameters.step,
                               type->rate(c, &parameters),
                               measured,
                               fabs(measured - type->rate(c, &parameters)) / type->rate(c, &parameters),
                               basin.median_steps};
    for (int j = 0; j < 7; j++)
      cr_expect(fabs(row[j + 2] - expected[j]) <= 1e-15 * fabs(expected[j]) || row[j + 2] == expected[j],
                "row %d, column %d: %.17g, not %.17g", i, j + 3, row[j + 2], expected[j]);
    expect_within(row[7], 1e-7, "residual in row %d", i);
  }
}

Test(commands, rates_leave_out_what_is_beyond_the_limit_and_take_the_best_step) {
  enum { COLUMNS = 9 };
  double numbers[8 * COLUMNS];
  static const char header[] = "method,rule,cosine,k,eta,predicted,measured,residual,iterations";
  program_succeeds("theory rates --method gd,altgd --cos 0.5 --k 1.2 --starts 3 --steps 1000 --out rates.csv");
  cr_assert_eq(numbers_read("rates.csv", header, COLUMNS, numbers, 8), 1);
  expect_contains(slurp("rates.csv"), "altgd,k,0.5,");
  program_succeeds("theory rates --method gd --rule best --cos 0.25 --starts 3 --steps 1000 --out rates.csv");
  cr_assert_eq(numbers_read("rates.csv", header, COLUMNS, numbers, 8), 1);
  expect_within(relative(numbers[4], 1 / 1.5), 1e-15, "eta = 1/(1+2c)");
  expect_within(relative(numbers[6], 1 / 1.5), 1e-6, "the rate there");
}

Test(commands, bifurcation_finds_fixed_points_cycles_and_nothing) {
  enum { COLUMNS = 5 };
  double numbers[32 * COLUMNS];
  program_succeeds("theory bifurcation --method gd --k 0.9:3:3 --samples 4 --out b.csv"); /* 0.9, 1.95, 3 */
  cr_assert_eq(numbers_read("b.csv", "method,cosine,k,sample,tau", COLUMNS, numbers, 32), 8, "none at k = 3");
  for (int i = 0; i < 8; i++) {
    cr_expect_eq(numbers[i * COLUMNS + 1], 0.5);
    expect_within(fabs(numbers[i * COLUMNS + 2] - (i < 4 ? 0.9 : 1.95)), 1e-15, "k of row %d", i);
    cr_expect_eq(numbers[i * COLUMNS + 3], i % 4);
    if (i < 4)
      expect_within(fabs(numbers[i * COLUMNS + 4] - 1), 1e-14, "the optimum, row %d", i);
  }
  program_succeeds("theory bifurcation --method gd --k 1.1 --samples 4 --out b.csv");
  cr_assert_eq(numbers_read("b.csv", "method,cosine,k,sample,tau", COLUMNS, numbers, 32), 4);
  for (int i = 0; i < 3; i++)
    expect_within(fabs(numbers[i * COLUMNS + 4] * numbers[(i + 1) * COLUMNS + 4] - 1 / 1.1), 1e-12, "2-cycle, row %d",
                  i);
}

Test(commands, escape_writes_the_measured_time_beside_the_closed_forms) {
  enum { COLUMNS = 6 };
  double numbers[8 * COLUMNS];
  program_succeeds("theory escape --cos 0.1:0.4:2 --eta 0.05 --digits 3:300:2 --out escape.csv");
  cr_assert_eq(numbers_read("escape.csv", "cosine,eta,log10_tau0,steps,predicted,exact", COLUMNS, numbers, 8), 4);
  for (int i = 0; i < 4; i++) {
    const double *row = numbers + i * COLUMNS, c = i / 2 ? 0.4 : 0.1, exponent = i % 2 ? -300 : -3;
    const double expected[] = {c,
                               0.05,
                               exponent,
                               (double)measure_escape(c, 0.05, exponent),
                               escape_flow(c, 0.05, exponent),
                               escape_linear(c, 0.05, exponent)};
    for (int j = 0; j < COLUMNS; j++)
      expect_within(relative(row[j], expected[j]), 1e-15, "row %d, column %d", i, j + 1);
  }
}

Test(commands, refuse_what_is_out_of_range) {
  static const Refusal refusals[] = {
      {2, "phase --cos 1", "--cos must lie strictly between -1 and 1"},
      {2, "phase --eta 0", "--eta must lie strictly between 0"},
      {2, "phase --starts 0", "--starts must lie between 1"},
      {2, "escape --cos -0.3", "--cos must lie strictly between 0.001 and 1"},
      {2, "escape --cos 0.1:1.5:3", "--cos"},
      {2, "escape --digits 308", "--digits must lie between 0.1 and 307"},
      {2, "escape --eta 0.1:0.2:0", "--eta"},
      {2, "rates --rule worst", "--rule must be one of k, best, not 'worst'"},
      {2, "rates --cos -1:1:3", "--cos"},
      {2, "rates --starts 0", "--starts must lie between 1"},
      {2, "bifurcation --k 0", "--k"},
      {2, "bifurcation --samples 0", "--samples must lie between 1"},
      {2, "bifurcation --alpha 1e9", "--alpha must lie between -100 and 100"},
  };
  EXPECT_REFUSALS("theory", refusals);
}

/* Its numbers are the machine's; that they are there, and what they are called, is ours. */
Test(commands, the_bench_writes_its_numbers, .timeout = 200) {
  static const char *const keys[] = {"steps_per_second_per_core", "full_step_fraction_of_copy",
                                     "copy_bytes_per_second"};
  if (SANITIZED)
    return; /* it times for as long as it is told to */
  Run run = program_run("theory bench --quick --json bench.json");
  cr_assert_eq(run.exit, 0, "%s", run.err);
  program_free(&run);
  cJSON *json;
  Status status = json_read(scratch_path("bench.json"), &json);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    cr_expect_gt(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, keys[i])), 0.0, "%s", keys[i]);
  cJSON_Delete(json);
}
