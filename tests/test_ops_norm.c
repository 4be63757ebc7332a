/* test_ops_norm.c: layernorm and rmsnorm against their definitions in double, their gradients, and PyTorch.
 *
 * Off centre, a float of mean has an error of u |mean|: backward, which is given that float, may be off by |mean| rstd
 * more. */
#include "operations.h"

typedef struct Case {
  size_t rows, columns;
  double centre, epsilon;
  bool layer; /* or rms */
} Case;

typedef struct Set {
  const Case *c;
  Tensor x, g, b, y, mean, rstd, dy, dx, dg, db;
} Set;

static Set make(Trial *t, const Case *c) {
  Set s = {.c = c};
  s.x = trial_view(t, c->rows, c->columns, c->centre, 1.0);
  s.g = trial_vector(t, c->columns, 1.0, 0.5);
  s.b = trial_vector(t, c->columns, 0.2, 0.5);
  s.y = trial_view(t, c->rows, c->columns, NAN, 0.0);
  s.mean = trial_vector(t, c->rows, NAN, 0.0);
  s.rstd = trial_vector(t, c->rows, NAN, 0.0);
  s.dy = trial_view(t, c->rows, c->columns, 0.3, 1.0);
  s.dx = trial_view(t, c->rows, c->columns, 0.0, 0.0);
  s.dg = trial_vector(t, c->columns, 0.0, 0.0);
  s.db = trial_vector(t, c->columns, 0.0, 0.0);
  return s;
}

static void forward(Trial *t, Set *s) {
  if (s->c->layer)
    layernorm_fwd(&t->ops, s->y, s->mean, s->rstd, s->x, s->g, s->b, s->c->epsilon);
  else
    rmsnorm_fwd(&t->ops, s->y, s->rstd, s->x, s->g, s->c->epsilon);
}

static void backward(Trial *t, void *context) {
  Set *s = context;
  if (s->c->layer)
    layernorm_bwd(&t->ops, s->dx, s->dg, s->db, s->dy, s->x, s->g, s->mean, s->rstd);
  else
    rmsnorm_bwd(&t->ops, s->dx, s->dg, s->dy, s->x, s->g, s->rstd);
}

static double weighted(Trial *t, void *context) {
  Set *s = context;
  forward(t, s);
  return weighted_sum(s->y, s->dy);
}

static const Case cases[] = {{5, 7, 0.5, 1e-5, true},      {5, 7, 0.5, 1e-5, false},      {1, 1, 2.0, 1e-2, true},
                             {1, 1, 2.0, 1e-2, false},     {3, 300, 30.0, 1e-6, true},    {3, 300, 30.0, 1e-6, false},
                             {131, 133, -0.2, 1e-5, true}, {131, 133, -0.2, 1e-5, false}, {0, 9, 0.0, 1e-5, true},
                             {0, 9, 0.0, 1e-5, false}};
enum { CASES = sizeof cases / sizeof *cases };

