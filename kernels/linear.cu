/* linear.cu: y = onto + x w' + b and its gradients.
 *
 * Three products, each by product.h. Around them, kernels of ours: weights of another type than the activations' are
 * converted, block by block where scratch memory does not hold them all; a few rows (a token at a time) are multiplied
 * as the weights are read; and the columns of dy are summed for db. */
#include "kernel.h"
#include "product.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

enum { BLOCK = 256, FEW_ROWS = 8 };

/* ---- types: body(number of the weights' type) ---- */

template <class Body> static void by_weight(Dtype weights, Body body) {
  if (weights == DTYPE_F32)
    body(float());
  else if (weights == DTYPE_BF16)
    body(bf16());
  else
    body(f16());
}

/* ---- weights as activations ---- */

/* Bound by bytes: each weight is read once, each converted one written once. */
template <class A, class W>
__global__ void __launch_bounds__(BLOCK) weight_kernel(Rows<A> to, Rows<const W> from, size_t count) {
  constexpr int EACH = BOTH<A, W>;
  size_t step = gridDim.x * size_t(BLOCK) * EACH;
  for (size_t i = (blockIdx.x * size_t(BLOCK) + threadIdx.x) * EACH; i < count; i += step)
    chunk_store(to.data, to.wide, i, count, chunk_load<EACH>(from.data, from.wide, i, count));
}

/* Rows [first, first + rows) of w as `type`: where they lie, or converted into scratch memory. */
static Tensor weight_rows(const Ops *ops, Tensor w, Dtype type, size_t first, size_t rows) {
  Tensor part = tensor_rows(w, first, rows), converted = tensor_2(state_of(ops)->scratch, type, rows, w.size[1]);
  if (w.dtype == type)
    return part;
  by_type(type, [&](auto activation) {
    by_weight(w.dtype, [&](auto weight) {
      using A = decltype(activation);
      using W = decltype(weight);
      size_t count = tensor_count(part);
      unsigned blocks = static_cast<unsigned>(at_most(ceil_div(count, 8 * BLOCK), 4096));
      LAUNCH((weight_kernel<A, W>), blocks, BLOCK, 0, stream_of(ops), row_of<A>(converted), row_of<const W>(part),
             count);
    });
  });
  return converted;
}

/* each_block: body(rows of w as `type`, the first of them), in order. One block where nothing is converted. */
template <class Body> static void each_block(const Ops *ops, Tensor w, Dtype type, Body body) {
  size_t rows = w.size[0], most = rows;
  if (w.dtype != type) {
    most = at_most(SCRATCH * sizeof(float) / (w.size[1] * dtype_bits(type) / 8), rows);
    REQUIRE(most > 0, "linear: rows of %zu weights are too long to be converted", w.size[1]);
    most = most >= 128 && most < rows ? most / 128 * 128 : most; /* whole tiles */
  }
  for (size_t first = 0; first < rows; first += most) {
    size_t count = at_most(rows - first, most);
    body(weight_rows(ops, w, type, first, count), first);
  }
}

/* ---- forward, few rows: y[n][o] = onto[n][o] + sum_i x[n][i] w[o][i] + b[o] ---- */

enum { OUTPUTS = 4 /* of a block, so that x is read from the cache once for four rows of w */ };

/* Bound by the bytes of w: each is read once, in loads of 16 bytes, OUTPUTS of them at a time in flight for each
 * thread. A block has OUTPUTS rows of w and ROWS of x; thread t takes chunks t, t + threads, ... of each; then warps
 * add up what their lanes have, and one warp adds the warps' sums in order. */
