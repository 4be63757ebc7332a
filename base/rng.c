/* rng.c: Philox4x32-10 and what is made of its words.
 *
 * The counter is (index / 2 low, index / 2 high, step, purpose) and the key is the seed, so two numbers share one
 * counter: its four words are two 64-bit words, and those are two uniforms or, by Box-Muller, two normals. */
#include "rng.h"

#include <math.h>

enum { ROUNDS = 10 };

static const uint32_t MULTIPLIER_0 = 0xD2511F53, MULTIPLIER_1 = 0xCD9E8D57; /* Salmon et al., table 2 */
static const uint32_t WEYL_0 = 0x9E3779B9, WEYL_1 = 0xBB67AE85;             /* golden ratio, sqrt(3) - 1 */

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t output[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t product_0 = (uint64_t)MULTIPLIER_0 * c0, product_1 = (uint64_t)MULTIPLIER_1 * c2;
    c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)product_1;
    c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)product_0;
    k0 += WEYL_0;
    k1 += WEYL_1;
  }
  output[0] = c0, output[1] = c1, output[2] = c2, output[3] = c3;
}

/* The top 53 bits as a fraction. Zero, one draw in 2^53, becomes 2^-54: the interval is open and nothing rounds to 1.
 */
static double open_fraction(uint64_t word) {
  uint64_t top = word >> 11;
  return top > 0 ? (double)top * 0x1p-53 : 0x1p-54;
}

static void uniform_pair(Rng rng, uint64_t pair, double output[2]) {
  const uint32_t counter[4] = {(uint32_t)pair, (uint32_t)(pair >> 32), rng.step, rng.purpose};
  const uint32_t key[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
  uint32_t words[4];
  philox(counter, key, words);
  output[0] = open_fraction((uint64_t)words[1] << 32 | words[0]);
  output[1] = open_fraction((uint64_t)words[3] << 32 | words[2]);
}

/* Never inlined: a caller that needs one of the two must run the very same instructions as one that needs both. */
static __attribute__((noinline)) void normal_pair(Rng rng, uint64_t pair, double output[2]) {
  const double two_pi = 6.283185307179586476925286766559;
  double uniform[2];
  uniform_pair(rng, pair, uniform);
  double radius = sqrt(-2 * log(uniform[0])), angle = two_pi * uniform[1];
  output[0] = radius * cos(angle);
  output[1] = radius * sin(angle);
}

double rng_uniform(Rng rng, uint64_t index) {
  double pair[2];
  uniform_pair(rng, index / 2, pair);
  return pair[index % 2];
}

double rng_normal(Rng rng, uint64_t index) {
  double pair[2];
  normal_pair(rng, index / 2, pair);
  return pair[index % 2];
}

void rng_fill_normal(Rng rng, uint64_t first, size_t count, double *output) {
  size_t i = 0;
  if (first % 2 == 1 && count > 0)
    output[i++] = rng_normal(rng, first);
  for (; count - i >= 2; i += 2)
    normal_pair(rng, (first + i) / 2, output + i);
  if (i < count)
    output[i] = rng_normal(rng, first + i);
}
