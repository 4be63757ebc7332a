/* bpe.c: byte-level BPE from tokenizer.json, as Llama-3 has it.
 *
 * The text is cut by a regular expression; the bytes of each piece merge in the order of the file's merges. In the file
 * each byte is spelled as a character (bytes that print stand for themselves, the others are U+0100 and on); here
 * tokens are kept as bytes. Whatever of the format Llama-3 does not use is refused, never guessed. Source: the format
 * of the library tokenizers, version 0.22. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "merge.h"
#include "number.h"
#include "tokenizer_parts.h"
#include "utf8.h"

enum { LONGEST_EXPRESSION = 4096, BYTES = 256 };

typedef struct Pair { /* a merge, found by its two tokens */
  uint64_t key;
  uint32_t order;
  int32_t id; /* -1: an empty slot */
} Pair;

struct BpeModel {
  pcre2_code *expression;
  bool ignore_merges;
  int32_t byte_ids[BYTES];
  Pair *pairs; /* open addressing */
  size_t mask;
};

void bpe_free(BpeModel *bpe) {
  if (bpe == NULL)
    return;
  pcre2_code_free(bpe->expression);
  free(bpe->pairs);
  free(bpe);
}

static Status no_memory(const Tokenizer *tokenizer) {
  return status_error(STATUS_MEMORY, "not enough memory to open %s", tokenizer->name);
}

/* ---- Bytes spelled as characters ---- */

