/* optimiser.cu: the norm of a gradient and a step of AdamW: numbers one by one, through the chunks of all rows. */
#include "kernel.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

/* OPTIMISED: numbers of a chunk: 16 bytes of a working copy in 16 bits, 32 of p, m, v and the gradient. */
enum { OPTIMISER_BLOCK = 256, OPTIMISED = 8, SQUARES_AT_ONCE = 4, SQUARES_BLOCKS = 1024 };

/* Where chunk k of COUNT numbers lies. A division of 64 bits costs as much as a chunk; one long row needs none. */
template <int COUNT> struct ChunkPlace {
  size_t row, column;

  __device__ __forceinline__ ChunkPlace(size_t k, Shape shape) {
    size_t across = ceil_div(shape.columns, COUNT);
    row = shape.rows > 1 ? k / across : 0;
    column = (k - row * across) * COUNT;
  }
};

/* ---- sum_squares: each block sums its chunks; then one block adds up the blocks' sums ---- */

/* Bound by bytes: 4 or 2 a number, read once; in double each is one conversion and one multiply-add, far below what a
 * card with a half rate of double does in that time. Thread by thread through the chunks, AT_ONCE loads in flight. */
template <class T>
__global__ void __launch_bounds__(OPTIMISER_BLOCK) squares_kernel(double *sums, Rows<const T> x, Shape shape) {
  size_t chunks = shape.rows * ceil_div(shape.columns, WIDE<T>), threads = gridDim.x * size_t(OPTIMISER_BLOCK);
  double sum = 0.0;
  for (size_t k = blockIdx.x * size_t(OPTIMISER_BLOCK) + threadIdx.x; k < chunks; k += SQUARES_AT_ONCE * threads) {
    Stored<WIDE<T>, T> stored[SQUARES_AT_ONCE] = {};
#pragma unroll
    for (int c = 0; c < SQUARES_AT_ONCE; c++)
      if (k + c * threads < chunks) {
        ChunkPlace<WIDE<T>> at(k + c * threads, shape);
        stored[c] = chunk_fetch<WIDE<T>>(x.row(at.row), x.wide, at.column, shape.columns);
      }
#pragma unroll
    for (int c = 0; c < SQUARES_AT_ONCE; c++) {
      Chunk<WIDE<T>> chunk = chunk_of(stored[c]);
#pragma unroll
      for (int i = 0; i < WIDE<T>; i++)
        sum += double(chunk.at[i]) * double(chunk.at[i]); /* also squares that float cannot hold */
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(OPTIMISER_BLOCK) squares_total_kernel(double *total, const double *sums, size_t n) {
  double sum = 0.0;
  for (size_t i = threadIdx.x; i < n; i += OPTIMISER_BLOCK)
    sum += sums[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    *total += sum;
}

void sum_squares(const Ops *ops, Tensor total, Tensor x) {
  Shape shape = shape_of(x, tensor_contiguous(x));
  double *sums = reinterpret_cast<double *>(state_of(ops)->scratch);
  by_type(x.dtype, [&](auto number) {
    using T = decltype(number);
    size_t chunks = shape.rows * ceil_div(shape.columns, WIDE<T>);
    size_t blocks = at_most(ceil_div(chunks, OPTIMISER_BLOCK * SQUARES_AT_ONCE), SQUARES_BLOCKS);
    LAUNCH(squares_kernel<T>, static_cast<unsigned>(blocks), OPTIMISER_BLOCK, 0, stream_of(ops), sums,
           rows_of<const T>(x), shape);
    LAUNCH(squares_total_kernel, 1, OPTIMISER_BLOCK, 0, stream_of(ops), static_cast<double *>(total.data), sums,
           blocks);
  });
}

/* ---- adamw ---- */

/* The rule's numbers as the kernel needs them: p = keep p - step m / (sqrt(v) / root + epsilon). */
struct AdamWStep {
  float factor, beta1, beta2, rest1, rest2; /* rest = 1 - beta */
  float keep, step, root, epsilon;
};

static AdamWStep adamw_step(const AdamW *rule) {
  double n = static_cast<double>(rule->step);
  return {float(rule->factor),
          float(rule->beta1),
          float(rule->beta2),
          float(1.0 - rule->beta1),
          float(1.0 - rule->beta2),
          float(1.0 - rule->rate * rule->decay),
          float(rule->rate / (1.0 - pow(rule->beta1, n))),
          float(sqrt(1.0 - pow(rule->beta2, n))),
          float(rule->epsilon)};
}

/* Bound by bytes: 28 a number (p, m, v, gradient read; p, m, v written), and those of the copy. A thread has one chunk:
 * eight loads of 16 bytes before anything is computed. C: the copy's type. */
template <class C>
__global__ void __launch_bounds__(OPTIMISER_BLOCK)
    adamw_kernel(Rows<float> p, Rows<float> m, Rows<float> v, Rows<const float> gradient, Rows<C> copy, Shape shape,
                 AdamWStep r) {
  ChunkPlace<OPTIMISED> at(blockIdx.x * size_t(OPTIMISER_BLOCK) + threadIdx.x, shape);
  size_t n = at.row, column = at.column;
  if (n >= shape.rows || column >= shape.columns)
    return;
  Chunk<OPTIMISED> at_p = chunk_load<OPTIMISED>(p.row(n), p.wide, column, shape.columns);
  Chunk<OPTIMISED> at_m = chunk_load<OPTIMISED>(m.row(n), m.wide, column, shape.columns);
  Chunk<OPTIMISED> at_v = chunk_load<OPTIMISED>(v.row(n), v.wide, column, shape.columns);
  Chunk<OPTIMISED> g = chunk_load<OPTIMISED>(gradient.row(n), gradient.wide, column, shape.columns);
#pragma unroll
  for (int i = 0; i < OPTIMISED; i++) {
    float slope = r.factor * g.at[i];
    at_m.at[i] = r.beta1 * at_m.at[i] + r.rest1 * slope;
    at_v.at[i] = r.beta2 * at_v.at[i] + r.rest2 * slope * slope;
    at_p.at[i] = r.keep * at_p.at[i] - r.step * at_m.at[i] / (sqrtf(at_v.at[i]) / r.root + r.epsilon);
  }
  chunk_store(p.row(n), p.wide, column, shape.columns, at_p);
  chunk_store(m.row(n), m.wide, column, shape.columns, at_m);
  chunk_store(v.row(n), v.wide, column, shape.columns, at_v);
  if (copy.data)
    chunk_store(copy.row(n), copy.wide, column, shape.columns, at_p);
}

/* body(number of the copy's type); absent: any. */
template <class Body> static void by_copy(Tensor copy, Body body) {
  if (copy.data && copy.dtype == DTYPE_F16)
    body(f16());
  else
    by_type(copy.data ? copy.dtype : DTYPE_F32, body);
}

void adamw(const Ops *ops, Tensor p, Tensor m, Tensor v, Tensor gradient, Tensor copy, const AdamW *rule) {
  Shape shape = shape_of(p, tensor_contiguous(p) && tensor_contiguous(m) && tensor_contiguous(v) &&
                                tensor_contiguous(gradient) && tensor_contiguous(copy));
  size_t chunks = shape.rows * ceil_div(shape.columns, OPTIMISED);
  by_copy(copy, [&](auto number) {
    using C = decltype(number);
    LAUNCH(adamw_kernel<C>, static_cast<unsigned>(ceil_div(chunks, OPTIMISER_BLOCK)), OPTIMISER_BLOCK, 0,
           stream_of(ops), rows_of<float>(p), rows_of<float>(m), rows_of<float>(v), rows_of<const float>(gradient),
           rows_of<C>(copy), shape, adamw_step(rule));
  });
}

} // namespace SEESAW_BACKEND
