/* ablate.c: `seesaw ablate`: trains and tests the rows of the tables, each with several seeds, in several processes;
 * stopped at any moment it goes on where it was. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "collect.h"
#include "commands.h"
#include "device.h"
#include "files.h"
#include "job.h"
#include "options.h"
#include "page.h"
#include "progress.h"
#include "rows.h"
#include "scenes_options.h"

/* ---- which rows ---- */

typedef struct Selection {
  const char *name, *rows;
} Selection;

static const Selection selections[] = {
    {"table3", "baseline,global_moe,nq64,nq144,nq196,gamma90,gamma75,gamma50,smr,final"},
    {"table4", "baseline,llava_hd,monkey,e2e,alternating"},
    {"figure1", "baseline,qformer,qformer_alt,e2e,alternating"},
    {"controls", "e2e_samples,e2e_flops,e2e_mix,e2e_rate,unfrozen,periodic,reversed,local_only,paper_preset,"
                 "released_preset,text_only"},
};
enum { SELECTIONS = sizeof selections / sizeof *selections, ROWS_MOST = 64 };

typedef struct Rows {
  const Recipe *recipe[ROWS_MOST];
  size_t count;
} Rows;

static Status add_row(Rows *rows, const char *id) {
  const Recipe *recipe = recipe_find(id);
  if (!recipe)
    return status_error(STATUS_USAGE, "there is no row '%s'; `seesaw ablate --help` lists them", id);
  for (size_t i = 0; i < rows->count; i++)
    if (rows->recipe[i] == recipe)
      return status_ok();
  REQUIRE(rows->count < ROWS_MOST, "more than %d rows", ROWS_MOST);
  rows->recipe[rows->count++] = recipe;
  return status_ok();
}

static Status add_rows(Rows *rows, const char *list) {
  for (const char *at = list; *at;) {
    char id[64];
    size_t length = strcspn(at, ",");
    snprintf(id, sizeof id, "%.*s", (int)length, at);
    TRY(add_row(rows, id));
    at += length + (at[length] == ',');
  }
  return status_ok();
}

static Status choose_rows(const char *what, Rows *rows) {
  *rows = (Rows){0};
  for (size_t i = 0; i < SELECTIONS; i++)
    if (strcmp(what, "all") == 0 || strcmp(what, selections[i].name) == 0)
      TRY(add_rows(rows, selections[i].rows));
  if (rows->count == 0)
    TRY(add_rows(rows, what));
  return rows->count > 0 ? status_ok()
                         : status_error(STATUS_USAGE, "no row is named; `seesaw ablate --help` lists them");
}

/* ---- the plan ---- */

/* Of a job in this run. A diverged one would diverge again: it is not tried twice. */
enum { JOB_OPEN, JOB_DONE, JOB_DIVERGED };

typedef struct Plan {
  const char *what, *size, *model, *schemes, *runs, *features, *results, *split, *device, *dtype;
  int64_t seeds, first_seed, jobs, pictures, tests, examples;
  double scale;
  bool probed, paged;
  char *folder; /* of phases and jobs: runs, or one in it */
  Rows rows;
  Ranks ranks;
  atomic_uchar *outcomes; /* of the jobs, as far as this rank knows; its processes share them */
} Plan;

/* What a process opens for itself. */
typedef struct Office {
  Device device;
  Pair pair;
  Tokenizer *tokenizer;
  Setting setting;
} Office;

/* It must not move. */
static Status open_office(Office *office, const Plan *plan, int threads) {
  *office = (Office){0};
  TRY(device_open(&office->device, plan->device, plan->dtype, threads));
  TRY(pair_open(&office->pair, &office->device.ops, plan->model));
  TRY(tokenizer_open(&office->tokenizer, plan->model, NULL));
  office->setting = (Setting){.pair = &office->pair,
                              .ops = &office->device.ops,
                              .tokenizer = office->tokenizer,
                              .folder = plan->folder,
                              .schemes = plan->schemes,
                              .features = plan->features,
                              .pictures = (size_t)plan->pictures,
                              .tests = (size_t)plan->tests,
                              .split = split_find(plan->split),
                              .scale = plan->scale,
                              .probed = plan->probed,
                              .quiet = true};
  return status_ok();
}

