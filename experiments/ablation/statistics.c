/* statistics.c: values, their spread over seeds, and the bootstrap. */
#include "statistics.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TAIL = 0.025; /* beyond either end of an interval */

double counts_value(const Counts *counts, bool f1) {
  int64_t wrong = counts->false_positive + counts->false_negative;
  double part = f1 ? 2.0 * (double)counts->true_positive : (double)counts->correct;
  double whole = f1 ? part + (double)wrong : (double)counts->items;
  return whole > 0 ? 100.0 * part / whole : NAN;
}

static void add(Counts *sum, const Counts *block) {
  sum->items += block->items;
  sum->correct += block->correct;
  sum->true_positive += block->true_positive;
  sum->false_positive += block->false_positive;
  sum->false_negative += block->false_negative;
}

double sample_value(const Sample *sample, size_t i) {
  Counts sum = {0};
  REQUIRE(i < sample->seeds, "seed %zu of %zu", i, sample->seeds);
  for (int block = 0; block < BLOCK_COUNT; block++)
    add(&sum, &sample->blocks[i][block]);
  return counts_value(&sum, sample->f1);
}

static void sample_values(const Sample *sample, double values[SEEDS_MOST]) {
  for (size_t i = 0; i < sample->seeds; i++)
    values[i] = sample_value(sample, i);
}

double sample_mean(const Sample *sample) {
  double values[SEEDS_MOST];
  sample_values(sample, values);
  return sample->seeds > 0 ? gsl_stats_mean(values, 1, sample->seeds) : NAN;
}

double sample_spread(const Sample *sample) {
  double values[SEEDS_MOST];
  sample_values(sample, values);
  return sample->seeds > 1 ? gsl_stats_sd(values, 1, sample->seeds) : NAN;
}

/* ---- the resamples ---- */

Status bootstrap_alloc(Bootstrap *bootstrap, size_t draws, unsigned long seed) {
  REQUIRE(draws > 0, "a bootstrap of no resamples");
  *bootstrap = (Bootstrap){.draws = draws, .seed = seed};
  bootstrap->random = gsl_rng_alloc(gsl_rng_mt19937);
  bootstrap->values = calloc(draws, sizeof *bootstrap->values);
  if (bootstrap->random && bootstrap->values)
    return status_ok();
  bootstrap_free(bootstrap);
  return status_error(STATUS_MEMORY, "not enough memory for a bootstrap of %zu resamples", draws);
}

void bootstrap_free(Bootstrap *bootstrap) {
  if (bootstrap->random)
    gsl_rng_free(bootstrap->random);
  for (size_t seeds = 0; seeds <= SEEDS_MOST; seeds++)
    free(bootstrap->picks[seeds]);
  free(bootstrap->values);
  *bootstrap = (Bootstrap){0};
}

/* The generator starts anew for each number of seeds, so that no row's interval depends on what else is in a table. */
static Status make_picks(Bootstrap *bootstrap, size_t seeds) {
  REQUIRE(seeds > 0 && seeds <= SEEDS_MOST, "%zu seeds", seeds);
  if (bootstrap->picks[seeds])
    return status_ok();
  unsigned char *pick = bootstrap->picks[seeds] = calloc(bootstrap->draws, seeds + BLOCK_COUNT);
  if (!pick)
    return status_error(STATUS_MEMORY, "not enough memory for %zu resamples of %zu seeds", bootstrap->draws, seeds);
  gsl_rng_set(bootstrap->random, bootstrap->seed + seeds);
  for (size_t draw = 0; draw < bootstrap->draws; draw++) {
    for (size_t i = 0; i < seeds; i++)
      *pick++ = (unsigned char)gsl_rng_uniform_int(bootstrap->random, seeds);
    for (int block = 0; block < BLOCK_COUNT; block++)
      *pick++ = (unsigned char)gsl_rng_uniform_int(bootstrap->random, BLOCK_COUNT);
  }
  return status_ok();
}

/* ---- what intervals are of ---- */

/* Seeds and blocks of a sample, any of them more than once or not at all. */
typedef struct Pick {
  size_t seed_count, block_count;
  const unsigned char *seeds, *blocks;
} Pick;

/* The mean over families of one, one - other, or one / other. */
typedef struct Statistic {
  size_t families;
  const Sample *one, *other; /* other: NULL for one alone */
  bool ratio;
  double least, most; /* that it can be at all */
} Statistic;

/* sample_mean of what is picked. */
static double picked_mean(const Sample *sample, const Pick *pick) {
  double total = 0;
  for (size_t i = 0; i < pick->seed_count; i++) {
    Counts sum = {0};
    for (size_t j = 0; j < pick->block_count; j++)
      add(&sum, &sample->blocks[pick->seeds[i]][pick->blocks[j]]);
    total += counts_value(&sum, sample->f1);
  }
  return total / (double)pick->seed_count;
}

static double picked_value(const Statistic *statistic, const Pick *pick) {
  double total = 0;
  for (size_t family = 0; family < statistic->families; family++) {
    double one = picked_mean(&statistic->one[family], pick);
    double other = statistic->other ? picked_mean(&statistic->other[family], pick) : 0;
    total += statistic->ratio ? one / other : one - other;
  }
  return total / (double)statistic->families;
}

/* ---- intervals ---- */

