/* workload.c: pieces of a workload: their numbers, and their places in a backend's memory between guards. */
#include "workload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  FENCE = 256, /* bytes of guards before and after a tensor */
  WORD = 16,   /* bytes that a backend may move at once */
  GUARD = 0xff /* as a number a NaN of every floating type: one that is read shows, too */
};

/* ---- numbers ---- */

Dtype dtype_fine(Dtype real) {
  return real == DTYPE_BF16 ? DTYPE_F32 : real;
}

double number_round(Dtype dtype, double value) {
  switch (dtype) {
  case DTYPE_F32:
    return (double)(float)value;
  case DTYPE_BF16:
    return (double)bf16_to_float(bf16_from_float((float)value));
  case DTYPE_F16:
    return (double)f16_to_float(f16_from_float((float)value));
  default:
    return value;
  }
}

/* A quiet NaN whose payload survives the way through every floating type and back. */
static double unwritten(void) {
  union {
    uint64_t bits;
    double value;
  } u = {.bits = UINT64_C(0x7ff9c00000000000)};
  return u.value;
}

bool number_unwritten(double value) {
  double start = unwritten();
  return memcmp(&value, &start, sizeof value) == 0 || value == (double)INT32_MIN;
}

static void encode(unsigned char *to, Dtype dtype, double value) {
  switch (dtype) {
  case DTYPE_F64:
    memcpy(to, &value, sizeof value);
    break;
  case DTYPE_F32:
    memcpy(to, &(float){(float)value}, sizeof(float));
    break;
  case DTYPE_BF16:
    memcpy(to, &(uint16_t){bf16_from_float((float)value)}, sizeof(uint16_t));
    break;
  case DTYPE_F16:
    memcpy(to, &(uint16_t){f16_from_float((float)value)}, sizeof(uint16_t));
    break;
  default: /* I32; NaN: a number that no index is */
    memcpy(to, &(int32_t){isnan(value) ? INT32_MIN : (int32_t)value}, sizeof(int32_t));
  }
}

Dtype piece_dtype(const Piece *piece, Dtype real) {
  static const Dtype of[] = {[OF_F64] = DTYPE_F64, [OF_BF16] = DTYPE_BF16, [OF_F16] = DTYPE_F16, [OF_I32] = DTYPE_I32};
  return piece->kind == OF_REAL ? real : piece->kind == OF_FINE ? dtype_fine(real) : of[piece->kind];
}

size_t piece_count(const Piece *piece) {
  size_t count = 1;
  for (int i = 0; i < piece->rank; i++)
    count *= piece->size[i];
  return count;
}

/* ---- making ---- */

void workload_begin(Workload *workload, const Shape *shape, Layout layout, Dtype real, const Ops *maker,
                    uint64_t seed) {
  *workload = (Workload){.shape = shape,
                         .layout = layout,
                         .real = real,
                         .fine = dtype_fine(real),
                         .maker = maker,
                         .seed = seed,
                         .status = status_ok()};
}

void workload_free(Workload *workload) {
  for (size_t i = 0; i < workload->count; i++)
    free(workload->piece[i].numbers);
  workload->count = 0;
}

static Piece *piece_next(Workload *workload, Piece piece) {
  REQUIRE(workload->count < PIECES_MOST, "a workload of more than %d pieces", PIECES_MOST);
  workload->piece[workload->count] = piece;
  return &workload->piece[workload->count++];
}

Piece *piece_view(Workload *workload, const char *name, Kind kind, size_t rows, size_t columns) {
  return piece_next(workload, (Piece){.name = name, .kind = kind, .rank = 2, .size = {rows, columns}, .view = true});
}

Piece *piece_matrix(Workload *workload, const char *name, Kind kind, size_t rows, size_t columns) {
  return piece_next(workload, (Piece){.name = name, .kind = kind, .rank = 2, .size = {rows, columns}});
}

Piece *piece_vector(Workload *workload, const char *name, Kind kind, size_t count) {
  return piece_next(workload, (Piece){.name = name, .kind = kind, .rank = 1, .size = {count}});
}

Piece *piece_cube(Workload *workload, const char *name, Kind kind, size_t a, size_t b, size_t c) {
  return piece_next(workload, (Piece){.name = name, .kind = kind, .rank = 3, .size = {a, b, c}});
}

double *piece_numbers(Workload *workload, Piece *piece) {
  size_t count = piece_count(piece);
  if (workload->dry)
    return NULL;
  if (!piece->numbers)
    piece->numbers = calloc(count > 0 ? count : 1, sizeof *piece->numbers);
  if (!piece->numbers && workload->status.code == STATUS_OK)
    workload->status = status_error(STATUS_MEMORY, "not enough memory for %zu numbers of %s", count, piece->name);
  return piece->numbers;
}

