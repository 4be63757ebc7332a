/* tokenizer_write.h: a tokenizer.json of our own: bytes, whole words, and the special tokens of Llama-3.
 *
 * Byte-level BPE in the layout of Llama-3's file, so it opens in any library that opens that. Tokens 0 to 255 are the
 * bytes; then come the words with all their beginnings (a word is merged letter by letter from its start), then the
 * special tokens. */
#ifndef SEESAW_TOKENIZER_WRITE_H
#define SEESAW_TOKENIZER_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

typedef struct TokenizerWords {
  /* Words of letters that become one token each, NULL at the end of a list; either list may be NULL. A word's order
   * decides which pair of letters is merged first, so a word must come before those whose pairs it holds elsewhere than
   * at its start: tokenizer_write checks. */
  const char *const *inside; /* as they stand after a blank, which is part of the token */
  const char *const *first;  /* as they stand at the start of a text, or after a line break */
  /* The two headers of Llama-3's prompts, "<|start_header_id|>user<|end_header_id|>" with its line breaks and the
   * assistant's, become one token each: short prompts for small models. */
  bool short_headers;
} TokenizerWords;

/* tokenizer_write: tokenizer.json and tokenizer_config.json in FOLDER. words NULL: bytes alone. *size: how many tokens
 * there are (may be NULL). Errors: STATUS_OUTPUT, STATUS_MEMORY, STATUS_INPUT naming a word that does not come out as
 * one token. */
Status tokenizer_write(const char *folder, const TokenizerWords *words, size_t *size);

#endif
