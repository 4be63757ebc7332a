/* problem_bilinear.c: X = a b' + b a', never formed: X v = a (b'v) + b (a'v) (paper Section 2.3). Rank 1. */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "closed_form.h"
#include "lanes.h"
#include "reduction.h"
#include "rng.h"

typedef struct Vectors {
  Arena arena;
  double *a, *b;
} Vectors;

static const Vectors *vectors(const Problem *problem) {
  return problem->data;
}

static size_t image_size(const Problem *problem, Side side) {
  (void)problem, (void)side;
  return 2; /* a'F and b'F are all that X F = a (b'F) + b (a'F) needs */
}

static void product(const Problem *problem, Side side, const double *factor, Product *product) {
  (void)side;
  const Vectors *x = vectors(problem);
  int d = (int)problem->rows;
  product->image[0] = cblas_ddot(d, x->a, 1, factor, 1);
  product->image[1] = cblas_ddot(d, x->b, 1, factor, 1);
  product->gram[0] = cblas_ddot(d, factor, 1, factor, 1);
}

static void update(const Problem *problem, Side side, double *factor, const double *scale, const Product *partner,
                   const double *gain) {
  (void)side;
  const double *a = vectors(problem)->a, *b = vectors(problem)->b;
  double s = scale[0], along_a = gain[0] * partner->image[1], along_b = gain[0] * partner->image[0];
  for (size_t i = 0; i < problem->rows; ++i)
    factor[i] = s * factor[i] + (along_a * a[i] + along_b * b[i]);
}

/* Both blocks in one pass over a, b, u, v: 48 d bytes. */
static void update_both(const Problem *problem, double *u, double *v, const double *scale_u, const double *gain_u,
                        const double *scale_v, const double *gain_v, Product *of_u, Product *of_v) {
  double coefficient[4] = {scale_u[0], gain_u[0], scale_v[0], gain_v[0]};
  double sums[6] = {of_u->image[0], of_u->image[1], of_u->gram[0], of_v->image[0], of_v->image[1], of_v->gram[0]};
  lanes_step_full(problem->rows, vectors(problem)->a, vectors(problem)->b, u, v, coefficient, sums);
  of_u->image[0] = sums[0], of_u->image[1] = sums[1], of_u->gram[0] = sums[2];
  of_v->image[0] = sums[3], of_v->image[1] = sums[4], of_v->gram[0] = sums[5];
}

static void apply(const Problem *problem, Side side, const double *factor, double *image) {
  (void)side;
  const Vectors *x = vectors(problem);
  int d = (int)problem->rows;
  double along_a = cblas_ddot(d, x->b, 1, factor, 1), along_b = cblas_ddot(d, x->a, 1, factor, 1);
  for (size_t i = 0; i < problem->rows; ++i)
    image[i] = along_a * x->a[i] + along_b * x->b[i];
}

static void measure(const Problem *problem, const double *u, const double *v, Measure *measure) {
  Reduced state = reduction_of(problem, u, v);
  reduced_measure(problem->cosine, &state, measure);
}

static void free_vectors(Problem *problem) {
  Vectors *x = problem->data;
  if (x)
    arena_free(&x->arena);
  free(x);
}

static const ProblemType bilinear_type = {
    .name = "bilinear",
    .image_size = image_size,
    .product = product,
    .update = update,
    .update_both = update_both,
    .apply = apply,
    .measure = measure,
    .free = free_vectors,
};

void problem_vectors(const Problem *problem, const double **a, const double **b) {
  REQUIRE(problem->type == &bilinear_type, "a problem of kind %s has no vectors a, b", problem->type->name);
  *a = vectors(problem)->a;
  *b = vectors(problem)->b;
}

/* x'y as if in twice the precision (Ogita, Rump, Oishi 2005, Dot2): c decides 1 - |c|, which may be small. */
static double dot_compensated(size_t d, const double *x, const double *y) {
  double sum = 0.0, correction = 0.0;
  for (size_t i = 0; i < d; ++i) {
    double term = x[i] * y[i], term_error = fma(x[i], y[i], -term);
    double next = sum + term, back = next - sum;
    correction += ((sum - (next - back)) + (term - back)) + term_error;
    sum = next;
  }
  return sum + correction;
}