static void close_office(Office *office) {
  tokenizer_close(office->tokenizer);
  pair_close(&office->pair);
  device_close(&office->device);
}

/* Seeds first, so that after a while every row has some. */
static const Recipe *job_at(const Plan *plan, size_t i, uint64_t *seed) {
  *seed = (uint64_t)plan->first_seed + i / plan->rows.count;
  return plan->rows.recipe[i % plan->rows.count];
}

static size_t job_count(const Plan *plan) {
  return plan->rows.count * (size_t)plan->seeds;
}

/* How many jobs of the run have this outcome. */
static size_t count_jobs(const Plan *plan, int outcome) {
  size_t count = 0;
  for (size_t i = 0; i < job_count(plan); i++)
    count += plan->outcomes[i] == outcome;
  return count;
}

/* ---- workers ---- */

/* A failure with the job that it is of. */
static Status name_job(Status status, const Recipe *recipe, uint64_t seed) {
  return status.code == STATUS_OK
             ? status
             : status_error(status.code, "row %s, seed %llu: %s", recipe->id, (unsigned long long)seed, status.message);
}

static void complain(const Status *status) {
  fprintf(stderr, "seesaw: %s\n", status->message);
}

/* Was the job done before, by whomever? */
static Status look_at_job(const Plan *plan, const Setting *setting, size_t i) {
  uint64_t seed;
  const Recipe *recipe = job_at(plan, i, &seed);
  bool done;
  TRY(name_job(job_done(setting, recipe, seed, &done), recipe, seed));
  if (done)
    plan->outcomes[i] = JOB_DONE;
  return status_ok();
}

/* A job that diverged is reported, and no failure of the run: the other rows do not depend on it. */
static Status try_job(const Plan *plan, const Setting *setting, size_t i, bool *taken) {
  uint64_t seed;
  const Recipe *recipe = job_at(plan, i, &seed);
  bool busy;
  TRY(name_job(job_busy(setting, recipe, seed, &busy), recipe, seed));
  if (busy)
    return status_ok();
  Status status = name_job(job_run(setting, recipe, seed, taken), recipe, seed);
  if (status.code == STATUS_NUMERICS) {
    complain(&status);
    plan->outcomes[i] = JOB_DIVERGED;
    return status_ok();
  }
  if (status.code == STATUS_OK && *taken)
    plan->outcomes[i] = JOB_DONE;
  return status;
}

/* The first job that is not done and that no other worker holds up. *left: there are some that are not done. */
static Status take_job(const Plan *plan, const Setting *setting, bool *left, bool *taken) {
  *left = *taken = false;
  for (size_t i = 0; i < job_count(plan) && !*taken; i++) {
    if (plan->outcomes[i] == JOB_OPEN)
      TRY(look_at_job(plan, setting, i));
    if (plan->outcomes[i] != JOB_OPEN)
      continue;
    *left = true;
    TRY(try_job(plan, setting, i, taken));
  }
  return status_ok();
}

static Status work(const Plan *plan, const Setting *setting) {
  for (bool left = true; left;) {
    bool taken;
    TRY(take_job(plan, setting, &left, &taken));
    if (left && !taken)
      sleep(1);
    TRY(interrupt_check());
  }
  return status_ok();
}

/* Reads every row's scheme, before hours of work. Then features, with all threads, so that workers only read them. */
static Status prepare(const Plan *plan, Setting *setting) {
  setting->quiet = false;
  for (size_t i = 0; i < job_count(plan); i++)
    TRY(look_at_job(plan, setting, i));
  for (size_t i = 0; i < job_count(plan); i++) {
    uint64_t seed;
    const Recipe *recipe = job_at(plan, i, &seed);
    bool first = i % plan->rows.count == 0 || recipe->paper;
    if (first && plan->outcomes[i] == JOB_OPEN)
      TRY(name_job(job_prepare(setting, recipe, seed), recipe, seed));
  }
  return status_ok();
}

