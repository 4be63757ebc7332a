/* test_ops_linear.c: y = x w' + b and its gradients, against sums written out. */
#include "operations.h"

typedef struct Sizes {
  size_t rows, inputs, outputs;
} Sizes;

static const Sizes cases[] = {
    {1, 1, 1},  {3, 5, 7},   {8, 33, 17},   {9, 33, 17},    {0, 5, 7},     {4, 0, 3},
    {20, 0, 3}, {20, 1, 30}, {1, 2500, 65}, {70, 600, 300}, {530, 20, 33}, {175, 380, 19},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* sum[i][j] += sum_k a[i][k] b[j][k], where the distances of neighbours in i, j and k are given. */
static void add_products(double *sum, const double *a, const double *b, size_t rows, size_t columns, size_t length,
                         const size_t a_step[2], const size_t b_step[2]) {
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++)
      for (size_t k = 0; k < length; k++)
        sum[i * columns + j] += a[i * a_step[0] + k * a_step[1]] * b[j * b_step[0] + k * b_step[1]];
}

/* Type number i of those that weights may have. */
static Dtype weight_type(const Trial *t, size_t i) {
  return (const Dtype[]){t->ops.real, DTYPE_BF16, DTYPE_F16, DTYPE_F32}[i % 4];
}

enum { ONTO_NOTHING, ONTO_ITSELF, ONTO_ANOTHER, ONTOS };

/* products: x w', written out. */
static void check_forward(Trial *t, Tensor x, Tensor w, Tensor b, int onto, const double *products) {
  size_t rows = x.size[0], outputs = w.size[0];
  Tensor y = trial_view(t, rows, outputs, onto == ONTO_ITSELF ? 2.0 : NAN, 1.0), other = TENSOR_NONE;
  if (onto == ONTO_ANOTHER)
    other = trial_view(t, rows, outputs, 2.0, 1.0);
  Tensor added = onto == ONTO_ITSELF ? y : other;
  double *expected = added.data ? trial_copy(t, added) : trial_numbers(t, rows * outputs);
  double *before = other.data ? trial_copy(t, other) : NULL;
  linear_fwd(&t->ops, y, x, w, b, added);
  if (t->threads > 1)
    return; /* the bytes are compared */
  for (size_t i = 0; i < rows * outputs; i++)
    expected[i] += products[i] + (b.data ? tensor_at(b, i % outputs, 0) : 0.0);
  expect_close(y, expected, x.size[1] + 2, "y of (%zu, %zu, %zu), w %s, b %d, onto %d", rows, x.size[1], outputs,
               dtype_name(w.dtype), b.data != NULL, onto);
  if (before)
    expect_within_units(other, before, 0.0, "what is added");
}

static void forward(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  bool all = s.rows * s.inputs * s.outputs < 100000;
  Tensor x = trial_view(t, s.rows, s.inputs, 0.5, 1.0), b = trial_vector(t, s.outputs, -0.3, 1.0);
  for (int i = 0; i < 4; i++) {
    Tensor w = trial_matrix(t, weight_type(t, (size_t)i), s.outputs, s.inputs, 0.1, 0.5);
    double *products = trial_numbers(t, s.rows * s.outputs);
    if (t->threads <= 1)
      add_products(products, trial_copy(t, x), trial_copy(t, w), s.rows, s.outputs, s.inputs,
                   (const size_t[]){s.inputs, 1}, (const size_t[]){s.inputs, 1});
    for (int how = 0; how < 2 * ONTOS; how++)
      if (all || how % 4 == i)
        check_forward(t, x, w, how % 2 ? b : TENSOR_NONE, how / 2, products);
  }
}

