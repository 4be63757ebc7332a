/* problem_matrix.c: any real matrix, dense (OpenBLAS) or sparse in compressed rows (GSL), with the SVD as ground truth. */
#include <gsl/gsl_cblas.h> /* the declarations; OpenBLAS has the code */
#include <gsl/gsl_spblas.h>
#include <gsl/gsl_spmatrix.h>
#include <gsl/gsl_vector.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

typedef struct Matrix {
  double *dense;        /* column-major, or NULL */
  gsl_spmatrix *sparse; /* compressed rows, or NULL */
  double *rest_u, *rest_v, *image; /* scratch of measure: what U and V have outside the leading spaces; X rest_v */
} Matrix;

static const Matrix *matrix(const Problem *problem) {
  return problem->data;
}

static size_t length_of(const Problem *problem, Side side) {
  return side == SIDE_U ? problem->rows : problem->columns;
}

static Side other(Side side) {
  return side == SIDE_U ? SIDE_V : SIDE_U;
}

/* c <- alpha op(a) b + beta c, all column-major; op(a) is m x k; columns of a and b are lead_a and lead_b apart. */
static void multiply_strided(CBLAS_TRANSPOSE_t op, size_t m, size_t n, size_t k, double alpha, const double *a,
                             size_t lead_a, const double *b, size_t lead_b, double beta, double *c) {
  cblas_dgemm(CblasColMajor, op, CblasNoTrans, (int)m, (int)n, (int)k, alpha, a, (int)lead_a, b, (int)lead_b, beta, c,
              (int)m);
}

/* The same with packed a and b. */
static void multiply(CBLAS_TRANSPOSE_t op, size_t m, size_t n, size_t k, double alpha, const double *a, const double *b,
                     double beta, double *c) {
  multiply_strided(op, m, n, k, alpha, a, op == CblasNoTrans ? m : k, b, k, beta, c);
}

static size_t image_size(const Problem *problem, Side side) {
  return length_of(problem, other(side)) * problem->rank;
}

static void apply_sparse(const Problem *problem, Side side, const double *factor, double *image) {
  size_t from = length_of(problem, side), to = length_of(problem, other(side));
  for (size_t j = 0; j < problem->rank; ++j) {
    gsl_vector_const_view input = gsl_vector_const_view_array(factor + j * from, from);
    gsl_vector_view output = gsl_vector_view_array(image + j * to, to);
    gsl_spblas_dgemv(side == SIDE_V ? CblasNoTrans : CblasTrans, 1.0, matrix(problem)->sparse, &input.vector, 0.0,
                     &output.vector);
  }
}

static void apply(const Problem *problem, Side side, const double *factor, double *image) {
  if (matrix(problem)->sparse)
    apply_sparse(problem, side, factor, image);
  else
    multiply(side == SIDE_V ? CblasNoTrans : CblasTrans, length_of(problem, other(side)), problem->rank,
             length_of(problem, side), 1.0, matrix(problem)->dense, factor, 0.0, image);
}

static void product(const Problem *problem, Side side, const double *factor, Product *product) {
  apply(problem, side, factor, product->image);
  multiply(CblasTrans, problem->rank, problem->rank, length_of(problem, side), 1.0, factor, factor, 0.0,
           product->gram);
}

/* Row by row, because factor <- factor scale needs the old row whole. */
static void update(const Problem *problem, Side side, double *factor, const double *scale, const Product *partner,
                   const double *gain) {
  size_t length = length_of(problem, side), rank = problem->rank;
  double row[PROBLEM_MAX_RANK];
  for (size_t i = 0; i < length; ++i) {
    for (size_t j = 0; j < rank; ++j) {
      double sum = 0.0;
      for (size_t k = 0; k < rank; ++k)
        sum += factor[k * length + i] * scale[j * rank + k] + partner->image[k * length + i] * gain[j * rank + k];
      row[j] = sum;
    }
    for (size_t j = 0; j < rank; ++j)
      factor[j * length + i] = row[j];
  }
}

/* coordinates <- basis'F (kept x rank); rest <- F - leading part, for the first `rank` basis vectors only. */
static void split(const Problem *problem, Side side, const double *factor, double *coordinates, double *rest) {
  size_t length = length_of(problem, side), rank = problem->rank, kept = problem->truth.kept;
  const double *basis = side == SIDE_U ? problem->truth.left : problem->truth.right;
  multiply(CblasTrans, kept, rank, length, 1.0, basis, factor, 0.0, coordinates);
  memcpy(rest, factor, length * rank * sizeof *rest);
  multiply_strided(CblasNoTrans, length, rank, rank, -1.0, basis, length, coordinates, kept, 1.0, rest);
}

/* sum_ij a_ij b_ij for two symmetric rank x rank matrices: tr(A B). */
static double trace_product(size_t rank, const double *a, const double *b) {
  return cblas_ddot((int)(rank * rank), a, 1, b, 1);
}

