/* cases_optimiser.c: cases of sum_squares and adamw. */
#include <math.h>

#include "cases.h"

/* ---- sum_squares: rows, columns (0: a vector), of fine instead of real ---- */

static const Shape square_shapes[] = {
    {"one", .n = {1, 0}},
    {"odd", .n = {7, 61}},
    {"a vector", .n = {5003, 0}},
    {"none", .n = {0, 0}},
    {"fine", .n = {131, 0, 1}},
    {"fine rows", .n = {3, 1030, 1}},
    {"adapter's fc2", .real = true, .n = {4096, 4096, 1}},
};

static void square_make(Workload *p, const size_t n[]) {
  Kind kind = n[2] ? OF_FINE : OF_REAL;
  double count = (double)n[0] * (double)(n[1] > 0 ? n[1] : 1);
  piece_changed(p, piece_vector(p, "total", OF_F64, 1), 3.0, 1.0, count + 1.0);
  piece_given(p, n[1] > 0 ? piece_view(p, "x", kind, n[0], n[1]) : piece_vector(p, "x", kind, n[0]), 0.2, 1.0);
}

static void call_square(const Placed *p) {
  sum_squares(p->ops, p->tensor[0], p->tensor[1]);
}

/* ---- adamw: rows, columns (0: a vector), step, the working copy: none, bf16, fp16, real ---- */

static const Shape adamw_shapes[] = {
    {"one", .n = {1, 0, 1}},  {"odd", .n = {7, 61, 3}},         {"a vector", .n = {1031, 0, 100000}},
    {"none", .n = {0, 0, 1}}, {"whole words", .n = {64, 0, 2}}, {"adapter's fc2", .real = true, .n = {4096, 4096, 7}},
};

enum { P, M, V, GRADIENT, COPY };

static void adamw_make(Workload *p, const size_t n[]) {
  static const char *const names[] = {"p", "m", "v", "gradient"};
  for (int i = 0; i < 4; i++) {
    Piece *piece = n[1] > 0 ? piece_matrix(p, names[i], OF_FINE, n[0], n[1]) : piece_vector(p, names[i], OF_FINE, n[0]);
    if (i < GRADIENT)
      piece_changed(p, piece, 0.1, 0.3, 3.0);
    else
      piece_given(p, piece, 0.1, 0.3);
  }
  double *v = p->piece[V].numbers;
  for (size_t i = 0, count = piece_count(&p->piece[V]); i < count && v; i++)
    v[i] = fabs(v[i]) * 0.25; /* squares, so positive */
  piece_round(p, &p->piece[V]);
  static const Kind kinds[] = {OF_REAL, OF_BF16, OF_F16, OF_REAL};
  Piece *copy =
      n[1] > 0 ? piece_matrix(p, "copy", kinds[n[3]], n[0], n[1]) : piece_vector(p, "copy", kinds[n[3]], n[0]);
  piece_set(copy, 3.0);
  if (n[3] == 0)
    piece_none(copy);
}

static void call_adamw(const Placed *p) {
  const Tensor *t = p->tensor;
  const AdamW rule = {.rate = 0.01,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .epsilon = 1e-8,
                      .decay = 0.1,
                      .step = p->workload->shape->n[2],
                      .factor = 0.7};
  adamw(p->ops, t[P], t[M], t[V], t[GRADIENT], t[COPY], &rule);
}

static const Case list[] = {
    CASE("sum_squares", "fwd", sum_squares, square_shapes, square_make, call_square),
    CASE("adamw", "fwd", adamw, adamw_shapes, adamw_make, call_adamw),
};
const CaseFamily cases_optimiser = CASES(list);
