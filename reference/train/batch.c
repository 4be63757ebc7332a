/* batch.c: samples of a feed as batches of the model, in a random order. */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "rng.h"

/* ---- the order ---- */

static void shuffle(Order *order, uint64_t epoch) {
  Rng rng = rng_make(order->seed, RNG_ORDER, (uint32_t)epoch);
  for (size_t i = 0; i < order->count; i++)
    order->places[i] = i;
  for (size_t i = order->count; i > 1; i--) {
    size_t j = (size_t)(rng_uniform(rng, i) * (double)i), other = order->places[j];
    order->places[j] = order->places[i - 1];
    order->places[i - 1] = other;
  }
  order->epoch = epoch;
}

Status order_open(Order *order, uint64_t seed, size_t count) {
  *order = (Order){.seed = seed, .count = count, .places = malloc((count + 1) * sizeof *order->places)};
  REQUIRE(count > 0, "an order of no samples");
  if (!order->places)
    return status_error(STATUS_MEMORY, "not enough memory for the order of %zu samples", count);
  shuffle(order, 0);
  return status_ok();
}

size_t order_at(Order *order, uint64_t shown) {
  uint64_t epoch = shown / order->count;
  if (epoch != order->epoch)
    shuffle(order, epoch);
  return order->places[shown % order->count];
}

void order_close(Order *order) {
  free(order->places);
  *order = (Order){0};
}

/* ---- making ---- */

Status batcher_open(Batcher *batcher, const Ops *ops, const Feed *feed, const Features *features, size_t room) {
  *batcher = (Batcher){.ops = ops, .feed = feed, .features = features, .room = room};
  batcher->examples = calloc(room, sizeof *batcher->examples);
  batcher->conversations = calloc(room, sizeof *batcher->conversations);
  batcher->slices = calloc(room, sizeof *batcher->slices);
  if (batcher->examples && batcher->conversations && batcher->slices)
    return status_ok();
  batcher_close(batcher);
  return status_error(STATUS_MEMORY, "not enough memory for batches of %zu samples", room);
}

static void free_views(Batcher *batcher) {
  ops_free(batcher->ops, batcher->narrow);
  ops_free(batcher->ops, batcher->views);
  ops_free(batcher->ops, batcher->identity);
  batcher->narrow = batcher->views = batcher->identity = NULL;
  batcher->held = 0;
}

static void free_slices(Batcher *batcher) {
  for (size_t i = 0; batcher->slices && i < batcher->room; i++)
    slices_free(&batcher->slices[i]);
}

void batcher_close(Batcher *batcher) {
  if (!batcher->ops)
    return;
  for (size_t i = 0; batcher->examples && i < batcher->room; i++)
    example_free(&batcher->examples[i]);
  free_slices(batcher);
  free_views(batcher);
  free(batcher->examples);
  free(batcher->conversations);
  free(batcher->slices);
  *batcher = (Batcher){0};
}

static size_t real_bytes(const Batcher *batcher) {
  return dtype_bits(batcher->ops->real) / 8;
}

/* Numbers of a view: a picture's, or its features'. */
static size_t view_numbers(const Batcher *batcher, const ModelConfig *config) {
  size_t side = config->vision.picture;
  return batcher->features ? config_patches(config) * config->vision.width : 3 * side * side;
}

static Status make_identity(Batcher *batcher, size_t rows) {
  int32_t *numbers = malloc(rows * sizeof *numbers);
  if (!numbers)
    return status_error(STATUS_MEMORY, "not enough memory for the features of a batch");
  for (size_t i = 0; i < rows; i++)
    numbers[i] = (int32_t)i;
  Status status = ops_alloc(batcher->ops, rows * sizeof *numbers, &batcher->identity);
  if (status.code == STATUS_OK)
    ops_write(batcher->ops, batcher->identity, numbers, rows * sizeof *numbers);
  free(numbers);
  return status;
}

/* Room for so many views; a little more, so that batches that grow slowly do not ask each time. */
static Status hold(Batcher *batcher, const ModelConfig *config, size_t views) {
  size_t room = views + views / 4, numbers = view_numbers(batcher, config);
  if (views <= batcher->held)
    return status_ok();
  free_views(batcher);
  TRY(ops_alloc(batcher->ops, room * numbers * real_bytes(batcher), &batcher->views));
  if (batcher->features) {
    TRY(ops_alloc(batcher->ops, room * numbers * sizeof(uint16_t), &batcher->narrow));
    TRY(make_identity(batcher, room * config_patches(config)));
  }
  batcher->held = room;
  return status_ok();
}

/* ---- samples ---- */

