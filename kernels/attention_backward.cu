/* attention_backward.cu: from p = exp(score - lse) and ds = p (do v' - delta), delta = rowsum(do o):
 * dv = or += p' do, dk scale ds' q, dq scale ds k.
 *
 * Scores are made again, tile by tile, once for dk and dv (a block has a tile of keys and walks over queries) and once
 * for dq (a tile of queries, over keys). That is seven products where five would do with atomics, but every sum has one
 * owner and one order. For dk and dv all stands across: rows of scores are keys, so that p' and ds' meet do and q from
 * registers, as they were made.
 *
 * Source: Dao 2023 (FlashAttention-2). In bf16, p and ds are rounded to bf16 before their products, sums are not. */
#include "attention.h"

namespace SEESAW_BACKEND {

/* What a block holds (rows of scores) and what it walks over (columns), so that sums and scores fit into registers. */
template <class T, int D> struct KeyPlan { /* two sums of D numbers a row */
  enum { DOWN = sizeof(T) == 2 && D <= 64 ? 2 : 1, ACROSS = 4, STEP = ACROSS * 8, ROWS = BLOCK_ROWS<DOWN> };
  enum { TILE = STEP * TILE_PITCH<T, D>, OWN = ROWS * TILE_PITCH<T, D> };
  static constexpr size_t SHARED = (2 * OWN + 4 * TILE) * sizeof(T) + 4 * STEP * sizeof(float);
};

template <class T, int D> struct QueryPlan { /* one */
  enum { DOWN = sizeof(T) == 2 ? 2 : 1, ACROSS = 4, STEP = ACROSS * 8, ROWS = BLOCK_ROWS<DOWN> };
  enum { TILE = STEP * TILE_PITCH<T, D>, OWN = ROWS * TILE_PITCH<T, D> };
  static constexpr size_t SHARED = (2 * OWN + 4 * TILE) * sizeof(T);
};

/* Of every query and head, fine: delta's rows are those of the slice of heads that is worked on. */
template <class T> struct Backward {
  Problem<T> problem;
  Rows<const T> d_o;
  Rows<const float> lse;
  float *delta; /* heads numbers a row */
  int first_head, heads;
  bool add; /* to dq, dk and dv; else they are set, whatever they hold */
};

/* ---- delta ---- */

enum { DELTA_TEAM = 8, DELTA_THREADS = 256 };

/* delta = rowsum(do o). Bound by bytes: 2 size a row and head; eight threads for each. */
template <class T>
__global__ void __launch_bounds__(DELTA_THREADS)
    attention_delta_kernel(Backward<T> b, Rows<const T> o, size_t rows, bool wide) {
  size_t number = blockIdx.x * size_t(DELTA_THREADS / DELTA_TEAM) + threadIdx.x / DELTA_TEAM;
  size_t row = number / b.heads, head = number % b.heads, size = b.problem.size;
  float sum = 0.0f;
  if (row < rows) {
    const T *x = o.row(row) + (b.first_head + head) * size, *y = b.d_o.row(row) + (b.first_head + head) * size;
    for (size_t column = threadIdx.x % DELTA_TEAM * WIDE<T>; column < size; column += DELTA_TEAM * WIDE<T>) {
      auto x_there = chunk_fetch<WIDE<T>>(x, wide, column, size), y_there = chunk_fetch<WIDE<T>>(y, wide, column, size);
      Chunk<WIDE<T>> x_chunk = chunk_of(x_there), y_chunk = chunk_of(y_there);
#pragma unroll
      for (int i = 0; i < WIDE<T>; i++)
        sum += x_chunk.at[i] * y_chunk.at[i];
    }
  }
#pragma unroll
  for (int distance = DELTA_TEAM / 2; distance > 0; distance /= 2)
    sum += __shfl_xor_sync(FULL, sum, distance);
  if (row < rows && threadIdx.x % DELTA_TEAM == 0)
    b.delta[number] = sum;
}

/* ---- dk, dv ---- */

/* Products become p' and ds': rows are keys from `key` on, columns queries from `query` on. A query that is not there
 * has lse = infinity. */
template <int ACROSS, int DOWN>
__device__ __forceinline__ void across_gradient(float (&p)[DOWN][ACROSS][4], float (&ds)[DOWN][ACROSS][4],
                                                const Sample &s, float scale2, const float *lse, const float *delta,
                                                int key, int query) {
  bool edge = key + DOWN * 16 > s.seen(query);
#pragma unroll
  for (int j = 0; j < ACROSS; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int column = j * 8 + block_column(e), seen = s.seen(query + column) - key - block_row(e);
      float top = product(lse[column], LOG2_E), off = delta[column];
#pragma unroll
      for (int i = 0; i < DOWN; i++) {
        float share = share_of(product(p[i][j][e], scale2) - top);
        bool unseen = edge && i * 16 >= seen;
        p[i][j][e] = unseen ? 0.0f : share;
        ds[i][j][e] = unseen ? 0.0f : share * (ds[i][j][e] - off);
      }
    }
}

/* Bound by FLOPs: 8 queries keys D a head. Grid: key heads, samples, tiles of keys. */
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS) attention_dkv_kernel(Backward<T> b, Rows<T> dk, Rows<T> dv) {
  using Plan = KeyPlan<T, D>;
  constexpr int DOWN = Plan::DOWN, STEP = Plan::STEP;
  const Problem<T> &problem = b.problem;
  DYNAMIC_SHARED(T, k);
  T *v = k + Plan::OWN, *q = v + Plan::OWN, *d_o = q + 2 * Plan::TILE;
  float *lse = reinterpret_cast<float *>(d_o + 2 * Plan::TILE), *delta = lse + 2 * STEP;
  Sample s = sample_of(problem, blockIdx.y);
  int start = static_cast<int>(blockIdx.z) * Plan::ROWS, own = start + warp_row<DOWN>(), size = problem.size;
  if (start >= s.keys)
    return;
  size_t kv_head = b.first_head / problem.group + blockIdx.x, kv_at = kv_head * size;
  int blind = s.causal ? max(start - (s.keys - s.queries), 0) / STEP : 0; /* tiles of queries that do not see a key */
  int each = max((s.queries + STEP - 1) / STEP - blind, 0), tiles = each * problem.group;
  auto query_of = [&](int tile) INLINED { return (blind + tile % each) * STEP; };
  /* of each head of the group, one after the other */
  auto take_queries = [&](int tile, int buffer) INLINED {
    int query = query_of(tile), local = static_cast<int>(blockIdx.x) * problem.group + tile / each, i = threadIdx.x;
    size_t row = s.query + query + i, head = b.first_head + local;
    head_load<STEP, D>(q + buffer * Plan::TILE, problem.q, s.query, s.queries, query, head * size, size);
    head_load<STEP, D>(d_o + buffer * Plan::TILE, b.d_o, s.query, s.queries, query, head * size, size);
    if (i < STEP && query + i < s.queries) {
      copy_async_number(lse + buffer * STEP + i, b.lse.row(row) + head);
      copy_async_number(delta + buffer * STEP + i, b.delta + row * b.heads + local);
    } else if (i < STEP) {
      lse[buffer * STEP + i] = INFINITY;
      delta[buffer * STEP + i] = 0.0f;
    }
  };
  head_load<Plan::ROWS, D>(k, problem.k, s.key, s.keys, start, kv_at, size);
  head_load<Plan::ROWS, D>(v, problem.v, s.key, s.keys, start, kv_at, size);
  if (tiles > 0)
    take_queries(0, 0);
  copies_commit();
  float sum_k[DOWN][D / 8][4], sum_v[DOWN][D / 8][4];
  tile_zero(sum_k);
  tile_zero(sum_v);
  for (int tile = 0, buffer = 0; tile < tiles; tile++, buffer ^= 1) {
    if (tile + 1 < tiles)
      take_queries(tile + 1, buffer ^ 1);
    copies_commit();
    copies_wait<1>();
    __syncthreads();
    float p[DOWN][Plan::ACROSS][4], ds[DOWN][Plan::ACROSS][4];
    tile_scores<D>(p, k + warp_row<DOWN>() * TILE_PITCH<T, D>, q + buffer * Plan::TILE);
    tile_scores<D>(ds, v + warp_row<DOWN>() * TILE_PITCH<T, D>, d_o + buffer * Plan::TILE);
    across_gradient(p, ds, s, problem.scale2, lse + buffer * STEP, delta + buffer * STEP, own, query_of(tile));
    tile_weigh<D>(sum_v, p, d_o + buffer * Plan::TILE);
    tile_weigh<D>(sum_k, ds, q + buffer * Plan::TILE);
    __syncthreads(); /* the buffer may be overwritten */
  }
  copies_wait<0>();
  float one[DOWN][2], scale[DOWN][2];
#pragma unroll
  for (int i = 0; i < DOWN * 2; i++) {
    one[i / 2][i % 2] = 1.0f;
    scale[i / 2][i % 2] = problem.scale;
  }
  if (dk.data)
    tile_store(dk, s.key + own, kv_at, s.keys - own, size, sum_k, scale, b.add);
  if (dv.data)
    tile_store(dv, s.key + own, kv_at, s.keys - own, size, sum_v, one, b.add);
}

