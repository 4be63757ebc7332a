/* norm.c: layernorm and rmsnorm, a row at a time: rmsnorm is layernorm about a mean of zero, without b. Sums in double.
 */
#include <math.h>

#include "state.h"
#include "vector.h"

enum { COLUMNS = 256, AHEAD = 4 }; /* of a block, in the sums over rows; rows that are asked for early */
enum { WORTH_THREADS = 1 << 14 };  /* numbers: fewer are done before a thread wakes */

static real number(Tensor x, size_t i) {
  return ((const real *)x.data)[i];
}

/* ---- rows ---- */

C_CLONES static double sum_of(const real *x, size_t n) {
  double lane[C_LANES] = {0.0};
  size_t i = 0;
  for (; i + C_LANES <= n; i += C_LANES)
    for (size_t j = 0; j < C_LANES; j++)
      lane[j] += x[i + j];
  for (size_t j = 0; i < n; i++, j++)
    lane[j] += x[i];
  return c_lanes_total(lane);
}

C_CLONES static double squares_about(double mean, const real *x, size_t n) {
  double lane[C_LANES] = {0.0};
  size_t i = 0;
  for (; i + C_LANES <= n; i += C_LANES)
    for (size_t j = 0; j < C_LANES; j++)
      lane[j] += (x[i + j] - mean) * (x[i + j] - mean);
  for (size_t j = 0; i < n; i++, j++)
    lane[j] += (x[i] - mean) * (x[i] - mean);
  return c_lanes_total(lane);
}

/* y = (x - mean) rstd g + b, the mean in two parts, so that x far off centre loses nothing; b may be NULL. */
C_CLONES static void normalise(real *restrict y, const real *x, size_t n, double mean, double rstd, const real *g,
                               const real *b) {
  real high = (real)mean, low = (real)(mean - high), scale = (real)rstd;
  if (b)
    for (size_t j = 0; j < n; j++)
      y[j] = (x[j] - high - low) * scale * g[j] + b[j];
  else
    for (size_t j = 0; j < n; j++)
      y[j] = (x[j] - high - low) * scale * g[j];
}

/* With h = dy g and x^ = (x - mean) rstd: *h_sum = sum h, *hx_sum = sum h x^. */
C_CLONES static void row_sums(const real *dy, const real *x, const real *g, size_t n, real mean, real rstd,
                              double *h_sum, double *hx_sum) {
  double lane[C_LANES] = {0.0}, lane_x[C_LANES] = {0.0};
  size_t i = 0;
  for (; i + C_LANES <= n; i += C_LANES)
    for (size_t j = 0; j < C_LANES; j++) {
      real h = dy[i + j] * g[i + j];
      lane[j] += h;
      lane_x[j] += h * ((x[i + j] - mean) * rstd);
    }
  for (size_t j = 0; i < n; i++, j++) {
    real h = dy[i] * g[i];
    lane[j] += h;
    lane_x[j] += h * ((x[i] - mean) * rstd);
  }
  *h_sum = c_lanes_total(lane);
  *hx_sum = c_lanes_total(lane_x);
}

/* dx += rstd (h - h_mean - x^ hx_mean) */
C_CLONES static void row_gradient(real *restrict dx, const real *dy, const real *x, const real *g, size_t n, real mean,
                                  real rstd, real h_mean, real hx_mean) {
  for (size_t j = 0; j < n; j++)
    dx[j] += rstd * (dy[j] * g[j] - h_mean - (x[j] - mean) * rstd * hx_mean);
}

/* ---- sums over rows ---- */

/* One row's share of n columns: dg += dy x^, db += dy. */
C_CLONES static void column_sums(double *restrict dg, double *restrict db, const real *dy, const real *x, size_t n,
                                 real mean, real rstd) {
  for (size_t j = 0; j < n; j++) {
    dg[j] += dy[j] * ((x[j] - mean) * rstd);
    db[j] += dy[j];
  }
}

/* A row's numbers will be needed soon: rows lie pages apart, further than the processor looks ahead by itself. */
static void prefetch(const real *x, size_t n) {
  for (size_t j = 0; j < n; j += 64 / sizeof(real))
    __builtin_prefetch(x + j);
}

