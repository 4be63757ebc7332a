/* attention.c: softmax(scale q k') v by blocks of queries and keys: scores of a block are made, used and forgotten.
 *
 * Source: Vaswani et al. 2017; blocks and the running softmax as in Dao et al. 2022 (FlashAttention). A causal block
 * ends with the last key that its last query sees; within it, what lies beyond a query's own last key counts as p = 0
 * (so a NaN in v may reach earlier queries of its block). */
#include <math.h>

#include "gemm.h"
#include "state.h"
#include "vector.h"

enum { QUERIES = 128, KEYS = 256 }; /* of a block */
enum { WORTH_THREADS = 1 << 16 };   /* products: fewer are done before a thread wakes */

/* One head of one sample: views of its queries' and its keys' rows. */
typedef struct Head {
  Tensor q, o, dq, d_o, k, v, dk, dv;
  Tensor lse; /* (queries, 1); absent: not kept */
  real scale;
  bool causal;
} Head;

/* The rows of sample i in the columns of head h of `heads`. */
static Tensor head_of(Tensor x, const Ragged *rows, size_t i, size_t h, size_t heads) {
  if (!x.data)
    return x;
  size_t first = (size_t)rows->host[i], count = (size_t)rows->host[i + 1] - first, size = x.size[1] / heads;
  return tensor_columns(tensor_rows(x, first, count), h * size, size);
}

static size_t sample_rows(const Ragged *ragged, size_t i) {
  return (size_t)(ragged->host[i + 1] - ragged->host[i]);
}

static size_t smaller(size_t x, size_t y) {
  return x < y ? x : y;
}

/* How many of the head's keys query i sees. */
static size_t keys_seen(const Head *head, size_t i) {
  size_t keys = head->k.size[0];
  return head->causal ? keys - head->q.size[0] + i + 1 : keys;
}

/* How many of the block's keys query i sees, the block's first key being `first`. */
static size_t block_seen(const Head *head, size_t i, size_t first, size_t count) {
  size_t seen = keys_seen(head, i);
  return seen > first ? smaller(seen - first, count) : 0;
}

/* c = alpha a b + beta c; a' and b' where said so. */
static void product(real beta, Tensor c, real alpha, Tensor a, CBLAS_TRANSPOSE op_a, Tensor b, CBLAS_TRANSPOSE op_b) {
  c_gemm(op_a, op_b, c.size[0], c.size[1], a.size[op_a == CblasTrans ? 0 : 1], alpha, a.data, a.pitch, b.data, b.pitch,
         beta, c.data, c.pitch);
}

/* Room for the numbers of a block of queries by keys. */
static Tensor block(void *memory, size_t queries, size_t keys) {
  Tensor room = tensor_2(memory, sizeof(real) == 8 ? DTYPE_F64 : DTYPE_F32, QUERIES, KEYS);
  return tensor_columns(tensor_rows(room, 0, queries), 0, keys);
}

/* ---- forward ---- */

/* The largest of s and `most`; a NaN need not show. */
C_CLONES static real largest(const real *s, size_t n, real most) {
  real lane[2 * C_LANES];
  size_t i = 0;
  for (size_t j = 0; j < 2 * C_LANES; j++)
    lane[j] = most;
  for (; i + 2 * C_LANES <= n; i += 2 * C_LANES)
    for (size_t j = 0; j < 2 * C_LANES; j++)
      lane[j] = s[i + j] > lane[j] ? s[i + j] : lane[j];
  for (; i < n; i++)
    lane[0] = s[i] > lane[0] ? s[i] : lane[0];
  for (size_t j = 0; j < 2 * C_LANES; j++)
    most = lane[j] > most ? lane[j] : most;
  return most;
}

