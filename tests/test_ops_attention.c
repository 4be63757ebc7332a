/* test_ops_attention.c: attention against its definition in double, over full, causal, cross, grouped, ragged and
 * cached keys; its gradients; identities; and PyTorch.
 *
 * Behind a number stand a dot product of a head's size and a sum over keys: K is their sum. */
#include "operations.h"

#define REAL float
#include "vector.h" /* for exp_float */

typedef struct Case {
  Attention attention;
  size_t count;
  int32_t queries[6], keys[6]; /* offsets */
  double centre;               /* of q, k and v */
} Case;

enum { SAMPLE = 600 }; /* keys of a sample at most */

/* Everything of one case; `shape` has scale 1/sqrt(size) where the case says 0. */
typedef struct Set {
  Attention shape;
  Ragged queries, keys;
  Tensor q, k, v, o, lse, d_o, dq, dk, dv;
  Write write; /* of dq, dk and dv, which start as NaN: set, unless a test says otherwise */
} Set;

static Set make(Trial *t, const Case *c) {
  Set s = {.shape = c->attention};
  size_t wide = c->attention.heads * c->attention.size, narrow = c->attention.kv_heads * c->attention.size;
  if (s.shape.scale == 0.0)
    s.shape.scale = 1.0 / sqrt((double)s.shape.size);
  s.queries = trial_ragged(t, c->count, c->queries);
  s.keys = trial_ragged(t, c->count, c->keys);
  s.q = trial_view(t, s.queries.rows, wide, c->centre, 1.0);
  s.k = trial_view(t, s.keys.rows, narrow, c->centre, 1.0);
  s.v = trial_view(t, s.keys.rows, narrow, c->centre, 1.0);
  s.o = trial_view(t, s.queries.rows, wide, NAN, 0.0);
  s.lse = trial_view(t, s.queries.rows, s.shape.heads, NAN, 0.0);
  s.d_o = trial_view(t, s.queries.rows, wide, 0.3, 1.0);
  s.dq = trial_view(t, s.queries.rows, wide, NAN, 0.0);
  s.dk = trial_view(t, s.keys.rows, narrow, NAN, 0.0);
  s.dv = trial_view(t, s.keys.rows, narrow, NAN, 0.0);
  return s;
}

static void forward(Trial *t, Set *s) {
  attention_fwd(&t->ops, s->o, s->lse, s->q, s->k, s->v, &s->shape, &s->queries, &s->keys);
}

static void backward(Trial *t, void *context) {
  Set *s = context;
  attention_bwd(&t->ops, s->dq, s->dk, s->dv, s->d_o, s->o, s->lse, s->q, s->k, s->v, s->write, &s->shape, &s->queries,
                &s->keys);
}

static double weighted(Trial *t, void *context) {
  forward(t, context);
  return weighted_sum(((Set *)context)->o, ((Set *)context)->d_o);
}

/* ---- the definition ---- */

/* dq_size, dk_size: the sums of dq and dk with |dp| + |delta| for dp - delta, and absolute values throughout: what
 * rounding is in proportion to where dp and delta nearly cancel. */
typedef struct Naive {
  double *o, *lse, *dq, *dk, *dv, *dq_size, *dk_size;
} Naive;

static double row_dot(Tensor x, size_t i, size_t x_first, Tensor y, size_t j, size_t y_first, size_t n) {
  double sum = 0.0;
  for (size_t d = 0; d < n; d++)
    sum += tensor_at(x, i, x_first + d) * tensor_at(y, j, y_first + d);
  return sum;
}

