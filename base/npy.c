/* npy.c: the .npy format, read with suspicion and written plainly.
 *
 * A file is the magic "\x93NUMPY", two version bytes, the header's length (2 bytes in version 1, 4 after it, little
 * endian), the header, the elements. The header is a Python dictionary with exactly the keys descr, fortran_order and
 * shape; a cursor reads it without ever passing its end. */
#include "npy.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "number.h"

enum { MAGIC_SIZE = 6, LARGEST_DESCR = 32 };
static const char MAGIC[] = "\x93NUMPY";

typedef struct Header {
  char order, kind; /* '<', '>' or '|'; 'f', 'i' or 'u' */
  size_t item;      /* bytes an element takes */
  bool fortran;
} Header;

/* The place in the header that is read next. */
typedef struct Cursor {
  const char *name; /* of the file */
  const unsigned char *at, *end;
} Cursor;

__attribute__((format(printf, 2, 3))) static Status malformed(const char *name, const char *format, ...) {
  char what[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s: %s", name, what);
}

/* ---- The header's dictionary ---- */

static void skip_blanks(Cursor *cursor) {
  while (cursor->at < cursor->end && *cursor->at != '\0' && strchr(" \t\r\n", *cursor->at) != NULL)
    cursor->at++;
}

/* Take the character if it is next, after blanks. */
static bool take(Cursor *cursor, char expected) {
  skip_blanks(cursor);
  if (cursor->at == cursor->end || *cursor->at != (unsigned char)expected)
    return false;
  cursor->at++;
  return true;
}

static bool take_word(Cursor *cursor, const char *word) {
  size_t length = strlen(word);
  skip_blanks(cursor);
  if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
    return false;
  cursor->at += length;
  return true;
}

/* A string in single or double quotes, without escapes. */
static bool take_string(Cursor *cursor, char text[LARGEST_DESCR]) {
  char quote = take(cursor, '\'') ? '\'' : '"';
  if (quote == '"' && !take(cursor, '"'))
    return false;
  const unsigned char *close = memchr(cursor->at, quote, (size_t)(cursor->end - cursor->at));
  size_t length = close == NULL ? LARGEST_DESCR : (size_t)(close - cursor->at);
  if (length >= LARGEST_DESCR || memchr(cursor->at, '\\', length) != NULL || memchr(cursor->at, '\0', length) != NULL)
    return false;
  memcpy(text, cursor->at, length);
  text[length] = '\0';
  cursor->at = close + 1;
  return true;
}

static bool take_size(Cursor *cursor, size_t *size) {
  skip_blanks(cursor);
  const unsigned char *start = cursor->at;
  for (*size = 0; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++)
    if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, (size_t)(*cursor->at - '0'), size))
      return false;
  return cursor->at > start;
}

static Status read_descr(Cursor *cursor, Header *header) {
  char text[LARGEST_DESCR], quoted[QUOTE_ROOM];
  if (!take_string(cursor, text))
    return malformed(cursor->name, "descr must be a plain dtype such as '<f8'; structured arrays are not read");
  size_t length = strlen(text);
  header->order = text[0];
  header->kind = length == 3 ? text[1] : '?';
  header->item = length == 3 && text[2] >= '0' && text[2] <= '9' ? (size_t)(text[2] - '0') : 0;
  bool known_size =
      header->item == 4 || header->item == 8 || (header->kind != 'f' && (header->item == 1 || header->item == 2));
  if (length != 3 || strchr("fiu", header->kind) == NULL || !known_size)
    return malformed(cursor->name, "the dtype must be one of f4 f8 i1 i2 i4 i8 u1 u2 u4 u8, not '%s'",
                     quote_printable(text, length, quoted));
  if (header->order != '<' && header->order != '>' && !(header->order == '|' && header->item == 1))
    return malformed(cursor->name, "the dtype must start with < or > to tell the order of bytes, not '%s'",
                     quote_printable(text, length, quoted));
  return status_ok();
}

/* A tuple of sizes: (), (3,), (3, 4), (3, 4,); but (3) is a number in Python. */
static Status read_shape(Cursor *cursor, NpyArray *array) {
  bool comma = true;
  if (!take(cursor, '('))
    return malformed(cursor->name, "the shape must be a tuple");
  for (array->rank = 0; !take(cursor, ')'); array->rank++) {
    if (!comma)
      return malformed(cursor->name, "the shape is not a tuple of sizes");
    if (array->rank == NPY_MAX_RANK)
      return malformed(cursor->name, "the array has more than %d dimensions", NPY_MAX_RANK);
    if (!take_size(cursor, &array->shape[array->rank]))
      return malformed(cursor->name, "the shape's entry %zu is not a size", array->rank);
    comma = take(cursor, ',');
  }
  if (array->rank == 1 && !comma)
    return malformed(cursor->name, "the shape must be a tuple: (%zu,)", array->shape[0]);
  return status_ok();
}

