/* attention_forward.cu: o = softmax(scale q k') v, tile by tile: scores of a tile are made, used and forgotten.
 *
 * A block has a tile of queries of one head of one sample, in shared memory, and walks over its keys: while it works on
 * one tile of keys and values, the next is on its way. With p = 2^(score - most), most the largest score so far, o and
 * the sum of p grow tile by tile and shrink by 2^(old - new) when a tile raises most. Scores are in base 2. Tiles that
 * no query sees are never touched; blocks with the most keys come first.
 *
 * Source: Dao et al. 2022, Dao 2023 (FlashAttention-2). In bf16, p is rounded to bf16 before it meets v, the sum is
 * not: each product is off by 2^-9 of itself, as if v were. */
#include "attention.h"

namespace SEESAW_BACKEND {

template <class T, int D> struct ForwardPlan { /* bf16: 32 rows a warp, so that a loaded fragment of k serves two mma */
  enum { DOWN = sizeof(T) == 2 ? 2 : 1, ACROSS = sizeof(T) == 2 ? 8 : 4, KEYS = ACROSS * 8 };
  enum { TILE = KEYS * TILE_PITCH<T, D> };
  static constexpr size_t SHARED = (BLOCK_ROWS<DOWN> * TILE_PITCH<T, D> + 4 * TILE) * sizeof(T);
};

/* The largest score of each of a lane's rows, and the sum of 2^(score - most) over its own columns. */
template <int DOWN> struct Running { float most[DOWN][2], sum[DOWN][2]; };

/* Four lanes share a row. */
__device__ __forceinline__ float row_most(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}
__device__ __forceinline__ float row_sum(float x) {
  x += __shfl_xor_sync(FULL, x, 1);
  return x + __shfl_xor_sync(FULL, x, 2);
}

/* Products become scores; of keys that the query does not see, -infinity. first: the warp's first query; key: the
 * tile's first. */
template <int DOWN, int ACROSS>
__device__ __forceinline__ void scale_and_mask(float (&c)[DOWN][ACROSS][4], const Sample &s, float scale2, int first,
                                               int key) {
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int j = 0; j < ACROSS; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        c[i][j][e] = product(c[i][j][e], scale2);
  if (key + ACROSS * 8 <= s.seen(first))
    return; /* the first query sees the whole tile, so all do */
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int seen = s.seen(first + i * 16 + block_row(e)) - key - block_column(e);
#pragma unroll
      for (int j = 0; j < ACROSS; j++)
        if (j * 8 >= seen)
          c[i][j][e] = -INFINITY;
    }
}

/* Scores become p; o and the sums so far shrink to the new maximum. Nothing but scores of -infinity: p = 0. */
template <int DOWN, int ACROSS, int WIDTH>
__device__ __forceinline__ void soften(float (&c)[DOWN][ACROSS][4], float (&o)[DOWN][WIDTH][4],
                                       Running<DOWN> &running) {
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float most = running.most[i][half], sum = 0.0f;
#pragma unroll
      for (int j = 0; j < ACROSS; j++)
        most = fmaxf(most, fmaxf(c[i][j][2 * half], c[i][j][2 * half + 1]));
      most = row_most(most);
      float base = most > -INFINITY ? most : 0.0f, shrink = power_of_2(running.most[i][half] - base);
#pragma unroll
      for (int j = 0; j < ACROSS; j++)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; e++)
          sum += c[i][j][e] = power_of_2(c[i][j][e] - base);
      running.sum[i][half] = running.sum[i][half] * shrink + sum;
      running.most[i][half] = most;
#pragma unroll
      for (int j = 0; j < WIDTH; j++) {
        o[i][j][2 * half] *= shrink;
        o[i][j][2 * half + 1] *= shrink;
      }
    }
}

