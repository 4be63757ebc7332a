/* rng.h: one random stream everywhere: Philox4x32-10, counter-based.
 *
 * A number is a pure function of (seed, purpose, step, index), so any thread, rank or device draws the same one in any
 * order. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#ifndef SEESAW_RNG_H
#define SEESAW_RNG_H

#include <stddef.h>
#include <stdint.h>

/* What a number is drawn for: streams of different purposes never overlap. Append only: a new value at the end. */
typedef enum {
  RNG_PROBLEM_A = 1, /* the vector a of the bilinear problem */
  RNG_PROBLEM_B,     /* the vector b */
  RNG_START_U,       /* the start of u */
  RNG_START_V,       /* the start of v */
  RNG_START_SCALES,  /* alpha and beta of the paper's start */
  RNG_AUDIT,         /* instances of the audit */
  RNG_BOOTSTRAP,     /* resampling */
  RNG_TEST,          /* tests' own data */
  RNG_WEIGHTS,       /* random initialisation of a model; step: the parameter's place */
  RNG_GATE_NOISE,    /* the soft mixture's gate; step: the training step */
  RNG_ROUTER_NOISE,  /* the router's score; step: the training step */
  RNG_SAMPLING,      /* tokens drawn while generating; step: the place in the answer */
  RNG_SCENES,        /* the experiments' scenes; step: index and purpose */
  RNG_ORDER,         /* the order of training samples; step: the epoch */
  RNG_VIEWS          /* which views a batch shows; step: the training step */
} RngPurpose;

typedef struct Rng {
  uint64_t seed;
  uint32_t purpose, step;
} Rng;

static inline Rng rng_make(uint64_t seed, RngPurpose purpose, uint32_t step) {
  return (Rng){seed, (uint32_t)purpose, step};
}

/* philox: the raw bijection, ten rounds; counter and key as in the reference implementation (Random123). */
void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t output[4]);

/* rng_uniform: number `index` of the stream, uniform in the open interval (0, 1), 53 bits. */
double rng_uniform(Rng rng, uint64_t index);

/* rng_normal: number `index` of the stream, standard normal (Box-Muller on the four words of one counter). */
double rng_normal(Rng rng, uint64_t index);

/* rng_fill_normal: output[i] = rng_normal(rng, first + i), the same numbers at half the cost. */
void rng_fill_normal(Rng rng, uint64_t first, size_t count, double *output);

#endif
