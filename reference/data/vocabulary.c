/* vocabulary.c: tokens by id, by their bytes, and by the longest that a text begins with. */
#include <stdlib.h>
#include <string.h>

#include "tokenizer_parts.h"

Status vocabulary_alloc(Vocabulary *vocabulary, size_t count) {
  size_t slots = 16;
  while (slots < 2 * count)
    slots *= 2;
  REQUIRE(count < (size_t)1 << 30, "%zu tokens", count);
  *vocabulary = (Vocabulary){.count = count, .mask = (uint32_t)(slots - 1)};
  vocabulary->tokens = calloc(count > 0 ? count : 1, sizeof *vocabulary->tokens);
  vocabulary->slots = calloc(slots, sizeof *vocabulary->slots);
  if (vocabulary->tokens == NULL || vocabulary->slots == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for a vocabulary of %zu tokens", count);
  return status_ok();
}

void vocabulary_free(Vocabulary *vocabulary) {
  text_free(&vocabulary->bytes);
  free(vocabulary->tokens);
  free(vocabulary->slots);
  *vocabulary = (Vocabulary){0};
}

/* FNV-1a, its high bits folded into the low ones that the table uses. */
static uint32_t hash(const char *bytes, size_t length, bool text) {
  uint64_t h = text ? 0xcbf29ce484222325u : 0x84222325cbf29ce4u;
  for (size_t i = 0; i < length; i++)
    h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return (uint32_t)(h >> 32 ^ h);
}

static bool is_text(TokenType type) {
  return type == TOKEN_TEXT || type == TOKEN_USER;
}

/* The slot that holds these bytes, or the empty one where they belong. */
static uint32_t slot_of(const Vocabulary *vocabulary, const char *bytes, size_t length, bool text) {
  uint32_t slot = hash(bytes, length, text) & vocabulary->mask;
  for (; vocabulary->slots[slot] != 0; slot = (slot + 1) & vocabulary->mask) {
    int32_t id = (int32_t)(vocabulary->slots[slot] - 1);
    const Token *token = &vocabulary->tokens[id];
    if (token->length == length && is_text(token->type) == text &&
        memcmp(vocabulary_bytes(vocabulary, id), bytes, length) == 0)
      break;
  }
  return slot;
}

int32_t vocabulary_find(const Vocabulary *vocabulary, const char *bytes, size_t length, bool text) {
  return (int32_t)vocabulary->slots[slot_of(vocabulary, bytes, length, text)] - 1;
}

Status vocabulary_set(Vocabulary *vocabulary, int32_t id, TokenType type, const char *bytes, size_t length,
                      bool *taken) {
  REQUIRE(id >= 0 && (size_t)id < vocabulary->count && type != TOKEN_NONE, "id %d of %zu", id, vocabulary->count);
  Token *token = &vocabulary->tokens[id];
  uint32_t slot = slot_of(vocabulary, bytes, length, is_text(type));
  *taken = token->type != TOKEN_NONE || vocabulary->slots[slot] != 0;
  if (*taken)
    return status_ok();
  if (length >= UINT32_MAX - vocabulary->bytes.length)
    return status_error(STATUS_MEMORY, "a vocabulary of more than %u bytes", UINT32_MAX);
  *token = (Token){.offset = (uint32_t)vocabulary->bytes.length, .length = (uint32_t)length, .type = type};
  vocabulary->slots[slot] = (uint32_t)id + 1;
  return text_append(&vocabulary->bytes, bytes, length);
}

/* ---- The longest token ---- */

Status prefixes_add(Prefixes *prefixes, int32_t id) {
  return tokens_append(&prefixes->sorted, id);
}

void prefixes_free(Prefixes *prefixes) {
  tokens_free(&prefixes->sorted);
}

static int compare(const void *x, const void *y, void *context) {
  const Vocabulary *vocabulary = context;
  int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
  size_t m = vocabulary->tokens[a].length, n = vocabulary->tokens[b].length;
  int order = memcmp(vocabulary_bytes(vocabulary, a), vocabulary_bytes(vocabulary, b), m < n ? m : n);
  return order != 0 ? order : (m > n) - (m < n);
}

/* Byte number `depth` of the token at a place in the order. */
static unsigned byte_at(const Prefixes *prefixes, const Vocabulary *vocabulary, size_t place, size_t depth) {
  return (unsigned char)vocabulary_bytes(vocabulary, prefixes->sorted.ids[place])[depth];
}

void prefixes_sort(Prefixes *prefixes, const Vocabulary *vocabulary) {
  size_t place = 0;
  if (prefixes->sorted.count > 0)
    qsort_r(prefixes->sorted.ids, prefixes->sorted.count, sizeof *prefixes->sorted.ids, compare, (void *)vocabulary);
  for (unsigned byte = 0; byte <= 256; byte++) {
    while (place < prefixes->sorted.count && byte_at(prefixes, vocabulary, place, 0) < byte)
      place++;
    prefixes->first[byte] = place;
  }
}

/* Of the places [low, high), sorted and equal up to `depth`, the first whose byte there is not below `byte`. */
static size_t lower_bound(const Prefixes *prefixes, const Vocabulary *vocabulary, size_t low, size_t high, size_t depth,
                          unsigned byte) {
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (byte_at(prefixes, vocabulary, middle, depth) < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int32_t prefixes_longest(const Prefixes *prefixes, const Vocabulary *vocabulary, const char *text, size_t length) {
  int32_t longest = -1;
  if (length == 0 || prefixes->sorted.count == 0)
    return -1;
  unsigned byte = (unsigned char)text[0];
  size_t low = prefixes->first[byte], high = prefixes->first[byte + 1];
  for (size_t depth = 1; low < high; depth++) { /* all in [low, high) agree with the text in `depth` bytes */
    while (low < high && vocabulary->tokens[prefixes->sorted.ids[low]].length == depth)
      longest = prefixes->sorted.ids[low++];
    if (depth == length || low == high)
      break;
    byte = (unsigned char)text[depth];
    low = lower_bound(prefixes, vocabulary, low, high, depth, byte);
    high = lower_bound(prefixes, vocabulary, low, high, depth, byte + 1);
  }
  return longest;
}
