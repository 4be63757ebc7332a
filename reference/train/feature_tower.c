/* feature_tower.c: batches of views through vision_fwd; what the tower is, as a digest. */
#include "feature_tower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"

/* ---- batches ---- */

static size_t pixels_of(const ModelConfig *config) {
  return 3 * config->vision.picture * config->vision.picture;
}

size_t tower_view(const ModelConfig *config) {
  return config_patches(config) * config->vision.width;
}

static Tensor batch_of(const Tower *tower, size_t count) {
  size_t side = tower->store->model->config.vision.picture;
  return tensor_make(tower->views, tower->store->ops->real, 4, (const size_t[]){count, 3, side, side});
}

/* The activations of a full batch, by a dry pass. */
static size_t measure(Tower *tower) {
  Ops dry = {.real = tower->store->ops->real};
  Run run = run_dry(&dry);
  vision_fwd(&run, tower->store->model, batch_of(tower, TOWER_BATCH), &tower->tape.vision);
  run_reset(&run);
  return run.most;
}

static Status open_parts(Tower *tower) {
  const ModelConfig *config = &tower->store->model->config;
  size_t real = dtype_bits(tower->store->ops->real) / 8;
  TRY(slime_tape_alloc(&tower->tape, config));
  TRY(ops_alloc(tower->store->ops, TOWER_BATCH * pixels_of(config) * real, &tower->views));
  tower->host = malloc(TOWER_BATCH * tower_view(config) * real);
  if (!tower->host)
    return status_error(STATUS_MEMORY, "not enough memory for the features of %d views", TOWER_BATCH);
  return run_alloc(&tower->run, tower->store->ops, measure(tower));
}

Status tower_open(Tower *tower, const Store *store) {
  *tower = (Tower){.store = store};
  Status status = open_parts(tower);
  if (status.code != STATUS_OK)
    tower_close(tower);
  return status;
}

void tower_close(Tower *tower) {
  run_free(&tower->run);
  slime_tape_free(&tower->tape);
  if (tower->views)
    ops_free(tower->store->ops, tower->views);
  free(tower->host);
  *tower = (Tower){0};
}

Status tower_add(Tower *tower, const Slices *slices, size_t first, size_t *taken) {
  const Ops *ops = tower->store->ops;
  size_t bytes = pixels_of(&tower->store->model->config) * dtype_bits(ops->real) / 8;
  size_t room = TOWER_BATCH - tower->count, left = slices->count - first;
  *taken = left < room ? left : room;
  TRY(picture_views(ops, slices, first, *taken, (unsigned char *)tower->views + tower->count * bytes));
  tower->count += *taken;
  return status_ok();
}

/* The first of the reals that F16 cannot hold, or their count. */
static size_t narrow(uint16_t *to, Tensor reals) {
  size_t count = tensor_count(reals);
  for (size_t i = 0; i < count; i++) {
    double value = tensor_get(reals, i);
    if (!(fabs(value) <= 65504.0))
      return i;
    to[i] = f16_from_float((float)value);
  }
  return count;
}

Status tower_run(Tower *tower, uint16_t *features, size_t *bad) {
  const Ops *ops = tower->store->ops;
  size_t view = tower_view(&tower->store->model->config), numbers = tower->count * view;
  *bad = 0;
  if (tower->count == 0)
    return status_ok();
  run_reset(&tower->run);
  Tensor x = vision_fwd(&tower->run, tower->store->model, batch_of(tower, tower->count), &tower->tape.vision);
  ops_read(ops, tower->host, x.data, tensor_bytes(x));
  TRY(ops_status(ops));
  *bad = narrow(features, tensor_1(tower->host, ops->real, numbers)) / view;
  tower->count = 0;
  return status_ok();
}

/* ---- what the tower is ---- */

enum { PIECE = 4096 }; /* numbers that are looked at at once */

typedef struct Digesting {
  const Ops *ops;
  Digest digest;
} Digesting;

/* Numbers [first, first + count) of a parameter, as floats: F32, which most towers are, as they lie there. */
static void read_floats(const Ops *ops, float *to, Tensor from, size_t first, size_t count) {
  double raw[PIECE];
  size_t bytes = dtype_bits(from.dtype) / 8;
  bool same = from.dtype == DTYPE_F32;
  ops_read(ops, same ? (void *)to : raw, (const unsigned char *)from.data + first * bytes, count * bytes);
  Tensor piece = tensor_1(raw, from.dtype, count);
  for (size_t i = 0; !same && i < count; i++)
    to[i] = (float)tensor_get(piece, i);
}

static void digest_entry(void *context, const Entry *entry) {
  Digesting *digesting = context;
  Tensor w = entry->parameter->w;
  float values[PIECE];
  if (entry->group != GROUP_VISION)
    return;
  REQUIRE(w.data, "the model has no %s", entry->name);
  for (size_t first = 0, count = tensor_count(w); first < count; first += PIECE) {
    size_t piece = count - first < PIECE ? count - first : PIECE;
    read_floats(digesting->ops, values, w, first, piece);
    digesting->digest = digest_add(digesting->digest, values, piece * sizeof *values);
  }
}

Status vision_digest(const Store *store, Digest *digest) {
  const VisionConfig *c = &store->model->config.vision;
  const uint64_t sizes[] = {c->picture, c->patch, c->width, c->mlp, c->layers, c->heads, c->used, c->quick};
  Digesting digesting = {.ops = store->ops, .digest = digest_of(sizes, sizeof sizes)};
  digesting.digest = digest_add(digesting.digest, &c->epsilon, sizeof c->epsilon);
  model_walk(store->model, digest_entry, &digesting);
  *digest = digesting.digest;
  return ops_status(store->ops);
}
