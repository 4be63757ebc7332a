/* rows.cu: moving rows: gather, its gradient, scatter, and pictures cut into patches. All are bound by bytes. */
#include "places.h"

namespace SEESAW_BACKEND {

/* index[i], which is less than rows, or negative: none. Another is the caller's mistake and ends the program's work: a
 * fault of the device, which sticks. */
__device__ __forceinline__ int32_t index_at(const int32_t *index, size_t i, size_t rows) {
  int32_t at = index[i];
  if (at >= 0 && size_t(at) >= rows)
    __trap();
  return at;
}

/* ---- gather ---- */

/* Reads a row of the table, writes one of y (and reads it, to add). */
template <class T, class S>
__global__ void __launch_bounds__(PLACE_THREADS)
    gather_fwd_kernel(Rows<T> y, Rows<const S> table, const int32_t *index, size_t table_rows, bool adds, Shape shape) {
  constexpr int COUNT = BOTH<T, S>;
  each_place<COUNT>(shape, [&](size_t row, size_t column) INLINED {
    int32_t at = index_at(index, row, table_rows);
    if (at < 0 && adds)
      return;
    Stored<COUNT, S> found = {};
    Stored<COUNT, T> before = {};
    if (at >= 0)
      found = chunk_fetch<COUNT>(table.row(size_t(at)), table.wide, column, shape.columns);
    if (adds)
      before = chunk_fetch<COUNT>(y.row(row), y.wide, column, shape.columns);
    Chunk<COUNT> out = chunk_of(found), sum = chunk_of(before);
#pragma unroll
    for (int i = 0; i < COUNT; i++)
      out.at[i] = adds ? sum.at[i] + out.at[i] : out.at[i];
    chunk_store(y.row(row), y.wide, column, shape.columns, out);
  });
}

/* ---- its gradient: equal indices are chained in their order, then the first of each chain adds for all ---- */

enum { CHAIN_BLOCK = 64, CHAIN_TILE = 4 * CHAIN_BLOCK };

/* next[i]: the nearest j > i with the same index, or count; follows[j] = 1 for it (0 before). A thread looks for one i
 * through all later indices, tile by tile: count^2 / 2 comparisons, microseconds for thousands of indices and, at one a
 * lane and clock, under a tenth of the time that adding rows of thousands takes up to 100,000 indices. */
__global__ void __launch_bounds__(CHAIN_BLOCK)
    gather_chain_kernel(uint32_t *next, uint32_t *follows, const int32_t *index, uint32_t count) {
  SHARED(int32_t, tile, CHAIN_TILE);
  uint32_t i = blockIdx.x * CHAIN_BLOCK + threadIdx.x, nearest = count;
  int32_t own = i < count ? index[i] : -1;
  for (uint32_t first = blockIdx.x * CHAIN_BLOCK; first < count; first += CHAIN_TILE) {
    __syncthreads(); /* the last tile is done with */
    for (uint32_t k = threadIdx.x; k < CHAIN_TILE; k += CHAIN_BLOCK)
      tile[k] = first + k < count ? index[first + k] : -1;
    __syncthreads();
    if (own < 0 || nearest < count)
      continue;
    for (uint32_t k = CHAIN_TILE; k-- > 0;) /* downwards: the last that is found is the nearest */
      if (tile[k] == own && first + k > i)
        nearest = first + k;
  }
  if (i < count)
    next[i] = nearest;
  if (nearest < count) /* nobody else's nearest: the same j has one predecessor */
    follows[nearest] = 1;
}

/* A row of dy is read once, a row of dtable once read and written, in the order of i. */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    gather_bwd_kernel(Rows<float> dtable, Rows<const T> dy, const int32_t *index, const uint32_t *next,
                      const uint32_t *follows, size_t table_rows, Shape shape) {
  constexpr int COUNT = WIDE<T>;
  each_place<COUNT>(shape, [&](size_t row, size_t column) INLINED {
    int32_t at = index_at(index, row, table_rows);
    if (at < 0 || follows[row])
      return;
    Chunk<COUNT> sum = chunk_load<COUNT>(dtable.row(size_t(at)), dtable.wide, column, shape.columns);
    for (size_t i = row; i < shape.rows; i = next[i]) {
      Chunk<COUNT> more = chunk_load<COUNT>(dy.row(i), dy.wide, column, shape.columns);
#pragma unroll
      for (int k = 0; k < COUNT; k++)
        sum.at[k] += more.at[k];
    }
    chunk_store(dtable.row(size_t(at)), dtable.wide, column, shape.columns, sum);
  });
}

/* ---- scatter ---- */

template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    scatter_kernel(Rows<T> y, Rows<const T> x, const int32_t *index, size_t y_rows, Shape shape) {
  each_place<WIDE<T>>(shape, [&](size_t row, size_t column) INLINED {
    int32_t at = index_at(index, row, y_rows);
    if (at >= 0)
      chunk_store(y.row(size_t(at)), y.wide, column, shape.columns,
                  chunk_load<WIDE<T>>(x.row(row), x.wide, column, shape.columns));
  });
}

/* ---- patches ---- */

/* How a picture is cut, in numbers. */
struct Cut {
  unsigned side, across, patch;
};

/* A thread writes single numbers of a row of y: writes are whole, reads are pieces of `patch` numbers whose
 * neighbours other blocks read soon after, from the cache. A tenth of a per cent of a step. */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    patches_kernel(Rows<T> y, Rows<const T> picture, Cut cut, Shape shape) {
  each_place<1>(shape, [&](size_t n, size_t number) INLINED {
    unsigned column = unsigned(number), square = cut.patch * cut.patch;
    unsigned channel = column / square, i = column % square / cut.patch, j = column % cut.patch;
    unsigned place = unsigned(n % (size_t(cut.across) * cut.across));
    size_t line = size_t(channel) * cut.side + place / cut.across * cut.patch + i;
    y.row(n)[number] =
        picture.row(n / (size_t(cut.across) * cut.across))[line * cut.side + place % cut.across * cut.patch + j];
  });
}

/* ---- the table's functions ---- */

static const int32_t *numbers_of(Tensor index) {
  return static_cast<const int32_t *>(index.data);
}

template <class T, class S> static void gather(const Ops *ops, Tensor y, Tensor table, Tensor index, Write write) {
  Shape shape = shape_of(y, false);
  Places places = places_of<BOTH<T, S>>(shape);
  LAUNCH((gather_fwd_kernel<T, S>), places.blocks, places.threads, 0, stream_of(ops), rows_of<T>(y),
         rows_of<const S>(table), numbers_of(index), table.size[0], write == WRITE_ADD, shape);
}

void gather_fwd(const Ops *ops, Tensor y, Tensor table, Tensor index, Write write) {
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    switch (table.dtype) {
    case DTYPE_F32:
      return gather<T, float>(ops, y, table, index, write);
    case DTYPE_BF16:
      return gather<T, bf16>(ops, y, table, index, write);
    case DTYPE_F16:
      return gather<T, f16>(ops, y, table, index, write);
    default:
      REQUIRE(false, "gather_fwd: there are no kernels for a table in %s", dtype_name(table.dtype));
    }
  });
}

