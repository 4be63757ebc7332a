/* sweep_classify.c: what became of a run: stationary, periodic, chaotic or none of these. And one run from start to
 * verdict, step by step: the definition. */
#include <math.h>
#include <string.h>

#include "sweep_internal.h"

enum {
  ORBIT_STEPS = 2 * SWEEP_LONGEST_PERIOD, /* every period is seen twice */
  ALIGN_STEPS = 500,                      /* until a disturbance points where it grows fastest */
  EXPONENT_STEPS = 2000,                  /* over which its growth is averaged */
  RENORMALISE = 4                         /* steps between two corrections of the disturbance's size */
};
static const double STATIONARY = 1e-12;  /* relative change in one step */
static const double NO_GRADIENT = 1e-9;  /* |gradient| relative to the state, at least to 1 */
static const double OPTIMAL = 1e-12;     /* excess of a stationary run that is an optimum to rounding */
static const double REPEATS = 1e-8;      /* relative distance after a period, */
static const double OF_AMPLITUDE = 1e-6; /* and relative to the orbit's size: slow convergence is larger, */
static const double OF_CUBE = 1e-3;      /* and to its cube: right at a period doubling orbits close in like the cube */
static const double RESTLESS = 1e-2;     /* greatest relative change in a step below which nothing is chaotic */
static const double DISTURBANCE = 1e-8;  /* relative distance of the shadow run */
static const double EXPONENT_ZERO = 1e-3; /* neutral directions (the scaling symmetry) give 0 up to ln(t) / t */

Verdict verdict_of(Outcome outcome) {
  return (Verdict){.outcome = outcome, .steps = NAN, .lyapunov = NAN};
}

void batch_add(Batch *batch, const Bundle *from, size_t lane, size_t run, size_t before) {
  REQUIRE(batch->count < LANES, "a batch holds %d runs", LANES);
  lanes_copy(&batch->bundle, batch->count, from, lane);
  batch->bundle.iteration = from->iteration;
  batch->run[batch->count] = run;
  batch->before[batch->count] = before;
  batch->count++;
}

/* ---- orbits ---- */

/* How one run moves over ORBIT_STEPS steps. */
typedef struct Orbit {
  double distance[ORBIT_STEPS + 1]; /* of the state after j steps from the first, relative */
  double motion;                    /* the greatest relative change in one step */
  double excess, gradient;          /* at the first state */
  bool inside;                      /* at the end within SWEEP_BOUND */
} Orbit;

static double square(double a) {
  return a * a;
}

static double norm2(const double z[3]) {
  return square(z[0]) + square(z[1]) + square(z[2]);
}

/* |to - from|^2 / |from|^2 of a block whose changes and norm are given, where 0/0 = 0. */
static double relative(double moved2, double of2) {
  return moved2 == 0 ? 0 : moved2 / of2;
}

/* The larger of two blocks' relative changes: their scales may differ by orders of magnitude. NaN if either is. */
static double larger(double x, double y) {
  return x >= y || x != x ? x : y;
}

static double state_distance(const Reduced *from, const Reduced *to) {
  double x[3], y[3];
  for (int i = 0; i < 3; i++) {
    x[i] = to->x[i] - from->x[i];
    y[i] = to->y[i] - from->y[i];
  }
  return sqrt(larger(relative(norm2(x), norm2(from->x)), relative(norm2(y), norm2(from->y))));
}

/* |dL/du|, |dL/dv| together, relative to the state if that is larger than 1: dL/du = |v|^2 u - X v. */
static double relative_gradient(double cosine, const Reduced *s) {
  double of_x = norm2(s->x), of_y = norm2(s->y), sum = 0;
  const double value[3] = {1 + cosine, -(1 - cosine), 0};
  for (int i = 0; i < 3; i++)
    sum += square(of_y * s->x[i] - value[i] * s->y[i]) + square(of_x * s->y[i] - value[i] * s->x[i]);
  return sqrt(sum / fmax(1, of_x + of_y));
}

static bool is_inside(const Reduced *s) {
  for (int i = 0; i < 3; i++)
    if (!(fabs(s->x[i]) <= SWEEP_BOUND && fabs(s->y[i]) <= SWEEP_BOUND))
      return false;
  return true;
}

static void orbit_begin(Orbit *orbit, double cosine, const Reduced *first, double excess) {
  *orbit = (Orbit){.excess = excess, .gradient = relative_gradient(cosine, first)};
}

/* The shortest n >= 2 after which the state is back, and is back again after as many steps more; 0 if there is none.
 * What only converges slowly also comes back closely, but not closely compared with how far it goes in between. */
