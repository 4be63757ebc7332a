/* rope.c: rotary positions (Su et al. 2021), 'rotate-half': the pair (x_i, x_{i + S/2}) of each head turns by position
 * * frequency_i. Angles, sines and cosines in double (libm: one row of them serves all heads). */
#include <math.h>

#include "state.h"
#include "vector.h"

enum { PAIRS = 4096 };            /* of a head at most: what the scratch memory is asked for */
enum { WORTH_THREADS = 1 << 14 }; /* numbers: fewer are done before a thread wakes */

C_CLONES static void rotate(real *x, size_t pairs, const real *cosine, const real *sine) {
  real *y = x + pairs;
  for (size_t i = 0; i < pairs; i++) {
    real turned = x[i] * cosine[i] - y[i] * sine[i];
    y[i] = y[i] * cosine[i] + x[i] * sine[i];
    x[i] = turned;
  }
}

/* Cosines, then sines, of one position. */
static void fill_turn(real *turn, double position, Tensor frequency, bool inverse) {
  size_t pairs = frequency.size[0];
  for (size_t i = 0; i < pairs; i++) {
    double angle = position * ((const double *)frequency.data)[i];
    turn[i] = (real)cos(angle);
    turn[pairs + i] = (real)(inverse ? -sin(angle) : sin(angle));
  }
}

/* How many positions a table must hold so that rows of many samples can share it; 0: it would not fit, or not pay. */
static size_t table_size(Tensor position, size_t pairs) {
  const int32_t *at = position.data;
  int32_t most = 0, least = 0;
  for (size_t n = 0; n < position.size[0]; n++) {
    most = at[n] > most ? at[n] : most;
    least = at[n] < least ? at[n] : least;
  }
  size_t count = (size_t)most + 1;
  bool fits = count <= C_SCRATCH / (2 * pairs * sizeof(real));
  return least == 0 && fits && 2 * count <= position.size[0] ? count : 0;
}

static void rotate_row(Tensor x, size_t n, const real *turn, size_t pairs) {
  for (size_t first = 0; first < x.size[1]; first += 2 * pairs)
    rotate(c_row(x, n) + first, pairs, turn, turn + pairs);
}

void C_OPERATION(rope)(const Ops *ops, Tensor x, Tensor position, Tensor frequency, bool inverse) {
  size_t pairs = frequency.size[0], shared = table_size(position, pairs);
  const int32_t *at = position.data;
  real *table = c_scratch(ops); /* of the calling thread */
  REQUIRE(pairs <= PAIRS, "rope: heads of %zu, at most %d", 2 * pairs, 2 * PAIRS);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (shared * pairs > WORTH_THREADS)
  for (size_t p = 0; p < shared; p++)
    fill_turn(table + 2 * pairs * p, (double)p, frequency, inverse);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(x) > WORTH_THREADS)
  for (size_t n = 0; n < x.size[0]; n++) {
    real *turn = shared > 0 ? table + 2 * pairs * (size_t)at[n] : c_scratch(ops);
    if (shared == 0)
      fill_turn(turn, at[n], frequency, inverse);
    rotate_row(x, n, turn, pairs);
  }
}
