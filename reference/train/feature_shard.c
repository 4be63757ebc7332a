/* feature_shard.c: a shard's life: its name, its file, its pictures through the tower. */
#include "feature_shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "memory.h"
#include "picture.h"
#include "safetensors.h"

/* ---- what it is made of ---- */

static Digest digest_pictures(const Shard *shard) {
  Digest all = digest_of("", 0);
  for (size_t i = 0; i < shard->count; i++)
    all = digest_add(all, shard->pictures[i].digest.bytes, DIGEST_SIZE);
  return all;
}

/* The parts point into the recipe, which must not move. */
static void make_recipe(Recipe *recipe, const Shard *shard, const Store *store, Digest tower) {
  Slicing slicing = picture_slicing(&store->model->config);
  const unsigned char *b = slicing.background;
  snprintf(recipe->slicing, sizeof recipe->slicing, "%s, %zu pixels, around it %u %u %u",
           slicing.rule == SLICE_PAPER ? "paper" : "released", slicing.tile, b[0], b[1], b[2]);
  const TextPair parts[RECIPE_PARTS] = {{"format", "pt"},
                                        {"content", "seesaw CLIP features 1"},
                                        {"real", ops_print(store->ops, recipe->real)},
                                        {"slicing", recipe->slicing},
                                        {"tower", digest_print(tower, recipe->tower)},
                                        {"pictures", digest_print(digest_pictures(shard), recipe->pictures)}};
  memcpy(recipe->parts, parts, sizeof parts);
}

static Digest digest_recipe(const Recipe *recipe) {
  Digest all = digest_of("", 0);
  for (size_t i = 0; i < RECIPE_PARTS; i++) {
    all = digest_add(all, recipe->parts[i].key, strlen(recipe->parts[i].key));
    all = digest_add(all, recipe->parts[i].value, strlen(recipe->parts[i].value));
  }
  return all;
}

Status shard_name(Shard *shard, const Store *store, Digest tower, const char *folder) {
  char digits[2 * DIGEST_SIZE + 1], name[64];
  make_recipe(&shard->recipe, shard, store, tower);
  shard->name = digest_recipe(&shard->recipe);
  if (!*folder)
    return status_ok();
  snprintf(name, sizeof name, "%s.safetensors", digest_print(shard->name, digits));
  shard->path = path_join(folder, name);
  return shard->path ? status_ok()
                     : status_error(STATUS_MEMORY, "not enough memory for the names of files in %s", folder);
}

static void drop_memory(Shard *shard) {
  free(shard->features);
  free(shard->grids);
  shard->features = NULL;
  shard->grids = NULL;
  shard->views = shard->room = 0;
}

void shard_free(Shard *shard) {
  drop_memory(shard);
  tensor_file_close(&shard->file);
  free(shard->path);
  *shard = (Shard){0};
}

static size_t views_of(const int32_t *grid) {
  return 1 + (size_t)grid[0] * (size_t)grid[1];
}

/* Tell each picture where its features are. */
static void settle(Shard *shard, const uint16_t *features, const int32_t *grids, size_t view) {
  for (size_t i = 0; i < shard->count; i++) {
    shard->pictures[i].features = features;
    shard->pictures[i].grid = (TileGrid){.columns = (size_t)grids[2 * i], .rows = (size_t)grids[2 * i + 1]};
    features += views_of(&grids[2 * i]) * view;
  }
  shard->ready = true;
}

/* ---- its file ---- */

static Status check_recipe(const Shard *shard) {
  for (size_t i = 0; i < RECIPE_PARTS; i++) {
    const TextPair *part = &shard->recipe.parts[i];
    const char *found = tensor_file_metadata(&shard->file, part->key);
    if (!found || strcmp(found, part->value) != 0)
      return status_error(STATUS_INPUT, "its `%s` must be %s", part->key, part->value);
  }
  return status_ok();
}

