/* vision.c: the CLIP vision transformer: pictures to patch features. */
#include <math.h>

#include "parts.h"

static Attention attention_of(const VisionConfig *c) {
  size_t size = c->width / c->heads;
  return (Attention){.heads = c->heads, .kv_heads = c->heads, .size = size, .scale = 1.0 / sqrt((double)size)};
}

static Activation activation_of(const VisionConfig *c) {
  return c->quick ? ACTIVATION_QUICK_GELU : ACTIVATION_GELU;
}

/* Each view has the row of its class token, then those of its patches. */
static void index_rows(Run *run, size_t views, size_t patches, VisionTape *tape) {
  size_t rows = views * (patches + 1);
  int32_t *place = run_host(run, rows), *is_class = run_host(run, rows), *patch_row = run_host(run, rows);
  int32_t *row_patch = run_host(run, views * patches);
  for (size_t row = 0; row < rows; row++) {
    size_t view = row / (patches + 1), at = row % (patches + 1);
    place[row] = (int32_t)at;
    is_class[row] = at == 0 ? 0 : -1;
    patch_row[row] = at == 0 ? -1 : (int32_t)(view * patches + at - 1);
    if (at > 0)
      row_patch[view * patches + at - 1] = (int32_t)row;
  }
  tape->place = run_upload(run, place, rows);
  tape->is_class = run_upload(run, is_class, rows);
  tape->patch_row = run_upload(run, patch_row, rows);
  tape->row_patch = run_upload(run, row_patch, views * patches);
  tape->rows = run_even(run, views, patches + 1);
}

/* A vector as a table of one row. */
static Tensor as_row(Tensor vector) {
  return vector.data ? tensor_shaped(vector, 1, vector.size[0]) : vector;
}

/* ---- forward ---- */

/* x0 = norm(class token or patch, plus its position) */
static Tensor embed(Run *run, const Model *model, Tensor pictures, VisionTape *tape) {
  const VisionConfig *c = &model->config.vision;
  const Vision *vision = &model->vision;
  size_t patches = config_patches(&model->config), views = pictures.size[0];
  index_rows(run, views, patches, tape);
  tape->patches = run_reals(run, views * patches, 3 * c->patch * c->patch);
  Tensor projected = run_reals(run, views * patches, c->width);
  tape->embedded = run_reals(run, tape->rows.rows, c->width);
  patches_fwd(run->ops, tape->patches, pictures, c->patch);
  linear_fwd(run->ops, projected, tape->patches, vision->patch.w, TENSOR_NONE, TENSOR_NONE);
  gather_fwd(run->ops, tape->embedded, vision->position.w, tape->place, WRITE_SET);
  gather_fwd(run->ops, tape->embedded, as_row(vision->class_embedding.w), tape->is_class, WRITE_ADD);
  gather_fwd(run->ops, tape->embedded, projected, tape->patch_row, WRITE_ADD);
  return layernorm(run, &vision->before, tape->embedded, c->epsilon, &tape->mean, &tape->rstd);
}

/* x + attention(norm(x)), then that + mlp(norm(that)) */
static Tensor layer_fwd(Run *run, const VisionConfig *c, const VisionLayer *layer, Tensor x, const Ragged *rows,
                        VisionLayerTape *t) {
  Attention attention = attention_of(c);
  size_t n = x.size[0], d = c->width;
  t->x = x;
  t->normed1 = layernorm(run, &layer->norm1, x, c->epsilon, &t->mean1, &t->rstd1);
  t->qkv = run_reals(run, n, 3 * d);
  t->o = run_reals(run, n, d);
  t->lse = run_fine(run, n, c->heads);
  linears(run, (const Linear *[]){&layer->q, &layer->k, &layer->v}, 3, t->qkv, t->normed1);
  attention_fwd(run->ops, t->o, t->lse, tensor_columns(t->qkv, 0, d), tensor_columns(t->qkv, d, d),
                tensor_columns(t->qkv, 2 * d, d), &attention, rows, rows);
  t->middle = run_reals(run, n, d);
  linear(run, &layer->out, t->middle, t->o, x);

  t->normed2 = layernorm(run, &layer->norm2, t->middle, c->epsilon, &t->mean2, &t->rstd2);
  t->hidden = run_reals(run, n, c->mlp);
  t->active = run_reals(run, n, c->mlp);
  linear(run, &layer->fc1, t->hidden, t->normed2, TENSOR_NONE);
  activation_fwd(run->ops, t->active, t->hidden, activation_of(c));
  Tensor y = run_reals(run, n, d);
  linear(run, &layer->fc2, y, t->active, t->middle);
  return y;
}