/* Query row i (number `at` of its sample) of head h, whose sample has keys [first, end). */
static void naive_row(const Set *s, const Naive *n, size_t i, size_t h, size_t first, size_t end) {
  size_t size = s->shape.size, kv = h / (s->shape.heads / s->shape.kv_heads), wide = s->q.size[1];
  size_t narrow = s->k.size[1], at = h * size, kv_at = kv * size;
  double p[SAMPLE], most = -INFINITY, sum = 0.0, delta = 0.0;
  for (size_t j = first; j < end; j++) {
    p[j - first] = s->shape.scale * row_dot(s->q, i, at, s->k, j, kv_at, size);
    most = fmax(most, p[j - first]);
  }
  for (size_t j = first; j < end; j++)
    sum += p[j - first] = exp(p[j - first] - most);
  n->lse[i * s->shape.heads + h] = most + log(sum);
  for (size_t j = first; j < end; j++)
    for (size_t d = 0; d < size; d++)
      n->o[i * wide + at + d] += p[j - first] / sum * tensor_at(s->v, j, kv_at + d);
  for (size_t d = 0; d < size; d++)
    delta += n->o[i * wide + at + d] * tensor_at(s->d_o, i, at + d);
  for (size_t j = first; j < end; j++) {
    double share = p[j - first] / sum;
    double dp = row_dot(s->d_o, i, at, s->v, j, kv_at, size);
    double ds = s->shape.scale * share * (dp - delta), most_ds = s->shape.scale * share * (fabs(dp) + fabs(delta));
    for (size_t d = 0; d < size; d++) {
      n->dv[j * narrow + kv_at + d] += share * tensor_at(s->d_o, i, at + d);
      n->dq[i * wide + at + d] += ds * tensor_at(s->k, j, kv_at + d);
      n->dk[j * narrow + kv_at + d] += ds * tensor_at(s->q, i, at + d);
      n->dq_size[i * wide + at + d] += most_ds * fabs(tensor_at(s->k, j, kv_at + d));
      n->dk_size[j * narrow + kv_at + d] += most_ds * fabs(tensor_at(s->q, i, at + d));
    }
  }
}

static Naive naive(Trial *t, const Set *s) {
  Naive n = {trial_numbers(t, tensor_count(s->q)), trial_numbers(t, tensor_count(s->lse)),
             trial_numbers(t, tensor_count(s->q)), trial_numbers(t, tensor_count(s->k)),
             trial_numbers(t, tensor_count(s->k)), trial_numbers(t, tensor_count(s->q)),
             trial_numbers(t, tensor_count(s->k))};
  for (size_t b = 0; b < s->queries.count; b++) {
    size_t first = (size_t)s->queries.host[b], end = (size_t)s->queries.host[b + 1];
    size_t keys = (size_t)s->keys.host[b], keys_end = (size_t)s->keys.host[b + 1];
    for (size_t i = first; i < end; i++)
      for (size_t h = 0; h < s->shape.heads; h++)
        naive_row(s, &n, i, h, keys, s->shape.causal ? keys_end - (end - 1 - i) : keys_end);
  }
  return n;
}

/* Every element within 8 sqrt(K) u (size + rms(size)). */
static void expect_within_size(Tensor x, const double *expected, const double *size, size_t sum, const char *name) {
  double worst = 0.0, square = 0.0;
  size_t count = tensor_count(x), width = x.size[1];
  for (size_t k = 0; k < count; k++)
    square += size[k] * size[k];
  double allowed = 8.0 * sqrt((double)sum) * dtype_unit(x.dtype), rms = sqrt(square / (double)count);
  FOR_EACH(x, i, j) {
    double off = fabs(tensor_at(x, i, j) - expected[i * width + j]);
    double error = off == 0.0 ? 0.0 : off / (allowed * (size[i * width + j] + rms)); /* all may be zero */
    if (!(error <= worst))
      worst = isnan(error) ? INFINITY : error;
  }
  cr_expect(worst <= 1.0, "%s, %s: %g of the tolerance", name, dtype_name(x.dtype), worst);
  if (getenv("SEESAW_ERRORS"))
    fprintf(stderr, "%s, %s: %.3f of the tolerance\n", name, dtype_name(x.dtype), worst);
}

