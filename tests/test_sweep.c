/* test_sweep.c: what runs come to; packed lanes against one run at a time; the journal; threads, ranks, interruptions.
 */
#include "sweep.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "program.h"
#include "runs.h"
#include "sanitized.h"
#include "sweep_internal.h"

static Grid one(double value) {
  return (Grid){value, value, 1, false};
}

static SweepPlan plan_of(const char *method, double cosine, double k) {
  SweepPlan plan = {.methods = {method_find(method)},
                    .method_count = 1,
                    .cosine = one(cosine),
                    .step = one(k),
                    .step_is_k = true,
                    .paper_start = true,
                    .scale = 1,
                    .dimension = 20,
                    .starts = 1,
                    .steps = 2000,
                    .tolerance = 1e-12,
                    .seed = 1,
                    .parameters = method_defaults()};
  cr_assert_not_null(plan.methods[0], "no method %s", method);
  return plan;
}

/* ---- what runs come to ---- */

static Verdict classify(const char *method, double cosine, double k, Reduced start) {
  SweepPlan plan = plan_of(method, cosine, k);
  Verdict verdict;
  assert_ok(sweep_classify(&plan, plan.methods[0], cosine, k / (1 + fabs(cosine)), &start, &verdict));
  return verdict;
}

static Verdict classify_paper(const char *method, double cosine, double k) {
  return classify(method, cosine, k, reduction_paper(cosine, 0.4, 0.2));
}

static void expect_outcome(const char *method, double cosine, double k, Outcome outcome, size_t period) {
  Verdict verdict = classify_paper(method, cosine, k);
  cr_expect_eq(verdict.outcome, outcome, "%s at c = %g, k = %g came to %d", method, cosine, k, (int)verdict.outcome);
  cr_expect_eq(verdict.period, period, "%s at c = %g, k = %g has period %zu", method, cosine, k, verdict.period);
  cr_expect_eq(isfinite(verdict.steps), outcome == OUTCOME_OPTIMUM);
  cr_expect_eq(isfinite(verdict.lyapunov), outcome == OUTCOME_CHAOS);
}

/* From the paper's start gd follows the cubic map tau (1 + k (1 - tau^2)): it doubles its period at k = 1 and is
 * bounded up to k = 2. Alternating it converges up to k = 2. Either sign of c. */
Test(classify, gradient_descent_goes_through_all_outcomes_as_the_step_grows) {
  for (int sign = -1; sign <= 1; sign += 2) {
    double c = 0.3 * sign;
    expect_outcome("gd", c, 0.5, OUTCOME_OPTIMUM, 0);
    expect_outcome("gd", c, 0.97, OUTCOME_OPTIMUM, 0);
    expect_outcome("gd", c, 1.03, OUTCOME_PERIODIC, 2);
    expect_outcome("gd", c, 1.2, OUTCOME_PERIODIC, 2);
    expect_outcome("gd", c, 1.27, OUTCOME_PERIODIC, 4);
    expect_outcome("gd", c, 1.9, OUTCOME_CHAOS, 0);
    expect_outcome("gd", c, 3, OUTCOME_DIVERGED, 0);
    expect_outcome("altgd", c, 1.5, OUTCOME_OPTIMUM, 0);
    expect_outcome("altgd", c, 3, OUTCOME_DIVERGED, 0);
  }
}

Test(classify, exact_minimisation_converges_in_turn_and_not_at_once) {
  expect_outcome("als", 0.3, 1, OUTCOME_OPTIMUM, 0);
  expect_outcome("als", -0.3, 1, OUTCOME_OPTIMUM, 0);
  expect_outcome("jacobi", 0.3, 1, OUTCOME_PERIODIC, 2);
  expect_outcome("jacobi", -0.3, 1, OUTCOME_PERIODIC, 2);
}

