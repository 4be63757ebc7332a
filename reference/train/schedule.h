/* schedule.h: how the learning rate goes over a phase. */
#ifndef SEESAW_SCHEDULE_H
#define SEESAW_SCHEDULE_H

#include <stddef.h>

typedef enum { SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_COUNT } ScheduleKind;

const char *schedule_name(ScheduleKind kind);

typedef struct Schedule {
  ScheduleKind kind;
  size_t steps;  /* of the phase */
  double warmup; /* the share of them, rounded up, in which the rate grows: 0.03 in the paper */
} Schedule;

/* schedule_factor: of the rate in step 0 ... steps - 1. With w warm-up steps: (t + 1) / (w + 1) while t < w; then
 * (1 + cos(pi (t - w) / (steps - w))) / 2, or 1. Departure: transformers' schedules start from t / w, so that their
 * first step moves nothing. Source: paper Table 7; Loshchilov, Hutter 2017. */
double schedule_factor(const Schedule *schedule, size_t step);

#endif
