/* tokenizer.h: text to token ids and back, as the language model's own tokenizer does it.
 *
 * Two kinds of files, one interface: tokenizer.json of Llama-3 (byte-level BPE; bpe.c) and tokenizer.model of Llama-2
 * and Vicuna (SentencePiece BPE with byte fallback; sentencepiece.c). A tokenizer does not change once it is open, so
 * threads share it. The ids are exactly those of the public libraries: tokenizers for the first kind, transformers'
 * slow LlamaTokenizer over sentencepiece for the second (tests/fixtures/tokenizer/make.py). */
#ifndef SEESAW_TOKENIZER_H
#define SEESAW_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* A list of ids that grows; start from {0}. */
typedef struct Tokens {
  int32_t *ids;
  size_t count, room;
} Tokens;

/* A string that grows; start from {0}. `bytes` ends in a zero byte that `length` does not count, NULL while empty. */
typedef struct Text {
  char *bytes;
  size_t length, room;
} Text;

/* Append. Errors: STATUS_MEMORY; what was there stays. */
Status tokens_append(Tokens *tokens, int32_t id);
Status text_append(Text *text, const char *bytes, size_t length);
Status text_append_string(Text *text, const char *string);
void tokens_free(Tokens *tokens);
void text_free(Text *text);

typedef struct Tokenizer Tokenizer;

/* A switch whose setting is normally the file's. */
typedef enum { SWITCH_AS_FILE, SWITCH_ON, SWITCH_OFF } Switch;

typedef struct TokenizerOptions {
  Switch
      ignore_merges; /* tokenizer.json: a piece of text that is a token is that token, whatever its merges give. Llama-3
                        files have it since May 2024; tokenizers 0.15 and older do not know it, and ignore it */
  Switch legacy;     /* tokenizer.model: a blank is put before every stretch of text after a special token, as
                        LlamaTokenizer did before July 2023; off: only at the start of the text. The file is
                        tokenizer_config.json; where it says nothing, on */
} TokenizerOptions;

/* tokenizer_open: PATH is tokenizer.json, tokenizer.model or a folder with one of them (of both, tokenizer.model);
 * tokenizer_config.json beside it is read too if it is there. `options` may be NULL: all as the files say.
 * Errors: STATUS_INPUT naming the file and what in it is wrong or not supported; STATUS_MEMORY. *tokenizer is then
 * NULL. The caller closes. */
Status tokenizer_open(Tokenizer **tokenizer, const char *path, const TokenizerOptions *options);
void tokenizer_close(Tokenizer *tokenizer);

enum {
  ENCODE_BOS = 1,      /* put the token of the start first, if the tokenizer's files say that texts start with it */
  ENCODE_SPECIALS = 2, /* special tokens written in the text, such as <|eot_id|>, become those tokens */
  ENCODE_USUAL = ENCODE_BOS | ENCODE_SPECIALS
};

/* tokenizer_encode: append the ids of the text, `length` bytes of UTF-8, which may contain zero bytes.
 * Time O(n log n) in the longest piece that the text is split into.
 * Errors: STATUS_INPUT: the text is not UTF-8 (with the byte), is longer than 2^30 bytes, or the tokenizer's expression
 * takes too many steps on it; STATUS_MEMORY. On an error `tokens` is as it was. */
Status tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t length, unsigned flags, Tokens *tokens);

/* tokenizer_decode: append the text of the ids. `specials`: special tokens appear as written, else not at all. Bytes
 * that are not UTF-8 become U+FFFD, as many as the library of that kind makes of them.
 * Departure: an added token of letters such as é comes out as written; tokenizers takes each for the byte it spells.
 * Errors: STATUS_INPUT: an id that the vocabulary does not have, naming it and its place; STATUS_MEMORY. */
Status tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t count, bool specials, Text *text);

/* The same token by token, for text that appears as it is generated: a character's bytes are held back until it is
 * whole. All that is appended between start and end is what tokenizer_decode gives at once. */
typedef struct TokenStream {
  const Tokenizer *tokenizer;
  bool specials, begun, blank_dropped; /* begun: some text has come out */
  unsigned char held[4];
  size_t held_count;
} TokenStream;

TokenStream token_stream_start(const Tokenizer *tokenizer, bool specials);
Status token_stream_next(TokenStream *stream, int32_t id, Text *text);
Status token_stream_end(TokenStream *stream, Text *text);

/* tokenizer_find: the id of a token as its file spells it (blanks as in the file: "Ġthe", "▁the"), -1 if there is none.
 */
int32_t tokenizer_find(const Tokenizer *tokenizer, const char *token);

/* Ids of the tokens with a name, -1 where there is none. End, unknown and padding are those of tokenizer_config.json or
 * tokenizer.model. Padding, where the files name none: the unknown token, else <|end_of_text|>, as in training. */
int32_t tokenizer_bos(const Tokenizer *tokenizer);
int32_t tokenizer_eos(const Tokenizer *tokenizer);
int32_t tokenizer_unknown(const Tokenizer *tokenizer);
int32_t tokenizer_pad(const Tokenizer *tokenizer);

/* tokenizer_size: ids are 0 ... size - 1. tokenizer_special: the id is a token of control, no text. tokenizer_legacy:
 * the switch of that name; false for tokenizer.json. */
size_t tokenizer_size(const Tokenizer *tokenizer);
bool tokenizer_special(const Tokenizer *tokenizer, int32_t id);
bool tokenizer_legacy(const Tokenizer *tokenizer);

#endif