/* ---- dq ---- */

/* Products become ds: rows are queries from `query` on, columns keys from `key` on. */
template <int DOWN, int ACROSS>
__device__ __forceinline__ void down_gradient(float (&p)[DOWN][ACROSS][4], float (&ds)[DOWN][ACROSS][4],
                                              const Sample &s, float scale2, const float (&lse2)[DOWN][2],
                                              const float (&delta)[DOWN][2], int query, int key) {
  bool edge = key + ACROSS * 8 > s.seen(query);
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int seen = s.seen(query + i * 16 + block_row(e)) - key - block_column(e);
#pragma unroll
      for (int j = 0; j < ACROSS; j++) {
        float share = share_of(product(p[i][j][e], scale2) - lse2[i][e / 2]);
        ds[i][j][e] = edge && j * 8 >= seen ? 0.0f : share * (ds[i][j][e] - delta[i][e / 2]);
      }
    }
}

/* Bound by FLOPs: 6 queries keys D a head. Grid: query heads, samples, tiles of queries. */
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS) attention_dq_kernel(Backward<T> b, Rows<T> dq) {
  using Plan = QueryPlan<T, D>;
  constexpr int DOWN = Plan::DOWN, STEP = Plan::STEP;
  const Problem<T> &problem = b.problem;
  DYNAMIC_SHARED(T, q);
  T *d_o = q + Plan::OWN, *k = d_o + Plan::OWN, *v = k + 2 * Plan::TILE;
  Sample s = sample_of(problem, blockIdx.y);
  int start = static_cast<int>(gridDim.z - 1 - blockIdx.z) * Plan::ROWS, own = start + warp_row<DOWN>();
  if (start >= s.queries)
    return;
  int size = problem.size, end = s.seen(min(start + int(Plan::ROWS), s.queries) - 1);
  size_t head = b.first_head + blockIdx.x, kv_at = head / problem.group * size;
  auto take_keys = [&](int key, int buffer) INLINED {
    head_load<STEP, D>(k + buffer * Plan::TILE, problem.k, s.key, s.keys, key, kv_at, size);
    head_load<STEP, D>(v + buffer * Plan::TILE, problem.v, s.key, s.keys, key, kv_at, size);
  };
  head_load<Plan::ROWS, D>(q, problem.q, s.query, s.queries, start, head * size, size);
  head_load<Plan::ROWS, D>(d_o, b.d_o, s.query, s.queries, start, head * size, size);
  take_keys(0, 0);
  copies_commit();
  float sum_q[DOWN][D / 8][4], lse2[DOWN][2], delta[DOWN][2], scale[DOWN][2];
  tile_zero(sum_q);
#pragma unroll
  for (int i = 0; i < DOWN * 2; i++) {
    int row = own + i / 2 * 16 + block_row(i % 2 * 2);
    bool there = row < s.queries;
    lse2[i / 2][i % 2] = there ? b.lse.row(s.query + row)[head] * LOG2_E : INFINITY;
    delta[i / 2][i % 2] = there ? b.delta[(s.query + row) * b.heads + blockIdx.x] : 0.0f;
    scale[i / 2][i % 2] = problem.scale;
  }
  for (int key = 0, buffer = 0; key < end; key += STEP, buffer ^= 1) {
    if (key + STEP < end)
      take_keys(key + STEP, buffer ^ 1);
    copies_commit();
    copies_wait<1>();
    __syncthreads();
    float p[DOWN][Plan::ACROSS][4], ds[DOWN][Plan::ACROSS][4];
    tile_scores<D>(p, q + warp_row<DOWN>() * TILE_PITCH<T, D>, k + buffer * Plan::TILE);
    tile_scores<D>(ds, d_o + warp_row<DOWN>() * TILE_PITCH<T, D>, v + buffer * Plan::TILE);
    down_gradient(p, ds, s, problem.scale2, lse2, delta, own, key);
    tile_weigh<D>(sum_q, ds, k + buffer * Plan::TILE);
    __syncthreads(); /* the buffer may be overwritten */
  }
  copies_wait<0>();
  tile_store(dq, s.query + own, head * size, s.queries - own, size, sum_q, scale, b.add);
}

