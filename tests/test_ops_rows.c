/* test_ops_rows.c: rope, gather, scatter and patches against their definitions, and PyTorch. */
#include "operations.h"

/* ---- rope ---- */

static const int32_t positions[] = {0, 3, 3, 2047, 131071, -2, 1};

static Tensor frequencies(Trial *t, size_t pairs) {
  Tensor f = trial_fenced(t, DTYPE_F64, 1, &pairs, 0);
  for (size_t i = 0; i < pairs; i++)
    tensor_put(f, i, 0, pow(500000.0, -(double)i / (double)pairs));
  return f;
}

typedef struct Rope {
  size_t rows, heads, pairs;
} Rope;

static void turned(Trial *t, const void *sizes) {
  const Rope *c = sizes;
  size_t wide = 2 * c->heads * c->pairs;
  Tensor x = trial_view(t, c->rows, wide, 0.5, 1.0), f = frequencies(t, c->pairs);
  Tensor position = trial_indices(t, c->rows, positions);
  double *before = trial_copy(t, x), *expected = trial_copy(t, x);
  for (size_t n = 0; n < c->rows; n++)
    for (size_t h = 0; h < c->heads; h++)
      for (size_t i = 0; i < c->pairs; i++) {
        size_t at = n * wide + 2 * c->pairs * h + i;
        double angle = positions[n] * tensor_at(f, i, 0);
        expected[at] = before[at] * cos(angle) - before[at + c->pairs] * sin(angle);
        expected[at + c->pairs] = before[at + c->pairs] * cos(angle) + before[at] * sin(angle);
      }
  rope(&t->ops, x, position, f, false);
  expect_close(x, expected, 2, "rope");
  for (size_t j = 0; c->rows > 0 && j < wide; j++)
    cr_expect_eq(tensor_at(x, 0, j), before[j], "position 0 turns nothing");
  rope(&t->ops, x, position, f, true);
  expect_close(x, before, 4, "there and back");
}

Test(rope, turns_pairs_and_back) {
  static const Rope cases[] = {{7, 3, 5}, {1, 1, 1}, {0, 2, 3}, {7, 10, 128}};
  for (int i = 0; i < 4; i++)
    everywhere(turned, &cases[i]);
}

/* Rows of many samples share a table of positions: the same bytes as each row alone. */
static void shared(Trial *t, const void *sizes) {
  enum { ROWS = 40, LONGEST = 9, WIDE = 2 * 2 * 3 };
  (void)sizes;
  int32_t at[ROWS];
  for (int n = 0; n < ROWS; n++)
    at[n] = n % LONGEST;
  Tensor x = trial_view(t, ROWS, WIDE, 0.5, 1.0), y = trial_view(t, ROWS, WIDE, 0.0, 0.0), f = frequencies(t, 3);
  FOR_EACH(x, i, j)
  tensor_put(y, i, j, tensor_at(x, i, j));
  rope(&t->ops, x, trial_indices(t, ROWS, at), f, true);
  for (size_t n = 0; n < ROWS; n++)
    rope(&t->ops, tensor_rows(y, n, 1), trial_indices(t, 1, &at[n]), f, true);
  FOR_EACH(x, i, j)
  cr_assert_eq(tensor_at(x, i, j), tensor_at(y, i, j), "row %zu, column %zu", i, j);
}

Test(rope, of_many_samples_is_that_of_each_row) {
  everywhere(shared, NULL);
}

/* q'k depends on the difference of positions alone. */
static void relative_positions(Trial *t, const void *sizes) {
  static const int32_t near[] = {5, 2}, far[] = {1005, 1002};
  (void)sizes;
  Tensor x = trial_view(t, 2, 16, 0.3, 1.0), y = trial_view(t, 2, 16, 0.0, 0.0), f = frequencies(t, 8);
  double near_dot = 0.0, far_dot = 0.0;
  FOR_EACH(x, i, j)
  tensor_put(y, i, j, tensor_at(x, i, j));
  rope(&t->ops, x, trial_indices(t, 2, near), f, false);
  rope(&t->ops, y, trial_indices(t, 2, far), f, false);
  for (size_t j = 0; j < 16; j++) {
    near_dot += tensor_at(x, 0, j) * tensor_at(x, 1, j);
    far_dot += tensor_at(y, 0, j) * tensor_at(y, 1, j);
  }
  cr_expect(fabs(near_dot - far_dot) <= 8 * 4 * 16 * dtype_unit(t->ops.real), "%g, %g", near_dot, far_dot);
}

