/* look_pass.c: batches of a feed through a model. */
#include "look_pass.h"

#include <stdlib.h>

static Status find_pictured(LookPass *pass) {
  const Feed *feed = pass->plan->feed;
  pass->samples = calloc(feed->count + 1, sizeof *pass->samples);
  if (!pass->samples)
    return status_error(STATUS_MEMORY, "not enough memory for %zu samples", feed->count);
  for (size_t i = 0; i < feed->count; i++) {
    bool pictured;
    TRY(feed_pictured(feed, i, &pictured));
    if (pictured)
      pass->samples[pass->count++] = i;
  }
  return status_ok();
}

Status look_begin(LookPass *pass, const LookPlan *plan) {
  *pass = (LookPass){.plan = plan};
  Status status = slime_tape_alloc(&pass->tape, &plan->store->model->config);
  if (status.code == STATUS_OK)
    status = find_pictured(pass);
  if (status.code == STATUS_OK)
    status = batcher_open(&pass->batcher, plan->store->ops, plan->feed, plan->features, LOOK_BATCH);
  if (status.code != STATUS_OK)
    look_end(pass);
  return status;
}

void look_end(LookPass *pass) {
  batcher_close(&pass->batcher);
  run_free(&pass->run);
  slime_tape_free(&pass->tape);
  free(pass->samples);
  *pass = (LookPass){0};
}

Status look_room(LookPass *pass, const Model *shown) {
  return slime_room(&pass->run, pass->plan->store->ops, shown, &pass->batcher.batch, &pass->tape, false);
}
