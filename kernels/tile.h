/* tile.h: products of tiles in shared memory by one warp: of bf16 on tensor cores, of float by fused multiply-adds.
 *
 * Both keep results the same way, that of mma.h: c[i][j] is the 16 x 8 block i down, j across; of it a lane has rows
 * lane / 4 and that + 8, columns 2 (lane % 4) and the next. What is done with scores between two products is then
 * written once, for both types.
 *
 * A tile's rows are D numbers and 16 bytes of padding: eight neighbouring rows then lie in different banks for D = 32,
 * 64, 96, 128 (16 bytes a row: 80, 144, 208, 272 bytes are odd multiples of 16). */
#ifndef SEESAW_KERNELS_TILE_H
#define SEESAW_KERNELS_TILE_H

#include "kernel.h"
#include "mma.h"

namespace SEESAW_BACKEND {

template <class T, int D> constexpr int TILE_PITCH = D + WIDE<T>;

/* Which row and column of a 16 x 8 block this lane's number e has. */
__device__ __forceinline__ int block_row(int e) {
  return static_cast<int>(threadIdx.x) % WARP / 4 + e / 2 * 8;
}
__device__ __forceinline__ int block_column(int e) {
  return static_cast<int>(threadIdx.x) % 4 * 2 + e % 2;
}

template <int DOWN, int ACROSS> __device__ __forceinline__ void tile_zero(float (&c)[DOWN][ACROSS][4]) {
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int j = 0; j < ACROSS; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        c[i][j][e] = 0.0f;
}

/* tile_load: rows [0, rows) of ROWS, columns [0, columns) of D, by all of the block's THREADS; the rest: zeros. `row`
 * is the first row in global memory, wide: 16 bytes at a time, which then arrive as copies do. A thread has the same 16
 * bytes of every AT_ONCE-th row, so that a step is an addition. */
template <int ROWS, int D, int THREADS, class T>
__device__ __forceinline__ void tile_load(T *to, const T *row, size_t pitch, bool wide, int rows, int columns) {
  constexpr int ACROSS = D / WIDE<T>, AT_ONCE = THREADS / ACROSS;
  static_assert(THREADS % ACROSS == 0 && ROWS % AT_ONCE == 0, "every thread has as many chunks");
  int first = static_cast<int>(threadIdx.x) / ACROSS, column = static_cast<int>(threadIdx.x) % ACROSS * WIDE<T>;
  T *place = to + first * TILE_PITCH<T, D> + column;
  row += first * pitch + column;
  if (wide) { /* columns are whole chunks */
#pragma unroll
    for (int n = 0; n < ROWS; n += AT_ONCE)
      copy_async(place + n * TILE_PITCH<T, D>, row + n * pitch, first + n < rows && column < columns);
  } else {
#pragma unroll 1
    for (int n = 0; n < ROWS; n += AT_ONCE)
#pragma unroll
      for (int e = 0; e < WIDE<T>; e++)
        place[n * TILE_PITCH<T, D> + e] =
            first + n < rows && column + e < columns ? row[n * pitch + e] : from_float<T>(0.0f);
  }
}

/* ---- c = a b', rows of a and b in shared memory: scores ---- */

template <int D, int DOWN, int ACROSS>
__device__ __forceinline__ void tile_scores(float (&c)[DOWN][ACROSS][4], const bf16 *a, const bf16 *b) {
  constexpr int PITCH = TILE_PITCH<bf16, D>;
  int lane = threadIdx.x % WARP;
  const bf16 *a_row = a + lane % 16 * PITCH + lane / 16 * 8;
  const bf16 *b_row = b + (lane % 8 + lane / 16 * 8) * PITCH + lane / 8 % 2 * 8;
  tile_zero(c);
#pragma unroll
  for (int k = 0; k < D; k += 16) {
    Word4 own[DOWN];
#pragma unroll
    for (int i = 0; i < DOWN; i++)
      own[i] = matrices_load<false>(a_row + i * 16 * PITCH + k);
#pragma unroll
    for (int j = 0; j < ACROSS; j += 2) { /* rows 8j .. 8j + 15 of b */
      Word4 other = matrices_load<false>(b_row + j * 8 * PITCH + k);
#pragma unroll
      for (int i = 0; i < DOWN; i++) {
        mma(c[i][j], own[i], other.at[0], other.at[1]);
        mma(c[i][j + 1], own[i], other.at[2], other.at[3]);
      }
    }
  }
}

__device__ __forceinline__ float dot_add(float sum, float4 x, float4 y) {
  sum += x.x * y.x;
  sum += x.y * y.y;
  sum += x.z * y.z;
  return sum + x.w * y.w;
}

template <int D, int DOWN, int ACROSS>
__device__ __forceinline__ void tile_scores(float (&c)[DOWN][ACROSS][4], const float *a, const float *b) {
  constexpr int PITCH = TILE_PITCH<float, D>;
  const float *a_row = a + block_row(0) * PITCH, *b_row = b + block_column(0) * PITCH;
  tile_zero(c);
#pragma unroll 2
  for (int k = 0; k < D; k += 4) {
    float4 own[DOWN][2];
#pragma unroll
    for (int i = 0; i < DOWN * 2; i++)
      own[i / 2][i % 2] = *reinterpret_cast<const float4 *>(a_row + i * 8 * PITCH + k);
#pragma unroll
    for (int j = 0; j < ACROSS * 2; j++) {
      float4 other = *reinterpret_cast<const float4 *>(b_row + (j / 2 * 8 + j % 2) * PITCH + k);
#pragma unroll
      for (int i = 0; i < DOWN * 2; i++) {
        float &sum = c[i / 2][j / 2][i % 2 * 2 + j % 2];
        sum = dot_add(sum, own[i / 2][i % 2], other);
      }
    }
  }
}

/* ---- c += p b, p a warp's scores, rows of b in shared memory: weighted rows. bf16: p is rounded to bf16 ---- */

template <int D, int DOWN, int KEYS8>
__device__ __forceinline__ void tile_weigh(float (&c)[DOWN][D / 8][4], const float (&p)[DOWN][KEYS8][4],
                                           const bf16 *b) {
  constexpr int PITCH = TILE_PITCH<bf16, D>;
  int lane = threadIdx.x % WARP;
  const bf16 *b_row = b + lane % 16 * PITCH + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < KEYS8; k += 2) { /* two blocks of results are one operand, in place */
    Word4 own[DOWN];
#pragma unroll
    for (int i = 0; i < DOWN; i++)
      own[i] = {pair_of(p[i][k][0], p[i][k][1]), pair_of(p[i][k][2], p[i][k][3]),
                pair_of(p[i][k + 1][0], p[i][k + 1][1]), pair_of(p[i][k + 1][2], p[i][k + 1][3])};
#pragma unroll
    for (int j = 0; j < D / 8; j += 2) {
      Word4 other = matrices_load<true>(b_row + k * 8 * PITCH + j * 8);
#pragma unroll
      for (int i = 0; i < DOWN; i++) {
        mma(c[i][j], own[i], other.at[0], other.at[1]);
        mma(c[i][j + 1], own[i], other.at[2], other.at[3]);
      }
    }
  }
}

