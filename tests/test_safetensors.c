/* test_safetensors.c: files that the safetensors library wrote (fixtures/weights/make.py), written back byte for byte,
 * and files made by hand. */
#include "safetensors.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>

#include "scratch.h"

TestSuite(safetensors, .init = scratch_make, .fini = scratch_remove);

static const char *fixture(const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/weights/%s", SEESAW_FIXTURES, name);
  return path;
}

static void open_fixture(TensorFile *file, const char *name) {
  Status status = safetensors_open(file, fixture(name));
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
}

static const NamedTensor *find(const TensorFile *file, const char *name) {
  const NamedTensor *named = tensor_file_find(file, name);
  cr_assert_not_null(named, "there is no %s", name);
  return named;
}

static bool aligned(const NamedTensor *named) {
  size_t bytes = dtype_bits(named->tensor.dtype) / 8;
  return (uintptr_t)named->tensor.data % (bytes > 0 ? bytes : 1) == 0;
}

/* ---- What the library wrote ---- */

Test(safetensors, every_dtype_is_read) {
  static const struct {
    Dtype dtype;
    size_t columns;
  } expected[] = {{DTYPE_BOOL, 3},        {DTYPE_F4, 6},      {DTYPE_U8, 3},      {DTYPE_I8, 3},
                  {DTYPE_F8_E5M2, 3},     {DTYPE_F8_E4M3, 3}, {DTYPE_F8_E8M0, 3}, {DTYPE_F8_E4M3FNUZ, 3},
                  {DTYPE_F8_E5M2FNUZ, 3}, {DTYPE_I16, 3},     {DTYPE_U16, 3},     {DTYPE_F16, 3},
                  {DTYPE_BF16, 3},        {DTYPE_I32, 3},     {DTYPE_U32, 3},     {DTYPE_F32, 3},
                  {DTYPE_C64, 3},         {DTYPE_F64, 3},     {DTYPE_I64, 3},     {DTYPE_U64, 3}};
  TensorFile file;
  open_fixture(&file, "every_dtype.safetensors");
  cr_assert_eq(file.count, sizeof expected / sizeof expected[0]);
  for (size_t t = 0; t < file.count; t++) {
    char name[32];
    snprintf(name, sizeof name, "t%02zu", t);
    const NamedTensor *named = find(&file, name);
    cr_expect_eq(named->tensor.dtype, expected[t].dtype, "%s is %s", name, dtype_name(named->tensor.dtype));
    cr_expect(named->rank == 2 && named->tensor.rank == 2 && named->tensor.size[0] == 2 &&
              named->tensor.size[1] == expected[t].columns && aligned(named));
    for (size_t j = 0; j < tensor_bytes(named->tensor); j++)
      cr_expect_eq(((const unsigned char *)named->tensor.data)[j], (16 * t + j) % 256, "%s byte %zu", name, j);
  }
  cr_expect_str_eq(tensor_file_metadata(&file, "format"), "pt");
  cr_expect_null(tensor_file_metadata(&file, "color"));
  cr_expect_null(tensor_file_find(&file, "t20"));
  cr_expect_eq(file.copies.capacity, 0, "views, not copies");
  tensor_file_close(&file);
  cr_expect_null(file.mapped.bytes);
}

static void expect_ramp(const NamedTensor *named, double first) {
  for (size_t k = 0; k < tensor_count(named->tensor); k++)
    cr_expect_eq(tensor_get(named->tensor, k), (double)k + first, "%s element %zu", named->name, k);
}

Test(safetensors, every_rank_is_read_and_higher_ones_are_flattened) {
  static const char *const names[] = {"scalar", "one", "two", "three", "four", "five", "six"};
  static const size_t sizes[] = {2, 3, 1, 2, 1, 2};
  TensorFile file;
  char text[NAME_ROOM];
  open_fixture(&file, "ranks.safetensors");
  cr_expect_eq(file.count, 11);
  for (size_t rank = 0; rank <= 6; rank++) {
    const NamedTensor *named = find(&file, names[rank]);
    cr_expect_eq(named->rank, rank);
    for (size_t i = 0; i < rank; i++)
      cr_expect_eq(named_size(named, i), sizes[i]);
    cr_expect_eq((size_t)named->tensor.rank, rank <= TENSOR_RANK ? rank : 1);
    expect_ramp(named, -3);
  }
  cr_expect_str_eq(named_print(find(&file, "five"), text), "F32 (2, 3, 1, 2, 1)");
  cr_expect_eq(find(&file, "five")->tensor.size[0], 12);
  tensor_file_close(&file);
}

