/* lanes_vector.h: the few vector operations that lanes_kernel.c is written in, for each instruction set.
 *
 * Each is one IEEE operation on every element; multiply_add rounds once. So the three versions agree in every bit, but
 * for the sign and payload of a NaN. LANES_ISA is given by the build. */
#ifndef SEESAW_LANES_VECTOR_H
#define SEESAW_LANES_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define PASTE_TOKENS(left, right) left##right
#define PASTE(left, right) PASTE_TOKENS(left, right)
#define LANES_KIND_portable 0
#define LANES_KIND_avx2 1
#define LANES_KIND_avx512 2
#define LANES_KIND PASTE(LANES_KIND_, LANES_ISA)

/* Everything here and in the kernel must end up in one function, in registers. */
#define INLINE static inline __attribute__((always_inline))

#if LANES_KIND == LANES_KIND_avx512

#include <immintrin.h>

enum { WIDTH = 8 };
typedef __m512d Vector;
typedef __mmask8 Mask; /* one bit an element */

INLINE Vector load(const double *from) {
  return _mm512_loadu_pd(from);
}
INLINE void store(double *to, Vector a) {
  _mm512_storeu_pd(to, a);
}
INLINE void store_streaming(double *to, Vector a) {
  _mm512_stream_pd(to, a);
}
INLINE Vector constant(double a) {
  return _mm512_set1_pd(a);
}
INLINE Vector add(Vector a, Vector b) {
  return _mm512_add_pd(a, b);
}
INLINE Vector subtract(Vector a, Vector b) {
  return _mm512_sub_pd(a, b);
}
INLINE Vector multiply(Vector a, Vector b) {
  return _mm512_mul_pd(a, b);
}
INLINE Vector divide(Vector a, Vector b) {
  return _mm512_div_pd(a, b);
}
INLINE Vector square_root(Vector a) {
  return _mm512_sqrt_pd(a);
}
/* a b + c; c - a b */
INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_pd(a, b, c);
}
INLINE Vector multiply_subtract_from(Vector a, Vector b, Vector c) {
  return _mm512_fnmadd_pd(a, b, c);
}
INLINE Vector absolute(Vector a) {
  return _mm512_abs_pd(a);
}
/* true where the comparison holds; false at NaN */
INLINE Mask less(Vector a, Vector b) {
  return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ);
}
INLINE Mask less_equal(Vector a, Vector b) {
  return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ);
}
INLINE Mask both(Mask a, Mask b) {
  return a & b;
}
INLINE Vector choose(Mask mask, Vector yes, Vector no) {
  return _mm512_mask_blend_pd(mask, no, yes);
}
INLINE uint32_t bits(Mask mask) {
  return mask;
}
INLINE void finish_streaming(void) {
  _mm_sfence();
}

#elif LANES_KIND == LANES_KIND_avx2

#include <immintrin.h>

enum { WIDTH = 4 };
typedef __m256d Vector;
typedef __m256d Mask; /* all bits of an element */

INLINE Vector load(const double *from) {
  return _mm256_loadu_pd(from);
}
INLINE void store(double *to, Vector a) {
  _mm256_storeu_pd(to, a);
}
INLINE void store_streaming(double *to, Vector a) {
  _mm256_stream_pd(to, a);
}
INLINE Vector constant(double a) {
  return _mm256_set1_pd(a);
}
INLINE Vector add(Vector a, Vector b) {
  return _mm256_add_pd(a, b);
}
INLINE Vector subtract(Vector a, Vector b) {
  return _mm256_sub_pd(a, b);
}
INLINE Vector multiply(Vector a, Vector b) {
  return _mm256_mul_pd(a, b);
}
INLINE Vector divide(Vector a, Vector b) {
  return _mm256_div_pd(a, b);
}
INLINE Vector square_root(Vector a) {
  return _mm256_sqrt_pd(a);
}
INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_pd(a, b, c);
}
INLINE Vector multiply_subtract_from(Vector a, Vector b, Vector c) {
  return _mm256_fnmadd_pd(a, b, c);
}
INLINE Vector absolute(Vector a) {
  return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
}
INLINE Mask less(Vector a, Vector b) {
  return _mm256_cmp_pd(a, b, _CMP_LT_OQ);
}
INLINE Mask less_equal(Vector a, Vector b) {
  return _mm256_cmp_pd(a, b, _CMP_LE_OQ);
}
INLINE Mask both(Mask a, Mask b) {
  return _mm256_and_pd(a, b);
}
INLINE Vector choose(Mask mask, Vector yes, Vector no) {
  return _mm256_blendv_pd(no, yes, mask);
}
INLINE uint32_t bits(Mask mask) {
  return (uint32_t)_mm256_movemask_pd(mask);
}
INLINE void finish_streaming(void) {
  _mm_sfence();
}

#else

/* Plain C: the definition. Four elements, so that a compiler may find the vectors of its machine. */
enum { WIDTH = 4 };
typedef struct Vector {
  double at[WIDTH];
} Vector;
typedef struct Mask {
  _Bool at[WIDTH];
} Mask;

#define EACH(type, expression)                                                                                         \
  type result;                                                                                                         \
  for (int i = 0; i < WIDTH; i++)                                                                                      \
    result.at[i] = (expression);                                                                                       \
  return result

INLINE Vector load(const double *from) {
  EACH(Vector, from[i]);
}
INLINE void store(double *to, Vector a) {
  for (int i = 0; i < WIDTH; i++)
    to[i] = a.at[i];
}
INLINE void store_streaming(double *to, Vector a) {
  store(to, a);
}
INLINE Vector constant(double a) {
  EACH(Vector, a);
}
INLINE Vector add(Vector a, Vector b) {
  EACH(Vector, a.at[i] + b.at[i]);
}
INLINE Vector subtract(Vector a, Vector b) {
  EACH(Vector, a.at[i] - b.at[i]);
}
INLINE Vector multiply(Vector a, Vector b) {
  EACH(Vector, a.at[i] * b.at[i]);
}
INLINE Vector divide(Vector a, Vector b) {
  EACH(Vector, a.at[i] / b.at[i]);
}
INLINE Vector square_root(Vector a) {
  EACH(Vector, sqrt(a.at[i]));
}
INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
  EACH(Vector, fma(a.at[i], b.at[i], c.at[i]));
}
INLINE Vector multiply_subtract_from(Vector a, Vector b, Vector c) {
  EACH(Vector, fma(-a.at[i], b.at[i], c.at[i]));
}
INLINE Vector absolute(Vector a) {
  EACH(Vector, fabs(a.at[i]));
}
INLINE Mask less(Vector a, Vector b) {
  EACH(Mask, a.at[i] < b.at[i]);
}
INLINE Mask less_equal(Vector a, Vector b) {
  EACH(Mask, a.at[i] <= b.at[i]);
}
INLINE Mask both(Mask a, Mask b) {
  EACH(Mask, a.at[i] && b.at[i]);
}
INLINE Vector choose(Mask mask, Vector yes, Vector no) {
  EACH(Vector, mask.at[i] ? yes.at[i] : no.at[i]);
}
INLINE uint32_t bits(Mask mask) {
  uint32_t result = 0;
  for (int i = 0; i < WIDTH; i++)
    result |= (uint32_t)mask.at[i] << i;
  return result;
}
INLINE void finish_streaming(void) {}

#endif

#endif
