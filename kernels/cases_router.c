/* cases_router.c: cases of router_score and router_select. */
#include <math.h>

#include "cases.h"

#define OFFSETS(...) ((const int32_t[]){0, __VA_ARGS__})

/* ---- router_score: columns, cosine, sum, a first softmax, without noise ---- */

static const Shape score_shapes[] = {
    {"one", .n = {1, 1}, 1, OFFSETS(1), OFFSETS(1)},
    {"cosine, ragged", .n = {37, 1}, 4, OFFSETS(5, 5, 6, 40), OFFSETS(3, 4, 6, 11)},
    {"product, ragged", .n = {67, 0}, 3, OFFSETS(9, 10, 31), OFFSETS(1, 6, 8)},
    {"sum, no noise", .n = {13, 1, 1, 0, 1}, 2, OFFSETS(7, 19), OFFSETS(5, 9)},
    {"two softmaxes", .n = {33, 1, 1, 1}, 2, OFFSETS(130, 133), OFFSETS(2, 6)},
    {"no text", .n = {5, 0}, 2, OFFSETS(4, 9), OFFSETS(0, 3)},
    {"no samples", .n = {5, 1}, 0, OFFSETS(0), OFFSETS(0)},
    {"SliME, 4 samples", .n = {4096, 1, 1}, 4, OFFSETS(576, 864, 1440, 2016), OFFSETS(61, 160, 222, 300), .real = true},
};

enum { LOCALS, TEXTS, LOCAL, TEXT, NOISE, SCORE };

/* An error of a score is one of its exponent: the larger the scores, up to the number of text tokens where cosines are
 * summed and about 4 for the products below, the larger the relative error of the shares. */
static void score_make(Workload *p, const size_t n[]) {
  const Shape *s = p->shape;
  size_t locals = (size_t)s->first[s->samples], texts = (size_t)s->second[s->samples];
  double tokens = (double)offsets_longest(s->second, s->samples), largest = n[1] && n[2] ? tokens : 4.0;
  double spread = pow((double)n[0], -0.25);
  piece_integers(p, "locals", s->samples + 1, s->first);
  piece_integers(p, "texts", s->samples + 1, s->second);
  piece_given(p, piece_view(p, "local", OF_REAL, locals, n[0]), 0.2 * spread, spread);
  piece_given(p, piece_view(p, "text", OF_REAL, texts, n[0]), 0.2 * spread, spread);
  piece_given(p, piece_vector(p, "noise", OF_FINE, locals), 0.0, 0.5);
  piece_set(piece_vector(p, "score", OF_FINE, locals),
            ((double)n[0] + tokens + (double)offsets_longest(s->first, s->samples)) * (1.0 + largest * largest));
  if (n[4])
    piece_none(&p->piece[NOISE]);
}

static void call_score(const Placed *p) {
  const Shape *s = p->workload->shape;
  const Tensor *t = p->tensor;
  const Router router = {
      .cosine = s->n[1] != 0, .sum = s->n[2] != 0, .first_temperature = s->n[3] ? 0.5 : 0.0, .temperature = 1.0};
  Ragged locals = placed_ragged(p, LOCALS, s->first), texts = placed_ragged(p, TEXTS, s->second);
  router_score(p->ops, t[SCORE], t[LOCAL], t[TEXT], t[NOISE], &router, &locals, &texts);
}

/* ---- router_select: gamma in hundredths, every so many scores alike ---- */

static const Shape select_shapes[] = {
    {"one", .n = {75}, 1, OFFSETS(1)},
    {"odd", .n = {75}, 4, OFFSETS(13, 13, 14, 50)},
    {"ties", .n = {60, 3}, 3, OFFSETS(30, 37, 100)},
    {"all", .n = {100}, 2, OFFSETS(5, 9)},
    {"few", .n = {1}, 2, OFFSETS(70, 81)},
    {"long", .n = {95}, 2, OFFSETS(1031, 1040)},
    {"no samples", .n = {75}, 0, OFFSETS(0)},
    {"SliME, 4 samples", .n = {95}, 4, OFFSETS(576, 864, 1440, 2016), .real = true},
};

enum { SELECT_LOCALS, SELECT_SCORE, KEPT, SELECT_OFFSETS };

/* Shares of a softmax. */
static void shares(double *score, size_t count) {
  double sum = 0.0;
  for (size_t i = 0; i < count; i++)
    sum += score[i] = exp(score[i]);
  for (size_t i = 0; i < count; i++)
    score[i] /= sum;
}

static void select_make(Workload *p, const size_t n[]) {
  const Shape *s = p->shape;
  size_t rows = (size_t)s->first[s->samples];
  piece_integers(p, "locals", s->samples + 1, s->first);
  piece_given(p, piece_vector(p, "score", OF_FINE, rows), 0.0, 1.0);
  piece_set(piece_vector(p, "kept", OF_I32, rows), 1.0);
  piece_set(piece_vector(p, "offsets", OF_I32, s->samples + 1), 1.0);
  double *score = p->piece[SELECT_SCORE].numbers;
  for (size_t i = 0; i < s->samples && score; i++)
    if (n[1] == 0)
      shares(score + s->first[i], (size_t)(s->first[i + 1] - s->first[i]));
  piece_round(p, &p->piece[SELECT_SCORE]);
  for (size_t i = 0; i < s->samples && score && n[1] > 0; i++) { /* alike to the last bit, and out of a sum of 1 */
    double unit = 1.0 / 64.0, *sample = score + s->first[i];
    for (int32_t k = 0; k < s->first[i + 1] - s->first[i]; k++)
      sample[k] = unit * (1.0 + (double)((size_t)k % n[1]) * 0.5);
  }
}

static void call_select(const Placed *p) {
  const Shape *s = p->workload->shape;
  Ragged locals = placed_ragged(p, SELECT_LOCALS, s->first);
  router_select(p->ops, p->tensor[KEPT], p->tensor[SELECT_OFFSETS], p->tensor[SELECT_SCORE], (double)s->n[0] / 100.0,
                &locals);
}

static const Case list[] = {
    CASE("router_score", "fwd", router_score, score_shapes, score_make, call_score),
    {.operation = "router_select",
     .direction = "fwd",
     .slot = offsetof(OpsTable, router_select),
     .shapes = select_shapes,
     .shape_count = sizeof select_shapes / sizeof *select_shapes,
     .make = select_make,
     .call = call_select,
     .choice = true},
};
const CaseFamily cases_router = CASES(list);