Test(classify, the_other_methods_where_theory_knows) {
  Reduced near = reduction_paper(0.3, 0.72, 0.68); /* momentum's basin is small; it is stable up to k = 1 + mu */
  cr_expect_eq(classify("momentum", 0.3, 1.45, near).outcome, OUTCOME_OPTIMUM);
  cr_expect_eq(classify("momentum", 0.3, 1.55, near).period, 2);
  expect_outcome("soft", 0.3, 1.5, OUTCOME_OPTIMUM, 0); /* stable up to k = 2 */
  expect_outcome("balance", 0.3, 1.1, OUTCOME_PERIODIC, 2);
  expect_outcome("altscaledgd", 0.3, 2, OUTCOME_OPTIMUM, 0); /* eta = 1.54, stable up to 2 */
  expect_outcome("scaledgd", 0.3, 1.2, OUTCOME_OPTIMUM, 0);  /* eta = 0.92, stable up to 1 */
  expect_outcome("flow", 0.3, 1, OUTCOME_OPTIMUM, 0);
}

/* At k = 2 the cubic map is the third Chebyshev polynomial in disguise: tau = sqrt(2) cos(theta), theta -> 3 theta +
 * pi. With nu_0 = 0: the exponent across, the mean of ln |a - 2 cos(2 theta)|, is exactly 0 for every |a| <= 2. */
Test(classify, the_lyapunov_exponent_at_k_2_is_ln_3) {
  Verdict verdict = classify("gd", 0.25, 2, reduction_paper(0.25, 0.2, 0.2));
  cr_expect_eq(verdict.outcome, OUTCOME_CHAOS);
  expect_within(fabs(verdict.lyapunov - log(3)), 0.05, "exponent %g", verdict.lyapunov); /* a mean over 2000 steps */
}

/* tau_0 = 0 stays 0 in exact arithmetic, and here in floating point too: x_p is exactly 0. */
Test(classify, a_start_without_the_top_direction_ends_at_the_saddle) {
  static const char *const methods[] = {"gd", "altgd", "als", "scaledgd", "momentum", "balance", "soft", "flow"};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    Verdict verdict = classify(methods[i], 0.4, 0.5, reduction_paper(0.4, 0.6, -0.6));
    cr_expect_eq(verdict.outcome, OUTCOME_SADDLE, "%s came to %d", methods[i], (int)verdict.outcome);
  }
}

Test(classify, zero_is_a_saddle_for_gradients_and_singular_for_solves) {
  Reduced zero = {{0}, {0}};
  cr_expect_eq(classify("gd", 0.4, 0.5, zero).outcome, OUTCOME_SADDLE);
  cr_expect_eq(classify("momentum", 0.4, 0.5, zero).outcome, OUTCOME_SADDLE);
  cr_expect_eq(classify("als", 0.4, 0.5, zero).outcome, OUTCOME_DIVERGED);
  cr_expect_eq(classify("scaledgd", 0.4, 0.5, zero).outcome, OUTCOME_DIVERGED);
}

Test(classify, a_start_at_the_optimum_takes_no_step) {
  Verdict verdict = classify("gd", 0.4, 0.5, balanced(0.4));
  cr_expect_eq(verdict.outcome, OUTCOME_OPTIMUM);
  cr_expect_eq(verdict.steps, 0);
}

Test(classify, what_is_still_on_its_way_is_undecided) {
  cr_expect_eq(classify_paper("gd", 0.3, 0.001).outcome, OUTCOME_UNDECIDED);
  cr_expect_eq(classify("gd", 0.3, 0.5, (Reduced){{1e-250, 1, 0}, {1e-250, -1, 0}}).outcome, OUTCOME_SADDLE,
               "a plateau that lasts longer than the steps is not told from the saddle");
  cr_expect_eq(classify("gd", 0.3, 0.1, (Reduced){{1e-6, 0.8, 0}, {1e-6, -0.8, 0}}).outcome, OUTCOME_OPTIMUM);
}

