/* choose.cu: which algorithm of cuBLASLt a matrix product gets: its first answer, or the fastest of several, timed once
 * a shape and kept in a file (algorithms.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "products.h"

namespace cuda {

static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t), "an algorithm is eight words");

/* ---- what decides ---- */

/* The largest power of two up to 256 that divides where rows begin. */
static uint32_t alignment_of(Tensor x) {
  uintptr_t bytes = reinterpret_cast<uintptr_t>(x.data) | x.pitch * (dtype_bits(x.dtype) / 8) | 256;
  return static_cast<uint32_t>(bytes & -bytes);
}

static AlgorithmKey key_of(const Product &p) {
  AlgorithmKey key = {};
  key.bits = dtype_bits(p.a.dtype);
  key.bits_d = dtype_bits(p.d.dtype);
  key.turned_a = p.turned_a;
  key.turned_b = p.turned_b;
  key.bias = p.bias != nullptr;
  key.add = p.c.data != nullptr;
  key.m = p.d.size[0];
  key.n = p.d.size[1];
  key.k = product_sum(p);
  key.pitch_a = p.a.pitch;
  key.pitch_b = p.b.pitch;
  key.pitch_c = addend(p).pitch;
  key.pitch_d = p.d.pitch;
  key.align_a = alignment_of(p.a);
  key.align_b = alignment_of(p.b);
  key.align_c = alignment_of(addend(p));
  key.align_d = alignment_of(p.d);
  return key;
}

