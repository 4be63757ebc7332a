/* lanes_kernel.h: what each build of lanes_kernel.c hands to lanes.c. */
#ifndef SEESAW_LANES_KERNEL_H
#define SEESAW_LANES_KERNEL_H

#include "lanes.h"

/* The full-dimension pass sums over blocks of FULL_BLOCK elements; runs of consecutive blocks form at most FULL_GROUPS
 * groups, the unit of work of a thread. Both are part of the definition: they fix the order of the additions. */
enum { FULL_BLOCK = 4096, FULL_GROUPS = 512, FULL_SUMS = 6 };

/* The coefficients of one full-dimension step: u <- scale_u u + along_a_u a + along_b_u b; v likewise. */
typedef struct FullStep {
  double scale_u, along_a_u, along_b_u, scale_v, along_a_v, along_b_v;
} FullStep;

typedef struct LanesKernel {
  /* weights: lambda of each step, for LANES_SOFT only. flat: x_o = y_o = 0 in every lane. */
  void (*advance)(LaneRule rule, bool flat, Bundle *bundle, size_t steps, const double *weights);
  void (*track)(LaneRule rule, const Bundle *bundle, size_t steps, const double *weights, double tolerance,
                double first[LANES]);
  uint32_t (*check)(Bundle *bundle, double tolerance, double bound);
  void (*full_block)(size_t count, const double *a, const double *b, double *u, double *v, const FullStep *step,
                     double sums[FULL_SUMS]);
  double (*multiply_adds)(size_t rounds);
  void (*copy)(size_t count, const double *from, double *to);
} LanesKernel;

extern const LanesKernel lanes_kernel_portable;
#ifdef LANES_X86
extern const LanesKernel lanes_kernel_avx2;
extern const LanesKernel lanes_kernel_avx512;
#endif

#endif