/* Passing the saddle the disturbance grows too, but slowly and not for ever: no chaos. */
Test(classify, an_escape_is_not_chaos) {
  SweepPlan plan = plan_of("gd", 0.9, 0.02);
  Verdict verdict;
  for (size_t steps = 1; steps <= 1500; steps += 100) {
    Reduced start = reduction_paper(0.9, 0.5 + 1e-9, -0.5);
    plan.steps = steps;
    assert_ok(sweep_classify(&plan, plan.methods[0], 0.9, 0.02 / 1.9, &start, &verdict));
    cr_expect(verdict.outcome == OUTCOME_UNDECIDED || verdict.outcome == OUTCOME_OPTIMUM, "%d after %zu steps",
              (int)verdict.outcome, steps);
  }
}

Test(classify, steps_are_counted_exactly) {
  SweepPlan plan = plan_of("gd", 0.3, 0.5);
  Reduced start = reduction_paper(0.3, 0.4, 0.2);
  Verdict verdict;
  Bundle bundle;
  size_t count = 0;
  double step = 0.5 / 1.3;
  lanes_clear(&bundle, &plan.parameters);
  lanes_set(&bundle, 0, 0.3, step, &start);
  for (lanes_excess(ISA_PORTABLE, &bundle); bundle.excess[0] > plan.tolerance; count++) {
    lanes_advance(ISA_PORTABLE, LANES_GD, &bundle, 1);
    lanes_excess(ISA_PORTABLE, &bundle);
  }
  cr_assert_neq(count % SWEEP_BLOCK, 0);
  assert_ok(sweep_classify(&plan, plan.methods[0], 0.3, step, &start, &verdict));
  cr_expect_eq(verdict.steps, (double)count);
  plan.steps = count; /* no step to spare */
  assert_ok(sweep_classify(&plan, plan.methods[0], 0.3, step, &start, &verdict));
  cr_expect_eq(verdict.steps, (double)count);
  plan.steps = count - 1;
  assert_ok(sweep_classify(&plan, plan.methods[0], 0.3, step, &start, &verdict));
  cr_expect_eq(verdict.outcome, OUTCOME_UNDECIDED);
}

Test(classify, starts_are_those_of_the_other_commands) {
  SweepPlan plan = plan_of("gd", 0.3, 0.5);
  Problem problem;
  double u[20], v[20];
  plan.scale = 0.7;
  assert_ok(problem_bilinear_random(&problem, 20, 0.3, 5));
  start_paper(&problem, plan.scale, plan.seed, u, v);
  Reduced full = reduction_of(&problem, u, v), start = sweep_start(&plan, problem.cosine, 0);
  expect_within(difference(full.x, start.x, 2), 1e-14, "the paper's start of u");
  expect_within(difference(full.y, start.y, 2), 1e-14, "the paper's start of v");
  plan.paper_start = false;
  Reduced gaussian = reduction_gaussian(0.7, 20, plan.seed, 3), drawn = sweep_start(&plan, 0.3, 3);
  cr_expect_eq(memcmp(&gaussian, &drawn, sizeof drawn), 0);
  problem_free(&problem);
}

/* ---- packed lanes against one run at a time ---- */

/* All methods with lanes, c of either sign, steps from slow to divergent; the tile packs what the definition runs
 * singly. */
static SweepPlan plan_of_everything(bool paper, size_t steps, size_t starts) {
  SweepPlan plan = plan_of("gd", 0.5, 1);
  plan.method_count = 0;
  for (const MethodType *const *type = method_table; *type; type++)
    if ((*type)->lanes != LANES_NONE)
      plan.methods[plan.method_count++] = *type;
  plan.cosine = (Grid){-0.8, 0.7, 4, false};
  plan.step = (Grid){0.15, 2.4, 6, false};
  plan.paper_start = paper;
  plan.scale = paper ? 1 : 0.3;
  plan.steps = steps;
  plan.starts = starts;
  plan.parameters.soft_period = 5;
  return plan;
}

