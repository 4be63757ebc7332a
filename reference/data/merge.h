/* merge.h: merge neighbours, the best pair first, by a heap of candidates: O(n log n).
 *
 * Candidates are never taken out of the heap before their turn: one whose symbols have changed is recognised by its
 * length, for symbols only grow. Both kinds of tokenizers break ties by taking the leftmost pair.
 *
 * Inline, so that the rule, which differs, is compiled into the loop. */
#ifndef SEESAW_MERGE_H
#define SEESAW_MERGE_H

#include "tokenizer_parts.h"

/* The rule: whether two neighbours may merge, in which order (smaller is earlier), and into which token. */
typedef bool (*MergeRule)(const Tokenizer *tokenizer, const char *text, const Symbol *left, const Symbol *right,
                          uint32_t *order, int32_t *id);

static inline void heap_push(Scratch *scratch, Candidate candidate) {
  size_t at = scratch->heap_count++;
  while (at > 0 && scratch->heap[(at - 1) / 2].key > candidate.key) {
    scratch->heap[at] = scratch->heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  scratch->heap[at] = candidate;
}

static inline Candidate heap_pop(Scratch *scratch) {
  Candidate top = scratch->heap[0], last = scratch->heap[--scratch->heap_count];
  size_t at = 0, count = scratch->heap_count;
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && scratch->heap[child + 1].key < scratch->heap[child].key)
      child++;
    if (scratch->heap[child].key >= last.key)
      break;
    scratch->heap[at] = scratch->heap[child];
  }
  scratch->heap[at] = last;
  return top;
}

/* Put the pair that begins with symbol `left` into the heap if it may merge. */
static inline __attribute__((always_inline)) void consider(const Tokenizer *tokenizer, Scratch *scratch,
                                                           const char *text, uint32_t left, MergeRule rule) {
  const Symbol *first = &scratch->symbols[left];
  uint32_t order;
  int32_t id;
  if (first->next != NO_SYMBOL && rule(tokenizer, text, first, &scratch->symbols[first->next], &order, &id))
    heap_push(scratch, (Candidate){.key = (uint64_t)order << 32 | left,
                                   .length = first->length + scratch->symbols[first->next].length,
                                   .id = id});
}

/* The symbol after `left` becomes part of it. */
static inline void join(Scratch *scratch, uint32_t left, int32_t id) {
  Symbol *first = &scratch->symbols[left], *second = &scratch->symbols[first->next];
  first->length += second->length;
  first->id = id;
  first->next = second->next;
  second->length = 0;
  if (first->next != NO_SYMBOL)
    scratch->symbols[first->next].previous = left;
}

/* merge_symbols: until no pair can merge; `count` > 0 symbols in a row, from scratch_symbols. The first stays first. */
static inline __attribute__((always_inline)) void merge_symbols(const Tokenizer *tokenizer, Scratch *scratch,
                                                                const char *text, size_t count, MergeRule rule) {
  scratch->heap_count = 0;
  for (size_t i = 0; i < count; i++) {
    scratch->symbols[i].previous = i == 0 ? NO_SYMBOL : (uint32_t)i - 1;
    scratch->symbols[i].next = i + 1 == count ? NO_SYMBOL : (uint32_t)i + 1;
  }
  for (size_t i = 0; i + 1 < count; i++)
    consider(tokenizer, scratch, text, (uint32_t)i, rule);
  while (scratch->heap_count > 0) {
    Candidate best = heap_pop(scratch);
    uint32_t left = (uint32_t)best.key;
    const Symbol *first = &scratch->symbols[left];
    if (first->length == 0 || first->next == NO_SYMBOL ||
        first->length + scratch->symbols[first->next].length != best.length)
      continue;
    join(scratch, left, best.id);
    if (first->previous != NO_SYMBOL)
      consider(tokenizer, scratch, text, first->previous, rule);
    consider(tokenizer, scratch, text, left, rule);
  }
}

#endif
