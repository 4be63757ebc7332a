/* sweep_tile.c: all runs of a tile of points, packed into bundles of lanes.
 *
 * A bundle advances SWEEP_BLOCK steps at a time. A lane that has arrived or left, or has too few steps left for a
 * block, makes room for the next run of the tile; what is still to find out about it (the exact step of its arrival,
 * the steps that are left, what it is doing if it does neither) waits in a batch until there are enough of its kind. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "rng.h"
#include "sweep_internal.h"

/* ---- starts ---- */

static void draw_scales(const SweepPlan *plan, uint64_t start, double scales[2]) {
  Rng rng = rng_make(plan->seed, RNG_START_SCALES, 0);
  for (uint64_t i = 0; i < 2; i++)
    scales[i] = plan->scale * rng_normal(rng, 2 * start + i);
}

Reduced sweep_start(const SweepPlan *plan, double cosine, uint64_t start) {
  double scales[2];
  if (!plan->paper_start)
    return reduction_gaussian(plan->scale, plan->dimension, plan->seed, start);
  draw_scales(plan, start, scales);
  return reduction_paper(cosine, scales[0], scales[1]);
}

Status starts_draw(const SweepPlan *plan, Starts *starts) {
  *starts = (Starts){0};
  if (plan->paper_start)
    starts->scales = malloc(plan->starts * sizeof *starts->scales);
  else
    starts->gaussian = malloc(plan->starts * sizeof *starts->gaussian);
  if (!starts->scales && !starts->gaussian)
    return status_error(STATUS_MEMORY, "not enough memory for %zu starts", plan->starts);
  for (size_t i = 0; i < plan->starts; i++)
    if (plan->paper_start)
      draw_scales(plan, i, starts->scales[i]);
    else
      starts->gaussian[i] = sweep_start(plan, 0, i);
  return status_ok();
}

Reduced starts_get(const Starts *starts, double cosine, size_t start) {
  if (starts->gaussian)
    return starts->gaussian[start];
  return reduction_paper(cosine, starts->scales[start][0], starts->scales[start][1]);
}

void starts_free(Starts *starts) {
  free(starts->scales);
  free(starts->gaussian);
  *starts = (Starts){0};
}

/* ---- points and tiles ---- */

enum { TILE_RUNS = 2048 }; /* about a millisecond to a second of work */

static size_t method_steps(const SweepPlan *plan, const MethodType *method) {
  return method->uses_step ? plan->step.count : 1;
}

size_t method_points(const SweepPlan *plan, const MethodType *method) {
  return plan->cosine.count * method_steps(plan, method);
}

double point_cosine(const SweepPlan *plan, const MethodType *method, size_t point) {
  return grid_point(&plan->cosine, point / method_steps(plan, method));
}

double point_step(const SweepPlan *plan, double cosine, size_t step_index) {
  double step = grid_point(&plan->step, step_index);
  return plan->step_is_k ? step / (1 + fabs(cosine)) : step;
}

/* Points in a tile of this method; without lanes a run takes long. */
static size_t tile_points(const SweepPlan *plan, const MethodType *method) {
  return method->lanes == LANES_NONE || plan->starts >= TILE_RUNS ? 1 : TILE_RUNS / plan->starts;
}

static size_t method_tiles(const SweepPlan *plan, const MethodType *method) {
  size_t points = tile_points(plan, method);
  return (method_points(plan, method) + points - 1) / points;
}

size_t tile_count(const SweepPlan *plan) {
  size_t count = 0;
  for (size_t i = 0; i < plan->method_count; i++)
    count += method_tiles(plan, plan->methods[i]);
  return count;
}

Tile tile_at(const SweepPlan *plan, size_t index) {
  size_t i = 0;
  for (; index >= method_tiles(plan, plan->methods[i]); i++)
    index -= method_tiles(plan, plan->methods[i]);
  const MethodType *method = plan->methods[i];
  size_t points = tile_points(plan, method), first = index * points, left = method_points(plan, method) - first;
  return (Tile){.method = method, .first = first, .count = left < points ? left : points};
}

/* ---- the runs of a tile in lanes ---- */