Test(rope, positions_are_relative) {
  once(relative_positions, NULL);
}

static void rope_as_torch(Trial *t, const void *sizes) {
  static const int32_t at[] = {0, 1, 5, 77, 2047, 131071};
  (void)sizes;
  Tensor x = trial_fixture_tensor(t, "rope_x");
  rope(&t->ops, x, trial_indices(t, 6, at), frequencies(t, 4), false);
  /* angles up to 131071 are known to half a unit of double: an error of 131071 2^-53 in both */
  expect_within_units(x, trial_fixture_numbers(t, "rope_y", NULL),
                      t->ops.real == DTYPE_F64 ? 2.0 * 131071 : 8 * sqrt(2.0), "rope");
}

Test(rope, is_as_in_torch) {
  everywhere(rope_as_torch, NULL);
}

/* ---- gather ---- */

enum { TABLE = 9, INDICES = 8 };
static const int32_t indices[INDICES] = {3, 0, -1, 8, 3, 3, -7, 1};

typedef struct Gather {
  size_t columns;
  Dtype dtype; /* DTYPE_COUNT: the backend's real */
} Gather;

static void gathered(Trial *t, const void *sizes) {
  const Gather *c = sizes;
  Dtype dtype = c->dtype == DTYPE_COUNT ? t->ops.real : c->dtype;
  Tensor table = trial_matrix(t, dtype, TABLE, c->columns, 0.5, 100.0), index = trial_indices(t, INDICES, indices);
  Tensor y = trial_view(t, INDICES, c->columns, NAN, 0.0), sum = trial_view(t, INDICES, c->columns, 0.2, 1.0);
  tensor_put(table, 0, 0, INFINITY);
  tensor_put(table, 1, 0, 1e-7); /* subnormal as a half */
  double *before = trial_copy(t, sum), *after = trial_copy(t, sum);
  gather_fwd(&t->ops, y, table, index, WRITE_SET);
  gather_fwd(&t->ops, sum, table, index, WRITE_ADD);
  FOR_EACH(y, i, j) {
    double expected = indices[i] < 0 ? 0.0 : tensor_at(table, (size_t)indices[i], j);
    cr_expect_eq(tensor_at(y, i, j), expected, "%s %zu %zu", dtype_name(dtype), i, j);
    after[i * c->columns + j] = before[i * c->columns + j] + expected;
    if (isinf(expected)) {
      cr_expect(isinf(tensor_at(sum, i, j)));
      tensor_put(sum, i, j, 0.0);
      after[i * c->columns + j] = 0.0;
    }
  }
  expect_close(sum, after, 1, "added");
}

Test(gather, takes_rows) {
  static const Gather cases[] = {{5, DTYPE_COUNT}, {5, DTYPE_F32},    {5, DTYPE_BF16},    {5, DTYPE_F16},
                                 {1, DTYPE_COUNT}, {259, DTYPE_BF16}, {2051, DTYPE_COUNT}};
  for (int i = 0; i < 7; i++)
    everywhere(gathered, &cases[i]);
}

typedef struct Embedding {
  Tensor table, index, y, dy, dtable;
} Embedding;

static void embed_back(Trial *t, void *context) {
  Embedding *s = context;
  gather_bwd(&t->ops, s->dtable, s->dy, s->index);
}

static double embedded(Trial *t, void *context) {
  Embedding *s = context;
  gather_fwd(&t->ops, s->y, s->table, s->index, WRITE_SET);
  return weighted_sum(s->y, s->dy);
}