static size_t orbit_period(const Orbit *orbit) {
  double amplitude = orbit->distance[1];
  for (size_t n = 2; n <= SWEEP_LONGEST_PERIOD; n++) {
    double miss = fmax(orbit->distance[n], orbit->distance[2 * n]);
    if (miss <= REPEATS && miss <= OF_AMPLITUDE * amplitude && miss <= OF_CUBE * amplitude * amplitude * amplitude)
      return n;
    amplitude = fmax(amplitude, orbit->distance[n]);
  }
  return 0;
}

/* true: decided. false: it may be chaotic. */
static bool orbit_judge(const Orbit *orbit, double tolerance, Verdict *verdict) {
  *verdict = verdict_of(OUTCOME_UNDECIDED);
  if (!orbit->inside) {
    verdict->outcome = OUTCOME_DIVERGED;
    return true;
  }
  if (orbit->distance[1] <= STATIONARY && orbit->gradient <= NO_GRADIENT) {
    if (orbit->excess > fmax(tolerance, OPTIMAL))
      verdict->outcome = OUTCOME_SADDLE;
    return true;
  }
  verdict->period = orbit_period(orbit);
  if (verdict->period != 0)
    verdict->outcome = OUTCOME_PERIODIC;
  return verdict->period != 0 || orbit->motion < RESTLESS;
}

/* distance <- state_distance of every lane, squared; the same operations in the same order. */
static void bundle_distance2(const Bundle *from, const Bundle *to, double distance2[LANES]) {
  double moved_x[LANES] = {0}, moved_y[LANES] = {0}, of_x[LANES] = {0}, of_y[LANES] = {0};
  for (int i = 0; i < 3; i++)
    for (size_t lane = 0; lane < LANES; lane++) {
      moved_x[lane] += square(to->x[i][lane] - from->x[i][lane]);
      moved_y[lane] += square(to->y[i][lane] - from->y[i][lane]);
      of_x[lane] += square(from->x[i][lane]);
      of_y[lane] += square(from->y[i][lane]);
    }
  for (size_t lane = 0; lane < LANES; lane++)
    distance2[lane] = larger(relative(moved_x[lane], of_x[lane]), relative(moved_y[lane], of_y[lane]));
}

/* How every lane of a bundle moves: squared distances from the first state and from the one before. */
typedef struct Walk {
  double distance2[ORBIT_STEPS + 1][LANES], motion2[LANES];
  bool inside[LANES];
} Walk;

static void walk_orbits(LanesIsa isa, LaneRule rule, const Bundle *first, Walk *walk) {
  Bundle now = *first;
  memset(walk, 0, sizeof *walk);
  for (size_t j = 1; j <= ORBIT_STEPS; j++) {
    Bundle last = now;
    double motion2[LANES];
    lanes_advance(isa, rule, &now, 1);
    bundle_distance2(first, &now, walk->distance2[j]);
    bundle_distance2(&last, &now, motion2);
    for (size_t lane = 0; lane < LANES; lane++)
      walk->motion2[lane] = larger(walk->motion2[lane], motion2[lane]);
  }
  uint32_t left = lanes_check(isa, &now, -INFINITY, SWEEP_BOUND);
  for (size_t lane = 0; lane < LANES; lane++)
    walk->inside[lane] = !(left >> lane & 1);
}

void follow_orbits(LanesIsa isa, LaneRule rule, Batch *batch, double tolerance, Verdict *verdicts, Batch *restless) {
  REQUIRE(restless->count == 0, "the batch for restless runs holds %zu", restless->count);
  Walk walk;
  lanes_excess(isa, &batch->bundle);
  walk_orbits(isa, rule, &batch->bundle, &walk);
  for (size_t i = 0; i < batch->count; i++) {
    Reduced first = lanes_state(&batch->bundle, i);
    Orbit orbit;
    orbit_begin(&orbit, batch->bundle.cosine[i], &first, batch->bundle.excess[i]);
    for (size_t j = 1; j <= ORBIT_STEPS; j++)
      orbit.distance[j] = sqrt(walk.distance2[j][i]);
    orbit.motion = sqrt(walk.motion2[i]);
    orbit.inside = walk.inside[i];
    if (!orbit_judge(&orbit, tolerance, &verdicts[batch->run[i]]))
      batch_add(restless, &batch->bundle, i, batch->run[i], batch->before[i]);
  }
  batch->count = 0;
}

/* ---- the largest Lyapunov exponent: Benettin, Galgani, Giorgilli, Strelcyn 1980 ---- */

/* The numbers that make a state: those of the step before count for heavy ball. */
enum { STATE_NUMBERS = 12, NUMBERS_WITHOUT_PREVIOUS = 6 };

static double *number_of(Bundle *bundle, size_t i) {
  double(*const parts[4])[LANES] = {bundle->x, bundle->y, bundle->previous_x, bundle->previous_y};
  return parts[i / 3][i % 3];
}

