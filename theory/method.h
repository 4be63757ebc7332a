/* method.h: ways of minimising L(U, V), behind one table, in GSL's manner: alloc, set, iterate, test, free.
 *
 * Every method is built from one move, the block update
 *     U <- U S + (X V) G      S, G: rank x rank, functions of the Gram matrix V'V alone
 * gradient step:        S = I - eta V'V,    G = eta I
 * preconditioned step:  S = (1 - eta) I,    G = eta (V'V)^-1     (eta = 1: exact minimisation over the block)
 * taken for U and V at once from the same state (simultaneous) or one after the other (alternating).
 * A method is one file in methods/; see CONTRIBUTING.md. */
#ifndef SEESAW_METHOD_H
#define SEESAW_METHOD_H

#include "problem.h"

typedef struct MethodParameters {
  double step;        /* eta > 0; for the flow: the time between two iterates; unused by als and jacobi */
  double momentum;    /* mu in [0, 1): heavy ball */
  double balance_cap; /* >= 1: the largest factor by which one teleportation rescales u */
  double soft_period; /* T >= 2, in steps: period of lambda(t) */
} MethodParameters;

/* The defaults: step 0.1, momentum 0.5, balance_cap 2, soft_period 8. */
MethodParameters method_defaults(void);

typedef struct Minimizer Minimizer;

/* How a sweep's SIMD lanes run a method of rank 1 (lanes.h); LANES_NONE: the sweep calls iterate on the reduced
 * problem. */
typedef enum {
  LANES_NONE,
  LANES_GD,
  LANES_ALTGD,
  LANES_ALS,
  LANES_JACOBI,
  LANES_SCALEDGD,
  LANES_ALTSCALEDGD,
  LANES_MOMENTUM,
  LANES_BALANCE,
  LANES_SOFT,
  LANES_COUNT
} LaneRule;

typedef struct MethodType {
  const char *name;    /* as the command line has it */
  const char *title;   /* for tables and legends */
  const char *source;  /* paper equation or reference */
  bool uses_step;      /* false for als and jacobi */
  bool simultaneous;   /* both blocks from the same state */
  bool preconditioned; /* gradients are divided by the other block's Gram matrix: eta has no units */
  bool cyclic;         /* the step depends on time, with period soft_period */
  LaneRule lanes;

  /* bytes of private state in the minimiser's arena; may be NULL for none */
  size_t (*size)(const Problem *problem);
  /* allocate and initialise what does not live in the arena, and carve what does; on failure clears up
   * after itself; may be NULL */
  Status (*alloc)(Minimizer *minimizer);
  /* the start has been set: initialise the private state from it; may be NULL */
  Status (*set)(Minimizer *minimizer);
  /* one step of both blocks. Errors: STATUS_NUMERICS (a block that cannot be solved, an integrator that gives up) */
  Status (*iterate)(Minimizer *minimizer);
  void (*free)(Minimizer *minimizer); /* may be NULL */

  /* Closed forms on the bilinear problem near its balanced optimum, |c| given:
   * rate: the factor by which the distance to the optimum shrinks a step, asymptotically, from a generic start;
   *       NaN where there is none. parameters->step is eta.
   * best: set the step (and momentum) with the smallest rate; NULL where there is nothing to choose or no closed form.
   * limit: the largest eta at which the balanced optimum is stable; INFINITY: always; NaN: no step. */
  double (*rate)(double cosine, const MethodParameters *parameters);
  void (*best)(double cosine, MethodParameters *parameters);
  double (*limit)(double cosine, const MethodParameters *parameters);
} MethodType;

struct Minimizer {
  const MethodType *type;
  const Problem *problem;
  MethodParameters parameters;
  double *u, *v;              /* the state: rows x rank and columns x rank */
  Product of_u, of_v;         /* X'U, U'U and X V, V'V of the current state */
  double *scale[2], *gain[2]; /* rank x rank work */
  size_t iteration;           /* steps taken since set */
  Arena arena;
  void *state; /* the method's own */
};

/* All methods, in the order of the documentation; ends with NULL. */
extern const MethodType *const method_table[];

/* method_find: the method of that name, or NULL. */
const MethodType *method_find(const char *name);

/* method_names: "gd,altgd,..." for help and messages. */
const char *method_names(void);

/* minimizer_alloc: for a problem, which must outlive it. Errors: STATUS_MEMORY; what was allocated is then freed, and
 * minimizer_free does no harm. */
Status minimizer_alloc(Minimizer *minimizer, const MethodType *type, const Problem *problem,
                       const MethodParameters *parameters);

/* minimizer_set: start from (u, v), copied; iteration = 0. May be called again.
 * Errors: STATUS_USAGE (a parameter out of range). */
Status minimizer_set(Minimizer *minimizer, const double *u, const double *v);

/* minimizer_iterate: one step of both blocks. Errors: STATUS_NUMERICS (a block without full rank whose partner is to be
 * solved for, the integrator gave up); the step does not count then, and one block may have moved. */
Status minimizer_iterate(Minimizer *minimizer);

/* minimizer_test: has the run arrived? excess <= tolerance * scale, where scale is 1 for the bilinear and reduced
 * problems and 1/2 |X|_F^2 for others. A tolerance of 0 never stops; NaN never passes. */
bool minimizer_test(const Minimizer *minimizer, const Measure *measure, double tolerance);

void minimizer_free(Minimizer *minimizer);

/* ---- for the methods' own files ---- */

/* The coefficients of a block update of `side` from the partner's Gram matrix. weight scales the step.
 * preconditioned fails with STATUS_NUMERICS when the partner's Gram matrix is singular. */
void block_gradient(Minimizer *minimizer, Side side, double weight);
Status block_preconditioned(Minimizer *minimizer, Side side, double step);

/* Apply the coefficients: one block, or both from the same state. The products are brought up to date. */
void block_update(Minimizer *minimizer, Side side);
void block_update_both(Minimizer *minimizer);

/* The products after u and v were changed by hand. */
void minimizer_refresh(Minimizer *minimizer);

/* rate_radius: largest modulus of the roots of z^2 - trace z + determinant. */
double rate_radius(double trace, double determinant);

#endif
