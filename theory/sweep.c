/* sweep.c: a whole sweep: tiles to threads and ranks, their rows to a journal, and at the end to one CSV file. */
#include "sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "csv.h"
#include "json.h"
#include "progress.h"
#include "sweep_internal.h"

/* Whenever other code gives the same plan other numbers, this changes. */
#define RESULTS_VERSION "seesaw sweep 1"

static const size_t MOST_POINTS = 100000000, MOST_STARTS = 10000000;

/* ---- is the plan sound? ---- */

static Status check_grid(const char *name, const Grid *grid, double low, double high) {
  if (grid->count == 0)
    return status_error(STATUS_USAGE, "the grid of the %s is empty", name);
  for (size_t i = 0; i < grid->count; i++) {
    double value = grid_point(grid, i);
    if (!(value > low && value < high))
      return status_error(STATUS_USAGE, "the %s must lie strictly between %g and %g, not %g", name, low, high, value);
  }
  return status_ok();
}

static Status check_size(const char *name, size_t value, size_t low, size_t high) {
  if (value < low || value > high)
    return status_error(STATUS_USAGE, "the number of %s must lie between %zu and %zu, not %zu", name, low, high, value);
  return status_ok();
}

static Status check_parameters(const MethodParameters *parameters) {
  if (!(parameters->momentum >= 0 && parameters->momentum < 1))
    return status_error(STATUS_USAGE, "the momentum must lie in [0, 1), not %g", parameters->momentum);
  if (!(parameters->balance_cap >= 1))
    return status_error(STATUS_USAGE, "the cap of balancing must be at least 1, not %g", parameters->balance_cap);
  if (!(parameters->soft_period >= 2))
    return status_error(STATUS_USAGE, "the period of soft must be at least 2 steps, not %g", parameters->soft_period);
  return status_ok();
}

Status sweep_check(const SweepPlan *plan) {
  TRY(check_size("methods", plan->method_count, 1, SWEEP_METHODS));
  TRY(check_grid("cosine", &plan->cosine, -1, 1));
  TRY(check_grid(plan->step_is_k ? "step k" : "step eta", &plan->step, 0, INFINITY));
  if (plan->cosine.count > MOST_POINTS / plan->step.count / plan->method_count)
    return status_error(STATUS_USAGE, "%zu methods on a grid of %zu by %zu points: more than %zu rows",
                        plan->method_count, plan->cosine.count, plan->step.count, MOST_POINTS);
  TRY(check_size("starts", plan->starts, 1, MOST_STARTS));
  TRY(check_size("steps", plan->steps, 1, SIZE_MAX / 2));
  if (!plan->paper_start && plan->dimension < 2)
    return status_error(STATUS_USAGE, "the dimension must be at least 2, not %zu", plan->dimension);
  if (!(plan->scale > 0 && isfinite(plan->scale)))
    return status_error(STATUS_USAGE, "the scale of the starts must be positive, not %g", plan->scale);
  if (!(plan->tolerance >= 0))
    return status_error(STATUS_USAGE, "the tolerance must not be negative, not %g", plan->tolerance);
  return check_parameters(&plan->parameters);
}

/* ---- which plan is it? ---- */

static uint64_t hash_text(uint64_t hash, const char *text) {
  return hash_bytes(hash, text, strlen(text) + 1);
}

static uint64_t hash_grid(uint64_t hash, const Grid *grid) {
  char text[128];
  snprintf(text, sizeof text, "%a:%a:%zu:%d", grid->low, grid->high, grid->count, grid->geometric);
  return hash_text(hash, text);
}