static void against_definition(Trial *t, const void *sizes) {
  const Case *c = sizes;
  Set s = make(t, c);
  Naive n = naive(t, &s);
  size_t sum = s.shape.size + s.keys.longest, group = s.shape.heads / s.shape.kv_heads;
  forward(t, &s);
  backward(t, &s);
  expect_close(s.o, n.o, sum, "o");
  expect_close(s.lse, n.lse, sum, "lse");
  expect_within_size(s.dq, n.dq, n.dq_size, sum, "dq");
  expect_within_size(s.dk, n.dk, n.dk_size, s.shape.size + group * s.queries.longest, "dk");
  expect_close(s.dv, n.dv, s.shape.size + group * s.queries.longest, "dv");
}

static const Case cases[] = {
    {{2, 2, 5, 0, false}, 1, {0, 7}, {0, 7}, 0.2},
    {{3, 1, 4, 0, true}, 3, {0, 5, 6, 13}, {0, 5, 6, 13}, 0.2},                /* causal, ragged */
    {{6, 2, 8, 0, true}, 2, {0, 4, 7}, {0, 9, 20}, -0.3},                      /* with a cache */
    {{4, 4, 3, 0, false}, 5, {0, 3, 3, 4, 11, 12}, {0, 1, 6, 9, 10, 27}, 0.5}, /* cross, one empty */
    {{1, 1, 1, 0, false}, 1, {0, 1}, {0, 1}, 0.2},
    {{2, 1, 5, 0, true}, 2, {0, 131, 161}, {0, 133, 394}, 0.1},             /* several blocks */
    {{1, 1, 33, 0, false}, 2, {0, 129, 130}, {0, 257, 257 + 512 + 1}, 0.1}, /* last blocks of one */
    {{1, 1, 32, 0, true}, 2, {0, 40, 47}, {0, 280, 287}, 0.1}, /* whole panels; a block of keys that some do not see */
    {{2, 1, 19, 0, true}, 2, {0, 1, 2}, {0, 300, 301}, 0.1},   /* queries alone */
    {{1, 1, 700, 0, true}, 1, {0, 9}, {0, 140}, 0.1},          /* large heads: smaller blocks */
    {{2, 2, 7, 0.7, false}, 0, {0}, {0}, 0.0},                 /* no sample */
    {{2, 2, 7, 0.7, true}, 1, {0, 0}, {0, 0}, 0.0},            /* an empty one */
    {{2, 1, 7, 0.7, true}, 2, {0, 0, 0}, {0, 3, 5}, 0.0},      /* keys alone */
};
enum { CASES = sizeof cases / sizeof *cases };

Test(attention, is_its_definition) {
  for (int i = 0; i < CASES; i++)
    everywhere(against_definition, &cases[i]);
}

static void gradients(Trial *t, const void *sizes) {
  Set s = make(t, sizes);
  size_t sum = s.shape.size + s.keys.longest;
  forward(t, &s);
  s.write = WRITE_ADD;
  expect_adds(t, s.dq, sum, backward, &s, "dq");
  expect_adds(t, s.dk, sum, backward, &s, "dk");
  expect_adds(t, s.dv, sum, backward, &s, "dv");
  tensor_fill(s.dq, 0.0, 0.0, 1);
  tensor_fill(s.dk, 0.0, 0.0, 1);
  tensor_fill(s.dv, 0.0, 0.0, 1);
  backward(t, &s);
  s.write = WRITE_SET;
  expect_sets(t, s.dq, backward, &s, "dq");
  expect_sets(t, s.dk, backward, &s, "dk");
  expect_sets(t, s.dv, backward, &s, "dv");
  expect_gradient(t, s.dq, s.q, 1e-3, weighted, &s, "dq");
  expect_gradient(t, s.dk, s.k, 1e-3, weighted, &s, "dk");
  expect_gradient(t, s.dv, s.v, 1e-3, weighted, &s, "dv");
}

