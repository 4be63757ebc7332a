/* summary.c: from single runs to a line of a table. */
#include "summary.h"

#include <math.h>
#include <string.h>

/* The runs of a row, by seed; with `partner`, only those whose seed it has too, in its answers. Gives how many. */
static size_t gather(const Answers *answers, const char *id, Shown views, const char *partner, const Answers *partners,
                     const ModelRun *runs[SEEDS_MOST]) {
  size_t count = 0;
  for (size_t i = 0; i < answers->count; i++) {
    const ModelRun *run = &answers->runs[i];
    if (run->views == views && strcmp(run->id, id) == 0 &&
        (!partner || answers_find(partners, partner, views, run->seed)))
      runs[count++] = run;
  }
  return count;
}

static Sample sample_of(const ModelRun *const *runs, size_t seeds, int family) {
  Sample sample = {.seeds = seeds, .f1 = family_is_f1((RowFamily)family)};
  for (size_t i = 0; i < seeds; i++)
    sample.blocks[i] = runs[i]->counts[family];
  return sample;
}

double run_value(const ModelRun *run, RowFamily family) {
  Sample sample = sample_of(&run, 1, family);
  return sample_value(&sample, 0);
}

/* The mean cost of the seeds that are in the table, if all of them are known. */
static void add_costs(const Costs *costs, Summary *summary) {
  double seeds = (double)summary->seeds;
  summary->samples = summary->tflop = summary->image_tokens = summary->seeds ? 0 : NAN;
  for (size_t i = 0; i < summary->seeds; i++) {
    const Cost *cost = costs_find(costs, summary->row->id, summary->runs[i]->seed);
    summary->samples += cost ? cost->samples : NAN;
    summary->tflop += cost ? cost->tflop : NAN;
    summary->image_tokens += cost ? cost->image_tokens : NAN;
  }
  summary->samples /= seeds;
  summary->tflop /= seeds;
  summary->image_tokens /= seeds;
}

Status summary_make(const Row *row, const Answers *answers, const Costs *costs, Bootstrap *bootstrap,
                    Summary *summary) {
  *summary = (Summary){.row = row};
  summary->seeds = gather(answers, row->id, row->views, NULL, NULL, summary->runs);
  for (int family = 0; family < ROW_FAMILIES; family++) {
    Sample sample = sample_of(summary->runs, summary->seeds, family);
    summary->mean[family] = sample_mean(&sample);
    summary->spread[family] = sample_spread(&sample);
    TRY(bootstrap_mean(bootstrap, &sample, &summary->interval[family]));
  }
  add_costs(costs, summary);
  return status_ok();
}

Status difference_make(const Row *row, const Answers *answers, const char *against, const Answers *others,
                       Bootstrap *bootstrap, Difference *difference) {
  const ModelRun *ours[SEEDS_MOST], *theirs[SEEDS_MOST];
  Sample one[ROW_FAMILIES], other[ROW_FAMILIES];
  *difference = (Difference){0};
  difference->seeds = gather(answers, row->id, row->views, against, others, ours);
  size_t partners = gather(others, against, row->views, row->id, answers, theirs);
  REQUIRE(partners == difference->seeds, "%zu seeds against %zu", difference->seeds, partners);
  for (int family = 0; family < ROW_FAMILIES; family++) {
    one[family] = sample_of(ours, difference->seeds, family);
    other[family] = sample_of(theirs, difference->seeds, family);
    double mean = sample_mean(&one[family]), reference = sample_mean(&other[family]);
    difference->mean[family] = mean - reference;
    difference->ratio += mean / reference / ROW_FAMILIES;
    TRY(bootstrap_difference(bootstrap, &one[family], &other[family], &difference->interval[family]));
  }
  return bootstrap_ratio(bootstrap, ROW_FAMILIES, one, other, &difference->ratio_interval);
}
