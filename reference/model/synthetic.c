/* synthetic.c: batches of random pictures and tokens. */
#include "synthetic.h"

#include <stdlib.h>

#include "arena.h"

enum { SHAPES = 3 };

/* Conversation i: its text's length, its grid, whether it has a picture. */
static Conversation shape_of(const ModelConfig *config, const SyntheticPlan *plan, size_t i) {
  static const size_t shorter[SHAPES] = {0, 2, 1};
  size_t which = plan->same ? 0 : i % SHAPES, text = plan->text - (plan->text > 3 ? shorter[which] : 0);
  bool pictured = i + plan->without < plan->count;
  Conversation c = {.count = text + pictured, .question = 1 + pictured, .question_count = text / 2};
  if (pictured && config->local != BRIDGE_NONE && plan->columns > 0) {
    c.columns = which == 1 ? 1 : which == 2 ? plan->rows : plan->columns;
    c.rows = which == 1 ? plan->rows : which == 2 ? plan->columns : plan->rows;
  }
  return c;
}

static void fill_text(const ModelConfig *config, const SyntheticPlan *plan, size_t which, Conversation *c, int32_t *ids,
                      int32_t *labels) {
  Rng rng = rng_make(plan->seed, RNG_TEST, (uint32_t)which);
  bool pictured = which + plan->without < plan->count;
  for (size_t i = 0; i < c->count; i++) {
    ids[i] = (int32_t)(rng_uniform(rng, i) * (double)config->decoder.vocabulary);
    if (pictured && i == 1)
      ids[i] = IMAGE_TOKEN;
    labels[i] = i + plan->answer >= c->count && ids[i] != IMAGE_TOKEN ? ids[i] : IGNORE_LABEL;
  }
  c->ids = ids;
  c->labels = labels;
}

static Status fill_pictures(Synthetic *s, const ModelConfig *config, uint64_t seed, size_t views) {
  size_t size[4] = {views, 3, config->vision.picture, config->vision.picture};
  Tensor pictures = tensor_make(NULL, s->ops->real, 4, size);
  if (views == 0)
    return status_ok();
  TRY(ops_alloc(s->ops, tensor_bytes(pictures), &s->pictures));
  pictures.data = s->pictures ? s->pictures : (void *)ARENA_ALIGNMENT; /* dry: any address that is not NULL */
  normal_fill(s->ops, tensor_1(pictures.data, pictures.dtype, tensor_count(pictures)),
              rng_make(seed, RNG_TEST, UINT32_MAX), 0, 1.0);
  s->batch.pictures = pictures;
  return status_ok();
}

static Status make(Synthetic *s, const ModelConfig *config, const SyntheticPlan *plan) {
  size_t room = plan->text + 1, globals, tiles;
  s->conversations = calloc(plan->count, sizeof *s->conversations);
  s->numbers = calloc(plan->count * room * 2, sizeof *s->numbers);
  if (!s->conversations || !s->numbers)
    return status_error(STATUS_MEMORY, "not enough memory for %zu conversations", plan->count);
  for (size_t i = 0; i < plan->count; i++) {
    Conversation *c = &s->conversations[i];
    int32_t *ids = s->numbers + 2 * i * room;
    *c = shape_of(config, plan, i);
    fill_text(config, plan, i, c, ids, ids + room);
  }
  s->batch = (Batch){.count = plan->count, .samples = s->conversations};
  batch_views(config, &s->batch, &globals, &tiles);
  return fill_pictures(s, config, plan->seed, globals + tiles);
}

Status synthetic_make(Synthetic *synthetic, const Ops *ops, const ModelConfig *config, const SyntheticPlan *plan) {
  REQUIRE(plan->count > 0 && plan->text > 4, "a batch of %zu conversations of %zu tokens", plan->count, plan->text);
  *synthetic = (Synthetic){.ops = ops};
  Status status = make(synthetic, config, plan);
  if (status.code != STATUS_OK)
    synthetic_free(synthetic);
  return status;
}

void synthetic_free(Synthetic *synthetic) {
  if (synthetic->ops)
    ops_free(synthetic->ops, synthetic->pictures);
  free(synthetic->conversations);
  free(synthetic->numbers);
  *synthetic = (Synthetic){0};
}
