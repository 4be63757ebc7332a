/* test_problem.c: every kind of X against X written out, its loss against long double, its truth, and what it refuses.
 *
 * The excess L - L* is reached in double with a relative error of about u/e at a distance e from the optimum (u =
 * 2^-53: the state and X are only known to u); the tests allow 10 u/e. */
#include "problem.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "npy.h"
#include "runs.h"
#include "scratch.h"

enum { MOST = 40 }; /* rows or columns of a matrix written out here */

static const double LIMIT = 1e-13; /* of what is summed over fewer than 2000 products of size 1, relative */

typedef long double Wide;

/* X, row-major, in long double. */
static void write_out_bilinear(const Problem *problem, Wide *x) {
  const double *a, *b;
  problem_vectors(problem, &a, &b);
  size_t d = problem->rows;
  for (size_t i = 0; i < d; i++)
    for (size_t j = 0; j < d; j++)
      x[i * d + j] = (Wide)a[i] * b[j] + (Wide)b[i] * a[j];
}

static void widen(const double *values, size_t count, Wide *x) {
  for (size_t i = 0; i < count; i++)
    x[i] = values[i];
}

/* 1/2 |U V' - X|^2, entry by entry. */
static Wide loss_of(const Problem *problem, const Wide *x, const double *u, const double *v) {
  Wide sum = 0;
  for (size_t i = 0; i < problem->rows; i++)
    for (size_t j = 0; j < problem->columns; j++) {
      Wide entry = -x[i * problem->columns + j];
      for (size_t k = 0; k < problem->rank; k++)
        entry += (Wide)u[k * problem->rows + i] * v[k * problem->columns + j];
      sum += entry * entry;
    }
  return sum / 2;
}

/* X f or X'f. */
static void image_of(const Problem *problem, const Wide *x, Side side, const double *factor, double *image) {
  size_t from = side == SIDE_V ? problem->columns : problem->rows;
  size_t to = side == SIDE_V ? problem->rows : problem->columns;
  for (size_t k = 0; k < problem->rank; k++)
    for (size_t i = 0; i < to; i++) {
      Wide sum = 0;
      for (size_t j = 0; j < from; j++)
        sum += (side == SIDE_V ? x[i * problem->columns + j] : x[j * problem->columns + i]) * factor[k * from + j];
      image[k * to + i] = (double)sum;
    }
}

/* ---- products ---- */

static void check_apply(const Problem *problem, const Wide *x, uint64_t seed) {
  double factor[3 * MOST], image[3 * MOST], expected[3 * MOST];
  for (int side = 0; side < 2; side++) {
    size_t from = side == SIDE_V ? problem->columns : problem->rows;
    size_t to = side == SIDE_V ? problem->rows : problem->columns;
    fill_normal(factor, from * problem->rank, 1.0, seed + (uint64_t)side);
    problem->type->apply(problem, (Side)side, factor, image);
    image_of(problem, x, (Side)side, factor, expected);
    expect_within(difference(image, expected, to * problem->rank), LIMIT, "%s %zu x %zu side %d", problem->type->name,
                  problem->rows, problem->columns, side);
  }
}

Test(problem, bilinear_is_x_written_out) {
  const size_t sizes[] = {2, 3, 7, 33};
  for (int i = 0; i < 4; i++) {
    Problem problem;
    Wide x[MOST * MOST];
    assert_ok(problem_bilinear_random(&problem, sizes[i], 0.3 - 0.2 * i, 11));
    write_out_bilinear(&problem, x);
    check_apply(&problem, x, 5);
    problem_free(&problem);
  }
}

Test(problem, bilinear_products_and_updates) {
  Problem problem;
  Wide x[MOST * MOST];
  const double *a, *b, scale = 0.7, gain = -1.3;
  double f[7], g[7], image[2], gram, expected[7], images[2] = {0.0, 0.0}, norm2 = 0.0;
  assert_ok(problem_bilinear_random(&problem, 7, -0.4, 3));
  problem_vectors(&problem, &a, &b);
  write_out_bilinear(&problem, x);
  fill_normal(f, 7, 1.0, 1);
  fill_normal(g, 7, 1.0, 2);
  for (int i = 0; i < 7; i++) {
    images[0] += a[i] * f[i];
    images[1] += b[i] * f[i];
    norm2 += f[i] * f[i];
  }
  Product product = {image, &gram};
  problem.type->product(&problem, SIDE_V, f, &product);
  expect_within(difference(image, images, 2), LIMIT, "a'f and b'f");
  expect_within(relative(gram, norm2), LIMIT, "f'f");
  image_of(&problem, x, SIDE_V, f, expected);
  for (int i = 0; i < 7; i++)
    expected[i] = scale * g[i] + gain * expected[i];
  problem.type->update(&problem, SIDE_U, g, &scale, &product, &gain);
  expect_within(difference(g, expected, 7), LIMIT, "s g + t X f");
  problem_free(&problem);
}

Test(problem, reduced_is_diagonal) {
  const double cosines[] = {0.6, -0.6, 0.0};
  for (int i = 0; i < 3; i++) {
    Problem problem;
    double c = cosines[i];
    const Wide x[9] = {1.0 + c, 0, 0, 0, -(1.0 - c), 0, 0, 0, 0};
    assert_ok(problem_reduced(&problem, c));
    check_apply(&problem, x, 7);
    problem_free(&problem);
  }
}

