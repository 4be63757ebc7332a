/* test_stand_in.cu: kernels with a mistake each, and kernels that use every word of the language. */
#define SEESAW_BACKEND stand_in
#include "../kernels/reduce.h"
#include "kernel.h"
#include "mma.h"
#include "test_stand_in.h"

using namespace stand_in;

/* ---- mistakes ---- */

__global__ void missing_barrier(float *y) {
  DYNAMIC_SHARED(float, x);
  x[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = x[(threadIdx.x + 1) % blockDim.x];
}

__global__ void exit_before_barrier() {
  if (threadIdx.x == 5)
    return;
  __syncthreads();
}

__global__ void two_barriers() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void shuffle_of_an_exited_lane() {
  if (threadIdx.x == 7)
    return;
  __shfl_xor_sync(FULL, 1.0f, 1);
}

__global__ void shuffle_of_a_waiting_lane() {
  if (threadIdx.x == 9)
    __syncthreads();
  else
    __shfl_down_sync(FULL, 1, 1);
}

__global__ void shuffle_without_itself() {
  __shfl_sync(0xffu, 1, 0);
}

__global__ void shuffle_from_beyond_its_mask() {
  if (threadIdx.x < 8)
    __shfl_sync(0xffu, 1, 12);
}

__global__ void two_masks() {
  __syncwarp(threadIdx.x % WARP < 16 ? FULL : 0xfffffff0u);
}

__global__ void vote_in_half_a_warp() {
  __any_sync(FULL, 1);
}

__global__ void write_beyond_shared(int past) {
  SHARED(float, x, 32);
  SHARED(float, y, 5);
  x[threadIdx.x] = 1.0f;
  y[threadIdx.x == 3 ? 4 + past : 0] = 1.0f;
}

__global__ void write_beyond_dynamic(int past) {
  DYNAMIC_SHARED(float, x);
  x[threadIdx.x == 3 ? 32 + past : 0] = 1.0f;
}

__global__ void unwritten(float *y, unsigned count) {
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i + 1 < count)
    y[i] = 1.0f;
}

__global__ void partial_sum(float *sums) {
  if (blockIdx.x == 0)
    sums[0] = 1.0f;
}

__global__ void sum_of_two(float *y, const float *sums) {
  y[0] = sums[0] + sums[1];
}

__global__ void copies_left(const float *x) {
  SHARED(float, kept, 32);
  copy_async_number(kept + threadIdx.x, x + threadIdx.x);
  copies_commit();
}

__global__ void nothing() {}

__global__ void races_of_blocks(float *y) {
  y[0] = static_cast<float>(blockIdx.x);
}

extern "C" {

void plant_missing_barrier(const Ops *ops, float *y, unsigned threads) {
  LAUNCH(missing_barrier, 1, threads, threads * sizeof(float), stream_of(ops), y);
}

/* A kernel without arguments, two warps unless said otherwise. */
#define PLANT(kernel, threads)                                                                                         \
  void plant_##kernel(const Ops *ops) {                                                                                \
    LAUNCH(kernel, 2, threads, 0, stream_of(ops));                                                                     \
  }
PLANT(exit_before_barrier, 64)
PLANT(two_barriers, 64)
PLANT(shuffle_of_an_exited_lane, 64)
PLANT(shuffle_of_a_waiting_lane, 64)
PLANT(shuffle_without_itself, 64)
PLANT(shuffle_from_beyond_its_mask, 64)
PLANT(two_masks, 64)
PLANT(vote_in_half_a_warp, 48)

void plant_write_beyond_shared(const Ops *ops, int past) {
  LAUNCH(write_beyond_shared, 1, 32, 0, stream_of(ops), past);
}

void plant_write_beyond_dynamic(const Ops *ops, int past) {
  LAUNCH(write_beyond_dynamic, 1, 32, 33 * sizeof(float), stream_of(ops), past);
}

void plant_unwritten(const Ops *ops, float *y, unsigned count) {
  LAUNCH(unwritten, static_cast<unsigned>(ceil_div(count, 32)), 32, 0, stream_of(ops), y, count);
}

