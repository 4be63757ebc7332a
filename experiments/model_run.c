/* model_run.c: `seesaw model run`: the pass of a prompt, with every named activation to a file. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "generate.h"
#include "model_open.h"
#include "safetensors.h"

typedef struct RunPlan {
  ModelPlan model;
  const char *image, *prompt, *template, *dump;
} RunPlan;

/* Copies of what was observed, on the host. */
typedef struct Dump {
  const Ops *ops;
  NamedTensor *tensors;
  size_t count, room;
  bool full; /* memory ran out */
} Dump;

static void keep(void *context, const char *name, Tensor tensor) {
  Dump *dump = context;
  if (dump->count == dump->room) {
    size_t room = 2 * dump->room + 64;
    NamedTensor *more = realloc(dump->tensors, room * sizeof *more);
    dump->full = dump->full || !more;
    if (!more)
      return;
    dump->tensors = more;
    dump->room = room;
  }
  char *own_name = strdup(name);
  void *data = malloc(tensor_bytes(tensor) + 1);
  if (!own_name || !data || !tensor_contiguous(tensor)) {
    dump->full = true;
    free(own_name);
    free(data);
    return;
  }
  ops_read(dump->ops, data, tensor.data, tensor_bytes(tensor));
  tensor.data = data;
  dump->tensors[dump->count++] = named_tensor(own_name, tensor);
}

static void dump_free(Dump *dump) {
  for (size_t i = 0; i < dump->count; i++) {
    free((void *)dump->tensors[i].name);
    free(dump->tensors[i].tensor.data);
  }
  free(dump->tensors);
}

static void list(const Dump *dump) {
  char text[64];
  for (size_t i = 0; i < dump->count; i++)
    printf("%-32s %s\n", dump->tensors[i].name, tensor_print(dump->tensors[i].tensor, text));
}

static Status no_token(void *context, int32_t id) {
  (void)context, (void)id;
  return status_ok();
}

static Status run(const void *of, const OpenModel *open, const Tokenizer *tokenizer) {
  const RunPlan *plan = of;
  Question question;
  Dump dump = {.ops = &open->device.ops};
  Generation generation = {
      .most = 1, .top_p = 1.0, .stop = {-1, -1, -1, -1}, .emit = no_token, .observe = keep, .observer = &dump};
  TRY(ask(&question, open, tokenizer, plan->template, plan->image, plan->prompt));
  Status status = generate(&open->device.ops, &open->model, &question.batch, &generation, NULL);
  if (status.code == STATUS_OK && dump.full)
    status = status_error(STATUS_MEMORY, "not enough memory to keep every activation");
  if (status.code == STATUS_OK && *plan->dump)
    status = safetensors_write(plan->dump, dump.tensors, dump.count, NULL, 0, NULL);
  if (status.code == STATUS_OK)
    list(&dump);
  dump_free(&dump);
  question_free(&question);
  return status;
}

Status command_model_run(int argc, char **argv, Ranks ranks) {
  RunPlan plan = {.model = MODEL_USUAL, .image = "", .prompt = "", .template = "auto", .dump = ""};
  const Option options[] = {
      MODEL_OPTIONS(plan.model),
      {"image", OPTION_TEXT, &plan.image, "FILE", "JPEG or PNG; without it the question is about no picture"},
      {"prompt", OPTION_TEXT, &plan.prompt, "TEXT", "the question"},
      {"template", OPTION_CHOICE, &plan.template, NULL, "how the question is put; auto: by the tokenizer",
       .choices = "auto,plain,v1,llama3"},
      {"dump", OPTION_TEXT, &plan.dump, "FILE", "write every named activation to a safetensors file"},
      {NULL},
  };
  const Command command = {
      .name = "model run",
      .summary = "run a prompt once and list or dump every named activation",
      .description =
          "Names and shapes go to standard output: of the vision tower, the bridge, the router, the sequence, the "
          "decoder's layers and the logits of the last token.",
      .examples = "seesaw model run --model tiny --image photo.jpg --prompt 'What is this?' --dump out.safetensors\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : with_model(&plan.model, run, &plan);
}