Test(problem, random_vectors_are_unit_at_the_angle) {
  const double cosines[] = {0.0, 0.5, -0.999, 0.9999999};
  const size_t sizes[] = {2, 3, 1000};
  for (int i = 0; i < 12; i++) {
    Problem problem, again;
    const double *a, *b, *a2, *b2;
    assert_ok(problem_bilinear_random(&problem, sizes[i / 4], cosines[i % 4], 21));
    assert_ok(problem_bilinear_random(&again, sizes[i / 4], cosines[i % 4], 21));
    problem_vectors(&problem, &a, &b);
    problem_vectors(&again, &a2, &b2);
    Wide norm2_a = 0, norm2_b = 0, cosine = 0;
    for (size_t j = 0; j < problem.rows; j++) {
      norm2_a += (Wide)a[j] * a[j];
      norm2_b += (Wide)b[j] * b[j];
      cosine += (Wide)a[j] * b[j];
    }
    expect_within(fabs((double)(norm2_a - 1)), 1e-15, "|a|");
    expect_within(fabs((double)(norm2_b - 1)), 1e-15, "|b|");
    expect_within(fabs((double)(cosine - cosines[i % 4])), 1e-15, "a'b");
    expect_within(fabs((double)(cosine - problem.cosine)), 1.2e-16, "the problem's own c");
    cr_expect_arr_eq(a, a2, problem.rows * sizeof *a);
    cr_expect_arr_eq(b, b2, problem.rows * sizeof *b, "the same seed");
    problem_free(&problem);
    problem_free(&again);
  }
}

/* ---- matrices ---- */

/* A dense problem with Gaussian entries, and X in long double. */
static void gaussian_matrix(Problem *problem, size_t rows, size_t columns, size_t rank, uint64_t seed, Wide *x) {
  double values[MOST * MOST];
  fill_normal(values, rows * columns, 1.0, seed);
  widen(values, rows * columns, x);
  assert_ok(problem_dense(problem, rows, columns, values, rank, true));
}

typedef struct Shape {
  size_t rows, columns, rank;
} Shape;

