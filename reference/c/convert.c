/* convert.c: numbers of the types that weights are stored in, as reals and from them. */
#include "convert.h"

#include "vector.h"

typedef union Word {
  uint32_t bits;
  float value;
} Word;

C_CLONES static void from_f32(real *restrict to, const float *restrict from, size_t count) {
  for (size_t i = 0; i < count; i++)
    to[i] = (real)from[i];
}

C_CLONES static void from_f64(real *restrict to, const double *restrict from, size_t count) {
  for (size_t i = 0; i < count; i++)
    to[i] = (real)from[i];
}

C_CLONES static void from_bf16(real *restrict to, const uint16_t *restrict from, size_t count) {
  for (size_t i = 0; i < count; i++)
    to[i] = (real)((Word){.bits = (uint32_t)from[i] << 16}).value;
}

/* Exponent and fraction moved to their places and the exponent's bias mended by a product, which is right for subnormal
 * numbers too; infinity and NaN (exponent 31) get theirs by hand. */
C_CLONES static void from_f16(real *restrict to, const uint16_t *restrict from, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = from[i], size = bits & 0x7fff;
    Word word = {.bits = size << 13};
    word.value *= 0x1p112F;
    word.bits |= (bits & 0x8000) << 16 | (size >= 0x7c00 ? 0x7f800000 : 0);
    to[i] = (real)word.value;
  }
}

void c_convert(real *to, Tensor from, size_t first, size_t count) {
  switch (from.dtype) {
  case DTYPE_F32:
    from_f32(to, (const float *)from.data + first, count);
    break;
  case DTYPE_F64:
    from_f64(to, (const double *)from.data + first, count);
    break;
  case DTYPE_BF16:
    from_bf16(to, (const uint16_t *)from.data + first, count);
    break;
  case DTYPE_F16:
    from_f16(to, (const uint16_t *)from.data + first, count);
    break;
  default:
    REQUIRE(false, "weights of type %s", dtype_name(from.dtype));
  }
}

void c_round(Tensor to, size_t first, const real *from, size_t count) {
  Tensor all = {.data = to.data, .dtype = to.dtype, .rank = 1, .size = {first + count}, .pitch = 1};
  for (size_t i = 0; i < count; i++)
    tensor_set(all, first + i, (double)from[i]);
}
