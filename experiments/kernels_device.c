/* kernels_device.c: facts of a device, by a process that opens it and ends. */
#include "kernels_device.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "relay.h"

/* ---- facts ---- */

/* Of an open device. */
static Facts facts_of(const Device *device) {
  Facts facts = {.real = device->ops.real, .cache = device->cache, .slow = device->slow};
  snprintf(facts.kind, sizeof facts.kind, "%s", device->kind);
  snprintf(facts.name, sizeof facts.name, "%s", device->name);
  if (strcmp(facts.kind, "cuda") == 0)
    (void)cuda_device(&facts.card); /* it answered before; else zeros */
  return facts;
}

typedef struct Question {
  const char *which, *dtype;
  Device device;
  Facts *facts;
} Question;

static Status begin(void *context) {
  Question *q = context;
  return device_open(&q->device, q->which, q->dtype, 0);
}

static Status work(void *context, size_t item, void *report) {
  const Question *q = context;
  (void)item;
  *(Facts *)report = facts_of(&q->device);
  return status_ok();
}

static void end(void *context) {
  Question *q = context;
  device_close(&q->device);
}

static Status take(void *context, size_t item, const void *report, Status outcome) {
  const Question *q = context;
  (void)item;
  *q->facts = *(const Facts *)report;
  return outcome;
}

Status facts_ask(const char *which, const char *dtype, bool here, Facts *facts) {
  Question question = {.which = which, .dtype = dtype, .facts = facts};
  const Relay relay = {.count = 1,
                       .size = sizeof *facts,
                       .here = here,
                       .context = &question,
                       .begin = begin,
                       .work = work,
                       .end = end,
                       .take = take};
  return relay_run(&relay);
}

/* As NVIDIA's libraries number them: 13010 is 13.1. */
static void add_version(cJSON *json, const char *name, int version) {
  char text[32];
  snprintf(text, sizeof text, "%d.%d", version / 1000, version % 1000 / 10);
  cJSON_AddStringToObject(json, name, text);
}

static void add_card(const CudaDevice *card, cJSON *json) {
  char text[64];
  snprintf(text, sizeof text, "%d.%d", card->major, card->minor);
  cJSON_AddStringToObject(json, "compute_capability", text);
  cJSON_AddNumberToObject(json, "processors", card->processors);
  cJSON_AddNumberToObject(json, "memory_bytes", (double)card->memory);
  cJSON_AddNumberToObject(json, "cache_bytes", (double)card->cache);
  add_version(json, "driver", card->driver);
  add_version(json, "runtime", card->runtime);
  cJSON_AddNumberToObject(json, "cublaslt", (double)card->products);
}

void facts_json(const Facts *facts, cJSON *json) {
  cJSON_AddStringToObject(json, "device", facts->name);
  cJSON_AddStringToObject(json, "backend", facts->kind);
  cJSON_AddStringToObject(json, "dtype", facts->real == DTYPE_BF16 ? "bf16" : "f32");
  if (strcmp(facts->kind, "cuda") == 0)
    add_card(&facts->card, cJSON_AddObjectToObject(json, "card"));
}

/* ---- algorithms ---- */

CudaChoices choices_since(const Device *device, const CudaChoices *before) {
  CudaChoices now = {0};
  if (strcmp(device->kind, "cuda") != 0)
    return now;
  now = cuda_choices(&device->ops);
  now.first -= before->first;
  now.kept -= before->kept;
  now.timed -= before->timed;
  return now;
}

void choices_add(CudaChoices *sum, const CudaChoices *more) {
  sum->first += more->first;
  sum->kept += more->kept;
  sum->timed += more->timed;
  if (sum->trouble.code == STATUS_OK)
    sum->trouble = more->trouble;
}

void choices_json(const CudaChoices *choices, const Facts *facts, cJSON *json) {
  if (strcmp(facts->kind, "cuda") != 0)
    return;
  cJSON *numbers = cJSON_AddObjectToObject(json, "algorithms");
  cJSON_AddNumberToObject(numbers, "timed", (double)choices->timed);
  cJSON_AddNumberToObject(numbers, "kept", (double)choices->kept);
  cJSON_AddNumberToObject(numbers, "first", (double)choices->first);
  if (choices->trouble.code != STATUS_OK)
    cJSON_AddStringToObject(numbers, "trouble", choices->trouble.message);
}

void choices_print(const CudaChoices *choices, const Facts *facts) {
  if (strcmp(facts->kind, "cuda") != 0)
    return;
  printf("algorithms of matrix products: %zu shapes were timed, %zu had one in the file, %zu took the first answer\n",
         choices->timed, choices->kept, choices->first);
  if (choices->trouble.code != STATUS_OK)
    printf("not all were timed and kept: %s\n", choices->trouble.message);
}

/* ---- results ---- */

/* A pipe or a device gets it once. */
static bool written_anew(const char *path) {
  struct stat there;
  return strcmp(path, "-") != 0 && (stat(path, &there) != 0 || S_ISREG(there.st_mode));
}

Status result_write(const char *path, cJSON *json, bool complete) {
  if (!*path || (!complete && !written_anew(path)))
    return status_ok();
  cJSON_DeleteItemFromObject(json, "complete");
  cJSON_AddBoolToObject(json, "complete", complete);
  return json_write(path, json);
}
