/* trainer.h: one phase of training.
 *
 * The result is a function of the values at the start, the phase, the feed and the seed: on the C backend the same
 * bytes for any number of threads, and on every backend the same whether or not the run was stopped, at whatever
 * moment, and resumed on it. Resumed on another it goes on from the same values, and the files say so (snapshot.h).
 *
 * Where values are stored in BF16 masters in F32 take the steps and are what files hold; the next phase starts from the
 * values as they are stored.
 *
 * Files of a phase NAME in its folder: NAME.checkpoint.safetensors while it runs, NAME.safetensors (snapshot.h) with
 * the trained groups' values when it is done, and its lines of log.csv (train_log.h). */
#ifndef SEESAW_TRAINER_H
#define SEESAW_TRAINER_H

#include "batch.h"
#include "scheme.h"
#include "snapshot.h"

/* What a probe sees after each step. Activations and gradients are those of the step's last pass; values have moved. */
typedef struct TrainStep {
  uint64_t step; /* from 1 */
  double loss;   /* the mean over the step's trained tokens, before it moved */
  size_t trained;
  double rate[GROUP_COUNT];
  OptimiserReport norms;
  const Optimiser *optimiser;
  const TrainCounts *counts;
  const Batch *batch;
  const SlimeTape *tape;
  const Run *run;
} TrainStep;

typedef struct TrainPlan {
  Store *store; /* values as they are at the start; the gradients are made by train_phase and stay */
  const Phase *phase;
  const Feed *feed;
  const Features *features; /* of the feed's pictures; NULL: pictures go through the vision tower each time */
  uint64_t seed;
  const char *folder; /* of its files, which must be there; "": none are written */
  /* What the result depends on, as text: a checkpoint of another one is refused. NULL: all of the above, down to the
   * values at the start. A caller who knows that some of it does not matter tells what does. */
  const char *identity;
  uint64_t interval; /* steps from one checkpoint to the next; 0: only when it is interrupted */
  bool resume;       /* go on from the checkpoint, or take the finished phase, if there is one */
  bool quiet;        /* no progress bar */
  size_t recomputed; /* DecoderTape's: less memory, more work, the same result */
  bool measure;      /* norms of the updates, for the probe */
  /* probe: called after each step, NULL: nobody; an error ends the phase at once, without a checkpoint. */
  Status (*probe)(void *context, const TrainStep *step);
  void *context;
} TrainPlan;

typedef struct TrainReport {
  TrainCounts counts;
  uint64_t steps;   /* of the whole phase */
  uint64_t resumed; /* the step at which it went on; 0: it started anew */
  bool finished;    /* the phase had been finished before: its values were taken */
  Digest digest;    /* of the trained groups' values */
} TrainReport;

/* phase_suits: has the model the low-rank updates that the phase moves? Errors: STATUS_INPUT. */
Status phase_suits(const Phase *phase, const ModelConfig *config);

/* train_phase: without `resume` older files of the phase are removed first. Errors: those of the feed; STATUS_NUMERICS
 * when the loss or a gradient is not finite, with the step, the group and the last good checkpoint; STATUS_INPUT for a
 * step without any token to learn, and for a checkpoint of another run, naming what differs; STATUS_INTERRUPTED by the
 * user, after a checkpoint; STATUS_OUTPUT, STATUS_MEMORY. To train a vision tower from kept features is the caller's
 * mistake, also to train values that are still mapped. */
Status train_phase(const TrainPlan *plan, TrainReport *report);

#endif