/* With U = P A + R, V = Q B + S (R, S orthogonal to the leading spaces):
 *   L - L* = 1/2 [ |A B' - Sigma|^2 + tr(A'A S'S) + tr(R'R B'B) + tr(R'R S'S) ] - tr(R' X S),
 * where every term is small near the optimum, so nothing cancels. `a`, `b` are kept x rank. */
static double excess_of(const Problem *problem, const double *a, const double *b) {
  enum { MOST = PROBLEM_MAX_RANK * PROBLEM_MAX_RANK };
  const Matrix *x = matrix(problem);
  size_t rank = problem->rank, kept = problem->truth.kept;
  double aa[MOST], bb[MOST], rr[MOST], ss[MOST];
  multiply_strided(CblasTrans, rank, rank, rank, 1.0, a, kept, a, kept, 0.0, aa); /* the first rank rows only */
  multiply_strided(CblasTrans, rank, rank, rank, 1.0, b, kept, b, kept, 0.0, bb);
  multiply(CblasTrans, rank, rank, problem->rows, 1.0, x->rest_u, x->rest_u, 0.0, rr);
  multiply(CblasTrans, rank, rank, problem->columns, 1.0, x->rest_v, x->rest_v, 0.0, ss);
  double gap2 = 0.0;
  for (size_t i = 0; i < rank; ++i)
    for (size_t j = 0; j < rank; ++j) {
      double entry = i == j ? -problem->truth.sigma[i] : 0.0;
      for (size_t k = 0; k < rank; ++k)
        entry += a[k * kept + i] * b[k * kept + j];
      gap2 += entry * entry;
    }
  apply(problem, SIDE_V, x->rest_v, x->image);
  double cross = cblas_ddot((int)(problem->rows * rank), x->rest_u, 1, x->image, 1);
  return 0.5 * (gap2 + trace_product(rank, aa, ss) + trace_product(rank, rr, bb) + trace_product(rank, rr, ss)) - cross;
}

/* Cosine of the largest angle between span(U) and the leading left singular vectors: the smallest eigenvalue of
 * (A'A) w = cos^2 (U'U) w. `a` is kept x rank. */
static double alignment_of(const Problem *problem, const double *u, const double *a) {
  enum { MOST = PROBLEM_MAX_RANK * PROBLEM_MAX_RANK };
  size_t rank = problem->rank;
  double inside[MOST], all[MOST], cosine2[PROBLEM_MAX_RANK];
  multiply(CblasTrans, rank, rank, problem->truth.kept, 1.0, a, a, 0.0, inside);
  multiply(CblasTrans, rank, rank, problem->rows, 1.0, u, u, 0.0, all);
  if (LAPACKE_dsygv(LAPACK_COL_MAJOR, 1, 'N', 'U', (lapack_int)rank, inside, (lapack_int)rank, all, (lapack_int)rank,
                    cosine2) != 0)
    return 0.0; /* U'U is singular: there is a direction that U does not have */
  return sqrt(fmin(fmax(cosine2[0], 0.0), 1.0));
}

/* Without truth: 1/2 |U V'|^2 - <U, X V> + 1/2 |X|^2. */
static double loss_of(const Problem *problem, const double *u, const double *v) {
  enum { MOST = PROBLEM_MAX_RANK * PROBLEM_MAX_RANK };
  double uu[MOST], vv[MOST];
  size_t rank = problem->rank;
  multiply(CblasTrans, rank, rank, problem->rows, 1.0, u, u, 0.0, uu);
  multiply(CblasTrans, rank, rank, problem->columns, 1.0, v, v, 0.0, vv);
  apply(problem, SIDE_V, v, matrix(problem)->image);
  double cross = cblas_ddot((int)(problem->rows * rank), u, 1, matrix(problem)->image, 1);
  return 0.5 * trace_product(rank, uu, vv) - cross + problem->truth.half_norm2;
}

static void measure(const Problem *problem, const double *u, const double *v, Measure *measure) {
  size_t rank = problem->rank, kept = problem->truth.kept;
  *measure = (Measure){.excess = NAN, .tau = NAN, .nu = NAN, .alignment = NAN};
  measure->norm_u = cblas_dnrm2((int)(problem->rows * rank), u, 1);
  measure->norm_v = cblas_dnrm2((int)(problem->columns * rank), v, 1);
  if (!problem->has_truth) {
    measure->loss = loss_of(problem, u, v);
    return;
  }
  double *coordinates = problem->truth.sigma + kept; /* room kept behind sigma, see find_truth */
  double *a = coordinates, *b = coordinates + kept * rank;
  split(problem, SIDE_U, u, a, matrix(problem)->rest_u);
  split(problem, SIDE_V, v, b, matrix(problem)->rest_v);
  measure->excess = excess_of(problem, a, b);
  measure->loss = measure->excess + problem->truth.optimum;
  measure->alignment = alignment_of(problem, u, a);
}

