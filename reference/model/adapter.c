/* adapter.c: patch features to the decoder's tokens: MLP, query former, and the soft mixture of both. */
#include <math.h>

#include "parts.h"

/* ---- MLP ---- */

void mlp_fwd(Run *run, const Adapter *adapter, Tensor y, Tensor x, MlpTape *tape) {
  size_t n = x.size[0], h = y.size[1];
  tape->x = x;
  tape->hidden = run_reals(run, n, h);
  tape->active = run_reals(run, n, h);
  linear(run, &adapter->fc1, tape->hidden, x, TENSOR_NONE);
  activation_fwd(run->ops, tape->active, tape->hidden, ACTIVATION_GELU);
  linear(run, &adapter->fc2, y, tape->active, TENSOR_NONE);
}

void mlp_bwd(Run *run, Adapter *adapter, const MlpTape *tape, Tensor dy, Tensor dx, Write write) {
  size_t n = dy.size[0], h = dy.size[1], mark = run_mark(run);
  Tensor dactive = run_reals(run, n, h), dhidden = run_reals(run, n, h);
  linear_back(run, &adapter->fc2, dactive, dy, tape->active, WRITE_SET);
  activation_bwd(run->ops, dhidden, dactive, tape->hidden, ACTIVATION_GELU, WRITE_SET);
  linear_back(run, &adapter->fc1, dx, dhidden, tape->x, write);
  run_release(run, mark);
}

/* ---- query former ---- */

static const double FORMER_EPSILON = 1e-6;

static Attention former_attention(const ModelConfig *c) {
  size_t heads = c->vision.width / c->former_head;
  return (Attention){
      .heads = heads, .kv_heads = heads, .size = c->former_head, .scale = 1.0 / sqrt((double)c->former_head)};
}

/* Of the merged projection: 0 queries, 1 keys, 2 values. */
static Linear third(const Linear *in, size_t which) {
  size_t width = in->w.w.size[1];
  Linear part = *in;
  Tensor *const tensors[] = {&part.w.w, &part.w.d, &part.b.w, &part.b.d};
  for (size_t i = 0; i < 4; i++)
    if (tensors[i]->data)
      *tensors[i] = tensor_rows(*tensors[i], which * width, width);
  return part;
}

/* The queries' side, the same for every view: q = W_q (norm(query) + position). */
static void former_queries(Run *run, const Former *former, FormerTape *t) {
  Linear to_q = third(&former->in, 0);
  Tensor query = former->query.w;
  t->queries = query.size[0];
  t->query_in = layernorm(run, &former->norm_query, query, FORMER_EPSILON, &t->query_mean, &t->query_rstd);
  ops_add(run->ops, t->query_in, former->position.w);
  t->q = run_reals(run, query.size[0], query.size[1]);
  linear(run, &to_q, t->q, t->query_in, TENSOR_NONE);
}

/* The patches' side: keys with positions, values without. */
static void former_keys(Run *run, const Model *model, const Former *former, Tensor x, FormerTape *t) {
  Linear to_k = third(&former->in, 1), to_v = third(&former->in, 2);
  size_t n = x.size[0], c = x.size[1], patches = config_patches(&model->config);
  int32_t *place = run_host(run, n);
  for (size_t i = 0; i < n; i++)
    place[i] = (int32_t)(i % patches);
  t->x = x;
  t->normed = layernorm(run, &former->norm_key, x, FORMER_EPSILON, &t->key_mean, &t->key_rstd);
  t->key_in = run_reals(run, n, c);
  ops_copy(run->ops, t->key_in, t->normed);
  gather_fwd(run->ops, t->key_in, former->key_position, run_upload(run, place, n), WRITE_ADD);
  t->k = run_reals(run, n, c);
  t->v = run_reals(run, n, c);
  linear(run, &to_k, t->k, t->key_in, TENSOR_NONE);
  linear(run, &to_v, t->v, t->normed, TENSOR_NONE);
}

Tensor former_fwd(Run *run, const Model *model, const Former *former, const char *name, Tensor x, size_t views,
                  FormerTape *t) {
  Attention attention = former_attention(&model->config);
  size_t c = x.size[1], queries = former->query.w.size[0], rows = views * queries;
  int32_t *which = run_host(run, rows);
  for (size_t i = 0; i < rows; i++)
    which[i] = (int32_t)(i % queries);
  t->views = views;
  t->each = run_upload(run, which, rows);
  t->query_rows = run_even(run, views, queries);
  t->key_rows = run_even(run, views, config_patches(&model->config));
  former_queries(run, former, t);
  former_keys(run, model, former, x, t);
  t->q_all = run_reals(run, rows, c);
  t->o = run_reals(run, rows, c);
  t->lse = run_fine(run, rows, attention.heads);
  t->out = run_reals(run, rows, c);
  gather_fwd(run->ops, t->q_all, t->q, t->each, WRITE_SET);
  attention_fwd(run->ops, t->o, t->lse, t->q_all, t->k, t->v, &attention, &t->query_rows, &t->key_rows);
  linear(run, &former->out, t->out, t->o, TENSOR_NONE);
  Tensor y = layernorm(run, &former->norm_out, t->out, FORMER_EPSILON, &t->out_mean, &t->out_rstd);
  run_note(run, y, "%s", name);
  return y;
}