static void expect_row(const SweepPlan *plan, const MethodType *method, size_t point, const Row *row) {
  size_t steps = method->uses_step ? plan->step.count : 1;
  uint64_t count[OUTCOME_COUNT] = {0};
  double exponents = 0, cosine = point_cosine(plan, method, point), step = point_step(plan, cosine, point % steps);
  for (size_t i = 0; i < plan->starts; i++) {
    Verdict verdict;
    Reduced start = sweep_start(plan, cosine, i);
    assert_ok(sweep_classify(plan, method, cosine, step, &start, &verdict));
    count[verdict.outcome]++;
    if (verdict.outcome == OUTCOME_CHAOS)
      exponents += verdict.lyapunov;
    if (plan->starts > 1)
      continue;
    cr_expect_eq(row->period, verdict.period, "%s at c = %g, eta = %g", method->name, cosine, step);
    cr_expect(row->median_steps == verdict.steps || (isnan(row->median_steps) && isnan(verdict.steps)),
              "%s at c = %g, eta = %g: %g steps packed, %g alone", method->name, cosine, step, row->median_steps,
              verdict.steps);
  }
  for (int i = 0; i < OUTCOME_COUNT; i++)
    cr_expect_eq(row->count[i], count[i], "%s at c = %g, eta = %g: outcome %d %d times packed, %d alone", method->name,
                 cosine, step, i, (int)row->count[i], (int)count[i]);
  if (count[OUTCOME_CHAOS] > 0)
    cr_expect_eq(row->lyapunov, exponents / (double)count[OUTCOME_CHAOS]);
  else
    cr_expect(isnan(row->lyapunov));
}

static uint64_t seen[OUTCOME_COUNT];

static void compare_plan(const SweepPlan *plan, LanesIsa isa) {
  Starts starts;
  assert_ok(starts_draw(plan, &starts));
  for (size_t i = 0; i < tile_count(plan); i++) {
    Tile tile = tile_at(plan, i);
    Row rows[2048];
    assert_ok(tile_compute(plan, &starts, isa, &tile, rows));
    for (size_t j = 0; j < tile.count; j++) {
      expect_row(plan, tile.method, tile.first + j, &rows[j]);
      for (int k = 0; k < OUTCOME_COUNT; k++)
        seen[k] += rows[j].count[k];
    }
  }
  starts_free(&starts);
}

Test(packed, a_run_a_point_comes_to_what_it_comes_to_alone) {
  SweepPlan paper = plan_of_everything(true, SANITIZED ? 150 : 300, 1),
            gaussian = plan_of_everything(false, SANITIZED ? 111 : 333, 1);
  compare_plan(&paper, lanes_best());
  compare_plan(&gaussian, lanes_best());
  for (int i = 0; i < OUTCOME_COUNT; i++)
    cr_expect(seen[i] > 0 || i == OUTCOME_SADDLE, "outcome %d is not among what was compared", i);
}

Test(packed, many_runs_a_point_come_to_what_they_come_to_alone) {
  SweepPlan plan = plan_of_everything(true, 96, 7);
  plan.cosine.count = 2;
  plan.step.count = 3;
  compare_plan(&plan, ISA_PORTABLE);
}

/* Fewer steps than a block. */
Test(packed, short_runs_too) {
  SweepPlan plan = plan_of_everything(false, 7, 1);
  plan.tolerance = 0.5;
  compare_plan(&plan, lanes_best());
}

Test(packed, a_tolerance_of_0_is_never_reached) {
  SweepPlan plan = plan_of_everything(true, 64, 1);
  plan.tolerance = 0;
  plan.step.count = 2;
  compare_plan(&plan, lanes_best());
  cr_expect_eq(seen[OUTCOME_OPTIMUM], 0);
}

Test(packed, tiles_cover_every_point_once) {
  SweepPlan plan = plan_of_everything(true, 10, 700);
  size_t points = 0, tiles = tile_count(&plan);
  for (size_t i = 0; i < tiles; i++) {
    Tile tile = tile_at(&plan, i), last = tile_at(&plan, i > 0 ? i - 1 : 0);
    bool new_method = i == 0 || tile.method != last.method;
    cr_expect_eq(tile.first, new_method ? 0 : last.first + last.count);
    points += tile.count;
  }
  /* als and jacobi have no step */
  cr_expect_eq(points, (plan.method_count - 2) * 4 * 6 + 2 * 4);
  cr_expect_gt(tiles, plan.method_count);
}

