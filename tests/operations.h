/* operations.h: what tests of operations share: tensors filled from a seed and fenced by guards, the derived tolerance,
 * gradients against central differences, and a body that runs in float and double on several numbers of threads and, in
 * float, on the kernels' stand-in in several orders of threads.
 *
 *   static void body(Trial *t, const void *sizes) {
 *     Tensor x = trial_view(t, 7, 5, 0.5, 1.0), y = trial_view(t, 7, 5, NAN, 0.0);
 *     double *expected = trial_numbers(t, 7 * 5);
 *     activation_fwd(&t->ops, y, x, ACTIVATION_GELU);
 *     ... expected[i * 5 + j] from tensor_at(x, i, j) ...
 *     expect_close(y, expected, 1, "gelu");
 *   }
 *   Test(activation, gelu) { everywhere(body, NULL); }
 *
 * What everywhere adds to the body's own checks: guards around and between the rows of every tensor are untouched, and
 * every tensor made through the trial holds the same bytes at the end for 1, 2, 3 and 5 threads; and for
 * each of the stand-in's orders. A body that is too large for the stand-in is not run there: SEESAW_ERRORS says so. */
#ifndef SEESAW_OPERATIONS_H
#define SEESAW_OPERATIONS_H

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends.h"
#include "c.h"
#include "npy.h"
#include "ops.h"
#include "rng.h"
#include "sanitized.h"
#include "scratch.h"

enum { TRIAL_MOST = 64, TRIAL_FENCE = 64 /* bytes of guards before and after a tensor */ };

/* A backend and everything made for one run of a body. */
typedef struct Trial {
  Ops ops;
  int threads;         /* 0: the stand-in */
  uint64_t seed;       /* of the next tensor's numbers */
  unsigned char guard; /* the byte that guards are made of */
  size_t tensors, numbers;
  struct {
    unsigned char *memory;
    size_t bytes;
    Tensor tensor;
  } tensor[TRIAL_MOST];
  double *number[TRIAL_MOST];
} Trial;

/* ---- single numbers: row i is the first index, j runs over the rest of the row ---- */

static inline unsigned char *tensor_place(Tensor x, size_t i, size_t j) {
  return (unsigned char *)x.data + (i * x.pitch + j) * (dtype_bits(x.dtype) / 8);
}

static inline double tensor_at(Tensor x, size_t i, size_t j) {
  return tensor_get(tensor_1(tensor_place(x, i, j), x.dtype, 1), 0);
}

/* Rounded to the tensor's type. */
static inline void tensor_put(Tensor x, size_t i, size_t j, double value) {
  tensor_set(tensor_1(tensor_place(x, i, j), x.dtype, 1), 0, value);
}

/* Numbers of a row and rows, for loops: a vector has rows of one number. */
#define FOR_EACH(tensor, i, j)                                                                                         \
  for (size_t i = 0; i < (tensor).size[0]; i++)                                                                        \
    for (size_t j = 0; j < tensor_width(tensor); j++)

/* centre + spread * normal numbers from the seed; centre NAN: NaN everywhere. */
static inline void tensor_fill(Tensor x, double centre, double spread, uint64_t seed) {
  FOR_EACH(x, i, j)
  tensor_put(x, i, j, centre + spread * rng_normal(rng_make(seed, RNG_TEST, 0), i * tensor_width(x) + j));
}

/* A matrix in a backend's own memory, which is the host's: filled, its rows `gap` numbers apart, room for eight more.
 */
static inline Tensor tensor_on(const Ops *ops, Dtype dtype, size_t rows, size_t columns, size_t gap, double centre,
                               double spread, uint64_t seed) {
  void *memory;
  cr_assert_eq(ops_alloc(ops, (rows * (columns + gap) + 8) * 4, &memory).code, STATUS_OK);
  Tensor x = tensor_2(memory, dtype, rows, columns);
  x.pitch += gap;
  tensor_fill(x, centre, spread, seed);
  return x;
}

/* ---- making ---- */

static inline void trial_open(Trial *trial, Dtype real, int threads) {
  *trial = (Trial){.threads = threads, .seed = 1, .guard = threads == 1 || threads == 3 ? 0xff : 0xa5};
  cr_assert_eq(c_open(&trial->ops, real, threads).code, STATUS_OK);
}

/* ---- the stand-in ---- */

enum { STAND_IN_NUMBERS = 20000 /* of all tensors of a body, at most */ };

