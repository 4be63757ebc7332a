/* optimiser.h: AdamW over the groups of a model's parameters: moments, counts, the clip.
 *
 * A group that does not move in a step keeps its values, its moments and its count of steps, so that its bias
 * correction goes on where it stopped when its turn comes again. Weight decay acts on matrices and tables only, not on
 * biases and norms, as in HF's trainer.
 *
 * A parameter whose value is coarser than what an optimiser keeps (a working copy in BF16 or F16) has a finer one here,
 * its master: small steps, which rounding would lose, add up there, and the working copy is the master rounded. */
#ifndef SEESAW_OPTIMISER_H
#define SEESAW_OPTIMISER_H

#include "store.h"

/* A parameter that is trained: the value w that the model computes with and the value p that steps move, which are the
 * same tensor unless w is a working copy; gradient and moments. All in the backend's memory; all but w fine (ops.h). */
typedef struct Slot {
  Entry entry; /* its name is the slot's own */
  Tensor w, p, d, m, v;
} Slot;

/* slot_copy: w if it is a working copy; else absent. */
Tensor slot_copy(const Slot *slot);

typedef struct Optimiser {
  const Store *store;
  size_t count;
  Slot *slots;                  /* in the order of the walk */
  uint64_t steps[GROUP_COUNT];  /* that each group has moved */
  void *moments, *old, *totals; /* backend memory: m, v and masters; rows before their step; sums of squares */
} Optimiser;

typedef struct OptimiserRule {
  double rate[GROUP_COUNT]; /* 0: this group does not move */
  double beta1, beta2, epsilon, decay;
  double clip;  /* the most that the norm over all groups that move may be; 0: no clip */
  bool measure; /* the updates' norms are wanted: one more pass over the weights */
} OptimiserRule;

typedef struct OptimiserReport {
  double gradient[GROUP_COUNT]; /* norm, before the clip; 0 for a group that does not move */
  double update[GROUP_COUNT];   /* norm of the change over that of the weights before; 0 if not measured */
  double change[GROUP_COUNT];   /* norm of the change; 0 if not measured */
  double norm;                  /* of the gradient over the groups that move */
  Group bad;                    /* the first whose gradient is not finite: then nothing was moved; else GROUP_COUNT */
} OptimiserReport;

/* optimiser_rule: AdamW's usual numbers (0.9, 0.999, 1e-8, no decay, clip 1), no group moving. */
OptimiserRule optimiser_rule(void);

/* optimiser_alloc: moments, zero, of the parameters that have gradients now (store_train). The store must stay, and be
 * trained no differently, while the optimiser is used. Masters begin as their working copies are. A trained parameter
 * whose value is not the store's own (still mapped) is the caller's mistake. Errors: STATUS_MEMORY. optimiser_free:
 * safe on a zeroed one. */
Status optimiser_alloc(Optimiser *optimiser, const Store *store);
void optimiser_free(Optimiser *optimiser);

/* optimiser_step: one step of the groups with a rate, from the gradients as they are; they are not zeroed.  Source:
 * ops.h, adamw; the clip is torch's clip_grad_norm_, whose factor is clip / (norm + 1e-6), at most 1. */
OptimiserReport optimiser_step(Optimiser *optimiser, const OptimiserRule *rule);

#endif
