/* parts.c: linear maps with low-rank updates, and several linear maps of one input. */
#include "parts.h"

/* ---- low-rank updates ---- */

/* scale x A', (rows, r) */
static Tensor lora_inner(Run *run, const Linear *l, Tensor x) {
  Tensor inner = run_reals(run, x.size[0], l->lora_a.w.size[0]);
  linear_fwd(run->ops, inner, x, l->lora_a.w, TENSOR_NONE, TENSOR_NONE);
  ops_scale(run->ops, inner, l->lora_scale);
  return inner;
}

static void lora(Run *run, const Linear *l, Tensor y, Tensor x) {
  size_t mark = run_mark(run);
  if (!l->lora_a.w.data)
    return;
  linear_fwd(run->ops, y, lora_inner(run, l, x), l->lora_b.w, TENSOR_NONE, y);
  run_release(run, mark);
}

/* dx += ; the inner product is made again: it is small. */
static void lora_back(Run *run, Linear *l, Tensor dx, Tensor dy, Tensor x) {
  size_t mark = run_mark(run);
  if (!l->lora_a.w.data)
    return;
  Tensor inner = lora_inner(run, l, x), dinner = run_reals(run, inner.size[0], inner.size[1]);
  linear_bwd_weight(run->ops, l->lora_b.d, TENSOR_NONE, dy, inner);
  linear_bwd_input(run->ops, dinner, dy, l->lora_b.w, WRITE_SET);
  ops_scale(run->ops, dinner, l->lora_scale);
  linear_bwd_weight(run->ops, l->lora_a.d, TENSOR_NONE, dinner, x);
  linear_bwd_input(run->ops, dx, dinner, l->lora_a.w, WRITE_ADD);
  run_release(run, mark);
}

/* ---- one map ---- */

static void product(Run *run, const Linear *l, Tensor y, Tensor x, Tensor onto) {
  linear_fwd(run->ops, y, x, l->w.w, l->b.w, onto);
}

static void product_back(Run *run, const Linear *l, Tensor dx, Tensor dy, Tensor x, Write write) {
  linear_bwd_input(run->ops, dx, dy, l->w.w, write);
  linear_bwd_weight(run->ops, l->w.d, l->b.d, dy, x);
}

void linear(Run *run, const Linear *l, Tensor y, Tensor x, Tensor onto) {
  product(run, l, y, x, onto);
  lora(run, l, y, x);
}

void linear_back(Run *run, Linear *l, Tensor dx, Tensor dy, Tensor x, Write write) {
  product_back(run, l, dx, dy, x, write);
  lora_back(run, l, dx, dy, x);
}

/* ---- several ---- */

/* Does `below` start where `above` ends? Both absent counts. */
static bool follows(Tensor above, Tensor below) {
  if (!above.data || !below.data)
    return !above.data && !below.data;
  return above.dtype == below.dtype && (char *)above.data + tensor_bytes(above) == (char *)below.data;
}

static bool adjacent(const Linear *above, const Linear *below) {
  return follows(above->w.w, below->w.w) && follows(above->w.d, below->w.d) && follows(above->b.w, below->b.w) &&
         follows(above->b.d, below->b.d);
}

static Tensor grown(Tensor tensor, size_t rows) {
  if (tensor.data)
    tensor.size[0] += rows;
  return tensor;
}

/* The parts from `first` on that lie one below the other, as one; *next: the first that does not. */
static Linear merged(const Linear *const *parts, size_t count, size_t first, size_t *next) {
  Linear all = *parts[first];
  size_t i = first + 1;
  for (; i < count && adjacent(parts[i - 1], parts[i]); i++) {
    size_t rows = parts[i]->w.w.size[0];
    all.w.w = grown(all.w.w, rows);
    all.w.d = grown(all.w.d, rows);
    all.b.w = grown(all.b.w, rows);
    all.b.d = grown(all.b.d, rows);
  }
  *next = i;
  return all;
}

void linears(Run *run, const Linear *const *parts, size_t count, Tensor y, Tensor x) {
  size_t column = 0, next;
  for (size_t i = 0; i < count; i = next) {
    Linear all = merged(parts, count, i, &next);
    product(run, &all, tensor_columns(y, column, all.w.w.size[0]), x, TENSOR_NONE);
    column += all.w.w.size[0];
  }
  column = 0;
  for (size_t i = 0; i < count; column += parts[i++]->w.w.size[0])
    lora(run, parts[i], tensor_columns(y, column, parts[i]->w.w.size[0]), x);
}

void linears_back(Run *run, Linear *const *parts, size_t count, Tensor dx, Tensor dy, Tensor x) {
  size_t column = 0, next;
  for (size_t i = 0; i < count; i = next) {
    Linear all = merged((const Linear *const *)parts, count, i, &next);
    product_back(run, &all, dx, tensor_columns(dy, column, all.w.w.size[0]), x, i == 0 ? WRITE_SET : WRITE_ADD);
    column += all.w.w.size[0];
  }
  column = 0;
  for (size_t i = 0; i < count; column += parts[i++]->w.w.size[0])
    lora_back(run, parts[i], dx, tensor_columns(dy, column, parts[i]->w.w.size[0]), x);
}
