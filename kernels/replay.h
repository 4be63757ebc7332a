/* replay.h: a backend whose choices of local tokens are written down, or replaced by those that another one made. */
#ifndef SEESAW_REPLAY_H
#define SEESAW_REPLAY_H

#include "verify.h"

/* What router_select chose once. */
typedef struct Chosen {
  size_t samples, rows;
  double *score, *kept, *offsets;
} Chosen;

enum { CHOSEN_MOST = 8 }; /* choices between two calls of replay_begin */

typedef struct Replay {
  Ops ops; /* to run on; first, so that the table's entry finds the rest */
  OpsTable table;
  const Ops *inner;
  const struct Replay *source; /* whose choices are replayed; NULL: choices are written down */
  size_t count;
  Chosen chosen[CHOSEN_MOST];
  double units; /* of the tolerance of choices */
  size_t doubtful;
  bool wrong;
  char sentence[300]; /* if a choice was wrong */
} Replay;

/* replay_open: wrap a backend. replay_begin: a new pass. replay_close: forget what was written down. */
void replay_open(Replay *replay, const Ops *inner, const Replay *source, double units);
void replay_begin(Replay *replay);
void replay_close(Replay *replay);

/* tensor_numbers: a tensor of the backend's, as doubles, rows one after the other; allocated, NULL if memory is out. */
double *tensor_numbers(const Ops *ops, Tensor tensor);

/* tensor_put: the other way: rounded to the tensor's type (F32, F64, BF16 or F16). Errors: STATUS_MEMORY. */
Status tensor_put(const Ops *ops, Tensor tensor, const double *numbers);

#endif
