/* half.h: fp16 as storage of weights: read only. As bf16 in no namespace: one of its own would hide the other to_float.
 */
#ifndef SEESAW_KERNELS_HALF_H
#define SEESAW_KERNELS_HALF_H

#include "language.h"

struct Half {
  uint16_t bits;
};

/* Exponent and fraction move to their places and a product mends the exponent's bias, right for subnormal numbers too;
 * infinity and NaN (exponent 31) get theirs by hand. */
__device__ __forceinline__ float to_float(Half x) {
  unsigned size = x.bits & 0x7fffu;
  float value = __int_as_float(static_cast<int>(size << 13)) * 0x1p112f;
  unsigned bits = static_cast<unsigned>(__float_as_int(value)) | (x.bits & 0x8000u) << 16;
  return __int_as_float(static_cast<int>(size >= 0x7c00u ? bits | 0x7f800000u : bits));
}

#endif
