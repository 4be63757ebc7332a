/* cases_attention.c: cases of attention: full, causal, with a cache, grouped and crossed, in ragged batches. Sizes:
 * query heads, key heads, numbers of a head, causal, without lse, write of backward. */
#include <math.h>

#include "cases.h"

#define OFFSETS(...) ((const int32_t[]){0, __VA_ARGS__})

static const Shape shapes[] = {
    {"one", .n = {1, 1, 1, 0, 0, WRITE_ADD}, 1, OFFSETS(1), OFFSETS(1)},
    {"full, ragged", .n = {3, 3, 5, 0, 0, WRITE_ADD}, 4, OFFSETS(7, 7, 8, 21), OFFSETS(7, 7, 8, 21)},
    {"causal, ragged", .n = {2, 2, 8, 1, 0, WRITE_ADD}, 4, OFFSETS(13, 14, 14, 50), OFFSETS(13, 14, 14, 50)},
    {"causal, past a block", .n = {1, 1, 16, 1, 0, WRITE_ADD}, 1, OFFSETS(131), OFFSETS(131)},
    {"grouped", .n = {6, 2, 4, 1, 0, WRITE_ADD}, 2, OFFSETS(9, 20), OFFSETS(9, 20)},
    {"crossed", .n = {2, 1, 12, 0, 0, WRITE_ADD}, 3, OFFSETS(4, 8, 12), OFFSETS(33, 33 + 1, 100)},
    {"a token and its cache", .n = {4, 2, 8, 1, 0, WRITE_ADD}, 3, OFFSETS(1, 2, 5), OFFSETS(70, 71, 100)},
    {"keys without queries", .n = {1, 1, 3, 0, 0, WRITE_ADD}, 2, OFFSETS(0, 2), OFFSETS(5, 9)},
    {"keys alone, set", .n = {2, 1, 6}, 2, OFFSETS(0, 0), OFFSETS(5, 9)},
    {"no samples", .n = {2, 2, 4}, 0, OFFSETS(0), OFFSETS(0)},
    {"without lse", .n = {2, 2, 32, 0, 1, WRITE_ADD}, 1, OFFSETS(17), OFFSETS(17)},
    {"head of 64", .n = {1, 1, 64, 0, 0, WRITE_ADD}, 1, OFFSETS(66), OFFSETS(66)},
    {"head of 128", .n = {2, 1, 128, 1, 0, WRITE_ADD}, 1, OFFSETS(35), OFFSETS(35)},
    {"ragged, set", .n = {3, 3, 5}, 4, OFFSETS(7, 7, 8, 21), OFFSETS(37, 40, 95, 131)},
    {"grouped with a cache, set", .n = {4, 2, 7, 1}, 2, OFFSETS(9, 20), OFFSETS(60, 131)},
    {"whole words, set", .n = {2, 1, 16}, 2, OFFSETS(35, 40), OFFSETS(66, 131)},
    {"head of 128, set", .n = {2, 1, 128}, 1, OFFSETS(17), OFFSETS(67)},
    {"CLIP-L, 8 views", .n = {16, 16, 64}, 8, OFFSETS(577, 1154, 1731, 2308, 2885, 3462, 4039, 4616),
     OFFSETS(577, 1154, 1731, 2308, 2885, 3462, 4039, 4616), .real = true},
    {"query former, 8 tiles", .n = {8, 8, 128}, 8, OFFSETS(144, 288, 432, 576, 720, 864, 1008, 1152),
     OFFSETS(576, 1152, 1728, 2304, 2880, 3456, 4032, 4608), .real = true},
    {"Llama-3-8B, ragged", .n = {32, 8, 128, 1}, 3, OFFSETS(676, 1640, 2048), OFFSETS(676, 1640, 2048), .real = true},
    {"Llama-3-8B, long", .n = {32, 8, 128, 1}, 1, OFFSETS(2048), OFFSETS(2048), .real = true},
    {"Llama-3-8B, a token", .n = {32, 8, 128, 1, 1}, 1, OFFSETS(1), OFFSETS(2048), .real = true},
};

