/* device.h: the backends that commands compute with, by name, each with its clock. */
#ifndef SEESAW_DEVICE_H
#define SEESAW_DEVICE_H

#include "ops.h"

/* Seconds of work on a backend, of a GPU by its own clock. start: after all work before, of so many calls of operations
 * to come; stop: waits for the work since, and says how long it took; NaN if the device failed. */
typedef struct Clock {
  void (*start)(void *context, size_t calls);
  double (*stop)(void *context);
  void *context;
} Clock;

typedef struct Device {
  const char *kind; /* cpu, cuda, host */
  char name[200];   /* of the processor or card */
  Ops ops;
  Clock clock;
  double started;          /* for a clock of the host's */
  struct CudaClock *watch; /* for a GPU's */
  size_t cache;            /* bytes of the largest cache */
  bool slow;               /* odd shapes only, unless asked for others */
} Device;

#define DEVICE_CHOICES "cpu,cuda,host"

/* Rows of an option table for a device and the type of its activations. */
#define DEVICE_OPTIONS(device, dtype)                                                                                  \
  {"device",                                                                                                           \
   OPTION_CHOICE,                                                                                                      \
   &(device),                                                                                                          \
   NULL,                                                                                                               \
   "what computes: cpu, cuda: the GPU, host: the GPU's kernels on the processor, slowly, to check them",               \
   .choices = DEVICE_CHOICES},                                                                                         \
  {                                                                                                                    \
    "dtype", OPTION_CHOICE, &(dtype), NULL, "what activations and weights are stored as; on the cpu f32",              \
        .choices = DTYPE_CHOICES                                                                                       \
  }
#define DTYPE_CHOICES "f32,bf16"

/* device_open: a backend whose reals are F32 or BF16 ("f32", "bf16"). cpu: the C backend on so many threads (0: one for
 * each core). auto: the GPU if there is one, else the same kernels on the host, else the C backend; what is left out is
 * said on standard error. The device must not move while it is open. Errors: STATUS_UNAVAILABLE, saying why and what to
 * take instead; STATUS_USAGE for a type that it does not compute with; STATUS_MEMORY. device_close: safe on a zeroed
 * one. */
Status device_open(Device *device, const char *which, const char *dtype, int threads);
void device_close(Device *device);

/* device_check: would device_open of "cpu", "cuda" or "host" find what it needs, memory aside? Nothing stays open: a
 * GPU is asked for by a process of its own, since one that has asked cannot be forked any more. Errors: as there. */
Status device_check(const char *which, const char *dtype);

/* device_algorithms: which algorithms a GPU's matrix products get from now on: cuda_algorithms (backends.h). file: "":
 * the user's. A file that had to be left out is said on standard error. device_choices: what came of it, a line to
 * print, and what went wrong, another. On other devices both do nothing. */
#define ALGORITHM_CHOICES "first,kept,timed"
void device_algorithms(const Device *device, const char *how, const char *file);
void device_choices(const Device *device);

/* host_fits: has the host room for so many bytes? */
bool host_fits(double bytes);

#endif
