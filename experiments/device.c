/* device.c: opening a backend by name. */
#include "device.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"
#include "c.h"
#include "json.h"
#include "progress.h"
#include "relay.h"

static void start_host(void *context, size_t calls) {
  Device *device = context;
  (void)calls;
  (void)ops_status(&device->ops); /* waits; a fault sticks */
  device->started = clock_seconds();
}

static double stop_host(void *context) {
  const Device *device = context;
  (void)ops_status(&device->ops);
  return clock_seconds() - device->started;
}

static void start_card(void *context, size_t calls) {
  const Device *device = context;
  cuda_clock_start(device->watch, calls);
}

static double stop_card(void *context) {
  const Device *device = context;
  return cuda_clock_stop(device->watch);
}

/* The processor's name, as results name it. */
static void name_processor(Device *device) {
  cJSON *origin = json_origin("", 0);
  const cJSON *processor = cJSON_GetObjectItem(origin, "processor"), *threads = cJSON_GetObjectItem(origin, "threads");
  if (cJSON_IsString(processor) && cJSON_IsNumber(threads))
    snprintf(device->name, sizeof device->name, "%s, %d threads", processor->valuestring, threads->valueint);
  cJSON_Delete(origin);
}

static Status check_c(Dtype real) {
  return real == DTYPE_F32 ? status_ok()
                           : status_error(STATUS_USAGE, "the C backend computes in f32, not in bf16: give --dtype f32 "
                                                        "or another --device");
}

static Status open_c(Device *device, Dtype real, int threads) {
  long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  TRY(check_c(real));
  name_processor(device);
  device->kind = "cpu";
  device->cache = bytes > 0 && bytes < 64 << 20 ? (size_t)bytes : (size_t)64 << 20; /* the whole chip's says little */
  device->clock = (Clock){start_host, stop_host, device};
  return c_open(&device->ops, real, threads);
}

static Status open_cuda(Device *device, Dtype real) {
  CudaDevice card;
  TRY(cuda_device(&card));
  snprintf(device->name, sizeof device->name, "%.180s", card.name);
  device->kind = "cuda";
  device->cache = card.cache;
  device->clock = (Clock){start_card, stop_card, device};
  TRY(cuda_open(&device->ops, real));
  Status status = cuda_clock_open(&device->ops, &device->watch);
  if (status.code != STATUS_OK)
    cuda_close(&device->ops);
  return status;
}

static Status open_stand_in(Device *device, Dtype real) {
  name_processor(device);
  device->kind = "host";
  device->cache = (size_t)1 << 20;
  device->slow = true;
  device->clock = (Clock){start_host, stop_host, device};
  return stand_in_open(&device->ops, real, STAND_IN_FORWARD, 1);
}

static Status open_any(Device *device, Dtype real, int threads) {
  Status status = open_cuda(device, real);
  if (status.code == STATUS_UNAVAILABLE) {
    fprintf(stderr, "no GPU (%s); trying the kernels on the host\n", status.message);
    status = open_stand_in(device, real);
  }
  if (status.code == STATUS_UNAVAILABLE) {
    fprintf(stderr, "%s; taking the C backend\n", status.message);
    status = open_c(device, real, threads);
  }
  return status;
}

/* A GPU that was asked for by name and is not there. */
static Status instead(Status status) {
  return status.code == STATUS_UNAVAILABLE
             ? status_error(STATUS_UNAVAILABLE, "--device cuda: %.380s; take --device cpu, or host", status.message)
             : status;
}

static Dtype dtype_of(const char *name) {
  return strcmp(name, "bf16") == 0 ? DTYPE_BF16 : DTYPE_F32;
}

Status device_open(Device *device, const char *which, const char *dtype, int threads) {
  Dtype real = dtype_of(dtype);
  *device = (Device){0};
  return strcmp(which, "cpu") == 0    ? open_c(device, real, threads)
         : strcmp(which, "cuda") == 0 ? instead(open_cuda(device, real))
         : strcmp(which, "host") == 0 ? open_stand_in(device, real)
                                      : open_any(device, real, threads);
}

void device_close(Device *device) {
  if (device->kind && strcmp(device->kind, "cpu") == 0)
    c_close(&device->ops);
  else if (device->kind && strcmp(device->kind, "host") == 0)
    stand_in_close(&device->ops);
  else if (device->kind) {
    cuda_clock_close(device->watch);
    cuda_close(&device->ops);
  }
  *device = (Device){0};
}

/* ---- is it there? ---- */

static Status look_for_cuda(void *context) {
  CudaDevice card;
  (void)context;
  return cuda_device(&card);
}

static Status nothing_more(void *context, size_t item, void *report) {
  (void)context, (void)item, (void)report;
  return status_ok();
}

static Status as_found(void *context, size_t item, const void *report, Status outcome) {
  (void)context, (void)item, (void)report;
  return outcome;
}

static Status check_cuda(void) {
  const Relay relay = {.count = 1, .begin = look_for_cuda, .work = nothing_more, .take = as_found};
  return instead(relay_run(&relay));
}

Status device_check(const char *which, const char *dtype) {
  return strcmp(which, "cpu") == 0 ? check_c(dtype_of(dtype)) : strcmp(which, "cuda") == 0 ? check_cuda() : status_ok();
}

/* ---- matrix products of a GPU ---- */

void device_algorithms(const Device *device, const char *how, const char *file) {
  CudaAlgorithms algorithms = strcmp(how, "timed") == 0  ? CUDA_TIMED
                              : strcmp(how, "kept") == 0 ? CUDA_KEPT
                                                         : CUDA_FIRST;
  if (strcmp(device->kind, "cuda") != 0)
    return;
  Status status = cuda_algorithms(&device->ops, algorithms, *file ? file : NULL);
  if (status.code != STATUS_OK)
    fprintf(stderr, "algorithms of matrix products: %s\n", status.message);
}

bool host_fits(double bytes) {
  return bytes < 0.7 * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}
