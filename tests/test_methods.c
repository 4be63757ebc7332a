/* test_methods.c: every method against its steps written out in long double, the identities between methods, rates and
 * limits against the spectrum of a differenced Jacobian, where a run arrives, and what is refused. */
#include <lapacke.h>
#include <stdio.h>

#include "runs.h"
#include "scratch.h"

enum { MOST = 13, RANK = 3, FACTOR = MOST * RANK }; /* the largest factor here */

static const double ROUNDING = 0x1p-53;

typedef long double Wide;

/* ---- problems ---- */

typedef struct Case {
  const char *name;
  size_t rows, columns, rank;
} Case;

static const Case cases[] = {{"bilinear", 13, 13, 1}, {"bilinear", 2, 2, 1}, {"reduced", 3, 3, 1},
                             {"dense", 7, 5, 3},      {"dense", 5, 9, 2},    {"sparse", 9, 7, 3}};
enum { CASES = sizeof cases / sizeof *cases };

static void make_dense(Problem *problem, const Case *shape) {
  double values[MOST * MOST];
  fill_normal(values, shape->rows * shape->columns, 1.0, 11);
  assert_ok(problem_dense(problem, shape->rows, shape->columns, values, shape->rank, true));
}

/* Three entries of four. */
static void make_sparse(Problem *problem, const Case *shape) {
  double values[MOST * MOST];
  size_t row[MOST * MOST], column[MOST * MOST], count = 0;
  fill_normal(values, MOST * MOST, 1.0, 12);
  for (size_t i = 0; i < shape->rows; i++)
    for (size_t j = 0; j < shape->columns; j++)
      if ((i + 3 * j) % 4 != 0) {
        row[count] = i;
        column[count++] = j;
      }
  assert_ok(problem_sparse(problem, shape->rows, shape->columns, count, row, column, values, shape->rank, true));
}

static void make_problem(Problem *problem, const Case *shape) {
  if (strcmp(shape->name, "bilinear") == 0)
    assert_ok(problem_bilinear_random(problem, shape->rows, 0.4, 13));
  else if (strcmp(shape->name, "reduced") == 0)
    assert_ok(problem_reduced(problem, -0.3));
  else if (strcmp(shape->name, "dense") == 0)
    make_dense(problem, shape);
  else
    make_sparse(problem, shape);
}

static void make_start(const Problem *problem, uint64_t seed, double *u, double *v) {
  fill_normal(u, problem->rows * problem->rank, 0.5, seed);
  fill_normal(v, problem->columns * problem->rank, 0.5, seed + 1);
}

/* Well inside the stable range: k = 0.4, or a relaxation by 0.7; the flow for a time of 1 / (4 sigma_1). */
static MethodParameters parameters_for(const MethodType *type, const Problem *problem) {
  double k = strcmp(type->name, "flow") == 0 ? 0.25 : 0.4;
  return (MethodParameters){.step = type->preconditioned ? 0.7 : k / problem->truth.sigma[0],
                            .momentum = 0.5,
                            .balance_cap = 1.5,
                            .soft_period = 5.0};
}

/* ---- steps written out ---- */

typedef struct Plain {
  size_t rows, columns, rank;
  Wide x[MOST * MOST];                     /* X[i, j] at i * columns + j */
  Wide u[FACTOR], v[FACTOR];               /* column by column */
  Wide before_u[FACTOR], before_v[FACTOR]; /* the state one step ago */
} Plain;

/* X entry by entry, from the problem's product with unit vectors, which test_problem holds against X. */
static void write_out(const Problem *problem, Plain *plain) {
  *plain = (Plain){.rows = problem->rows, .columns = problem->columns, .rank = problem->rank};
  for (size_t j = 0; j < problem->columns; j++) {
    double unit[FACTOR] = {0.0}, column[FACTOR];
    unit[j] = 1.0;
    problem->type->apply(problem, SIDE_V, unit, column);
    for (size_t i = 0; i < problem->rows; i++)
      plain->x[i * problem->columns + j] = column[i];
  }
}

static void plain_set(Plain *plain, const double *u, const double *v) {
  for (size_t i = 0; i < plain->rows * plain->rank; i++)
    plain->u[i] = plain->before_u[i] = u[i];
  for (size_t j = 0; j < plain->columns * plain->rank; j++)
    plain->v[j] = plain->before_v[j] = v[j];
}

/* U V' - X at (i, j). */
static Wide residual(const Plain *plain, size_t i, size_t j) {
  Wide sum = -plain->x[i * plain->columns + j];
  for (size_t k = 0; k < plain->rank; k++)
    sum += plain->u[k * plain->rows + i] * plain->v[k * plain->columns + j];
  return sum;
}

/* (U V' - X) V */
static void slope_u(const Plain *plain, Wide *slope) {
  for (size_t k = 0; k < plain->rank; k++)
    for (size_t i = 0; i < plain->rows; i++) {
      slope[k * plain->rows + i] = 0;
      for (size_t j = 0; j < plain->columns; j++)
        slope[k * plain->rows + i] += residual(plain, i, j) * plain->v[k * plain->columns + j];
    }
}

/* (U V' - X)' U */
static void slope_v(const Plain *plain, Wide *slope) {
  for (size_t k = 0; k < plain->rank; k++)
    for (size_t j = 0; j < plain->columns; j++) {
      slope[k * plain->columns + j] = 0;
      for (size_t i = 0; i < plain->rows; i++)
        slope[k * plain->columns + j] += residual(plain, i, j) * plain->u[k * plain->rows + i];
    }
}

/* row <- row G^-1 for a symmetric positive G, by elimination; G is destroyed. */
static void solve(size_t rank, Wide gram[RANK][RANK], Wide row[RANK]) {
  for (size_t k = 0; k < rank; k++)
    for (size_t l = 0; l < rank; l++) {
      if (l == k)
        continue;
      Wide factor = gram[l][k] / gram[k][k];
      for (size_t m = 0; m < rank; m++)
        gram[l][m] -= factor * gram[k][m];
      row[l] -= factor * row[k];
    }
  for (size_t k = 0; k < rank; k++)
    row[k] /= gram[k][k];
}

/* slope <- slope (F'F)^-1, with the partner's factor F (`length` rows); the slope has `count` rows. */
static void divide_by_gram(size_t rank, size_t length, const Wide *factor, size_t count, Wide *slope) {
  for (size_t i = 0; i < count; i++) {
    Wide gram[RANK][RANK] = {{0}}, row[RANK];
    for (size_t k = 0; k < rank; k++) {
      row[k] = slope[k * count + i];
      for (size_t l = 0; l < rank; l++)
        for (size_t j = 0; j < length; j++)
          gram[k][l] += factor[k * length + j] * factor[l * length + j];
    }
    solve(rank, gram, row);
    for (size_t k = 0; k < rank; k++)
      slope[k * count + i] = row[k];
  }
}

static void scaled_slope_u(const Plain *plain, Wide *slope) {
  slope_u(plain, slope);
  divide_by_gram(plain->rank, plain->columns, plain->v, plain->rows, slope);
}

static void scaled_slope_v(const Plain *plain, Wide *slope) {
  slope_v(plain, slope);
  divide_by_gram(plain->rank, plain->rows, plain->u, plain->columns, slope);
}

static void move_u(Plain *plain, Wide step, const Wide *slope) {
  for (size_t i = 0; i < plain->rows * plain->rank; i++)
    plain->u[i] -= step * slope[i];
}

static void move_v(Plain *plain, Wide step, const Wide *slope) {
  for (size_t j = 0; j < plain->columns * plain->rank; j++)
    plain->v[j] -= step * slope[j];
}

/* Both slopes before either factor moves. */
static void step_together(Plain *plain, Wide step_u, Wide step_v) {
  Wide du[FACTOR], dv[FACTOR];
  slope_u(plain, du);
  slope_v(plain, dv);
  move_u(plain, step_u, du);
  move_v(plain, step_v, dv);
}

