/* synthetic.h: batches of random pictures and tokens, for gradient checks, memory estimates and benches. */
#ifndef SEESAW_SYNTHETIC_H
#define SEESAW_SYNTHETIC_H

#include "slime.h"

typedef struct SyntheticPlan {
  size_t count;  /* conversations */
  size_t text;   /* tokens of each, the picture's place not counted; a few more or less from one to the next */
  size_t answer; /* of them, the last ones, which are trained */
  size_t columns,
      rows;       /* tiles of the first conversation's picture; the next ones have other grids of as many or fewer */
  bool same;      /* all conversations alike */
  size_t without; /* how many conversations, the last ones, have no picture */
  uint64_t seed;
} SyntheticPlan;

typedef struct Synthetic {
  Batch batch;
  Conversation *conversations;
  int32_t *numbers;
  void *pictures; /* in the backend's memory */
  const Ops *ops;
} Synthetic;

/* synthetic_make: pictures are standard normal, tokens uniform. With a dry backend the pictures are nowhere.
 * Errors: STATUS_MEMORY. synthetic_free: safe on a zeroed one. */
Status synthetic_make(Synthetic *synthetic, const Ops *ops, const ModelConfig *config, const SyntheticPlan *plan);
void synthetic_free(Synthetic *synthetic);

#endif
