/* test_ablate.c: `seesaw ablate`, from a pair of models to tables; killed, in several processes, misused. */
#include <dirent.h>
#include <time.h>

#include "sanitized.h"
#include "small_world.h"

#define SCHEMES SEESAW_FIXTURES "/../../experiments/schemes/scenes"
#define SMALL "--model pair --pictures 40 --tests 13 --scale 0.006 --schemes '" SCHEMES "' "

static void make_world(void) {
  scratch_make();
  setenv("OMP_WAIT_POLICY", "passive", 1); /* tests share the machine */
  small_pair("pair", 1);
}

TestSuite(ablate, .init = make_world, .fini = scratch_remove);

enum { ROOM = 1 << 18 };

/* A file of the scratch folder, allocated; of costs.csv without its seconds. */
static char *text_of(const char *folder, const char *name) {
  char path[128], *text = malloc(ROOM);
  cr_assert_not_null(text);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return (char *)scratch_read(scratch_path(path), text, ROOM);
}

static void expect_same(const char *folder, const char *name) {
  char *whole = text_of("whole", name), *other = text_of(folder, name);
  cr_expect_gt(strlen(whole), 100, "%s", whole);
  cr_expect_str_eq(whole, other, "%s of %s differs", name, folder);
  free(whole);
  free(other);
}

static void drop_seconds(char *costs) {
  char *to = costs;
  for (int field = 0; *costs; costs++) {
    field = *costs == '\n' ? 0 : field + (*costs == ',');
    if (field != 7 || *costs == ',')
      *to++ = *costs;
  }
  *to = '\0';
}

static void expect_same_results(const char *folder) {
  expect_same(folder, "answers.csv");
  expect_same(folder, "curves.csv");
  char *whole = text_of("whole", "costs.csv"), *other = text_of(folder, "costs.csv");
  drop_seconds(whole);
  drop_seconds(other);
  cr_expect_str_eq(whole, other, "costs.csv of %s differs", folder);
  free(whole);
  free(other);
}

/* ---- whole runs ---- */

#define ROWS "alternating,baseline"

Test(ablate, gives_the_same_with_one_or_two_jobs_and_tables_read_it) {
  program_succeeds("ablate " ROWS " " SMALL "--seeds 1 --jobs 1 --results whole --runs r1 --features f1");
  program_succeeds("ablate " ROWS " " SMALL "--seeds 1 --jobs 2 --results two --runs r2 --features f2");
  expect_same_results("two");
  ProgramRun run = program_run("table 4 --results whole");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "Alternating, only Local");
  program_free(&run);
  program_succeeds("ablate " ROWS " " SMALL "--seeds 1 --results again --runs r1 --features f1");
  expect_same_results("again");
  char *origin = text_of("whole", "answers.csv.origin.json");
  expect_contains(origin, "--scale=0.006");
  free(origin);
}

/* Blocks are complete, of 13 scenes over ten blocks, and a smaller exam of the same runs does not mix with it. */
Test(ablate, keeps_exams_apart) {
  program_succeeds("ablate text_only " SMALL "--seeds 2 --results whole --runs r --features f");
  program_succeeds("ablate text_only " SMALL "--seeds 1 --tests 10 --results ten --runs r --features f");
  char *ten = text_of("ten", "answers.csv"), *whole = text_of("whole", "answers.csv");
  size_t lines[2] = {0};
  for (char *c = ten; *c; c++)
    lines[0] += *c == '\n';
  for (char *c = whole; *c; c++)
    lines[1] += *c == '\n';
  cr_expect_eq(lines[0], 1 + 5 * 10, "%zu lines: seed 2 is of another exam", lines[0]);
  cr_expect_eq(lines[1], 1 + 2 * 5 * 10);
  cr_expect_null(strstr(ten, ",2,both"));
  expect_contains(ten, "text_only,1,both,read,9,1,");
  expect_contains(whole, "text_only,2,both,probe,0,2,");
  free(ten);
  free(whole);
}

/* ---- rows of other schemes, rows that diverge ---- */

#define OWN "--model pair --pictures 40 --tests 13 --schemes s --seeds 1 --runs r --features f "

/* Schemes of one phase of a few steps for rows text_only and e2e, this one with the rate. */
static void write_schemes(const char *rate) {
  char text[256];
  cr_assert_eq(folder_create(scratch_path("s")).code, STATUS_OK);
  scratch_text("s/text-only.ini",
               "[phase a]\ndata = questions\ntrain = decoder\nviews = none\nsamples = 32\nrate = 1e-3\n");
  snprintf(text, sizeof text, "[phase a]\ndata = captions\ntrain = adapter\nviews = global\nsamples = 640\nrate = %s\n",
           rate);
  scratch_text("s/e2e.ini", text);
}