/* A frozen tower is not gone back through. */
static bool keeps_tape(const Run *run, const Model *model) {
  return run->training && model->vision.patch.d.data;
}

Tensor vision_fwd(Run *run, const Model *model, Tensor pictures, VisionTape *tape) {
  const VisionConfig *c = &model->config.vision;
  Tensor features = run_reals(run, pictures.size[0] * config_patches(&model->config), c->width);
  size_t mark = run_mark(run);
  tape->views = pictures.size[0];
  Tensor x = tape->x0 = embed(run, model, pictures, tape);
  run_note(run, x, "vision.embedded");
  for (size_t i = 0; i < c->used; i++) {
    size_t layer_mark = run_mark(run);
    Tensor next = layer_fwd(run, c, &model->vision.layers[i], x, &tape->rows, &tape->layers[i]);
    run_note(run, next, "vision.layers.%zu", i);
    if (keeps_tape(run, model)) {
      x = next;
    } else { /* only the stream goes on */
      ops_copy(run->ops, x, next);
      run_release(run, layer_mark);
    }
  }
  gather_fwd(run->ops, features, x, tape->row_patch, WRITE_SET);
  run_note(run, features, "vision.features");
  if (!keeps_tape(run, model))
    run_release(run, mark);
  return features;
}

/* ---- backward ---- */

/* dx: on entry the gradient by the layer's output, on return by its input. */
static void layer_bwd(Run *run, const VisionConfig *c, VisionLayer *layer, const VisionLayerTape *t, const Ragged *rows,
                      Tensor dx) {
  Attention attention = attention_of(c);
  size_t n = dx.size[0], d = c->width, mark = run_mark(run);
  Tensor dactive = run_reals(run, n, c->mlp), dhidden = run_reals(run, n, c->mlp), dnormed = run_reals(run, n, d);
  linear_back(run, &layer->fc2, dactive, dx, t->active, WRITE_SET);
  activation_bwd(run->ops, dhidden, dactive, t->hidden, activation_of(c), WRITE_SET);
  linear_back(run, &layer->fc1, dnormed, dhidden, t->normed2, WRITE_SET);
  layernorm_back(run, &layer->norm2, dx, dnormed, t->middle, t->mean2, t->rstd2);
  run_release(run, mark);

  Tensor d_o = run_reals(run, n, d), dqkv = run_reals(run, n, 3 * d);
  dnormed = run_reals(run, n, d);
  linear_back(run, &layer->out, d_o, dx, t->o, WRITE_SET);
  attention_bwd(run->ops, tensor_columns(dqkv, 0, d), tensor_columns(dqkv, d, d), tensor_columns(dqkv, 2 * d, d), d_o,
                t->o, t->lse, tensor_columns(t->qkv, 0, d), tensor_columns(t->qkv, d, d),
                tensor_columns(t->qkv, 2 * d, d), WRITE_SET, &attention, rows, rows);
  linears_back(run, (Linear *[]){&layer->q, &layer->k, &layer->v}, 3, dnormed, dqkv, t->normed1);
  layernorm_back(run, &layer->norm1, dx, dnormed, t->x, t->mean1, t->rstd1);
  run_release(run, mark);
}

static void embed_bwd(Run *run, Model *model, const VisionTape *tape, Tensor dx0) {
  Vision *vision = &model->vision;
  Tensor dembedded = run_zeros(run, dx0.size[0], dx0.size[1]);
  Tensor dprojected = run_reals(run, tape->patches.size[0], dx0.size[1]);
  layernorm_back(run, &vision->before, dembedded, dx0, tape->embedded, tape->mean, tape->rstd);
  gather_bwd(run->ops, vision->position.d, dembedded, tape->place);
  gather_bwd(run->ops, as_row(vision->class_embedding.d), dembedded, tape->is_class);
  gather_fwd(run->ops, dprojected, dembedded, tape->row_patch, WRITE_SET);
  linear_bwd_weight(run->ops, vision->patch.d, TENSOR_NONE, dprojected, tape->patches);
}

void vision_bwd(Run *run, Model *model, const VisionTape *tape, Tensor dfeatures) {
  const VisionConfig *c = &model->config.vision;
  size_t mark = run_mark(run);
  Tensor dx = run_reals(run, tape->rows.rows, c->width);
  gather_fwd(run->ops, dx, dfeatures, tape->patch_row, WRITE_SET); /* class tokens' rows: zero */
  for (size_t i = c->used; i-- > 0;) {
    layer_bwd(run, c, &model->vision.layers[i], &tape->layers[i], &tape->rows, dx);
    run_note(run, dx, "vision.layers.%zu.input.gradient", i);
  }
  embed_bwd(run, model, tape, dx);
  run_release(run, mark);
}