static void scaled_together(Plain *plain, Wide step) {
  Wide du[FACTOR], dv[FACTOR];
  scaled_slope_u(plain, du);
  scaled_slope_v(plain, dv);
  move_u(plain, step, du);
  move_v(plain, step, dv);
}

static void scaled_u(Plain *plain, Wide step) {
  Wide du[FACTOR];
  scaled_slope_u(plain, du);
  move_u(plain, step, du);
}

static void scaled_v(Plain *plain, Wide step) {
  Wide dv[FACTOR];
  scaled_slope_v(plain, dv);
  move_v(plain, step, dv);
}

typedef void PlainStep(Plain *plain, const MethodParameters *parameters, size_t t);

static void plain_gd(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)t;
  step_together(plain, parameters->step, parameters->step);
}

static void plain_altgd(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)t;
  step_together(plain, parameters->step, 0);
  step_together(plain, 0, parameters->step);
}

/* The loss is quadratic in one block: the preconditioned step of length 1 is the exact minimum over it. */
static void plain_als(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)parameters, (void)t;
  scaled_v(plain, 1);
  scaled_u(plain, 1);
}

static void plain_jacobi(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)parameters, (void)t;
  scaled_together(plain, 1);
}

static void plain_scaledgd(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)t;
  scaled_together(plain, parameters->step);
}

static void plain_altscaledgd(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)t;
  scaled_u(plain, parameters->step);
  scaled_v(plain, parameters->step);
}

/* w_{t+1} = w_t - eta slope(w_t) + mu (w_t - w_{t-1}) */
static void plain_momentum(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)t;
  Plain now = *plain;
  step_together(plain, parameters->step, parameters->step);
  for (size_t i = 0; i < FACTOR; i++) {
    plain->u[i] += parameters->momentum * (now.u[i] - now.before_u[i]);
    plain->v[i] += parameters->momentum * (now.v[i] - now.before_v[i]);
    plain->before_u[i] = now.u[i];
    plain->before_v[i] = now.v[i];
  }
}

static Wide norm_of(size_t length, const Wide *column) {
  Wide sum = 0;
  for (size_t i = 0; i < length; i++)
    sum += column[i] * column[i];
  return sqrtl(sum);
}

static void plain_balance(Plain *plain, const MethodParameters *parameters, size_t t) {
  (void)t;
  step_together(plain, parameters->step, parameters->step);
  for (size_t k = 0; k < plain->rank; k++) {
    Wide *u = plain->u + k * plain->rows, *v = plain->v + k * plain->columns;
    Wide factor = sqrtl(norm_of(plain->columns, v) / norm_of(plain->rows, u)), cap = parameters->balance_cap;
    factor = factor > cap ? cap : factor < 1 / cap ? 1 / cap : factor;
    for (size_t i = 0; i < plain->rows; i++)
      u[i] *= factor;
    for (size_t j = 0; j < plain->columns; j++)
      v[j] /= factor;
  }
}

static void plain_soft(Plain *plain, const MethodParameters *parameters, size_t t) {
  Wide lambda = (1 + cosl(2 * 3.14159265358979323846264L * (Wide)t / parameters->soft_period)) / 2;
  step_together(plain, parameters->step * lambda, parameters->step * (1 - lambda));
}

/* Classical Runge-Kutta. The flow's Lipschitz constant L stays below 4 sigma_1 here (2 sigma_1 at the balanced
 * optimum), so a step is L t <= 1; in pieces of 1/600 eleven of them are off by 11 (1/600)^4 / 120, less than 1e-12. */
static void plain_flow(Plain *plain, const MethodParameters *parameters, size_t t) {
  enum { PIECES = 600 };
  const Wide at[4] = {0, 0.5L, 0.5L, 1}, weight[4] = {1, 2, 2, 1}, h = (Wide)parameters->step / PIECES;
  (void)t;
  for (int piece = 0; piece < PIECES; piece++) {
    const Plain start = *plain;
    Wide du[FACTOR] = {0}, dv[FACTOR] = {0};
    for (int stage = 0; stage < 4; stage++) {
      Plain there = start;
      move_u(&there, at[stage] * h, du);
      move_v(&there, at[stage] * h, dv);
      slope_u(&there, du);
      slope_v(&there, dv);
      move_u(plain, weight[stage] * h / 6, du);
      move_v(plain, weight[stage] * h / 6, dv);
    }
  }
}

static const struct {
  const char *name;
  PlainStep *step;
} plain_steps[] = {{"gd", plain_gd},
                   {"altgd", plain_altgd},
                   {"als", plain_als},
                   {"jacobi", plain_jacobi},
                   {"scaledgd", plain_scaledgd},
                   {"altscaledgd", plain_altscaledgd},
                   {"momentum", plain_momentum},
                   {"balance", plain_balance},
                   {"soft", plain_soft},
                   {"flow", plain_flow}};

static PlainStep *plain_step_of(const char *name) {
  for (size_t i = 0; i < sizeof plain_steps / sizeof *plain_steps; i++)
    if (strcmp(plain_steps[i].name, name) == 0)
      return plain_steps[i].step;
  cr_assert_fail("no plain step for %s", name);
  return NULL;
}

static double largest(const Wide *x, size_t count) {
  Wide most = 0;
  for (size_t i = 0; i < count; i++)
    most = fmaxl(most, fabsl(x[i]));
  return (double)most;
}

static double distance_to(const double *x, const Wide *expected, size_t count) {
  double rounded[FACTOR];
  for (size_t i = 0; i < count; i++)
    rounded[i] = (double)expected[i];
  return difference(x, rounded, count);
}

static double distance_between(const Plain *one, const Plain *other) {
  Wide most = 0;
  for (size_t i = 0; i < FACTOR; i++)
    most = fmaxl(most, fmaxl(fabsl(one->u[i] - other->u[i]), fabsl(one->v[i] - other->v[i])));
  return (double)most;
}

static void disturb(Plain *plain, double size) {
  double noise[2 * FACTOR];
  fill_normal(noise, 2 * FACTOR, size, 15);
  for (size_t i = 0; i < plain->rows * plain->rank; i++)
    plain->u[i] += noise[i];
  for (size_t j = 0; j < plain->columns * plain->rank; j++)
    plain->v[j] += noise[FACTOR + j];
}

/* A step's own error is that of sums of K terms, 8 sqrt(K) u of the size of the state, times what a disturbance of the
 * state grows by in the steps to come, which the written-out steps tell from a disturbed twin. The flow adds its
 * tolerance, 1e-13 of the state for each of its steps, fewer than four an iterate. */
static double error_of_step(const Plain *plain, const MethodType *type) {
  double terms = (double)(plain->rows + plain->columns + plain->rank),
         tolerance = strcmp(type->name, "flow") ? 0 : 4e-13;
  double size = fmax(1.0, fmax(largest(plain->u, FACTOR), largest(plain->v, FACTOR)));
  return (8.0 * sqrt(terms) * ROUNDING + tolerance) * size;
}

static void check_against_plain(const MethodType *type, const Case *shape) {
  enum { STEPS = 11 };
  const double offset = 1e-10;
  Problem problem;
  Minimizer minimizer;
  Plain plain, twin;
  double u[FACTOR], v[FACTOR], growth = 1.0, own = 0.0;
  make_problem(&problem, shape);
  make_start(&problem, 17, u, v);
  write_out(&problem, &plain);
  plain_set(&plain, u, v);
  twin = plain;
  disturb(&twin, offset);
  MethodParameters parameters = parameters_for(type, &problem);
  PlainStep *step = plain_step_of(type->name);
  begin_run(&minimizer, type->name, &problem, &parameters, u, v);
  for (size_t t = 0; t < STEPS; t++) {
    take_steps(&minimizer, 1);
    step(&plain, &parameters, t);
    step(&twin, &parameters, t);
    growth = fmax(growth, distance_between(&plain, &twin) / offset);
    own += error_of_step(&plain, type);
    double error = fmax(distance_to(minimizer.u, plain.u, problem.rows * problem.rank),
                        distance_to(minimizer.v, plain.v, problem.columns * problem.rank));
    expect_within(error, growth * own, "%s, %s %zu x %zu rank %zu, step %zu", type->name, shape->name, shape->rows,
                  shape->columns, shape->rank, t + 1);
  }
  expect_within(growth * own, 1e-10, "%s, %s: the bound itself", type->name, shape->name);
  minimizer_free(&minimizer);
  problem_free(&problem);
}

