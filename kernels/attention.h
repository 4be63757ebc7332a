/* attention.h: what attention's kernels share: the problem as they see it, a block's sample, and which keys a query
 * sees.
 *
 * A block is four warps; a warp has DOWN x 16 rows of scores and sees ACROSS x 8 columns of them at a time. Heads of
 * any size up to D run on tiles of D numbers, with zeros behind. */
#ifndef SEESAW_KERNELS_ATTENTION_H
#define SEESAW_KERNELS_ATTENTION_H

#include "tile.h"

namespace SEESAW_BACKEND {

enum { WARPS = 4, ATTENTION_THREADS = WARPS * WARP };

constexpr float LOG2_E = 1.44269504f, LN_2 = 0.69314718f;

template <class T> struct Problem {
  Rows<const T> q, k, v; /* wide: 16 bytes fit into heads, too */
  const int32_t *query_offsets, *key_offsets;
  int size, group;     /* of a head; query heads that share a key head */
  float scale, scale2; /* of scores; of scores in base 2 */
  bool causal;
};

/* One sample: rows [query, query + queries) and [key, key + keys). */
struct Sample {
  size_t query, key;
  int queries, keys;
  bool causal;

  /* How many keys query i sees; queries beyond the last: as many as it. */
  __device__ __forceinline__ int seen(int i) const {
    return causal ? min(keys - queries + i + 1, keys) : keys;
  }
};

template <class T> __device__ __forceinline__ Sample sample_of(const Problem<T> &problem, unsigned i) {
  Sample s;
  s.query = problem.query_offsets[i];
  s.key = problem.key_offsets[i];
  s.queries = static_cast<int>(problem.query_offsets[i + 1] - s.query);
  s.keys = static_cast<int>(problem.key_offsets[i + 1] - s.key);
  s.causal = problem.causal;
  return s;
}

/* exp2, where 0 is the most that x can be but for rounding (of scores of 1e30, say); NaN stays. */
__device__ __forceinline__ float share_of(float x) {
  return power_of_2(x > 0.0f ? 0.0f : x);
}

/* A block's rows: down first, down + 16, ... of its warp. */
template <int DOWN> constexpr int BLOCK_ROWS = WARPS *DOWN * 16;
template <int DOWN> __device__ __forceinline__ int warp_row() {
  return static_cast<int>(threadIdx.x) / WARP * DOWN * 16;
}

/* head_load: rows of a tile, from the sample's row `first` on, of the head whose columns begin at `head`: begin is the
 * sample's first row, count how many it has. */
template <int ROWS, int D, class T>
__device__ __forceinline__ void head_load(T *to, const Rows<const T> &x, size_t begin, int count, int first,
                                          size_t head, int size) {
  tile_load<ROWS, D, ATTENTION_THREADS>(to, x.row(begin + first) + head, x.pitch, x.wide, count - first, size);
}

/* Two neighbours, in one access. */
template <class T> struct alignas(2 * sizeof(T)) Pair { T x, y; };

/* row[column], row[column + 1] = x, y or += ; nothing beyond columns. wide: as of heads, so pairs are whole. */
template <class T>
__device__ __forceinline__ void pair_store(T *row, bool wide, int column, int columns, float x, float y, bool add) {
  if (wide) {
    Pair<T> *to = reinterpret_cast<Pair<T> *>(row + column);
    if (column < columns) {
      Pair<T> old = add ? *to : Pair<T>();
      *to = {from_float<T>(add ? to_float(old.x) + x : x), from_float<T>(add ? to_float(old.y) + y : y)};
    }
    return;
  }
  if (column < columns)
    row[column] = from_float<T>(add ? to_float(row[column]) + x : x);
  if (column + 1 < columns)
    row[column + 1] = from_float<T>(add ? to_float(row[column + 1]) + y : y);
}

/* A warp's c, rows below `rows`, times factor[i][half] into (add: onto) rows of x from `first` on, the head whose
 * columns begin at `head`. */
template <int DOWN, int ACROSS, class T>
__device__ __forceinline__ void tile_store(const Rows<T> &x, size_t first, size_t head, int rows, int columns,
                                           const float (&c)[DOWN][ACROSS][4], const float (&factor)[DOWN][2],
                                           bool add) {
#pragma unroll
  for (int i = 0; i < DOWN; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = i * 16 + block_row(2 * half);
      if (row < rows)
#pragma unroll
        for (int j = 0; j < ACROSS; j++)
          pair_store(x.row(first + row) + head, x.wide, j * 8 + block_column(0), columns,
                     c[i][j][2 * half] * factor[i][half], c[i][j][2 * half + 1] * factor[i][half], add);
    }
}

/* ---- the host's side ---- */

/* Rows of heads: wide if each head's 16-byte pieces are whole and aligned. */
template <class T> Rows<T> head_rows(Tensor x, size_t size) {
  Rows<T> rows = rows_of<T>(x);
  rows.wide = rows.wide && size % WIDE<std::remove_const_t<T>> == 0;
  return rows;
}

template <class T>
Problem<T> problem_of(Tensor q, Tensor k, Tensor v, const Attention *a, const Ragged *queries, const Ragged *keys) {
  return {head_rows<const T>(q, a->size),
          head_rows<const T>(k, a->size),
          head_rows<const T>(v, a->size),
          static_cast<const int32_t *>(queries->offsets.data),
          static_cast<const int32_t *>(keys->offsets.data),
          static_cast<int>(a->size),
          static_cast<int>(a->heads / a->kv_heads),
          static_cast<float>(a->scale),
          static_cast<float>(a->scale * 1.4426950408889634),
          a->causal};
}

template <int VALUE> using Number = std::integral_constant<int, VALUE>;

/* body(number of the storage type, Number<D>) for the least D that a head fits into. */
template <class Body> void by_head(Dtype dtype, size_t size, Body body) {
  REQUIRE(size <= 128, "there are no kernels for attention with heads of %zu: 128 is the most", size);
  by_type(dtype, [&](auto number) {
    if (size <= 32)
      body(number, Number<32>());
    else if (size <= 64)
      body(number, Number<64>());
    else
      body(number, Number<128>());
  });
}

/* attention_few (attention_decode.cu): a few queries a sample: true if it was its job. */
bool attention_few(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, const Attention *attention,
                   const Ragged *queries, const Ragged *keys);

} // namespace SEESAW_BACKEND

#endif