/* ---- the table's function ---- */

/* Query heads b.first_head and b.heads - 1 more: whole groups. */
template <class T, int D>
static void backward_slice(const Ops *ops, const Backward<T> &b, Rows<T> dq, Rows<T> dk, Rows<T> dv, Rows<const T> o,
                           const Ragged *queries, const Ragged *keys) {
  using OfKeys = KeyPlan<T, D>;
  using OfQueries = QueryPlan<T, D>;
  unsigned samples = static_cast<unsigned>(queries->count), heads = static_cast<unsigned>(b.heads);
  LAUNCH(attention_delta_kernel<T>, static_cast<unsigned>(ceil_div(queries->rows * heads, DELTA_THREADS / DELTA_TEAM)),
         DELTA_THREADS, 0, stream_of(ops), b, o, queries->rows, o.wide && b.d_o.wide);
  dim3 tiles_of_keys(heads / b.problem.group, samples, static_cast<unsigned>(ceil_div(keys->longest, OfKeys::ROWS)));
  dim3 tiles_of_queries(heads, samples, static_cast<unsigned>(ceil_div(queries->longest, OfQueries::ROWS)));
  if (dk.data || dv.data)
    LAUNCH((attention_dkv_kernel<T, D>), tiles_of_keys, ATTENTION_THREADS, OfKeys::SHARED, stream_of(ops), b, dk, dv);
  if (dq.data)
    LAUNCH((attention_dq_kernel<T, D>), tiles_of_queries, ATTENTION_THREADS, OfQueries::SHARED, stream_of(ops), b, dq);
}

