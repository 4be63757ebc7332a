/* tensor.c: sizes, views and conversions. */
#include "tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- types ---- */

static const struct {
  const char *name;
  size_t bits;
} types[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 32},
    [DTYPE_F64] = {"F64", 64},
    [DTYPE_BF16] = {"BF16", 16},
    [DTYPE_F16] = {"F16", 16},
    [DTYPE_I32] = {"I32", 32},
    [DTYPE_I64] = {"I64", 64},
    [DTYPE_U32] = {"U32", 32},
    [DTYPE_U64] = {"U64", 64},
    [DTYPE_I16] = {"I16", 16},
    [DTYPE_U16] = {"U16", 16},
    [DTYPE_I8] = {"I8", 8},
    [DTYPE_U8] = {"U8", 8},
    [DTYPE_BOOL] = {"BOOL", 8},
    [DTYPE_C64] = {"C64", 64},
    [DTYPE_F8_E4M3] = {"F8_E4M3", 8},
    [DTYPE_F8_E5M2] = {"F8_E5M2", 8},
    [DTYPE_F8_E8M0] = {"F8_E8M0", 8},
    [DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [DTYPE_F6_E2M3] = {"F6_E2M3", 6},
    [DTYPE_F6_E3M2] = {"F6_E3M2", 6},
    [DTYPE_F4] = {"F4", 4},
};

size_t dtype_bits(Dtype dtype) {
  return types[dtype].bits;
}

const char *dtype_name(Dtype dtype) {
  return types[dtype].name;
}

Dtype dtype_find(const char *name) {
  int dtype = 0;
  while (dtype < DTYPE_COUNT && strcmp(types[dtype].name, name) != 0)
    dtype++;
  return (Dtype)dtype;
}

/* ---- sizes ---- */

Tensor tensor_make(void *data, Dtype dtype, int rank, const size_t *size) {
  REQUIRE(rank >= 0 && rank <= TENSOR_RANK, "a tensor of rank %d", rank);
  Tensor tensor = {.data = data, .dtype = dtype, .rank = rank};
  for (int i = 0; i < rank; i++)
    tensor.size[i] = size[i];
  tensor.pitch = tensor_width(tensor);
  return tensor;
}

Tensor tensor_1(void *data, Dtype dtype, size_t count) {
  return tensor_make(data, dtype, 1, &count);
}

Tensor tensor_2(void *data, Dtype dtype, size_t rows, size_t columns) {
  return tensor_make(data, dtype, 2, (const size_t[]){rows, columns});
}

size_t tensor_width(Tensor tensor) {
  size_t width = 1;
  for (int i = 1; i < tensor.rank; i++)
    width *= tensor.size[i];
  return width;
}

size_t tensor_count(Tensor tensor) {
  return tensor.rank == 0 ? 1 : tensor.size[0] * tensor_width(tensor);
}

size_t tensor_bytes(Tensor tensor) {
  size_t bits = dtype_bits(tensor.dtype);
  for (int i = 0; i < tensor.rank; i++)
    if (__builtin_mul_overflow(bits, tensor.size[i], &bits))
      return SIZE_MAX;
  return bits / 8 + (bits % 8 != 0);
}

bool tensor_contiguous(Tensor tensor) {
  return tensor.rank == 0 || tensor.size[0] <= 1 || tensor.pitch == tensor_width(tensor);
}

bool tensor_same(Tensor x, Tensor y) {
  bool same = x.dtype == y.dtype && x.rank == y.rank;
  for (int i = 0; same && i < x.rank; i++)
    same = x.size[i] == y.size[i];
  return same;
}

/* ---- views ---- */

static void *at(Tensor tensor, size_t number) {
  return tensor.data ? (char *)tensor.data + number * dtype_bits(tensor.dtype) / 8 : NULL;
}

Tensor tensor_rows(Tensor tensor, size_t first, size_t count) {
  REQUIRE(tensor.rank >= 1 && first <= tensor.size[0] && count <= tensor.size[0] - first,
          "rows %zu to %zu of a tensor of %zu rows", first, first + count, tensor.size[0]);
  tensor.data = at(tensor, first * tensor.pitch);
  tensor.size[0] = count;
  return tensor;
}

