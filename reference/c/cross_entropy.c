/* cross_entropy.c: the loss of a linear classifier: logits of a block of rows at a time, never all of them. */
#include <math.h>
#include <string.h>

#include "state.h"
#include "vector.h"

enum {
  SIDE = 16,     /* partial results side by side */
  STRETCH = 1024 /* numbers that are summed up in real before they are added in double */
};

/* ---- a row of logits ---- */

/* NaN is passed over here; it comes back in the sum. */
C_CLONES static real largest(const real *logit, size_t count) {
  real most[SIDE], result;
  for (size_t j = 0; j < SIDE; j++)
    most[j] = -(real)INFINITY;
  size_t i = 0;
  for (; i + SIDE <= count; i += SIDE)
    for (size_t j = 0; j < SIDE; j++)
      most[j] = logit[i + j] > most[j] ? logit[i + j] : most[j];
  result = most[0];
  for (size_t j = 1; j < SIDE; j++)
    result = most[j] > result ? most[j] : result;
  for (; i < count; i++)
    result = logit[i] > result ? logit[i] : result;
  return result;
}

C_CLONES static double sum_exp(const real *logit, size_t count, real most) {
  double total = 0.0;
  for (size_t first = 0; first < count; first += STRETCH) {
    size_t end = count - first < STRETCH ? count : first + STRETCH, i = first;
    real sum[SIDE] = {0};
    for (; i + SIDE <= end; i += SIDE)
      for (size_t j = 0; j < SIDE; j++)
        sum[j] += c_exp(logit[i + j] - most);
    for (size_t j = 0; i < end; i++, j++)
      sum[j] += c_exp(logit[i] - most);
    for (size_t j = 0; j < SIDE; j++)
      total += sum[j];
  }
  return total;
}

/* logit = factor * softmax(logit). */
C_CLONES static void softmax(real *logit, size_t count, real lse, real factor) {
  for (size_t i = 0; i < count; i++)
    logit[i] = factor * c_exp(logit[i] - lse);
}

/* ---- blocks of rows ---- */

/* The logits of rows [first, ...), as many as work holds and there are. */
static Tensor logits_of(const Ops *ops, Tensor x, Tensor w, size_t first, Tensor work) {
  size_t count = x.size[0] - first < work.size[0] ? x.size[0] - first : work.size[0];
  Tensor logits = tensor_rows(work, 0, count);
  C_OPERATION(linear_fwd)(ops, logits, tensor_rows(x, first, count), w, TENSOR_NONE, TENSOR_NONE);
  return logits;
}

static int32_t label_of(Tensor label, size_t n, size_t classes) {
  int32_t class = ((const int32_t *)label.data)[n];
  REQUIRE(class < 0 || (size_t) class < classes, "cross_entropy: label %zu is %d of %zu classes", n, class, classes);
  return class;
}

void C_OPERATION(cross_entropy_fwd)(const Ops *ops, Tensor loss, Tensor lse, Tensor x, Tensor w, Tensor label,
                                    Tensor work) {
  size_t rows = x.size[0], classes = w.size[0];
  for (size_t first = 0; first < rows; first += work.size[0]) {
    Tensor logits = logits_of(ops, x, w, first, work);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(logits) >= STRETCH)
    for (size_t i = 0; i < logits.size[0]; i++) {
      const real *logit = c_row(logits, i);
      int32_t class = label_of(label, first + i, classes);
      real most = largest(logit, classes);
      double rest = log(sum_exp(logit, classes, most)); /* lse - most */
      ((real *)lse.data)[first + i] = (real)(most + rest);
      ((real *)loss.data)[first + i] = class < 0 ? 0 : (real)((double)most - logit[class] + rest);
    }
  }
}

void C_OPERATION(cross_entropy_bwd)(const Ops *ops, Tensor dx, Tensor dw, Tensor x, Tensor w, Tensor label, Tensor lse,
                                    double factor, Tensor work) {
  size_t rows = x.size[0], classes = w.size[0];
  for (size_t first = 0; first < rows; first += work.size[0]) {
    Tensor logits = logits_of(ops, x, w, first, work), dlogits = logits; /* in place */
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(logits) >= STRETCH)
    for (size_t i = 0; i < logits.size[0]; i++) {
      int32_t class = label_of(label, first + i, classes);
      real *row = c_row(dlogits, i);
      if (class < 0)
        memset(row, 0, classes * sizeof *row);
      else {
        softmax(row, classes, ((const real *)lse.data)[first + i], (real)factor);
        row[class] -= (real)factor;
      }
    }
    if (dx.data)
      C_OPERATION(linear_bwd_input)(ops, tensor_rows(dx, first, logits.size[0]), dlogits, w, WRITE_ADD);
    if (dw.data)
      C_OPERATION(linear_bwd_weight)(ops, dw, TENSOR_NONE, dlogits, tensor_rows(x, first, logits.size[0]));
  }
}
