/* language.h: what a kernel file sees: CUDA's language, from nvcc or from its stand-in (host/words.h), and these words
 * for what the two spell differently:
 *
 *   LAUNCH(kernel, blocks, threads, shared, stream, ...)   a kernel with its arguments; a grid without blocks: nothing.
 *                                   A kernel with commas stands in brackets: LAUNCH((sum<float, 4>), ...)
 *   SHARED(type, name, count)       static shared memory: type *name
 *   DYNAMIC_SHARED(type, name)      what the launch asked for, as type *name; more than 48 KB: SHARED_MOST
 *   FULL                            the mask of a whole warp
 *   bf16, f16, to_float, from_float<T>   storage types and the arithmetic's float
 *
 *   INLINED                         behind a lambda's parameters: never a call, so what it captures stays in registers
 *
 * A kernel names whole warps in every mask, launches whole warps, and assumes no synchrony but that of __syncthreads,
 * __syncwarp, shuffles and votes. */
#ifndef SEESAW_KERNELS_LANGUAGE_H
#define SEESAW_KERNELS_LANGUAGE_H

#include <stddef.h>
#include <stdint.h>

#define FULL 0xffffffffu
#define INLINED __attribute__((always_inline))
enum { WARP = 32 };

#ifdef __CUDACC__
#include "card/words.h"
#else
#include "host/words.h"
#endif

/* ---- storage types: float and bf16, of weights and their working copies also f16; arithmetic is in float ---- */

__device__ __forceinline__ float to_float(float x) {
  return x;
}

template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}
__device__ __forceinline__ float to_float(bf16 x) {
  return __bfloat162float(x);
}
template <> __device__ __forceinline__ f16 from_float<f16>(float x) {
  return __float2half_rn(x);
}
__device__ __forceinline__ float to_float(f16 x) {
  return __half2float(x);
}

#endif
