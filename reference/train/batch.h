/* batch.h: samples of a feed as batches of the model, in a random order. */
#ifndef SEESAW_BATCH_H
#define SEESAW_BATCH_H

#include "feature_cache.h"

/* The order in which samples are shown: each epoch a permutation of the feed of its own, by Fisher and Yates's shuffle
 * from the counter-based generator. */
typedef struct Order {
  uint64_t seed;
  size_t count; /* of the feed */
  uint64_t epoch;
  size_t *places; /* of the epoch */
} Order;

/* order_open: Errors: STATUS_MEMORY. order_at: the sample of the feed that is shown as number `shown` from 0: of epoch
 * shown / count. order_close: safe on a zeroed one. */
Status order_open(Order *order, uint64_t seed, size_t count);
size_t order_at(Order *order, uint64_t shown);
void order_close(Order *order);

/* Turns samples into batches in the backend's memory, which is used again from one batch to the next. */
typedef struct Batcher {
  const Ops *ops;
  const Feed *feed;
  const Features *features; /* NULL: pictures */
  size_t room;              /* samples */
  Example *examples;
  Conversation *conversations;
  Slices *slices; /* of the samples' pictures, if there are no features */
  size_t held;    /* views that the following have room for, in backend memory: */
  void *narrow;   /* features as they are kept, F16 */
  void *views;    /* features or pictures as reals */
  void *identity; /* 0, 1, 2, ...: rows of features */
  Batch batch;
} Batcher;

/* batcher_open: for batches of at most `room` samples. Errors: STATUS_MEMORY. batcher_close: safe on a zeroed one. */
Status batcher_open(Batcher *batcher, const Ops *ops, const Feed *feed, const Features *features, size_t room);
void batcher_close(Batcher *batcher);

/* batcher_fill: batcher->batch from these samples of the feed, with those views alone that `shown` (model_showing) has;
 * rows beyond `longest` will be cut off (0: none). It is good until the next fill. Errors: those of the feed and of
 * batch_check; STATUS_INPUT naming a sample that has nothing to learn (all labels ignored); STATUS_MEMORY. */
Status batcher_fill(Batcher *batcher, const Model *shown, const size_t *samples, size_t count, size_t longest);

#endif
