/* norm.cu: layernorm and rmsnorm: rmsnorm is layernorm about a mean of zero, without b.
 *
 * A team works on a row: a warp on a narrow one, a block on a wide one. Thread t of a team of n has the chunks t, t +
 * n, t + 2n, ... of the row; the first KEPT of them stay in registers between the passes, so rows of up to 1024 numbers
 * (by a warp) or 8192 (by a block) are read once. */
#include "kernel.h"
#include "reduce.h"

namespace SEESAW_BACKEND {

enum { BLOCK = 256, NARROW = 1024 };

/* Chunks of WIDE numbers that a thread keeps: 32 numbers. */
template <class A> constexpr int KEPT = 32 / WIDE<A>;

/* ---- teams ---- */

struct WarpTeam {
  static __device__ __forceinline__ size_t row() {
    return blockIdx.x * size_t(BLOCK / WARP) + threadIdx.x / WARP;
  }
  static __device__ __forceinline__ unsigned thread() {
    return threadIdx.x % WARP;
  }
  static __device__ __forceinline__ unsigned size() {
    return WARP;
  }
  static __device__ __forceinline__ float sum(float x) {
    return warp_sum(x);
  }
};

struct BlockTeam {
  static __device__ __forceinline__ size_t row() {
    return blockIdx.x;
  }
  static __device__ __forceinline__ unsigned thread() {
    return threadIdx.x;
  }
  static __device__ __forceinline__ unsigned size() {
    return BLOCK;
  }
  static __device__ __forceinline__ float sum(float x) {
    return block_sum(x);
  }
};

/* A thread's chunks of a row: the first KEPT in registers, as they are stored; all are asked for before one is used. */
template <class Team, class A> struct KeptRow {
  const A *row;
  bool wide;
  size_t columns;
  Stored<WIDE<A>, A> kept[KEPT<A>];

  __device__ __forceinline__ KeptRow(Rows<const A> x, size_t n, size_t width) {
    row = x.row(n);
    wide = x.wide;
    columns = width;
#pragma unroll
    for (int k = 0; k < KEPT<A>; k++) {
      size_t column = (Team::thread() + size_t(k) * Team::size()) * WIDE<A>;
      if (column < columns)
        kept[k] = chunk_fetch<WIDE<A>>(row, wide, column, columns);
    }
  }

  /* What each_chunk names: the k-th chunk, or none that was kept, from `column` on. */
  __device__ __forceinline__ Chunk<WIDE<A>> chunk(int k, size_t column) const {
    return k < 0 ? chunk_load<WIDE<A>>(row, wide, column, columns) : chunk_of(kept[k]);
  }
};

/* each_chunk: body(k, column) for a thread's chunks: the kept ones, then (k = -1) those that are loaded each time. */
template <class Team, class A, class Body> __device__ __forceinline__ void each_chunk(size_t columns, Body body) {
#pragma unroll
  for (int k = 0; k < KEPT<A>; k++) {
    size_t column = (Team::thread() + size_t(k) * Team::size()) * WIDE<A>;
    if (column < columns)
      body(k, column);
  }
  for (size_t chunk = Team::thread() + size_t(KEPT<A>) * Team::size(); chunk * WIDE<A> < columns; chunk += Team::size())
    body(-1, chunk * WIDE<A>);
}

/* ---- forward ---- */

/* The mean in two parts, high + low: the second is the mean of what the first leaves, so that x far off centre loses
 * nothing to rounding. */
struct Moments {
  float high, low, rstd;
};

template <class Team, class A>
__device__ __forceinline__ Moments moments_of(const KeptRow<Team, A> &row, bool centred, float epsilon) {
  Moments m = {0.0f, 0.0f, 0.0f};
  size_t columns = row.columns;
  for (int part = 0; part < 2 && centred; part++) {
    float sum = 0.0f;
    each_chunk<Team, A>(columns, [&](int k, size_t column) INLINED {
      Chunk<WIDE<A>> x = row.chunk(k, column);
#pragma unroll
      for (int i = 0; i < WIDE<A>; i++)
        sum += column + i < columns ? x.at[i] - m.high : 0.0f;
    });
    (part == 0 ? m.high : m.low) = Team::sum(sum) / columns;
  }
  float square = 0.0f;
  each_chunk<Team, A>(columns, [&](int k, size_t column) INLINED {
    Chunk<WIDE<A>> x = row.chunk(k, column);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++) {
      float off = column + i < columns ? x.at[i] - m.high - m.low : 0.0f;
      square += off * off;
    }
  });
  m.rstd = 1.0f / sqrtf(Team::sum(square) / columns + epsilon);
  return m;
}