static const Shape shapes[] = {{1, 1, 1}, {1, 6, 1}, {6, 1, 1},  {2, 2, 2},  {7, 4, 1},   {4, 7, 2},
                               {7, 4, 3}, {7, 4, 4}, {5, 13, 5}, {33, 9, 3}, {39, 40, 39}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

Test(problem, dense_is_x_written_out) {
  for (int i = 0; i < SHAPES; i++) {
    Problem problem;
    Wide x[MOST * MOST];
    if (shapes[i].rank > 3)
      continue; /* check_apply has room for three columns */
    gaussian_matrix(&problem, shapes[i].rows, shapes[i].columns, shapes[i].rank, 31, x);
    check_apply(&problem, x, 9);
    problem_free(&problem);
  }
}

/* Some triplets of a 7 x 5 matrix, four of them at the same place. */
enum { ENTRIES = 12 };
static const size_t entry_row[ENTRIES] = {0, 6, 3, 3, 2, 3, 5, 1, 3, 4, 0, 0};
static const size_t entry_column[ENTRIES] = {0, 4, 2, 2, 1, 2, 0, 3, 2, 4, 0, 2};
static const double entry_value[ENTRIES] = {1.5, -2, 0.25, 1, 3, -0.125, 0.75, 2, 4, -1, 0.5, 0};

Test(problem, sparse_is_the_dense_of_its_triplets) {
  Problem sparse, dense;
  Measure of_sparse, of_dense;
  Wide x[35];
  double values[35] = {0.0}, u[14], v[10];
  for (int i = 0; i < ENTRIES; i++)
    values[entry_row[i] * 5 + entry_column[i]] += entry_value[i];
  assert_ok(problem_sparse(&sparse, 7, 5, ENTRIES, entry_row, entry_column, entry_value, 2, true));
  assert_ok(problem_dense(&dense, 7, 5, values, 2, true));
  widen(values, 35, x);
  check_apply(&sparse, x, 13);
  fill_normal(u, 14, 1.0, 1);
  fill_normal(v, 10, 1.0, 2);
  problem_measure(&sparse, u, v, &of_sparse);
  problem_measure(&dense, u, v, &of_dense);
  expect_within(difference(sparse.truth.sigma, dense.truth.sigma, 2), LIMIT, "singular values");
  expect_within(relative(sparse.truth.half_norm2, dense.truth.half_norm2), LIMIT, "|X|^2/2");
  expect_within(relative(of_sparse.loss, of_dense.loss), LIMIT, "loss");
  expect_within(relative(of_sparse.excess, of_dense.excess), LIMIT, "excess");
  expect_within(relative(of_sparse.alignment, of_dense.alignment), 1e-12, "alignment");
  problem_free(&sparse);
  problem_free(&dense);
}

/* ---- loss ---- */

/* problem_measure and problem_loss_direct against long double, from a Gaussian state. */
static void check_loss(const Problem *problem, const Wide *x, uint64_t seed) {
  double u[MOST * MOST], v[MOST * MOST];
  Measure measure;
  fill_normal(u, problem->rows * problem->rank, 0.8, seed);
  fill_normal(v, problem->columns * problem->rank, 0.8, seed + 1);
  double expected = (double)loss_of(problem, x, u, v), direct = problem_loss_direct(problem, u, v), norm2_u = 0.0;
  for (size_t i = 0; i < problem->rows * problem->rank; i++)
    norm2_u += u[i] * u[i];
  problem_measure(problem, u, v, &measure);
  const char *name = problem->type->name;
  size_t rank = problem->rank, rows = problem->rows;
  expect_within(relative(measure.loss, expected), 10 * LIMIT, "%s %zu rank %zu: loss", name, rows, rank);
  expect_within(relative(direct, expected), 10 * LIMIT, "%s %zu rank %zu: direct", name, rows, rank);
  expect_within(fabs(measure.loss - measure.excess - problem->truth.optimum), 1e-12 * expected, "%s: excess", name);
  expect_within(relative(measure.norm_u, sqrt(norm2_u)), LIMIT, "%s: |U|", name);
  cr_expect(measure.alignment >= 0.0 && measure.alignment <= 1.0 + 1e-15, "%s: alignment %g", name, measure.alignment);
}

Test(problem, loss_of_vectors_is_its_definition) {
  const size_t sizes[] = {2, 3, 7, 33};
  const double cosines[] = {0.5, -0.8, 0.0, 0.01};
  for (int i = 0; i < 16; i++) {
    Problem problem;
    Wide x[MOST * MOST];
    assert_ok(problem_bilinear_random(&problem, sizes[i / 4], cosines[i % 4], 41 + (uint64_t)i));
    write_out_bilinear(&problem, x);
    check_loss(&problem, x, (uint64_t)i);
    problem_free(&problem);
  }
}

Test(problem, loss_of_six_numbers_is_its_definition) {
  const double cosines[] = {0.5, -0.8, 0.0, 0.999};
  for (int i = 0; i < 4; i++) {
    Problem problem;
    const Wide x[9] = {1.0 + cosines[i], 0, 0, 0, cosines[i] - 1.0, 0, 0, 0, 0};
    assert_ok(problem_reduced(&problem, cosines[i]));
    check_loss(&problem, x, 50 + (uint64_t)i);
    problem_free(&problem);
  }
}

Test(problem, loss_of_matrices_is_its_definition) {
  for (int i = 0; i < SHAPES; i++) {
    Problem problem;
    Wide x[MOST * MOST];
    gaussian_matrix(&problem, shapes[i].rows, shapes[i].columns, shapes[i].rank, 61 + (uint64_t)i, x);
    check_loss(&problem, x, 70 + (uint64_t)i);
    problem_free(&problem);
  }
}

Test(problem, loss_without_truth) {
  Problem problem;
  Measure measure;
  double values[35], u[14], v[10];
  Wide x[35];
  fill_normal(values, 35, 1.0, 81);
  fill_normal(u, 14, 1.0, 82);
  fill_normal(v, 10, 1.0, 83);
  widen(values, 35, x);
  assert_ok(problem_dense(&problem, 7, 5, values, 2, false));
  problem_measure(&problem, u, v, &measure);
  cr_expect_not(problem.has_truth);
  expect_within(relative(measure.loss, (double)loss_of(&problem, x, u, v)), 10 * LIMIT, "loss");
  cr_expect(isnan(measure.excess) && isnan(measure.alignment) && isnan(measure.tau) && isnan(measure.nu));
  problem_free(&problem);
  assert_ok(problem_sparse(&problem, 7, 5, ENTRIES, entry_row, entry_column, entry_value, 2, false));
  problem_measure(&problem, u, v, &measure);
  expect_within(relative(measure.loss, problem_loss_direct(&problem, u, v)), 10 * LIMIT, "loss, sparse");
  cr_expect(isnan(measure.excess));
  problem_free(&problem);
}

Test(problem, coordinates_are_those_of_the_paper) {
  Problem problem;
  Measure measure;
  const double *a, *b, tau = 0.7, nu = -0.2;
  double u[9], c;
  assert_ok(problem_bilinear_random(&problem, 9, 0.3, 91));
  problem_vectors(&problem, &a, &b);
  c = problem.cosine;
  for (int i = 0; i < 9; i++) /* u = A (tau w+ + nu w-) */
    u[i] = M_SQRT1_2 * (tau * (a[i] + b[i]) + nu * (a[i] - b[i]));
  problem_measure(&problem, u, u, &measure);
  expect_within(relative(measure.tau, tau), LIMIT, "tau");
  expect_within(relative(measure.nu, nu), LIMIT, "nu");
  expect_within(relative(measure.norm_u, sqrt((1 + c) * tau * tau + (1 - c) * nu * nu)), LIMIT, "Eq. 4");
  expect_within(relative(measure.alignment, sqrt(1 + c) * tau / measure.norm_u), LIMIT, "alignment with p");
  problem_free(&problem);
}

/* ---- near the optimum ---- */

/* sum of sigma[k] left[k] right[k]', the vectors orthonormal. */
typedef struct Part {
  size_t count;
  Wide sigma[4], left[4][MOST], right[4][MOST];
} Part;

static Wide part_entry(const Part *part, size_t i, size_t j) {
  Wide sum = 0;
  for (size_t k = 0; k < part->count; k++)
    sum += part->sigma[k] * part->left[k][i] * part->right[k][j];
  return sum;
}

static Wide along(const Wide *direction, const double *column, size_t count) {
  Wide sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += direction[i] * column[i];
  return sum;
}

/* L - L* without cancellation, for X = top + rest with orthogonal parts: 1/2 |U V' - top|^2 - <U V', rest>. */
static Wide excess_of(const Problem *problem, const Part *top, const Part *rest, const double *u, const double *v) {
  size_t rows = problem->rows, columns = problem->columns;
  Wide x[MOST * MOST], cross = 0;
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++)
      x[i * columns + j] = part_entry(top, i, j);
  for (size_t k = 0; k < rest->count; k++)
    for (size_t l = 0; l < problem->rank; l++)
      cross +=
          rest->sigma[k] * along(rest->left[k], u + l * rows, rows) * along(rest->right[k], v + l * columns, columns);
  return loss_of(problem, x, u, v) - cross;
}