/* A hash of a text that says everything the numbers depend on. */
static uint64_t plan_hash(const SweepPlan *plan) {
  char text[512];
  uint64_t hash = hash_text(HASH_START, RESULTS_VERSION);
  for (size_t i = 0; i < plan->method_count; i++)
    hash = hash_text(hash, plan->methods[i]->name);
  hash = hash_grid(hash_grid(hash, &plan->cosine), &plan->step);
  const MethodParameters *p = &plan->parameters;
  snprintf(text, sizeof text, "%s %s %a dimension %zu starts %zu steps %zu tolerance %a seed %" PRIu64 " %a %a %a",
           plan->step_is_k ? "k" : "eta", plan->paper_start ? "paper" : "gaussian", plan->scale,
           plan->paper_start ? 0 : plan->dimension, plan->starts, plan->steps, plan->tolerance, plan->seed, p->momentum,
           p->balance_cap, p->soft_period);
  return hash_text(hash, text);
}

/* ---- is it finished already? ---- */

static Status origin_path(const char *output, char **path) {
  if (asprintf(path, "%s.origin.json", output) >= 0)
    return status_ok();
  *path = NULL;
  return status_error(STATUS_MEMORY, "not enough memory for the origin of %s", output);
}

static void hash_name(uint64_t hash, char name[17]) {
  snprintf(name, 17, "%016" PRIx64, hash);
}

/* A hash of the file's bytes; false if it cannot be read. */
static bool hash_file(const char *path, uint64_t *hash) {
  unsigned char buffer[1 << 14];
  FILE *stream = fopen(path, "rbe");
  *hash = HASH_START;
  if (!stream)
    return false;
  for (size_t part; (part = fread(buffer, 1, sizeof buffer, stream)) > 0;)
    *hash = hash_bytes(*hash, buffer, part);
  bool whole = !ferror(stream);
  fclose(stream);
  return whole;
}

static bool says(const cJSON *origin, const char *key, const char *value) {
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(origin, key));
  return text && strcmp(text, value) == 0;
}

/* The origin file names this plan, and the bytes are those it was written with. */
static bool is_finished(const char *output, uint64_t plan) {
  char *path, plan_name[17], bytes_name[17];
  uint64_t bytes;
  cJSON *origin = NULL;
  if (!hash_file(output, &bytes) || origin_path(output, &path).code != STATUS_OK)
    return false;
  hash_name(plan, plan_name);
  hash_name(bytes, bytes_name);
  bool finished = json_read(path, &origin).code == STATUS_OK && says(origin, "plan", plan_name) &&
                  says(origin, "bytes", bytes_name);
  cJSON_Delete(origin);
  free(path);
  return finished;
}

/* ---- the end: one CSV file and its origin ---- */

static const char *const header =
    "method,cosine,k,eta,starts,optimum,saddle,periodic,chaos,diverged,undecided,period,median_steps,lyapunov";

static void write_row(CsvWriter *csv, const SweepPlan *plan, const MethodType *method, double cosine, double step,
                      const Row *row) {
  csv_text(csv, method->name);
  csv_real(csv, cosine);
  csv_real(csv, step * (1 + fabs(cosine)));
  csv_real(csv, step);
  csv_integer(csv, (int64_t)plan->starts);
  for (int i = 0; i < OUTCOME_COUNT; i++)
    csv_real(csv, (double)row->count[i] / (double)plan->starts);
  csv_integer(csv, (int64_t)row->period);
  csv_real(csv, row->median_steps);
  csv_real(csv, row->lyapunov);
  csv_end(csv);
}

/* A point's rows: one, or for a method without a step one at every step of the grid. */
static void write_point(CsvWriter *csv, const SweepPlan *plan, const MethodType *method, size_t point, const Row *row) {
  double cosine = point_cosine(plan, method, point);
  size_t first = method->uses_step ? point % plan->step.count : 0, count = method->uses_step ? 1 : plan->step.count;
  for (size_t i = first; i < first + count; i++)
    write_row(csv, plan, method, cosine, point_step(plan, cosine, i), row);
}

static Status write_output(const SweepPlan *plan, const char *output, const Ledger *ledger) {
  CsvWriter csv;
  TRY(csv_open(&csv, output, header));
  for (size_t i = 0; i < ledger->tiles; i++) {
    Tile tile = tile_at(plan, i);
    for (size_t point = 0; point < tile.count; point++)
      write_point(&csv, plan, tile.method, tile.first + point, &ledger->rows[i][point]);
  }
  return csv_commit(&csv);
}

