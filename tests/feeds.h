/* feeds.h: a small feed for tests of training: pictures of noise in a few colours and sizes, answers that follow from
 * them, all from the sample's number. */
#ifndef SEESAW_TEST_FEEDS_H
#define SEESAW_TEST_FEEDS_H

#include "feed.h"
#include "rng.h"
#include "runs.h"

typedef struct SmallFeed {
  Feed feed;
  uint64_t seed;
  size_t text;    /* tokens of the longest question */
  size_t empty;   /* this conversation has no label; SIZE_MAX: all have */
  size_t plain;   /* every so many conversations one without a picture; 0: all have one */
  size_t reading; /* pictures that were asked for */
} SmallFeed;

static inline double small_number(const SmallFeed *feed, size_t index, size_t which) {
  return rng_uniform(rng_make(feed->seed, RNG_TEST, (uint32_t)index), which);
}

static inline bool small_pictured(const SmallFeed *feed, size_t index) {
  return feed->plain == 0 || index % feed->plain != feed->plain - 1;
}

static inline Status small_add(Sample *text, int32_t id, bool learnt) {
  TRY(tokens_append(&text->ids, id));
  return tokens_append(&text->labels, learnt ? id : IGNORE_LABEL);
}

/* [start] [picture] question... answer answer */
static inline Status small_example(void *state, size_t index, Example *example) {
  const SmallFeed *feed = state;
  size_t words = 2 + (size_t)(small_number(feed, index, 0) * (double)(feed->text - 1));
  example->text.ids.count = example->text.labels.count = 0;
  example->pictured = small_pictured(feed, index);
  TRY(small_add(&example->text, 1, false));
  if (example->pictured)
    TRY(small_add(&example->text, IMAGE_TOKEN, false));
  for (size_t i = 0; i < words; i++)
    TRY(small_add(&example->text, 10 + (int32_t)(small_number(feed, index, 1 + i) * 30.0), false));
  TRY(small_add(&example->text, 100 + (int32_t)(index % 7), index != feed->empty));
  TRY(small_add(&example->text, 110 + (int32_t)(index % 3), index != feed->empty));
  example_place_question(example);
  return status_ok();
}

static inline Status small_picture(void *state, size_t index, Image *image) {
  static const size_t sizes[][2] = {{24, 24}, {48, 25}, {30, 47}, {50, 50}};
  SmallFeed *feed = state;
  feed->reading++;
  TRY(image_new(image, sizes[index % 4][0], sizes[index % 4][1]));
  for (size_t i = 0; i < image->width * image->height * 3; i++)
    image->pixels[i] = (unsigned char)(index * 40 + i % 3 * 60 + (size_t)(small_number(feed, index, 1000 + i) * 50.0));
  return status_ok();
}

static inline Status small_digest(void *state, size_t index, Digest *digest) {
  const SmallFeed *feed = state;
  uint64_t key[2] = {feed->seed, index};
  *digest = digest_of(key, sizeof key);
  return status_ok();
}

/* The feed must not move while it is used. */
static inline void small_feed(SmallFeed *feed, size_t count, uint64_t seed) {
  *feed = (SmallFeed){.seed = seed, .text = 6, .empty = SIZE_MAX, .plain = 5};
  feed->feed =
      (Feed){.state = feed, .count = count, .example = small_example, .picture = small_picture, .digest = small_digest};
}

#endif
