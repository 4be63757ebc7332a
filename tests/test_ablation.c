/* test_ablation.c: values and bootstrap on answers whose truth is known, and result files that are not as they should
 * be.
 */
#include <criterion/criterion.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "ablation_files.h"
#include "recipe.h"
#include "rng.h"
#include "scene.h"
#include "summary.h"

TestSuite(ablation, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

static void expect_close(double value, double expected) {
  cr_expect(fabs(value - expected) <= 1e-9, "%.17g, expected %.17g", value, expected);
}

static void expect_ok(Status status) {
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
}

/* ---- rows ---- */

/* The numbers of tables 3 and 4, typed once more: table, views, name, POPE, GQA, SQA, VQA-T, AMBER in hundredths. */
static const struct {
  PaperTable table;
  Shown views;
  const char *id, *name;
  int paper[ROW_FAMILIES];
} papers[] = {
    {TABLE_3, SHOWN_BOTH, "baseline", "Baseline", {8380, 6194, 7430, 5894, 8770}},
    {TABLE_3, SHOWN_BOTH, "global_moe", "Global MOE", {8410, 6258, 7700, 6057, 8870}},
    {TABLE_3, SHOWN_BOTH, "nq64", "N_q=64", {8380, 6291, 7615, 6309, 8760}},
    {TABLE_3, SHOWN_BOTH, "nq196", "N_q=196", {8400, 6251, 7556, 6248, 8740}},
    {TABLE_3, SHOWN_BOTH, "nq144", "N_q=144", {8420, 6296, 7709, 6358, 8820}},
    {TABLE_3, SHOWN_BOTH, "gamma90", "gamma=90%", {8420, 6274, 7605, 6405, 8810}},
    {TABLE_3, SHOWN_BOTH, "gamma75", "gamma=75%", {8450, 6309, 7744, 6383, 8840}},
    {TABLE_3, SHOWN_BOTH, "gamma50", "gamma=50%", {8490, 6311, 7709, 6275, 8840}},
    {TABLE_3, SHOWN_BOTH, "smr", "With SMR", {8450, 6258, 8229, 5989, 8840}},
    {TABLE_3, SHOWN_BOTH, "final", "Final", {8490, 6394, 8418, 6476, 8890}},
    {TABLE_4, SHOWN_BOTH, "baseline", "Baseline", {8420, 6194, 7430, 5894, 8770}},
    {TABLE_4, SHOWN_BOTH, "llava_hd", "LLaVA-HD", {8500, 6248, 7297, 6148, 8820}},
    {TABLE_4, SHOWN_BOTH, "monkey", "Monkey", {8310, 6070, 7385, 6214, 8690}},
    {TABLE_4, SHOWN_BOTH, "e2e", "E2E", {8290, 6190, 7412, 5969, 8600}},
    {TABLE_4, SHOWN_GLOBAL, "e2e", "E2E, only Global", {8210, 6243, 7526, 4365, 8430}},
    {TABLE_4, SHOWN_LOCAL, "e2e", "E2E, only Local", {4340, 3870, 7124, 5822, 7820}},
    {TABLE_4, SHOWN_BOTH, "alternating", "Alternating", {8420, 6296, 7744, 6358, 8840}},
    {TABLE_4, SHOWN_GLOBAL, "alternating", "Alternating, only Global", {8410, 6278, 7601, 5942, 8730}},
    {TABLE_4, SHOWN_LOCAL, "alternating", "Alternating, only Local", {8210, 5321, 7623, 6245, 8560}},
    {TABLE_FIGURE_1, SHOWN_BOTH, "baseline", "LLaVA", {8420, 6194, 7430, 5894, 8770}},
    {TABLE_FIGURE_1, SHOWN_BOTH, "e2e", "Local", {8290, 6190, 7412, 5969, 8600}},
    {TABLE_FIGURE_1, SHOWN_BOTH, "alternating", "Local w. alt", {8420, 6296, 7744, 6358, 8840}},
};

static const Row *line_of(PaperTable table, const char *id, Shown views) {
  for (size_t i = 0; i < ablation_row_count; i++)
    if (ablation_rows[i].table == table && ablation_rows[i].views == views && strcmp(ablation_rows[i].id, id) == 0)
      return &ablation_rows[i];
  cr_assert_fail("no line %s", id);
  return NULL;
}

Test(ablation, numbers_are_those_of_the_paper) {
  for (size_t i = 0; i < sizeof papers / sizeof *papers; i++) {
    const Row *row = line_of(papers[i].table, papers[i].id, papers[i].views);
    cr_expect_str_eq(row->name, papers[i].name);
    for (int family = 0; family < ROW_FAMILIES; family++)
      cr_expect_eq(lround(1e6 * row->paper[family]), 10000 * papers[i].paper[family], "table %d, %s: %s is %g",
                   (int)row->table, row->name, family_benchmarks[family], row->paper[family]);
  }
}

Test(ablation, rows_are_those_of_the_paper) {
  static const size_t lines[TABLE_COUNT] = {10, 9, 5};
  size_t found[TABLE_COUNT] = {0}, controls = 0;
  for (size_t i = 0; i < ablation_row_count; i++) {
    const Row *row = &ablation_rows[i];
    found[row->table] += !row->control;
    controls += row->control;
    cr_expect_not_null(row_id(row->id));
    cr_expect_not_null(row_what(row->id), "%s", row->id);
    cr_expect(row->against == NULL || row_id(row->against) != NULL, "%s against %s", row->name, row->against);
    for (int family = 0; family < ROW_FAMILIES; family++)
      cr_expect_eq(isnan(row->paper[family]), row->control || strncmp(row->id, "qformer", 7) == 0, "%s", row->name);
    for (size_t j = 0; j < i; j++)
      cr_expect(row->table != ablation_rows[j].table || row->views != ablation_rows[j].views ||
                    strcmp(row->id, ablation_rows[j].id) != 0,
                "%s twice in a table", row->id);
  }
  cr_expect_arr_eq(found, lines, sizeof lines);
  cr_expect_eq(controls, 31);
}

Test(ablation, recipes_and_rows_are_the_same) {
  for (size_t i = 0; i < ablation_row_count; i++)
    cr_expect_not_null(recipe_find(ablation_rows[i].id), "%s", ablation_rows[i].id);
  for (size_t i = 0; i < recipe_count; i++)
    cr_expect_not_null(row_what(recipes[i].id), "%s", recipes[i].id);
  cr_expect_null(row_what("e2"));
}

/* What guessing is worth, by the sizes of the world. */
Test(ablation, chance) {
  expect_close(family_chance[ROW_RELATE], 50.0 / COLOURS + 50.0 / SHAPES);
  expect_close(family_chance[ROW_REASON], 25);
  expect_close(family_chance[ROW_READ], 100.0 / LETTERS);
  cr_expect(isnan(family_chance[ROW_EXIST]) && isnan(family_chance[ROW_PROBE]));
}

Test(ablation, ids_are_listed_once) {
  cr_expect_eq(strncmp(row_ids(), "baseline,global_moe,nq64,", 25), 0, "%s", row_ids());
  cr_expect_null(strstr(strstr(row_ids(), "baseline") + 1, "baseline"));
  cr_expect_not_null(strstr(row_ids(), ",alternating,"));
  cr_expect_not_null(strstr(row_ids(), ",qformer_alt"));
  cr_expect_null(row_id("e2"));
  cr_expect_null(row_id(""));
}

/* ---- values ---- */

Test(ablation, values) {
  Counts counts = {.items = 40, .correct = 30, .true_positive = 12, .false_positive = 2, .false_negative = 6};
  expect_close(counts_value(&counts, false), 75.0);
  expect_close(counts_value(&counts, true), 75.0); /* 24 / 32 */
  counts = (Counts){.items = 7, .correct = 7};
  expect_close(counts_value(&counts, false), 100.0);
  cr_expect(isnan(counts_value(&counts, true)), "no positive and none claimed");
  counts = (Counts){.items = 7, .correct = 5, .false_negative = 2};
  expect_close(counts_value(&counts, true), 0.0);
  cr_expect(isnan(counts_value(&(Counts){0}, false)));
}

typedef struct Made {
  Counts counts[SEEDS_MOST][BLOCK_COUNT];
  Sample sample;
} Made;

/* `seeds` seeds whose blocks have correct[seed] + wave of 40 items right, wave = 0, 1, 2, 0, ... over the blocks. */
static void make(Made *made, size_t seeds, const int64_t *correct) {
  *made = (Made){.sample = {.seeds = seeds}};
  for (size_t i = 0; i < seeds; i++) {
    made->sample.blocks[i] = made->counts[i];
    for (int block = 0; block < BLOCK_COUNT; block++)
      made->counts[i][block] = (Counts){.items = 40, .correct = correct[i] + block % 3};
  }
}

static Made one, other;

Test(ablation, means_and_spreads) {
  make(&one, 3, (const int64_t[]){20, 22, 27});
  /* the wave adds (4*0 + 3*1 + 3*2) / 10 = 0.9 items of 40 */
  expect_close(sample_value(&one.sample, 1), 100 * 22.9 / 40);
  expect_close(sample_mean(&one.sample), 100 * 23.9 / 40);
  expect_close(sample_spread(&one.sample), 2.5 * sqrt(13.0)); /* deviations -3, -1, 4: 26 / 2 */
  make(&one, 1, (const int64_t[]){20});
  expect_close(sample_mean(&one.sample), 100 * 20.9 / 40);
  cr_expect(isnan(sample_spread(&one.sample)));
  make(&one, 0, NULL);
  cr_expect(isnan(sample_mean(&one.sample)));
}

/* ---- the bootstrap ---- */

static Interval mean_interval(const Sample *sample, unsigned long seed) {
  Bootstrap bootstrap;
  Interval interval;
  expect_ok(bootstrap_alloc(&bootstrap, 2000, seed));
  expect_ok(bootstrap_mean(&bootstrap, sample, &interval));
  bootstrap_free(&bootstrap);
  return interval;
}

static Interval difference_interval(const Sample *left, const Sample *right) {
  Bootstrap bootstrap;
  Interval interval;
  expect_ok(bootstrap_alloc(&bootstrap, 2000, 1));
  expect_ok(bootstrap_difference(&bootstrap, left, right, &interval));
  bootstrap_free(&bootstrap);
  return interval;
}

Test(ablation, interval_is_a_function_of_its_seed) {
  make(&one, 4, (const int64_t[]){11, 17, 20, 29});
  Interval first = mean_interval(&one.sample, 5), again = mean_interval(&one.sample, 5);
  Interval differs = mean_interval(&one.sample, 6);
  cr_expect(first.low == again.low && first.high == again.high);
  cr_expect(first.low != differs.low || first.high != differs.high);
  cr_expect(first.low < sample_mean(&one.sample) && sample_mean(&one.sample) < first.high);
}

/* Seeds that differ and blocks that do not: the t interval of the seeds' mean, s t(n - 1) / sqrt(n) on either side, as
 * far as their bootstrap is normal. */
static void expect_width(size_t seeds, double tolerance) {
  int64_t correct[40] = {0};
  for (size_t i = 0; i < seeds; i++)
    correct[i] = 10 + (int64_t)i / 2;
  make(&one, seeds, correct);
  for (size_t i = 0; i < seeds; i++)
    for (int block = 0; block < BLOCK_COUNT; block++)
      one.counts[i][block].correct = correct[i];
  Interval interval = mean_interval(&one.sample, 1);
  double error = sample_spread(&one.sample) / sqrt((double)seeds);
  double ratio = (interval.high - interval.low) / (2 * gsl_cdf_tdist_Qinv(0.025, (double)seeds - 1) * error);
  cr_expect(fabs(ratio - 1) < tolerance, "%zu seeds: %g", seeds, ratio);
}

/* 2,000 resamples: standard error of a width 2 %. A bootstrap of five numbers has shorter tails than a normal one. */
Test(ablation, interval_is_as_wide_as_it_should_be) {
  expect_width(40, 0.08);
  expect_width(5, 0.15);
}

/* The same with blocks that differ and seeds that do not, or one seed alone: t(9) on the blocks' mean. */
Test(ablation, blocks_have_their_own_freedom) {
  for (size_t seeds = 1; seeds <= 3; seeds += 2) {
    make(&one, seeds, (const int64_t[]){20, 20, 20});
    for (size_t i = 0; i < seeds; i++)
      for (int block = 0; block < BLOCK_COUNT; block++)
        one.counts[i][block].correct = 11 + 2 * block;
    Interval interval = mean_interval(&one.sample, 1);
    double error = 5 * sqrt(110.0 / 12) / sqrt(10.0); /* 11, 13, ... 29 of 40 */
    double ratio = (interval.high - interval.low) / (2 * gsl_cdf_tdist_Qinv(0.025, 9) * error);
    cr_expect(fabs(ratio - 1) < 0.08, "%zu seeds: %g", seeds, ratio);
  }
}

Test(ablation, intervals_stay_within_what_can_be) {
  make(&one, 2, (const int64_t[]){2, 36});
  make(&other, 2, (const int64_t[]){36, 2});
  Interval mean = mean_interval(&one.sample, 1), difference = difference_interval(&one.sample, &other.sample);
  cr_expect(mean.low == 0 && mean.high == 100, "[%g, %g]", mean.low, mean.high);
  cr_expect(difference.low == -100 && difference.high == 100, "[%g, %g]", difference.low, difference.high);
}

Test(ablation, pairs_share_seeds_and_blocks) {
  make(&one, 5, (const int64_t[]){11, 37, 20, 29, 15});
  make(&other, 5, (const int64_t[]){11, 37, 20, 29, 15});
  Interval same = difference_interval(&one.sample, &other.sample);
  cr_expect(same.low == 0 && same.high == 0, "[%g, %g]", same.low, same.high);
  cr_expect_str_eq(interval_verdict(same, 5), "no difference seen");
  make(&other, 5, (const int64_t[]){10, 36, 19, 28, 14}); /* one item less everywhere: all else cancels */
  Interval shifted = difference_interval(&one.sample, &other.sample);
  expect_close(shifted.low, 2.5);
  expect_close(shifted.high, 2.5);
  cr_expect_str_eq(interval_verdict(shifted, 5), "better");
  shifted = difference_interval(&other.sample, &one.sample);
  cr_expect_str_eq(interval_verdict(shifted, 5), "worse");
}

Test(ablation, verdicts) {
  cr_expect_str_eq(interval_verdict((Interval){0, 3}, 5), "no difference seen");
  cr_expect_str_eq(interval_verdict((Interval){-3, 0}, 5), "no difference seen");
  cr_expect_str_eq(interval_verdict((Interval){1e-9, 3}, 2), "better");
  cr_expect_str_eq(interval_verdict((Interval){-3, -1e-9}, 2), "worse");
  cr_expect_str_eq(interval_verdict((Interval){1, 3}, 1), "not judged: one seed");
  cr_expect_str_eq(interval_verdict((Interval){1, 3}, 0), "not measured");
  cr_expect_str_eq(interval_verdict((Interval){NAN, NAN}, 5), "not measured");
}

Test(ablation, what_is_not_known_stays_so) {
  make(&one, 0, NULL);
  Interval interval = mean_interval(&one.sample, 1);
  cr_expect(isnan(interval.low) && isnan(interval.high));
  make(&one, 2, (const int64_t[]){11, 12}); /* no tp, fp or fn: F1 is not defined */
  one.sample.f1 = true;
  interval = mean_interval(&one.sample, 1);
  cr_expect(isnan(interval.low) && isnan(interval.high));
}

Test(ablation, ratios) {
  Sample ones[2], others[2];
  Bootstrap bootstrap;
  Interval interval;
  make(&one, 3, (const int64_t[]){10, 20, 30});
  make(&other, 3, (const int64_t[]){10, 20, 30});
  for (size_t i = 0; i < 3; i++)
    for (int block = 0; block < BLOCK_COUNT; block++) {
      one.counts[i][block].correct = 2 * (int64_t)(i + 1);
      other.counts[i][block].correct = 8 * (int64_t)(i + 1);
    }
  ones[0] = ones[1] = others[1] = one.sample; /* ratios 1/4 and 1 */
  others[0] = other.sample;
  expect_ok(bootstrap_alloc(&bootstrap, 300, 1));
  expect_ok(bootstrap_ratio(&bootstrap, 2, ones, others, &interval));
  expect_close(interval.low, 0.625);
  expect_close(interval.high, 0.625);
  bootstrap_free(&bootstrap);
}

/* A chance of success that varies by seed (standard deviation `seeds_differ`), by picture, and by how a row takes to a
 * picture (`rows_differ`); the pictures are the same for all seeds. */
static void draw_row(Made *made, size_t seeds, uint64_t trial, uint64_t row, double seeds_differ, double rows_differ) {
  Rng world = rng_make(trial, RNG_TEST, 1000);
  *made = (Made){.sample = {.seeds = seeds}};
  for (size_t i = 0; i < seeds; i++) {
    Rng rng = rng_make(trial, RNG_TEST, (uint32_t)i);
    double seed = seeds_differ * rng_normal(rng, 9000 + row);
    made->sample.blocks[i] = made->counts[i];
    for (uint64_t block = 0; block < BLOCK_COUNT; block++) {
      double picture = 0.3 * rng_normal(world, block) + rows_differ * rng_normal(world, 100 + 20 * row + block);
      double chance = 1 / (1 + exp(-0.5 - seed - picture));
      made->counts[i][block].items = 60;
      for (uint64_t item = 0; item < 60; item++)
        made->counts[i][block].correct += rng_uniform(rng, 1000 * row + 100 * block + item) < chance;
    }
  }
}

/* How often the interval of the difference of two rows that do not differ on the whole holds zero. */
static double coverage(size_t seeds, double seeds_differ, double rows_differ) {
  enum { TRIALS = 200 };
  int held = 0;
  Bootstrap bootstrap;
  Interval interval;
  expect_ok(bootstrap_alloc(&bootstrap, 400, 1));
  for (uint64_t trial = 0; trial < TRIALS; trial++) {
    draw_row(&one, seeds, trial, 0, seeds_differ, rows_differ);
    draw_row(&other, seeds, trial, 1, seeds_differ, rows_differ);
    expect_ok(bootstrap_difference(&bootstrap, &one.sample, &other.sample, &interval));
    held += interval.low <= 0 && interval.high >= 0;
  }
  bootstrap_free(&bootstrap);
  return (double)held / TRIALS;
}

/* Some of the header's numbers; 200 trials: a standard error of 1 to 2 %. */
Test(ablation, coverage) {
  double questions = coverage(5, 0.0, 0.0), pictures = coverage(10, 0.0, 0.4), both = coverage(5, 0.15, 0.2);
  double five = coverage(5, 0.5, 0.0), three = coverage(3, 0.5, 0.0), two = coverage(2, 0.5, 0.0);
  cr_expect(questions > 0.97, "%g", questions);
  cr_expect(pictures > 0.91, "%g", pictures);
  cr_expect(both > 0.93, "%g", both);
  cr_expect(five > 0.90 && five < 0.99, "%g", five);
  cr_expect(three > 0.87 && three < 0.98, "%g", three);
  cr_expect(two > 0.83 && two < 0.96, "%g", two);
}

Test(ablation, samples_of_different_size_are_a_mistake, .signal = SIGABRT) {
  make(&one, 2, (const int64_t[]){1, 2});
  make(&other, 3, (const int64_t[]){1, 2, 3});
  scratch_remove();
  difference_interval(&one.sample, &other.sample);
}

/* ---- result files ---- */

static int level_by_seed(const char *id, Shown views, int64_t seed, int family, int block) {
  (void)block;
  if (strcmp(id, "monkey") == 0 || (strcmp(id, "e2e") == 0 && seed == 2))
    return -1;
  return 10 + 4 * (int)seed + 2 * family - 2 * (int)views;
}

static Answers answers;
static Costs costs;

static void read_files(Level level, int64_t seeds) {
  files_answers(level, seeds);
  files_costs(seeds);
  expect_ok(answers_read(scratch_path("answers.csv"), &answers));
  expect_ok(costs_read(scratch_path("costs.csv"), &costs));
}

Test(ablation, summaries) {
  Bootstrap bootstrap;
  Summary summary;
  Difference difference;
  double stretch = sqrt(1.5) * gsl_cdf_tdist_Qinv(0.025, 2) / gsl_cdf_ugaussian_Qinv(0.025);
  read_files(level_by_seed, 3);
  expect_ok(bootstrap_alloc(&bootstrap, 500, 1));
  expect_ok(summary_make(line_of(TABLE_4, "alternating", SHOWN_BOTH), &answers, &costs, &bootstrap, &summary));
  cr_expect_eq(summary.seeds, 3);
  for (int family = 0; family < ROW_FAMILIES; family++) {
    expect_close(summary.mean[family], 2.5 * (18 + 2 * family));
    expect_close(summary.spread[family], 10.0);
    expect_close(run_value(summary.runs[1], (RowFamily)family), 2.5 * (18 + 2 * family));
    /* 1/27 of the resamples have one seed only: the percentiles are 10 from the mean, before they are stretched */
    expect_close(summary.interval[family].low, summary.mean[family] - 10 * stretch);
    expect_close(summary.interval[family].high, summary.mean[family] + 10 * stretch);
  }
  expect_close(summary.samples, 6000);
  expect_close(summary.tflop, 1.5);
  cr_expect(summary.image_tokens > 38);

  expect_ok(summary_make(line_of(TABLE_4, "e2e", SHOWN_LOCAL), &answers, &costs, &bootstrap, &summary));
  cr_expect_eq(summary.seeds, 2);
  cr_expect_eq(summary.runs[1]->seed, 3);
  expect_close(summary.mean[0], 2.5 * 14);
  expect_ok(difference_make(summary.row, &answers, "alternating", &answers, &bootstrap, &difference));
  cr_expect_eq(difference.seeds, 2, "seeds 1 and 3");
  for (int family = 0; family < ROW_FAMILIES; family++)
    cr_expect(difference.mean[family] == 0 && difference.interval[family].low == 0);
  expect_close(difference.ratio, 1.0);

  expect_ok(summary_make(line_of(TABLE_4, "monkey", SHOWN_BOTH), &answers, &costs, &bootstrap, &summary));
  cr_expect(summary.seeds == 0 && isnan(summary.mean[0]) && isnan(summary.interval[0].low) && isnan(summary.samples));
  expect_ok(difference_make(summary.row, &answers, "alternating", &answers, &bootstrap, &difference));
  cr_expect(difference.seeds == 0 && isnan(difference.mean[0]) && isnan(difference.ratio_interval.high));
  bootstrap_free(&bootstrap);
  answers_free(&answers);
  costs_free(&costs);
}

Test(ablation, costs_may_be_missing) {
  Bootstrap bootstrap;
  Summary summary;
  files_answers(level_by_seed, 3);
  files_costs(2);
  expect_ok(answers_read(scratch_path("answers.csv"), &answers));
  expect_ok(costs_read(scratch_path("costs.csv"), &costs));
  expect_ok(bootstrap_alloc(&bootstrap, 100, 1));
  expect_ok(summary_make(line_of(TABLE_3, "baseline", SHOWN_BOTH), &answers, &costs, &bootstrap, &summary));
  cr_expect(summary.seeds == 3 && isnan(summary.samples) && isnan(summary.tflop) && isnan(summary.image_tokens));
  bootstrap_free(&bootstrap);
  answers_free(&answers);
  costs_free(&costs);
}

#define ANSWERS "row,seed,views,family,block,items,correct,tp,fp,fn\n"
#define COSTS "row,seed,phase,samples,steps,tflop,image_tokens,seconds,hash\n"

static void expect_refused(Status status, const char *part) {
  cr_expect_eq(status.code, STATUS_INPUT, "expected a refusal with '%s'", part);
  if (status.code != STATUS_OK)
    expect_contains(status.message, part);
  cr_expect(answers.runs == NULL && costs.runs == NULL, "what was read is freed");
}

static void refuse_answers(const char *text, const char *part) {
  expect_refused(answers_read(scratch_text("answers.csv", text), &answers), part);
}

static void refuse_costs(const char *text, const char *part) {
  expect_refused(costs_read(scratch_text("costs.csv", text), &costs), part);
}

Test(ablation, malformed_answers) {
  refuse_answers("", "answers.csv: the first line is '', not 'row,seed,views");
  refuse_answers("row,seed\n", "the first line is 'row,seed', not");
  refuse_answers(ANSWERS, "no answers");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,40,30,15,5\n", "answers.csv, line 2: 9 cells where the first line has 10");
  refuse_answers(ANSWERS "\n", "line 2: 1 cells");
  refuse_answers(ANSWERS "e2,1,both,exist,0,40,30,15,5,5\n", "line 2: there is no row 'e2'; did you mean 'e2e'?");
  refuse_answers(ANSWERS "moonrise,1,both,exist,0,40,30,15,5,5\n", "there is no row 'moonrise'; there are baseline,");
  refuse_answers(ANSWERS "e2e,1.5,both,exist,0,40,30,15,5,5\n",
                 "column 'seed' holds '1.5', which is not a whole number");
  refuse_answers(ANSWERS "e2e,-1,both,exist,0,40,30,15,5,5\n", "column 'seed' holds '-1'");
  refuse_answers(ANSWERS "e2e,1,all,exist,0,40,30,15,5,5\n",
                 "column 'views' holds 'all', which is not one of both, global, local");
  refuse_answers(ANSWERS "e2e,1,both,POPE,0,40,30,15,5,5\n", "not one of exist, relate, reason, read, probe");
  refuse_answers(ANSWERS "e2e,1,both,exist,10,40,30,15,5,5\n", "column 'block' holds '10'");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,0,0,0,0,0\n", "column 'items' holds '0'");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,4e9,0,0,0,0\n", "column 'items' holds '4e9'");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,40,nan,15,5,5\n", "column 'correct' holds 'nan'");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,40,41,15,5,5\n", "41 correct of 40 items");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,40,30,15,6,5\n", "tp 15, fp 6 and fn 5 do not fit 30 correct of 40 items");
  refuse_answers(ANSWERS "e2e,1,both,exist,0,40,30,31,5,5\n", "tp 31");
  refuse_answers(ANSWERS "e2e,1,both,read,0,40,30,0,0,1\n", "fn of the family read are not 0");
  refuse_answers(ANSWERS "e2e,1,both,read,0,40,30,0,0,0\ne2e,1,both,read,0,40,30,0,0,0\n",
                 "line 3: row 'e2e', seed 1, views both, family read, block 0 comes a second time");
  refuse_answers(ANSWERS "e2e,1,both,read,0,40,30,0,0,0\n",
                 "row 'e2e', seed 1, views both has no block 0 of the family exist");
}