Test(safetensors, empty_tensors_and_odd_names_are_read) {
  TensorFile file;
  open_fixture(&file, "ranks.safetensors");
  cr_expect_eq(tensor_count(find(&file, "none")->tensor), 0);
  const NamedTensor *between = find(&file, "none between");
  cr_expect(between->tensor.rank == 3 && between->tensor.size[2] == 2 && tensor_count(between->tensor) == 0);
  cr_expect(between->tensor.data != NULL && aligned(between));
  expect_ramp(find(&file, "odd \"name\" \\ \n\t\x01/\u00e9\u20ac\U0001f600"), 1);
  cr_expect_eq(find(&file, "")->tensor.dtype, DTYPE_BOOL);
  for (size_t i = 1; i < file.count; i++)
    cr_expect_lt(strcmp(file.tensors[i - 1].name, file.tensors[i].name), 0);
  tensor_file_close(&file);
}

static void expect_same_bytes(const char *path, const char *other) {
  static char ours[8192], theirs[8192];
  memset(ours, 0, sizeof ours);
  memset(theirs, 0, sizeof theirs);
  scratch_read(path, ours, sizeof ours);
  scratch_read(other, theirs, sizeof theirs);
  cr_expect_arr_eq(ours, theirs, sizeof ours, "%s", other);
}

Test(safetensors, our_files_are_byte_for_byte_those_of_the_library) {
  static const char *const names[] = {"every_dtype.safetensors", "ranks.safetensors",
                                      "sharded/model-00001-of-00002.safetensors",
                                      "sharded/model-00002-of-00002.safetensors"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    TensorFile file;
    open_fixture(&file, names[i]);
    Status status = safetensors_write(scratch_path("w"), file.tensors, file.count, NULL, 0, NULL);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    tensor_file_close(&file);
    expect_same_bytes(scratch_path("w"), fixture(names[i]));
  }
}

/* ---- Headers made by hand ---- */

/* A file of the header and so many bytes of data, 0, 1, 2, ..., in a block of exactly its size, which lies `shift`
 * bytes off a multiple of 64. */
static unsigned char *block;

static Status parse_shifted(const char *header, size_t length, size_t data, size_t shift, TensorFile *file) {
  size_t size = 8 + length + data;
  free(block);
  block = malloc(size + shift + 64);
  cr_assert_not_null(block);
  uint64_t announced = length;
  unsigned char *bytes = block + (64 - (uintptr_t)block % 64) % 64 + shift;
  memcpy(bytes, &announced, 8);
  memcpy(bytes + 8, header, length);
  for (size_t i = 0; i < data; i++)
    bytes[8 + length + i] = (unsigned char)i;
  return safetensors_parse(file, "made", bytes, size);
}

static Status parse_header(const char *header, size_t data, TensorFile *file) {
  size_t length = strlen(header), size = 8 + length + data;
  uint64_t announced = length;
  free(block);
  block = malloc(size); /* exactly, so that a sanitizer sees a read beyond */
  cr_assert_not_null(block);
  memcpy(block, &announced, 8);
  memcpy(block + 8, header, length);
  for (size_t i = 0; i < data; i++)
    block[8 + length + i] = (unsigned char)i;
  return safetensors_parse(file, "made", block, size);
}

static void expect_refused(const char *header, size_t data, const char *part) {
  TensorFile file;
  Status status = parse_header(header, data, &file);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", header);
  if (status.code == STATUS_OK) {
    tensor_file_close(&file);
    return;
  }
  expect_contains(status.message, "made: ");
  cr_expect(strstr(status.message, part) != NULL, "'%s' in '%s' for %s", part, status.message, header);
  cr_expect(file.tensors == NULL && file.memory.base == NULL && file.count == 0);
}

static void expect_accepted(const char *header, size_t data, size_t count) {
  TensorFile file;
  Status status = parse_header(header, data, &file);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", header, status.message);
  cr_expect_eq(file.count, count, "%s", header);
  tensor_file_close(&file);
}

#define U8(name, size, begin, end)                                                                                     \
  "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" size "],\"data_offsets\":[" begin "," end "]}"