/* s becomes exp(s - most). Returns the sum. */
C_CLONES static real exponentials(real *s, size_t n, real most) {
  real lane[2 * C_LANES] = {0}, sum = 0;
  size_t i = 0;
  for (size_t j = 0; j < n; j++)
    s[j] = c_exp(s[j] - most);
  for (; i + 2 * C_LANES <= n; i += 2 * C_LANES)
    for (size_t j = 0; j < 2 * C_LANES; j++)
      lane[j] += s[i + j];
  for (size_t j = 0; i < n; i++, j++)
    lane[j] += s[i];
  for (size_t j = 0; j < 2 * C_LANES; j++)
    sum += lane[j];
  return sum;
}

C_CLONES static void multiply(real *x, size_t n, real factor) {
  for (size_t i = 0; i < n; i++)
    x[i] *= factor;
}

static void fill_zero(real *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    x[i] = 0;
}

/* Queries [first, first + count): o = sum p v / sum p with p = exp(score - most), most the largest score so far; when a
 * block of keys raises it, what was summed before shrinks by exp(old - new). */
static void forward_block(const Head *head, size_t first, size_t count, void *scratch) {
  Tensor q = tensor_rows(head->q, first, count), o = tensor_rows(head->o, first, count);
  size_t keys = keys_seen(head, first + count - 1), size = q.size[1];
  real most[QUERIES], sum[QUERIES];
  for (size_t i = 0; i < count; i++)
    most[i] = -(real)INFINITY, sum[i] = 0;
  for (size_t from = 0; from < keys; from += KEYS) {
    size_t width = smaller(KEYS, keys - from);
    Tensor k = tensor_rows(head->k, from, width), v = tensor_rows(head->v, from, width);
    Tensor p = block(scratch, count, width);
    product(0, p, head->scale, q, CblasNoTrans, k, CblasTrans);
    for (size_t i = 0; i < count; i++) {
      size_t seen = block_seen(head, first + i, from, width);
      real highest = largest(c_row(p, i), seen, most[i]);
      real base = highest > -(real)INFINITY ? highest : 0; /* nothing but scores of -infinity: p = 0 */
      real shrink = c_exp(most[i] - base);
      sum[i] = sum[i] * shrink + exponentials(c_row(p, i), seen, base);
      most[i] = highest;
      fill_zero(c_row(p, i) + seen, width - seen);
      if (from > 0)
        multiply(c_row(o, i), size, shrink);
    }
    product(from > 0, o, 1, p, CblasNoTrans, v, CblasNoTrans);
  }
  for (size_t i = 0; i < count; i++) {
    multiply(c_row(o, i), size, 1 / sum[i]);
    if (head->lse.data)
      *c_row(head->lse, first + i) = most[i] + (real)log(sum[i]);
  }
}

void C_OPERATION(attention_fwd)(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                                const Attention *attention, const Ragged *queries, const Ragged *keys) {
  size_t heads = attention->heads, kv_heads = attention->kv_heads;
  bool large = queries->rows * keys->longest * q.size[1] > WORTH_THREADS;
#pragma omp parallel num_threads(c_threads(ops)) if (large)
  for (size_t i = 0; i < queries->count; i++) {
    size_t rows = sample_rows(queries, i), blocks = (rows + QUERIES - 1) / QUERIES;
#pragma omp for collapse(2) schedule(static, 1) nowait
    for (size_t h = 0; h < heads; h++)
      for (size_t b = 0; b < blocks; b++) {
        size_t first = b * QUERIES, kv = h / (heads / kv_heads);
        Head head = {.q = head_of(q, queries, i, h, heads),
                     .o = head_of(o, queries, i, h, heads),
                     .lse = head_of(lse, queries, i, h, heads),
                     .k = head_of(k, keys, i, kv, kv_heads),
                     .v = head_of(v, keys, i, kv, kv_heads),
                     .scale = (real)attention->scale,
                     .causal = attention->causal};
        forward_block(&head, first, smaller(QUERIES, rows - first), c_scratch(ops));
      }
  }
}

/* ---- backward ---- */

