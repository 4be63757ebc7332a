/* slime.c: SliME, as in the paper's Figure 2: a picture's views to tokens, among the tokens of the text, to the next
 * token. Backward is the mirror of forward.
 *
 *   global view -> CLIP -> adapter (soft mixture of MLP and query former) -> global tokens
 *   each tile   -> CLIP -> compression (query former) -> the adapter's MLP  -> local tokens -> router keeps some
 *   [text, global tokens, separator, kept local tokens, text] -> decoder -> loss on the trained tokens */
#include "slime.h"

#include <math.h>
#include <stdlib.h>

#include "parts.h"
#include "sequence.h"

/* ---- forward: views to tokens ---- */

Model model_showing(const Model *model, Views views) {
  Model shown = *model;
  if (!(views & VIEWS_GLOBAL))
    shown.config.global = BRIDGE_NONE;
  if (!(views & VIEWS_LOCAL))
    shown.config.local = BRIDGE_NONE;
  return shown;
}

void batch_views(const ModelConfig *config, const Batch *batch, size_t *globals, size_t *tiles) {
  *globals = *tiles = 0;
  for (size_t i = 0; i < batch->count; i++)
    if (sample_pictured(&batch->samples[i])) {
      *globals += config->global != BRIDGE_NONE;
      *tiles += config->local == BRIDGE_NONE ? 0 : batch->samples[i].columns * batch->samples[i].rows;
    }
}

/* CLIP's features of all views; or those that were kept. Without pictures the tape is to hold none of an earlier pass.
 */
static void see(Run *run, const Model *model, const Batch *batch, SlimeTape *t) {
  t->features = batch->features;
  t->vision.views = 0;
  if (!batch->features.data && t->globals + t->tiles > 0)
    t->features = vision_fwd(run, model, batch->pictures, &t->vision);
}

static Tensor global_features(const Model *model, const SlimeTape *t) {
  return tensor_rows(t->features, 0, t->globals * config_patches(&model->config));
}

static Tensor tile_features(const Model *model, const SlimeTape *t) {
  size_t patches = config_patches(&model->config);
  return tensor_rows(t->features, t->globals * patches, t->tiles * patches);
}

/* Local tokens of all tiles, in the sequence's order. */
static void localise(Run *run, const Model *model, const Batch *batch, SlimeTape *t) {
  const ModelConfig *c = &model->config;
  size_t tokens = t->tiles * config_tile_tokens(c), side = (size_t)lround(sqrt((double)config_tile_tokens(c)));
  int32_t *order = run_host(run, tokens);
  Tensor local =
      bridge_fwd(run, model, c->local, &model->compression, "local", tile_features(model, t), t->tiles, &t->local);
  raster_order(batch, side, c->switches.raster, order);
  t->raster = run_upload(run, order, tokens);
  t->local_ordered = run_reals(run, tokens, c->decoder.width);
  gather_fwd(run->ops, t->local_ordered, local, t->raster, WRITE_SET);
  run_note(run, t->local_ordered, "local.ordered");
}

/* ---- forward: the router ---- */

/* The text that a picture's local tokens are compared with: its tokens' ids, and the samples' offsets. */
static Ragged router_text(Run *run, const Model *model, const Batch *batch, Tensor *text) {
  bool question = model->config.switches.router_text == ROUTER_QUESTION;
  size_t count = 0, most = 0;
  for (size_t i = 0; i < batch->count; i++)
    most += batch->samples[i].count;
  int32_t *ids = run_host(run, most), *offsets = run_host(run, batch->count + 1);
  for (size_t i = 0; i < batch->count; i++) {
    const Conversation *s = &batch->samples[i];
    size_t first = question ? s->question : 0, end = question ? first + s->question_count : s->count;
    for (size_t j = first; j < end; j++)
      if (s->ids[j] >= 0)
        ids[count++] = s->ids[j];
    offsets[i + 1] = (int32_t)count;
  }
  *text = run_reals(run, count, model->config.decoder.width);
  gather_fwd(run->ops, *text, model->decoder.embedding.w, run_upload(run, ids, count), WRITE_SET);
  return run_ragged(run, batch->count, offsets);
}

static Tensor router_noise(Run *run, const Switches *s, size_t tokens) {
  if (!run->training || s->router_noise == 0.0)
    return TENSOR_NONE;
  Tensor noise = run_vector(run, tokens);
  normal_fill(run->ops, noise, rng_make(run->seed, RNG_ROUTER_NOISE, run->step), 0, s->router_noise);
  return noise;
}