static void gather_gradient(Trial *t, const void *sizes) {
  size_t columns = *(const size_t *)sizes;
  Embedding s = {trial_matrix(t, t->ops.real, TABLE, columns, 0.5, 1.0), trial_indices(t, INDICES, indices),
                 trial_view(t, INDICES, columns, NAN, 0.0), trial_view(t, INDICES, columns, 0.3, 1.0),
                 trial_view(t, TABLE, columns, 0.0, 0.0)};
  double *expected = trial_numbers(t, TABLE * columns);
  FOR_EACH(s.dy, i, j)
  if (indices[i] >= 0)
    expected[(size_t)indices[i] * columns + j] += tensor_at(s.dy, i, j);
  expect_adds(t, s.dtable, 3, embed_back, &s, "dtable");
  expect_close(s.dtable, expected, 3, "dtable");
  if (columns < 9)
    expect_gradient(t, s.dtable, s.table, 1e-3, embedded, &s, "dtable");
}

Test(gather, backward_adds_row_by_row) {
  static const size_t cases[] = {5, 1, 257, 2051};
  for (int i = 0; i < 4; i++)
    everywhere(gather_gradient, &cases[i]);
}

/* In the order of i: a large number, its negative and a small one. */
static void ordered(Trial *t, const void *sizes) {
  static const int32_t same[] = {1, 1, 1};
  (void)sizes;
  Tensor dy = trial_view(t, 3, 600, 0.0, 0.0), dtable = trial_view(t, 2, 600, 0.0, 0.0);
  FOR_EACH(dy, i, j)
  tensor_put(dy, i, j, i == 0 ? 1e30 : i == 1 ? -1e30 : 1.0);
  gather_bwd(&t->ops, dtable, dy, trial_indices(t, 3, same));
  FOR_EACH(dtable, i, j)
  cr_expect_eq(tensor_at(dtable, i, j), i == 1 ? 1.0 : 0.0);
}

Test(gather, backward_adds_in_order) {
  everywhere(ordered, NULL);
}

static void gather_as_torch(Trial *t, const void *sizes) {
  static const int32_t at[] = {3, 0, 3, 6, 3};
  (void)sizes;
  Tensor table = trial_fixture_tensor(t, "gather_table"), dy = trial_fixture_tensor(t, "gather_dy");
  Tensor y = trial_view(t, 5, 5, NAN, 0.0), dtable = trial_view(t, 7, 5, 0.0, 0.0), index = trial_indices(t, 5, at);
  gather_fwd(&t->ops, y, table, index, WRITE_SET);
  gather_bwd(&t->ops, dtable, dy, index);
  expect_close(y, trial_fixture_numbers(t, "gather_y", NULL), 1, "y");
  expect_close(dtable, trial_fixture_numbers(t, "gather_dtable", NULL), 3, "dtable");
}

Test(gather, is_as_in_torch) {
  everywhere(gather_as_torch, NULL);
}

/* ---- scatter ---- */

static void scattered(Trial *t, const void *sizes) {
  static const int32_t to[] = {4, -1, 0, 6, 2};
  size_t columns = *(const size_t *)sizes;
  Tensor x = trial_view(t, 5, columns, 0.5, 1.0), y = trial_view(t, 7, columns, -0.5, 1.0);
  Tensor back = trial_view(t, 5, columns, 0.0, 0.0), index = trial_indices(t, 5, to);
  double *expected = trial_copy(t, y), *gathered_back = trial_copy(t, x);
  FOR_EACH(x, i, j)
  if (to[i] >= 0)
    expected[(size_t)to[i] * columns + j] = tensor_at(x, i, j);
  else
    gathered_back[i * columns + j] = 0.0;
  scatter_fwd(&t->ops, y, x, index);
  expect_within_units(y, expected, 0.0, "scatter");
  gather_fwd(&t->ops, back, y, index, WRITE_ADD); /* y's rows lie apart: a table may be a view */
  expect_within_units(back, gathered_back, 0.0, "and back");
}

Test(scatter, puts_rows_and_gather_takes_them_back) {
  static const size_t cases[] = {1, 3, 4099};
  for (int i = 0; i < 3; i++)
    everywhere(scattered, &cases[i]);
}

/* ---- patches ---- */

