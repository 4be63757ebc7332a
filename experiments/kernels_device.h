/* kernels_device.h: the backends that `seesaw kernels` verifies and times, by name, each with its clock. */
#ifndef SEESAW_KERNELS_DEVICE_H
#define SEESAW_KERNELS_DEVICE_H

#include "ops.h"

/* Seconds of work on a backend. start: after all work before; stop: waits for the work since, and says how long it
 * took. */
typedef struct Clock {
  void (*start)(void *context);
  double (*stop)(void *context);
  void *context;
} Clock;

typedef struct Device {
  const char *kind; /* cuda, host, c */
  char name[200];   /* of the processor or card */
  Ops ops;
  Clock clock;
  double started; /* for a clock of the host's */
  size_t cache;   /* bytes of the largest cache */
  bool slow;      /* odd shapes only, unless asked for others */
} Device;

#define DEVICE_CHOICES "auto,cuda,host,c"

/* device_open: a backend whose reals are F32 or BF16. auto: the GPU if there is one, else the same kernels on the host,
 * else the C backend; what is left out is said on standard error. The device must not move while it is open.
 * Errors: STATUS_UNAVAILABLE, STATUS_USAGE for a type that it does not compute with, STATUS_MEMORY. device_close: safe
 * on a zeroed one. */
Status device_open(Device *device, const char *which, Dtype real);
void device_close(Device *device);

/* host_fits: has the host room for so many bytes? */
bool host_fits(double bytes);

/* operation_check: is that the name of an operation with a case? Empty: yes. Errors: STATUS_USAGE with the nearest. */
Status operation_check(const char *name);

#endif