static inline void trial_open_stand_in(Trial *trial, StandInOrder order) {
  *trial = (Trial){.seed = 1, .guard = order == STAND_IN_FORWARD ? 0xff : 0xa5};
  cr_assert_eq(stand_in_open(&trial->ops, DTYPE_F32, order, 7).code, STATUS_OK);
}

static inline size_t trial_size(const Trial *trial) {
  size_t numbers = 0;
  for (size_t k = 0; k < trial->tensors; k++)
    numbers += tensor_count(trial->tensor[k].tensor);
  return numbers;
}

/* A tensor whose rows lie `gap` numbers apart, in memory of guards. Those are NaN (a number read from there shows) or
 * small and finite (a number added there shows), by the number of threads. */
static inline Tensor trial_fenced(Trial *trial, Dtype dtype, int rank, const size_t *size, size_t gap) {
  Tensor tensor = tensor_make(NULL, dtype, rank, size);
  size_t each = dtype_bits(dtype) / 8, place = trial->tensors++;
  cr_assert(place < TRIAL_MOST, "too many tensors");
  tensor.pitch += gap;
  size_t bytes = 2 * TRIAL_FENCE + each + tensor.size[0] * tensor.pitch * each;
  unsigned char *memory = malloc(bytes);
  cr_assert_not_null(memory);
  memset(memory, trial->guard, bytes);
  tensor.data = memory + TRIAL_FENCE + each; /* never aligned to a vector */
  trial->tensor[place].memory = memory;
  trial->tensor[place].bytes = bytes;
  trial->tensor[place].tensor = tensor;
  return tensor;
}

/* Tensors of normal numbers with that centre and spread, the same for every backend up to rounding. Of outputs: centre
 * NAN, so that an element that was not written shows; of gradients: 0, 0.
 *   trial_view    (rows, columns) of reals, three numbers between rows
 *   trial_matrix  (rows, columns) of any floating type, contiguous
 *   trial_vector  (count) of reals
 *   trial_cube    (a, b, c) of reals, contiguous */
static inline Tensor trial_view(Trial *trial, size_t rows, size_t columns, double centre, double spread) {
  Tensor x = trial_fenced(trial, trial->ops.real, 2, (const size_t[]){rows, columns}, 3);
  tensor_fill(x, centre, spread, trial->seed++);
  return x;
}

static inline Tensor trial_matrix(Trial *trial, Dtype dtype, size_t rows, size_t columns, double centre,
                                  double spread) {
  Tensor x = trial_fenced(trial, dtype, 2, (const size_t[]){rows, columns}, 0);
  tensor_fill(x, centre, spread, trial->seed++);
  return x;
}

static inline Tensor trial_vector(Trial *trial, size_t count, double centre, double spread) {
  Tensor x = trial_fenced(trial, trial->ops.real, 1, &count, 0);
  tensor_fill(x, centre, spread, trial->seed++);
  return x;
}

static inline Tensor trial_cube(Trial *trial, size_t a, size_t b, size_t c, double centre, double spread) {
  Tensor x = trial_fenced(trial, trial->ops.real, 3, (const size_t[]){a, b, c}, 0);
  tensor_fill(x, centre, spread, trial->seed++);
  return x;
}

/* values NULL: -1 everywhere. */
static inline Tensor trial_indices(Trial *trial, size_t count, const int32_t *values) {
  Tensor x = trial_fenced(trial, DTYPE_I32, 1, &count, 0);
  for (size_t i = 0; i < count; i++)
    memcpy(tensor_place(x, i, 0), values ? &values[i] : &(int32_t){-1}, sizeof *values);
  return x;
}

/* offsets: count + 1 of them; they must outlive the trial. */
static inline Ragged trial_ragged(Trial *trial, size_t count, const int32_t *offsets) {
  Ragged ragged = {.count = count, .rows = (size_t)offsets[count], .host = offsets};
  ragged.offsets = trial_indices(trial, count + 1, offsets);
  for (size_t i = 0; i < count; i++)
    if ((size_t)(offsets[i + 1] - offsets[i]) > ragged.longest)
      ragged.longest = (size_t)(offsets[i + 1] - offsets[i]);
  return ragged;
}

/* Zeros for the body's own use, freed with the trial. */
static inline double *trial_numbers(Trial *trial, size_t count) {
  double *numbers = calloc(count > 0 ? count : 1, sizeof *numbers);
  cr_assert(numbers != NULL && trial->numbers < TRIAL_MOST, "too many numbers");
  trial->number[trial->numbers++] = numbers;
  return numbers;
}

