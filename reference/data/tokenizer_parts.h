/* tokenizer_parts.h: what the two kinds of tokenizers are made of. Not for use outside tokenizer.c, vocabulary.c,
 * bpe.c, sentencepiece.c and their tests. */
#ifndef SEESAW_TOKENIZER_PARTS_H
#define SEESAW_TOKENIZER_PARTS_H

#include <cJSON.h>

#include "tokenizer.h"

/* ---- The vocabulary: the tokens' bytes by id, and ids by bytes ---- */

typedef enum {
  TOKEN_NONE,  /* the id is not used */
  TOKEN_TEXT,  /* found by its bytes */
  TOKEN_USER,  /* tokenizer.model: a piece of text that is always kept whole */
  TOKEN_BYTE,  /* tokenizer.model: one byte of a character that has no token */
  TOKEN_OTHER, /* no text leads to it, unless it is written out as an added token */
} TokenType;

typedef struct Token {
  uint32_t offset, length; /* of its bytes, in Vocabulary.bytes */
  TokenType type;
  bool special;   /* a token of control */
  uint32_t value; /* tokenizer.model: pieces of text merge by ascending value; of a byte, the byte */
} Token;

typedef struct Vocabulary {
  Text bytes;
  Token *tokens;
  size_t count;          /* ids are below */
  uint32_t *slots, mask; /* a hash table with open addressing: id + 1, 0 where empty */
} Vocabulary;

/* vocabulary_alloc: room for ids below `count`, all TOKEN_NONE. Errors: STATUS_MEMORY. */
Status vocabulary_alloc(Vocabulary *vocabulary, size_t count);

/* vocabulary_set: the id, which must be free, becomes a token. *taken: the id, or one with the same bytes and the same
 * role in look-ups, was there before; nothing has then changed. Errors: STATUS_MEMORY. */
Status vocabulary_set(Vocabulary *vocabulary, int32_t id, TokenType type, const char *bytes, size_t length,
                      bool *taken);

/* vocabulary_find: the id of these bytes, -1 if there is none. `text` looks among TOKEN_TEXT and TOKEN_USER, else
 * among all others. */
int32_t vocabulary_find(const Vocabulary *vocabulary, const char *bytes, size_t length, bool text);

static inline const char *vocabulary_bytes(const Vocabulary *vocabulary, int32_t id) {
  return vocabulary->bytes.bytes + vocabulary->tokens[id].offset;
}

void vocabulary_free(Vocabulary *vocabulary);

/* ---- Tokens that are looked for in the text, the longest first ---- */

typedef struct Prefixes {
  Tokens sorted;     /* by the tokens' bytes */
  size_t first[257]; /* those that begin with byte b are first[b] ... first[b + 1] - 1 */
} Prefixes;

Status prefixes_add(Prefixes *prefixes, int32_t id);

/* prefixes_sort: after the last was added. */
void prefixes_sort(Prefixes *prefixes, const Vocabulary *vocabulary);

/* prefixes_longest: the id of the longest token that `length` bytes of text begin with, -1 if there is none.
 * O(the token's length times log of their number). */
int32_t prefixes_longest(const Prefixes *prefixes, const Vocabulary *vocabulary, const char *text, size_t length);

void prefixes_free(Prefixes *prefixes);

/* ---- The tokenizer ---- */

typedef struct Scratch Scratch;

/* Encode a stretch of text without added tokens; `at_start`: it begins the text. */
typedef Status (*EncodeStretch)(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t length,
                                bool at_start, Tokens *tokens);

typedef struct BpeModel BpeModel;

struct Tokenizer {
  const char *name; /* of the file, while it is read */
  Vocabulary vocabulary;
  Prefixes added[2]; /* [1] is looked for in what [0] leaves: tokens marked normalized */
  int32_t bos, eos, unknown, pad;
  bool adds_bos, adds_eos;
  EncodeStretch encode_stretch;
  BpeModel *bpe;         /* tokenizer.json */
  Prefixes user;         /* from here on tokenizer.model */
  int32_t byte_ids[256]; /* -1: no byte fallback */
  bool escapes_blanks, legacy;
  bool blanks_begin; /* no piece has a blank after something else, so nothing merges across there */
  bool prefix_everywhere, prefix_at_start; /* a blank before every stretch, or before the text alone */
};

/* Read a file's bytes into a zeroed tokenizer. `config` is tokenizer_config.json, or NULL. */
Status bpe_parse(Tokenizer *tokenizer, const char *name, const unsigned char *bytes, size_t size, const cJSON *config,
                 const TokenizerOptions *options);
Status sentencepiece_parse(Tokenizer *tokenizer, const char *name, const unsigned char *bytes, size_t size,
                           const cJSON *config, const TokenizerOptions *options);
void bpe_free(BpeModel *bpe);
void bpe_match_free(void *match);

/* bpe_unspell: a token of tokenizer.json, where each byte is spelled as a character of its own, into its bytes, in
 * place; false, with `token` unchanged, if it has another character. The length never grows. */
bool bpe_unspell(char *token, size_t *length);

/* tokenizer_parse: as tokenizer_open, from memory: `json` tells which kind. For tests. */
Status tokenizer_parse(Tokenizer **tokenizer, const char *name, const unsigned char *bytes, size_t size, bool json,
                       const cJSON *config, const TokenizerOptions *options);

/* tokenizer_config_token: the id of the token that `key` of tokenizer_config.json names, as a string or as an object
 * with `content`; `otherwise` if it names none. Errors: STATUS_INPUT: a token that is not there. */
Status tokenizer_config_token(const Tokenizer *tokenizer, const cJSON *config, const char *key, int32_t otherwise,
                              int32_t *id);

/* tokenizer_plain_flags: an error unless single_word, lstrip and rstrip of an added token are false or absent. */
Status tokenizer_plain_flags(const Tokenizer *tokenizer, const cJSON *token, const char *content);

/* ---- Memory of one call of encode ---- */

typedef struct Symbol {
  uint32_t start, length;  /* in the text; length 0: merged into an earlier one */
  int32_t id;              /* -1: not looked up */
  uint32_t previous, next; /* NO_SYMBOL at the ends */
} Symbol;
#define NO_SYMBOL UINT32_MAX

typedef struct Candidate { /* two neighbours that may merge */
  uint64_t key;            /* order, then place: the smallest merges first */
  uint32_t length;         /* of both together: another length means that one of them has merged since */
  int32_t id;              /* of the token they become */
} Candidate;

struct Scratch {
  Symbol *symbols;
  size_t symbol_room;
  Candidate *heap;
  size_t heap_count, heap_room;
  Text text;   /* tokenizer.model: with blanks escaped */
  void *match; /* tokenizer.json: of PCRE2 */
};

/* scratch_symbols: room for `count` symbols and all candidates that merging them can make. Errors: STATUS_MEMORY. */
Status scratch_symbols(Scratch *scratch, size_t count);

#endif
