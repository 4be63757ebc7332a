/* cases_mixture.c: cases of noisy_gate and expert_mix. */
#include <math.h>

#include "cases.h"

/* ---- noisy_gate: rows, experts, without noise ---- */

static const Shape gate_shapes[] = {
    {"one", .n = {1, 1}},         {"odd", .n = {37, 3}},    {"two", .n = {65, 2}},
    {"no noise", .n = {9, 5, 1}}, {"no rows", .n = {0, 2}}, {"adapter, 8 views", .real = true, .n = {4608, 2}},
};

enum { CLEAN, RAW, NOISE, Z, DCLEAN, DRAW };
static const double gate_floor = 1e-2;

static void gate_make_fwd(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "clean", OF_REAL, n[0], n[1]), 0.3, 1.0);
  piece_given(p, piece_view(p, "raw", OF_REAL, n[0], n[1]), -0.3, 2.0);
  piece_given(p, piece_view(p, "noise", OF_FINE, n[0], n[1]), 0.1, 1.0);
  piece_set(piece_view(p, "z", OF_FINE, n[0], n[1]), 3.0);
  if (n[2])
    piece_none(&p->piece[NOISE]);
}

static void gate_make_bwd(Workload *p, const size_t n[]) {
  gate_make_fwd(p, n);
  piece_none(&p->piece[CLEAN]);
  p->piece[Z].name = "dz";
  p->piece[Z].role = ROLE_INPUT;
  piece_given(p, &p->piece[Z], 0.1, 1.0);
  piece_changed(p, piece_view(p, "dclean", OF_REAL, n[0], n[1]), -0.3, 0.5, 3.0);
  piece_changed(p, piece_view(p, "draw", OF_REAL, n[0], n[1]), 0.3, 0.5, 3.0);
}

static void call_gate_fwd(const Placed *p) {
  const Tensor *t = p->tensor;
  noisy_gate_fwd(p->ops, t[Z], t[CLEAN], t[RAW], t[NOISE], gate_floor);
}

static void call_gate_bwd(const Placed *p) {
  const Tensor *t = p->tensor;
  noisy_gate_bwd(p->ops, t[DCLEAN], t[DRAW], t[Z], t[RAW], t[NOISE]);
}

/* ---- expert_mix: experts, rows, columns, gradients that are not wanted (bits: dz, dh), write of backward ---- */

static const Shape mix_shapes[] = {
    {"one", .n = {1, 1, 1, 0, WRITE_ADD}},
    {"odd", .n = {3, 7, 37}},
    {"two", .n = {2, 5, 130}},
    {"no rows", .n = {2, 0, 3}},
    {"dz alone", .n = {2, 9, 33, 2}},
    {"dh alone", .n = {4, 3, 64, 1}},
    {"added", .n = {3, 6, 41, 0, WRITE_ADD}},
    {"added to dh alone", .n = {5, 3, 64, 1, WRITE_ADD}},
    {"adapter, 8 views", .real = true, .n = {2, 4608, 4096}},
};

enum { GATE, H, SHARE, Y, DY, DZ, DH };
static const double mix_epsilon = 1e-6;

static void mix_make_fwd(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "z", OF_FINE, n[1], n[0]), 0.3, 1.0);
  piece_given(p, piece_cube(p, "h", OF_REAL, n[0], n[1], n[2]), 0.2, 1.0);
  piece_set(piece_view(p, "s", OF_FINE, n[1], n[0]), (double)n[0] + 1.0);
  piece_set(piece_view(p, "y", OF_REAL, n[1], n[2]), (double)n[0] + 1.0);
}

static void call_mix_fwd(const Placed *p) {
  const Tensor *t = p->tensor;
  expert_mix_fwd(p->ops, t[Y], t[SHARE], t[GATE], t[H], mix_epsilon);
}

static void mix_make_bwd(Workload *p, const size_t n[]) {
  mix_make_fwd(p, n);
  workload_derive(p, call_mix_fwd);
  piece_none(&p->piece[GATE]);
  piece_none(&p->piece[Y]);
  piece_given(p, piece_view(p, "dy", OF_REAL, n[1], n[2]), 0.1, 1.0);
  piece_written(p, piece_view(p, "dz", OF_FINE, n[1], n[0]), (Write)n[4], 0.3, 0.5, (double)(n[0] * n[2]) + 1.0);
  piece_written(p, piece_cube(p, "dh", OF_REAL, n[0], n[1], n[2]), (Write)n[4], -0.3, 0.5, 2.0);
  p->piece[DZ].floor = sqrt((double)n[2]) / (double)n[0]; /* of s a, which cancels */
  for (size_t i = DZ; i <= DH; i++)
    if (n[3] >> (i - DZ) & 1)
      piece_none(&p->piece[i]);
}

static void call_mix_bwd(const Placed *p) {
  const Tensor *t = p->tensor;
  expert_mix_bwd(p->ops, t[DZ], t[DH], t[DY], t[SHARE], t[H], mix_epsilon, (Write)p->workload->shape->n[4]);
}

static const Case list[] = {
    CASE("noisy_gate", "fwd", noisy_gate_fwd, gate_shapes, gate_make_fwd, call_gate_fwd),
    CASE("noisy_gate", "bwd", noisy_gate_bwd, gate_shapes, gate_make_bwd, call_gate_bwd),
    CASE("expert_mix", "fwd", expert_mix_fwd, mix_shapes, mix_make_fwd, call_mix_fwd),
    CASE("expert_mix", "bwd", expert_mix_bwd, mix_shapes, mix_make_bwd, call_mix_bwd),
};
const CaseFamily cases_mixture = CASES(list);