static void check_excess(const Problem *problem, const Part *top, const Part *rest, const double *u, const double *v,
                         double distance) {
  Measure measure;
  problem_measure(problem, u, v, &measure);
  double expected = (double)excess_of(problem, top, rest, u, v);
  expect_within(relative(measure.excess, expected), fmax(10 * 1.1e-16 / distance, 1e-13),
                "%s, c = %g, excess %g at distance %g", problem->type->name, problem->cosine, expected, distance);
}

static const double distances[] = {0.5, 1e-2, 1e-3, 1e-5, 1e-7};
enum { DISTANCES = sizeof distances / sizeof *distances };

Test(problem, excess_of_six_numbers_near_the_optimum) {
  const double cosines[] = {0.5, -0.3, 0.9, -0.999};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < DISTANCES; j++) {
      Problem problem;
      double c = cosines[i], off[6];
      const Part of_p = {1, {1 + (Wide)c}, {{1, 0, 0}}, {{1, 0, 0}}};
      const Part of_q = {1, {(Wide)c - 1}, {{0, 1, 0}}, {{0, 1, 0}}};
      Reduced state = balanced(c);
      fill_normal(off, 6, distances[j], 100 + (uint64_t)i);
      for (int k = 0; k < 3; k++) {
        state.x[k] += off[k];
        state.y[k] += off[k + 3];
      }
      assert_ok(problem_reduced(&problem, c));
      check_excess(&problem, c > 0 ? &of_p : &of_q, c > 0 ? &of_q : &of_p, state.x, state.y, distances[j]);
      problem_free(&problem);
    }
}

/* (a + sign b)(a + sign b)' sign / 2: (1+c) pp' for 1, -(1-c) qq' for -1. */
static Part part_of_vectors(const Problem *problem, int sign) {
  const double *a, *b;
  Part part = {1, {(Wide)sign / 2}, {{0}}, {{0}}};
  problem_vectors(problem, &a, &b);
  for (size_t i = 0; i < problem->rows; i++)
    part.left[0][i] = part.right[0][i] = (Wide)a[i] + sign * (Wide)b[i];
  return part;
}

Test(problem, excess_of_vectors_near_the_optimum) {
  const size_t sizes[] = {2, 3, 33};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < DISTANCES; j++) {
      Problem problem;
      double u[MOST], v[MOST];
      assert_ok(problem_bilinear_random(&problem, sizes[i], 0.35, 110 + (uint64_t)i));
      Part top = part_of_vectors(&problem, 1), rest = part_of_vectors(&problem, -1);
      fill_normal(u, sizes[i], distances[j], 1);
      fill_normal(v, sizes[i], distances[j], 2);
      for (size_t k = 0; k < sizes[i]; k++) {
        u[k] += M_SQRT1_2 * (double)top.left[0][k]; /* sqrt(1+c) p */
        v[k] += M_SQRT1_2 * (double)top.left[0][k];
      }
      check_excess(&problem, &top, &rest, u, v, distances[j]);
      problem_free(&problem);
    }
}

/* Columns of Hadamard matrices of orders 16 and 4, over 4 and 2, are exactly orthonormal in binary. */
static double hadamard(size_t i, size_t j, double norm) {
  return (__builtin_popcountll(i & j) % 2 ? -1.0 : 1.0) / norm;
}

enum { HIGH = 16, LOW = 4 };
static const double exact_sigma[LOW] = {5, 3, 2, 0.5};

/* Singular triples first <= k < end of a 16 x 4 matrix. */
static Part exact_part(size_t first, size_t end) {
  Part part = {.count = end - first};
  for (size_t k = first; k < end; k++) {
    part.sigma[k - first] = exact_sigma[k];
    for (size_t i = 0; i < HIGH; i++)
      part.left[k - first][i] = hadamard(i, k + 3, 4.0);
    for (size_t j = 0; j < LOW; j++)
      part.right[k - first][j] = hadamard(j, k, 2.0);
  }
  return part;
}

static void exact_matrix(Problem *problem, size_t rank) {
  double x[HIGH * LOW];
  Part whole = exact_part(0, LOW);
  for (size_t i = 0; i < HIGH; i++)
    for (size_t j = 0; j < LOW; j++)
      x[i * LOW + j] = (double)part_entry(&whole, i, j);
  assert_ok(problem_dense(problem, HIGH, LOW, x, rank, true));
}

/* U = P sqrt(Sigma) + noise, V = Q sqrt(Sigma) + noise. */
static void exact_factors(size_t rank, double noise, double *u, double *v) {
  Part top = exact_part(0, rank);
  fill_normal(u, HIGH * rank, noise, 121);
  fill_normal(v, LOW * rank, noise, 122);
  for (size_t k = 0; k < rank; k++) {
    for (size_t i = 0; i < HIGH; i++)
      u[k * HIGH + i] += sqrt(exact_sigma[k]) * (double)top.left[k][i];
    for (size_t j = 0; j < LOW; j++)
      v[k * LOW + j] += sqrt(exact_sigma[k]) * (double)top.right[k][j];
  }
}