/* ---- plans that make no sense ---- */

static SweepPlan sound(void) {
  return plan_of("gd", 0.3, 0.5);
}

#define expect_unsound(change, part)                                                                                   \
  do {                                                                                                                 \
    SweepPlan plan = sound();                                                                                          \
    change;                                                                                                            \
    expect_refused(sweep_check(&plan), STATUS_USAGE, part);                                                            \
  } while (0)

Test(check, each_number_has_its_range) {
  SweepPlan fine = sound();
  assert_ok(sweep_check(&fine));
  expect_unsound(plan.method_count = 0, "methods");
  expect_unsound(plan.cosine.high = 1; plan.cosine.count = 3, "cosine");
  expect_unsound(plan.cosine.low = -1.5; plan.cosine.count = 2, "cosine");
  expect_unsound(plan.cosine.count = 0, "empty");
  expect_unsound(plan.step.low = 0; plan.step.count = 2, "step k");
  expect_unsound(plan.step_is_k = false; plan.step = one(-1), "step eta");
  expect_unsound(plan.step.high = 0.6; plan.cosine.high = 0.31; plan.step.count = plan.cosine.count = 20000, "rows");
  expect_unsound(plan.starts = 0, "starts");
  expect_unsound(plan.steps = 0, "steps");
  expect_unsound(plan.scale = 0, "scale");
  expect_unsound(plan.scale = INFINITY, "scale");
  expect_unsound(plan.paper_start = false; plan.dimension = 1, "dimension");
  expect_unsound(plan.tolerance = -1, "tolerance");
  expect_unsound(plan.tolerance = NAN, "tolerance");
  expect_unsound(plan.parameters.momentum = 1, "momentum");
  expect_unsound(plan.parameters.balance_cap = 0.5, "cap");
  expect_unsound(plan.parameters.soft_period = 1, "soft");
}

/* ---- whole sweeps through the program ---- */

static const char *slurp(const char *name) {
  static char texts[4][1 << 20];
  static int next;
  return scratch_read(scratch_path(name), texts[next++ % 4], sizeof texts[0]);
}

static bool there(const char *name) {
  return access(scratch_path(name), F_OK) == 0;
}

static off_t size_of(const char *name) {
  struct stat about;
  return stat(scratch_path(name), &about) == 0 ? about.st_size : -1;
}

static void run_program(Run *run, const char *words) {
  *run = program_start_words(words);
  program_finish(run);
  run->streams[0] = run->streams[1] = NULL;
}

static void expect_success(const char *words) {
  Run run;
  run_program(&run, words);
  cr_expect_eq(run.exit, 0, "%s: exit status %d: %s", words, run.exit, run.err);
  program_free(&run);
}

static void expect_failure(const char *words, int status, const char *part) {
  Run run;
  run_program(&run, words);
  cr_expect_eq(run.exit, status, "%s: exit status %d: %s", words, run.exit, run.err);
  expect_contains(run.err, part);
  program_free(&run);
}

#define SMALL "--method gd,als --cos 0.2:0.6:2 --k 0.5:1.5:3 --starts 8 --steps 500"
/* 18 tiles of chaotic runs: long enough to be stopped on the way. */
#define LONG "--method gd --cos 0.1:0.9:24 --k 1.5:1.6:24 --starts 64 --steps " SANITIZED_OR("150", "1000")

TestSuite(program, .init = scratch_make, .fini = scratch_remove);

