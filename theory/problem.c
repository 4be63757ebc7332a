/* problem.c: what all kinds of problem share: the gradient, the direct loss, dispatch. */
#include "problem.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mtx.h"
#include "npy.h"

static size_t length_of(const Problem *problem, Side side) {
  return side == SIDE_U ? problem->rows : problem->columns;
}

/* du <- U (V'V) - X V, from du = X V on entry; the same for V with the sides exchanged. */
static void gradient_from_image(const Problem *problem, Side side, const double *factor, const double *partner,
                                double *image) {
  size_t rank = problem->rank, length = length_of(problem, side);
  size_t partner_length = length_of(problem, side == SIDE_U ? SIDE_V : SIDE_U);
  double gram[PROBLEM_MAX_RANK * PROBLEM_MAX_RANK];
  cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)rank, (int)rank, (int)partner_length, 1.0, partner,
              (int)partner_length, partner, (int)partner_length, 0.0, gram, (int)rank);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)length, (int)rank, (int)rank, 1.0, factor, (int)length,
              gram, (int)rank, -1.0, image, (int)length);
}

void problem_gradient(const Problem *problem, const double *u, const double *v, double *du, double *dv) {
  problem->type->apply(problem, SIDE_V, v, du);
  gradient_from_image(problem, SIDE_U, u, v, du);
  problem->type->apply(problem, SIDE_U, u, dv);
  gradient_from_image(problem, SIDE_V, v, u, dv);
}

void problem_measure(const Problem *problem, const double *u, const double *v, Measure *measure) {
  problem->type->measure(problem, u, v, measure);
}

/* Column j of X through the product with a unit vector, so that every kind is summed by the same definition. */
double problem_loss_direct(const Problem *problem, const double *u, const double *v) {
  size_t rows = problem->rows, columns = problem->columns, rank = problem->rank;
  double *unit = calloc(columns * rank, sizeof *unit), *column = calloc(rows * rank, sizeof *column);
  REQUIRE(unit && column, "out of memory for %zu numbers", (rows + columns) * rank);
  double sum = 0.0;
  for (size_t j = 0; j < columns; ++j) {
    unit[j] = 1.0; /* the first column of a factor; the others stay zero */
    problem->type->apply(problem, SIDE_V, unit, column);
    unit[j] = 0.0;
    for (size_t i = 0; i < rows; ++i) {
      double entry = -column[i];
      for (size_t k = 0; k < rank; ++k)
        entry += u[k * rows + i] * v[k * columns + j];
      sum += entry * entry;
    }
  }
  free(unit);
  free(column);
  return 0.5 * sum;
}

static bool ends_with(const char *path, const char *ending) {
  size_t length = strlen(path), tail = strlen(ending);
  return length >= tail && strcmp(path + length - tail, ending) == 0;
}

static Status problem_from_npy(Problem *problem, const char *path, size_t rank, bool truth) {
  NpyArray array;
  TRY(npy_read(path, &array));
  Status status = array.rank == 2 ? problem_dense(problem, array.shape[0], array.shape[1], array.data, rank, truth)
                                  : status_error(STATUS_INPUT, "%s: a matrix needs 2 dimensions, this array has %zu",
                                                 path, array.rank);
  npy_free(&array);
  return status;
}

static Status dense_from_triplets(Problem *problem, const Triplets *triplets, size_t rank, bool truth) {
  double *values = calloc(triplets->rows * triplets->columns, sizeof *values);
  if (!values)
    return status_error(STATUS_MEMORY, "not enough memory for a %zu x %zu matrix", triplets->rows, triplets->columns);
  for (size_t i = 0; i < triplets->count; ++i)
    values[triplets->row[i] * triplets->columns + triplets->column[i]] += triplets->value[i];
  Status status = problem_dense(problem, triplets->rows, triplets->columns, values, rank, truth);
  free(values);
  return status;
}

static Status problem_from_mtx(Problem *problem, const char *path, size_t rank, bool truth) {
  Triplets triplets;
  TRY(mtx_read(path, &triplets));
  Status status = triplets.dense ? dense_from_triplets(problem, &triplets, rank, truth)
                                 : problem_sparse(problem, triplets.rows, triplets.columns, triplets.count,
                                                  triplets.row, triplets.column, triplets.value, rank, truth);
  mtx_free(&triplets);
  return status;
}

Status problem_file(Problem *problem, const char *path, size_t rank, bool truth) {
  Status status;
  if (ends_with(path, ".npy"))
    status = problem_from_npy(problem, path, rank, truth);
  else if (ends_with(path, ".mtx"))
    status = problem_from_mtx(problem, path, rank, truth);
  else
    return status_error(STATUS_INPUT, "%s: a matrix file must end in .mtx (Matrix Market) or .npy (NumPy)", path);
  if (status.code == STATUS_INPUT && !strstr(status.message, path))
    return status_error(STATUS_INPUT, "%s: %.400s", path, status.message);
  return status;
}

void problem_free(Problem *problem) {
  if (problem->type && problem->type->free)
    problem->type->free(problem);
  free(problem->truth.sigma);
  free(problem->truth.left);
  free(problem->truth.right);
  memset(problem, 0, sizeof *problem);
}
