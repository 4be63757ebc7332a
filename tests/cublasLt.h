/* cublasLt.h: a stand-in of cuBLASLt and of CUDA's events, as much of them as kernels/card/product.cu and choose.cu
 * use. It multiplies nothing: its algorithms, numbered from 1 on, take the time that the test says, in the order of its
 * guesses, and fail where the test wants it. What the test sees is in `library` (test_choose.h). */
#ifndef SEESAW_TEST_CUBLASLT_H
#define SEESAW_TEST_CUBLASLT_H

#include <stdint.h>
#include <stdlib.h>

#include "test_choose.h"

typedef enum {
  CUBLAS_STATUS_SUCCESS,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_NOT_SUPPORTED = 15
} cublasStatus_t;
typedef enum { cudaSuccess, cudaErrorUnknown = 999 } cudaError_t;
typedef enum { CUDA_R_32F, CUDA_R_16BF } cudaDataType_t;
typedef enum { CUBLAS_OP_N, CUBLAS_OP_T } cublasOperation_t;
typedef enum { CUBLASLT_EPILOGUE_BIAS } cublasLtEpilogue_t;
enum { CUBLAS_COMPUTE_32F, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE };
enum {
  CUBLASLT_MATMUL_DESC_TRANSA,
  CUBLASLT_MATMUL_DESC_TRANSB,
  CUBLASLT_MATMUL_DESC_EPILOGUE,
  CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER,
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
  CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
};

typedef struct {
  uint64_t data[8];
} cublasLtMatmulAlgo_t;

typedef struct {
  cublasLtMatmulAlgo_t algo;
  size_t workspaceSize;
  cublasStatus_t state;
} cublasLtMatmulHeuristicResult_t;

/* Whatever is created and must be destroyed; an event holds when it was recorded. */
typedef double *Handle;
typedef Handle cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, cudaEvent_t;

static cublasStatus_t create(Handle *handle) {
  *handle = static_cast<Handle>(calloc(1, sizeof **handle));
  library.alive++;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(Handle handle) {
  library.alive -= handle != nullptr;
  free(handle);
  return CUBLAS_STATUS_SUCCESS;
}

static const auto cublasLtCreate = create, cublasLtMatmulPreferenceCreate = create;
static const auto cublasLtDestroy = destroy, cublasLtMatmulDescDestroy = destroy, cublasLtMatrixLayoutDestroy = destroy,
                  cublasLtMatmulPreferenceDestroy = destroy;

static cublasStatus_t cublasLtMatmulDescCreate(Handle *handle, int, cudaDataType_t) {
  return create(handle);
}

static cublasStatus_t cublasLtMatrixLayoutCreate(Handle *handle, cudaDataType_t, uint64_t, uint64_t, int64_t) {
  return create(handle);
}

static cublasStatus_t set_attribute(Handle, int, const void *, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
static const auto cublasLtMatmulDescSetAttribute = set_attribute, cublasLtMatmulPreferenceSetAttribute = set_attribute;

static size_t cublasLtGetVersion() {
  return 130100;
}

static const char *cublasLtGetStatusString(cublasStatus_t) {
  return "the stand-in was told to fail";
}

static cublasStatus_t cublasLtMatmulAlgoGetHeuristic(Handle, Handle, Handle, Handle, Handle, Handle, Handle, int most,
                                                     cublasLtMatmulHeuristicResult_t *results, int *count) {
  library.asked++;
  *count = most < library.offered ? most : library.offered;
  for (int i = 0; i < *count; i++) {
    results[i] = cublasLtMatmulHeuristicResult_t();
    results[i].algo.data[0] = static_cast<uint64_t>(i) + 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t cublasLtMatmulAlgoCheck(Handle, Handle, Handle, Handle, Handle, Handle,
                                              const cublasLtMatmulAlgo_t *algorithm,
                                              cublasLtMatmulHeuristicResult_t *result) {
  uint64_t number = algorithm->data[0];
  *result = cublasLtMatmulHeuristicResult_t();
  result->workspaceSize = number < ALGORITHMS && library.hungry[number] ? size_t(1) << 40 : 0;
  return number < ALGORITHMS && !library.refused[number] ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static cublasStatus_t cublasLtMatmul(Handle, Handle, const float *, const void *, Handle, const void *, Handle,
                                     const float *beta, const void *c, Handle, void *to, Handle,
                                     const cublasLtMatmulAlgo_t *algorithm, void *, size_t, Stream) {
  uint64_t number = algorithm->data[0];
  library.launched++;
  if (number >= ALGORITHMS || library.fails[number])
    return CUBLAS_STATUS_INVALID_VALUE;
  library.last = static_cast<int>(number);
  library.written += to == choose_output;
  library.added = *beta != 0.0f ? c : nullptr;
  library.now += library.cost[number];
  return CUBLAS_STATUS_SUCCESS;
}

static cudaError_t cudaEventCreate(cudaEvent_t *event) {
  return library.without_events || create(event) != CUBLAS_STATUS_SUCCESS ? cudaErrorUnknown : cudaSuccess;
}

static const auto cudaEventDestroy = destroy;

static cudaError_t cudaEventRecord(cudaEvent_t event, Stream) {
  *event = library.now;
  return cudaSuccess;
}

static cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  *milliseconds = static_cast<float>(*stop - *start);
  return cudaSuccess;
}

static cudaError_t cudaStreamSynchronize(Stream) {
  return library.broken ? cudaErrorUnknown : cudaSuccess;
}

static const char *cudaGetErrorString(cudaError_t) {
  return "the stand-in was told to break";
}

#endif
