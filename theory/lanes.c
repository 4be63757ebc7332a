/* lanes.c: which build of the kernel runs, and everything about lanes that is not a hot loop. */
#include "lanes.h"

#include <math.h>
#include <string.h>

#include "lanes_kernel.h"

static const LanesKernel *const kernels[ISA_COUNT] = {
    [ISA_PORTABLE] = &lanes_kernel_portable,
#ifdef LANES_X86
    [ISA_AVX2] = &lanes_kernel_avx2,
    [ISA_AVX512] = &lanes_kernel_avx512,
#endif
};

bool lanes_has(LanesIsa isa) {
  switch (isa) {
  case ISA_PORTABLE:
    return true;
#ifdef LANES_X86
  case ISA_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case ISA_AVX512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#endif
  default:
    return false;
  }
}

LanesIsa lanes_best(void) {
  LanesIsa best = ISA_COUNT - 1;
  while (!lanes_has(best))
    best--;
  return best;
}

const char *lanes_name(LanesIsa isa) {
  static const char *const names[ISA_COUNT] = {"portable", "avx2", "avx512"};
  REQUIRE(isa < ISA_COUNT, "no instruction set has number %d", (int)isa);
  return names[isa];
}

size_t lanes_width(LanesIsa isa) {
  return isa == ISA_AVX512 ? 8 : 4;
}

static const LanesKernel *kernel_of(LanesIsa isa) {
  REQUIRE(lanes_has(isa), "this machine or this build lacks instruction set %s", lanes_name(isa));
  return kernels[isa];
}

void lanes_clear(Bundle *bundle, const MethodParameters *parameters) {
  memset(bundle, 0, sizeof *bundle);
  bundle->momentum = parameters->momentum;
  bundle->balance_cap = parameters->balance_cap;
  bundle->soft_period = parameters->soft_period;
}

void lanes_set(Bundle *bundle, size_t lane, double cosine, double step, const Reduced *start) {
  for (int i = 0; i < 3; i++) {
    bundle->x[i][lane] = bundle->previous_x[i][lane] = start->x[i];
    bundle->y[i][lane] = bundle->previous_y[i][lane] = start->y[i];
  }
  bundle->cosine[lane] = cosine;
  bundle->step[lane] = step;
}

void lanes_copy(Bundle *to, size_t to_lane, const Bundle *from, size_t from_lane) {
  for (int i = 0; i < 3; i++) {
    to->x[i][to_lane] = from->x[i][from_lane];
    to->y[i][to_lane] = from->y[i][from_lane];
    to->previous_x[i][to_lane] = from->previous_x[i][from_lane];
    to->previous_y[i][to_lane] = from->previous_y[i][from_lane];
  }
  to->cosine[to_lane] = from->cosine[from_lane];
  to->step[to_lane] = from->step[from_lane];
  to->excess[to_lane] = from->excess[from_lane];
}

Reduced lanes_state(const Bundle *bundle, size_t lane) {
  Reduced state;
  for (int i = 0; i < 3; i++) {
    state.x[i] = bundle->x[i][lane];
    state.y[i] = bundle->y[i][lane];
  }
  return state;
}

static bool all_zero(double part[LANES]) {
  bool any = false;
  for (size_t i = 0; i < LANES; i++)
    any |= part[i] != 0; /* NaN counts as not zero */
  return !any;
}

/* Nothing orthogonal to span{a, b} anywhere. */
static bool is_flat(LaneRule rule, Bundle *bundle) {
  return all_zero(bundle->x[2]) && all_zero(bundle->y[2]) &&
         (rule != LANES_MOMENTUM || (all_zero(bundle->previous_x[2]) && all_zero(bundle->previous_y[2])));
}

/* lambda(t) = (1 + cos(2 pi t / T)) / 2, with t reduced first so that it stays exact after many periods. */
static double soft_weight(size_t iteration, double period) {
  double phase = fmod((double)iteration, period) / period;
  return (1 + cos(2 * M_PI * phase)) / 2;
}

static void soft_weights(const Bundle *bundle, size_t first, size_t count, double *weights) {
  for (size_t t = 0; t < count; t++)
    weights[t] = soft_weight(bundle->iteration + first + t, bundle->soft_period);
}

static void advance_soft(const LanesKernel *kernel, bool flat, Bundle *bundle, size_t steps) {
  double weights[LANES_TRACKED];
  for (size_t done = 0, chunk; done < steps; done += chunk) {
    chunk = steps - done < LANES_TRACKED ? steps - done : LANES_TRACKED;
    soft_weights(bundle, done, chunk, weights);
    kernel->advance(LANES_SOFT, flat, bundle, chunk, weights);
  }
}