/* Of one query: scores become p = exp(score - lse), dp = do v' becomes ds = p (dp - delta). */
C_CLONES static void score_gradient(real *p, real *ds, size_t n, real lse, real delta) {
  for (size_t j = 0; j < n; j++) {
    p[j] = c_exp(p[j] - lse);
    ds[j] = p[j] * (ds[j] - delta);
  }
}

C_CLONES static double dot(const real *x, const real *y, size_t n) {
  return c_dot(x, y, n);
}

static void backward_block(const Head *head, size_t first, size_t count, real *scratch) {
  Tensor q = tensor_rows(head->q, first, count), dq = tensor_rows(head->dq, first, count);
  Tensor o = tensor_rows(head->o, first, count), d_o = tensor_rows(head->d_o, first, count);
  Tensor lse = tensor_rows(head->lse, first, count);
  size_t keys = keys_seen(head, first + count - 1);
  real delta[QUERIES];
  for (size_t i = 0; i < count; i++)
    delta[i] = (real)dot(c_row(d_o, i), c_row(o, i), o.size[1]);
  for (size_t from = 0; from < keys; from += KEYS) {
    size_t width = smaller(KEYS, keys - from);
    Tensor k = tensor_rows(head->k, from, width), dk = tensor_rows(head->dk, from, width);
    Tensor v = tensor_rows(head->v, from, width), dv = tensor_rows(head->dv, from, width);
    Tensor p = block(scratch, count, width), ds = block(scratch + QUERIES * KEYS, count, width);
    product(0, p, head->scale, q, CblasNoTrans, k, CblasTrans);
    product(0, ds, 1, d_o, CblasNoTrans, v, CblasTrans);
    for (size_t i = 0; i < count; i++) {
      size_t seen = block_seen(head, first + i, from, width);
      score_gradient(c_row(p, i), c_row(ds, i), seen, *c_row(lse, i), delta[i]);
      fill_zero(c_row(p, i) + seen, width - seen);
      fill_zero(c_row(ds, i) + seen, width - seen);
    }
    product(1, dv, 1, p, CblasTrans, d_o, CblasNoTrans);
    product(1, dq, head->scale, ds, CblasNoTrans, k, CblasNoTrans);
    product(1, dk, head->scale, ds, CblasTrans, q, CblasNoTrans);
  }
}

/* A key head of a sample belongs to one thread, which adds what its query heads give, head by head, block by block. */
void C_OPERATION(attention_bwd)(const Ops *ops, Tensor dq, Tensor dk, Tensor dv, Tensor d_o, Tensor o, Tensor lse,
                                Tensor q, Tensor k, Tensor v, const Attention *attention, const Ragged *queries,
                                const Ragged *keys) {
  size_t heads = attention->heads, kv_heads = attention->kv_heads, group = heads / kv_heads;
  bool large = queries->rows * keys->longest * q.size[1] > WORTH_THREADS;
#pragma omp parallel for collapse(2) schedule(static, 1) num_threads(c_threads(ops)) if (large)
  for (size_t i = 0; i < queries->count; i++)
    for (size_t kv = 0; kv < kv_heads; kv++)
      for (size_t h = kv * group; h < (kv + 1) * group; h++) {
        size_t rows = sample_rows(queries, i);
        Head head = {.q = head_of(q, queries, i, h, heads),
                     .dq = head_of(dq, queries, i, h, heads),
                     .o = head_of(o, queries, i, h, heads),
                     .d_o = head_of(d_o, queries, i, h, heads),
                     .lse = head_of(lse, queries, i, h, heads),
                     .k = head_of(k, keys, i, kv, kv_heads),
                     .dk = head_of(dk, keys, i, kv, kv_heads),
                     .v = head_of(v, keys, i, kv, kv_heads),
                     .dv = head_of(dv, keys, i, kv, kv_heads),
                     .scale = (real)attention->scale,
                     .causal = attention->causal};
        for (size_t first = 0; first < rows; first += QUERIES)
          backward_block(&head, first, smaller(QUERIES, rows - first), c_scratch(ops));
      }
}