static void expect_rows(const char *folder, bool text_only, bool e2e) {
  char *answers = text_of(folder, "answers.csv");
  cr_expect_eq(strstr(answers, "\ntext_only,1,") != NULL, text_only, "%s", answers);
  cr_expect_eq(strstr(answers, "\ne2e,1,") != NULL, e2e, "%s", answers);
  free(answers);
}

Test(ablate, leaves_out_rows_whose_scheme_was_edited_since) {
  write_schemes("1e-3");
  program_succeeds("ablate text_only,e2e " OWN "--results first");
  expect_rows("first", true, true);
  cr_assert_eq(folder_create(scratch_path("r/rows/nobody-1")).code, STATUS_OK);
  cr_assert_eq(folder_create(scratch_path("r/rows/baseline-01")).code, STATUS_OK);
  ProgramRun run = program_run("ablate text_only " OWN "--results second");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.err, "left out, since of other options, schemes or rows: baseline-01, nobody-1\n");
  program_free(&run);
  expect_rows("second", true, true);
  write_schemes("2e-3");
  run = program_run("ablate text_only " OWN "--results third");
  cr_expect_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.err, "rows: baseline-01, e2e-1, nobody-1\n");
  program_free(&run);
  expect_rows("third", true, false);
  scratch_text("s/e2e.ini", "[phase a]\nrate = fast\n");
  program_succeeds("ablate text_only " OWN "--results fourth");
  expect_rows("fourth", true, false);
  write_schemes("2e-3");
  program_succeeds("ablate e2e " OWN "--results fifth");
  expect_rows("fifth", true, true);
}

/* How many times `part` is in the text. */
static size_t occurrences(const char *text, const char *part) {
  size_t count = 0;
  for (; (text = strstr(text, part)) != NULL; text++)
    count++;
  return count;
}

Test(ablate, goes_on_when_a_row_diverges) {
  write_schemes("999\ndecay = 10");       /* every step, weights grow ten thousand times */
  for (int jobs = 1; jobs <= 2; jobs++) { /* the second time it goes on where it diverged */
    ProgramRun run = program_run("ablate e2e,text_only " OWN "--results diverged --jobs %d", jobs);
    cr_expect_eq(run.exit, STATUS_NUMERICS, "%d: %s", run.exit, run.err);
    cr_expect_eq(occurrences(run.err, "row e2e, seed 1: phase a"), 1, "tried once: %s", run.err);
    expect_contains(run.err, "\ndiverged: e2e-1\n");
    expect_contains(run.err, "1 of 2 jobs diverged");
    program_free(&run);
    expect_rows("diverged", true, false);
  }
  write_schemes("1e-3");
  program_succeeds("ablate e2e,text_only " OWN "--results mended");
  expect_rows("mended", true, true);
}

/* ---- killed ---- */

static void wait_for(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
  nanosleep(&time, NULL);
}

/* The program with its workers, as a group of processes, killed after so many seconds; was it still at work? */
static bool run_killed(const char *words, double seconds) {
  char command[2048];
  int status;
  snprintf(command, sizeof command, "exec '%s' %s >/dev/null 2>&1", SEESAW_PROGRAM, words);
  fflush(NULL);
  pid_t child = fork();
  cr_assert_geq(child, 0);
  if (child == 0) {
    setpgid(0, 0);
    if (chdir(scratch_folder) == 0)
      execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
  }
  setpgid(child, child);
  wait_for(seconds);
  kill(-child, SIGKILL);
  cr_assert_eq(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status);
}

Test(ablate, killed_at_random_moments_it_goes_on_to_the_same) {
  static const char *const words = "ablate alternating,e2e " SMALL
                                   "--scale " SANITIZED_OR("0.01", "0.02") " --seeds 1 --jobs 2 ";
  char command[1024];
  program_succeeds("%s --results whole --runs r1 --features f1", words);
  snprintf(command, sizeof command, "%s --results killed --runs r2 --features f2", words);
  size_t killed = 0;
  for (uint32_t i = 0; i < (SANITIZED ? 1 : 6); i++)
    killed += run_killed(command, 0.02 + 0.4 * rng_uniform(rng_make(1, RNG_TEST, i), 0));
  cr_expect_gt(killed, 0, "every run ended before it was killed");
  program_succeeds("%s", command);
  expect_same_results("killed");
}

