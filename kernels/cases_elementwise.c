/* cases_elementwise.c: cases of activation, swiglu, rope, copy, add, scale, zero and normal_fill. */
#include <math.h>
#include <stdlib.h>

#include "cases.h"

enum { A, B, C }; /* pieces, in the order in which they are made */

/* ---- activation: rows, columns, kind, write of backward ---- */

static const Shape activation_shapes[] = {
    {"one", .n = {1, 1, ACTIVATION_GELU}},
    {"odd", .n = {7, 61, ACTIVATION_GELU}},
    {"odd, quick", .n = {5, 130, ACTIVATION_QUICK_GELU}},
    {"no rows", .n = {0, 3, ACTIVATION_GELU}},
    {"wide", .n = {2, 2053, ACTIVATION_QUICK_GELU}},
    {"added", .n = {6, 67, ACTIVATION_GELU, WRITE_ADD}},
    {"added, quick", .n = {3, 64, ACTIVATION_QUICK_GELU, WRITE_ADD}},
    {"CLIP-L, 8 views", .real = true, .n = {4616, 4096, ACTIVATION_QUICK_GELU}},
    {"adapter, 8 views", .real = true, .n = {4608, 4096, ACTIVATION_GELU}},
};

static void activation_make_fwd(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.3, 2.0);
  piece_set(piece_view(p, "y", OF_REAL, n[0], n[1]), 1.0);
}

static void activation_make_bwd(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.3, 2.0);
  piece_given(p, piece_view(p, "dy", OF_REAL, n[0], n[1]), 0.2, 1.0);
  piece_written(p, piece_view(p, "dx", OF_REAL, n[0], n[1]), (Write)n[3], -0.3, 0.5, 2.0);
}

static void call_activation_fwd(const Placed *p) {
  activation_fwd(p->ops, p->tensor[B], p->tensor[A], (Activation)p->workload->shape->n[2]);
}

static void call_activation_bwd(const Placed *p) {
  const size_t *n = p->workload->shape->n;
  activation_bwd(p->ops, p->tensor[C], p->tensor[B], p->tensor[A], (Activation)n[2], (Write)n[3]);
}

/* ---- swiglu: rows, columns of y, write of backward ---- */

static const Shape swiglu_shapes[] = {
    {"one", .n = {1, 1}},
    {"odd", .n = {7, 61}},
    {"a row", .n = {1, 129}},
    {"no rows", .n = {0, 4}},
    {"wide", .n = {2, 2053}},
    {"whole words", .n = {5, 64}},
    {"added", .n = {6, 67, WRITE_ADD}},
    {"Llama-3-8B", .real = true, .n = {2048, 14336}},
};

static void swiglu_make_fwd(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], 2 * n[1]), 0.3, 1.5);
  piece_set(piece_view(p, "y", OF_REAL, n[0], n[1]), 1.0);
}

static void swiglu_make_bwd(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], 2 * n[1]), 0.3, 1.5);
  piece_given(p, piece_view(p, "dy", OF_REAL, n[0], n[1]), 0.2, 1.0);
  piece_written(p, piece_view(p, "dx", OF_REAL, n[0], 2 * n[1]), (Write)n[2], -0.3, 0.5, 2.0);
}

static void call_swiglu_fwd(const Placed *p) {
  swiglu_fwd(p->ops, p->tensor[B], p->tensor[A]);
}

static void call_swiglu_bwd(const Placed *p) {
  swiglu_bwd(p->ops, p->tensor[C], p->tensor[B], p->tensor[A], (Write)p->workload->shape->n[2]);
}

/* ---- rope: rows, heads, numbers of a head; positions in no order, some twice ---- */

static const Shape rope_shapes[] = {
    {"one", .n = {1, 1, 2}},        {"odd", .n = {7, 3, 10}},
    {"a head", .n = {5, 1, 128}},   {"no rows", .n = {0, 2, 4}},
    {"many heads", .n = {3, 9, 8}}, {"Llama-3-8B, q and k", .real = true, .n = {2048, 40, 128}},
};

static void rope_make(Workload *p, const size_t n[]) {
  piece_changed(p, piece_view(p, "x", OF_REAL, n[0], n[1] * n[2]), 0.3, 1.0, 2.0);
  double *position = piece_numbers(p, piece_vector(p, "position", OF_I32, n[0]));
  for (size_t i = 0; i < n[0] && position; i++)
    position[i] = (double)(i * 769 % 2039);
  double *frequency = piece_numbers(p, piece_vector(p, "frequency", OF_F64, n[2] / 2));
  for (size_t i = 0; i < n[2] / 2 && frequency; i++)
    frequency[i] = pow(500000.0, -2.0 * (double)i / (double)n[2]);
}

