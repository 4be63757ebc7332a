/* product.c: a product is made of tiles of PRODUCT_ROWS x PRODUCT_COLUMNS sums, which stay in registers (12 vectors of
 * AVX2's 16) while a panel of b runs by: two loads of b and six numbers of a give twelve multiply-adds. Panels are the
 * outer loop, so a panel stays in the first cache while all rows use it.
 *
 * Source: Goto, van de Geijn 2008; Van Zee, van de Geijn 2015 (BLIS). */
#include "product.h"

#include <string.h>

#include "vector.h"

#if defined(__x86_64__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum { WIDTH = VECTOR_BYTES / sizeof(real), VECTORS = PRODUCT_COLUMNS / WIDTH };

typedef real Vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* Compiled for processors with fused multiply-adds too, which stand where the source says x * y + z. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FUSED __attribute__((target_clones("arch=x86-64-v3", "default"), optimize("fp-contract=fast")))
#else
#define FUSED
#endif

/* ---- packing ---- */

/* Columns of `from` lie side by side. */
static void pack_rows(real *to, const real *from, size_t row_step, size_t sum, size_t columns) {
  if (columns == PRODUCT_COLUMNS)
    for (size_t k = 0; k < sum; k++)
      memcpy(to + k * PRODUCT_COLUMNS, from + k * row_step, PRODUCT_COLUMNS * sizeof(real));
  else
    for (size_t k = 0; k < sum; k++)
      for (size_t j = 0; j < PRODUCT_COLUMNS; j++)
        to[k * PRODUCT_COLUMNS + j] = j < columns ? from[k * row_step + j] : 0;
}

typedef real Four __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));

/* Four numbers each of four columns become four rows. */
static inline void turn(real *to, const real *from, size_t column_step) {
  const Four *a = (const Four *)from, *b = (const Four *)(from + column_step);
  const Four *c = (const Four *)(from + 2 * column_step), *d = (const Four *)(from + 3 * column_step);
  Four ab = __builtin_shufflevector(*a, *b, 0, 4, 1, 5), ab_next = __builtin_shufflevector(*a, *b, 2, 6, 3, 7);
  Four cd = __builtin_shufflevector(*c, *d, 0, 4, 1, 5), cd_next = __builtin_shufflevector(*c, *d, 2, 6, 3, 7);
  *(Four *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *(Four *)(to + PRODUCT_COLUMNS) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *(Four *)(to + 2 * PRODUCT_COLUMNS) = __builtin_shufflevector(ab_next, cd_next, 0, 1, 4, 5);
  *(Four *)(to + 3 * PRODUCT_COLUMNS) = __builtin_shufflevector(ab_next, cd_next, 2, 3, 6, 7);
}

/* Columns of `from` lie column_step apart. */
static void pack_columns(real *to, const real *from, size_t column_step, size_t sum, size_t columns) {
  size_t k = 0;
  for (; columns == PRODUCT_COLUMNS && k + 4 <= sum; k += 4)
    for (size_t j = 0; j < PRODUCT_COLUMNS; j += 4)
      turn(to + k * PRODUCT_COLUMNS + j, from + j * column_step + k, column_step);
  for (; k < sum; k++)
    for (size_t j = 0; j < PRODUCT_COLUMNS; j++)
      to[k * PRODUCT_COLUMNS + j] = j < columns ? from[j * column_step + k] : 0;
}

void c_pack(real *to, const real *from, size_t row_step, size_t column_step, size_t sum, size_t columns) {
  for (size_t j = 0; j < columns; j += PRODUCT_COLUMNS) {
    size_t count = columns - j < PRODUCT_COLUMNS ? columns - j : PRODUCT_COLUMNS;
    if (column_step == 1)
      pack_rows(to + j * sum, from + j, row_step, sum, count);
    else
      pack_columns(to + j * sum, from + j * column_step, column_step, sum, count);
  }
}

/* ---- products ---- */

#define INLINE static inline __attribute__((always_inline))

/* A row of a tile goes to c: all of it, or `columns` numbers. */
INLINE void finish(real *c, const Vector *sum, size_t columns, real alpha, real beta) {
  if (columns >= PRODUCT_COLUMNS) {
    Vector *to = (Vector *)c;
    for (size_t v = 0; v < VECTORS; v++)
      to[v] = beta == 0 ? alpha * sum[v] : alpha * sum[v] + beta * to[v];
    return;
  }
  real number[PRODUCT_COLUMNS];
  memcpy(number, sum, sizeof number);
  for (size_t j = 0; j < columns; j++)
    c[j] = beta == 0 ? alpha * number[j] : alpha * number[j] + beta * c[j];
}

/* Rows [i, i + rows) of a panel; rows is a constant of at most PRODUCT_ROWS, so all loops over it unroll. */
INLINE void tile(const Product *p, size_t i, size_t rows, const real *b, real *c, size_t columns) {
  const real *a = p->a + i * p->a_row;
  size_t a_row = p->a_row, a_step = p->a_step;
  Vector sum[PRODUCT_ROWS][VECTORS];
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < VECTORS; v++)
      sum[r][v] = (Vector){0};
  for (size_t k = p->sum; k > 0; k--, a += a_step, b += PRODUCT_COLUMNS)
    for (size_t r = 0; r < rows; r++)
      for (size_t v = 0; v < VECTORS; v++)
        sum[r][v] += a[r * a_row] * ((const Vector *)b)[v];
  for (size_t r = 0; r < rows; r++)
    finish(c + (i + r) * p->c_pitch, sum[r], columns, p->alpha, p->beta);
}

/* All rows of a panel. */
FUSED static void panel(const Product *p, const real *b, real *c, size_t columns) {
  size_t i = 0;
  for (; i + PRODUCT_ROWS <= p->rows; i += PRODUCT_ROWS)
    tile(p, i, PRODUCT_ROWS, b, c, columns);
  switch (p->rows - i) {
  case 5:
    tile(p, i, 5, b, c, columns);
    break;
  case 4:
    tile(p, i, 4, b, c, columns);
    break;
  case 3:
    tile(p, i, 3, b, c, columns);
    break;
  case 2:
    tile(p, i, 2, b, c, columns);
    break;
  case 1:
    tile(p, i, 1, b, c, columns);
    break;
  }
}

void c_product(const Product *p) {
  for (size_t j = 0; j < p->columns; j += PRODUCT_COLUMNS)
    panel(p, p->b + j / PRODUCT_COLUMNS * p->b_panel, p->c + j, p->columns - j);
}
