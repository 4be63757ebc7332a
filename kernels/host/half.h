/* half.h: fp16 as storage, rounded to nearest even by the project's own conversions; as of bf16 (bfloat.h), the same
 * bytes on every machine. */
#ifndef SEESAW_KERNELS_HALF_H
#define SEESAW_KERNELS_HALF_H

#include "../contract.h"

struct f16 {
  uint16_t bits;
};

static inline float __half2float(f16 x) {
  return f16_to_float(x.bits);
}

static inline f16 __float2half_rn(float x) {
  return {f16_from_float(x)};
}

#endif