Test(problem, excess_of_matrices_near_the_optimum) {
  for (size_t rank = 1; rank <= LOW; rank++)
    for (int j = 0; j < DISTANCES; j++) {
      Problem problem;
      double u[HIGH * LOW], v[LOW * LOW];
      Part top = exact_part(0, rank), rest = exact_part(rank, LOW);
      exact_matrix(&problem, rank);
      exact_factors(rank, distances[j], u, v);
      check_excess(&problem, &top, &rest, u, v, distances[j] / 5.0); /* singular values up to 5 */
      problem_free(&problem);
    }
}

static void expect_optimal(const Problem *problem, const double *u, const double *v) {
  Measure measure;
  problem_measure(problem, u, v, &measure);
  cr_expect(measure.excess >= -1e-30 && measure.excess <= 1e-28, "%s, c = %g, rank %zu: excess %g", problem->type->name,
            problem->cosine, problem->rank, measure.excess);
  expect_within(relative(measure.loss + 1.0, problem->truth.optimum + 1.0), 1e-15, "loss");
  expect_within(fabs(measure.alignment - 1.0), 1e-15, "alignment");
}

Test(problem, nothing_is_left_at_the_optimum) {
  const double cosines[] = {0.5, -0.3, 0.01, -0.999, 0.0};
  for (int i = 0; i < 5; i++) {
    Problem problem;
    Reduced state = balanced(cosines[i]);
    assert_ok(problem_reduced(&problem, cosines[i]));
    expect_optimal(&problem, state.x, state.y);
    problem_free(&problem);
  }
  for (size_t rank = 1; rank <= LOW; rank++) {
    Problem problem;
    double u[HIGH * LOW], v[LOW * LOW];
    exact_matrix(&problem, rank);
    exact_factors(rank, 0.0, u, v);
    expect_optimal(&problem, u, v);
    problem_free(&problem);
  }
}

Test(problem, nothing_is_left_at_the_optimum_in_full_dimension) {
  const double signs[] = {1.0, -1.0};
  for (int s = 0; s < 2; s++) {
    Problem problem;
    const double *a, *b;
    double u[1001], v[1001];
    assert_ok(problem_bilinear_random(&problem, 1001, 0.4 * signs[s], 131));
    problem_vectors(&problem, &a, &b);
    for (int i = 0; i < 1001; i++) {
      u[i] = M_SQRT1_2 * (a[i] + signs[s] * b[i]);
      v[i] = signs[s] * u[i];
    }
    expect_optimal(&problem, u, v);
    problem_free(&problem);
  }
}

/* ---- truth ---- */

Test(problem, truth_of_vectors_is_that_of_x_written_out) {
  const double cosines[] = {0.5, -0.3, 0.0};
  for (int i = 0; i < 3; i++) {
    Problem problem, dense;
    Wide x[81];
    double values[81];
    assert_ok(problem_bilinear_random(&problem, 9, cosines[i], 141));
    write_out_bilinear(&problem, x);
    for (int k = 0; k < 81; k++)
      values[k] = (double)x[k];
    assert_ok(problem_dense(&dense, 9, 9, values, 1, true));
    cr_expect_eq(dense.truth.kept, problem.truth.kept, "c = %g", cosines[i]);
    cr_expect_eq(problem.truth.kept, cosines[i] == 0.0 ? 2 : 1);
    expect_within(difference(problem.truth.sigma, dense.truth.sigma, dense.truth.kept), 1e-14, "sigma");
    expect_within(fabs(problem.truth.optimum - dense.truth.optimum), 1e-14, "least loss");
    expect_within(fabs(problem.truth.half_norm2 - dense.truth.half_norm2), 1e-14, "|X|^2/2");
    problem_free(&problem);
    problem_free(&dense);
  }
}

Test(problem, truth_of_an_exact_matrix) {
  for (size_t rank = 1; rank <= LOW; rank++) {
    Problem problem;
    double tail = 0.0;
    for (size_t k = rank; k < LOW; k++)
      tail += 0.5 * exact_sigma[k] * exact_sigma[k];
    exact_matrix(&problem, rank);
    cr_expect_eq(problem.truth.kept, rank);
    expect_within(difference(problem.truth.sigma, exact_sigma, rank), 1e-14, "sigma");
    expect_within(fabs(problem.truth.optimum - tail), 1e-14, "least loss");
    cr_expect_eq(problem.truth.half_norm2, 0.5 * (25 + 9 + 4 + 0.25));
    problem_free(&problem);
  }
}

/* At c = 0 every unit direction of span{p, q} is as good as another. */
Test(problem, tie_of_vectors) {
  Problem problem;
  assert_ok(problem_reduced(&problem, 0.0));
  for (int i = 0; i < 8; i++) {
    Measure measure;
    double angle = 0.4 + i, u[3] = {2.0 * cos(angle), 2.0 * sin(angle), 0.0},
           v[3] = {0.5 * cos(angle), -0.5 * sin(angle), 0.0};
    problem_measure(&problem, u, v, &measure);
    expect_within(fabs(measure.excess), 1e-15, "excess at angle %g", angle);
    expect_within(fabs(measure.alignment - 1.0), 1e-15, "alignment at angle %g", angle);
    u[2] = 2.0; /* half outside */
    problem_measure(&problem, u, v, &measure);
    expect_within(fabs(measure.alignment - M_SQRT1_2), 1e-15, "alignment at angle %g, half outside", angle);
  }
  problem_free(&problem);
}