Test(attention, gradients_are_slopes_and_are_added_or_set) {
  for (int i = 0; i < 4; i++)
    everywhere(gradients, &cases[i]);
}

/* ---- identities ---- */

/* A sample alone gives the bytes that it gives in a batch. */
static void alone(Trial *t, const void *sizes) {
  const Case *c = sizes;
  Set s = make(t, c);
  forward(t, &s);
  backward(t, &s);
  for (size_t b = 0; b < c->count; b++) {
    size_t first = (size_t)c->queries[b], rows = (size_t)c->queries[b + 1] - first;
    size_t keys = (size_t)c->keys[b], key_rows = (size_t)c->keys[b + 1] - keys;
    Case one = {c->attention, 1, {0, (int32_t)rows}, {0, (int32_t)key_rows}, 0.0};
    Set a = make(t, &one);
    FOR_EACH(a.q, i, j) {
      tensor_put(a.q, i, j, tensor_at(s.q, first + i, j));
      tensor_put(a.d_o, i, j, tensor_at(s.d_o, first + i, j));
    }
    FOR_EACH(a.k, i, j) {
      tensor_put(a.k, i, j, tensor_at(s.k, keys + i, j));
      tensor_put(a.v, i, j, tensor_at(s.v, keys + i, j));
    }
    forward(t, &a);
    backward(t, &a);
    size_t differ = 0;
    FOR_EACH(a.q, i, j)
    differ +=
        tensor_at(a.o, i, j) != tensor_at(s.o, first + i, j) || tensor_at(a.dq, i, j) != tensor_at(s.dq, first + i, j);
    FOR_EACH(a.k, i, j)
    differ +=
        tensor_at(a.dk, i, j) != tensor_at(s.dk, keys + i, j) || tensor_at(a.dv, i, j) != tensor_at(s.dv, keys + i, j);
    cr_expect_eq(differ, 0, "sample %zu: %zu numbers differ", b, differ);
  }
}

Test(attention, a_sample_alone_gives_the_same_bytes) {
  once(alone, &cases[1]);
  once(alone, &cases[2]);
  once(alone, &cases[5]);
}

/* Token by token over a growing cache gives what all at once gives. */
static void cached(Trial *t, const void *sizes) {
  enum { TOKENS = 9 };
  static const Case whole = {{4, 2, 6, 0, true}, 1, {0, TOKENS}, {0, TOKENS}, 0.2};
  static const int32_t one[2] = {0, 1};
  static int32_t so_far[TOKENS][2];
  (void)sizes;
  Set s = make(t, &whole);
  forward(t, &s);
  double *expected = trial_copy(t, s.o);
  tensor_fill(s.o, NAN, 0.0, 1);
  Ragged query = trial_ragged(t, 1, one);
  for (size_t n = 0; n < TOKENS; n++) {
    so_far[n][1] = (int32_t)n + 1;
    Ragged keys = trial_ragged(t, 1, so_far[n]);
    attention_fwd(&t->ops, tensor_rows(s.o, n, 1), TENSOR_NONE, tensor_rows(s.q, n, 1), tensor_rows(s.k, 0, n + 1),
                  tensor_rows(s.v, 0, n + 1), &s.shape, &query, &keys);
  }
  expect_close(s.o, expected, TOKENS + 6, "token by token");
}

Test(attention, with_a_cache_is_all_at_once) {
  everywhere(cached, NULL);
}

