/* test_ops_router.c: the router's scores against each pair of tokens written out, its choice against a plain sort, and
 * PyTorch. */
#include "operations.h"

/* ---- scores ---- */

typedef struct Case {
  Router router;
  size_t columns, count;
  int32_t locals[5], texts[5]; /* offsets */
  bool noise;
} Case;

static const Case cases[] = {
    {{false, false, 0.0, 0.7}, 5, 3, {0, 4, 5, 12}, {0, 3, 5, 6}, false},
    {{false, true, 0.0, 3.0}, 6, 3, {0, 4, 5, 12}, {0, 3, 5, 6}, true},
    {{true, false, 0.0, 0.1}, 9, 3, {0, 4, 5, 12}, {0, 3, 5, 6}, true},
    {{true, true, 0.5, 1.0}, 17, 4, {0, 4, 4, 5, 12}, {0, 3, 7, 7, 8}, true}, /* no local tokens, no text */
    {{true, true, 0.5, 1.0}, 1, 1, {0, 7}, {0, 2}, false},
    {{false, false, 0.0, 1.0}, 3, 0, {0}, {0}, false}};
enum { CASES = sizeof cases / sizeof *cases, MOST = 16 };

typedef struct Set {
  Tensor local, text, noise, score;
  Ragged locals, texts;
} Set;

static Set make(Trial *t, const Case *c) {
  Set s = {.locals = trial_ragged(t, c->count, c->locals), .texts = trial_ragged(t, c->count, c->texts)};
  s.local = trial_view(t, s.locals.rows, c->columns, 0.3, 1.0);
  s.text = trial_view(t, s.texts.rows, c->columns, -0.2, 1.0);
  s.score = trial_vector(t, s.locals.rows, NAN, 0.0);
  s.noise = c->noise ? trial_vector(t, s.locals.rows, 0.0, 0.5) : TENSOR_NONE;
  return s;
}

static void run(Trial *t, const Case *c, Set *s) {
  router_score(&t->ops, s->score, s->local, s->text, s->noise, &c->router, &s->locals, &s->texts);
}

static double relevance(const Case *c, const Set *s, size_t n, size_t j) {
  double product = 0.0, x = 0.0, y = 0.0;
  for (size_t d = 0; d < c->columns; d++) {
    product += tensor_at(s->local, n, d) * tensor_at(s->text, j, d);
    x += tensor_at(s->local, n, d) * tensor_at(s->local, n, d);
    y += tensor_at(s->text, j, d) * tensor_at(s->text, j, d);
  }
  return c->router.cosine ? product / (fmax(sqrt(x), 1e-8) * fmax(sqrt(y), 1e-8)) : product;
}

static void share(double *x, size_t n, double temperature) {
  double sum = 0.0;
  for (size_t i = 0; i < n; i++)
    sum += x[i] = exp(x[i] / temperature);
  for (size_t i = 0; i < n; i++)
    x[i] /= sum;
}

static void scores(Trial *t, const void *sizes) {
  const Case *c = sizes;
  Set s = make(t, c);
  double *expected = trial_numbers(t, s.locals.rows);
  for (size_t b = 0; b < c->count; b++) {
    size_t first = (size_t)c->locals[b], rows = (size_t)c->locals[b + 1] - first;
    size_t text = (size_t)c->texts[b], text_end = (size_t)c->texts[b + 1];
    for (size_t n = first; n < first + rows; n++)
      for (size_t j = text; j < text_end; j++)
        expected[n] += relevance(c, &s, n, j) / (c->router.sum ? 1.0 : (double)(text_end - text));
    if (c->router.first_temperature > 0.0)
      share(expected + first, rows, c->router.first_temperature);
    for (size_t n = first; c->noise && n < first + rows; n++)
      expected[n] += tensor_at(s.noise, n, 0);
    share(expected + first, rows, c->router.temperature);
  }
  run(t, c, &s);
  /* In float all is exact but the last rounding; in double the exponents, of size 20 at most, are known to
   * 20 sqrt(K) u, K = columns + text tokens. */
  double units = t->ops.real == DTYPE_F32 ? 1.0 : 20.0 * 8.0 * sqrt((double)(c->columns + 4));
  expect_within_units(s.score, expected, units, "score");
}

Test(router, scores_are_every_pair_written_out) {
  for (int i = 0; i < CASES; i++)
    everywhere(scores, &cases[i]);
}

