/* absent.c: the CUDA backend where it was not compiled: it says so. */
#include "backends.h"

#include <math.h>

bool cuda_built(void) {
  return false;
}

Status cuda_device(CudaDevice *device) {
  *device = (CudaDevice){0};
  return status_error(STATUS_UNAVAILABLE,
                      "this program was built without CUDA: its toolkit (nvcc) was not found, or SEESAW_CUDA is OFF");
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

Status cuda_algorithms(const Ops *ops, CudaAlgorithms how, const char *file) {
  CudaDevice device;
  (void)ops, (void)how, (void)file;
  return cuda_device(&device);
}

CudaChoices cuda_choices(const Ops *ops) {
  (void)ops;
  return (CudaChoices){0};
}

Status cuda_clock_open(const Ops *ops, CudaClock **clock) {
  CudaDevice device;
  (void)ops;
  *clock = NULL;
  return cuda_device(&device);
}

void cuda_clock_close(CudaClock *clock) {
  (void)clock;
}

void cuda_clock_start(CudaClock *clock, size_t calls) {
  (void)clock, (void)calls;
}

double cuda_clock_stop(CudaClock *clock) {
  (void)clock;
  return NAN;
}
