/* shared.cc: pieces and red zones. */
#include "shared.h"

#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes) (static_cast<void>(memory), static_cast<void>(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) (static_cast<void>(memory), static_cast<void>(bytes))
#endif

namespace machine {

enum { ALIGNED = 128, RED = 0xcd, NOT_A_NUMBER = 0xff };

/* What all pieces and their red zones take at most: a piece is followed by at least ALIGNED red bytes. */
static const size_t ARENA = SHARED_MOST + (SHARED_PIECES + 1) * 3 * ALIGNED;

/* Blocks of all machines of the process have numbers of their own: a declaration remembers the last one it saw. */
static uint64_t blocks;

Status shared_open(Shared *shared) {
  void *arena = mmap(nullptr, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (arena == MAP_FAILED)
    return status_from_errno(STATUS_MEMORY, "not enough memory for the stand-in's shared memory");
  shared->arena = static_cast<unsigned char *>(arena);
  memset(shared->arena, RED, ARENA);
  return status_ok();
}

void shared_close(Shared *shared) {
  if (shared->arena)
    munmap(shared->arena, ARENA);
}

static void redden(Shared *shared) {
  ASAN_UNPOISON_MEMORY_REGION(shared->arena, ARENA);
  memset(shared->arena, RED, shared->used);
}

void shared_begin(Shared *shared) {
  redden(shared);
  ASAN_POISON_MEMORY_REGION(shared->arena, ARENA);
  shared->used = ALIGNED; /* one red zone before the first */
  shared->total = 0;
  shared->pieces = 0;
  shared->block = ++blocks;
}

void shared_end(Shared *shared) {
  redden(shared);
}

unsigned char *shared_carve(Shared *shared, size_t bytes) {
  if (bytes > SHARED_MOST - shared->total || shared->pieces == SHARED_PIECES)
    return nullptr;
  unsigned char *memory = shared->arena + shared->used;
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
  memset(memory, NOT_A_NUMBER, bytes);
  shared->piece[shared->pieces++] = {memory, bytes};
  shared->total += bytes;
  shared->used += (bytes + ALIGNED - 1) / ALIGNED * ALIGNED + ALIGNED;
  return memory;
}

/* With the sanitizer's marks in place the red zones cannot be read, and need not be. */
bool shared_intact(const Shared *shared) {
#ifndef __SANITIZE_ADDRESS__
  const unsigned char *byte = shared->arena;
  for (int i = 0; i <= shared->pieces; i++) {
    const unsigned char *end = i < shared->pieces ? shared->piece[i].memory : shared->arena + shared->used;
    for (; byte < end; byte++)
      if (*byte != RED)
        return false;
    if (i < shared->pieces)
      byte += shared->piece[i].bytes;
  }
#else
  (void)shared;
#endif
  return true;
}

} // namespace machine