static void backward(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  Tensor dy = trial_view(t, s.rows, s.outputs, 0.2, 1.0), x = trial_view(t, s.rows, s.inputs, 0.5, 1.0);
  for (size_t i = 0; i < 4; i++) {
    Tensor w = trial_matrix(t, weight_type(t, i), s.outputs, s.inputs, 0.1, 0.5);
    Tensor dx = trial_view(t, s.rows, s.inputs, 1.0, 1.0), set = trial_view(t, s.rows, s.inputs, NAN, 0.0);
    double *expected = trial_copy(t, dx), *alone = trial_numbers(t, s.rows * s.inputs);
    linear_bwd_input(&t->ops, dx, dy, w, WRITE_ADD);
    linear_bwd_input(&t->ops, set, dy, w, WRITE_SET);
    if (t->threads > 1)
      continue;
    add_products(alone, trial_copy(t, dy), trial_copy(t, w), s.rows, s.inputs, s.outputs,
                 (const size_t[]){s.outputs, 1}, (const size_t[]){1, s.inputs});
    for (size_t k = 0; k < s.rows * s.inputs; k++)
      expected[k] += alone[k];
    expect_close(dx, expected, s.outputs + 1, "dx of (%zu, %zu, %zu), w %s", s.rows, s.inputs, s.outputs,
                 dtype_name(w.dtype));
    expect_close(set, alone, s.outputs, "dx, set, of (%zu, %zu, %zu), w %s", s.rows, s.inputs, s.outputs,
                 dtype_name(w.dtype));
  }
  Tensor dw = trial_matrix(t, t->ops.real, s.outputs, s.inputs, -1.0, 1.0), db = trial_vector(t, s.outputs, 1.0, 1.0);
  double *expected_w = trial_copy(t, dw), *expected_b = trial_copy(t, db), one = 1.0;
  linear_bwd_weight(&t->ops, dw, db, dy, x);
  if (t->threads > 1)
    return;
  add_products(expected_w, trial_copy(t, dy), trial_copy(t, x), s.outputs, s.inputs, s.rows,
               (const size_t[]){1, s.outputs}, (const size_t[]){1, s.inputs});
  add_products(expected_b, trial_copy(t, dy), &one, s.outputs, 1, s.rows, (const size_t[]){1, s.outputs},
               (const size_t[]){0, 0});
  expect_close(dw, expected_w, s.rows + 1, "dw of (%zu, %zu, %zu)", s.rows, s.inputs, s.outputs);
  expect_close(db, expected_b, s.rows + 1, "db of (%zu, %zu, %zu)", s.rows, s.inputs, s.outputs);
}

Test(linear, forward_is_the_sum_written_out) {
  for (int i = 0; i < CASES; i++)
    everywhere(forward, &cases[i]);
}

Test(linear, backward_is_the_sum_written_out) {
  for (int i = 0; i < CASES; i++)
    everywhere(backward, &cases[i]);
}

/* ---- gradients ---- */

typedef struct Layer {
  Tensor y, x, w, b, dy, dx, dw, db;
  Write write; /* of dx */
} Layer;

static double loss(Trial *t, void *context) {
  Layer *l = context;
  linear_fwd(&t->ops, l->y, l->x, l->w, l->b, TENSOR_NONE);
  return weighted_sum(l->y, l->dy);
}

static void to_input(Trial *t, void *context) {
  Layer *l = context;
  linear_bwd_input(&t->ops, l->dx, l->dy, l->w, l->write);
}

static void to_weight(Trial *t, void *context) {
  Layer *l = context;
  linear_bwd_weight(&t->ops, l->dw, TENSOR_NONE, l->dy, l->x);
}

static void to_bias(Trial *t, void *context) {
  Layer *l = context;
  linear_bwd_weight(&t->ops, TENSOR_NONE, l->db, l->dy, l->x);
}

