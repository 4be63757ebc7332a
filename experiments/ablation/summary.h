/* summary.h: what a line of a table says: a row's results over all its seeds, and its difference from another row. */
#ifndef SEESAW_SUMMARY_H
#define SEESAW_SUMMARY_H

#include "results.h"

typedef struct Summary {
  const Row *row;
  size_t seeds; /* 0: the row has no results yet, and all that follows is NaN */
  const ModelRun *runs[SEEDS_MOST];
  double mean[ROW_FAMILIES], spread[ROW_FAMILIES]; /* over the seeds; spread NaN for one seed */
  Interval interval[ROW_FAMILIES];                 /* of the mean */
  double samples, tflop, image_tokens;             /* means over the seeds; NaN where costs are not known */
} Summary;

/* summary_make: Errors: STATUS_MEMORY. */
Status summary_make(const Row *row, const Answers *answers, const Costs *costs, Bootstrap *bootstrap, Summary *summary);

/* run_value: one model's value on a family, in percent. */
double run_value(const ModelRun *run, RowFamily family);

/* A row less a reference row with the same views, perhaps of other result files, paired: over the seeds that both have.
 */
typedef struct Difference {
  size_t seeds; /* that both have; 0: all that follows is NaN */
  double mean[ROW_FAMILIES];
  Interval interval[ROW_FAMILIES];
  double ratio; /* the mean over families of row / reference */
  Interval ratio_interval;
} Difference;

/* difference_make: of the row in `answers` from `against` in `others`, which are answers to the same questions
 * (answers_compare). Errors: STATUS_MEMORY. */
Status difference_make(const Row *row, const Answers *answers, const char *against, const Answers *others,
                       Bootstrap *bootstrap, Difference *difference);

#endif
