/* spans.h: the numbers of tensors of one shape, cut into pieces that threads share. */
#ifndef SEESAW_C_SPANS_H
#define SEESAW_C_SPANS_H

#include <string.h>

#include "state.h"

enum {
  SPAN = 4096,                /* numbers of a piece, at most */
  SPANS_FOR_THREADS = 1 << 15 /* numbers from which a parallel region pays */
};

/* Rows, each cut into pieces; tensors without gaps are one long row. */
typedef struct Spans {
  size_t width, across, count;
} Spans;

static inline Spans spans_of(Tensor x, bool contiguous) {
  size_t rows = contiguous ? 1 : x.size[0];
  Spans spans = {.width = contiguous ? tensor_count(x) : tensor_width(x)};
  spans.across = (spans.width + SPAN - 1) / SPAN;
  spans.count = rows * spans.across;
  return spans;
}

/* The numbers of piece i, and where they begin in a tensor. */
static inline size_t span_count(Spans spans, size_t i) {
  size_t column = i % spans.across * SPAN;
  return spans.width - column < SPAN ? spans.width - column : SPAN;
}

static inline size_t span_place(Spans spans, size_t i, Tensor x) {
  return i / spans.across * x.pitch + i % spans.across * SPAN;
}

static inline real *span_at(Spans spans, size_t i, Tensor x) {
  return (real *)x.data + span_place(spans, i, x);
}

/* begun: an output's piece before a loop adds to it: as it is, or zero where it is to be set. In the cache that costs
 * little, and one loop does for both. */
static inline real *begun(real *to, size_t count, Write write) {
  if (write == WRITE_SET)
    memset(to, 0, count * sizeof *to);
  return to;
}

#endif
