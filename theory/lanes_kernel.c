/* lanes_kernel.c: the hot loops, compiled once for each instruction set (lanes_vector.h); lanes.c chooses.
 *
 * In the basis (p, q, o) X = diag(1 + c, -(1 - c), 0), so with n_y = |y|^2 a block update of x is
 *   gradient        x <- (1 - eta n_y) x + eta (s y_p, -d y_q, 0)          s = 1 + c, d = 1 - c
 *   preconditioned  x <- (1 - eta) x + (eta / n_y) (s y_p, -d y_q, 0)      exact: the same with eta = 1
 * A step of gd is 18 operations on six numbers; 14 on four, when the parts orthogonal to span{a, b} are zero. */
#include "lanes_kernel.h"
#include "lanes_vector.h"

#define KERNEL PASTE(lanes_kernel_, LANES_ISA)

/* How many vectors of runs are in flight at once, to hide the latency of a step: by measurement on Zen 3, where half
 * the number costs a quarter of the speed. Divisions take longest. In plain C a vector is four runs already. */
enum { VECTORS_IN_BUNDLE = LANES / WIDTH, MOST_IN_FLIGHT = 8 };
#if LANES_KIND == LANES_KIND_portable
#define IN_FLIGHT(rule) 1
#else
#define LONG_STEP(rule) ((rule) == LANES_ALS || (rule) == LANES_ALTSCALEDGD || (rule) == LANES_BALANCE)
#define IN_FLIGHT(rule) (LONG_STEP(rule) && VECTORS_IN_BUNDLE >= 8 ? 8 : 4)
#endif

_Static_assert(VECTORS_IN_BUNDLE % 4 == 0, "a bundle is a whole number of passes");

enum { PARTS = 3 }; /* along p, q, o */

/* One vector of runs. parts is 3, or 2 when x_o = y_o = 0 throughout; every function below is inlined with constant
 * rule and parts, so that nothing is decided within a loop. */
typedef struct Runs {
  Vector x[PARTS], y[PARTS];
} Runs;

/* What a step needs to know of its lanes. */
typedef struct Constants {
  Vector step, kept;           /* eta; 1 - eta */
  Vector value_p, value_q;     /* s, -d */
  Vector gain_p, gain_q;       /* eta s, -eta d */
  Vector momentum, cap, floor; /* floor: 1 / cap */
} Constants;

INLINE Constants constants_of(const Bundle *bundle, size_t lane) {
  Constants c;
  Vector one = constant(1), cosine = load(bundle->cosine + lane);
  c.step = load(bundle->step + lane);
  c.kept = subtract(one, c.step);
  c.value_p = add(cosine, one);
  c.value_q = subtract(cosine, one);
  c.gain_p = multiply(c.step, c.value_p);
  c.gain_q = multiply(c.step, c.value_q);
  c.momentum = constant(bundle->momentum);
  c.cap = constant(bundle->balance_cap);
  c.floor = divide(one, c.cap);
  return c;
}

/* From the last to the first: z_o is ready earliest. */
INLINE Vector norm2(int parts, const Vector z[PARTS]) {
  Vector sum = multiply(z[parts - 1], z[parts - 1]);
  for (int i = parts - 2; i >= 0; i--)
    sum = multiply_add(z[i], z[i], sum);
  return sum;
}

/* moved <- kept z + (gain_p w_p, gain_q w_q, 0) */
INLINE void block(int parts, Vector kept, Vector gain_p, Vector gain_q, const Vector z[PARTS], const Vector w[PARTS],
                  Vector moved[PARTS]) {
  moved[0] = multiply_add(kept, z[0], multiply(gain_p, w[0]));
  moved[1] = multiply_add(kept, z[1], multiply(gain_q, w[1]));
  if (parts == PARTS)
    moved[2] = multiply(kept, z[2]);
}

INLINE void gradient(int parts, const Constants *c, const Vector z[PARTS], const Vector w[PARTS], Vector moved[PARTS]) {
  Vector kept = multiply_subtract_from(c->step, norm2(parts, w), constant(1));
  block(parts, kept, c->gain_p, c->gain_q, z, w, moved);
}