/* Shares sum to one, also where scores are huge; a NaN shows in its sample alone; a token of zeros has a cosine. */
static void extremes(Trial *t, const void *sizes) {
  static const Case c = {{false, true, 0.0, 1e-3}, 4, 3, {0, 4, 8, 12}, {0, 3, 6, 9}, false};
  static const Case cosine = {{true, true, 0.0, 1.0}, 4, 3, {0, 4, 8, 12}, {0, 3, 6, 9}, false};
  (void)sizes;
  Set s = make(t, &c);
  double sum = 0.0;
  for (size_t d = 0; d < 4; d++) {
    tensor_put(s.local, 2, d, 1e15);
    tensor_put(s.local, 9, d, 0.0);
  }
  tensor_put(s.local, 5, 3, NAN);
  run(t, &c, &s);
  for (size_t n = 0; n < 4; n++)
    sum += tensor_at(s.score, n, 0);
  cr_expect(fabs(sum - 1.0) <= 8 * dtype_unit(t->ops.real));
  for (size_t n = 0; n < 12; n++)
    cr_expect_eq(isnan(tensor_at(s.score, n, 0)) != 0, n >= 4 && n < 8, "row %zu", n);
  run(t, &cosine, &s);
  cr_expect(isfinite(tensor_at(s.score, 9, 0)));
}

Test(router, scores_stay_finite_and_what_is_not_shows) {
  everywhere(extremes, NULL);
}

static void as_torch(Trial *t, const void *sizes) {
  static const char *names[] = {"router_cosine", "router_dot", "router_twice"};
  static const Router routers[] = {{true, true, 0.0, 1.0}, {false, false, 0.0, 0.7}, {true, true, 0.5, 1.0}};
  static const int32_t locals[] = {0, 9}, texts[] = {0, 4};
  (void)sizes;
  Tensor local = trial_fixture_tensor(t, "router_local"), text = trial_fixture_tensor(t, "router_text");
  Tensor noise = trial_fixture_tensor(t, "router_noise"), score = trial_vector(t, 9, NAN, 0.0);
  Ragged of_local = trial_ragged(t, 1, locals), of_text = trial_ragged(t, 1, texts);
  for (int i = 0; i < 3; i++) {
    router_score(&t->ops, score, local, text, i == 2 ? noise : TENSOR_NONE, &routers[i], &of_local, &of_text);
    expect_close(score, trial_fixture_numbers(t, names[i], NULL), 9 * 6, "%s", names[i]);
  }
}

Test(router, is_as_in_torch) {
  everywhere(as_torch, NULL);
}

/* ---- the choice ---- */

/* Rows [first, end) of the best, until their sum passes gamma: kept[n] for each. */
static void plain_choice(const double *score, size_t count, double gamma, bool *kept) {
  double sum = 0.0;
  for (size_t n = 0; n < count; n++)
    kept[n] = gamma >= 1.0;
  for (size_t taken = 0; taken < count && gamma < 1.0 && sum <= gamma; taken++) {
    size_t best = count;
    for (size_t n = 0; n < count; n++)
      if (!kept[n] && (best == count || score[n] > score[best]))
        best = n;
    kept[best] = true;
    sum += score[best];
  }
}

enum { LARGE = 700 };
static const int32_t samples[] = {0, 5, 5, 6, 6 + LARGE};
static const double gammas[] = {0.0, 0.1, 0.5, 0.75, 0.95, 0.999999, 1.0, 2.0, -1.0};

/* step: scores are multiples of it before they become shares, so many are equal. */
static void choices(Trial *t, const void *sizes) {
  double step = *(const double *)sizes;
  Ragged locals = trial_ragged(t, 4, samples);
  Tensor score = trial_vector(t, locals.rows, 0.0, 1.0);
  Tensor offsets = trial_indices(t, 5, NULL), kept = trial_indices(t, locals.rows, NULL);
  for (int i = 0; i < 4; i++) {
    double sum = 0.0;
    for (int32_t n = samples[i]; n < samples[i + 1]; n++) {
      double x = exp(tensor_at(score, (size_t)n, 0));
      tensor_put(score, (size_t)n, 0, step > 0.0 ? step * ceil(x / step) : x);
      sum += tensor_at(score, (size_t)n, 0);
    }
    for (int32_t n = samples[i]; n < samples[i + 1]; n++)
      tensor_put(score, (size_t)n, 0, tensor_at(score, (size_t)n, 0) / sum);
  }
  double *shares = trial_copy(t, score);
  for (int g = 0; g < 9; g++) {
    size_t at = 0;
    router_select(&t->ops, kept, offsets, score, gammas[g], &locals);
    cr_assert_eq(tensor_at(offsets, 0, 0), 0.0);
    for (size_t i = 0; i < 4; i++) {
      bool right[LARGE];
      size_t first = (size_t)samples[i], count = (size_t)(samples[i + 1] - samples[i]);
      plain_choice(shares + first, count, gammas[g], right);
      for (size_t n = 0; n < count; n++)
        if (right[n])
          cr_assert_eq(tensor_at(kept, at++, 0), (double)(first + n), "gamma %g, sample %zu, row %zu", gammas[g], i, n);
      cr_assert_eq(tensor_at(offsets, i + 1, 0), (double)at, "gamma %g, sample %zu", gammas[g], i);
    }
  }
}