/* Which local tokens go on: kept, and its offsets on the host. No gradient passes through the choice. */
static int32_t *route(Run *run, const Model *model, const Batch *batch, SlimeTape *t) {
  const Switches *s = &model->config.switches;
  int32_t *all = run_host(run, batch->count + 1), *offsets = run_host(run, batch->count + 1);
  local_offsets(batch, config_tile_tokens(&model->config), all);
  Ragged locals = run_ragged(run, batch->count, all);
  Router router = {.cosine = s->router_cosine,
                   .sum = s->router_sum,
                   .first_temperature = s->router_history == ROUTER_TWO_SOFTMAX ? 0.5 : 0.0,
                   .temperature = s->router_temperature};
  Tensor text, kept_offsets = run_integers(run, batch->count + 1);
  Ragged texts = router_text(run, model, batch, &text);
  t->score = run_vector(run, locals.rows);
  t->kept = run_integers(run, locals.rows);
  router_score(run->ops, t->score, t->local_ordered, text, router_noise(run, s, locals.rows), &router, &locals, &texts);
  run_note(run, t->score, "router.score");
  router_select(run->ops, t->kept, kept_offsets, t->score, s->gamma, &locals);
  if (run_is_dry(run))
    return all;
  ops_read(run->ops, offsets, kept_offsets.data, (batch->count + 1) * sizeof *offsets);
  return offsets;
}

/* ---- forward: the sequence ---- */

/* Text embeddings, with the picture's tokens in their places. */
static Tensor assemble(Run *run, const Model *model, Tensor global, SlimeTape *t) {
  const Sequence *s = &t->sequence;
  Tensor x = run_reals(run, s->rows.rows, model->config.decoder.width);
  t->ids = run_upload(run, s->ids, s->rows.rows);
  gather_fwd(run->ops, x, model->decoder.embedding.w, t->ids, WRITE_SET);
  if (global.data) {
    t->global_row = run_upload(run, s->global_row, global.size[0]);
    scatter_fwd(run->ops, x, global, t->global_row);
  }
  if (t->kept_count > 0) {
    Tensor kept = run_reals(run, t->kept_count, model->config.decoder.width);
    t->local_row = run_upload(run, s->local_row, t->kept_count);
    gather_fwd(run->ops, kept, t->local_ordered, tensor_rows(t->kept, 0, t->kept_count), WRITE_SET);
    scatter_fwd(run->ops, x, kept, t->local_row);
  }
  run_note(run, x, "decoder.input");
  return x;
}

Tensor slime_input(Run *run, const Model *model, const Batch *batch, SlimeTape *t) {
  const ModelConfig *c = &model->config;
  Tensor global = TENSOR_NONE;
  int32_t *kept = run_host(run, batch->count + 1);
  batch_views(c, batch, &t->globals, &t->tiles);
  see(run, model, batch, t);
  if (t->globals > 0)
    global = bridge_fwd(run, model, c->global, &model->adapter.former, "global", global_features(model, t), t->globals,
                        &t->global);
  if (t->tiles > 0) {
    localise(run, model, batch, t);
    kept = route(run, model, batch, t);
  }
  t->kept_count = (size_t)kept[batch->count];
  sequence_plan(run, c, batch, kept, &t->sequence);
  return assemble(run, model, global, t);
}

/* ---- forward: the loss ---- */

/* Rows of logits that are held at once: about 4 million numbers. */
static size_t logits_rows(const ModelConfig *c, size_t rows) {
  size_t most = ((size_t)1 << 22) / c->decoder.vocabulary;
  most = most > 0 ? most : 1;
  return rows < most ? rows : most;
}

/* The decoder's normed output in the rows that predict a trained token. Returns how many there are. */
static size_t predicting_rows(Run *run, const Model *model, const Batch *batch, SlimeTape *t) {
  const DecoderConfig *c = &model->config.decoder;
  Tensor x = slime_input(run, model, batch, t);
  const Sequence *s = &t->sequence;
  Tensor position = run_upload(run, s->position, s->rows.rows);
  x = decoder_fwd(run, model, x, position, &s->rows, NULL, &t->decoder);
  if (s->supervised == 0)
    return 0;
  t->predicting = run_upload(run, s->predicting, s->supervised);
  t->label = run_upload(run, s->label, s->supervised);
  t->hidden = run_reals(run, s->supervised, c->width);
  gather_fwd(run->ops, t->hidden, x, t->predicting, WRITE_SET);
  t->normed = rmsnorm(run, &model->decoder.norm, t->hidden, c->epsilon, &t->hidden_rstd);
  return s->supervised;
}