/* diag(4, 3, 3, 3, 1): of rank 2 the best holds the first direction and any one of the next three. */
Test(problem, tie_of_a_matrix) {
  Problem problem;
  Measure measure;
  double x[30] = {[0] = 4, [6] = 3, [12] = 3, [18] = 3, [24] = 1};
  double u[12] = {4, 0, 0, 0, 0, 0, 0, 1.8, 2.4, 0, 0, 0}, v[10] = {1, 0, 0, 0, 0, 0, 0.6, 0.8, 0, 0};
  assert_ok(problem_dense(&problem, 6, 5, x, 2, true));
  cr_expect_eq(problem.truth.kept, 4);
  problem_measure(&problem, u, v, &measure);
  expect_within(fabs(measure.excess), 1e-14, "excess");
  expect_within(fabs(measure.alignment - 1.0), 1e-15, "alignment");
  u[7] = 0.0, u[10] = 1.8, v[6] = 0.0, v[9] = 0.6; /* 3/5 of the second along the smallest */
  problem_measure(&problem, u, v, &measure);
  expect_within(fabs(measure.alignment - 0.8), 1e-15, "alignment");
  problem_free(&problem);
}

/* The largest angle counts, whatever basis of the space U has. */
Test(problem, alignment_is_the_cosine_of_the_largest_angle) {
  Problem problem;
  Measure measure;
  double x[30] = {[0] = 4, [6] = 3, [12] = 2}, v[10] = {0.0}, angle = 0.7;
  double p[6] = {1, 0, 0, 0, 0, 0}, r[6] = {0, cos(angle), 0, sin(angle), 0, 0}, u[12];
  for (int i = 0; i < 6; i++) {
    u[i] = 3.0 * p[i] + 2.0 * r[i];
    u[6 + i] = -1.0 * p[i] + 0.5 * r[i];
  }
  assert_ok(problem_dense(&problem, 6, 5, x, 2, true));
  problem_measure(&problem, u, v, &measure);
  expect_within(relative(measure.alignment, cos(angle)), 1e-14, "alignment");
  memset(u + 6, 0, 6 * sizeof *u);
  problem_measure(&problem, u, v, &measure);
  cr_expect_eq(measure.alignment, 0.0, "a column is missing");
  problem_free(&problem);
}

Test(problem, zero_matrix) {
  Problem dense, sparse;
  Measure measure;
  double x[12] = {0.0}, u[3] = {1, 2, 2}, v[4] = {0, 0, 2, 0}, zero[4] = {0.0};
  assert_ok(problem_dense(&dense, 3, 4, x, 1, true));
  assert_ok(problem_sparse(&sparse, 3, 4, 0, NULL, NULL, NULL, 1, true));
  problem_measure(&dense, u, v, &measure);
  cr_expect(measure.loss == 18.0 && measure.excess == 18.0, "%g %g", measure.loss, measure.excess);
  problem_measure(&sparse, u, v, &measure);
  cr_expect_eq(measure.loss, 18.0);
  problem_measure(&dense, u, zero, &measure);
  cr_expect(measure.loss == 0.0 && measure.excess == 0.0);
  cr_expect_eq(dense.truth.kept, 3, "everything is tied");
  expect_within(fabs(measure.alignment - 1.0), 1e-15, "everything is optimal");
  problem_free(&dense);
  problem_free(&sparse);
}

Test(problem, zero_state_has_the_loss_of_nothing) {
  Problem problem;
  Measure measure;
  double zero[3] = {0.0};
  assert_ok(problem_reduced(&problem, -0.6));
  problem_measure(&problem, zero, zero, &measure);
  expect_within(relative(measure.loss, 1.36), 1e-15, "1 + c^2");
  cr_expect(measure.alignment == 0.0 && measure.norm_u == 0.0 && measure.tau == 0.0);
  problem_free(&problem);
}

/* ---- gradient ---- */

/* The loss is quartic along a line, so the five-point difference is exact but for rounding. */
static double slope(const Problem *problem, double *coordinate, const double *u, const double *v) {
  const double h = 0.01, offset[4] = {-2, -1, 1, 2}, kept = *coordinate;
  double loss[4];
  for (int i = 0; i < 4; i++) {
    *coordinate = kept + offset[i] * h;
    loss[i] = problem_loss_direct(problem, u, v);
  }
  *coordinate = kept;
  return (loss[0] - 8 * loss[1] + 8 * loss[2] - loss[3]) / (12 * h);
}

static void check_gradient(const Problem *problem) {
  double u[3 * MOST], v[3 * MOST], du[3 * MOST], dv[3 * MOST];
  size_t of_u = problem->rows * problem->rank, of_v = problem->columns * problem->rank;
  fill_normal(u, of_u, 0.7, 151);
  fill_normal(v, of_v, 0.7, 152);
  problem_gradient(problem, u, v, du, dv);
  for (size_t i = 0; i < of_u; i++)
    expect_within(fabs(slope(problem, &u[i], u, v) - du[i]), 1e-10, "%s: dL/dU[%zu]", problem->type->name, i);
  for (size_t i = 0; i < of_v; i++)
    expect_within(fabs(slope(problem, &v[i], u, v) - dv[i]), 1e-10, "%s: dL/dV[%zu]", problem->type->name, i);
}

Test(problem, gradient_is_the_slope_of_the_loss) {
  Problem problem;
  Wide x[MOST * MOST];
  const size_t sizes[] = {2, 3, 7, 33};
  for (int i = 0; i < 4; i++) {
    assert_ok(problem_bilinear_random(&problem, sizes[i], -0.6, 161));
    check_gradient(&problem);
    problem_free(&problem);
  }
  assert_ok(problem_reduced(&problem, 0.3));
  check_gradient(&problem);
  problem_free(&problem);
  for (size_t rank = 1; rank <= 3; rank++) {
    gaussian_matrix(&problem, 5, 3, rank, 162, x);
    check_gradient(&problem);
    problem_free(&problem);
  }
  assert_ok(problem_sparse(&problem, 7, 5, ENTRIES, entry_row, entry_column, entry_value, 2, true));
  check_gradient(&problem);
  problem_free(&problem);
}