void gather_bwd(const Ops *ops, Tensor dtable, Tensor dy, Tensor index) {
  Shape shape = shape_of(dy, false);
  if (!dtable.data || shape.rows == 0)
    return;
  REQUIRE(2 * shape.rows <= SCRATCH, "gather_bwd: %zu indices, at most %d", shape.rows, SCRATCH / 2);
  uint32_t *next = reinterpret_cast<uint32_t *>(state_of(ops)->scratch), *follows = next + shape.rows;
  size_t bytes = shape.rows * sizeof *follows;
  device_clear(stream_of(ops), follows, bytes, bytes, 1);
  LAUNCH(gather_chain_kernel, static_cast<unsigned>(ceil_div(shape.rows, CHAIN_BLOCK)), CHAIN_BLOCK, 0, stream_of(ops),
         next, follows, numbers_of(index), static_cast<uint32_t>(shape.rows));
  by_type(dy.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH(gather_bwd_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_of<float>(dtable),
           rows_of<const T>(dy), numbers_of(index), next, follows, dtable.size[0], shape);
  });
}

void scatter_fwd(const Ops *ops, Tensor y, Tensor x, Tensor index) {
  Shape shape = shape_of(x, false);
  by_type(x.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<WIDE<T>>(shape);
    LAUNCH(scatter_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_of<T>(y), rows_of<const T>(x),
           numbers_of(index), y.size[0], shape);
  });
}

void patches_fwd(const Ops *ops, Tensor y, Tensor picture, size_t patch) {
  Shape shape = shape_of(y, false);
  Cut cut = {static_cast<unsigned>(picture.size[2]), static_cast<unsigned>(picture.size[2] / patch),
             static_cast<unsigned>(patch)};
  by_type(y.dtype, [&](auto number) {
    using T = decltype(number);
    Places places = places_of<1>(shape);
    LAUNCH(patches_kernel<T>, places.blocks, places.threads, 0, stream_of(ops), rows_of<T>(y),
           rows_of<const T>(picture), cut, shape);
  });
}

} // namespace SEESAW_BACKEND