/* Delta stands in scratch memory: as many key heads at a time as it holds. */
void attention_bwd(const Ops *ops, Tensor dq, Tensor dk, Tensor dv, Tensor d_o, Tensor o, Tensor lse, Tensor q,
                   Tensor k, Tensor v, Write write, const Attention *a, const Ragged *queries, const Ragged *keys) {
  size_t group = a->heads / a->kv_heads, rows = queries->rows;
  if (rows == 0) {
    if (write == WRITE_SET) {
      zero(ops, dk);
      zero(ops, dv);
    }
    return;
  }
  REQUIRE(group * rows <= SCRATCH, "attention_bwd: %zu rows of queries are too many", rows);
  size_t at_once = at_most(SCRATCH / (group * rows), a->kv_heads);
  by_head(q.dtype, a->size, [&](auto number, auto d) {
    using T = decltype(number);
    for (size_t first = 0; first < a->kv_heads; first += at_once) {
      Backward<T> b = {problem_of<T>(q, k, v, a, queries, keys),
                       head_rows<const T>(d_o, a->size),
                       rows_of<const float>(lse),
                       state_of(ops)->scratch,
                       static_cast<int>(first * group),
                       static_cast<int>(at_most(at_once, a->kv_heads - first) * group),
                       write == WRITE_ADD};
      backward_slice<T, decltype(d)::value>(ops, b, head_rows<T>(dq, a->size), head_rows<T>(dk, a->size),
                                            head_rows<T>(dv, a->size), head_rows<const T>(o, a->size), queries, keys);
    }
  });
}

} // namespace SEESAW_BACKEND
