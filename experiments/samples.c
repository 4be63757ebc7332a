/* samples.c: medians. */
#include "samples.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

Spread spread_of(const double *samples, size_t count) {
  double sorted[SAMPLES_MOST];
  REQUIRE(count >= 1 && count <= SAMPLES_MOST, "%zu samples", count);
  memcpy(sorted, samples, count * sizeof *samples);
  qsort(sorted, count, sizeof *sorted, ascending);
  return (Spread){(sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[0], sorted[count - 1]};
}
