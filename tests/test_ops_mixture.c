/* test_ops_mixture.c: noisy gates and the mixture of experts against their definitions, their gradients, and PyTorch.
 */
#include "operations.h"

/* ---- gates ---- */

typedef struct Gate {
  Tensor z, clean, raw, noise, dz, dclean, draw;
} Gate;

static Gate make_gate(Trial *t, size_t rows, size_t experts) {
  return (Gate){.z = trial_view(t, rows, experts, NAN, 0.0),
                .clean = trial_view(t, rows, experts, 0.2, 1.0),
                .raw = trial_view(t, rows, experts, -0.3, 3.0),
                .noise = trial_view(t, rows, experts, 0.1, 1.0),
                .dz = trial_view(t, rows, experts, 0.3, 1.0),
                .dclean = trial_view(t, rows, experts, 0.0, 0.0),
                .draw = trial_view(t, rows, experts, 0.0, 0.0)};
}

static void gate_back(Trial *t, void *context) {
  Gate *g = context;
  noisy_gate_bwd(&t->ops, g->dclean, g->draw, g->dz, g->raw, g->noise);
}

static double gated(Trial *t, void *context) {
  Gate *g = context;
  noisy_gate_fwd(&t->ops, g->z, g->clean, g->raw, g->noise, 0.01);
  return weighted_sum(g->z, g->dz);
}

static void gates(Trial *t, const void *sizes) {
  const size_t *size = sizes;
  Gate g = make_gate(t, size[0], size[1]);
  double *z = trial_numbers(t, size[0] * size[1]);
  FOR_EACH(g.z, i, j)
  z[i * size[1] + j] =
      tensor_at(g.clean, i, j) + tensor_at(g.noise, i, j) * (log1p(exp(tensor_at(g.raw, i, j))) + 0.01);
  gated(t, &g);
  expect_close(g.z, z, 3, "z");
  expect_adds(t, g.dclean, 1, gate_back, &g, "dclean");
  expect_adds(t, g.draw, 3, gate_back, &g, "draw");
  tensor_fill(g.dclean, 0.0, 0.0, 1);
  tensor_fill(g.draw, 0.0, 0.0, 1);
  gate_back(t, &g);
  expect_gradient(t, g.dclean, g.clean, 1e-3, gated, &g, "dclean");
  expect_gradient(t, g.draw, g.raw, 1e-3, gated, &g, "draw");
}

Test(gate, is_its_definition_and_gradients_are_slopes) {
  static const size_t cases[][2] = {{7, 2}, {1, 1}, {0, 3}, {5, 5}};
  for (int i = 0; i < 4; i++)
    everywhere(gates, cases[i]);
}

/* Without noise, z = clean to the byte and raw gets nothing. */
static void quiet(Trial *t, const void *sizes) {
  (void)sizes;
  Gate g = make_gate(t, 4, 3);
  g.noise = TENSOR_NONE;
  tensor_put(g.raw, 0, 0, INFINITY);
  gated(t, &g);
  gate_back(t, &g);
  expect_within_units(g.z, trial_copy(t, g.clean), 0.0, "z");
  expect_within_units(g.dclean, trial_copy(t, g.dz), 0.0, "dclean");
  FOR_EACH(g.draw, i, j)
  cr_expect_eq(tensor_at(g.draw, i, j), 0.0);
}

Test(gate, noise_may_be_absent) {
  everywhere(quiet, NULL);
}

/* softplus and its slope from -700 to 700: nothing overflows, and what is small keeps its digits. */
static void extremes(Trial *t, const void *sizes) {
  static const double raw[] = {-700, -80, -40, -20, -1e-3, 0, 1e-3, 20, 40, 80, 700, 1e30};
  (void)sizes;
  Gate g = make_gate(t, 12, 1);
  double z[12], slope[12];
  for (size_t i = 0; i < 12; i++) {
    tensor_put(g.clean, i, 0, 0.0);
    tensor_put(g.raw, i, 0, raw[i]);
    tensor_put(g.noise, i, 0, 1.0);
    tensor_put(g.dz, i, 0, 1.0);
    double x = tensor_at(g.raw, i, 0);
    z[i] = x > 30.0 ? x : log1p(exp(x));
    slope[i] = 1.0 / (1.0 + exp(-x));
  }
  noisy_gate_fwd(&t->ops, g.z, g.clean, g.raw, g.noise, 0.0);
  gate_back(t, &g);
  double unit = dtype_unit(t->ops.real), least = t->ops.real == DTYPE_F64 ? 0x1p-1074 : 0x1p-149;
  for (size_t i = 0; i < 12; i++) { /* each to its own size, not to that of the largest */
    cr_expect(fabs(tensor_at(g.z, i, 0) - z[i]) <= 8 * unit * z[i] + least, "softplus(%g)", raw[i]);
    cr_expect(fabs(tensor_at(g.draw, i, 0) - slope[i]) <= 8 * unit * slope[i] + least, "its slope at %g", raw[i]);
  }
  tensor_put(g.raw, 3, 0, NAN);
  noisy_gate_fwd(&t->ops, g.z, g.clean, g.raw, g.noise, 0.0);
  cr_expect(isnan(tensor_at(g.z, 3, 0)));
}