static void against_definition(Trial *t, const void *sizes) {
  const Case *c = sizes;
  Set s = make(t, c);
  size_t n = c->columns;
  double *y = trial_numbers(t, c->rows * n), *mean = trial_numbers(t, c->rows), *rstd = trial_numbers(t, c->rows);
  double *dx = trial_numbers(t, c->rows * n), *dg = trial_numbers(t, n), *db = trial_numbers(t, n);
  double parts = 0.0, whole = 0.0; /* squares of what dx is the difference of, and of dx */
  for (size_t i = 0; i < c->rows; i++) {
    long double sum = 0.0L, square = 0.0L, h_mean = 0.0L, hx_mean = 0.0L;
    for (size_t j = 0; j < n && c->layer; j++)
      sum += tensor_at(s.x, i, j);
    mean[i] = (double)(sum / n);
    for (size_t j = 0; j < n; j++)
      square += (tensor_at(s.x, i, j) - sum / n) * (tensor_at(s.x, i, j) - sum / n);
    rstd[i] = (double)(1.0L / sqrtl(square / n + c->epsilon));
    for (size_t j = 0; j < n; j++) {
      double unit = (double)((tensor_at(s.x, i, j) - sum / n) * rstd[i]),
             h = tensor_at(s.dy, i, j) * tensor_at(s.g, j, 0);
      y[i * n + j] = unit * tensor_at(s.g, j, 0) + (c->layer ? tensor_at(s.b, j, 0) : 0.0);
      dg[j] += tensor_at(s.dy, i, j) * unit;
      db[j] += tensor_at(s.dy, i, j);
      h_mean += c->layer ? (long double)h / n : 0.0L;
      hx_mean += (long double)h * unit / n;
    }
    for (size_t j = 0; j < n; j++) {
      double h = tensor_at(s.dy, i, j) * tensor_at(s.g, j, 0);
      long double unit = (tensor_at(s.x, i, j) - sum / n) * rstd[i];
      dx[i * n + j] = (double)(rstd[i] * (h - h_mean - unit * hx_mean));
      parts += pow(rstd[i] * (fabs(h) + fabs((double)h_mean) + fabs((double)(unit * hx_mean))), 2);
    }
  }
  double off = c->layer ? fabs(c->centre) : 0.0;
  forward(t, &s);
  backward(t, &s);
  expect_close(s.y, y, n, "y");
  expect_close(s.rstd, rstd, n, "rstd");
  for (size_t k = 0; k < c->rows * n; k++)
    whole += dx[k] * dx[k];
  if (whole > 0.0) /* of one column layernorm is constant, and dx is nothing but rounding */
    expect_within_units(s.dx, dx, (8.0 * sqrt((double)n) + off) * sqrt(parts / whole), "dx");
  expect_within_units(s.dg, dg, 8.0 * sqrt((double)c->rows) + off * sqrt((double)c->rows), "dg");
  if (c->layer) {
    expect_close(s.mean, mean, n, "mean");
    expect_close(s.db, db, c->rows, "db");
  }
}

Test(norm, is_its_definition) {
  for (int i = 0; i < CASES; i++)
    everywhere(against_definition, &cases[i]);
}

static void gradients(Trial *t, const void *sizes) {
  const Case *c = sizes;
  Set s = make(t, c);
  forward(t, &s);
  expect_adds(t, s.dx, c->columns, backward, &s, "dx");
  expect_adds(t, s.dg, c->rows, backward, &s, "dg");
  if (c->layer)
    expect_adds(t, s.db, c->rows, backward, &s, "db");
  tensor_fill(s.dx, 0.0, 0.0, 1);
  tensor_fill(s.dg, 0.0, 0.0, 1);
  tensor_fill(s.db, 0.0, 0.0, 1);
  backward(t, &s);
  expect_gradient(t, s.dx, s.x, 1e-3, weighted, &s, "dx");
  expect_gradient(t, s.dg, s.g, 1e-3, weighted, &s, "dg");
  if (c->layer)
    expect_gradient(t, s.db, s.b, 1e-3, weighted, &s, "db");
}

Test(norm, gradients_are_slopes_and_add) {
  for (int i = 0; i < 6; i++)
    if (cases[i].columns > 1) /* of one column layernorm is constant */
      everywhere(gradients, &cases[i]);
}

/* Gradients that are not wanted leave the others as they are. */
static void absent(Trial *t, const void *sizes) {
  const Case *c = sizes;
  Set s = make(t, c);
  forward(t, &s);
  backward(t, &s);
  double *dx = trial_copy(t, s.dx), *dg = trial_copy(t, s.dg), *db = trial_copy(t, s.db);
  for (int which = 0; which < 3; which++) {
    Set part = s;
    tensor_fill(s.dx, 0.0, 0.0, 1);
    tensor_fill(s.dg, 0.0, 0.0, 1);
    tensor_fill(s.db, 0.0, 0.0, 1);
    part.dx = which == 0 ? s.dx : TENSOR_NONE;
    part.dg = which == 1 ? s.dg : TENSOR_NONE;
    part.db = which == 2 ? s.db : TENSOR_NONE;
    backward(t, &part);
    if (which == 0)
      expect_within_units(s.dx, dx, 0.0, "dx alone");
    if (which == 1)
      expect_within_units(s.dg, dg, 0.0, "dg alone");
    if (which == 2)
      expect_within_units(s.db, db, 0.0, "db alone");
  }
}