/* Heads that share keys give what heads with keys of their own, all alike, give; dk and dv are the sums of theirs. */
static void grouped(Trial *t, const void *sizes) {
  enum { HEADS = 6, SHARED = 2, SIZE = 5, N = 11 };
  static const Case shared = {{HEADS, SHARED, SIZE, 0, true}, 1, {0, N}, {0, N}, 0.2};
  static const Case own = {{HEADS, HEADS, SIZE, 0, true}, 1, {0, N}, {0, N}, 0.2};
  (void)sizes;
  Set s = make(t, &shared), r = make(t, &own);
  FOR_EACH(r.k, i, j) {
    size_t from = j / SIZE / (HEADS / SHARED) * SIZE + j % SIZE;
    tensor_put(r.q, i, j, tensor_at(s.q, i, j));
    tensor_put(r.d_o, i, j, tensor_at(s.d_o, i, j));
    tensor_put(r.k, i, j, tensor_at(s.k, i, from));
    tensor_put(r.v, i, j, tensor_at(s.v, i, from));
  }
  forward(t, &s);
  forward(t, &r);
  backward(t, &s);
  backward(t, &r);
  double *dk = trial_numbers(t, tensor_count(s.dk)), *dv = trial_numbers(t, tensor_count(s.dv));
  FOR_EACH(r.k, i, j) {
    size_t to = i * s.dk.size[1] + j / SIZE / (HEADS / SHARED) * SIZE + j % SIZE;
    dk[to] += tensor_at(r.dk, i, j);
    dv[to] += tensor_at(r.dv, i, j);
  }
  expect_close(s.o, trial_copy(t, r.o), N + SIZE, "o");
  expect_close(s.dq, trial_copy(t, r.dq), N + SIZE, "dq");
  expect_close(s.dk, dk, 3 * N + SIZE, "dk");
  expect_close(s.dv, dv, 3 * N + SIZE, "dv");
}

Test(attention, shared_keys_are_repeated_keys) {
  everywhere(grouped, NULL);
}

/* The order of the keys does not matter to full attention. */
static void permuted(Trial *t, const void *sizes) {
  enum { N = 300 };
  static const Case full = {{2, 2, 6, 0, false}, 1, {0, 5}, {0, N}, 0.2};
  (void)sizes;
  Set s = make(t, &full), r = make(t, &full);
  FOR_EACH(s.q, i, j)
  tensor_put(r.q, i, j, tensor_at(s.q, i, j));
  FOR_EACH(s.k, i, j) {
    tensor_put(r.k, i * 7 % N, j, tensor_at(s.k, i, j));
    tensor_put(r.v, i * 7 % N, j, tensor_at(s.v, i, j));
  }
  forward(t, &s);
  forward(t, &r);
  expect_close(r.o, trial_copy(t, s.o), N + 6, "other order");
}

Test(attention, keys_may_come_in_any_order) {
  once(permuted, NULL);
}

/* One key: o = v. Scores far beyond exp's reach: o is v of the best key, and lse its score. */
static void one_key(Trial *t, const void *sizes) {
  static const Case single = {{4, 2, 3, 0, true}, 3, {0, 1, 1, 2}, {0, 1, 1, 2}, 5.0};
  (void)sizes;
  Set s = make(t, &single);
  forward(t, &s);
  FOR_EACH(s.o, i, j)
  cr_expect_eq(tensor_at(s.o, i, j), tensor_at(s.v, i, j / 6 * 3 + j % 3));
}

static void huge(Trial *t, const void *sizes) {
  enum { N = 520 };
  static const Case large = {{1, 1, 2, 1.0, false}, 1, {0, 2}, {0, N}, 0.0};
  (void)sizes;
  Set s = make(t, &large);
  for (size_t j = 0; j < N; j++) { /* query 0 likes key 300 best, query 1 the last; every block has a best of its own */
    tensor_put(s.k, j, 0, j == 300 ? 1e15 : (double)j * 1e11);
    tensor_put(s.k, j, 1, 0.0);
  }
  for (size_t i = 0; i < 2; i++) {
    tensor_put(s.q, i, 0, i == 0 ? 1e15 : -1e15);
    tensor_put(s.q, i, 1, 1.0);
  }
  forward(t, &s);
  for (size_t d = 0; d < 2; d++) {
    cr_expect_eq(tensor_at(s.o, 0, d), tensor_at(s.v, 300, d), "the largest");
    cr_expect_eq(tensor_at(s.o, 1, d), tensor_at(s.v, 0, d), "the least negative");
  }
  expect_close(s.lse, (const double[]){tensor_at(s.q, 0, 0) * tensor_at(s.k, 300, 0), 0.0}, 2, "lse");
  backward(t, &s);
  FOR_EACH(s.dq, i, j)
  cr_expect(isfinite(tensor_at(s.dq, i, j)));
}

