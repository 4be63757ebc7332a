/* kernel_cases.h: kernels against the C backend in double, on the same numbers: the cases of operations
 * (kernels/cases_*.c) at shapes that a test adds; at their own see test_kernel_cases.c.
 *
 * With sanitizers in one layout of memory alone, that of numbers at odd addresses. */
#ifndef SEESAW_TEST_KERNEL_CASES_H
#define SEESAW_TEST_KERNEL_CASES_H

#include <criterion/criterion.h>
#include <string.h>

#include "backends.h"
#include "c.h"
#include "cases.h"
#include "sanitized.h"
#include "scratch.h"
#include "verify.h"

/* A shape for an operation; for what its numbers mean see kernels/cases_*.c. */
typedef struct CaseShape {
  const char *operation;
  Shape shape;
} CaseShape;

/* The stand-in, or a card, and the reference. */
typedef struct CasePair {
  Ops tested, reference;
} CasePair;

static inline CasePair cases_open(Dtype real, StandInOrder order) {
  CasePair pair;
  cr_assert_eq(stand_in_open(&pair.tested, real, order, 3).code, STATUS_OK);
  cr_assert_eq(c_open(&pair.reference, DTYPE_F64, 1).code, STATUS_OK);
  return pair;
}

static inline void cases_close(CasePair *pair) {
  stand_in_close(&pair->tested);
  c_close(&pair->reference);
}

static inline void expect_good(const Case *c, const Shape *shape, Layout layout, const CasePair *pair) {
  Verdict verdict;
  char text[64];
  Status status = verify_case(c, shape, layout, &pair->tested, &pair->reference, 5, &verdict);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect(verdict.supported && verdict.good && verdict.worst <= 1.0, "%s, %s: %s", case_print(c, text), shape->name,
            verdict.sentence);
}

/* Each shape in all directions of its operation. */
static inline void expect_shapes(const CaseShape *shapes, size_t count, const CasePair *pair) {
  for (size_t i = 0; i < case_count() * count; i++) {
    const Case *c = case_at(i / count);
    const CaseShape *of = &shapes[i % count];
    for (int layout = LAYOUT_VIEW; layout <= (SANITIZED ? LAYOUT_VIEW : LAYOUT_ALIGNED); layout++)
      if (strcmp(c->operation, of->operation) == 0)
        expect_good(c, &of->shape, (Layout)layout, pair);
  }
}

/* The body is a caller's mistake: it stops the program with a message that holds the sentence. */
static inline void expect_stops(void (*body)(void), const char *sentence) {
  char text[1024];
  int end = in_child(body, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT, "it did not stop: %s", text);
  expect_contains(text, sentence);
}

#endif
