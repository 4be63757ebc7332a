/* snapshot.h: the state of a phase as a safetensors file, written whole or not at all.
 *
 * Values stand under their names in HF checkpoints, as the optimiser keeps them (fine: ops.h; of a working copy its
 * master, so that nothing is lost) and in the files' layout; with moments also NAME.m and NAME.v. The metadata hold the
 * counters, the text that tells which run it is of (identity), what computed it (devices), and digests of all tensors
 * and of the metadata themselves. Random numbers need no state: they follow from the seed and the step. */
#ifndef SEESAW_SNAPSHOT_H
#define SEESAW_SNAPSHOT_H

#include "digest.h"
#include "optimiser.h"
#include "tensor_file.h"

/* What a phase has done so far. */
typedef struct TrainCounts {
  uint64_t steps, samples;
  uint64_t trained;      /* tokens that had a loss */
  uint64_t image_tokens; /* that the decoder was shown */
  uint64_t cut;          /* samples longer than the phase's longest */
  double operations;     /* floating-point operations of matrix products and attention */
  double seconds;        /* not part of a finished phase's file, which is the same for the same run */
  double loss;           /* of the last step */
} TrainCounts;

enum { DEVICES_ROOM = 200 };

typedef struct Snapshot {
  Optimiser *optimiser; /* its values, and with `moments` the rest of it */
  TrainCounts counts;
  const char *identity; /* lines of text */
  /* What has computed it so far (ops_print): "F32", or where it went on elsewhere "F32, BF16 on cuda"; "" at first. */
  char devices[DEVICES_ROOM];
  bool moments;  /* false: of a finished phase, the values alone */
  Digest digest; /* of the tensors */
  /* Tensors in the backend's memory that are neither parameters nor moments, contiguous: what a pretraining throws away
   * in the end. */
  const NamedTensor *others;
  size_t other_count;
} Snapshot;

/* snapshot_save: to PATH; sets the digest, and adds the optimiser's backend to the devices. Errors: STATUS_NUMERICS
 * naming a group and parameter whose values are not finite (nothing is written then: every file is a good one);
 * STATUS_OUTPUT, STATUS_MEMORY. */
Status snapshot_save(Snapshot *snapshot, const char *path);

/* snapshot_load: values, moments, counters, counts of steps, the digest and the devices from PATH. Errors, all of which
 * leave the optimiser as it was: STATUS_INPUT if the identity differs, naming the lines that do (`type` and `start`,
 * identity.h, may where it was made on another device: its values are the same, rounded or not); if tensors are
 * missing, misshapen or more than they should be; if they are damaged (another digest); those of safetensors_open;
 * STATUS_MEMORY. */
Status snapshot_load(Snapshot *snapshot, const char *path);

/* snapshot_digest: what snapshot_save would set, without a file. Errors: STATUS_NUMERICS as there, STATUS_MEMORY. */
Status snapshot_digest(const Snapshot *snapshot, Digest *digest);

#endif
