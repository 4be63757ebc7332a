/* test_schedule.c: the ends of schedules. */
#include "schedule.h"

#include "runs.h"

Test(schedule, cosine_starts_small_is_one_after_the_warm_up_and_ends_near_zero) {
  Schedule s = {.kind = SCHEDULE_COSINE, .steps = 101, .warmup = 0.03}; /* 3.03: four steps */
  static const double start[] = {0.2, 0.4, 0.6, 0.8, 1.0};
  for (size_t t = 0; t < 5; t++)
    expect_within(fabs(schedule_factor(&s, t) - start[t]), 1e-15, "step %zu", t);
  double half = schedule_factor(&s, 4 + 48) + schedule_factor(&s, 4 + 49);
  expect_within(fabs(half - 1.0), 1e-12, "halfway");
  for (size_t t = 5; t < s.steps; t++)
    cr_expect_lt(schedule_factor(&s, t), schedule_factor(&s, t - 1));
  double last = schedule_factor(&s, s.steps - 1);
  cr_expect(last > 0.0 && last < 1e-3, "the last step still moves: %g", last);
}

Test(schedule, without_warm_up_starts_at_one) {
  Schedule cosine = {.kind = SCHEDULE_COSINE, .steps = 7}, constant = {.kind = SCHEDULE_CONSTANT, .steps = 7};
  cr_expect_eq(schedule_factor(&cosine, 0), 1.0);
  for (size_t t = 0; t < 7; t++)
    cr_expect_eq(schedule_factor(&constant, t), 1.0);
  constant.warmup = 0.5;
  cr_expect_eq(schedule_factor(&constant, 0), 0.2);
  cr_expect_eq(schedule_factor(&constant, 4), 1.0);
}

Test(schedule, of_one_step_and_of_warm_up_alone) {
  Schedule one = {.kind = SCHEDULE_COSINE, .steps = 1};
  cr_expect_eq(schedule_factor(&one, 0), 1.0);
  one.warmup = 1.0;
  cr_expect_eq(schedule_factor(&one, 0), 0.5);
}