/* The grids are sound, and are what was written: a wrong one would shift all features after it. */
static Status check_grids(const Shard *shard, const int32_t *grids, size_t *views) {
  char digits[2 * DIGEST_SIZE + 1];
  const char *written = tensor_file_metadata(&shard->file, "grids");
  digest_print(digest_of(grids, 2 * shard->count * sizeof *grids), digits);
  if (!written || strcmp(written, digits) != 0)
    return status_error(STATUS_INPUT, "its grids are not those that were written");
  *views = 0;
  for (size_t i = 0; i < 2 * shard->count; i += 2) {
    if (grids[i] < 1 || grids[i + 1] < 1 || grids[i] > IMAGE_MOST_SIDE || grids[i + 1] > IMAGE_MOST_SIDE)
      return status_error(STATUS_INPUT, "picture %zu has a grid of %d x %d", i / 2, grids[i], grids[i + 1]);
    *views += views_of(&grids[i]);
  }
  return status_ok();
}

static Status expect_tensor(const TensorFile *file, const char *name, Tensor expected, Tensor *found) {
  char wanted[64];
  const NamedTensor *named = tensor_file_find(file, name);
  if (!named || !tensor_same(named->tensor, expected))
    return status_error(STATUS_INPUT, "its tensor `%s` must be %s", name, tensor_print(expected, wanted));
  *found = named->tensor;
  return status_ok();
}

static Status check_file(Shard *shard, const ModelConfig *config) {
  Tensor grids, features;
  size_t views = 0, patches = config_patches(config);
  TRY(check_recipe(shard));
  TRY(expect_tensor(&shard->file, "grids", tensor_2(NULL, DTYPE_I32, shard->count, 2), &grids));
  TRY(check_grids(shard, grids.data, &views));
  Tensor expected = tensor_2(NULL, DTYPE_F16, views * patches, config->vision.width);
  TRY(expect_tensor(&shard->file, "features", expected, &features));
  settle(shard, features.data, grids.data, tower_view(config));
  return status_ok();
}

Status shard_map(Shard *shard, const ModelConfig *config) {
  if (access(shard->path, F_OK) != 0)
    return status_ok();
  Status status = safetensors_open(&shard->file, shard->path);
  if (status.code == STATUS_OK) {
    status = check_file(shard, config);
    if (status.code != STATUS_OK)
      status = status_error(status.code, "%s: %s", shard->path, status.message);
  }
  if (status.code != STATUS_OK)
    tensor_file_close(&shard->file);
  if (status.code == STATUS_OK || status.code == STATUS_MEMORY)
    return status;
  return status_error(status.code,
                      "%s; a file of this name must hold cached features: it is safe to delete it, they are then "
                      "computed again",
                      status.message);
}

Status shard_write(Shard *shard, const ModelConfig *config) {
  char digits[2 * DIGEST_SIZE + 1];
  TextPair metadata[RECIPE_PARTS + 1];
  size_t rows = shard->views * config_patches(config);
  const NamedTensor tensors[] = {
      named_tensor("features", tensor_2(shard->features, DTYPE_F16, rows, config->vision.width)),
      named_tensor("grids", tensor_2(shard->grids, DTYPE_I32, shard->count, 2))};
  memcpy(metadata, shard->recipe.parts, sizeof shard->recipe.parts);
  digest_print(digest_of(shard->grids, 2 * shard->count * sizeof *shard->grids), digits);
  metadata[RECIPE_PARTS] = (TextPair){"grids", digits};
  TRY(safetensors_write(shard->path, tensors, 2, metadata, RECIPE_PARTS + 1, NULL));
  shard->ready = false;
  drop_memory(shard);
  TRY(shard_map(shard, config));
  if (!shard->ready)
    return status_error(STATUS_OUTPUT, "%s is gone as soon as it was written", shard->path);
  return status_ok();
}

/* ---- its pictures through the tower ---- */

typedef struct Computing {
  Shard *shard;
  Tower *tower;
  const Feed *feed;
  size_t view; /* numbers in one */
} Computing;

/* More than this is compared with what the machine has before it is asked for. */
static const size_t LARGE = (size_t)64 << 20;

