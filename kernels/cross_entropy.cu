/* cross_entropy.cu: the loss of a linear classifier: logits of a block of rows at a time, in `work`, never all of them.
 *
 * Rows are long (128,256 logits of Llama 3) and few (some hundred supervised tokens), so a row is cut into strips, a
 * block each: few rows then still fill a card. A label that is none of the classes makes its row NaN: a kernel cannot
 * stop the program. */
#include "kernel.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

enum { LOSS_BLOCK = 256, LOSS_STRIP = 8192 /* logits */, LOSS_AT_ONCE = 4 /* chunks of a thread */ };

/* The logits of rows [first, ...), as many as work holds and there are. */
static Tensor logits_of(const Ops *ops, Tensor x, Tensor w, size_t first, Tensor work) {
  Tensor logits = tensor_rows(work, 0, at_most(x.size[0] - first, work.size[0]));
  SEESAW_BACKEND::linear_fwd(ops, logits, tensor_rows(x, first, logits.size[0]), w, Tensor{}, Tensor{});
  return logits;
}

/* dx += dlogits w, dw += dlogits' x; either may be absent. */
static void add_gradients(const Ops *ops, Tensor dx, Tensor dw, Tensor dlogits, Tensor x, Tensor w) {
  if (dx.data)
    SEESAW_BACKEND::linear_bwd_input(ops, dx, dlogits, w, WRITE_ADD);
  if (dw.data)
    SEESAW_BACKEND::linear_bwd_weight(ops, dw, Tensor{}, dlogits, x);
}

/* ---- a row of logits ---- */

/* The largest of some logits, and the sum of exp(logit - most). */
struct Tally {
  float most, sum;
};

/* exp(x - most) of what is beyond a row, or of nothing at all (-inf of -inf): 0. */
static __device__ __forceinline__ float exp_below(float x, float most) {
  return x == -INFINITY ? 0.0f : expf(x - most);
}

/* A strip's tally: row blockIdx.x, strip blockIdx.y. Bound by bytes: each logit read once. A thread loads a batch of
 * chunks, then corrects its sum for a new maximum once a batch, so an exponential a logit is what it computes. */
template <class A>
__global__ void __launch_bounds__(LOSS_BLOCK) loss_strip_kernel(Tally *tally, Rows<const A> logits, size_t classes) {
  size_t end = at_most((blockIdx.y + size_t(1)) * LOSS_STRIP, classes);
  const A *row = logits.row(blockIdx.x);
  Tally own = {-INFINITY, 0.0f};
  for (size_t first = blockIdx.y * size_t(LOSS_STRIP); first < end; first += LOSS_AT_ONCE * LOSS_BLOCK * WIDE<A>) {
    Stored<WIDE<A>, A> stored[LOSS_AT_ONCE];
    Chunk<WIDE<A>> x[LOSS_AT_ONCE];
    float most = own.most;
#pragma unroll
    for (int c = 0; c < LOSS_AT_ONCE; c++)
      stored[c] = chunk_fetch<WIDE<A>>(row, logits.wide, first + (c * LOSS_BLOCK + threadIdx.x) * WIDE<A>, end);
#pragma unroll
    for (int c = 0; c < LOSS_AT_ONCE; c++) {
      size_t column = first + (c * LOSS_BLOCK + threadIdx.x) * WIDE<A>;
      x[c] = chunk_of(stored[c]);
      if (end < column + WIDE<A>) /* the last chunks, so that the others pay for one comparison */
#pragma unroll
        for (int i = 0; i < WIDE<A>; i++)
          x[c].at[i] = column + i < end ? x[c].at[i] : -INFINITY;
    }
#pragma unroll
    for (int c = 0; c < LOSS_AT_ONCE; c++)
#pragma unroll
      for (int i = 0; i < WIDE<A>; i++)
        most = Maximum::of(most, x[c].at[i]);
    own = {most, own.sum * exp_below(own.most, most)};
#pragma unroll
    for (int c = 0; c < LOSS_AT_ONCE; c++)
#pragma unroll
      for (int i = 0; i < WIDE<A>; i++)
        own.sum += exp_below(x[c].at[i], most);
  }
  float most = block_max(own.most), sum = block_sum(own.sum * exp_below(own.most, most));
  if (threadIdx.x == 0)
    tally[blockIdx.x * size_t(gridDim.y) + blockIdx.y] = {most, sum};
}

/* 1 for a class, 0 for an ignored label, NaN for one past the last. */
static __device__ __forceinline__ float label_weight(int32_t label, size_t classes) {
  return label < 0 ? 0.0f : size_t(label) < classes ? 1.0f : NAN;
}