static bool prints(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

/* The byte that a character stands for, -1 if none. Those that do not print are 0-32, 127-160 and 173, in this order.
 */
static int byte_of(uint32_t code) {
  uint32_t place = code - 0x100;
  if (code < 0x100)
    return prints(code) ? (int)code : -1;
  return place <= 32 ? (int)place : place <= 66 ? (int)(place - 33 + 127) : place == 67 ? 173 : -1;
}

/* Walk over the characters of a token; with `into`, write the bytes they stand for. False at another character. */
static bool walk(const char *token, size_t length, char *into, size_t *count) {
  size_t prefix;
  *count = 0;
  for (size_t at = 0, step; at < length; at += step) {
    step = utf8_length((const unsigned char *)token + at, length - at, &prefix);
    int byte = step == 0 ? -1 : byte_of(utf8_code((const unsigned char *)token + at, step));
    if (byte < 0)
      return false;
    if (into != NULL)
      into[*count] = (char)byte;
    ++*count;
  }
  return true;
}

bool bpe_unspell(char *token, size_t *length) {
  size_t count;
  if (!walk(token, *length, NULL, &count))
    return false;
  return walk(token, *length, token, length);
}

/* ---- The expression ---- */

/* Oniguruma, for which the file's expression is written, and PCRE2 agree on what Llama-3's uses but for \s, which in
 * PCRE2 has U+180E too. */
static const char SPACES[] = "\\x09-\\x0D\\x20\\x85\\xA0\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
                             "\\x{205F}\\x{3000}";

/* One escape of the expression, `letter` after the backslash. */
static Status translate_escape(const Tokenizer *tokenizer, char letter, bool in_class, Text *into) {
  bool space = letter == 's' || letter == 'S';
  if (letter == '\0' || strchr("hHwWbB", letter) != NULL || (letter == 'S' && in_class))
    return status_error(STATUS_INPUT, "%s: the pre-tokenizer's expression uses \\%c%s, which is not supported",
                        tokenizer->name, letter, in_class ? " in brackets" : "");
  if (!space)
    return text_append(into, (const char[]){'\\', letter}, 2);
  if (!in_class)
    TRY(text_append_string(into, letter == 's' ? "[" : "[^"));
  TRY(text_append_string(into, SPACES));
  return in_class ? status_ok() : text_append_string(into, "]");
}

static Status translate(const Tokenizer *tokenizer, const char *expression, Text *into) {
  bool in_class = false;
  for (const char *c = expression; *c != '\0'; c++) {
    if (*c == '\\') {
      c++;
      TRY(translate_escape(tokenizer, *c, in_class, into));
      continue;
    }
    if (in_class && (*c == '[' || (c[0] == '&' && c[1] == '&')))
      return status_error(STATUS_INPUT, "%s: the pre-tokenizer's expression has a set in a set, which is not supported",
                          tokenizer->name);
    in_class = *c == '[' || (in_class && *c != ']');
    TRY(text_append(into, c, 1));
  }
  return status_ok();
}

static Status compile(Tokenizer *tokenizer, const Text *expression) {
  int error;
  size_t place;
  PCRE2_UCHAR message[128];
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  tokenizer->bpe->expression =
      pcre2_compile((PCRE2_SPTR)expression->bytes, expression->length, options, &error, &place, NULL);
  if (tokenizer->bpe->expression == NULL) {
    pcre2_get_error_message(error, message, sizeof message);
    return status_error(STATUS_INPUT, "%s: the pre-tokenizer's expression is not understood: %s", tokenizer->name,
                        (const char *)message);
  }
  pcre2_jit_compile(tokenizer->bpe->expression, PCRE2_JIT_COMPLETE); /* without it, the same but slower */
  return status_ok();
}

static Status read_split(Tokenizer *tokenizer, const cJSON *split) {
  const char *expression = fields_string(fields_get(split, "pattern"), "Regex");
  Text translated = {0};
  if (expression == NULL || !fields_is(split, "behavior", "Isolated") || fields_true(split, "invert"))
    return status_error(STATUS_INPUT, "%s: the pre-tokenizer's Split must be by a Regex, Isolated and not inverted",
                        tokenizer->name);
  if (strlen(expression) > LONGEST_EXPRESSION)
    return status_error(STATUS_INPUT, "%s: the pre-tokenizer's expression is longer than %d bytes", tokenizer->name,
                        LONGEST_EXPRESSION);
  Status status = translate(tokenizer, expression, &translated);
  if (status.code == STATUS_OK && translated.length > 0)
    status = compile(tokenizer, &translated);
  else if (status.code == STATUS_OK)
    status = status_error(STATUS_INPUT, "%s: the pre-tokenizer's expression is empty", tokenizer->name);
  text_free(&translated);
  return status;
}

/* ---- The file ---- */

static Status read_pretokenizer(Tokenizer *tokenizer, const cJSON *pretokenizer) {
  const cJSON *parts = fields_get(pretokenizer, "pretokenizers");
  const cJSON *split = cJSON_GetArrayItem(parts, 0), *bytes = cJSON_GetArrayItem(parts, 1);
  if (!fields_is(pretokenizer, "type", "Sequence") || cJSON_GetArraySize(parts) != 2 ||
      !fields_is(split, "type", "Split") || !fields_is(bytes, "type", "ByteLevel") ||
      !cJSON_IsFalse(fields_get(bytes, "use_regex")) || fields_true(bytes, "add_prefix_space"))
    return status_error(STATUS_INPUT,
                        "%s: the pre-tokenizer must be Llama-3's, a Sequence of Split and ByteLevel (use_regex and "
                        "add_prefix_space false); for Llama-2 and Vicuna open tokenizer.model instead",
                        tokenizer->name);
  return read_split(tokenizer, split);
}

/* What kind of file it is: only what Llama-3's has, with what would change ids switched off. */
static Status check_kind(const Tokenizer *tokenizer, const cJSON *file) {
  static const char *const absent[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
  const cJSON *model = fields_get(file, "model");
  if (!fields_is(model, "type", "BPE"))
    return status_error(STATUS_INPUT, "%s: model.type must be BPE", tokenizer->name);
  if (fields_get(file, "normalizer") != NULL || fields_true(model, "byte_fallback"))
    return status_error(STATUS_INPUT,
                        "%s: has a normalizer or byte_fallback, so it is not of Llama-3's kind; for Llama-2 and "
                        "Vicuna open tokenizer.model instead",
                        tokenizer->name);
  for (int i = 0; i < 3; i++) {
    const cJSON *value = fields_get(model, absent[i]);
    if (value != NULL && !(cJSON_IsString(value) && value->valuestring[0] == '\0'))
      return status_error(STATUS_INPUT, "%s: model.%s is not supported, it must be null", tokenizer->name, absent[i]);
  }
  if (fields_get(file, "truncation") != NULL || fields_get(file, "padding") != NULL)
    return status_error(STATUS_INPUT, "%s: truncation and padding must be null", tokenizer->name);
  if (!fields_is(fields_get(file, "decoder"), "type", "ByteLevel"))
    return status_error(STATUS_INPUT, "%s: decoder.type must be ByteLevel", tokenizer->name);
  return status_ok();
}

/* vocabulary_set with a sentence for what is there twice. */
static Status set_token(Tokenizer *tokenizer, int32_t id, TokenType type, const char *bytes, size_t length) {
  bool taken;
  char quoted[QUOTE_ROOM];
  TRY(vocabulary_set(&tokenizer->vocabulary, id, type, bytes, length, &taken));
  if (taken)
    return status_error(STATUS_INPUT, "%s: the token '%s' or its id %d is there twice", tokenizer->name,
                        quote_printable(bytes, length, quoted), id);
  return status_ok();
}

static Status read_token(Tokenizer *tokenizer, const cJSON *item) {
  int32_t id = fields_whole(item, tokenizer->vocabulary.count);
  size_t length = strlen(item->string);
  char quoted[QUOTE_ROOM];
  if (id < 0 || length == 0)
    return status_error(STATUS_INPUT,
                        "%s: the token '%s' must have some text and as id a whole number below %zu, the number of "
                        "tokens",
                        tokenizer->name, quote_printable(item->string, length, quoted), tokenizer->vocabulary.count);
  TokenType type = bpe_unspell(item->string, &length) ? TOKEN_TEXT : TOKEN_OTHER;
  return set_token(tokenizer, id, type, item->string, length);
}

static Status read_vocabulary(Tokenizer *tokenizer, const cJSON *vocabulary, size_t added) {
  const cJSON *item;
  if (!cJSON_IsObject(vocabulary))
    return status_error(STATUS_INPUT, "%s: model.vocab must be an object of tokens and ids", tokenizer->name);
  TRY(vocabulary_alloc(&tokenizer->vocabulary, (size_t)cJSON_GetArraySize(vocabulary) + added));
  cJSON_ArrayForEach(item, vocabulary) TRY(read_token(tokenizer, item));
  for (int byte = 0; byte < BYTES; byte++) {
    tokenizer->bpe->byte_ids[byte] = vocabulary_find(&tokenizer->vocabulary, (const char[]){(char)byte}, 1, true);
    if (tokenizer->bpe->byte_ids[byte] < 0)
      return status_error(STATUS_INPUT, "%s: the vocabulary has no token for the byte 0x%02X", tokenizer->name,
                          (unsigned)byte);
  }
  return status_ok();
}

/* The slot of a pair, or the empty one where it belongs. */
static Pair *pair_slot(const BpeModel *bpe, uint64_t key) {
  size_t slot = (size_t)(key * 0x9E3779B97F4A7C15u >> 32) & bpe->mask;
  while (bpe->pairs[slot].id >= 0 && bpe->pairs[slot].key != key)
    slot = (slot + 1) & bpe->mask;
  return &bpe->pairs[slot];
}

static uint64_t pair_key(int32_t left, int32_t right) {
  return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The two parts of a merge, "a b" or ["a", "b"], set end to end into `both`; false if it is neither. */
static bool merge_parts(const cJSON *merge, Text *both, size_t *first, Status *status) {
  const char *text = cJSON_GetStringValue(merge), *blank = text == NULL ? NULL : strchr(text, ' ');
  const char *a = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 0));
  const char *b = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 1));
  if (text != NULL ? blank == NULL || strchr(blank + 1, ' ') != NULL
                   : a == NULL || b == NULL || cJSON_GetArraySize(merge) != 2)
    return false;
  both->length = 0;
  *first = text != NULL ? (size_t)(blank - text) : strlen(a);
  *status = text_append(both, text != NULL ? text : a, *first);
  if (status->code == STATUS_OK)
    *status = text_append_string(both, text != NULL ? blank + 1 : b);
  return true;
}