void piece_round(const Workload *workload, Piece *piece) {
  Dtype dtype = piece_dtype(piece, workload->real);
  for (size_t i = 0, count = piece->numbers ? piece_count(piece) : 0; i < count; i++)
    piece->numbers[i] = number_round(dtype, piece->numbers[i]);
}

/* Large pieces repeat a block of numbers, whose length is a prime: rows differ, and a model's matrices do not take
 * minutes to draw. */
void piece_given(Workload *workload, Piece *piece, double centre, double spread) {
  enum { BLOCK = 1048573 };
  size_t count = piece_count(piece), drawn = count < BLOCK ? count : BLOCK;
  uint32_t which = (uint32_t)(piece - workload->piece);
  double *numbers = piece_numbers(workload, piece);
  if (!numbers)
    return;
  rng_fill_normal(rng_make(workload->seed, RNG_TEST, which), 0, drawn, numbers);
  for (size_t i = 0; i < drawn; i++)
    numbers[i] = number_round(piece_dtype(piece, workload->real), centre + spread * numbers[i]);
  for (size_t i = drawn; i < count; i++)
    numbers[i] = numbers[i - drawn];
}

void piece_set(Piece *piece, double sum) {
  piece->role = ROLE_SET;
  piece->sum = sum;
}

void piece_changed(Workload *workload, Piece *piece, double centre, double spread, double sum) {
  piece_given(workload, piece, centre, spread);
  piece->role = ROLE_CHANGED;
  piece->sum = sum;
}

void piece_written(Workload *workload, Piece *piece, Write write, double centre, double spread, double sum) {
  if (write == WRITE_ADD)
    piece_changed(workload, piece, centre, spread, sum);
  else
    piece_set(piece, sum);
}

void piece_work(Piece *piece) {
  piece->role = ROLE_WORK;
}

void piece_none(Piece *piece) {
  piece->role = ROLE_NONE;
}

void piece_integers(Workload *workload, const char *name, size_t count, const int32_t *values) {
  Piece *piece = piece_vector(workload, name, OF_I32, count);
  double *numbers = piece_numbers(workload, piece);
  for (size_t i = 0; i < count && numbers; i++)
    numbers[i] = values[i];
}

static Status derive(Workload *workload, Call *forward) {
  Placed placed;
  bool intact;
  TRY(workload_place(workload, workload->maker, &placed));
  forward(&placed);
  Status status = ops_status(workload->maker);
  for (size_t i = 0; i < workload->count && status.code == STATUS_OK; i++) {
    Piece *piece = &workload->piece[i];
    if (piece->role != ROLE_SET || !piece_numbers(workload, piece))
      continue;
    status = placed_read(&placed, i, piece->numbers, &intact);
    piece_round(workload, piece);
    piece->role = ROLE_INPUT;
  }
  placed_free(&placed);
  return status.code == STATUS_OK ? workload->status : status;
}

void workload_derive(Workload *workload, Call *forward) {
  for (size_t i = 0; i < workload->count && workload->dry; i++)
    if (workload->piece[i].role == ROLE_SET)
      workload->piece[i].role = ROLE_INPUT;
  if (workload->status.code == STATUS_OK && !workload->dry)
    workload->status = derive(workload, forward);
}

/* ---- on a backend ---- */

/* Where a piece's tensor lies in its memory: bytes to its first number, numbers between rows, bytes in all. */
typedef struct Place {
  size_t start, gap, bytes;
} Place;

static Place place_of(const Piece *piece, Layout layout, Tensor tensor) {
  size_t each = dtype_bits(tensor.dtype) / 8, width = tensor_width(tensor) * each;
  Place place = {.start = FENCE + (layout == LAYOUT_VIEW ? each : 0)};
  if (piece->view && layout == LAYOUT_VIEW)
    place.gap = 3;
  else if (piece->view && layout == LAYOUT_ALIGNED)
    place.gap = (WORD + (WORD - width % WORD) % WORD) / each;
  place.bytes = place.start + piece->size[0] * (tensor.pitch + place.gap) * each + FENCE;
  return place;
}

/* The piece's tensor on a backend with these reals, at NULL. */
static Tensor tensor_of(const Piece *piece, Dtype real) {
  return tensor_make(NULL, piece_dtype(piece, real), piece->rank, piece->size);
}

/* All bytes of the piece's memory: guards, and the numbers between them. */
static void fill_bytes(unsigned char *bytes, const Piece *piece, Place place, Tensor tensor) {
  size_t each = dtype_bits(tensor.dtype) / 8, width = tensor_width(tensor);
  double start = unwritten();
  memset(bytes, GUARD, place.bytes);
  for (size_t i = 0; i < tensor.size[0]; i++)
    for (size_t j = 0; j < width; j++)
      encode(bytes + place.start + (i * (tensor.pitch + place.gap) + j) * each, tensor.dtype,
             piece->numbers && piece->role != ROLE_SET ? piece->numbers[i * width + j] : start);
}