/* ---- misuse ---- */

static void expect_failure(int exit, const char *part, const char *words) {
  ProgramRun run = program_run("%s", words);
  cr_expect_eq(run.exit, exit, "%s: %d: %s", words, run.exit, run.err);
  expect_contains(run.err, part);
  program_free(&run);
}

Test(ablate, refuses_what_it_cannot_do) {
  program_refuses(3, "no pretrained pair experiments/pairs/medium: --model DIR", "ablate baseline --size medium");
  program_refuses(3, "`seesaw scenes pretrain --size small --out DIR` makes one", "ablate baseline --model nowhere");
  program_refuses(2, "size", "ablate baseline --size tiny");
  program_refuses(2, "which rows", "ablate --model pair");
  program_refuses(2, "no row 'table5'", "ablate table5 --model pair");
  program_refuses(2, "no row 'nq65'", "ablate nq64,nq65 --model pair");
  program_refuses(2, "no row is named", "ablate '' --model pair");
  program_refuses(2, "tests", "ablate e2e --model pair --tests 9");
  program_refuses(2, "scale", "ablate e2e --model pair --scale 0");
  program_refuses(2, "split", "ablate e2e --model pair --split train");
  program_refuses(6, "cuda", "ablate e2e --model pair --device cuda");
  expect_failure(3, "nowhere", "ablate e2e --model nowhere --schemes '" SCHEMES "'");
  expect_failure(3, "no folder of schemes experiments/schemes/scenes: --schemes DIR", "ablate e2e --model pair");
  expect_failure(3, "schemes nowhere", "ablate e2e --model pair --schemes nowhere");
  expect_failure(3, "pair/e2e.ini", "ablate e2e --model pair --schemes pair");
  scratch_text("file", "in the way");
  expect_failure(4, "file", "ablate text_only " SMALL "--seeds 1 --runs file");
  expect_failure(4, "file", "ablate text_only " SMALL "--seeds 1 --features file");
}

Test(ablate, names_the_row_whose_scheme_is_damaged_before_it_trains) {
  cr_assert_eq(folder_create(scratch_path("s")).code, STATUS_OK);
  scratch_text("s/text-only.ini",
               "[phase a]\ndata = questions\ntrain = decoder\nviews = none\nsamples = 32\nrate = 1e-3\n");
  scratch_text("s/e2e.ini", "[phase a]\ndata = captions\ntrain = adapter\nsamples = 3\nrate = 1\nviews = globl\n");
  expect_failure(3, "s/e2e.ini: line",
                 "ablate text_only,e2e --model pair --pictures 40 --tests 13 --schemes s --seeds 1");
  cr_expect_neq(access(scratch_path("runs/rows"), F_OK), 0, "nothing was trained");
}

/* The first of several ranks alone reads the schemes; the others must hear that it failed. */
Test(ablate, several_ranks_end_when_the_first_fails, .timeout = 120) {
  char command[2048], text[2048];
  if (system("command -v mpirun >/dev/null 2>&1") != 0)
    cr_skip_test("mpirun is not there");
  write_schemes("fast");
  snprintf(command, sizeof command,
           "cd '%s' && OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ASAN_OPTIONS=detect_leaks=0 "
           "OMPI_MCA_rmaps_base_oversubscribe=1 timeout 60 mpirun -n 2 '%s' ablate e2e " OWN "--results x >out.txt "
           "2>err.txt",
           scratch_folder, SEESAW_PROGRAM);
  int end = system(command);
  cr_expect_eq(WEXITSTATUS(end), STATUS_INPUT, "%d", WEXITSTATUS(end));
  expect_contains(scratch_read(scratch_path("err.txt"), text, sizeof text), "row e2e, seed 1: s/e2e.ini: line");
}

/* A disk of a few hundred kilobytes: a limit on the size of files stands in for it. */
static void with_small_files(void) {
  struct rlimit limit = {.rlim_cur = 40000, .rlim_max = 40000};
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(ablate, says_when_the_disk_is_full) {
  program_succeeds("ablate text_only " SMALL "--seeds 1 --results whole --runs r --features f");
  with_small_files();
  expect_failure(4, "File too large", "ablate text_only " SMALL "--seeds 1 --first-seed 2 --runs r --features f");
  ProgramRun run = program_run("ablate text_only " SMALL "--seeds 1 --results again --runs r --features f");
  cr_expect_eq(run.exit, 0, "what is done stays: %s", run.err);
  program_free(&run);
  expect_same("again", "answers.csv");
}
