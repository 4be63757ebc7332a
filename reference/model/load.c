/* load.c: a checkpoint's files to a model, and back. */
#include "load.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "files.h"
#include "safetensors.h"

/* ---- the files ---- */

Status checkpoint_add(Checkpoint *checkpoint, const char *path) {
  if (checkpoint->count == LOAD_PARTS)
    return status_error(STATUS_USAGE, "a checkpoint of more than %d parts", LOAD_PARTS);
  TRY(weights_open(&checkpoint->part[checkpoint->count], path));
  checkpoint->count++;
  return status_ok();
}

void checkpoint_close(Checkpoint *checkpoint) {
  for (size_t i = 0; i < checkpoint->count; i++)
    weights_close(&checkpoint->part[i]);
  *checkpoint = (Checkpoint){0};
}

/* Buffers that files hold and the model does not; what a whole CLIP has beside its vision tower; and the parameters of
 * parts that a configuration may leave out (where it has them, they are not looked for here). */
static const char *const not_needed[] = {"*rotary_emb.inv_freq",
                                         "*position_ids",
                                         "*mm_projector.mean",
                                         "*mm_projector.std",
                                         "model.image_newline",
                                         "text_model.*",
                                         "logit_scale",
                                         "visual_projection.*",
                                         "text_projection.*",
                                         "*mm_projector.w_noise",
                                         "*mm_projector.w_gate",
                                         "*mm_projector.attn.*",
                                         "*sampler.post_qformer.*",
                                         "lm_head.weight",
                                         NULL};

static bool is_needed(const char *name) {
  for (size_t i = 0; not_needed[i]; i++)
    if (fnmatch(not_needed[i], name, 0) == 0)
      return false;
  return true;
}

/* ---- looking for a parameter ---- */

typedef struct Loading {
  Store *store;
  const Checkpoint *checkpoint;
  bool *used[LOAD_PARTS]; /* each part's tensors */
  unsigned keep;
  Fresh fresh;
  uint32_t place; /* of the parameter in the walk */
  size_t missing, misshapen, unexpected;
  char names[400];     /* the first few that are wrong */
  unsigned char *base; /* of the store's own memory; NULL while it is measured */
  size_t bytes;
} Loading;

/* The names under which a parameter may stand, the longest first. */
static const char *shorter(const char *name) {
  static const char *const prefixes[] = {"model.vision_tower.vision_tower.", "model.", NULL};
  for (size_t i = 0; prefixes[i]; i++)
    if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
      return name + strlen(prefixes[i]);
  return NULL;
}

/* A name in one part, as it is, without its prefix, as PEFT writes that of a LoRA adapter, or as LLaVA-1.5 that of its
 * MLP. */
static const NamedTensor *look_in(const Weights *weights, const char *name) {
  static const char *const slime = "model.mm_projector.projection.", *const llava = "model.mm_projector.";
  char other[256];
  const NamedTensor *found = weights_find(weights, name);
  if (!found && shorter(name))
    found = weights_find(weights, shorter(name));
  snprintf(other, sizeof other, "base_model.model.%s", name);
  if (!found)
    found = weights_find(weights, other);
  if (!found && strncmp(name, slime, strlen(slime)) == 0) {
    snprintf(other, sizeof other, "%s%s", llava, name + strlen(slime));
    found = weights_find(weights, other);
  }
  return found;
}

/* In the last part that has it; it is used in all that do, since a later part replaces what an earlier one holds. */
static const NamedTensor *look_for(Loading *loading, const char *name) {
  const NamedTensor *last = NULL;
  for (size_t part = 0; part < loading->checkpoint->count; part++) {
    const Weights *weights = &loading->checkpoint->part[part];
    const NamedTensor *found = look_in(weights, name);
    if (found) {
      loading->used[part][found - weights->tensors] = true;
      last = found;
    }
  }
  return last;
}

static bool shaped(const NamedTensor *found, const Entry *entry) {
  bool same = found->rank == (size_t)entry->rank && found->tensor.rank == entry->rank;
  for (int i = 0; same && i < entry->rank; i++)
    same = found->tensor.size[i] == entry->size[i];
  return same;
}

static void complain(Loading *loading, size_t *count, const char *what, const char *name) {
  size_t used = strlen(loading->names);
  if ((*count)++ < 3)
    snprintf(loading->names + used, sizeof loading->names - used, "; %s %s", what, name);
}

