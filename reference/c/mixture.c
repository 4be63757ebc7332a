/* mixture.c: the soft mixture of experts, token by token: noisy gates and the weighted sum. */
#include <math.h>

#include "state.h"
#include "vector.h"

enum { WORTH_THREADS = 1 << 14 }; /* numbers: fewer are done before a thread wakes */

/* ---- gates: few numbers, in double, by libm ---- */

/* log(1 + e^x), without overflow for large x and with all digits of e^x for small ones. */
static double softplus(double x) {
  return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x)));
}

static double sigmoid(double x) {
  double e = exp(-fabs(x));
  return x < 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

void C_OPERATION(noisy_gate_fwd)(const Ops *ops, Tensor z, Tensor clean, Tensor raw, Tensor noise, double floor) {
  (void)ops;
  for (size_t n = 0; n < z.size[0]; n++)
    for (size_t e = 0; e < z.size[1]; e++) {
      double shift = noise.data ? c_row(noise, n)[e] * (softplus(c_row(raw, n)[e]) + floor) : 0.0;
      c_row(z, n)[e] = (real)(c_row(clean, n)[e] + shift);
    }
}

/* dclean and draw may be the same tensor: that of a gate whose raw is clean. */
void C_OPERATION(noisy_gate_bwd)(const Ops *ops, Tensor dclean, Tensor draw, Tensor dz, Tensor raw, Tensor noise) {
  (void)ops;
  for (size_t n = 0; n < dz.size[0]; n++)
    for (size_t e = 0; e < dz.size[1]; e++) {
      c_row(dclean, n)[e] += c_row(dz, n)[e];
      if (noise.data)
        c_row(draw, n)[e] += (real)(c_row(dz, n)[e] * c_row(noise, n)[e] * sigmoid(c_row(raw, n)[e]));
    }
}

/* ---- the mixture ---- */

/* s = softmax(z) / (1 + epsilon) */
static void softmax(real *s, const real *z, size_t n, double epsilon) {
  double most = -INFINITY, sum = 0.0;
  for (size_t e = 0; e < n; e++)
    most = z[e] > most ? z[e] : most;
  for (size_t e = 0; e < n; e++)
    sum += exp(z[e] - most);
  for (size_t e = 0; e < n; e++)
    s[e] = (real)(exp(z[e] - most) / sum / (1.0 + epsilon));
}

/* y = s h, y += s h */
C_CLONES static void set_scaled(real *restrict y, real s, const real *h, size_t n) {
  for (size_t d = 0; d < n; d++)
    y[d] = s * h[d];
}

C_CLONES static void add_scaled(real *restrict y, real s, const real *h, size_t n) {
  for (size_t d = 0; d < n; d++)
    y[d] += s * h[d];
}

C_CLONES static double dot(const real *x, const real *y, size_t n) {
  return c_dot(x, y, n);
}

/* Row n of expert e. */
static real *expert_row(Tensor h, size_t e, size_t n) {
  return c_row(h, e) + n * h.size[2];
}

void C_OPERATION(expert_mix_fwd)(const Ops *ops, Tensor y, Tensor s, Tensor z, Tensor h, double epsilon) {
  size_t experts = h.size[0], columns = y.size[1];
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(h) > WORTH_THREADS)
  for (size_t n = 0; n < y.size[0]; n++) {
    real *share = c_row(s, n);
    softmax(share, c_row(z, n), experts, epsilon);
    for (size_t e = 0; e < experts; e++)
      (e == 0 ? set_scaled : add_scaled)(c_row(y, n), share[e], expert_row(h, e, n), columns);
  }
}

/* dz = or += s (a - sum softmax(z) a), a_e = dy h_e; softmax(z) = s (1 + epsilon). */
static void gate_gradient(real *dz, const real *dy, const real *s, Tensor h, size_t n, double epsilon, Write write,
                          double *a) {
  double mean = 0.0;
  for (size_t e = 0; e < h.size[0]; e++) {
    a[e] = dot(dy, expert_row(h, e, n), h.size[2]);
    mean += s[e] * (1.0 + epsilon) * a[e];
  }
  for (size_t e = 0; e < h.size[0]; e++)
    dz[e] = (write == WRITE_ADD ? dz[e] : 0) + (real)(s[e] * (a[e] - mean));
}

void C_OPERATION(expert_mix_bwd)(const Ops *ops, Tensor dz, Tensor dh, Tensor dy, Tensor s, Tensor h, double epsilon,
                                 Write write) {
  size_t experts = h.size[0];
  REQUIRE(experts <= C_SCRATCH / sizeof(double), "expert_mix_bwd: %zu experts", experts);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (tensor_count(h) > WORTH_THREADS)
  for (size_t n = 0; n < dy.size[0]; n++) {
    if (dz.data)
      gate_gradient(c_row(dz, n), c_row(dy, n), c_row(s, n), h, n, epsilon, write, c_scratch(ops));
    if (dh.data)
      for (size_t e = 0; e < experts; e++)
        (write == WRITE_SET ? set_scaled : add_scaled)(expert_row(dh, e, n), c_row(s, n)[e], c_row(dy, n), dy.size[1]);
  }
}