/* The tensor's numbers, rows one after the other. */
static inline double *trial_copy(Trial *trial, Tensor x) {
  double *numbers = trial_numbers(trial, tensor_count(x));
  FOR_EACH(x, i, j)
  numbers[i * tensor_width(x) + j] = tensor_at(x, i, j);
  return numbers;
}

/* The fixture tests/fixtures/ops/NAME.npy: trial_fixture its numbers and shape (array->data is NULL),
 * trial_fixture_numbers (count may be NULL) gives its numbers,
 * trial_fixture_tensor a contiguous tensor of reals. */
static inline double *trial_fixture(Trial *trial, const char *name, NpyArray *array) {
  char path[512];
  snprintf(path, sizeof path, "%s/ops/%s.npy", SEESAW_FIXTURES, name);
  Status status = npy_read(path, array);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  double *numbers = trial_numbers(trial, array->count);
  memcpy(numbers, array->data, array->count * sizeof *numbers);
  NpyArray shape = *array;
  npy_free(array);
  *array = shape;
  array->data = NULL;
  return numbers;
}

static inline double *trial_fixture_numbers(Trial *trial, const char *name, size_t *count) {
  NpyArray array;
  double *numbers = trial_fixture(trial, name, &array);
  if (count)
    *count = array.count;
  return numbers;
}

static inline Tensor trial_fixture_tensor(Trial *trial, const char *name) {
  NpyArray array;
  double *numbers = trial_fixture(trial, name, &array);
  Tensor x = trial_fenced(trial, trial->ops.real, (int)array.rank, array.shape, 0);
  FOR_EACH(x, i, j)
  tensor_put(x, i, j, numbers[i * tensor_width(x) + j]);
  return x;
}

/* ---- checks ---- */

/* Is every byte of every tensor's memory that is not the tensor's still the guard? */
static inline bool trial_intact(const Trial *trial) {
  for (size_t k = 0; k < trial->tensors; k++) {
    Tensor x = trial->tensor[k].tensor;
    const unsigned char *byte = trial->tensor[k].memory, *end = byte + trial->tensor[k].bytes;
    size_t width = tensor_width(x) * (dtype_bits(x.dtype) / 8);
    for (size_t i = 0; i < x.size[0]; i++) {
      for (; byte < tensor_place(x, i, 0); byte++)
        if (*byte != trial->guard)
          return false;
      byte += width;
    }
    for (; byte < end; byte++)
      if (*byte != trial->guard)
        return false;
  }
  return true;
}

/* Do the tensors of two trials hold the same bytes? */
static inline bool trial_alike(const Trial *trial, const Trial *other) {
  if (trial->tensors != other->tensors)
    return false;
  for (size_t k = 0; k < trial->tensors; k++) {
    Tensor x = trial->tensor[k].tensor, y = other->tensor[k].tensor;
    if (!tensor_same(x, y))
      return false;
    for (size_t i = 0; i < x.size[0]; i++)
      if (memcmp(tensor_place(x, i, 0), tensor_place(y, i, 0), tensor_width(x) * (dtype_bits(x.dtype) / 8)) != 0)
        return false;
  }
  return true;
}

/* The rounding unit of a type. */
static inline double dtype_unit(Dtype dtype) {
  return dtype == DTYPE_F64 ? 0x1p-53 : dtype == DTYPE_F32 ? 0x1p-24 : dtype == DTYPE_F16 ? 0x1p-11 : 0x1p-8;
}

/* tensor_error: the largest |x - ref| as a multiple of allowed (|ref| + rms(ref)); infinite if a number is NaN.
 * expected: tensor_count(x) of them. *worst (if not NULL): where it is. */
static inline double tensor_error(Tensor x, const double *expected, double allowed, size_t *worst) {
  double largest = 0.0, square = 0.0;
  size_t count = tensor_count(x), width = tensor_width(x);
  for (size_t k = 0; k < count; k++)
    square += expected[k] * expected[k];
  FOR_EACH(x, i, j) {
    double ref = expected[i * width + j], error = fabs(tensor_at(x, i, j) - ref);
    double tolerance = allowed * (fabs(ref) + sqrt(square / (double)count));
    double ratio = error == 0.0 ? 0.0 : error / tolerance;
    if (!(ratio <= largest)) {
      largest = isnan(ratio) ? INFINITY : ratio;
      if (worst)
        *worst = i * width + j;
    }
  }
  return largest;
}

