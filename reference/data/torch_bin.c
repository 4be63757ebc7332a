/* torch_bin.c: from a zip archive and the tree of its pickle to tensors. */
#include "torch_bin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pickle.h"
#include "zip.h"

enum { REBUILD_TENSOR, REBUILD_PARAMETER, FIRST_STORAGE, MOST_RANK = 64 /* torch's own limit */ };

static const char *const allowed[] = {
    [REBUILD_TENSOR] = "torch._utils _rebuild_tensor_v2",
    [REBUILD_PARAMETER] = "torch._utils _rebuild_parameter",
    [FIRST_STORAGE] = "torch HalfStorage",
    "torch BFloat16Storage",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch LongStorage",
    "torch IntStorage",
    "torch ShortStorage",
    "torch CharStorage",
    "torch ByteStorage",
    "torch BoolStorage",
    NULL,
};

/* Of the storages, in the same order. */
static const Dtype storage_dtypes[] = {DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F64, DTYPE_I64,
                                       DTYPE_I32, DTYPE_I16,  DTYPE_I8,  DTYPE_U8,  DTYPE_BOOL};

/* The numbers that tensors are views of. */
typedef struct Storage {
  const unsigned char *bytes;
  size_t count;
  Dtype dtype;
} Storage;

/* What _rebuild_tensor_v2 is called with. */
typedef struct Arguments {
  const PickleValue *storage, *offset, *shape, *strides;
} Arguments;

typedef struct Reader {
  TensorFile *file;
  const char *path;
  Zip zip;
  const ZipEntry *pickle;
  Arena tree; /* the pickle's values */
  const PickleValue *dict;
  size_t *numbers;        /* free room for shapes and strides */
  char *text;             /* and for names */
  const size_t **strides; /* of each tensor; NULL: row-major */
} Reader;

/* ---- Sentences ---- */

__attribute__((format(printf, 3, 4))) static Status refuse(const Reader *reader, const char *name, const char *format,
                                                           ...) {
  char what[300], quoted[NAME_ROOM];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s: the tensor %s %s", reader->path, name_print(name, quoted), what);
}

static Status not_a_tensor(const Reader *reader, const char *name, const PickleValue *value) {
  char quoted[NAME_ROOM];
  name_print(name, quoted);
  if (value->kind == PICKLE_DICT)
    return status_error(STATUS_INPUT,
                        "%s: the dict has another dict under %s: only a flat dict from names to tensors is read; save "
                        "the inner one alone",
                        reader->path, quoted);
  return status_error(STATUS_INPUT, "%s: what the dict has under %s is not a tensor; only tensors are read",
                      reader->path, quoted);
}

/* ---- Values ---- */

static bool is_call(const PickleValue *value, int64_t function, size_t arguments) {
  return value->kind == PICKLE_CALL && value->items[0]->integer == function && value->items[1]->count == arguments;
}

static bool is_size(const PickleValue *value) {
  return value->kind == PICKLE_INTEGER && value->integer >= 0;
}

static bool are_sizes(const PickleValue *value) {
  bool sizes = value->kind == PICKLE_TUPLE && value->count <= MOST_RANK;
  for (size_t i = 0; sizes && i < value->count; i++)
    sizes = is_size(value->items[i]);
  return sizes;
}

/* A call of _rebuild_parameter(tensor, requires_grad, hooks) stands for its tensor. */
static const PickleValue *unwrap(const PickleValue *value) {
  return is_call(value, REBUILD_PARAMETER, 3) ? value->items[1]->items[0] : value;
}

/* _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks): the last two do not concern us, but hooks
 * would be code. */
static Status take_arguments(const Reader *reader, const PicklePair *pair, Arguments *arguments) {
  const PickleValue *value = unwrap(pair->value);
  if (pair->key->kind != PICKLE_TEXT || !name_valid(pair->key->text, pair->key->count))
    return status_error(STATUS_INPUT, "%s: a key of the dict is not a text in UTF-8 without zero characters",
                        reader->path);
  const char *name = pair->key->text;
  if (value->kind != PICKLE_CALL)
    return not_a_tensor(reader, name, value);
  if (!is_call(value, REBUILD_TENSOR, 6))
    return refuse(reader, name, "is not made by _rebuild_tensor_v2 from six arguments");
  const PickleValue *const *items = value->items[1]->items;
  if (items[0]->kind != PICKLE_PERSISTENT || !is_size(items[1]) || !are_sizes(items[2]) || !are_sizes(items[3]) ||
      items[2]->count != items[3]->count || items[5]->kind != PICKLE_DICT || items[5]->count > 0)
    return refuse(reader, name, "is not made from a storage, an offset, a shape and strides");
  *arguments = (Arguments){items[0], items[1], items[2], items[3]};
  return status_ok();
}

/* ---- Storages ---- */

/* The entry ROOT/rest of the archive, ROOT being where data.pkl is. */
static const ZipEntry *find_beside(const Reader *reader, const char *rest) {
  char name[512];
  size_t root = reader->pickle->length - strlen("data.pkl"), length = strlen(rest);
  if (root + length > sizeof name)
    return NULL;
  memcpy(name, reader->pickle->name, root);
  memcpy(name + root, rest, length);
  return zip_find(&reader->zip, name, root + length);
}