/* A warp a row: its strips' tallies. */
template <class A>
__global__ void __launch_bounds__(LOSS_BLOCK)
    loss_row_kernel(float *loss, float *lse, const Tally *tally, size_t strips, Rows<const A> logits,
                    const int32_t *label, Shape shape) {
  size_t n = blockIdx.x * size_t(LOSS_BLOCK / WARP) + threadIdx.x / WARP;
  if (n >= shape.rows) /* a whole warp */
    return;
  tally += n * strips;
  float most = -INFINITY, sum = 0.0f;
  for (size_t strip = threadIdx.x % WARP; strip < strips; strip += WARP)
    most = Maximum::of(most, tally[strip].most);
  most = warp_max(most);
  for (size_t strip = threadIdx.x % WARP; strip < strips; strip += WARP)
    sum += tally[strip].sum * exp_below(tally[strip].most, most);
  double rest = log(double(warp_sum(sum))); /* lse - most */
  if (threadIdx.x % WARP != 0)
    return;
  float weight = label_weight(label[n], shape.columns);
  lse[n] = float(most + rest);
  loss[n] = weight == 1.0f ? float(double(most) - to_float(logits.row(n)[label[n]]) + rest) : weight;
}

/* logit -> factor (softmax - one-hot), in place: row blockIdx.x, strip blockIdx.y. Bound by bytes: each logit read and
 * written once. */
template <class A>
__global__ void __launch_bounds__(LOSS_BLOCK)
    loss_gradient_kernel(Rows<A> logits, const float *lse, const int32_t *label, size_t classes, float factor) {
  size_t n = blockIdx.x, first = blockIdx.y * size_t(LOSS_STRIP), end = at_most(first + LOSS_STRIP, classes);
  int32_t right = label[n]; /* read once: what is written below might be anywhere, for all the compiler knows */
  float weight = label_weight(right, classes) * factor, shift = lse[n];
  for (size_t column = first + threadIdx.x * WIDE<A>; column < end; column += LOSS_BLOCK * WIDE<A>) {
    Chunk<WIDE<A>> x = chunk_load<WIDE<A>>(logits.row(n), logits.wide, column, end);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++) {
      float share = expf(x.at[i] - shift) - (column + i == size_t(right) ? 1.0f : 0.0f);
      x.at[i] = right < 0 ? 0.0f : weight * share;
    }
    chunk_store(logits.row(n), logits.wide, column, end, x);
  }
}

/* ---- the table's functions ---- */

static dim3 strips_of(Tensor logits) {
  return dim3(static_cast<unsigned>(logits.size[0]), static_cast<unsigned>(ceil_div(logits.size[1], LOSS_STRIP)));
}

/* Of rows that begin at the labels, losses and lse handed over. */
static void losses(const Ops *ops, float *loss, float *lse, const int32_t *label, Tensor logits) {
  Shape shape = shape_of(logits, false);
  dim3 strips = strips_of(logits);
  Tally *tally = reinterpret_cast<Tally *>(state_of(ops)->scratch);
  REQUIRE(shape.rows * strips.y <= SCRATCH / 2, "cross_entropy_fwd: work of %zu rows of %zu is too large", shape.rows,
          shape.columns);
  by_type(logits.dtype, [&](auto activation) {
    using A = decltype(activation);
    LAUNCH(loss_strip_kernel<A>, strips, LOSS_BLOCK, 0, stream_of(ops), tally, rows_of<const A>(logits), shape.columns);
    LAUNCH(loss_row_kernel<A>, static_cast<unsigned>(ceil_div(shape.rows, LOSS_BLOCK / WARP)), LOSS_BLOCK, 0,
           stream_of(ops), loss, lse, tally, strips.y, rows_of<const A>(logits), label, shape);
  });
}

static void loss_gradients(const Ops *ops, Tensor logits, const float *lse, const int32_t *label, float factor) {
  by_type(logits.dtype, [&](auto activation) {
    using A = decltype(activation);
    LAUNCH(loss_gradient_kernel<A>, strips_of(logits), LOSS_BLOCK, 0, stream_of(ops), rows_of<A>(logits), lse, label,
           logits.size[1], factor);
  });
}

void cross_entropy_fwd(const Ops *ops, Tensor loss, Tensor lse, Tensor x, Tensor w, Tensor label, Tensor work) {
  for (size_t first = 0; first < x.size[0]; first += work.size[0])
    losses(ops, static_cast<float *>(loss.data) + first, static_cast<float *>(lse.data) + first,
           static_cast<const int32_t *>(label.data) + first, logits_of(ops, x, w, first, work));
}

void cross_entropy_bwd(const Ops *ops, Tensor dx, Tensor dw, Tensor x, Tensor w, Tensor label, Tensor lse,
                       double factor, Tensor work) {
  for (size_t first = 0; first < x.size[0]; first += work.size[0]) {
    Tensor logits = logits_of(ops, x, w, first, work);
    size_t rows = logits.size[0];
    loss_gradients(ops, logits, static_cast<const float *>(lse.data) + first,
                   static_cast<const int32_t *>(label.data) + first, static_cast<float>(factor));
    add_gradients(ops, dx.data ? tensor_rows(dx, first, rows) : dx, dw, logits, tensor_rows(x, first, rows), w);
  }
}

} // namespace SEESAW_BACKEND