Test(methods, steps_are_those_written_out) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < CASES; i++)
      check_against_plain(*type, &cases[i]);
}

/* One wrong element, in the last place but nine, and a NaN. */
Test(methods, comparison_notices_an_error) {
  const Wide expected[3] = {1, 2, 3};
  cr_expect_eq(distance_to((double[]){1, 2, 3}, expected, 3), 0.0);
  cr_expect(distance_to((double[]){1, 2, 3 + 1e-13}, expected, 3) > 9e-14);
  cr_expect_eq(distance_to((double[]){1, NAN, 3}, expected, 3), INFINITY);
}

/* ---- products ---- */

typedef struct Products {
  double image[2][FACTOR], gram[2][RANK * RANK];
  Product of[2];
} Products;

static void fresh_products(const Problem *problem, const double *u, const double *v, Products *products) {
  for (int side = 0; side < 2; side++) {
    products->of[side] = (Product){products->image[side], products->gram[side]};
    problem->type->product(problem, (Side)side, side == SIDE_U ? u : v, &products->of[side]);
  }
}

static double norm2_of(const double *x, size_t count) {
  double sum = 0.0;
  for (size_t i = 0; i < count; i++)
    sum += x[i] * x[i];
  return sum;
}

/* Sums of up to K = rows + columns products: 8 sqrt(K) u of |X||F| and of |F|^2. */
static double error_of_product(const Problem *problem, const double *u, const double *v) {
  double norm2 = norm2_of(u, problem->rows * problem->rank) + norm2_of(v, problem->columns * problem->rank);
  return 8.0 * sqrt((double)(problem->rows + problem->columns)) * ROUNDING * fmax(1.0, norm2) *
         sqrt(2.0 * problem->truth.half_norm2);
}

static void expect_products(const Problem *problem, const char *what, const double *u, const double *v,
                            const Product *of_u, const Product *of_v) {
  Products fresh;
  const Product *const products[2] = {of_u, of_v};
  fresh_products(problem, u, v, &fresh);
  double bound = error_of_product(problem, u, v);
  for (int side = 0; side < 2; side++) {
    size_t count = problem->type->image_size(problem, (Side)side), square = problem->rank * problem->rank;
    expect_within(difference(products[side]->image, fresh.image[side], count), bound, "%s, %s: image %d", what,
                  problem->type->name, side);
    expect_within(difference(products[side]->gram, fresh.gram[side], square), bound, "%s, %s: Gram matrix %d", what,
                  problem->type->name, side);
  }
}

Test(methods, products_are_those_of_the_current_state) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < CASES; i++) {
      Problem problem;
      Minimizer minimizer;
      double u[FACTOR], v[FACTOR];
      make_problem(&problem, &cases[i]);
      make_start(&problem, 19, u, v);
      MethodParameters parameters = parameters_for(*type, &problem);
      begin_run(&minimizer, (*type)->name, &problem, &parameters, u, v);
      expect_products(&problem, (*type)->name, minimizer.u, minimizer.v, &minimizer.of_u, &minimizer.of_v);
      for (int t = 0; t < 7; t++) {
        take_steps(&minimizer, 1);
        expect_products(&problem, (*type)->name, minimizer.u, minimizer.v, &minimizer.of_u, &minimizer.of_v);
      }
      minimizer_free(&minimizer);
      problem_free(&problem);
    }
}

/* The one pass for both blocks is two passes that both see the old products. */
Test(methods, both_blocks_at_once_are_two_updates_from_the_old_products) {
  const size_t sizes[] = {2, 3, 13, 1001};
  const double scale_u = 0.8, gain_u = 0.3, scale_v = -0.6, gain_v = 1.1;
  for (int i = 0; i < 4; i++) {
    Problem problem;
    Products old, new;
    size_t d = sizes[i];
    double u[1001], v[1001], both_u[1001], both_v[1001];
    assert_ok(problem_bilinear_random(&problem, d, -0.4, 23));
    cr_assert_not_null(problem.type->update_both);
    make_start(&problem, 29, u, v);
    memcpy(both_u, u, d * sizeof *u);
    memcpy(both_v, v, d * sizeof *v);
    fresh_products(&problem, u, v, &old);
    fresh_products(&problem, u, v, &new);
    problem.type->update(&problem, SIDE_U, u, &scale_u, &old.of[SIDE_V], &gain_u);
    problem.type->update(&problem, SIDE_V, v, &scale_v, &old.of[SIDE_U], &gain_v);
    problem.type->update_both(&problem, both_u, both_v, &scale_u, &gain_u, &scale_v, &gain_v, &new.of[SIDE_U],
                              &new.of[SIDE_V]);
    /* the same few operations an element, rounded in another order; coefficients and elements are below 32 */
    expect_within(difference(both_u, u, d), 4 * 32 * ROUNDING, "u, d = %zu", d);
    expect_within(difference(both_v, v, d), 4 * 32 * ROUNDING, "v, d = %zu", d);
    expect_products(&problem, "update_both", both_u, both_v, &new.of[SIDE_U], &new.of[SIDE_V]);
    problem_free(&problem);
  }
}

/* ---- identities ---- */

/* u and v of a method after some steps on a problem. */
typedef struct Run {
  double u[FACTOR], v[FACTOR];
} Run;

static Run run_of(const char *method, const Problem *problem, const MethodParameters *parameters, const double *u,
                  const double *v, size_t steps) {
  Minimizer minimizer;
  Run run = {{0.0}, {0.0}};
  begin_run(&minimizer, method, problem, parameters, u, v);
  take_steps(&minimizer, steps);
  memcpy(run.u, minimizer.u, problem->rows * problem->rank * sizeof *u);
  memcpy(run.v, minimizer.v, problem->columns * problem->rank * sizeof *v);
  minimizer_free(&minimizer);
  return run;
}

/* Two methods that do the same arithmetic give the same bits, except that the bilinear problem sums for both blocks at
 * once in another order than for one: 9 steps of rounding there, in a state of size 1. */
static void expect_same_run(const Run *one, const Run *other, const Problem *problem, const char *what) {
  double bound = problem->type->update_both ? 9 * 8 * sqrt(13) * ROUNDING * 4.0 : 0.0;
  expect_within(difference(one->u, other->u, FACTOR), bound, "%s, %s: u", what, problem->type->name);
  expect_within(difference(one->v, other->v, FACTOR), bound, "%s, %s: v", what, problem->type->name);
}

/* The same method with other parameters, or another method, from the same start in every case. */
static void check_identity(const char *one, size_t steps_one, const char *other, size_t steps_other,
                           const MethodParameters *parameters) {
  for (int i = 0; i < CASES; i++) {
    Problem problem;
    double u[FACTOR], v[FACTOR];
    make_problem(&problem, &cases[i]);
    make_start(&problem, 31, u, v);
    Run first = run_of(one, &problem, parameters, u, v, steps_one);
    Run second = run_of(other, &problem, parameters, u, v, steps_other);
    expect_same_run(&first, &second, &problem, one);
    problem_free(&problem);
  }
}

Test(methods, heavy_ball_without_momentum_is_gradient_descent) {
  check_identity("momentum", 9, "gd", 9, &(MethodParameters){.step = 0.05, .balance_cap = 1, .soft_period = 2});
}

