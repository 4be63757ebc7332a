/* rope.cu: rotary positions, in place: the pair (x_i, x_{i + pairs}) of each head turns by position * frequency_i. */
#include "kernel.h"

namespace SEESAW_BACKEND {

enum { MOST_BLOCK = 512, PAIRS = 4096 /* of a head at most: their sines and cosines fit into shared memory */ };

/* A block turns a row. Its angles, sines and cosines are computed once for all heads, in double: in float an angle of
 * tens of thousands would be wrong by thousandths. Bound by bytes: 2 numbers move for each of x; the double arithmetic,
 * about 100 operations for each pair of one head, is a tenth of that time at 40 heads. */
template <class T>
__global__ void __launch_bounds__(MOST_BLOCK) rope_kernel(Rows<T> x, const int32_t *position, const double *frequency,
                                                          unsigned heads, unsigned pairs, double direction) {
  DYNAMIC_SHARED(float, cosine);
  float *sine = cosine + pairs;
  size_t n = blockIdx.x;
  for (unsigned i = threadIdx.x; i < pairs; i += blockDim.x) {
    double s, c;
    sincos(position[n] * frequency[i], &s, &c);
    cosine[i] = float(c);
    sine[i] = float(direction * s);
  }
  __syncthreads();
  unsigned across = unsigned(ceil_div(pairs, WIDE<T>));
  bool wide = x.wide && pairs % WIDE<T> == 0;
  for (unsigned k = threadIdx.x; k < heads * across; k += blockDim.x) {
    unsigned column = k % across * WIDE<T>;
    T *left = x.row(n) + size_t(k / across) * 2 * pairs, *right = left + pairs;
    auto left_there = chunk_fetch<WIDE<T>>(left, wide, column, pairs);
    auto right_there = chunk_fetch<WIDE<T>>(right, wide, column, pairs);
    Chunk<WIDE<T>> a = chunk_of(left_there), b = chunk_of(right_there);
#pragma unroll
    for (int i = 0; i < WIDE<T>; i++) {
      float c = column + i < pairs ? cosine[column + i] : 0.0f, s = column + i < pairs ? sine[column + i] : 0.0f;
      float turned = a.at[i] * c - b.at[i] * s;
      b.at[i] = b.at[i] * c + a.at[i] * s;
      a.at[i] = turned;
    }
    chunk_store(left, wide, column, pairs, a);
    chunk_store(right, wide, column, pairs, b);
  }
}

void rope(const Ops *ops, Tensor x, Tensor position, Tensor frequency, bool inverse) {
  size_t pairs = frequency.size[0];
  REQUIRE(pairs <= PAIRS, "rope: heads of %zu, at most %d", 2 * pairs, 2 * PAIRS);
  if (x.size[1] == 0)
    return;
  by_type(x.dtype, [&](auto number) {
    using T = decltype(number);
    size_t heads = x.size[1] / (2 * pairs), chunks = heads * ceil_div(pairs, WIDE<T>);
    unsigned threads = static_cast<unsigned>(at_most(ceil_div(chunks, WARP) * WARP, MOST_BLOCK));
    LAUNCH(rope_kernel<T>, static_cast<unsigned>(x.size[0]), threads, 2 * pairs * sizeof(float), stream_of(ops),
           rows_of<T>(x), static_cast<const int32_t *>(position.data), static_cast<const double *>(frequency.data),
           static_cast<unsigned>(heads), static_cast<unsigned>(pairs), inverse ? -1.0 : 1.0);
  });
}

} // namespace SEESAW_BACKEND
