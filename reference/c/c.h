/* c.h: the C backend: the definition of every operation. OpenBLAS for matrix products, plain loops for the rest.
 *
 * The files of this folder are compiled twice, with REAL float and double (real.h). Each operation's file has the name
 * that it has in every backend. */
#ifndef SEESAW_C_H
#define SEESAW_C_H

#include "ops.h"

/* c_open_float, c_open_double: a backend with F32 or F64 as its real. threads: how many share an operation's blocks (0:
 * as many as OpenMP would use); the bytes of a result do not depend on it. Errors: STATUS_MEMORY (its scratch memory).
 */
Status c_open_float(Ops *ops, int threads);
Status c_open_double(Ops *ops, int threads);

/* c_open: by the type. */
static inline Status c_open(Ops *ops, Dtype real, int threads) {
  return real == DTYPE_F64 ? c_open_double(ops, threads) : c_open_float(ops, threads);
}

/* c_close: of either kind; nothing that ops_alloc gave is freed. Safe on a zeroed Ops. */
void c_close_float(Ops *ops);
void c_close_double(Ops *ops);
static inline void c_close(Ops *ops) {
  if (ops->state)
    (ops->real == DTYPE_F64 ? c_close_double : c_close_float)(ops);
}

#endif
