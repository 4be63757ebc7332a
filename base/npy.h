/* npy.h: NumPy's .npy files, versions 1.0 to 3.0, in and out, as doubles.
 *
 * Source: NumPy Enhancement Proposal 1. Reads little- and big-endian f4 f8 i1 i2 i4 i8 u1 u2 u4 u8, C or Fortran order
 * (the result is always row-major). The header is not trusted: sizes are checked for overflow and against the file. */
#ifndef SEESAW_NPY_H
#define SEESAW_NPY_H

#include <stddef.h>

#include "status.h"

enum { NPY_MAX_RANK = 8 };

typedef struct NpyArray {
  size_t rank, shape[NPY_MAX_RANK], count; /* count: the product of the shape (1 for rank 0) */
  double *data;                            /* row-major; the caller frees with npy_free */
} NpyArray;

/* npy_read: Errors: STATUS_INPUT naming the file and what is wrong (not .npy, dtype, truncated, longer than the header
 * says, NaN or infinite element with its index), STATUS_MEMORY. */
Status npy_read(const char *path, NpyArray *array);

/* npy_parse: the same from memory; `name` is used in messages. */
Status npy_parse(const char *name, const unsigned char *bytes, size_t size, NpyArray *array);

/* npy_write: doubles, C order, version 1.0, whole or not at all. */
Status npy_write(const char *path, const double *data, size_t rank, const size_t *shape);

void npy_free(NpyArray *array);

#endif
