/* model_init.c: `seesaw model init`: a random checkpoint in HF's layout, with a tokenizer, so that everything can be
 * tried without a download. */
#include <string.h>

#include "c.h"
#include "commands.h"
#include "load.h"
#include "options.h"
#include "tokenizer_write.h"

enum { TOKENS = 261 }; /* of its tokenizer: the bytes, then the special tokens of Llama-3 */

/* ---- the checkpoint ---- */

typedef struct InitPlan {
  const char *config, *switches, *dtype, *out;
  int64_t seed, lora_rank;
  double spread;
} InitPlan;

static Status read_plan(const InitPlan *plan, ModelConfig *config) {
  if (!*plan->out)
    return status_error(STATUS_USAGE, "where to? --out DIR names the new checkpoint's folder");
  TRY(config_open(plan->config, config));
  if (strcmp(plan->switches, "paper") == 0)
    config->switches = switches_paper();
  if (config->decoder.vocabulary < TOKENS)
    return status_error(STATUS_INPUT, "the vocabulary has %zu tokens; its tokenizer of bytes needs %d",
                        config->decoder.vocabulary, (int)TOKENS);
  config->separator_token = ',';
  if (plan->lora_rank > 0)
    config_lora(config, (size_t)plan->lora_rank);
  return config_check(config);
}

static Dtype dtype_of(const char *name) {
  return strcmp(name, "bf16") == 0 ? DTYPE_BF16 : strcmp(name, "f16") == 0 ? DTYPE_F16 : DTYPE_F32;
}

static Status make(const InitPlan *plan, const ModelConfig *config, const Ops *ops) {
  Model model;
  Store store = {0};
  TRY(model_alloc(&model, config));
  Status status = store_random(&store, ops, &model, plan->spread, (uint64_t)plan->seed);
  if (status.code == STATUS_OK)
    status = store_save(&store, plan->out, dtype_of(plan->dtype));
  if (status.code == STATUS_OK)
    status = tokenizer_write(plan->out, NULL, NULL);
  store_free(&store);
  model_free(&model);
  return status;
}

Status command_model_init(int argc, char **argv, Ranks ranks) {
  InitPlan plan = {.config = "tiny", .switches = "released", .dtype = "f32", .out = "", .seed = 1, .spread = 0.02};
  const Option options[] = {
      {"config", OPTION_TEXT, &plan.config, "NAME|PATH",
       "tiny, llama3-8b, vicuna-7b, vicuna-13b, llama3-70b, or a "
       "config.json (or a folder with one)"},
      {"switches", OPTION_CHOICE, &plan.switches, NULL, "the paper's model, or the released code's",
       .choices = "released,paper"},
      {"dtype", OPTION_CHOICE, &plan.dtype, NULL, "type of the weights", .choices = "f32,bf16,f16"},
      {"spread", OPTION_REAL, &plan.spread, "S", "standard deviation of random weights", 0.0, 10.0},
      {"lora-rank", OPTION_INTEGER, &plan.lora_rank, "R",
       "low-rank updates of the decoder's matrices, with alpha 2R; 0: none", 0, 65536},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of the weights", 0, 9e15},
      {"out", OPTION_TEXT, &plan.out, "DIR", "folder of the checkpoint; made if it is not there"},
      {NULL},
  };
  const Command command = {
      .name = "model init",
      .summary = "a random checkpoint, so that everything can be tried without a download",
      .description = "Writes config.json, model.safetensors, tokenizer.json (of bytes) and tokenizer_config.json, in "
                     "the layout of "
                     "published SliME checkpoints.",
      .examples = "seesaw model init --out tiny\n"
                  "seesaw model init --config vicuna-7b --dtype f16 --out vicuna\n",
      .options = options,
  };
  ModelConfig config;
  Ops ops;
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  TRY(read_plan(&plan, &config));
  TRY(c_open(&ops, DTYPE_F32, 0));
  Status status = make(&plan, &config, &ops);
  c_close(&ops);
  return status;
}
