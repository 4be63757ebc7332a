/* optimiser.c: the norm of a gradient and a step of AdamW. */
#include <math.h>

#include "convert.h"
#include "spans.h"
#include "vector.h"

/* ---- sum_squares ---- */

C_CLONES static double squares(const real *x, size_t count) {
  return c_dot(x, x, count);
}

/* Pieces' sums, side by side in scratch memory, then one after the other: as many pieces at a time as there is room. */
void C_OPERATION(sum_squares)(const Ops *ops, Tensor total, Tensor x) {
  enum { ROOM = C_SCRATCH / sizeof(double) };
  double *sum = c_scratch(ops), *all = total.data;
  Spans spans = spans_of(x, tensor_contiguous(x));
  for (size_t first = 0; first < spans.count; first += ROOM) {
    size_t end = spans.count - first < ROOM ? spans.count : first + ROOM;
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(x) >= SPANS_FOR_THREADS)
    for (size_t i = first; i < end; i++)
      sum[i - first] = squares(span_at(spans, i, x), span_count(spans, i));
    for (size_t i = first; i < end; i++)
      *all += sum[i - first];
  }
}

/* ---- adamw ---- */

/* The rule's numbers as the loop needs them: p = keep p - step m / (sqrt(v) / root + epsilon). */
typedef struct Step {
  real factor, beta1, beta2, rest1, rest2; /* rest = 1 - beta */
  real keep, step, root, epsilon;
} Step;

static Step step_of(const AdamW *rule) {
  double n = (double)rule->step;
  return (Step){.factor = (real)rule->factor,
                .beta1 = (real)rule->beta1,
                .beta2 = (real)rule->beta2,
                .rest1 = (real)(1.0 - rule->beta1),
                .rest2 = (real)(1.0 - rule->beta2),
                .keep = (real)(1.0 - rule->rate * rule->decay),
                .step = (real)(rule->rate / (1.0 - pow(rule->beta1, n))),
                .root = (real)sqrt(1.0 - pow(rule->beta2, n)),
                .epsilon = (real)rule->epsilon};
}

#define sqrt_of_float sqrtf
#define sqrt_of_double sqrt

C_CLONES static void adamw_span(real *restrict p, real *restrict m, real *restrict v, const real *restrict gradient,
                                size_t count, const Step *rule) {
  const Step r = *rule;
  for (size_t i = 0; i < count; i++) {
    real g = r.factor * gradient[i];
    m[i] = r.beta1 * m[i] + r.rest1 * g;
    v[i] = r.beta2 * v[i] + r.rest2 * g * g;
    p[i] = r.keep * p[i] - r.step * m[i] / (REAL_NAME(sqrt_of)(v[i]) / r.root + r.epsilon);
  }
}

void C_OPERATION(adamw)(const Ops *ops, Tensor p, Tensor m, Tensor v, Tensor gradient, Tensor copy, const AdamW *rule) {
  Step step = step_of(rule);
  Spans spans = spans_of(p, tensor_contiguous(p) && tensor_contiguous(m) && tensor_contiguous(v) &&
                                tensor_contiguous(gradient) && tensor_contiguous(copy));
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(p) >= SPANS_FOR_THREADS)
  for (size_t i = 0; i < spans.count; i++) {
    real *moved = span_at(spans, i, p);
    adamw_span(moved, span_at(spans, i, m), span_at(spans, i, v), span_at(spans, i, gradient), span_count(spans, i),
               &step);
    if (copy.data)
      c_round(copy, span_place(spans, i, copy), moved, span_count(spans, i));
  }
}
