/* safetensors_write.c: the header and the numbers, tensor by tensor, as the safetensors library orders them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "safetensors.h"

/* The library's enumeration of dtypes, by rising alignment: the order of the file is the reverse. */
static const int alignment_order[DTYPE_COUNT] = {
    [DTYPE_BOOL] = 0,         [DTYPE_F4] = 1,      [DTYPE_F6_E2M3] = 2, [DTYPE_F6_E3M2] = 3, [DTYPE_U8] = 4,
    [DTYPE_I8] = 5,           [DTYPE_F8_E5M2] = 6, [DTYPE_F8_E4M3] = 7, [DTYPE_F8_E8M0] = 8, [DTYPE_F8_E4M3FNUZ] = 9,
    [DTYPE_F8_E5M2FNUZ] = 10, [DTYPE_I16] = 11,    [DTYPE_U16] = 12,    [DTYPE_F16] = 13,    [DTYPE_BF16] = 14,
    [DTYPE_I32] = 15,         [DTYPE_U32] = 16,    [DTYPE_F32] = 17,    [DTYPE_C64] = 18,    [DTYPE_F64] = 19,
    [DTYPE_I64] = 20,         [DTYPE_U64] = 21,
};

static int by_alignment_then_name(const void *x, const void *y) {
  const NamedTensor *a = x, *b = y;
  int order = alignment_order[b->tensor.dtype] - alignment_order[a->tensor.dtype];
  return order != 0 ? order : strcmp(a->name, b->name);
}

/* ---- The header ---- */

static void write_string(FILE *stream, const char *text) {
  static const char names[] = "\"\\bfnrt", values[] = "\"\\\b\f\n\r\t";
  fputc('"', stream);
  for (const char *c = text; *c != '\0'; c++) {
    const char *value = strchr(values, *c);
    if (value != NULL)
      fprintf(stream, "\\%c", names[value - values]);
    else if ((unsigned char)*c < ' ')
      fprintf(stream, "\\u%04x", (unsigned char)*c);
    else
      fputc(*c, stream);
  }
  fputc('"', stream);
}

static void write_metadata(FILE *stream, const TextPair *metadata, size_t count) {
  fputs("{\"__metadata__\":{", stream);
  for (size_t i = 0; i < count; i++) {
    REQUIRE(name_valid(metadata[i].key, strlen(metadata[i].key)), "key %zu of the metadata is not UTF-8", i);
    REQUIRE(name_valid(metadata[i].value, strlen(metadata[i].value)), "value %zu of the metadata is not UTF-8", i);
    fputs(i > 0 ? "," : "", stream);
    write_string(stream, metadata[i].key);
    fputc(':', stream);
    write_string(stream, metadata[i].value);
  }
  fputc('}', stream);
}

/* The entry of a tensor that starts at byte `begin` of the data; returns where it ends. */
static size_t write_entry(FILE *stream, const NamedTensor *named, size_t begin) {
  size_t bytes = tensor_bytes(named->tensor), end;
  REQUIRE(!__builtin_add_overflow(begin, bytes, &end), "the tensors have more bytes than memory has addresses");
  fputc(',', stream);
  write_string(stream, named->name);
  fprintf(stream, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(named->tensor.dtype));
  for (size_t i = 0; i < named->rank; i++)
    fprintf(stream, "%s%zu", i > 0 ? "," : "", named_size(named, i));
  fprintf(stream, "],\"data_offsets\":[%zu,%zu]}", begin, end);
  return end;
}

/* The header as one string, padded with blanks so that the data start at a multiple of 8; NULL when memory is out. */
static char *make_header(const NamedTensor *tensors, size_t count, const TextPair *metadata, size_t metadata_count,
                         size_t *length) {
  char *text = NULL;
  size_t begin = 0;
  FILE *stream = open_memstream(&text, length);
  if (stream == NULL)
    return NULL;
  write_metadata(stream, metadata, metadata_count);
  for (size_t i = 0; i < count; i++)
    begin = write_entry(stream, &tensors[i], begin);
  fputc('}', stream);
  fflush(stream);
  while (*length % 8 != 0 && !ferror(stream)) {
    fputc(' ', stream);
    fflush(stream);
  }
  bool whole = !ferror(stream);
  if (fclose(stream) != 0 || !whole) {
    free(text);
    return NULL;
  }
  return text;
}

