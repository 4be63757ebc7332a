/* state.h: what the files of the C backend share: the type that they compute with, threads, scratch memory and each
 * other's names.
 *
 * Threads: an operation cuts its output into blocks whose bounds depend on the shapes alone, and threads take blocks:
 *   #pragma omp parallel for schedule(static) num_threads(c_threads(ops))
 * so the bytes of a result do not depend on their number. OpenBLAS runs on the calling thread only. */
#ifndef SEESAW_C_STATE_H
#define SEESAW_C_STATE_H

#include "c.h"

#define REAL_JOIN2(name, real) name##_##real
#define REAL_JOIN(name, real) REAL_JOIN2(name, real)
#define REAL_NAME(name) REAL_JOIN(name, REAL)       /* c_open -> c_open_float */
#define C_OPERATION(name) REAL_JOIN(c_##name, REAL) /* linear_fwd -> c_linear_fwd_float */

typedef REAL real;

enum { C_SCRATCH = 4 << 20 }; /* bytes of scratch memory a thread, aligned to a cache line */

/* c_threads: how many share the blocks of an operation. */
#define c_threads REAL_NAME(c_threads_of)
int c_threads(const Ops *ops);

/* c_scratch: the calling thread's, C_SCRATCH bytes, holding anything. Only inside a region of c_threads(ops) threads,
 * or outside any. */
#define c_scratch REAL_NAME(c_scratch_of)
void *c_scratch(const Ops *ops);

/* Row i of a tensor of reals. */
static inline real *c_row(Tensor x, size_t i) {
  return (real *)x.data + i * x.pitch;
}

/* Every entry of the table, by name. */
/* clang-format off */
#define C_OPERATIONS(X) \
  X(linear_fwd) X(linear_bwd_input) X(linear_bwd_weight) X(layernorm_fwd) X(layernorm_bwd) X(rmsnorm_fwd) \
  X(rmsnorm_bwd) X(activation_fwd) X(activation_bwd) X(swiglu_fwd) X(swiglu_bwd) X(rope) X(copy) X(add) X(scale) \
  X(zero) X(normal_fill) X(attention_fwd) X(attention_bwd) X(gather_fwd) X(gather_bwd) X(scatter_fwd) \
  X(patches_fwd) X(noisy_gate_fwd) X(noisy_gate_bwd) X(expert_mix_fwd) X(expert_mix_bwd) X(router_score) \
  X(router_select) X(cross_entropy_fwd) X(cross_entropy_bwd) X(sum_squares) X(adamw)
/* clang-format on */

#define C_DECLARE(name) extern __typeof__(*((OpsTable *)0)->name) C_OPERATION(name);
C_OPERATIONS(C_DECLARE)

#endif