static void add_to(Tensor sum, size_t first, const double *x, size_t n) {
  if (sum.data)
    for (size_t j = 0; j < n; j++)
      ((real *)sum.data)[first + j] += (real)x[j];
}

/* A block of columns belongs to one thread, which adds the rows in their order. */
static void weight_gradient(const Ops *ops, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor mean, Tensor rstd) {
  size_t rows = x.size[0], columns = x.size[1];
  if (!dg.data && !db.data)
    return;
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (rows * columns > WORTH_THREADS)
  for (size_t first = 0; first < columns; first += COLUMNS) {
    size_t width = columns - first < COLUMNS ? columns - first : COLUMNS;
    double g_sum[COLUMNS] = {0.0}, b_sum[COLUMNS] = {0.0};
    for (size_t n = 0; n < rows; n++) {
      if (n + AHEAD < rows) {
        prefetch(c_row(dy, n + AHEAD) + first, width);
        prefetch(c_row(x, n + AHEAD) + first, width);
      }
      column_sums(g_sum, b_sum, c_row(dy, n) + first, c_row(x, n) + first, width, mean.data ? number(mean, n) : 0,
                  number(rstd, n));
    }
    add_to(dg, first, g_sum, width);
    add_to(db, first, b_sum, width);
  }
}

/* mean absent: about zero. */
static void input_gradient(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Tensor g, Tensor mean, Tensor rstd) {
  size_t rows = x.size[0], columns = x.size[1];
  if (!dx.data)
    return;
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (rows * columns > WORTH_THREADS)
  for (size_t n = 0; n < rows; n++) {
    double h_sum, hx_sum;
    real centre = mean.data ? number(mean, n) : 0;
    row_sums(c_row(dy, n), c_row(x, n), g.data, columns, centre, number(rstd, n), &h_sum, &hx_sum);
    row_gradient(c_row(dx, n), c_row(dy, n), c_row(x, n), g.data, columns, centre, number(rstd, n),
                 mean.data ? (real)(h_sum / (double)columns) : 0, (real)(hx_sum / (double)columns));
  }
}

/* ---- the operations ---- */

void C_OPERATION(layernorm_fwd)(const Ops *ops, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor g, Tensor b,
                                double epsilon) {
  size_t rows = x.size[0], columns = x.size[1];
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (rows * columns > WORTH_THREADS)
  for (size_t n = 0; n < rows; n++) {
    double centre = sum_of(c_row(x, n), columns) / (double)columns;
    double scale = 1.0 / sqrt(squares_about(centre, c_row(x, n), columns) / (double)columns + epsilon);
    normalise(c_row(y, n), c_row(x, n), columns, centre, scale, g.data, b.data);
    ((real *)mean.data)[n] = (real)centre;
    ((real *)rstd.data)[n] = (real)scale;
  }
}

void C_OPERATION(rmsnorm_fwd)(const Ops *ops, Tensor y, Tensor rstd, Tensor x, Tensor g, double epsilon) {
  size_t rows = x.size[0], columns = x.size[1];
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (rows * columns > WORTH_THREADS)
  for (size_t n = 0; n < rows; n++) {
    double scale = 1.0 / sqrt(squares_about(0.0, c_row(x, n), columns) / (double)columns + epsilon);
    normalise(c_row(y, n), c_row(x, n), columns, 0.0, scale, g.data, NULL);
    ((real *)rstd.data)[n] = (real)scale;
  }
}

void C_OPERATION(layernorm_bwd)(const Ops *ops, Tensor dx, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor g,
                                Tensor mean, Tensor rstd) {
  input_gradient(ops, dx, dy, x, g, mean, rstd);
  weight_gradient(ops, dg, db, dy, x, mean, rstd);
}

void C_OPERATION(rmsnorm_bwd)(const Ops *ops, Tensor dx, Tensor dg, Tensor dy, Tensor x, Tensor g, Tensor rstd) {
  input_gradient(ops, dx, dy, x, g, TENSOR_NONE, rstd);
  weight_gradient(ops, dg, TENSOR_NONE, dy, x, TENSOR_NONE, rstd);
}
