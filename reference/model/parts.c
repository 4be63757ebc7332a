/* parts.c: several linear maps of one input. */
#include "parts.h"

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
    linear(run, &all, tensor_columns(y, column, all.w.w.size[0]), x, WRITE_SET);
    column += all.w.w.size[0];
  }
}

void linears_back(Run *run, Linear *const *parts, size_t count, Tensor dx, Tensor dy, Tensor x) {
  size_t column = 0, next;
  for (size_t i = 0; i < count; i = next) {
    Linear all = merged((const Linear *const *)parts, count, i, &next);
    linear_back(run, &all, dx, tensor_columns(dy, column, all.w.w.size[0]), x);
    column += all.w.w.size[0];
  }
}
