/* reduce.h: sums and maxima over warps and blocks, of floats, doubles or counts, each in a fixed order; every thread
 * gets the result. Last, sums of columns over a block's warps. Blocks are whole warps along x. */
#ifndef SEESAW_KERNELS_REDUCE_H
#define SEESAW_KERNELS_REDUCE_H

#include "language.h"

namespace SEESAW_BACKEND {

/* What to do with two numbers, and what changes nothing. NaN stays: a maximum of it and a number is NaN. */
struct Sum {
  template <class T> static __device__ __forceinline__ T none() {
    return T(0);
  }
  template <class T> static __device__ __forceinline__ T of(T a, T b) {
    return a + b;
  }
};

struct Maximum {
  template <class T> static __device__ __forceinline__ T none() {
    return T(-INFINITY);
  }
  template <class T> static __device__ __forceinline__ T of(T a, T b) {
    return a > b || a != a ? a : b;
  }
};

template <class Rule, class T> __device__ __forceinline__ T warp_reduce(T x) {
#pragma unroll
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    x = Rule::of(x, __shfl_xor_sync(FULL, x, distance));
  return x;
}

template <class T> __device__ __forceinline__ T warp_sum(T x) {
  return warp_reduce<Sum>(x);
}
template <class T> __device__ __forceinline__ T warp_max(T x) {
  return warp_reduce<Maximum>(x);
}

/* Two barriers; the first lets everybody leave an earlier call. */
template <class Rule, class T> __device__ __forceinline__ T block_reduce(T x) {
  SHARED(T, of_warp, WARP);
  int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
  x = warp_reduce<Rule>(x);
  __syncthreads();
  if (lane == 0)
    of_warp[threadIdx.x / WARP] = x;
  __syncthreads();
  return warp_reduce<Rule>(lane < warps ? of_warp[lane] : Rule::template none<T>());
}

template <class T> __device__ __forceinline__ T block_sum(T x) {
  return block_reduce<Sum>(x);
}
template <class T> __device__ __forceinline__ T block_max(T x) {
  return block_reduce<Maximum>(x);
}

/* block_columns: column sums over a block of WARPS warps into to[0 .. columns), no more than COUNT x 32: lane l of
 * every warp hands in its numbers of columns COUNT l and on; what the warps have is added in their order. Two barriers,
 * as above. */
template <int WARPS, int COUNT, class T>
__device__ __forceinline__ void block_columns(const T (&own)[COUNT], T *to, size_t columns) {
  constexpr unsigned PITCH = WARP + WARP / COUNT; /* neither writing nor reading meet in a bank */
  SHARED(T, share, WARPS * COUNT * PITCH);
  unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  __syncthreads();
#pragma unroll
  for (unsigned i = 0; i < COUNT; i++)
    share[(warp * COUNT + i) * PITCH + lane] = own[i];
  __syncthreads();
  for (unsigned column = threadIdx.x; column < COUNT * WARP && column < columns; column += WARPS * WARP) {
    T sum = 0;
#pragma unroll
    for (unsigned k = 0; k < WARPS; k++)
      sum += share[(k * COUNT + column % COUNT) * PITCH + column / COUNT];
    to[column] = sum;
  }
}

} // namespace SEESAW_BACKEND

#endif
