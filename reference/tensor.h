/* tensor.h: a descriptor of numbers that somebody else owns.
 *
 * Row-major; rows may lie further apart than they are long (`pitch`), so a block of columns of a merged matrix (Q, K,
 * V; gate and up) is a view, not a copy. A view never owns: arenas, mapped files and backends do. */
#ifndef SEESAW_TENSOR_H
#define SEESAW_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* The types of safetensors files, and what torch files and the model use of them. Only F32, F64, F16 and BF16 are
 * computed with; I32 is for indices and offsets. */
typedef enum {
  DTYPE_F32,
  DTYPE_F64,
  DTYPE_BF16,
  DTYPE_F16,
  DTYPE_I32,
  DTYPE_I64,
  DTYPE_U32,
  DTYPE_U64,
  DTYPE_I16,
  DTYPE_U16,
  DTYPE_I8,
  DTYPE_U8,
  DTYPE_BOOL,
  DTYPE_C64,
  DTYPE_F8_E4M3,
  DTYPE_F8_E5M2,
  DTYPE_F8_E8M0,
  DTYPE_F8_E4M3FNUZ,
  DTYPE_F8_E5M2FNUZ,
  DTYPE_F6_E2M3,
  DTYPE_F6_E3M2,
  DTYPE_F4,
  DTYPE_COUNT
} Dtype;

enum { TENSOR_RANK = 4 }; /* the most that the model's tensors have */

typedef struct Tensor {
  void *data; /* NULL: there is none (an optional bias, a gradient that is not wanted) */
  Dtype dtype;
  int rank; /* 0: a single number */
  size_t size[TENSOR_RANK];
  size_t pitch; /* numbers from one row to the next, a row being all but the first size */
} Tensor;

/* dtype_bits: of one number. dtype_name: as safetensors spells it. dtype_find: DTYPE_COUNT if there is no such name. */
size_t dtype_bits(Dtype dtype);
const char *dtype_name(Dtype dtype);
Dtype dtype_find(const char *name);

/* tensor_make: contiguous, over data. tensor_1, tensor_2: the common cases. TENSOR_NONE: absent. */
Tensor tensor_make(void *data, Dtype dtype, int rank, const size_t *size);
Tensor tensor_1(void *data, Dtype dtype, size_t count);
Tensor tensor_2(void *data, Dtype dtype, size_t rows, size_t columns);
#define TENSOR_NONE ((Tensor){0})

/* tensor_count: numbers, 1 for rank 0. tensor_width: numbers in a row. tensor_bytes: of a contiguous tensor; SIZE_MAX
 * on overflow. */
size_t tensor_count(Tensor tensor);
size_t tensor_width(Tensor tensor);
size_t tensor_bytes(Tensor tensor);
bool tensor_contiguous(Tensor tensor);

/* tensor_same: dtype, rank and sizes agree. */
bool tensor_same(Tensor x, Tensor y);

/* tensor_rows: rows [first, first + count). tensor_columns: columns [first, first + count) of a rank-2 tensor.
 * tensor_shaped: the same numbers of a contiguous tensor as rows x columns. Out of range is the caller's mistake. */
Tensor tensor_rows(Tensor tensor, size_t first, size_t count);
Tensor tensor_columns(Tensor tensor, size_t first, size_t count);
Tensor tensor_shaped(Tensor tensor, size_t rows, size_t columns);

/* tensor_print: "F32 (3, 4)", into text[64], for messages. Returns text. */
char *tensor_print(Tensor tensor, char text[64]);

/* Conversions of single numbers, round to nearest even; NaN stays NaN. */
static inline float bf16_to_float(uint16_t bits) {
  union {
    uint32_t bits;
    float value;
  } u = {.bits = (uint32_t)bits << 16};
  return u.value;
}
uint16_t bf16_from_float(float value);
float f16_to_float(uint16_t bits);
uint16_t f16_from_float(float value);

/* tensor_get: number i of a contiguous tensor of F32, F64, BF16, F16, I32, I64, U8 or BOOL, as a double: for tests,
 * files and messages. */
double tensor_get(Tensor tensor, size_t i);

/* tensor_set: number i of a contiguous tensor of F32, F64, BF16 or F16 becomes the value, rounded to nearest even (to
 * BF16 and F16 by way of float). */
void tensor_set(Tensor tensor, size_t i, double value);

#endif