static void free_matrix(Problem *problem) {
  Matrix *x = problem->data;
  if (!x)
    return;
  free(x->dense);
  if (x->sparse)
    gsl_spmatrix_free(x->sparse);
  free(x->rest_u);
  free(x->rest_v);
  free(x->image);
  free(x);
}

static const ProblemType matrix_type = {
    .name = "matrix",
    .image_size = image_size,
    .product = product,
    .update = update,
    .apply = apply,
    .measure = measure,
    .free = free_matrix,
};

/* Keep the first `kept` triples of a full SVD, where sigma_rank may be tied with its successors. */
static Status keep_leading(Problem *problem, size_t least, const double *sigma, const double *left,
                           const double *right_transposed) {
  Truth *truth = &problem->truth;
  size_t rows = problem->rows, columns = problem->columns, kept = problem->rank;
  double tie = sigma[kept - 1] - 1e-12 * sigma[0];
  while (kept < least && sigma[kept] >= tie)
    ++kept;
  truth->kept = kept;
  truth->sigma = malloc((kept + 2 * kept * problem->rank) * sizeof(double)); /* and room for measure's coordinates */
  truth->left = malloc(rows * kept * sizeof(double));
  truth->right = malloc(columns * kept * sizeof(double));
  if (!truth->sigma || !truth->left || !truth->right)
    return status_error(STATUS_MEMORY, "not enough memory for the singular vectors");
  memcpy(truth->sigma, sigma, kept * sizeof *sigma);
  memcpy(truth->left, left, rows * kept * sizeof *left);
  for (size_t j = 0; j < kept; ++j)
    for (size_t i = 0; i < columns; ++i)
      truth->right[j * columns + i] = right_transposed[i * least + j];
  truth->optimum = 0.0;
  for (size_t i = least; i-- > problem->rank;)
    truth->optimum += 0.5 * sigma[i] * sigma[i];
  problem->has_truth = true;
  return status_ok();
}

/* The whole SVD by LAPACK's divide and conquer. `copy` (rows x columns, column-major) is destroyed. */
static Status find_truth(Problem *problem, double *copy) {
  size_t rows = problem->rows, columns = problem->columns, least = rows < columns ? rows : columns;
  double *sigma = malloc(least * sizeof *sigma), *left = malloc(rows * least * sizeof *left);
  double *right = malloc(least * columns * sizeof *right);
  Status status = status_error(STATUS_MEMORY, "not enough memory for the singular values of a %zu x %zu matrix", rows,
                               columns);
  if (sigma && left && right) {
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', (lapack_int)rows, (lapack_int)columns, copy,
                                     (lapack_int)rows, sigma, left, (lapack_int)rows, right, (lapack_int)least);
    status = info == 0 ? keep_leading(problem, least, sigma, left, right)
                       : status_error(STATUS_NUMERICS, "the singular value decomposition did not converge");
  }
  free(sigma);
  free(left);
  free(right);
  return status;
}

static Status check_shape(size_t rows, size_t columns, size_t rank) {
  size_t least = rows < columns ? rows : columns;
  if (least == 0)
    return status_error(STATUS_INPUT, "the matrix is empty (%zu x %zu)", rows, columns);
  if (rank < 1 || rank > least || rank > PROBLEM_MAX_RANK)
    return status_error(STATUS_INPUT, "the rank must lie between 1 and %zu for a %zu x %zu matrix, not %zu",
                        least < PROBLEM_MAX_RANK ? least : (size_t)PROBLEM_MAX_RANK, rows, columns, rank);
  if (rows > INT32_MAX / rank || columns > INT32_MAX / rank)
    return status_error(STATUS_INPUT, "a %zu x %zu matrix of rank %zu is too large", rows, columns, rank);
  return status_ok();
}

/* The room of a matrix problem; measure's scratch included. */
static Status allocate(Problem *problem, size_t rows, size_t columns, size_t rank) {
  *problem = (Problem){.type = &matrix_type, .rows = rows, .columns = columns, .rank = rank, .cosine = NAN};
  Matrix *x = calloc(1, sizeof *x);
  problem->data = x;
  if (x) {
    x->rest_u = malloc(rows * rank * sizeof(double));
    x->rest_v = malloc(columns * rank * sizeof(double));
    x->image = malloc(rows * rank * sizeof(double));
  }
  if (!x || !x->rest_u || !x->rest_v || !x->image)
    return status_error(STATUS_MEMORY, "not enough memory for a %zu x %zu problem of rank %zu", rows, columns, rank);
  return status_ok();
}

