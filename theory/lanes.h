/* lanes.h: many runs of one method on the reduced problem at once, one in each SIMD lane.
 *
 * The kernel (lanes_kernel.c) is compiled once for each instruction set and chosen at run time. Every build does the
 * same operations in the same order with the same roundings (fused multiply-adds are explicit), so the bytes of a
 * result do not depend on the instruction set; ISA_PORTABLE, in plain C, is the definition. */
#ifndef SEESAW_LANES_H
#define SEESAW_LANES_H

#include "method.h"
#include "reduction.h"

/* A number smaller in absolute value than this, whose square is subnormal, becomes zero at the end of lanes_advance. */
#define LANES_SMALLEST 0x1p-511

enum {
  LANES = 32,         /* runs in a bundle: a multiple of every vector width, enough to hide latencies */
  LANES_TRACKED = 64, /* the most steps that lanes_track looks ahead */
  LANES_CHAINS = 12   /* chains of lanes_multiply_adds */
};

typedef enum { ISA_PORTABLE, ISA_AVX2, ISA_AVX512, ISA_COUNT } LanesIsa;

/* A bundle of runs of one method, structure of arrays. Lanes are independent and may differ in everything but the
 * method, momentum, balance_cap, soft_period and the step count. */
typedef struct Bundle {
  _Alignas(64) double x[3][LANES], y[3][LANES];                   /* x_p x_q x_o; y_p y_q y_o */
  _Alignas(64) double previous_x[3][LANES], previous_y[3][LANES]; /* heavy ball only; the start at first */
  _Alignas(64) double cosine[LANES], step[LANES];                 /* c and eta of each lane */
  _Alignas(64) double excess[LANES];                              /* set by lanes_excess and lanes_check */
  double momentum, balance_cap, soft_period;
  size_t iteration; /* steps taken (soft's clock) */
} Bundle;

/* lanes_best: the widest instruction set that this processor and this build have. lanes_has: whether one is there. */
LanesIsa lanes_best(void);
bool lanes_has(LanesIsa isa);
const char *lanes_name(LanesIsa isa);

/* lanes_clear: an empty bundle for runs with these parameters: every lane rests at zero with c = 0.
 * lanes_set: put a run at its start into a lane. */
void lanes_clear(Bundle *bundle, const MethodParameters *parameters);
void lanes_set(Bundle *bundle, size_t lane, double cosine, double step, const Reduced *start);

/* lanes_copy: a lane of one bundle into a lane of another, all that belongs to it. lanes_state: its six numbers. */
void lanes_copy(Bundle *to, size_t to_lane, const Bundle *from, size_t from_lane);
Reduced lanes_state(const Bundle *bundle, size_t lane);

/* lanes_advance: `steps` steps of every lane. A lane that is infinite or NaN at the end becomes NaN in all its numbers
 * (the bits of the macro NAN) and harms no other; one below LANES_SMALLEST becomes zero. When x_o = y_o = 0 in all
 * lanes, as from the paper's start, a shorter loop on four numbers leaves the same bytes. */
void lanes_advance(LanesIsa isa, LaneRule rule, Bundle *bundle, size_t steps);

/* lanes_excess: bundle->excess <- loss minus optimum, as in problem_measure; NaN for an overflown lane.
 * lanes_check: the same, and one bit for each lane that has arrived (excess <= tolerance) or left (a number that is
 * NaN or beyond the bound in absolute value). */
void lanes_excess(LanesIsa isa, Bundle *bundle);
uint32_t lanes_check(LanesIsa isa, Bundle *bundle, double tolerance, double bound);

/* lanes_track: where the next steps lead, without taking them: first[lane] is the number of steps, 1 to `steps`, after
 * which the excess is <= tolerance for the first time, or INFINITY. steps <= LANES_TRACKED. */
void lanes_track(LanesIsa isa, LaneRule rule, const Bundle *bundle, size_t steps, double tolerance,
                 double first[LANES]);

/* lanes_step_full: one simultaneous gradient step in full dimension, one pass of 48 d bytes over memory:
 *   u <- su u + gu X v,  v <- sv v + gv X u   with X v = a (b'v) + b (a'v), and sums <- those of the new u, v.
 * coefficient = { su, gu, sv, gv }; sums = { a'u, b'u, u'u, a'v, b'v, v'v } of the old state on entry. Deterministic
 * for any number of threads: partial sums over fixed blocks, added in a fixed order, with compensation.
 * lanes_step_full_with: the same on a chosen instruction set. */
void lanes_step_full(size_t d, const double *a, const double *b, double *u, double *v, const double coefficient[4],
                     double sums[6]);
void lanes_step_full_with(LanesIsa isa, size_t d, const double *a, const double *b, double *u, double *v,
                          const double coefficient[4], double sums[6]);

/* ---- the machine's limits, for the bench ---- */

/* lanes_multiply_adds: LANES_CHAINS * lanes_width * rounds fused multiply-adds in registers, rounds a multiple of 4;
 * returns a sum of the results, to be used so that nothing is optimised away. lanes_width: elements of a vector.
 * lanes_copy_stream: a copy of `count` doubles (a multiple of 8, both ends aligned to 64 bytes) past the caches. */
double lanes_multiply_adds(LanesIsa isa, size_t rounds);
size_t lanes_width(LanesIsa isa);
void lanes_copy_stream(LanesIsa isa, size_t count, const double *from, double *to);

#endif
