/* elementwise.cu: what treats every number alike: sums, factors, copies, zeros, noise and activation functions. All
 * but noise read each number once and write it once: bytes bound them, so long as a number costs less than about 20
 * instructions for each byte that it moves (H100). */
#include "noise.h"
#include "places.h"

namespace SEESAW_BACKEND {

/* ---- y += x, y *= factor ---- */

/* 3 numbers move for each: bound by bytes. */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS) add_kernel(Rows<T> y, Rows<const T> x, Shape shape) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    auto y_there = chunk_fetch<WIDE<T>>(y.row(row), y.wide, column, shape.columns);
    auto x_there = chunk_fetch<WIDE<T>>(x.row(row), x.wide, column, shape.columns);
    Chunk<WIDE<T>> a = chunk_of(y_there), b = chunk_of(x_there);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      a.at[i] += b.at[i];
    chunk_store(y.row(row), y.wide, column, shape.columns, a);
  });
}

/* 2 numbers: bytes. */
template <class T> __global__ void __launch_bounds__(PLACE_THREADS) scale_kernel(Rows<T> y, Shape shape, float factor) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    Chunk<WIDE<T>> a = chunk_load<WIDE<T>>(y.row(row), y.wide, column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      a.at[i] *= factor;
    chunk_store(y.row(row), y.wide, column, shape.columns, a);
  });
}

/* ---- noise ---- */

/* A thread makes the two numbers of one counter. Bound by arithmetic in double, about 200 operations a pair. */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    normal_kernel(T *y, size_t count, Rng rng, uint64_t first, double factor) {
  size_t odd = first % 2, pairs = (count + odd + 1) / 2; /* y begins within the first pair if `first` is odd */
  for (size_t p = blockIdx.x * size_t(PLACE_THREADS) + threadIdx.x; p < pairs; p += gridDim.x * size_t(PLACE_THREADS)) {
    NormalPair normal = noise_normals(rng, first / 2 + p);
    for (size_t half = 0; half < 2; half++)
      if (2 * p + half >= odd && 2 * p + half - odd < count)
        y[2 * p + half - odd] = from_float<T>(float(factor * normal.at[half]));
  }
}

/* ---- activation functions: a rule has the function and its slope ---- */

/* The sigmoid of x and of -x, without cancellation where one is near 1. */
struct Logistic {
  float s, rest;
};

__device__ __forceinline__ Logistic logistic(float x) {
  float e = expf(-fabsf(x)), major = __fdividef(1.0f, 1.0f + e), minor = e * major;
  return x > 0.0f ? Logistic{major, minor} : Logistic{minor, major};
}

struct Gelu {
  static __device__ __forceinline__ float below(float x) { /* Phi */
    return 0.5f * erfcf(-0.707106781f * x);
  }
  static __device__ __forceinline__ float of(float x) {
    return x * below(x);
  }
  static __device__ __forceinline__ float slope(float x) {
    return below(x) + x * (0.398942280f * expf(-0.5f * x * x));
  }
};

struct QuickGelu {
  static __device__ __forceinline__ float of(float x) {
    return x * logistic(1.702f * x).s;
  }
  static __device__ __forceinline__ float slope(float x) {
    Logistic l = logistic(1.702f * x);
    return l.s * (1.0f + 1.702f * x * l.rest);
  }
};

/* 2 numbers: bytes (quick-GELU: about 15 instructions; GELU: 45, level with the bytes of bf16). */
template <class Rule, class T>
__global__ void __launch_bounds__(PLACE_THREADS) activation_fwd_kernel(Rows<T> y, Rows<const T> x, Shape shape) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    Chunk<WIDE<T>> at = chunk_load<WIDE<T>>(x.row(row), x.wide, column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      at.at[i] = Rule::of(at.at[i]);
    chunk_store(y.row(row), y.wide, column, shape.columns, at);
  });
}

/* 3 numbers, 4 to add: bytes. */
template <class Rule, class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    activation_bwd_kernel(Rows<T> dx, Rows<const T> dy, Rows<const T> x, Shape shape, bool add) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    auto x_there = chunk_fetch<WIDE<T>>(x.row(row), x.wide, column, shape.columns);
    auto dy_there = chunk_fetch<WIDE<T>>(dy.row(row), dy.wide, column, shape.columns);
    Stored<WIDE<T>, T> dx_there = {};
    if (add)
      dx_there = chunk_fetch<WIDE<T>>(dx.row(row), dx.wide, column, shape.columns);
    Chunk<WIDE<T>> at = chunk_of(x_there), above = chunk_of(dy_there), out = chunk_of(dx_there);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      out.at[i] += above.at[i] * Rule::slope(at.at[i]);
    chunk_store(dx.row(row), dx.wide, column, shape.columns, out);
  });
}

/* ---- SwiGLU ---- */

/* 3 numbers for each of y: bytes. */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    swiglu_fwd_kernel(Rows<T> y, Rows<const T> gate, Rows<const T> up, Shape shape) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    auto gate_there = chunk_fetch<WIDE<T>>(gate.row(row), gate.wide, column, shape.columns);
    auto up_there = chunk_fetch<WIDE<T>>(up.row(row), up.wide, column, shape.columns);
    Chunk<WIDE<T>> g = chunk_of(gate_there), u = chunk_of(up_there);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++)
      u.at[i] *= g.at[i] * logistic(g.at[i]).s;
    chunk_store(y.row(row), y.wide, column, shape.columns, u);
  });
}