Test(methods, balancing_by_at_most_one_is_gradient_descent) {
  check_identity("balance", 9, "gd", 9, &(MethodParameters){.step = 0.05, .balance_cap = 1, .soft_period = 2});
}

/* lambda is 1, 0, 1, 0, ...: one block a step. */
Test(methods, soft_alternation_of_period_two_is_alternation_at_half_the_pace) {
  check_identity("soft", 8, "altgd", 4, &(MethodParameters){.step = 0.05, .balance_cap = 1, .soft_period = 2});
}

Test(methods, preconditioned_steps_of_length_one_are_exact) {
  check_identity("scaledgd", 4, "jacobi", 4, &(MethodParameters){.step = 1, .balance_cap = 1, .soft_period = 2});
}

/* altscaledgd moves u first: after its first u the rest is als, which moves v first. The u that als starts from
 * decides. */
Test(methods, alternating_preconditioned_steps_of_length_one_are_exact_in_the_other_order) {
  const MethodParameters exact = with_step(1.0);
  for (int i = 0; i < CASES; i++) {
    Problem problem;
    double u[FACTOR], v[FACTOR], any[FACTOR];
    make_problem(&problem, &cases[i]);
    make_start(&problem, 37, u, v);
    fill_normal(any, FACTOR, 1.0, 38);
    Run first = run_of("altscaledgd", &problem, &exact, u, v, 1);
    Run als = run_of("als", &problem, &exact, first.u, any, 4);
    Run before = run_of("altscaledgd", &problem, &exact, u, v, 4),
        after = run_of("altscaledgd", &problem, &exact, u, v, 5);
    cr_expect_arr_eq(als.v, before.v, sizeof als.v, "%s: v after 4 steps", cases[i].name);
    cr_expect_arr_eq(als.u, after.u, sizeof als.u, "%s: u after 4 steps", cases[i].name);
    problem_free(&problem);
  }
}

/* After a gradient step balancing changes the factors, not U V'; and a column's norms meet when the cap allows. */
Test(methods, balancing_keeps_the_product) {
  for (int i = 0; i < CASES; i++) {
    Problem problem;
    double u[FACTOR], v[FACTOR];
    make_problem(&problem, &cases[i]);
    make_start(&problem, 41, u, v);
    for (size_t k = 0; k < problem.rows; k++)
      u[k] *= 3.0;
    const MethodParameters parameters = {.step = 0.02, .balance_cap = 10.0, .soft_period = 2.0};
    Run plain = run_of("gd", &problem, &parameters, u, v, 1),
        balanced = run_of("balance", &problem, &parameters, u, v, 1);
    for (size_t r = 0; r < problem.rank; r++) {
      const double *x = plain.u + r * problem.rows, *y = plain.v + r * problem.columns;
      const double *bx = balanced.u + r * problem.rows, *by = balanced.v + r * problem.columns;
      expect_within(relative(norm2_of(bx, problem.rows), norm2_of(by, problem.columns)), 4 * 13 * ROUNDING,
                    "%s: column %zu", cases[i].name, r);
      for (size_t k = 0; k < problem.rows; k++)
        for (size_t l = 0; l < problem.columns; l++) /* multiplied, divided and multiplied again */
          expect_within(fabs(bx[k] * by[l] - x[k] * y[l]), 4 * ROUNDING * fabs(x[k] * y[l]), "%s: (%zu, %zu)",
                        cases[i].name, k, l);
    }
    problem_free(&problem);
  }
}

/* A column of zeros has no scale to share. */
Test(methods, balancing_leaves_a_zero_column) {
  Problem problem;
  double u[FACTOR], v[FACTOR];
  make_problem(&problem, &cases[3]);
  make_start(&problem, 43, u, v);
  memset(u + problem.rows, 0, problem.rows * sizeof *u);
  memset(v + problem.columns, 0, problem.columns * sizeof *v);
  const MethodParameters parameters = {.step = 0.02, .balance_cap = 10.0, .soft_period = 2.0};
  Run run = run_of("balance", &problem, &parameters, u, v, 5);
  const double zero[MOST] = {0.0};
  cr_expect_eq(difference(run.u + problem.rows, zero, problem.rows), 0.0);
  cr_expect_eq(difference(run.v + problem.columns, zero, problem.columns), 0.0);
  cr_expect(isfinite(difference(run.u, run.u, problem.rows)) && run.u[0] != u[0]);
  problem_free(&problem);
}

/* At the top pair with scales (s, t): (sigma/t, sigma/s), and back. */
Test(methods, simultaneous_exact_steps_swap_the_scales_for_ever) {
  Problem problem;
  const double s = 0.7, t = 2.9, u[3] = {s, 0, 0}, v[3] = {t, 0, 0};
  assert_ok(problem_reduced(&problem, 0.25));
  for (size_t steps = 1; steps <= 6; steps++) {
    Run run = run_of("jacobi", &problem, &(MethodParameters){.balance_cap = 1, .soft_period = 2}, u, v, steps);
    expect_within(relative(run.u[0], steps % 2 ? 1.25 / t : s), 8 * (double)steps * ROUNDING, "u, step %zu", steps);
    expect_within(relative(run.v[0], steps % 2 ? 1.25 / s : t), 8 * (double)steps * ROUNDING, "v, step %zu", steps);
  }
  problem_free(&problem);
}

/* ---- the flow ---- */

/* From the paper's start u = A z, v = A P z, the squares A = x_p^2 and B = x_q^2 obey A' = 2 A (1+c - A - B),
 * B' = 2 B (1-c - A - B): with a = A_0 e^{2(1+c)t}, b = B_0 e^{2(1-c)t} they are a/D and b/D, D = 1 + int_0^t 2 (a +
 * b). */
static Reduced flow_closed(double cosine, const Reduced *start, double t) {
  double plus = 1.0 + cosine, minus = 1.0 - cosine, a0 = start->x[0] * start->x[0], b0 = start->x[1] * start->x[1];
  double root = sqrt(1.0 + a0 * expm1(2.0 * plus * t) / plus + b0 * expm1(2.0 * minus * t) / minus);
  double along_p = start->x[0] * exp(plus * t) / root, along_q = start->x[1] * exp(minus * t) / root;
  return (Reduced){{along_p, along_q, 0.0}, {along_p, -along_q, 0.0}};
}

/* Each of the integrator's steps, fewer than four an iterate, may be off by 1e-13 of the state (of size < 2); a
 * disturbance grows by less than e^{4t} at first and not at all near the optimum: 10 bounds it on these starts. */
Test(methods, flow_has_its_closed_form_on_the_papers_start) {
  const double cosines[] = {0.6, -0.6, 0.0, 0.95};
  enum { STEPS = 24 };
  for (int i = 0; i < 4; i++) {
    Problem problem;
    Minimizer minimizer;
    const double *a, *b, alpha = 0.9, beta = -0.5;
    double u[9], v[9];
    assert_ok(problem_bilinear_random(&problem, 9, cosines[i], 47));
    problem_vectors(&problem, &a, &b);
    for (int k = 0; k < 9; k++) {
      u[k] = alpha * a[k] + beta * b[k];
      v[k] = beta * a[k] + alpha * b[k];
    }
    const MethodParameters quarter = with_step(0.25);
    const Reduced start = reduction_of(&problem, u, v);
    begin_run(&minimizer, "flow", &problem, &quarter, u, v);
    for (int t = 1; t <= STEPS; t++) {
      take_steps(&minimizer, 1);
      Reduced now = reduction_of(&problem, minimizer.u, minimizer.v),
              closed = flow_closed(cosines[i], &start, 0.25 * t);
      double bound = 10 * 4 * t * 2e-13;
      expect_within(difference(now.x, closed.x, 3), bound, "u, c = %g, time %g", cosines[i], 0.25 * t);
      expect_within(difference(now.y, closed.y, 3), bound, "v, c = %g, time %g", cosines[i], 0.25 * t);
    }
    minimizer_free(&minimizer);
    problem_free(&problem);
  }
}

