/* verify_choice.c: choices are discrete: right exactly, unless the sum that decides comes within rounding of the
 * threshold. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify.h"

static bool wrong(char *text, size_t size, size_t sample, const char *what) {
  snprintf(text, size, "sample %zu: %s", sample, what);
  return false;
}

/* The `count` rows from `kept` on: rows of the sample, ascending. */
static bool in_order(const double *kept, size_t count, double first, double end) {
  for (size_t k = 0; k < count; k++)
    if (!(kept[k] >= first && kept[k] < end && (k == 0 || kept[k] > kept[k - 1])))
      return false;
  return true;
}

static bool among(const double *kept, size_t count, double row) {
  for (size_t k = 0; k < count; k++)
    if (kept[k] == row)
      return true;
  return false;
}

/* Is every row that is kept at least as good as every row that is not, up to `slack`? */
static bool best(const Choice *c, const double *kept, size_t count, int32_t first, int32_t end, double slack) {
  double least = INFINITY, most = -INFINITY;
  for (size_t k = 0; k < count; k++)
    least = fmin(least, c->score[(size_t)kept[k]]);
  for (int32_t row = first; row < end; row++)
    if (!among(kept, count, row))
      most = fmax(most, c->score[row]);
  return least >= most - slack;
}

/* The sum of scores of rows that only one of both choices has. */
static double between(const Choice *c, const double *kept, size_t count, const double *other, size_t others) {
  double sum = 0.0;
  for (size_t k = 0; k < count; k++)
    if (!among(other, others, kept[k]))
      sum += c->score[(size_t)kept[k]];
  return sum;
}

/* The sum over the rows that both choose, and its distance from gamma. */
static double distance(const Choice *c, const double *kept, size_t count) {
  double sum = 0.0;
  for (size_t k = 0; k < count; k++)
    sum += c->score[(size_t)kept[k]];
  return fabs(sum - c->gamma);
}

/* A choice that is not the reference's is right if the best rows were kept and the shorter of both choices ends within
 * the tolerance of gamma: one more row, or none, was then a matter of rounding. Rows whose scores differ by less than
 * a score's tolerance may change places. */
static bool sample_check(const Choice *c, size_t i, size_t *doubtful, char *text, size_t size) {
  int32_t first = c->locals[i], end = c->locals[i + 1];
  size_t from = (size_t)c->offsets[i], count = (size_t)(c->offsets[i + 1] - c->offsets[i]);
  size_t right_from = (size_t)c->right_offsets[i], rights = (size_t)(c->right_offsets[i + 1] - c->right_offsets[i]);
  const double *kept = c->kept + from, *right = c->right + right_from;
  if (!in_order(kept, count, first, end))
    return wrong(text, size, i, "the kept rows are not rows of the sample in their old order");
  if (between(c, kept, count, right, rights) == 0.0 && count == rights)
    return true;
  bool nested = between(c, count < rights ? kept : right, count < rights ? count : rights,
                        count < rights ? right : kept, count < rights ? rights : count) == 0.0;
  double slack = c->units * (1.0 + sqrt((double)(end - first))) * c->gamma;
  double share = 2.0 * c->units * c->gamma;
  bool close = (count == rights && !c->exact) ||
               distance(c, count < rights ? kept : right, count < rights ? count : rights) <= slack;
  if (!close || (c->exact && !nested) || !best(c, kept, count, first, end, share)) {
    snprintf(text, size, "sample %zu: %zu rows are kept, should be %zu, or others, and no sum is close to gamma", i,
             count, rights);
    return false;
  }
  ++*doubtful;
  return true;
}

bool choice_check(const Choice *c, size_t *doubtful, char *text, size_t size) {
  *doubtful = 0;
  for (size_t i = 0; i <= c->samples; i++) {
    double least = i == 0 ? 0.0 : c->offsets[i - 1], most = i == 0 ? 0.0 : c->locals[i];
    if (!(c->offsets[i] >= least && c->offsets[i] <= most)) {
      snprintf(text, size, "offsets: number %zu is %g, should be %g", i, c->offsets[i], c->right_offsets[i]);
      return false;
    }
  }
  for (size_t i = 0; i < c->samples; i++)
    if (!sample_check(c, i, doubtful, text, size))
      return false;
  return true;
}