static Status write_piece(const Placed *placed, size_t i) {
  const Piece *piece = &placed->workload->piece[i];
  Tensor tensor = tensor_of(piece, placed->ops->real);
  Place place = place_of(piece, placed->workload->layout, tensor);
  unsigned char *bytes = malloc(place.bytes);
  if (!bytes)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu bytes of %s", place.bytes, piece->name);
  fill_bytes(bytes, piece, place, tensor);
  ops_write(placed->ops, placed->memory[i], bytes, place.bytes);
  free(bytes);
  return status_ok();
}

static Status place_piece(Placed *placed, size_t i) {
  const Piece *piece = &placed->workload->piece[i];
  Tensor tensor = tensor_of(piece, placed->ops->real);
  Place place = place_of(piece, placed->workload->layout, tensor);
  TRY(ops_alloc(placed->ops, place.bytes, &placed->memory[i]));
  tensor.data = (unsigned char *)placed->memory[i] + place.start;
  tensor.pitch += place.gap;
  placed->tensor[i] = tensor;
  return write_piece(placed, i);
}

Status workload_place(const Workload *workload, const Ops *ops, Placed *placed) {
  Status status = workload->status;
  *placed = (Placed){.ops = ops, .workload = workload};
  for (size_t i = 0; i < workload->count && status.code == STATUS_OK; i++)
    if (workload->piece[i].role != ROLE_NONE)
      status = place_piece(placed, i);
  if (status.code != STATUS_OK)
    placed_free(placed);
  return status;
}

void placed_free(Placed *placed) {
  for (size_t i = 0; i < PIECES_MOST && placed->ops; i++)
    ops_free(placed->ops, placed->memory[i]);
  *placed = (Placed){0};
}

void placed_again(const Placed *placed) {
  for (size_t i = 0; i < placed->workload->count; i++)
    if (placed->memory[i] && placed->workload->piece[i].role != ROLE_INPUT)
      REQUIRE(write_piece(placed, i).code == STATUS_OK, "no memory for what was there before");
}

static bool guarded(const unsigned char *from, const unsigned char *end) {
  while (from < end && *from == GUARD)
    from++;
  return from == end;
}

/* Numbers out of bytes; false: a guard was overwritten. */
static bool decode(const unsigned char *bytes, Place place, Tensor tensor, double *numbers) {
  size_t each = dtype_bits(tensor.dtype) / 8, width = tensor_width(tensor);
  const unsigned char *seen = bytes;
  bool intact = true;
  for (size_t i = 0; i < tensor.size[0]; i++) {
    const unsigned char *row = bytes + place.start + i * tensor.pitch * each;
    intact = intact && guarded(seen, row);
    seen = row + width * each;
    Tensor whole = tensor_1((void *)(uintptr_t)row, tensor.dtype, width);
    for (size_t j = 0; j < width; j++)
      numbers[i * width + j] = tensor_get(whole, j);
  }
  return intact && guarded(seen, bytes + place.bytes);
}

Status placed_read(const Placed *placed, size_t i, double *numbers, bool *intact) {
  const Piece *piece = &placed->workload->piece[i];
  Place place = place_of(piece, placed->workload->layout, tensor_of(piece, placed->ops->real));
  unsigned char *bytes = malloc(place.bytes);
  if (!bytes)
    return status_error(STATUS_MEMORY, "not enough memory to read %s back", piece->name);
  ops_read(placed->ops, bytes, placed->memory[i], place.bytes);
  *intact = decode(bytes, place, placed->tensor[i], numbers);
  free(bytes);
  return status_ok();
}

size_t offsets_longest(const int32_t *offsets, size_t samples) {
  int32_t most = 0;
  for (size_t i = 0; i < samples; i++)
    most = offsets[i + 1] - offsets[i] > most ? offsets[i + 1] - offsets[i] : most;
  return (size_t)most;
}

Ragged placed_ragged(const Placed *placed, size_t i, const int32_t *offsets) {
  size_t samples = placed->workload->shape->samples;
  return (Ragged){.count = samples,
                  .rows = (size_t)offsets[samples],
                  .longest = offsets_longest(offsets, samples),
                  .host = offsets,
                  .offsets = placed->tensor[i]};
}

double workload_bytes(const Workload *workload) {
  double bytes = 0.0;
  for (size_t i = 0; i < workload->count && workload->touched == 0.0; i++) {
    const Piece *piece = &workload->piece[i];
    double passes = piece->role == ROLE_NONE || piece->role == ROLE_WORK ? 0.0
                    : piece->role == ROLE_CHANGED                        ? 2.0
                                                                         : 1.0;
    bytes += passes * (double)piece_count(piece) * (double)dtype_bits(piece_dtype(piece, workload->real)) / 8.0;
  }
  return workload->touched + bytes;
}

double workload_numbers(const Workload *workload) {
  double numbers = 0.0;
  for (size_t i = 0; i < workload->count; i++)
    numbers += (double)piece_count(&workload->piece[i]);
  return numbers;
}