double slime_forward(Run *run, const Model *model, const Batch *batch, SlimeTape *t, size_t *trained) {
  const DecoderConfig *c = &model->config.decoder;
  const Sequence *s = &t->sequence;
  *trained = predicting_rows(run, model, batch, t);
  if (*trained == 0)
    return 0.0;
  t->loss = run_vector(run, s->supervised);
  t->lse = run_vector(run, s->supervised);
  t->work = run_reals(run, logits_rows(&model->config, s->supervised), c->vocabulary);
  cross_entropy_fwd(run->ops, t->loss, t->lse, t->normed, model->decoder.head.w, t->label, t->work);
  run_note(run, t->loss, "loss");
  return run_is_dry(run) ? 0.0 : run_mean(run, t->loss);
}

size_t slime_predict(Run *run, const Model *model, const Batch *batch, SlimeTape *t, int32_t *best, size_t most) {
  size_t count = predicting_rows(run, model, batch, t), vocabulary = model->config.decoder.vocabulary;
  size_t block = count > 0 ? logits_rows(&model->config, count) : 0;
  Tensor work = run_reals(run, block, vocabulary);
  REQUIRE(count <= most, "%zu predictions, room for %zu", count, most);
  for (size_t first = 0; first < count; first += block) {
    size_t rows = count - first < block ? count - first : block;
    Tensor logits = tensor_rows(work, 0, rows);
    linear_fwd(run->ops, logits, tensor_rows(t->normed, first, rows), model->decoder.head.w, TENSOR_NONE, TENSOR_NONE);
    run_likeliest(run, logits, best + first);
  }
  return count;
}

size_t slime_measure(const Model *model, const Batch *batch, SlimeTape *tape, Dtype real, bool backward,
                     double *operations) {
  Ops dry = {.real = real, .operations = operations};
  Run run = run_dry(&dry);
  Model counted = *model; /* a dry backward adds to nothing */
  size_t trained;
  run.training = backward;
  slime_forward(&run, &counted, batch, tape, &trained);
  if (backward)
    slime_backward(&run, &counted, tape, 0);
  run_reset(&run);
  return run.most;
}

Status slime_room(Run *run, const Ops *ops, const Model *model, const Batch *batch, SlimeTape *tape, bool backward) {
  return run_grow(run, ops, slime_measure(model, batch, tape, ops->real, backward, NULL));
}

Tensor slime_logits(Run *run, const Model *model, Tensor x) {
  const DecoderConfig *c = &model->config.decoder;
  Tensor rstd, logits = run_reals(run, 1, c->vocabulary);
  Tensor normed = rmsnorm(run, &model->decoder.norm, tensor_rows(x, x.size[0] - 1, 1), c->epsilon, &rstd);
  linear_fwd(run->ops, logits, normed, model->decoder.head.w, TENSOR_NONE, TENSOR_NONE);
  run_note(run, logits, "logits");
  return logits;
}

/* ---- backward: the mirror ---- */

/* The gradient by the decoder's output, from the loss. */
static void loss_bwd(Run *run, Model *model, const SlimeTape *t, size_t divisor, Tensor dx) {
  size_t n = t->hidden.size[0], width = t->hidden.size[1], mark = run_mark(run);
  Tensor dnormed = run_zeros(run, n, width), dhidden = run_zeros(run, n, width);
  double factor = 1.0 / (double)(divisor > 0 ? divisor : n);
  cross_entropy_bwd(run->ops, dnormed, model->decoder.head.d, t->normed, model->decoder.head.w, t->label, t->lse,
                    factor, t->work);
  rmsnorm_back(run, &model->decoder.norm, dhidden, dnormed, t->hidden, t->hidden_rstd);
  scatter_fwd(run->ops, dx, dhidden, t->predicting);
  run_release(run, mark);
}

static void local_bwd(Run *run, Model *model, const SlimeTape *t, Tensor dx, Tensor dfeatures) {
  size_t width = dx.size[1], tokens = t->local_ordered.size[0], mark = run_mark(run);
  Tensor dkept = run_reals(run, t->kept_count, width), dordered = run_zeros(run, tokens, width);
  Tensor dlocal = run_zeros(run, tokens, width);
  gather_fwd(run->ops, dkept, dx, t->local_row, WRITE_SET);
  scatter_fwd(run->ops, dordered, dkept, tensor_rows(t->kept, 0, t->kept_count));
  scatter_fwd(run->ops, dlocal, dordered, t->raster);
  run_note(run, dlocal, "local.tokens.gradient");
  bridge_bwd(run, model, &model->compression, &t->local, dlocal, dfeatures);
  run_release(run, mark);
}

