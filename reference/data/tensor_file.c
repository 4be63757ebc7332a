/* tensor_file.c: what the files of tensors have in common: names, shapes, order, and copies where views will not do. */
#include "tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names ---- */

/* The bytes of the UTF-8 character that starts the text, 0 if none does: no overlong forms, no surrogates. */
static size_t character_length(const unsigned char *text, size_t left) {
  unsigned char c = text[0];
  size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  if (length == 0 || length > left)
    return 0;
  for (size_t i = 1; i < length; i++)
    if ((text[i] & 0xc0) != 0x80)
      return 0;
  bool overlong = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
  bool beyond = (c == 0xed && text[1] > 0x9f) || (c == 0xf4 && text[1] > 0x8f);
  return overlong || beyond ? 0 : length;
}

bool name_valid(const char *text, size_t length) {
  for (size_t at = 0, step; at < length; at += step) {
    step = character_length((const unsigned char *)text + at, length - at);
    if (step == 0 || text[at] == '\0')
      return false;
  }
  return true;
}

char *name_print(const char *name, char text[NAME_ROOM]) {
  size_t length = strlen(name), kept = length < NAME_ROOM ? length : NAME_ROOM - 4;
  char *to = kept < length ? stpcpy(text, "...") : text;
  for (size_t i = 0; i < kept; i++, to++)
    *to = name[length - kept + i] >= ' ' && name[length - kept + i] <= '~' ? name[length - kept + i] : '?';
  *to = '\0';
  return text;
}

char *named_print(const NamedTensor *named, char text[NAME_ROOM]) {
  size_t used = (size_t)snprintf(text, NAME_ROOM, "%s (", dtype_name(named->tensor.dtype));
  for (size_t i = 0; i < named->rank && used < NAME_ROOM; i++)
    used += (size_t)snprintf(text + used, NAME_ROOM - used, "%s%zu", i > 0 ? ", " : "", named_size(named, i));
  if (used < NAME_ROOM - 1)
    strcpy(text + used, ")");
  else
    strcpy(text + NAME_ROOM - 4, "...");
  return text;
}

/* ---- One tensor ---- */

NamedTensor named_tensor(const char *name, Tensor tensor) {
  return (NamedTensor){.name = name, .tensor = tensor, .rank = (size_t)tensor.rank};
}

size_t named_size(const NamedTensor *named, size_t i) {
  return named->shape != NULL ? named->shape[i] : named->tensor.size[i];
}

Status named_make(NamedTensor *named, const char *path, void *data, Dtype dtype, size_t rank, const size_t *shape) {
  size_t bits = dtype_bits(dtype), count = 1;
  bool fits = true;
  char name[NAME_ROOM], text[NAME_ROOM];
  named->tensor.dtype = dtype;
  named->rank = rank;
  named->shape = shape;
  for (size_t i = 0; i < rank; i++) {
    fits = fits && !__builtin_mul_overflow(bits, shape[i] > 0 ? shape[i] : 1, &bits);
    count *= shape[i];
  }
  if (!fits)
    return status_error(STATUS_INPUT, "%s: the tensor %s, %s, has more numbers than memory has addresses", path,
                        name_print(named->name, name), named_print(named, text));
  if (count % 8 * dtype_bits(dtype) % 8 != 0)
    return status_error(STATUS_INPUT, "%s: the tensor %s, %s, ends within a byte", path, name_print(named->name, name),
                        named_print(named, text));
  named->tensor =
      rank <= TENSOR_RANK ? tensor_make(data, dtype, (int)rank, shape) : tensor_make(data, dtype, 1, &count);
  return status_ok();
}

/* ---- Many tensors ---- */

static int by_name(const void *x, const void *y) {
  return strcmp(((const NamedTensor *)x)->name, ((const NamedTensor *)y)->name);
}

Status named_sort(NamedTensor *tensors, size_t count, const char *path) {
  char name[NAME_ROOM];
  if (count > 0)
    qsort(tensors, count, sizeof *tensors, by_name);
  for (size_t i = 1; i < count; i++)
    if (by_name(&tensors[i - 1], &tensors[i]) == 0)
      return status_error(STATUS_INPUT, "%s: the tensor %s is there twice", path, name_print(tensors[i].name, name));
  return status_ok();
}