INLINE void preconditioned(int parts, const Constants *c, const Vector z[PARTS], const Vector w[PARTS],
                           Vector moved[PARTS]) {
  Vector rate = divide(c->step, norm2(parts, w));
  block(parts, c->kept, multiply(rate, c->value_p), multiply(rate, c->value_q), z, w, moved);
}

/* The block's own old value drops out. */
INLINE void exact(int parts, const Constants *c, const Vector w[PARTS], Vector moved[PARTS]) {
  Vector rate = divide(constant(1), norm2(parts, w));
  moved[0] = multiply(multiply(rate, c->value_p), w[0]);
  moved[1] = multiply(multiply(rate, c->value_q), w[1]);
  if (parts == PARTS)
    moved[2] = constant(0);
}

INLINE void assign(int parts, Vector to[PARTS], const Vector from[PARTS]) {
  for (int i = 0; i < parts; i++)
    to[i] = from[i];
}

/* Heavy ball: before <- gd step of now + mu (now - before). The two then change places. */
INLINE void heavy_ball(int parts, const Constants *c, const Runs *now, Runs *before) {
  Vector x[PARTS], y[PARTS];
  gradient(parts, c, now->x, now->y, x);
  gradient(parts, c, now->y, now->x, y);
  for (int i = 0; i < parts; i++) {
    before->x[i] = multiply_add(c->momentum, subtract(now->x[i], before->x[i]), x[i]);
    before->y[i] = multiply_add(c->momentum, subtract(now->y[i], before->y[i]), y[i]);
  }
}

/* Teleport along u -> f u, v -> v / f towards |u| = |v|; f = 1 where a norm is zero or not finite. */
INLINE void balance(int parts, const Constants *c, Runs *r) {
  Vector zero = constant(0), one = constant(1), infinity = constant(INFINITY);
  Vector of_x = norm2(parts, r->x), of_y = norm2(parts, r->y);
  Vector factor = square_root(square_root(divide(of_y, of_x)));
  factor = choose(less(factor, c->floor), c->floor, factor);
  factor = choose(less(c->cap, factor), c->cap, factor);
  Mask sound = both(both(less(zero, of_x), less(of_x, infinity)), both(less(zero, of_y), less(of_y, infinity)));
  factor = choose(sound, factor, one);
  Vector inverse = divide(one, factor);
  for (int i = 0; i < parts; i++) {
    r->x[i] = multiply(r->x[i], factor);
    r->y[i] = multiply(r->y[i], inverse);
  }
}

/* Both gradients, the one of u faded by lambda, that of v by 1 - lambda. */
INLINE void soft(int parts, const Constants *c, const Runs *r, double lambda, Vector x[PARTS], Vector y[PARTS]) {
  Constants faded = *c;
  faded.step = multiply(constant(lambda), c->step);
  faded.gain_p = multiply(faded.step, c->value_p);
  faded.gain_q = multiply(faded.step, c->value_q);
  gradient(parts, &faded, r->x, r->y, x);
  faded.step = multiply(constant(1 - lambda), c->step);
  faded.gain_p = multiply(faded.step, c->value_p);
  faded.gain_q = multiply(faded.step, c->value_q);
  gradient(parts, &faded, r->y, r->x, y);
}

/* Both blocks from the same state. */
INLINE void step(LaneRule rule, int parts, const Constants *c, Runs *r, double lambda) {
  Vector x[PARTS], y[PARTS];
  if (rule == LANES_GD || rule == LANES_BALANCE) {
    gradient(parts, c, r->x, r->y, x);
    gradient(parts, c, r->y, r->x, y);
  } else if (rule == LANES_JACOBI) {
    exact(parts, c, r->y, x);
    exact(parts, c, r->x, y);
  } else if (rule == LANES_SCALEDGD) {
    preconditioned(parts, c, r->x, r->y, x);
    preconditioned(parts, c, r->y, r->x, y);
  } else {
    soft(parts, c, r, lambda, x, y);
  }
  assign(parts, r->x, x);
  assign(parts, r->y, y);
  if (rule == LANES_BALANCE)
    balance(parts, c, r);
}

INLINE bool alternates(LaneRule rule) {
  return rule == LANES_ALTGD || rule == LANES_ALTSCALEDGD || rule == LANES_ALS;
}

