/* safetensors.c: the header's JSON, of exactly the grammar that the format has, and the tensors that it announces.
 *
 * No general JSON parser: keys that come twice, numbers beyond 2^53, zero characters and deep nesting are what such
 * parsers let pass or stumble over. A cursor reads the header without ever passing its end; what it may find is counted
 * first (each entry has a {, each size a [ or a comma before it, each string two quotes), so one arena holds it all. */
#include "safetensors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };

/* Where the numbers of a tensor lie, relative to the data. */
typedef struct Range {
  size_t begin, end;
  NamedTensor *named;
} Range;

typedef struct Reader {
  TensorFile *file;
  const unsigned char *start, *at, *end; /* the file's first byte; the place in the header; the header's end */
  char *text;                            /* free room for strings */
  size_t *sizes;                         /* and for sizes */
  Range *ranges;                         /* one a tensor */
  bool metadata_seen;
} Reader;

__attribute__((format(printf, 2, 3))) static Status malformed(const Reader *reader, const char *format, ...) {
  char what[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s: byte %zu: %s", reader->file->path, (size_t)(reader->at - reader->start), what);
}

/* ---- Words of JSON ---- */

static void skip_blanks(Reader *reader) {
  while (reader->at < reader->end &&
         (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
    reader->at++;
}

/* Take the character if it is next, after blanks. */
static bool take(Reader *reader, char expected) {
  skip_blanks(reader);
  if (reader->at == reader->end || *reader->at != (unsigned char)expected)
    return false;
  reader->at++;
  return true;
}

static Status require(Reader *reader, char expected, const char *where) {
  return take(reader, expected) ? status_ok() : malformed(reader, "a %c is expected %s", expected, where);
}

static Status take_size(Reader *reader, size_t *size) {
  skip_blanks(reader);
  const unsigned char *start = reader->at;
  for (*size = 0; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++)
    if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, (size_t)(*reader->at - '0'), size))
      return malformed(reader, "the number is larger than any size");
  if (reader->at == start || (*start == '0' && reader->at > start + 1))
    return malformed(reader, "a whole number is expected");
  return status_ok();
}

/* Four hexadecimal digits; -1 if they are not there. */
static long take_hex(Reader *reader) {
  long code = 0;
  if (reader->end - reader->at < 4)
    return -1;
  for (int i = 0; i < 4; i++, reader->at++) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *digit = *reader->at == '\0' ? NULL : strchr(digits, *reader->at);
    if (digit == NULL)
      return -1;
    code = code * 16 + (digit - digits) % 16;
  }
  return code;
}

static char *put_character(char *to, long code) {
  if (code < 0x80) {
    *to++ = (char)code;
  } else if (code < 0x800) {
    *to++ = (char)(0xc0 | code >> 6);
    *to++ = (char)(0x80 | (code & 63));
  } else {
    *to = (char)(0xe0 | code >> 12);
    if (code >= 0x10000) {
      *to++ = (char)(0xf0 | code >> 18);
      *to = (char)(0x80 | (code >> 12 & 63));
    }
    *++to = (char)(0x80 | (code >> 6 & 63));
    *++to = (char)(0x80 | (code & 63));
    to++;
  }
  return to;
}

/* What follows a backslash. A pair of surrogates makes one character; half a pair becomes bytes that are no UTF-8 and
 * is refused with them. */
static Status take_escape(Reader *reader, char **to) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *name = reader->at == reader->end || *reader->at == '\0' ? NULL : strchr(names, *reader->at);
  if (name != NULL) {
    reader->at++;
    *(*to)++ = values[name - names];
    return status_ok();
  }
  if (reader->at == reader->end || *reader->at++ != 'u')
    return malformed(reader, "there is no such escape");
  long code = take_hex(reader);
  if (code >= 0xd800 && code < 0xdc00 && reader->end - reader->at >= 2 && memcmp(reader->at, "\\u", 2) == 0) {
    reader->at += 2;
    long low = take_hex(reader);
    code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00) : -1;
  }
  if (code < 0)
    return malformed(reader, "\\u wants four hexadecimal digits, and surrogates come in pairs");
  *to = put_character(*to, code);
  return status_ok();
}

static Status take_string(Reader *reader, const char **text, const char *what) {
  char *to = reader->text;
  *text = to;
  TRY(require(reader, '"', what));
  while (reader->at < reader->end && *reader->at != '"') {
    unsigned char c = *reader->at;
    if (c < ' ')
      return malformed(reader, "a string has a control character");
    reader->at++;
    if (c == '\\')
      TRY(take_escape(reader, &to));
    else
      *to++ = (char)c;
  }
  TRY(require(reader, '"', "at a string's end"));
  if (!name_valid(*text, (size_t)(to - *text)))
    return malformed(reader, "the string that ends here is not UTF-8 without zero characters");
  *to = '\0';
  reader->text = to + 1;
  return status_ok();
}

/* ---- Entries ---- */

