/* cuda.h: the CUDA backend, and its stand-in: the same sources (kernels/NAME.cu) run on the processor, each CUDA thread
 * as a fiber, so that kernels are tested where there is no GPU.
 *
 * Both fill the table of ops.h. A slot for which there is no kernel yet is NULL. Memory of the stand-in is the host's.
 */
#ifndef SEESAW_KERNELS_CUDA_H
#define SEESAW_KERNELS_CUDA_H

#include "ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cuda_built: was the toolkit there when this was compiled? */
bool cuda_built(void);

typedef struct CudaDevice {
  char name[256];
  size_t memory, free; /* bytes, of all and of what is not in use */
  int major, minor;    /* the compute capability */
  int processors;      /* streaming multiprocessors */
} CudaDevice;

/* cuda_device: the device that cuda_open would use. Errors: STATUS_UNAVAILABLE: built without CUDA, no driver, no
 * device, or a device that the kernels were not compiled for. */
Status cuda_device(CudaDevice *device);

/* cuda_open: a backend on the first device; real: F32. Errors: those of cuda_device; another real: STATUS_USAGE;
 * scratch memory: STATUS_MEMORY. *ops is then zeroed. cuda_close: safe on a zeroed Ops. */
Status cuda_open(Ops *ops, Dtype real);
void cuda_close(Ops *ops);

/* In which order the stand-in runs the threads of a block, between two barriers or shuffles, and the blocks of a grid.
 * A kernel without mistakes gives the same bytes in every order. */
typedef enum { STAND_IN_FORWARD, STAND_IN_REVERSE, STAND_IN_RANDOM, STAND_IN_ORDERS } StandInOrder;

/* stand_in_open: as cuda_open, on the processor. seed: of the random order. A fault in a kernel (a barrier that some
 * threads never reach, a shuffle that names a lane that exited, shared memory out of bounds, a launch that no card
 * takes) sticks: what is launched afterwards does nothing, and ops_status gives the sentence. */
Status stand_in_open(Ops *ops, Dtype real, StandInOrder order, uint64_t seed);
void stand_in_close(Ops *ops);

#ifdef __cplusplus
}
#endif

#endif
