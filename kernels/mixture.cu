/* mixture.cu: the soft mixture of experts, token by token: noisy gates and the weighted sum. */
#include "kernel.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

enum { MIX_BLOCK = 256, MIX_EXPERTS = 256 /* at most */ };

/* ---- gates: a few numbers a token, so a thread a number, in double as the C backend has them ---- */

/* log(1 + e^x), without overflow for large x and with all digits of e^x for small ones. */
static __device__ __forceinline__ double softplus(double x) {
  return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x)));
}

static __device__ __forceinline__ double sigmoid(double x) {
  double e = exp(-fabs(x));
  return x < 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

/* A thread's number: false beyond the last. */
static __device__ __forceinline__ bool gate_place(Shape shape, size_t *n, size_t *e) {
  size_t k = blockIdx.x * size_t(MIX_BLOCK) + threadIdx.x;
  if (k >= shape.rows * shape.columns)
    return false;
  *n = k / shape.columns;
  *e = k % shape.columns;
  return true;
}

/* Bound by the launch: of 4608 tokens and two experts it reads and writes 150 KB. */
template <class A>
__global__ void __launch_bounds__(MIX_BLOCK) gate_fwd_kernel(Rows<float> z, Rows<const A> clean, Rows<const A> raw,
                                                             Rows<const float> noise, Shape shape, double floor) {
  size_t n, e;
  if (!gate_place(shape, &n, &e))
    return;
  double shift = noise.data ? noise.row(n)[e] * (softplus(to_float(raw.row(n)[e])) + floor) : 0.0;
  z.row(n)[e] = float(to_float(clean.row(n)[e]) + shift);
}

/* dclean and draw may be the same: one after the other. */
template <class A>
__global__ void __launch_bounds__(MIX_BLOCK) gate_bwd_kernel(Rows<A> dclean, Rows<A> draw, Rows<const float> dz,
                                                             Rows<const A> raw, Rows<const float> noise, Shape shape) {
  size_t n, e;
  if (!gate_place(shape, &n, &e))
    return;
  double slope = dz.row(n)[e];
  dclean.row(n)[e] = from_float<A>(to_float(dclean.row(n)[e]) + float(slope));
  if (!noise.data)
    return;
  slope *= noise.row(n)[e] * sigmoid(to_float(raw.row(n)[e]));
  draw.row(n)[e] = from_float<A>(to_float(draw.row(n)[e]) + float(slope));
}

static unsigned gate_blocks(Shape shape) {
  return static_cast<unsigned>(ceil_div(shape.rows * shape.columns, MIX_BLOCK));
}

void noisy_gate_fwd(const Ops *ops, Tensor z, Tensor clean, Tensor raw, Tensor noise, double floor) {
  Shape shape = shape_of(z, false);
  by_type(clean.dtype, [&](auto activation) {
    using A = decltype(activation);
    LAUNCH(gate_fwd_kernel<A>, gate_blocks(shape), MIX_BLOCK, 0, stream_of(ops), rows_of<float>(z),
           rows_of<const A>(clean), rows_of<const A>(raw), rows_of<const float>(noise), shape, floor);
  });
}

void noisy_gate_bwd(const Ops *ops, Tensor dclean, Tensor draw, Tensor dz, Tensor raw, Tensor noise) {
  Shape shape = shape_of(dz, false);
  by_type(dclean.dtype, [&](auto activation) {
    using A = decltype(activation);
    LAUNCH(gate_bwd_kernel<A>, gate_blocks(shape), MIX_BLOCK, 0, stream_of(ops), rows_of<A>(dclean), rows_of<A>(draw),
           rows_of<const float>(dz), rows_of<const A>(raw), rows_of<const float>(noise), shape);
  });
}

/* ---- the mixture: a block a token ---- */

/* What a block mixes: rows h[e * rows + n] of all experts e, so many columns each. */
struct Mixture {
  size_t experts, rows, columns;
};

/* share[e] = softmax(z)[e] / (1 + epsilon), by the first warp, each lane every 32nd expert. */
static __device__ __forceinline__ void mix_shares(float *share, float *kept, const float *z, size_t experts,
                                                  float epsilon) {
  float most = -INFINITY, sum = 0.0f;
  for (size_t e = threadIdx.x; e < experts; e += WARP)
    most = Maximum::of(most, z[e]);
  most = warp_max(most);
  for (size_t e = threadIdx.x; e < experts; e += WARP)
    sum += expf(z[e] - most);
  sum = warp_sum(sum) * (1.0f + epsilon);
  for (size_t e = threadIdx.x; e < experts; e += WARP)
    kept[e] = share[e] = expf(z[e] - most) / sum;
}

/* Chunks of experts first ... first + AT_ONCE - 1 at a column: all loads before any arithmetic. */
template <int AT_ONCE, class A>
static __device__ __forceinline__ void mix_fetch(Stored<WIDE<A>, A> stored[AT_ONCE], Rows<const A> h, Mixture c,
                                                 size_t first, size_t column) {
#pragma unroll
  for (int i = 0; i < AT_ONCE; i++)
    if (first + i < c.experts)
      stored[i] = chunk_fetch<WIDE<A>>(h.row((first + i) * c.rows + blockIdx.x), h.wide, column, c.columns);
}

/* Bound by bytes: experts + 1 numbers a column, each read or written once. AT_ONCE experts' chunks are in flight. */
template <int AT_ONCE, class A>
__global__ void __launch_bounds__(MIX_BLOCK)
    mix_fwd_kernel(Rows<A> y, Rows<float> s, Rows<const float> z, Rows<const A> h, Mixture c, float epsilon) {
  SHARED(float, share, MIX_EXPERTS);
  size_t n = blockIdx.x;
  if (threadIdx.x < WARP)
    mix_shares(share, s.row(n), z.row(n), c.experts, epsilon);
  __syncthreads();
  for (size_t column = threadIdx.x * WIDE<A>; column < c.columns; column += MIX_BLOCK * WIDE<A>) {
    Chunk<WIDE<A>> sum = {};
    for (size_t first = 0; first < c.experts; first += AT_ONCE) {
      Stored<WIDE<A>, A> stored[AT_ONCE] = {};
      mix_fetch<AT_ONCE>(stored, h, c, first, column);
#pragma unroll
      for (int e = 0; e < AT_ONCE; e++) {
        if (first + e >= c.experts)
          continue;
        Chunk<WIDE<A>> of = chunk_of(stored[e]);
#pragma unroll
        for (int i = 0; i < WIDE<A>; i++)
          sum.at[i] += share[first + e] * of.at[i];
      }
    }
    chunk_store(y.row(n), y.wide, column, c.columns, sum);
  }
}

/* What is wanted of a group of experts: dot[e] += dy h_e of a thread's columns (to be summed over the block), dh_e = or
 * (add) += s_e dy. */
template <int AT_ONCE, class A>
static __device__ __forceinline__ void mix_group(float dot[AT_ONCE], Rows<A> dh, Rows<const A> dy, const float *share,
                                                 Rows<const A> h, Mixture c, size_t first, bool dots, bool add) {
  for (size_t column = threadIdx.x * WIDE<A>; column < c.columns; column += MIX_BLOCK * WIDE<A>) {
    Stored<WIDE<A>, A> of_h[AT_ONCE] = {}, of_dh[AT_ONCE] = {};
    Stored<WIDE<A>, A> of_dy = chunk_fetch<WIDE<A>>(dy.row(blockIdx.x), dy.wide, column, c.columns);
    if (dots)
      mix_fetch<AT_ONCE>(of_h, h, c, first, column);
    if (dh.data && add)
      mix_fetch<AT_ONCE>(of_dh, Rows<const A>{dh.data, dh.pitch, dh.wide}, c, first, column);
    Chunk<WIDE<A>> slope = chunk_of(of_dy);
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++) {
      if (first + e >= c.experts)
        continue;
      Chunk<WIDE<A>> of = chunk_of(of_h[e]), grown = chunk_of(of_dh[e]);
#pragma unroll
      for (int i = 0; i < WIDE<A>; i++) {
        dot[e] += slope.at[i] * of.at[i]; /* beyond the row: 0 */
        grown.at[i] += share[first + e] * slope.at[i];
      }
      if (dh.data)
        chunk_store(dh.row((first + e) * c.rows + blockIdx.x), dh.wide, column, c.columns, grown);
    }
  }
}