static void gradients(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  Layer l = {.y = trial_view(t, s.rows, s.outputs, NAN, 0.0),
             .x = trial_view(t, s.rows, s.inputs, 0.5, 1.0),
             .w = trial_matrix(t, t->ops.real, s.outputs, s.inputs, 0.1, 0.5),
             .b = trial_vector(t, s.outputs, -0.3, 1.0),
             .dy = trial_view(t, s.rows, s.outputs, 0.2, 1.0),
             .dx = trial_view(t, s.rows, s.inputs, 0.0, 0.0),
             .dw = trial_matrix(t, t->ops.real, s.outputs, s.inputs, 0.0, 0.0),
             .db = trial_vector(t, s.outputs, 0.0, 0.0),
             .write = WRITE_ADD};
  expect_adds(t, l.dx, s.outputs, to_input, &l, "dx");
  l.write = WRITE_SET;
  expect_sets(t, l.dx, to_input, &l, "dx");
  expect_adds(t, l.dw, s.rows, to_weight, &l, "dw");
  expect_adds(t, l.db, s.rows, to_bias, &l, "db");
  expect_gradient(t, l.dx, l.x, 1e-2, loss, &l, "dx");
  expect_gradient(t, l.dw, l.w, 1e-2, loss, &l, "dw");
  expect_gradient(t, l.db, l.b, 1e-2, loss, &l, "db");
}

Test(linear, gradients_are_slopes_and_are_added_or_set) {
  const Sizes some[] = {{1, 1, 1}, {3, 5, 7}, {11, 6, 5}};
  for (int i = 0; i < 3; i++)
    everywhere(gradients, &some[i]);
}

/* ---- types ---- */

/* Every number of two bytes, times one. Of few rows and of many: two ways. */
static void every_short(Trial *t, const void *sizes) {
  (void)sizes;
  for (int k = 0; k < 4; k++) {
    Dtype dtype = k % 2 ? DTYPE_F16 : DTYPE_BF16;
    size_t rows = k < 2 ? 1 : 9;
    Tensor x = trial_view(t, rows, 1, 1.0, 0.0), y = trial_view(t, rows, 1 << 16, NAN, 0.0);
    Tensor w = trial_matrix(t, dtype, 1 << 16, 1, 0.0, 0.0);
    for (uint32_t bits = 0; bits < 1 << 16; bits++)
      ((uint16_t *)w.data)[bits] = (uint16_t)bits;
    linear_fwd(&t->ops, y, x, w, TENSOR_NONE, TENSOR_NONE);
    size_t wrong = 0;
    FOR_EACH(y, i, j) {
      double is = tensor_at(y, i, j), should = tensor_at(w, j, 0);
      wrong += !(is == should || (isnan(is) && isnan(should)));
    }
    cr_expect_eq(wrong, 0, "%zu of %s are converted wrongly to %s, %zu rows", wrong, dtype_name(dtype),
                 dtype_name(t->ops.real), rows);
  }
}

Test(linear, every_number_of_two_bytes_is_converted) {
  once(every_short, NULL);
}

/* ---- NaN and infinity ---- */

static void spreads(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  for (size_t i = 0; i < 4; i++) {
    Tensor x = trial_view(t, s.rows, s.inputs, 0.5, 1.0), y = trial_view(t, s.rows, s.outputs, 0.0, 1.0);
    Tensor w = trial_matrix(t, weight_type(t, i), s.outputs, s.inputs, 0.0, 1.0);
    tensor_put(x, 1, s.inputs - 1, NAN);
    tensor_put(w, 2, 0, INFINITY);
    linear_fwd(&t->ops, y, x, w, TENSOR_NONE, TENSOR_NONE);
    FOR_EACH(y, n, o)
    cr_expect((n == 1 && isnan(tensor_at(y, n, o))) || (n != 1 && o == 2 && isinf(tensor_at(y, n, o))) ||
                  (n != 1 && o != 2 && isfinite(tensor_at(y, n, o))),
              "row %zu, output %zu of %zu rows, w %s: %g", n, o, s.rows, dtype_name(w.dtype), tensor_at(y, n, o));
  }
}

Test(linear, what_is_not_a_number_stays_so) {
  once(spreads, &(const Sizes){3, 5, 4});
  once(spreads, &(const Sizes){12, 5, 4});
}