Test(program, writes_a_row_a_point_in_order) {
  expect_success("theory sweep " SMALL " --out out.csv");
  char copy[1 << 14], *rest = copy;
  snprintf(copy, sizeof copy, "%s", slurp("out.csv"));
  cr_expect_str_eq(strsep(&rest, "\n"), "method,cosine,k,eta,starts,optimum,saddle,periodic,chaos,diverged,undecided,"
                                        "period,median_steps,lyapunov");
  for (int i = 0; i < 12; i++) {
    char method[8], lyapunov[32], median[32], *line = strsep(&rest, "\n");
    double cosine, k, eta, starts, part[6], period;
    cr_assert_eq(sscanf(line, "%7[^,],%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%31[^,],%31s", method, &cosine, &k,
                        &eta, &starts, part, part + 1, part + 2, part + 3, part + 4, part + 5, &period, median,
                        lyapunov),
                 14, "row %d: %s", i, line);
    cr_expect_str_eq(method, i < 6 ? "gd" : "als");
    cr_expect_eq(cosine, i / 3 % 2 ? 0.6 : 0.2);
    expect_within(fabs(k - (0.5 + 0.5 * (i % 3))), 1e-15, "k of row %d", i);
    expect_within(fabs(k - eta * (1 + cosine)), 1e-15, "eta of row %d", i);
    cr_expect_eq(starts, 8);
    cr_expect_eq(part[0] + part[1] + part[2] + part[3] + part[4] + part[5], 1);
    cr_expect(i < 6 || (part[0] == 1 && strcmp(median, "nan") != 0));
    cr_expect((part[3] > 0) == (strcmp(lyapunov, "nan") != 0));
  }
  cr_expect_str_eq(rest, "");
  cr_expect_not(there("out.csv.partial-0"));
  expect_contains(slurp("out.csv.origin.json"), "seesaw theory sweep");
  expect_contains(slurp("out.csv.origin.json"), "\"plan\"");
}

Test(program, gives_the_same_bytes_for_any_number_of_threads) {
  setenv("OMP_NUM_THREADS", "1", 1);
  expect_success("theory sweep " LONG " --out one.csv");
  setenv("OMP_NUM_THREADS", "3", 1);
  expect_success("theory sweep " LONG " --out three.csv");
  cr_expect_str_eq(slurp("one.csv"), slurp("three.csv"));
}

Test(program, leaves_a_finished_sweep_alone) {
  expect_success("theory sweep " SMALL " --out out.csv");
  struct stat before, after;
  cr_assert_eq(stat(scratch_path("out.csv"), &before), 0);
  Run run;
  run_program(&run, "theory sweep " SMALL " --out out.csv");
  cr_expect_eq(run.exit, 0);
  expect_contains(run.out, "nothing to do");
  program_free(&run);
  cr_assert_eq(stat(scratch_path("out.csv"), &after), 0);
  cr_expect_eq(before.st_ino, after.st_ino);
  char whole[1 << 14];
  snprintf(whole, sizeof whole, "%s", slurp("out.csv"));
  cr_assert_eq(truncate(scratch_path("out.csv"), 100), 0); /* damaged: done again */
  expect_success("theory sweep " SMALL " --out out.csv");
  cr_expect_str_eq(slurp("out.csv"), whole);
  expect_success("theory sweep " SMALL " --seed 2 --out out.csv"); /* another sweep replaces it */
  cr_expect_str_neq(slurp("out.csv"), whole);
}

static void nap(void) {
  nanosleep(&(struct timespec){0, 1000000}, NULL);
}

/* Start the long sweep and send a signal when some tiles are in the journal. */
static void stop_midway(int signal, int status, const char *part) {
  setenv("OMP_NUM_THREADS", "1", 1);
  Run run = program_start("theory sweep " LONG " --out out.csv");
  while (size_of("out.csv.partial-0") < 5000)
    nap();
  kill(run.child, signal);
  program_finish(&run);
  cr_expect_eq(run.exit, status, "exit status %d: %s", run.exit, run.err);
  expect_contains(run.err, part);
  program_free(&run);
  cr_assert_not(there("out.csv"), "the sweep had finished before it was stopped");
  cr_assert(there("out.csv.partial-0"));
}

