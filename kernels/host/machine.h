/* machine.h: the card that the stand-in plays: one block after another, each of its threads a fiber that runs until it
 * must wait for others: at a barrier, a shuffle or a vote.
 *
 * Shared memory is NaN before each block, with red zones between its pieces. What no card would forgive is a fault: it
 * is kept as one sentence, the launch ends, and later ones do nothing. */
#ifndef SEESAW_KERNELS_MACHINE_H
#define SEESAW_KERNELS_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "../contract.h"
#include "vectors.h"

namespace machine {

struct Machine; /* what a Stream points to */

/* machine_open: memory for stacks and shared memory. Errors: STATUS_MEMORY. machine_close: safe on NULL. */
Status machine_open(Machine **machine, StandInOrder order, uint64_t seed);
void machine_close(Machine *machine);

/* machine_status: the first fault, or ok. */
Status machine_status(const Machine *machine);

struct Launch {
  const char *name;
  dim3 blocks, threads;
  size_t shared; /* bytes of dynamic shared memory */
};

/* machine_run: call(context) once for each thread of each block. */
void machine_run(Machine *machine, Launch launch, void (*call)(void *context), void *context);

/* ---- for the thread that runs ---- */

struct Place { /* in the source */
  const char *file;
  int line;
};

extern uint3 thread_index, block_index; /* of the thread that runs */
extern dim3 block_size, grid_size;

void barrier(Place place);

/* trap: a fault; it does not return. */
void trap(Place place);

/* exchange: wait until all lanes of the mask are at this call. Gives the word that lane `source` (of this warp) handed
 * over; *ballot (if not NULL): the lanes of the mask whose predicate is true. */
uint64_t exchange(unsigned mask, uint64_t word, int source, bool predicate, unsigned *ballot, Place place);

/* lane: of this thread in its warp. */
int lane();

/* Copies into shared memory that a thread has begun and not yet waited for, and the groups of them that it has
 * committed: mma.h says what they mean. Who exits and leaves one under way makes a fault. */
struct Copies {
  enum { MOST = 256 };
  struct {
    void *to;
    const void *from; /* NULL: zeros */
    size_t bytes;
  } copy[MOST];
  int count, groups, end[MOST]; /* copies; committed groups, and where each ends */
};

/* copies: of this thread. */
Copies &copies();

/* A declaration of static shared memory: where it lies in the block numbered `block`. */
struct Piece {
  uint64_t block;
  unsigned char *memory;
};

/* shared_piece: the same memory for all threads of a block. shared_dynamic: what the launch asked for. */
void *shared_piece(Piece *piece, size_t bytes);
void *shared_dynamic();

} // namespace machine

#endif