Test(attention, of_one_key_is_its_value) {
  everywhere(one_key, NULL);
}

Test(attention, huge_scores_do_not_overflow) {
  everywhere(huge, NULL);
}

/* Keys with a score of -infinity have no share, also when they fill the first block; with nothing else there is none to
 * give: NaN. */
static void unreachable(Trial *t, const void *sizes) {
  enum { N = 300 };
  static const Case first = {{1, 1, 1, 1.0, false}, 1, {0, 1}, {0, N}, 0.0};
  (void)sizes;
  Set s = make(t, &first);
  tensor_put(s.q, 0, 0, 1.0);
  for (size_t j = 0; j < N; j++)
    tensor_put(s.k, j, 0, j < N - 1 ? -INFINITY : 2.0);
  forward(t, &s);
  cr_expect_eq(tensor_at(s.o, 0, 0), tensor_at(s.v, N - 1, 0));
  cr_expect_eq(tensor_at(s.lse, 0, 0), 2.0);
  tensor_put(s.k, N - 1, 0, -INFINITY);
  forward(t, &s);
  cr_expect(isnan(tensor_at(s.o, 0, 0)));
}

/* A NaN reaches what it should: of q its own row, of k the queries that see it. */
static void poisoned(Trial *t, const void *sizes) {
  static const Case causal = {{2, 1, 4, 0, true}, 1, {0, 9}, {0, 9}, 0.2};
  (void)sizes;
  Set s = make(t, &causal);
  tensor_put(s.q, 2, 1, NAN);
  tensor_put(s.k, 6, 3, NAN);
  forward(t, &s);
  backward(t, &s);
  FOR_EACH(s.o, i, j) {
    bool reached = (i == 2 && j < 4) || i >= 6;
    cr_expect_eq(isnan(tensor_at(s.o, i, j)) != 0, reached, "o %zu %zu", i, j);
  }
  FOR_EACH(s.dk, i, j)
  cr_expect(isnan(tensor_at(s.dk, i, j)));
  tensor_put(s.q, 2, 1, INFINITY);
  forward(t, &s);
  cr_expect(isnan(tensor_at(s.o, 2, 0)), "infinity less infinity");
}

Test(attention, what_is_not_finite_shows) {
  once(unreachable, NULL);
  everywhere(poisoned, NULL);
}

/* ---- PyTorch: scaled_dot_product_attention in double, tests/fixtures/ops/make_parts.py ---- */

static void as_torch(Trial *t, const void *sizes) {
  static const int32_t queries[] = {0, 5}, keys[] = {0, 8};
  (void)sizes;
  Set s = {.shape = {4, 2, 6, 1.0 / sqrt(6.0), true}};
  s.queries = trial_ragged(t, 1, queries);
  s.keys = trial_ragged(t, 1, keys);
  s.q = trial_fixture_tensor(t, "attention_q");
  s.k = trial_fixture_tensor(t, "attention_k");
  s.v = trial_fixture_tensor(t, "attention_v");
  s.d_o = trial_fixture_tensor(t, "attention_do");
  s.o = trial_view(t, 5, 24, NAN, 0.0);
  s.lse = trial_view(t, 5, 4, NAN, 0.0);
  s.dq = trial_view(t, 5, 24, 0.0, 0.0);
  s.dk = trial_view(t, 8, 12, 0.0, 0.0);
  s.dv = trial_view(t, 8, 12, 0.0, 0.0);
  forward(t, &s);
  backward(t, &s);
  expect_close(s.o, trial_fixture_numbers(t, "attention_o", NULL), 14, "o");
  expect_close(s.dq, trial_fixture_numbers(t, "attention_dq", NULL), 14, "dq");
  expect_close(s.dk, trial_fixture_numbers(t, "attention_dk", NULL), 14, "dk");
  expect_close(s.dv, trial_fixture_numbers(t, "attention_dv", NULL), 14, "dv");
}

