/* cases_product.c: cases of linear and cross_entropy. */
#include <math.h>

#include "cases.h"

/* The type of a weight: the backend's, or that of a file. */
static const Kind weights[] = {OF_REAL, OF_BF16, OF_F16};
enum { WEIGHT_REAL, WEIGHT_BF16, WEIGHT_F16 };

/* Matrices shrink with the sums over them, so that results stay near 1. */
static double shrunk(size_t sum) {
  return 1.0 / sqrt((double)(sum > 0 ? sum : 1));
}

/* ---- linear: rows, inputs, outputs, onto (backward to x: added to), without bias, weight ---- */

enum { ONTO_NOTHING, ONTO_ITSELF, ONTO_ANOTHER };

static const Shape linear_shapes[] = {
    {"one", .n = {1, 1, 1}},
    {"odd", .n = {7, 13, 29}},
    {"added", .n = {5, 67, 11, ONTO_ITSELF}},
    {"no bias", .n = {33, 9, 65, ONTO_NOTHING, 1}},
    {"no rows", .n = {0, 3, 5}},
    {"bf16 weight", .n = {9, 37, 19, ONTO_NOTHING, 0, WEIGHT_BF16}},
    {"fp16 weight", .n = {3, 17, 130, ONTO_ITSELF, 1, WEIGHT_F16}},
    {"whole words", .n = {16, 64, 32}},
    {"onto another", .n = {12, 35, 18, ONTO_ANOTHER}},
    {"few rows onto another", .n = {3, 66, 9, ONTO_ANOTHER, 1, WEIGHT_BF16}},
    {"CLIP-L, 8 views, fc1", .real = true, .n = {4616, 1024, 4096}},
    {"adapter, 8 views, fc1", .real = true, .n = {4608, 1024, 4096}},
    {"adapter, 8 views, fc2", .real = true, .n = {4608, 4096, 4096}},
    {"Llama-3-8B, q k v", .real = true, .n = {2048, 4096, 6144, ONTO_NOTHING, 1}},
    {"Llama-3-8B, down", .real = true, .n = {2048, 14336, 4096, ONTO_ANOTHER, 1}},
    {"Llama-3-8B, a token", .real = true, .n = {1, 4096, 6144, ONTO_NOTHING, 1}},
};

enum { X, W, B, Y, ONTO, DB = 3 };

static void linear_make_fwd(Workload *p, const size_t n[]) {
  double sum = (double)n[1] + 2.0;
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.2, 1.0);
  piece_given(p, piece_matrix(p, "w", weights[n[5]], n[2], n[1]), 0.0, shrunk(n[1]));
  piece_given(p, piece_vector(p, "b", OF_REAL, n[2]), 0.3, 0.5);
  piece_written(p, piece_view(p, "y", OF_REAL, n[0], n[2]), n[3] == ONTO_ITSELF ? WRITE_ADD : WRITE_SET, -0.3, 0.5,
                sum);
  if (n[3] == ONTO_ANOTHER)
    piece_given(p, piece_view(p, "onto", OF_REAL, n[0], n[2]), -0.3, 0.5);
  if (n[4])
    piece_none(&p->piece[B]);
}

static Write write_input(const size_t n[]) {
  return n[3] == ONTO_NOTHING ? WRITE_SET : WRITE_ADD;
}

static void linear_make_input(Workload *p, const size_t n[]) {
  piece_written(p, piece_view(p, "dx", OF_REAL, n[0], n[1]), write_input(n), -0.3, 0.5, (double)n[2] + 1.0);
  piece_given(p, piece_matrix(p, "w", weights[n[5]], n[2], n[1]), 0.0, shrunk(n[2]));
  piece_given(p, piece_view(p, "dy", OF_REAL, n[0], n[2]), 0.2, 1.0);
}

static void linear_make_weight(Workload *p, const size_t n[]) {
  double sum = (double)n[0] + 1.0;
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.2, 1.0);
  piece_changed(p, piece_matrix(p, "dw", OF_FINE, n[2], n[1]), 0.4, 0.5, sum);
  piece_given(p, piece_view(p, "dy", OF_REAL, n[0], n[2]), 0.1, shrunk(n[0]));
  piece_changed(p, piece_vector(p, "db", OF_FINE, n[2]), 0.3, 0.5, sum);
  if (n[4])
    piece_none(&p->piece[DB]);
}

static void call_linear_fwd(const Placed *p) {
  const Tensor *t = p->tensor;
  size_t onto = p->workload->shape->n[3];
  linear_fwd(p->ops, t[Y], t[X], t[W], t[B], onto == ONTO_ANOTHER ? t[ONTO] : onto == ONTO_ITSELF ? t[Y] : TENSOR_NONE);
}