template <int ROWS, class A, class W>
__global__ void __launch_bounds__(BLOCK)
    few_rows_kernel(Rows<A> y, Rows<const A> x, Rows<const W> w, const A *b, Rows<const A> onto, size_t rows,
                    size_t inputs, size_t outputs) {
  SHARED(float, sums, BLOCK / WARP * ROWS * OUTPUTS);
  constexpr int EACH = BOTH<A, W>;
  size_t first_row = blockIdx.y * size_t(ROWS), first = blockIdx.x * size_t(OUTPUTS);
  float sum[ROWS][OUTPUTS] = {};
  for (size_t i = threadIdx.x * size_t(EACH); i < inputs; i += blockDim.x * size_t(EACH)) {
    Stored<EACH, W> of_w[OUTPUTS];
    Chunk<EACH> weights[OUTPUTS];
#pragma unroll
    for (int o = 0; o < OUTPUTS; o++) /* beyond the last: the last again, not kept */
      of_w[o] = chunk_fetch<EACH>(w.row(first + o < outputs ? first + o : outputs - 1), w.wide, i, inputs);
    Stored<EACH, A> of_x = chunk_fetch<EACH>(x.row(first_row), x.wide, i, inputs);
#pragma unroll
    for (int o = 0; o < OUTPUTS; o++)
      weights[o] = chunk_of(of_w[o]);
#pragma unroll
    for (int n = 0; n < ROWS; n++)
      if (first_row + n < rows) {
        Chunk<EACH> numbers = chunk_of(of_x);
        if (n + 1 < ROWS && first_row + n + 1 < rows) /* on its way while this one is multiplied */
          of_x = chunk_fetch<EACH>(x.row(first_row + n + 1), x.wide, i, inputs);
#pragma unroll
        for (int o = 0; o < OUTPUTS; o++)
#pragma unroll
          for (int k = 0; k < EACH; k++)
            sum[n][o] += numbers.at[k] * weights[o].at[k];
      }
  }
#pragma unroll
  for (int n = 0; n < ROWS; n++)
#pragma unroll
    for (int o = 0; o < OUTPUTS; o++) {
      float all = warp_sum(sum[n][o]);
      if (threadIdx.x % WARP == 0)
        sums[(threadIdx.x / WARP * ROWS + n) * OUTPUTS + o] = all;
    }
  __syncthreads();
  size_t row = first_row + threadIdx.x / OUTPUTS, output = first + threadIdx.x % OUTPUTS;
  if (threadIdx.x >= ROWS * OUTPUTS || row >= rows || output >= outputs)
    return;
  float all = b ? to_float(b[output]) : 0.0f;
  for (unsigned warp = 0; warp < blockDim.x / WARP; warp++)
    all += sums[warp * ROWS * OUTPUTS + threadIdx.x];
  y.row(row)[output] = from_float<A>(onto.data ? to_float(onto.row(row)[output]) + all : all);
}

/* Threads so that each has a chunk at least, where there are so many. */
template <class A, class W> static unsigned threads_for(size_t inputs) {
  constexpr size_t EACH = BOTH<A, W>;
  size_t threads = ceil_div(at_most(inputs, BLOCK * EACH), WARP * EACH) * WARP;
  return threads < WARP ? unsigned(WARP) : static_cast<unsigned>(threads);
}

template <int ROWS> static void few_rows(const Ops *ops, Tensor y, Tensor x, Tensor w, Tensor b, Tensor onto) {
  dim3 blocks(static_cast<unsigned>(ceil_div(w.size[0], OUTPUTS)), static_cast<unsigned>(ceil_div(x.size[0], ROWS)));
  by_type(x.dtype, [&](auto activation) {
    by_weight(w.dtype, [&](auto weight) {
      using A = decltype(activation);
      using W = decltype(weight);
      LAUNCH((few_rows_kernel<ROWS, A, W>), blocks, (threads_for<A, W>(w.size[1])), 0, stream_of(ops), rows_of<A>(y),
             rows_of<const A>(x), rows_of<const W>(w), static_cast<const A *>(b.data), rows_of<const A>(onto),
             x.size[0], w.size[1], w.size[0]);
    });
  });
}

/* ---- db += column sums of dy: a block sums a strip of rows, then strips are added in order ---- */

enum { STRIP_LEAST = 64 /* rows */, STRIPS_MOST = 64, ROWS_AT_ONCE = BLOCK / WARP };

/* Bound by the bytes of dy, read once. Of strip s sums[s columns + column]. Warp w takes rows w, w + 8, ...; a lane a
 * chunk of columns. */