/* ---- where runs arrive ---- */

/* |U V' - X_r|^2, with X_r from LAPACK's QR singular value decomposition (the problem's own is divide and conquer). */
static double distance2_to_truncation(const double *values, const Minimizer *minimizer) {
  enum { ROWS = 9, COLUMNS = 6 };
  double work[ROWS * COLUMNS], sigma[COLUMNS], left[ROWS * COLUMNS], right[COLUMNS * COLUMNS], rest[COLUMNS], sum = 0.0;
  memcpy(work, values, sizeof work);
  cr_assert_eq(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'S', 'S', ROWS, COLUMNS, work, COLUMNS, sigma, left, COLUMNS, right,
                              COLUMNS, rest),
               0);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) {
      double entry = 0.0;
      for (int k = 0; k < RANK; k++)
        entry += minimizer->u[k * ROWS + i] * minimizer->v[k * COLUMNS + j] -
                 left[i * COLUMNS + k] * sigma[k] * right[k * COLUMNS + j];
      sum += entry * entry;
    }
  return sum;
}

/* With s = sigma_3, s' = sigma_4 the angles of U's space obey excess >= (s^2 - s'^2)/2 sum sin^2, hence the alignment;
 * near the optimum excess >= (1 - s'/s)/2 |U V' - X_3|^2, hence the product (twice that for what is of higher order).
 */
Test(methods, runs_arrive_at_the_truncated_singular_value_decomposition) {
  double values[54], u[27], v[18];
  Problem problem, wider;
  fill_normal(values, 54, 1.0, 53);
  fill_normal(u, 27, 0.3, 54);
  fill_normal(v, 18, 0.3, 55);
  assert_ok(problem_dense(&problem, 9, 6, values, 3, true));
  assert_ok(problem_dense(&wider, 9, 6, values, 4, true)); /* for sigma_4 */
  double s = wider.truth.sigma[2], next = wider.truth.sigma[3], tolerance = 1e-20;
  for (const MethodType *const *type = method_table; *type; type++) {
    Minimizer minimizer;
    MethodParameters parameters = parameters_for(*type, &problem);
    Measure measure = {.excess = INFINITY};
    if (strcmp((*type)->name, "jacobi") == 0)
      continue; /* its scales never settle */
    begin_run(&minimizer, (*type)->name, &problem, &parameters, u, v);
    while (minimizer.iteration < 4000 && !minimizer_test(&minimizer, &measure, tolerance)) {
      take_steps(&minimizer, 1);
      measure = measure_of(&minimizer);
    }
    double excess = tolerance * problem.truth.half_norm2;
    expect_within(measure.excess, excess, "%s: excess after %zu steps", (*type)->name, minimizer.iteration);
    expect_within(fabs(measure.alignment - 1.0), 2 * excess / (s * s - next * next) + 50 * ROUNDING, "%s: alignment",
                  (*type)->name);
    expect_within(distance2_to_truncation(values, &minimizer), 4 * excess / (1 - next / s) + 1e-26, "%s: the product",
                  (*type)->name);
    minimizer_free(&minimizer);
  }
  problem_free(&problem);
  problem_free(&wider);
}

/* ---- rates and limits ---- */

enum { SIX = 6, TWELVE = 12 };

/* The six numbers some iterates after `from`. */
static void advance(Minimizer *minimizer, const double from[SIX], size_t steps, double to[SIX]) {
  assert_ok(minimizer_set(minimizer, from, from + 3));
  take_steps(minimizer, steps);
  memcpy(to, minimizer->u, 3 * sizeof *to);
  memcpy(to + 3, minimizer->v, 3 * sizeof *to);
}

/* Column by column, by five-point differences. At h = 3e-4 both their error, h^4 f'''''/30, and rounding, u/h, are
 * below 1e-11 for f''''' < 1e4. */
static void jacobian(Minimizer *minimizer, const double at[SIX], size_t steps, double *matrix) {
  const double h = 3e-4, offset[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
  for (int j = 0; j < SIX; j++) {
    double column[SIX] = {0.0};
    for (int k = 0; k < 4; k++) {
      double from[SIX], to[SIX];
      memcpy(from, at, sizeof from);
      from[j] += offset[k] * h;
      advance(minimizer, from, steps, to);
      for (int i = 0; i < SIX; i++)
        column[i] += weight[k] * to[i] / (12 * h);
    }
    memcpy(matrix + j * SIX, column, sizeof column);
  }
}

/* The largest modulus of the eigenvalues of an n x n matrix, which is destroyed. */
static double spectral_radius(int n, double *matrix) {
  double real[TWELVE], imaginary[TWELVE], radius = 0.0;
  cr_assert_eq(LAPACKE_dgeev(LAPACK_COL_MAJOR, 'N', 'N', n, matrix, n, real, imaginary, NULL, n, NULL, n), 0);
  for (int i = 0; i < n; i++)
    radius = fmax(radius, hypot(real[i], imaginary[i]));
  return radius;
}

/* Where the balanced optimum is, as six numbers, and the direction of the scales there, (u, -v) / |.|. */
static void optimum_of(double cosine, double at[SIX], double scales[SIX]) {
  Reduced state = balanced(cosine);
  memcpy(at, state.x, sizeof state.x);
  memcpy(at + 3, state.y, sizeof state.y);
  double norm = sqrt(2.0 * (1.0 + fabs(cosine)));
  for (int i = 0; i < 3; i++) {
    scales[i] = at[i] / norm;
    scales[i + 3] = -at[i + 3] / norm;
  }
}

/* The optima form a valley, u -> s u, v -> v/s, along which nothing moves: J w = w for the direction w of the scales.
 * That is no approach to the valley, so w's eigenvalue is taken out: J - w w' has 0 in its place and J's other
 * eigenvalues (Wielandt). Balancing has no valley but the balanced optimum: J w = 0. */
static void take_out_the_valley(const MethodType *type, const double scales[SIX], double *matrix) {
  bool valley = strcmp(type->name, "balance") != 0;
  double image[SIX] = {0.0}, expected[SIX];
  for (int j = 0; j < SIX; j++)
    for (int i = 0; i < SIX; i++)
      image[i] += matrix[j * SIX + i] * scales[j];
  for (int i = 0; i < SIX; i++)
    expected[i] = valley ? scales[i] : 0.0;
  expect_within(difference(image, expected, SIX), 1e-9, "%s: the scales", type->name);
  for (int j = 0; j < SIX; j++)
    for (int i = 0; i < SIX; i++)
      matrix[j * SIX + i] -= expected[i] * scales[j];
}

/* Heavy ball carries two states: (w_t, w_{t-1}) -> ((J + mu) w_t - mu w_{t-1}, w_t), J that of its first step, which is
 * plain. Taking the valley (w, w) out of J beforehand turns its pair of eigenvalues {1, mu} into the roots of
 * z^2 - mu z + mu, which have the modulus sqrt(mu), never more than that of the other pairs, whose product is mu. */
static double radius_with_momentum(const double *first, double momentum) {
  double companion[TWELVE * TWELVE] = {0.0};
  for (int j = 0; j < SIX; j++) {
    for (int i = 0; i < SIX; i++)
      companion[j * TWELVE + i] = first[j * SIX + i];
    companion[j * TWELVE + j] += momentum;
    companion[(j + SIX) * TWELVE + j] = -momentum;
    companion[j * TWELVE + j + SIX] = 1.0;
  }
  return spectral_radius(TWELVE, companion);
}

/* The factor of contraction a step, from differences of the iterates alone. */
static double measured_rate(const MethodType *type, double cosine, const MethodParameters *parameters) {
  Problem problem;
  Minimizer minimizer;
  size_t steps = type->cyclic ? (size_t)parameters->soft_period : 1;
  double at[SIX], scales[SIX], matrix[SIX * SIX];
  optimum_of(cosine, at, scales);
  assert_ok(problem_reduced(&problem, cosine));
  begin_run(&minimizer, type->name, &problem, parameters, at, at + 3);
  jacobian(&minimizer, at, steps, matrix);
  take_out_the_valley(type, scales, matrix);
  double radius = strcmp(type->name, "momentum") == 0 ? radius_with_momentum(matrix, parameters->momentum)
                                                      : spectral_radius(SIX, matrix);
  minimizer_free(&minimizer);
  problem_free(&problem);
  return pow(radius, 1.0 / (double)steps);
}

static const double rate_cosines[] = {-0.9, -0.3, 0.0, 0.05, 0.4, 0.8};
enum { RATE_COSINES = sizeof rate_cosines / sizeof *rate_cosines };

/* k = eta sigma for gradient steps, eta for preconditioned ones, 1/sigma units of time for the flow. */
static MethodParameters at_k(const MethodType *type, double cosine, double k) {
  return with_step(type->preconditioned ? k : k / (1.0 + fabs(cosine)));
}

/* The Jacobian is known to 1e-11; apart from meeting roots an eigenvalue is known to a moderate multiple of that. */
Test(methods, rates_are_those_of_the_differenced_jacobian) {
  const double ks[] = {0.2, 0.63, 0.95, 1.3, 1.9};
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < RATE_COSINES; i++)
      for (int j = 0; j < 5; j++) {
        MethodParameters parameters = at_k(*type, rate_cosines[i], ks[j]);
        double rate = (*type)->rate(rate_cosines[i], &parameters);
        expect_within(fabs(measured_rate(*type, rate_cosines[i], &parameters) - rate), 1e-8, "%s, c = %g, k = %g: %g",
                      (*type)->name, rate_cosines[i], ks[j], rate);
      }
}