static void require_rule(LaneRule rule) {
  REQUIRE(rule > LANES_NONE && rule < LANES_COUNT, "no lane rule has number %d", (int)rule);
}

void lanes_advance(LanesIsa isa, LaneRule rule, Bundle *bundle, size_t steps) {
  const LanesKernel *kernel = kernel_of(isa);
  require_rule(rule);
  if (steps == 0)
    return;
  bool flat = is_flat(rule, bundle);
  if (rule == LANES_SOFT)
    advance_soft(kernel, flat, bundle, steps);
  else
    kernel->advance(rule, flat, bundle, steps, NULL);
  bundle->iteration += steps;
}

void lanes_track(LanesIsa isa, LaneRule rule, const Bundle *bundle, size_t steps, double tolerance,
                 double first[LANES]) {
  double weights[LANES_TRACKED];
  require_rule(rule);
  REQUIRE(steps <= LANES_TRACKED, "lanes_track looks at most %d steps ahead, not %zu", LANES_TRACKED, steps);
  if (rule == LANES_SOFT)
    soft_weights(bundle, 0, steps, weights);
  kernel_of(isa)->track(rule, bundle, steps, weights, tolerance, first);
}

void lanes_excess(LanesIsa isa, Bundle *bundle) {
  kernel_of(isa)->check(bundle, -INFINITY, INFINITY);
}

uint32_t lanes_check(LanesIsa isa, Bundle *bundle, double tolerance, double bound) {
  return kernel_of(isa)->check(bundle, tolerance, bound);
}

double lanes_multiply_adds(LanesIsa isa, size_t rounds) {
  return kernel_of(isa)->multiply_adds(rounds);
}

void lanes_copy_stream(LanesIsa isa, size_t count, const double *from, double *to) {
  kernel_of(isa)->copy(count, from, to);
}

/* ---- the full-dimension pass ---- */

/* A sum and what its roundings have lost so far (Neumaier). */
typedef struct Compensated {
  double sum, lost;
} Compensated;

static void compensated_add(Compensated *total, double term) {
  double sum = total->sum + term;
  if (fabs(total->sum) >= fabs(term))
    total->lost += (total->sum - sum) + term;
  else
    total->lost += (term - sum) + total->sum;
  total->sum = sum;
}

/* The step on the blocks first..last, and their sums. */
static void full_group(const LanesKernel *kernel, size_t d, size_t first, size_t last, const double *a, const double *b,
                       double *u, double *v, const FullStep *step, double sums[FULL_SUMS]) {
  Compensated total[FULL_SUMS] = {{0, 0}};
  for (size_t block = first; block < last; block++) {
    size_t at = block * FULL_BLOCK, count = d - at < FULL_BLOCK ? d - at : FULL_BLOCK;
    double part[FULL_SUMS];
    kernel->full_block(count, a + at, b + at, u + at, v + at, step, part);
    for (int k = 0; k < FULL_SUMS; k++)
      compensated_add(&total[k], part[k]);
  }
  for (int k = 0; k < FULL_SUMS; k++)
    sums[k] = total[k].sum + total[k].lost;
}

void lanes_step_full_with(LanesIsa isa, size_t d, const double *a, const double *b, double *u, double *v,
                          const double coefficient[4], double sums[6]) {
  enum { PARALLEL_FROM = 16 }; /* blocks; below, starting threads costs more than it saves */
  const LanesKernel *kernel = kernel_of(isa);
  FullStep step = {coefficient[0], coefficient[1] * sums[4], coefficient[1] * sums[3],
                   coefficient[2], coefficient[3] * sums[1], coefficient[3] * sums[0]};
  size_t blocks = (d + FULL_BLOCK - 1) / FULL_BLOCK, groups = blocks < FULL_GROUPS ? blocks : FULL_GROUPS;
  double part[FULL_GROUPS][FULL_SUMS];
#pragma omp parallel for schedule(dynamic) if (blocks >= PARALLEL_FROM)
  for (size_t group = 0; group < groups; group++)
    full_group(kernel, d, group * blocks / groups, (group + 1) * blocks / groups, a, b, u, v, &step, part[group]);
  Compensated total[FULL_SUMS] = {{0, 0}};
  for (size_t group = 0; group < groups; group++)
    for (int k = 0; k < FULL_SUMS; k++)
      compensated_add(&total[k], part[group][k]);
  for (int k = 0; k < FULL_SUMS; k++)
    sums[k] = total[k].sum + total[k].lost;
}

void lanes_step_full(size_t d, const double *a, const double *b, double *u, double *v, const double coefficient[4],
                     double sums[6]) {
  lanes_step_full_with(lanes_best(), d, a, b, u, v, coefficient, sums);
}
