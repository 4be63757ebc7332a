/* mma.h: tensor-core and copy instructions, each beside its meaning in plain code, which the stand-in runs.
 *
 *   copy_async        16 bytes from global to shared memory, some time before copies_wait lets them through (cp.async);
 *                     not there: zeros, and `from` is not touched
 *   copy_async_number 4 bytes, likewise
 *   copies_commit     what this thread has asked for since the last time is a group
 *   copies_wait<n>    all groups of this thread but the last n have arrived; other threads' too after __syncthreads
 *   matrices_load     four 8 x 8 matrices of bf16 from shared memory into a warp's fragments (ldmatrix, .trans)
 *   mma               c += a b, a 16 x 16, b 16 x 8, bf16; c 16 x 8, float (mma.sync m16n8k16)
 *
 * Fragments, with g = lane / 4 and t = lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k16"); a word has two bf16,
 * the lower half first:
 *   c[0], c[1]   row g, columns 2t and 2t + 1        c[2], c[3]   row g + 8, the same columns
 *   a[0], a[1]   rows g and g + 8, columns 2t, 2t+1  a[2], a[3]   the same rows, columns 2t + 8, 2t + 9
 *   b[0], b[1]   rows 2t, 2t + 1 and 2t + 8, 2t + 9 of column g */
#ifndef SEESAW_KERNELS_MMA_H
#define SEESAW_KERNELS_MMA_H

#include "language.h"

namespace SEESAW_BACKEND {

struct Word4 {
  uint32_t at[4];
};

#ifdef __CUDACC__

__device__ __forceinline__ unsigned shared_address(const void *shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

__device__ __forceinline__ void copy_async(void *to, const void *from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void copy_async_number(float *to, const float *from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void copies_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int LEFT> __device__ __forceinline__ void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

template <bool TRANSPOSED> __device__ __forceinline__ Word4 matrices_load(const bf16 *row) {
  Word4 w;
  if (TRANSPOSED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(w.at[0]), "=r"(w.at[1]), "=r"(w.at[2]), "=r"(w.at[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(w.at[0]), "=r"(w.at[1]), "=r"(w.at[2]), "=r"(w.at[3])
                 : "r"(shared_address(row))
                 : "memory");
  return w;
}

__device__ __forceinline__ void mma(float (&c)[4], const Word4 &a, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.at[0]), "r"(a.at[1]), "r"(a.at[2]), "r"(a.at[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ uint32_t pair_of(float low, float high) {
  __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<uint32_t *>(&both);
}

/* Never contracted into a fused multiply-add: what is subtracted from it may be the same product. */
__device__ __forceinline__ float product(float x, float y) {
  return __fmul_rn(x, y);
}

/* 2^x by the card's unit (2 ulp; -infinity gives 0). */
__device__ __forceinline__ float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#else

/* A copy arrives as late as it may: in the wait that lets it through. Until then shared memory is what it was. */
using machine::Copies;

inline void copy_begin(void *to, const void *from, size_t bytes) {
  Copies &c = machine::copies();
  REQUIRE(reinterpret_cast<uintptr_t>(to) % bytes == 0 && reinterpret_cast<uintptr_t>(from) % bytes == 0,
          "copy_async: %p from %p is not aligned to %zu bytes", to, from, bytes);
  REQUIRE(c.count < Copies::MOST, "copy_async: more than %d copies under way", Copies::MOST);
  c.copy[c.count++] = {to, from, bytes};
}

inline void copy_async(void *to, const void *from, bool there) {
  copy_begin(to, there ? from : nullptr, 16);
}

inline void copy_async_number(float *to, const float *from) {
  copy_begin(to, from, sizeof *to);
}

inline void copies_commit() {
  Copies &c = machine::copies();
  REQUIRE(c.groups < Copies::MOST, "copies_commit: more than %d groups under way", Copies::MOST);
  c.end[c.groups++] = c.count;
}

template <int LEFT> inline void copies_wait() {
  Copies &c = machine::copies();
  int done = c.groups - LEFT, arrived = done > 0 ? c.end[done - 1] : 0;
  if (done <= 0)
    return;
  for (int i = 0; i < arrived; i++)
    if (c.copy[i].from)
      memcpy(c.copy[i].to, c.copy[i].from, c.copy[i].bytes);
    else
      memset(c.copy[i].to, 0, c.copy[i].bytes);
  memmove(c.copy, c.copy + arrived, static_cast<size_t>(c.count - arrived) * sizeof *c.copy);
  for (int i = 0; i < LEFT; i++)
    c.end[i] = c.end[done + i] - arrived;
  c.count -= arrived;
  c.groups = LEFT;
}

/* with_warp: body(words of the 32 lanes), once all have handed in theirs. */
template <class Word, class Body> inline void with_warp(const Word &own, Body body) {
  static Word words[1024];
  words[threadIdx.x] = own;
  __syncwarp();
  body(words + threadIdx.x / WARP * WARP);
  __syncwarp();
}

/* Lane 8 i + j names row j of matrix i. */
template <bool TRANSPOSED> inline Word4 matrices_load(const bf16 *row) {
  unsigned g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
  Word4 w;
  REQUIRE(reinterpret_cast<uintptr_t>(row) % 16 == 0, "matrices_load: a row is not aligned to 16 bytes");
  with_warp(row, [&](const bf16 *const *rows) {
    for (unsigned i = 0; i < 4; i++) {
      const bf16 *const *matrix = rows + 8 * i;
      bf16 low = TRANSPOSED ? matrix[2 * t][g] : matrix[g][2 * t];
      bf16 high = TRANSPOSED ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      w.at[i] = low.bits | static_cast<uint32_t>(high.bits) << 16;
    }
  });
  return w;
}

/* The lower or upper number of a pair. */
inline float number_of(uint32_t pair, unsigned which) {
  return to_float(bf16{static_cast<uint16_t>(pair >> 16 * which)});
}

inline void mma(float (&c)[4], const Word4 &a, uint32_t b0, uint32_t b1) {
  struct Operands {
    Word4 a;
    uint32_t b[2];
  };
  unsigned g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
  with_warp(Operands{a, {b0, b1}}, [&](const Operands *lane) {
    for (unsigned i = 0; i < 4; i++)
      for (unsigned k = 0; k < 16; k++) { /* row g or g + 8 of a: lanes 4g + 0..3; column of b: lanes 4 column + 0..3 */
        unsigned column = 2 * t + i % 2, holder = k % 8 / 2, half = k / 8;
        c[i] += number_of(lane[4 * g + holder].a.at[2 * half + i / 2], k % 2) *
                number_of(lane[4 * column + holder].b[half], k % 2);
      }
  });
}

inline uint32_t pair_of(float low, float high) {
  return from_float<bf16>(low).bits | static_cast<uint32_t>(from_float<bf16>(high).bits) << 16;
}

inline float product(float x, float y) {
  return x * y;
}

inline float power_of_2(float x) {
  return exp2f(x);
}

#endif

} // namespace SEESAW_BACKEND

#endif