void plant_unwritten_sum(const Ops *ops, float *y) {
  float *sums = state_of(ops)->scratch;
  LAUNCH(partial_sum, 2, 32, 0, stream_of(ops), sums);
  LAUNCH(sum_of_two, 1, 32, 0, stream_of(ops), y, sums);
}

void plant_copies_left(const Ops *ops, const float *x) {
  LAUNCH(copies_left, 1, 32, 0, stream_of(ops), x);
}

void plant_launch(const Ops *ops, unsigned threads, size_t shared, unsigned rows) {
  LAUNCH(nothing, dim3(1, rows), threads, shared, stream_of(ops));
}

void plant_races_of_blocks(const Ops *ops, float *y, unsigned blocks) {
  LAUNCH(races_of_blocks, blocks, 32, 0, stream_of(ops), y);
}
}

/* ---- the language ---- */

__global__ void warps(double *y) {
  int lane = threadIdx.x % WARP, k = 0;
  double *to = y + threadIdx.x * LANGUAGE_RESULTS;
  float x = 100.0f + static_cast<float>(threadIdx.x);
  double wide = 1e300 + 1e284 * threadIdx.x; /* eight bytes */
  to[k++] = __shfl_sync(FULL, x, 3);
  to[k++] = __shfl_sync(FULL, x, lane + 1);
  to[k++] = __shfl_sync(FULL, x, 5, 8);
  to[k++] = __shfl_up_sync(FULL, x, 1);
  to[k++] = __shfl_up_sync(FULL, x, 3, 16);
  to[k++] = __shfl_down_sync(FULL, x, 1);
  to[k++] = __shfl_down_sync(FULL, x, 3, 16);
  to[k++] = __shfl_xor_sync(FULL, x, 1);
  to[k++] = __shfl_xor_sync(FULL, x, 31);
  to[k++] = __shfl_xor_sync(FULL, x, 8, 8);
  to[k++] = __shfl_sync(FULL, wide, 31 - lane);
  to[k++] = __ballot_sync(FULL, lane % 3 == 0);
  to[k++] = __any_sync(FULL, lane == 30);
  to[k++] = __any_sync(FULL, 0);
  to[k++] = __all_sync(FULL, lane < 32);
  to[k++] = __all_sync(FULL, lane < 31);
  if (lane < 8) { /* a part of a warp */
    to[k] = __shfl_xor_sync(0xffu, x, 4);
    to[k + 1] = __ballot_sync(0xffu, lane > 4);
    __syncwarp(0xffu);
  } else
    to[k] = to[k + 1] = -1.0;
  k += 2;
  to[k++] = __shfl_sync(FULL, static_cast<int>(threadIdx.x) - 50, 2);
  to[k++] = __popc(0xf0f0u) + 100 * __ffs(8) + 10000 * __clz(1) + 1000000 * (__umulhi(0x80000000u, 6) == 3u);
  to[k++] = rsqrtf(0.25f) + min(3, 2) + max(10.0f, 20.0f) + __int_as_float(__float_as_int(0.5f));
}

__global__ void indices(int *seen) {
  unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  __syncthreads(); /* indices are a thread's own after it waited */
  seen[block * 24 + thread] += threadIdx.x == thread % 4 && threadIdx.z == thread / 12;
}

__global__ void reduce(float *sum, float *most, const float *x) {
  float total = block_sum(x[threadIdx.x]), largest = block_max(x[threadIdx.x]);
  sum[threadIdx.x] = total + block_sum(0.0f);
  most[threadIdx.x] = largest;
}

__global__ void atomics(float *f, double *d, int *i, unsigned *u) {
  int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(f, 1.0f);
  atomicAdd(d, 0.5);
  atomicAdd(&i[0], -1);
  atomicMax(&i[1], thread);
  atomicMin(&i[2], -thread);
  i[4] = atomicExch(&i[3], thread) >= 0;
  atomicAdd(&u[0], 2u);
  atomicOr(&u[1], 1u << threadIdx.x % 32);
  atomicAnd(&u[2], ~(1u << threadIdx.x % 8));
  atomicCAS(&u[3], 0u, 77u);
  atomicSub(&u[4], 1u);
}

