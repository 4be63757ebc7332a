/* test_batch.c: the order of samples, and batches from pictures and from kept features. */
#include "batch.h"

#include <stdlib.h>

#include "c.h"
#include "feeds.h"

/* ---- the order ---- */

Test(order, each_epoch_shows_everything_once_in_another_order) {
  enum { COUNT = 37 };
  Order order, again;
  size_t first[COUNT];
  assert_ok(order_open(&order, 5, COUNT));
  for (size_t epoch = 0; epoch < 3; epoch++) {
    int seen[COUNT] = {0};
    size_t moved = 0;
    for (size_t i = 0; i < COUNT; i++) {
      size_t place = order_at(&order, epoch * COUNT + i);
      cr_assert_lt(place, COUNT);
      seen[place]++;
      moved += epoch > 0 && first[i] != place;
      first[i] = place;
    }
    for (size_t i = 0; i < COUNT; i++)
      cr_expect_eq(seen[i], 1);
    cr_expect(epoch == 0 || moved > COUNT / 2);
  }
  assert_ok(order_open(&again, 5, COUNT));
  cr_expect_eq(order_at(&again, 2 * COUNT + 7), first[7], "from anywhere");
  order_at(&again, 3);
  cr_expect_eq(order_at(&again, 3 * COUNT - 1), first[COUNT - 1], "and back");
  order_close(&again);
  order_close(&order);
}

Test(order, of_another_seed_is_another_and_of_one_sample_is_one) {
  Order a, b;
  size_t same = 0;
  assert_ok(order_open(&a, 1, 100));
  assert_ok(order_open(&b, 2, 100));
  for (size_t i = 0; i < 100; i++)
    same += order_at(&a, i) == order_at(&b, i);
  cr_expect_lt(same, 10);
  order_close(&a);
  assert_ok(order_open(&a, 1, 1));
  cr_expect_eq(order_at(&a, 123456789), 0);
  order_close(&a);
  order_close(&b);
}

/* Every permutation of three as often as the others: 5 standard deviations. */
Test(order, is_uniform) {
  size_t counts[27] = {0};
  Order order;
  assert_ok(order_open(&order, 9, 3));
  for (size_t epoch = 0; epoch < 6000; epoch++)
    counts[order_at(&order, 3 * epoch) * 9 + order_at(&order, 3 * epoch + 1) * 3 + order_at(&order, 3 * epoch + 2)]++;
  static const size_t permutations[] = {5, 7, 11, 15, 19, 21};
  for (int i = 0; i < 6; i++)
    expect_within(fabs((double)counts[permutations[i]] - 1000.0), 5.0 * sqrt(6000.0 / 6 * 5 / 6), "%d", i);
  order_close(&order);
}

/* ---- batches ---- */

typedef struct World {
  Ops ops;
  Model model;
  Store store;
  SmallFeed feed;
  Features *features;
  Batcher batcher;
} World;

static void begin_world(World *w, Dtype real, bool kept) {
  ModelConfig config;
  *w = (World){0};
  assert_ok(config_preset("tiny", &config));
  assert_ok(c_open(&w->ops, real, 1));
  assert_ok(model_alloc(&w->model, &config));
  assert_ok(store_random(&w->store, &w->ops, &w->model, 0.1, 5));
  small_feed(&w->feed, 11, 3);
  if (kept)
    assert_ok(features_open(&w->features,
                            &(FeaturesPlan){.store = &w->store, .feed = &w->feed.feed, .folder = "", .quiet = true}));
  assert_ok(batcher_open(&w->batcher, &w->ops, &w->feed.feed, w->features, 8));
}

static void end_world(World *w) {
  batcher_close(&w->batcher);
  features_close(w->features);
  store_free(&w->store);
  model_free(&w->model);
  c_close(&w->ops);
}