/* A column-major copy; checks that every entry is finite and sums the squares. */
static Status copy_dense(Problem *problem, const double *values, double **copy) {
  size_t rows = problem->rows, columns = problem->columns;
  *copy = columns > SIZE_MAX / sizeof(double) / rows ? NULL : malloc(rows * columns * sizeof(double));
  if (!*copy)
    return status_error(STATUS_MEMORY, "not enough memory for a %zu x %zu matrix", rows, columns);
  double sum = 0.0;
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) {
      double value = values[i * columns + j];
      if (!isfinite(value))
        return status_error(STATUS_INPUT, "entry (%zu, %zu) is %g: every entry must be finite", i + 1, j + 1, value);
      (*copy)[j * rows + i] = value;
      sum += value * value;
    }
  problem->truth.half_norm2 = 0.5 * sum;
  return status_ok();
}

static Status fill_dense(Problem *problem, const double *values, bool truth) {
  Matrix *x = problem->data;
  TRY(copy_dense(problem, values, &x->dense));
  if (!truth)
    return status_ok();
  double *work = NULL;
  Status status = copy_dense(problem, values, &work);
  if (status.code == STATUS_OK)
    status = find_truth(problem, work);
  free(work);
  return status;
}

Status problem_dense(Problem *problem, size_t rows, size_t columns, const double *values, size_t rank, bool truth) {
  *problem = (Problem){0};
  TRY(check_shape(rows, columns, rank));
  Status status = allocate(problem, rows, columns, rank);
  if (status.code == STATUS_OK)
    status = fill_dense(problem, values, truth);
  if (status.code != STATUS_OK)
    problem_free(problem);
  return status;
}

static Status compress(Problem *problem, size_t count, const size_t *row, const size_t *column, const double *value) {
  Matrix *x = problem->data;
  gsl_spmatrix *triplets =
      gsl_spmatrix_alloc_nzmax(problem->rows, problem->columns, count > 0 ? count : 1, GSL_SPMATRIX_COO);
  if (!triplets)
    return status_error(STATUS_MEMORY, "not enough memory for %zu entries", count);
  Status status = status_ok();
  for (size_t i = 0; i < count && status.code == STATUS_OK; ++i) {
    REQUIRE(row[i] < problem->rows && column[i] < problem->columns, "entry %zu lies outside the matrix", i);
    double *there = gsl_spmatrix_ptr(triplets, row[i], column[i]);
    if (!isfinite(value[i]))
      status = status_error(STATUS_INPUT, "entry (%zu, %zu) is %g: every entry must be finite", row[i] + 1,
                            column[i] + 1, value[i]);
    else if (there)
      *there += value[i];
    else
      gsl_spmatrix_set(triplets, row[i], column[i], value[i]);
  }
  if (status.code == STATUS_OK)
    x->sparse = gsl_spmatrix_compress(triplets, GSL_SPMATRIX_CSR);
  gsl_spmatrix_free(triplets);
  if (status.code == STATUS_OK && !x->sparse)
    return status_error(STATUS_MEMORY, "not enough memory for %zu entries", count);
  return status;
}

/* The truth of a sparse matrix goes through a dense copy; what does not fit is refused with its size. */
static Status truth_of_sparse(Problem *problem) {
  const gsl_spmatrix *sparse = matrix(problem)->sparse;
  size_t rows = problem->rows, columns = problem->columns;
  double *copy = columns > SIZE_MAX / sizeof(double) / rows ? NULL : calloc(rows * columns, sizeof *copy);
  if (!copy)
    return status_error(STATUS_MEMORY, "the singular values of a %zu x %zu matrix need %.1f GB; run without truth",
                        rows, columns, 8e-9 * (double)rows * (double)columns);
  for (size_t i = 0; i < rows; ++i)
    for (int k = sparse->p[i]; k < sparse->p[i + 1]; ++k)
      copy[(size_t)sparse->i[k] * rows + i] = sparse->data[k];
  Status status = find_truth(problem, copy);
  free(copy);
  return status;
}

static Status fill_sparse(Problem *problem, size_t count, const size_t *row, const size_t *column,
                          const double *value, bool truth) {
  TRY(compress(problem, count, row, column, value));
  const gsl_spmatrix *sparse = matrix(problem)->sparse;
  problem->truth.half_norm2 = 0.5 * cblas_ddot((int)sparse->nz, sparse->data, 1, sparse->data, 1);
  return truth ? truth_of_sparse(problem) : status_ok();
}

Status problem_sparse(Problem *problem, size_t rows, size_t columns, size_t count, const size_t *row,
                      const size_t *column, const double *value, size_t rank, bool truth) {
  *problem = (Problem){0};
  TRY(check_shape(rows, columns, rank));
  Status status = allocate(problem, rows, columns, rank);
  if (status.code == STATUS_OK)
    status = fill_sparse(problem, count, row, column, value, truth);
  if (status.code != STATUS_OK)
    problem_free(problem);
  return status;
}
