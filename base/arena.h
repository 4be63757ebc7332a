/* arena.h: one block of memory, carved from the front.
 *
 * The owner measures what it needs, allocates once, carves, and frees once; operations never allocate. Every piece is
 * aligned to ARENA_ALIGNMENT bytes (a cache line, and the widest vector) and starts as zeros. */
#ifndef SEESAW_ARENA_H
#define SEESAW_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { ARENA_ALIGNMENT = 64 };
#define ARENA_MOST (SIZE_MAX / 64) /* more bytes than any machine has, and the sum of 63 such sizes does not wrap */

typedef struct Arena {
  unsigned char *base;
  size_t capacity, used; /* bytes */
} Arena;

/* arena_size: the bytes that `count` items of `size` bytes take in an arena, with alignment; at most ARENA_MOST,
 * which no arena can have. Sums of up to 63 such sizes are the capacity to ask for. */
size_t arena_size(size_t count, size_t size);

/* arena_alloc: a zeroed arena of `capacity` bytes. Errors: STATUS_MEMORY with the number of bytes asked for. */
Status arena_alloc(Arena *arena, size_t capacity);

/* arena_carve: the next piece, `count` items of `size` bytes. Carving more than was measured is the caller's mistake.
 */
void *arena_carve(Arena *arena, size_t count, size_t size);

/* arena_doubles: arena_carve for doubles. */
static inline double *arena_doubles(Arena *arena, size_t count) {
  return arena_carve(arena, count, sizeof(double));
}

void arena_free(Arena *arena);

#endif
