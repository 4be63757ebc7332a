/* weights.h: a model's weights as one set of named tensors, however many files they lie in.
 *
 * Source: the conventions of the Hugging Face hub. A checkpoint is a file, or a folder with model.safetensors, or
 * model.safetensors.index.json, or pytorch_model.bin, or pytorch_model.bin.index.json: the first of them that is there.
 * An index is {"metadata": ..., "weight_map": {tensor: file}}; the files lie beside it. Only files that it names are
 * opened, and the two must agree: each tensor is in the file that the index says and in no other. `total_size` is not
 * compared: writers disagree about tensors that share their numbers. */
#ifndef SEESAW_WEIGHTS_H
#define SEESAW_WEIGHTS_H

#include <stdio.h>

#include "tensor_file.h"

typedef struct Weights {
  const char *path; /* as it was given to weights_open */
  size_t count;
  NamedTensor *tensors; /* sorted by the bytes of their names, each name once; see tensor_file.h for what they are */
  size_t file_count;
  TensorFile *files;
  Arena memory;
} Weights;

/* weights_open: PATH is a folder, an index (NAME.index.json) or a file of tensors, whose format is told by its bytes.
 * Errors: STATUS_INPUT naming file and tensor (none of the files is there; the index has names of files that are not
 * plain; a tensor is missing, listed in another file, or there twice; and all of the formats'), STATUS_MEMORY. */
Status weights_open(Weights *weights, const char *path);
void weights_close(Weights *weights);

/* weights_find: NULL if there is none of that name. */
const NamedTensor *weights_find(const Weights *weights, const char *name);

/* weights_select: the tensors whose names have `marker` at their start (WEIGHTS_PREFIX) or anywhere (WEIGHTS_INSIDE,
 * where it first comes), under the text after it: "mm_projector." turns model.mm_projector.w_gate into w_gate. A view:
 * it must not outlive `all`; close it too. Errors: STATUS_INPUT if two names become the same, STATUS_MEMORY. */
typedef enum { WEIGHTS_PREFIX, WEIGHTS_INSIDE } WeightsPlace;
Status weights_select(Weights *part, const Weights *all, const char *marker, WeightsPlace place);

/* What a model wants: any dtype, this shape. Optional tensors may be missing. */
typedef struct WeightSpec {
  const char *name;
  int rank;
  size_t size[TENSOR_RANK];
  bool optional;
} WeightSpec;

/* How many of them are wanted and not there, there and not wanted, or there in another shape. */
typedef struct WeightsDiff {
  size_t missing, unexpected, misshapen;
} WeightsDiff;

/* weights_match: the tensors are exactly those wanted. Errors: STATUS_INPUT with the counts of what is missing,
 * unexpected or misshapen and the first few names of each; STATUS_MEMORY. To want a name twice is the caller's mistake.
 * weights_diff: the same without an error: counts, and a line on `stream` (NULL: none) for each difference. A loader
 * that is not strict looks at `misshapen` alone. */
Status weights_match(const Weights *weights, const WeightSpec *wanted, size_t count);
Status weights_diff(const Weights *weights, const WeightSpec *wanted, size_t count, FILE *stream, WeightsDiff *diff);

#endif