static void complain_of_shape(Loading *loading, const NamedTensor *found, const Entry *entry) {
  char is[NAME_ROOM], should[64], text[2 * NAME_ROOM + 192];
  snprintf(text, sizeof text, "%s, which is %s and should be %s", entry->name, named_print(found, is),
           tensor_print(tensor_make(NULL, found->tensor.dtype, entry->rank, entry->size), should));
  complain(loading, &loading->misshapen, "misshapen", text);
}

/* Matrices that are converted as they are used can stay where they are. */
static bool stays(const Loading *loading, const Entry *entry, Tensor found) {
  const OpsTable *table = loading->store->ops->table;
  bool computed = found.dtype == DTYPE_F32 || found.dtype == DTYPE_BF16 || found.dtype == DTYPE_F16;
  return computed && entry->rank > 1 && !entry->transposed && !entry->input && (loading->keep >> entry->group & 1) &&
         (!table || table->host);
}

static bool is_fresh(const Loading *loading, const Entry *entry) {
  return loading->fresh.groups >> entry->group & 1;
}

static void check(void *context, const Entry *entry) {
  Loading *loading = context;
  const NamedTensor *found = look_for(loading, entry->name);
  if (is_fresh(loading, entry))
    loading->bytes += store_bytes(loading->store, entry);
  else if (!found)
    complain(loading, &loading->missing, "missing", entry->name);
  else if (!shaped(found, entry))
    complain_of_shape(loading, found, entry);
  else if (!stays(loading, entry, found->tensor))
    loading->bytes += store_bytes(loading->store, entry);
}

static void check_unexpected(Loading *loading) {
  for (size_t part = 0; part < loading->checkpoint->count; part++) {
    const Weights *weights = &loading->checkpoint->part[part];
    for (size_t i = 0; i < weights->count; i++)
      if (!loading->used[part][i] && is_needed(weights->tensors[i].name))
        complain(loading, &loading->unexpected, "unexpected", weights->tensors[i].name);
  }
}

/* ---- filling ---- */

static const double FRESH_SPREAD = 0.02;

/* Number i of the model's tensor, in the file's order. */
static size_t in_file(const Entry *entry, size_t i) {
  size_t columns = entry->size[0];
  return entry->transposed ? i % columns * entry->size[1] + i / columns : i;
}

static void convert(const Loading *loading, const Entry *entry, Tensor found, Tensor to) {
  enum { PIECE = 4096 };
  double values[PIECE];
  size_t count = tensor_count(to);
  if (found.dtype == to.dtype && !entry->transposed) {
    ops_write(loading->store->ops, to.data, found.data, tensor_bytes(to));
    return;
  }
  for (size_t first = 0; first < count; first += PIECE) {
    size_t piece = count - first < PIECE ? count - first : PIECE;
    for (size_t i = 0; i < piece; i++)
      values[i] = tensor_get(found, in_file(entry, first + i));
    store_put(loading->store, to, first, piece, values);
  }
}

static void take(void *context, const Entry *entry) {
  Loading *loading = context;
  bool fresh = is_fresh(loading, entry);
  uint32_t place = loading->place++;
  Tensor found = fresh ? TENSOR_NONE : look_for(loading, entry->name)->tensor;
  if (!fresh && stays(loading, entry, found)) {
    entry->parameter->w = entry_shape(entry, found.data, found.dtype);
    return;
  }
  entry->parameter->w = entry_shape(entry, loading->base + loading->bytes, loading->store->ops->real);
  loading->bytes += store_bytes(loading->store, entry);
  if (fresh)
    store_draw(loading->store, entry, place, FRESH_SPREAD, loading->fresh.seed);
  else
    convert(loading, entry, found, entry->parameter->w);
}

static Status load(Loading *loading) {
  Store *store = loading->store;
  const Checkpoint *checkpoint = loading->checkpoint;
  for (size_t part = 0; part < checkpoint->count; part++) {
    loading->used[part] = calloc(checkpoint->part[part].count + 1, sizeof *loading->used[part]);
    if (!loading->used[part])
      return status_error(STATUS_MEMORY, "not enough memory to load %s", checkpoint->part[part].path);
  }
  model_walk(store->model, check, loading);
  check_unexpected(loading);
  if (loading->missing + loading->misshapen + loading->unexpected > 0)
    return status_error(
        STATUS_INPUT, "%s does not hold this model: %zu tensors are missing, %zu unexpected, %zu misshapen%s",
        checkpoint->part[0].path, loading->missing, loading->unexpected, loading->misshapen, loading->names);
  TRY(ops_alloc(store->ops, loading->bytes, &store->values));
  store->value_bytes = loading->bytes;
  loading->base = store->values;
  loading->bytes = 0;
  model_walk(store->model, take, loading);
  if (store->model->config.decoder.tied)
    store->model->decoder.head = store->model->decoder.embedding;
  TRY(store_positions(store, loading->fresh.groups));
  return store_prepare(store);
}