/* layernorm with b and mean, rmsnorm without (data NULL). */
template <class Team, class A, class P>
__global__ void __launch_bounds__(BLOCK) norm_fwd_kernel(Rows<A> y, float *mean, float *rstd, Rows<const A> x,
                                                         Rows<const P> g, Rows<const P> b, Shape shape, float epsilon) {
  size_t n = Team::row(), columns = shape.columns;
  if (n >= shape.rows) /* a whole team */
    return;
  KeptRow<Team, A> row(x, n, columns);
  Moments m = moments_of(row, mean != nullptr, epsilon);
  each_chunk<Team, A>(columns, [&](int k, size_t column) INLINED {
    Chunk<WIDE<A>> out = row.chunk(k, column), shift = {};
    Chunk<WIDE<A>> gain = chunk_load<WIDE<A>>(g.data, g.wide, column, columns);
    if (b.data)
      shift = chunk_load<WIDE<A>>(b.data, b.wide, column, columns);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++)
      out.at[i] = (out.at[i] - m.high - m.low) * m.rstd * gain.at[i] + shift.at[i];
    chunk_store(y.row(n), y.wide, column, columns, out);
  });
  if (Team::thread() == 0) {
    if (mean)
      mean[n] = m.high + m.low;
    rstd[n] = m.rstd;
  }
}

/* ---- backward: dx += rstd (h - mean of h - x^ (mean of h x^)), h = dy g, x^ = (x - mean) rstd ---- */

template <class Team, class A, class P>
__global__ void __launch_bounds__(BLOCK) norm_dx_kernel(Rows<A> dx, Rows<const A> dy, Rows<const A> x, Rows<const P> g,
                                                        const float *mean, const float *rstd, Shape shape) {
  size_t n = Team::row(), columns = shape.columns;
  if (n >= shape.rows)
    return;
  KeptRow<Team, A> x_row(x, n, columns), dy_row(dy, n, columns), dx_row({dx.data, dx.pitch, dx.wide}, n, columns);
  float centre = mean ? mean[n] : 0.0f, scale = rstd[n], h_sum = 0.0f, hx_sum = 0.0f;
  /* x^ and h of a chunk */
  auto both = [&](int k, size_t column, Chunk<WIDE<A>> &unit, Chunk<WIDE<A>> &h) INLINED {
    Chunk<WIDE<A>> gain = chunk_load<WIDE<A>>(g.data, g.wide, column, columns);
    unit = x_row.chunk(k, column);
    h = dy_row.chunk(k, column);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++) {
      unit.at[i] = (unit.at[i] - centre) * scale;
      h.at[i] *= gain.at[i]; /* beyond the row: 0 */
    }
  };
  each_chunk<Team, A>(columns, [&](int k, size_t column) INLINED {
    Chunk<WIDE<A>> unit, h;
    both(k, column, unit, h);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++) {
      h_sum += h.at[i];
      hx_sum += h.at[i] * unit.at[i];
    }
  });
  float h_mean = mean ? Team::sum(h_sum) / columns : 0.0f, hx_mean = Team::sum(hx_sum) / columns;
  each_chunk<Team, A>(columns, [&](int k, size_t column) INLINED {
    Chunk<WIDE<A>> unit, h, out = dx_row.chunk(k, column);
    both(k, column, unit, h);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++)
      out.at[i] += scale * (h.at[i] - h_mean - unit.at[i] * hx_mean);
    chunk_store(dx.row(n), dx.wide, column, columns, out);
  });
}

/* ---- backward: dg += sum of dy x^, db += sum of dy: a block sums a strip of rows, then strips are added in order ----
 */

enum { STRIP_LEAST = 32 /* rows */, STRIPS_MOST = 64, ROWS_AT_ONCE = BLOCK / WARP };

/* Partial sums of strip s stand in sums[(2 s + (db?)) columns]. Warp w takes rows w, w + 8, ...; lane l a chunk. */
template <class A>
__global__ void __launch_bounds__(BLOCK)
    norm_strip_kernel(float *sums, Rows<const A> dy, Rows<const A> x, const float *mean, const float *rstd, Shape shape,
                      size_t strip) {
  size_t column = (blockIdx.x * size_t(WARP) + threadIdx.x % WARP) * WIDE<A>;
  size_t first = blockIdx.y * strip, end = first + strip < shape.rows ? first + strip : shape.rows;
  Chunk<WIDE<A>> dg = {}, db = {};
  for (size_t n = first + threadIdx.x / WARP; n < end; n += ROWS_AT_ONCE) {
    auto dy_there = chunk_fetch<WIDE<A>>(dy.row(n), dy.wide, column, shape.columns);
    auto x_there = chunk_fetch<WIDE<A>>(x.row(n), x.wide, column, shape.columns);
    float centre = mean ? mean[n] : 0.0f, scale = rstd[n];
    Chunk<WIDE<A>> dy_chunk = chunk_of(dy_there), x_chunk = chunk_of(x_there);
#pragma unroll
    for (int i = 0; i < WIDE<A>; i++) {
      dg.at[i] += dy_chunk.at[i] * ((x_chunk.at[i] - centre) * scale);
      db.at[i] += dy_chunk.at[i];
    }
  }
  size_t begin = blockIdx.x * size_t(WARP * WIDE<A>), left = shape.columns - begin;
  float *to = sums + 2 * blockIdx.y * shape.columns + begin;
  block_columns<ROWS_AT_ONCE>(dg.at, to, left);
  block_columns<ROWS_AT_ONCE>(db.at, to + shape.columns, left);
}

