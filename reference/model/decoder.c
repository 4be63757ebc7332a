/* decoder.c: the Llama decoder: RMS norms, rotary positions, grouped key heads, SwiGLU. */
#include <math.h>

#include "parts.h"

static Attention attention_of(const DecoderConfig *c) {
  return (Attention){.heads = c->heads,
                     .kv_heads = c->kv_heads,
                     .size = c->head,
                     .scale = 1.0 / sqrt((double)c->head),
                     .causal = true};
}

/* Blocks of columns of a merged row: queries, keys, values. */
static Tensor queries(const DecoderConfig *c, Tensor qkv) {
  return tensor_columns(qkv, 0, c->heads * c->head);
}
static Tensor keys(const DecoderConfig *c, Tensor qkv) {
  return tensor_columns(qkv, c->heads * c->head, c->kv_heads * c->head);
}
static Tensor values(const DecoderConfig *c, Tensor qkv) {
  return tensor_columns(qkv, (c->heads + c->kv_heads) * c->head, c->kv_heads * c->head);
}
/* What is rotated: queries and keys. */
static Tensor rotated(const DecoderConfig *c, Tensor qkv) {
  return tensor_columns(qkv, 0, (c->heads + c->kv_heads) * c->head);
}

static size_t qkv_width(const DecoderConfig *c) {
  return (c->heads + 2 * c->kv_heads) * c->head;
}

/* ---- forward ---- */

/* The new keys and values behind those that were seen; then all of them. */
static void remember(Run *run, const DecoderConfig *c, Cache *cache, size_t layer, Tensor qkv) {
  Tensor new_keys = tensor_rows(cache->keys[layer], cache->length, qkv.size[0]);
  Tensor new_values = tensor_rows(cache->values[layer], cache->length, qkv.size[0]);
  ops_copy(run->ops, new_keys, keys(c, qkv));
  ops_copy(run->ops, new_values, values(c, qkv));
}

static void attend(Run *run, const DecoderConfig *c, DecoderLayerTape *t, const Ragged *rows, Cache *cache,
                   size_t layer) {
  Attention attention = attention_of(c);
  if (!cache) {
    attention_fwd(run->ops, t->o, t->lse, queries(c, t->qkv), keys(c, t->qkv), values(c, t->qkv), &attention, rows,
                  rows);
    return;
  }
  size_t seen = cache->length + rows->rows;
  Ragged all = run_even(run, 1, seen);
  remember(run, c, cache, layer, t->qkv);
  attention_fwd(run->ops, t->o, t->lse, queries(c, t->qkv), tensor_rows(cache->keys[layer], 0, seen),
                tensor_rows(cache->values[layer], 0, seen), &attention, rows, &all);
}

/* middle = x + attention(norm(x)), and what its swiglu gives: all that backward needs. */
static void layer_fwd(Run *run, const Model *model, size_t i, Tensor x, Tensor position, const Ragged *rows,
                      Cache *cache, DecoderLayerTape *t) {
  const DecoderConfig *c = &model->config.decoder;
  const DecoderLayer *layer = &model->decoder.layers[i];
  size_t n = x.size[0];
  t->x = x;
  t->normed1 = rmsnorm(run, &layer->norm1, x, c->epsilon, &t->rstd1);
  t->qkv = run_reals(run, n, qkv_width(c));
  t->o = run_reals(run, n, c->heads * c->head);
  t->lse = run_fine(run, n, c->heads);
  linears(run, (const Linear *[]){&layer->q, &layer->k, &layer->v}, 3, t->qkv, t->normed1);
  rope(run->ops, rotated(c, t->qkv), position, model->frequency, false);
  attend(run, c, t, rows, cache, i);
  t->middle = run_reals(run, n, c->width);
  linear(run, &layer->o, t->middle, t->o, x);

  t->normed2 = rmsnorm(run, &layer->norm2, t->middle, c->epsilon, &t->rstd2);
  t->gate_up = run_reals(run, n, 2 * c->mlp);
  t->active = run_reals(run, n, c->mlp);
  linears(run, (const Linear *[]){&layer->gate, &layer->up}, 2, t->gate_up, t->normed2);
  swiglu_fwd(run->ops, t->active, t->gate_up);
}