Test(safetensors, a_header_may_be_written_in_any_json_way) {
  expect_accepted("{}", 0, 0);
  expect_accepted("{ } \n\r\t ", 0, 0);
  expect_accepted("{" U8("a", "1", "0", "1") "}", 1, 1);
  expect_accepted("{\n \"a\" : { \"shape\" : [ 1 , 2 ] ,\t\"data_offsets\":[ 0 , 2 ] , \"dtype\" : \"U8\" } \r}  ", 2,
                  1);
  expect_accepted("{" U8("b", "2", "1", "3") "," U8("a", "1", "0", "1") "}", 3, 2);
  expect_accepted("{" U8("a", "0", "0", "0") ",\"__metadata__\":{}}", 0, 1);
  expect_accepted("{" U8("a", "0", "2", "2") "," U8("b", "2", "0", "2") "," U8("c", "0", "0", "0") "}", 2, 3);
  expect_accepted("{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, 1);
  expect_accepted("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3, 1);
  expect_accepted("{\"a\":{\"dtype\":\"F6_E3M2\",\"shape\":[2,2],\"data_offsets\":[0,3]}}", 3, 1);
  expect_accepted("{" U8("a", "0,1000000", "0", "0") "}", 0, 1);
}

Test(safetensors, escapes_are_read) {
  TensorFile file;
  Status status = parse_header(
      "{" U8("\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\uD83D\\uDE00", "1", "0", "1") "}", 1, &file);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect_str_eq(file.tensors[0].name, "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001f600");
  tensor_file_close(&file);
}

Test(safetensors, metadata_are_kept) {
  TensorFile file;
  cr_assert_eq(parse_header("{\"__metadata__\":{\"z\":\"1\",\"\":\"\\u00fc\",\"a\":\"\"}}", 0, &file).code, STATUS_OK);
  cr_assert_eq(file.metadata_count, 3);
  cr_expect_str_eq(tensor_file_metadata(&file, "z"), "1");
  cr_expect_str_eq(tensor_file_metadata(&file, ""), "\u00fc");
  cr_expect_str_eq(file.metadata[1].key, "a");
  tensor_file_close(&file);
  expect_refused("{\"__metadata__\":{\"a\":1}}", 0, "all strings");
  expect_refused("{\"__metadata__\":{\"a\":{}}}", 0, "all strings");
  expect_refused("{\"__metadata__\":null}", 0, "a { is expected before the metadata");
  expect_refused("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "the metadata have a twice");
  expect_refused("{\"__metadata__\":{\"a\":\"b\" \"c\":\"d\"}}", 0, "a , is expected between metadata");
  expect_refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice");
}

Test(safetensors, malformed_headers_are_refused) {
  expect_refused("", 0, "byte 8: a safetensors header starts with {");
  expect_refused(" {}", 0, "starts with {");
  expect_refused("[]", 0, "starts with {");
  expect_refused("{", 0, "byte 9: a \" is expected before the name");
  expect_refused("{} x", 0, "something after the header");
  expect_refused("{}}", 0, "something after the header");
  expect_refused("{,}", 0, "before the name of a tensor");
  expect_refused("{" U8("a", "1", "0", "1") ",}", 1, "before the name of a tensor");
  expect_refused("{" U8("a", "1", "0", "1"), 1, "a } is expected at the header's end");
  expect_refused("{" U8("a", "1", "0", "1") " " U8("b", "1", "1", "2") "}", 2, "a } is expected at the header's end");
  expect_refused("{\"a\"}", 0, "a : is expected after a name");
  expect_refused("{\"a\":1}", 0, "a { is expected before an entry");
  expect_refused("{\"a\":[\"U8\",[1],[0,1]]}", 1, "a { is expected before an entry");
  expect_refused("{\"a\":{}}", 0, "before the key of an entry");
  expect_refused("{\"a\":{\"dtype\":\"U8\"}}", 0, "the tensor a lacks dtype, shape or data_offsets");
  expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"color\":1}}", 1,
                 "the key color is not");
  expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1,
                 "dtype is there twice");
  expect_refused("{\"a\":{\"dtype\":\"U9\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "the dtype U9 is not known");
  expect_refused("{\"a\":{\"dtype\":8}}", 1, "before the name of a dtype");
  expect_refused("{\"a\":{\"shape\":1}}", 1, "a [ is expected before the shape");
  expect_refused("{\"a\":{\"shape\":[1 2]}}", 1, "a , is expected between sizes");
  expect_refused("{\"a\":{\"shape\":[1,]}}", 1, "a whole number is expected");
  expect_refused("{\"a\":{\"data_offsets\":[0]}}", 1, "a , is expected between two offsets");
  expect_refused("{\"a\":{\"data_offsets\":[0,1,2]}}", 1, "a ] is expected after two offsets");
  expect_refused("{\"a\":{\"data_offsets\":[1,0]}}", 1, "data_offsets run backwards, from 1 to 0");
}

Test(safetensors, numbers_must_be_plain_sizes) {
  expect_refused("{\"a\":{\"shape\":[-1]}}", 0, "a whole number is expected");
  expect_refused("{\"a\":{\"shape\":[+1]}}", 0, "a whole number is expected");
  expect_refused("{\"a\":{\"shape\":[01]}}", 0, "a whole number is expected");
  expect_refused("{\"a\":{\"shape\":[1.0]}}", 0, "a , is expected");
  expect_refused("{\"a\":{\"shape\":[1e3]}}", 0, "a , is expected");
  expect_refused("{\"a\":{\"shape\":[\"1\"]}}", 0, "a whole number is expected");
  expect_refused("{\"a\":{\"shape\":[null]}}", 0, "a whole number is expected");
  expect_refused("{\"a\":{\"shape\":[18446744073709551616]}}", 0, "larger than any size");
  expect_refused("{\"a\":{\"shape\":[99999999999999999999999]}}", 0, "larger than any size");
  expect_refused("{" U8("a", "9007199254740993", "0", "9007199254740993") "}", 1,
                 "truncated: the tensor a ends at byte 9007199254740993");
}

Test(safetensors, strings_must_be_utf8_without_zeros) {
  expect_refused("{\"a", 0, "a \" is expected at a string's end");
  expect_refused("{\"\\u0000\":{}}", 0, "is not UTF-8 without zero characters");
  expect_refused("{\"\xff\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\xc0\x80\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\xe0\x9f\xbf\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\xed\xa0\x80\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\xf4\x90\x80\x80\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\xe2\x82\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\xe2(\xa1\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\\ud83d\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\\ude00\":{}}", 0, "is not UTF-8");
  expect_refused("{\"\\ud83d\\u0041\":{}}", 0, "surrogates come in pairs");
  expect_refused("{\"\\u12g4\":{}}", 0, "four hexadecimal digits");
  expect_refused("{\"\\u12", 0, "four hexadecimal digits");
  expect_refused("{\"\\x41\":{}}", 0, "there is no such escape");
  expect_refused("{\"\\", 0, "there is no such escape");
  expect_refused("{\"a\n\":{}}", 0, "a control character");
  TensorFile file;
  cr_expect_eq(parse_shifted("{\"a\0b\":{}}", 10, 0, 0, &file).code, STATUS_INPUT, "a zero byte");
}

Test(safetensors, tensors_must_cover_the_data) {
  expect_refused("{" U8("a", "1", "0", "1") "}", 2, "the tensors end at byte 1 of the data, which have 2");
  expect_refused("{}", 1, "the tensors end at byte 0 of the data, which have 1");
  expect_refused("{" U8("a", "3", "0", "3") "}", 2, "truncated: the tensor a ends at byte 3 of the data, which have 2");
  expect_refused("{" U8("a", "1", "1", "2") "}", 2,
                 "the tensor a starts at byte 1 of the data, not at 0: tensors must not leave holes");
  expect_refused("{" U8("a", "2", "0", "2") "," U8("b", "2", "1", "3") "}", 3,
                 "the tensor b starts at byte 1 of the data, not at 2: tensors must not overlap");
  expect_refused("{" U8("a", "2", "0", "2") "," U8("b", "2", "0", "2") "}", 2, "must not overlap");
  expect_refused("{" U8("a", "2", "0", "2") "," U8("b", "0", "1", "1") "}", 2, "must not overlap");
  expect_refused("{" U8("a", "2", "0", "3") "}", 3,
                 "the tensor a, U8 (2), takes 2 bytes, and its data_offsets give it 3");
  expect_refused("{" U8("a", "2,2", "0", "2") "}", 2, "the tensor a, U8 (2, 2), takes 4 bytes");
  expect_refused("{" U8("a", "1", "0", "1") "," U8("a", "1", "1", "2") "}", 2, "the tensor a is there twice");
  expect_refused("{" U8("a", "1", "0", "1") "," U8("\\u0061", "1", "1", "2") "}", 2, "the tensor a is there twice");
}

Test(safetensors, shapes_that_overflow_are_refused) {
  expect_refused("{" U8("a", "4294967296,4294967296", "0", "0") "}", 0, "more numbers than memory has addresses");
  expect_refused("{" U8("a", "18446744073709551615,2,0", "0", "0") "}", 0, "more numbers than memory has addresses");
  expect_refused("{" U8("a", "0,18446744073709551615,2", "0", "0") "}", 0, "more numbers than memory has addresses");
  expect_refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
                 "more numbers than");
  expect_refused("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
                 "the tensor a, F4 (3), ends within a byte");
  expect_refused("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "ends within a byte");
}

Test(safetensors, data_that_are_not_aligned_are_copied) {
  static const char header[] = "{\"d\":{\"dtype\":\"F64\",\"shape\":[2,1],\"data_offsets\":[1,17]}," U8(
      "c", "1", "0", "1") ",\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[17,17]}}";
  for (size_t shift = 0; shift < 8; shift++) {
    TensorFile file;
    Status status = parse_shifted(header, sizeof header - 1, 17, shift, &file);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    for (size_t i = 0; i < 3; i++)
      cr_expect(aligned(&file.tensors[i]), "%s", file.tensors[i].name);
    const unsigned char *numbers = find(&file, "d")->tensor.data;
    for (size_t j = 0; j < 16; j++)
      cr_expect_eq(numbers[j], j + 1);
    bool view = numbers > block && numbers < block + sizeof header + 200;
    cr_expect_eq(view, (8 + sizeof header - 1 + 1 + shift) % 8 == 0);
    tensor_file_close(&file);
  }
}

Test(safetensors, a_file_may_end_anywhere_without_harm) {
  static const char header[] = "{\"__metadata__\":{\"a\":\"\\u00e9\"}," U8("x", "2", "0", "2") "}";
  unsigned char whole[8 + sizeof header - 1 + 2];
  uint64_t length = sizeof header - 1;
  TensorFile file;
  memcpy(whole, &length, 8);
  memcpy(whole + 8, header, length);
  memcpy(whole + 8 + length, "xy", 2);
  for (size_t size = 0; size < sizeof whole; size++) {
    unsigned char *bytes = malloc(size + (size == 0));
    memcpy(bytes, whole, size);
    Status status = safetensors_parse(&file, "cut", bytes, size);
    cr_expect_eq(status.code, STATUS_INPUT);
    expect_contains(status.message, "truncated");
    if (size > 8 && size < 8 + length) { /* and with a header that ends there */
      uint64_t shorter = size - 8;
      memcpy(bytes, &shorter, 8);
      cr_expect_eq(safetensors_parse(&file, "cut", bytes, size).code, STATUS_INPUT);
    }
    free(bytes);
  }
  cr_expect_eq(safetensors_parse(&file, "whole", whole, sizeof whole).code, STATUS_OK);
  tensor_file_close(&file);
}

Test(safetensors, the_length_of_the_header_is_not_trusted) {
  unsigned char bytes[16] = {0};
  TensorFile file;
  memcpy(bytes, &(uint64_t){UINT64_MAX}, 8);
  expect_contains(safetensors_parse(&file, "x", bytes, 16).message, "x: not a safetensors file: its header would have");
  memcpy(bytes, &(uint64_t){100000001}, 8);
  expect_contains(safetensors_parse(&file, "x", bytes, 16).message, "more than the 100000000 allowed");
  memcpy(bytes, &(uint64_t){100000000}, 8);
  expect_contains(safetensors_parse(&file, "x", bytes, 16).message,
                  "truncated in the header: it has 100000000 bytes, 8 are there");
  expect_contains(safetensors_parse(&file, "x", NULL, 0).message, "x: truncated");
}

Test(safetensors, many_tensors_are_found) {
  enum { COUNT = 5000 };
  TensorFile file;
  char *header = NULL, name[32];
  size_t length;
  FILE *stream = open_memstream(&header, &length);
  for (size_t i = 0; i < COUNT; i++) /* names fall while places rise */
    fprintf(stream, "%c\"n%zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i == 0 ? '{' : ',',
            COUNT - i, i, i + 1);
  fputc('}', stream);
  fclose(stream);
  cr_assert_eq(parse_header(header, COUNT, &file).code, STATUS_OK);
  for (size_t i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "n%zu", COUNT - i);
    cr_expect_eq(*(const unsigned char *)find(&file, name)->tensor.data, i % 256);
  }
  tensor_file_close(&file);
  free(header);
}

Test(safetensors, a_path_that_cannot_be_read_is_an_input_error) {
  TensorFile file;
  cr_expect_eq(safetensors_open(&file, scratch_path("none")).code, STATUS_INPUT);
  cr_expect_eq(safetensors_open(&file, scratch_folder).code, STATUS_INPUT);
  Status status = safetensors_open(&file, scratch_text("empty", ""));
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "truncated: a safetensors file starts with 8 bytes, 0 are there");
}