/* ---- The data ---- */

static Status write_numbers(FILE *stream, const NamedTensor *named, const SafetensorsSource *source) {
  Tensor tensor = named->tensor;
  size_t bytes = tensor_bytes(tensor);
  const void *data = tensor.data;
  if (bytes == 0)
    return status_ok();
  if (data == NULL)
    TRY(source->fetch(source->context, named, &data));
  if (tensor.data == NULL || tensor_contiguous(tensor)) {
    fwrite(data, 1, bytes, stream);
    return status_ok();
  }
  for (size_t row = 0; row < tensor.size[0]; row++)
    fwrite(tensor_rows(tensor, row, 1).data, 1, bytes / tensor.size[0], stream);
  return status_ok();
}

static Status write_file(FILE *stream, const NamedTensor *tensors, size_t count, const char *header, size_t length,
                         const SafetensorsSource *source) {
  uint64_t length_bytes = length;
  fwrite(&length_bytes, sizeof length_bytes, 1, stream);
  fwrite(header, 1, length, stream);
  for (size_t i = 0; i < count; i++)
    TRY(write_numbers(stream, &tensors[i], source));
  return status_ok();
}

/* ---- The whole ---- */

/* What would make a file that cannot be read back. */
static void require_sound(const NamedTensor *tensors, size_t count, const SafetensorsSource *source) {
  for (size_t i = 0; i < count; i++) {
    const NamedTensor *named = &tensors[i];
    size_t numbers = 1;
    for (size_t k = 0; k < named->rank; k++)
      numbers *= named_size(named, k);
    REQUIRE(name_valid(named->name, strlen(named->name)), "the name of tensor %zu is not UTF-8", i);
    REQUIRE(strcmp(named->name, "__metadata__") != 0, "no tensor can have the name __metadata__");
    REQUIRE(tensor_bytes(named->tensor) < SIZE_MAX && numbers == tensor_count(named->tensor),
            "the shape of %s has %zu numbers, the tensor %zu", named->name, numbers, tensor_count(named->tensor));
    REQUIRE(numbers % 8 * dtype_bits(named->tensor.dtype) % 8 == 0, "%s ends within a byte", named->name);
    REQUIRE(named->tensor.data != NULL || source != NULL || numbers == 0, "the tensor %s has no data", named->name);
  }
}

static void require_distinct(const NamedTensor *tensors, size_t count) {
  Status status = named_sort((NamedTensor *)tensors, count, "");
  REQUIRE(status.code == STATUS_OK, "two tensors have the same name%s", status.message);
}

static Status write_sorted(const char *path, const NamedTensor *tensors, size_t count, const TextPair *metadata,
                           size_t metadata_count, const SafetensorsSource *source) {
  OutputFile file;
  size_t length;
  char *header = make_header(tensors, count, metadata, metadata_count, &length);
  if (header == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for the header of %s", path);
  if (length > SAFETENSORS_LARGEST_HEADER) {
    free(header);
    return status_error(STATUS_OUTPUT, "cannot write %s: its header would have %zu bytes, more than the %d allowed",
                        path, length, SAFETENSORS_LARGEST_HEADER);
  }
  Status status = output_open(&file, path);
  if (status.code == STATUS_OK) {
    status = write_file(file.stream, tensors, count, header, length, source);
    if (status.code == STATUS_OK)
      status = output_commit(&file);
    else
      output_abort(&file);
  }
  free(header);
  return status;
}

Status safetensors_write(const char *path, const NamedTensor *tensors, size_t count, const TextPair *metadata,
                         size_t metadata_count, const SafetensorsSource *source) {
  static const TextPair format = {"format", "pt"};
  NamedTensor *sorted = malloc((count > 0 ? count : 1) * sizeof *sorted);
  if (sorted == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to write the %zu tensors of %s", count, path);
  if (count > 0)
    memcpy(sorted, tensors, count * sizeof *sorted);
  require_sound(sorted, count, source);
  require_distinct(sorted, count);
  if (count > 0)
    qsort(sorted, count, sizeof *sorted, by_alignment_then_name);
  Status status = write_sorted(path, sorted, count, metadata != NULL ? metadata : &format,
                               metadata != NULL ? metadata_count : 1, source);
  free(sorted);
  return status;
}
