/* tokenizer_write.c: a byte-level BPE tokenizer.json with words of the caller's. */
#include "tokenizer_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "tokenizer.h"

static const char *const specials[] = {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                                       "<|end_header_id|>", "<|eot_id|>"};
static const char *const headers[] = {"<|start_header_id|>user<|end_header_id|>\n\n",
                                      "<|start_header_id|>assistant<|end_header_id|>\n\n"};
enum { BYTES = 256, SPECIALS = sizeof specials / sizeof *specials, HEADERS = sizeof headers / sizeof *headers };
enum { LONGEST_WORD = 32 };

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

/* ---- vocabulary and merges ---- */

typedef struct Vocabulary {
  cJSON *tokens, *merges;
  int count;
} Vocabulary;

static void add_bytes(Vocabulary *v) {
  char text[4];
  for (unsigned byte = 0; byte < BYTES; byte++) {
    spell_byte(byte, text);
    cJSON_AddNumberToObject(v->tokens, text, v->count++);
  }
}

/* A word letter by letter; its beginnings may be there already. start: the blank's spelling, or "". */
static void add_word(Vocabulary *v, const char *start, const char *word) {
  char begun[LONGEST_WORD + 4], merge[2 * LONGEST_WORD];
  size_t length = strlen(word), from = *start ? 0 : 1;
  REQUIRE(length > 0 && length < LONGEST_WORD, "the word '%s'", word);
  snprintf(begun, sizeof begun, "%s%.*s", start, (int)from, word);
  for (size_t i = from; i < length; i++) {
    snprintf(merge, sizeof merge, "%s %c", begun, word[i]);
    snprintf(begun, sizeof begun, "%s%.*s", start, (int)i + 1, word);
    if (cJSON_GetObjectItemCaseSensitive(v->tokens, begun))
      continue;
    cJSON_AddItemToArray(v->merges, cJSON_CreateString(merge));
    cJSON_AddNumberToObject(v->tokens, begun, v->count++);
  }
}

static void add_words(Vocabulary *v, const TokenizerWords *words) {
  char blank[4];
  spell_byte(' ', blank);
  for (const char *const *word = words->inside; word && *word; word++)
    add_word(v, blank, *word);
  for (const char *const *word = words->first; word && *word; word++)
    add_word(v, "", *word);
}

static void add_special(cJSON *list, int id, const char *content) {
  static const char *const off[] = {"single_word", "lstrip", "rstrip", "normalized"};
  cJSON *token = cJSON_CreateObject();
  cJSON_AddNumberToObject(token, "id", id);
  cJSON_AddStringToObject(token, "content", content);
  for (int j = 0; j < 4; j++)
    cJSON_AddFalseToObject(token, off[j]);
  cJSON_AddTrueToObject(token, "special");
  cJSON_AddItemToArray(list, token);
}

/* ---- the files ---- */

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
    "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":null,\"merges\":null}}";

/* The id of the token of the start, where the frame names it. */
static void set_start(cJSON *json, int id) {
  cJSON *at = cJSON_GetObjectItemCaseSensitive(json, "post_processor");
  at = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(at, "special_tokens"), specials[0]);
  cJSON_SetNumberValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(at, "ids"), 0), id);
}

static cJSON *tokenizer_json(const TokenizerWords *words, size_t *size) {
  cJSON *json = cJSON_Parse(frame), *added = cJSON_CreateArray();
  cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model");
  Vocabulary v = {.tokens = cJSON_CreateObject(), .merges = cJSON_CreateArray()};
  add_bytes(&v);
  if (words)
    add_words(&v, words);
  set_start(json, v.count);
  for (int i = 0; i < SPECIALS; i++)
    add_special(added, v.count++, specials[i]);
  for (int i = 0; words && words->short_headers && i < HEADERS; i++)
    add_special(added, v.count++, headers[i]);
  cJSON_ReplaceItemInObjectCaseSensitive(json, "added_tokens", added);
  cJSON_ReplaceItemInObjectCaseSensitive(model, "vocab", v.tokens);
  cJSON_ReplaceItemInObjectCaseSensitive(model, "merges", v.merges);
  *size = (size_t)v.count;
  return json;
}

static Status write_files(const char *folder, cJSON *json) {
  char *path = path_join(folder, "tokenizer.json"), *config_path = path_join(folder, "tokenizer_config.json");
  cJSON *config = cJSON_CreateObject();
  Status status = status_error(STATUS_MEMORY, "not enough memory to write a tokenizer");
  if (path && config_path && json && config) {
    cJSON_AddStringToObject(config, "bos_token", specials[0]);
    cJSON_AddStringToObject(config, "eos_token", specials[4]);
    status = json_write(path, json);
    if (status.code == STATUS_OK)
      status = json_write(config_path, config);
  }
  cJSON_Delete(config);
  free(path);
  free(config_path);
  return status;
}

/* ---- is each word one token? ---- */

static Status check_word(const Tokenizer *tokenizer, const char *before, const char *word) {
  char text[LONGEST_WORD + 2];
  Tokens tokens = {0};
  snprintf(text, sizeof text, "%s%s", before, word);
  Status status = tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens);
  if (status.code == STATUS_OK && tokens.count != 1)
    status = status_error(STATUS_INPUT,
                          "the word '%s' comes out as %zu tokens; move it before words whose letters merge "
                          "first in it",
                          text, tokens.count);
  tokens_free(&tokens);
  return status;
}

static Status check_words(const char *folder, const TokenizerWords *words) {
  Tokenizer *tokenizer;
  TRY(tokenizer_open(&tokenizer, folder, NULL));
  Status status = status_ok();
  for (const char *const *word = words->inside; word && *word && status.code == STATUS_OK; word++)
    status = check_word(tokenizer, " ", *word);
  for (const char *const *word = words->first; word && *word && status.code == STATUS_OK; word++)
    status = check_word(tokenizer, "", *word);
  tokenizer_close(tokenizer);
  return status;
}

Status tokenizer_write(const char *folder, const TokenizerWords *words, size_t *size) {
  size_t count = 0;
  cJSON *json = tokenizer_json(words, &count);
  Status status = write_files(folder, json);
  cJSON_Delete(json);
  if (status.code == STATUS_OK && words)
    status = check_words(folder, words);
  if (size)
    *size = count;
  return status;
}
