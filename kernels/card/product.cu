/* product.cu: matrix products by cuBLASLt.
 *
 * It counts by columns: our row-major d (M, N) is its d' (N, M), a' and b' likewise, so d = a b is asked for as
 * d' = b' a': b comes first, M and N change places, pitches are leading dimensions, and its bias, one number for each
 * row of d', is ours for each column of d. */
#include <cublasLt.h>
#include <stdlib.h>

#include "../product.h"

namespace cuda {

enum { WORKSPACE = 32 << 20 };

struct Products {
  cublasLtHandle_t handle;
  void *workspace;
  cublasStatus_t fault; /* the first: product_fault */
};

static Products *products_of(const Ops *ops) {
  return static_cast<Products *>(state_of(ops)->products);
}

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

/* The largest power of two up to 256 that divides where rows begin. */
static uint32_t alignment_of(Tensor x) {
  uintptr_t bytes = reinterpret_cast<uintptr_t>(x.data) | x.pitch * (dtype_bits(x.dtype) / 8) | 256;
  return static_cast<uint32_t>(bytes & -bytes);
}

static cudaDataType_t type_of(Tensor x) {
  return x.dtype == DTYPE_F32 ? CUDA_R_32F : CUDA_R_16BF;
}

/* What one product is to the library. */
struct Description {
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t a, b, d;
  cublasLtMatmulPreference_t preference;
};

static cublasStatus_t layout_of(cublasLtMatrixLayout_t *layout, Tensor x) {
  return cublasLtMatrixLayoutCreate(layout, type_of(x), x.size[1], x.size[0], static_cast<int64_t>(x.pitch));
}

#define LT(call)                                                                                                       \
  do {                                                                                                                 \
    cublasStatus_t result = (call);                                                                                    \
    if (result != CUBLAS_STATUS_SUCCESS)                                                                               \
      return result;                                                                                                   \
  } while (0)

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

/* Splits along k are added up in float, in a fixed order. */
static cublasStatus_t describe_preference(Description *d, const Product &p) {
  size_t bytes = WORKSPACE;
  uint32_t a = alignment_of(p.b), b = alignment_of(p.a), c = alignment_of(p.d);
  uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  LT(cublasLtMatmulPreferenceCreate(&d->preference));
#define PREFER(name, value)                                                                                            \
  LT(cublasLtMatmulPreferenceSetAttribute(d->preference, CUBLASLT_MATMUL_PREF_##name, &(value), sizeof(value)))
  PREFER(MAX_WORKSPACE_BYTES, bytes);
  PREFER(REDUCTION_SCHEME_MASK, scheme);
  PREFER(MIN_ALIGNMENT_A_BYTES, a);
  PREFER(MIN_ALIGNMENT_B_BYTES, b);
  PREFER(MIN_ALIGNMENT_C_BYTES, c);
  PREFER(MIN_ALIGNMENT_D_BYTES, c);
#undef PREFER
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t multiply(const Ops *ops, Description *d, const Product &p) {
  Products *products = products_of(ops);
  cublasLtMatmulHeuristicResult_t best;
  int found = 0;
  LT(describe_operation(d, p));
  LT(describe_preference(d, p));
  LT(layout_of(&d->a, p.b));
  LT(layout_of(&d->b, p.a));
  LT(layout_of(&d->d, p.d));
  LT(cublasLtMatmulAlgoGetHeuristic(products->handle, d->operation, d->a, d->b, d->d, d->d, d->preference, 1, &best,
                                    &found));
  if (found == 0)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return cublasLtMatmul(products->handle, d->operation, &p.alpha, p.b.data, d->a, p.a.data, d->b, &p.beta, p.d.data,
                        d->d, p.d.data, d->d, &best.algo, products->workspace, WORKSPACE, stream_of(ops));
}

void product(const Ops *ops, const Product &p) {
  Description d = {};
  if (!product_check(p))
    return;
  cublasStatus_t status = multiply(ops, &d, p);
  if (status != CUBLAS_STATUS_SUCCESS && products_of(ops)->fault == CUBLAS_STATUS_SUCCESS)
    products_of(ops)->fault = status;
  cublasLtMatmulDescDestroy(d.operation);
  cublasLtMatmulPreferenceDestroy(d.preference);
  cublasLtMatrixLayoutDestroy(d.a);
  cublasLtMatrixLayoutDestroy(d.b);
  cublasLtMatrixLayoutDestroy(d.d);
}

} // namespace cuda
