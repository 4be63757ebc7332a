/* machine.cc: the scheduler of a block's threads, what they wait for, and the faults. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fiber.h"
#include "races.h"
#include "shared.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) (static_cast<void>(memory), static_cast<void>(bytes))
#endif

namespace machine {

uint3 thread_index, block_index;
dim3 block_size, grid_size;

enum { LANES = 32, MOST_THREADS = 1024, STACK = 128 << 10 };

enum Waiting { READY, AT_BARRIER, IN_WARP, DONE };

struct Thread {
  Fiber fiber;
  uint3 index;
  Waiting waiting;
  Place place; /* of what it waits for */
  unsigned mask;
  uint64_t word; /* handed over; then what it was given */
  int source;
  bool predicate;
  unsigned ballot;
  unsigned barriers, exchanges; /* passed so far */
};

struct Machine {
  StandInOrder order;
  uint64_t random; /* state of the generator */
  Status fault;
  bool stopped; /* the launch ends here */
  unsigned char *stacks;
  size_t page;
  Shared shared;
  Launch launch;
  void (*call)(void *context);
  void *context;
  Fiber scheduler;
  Thread *running;
  unsigned threads;
  unsigned waiting[MOST_THREADS / LANES]; /* of each warp: the lanes that wait in it */
  /* Points of order (races.h): two by turns, since one may be at the next before another has left the last. */
  char at_start, at_end, at_barrier[2], in_warp[MOST_THREADS / LANES][2];
  unsigned turn[MOST_THREADS]; /* the order of threads */
  Thread thread[MOST_THREADS];
  Copies copies[MOST_THREADS];
};

static Machine *current; /* the one that runs: one at a time */

/* ---- faults ---- */

__attribute__((format(printf, 3, 4))) static void fault(Machine *m, const Thread *thread, const char *format, ...) {
  char what[256], where[64] = "";
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  m->stopped = true;
  if (m->fault.code != STATUS_OK)
    return;
  if (thread)
    snprintf(where, sizeof where, ", thread (%u, %u, %u)", thread->index.x, thread->index.y, thread->index.z);
  m->fault = status_error(STATUS_UNAVAILABLE, "kernel %.120s, block (%u, %u, %u)%s: %s", m->launch.name, block_index.x,
                          block_index.y, block_index.z, where, what);
}

static const char *file_of(Place place) {
  const char *slash = strrchr(place.file, '/');
  return slash ? slash + 1 : place.file;
}