Test(gate, softplus_neither_overflows_nor_vanishes) {
  once(extremes, NULL);
}

/* Of a gate whose raw is clean, dclean and draw may be the same. */
static void one_gradient(Trial *t, const void *sizes) {
  (void)sizes;
  Gate g = make_gate(t, 6, 2);
  gate_back(t, &g);
  double *sum = trial_copy(t, g.dclean);
  FOR_EACH(g.draw, i, j)
  sum[i * 2 + j] += tensor_at(g.draw, i, j);
  tensor_fill(g.dclean, 0.0, 0.0, 1);
  g.draw = g.dclean;
  gate_back(t, &g);
  expect_close(g.dclean, sum, 4, "the sum of both");
}

Test(gate, raw_may_be_clean) {
  everywhere(one_gradient, NULL);
}

/* ---- mixture ---- */

typedef struct Mix {
  size_t rows, experts, columns;
  double epsilon;
} Mix;

typedef struct Set {
  const Mix *c;
  Tensor z, s, h, y, dy, dz, dh;
  Write write; /* of dz and dh, which start as NaN: set, unless a test says otherwise */
} Set;

static Set make(Trial *t, const Mix *c) {
  return (Set){.c = c,
               .z = trial_view(t, c->rows, c->experts, 0.2, 2.0),
               .s = trial_view(t, c->rows, c->experts, NAN, 0.0),
               .h = trial_cube(t, c->experts, c->rows, c->columns, 0.5, 1.0),
               .y = trial_view(t, c->rows, c->columns, NAN, 0.0),
               .dy = trial_view(t, c->rows, c->columns, 0.3, 1.0),
               .dz = trial_view(t, c->rows, c->experts, NAN, 0.0),
               .dh = trial_cube(t, c->experts, c->rows, c->columns, NAN, 0.0)};
}

static double mixed(Trial *t, void *context) {
  Set *s = context;
  expert_mix_fwd(&t->ops, s->y, s->s, s->z, s->h, s->c->epsilon);
  return weighted_sum(s->y, s->dy);
}

static void mix_back(Trial *t, void *context) {
  Set *s = context;
  expert_mix_bwd(&t->ops, s->dz, s->dh, s->dy, s->s, s->h, s->c->epsilon, s->write);
}

static void mixture(Trial *t, const void *sizes) {
  const Mix *c = sizes;
  Set s = make(t, c);
  size_t experts = c->experts, columns = c->columns;
  double *share = trial_numbers(t, c->rows * experts), *y = trial_numbers(t, c->rows * columns);
  double *dh = trial_numbers(t, experts * c->rows * columns), *dz = trial_numbers(t, c->rows * experts);
  for (size_t n = 0; n < c->rows; n++) {
    double sum = 0.0, mean = 0.0, a[64] = {0.0};
    for (size_t e = 0; e < experts; e++)
      sum += exp(tensor_at(s.z, n, e));
    for (size_t e = 0; e < experts; e++) {
      double softmax = exp(tensor_at(s.z, n, e)) / sum;
      share[n * experts + e] = softmax / (1.0 + c->epsilon);
      for (size_t d = 0; d < columns; d++) {
        y[n * columns + d] += share[n * experts + e] * tensor_at(s.h, e, n * columns + d);
        dh[(e * c->rows + n) * columns + d] = share[n * experts + e] * tensor_at(s.dy, n, d);
        a[e] += tensor_at(s.dy, n, d) * tensor_at(s.h, e, n * columns + d);
      }
      mean += softmax * a[e];
    }
    for (size_t e = 0; e < experts; e++)
      dz[n * experts + e] = share[n * experts + e] * (a[e] - mean);
  }
  mixed(t, &s);
  mix_back(t, &s);
  expect_close(s.s, share, experts, "s");
  expect_close(s.y, y, experts, "y");
  expect_close(s.dh, dh, experts, "dh");
  if (experts > 1) /* of one expert dz is nothing but rounding */
    expect_close(s.dz, dz, experts * columns, "dz");
}

static const Mix cases[] = {{7, 2, 5, 1e-6}, {3, 3, 1, 0.0},      {1, 5, 9, 0.5}, {1, 1, 1, 0.0},
                            {0, 2, 3, 0.0},  {131, 2, 131, 1e-6}, {5, 64, 3, 0.0}};

Test(mixture, is_its_definition) {
  for (int i = 0; i < 7; i++)
    everywhere(mixture, &cases[i]);
}