static Status take_dtype(Reader *reader, NamedTensor *named) {
  char *before = reader->text, quoted[NAME_ROOM];
  const char *text;
  TRY(take_string(reader, &text, "before the name of a dtype"));
  named->tensor.dtype = dtype_find(text);
  if (named->tensor.dtype == DTYPE_COUNT)
    return malformed(reader, "the dtype %s is not known", name_print(text, quoted));
  reader->text = before;
  return status_ok();
}

static Status take_shape(Reader *reader, NamedTensor *named) {
  named->shape = reader->sizes;
  TRY(require(reader, '[', "before the shape"));
  while (!take(reader, ']')) {
    if (named->rank > 0)
      TRY(require(reader, ',', "between sizes"));
    TRY(take_size(reader, reader->sizes++));
    named->rank++;
  }
  return status_ok();
}

static Status take_offsets(Reader *reader, Range *range) {
  TRY(require(reader, '[', "before data_offsets"));
  TRY(take_size(reader, &range->begin));
  TRY(require(reader, ',', "between two offsets"));
  TRY(take_size(reader, &range->end));
  TRY(require(reader, ']', "after two offsets"));
  if (range->begin > range->end)
    return malformed(reader, "data_offsets run backwards, from %zu to %zu", range->begin, range->end);
  return status_ok();
}

/* One key of an entry with its value; `seen` gathers which keys were there, a bit each. */
static Status take_field(Reader *reader, Range *range, unsigned *seen) {
  static const char *const keys[] = {"dtype", "shape", "data_offsets"};
  char *before = reader->text, quoted[NAME_ROOM];
  const char *key;
  unsigned which = 0;
  TRY(take_string(reader, &key, "before the key of an entry"));
  while (which < 3 && strcmp(key, keys[which]) != 0)
    which++;
  if (which == 3)
    return malformed(reader, "the key %s is not dtype, shape or data_offsets", name_print(key, quoted));
  if (*seen & 1u << which)
    return malformed(reader, "%s is there twice", keys[which]);
  *seen |= 1u << which;
  reader->text = before;
  TRY(require(reader, ':', "after a key"));
  return which == 0   ? take_dtype(reader, range->named)
         : which == 1 ? take_shape(reader, range->named)
                      : take_offsets(reader, range);
}

static Status take_tensor(Reader *reader, const char *name) {
  TensorFile *file = reader->file;
  Range *range = &reader->ranges[file->count];
  NamedTensor *named = range->named = &file->tensors[file->count++];
  unsigned seen = 0;
  char quoted[NAME_ROOM];
  named->name = name;
  TRY(require(reader, '{', "before an entry"));
  do
    TRY(take_field(reader, range, &seen));
  while (take(reader, ','));
  TRY(require(reader, '}', "after an entry"));
  if (seen != 7)
    return malformed(reader, "the tensor %s lacks dtype, shape or data_offsets", name_print(name, quoted));
  return named_make(named, file->path, NULL, named->tensor.dtype, named->rank, named->shape);
}

static int by_key(const void *x, const void *y) {
  return strcmp(((const TextPair *)x)->key, ((const TextPair *)y)->key);
}

/* __metadata__: any number of strings by name. */
static Status take_metadata(Reader *reader) {
  TensorFile *file = reader->file;
  char quoted[NAME_ROOM];
  if (reader->metadata_seen)
    return malformed(reader, "__metadata__ is there twice");
  reader->metadata_seen = true;
  TRY(require(reader, '{', "before the metadata"));
  while (!take(reader, '}')) {
    if (file->metadata_count > 0)
      TRY(require(reader, ',', "between metadata"));
    TextPair *pair = &file->metadata[file->metadata_count++];
    TRY(take_string(reader, &pair->key, "before a key of the metadata"));
    TRY(require(reader, ':', "after a key"));
    TRY(take_string(reader, &pair->value, "before a value of the metadata, which are all strings"));
  }
  if (file->metadata_count > 0)
    qsort(file->metadata, file->metadata_count, sizeof *file->metadata, by_key);
  for (size_t i = 1; i < file->metadata_count; i++)
    if (by_key(&file->metadata[i - 1], &file->metadata[i]) == 0)
      return malformed(reader, "the metadata have %s twice", name_print(file->metadata[i].key, quoted));
  return status_ok();
}

static Status take_header(Reader *reader) {
  const char *name;
  if (reader->at == reader->end || *reader->at != '{')
    return malformed(reader, "a safetensors header starts with {");
  reader->at++;
  if (!take(reader, '}')) {
    do {
      TRY(take_string(reader, &name, "before the name of a tensor"));
      TRY(require(reader, ':', "after a name"));
      TRY(strcmp(name, "__metadata__") == 0 ? take_metadata(reader) : take_tensor(reader, name));
    } while (take(reader, ','));
    TRY(require(reader, '}', "at the header's end"));
  }
  skip_blanks(reader);
  return reader->at == reader->end ? status_ok() : malformed(reader, "there is something after the header");
}

/* ---- The data ---- */