static Status slice(Batcher *batcher, const ModelConfig *config, size_t place, size_t index) {
  Slicing slicing = picture_slicing(config);
  Image image = {0};
  TRY(batcher->feed->picture(batcher->feed->state, index, &image));
  Status status = slice_image(&slicing, image, &batcher->slices[place]);
  image_free(&image);
  return status;
}

/* A picture is cut up only if some of its views are shown. */
static Status take_sample(Batcher *batcher, const ModelConfig *config, size_t place, size_t index) {
  Example *example = &batcher->examples[place];
  const Feed *feed = batcher->feed;
  TileGrid grid = {0};
  TRY(feed->example(feed->state, index, example));
  const Sample *text = &example->text;
  if (example_learnt(example) == 0)
    return status_error(STATUS_INPUT, "conversation %zu has nothing to learn: all labels of its %zu tokens are ignored",
                        index, text->ids.count);
  bool shown = example->pictured && (config->global != BRIDGE_NONE || config->local != BRIDGE_NONE);
  if (shown && batcher->features)
    grid = features_grid(batcher->features, index);
  else if (shown)
    TRY(slice(batcher, config, place, index));
  if (shown && !batcher->features)
    grid = batcher->slices[place].grid;
  batcher->conversations[place] = (Conversation){.count = text->ids.count,
                                                 .ids = text->ids.ids,
                                                 .labels = text->labels.ids,
                                                 .question = example->question,
                                                 .question_count = example->question_count,
                                                 .columns = grid.columns,
                                                 .rows = grid.rows};
  return status_ok();
}

/* ---- views ---- */

/* Views [first, first + count) of a sample become the batch's from `at` on. */
static Status put(Batcher *batcher, size_t numbers, size_t place, size_t index, size_t first, size_t count, size_t at) {
  unsigned char *to = (unsigned char *)batcher->views + at * numbers * real_bytes(batcher);
  if (!batcher->features)
    return picture_views(batcher->ops, &batcher->slices[place], first, count, to);
  for (size_t i = 0; i < count; i++) {
    Tensor kept = features_view(batcher->features, index, first + i);
    REQUIRE(kept.dtype == DTYPE_F16 && tensor_count(kept) == numbers, "features of %zu numbers, not %zu",
            tensor_count(kept), numbers);
    ops_write(batcher->ops, (uint16_t *)batcher->narrow + (at + i) * numbers, kept.data, numbers * sizeof(uint16_t));
  }
  return status_ok();
}

/* First the global views of all samples, then their tiles. */
static Status put_views(Batcher *batcher, const ModelConfig *config, const size_t *samples) {
  size_t at = 0, numbers = view_numbers(batcher, config);
  for (int tiles = 0; tiles < 2; tiles++)
    for (size_t i = 0; i < batcher->batch.count; i++) {
      const Conversation *c = &batcher->conversations[i];
      bool shown = batcher->examples[i].pictured && (tiles ? config->local : config->global) != BRIDGE_NONE;
      size_t first = tiles ? 1 : 0, count = !shown ? 0 : tiles ? c->columns * c->rows : 1;
      TRY(put(batcher, numbers, i, samples[i], first, count, at));
      at += count;
    }
  return status_ok();
}

/* What lies in memory, as the model takes it. */
static void describe_views(Batcher *batcher, const ModelConfig *config, size_t views) {
  size_t side = config->vision.picture, patches = config_patches(config), width = config->vision.width;
  Dtype real = batcher->ops->real;
  batcher->batch.pictures = batcher->batch.features = TENSOR_NONE;
  if (views > 0 && !batcher->features)
    batcher->batch.pictures = tensor_make(batcher->views, real, 4, (const size_t[]){views, 3, side, side});
  if (views == 0 || !batcher->features)
    return;
  batcher->batch.features = tensor_2(batcher->views, real, views * patches, width);
  gather_fwd(batcher->ops, batcher->batch.features, tensor_2(batcher->narrow, DTYPE_F16, views * patches, width),
             tensor_1(batcher->identity, DTYPE_I32, views * patches), WRITE_SET);
}

Status batcher_fill(Batcher *batcher, const Model *shown, const size_t *samples, size_t count, size_t longest) {
  const ModelConfig *config = &shown->config;
  size_t globals, tiles;
  REQUIRE(count > 0 && count <= batcher->room, "a batch of %zu samples, room for %zu", count, batcher->room);
  free_slices(batcher);
  for (size_t i = 0; i < count; i++)
    TRY(take_sample(batcher, config, i, samples[i]));
  batcher->batch = (Batch){.count = count, .samples = batcher->conversations, .longest = longest};
  batch_views(config, &batcher->batch, &globals, &tiles);
  TRY(hold(batcher, config, globals + tiles));
  TRY(put_views(batcher, config, samples));
  describe_views(batcher, config, globals + tiles);
  return batch_check(config, &batcher->batch);
}