__global__ void __launch_bounds__(BLOCK)
    norm_strips_kernel(float *dg, float *db, const float *sums, size_t strips, size_t columns) {
  size_t column = blockIdx.x * size_t(BLOCK) + threadIdx.x;
  float g = 0.0f, b = 0.0f;
  if (column >= columns)
    return;
  for (size_t s = 0; s < strips; s++) {
    g += sums[2 * s * columns + column];
    b += sums[(2 * s + 1) * columns + column];
  }
  if (dg)
    dg[column] += g;
  if (db)
    db[column] += b;
}

/* ---- the table's functions ---- */

#define LAUNCH_TEAM(kernel, ops, shape, ...)                                                                           \
  do {                                                                                                                 \
    if ((shape).columns <= NARROW)                                                                                     \
      LAUNCH((kernel<WarpTeam, A, P>), static_cast<unsigned>(ceil_div((shape).rows, BLOCK / WARP)), BLOCK, 0,          \
             stream_of(ops), __VA_ARGS__);                                                                             \
    else                                                                                                               \
      LAUNCH((kernel<BlockTeam, A, P>), static_cast<unsigned>((shape).rows), BLOCK, 0, stream_of(ops), __VA_ARGS__);   \
  } while (0)

static float *floats(Tensor x) {
  return static_cast<float *>(x.data);
}

static void forward(const Ops *ops, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor g, Tensor b, double epsilon) {
  Shape shape = shape_of(x, false);
  by_types(x.dtype, g.dtype, [&](auto activation, auto parameter) {
    using A = decltype(activation);
    using P = decltype(parameter);
    LAUNCH_TEAM(norm_fwd_kernel, ops, shape, rows_of<A>(y), floats(mean), floats(rstd), rows_of<const A>(x),
                row_of<const P>(g), row_of<const P>(b), shape, static_cast<float>(epsilon));
  });
}

static void input_gradient(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Tensor g, Tensor mean, Tensor rstd) {
  Shape shape = shape_of(x, false);
  if (!dx.data)
    return;
  by_types(x.dtype, g.dtype, [&](auto activation, auto parameter) {
    using A = decltype(activation);
    using P = decltype(parameter);
    LAUNCH_TEAM(norm_dx_kernel, ops, shape, rows_of<A>(dx), rows_of<const A>(dy), rows_of<const A>(x),
                row_of<const P>(g), floats(mean), floats(rstd), shape);
  });
}

static void weight_gradient(const Ops *ops, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor mean, Tensor rstd) {
  Shape shape = shape_of(x, false);
  if ((!dg.data && !db.data) || shape.rows == 0 || shape.columns == 0)
    return;
  size_t most = at_most(SCRATCH / (2 * shape.columns), STRIPS_MOST);
  REQUIRE(most > 0, "norm: rows of %zu numbers are too long", shape.columns);
  size_t strip = ceil_div(shape.rows, at_most(ceil_div(shape.rows, STRIP_LEAST), most));
  size_t strips = ceil_div(shape.rows, strip);
  float *sums = state_of(ops)->scratch;
  by_type(x.dtype, [&](auto activation) {
    using A = decltype(activation);
    dim3 blocks(static_cast<unsigned>(ceil_div(shape.columns, WARP * WIDE<A>)), static_cast<unsigned>(strips));
    LAUNCH(norm_strip_kernel<A>, blocks, BLOCK, 0, stream_of(ops), sums, rows_of<const A>(dy), rows_of<const A>(x),
           floats(mean), floats(rstd), shape, strip);
  });
  LAUNCH(norm_strips_kernel, static_cast<unsigned>(ceil_div(shape.columns, BLOCK)), BLOCK, 0, stream_of(ops),
         floats(dg), floats(db), sums, strips, shape.columns);
}

void layernorm_fwd(const Ops *ops, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor g, Tensor b, double epsilon) {
  forward(ops, y, mean, rstd, x, g, b, epsilon);
}

void layernorm_bwd(const Ops *ops, Tensor dx, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor g, Tensor mean,
                   Tensor rstd) {
  input_gradient(ops, dx, dy, x, g, mean, rstd);
  weight_gradient(ops, dg, db, dy, x, mean, rstd);
}

void rmsnorm_fwd(const Ops *ops, Tensor y, Tensor rstd, Tensor x, Tensor g, double epsilon) {
  forward(ops, y, Tensor(), rstd, x, g, Tensor(), epsilon);
}

void rmsnorm_bwd(const Ops *ops, Tensor dx, Tensor dg, Tensor dy, Tensor x, Tensor g, Tensor rstd) {
  input_gradient(ops, dx, dy, x, g, Tensor(), rstd);
  weight_gradient(ops, dg, Tensor(), dy, x, Tensor(), rstd);
}

} // namespace SEESAW_BACKEND
