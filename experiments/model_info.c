/* model_info.c: `seesaw model info`: what a model is, how many parameters each group has, and the memory that each
 * stage takes, before anything is allocated. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "memory.h"
#include "model_open.h"
#include "synthetic.h"

typedef struct InfoPlan {
  const char *json;
  int64_t text, columns, rows, batch;
} InfoPlan;

/* ---- parameters ---- */

static void count_entry(void *context, const Entry *entry) {
  double *counts = context;
  double numbers = 1.0;
  for (int i = 0; i < entry->rank; i++)
    numbers *= (double)entry->size[i];
  counts[entry->group] += numbers;
  /* dry: any address that is not NULL */
  entry->parameter->w = entry_shape(entry, (void *)ARENA_ALIGNMENT, DTYPE_F32);
}

/* ---- stages ---- */

typedef struct Stage {
  const char *name;
  unsigned groups;
  double gamma;
  bool training;
} Stage;

static const Stage stages[] = {
    {"inference", 0, 0.0, false},
    {"Stage I", 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER, 1.0, true},
    {"Stage II", 1 << GROUP_COMPRESSION, 1.0, true},
    {"Stage III", 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER | 1 << GROUP_COMPRESSION | 1 << GROUP_DECODER,
     0.0, true},
};
enum { STAGES = sizeof stages / sizeof *stages };

typedef struct Marking {
  unsigned groups;
} Marking;

static void mark_trained(void *context, const Entry *entry) {
  const Marking *marking = context;
  bool trained = !entry->fixed && (marking->groups >> entry->group & 1);
  entry->parameter->d = trained ? entry->parameter->w : TENSOR_NONE;
}

/* Bytes of activations of one pass, by a dry one. */
static Status activations(Model *model, const Stage *stage, const InfoPlan *plan, size_t *bytes) {
  Ops dry = {.real = DTYPE_F32};
  Synthetic synthetic;
  SlimeTape tape;
  SyntheticPlan batch = {.count = (size_t)plan->batch,
                         .text = (size_t)plan->text,
                         .answer = (size_t)plan->text / 4,
                         .columns = (size_t)plan->columns,
                         .rows = (size_t)plan->rows,
                         .same = true};
  model_walk(model, mark_trained, &(Marking){stage->groups});
  TRY(synthetic_make(&synthetic, &dry, &model->config, &batch));
  Status status = slime_tape_alloc(&tape, &model->config);
  if (status.code == STATUS_OK)
    *bytes = slime_measure(model, &synthetic.batch, &tape, dry.real, stage->training, NULL);
  slime_tape_free(&tape);
  synthetic_free(&synthetic);
  return status;
}

/* ---- output ---- */

static cJSON *print_groups(const double *counts, double *total) {
  cJSON *groups = cJSON_CreateObject();
  *total = 0.0;
  printf("\n%-12s %16s\n", "group", "parameters");
  for (int i = 0; i < GROUP_COUNT; i++) {
    *total += counts[i];
    printf("%-12s %16.0f\n", group_name((Group)i), counts[i]);
    cJSON_AddNumberToObject(groups, group_name((Group)i), counts[i]);
  }
  printf("%-12s %16.0f\n", "all", *total);
  return groups;
}

static Status print_stage(Model *model, const Stage *stage, const InfoPlan *plan, const double *counts, double total,
                          cJSON *list) {
  size_t bytes;
  char text[5][32];
  double trained = 0.0;
  TRY(activations(model, stage, plan, &bytes));
  for (int i = 0; i < GROUP_COUNT; i++)
    trained += stage->groups >> i & 1 ? counts[i] : 0.0;
  double frozen = 2.0 * (total - trained), moving = 16.0 * trained; /* value, gradient and two moments, F32 */
  printf("%-10s %10s %10s %12s %10s\n", stage->name, memory_print((size_t)frozen, text[0]),
         memory_print((size_t)moving, text[1]), memory_print(bytes, text[2]),
         memory_print((size_t)(frozen + moving) + bytes, text[3]));
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "stage", stage->name);
  cJSON_AddNumberToObject(row, "frozen_bytes", frozen);
  cJSON_AddNumberToObject(row, "trained_bytes", moving);
  cJSON_AddNumberToObject(row, "activation_bytes", (double)bytes);
  cJSON_AddItemToArray(list, row);
  return status_ok();
}

static Status print_info(const InfoPlan *plan, const ModelConfig *config, Model *model) {
  double counts[GROUP_COUNT] = {0}, total, frequency;
  char available[32];
  cJSON *json = cJSON_CreateObject(), *list;
  model_walk(model, count_entry, counts);
  if (config->decoder.tied)
    model->decoder.head = model->decoder.embedding;
  model->frequency = tensor_1(&frequency, DTYPE_F64, config->decoder.head / 2);
  Tensor keys = tensor_2(&frequency, DTYPE_F32, config_patches(config), config->vision.width);
  model->adapter.former.key_position = model->compression.key_position = keys;
  config_print(config, stdout);
  cJSON_AddItemToObject(json, "parameters", print_groups(counts, &total));
  list = cJSON_AddArrayToObject(json, "stages");
  printf("\nmemory of a pass over %lld x (%lld tokens of text, a picture of %lld x %lld tiles); %s are available\n",
         (long long)plan->batch, (long long)plan->text, (long long)plan->columns, (long long)plan->rows,
         memory_print(memory_available(), available));
  printf("%-10s %10s %10s %12s %10s\n", "stage", "frozen", "trained", "activations", "all");
  Status status = status_ok();
  for (int i = 0; i < STAGES && status.code == STATUS_OK; i++)
    status = print_stage(model, &stages[i], plan, counts, total, list);
  printf("frozen: two bytes a number; trained: value, gradient and two moments in four bytes each\n");
  if (status.code == STATUS_OK && *plan->json)
    status = json_write(plan->json, json);
  cJSON_Delete(json);
  return status;
}

Status command_model_info(int argc, char **argv, Ranks ranks) {
  InfoPlan plan = {.json = "", .text = 256, .columns = 3, .rows = 2, .batch = 1};
  const Option options[] = {
      {"text", OPTION_INTEGER, &plan.text, "N", "tokens of text of each conversation", 8, 1000000},
      {"columns", OPTION_INTEGER, &plan.columns, "N", "tiles across a picture", 0, 6},
      {"rows", OPTION_INTEGER, &plan.rows, "N", "tiles down a picture", 0, 6},
      {"batch", OPTION_INTEGER, &plan.batch, "N", "conversations in a pass", 1, 4096},
      {"json", OPTION_TEXT, &plan.json, "FILE", "write the numbers as JSON too"},
      {NULL},
  };
  const Command command = {
      .name = "model info",
      .summary = "sizes, parameters by group, and memory by training stage",
      .operands = "NAME|DIR",
      .description =
          "NAME is a preset (tiny, llama3-8b, vicuna-7b, vicuna-13b, llama3-70b), DIR a checkpoint's folder. Memory is "
          "measured by a dry pass: nothing is allocated.",
      .examples = "seesaw model info llama3-8b\nseesaw model info ./tiny --batch 32\n",
      .options = options,
  };
  const char *which;
  ModelConfig config;
  Model model;
  size_t count;
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, &which, 1, &count, &done));
  if (done)
    return status_ok();
  if (count != 1)
    return status_error(STATUS_USAGE, "which model? a preset's name or a checkpoint's folder");
  TRY(config_open(which, &config));
  TRY(model_alloc(&model, &config));
  Status status = print_info(&plan, &config, &model);
  model_free(&model);
  return status;
}