Test(ablation, answers_that_are_no_text) {
  scratch_write("answers.csv", ANSWERS "e2e\0,1\n", sizeof ANSWERS - 1 + 7);
  expect_refused(answers_read(scratch_path("answers.csv"), &answers), "zero bytes");
  expect_refused(answers_read(scratch_path("none.csv"), &answers), "none.csv");
}

/* A file of answers that are as they should be but for the first `from`, which becomes `to`. */
static void spoil(const char *from, const char *to) {
  static char text[1 << 18];
  files_answers(level_by_seed, 2);
  scratch_read(scratch_path("answers.csv"), text, sizeof text);
  char *at = strstr(text, from);
  cr_assert_not_null(at);
  cr_assert_eq(strlen(from), strlen(to));
  memcpy(at, to, strlen(to));
  scratch_text("answers.csv", text);
}

Test(ablation, blocks_are_complete_and_alike) {
  spoil("alternating,2,local,reason,9,40,", "alternating,2,local,reason,9,39,");
  expect_refused(answers_read(scratch_path("answers.csv"), &answers),
                 "seed 2, family reason, block 9 has 39 items, 0 of them positive, for row 'alternating' (views local) and 40");
  spoil("alternating,2,local,reason,9,40,", "alternating,7,local,reason,9,40,");
  expect_refused(answers_read(scratch_path("answers.csv"), &answers),
                 "row 'alternating', seed 2, views local has no block 9 of the family reason");
}

