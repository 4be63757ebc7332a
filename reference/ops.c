/* ops.c: each operation's shapes are checked here, once for all backends; then the backend, if there is one, does it.
 */
#include "ops.h"

#include <stdio.h>
#include <string.h>

Dtype ops_fine(const Ops *ops) {
  return ops->real == DTYPE_BF16 ? DTYPE_F32 : ops->real;
}

static bool on_c(const Ops *ops) {
  return !ops->table || strcmp(ops->table->name, "c") == 0;
}

char *ops_print(const Ops *ops, char text[OPS_ROOM]) {
  snprintf(text, OPS_ROOM, "%s%s%s", dtype_name(ops->real), on_c(ops) ? "" : " on ", on_c(ops) ? "" : ops->table->name);
  return text;
}

bool ops_definition(const Ops *ops) {
  return on_c(ops) && ops->real == DTYPE_F32;
}

/* ---- checks: a mistake of the caller's stops, naming the operation, the tensor, what it is and what it should be ----
 */

/* A tensor of `rank` 1 (rows) or 2 (rows x columns). */
static void expect(const char *operation, const char *name, Tensor tensor, Dtype dtype, int rank, size_t rows,
                   size_t columns) {
  char is[64], should[64];
  Tensor right = rank == 1 ? tensor_1(NULL, dtype, rows) : tensor_2(NULL, dtype, rows, columns);
  REQUIRE(tensor_same(tensor, right), "%s: %s is %s, should be %s", operation, name, tensor_print(tensor, is),
          tensor_print(right, should));
  REQUIRE(tensor.data || tensor_count(tensor) == 0, "%s: %s has no data", operation, name);
  REQUIRE(rank == 2 || tensor_contiguous(tensor), "%s: %s is not contiguous", operation, name);
}

static void expect_optional(const char *operation, const char *name, Tensor tensor, Dtype dtype, int rank, size_t rows,
                            size_t columns) {
  if (tensor.data)
    expect(operation, name, tensor, dtype, rank, rows, columns);
}

/* What a tensor's type should be: its own, where that is among the types that weights are stored in; else real. */
static Dtype stored(const Ops *ops, Tensor tensor) {
  bool known = tensor.dtype == DTYPE_F32 || tensor.dtype == DTYPE_BF16 || tensor.dtype == DTYPE_F16;
  return known ? tensor.dtype : ops->real;
}

/* Likewise where real and fine will do. */
static Dtype either(const Ops *ops, Tensor tensor) {
  return tensor.dtype == ops_fine(ops) ? tensor.dtype : ops->real;
}

/* A weight matrix: contiguous, of any type that is converted as it is used. */
static void expect_weight(const Ops *ops, const char *operation, Tensor w, size_t rows, size_t columns) {
  expect(operation, "w", w, stored(ops, w), 2, rows, columns);
  REQUIRE(tensor_contiguous(w), "%s: w is not contiguous", operation);
}

static void expect_rank_2(const char *operation, const char *name, Tensor tensor) {
  char is[64];
  REQUIRE(tensor.rank == 2, "%s: %s is %s, should have two sizes", operation, name, tensor_print(tensor, is));
}

/* Like x: one or two sizes. */
static void expect_like(const char *operation, const char *name, Tensor tensor, Tensor x) {
  expect(operation, name, tensor, x.dtype, x.rank, x.size[0], x.size[1]);
}

static void expect_ragged(const char *operation, const char *name, const Ragged *ragged) {
  REQUIRE(ragged->host[0] == 0 && (size_t)ragged->host[ragged->count] == ragged->rows,
          "%s: offsets of %s end at %d, but there are %zu rows", operation, name, ragged->host[ragged->count],
          ragged->rows);
  size_t longest = 0;
  for (size_t i = 0; i < ragged->count; i++) {
    size_t rows = (size_t)(ragged->host[i + 1] - ragged->host[i]);
    longest = rows > longest ? rows : longest;
  }
  REQUIRE(longest == ragged->longest, "%s: the longest sample of %s has %zu rows, not %zu", operation, name, longest,
          ragged->longest);
  expect(operation, name, ragged->offsets, DTYPE_I32, 1, ragged->count + 1, 0);
}

