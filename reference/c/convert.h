/* convert.h: numbers of the types that weights are stored in, as reals. */
#ifndef SEESAW_C_CONVERT_H
#define SEESAW_C_CONVERT_H

#include "state.h"

/* c_convert: to[i] = number first + i of a contiguous tensor of F32, F64, BF16 or F16. Exact, but from F64 to F32. */
#define c_convert REAL_NAME(c_convert_to)
void c_convert(real *to, Tensor from, size_t first, size_t count);

#endif