static int by_place(const void *x, const void *y) {
  const Range *a = x, *b = y;
  if (a->begin != b->begin)
    return a->begin < b->begin ? -1 : 1;
  return a->end < b->end ? -1 : a->end > b->end;
}

/* The tensors, in the order of their data, follow on each other and fill the data; then they are views into it. */
static Status place_tensors(TensorFile *file, Range *ranges, const unsigned char *data, size_t size) {
  char name[NAME_ROOM], text[NAME_ROOM];
  size_t reached = 0;
  if (file->count > 0)
    qsort(ranges, file->count, sizeof *ranges, by_place);
  for (size_t i = 0; i < file->count; i++) {
    const Range *range = &ranges[i];
    NamedTensor *named = range->named;
    if (range->begin != reached)
      return status_error(STATUS_INPUT, "%s: the tensor %s starts at byte %zu of the data, not at %zu: tensors %s",
                          file->path, name_print(named->name, name), range->begin, reached,
                          range->begin > reached ? "must not leave holes" : "must not overlap");
    if (range->end - range->begin != tensor_bytes(named->tensor))
      return status_error(STATUS_INPUT, "%s: the tensor %s, %s, takes %zu bytes, and its data_offsets give it %zu",
                          file->path, name_print(named->name, name), named_print(named, text),
                          tensor_bytes(named->tensor), range->end - range->begin);
    if (range->end > size)
      return status_error(STATUS_INPUT, "%s: truncated: the tensor %s ends at byte %zu of the data, which have %zu",
                          file->path, name_print(named->name, name), range->end, size);
    named->tensor.data = (void *)(data + range->begin);
    reached = range->end;
  }
  if (reached != size)
    return status_error(STATUS_INPUT, "%s: the tensors end at byte %zu of the data, which have %zu", file->path,
                        reached, size);
  return status_ok();
}

/* ---- The file ---- */

/* Room for all that the header may announce. */
static Status make_room(Reader *reader, const char *path) {
  TensorFile *file = reader->file;
  size_t entries = 0, sizes = 0, pairs = 0, letters = (size_t)(reader->end - reader->at) + 1;
  for (const unsigned char *c = reader->at; c < reader->end; c++) {
    entries += *c == '{';
    sizes += *c == ',' || *c == '[';
    pairs += *c == ':';
  }
  TRY(arena_alloc(&file->memory,
                  arena_size(strlen(path) + 1, 1) + arena_size(letters, 1) +
                      arena_size(entries, sizeof *file->tensors) + arena_size(entries, sizeof *reader->ranges) +
                      arena_size(sizes + 1, sizeof *reader->sizes) + arena_size(pairs, sizeof *file->metadata)));
  file->path = strcpy(arena_carve(&file->memory, strlen(path) + 1, 1), path);
  reader->text = arena_carve(&file->memory, letters, 1);
  file->tensors = arena_carve(&file->memory, entries, sizeof *file->tensors);
  reader->ranges = arena_carve(&file->memory, entries, sizeof *reader->ranges);
  reader->sizes = arena_carve(&file->memory, sizes + 1, sizeof *reader->sizes);
  file->metadata = arena_carve(&file->memory, pairs, sizeof *file->metadata);
  return status_ok();
}

static Status parse(TensorFile *file, const char *path, const unsigned char *bytes, size_t size) {
  uint64_t length = 0;
  if (size < LENGTH_BYTES)
    return status_error(STATUS_INPUT, "%s: truncated: a safetensors file starts with 8 bytes, %zu are there", path,
                        size);
  memcpy(&length, bytes, LENGTH_BYTES);
  if (length > SAFETENSORS_LARGEST_HEADER)
    return status_error(STATUS_INPUT,
                        "%s: not a safetensors file: its header would have %ju bytes, more than the %d allowed", path,
                        (uintmax_t)length, SAFETENSORS_LARGEST_HEADER);
  if (length > size - LENGTH_BYTES)
    return status_error(STATUS_INPUT, "%s: truncated in the header: it has %ju bytes, %zu are there", path,
                        (uintmax_t)length, size - LENGTH_BYTES);
  const unsigned char *data = bytes + LENGTH_BYTES + length;
  Reader reader = {.file = file, .start = bytes, .at = bytes + LENGTH_BYTES, .end = data};
  TRY(make_room(&reader, path));
  TRY(take_header(&reader));
  TRY(place_tensors(file, reader.ranges, data, (size_t)(bytes + size - data)));
  TRY(tensor_file_settle(file, NULL, size));
  return named_sort(file->tensors, file->count, path);
}

Status safetensors_parse(TensorFile *file, const char *path, const unsigned char *bytes, size_t size) {
  *file = (TensorFile){0};
  Status status = parse(file, path, bytes, size);
  if (status.code != STATUS_OK)
    tensor_file_close(file);
  return status;
}

Status safetensors_open(TensorFile *file, const char *path) {
  return tensor_file_map(file, path, safetensors_parse);
}
