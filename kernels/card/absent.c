/* absent.c: the CUDA backend where there was no toolkit: it says so. */
#include "cuda.h"

bool cuda_built(void) {
  return false;
}

Status cuda_device(CudaDevice *device) {
  *device = (CudaDevice){0};
  return status_error(STATUS_UNAVAILABLE, "this program was built without CUDA: its toolkit (nvcc) was not found");
}

Status cuda_open(Ops *ops, Dtype real) {
  CudaDevice device;
  (void)real;
  *ops = (Ops){0};
  return cuda_device(&device);
}

void cuda_close(Ops *ops) {
  *ops = (Ops){0};
}