/* Does backward find the layer's tape as forward left it, and not its input alone? */
static bool kept(const Run *run, const DecoderTape *tape, size_t i) {
  return run->training && i >= tape->recomputed;
}

Tensor decoder_fwd(Run *run, const Model *model, Tensor x, Tensor position, const Ragged *rows, Cache *cache,
                   DecoderTape *tape) {
  const DecoderConfig *c = &model->config.decoder;
  tape->position = position;
  tape->rows = *rows;
  for (size_t i = 0; i < c->layers; i++) {
    DecoderLayerTape *t = &tape->layers[i];
    Tensor y = run->training ? run_reals(run, x.size[0], c->width) : x;
    size_t mark = run_mark(run);
    layer_fwd(run, model, i, x, position, rows, cache, t);
    linear(run, &model->decoder.layers[i].down, y, t->active, t->middle);
    run_note(run, y, "decoder.layers.%zu", i);
    if (!kept(run, tape, i))
      run_release(run, mark);
    x = y;
  }
  if (cache)
    cache->length += rows->rows;
  return tape->x = x;
}

/* ---- backward ---- */

/* dx: on entry the gradient by the layer's output, on return by its input. */
static void layer_bwd(Run *run, Model *model, size_t i, const DecoderTape *tape, Tensor dx) {
  const DecoderConfig *c = &model->config.decoder;
  DecoderLayer *layer = &model->decoder.layers[i];
  const DecoderLayerTape *t = &tape->layers[i];
  Attention attention = attention_of(c);
  size_t n = dx.size[0], mark = run_mark(run);
  Tensor dactive = run_reals(run, n, c->mlp), dgate_up = run_reals(run, n, 2 * c->mlp);
  Tensor dnormed = run_reals(run, n, c->width);
  linear_back(run, &layer->down, dactive, dx, t->active, WRITE_SET);
  swiglu_bwd(run->ops, dgate_up, dactive, t->gate_up, WRITE_SET);
  linears_back(run, (Linear *[]){&layer->gate, &layer->up}, 2, dnormed, dgate_up, t->normed2);
  rmsnorm_back(run, &layer->norm2, dx, dnormed, t->middle, t->rstd2);
  run_release(run, mark);

  Tensor d_o = run_reals(run, n, c->heads * c->head), dqkv = run_reals(run, n, qkv_width(c));
  dnormed = run_reals(run, n, c->width);
  linear_back(run, &layer->o, d_o, dx, t->o, WRITE_SET);
  attention_bwd(run->ops, queries(c, dqkv), keys(c, dqkv), values(c, dqkv), d_o, t->o, t->lse, queries(c, t->qkv),
                keys(c, t->qkv), values(c, t->qkv), WRITE_SET, &attention, &tape->rows, &tape->rows);
  rope(run->ops, rotated(c, dqkv), tape->position, model->frequency, true);
  linears_back(run, (Linear *[]){&layer->q, &layer->k, &layer->v}, 3, dnormed, dqkv, t->normed1);
  rmsnorm_back(run, &layer->norm1, dx, dnormed, t->x, t->rstd1);
  run_release(run, mark);
}

/* The tape of a layer whose input alone was kept. Work that is done again is not counted again. */
static void layer_again(Run *run, const Model *model, size_t i, const DecoderTape *tape) {
  const Ops *counting = run->ops;
  Ops ops = *counting;
  ops.operations = NULL;
  run->ops = &ops;
  layer_fwd(run, model, i, tape->layers[i].x, tape->position, &tape->rows, NULL, &tape->layers[i]);
  run->ops = counting;
}

void decoder_bwd(Run *run, Model *model, const DecoderTape *tape, Tensor dx) {
  for (size_t i = model->config.decoder.layers; i-- > 0;) {
    size_t mark = run_mark(run);
    if (!kept(run, tape, i))
      layer_again(run, model, i, tape);
    layer_bwd(run, model, i, tape, dx);
    run_note(run, dx, "decoder.layers.%zu.input.gradient", i);
    run_release(run, mark);
  }
}