static Status be_worker(const Plan *plan, int threads, bool prepares) {
  Office office;
  Status status = open_office(&office, plan, threads);
  if (status.code == STATUS_OK)
    status = prepares ? prepare(plan, &office.setting) : work(plan, &office.setting);
  close_office(&office);
  return status;
}

/* ---- processes ---- */

/* The parent itself computes nothing, since threads that were started before a fork are lost in the child. */
static Status start_worker(const Plan *plan, int threads, bool prepares, pid_t *child) {
  fflush(NULL);
  *child = fork();
  if (*child < 0)
    return status_error(STATUS_MEMORY, "cannot start a process: %s", strerror(errno));
  if (*child == 0) {
    Status status = be_worker(plan, threads, prepares);
    if (status.code != STATUS_OK && status.code != STATUS_INTERRUPTED)
      complain(&status);
    fflush(NULL);
    _exit((int)status.code);
  }
  return status_ok();
}

/* Waits for all; the first failure, which is not of one row alone, stops the others. */
static Status wait_for(const Plan *plan, const pid_t *children, size_t count) {
  Progress progress;
  Status result = status_ok();
  size_t running = count;
  progress_start(&progress, "ablation", (double)job_count(plan));
  while (running > 0) {
    int code;
    pid_t child = waitpid(-1, &code, WNOHANG);
    if (child > 0) {
      running--;
      int exited = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
      if (exited != 0 && result.code == STATUS_OK) {
        result = exited == STATUS_INTERRUPTED
                     ? status_error(STATUS_INTERRUPTED, "interrupted; the same command goes on")
                 : exited > 0 ? status_error((StatusCode)exited, "a worker stopped; its message is above")
                              : status_error(STATUS_UNAVAILABLE, "a worker was killed; the same command goes on");
        for (size_t i = 0; i < count; i++)
          kill(children[i], SIGTERM);
      }
      continue;
    }
    progress_update(&progress, (double)(job_count(plan) - count_jobs(plan, JOB_OPEN)));
    usleep(200000);
  }
  progress_end(&progress);
  return result;
}

static int all_threads(void) {
#ifdef _OPENMP
  return omp_get_num_procs();
#else
  return 1;
#endif
}

static Status run_workers(const Plan *plan, size_t count, int threads, bool prepares) {
  pid_t *children = calloc(count, sizeof *children);
  size_t started = 0;
  Status status = children ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for %zu processes", count);
  while (started < count && status.code == STATUS_OK) {
    status = start_worker(plan, threads, prepares, &children[started]);
    started += status.code == STATUS_OK;
  }
  Status waited = wait_for(plan, children, started);
  free(children);
  return status.code != STATUS_OK ? status : waited;
}

static Status check_plan(const Plan *plan) {
  TRY(device_check(plan->device, plan->dtype));
  if (access(plan->model, R_OK) != 0)
    return status_error(STATUS_INPUT,
                        "there is no pretrained pair %s: --model DIR names the one that there is; `seesaw scenes "
                        "pretrain --size %s --out DIR` makes one",
                        plan->model, plan->size);
  return access(plan->schemes, R_OK) == 0
             ? status_ok()
             : status_error(STATUS_INPUT, "there is no folder of schemes %s: --schemes DIR names the one that there is",
                            plan->schemes);
}

/* Here, and not in a worker, since no process is started any more. */
static Status collect_results(const Plan *plan, const Command *command) {
  Office office;
  Status status = open_office(&office, plan, all_threads());
  if (status.code == STATUS_OK)
    status = collect(&office.setting, plan->results, command, (uint64_t)plan->first_seed);
  close_office(&office);
  return status;
}

