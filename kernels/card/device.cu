/* device.cu: the device under the CUDA backend: memory, one stream, and the errors that stick. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cublasLt.h>

#include "../product.h"

namespace cuda {

struct Card : State {
  Status fault; /* the first */
};

static Card *card_of(const Ops *ops) {
  return static_cast<Card *>(state_of(ops));
}

static void note(const Ops *ops, cudaError_t error, const char *what) {
  Card *card = card_of(ops);
  if (error != cudaSuccess && card->fault.code == STATUS_OK)
    card->fault =
        status_error(STATUS_UNAVAILABLE, "the CUDA device failed while %s: %s", what, cudaGetErrorString(error));
}

/* Everything before this is done, and what went wrong is noted as theirs: a later call would get the error as if it
 * were its own, or write over that of a launch, of which the runtime keeps only the last. */
static void settle(const Ops *ops) {
  note(ops, cudaGetLastError(), "launching kernels");
  note(ops, cudaStreamSynchronize(stream_of(ops)), "running kernels");
}

Status device_status(const Ops *ops) {
  settle(ops);
  return card_of(ops)->fault.code == STATUS_OK ? product_status(ops) : card_of(ops)->fault;
}

static Status out_of_memory(size_t bytes) {
  size_t available = 0, all = 0;
  cudaGetLastError(); /* said; not to be said again */
  cudaMemGetInfo(&available, &all);
  return status_error(STATUS_MEMORY, "not enough memory on the CUDA device: %zu bytes were asked for, %zu are free",
                      bytes, available);
}

Status device_alloc(const Ops *ops, size_t bytes, void **memory) {
  *memory = nullptr;
  settle(ops);
  cudaError_t error = cudaMalloc(memory, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation)
    return out_of_memory(bytes);
  if (error == cudaSuccess)
    error = cudaMemsetAsync(*memory, 0, bytes, stream_of(ops));
  note(ops, error, "allocating memory");
  if (error == cudaSuccess)
    return status_ok();
  cudaFree(*memory);
  *memory = nullptr;
  return card_of(ops)->fault;
}

void device_free(const Ops *ops, void *memory) {
  settle(ops); /* nobody uses it any more */
  note(ops, cudaFree(memory), "freeing memory");
}

/* The copy is done when this returns: the host's bytes may change, or be used. */
static void transfer(const Ops *ops, void *to, const void *from, size_t bytes, cudaMemcpyKind kind, const char *what) {
  settle(ops);
  note(ops, cudaMemcpyAsync(to, from, bytes, kind, stream_of(ops)), what);
  note(ops, cudaStreamSynchronize(stream_of(ops)), what);
}

void device_write(const Ops *ops, void *to, const void *from, size_t bytes) {
  transfer(ops, to, from, bytes, cudaMemcpyHostToDevice, "writing to it");
}

/* After a fault: zeros, so that offsets and counts lead nobody astray before the status is asked for. */
void device_read(const Ops *ops, void *to, const void *from, size_t bytes) {
  transfer(ops, to, from, bytes, cudaMemcpyDeviceToHost, "reading from it");
  if (device_status(ops).code != STATUS_OK)
    memset(to, 0, bytes);
}

/* One row, or rows without gaps, are a plain copy: with a pitch the runtime takes no more than 2 GB a row. An error
 * stays with the runtime, from where settle takes it. */
void device_copy(Stream stream, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                 size_t rows) {
  if (rows == 1 || (to_pitch == width && from_pitch == width))
    cudaMemcpyAsync(to, from, width * rows, cudaMemcpyDeviceToDevice, stream);
  else
    cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, rows, cudaMemcpyDeviceToDevice, stream);
}

void device_clear(Stream stream, void *to, size_t pitch, size_t width, size_t rows) {
  if (rows == 1 || pitch == width)
    cudaMemsetAsync(to, 0, width * rows, stream);
  else
    cudaMemset2DAsync(to, pitch, 0, width, rows, stream);
}

/* There for the question whether the device has code that it can run. */
__global__ void present() {}

/* The most that a block of ours asks for: attention forward, heads of 128 in bf16 (ForwardPlan). */
static const size_t SHARED_NEEDED = 102 << 10;

static Status check_kernels(const CudaDevice *device, size_t shared) {
  cudaFuncAttributes attributes;
  cudaError_t error = cudaFuncGetAttributes(&attributes, present);
  if (error != cudaSuccess)
    return status_error(STATUS_UNAVAILABLE, "the kernels were not compiled for %s (compute capability %d.%d): %s",
                        device->name, device->major, device->minor, cudaGetErrorString(error));
  return shared >= SHARED_NEEDED
             ? status_ok()
             : status_error(STATUS_UNAVAILABLE,
                            "%s (compute capability %d.%d) has %zu KB of shared memory a block, attention needs %zu: "
                            "a card of compute capability 8.0, 9.0 or 10.0 has that",
                            device->name, device->major, device->minor, shared >> 10, SHARED_NEEDED >> 10);
}

static Status describe(CudaDevice *device) {
  cudaDeviceProp properties;
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0)
    return status_error(STATUS_UNAVAILABLE, "there is no CUDA device that can be used: %s",
                        error == cudaSuccess ? "the driver knows none" : cudaGetErrorString(error));
  error = cudaGetDeviceProperties(&properties, 0);
  if (error == cudaSuccess)
    error = cudaMemGetInfo(&device->free, &device->memory);
  if (error != cudaSuccess)
    return status_error(STATUS_UNAVAILABLE, "the CUDA device does not answer: %s", cudaGetErrorString(error));
  snprintf(device->name, sizeof device->name, "%s", properties.name);
  device->major = properties.major;
  device->minor = properties.minor;
  device->processors = properties.multiProcessorCount;
  device->cache = static_cast<size_t>(properties.l2CacheSize);
  device->products = cublasLtGetVersion();
  cudaDriverGetVersion(&device->driver);
  cudaRuntimeGetVersion(&device->runtime);
  return check_kernels(device, properties.sharedMemPerBlockOptin);
}

} // namespace cuda

extern "C" bool cuda_built(void) {
  return true;
}

extern "C" Status cuda_device(CudaDevice *device) {
  *device = CudaDevice();
  Status status = cuda::describe(device);
  cudaGetLastError(); /* said; not to be said again */
  return status;
}

extern "C" Status cuda_open(Ops *ops, Dtype real) {
  using namespace cuda;
  CudaDevice device;
  *ops = Ops();
  TRY(cuda_device(&device));
  Card *card = static_cast<Card *>(calloc(1, sizeof *card));
  if (!card)
    return status_error(STATUS_MEMORY, "not enough memory for the CUDA backend");
  card->fault = status_ok();
  ops->state = static_cast<State *>(card);
  cudaError_t error = cudaStreamCreateWithFlags(&card->stream, cudaStreamNonBlocking);
  Status status = error == cudaSuccess
                      ? backend_open(ops, real, card, "cuda", false)
                      : status_error(STATUS_UNAVAILABLE, "no stream on the CUDA device: %s", cudaGetErrorString(error));
  if (status.code != STATUS_OK)
    cuda_close(ops);
  return status;
}

extern "C" void cuda_close(Ops *ops) {
  using namespace cuda;
  if (!ops->state)
    return;
  Card *card = card_of(ops);
  backend_close(ops);
  if (card->stream)
    cudaStreamDestroy(card->stream);
  free(card);
  *ops = Ops();
}