/* How sure one is of a variance: its unbiased estimate, what a bootstrap makes of that, and the degrees of freedom. */
typedef struct Component {
  double variance, bootstrap, freedom;
} Component;

/* From `count` values that each leave one out (the jackknife). One seed tells nothing: none, of no weight. */
static Component component_of(const double *left_out, size_t count) {
  if (count < 2)
    return (Component){0, 0, 1};
  double n = (double)count, variance = gsl_stats_variance(left_out, 1, count) * (n - 1) * (n - 1) / n;
  return (Component){variance, variance * (n - 1) / n, n - 1};
}

/* By how much a percentile interval must be stretched; header. */
static double stretch_of(Component seeds, Component blocks) {
  double variance = seeds.variance + blocks.variance;
  if (!(variance > 0))
    return 1; /* nothing varies: the interval is a point */
  double freedom =
      variance * variance /
      (seeds.variance * seeds.variance / seeds.freedom + blocks.variance * blocks.variance / blocks.freedom);
  double shrunk = variance / (seeds.bootstrap + blocks.bootstrap);
  return sqrt(shrunk) * gsl_cdf_tdist_Qinv(TAIL, freedom) / gsl_cdf_ugaussian_Qinv(TAIL);
}

/* *value: of the sample as it is. */
static double measure_stretch(const Statistic *statistic, size_t seeds, double *value) {
  unsigned char order[SEEDS_MOST + BLOCK_COUNT], others[SEEDS_MOST + BLOCK_COUNT];
  double without_seed[SEEDS_MOST], without_block[BLOCK_COUNT];
  for (size_t i = 0; i < sizeof order; i++)
    order[i] = (unsigned char)i;
  *value = picked_value(statistic, &(Pick){seeds, BLOCK_COUNT, order, order});
  memcpy(others, order + 1, sizeof others - 1); /* all but i: those before i, then those behind it */
  for (size_t i = 0; seeds > 1 && i < seeds; others[i] = order[i], i++)
    without_seed[i] = picked_value(statistic, &(Pick){seeds - 1, BLOCK_COUNT, others, order});
  memcpy(others, order + 1, sizeof others - 1);
  for (size_t i = 0; i < BLOCK_COUNT; others[i] = order[i], i++)
    without_block[i] = picked_value(statistic, &(Pick){seeds, BLOCK_COUNT - 1, order, others});
  return stretch_of(component_of(without_seed, seeds), component_of(without_block, BLOCK_COUNT));
}

/* The percentiles' distances from the value, stretched; within what is possible. */
static Interval stretched_interval(const Statistic *statistic, size_t seeds, double *values, size_t count) {
  double value, stretch = measure_stretch(statistic, seeds, &value);
  gsl_sort(values, 1, count);
  double low = gsl_stats_quantile_from_sorted_data(values, 1, count, TAIL);
  double high = gsl_stats_quantile_from_sorted_data(values, 1, count, 1 - TAIL);
  return (Interval){fmax(value - stretch * (value - low), statistic->least),
                    fmin(value + stretch * (high - value), statistic->most)};
}

static Status bootstrap_interval(Bootstrap *bootstrap, const Statistic *statistic, Interval *interval) {
  size_t seeds = statistic->one->seeds;
  *interval = (Interval){NAN, NAN};
  for (size_t family = 0; family < statistic->families; family++) {
    size_t partners = statistic->other ? statistic->other[family].seeds : seeds;
    REQUIRE(statistic->one[family].seeds == seeds && partners == seeds, "%zu seeds against %zu", seeds, partners);
  }
  if (seeds == 0)
    return status_ok();
  TRY(make_picks(bootstrap, seeds));
  for (size_t draw = 0; draw < bootstrap->draws; draw++) {
    const unsigned char *picks = bootstrap->picks[seeds] + draw * (seeds + BLOCK_COUNT);
    bootstrap->values[draw] = picked_value(statistic, &(Pick){seeds, BLOCK_COUNT, picks, picks + seeds});
    if (isnan(bootstrap->values[draw]))
      return status_ok();
  }
  *interval = stretched_interval(statistic, seeds, bootstrap->values, bootstrap->draws);
  return status_ok();
}

Status bootstrap_mean(Bootstrap *bootstrap, const Sample *sample, Interval *interval) {
  return bootstrap_interval(bootstrap, &(Statistic){.families = 1, .one = sample, .least = 0, .most = 100}, interval);
}

Status bootstrap_difference(Bootstrap *bootstrap, const Sample *one, const Sample *other, Interval *interval) {
  const Statistic statistic = {.families = 1, .one = one, .other = other, .least = -100, .most = 100};
  return bootstrap_interval(bootstrap, &statistic, interval);
}

Status bootstrap_ratio(Bootstrap *bootstrap, size_t families, const Sample *one, const Sample *other,
                       Interval *interval) {
  const Statistic statistic = {families, one, other, .ratio = true, .least = 0, .most = INFINITY};
  return bootstrap_interval(bootstrap, &statistic, interval);
}

const char *interval_verdict(Interval interval, size_t seeds) {
  if (seeds == 0 || isnan(interval.low) || isnan(interval.high))
    return "not measured";
  if (seeds == 1)
    return "not judged: one seed";
  return interval.low > 0 ? "better" : interval.high < 0 ? "worse" : "no difference seen";
}