/* A storage by what stands for it: ("storage", type, key, location, count). */
static Status find_storage(const Reader *reader, const char *name, const PickleValue *value, Storage *storage) {
  char rest[128], quoted[NAME_ROOM];
  const PickleValue *tuple = value->items[0], *const *items = tuple->items;
  if (tuple->kind != PICKLE_TUPLE || tuple->count != 5 || items[0]->kind != PICKLE_TEXT ||
      strcmp(items[0]->text, "storage") != 0 || items[1]->kind != PICKLE_GLOBAL || items[1]->integer < FIRST_STORAGE ||
      items[2]->kind != PICKLE_TEXT || !is_size(items[4]))
    return refuse(reader, name, "has a storage that is not described by type, key, location and count");
  storage->dtype = storage_dtypes[items[1]->integer - FIRST_STORAGE];
  storage->count = (size_t)items[4]->integer;
  const char *key = items[2]->text;
  int length = snprintf(rest, sizeof rest, "data/%s", key);
  const ZipEntry *entry =
      length < (int)sizeof rest && strlen(key) == items[2]->count ? find_beside(reader, rest) : NULL;
  if (entry == NULL)
    return refuse(reader, name, "has the storage %s, which the file lacks", name_print(key, quoted));
  size_t bytes = dtype_bits(storage->dtype) / 8;
  if (storage->count > SIZE_MAX / bytes || entry->size != storage->count * bytes)
    return refuse(reader, name, "has a storage of %zu numbers of %zu bytes, and data/%s has %zu bytes", storage->count,
                  bytes, name_print(key, quoted), entry->size);
  storage->bytes = entry->bytes;
  return status_ok();
}

/* ---- Tensors ---- */

static const size_t *take_sizes(Reader *reader, const PickleValue *tuple) {
  size_t *sizes = reader->numbers;
  for (size_t i = 0; i < tuple->count; i++)
    sizes[i] = (size_t)tuple->items[i]->integer;
  reader->numbers += tuple->count;
  return sizes;
}

/* Row-major without gaps. The stride of a size of one does not matter, and nothing does when there are no numbers. */
static bool row_major(const NamedTensor *named, const size_t *strides) {
  size_t expected = 1;
  bool is = true;
  for (size_t i = named->rank; i-- > 0;) {
    is = is && (strides[i] == expected || named_size(named, i) == 1);
    expected *= named_size(named, i);
  }
  return is || tensor_count(named->tensor) == 0;
}

/* The last number of the tensor lies in its storage (and so do all others: strides are not negative). */
static bool within(const NamedTensor *named, size_t offset, const size_t *strides, size_t count) {
  size_t last = offset, step;
  for (size_t i = 0; i < named->rank; i++)
    if (__builtin_mul_overflow(named_size(named, i) - 1, strides[i], &step) ||
        __builtin_add_overflow(last, step, &last))
      return false;
  return last < count;
}

static Status take_tensor(Reader *reader, const PicklePair *pair, NamedTensor *named, const size_t **strides) {
  Arguments arguments;
  Storage storage = {0};
  char text[NAME_ROOM];
  TRY(take_arguments(reader, pair, &arguments));
  named->name = strcpy(reader->text, pair->key->text);
  reader->text += pair->key->count + 1;
  TRY(find_storage(reader, named->name, arguments.storage, &storage));
  const size_t *shape = take_sizes(reader, arguments.shape), offset = (size_t)arguments.offset->integer;
  *strides = take_sizes(reader, arguments.strides);
  TRY(named_make(named, reader->path, NULL, storage.dtype, arguments.shape->count, shape));
  bool empty = tensor_count(named->tensor) == 0;
  if (!empty && !within(named, offset, *strides, storage.count))
    return refuse(reader, named->name, "(%s, from number %zu on) reaches beyond its storage of %zu numbers",
                  named_print(named, text), offset, storage.count);
  named->tensor.data = (void *)(storage.bytes + (empty ? 0 : offset * dtype_bits(storage.dtype) / 8));
  if (row_major(named, *strides))
    *strides = NULL;
  return status_ok();
}

/* Measure and make room for the tensors: names of a sound file are distinct, so the pickle has the bytes of them all;
 * a program that repeats one name or one shape a million times must not make us allocate for it. */
static Status make_room(Reader *reader) {
  TensorFile *file = reader->file;
  size_t count = reader->dict->count, numbers = 0, letters = 0;
  const PicklePair *pair = reader->dict->last;
  Arguments arguments;
  for (size_t i = 0; i < count; i++) {
    pair = pair->next;
    TRY(take_arguments(reader, pair, &arguments));
    numbers += 2 * arguments.shape->count;
    letters += pair->key->count + 1;
    if (letters > reader->pickle->size || numbers > reader->pickle->size)
      return status_error(STATUS_INPUT, "%s: data.pkl is too short for the names and shapes of %zu tensors",
                          reader->path, count);
  }
  TRY(arena_alloc(&file->memory, arena_size(strlen(reader->path) + 1, 1) + arena_size(count, sizeof *file->tensors) +
                                     arena_size(count, sizeof *reader->strides) +
                                     arena_size(numbers, sizeof *reader->numbers) + arena_size(letters, 1)));
  file->path = strcpy(arena_carve(&file->memory, strlen(reader->path) + 1, 1), reader->path);
  file->tensors = arena_carve(&file->memory, count, sizeof *file->tensors);
  reader->strides = arena_carve(&file->memory, count, sizeof *reader->strides);
  reader->numbers = arena_carve(&file->memory, numbers, sizeof *reader->numbers);
  reader->text = arena_carve(&file->memory, letters, 1);
  return status_ok();
}

