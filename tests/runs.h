/* runs.h: what the tests of the theory share: data of their own, short runs, comparisons that a NaN fails. */
#ifndef SEESAW_TEST_RUNS_H
#define SEESAW_TEST_RUNS_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "method.h"
#include "reduction.h"
#include "rng.h"

/* value <= bound; NaN is not. */
#define expect_within(value, bound, ...)                                                                               \
  do {                                                                                                                 \
    double expect_value = (value), expect_bound = (bound);                                                             \
    char expect_what[256];                                                                                             \
    snprintf(expect_what, sizeof expect_what, __VA_ARGS__);                                                            \
    cr_expect(expect_value <= expect_bound, "%s: %g, not within %g", expect_what, expect_value, expect_bound);         \
  } while (0)

#define assert_ok(call)                                                                                                \
  do {                                                                                                                 \
    Status assert_status = (call);                                                                                     \
    cr_assert_eq(assert_status.code, STATUS_OK, "%s: %s", #call, assert_status.message);                               \
  } while (0)

/* The call fails with this code and a sentence that has `part` in it. */
#define expect_refused(call, expected, part)                                                                           \
  do {                                                                                                                 \
    Status refused = (call);                                                                                           \
    cr_expect_eq(refused.code, (expected), "%s gave %d", #call, (int)refused.code);                                    \
    if (refused.code != STATUS_OK)                                                                                     \
      cr_expect(strstr(refused.message, (part)) != NULL, "expected '%s' in: %s", (part), refused.message);             \
  } while (0)

/* max |x - y|; infinite if anything is NaN. */
static inline double difference(const double *x, const double *y, size_t count) {
  double largest = 0.0;
  for (size_t i = 0; i < count; i++)
    if (!(fabs(x[i] - y[i]) <= largest))
      largest = isnan(x[i] - y[i]) ? INFINITY : fabs(x[i] - y[i]);
  return largest;
}

/* |value - reference| / |reference| */
static inline double relative(double value, double reference) {
  return fabs(value - reference) / fabs(reference);
}

static inline void fill_normal(double *x, size_t count, double scale, uint64_t seed) {
  rng_fill_normal(rng_make(seed, RNG_TEST, 0), 0, count, x);
  for (size_t i = 0; i < count; i++)
    x[i] *= scale;
}

static inline MethodParameters with_step(double step) {
  MethodParameters parameters = method_defaults();
  parameters.step = step;
  return parameters;
}

/* Ready to iterate from (u, v). */
static inline void begin_run(Minimizer *minimizer, const char *method, const Problem *problem,
                             const MethodParameters *parameters, const double *u, const double *v) {
  const MethodType *type = method_find(method);
  cr_assert_not_null(type, "no method %s", method);
  assert_ok(minimizer_alloc(minimizer, type, problem, parameters));
  assert_ok(minimizer_set(minimizer, u, v));
}

static inline void take_steps(Minimizer *minimizer, size_t steps) {
  for (size_t t = 0; t < steps; t++)
    assert_ok(minimizer_iterate(minimizer));
}

static inline Measure measure_of(const Minimizer *minimizer) {
  Measure measure;
  problem_measure(minimizer->problem, minimizer->u, minimizer->v, &measure);
  return measure;
}

/* The balanced optimum of the reduced problem: u = sqrt(sigma) t, v = +-u, t the top direction. */
static inline Reduced balanced(double cosine) {
  int top = cosine >= 0.0 ? 0 : 1;
  Reduced state = {{0.0}, {0.0}};
  state.x[top] = sqrt(1.0 + fabs(cosine));
  state.y[top] = cosine >= 0.0 ? state.x[top] : -state.x[top];
  return state;
}

#endif
