/* test_ops_elementwise.c: sums, factors, zeros, noise and activation functions against their definitions. */
#include "operations.h"

typedef struct Sizes {
  size_t rows, columns;
  bool gap; /* between rows */
} Sizes;

static const Sizes cases[] = {
    {1, 1, true}, {0, 5, true}, {3, 0, true}, {5, 7, true}, {5, 7, false}, {7, 4099, true}, {9, 4001, false},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static Tensor tensor_of(Trial *t, Sizes s, double centre, double spread) {
  return s.gap ? trial_view(t, s.rows, s.columns, centre, spread)
               : trial_matrix(t, t->ops.real, s.rows, s.columns, centre, spread);
}

/* ---- add, scale, zero ---- */

static void simple(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  Tensor y = tensor_of(t, s, 0.5, 1.0), x = trial_view(t, s.rows, s.columns, -1.0, 2.0);
  Tensor z = tensor_of(t, s, 0.5, 1.0), same = tensor_of(t, s, 1.0, 1.0);
  double *sum = trial_copy(t, y), *product = trial_copy(t, z), *more = trial_copy(t, same);
  FOR_EACH(x, i, j) {
    sum[i * s.columns + j] += tensor_at(x, i, j);
    product[i * s.columns + j] *= -0.3;
    more[i * s.columns + j] += tensor_at(z, i, j);
  }
  ops_add(&t->ops, y, x);
  ops_add(&t->ops, same, z);
  ops_scale(&t->ops, z, -0.3);
  expect_within_units(y, sum, 1, "sum");
  expect_within_units(same, more, 1, "sum without gaps");
  expect_within_units(z, product, 2, "product");
}

static void vectors(Trial *t, const void *sizes) {
  size_t count = *(const size_t *)sizes;
  Tensor y = trial_vector(t, count, 0.5, 1.0), x = trial_vector(t, count, 0.5, 1.0);
  double *sum = trial_copy(t, y);
  for (size_t i = 0; i < count; i++)
    sum[i] = 3.0 * (sum[i] + tensor_at(x, i, 0));
  ops_add(&t->ops, y, x);
  ops_scale(&t->ops, y, 3.0);
  expect_within_units(y, sum, 2, "a vector of %zu", count);
}

Test(elementwise, sums_and_products) {
  for (int i = 0; i < CASES; i++)
    everywhere(simple, &cases[i]);
  for (int i = 0; i < 3; i++)
    everywhere(vectors, &(const size_t[]){0, 1, 40001}[i]);
}

static void zeros(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  const Dtype types[] = {DTYPE_F32, DTYPE_F64, DTYPE_BF16, DTYPE_I32, DTYPE_I64, DTYPE_U8};
  for (int k = 0; k < 6; k++) {
    Tensor y = trial_fenced(t, types[k], 2, (const size_t[]){s.rows, s.columns}, s.gap ? 3 : 0);
    ops_zero(&t->ops, y);
    FOR_EACH(y, i, j)
    cr_expect(tensor_at(y, i, j) == 0.0, "%s %zu %zu", dtype_name(types[k]), i, j);
  }
  Tensor cube = trial_cube(t, s.rows, 3, s.columns, 1.0, 1.0), one = trial_vector(t, 1, 1.0, 0.0);
  ops_zero(&t->ops, cube);
  FOR_EACH(cube, i, j)
  cr_expect(tensor_at(cube, i, j) == 0.0);
  ops_zero(&t->ops, tensor_make(one.data, one.dtype, 0, NULL));
  cr_expect_eq(tensor_at(one, 0, 0), 0.0, "a single number");
  ops_zero(&t->ops, tensor_2(NULL, DTYPE_F32, 0, 5));
}

Test(elementwise, zeros_of_every_type) {
  for (int i = 0; i < CASES; i++)
    once(zeros, &cases[i]);
}

/* ---- noise ---- */

static void noise(Trial *t, const void *sizes) {
  const size_t *rows = sizes;
  const uint64_t first = 12345678901;
  Rng rng = rng_make(17, RNG_TEST, 3);
  Tensor y = trial_matrix(t, t->ops.real, *rows, 3, NAN, 0.0), z = trial_vector(t, *rows, NAN, 0.0);
  double *expected = trial_numbers(t, *rows * 3), *half = trial_numbers(t, *rows);
  for (size_t k = 0; k < *rows * 3; k++)
    expected[k] = 0.1 * rng_normal(rng, first + k);
  for (size_t k = 0; k < *rows; k++)
    half[k] = -rng_normal(rng, k);
  normal_fill(&t->ops, y, rng, first, 0.1);
  normal_fill(&t->ops, z, rng, 0, -1.0);
  expect_within_units(y, expected, 1, "noise");
  expect_within_units(z, half, 1, "noise of a vector");
}

Test(elementwise, noise_is_the_stream) {
  for (int i = 0; i < 4; i++)
    everywhere(noise, &(const size_t[]){0, 1, 77, 3001}[i]);
}

/* ---- activation functions ---- */

static double normal_below(double x) {
  return 0.5 * erfc(-M_SQRT1_2 * x);
}

static double logistic(double x) {
  return 1.0 / (1.0 + exp(-x));
}

static double activation(double x, Activation kind) {
  return x * (kind == ACTIVATION_GELU ? normal_below(x) : logistic(1.702 * x));
}

static double slope_of(double x, Activation kind) {
  double s = logistic(1.702 * x);
  return kind == ACTIVATION_GELU ? normal_below(x) + x * exp(-0.5 * x * x) / sqrt(2.0 * M_PI)
                                 : s + 1.702 * x * s * logistic(-1.702 * x);
}

static void activations(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  for (Activation kind = 0; kind < ACTIVATION_COUNT; kind++) {
    Tensor x = tensor_of(t, s, -0.4, 2.0), y = tensor_of(t, s, NAN, 0.0);
    Tensor dx = tensor_of(t, s, 1.0, 1.0), dy = tensor_of(t, s, 0.3, 1.0), set = tensor_of(t, s, NAN, 0.0);
    double *to_y = trial_numbers(t, tensor_count(x)), *to_dx = trial_copy(t, dx),
           *alone = trial_numbers(t, tensor_count(x));
    FOR_EACH(x, i, j) {
      size_t k = i * s.columns + j;
      to_y[k] = activation(tensor_at(x, i, j), kind);
      to_dx[k] += alone[k] = tensor_at(dy, i, j) * slope_of(tensor_at(x, i, j), kind);
    }
    activation_fwd(&t->ops, y, x, kind);
    activation_bwd(&t->ops, dx, dy, x, kind, WRITE_ADD);
    activation_bwd(&t->ops, set, dy, x, kind, WRITE_SET);
    expect_close(y, to_y, 1, "activation %d", kind);
    expect_close(dx, to_dx, 1, "gradient of activation %d", kind);
    expect_close(set, alone, 1, "gradient of activation %d, set", kind);
  }
}

static void swiglus(Trial *t, const void *sizes) {
  const Sizes s = *(const Sizes *)sizes;
  Tensor x = trial_view(t, s.rows, 2 * s.columns, 0.3, 2.0), dx = trial_view(t, s.rows, 2 * s.columns, 1.0, 1.0);
  Tensor y = tensor_of(t, s, NAN, 0.0), dy = tensor_of(t, s, 0.3, 1.0);
  Tensor set = trial_view(t, s.rows, 2 * s.columns, NAN, 0.0);
  double *to_y = trial_numbers(t, tensor_count(y)), *to_dx = trial_copy(t, dx),
         *alone = trial_numbers(t, tensor_count(x));
  FOR_EACH(y, i, j) {
    double gate = tensor_at(x, i, j), up = tensor_at(x, i, s.columns + j), g = tensor_at(dy, i, j);
    size_t k = i * 2 * s.columns + j;
    to_y[i * s.columns + j] = gate * logistic(gate) * up;
    to_dx[k] += alone[k] = g * up * logistic(gate) * (1.0 + gate * logistic(-gate));
    to_dx[k + s.columns] += alone[k + s.columns] = g * gate * logistic(gate);
  }
  swiglu_fwd(&t->ops, y, x);
  swiglu_bwd(&t->ops, dx, dy, x, WRITE_ADD);
  swiglu_bwd(&t->ops, set, dy, x, WRITE_SET);
  expect_close(y, to_y, 1, "swiglu");
  expect_close(dx, to_dx, 1, "gradient of swiglu");
  expect_close(set, alone, 1, "gradient of swiglu, set");
}

Test(elementwise, activations_are_their_formulas) {
  for (int i = 0; i < CASES; i++)
    everywhere(activations, &cases[i]);
}

Test(elementwise, swiglu_is_its_formula) {
  for (int i = 0; i < CASES; i++)
    everywhere(swiglus, &cases[i]);
}

/* GELU over its range, each number relative to its own size, in units u: 4 for x >= 0; 8 for x > -1, where 1/2 + x P
 * cancels to 0.16; 16 in the tail, where the error of t = 1/(1 + a/4) grows threefold and bell, t, q and their products
 * round. Quick-GELU: rounding 1.702 x, once in the constant and once in the product, counts |1.702 x| times. */
static void range(Trial *t, const void *sizes) {
  (void)sizes;
  enum { POINTS = 40001 };
  double unit = dtype_unit(t->ops.real);
  Tensor x = trial_vector(t, POINTS, 0.0, 0.0), y = trial_vector(t, POINTS, NAN, 0.0);
  for (size_t i = 0; i < POINTS; i++)
    tensor_put(x, i, 0, -12.0 + 24.0 * (double)i / (POINTS - 1));
  Tensor flat_x = tensor_2(x.data, x.dtype, 1, POINTS), flat_y = tensor_2(y.data, y.dtype, 1, POINTS);
  for (Activation kind = 0; kind < ACTIVATION_COUNT; kind++) {
    double worst[3] = {0.0};
    activation_fwd(&t->ops, flat_y, flat_x, kind);
    for (size_t i = 0; i < POINTS; i++) {
      double at = tensor_at(x, i, 0), ref = activation(at, kind), error = fabs(tensor_at(y, i, 0) - ref);
      double allowed = kind == ACTIVATION_GELU ? (at >= 0.0   ? 4.0
                                                  : at > -1.0 ? 8.0
                                                              : 16.0)
                                               : 8.0 + 2.0 * fabs(1.702 * at);
      if (t->ops.real == DTYPE_F64 && at < -1.0)
        allowed += at * at; /* the C library's erfc and the rounding of its argument */
      cr_expect(error <= allowed * unit * fabs(ref), "kind %d at %g: %.17g, not %.17g: %.2f units", kind, at,
                tensor_at(y, i, 0), ref, error / (unit * fabs(ref)));
      if (ref != 0.0)
        worst[(at < 0.0) + (at <= -1.0)] = fmax(worst[(at < 0.0) + (at <= -1.0)], error / (unit * fabs(ref)));
    }
    if (getenv("SEESAW_ERRORS"))
      fprintf(stderr, "%s, kind %d: %.2f units, %.2f below 0, %.2f below -1\n", dtype_name(t->ops.real), kind, worst[0],
              worst[1], worst[2]);
  }
}

static void ends(Trial *t, const void *sizes) {
  (void)sizes;
  const double at[] = {0.0, -0.0, INFINITY, NAN, 1e30, -1e30, 50.0, -50.0, 1e-30};
  Tensor x = trial_matrix(t, t->ops.real, 1, 9, 0.0, 0.0), y = trial_matrix(t, t->ops.real, 1, 9, NAN, 0.0);
  for (size_t j = 0; j < 9; j++)
    tensor_put(x, 0, j, at[j]);
  for (Activation kind = 0; kind < ACTIVATION_COUNT; kind++) {
    const double expected[] = {0.0, 0.0, INFINITY, NAN, 1e30, 0.0, 50.0, 0.0, 0.5e-30};
    activation_fwd(&t->ops, y, x, kind);
    for (size_t j = 0; j < 9; j++) {
      double is = tensor_at(y, 0, j), error = fabs(is - expected[j]);
      cr_expect(is == expected[j] || (isnan(is) && isnan(expected[j])) || error <= 1e-6 * fabs(expected[j]) ||
                    error < 1e-30,
                "kind %d of %g: %g", kind, at[j], is);
    }
  }
}

Test(elementwise, activations_over_their_range) {
  once(range, NULL);
  once(ends, NULL);
}

/* ---- gradients ---- */

typedef struct Unit {
  Tensor y, x, dy, dx;
  Activation kind;
  Write write;
} Unit;

static double activation_loss(Trial *t, void *context) {
  Unit *u = context;
  activation_fwd(&t->ops, u->y, u->x, u->kind);
  return weighted_sum(u->y, u->dy);
}

static void activation_gradient(Trial *t, void *context) {
  Unit *u = context;
  activation_bwd(&t->ops, u->dx, u->dy, u->x, u->kind, u->write);
}

static double swiglu_loss(Trial *t, void *context) {
  Unit *u = context;
  swiglu_fwd(&t->ops, u->y, u->x);
  return weighted_sum(u->y, u->dy);
}

static void swiglu_gradient(Trial *t, void *context) {
  Unit *u = context;
  swiglu_bwd(&t->ops, u->dx, u->dy, u->x, u->write);
}

static void gradients(Trial *t, const void *sizes) {
  (void)sizes;
  Unit u = {.y = trial_view(t, 5, 7, NAN, 0.0),
            .x = trial_view(t, 5, 7, -0.4, 2.0),
            .dy = trial_view(t, 5, 7, 0.3, 1.0),
            .dx = trial_view(t, 5, 7, 0.0, 0.0)};
  for (u.kind = 0; u.kind < ACTIVATION_COUNT; u.kind++) {
    u.write = WRITE_ADD;
    expect_adds(t, u.dx, 1, activation_gradient, &u, "dx");
    u.write = WRITE_SET;
    expect_sets(t, u.dx, activation_gradient, &u, "dx");
    expect_gradient(t, u.dx, u.x, 1e-3, activation_loss, &u, "activation %d", u.kind);
  }
  Unit g = {.y = trial_view(t, 5, 7, NAN, 0.0),
            .x = trial_view(t, 5, 14, 0.3, 2.0),
            .dy = trial_view(t, 5, 7, 0.3, 1.0),
            .dx = trial_view(t, 5, 14, 0.0, 0.0),
            .write = WRITE_ADD};
  expect_adds(t, g.dx, 1, swiglu_gradient, &g, "dx");
  g.write = WRITE_SET;
  expect_sets(t, g.dx, swiglu_gradient, &g, "dx");
  expect_gradient(t, g.dx, g.x, 1e-3, swiglu_loss, &g, "swiglu");
}

Test(elementwise, gradients_are_slopes_and_are_added_or_set) {
  everywhere(gradients, NULL);
}

/* ---- parity ---- */

static void compare(Trial *t, const char *name, Tensor y, Tensor dx) {
  char part[64];
  snprintf(part, sizeof part, "%s_y", name);
  expect_close(y, trial_fixture_numbers(t, part, NULL), 1, "torch's %s", part);
  snprintf(part, sizeof part, "%s_dx", name);
  expect_close(dx, trial_fixture_numbers(t, part, NULL), 1, "torch's %s", part);
}

static void torch(Trial *t, const void *sizes) {
  (void)sizes;
  const char *names[] = {"gelu", "quick_gelu"};
  for (Activation kind = 0; kind < ACTIVATION_COUNT; kind++) {
    char part[64];
    snprintf(part, sizeof part, "%s_x", names[kind]);
    Tensor x = trial_fixture_tensor(t, part);
    snprintf(part, sizeof part, "%s_dy", names[kind]);
    Tensor dy = trial_fixture_tensor(t, part);
    Tensor y = trial_view(t, 5, 9, NAN, 0.0), dx = trial_view(t, 5, 9, NAN, 0.0);
    activation_fwd(&t->ops, y, x, kind);
    activation_bwd(&t->ops, dx, dy, x, kind, WRITE_SET);
    compare(t, names[kind], y, dx);
  }
  Tensor x = trial_fixture_tensor(t, "swiglu_x"), dy = trial_fixture_tensor(t, "swiglu_dy");
  Tensor y = trial_view(t, 5, 7, NAN, 0.0), dx = trial_view(t, 5, 14, NAN, 0.0);
  swiglu_fwd(&t->ops, y, x);
  swiglu_bwd(&t->ops, dx, dy, x, WRITE_SET);
  compare(t, "swiglu", y, dx);
}

Test(elementwise, torch_agrees) {
  once(torch, NULL);
}

/* ---- mistakes ---- */

static Trial mistaken;
static float some[64];

static Tensor of(size_t rows, size_t columns) {
  return tensor_2(some, DTYPE_F32, rows, columns);
}

static void wrong_sum(void) {
  ops_add(&mistaken.ops, of(2, 3), of(3, 2));
}

static void wrong_type(void) {
  ops_scale(&mistaken.ops, tensor_2(some, DTYPE_BF16, 2, 3), 2.0);
}

static void no_data(void) {
  ops_zero(&mistaken.ops, tensor_1(NULL, DTYPE_F32, 3));
}

static void gap(void) {
  normal_fill(&mistaken.ops, tensor_columns(of(2, 5), 0, 3), rng_make(1, RNG_TEST, 0), 0, 1.0);
}

static void wrong_activation(void) {
  activation_bwd(&mistaken.ops, of(2, 3), of(2, 4), of(2, 3), ACTIVATION_GELU, WRITE_SET);
}

static void not_twice_as_wide(void) {
  swiglu_fwd(&mistaken.ops, of(2, 3), of(2, 5));
}

Test(elementwise, wrong_shapes_stop) {
  trial_open(&mistaken, DTYPE_F32, 1);
  expect_stop(wrong_sum, "add: y is F32 (2, 3)", "should be F32 (3, 2)");
  expect_stop(wrong_type, "scale: y is BF16 (2, 3)", "should be F32 (2, 3)");
  expect_stop(no_data, "zero", "y has no data");
  expect_stop(gap, "normal_fill", "y is not contiguous");
  expect_stop(wrong_activation, "activation_bwd: dy is F32 (2, 4)", "should be F32 (2, 3)");
  expect_stop(not_twice_as_wide, "swiglu_fwd: x is F32 (2, 5)", "should be F32 (2, 6)");
  trial_close(&mistaken);
}
