/* load.h: a checkpoint's files to a model, and back. */
#ifndef SEESAW_LOAD_H
#define SEESAW_LOAD_H

#include "store.h"
#include "weights.h"

enum { LOAD_PARTS = 4 };

/* A checkpoint as it lies on disk: the model's own files first, then any that replace or add to them (a projector's
 * .bin, a CLIP tower of its own). A name is looked for in the last part first, as it is and without the prefixes that
 * such files drop ("model.", "model.vision_tower.vision_tower."). Weights stay mapped, so it must outlive the model. */
typedef struct Checkpoint {
  Weights part[LOAD_PARTS];
  size_t count;
} Checkpoint;

/* checkpoint_add: open PATH, a folder or file, as another part. Errors: those of weights_open; STATUS_USAGE if there
 * are too many. checkpoint_close: safe on a zeroed one. */
Status checkpoint_add(Checkpoint *checkpoint, const char *path);
void checkpoint_close(Checkpoint *checkpoint);

/* What starts anew, whatever the checkpoint holds of it: as store_random draws it with the spread 0.02 (and the B of a
 * low-rank update is zero). */
typedef struct Fresh {
  unsigned groups; /* bits 1 << Group; 0: none */
  uint64_t seed;
} Fresh;

/* store_load: the parameters of `model` from a checkpoint, but for the fresh ones. Matrices of the groups in `keep`
 * (bits 1 << Group) stay in the mapped file in their own type, where the backend is the host's; all else is converted
 * to the backend's real type. Errors: STATUS_INPUT with the counts and first names of tensors that are missing or
 * misshapen; STATUS_MEMORY. */
Status store_load(Store *store, const Ops *ops, Model *model, const Checkpoint *checkpoint, unsigned keep, Fresh fresh);

/* store_save: FOLDER/model.safetensors with every parameter under its name, in `dtype` (F32, BF16 or F16), and
 * config.json. Errors: STATUS_OUTPUT, STATUS_MEMORY. */
Status store_save(const Store *store, const char *folder, Dtype dtype);

#endif
