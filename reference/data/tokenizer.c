/* tokenizer.c: what both kinds of tokenizers share: files, added tokens, decoding, and growing lists. */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fields.h"
#include "files.h"
#include "number.h"
#include "tokenizer_parts.h"
#include "utf8.h"

static const size_t LARGEST_FILE = (size_t)1 << 27; /* Llama-3's tokenizer.json has 9 MB */
static const size_t LONGEST_TEXT = (size_t)1 << 30; /* places in a text fit 32 bits */

/* ---- Lists that grow ---- */

/* Room for `wanted` items in all; at least twice what there was, so that appending costs constant time. */
static void *grown(void *items, size_t *room, size_t wanted, size_t size) {
  size_t more = *room > SIZE_MAX / 4 / size ? wanted : 2 * *room;
  more = more < wanted ? wanted : more;
  void *moved = more > SIZE_MAX / size ? NULL : realloc(items, more * size);
  if (moved != NULL)
    *room = more;
  return moved;
}

Status tokens_append(Tokens *tokens, int32_t id) {
  if (tokens->count == tokens->room) {
    int32_t *ids = grown(tokens->ids, &tokens->room, tokens->count + 16, sizeof *ids);
    if (ids == NULL)
      return status_error(STATUS_MEMORY, "not enough memory for more than %zu token ids", tokens->count);
    tokens->ids = ids;
  }
  tokens->ids[tokens->count++] = id;
  return status_ok();
}

Status text_append(Text *text, const char *bytes, size_t length) {
  if (length >= SIZE_MAX / 2 - text->length)
    return status_error(STATUS_MEMORY, "not enough memory for a text of %zu and %zu bytes", text->length, length);
  if (text->length + length + 1 > text->room) {
    char *moved = grown(text->bytes, &text->room, text->length + length + 64, 1);
    if (moved == NULL)
      return status_error(STATUS_MEMORY, "not enough memory for a text of %zu bytes", text->length + length);
    text->bytes = moved;
  }
  if (length > 0)
    memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
  text->bytes[text->length] = '\0';
  return status_ok();
}

Status text_append_string(Text *text, const char *string) {
  return text_append(text, string, strlen(string));
}

void tokens_free(Tokens *tokens) {
  free(tokens->ids);
  *tokens = (Tokens){0};
}

void text_free(Text *text) {
  free(text->bytes);
  *text = (Text){0};
}

Status scratch_symbols(Scratch *scratch, size_t count) {
  size_t candidates = 3 * count; /* one for each neighbour at first, two for each merge */
  if (count > scratch->symbol_room) {
    Symbol *symbols = grown(scratch->symbols, &scratch->symbol_room, count, sizeof *symbols);
    if (symbols == NULL)
      return status_error(STATUS_MEMORY, "not enough memory to encode a text of %zu bytes", count);
    scratch->symbols = symbols;
  }
  if (candidates > scratch->heap_room) {
    Candidate *heap = grown(scratch->heap, &scratch->heap_room, candidates, sizeof *heap);
    if (heap == NULL)
      return status_error(STATUS_MEMORY, "not enough memory to encode a text of %zu bytes", count);
    scratch->heap = heap;
  }
  return status_ok();
}

/* ---- Files ---- */

static const char *token_name(const cJSON *token) {
  return cJSON_IsObject(token) ? fields_string(token, "content") : cJSON_GetStringValue(token);
}

Status tokenizer_config_token(const Tokenizer *tokenizer, const cJSON *config, const char *key, int32_t otherwise,
                              int32_t *id) {
  const cJSON *token = fields_get(config, key);
  char quoted[QUOTE_ROOM];
  *id = otherwise;
  if (token == NULL)
    return status_ok();
  const char *name = token_name(token);
  if (name == NULL)
    return status_error(STATUS_INPUT,
                        "tokenizer_config.json beside %s: %s must be a token's text, or an object with it",
                        tokenizer->name, key);
  *id = tokenizer_find(tokenizer, name);
  if (*id < 0)
    return status_error(STATUS_INPUT, "tokenizer_config.json beside %s: %s is '%s', which is not in the vocabulary",
                        tokenizer->name, key, quote_printable(name, strlen(name), quoted));
  return status_ok();
}

