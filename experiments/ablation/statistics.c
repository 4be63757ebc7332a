/* statistics.c: values, their spread over seeds, and the bootstrap. */
#include "statistics.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* sample_mean of one resample. */
static double resampled_mean(const Bootstrap *bootstrap, size_t draw, const Sample *sample) {
  const unsigned char *seeds = bootstrap->picks[sample->seeds] + draw * (sample->seeds + BLOCK_COUNT);
  const unsigned char *blocks = seeds + sample->seeds;
  double total = 0;
  for (size_t i = 0; i < sample->seeds; i++) {
    Counts sum = {0};
    for (int block = 0; block < BLOCK_COUNT; block++)
      add(&sum, &sample->blocks[seeds[i]][blocks[block]]);
    total += counts_value(&sum, sample->f1);
  }
  return total / (double)sample->seeds;
}

static Interval percentile_interval(double *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (isnan(values[i]))
      return (Interval){NAN, NAN};
  gsl_sort(values, 1, count);
  return (Interval){gsl_stats_quantile_from_sorted_data(values, 1, count, 0.025),
                    gsl_stats_quantile_from_sorted_data(values, 1, count, 0.975)};
}

Status bootstrap_mean(Bootstrap *bootstrap, const Sample *sample, Interval *interval) {
  *interval = (Interval){NAN, NAN};
  if (sample->seeds == 0)
    return status_ok();
  TRY(make_picks(bootstrap, sample->seeds));
  for (size_t draw = 0; draw < bootstrap->draws; draw++)
    bootstrap->values[draw] = resampled_mean(bootstrap, draw, sample);
  *interval = percentile_interval(bootstrap->values, bootstrap->draws);
  return status_ok();
}

Status bootstrap_difference(Bootstrap *bootstrap, const Sample *one, const Sample *other, Interval *interval) {
  REQUIRE(one->seeds == other->seeds, "%zu seeds against %zu", one->seeds, other->seeds);
  *interval = (Interval){NAN, NAN};
  if (one->seeds == 0)
    return status_ok();
  TRY(make_picks(bootstrap, one->seeds));
  for (size_t draw = 0; draw < bootstrap->draws; draw++)
    bootstrap->values[draw] = resampled_mean(bootstrap, draw, one) - resampled_mean(bootstrap, draw, other);
  *interval = percentile_interval(bootstrap->values, bootstrap->draws);
  return status_ok();
}

Status bootstrap_ratio(Bootstrap *bootstrap, size_t families, const Sample *one, const Sample *other,
                       Interval *interval) {
  *interval = (Interval){NAN, NAN};
  for (size_t family = 0; family < families; family++) {
    REQUIRE(one[family].seeds == other[family].seeds, "%zu seeds against %zu", one[family].seeds, other[family].seeds);
    if (one[family].seeds == 0)
      return status_ok();
    TRY(make_picks(bootstrap, one[family].seeds));
  }
  for (size_t draw = 0; draw < bootstrap->draws; draw++) {
    double total = 0;
    for (size_t family = 0; family < families; family++)
      total += resampled_mean(bootstrap, draw, &one[family]) / resampled_mean(bootstrap, draw, &other[family]);
    bootstrap->values[draw] = total / (double)families;
  }
  *interval = percentile_interval(bootstrap->values, bootstrap->draws);
  return status_ok();
}

const char *interval_verdict(Interval interval, size_t seeds) {
  if (seeds == 0 || isnan(interval.low) || isnan(interval.high))
    return "not measured";
  if (seeds == 1)
    return "not judged: one seed";
  return interval.low > 0 ? "better" : interval.high < 0 ? "worse" : "no difference seen";
}
