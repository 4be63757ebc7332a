/* mtx.h: Matrix Market files: coordinate and array; real, integer and pattern; general, symmetric, skew-symmetric.
 *
 * Source: Boisvert, Pozo, Remington, "The Matrix Market exchange formats", NISTIR 5935. Always read as triplets
 * (0-based, symmetry expanded, duplicates kept: they add up). Counts are not trusted. Complex and hermitian are
 * refused. */
#ifndef SEESAW_MTX_H
#define SEESAW_MTX_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

typedef struct Triplets {
  size_t rows, columns, count;
  bool dense; /* the file was in array format: every entry is there, in column-major order */
  size_t *row, *column;
  double *value;
} Triplets;

/* mtx_read: Errors: STATUS_INPUT naming the file, the line and what is wrong (banner, size line, index out of range,
 * too few or too many entries, not a number, NaN or infinite, empty matrix), STATUS_MEMORY. */
Status mtx_read(const char *path, Triplets *triplets);

/* mtx_parse: the same from memory (`bytes` need not end in a zero byte); `name` is used in messages. */
Status mtx_parse(const char *name, const unsigned char *bytes, size_t size, Triplets *triplets);

void mtx_free(Triplets *triplets);

#endif