static Status take_tensors(Reader *reader, size_t size) {
  TensorFile *file = reader->file;
  if (reader->dict->kind != PICKLE_DICT)
    return status_error(STATUS_INPUT, "%s: the file has something other than a dict of tensors", reader->path);
  TRY(make_room(reader));
  const PicklePair *pair = reader->dict->last;
  for (; file->count < reader->dict->count; file->count++) {
    pair = pair->next;
    TRY(take_tensor(reader, pair, &file->tensors[file->count], &reader->strides[file->count]));
  }
  TRY(tensor_file_settle(file, reader->strides, size));
  return named_sort(file->tensors, file->count, reader->path);
}

/* ---- The file ---- */

/* The only entry in the archive that is data.pkl in a folder of its root. */
static Status find_pickle(Reader *reader) {
  for (size_t i = 0; i < reader->zip.count; i++) {
    const ZipEntry *entry = &reader->zip.entries[i];
    const char *slash = memchr(entry->name, '/', entry->length);
    size_t root = slash == NULL ? 0 : (size_t)(slash - entry->name);
    if (slash == NULL || entry->length - root != strlen("/data.pkl") || memcmp(slash, "/data.pkl", 9) != 0)
      continue;
    if (reader->pickle != NULL)
      return status_error(STATUS_INPUT, "%s: there are two data.pkl in the archive", reader->path);
    reader->pickle = entry;
  }
  if (reader->pickle == NULL)
    return status_error(STATUS_INPUT, "%s: a zip file, but not one of torch: there is no data.pkl in it", reader->path);
  if (!zip_intact(reader->pickle))
    return status_error(STATUS_INPUT, "%s: data.pkl does not agree with its checksum: the file is damaged",
                        reader->path);
  return status_ok();
}

static Status check_byte_order(const Reader *reader) {
  const ZipEntry *order = find_beside(reader, "byteorder");
  if (order != NULL && (order->size != 6 || memcmp(order->bytes, "little", 6) != 0))
    return status_error(STATUS_INPUT, "%s: its numbers are not little-endian; only such files are read", reader->path);
  return status_ok();
}

static Status parse(Reader *reader, const unsigned char *bytes, size_t size) {
  if (size > 0 && bytes[0] == 0x80)
    return status_error(
        STATUS_INPUT, "%s: a torch file of the time before 1.6, which is not read; load and save it with a newer torch",
        reader->path);
  TRY(zip_parse(&reader->zip, reader->path, bytes, size));
  TRY(find_pickle(reader));
  TRY(check_byte_order(reader));
  TRY(pickle_parse(&reader->dict, &reader->tree, reader->path, reader->pickle->bytes, reader->pickle->size, allowed));
  return take_tensors(reader, size);
}

Status torch_bin_parse(TensorFile *file, const char *path, const unsigned char *bytes, size_t size) {
  Reader reader = {.file = file, .path = path};
  *file = (TensorFile){0};
  Status status = parse(&reader, bytes, size);
  zip_free(&reader.zip);
  arena_free(&reader.tree);
  if (status.code != STATUS_OK)
    tensor_file_close(file);
  return status;
}

Status torch_bin_open(TensorFile *file, const char *path) {
  return tensor_file_map(file, path, torch_bin_parse);
}

static Status verify(Zip *zip, const char *path) {
  char name[NAME_ROOM];
  for (size_t i = 0; i < zip->count; i++) {
    const ZipEntry *entry = &zip->entries[i];
    if (!zip_intact(entry)) {
      snprintf(name, sizeof name, "%.*s", (int)entry->length, entry->name);
      return status_error(STATUS_INPUT, "%s: the entry %s does not agree with its checksum: the file is damaged", path,
                          name);
    }
  }
  return status_ok();
}

Status torch_bin_verify(const char *path) {
  Mapped mapped;
  Zip zip = {0};
  TRY(mapped_open(&mapped, path));
  Status status = zip_parse(&zip, path, mapped.bytes, mapped.size);
  if (status.code == STATUS_OK)
    status = verify(&zip, path);
  zip_free(&zip);
  mapped_close(&mapped);
  return status;
}

bool torch_bin_likely(const unsigned char *bytes, size_t size) {
  if (size < 4 || (size > 8 && bytes[8] == '{')) /* a safetensors header, whatever its length spells */
    return false;
  return memcmp(bytes, "PK\x03\x04", 4) == 0 || (bytes[0] == 0x80 && bytes[1] == 2);
}
