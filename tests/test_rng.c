/* test_rng.c: Philox against Random123's known answers; the streams' distribution, order and independence.
 *
 * Tolerances: a mean of N independent values with variance v strays by more than five standard errors, 5 sqrt(v / N),
 * once in 1.7 million times; seeds are fixed, so a pass stays a pass. */
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { DRAWS = 200000 };

typedef struct Answer {
  uint32_t counter[4], key[2], output[4];
} Answer;

/* Source: Random123, tests/kat_vectors, "philox4x32 10". */
static const Answer known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

Test(rng, philox_gives_the_known_answers) {
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    uint32_t output[4];
    philox(known[i].counter, known[i].key, output);
    cr_expect_arr_eq(output, known[i].output, sizeof output, "vector %zu", i);
  }
}

/* The layout is part of the contract with other backends: counter (index/2, step, purpose), key the seed. */
Test(rng, a_number_is_the_documented_function_of_its_name) {
  const uint32_t counter[4] = {0x80000003u, 0x12u, 77, RNG_TEST}, key[2] = {0x89abcdefu, 0x01234567u};
  uint32_t words[4];
  philox(counter, key, words);
  Rng rng = rng_make(0x0123456789abcdefu, RNG_TEST, 77);
  uint64_t index = 2 * 0x1280000003u;
  double first = (double)(((uint64_t)words[1] << 32 | words[0]) >> 11) / 9007199254740992.0;
  double second = (double)(((uint64_t)words[3] << 32 | words[2]) >> 11) / 9007199254740992.0;
  cr_expect_eq(rng_uniform(rng, index), first);
  cr_expect_eq(rng_uniform(rng, index + 1), second);
  double radius = sqrt(-2 * log(first)), angle = 2 * 3.14159265358979323846 * second;
  cr_expect_float_eq(rng_normal(rng, index), radius * cos(angle), 1e-15);
  cr_expect_float_eq(rng_normal(rng, index + 1), radius * sin(angle), 1e-15);
}

/* Means of x, x^2, x^3, x^4 of a sample. */
static void moments(const double *x, double mean[4]) {
  memset(mean, 0, 4 * sizeof *mean);
  for (int i = 0; i < DRAWS; i++)
    for (int k = 0; k < 4; k++)
      mean[k] += pow(x[i], k + 1) / DRAWS;
}

Test(rng, uniforms_have_the_moments_of_the_uniform) {
  static double x[DRAWS];
  double mean[4];
  for (int i = 0; i < DRAWS; i++) {
    x[i] = rng_uniform(rng_make(1, RNG_TEST, 0), (uint64_t)i);
    cr_assert(x[i] > 0 && x[i] < 1);
  }
  moments(x, mean);
  for (int k = 1; k <= 4; k++) { /* E x^k = 1/(k+1), var x^k = 1/(2k+1) - 1/(k+1)^2 */
    double variance = 1.0 / (2 * k + 1) - 1.0 / ((k + 1) * (k + 1));
    cr_expect_float_eq(mean[k - 1], 1.0 / (k + 1), 5 * sqrt(variance / DRAWS), "moment %d: %g", k, mean[k - 1]);
  }
}

Test(rng, normals_have_the_moments_of_the_normal) {
  static double x[DRAWS];
  static const double expected[4] = {0, 1, 0, 3}, variance[4] = {1, 2, 15, 96}; /* var x^k = E x^2k - (E x^k)^2 */
  double mean[4];
  rng_fill_normal(rng_make(2, RNG_TEST, 0), 0, DRAWS, x);
  moments(x, mean);
  for (int k = 0; k < 4; k++)
    cr_expect_float_eq(mean[k], expected[k], 5 * sqrt(variance[k] / DRAWS), "moment %d: %g", k + 1, mean[k]);
}

Test(rng, normals_fall_in_the_tails_as_often_as_they_should) {
  static double x[DRAWS];
  int beyond = 0;
  rng_fill_normal(rng_make(3, RNG_TEST, 0), 0, DRAWS, x);
  for (int i = 0; i < DRAWS; i++)
    beyond += fabs(x[i]) > 2.5;
  double p = erfc(2.5 / sqrt(2));
  cr_expect_float_eq((double)beyond / DRAWS, p, 5 * sqrt(p * (1 - p) / DRAWS));
}

static double correlation(Rng a, uint64_t shift_a, Rng b, uint64_t shift_b, uint64_t stride) {
  double sum = 0;
  for (uint64_t i = 0; i < DRAWS / 4; i++)
    sum += rng_normal(a, stride * i + shift_a) * rng_normal(b, stride * i + shift_b);
  return sum / (DRAWS / 4);
}

Test(rng, neighbours_and_streams_are_uncorrelated) {
  Rng base = rng_make(4, RNG_TEST, 0);
  double tolerance = 5 / sqrt(DRAWS / 4);
  cr_expect_float_eq(correlation(base, 0, base, 1, 2), 0, tolerance, "the two of a pair");
  cr_expect_float_eq(correlation(base, 1, base, 2, 2), 0, tolerance, "neighbouring pairs");
  cr_expect_float_eq(correlation(base, 0, rng_make(5, RNG_TEST, 0), 0, 1), 0, tolerance, "seeds");
  cr_expect_float_eq(correlation(base, 0, rng_make(4, RNG_AUDIT, 0), 0, 1), 0, tolerance, "purposes");
  cr_expect_float_eq(correlation(base, 0, rng_make(4, RNG_TEST, 1), 0, 1), 0, tolerance, "steps");
  cr_expect_float_eq(correlation(base, 0, base, (uint64_t)1 << 33, 1), 0, tolerance, "far indices");
}

Test(rng, filling_gives_the_same_bits_from_any_start) {
  Rng rng = rng_make(6, RNG_START_U, 3);
  static const uint64_t starts[] = {0, 1, 2, 7, ((uint64_t)1 << 33) - 3};
  static const size_t counts[] = {0, 1, 2, 3, 10, 11};
  for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++)
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
      double filled[12], sentinel = -1e300;
      for (size_t i = 0; i < 12; i++)
        filled[i] = sentinel;
      rng_fill_normal(rng, starts[s], counts[c], filled);
      for (size_t i = 0; i < counts[c]; i++) {
        double one = rng_normal(rng, starts[s] + i);
        cr_expect_eq(memcmp(&one, &filled[i], sizeof one), 0, "start %zu count %zu item %zu", s, c, i);
      }
      cr_expect_eq(filled[counts[c]], sentinel, "nothing is written behind the last");
    }
}

Test(rng, order_does_not_matter) {
  Rng rng = rng_make(7, RNG_TEST, 0);
  double forward[64], backward[64];
  for (int i = 0; i < 64; i++)
    forward[i] = rng_uniform(rng, (uint64_t)i);
  for (int i = 63; i >= 0; i--)
    backward[i] = rng_uniform(rng, (uint64_t)i);
  cr_expect_arr_eq(forward, backward, sizeof forward);
}
