/* reduction.h: any start, any dimension, in six numbers.
 *
 * X = a b' + b a' = (1+c) p p' - (1-c) q q' acts only in span{p, q}, p = (a+b)/sqrt(2(1+c)), q = (a-b)/sqrt(2(1-c)).
 * Write u = x_p p + x_q q + x_o e with e the unit vector along what is left of u, and v = y_p p + y_q q + y_o f likewise.
 * X e = X f = 0, so no method built from block updates ever turns e or f: (x_p, x_q, x_o; y_p, y_q, y_o) carry the
 * whole run exactly, as a run of the same method on problem_reduced(c). (x_o, y_o keep their sign.) */
#ifndef SEESAW_REDUCTION_H
#define SEESAW_REDUCTION_H

#include "problem.h"

typedef struct Reduced {
  double x[3]; /* u along p, q, e */
  double y[3]; /* v along p, q, f */
} Reduced;

/* reduction_of: the six numbers of a state of a bilinear problem, x_o, y_o >= 0. */
Reduced reduction_of(const Problem *bilinear, const double *u, const double *v);

/* Coordinates of the paper: u = A (tau w+ + nu w-): x_p = sqrt(1+c) tau, x_q = sqrt(1-c) nu.
 * reduction_paper: the paper's start u0 = alpha a + beta b, v0 = beta a + alpha b (Eq. 2). */
Reduced reduction_paper(double cosine, double alpha, double beta);

/* reduction_gaussian: the six numbers of the start u0, v0 ~ scale N(0, I_d), drawn from (seed, index) directly:
 * x_o^2 / scale^2 is chi-squared with d - 2 degrees of freedom (through the inverse of its distribution:
 * GSL's, and beyond 1000 degrees an expansion, which is off by less than 1e-6 in probability). */
Reduced reduction_gaussian(double scale, size_t dimension, uint64_t seed, uint64_t index);

/* reduced_measure: the Measure of a state of the bilinear problem from its six numbers. */
void reduced_measure(double cosine, const Reduced *state, Measure *measure);

/* start_paper, start_gaussian: full-dimension starts. alpha, beta ~ scale N(0,1); u0, v0 ~ scale N(0, I). */
void start_paper(const Problem *bilinear, double scale, uint64_t seed, double *u, double *v);
void start_gaussian(const Problem *problem, double scale, uint64_t seed, double *u, double *v);

#endif