/* dq is fine, since all views add to it; so is the gradient of the query, which is a parameter and an activation. Each
 * goes to the other type by a gather of the rows as they stand. */
static void former_queries_bwd(Run *run, Former *former, const FormerTape *t, Tensor dq) {
  Linear to_q = third(&former->in, 0);
  Tensor as_they_stand = tensor_rows(t->each, 0, t->queries), rounded = run_reals(run, dq.size[0], dq.size[1]);
  Tensor dquery_in = run_reals(run, dq.size[0], dq.size[1]), dquery = run_zeros(run, dq.size[0], dq.size[1]);
  gather_fwd(run->ops, rounded, dq, as_they_stand, WRITE_SET);
  linear_back(run, &to_q, dquery_in, rounded, t->query_in, WRITE_SET);
  layernorm_back(run, &former->norm_query, dquery, dquery_in, former->query.w, t->query_mean, t->query_rstd);
  gather_bwd(run->ops, former->query.d, dquery, as_they_stand);
}

static void former_keys_bwd(Run *run, Former *former, const FormerTape *t, Tensor dk, Tensor dv, Tensor dx) {
  Linear to_k = third(&former->in, 1), to_v = third(&former->in, 2);
  Tensor dnormed =
      run_reals(run, dk.size[0], dk.size[1]); /* the positions take no gradient: keys and values meet here */
  linear_back(run, &to_k, dnormed, dk, t->key_in, WRITE_SET);
  linear_back(run, &to_v, dnormed, dv, t->normed, WRITE_ADD);
  layernorm_back(run, &former->norm_key, dx, dnormed, t->x, t->key_mean, t->key_rstd);
}

void former_bwd(Run *run, const Model *model, Former *former, const FormerTape *t, Tensor dy, Tensor dx) {
  Attention attention = former_attention(&model->config);
  size_t c = dy.size[1], rows = dy.size[0], keys = t->x.size[0], mark = run_mark(run);
  Tensor dout = run_zeros(run, rows, c), d_o = run_reals(run, rows, c), dq_all = run_reals(run, rows, c);
  Tensor dq = run_fine_zeros(run, t->queries, c), dk = run_reals(run, keys, c), dv = run_reals(run, keys, c);
  layernorm_back(run, &former->norm_out, dout, dy, t->out, t->out_mean, t->out_rstd);
  linear_back(run, &former->out, d_o, dout, t->o, WRITE_SET);
  attention_bwd(run->ops, dq_all, dk, dv, d_o, t->o, t->lse, t->q_all, t->k, t->v, WRITE_SET, &attention,
                &t->query_rows, &t->key_rows);
  gather_bwd(run->ops, dq, dq_all, t->each);
  size_t queries_mark = run_mark(run);
  former_queries_bwd(run, former, t, dq);
  run_release(run, queries_mark);
  former_keys_bwd(run, former, t, dk, dv, dx);
  run_release(run, mark);
}

/* ---- soft mixture ---- */

/* One expert's tokens among h (2, N, H). */
static Tensor expert(Tensor h, size_t which) {
  size_t n = h.size[1], width = h.size[2];
  return tensor_rows(tensor_2(h.data, h.dtype, h.size[0] * n, width), which * n, n);
}

static Tensor experts_of(Tensor rows) {
  return tensor_make(rows.data, rows.dtype, 3, (const size_t[]){2, rows.size[0] / 2, rows.size[1]});
}

/* z = x W_g, with noise while training. */
static void gate_fwd(Run *run, const Model *model, BridgeTape *t) {
  const Switches *s = &model->config.switches;
  size_t n = t->x.size[0];
  t->clean = run_reals(run, n, 2);
  t->z = run_fine(run, n, 2);
  linear_fwd(run->ops, t->clean, t->x, model->adapter.gate.w, TENSOR_NONE, TENSOR_NONE);
  t->raw = t->clean;
  t->noise = TENSOR_NONE;
  if (run->training) {
    if (!s->gate_shares_weight) {
      t->raw = run_reals(run, n, 2);
      linear_fwd(run->ops, t->raw, t->x, model->adapter.noise.w, TENSOR_NONE, TENSOR_NONE);
    }
    t->noise = run_fine(run, n, 2);
    normal_fill(run->ops, t->noise, rng_make(run->seed, RNG_GATE_NOISE, run->step), 0, 1.0);
  }
  noisy_gate_fwd(run->ops, t->z, t->clean, t->raw, t->noise, s->gate_floor);
}

