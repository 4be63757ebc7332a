/* test_kernels_attention.c: attention's kernels where the tests of operations do not go: rows that 16 bytes fit into,
 * heads of every tile's size, several tiles of queries and keys, parts of keys, and bf16; against the definition in
 * double on the same numbers.
 *
 * Tolerances: 8 sqrt(K) 2^-24 for sums in float; in bf16 8 x 2^-8 more, of the size of what is summed with absolute
 * values: p and ds are rounded before their products (2^-9 each), o before delta, and the result once. */
#include "operations.h"

typedef struct Case {
  size_t heads, kv_heads, size;
  bool causal, aligned;
  size_t count;
  int32_t queries[4], keys[4];
} Case;

enum { Q, K, V, O, LSE, DO, DQ, DK, DV, TENSORS };

typedef struct Set {
  Tensor t[TENSORS];
  Ragged queries, keys;
  Attention attention;
} Set;

static Ragged ragged(const Ops *ops, size_t count, const int32_t *offsets) {
  Ragged r = {.count = count, .rows = (size_t)offsets[count], .host = offsets};
  void *memory;
  cr_assert_eq(ops_alloc(ops, (count + 1) * sizeof *offsets, &memory).code, STATUS_OK);
  ops_write(ops, memory, offsets, (count + 1) * sizeof *offsets);
  r.offsets = tensor_1(memory, DTYPE_I32, count + 1);
  for (size_t i = 0; i < count; i++)
    if ((size_t)(offsets[i + 1] - offsets[i]) > r.longest)
      r.longest = (size_t)(offsets[i + 1] - offsets[i]);
  return r;
}

static Set make(const Ops *ops, const Case *c, Dtype type) {
  Set s = {.queries = ragged(ops, c->count, c->queries), .keys = ragged(ops, c->count, c->keys)};
  size_t wide = c->heads * c->size, narrow = c->kv_heads * c->size, gap = c->aligned ? 8 : 3;
  s.attention = (Attention){c->heads, c->kv_heads, c->size, 1.0 / sqrt((double)c->size), c->causal};
  for (int i = 0; i < TENSORS; i++) {
    bool of_keys = i == K || i == V || i == DK || i == DV;
    double centre = i == O || i == LSE ? NAN : 0.2;
    s.t[i] = tensor_on(ops, i == LSE ? DTYPE_F32 : type, of_keys ? s.keys.rows : s.queries.rows,
                       i == LSE  ? c->heads
                       : of_keys ? narrow
                                 : wide,
                       gap, centre, 1.0, (uint64_t)i + 1);
  }
  return s;
}

static void unmake(const Ops *ops, Set *s) {
  for (int i = 0; i < TENSORS; i++)
    ops_free(ops, s->t[i].data);
  ops_free(ops, s->queries.offsets.data);
  ops_free(ops, s->keys.offsets.data);
}

/* What each output should be, and the sum of absolute values behind it. */
typedef struct Expected {
  double *value[TENSORS], *size[TENSORS];
} Expected;

static double dot(Tensor x, size_t i, size_t x_at, Tensor y, size_t j, size_t y_at, size_t n) {
  double sum = 0.0;
  for (size_t d = 0; d < n; d++)
    sum += tensor_at(x, i, x_at + d) * tensor_at(y, j, y_at + d);
  return sum;
}

static void grow(Expected *e, int which, size_t place, double value, double size) {
  e->value[which][place] += value;
  e->size[which][place] += fabs(size);
}

/* Query row i of head h, which sees keys [first, end). */
static void expect_row(Expected *e, const Set *s, size_t i, size_t h, size_t first, size_t end) {
  const Tensor *t = s->t;
  const Attention *a = &s->attention;
  size_t n = a->size, at = h * n, kv_at = h / (a->heads / a->kv_heads) * n, wide = t[Q].size[1], narrow = t[K].size[1];
  double *p = calloc(end - first, sizeof *p), most = -INFINITY, sum = 0.0, delta = 0.0;
  for (size_t j = first; j < end; j++)
    most = fmax(most, p[j - first] = a->scale * dot(t[Q], i, at, t[K], j, kv_at, n));
  for (size_t j = first; j < end; j++)
    sum += p[j - first] = exp(p[j - first] - most);
  grow(e, LSE, i * a->heads + h, most + log(sum), most + log(sum));
  for (size_t j = first; j < end; j++) {
    p[j - first] /= sum;
    for (size_t d = 0; d < n; d++) {
      double v = p[j - first] * tensor_at(t[V], j, kv_at + d);
      grow(e, O, i * wide + at + d, v, v);
      delta += v * tensor_at(t[DO], i, at + d);
    }
  }
  for (size_t j = first; j < end; j++) {
    double dp = dot(t[DO], i, at, t[V], j, kv_at, n), ds = a->scale * p[j - first] * (dp - delta);
    double size = a->scale * p[j - first] * (fabs(dp) + fabs(delta));
    for (size_t d = 0; d < n; d++) {
      double k = tensor_at(t[K], j, kv_at + d), q = tensor_at(t[Q], i, at + d), g = tensor_at(t[DO], i, at + d);
      grow(e, DQ, i * wide + at + d, ds * k, size * k);
      grow(e, DK, j * narrow + kv_at + d, ds * q, size * q);
      grow(e, DV, j * narrow + kv_at + d, p[j - first] * g, p[j - first] * g);
    }
  }
  free(p);
}

