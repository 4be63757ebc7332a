/* product.cu: matrix products by cuBLASLt.
 *
 * It counts by columns: our row-major d (M, N) is its d' (N, M), a' and b' likewise, so d = c + a b is asked for as
 * d' = c' + b' a': b comes first, M and N change places, pitches are leading dimensions, and its bias, one number for
 * each row of d', is ours for each column of d. */
#include <stdlib.h>

#include "products.h"

namespace cuda {

Status product_open(const Ops *ops) {
  Products *products = static_cast<Products *>(calloc(1, sizeof *products));
  if (!products)
    return status_error(STATUS_MEMORY, "not enough memory for matrix products");
  state_of(ops)->products = products;
  if (cublasLtCreate(&products->handle) != CUBLAS_STATUS_SUCCESS)
    return status_error(STATUS_UNAVAILABLE, "cuBLASLt does not start on the CUDA device");
  return device_alloc(ops, WORKSPACE, &products->workspace);
}

void product_close(const Ops *ops) {
  Products *products = products_of(ops);
  if (!products)
    return;
  if (products->workspace)
    device_free(ops, products->workspace);
  if (products->handle)
    cublasLtDestroy(products->handle);
  algorithms_clear(&products->seen);
  algorithms_clear(&products->kept);
  free(products->file);
  free(products);
  state_of(ops)->products = nullptr;
}

Status product_status(const Ops *ops) {
  const Products *products = products_of(ops);
  return !products || products->fault == CUBLAS_STATUS_SUCCESS
             ? status_ok()
             : status_error(STATUS_UNAVAILABLE, "a matrix product failed on the CUDA device: %s",
                            cublasLtGetStatusString(products->fault));
}

static cudaDataType_t type_of(Tensor x) {
  return x.dtype == DTYPE_F32 ? CUDA_R_32F : CUDA_R_16BF;
}

static cublasStatus_t layout_of(cublasLtMatrixLayout_t *layout, Tensor x) {
  return cublasLtMatrixLayoutCreate(layout, type_of(x), x.size[1], x.size[0], static_cast<int64_t>(x.pitch));
}

static cublasStatus_t describe_operation(Description *d, const Product &p) {
  cublasOperation_t turned_a = p.turned_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                    turned_b = p.turned_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  LT(cublasLtMatmulDescCreate(&d->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  LT(cublasLtMatmulDescSetAttribute(d->operation, CUBLASLT_MATMUL_DESC_TRANSA, &turned_b, sizeof turned_b));
  LT(cublasLtMatmulDescSetAttribute(d->operation, CUBLASLT_MATMUL_DESC_TRANSB, &turned_a, sizeof turned_a));
  if (!p.bias)
    return CUBLAS_STATUS_SUCCESS;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  cudaDataType_t type = type_of(p.d);
  LT(cublasLtMatmulDescSetAttribute(d->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
  LT(cublasLtMatmulDescSetAttribute(d->operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type));
  return cublasLtMatmulDescSetAttribute(d->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof p.bias);
}

static cublasStatus_t describe(Description *d, const Product &p) {
  LT(describe_operation(d, p));
  LT(layout_of(&d->a, p.b));
  LT(layout_of(&d->b, p.a));
  LT(layout_of(&d->c, addend(p)));
  return layout_of(&d->d, p.d);
}

cublasStatus_t product_run(const Ops *ops, const Description &d, const Product &p, void *to,
                           const cublasLtMatmulAlgo_t &algorithm) {
  const Products *products = products_of(ops);
  const float alpha = 1.0f, beta = p.c.data ? 1.0f : 0.0f;
  return cublasLtMatmul(products->handle, d.operation, &alpha, p.b.data, d.a, p.a.data, d.b, &beta, addend(p).data, d.c,
                        to, d.d, &algorithm, products->workspace, WORKSPACE, stream_of(ops));
}

/* An algorithm from a file may have been checked and still not run ("this doesn't fully guarantee", says the library of
 * its check): then the library's own answer is taken. */
static cublasStatus_t multiply(const Ops *ops, Description *d, const Product &p) {
  cublasLtMatmulAlgo_t algorithm;
  LT(describe(d, p));
  LT(product_choose(ops, *d, p, &algorithm));
  if (product_run(ops, *d, p, p.d.data, algorithm) == CUBLAS_STATUS_SUCCESS)
    return CUBLAS_STATUS_SUCCESS;
  LT(product_first(ops, *d, p, &algorithm));
  return product_run(ops, *d, p, p.d.data, algorithm);
}

void product(const Ops *ops, const Product &p) {
  Description d = {};
  if (!product_check(p))
    return;
  cublasStatus_t status = multiply(ops, &d, p);
  if (status != CUBLAS_STATUS_SUCCESS && products_of(ops)->fault == CUBLAS_STATUS_SUCCESS)
    products_of(ops)->fault = status;
  cublasLtMatmulDescDestroy(d.operation);
  cublasLtMatrixLayoutDestroy(d.a);
  cublasLtMatrixLayoutDestroy(d.b);
  cublasLtMatrixLayoutDestroy(d.c);
  cublasLtMatrixLayoutDestroy(d.d);
}

} // namespace cuda
