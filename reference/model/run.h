/* run.h: one pass of the model: where its activations live, and who looks at them.
 *
 * Activations are carved from one block, front to back. What backward needs stays until the end; the rest is given back
 * by marks. A dry pass of the same code, with a backend that computes nothing, measures how large the block must be. */
#ifndef SEESAW_RUN_H
#define SEESAW_RUN_H

#include "ops.h"

typedef struct Run {
  const Ops *ops;
  bool training; /* keep what backward needs, and draw noise */
  uint64_t seed; /* of the noise, with the step */
  uint32_t step;
  unsigned char *base;         /* in the backend's memory */
  size_t used, most, capacity; /* bytes; most: ever used at once */
  struct HostPiece *host;      /* the host's indices and offsets of this pass */
  /* Looks at each named activation and gradient as soon as it is final; NULL: nobody does. */
  void (*observe)(void *context, const char *name, Tensor tensor);
  void *context;
} Run;

/* run_alloc: room for `capacity` bytes of activations. Errors: STATUS_MEMORY. run_free: safe on a zeroed Run.
 * run_reset: a new pass; nothing carved before may be used any more. run_grow: a new pass with room for that many
 * bytes; where there is not enough, a new block with a quarter more, so that passes of slowly growing size seldom need
 * one; how the run was set up stays. run_dry: a run over a dry backend (ops.h), for measuring; `most` is the answer. */
Status run_alloc(Run *run, const Ops *ops, size_t capacity);
Status run_grow(Run *run, const Ops *ops, size_t bytes);
void run_free(Run *run);
void run_reset(Run *run);
Run run_dry(const Ops *dry);
bool run_is_dry(const Run *run);

/* run_reals, run_fine (rows x columns), run_vector (fine), run_integers: the next piece, holding anything; which tensor
 * is real and which fine is each operation's to say (ops.h). run_zeros, run_fine_zeros: a gradient, to be added to.
 * Carving more than was measured is the caller's mistake. */
Tensor run_reals(Run *run, size_t rows, size_t columns);
Tensor run_fine(Run *run, size_t rows, size_t columns);
Tensor run_vector(Run *run, size_t count);
Tensor run_integers(Run *run, size_t count);
Tensor run_zeros(Run *run, size_t rows, size_t columns);
Tensor run_fine_zeros(Run *run, size_t rows, size_t columns);

/* run_host: integers in the host's memory that live as long as the pass; a few for each row, so too little memory for
 * them stops the program. run_upload: integers of the host's, in backend memory. */
int32_t *run_host(Run *run, size_t count);
Tensor run_upload(Run *run, const int32_t *values, size_t count);

/* run_mean: of a vector, read back from the backend. run_likeliest: of each row the column of its largest number, the
 * first of equals. */
double run_mean(Run *run, Tensor vector);
void run_likeliest(Run *run, Tensor rows, int32_t *columns);

/* run_mark, run_release: all that was carved since the mark is given back. */
size_t run_mark(const Run *run);
void run_release(Run *run, size_t mark);

/* run_note: this tensor is final; its name printf-style. */
void run_note(Run *run, Tensor tensor, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* run_ragged: a batch of `count` samples with these offsets (count + 1, from run_host). run_even: of `rows` rows each.
 */
Ragged run_ragged(Run *run, size_t count, const int32_t *offsets);
Ragged run_even(Run *run, size_t count, size_t rows);

#endif