/* expect_close: every element within 8 sqrt(K) u (|ref| + rms(ref)), K = sum: the longest sum behind it.
 * expect_within_units: within `units` u (|ref| + rms(ref)), where the error is known better or K does not say it all.
 */
static inline __attribute__((format(printf, 4, 0))) void
expect_close_text(Tensor x, const double *expected, double units, const char *format, va_list list) {
  char text[256];
  size_t worst = 0;
  double error = tensor_error(x, expected, units * dtype_unit(x.dtype), &worst);
  vsnprintf(text, sizeof text, format, list);
  if (!(error <= 1.0))
    cr_expect(false, "%s, %s: %g of the tolerance: number %zu is %.17g, should be %.17g", text, dtype_name(x.dtype),
              error, worst, tensor_at(x, worst / tensor_width(x), worst % tensor_width(x)), expected[worst]);
  if (getenv("SEESAW_ERRORS")) /* to see how much of the tolerances is used */
    fprintf(stderr, "%s, %s: %.3f of the tolerance\n", text, dtype_name(x.dtype), error);
}

static inline __attribute__((format(printf, 4, 5))) void expect_close(Tensor x, const double *expected, size_t sum,
                                                                      const char *format, ...) {
  va_list list;
  va_start(list, format);
  expect_close_text(x, expected, 8.0 * sqrt((double)sum), format, list);
  va_end(list);
}

static inline __attribute__((format(printf, 4, 5))) void expect_within_units(Tensor x, const double *expected,
                                                                             double units, const char *format, ...) {
  va_list list;
  va_start(list, format);
  expect_close_text(x, expected, units, format, list);
  va_end(list);
}

/* ---- gradients ---- */

/* sum y weight: the scalar whose gradient by y is `weight`. */
static inline double weighted_sum(Tensor y, Tensor weight) {
  long double sum = 0.0L;
  FOR_EACH(y, i, j)
  sum += (long double)tensor_at(y, i, j) * tensor_at(weight, i, j);
  return (double)sum;
}

/* A scalar function of tensors: runs the forward operation on what the context names and returns the weighted sum of
 * its outputs. */
typedef double Scalar(Trial *trial, void *context);

