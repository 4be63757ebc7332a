/* attention.c: softmax(scale q k') v by blocks of queries and keys: scores of a block are made, used and forgotten.
 *
 * Keys and values of a block are packed once (product.h). Then a few queries at a time run through all of it, as many
 * as a product's tile has rows: their scores stay in the first cache from the product that makes them over the softmax
 * to the product that uses them, and a causal query's few have no more keys than the last of them sees. Within those,
 * what lies beyond a query's own last key counts as p = 0 (so a NaN in v may reach earlier queries of its few).
 *
 * Source: Vaswani et al. 2017; blocks and the running softmax as in Dao et al. 2022 (FlashAttention). */
#include <math.h>

#include "product.h"
#include "state.h"
#include "vector.h"

enum { FEW = PRODUCT_ROWS };        /* queries that go together */
enum { QUERIES = 128, KEYS = 256 }; /* of a block, at most; multiples of PRODUCT_COLUMNS */
enum { PITCH = KEYS + 16 };         /* of a row of scores: rows a power of two apart would meet in the cache */
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

/* ---- blocks ---- */

/* What backward keeps of a block: packed keys, values (both ways the products need), queries and gradients of outputs,
 * and two blocks of scores. Forward needs less. */
static size_t numbers_of(size_t queries, size_t keys, size_t size) {
  return 3 * keys * c_padded(size) + 2 * queries * c_padded(size) + 2 * queries * PITCH;
}

/* Queries and keys of a block: fewer where heads are so large that they would not fit into scratch memory. */
typedef struct Blocks {
  size_t queries, keys;
} Blocks;

static Blocks blocks_of(size_t size) {
  Blocks blocks = {QUERIES, KEYS};
  while (numbers_of(blocks.queries, blocks.keys, size) > C_SCRATCH / sizeof(real) && blocks.keys > PRODUCT_COLUMNS)
    blocks = (Blocks){blocks.queries / 2, blocks.keys / 2};
  REQUIRE(numbers_of(blocks.queries, blocks.keys, size) <= C_SCRATCH / sizeof(real),
          "attention: a head of %zu numbers is too large", size);
  return blocks;
}

/* The next `count` numbers of scratch memory. */
static real *carve(real **scratch, size_t count) {
  real *piece = *scratch;
  *scratch += count;
  return piece;
}

/* Rows of a head, packed as they are (sums run over rows: weights times values), or crosswise (sums run over the head:
 * scores). */
static void pack_rows(real *to, Tensor x) {
  c_pack(to, x.data, x.pitch, 1, x.size[0], x.size[1]);
}
static void pack_across(real *to, Tensor x) {
  c_pack(to, x.data, 1, x.pitch, x.size[1], x.size[0]);
}

/* Scores of a few queries: s = scale x k', k packed across. */
static void score(real *s, Tensor x, const real *k, size_t keys, real scale) {
  size_t size = x.size[1];
  c_product(&(Product){.rows = x.size[0],
                       .columns = keys,
                       .sum = size,
                       .a = x.data,
                       .a_row = x.pitch,
                       .a_step = 1,
                       .b = k,
                       .b_panel = size * PRODUCT_COLUMNS,
                       .alpha = scale,
                       .c = s,
                       .c_pitch = PITCH});
}

/* Of a few queries: o = beta o + alpha p v; `packed` rows of v are packed, the first `keys` count. */
static void weigh(Tensor o, const real *p, const real *v, size_t packed, size_t keys, real alpha, real beta) {
  c_product(&(Product){.rows = o.size[0],
                       .columns = o.size[1],
                       .sum = keys,
                       .a = p,
                       .a_row = PITCH,
                       .a_step = 1,
                       .b = v,
                       .b_panel = packed * PRODUCT_COLUMNS,
                       .alpha = alpha,
                       .beta = beta,
                       .c = o.data,
                       .c_pitch = o.pitch});
}

/* ---- forward ---- */

static inline real larger(real x, real y) {
  return x > y ? x : y;
}