Test(methods, rates_of_soft_alternation_at_every_period_and_of_momentum) {
  const MethodType *soft = method_find("soft"), *momentum = method_find("momentum");
  const double periods[] = {2, 3, 5, 12}, balls[] = {0.0, 0.2, 0.9};
  for (int i = 0; i < 4; i++) {
    MethodParameters parameters = at_k(soft, 0.4, 1.1);
    parameters.soft_period = periods[i];
    expect_within(fabs(measured_rate(soft, 0.4, &parameters) - soft->rate(0.4, &parameters)), 1e-8, "period %g",
                  periods[i]);
  }
  for (int i = 0; i < 3; i++) {
    MethodParameters parameters = at_k(momentum, -0.3, 0.7);
    parameters.momentum = balls[i];
    expect_within(fabs(measured_rate(momentum, -0.3, &parameters) - momentum->rate(-0.3, &parameters)), 1e-8,
                  "momentum %g", balls[i]);
  }
}

Test(methods, soft_alternation_of_a_broken_period_has_no_closed_rate) {
  const double periods[] = {2.5, 7.999, INFINITY};
  for (int i = 0; i < 3; i++) {
    MethodParameters parameters = method_defaults();
    parameters.soft_period = periods[i];
    cr_expect(isnan(method_find("soft")->rate(0.4, &parameters)), "period %g", periods[i]);
  }
}

/* What radius_with_momentum takes for granted: w_2 - w* = (J J + mu (J - 1)) (w_0 - w*). */
Test(methods, second_step_of_the_heavy_ball_has_momentum) {
  Problem problem;
  Minimizer minimizer;
  MethodParameters parameters = with_step(0.3);
  parameters.momentum = 0.7;
  double at[SIX], scales[SIX], one[SIX * SIX], two[SIX * SIX], expected[SIX * SIX];
  optimum_of(0.4, at, scales);
  assert_ok(problem_reduced(&problem, 0.4));
  begin_run(&minimizer, "momentum", &problem, &parameters, at, at + 3);
  jacobian(&minimizer, at, 1, one);
  jacobian(&minimizer, at, 2, two);
  for (int j = 0; j < SIX; j++)
    for (int i = 0; i < SIX; i++) {
      expected[j * SIX + i] = parameters.momentum * (one[j * SIX + i] - (i == j));
      for (int k = 0; k < SIX; k++)
        expected[j * SIX + i] += one[k * SIX + i] * one[j * SIX + k];
    }
  expect_within(difference(two, expected, SIX * SIX), 1e-9, "the second step");
  minimizer_free(&minimizer);
  problem_free(&problem);
}

/* At the best step roots often meet: there a relative error e of the Jacobian moves them by sqrt(e), 1e-11 by 3e-6. */
Test(methods, best_steps_have_the_rates_they_promise) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < RATE_COSINES && (*type)->best; i++) {
      MethodParameters parameters = method_defaults();
      if (rate_cosines[i] == 0.0 && strcmp((*type)->name, "momentum") == 0)
        continue; /* the best momentum is 1 there, which is no parameter */
      (*type)->best(rate_cosines[i], &parameters);
      double rate = (*type)->rate(rate_cosines[i], &parameters);
      expect_within(fabs(measured_rate(*type, rate_cosines[i], &parameters) - rate), 1e-4, "%s, c = %g: %g",
                    (*type)->name, rate_cosines[i], rate);
    }
}

/* Where roots meet, rate() itself is off by sqrt(u) = 1e-8. */
static void expect_no_better(const MethodType *type, double cosine, double best, const MethodParameters *other) {
  double rate = type->rate(cosine, other);
  cr_expect(rate >= best - 1e-7, "%s, c = %g: step %g, momentum %g has %.9g, the best %.9g", type->name, cosine,
            other->step, other->momentum, rate, best);
}

/* Over a grid of steps, 1 % apart, up to beyond every limit; of the momentum too for the heavy ball. */
Test(methods, no_step_is_better_than_the_best) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < RATE_COSINES && (*type)->best; i++) {
      double c = rate_cosines[i];
      bool ball = strcmp((*type)->name, "momentum") == 0;
      MethodParameters best = method_defaults();
      (*type)->best(c, &best);
      double least = (*type)->rate(c, &best);
      cr_expect(least < 1.0 || c == 0.0, "%s, c = %g: %g", (*type)->name, c, least);
      for (double step = 0.01; step < 4.0; step *= 1.01)
        for (double mu = 0.0; mu < (ball ? 1.0 : 0.01); mu += 0.01) {
          MethodParameters other = with_step(step);
          other.momentum = mu;
          expect_no_better(*type, c, least, &other);
        }
    }
}

Test(methods, best_rates_are_those_of_the_literature) {
  const double c = 0.3, root = (1 - sqrt(c)) / (1 + sqrt(c)),
               polyak = (sqrt(1 + c) - sqrt(c)) / (sqrt(1 + c) + sqrt(c));
  const struct {
    const char *method;
    double rate;
  } known[] = {{"gd", 1 / (1 + 2 * c)}, {"scaledgd", 1 / (1 + 2 * c)}, {"balance", 1 / (1 + 2 * c)},
               {"altgd", root * root},  {"altscaledgd", root * root},  {"momentum", polyak}};
  for (int i = 0; i < 6; i++) {
    const MethodType *type = method_find(known[i].method);
    MethodParameters parameters = method_defaults();
    type->best(c, &parameters);
    expect_within(fabs(type->rate(c, &parameters) - known[i].rate), 1e-7, "%s", type->name);
    type->best(-c, &parameters);
    expect_within(fabs(type->rate(-c, &parameters) - known[i].rate), 1e-7, "%s, c < 0", type->name);
  }
}

/* One per cent below the limit everything contracts, one above something grows. c = 0 has a circle of optima instead.
 */
