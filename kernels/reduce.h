/* reduce.h: sums and maxima over warps and blocks, each in a fixed order; every thread gets the result. Blocks are
 * whole warps along x. */
#ifndef SEESAW_KERNELS_REDUCE_H
#define SEESAW_KERNELS_REDUCE_H

#include "language.h"

namespace SEESAW_BACKEND {

/* What to do with two numbers, and what changes nothing. NaN stays: a maximum of it and a number is NaN. */
struct Sum {
  static __device__ __forceinline__ float none() {
    return 0.0f;
  }
  static __device__ __forceinline__ float of(float a, float b) {
    return a + b;
  }
};

struct Maximum {
  static __device__ __forceinline__ float none() {
    return -INFINITY;
  }
  static __device__ __forceinline__ float of(float a, float b) {
    return a > b || a != a ? a : b;
  }
};

template <class Rule> __device__ __forceinline__ float warp_reduce(float x) {
#pragma unroll
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    x = Rule::of(x, __shfl_xor_sync(FULL, x, distance));
  return x;
}

__device__ __forceinline__ float warp_sum(float x) {
  return warp_reduce<Sum>(x);
}
__device__ __forceinline__ float warp_max(float x) {
  return warp_reduce<Maximum>(x);
}

/* Two barriers; the first lets everybody leave an earlier call. */
template <class Rule> __device__ __forceinline__ float block_reduce(float x) {
  SHARED(float, of_warp, WARP);
  int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
  x = warp_reduce<Rule>(x);
  __syncthreads();
  if (lane == 0)
    of_warp[threadIdx.x / WARP] = x;
  __syncthreads();
  return warp_reduce<Rule>(lane < warps ? of_warp[lane] : Rule::none());
}

__device__ __forceinline__ float block_sum(float x) {
  return block_reduce<Sum>(x);
}
__device__ __forceinline__ float block_max(float x) {
  return block_reduce<Maximum>(x);
}

} // namespace SEESAW_BACKEND

#endif
