/* backends.h: the CUDA backend, and its stand-in: the same sources (kernels/NAME.cu) run on the processor, each CUDA
 * thread as a fiber, so that kernels are tested where there is no GPU.
 *
 * Both fill every slot of the table of ops.h. Memory of the stand-in is the host's.
 */
#ifndef SEESAW_KERNELS_BACKENDS_H
#define SEESAW_KERNELS_BACKENDS_H

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
  size_t cache;        /* bytes of its L2 */
  int driver, runtime; /* versions of CUDA: the newest that the driver knows, and ours; 13010 is 13.1 */
  size_t products;     /* version of cuBLASLt: 130100 is 13.1.0 */
} CudaDevice;

/* cuda_device: the device that cuda_open would use. Errors: STATUS_UNAVAILABLE: built without CUDA, no driver, no
 * device, or a device that the kernels were not compiled for or that has too little shared memory for them. */
Status cuda_device(CudaDevice *device);

/* cuda_open: a backend on the first device; real: F32 or BF16. Errors: those of cuda_device; another real:
 * STATUS_USAGE; scratch memory: STATUS_MEMORY. *ops is then zeroed. cuda_close: safe on a zeroed Ops. */
Status cuda_open(Ops *ops, Dtype real);
void cuda_close(Ops *ops);

/* Which of the algorithms that cuBLASLt has for a matrix product is taken. They differ in speed, and in the order of
 * sums, so in the last bits. */
typedef enum {
  CUDA_FIRST, /* the library's first answer. No file is read. What a backend begins with */
  CUDA_KEPT,  /* what the file says, where it says something; else the first answer */
  CUDA_TIMED  /* the same, but a shape that is not in the file is timed when it is first seen, and written there */
} CudaAlgorithms;

/* cuda_algorithms: from now on algorithms are taken so. file: NULL: the user's for this device and version of cuBLASLt,
 * in $XDG_CACHE_HOME/seesaw or ~/.cache/seesaw (card/algorithms.h says what is in it).
 *
 * A shape is timed on the operands of the call that brings it, in five rounds over the library's first eight answers;
 * the best median wins, and serves up to an eighth more rows, too. Where d is added to in place, that takes memory of
 * its size for a moment; without it the first answer is taken. A choice is written before its first result is used, so
 * a run that was cut short goes on with what it began with, but for shapes that had no memory to be timed (cuda_choices
 * tells). CUDA_FIRST gives the same bytes on every machine with the same kind of device and library; the others do so
 * with the same file, which is another on every machine unless it is copied.
 * Errors: the file is damaged, foreign or cannot be read: STATUS_INPUT; there is no place for one: STATUS_USAGE,
 * STATUS_OUTPUT; STATUS_MEMORY. Algorithms are then taken as was asked for, without the file. */
Status cuda_algorithms(const Ops *ops, CudaAlgorithms how, const char *file);

/* What was taken since then. */
typedef struct CudaChoices {
  CudaAlgorithms how;
  size_t first, kept, timed; /* shapes that got the first answer, one of the file, one timed just then */
  Status trouble;            /* the first: no memory to time, a file that cannot be written. It costs speed alone */
} CudaChoices;
CudaChoices cuda_choices(const Ops *ops);

/* A stopwatch of the device's own: two events in the backend's stream. Errors of opening: STATUS_UNAVAILABLE,
 * STATUS_MEMORY; *clock is then NULL. cuda_clock_close: safe on NULL; before cuda_close.
 * cuda_clock_start: after all work before. The device waits (about 10 us a call) until the host has handed over the
 * `calls` operations to be timed, so that it need not wait for them one by one.
 * cuda_clock_stop: seconds that the work since then took, which it waits for; NaN when the device failed: ops_status
 * says how. */
typedef struct CudaClock CudaClock;
Status cuda_clock_open(const Ops *ops, CudaClock **clock);
void cuda_clock_close(CudaClock *clock);
void cuda_clock_start(CudaClock *clock, size_t calls);
double cuda_clock_stop(CudaClock *clock);

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