/* dz = or += s (a - sum softmax(z) a), by the first warp; softmax(z) = s (1 + epsilon). */
static __device__ __forceinline__ void mix_dz(float *dz, const float *share, const float *a, size_t experts,
                                              float epsilon, bool add) {
  float mean = 0.0f;
  for (size_t e = threadIdx.x; e < experts; e += WARP)
    mean += share[e] * (1.0f + epsilon) * a[e];
  mean = warp_sum(mean);
  for (size_t e = threadIdx.x; e < experts; e += WARP)
    dz[e] = (add ? dz[e] : 0.0f) + share[e] * (a[e] - mean);
}

/* Bound by bytes: dy and h read, dh written (and read, to add): 2 or 3 experts + 1 numbers a column, each once; dy
 * again for each further group of AT_ONCE experts (it is in the caches). */
template <int AT_ONCE, class A>
__global__ void __launch_bounds__(MIX_BLOCK)
    mix_bwd_kernel(Rows<float> dz, Rows<A> dh, Rows<const A> dy, Rows<const float> s, Rows<const A> h, Mixture c,
                   float epsilon, bool add) {
  SHARED(float, share, MIX_EXPERTS);
  SHARED(float, a, MIX_EXPERTS); /* a[e] = dy h_e */
  for (size_t e = threadIdx.x; e < c.experts; e += MIX_BLOCK)
    share[e] = s.row(blockIdx.x)[e];
  __syncthreads();
  for (size_t first = 0; first < c.experts; first += AT_ONCE) {
    float dot[AT_ONCE] = {};
    mix_group<AT_ONCE>(dot, dh, dy, share, h, c, first, dz.data != nullptr, add);
    for (int e = 0; e < AT_ONCE && dz.data; e++) {
      float sum = block_sum(dot[e]);
      if (threadIdx.x == 0 && first + e < c.experts)
        a[first + e] = sum;
    }
  }
  __syncthreads();
  if (dz.data && threadIdx.x < WARP)
    mix_dz(dz.row(blockIdx.x), share, a, c.experts, epsilon, add);
}