const NamedTensor *named_find(const NamedTensor *tensors, size_t count, const char *name) {
  const NamedTensor key = {.name = name};
  return count == 0 ? NULL : bsearch(&key, tensors, count, sizeof *tensors, by_name);
}

const NamedTensor *tensor_file_find(const TensorFile *file, const char *name) {
  return named_find(file->tensors, file->count, name);
}

const char *tensor_file_metadata(const TensorFile *file, const char *key) {
  for (size_t i = 0; i < file->metadata_count; i++)
    if (strcmp(file->metadata[i].key, key) == 0)
      return file->metadata[i].value;
  return NULL;
}

/* ---- Copies ---- */

static size_t number_bytes(const NamedTensor *named) {
  size_t bytes = dtype_bits(named->tensor.dtype) / 8;
  return bytes > 0 ? bytes : 1; /* numbers of less than a byte are packed in bytes */
}

static bool needs_copy(const NamedTensor *named, const size_t *strides) {
  return strides != NULL || (uintptr_t)named->tensor.data % number_bytes(named) != 0;
}

/* The numbers in row-major order; number by number, `index` counting through the tensor. */
static void gather(unsigned char *to, const NamedTensor *named, const size_t *strides, size_t *index) {
  const unsigned char *from = named->tensor.data;
  size_t bytes = number_bytes(named), count = tensor_count(named->tensor);
  for (size_t i = 0; i < count; i++, to += bytes) {
    memcpy(to, from, bytes);
    for (size_t k = named->rank; k-- > 0;) {
      from += strides[k] * bytes;
      if (++index[k] < named_size(named, k))
        break;
      from -= strides[k] * bytes * named_size(named, k);
      index[k] = 0;
    }
  }
}

/* The bytes of all copies; *rank: the highest rank among them, *count: how many there are. */
static Status measure_copies(const TensorFile *file, const size_t *const *strides, size_t most, size_t *bytes,
                             size_t *rank, size_t *count) {
  size_t total = 0;
  char name[NAME_ROOM];
  for (size_t i = 0; i < file->count; i++) {
    const NamedTensor *named = &file->tensors[i];
    if (!needs_copy(named, strides != NULL ? strides[i] : NULL))
      continue;
    if (__builtin_add_overflow(total, tensor_bytes(named->tensor), &total) || total > most)
      return status_error(
          STATUS_INPUT,
          "%s: the tensor %s does not lie row by row, and copies of such tensors would take more memory "
          "than the file; save it contiguously",
          file->path, name_print(named->name, name));
    *bytes += arena_size(tensor_bytes(named->tensor), 1);
    *rank = named->rank > *rank ? named->rank : *rank;
    ++*count;
  }
  return status_ok();
}

Status tensor_file_settle(TensorFile *file, const size_t *const *strides, size_t most) {
  size_t total = 0, rank = 0, count = 0;
  TRY(measure_copies(file, strides, most, &total, &rank, &count));
  if (count == 0)
    return status_ok();
  TRY(arena_alloc(&file->copies, total + arena_size(rank, sizeof(size_t))));
  size_t *index = arena_carve(&file->copies, rank, sizeof *index); /* zeros again after each tensor */
  for (size_t i = 0; i < file->count; i++) {
    NamedTensor *named = &file->tensors[i];
    if (!needs_copy(named, strides != NULL ? strides[i] : NULL))
      continue;
    size_t bytes = tensor_bytes(named->tensor);
    unsigned char *copy = arena_carve(&file->copies, bytes, 1);
    if (strides != NULL && strides[i] != NULL)
      gather(copy, named, strides[i], index);
    else if (bytes > 0)
      memcpy(copy, named->tensor.data, bytes);
    named->tensor.data = copy;
  }
  return status_ok();
}

/* ---- The file ---- */

void tensor_file_close(TensorFile *file) {
  mapped_close(&file->mapped);
  arena_free(&file->memory);
  arena_free(&file->copies);
  *file = (TensorFile){0};
}

Status tensor_file_map(TensorFile *file, const char *path,
                       Status (*parse)(TensorFile *file, const char *path, const unsigned char *bytes, size_t size)) {
  Mapped mapped;
  *file = (TensorFile){0};
  TRY(mapped_open(&mapped, path));
  Status status = parse(file, path, mapped.bytes, mapped.size);
  if (status.code == STATUS_OK)
    file->mapped = mapped;
  else
    mapped_close(&mapped);
  return status;
}