Tensor tensor_columns(Tensor tensor, size_t first, size_t count) {
  REQUIRE(tensor.rank == 2 && first <= tensor.size[1] && count <= tensor.size[1] - first,
          "columns %zu to %zu of a tensor of %zu columns", first, first + count, tensor.size[1]);
  tensor.data = at(tensor, first);
  tensor.size[1] = count;
  return tensor;
}

Tensor tensor_shaped(Tensor tensor, size_t rows, size_t columns) {
  REQUIRE(tensor_contiguous(tensor) && rows * columns == tensor_count(tensor), "%zu numbers as %zu rows of %zu",
          tensor_count(tensor), rows, columns);
  return tensor_2(tensor.data, tensor.dtype, rows, columns);
}

char *tensor_print(Tensor tensor, char text[64]) {
  size_t used = (size_t)snprintf(text, 64, "%s (", dtype_name(tensor.dtype));
  for (int i = 0; i < tensor.rank && used < 64; i++)
    used += (size_t)snprintf(text + used, 64 - used, "%s%zu", i > 0 ? ", " : "", tensor.size[i]);
  if (used < 63)
    snprintf(text + used, 64 - used, ")");
  return text;
}

/* ---- numbers ---- */

typedef union Word {
  float value;
  uint32_t bits;
} Word;

uint16_t bf16_from_float(float value) {
  Word word = {.value = value};
  if (isnan(value))
    return (uint16_t)(word.bits >> 16 | 0x40);
  return (uint16_t)((word.bits + 0x7fff + (word.bits >> 16 & 1)) >> 16);
}

float f16_to_float(uint16_t bits) {
  Word word = {.bits = (uint32_t)(bits & 0x8000) << 16};
  uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  if (exponent == 0) /* zero and subnormal numbers: fraction * 2^-24 */
    return copysignf((float)fraction * 0x1p-24F, word.value);
  word.bits |= (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
  return word.value;
}

uint16_t f16_from_float(float value) {
  Word word = {.value = value};
  uint16_t sign = (uint16_t)(word.bits >> 16 & 0x8000);
  float size = fabsf(value);
  if (isnan(value))
    return sign | 0x7e00;
  if (size >= 65520.0F) /* halfway between the largest number and the one that there is no room for */
    return sign | 0x7c00;
  if (size < 0x1p-14F)
    return sign | (uint16_t)lrintf(size * 0x1p24F);
  word.value = size;
  word.bits += 0xfff + (word.bits >> 13 & 1);
  return sign | (uint16_t)((word.bits >> 13) - (112 << 10));
}

double tensor_get(Tensor tensor, size_t i) {
  const void *number = at(tensor, i);
  switch (tensor.dtype) {
  case DTYPE_F32:
    return *(const float *)number;
  case DTYPE_F64:
    return *(const double *)number;
  case DTYPE_BF16:
    return bf16_to_float(*(const uint16_t *)number);
  case DTYPE_F16:
    return f16_to_float(*(const uint16_t *)number);
  case DTYPE_I32:
    return *(const int32_t *)number;
  case DTYPE_I64:
    return (double)*(const int64_t *)number;
  case DTYPE_U8:
  case DTYPE_BOOL:
    return *(const uint8_t *)number;
  default:
    REQUIRE(false, "numbers of type %s are not read", dtype_name(tensor.dtype));
  }
}

void tensor_set(Tensor tensor, size_t i, double value) {
  void *number = at(tensor, i);
  switch (tensor.dtype) {
  case DTYPE_F32:
    *(float *)number = (float)value;
    break;
  case DTYPE_F64:
    *(double *)number = value;
    break;
  case DTYPE_BF16:
    *(uint16_t *)number = bf16_from_float((float)value);
    break;
  case DTYPE_F16:
    *(uint16_t *)number = f16_from_float((float)value);
    break;
  default:
    REQUIRE(false, "numbers of type %s are not written", dtype_name(tensor.dtype));
  }
}