/* Splits along k are added up in float, in a fixed order. */
static cublasStatus_t describe_preference(cublasLtMatmulPreference_t preference, const Product &p) {
  size_t bytes = WORKSPACE;
  uint32_t a = alignment_of(p.b), b = alignment_of(p.a);
  uint32_t c = alignment_of(addend(p)), to = alignment_of(p.d);
  uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
#define PREFER(name, value)                                                                                            \
  LT(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_##name, &(value), sizeof(value)))
  PREFER(MAX_WORKSPACE_BYTES, bytes);
  PREFER(REDUCTION_SCHEME_MASK, scheme);
  PREFER(MIN_ALIGNMENT_A_BYTES, a);
  PREFER(MIN_ALIGNMENT_B_BYTES, b);
  PREFER(MIN_ALIGNMENT_C_BYTES, c);
  PREFER(MIN_ALIGNMENT_D_BYTES, to);
#undef PREFER
  return CUBLAS_STATUS_SUCCESS;
}

/* ---- what the library says ---- */

enum { CANDIDATES = 8, ROUNDS = 5 };

struct Candidates {
  int count;
  cublasLtMatmulHeuristicResult_t result[CANDIDATES];
};

/* Its first answers, `most` at most and one at least, best guess first. */
static cublasStatus_t ask(const Ops *ops, const Description &d, const Product &p, int most, Candidates *candidates) {
  cublasLtMatmulPreference_t preference;
  LT(cublasLtMatmulPreferenceCreate(&preference));
  cublasStatus_t status = describe_preference(preference, p);
  candidates->count = 0;
  if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasLtMatmulAlgoGetHeuristic(products_of(ops)->handle, d.operation, d.a, d.b, d.c, d.d, preference, most,
                                            candidates->result, &candidates->count);
  cublasLtMatmulPreferenceDestroy(preference);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = candidates->count == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : candidates->result[0].state;
  return status;
}

/* A full table is begun anew: it is only asked for again. */
static void remember(const Ops *ops, const AlgorithmKey &key, const cublasLtMatmulAlgo_t &algorithm) {
  AlgorithmTable *seen = &products_of(ops)->seen;
  Algorithm words;
  memcpy(&words, &algorithm, sizeof words);
  if (algorithm_put(seen, &key, &words))
    return;
  algorithms_clear(seen);
  algorithm_put(seen, &key, &words);
}

cublasStatus_t product_first(const Ops *ops, const Description &d, const Product &p, cublasLtMatmulAlgo_t *algorithm) {
  Candidates candidates;
  LT(ask(ops, d, p, 1, &candidates));
  *algorithm = candidates.result[0].algo;
  remember(ops, key_of(p), *algorithm);
  products_of(ops)->choices.first++;
  return CUBLAS_STATUS_SUCCESS;
}

/* ---- timing ---- */

/* Before, between and after the candidates of a round. */
struct Events {
  cudaEvent_t at[ROUNDS][CANDIDATES + 1];
};

/* The error stays with the runtime, too, from where ops_status takes it. */
static Status not_timed(const char *why) {
  return status_error(STATUS_UNAVAILABLE, "a matrix product could not be timed on the CUDA device: %s", why);
}

static Status events_open(Events *events) {
  for (int r = 0; r < ROUNDS; r++)
    for (int i = 0; i <= CANDIDATES; i++) {
      cudaError_t error = cudaEventCreate(&events->at[r][i]);
      if (error != cudaSuccess)
        return not_timed(cudaGetErrorString(error));
    }
  return status_ok();
}

static void events_close(Events *events) {
  for (int r = 0; r < ROUNDS; r++)
    for (int i = 0; i <= CANDIDATES; i++)
      if (events->at[r][i])
        cudaEventDestroy(events->at[r][i]);
}

/* All rounds are handed over at once, after one to warm up, so that the device need not wait for the host; candidates
 * take turns, so that what slows it down slows all. One that does not run is marked by its state. */
static Status run_rounds(const Ops *ops, const Description &d, const Product &p, void *to, Candidates *candidates,
                         const Events &events) {
  cudaError_t error = cudaSuccess;
  for (int r = -1; r < ROUNDS; r++) {
    if (r >= 0 && error == cudaSuccess)
      error = cudaEventRecord(events.at[r][0], stream_of(ops));
    for (int i = 0; i < candidates->count && error == cudaSuccess; i++) {
      cublasLtMatmulHeuristicResult_t *result = &candidates->result[i];
      if (result->state == CUBLAS_STATUS_SUCCESS)
        result->state = product_run(ops, d, p, to, result->algo);
      if (r >= 0)
        error = cudaEventRecord(events.at[r][i + 1], stream_of(ops));
    }
  }
  cudaError_t ended = cudaStreamSynchronize(stream_of(ops));
  error = error == cudaSuccess ? ended : error;
  return error == cudaSuccess ? status_ok() : not_timed(cudaGetErrorString(error));
}

static int compare_floats(const void *a, const void *b) {
  float x = *static_cast<const float *>(a), y = *static_cast<const float *>(b);
  return (x > y) - (x < y);
}

/* Infinite where it did not run. */
static float median_of(const Events &events, const Candidates &candidates, int i) {
  float milliseconds[ROUNDS];
  for (int r = 0; r < ROUNDS; r++)
    if (candidates.result[i].state != CUBLAS_STATUS_SUCCESS ||
        cudaEventElapsedTime(&milliseconds[r], events.at[r][i], events.at[r][i + 1]) != cudaSuccess)
      return INFINITY;
  qsort(milliseconds, ROUNDS, sizeof *milliseconds, compare_floats);
  return milliseconds[ROUNDS / 2];
}

/* *best <- the fastest on the operands of p; a d that is added to in place stays as it is. */
static Status time_candidates(const Ops *ops, const Description &d, const Product &p, Candidates *candidates,
                              int *best) {
  Events events = {};
  void *scratch = nullptr;
  size_t bytes = ((p.d.size[0] - 1) * p.d.pitch + p.d.size[1]) * (dtype_bits(p.d.dtype) / 8);
  if (p.c.data == p.d.data)
    TRY(device_alloc(ops, bytes, &scratch));
  Status status = events_open(&events);
  if (status.code == STATUS_OK)
    status = run_rounds(ops, d, p, scratch ? scratch : p.d.data, candidates, events);
  float least = INFINITY;
  *best = 0;
  for (int i = 0; i < candidates->count && status.code == STATUS_OK; i++) {
    float took = median_of(events, *candidates, i);
    *best = took < least ? i : *best;
    least = took < least ? took : least;
  }
  events_close(&events);
  if (scratch)
    device_free(ops, scratch);
  return status.code == STATUS_OK && least == INFINITY ? not_timed("none of the algorithms runs") : status;
}

/* Into the table of what is kept, and the file; if that cannot be, the trouble is noted and the table as it was. */
static void time_shape(const Ops *ops, const Description &d, const Product &p, const AlgorithmKey &coarse) {
  Products *products = products_of(ops);
  Candidates candidates;
  Algorithm chosen;
  int best = 0;
  if (ask(ops, d, p, CANDIDATES, &candidates) != CUBLAS_STATUS_SUCCESS)
    return; /* the same question is asked again, and its answer heard */
  Status status = candidates.count > 1 ? time_candidates(ops, d, p, &candidates, &best) : status_ok();
  if (status.code == STATUS_OK) {
    memcpy(&chosen, &candidates.result[best].algo, sizeof chosen);
    products->choices.timed++;
    if (products->file)
      status = algorithms_keep(&products->kept, products->file, products->identity, &coarse, &chosen);
    else
      algorithm_put(&products->kept, &coarse, &chosen);
  }
  if (status.code != STATUS_OK && products->choices.trouble.code == STATUS_OK)
    products->choices.trouble = status;
}

/* ---- the choice ---- */

/* Whatever the file says, the library must agree that it can do so. */
static bool usable(const Ops *ops, const Description &d, const Algorithm *kept, cublasLtMatmulAlgo_t *algorithm) {
  cublasLtMatmulHeuristicResult_t result;
  if (!kept)
    return false;
  memcpy(algorithm, kept, sizeof *algorithm);
  return cublasLtMatmulAlgoCheck(products_of(ops)->handle, d.operation, d.a, d.b, d.c, d.d, algorithm, &result) ==
             CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= WORKSPACE;
}

cublasStatus_t product_choose(const Ops *ops, const Description &d, const Product &p, cublasLtMatmulAlgo_t *algorithm) {
  Products *products = products_of(ops);
  AlgorithmKey key = key_of(p), coarse = algorithm_key_coarse(&key);
  const Algorithm *known = algorithm_find(&products->seen, &key);
  size_t timed = products->choices.timed;
  if (known) {
    memcpy(algorithm, known, sizeof *algorithm);
    return CUBLAS_STATUS_SUCCESS;
  }
  if (products->choices.how == CUDA_TIMED && !algorithm_find(&products->kept, &coarse))
    time_shape(ops, d, p, coarse);
  if (!usable(ops, d, algorithm_find(&products->kept, &coarse), algorithm))
    return product_first(ops, d, p, algorithm);
  remember(ops, key, *algorithm);
  products->choices.kept += products->choices.timed == timed;
  return CUBLAS_STATUS_SUCCESS;
}

} // namespace cuda

extern "C" Status cuda_algorithms(const Ops *ops, CudaAlgorithms how, const char *file) {
  cuda::Products *products = cuda::products_of(ops);
  CudaDevice device;
  algorithms_clear(&products->seen);
  algorithms_clear(&products->kept);
  free(products->file);
  products->file = nullptr;
  products->choices = CudaChoices();
  products->choices.how = how;
  if (how == CUDA_FIRST)
    return status_ok();
  TRY(cuda_device(&device));
  snprintf(products->identity, sizeof products->identity, "%s, compute capability %d.%d, cuBLASLt %zu", device.name,
           device.major, device.minor, cublasLtGetVersion());
  if (!file)
    TRY(algorithms_path(products->identity, &products->file));
  else if (!(products->file = strdup(file)))
    return status_error(STATUS_MEMORY, "not enough memory for the name of a file");
  return algorithms_read(&products->kept, products->file, products->identity);
}

extern "C" CudaChoices cuda_choices(const Ops *ops) {
  return cuda::products_of(ops)->choices;
}