static Status read_merge(Tokenizer *tokenizer, const cJSON *merge, uint32_t order, Text *both) {
  size_t first, second;
  Status status = status_ok();
  if (!merge_parts(merge, both, &first, &status))
    return status_error(STATUS_INPUT, "%s: merge %u must be \"a b\" or [\"a\", \"b\"]", tokenizer->name, order);
  TRY(status);
  char *text = both->bytes;
  size_t spelled = first;
  int32_t left = -1, right = -1, whole = -1;
  second = both->length - spelled;
  if (bpe_unspell(text, &first) && bpe_unspell(text + spelled, &second)) {
    memmove(text + first, text + spelled, second);
    left = vocabulary_find(&tokenizer->vocabulary, text, first, true);
    right = vocabulary_find(&tokenizer->vocabulary, text + first, second, true);
    whole = vocabulary_find(&tokenizer->vocabulary, text, first + second, true);
  }
  if (left < 0 || right < 0 || whole < 0)
    return status_error(STATUS_INPUT, "%s: merge %u is of, or makes, a token that is not in the vocabulary",
                        tokenizer->name, order);
  *pair_slot(tokenizer->bpe, pair_key(left, right)) =
      (Pair){.key = pair_key(left, right), .order = order, .id = whole}; /* of a pair that is there twice, the last */
  return status_ok();
}