typedef struct Patches {
  size_t pictures, across, patch;
} Patches;

static void patched(Trial *t, const void *sizes) {
  const Patches *c = sizes;
  size_t side = c->across * c->patch, square = c->patch * c->patch;
  Tensor picture = trial_fenced(t, t->ops.real, 4, (const size_t[]){c->pictures, 3, side, side}, 0);
  Tensor y = trial_view(t, c->pictures * c->across * c->across, 3 * square, NAN, 0.0);
  double *expected = trial_numbers(t, tensor_count(y));
  tensor_fill(picture, 0.5, 1.0, 3);
  for (size_t b = 0; b < c->pictures; b++)
    for (size_t channel = 0; channel < 3; channel++)
      for (size_t i = 0; i < side; i++)
        for (size_t j = 0; j < side; j++) {
          size_t row = (b * c->across + i / c->patch) * c->across + j / c->patch;
          size_t column = channel * square + i % c->patch * c->patch + j % c->patch;
          expected[row * 3 * square + column] = tensor_at(picture, b, (channel * side + i) * side + j);
        }
  patches_fwd(&t->ops, y, picture, c->patch);
  expect_within_units(y, expected, 0.0, "patches");
}

Test(patches, are_cut_row_by_row) {
  static const Patches cases[] = {{2, 3, 4}, {1, 1, 1}, {3, 1, 5}, {1, 7, 1}, {2, 6, 14}, {0, 2, 2}};
  for (int i = 0; i < 6; i++)
    everywhere(patched, &cases[i]);
}

static void patches_as_torch(Trial *t, const void *sizes) {
  (void)sizes;
  Tensor flat = trial_fixture_tensor(t, "patches_picture"), y = trial_view(t, 18, 12, NAN, 0.0);
  Tensor picture = tensor_make(flat.data, t->ops.real, 4, (const size_t[]){2, 3, 6, 6});
  patches_fwd(&t->ops, y, picture, 2);
  expect_close(y, trial_fixture_numbers(t, "patches_y", NULL), 1, "patches");
}

Test(patches, are_as_in_torch) {
  everywhere(patches_as_torch, NULL);
}

/* ---- mistakes ---- */

static void index_too_large(void) {
  static const int32_t at[] = {0, 9};
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  gather_fwd(&t.ops, trial_view(&t, 2, 3, 0.0, 0.0), trial_matrix(&t, DTYPE_F16, 9, 3, 0.0, 1.0),
             trial_indices(&t, 2, at), WRITE_SET);
}

static void index_beyond(void) {
  static const int32_t at[] = {0, 2};
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  scatter_fwd(&t.ops, trial_view(&t, 2, 3, 0.0, 0.0), trial_view(&t, 2, 3, 0.0, 1.0), trial_indices(&t, 2, at));
}

static void table_of_other_width(void) {
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  gather_bwd(&t.ops, trial_view(&t, 4, 2, 0.0, 0.0), trial_view(&t, 2, 3, 0.0, 1.0), trial_indices(&t, 2, NULL));
}

static void uneven_picture(void) {
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  patches_fwd(&t.ops, trial_view(&t, 4, 12, 0.0, 0.0), trial_fenced(&t, DTYPE_F32, 4, (const size_t[]){1, 3, 5, 5}, 0),
              2);
}

static void half_a_head(void) {
  Trial t;
  trial_open(&t, DTYPE_F32, 1);
  rope(&t.ops, trial_view(&t, 2, 10, 0.0, 1.0), trial_indices(&t, 2, positions), frequencies(&t, 2), false);
}

Test(rows, mistakes_stop) {
  expect_stop(index_too_large, "gather_fwd: index 1 is 9", "there are 9 rows");
  expect_stop(index_beyond, "scatter_fwd: index 1 is 2", "there are 2 rows");
  expect_stop(table_of_other_width, "dtable is F32 (4, 2)", "should be F32 (4, 3)");
  expect_stop(uneven_picture, "F32 (1, 3, 5, 5)", "S a multiple of 2");
  expect_stop(half_a_head, "10 columns", "heads of 4");
}