/* As origin_write, with the two hashes by which is_finished knows the output. */
static Status write_origin(const SweepPlan *plan, const char *output, const char *command, uint64_t hash) {
  char *path, plan_name[17], bytes_name[17];
  uint64_t bytes;
  if (!hash_file(output, &bytes))
    return status_from_errno(STATUS_OUTPUT, "cannot read %s back", output);
  TRY(origin_path(output, &path));
  hash_name(hash, plan_name);
  hash_name(bytes, bytes_name);
  cJSON *origin = json_origin(command, plan->seed);
  Status status = status_error(STATUS_MEMORY, "not enough memory for the origin of %s", output);
  if (origin && cJSON_AddStringToObject(origin, "plan", plan_name) &&
      cJSON_AddStringToObject(origin, "bytes", bytes_name))
    status = json_write(path, origin);
  cJSON_Delete(origin);
  free(path);
  return status;
}

/* Rank 0, when all ranks have done their part: what the journals hold becomes the output. */
static Status merge(const SweepPlan *plan, const char *output, const char *command, uint64_t hash) {
  Ledger ledger;
  TRY(ledger_alloc(plan, hash, &ledger));
  Status status = ledger_read(plan, output, &ledger);
  if (status.code == STATUS_OK && ledger.finished < ledger.tiles)
    status = status_error(STATUS_OUTPUT, "%zu of %zu tiles are missing beside %s: do all ranks see the same folder?",
                          ledger.tiles - ledger.finished, ledger.tiles, output);
  if (status.code == STATUS_OK)
    status = write_output(plan, output, &ledger);
  if (status.code == STATUS_OK)
    status = write_origin(plan, output, command, hash);
  if (status.code == STATUS_OK)
    journals_remove(output);
  ledger_free(&ledger);
  return status;
}

/* ---- the work ---- */

/* A sweep on its way, shared by the threads of a rank. */
typedef struct Sweep {
  const SweepPlan *plan;
  uint64_t hash;
  Ranks ranks;
  Starts starts;
  Ledger ledger; /* what was finished before; not changed while threads run */
  Journal journal;
  Progress progress;
  size_t finished; /* of this rank's tiles */
  Status status;   /* the first failure of any thread */
} Sweep;

static bool is_ours(const Sweep *sweep, size_t tile) {
  return tile % (size_t)sweep->ranks.count == (size_t)sweep->ranks.rank;
}

static void fail(Sweep *sweep, Status status) {
#pragma omp critical(sweep_state)
  if (sweep->status.code == STATUS_OK)
    sweep->status = status;
}

static bool is_over(Sweep *sweep) {
  bool over;
#pragma omp critical(sweep_state)
  over = sweep->status.code != STATUS_OK;
  return over;
}

static void do_tile(Sweep *sweep, size_t index) {
  Tile tile = tile_at(sweep->plan, index);
  Row *rows = malloc(tile.count * sizeof *rows);
  Status status = status_error(STATUS_MEMORY, "not enough memory for the rows of a tile");
  if (rows)
    status = tile_compute(sweep->plan, &sweep->starts, lanes_best(), &tile, rows);
#pragma omp critical(sweep_journal)
  if (status.code == STATUS_OK) {
    status = journal_append(&sweep->journal, index, rows, tile.count);
    sweep->finished++;
    if (sweep->ranks.rank == 0)
      progress_update(&sweep->progress, (double)sweep->finished);
  }
  free(rows);
  if (status.code != STATUS_OK)
    fail(sweep, status);
}

static size_t count_ours(const Sweep *sweep) {
  size_t count = 0;
  for (size_t i = 0; i < sweep->ledger.tiles; i++)
    count += is_ours(sweep, i) && !sweep->ledger.done[i];
  return count;
}

