/* statistics.h: values of answers, and how sure one can be of their means: the bootstrap.
 *
 * Two things vary: the seed of a training run, and the test pictures, which are the same for every seed. A resample
 * therefore draws as many seeds as there are, with replacement, and, once for all of them, as many blocks of test
 * pictures; a block holds all questions about its pictures, which are not independent of each other. Sources: Efron
 * and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13; Owen, "The pigeonhole bootstrap"
 * (2007), for two things that vary at once.
 *
 * Intervals are percentiles (2.5 and 97.5 %) over the resamples, stretched about the value itself. Percentiles of few
 * things are too narrow twice: a bootstrap has (n - 1) / n of the variance, and it is normal where Student's t(n - 1)
 * is asked for. Hesterberg, "What Teachers Should Know About the Bootstrap" (2015), therefore takes percentiles farther
 * out, at Phi(-sqrt(n / (n - 1)) t). Stretching by sqrt(n / (n - 1)) t / 1.96 is the same where resamples are normal,
 * needs no rare resamples, and reaches beyond the least and the greatest seed, where the truth lies in half of all
 * cases with two seeds. n is neither the number of seeds nor that of blocks but as many as what varies has: with the
 * jackknife's variances A over seeds and B over blocks, t has (A + B)^2 / (A^2 / (seeds - 1) + B^2 / (blocks - 1))
 * degrees of freedom (Satterthwaite 1946; Hillis 2007 for several readers of the same cases), and the bootstrap's
 * variance is A (seeds - 1) / seeds + B (blocks - 1) / blocks. One seed says nothing about seeds: its interval is of
 * the pictures alone.
 *
 * How often such an interval of a difference holds the truth, of made-up rows of 600 questions a seed, 2,000 trials
 * (standard error 0.5 %; tests/test_ablation.c repeats a part):
 *
 *   what varies besides chance            1 seed   2 seeds   3 seeds   5 seeds   10 seeds
 *   nothing                                 94.7      99.6      99.8      99.8       99.8 %
 *   how a row takes to pictures             94.2      97.2      97.0      96.5       95.7
 *   a little of that, and seeds             77.4      96.0      97.0      97.5       97.0
 *   seeds                                   27.6      89.7      93.6      95.0       94.8
 *   seeds, and how rows take to pictures    47.0      90.0      93.5      94.9       94.7
 *
 * (Plain percentiles, where seeds vary: 64, 76, 85, 91 % for two to ten.) What chance adds to every answer is counted
 * in A and in B, hence more than 95 % above. 10,000 resamples place a percentile to 1.4 % of its distance from the
 * value.
 *
 * Resamples are drawn once for each number of seeds and used for every row: two rows with the same seeds are compared
 * on the same seeds and blocks, so what they share cancels. */
#ifndef SEESAW_STATISTICS_H
#define SEESAW_STATISTICS_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>
#include <stdint.h>

#include "rows.h"
#include "status.h"

enum { BLOCK_COUNT = 10 };

/* Answers to the questions of one family about the pictures of one block (or a sum of such). */
typedef struct Counts {
  int64_t items, correct, true_positive, false_positive, false_negative;
} Counts;

/* One row's answers to one family: for each of `seeds` seeds its BLOCK_COUNT blocks. */
typedef struct Sample {
  size_t seeds;
  const Counts *blocks[SEEDS_MOST];
  bool f1; /* the value is F1, else accuracy */
} Sample;

/* counts_value: in percent, accuracy or F1 = 2 tp / (2 tp + fp + fn). NaN where it is not defined: no items, or for F1
 * no positive and none claimed. */
double counts_value(const Counts *counts, bool f1);

/* sample_value: of seed i, all blocks together. sample_mean: the mean of that over the seeds; NaN without any.
 * sample_spread: its standard deviation over the seeds (n - 1); NaN for fewer than two. */
double sample_value(const Sample *sample, size_t i);
double sample_mean(const Sample *sample);
double sample_spread(const Sample *sample);

typedef struct Interval {
  double low, high; /* NaN: not known */
} Interval;

/* The resamples: made when first asked for, kept for every later sample of as many seeds. */
typedef struct Bootstrap {
  size_t draws; /* resamples */
  gsl_rng *random;
  unsigned long seed;
  unsigned char *picks[SEEDS_MOST + 1]; /* by number of seeds: draws x (the seeds, BLOCK_COUNT blocks) */
  double *values;                       /* one a draw */
} Bootstrap;

/* bootstrap_alloc: `draws` resamples, a function of `seed`. Errors: STATUS_MEMORY. */
Status bootstrap_alloc(Bootstrap *bootstrap, size_t draws, unsigned long seed);
void bootstrap_free(Bootstrap *bootstrap);

/* bootstrap_mean: the 95 % interval of sample_mean, within 0 to 100 (differences -100 to 100, ratios from 0). NaN
 * without seeds, or if a resample has no value. bootstrap_difference: of sample_mean(one) - sample_mean(other), which
 * have the same seeds in the same order. bootstrap_ratio: of the mean over `families` pairs of samples of
 * sample_mean(one) / sample_mean(other). Errors: STATUS_MEMORY. Different numbers of seeds are the caller's mistake. */
Status bootstrap_mean(Bootstrap *bootstrap, const Sample *sample, Interval *interval);
Status bootstrap_difference(Bootstrap *bootstrap, const Sample *one, const Sample *other, Interval *interval);
Status bootstrap_ratio(Bootstrap *bootstrap, size_t families, const Sample *one, const Sample *other,
                       Interval *interval);

/* interval_verdict: of a difference over `seeds` common seeds: "better" where the interval lies above zero, "worse"
 * below, "no difference seen" where it holds zero. "not judged: one seed" for one, which says nothing about training
 * runs; "not measured" for none or an interval that is not known. */
const char *interval_verdict(Interval interval, size_t seeds);

#endif