Status store_load(Store *store, const Ops *ops, Model *model, const Checkpoint *checkpoint, unsigned keep,
                  Fresh fresh) {
  *store = (Store){.ops = ops, .model = model};
  Loading loading = {.store = store, .checkpoint = checkpoint, .keep = keep, .fresh = fresh};
  Status status = load(&loading);
  for (size_t part = 0; part < LOAD_PARTS; part++)
    free(loading.used[part]);
  if (status.code != STATUS_OK)
    store_free(store);
  return status;
}

/* ---- saving ---- */

typedef struct Saving {
  const Store *store;
  Dtype dtype;
  NamedTensor *tensors; /* NULL while they are counted */
  Entry *entries;
  size_t count, largest; /* numbers of the largest */
  unsigned char *raw, *converted;
} Saving;

static void list(void *context, const Entry *entry) {
  Saving *saving = context;
  size_t numbers = tensor_count(entry->parameter->w);
  saving->largest = numbers > saving->largest ? numbers : saving->largest;
  if (saving->tensors) {
    Tensor tensor = tensor_make(NULL, saving->dtype, entry->rank, entry->size);
    saving->entries[saving->count] = *entry;
    saving->tensors[saving->count] = named_tensor(strdup(entry->name), tensor);
  }
  saving->count++;
}

/* The numbers of one parameter, read back from the backend, in the file's order and type. */
static Status fetch(void *context, const NamedTensor *wanted, const void **data) {
  const Saving *saving = context;
  const Entry *entry = NULL;
  for (size_t i = 0; i < saving->count && !entry; i++)
    if (saving->tensors[i].name == wanted->name || strcmp(saving->tensors[i].name, wanted->name) == 0)
      entry = &saving->entries[i];
  Tensor value = entry->parameter->w;
  Tensor raw = tensor_1(saving->raw, value.dtype, tensor_count(value));
  ops_read(saving->store->ops, saving->raw, value.data, tensor_bytes(value));
  TRY(ops_status(saving->store->ops)); /* nothing is saved that a fault left behind */
  Tensor converted = tensor_1(saving->converted, saving->dtype, raw.size[0]);
  for (size_t i = 0; i < raw.size[0]; i++)
    tensor_set(converted, in_file(entry, i), tensor_get(raw, i));
  *data = saving->converted;
  return status_ok();
}

static Status save(Saving *saving, const char *path) {
  const Store *store = saving->store;
  model_walk(store->model, list, saving);
  size_t count = saving->count;
  saving->tensors = calloc(count, sizeof *saving->tensors);
  saving->entries = calloc(count, sizeof *saving->entries);
  saving->raw = malloc(saving->largest * sizeof(double));
  saving->converted = malloc(saving->largest * sizeof(float));
  saving->count = 0;
  bool there = saving->tensors && saving->entries && saving->raw && saving->converted;
  if (there)
    model_walk(store->model, list, saving);
  for (size_t i = 0; there && i < count; i++)
    there = saving->tensors[i].name;
  if (!there)
    return status_error(STATUS_MEMORY, "not enough memory to write %s", path);
  SafetensorsSource source = {.fetch = fetch, .context = saving};
  return safetensors_write(path, saving->tensors, count, NULL, 0, &source);
}

Status store_save(const Store *store, const char *folder, Dtype dtype) {
  REQUIRE(dtype == DTYPE_F32 || dtype == DTYPE_BF16 || dtype == DTYPE_F16, "weights are not saved as %s",
          dtype_name(dtype));
  Saving saving = {.store = store, .dtype = dtype};
  TRY(folder_create(folder));
  char *path = path_join(folder, "model.safetensors");
  Status status = path ? save(&saving, path) : status_error(STATUS_MEMORY, "not enough memory to write %s", folder);
  for (size_t i = 0; saving.tensors && i < saving.count; i++)
    free((void *)saving.tensors[i].name);
  free(saving.tensors);
  free(saving.entries);
  free(saving.raw);
  free(saving.converted);
  free(path);
  return status.code == STATUS_OK ? config_write(folder, &store->model->config) : status;
}
