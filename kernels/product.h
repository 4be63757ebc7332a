/* product.h: matrix products, the one thing that is not a kernel of ours: cuBLASLt on a card (card/product.cu), loops
 * that say what they mean on the stand-in (host/product.cc). */
#ifndef SEESAW_KERNELS_PRODUCT_H
#define SEESAW_KERNELS_PRODUCT_H

#include "kernel.h"

namespace SEESAW_BACKEND {

/* d = c + a b + bias, row-major, rows apart by `pitch`; c absent: nothing is added.
 *   a (M, K), turned: (K, M)   b (K, N), turned: (N, K)   c, d (M, N)   bias (N) of d's type, added to each row, or
 * NULL a and b are of one type, F32 or BF16; c and d are of that type or F32. c may be d itself, rows as far apart;
 * else they do not overlap. Products and sums are in float (no TF32). */
struct Product {
  Tensor d, c, a, b;
  bool turned_a, turned_b;
  const void *bias;
};

/* product: on the backend's stream. Nothing happens where d is empty; K = 0 is the caller's mistake, as are sizes and
 * types that do not fit: it stops. A failure of the device or the library sticks to the backend (ops_status).
 * The same bytes every run, as long as the library chooses the same algorithm. */
void product(const Ops *ops, const Product &p);

/* What product keeps with the state: a handle, working memory, algorithms. Errors: STATUS_MEMORY, STATUS_UNAVAILABLE.
 * product_close: safe when it was never opened. */
Status product_open(const Ops *ops);
void product_close(const Ops *ops);

/* product_status: of a card: the first failure of the library, or ok. */
Status product_status(const Ops *ops);

inline size_t product_sum(const Product &p) {
  return p.turned_a ? p.a.size[0] : p.a.size[1];
}

/* product_check: what every backend asks of a product; false: there is nothing to do. */
inline bool product_check(const Product &p) {
  size_t m = p.d.size[0], n = p.d.size[1], k = product_sum(p);
  REQUIRE(p.a.size[p.turned_a] == m && p.b.size[!p.turned_b] == n && p.b.size[p.turned_b] == k,
          "product: a (%zu, %zu)%s and b (%zu, %zu)%s do not give d (%zu, %zu)", p.a.size[0], p.a.size[1],
          p.turned_a ? " turned" : "", p.b.size[0], p.b.size[1], p.turned_b ? " turned" : "", m, n);
  REQUIRE(p.a.dtype == p.b.dtype && (p.a.dtype == DTYPE_F32 || p.a.dtype == DTYPE_BF16) &&
              (p.d.dtype == DTYPE_F32 || p.d.dtype == p.a.dtype),
          "product: there is none of %s and %s into %s", dtype_name(p.a.dtype), dtype_name(p.b.dtype),
          dtype_name(p.d.dtype));
  REQUIRE(!p.c.data || tensor_same(p.c, p.d), "product: c %s (%zu, %zu) is not like d %s (%zu, %zu)",
          dtype_name(p.c.dtype), p.c.size[0], p.c.size[1], dtype_name(p.d.dtype), m, n);
  REQUIRE(k > 0 || m == 0 || n == 0, "product: sums of no numbers");
  return m > 0 && n > 0;
}

} // namespace SEESAW_BACKEND

#endif