static double loss_of(World *w, Views views, const size_t *samples, size_t count) {
  Model shown = model_showing(&w->model, views);
  SlimeTape tape;
  Run run;
  size_t trained;
  assert_ok(batcher_fill(&w->batcher, &shown, samples, count, 0));
  assert_ok(slime_tape_alloc(&tape, &w->model.config));
  assert_ok(run_alloc(&run, &w->ops, slime_measure(&shown, &w->batcher.batch, &tape, w->ops.real, false, NULL)));
  double loss = slime_forward(&run, &shown, &w->batcher.batch, &tape, &trained);
  cr_expect_eq(trained, 2 * count);
  run_free(&run);
  slime_tape_free(&tape);
  return loss;
}

/* Features are rounded to half precision; the batches are otherwise the same, whatever is shown. */
Test(batch, kept_features_give_the_loss_of_pictures) {
  static const size_t samples[] = {7, 0, 4, 2, 10, 3, 1};
  World seen, kept;
  begin_world(&seen, DTYPE_F64, false);
  begin_world(&kept, DTYPE_F64, true);
  for (int views = VIEWS_NONE; views <= VIEWS_BOTH; views++)
    for (size_t count = 1; count <= 7; count += 3) {
      double a = loss_of(&seen, (Views)views, samples, count), b = loss_of(&kept, (Views)views, samples, count);
      expect_within(fabs(a - b), views == VIEWS_NONE ? 0.0 : 2e-3, "views %d, %zu samples", views, count);
      cr_expect(views == VIEWS_NONE || a != b, "features are used");
    }
  end_world(&seen);
  end_world(&kept);
}

/* The mean over the batch is that of its samples, so every sample has its own views. */
Test(batch, holds_each_sample_with_its_views) {
  static const size_t samples[] = {7, 0, 4, 2, 10, 3};
  World w;
  begin_world(&w, DTYPE_F64, false);
  double together = loss_of(&w, VIEWS_BOTH, samples, 6), alone = 0.0;
  for (size_t i = 0; i < 6; i++)
    alone += loss_of(&w, VIEWS_BOTH, samples + i, 1) / 6.0;
  expect_within(fabs(together - alone), 1e-12, "the mean");
  end_world(&w);
}

Test(batch, of_text_alone_asks_for_no_picture) {
  World w;
  begin_world(&w, DTYPE_F32, false);
  w.feed.reading = 0;
  loss_of(&w, VIEWS_BOTH, (const size_t[]){4, 9}, 2);
  cr_expect_eq(w.feed.reading, 0, "those have none");
  loss_of(&w, VIEWS_NONE, (const size_t[]){0, 1}, 2);
  cr_expect_eq(w.feed.reading, 0, "none is shown");
  loss_of(&w, VIEWS_LOCAL, (const size_t[]){0, 1, 4}, 3);
  cr_expect_eq(w.feed.reading, 2);
  end_world(&w);
}

static Status fails(void *state, size_t index, Image *image) {
  (void)state, (void)image;
  return status_error(STATUS_INPUT, "picture %zu is lost", index);
}

Test(batch, says_what_is_wrong_with_a_sample) {
  World w;
  begin_world(&w, DTYPE_F32, false);
  w.feed.empty = 6;
  expect_refused(batcher_fill(&w.batcher, &w.model, (const size_t[]){1, 6}, 2, 0), STATUS_INPUT,
                 "conversation 6 has nothing to learn: all labels of its");
  assert_ok(batcher_fill(&w.batcher, &w.model, (const size_t[]){1, 5}, 2, 0));
  w.feed.feed.picture = fails;
  expect_refused(batcher_fill(&w.batcher, &w.model, (const size_t[]){4, 3}, 2, 0), STATUS_INPUT, "picture 3 is lost");
  w.model.config.decoder.vocabulary = 50;
  expect_refused(batcher_fill(&w.batcher, &w.model, (const size_t[]){4}, 1, 0), STATUS_INPUT, "the vocabulary has 50");
  end_world(&w);
}
