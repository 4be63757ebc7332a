/* model_open.c: opening checkpoints, and questions about pictures. */
#include "model_open.h"

#include <string.h>

#include "conversation.h"
#include "picture.h"

/* ---- checkpoints ---- */

enum { EVERY_GROUP = (1 << GROUP_COUNT) - 1 };

static Status open_parts(OpenModel *open, const ModelPlan *plan) {
  const char *const parts[] = {plan->folder, plan->vision, plan->projector, plan->sampler};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (*parts[i])
      TRY(checkpoint_add(&open->checkpoint, parts[i]));
  return status_ok();
}

static Status open_all(OpenModel *open, const ModelPlan *plan) {
  if (!*plan->folder)
    return status_error(STATUS_USAGE, "which model? --model DIR names its folder (`seesaw model init` makes one)");
  TRY(device_open(&open->device, plan->device, plan->dtype, (int)plan->threads));
  TRY(config_read(plan->folder, &open->config));
  Fresh fresh = plan->fresh;
  if (plan->lora_rank > 0) {
    config_lora(&open->config, (size_t)plan->lora_rank);
    TRY(config_check(&open->config));
    fresh.groups |= 1 << GROUP_LORA;
  }
  TRY(open_parts(open, plan));
  TRY(model_alloc(&open->model, &open->config));
  return store_load(&open->store, &open->device.ops, &open->model, &open->checkpoint, EVERY_GROUP & ~plan->moving,
                    fresh);
}

Status open_model(OpenModel *open, const ModelPlan *plan) {
  *open = (OpenModel){0};
  Status status = open_all(open, plan);
  if (status.code != STATUS_OK)
    close_model(open);
  return status;
}

void close_model(OpenModel *open) {
  store_free(&open->store);
  model_free(&open->model);
  checkpoint_close(&open->checkpoint);
  device_close(&open->device);
  *open = (OpenModel){0};
}

Status with_model(const ModelPlan *model,
                  Status (*use)(const void *plan, const OpenModel *open, const Tokenizer *tokenizer),
                  const void *plan) {
  OpenModel open;
  Tokenizer *tokenizer;
  TRY(open_model(&open, model));
  Status status = tokenizer_open(&tokenizer, model->folder, NULL);
  if (status.code == STATUS_OK)
    status = use(plan, &open, tokenizer);
  tokenizer_close(tokenizer);
  close_model(&open);
  return status;
}

/* ---- pictures ---- */

/* Those that the model is shown, (views, 3, S, S), in the backend's memory. */
static Status take_views(Question *question, const OpenModel *open, const Slices *slices) {
  Dtype real = open->device.ops.real;
  size_t side = slices->tile, first = open->config.global == BRIDGE_NONE;
  size_t end = open->config.local == BRIDGE_NONE ? 1 : slices->count, views = end - first;
  TRY(ops_alloc(&open->device.ops, views * 3 * side * side * dtype_bits(real) / 8, &question->pictures));
  question->batch.pictures = tensor_make(question->pictures, real, 4, (const size_t[]){views, 3, side, side});
  return picture_views(&open->device.ops, slices, first, views, question->pictures);
}

static Status take_picture(Question *question, const OpenModel *open, const char *path) {
  Slicing slicing = picture_slicing(&open->config);
  Image image;
  Slices slices = {0};
  TRY(image_read(path, &image));
  Status status = slice_image(&slicing, image, &slices);
  if (status.code == STATUS_OK)
    status = take_views(question, open, &slices);
  question->conversation.columns = slices.grid.columns;
  question->conversation.rows = slices.grid.rows;
  slices_free(&slices);
  image_free(&image);
  return status;
}

/* ---- prompts ---- */

Status template_choose(const Tokenizer *tokenizer, const char *name, Template *which) {
  if (strcmp(name, "auto") == 0)
    *which = tokenizer_find(tokenizer, "<|eot_id|>") >= 0 ? TEMPLATE_LLAMA3 : TEMPLATE_V1;
  else
    *which = template_find(name);
  if (*which == TEMPLATE_COUNT)
    return status_error(STATUS_USAGE, "there is no template '%s'; there are plain, v1, llama3 and auto", name);
  return status_ok();
}

/* Where the question's own tokens lie: those that its text adds to the prompt before it. */
static Status find_question(Question *question, const Tokenizer *tokenizer, const Text *prompt, const char *text,
                            bool pictured) {
  const char *at = *text ? strstr(prompt->bytes, text) : NULL;
  Tokens before = {0};
  size_t counts[2] = {0, 0};
  Status status = status_ok();
  for (int i = 0; at && i < 2 && status.code == STATUS_OK; i++) {
    before.count = 0;
    status = conversation_tokens(tokenizer, prompt->bytes, (size_t)(at - prompt->bytes) + (i ? strlen(text) : 0),
                                 pictured, &before);
    counts[i] = before.count;
  }
  tokens_free(&before);
  question->conversation.question = counts[0];
  question->conversation.question_count = counts[1] - counts[0];
  return status;
}

static Status take_prompt(Question *question, const Tokenizer *tokenizer, Template which, const char *text,
                          bool pictured) {
  Text prompt = {0};
  Status status = conversation_prompt(which, text, pictured, &prompt);
  if (status.code == STATUS_OK)
    status = conversation_tokens(tokenizer, prompt.bytes, prompt.length, pictured, &question->ids);
  if (status.code == STATUS_OK)
    status = find_question(question, tokenizer, &prompt, text, pictured);
  text_free(&prompt);
  question->conversation.ids = question->ids.ids;
  question->conversation.count = question->ids.count;
  return status;
}

static Status ask_all(Question *question, const OpenModel *open, const Tokenizer *tokenizer, const char *template_name,
                      const char *image, const char *prompt) {
  Template which;
  TRY(template_choose(tokenizer, template_name, &which));
  if (which == TEMPLATE_PLAIN && !*image)
    return status_error(STATUS_USAGE, "the template 'plain' is a picture and nothing else; give --image FILE");
  if (*image)
    TRY(take_picture(question, open, image));
  TRY(take_prompt(question, tokenizer, which, prompt, *image != '\0'));
  question->batch.count = 1;
  question->batch.samples = &question->conversation;
  return batch_check(&open->config, &question->batch);
}

Status ask(Question *question, const OpenModel *open, const Tokenizer *tokenizer, const char *template_name,
           const char *image, const char *prompt) {
  *question = (Question){.ops = &open->device.ops};
  Status status = ask_all(question, open, tokenizer, template_name, image, prompt);
  if (status.code != STATUS_OK)
    question_free(question);
  return status;
}

void question_free(Question *question) {
  if (question->ops)
    ops_free(question->ops, question->pictures);
  tokens_free(&question->ids);
  *question = (Question){0};
}