/* Room for another batch, by doubling. */
static Status make_room(Shard *shard, size_t view) {
  char needed[32], there[32];
  if (shard->views + TOWER_BATCH <= shard->room)
    return status_ok();
  size_t room = shard->room > 0 ? 2 * shard->room : 4 * TOWER_BATCH, bytes = room * view * sizeof *shard->features;
  size_t available = bytes > LARGE ? memory_available() : SIZE_MAX;
  uint16_t *features = bytes <= available ? realloc(shard->features, bytes) : NULL;
  if (!features)
    return status_error(STATUS_MEMORY, "not enough memory for features: %s are needed at once, and %s are available%s",
                        memory_print(bytes, needed), memory_print(memory_available(), there),
                        shard->path ? "" : "; in a folder, they are mapped as they are used");
  shard->features = features;
  shard->room = room;
  return status_ok();
}

/* The name of the picture that view `view` belongs to. */
static char *name_of(const Computing *c, size_t view, char name[PICTURE_NAME]) {
  const Shard *shard = c->shard;
  size_t picture = 0;
  for (size_t end = views_of(shard->grids); end <= view; end += views_of(&shard->grids[2 * picture]))
    picture++;
  return feed_name(c->feed, shard->pictures[picture].conversation, name);
}

static Status run_batch(const Computing *c) {
  Shard *shard = c->shard;
  size_t count = c->tower->count, bad;
  char name[PICTURE_NAME];
  TRY(make_room(shard, c->view));
  TRY(tower_run(c->tower, shard->features + shard->views * c->view, &bad));
  if (bad < count)
    return status_error(STATUS_NUMERICS, "%s: CLIP's features are not numbers, or beyond 65504, which F16 cannot hold",
                        name_of(c, shard->views + bad, name));
  shard->views += count;
  return interrupt_check();
}

static Status take_views(const Computing *c, const Slices *slices) {
  for (size_t first = 0, taken; first < slices->count; first += taken) {
    TRY(tower_add(c->tower, slices, first, &taken));
    if (c->tower->count == TOWER_BATCH)
      TRY(run_batch(c));
  }
  return status_ok();
}

static Status take_picture(const Computing *c, size_t i) {
  Slicing slicing = picture_slicing(&c->tower->store->model->config);
  size_t conversation = c->shard->pictures[i].conversation;
  char name[PICTURE_NAME];
  Image image;
  Slices slices = {0};
  TRY(c->feed->picture(c->feed->state, conversation, &image));
  Status status = slice_image(&slicing, image, &slices);
  image_free(&image);
  if (status.code != STATUS_OK)
    return status_error(status.code, "%s: %s", feed_name(c->feed, conversation, name), status.message);
  c->shard->grids[2 * i] = (int32_t)slices.grid.columns;
  c->shard->grids[2 * i + 1] = (int32_t)slices.grid.rows;
  status = take_views(c, &slices);
  slices_free(&slices);
  return status;
}

static Status compute(const Computing *c, Progress *progress) {
  Shard *shard = c->shard;
  double before = progress->done;
  for (size_t i = 0; i < shard->count; i++) {
    TRY(take_picture(c, i));
    TRY(interrupt_check());
    progress_update(progress, before + (double)i + 1.0);
  }
  return run_batch(c);
}

Status shard_compute(Shard *shard, Tower *tower, const Feed *feed, Progress *progress) {
  const ModelConfig *config = &tower->store->model->config;
  Computing computing = {.shard = shard, .tower = tower, .feed = feed, .view = tower_view(config)};
  shard->grids = calloc(shard->count, 2 * sizeof *shard->grids);
  if (!shard->grids)
    return status_error(STATUS_MEMORY, "not enough memory for the grids of %zu pictures", shard->count);
  Status status = compute(&computing, progress);
  if (status.code != STATUS_OK)
    drop_memory(shard);
  else
    settle(shard, shard->features, shard->grids, computing.view);
  return status;
}
