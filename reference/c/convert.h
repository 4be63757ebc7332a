/* convert.h: numbers of the types that weights are stored in, as reals and from them. */
#ifndef SEESAW_C_CONVERT_H
#define SEESAW_C_CONVERT_H

#include "state.h"

/* c_convert: to[i] = number first + i of a contiguous tensor of F32, F64, BF16 or F16. Exact, but from F64 to F32. */
#define c_convert REAL_NAME(c_convert_to)
void c_convert(real *to, Tensor from, size_t first, size_t count);

/* c_round: numbers first, first + 1, ... of a tensor of one of those types (row by row with their gaps, as they lie in
 * memory) become from[0 .. count), rounded to nearest even; a double to BF16 or F16 by way of float. */
#define c_round REAL_NAME(c_round_from)
void c_round(Tensor to, size_t first, const real *from, size_t count);

#endif
