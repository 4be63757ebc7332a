/* gemm.h: the matrix product of the BLAS in the type that this folder is compiled for. */
#ifndef SEESAW_C_GEMM_H
#define SEESAW_C_GEMM_H

#include <cblas.h>

#include "state.h"

#define gemm_of_float cblas_sgemm
#define gemm_of_double cblas_dgemm

/* c = beta c + alpha op(a) op(b), row-major: op(a) m x k, op(b) k x n, c m x n; each matrix with the distance of its
 * rows. beta = 0 overwrites whatever c holds. */
static inline void c_gemm(CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, size_t m, size_t n, size_t k, real alpha,
                          const real *a, size_t a_pitch, const real *b, size_t b_pitch, real beta, real *c,
                          size_t c_pitch) {
  if (m > 0 && n > 0)
    REAL_NAME(gemm_of)
    (CblasRowMajor, op_a, op_b, (int)m, (int)n, (int)k, alpha, a, (int)(a_pitch > 0 ? a_pitch : 1), b,
     (int)(b_pitch > 0 ? b_pitch : 1), beta, c, (int)c_pitch);
}

#endif
