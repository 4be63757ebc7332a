/* elementwise.cu: what treats every number alike: sums, factors, copies, zeros. */
#include "state.h"

namespace SEESAW_BACKEND {

enum { THREADS = 256, MOST_BLOCKS = 4096 };

/* ---- kernels: thread by thread through the chunks of all rows ---- */

/* What a thread does with chunk k. */
template <class T> struct Places {
  size_t across, row, column;

  __device__ __forceinline__ Places(size_t k, size_t columns)
      : across(ceil_div(columns, WIDE<T>)), row(k / across), column(k % across * WIDE<T>) {}
};

template <class T> __global__ void add_kernel(Rows<T> y, Rows<const T> x, Shape shape) {
  size_t chunks = shape.rows * ceil_div(shape.columns, WIDE<T>);
  for (size_t k = blockIdx.x * size_t(THREADS) + threadIdx.x; k < chunks; k += gridDim.x * size_t(THREADS)) {
    Places<T> at(k, shape.columns);
    Chunk<WIDE<T>> a = chunk_load<WIDE<T>>(y.row(at.row), y.wide, at.column, shape.columns);
    Chunk<WIDE<T>> b = chunk_load<WIDE<T>>(x.row(at.row), x.wide, at.column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      a.at[i] += b.at[i];
    chunk_store(y.row(at.row), y.wide, at.column, shape.columns, a);
  }
}

template <class T> __global__ void scale_kernel(Rows<T> y, Shape shape, float factor) {
  size_t chunks = shape.rows * ceil_div(shape.columns, WIDE<T>);
  for (size_t k = blockIdx.x * size_t(THREADS) + threadIdx.x; k < chunks; k += gridDim.x * size_t(THREADS)) {
    Places<T> at(k, shape.columns);
    Chunk<WIDE<T>> a = chunk_load<WIDE<T>>(y.row(at.row), y.wide, at.column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      a.at[i] *= factor;
    chunk_store(y.row(at.row), y.wide, at.column, shape.columns, a);
  }
}

/* ---- the table's functions ---- */

template <class T> static unsigned blocks_for(Shape shape) {
  return static_cast<unsigned>(at_most(ceil_div(shape.rows * ceil_div(shape.columns, WIDE<T>), THREADS), MOST_BLOCKS));
}

void add(const Ops *ops, Tensor y, Tensor x) {
  Shape shape = shape_of(y, tensor_contiguous(y) && tensor_contiguous(x));
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    LAUNCH(add_kernel<T>, blocks_for<T>(shape), THREADS, 0, stream_of(ops), rows_of<T>(y), rows_of<const T>(x), shape);
  });
}

void scale(const Ops *ops, Tensor y, double factor) {
  Shape shape = shape_of(y, tensor_contiguous(y));
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    LAUNCH(scale_kernel<T>, blocks_for<T>(shape), THREADS, 0, stream_of(ops), rows_of<T>(y), shape,
           static_cast<float>(factor));
  });
}

/* Bytes of numbers of any type. */
static size_t bytes_of(Tensor x, size_t numbers) {
  return numbers * dtype_bits(x.dtype) / 8;
}

void copy(const Ops *ops, Tensor y, Tensor x) {
  Shape shape = shape_of(y, tensor_contiguous(y) && tensor_contiguous(x));
  size_t width = bytes_of(y, shape.columns);
  if (width == 0 || shape.rows == 0)
    return;
  bool one = shape.rows == 1; /* its pitch may be anything */
  device_copy(stream_of(ops), y.data, one ? width : bytes_of(y, y.pitch), x.data, one ? width : bytes_of(x, x.pitch),
              width, shape.rows);
}

/* Zero is made of zero bytes in every type. */
void zero(const Ops *ops, Tensor y) {
  Shape shape = shape_of(y, tensor_contiguous(y));
  size_t width = bytes_of(y, shape.columns);
  if (width == 0 || shape.rows == 0)
    return;
  device_clear(stream_of(ops), y.data, shape.rows == 1 ? width : bytes_of(y, y.pitch), width, shape.rows);
}

} // namespace SEESAW_BACKEND