Test(problem, gradient_vanishes_at_the_optimum) {
  Problem problem;
  double u[HIGH * 2], v[LOW * 2], du[HIGH * 2], dv[LOW * 2], zero[HIGH * 2] = {0.0};
  exact_matrix(&problem, 2);
  exact_factors(2, 0.0, u, v);
  problem_gradient(&problem, u, v, du, dv);
  expect_within(difference(du, zero, HIGH * 2), 1e-14, "dL/dU");
  expect_within(difference(dv, zero, LOW * 2), 1e-14, "dL/dV");
  problem_free(&problem);
}

/* ---- what is refused ---- */

Test(problem, cosines_and_dimensions_out_of_range) {
  Problem problem;
  const double cosines[] = {1.0, -1.0, 1.5, -7.0, INFINITY, NAN};
  for (int i = 0; i < 6; i++) {
    expect_refused(problem_bilinear_random(&problem, 5, cosines[i], 1), STATUS_USAGE, "strictly between -1 and 1");
    expect_refused(problem_reduced(&problem, cosines[i]), STATUS_USAGE, "strictly between -1 and 1");
  }
  expect_refused(problem_bilinear_random(&problem, 0, 0.5, 1), STATUS_USAGE, "not 0");
  expect_refused(problem_bilinear_random(&problem, 1, 0.5, 1), STATUS_USAGE, "not 1");
  expect_refused(problem_bilinear_random(&problem, (size_t)INT32_MAX + 1, 0.5, 1), STATUS_USAGE, "not 2147483648");
}

Test(problem, vectors_that_are_not_unit_or_parallel) {
  Problem problem;
  double a[3] = {0.6, 0.8, 0.0}, b[3] = {0.0, 0.0, 1.0};
  assert_ok(problem_bilinear(&problem, 3, a, b));
  cr_expect_eq(problem.cosine, 0.0);
  problem_free(&problem);
  expect_refused(problem_bilinear(&problem, 1, b + 2, b + 2), STATUS_INPUT, "length 2 or more, not 1");
  a[1] = NAN;
  expect_refused(problem_bilinear(&problem, 3, a, b), STATUS_INPUT, "a[1] is nan");
  a[1] = -INFINITY;
  expect_refused(problem_bilinear(&problem, 3, b, a), STATUS_INPUT, "b[1] is -inf");
  a[1] = 0.8001;
  expect_refused(problem_bilinear(&problem, 3, a, b), STATUS_INPUT, "|a| is 1.00008");
  expect_refused(problem_bilinear(&problem, 3, b, a), STATUS_INPUT, "|b| is 1.00008");
  a[1] = -0.8;
  expect_refused(problem_bilinear(&problem, 3, a, a), STATUS_INPUT, "parallel");
  double minus[3] = {-0.6, 0.8, 0.0}, zero[3] = {0.0};
  expect_refused(problem_bilinear(&problem, 3, a, minus), STATUS_INPUT, "parallel");
  expect_refused(problem_bilinear(&problem, 3, zero, b), STATUS_INPUT, "|a| is 0");
}

Test(problem, nearly_unit_vectors_are_taken) {
  Problem problem;
  double a[2] = {1.0 + 5e-9, 0.0}, b[2] = {0.0, 1.0}, far[2] = {1.0 + 2e-8, 0.0};
  assert_ok(problem_bilinear(&problem, 2, a, b));
  problem_free(&problem);
  expect_refused(problem_bilinear(&problem, 2, far, b), STATUS_INPUT, "|a| is 1.00000002");
}

Test(problem, matrices_that_cannot_be) {
  Problem problem;
  double x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, NAN};
  const size_t row[1] = {2}, column[1] = {1};
  expect_refused(problem_dense(&problem, 0, 3, x, 1, true), STATUS_INPUT, "empty (0 x 3)");
  expect_refused(problem_dense(&problem, 3, 0, x, 1, true), STATUS_INPUT, "empty (3 x 0)");
  expect_refused(problem_sparse(&problem, 0, 0, 0, row, column, x, 1, true), STATUS_INPUT, "empty");
  expect_refused(problem_dense(&problem, 3, 2, x, 3, true), STATUS_INPUT, "between 1 and 2 for a 3 x 2 matrix, not 3");
  expect_refused(problem_dense(&problem, 3, 2, x, 0, true), STATUS_INPUT, "not 0");
  expect_refused(problem_sparse(&problem, 3, 2, 1, row, column, x, 3, true), STATUS_INPUT, "not 3");
  expect_refused(problem_sparse(&problem, 100, 100, 1, row, column, x, 65, true), STATUS_INPUT, "between 1 and 64");
  expect_refused(problem_dense(&problem, 3, 4, x, 1, true), STATUS_INPUT, "entry (3, 4) is nan");
  expect_refused(problem_sparse(&problem, 3, 2, 1, row, column, x + 11, 1, true), STATUS_INPUT, "entry (3, 2) is nan");
  x[11] = -INFINITY;
  expect_refused(problem_dense(&problem, 3, 4, x, 1, false), STATUS_INPUT, "entry (3, 4) is -inf");
  expect_refused(problem_sparse(&problem, (size_t)INT32_MAX + 1, 2, 1, row, column, x, 1, false), STATUS_INPUT,
                 "too large");
}