static Status read_merges(Tokenizer *tokenizer, const cJSON *merges) {
  size_t count = (size_t)cJSON_GetArraySize(merges), slots = 16;
  const cJSON *merge;
  Text both = {0};
  Status status = status_ok();
  uint32_t order = 0;
  if (!cJSON_IsArray(merges))
    return status_error(STATUS_INPUT, "%s: model.merges must be an array", tokenizer->name);
  while (slots < 2 * count)
    slots *= 2;
  tokenizer->bpe->pairs = malloc(slots * sizeof *tokenizer->bpe->pairs);
  tokenizer->bpe->mask = slots - 1;
  if (tokenizer->bpe->pairs == NULL)
    return no_memory(tokenizer);
  for (size_t i = 0; i < slots; i++)
    tokenizer->bpe->pairs[i].id = -1;
  cJSON_ArrayForEach(merge, merges) {
    status = read_merge(tokenizer, merge, order++, &both);
    if (status.code != STATUS_OK)
      break;
  }
  text_free(&both);
  return status;
}

/* An added token may be one of the vocabulary too, then under the same id. */
static Status read_added_token(Tokenizer *tokenizer, const cJSON *added) {
  const char *content = fields_string(added, "content");
  size_t length = content == NULL ? 0 : strlen(content);
  int32_t id = fields_id(added, "id", tokenizer->vocabulary.count);
  char quoted[QUOTE_ROOM];
  if (length == 0 || id < 0 || utf8_valid((const unsigned char *)content, length) < length)
    return status_error(STATUS_INPUT,
                        "%s: an added token must have `content`, some UTF-8, and `id`, a whole number below %zu, the "
                        "number of tokens",
                        tokenizer->name, tokenizer->vocabulary.count);
  TRY(tokenizer_plain_flags(tokenizer, added, content));
  int32_t there = tokenizer_find(tokenizer, content);
  if (there >= 0 && there != id)
    return status_error(STATUS_INPUT, "%s: the added token '%s' has the ids %d and %d", tokenizer->name,
                        quote_printable(content, length, quoted), there, id);
  if (there < 0)
    TRY(set_token(tokenizer, id, TOKEN_OTHER, content, length));
  tokenizer->vocabulary.tokens[id].special = fields_true(added, "special");
  return prefixes_add(&tokenizer->added[fields_true(added, "normalized")], id);
}

static Status read_added(Tokenizer *tokenizer, const cJSON *added) {
  const cJSON *token;
  cJSON_ArrayForEach(token, added) TRY(read_added_token(tokenizer, token));
  prefixes_sort(&tokenizer->added[0], &tokenizer->vocabulary);
  prefixes_sort(&tokenizer->added[1], &tokenizer->vocabulary);
  Vocabulary *vocabulary = &tokenizer->vocabulary;
  while (vocabulary->count > 0 && vocabulary->tokens[vocabulary->count - 1].type == TOKEN_NONE)
    vocabulary->count--;
  return status_ok();
}

