/* verify.h: does a backend compute what the reference computes? A case at a shape on both, and element by element
 *   |x - ref| <= units (|ref| + rms(ref)),   units = 8 sqrt(K) 2^-24 [+ 8 2^-8]
 * K the longest sum behind an output, which is kept in float at least (2^-53 for outputs in F64); the second part where
 * the output, or what was summed, was rounded to bf16: that happens once to each number, so it does not grow with K.
 * A NaN, an output or a part of one that was not written, a byte beside a tensor or an input that changed each fail. */
#ifndef SEESAW_VERIFY_H
#define SEESAW_VERIFY_H

#include "cases.h"
#include "digest.h"

typedef struct Verdict {
  bool supported; /* the backend has the operation */
  bool good;
  double worst;       /* error over tolerance, of all outputs; infinite for a NaN */
  double seconds;     /* of the call on the tested backend */
  Digest digest;      /* of the outputs' bits */
  char sentence[400]; /* if it is not good: which output, where, what it is and what it should be */
} Verdict;

/* verify_case: a case at a shape on a tested backend and the reference (C in double, given the numbers that the tested
 * one gets). Errors: STATUS_MEMORY. A fault of the tested backend is a verdict, not an error. */
Status verify_case(const Case *c, const Shape *shape, Layout layout, const Ops *tested, const Ops *reference,
                   uint64_t seed, Verdict *verdict);

/* Numbers beside those that they should be. */
typedef struct Comparison {
  size_t count, columns; /* columns: of a row, for messages */
  double units;          /* of the tolerance */
  double floor;          /* least root mean square in the tolerance: what was summed may have cancelled; 0: none */
  const double *beside;  /* of each number what its tolerance is larger by; NULL: nothing */
  /* Out: */
  size_t out, first, bad; /* elements outside; the first of them; NaN among them */
  double worst;           /* error over tolerance */
  size_t at;              /* where */
} Comparison;

/* compare: from what is there, what comes out. comparison_print: one sentence on `name` if elements are out. */
void compare(Comparison *comparison, const double *is, const double *should);
void comparison_print(const Comparison *comparison, const char *name, const double *is, const double *should,
                      char *text, size_t size);

/* tolerance_units: of an output stored as `dtype` after sums of `sum` numbers; rounded: what was summed was rounded to
 * bf16. */
double tolerance_units(Dtype dtype, double sum, bool rounded);

/* choice_check: kept rows and offsets against the reference's. Where the sum of scores comes as close to gamma as the
 * tolerance of such a sum, either number of rows is right; the rows must be the best in any case. true, or false and a
 * sentence. *doubtful: samples whose choice differs within the tolerance. */
typedef struct Choice {
  size_t samples;
  const int32_t *locals; /* offsets of their rows */
  const double *score;   /* of all rows */
  double gamma;
  double units;                        /* of the tolerance of a sum of scores */
  bool exact;                          /* both chose by the very same scores: then their order is beyond doubt */
  const double *kept, *offsets;        /* as the tested backend has them */
  const double *right, *right_offsets; /* the reference's */
} Choice;
bool choice_check(const Choice *choice, size_t *doubtful, char *text, size_t size);

#endif