static Status allocate(Problem *problem, size_t d) {
  *problem = (Problem){.type = &bilinear_type, .rows = d, .columns = d, .rank = 1};
  Vectors *x = calloc(1, sizeof *x);
  problem->data = x;
  if (!x)
    return status_error(STATUS_MEMORY, "not enough memory for a problem of dimension %zu", d);
  TRY(arena_alloc(&x->arena, 2 * arena_size(d, sizeof(double))));
  x->a = arena_doubles(&x->arena, d);
  x->b = arena_doubles(&x->arena, d);
  return status_ok();
}

/* Fails if |x| is not 1; d is reported so that the user sees which vector of which length. */
static Status check_unit(const char *name, size_t d, const double *x) {
  for (size_t i = 0; i < d; ++i)
    if (!isfinite(x[i]))
      return status_error(STATUS_INPUT, "%s[%zu] is %g: every element must be finite", name, i, x[i]);
  double norm = sqrt(dot_compensated(d, x, x));
  if (!(fabs(norm - 1.0) <= 1e-8))
    return status_error(STATUS_INPUT, "|%s| is %.12g: the problem needs unit vectors; divide %s by its norm", name,
                        norm, name);
  return status_ok();
}

static Status finish(Problem *problem) {
  const Vectors *x = vectors(problem);
  problem->cosine = dot_compensated(problem->rows, x->a, x->b);
  if (!(fabs(problem->cosine) < 1.0 - 1e-15))
    return status_error(STATUS_INPUT, "a and b are parallel (a'b = %.17g): the problem needs |a'b| < 1",
                        problem->cosine);
  return truth_closed(problem, problem->cosine);
}

static Status fill(Problem *problem, size_t d, const double *a, const double *b) {
  TRY(allocate(problem, d));
  TRY(check_unit("a", d, a));
  TRY(check_unit("b", d, b));
  memcpy(vectors(problem)->a, a, d * sizeof *a);
  memcpy(vectors(problem)->b, b, d * sizeof *b);
  return finish(problem);
}

Status problem_bilinear(Problem *problem, size_t d, const double *a, const double *b) {
  *problem = (Problem){0};
  if (d < 2)
    return status_error(STATUS_INPUT, "the bilinear problem needs vectors of length 2 or more, not %zu", d);
  Status status = fill(problem, d, a, b);
  if (status.code != STATUS_OK)
    problem_free(problem);
  return status;
}

static void normalise(size_t d, double *x) {
  cblas_dscal((int)d, 1.0 / sqrt(dot_compensated(d, x, x)), x, 1);
}

/* b <- cosine a + sqrt(1 - cosine^2) e, with e the part of b orthogonal to a, normalised. */
static void place_at_angle(size_t d, double cosine, const double *a, double *b) {
  for (int pass = 0; pass < 2; ++pass) { /* twice is enough (Kahan, Parlett) */
    cblas_daxpy((int)d, -dot_compensated(d, a, b), a, 1, b, 1);
    normalise(d, b);
  }
  double sine = sqrt((1.0 - cosine) * (1.0 + cosine));
  for (size_t i = 0; i < d; ++i)
    b[i] = cosine * a[i] + sine * b[i];
  normalise(d, b);
}

Status problem_bilinear_random(Problem *problem, size_t d, double cosine, uint64_t seed) {
  *problem = (Problem){0};
  if (!(cosine > -1.0 && cosine < 1.0))
    return status_error(STATUS_USAGE, "the cosine must lie strictly between -1 and 1, not %g", cosine);
  if (d < 2 || d > INT32_MAX)
    return status_error(STATUS_USAGE, "the dimension must lie between 2 and %d, not %zu", INT32_MAX, d);
  Status status = allocate(problem, d);
  if (status.code == STATUS_OK) {
    rng_fill_normal(rng_make(seed, RNG_PROBLEM_A, 0), 0, d, vectors(problem)->a);
    rng_fill_normal(rng_make(seed, RNG_PROBLEM_B, 0), 0, d, vectors(problem)->b);
    normalise(d, vectors(problem)->a);
    place_at_angle(d, cosine, vectors(problem)->a, vectors(problem)->b);
    status = finish(problem);
  }
  if (status.code != STATUS_OK)
    problem_free(problem);
  return status;
}
