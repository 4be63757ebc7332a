/* look_attention.c: where the decoder looks from the rows that predict an answer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "look_pass.h"

void parts_of(const SlimeTape *tape, Part *parts) {
  const Sequence *s = &tape->sequence;
  size_t globals = tape->globals > 0 ? tape->global_row.size[0] : 0;
  for (size_t row = 0; row < s->rows.rows; row++)
    parts[row] = PART_TEXT;
  for (size_t i = 0; i < globals; i++)
    if (s->global_row[i] >= 0)
      parts[s->global_row[i]] = PART_GLOBAL;
  for (size_t i = 0; i < tape->kept_count; i++)
    if (s->local_row[i] >= 0)
      parts[s->local_row[i]] = PART_LOCAL;
}

/* ---- a row's attention ---- */

/* Row `row` sees the rows of its sample from `first` up to itself. */
static void add_row(const DecoderConfig *c, const Part *parts, Tensor qkv, Tensor lse, size_t first, size_t row,
                    double sum[PARTS]) {
  double scale = 1.0 / sqrt((double)c->head);
  for (size_t head = 0; head < c->heads; head++) {
    size_t q = row * qkv.size[1] + head * c->head;
    size_t key_column = (c->heads + head / (c->heads / c->kv_heads)) * c->head;
    for (size_t seen = first; seen <= row; seen++) {
      size_t k = seen * qkv.size[1] + key_column;
      double dot = 0.0;
      for (size_t i = 0; i < c->head; i++)
        dot += tensor_get(qkv, q + i) * tensor_get(qkv, k + i);
      sum[parts[seen]] += exp(scale * dot - tensor_get(lse, row * c->heads + head));
    }
  }
}

void attention_add(const DecoderConfig *c, const Sequence *s, const Part *parts, Tensor qkv, Tensor lse,
                   double sum[PARTS]) {
  size_t sample = 0;
  for (size_t i = 0; i < s->supervised; i++) {
    while (s->rows.host[sample + 1] <= s->predicting[i])
      sample++;
    add_row(c, parts, qkv, lse, (size_t)s->rows.host[sample], (size_t)s->predicting[i], sum);
  }
}

/* ---- passes: a layer's queries and keys are looked at as soon as it is done, before their place is used again ---- */

typedef struct Gaze {
  LookPass pass;
  double (*sum)[PARTS]; /* of each layer */
  size_t rows;
  Part *parts; /* of the batch's rows; NULL until the first layer */
  Status status;
} Gaze;

/* A copy in the host's memory; no data when memory is out. */
static Tensor fetch(const Ops *ops, Tensor from) {
  Tensor copy = from;
  copy.data = malloc(tensor_bytes(from));
  if (copy.data)
    ops_read(ops, copy.data, from.data, tensor_bytes(from));
  return copy;
}

static void look_at_layer(Gaze *gaze, size_t layer) {
  const LookPass *pass = &gaze->pass;
  const Ops *ops = pass->plan->store->ops;
  const DecoderLayerTape *tape = &pass->tape.decoder.layers[layer];
  const Sequence *s = &pass->tape.sequence;
  Tensor qkv = fetch(ops, tape->qkv), lse = fetch(ops, tape->lse);
  if (!gaze->parts && (gaze->parts = calloc(s->rows.rows, sizeof *gaze->parts)))
    parts_of(&pass->tape, gaze->parts);
  if (qkv.data && lse.data && gaze->parts)
    attention_add(&pass->plan->store->model->config.decoder, s, gaze->parts, qkv, lse, gaze->sum[layer]);
  else
    gaze->status = status_error(STATUS_MEMORY, "not enough memory for the attention of %zu rows", s->rows.rows);
  free(qkv.data);
  free(lse.data);
}

static void observe(void *context, const char *name, Tensor tensor) {
  static const char layers[] = "decoder.layers.";
  char *end;
  (void)tensor;
  if (strncmp(name, layers, sizeof layers - 1) != 0)
    return;
  size_t layer = strtoull(name + sizeof layers - 1, &end, 10);
  if (*end == '\0')
    look_at_layer(context, layer);
}

static Status look_at_batch(Gaze *gaze, const Model *shown, const size_t *samples, size_t count) {
  LookPass *pass = &gaze->pass;
  size_t trained;
  TRY(batcher_fill(&pass->batcher, shown, samples, count, 0));
  TRY(look_room(pass, shown));
  pass->run.observe = observe;
  pass->run.context = gaze;
  slime_forward(&pass->run, shown, &pass->batcher.batch, &pass->tape, &trained);
  gaze->rows += trained;
  free(gaze->parts);
  gaze->parts = NULL;
  TRY(gaze->status);
  TRY(ops_status(pass->plan->store->ops));
  return interrupt_check();
}

static Status look_at_all(Gaze *gaze) {
  const LookPlan *plan = gaze->pass.plan;
  const DecoderConfig *c = &plan->store->model->config.decoder;
  Model shown = model_showing(plan->store->model, plan->views);
  for (size_t first = 0; first < gaze->pass.count; first += LOOK_BATCH) {
    size_t left = gaze->pass.count - first;
    TRY(look_at_batch(gaze, &shown, gaze->pass.samples + first, left < LOOK_BATCH ? left : LOOK_BATCH));
  }
  if (gaze->rows == 0)
    return status_error(STATUS_INPUT, "there is no picture with an answer about it");
  for (size_t layer = 0; layer < c->layers; layer++)
    for (int part = 0; part < PARTS; part++)
      gaze->sum[layer][part] /= (double)(gaze->rows * c->heads);
  return status_ok();
}

Status look_attention(const LookPlan *plan, double (*share)[PARTS]) {
  Gaze gaze = {.sum = share, .status = status_ok()};
  memset(share, 0, plan->store->model->config.decoder.layers * sizeof *share);
  TRY(look_begin(&gaze.pass, plan));
  Status status = look_at_all(&gaze);
  look_end(&gaze.pass);
  return status;
}
