/* product.h: matrix products of short sums and few columns, as attention and narrow layers have them. There a BLAS is
 * slow: it arranges both factors anew for every product, and few numbers are used often enough to pay for that.
 *
 * The second factor is arranged once, by c_pack, and used in many products; the first is read where it lies. Unlike
 * the other loops of this folder a product uses fused multiply-adds where the processor has them, as a BLAS does. */
#ifndef SEESAW_C_PRODUCT_H
#define SEESAW_C_PRODUCT_H

#include "state.h"

enum {
  PRODUCT_ROWS = 6,                   /* of c that are made at once: more rows are cut into as many */
  PRODUCT_COLUMNS = 64 / sizeof(real) /* of a panel: a cache line of each row */
};

/* How many columns so many fill up. */
static inline size_t c_padded(size_t columns) {
  return (columns + PRODUCT_COLUMNS - 1) / PRODUCT_COLUMNS * PRODUCT_COLUMNS;
}

/* c_pack: a matrix, sum x columns, whose number (k, j) is from[k row_step + j column_step], into panels of
 * PRODUCT_COLUMNS columns, one behind the other, the last one padded by zeros: sum * c_padded(columns) numbers. One of
 * the steps is 1. */
#define c_pack REAL_NAME(c_pack_of)
void c_pack(real *to, const real *from, size_t row_step, size_t column_step, size_t sum, size_t columns);

/* c = alpha a b + beta c. Number (i, k) of a is a[i a_row + k a_step]; panels of b lie b_panel numbers apart, so a
 * product may use some rows of what was packed. beta = 0 overwrites whatever c holds. */
typedef struct Product {
  size_t rows, columns, sum;
  const real *a, *b;
  size_t a_row, a_step, b_panel;
  real alpha, beta;
  real *c;
  size_t c_pitch;
} Product;

#define c_product REAL_NAME(c_product_of)
void c_product(const Product *product);

#endif