/* ---- parity ---- */

static void torch(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor x = trial_fixture_tensor(t, "linear_x"), w = trial_fixture_tensor(t, "linear_w");
  Tensor b = trial_fixture_tensor(t, "linear_b"), dy = trial_fixture_tensor(t, "linear_dy");
  Tensor y = trial_view(t, x.size[0], w.size[0], NAN, 0.0), dx = trial_view(t, x.size[0], x.size[1], 0.0, 0.0);
  Tensor dw = trial_matrix(t, t->ops.real, w.size[0], w.size[1], 0.0, 0.0), db = trial_vector(t, w.size[0], 0.0, 0.0);
  linear_fwd(&t->ops, y, x, w, b, TENSOR_NONE);
  linear_bwd_input(&t->ops, dx, dy, w, WRITE_ADD);
  linear_bwd_weight(&t->ops, dw, db, dy, x);
  expect_close(y, trial_fixture_numbers(t, "linear_y", NULL), x.size[1] + 1, "torch's y");
  expect_close(dx, trial_fixture_numbers(t, "linear_dx", NULL), w.size[0], "torch's dx");
  expect_close(dw, trial_fixture_numbers(t, "linear_dw", NULL), x.size[0], "torch's dw");
  expect_close(db, trial_fixture_numbers(t, "linear_db", NULL), x.size[0], "torch's db");
}

Test(linear, torch_agrees) {
  once(torch, NULL);
}

/* ---- mistakes ---- */

static Trial mistaken;
static float some[64];

static Tensor of(size_t rows, size_t columns) {
  return tensor_2(some, DTYPE_F32, rows, columns);
}

static void wrong_x(void) {
  linear_fwd(&mistaken.ops, of(2, 4), of(2, 5), of(4, 3), TENSOR_NONE, TENSOR_NONE);
}

static void wrong_b(void) {
  linear_fwd(&mistaken.ops, of(2, 4), of(2, 3), of(4, 3), tensor_1(some, DTYPE_F32, 3), TENSOR_NONE);
}

static void wrong_onto(void) {
  linear_fwd(&mistaken.ops, of(2, 4), of(2, 3), of(4, 3), TENSOR_NONE, of(2, 3));
}

static void onto_apart(void) {
  linear_fwd(&mistaken.ops, of(2, 4), of(2, 3), of(4, 3), TENSOR_NONE, tensor_columns(of(2, 5), 0, 4));
}

static void wrong_type(void) {
  linear_fwd(&mistaken.ops, of(2, 4), of(2, 3), tensor_2(some, DTYPE_I32, 4, 3), TENSOR_NONE, TENSOR_NONE);
}

static void gap_in_w(void) {
  linear_bwd_input(&mistaken.ops, of(2, 3), of(2, 4), tensor_columns(of(4, 5), 0, 3), WRITE_SET);
}

static void wrong_dw(void) {
  linear_bwd_weight(&mistaken.ops, of(3, 4), TENSOR_NONE, of(2, 4), of(2, 3));
}

Test(linear, wrong_shapes_stop) {
  trial_open(&mistaken, DTYPE_F32, 1);
  expect_stop(wrong_x, "linear_fwd: x is F32 (2, 5)", "should be F32 (2, 3)");
  expect_stop(wrong_b, "linear_fwd: b is F32 (3)", "should be F32 (4)");
  expect_stop(wrong_onto, "linear_fwd: onto is F32 (2, 3)", "should be F32 (2, 4)");
  expect_stop(onto_apart, "linear_fwd: onto lies where y does", "5 numbers apart, should be 4");
  expect_stop(wrong_type, "linear_fwd: w is I32 (4, 3)", "should be F32 (4, 3)");
  expect_stop(gap_in_w, "linear_bwd_input", "w is not contiguous");
  expect_stop(wrong_dw, "linear_bwd_weight: dw is F32 (3, 4)", "should be F32 (4, 3)");
  trial_close(&mistaken);
}