__global__ void fresh_shared(float *first) {
  DYNAMIC_SHARED(float, x);
  SHARED(float, y, 3);
  if (threadIdx.x == 0) {
    first[2 * blockIdx.x] = x[0];
    first[2 * blockIdx.x + 1] = y[2];
    x[0] = y[2] = 1.0f;
  }
}

template <int LEFT> __global__ void copies(float *y, const float *x) {
  SHARED(float, kept, 64);
  unsigned i = threadIdx.x, other = (i + 1) % 32; /* what another thread copied */
  copy_async_number(kept + i, x + i);
  copies_commit();
  copy_async_number(kept + 32 + i, x + 32 + i);
  copies_commit();
  copies_wait<LEFT>();
  __syncthreads();
  y[other] = kept[other];
  y[32 + other] = kept[32 + other];
  __syncthreads(); /* all have looked */
  copies_wait<0>();
}

__global__ void multiply(float (*c)[4], const uint32_t (*a)[4], const uint32_t (*b)[2]) {
  unsigned lane = threadIdx.x;
  Word4 words = {{a[lane][0], a[lane][1], a[lane][2], a[lane][3]}};
  mma(c[lane], words, b[lane][0], b[lane][1]);
}

__global__ void matrices(uint32_t (*to)[4], const uint16_t *from, bool transposed) {
  enum { PITCH = 24 }; /* rows lie apart, at multiples of 16 bytes */
  SHARED(bf16, rows, 32 * PITCH);
  bf16 *own = rows + threadIdx.x * PITCH;
  for (unsigned j = 0; j < 8; j++)
    own[j] = bf16{from[8 * threadIdx.x + j]};
  __syncthreads();
  Word4 words = transposed ? matrices_load<true>(own) : matrices_load<false>(own);
  for (int i = 0; i < 4; i++)
    to[threadIdx.x][i] = words.at[i];
}

__global__ void switches(int times, unsigned *passed) {
  for (int i = 0; i < times; i++) {
    __syncthreads();
    passed[threadIdx.x]++;
  }
}

extern "C" {

void language_warps(const Ops *ops, double *y) {
  LAUNCH(warps, 1, LANGUAGE_THREADS, 0, stream_of(ops), y);
}

void language_indices(const Ops *ops, int *seen) {
  LAUNCH(indices, dim3(3, 2, 2), dim3(4, 3, 2), 0, stream_of(ops), seen);
}

void language_reduce(const Ops *ops, float *sum, float *most, const float *x, unsigned threads) {
  LAUNCH(reduce, 1, threads, 0, stream_of(ops), sum, most, x);
}

void language_atomics(const Ops *ops, float *f, double *d, int *i, unsigned *u, unsigned blocks) {
  LAUNCH(atomics, blocks, 64, 0, stream_of(ops), f, d, i, u);
}

void language_shared(const Ops *ops, float *first, unsigned blocks) {
  LAUNCH(fresh_shared, blocks, 32, 4, stream_of(ops), first);
}

void language_copies(const Ops *ops, float *y, const float *x, int left) {
  LAUNCH((left == 0 ? copies<0> : left == 1 ? copies<1> : copies<2>), 1, 32, 0, stream_of(ops), y, x);
}

void language_mma(const Ops *ops, float c[32][4], const uint32_t a[32][4], const uint32_t b[32][2]) {
  LAUNCH(multiply, 1, 32, 0, stream_of(ops), c, a, b);
}

void language_matrices(const Ops *ops, uint32_t to[32][4], const uint16_t *from, bool transposed) {
  LAUNCH(matrices, 1, 32, 0, stream_of(ops), to, from, transposed);
}

void language_switches(const Ops *ops, int times, unsigned *passed) {
  LAUNCH(switches, 1, 256, 0, stream_of(ops), times, passed);
}

/* ---- bf16 ---- */

float own_bf16_to_float(uint16_t bits) {
  return to_float(bf16{bits});
}

uint16_t own_bf16_from_float(float x) {
  return from_float<bf16>(x).bits;
}
}