enum { QUERIES, KEYS, Q, K, V, O, LSE, DO, DQ, DK, DV };

static void make_fwd(Workload *p, const size_t n[]) {
  const Shape *s = p->shape;
  size_t queries = (size_t)s->first[s->samples], keys = (size_t)s->second[s->samples];
  double sum = (double)n[2] + (double)offsets_longest(s->second, s->samples);
  piece_integers(p, "queries", s->samples + 1, s->first);
  piece_integers(p, "keys", s->samples + 1, s->second);
  piece_given(p, piece_view(p, "q", OF_REAL, queries, n[0] * n[2]), 0.2, 1.2);
  piece_given(p, piece_view(p, "k", OF_REAL, keys, n[1] * n[2]), -0.1, 1.2);
  piece_given(p, piece_view(p, "v", OF_REAL, keys, n[1] * n[2]), 0.3, 1.0);
  piece_set(piece_view(p, "o", OF_REAL, queries, n[0] * n[2]), sum);
  piece_set(piece_matrix(p, "lse", OF_FINE, queries, n[0]), sum);
  if (n[4])
    piece_none(&p->piece[LSE]);
}

static Attention attention_of(const size_t n[]) {
  return (Attention){
      .heads = n[0], .kv_heads = n[1], .size = n[2], .scale = 1.0 / sqrt((double)n[2]), .causal = n[3] != 0};
}

static void call_fwd(const Placed *p) {
  const Shape *s = p->workload->shape;
  const Tensor *t = p->tensor;
  Attention attention = attention_of(s->n);
  Ragged queries = placed_ragged(p, QUERIES, s->first), keys = placed_ragged(p, KEYS, s->second);
  attention_fwd(p->ops, t[O], t[LSE], t[Q], t[K], t[V], &attention, &queries, &keys);
}

static void make_bwd(Workload *p, const size_t n[]) {
  const Shape *s = p->shape;
  size_t kept[SIZES_MOST] = {n[0], n[1], n[2], n[3]}; /* backward needs lse */
  make_fwd(p, kept);
  workload_derive(p, call_fwd);
  size_t queries = p->piece[Q].size[0], keys = p->piece[K].size[0];
  double to_queries = (double)n[2] + (double)offsets_longest(s->second, s->samples) + 1.0;
  double to_keys = (double)n[2] + (double)(n[0] / n[1]) * (double)offsets_longest(s->first, s->samples) + 1.0;
  piece_given(p, piece_view(p, "do", OF_REAL, queries, n[0] * n[2]), 0.1, 1.0);
  piece_written(p, piece_view(p, "dq", OF_REAL, queries, n[0] * n[2]), (Write)n[5], -0.2, 0.3, to_queries);
  piece_written(p, piece_view(p, "dk", OF_REAL, keys, n[1] * n[2]), (Write)n[5], 0.2, 0.3, to_keys);
  piece_written(p, piece_view(p, "dv", OF_REAL, keys, n[1] * n[2]), (Write)n[5], 0.3, 0.3, to_keys);
  for (size_t i = DQ; i <= DV; i++)
    p->piece[i].floor = 0.7; /* of a query with one key scale do v' k, near 1.2, cancels */
}

static void call_bwd(const Placed *p) {
  const Shape *s = p->workload->shape;
  const Tensor *t = p->tensor;
  Attention attention = attention_of(s->n);
  Ragged queries = placed_ragged(p, QUERIES, s->first), keys = placed_ragged(p, KEYS, s->second);
  attention_bwd(p->ops, t[DQ], t[DK], t[DV], t[DO], t[O], t[LSE], t[Q], t[K], t[V], (Write)s->n[5], &attention,
                &queries, &keys);
}

static const Case list[] = {
    CASE("attention", "fwd", attention_fwd, shapes, make_fwd, call_fwd),
    CASE("attention", "bwd", attention_bwd, shapes, make_bwd, call_bwd),
};
const CaseFamily cases_attention = CASES(list);
