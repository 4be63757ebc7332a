/* scenes_pretrain.c: `seesaw scenes pretrain`: the small vision tower and the small decoder that the experiments start
 * from. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
  char *line; /* the command's */
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
                        .folder = plan->out,
                        .steps = (size_t)steps,
                        .batch = (size_t)batch,
                        .rate = rate,
                        .report = watch,
                        .context = w,
                        .every = (size_t)(steps >= 20 ? steps / 20 : 1)};
}

/* ---- what has been learnt: DIR/pretrained.json ---- */

/* What a part's result depends on. */
static cJSON *recipe_of(const Plan *plan, bool vision) {
  cJSON *recipe = cJSON_CreateObject();
  cJSON_AddStringToObject(recipe, "size", plan->size);
  cJSON_AddNumberToObject(recipe, "seed", (double)plan->seed);
  cJSON_AddNumberToObject(recipe, "steps", (double)(vision ? plan->vision_steps : plan->decoder_steps));
  cJSON_AddNumberToObject(recipe, "batch", (double)(vision ? plan->vision_batch : plan->decoder_batch));
  cJSON_AddNumberToObject(recipe, "rate", vision ? plan->vision_rate : plan->decoder_rate);
  return recipe;
}

/* The part's entry: how it was learnt, and its skill (room for it in the returned object). */
static cJSON *note_part(const Plan *plan, bool vision, cJSON *json) {
  const char *name = vision ? "vision" : "decoder";
  cJSON *part = cJSON_CreateObject();
  cJSON_AddItemToObject(part, "recipe", recipe_of(plan, vision));
  cJSON_DeleteItemFromObjectCaseSensitive(json, name);
  cJSON_AddItemToObject(json, name, part);
  return cJSON_AddObjectToObject(part, "skill");
}

/* Was the part learnt before, by the same recipe? */
static bool is_learnt(const Plan *plan, bool vision, const cJSON *json) {
  const cJSON *part = cJSON_GetObjectItemCaseSensitive(json, vision ? "vision" : "decoder");
  const cJSON *there = cJSON_GetObjectItemCaseSensitive(part, "recipe");
  cJSON *recipe = recipe_of(plan, vision);
  bool same = there && cJSON_Compare(recipe, there, true);
  cJSON_Delete(recipe);
  return same;
}

static Status read_notes(const char *path, cJSON **json) {
  if (access(path, F_OK) == 0)
    return json_read(path, json);
  *json = cJSON_CreateObject();
  return *json ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for what has been learnt");
}

/* ---- the parts ---- */

static Status learn_vision(const Plan *plan, Store *store, cJSON *json) {
  Watch w = {.what = "vision"};
  PretrainPlan pretrain = lesson(plan, &w, plan->vision_steps, plan->vision_batch, plan->vision_rate);
  VisionSkill skill;
  progress_start(&w.progress, w.what, (double)plan->vision_steps);
  Status status = pretrain_vision(store, &pretrain, &skill);
  progress_end(&w.progress);
  if (status.code != STATUS_OK)
    return status;
  cJSON *part = note_part(plan, true, json);
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
  cJSON *part = note_part(plan, false, json);
  printf("\n%-8s %16s\n", "family", "perfect tokens");
  for (int f = 0; f < FAMILIES; f++) {
    printf("%-8s %15.1f%%\n", family_name((Family)f), 100 * skill.correct[f]);
    cJSON_AddNumberToObject(part, family_name((Family)f), skill.correct[f]);
  }
  return status_ok();
}

/* Which parts are to be learnt now: those that are asked for, but a tower that `all` has learnt before. */
typedef struct Parts {
  bool vision, decoder;
} Parts;

static Parts parts_of(const Plan *plan, const cJSON *json) {
  bool all = strcmp(plan->part, "all") == 0;
  return (Parts){.vision = strcmp(plan->part, "vision") == 0 || (all && !is_learnt(plan, true, json)),
                 .decoder = strcmp(plan->part, "decoder") == 0 || all};
}

