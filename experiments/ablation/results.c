/* results.c: answers.csv and costs.csv, line by line. Nothing in them is trusted: a wrong count would pass for a
 * result. */
#include "results.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "options.h"

static const int64_t ITEMS_MOST = 1000000000; /* so that sums over seeds and blocks do not overflow */

/* The columns that both files begin with. */
enum { COLUMN_ROW, COLUMN_SEED };

static Status read_id(const CsvReader *csv, const char **id) {
  char nearest[64];
  const char *cell = csv->cells[COLUMN_ROW];
  *id = row_id(cell);
  if (*id)
    return status_ok();
  if (options_nearest(cell, row_ids(), nearest, sizeof nearest))
    return csv_error(csv, "there is no row '%.40s'; did you mean '%s'?", cell, nearest);
  return csv_error(csv, "there is no row '%.40s'; there are %s", cell, row_ids());
}

static Status read_seed(const CsvReader *csv, int64_t *seed) {
  return csv_read_integer(csv, COLUMN_SEED, 0, (int64_t)1 << 53, seed);
}

/* Room for one more item of an array that doubles. */
static Status grow(void **items, size_t count, size_t *room, size_t size, const char *path) {
  if (count < *room)
    return status_ok();
  size_t more = *room ? 2 * *room : 64;
  void *larger = realloc(*items, more * size);
  if (!larger)
    return status_error(STATUS_MEMORY, "not enough memory for the results of %s", path);
  *items = larger;
  *room = more;
  return status_ok();
}

/* ---- answers.csv ---- */

enum { COLUMN_VIEWS = 2, COLUMN_FAMILY, COLUMN_BLOCK, COLUMN_COUNTS };

const ModelRun *answers_find(const Answers *answers, const char *id, Shown views, int64_t seed) {
  for (size_t i = answers->count; i-- > 0;) /* from the end: while reading, a line mostly belongs to the last run */
    if (answers->runs[i].seed == seed && answers->runs[i].views == views && strcmp(answers->runs[i].id, id) == 0)
      return &answers->runs[i];
  return NULL;
}

/* The run that a line belongs to, made if it is the first of it. */
static Status find_run(Answers *answers, const CsvReader *csv, const ModelRun *key, ModelRun **run) {
  size_t seeds = 0;
  *run = (ModelRun *)answers_find(answers, key->id, key->views, key->seed);
  if (*run)
    return status_ok();
  for (size_t i = 0; i < answers->count; i++)
    seeds += answers->runs[i].views == key->views && strcmp(answers->runs[i].id, key->id) == 0;
  if (seeds == SEEDS_MOST)
    return csv_error(csv, "row '%s' has more than %d seeds", key->id, SEEDS_MOST);
  TRY(grow((void **)&answers->runs, answers->count, &answers->room, sizeof *answers->runs, csv->path));
  *run = &answers->runs[answers->count++];
  **run = *key;
  return status_ok();
}

static Status read_counts(const CsvReader *csv, RowFamily family, Counts *counts) {
  int64_t *const fields[] = {&counts->items, &counts->correct, &counts->true_positive, &counts->false_positive,
                             &counts->false_negative};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    TRY(csv_read_integer(csv, COLUMN_COUNTS + i, i == 0, ITEMS_MOST, fields[i]));
  int64_t wrong = counts->false_positive + counts->false_negative;
  if (counts->correct > counts->items)
    return csv_error(csv, "%" PRId64 " correct of %" PRId64 " items", counts->correct, counts->items);
  if (!family_is_f1(family) && (counts->true_positive || wrong))
    return csv_error(csv, "tp, fp and fn of the family %s are not 0: it has no positive answer", family_names[family]);
  if (counts->true_positive > counts->correct || wrong > counts->items - counts->correct)
    return csv_error(csv,
                     "tp %" PRId64 ", fp %" PRId64 " and fn %" PRId64 " do not fit %" PRId64 " correct of %" PRId64
                     " items: tp are correct, fp and fn are wrong",
                     counts->true_positive, counts->false_positive, counts->false_negative, counts->correct,
                     counts->items);
  return status_ok();
}

static Status read_answer(Answers *answers, const CsvReader *csv) {
  ModelRun key = {0}, *run;
  int views, family;
  int64_t block;
  TRY(read_id(csv, &key.id));
  TRY(read_seed(csv, &key.seed));
  TRY(csv_read_word(csv, COLUMN_VIEWS, views_names, &views));
  TRY(csv_read_word(csv, COLUMN_FAMILY, family_names, &family));
  TRY(csv_read_integer(csv, COLUMN_BLOCK, 0, BLOCK_COUNT - 1, &block));
  key.views = (Shown)views;
  TRY(find_run(answers, csv, &key, &run));
  Counts *counts = &run->counts[family][block];
  if (counts->items > 0)
    return csv_error(csv, "row '%s', seed %" PRId64 ", views %s, family %s, block %" PRId64 " comes a second time",
                     key.id, key.seed, views_names[views], family_names[family], block);
  return read_counts(csv, (RowFamily)family, counts);
}