/* The work on a tile. Run number r is start r % starts of point first + r / starts. */
typedef struct Work {
  const SweepPlan *plan;
  const Starts *starts;
  const Tile *tile;
  LanesIsa isa;
  LaneRule rule;
  size_t runs, next; /* how many; the next to begin */
  Verdict *verdicts; /* runs */

  Bundle bundle;        /* the runs on their way */
  uint32_t busy;        /* its lanes in use, a bit each */
  size_t run[LANES];    /* of a busy lane */
  size_t blocks[LANES]; /* taken by it */
  Bundle before;        /* the bundle before the last block */

  Batch arrived;  /* at the start of the block in which they arrive */
  Batch last;     /* with less than a block of steps left */
  Batch orbits;   /* at the end of their steps */
  Batch restless; /* perhaps chaotic */
} Work;

static void work_begin(Work *work) {
  Bundle *const bundles[] = {&work->bundle,      &work->before,        &work->arrived.bundle,
                             &work->last.bundle, &work->orbits.bundle, &work->restless.bundle};
  for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++)
    lanes_clear(bundles[i], &work->plan->parameters);
  work->arrived.count = work->last.count = work->orbits.count = work->restless.count = 0;
  work->next = 0;
  work->busy = 0;
}

static double tolerance_of(const SweepPlan *plan) {
  return plan->tolerance > 0 ? plan->tolerance : -INFINITY;
}

static void finish_restless(Work *work) {
  if (work->restless.count > 0)
    follow_chaos(work->isa, work->rule, &work->restless, work->verdicts);
}

/* Every run of the batch `orbits` may turn out restless, so that batch must be able to take them all. */
static void finish_orbits(Work *work) {
  Batch found = {.count = 0};
  if (work->orbits.count == 0)
    return;
  follow_orbits(work->isa, work->rule, &work->orbits, work->plan->tolerance, work->verdicts, &found);
  for (size_t i = 0; i < found.count; i++) {
    batch_add(&work->restless, &found.bundle, i, found.run[i], found.before[i]);
    if (work->restless.count == LANES)
      finish_restless(work);
  }
}

static void to_orbits(Work *work, const Bundle *from, size_t lane, size_t run) {
  batch_add(&work->orbits, from, lane, run, 0);
  if (work->orbits.count == LANES)
    finish_orbits(work);
}

/* When exactly did they arrive? */
static void finish_arrived(Work *work) {
  double first[LANES];
  Batch *batch = &work->arrived;
  if (batch->count == 0)
    return;
  lanes_track(work->isa, work->rule, &batch->bundle, SWEEP_BLOCK, work->plan->tolerance, first);
  for (size_t i = 0; i < batch->count; i++) {
    Verdict *verdict = &work->verdicts[batch->run[i]];
    *verdict = verdict_of(OUTCOME_OPTIMUM);
    verdict->steps = (double)batch->before[i] + fmin(first[i], SWEEP_BLOCK);
  }
  batch->count = 0;
}

/* The steps after the last whole block. */
static void finish_last(Work *work) {
  double first[LANES];
  Batch *batch = &work->last;
  const SweepPlan *plan = work->plan;
  size_t left = plan->steps % SWEEP_BLOCK;
  if (batch->count == 0)
    return;
  lanes_track(work->isa, work->rule, &batch->bundle, left, tolerance_of(plan), first);
  lanes_advance(work->isa, work->rule, &batch->bundle, left);
  uint32_t done = lanes_check(work->isa, &batch->bundle, tolerance_of(plan), SWEEP_BOUND);
  for (size_t i = 0; i < batch->count; i++) {
    bool there = batch->bundle.excess[i] <= tolerance_of(plan);
    Verdict *verdict = &work->verdicts[batch->run[i]];
    if (!(done >> i & 1)) {
      to_orbits(work, &batch->bundle, i, batch->run[i]);
      continue;
    }
    *verdict = verdict_of(there ? OUTCOME_OPTIMUM : OUTCOME_DIVERGED);
    if (there)
      verdict->steps = (double)batch->before[i] + fmin(first[i], (double)left);
  }
  batch->count = 0;
}