template <class A>
__global__ void __launch_bounds__(BLOCK) column_sums_kernel(float *sums, Rows<const A> dy, Shape shape, size_t strip) {
  unsigned warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  size_t column = (blockIdx.x * size_t(WARP) + lane) * WIDE<A>;
  size_t first = blockIdx.y * strip, end = first + strip < shape.rows ? first + strip : shape.rows;
  Chunk<WIDE<A>> sum = {};
#pragma unroll 4
  for (size_t n = first + warp; n < end; n += ROWS_AT_ONCE) {
    Chunk<WIDE<A>> chunk = chunk_load<WIDE<A>>(dy.row(n), dy.wide, column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++)
      sum.at[i] += chunk.at[i];
  }
  size_t begin = blockIdx.x * size_t(WARP * WIDE<A>);
  block_columns<ROWS_AT_ONCE>(sum.at, sums + blockIdx.y * shape.columns + begin, shape.columns - begin);
}

__global__ void __launch_bounds__(BLOCK)
    add_strips_kernel(float *db, const float *sums, size_t strips, size_t columns) {
  size_t column = blockIdx.x * size_t(BLOCK) + threadIdx.x;
  if (column >= columns)
    return;
  float sum = 0.0f;
  for (size_t s = 0; s < strips; s++)
    sum += sums[s * columns + column];
  db[column] += sum;
}

static void bias_gradient(const Ops *ops, Tensor db, Tensor dy) {
  Shape shape = {dy.size[0], dy.size[1]};
  float *sums = state_of(ops)->scratch;
  size_t most = at_most(SCRATCH / shape.columns, STRIPS_MOST);
  REQUIRE(most > 0, "linear: rows of %zu numbers are too long", shape.columns);
  size_t strip = ceil_div(shape.rows, at_most(ceil_div(shape.rows, STRIP_LEAST), most));
  size_t strips = ceil_div(shape.rows, strip);
  by_type(dy.dtype, [&](auto activation) {
    using A = decltype(activation);
    dim3 blocks(static_cast<unsigned>(ceil_div(shape.columns, WARP * WIDE<A>)), static_cast<unsigned>(strips));
    LAUNCH(column_sums_kernel<A>, blocks, BLOCK, 0, stream_of(ops), sums, rows_of<const A>(dy), shape, strip);
  });
  LAUNCH(add_strips_kernel, static_cast<unsigned>(ceil_div(shape.columns, BLOCK)), BLOCK, 0, stream_of(ops),
         static_cast<float *>(db.data), sums, strips, shape.columns);
}

/* ---- the table's functions ---- */

void linear_fwd(const Ops *ops, Tensor y, Tensor x, Tensor w, Tensor b, Tensor onto) {
  size_t rows = x.size[0];
  if (rows == 0 || w.size[0] == 0)
    return;
  if (rows == 1)
    few_rows<1>(ops, y, x, w, b, onto);
  else if (rows <= 4)
    few_rows<4>(ops, y, x, w, b, onto);
  else if (rows <= FEW_ROWS || w.size[1] == 0) /* without inputs only b is left, and no product */
    few_rows<FEW_ROWS>(ops, y, x, w, b, onto);
  else
    each_block(ops, w, x.dtype, [&](Tensor block, size_t first) {
      size_t count = block.size[0];
      Tensor part = b.data ? tensor_rows(b, first, count) : Tensor();
      Tensor c = onto.data ? tensor_columns(onto, first, count) : Tensor();
      product(ops, {tensor_columns(y, first, count), c, x, block, false, true, part.data});
    });
}

void linear_bwd_input(const Ops *ops, Tensor dx, Tensor dy, Tensor w, Write write) {
  if (dx.size[0] == 0 || w.size[1] == 0)
    return;
  if (w.size[0] == 0) { /* sums of nothing */
    if (write == WRITE_SET)
      zero(ops, dx);
    return;
  }
  each_block(ops, w, dy.dtype, [&](Tensor block, size_t first) {
    Tensor c = write == WRITE_ADD || first > 0 ? dx : Tensor();
    product(ops, {dx, c, tensor_columns(dy, first, block.size[0]), block, false, false, nullptr});
  });
}

void linear_bwd_weight(const Ops *ops, Tensor dw, Tensor db, Tensor dy, Tensor x) {
  if (dy.size[0] == 0 || dy.size[1] == 0)
    return;
  if (dw.data)
    product(ops, {dw, dw, dy, x, true, false, nullptr});
  if (db.data)
    bias_gradient(ops, db, dy);
}

} // namespace SEESAW_BACKEND
