/* c.c: opening the C backend: its table, its memory, its threads. */
#include "c.h"

#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "arena.h"
#include "memory.h"
#include "state.h"

/* OpenBLAS's, which its cblas.h of some versions lacks. */
void openblas_set_num_threads(int threads);

typedef struct State {
  int threads;
  Arena scratch; /* C_SCRATCH bytes a thread */
} State;

/* ---- threads ---- */

static int most_threads(void) {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

int c_threads(const Ops *ops) {
  return ((const State *)ops->state)->threads;
}

void *c_scratch(const Ops *ops) {
  const State *state = ops->state;
  size_t thread = 0;
#ifdef _OPENMP
  thread = (size_t)omp_get_thread_num();
#endif
  return state->scratch.base + thread * C_SCRATCH;
}

/* ---- memory: the host's own ---- */

/* More bytes than this are compared with what the machine has before it promises them. */
static const size_t LARGE = (size_t)64 << 20;

static Status c_alloc(const Ops *ops, size_t bytes, void **memory) {
  (void)ops;
  char needed[32], there[32];
  size_t rounded = arena_size(bytes > 0 ? bytes : 1, 1), available = rounded > LARGE ? memory_available() : SIZE_MAX;
  *memory = rounded < ARENA_MOST && rounded <= available ? aligned_alloc(ARENA_ALIGNMENT, rounded) : NULL;
  if (!*memory && available < SIZE_MAX)
    return status_error(STATUS_MEMORY, "not enough memory: %s are needed at once, and %s are available",
                        memory_print(bytes, needed), memory_print(available, there));
  if (!*memory)
    return status_error(STATUS_MEMORY, "not enough memory: %zu bytes were asked for", bytes);
  memset(*memory, 0, rounded);
  return status_ok();
}

static void c_free(const Ops *ops, void *memory) {
  (void)ops;
  free(memory);
}

static void c_write(const Ops *ops, void *to, const void *from, size_t bytes) {
  (void)ops;
  memcpy(to, from, bytes);
}

static void c_read(const Ops *ops, void *to, const void *from, size_t bytes) {
  (void)ops;
  memcpy(to, from, bytes);
}

static Status c_status(const Ops *ops) {
  (void)ops;
  return status_ok();
}

/* ---- the backend ---- */

#define ENTRY(name) .name = C_OPERATION(name),
static const OpsTable table = {.name = "c",
                               .host = true,
                               .alloc = c_alloc,
                               .free = c_free,
                               .write = c_write,
                               .read = c_read,
                               .status = c_status,
                               C_OPERATIONS(ENTRY)};

Status REAL_NAME(c_open)(Ops *ops, int threads) {
  *ops = (Ops){0};
  State *state = calloc(1, sizeof *state);
  if (!state)
    return status_error(STATUS_MEMORY, "not enough memory for the C backend");
  state->threads = threads > 0 ? threads : most_threads();
  Status status = arena_alloc(&state->scratch, (size_t)state->threads * C_SCRATCH);
  if (status.code != STATUS_OK) {
    free(state);
    return status;
  }
  openblas_set_num_threads(1);
  *ops = (Ops){.table = &table, .real = sizeof(real) == 8 ? DTYPE_F64 : DTYPE_F32, .state = state};
  return status_ok();
}

void REAL_NAME(c_close)(Ops *ops) {
  State *state = ops->state;
  arena_free(&state->scratch);
  free(state);
  *ops = (Ops){0};
}
