/* router.cu: which local tokens the question asks for: a share for each, and the choice of the best.
 *
 * The mean (or sum) over text tokens of x't_j is x' times the mean (sum) of t_j, so text and local tokens are each read
 * once. Choices depend on these numbers, so all is in double: products of float (or bf16) are exact in it. */
#include "kernel.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

enum { ROUTER_BLOCK = 256, ROUTER_WARPS = ROUTER_BLOCK / WARP, LOCALS_AT_ONCE = 4 };

/* What the kernels of scores hand on in scratch memory. */
struct Scores {
  double *direction; /* (samples, columns): sum or mean of a sample's text tokens, of length 1 each for cosines */
  double *inverse;   /* (rows of text): 1 / |t|; NULL: not asked for */
  double *x;         /* (rows of local): how a local token agrees with the direction */
};

/* Samples of local tokens and of text, in the device's memory. */
struct Samples {
  const int32_t *locals, *texts;
};

/* ---- scores ---- */

/* 1 / |x|, the norm at least 1e-8. */
static __device__ __forceinline__ double inverse_norm(double square) {
  double norm = sqrt(square);
  return 1.0 / (norm < 1e-8 ? 1e-8 : norm);
}

/* A warp a text token. Bound by bytes: text is read once here, once more below (then from L2). */
template <class A>
__global__ void __launch_bounds__(ROUTER_BLOCK) router_norm_kernel(double *inverse, Rows<const A> text, Shape shape) {
  size_t j = blockIdx.x * size_t(ROUTER_WARPS) + threadIdx.x / WARP;
  double square = 0.0;
  if (j >= shape.rows) /* a whole warp */
    return;
  for (size_t column = threadIdx.x % WARP * WIDE<A>; column < shape.columns; column += WARP * WIDE<A>) {
    Chunk<WIDE<A>> t = chunk_load<WIDE<A>>(text.row(j), text.wide, column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++)
      square += double(t.at[i]) * double(t.at[i]);
  }
  square = warp_sum(square);
  if (threadIdx.x % WARP == 0)
    inverse[j] = inverse_norm(square);
}

/* A block: a strip of columns, a chunk a lane, of sample blockIdx.y; warp w takes text tokens w, w + 8, ..., and the
 * warps' sums are added in order. Bound by the latency of a few loads in a row: all text is some MB. */
template <class A>
__global__ void __launch_bounds__(ROUTER_BLOCK)
    router_direction_kernel(Scores to, Rows<const A> text, Samples samples, Shape shape, bool sum) {
  size_t column = (blockIdx.x * size_t(WARP) + threadIdx.x % WARP) * WIDE<A>;
  size_t first = samples.texts[blockIdx.y], end = samples.texts[blockIdx.y + 1];
  double total[WIDE<A>] = {};
  for (size_t j = first + threadIdx.x / WARP; j < end; j += ROUTER_WARPS) {
    double factor = (to.inverse ? to.inverse[j] : 1.0) / (sum ? 1.0 : double(end - first));
    Chunk<WIDE<A>> t = chunk_load<WIDE<A>>(text.row(j), text.wide, column, shape.columns);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++)
      total[i] += factor * t.at[i];
  }
  size_t begin = blockIdx.x * size_t(WARP * WIDE<A>);
  block_columns<ROUTER_WARPS>(total, to.direction + blockIdx.y * shape.columns + begin, shape.columns - begin);
}

/* A block: LOCALS_AT_ONCE rows of sample blockIdx.y, which share what they read of the direction (8 bytes a column,
 * from L2). Bound by bytes: each row is read once, its product with the direction and its own norm computed together.
 */