static int64_t positives(const Counts *counts) {
  return counts->true_positive + counts->false_negative;
}

/* Every block is there, and is the same questions as in the first run of that seed. */
static Status check_run(const char *path, const ModelRun *run, const ModelRun *first) {
  for (int family = 0; family < ROW_FAMILIES; family++)
    for (int block = 0; block < BLOCK_COUNT; block++) {
      const Counts *counts = &run->counts[family][block], *expected = &first->counts[family][block];
      if (counts->items == 0)
        return status_error(STATUS_INPUT,
                            "%s: row '%s', seed %" PRId64 ", views %s has no block %d of the family %s; it should have "
                            "blocks 0 to %d of every family",
                            path, run->id, run->seed, views_names[run->views], block, family_names[family],
                            BLOCK_COUNT - 1);
      if (counts->items != expected->items || positives(counts) != positives(expected))
        return status_error(STATUS_INPUT,
                            "%s: seed %" PRId64 ", family %s, block %d has %" PRId64 " items, %" PRId64
                            " of them positive, for row '%s' (views %s) and %" PRId64 ", %" PRId64
                            " for row '%s' (views %s); all rows should have the same questions",
                            path, run->seed, family_names[family], block, counts->items, positives(counts), run->id,
                            views_names[run->views], expected->items, positives(expected), first->id,
                            views_names[first->views]);
    }
  return status_ok();
}

static int by_seed(const void *left, const void *right) {
  int64_t one = ((const ModelRun *)left)->seed, other = ((const ModelRun *)right)->seed;
  return (one > other) - (one < other);
}

static Status read_answers(CsvReader *csv, Answers *answers) {
  bool there = true;
  for (;;) {
    TRY(csv_row(csv, &there));
    if (!there)
      break;
    TRY(read_answer(answers, csv));
  }
  if (answers->count == 0)
    return status_error(STATUS_INPUT, "%s has a first line and no answers", csv->path);
  qsort(answers->runs, answers->count, sizeof *answers->runs, by_seed);
  const ModelRun *first = answers->runs;
  for (size_t i = 0; i < answers->count; i++) {
    if (answers->runs[i].seed != first->seed)
      first = &answers->runs[i];
    TRY(check_run(csv->path, &answers->runs[i], first));
  }
  return status_ok();
}

static const char ANSWERS_HEADER[] = "row,seed,views,family,block,items,correct,tp,fp,fn";

/* All that the reader has; it is closed. */
static Status take_answers(CsvReader *csv, Answers *answers) {
  Status status = read_answers(csv, answers);
  csv_close(csv);
  if (status.code != STATUS_OK)
    answers_free(answers);
  return status;
}

Status answers_read(const char *path, Answers *answers) {
  CsvReader csv;
  *answers = (Answers){0};
  TRY(csv_read(&csv, path, ANSWERS_HEADER));
  return take_answers(&csv, answers);
}

Status answers_parse(const char *name, const unsigned char *bytes, size_t size, Answers *answers) {
  CsvReader csv;
  *answers = (Answers){0};
  TRY(csv_parse(&csv, name, bytes, size, ANSWERS_HEADER));
  return take_answers(&csv, answers);
}

void answers_free(Answers *answers) {
  free(answers->runs);
  *answers = (Answers){0};
}

/* ---- two files ---- */

/* The first run of each seed speaks for all: what items there are was checked when they were read. */
static Status compare_runs(const ModelRun *run, const char *name, const ModelRun *other, const char *other_name) {
  for (int family = 0; family < ROW_FAMILIES; family++)
    for (int block = 0; block < BLOCK_COUNT; block++) {
      const Counts *one = &run->counts[family][block], *two = &other->counts[family][block];
      if (one->items != two->items || positives(one) != positives(two))
        return status_error(STATUS_INPUT,
                            "%s and %s hold answers to different exams: of seed %" PRId64
                            ", family %s, block %d the one has %" PRId64 " items, %" PRId64
                            " of them positive, the other %" PRId64 ", %" PRId64
                            "; compare results of the same --tests and --split",
                            name, other_name, run->seed, family_names[family], block, one->items, positives(one),
                            two->items, positives(two));
    }
  return status_ok();
}

