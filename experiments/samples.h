/* samples.h: what benches make of repeated measurements. */
#ifndef SEESAW_SAMPLES_H
#define SEESAW_SAMPLES_H

#include <stddef.h>

enum { SAMPLES_MOST = 31 };

typedef struct Spread {
  double median, low, high;
} Spread;

/* spread_of: 1 to SAMPLES_MOST samples. */
Spread spread_of(const double *samples, size_t count);

#endif