static void resume(int at_least) {
  int resumed = 0;
  Run run;
  run_program(&run, "theory sweep " LONG " --out out.csv");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  char *found = strchr(run.out, '(');
  cr_expect(found && sscanf(found, "(%d of 18 tiles were finished before)", &resumed) == 1, "%s", run.out);
  cr_expect_geq(resumed, at_least);
  program_free(&run);
  expect_success("theory sweep " LONG " --out whole.csv");
  cr_expect_str_eq(slurp("out.csv"), slurp("whole.csv"));
  cr_expect_not(there("out.csv.partial-0"));
}

Test(program, goes_on_after_it_was_killed) {
  stop_midway(SIGKILL, 128 + SIGKILL, "");
  resume(2);
}

Test(program, goes_on_after_an_interrupt) {
  stop_midway(SIGINT, 130, "the same command goes on from there");
  resume(2);
}

Test(program, passes_over_a_torn_record) {
  stop_midway(SIGKILL, 128 + SIGKILL, "");
  cr_assert_eq(truncate(scratch_path("out.csv.partial-0"), size_of("out.csv.partial-0") - 5), 0);
  resume(1);
}

Test(program, passes_over_a_wrong_byte) {
  stop_midway(SIGKILL, 128 + SIGKILL, "");
  FILE *stream = fopen(scratch_path("out.csv.partial-0"), "r+b");
  cr_assert_not_null(stream);
  cr_assert_eq(fseek(stream, -100, SEEK_END), 0);
  int byte = fgetc(stream);
  cr_assert_eq(fseek(stream, -100, SEEK_END), 0);
  cr_assert_neq(fputc(byte ^ 1, stream), EOF);
  fclose(stream);
  resume(1);
}

Test(program, starts_over_from_a_torn_header) {
  scratch_text("out.csv.partial-0", "seesaw");
  expect_success("theory sweep " SMALL " --out out.csv");
  cr_expect_not(there("out.csv.partial-0"));
}

Test(program, refuses_the_journal_of_another_sweep) {
  stop_midway(SIGKILL, 128 + SIGKILL, "");
  expect_failure("theory sweep " LONG " --seed 2 --out out.csv", 2, "with other options");
  expect_failure("theory sweep " SMALL " --out out.csv", 2, "with other options");
  cr_expect(there("out.csv.partial-0"));
  scratch_text("out.csv.partial-0", "My notes. Nothing here is a journal, and it must not be written over.\n");
  expect_failure("theory sweep " SMALL " --out out.csv", 2, "is in the way");
  expect_contains(slurp("out.csv.partial-0"), "My notes");
}

Test(program, does_not_mistake_other_files_for_journals) {
  scratch_text("out.csv.partial-x", "mine");
  scratch_text("out.csv.partial-1x", "mine");
  scratch_text("about.csv.partial-1", "mine");
  expect_success("theory sweep " SMALL " --out out.csv");
  cr_expect(there("out.csv.partial-x") && there("out.csv.partial-1x") && there("about.csv.partial-1"));
}

Test(program, refuses_an_output_that_another_process_is_at_work_on) {
  int journal = open(scratch_path("out.csv.partial-0"), O_RDWR | O_CREAT, 0666);
  cr_assert_eq(flock(journal, LOCK_EX | LOCK_NB), 0);
  expect_failure("theory sweep " SMALL " --out out.csv", 4, "in use");
  close(journal);
  expect_success("theory sweep " SMALL " --out out.csv");
}

/* With 1e12 steps: if it began to work before it looked, the test would run out of time. */
Test(program, finds_an_output_that_cannot_be_written_before_any_work) {
  expect_failure("theory sweep --k 1.9 --steps 1e12 --out missing/out.csv", 4, "missing/out.csv");
  cr_assert_eq(mkdir(scratch_path("folder"), 0777), 0);
  expect_failure("theory sweep --k 1.9 --steps 1e12 --out folder", 4, "folder");
  expect_failure("theory sweep --k 1.9 --steps 1e12 --out /dev/null", 2, "regular file");
  expect_failure("theory sweep --k 1.9 --steps 1e12 --out -", 2, "journal");
  if (geteuid() != 0) {
    cr_assert_eq(chmod(scratch_path("folder"), 0555), 0);
    expect_failure("theory sweep --k 1.9 --steps 1e12 --out folder/out.csv", 4, "folder/out.csv");
  }
}

