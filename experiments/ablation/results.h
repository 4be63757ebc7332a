/* results.h: the ablation's result files, read and checked.
 *
 * answers.csv  row,seed,views,family,block,items,correct,tp,fp,fn
 *   A line for each model row, seed, views shown, family of questions and block of test pictures. tp, fp, fn count for
 *   exist the answer 'yes', for probe 'no', and are 0 for the other families. Every row that is there has all families
 *   and blocks, and a block of a seed and family has as many items for every row: it is the same questions.
 * costs.csv    row,seed,phase,samples,steps,tflop,image_tokens,seconds,hash
 *   A line for each training phase of a row and seed, in order. */
#ifndef SEESAW_RESULTS_H
#define SEESAW_RESULTS_H

#include "rows.h"
#include "scheme.h"
#include "statistics.h"

/* What one trained model answered. */
typedef struct ModelRun {
  const char *id; /* of the row */
  int64_t seed;
  Shown views;
  Counts counts[ROW_FAMILIES][BLOCK_COUNT];
} ModelRun;

typedef struct Answers {
  ModelRun *runs; /* by seed, from the smallest */
  size_t count, room;
} Answers;

/* answers_read: Errors: STATUS_INPUT naming file and line (a row, view, family or block that is not known, a number
 * that is not one, counts that contradict each other, the same line twice), or file, row, seed and block (one that is
 * missing, or not as large as for other rows; more than SEEDS_MOST seeds); STATUS_MEMORY. */
Status answers_read(const char *path, Answers *answers);

/* answers_parse: the same from memory; `name` is used in messages. */
Status answers_parse(const char *name, const unsigned char *bytes, size_t size, Answers *answers);
void answers_free(Answers *answers);

/* answers_find: the run, or NULL. */
const ModelRun *answers_find(const Answers *answers, const char *id, Shown views, int64_t seed);

/* answers_compare: are both answers to the same exam? Seeds that both have must have, block by block, as many items,
 * and of families with a positive answer as many positive ones. Errors: STATUS_INPUT naming both (`name`, `other_name`)
 * and the first block that differs. */
Status answers_compare(const Answers *answers, const char *name, const Answers *others, const char *other_name);

/* What one trained model cost. */
typedef struct Cost {
  const char *id;
  int64_t seed;
  double samples, tflop;                  /* of all phases */
  double image_tokens;                    /* a sample, of the last phase: what the model is used with */
  char phases[SCHEME_PHASES][PHASE_NAME]; /* their names, as many and as long as a scheme's */
  size_t phase_count;
} Cost;

typedef struct Costs {
  Cost *runs;
  size_t count, room;
} Costs;

/* costs_read: Errors: STATUS_INPUT naming file and line, STATUS_MEMORY. */
Status costs_read(const char *path, Costs *costs);
Status costs_parse(const char *name, const unsigned char *bytes, size_t size, Costs *costs);
void costs_free(Costs *costs);

/* costs_find: of that row and seed, or NULL. */
const Cost *costs_find(const Costs *costs, const char *id, int64_t seed);

#endif
