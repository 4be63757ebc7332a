/* keeper.h: the state of a pretraining, so that one that is stopped goes on with the same bytes. */
#ifndef SEESAW_KEEPER_H
#define SEESAW_KEEPER_H

#include "pretrain.h"
#include "snapshot.h"

typedef struct Keeper {
  Snapshot snapshot;
  size_t interval;       /* steps */
  char *path, *identity; /* path NULL: nothing is kept */
} Keeper;

/* keeper_open: of a part ("vision") in plan->folder, FOLDER/PART.checkpoint.safetensors; *start: the steps that are
 * behind it, whose state the optimiser and `others` then have. Errors: STATUS_INPUT for a checkpoint of another plan,
 * naming what differs; STATUS_MEMORY. keeper_step: after `done` steps: keeps the state now and then, and when the user
 * interrupts. Errors: STATUS_OUTPUT, STATUS_INTERRUPTED. keeper_close: `finished`: the state is needed no longer. */
Status keeper_open(Keeper *keeper, const PretrainPlan *plan, const char *part, Optimiser *optimiser,
                   const NamedTensor *others, size_t other_count, size_t *start);
Status keeper_step(Keeper *keeper, size_t done);
void keeper_close(Keeper *keeper, bool finished);

#endif
