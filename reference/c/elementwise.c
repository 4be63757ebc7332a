/* elementwise.c: what treats every number alike: sums, factors, zeros, noise and activation functions.
 *
 * In float, the exponential (vector.h) and the normal distribution are ours, so that loops vectorise; in double they
 * are the C library's. */
#include <math.h>
#include <string.h>

#include "spans.h"
#include "vector.h"

/* ---- y += x, y *= factor, y = 0 ---- */

C_CLONES static void add_span(real *restrict y, const real *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++)
    y[i] += x[i];
}

void C_OPERATION(add)(const Ops *ops, Tensor y, Tensor x) {
  Spans spans = spans_of(y, tensor_contiguous(y) && tensor_contiguous(x));
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) >= SPANS_FOR_THREADS)
  for (size_t i = 0; i < spans.count; i++)
    add_span(span_at(spans, i, y), span_at(spans, i, x), span_count(spans, i));
}

C_CLONES static void scale_span(real *y, size_t count, real factor) {
  for (size_t i = 0; i < count; i++)
    y[i] *= factor;
}

void C_OPERATION(scale)(const Ops *ops, Tensor y, double factor) {
  Spans spans = spans_of(y, tensor_contiguous(y));
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) >= SPANS_FOR_THREADS)
  for (size_t i = 0; i < spans.count; i++)
    scale_span(span_at(spans, i, y), span_count(spans, i), (real)factor);
}

/* Zero is made of zero bytes in every type. */
void C_OPERATION(zero)(const Ops *ops, Tensor y) {
  (void)ops;
  if (tensor_count(y) == 0)
    return;
  if (tensor_contiguous(y)) {
    memset(y.data, 0, tensor_bytes(y));
    return;
  }
  size_t bits = dtype_bits(y.dtype);
  for (size_t i = 0; i < y.size[0]; i++)
    memset((char *)y.data + i * y.pitch * bits / 8, 0, tensor_width(y) * bits / 8);
}

/* ---- noise ---- */

void C_OPERATION(normal_fill)(const Ops *ops, Tensor y, Rng rng, uint64_t first, double factor) {
  Spans spans = spans_of(y, true);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) >= SPAN)
  for (size_t i = 0; i < spans.count; i++) {
    double *noise = c_scratch(ops);
    size_t count = span_count(spans, i);
    real *to = span_at(spans, i, y);
    rng_fill_normal(rng, first + i * SPAN, count, noise);
    for (size_t j = 0; j < count; j++)
      to[j] = (real)(factor * noise[j]);
  }
}

/* ---- the normal distribution ---- */

/* Phi(x), the distribution, and its density. For a = |x| < 1: Phi = 1/2 + x P(x^2), P within 3e-10; else
 * Phi(-a) = exp(-a^2/2) Q(a), where Q(a) is t times a polynomial in t = 1/(1 + a/4), within 9e-9 for a < 14.6, beyond
 * which Phi(-a) is 0 in float. exp(-a^2/2) would be wrong by a^2/2 units were the rounding error of a^2 left out. */
static inline void normal_of_float(float x, float *below, float *density) {
  float a = choose_float(fabsf(x) > 15.0F, 15.0F, fabsf(x));
  union {
    float value;
    uint32_t bits;
  } high = {.value = a};
  high.bits &= 0xfffff000;
  float low = a - high.value, square = a * a;
  float lost = (high.value * high.value - square + 2.0F * high.value * low) + low * low;
  float bell = exp_float(-0.5F * square);
  bell -= bell * (0.5F * lost);

  float p = -7.664678364e-06F;
  p = p * square + 1.135126529e-04F;
  p = p * square - 1.186353058e-03F;
  p = p * square + 9.973331724e-03F;
  p = p * square - 6.649036097e-02F;
  p = p * square + 3.989422801e-01F;

  float t = 1.0F / (1.0F + 0.25F * a), s = t - 0.59375F;
  float q = 1.695161664e-02F;
  q = q * s + 2.571856543e-02F;
  q = q * s - 3.630153468e-02F;
  q = q * s - 8.517199862e-02F;
  q = q * s + 2.001268916e-02F;
  q = q * s + 2.610542314e-01F;
  q = q * s + 4.678874006e-01F;
  q = q * s + 5.052213222e-01F;
  q = q * s + 3.871895788e-01F;
  q = q * s + 2.210454469e-01F;
  float tail = bell * (t * q);

  *below = choose_float(a < 1.0F, 0.5F + x * p, choose_float(x > 0.0F, 1.0F - tail, tail));
  *density = 0.398942280F * bell;
}