Test(methods, limits_are_where_the_spectral_radius_crosses_one) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < RATE_COSINES; i++) {
      MethodParameters parameters = method_defaults();
      double c = rate_cosines[i], limit = (*type)->limit(c, &parameters);
      if (c == 0.0 || !isfinite(limit))
        continue;
      parameters.step = 0.99 * limit;
      double below = measured_rate(*type, c, &parameters);
      parameters.step = 1.01 * limit;
      double above = measured_rate(*type, c, &parameters);
      cr_expect(below < 1.0 - 1e-4 && above > 1.0 + 1e-4, "%s, c = %g: %g below %g, %g above", (*type)->name, c, below,
                limit, above);
    }
}

Test(methods, limit_of_soft_alternation_does_not_depend_on_the_period) {
  const MethodType *soft = method_find("soft");
  for (double period = 2; period <= 9; period++) {
    MethodParameters parameters = method_defaults();
    parameters.soft_period = period;
    parameters.step = 0.99 * soft->limit(0.4, &parameters);
    expect_within(measured_rate(soft, 0.4, &parameters), 1.0 - 1e-4, "period %g, below", period);
    parameters.step = 1.01 * soft->limit(0.4, &parameters);
    cr_expect(measured_rate(soft, 0.4, &parameters) > 1.0 + 1e-4, "period %g, above", period);
  }
}

Test(methods, methods_without_a_finite_limit) {
  const MethodParameters parameters = method_defaults(), long_time = with_step(20.0);
  cr_expect(isnan(method_find("als")->limit(0.4, &parameters)), "no step");
  cr_expect(isnan(method_find("jacobi")->limit(0.4, &parameters)), "no step");
  cr_expect_eq(method_find("flow")->limit(0.4, &parameters), INFINITY);
  expect_within(measured_rate(method_find("flow"), 0.4, &long_time), 1e-4, "the flow for a long time");
}

Test(methods, radius_of_the_roots) {
  cr_expect_eq(rate_radius(5, 6), 3.0, "2 and 3");
  cr_expect_eq(rate_radius(-5, 6), 3.0, "-2 and -3");
  cr_expect_eq(rate_radius(1, -6), 3.0, "-2 and 3");
  cr_expect_eq(rate_radius(4, 4), 2.0, "2 twice");
  cr_expect_eq(rate_radius(0, 9), 3.0, "3i and -3i");
  cr_expect(isnan(rate_radius(NAN, 1)));
}

/* ---- the frame around a method ---- */

Test(methods, names) {
  char expected[512] = "";
  for (const MethodType *const *type = method_table; *type; type++) {
    cr_expect_eq(method_find((*type)->name), *type);
    cr_expect(strlen((*type)->title) > 0 && strlen((*type)->source) > 0, "%s", (*type)->name);
    snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s", *expected ? "," : "",
             (*type)->name);
  }
  cr_expect_str_eq(method_names(), expected);
  cr_expect_str_eq(method_names(), expected, "a second time");
  cr_expect_str_eq(expected, "gd,altgd,als,jacobi,scaledgd,altscaledgd,momentum,balance,soft,flow");
  const char *const unknown[] = {"", "GD", "gd ", "g", "gdd", "sgd", "gd,altgd"};
  for (int i = 0; i < 7; i++)
    cr_expect_null(method_find(unknown[i]), "'%s'", unknown[i]);
}

/* lambda, the last state, the integrator's own step: nothing of the first run is left. */
Test(methods, a_run_set_again_gives_the_same_bits) {
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < CASES; i++) {
      Problem problem;
      Minimizer minimizer;
      double u[FACTOR], v[FACTOR], other_u[FACTOR], other_v[FACTOR];
      make_problem(&problem, &cases[i]);
      make_start(&problem, 59, u, v);
      make_start(&problem, 61, other_u, other_v);
      MethodParameters parameters = parameters_for(*type, &problem);
      Run run = run_of((*type)->name, &problem, &parameters, u, v, 6);
      begin_run(&minimizer, (*type)->name, &problem, &parameters, other_u, other_v);
      take_steps(&minimizer, 3);
      assert_ok(minimizer_set(&minimizer, u, v));
      cr_expect_eq(minimizer.iteration, 0);
      take_steps(&minimizer, 6);
      cr_expect_eq(minimizer.iteration, 6);
      cr_expect_arr_eq(minimizer.u, run.u, problem.rows * problem.rank * sizeof *u, "%s, %s: u", (*type)->name,
                       cases[i].name);
      cr_expect_arr_eq(minimizer.v, run.v, problem.columns * problem.rank * sizeof *v, "%s, %s: v", (*type)->name,
                       cases[i].name);
      minimizer_free(&minimizer);
      problem_free(&problem);
    }
}

Test(methods, a_run_has_arrived_when_its_excess_is_within) {
  Problem vectors, matrix;
  const double x[4] = {3, 0, 0, 4}, one[2] = {1, 1}; /* 1/2 |X|^2 = 12.5 */
  assert_ok(problem_reduced(&vectors, 0.5));
  assert_ok(problem_dense(&matrix, 2, 2, x, 1, true));
  const MethodParameters parameters = method_defaults();
  Minimizer on_vectors, on_matrix;
  begin_run(&on_vectors, "gd", &vectors, &parameters, (double[]){1, 1, 1}, (double[]){1, 1, 1});
  begin_run(&on_matrix, "gd", &matrix, &parameters, one, one);
  cr_expect(minimizer_test(&on_vectors, &(Measure){.excess = 1e-3}, 1e-3));
  cr_expect_not(minimizer_test(&on_vectors, &(Measure){.excess = 1.001e-3}, 1e-3));
  cr_expect(minimizer_test(&on_vectors, &(Measure){.excess = -1e-30}, 1e-3), "rounding may take it below 0");
  cr_expect(minimizer_test(&on_matrix, &(Measure){.excess = 0.125}, 1e-2));
  cr_expect_not(minimizer_test(&on_matrix, &(Measure){.excess = 0.1251}, 1e-2));
  const Minimizer *const both[] = {&on_vectors, &on_matrix};
  for (int i = 0; i < 2; i++) {
    cr_expect_not(minimizer_test(both[i], &(Measure){.excess = 0.0}, 0.0), "a tolerance of 0 never stops");
    cr_expect_not(minimizer_test(both[i], &(Measure){.excess = -1.0}, 0.0));
    cr_expect_not(minimizer_test(both[i], &(Measure){.excess = 0.0}, -1.0));
    cr_expect_not(minimizer_test(both[i], &(Measure){.excess = NAN}, 1.0), "NaN never passes");
    cr_expect_not(minimizer_test(both[i], &(Measure){.excess = 0.0}, NAN));
    cr_expect_not(minimizer_test(both[i], &(Measure){.excess = INFINITY}, 1.0));
  }
  minimizer_free(&on_vectors);
  minimizer_free(&on_matrix);
  problem_free(&vectors);
  problem_free(&matrix);
}

/* ---- what is refused ---- */

/* alloc, then set, from an ordinary start: the first that fails. */
static Status start_with(const MethodType *type, const MethodParameters *parameters) {
  Problem problem;
  Minimizer minimizer;
  const double u[3] = {1, 2, 3}, v[3] = {3, -1, 1};
  assert_ok(problem_reduced(&problem, 0.5));
  Status status = minimizer_alloc(&minimizer, type, &problem, parameters);
  if (status.code == STATUS_OK) {
    status = minimizer_set(&minimizer, u, v);
    minimizer_free(&minimizer);
  }
  problem_free(&problem);
  return status;
}

Test(methods, steps_must_be_positive_and_finite) {
  const double steps[] = {0.0, -0.1, NAN, INFINITY, -INFINITY};
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < 5; i++) {
      const MethodParameters parameters = with_step(steps[i]);
      if ((*type)->uses_step)
        expect_refused(start_with(*type, &parameters), STATUS_USAGE, "the step must be positive, not");
      else
        assert_ok(start_with(*type, &parameters));
    }
  cr_expect_not(method_find("als")->uses_step || method_find("jacobi")->uses_step);
}