/* One block, z, from the other, w. */
INLINE void half_step(LaneRule rule, int parts, const Constants *c, Vector z[PARTS], const Vector w[PARTS]) {
  Vector moved[PARTS];
  if (rule == LANES_ALTGD)
    gradient(parts, c, z, w, moved);
  else if (rule == LANES_ALTSCALEDGD)
    preconditioned(parts, c, z, w, moved);
  else
    exact(parts, c, w, moved);
  assign(parts, z, moved);
}

/* The state, or for heavy ball the one before it. */
INLINE void load_runs(int parts, const Bundle *bundle, bool previous, size_t lane, Runs *r) {
  for (int i = 0; i < parts; i++) {
    r->x[i] = load((previous ? bundle->previous_x[i] : bundle->x[i]) + lane);
    r->y[i] = load((previous ? bundle->previous_y[i] : bundle->y[i]) + lane);
  }
}

/* Each number times zero, added up: zero unless one is infinite or NaN. */
INLINE Vector not_finite(int parts, const Runs *r, Vector sum) {
  for (int i = 0; i < parts; i++)
    sum = multiply_add(r->y[i], constant(0), multiply_add(r->x[i], constant(0), sum));
  return sum;
}

/* A run that has overflown is NaN in all its numbers from here on, the same NaN on every machine. A number whose square
 * would underflow becomes zero: the norms do not see it, and subnormal numbers are slow (on some processors, very). So
 * -0 becomes 0 too, and the flat path, which skips the zeros, leaves the same bytes as the other. */
INLINE void store_part(Mask finite, Vector z, double *to) {
  Vector value = choose(less(absolute(z), constant(LANES_SMALLEST)), constant(0), z);
  store(to, choose(finite, value, constant(NAN)));
}

INLINE void store_runs(int parts, Mask finite, const Runs *r, Bundle *bundle, bool previous, size_t lane) {
  for (int i = 0; i < PARTS; i++) {
    Vector x = i < parts ? r->x[i] : constant(0), y = i < parts ? r->y[i] : constant(0);
    store_part(finite, x, (previous ? bundle->previous_x[i] : bundle->x[i]) + lane);
    store_part(finite, y, (previous ? bundle->previous_y[i] : bundle->y[i]) + lane);
  }
}

/* The loss minus its least value, written so that nothing large cancels. "First" is the direction of the larger
 * singular value sigma = 1 + |c|: p for c >= 0, else q, where v's sign turns to make X's value there positive.
 *   1/2 [ (x_1 y_1 - sigma)^2 + x_1^2 |y_rest|^2 + |x_rest|^2 |y|^2 ] - X_2 x_2 y_2 */
typedef struct Target {
  Mask upward;          /* c >= 0 */
  Vector sigma, second; /* sigma; X_2 */
} Target;

INLINE Target target_of(const Bundle *bundle, size_t lane) {
  Target target;
  Vector one = constant(1), zero = constant(0), cosine = load(bundle->cosine + lane);
  Vector second = subtract(one, absolute(cosine));
  target.upward = less_equal(zero, cosine);
  target.sigma = add(one, absolute(cosine));
  target.second = choose(target.upward, subtract(zero, second), second);
  return target;
}

INLINE Vector excess_of(const Runs *r, const Target *target) {
  Vector zero = constant(0);
  Mask upward = target->upward;
  Vector x_1 = choose(upward, r->x[0], r->x[1]), x_2 = choose(upward, r->x[1], r->x[0]);
  Vector y_1 = choose(upward, r->y[0], subtract(zero, r->y[1])), y_2 = choose(upward, r->y[1], r->y[0]);
  Vector miss = multiply_add(x_1, y_1, subtract(zero, target->sigma));
  Vector x_rest = multiply_add(r->x[2], r->x[2], multiply(x_2, x_2));
  Vector y_rest = multiply_add(r->y[2], r->y[2], multiply(y_2, y_2));
  Vector sum = multiply(miss, miss);
  sum = multiply_add(multiply(x_1, x_1), y_rest, sum);
  sum = multiply_add(x_rest, multiply_add(y_1, y_1, y_rest), sum);
  return multiply_subtract_from(multiply(target->second, x_2), y_2, multiply(constant(0.5), sum));
}

