/* vector.h: what the inner loops of several operations share: sums in a fixed number of lanes, the exponential, and the
 * mark of a loop that is worth compiling for several instruction sets.
 *
 * No contraction and fixed lanes: every instruction set gives the same bytes. */
#ifndef SEESAW_C_VECTOR_H
#define SEESAW_C_VECTOR_H

#include <math.h>

#include "state.h"

/* C_CLONES: before a hot function: compiled for several instruction sets, chosen as the program starts. Sanitizers
 * cannot follow that choice. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define C_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define C_CLONES
#endif

enum { C_LANES = 8 }; /* partial sums */

static inline double c_lanes_total(const double lane[C_LANES]) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* c_dot: sum of x y, in double. */
static inline double c_dot(const real *x, const real *y, size_t n) {
  double lane[C_LANES] = {0.0};
  size_t i = 0;
  for (; i + C_LANES <= n; i += C_LANES)
    for (size_t j = 0; j < C_LANES; j++)
      lane[j] += (double)x[i + j] * y[i + j];
  for (size_t j = 0; i < n; i++, j++)
    lane[j] += (double)x[i] * y[i];
  return c_lanes_total(lane);
}

/* exp_float: within 1 ulp over all of float (tests/test_ops_attention.c), 0 and infinity beyond, NaN of NaN.
 * exp x = 2^n exp r, n the integer next to x / log 2, r = x - n log 2 in two parts; exp r as in Cephes (Moshier). */
static inline float exp_float(float x) {
  const float magic = 0x1.8p23f; /* adding it rounds to an integer, which stands in the lowest bits */
  union {
    float value;
    uint32_t bits;
  } n, low, high;
  x = fabsf(x) > 110.0f ? copysignf(110.0f, x) : x;
  n.value = x * 0x1.715476p0f + magic;
  float whole = n.value - magic;
  float r = x - whole * 0x1.63p-1f + whole * 0x1.bd0106p-13f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t power = n.bits - 0x4b400000u;   /* n, modulo 2^32 */
  uint32_t half = (power + 256) / 2 - 128; /* 2^n = 2^half 2^(n - half): it may be subnormal or infinite */
  low.bits = (half + 127) << 23;
  high.bits = (power - half + 127) << 23;
  return p * low.value * high.value;
}

static inline double exp_double(double x) {
  return exp(x);
}

#define c_exp REAL_NAME(exp)

/* yes ? a : b without a branch, which would keep loops from being vectorised. */
static inline float choose_float(bool yes, float a, float b) {
  union {
    float value;
    uint32_t bits;
  } first = {.value = a}, second = {.value = b};
  uint32_t mask = -(uint32_t)yes;
  first.bits = (first.bits & mask) | (second.bits & ~mask);
  return first.value;
}

/* exp_below_float: exp_float for x <= 0 (or a little more), as a softmax has it, in two thirds of the time; 0 below
 * -87.7, where results would be subnormal. */
static inline float exp_below_float(float x) {
  const float magic = 0x1.8p23f;
  union {
    float value;
    uint32_t bits;
  } n, scale;
  x = choose_float(x < -100.0f, -100.0f, x);
  n.value = x * 0x1.715476p0f + magic;
  float whole = n.value - magic;
  float r = x - whole * 0x1.63p-1f + whole * 0x1.bd0106p-13f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t power = (int32_t)(n.bits - 0x4b400000u + 127);
  scale.bits = (uint32_t)(power > 0 ? power : 0) << 23; /* 2^n, or 0 */
  return p * scale.value;
}

static inline double exp_below_double(double x) {
  return exp(x);
}

#define c_exp_below REAL_NAME(exp_below)

#endif
