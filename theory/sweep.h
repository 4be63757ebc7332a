/* sweep.h: grids over c, step, start and method; what each run comes to.
 *
 * A point is (method, cosine, step); at each, `starts` runs of the reduced problem, the same starts at every point.
 * Points are cut into tiles; finished tiles are kept in a journal beside the output, so a killed sweep resumes and
 * repeats nothing. Every number is a function of (arguments, point), so the bytes do not depend on threads, ranks,
 * interruptions or instruction set (given the same C library and GSL, whose log, cos and chi-squared make the starts).
 */
#ifndef SEESAW_SWEEP_H
#define SEESAW_SWEEP_H

#include "method.h"
#include "options.h"
#include "ranks.h"
#include "reduction.h"

/* What became of one run. It is looked at after every SWEEP_BLOCK steps and after the last. */
typedef enum {
  OUTCOME_OPTIMUM,   /* excess <= tolerance at a look */
  OUTCOME_SADDLE,    /* stationary, not optimal: the second singular pair, or zero */
  OUTCOME_PERIODIC,  /* repeats after n >= 2 steps */
  OUTCOME_CHAOS,     /* bounded, aperiodic, largest Lyapunov exponent > 0 */
  OUTCOME_DIVERGED,  /* a number beyond SWEEP_BOUND or NaN at a look; a block became singular */
  OUTCOME_UNDECIDED, /* none of these within the steps given, e.g. still converging */
  OUTCOME_COUNT
} Outcome;

enum { SWEEP_BLOCK = 32, SWEEP_METHODS = 32, SWEEP_LONGEST_PERIOD = 64 };
#define SWEEP_BOUND 1e8

typedef struct Verdict {
  Outcome outcome;
  size_t period;   /* of a periodic run, else 0 */
  double steps;    /* of an optimal run: the first step since the look before with excess <= tolerance; else NaN */
  double lyapunov; /* of a chaotic run, per step; else NaN */
} Verdict;

typedef struct SweepPlan {
  const MethodType *methods[SWEEP_METHODS];
  size_t method_count;
  Grid cosine;
  Grid step; /* eta, or k if step_is_k: k = eta (1 + |c|) */
  bool step_is_k;
  bool paper_start; /* Eq. 2 with alpha, beta ~ scale N(0,1); else Gaussian in `dimension` */
  double scale;
  size_t dimension, starts, steps;
  double tolerance; /* 0: no run arrives */
  uint64_t seed;
  MethodParameters parameters; /* all but the step */
} SweepPlan;

/* What sweep_run did, for the command's last words and for tests. */
typedef struct SweepReport {
  size_t tiles, resumed; /* of all ranks; of them, found finished in journals */
  bool finished_before;  /* the output was there already */
  double seconds;
} SweepReport;

/* sweep_check: is the plan sound? Errors: STATUS_USAGE naming what is out of range. */
Status sweep_check(const SweepPlan *plan);

/* sweep_start: start number `start`, the same for every method and step. Number 0 of the paper's starts is that of
 * start_paper. */
Reduced sweep_start(const SweepPlan *plan, double cosine, uint64_t start);

/* sweep_classify: run one start to the end and say what it came to: the definition that the packed lanes are tested
 * against. One lane at a time in plain C; methods without lanes through minimizer_iterate on problem_reduced, which can
 * tell all but chaos. step is eta. Errors: STATUS_MEMORY. */
Status sweep_classify(const SweepPlan *plan, const MethodType *method, double cosine, double step, const Reduced *start,
                      Verdict *verdict);

/* sweep_run: the whole plan to a CSV file, with a progress bar; `command` goes into the origin file. report may be
 * NULL. Columns: method, cosine, k, eta, starts, optimum, saddle, periodic, chaos, diverged, undecided (fractions of
 * starts), period (the commonest, of equals the shortest, 0 if none), median_steps (over optimal runs; nan if none),
 * lyapunov (mean over chaotic; nan). Rows: method, then cosine, then step; a method without a step is run once and its
 * rows repeat. A finished OUT of the same plan is left as it is; a journal of another plan is refused. Errors:
 * STATUS_USAGE, STATUS_OUTPUT, STATUS_MEMORY, STATUS_INTERRUPTED (resume with the same call). */
Status sweep_run(const SweepPlan *plan, const char *output, const char *command, Ranks ranks, SweepReport *report);

#endif