static inline real lanes_sum(real lane[2 * C_LANES]) {
  for (size_t j = 0; j < C_LANES; j++)
    lane[j] += lane[j + C_LANES];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* The largest of s and `most`; a NaN need not show. n: whole panels. */
C_CLONES static real largest(const real *s, size_t n, real most) {
  real lane[2 * C_LANES];
  for (size_t j = 0; j < 2 * C_LANES; j++)
    lane[j] = most;
  for (size_t i = 0; i < n; i += PRODUCT_COLUMNS)
    for (size_t j = 0; j < PRODUCT_COLUMNS; j++)
      lane[j] = larger(s[i + j], lane[j]);
  for (size_t j = 0; j < C_LANES; j++)
    lane[j] = larger(lane[j], lane[j + C_LANES]);
  return larger(larger(larger(lane[0], lane[4]), larger(lane[2], lane[6])),
                larger(larger(lane[1], lane[5]), larger(lane[3], lane[7])));
}

/* s becomes exp(s - most). Returns the sum. n: whole panels. */
C_CLONES static real exponentials(real *s, size_t n, real most) {
  real lane[2 * C_LANES] = {0};
  for (size_t j = 0; j < n; j++)
    s[j] = c_exp_below(s[j] - most);
  for (size_t i = 0; i < n; i += PRODUCT_COLUMNS)
    for (size_t j = 0; j < PRODUCT_COLUMNS; j++)
      lane[j] += s[i + j];
  return lanes_sum(lane);
}

C_CLONES static void multiply(real *x, size_t n, real factor) {
  for (size_t i = 0; i < n; i++)
    x[i] *= factor;
}

static void fill(real *x, size_t n, real value) {
  for (size_t i = 0; i < n; i++)
    x[i] = value;
}

/* For a query alone (a token at a time) packing costs more than the products: keys are read where they lie.
 * s = scale k q. */
C_CLONES static void score_alone(real *s, const real *q, Tensor k, real scale) {
  for (size_t j = 0; j < k.size[0]; j++) {
    const real *row = c_row(k, j);
    real lane[2 * C_LANES] = {0};
    size_t i = 0;
    for (; i + 2 * C_LANES <= k.size[1]; i += 2 * C_LANES)
      for (size_t l = 0; l < 2 * C_LANES; l++)
        lane[l] += q[i + l] * row[i + l];
    for (size_t l = 0; i < k.size[1]; i++, l++)
      lane[l] += q[i] * row[i];
    s[j] = scale * lanes_sum(lane);
  }
}

/* o = sum p v, or o += */
C_CLONES static void weigh_alone(real *restrict o, const real *restrict p, Tensor v, bool add) {
  for (size_t i = 0; i < v.size[1] && !add; i++)
    o[i] = 0;
  for (size_t j = 0; j < v.size[0]; j++) {
    const real *row = c_row(v, j);
    for (size_t i = 0; i < v.size[1]; i++)
      o[i] += p[j] * row[i];
  }
}

/* The largest score of each query so far, and the sum of its exp(score - most). */
typedef struct Running {
  real most[QUERIES], sum[QUERIES];
} Running;

/* Keys [from, from + width), packed or, for a query alone, not. */
typedef struct Keys {
  size_t from, width;
  Tensor k, v; /* where they lie */
  real *k_across, *v_packed;
  bool packed;
} Keys;

/* Queries [first, first + few) against a block of keys; the block of queries begins at `start`. */
static void forward_few(const Head *head, size_t start, size_t first, size_t few, const Keys *keys, Running *running) {
  Tensor q = tensor_rows(head->q, first, few), o = tensor_rows(head->o, first, few);
  real p[FEW * PITCH];
  size_t seen = block_seen(head, first + few - 1, keys->from, keys->width), padded = c_padded(seen);
  if (keys->packed)
    score(p, q, keys->k_across, padded, head->scale);
  else
    score_alone(p, q.data, keys->k, head->scale);
  for (size_t i = 0; i < few; i++) {
    real *row = p + i * PITCH, *most = &running->most[first - start + i], *sum = &running->sum[first - start + i];
    size_t own = block_seen(head, first + i, keys->from, keys->width);
    fill(row + own, padded - own, -(real)INFINITY);
    real highest = largest(row, padded, *most);
    real base = highest > -(real)INFINITY ? highest : 0; /* nothing but scores of -infinity: p = 0 */
    real shrink = c_exp_below(*most - base);
    *sum = *sum * shrink + exponentials(row, padded, base);
    *most = highest;
    if (keys->from > 0)
      multiply(c_row(o, i), o.size[1], shrink);
  }
  if (keys->packed)
    weigh(o, p, keys->v_packed, keys->width, seen, 1, keys->from > 0);
  else
    weigh_alone(o.data, p, keys->v, keys->from > 0);
}

/* The next block of keys. */
static void take_keys(Keys *keys, const Head *head, size_t width) {
  keys->width = width;
  keys->k = tensor_rows(head->k, keys->from, width);
  keys->v = tensor_rows(head->v, keys->from, width);
  if (keys->packed) {
    pack_across(keys->k_across, keys->k);
    pack_rows(keys->v_packed, keys->v);
  }
}

/* Queries [start, start + count): o = sum p v / sum p with p = exp(score - most), most the largest score so far; when a
 * block of keys raises it, what was summed before shrinks by exp(old - new). */
static void forward_block(const Head *head, size_t start, size_t count, Blocks blocks, real *scratch) {
  size_t last = keys_seen(head, start + count - 1), size = head->q.size[1];
  Keys keys = {.packed = count > 1};
  keys.k_across = carve(&scratch, blocks.keys * size);
  keys.v_packed = carve(&scratch, blocks.keys * c_padded(size));
  Running running;
  fill(running.most, count, -(real)INFINITY);
  fill(running.sum, count, 0);
  for (; keys.from < last; keys.from += blocks.keys) {
    take_keys(&keys, head, smaller(blocks.keys, last - keys.from));
    for (size_t i = 0; i < count; i += FEW)
      forward_few(head, start, start + i, smaller(FEW, count - i), &keys, &running);
  }
  for (size_t i = 0; i < count; i++) {
    multiply(c_row(head->o, start + i), size, 1 / running.sum[i]);
    if (head->lse.data)
      *c_row(head->lse, start + i) = running.most[i] + (real)log(running.sum[i]);
  }
}

void C_OPERATION(attention_fwd)(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                                const Attention *attention, const Ragged *queries, const Ragged *keys) {
  size_t heads = attention->heads, kv_heads = attention->kv_heads;
  bool large = queries->rows * keys->longest * q.size[1] > WORTH_THREADS;
  Blocks blocks = blocks_of(attention->size);
#pragma omp parallel num_threads(c_threads(ops)) if (large)
  for (size_t i = 0; i < queries->count; i++) {
    size_t rows = sample_rows(queries, i);
#pragma omp for collapse(2) schedule(static, 1) nowait
    for (size_t h = 0; h < heads; h++)
      for (size_t first = 0; first < rows; first += blocks.queries) {
        size_t kv = h / (heads / kv_heads);
        Head head = {.q = head_of(q, queries, i, h, heads),
                     .o = head_of(o, queries, i, h, heads),
                     .lse = head_of(lse, queries, i, h, heads),
                     .k = head_of(k, keys, i, kv, kv_heads),
                     .v = head_of(v, keys, i, kv, kv_heads),
                     .scale = (real)attention->scale,
                     .causal = attention->causal};
        forward_block(&head, first, smaller(blocks.queries, rows - first), blocks, c_scratch(ops));
      }
  }
}

/* ---- backward ---- */

/* Of one query: scores become p = exp(score - lse), dp = do v' becomes ds = p (dp - delta). */
C_CLONES static void score_gradient(real *p, real *ds, size_t n, real lse, real delta) {
  for (size_t j = 0; j < n; j++) {
    p[j] = c_exp_below(p[j] - lse);
    ds[j] = p[j] * (ds[j] - delta);
  }
}

C_CLONES static double dot(const real *x, const real *y, size_t n) {
  return c_dot(x, y, n);
}

/* A block of keys, packed: k and v across for scores, k as it is for dq. */
typedef struct Packed {
  size_t from, width; /* keys */
  real *k_across, *v_across, *k;
  real *q, *d_o; /* of a block of queries */
  real *p, *ds;  /* scores, PITCH apart */
} Packed;

static Packed packed_of(Blocks blocks, size_t size, real *scratch) {
  return (Packed){.k_across = carve(&scratch, blocks.keys * size),
                  .v_across = carve(&scratch, blocks.keys * size),
                  .k = carve(&scratch, blocks.keys * c_padded(size)),
                  .q = carve(&scratch, blocks.queries * c_padded(size)),
                  .d_o = carve(&scratch, blocks.queries * c_padded(size)),
                  .p = carve(&scratch, blocks.queries * PITCH),
                  .ds = carve(&scratch, blocks.queries * PITCH)};
}

/* Queries [first, first + few): rows p and ds, and what they give dq. Zeros follow what a query sees, as far as keys go
 * that are taken together with its last one. */
static void backward_few(const Head *head, size_t first, size_t few, const Packed *b, real *p, real *ds) {
  Tensor q = tensor_rows(head->q, first, few), dq = tensor_rows(head->dq, first, few);
  Tensor o = tensor_rows(head->o, first, few), d_o = tensor_rows(head->d_o, first, few);
  size_t seen = block_seen(head, first + few - 1, b->from, b->width), padded = c_padded(seen);
  score(p, q, b->k_across, padded, head->scale);
  score(ds, d_o, b->v_across, padded, 1);
  for (size_t i = 0; i < few; i++) {
    size_t own = block_seen(head, first + i, b->from, b->width);
    real delta = (real)dot(c_row(d_o, i), c_row(o, i), o.size[1]);
    score_gradient(p + i * PITCH, ds + i * PITCH, padded, *c_row(head->lse, first + i), delta);
    fill(p + i * PITCH + own, padded + FEW - own, 0);
    fill(ds + i * PITCH + own, padded + FEW - own, 0);
  }
  weigh(dq, ds, b->k, b->width, seen, head->scale, 1);
}

/* x += alpha s' y for a few keys, x their rows: queries [first, count) of the block see them. */
static void add_across(Tensor x, const real *s, const real *y, size_t first, size_t count, real alpha) {
  c_product(&(Product){.rows = x.size[0],
                       .columns = x.size[1],
                       .sum = count - first,
                       .a = s + first * PITCH,
                       .a_row = 1,
                       .a_step = PITCH,
                       .b = y + first * PRODUCT_COLUMNS,
                       .b_panel = count * PRODUCT_COLUMNS,
                       .alpha = alpha,
                       .beta = 1,
                       .c = x.data,
                       .c_pitch = x.pitch});
}

/* Queries [start, start + count) against a packed block of keys. */
static void backward_block(const Head *head, size_t start, size_t count, const Packed *b) {
  size_t blind = 0; /* queries that do not see the key */
  while (blind < count && block_seen(head, start + blind, b->from, b->width) == 0)
    blind++;
  start += blind, count -= blind;
  if (count == 0)
    return;
  pack_rows(b->q, tensor_rows(head->q, start, count));
  pack_rows(b->d_o, tensor_rows(head->d_o, start, count));
  for (size_t i = 0; i < count; i += FEW)
    backward_few(head, start + i, smaller(FEW, count - i), b, b->p + i * PITCH, b->ds + i * PITCH);
  size_t seen = block_seen(head, start + count - 1, b->from, b->width);
  blind = 0;
  for (size_t j = 0; j < seen; j += FEW) {
    size_t few = smaller(FEW, seen - j);
    while (block_seen(head, start + blind, b->from, b->width) <= j)
      blind++;
    add_across(tensor_rows(head->dv, b->from + j, few), b->p + j, b->d_o, blind, count, 1);
    add_across(tensor_rows(head->dk, b->from + j, few), b->ds + j, b->q, blind, count, head->scale);
  }
}

/* One query head of one sample. */
static void backward_head(const Head *head, Blocks blocks, real *scratch) {
  size_t rows = head->q.size[0], keys = head->k.size[0];
  Packed packed = packed_of(blocks, head->q.size[1], scratch);
  for (packed.from = 0; packed.from < keys; packed.from += blocks.keys) {
    packed.width = smaller(blocks.keys, keys - packed.from);
    Tensor k = tensor_rows(head->k, packed.from, packed.width), v = tensor_rows(head->v, packed.from, packed.width);
    pack_across(packed.k_across, k);
    pack_across(packed.v_across, v);
    pack_rows(packed.k, k);
    for (size_t start = 0; start < rows; start += blocks.queries)
      backward_block(head, start, smaller(blocks.queries, rows - start), &packed);
  }
}

/* A key head of a sample belongs to one thread, which adds what its query heads give, head by head, block by block; to
 * zeros, where it is to set. */
void C_OPERATION(attention_bwd)(const Ops *ops, Tensor dq, Tensor dk, Tensor dv, Tensor d_o, Tensor o, Tensor lse,
                                Tensor q, Tensor k, Tensor v, Write write, const Attention *attention,
                                const Ragged *queries, const Ragged *keys) {
  size_t heads = attention->heads, kv_heads = attention->kv_heads, group = heads / kv_heads;
  bool large = queries->rows * keys->longest * q.size[1] > WORTH_THREADS;
  Blocks blocks = blocks_of(attention->size);
  const Tensor set[] = {dq, dk, dv};
  for (int i = 0; i < 3 && write == WRITE_SET; i++)
    C_OPERATION(zero)(ops, set[i]);
#pragma omp parallel for collapse(2) schedule(static, 1) num_threads(c_threads(ops)) if (large)
  for (size_t i = 0; i < queries->count; i++)
    for (size_t kv = 0; kv < kv_heads; kv++)
      for (size_t h = kv * group; h < (kv + 1) * group; h++) {
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
        backward_head(&head, blocks, c_scratch(ops));
      }
}
