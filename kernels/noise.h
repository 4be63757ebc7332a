/* noise.h: the stream of rng.h on a device: the same counters, the same words, and normal numbers in double, so that
 * noise agrees with the C backend's to the last places of double and rounds to the same storage. */
#ifndef SEESAW_KERNELS_NOISE_H
#define SEESAW_KERNELS_NOISE_H

#include "contract.h"
#include "language.h"

namespace SEESAW_BACKEND {

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011), as philox of rng.h. */
struct Words {
  uint32_t at[4];
};

__device__ __forceinline__ Words noise_words(Rng rng, uint64_t pair) {
  Words c = {{uint32_t(pair), uint32_t(pair >> 32), rng.step, rng.purpose}};
  uint32_t key_0 = uint32_t(rng.seed), key_1 = uint32_t(rng.seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    uint64_t product_0 = uint64_t(0xD2511F53u) * c.at[0], product_1 = uint64_t(0xCD9E8D57u) * c.at[2];
    c = {{uint32_t(product_1 >> 32) ^ c.at[1] ^ key_0, uint32_t(product_1), uint32_t(product_0 >> 32) ^ c.at[3] ^ key_1,
          uint32_t(product_0)}};
    key_0 += 0x9E3779B9u;
    key_1 += 0xBB67AE85u;
  }
  return c;
}

/* noise_fraction: 53 bits of two words, in the open interval (0, 1). */
__device__ __forceinline__ double noise_fraction(uint32_t low, uint32_t high) {
  uint64_t top = (uint64_t(high) << 32 | low) >> 11;
  return top > 0 ? double(top) * 0x1p-53 : 0x1p-54;
}

/* noise_normals: numbers 2 pair and 2 pair + 1 of the stream (Box-Muller). */
struct NormalPair {
  double at[2];
};

__device__ __forceinline__ NormalPair noise_normals(Rng rng, uint64_t pair) {
  Words word = noise_words(rng, pair);
  double radius = sqrt(-2.0 * log(noise_fraction(word.at[0], word.at[1])));
  double angle = 6.283185307179586476925286766559 * noise_fraction(word.at[2], word.at[3]);
  return {{radius * cos(angle), radius * sin(angle)}};
}

} // namespace SEESAW_BACKEND

#endif