/* UNROLLED: over the vectors in flight. */
#define UNROLLED _Pragma("GCC unroll 8") for (size_t i = 0; i < in_flight; i++)

INLINE void advance_runs(LaneRule rule, int parts, size_t in_flight, Bundle *bundle, size_t steps,
                         const double *weights) {
  for (size_t lane = 0; lane < LANES; lane += WIDTH * in_flight) {
    Runs runs[MOST_IN_FLIGHT];
    Constants constants[MOST_IN_FLIGHT];
    UNROLLED {
      load_runs(parts, bundle, false, lane + i * WIDTH, &runs[i]);
      constants[i] = constants_of(bundle, lane + i * WIDTH);
    }
    for (size_t t = 0; t < steps; t++)
      if (rule == LANES_ALS) { /* v first: the paper's order */
        UNROLLED half_step(rule, parts, &constants[i], runs[i].y, runs[i].x);
        UNROLLED half_step(rule, parts, &constants[i], runs[i].x, runs[i].y);
      } else if (alternates(rule)) {
        UNROLLED half_step(rule, parts, &constants[i], runs[i].x, runs[i].y);
        UNROLLED half_step(rule, parts, &constants[i], runs[i].y, runs[i].x);
      } else {
        UNROLLED step(rule, parts, &constants[i], &runs[i], rule == LANES_SOFT ? weights[t] : 1);
      }
    UNROLLED {
      Mask finite = less_equal(not_finite(parts, &runs[i], constant(0)), constant(0));
      store_runs(parts, finite, &runs[i], bundle, false, lane + i * WIDTH);
    }
  }
}

/* Two steps at a time, so that the two states change places without moving. */
INLINE void advance_momentum(int parts, size_t in_flight, Bundle *bundle, size_t steps) {
  for (size_t lane = 0; lane < LANES; lane += WIDTH * in_flight) {
    Runs now[MOST_IN_FLIGHT], before[MOST_IN_FLIGHT];
    Constants constants[MOST_IN_FLIGHT];
    UNROLLED {
      load_runs(parts, bundle, false, lane + i * WIDTH, &now[i]);
      load_runs(parts, bundle, true, lane + i * WIDTH, &before[i]);
      constants[i] = constants_of(bundle, lane + i * WIDTH);
    }
    for (size_t t = 0; t + 2 <= steps; t += 2) {
      UNROLLED heavy_ball(parts, &constants[i], &now[i], &before[i]);
      UNROLLED heavy_ball(parts, &constants[i], &before[i], &now[i]);
    }
    if (steps % 2 == 1)
      UNROLLED {
        heavy_ball(parts, &constants[i], &now[i], &before[i]);
        Runs newest = before[i];
        before[i] = now[i];
        now[i] = newest;
      }
    UNROLLED {
      Vector sum = not_finite(parts, &before[i], not_finite(parts, &now[i], constant(0)));
      Mask finite = less_equal(sum, constant(0));
      store_runs(parts, finite, &now[i], bundle, false, lane + i * WIDTH);
      store_runs(parts, finite, &before[i], bundle, true, lane + i * WIDTH);
    }
  }
}

/* One step of any rule; `before` is for heavy ball alone. */
INLINE void any_step(LaneRule rule, const Constants *c, Runs *now, Runs *before, double lambda) {
  if (rule == LANES_MOMENTUM) {
    heavy_ball(PARTS, c, now, before);
    Runs newest = *before;
    *before = *now;
    *now = newest;
  } else if (rule == LANES_ALS) {
    half_step(rule, PARTS, c, now->y, now->x);
    half_step(rule, PARTS, c, now->x, now->y);
  } else if (alternates(rule)) {
    half_step(rule, PARTS, c, now->x, now->y);
    half_step(rule, PARTS, c, now->y, now->x);
  } else {
    step(rule, PARTS, c, now, lambda);
  }
}

