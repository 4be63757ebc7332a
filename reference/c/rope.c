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

void C_OPERATION(rope)(const Ops *ops, Tensor x, Tensor position, Tensor frequency, bool inverse) {
  size_t pairs = frequency.size[0], heads = x.size[1] / (2 * pairs);
  REQUIRE(pairs <= PAIRS, "rope: heads of %zu, at most %d", 2 * pairs, 2 * PAIRS);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(x) > WORTH_THREADS)
  for (size_t n = 0; n < x.size[0]; n++) {
    real *cosine = c_scratch(ops), *sine = cosine + PAIRS;
    double at = ((const int32_t *)position.data)[n];
    for (size_t i = 0; i < pairs; i++) {
      double angle = at * ((const double *)frequency.data)[i];
      cosine[i] = (real)cos(angle);
      sine[i] = (real)(inverse ? -sin(angle) : sin(angle));
    }
    for (size_t h = 0; h < heads; h++)
      rotate(c_row(x, n) + 2 * pairs * h, pairs, cosine, sine);
  }
}
