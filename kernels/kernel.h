/* kernel.h: what kernel files share: the state behind Ops, rows of tensors as kernels see them, and loads and stores of
 * 16 bytes where rows allow it.
 *
 * A kernel file has its kernels first, templates over the storage types, and then the functions of the table: they get
 * tensors that ops.c has checked, choose grid and block, and hand pointers on. All stand in namespace SEESAW_BACKEND,
 * so that one program holds both backends. */
#ifndef SEESAW_KERNELS_KERNEL_H
#define SEESAW_KERNELS_KERNEL_H

#include <type_traits>

#include "contract.h"
#include "language.h"

namespace SEESAW_BACKEND {

struct State {
  Stream stream;
  float *scratch; /* SCRATCH numbers in the device's memory, holding anything: for partial sums within an operation */
  void *products; /* what matrix products keep: product.h */
};

/* The same on every device, and grids depend on shapes alone, so sums have the same order everywhere. */
enum { SCRATCH = 4 << 20 };

inline State *state_of(const Ops *ops) {
  return static_cast<State *>(ops->state);
}

inline Stream stream_of(const Ops *ops) {
  return state_of(ops)->stream;
}

/* Every slot that is filled: a line for each kernel file. Add yours and its functions are declared and in the table. */
/* clang-format off */
#define KERNEL_OPERATIONS(X) \
  X(attention_fwd) X(attention_bwd)                               /* attention_*.cu */ \
  X(layernorm_fwd) X(layernorm_bwd) X(rmsnorm_fwd) X(rmsnorm_bwd) /* norm.cu */ \
  X(copy) X(add) X(scale) X(zero) X(normal_fill)                  /* elementwise.cu */ \
  X(activation_fwd) X(activation_bwd) X(swiglu_fwd) X(swiglu_bwd) \
  X(rope)                                                         /* rope.cu */ \
  X(gather_fwd) X(gather_bwd) X(scatter_fwd) X(patches_fwd)       /* rows.cu */ \
  X(linear_fwd) X(linear_bwd_input) X(linear_bwd_weight)          /* linear.cu */ \
  X(noisy_gate_fwd) X(noisy_gate_bwd) X(expert_mix_fwd) X(expert_mix_bwd) /* mixture.cu */ \
  X(cross_entropy_fwd) X(cross_entropy_bwd)                       /* cross_entropy.cu */ \
  X(router_score) X(router_select)                                /* router.cu */ \
  X(sum_squares) X(adamw)                                         /* optimiser.cu */
/* clang-format on */

#define KERNEL_DECLARE(name) extern std::remove_pointer_t<decltype(OpsTable::name)> name;
KERNEL_OPERATIONS(KERNEL_DECLARE)

/* Of the device: memory, and copying and clearing of rows without a kernel (bytes; pitches, too). */
extern std::remove_pointer_t<decltype(OpsTable::alloc)> device_alloc;
extern std::remove_pointer_t<decltype(OpsTable::free)> device_free;
extern std::remove_pointer_t<decltype(OpsTable::write)> device_write;
extern std::remove_pointer_t<decltype(OpsTable::read)> device_read;
extern std::remove_pointer_t<decltype(OpsTable::status)> device_status;
void device_copy(Stream stream, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                 size_t rows); /* of one row the pitch may be anything */
void device_clear(Stream stream, void *to, size_t pitch, size_t width, size_t rows);

/* backend_open: the table over a state; its scratch memory is allocated here, and is NaN at first. Errors: real is none
 * that kernels are for: STATUS_USAGE; STATUS_MEMORY. backend_close frees that; the stream is the caller's. */
Status backend_open(Ops *ops, Dtype real, State *state, const char *name, bool host);
void backend_close(Ops *ops);

/* ---- shapes ---- */

__host__ __device__ constexpr size_t ceil_div(size_t x, size_t y) {
  return (x + y - 1) / y;
}

__host__ __device__ constexpr size_t at_most(size_t x, size_t most) {
  return x < most ? x : most;
}

/* The first sizes as rows, the rest as columns; without gaps one long row will do (flat). */
struct Shape {
  size_t rows, columns;
};

inline Shape shape_of(Tensor x, bool flat) {
  return flat ? Shape{1, tensor_count(x)} : Shape{x.size[0], tensor_width(x)};
}

/* ---- rows ---- */

/* Numbers in 16 bytes. */
template <class T> constexpr int WIDE = 16 / sizeof(T);

/* What two types both have in whole accesses of 16 bytes. */
template <class T, class S> constexpr int BOTH = WIDE<T> > WIDE<S> ? WIDE<T> : WIDE<S>;

/* T const for inputs. data NULL: absent. */
template <class T> struct Rows {
  T *data;
  size_t pitch;
  bool wide; /* every row begins at a multiple of 16 bytes */

  __device__ __forceinline__ T *row(size_t i) const {
    return data + i * pitch;
  }
};

template <class T> Rows<T> rows_of(Tensor x) {
  bool wide = reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && (x.size[0] <= 1 || x.pitch * sizeof(T) % 16 == 0);
  return {static_cast<T *>(x.data), x.pitch, wide};
}

/* A vector as a row: of parameters, of one long row. */
template <class T> Rows<T> row_of(Tensor x) {
  return {static_cast<T *>(x.data), 0, reinterpret_cast<uintptr_t>(x.data) % 16 == 0};
}

/* Numbers of a row, for arithmetic and as they are stored. */
template <int COUNT> struct alignas(16) Chunk { float at[COUNT]; };
template <int COUNT, class T> struct Stored { uint4 words[COUNT / WIDE<T>]; };

/* chunk_fetch: COUNT numbers of a row from `column` on, as they are stored; beyond `columns`: zeros. In 16-byte loads
 * where the row is wide and the chunk lies within it; column is a multiple of COUNT, a multiple of WIDE. */
template <int COUNT, class T>
__device__ __forceinline__ Stored<COUNT, std::remove_const_t<T>> chunk_fetch(const T *row, bool wide, size_t column,
                                                                             size_t columns) {
  using Number = std::remove_const_t<T>;
  Stored<COUNT, Number> stored;
  if (wide && column + COUNT <= columns) {
#pragma unroll
    for (int i = 0; i < COUNT / WIDE<T>; i++)
      stored.words[i] = reinterpret_cast<const uint4 *>(row + column)[i];
  } else {
    alignas(16) Number number[COUNT];
#pragma unroll
    for (int i = 0; i < COUNT; i++)
      number[i] = column + i < columns ? row[column + i] : from_float<Number>(0.0f);
#pragma unroll
    for (int i = 0; i < COUNT / WIDE<T>; i++)
      stored.words[i] = reinterpret_cast<const uint4 *>(number)[i];
  }
  return stored;
}

/* chunk_of: as floats. A kernel that needs several chunks fetches all of them first and converts them then: whoever
 * converts waits for the load, and no compiler moves a later fetch, which branches, before that. */
template <int COUNT, class T> __device__ __forceinline__ Chunk<COUNT> chunk_of(Stored<COUNT, T> stored) {
  Chunk<COUNT> chunk;
#pragma unroll
  for (int i = 0; i < COUNT; i++)
    chunk.at[i] = to_float(reinterpret_cast<const T *>(stored.words)[i]);
  return chunk;
}

/* chunk_load: fetches and converts one. */
template <int COUNT, class T>
__device__ __forceinline__ Chunk<COUNT> chunk_load(const T *row, bool wide, size_t column, size_t columns) {
  return chunk_of(chunk_fetch<COUNT>(row, wide, column, columns));
}

/* chunk_store: rounds to the storage type; nothing beyond `columns` is written. */
template <int COUNT, class T>
__device__ __forceinline__ void chunk_store(T *row, bool wide, size_t column, size_t columns, Chunk<COUNT> chunk) {
  if (wide && column + COUNT <= columns) {
    alignas(16) T number[COUNT];
#pragma unroll
    for (int i = 0; i < COUNT; i++)
      number[i] = from_float<T>(chunk.at[i]);
#pragma unroll
    for (int i = 0; i < COUNT; i += WIDE<T>)
      *reinterpret_cast<uint4 *>(row + column + i) = *reinterpret_cast<const uint4 *>(number + i);
  } else {
#pragma unroll
    for (int i = 0; i < COUNT; i++)
      if (column + i < columns)
        row[column + i] = from_float<T>(chunk.at[i]);
  }
}

/* ---- dispatch: body(number of the storage type of activations, number of that of parameters) ---- */

template <class Body> void by_type(Dtype activations, Body body) {
  REQUIRE(activations == DTYPE_F32 || activations == DTYPE_BF16, "there are no kernels for activations in %s",
          dtype_name(activations));
  if (activations == DTYPE_F32)
    body(float());
  else
    body(bf16());
}

template <class Body> void by_types(Dtype activations, Dtype parameters, Body body) {
  REQUIRE(parameters == DTYPE_F32 || (parameters == DTYPE_BF16 && activations == DTYPE_BF16),
          "there are no kernels for activations in %s with parameters in %s", dtype_name(activations),
          dtype_name(parameters));
  if (parameters == DTYPE_BF16)
    body(bf16(), bf16());
  else
    by_type(activations, [&](auto activation) { body(activation, float()); });
}

} // namespace SEESAW_BACKEND

#endif