static void call_linear_input(const Placed *p) {
  linear_bwd_input(p->ops, p->tensor[0], p->tensor[2], p->tensor[1], write_input(p->workload->shape->n));
}

static void call_linear_weight(const Placed *p) {
  linear_bwd_weight(p->ops, p->tensor[1], p->tensor[DB], p->tensor[2], p->tensor[0]);
}

/* ---- cross_entropy: rows, width, classes, rows of a block, gradients not wanted (bits: dx, dw), weight ---- */

static const Shape loss_shapes[] = {
    {"one", .n = {1, 1, 1, 1}},
    {"odd", .n = {7, 13, 29, 3}},
    {"a block", .n = {5, 9, 130, 64}},
    {"no rows", .n = {0, 3, 5, 2}},
    {"bf16 weight", .n = {6, 11, 37, 4, 2, WEIGHT_BF16}},
    {"dw alone", .n = {9, 16, 33, 9, 1}},
    {"many classes", .n = {3, 8, 2503, 2}},
    {"Llama-3-8B, 200 tokens", .real = true, .n = {200, 4096, 128256, 200, 2}},
    {"a small decoder", .real = true, .n = {512, 1024, 32000, 128}},
};

enum { LOSS_X, LOSS_W, LABEL, WORK, LOSS, LSE, LOSS_DX, LOSS_DW };

static void loss_make_fwd(Workload *p, const size_t n[]) {
  double sum = (double)n[1] + (double)n[2];
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.2, 1.0);
  piece_given(p, piece_matrix(p, "w", weights[n[5]], n[2], n[1]), 0.0, 1.5 * shrunk(n[1]));
  double *label = piece_numbers(p, piece_vector(p, "label", OF_I32, n[0]));
  for (size_t i = 0; i < n[0] && label; i++) /* the first, the last, and some that are ignored */
    label[i] = i % 4 == 2 ? -100.0 : i == 0 ? (double)n[2] - 1.0 : (double)((i - 1) * 911 % n[2]);
  piece_work(piece_matrix(p, "work", OF_REAL, n[3], n[2]));
  piece_set(piece_vector(p, "loss", OF_FINE, n[0]), sum);
  piece_set(piece_vector(p, "lse", OF_FINE, n[0]), sum);
  p->piece[LOSS].coarse = p->piece[LSE].coarse = true; /* of logits that were kept in `work` */
}

static void call_loss_fwd(const Placed *p) {
  const Tensor *t = p->tensor;
  cross_entropy_fwd(p->ops, t[LOSS], t[LSE], t[LOSS_X], t[LOSS_W], t[LABEL], t[WORK]);
}

static const double loss_factor = 0.37;

static void loss_make_bwd(Workload *p, const size_t n[]) {
  loss_make_fwd(p, n);
  workload_derive(p, call_loss_fwd);
  piece_none(&p->piece[LOSS]);
  piece_changed(p, piece_view(p, "dx", OF_REAL, n[0], n[1]), -0.1, 0.2, (double)(n[1] + n[2]) + 1.0);
  piece_changed(p, piece_matrix(p, "dw", OF_FINE, n[2], n[1]), 0.1, 0.2, (double)(n[1] + n[0]) + 1.0);
  p->piece[LOSS_DX].coarse = p->piece[LOSS_DW].coarse = true;
  for (size_t i = LOSS_DX; i <= LOSS_DW; i++)
    if (n[4] >> (i - LOSS_DX) & 1)
      piece_none(&p->piece[i]);
}

static void call_loss_bwd(const Placed *p) {
  const Tensor *t = p->tensor;
  cross_entropy_bwd(p->ops, t[LOSS_DX], t[LOSS_DW], t[LOSS_X], t[LOSS_W], t[LABEL], t[LSE], loss_factor, t[WORK]);
}

static const Case list[] = {
    CASE("linear", "fwd", linear_fwd, linear_shapes, linear_make_fwd, call_linear_fwd),
    CASE("linear", "bwd_input", linear_bwd_input, linear_shapes, linear_make_input, call_linear_input),
    CASE("linear", "bwd_weight", linear_bwd_weight, linear_shapes, linear_make_weight, call_linear_weight),
    CASE("cross_entropy", "fwd", cross_entropy_fwd, loss_shapes, loss_make_fwd, call_loss_fwd),
    CASE("cross_entropy", "bwd", cross_entropy_bwd, loss_shapes, loss_make_bwd, call_loss_bwd),
};
const CaseFamily cases_product = CASES(list);
