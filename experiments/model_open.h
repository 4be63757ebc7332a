/* model_open.h: what the commands of the model share: a checkpoint's files, opened; a picture and a prompt, as a batch.
 */
#ifndef SEESAW_MODEL_OPEN_H
#define SEESAW_MODEL_OPEN_H

#include "conversation.h"
#include "device.h"
#include "load.h"
#include "options.h"
#include "slime.h"
#include "tokenizer.h"

typedef struct ModelPlan {
  const char *folder, *vision, *projector, *sampler; /* all but the folder may be "" */
  int64_t threads;
  const char *device, *dtype; /* as device_open takes them */
  unsigned moving;            /* groups (bits 1 << Group) that will be trained: their weights do not stay mapped */
  Fresh fresh;
  int64_t lora_rank; /* of fresh low-rank updates of the decoder, with alpha twice that; 0: as the checkpoint has it */
} ModelPlan;

/* A ModelPlan before any option is given. */
#define MODEL_USUAL                                                                                                    \
  { .folder = "", .vision = "", .projector = "", .sampler = "", .device = "cpu", .dtype = "f32" }

/* Rows of an option table for a ModelPlan. */
#define MODEL_OPTIONS(plan)                                                                                            \
  {"model", OPTION_TEXT, &(plan).folder, "DIR", "checkpoint folder: config.json and weights"},                         \
      {"vision", OPTION_TEXT, &(plan).vision, "PATH", "CLIP weights, if they are not in DIR"},                         \
      {"projector", OPTION_TEXT, &(plan).projector, "FILE", "an mm_projector.bin to use instead of DIR's"},            \
      {"sampler", OPTION_TEXT, &(plan).sampler, "FILE", "a sampler.bin to use instead of DIR's"},                      \
      {"threads", OPTION_INTEGER, &(plan).threads, "N", "threads; 0: one for each core", 0, 1024},                     \
      DEVICE_OPTIONS((plan).device, (plan).dtype)

typedef struct OpenModel {
  ModelConfig config;
  Device device;
  Checkpoint checkpoint;
  Model model;
  Store store;
} OpenModel;

/* open_model: weights that do not move stay mapped in their own type where the device's memory is the host's; the rest
 * is of plan->dtype. It must not move. Errors: those of device_open, config_read and store_load, STATUS_USAGE without
 * --model. close_model: safe on a zeroed one. */
Status open_model(OpenModel *open, const ModelPlan *plan);
void close_model(OpenModel *open);

/* with_model: open the checkpoint and its tokenizer, call `use` with them and `plan`, close both. */
Status with_model(const ModelPlan *model,
                  Status (*use)(const void *plan, const OpenModel *open, const Tokenizer *tokenizer), const void *plan);

/* template_choose: by name; "auto": by the tokenizer. Errors: STATUS_USAGE listing the names. */
Status template_choose(const Tokenizer *tokenizer, const char *name, Template *which);

/* A question about a picture, or about none. */
typedef struct Question {
  Conversation conversation;
  Batch batch;
  Tokens ids;
  void *pictures; /* in the backend's memory */
  const Ops *ops;
} Question;

/* ask: the picture at `image` ("": none), sliced and normalised, and the prompt in the template's form, as a batch of
 * one. template: "plain", "v1", "llama3" or "auto": by the tokenizer. Errors: of the picture, the tokenizer, the
 * template. */
Status ask(Question *question, const OpenModel *open, const Tokenizer *tokenizer, const char *template_name,
           const char *image, const char *prompt);
void question_free(Question *question);

#endif
