/* model_init.c: `seesaw model init`: a random checkpoint in HF's layout, with a tokenizer, so that everything can be
 * tried without a download. */
#include <stdlib.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "files.h"
#include "json.h"
#include "load.h"
#include "options.h"

/* ---- a tokenizer of bytes: tokens 0 to 255 are the bytes, then come the special tokens of Llama-3 ---- */

static const char *const specials[] = {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                                       "<|end_header_id|>", "<|eot_id|>"};
enum { BYTES = 256, SPECIALS = sizeof specials / sizeof *specials };

/* The character that stands for a byte in a byte-level tokenizer, as UTF-8 (Radford et al. 2019). */
static void spell_byte(unsigned byte, char text[4]) {
  bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  unsigned before = 0; /* bytes below this one that are not printable */
  for (unsigned b = 0; b < byte; b++)
    before += !((b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae);
  unsigned code = printable ? byte : 256 + before;
  if (code < 0x80) {
    text[0] = (char)code, text[1] = '\0';
  } else {
    text[0] = (char)(0xc0 | code >> 6), text[1] = (char)(0x80 | (code & 0x3f)), text[2] = '\0';
  }
}

static cJSON *byte_vocabulary(void) {
  cJSON *vocabulary = cJSON_CreateObject();
  char text[4];
  for (unsigned byte = 0; byte < BYTES; byte++) {
    spell_byte(byte, text);
    cJSON_AddNumberToObject(vocabulary, text, byte);
  }
  return vocabulary;
}

static cJSON *added_tokens(void) {
  cJSON *added = cJSON_CreateArray();
  for (int i = 0; i < SPECIALS; i++) {
    cJSON *token = cJSON_CreateObject();
    cJSON_AddNumberToObject(token, "id", BYTES + i);
    cJSON_AddStringToObject(token, "content", specials[i]);
    static const char *const off[] = {"single_word", "lstrip", "rstrip", "normalized"};
    for (int j = 0; j < 4; j++)
      cJSON_AddFalseToObject(token, off[j]);
    cJSON_AddTrueToObject(token, "special");
    cJSON_AddItemToArray(added, token);
  }
  return added;
}

/* The rest of tokenizer.json, as Llama-3's has it. */
static const char *const frame =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":null,\"normalizer\":null,"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
    "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+"
    "[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|begin_of_text|>\","
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"SpecialToken\":{\"id\":"
    "\"<|begin_of_text|>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":"
    "\"<|begin_of_text|>\",\"type_id\":1}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{"
    "\"<|begin_of_text|>\":{\"id\":\"<|begin_of_text|>\",\"ids\":[256],\"tokens\":[\"<|begin_of_text|>\"]}}},"
    "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},"
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
    "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":null,\"merges\":[]}}";

static Status write_tokenizer(const char *folder) {
  char *path = path_join(folder, "tokenizer.json"), *config_path = path_join(folder, "tokenizer_config.json");
  cJSON *json = cJSON_Parse(frame), *config = cJSON_CreateObject();
  Status status = status_error(STATUS_MEMORY, "not enough memory to write a tokenizer");
  if (path && config_path && json && config) {
    cJSON_ReplaceItemInObjectCaseSensitive(json, "added_tokens", added_tokens());
    cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "model"), "vocab", byte_vocabulary());
    cJSON_AddStringToObject(config, "bos_token", specials[0]);
    cJSON_AddStringToObject(config, "eos_token", specials[4]);
    status = json_write(path, json);
    if (status.code == STATUS_OK)
      status = json_write(config_path, config);
  }
  cJSON_Delete(json);
  cJSON_Delete(config);
  free(path);
  free(config_path);
  return status;
}

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
  if (config->decoder.vocabulary < BYTES + SPECIALS)
    return status_error(STATUS_INPUT, "the vocabulary has %zu tokens; its tokenizer of bytes needs %d",
                        config->decoder.vocabulary, BYTES + SPECIALS);
  config->separator_token = ',';
  config->lora_rank = plan->lora_rank > 0 ? (size_t)plan->lora_rank : config->lora_rank;
  config->lora_alpha = plan->lora_rank > 0 ? 2.0 * (double)plan->lora_rank : config->lora_alpha;
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
    status = write_tokenizer(plan->out);
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
