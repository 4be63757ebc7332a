/* minimizer.c: the frame around a method: memory, start, the block update, the test. */
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "method.h"

MethodParameters method_defaults(void) {
  return (MethodParameters){.step = 0.1, .momentum = 0.5, .balance_cap = 2.0, .soft_period = 8.0};
}

const MethodType *method_find(const char *name) {
  for (const MethodType *const *type = method_table; *type; ++type)
    if (strcmp((*type)->name, name) == 0)
      return *type;
  return NULL;
}

const char *method_names(void) {
  static char names[512];
  if (names[0] == '\0')
    for (const MethodType *const *type = method_table; *type; ++type) {
      size_t used = strlen(names);
      snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "", (*type)->name);
    }
  return names;
}

static size_t minimizer_size(const MethodType *type, const Problem *problem) {
  size_t rank = problem->rank, square = arena_size(rank * rank, sizeof(double));
  size_t size = arena_size(problem->rows * rank, sizeof(double)) + arena_size(problem->columns * rank, sizeof(double));
  size += arena_size(problem->type->image_size(problem, SIDE_U), sizeof(double));
  size += arena_size(problem->type->image_size(problem, SIDE_V), sizeof(double));
  return size + 6 * square + (type->size ? type->size(problem) : 0);
}

/* Nothing is left to free: a method whose alloc fails has cleared up after itself. */
static Status given_up(Minimizer *minimizer, Status status) {
  arena_free(&minimizer->arena);
  *minimizer = (Minimizer){0};
  return status;
}

Status minimizer_alloc(Minimizer *minimizer, const MethodType *type, const Problem *problem,
                       const MethodParameters *parameters) {
  *minimizer = (Minimizer){.type = type, .problem = problem, .parameters = *parameters};
  Arena *arena = &minimizer->arena;
  Status status = arena_alloc(arena, minimizer_size(type, problem));
  if (status.code != STATUS_OK)
    return given_up(minimizer, status);
  size_t rank = problem->rank;
  minimizer->u = arena_doubles(arena, problem->rows * rank);
  minimizer->v = arena_doubles(arena, problem->columns * rank);
  minimizer->of_u.image = arena_doubles(arena, problem->type->image_size(problem, SIDE_U));
  minimizer->of_v.image = arena_doubles(arena, problem->type->image_size(problem, SIDE_V));
  minimizer->of_u.gram = arena_doubles(arena, rank * rank);
  minimizer->of_v.gram = arena_doubles(arena, rank * rank);
  for (int side = 0; side < 2; ++side) {
    minimizer->scale[side] = arena_doubles(arena, rank * rank);
    minimizer->gain[side] = arena_doubles(arena, rank * rank);
  }
  status = type->alloc ? type->alloc(minimizer) : status_ok();
  return status.code == STATUS_OK ? status : given_up(minimizer, status);
}

static Status check_parameters(const Minimizer *minimizer) {
  const MethodParameters *p = &minimizer->parameters;
  if (minimizer->type->uses_step && !(p->step > 0.0 && isfinite(p->step)))
    return status_error(STATUS_USAGE, "the step must be positive, not %g", p->step);
  if (!(p->momentum >= 0.0 && p->momentum < 1.0))
    return status_error(STATUS_USAGE, "the momentum must lie in [0, 1), not %g", p->momentum);
  if (!(p->balance_cap >= 1.0))
    return status_error(STATUS_USAGE, "the cap of balancing must be at least 1, not %g", p->balance_cap);
  if (!(p->soft_period >= 2.0 && isfinite(p->soft_period)))
    return status_error(STATUS_USAGE, "the period of the soft constraint must be at least 2 steps, not %g",
                        p->soft_period);
  return status_ok();
}

Status minimizer_set(Minimizer *minimizer, const double *u, const double *v) {
  const Problem *problem = minimizer->problem;
  TRY(check_parameters(minimizer));
  memcpy(minimizer->u, u, problem->rows * problem->rank * sizeof *u);
  memcpy(minimizer->v, v, problem->columns * problem->rank * sizeof *v);
  minimizer->iteration = 0;
  minimizer_refresh(minimizer);
  return minimizer->type->set ? minimizer->type->set(minimizer) : status_ok();
}

Status minimizer_iterate(Minimizer *minimizer) {
  TRY(minimizer->type->iterate(minimizer));
  ++minimizer->iteration;
  return status_ok();
}