/* A lane without a whole block of steps ahead leaves the bundle. */
static void leave(Work *work, size_t lane) {
  size_t taken = work->blocks[lane] * SWEEP_BLOCK;
  work->busy &= ~(UINT32_C(1) << lane);
  if (taken == work->plan->steps) {
    to_orbits(work, &work->bundle, lane, work->run[lane]);
    return;
  }
  batch_add(&work->last, &work->bundle, lane, work->run[lane], taken);
  if (work->last.count == LANES)
    finish_last(work);
}

static bool has_whole_block(const Work *work, size_t lane) {
  return work->plan->steps - work->blocks[lane] * SWEEP_BLOCK >= SWEEP_BLOCK;
}

static void put_next_run(Work *work, size_t lane) {
  size_t point = work->tile->first + work->next / work->plan->starts;
  size_t steps = method_steps(work->plan, work->tile->method);
  double cosine = point_cosine(work->plan, work->tile->method, point);
  Reduced start = starts_get(work->starts, cosine, work->next % work->plan->starts);
  lanes_set(&work->bundle, lane, cosine, point_step(work->plan, cosine, point % steps), &start);
  work->run[lane] = work->next++;
  work->blocks[lane] = 0;
  work->busy |= UINT32_C(1) << lane;
}

/* The look at step 0 of the lanes in `fresh`. */
static void look_at_start(Work *work, uint32_t fresh) {
  uint32_t done = lanes_check(work->isa, &work->bundle, tolerance_of(work->plan), SWEEP_BOUND) & fresh;
  for (size_t lane = 0; lane < LANES; lane++) {
    if (done >> lane & 1) {
      bool there = work->bundle.excess[lane] <= tolerance_of(work->plan);
      Verdict *verdict = &work->verdicts[work->run[lane]];
      *verdict = verdict_of(there ? OUTCOME_OPTIMUM : OUTCOME_DIVERGED);
      verdict->steps = there ? 0 : NAN;
      work->busy &= ~(UINT32_C(1) << lane);
    } else if ((fresh >> lane & 1) && !has_whole_block(work, lane)) {
      leave(work, lane);
    }
  }
}

/* Runs of soft share their clock, so that a bundle of them begins and ends together. */
static void refill(Work *work) {
  if (work->rule == LANES_SOFT && work->busy != 0)
    return;
  while (work->busy != UINT32_MAX && work->next < work->runs) {
    uint32_t fresh = ~work->busy;
    if (work->busy == 0)
      work->bundle.iteration = 0;
    for (size_t lane = 0; lane < LANES && work->next < work->runs; lane++)
      if (fresh >> lane & 1)
        put_next_run(work, lane);
    look_at_start(work, fresh & work->busy);
  }
}

static void end_lane(Work *work, size_t lane) {
  if (work->bundle.excess[lane] <= tolerance_of(work->plan)) {
    batch_add(&work->arrived, &work->before, lane, work->run[lane], (work->blocks[lane] - 1) * SWEEP_BLOCK);
    if (work->arrived.count == LANES)
      finish_arrived(work);
  } else {
    work->verdicts[work->run[lane]] = verdict_of(OUTCOME_DIVERGED);
  }
  work->busy &= ~(UINT32_C(1) << lane);
}

/* What lanes_copy takes, which is not all of it. */
static void keep_state(Work *work) {
  const Bundle *now = &work->bundle;
  Bundle *before = &work->before;
  memcpy(before->x, now->x, sizeof now->x);
  memcpy(before->y, now->y, sizeof now->y);
  memcpy(before->cosine, now->cosine, sizeof now->cosine);
  memcpy(before->step, now->step, sizeof now->step);
  if (work->rule == LANES_MOMENTUM) {
    memcpy(before->previous_x, now->previous_x, sizeof now->previous_x);
    memcpy(before->previous_y, now->previous_y, sizeof now->previous_y);
  }
  before->iteration = now->iteration;
}

/* A block for all lanes; then those that are done make room. */
static void take_block(Work *work) {
  keep_state(work);
  lanes_advance(work->isa, work->rule, &work->bundle, SWEEP_BLOCK);
  uint32_t done = lanes_check(work->isa, &work->bundle, tolerance_of(work->plan), SWEEP_BOUND);
  for (size_t lane = 0; lane < LANES; lane++)
    work->blocks[lane]++;
  for (uint32_t ended = done & work->busy; ended != 0; ended &= ended - 1)
    end_lane(work, (size_t)__builtin_ctz(ended));
  for (uint32_t left = work->busy; left != 0; left &= left - 1)
    if (!has_whole_block(work, (size_t)__builtin_ctz(left)))
      leave(work, (size_t)__builtin_ctz(left));
  if (work->rule == LANES_SOFT)
    finish_arrived(work); /* the batch has one clock too */
}