Test(problem, freeing_twice_does_no_harm) {
  Problem problem;
  assert_ok(problem_reduced(&problem, 0.5));
  problem_free(&problem);
  problem_free(&problem);
  cr_expect_null(problem.type);
}

static void vectors_of_a_matrix(void) {
  Problem problem;
  const double one = 1.0, *a, *b;
  if (problem_dense(&problem, 1, 1, &one, 1, false).code == STATUS_OK)
    problem_vectors(&problem, &a, &b);
}

Test(problem, a_matrix_has_no_vectors) {
  char text[512];
  int end = in_child(vectors_of_a_matrix, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT);
  expect_contains(text, "a problem of kind matrix has no vectors");
}

/* ---- files ---- */

TestSuite(problem_files, .init = scratch_make, .fini = scratch_remove);

Test(problem_files, npy_and_mtx_hold_the_same_matrix) {
  const double values[6] = {1, -2.5, 0, 4, 0, 6};
  const size_t shape[2] = {2, 3};
  const char *npy = scratch_path("x.npy");
  const char *dense = scratch_text("dense.mtx", "%%MatrixMarket matrix array real general\n2 3\n1\n4\n-2.5\n0\n0\n6\n");
  const char *sparse = scratch_text("sparse.mtx", "%%MatrixMarket matrix coordinate real general\n2 3 5\n"
                                                  "1 1 1\n2 3 5\n2 1 4\n1 2 -2.5\n2 3 1\n");
  assert_ok(npy_write(npy, values, 2, shape));
  const char *const paths[] = {npy, dense, sparse};
  for (int i = 0; i < 3; i++) {
    Problem problem;
    Wide x[6];
    assert_ok(problem_file(&problem, paths[i], 2, true));
    cr_expect(problem.rows == 2 && problem.columns == 3 && problem.rank == 2 && problem.has_truth);
    widen(values, 6, x);
    check_apply(&problem, x, 171);
    expect_within(relative(problem.truth.half_norm2, 0.5 * (1 + 6.25 + 16 + 36)), 1e-15, "|X|^2/2 of %s", paths[i]);
    problem_free(&problem);
    assert_ok(problem_file(&problem, paths[i], 1, false));
    cr_expect_not(problem.has_truth);
    problem_free(&problem);
  }
}

Test(problem_files, a_symmetric_coordinate_file_is_whole) {
  Problem problem;
  const Wide x[9] = {2, 0, -1, 0, 0, 3, -1, 3, 5};
  const char *path = scratch_text("s.mtx", "%%MatrixMarket matrix coordinate real symmetric\n3 3 4\n"
                                           "1 1 2\n3 1 -1\n3 2 3\n3 3 5\n");
  assert_ok(problem_file(&problem, path, 1, true));
  check_apply(&problem, x, 181);
  problem_free(&problem);
}

/* A refusal names the file. */
static void expect_file_refused(const char *path, size_t rank, const char *part) {
  Problem problem;
  Status status = problem_file(&problem, path, rank, true);
  cr_expect_eq(status.code, STATUS_INPUT, "%s gave %d", path, status.code);
  if (status.code != STATUS_OK) {
    expect_contains(status.message, path);
    expect_contains(status.message, part);
  }
}

Test(problem_files, what_is_wrong_with_a_file_is_said) {
  const double values[6] = {1, 2, 3, 4, 5, 6}, bad[2] = {1, NAN};
  const size_t flat[1] = {6}, cube[3] = {1, 2, 3}, row[2] = {1, 2}, none[2] = {0, 3};
  assert_ok(npy_write(scratch_path("flat.npy"), values, 1, flat));
  assert_ok(npy_write(scratch_path("cube.npy"), values, 3, cube));
  assert_ok(npy_write(scratch_path("bad.npy"), bad, 2, row));
  assert_ok(npy_write(scratch_path("none.npy"), values, 2, none));
  assert_ok(npy_write(scratch_path("row.npy"), values, 2, row));
  expect_file_refused(scratch_path("flat.npy"), 1, "a matrix needs 2 dimensions, this array has 1");
  expect_file_refused(scratch_path("cube.npy"), 1, "this array has 3");
  expect_file_refused(scratch_path("bad.npy"), 1, "element (0, 1) is NaN");
  expect_file_refused(scratch_path("none.npy"), 1, "empty");
  expect_file_refused(scratch_path("row.npy"), 2, "the rank must lie between 1 and 1");
  expect_file_refused(scratch_path("missing.npy"), 1, "No such file");
  expect_file_refused(scratch_path("missing.mtx"), 1, "No such file");
  expect_file_refused(scratch_text("x.csv", "1,2\n"), 1, "must end in .mtx (Matrix Market) or .npy (NumPy)");
  expect_file_refused(scratch_text("npy", "1,2\n"), 1, "must end in");
  const char *banner = "%%MatrixMarket matrix coordinate real general\n";
  char text[200];
  snprintf(text, sizeof text, "%s2 2 1\n1 1 nan\n", banner);
  expect_file_refused(scratch_text("nan.mtx", text), 1, "'nan'");
  snprintf(text, sizeof text, "%s9 9 2\n1 1 1.000000000\n", banner);
  expect_file_refused(scratch_text("short.mtx", text), 1, "ends after 1 of 2 entries");
  snprintf(text, sizeof text, "%s0 2 0\n", banner);
  expect_file_refused(scratch_text("empty.mtx", text), 1, "empty (0 x 2)");
}
