/* router.c: which local tokens the question asks for: a share for each, and the choice of the best.
 *
 * The mean (or sum) over text tokens of x't_j is x' times the mean (sum) of t_j, so text and local tokens are each read
 * once. All in double; a sample belongs to one thread. */
#include <math.h>

#include "state.h"
#include "vector.h"

/* ---- scores ---- */

C_CLONES static double sum_of_products(const real *x, const real *y, size_t n) {
  return c_dot(x, y, n);
}

C_CLONES static void add_scaled(double *restrict sum, double factor, const real *x, size_t n) {
  for (size_t d = 0; d < n; d++)
    sum[d] += factor * x[d];
}

C_CLONES static double dot_double(const real *x, const double *y, size_t n) {
  double lane[C_LANES] = {0.0};
  size_t i = 0;
  for (; i + C_LANES <= n; i += C_LANES)
    for (size_t j = 0; j < C_LANES; j++)
      lane[j] += x[i + j] * y[i + j];
  for (size_t j = 0; i < n; i++, j++)
    lane[j] += x[i] * y[i];
  return c_lanes_total(lane);
}

/* 1 / |x|, the norm at least 1e-8. */
static double inverse_norm(const real *x, size_t n) {
  double norm = sqrt(sum_of_products(x, x, n));
  return 1.0 / (norm < 1e-8 ? 1e-8 : norm);
}

/* x = softmax(x / temperature) */
static void softmax(double *x, size_t n, double temperature) {
  double most = -INFINITY, sum = 0.0;
  for (size_t i = 0; i < n; i++)
    most = x[i] > most ? x[i] : most;
  for (size_t i = 0; i < n; i++)
    sum += x[i] = exp((x[i] - most) / temperature);
  for (size_t i = 0; i < n; i++)
    x[i] /= sum;
}

/* direction = the sum or mean of the sample's text tokens, of length 1 each for cosines; no text: 0. */
static void text_direction(double *direction, Tensor text, const Router *router) {
  size_t tokens = text.size[0], columns = text.size[1];
  for (size_t d = 0; d < columns; d++)
    direction[d] = 0.0;
  for (size_t j = 0; j < tokens; j++) {
    double factor = router->cosine ? inverse_norm(c_row(text, j), columns) : 1.0;
    add_scaled(direction, router->sum ? factor : factor / (double)tokens, c_row(text, j), columns);
  }
}

static Tensor sample_of(Tensor x, const Ragged *rows, size_t i) {
  return tensor_rows(x, (size_t)rows->host[i], (size_t)(rows->host[i + 1] - rows->host[i]));
}

static void score_sample(Tensor score, Tensor local, Tensor text, const real *noise, const Router *router,
                         double *room) {
  size_t rows = local.size[0], columns = local.size[1];
  REQUIRE(columns + rows <= C_SCRATCH / sizeof *room, "router_score: a sample of %zu local tokens of %zu", rows,
          columns);
  double *direction = room, *x = room + columns;
  text_direction(direction, text, router);
  for (size_t n = 0; n < rows; n++) {
    x[n] = dot_double(c_row(local, n), direction, columns);
    if (router->cosine)
      x[n] *= inverse_norm(c_row(local, n), columns);
  }
  if (router->first_temperature > 0.0)
    softmax(x, rows, router->first_temperature);
  for (size_t n = 0; noise && n < rows; n++)
    x[n] += noise[n];
  softmax(x, rows, router->temperature);
  for (size_t n = 0; n < rows; n++)
    *c_row(score, n) = (real)x[n];
}

void C_OPERATION(router_score)(const Ops *ops, Tensor score, Tensor local, Tensor text, Tensor noise,
                               const Router *router, const Ragged *locals, const Ragged *texts) {
#pragma omp parallel for schedule(static, 1) num_threads(c_threads(ops)) if (locals->count > 1)
  for (size_t i = 0; i < locals->count; i++)
    score_sample(sample_of(score, locals, i), sample_of(local, locals, i), sample_of(text, texts, i),
                 noise.data ? c_row(noise, (size_t)locals->host[i]) : NULL, router, c_scratch(ops));
}

/* ---- the choice ---- */

/* Does row i come before row j: a higher score, or the same and earlier? NaN comes first: it makes the sum NaN, which
 * never passes gamma, so its sample keeps all. */
static bool before(const real *score, int32_t i, int32_t j) {
  double x = isnan(score[i]) ? INFINITY : score[i], y = isnan(score[j]) ? INFINITY : score[j];
  return x > y || (x == y && i < j);
}

/* Restore the heap (no child before its parent) below `at`. */
static void sink(const real *score, int32_t *heap, size_t count, size_t at) {
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && before(score, heap[child + 1], heap[child]))
      child++;
    if (!before(score, heap[child], heap[at]))
      return;
    int32_t swap = heap[at];
    heap[at] = heap[child];
    heap[child] = swap;
  }
}

/* chosen[n] for the best of count rows until their sum passes gamma. */
static void choose(bool *chosen, const real *score, size_t count, double gamma, int32_t *heap) {
  double sum = 0.0;
  for (size_t n = 0; n < count; n++) {
    heap[n] = (int32_t)n;
    chosen[n] = gamma >= 1.0;
  }
  for (size_t n = count / 2; n-- > 0;)
    sink(score, heap, count, n);
  while (count > 0 && !(sum > gamma)) {
    chosen[heap[0]] = true;
    sum += score[heap[0]];
    heap[0] = heap[--count];
    sink(score, heap, count, 0);
  }
}

void C_OPERATION(router_select)(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma,
                                const Ragged *locals) {
  const size_t most = C_SCRATCH / (sizeof(int32_t) + sizeof(bool));
  int32_t *rows = kept.data, *offset = offsets.data, *heap = c_scratch(ops);
  bool *chosen = (bool *)(heap + most);
  offset[0] = 0;
  for (size_t i = 0; i < locals->count; i++) {
    int32_t first = locals->host[i], count = locals->host[i + 1] - first, end = offset[i];
    REQUIRE((size_t)count <= most, "router_select: a sample of %d local tokens", count);
    choose(chosen, (const real *)score.data + first, (size_t)count, gamma, heap);
    for (int32_t n = 0; n < count; n++)
      if (chosen[n])
        rows[end++] = first + n;
    offset[i + 1] = end;
  }
}