/* Steps with the excess measured after each; first: after how many it was first <= tolerance. */
INLINE void track_runs(LaneRule rule, const Bundle *bundle, size_t steps, const double *weights, double tolerance,
                       double first[LANES]) {
  enum { in_flight = 2 };
  for (size_t lane = 0; lane < LANES; lane += WIDTH * in_flight) {
    Runs now[in_flight], before[in_flight];
    Constants constants[in_flight];
    Target targets[in_flight];
    Vector arrival[in_flight];
    UNROLLED {
      load_runs(PARTS, bundle, false, lane + i * WIDTH, &now[i]);
      load_runs(PARTS, bundle, true, lane + i * WIDTH, &before[i]);
      constants[i] = constants_of(bundle, lane + i * WIDTH);
      targets[i] = target_of(bundle, lane + i * WIDTH);
      arrival[i] = constant(INFINITY);
    }
    for (size_t t = 0; t < steps; t++)
      UNROLLED {
        any_step(rule, &constants[i], &now[i], &before[i], rule == LANES_SOFT ? weights[t] : 1);
        Mask below = less_equal(excess_of(&now[i], &targets[i]), constant(tolerance));
        Vector time = constant((double)(t + 1));
        arrival[i] = choose(both(below, less(time, arrival[i])), time, arrival[i]);
      }
    UNROLLED store(first + lane + i * WIDTH, arrival[i]);
  }
}

#define EVERY_RULE(parts)                                                                                              \
  switch (rule) {                                                                                                      \
    RULE(LANES_GD, parts)                                                                                              \
    RULE(LANES_ALTGD, parts)                                                                                           \
    RULE(LANES_ALS, parts)                                                                                             \
    RULE(LANES_JACOBI, parts)                                                                                          \
    RULE(LANES_SCALEDGD, parts)                                                                                        \
    RULE(LANES_ALTSCALEDGD, parts)                                                                                     \
    RULE(LANES_MOMENTUM, parts)                                                                                        \
    RULE(LANES_BALANCE, parts)                                                                                         \
    RULE(LANES_SOFT, parts)                                                                                            \
  default:                                                                                                             \
    break;                                                                                                             \
  }
#define RULE(name, parts)                                                                                              \
  case name:                                                                                                           \
    if (name == LANES_MOMENTUM)                                                                                        \
      advance_momentum(parts, IN_FLIGHT(name), bundle, steps);                                                         \
    else                                                                                                               \
      advance_runs(name, parts, IN_FLIGHT(name), bundle, steps, weights);                                              \
    break;

static void advance(LaneRule rule, bool flat, Bundle *bundle, size_t steps, const double *weights) {
  if (flat)
    EVERY_RULE(2)
  else
    EVERY_RULE(3)
}

INLINE Mask within(Vector bound, const Runs *r) {
  Mask inside = less_equal(absolute(r->x[0]), bound);
  for (int i = 0; i < PARTS; i++)
    inside = both(inside, both(less_equal(absolute(r->x[i]), bound), less_equal(absolute(r->y[i]), bound)));
  return inside;
}

static uint32_t check(Bundle *bundle, double tolerance, double bound) {
  uint32_t done = 0, all = (1u << WIDTH) - 1;
  for (size_t lane = 0; lane < LANES; lane += WIDTH) {
    Runs runs;
    load_runs(PARTS, bundle, false, lane, &runs);
    Target target = target_of(bundle, lane);
    Vector excess = excess_of(&runs, &target);
    store(bundle->excess + lane, choose(less_equal(excess, constant(INFINITY)), excess, constant(NAN)));
    uint32_t arrived = bits(less_equal(excess, constant(tolerance)));
    uint32_t left = all & ~bits(within(constant(bound), &runs));
    done |= (arrived | left) << lane;
  }
  return done;
}

_Static_assert(LANES <= 32, "check returns a bit for each lane");

#undef RULE
#define RULE(name, parts)                                                                                              \
  case name:                                                                                                           \
    track_runs(name, bundle, steps, weights, tolerance, first);                                                        \
    break;

static void track(LaneRule rule, const Bundle *bundle, size_t steps, const double *weights, double tolerance,
                  double first[LANES]) {
  EVERY_RULE(3)
}

/* ---- the full-dimension pass ---- */

/* Eight elements at a time on every machine: element i adds to partial sum i mod 8. */
enum { STRIDE = 8, VECTORS = STRIDE / WIDTH };

typedef struct Partial {
  Vector sum[FULL_SUMS][VECTORS];
} Partial;