/* Gradients add to what is there. */
static Expected expected_of(const Set *s) {
  Expected e = {0};
  for (int i = 0; i < TENSORS; i++) {
    e.value[i] = calloc(tensor_count(s->t[i]) + 1, sizeof(double));
    e.size[i] = calloc(tensor_count(s->t[i]) + 1, sizeof(double));
    if (i >= DQ)
      FOR_EACH(s->t[i], row, j)
    grow(&e, i, row * s->t[i].size[1] + j, tensor_at(s->t[i], row, j), tensor_at(s->t[i], row, j));
  }
  for (size_t b = 0; b < s->queries.count; b++) {
    size_t end = (size_t)s->queries.host[b + 1], keys_end = (size_t)s->keys.host[b + 1];
    for (size_t i = (size_t)s->queries.host[b]; i < end; i++)
      for (size_t h = 0; h < s->attention.heads; h++)
        expect_row(&e, s, i, h, (size_t)s->keys.host[b], s->attention.causal ? keys_end - (end - 1 - i) : keys_end);
  }
  return e;
}

static void expect_sized(const Set *s, const Expected *e, int which, double allowed, const char *name) {
  Tensor x = s->t[which];
  double square = 0.0, worst = 0.0;
  size_t count = tensor_count(x);
  for (size_t k = 0; k < count; k++)
    square += e->size[which][k] * e->size[which][k];
  FOR_EACH(x, i, j) {
    size_t k = i * x.size[1] + j;
    double error =
        fabs(tensor_at(x, i, j) - e->value[which][k]) / (allowed * (e->size[which][k] + sqrt(square / (double)count)));
    if (!(error <= worst))
      worst = isnan(error) ? INFINITY : error;
  }
  cr_expect(worst <= 1.0, "%s, %s, heads of %zu: %g of the tolerance", name, dtype_name(x.dtype), s->attention.size,
            worst);
  if (getenv("SEESAW_ERRORS"))
    fprintf(stderr, "%s, %s, heads of %zu: %.3f of the tolerance\n", name, dtype_name(x.dtype), s->attention.size,
            worst);
}

static void compare(const Case *c, Dtype type, StandInOrder order) {
  static const char *const names[] = {"q", "k", "v", "o", "lse", "do", "dq", "dk", "dv"};
  Ops ops;
  cr_assert_eq(stand_in_open(&ops, type, order, 3).code, STATUS_OK);
  Set s = make(&ops, c, type);
  Expected e = expected_of(&s);
  Tensor *t = s.t;
  attention_fwd(&ops, t[O], t[LSE], t[Q], t[K], t[V], &s.attention, &s.queries, &s.keys);
  attention_bwd(&ops, t[DQ], t[DK], t[DV], t[DO], t[O], t[LSE], t[Q], t[K], t[V], WRITE_ADD, &s.attention, &s.queries,
                &s.keys);
  Status status = ops_status(&ops);
  cr_expect_eq(status.code, STATUS_OK, "%s", status.message);
  double sum = (double)(c->size + s.keys.longest + c->heads / c->kv_heads * s.queries.longest);
  double allowed = 8.0 * sqrt(sum) * 0x1p-24;
  for (int i = O; i < TENSORS; i++)
    if (i != DO)
      expect_sized(&s, &e, i, allowed + (type == DTYPE_BF16 && i != LSE ? 8.0 * 0x1p-8 : 0.0), names[i]);
  for (int i = 0; i < TENSORS; i++) {
    free(e.value[i]);
    free(e.size[i]);
  }
  unmake(&ops, &s);
  stand_in_close(&ops);
}

static const Case cases[] = {
    {2, 1, 32, true, true, 2, {0, 37, 38}, {0, 70, 71}},
    {1, 1, 64, false, true, 1, {0, 131}, {0, 67}},
    {2, 1, 128, true, true, 3, {0, 35, 35, 36}, {0, 35, 40, 77}},
    {3, 3, 40, false, false, 2, {0, 5, 12}, {0, 33, 35}},
    {4, 2, 72, true, false, 1, {0, 9}, {0, 9}},
    {4, 2, 128, true, true, 2, {0, 1, 3}, {0, 300, 310}}, /* in parts */
    {4, 1, 24, true, false, 2, {0, 1, 2}, {0, 129, 131}},
};

Test(kernels_attention, float_is_its_definition) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    compare(&cases[i], DTYPE_F32, (StandInOrder)(i % STAND_IN_ORDERS));
}

Test(kernels_attention, bf16_is_its_definition) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    compare(&cases[i], DTYPE_BF16, (StandInOrder)(i % STAND_IN_ORDERS));
}

static void large_head(void) {
  static const Case c = {1, 1, 136, false, true, 1, {0, 9}, {0, 9}};
  Ops ops;
  cr_assert_eq(stand_in_open(&ops, DTYPE_F32, STAND_IN_FORWARD, 3).code, STATUS_OK);
  Set s = make(&ops, &c, DTYPE_F32);
  attention_fwd(&ops, s.t[O], s.t[LSE], s.t[Q], s.t[K], s.t[V], &s.attention, &s.queries, &s.keys);
}

Test(kernels_attention, larger_heads_stop) {
  expect_stop(large_head, "heads of 136", "128 is the most");
}