/* (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h: the error is h^4 |f'''''| / 30 and about u |f| / h of rounding. */
static inline double central_difference(Trial *trial, Tensor x, size_t i, size_t j, double step, Scalar *scalar,
                                        void *context) {
  static const double at[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
  double kept = tensor_at(x, i, j), sum = 0.0;
  for (int k = 0; k < 4; k++) {
    tensor_put(x, i, j, kept + at[k] * step);
    sum += weight[k] * scalar(trial, context);
  }
  tensor_put(x, i, j, kept);
  return sum / (12 * step);
}

enum { GRADIENT_MOST = 4096 };

/* expect_gradient: dx, each element within 1e-7 (|d| + rms(d)) of the central difference d of the scalar by x. In
 * double and on one thread only, elsewhere nothing; afterwards outputs are those of the unchanged x. step: 1e-3 where
 * the function bends on the scale of 1. */
static inline __attribute__((format(printf, 7, 8))) void expect_gradient(Trial *trial, Tensor dx, Tensor x, double step,
                                                                         Scalar *scalar, void *context,
                                                                         const char *format, ...) {
  if (x.dtype == DTYPE_F64 && trial->threads == 1) {
    va_list list;
    size_t width = tensor_width(x), worst = 0;
    static double slope[GRADIENT_MOST];
    char text[256];
    cr_assert(tensor_count(x) <= GRADIENT_MOST && tensor_same(x, dx));
    FOR_EACH(x, i, j)
    slope[i * width + j] = central_difference(trial, x, i, j, step, scalar, context);
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    double error = tensor_error(dx, slope, 1e-7, &worst);
    if (!(error <= 1.0))
      cr_expect(false, "%s: %g of the tolerance: number %zu of the gradient is %.17g, the slope %.17g", text, error,
                worst, tensor_at(dx, worst / width, worst % width), slope[worst]);
    if (getenv("SEESAW_ERRORS"))
      fprintf(stderr, "%s: gradient within %.3g\n", text, error * 1e-7);
  }
  scalar(trial, context);
}

/* expect_adds: backward, run from other values than zero, adds to dx what it gave from zero; dx ends as the latter.
 * sum: as for expect_close. */
static inline void expect_adds(Trial *trial, Tensor dx, size_t sum, void (*backward)(Trial *trial, void *context),
                               void *context, const char *name) {
  tensor_fill(dx, 0.0, 0.0, 1);
  backward(trial, context);
  double *gradient = trial_copy(trial, dx);
  tensor_fill(dx, -0.75, 1.0, trial->seed++);
  double *both = trial_copy(trial, dx);
  for (size_t k = 0; k < tensor_count(dx); k++)
    both[k] += gradient[k];
  backward(trial, context);
  expect_close(dx, both, sum, "%s adds", name);
  FOR_EACH(dx, i, j)
  tensor_put(dx, i, j, gradient[i * tensor_width(dx) + j]);
}

/* expect_sets: backward, which sets dx, makes of NaN the bytes that dx holds now: what expect_adds left. */
static inline void expect_sets(Trial *trial, Tensor dx, void (*backward)(Trial *trial, void *context), void *context,
                               const char *name) {
  double *gradient = trial_copy(trial, dx);
  tensor_fill(dx, NAN, 0.0, 1);
  backward(trial, context);
  expect_within_units(dx, gradient, 0.0, "%s is set", name);
}

/* ---- running ---- */

static inline void trial_close(Trial *trial) {
  cr_expect(trial_intact(trial), "something beside a tensor was written, %s, %d threads", dtype_name(trial->ops.real),
            trial->threads);
  for (size_t k = 0; k < trial->tensors; k++)
    free(trial->tensor[k].memory);
  for (size_t k = 0; k < trial->numbers; k++)
    free(trial->number[k]);
  if (trial->threads > 0)
    c_close(&trial->ops);
  else
    stand_in_close(&trial->ops);
}

/* The body on the stand-in in each order, or in one, which must leave the same bytes. size: numbers that the body
 * makes. */
static inline void on_stand_in(void (*body)(Trial *trial, const void *sizes), const void *sizes, size_t size,
                               int orders) {
  static Trial trial[STAND_IN_ORDERS];
  if (size > STAND_IN_NUMBERS) {
    if (getenv("SEESAW_ERRORS"))
      fprintf(stderr, "%zu numbers: a body too large for the stand-in, which it did not run\n", size);
    return;
  }
  for (int k = 0; k < orders; k++) {
    trial_open_stand_in(&trial[k], (StandInOrder)k);
    body(&trial[k], sizes);
    Status status = ops_status(&trial[k].ops);
    cr_expect(status.code == STATUS_OK, "%s", status.message);
    cr_expect(trial_alike(&trial[0], &trial[k]), "order %d of the stand-in differs from forward", k);
  }
  for (int k = 0; k < orders; k++)
    trial_close(&trial[k]);
}

/* everywhere: the body in float and double with 1, 2, 3 and 5 threads, which must leave the same bytes, and on the
 * stand-in in all orders (with sanitizers: 1 and 2 threads, two orders). once: float and double, one thread, and
 * forward on the stand-in. sizes: handed to the body.
 */
static inline void everywhere(void (*body)(Trial *trial, const void *sizes), const void *sizes) {
  static const Dtype reals[] = {DTYPE_F32, DTYPE_F64};
  static const int threads[] = {2, 3, 5};
  size_t size = 0;
  for (int r = 0; r < 2; r++) {
    static Trial one, more;
    trial_open(&one, reals[r], 1);
    body(&one, sizes);
    for (int k = 0; k < (SANITIZED ? 1 : 3); k++) {
      trial_open(&more, reals[r], threads[k]);
      body(&more, sizes);
      cr_expect(trial_alike(&one, &more), "%d threads differ from one, %s", threads[k], dtype_name(reals[r]));
      trial_close(&more);
    }
    size = trial_size(&one);
    trial_close(&one);
  }
  on_stand_in(body, sizes, size, SANITIZED ? 2 : STAND_IN_ORDERS);
}

static inline void once(void (*body)(Trial *trial, const void *sizes), const void *sizes) {
  static const Dtype reals[] = {DTYPE_F32, DTYPE_F64};
  size_t size = 0;
  for (int r = 0; r < 2; r++) {
    static Trial trial;
    trial_open(&trial, reals[r], 1);
    body(&trial, sizes);
    size = trial_size(&trial);
    trial_close(&trial);
  }
  on_stand_in(body, sizes, size, 1);
}

/* expect_stop: the body is a caller's mistake: it stops the program with a message that holds both parts. */
static inline void expect_stop(void (*body)(void), const char *is, const char *should) {
  char text[1024];
  int end = in_child(body, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT, "it did not stop: %s", text);
  expect_contains(text, is);
  expect_contains(text, should);
}

#endif