/* TemplateProcessing: nothing, or one special token, before the text, and nothing after it. */
static Status read_template(Tokenizer *tokenizer, const cJSON *processor) {
  const cJSON *single = fields_get(processor, "single");
  int count = cJSON_GetArraySize(single);
  const cJSON *text = fields_get(cJSON_GetArrayItem(single, count - 1), "Sequence");
  const char *first = fields_string(fields_get(cJSON_GetArrayItem(single, 0), "SpecialToken"), "id");
  if (!cJSON_IsArray(single) || count < 1 || count > 2 || !fields_is(text, "id", "A") || (count == 2 && first == NULL))
    return status_error(STATUS_INPUT,
                        "%s: the TemplateProcessing's `single` must be the text A, with at most one special token "
                        "before it",
                        tokenizer->name);
  if (count == 1)
    return status_ok();
  const cJSON *ids = fields_get(fields_get(fields_get(processor, "special_tokens"), first), "ids");
  tokenizer->bos = tokenizer_find(tokenizer, first);
  tokenizer->adds_bos = true;
  if (tokenizer->bos < 0 || cJSON_GetArraySize(ids) != 1 ||
      fields_whole(cJSON_GetArrayItem(ids, 0), tokenizer->vocabulary.count) != tokenizer->bos)
    return status_error(STATUS_INPUT, "%s: the TemplateProcessing's special token must have one id, its own",
                        tokenizer->name);
  return status_ok();
}

static Status read_processor(Tokenizer *tokenizer, const cJSON *processor, bool inside) {
  const cJSON *part;
  if (processor == NULL || fields_is(processor, "type", "ByteLevel")) /* changes only the tokens' places in the text */
    return status_ok();
  if (fields_is(processor, "type", "TemplateProcessing") && !tokenizer->adds_bos)
    return read_template(tokenizer, processor);
  if (!fields_is(processor, "type", "Sequence") || inside)
    return status_error(STATUS_INPUT,
                        "%s: the post-processor must be TemplateProcessing, ByteLevel, or a Sequence of one of each",
                        tokenizer->name);
  cJSON_ArrayForEach(part, fields_get(processor, "processors")) TRY(read_processor(tokenizer, part, true));
  return status_ok();
}

static Status encode_stretch(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t length,
                             bool at_start, Tokens *tokens);

static Status read_file(Tokenizer *tokenizer, const cJSON *file, const cJSON *config, const TokenizerOptions *options) {
  const cJSON *model = fields_get(file, "model"), *added = fields_get(file, "added_tokens");
  TRY(check_kind(tokenizer, file));
  TRY(read_pretokenizer(tokenizer, fields_get(file, "pre_tokenizer")));
  TRY(read_vocabulary(tokenizer, fields_get(model, "vocab"), (size_t)cJSON_GetArraySize(added)));
  TRY(read_merges(tokenizer, fields_get(model, "merges")));
  TRY(read_added(tokenizer, added));
  TRY(read_processor(tokenizer, fields_get(file, "post_processor"), false));
  tokenizer->bpe->ignore_merges = options->ignore_merges == SWITCH_AS_FILE ? fields_true(model, "ignore_merges")
                                                                           : options->ignore_merges == SWITCH_ON;
  if (tokenizer->bos < 0)
    TRY(tokenizer_config_token(tokenizer, config, "bos_token", -1, &tokenizer->bos));
  TRY(tokenizer_config_token(tokenizer, config, "eos_token", -1, &tokenizer->eos));
  return tokenizer_config_token(tokenizer, config, "unk_token", -1, &tokenizer->unknown);
}

Status bpe_parse(Tokenizer *tokenizer, const char *name, const unsigned char *bytes, size_t size, const cJSON *config,
                 const TokenizerOptions *options) {
  cJSON *file;
  tokenizer->bpe = calloc(1, sizeof *tokenizer->bpe);
  tokenizer->encode_stretch = encode_stretch;
  if (tokenizer->bpe == NULL)
    return no_memory(tokenizer);
  TRY(fields_parse(name, bytes, size, 1, &file));
  Status status = read_file(tokenizer, file, config, options);
  cJSON_Delete(file);
  return status;
}

/* ---- Text to ids ---- */

typedef struct Match { /* of one call of encode */
  pcre2_match_context *context;
  pcre2_match_data *data;
} Match;

void bpe_match_free(void *memory) {
  Match *match = memory;
  if (match == NULL)
    return;
  pcre2_match_data_free(match->data);
  pcre2_match_context_free(match->context);
  free(match);
}

