/* rows.c: moving rows: copy, gather, its gradient, scatter, and pictures cut into patches. */
#include <string.h>

#include "convert.h"
#include "state.h"
#include "vector.h"

enum { COLUMNS = 256 };           /* of a block */
enum { WORTH_THREADS = 1 << 14 }; /* numbers: fewer are done before a thread wakes */

/* index[i], which is less than rows, or negative: none. */
static int32_t index_at(const char *operation, Tensor index, size_t i, size_t rows) {
  int32_t at = ((const int32_t *)index.data)[i];
  REQUIRE(at < 0 || (size_t)at < rows, "%s: index %zu is %d, but there are %zu rows", operation, i, at, rows);
  return at;
}

/* ---- copy ---- */

void C_OPERATION(copy)(const Ops *ops, Tensor y, Tensor x) {
  size_t size = dtype_bits(x.dtype) / 8, bytes = tensor_width(x) * size;
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) > WORTH_THREADS)
  for (size_t i = 0; i < x.size[0]; i++)
    memcpy((char *)y.data + i * y.pitch * size, (const char *)x.data + i * x.pitch * size, bytes);
}

/* ---- gather ---- */

/* y += x */
C_CLONES static void add_row(real *restrict y, const real *restrict x, size_t n) {
  for (size_t j = 0; j < n; j++)
    y[j] += x[j];
}

/* y += a row of the table, converted in pieces. */
static void add_converted(real *y, Tensor table, size_t row, size_t n) {
  real piece[COLUMNS];
  for (size_t first = 0; first < n; first += COLUMNS) {
    size_t width = n - first < COLUMNS ? n - first : COLUMNS;
    c_convert(piece, table, row * table.pitch + first, width);
    add_row(y + first, piece, width);
  }
}

void C_OPERATION(gather_fwd)(const Ops *ops, Tensor y, Tensor table, Tensor index, Write write) {
  size_t columns = y.size[1];
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) > WORTH_THREADS)
  for (size_t i = 0; i < y.size[0]; i++) {
    int32_t at = index_at("gather_fwd", index, i, table.size[0]);
    if (at >= 0 && write == WRITE_ADD)
      add_converted(c_row(y, i), table, (size_t)at, columns);
    else if (at >= 0)
      c_convert(c_row(y, i), table, (size_t)at * table.pitch, columns);
    else if (write == WRITE_SET)
      memset(c_row(y, i), 0, columns * sizeof(real));
  }
}

/* A block of columns belongs to one thread, so a row that is asked for twice is added to in the order of i. */
void C_OPERATION(gather_bwd)(const Ops *ops, Tensor dtable, Tensor dy, Tensor index) {
  size_t columns = dy.size[1];
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(dy) > WORTH_THREADS)
  for (size_t first = 0; first < columns; first += COLUMNS) {
    size_t width = columns - first < COLUMNS ? columns - first : COLUMNS;
    for (size_t i = 0; i < dy.size[0]; i++) {
      int32_t at = index_at("gather_bwd", index, i, dtable.size[0]);
      if (at >= 0)
        add_row(c_row(dtable, (size_t)at) + first, c_row(dy, i) + first, width);
    }
  }
}

/* ---- scatter ---- */

void C_OPERATION(scatter_fwd)(const Ops *ops, Tensor y, Tensor x, Tensor index) {
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(x) > WORTH_THREADS)
  for (size_t i = 0; i < x.size[0]; i++) {
    int32_t at = index_at("scatter_fwd", index, i, y.size[0]);
    if (at >= 0)
      memcpy(c_row(y, (size_t)at), c_row(x, i), x.size[1] * sizeof(real));
  }
}

/* ---- patches ---- */

void C_OPERATION(patches_fwd)(const Ops *ops, Tensor y, Tensor picture, size_t patch) {
  size_t side = picture.size[2], across = side / patch;
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) > WORTH_THREADS)
  for (size_t n = 0; n < y.size[0]; n++) {
    size_t b = n / (across * across), top = n / across % across * patch, left = n % across * patch;
    real *to = c_row(y, n);
    for (size_t channel = 0; channel < 3; channel++)
      for (size_t i = 0; i < patch; i++, to += patch) {
        const real *from = c_row(picture, b) + (channel * side + top + i) * side + left;
        memcpy(to, from, patch * sizeof(real));
      }
  }
}