template <class A>
__global__ void __launch_bounds__(ROUTER_BLOCK)
    router_product_kernel(Scores to, Rows<const A> local, Samples samples, Shape shape) {
  size_t end = samples.locals[blockIdx.y + 1];
  size_t first = samples.locals[blockIdx.y] + blockIdx.x * size_t(LOCALS_AT_ONCE);
  const double *direction = to.direction + blockIdx.y * shape.columns;
  double product[LOCALS_AT_ONCE] = {}, square[LOCALS_AT_ONCE] = {};
  if (first >= end) /* the whole block */
    return;
  for (size_t column = threadIdx.x * WIDE<A>; column < shape.columns; column += ROUTER_BLOCK * WIDE<A>) {
    Stored<WIDE<A>, A> stored[LOCALS_AT_ONCE] = {};
    Chunk<WIDE<A>> x[LOCALS_AT_ONCE];
#pragma unroll
    for (int k = 0; k < LOCALS_AT_ONCE; k++)
      if (first + k < end)
        stored[k] = chunk_fetch<WIDE<A>>(local.row(first + k), local.wide, column, shape.columns);
#pragma unroll
    for (int k = 0; k < LOCALS_AT_ONCE; k++)
      x[k] = chunk_of(stored[k]);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++) {
      double along = column + i < shape.columns ? direction[column + i] : 0.0;
#pragma unroll
      for (int k = 0; k < LOCALS_AT_ONCE; k++) {
        double number = x[k].at[i];
        product[k] += number * along;
        square[k] += number * number;
      }
    }
  }
#pragma unroll
  for (int k = 0; k < LOCALS_AT_ONCE; k++) {
    double all = block_sum(product[k]);
    if (to.inverse)
      all *= inverse_norm(block_sum(square[k]));
    if (threadIdx.x == 0 && first + k < end)
      to.x[first + k] = all;
  }
}

/* x = softmax(x / temperature); a thread always has the same numbers, so only the sums wait for others. */
static __device__ __forceinline__ void router_softmax(double *x, size_t n, double temperature) {
  double most = -INFINITY, sum = 0.0;
  for (size_t i = threadIdx.x; i < n; i += ROUTER_BLOCK)
    most = Maximum::of(most, x[i]);
  most = block_max(most);
  for (size_t i = threadIdx.x; i < n; i += ROUTER_BLOCK)
    sum += x[i] = exp((x[i] - most) / temperature);
  sum = block_sum(sum);
  for (size_t i = threadIdx.x; i < n; i += ROUTER_BLOCK)
    x[i] /= sum;
}

/* A block a sample. Bound by latency: a sample has some hundred local tokens. */
__global__ void __launch_bounds__(ROUTER_BLOCK)
    router_share_kernel(float *score, const float *noise, double *x, Samples samples, Router router) {
  size_t first = samples.locals[blockIdx.x], n = samples.locals[blockIdx.x + 1] - first;
  x += first;
  if (router.first_temperature > 0.0)
    router_softmax(x, n, router.first_temperature);
  for (size_t i = threadIdx.x; i < n && noise; i += ROUTER_BLOCK)
    x[i] += noise[first + i];
  router_softmax(x, n, router.temperature);
  for (size_t i = threadIdx.x; i < n; i += ROUTER_BLOCK)
    score[first + i] = float(x[i]);
}

static Scores scores_in_scratch(const Ops *ops, const Router *router, size_t columns, const Ragged *locals,
                                const Ragged *texts) {
  Scores to;
  to.direction = reinterpret_cast<double *>(state_of(ops)->scratch);
  to.x = to.direction + locals->count * columns;
  to.inverse = router->cosine ? to.x + locals->rows : nullptr;
  REQUIRE(locals->count * columns + locals->rows + texts->rows <= SCRATCH / 2,
          "router_score: %zu samples of %zu columns, %zu local tokens and %zu of text are too many", locals->count,
          columns, locals->rows, texts->rows);
  return to;
}

void router_score(const Ops *ops, Tensor score, Tensor local, Tensor text, Tensor noise, const Router *router,
                  const Ragged *locals, const Ragged *texts) {
  Shape of_local = shape_of(local, false), of_text = shape_of(text, false);
  Scores to = scores_in_scratch(ops, router, of_local.columns, locals, texts);
  Samples samples = {static_cast<const int32_t *>(locals->offsets.data),
                     static_cast<const int32_t *>(texts->offsets.data)};
  unsigned count = static_cast<unsigned>(locals->count);
  Stream stream = stream_of(ops);
  by_type(local.dtype, [&](auto activation) {
    using A = decltype(activation);
    dim3 strips(static_cast<unsigned>(ceil_div(of_text.columns, WARP * WIDE<A>)), count);
    dim3 blocks(static_cast<unsigned>(ceil_div(locals->longest, LOCALS_AT_ONCE)), count);
    if (router->cosine)
      LAUNCH(router_norm_kernel<A>, static_cast<unsigned>(ceil_div(of_text.rows, ROUTER_WARPS)), ROUTER_BLOCK, 0,
             stream, to.inverse, rows_of<const A>(text), of_text);
    LAUNCH(router_direction_kernel<A>, strips, ROUTER_BLOCK, 0, stream, to, rows_of<const A>(text), samples, of_text,
           router->sum);
    LAUNCH(router_product_kernel<A>, blocks, ROUTER_BLOCK, 0, stream, to, rows_of<const A>(local), samples, of_local);
  });
  LAUNCH(router_share_kernel, count, ROUTER_BLOCK, 0, stream, static_cast<float *>(score.data),
         static_cast<const float *>(noise.data), to.x, samples, *router);
}

