/* test_operations.c: the checks that tests of operations rest on (operations.h) fail where they should. */
#include "operations.h"

static const Dtype reals[] = {DTYPE_F32, DTYPE_F64};

/* ---- the comparison ---- */

Test(operations, one_wrong_number_shows) {
  for (int r = 0; r < 2; r++) {
    Trial trial;
    size_t worst = 0;
    trial_open(&trial, reals[r], 1);
    Tensor x = trial_view(&trial, 5, 7, 0.5, 1.0);
    double *expected = trial_copy(&trial, x), unit = dtype_unit(reals[r]);
    cr_expect_eq(tensor_error(x, expected, 8 * unit, NULL), 0.0);
    for (size_t k = 0; k < 35; k++) {
      double kept = tensor_at(x, k / 7, k % 7);
      tensor_put(x, k / 7, k % 7, kept + 40 * unit * (fabs(kept) + 1.0));
      cr_expect_gt(tensor_error(x, expected, 8 * unit, &worst), 1.0, "number %zu", k);
      cr_expect_eq(worst, k);
      tensor_put(x, k / 7, k % 7, NAN);
      cr_expect_eq(tensor_error(x, expected, 8 * unit, &worst), INFINITY, "number %zu", k);
      cr_expect_eq(worst, k);
      tensor_put(x, k / 7, k % 7, INFINITY);
      cr_expect_eq(tensor_error(x, expected, 8 * unit, NULL), INFINITY);
      tensor_put(x, k / 7, k % 7, kept);
    }
    expected[3] = NAN;
    cr_expect_eq(tensor_error(x, expected, 8 * unit, NULL), INFINITY, "nothing is known to be right");
    trial_close(&trial);
  }
}

Test(operations, an_output_that_was_not_written_shows) {
  Trial trial;
  double zero[6] = {0.0};
  trial_open(&trial, DTYPE_F32, 1);
  Tensor y = trial_view(&trial, 2, 3, NAN, 0.0);
  cr_expect_eq(tensor_error(y, zero, 1.0, NULL), INFINITY);
  tensor_fill(y, 0.0, 0.0, 1);
  cr_expect_eq(tensor_error(y, zero, 0.0, NULL), 0.0);
  tensor_put(y, 1, 2, 1e-30);
  cr_expect_eq(tensor_error(y, zero, 1.0, NULL), INFINITY, "zeros must be zeros");
  trial_close(&trial);
}

/* ---- guards ---- */

Test(operations, a_write_beside_a_tensor_shows) {
  for (int threads = 1; threads <= 2; threads++) { /* both kinds of guards */
    Trial trial;
    trial_open(&trial, DTYPE_F32, threads);
    Tensor x = trial_view(&trial, 3, 5, 0.0, 1.0);
    cr_expect(trial_intact(&trial));
    for (int i = -2; i < 20; i++)
      for (int j = 5; j < 8; j++) {
        float *beside = (float *)x.data + i * 8 + j;
        if (beside < (float *)x.data - 16 || beside >= (float *)x.data + 3 * 8 + 16)
          continue;
        *beside = 0.5F;
        cr_expect_not(trial_intact(&trial), "row %d, column %d, %d threads", i, j, threads);
        memset(beside, trial.guard, sizeof *beside);
      }
    cr_expect(trial_intact(&trial));
    if (threads == 2) {
      ((float *)x.data)[5] += 0.5F;
      cr_expect_not(trial_intact(&trial), "what is added shows too");
      memset((float *)x.data + 5, trial.guard, sizeof(float));
    } else
      cr_expect(isnan(((float *)x.data)[5]), "what is read shows");
    trial_close(&trial);
  }
}

Test(operations, other_bytes_show) {
  Trial one, two;
  trial_open(&one, DTYPE_F32, 1);
  trial_open(&two, DTYPE_F32, 2);
  Tensor x = trial_view(&one, 3, 5, 0.0, 1.0);
  trial_view(&two, 3, 5, 0.0, 1.0);
  cr_expect(trial_alike(&one, &two), "guards may differ");
  ((unsigned char *)tensor_place(x, 2, 4))[0] ^= 1;
  cr_expect_not(trial_alike(&one, &two), "one bit of the last number");
  ((unsigned char *)tensor_place(x, 2, 4))[0] ^= 1;
  trial_view(&one, 1, 1, 0.0, 1.0);
  cr_expect_not(trial_alike(&one, &two));
  trial_close(&one);
  trial_close(&two);
}

/* ---- differences ---- */

typedef struct Cubes {
  Tensor x, y, weight;
} Cubes;

/* sum weight exp(x), y = exp(x) */
static double exponentials(Trial *trial, void *context) {
  (void)trial;
  Cubes *c = context;
  FOR_EACH(c->x, i, j)
  tensor_put(c->y, i, j, exp(tensor_at(c->x, i, j)));
  return weighted_sum(c->y, c->weight);
}

Test(operations, the_difference_is_the_slope) {
  Trial trial;
  trial_open(&trial, DTYPE_F64, 1);
  Cubes c = {trial_view(&trial, 4, 3, 0.2, 1.0), trial_view(&trial, 4, 3, NAN, 0.0),
             trial_view(&trial, 4, 3, 0.0, 1.0)};
  double largest = 0.0;
  FOR_EACH(c.x, i, j) {
    double slope = central_difference(&trial, c.x, i, j, 1e-3, exponentials, &c);
    double exact = tensor_at(c.weight, i, j) * exp(tensor_at(c.x, i, j));
    largest = fmax(largest, fabs(slope - exact) / (fabs(exact) + 1.0));
  }
  cr_expect_leq(largest, 1e-11, "%g", largest);
  trial_close(&trial);
}