/* Each number changes in proportion to itself, alike in u and v. So what is zero stays zero and what the paper's start
 * has alike in u and v stays alike: the exponent is that of the family of starts that the run belongs to. */
static void disturb(Bundle *shadow, Bundle *run, size_t lane) {
  static const double share[3] = {1, -0.7, 0.4};
  for (size_t i = 0; i < STATE_NUMBERS; i++)
    number_of(shadow, i)[lane] = number_of(run, i)[lane] * (1 + DISTURBANCE * share[i % 3]);
}

static void distances(Bundle *shadow, Bundle *run, size_t numbers, double distance[LANES], double size[LANES]) {
  double far[LANES] = {0}, norm[LANES] = {0};
  for (size_t i = 0; i < numbers; i++) {
    const double *at = number_of(run, i), *near = number_of(shadow, i);
    for (size_t lane = 0; lane < LANES; lane++) {
      far[lane] += (near[lane] - at[lane]) * (near[lane] - at[lane]);
      norm[lane] += at[lane] * at[lane];
    }
  }
  for (size_t lane = 0; lane < LANES; lane++) {
    distance[lane] = sqrt(far[lane]);
    size[lane] = sqrt(norm[lane]);
  }
}

/* shadow <- run + factor (shadow - run) */
static void rescale(Bundle *shadow, Bundle *run, size_t numbers, const double factor[LANES]) {
  for (size_t i = 0; i < numbers; i++) {
    const double *at = number_of(run, i);
    double *near = number_of(shadow, i);
    for (size_t lane = 0; lane < LANES; lane++)
      near[lane] = at[lane] + factor[lane] * (near[lane] - at[lane]);
  }
}

/* The disturbance back to its size; growth += ln(how much it had grown since it was `kept`). One that has contracted to
 * nothing, to the last bit, starts anew. */
static void renormalise(Bundle *shadow, Bundle *run, size_t numbers, double kept[LANES], double growth[LANES]) {
  double distance[LANES], size[LANES], factor[LANES];
  bool lost = false;
  distances(shadow, run, numbers, distance, size);
  for (size_t lane = 0; lane < LANES; lane++) {
    double least = size[lane] * 0x1p-52;
    bool seen = distance[lane] > least;
    growth[lane] += log((seen ? distance[lane] : least) / kept[lane]);
    factor[lane] = DISTURBANCE * size[lane] / distance[lane];
    kept[lane] = DISTURBANCE * size[lane];
    lost = lost || !seen;
  }
  rescale(shadow, run, numbers, factor);
  if (!lost)
    return;
  for (size_t lane = 0; lane < LANES; lane++)
    if (!(distance[lane] > size[lane] * 0x1p-52))
      disturb(shadow, run, lane);
  distances(shadow, run, numbers, kept, size);
}

/* Advance the runs and their shadows; growth of the disturbance in each lane, as a logarithm. */
static void grow(LanesIsa isa, LaneRule rule, Bundle *run, Bundle *shadow, size_t steps, double growth[LANES]) {
  size_t numbers = rule == LANES_MOMENTUM ? STATE_NUMBERS : NUMBERS_WITHOUT_PREVIOUS;
  double kept[LANES], size[LANES];
  distances(shadow, run, numbers, kept, size);
  memset(growth, 0, LANES * sizeof *growth);
  for (size_t t = 0; t < steps; t += RENORMALISE) {
    lanes_advance(isa, rule, run, RENORMALISE);
    lanes_advance(isa, rule, shadow, RENORMALISE);
    renormalise(shadow, run, numbers, kept, growth);
  }
}

void follow_chaos(LanesIsa isa, LaneRule rule, Batch *batch, Verdict *verdicts) {
  Bundle *run = &batch->bundle, shadow = batch->bundle;
  double growth[LANES];
  for (size_t lane = 0; lane < LANES; lane++)
    disturb(&shadow, run, lane);
  grow(isa, rule, run, &shadow, ALIGN_STEPS, growth);
  grow(isa, rule, run, &shadow, EXPONENT_STEPS, growth);
  for (size_t i = 0; i < batch->count; i++) {
    Verdict *verdict = &verdicts[batch->run[i]];
    Reduced last = lanes_state(run, i);
    double exponent = growth[i] / EXPONENT_STEPS;
    *verdict = verdict_of(!is_inside(&last)          ? OUTCOME_DIVERGED
                          : exponent > EXPONENT_ZERO ? OUTCOME_CHAOS
                                                     : OUTCOME_UNDECIDED);
    if (verdict->outcome == OUTCOME_CHAOS)
      verdict->lyapunov = exponent;
  }
  batch->count = 0;
}

/* ---- one run, step by step ---- */

/* Is this step one at which the run is looked at? */
static bool is_look(size_t step, size_t steps) {
  return step % SWEEP_BLOCK == 0 || step == steps;
}

