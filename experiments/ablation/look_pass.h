/* look_pass.h: batches of a feed through a model, for those who look at it. */
#ifndef SEESAW_LOOK_PASS_H
#define SEESAW_LOOK_PASS_H

#include "batch.h"
#include "look.h"

enum { LOOK_BATCH = 32 }; /* samples */

typedef struct LookPass {
  const LookPlan *plan;
  Batcher batcher;
  SlimeTape tape;
  Run run;
  size_t *samples, count; /* of the feed: those with a picture */
} LookPass;

/* look_begin: Errors: those of the feed; STATUS_MEMORY. look_end: safe on a zeroed one. */
Status look_begin(LookPass *pass, const LookPlan *plan);
void look_end(LookPass *pass);

/* look_room: room for the activations of the batch. Errors: STATUS_MEMORY. */
Status look_room(LookPass *pass, const Model *shown);

#endif