static Mixture mixture_of(Tensor h) {
  REQUIRE(h.size[0] <= MIX_EXPERTS, "expert_mix: %zu experts, of at most %d", h.size[0], MIX_EXPERTS);
  return {h.size[0], h.size[1], h.size[2]};
}

/* h or dh as rows: of expert e, token n: number e * rows + n. */
template <class A> static Rows<A> expert_rows(Tensor h) {
  size_t columns = h.size[2];
  return {static_cast<A *>(h.data), columns,
          reinterpret_cast<uintptr_t>(h.data) % 16 == 0 && columns * sizeof(A) % 16 == 0};
}

/* Two experts, as SliME has them, or four at once. */
#define LAUNCH_MIX(kernel, c, ...)                                                                                     \
  do {                                                                                                                 \
    if ((c).experts <= 2)                                                                                              \
      LAUNCH((kernel<2, A>), static_cast<unsigned>((c).rows), MIX_BLOCK, 0, stream_of(ops), __VA_ARGS__);              \
    else                                                                                                               \
      LAUNCH((kernel<4, A>), static_cast<unsigned>((c).rows), MIX_BLOCK, 0, stream_of(ops), __VA_ARGS__);              \
  } while (0)

void expert_mix_fwd(const Ops *ops, Tensor y, Tensor s, Tensor z, Tensor h, double epsilon) {
  Mixture c = mixture_of(h);
  by_type(y.dtype, [&](auto activation) {
    using A = decltype(activation);
    LAUNCH_MIX(mix_fwd_kernel, c, rows_of<A>(y), rows_of<float>(s), rows_of<const float>(z), expert_rows<const A>(h), c,
               static_cast<float>(epsilon));
  });
}

void expert_mix_bwd(const Ops *ops, Tensor dz, Tensor dh, Tensor dy, Tensor s, Tensor h, double epsilon, Write write) {
  Mixture c = mixture_of(h);
  by_type(dy.dtype, [&](auto activation) {
    using A = decltype(activation);
    LAUNCH_MIX(mix_bwd_kernel, c, rows_of<float>(dz), expert_rows<A>(dh.data ? dh : Tensor()), rows_of<const A>(dy),
               rows_of<const float>(s), expert_rows<const A>(h), c, static_cast<float>(epsilon), write == WRITE_ADD);
  });
}

} // namespace SEESAW_BACKEND