/* What is known of a run on its way. */
typedef struct Watch {
  size_t step, below; /* steps taken; the first of them since the last look with excess <= tolerance */
  bool is_below;
} Watch;

/* true: decided. */
static bool watch(Watch *watch, const SweepPlan *plan, const Reduced *state, double excess, Verdict *verdict) {
  bool below = plan->tolerance > 0 && excess <= plan->tolerance;
  if (below && !watch->is_below)
    watch->below = watch->step;
  watch->is_below = watch->is_below || below;
  if (!is_look(watch->step, plan->steps))
    return false;
  *verdict = verdict_of(below ? OUTCOME_OPTIMUM : OUTCOME_DIVERGED);
  if (below)
    verdict->steps = (double)watch->below;
  watch->is_below = false;
  return below || !is_inside(state);
}

static void classify_lanes(const SweepPlan *plan, LaneRule rule, double cosine, double step, const Reduced *start,
                           Verdict *verdict) {
  Batch batch = {.count = 0}, restless = {.count = 0};
  Bundle *bundle = &batch.bundle;
  lanes_clear(bundle, &plan->parameters);
  lanes_clear(&restless.bundle, &plan->parameters);
  lanes_set(bundle, 0, cosine, step, start);
  for (Watch look = {0};; look.step++) {
    lanes_excess(ISA_PORTABLE, bundle);
    Reduced state = lanes_state(bundle, 0);
    if (watch(&look, plan, &state, bundle->excess[0], verdict))
      return;
    if (look.step == plan->steps)
      break;
    lanes_advance(ISA_PORTABLE, rule, bundle, 1);
  }
  batch.count = 1;
  batch.run[0] = 0;
  follow_orbits(ISA_PORTABLE, rule, &batch, plan->tolerance, verdict, &restless);
  if (restless.count == 1)
    follow_chaos(ISA_PORTABLE, rule, &restless, verdict);
}

static Reduced minimizer_state(const Minimizer *minimizer) {
  Reduced state;
  memcpy(state.x, minimizer->u, sizeof state.x);
  memcpy(state.y, minimizer->v, sizeof state.y);
  return state;
}

/* A block became singular, or the integrator gave up. */
static Status verdict_of_failure(Status status, Verdict *verdict) {
  *verdict = verdict_of(OUTCOME_DIVERGED);
  return status.code == STATUS_NUMERICS ? status_ok() : status;
}

static Status run_minimizer(const SweepPlan *plan, Minimizer *minimizer, Verdict *verdict) {
  Measure measure;
  Reduced first, last;
  for (Watch look = {0};; look.step++) {
    first = minimizer_state(minimizer);
    problem_measure(minimizer->problem, minimizer->u, minimizer->v, &measure);
    if (watch(&look, plan, &first, measure.excess, verdict))
      return status_ok();
    if (look.step == plan->steps)
      break;
    Status status = minimizer_iterate(minimizer);
    if (status.code != STATUS_OK)
      return verdict_of_failure(status, verdict);
  }
  Orbit orbit;
  orbit_begin(&orbit, minimizer->problem->cosine, &first, measure.excess);
  last = first;
  for (size_t j = 1; j <= ORBIT_STEPS; j++) {
    Status status = minimizer_iterate(minimizer);
    if (status.code != STATUS_OK)
      return verdict_of_failure(status, verdict);
    Reduced now = minimizer_state(minimizer);
    orbit.distance[j] = state_distance(&first, &now);
    orbit.motion = larger(orbit.motion, state_distance(&last, &now));
    last = now;
  }
  orbit.inside = is_inside(&last);
  orbit_judge(&orbit, plan->tolerance, verdict);
  return status_ok();
}

static Status classify_minimizer(const SweepPlan *plan, const MethodType *method, double cosine, double step,
                                 const Reduced *start, Verdict *verdict) {
  Problem problem;
  Minimizer minimizer;
  MethodParameters parameters = plan->parameters;
  parameters.step = step;
  TRY(problem_reduced(&problem, cosine));
  Status status = minimizer_alloc(&minimizer, method, &problem, &parameters);
  if (status.code == STATUS_OK) {
    status = minimizer_set(&minimizer, start->x, start->y);
    status = status.code == STATUS_OK ? run_minimizer(plan, &minimizer, verdict) : verdict_of_failure(status, verdict);
    minimizer_free(&minimizer);
  }
  problem_free(&problem);
  return status;
}

Status sweep_classify(const SweepPlan *plan, const MethodType *method, double cosine, double step, const Reduced *start,
                      Verdict *verdict) {
  if (method->lanes == LANES_NONE)
    return classify_minimizer(plan, method, cosine, step, start, verdict);
  classify_lanes(plan, method->lanes, cosine, step, start, verdict);
  return status_ok();
}
