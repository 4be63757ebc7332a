/* run.c: carving activations. */
#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"

/* Where the activations of a dry run would start: any address that is not NULL, never touched. */
#define NOWHERE ((unsigned char *)ARENA_ALIGNMENT)

Status run_alloc(Run *run, const Ops *ops, size_t capacity) {
  void *memory;
  *run = (Run){.ops = ops, .capacity = capacity};
  TRY(ops_alloc(ops, capacity, &memory));
  run->base = memory;
  return status_ok();
}

/* A piece of the host's memory, in a list. */
struct HostPiece {
  struct HostPiece *next;
  int32_t numbers[];
};

void run_reset(Run *run) {
  run->used = 0;
  for (struct HostPiece *piece = run->host, *next; piece; piece = next) {
    next = piece->next;
    free(piece);
  }
  run->host = NULL;
}

int32_t *run_host(Run *run, size_t count) {
  struct HostPiece *piece = calloc(1, sizeof *piece + count * sizeof *piece->numbers);
  REQUIRE(piece, "not enough memory for %zu integers", count);
  piece->next = run->host;
  run->host = piece;
  return piece->numbers;
}

void run_free(Run *run) {
  run_reset(run);
  if (run->base && !run_is_dry(run))
    ops_free(run->ops, run->base);
  run->base = NULL;
}

Status run_grow(Run *run, const Ops *ops, size_t bytes) {
  void *memory;
  if (run->base && bytes <= run->capacity) {
    run_reset(run);
    return status_ok();
  }
  run_free(run);
  run->ops = ops;
  run->capacity = bytes + bytes / 4;
  TRY(ops_alloc(ops, run->capacity, &memory));
  run->base = memory;
  return status_ok();
}

Run run_dry(const Ops *dry) {
  return (Run){.ops = dry, .base = NOWHERE, .capacity = ARENA_MOST};
}

bool run_is_dry(const Run *run) {
  return run->base == NOWHERE;
}

static void *carve(Run *run, size_t count, size_t size) {
  size_t bytes = arena_size(count, size);
  REQUIRE(bytes <= run->capacity - run->used, "%zu items of %zu bytes do not fit: %zu of %zu bytes are used", count,
          size, run->used, run->capacity);
  void *piece = run->base + run->used;
  run->used += bytes;
  if (run->used > run->most)
    run->most = run->used;
  return piece;
}

static Tensor carve_matrix(Run *run, Dtype dtype, size_t rows, size_t columns) {
  return tensor_2(carve(run, rows * columns, dtype_bits(dtype) / 8), dtype, rows, columns);
}

Tensor run_reals(Run *run, size_t rows, size_t columns) {
  return carve_matrix(run, run->ops->real, rows, columns);
}

Tensor run_fine(Run *run, size_t rows, size_t columns) {
  return carve_matrix(run, ops_fine(run->ops), rows, columns);
}

Tensor run_vector(Run *run, size_t count) {
  Tensor column = run_fine(run, count, 1);
  return tensor_1(column.data, column.dtype, count);
}

Tensor run_integers(Run *run, size_t count) {
  return tensor_1(carve(run, count, sizeof(int32_t)), DTYPE_I32, count);
}

static Tensor zeroed(Run *run, Tensor tensor) {
  ops_zero(run->ops, tensor);
  return tensor;
}

Tensor run_zeros(Run *run, size_t rows, size_t columns) {
  return zeroed(run, run_reals(run, rows, columns));
}

Tensor run_fine_zeros(Run *run, size_t rows, size_t columns) {
  return zeroed(run, run_fine(run, rows, columns));
}

Tensor run_upload(Run *run, const int32_t *values, size_t count) {
  Tensor tensor = run_integers(run, count);
  ops_write(run->ops, tensor.data, values, count * sizeof *values);
  return tensor;
}

size_t run_mark(const Run *run) {
  return run->used;
}

void run_release(Run *run, size_t mark) {
  run->used = mark;
}

void run_note(Run *run, Tensor tensor, const char *format, ...) {
  char name[128];
  va_list arguments;
  if (!run->observe || run_is_dry(run))
    return;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  run->observe(run->context, name, tensor);
}

Ragged run_ragged(Run *run, size_t count, const int32_t *offsets) {
  Ragged ragged = {.count = count, .rows = (size_t)offsets[count], .host = offsets};
  for (size_t i = 0; i < count; i++) {
    size_t rows = (size_t)(offsets[i + 1] - offsets[i]);
    if (rows > ragged.longest)
      ragged.longest = rows;
  }
  ragged.offsets = run_upload(run, offsets, count + 1);
  return ragged;
}

Ragged run_even(Run *run, size_t count, size_t rows) {
  int32_t *offsets = run_host(run, count + 1);
  for (size_t i = 0; i <= count; i++)
    offsets[i] = (int32_t)(i * rows);
  return run_ragged(run, count, offsets);
}

/* ---- reading back ---- */

/* A contiguous tensor's numbers in the host's memory. */
static Tensor read_back(Run *run, Tensor tensor) {
  Tensor host = tensor;
  host.data = run_host(run, tensor_bytes(tensor) / sizeof(int32_t) + 1); /* two bytes may be left over */
  ops_read(run->ops, host.data, tensor.data, tensor_bytes(tensor));
  return host;
}

double run_mean(Run *run, Tensor vector) {
  Tensor host = read_back(run, vector);
  double sum = 0.0;
  for (size_t i = 0; i < vector.size[0]; i++)
    sum += tensor_get(host, i);
  return sum / (double)vector.size[0];
}

void run_likeliest(Run *run, Tensor rows, int32_t *columns) {
  Tensor host = read_back(run, rows);
  size_t width = tensor_width(rows);
  for (size_t i = 0; i < rows.size[0]; i++) {
    size_t best = 0;
    for (size_t j = 1; j < width; j++)
      best = tensor_get(host, i * width + j) > tensor_get(host, i * width + best) ? j : best;
    columns[i] = (int32_t)best;
  }
}