/* ---- the choice ----
 *
 * A row's key: its score's place among all floats, from the highest down, then its number in the sample; so keys
 * differ, and ascending keys are the order of choice. Sorted, scores are summed up to the row whose sum first passes
 * gamma; that row's key is the cut: rows with keys up to it are kept, wherever they stand. */

typedef unsigned long long Key;

enum { SELECT_MOST = 16384 /* rows of a sample: their keys fill 128 KB */, SELECT_BLOCK = 1024 };

/* A sample's cut and how many rows it keeps, from the first kernel to the second. */
struct Cut {
  Key key;
  size_t count;
};

/* NaN comes first, as if infinite: it makes the sum NaN, which never passes gamma, so its sample keeps all. */
static __device__ __forceinline__ Key key_of(float score, size_t n) {
  float x = score != score ? INFINITY : score + 0.0f; /* -0 is 0 */
  unsigned bits = static_cast<unsigned>(__float_as_int(x));
  unsigned rising = bits >> 31 ? ~bits : bits | 0x80000000u;
  return Key(~rising) << 32 | Key(n);
}

/* The bitonic network over a power of two of keys: thread by thread through the pairs of each step. */
static __device__ __forceinline__ void sort_keys(Key *key, size_t count) {
  for (size_t run = 2; run <= count; run *= 2)
    for (size_t distance = run / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (size_t pair = threadIdx.x; pair < count / 2; pair += blockDim.x) {
        size_t low = 2 * pair - (pair & (distance - 1)), high = low + distance; /* distance: a power of two */
        bool rising = (low & run) == 0;
        Key a = key[low], b = key[high];
        if ((a > b) == rising) {
          key[low] = b;
          key[high] = a;
        }
      }
    }
  __syncthreads();
}

/* The sum of x over all threads before this one, in their order. */
static __device__ __forceinline__ double block_sum_before(double x) {
  SHARED(double, of_warp, WARP);
  unsigned lane = threadIdx.x % WARP;
  double through = x;
#pragma unroll
  for (unsigned distance = 1; distance < WARP; distance *= 2) {
    double before = __shfl_up_sync(FULL, through, distance);
    through = lane >= distance ? before + through : through;
  }
  if (lane == WARP - 1)
    of_warp[threadIdx.x / WARP] = through;
  double before = __shfl_up_sync(FULL, through, 1);
  before = lane == 0 ? 0.0 : before;
  __syncthreads();
  double warps = 0.0;
  for (unsigned warp = 0; warp < threadIdx.x / WARP; warp++)
    warps += of_warp[warp];
  return warps + before;
}

/* The place, among n sorted keys, of the first at which the sum of scores passes gamma; n - 1: none. A thread has a
 * stretch of neighbouring places. */
static __device__ __forceinline__ size_t place_of_cut(const Key *key, const float *score, size_t n, double gamma) {
  SHARED(unsigned, place, 1);
  size_t stretch = ceil_div(n, blockDim.x), first = threadIdx.x * stretch;
  size_t end = first + stretch < n ? first + stretch : n;
  double sum = 0.0;
  if (threadIdx.x == 0)
    *place = static_cast<unsigned>(n - 1);
  for (size_t k = first; k < end; k++)
    sum += score[static_cast<unsigned>(key[k])];
  sum = block_sum_before(sum); /* its barrier is also behind *place */
  for (size_t k = first; k < end; k++) {
    sum += score[static_cast<unsigned>(key[k])];
    if (sum > gamma) {
      atomicMin(place, static_cast<unsigned>(k));
      break;
    }
  }
  __syncthreads();
  return *place;
}