Status tokenizer_plain_flags(const Tokenizer *tokenizer, const cJSON *token, const char *content) {
  static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
  char quoted[QUOTE_ROOM];
  for (int i = 0; i < 3; i++)
    if (fields_true(token, flags[i]))
      return status_error(STATUS_INPUT, "%s: the added token '%s' has %s, which is not supported", tokenizer->name,
                          quote_printable(content, strlen(content), quoted), flags[i]);
  return status_ok();
}

static Status choose_padding(Tokenizer *tokenizer, const cJSON *config) {
  int32_t unknown = tokenizer->unknown;
  return tokenizer_config_token(tokenizer, config, "pad_token",
                                unknown >= 0 ? unknown : tokenizer_find(tokenizer, "<|end_of_text|>"), &tokenizer->pad);
}

Status tokenizer_parse(Tokenizer **made, const char *name, const unsigned char *bytes, size_t size, bool json,
                       const cJSON *config, const TokenizerOptions *options) {
  static const TokenizerOptions as_files_say = {0};
  *made = NULL;
  Tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
  if (tokenizer == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to open %s", name);
  tokenizer->name = name;
  tokenizer->bos = tokenizer->eos = tokenizer->unknown = tokenizer->pad = -1;
  Status status = (json ? bpe_parse : sentencepiece_parse)(tokenizer, name, bytes, size, config,
                                                           options != NULL ? options : &as_files_say);
  if (status.code == STATUS_OK)
    status = choose_padding(tokenizer, config);
  tokenizer->name = NULL;
  if (status.code != STATUS_OK)
    tokenizer_close(tokenizer);
  else
    *made = tokenizer;
  return status;
}

/* tokenizer_config.json beside the file; *config stays NULL if there is none. */
static Status read_config(const char *path, cJSON **config) {
  const char *slash = strrchr(path, '/');
  struct stat there;
  unsigned char *bytes;
  size_t size;
  char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash + 1 - path));
  char *beside = folder == NULL ? NULL : path_join(folder, "tokenizer_config.json");
  Status status = status_ok();
  *config = NULL;
  if (beside == NULL)
    status = status_error(STATUS_MEMORY, "not enough memory to open %s", path);
  else if (stat(beside, &there) == 0) {
    status = file_read(beside, LARGEST_FILE, &bytes, &size);
    if (status.code == STATUS_OK) {
      status = fields_parse(beside, bytes, size, 1, config);
      free(bytes);
    }
  }
  free(beside);
  free(folder);
  return status;
}

static Status open_file(Tokenizer **tokenizer, const char *path, const TokenizerOptions *options) {
  size_t length = strlen(path), size;
  bool json = length >= 5 && strcmp(path + length - 5, ".json") == 0;
  unsigned char *bytes;
  cJSON *config;
  TRY(file_read(path, LARGEST_FILE, &bytes, &size));
  Status status = read_config(path, &config);
  if (status.code == STATUS_OK)
    status = tokenizer_parse(tokenizer, path, bytes, size, json, config, options);
  cJSON_Delete(config);
  free(bytes);
  return status;
}

Status tokenizer_open(Tokenizer **tokenizer, const char *path, const TokenizerOptions *options) {
  static const char *const names[] = {"tokenizer.model", "tokenizer.json"};
  struct stat there;
  *tokenizer = NULL;
  if (stat(path, &there) != 0 || !S_ISDIR(there.st_mode))
    return open_file(tokenizer, path, options);
  for (int i = 0; i < 2; i++) {
    char *file = path_join(path, names[i]);
    if (file == NULL)
      return status_error(STATUS_MEMORY, "not enough memory to open %s", path);
    bool found = stat(file, &there) == 0;
    Status status = found ? open_file(tokenizer, file, options) : status_ok();
    free(file);
    if (found)
      return status;
  }
  return status_error(STATUS_INPUT, "the folder %s has no tokenizer.model and no tokenizer.json", path);
}

void tokenizer_close(Tokenizer *tokenizer) {
  if (tokenizer == NULL)
    return;
  vocabulary_free(&tokenizer->vocabulary);
  prefixes_free(&tokenizer->added[0]);
  prefixes_free(&tokenizer->added[1]);
  prefixes_free(&tokenizer->user);
  bpe_free(tokenizer->bpe);
  free(tokenizer);
}