bool minimizer_test(const Minimizer *minimizer, const Measure *measure, double tolerance) {
  const Problem *problem = minimizer->problem;
  double unit = isnan(problem->cosine) ? problem->truth.half_norm2 : 1.0;
  return tolerance > 0.0 && measure->excess <= tolerance * unit;
}

void minimizer_free(Minimizer *minimizer) {
  if (minimizer->type && minimizer->type->free)
    minimizer->type->free(minimizer);
  arena_free(&minimizer->arena);
  memset(minimizer, 0, sizeof *minimizer);
}

static Product *own_product(Minimizer *minimizer, Side side) {
  return side == SIDE_U ? &minimizer->of_u : &minimizer->of_v;
}

static Product *partner_product(Minimizer *minimizer, Side side) {
  return side == SIDE_U ? &minimizer->of_v : &minimizer->of_u;
}

static double *own_factor(Minimizer *minimizer, Side side) {
  return side == SIDE_U ? minimizer->u : minimizer->v;
}

static void refresh(Minimizer *minimizer, Side side) {
  const Problem *problem = minimizer->problem;
  problem->type->product(problem, side, own_factor(minimizer, side), own_product(minimizer, side));
}

void minimizer_refresh(Minimizer *minimizer) {
  refresh(minimizer, SIDE_U);
  refresh(minimizer, SIDE_V);
}

void block_gradient(Minimizer *minimizer, Side side, double weight) {
  size_t rank = minimizer->problem->rank;
  const double *gram = partner_product(minimizer, side)->gram;
  double eta = weight * minimizer->parameters.step;
  for (size_t i = 0; i < rank * rank; ++i) {
    bool diagonal = i % (rank + 1) == 0;
    minimizer->scale[side][i] = (diagonal ? 1.0 : 0.0) - eta * gram[i];
    minimizer->gain[side][i] = diagonal ? eta : 0.0;
  }
}

/* gain <- step * gram^-1 by Cholesky. */
static Status invert_gram(size_t rank, const double *gram, double step, double *gain) {
  memcpy(gain, gram, rank * rank * sizeof *gain);
  lapack_int n = (lapack_int)rank;
  bool singular = rank == 1 ? !(gram[0] > 0.0 && isfinite(1.0 / gram[0]))
                            : LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', n, gain, n) != 0 ||
                                  LAPACKE_dpotri(LAPACK_COL_MAJOR, 'L', n, gain, n) != 0;
  if (singular)
    return status_error(STATUS_NUMERICS, "a block has become singular: its least-squares problem has no solution");
  if (rank == 1)
    gain[0] = 1.0 / gram[0];
  for (size_t j = 0; j < rank; ++j)
    for (size_t i = j; i < rank; ++i) {
      gain[j * rank + i] *= step;
      gain[i * rank + j] = gain[j * rank + i];
    }
  return status_ok();
}

Status block_preconditioned(Minimizer *minimizer, Side side, double step) {
  size_t rank = minimizer->problem->rank;
  TRY(invert_gram(rank, partner_product(minimizer, side)->gram, step, minimizer->gain[side]));
  for (size_t i = 0; i < rank * rank; ++i)
    minimizer->scale[side][i] = i % (rank + 1) == 0 ? 1.0 - step : 0.0;
  return status_ok();
}

static void apply_coefficients(Minimizer *minimizer, Side side) {
  const Problem *problem = minimizer->problem;
  problem->type->update(problem, side, own_factor(minimizer, side), minimizer->scale[side],
                        partner_product(minimizer, side), minimizer->gain[side]);
}

void block_update(Minimizer *minimizer, Side side) {
  apply_coefficients(minimizer, side);
  refresh(minimizer, side);
}

void block_update_both(Minimizer *minimizer) {
  const Problem *problem = minimizer->problem;
  if (problem->type->update_both) {
    problem->type->update_both(problem, minimizer->u, minimizer->v, minimizer->scale[SIDE_U], minimizer->gain[SIDE_U],
                               minimizer->scale[SIDE_V], minimizer->gain[SIDE_V], &minimizer->of_u, &minimizer->of_v);
    return;
  }
  apply_coefficients(minimizer, SIDE_U); /* both from the products of the old state */
  apply_coefficients(minimizer, SIDE_V);
  minimizer_refresh(minimizer);
}

double rate_radius(double trace, double determinant) {
  double discriminant = 0.25 * trace * trace - determinant;
  if (discriminant <= 0.0)
    return sqrt(determinant);
  return 0.5 * fabs(trace) + sqrt(discriminant);
}