Test(safetensors, copies_that_memory_has_no_room_for_are_a_status) {
  enum { NUMBERS = 8 << 20 };
  static const char header[] = "{\"d\":{\"dtype\":\"F64\",\"shape\":[8388608],\"data_offsets\":[0,67108864]}}";
  uint64_t length = sizeof header - 1;
  char path[512];
  TensorFile file;
  snprintf(path, sizeof path, "%s", scratch_path("odd"));
  FILE *stream = fopen(path, "wb");
  cr_assert_not_null(stream);
  cr_assert_neq((8 + length) % 8, 0, "the data must not be aligned");
  fwrite(&length, 8, 1, stream);
  fputs(header, stream);
  fclose(stream);
  cr_assert_eq(truncate(path, (off_t)(8 + length + 8 * NUMBERS)), 0);
  cr_assert_eq(safetensors_open(&file, path).code, STATUS_OK);
  tensor_file_close(&file);
  limit_memory((8 * NUMBERS) + (32 << 20)); /* the file fits, its copy does not */
  Status status = safetensors_open(&file, path);
  cr_expect_eq(status.code, STATUS_MEMORY, "%s", status.message);
  cr_expect(file.mapped.bytes == NULL && file.memory.base == NULL && file.copies.base == NULL);
}

/* ---- Writing ---- */