static void global_bwd(Run *run, Model *model, const SlimeTape *t, Tensor dx, Tensor dfeatures) {
  size_t mark = run_mark(run);
  Tensor dglobal = run_reals(run, t->global_row.size[0], dx.size[1]);
  gather_fwd(run->ops, dglobal, dx, t->global_row, WRITE_SET);
  run_note(run, dglobal, "global.tokens.gradient");
  bridge_bwd(run, model, &model->adapter.former, &t->global, dglobal, dfeatures);
  run_release(run, mark);
}

/* Is the vision tower trained, in this pass? */
static bool vision_moves(const Model *model, const SlimeTape *t) {
  return model->vision.patch.d.data && t->vision.views > 0;
}

void slime_backward(Run *run, Model *model, SlimeTape *t, size_t divisor) {
  const ModelConfig *c = &model->config;
  size_t mark = run_mark(run), patches = config_patches(c);
  if (t->sequence.supervised == 0)
    return;
  Tensor dx = run_zeros(run, t->sequence.rows.rows, c->decoder.width);
  loss_bwd(run, model, t, divisor, dx);
  decoder_bwd(run, model, &t->decoder, dx);
  run_note(run, dx, "decoder.input.gradient");
  gather_bwd(run->ops, model->decoder.embedding.d, dx, t->ids);

  Tensor dfeatures = TENSOR_NONE, dglobal = TENSOR_NONE, dlocal = TENSOR_NONE;
  if (vision_moves(model, t)) {
    dfeatures = run_zeros(run, t->features.size[0], t->features.size[1]);
    dglobal = tensor_rows(dfeatures, 0, t->globals * patches);
    dlocal = tensor_rows(dfeatures, t->globals * patches, t->tiles * patches);
  }
  if (t->tiles > 0 && t->kept_count > 0)
    local_bwd(run, model, t, dx, dlocal);
  if (t->globals > 0)
    global_bwd(run, model, t, dx, dglobal);
  if (dfeatures.data)
    vision_bwd(run, model, &t->vision, dfeatures);
  run_release(run, mark);
}

/* ---- tapes and batches ---- */

Status slime_tape_alloc(SlimeTape *tape, const ModelConfig *config) {
  *tape = (SlimeTape){0};
  tape->vision.layers = calloc(config->vision.used + 1, sizeof *tape->vision.layers);
  tape->decoder.layers = calloc(config->decoder.layers + 1, sizeof *tape->decoder.layers);
  if (tape->vision.layers && tape->decoder.layers)
    return status_ok();
  slime_tape_free(tape);
  return status_error(STATUS_MEMORY, "not enough memory for the tapes of a pass");
}

void slime_tape_free(SlimeTape *tape) {
  free(tape->vision.layers);
  free(tape->decoder.layers);
  *tape = (SlimeTape){0};
}

static Status sample_check(const ModelConfig *config, const Conversation *sample, size_t which) {
  size_t places = 0;
  for (size_t i = 0; i < sample->count; i++) {
    int32_t id = sample->ids[i], label = sample->labels ? sample->labels[i] : IGNORE_LABEL;
    places += id == IMAGE_TOKEN;
    if (id != IMAGE_TOKEN && (id < 0 || (size_t)id >= config->decoder.vocabulary))
      return status_error(STATUS_INPUT, "sample %zu: token %zu is %d, but the vocabulary has %zu", which, i, id,
                          config->decoder.vocabulary);
    if (label != IGNORE_LABEL && (label < 0 || (size_t)label >= config->decoder.vocabulary))
      return status_error(STATUS_INPUT, "sample %zu: label %zu is %d, but the vocabulary has %zu", which, i, label,
                          config->decoder.vocabulary);
  }
  if (places > 1)
    return status_error(STATUS_INPUT, "sample %zu has %zu pictures; one is the most", which, places);
  if (sample->question > sample->count || sample->question_count > sample->count - sample->question)
    return status_error(STATUS_INPUT, "sample %zu: the question lies outside its %zu tokens", which, sample->count);
  return status_ok();
}

Status batch_check(const ModelConfig *config, const Batch *batch) {
  size_t globals, tiles, patches = config_patches(config);
  for (size_t i = 0; i < batch->count; i++)
    TRY(sample_check(config, &batch->samples[i], i));
  batch_views(config, batch, &globals, &tiles);
  size_t there =
      batch->features.data ? batch->features.size[0] / patches : (batch->pictures.data ? batch->pictures.size[0] : 0);
  if (globals + tiles != there)
    return status_error(STATUS_INPUT, "the batch needs %zu views (%zu global, %zu tiles), but has %zu", globals + tiles,
                        globals, tiles, there);
  return status_ok();
}