Test(select, is_a_sort_and_a_sum) {
  static const double steps[] = {0.0, 0.5, 100.0}; /* of all sizes, of few, all the same */
  for (int i = 0; i < 3; i++)
    everywhere(choices, &steps[i]);
}

/* Three quarters in four equal shares: three reach gamma, the fourth passes it; the earlier ones come first. */
static void ties(Trial *t, const void *sizes) {
  static const int32_t one[] = {0, 4};
  (void)sizes;
  Ragged locals = trial_ragged(t, 1, one);
  Tensor score = trial_vector(t, 4, 0.25, 0.0), offsets = trial_indices(t, 2, NULL), kept = trial_indices(t, 4, NULL);
  router_select(&t->ops, kept, offsets, score, 0.75, &locals);
  cr_expect_eq(tensor_at(offsets, 1, 0), 4.0, "the sum must pass gamma");
  for (size_t i = 0; i < 4; i++)
    memcpy(tensor_place(kept, i, 0), &(int32_t){-5}, 4);
  router_select(&t->ops, kept, offsets, score, 0.74, &locals);
  cr_expect_eq(tensor_at(offsets, 1, 0), 3.0);
  for (size_t i = 0; i < 4; i++)
    cr_expect_eq(tensor_at(kept, i, 0), i < 3 ? (double)i : -5.0, "what is beyond the end stays");
}

Test(select, of_equal_scores_the_earlier) {
  everywhere(ties, NULL);
}

/* NaN anywhere keeps its sample whole, and the others' choice as it is. */
static void poisoned(Trial *t, const void *sizes) {
  static const int32_t two[] = {0, 5, 10};
  (void)sizes;
  Ragged locals = trial_ragged(t, 2, two);
  Tensor score = trial_vector(t, 10, 0.2, 0.0), offsets = trial_indices(t, 3, NULL), kept = trial_indices(t, 10, NULL);
  for (size_t at = 0; at < 5; at++) {
    tensor_put(score, at, 0, NAN);
    router_select(&t->ops, kept, offsets, score, 0.5, &locals);
    cr_expect_eq(tensor_at(offsets, 1, 0), 5.0);
    cr_expect_eq(tensor_at(offsets, 2, 0), 8.0);
    for (size_t i = 0; i < 8; i++)
      cr_expect_eq(tensor_at(kept, i, 0), (double)i);
    tensor_put(score, at, 0, 0.2);
  }
}

Test(select, not_a_number_keeps_all) {
  everywhere(poisoned, NULL);
}

/* ---- mistakes ---- */

static void fewer_texts(void) {
  static const int32_t one[] = {0, 4}, two[] = {0, 2, 4};
  static const Router router = {false, false, 0.0, 1.0};
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  Ragged locals = trial_ragged(&t, 2, two), texts = trial_ragged(&t, 1, one);
  Tensor x = trial_view(&t, 4, 3, 0.0, 1.0);
  router_score(&t.ops, trial_vector(&t, 4, 0.0, 0.0), x, x, TENSOR_NONE, &router, &locals, &texts);
}

static void short_list(void) {
  static const int32_t one[] = {0, 4};
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  Ragged locals = trial_ragged(&t, 1, one);
  router_select(&t.ops, trial_indices(&t, 3, NULL), trial_indices(&t, 2, NULL), trial_vector(&t, 4, 0.0, 1.0), 0.5,
                &locals);
}

Test(router, mistakes_stop) {
  expect_stop(fewer_texts, "2 samples of local tokens", "1 of text");
  expect_stop(short_list, "kept is I32 (3)", "should be I32 (4)");
}