static bool same_place(Place a, Place b) {
  return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

/* ---- a thread's side ---- */

static void give_way(Machine *m) {
  fiber_switch(&m->running->fiber, &m->scheduler);
}

void barrier(Place place) {
  Machine *m = current;
  Thread *own = m->running;
  char *point = &m->at_barrier[own->barriers++ % 2];
  own->waiting = AT_BARRIER;
  own->place = place;
  races_tell(point);
  give_way(m);
  races_hear(point);
}

void trap(Place place) {
  Machine *m = current;
  fault(m, m->running, "it trapped at %s:%d", file_of(place), place.line);
  give_way(m); /* for good */
}

int lane() {
  return static_cast<int>((current->running - current->thread) % LANES);
}

Copies &copies() {
  return current->copies[current->running - current->thread];
}

/* Are all lanes of the mask in this call? */
static bool all_here(const Machine *m, const Thread *warp, const Thread *last) {
  if ((last->mask & ~m->waiting[(warp - m->thread) / LANES]) != 0)
    return false;
  for (unsigned left = last->mask; left != 0; left &= left - 1) {
    const Thread *other = warp + __builtin_ctz(left);
    if (other->mask != last->mask || !same_place(other->place, last->place))
      return false;
  }
  return true;
}

/* Everybody is here: hand the words over and let them go. */
static void complete(Machine *m, Thread *warp, unsigned mask) {
  uint64_t words[LANES] = {0};
  unsigned ballot = 0;
  for (unsigned left = mask; left != 0; left &= left - 1) {
    int i = __builtin_ctz(left);
    words[i] = warp[i].word;
    ballot |= static_cast<unsigned>(warp[i].predicate) << i;
  }
  for (unsigned left = mask; left != 0; left &= left - 1) {
    Thread *thread = warp + __builtin_ctz(left);
    thread->word = words[thread->source];
    thread->ballot = ballot;
    thread->waiting = READY;
  }
  m->waiting[(warp - m->thread) / LANES] &= ~mask;
}

uint64_t exchange(unsigned mask, uint64_t word, int source, bool predicate, unsigned *ballot, Place place) {
  Machine *m = current;
  Thread *own = m->running;
  unsigned number = static_cast<unsigned>(own - m->thread), self = number % LANES;
  Thread *warp = own - self;
  own->mask = mask;
  own->place = place;
  own->word = word;
  own->source = source;
  own->predicate = predicate;
  own->waiting = IN_WARP;
  m->waiting[number / LANES] |= 1u << self;
  char *point = &m->in_warp[number / LANES][own->exchanges++ % 2];
  races_tell(point);
  if ((mask >> self & 1) == 0)
    fault(m, own, "the mask %08x of %s:%d does not name its own lane %u", mask, file_of(place), place.line, self);
  else if ((mask >> source & 1) == 0)
    fault(m, own, "%s:%d reads lane %d, which its mask %08x does not name", file_of(place), place.line, source, mask);
  else if (all_here(m, warp, own))
    complete(m, warp, mask);
  if (own->waiting != READY)
    give_way(m); /* for good, after a fault */
  races_hear(point);
  if (ballot)
    *ballot = own->ballot;
  return own->word;
}

/* ---- shared memory ---- */

static void *shared_or_fault(Machine *m, size_t bytes, bool dynamic) {
  Unraced carved;
  unsigned char *memory = shared_carve(&m->shared, bytes);
  if (!memory)
    fault(m, m->running, "more shared memory than a card's %d bytes a block (%zu, of which %zu dynamic)", SHARED_MOST,
          m->shared.total + bytes, dynamic ? bytes : m->launch.shared);
  return memory;
}

void *shared_piece(Piece *piece, size_t bytes) {
  Machine *m = current;
  if (piece->block != m->shared.block) {
    piece->block = m->shared.block;
    piece->memory = static_cast<unsigned char *>(shared_or_fault(m, bytes, false));
    if (!piece->memory)
      give_way(m); /* for good */
  }
  return piece->memory;
}

void *shared_dynamic() {
  return current->shared.dynamic;
}

/* ---- the scheduler's side ---- */

static void thread_begin() {
  Machine *m = current;
  races_hear(&m->at_start);
  m->call(m->context);
  races_tell(&m->at_end);
  if (copies().count > 0)
    fault(m, m->running, "it exited with %d copies under way, for which it did not wait", copies().count);
  m->running->waiting = DONE;
  give_way(m);
}

static uint32_t random_below(Machine *m, uint32_t bound) {
  m->random ^= m->random << 13;
  m->random ^= m->random >> 7;
  m->random ^= m->random << 17;
  return static_cast<uint32_t>((m->random >> 32) * bound >> 32);
}

static void shuffle_turns(Machine *m) {
  for (unsigned i = m->threads; i > 1; i--) {
    unsigned j = random_below(m, i), kept = m->turn[i - 1];
    m->turn[i - 1] = m->turn[j];
    m->turn[j] = kept;
  }
}

static void resume(Machine *m, Thread *thread) {
  m->running = thread;
  thread_index = thread->index;
  fiber_switch(&m->scheduler, &thread->fiber);
}

/* One turn for each thread that can go on; false if there was none. */
static bool turns(Machine *m) {
  bool any = false;
  if (m->order == STAND_IN_RANDOM)
    shuffle_turns(m);
  for (unsigned i = 0; i < m->threads && !m->stopped; i++) {
    Thread *thread = &m->thread[m->turn[i]];
    if (thread->waiting == READY) {
      any = true;
      resume(m, thread);
    }
  }
  return any;
}

/* A thread waits in its warp, and nobody can go on: for whom? */
static void blame_lane(Machine *m, const Thread *thread) {
  unsigned number = static_cast<unsigned>(thread - m->thread), first = number - number % LANES;
  for (unsigned i = 0; i < LANES; i++) {
    const Thread *other = &m->thread[first + i];
    const char *file = file_of(thread->place);
    if ((thread->mask >> i & 1) == 0 || other == thread)
      continue;
    if (first + i >= m->threads)
      fault(m, thread, "%s:%d names lane %u, which the block does not have", file, thread->place.line, i);
    else if (other->waiting == DONE)
      fault(m, thread, "%s:%d names lane %u, which has exited", file, thread->place.line, i);
    else if (other->waiting == AT_BARRIER || !same_place(other->place, thread->place))
      fault(m, thread, "%s:%d names lane %u, which waits at %s:%d", file, thread->place.line, i, file_of(other->place),
            other->place.line);
    else if (other->mask != thread->mask)
      fault(m, thread, "%s:%d has the mask %08x, but %08x in lane %u", file, thread->place.line, thread->mask,
            other->mask, i);
    else
      continue;
    return;
  }
}

/* Nobody can go on. All at one barrier: they pass it. Else a fault. */
static void pass_barrier(Machine *m) {
  const Thread *away = nullptr, *first = nullptr;
  for (unsigned i = 0; i < m->threads; i++) {
    const Thread *thread = &m->thread[i];
    if (thread->waiting == IN_WARP)
      return blame_lane(m, thread);
    if (thread->waiting == AT_BARRIER && !first)
      first = thread;
  }
  for (unsigned i = 0; i < m->threads && !away; i++)
    if (m->thread[i].waiting == DONE || !same_place(m->thread[i].place, first->place))
      away = &m->thread[i];
  if (away && away->waiting == DONE)
    return fault(m, away, "it exited, but thread (%u, %u, %u) waits at the barrier of %s:%d", first->index.x,
                 first->index.y, first->index.z, file_of(first->place), first->place.line);
  if (away)
    return fault(m, away, "it waits at the barrier of %s:%d, but thread (%u, %u, %u) at that of %s:%d",
                 file_of(away->place), away->place.line, first->index.x, first->index.y, first->index.z,
                 file_of(first->place), first->place.line);
  for (unsigned i = 0; i < m->threads; i++)
    m->thread[i].waiting = READY;
}

static bool all_done(const Machine *m) {
  unsigned i = 0;
  while (i < m->threads && m->thread[i].waiting == DONE)
    i++;
  return i == m->threads;
}

static unsigned char *stack_of(const Machine *m, unsigned i) {
  return m->stacks + i * (m->page + STACK) + m->page;
}

static void block_begin(Machine *m) {
  memset(m->waiting, 0, sizeof m->waiting);
  for (unsigned i = 0; i < m->threads; i++) {
    m->turn[i] = m->order == STAND_IN_REVERSE ? m->threads - 1 - i : i;
    m->thread[i].waiting = READY;
    m->thread[i].barriers = m->thread[i].exchanges = 0;
    m->copies[i].count = m->copies[i].groups = 0;
    size_t shifted = STACK - i % 61 * 64; /* else all tops would share a few sets of the cache */
    fiber_make(&m->thread[i].fiber, stack_of(m, i), shifted, thread_begin);
  }
  m->running = nullptr;
  shared_begin(&m->shared);
  m->shared.dynamic = static_cast<unsigned char *>(shared_or_fault(m, m->launch.shared, true));
  races_tell(&m->at_start);
}

static void block_run(Machine *m) {
  block_begin(m);
  while (!m->stopped)
    if (!turns(m)) {
      if (all_done(m))
        break;
      pass_barrier(m);
    }
  races_hear(&m->at_end);
  if (!m->stopped && !shared_intact(&m->shared))
    fault(m, nullptr, "shared memory was written out of bounds");
  if (m->stopped) /* frames that nobody will leave */
    for (unsigned i = 0; i < m->threads; i++)
      ASAN_UNPOISON_MEMORY_REGION(stack_of(m, i), STACK);
}

/* ---- a launch ---- */

static bool launch_possible(Machine *m) {
  dim3 t = m->launch.threads, b = m->launch.blocks;
  uint64_t threads = static_cast<uint64_t>(t.x) * t.y * t.z;
  block_index = {0, 0, 0};
  if (threads == 0 || threads > MOST_THREADS || t.z > 64)
    fault(m, nullptr, "%u x %u x %u threads a block: a card takes 1 to %d, of them 64 in z", t.x, t.y, t.z,
          MOST_THREADS);
  else if (b.x > 0x7fffffff || b.y > 65535 || b.z > 65535)
    fault(m, nullptr, "%u x %u x %u blocks: a card takes 2147483647 x 65535 x 65535", b.x, b.y, b.z);
  return m->fault.code == STATUS_OK;
}

static void number_threads(Machine *m) {
  dim3 size = m->launch.threads;
  m->threads = size.x * size.y * size.z;
  for (unsigned i = 0; i < m->threads; i++)
    m->thread[i].index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
}

/* Block i in this order; the random one steps through them by a number that shares no factor with theirs. */
struct Walk {
  uint64_t count, at, step;
};

static uint64_t common_factor(uint64_t a, uint64_t b) {
  return b == 0 ? a : common_factor(b, a % b);
}

static Walk walk_of(Machine *m, uint64_t count) {
  if (m->order != STAND_IN_RANDOM || count < 2)
    return m->order == STAND_IN_REVERSE ? Walk{count, count - 1, count - 1} : Walk{count, 0, 1};
  uint32_t bound = count > 0x7fffffff ? 0x7fffffff : static_cast<uint32_t>(count);
  Walk walk = {count, random_below(m, bound), 1 + random_below(m, bound - 1)};
  while (common_factor(walk.step, count) != 1)
    walk.step++;
  return walk;
}

void machine_run(Machine *m, Launch launch, void (*call)(void *context), void *context) {
  uint64_t count = static_cast<uint64_t>(launch.blocks.x) * launch.blocks.y * launch.blocks.z;
  m->launch = launch;
  if (m->fault.code != STATUS_OK || count == 0 || !launch_possible(m))
    return;
  m->stopped = false;
  m->call = call;
  m->context = context;
  number_threads(m);
  fiber_own(&m->scheduler);
  current = m;
  block_size = launch.threads;
  grid_size = launch.blocks;
  Walk walk = walk_of(m, count);
  for (uint64_t i = 0; i < count && !m->stopped; i++) {
    block_index = {static_cast<unsigned>(walk.at % launch.blocks.x),
                   static_cast<unsigned>(walk.at / launch.blocks.x % launch.blocks.y),
                   static_cast<unsigned>(walk.at / launch.blocks.x / launch.blocks.y)};
    block_run(m);
    walk.at = (walk.at + walk.step) % count;
  }
  shared_end(&m->shared);
  current = nullptr;
}

/* ---- opening ---- */

/* Stacks with a guard page below each: one that overflows stops the program at once. */
static Status stacks_open(Machine *m) {
  m->page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t each = m->page + STACK;
  void *stacks =
      mmap(nullptr, MOST_THREADS * each, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED)
    return status_from_errno(STATUS_MEMORY, "not enough memory for %d stacks of the stand-in", MOST_THREADS);
  m->stacks = static_cast<unsigned char *>(stacks);
  for (unsigned i = 0; i < MOST_THREADS; i++)
    if (mprotect(m->stacks + i * each, m->page, PROT_NONE) != 0)
      return status_from_errno(STATUS_MEMORY, "the stand-in cannot guard its stacks");
  return status_ok();
}

Status machine_open(Machine **machine, StandInOrder order, uint64_t seed) {
  Machine *m = static_cast<Machine *>(calloc(1, sizeof *m));
  *machine = nullptr;
  if (!m)
    return status_error(STATUS_MEMORY, "not enough memory for the stand-in");
  m->order = order;
  m->random = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
  m->random |= m->random == 0; /* the generator's only fixed point */
  m->fault = status_ok();
  Status status = stacks_open(m);
  if (status.code == STATUS_OK)
    status = shared_open(&m->shared);
  if (status.code != STATUS_OK)
    machine_close(m);
  else
    *machine = m;
  return status;
}

void machine_close(Machine *m) {
  if (!m)
    return;
  if (m->stacks)
    munmap(m->stacks, MOST_THREADS * (m->page + STACK));
  for (unsigned i = 0; i < MOST_THREADS; i++)
    fiber_close(&m->thread[i].fiber);
  shared_close(&m->shared);
  free(m);
}

Status machine_status(const Machine *m) {
  return m->fault;
}

} // namespace machine