/* ---- counting: two operations for each product and sum ---- */

static void count_product(const Ops *ops, size_t rows, size_t columns, size_t sum) {
  if (ops->operations)
    *ops->operations += 2.0 * (double)rows * (double)columns * (double)sum;
}

/* `products` matrix products over the pairs of queries and keys that see each other. */
static void count_attention(const Ops *ops, double products, const Attention *a, const Ragged *queries,
                            const Ragged *keys) {
  double seen = 0.0;
  for (size_t i = 0; i < queries->count && ops->operations; i++) {
    double n = queries->host[i + 1] - queries->host[i], m = keys->host[i + 1] - keys->host[i];
    seen += a->causal ? n * (m - n) + n * (n + 1.0) / 2.0 : n * m;
  }
  if (ops->operations)
    *ops->operations += 2.0 * products * seen * (double)(a->heads * a->size);
}

/* ---- memory ---- */

Status ops_alloc(const Ops *ops, size_t bytes, void **memory) {
  *memory = NULL;
  return ops->table ? ops->table->alloc(ops, bytes, memory) : status_ok();
}

void ops_free(const Ops *ops, void *memory) {
  if (ops->table)
    ops->table->free(ops, memory);
}

void ops_write(const Ops *ops, void *to, const void *from, size_t bytes) {
  if (ops->table)
    ops->table->write(ops, to, from, bytes);
}

void ops_read(const Ops *ops, void *to, const void *from, size_t bytes) {
  if (ops->table)
    ops->table->read(ops, to, from, bytes);
}

Status ops_status(const Ops *ops) {
  return ops->table ? ops->table->status(ops) : status_ok();
}

/* ---- linear ---- */

void linear_fwd(const Ops *ops, Tensor y, Tensor x, Tensor w, Tensor b, Tensor onto) {
  expect_rank_2("linear_fwd", "w", w);
  expect_weight(ops, "linear_fwd", w, w.size[0], w.size[1]);
  expect("linear_fwd", "x", x, ops->real, 2, x.size[0], w.size[1]);
  expect("linear_fwd", "y", y, ops->real, 2, x.size[0], w.size[0]);
  expect_optional("linear_fwd", "b", b, ops->real, 1, w.size[0], 0);
  expect_optional("linear_fwd", "onto", onto, ops->real, 2, x.size[0], w.size[0]);
  REQUIRE(onto.data != y.data || onto.pitch == y.pitch || y.size[0] < 2,
          "linear_fwd: onto lies where y does, but its rows are %zu numbers apart, should be %zu", onto.pitch, y.pitch);
  count_product(ops, x.size[0], w.size[0], w.size[1]);
  if (ops->table)
    ops->table->linear_fwd(ops, y, x, w, b, onto);
}

void linear_bwd_input(const Ops *ops, Tensor dx, Tensor dy, Tensor w, Write write) {
  expect_rank_2("linear_bwd_input", "w", w);
  expect_weight(ops, "linear_bwd_input", w, w.size[0], w.size[1]);
  expect("linear_bwd_input", "dy", dy, ops->real, 2, dy.size[0], w.size[0]);
  expect_optional("linear_bwd_input", "dx", dx, ops->real, 2, dy.size[0], w.size[1]);
  if (dx.data)
    count_product(ops, dy.size[0], w.size[0], w.size[1]);
  if (ops->table && dx.data)
    ops->table->linear_bwd_input(ops, dx, dy, w, write);
}