Test(program, says_what_is_wrong_with_its_options) {
  expect_failure("theory sweep", 2, "--out");
  expect_failure("theory sweep --k 1 --eta 1 --out out.csv", 2, "exclude each other");
  expect_failure("theory sweep --cos 1 --out out.csv", 2, "cos");
  expect_failure("theory sweep --method gda --out out.csv", 2, "did you mean");
  expect_failure("theory sweep --dim 5 --out out.csv", 2, "gaussian");
  expect_failure("theory sweep --starts 0 --out out.csv", 2, "starts");
  cr_expect_eq(scratch_count(), 0);
  Run run;
  run_program(&run, "theory sweep --help");
  cr_expect_eq(run.exit, 0);
  expect_contains(run.out, "mpirun");
  program_free(&run);
}

/* ---- ranks ---- */

/* Without MPI, one after the other: rank 1 leaves its journal, rank 0 takes it in. */
Test(program, ranks_share_the_tiles_and_rank_0_gathers_them) {
  SweepPlan plan = plan_of("gd", 0.3, 0.5);
  plan.cosine = (Grid){-0.5, 0.5, 40, false};
  plan.step = (Grid){0.1, 1.9, 10, false};
  plan.starts = 50;
  plan.steps = 100;
  char single[512], shared[512];
  snprintf(single, sizeof single, "%s", scratch_path("single.csv"));
  snprintf(shared, sizeof shared, "%s", scratch_path("shared.csv"));
  SweepReport report;
  assert_ok(sweep_run(&plan, single, "test", (Ranks){0, 1}, &report));
  cr_expect_eq(report.tiles, 10);
  cr_expect_eq(report.resumed, 0);
  assert_ok(sweep_run(&plan, shared, "test", (Ranks){1, 3}, NULL));
  assert_ok(sweep_run(&plan, shared, "test", (Ranks){2, 3}, NULL));
  cr_expect_not(there("shared.csv"));
  assert_ok(sweep_run(&plan, shared, "test", (Ranks){0, 3}, &report));
  cr_expect_eq(report.resumed, 6);
  cr_expect_str_eq(slurp("single.csv"), slurp("shared.csv"));
  cr_expect_eq(scratch_count(), 4, "journals are left");
  assert_ok(sweep_run(&plan, shared, "test", (Ranks){0, 1}, &report));
  cr_expect(report.finished_before);
}

Test(program, rank_0_misses_what_others_have_not_done) {
  SweepPlan plan = plan_of("gd", 0.3, 0.5);
  plan.starts = 2048;
  plan.step = (Grid){0.1, 0.5, 4, false};
  expect_refused(sweep_run(&plan, scratch_path("out.csv"), "test", (Ranks){0, 2}, NULL), STATUS_OUTPUT,
                 "2 of 4 tiles are missing");
}

Test(program, gives_the_same_bytes_under_mpi) {
  char command[2048];
  if (system("command -v mpirun >/dev/null 2>&1") != 0)
    cr_skip_test("no mpirun");
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  setenv("OMP_NUM_THREADS", "1", 1);
  snprintf(command, sizeof command,
           "cd '%s' && mpirun -n 2 --oversubscribe '%s' theory sweep " LONG " --out two.csv >out 2>err", scratch_folder,
           SEESAW_PROGRAM);
  int status = system(command);
  if (status != 0)
    cr_skip_test("mpirun does not start: %s", slurp("err"));
  expect_success("theory sweep " LONG " --out one.csv");
  cr_expect_str_eq(slurp("one.csv"), slurp("two.csv"));
  cr_expect_not(there("two.csv.partial-0") || there("two.csv.partial-1"));
}
