/* shared.h: a block's shared memory: pieces carved from an arena, NaN at first, with red zones around them. With
 * AddressSanitizer a touch of a red zone stops the program; without it, a write there shows at the block's end. */
#ifndef SEESAW_KERNELS_SHARED_H
#define SEESAW_KERNELS_SHARED_H

#include <stddef.h>
#include <stdint.h>

#include "../contract.h"

namespace machine {

/* SHARED_MOST: of a block on compute capability 8.0, the least card that the kernels are compiled for (9.0: 227 KB). */
enum { SHARED_MOST = 163 << 10, SHARED_PIECES = 64 };

struct Shared {
  unsigned char *arena, *dynamic;
  size_t used, total; /* bytes of the arena, bytes that were asked for */
  uint64_t block;     /* a number of its own for each block of the process */
  int pieces;
  struct {
    unsigned char *memory;
    size_t bytes;
  } piece[SHARED_PIECES];
};

Status shared_open(Shared *shared);
void shared_close(Shared *shared);

/* shared_begin: of a block: nothing is carved. shared_end: after the last block: the arena is as it was. */
void shared_begin(Shared *shared);
void shared_end(Shared *shared);

/* shared_carve: aligned to 128 bytes; NULL: more than a card has. */
unsigned char *shared_carve(Shared *shared, size_t bytes);

/* shared_intact: are the red zones as they were? */
bool shared_intact(const Shared *shared);

} // namespace machine

#endif