static void gate_bwd(Run *run, Model *model, const BridgeTape *t, Tensor dz, Tensor dx) {
  Adapter *adapter = &model->adapter;
  bool shared = t->raw.data == t->clean.data;
  Tensor dclean = run_zeros(run, dz.size[0], 2), draw = run_zeros(run, dz.size[0], 2);
  noisy_gate_bwd(run->ops, dclean, draw, dz, t->raw, t->noise);
  if (shared)
    ops_add(run->ops, dclean, draw);
  else
    linear_back(run, &(Linear){.w = adapter->noise}, dx, draw, t->x, WRITE_ADD);
  linear_back(run, &(Linear){.w = adapter->gate}, dx, dclean, t->x, WRITE_ADD);
}

static void mixture_fwd(Run *run, const Model *model, const Former *former, const char *name, Tensor y, size_t views,
                        BridgeTape *t) {
  size_t n = t->x.size[0];
  t->experts = experts_of(run_reals(run, 2 * n, y.size[1]));
  t->s = run_fine(run, n, 2);
  t->formed = former_fwd(run, model, former, name, t->x, views, &t->former);
  mlp_fwd(run, &model->adapter, expert(t->experts, 0), t->x, &t->mlp);
  mlp_fwd(run, &model->adapter, expert(t->experts, 1), t->formed, &t->mlp_former);
  gate_fwd(run, model, t);
  expert_mix_fwd(run->ops, y, t->s, t->z, t->experts, model->config.switches.gate_epsilon);
  run_note(run, t->s, "%s.gate", name);
}

static void mixture_bwd(Run *run, Model *model, Former *former, const BridgeTape *t, Tensor dy, Tensor dx) {
  size_t n = dy.size[0];
  Tensor dexperts = experts_of(run_reals(run, 2 * n, dy.size[1])), dz = run_fine(run, n, 2);
  Tensor dformed = run_reals(run, n, t->x.size[1]);
  expert_mix_bwd(run->ops, dz, dexperts, dy, t->s, t->experts, model->config.switches.gate_epsilon, WRITE_SET);
  gate_bwd(run, model, t, dz, dx);
  mlp_bwd(run, &model->adapter, &t->mlp_former, expert(dexperts, 1), dformed, WRITE_SET);
  mlp_bwd(run, &model->adapter, &t->mlp, expert(dexperts, 0), dx, WRITE_ADD);
  former_bwd(run, model, former, &t->former, dformed, dx);
}

/* ---- the bridge ---- */

Tensor bridge_fwd(Run *run, const Model *model, Bridge kind, const Former *former, const char *name, Tensor x,
                  size_t views, BridgeTape *t) {
  size_t tokens = kind == BRIDGE_FORMER ? views * former->query.w.size[0] : x.size[0];
  Tensor y = run_reals(run, tokens, model->config.decoder.width);
  t->kind = kind;
  t->x = x;
  if (kind == BRIDGE_MLP) {
    mlp_fwd(run, &model->adapter, y, x, &t->mlp);
  } else if (kind == BRIDGE_FORMER) {
    t->formed = former_fwd(run, model, former, name, x, views, &t->former);
    mlp_fwd(run, &model->adapter, y, t->formed, &t->mlp_former);
  } else {
    mixture_fwd(run, model, former, name, y, views, t);
  }
  run_note(run, y, "%s.tokens", name);
  return y;
}

void bridge_bwd(Run *run, Model *model, Former *former, const BridgeTape *t, Tensor dy, Tensor dx) {
  size_t mark = run_mark(run);
  if (t->kind == BRIDGE_MLP) {
    mlp_bwd(run, &model->adapter, &t->mlp, dy, dx, WRITE_ADD);
  } else if (t->kind == BRIDGE_FORMER) {
    Tensor dformed = run_reals(run, t->formed.size[0], t->formed.size[1]);
    mlp_bwd(run, &model->adapter, &t->mlp_former, dy, dformed, WRITE_SET);
    former_bwd(run, model, former, &t->former, dformed, dx);
  } else {
    mixture_bwd(run, model, former, t, dy, dx);
  }
  run_release(run, mark);
}
