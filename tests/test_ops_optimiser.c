/* test_ops_optimiser.c: the sum of squares and AdamW against the formulas written out. */
#include "operations.h"

typedef struct Sizes {
  size_t rows, columns; /* columns 0: a vector */
  bool gap;             /* between rows */
} Sizes;

static const Sizes cases[] = {
    {1, 1, false}, {7, 0, false}, {0, 0, false}, {0, 5, true}, {5, 7, true}, {70, 1000, false}, {3, 5000, true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static Tensor tensor_of(Trial *t, Sizes s, double centre, double spread) {
  return s.columns == 0 ? trial_vector(t, s.rows, centre, spread)
         : s.gap        ? trial_view(t, s.rows, s.columns, centre, spread)
                        : trial_matrix(t, t->ops.real, s.rows, s.columns, centre, spread);
}

/* ---- sum_squares ---- */

static void squares(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  Tensor x = tensor_of(t, s, 0.5, 2.0), total = trial_matrix(t, DTYPE_F64, 1, 1, 3.0, 0.0);
  total = tensor_1(total.data, DTYPE_F64, 1);
  long double sum = 3.0L;
  FOR_EACH(x, i, j)
  sum += (long double)tensor_at(x, i, j) * tensor_at(x, i, j);
  sum_squares(&t->ops, total, x);
  expect_close(total, &(const double){(double)sum}, tensor_count(x) + 1, "sum of squares of %zu x %zu", s.rows,
               s.columns);
}

Test(optimiser, sum_of_squares_is_added) {
  for (int i = 0; i < CASES; i++)
    everywhere(squares, &cases[i]);
}

static void not_a_number(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor x = trial_view(t, 5, 7, 0.5, 2.0);
  double total = 0.0;
  tensor_put(x, 4, 6, NAN);
  sum_squares(&t->ops, tensor_1(&total, DTYPE_F64, 1), x);
  cr_expect(isnan(total));
}

/* Squares that float cannot hold. */
static void wide_range(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor x = trial_vector(t, 20, 0.0, 0.0);
  double total = 0.0;
  tensor_put(x, 3, 0, 0x1p100);
  sum_squares(&t->ops, tensor_1(&total, DTYPE_F64, 1), x);
  cr_expect_eq(total, 0x1p200);
  tensor_put(x, 3, 0, 0x1p-100);
  total = 0.0;
  sum_squares(&t->ops, tensor_1(&total, DTYPE_F64, 1), x);
  cr_expect_eq(total, 0x1p-200);
}

Test(optimiser, sum_of_squares_keeps_its_range) {
  once(not_a_number, NULL);
  once(wide_range, NULL);
}

/* ---- adamw ---- */

/* Four steps, factor and decay among them, against the contract's formula in double. In the type of the tensors each
 * step rounds m, v and p a few times; the update's size is `rate`, far below p's. */
static void steps(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  AdamW rule = {.rate = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-6, .decay = 0.1};
  Tensor p = tensor_of(t, s, 1.0, 1.0), m = tensor_of(t, s, 0.0, 0.0), v = tensor_of(t, s, 0.0, 0.0);
  Tensor gradient = tensor_of(t, s, 0.0, 0.0);
  double *ref_p = trial_copy(t, p), *ref_m = trial_copy(t, m), *ref_v = trial_copy(t, v);
  for (rule.step = 1; rule.step <= 4; rule.step++) {
    rule.factor = 0.5 + 0.1 * (double)rule.step;
    tensor_fill(gradient, 0.1, 1.0, rule.step);
    adamw(&t->ops, p, m, v, gradient, TENSOR_NONE, &rule);
    FOR_EACH(p, i, j) {
      size_t k = i * tensor_width(p) + j;
      double g = rule.factor * tensor_at(gradient, i, j);
      ref_m[k] = rule.beta1 * ref_m[k] + (1.0 - rule.beta1) * g;
      ref_v[k] = rule.beta2 * ref_v[k] + (1.0 - rule.beta2) * g * g;
      double m_hat = ref_m[k] / (1.0 - pow(rule.beta1, (double)rule.step));
      double v_hat = ref_v[k] / (1.0 - pow(rule.beta2, (double)rule.step));
      ref_p[k] -= rule.rate * (m_hat / (sqrt(v_hat) + rule.epsilon) + rule.decay * ref_p[k]);
    }
    expect_close(m, ref_m, rule.step, "m after %d steps", (int)rule.step);
    expect_close(v, ref_v, rule.step, "v after %d steps", (int)rule.step);
    expect_close(p, ref_p, rule.step, "p after %d steps", (int)rule.step);
  }
}

Test(optimiser, adamw_is_the_formula_written_out) {
  for (int i = 0; i < CASES; i++)
    everywhere(steps, &cases[i]);
}

/* The working copy is p rounded, with gaps between the rows of either; and p the same with it and without. */
typedef struct Copied {
  Sizes sizes;
  Dtype dtype;
  size_t gap; /* between the copy's rows */
} Copied;

static void copies(Trial *t, const void *sizes) {
  const Copied *c = sizes;
  const Sizes s = c->sizes;
  AdamW rule = {.rate = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-6, .decay = 0.1, .step = 1, .factor = 1.0};
  Tensor p[2], m[2], v[2], gradient = tensor_of(t, s, 0.1, 1.0);
  uint64_t seed = t->seed;
  for (int k = 0; k < 2; k++) {
    t->seed = seed;
    p[k] = tensor_of(t, s, 1.0, 3.0);
    m[k] = tensor_of(t, s, 0.0, 0.0);
    v[k] = tensor_of(t, s, 0.0, 0.0);
  }
  Tensor copy =
      trial_fenced(t, c->dtype == DTYPE_COUNT ? t->ops.real : c->dtype, p[0].rank, p[0].size, s.columns ? c->gap : 0);
  tensor_fill(copy, NAN, 0.0, 1);
  adamw(&t->ops, p[0], m[0], v[0], gradient, TENSOR_NONE, &rule);
  adamw(&t->ops, p[1], m[1], v[1], gradient, copy, &rule);
  FOR_EACH(p[0], i, j) {
    unsigned char rounded[8];
    cr_assert_eq(tensor_at(p[0], i, j), tensor_at(p[1], i, j));
    tensor_put(tensor_1(rounded, copy.dtype, 1), 0, 0, tensor_at(p[1], i, j));
    cr_assert_eq(tensor_at(copy, i, j), tensor_get(tensor_1(rounded, copy.dtype, 1), 0), "%s (%zu, %zu): %g, not %g",
                 dtype_name(copy.dtype), i, j, tensor_at(copy, i, j), tensor_at(p[1], i, j));
  }
}

Test(optimiser, the_working_copy_is_p_rounded) {
  static const Dtype dtypes[] = {DTYPE_BF16, DTYPE_F16, DTYPE_F32, DTYPE_COUNT /* the backend's own */};
  for (int i = 0; i < 2 * CASES; i++) /* each type with several sizes, some of them with gaps */
    everywhere(copies, &(Copied){cases[i % CASES], dtypes[i % 4], i % 3 == 0 ? 3 : 0});
}

/* A step of rate zero leaves p: halfway between two numbers of BF16 it goes to the even one; just above, up. */
static void to_even(Trial *t, const void *sizes) {
  static const double values[][2] = {{1.0 + 0x1p-8, 1.0},
                                     {1.0 + 3 * 0x1p-8, 1.0 + 0x1p-6},
                                     {1.0 + 0x1p-8 + 0x1p-20, 1.0 + 0x1p-7},
                                     {-1.0 - 0x1p-8, -1.0},
                                     {0x1.ffp127, INFINITY}};
  (void)sizes;
  AdamW rule = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 1, .factor = 1.0};
  Tensor p = trial_vector(t, 5, 0.0, 0.0), m = trial_vector(t, 5, 0.0, 0.0), v = trial_vector(t, 5, 0.0, 0.0);
  Tensor copy = trial_fenced(t, DTYPE_BF16, 1, (const size_t[]){5}, 0);
  for (size_t i = 0; i < 5; i++)
    tensor_put(p, i, 0, values[i][0]);
  adamw(&t->ops, p, m, v, trial_vector(t, 5, 0.0, 1.0), copy, &rule);
  for (size_t i = 0; i < 5; i++)
    cr_expect_eq(tensor_at(copy, i, 0), values[i][1], "%a: %a", values[i][0], tensor_at(copy, i, 0));
}

Test(optimiser, halves_go_to_the_even_number) {
  once(to_even, NULL);
}

/* A parameter of zero shows the update alone, relative to its own size. */
static void update_alone(Trial *t, const void *sizes) {
  (void)sizes;
  AdamW rule = {.rate = 1e-5, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 1, .factor = 1.0};
  Tensor p = trial_vector(t, 100, 0.0, 0.0), m = trial_vector(t, 100, 0.0, 0.0), v = trial_vector(t, 100, 0.0, 0.0);
  Tensor gradient = trial_vector(t, 100, 0.0, 1e-3);
  double *expected = trial_numbers(t, 100);
  for (size_t i = 0; i < 100; i++)
    expected[i] = -rule.rate * tensor_at(gradient, i, 0) / (fabs(tensor_at(gradient, i, 0)) + rule.epsilon);
  adamw(&t->ops, p, m, v, gradient, TENSOR_NONE, &rule);
  expect_close(p, expected, 1, "the first update");
}

static void spreads(Trial *t, const void *sizes) {
  (void)sizes;
  AdamW rule = {.rate = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-6, .step = 1, .factor = 1.0};
  Tensor p = trial_vector(t, 20, 1.0, 0.0), m = trial_vector(t, 20, 0.0, 0.0), v = trial_vector(t, 20, 0.0, 0.0);
  Tensor gradient = trial_vector(t, 20, 0.0, 1.0);
  tensor_put(gradient, 7, 0, NAN);
  tensor_put(gradient, 19, 0, INFINITY);
  adamw(&t->ops, p, m, v, gradient, TENSOR_NONE, &rule);
  for (size_t i = 0; i < 20; i++)
    cr_expect_eq(isfinite(tensor_at(p, i, 0)) != 0, i != 7 && i != 19, "%zu: %g", i, tensor_at(p, i, 0));
}

Test(optimiser, small_updates_and_what_is_not_a_number) {
  once(update_alone, NULL);
  once(spreads, NULL);
}

/* ---- parity: torch.optim.AdamW after torch.nn.utils.clip_grad_norm_ of both tensors ---- */

static void torch(Trial *t, const void *sizes) {
  (void)sizes;
  AdamW rule = {.rate = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .decay = 0.1};
  Tensor p[2] = {trial_fixture_tensor(t, "adamw_p0"), trial_fixture_tensor(t, "adamw_q0")}, m[2], v[2];
  Tensor gradients[2] = {trial_fixture_tensor(t, "adamw_gradients_p"), trial_fixture_tensor(t, "adamw_gradients_q")};
  double *norms = trial_fixture_numbers(t, "adamw_norms", NULL);
  for (int k = 0; k < 2; k++) {
    size_t count = tensor_count(p[k]);
    p[k] = tensor_1(p[k].data, p[k].dtype, count);
    m[k] = trial_vector(t, count, 0.0, 0.0);
    v[k] = trial_vector(t, count, 0.0, 0.0);
  }
  for (rule.step = 1; rule.step <= 6; rule.step++) {
    Tensor gradient[2];
    double total = 0.0;
    for (int k = 0; k < 2; k++) {
      Tensor row = tensor_rows(gradients[k], rule.step - 1, 1);
      gradient[k] = tensor_1(row.data, row.dtype, row.size[1]);
      sum_squares(&t->ops, tensor_1(&total, DTYPE_F64, 1), gradient[k]);
    }
    cr_expect(fabs(sqrt(total) - norms[rule.step - 1]) <= 1e-14 * norms[rule.step - 1], "%.17g, not %.17g", sqrt(total),
              norms[rule.step - 1]);
    rule.factor = fmin(1.0, 1.0 / (sqrt(total) + 1e-6));
    for (int k = 0; k < 2; k++)
      adamw(&t->ops, p[k], m[k], v[k], gradient[k], TENSOR_NONE, &rule);
  }
  expect_close(p[0], trial_fixture_numbers(t, "adamw_p6", NULL), 6, "torch's p");
  expect_close(p[1], trial_fixture_numbers(t, "adamw_q6", NULL), 6, "torch's q");
}

Test(optimiser, torch_agrees) {
  once(torch, NULL);
}

/* ---- mistakes ---- */

static Trial mistaken;
static float some[64];

static void wrong_shape(void) {
  adamw(&mistaken.ops, tensor_2(some, DTYPE_F32, 2, 3), tensor_2(some, DTYPE_F32, 2, 3),
        tensor_2(some, DTYPE_F32, 3, 2), tensor_2(some, DTYPE_F32, 2, 3), TENSOR_NONE, &(AdamW){.step = 1});
}

static void wrong_copy(void) {
  Tensor x = tensor_2(some, DTYPE_F32, 2, 3);
  adamw(&mistaken.ops, x, x, x, x, tensor_2(some, DTYPE_BF16, 3, 2), &(AdamW){.step = 1});
}

static void copy_of_integers(void) {
  Tensor x = tensor_1(some, DTYPE_F32, 2);
  adamw(&mistaken.ops, x, x, x, x, tensor_1(some, DTYPE_I32, 2), &(AdamW){.step = 1});
}

static void step_zero(void) {
  Tensor x = tensor_1(some, DTYPE_F32, 2);
  adamw(&mistaken.ops, x, x, x, x, TENSOR_NONE, &(AdamW){.step = 0});
}

static void wrong_total(void) {
  sum_squares(&mistaken.ops, tensor_1(some, DTYPE_F32, 1), tensor_1(some, DTYPE_F32, 2));
}

Test(optimiser, wrong_shapes_stop) {
  trial_open(&mistaken, DTYPE_F32, 1);
  expect_stop(wrong_shape, "adamw: v is F32 (3, 2)", "should be F32 (2, 3)");
  expect_stop(wrong_copy, "adamw: copy is BF16 (3, 2)", "should be BF16 (2, 3)");
  expect_stop(copy_of_integers, "adamw: copy is I32 (2)", "should be F32 (2)");
  expect_stop(step_zero, "adamw", "steps count from 1");
  expect_stop(wrong_total, "sum_squares: total is F32 (1)", "should be F64 (1)");
  trial_close(&mistaken);
}