/* ---- Text to ids ---- */

typedef struct Encoding {
  const Tokenizer *tokenizer;
  Scratch scratch;
  const char *text; /* the whole */
  bool specials;
  Tokens *tokens;
} Encoding;

/* Encode text[0 ... length) of the whole: added tokens of this level are taken out, what lies between goes to the next
 * level, and from the last one to the model. */
static Status encode_level(Encoding *encoding, int level, const char *text, size_t length) {
  const Tokenizer *tokenizer = encoding->tokenizer;
  const Prefixes *added = &tokenizer->added[level];
  size_t from = 0, at = 0;
  if (level == 2)
    return tokenizer->encode_stretch(tokenizer, &encoding->scratch, text, length, text == encoding->text,
                                     encoding->tokens);
  while (at < length) {
    int32_t id = prefixes_longest(added, &tokenizer->vocabulary, text + at, length - at);
    size_t found = id < 0 ? 0 : tokenizer->vocabulary.tokens[id].length;
    if (id >= 0 && (encoding->specials || !tokenizer->vocabulary.tokens[id].special)) {
      if (at > from || (at == 0 && text == encoding->text && tokenizer->prefix_at_start &&
                        !tokenizer->vocabulary.tokens[id].special))
        TRY(encode_level(encoding, level + 1, text + from, at - from));
      TRY(tokens_append(encoding->tokens, id));
      from = at + found;
    }
    at += found > 0 ? found : 1;
  }
  return from < length || length == 0 ? encode_level(encoding, level + 1, text + from, length - from) : status_ok();
}

static Status encode(Encoding *encoding, size_t length, unsigned flags) {
  const Tokenizer *tokenizer = encoding->tokenizer;
  size_t valid = utf8_valid((const unsigned char *)encoding->text, length);
  if (length > LONGEST_TEXT)
    return status_error(STATUS_INPUT, "a text of %zu bytes cannot be encoded: the longest has %zu", length,
                        LONGEST_TEXT);
  if (valid < length)
    return status_error(STATUS_INPUT, "the text is not UTF-8 at byte %zu of %zu", valid, length);
  if (flags & ENCODE_BOS && tokenizer->adds_bos)
    TRY(tokens_append(encoding->tokens, tokenizer->bos));
  if (length > 0)
    TRY(encode_level(encoding, 0, encoding->text, length));
  if (flags & ENCODE_BOS && tokenizer->adds_eos)
    TRY(tokens_append(encoding->tokens, tokenizer->eos));
  return status_ok();
}

Status tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t length, unsigned flags, Tokens *tokens) {
  Encoding encoding = {
      .tokenizer = tokenizer, .text = text, .specials = (flags & ENCODE_SPECIALS) != 0, .tokens = tokens};
  size_t before = tokens->count;
  Status status = encode(&encoding, length, flags);
  if (status.code != STATUS_OK)
    tokens->count = before;
  free(encoding.scratch.symbols);
  free(encoding.scratch.heap);
  text_free(&encoding.scratch.text);
  bpe_match_free(encoding.scratch.match);
  return status;
}

/* ---- Ids to text ---- */

TokenStream token_stream_start(const Tokenizer *tokenizer, bool specials) {
  return (TokenStream){.tokenizer = tokenizer, .specials = specials};
}

/* Bytes that cannot become a character: Rust's strings, and so tokenizers, have one U+FFFD for a beginning of one,
 * sentencepiece one for each byte. */
static Status replace(const TokenStream *stream, size_t count, Text *text) {
  if (stream->tokenizer->bpe != NULL)
    count = 1;
  for (; count > 0; count--)
    TRY(text_append_string(text, "\xEF\xBF\xBD"));
  return status_ok();
}

/* Put out what is held as far as it is decided; `last`: nothing more comes. */
static Status settle(TokenStream *stream, bool last, Text *text) {
  while (stream->held_count > 0) {
    size_t prefix, length = utf8_length(stream->held, stream->held_count, &prefix);
    if (length > 0)
      TRY(text_append(text, (const char *)stream->held, length));
    else if (prefix == stream->held_count && !last)
      break;
    else
      TRY(replace(stream, prefix, text));
    stream->held_count -= prefix;
    memmove(stream->held, stream->held + prefix, stream->held_count);
  }
  return status_ok();
}

