/* device.cu: the device under the CUDA backend: memory, one stream, and the errors that stick. */
#include <stdio.h>
#include <stdlib.h>

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

Status device_alloc(const Ops *ops, size_t bytes, void **memory) {
  size_t available = 0, all = 0;
  *memory = nullptr;
  cudaError_t error = cudaMalloc(memory, bytes > 0 ? bytes : 1);
  if (error == cudaSuccess)
    error = cudaMemsetAsync(*memory, 0, bytes, stream_of(ops));
  if (error == cudaSuccess)
    return status_ok();
  cudaGetLastError();
  cudaMemGetInfo(&available, &all);
  return status_error(STATUS_MEMORY,
                      "not enough memory on the CUDA device: %zu bytes were asked for, %zu are free (%s)", bytes,
                      available, cudaGetErrorString(error));
}

void device_free(const Ops *ops, void *memory) {
  note(ops, cudaFree(memory), "freeing memory");
}

/* The host's bytes may change as soon as this returns: from memory that is not pinned they are staged at once, from
 * pinned memory the copy is awaited. */
void device_write(const Ops *ops, void *to, const void *from, size_t bytes) {
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(ops));
  note(ops, error == cudaSuccess ? cudaStreamSynchronize(stream_of(ops)) : error, "writing to it");
}

void device_read(const Ops *ops, void *to, const void *from, size_t bytes) {
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(ops));
  note(ops, error == cudaSuccess ? cudaStreamSynchronize(stream_of(ops)) : error, "reading from it");
}

Status device_status(const Ops *ops) {
  note(ops, cudaStreamSynchronize(stream_of(ops)), "running kernels");
  note(ops, cudaGetLastError(), "launching kernels");
  return card_of(ops)->fault.code == STATUS_OK ? product_status(ops) : card_of(ops)->fault;
}

/* An error stays with the runtime, from where device_status takes it. */
void device_copy(Stream stream, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                 size_t rows) {
  cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, rows, cudaMemcpyDeviceToDevice, stream);
}

void device_clear(Stream stream, void *to, size_t pitch, size_t width, size_t rows) {
  cudaMemset2DAsync(to, pitch, 0, width, rows, stream);
}

/* There for the question whether the device has code that it can run. */
__global__ void present() {}

static Status describe(CudaDevice *device) {
  cudaDeviceProp properties;
  cudaFuncAttributes attributes;
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
  error = cudaFuncGetAttributes(&attributes, present);
  if (error != cudaSuccess)
    return status_error(STATUS_UNAVAILABLE, "the kernels were not compiled for %s (compute capability %d.%d): %s",
                        device->name, device->major, device->minor, cudaGetErrorString(error));
  return status_ok();
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