static Match *match_of(const BpeModel *bpe, Scratch *scratch) {
  if (scratch->match == NULL) {
    Match *match = scratch->match = calloc(1, sizeof *match);
    if (match == NULL)
      return NULL;
    match->context = pcre2_match_context_create(NULL);
    match->data = pcre2_match_data_create_from_pattern(bpe->expression, NULL);
  }
  Match *match = scratch->match;
  return match->context != NULL && match->data != NULL ? match : NULL;
}

/* Where the expression matches next at or after `at`; none: at the end. The steps are limited by the text's length:
 * Llama-3's expression goes back over a run of blanks once, and a hostile one stops. */
static Status next_match(const BpeModel *bpe, Scratch *scratch, const char *text, size_t length, size_t at,
                         size_t *start, size_t *end) {
  Match *match = match_of(bpe, scratch);
  size_t steps = 1000 + 16 * length;
  PCRE2_UCHAR message[128];
  if (match == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to encode a text of %zu bytes", length);
  pcre2_set_match_limit(match->context, steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX);
  PCRE2_SPTR subject = (PCRE2_SPTR)text;
  int found = pcre2_match(bpe->expression, subject, length, at, PCRE2_NO_UTF_CHECK, match->data, match->context);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT)
    found = pcre2_match(bpe->expression, subject, length, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match->data,
                        match->context);
  *start = *end = length;
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
    pcre2_get_error_message(found, message, sizeof message);
    return status_error(STATUS_INPUT, "the tokenizer's expression fails on a text of %zu bytes, at byte %zu: %s",
                        length, at, (const char *)message);
  }
  if (found >= 0) {
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(match->data);
    *start = places[0];
    *end = places[1];
  }
  return status_ok();
}

static inline bool rule(const Tokenizer *tokenizer, const char *text, const Symbol *left, const Symbol *right,
                        uint32_t *order, int32_t *id) {
  const Pair *pair = pair_slot(tokenizer->bpe, pair_key(left->id, right->id));
  (void)text;
  *order = pair->order;
  *id = pair->id;
  return pair->id >= 0;
}

static Status encode_piece(const Tokenizer *tokenizer, Scratch *scratch, const char *piece, size_t length,
                           Tokens *tokens) {
  int32_t whole = tokenizer->bpe->ignore_merges ? vocabulary_find(&tokenizer->vocabulary, piece, length, true) : -1;
  if (whole >= 0)
    return tokens_append(tokens, whole);
  TRY(scratch_symbols(scratch, length));
  for (size_t i = 0; i < length; i++)
    scratch->symbols[i] =
        (Symbol){.start = (uint32_t)i, .length = 1, .id = tokenizer->bpe->byte_ids[(unsigned char)piece[i]]};
  merge_symbols(tokenizer, scratch, piece, length, rule);
  for (uint32_t i = 0; i != NO_SYMBOL; i = scratch->symbols[i].next)
    TRY(tokens_append(tokens, scratch->symbols[i].id));
  return status_ok();
}

/* The bytes of the character at a place of a valid text. */
static size_t character(const char *text, size_t length, size_t at) {
  size_t step = 1;
  while (at + step < length && ((unsigned char)text[at + step] & 0xC0) == 0x80)
    step++;
  return step;
}

/* Matches are pieces, and so is what lies between them. */
static Status encode_stretch(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t length,
                             bool at_start, Tokens *tokens) {
  size_t done = 0, start = 0, end = 0;
  (void)at_start;
  for (size_t at = 0; done < length;) {
    TRY(next_match(tokenizer->bpe, scratch, text, length, at, &start, &end));
    if (start < done || end < start) /* \K or a look-ahead can move the ends of a match anywhere */
      return status_error(STATUS_INPUT, "the tokenizer's expression matches backwards at byte %zu", done);
    if (start > done)
      TRY(encode_piece(tokenizer, scratch, text + done, start - done, tokens));
    if (end > start)
      TRY(encode_piece(tokenizer, scratch, text + start, end - start, tokens));
    at = end > start || end == length ? end : end + character(text, length, end); /* past an empty match */
    done = end;
  }
  return status_ok();
}
