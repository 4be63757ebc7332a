/* parts.h: a parameter and an operation together: what the parts of the model are written in. */
#ifndef SEESAW_PARTS_H
#define SEESAW_PARTS_H

#include "model.h"

/* linear: y = onto + x w' + b as linear_fwd, with the low-rank update, if there is one. linear_back: dx = or += dy w
 * (unless dx is absent), and the parameters' gradients. */
void linear(Run *run, const Linear *l, Tensor y, Tensor x, Tensor onto);
void linear_back(Run *run, Linear *l, Tensor dx, Tensor dy, Tensor x, Write write);

/* linears: several linear maps of the same x into neighbouring columns of y; one product where their weights lie one
 * below the other in memory, as those of the model's own memory do. linears_back sets dx. */
void linears(Run *run, const Linear *const *parts, size_t count, Tensor y, Tensor x);
void linears_back(Run *run, Linear *const *parts, size_t count, Tensor dx, Tensor dy, Tensor x);

static inline Tensor layernorm(Run *run, const Norm *norm, Tensor x, double epsilon, Tensor *mean, Tensor *rstd) {
  Tensor y = run_reals(run, x.size[0], x.size[1]);
  *mean = run_vector(run, x.size[0]);
  *rstd = run_vector(run, x.size[0]);
  layernorm_fwd(run->ops, y, *mean, *rstd, x, norm->g.w, norm->b.w, epsilon);
  return y;
}

static inline void layernorm_back(Run *run, Norm *norm, Tensor dx, Tensor dy, Tensor x, Tensor mean, Tensor rstd) {
  layernorm_bwd(run->ops, dx, norm->g.d, norm->b.d, dy, x, norm->g.w, mean, rstd);
}

static inline Tensor rmsnorm(Run *run, const Norm *norm, Tensor x, double epsilon, Tensor *rstd) {
  Tensor y = run_reals(run, x.size[0], x.size[1]);
  *rstd = run_vector(run, x.size[0]);
  rmsnorm_fwd(run->ops, y, *rstd, x, norm->g.w, epsilon);
  return y;
}

static inline void rmsnorm_back(Run *run, Norm *norm, Tensor dx, Tensor dy, Tensor x, Tensor rstd) {
  rmsnorm_bwd(run->ops, dx, norm->g.d, dy, x, norm->g.w, rstd);
}

#endif