static Status read_order(Cursor *cursor, Header *header) {
  header->fortran = take_word(cursor, "True");
  if (!header->fortran && !take_word(cursor, "False"))
    return malformed(cursor->name, "fortran_order must be True or False");
  return status_ok();
}

/* One key with its value. `seen` gathers which keys were there, a bit each. */
static Status read_entry(Cursor *cursor, Header *header, NpyArray *array, unsigned *seen) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  char key[LARGEST_DESCR], quoted[QUOTE_ROOM];
  unsigned which = 0;
  if (!take_string(cursor, key) || !take(cursor, ':'))
    return malformed(cursor->name, "the header is not a dictionary of descr, fortran_order and shape");
  while (which < 3 && strcmp(key, keys[which]) != 0)
    which++;
  if (which == 3)
    return malformed(cursor->name, "the header has the unknown key '%s'", quote_printable(key, strlen(key), quoted));
  if (*seen & 1u << which)
    return malformed(cursor->name, "the header has %s twice", key);
  *seen |= 1u << which;
  return which == 0 ? read_descr(cursor, header) : which == 1 ? read_order(cursor, header) : read_shape(cursor, array);
}

static Status read_dictionary(Cursor *cursor, Header *header, NpyArray *array) {
  unsigned seen = 0;
  bool comma = true;
  if (!take(cursor, '{'))
    return malformed(cursor->name, "the header is not a dictionary");
  while (!take(cursor, '}')) {
    if (!comma)
      return malformed(cursor->name, "the header's entries are not set apart by commas, or it is cut off");
    TRY(read_entry(cursor, header, array, &seen));
    comma = take(cursor, ',');
  }
  if (seen != 7)
    return malformed(cursor->name, "the header lacks %s",
                     !(seen & 1)   ? "descr"
                     : !(seen & 2) ? "fortran_order"
                                   : "shape");
  skip_blanks(cursor);
  if (cursor->at != cursor->end)
    return malformed(cursor->name, "there is something after the header's dictionary");
  return status_ok();
}