/* What diverged, in a line, as the code and the sentence of the whole run. */
static Status judge_outcomes(const Plan *plan) {
  size_t diverged = count_jobs(plan, JOB_DIVERGED);
  if (diverged == 0)
    return status_ok();
  fprintf(stderr, "diverged:");
  for (size_t i = 0; i < job_count(plan); i++) {
    uint64_t seed;
    const Recipe *recipe = job_at(plan, i, &seed);
    if (plan->outcomes[i] == JOB_DIVERGED)
      fprintf(stderr, " %s-%llu", recipe->id, (unsigned long long)seed);
  }
  fprintf(stderr, "\n");
  return status_error(STATUS_NUMERICS, "%zu of %zu jobs diverged, as said above; the results are those of the others",
                      diverged, job_count(plan));
}

/* One for each core, or for the GPU: two on one would only take turns. */
static size_t usual_workers(const Plan *plan) {
  return strcmp(plan->device, "cuda") == 0 ? 1 : (size_t)all_threads();
}

static Status prepare_all(const Plan *plan) {
  TRY(check_plan(plan));
  TRY(folder_create(plan->features));
  return plan->ranks.rank == 0 ? run_workers(plan, 1, all_threads(), true) : status_ok();
}

static Status train_all(const Plan *plan) {
  size_t workers = plan->jobs > 0 ? (size_t)plan->jobs : usual_workers(plan);
  int threads = all_threads() / (int)workers;
  TRY(run_workers(plan, workers, threads > 0 ? threads : 1, false));
  return judge_outcomes(plan);
}

/* Every rank comes to every agreement, whatever failed. */
static Status ablate(const Plan *plan, const Command *command) {
  TRY(ranks_agree(prepare_all(plan)));
  Status trained = ranks_agree(train_all(plan)), collected = status_ok();
  if (plan->ranks.rank == 0 && (trained.code == STATUS_OK || trained.code == STATUS_NUMERICS))
    collected = collect_results(plan, command);
  TRY(ranks_agree(collected));
  return trained;
}

static Status ablate_with_outcomes(Plan *plan, const Command *command) {
  size_t size = job_count(plan) * sizeof *plan->outcomes;
  void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return ranks_agree(status_error(STATUS_MEMORY, "not enough memory for %zu jobs", job_count(plan)));
  plan->outcomes = shared; /* zeros: all are open */
  Status status = ablate(plan, command);
  munmap(shared, size);
  return status;
}

/* ---- the page of examples ---- */

static Status write_page(const Plan *plan, const char *folder, const char *line) {
  Office office;
  Status status = open_office(&office, plan, all_threads());
  if (status.code == STATUS_OK) {
    const PagePlan page = {.setting = &office.setting,
                           .recipes = plan->rows.recipe,
                           .count = plan->rows.count,
                           .seed = (uint64_t)plan->first_seed,
                           .examples = (size_t)plan->examples,
                           .folder = folder,
                           .command = line};
    status = page_write(&page);
  }
  close_office(&office);
  return status;
}

static Status make_page(const Plan *plan, const Command *command) {
  char *folder = path_join(plan->results, "page"), *line = options_line(command);
  Status status = folder && line ? check_plan(plan) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK && plan->ranks.rank == 0)
    status = write_page(plan, folder, line);
  free(folder);
  free(line);
  return ranks_agree(status);
}

/* ---- the command ---- */

/* What the user may leave open, since a probe and a page need less; and where schemes and pairs are. */
typedef struct Given {
  bool seeds, split, tests, schemes, model;
} Given;

/* Is it the word, or the word and a colon? *rows: those behind it. */
static bool begins(const char *operand, const char *word, const char *usual, const char **rows) {
  size_t length = strlen(word);
  *rows = operand[strnlen(operand, length)] == ':' ? operand + length + 1 : usual;
  return strncmp(operand, word, length) == 0 && (operand[length] == '\0' || operand[length] == ':');
}

