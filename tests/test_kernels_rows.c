/* test_kernels_rows.c: rows.cu where the tests of operations do not go: chains of equal indices through many blocks and
 * tiles, and an index that is too large. */
#include "operations.h"

enum { ROWS = 611, TABLE_ROWS = 7, COLUMNS = 3 };

static void chained(Trial *t, const void *sizes) {
  int32_t index[ROWS];
  (void)sizes;
  for (int i = 0; i < ROWS; i++)
    index[i] = i == 0 || i == ROWS - 1 ? 6 : i % 11 == 3 ? -1 : i * i % 6; /* 6: the first and the last alone */
  Tensor dy = trial_view(t, ROWS, COLUMNS, 0.3, 1.0), dtable = trial_view(t, TABLE_ROWS, COLUMNS, 0.5, 1.0);
  double *expected = trial_copy(t, dtable);
  FOR_EACH(dy, i, j)
  if (index[i] >= 0)
    expected[(size_t)index[i] * COLUMNS + j] += tensor_at(dy, i, j);
  gather_bwd(&t->ops, dtable, dy, trial_indices(t, ROWS, index));
  expect_close(dtable, expected, ROWS, "dtable");
}

Test(kernels_rows, gather_backward_follows_long_chains) {
  everywhere(chained, NULL);
}

Test(kernels_rows, an_index_too_large_is_a_fault) {
  static const int32_t at[] = {0, 9};
  static Trial t;
  trial_open_stand_in(&t, STAND_IN_FORWARD);
  gather_fwd(&t.ops, trial_view(&t, 2, 3, 0.0, 0.0), trial_matrix(&t, DTYPE_F16, 9, 3, 0.0, 1.0),
             trial_indices(&t, 2, at), WRITE_SET);
  Status status = ops_status(&t.ops);
  cr_expect_eq(status.code, STATUS_UNAVAILABLE);
  expect_contains(status.message, "it trapped at rows.cu:");
  trial_close(&t);
}
