/* kernels_device.h: what results say of the device that they were got on, and of what ran there. */
#ifndef SEESAW_KERNELS_DEVICE_H
#define SEESAW_KERNELS_DEVICE_H

#include "backends.h"
#include "device.h"
#include "json.h"

/* Without pointers into the process that asked. */
typedef struct Facts {
  char kind[8], name[200]; /* as Device has them; kind is what device_open takes */
  Dtype real;
  size_t cache;
  bool slow;
  CudaDevice card; /* of kind cuda */
} Facts;

/* facts_ask: of the device that device_open would open, by a process of its own, so that this one can still be forked;
 * here: by this one (relay.h). Errors: those of device_open. */
Status facts_ask(const char *which, const char *dtype, bool here, Facts *facts);

/* facts_json: "device", "backend" and, of a card, "card": compute capability, memory, and the versions of driver, CUDA
 * run time and cuBLASLt. */
void facts_json(const Facts *facts, cJSON *json);

/* What the algorithms of a card's matrix products came to since `before`, in numbers; to add them up; and as
 * "algorithms" in `json`: how many shapes were timed, were in the file, took the first answer, and what went wrong.
 * Nothing on other devices. */
CudaChoices choices_since(const Device *device, const CudaChoices *before);
void choices_add(CudaChoices *sum, const CudaChoices *more);
void choices_json(const CudaChoices *choices, const Facts *facts, cJSON *json);
void choices_print(const CudaChoices *choices, const Facts *facts);

/* result_write: json to path if one is given. Before it is complete only where it can be written anew: "complete" in
 * the file says so. Errors: STATUS_OUTPUT, STATUS_MEMORY. */
Status result_write(const char *path, cJSON *json, bool complete);

#endif