static Status do_tiles(Sweep *sweep, const char *output) {
  size_t ours = count_ours(sweep);
  sweep->status = status_ok();
  progress_start(&sweep->progress, "sweep", (double)ours);
#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < sweep->ledger.tiles; i++)
    if (is_ours(sweep, i) && !sweep->ledger.done[i] && !is_over(sweep))
      do_tile(sweep, i);
  progress_end(&sweep->progress);
  Status closed = journal_close(&sweep->journal);
  if (sweep->status.code == STATUS_INTERRUPTED)
    return status_error(STATUS_INTERRUPTED,
                        "interrupted with %zu of %zu tiles finished, which are kept in %s.partial-%d; the same command "
                        "goes on from there",
                        sweep->ledger.finished + sweep->finished, sweep->ledger.tiles, output, sweep->ranks.rank);
  return sweep->status.code != STATUS_OK ? sweep->status : closed;
}

/* Is there a way to write the output, before any work? */
static Status check_output(const char *output) {
  struct stat there;
  OutputFile file;
  if (strcmp(output, "-") == 0)
    return status_error(STATUS_USAGE, "a sweep keeps a journal beside its output, so that must be a file, not -");
  if (stat(output, &there) == 0 && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode))
    return status_error(STATUS_USAGE, "%s is a device or a pipe: a sweep's output must be a regular file", output);
  TRY(output_open(&file, output));
  output_abort(&file);
  return status_ok();
}

/* Rank 0 looks, and all hear of it: ranks_agree carries a failure to everyone, here the news that nothing is to do. */
static bool all_finished(const Sweep *sweep, const char *output) {
  bool finished = sweep->ranks.rank == 0 && is_finished(output, sweep->hash);
  return ranks_agree(finished ? status_error(STATUS_UNAVAILABLE, "finished") : status_ok()).code != STATUS_OK;
}

/* A sweep killed at its very end may have left journals of its own. */
static void tidy(const Sweep *sweep, const char *output) {
  Ledger ledger;
  if (sweep->ranks.rank != 0 || ledger_alloc(sweep->plan, sweep->hash, &ledger).code != STATUS_OK)
    return;
  if (ledger_read(sweep->plan, output, &ledger).code == STATUS_OK)
    journals_remove(output);
  ledger_free(&ledger);
}

/* All ranks agree at each turn, so that none begins to write while another still reads, and a failure ends them all. */
static Status run(Sweep *sweep, const char *output, const char *command) {
  const SweepPlan *plan = sweep->plan;
  bool first = sweep->ranks.rank == 0;
  TRY(ranks_agree(first ? check_output(output) : status_ok()));
  TRY(ranks_agree(ledger_alloc(plan, sweep->hash, &sweep->ledger)));
  TRY(ranks_agree(ledger_read(plan, output, &sweep->ledger)));
  TRY(ranks_agree(starts_draw(plan, &sweep->starts)));
  TRY(ranks_agree(journal_open(plan, output, sweep->ranks.rank, &sweep->ledger, &sweep->journal)));
  TRY(ranks_agree(do_tiles(sweep, output)));
  return ranks_agree(first ? merge(plan, output, command, sweep->hash) : status_ok());
}

Status sweep_run(const SweepPlan *plan, const char *output, const char *command, Ranks ranks, SweepReport *report) {
  TRY(sweep_check(plan));
  Sweep sweep = {.plan = plan, .hash = plan_hash(plan), .ranks = ranks, .journal.descriptor = -1};
  SweepReport done = {.tiles = tile_count(plan), .finished_before = all_finished(&sweep, output)};
  double began = clock_seconds();
  Status status = status_ok();
  if (done.finished_before)
    tidy(&sweep, output);
  else
    status = run(&sweep, output, command);
  done.resumed = sweep.ledger.finished;
  done.seconds = clock_seconds() - began;
  if (report)
    *report = done;
  journal_close(&sweep.journal);
  starts_free(&sweep.starts);
  ledger_free(&sweep.ledger);
  return status;
}
