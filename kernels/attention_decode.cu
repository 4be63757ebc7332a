/* attention_decode.cu: a few queries against many keys: a token at a time with a cache.
 *
 * There are too few tiles of queries to fill a card, so keys are split: a block has PART keys of one key head of one
 * sample and all the queries that use them (of every head of the group: keys are read once). It leaves its largest
 * score, its sum and its weighted values, not yet divided, in scratch memory; a second kernel puts parts together in
 * their order. Parts begin at multiples of PART, so a sample's bytes do not depend on the rest of its batch, as long as
 * all have few queries: the longest sample decides whether the whole batch goes this way or through tiles.
 *
 * Source: as Flash-Decoding (Dao et al. 2023). */
#include "attention.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

enum { FEW = 8, PART = 128 /* a key a thread */ };
static_assert(int(PART) == int(ATTENTION_THREADS), "a thread scores a key");

/* What a part leaves for a query: most, sum, then D numbers. */
template <int D> constexpr int LEFT = D + 4;

/* Where a part of a (sample, key head) stands in scratch memory: FEW queries. */
template <int D>
__device__ __forceinline__ float *left_of(float *scratch, size_t sample, size_t kv_heads, size_t head, size_t parts,
                                          size_t part) {
  return scratch + ((sample * kv_heads + head) * parts + part) * FEW * LEFT<D>;
}

/* Bound by bytes: 2 PART D numbers, all on their way at once. Grid: key heads, samples, parts. Row r is query r / group
 * of the group's head r % group. */
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS) attention_part_kernel(Problem<T> problem, float *scratch) {
  constexpr int PITCH = TILE_PITCH<T, D>;
  DYNAMIC_SHARED(T, k);
  T *v = k + PART * PITCH;
  SHARED(Chunk<FEW>, q, D); /* all rows' numbers side by side: a thread takes them in two loads */
  SHARED(Chunk<FEW>, p, PART);
  Sample s = sample_of(problem, blockIdx.y);
  int key = static_cast<int>(blockIdx.z) * PART, rows = s.queries * problem.group, thread = threadIdx.x;
  int size = problem.size;
  if (key >= s.keys || rows == 0)
    return;
  size_t kv_at = size_t(blockIdx.x) * size;
  head_load<PART, D>(k, problem.k, s.key, s.keys, key, kv_at, size);
  copies_commit();
  head_load<PART, D>(v, problem.v, s.key, s.keys, key, kv_at, size);
  copies_commit();
  for (int n = thread; n < FEW * D; n += ATTENTION_THREADS) {
    int r = n / D, i = n % D;
    size_t head = size_t(blockIdx.x) * problem.group + r % problem.group;
    q[i].at[r] = r < rows && i < size ? to_float(problem.q.row(s.query + r / problem.group)[head * size + i]) : 0.0f;
  }
  copies_wait<1>();
  __syncthreads();
  float score[FEW] = {};
  for (int i = 0; i < D; i += WIDE<T>) {
    Chunk<WIDE<T>> own = chunk_load<WIDE<T>>(k + thread * PITCH, true, i, D);
#pragma unroll
    for (int e = 0; e < WIDE<T>; e++) {
      Chunk<FEW> query = q[i + e];
#pragma unroll
      for (int r = 0; r < FEW; r++)
        score[r] += query.at[r] * own.at[e];
    }
  }
  float most[FEW], sum[FEW];
  Chunk<FEW> shares;
#pragma unroll
  for (int r = 0; r < FEW; r++) {
    bool sees = r < rows && key + thread < s.seen(r / problem.group);
    score[r] = sees ? product(score[r], problem.scale2) : -INFINITY;
    most[r] = block_max(score[r]);
    shares.at[r] = power_of_2(score[r] - (most[r] > -INFINITY ? most[r] : 0.0f));
    sum[r] = block_sum(shares.at[r]);
  }
  p[thread] = shares;
  copies_wait<0>();
  __syncthreads();
  float *left = left_of<D>(scratch, blockIdx.y, gridDim.x, blockIdx.x, gridDim.z, blockIdx.z);
  float o[FEW] = {};
  for (int j = 0; j < PART && thread < D; j++) {
    float number = to_float(v[j * PITCH + thread]);
    Chunk<FEW> share = p[j];
#pragma unroll
    for (int r = 0; r < FEW; r++)
      o[r] += share.at[r] * number;
  }
#pragma unroll
  for (int r = 0; r < FEW; r++) {
    if (r < rows && thread < D)
      left[r * LEFT<D> + 4 + thread] = o[r];
    if (r < rows && thread == 0) {
      left[r * LEFT<D>] = most[r];
      left[r * LEFT<D> + 1] = sum[r];
    }
  }
}

/* Bound by bytes: D numbers a part. Grid: key heads, samples, rows; a thread a number. */
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_parts_kernel(Problem<T> problem, Rows<T> o, Rows<float> lse, float *scratch, size_t parts) {
  Sample s = sample_of(problem, blockIdx.y);
  int r = blockIdx.z, i = threadIdx.x;
  if (r >= s.queries * problem.group)
    return;
  size_t own = ceil_div(s.keys, PART), head = size_t(blockIdx.x) * problem.group + r % problem.group;
  const float *left = left_of<D>(scratch, blockIdx.y, gridDim.x, blockIdx.x, parts, 0) + r * LEFT<D>;
  float most = -INFINITY, sum = 0.0f, number = 0.0f;
  for (size_t part = 0; part < own; part++)
    most = fmaxf(most, left[part * FEW * LEFT<D>]);
  float base = most > -INFINITY ? most : 0.0f;
  for (size_t part = 0; part < own; part++) {
    const float *of_part = left + part * FEW * LEFT<D>;
    float share = power_of_2(of_part[0] - base);
    sum += of_part[1] * share;
    number += i < problem.size ? of_part[4 + i] * share : 0.0f;
  }
  size_t row = s.query + r / problem.group;
  if (i < problem.size)
    o.row(row)[head * problem.size + i] = from_float<T>(number / sum);
  if (lse.data && i == 0)
    lse.row(row)[head] = (most + log2f(sum)) * LN_2;
}

bool attention_few(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, const Attention *a,
                   const Ragged *queries, const Ragged *keys) {
  constexpr size_t MOST_LEFT = LEFT<128>;
  size_t parts = ceil_div(keys->longest, PART), left = queries->count * a->kv_heads * parts * FEW;
  if (queries->longest * (a->heads / a->kv_heads) > FEW || left * MOST_LEFT > SCRATCH)
    return false;
  by_head(q.dtype, a->size, [&](auto number, auto d) {
    using T = decltype(number);
    constexpr int D = decltype(d)::value;
    unsigned heads = static_cast<unsigned>(a->kv_heads), samples = static_cast<unsigned>(queries->count);
    unsigned rows = static_cast<unsigned>(queries->longest * (a->heads / a->kv_heads));
    Problem<T> problem = problem_of<T>(q, k, v, a, queries, keys);
    LAUNCH((attention_part_kernel<T, D>), dim3(heads, samples, static_cast<unsigned>(parts)), ATTENTION_THREADS,
           2 * PART * TILE_PITCH<T, D> * sizeof(T), stream_of(ops), problem, state_of(ops)->scratch);
    LAUNCH((attention_parts_kernel<T, D>), dim3(heads, samples, rows), ATTENTION_THREADS, 0, stream_of(ops), problem,
           rows_of<T>(o), rows_of<float>(lse), state_of(ops)->scratch, parts);
  });
  return true;
}

} // namespace SEESAW_BACKEND