static void gradients(Trial *t, const void *sizes) {
  Set s = make(t, sizes);
  mixed(t, &s);
  s.write = WRITE_ADD;
  expect_adds(t, s.dz, s.c->experts * s.c->columns, mix_back, &s, "dz");
  expect_adds(t, s.dh, 2, mix_back, &s, "dh");
  tensor_fill(s.dz, 0.0, 0.0, 1);
  tensor_fill(s.dh, 0.0, 0.0, 1);
  mix_back(t, &s);
  s.write = WRITE_SET;
  expect_sets(t, s.dz, mix_back, &s, "dz");
  expect_sets(t, s.dh, mix_back, &s, "dh");
  expect_gradient(t, s.dz, s.z, 1e-3, mixed, &s, "dz");
  expect_gradient(t, s.dh, s.h, 1e-3, mixed, &s, "dh");
  double *dz = trial_copy(t, s.dz), *dh = trial_copy(t, s.dh);
  Set gates_only = s, experts_only = s;
  tensor_fill(s.dz, NAN, 0.0, 1);
  gates_only.dh = TENSOR_NONE;
  mix_back(t, &gates_only);
  expect_within_units(s.dz, dz, 0.0, "dz alone");
  expect_within_units(s.dh, dh, 0.0, "dh as it was");
  tensor_fill(s.dh, NAN, 0.0, 1);
  experts_only.dz = TENSOR_NONE;
  mix_back(t, &experts_only);
  expect_within_units(s.dh, dh, 0.0, "dh alone");
  expect_within_units(s.dz, dz, 0.0, "dz as it was");
}

Test(mixture, gradients_are_slopes_added_or_set_and_may_be_absent) {
  for (int i = 0; i < 3; i++)
    everywhere(gradients, &cases[i]);
}

/* Gates far beyond exp's reach choose one expert; equal ones give the mean; a NaN shows in its row. */
static void identities(Trial *t, const void *sizes) {
  static const Mix c = {3, 2, 5, 0.0};
  (void)sizes;
  Set s = make(t, &c);
  for (size_t e = 0; e < 2; e++) {
    tensor_put(s.z, 0, e, e == 0 ? 1e5 : -1e5);
    tensor_put(s.z, 1, e, -3.0);
    tensor_put(s.z, 2, e, e == 0 ? NAN : 0.0);
  }
  mixed(t, &s);
  for (size_t d = 0; d < 5; d++) {
    double half = (tensor_at(s.h, 0, 5 + d) + tensor_at(s.h, 1, 5 + d)) / 2;
    cr_expect_eq(tensor_at(s.y, 0, d), tensor_at(s.h, 0, d));
    cr_expect(fabs(tensor_at(s.y, 1, d) - half) <= 4 * dtype_unit(t->ops.real));
    cr_expect(isnan(tensor_at(s.y, 2, d)));
  }
}

Test(mixture, chooses_or_averages) {
  everywhere(identities, NULL);
}

/* ---- PyTorch, as released SliME does it: raw = clean, gates divided by their sum + 1e-6 ---- */

static void as_torch(Trial *t, const void *sizes) {
  static const Mix c = {5, 2, 7, 1e-6};
  static const size_t cube[] = {2, 5, 7};
  (void)sizes;
  Set s = make(t, &c);
  Tensor clean = trial_fixture_tensor(t, "mixture_clean"), noise = trial_fixture_tensor(t, "mixture_noise");
  Tensor dclean = trial_view(t, 5, 2, 0.0, 0.0);
  s.dy = trial_fixture_tensor(t, "mixture_dy");
  s.h = trial_fixture_tensor(t, "mixture_h");
  cr_assert(tensor_same(s.h, tensor_make(NULL, t->ops.real, 3, cube)));
  noisy_gate_fwd(&t->ops, s.z, clean, clean, noise, 1e-2);
  mixed(t, &s);
  mix_back(t, &s);
  noisy_gate_bwd(&t->ops, dclean, dclean, s.dz, clean, noise);
  expect_close(s.z, trial_fixture_numbers(t, "mixture_z", NULL), 3, "z");
  expect_close(s.s, trial_fixture_numbers(t, "mixture_s", NULL), 5, "s");
  expect_close(s.y, trial_fixture_numbers(t, "mixture_y", NULL), 5, "y");
  expect_close(s.dh, trial_fixture_numbers(t, "mixture_dh", NULL), 5, "dh");
  expect_close(dclean, trial_fixture_numbers(t, "mixture_dclean", NULL), 14, "dclean");
}

Test(mixture, is_as_in_torch) {
  everywhere(as_torch, NULL);
}

static void other_experts(void) {
  static const Mix c = {2, 3, 4, 0.0};
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  Set s = make(&t, &c);
  s.h = trial_cube(&t, 2, 2, 4, 0.0, 1.0);
  mixed(&t, &s);
}

Test(mixture, mistakes_stop) {
  expect_stop(other_experts, "h is F32 (2, 2, 4)", "should be (3, 2, 4)");
}