Test(ablation, too_many_seeds) {
  FILE *stream = files_open("answers.csv");
  fputs(ANSWERS, stream);
  for (int seed = 0; seed <= SEEDS_MOST; seed++)
    fprintf(stream, "e2e,%d,both,read,0,40,30,0,0,0\n", seed);
  fclose(stream);
  expect_refused(answers_read(scratch_path("answers.csv"), &answers), "line 102: row 'e2e' has more than 100 seeds");
}

/* costs.csv with `count` phases whose names are as long as a scheme's may be. */
static const char *phases_text(int count, char text[3000]) {
  strcpy(text, COSTS);
  for (int phase = 0; phase < count; phase++)
    sprintf(text + strlen(text), "e2e,1,%0*d,1,1,1,1,1,x\n", PHASE_NAME - 1, phase);
  return text;
}

Test(ablation, costs_of_the_longest_scheme) {
  char text[3000];
  expect_ok(costs_read(scratch_text("costs.csv", phases_text(SCHEME_PHASES, text)), &costs));
  cr_expect(costs.count == 1 && costs.runs[0].phase_count == SCHEME_PHASES && costs.runs[0].samples == SCHEME_PHASES);
  costs_free(&costs);
}

Test(ablation, malformed_costs) {
  refuse_costs("row\n", "costs.csv: the first line is 'row', not 'row,seed,phase");
  refuse_costs(COSTS "foo,1,I,1,1,1,1,1,x\n", "line 2: there is no row 'foo'");
  refuse_costs(COSTS "e2e,1,,1,1,1,1,1,x\n", "column 'phase' holds ''");
  refuse_costs(COSTS "e2e,1,a-phase-of-a-name-that-is-longer-than-a-scheme-s,1,1,1,1,1,x\n",
               "which is not a name of 1 to 40 bytes");
  refuse_costs(COSTS "e2e,x,I,1,1,1,1,1,x\n", "column 'seed' holds 'x'");
  refuse_costs(COSTS "e2e,1,I,1.5,1,1,1,1,x\n", "column 'samples' holds '1.5'");
  refuse_costs(COSTS "e2e,1,I,1,-1,1,1,1,x\n", "column 'steps' holds '-1'");
  refuse_costs(COSTS "e2e,1,I,1,1,inf,1,1,x\n", "column 'tflop' holds 'inf', which is not a finite number from 0 up");
  refuse_costs(COSTS "e2e,1,I,1,1,1,-2,1,x\n", "column 'image_tokens' holds '-2'");
  refuse_costs(COSTS "e2e,1,I,1,1,1,1,,x\n", "column 'seconds' holds ''");
  refuse_costs(COSTS "e2e,1,I,1,1,1,1,1,x\ne2e,1,I,1,1,1,1,1,x\n",
               "line 3: row 'e2e', seed 1, phase I comes a second time");
  char text[3000];
  refuse_costs(phases_text(SCHEME_PHASES + 1, text), "line 34: row 'e2e', seed 1 has more than 32 phases");
  expect_ok(costs_read(scratch_text("costs.csv", COSTS), &costs)); /* nothing trained yet */
  cr_expect_eq(costs.count, 0);
}