static const ModelRun *first_of_seed(const Answers *answers, int64_t seed) {
  for (size_t i = 0; i < answers->count; i++)
    if (answers->runs[i].seed == seed)
      return &answers->runs[i];
  return NULL;
}

Status answers_compare(const Answers *answers, const char *name, const Answers *others, const char *other_name) {
  for (size_t i = 0; i < answers->count; i++) {
    const ModelRun *run = &answers->runs[i], *other = first_of_seed(others, run->seed);
    if (other && (i == 0 || run[-1].seed != run->seed))
      TRY(compare_runs(run, name, other, other_name));
  }
  return status_ok();
}

/* ---- costs.csv ---- */

enum { COLUMN_PHASE = 2, COLUMN_SAMPLES, COLUMN_STEPS, COLUMN_TFLOP, COLUMN_TOKENS, COLUMN_SECONDS };

const Cost *costs_find(const Costs *costs, const char *id, int64_t seed) {
  for (size_t i = costs->count; i-- > 0;)
    if (costs->runs[i].seed == seed && strcmp(costs->runs[i].id, id) == 0)
      return &costs->runs[i];
  return NULL;
}

static Status find_cost(Costs *costs, const CsvReader *csv, const char *id, int64_t seed, Cost **cost) {
  *cost = (Cost *)costs_find(costs, id, seed);
  if (*cost)
    return status_ok();
  TRY(grow((void **)&costs->runs, costs->count, &costs->room, sizeof *costs->runs, csv->path));
  *cost = &costs->runs[costs->count++];
  **cost = (Cost){.id = id, .seed = seed};
  return status_ok();
}

static Status add_phase(const CsvReader *csv, Cost *cost) {
  enum { LENGTH_MOST = PHASE_NAME - 1 };
  const char *phase = csv->cells[COLUMN_PHASE];
  if (!*phase || strlen(phase) > LENGTH_MOST)
    return csv_error(csv, "column 'phase' holds '%.40s', which is not a name of 1 to %d bytes", phase, LENGTH_MOST);
  for (size_t i = 0; i < cost->phase_count; i++)
    if (strcmp(cost->phases[i], phase) == 0)
      return csv_error(csv, "row '%s', seed %" PRId64 ", phase %s comes a second time", cost->id, cost->seed, phase);
  if (cost->phase_count == SCHEME_PHASES)
    return csv_error(csv, "row '%s', seed %" PRId64 " has more than %d phases", cost->id, cost->seed, SCHEME_PHASES);
  strcpy(cost->phases[cost->phase_count++], phase);
  return status_ok();
}

static Status read_cost(Costs *costs, const CsvReader *csv) {
  const char *id;
  Cost *cost;
  int64_t seed, samples, steps;
  double tflop, tokens, seconds;
  TRY(read_id(csv, &id));
  TRY(read_seed(csv, &seed));
  TRY(csv_read_integer(csv, COLUMN_SAMPLES, 0, (int64_t)1 << 53, &samples));
  TRY(csv_read_integer(csv, COLUMN_STEPS, 0, (int64_t)1 << 53, &steps));
  TRY(csv_read_real(csv, COLUMN_TFLOP, 0, &tflop));
  TRY(csv_read_real(csv, COLUMN_TOKENS, 0, &tokens));
  TRY(csv_read_real(csv, COLUMN_SECONDS, 0, &seconds));
  TRY(find_cost(costs, csv, id, seed, &cost));
  TRY(add_phase(csv, cost));
  cost->samples += (double)samples;
  cost->tflop += tflop;
  cost->image_tokens = tokens;
  return status_ok();
}

static const char COSTS_HEADER[] = "row,seed,phase,samples,steps,tflop,image_tokens,seconds,hash";

static Status take_costs(CsvReader *csv, Costs *costs) {
  bool there = true;
  Status status = csv_row(csv, &there);
  while (there && status.code == STATUS_OK) {
    status = read_cost(costs, csv);
    if (status.code == STATUS_OK)
      status = csv_row(csv, &there);
  }
  csv_close(csv);
  if (status.code != STATUS_OK)
    costs_free(costs);
  return status;
}

Status costs_read(const char *path, Costs *costs) {
  CsvReader csv;
  *costs = (Costs){0};
  TRY(csv_read(&csv, path, COSTS_HEADER));
  return take_costs(&csv, costs);
}

Status costs_parse(const char *name, const unsigned char *bytes, size_t size, Costs *costs) {
  CsvReader csv;
  *costs = (Costs){0};
  TRY(csv_parse(&csv, name, bytes, size, COSTS_HEADER));
  return take_costs(&csv, costs);
}

void costs_free(Costs *costs) {
  free(costs->runs);
  *costs = (Costs){0};
}
