/* products.h: what matrix products on a card keep, and what of product.cu the choice of algorithms needs (choose.cu).
 */
#ifndef SEESAW_KERNELS_CARD_PRODUCTS_H
#define SEESAW_KERNELS_CARD_PRODUCTS_H

#include <cublasLt.h>

#include "../product.h"
#include "algorithms.h"

namespace cuda {

enum { WORKSPACE = 32 << 20 };

struct Products {
  cublasLtHandle_t handle;
  void *workspace;
  cublasStatus_t fault; /* the first: product_status */
  CudaChoices choices;
  char *file, identity[384]; /* of algorithms.h; no file: choices are kept in memory alone */
  AlgorithmTable seen;       /* what a shape got, as it is */
  AlgorithmTable kept;       /* what was timed, by coarse shape: the file's */
};

/* What one product is to the library. */
struct Description {
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t a, b, c, d;
};

inline Products *products_of(const Ops *ops) {
  return static_cast<Products *>(state_of(ops)->products);
}

/* addend: p's c; where there is none, d stands for it and is not read. */
inline Tensor addend(const Product &p) {
  return p.c.data ? p.c : p.d;
}

/* product_run: p by one algorithm, into `to` instead of its d, of the same layout. */
cublasStatus_t product_run(const Ops *ops, const Description &description, const Product &p, void *to,
                           const cublasLtMatmulAlgo_t &algorithm);

/* product_choose: the algorithm for p as cuda_algorithms said, and the same again for the same shape. product_first:
 * the library's first answer, which the shape gets from now on. Errors: the library's; it has none: NOT_SUPPORTED. */
cublasStatus_t product_choose(const Ops *ops, const Description &description, const Product &p,
                              cublasLtMatmulAlgo_t *algorithm);
cublasStatus_t product_first(const Ops *ops, const Description &description, const Product &p,
                             cublasLtMatmulAlgo_t *algorithm);

/* LT: hand a failure of the library to the caller. */
#define LT(call)                                                                                                       \
  do {                                                                                                                 \
    cublasStatus_t result = (call);                                                                                    \
    if (result != CUBLAS_STATUS_SUCCESS)                                                                               \
      return result;                                                                                                   \
  } while (0)

} // namespace cuda

#endif