/* o = sum p v / sum p; lse. first: the warp's first query. */
template <class T, int D, int DOWN>
__device__ __forceinline__ void finish(const Problem<T> &problem, const Sample &s, Rows<T> o, Rows<float> lse,
                                       const float (&sum_o)[DOWN][D / 8][4], const Running<DOWN> &running, int first) {
  size_t head = blockIdx.x;
  float factor[DOWN][2];
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float sum = row_sum(running.sum[i][half]);
      int row = first + i * 16 + block_row(2 * half);
      factor[i][half] = 1.0f / sum;
      if (lse.data && threadIdx.x % 4 == 0 && row < s.queries)
        lse.row(s.query + row)[head] = (running.most[i][half] + log2f(sum)) * LN_2;
    }
  tile_store(o, s.query + first, head * problem.size, s.queries - first, problem.size, sum_o, factor, false);
}

/* Bound by FLOPs: 4 queries keys D a head; a tile of keys (2 KEYS D numbers) is read once for each tile of queries,
 * from the second cache. Grid: heads, samples, tiles of queries. */
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_fwd_kernel(Problem<T> problem, Rows<T> o, Rows<float> lse) {
  using Plan = ForwardPlan<T, D>;
  constexpr int DOWN = Plan::DOWN, KEYS = Plan::KEYS, QUERIES = BLOCK_ROWS<DOWN>;
  DYNAMIC_SHARED(T, q);
  T *k = q + QUERIES * TILE_PITCH<T, D>, *v = k + 2 * Plan::TILE;
  Sample s = sample_of(problem, blockIdx.y);
  int start = static_cast<int>(gridDim.z - 1 - blockIdx.z) * QUERIES, first = start + warp_row<DOWN>();
  if (start >= s.queries)
    return;
  size_t size = problem.size, kv_at = blockIdx.x / problem.group * size;
  int end = s.seen(min(start + QUERIES, s.queries) - 1);
  auto take_keys = [&](int key, int buffer) INLINED {
    head_load<KEYS, D>(k + buffer * Plan::TILE, problem.k, s.key, s.keys, key, kv_at, problem.size);
    head_load<KEYS, D>(v + buffer * Plan::TILE, problem.v, s.key, s.keys, key, kv_at, problem.size);
  };
  head_load<QUERIES, D>(q, problem.q, s.query, s.queries, start, blockIdx.x * size, problem.size);
  take_keys(0, 0);
  copies_commit();
  float sum_o[DOWN][D / 8][4], p[DOWN][Plan::ACROSS][4];
  Running<DOWN> running;
  tile_zero(sum_o);
#pragma unroll
  for (int i = 0; i < DOWN * 2; i++) {
    running.most[i / 2][i % 2] = -INFINITY;
    running.sum[i / 2][i % 2] = 0.0f;
  }
  for (int key = 0, buffer = 0; key < end; key += KEYS, buffer ^= 1) {
    if (key + KEYS < end)
      take_keys(key + KEYS, buffer ^ 1);
    copies_commit();
    copies_wait<1>();
    __syncthreads();
    tile_scores<D>(p, q + warp_row<DOWN>() * TILE_PITCH<T, D>, k + buffer * Plan::TILE);
    scale_and_mask(p, s, problem.scale2, first, key);
    soften(p, sum_o, running);
    tile_weigh<D>(sum_o, p, v + buffer * Plan::TILE);
    __syncthreads(); /* the buffer may be overwritten */
  }
  copies_wait<0>();
  finish<T, D>(problem, s, o, lse, sum_o, running, first);
}

void attention_fwd(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, const Attention *attention,
                   const Ragged *queries, const Ragged *keys) {
  if (attention_few(ops, o, lse, q, k, v, attention, queries, keys))
    return;
  by_head(q.dtype, attention->size, [&](auto number, auto d) {
    using T = decltype(number);
    constexpr int D = decltype(d)::value;
    using Plan = ForwardPlan<T, D>;
    dim3 blocks(static_cast<unsigned>(attention->heads), static_cast<unsigned>(queries->count),
                static_cast<unsigned>(ceil_div(queries->longest, BLOCK_ROWS<Plan::DOWN>)));
    LAUNCH((attention_fwd_kernel<T, D>), blocks, ATTENTION_THREADS, Plan::SHARED, stream_of(ops),
           problem_of<T>(q, k, v, attention, queries, keys), head_rows<T>(o, attention->size), rows_of<float>(lse));
  });
}

} // namespace SEESAW_BACKEND