/* "table4"; "probe" or "probe:ROW,..."; "page" or "page:ROW,...". */
static Status choose(const char *operand, const Given *given, Plan *plan) {
  const char *probed, *paged;
  plan->probed = begins(operand, "probe", "e2e,alternating,e2e_mix", &probed);
  plan->paged = begins(operand, "page", "table4", &paged);
  if (!plan->probed && !plan->paged)
    return choose_rows(operand, &plan->rows);
  plan->split = given->split ? plan->split : "validation";
  if (plan->paged)
    return choose_rows(paged, &plan->rows);
  plan->seeds = given->seeds ? plan->seeds : 3;
  plan->tests = given->tests ? plan->tests : 256;
  return choose_rows(probed, &plan->rows);
}

/* What is installed beside the program; NULL where it is not. The caller frees. */
static char *installed(const char *name) {
  char program[4096];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program);
  char *path = NULL;
  if (length <= 0 || length == (ssize_t)sizeof program)
    return NULL;
  while (length > 0 && program[length - 1] != '/')
    length--;
  if (asprintf(&path, "%.*s../share/seesaw/%s", (int)length, program, name) < 0)
    return NULL;
  if (access(path, R_OK) == 0)
    return path;
  free(path);
  return NULL;
}

/* The folder that the options name, or, where they name none, the sources', or, where those are not here, the
 * installed one. The caller frees; NULL when memory is out. */
static char *find_folder(const char *named, bool given, const char *name) {
  char *sources = given ? strdup(named) : path_join("experiments", name);
  char *found = given || !sources || access(sources, R_OK) == 0 ? NULL : installed(name);
  if (!found)
    return sources;
  free(sources);
  return found;
}

/* The pair and the schemes, in memory that the caller frees. */
static Status find_folders(Plan *plan, const Given *given, char **pair, char **schemes) {
  char *name = path_join("pairs", plan->size);
  *pair = name ? find_folder(plan->model, given->model, name) : NULL;
  *schemes = find_folder(plan->schemes, given->schemes, "schemes/scenes");
  free(name);
  if (!*pair || !*schemes)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  plan->model = *pair;
  plan->schemes = *schemes;
  return status_ok();
}

/* Phases that are measured as they are trained lie apart from those that are not. */
static Status ablate_in_folder(Plan *plan, const Command *command) {
  plan->folder = plan->probed ? path_join(plan->runs, "probed") : strdup(plan->runs);
  Status status = plan->folder ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK)
    status = plan->paged ? make_page(plan, command) : ablate_with_outcomes(plan, command);
  free(plan->folder);
  return status;
}