template <int D, int DOWN, int KEYS8>
__device__ __forceinline__ void tile_weigh(float (&c)[DOWN][D / 8][4], const float (&p)[DOWN][KEYS8][4],
                                           const float *b) {
  constexpr int PITCH = TILE_PITCH<float, D>;
#pragma unroll
  for (int k = 0; k < KEYS8 * 8; k++) { /* a row's number k stands with one of the four lanes that have the row */
    int holder = static_cast<int>(threadIdx.x) % WARP / 4 * 4 + k % 8 / 2;
    float own[DOWN][2];
#pragma unroll
    for (int i = 0; i < DOWN * 2; i++)
      own[i / 2][i % 2] = __shfl_sync(FULL, p[i / 2][k / 8][i % 2 * 2 + k % 2], holder);
#pragma unroll
    for (int j = 0; j < D / 8; j++) {
      float2 other = *reinterpret_cast<const float2 *>(b + k * PITCH + j * 8 + block_column(0));
#pragma unroll
      for (int i = 0; i < DOWN * 2; i++) {
        c[i / 2][j][i % 2 * 2] += own[i / 2][i % 2] * other.x;
        c[i / 2][j][i % 2 * 2 + 1] += own[i / 2][i % 2] * other.y;
      }
    }
  }
}

} // namespace SEESAW_BACKEND

#endif