static float numbers[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

Test(safetensors, views_are_written_row_by_row) {
  TensorFile file;
  Tensor matrix = tensor_2(numbers, DTYPE_F32, 3, 4);
  NamedTensor tensors[] = {named_tensor("columns", tensor_columns(matrix, 1, 2)),
                           named_tensor("rows", tensor_rows(matrix, 1, 2)),
                           named_tensor("none", tensor_rows(matrix, 1, 0)),
                           named_tensor("scalar", tensor_make(numbers + 7, DTYPE_F32, 0, NULL))};
  cr_assert_eq(safetensors_write(scratch_path("w"), tensors, 4, NULL, 0, NULL).code, STATUS_OK);
  Status status = safetensors_open(&file, scratch_path("w"));
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  static const double columns[] = {1, 2, 5, 6, 9, 10};
  for (size_t k = 0; k < 6; k++)
    cr_expect_eq(tensor_get(find(&file, "columns")->tensor, k), columns[k]);
  expect_ramp(find(&file, "rows"), 4);
  cr_expect_eq(tensor_get(find(&file, "scalar")->tensor, 0), 7);
  cr_expect_eq(tensor_count(find(&file, "none")->tensor), 0);
  tensor_file_close(&file);
}

Test(safetensors, metadata_are_written_as_given) {
  TensorFile file;
  char text[256] = {0};
  const TextPair pairs[] = {{"b", "\"\\\x1f\x7f/\n"}, {"a", ""}};
  cr_assert_eq(safetensors_write(scratch_path("w"), NULL, 0, pairs, 2, NULL).code, STATUS_OK);
  scratch_read(scratch_path("w"), text, sizeof text);
  cr_expect_str_eq(text + 8, "{\"__metadata__\":{\"b\":\"\\\"\\\\\\u001f\x7f/\\n\",\"a\":\"\"}}  ");
  cr_assert_eq(safetensors_open(&file, scratch_path("w")).code, STATUS_OK);
  cr_expect_str_eq(tensor_file_metadata(&file, "b"), "\"\\\x1f\x7f/\n");
  tensor_file_close(&file);
  cr_assert_eq(safetensors_write(scratch_path("w"), NULL, 0, pairs, 0, NULL).code, STATUS_OK);
  cr_assert_eq(safetensors_open(&file, scratch_path("w")).code, STATUS_OK);
  cr_expect_eq(file.metadata_count, 0);
  tensor_file_close(&file);
}

/* Numbers on demand: the order in which they are asked for, and one that fails. */
typedef struct Asked {
  char order[16];
  bool fail;
} Asked;

static Status fetch(void *context, const NamedTensor *wanted, const void **data) {
  Asked *asked = context;
  strcat(asked->order, wanted->name);
  *data = numbers;
  return asked->fail && wanted->name[0] == 'c' ? status_error(STATUS_UNAVAILABLE, "the device is gone") : status_ok();
}

Test(safetensors, numbers_can_be_fetched_one_tensor_at_a_time) {
  Asked asked = {0};
  TensorFile file;
  const SafetensorsSource source = {fetch, &asked};
  const NamedTensor tensors[] = {
      named_tensor("c", tensor_1(NULL, DTYPE_F32, 3)), named_tensor("a", tensor_1(NULL, DTYPE_F32, 2)),
      named_tensor("b", tensor_1(NULL, DTYPE_F64, 1)), named_tensor("d", tensor_1(numbers, DTYPE_U8, 1)),
      named_tensor("e", tensor_1(NULL, DTYPE_F32, 0))};
  cr_assert_eq(safetensors_write(scratch_path("w"), tensors, 5, NULL, 0, &source).code, STATUS_OK);
  cr_expect_str_eq(asked.order, "bac");
  cr_assert_eq(safetensors_open(&file, scratch_path("w")).code, STATUS_OK);
  expect_ramp(find(&file, "c"), 0);
  tensor_file_close(&file);
  asked = (Asked){.fail = true};
  scratch_text("w2", "old");
  Status status = safetensors_write(scratch_path("w2"), tensors, 5, NULL, 0, &source);
  cr_expect(status.code == STATUS_UNAVAILABLE && strcmp(status.message, "the device is gone") == 0);
  char text[16];
  cr_expect_str_eq(scratch_read(scratch_path("w2"), text, sizeof text), "old");
  cr_expect_eq(scratch_count(), 2);
}

Test(safetensors, a_place_that_cannot_be_written_is_an_output_error) {
  const NamedTensor tensor = named_tensor("a", tensor_1(numbers, DTYPE_F32, 3));
  cr_expect_eq(safetensors_write(scratch_path("no/w"), &tensor, 1, NULL, 0, NULL).code, STATUS_OUTPUT);
  cr_expect_eq(safetensors_write("/dev/full", &tensor, 1, NULL, 0, NULL).code, STATUS_OUTPUT);
}

Test(safetensors, a_header_that_could_not_be_read_back_is_not_written) {
  char *name = malloc(SAFETENSORS_LARGEST_HEADER);
  cr_assert_not_null(name);
  memset(name, 'n', SAFETENSORS_LARGEST_HEADER - 1);
  name[SAFETENSORS_LARGEST_HEADER - 1] = '\0';
  const NamedTensor tensor = named_tensor(name, tensor_1(numbers, DTYPE_F32, 1));
  Status status = safetensors_write(scratch_path("w"), &tensor, 1, NULL, 0, NULL);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "its header would have 1000000");
  cr_expect_eq(scratch_count(), 0);
  free(name);
}

