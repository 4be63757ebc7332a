/* scenes_pretrain.c: `seesaw scenes pretrain`: the small vision tower and the small decoder that the experiments start
 * from. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "files.h"
#include "json.h"
#include "load.h"
#include "options.h"
#include "pretrain.h"
#include "progress.h"
#include "sizes.h"

typedef struct Plan {
  const char *out, *size, *part, *json;
  int64_t seed, threads, vision_steps, vision_batch, decoder_steps, decoder_batch;
  double vision_rate, decoder_rate;
} Plan;

/* The progress of one part: a bar on a terminal; elsewhere a line now and then. */
typedef struct Watch {
  const char *what;
  size_t steps;
  Progress progress;
} Watch;

static void watch(void *context, size_t step, double loss, double caption) {
  Watch *w = context;
  progress_update(&w->progress, (double)step);
  if (step % (w->steps / 20 > 0 ? w->steps / 20 : 1) == 0) {
    printf("%s: step %zu of %zu, loss %.4f", w->what, step, w->steps, loss);
    printf(isnan(caption) ? "\n" : ", of captions %.4f\n", caption);
    fflush(stdout);
  }
}

static PretrainPlan lesson(const Plan *plan, Watch *w, int64_t steps, int64_t batch, double rate) {
  w->steps = (size_t)steps;
  return (PretrainPlan){.seed = (uint64_t)plan->seed,
                        .steps = (size_t)steps,
                        .batch = (size_t)batch,
                        .rate = rate,
                        .report = watch,
                        .context = w,
                        .every = (size_t)(steps >= 20 ? steps / 20 : 1)};
}

static Status learn_vision(const Plan *plan, Store *store, cJSON *json) {
  Watch w = {.what = "vision"};
  PretrainPlan pretrain = lesson(plan, &w, plan->vision_steps, plan->vision_batch, plan->vision_rate);
  VisionSkill skill;
  progress_start(&w.progress, w.what, (double)plan->vision_steps);
  Status status = pretrain_vision(store, &pretrain, &skill);
  progress_end(&w.progress);
  if (status.code != STATUS_OK)
    return status;
  cJSON *part = cJSON_AddObjectToObject(json, "vision");
  printf("\n%-8s %12s %12s\n", "tag", "global view", "tiles");
  for (int tag = 0; tag < TAGS; tag++) {
    printf("%-8s %11.1f%% %11.1f%%\n", tag_names[tag], 100 * skill.global[tag], 100 * skill.tiles[tag]);
    cJSON *entry = cJSON_AddObjectToObject(part, tag_names[tag]);
    cJSON_AddNumberToObject(entry, "global", skill.global[tag]);
    cJSON_AddNumberToObject(entry, "tiles", skill.tiles[tag]);
  }
  return status_ok();
}

static Status learn_decoder(const Plan *plan, Store *store, const Tokenizer *tokenizer, cJSON *json) {
  Watch w = {.what = "decoder"};
  PretrainPlan pretrain = lesson(plan, &w, plan->decoder_steps, plan->decoder_batch, plan->decoder_rate);
  DecoderSkill skill;
  progress_start(&w.progress, w.what, (double)plan->decoder_steps);
  Status status = pretrain_decoder(store, tokenizer, &pretrain, &skill);
  progress_end(&w.progress);
  if (status.code != STATUS_OK)
    return status;
  cJSON *part = cJSON_AddObjectToObject(json, "decoder");
  printf("\n%-8s %16s\n", "family", "perfect tokens");
  for (int f = 0; f < FAMILIES; f++) {
    printf("%-8s %15.1f%%\n", family_name((Family)f), 100 * skill.correct[f]);
    cJSON_AddNumberToObject(part, family_name((Family)f), skill.correct[f]);
  }
  return status_ok();
}

/* The checkpoint is written after each part, so what was learnt stays. */
static Status learn(const Plan *plan, Store *store, const Tokenizer *tokenizer, cJSON *json) {
  if (strcmp(plan->part, "decoder") != 0) {
    TRY(learn_vision(plan, store, json));
    TRY(store_save(store, plan->out, DTYPE_F32));
  }
  if (strcmp(plan->part, "vision") != 0) {
    TRY(learn_decoder(plan, store, tokenizer, json));
    TRY(store_save(store, plan->out, DTYPE_F32));
  }
  return *plan->json ? json_write(plan->json, json) : status_ok();
}