/* The magic, the version, the length and the dictionary; cursor->end is where the elements start. */
static Status read_header(Cursor *cursor, Header *header, NpyArray *array) {
  const unsigned char *bytes = cursor->at;
  size_t size = (size_t)(cursor->end - cursor->at), start, length;
  if (size < MAGIC_SIZE || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
    return malformed(cursor->name, "not a .npy file: it does not start with \\x93NUMPY");
  if (size < MAGIC_SIZE + 2)
    return malformed(cursor->name, "truncated in the header");
  if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
    return malformed(cursor->name, "version %d.%d of the format is not known; 1.0 to 3.0 are", bytes[6], bytes[7]);
  start = bytes[6] == 1 ? 10 : 12;
  if (size < start)
    return malformed(cursor->name, "truncated in the header");
  length = bytes[8] | (size_t)bytes[9] << 8;
  if (bytes[6] > 1)
    length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (length > size - start)
    return malformed(cursor->name, "truncated in the header: it has %zu bytes, %zu are there", length, size - start);
  cursor->at = bytes + start;
  cursor->end = cursor->at + length;
  return read_dictionary(cursor, header, array);
}

/* ---- The elements ---- */

/* The product of the shape; false when it does not fit, even if a later size is zero. */
static bool shape_count(size_t rank, const size_t *shape, size_t *count) {
  *count = 1;
  for (size_t i = 0; i < rank; i++)
    if (__builtin_mul_overflow(*count, shape[i], count))
      return false;
  return *count <= SIZE_MAX / sizeof(double);
}

/* The element's bytes as one number, whatever their order. */
static uint64_t element_bits(const unsigned char *bytes, const Header *header) {
  uint64_t bits = 0;
  for (size_t i = 0; i < header->item; i++)
    bits |= (uint64_t)bytes[header->order == '>' ? header->item - 1 - i : i] << 8 * i;
  return bits;
}

/* The element as a double. An integer of more than 53 bits that would be rounded comes out as NaN. */
static double element_value(const unsigned char *bytes, const Header *header) {
  uint64_t bits = element_bits(bytes, header);
  double real;
  float narrow;
  if (header->kind == 'f' && header->item == 8) {
    memcpy(&real, &bits, sizeof real);
    return real;
  }
  if (header->kind == 'f') {
    uint32_t low = (uint32_t)bits;
    memcpy(&narrow, &low, sizeof narrow);
    return narrow;
  }
  uint64_t sign = header->kind == 'i' ? (uint64_t)1 << (8 * header->item - 1) : 0;
  bool negative = (bits & sign) != 0;
  uint64_t size =
      negative ? (sign << 1) - bits : bits; /* two's complement; for 8 bytes the shift leaves 0, as it should */
  if (!number_exact(size))
    return NAN;
  return negative ? -(double)size : (double)size;
}

/* The sentence for an element that is no finite double, with its index in the array. */
static Status bad_element(const char *name, const NpyArray *array, const Header *header, const size_t *index) {
  char where[NPY_MAX_RANK * 22 + 8] = "";
  size_t used = 0;
  for (size_t i = 0; i < array->rank; i++)
    used += (size_t)snprintf(where + used, sizeof where - used, "%s%zu", i > 0 ? ", " : "", index[i]);
  return malformed(name, "element (%s) %s", where,
                   header->kind == 'f' ? "is NaN or infinite" : "is an integer that a double cannot hold exactly");
}

/* Fill array->data in row-major order; `index` counts through the array with the last dimension fastest. */
static Status read_elements(const char *name, const unsigned char *bytes, const Header *header, NpyArray *array) {
  size_t index[NPY_MAX_RANK] = {0}, stride[NPY_MAX_RANK], step = 1, from = 0; /* strides in elements of the file */
  for (size_t k = 0; k < array->rank; k++) {
    size_t i = header->fortran ? k : array->rank - 1 - k;
    stride[i] = step;
    step *= array->shape[i];
  }
  for (size_t to = 0; to < array->count; to++) {
    array->data[to] = element_value(bytes + from * header->item, header);
    if (!isfinite(array->data[to]))
      return bad_element(name, array, header, index);
    for (size_t i = array->rank; i-- > 0;) {
      from += stride[i];
      if (++index[i] < array->shape[i])
        break;
      from -= stride[i] * array->shape[i];
      index[i] = 0;
    }
  }
  return status_ok();
}

static Status parse(const char *name, const unsigned char *bytes, size_t size, NpyArray *array) {
  Header header = {0};
  Cursor cursor = {name, bytes, bytes + size};
  TRY(read_header(&cursor, &header, array));
  if (!shape_count(array->rank, array->shape, &array->count))
    return malformed(name, "the shape has more elements than memory has addresses");
  size_t there = (size_t)(bytes + size - cursor.end);
  if (array->count > there / header.item)
    return malformed(name, "truncated: %zu elements of %zu bytes are announced, %zu bytes are there", array->count,
                     header.item, there);
  if (array->count * header.item != there)
    return malformed(name, "longer than its header says: %zu elements of %zu bytes are announced, %zu bytes are there",
                     array->count, header.item, there);
  array->data = malloc((array->count > 0 ? array->count : 1) * sizeof *array->data);
  if (array->data == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu elements of %s", array->count, name);
  return read_elements(name, cursor.end, &header, array);
}

Status npy_parse(const char *name, const unsigned char *bytes, size_t size, NpyArray *array) {
  *array = (NpyArray){0};
  Status status = parse(name, bytes, size, array);
  if (status.code != STATUS_OK)
    npy_free(array);
  return status;
}

Status npy_read(const char *path, NpyArray *array) {
  unsigned char *bytes;
  size_t size;
  *array = (NpyArray){0};
  TRY(file_read(path, SIZE_MAX / 2, &bytes, &size));
  Status status = npy_parse(path, bytes, size, array);
  free(bytes);
  return status;
}

/* The header, padded with blanks so that the elements start at a multiple of 64, as NumPy does. */
static void write_header(FILE *stream, size_t rank, const size_t *shape) {
  const unsigned one = 1;
  char order = *(const unsigned char *)&one == 1 ? '<' : '>', sizes[NPY_MAX_RANK * 22 + 1] = "", text[384];
  size_t used = 0;
  for (size_t i = 0; i < rank; i++)
    used += (size_t)snprintf(sizes + used, sizeof sizes - used, "%zu%s", shape[i],
                             i + 1 < rank ? ", "
                             : rank == 1  ? ","
                                          : "");
  int length = snprintf(text, sizeof text, "{'descr': '%cf8', 'fortran_order': False, 'shape': (%s), }", order, sizes);
  int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
  fprintf(stream, "%s%c%c%c%c%-*s\n", MAGIC, 1, 0, padded & 255, padded >> 8, padded - 1, text);
}

Status npy_write(const char *path, const double *data, size_t rank, const size_t *shape) {
  OutputFile file;
  size_t count;
  REQUIRE(rank <= NPY_MAX_RANK, "an array of %zu dimensions, at most %d are written", rank, NPY_MAX_RANK);
  REQUIRE(shape_count(rank, shape, &count), "the shape overflows");
  TRY(output_open(&file, path));
  write_header(file.stream, rank, shape);
  if (count > 0) /* `data` may be NULL otherwise */
    fwrite(data, sizeof *data, count, file.stream);
  return output_commit(&file);
}

void npy_free(NpyArray *array) {
  free(array->data);
  *array = (NpyArray){0};
}