Test(methods, parameters_out_of_range) {
  const double momenta[] = {-0.1, 1.0, 1.5, NAN}, caps[] = {0.99, 0.0, -2.0, NAN}, periods[] = {1.99, 0.0, -8.0, NAN};
  for (const MethodType *const *type = method_table; *type; type++)
    for (int i = 0; i < 4; i++) {
      MethodParameters momentum = method_defaults(), cap = momentum, period = momentum;
      momentum.momentum = momenta[i];
      cap.balance_cap = caps[i];
      period.soft_period = periods[i];
      expect_refused(start_with(*type, &momentum), STATUS_USAGE, "the momentum must lie in [0, 1), not");
      expect_refused(start_with(*type, &cap), STATUS_USAGE, "the cap of balancing must be at least 1, not");
      expect_refused(start_with(*type, &period), STATUS_USAGE, "at least 2 steps, not");
    }
}

Test(methods, parameters_at_the_edge_of_their_range) {
  const MethodParameters edge = {.step = 1e-300, .momentum = 0.0, .balance_cap = 1.0, .soft_period = 2.0};
  for (const MethodType *const *type = method_table; *type; type++)
    assert_ok(start_with(*type, &edge));
}

/* What a step from (u, v) says on the problem. A failed step does not count. */
static void expect_step(const char *method, const Problem *problem, const double *u, const double *v, StatusCode code) {
  const MethodParameters parameters = with_step(1.0);
  Minimizer minimizer;
  begin_run(&minimizer, method, problem, &parameters, u, v);
  if (code == STATUS_OK)
    assert_ok(minimizer_iterate(&minimizer));
  else
    expect_refused(minimizer_iterate(&minimizer), code, "singular");
  cr_expect_eq(minimizer.iteration, code == STATUS_OK ? 1 : 0, "%s", method);
  minimizer_free(&minimizer);
}

Test(methods, exact_steps_need_a_partner_that_is_not_zero) {
  Problem problem;
  const double some[3] = {1, 2, 3}, zero[3] = {0.0}, outside[3] = {0, 0, 1}, nan[3] = {1, NAN, 1};
  assert_ok(problem_reduced(&problem, 0.5));
  expect_step("jacobi", &problem, zero, some, STATUS_NUMERICS);
  expect_step("jacobi", &problem, some, zero, STATUS_NUMERICS);
  expect_step("scaledgd", &problem, zero, some, STATUS_NUMERICS);
  expect_step("scaledgd", &problem, some, zero, STATUS_NUMERICS);
  expect_step("als", &problem, zero, some, STATUS_NUMERICS);
  expect_step("als", &problem, some, zero, STATUS_OK); /* v is found from u */
  expect_step("altscaledgd", &problem, some, zero, STATUS_NUMERICS);
  expect_step("altscaledgd", &problem, zero, some, STATUS_OK);
  expect_step("als", &problem, outside, some, STATUS_NUMERICS); /* X'u = 0 leaves nothing to find u from */
  expect_step("altscaledgd", &problem, some, outside, STATUS_NUMERICS);
  expect_step("scaledgd", &problem, some, nan, STATUS_NUMERICS);
  const char *const gradient[] = {"gd", "altgd", "momentum", "balance", "soft", "flow"};
  for (int i = 0; i < 6; i++) /* a stationary point, not a failure */
    expect_step(gradient[i], &problem, zero, zero, STATUS_OK);
  problem_free(&problem);
}

Test(methods, exact_steps_need_a_partner_of_full_rank) {
  Problem problem;
  double u[FACTOR], v[FACTOR];
  make_problem(&problem, &cases[3]);
  make_start(&problem, 67, u, v);
  memset(v + problem.columns, 0, problem.columns * sizeof *v); /* the second of three columns */
  expect_step("jacobi", &problem, u, v, STATUS_NUMERICS);
  expect_step("scaledgd", &problem, u, v, STATUS_NUMERICS);
  expect_step("altscaledgd", &problem, u, v, STATUS_NUMERICS);
  expect_step("als", &problem, u, v, STATUS_OK);
  v[0] = NAN;
  expect_step("scaledgd", &problem, u, v, STATUS_NUMERICS);
  problem_free(&problem);
}

/* The first step tried, a tenth of an iterate, overflows here within its stages; the flow itself is tame. It keeps
 * |u|^2 - |v|^2, here to the integrator's 1e-13 of |u|^2 in each of fewer than 10,000 steps. */
Test(methods, flow_from_afar_finds_a_step_short_enough) {
  Problem problem;
  const double u[3] = {300, 1, 2}, v[3] = {1, -2, 0.5}, kept = 300.0 * 300 + 1 + 4 - (1 + 4 + 0.25);
  const MethodParameters parameters = with_step(0.1);
  assert_ok(problem_reduced(&problem, 0.5));
  Run run = run_of("flow", &problem, &parameters, u, v, 2);
  double balance = 0.0;
  for (int i = 0; i < 3; i++)
    balance += run.u[i] * run.u[i] - run.v[i] * run.v[i];
  expect_within(relative(balance, kept), 1e-9, "|u|^2 - |v|^2");
  expect_within(relative(run.v[0], 1.5 / 300), 1e-3, "v has become X'u / |u|^2");
  problem_free(&problem);
}

/* At time 1 no step below 1e-16 counts, and u ~ 1e30 moves v on a scale of 1e-60. */
Test(methods, flow_gives_up_where_no_step_is_short_enough) {
  Problem problem;
  Minimizer minimizer;
  const double u[3] = {1, 0.5, 0}, v[3] = {1, 1, 0};
  const MethodParameters parameters = with_step(1.0);
  assert_ok(problem_reduced(&problem, 0.5));
  begin_run(&minimizer, "flow", &problem, &parameters, u, v);
  take_steps(&minimizer, 1);
  minimizer.u[0] = 1e30;
  expect_refused(minimizer_iterate(&minimizer), STATUS_NUMERICS, "the integrator of the flow gave up at time 1");
  cr_expect_eq(minimizer.iteration, 1);
  assert_ok(minimizer_set(&minimizer, u, v));
  take_steps(&minimizer, 2);
  minimizer_free(&minimizer);
  problem_free(&problem);
}

Test(methods, flow_gives_up_on_nan_and_on_endless_work) {
  Problem problem;
  Minimizer minimizer;
  const double nan[3] = {1, NAN, 0}, far[3] = {1e9, 0, 0}, v[3] = {1, 1, 0};
  const MethodParameters parameters = with_step(1.0);
  assert_ok(problem_reduced(&problem, 0.5));
  begin_run(&minimizer, "flow", &problem, &parameters, nan, v);
  expect_refused(minimizer_iterate(&minimizer), STATUS_NUMERICS, "the integrator of the flow gave up at time 0");
  assert_ok(minimizer_set(&minimizer, far, v));
  expect_refused(minimizer_iterate(&minimizer), STATUS_NUMERICS, "the integrator of the flow gave up at time");
  minimizer_free(&minimizer);
  problem_free(&problem);
}

/* u, v take 16 MB; the integrator of the flow takes 13 times as much on top of twice that. */
Test(methods, memory_that_is_not_there) {
  Problem problem;
  Minimizer minimizer;
  const MethodParameters parameters = method_defaults();
  assert_ok(problem_bilinear_random(&problem, 1000000, 0.5, 71));
  limit_memory(100 << 20);
  expect_refused(minimizer_alloc(&minimizer, method_find("flow"), &problem, &parameters), STATUS_MEMORY, "integrator");
  cr_expect(minimizer.state == NULL && minimizer.arena.base == NULL, "nothing of it is left");
  minimizer_free(&minimizer);
  assert_ok(minimizer_alloc(&minimizer, method_find("gd"), &problem, &parameters));
  limit_memory(1 << 20);
  Minimizer second;
  expect_refused(minimizer_alloc(&second, method_find("gd"), &problem, &parameters), STATUS_MEMORY, "memory");
  minimizer_free(&minimizer);
  problem_free(&problem);
}
