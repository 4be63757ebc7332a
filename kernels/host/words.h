/* words.h: CUDA's language for a C++ compiler: qualifiers, indices, barriers, shuffles, votes, atomics, arithmetic.
 * Each as the CUDA C++ Programming Guide defines it. */
#ifndef SEESAW_KERNELS_WORDS_H
#define SEESAW_KERNELS_WORDS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <type_traits>

#include "bfloat.h"
#include "half.h"
#include "machine.h"
#include "races.h"

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(bytes) alignas(bytes)

#define threadIdx (machine::thread_index)
#define blockIdx (machine::block_index)
#define blockDim (machine::block_size)
#define gridDim (machine::grid_size)

typedef machine::Machine *Stream;

#define SHARED(type, name, count)                                                                                      \
  static machine::Piece name##_piece;                                                                                  \
  type *const name = static_cast<type *>(machine::shared_piece(&name##_piece, sizeof(type) * (count)))
#define DYNAMIC_SHARED(type, name) type *const name = static_cast<type *>(machine::shared_dynamic())

template <class... Parameters, class... Arguments>
void launch(const char *name, void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared, Stream stream,
            Arguments &&...arguments) {
  auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
  machine::machine_run(
      stream, {name, blocks, threads, shared}, [](void *context) { (*static_cast<decltype(body) *>(context))(); },
      &body);
}

#define LAUNCH(kernel, blocks, threads, shared, stream, ...)                                                           \
  launch(#kernel, kernel, blocks, threads, shared, stream __VA_OPT__(, ) __VA_ARGS__)

/* ---- waiting for each other; the place of a call is that of the kernel's line ---- */

#define SEESAW_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(SEESAW_PLACE) {
  machine::barrier({file, line});
}

static inline void __syncwarp(unsigned mask = 0xffffffffu, SEESAW_PLACE) {
  machine::exchange(mask, 0, machine::lane(), false, nullptr, {file, line});
}

static inline unsigned __ballot_sync(unsigned mask, int predicate, SEESAW_PLACE) {
  unsigned ballot;
  machine::exchange(mask, 0, machine::lane(), predicate != 0, &ballot, {file, line});
  return ballot;
}

static inline int __any_sync(unsigned mask, int predicate, SEESAW_PLACE) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}

static inline int __all_sync(unsigned mask, int predicate, SEESAW_PLACE) {
  return __ballot_sync(mask, predicate, file, line) == mask;
}

template <class T> T seesaw_shuffle(unsigned mask, T value, int source, machine::Place place) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable<T>::value, "shuffles move plain words");
  uint64_t word = 0;
  memcpy(&word, &value, sizeof value);
  word = machine::exchange(mask, word, source, false, nullptr, place);
  memcpy(&value, &word, sizeof value);
  return value;
}

/* width: a power of two up to 32; each such part of a warp shuffles for itself. A source outside gives one's own. */
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, SEESAW_PLACE) {
  int first = machine::lane() & ~(width - 1);
  return seesaw_shuffle(mask, value, first + (source & (width - 1)), {file, line});
}

template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SEESAW_PLACE) {
  int own = machine::lane(), source = own - static_cast<int>(delta);
  return seesaw_shuffle(mask, value, source < (own & ~(width - 1)) ? own : source, {file, line});
}

template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SEESAW_PLACE) {
  int own = machine::lane(), source = own + static_cast<int>(delta);
  return seesaw_shuffle(mask, value, source > (own | (width - 1)) ? own : source, {file, line});
}

/* Into an earlier part of the warp it may reach, into a later one not. */
template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, SEESAW_PLACE) {
  int own = machine::lane(), source = own ^ bits;
  return seesaw_shuffle(mask, value, source > (own | (width - 1)) ? own : source, {file, line});
}

/* The end of the kernel, and a fault that sticks. */
static inline void __trap(SEESAW_PLACE) {
  machine::trap({file, line});
}

static inline void __threadfence() {}
static inline void __threadfence_block() {}

/* ---- atomics: one thread runs at a time ---- */

#define SEESAW_ATOMIC(name, result)                                                                                    \
  template <class T> T name(T *address, std::common_type_t<T> value) {                                                 \
    machine::Unraced atomic;                                                                                           \
    T old = *address;                                                                                                  \
    *address = static_cast<T>(result);                                                                                 \
    return old;                                                                                                        \
  }
SEESAW_ATOMIC(atomicAdd, old + value)
SEESAW_ATOMIC(atomicSub, old - value)
SEESAW_ATOMIC(atomicMax, value > old ? value : old)
SEESAW_ATOMIC(atomicMin, value < old ? value : old)
SEESAW_ATOMIC(atomicAnd, old &value)
SEESAW_ATOMIC(atomicOr, old | value)
SEESAW_ATOMIC(atomicExch, value)
#undef SEESAW_ATOMIC

template <class T> T atomicCAS(T *address, std::common_type_t<T> compare, std::common_type_t<T> value) {
  machine::Unraced atomic;
  T old = *address;
  *address = old == compare ? value : old;
  return old;
}

/* ---- loads and stores with hints ---- */

template <class T> T __ldg(const T *address) {
  return *address;
}
template <class T> T __ldcs(const T *address) {
  return *address;
}
template <class T> void __stcs(T *address, std::common_type_t<T> value) {
  *address = value;
}

/* ---- arithmetic: also the fast forms are exact here, so tolerances must allow for the card's ---- */

template <class T> T min(T a, std::common_type_t<T> b) {
  return b < a ? b : a;
}
template <class T> T max(T a, std::common_type_t<T> b) {
  return a < b ? b : a;
}
static inline float rsqrtf(float x) {
  return 1.0f / sqrtf(x);
}
#define __expf expf /* glibc has functions of these names */
#define __logf logf
static inline float __fdividef(float x, float y) {
  return x / y;
}
static inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
static inline int __ffs(int x) {
  return __builtin_ffs(x);
}
static inline int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
static inline unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>(static_cast<uint64_t>(x) * y >> 32);
}
static inline int __float_as_int(float x) {
  int bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static inline float __int_as_float(int bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#endif