/* A new model; or, where only one part is to be learnt, the one that is there. */
static Status begin(const Plan *plan, Store *store, const Ops *ops, Model *model, Checkpoint *checkpoint) {
  if (strcmp(plan->part, "decoder") != 0)
    return store_random(store, ops, model, 0.08, (uint64_t)plan->seed);
  TRY(checkpoint_add(checkpoint, plan->out));
  return store_load(store, ops, model, checkpoint, 0);
}

static Status pretrain(const Plan *plan) {
  ModelConfig config;
  Model model = {0};
  Store store = {0};
  Ops ops;
  Checkpoint checkpoint = {0};
  Tokenizer *tokenizer = NULL;
  size_t vocabulary;
  if (!*plan->out)
    return status_error(STATUS_USAGE, "where to? --out DIR names the checkpoint's folder");
  TRY(folder_create(plan->out));
  TRY(tokenizer_write(plan->out, &scene_words, &vocabulary));
  TRY(tokenizer_open(&tokenizer, plan->out, NULL));
  cJSON *json = cJSON_CreateObject();
  Status status = scenes_config(plan->size, vocabulary, &config);
  if (status.code == STATUS_OK)
    status = c_open(&ops, DTYPE_F32, (int)plan->threads);
  if (status.code == STATUS_OK) {
    status = model_alloc(&model, &config);
    if (status.code == STATUS_OK)
      status = begin(plan, &store, &ops, &model, &checkpoint);
    if (status.code == STATUS_OK)
      status = learn(plan, &store, tokenizer, json);
    store_free(&store);
    model_free(&model);
    checkpoint_close(&checkpoint);
    c_close(&ops);
  }
  cJSON_Delete(json);
  tokenizer_close(tokenizer);
  return status;
}

Status command_scenes_pretrain(int argc, char **argv, Ranks ranks) {
  Plan plan = {.out = "",
               .size = "small",
               .part = "all",
               .json = "",
               .seed = 1,
               .vision_steps = 12000,
               .vision_batch = 12,
               .vision_rate = 2e-3,
               .decoder_steps = 24000,
               .decoder_batch = 8,
               .decoder_rate = 1e-3};
  const Option options[] = {
      {"out", OPTION_TEXT, &plan.out, "DIR", "folder of the checkpoint; made if it is not there"},
      {"size", OPTION_CHOICE, &plan.size, NULL, "how wide and deep", .choices = SCENE_SIZES},
      {"part", OPTION_CHOICE, &plan.part, NULL, "what is learnt; decoder: into the checkpoint that is in DIR",
       .choices = "all,vision,decoder"},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of weights and scenes", 0, 9e15},
      {"threads", OPTION_INTEGER, &plan.threads, "N", "threads; 0: one for each core", 0, 1024},
      {"vision-steps", OPTION_INTEGER, &plan.vision_steps, "N", "steps of the vision tower", 1, 1e7},
      {"vision-batch", OPTION_INTEGER, &plan.vision_batch, "N", "scenes a step", 1, 1024},
      {"vision-rate", OPTION_REAL, &plan.vision_rate, "R", "highest learning rate", 0, 1},
      {"decoder-steps", OPTION_INTEGER, &plan.decoder_steps, "N", "steps of the decoder", 1, 1e7},
      {"decoder-batch", OPTION_INTEGER, &plan.decoder_batch, "N", "conversations a step", 1, 1024},
      {"decoder-rate", OPTION_REAL, &plan.decoder_rate, "R", "highest learning rate", 0, 1},
      {"json", OPTION_TEXT, &plan.json, "FILE", "write what was learnt as JSON too"},
      {NULL},
  };
  const Command command = {
      .name = "scenes pretrain",
      .summary = "train the small vision tower and decoder that the experiments start from",
      .description = "The tower learns to name what each patch shows, the decoder to caption scenes and to answer "
                     "questions about them, from words in place of the picture; neither sees the other. Writes a "
                     "checkpoint in HF's layout with its tokenizer, whose adapter is random.",
      .examples = "seesaw scenes pretrain --out small\n"
                  "seesaw scenes pretrain --out small --part decoder --decoder-steps 20000\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : pretrain(&plan);
}