/* ---- The caller's mistakes ---- */

static NamedTensor mistaken[2];
static size_t mistaken_count;

static void write_mistaken(void) {
  safetensors_write(scratch_path("w"), mistaken, mistaken_count, NULL, 0, NULL);
}

static void expect_stop(NamedTensor x, NamedTensor y, size_t count, const char *part) {
  char text[512];
  mistaken[0] = x;
  mistaken[1] = y;
  mistaken_count = count;
  cr_expect_eq(WTERMSIG(in_child(write_mistaken, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, part);
}

Test(safetensors, what_could_not_be_read_back_stops) {
  NamedTensor good = named_tensor("a", tensor_1(numbers, DTYPE_F32, 3)), flat = good;
  flat.rank = 2;
  flat.shape = (const size_t[]){2, 2};
  expect_stop(good, good, 2, "two tensors have the same name");
  expect_stop(named_tensor("\xff", good.tensor), good, 1, "the name of tensor 0 is not UTF-8");
  expect_stop(named_tensor("__metadata__", good.tensor), good, 1, "__metadata__");
  expect_stop(named_tensor("a", tensor_1(NULL, DTYPE_F32, 3)), good, 1, "the tensor a has no data");
  expect_stop(named_tensor("a", tensor_1(numbers, DTYPE_F4, 3)), good, 1, "a ends within a byte");
  expect_stop(flat, good, 1, "the shape of a has 4 numbers, the tensor 3");
}
