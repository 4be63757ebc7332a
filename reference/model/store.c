/* store.c: memory for parameters, gradients and position tables. */
#include "store.h"

#include <math.h>
#include <stdlib.h>

#include "arena.h"
#include "position.h"

/* ---- walks that carve ---- */

/* Where the next parameter goes: NULL while sizes are only added up. */
typedef struct Carver {
  Store *store;
  unsigned char *base;
  size_t used;
  unsigned groups;
  Dtype working;
} Carver;

static size_t entry_count(const Entry *entry) {
  return tensor_count(entry_shape(entry, NULL, DTYPE_F32));
}

static size_t entry_bytes(const Entry *entry, Dtype dtype) {
  return arena_size(entry_count(entry), dtype_bits(dtype) / 8);
}

size_t store_bytes(const Store *store, const Entry *entry) {
  return entry_bytes(entry, store->ops->real);
}

/* Absent while it is measured. */
static Tensor carve(Carver *carver, const Entry *entry, Dtype dtype) {
  void *piece = carver->base ? carver->base + carver->used : NULL;
  carver->used += entry_bytes(entry, dtype);
  return piece ? entry_shape(entry, piece, dtype) : TENSOR_NONE;
}

static void carve_value(void *context, const Entry *entry) {
  Carver *carver = context;
  Tensor value = carve(carver, entry, carver->store->ops->real);
  if (value.data)
    entry->parameter->w = value;
}

static void carve_gradient(void *context, const Entry *entry) {
  Carver *carver = context;
  entry->parameter->d = TENSOR_NONE;
  if (entry->fixed || !(carver->groups >> entry->group & 1))
    return;
  entry->parameter->d = carve(carver, entry, ops_fine(carver->store->ops));
}

/* Measure, allocate, carve. */
static Status carve_all(Carver carver, Visit *visit, void **memory, size_t *bytes) {
  Store *store = carver.store;
  model_walk(store->model, visit, &carver);
  *bytes = carver.used;
  TRY(ops_alloc(store->ops, carver.used, memory));
  carver.base = *memory;
  carver.used = 0;
  if (carver.base)
    model_walk(store->model, visit, &carver);
  return status_ok();
}

/* The output layer of a tied decoder is its embedding. */
static void tie(Model *model) {
  if (model->config.decoder.tied)
    model->decoder.head = model->decoder.embedding;
}

/* ---- values ---- */

enum { PIECE = 4096 }; /* numbers that go to the backend at once */

void store_put(const Store *store, Tensor to, size_t first, size_t count, const double *values) {
  double room[PIECE];
  Tensor piece = tensor_1(room, to.dtype, count);
  REQUIRE(count <= PIECE, "%zu numbers at once", count);
  for (size_t i = 0; i < count; i++)
    tensor_set(piece, i, values[i]);
  ops_write(store->ops, (unsigned char *)to.data + first * (dtype_bits(to.dtype) / 8), room, tensor_bytes(piece));
}

void store_convert(const Store *store, Tensor to, Tensor from) {
  double room[PIECE], values[PIECE];
  size_t count = tensor_count(from), each = dtype_bits(from.dtype) / 8;
  REQUIRE(tensor_count(to) == count, "%zu numbers become %zu", count, tensor_count(to));
  for (size_t first = 0; first < count; first += PIECE) {
    size_t piece = count - first < PIECE ? count - first : PIECE;
    ops_read(store->ops, room, (const unsigned char *)from.data + first * each, piece * each);
    for (size_t i = 0; i < piece; i++)
      values[i] = tensor_get(tensor_1(room, from.dtype, piece), i);
    store_put(store, to, first, piece, values);
  }
}

typedef struct Filling {
  Store *store;
  double spread;
  uint64_t seed;
  uint32_t place; /* of the parameter in the walk */
} Filling;

void store_draw(const Store *store, const Entry *entry, uint32_t place, double spread, uint64_t seed) {
  double ones[PIECE];
  size_t count = entry_count(entry);
  if (entry->spread > 0.0 && !entry->fixed)
    normal_fill(store->ops, entry->parameter->w, rng_make(seed, RNG_WEIGHTS, place), 0, spread);
  for (size_t i = 0; i < PIECE; i++)
    ones[i] = 1.0;
  for (size_t first = 0; first < count && entry->spread < 0.0; first += PIECE)
    store_put(store, entry->parameter->w, first, count - first < PIECE ? count - first : PIECE, ones);
}

static void fill(void *context, const Entry *entry) {
  Filling *filling = context;
  store_draw(filling->store, entry, filling->place++, filling->spread, filling->seed);
}

/* ---- position tables ---- */

static size_t side_of(size_t cells) {
  return (size_t)lround(sqrt((double)cells));
}

/* A whole table of doubles to the backend. */
static void put_table(const Store *store, Tensor to, const double *values) {
  size_t count = tensor_count(to);
  for (size_t first = 0; first < count; first += PIECE)
    store_put(store, to, first, count - first < PIECE ? count - first : PIECE, values + first);
}

static Status fill_positions(const Store *store, const Former *former) {
  Tensor to = former->position.w;
  if (!to.data)
    return status_ok();
  double *table = malloc(tensor_count(to) * sizeof *table);
  if (!table)
    return status_error(STATUS_MEMORY, "not enough memory for a table of positions");
  position_sincos(side_of(to.size[0]), to.size[1], store->model->config.switches.positions_half, table);
  put_table(store, to, table);
  free(table);
  return status_ok();
}