/* 5 numbers for each of dy, 7 to add: bytes. */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    swiglu_bwd_kernel(Rows<T> dgate, Rows<T> dup, Rows<const T> dy, Rows<const T> gate, Rows<const T> up, Shape shape,
                      bool add) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    auto gate_there = chunk_fetch<WIDE<T>>(gate.row(row), gate.wide, column, shape.columns);
    auto up_there = chunk_fetch<WIDE<T>>(up.row(row), up.wide, column, shape.columns);
    auto dy_there = chunk_fetch<WIDE<T>>(dy.row(row), dy.wide, column, shape.columns);
    Stored<WIDE<T>, T> dgate_there = {}, dup_there = {};
    if (add) {
      dgate_there = chunk_fetch<WIDE<T>>(dgate.row(row), dgate.wide, column, shape.columns);
      dup_there = chunk_fetch<WIDE<T>>(dup.row(row), dup.wide, column, shape.columns);
    }
    Chunk<WIDE<T>> g = chunk_of(gate_there), u = chunk_of(up_there), above = chunk_of(dy_there);
    Chunk<WIDE<T>> dg = chunk_of(dgate_there), du = chunk_of(dup_there);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++) {
      Logistic l = logistic(g.at[i]);
      dg.at[i] += above.at[i] * u.at[i] * l.s * (1.0f + g.at[i] * l.rest);
      du.at[i] += above.at[i] * g.at[i] * l.s;
    }
    chunk_store(dgate.row(row), dgate.wide, column, shape.columns, dg);
    chunk_store(dup.row(row), dup.wide, column, shape.columns, du);
  });
}

/* ---- the table's functions ---- */

void add(const Ops *ops, Tensor y, Tensor x) {
  bool flat = tensor_contiguous(y) && tensor_contiguous(x);
  Shape shape = shape_of(y, flat);
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH(add_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_in<T>(y, flat),
           rows_in<const T>(x, flat), shape);
  });
}

void scale(const Ops *ops, Tensor y, double factor) {
  bool flat = tensor_contiguous(y);
  Shape shape = shape_of(y, flat);
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH(scale_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_in<T>(y, flat), shape,
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
  device_copy(stream_of(ops), y.data, bytes_of(y, y.pitch), x.data, bytes_of(x, x.pitch), width, shape.rows);
}

/* Zero is made of zero bytes in every type. */
void zero(const Ops *ops, Tensor y) {
  Shape shape = shape_of(y, tensor_contiguous(y));
  size_t width = bytes_of(y, shape.columns);
  if (width == 0 || shape.rows == 0)
    return;
  device_clear(stream_of(ops), y.data, bytes_of(y, y.pitch), width, shape.rows);
}

void normal_fill(const Ops *ops, Tensor y, Rng rng, uint64_t first, double factor) {
  size_t count = tensor_count(y), pairs = (count + first % 2 + 1) / 2;
  if (count == 0)
    return;
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    LAUNCH(normal_kernel<T>, static_cast<unsigned>(at_most(ceil_div(pairs, PLACE_THREADS), PLACE_ACROSS)),
           PLACE_THREADS, 0, stream_of(ops), static_cast<T *>(y.data), count, rng, first, factor);
  });
}

template <class Rule> static void forward(const Ops *ops, Tensor y, Tensor x) {
  bool flat = tensor_contiguous(y) && tensor_contiguous(x);
  Shape shape = shape_of(y, flat);
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH((activation_fwd_kernel<Rule, T>), places.blocks, places.threads, 0, stream_of(ops), rows_in<T>(y, flat),
           rows_in<const T>(x, flat), shape);
  });
}

template <class Rule> static void backward(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  bool flat = tensor_contiguous(dx) && tensor_contiguous(dy) && tensor_contiguous(x);
  Shape shape = shape_of(dx, flat);
  by_type(dx.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH((activation_bwd_kernel<Rule, T>), places.blocks, places.threads, 0, stream_of(ops), rows_in<T>(dx, flat),
           rows_in<const T>(dy, flat), rows_in<const T>(x, flat), shape, write == WRITE_ADD);
  });
}

void activation_fwd(const Ops *ops, Tensor y, Tensor x, Activation kind) {
  kind == ACTIVATION_GELU ? forward<Gelu>(ops, y, x) : forward<QuickGelu>(ops, y, x);
}

void activation_bwd(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Activation kind, Write write) {
  kind == ACTIVATION_GELU ? backward<Gelu>(ops, dx, dy, x, write) : backward<QuickGelu>(ops, dx, dy, x, write);
}

void swiglu_fwd(const Ops *ops, Tensor y, Tensor x) {
  Shape shape = shape_of(y, false);
  Tensor gate = tensor_columns(x, 0, shape.columns), up = tensor_columns(x, shape.columns, shape.columns);
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH(swiglu_fwd_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_of<T>(y),
           rows_of<const T>(gate), rows_of<const T>(up), shape);
  });
}

void swiglu_bwd(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  Shape shape = shape_of(dy, false);
  Tensor gate = tensor_columns(x, 0, shape.columns), up = tensor_columns(x, shape.columns, shape.columns);
  Tensor dgate = tensor_columns(dx, 0, shape.columns), dup = tensor_columns(dx, shape.columns, shape.columns);
  by_type(dy.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH(swiglu_bwd_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_of<T>(dgate), rows_of<T>(dup),
           rows_of<const T>(dy), rows_of<const T>(gate), rows_of<const T>(up), shape, write == WRITE_ADD);
  });
}

} // namespace SEESAW_BACKEND