Test(norm, gradients_may_be_absent) {
  once(absent, &cases[0]);
  once(absent, &cases[1]);
}

/* Far off centre, layernorm still sees what varies: here by thousandths about ten thousand. */
static void off_centre(Trial *t, const void *sizes) {
  static const Case c = {2, 64, 0.0, 0.0, true};
  (void)sizes;
  Set s = make(t, &c), far = make(t, &c);
  FOR_EACH(s.x, i, j) {
    double small = (double)((i * 64 + j) * 37 % 101) / 64.0;
    tensor_put(s.x, i, j, small);
    tensor_put(far.x, i, j, small + 10000.0); /* exact in float */
    tensor_put(far.g, j, 0, tensor_at(s.g, j, 0));
    tensor_put(far.b, j, 0, tensor_at(s.b, j, 0));
  }
  forward(t, &s);
  forward(t, &far);
  expect_close(far.y, trial_copy(t, s.y), t->ops.real == DTYPE_F64 ? 1 << 20 : 1, "off centre");
}

Test(norm, centres_before_it_squares) {
  once(off_centre, NULL);
}

static void poisoned(Trial *t, const void *sizes) {
  Set s = make(t, sizes);
  tensor_put(s.x, 1, 2, NAN);
  tensor_put(s.x, 3, 0, INFINITY);
  forward(t, &s);
  backward(t, &s);
  FOR_EACH(s.y, i, j) {
    cr_expect_eq(isnan(tensor_at(s.y, i, j)) != 0, i == 1 || (i == 3 && (s.c->layer || j == 0)), "y %zu %zu", i, j);
    cr_expect_eq(isfinite(tensor_at(s.dx, i, j)) != 0, i != 1 && i != 3, "dx %zu %zu", i, j);
  }
  FOR_EACH(s.dg, i, j)
  cr_expect(isnan(tensor_at(s.dg, i, j)));
}

Test(norm, what_is_not_finite_shows) {
  once(poisoned, &cases[0]);
  once(poisoned, &cases[1]);
}

static void as_torch(Trial *t, const void *sizes) {
  static const Case c[] = {{5, 37, 0.2, 1e-5, true}, {5, 37, 0.2, 1e-5, false}};
  (void)sizes;
  for (int k = 0; k < 2; k++) {
    const char *name = k == 0 ? "layernorm" : "rmsnorm";
    static char of[6][32];
    static const char *part[] = {"x", "g", "b", "dy", "dx", "dg"};
    Set s = make(t, &c[k]);
    for (int i = 0; i < 6; i++)
      snprintf(of[i], sizeof of[i], "%s_%s", name, part[i]);
    s.x = trial_fixture_tensor(t, of[0]);
    s.g = trial_fixture_tensor(t, of[1]);
    s.b = trial_fixture_tensor(t, of[2]);
    s.dy = trial_fixture_tensor(t, of[3]);
    forward(t, &s);
    backward(t, &s);
    expect_close(s.y, trial_fixture_numbers(t, k == 0 ? "layernorm_y" : "rmsnorm_y", NULL), 37, "%s y", name);
    expect_close(s.dx, trial_fixture_numbers(t, of[4], NULL), 37, "%s dx", name);
    expect_close(s.dg, trial_fixture_numbers(t, of[5], NULL), 37, "%s dg", name);
    if (k == 0)
      expect_close(s.db, trial_fixture_numbers(t, "layernorm_db", NULL), 5, "db");
  }
}

Test(norm, is_as_in_torch) {
  everywhere(as_torch, NULL);
}

static void wrong_gain(void) {
  static const Case c = {2, 3, 0.0, 0.0, true};
  Trial t;
  trial_open(&t, DTYPE_F64, 1);
  Set s = make(&t, &c);
  s.g = trial_vector(&t, 4, 1.0, 0.0);
  forward(&t, &s);
}

Test(norm, mistakes_stop) {
  expect_stop(wrong_gain, "layernorm_fwd: g is F64 (4)", "should be F64 (3)");
}