Status store_positions(const Store *store, unsigned groups) {
  if (groups >> GROUP_FORMER & 1)
    TRY(fill_positions(store, &store->model->adapter.former));
  return groups >> GROUP_COMPRESSION & 1 ? fill_positions(store, &store->model->compression) : status_ok();
}

/* The queries' table, read back and resized to the grid of a view's patches. */
static Status fill_key_positions(const Store *store, Former *former) {
  Tensor from = former->position.w;
  size_t count = from.data ? tensor_count(from) : 0, patches = config_patches(&store->model->config);
  if (count == 0 || !store->ops->table)
    return status_ok();
  double *table = malloc(count * sizeof *table), *resized = malloc(patches * from.size[1] * sizeof *resized);
  void *raw = malloc(tensor_bytes(from));
  Status status = status_error(STATUS_MEMORY, "not enough memory for a table of positions");
  if (table && resized && raw) {
    ops_read(store->ops, raw, from.data, tensor_bytes(from));
    for (size_t i = 0; i < count; i++)
      table[i] = tensor_get(tensor_1(raw, from.dtype, count), i);
    position_resize(side_of(from.size[0]), side_of(patches), from.size[1], table, resized);
    put_table(store, former->key_position, resized);
    status = status_ok();
  }
  free(table);
  free(resized);
  free(raw);
  return status;
}

static size_t carve_tables(Store *store, unsigned char *base) {
  Model *model = store->model;
  size_t patches = config_patches(&model->config), width = model->config.vision.width;
  size_t half = model->config.decoder.head / 2;
  size_t bytes = arena_size(patches * width, dtype_bits(store->ops->real) / 8);
  if (base) {
    model->adapter.former.key_position = tensor_2(base, store->ops->real, patches, width);
    model->compression.key_position = tensor_2(base + bytes, store->ops->real, patches, width);
    model->frequency = tensor_1(base + 2 * bytes, DTYPE_F64, half);
  }
  return 2 * bytes + arena_size(half, sizeof(double));
}

Status store_prepare(Store *store) {
  Model *model = store->model;
  double frequency[512];
  REQUIRE(model->config.decoder.head / 2 <= sizeof frequency / sizeof *frequency, "heads of %zu",
          model->config.decoder.head);
  ops_free(store->ops, store->tables);
  TRY(ops_alloc(store->ops, carve_tables(store, NULL), &store->tables));
  carve_tables(store, store->tables);
  position_rotary(model->config.decoder.head, model->config.decoder.theta, frequency);
  ops_write(store->ops, model->frequency.data, frequency, tensor_bytes(model->frequency));
  TRY(fill_key_positions(store, &model->adapter.former));
  return fill_key_positions(store, &model->compression);
}

/* ---- working copies ---- */

bool store_owns(const Store *store, Tensor value) {
  const unsigned char *at = value.data, *base = store->values;
  return at >= base && at < base + store->value_bytes;
}

/* The same parameter in other memory: matrices and tables in the working type, the rest as it is. */
static void carve_working(void *context, const Entry *entry) {
  Carver *carver = context;
  Parameter *parameter = entry->parameter;
  if (!store_owns(carver->store, parameter->w))
    return;
  Tensor to = carve(carver, entry, entry->rank > 1 && !entry->input ? carver->working : parameter->w.dtype);
  if (!to.data)
    return;
  store_convert(carver->store, to, parameter->w);
  parameter->w = to;
}

Status store_narrow(Store *store, Dtype working) {
  REQUIRE(working == DTYPE_F32 || working == DTYPE_BF16 || working == DTYPE_F16, "working copies of type %s",
          dtype_name(working));
  void *old = store->values, *memory;
  size_t bytes;
  TRY(carve_all((Carver){.store = store, .working = working}, carve_working, &memory, &bytes));
  store->values = memory;
  store->value_bytes = bytes;
  ops_free(store->ops, old);
  tie(store->model);
  return store_prepare(store);
}

/* ---- the store ---- */

static Status random_values(Store *store, double spread, uint64_t seed) {
  TRY(carve_all((Carver){.store = store}, carve_value, &store->values, &store->value_bytes));
  tie(store->model);
  model_walk(store->model, fill, &(Filling){.store = store, .spread = spread, .seed = seed});
  TRY(store_positions(store, 1 << GROUP_FORMER | 1 << GROUP_COMPRESSION));
  return store_prepare(store);
}

Status store_random(Store *store, const Ops *ops, Model *model, double spread, uint64_t seed) {
  *store = (Store){.ops = ops, .model = model};
  Status status = random_values(store, spread, seed);
  if (status.code != STATUS_OK)
    store_free(store);
  return status;
}

Status store_train(Store *store, unsigned groups) {
  size_t bytes;
  ops_free(store->ops, store->gradients);
  store->gradients = NULL;
  TRY(carve_all((Carver){.store = store, .groups = groups}, carve_gradient, &store->gradients, &bytes));
  tie(store->model);
  store->gradient_count = bytes / (dtype_bits(ops_fine(store->ops)) / 8);
  return status_ok();
}

Tensor store_gradients(const Store *store) {
  return tensor_1(store->gradients, ops_fine(store->ops), store->gradient_count);
}

void store_zero(Store *store) {
  ops_zero(store->ops, store_gradients(store));
}

void store_free(Store *store) {
  if (!store->ops)
    return;
  ops_free(store->ops, store->values);
  ops_free(store->ops, store->gradients);
  ops_free(store->ops, store->tables);
  *store = (Store){0};
}
