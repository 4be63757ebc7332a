/* clock.cu: a stopwatch made of two events in the backend's stream. */
#include <math.h>
#include <stdlib.h>

#include "../kernel.h"

struct CudaClock {
  Stream stream;
  cudaEvent_t start, stop;
};

namespace cuda {

static const unsigned long long nanoseconds_a_call = 10000; /* that the host takes to hand it over, with a margin */

__device__ static unsigned long long nanoseconds() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

/* The stream waits; what comes after it piles up. */
__global__ void hold_kernel(unsigned long long wait) {
  unsigned long long began = nanoseconds();
  while (nanoseconds() - began < wait)
    __nanosleep(500);
}

} // namespace cuda

extern "C" Status cuda_clock_open(const Ops *ops, CudaClock **clock) {
  *clock = static_cast<CudaClock *>(calloc(1, sizeof **clock));
  if (!*clock)
    return status_error(STATUS_MEMORY, "not enough memory for a clock");
  (*clock)->stream = cuda::stream_of(ops);
  cudaError_t error = cudaEventCreate(&(*clock)->start);
  if (error == cudaSuccess)
    error = cudaEventCreate(&(*clock)->stop);
  if (error == cudaSuccess)
    return status_ok();
  cudaGetLastError(); /* said here */
  cuda_clock_close(*clock);
  *clock = nullptr;
  return status_error(STATUS_UNAVAILABLE, "there is no clock on the CUDA device: %s", cudaGetErrorString(error));
}

extern "C" void cuda_clock_close(CudaClock *clock) {
  if (!clock)
    return;
  if (clock->start)
    cudaEventDestroy(clock->start);
  if (clock->stop)
    cudaEventDestroy(clock->stop);
  free(clock);
}

/* Failures stay with the runtime, from where ops_status takes them. */
extern "C" void cuda_clock_start(CudaClock *clock, size_t calls) {
  LAUNCH(cuda::hold_kernel, 1, 1, 0, clock->stream, cuda::nanoseconds_a_call * calls);
  cudaEventRecord(clock->start, clock->stream);
}

extern "C" double cuda_clock_stop(CudaClock *clock) {
  float milliseconds;
  bool timed = cudaEventRecord(clock->stop, clock->stream) == cudaSuccess &&
               cudaEventSynchronize(clock->stop) == cudaSuccess &&
               cudaEventElapsedTime(&milliseconds, clock->start, clock->stop) == cudaSuccess;
  return timed ? 1e-3 * static_cast<double>(milliseconds) : static_cast<double>(NAN);
}