/* A block a sample. Bound by the network's steps: 55 of 1024 keys, 105 of 16384, a barrier each. */
__global__ void __launch_bounds__(SELECT_BLOCK)
    select_cut_kernel(Cut *cut, const float *score, const int32_t *locals, double gamma) {
  DYNAMIC_SHARED(Key, key);
  size_t first = locals[blockIdx.x], n = locals[blockIdx.x + 1] - first, count = 1;
  if (n == 0 || gamma >= 1.0 || gamma < 0.0) { /* the whole block: all, or none (no key is 0) */
    if (threadIdx.x == 0)
      cut[blockIdx.x] = gamma < 0.0 ? Cut{0, 0} : Cut{~Key(0), n};
    return;
  }
  while (count < n)
    count *= 2;
  for (size_t i = threadIdx.x; i < count; i += blockDim.x)
    key[i] = i < n ? key_of(score[first + i], i) : ~Key(0);
  sort_keys(key, count);
  size_t place = place_of_cut(key, score + first, n, gamma);
  if (threadIdx.x == 0)
    cut[blockIdx.x] = {key[place], place + 1};
}

/* A block a sample, and one more for the last offset: rows up to the cut, in their old order, behind those of earlier
 * samples. Counts are whole numbers, so their order does not matter. */
__global__ void __launch_bounds__(ROUTER_BLOCK)
    select_rows_kernel(int32_t *kept, int32_t *offsets, const Cut *cut, const float *score, const int32_t *locals,
                       size_t samples) {
  SHARED(unsigned, of_warp, ROUTER_WARPS);
  size_t before = 0, sample = blockIdx.x;
  for (size_t i = threadIdx.x; i < sample; i += ROUTER_BLOCK)
    before += cut[i].count;
  before = block_sum(before);
  if (threadIdx.x == 0)
    offsets[sample] = static_cast<int32_t>(before);
  if (sample == samples)
    return;
  size_t first = locals[sample], n = locals[sample + 1] - first;
  unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  for (size_t start = 0; start < n; start += ROUTER_BLOCK) {
    size_t row = start + threadIdx.x;
    bool keep = row < n && key_of(score[first + row], row) <= cut[sample].key;
    unsigned ballot = __ballot_sync(FULL, keep);
    if (lane == 0)
      of_warp[warp] = __popc(ballot);
    __syncthreads();
    unsigned place = __popc(ballot & ((1u << lane) - 1)), all = 0;
    for (unsigned w = 0; w < ROUTER_WARPS; w++) {
      place += w < warp ? of_warp[w] : 0;
      all += of_warp[w];
    }
    if (keep)
      kept[before + place] = static_cast<int32_t>(first + row);
    before += all;
    __syncthreads();
  }
}

void router_select(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals) {
  REQUIRE(locals->longest <= SELECT_MOST, "router_select: a sample of %zu local tokens, of at most %d", locals->longest,
          SELECT_MOST);
  REQUIRE(locals->count * sizeof(Cut) <= SCRATCH * sizeof(float), "router_select: %zu samples are too many",
          locals->count);
  Cut *cut = reinterpret_cast<Cut *>(state_of(ops)->scratch);
  const int32_t *samples = static_cast<const int32_t *>(locals->offsets.data);
  const float *scores = static_cast<const float *>(score.data);
  unsigned count = static_cast<unsigned>(locals->count);
  size_t keys = 1;
  while (keys < locals->longest)
    keys *= 2;
  size_t threads = at_most(ceil_div(keys, 4 * WARP) * WARP, SELECT_BLOCK);
  LAUNCH(select_cut_kernel, count, static_cast<unsigned>(threads), keys * sizeof(Key), stream_of(ops), cut, scores,
         samples, gamma);
  LAUNCH(select_rows_kernel, count + 1, ROUTER_BLOCK, 0, stream_of(ops), static_cast<int32_t *>(kept.data),
         static_cast<int32_t *>(offsets.data), cut, scores, samples, locals->count);
}

} // namespace SEESAW_BACKEND
