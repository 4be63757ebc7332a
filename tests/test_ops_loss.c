/* test_ops_loss.c: the cross-entropy of a linear classifier against sums written out. */
#include "operations.h"

enum { MOST_CLASSES = 5000 };

typedef struct Sizes {
  size_t rows, width, classes, block; /* block: rows of work */
  double spread;                      /* of w: how large logits are */
} Sizes;

static const Sizes cases[] = {
    {1, 1, 1, 1, 1.0},   {5, 3, 7, 2, 1.0},     {5, 3, 7, 8, 1.0},      {0, 3, 7, 2, 1.0},
    {9, 4, 40, 9, 30.0}, {11, 5, 1031, 4, 2.0}, {12, 6, 2500, 12, 3.0}, {3, 2, 5000, 2, 0.1},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* Every third row is ignored; the others' labels are spread over the classes, the last one among them. */
static Tensor labels(Trial *t, Sizes s) {
  int32_t label[64];
  for (size_t n = 0; n < s.rows; n++)
    label[n] = n % 3 == 1 ? -100 : (int32_t)((s.classes - 1 - n * 37 % s.classes));
  return trial_indices(t, s.rows, label);
}

/* What a row gives, in double. */
typedef struct Row {
  double lse, logit[MOST_CLASSES];
} Row;

static void row_of(Row *row, Tensor x, Tensor w, size_t n) {
  double most = -INFINITY, sum = 0.0;
  for (size_t v = 0; v < w.size[0]; v++) {
    row->logit[v] = 0.0;
    for (size_t d = 0; d < w.size[1]; d++)
      row->logit[v] += tensor_at(x, n, d) * tensor_at(w, v, d);
    most = fmax(most, row->logit[v]);
  }
  for (size_t v = 0; v < w.size[0]; v++)
    sum += exp(row->logit[v] - most);
  row->lse = most + log(sum);
}

static Dtype weight_type(const Trial *t, size_t i) {
  return (const Dtype[]){t->ops.real, DTYPE_BF16, DTYPE_F16, DTYPE_F32}[i % 4];
}

/* Errors of logits, of size |l| = sum |x w|, become relative errors of the softmax: units grow by 1 + the largest |l|.
 */
static void written_out(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  static Row row;
  double factor = 0.25, largest = 0.0;
  for (size_t i = 0; i < 4; i++) {
    Tensor x = trial_view(t, s.rows, s.width, 0.5, 1.0);
    Tensor w = trial_matrix(t, weight_type(t, i), s.classes, s.width, 0.3, s.spread);
    Tensor label = labels(t, s), work = trial_view(t, s.block, s.classes, NAN, 0.0);
    Tensor loss = trial_vector(t, s.rows, NAN, 0.0), lse = trial_vector(t, s.rows, NAN, 0.0);
    Tensor dx = trial_view(t, s.rows, s.width, 1.0, 1.0);
    Tensor dw = trial_matrix(t, t->ops.real, s.classes, s.width, -1.0, 1.0);
    double *to_loss = trial_numbers(t, s.rows), *to_lse = trial_numbers(t, s.rows);
    double *to_dx = trial_copy(t, dx), *to_dw = trial_copy(t, dw);
    cross_entropy_fwd(&t->ops, loss, lse, x, w, label, work);
    cross_entropy_bwd(&t->ops, dx, dw, x, w, label, lse, factor, work);
    if (t->threads > 1)
      continue; /* the bytes are compared */
    for (size_t n = 0; n < s.rows; n++) {
      int32_t class = (int32_t)tensor_at(label, n, 0);
      row_of(&row, x, w, n);
      to_lse[n] = row.lse;
      to_loss[n] = class < 0 ? 0.0 : row.lse - row.logit[class];
      for (size_t v = 0; class >= 0 && v < s.classes; v++) {
        double d = factor * (exp(row.logit[v] - row.lse) - (v == (size_t) class));
        largest = fmax(largest, fabs(row.logit[v]));
        for (size_t k = 0; k < s.width; k++) {
          to_dx[n * s.width + k] += d * tensor_at(w, v, k);
          to_dw[v * s.width + k] += d * tensor_at(x, n, k);
        }
      }
    }
    double units = 8.0 * sqrt((double)s.width) * (1.0 + largest);
    expect_within_units(lse, to_lse, units, "lse of (%zu, %zu, %zu), block %zu, w %s", s.rows, s.width, s.classes,
                        s.block, dtype_name(w.dtype));
    expect_within_units(loss, to_loss, units, "loss of (%zu, %zu, %zu), block %zu", s.rows, s.width, s.classes,
                        s.block);
    units = 8.0 * sqrt((double)s.classes) + units;
    expect_within_units(dx, to_dx, units, "dx of (%zu, %zu, %zu), block %zu", s.rows, s.width, s.classes, s.block);
    expect_within_units(dw, to_dw, units, "dw of (%zu, %zu, %zu), block %zu", s.rows, s.width, s.classes, s.block);
    for (size_t n = 1; n < s.rows; n += 3)
      cr_expect_eq(tensor_at(loss, n, 0), 0.0, "an ignored row has no loss");
  }
}

Test(loss, is_the_sum_written_out) {
  for (int i = 0; i < CASES; i++)
    everywhere(written_out, &cases[i]);
}

/* ---- gradients ---- */

typedef struct Classifier {
  Tensor loss, lse, x, w, label, work, dx, dw, one;
} Classifier;

static const double FACTOR = 0.7;

static double total(Trial *t, void *context) {
  Classifier *c = context;
  cross_entropy_fwd(&t->ops, c->loss, c->lse, c->x, c->w, c->label, c->work);
  return FACTOR * weighted_sum(c->loss, c->one);
}

static void to_x(Trial *t, void *context) {
  Classifier *c = context;
  cross_entropy_bwd(&t->ops, c->dx, TENSOR_NONE, c->x, c->w, c->label, c->lse, FACTOR, c->work);
}

static void to_w(Trial *t, void *context) {
  Classifier *c = context;
  cross_entropy_bwd(&t->ops, TENSOR_NONE, c->dw, c->x, c->w, c->label, c->lse, FACTOR, c->work);
}

static void gradients(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  Classifier c = {.loss = trial_vector(t, s.rows, NAN, 0.0),
                  .lse = trial_vector(t, s.rows, NAN, 0.0),
                  .x = trial_view(t, s.rows, s.width, 0.5, 1.0),
                  .w = trial_matrix(t, t->ops.real, s.classes, s.width, 0.3, 0.5),
                  .label = labels(t, s),
                  .work = trial_view(t, s.block, s.classes, NAN, 0.0),
                  .dx = trial_view(t, s.rows, s.width, 0.0, 0.0),
                  .dw = trial_matrix(t, t->ops.real, s.classes, s.width, 0.0, 0.0),
                  .one = trial_vector(t, s.rows, 1.0, 0.0)};
  total(t, &c); /* lse */
  expect_adds(t, c.dx, s.classes, to_x, &c, "dx");
  expect_adds(t, c.dw, s.rows, to_w, &c, "dw");
  expect_gradient(t, c.dx, c.x, 1e-3, total, &c, "dx of (%zu, %zu, %zu)", s.rows, s.width, s.classes);
  expect_gradient(t, c.dw, c.w, 1e-3, total, &c, "dw of (%zu, %zu, %zu)", s.rows, s.width, s.classes);
}

Test(loss, gradients_are_slopes_and_add) {
  const Sizes some[] = {{1, 1, 2, 1, 0}, {5, 3, 7, 2, 0}, {11, 4, 30, 11, 0}};
  for (int i = 0; i < 3; i++)
    everywhere(gradients, &some[i]);
}

/* ---- the ends of the range ---- */

/* Logits of 1e4 and of -1e4: exp of neither is a number. */
static void far(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor x = trial_matrix(t, t->ops.real, 3, 1, 1.0, 0.0), w = trial_matrix(t, t->ops.real, 4, 1, 0.0, 0.0);
  Tensor loss = trial_vector(t, 3, NAN, 0.0), lse = trial_vector(t, 3, NAN, 0.0), work = trial_view(t, 3, 4, NAN, 0.0);
  Tensor dx = trial_view(t, 3, 1, 0.0, 0.0), label = trial_indices(t, 3, (const int32_t[]){0, 1, 3});
  const double logit[4] = {1e4, 1e4, -1e4, 0.0}, expected[3] = {log(2.0), log(2.0), 1e4 + log(2.0)};
  for (size_t v = 0; v < 4; v++)
    tensor_put(w, v, 0, logit[v]);
  cross_entropy_fwd(&t->ops, loss, lse, x, w, label, work);
  expect_close(loss, expected, 1, "far logits");
  cross_entropy_bwd(&t->ops, dx, TENSOR_NONE, x, w, label, lse, 1.0, work);
  FOR_EACH(dx, i, j)
  cr_expect(isfinite(tensor_at(dx, i, j)));
}

/* NaN in one row's x: that row's loss alone. */
static void spreads(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor x = trial_view(t, 12, 3, 0.0, 1.0), w = trial_matrix(t, t->ops.real, 50, 3, 0.0, 1.0);
  Tensor loss = trial_vector(t, 12, 0.0, 0.0), lse = trial_vector(t, 12, 0.0, 0.0), work = trial_view(t, 5, 50, 0, 0);
  int32_t label[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 49};
  tensor_put(x, 6, 2, NAN);
  cross_entropy_fwd(&t->ops, loss, lse, x, w, trial_indices(t, 12, label), work);
  for (size_t n = 0; n < 12; n++) {
    cr_expect_eq(isnan(tensor_at(loss, n, 0)) != 0, n == 6, "row %zu: %g", n, tensor_at(loss, n, 0));
    cr_expect_eq(isnan(tensor_at(lse, n, 0)) != 0, n == 6);
  }
}

Test(loss, large_logits_and_what_is_not_a_number) {
  once(far, NULL);
  once(spreads, NULL);
}

/* ---- parity ---- */

static void torch(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor x = trial_fixture_tensor(t, "loss_x"), w = trial_fixture_tensor(t, "loss_w");
  size_t rows;
  double *number = trial_fixture_numbers(t, "loss_label", &rows);
  int32_t label[16];
  for (size_t n = 0; n < rows; n++)
    label[n] = (int32_t)number[n];
  Tensor labels = trial_indices(t, rows, label), work = trial_view(t, 4, w.size[0], NAN, 0.0);
  Tensor loss = trial_vector(t, rows, NAN, 0.0), lse = trial_vector(t, rows, NAN, 0.0);
  Tensor dx = trial_view(t, rows, x.size[1], 0.0, 0.0);
  Tensor dw = trial_matrix(t, t->ops.real, w.size[0], w.size[1], 0.0, 0.0);
  cross_entropy_fwd(&t->ops, loss, lse, x, w, labels, work);
  cross_entropy_bwd(&t->ops, dx, dw, x, w, labels, lse, 0.125, work);
  expect_close(loss, trial_fixture_numbers(t, "loss_loss", NULL), 6, "torch's loss");
  expect_close(dx, trial_fixture_numbers(t, "loss_dx", NULL), 37, "torch's dx");
  expect_close(dw, trial_fixture_numbers(t, "loss_dw", NULL), 9, "torch's dw");
}

Test(loss, torch_agrees) {
  once(torch, NULL);
}

/* ---- mistakes ---- */

static Trial mistaken;
static float some[64];
static int32_t label_past_the_end[2] = {0, 7};

static void classify(size_t labels, size_t block, size_t columns) {
  Tensor row = tensor_1(some, DTYPE_F32, 2);
  cross_entropy_fwd(&mistaken.ops, row, row, tensor_2(some, DTYPE_F32, 2, 3), tensor_2(some, DTYPE_F32, 7, 3),
                    tensor_1(label_past_the_end, DTYPE_I32, labels), tensor_2(some, DTYPE_F32, block, columns));
}

static void wrong_label(void) {
  classify(3, 2, 7);
}

static void wrong_work(void) {
  classify(2, 2, 6);
}

static void no_work(void) {
  classify(2, 0, 7);
}

static void past_the_end(void) {
  classify(2, 2, 7);
}

Test(loss, wrong_shapes_and_labels_stop) {
  trial_open(&mistaken, DTYPE_F32, 1);
  expect_stop(wrong_label, "cross_entropy_fwd: label is I32 (3)", "should be I32 (2)");
  expect_stop(wrong_work, "work is F32 (2, 6)", "should be F32 (2, 7)");
  expect_stop(no_work, "cross_entropy_fwd", "work has no rows");
  expect_stop(past_the_end, "label 1 is 7", "of 7 classes");
  trial_close(&mistaken);
}
