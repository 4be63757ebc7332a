/* problem_reduced.c: X = diag(1+c, -(1-c), 0), the coordinates that the dynamics of the bilinear problem live in. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "closed_form.h"
#include "reduction.h"

enum { D = 3 };

static void diagonal_of(const Problem *problem, double diagonal[D]) {
  diagonal[0] = 1.0 + problem->cosine;
  diagonal[1] = -(1.0 - problem->cosine);
  diagonal[2] = 0.0;
}

static size_t image_size(const Problem *problem, Side side) {
  (void)problem, (void)side;
  return D;
}

static void apply(const Problem *problem, Side side, const double *factor, double *image) {
  (void)side; /* X is symmetric */
  double diagonal[D];
  diagonal_of(problem, diagonal);
  for (int i = 0; i < D; ++i)
    image[i] = diagonal[i] * factor[i];
}

static void product(const Problem *problem, Side side, const double *factor, Product *product) {
  apply(problem, side, factor, product->image);
  product->gram[0] = factor[0] * factor[0] + factor[1] * factor[1] + factor[2] * factor[2];
}

static void update(const Problem *problem, Side side, double *factor, const double *scale, const Product *partner,
                   const double *gain) {
  (void)problem, (void)side;
  for (int i = 0; i < D; ++i)
    factor[i] = scale[0] * factor[i] + gain[0] * partner->image[i];
}

static void measure(const Problem *problem, const double *u, const double *v, Measure *measure) {
  Reduced state;
  memcpy(state.x, u, sizeof state.x);
  memcpy(state.y, v, sizeof state.y);
  reduced_measure(problem->cosine, &state, measure);
}

static const ProblemType reduced_type = {
    .name = "reduced",
    .image_size = image_size,
    .product = product,
    .update = update,
    .apply = apply,
    .measure = measure,
};

Status problem_reduced(Problem *problem, double cosine) {
  if (!(cosine > -1.0 && cosine < 1.0))
    return status_error(STATUS_USAGE, "the cosine must lie strictly between -1 and 1, not %g", cosine);
  *problem = (Problem){.type = &reduced_type, .rows = D, .columns = D, .rank = 1, .cosine = cosine};
  return truth_closed(problem, cosine);
}

Status truth_closed(Problem *problem, double cosine) {
  double magnitude = fabs(cosine);
  Truth truth = {.kept = magnitude > 1e-12 ? 1 : 2, /* as reduced_measure has it */
                 .sigma = malloc(2 * sizeof(double)),
                 .optimum = 0.5 * (1.0 - magnitude) * (1.0 - magnitude),
                 .half_norm2 = 1.0 + cosine * cosine};
  if (!truth.sigma)
    return status_error(STATUS_MEMORY, "not enough memory for a problem");
  truth.sigma[0] = 1.0 + magnitude;
  truth.sigma[1] = 1.0 - magnitude;
  problem->truth = truth;
  problem->has_truth = true;
  return status_ok();
}