INLINE void full_stride(const double *a, const double *b, double *u, double *v, const FullStep *s, Partial *partial) {
#pragma GCC unroll 2
  for (size_t i = 0; i < VECTORS; i++) {
    Vector of_a = load(a + i * WIDTH), of_b = load(b + i * WIDTH);
    Vector of_u = load(u + i * WIDTH), of_v = load(v + i * WIDTH);
    of_u = multiply_add(constant(s->scale_u), of_u,
                        multiply_add(constant(s->along_a_u), of_a, multiply(constant(s->along_b_u), of_b)));
    of_v = multiply_add(constant(s->scale_v), of_v,
                        multiply_add(constant(s->along_a_v), of_a, multiply(constant(s->along_b_v), of_b)));
    store(u + i * WIDTH, of_u);
    store(v + i * WIDTH, of_v);
    partial->sum[0][i] = multiply_add(of_a, of_u, partial->sum[0][i]);
    partial->sum[1][i] = multiply_add(of_b, of_u, partial->sum[1][i]);
    partial->sum[2][i] = multiply_add(of_u, of_u, partial->sum[2][i]);
    partial->sum[3][i] = multiply_add(of_a, of_v, partial->sum[3][i]);
    partial->sum[4][i] = multiply_add(of_b, of_v, partial->sum[4][i]);
    partial->sum[5][i] = multiply_add(of_v, of_v, partial->sum[5][i]);
  }
}

/* The last elements, fewer than a stride, among zeros. */
INLINE void full_remainder(size_t count, const double *a, const double *b, double *u, double *v, const FullStep *s,
                           Partial *partial) {
  double tail[4][STRIDE] = {{0}};
  for (size_t i = 0; i < count; i++) {
    tail[0][i] = a[i];
    tail[1][i] = b[i];
    tail[2][i] = u[i];
    tail[3][i] = v[i];
  }
  full_stride(tail[0], tail[1], tail[2], tail[3], s, partial);
  for (size_t i = 0; i < count; i++) {
    u[i] = tail[2][i];
    v[i] = tail[3][i];
  }
}

static void full_block(size_t count, const double *a, const double *b, double *u, double *v, const FullStep *full,
                       double sums[FULL_SUMS]) {
  FullStep s = *full;
  Partial partial;
  for (int k = 0; k < FULL_SUMS; k++)
    for (size_t i = 0; i < VECTORS; i++)
      partial.sum[k][i] = constant(0);
  size_t i = 0;
  for (; i + STRIDE <= count; i += STRIDE)
    full_stride(a + i, b + i, u + i, v + i, &s, &partial);
  if (i < count)
    full_remainder(count - i, a + i, b + i, u + i, v + i, &s, &partial);
  for (int k = 0; k < FULL_SUMS; k++) {
    double part[STRIDE];
    for (size_t j = 0; j < VECTORS; j++)
      store(part + j * WIDTH, partial.sum[k][j]);
    sums[k] = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  }
}

/* ---- the machine's limits, for the bench ---- */

/* LANES_CHAINS independent chains of fused multiply-adds in registers, `rounds` long, several rounds to a turn of the
 * loop: its own few instructions would otherwise show. */
static double multiply_adds(size_t rounds) {
  Vector chain[LANES_CHAINS];
  for (int i = 0; i < LANES_CHAINS; i++)
    chain[i] = constant((double)(rounds + (size_t)i)); /* unknown to the compiler */
  Vector factor = constant(0.5), term = constant(1);
  for (size_t t = 0; t < rounds; t += 4)
#pragma GCC unroll 4
    for (int again = 0; again < 4; again++)
#pragma GCC unroll 16
      for (int i = 0; i < LANES_CHAINS; i++)
        chain[i] = multiply_add(chain[i], factor, term);
  double sum = 0, part[WIDTH];
  for (int i = 0; i < LANES_CHAINS; i++) {
    store(part, chain[i]);
    sum += part[0];
  }
  return sum;
}

/* A copy past the caches; both ends aligned to 64 bytes, count a multiple of 8. */
static void copy(size_t count, const double *from, double *to) {
  for (size_t i = 0; i < count; i += WIDTH)
    store_streaming(to + i, load(from + i));
  finish_streaming();
}

const LanesKernel KERNEL = {advance, track, check, full_block, multiply_adds, copy};
