/* cases_norm.c: cases of layernorm and rmsnorm. Sizes: rows, width, gradients that are not wanted (bits: dx, dg, db).
 */
#include "cases.h"

static const Shape shapes[] = {
    {"one", .n = {1, 1}},
    {"a row", .n = {1, 37}},
    {"a column", .n = {7, 1}},
    {"odd", .n = {13, 67}},
    {"no rows", .n = {0, 5}},
    {"warps", .n = {5, 96}},
    {"wide", .n = {3, 1037}},
    {"wider", .n = {2, 4100}},
    {"dx alone", .n = {9, 33, 6}},
    {"parameters alone", .n = {9, 33, 1}},
    {"CLIP-L, 8 views", .real = true, .n = {4616, 1024}},
    {"Llama-3-8B", .real = true, .n = {2048, 4096}},
};

static const double epsilon = 1e-5;

enum { X, G, B, Y, MEAN, RSTD, DY, DX, DG, DB };

/* Both norms have the same pieces; rmsnorm without b, mean and db. */
static void make_fwd(Workload *p, const size_t n[], bool centred) {
  double width = (double)n[1];
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.5, 1.5);
  piece_given(p, piece_vector(p, "g", OF_REAL, n[1]), 1.0, 0.3);
  piece_given(p, piece_vector(p, "b", OF_REAL, n[1]), 0.2, 0.5);
  piece_set(piece_view(p, "y", OF_REAL, n[0], n[1]), width);
  piece_set(piece_vector(p, "mean", OF_FINE, n[0]), width);
  piece_set(piece_vector(p, "rstd", OF_FINE, n[0]), width);
  if (!centred) {
    piece_none(&p->piece[B]);
    piece_none(&p->piece[MEAN]);
  }
}

static void make_bwd(Workload *p, const size_t n[], bool centred, Call *forward) {
  make_fwd(p, n, centred);
  workload_derive(p, forward);
  piece_none(&p->piece[B]);
  piece_none(&p->piece[Y]);
  piece_given(p, piece_view(p, "dy", OF_REAL, n[0], n[1]), 0.2, 1.0);
  piece_changed(p, piece_view(p, "dx", OF_REAL, n[0], n[1]), -0.3, 0.5, (double)n[1] + 1.0);
  piece_changed(p, piece_vector(p, "dg", OF_FINE, n[1]), 0.4, 0.5, (double)n[0] + 1.0);
  piece_changed(p, piece_vector(p, "db", OF_FINE, n[1]), -0.4, 0.5, (double)n[0] + 1.0);
  for (size_t i = DX; i <= DB; i++)
    if (n[2] >> (i - DX) & 1 || (i == DB && !centred))
      piece_none(&p->piece[i]);
}

static void call_layernorm_fwd(const Placed *p) {
  const Tensor *t = p->tensor;
  layernorm_fwd(p->ops, t[Y], t[MEAN], t[RSTD], t[X], t[G], t[B], epsilon);
}

static void call_layernorm_bwd(const Placed *p) {
  const Tensor *t = p->tensor;
  layernorm_bwd(p->ops, t[DX], t[DG], t[DB], t[DY], t[X], t[G], t[MEAN], t[RSTD]);
}

static void call_rmsnorm_fwd(const Placed *p) {
  const Tensor *t = p->tensor;
  rmsnorm_fwd(p->ops, t[Y], t[RSTD], t[X], t[G], epsilon);
}

static void call_rmsnorm_bwd(const Placed *p) {
  const Tensor *t = p->tensor;
  rmsnorm_bwd(p->ops, t[DX], t[DG], t[DY], t[X], t[G], t[RSTD]);
}

static void layernorm_make_fwd(Workload *p, const size_t n[]) {
  make_fwd(p, n, true);
}

static void layernorm_make_bwd(Workload *p, const size_t n[]) {
  make_bwd(p, n, true, call_layernorm_fwd);
}

static void rmsnorm_make_fwd(Workload *p, const size_t n[]) {
  make_fwd(p, n, false);
}

static void rmsnorm_make_bwd(Workload *p, const size_t n[]) {
  make_bwd(p, n, false, call_rmsnorm_fwd);
}

static const Case list[] = {
    CASE("layernorm", "fwd", layernorm_fwd, shapes, layernorm_make_fwd, call_layernorm_fwd),
    CASE("layernorm", "bwd", layernorm_bwd, shapes, layernorm_make_bwd, call_layernorm_bwd),
    CASE("rmsnorm", "fwd", rmsnorm_fwd, shapes, rmsnorm_make_fwd, call_rmsnorm_fwd),
    CASE("rmsnorm", "bwd", rmsnorm_bwd, shapes, rmsnorm_make_bwd, call_rmsnorm_bwd),
};
const CaseFamily cases_norm = CASES(list);
