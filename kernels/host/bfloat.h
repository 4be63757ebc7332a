/* bfloat.h: bf16 as storage: the upper half of a float, rounded to nearest even; NaN becomes 0x7fff, as on a card.
 *
 * Always this one, also where NVIDIA's header is there, so that the stand-in gives the same bytes on every machine;
 * tests/test_stand_in.cu compares the two. */
#ifndef SEESAW_KERNELS_BFLOAT_H
#define SEESAW_KERNELS_BFLOAT_H

#include <stdint.h>
#include <string.h>

struct bf16 {
  uint16_t bits;
};

static inline float __bfloat162float(bf16 x) {
  uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline bf16 __float2bfloat16_rn(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (x != x)
    return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

#endif
