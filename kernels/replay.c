/* replay.c: router_select, written down or replayed. */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>

double *tensor_numbers(const Ops *ops, Tensor tensor) {
  size_t width = tensor_width(tensor), bytes = width * (dtype_bits(tensor.dtype) / 8);
  double *numbers = malloc((tensor_count(tensor) + 1) * sizeof *numbers);
  unsigned char *row = malloc(bytes + 1);
  for (size_t i = 0; i < tensor.size[0] && numbers && row && tensor.rank > 0; i++) {
    size_t from = i * tensor.pitch * (dtype_bits(tensor.dtype) / 8);
    ops_read(ops, row, (const unsigned char *)tensor.data + from, bytes);
    for (size_t j = 0; j < width; j++)
      numbers[i * width + j] = tensor_get(tensor_1(row, tensor.dtype, width), j);
  }
  free(row);
  return numbers;
}

Status tensor_put(const Ops *ops, Tensor tensor, const double *numbers) {
  size_t width = tensor_width(tensor), bytes = width * (dtype_bits(tensor.dtype) / 8);
  unsigned char *row = malloc(bytes + 1);
  if (!row)
    return status_error(STATUS_MEMORY, "not enough memory for a row of %zu numbers", width);
  for (size_t i = 0; i < tensor.size[0] && tensor.rank > 0; i++) {
    for (size_t j = 0; j < width; j++)
      tensor_set(tensor_1(row, tensor.dtype, width), j, numbers[i * width + j]);
    size_t to = i * tensor.pitch * (dtype_bits(tensor.dtype) / 8);
    ops_write(ops, (unsigned char *)tensor.data + to, row, bytes);
  }
  free(row);
  return status_ok();
}

static Chosen read_choice(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, const Ragged *locals) {
  Chosen chosen = {.samples = locals->count,
                   .rows = locals->rows,
                   .score = tensor_numbers(ops, score),
                   .kept = tensor_numbers(ops, kept),
                   .offsets = tensor_numbers(ops, offsets)};
  REQUIRE(chosen.score && chosen.kept && chosen.offsets, "not enough memory for a choice among %zu rows", locals->rows);
  return chosen;
}

static void chosen_free(Chosen *chosen) {
  free(chosen->score);
  free(chosen->kept);
  free(chosen->offsets);
  *chosen = (Chosen){0};
}

static void write_integers(const Ops *ops, Tensor to, const double *numbers, size_t count) {
  int32_t *integers = calloc(count + 1, sizeof *integers);
  REQUIRE(integers, "not enough memory for %zu integers", count);
  for (size_t i = 0; i < count; i++)
    integers[i] = (int32_t)numbers[i];
  ops_write(ops, to.data, integers, count * sizeof *integers);
  free(integers);
}

/* The tested backend's own choice is judged, then the source's takes its place. */
static void replace(Replay *r, Tensor kept, Tensor offsets, const Chosen *own, double gamma, const Ragged *locals) {
  const Chosen *right = &r->source->chosen[r->count];
  size_t doubtful;
  REQUIRE(r->count < r->source->count && right->rows == own->rows, "there is no choice to be replayed");
  Choice choice = {.samples = own->samples,
                   .locals = locals->host,
                   .score = right->score,
                   .gamma = gamma,
                   .units = r->units,
                   .kept = own->kept,
                   .offsets = own->offsets,
                   .right = right->kept,
                   .right_offsets = right->offsets};
  if (choice_check(&choice, &doubtful, r->wrong ? (char[4]){0} : r->sentence, r->wrong ? 4 : sizeof r->sentence))
    r->doubtful += doubtful;
  else
    r->wrong = true;
  size_t all = (size_t)right->offsets[own->samples];
  write_integers(&r->ops, kept, right->kept, all);
  write_integers(&r->ops, offsets, right->offsets, own->samples + 1);
}

static void select_rows(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals) {
  Replay *r = (Replay *)(uintptr_t)ops; /* ops is its first member */
  r->inner->table->router_select(ops, kept, offsets, score, gamma, locals);
  Chosen own = read_choice(ops, kept, offsets, score, locals);
  REQUIRE(r->count < CHOSEN_MOST, "more than %d choices in a pass", CHOSEN_MOST);
  if (r->source) {
    replace(r, kept, offsets, &own, gamma, locals);
    chosen_free(&own);
  } else {
    r->chosen[r->count] = own;
  }
  r->count++;
}

void replay_open(Replay *replay, const Ops *inner, const Replay *source, double units) {
  *replay = (Replay){.ops = *inner, .table = *inner->table, .inner = inner, .source = source, .units = units};
  replay->table.router_select = select_rows;
  replay->ops.table = &replay->table;
}

void replay_begin(Replay *replay) {
  for (size_t i = 0; i < CHOSEN_MOST; i++)
    chosen_free(&replay->chosen[i]);
  replay->count = 0;
}

void replay_close(Replay *replay) {
  replay_begin(replay);
}