Test(attention, is_as_in_torch) {
  everywhere(as_torch, NULL);
}

/* ---- mistakes ---- */

static const Case mistaken = {{2, 2, 4, 0, true}, 1, {0, 5}, {0, 5}, 0.0};

static void too_few_keys(void) {
  static const Case c = {{2, 2, 4, 0, true}, 2, {0, 1, 6}, {0, 3, 6}, 0.0};
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  Set s = make(&t, &c);
  forward(&t, &s);
}

static void wrong_width(void) {
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  Set s = make(&t, &mistaken);
  s.k = trial_view(&t, 5, 7, 0.0, 1.0);
  forward(&t, &s);
}

static void no_lse(void) {
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  Set s = make(&t, &mistaken);
  s.lse = TENSOR_NONE;
  forward(&t, &s); /* which is no mistake */
  backward(&t, &s);
}

Test(attention, mistakes_stop) {
  expect_stop(too_few_keys, "sample 1 has 5 queries", "but 3 keys");
  expect_stop(wrong_width, "k is F32 (5, 7)", "should be F32 (5, 8)");
  expect_stop(no_lse, "attention_bwd", "lse was not kept");
}

/* ---- the exponential, of which c_exp says: within 1 ulp ---- */

Test(attention, exponential_is_within_an_ulp) {
  double worst = 0.0;
  for (uint64_t bits = 0; bits < 1ull << 32; bits += 4099) {
    union {
      uint32_t bits;
      float value;
    } x = {.bits = (uint32_t)bits};
    float got = exp_float(x.value);
    double e = exp(x.value), unit = e > 0x1p-126 ? ldexp(1.0, ilogb(e) - 23) : 0x1p-149;
    if (isnan(x.value))
      cr_assert(isnan(got));
    else if (e > 0x1.fffffep127)
      cr_assert(isinf(got), "exp(%g) = %g", x.value, got);
    else if (!(fabs(got - e) / unit <= worst))
      worst = fabs(got - e) / unit;
  }
  cr_expect(worst <= 1.0, "%g ulp", worst);
  cr_expect_eq(exp_float(0.0f), 1.0f);
  cr_expect_eq(exp_float(-INFINITY), 0.0f);
  cr_expect(isinf(exp_float(INFINITY)) && exp_float(INFINITY) > 0);
}

/* Of what a softmax takes exponentials of. */
Test(attention, exponential_below_zero_is_within_an_ulp) {
  double worst = 0.0;
  for (uint32_t bits = 0; bits < 0x42ae0000u; bits += 499) { /* to 87 */
    union {
      uint32_t bits;
      float value;
    } x = {.bits = bits | 0x80000000u};
    double e = exp(x.value), error = fabs(exp_below_float(x.value) - e) / ldexp(1.0, ilogb(e) - 23);
    if (!(error <= worst))
      worst = isnan(error) ? INFINITY : error;
  }
  cr_expect(worst <= 1.0, "%g ulp", worst);
  cr_expect_eq(exp_below_float(0.0f), 1.0f);
  cr_expect_float_eq(exp_below_float(0.25f), 1.2840254f, 2e-7f);
  cr_expect_eq(exp_below_float(-88.0f), 0.0f);
  cr_expect_eq(exp_below_float(-3e38f), 0.0f);
  cr_expect_eq(exp_below_float(-INFINITY), 0.0f);
  cr_expect(isnan(exp_below_float(NAN)) && isnan(exp_below_float(-NAN)));
}