static Status run_lanes(Work *work) {
  enum { PATIENCE = 1024 }; /* blocks between two looks for an interrupt: a few milliseconds */
  work_begin(work);
  refill(work);
  for (size_t blocks = 0; work->busy != 0; blocks++) {
    take_block(work);
    refill(work);
    if (blocks % PATIENCE == 0)
      TRY(interrupt_check());
  }
  finish_arrived(work);
  finish_last(work);
  finish_orbits(work);
  finish_restless(work);
  return status_ok();
}

/* Methods without lanes: one run after the other. */
static Status run_singly(Work *work) {
  const SweepPlan *plan = work->plan;
  const MethodType *method = work->tile->method;
  for (size_t run = 0; run < work->runs; run++) {
    size_t point = work->tile->first + run / plan->starts;
    double cosine = point_cosine(plan, method, point);
    Reduced start = starts_get(work->starts, cosine, run % plan->starts);
    TRY(interrupt_check());
    TRY(sweep_classify(plan, method, cosine, point_step(plan, cosine, point % method_steps(plan, method)), &start,
                       &work->verdicts[run]));
  }
  return status_ok();
}

/* ---- rows ---- */

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* work: room for `starts` numbers. */
static double median_steps(const Verdict *verdicts, size_t starts, double *work) {
  size_t count = 0;
  for (size_t i = 0; i < starts; i++)
    if (verdicts[i].outcome == OUTCOME_OPTIMUM)
      work[count++] = verdicts[i].steps;
  if (count == 0)
    return NAN;
  qsort(work, count, sizeof *work, ascending);
  return (work[(count - 1) / 2] + work[count / 2]) / 2;
}

static uint64_t commonest_period(const Verdict *verdicts, size_t starts) {
  uint64_t count[SWEEP_LONGEST_PERIOD + 1] = {0}, best = 0;
  for (size_t i = 0; i < starts; i++)
    if (verdicts[i].outcome == OUTCOME_PERIODIC)
      count[verdicts[i].period]++;
  for (uint64_t n = 1; n <= SWEEP_LONGEST_PERIOD; n++)
    if (count[n] > count[best])
      best = n;
  return best;
}

static Row row_of(const Verdict *verdicts, size_t starts, double *work) {
  Row row = {.period = commonest_period(verdicts, starts), .median_steps = median_steps(verdicts, starts, work)};
  double sum = 0;
  for (size_t i = 0; i < starts; i++) {
    row.count[verdicts[i].outcome]++;
    if (verdicts[i].outcome == OUTCOME_CHAOS)
      sum += verdicts[i].lyapunov;
  }
  row.lyapunov = sum / (double)row.count[OUTCOME_CHAOS]; /* 0/0 is the NaN that is meant */
  return row;
}

Status tile_compute(const SweepPlan *plan, const Starts *starts, LanesIsa isa, const Tile *tile, Row *rows) {
  Status status = status_error(STATUS_MEMORY, "not enough memory for a tile of %zu points", tile->count);
  size_t runs = tile->count * plan->starts;
  Work *work = aligned_alloc(_Alignof(Work), sizeof *work);
  Verdict *verdicts = malloc(runs * sizeof *verdicts);
  double *steps = malloc(plan->starts * sizeof *steps);
  if (work && verdicts && steps) {
    *work = (Work){.plan = plan, .starts = starts, .tile = tile, .isa = isa, .rule = tile->method->lanes, .runs = runs};
    work->verdicts = verdicts;
    status = work->rule == LANES_NONE ? run_singly(work) : run_lanes(work);
    for (size_t i = 0; i < tile->count && status.code == STATUS_OK; i++)
      rows[i] = row_of(verdicts + i * plan->starts, plan->starts, steps);
  }
  free(work);
  free(verdicts);
  free(steps);
  return status;
}
