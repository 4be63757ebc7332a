/* cases_moves.c: cases of gather, scatter and patches. */
#include "cases.h"

enum { A, B, C };

/* ---- gather: rows, columns, rows of the table, add, the table's type ---- */

enum { TABLE_REAL, TABLE_BF16, TABLE_F16 };

static const Shape gather_shapes[] = {
    {"one", .n = {1, 1, 1}},
    {"odd", .n = {13, 37, 11}},
    {"added", .n = {9, 65, 30, WRITE_ADD}},
    {"a small table", .n = {101, 5, 3}},
    {"no rows", .n = {0, 3, 2}},
    {"bf16 table", .n = {7, 29, 17, WRITE_SET, TABLE_BF16}},
    {"fp16 table, added", .n = {8, 64, 17, WRITE_ADD, TABLE_F16}},
    {"Llama-3-8B's embedding", .real = true, .n = {2048, 4096, 128256, WRITE_SET, TABLE_BF16}},
    {"local tokens", .real = true, .n = {900, 4096, 1152}},
};
static const Shape gather_bwd_shapes[] = {
    {"one", .n = {1, 1, 1}},
    {"odd", .n = {13, 37, 11}},
    {"a small table", .n = {101, 5, 3}},
    {"wide", .n = {6, 1030, 4}},
    {"no rows", .n = {0, 3, 2}},
    {"a small decoder's embedding", .real = true, .n = {4096, 1024, 32000}},
    {"CLIP-L's positions", .real = true, .n = {4616, 1024, 577}},
};

/* Out of order, some rows more than once, one in five none: any negative index. */
static void indices(Workload *p, size_t count, size_t rows) {
  double *index = piece_numbers(p, piece_vector(p, "index", OF_I32, count));
  Rng rng = rng_make(p->seed, RNG_TEST, 1000);
  for (size_t i = 0; i < count && index; i++)
    index[i] = i % 5 == 3 ? (i % 2 ? -1.0 : -200.0) : (double)(size_t)(rng_uniform(rng, i) * (double)rows);
}

static double read_once(const Workload *p, const size_t n[], Dtype from, Dtype to, double passes) {
  double numbers = (double)n[0] * (double)n[1];
  (void)p;
  return numbers * (double)(dtype_bits(from) / 8) + passes * numbers * (double)(dtype_bits(to) / 8) +
         4.0 * (double)n[0];
}

static void gather_make_fwd(Workload *p, const size_t n[]) {
  static const Kind tables[] = {OF_REAL, OF_BF16, OF_F16};
  piece_given(p, piece_matrix(p, "table", tables[n[4]], n[2], n[1]), 0.3, 1.0);
  indices(p, n[0], n[2]);
  piece_written(p, piece_view(p, "y", OF_REAL, n[0], n[1]), (Write)n[3], -0.3, 0.5, 1.0);
  p->touched = read_once(p, n, piece_dtype(&p->piece[A], p->real), p->real, n[3] == WRITE_ADD ? 2.0 : 1.0);
}

static void gather_make_bwd(Workload *p, const size_t n[]) {
  piece_changed(p, piece_matrix(p, "dtable", OF_FINE, n[2], n[1]), 0.3, 0.5, (double)n[0] + 1.0);
  indices(p, n[0], n[2]);
  piece_given(p, piece_view(p, "dy", OF_REAL, n[0], n[1]), 0.1, 1.0);
  p->touched = read_once(p, n, p->real, p->fine, 2.0);
}

static void call_gather_fwd(const Placed *p) {
  gather_fwd(p->ops, p->tensor[C], p->tensor[A], p->tensor[B], (Write)p->workload->shape->n[3]);
}

static void call_gather_bwd(const Placed *p) {
  gather_bwd(p->ops, p->tensor[A], p->tensor[C], p->tensor[B]);
}

/* ---- scatter: rows, columns, rows of y, at least as many; backwards, one in four nowhere ---- */

static const Shape scatter_shapes[] = {
    {"one", .n = {1, 1, 1}},
    {"odd", .n = {13, 37, 19}},
    {"all", .n = {11, 66, 11}},
    {"no rows", .n = {0, 3, 4}},
    {"picture's tokens", .real = true, .n = {1600, 4096, 2048}},
};

static void scatter_make(Workload *p, const size_t n[]) {
  piece_given(p, piece_view(p, "x", OF_REAL, n[0], n[1]), 0.3, 1.0);
  double *index = piece_numbers(p, piece_vector(p, "index", OF_I32, n[0]));
  for (size_t i = 0; i < n[0] && index; i++)
    index[i] = i % 4 == 2 ? -1.0 : (double)(n[2] - 1 - i);
  piece_changed(p, piece_view(p, "y", OF_REAL, n[2], n[1]), -0.3, 0.5, 1.0);
  p->touched = read_once(p, n, p->real, p->real, 1.0);
}

static void call_scatter(const Placed *p) {
  scatter_fwd(p->ops, p->tensor[C], p->tensor[A], p->tensor[B]);
}

/* ---- patches: pictures, pixels across, pixels of a patch ---- */

static const Shape patches_shapes[] = {
    {"one", .n = {1, 1, 1}},         {"odd", .n = {2, 15, 5}},  {"a patch", .n = {3, 7, 7}},
    {"no pictures", .n = {0, 6, 3}}, {"even", .n = {2, 24, 6}}, {"CLIP-L, 8 views", .real = true, .n = {8, 336, 14}},
};

static void patches_make(Workload *p, const size_t n[]) {
  size_t across = n[1] / n[2];
  Piece *picture = piece_cube(p, "picture", OF_REAL, n[0], 3, n[1]);
  picture->rank = 4;
  picture->size[3] = n[1];
  piece_given(p, picture, 0.3, 1.0);
  piece_set(piece_view(p, "y", OF_REAL, n[0] * across * across, 3 * n[2] * n[2]), 1.0);
}

static void call_patches(const Placed *p) {
  patches_fwd(p->ops, p->tensor[B], p->tensor[A], p->workload->shape->n[2]);
}

static const Case list[] = {
    CASE("gather", "fwd", gather_fwd, gather_shapes, gather_make_fwd, call_gather_fwd),
    CASE("gather", "bwd", gather_bwd, gather_bwd_shapes, gather_make_bwd, call_gather_bwd),
    CASE("scatter", "fwd", scatter_fwd, scatter_shapes, scatter_make, call_scatter),
    CASE("patches", "fwd", patches_fwd, patches_shapes, patches_make, call_patches),
};
const CaseFamily cases_moves = CASES(list);
