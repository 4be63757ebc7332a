/* problem.h: the objective L(U, V) = 1/2 |U V' - X|_F^2, with U (rows x rank), V (columns x rank).
 *
 * One interface, several kinds of X (problem_type below); the methods never ask which:
 *   bilinear   X = a b' + b a' with unit vectors a, b, never formed: O(d) a product   (paper Section 2.3)
 *   reduced    the same X in the coordinates that its dynamics live in, 3 x 3          (reduction.h)
 *   matrix     any real matrix, dense or sparse, with the SVD as ground truth
 * Factors are stored column by column: column j of U is U + j * rows, contiguous. */
#ifndef SEESAW_PROBLEM_H
#define SEESAW_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "status.h"

enum { PROBLEM_MAX_RANK = 64 };

typedef enum { SIDE_U, SIDE_V } Side;

typedef struct Measure Measure;

/* What a block's partner has to know of a factor F. For side V: X V and V'V; for side U: X'U and U'U. */
typedef struct Product {
  double *image; /* the product itself: (rows or columns) x rank; for the bilinear kind a'F (rank) then b'F (rank) */
  double *gram;  /* F'F, rank x rank, column-major, symmetric */
} Product;

typedef struct Problem Problem;

typedef struct ProblemType {
  const char *name;
  /* doubles that a product's image takes: for side U (an image of columns x rank) or side V (rows x rank) */
  size_t (*image_size)(const Problem *problem, Side side);
  /* product <- that of factor F of `side`: X V or X'U, and the Gram matrix */
  void (*product)(const Problem *problem, Side side, const double *factor, Product *product);
  /* factor <- factor scale + partner.image gain (scale, gain: rank x rank, column-major), where `partner` is the
   * product of the other side's factor */
  void (*update)(const Problem *problem, Side side, double *factor, const double *scale, const Product *partner,
                 const double *gain);
  /* optional: the same for both sides at once from the old products of_u and of_v, which become those of the new
   * factors; one pass over memory */
  void (*update_both)(const Problem *problem, double *u, double *v, const double *scale_u, const double *gain_u,
                      const double *scale_v, const double *gain_v, Product *of_u, Product *of_v);
  /* image <- X V written out (side V: rows x rank) or X'U (side U: columns x rank) */
  void (*apply)(const Problem *problem, Side side, const double *factor, double *image);
  void (*measure)(const Problem *problem, const double *u, const double *v, Measure *measure);
  void (*free)(Problem *problem);
} ProblemType;

/* The best approximation of the problem's rank: X_r = P diag(sigma) Q'. Vectors are columns, orthonormal. The bilinear
 * and reduced kinds know them in closed form (reduction.h) and store no vectors. */
typedef struct Truth {
  size_t kept;       /* how many leading singular triples there are: >= rank; more when sigma_rank is tied */
  double *sigma;     /* kept, descending */
  double *left;      /* P: rows x kept, or NULL */
  double *right;     /* Q: columns x kept, or NULL */
  double optimum;    /* the least loss, 1/2 sum of the squares of the singular values left out */
  double half_norm2; /* 1/2 |X|_F^2: the loss of U V' = 0 */
} Truth;

struct Problem {
  const ProblemType *type;
  size_t rows, columns, rank;
  double cosine; /* c = a'b for the bilinear and reduced kinds; NaN otherwise */
  bool has_truth;
  Truth truth;
  void *data; /* the kind's own */
};

/* What is logged of a state. tau and nu are u's coordinates in the paper's basis, u = A (tau w+ + nu w-), and NaN when
 * the problem has no cosine. excess = loss - optimum, computed without cancellation down to about 1e-30.
 * alignment: cosine of the largest angle between the columns of U and the span of the leading left singular vectors
 * (ties included); 0 if U is singular. excess and alignment are NaN without truth. */
struct Measure {
  double loss, excess, tau, nu, norm_u, norm_v, alignment;
};

/* problem_bilinear: X = a b' + b a'. Copies a and b (length d >= 2). c is computed with compensated sums.
 * Errors: STATUS_INPUT if a or b is not finite or | |a| - 1 | > 1e-8; a = +-b (|c| = 1 to rounding). */
Status problem_bilinear(Problem *problem, size_t d, const double *a, const double *b);

/* problem_bilinear_random: unit vectors of dimension d with a'b = cosine, drawn from `seed`.
 * Errors: STATUS_USAGE if cosine is not strictly between -1 and 1, d < 2; STATUS_MEMORY. */
Status problem_bilinear_random(Problem *problem, size_t d, double cosine, uint64_t seed);

/* problem_reduced: X = diag(1 + c, -(1 - c), 0): the bilinear problem in the basis (p, q, the start's own direction
 * orthogonal to both), see reduction.h. */
Status problem_reduced(Problem *problem, double cosine);

/* problem_dense: any real matrix, row-major, copied. truth: by LAPACKE dgesdd, unless `truth` is false.
 * problem_sparse: the same from triplets (duplicates add up), kept in compressed rows; its truth is found densely.
 * Errors: STATUS_INPUT (empty, not finite, rank larger than min(rows, columns) or PROBLEM_MAX_RANK), STATUS_MEMORY. */
Status problem_dense(Problem *problem, size_t rows, size_t columns, const double *values, size_t rank, bool truth);
Status problem_sparse(Problem *problem, size_t rows, size_t columns, size_t count, const size_t *row,
                      const size_t *column, const double *value, size_t rank, bool truth);

/* problem_file: a matrix from a .mtx or .npy file (by its name's ending). A coordinate .mtx stays sparse. */
Status problem_file(Problem *problem, const char *path, size_t rank, bool truth);

/* problem_vectors: the a and b of a bilinear problem (length rows). */
void problem_vectors(const Problem *problem, const double **a, const double **b);

/* problem_measure: loss, excess and the rest for a state, in O((rows + columns) rank^2) and one product with X. Uses
 * scratch memory of the problem for the matrix kind: one thread at a time. */
void problem_measure(const Problem *problem, const double *u, const double *v, Measure *measure);

/* problem_loss_direct: 1/2 |U V' - X|_F^2 summed entry by entry, O(rows columns rank): the definition, for tests. */
double problem_loss_direct(const Problem *problem, const double *u, const double *v);

/* problem_gradient: dL/dU = (U V' - X) V and dL/dV = (U V' - X)' U (paper Eq. 1). du, dv: shapes of u, v. */
void problem_gradient(const Problem *problem, const double *u, const double *v, double *du, double *dv);

void problem_free(Problem *problem);

#endif
