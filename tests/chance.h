/* chance.h: tests of distributions: chi-square with a false alarm in a million. */
#ifndef SEESAW_TEST_CHANCE_H
#define SEESAW_TEST_CHANCE_H

#include <criterion/criterion.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

/* How likely counts at least this uneven are if all are equally likely. */
static inline double evenness(const size_t *counts, size_t kinds) {
  double total = 0.0, chi = 0.0;
  for (size_t i = 0; i < kinds; i++)
    total += (double)counts[i];
  double each = total / (double)kinds;
  for (size_t i = 0; i < kinds; i++)
    chi += ((double)counts[i] - each) * ((double)counts[i] - each) / each;
  return gsl_cdf_chisq_Q(chi, (double)kinds - 1.0);
}

static inline void expect_even(const size_t *counts, size_t kinds, const char *what) {
  double likely = evenness(counts, kinds);
  cr_expect(likely > 1e-6, "%s are not equally likely: %g (the first two: %zu, %zu)", what, likely, counts[0],
            counts[1]);
}

#endif