Status command_ablate(int argc, char **argv, Ranks ranks) {
  Plan plan = {.what = "table4",
               .size = "small",
               .model = "",
               .schemes = "",
               .runs = "runs",
               .features = "features",
               .results = "results/ablation",
               .split = "test",
               .device = "cpu",
               .dtype = "f32",
               .seeds = 5,
               .first_seed = 1,
               .pictures = 12000,
               .tests = 2500,
               .examples = 12,
               .scale = 1.0,
               .ranks = ranks};
  Given given = {0};
  const Option options[] = {
      {"size", OPTION_CHOICE, &plan.size, NULL, "of the pretrained pair experiments/pairs/SIZE, or as installed",
       .choices = "small,medium,large"},
      {"model", OPTION_TEXT, &plan.model, "DIR", "another pair: what `seesaw scenes pretrain` wrote",
       .given = &given.model},
      {"seeds", OPTION_INTEGER, &plan.seeds, "N", "how many seeds; of the probe 3", 1, SEEDS_MOST,
       .given = &given.seeds},
      {"first-seed", OPTION_INTEGER, &plan.first_seed, "N", "the first of them", 0, 1000000},
      {"jobs", OPTION_INTEGER, &plan.jobs, "N", "processes; 0: one for each core, or for the GPU", 0, 1024},
      DEVICE_OPTIONS(plan.device, plan.dtype),
      {"split", OPTION_CHOICE, &plan.split, NULL, "scenes of the exam: validation to choose by, test to report",
       .choices = "validation,test", .given = &given.split},
      {"pictures", OPTION_INTEGER, &plan.pictures, "N", "training scenes", 1, 10000000},
      {"tests", OPTION_INTEGER, &plan.tests, "N", "scenes of the exam; of the probe 256", 10, 1000000,
       .given = &given.tests},
      {"examples", OPTION_INTEGER, &plan.examples, "N", "scenes of the page", 1, 1000},
      {"scale", OPTION_REAL, &plan.scale, "F", "of every phase's samples", 1e-6, 1000},
      {"schemes", OPTION_TEXT, &plan.schemes, "DIR",
       "folder of the scheme files, if not experiments/schemes/scenes, or as installed", .given = &given.schemes},
      {"runs", OPTION_TEXT, &plan.runs, "DIR", "folder of what is under way and done"},
      {"features", OPTION_TEXT, &plan.features, "DIR", "folder of the tower's features, which any runs may share"},
      {"results", OPTION_TEXT, &plan.results, "DIR", "folder of the result files"},
      {NULL},
  };
  const Command command = {
      .name = "ablate",
      .operands = "table3|table4|figure1|controls|all|ROW,...|probe[:ROW,...]|page[:ROW,...]",
      .summary = "train and test the rows of the tables",
      .description =
          "Trains each row's model by its scheme from the pretrained pair, with each seed, and asks it the questions "
          "of the exam. Rows share the phases in which they do not differ. Stopped at any moment, the same command "
          "goes on. Writes answers.csv, costs.csv and curves.csv, which `seesaw table` and `seesaw plot` read: of all "
          "rows and seeds in RUNS that these options and the scheme files, as they are now, would give again; others "
          "are named and left out. A row that diverges is named, the others go on, and the exit status is 7.\n"
          "Answers are the same bytes for any number of processes and interruptions on one device. Those of another "
          "--device or --dtype are not promised to be the cpu's: sums are taken in another order. So phases, features "
          "and answers of each are kept apart, in the same folders.\n"
          "probe looks for reasons, in e2e, alternating and e2e_mix or the rows named behind a colon, with three seeds "
          "and 256 validation scenes unless told otherwise; phases are trained and measured in RUNS/probed. Writes "
          "probes.csv (norm of the gradient and share of the update of each group), gates.csv (mean weight of the "
          "MLP in the global mixture), loss_probes.csv (the loss with tokens of either kind removed or shuffled), "
          "attention.csv (where answers look) and router.csv (tokens kept and accuracy against gamma).\n"
          "page trains nothing: RESULTS/page/index.html shows a few validation scenes (unless told otherwise), what "
          "the rows of table4, or those named behind a colon, answer to a question of each family, and which local "
          "tokens "
          "they kept; rows that are not trained with the first seed and the same --pictures and --scale are left out.\n"
          "Rows: baseline global_moe nq64 nq144 nq196 gamma90 gamma75 gamma50 smr final; llava_hd monkey e2e "
          "alternating; qformer qformer_alt; e2e_samples e2e_flops e2e_mix e2e_rate unfrozen periodic reversed "
          "local_only paper_preset released_preset text_only.",
      .examples = "seesaw ablate table4\n"
                  "seesaw ablate e2e,alternating --seeds 1 --scale 0.1 --split validation\n"
                  "seesaw ablate table4 --model mine\n"
                  "seesaw ablate probe\n"
                  "seesaw ablate probe:unfrozen,periodic --seeds 1\n"
                  "seesaw ablate page\n"
                  "seesaw ablate page:e2e,alternating --examples 5\n",
      .options = options,
  };
  const char *operand[1];
  size_t count;
  bool done;
  TRY(options_parse(&command, argc, argv, operand, 1, &count, &done));
  if (done)
    return status_ok();
  if (count != 1)
    return status_error(STATUS_USAGE,
                        "which rows? table3, table4, figure1, controls, all, a list of rows, probe, or page");
  TRY(choose(operand[0], &given, &plan));
  char *pair, *schemes;
  Status status = find_folders(&plan, &given, &pair, &schemes);
  if (status.code == STATUS_OK)
    status = ablate_in_folder(&plan, &command);
  free(pair);
  free(schemes);
  return status;
}
