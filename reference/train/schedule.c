/* schedule.c: cosine and constant rates with linear warm-up. */
#include "schedule.h"

#include <math.h>

const char *schedule_name(ScheduleKind kind) {
  static const char *const names[SCHEDULE_COUNT] = {"cosine", "constant"};
  return names[kind];
}

double schedule_factor(const Schedule *schedule, size_t step) {
  double warm = ceil(schedule->warmup * (double)schedule->steps), t = (double)step;
  if (t < warm)
    return (t + 1.0) / (warm + 1.0);
  if (schedule->kind == SCHEDULE_CONSTANT)
    return 1.0;
  return 0.5 * (1.0 + cos(M_PI * (t - warm) / ((double)schedule->steps - warm)));
}