static void call_rope(const Placed *p) {
  rope(p->ops, p->tensor[A], p->tensor[B], p->tensor[C], false);
}

static void call_rope_inverse(const Placed *p) {
  rope(p->ops, p->tensor[A], p->tensor[B], p->tensor[C], true);
}

/* ---- copy, add, scale, zero, normal_fill: rows, columns (0: a vector), of fine instead of real, indices ---- */

enum { PLAIN_REAL, PLAIN_FINE, PLAIN_INDICES };

static const Shape plain_shapes[] = {
    {"one", .n = {1, 1}},
    {"odd", .n = {7, 61}},
    {"a vector", .n = {1031, 0}},
    {"fine", .n = {5, 67, PLAIN_FINE}},
    {"a fine vector", .n = {37, 0, PLAIN_FINE}},
    {"no rows", .n = {0, 3}},
    {"whole words", .n = {9, 64}},
    {"Llama-3-8B", .real = true, .n = {2048, 4096}},
};
static const Shape copy_shapes[] = {
    {"one", .n = {1, 1}},
    {"odd", .n = {7, 61}},
    {"a vector", .n = {1031, 0}},
    {"fine", .n = {5, 67, PLAIN_FINE}},
    {"indices", .n = {77, 0, PLAIN_INDICES}},
    {"no rows", .n = {0, 3}},
    {"whole words", .n = {9, 64}},
    {"Llama-3-8B", .real = true, .n = {2048, 4096}},
};

static Piece *plain(Workload *p, const char *name, const size_t n[]) {
  static const Kind kinds[] = {OF_REAL, OF_FINE, OF_I32};
  return n[1] > 0 ? piece_view(p, name, kinds[n[2]], n[0], n[1]) : piece_vector(p, name, kinds[n[2]], n[0]);
}

static void copy_make(Workload *p, const size_t n[]) {
  Piece *x = plain(p, "x", n);
  piece_given(p, x, 0.3, n[2] == PLAIN_INDICES ? 1e6 : 1.0);
  for (size_t i = 0; n[2] == PLAIN_INDICES && i < n[0] && x->numbers; i++)
    x->numbers[i] = trunc(x->numbers[i]);
  piece_set(plain(p, "y", n), 1.0);
}

static void add_make(Workload *p, const size_t n[]) {
  piece_given(p, plain(p, "x", n), 0.3, 1.0);
  piece_changed(p, plain(p, "y", n), -0.3, 0.5, 1.0);
}

static void scale_make(Workload *p, const size_t n[]) {
  piece_changed(p, plain(p, "y", n), -0.3, 0.5, 1.0);
}

static void zero_make(Workload *p, const size_t n[]) {
  piece_set(plain(p, "y", n), 1.0);
}

static void normal_fill_make(Workload *p, const size_t n[]) {
  plain(p, "y", n)->view = false;
  piece_set(&p->piece[A], 1.0);
}

static void call_copy(const Placed *p) {
  ops_copy(p->ops, p->tensor[B], p->tensor[A]);
}

static void call_add(const Placed *p) {
  ops_add(p->ops, p->tensor[B], p->tensor[A]);
}

static void call_scale(const Placed *p) {
  ops_scale(p->ops, p->tensor[A], -1.3); /* repeated it must not end among subnormal numbers */
}

static void call_zero(const Placed *p) {
  ops_zero(p->ops, p->tensor[A]);
}

static void call_normal_fill(const Placed *p) {
  normal_fill(p->ops, p->tensor[A], rng_make(p->workload->seed, RNG_TEST, 77), 5, 0.7);
}

static const Case list[] = {
    CASE("activation", "fwd", activation_fwd, activation_shapes, activation_make_fwd, call_activation_fwd),
    CASE("activation", "bwd", activation_bwd, activation_shapes, activation_make_bwd, call_activation_bwd),
    CASE("swiglu", "fwd", swiglu_fwd, swiglu_shapes, swiglu_make_fwd, call_swiglu_fwd),
    CASE("swiglu", "bwd", swiglu_bwd, swiglu_shapes, swiglu_make_bwd, call_swiglu_bwd),
    CASE("rope", "fwd", rope, rope_shapes, rope_make, call_rope),
    CASE("rope", "bwd", rope, rope_shapes, rope_make, call_rope_inverse),
    CASE("copy", "fwd", copy, copy_shapes, copy_make, call_copy),
    CASE("add", "fwd", add, plain_shapes, add_make, call_add),
    CASE("scale", "fwd", scale, plain_shapes, scale_make, call_scale),
    CASE("zero", "fwd", zero, copy_shapes, zero_make, call_zero),
    CASE("normal_fill", "fwd", normal_fill, plain_shapes, normal_fill_make, call_normal_fill),
};
const CaseFamily cases_elementwise = CASES(list);
