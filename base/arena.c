/* arena.c: one aligned, zeroed block and a mark of how far it is used. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

size_t arena_size(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > ARENA_MOST - ARENA_ALIGNMENT)
    return ARENA_MOST;
  return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

Status arena_alloc(Arena *arena, size_t capacity) {
  size_t rounded = arena_size(capacity > 0 ? capacity : 1, 1);
  *arena = (Arena){0};
  if (rounded < ARENA_MOST)
    arena->base = aligned_alloc(ARENA_ALIGNMENT, rounded);
  if (arena->base == NULL)
    return status_error(STATUS_MEMORY, "not enough memory: %zu bytes were asked for", capacity);
  memset(arena->base, 0, rounded);
  arena->capacity = capacity;
  return status_ok();
}

void *arena_carve(Arena *arena, size_t count, size_t size) {
  size_t bytes = arena_size(count, size);
  REQUIRE(bytes <= arena->capacity - arena->used, "%zu items of %zu bytes do not fit: %zu of %zu bytes are used", count,
          size, arena->used, arena->capacity);
  void *piece = arena->base + arena->used;
  arena->used += bytes;
  return piece;
}

void arena_free(Arena *arena) {
  free(arena->base);
  *arena = (Arena){0};
}