/* The checkpoint is written after each part, so what was learnt stays. */
static Status save(const Plan *plan, const Store *store, const char *notes, const cJSON *json) {
  TRY(store_save(store, plan->out, DTYPE_F32));
  TRY(json_write(notes, json));
  TRY(origin_write(notes, plan->line, (uint64_t)plan->seed));
  return *plan->json ? json_write(plan->json, json) : status_ok();
}

static Status learn(const Plan *plan, Parts parts, Store *store, const Tokenizer *tokenizer, const char *notes,
                    cJSON *json) {
  if (parts.vision) {
    TRY(learn_vision(plan, store, json));
    TRY(save(plan, store, notes, json));
  }
  if (parts.decoder) {
    TRY(learn_decoder(plan, store, tokenizer, json));
    TRY(save(plan, store, notes, json));
  }
  return status_ok();
}

static const double START_SPREAD = 0.08; /* of random matrices: about 1/sqrt of the width */

/* A new model; or, where the decoder alone is to be learnt, the one that is there. */
static Status begin(const Plan *plan, Parts parts, Store *store, const Ops *ops, Model *model, Checkpoint *checkpoint) {
  if (parts.vision)
    return store_random(store, ops, model, START_SPREAD, (uint64_t)plan->seed);
  TRY(checkpoint_add(checkpoint, plan->out));
  return store_load(store, ops, model, checkpoint, 0, (Fresh){0});
}

static Status pretrain_with(const Plan *plan, const Tokenizer *tokenizer, const ModelConfig *config, const char *notes,
                            cJSON *json) {
  Model model = {0};
  Store store = {0};
  Ops ops;
  Checkpoint checkpoint = {0};
  Parts parts = parts_of(plan, json);
  TRY(c_open(&ops, DTYPE_F32, (int)plan->threads));
  Status status = model_alloc(&model, config);
  if (status.code == STATUS_OK)
    status = begin(plan, parts, &store, &ops, &model, &checkpoint);
  if (status.code == STATUS_OK)
    status = learn(plan, parts, &store, tokenizer, notes, json);
  store_free(&store);
  model_free(&model);
  checkpoint_close(&checkpoint);
  c_close(&ops);
  return status;
}

static Status pretrain(const Plan *plan) {
  ModelConfig config;
  Tokenizer *tokenizer = NULL;
  cJSON *json = NULL;
  size_t vocabulary;
  if (!*plan->out)
    return status_error(STATUS_USAGE, "where to? --out DIR names the checkpoint's folder");
  TRY(folder_create(plan->out));
  char *notes = path_join(plan->out, "pretrained.json");
  Status status = notes ? read_notes(notes, &json) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK)
    status = tokenizer_write(plan->out, &scene_words, &vocabulary);
  if (status.code == STATUS_OK)
    status = tokenizer_open(&tokenizer, plan->out, NULL);
  if (status.code == STATUS_OK)
    status = scenes_config(plan->size, vocabulary, &config);
  if (status.code == STATUS_OK)
    status = pretrain_with(plan, tokenizer, &config, notes, json);
  cJSON_Delete(json);
  tokenizer_close(tokenizer);
  free(notes);
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
      .description =
          "The tower learns to name what each patch shows, the decoder to caption scenes and to answer "
          "questions about them, from words in place of the picture; neither sees the other. Writes a "
          "checkpoint in HF's layout with its tokenizer, whose adapter is random, and pretrained.json, which "
          "tells how it was learnt and what it can do, with its origin. Stopped at any moment, the same command goes "
          "on.",
      .examples = "seesaw scenes pretrain --out small\n"
                  "seesaw scenes pretrain --out small --part decoder --decoder-steps 20000\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  plan.line = options_line(&command);
  Status status = plan.line ? pretrain(&plan) : status_error(STATUS_MEMORY, "not enough memory for the options");
  free(plan.line);
  return status;
}