void linear_bwd_weight(const Ops *ops, Tensor dw, Tensor db, Tensor dy, Tensor x) {
  expect("linear_bwd_weight", "dy", dy, ops->real, 2, dy.size[0], dy.size[1]);
  expect("linear_bwd_weight", "x", x, ops->real, 2, dy.size[0], x.size[1]);
  expect_optional("linear_bwd_weight", "dw", dw, ops_fine(ops), 2, dy.size[1], x.size[1]);
  expect_optional("linear_bwd_weight", "db", db, ops_fine(ops), 1, dy.size[1], 0);
  if (dw.data)
    count_product(ops, dy.size[1], x.size[1], dy.size[0]);
  if (ops->table && (dw.data || db.data))
    ops->table->linear_bwd_weight(ops, dw, db, dy, x);
}

/* ---- normalisation ---- */

void layernorm_fwd(const Ops *ops, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor g, Tensor b, double epsilon) {
  expect("layernorm_fwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect_like("layernorm_fwd", "y", y, x);
  expect("layernorm_fwd", "mean", mean, ops_fine(ops), 1, x.size[0], 0);
  expect("layernorm_fwd", "rstd", rstd, ops_fine(ops), 1, x.size[0], 0);
  expect("layernorm_fwd", "g", g, ops->real, 1, x.size[1], 0);
  expect("layernorm_fwd", "b", b, ops->real, 1, x.size[1], 0);
  if (ops->table)
    ops->table->layernorm_fwd(ops, y, mean, rstd, x, g, b, epsilon);
}

void layernorm_bwd(const Ops *ops, Tensor dx, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor g, Tensor mean,
                   Tensor rstd) {
  expect("layernorm_bwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect_like("layernorm_bwd", "dy", dy, x);
  expect_optional("layernorm_bwd", "dx", dx, ops->real, 2, x.size[0], x.size[1]);
  expect_optional("layernorm_bwd", "dg", dg, ops_fine(ops), 1, x.size[1], 0);
  expect_optional("layernorm_bwd", "db", db, ops_fine(ops), 1, x.size[1], 0);
  expect("layernorm_bwd", "g", g, ops->real, 1, x.size[1], 0);
  expect("layernorm_bwd", "mean", mean, ops_fine(ops), 1, x.size[0], 0);
  expect("layernorm_bwd", "rstd", rstd, ops_fine(ops), 1, x.size[0], 0);
  if (ops->table)
    ops->table->layernorm_bwd(ops, dx, dg, db, dy, x, g, mean, rstd);
}

void rmsnorm_fwd(const Ops *ops, Tensor y, Tensor rstd, Tensor x, Tensor g, double epsilon) {
  expect("rmsnorm_fwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect_like("rmsnorm_fwd", "y", y, x);
  expect("rmsnorm_fwd", "rstd", rstd, ops_fine(ops), 1, x.size[0], 0);
  expect("rmsnorm_fwd", "g", g, ops->real, 1, x.size[1], 0);
  if (ops->table)
    ops->table->rmsnorm_fwd(ops, y, rstd, x, g, epsilon);
}

void rmsnorm_bwd(const Ops *ops, Tensor dx, Tensor dg, Tensor dy, Tensor x, Tensor g, Tensor rstd) {
  expect("rmsnorm_bwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect_like("rmsnorm_bwd", "dy", dy, x);
  expect_optional("rmsnorm_bwd", "dx", dx, ops->real, 2, x.size[0], x.size[1]);
  expect_optional("rmsnorm_bwd", "dg", dg, ops_fine(ops), 1, x.size[1], 0);
  expect("rmsnorm_bwd", "g", g, ops->real, 1, x.size[1], 0);
  expect("rmsnorm_bwd", "rstd", rstd, ops_fine(ops), 1, x.size[0], 0);
  if (ops->table)
    ops->table->rmsnorm_bwd(ops, dx, dg, dy, x, g, rstd);
}

/* ---- elementwise ---- */

void activation_fwd(const Ops *ops, Tensor y, Tensor x, Activation kind) {
  expect("activation_fwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect_like("activation_fwd", "y", y, x);
  if (ops->table)
    ops->table->activation_fwd(ops, y, x, kind);
}

void activation_bwd(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Activation kind, Write write) {
  expect("activation_bwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect_like("activation_bwd", "dx", dx, x);
  expect_like("activation_bwd", "dy", dy, x);
  if (ops->table)
    ops->table->activation_bwd(ops, dx, dy, x, kind, write);
}

void swiglu_fwd(const Ops *ops, Tensor y, Tensor x) {
  expect("swiglu_fwd", "y", y, ops->real, 2, y.size[0], y.size[1]);
  expect("swiglu_fwd", "x", x, ops->real, 2, y.size[0], 2 * y.size[1]);
  if (ops->table)
    ops->table->swiglu_fwd(ops, y, x);
}

void swiglu_bwd(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  expect("swiglu_bwd", "dy", dy, ops->real, 2, dy.size[0], dy.size[1]);
  expect("swiglu_bwd", "x", x, ops->real, 2, dy.size[0], 2 * dy.size[1]);
  expect_like("swiglu_bwd", "dx", dx, x);
  if (ops->table)
    ops->table->swiglu_bwd(ops, dx, dy, x, write);
}

void rope(const Ops *ops, Tensor x, Tensor position, Tensor frequency, bool inverse) {
  expect("rope", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect("rope", "position", position, DTYPE_I32, 1, x.size[0], 0);
  expect("rope", "frequency", frequency, DTYPE_F64, 1, frequency.size[0], 0);
  REQUIRE(frequency.size[0] > 0 && x.size[1] % (2 * frequency.size[0]) == 0,
          "rope: %zu columns are no whole number of heads of %zu", x.size[1], 2 * frequency.size[0]);
  if (ops->table)
    ops->table->rope(ops, x, position, frequency, inverse);
}

void ops_copy(const Ops *ops, Tensor y, Tensor x) {
  expect("copy", "x", x, x.dtype, x.rank, x.size[0], x.size[1]);
  expect_like("copy", "y", y, x);
  if (ops->table)
    ops->table->copy(ops, y, x);
}

void ops_add(const Ops *ops, Tensor y, Tensor x) {
  expect("add", "x", x, either(ops, x), x.rank, x.size[0], x.size[1]);
  expect_like("add", "y", y, x);
  if (ops->table)
    ops->table->add(ops, y, x);
}

void ops_scale(const Ops *ops, Tensor y, double factor) {
  expect("scale", "y", y, either(ops, y), y.rank, y.size[0], y.size[1]);
  if (ops->table)
    ops->table->scale(ops, y, factor);
}

void ops_zero(const Ops *ops, Tensor y) {
  REQUIRE(y.data || tensor_count(y) == 0, "zero: y has no data");
  if (ops->table)
    ops->table->zero(ops, y);
}

void normal_fill(const Ops *ops, Tensor y, Rng rng, uint64_t first, double factor) {
  expect("normal_fill", "y", y, either(ops, y), y.rank, y.size[0], y.size[1]);
  REQUIRE(tensor_contiguous(y), "normal_fill: y is not contiguous");
  if (ops->table)
    ops->table->normal_fill(ops, y, rng, first, factor);
}

/* ---- attention ---- */

static void expect_attention(const Ops *ops, const char *operation, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                             const Attention *a, const Ragged *queries, const Ragged *keys) {
  REQUIRE(a->kv_heads > 0 && a->heads % a->kv_heads == 0, "%s: %zu heads share %zu key heads", operation, a->heads,
          a->kv_heads);
  REQUIRE(queries->count == keys->count, "%s: %zu samples of queries, %zu of keys", operation, queries->count,
          keys->count);
  expect_ragged(operation, "queries", queries);
  expect_ragged(operation, "keys", keys);
  expect(operation, "q", q, ops->real, 2, queries->rows, a->heads * a->size);
  expect(operation, "o", o, ops->real, 2, queries->rows, a->heads * a->size);
  expect(operation, "k", k, ops->real, 2, keys->rows, a->kv_heads * a->size);
  expect(operation, "v", v, ops->real, 2, keys->rows, a->kv_heads * a->size);
  expect_optional(operation, "lse", lse, ops_fine(ops), 2, queries->rows, a->heads);
  for (size_t i = 0; i < keys->count; i++) {
    int32_t seen = keys->host[i + 1] - keys->host[i], asking = queries->host[i + 1] - queries->host[i];
    REQUIRE(asking == 0 || seen >= (a->causal ? asking : 1), "%s: sample %zu has %d queries but %d keys", operation, i,
            asking, seen);
  }
}

void attention_fwd(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, const Attention *attention,
                   const Ragged *queries, const Ragged *keys) {
  expect_attention(ops, "attention_fwd", o, lse, q, k, v, attention, queries, keys);
  count_attention(ops, 2.0, attention, queries, keys);
  if (ops->table)
    ops->table->attention_fwd(ops, o, lse, q, k, v, attention, queries, keys);
}

void attention_bwd(const Ops *ops, Tensor dq, Tensor dk, Tensor dv, Tensor d_o, Tensor o, Tensor lse, Tensor q,
                   Tensor k, Tensor v, Write write, const Attention *attention, const Ragged *queries,
                   const Ragged *keys) {
  expect_attention(ops, "attention_bwd", o, lse, q, k, v, attention, queries, keys);
  REQUIRE(lse.data, "attention_bwd: lse was not kept");
  expect_like("attention_bwd", "do", d_o, o);
  expect_like("attention_bwd", "dq", dq, q);
  expect_like("attention_bwd", "dk", dk, k);
  expect_like("attention_bwd", "dv", dv, v);
  count_attention(ops, 5.0, attention, queries, keys);
  if (ops->table)
    ops->table->attention_bwd(ops, dq, dk, dv, d_o, o, lse, q, k, v, write, attention, queries, keys);
}

/* ---- moving rows ---- */

void gather_fwd(const Ops *ops, Tensor y, Tensor table, Tensor index, Write write) {
  expect("gather_fwd", "y", y, ops->real, 2, y.size[0], y.size[1]);
  expect("gather_fwd", "index", index, DTYPE_I32, 1, y.size[0], 0);
  expect_rank_2("gather_fwd", "table", table);
  expect("gather_fwd", "table", table, stored(ops, table), 2, table.size[0], y.size[1]);
  if (ops->table)
    ops->table->gather_fwd(ops, y, table, index, write);
}

void gather_bwd(const Ops *ops, Tensor dtable, Tensor dy, Tensor index) {
  expect("gather_bwd", "dy", dy, ops->real, 2, dy.size[0], dy.size[1]);
  expect("gather_bwd", "index", index, DTYPE_I32, 1, dy.size[0], 0);
  expect_optional("gather_bwd", "dtable", dtable, ops_fine(ops), 2, dtable.size[0], dy.size[1]);
  if (ops->table && dtable.data)
    ops->table->gather_bwd(ops, dtable, dy, index);
}

void scatter_fwd(const Ops *ops, Tensor y, Tensor x, Tensor index) {
  expect("scatter_fwd", "x", x, ops->real, 2, x.size[0], x.size[1]);
  expect("scatter_fwd", "y", y, ops->real, 2, y.size[0], x.size[1]);
  expect("scatter_fwd", "index", index, DTYPE_I32, 1, x.size[0], 0);
  if (ops->table)
    ops->table->scatter_fwd(ops, y, x, index);
}

void patches_fwd(const Ops *ops, Tensor y, Tensor picture, size_t patch) {
  char is[64];
  REQUIRE(
      picture.rank == 4 && picture.dtype == ops->real && picture.size[1] == 3 && picture.size[2] == picture.size[3] &&
          tensor_contiguous(picture) && patch > 0 && picture.size[2] % patch == 0,
      "patches_fwd: the picture is %s, should be (B, 3, S, S), S a multiple of %zu", tensor_print(picture, is), patch);
  size_t across = picture.size[2] / patch;
  expect("patches_fwd", "y", y, ops->real, 2, picture.size[0] * across * across, 3 * patch * patch);
  if (ops->table)
    ops->table->patches_fwd(ops, y, picture, patch);
}

/* ---- SliME's own ---- */

void noisy_gate_fwd(const Ops *ops, Tensor z, Tensor clean, Tensor raw, Tensor noise, double floor) {
  expect("noisy_gate_fwd", "clean", clean, ops->real, 2, clean.size[0], clean.size[1]);
  expect("noisy_gate_fwd", "z", z, ops_fine(ops), 2, clean.size[0], clean.size[1]);
  expect_like("noisy_gate_fwd", "raw", raw, clean);
  expect_optional("noisy_gate_fwd", "noise", noise, ops_fine(ops), 2, clean.size[0], clean.size[1]);
  if (ops->table)
    ops->table->noisy_gate_fwd(ops, z, clean, raw, noise, floor);
}

void noisy_gate_bwd(const Ops *ops, Tensor dclean, Tensor draw, Tensor dz, Tensor raw, Tensor noise) {
  expect("noisy_gate_bwd", "dz", dz, ops_fine(ops), 2, dz.size[0], dz.size[1]);
  expect("noisy_gate_bwd", "dclean", dclean, ops->real, 2, dz.size[0], dz.size[1]);
  expect_like("noisy_gate_bwd", "draw", draw, dclean);
  expect_like("noisy_gate_bwd", "raw", raw, dclean);
  expect_optional("noisy_gate_bwd", "noise", noise, ops_fine(ops), 2, dz.size[0], dz.size[1]);
  if (ops->table)
    ops->table->noisy_gate_bwd(ops, dclean, draw, dz, raw, noise);
}

static void expect_experts(const Ops *ops, const char *operation, const char *name, Tensor h, size_t experts,
                           size_t rows, size_t columns) {
  char is[64];
  REQUIRE(h.data && h.rank == 3 && h.dtype == ops->real && h.size[0] == experts && h.size[1] == rows &&
              h.size[2] == columns && tensor_contiguous(h),
          "%s: %s is %s, should be (%zu, %zu, %zu)", operation, name, tensor_print(h, is), experts, rows, columns);
}

void expert_mix_fwd(const Ops *ops, Tensor y, Tensor s, Tensor z, Tensor h, double epsilon) {
  expect("expert_mix_fwd", "y", y, ops->real, 2, y.size[0], y.size[1]);
  expect("expert_mix_fwd", "z", z, ops_fine(ops), 2, y.size[0], z.size[1]);
  expect_like("expert_mix_fwd", "s", s, z);
  expect_experts(ops, "expert_mix_fwd", "h", h, z.size[1], y.size[0], y.size[1]);
  if (ops->table)
    ops->table->expert_mix_fwd(ops, y, s, z, h, epsilon);
}

void expert_mix_bwd(const Ops *ops, Tensor dz, Tensor dh, Tensor dy, Tensor s, Tensor h, double epsilon, Write write) {
  expect("expert_mix_bwd", "dy", dy, ops->real, 2, dy.size[0], dy.size[1]);
  expect("expert_mix_bwd", "s", s, ops_fine(ops), 2, dy.size[0], s.size[1]);
  expect_optional("expert_mix_bwd", "dz", dz, ops_fine(ops), 2, s.size[0], s.size[1]);
  expect_experts(ops, "expert_mix_bwd", "h", h, s.size[1], dy.size[0], dy.size[1]);
  if (dh.data)
    expect_experts(ops, "expert_mix_bwd", "dh", dh, s.size[1], dy.size[0], dy.size[1]);
  if (ops->table)
    ops->table->expert_mix_bwd(ops, dz, dh, dy, s, h, epsilon, write);
}

void router_score(const Ops *ops, Tensor score, Tensor local, Tensor text, Tensor noise, const Router *router,
                  const Ragged *locals, const Ragged *texts) {
  REQUIRE(locals->count == texts->count, "router_score: %zu samples of local tokens, %zu of text", locals->count,
          texts->count);
  expect_ragged("router_score", "locals", locals);
  expect_ragged("router_score", "texts", texts);
  expect("router_score", "local", local, ops->real, 2, locals->rows, local.size[1]);
  expect("router_score", "text", text, ops->real, 2, texts->rows, local.size[1]);
  expect("router_score", "score", score, ops_fine(ops), 1, locals->rows, 0);
  expect_optional("router_score", "noise", noise, ops_fine(ops), 1, locals->rows, 0);
  if (ops->table)
    ops->table->router_score(ops, score, local, text, noise, router, locals, texts);
}

void router_select(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals) {
  expect_ragged("router_select", "locals", locals);
  expect("router_select", "score", score, ops_fine(ops), 1, locals->rows, 0);
  expect("router_select", "kept", kept, DTYPE_I32, 1, locals->rows, 0);
  expect("router_select", "offsets", offsets, DTYPE_I32, 1, locals->count + 1, 0);
  if (ops->table)
    ops->table->router_select(ops, kept, offsets, score, gamma, locals);
}

/* ---- the loss ---- */

static void expect_classifier(const Ops *ops, const char *operation, Tensor x, Tensor w, Tensor label, Tensor lse,
                              Tensor work) {
  expect_rank_2(operation, "w", w);
  expect_weight(ops, operation, w, w.size[0], w.size[1]);
  expect(operation, "x", x, ops->real, 2, x.size[0], w.size[1]);
  expect(operation, "label", label, DTYPE_I32, 1, x.size[0], 0);
  expect(operation, "lse", lse, ops_fine(ops), 1, x.size[0], 0);
  expect(operation, "work", work, ops->real, 2, work.size[0], w.size[0]);
  REQUIRE(work.size[0] > 0, "%s: work has no rows", operation);
}

void cross_entropy_fwd(const Ops *ops, Tensor loss, Tensor lse, Tensor x, Tensor w, Tensor label, Tensor work) {
  expect_classifier(ops, "cross_entropy_fwd", x, w, label, lse, work);
  expect("cross_entropy_fwd", "loss", loss, ops_fine(ops), 1, x.size[0], 0);
  count_product(ops, x.size[0], w.size[0], w.size[1]);
  if (ops->table)
    ops->table->cross_entropy_fwd(ops, loss, lse, x, w, label, work);
}

void cross_entropy_bwd(const Ops *ops, Tensor dx, Tensor dw, Tensor x, Tensor w, Tensor label, Tensor lse,
                       double factor, Tensor work) {
  expect_classifier(ops, "cross_entropy_bwd", x, w, label, lse, work);
  expect_optional("cross_entropy_bwd", "dx", dx, ops->real, 2, x.size[0], x.size[1]);
  expect_optional("cross_entropy_bwd", "dw", dw, ops_fine(ops), 2, w.size[0], w.size[1]);
  for (int products = 1 + (dx.data != NULL) + (dw.data != NULL); products > 0; products--)
    count_product(ops, x.size[0], w.size[0], w.size[1]);
  if (ops->table)
    ops->table->cross_entropy_bwd(ops, dx, dw, x, w, label, lse, factor, work);
}

/* ---- the optimiser ---- */

void sum_squares(const Ops *ops, Tensor total, Tensor x) {
  expect("sum_squares", "total", total, DTYPE_F64, 1, 1, 0);
  expect("sum_squares", "x", x, either(ops, x), x.rank, x.size[0], x.size[1]);
  if (ops->table)
    ops->table->sum_squares(ops, total, x);
}

void adamw(const Ops *ops, Tensor p, Tensor m, Tensor v, Tensor gradient, Tensor copy, const AdamW *rule) {
  expect("adamw", "p", p, ops_fine(ops), p.rank, p.size[0], p.size[1]);
  expect_like("adamw", "m", m, p);
  expect_like("adamw", "v", v, p);
  expect_like("adamw", "gradient", gradient, p);
  expect_optional("adamw", "copy", copy, stored(ops, copy), p.rank, p.size[0], p.size[1]);
  REQUIRE(rule->step >= 1, "adamw: steps count from 1");
  if (ops->table)
    ops->table->adamw(ops, p, m, v, gradient, copy, rule);
}