static Status put_bytes(TokenStream *stream, const char *bytes, size_t length, Text *text) {
  for (size_t i = 0; i < length; i++) {
    stream->held[stream->held_count++] = (unsigned char)bytes[i]; /* room: 4 bytes are always decided */
    TRY(settle(stream, false, text));
  }
  stream->begun = stream->begun || length > 0;
  return status_ok();
}

/* A piece of tokenizer.model: blanks are written as U+2581; the one that encoding put before the text goes. */
static Status put_piece(TokenStream *stream, const char *bytes, size_t length, Text *text) {
  static const char blank[] = "\xE2\x96\x81";
  const Tokenizer *tokenizer = stream->tokenizer;
  bool drop = !stream->begun && !stream->blank_dropped && (tokenizer->prefix_everywhere || tokenizer->prefix_at_start);
  while (length > 0) {
    bool is_blank = length >= 3 && memcmp(bytes, blank, 3) == 0;
    if (is_blank && drop)
      stream->blank_dropped = true;
    else
      TRY(put_bytes(stream, is_blank ? " " : bytes, 1, text));
    bytes += is_blank ? 3 : 1;
    length -= is_blank ? 3 : 1;
    drop = false;
  }
  return status_ok();
}

Status token_stream_next(TokenStream *stream, int32_t id, Text *text) {
  const Vocabulary *vocabulary = &stream->tokenizer->vocabulary;
  if (id < 0 || (size_t)id >= vocabulary->count || vocabulary->tokens[id].type == TOKEN_NONE)
    return status_error(STATUS_INPUT, "%d is not the id of a token: the vocabulary has %zu", id, vocabulary->count);
  const Token *token = &vocabulary->tokens[id];
  char byte = (char)token->value;
  if (token->special && !stream->specials)
    return status_ok();
  if (token->type == TOKEN_BYTE)
    return put_bytes(stream, &byte, 1, text);
  if (stream->tokenizer->bpe != NULL || token->type == TOKEN_OTHER)
    return put_bytes(stream, vocabulary_bytes(vocabulary, id), token->length, text);
  return put_piece(stream, vocabulary_bytes(vocabulary, id), token->length, text);
}

Status token_stream_end(TokenStream *stream, Text *text) {
  return settle(stream, true, text);
}

Status tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t count, bool specials, Text *text) {
  TokenStream stream = token_stream_start(tokenizer, specials);
  TRY(text_append(text, "", 0)); /* so that no tokens are an empty string */
  for (size_t i = 0; i < count; i++) {
    Status status = token_stream_next(&stream, ids[i], text);
    if (status.code == STATUS_INPUT)
      return status_error(STATUS_INPUT, "id number %zu: %s", i, status.message);
    TRY(status);
  }
  return token_stream_end(&stream, text);
}

/* ---- What there is ---- */

int32_t tokenizer_bos(const Tokenizer *tokenizer) {
  return tokenizer->bos;
}

int32_t tokenizer_eos(const Tokenizer *tokenizer) {
  return tokenizer->eos;
}

int32_t tokenizer_unknown(const Tokenizer *tokenizer) {
  return tokenizer->unknown;
}

int32_t tokenizer_pad(const Tokenizer *tokenizer) {
  return tokenizer->pad;
}

int32_t tokenizer_find(const Tokenizer *tokenizer, const char *token) {
  size_t length = strlen(token);
  int32_t id = vocabulary_find(&tokenizer->vocabulary, token, length, false);
  if (id >= 0 || tokenizer->bpe == NULL)
    return id >= 0 ? id : vocabulary_find(&tokenizer->vocabulary, token, length, true);
  char *bytes = strdup(token);
  if (bytes != NULL && bpe_unspell(bytes, &length))
    id = vocabulary_find(&tokenizer->vocabulary, bytes, length, true);
  free(bytes);
  return id;
}

size_t tokenizer_size(const Tokenizer *tokenizer) {
  return tokenizer->vocabulary.count;
}

bool tokenizer_special(const Tokenizer *tokenizer, int32_t id) {
  return id >= 0 && (size_t)id < tokenizer->vocabulary.count && tokenizer->vocabulary.tokens[id].special;
}

bool tokenizer_legacy(const Tokenizer *tokenizer) {
  return tokenizer->legacy;
}