static inline void normal_of_double(double x, double *below, double *density) {
  *below = 0.5 * erfc(-M_SQRT1_2 * x);
  *density = 0.398942280401432678 * exp(-0.5 * x * x);
}

#define normal_of REAL_NAME(normal_of)

/* ---- activation functions ---- */

/* s = sigmoid(x), rest = 1 - s: without cancellation where s is near 1. */
typedef struct Logistic {
  real s, rest;
} Logistic;

static inline Logistic logistic(real x) {
  real e = c_exp(x > 0 ? -x : x), major = 1 / (1 + e), minor = e * major;
  return (Logistic){x > 0 ? major : minor, x > 0 ? minor : major};
}

/* s alone. */
static inline real sigmoid(real x) {
  return 1 / (1 + c_exp(-x));
}

static const real QUICK = (real)1.702;

C_CLONES static void gelu_fwd(real *restrict y, const real *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    real below, density;
    normal_of(x[i], &below, &density);
    y[i] = x[i] * below;
  }
}

C_CLONES static void gelu_bwd(real *restrict dx, const real *restrict dy, const real *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    real below, density;
    normal_of(x[i], &below, &density);
    dx[i] += dy[i] * (below + x[i] * density);
  }
}

C_CLONES static void quick_gelu_fwd(real *restrict y, const real *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++)
    y[i] = x[i] * sigmoid(QUICK * x[i]);
}

C_CLONES static void quick_gelu_bwd(real *restrict dx, const real *restrict dy, const real *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    real z = QUICK * x[i];
    Logistic l = logistic(z);
    dx[i] += dy[i] * l.s * (1 + z * l.rest);
  }
}

void C_OPERATION(activation_fwd)(const Ops *ops, Tensor y, Tensor x, Activation kind) {
  void (*const forward)(real *restrict, const real *restrict, size_t) =
      kind == ACTIVATION_GELU ? gelu_fwd : quick_gelu_fwd;
  Spans spans = spans_of(y, tensor_contiguous(y) && tensor_contiguous(x));
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) >= SPAN)
  for (size_t i = 0; i < spans.count; i++)
    forward(span_at(spans, i, y), span_at(spans, i, x), span_count(spans, i));
}

void C_OPERATION(activation_bwd)(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Activation kind, Write write) {
  void (*const backward)(real *restrict, const real *restrict, const real *restrict, size_t) =
      kind == ACTIVATION_GELU ? gelu_bwd : quick_gelu_bwd;
  Spans spans = spans_of(dx, tensor_contiguous(dx) && tensor_contiguous(dy) && tensor_contiguous(x));
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(dx) >= SPAN)
  for (size_t i = 0; i < spans.count; i++)
    backward(begun(span_at(spans, i, dx), span_count(spans, i), write), span_at(spans, i, dy), span_at(spans, i, x),
             span_count(spans, i));
}

/* ---- SwiGLU: x = [gate | up] ---- */

C_CLONES static void swiglu_span(real *restrict y, const real *restrict gate, const real *restrict up, size_t count) {
  for (size_t i = 0; i < count; i++)
    y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

void C_OPERATION(swiglu_fwd)(const Ops *ops, Tensor y, Tensor x) {
  Tensor gate = tensor_columns(x, 0, y.size[1]), up = tensor_columns(x, y.size[1], y.size[1]);
  Spans spans = spans_of(y, false);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(y) >= SPAN)
  for (size_t i = 0; i < spans.count; i++)
    swiglu_span(span_at(spans, i, y), span_at(spans, i, gate), span_at(spans, i, up), span_count(spans, i));
}

C_CLONES static void swiglu_bwd_span(real *restrict dgate, real *restrict dup, const real *restrict dy,
                                     const real *restrict gate, const real *restrict up, size_t count) {
  for (size_t i = 0; i < count; i++) {
    Logistic l = logistic(gate[i]);
    dgate[i] += dy[i] * up[i] * l.s * (1 + gate[i] * l.rest);
    dup[i] += dy[i] * gate[i] * l.s;
  }
}

void C_OPERATION(swiglu_bwd)(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  size_t width = dy.size[1];
  Tensor gate = tensor_columns(x, 0, width), up = tensor_columns(x, width, width);
  Tensor dgate = tensor_columns(dx, 0, width), dup = tensor_columns(dx, width, width);
  Spans spans = spans_of(dy, false);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(dy) >= SPAN)
  for (size_t i = 0; i < spans.count; i++) {
    size_t count = span_count(spans, i);
    swiglu_bwd_span(begun(span_at(spans, i, dgate), count, write), begun(span_at(spans, i, dup), count, write),
                    span_at(spans, i, dy), span_at(spans, i, gate), span_at(spans, i, up), count);
  }
}
