/* test_kernels_norm.c: norm.cu where the tests of operations do not go: rows that 16 bytes fit into, rows for a whole
 * block, rows that no block can keep, and bf16; against the C backend on the same numbers. */
#include "operations.h"

typedef struct Case {
  size_t rows, columns;
  int orders;
  bool layer, aligned;
} Case;

typedef struct Types {
  Dtype activations, parameters;
} Types;

/* The inputs and outputs of one backend; statistics and gradients of parameters are F32. */
typedef struct Set {
  Tensor x, g, b, dy, y, mean, rstd, dx, dg, db;
} Set;

static Tensor vector(Tensor x) {
  return tensor_1(x.data, x.dtype, x.size[1]);
}

static Set make(const Ops *ops, const Case *c, Types types) {
  size_t n = c->rows, d = c->columns, gap = c->aligned ? (16 - d % 16) % 16 : 3;
  Dtype a = types.activations, p = types.parameters;
  return (Set){.x = tensor_on(ops, a, n, d, gap, 0.4, 1.0, 1),
               .g = vector(tensor_on(ops, p, 1, d, 0, 1.0, 0.5, 2)),
               .b = vector(tensor_on(ops, p, 1, d, 0, 0.2, 0.5, 3)),
               .dy = tensor_on(ops, a, n, d, gap, 0.3, 1.0, 4),
               .y = tensor_on(ops, a, n, d, gap, NAN, 0.0, 5),
               .mean = vector(tensor_on(ops, DTYPE_F32, 1, n, 0, NAN, 0.0, 6)),
               .rstd = vector(tensor_on(ops, DTYPE_F32, 1, n, 0, NAN, 0.0, 7)),
               .dx = tensor_on(ops, a, n, d, gap, 0.5, 0.5, 8),
               .dg = vector(tensor_on(ops, DTYPE_F32, 1, d, 0, 0.5, 0.5, 9)),
               .db = vector(tensor_on(ops, DTYPE_F32, 1, d, 0, 0.5, 0.5, 10))};
}

/* The C backend's, in float, from the numbers as the kernels' storage types hold them. */
static Set widened(const Ops *ops, const Case *c, Set s) {
  Set wide = make(ops, c, (Types){DTYPE_F32, DTYPE_F32});
  Tensor from[] = {s.x, s.g, s.b, s.dy, s.dx}, to[] = {wide.x, wide.g, wide.b, wide.dy, wide.dx};
  for (int k = 0; k < 5; k++)
    FOR_EACH(from[k], i, j)
  tensor_put(to[k], i, j, tensor_at(from[k], i, j));
  return wide;
}

static void unmake(const Ops *ops, const Set *s) {
  const Tensor all[] = {s->x, s->g, s->b, s->dy, s->y, s->mean, s->rstd, s->dx, s->dg, s->db};
  for (int k = 0; k < 10; k++)
    ops_free(ops, all[k].data);
}

/* Straight to the slots: they take more types than the contract names. */
static void run(const Ops *ops, const Case *c, const Set *s) {
  const OpsTable *table = ops->table;
  if (c->layer) {
    table->layernorm_fwd(ops, s->y, s->mean, s->rstd, s->x, s->g, s->b, 1e-5);
    table->layernorm_bwd(ops, s->dx, s->dg, s->db, s->dy, s->x, s->g, s->mean, s->rstd);
  } else {
    table->rmsnorm_fwd(ops, s->y, s->rstd, s->x, s->g, 1e-5);
    table->rmsnorm_bwd(ops, s->dx, s->dg, s->dy, s->x, s->g, s->rstd);
  }
}

static void expect_same(Tensor x, Tensor ref, size_t sum, const char *name, const Case *c) {
  double *expected = malloc(tensor_count(ref) * sizeof *expected);
  FOR_EACH(ref, i, j)
  expected[i * tensor_width(ref) + j] = tensor_at(ref, i, j);
  expect_close(x, expected, sum, "%s of %zu x %zu", name, c->rows, c->columns);
  free(expected);
}

static uint64_t bytes_of(Tensor x, uint64_t sum) {
  size_t each = dtype_bits(x.dtype) / 8;
  FOR_EACH(x, i, j)
  for (size_t k = 0; k < each; k++)
    sum = (sum ^ tensor_place(x, i, j)[k]) * 0x100000001b3;
  return sum;
}

static void compare(const Case *c, Types types) {
  Ops c_ops, ops;
  uint64_t first = 0;
  cr_assert_eq(c_open(&c_ops, DTYPE_F32, 2).code, STATUS_OK);
  for (int order = 0; order < c->orders; order++) {
    cr_assert_eq(stand_in_open(&ops, DTYPE_F32, (StandInOrder)order, 3).code, STATUS_OK);
    Set s = make(&ops, c, types), ref = widened(&c_ops, c, s);
    run(&c_ops, c, &ref);
    run(&ops, c, &s);
    Status status = ops_status(&ops);
    cr_expect_eq(status.code, STATUS_OK, "%s", status.message);
    expect_same(s.y, ref.y, c->columns, "y", c);
    expect_same(s.rstd, ref.rstd, c->columns, "rstd", c);
    expect_same(s.dx, ref.dx, c->columns, "dx", c);
    expect_same(s.dg, ref.dg, c->rows, "dg", c);
    if (c->layer) {
      expect_same(s.mean, ref.mean, c->columns, "mean", c);
      expect_same(s.db, ref.db, c->rows, "db", c);
    }
    uint64_t bytes = bytes_of(s.dg, bytes_of(s.db, bytes_of(s.dx, bytes_of(s.y, 1))));
    cr_expect(order == 0 || bytes == first, "order %d gives other bytes", order);
    first = bytes;
    unmake(&c_ops, &ref);
    unmake(&ops, &s);
    stand_in_close(&ops);
  }
  c_close(&c_ops);
}

static const Case cases[] = {
    {3, 64, 3, true, true},     {9, 1000, 3, true, true},  {9, 1003, 3, false, true}, {71, 33, 3, true, false},
    {2, 2051, 3, false, false}, {3, 4096, 1, true, true},  {2, 9001, 1, true, true},  {1, 40003, 1, true, false},
    {1, 70000, 1, false, true}, {300, 40, 1, false, true}, {2100, 5, 1, true, false}, {1, 1, 3, true, true},
};
static const Types types[] = {{DTYPE_F32, DTYPE_F32}, {DTYPE_BF16, DTYPE_F32}, {DTYPE_BF16, DTYPE_BF16}};

static void of_types(Types t) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    compare(&cases[i], t);
}

Test(kernels_norm, float_is_as_the_c_backend) {
  of_types(types[0]);
}

Test(kernels_norm, bf16_with_float_parameters_is_as_the_c_backend) {
  of_types(types[1]);
}

Test(kernels_norm, bf16_is_as_the_c_backend) {
  of_types(types[2]);
}

static void run_double(void) {
  Ops ops;
  Case c = {2, 3, 1, true, false};
  cr_assert_eq(stand_in_open(&ops, DTYPE_F32, STAND_IN_FORWARD, 3).code, STATUS_OK);
  Set s = make(&ops, &c, types[0]);
  s.x.dtype = DTYPE_F64;
  run(&ops, &c, &s);
}

Test(kernels_norm, other_types_stop) {
  expect_stop(run_double, "there are no kernels for activations in F64", "");
}
