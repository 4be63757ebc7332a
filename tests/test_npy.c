/* test_npy.c: files that NumPy wrote (fixtures/npy/make.py), headers made by hand, and our own files read back. */
#include "npy.h"

#include <math.h>
#include <signal.h>
#include <stdint.h>

#include "scratch.h"

TestSuite(npy, .init = scratch_make, .fini = scratch_remove);

static Status read_fixture(const char *name, NpyArray *array) {
  char path[1024];
  snprintf(path, sizeof path, "%s/npy/%s.npy", SEESAW_FIXTURES, name);
  return npy_read(path, array);
}

/* make.py's value of element k. */
static double ramp(char kind, size_t k) {
  return kind == 'f' ? ((double)k - 3) / 4 : kind == 'i' ? (double)k - 3 : (double)k + 1;
}

static void expect_ramp(const char *name, size_t rank, const size_t *shape) {
  NpyArray array;
  Status status = read_fixture(name, &array);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
  size_t count = 1;
  cr_assert_eq(array.rank, rank, "%s", name);
  for (size_t i = 0; i < rank; i++) {
    cr_expect_eq(array.shape[i], shape[i], "%s", name);
    count *= shape[i];
  }
  cr_assert_eq(array.count, count, "%s", name);
  for (size_t k = 0; k < count; k++)
    cr_expect_eq(array.data[k], ramp(name[0], k), "%s element %zu: %g", name, k, array.data[k]);
  npy_free(&array);
}

Test(npy, every_dtype_is_read_in_both_byte_orders) {
  static const char *const codes[] = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"};
  char name[32];
  for (int i = 0; i < 10; i++) {
    snprintf(name, sizeof name, "%s_little_c2", codes[i]);
    expect_ramp(name, 2, (size_t[]){3, 5});
    snprintf(name, sizeof name, "%s_big_c2", codes[i]);
    expect_ramp(name, 2, (size_t[]){3, 5});
  }
}

Test(npy, every_rank_is_read_in_both_orders_of_elements) {
  static const size_t shapes[4][3] = {{0}, {7}, {3, 5}, {2, 3, 4}};
  char name[32];
  for (int rank = 0; rank < 4; rank++) {
    snprintf(name, sizeof name, "f8_little_c%d", rank);
    expect_ramp(name, (size_t)rank, shapes[rank]);
    snprintf(name, sizeof name, "f8_little_f%d", rank);
    expect_ramp(name, (size_t)rank, shapes[rank]);
    snprintf(name, sizeof name, "i2_big_f%d", rank);
    expect_ramp(name, (size_t)rank, shapes[rank]);
  }
  expect_ramp("f8_rank8", 8, (size_t[]){1, 2, 1, 3, 1, 1, 2, 1});
}

Test(npy, every_version_is_read) {
  expect_ramp("f8_version2", 2, (size_t[]){3, 5});
  expect_ramp("f8_version3", 2, (size_t[]){3, 5});
}

static void expect_values(const char *name, size_t count, const double *values) {
  NpyArray array;
  cr_assert_eq(read_fixture(name, &array).code, STATUS_OK);
  cr_assert_eq(array.count, count);
  for (size_t i = 0; i < count; i++)
    cr_expect_eq(array.data[i], values[i], "%s element %zu", name, i);
  npy_free(&array);
}

Test(npy, the_ends_of_integer_types_are_exact) {
  expect_values("extremes_i1", 2, (double[]){-128, 127});
  expect_values("extremes_i8", 4, (double[]){-0x1p63, 0x1p53, -0x1p53, 0x1p62});
  expect_values("extremes_u8", 3, (double[]){0x1p63, 0x1p64 - 0x1p11, 0});
}

Test(npy, an_empty_array_has_no_elements) {
  NpyArray array;
  cr_assert_eq(read_fixture("empty", &array).code, STATUS_OK);
  cr_expect(array.rank == 3 && array.shape[1] == 0 && array.count == 0);
  npy_free(&array);
}

static void expect_refused(const char *name, const char *part) {
  NpyArray array;
  Status status = read_fixture(name, &array);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", name);
  expect_contains(status.message, name);
  expect_contains(status.message, part);
  cr_expect_null(array.data);
}

Test(npy, what_numpy_writes_and_we_do_not_read_is_refused) {
  expect_refused("bad_nan", "element (1, 2) is NaN or infinite");
  expect_refused("bad_infinite", "element (1) is NaN or infinite");
  expect_refused("bad_u8", "element (1) is an integer that a double cannot hold exactly");
  expect_refused("bad_i8", "element (0, 0) is an integer that a double cannot hold exactly");
  expect_refused("bad_half", "must be one of f4 f8 i1 i2 i4 i8 u1 u2 u4 u8, not '<f2'");
  expect_refused("bad_complex", "not '<c8'");
  expect_refused("bad_bool", "not '|b1'");
  expect_refused("bad_text", "not '<U3'");
  expect_refused("bad_struct", "structured arrays are not read");
  expect_refused("bad_rank9", "more than 8 dimensions");
}

/* A version 1.0 file of the header and so many bytes 1 as elements, in a block of exactly its size. */
static Status parse_header(const char *header, size_t elements, NpyArray *array) {
  size_t length = strlen(header), size = 10 + length + elements;
  unsigned char *bytes = malloc(size);
  cr_assert_not_null(bytes);
  memcpy(bytes, "\x93NUMPY\x01\x00", 8);
  bytes[8] = (unsigned char)(length & 255);
  bytes[9] = (unsigned char)(length >> 8);
  memcpy(bytes + 10, header, length);
  memset(bytes + 10 + length, 1, elements);
  Status status = npy_parse("made.npy", bytes, size, array);
  free(bytes);
  return status;
}

static void expect_header_refused(const char *header, size_t elements, const char *part) {
  NpyArray array;
  Status status = parse_header(header, elements, &array);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", header);
  expect_contains(status.message, "made.npy: ");
  cr_expect(strstr(status.message, part) != NULL, "'%s' in '%s' for %s", part, status.message, header);
  cr_expect_null(array.data);
}

Test(npy, a_header_may_be_written_in_any_python_way) {
  static const char *const headers[] = {
      "{'shape':(2,),'descr':'|u1','fortran_order':False}",
      "{ \"fortran_order\" : True ,\n\t\"descr\" : \"<u1\" , \"shape\" : ( 2 , ) , } \n",
      "{'descr': '>i1', 'fortran_order': False, 'shape': (1, 2,), }   ",
      "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 1)}",
  };
  for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    NpyArray array;
    Status status = parse_header(headers[i], 2, &array);
    cr_assert_eq(status.code, STATUS_OK, "%s: %s", headers[i], status.message);
    cr_expect(array.count == 2 && array.data[0] == 1 && array.data[1] == 1);
    npy_free(&array);
  }
}

#define HEAD "{'descr': '|u1', 'fortran_order': False, 'shape': "

Test(npy, malformed_headers_are_refused) {
  expect_header_refused("", 0, "the header is not a dictionary");
  expect_header_refused("[]", 0, "the header is not a dictionary");
  expect_header_refused("{", 0, "not a dictionary of descr");
  expect_header_refused("{}", 0, "lacks descr");
  expect_header_refused("{'descr': '|u1'}", 0, "lacks fortran_order");
  expect_header_refused("{'descr': '|u1', 'fortran_order': False}", 0, "lacks shape");
  expect_header_refused("{'descr': '|u1' 'shape': ()}", 1, "not set apart by commas");
  expect_header_refused("{'descr': '|u1'", 0, "cut off");
  expect_header_refused("{'descr': '|u1', 'descr': '|u1'}", 1, "has descr twice");
  expect_header_refused("{'color': '|u1'}", 1, "unknown key 'color'");
  expect_header_refused("{'\n\x1b': '|u1'}", 1, "unknown key '?\?'");
  expect_header_refused("{descr: '|u1'}", 1, "not a dictionary of descr");
  expect_header_refused("{'descr' '|u1'}", 1, "not a dictionary of descr");
  expect_header_refused("{'descr", 1, "not a dictionary of descr");
  expect_header_refused("{'descr': '|u1}", 1, "descr must be a plain dtype");
  expect_header_refused("{'descr': '\\x7cu1'}", 1, "descr must be a plain dtype");
  expect_header_refused("{'descr': '|f8'}", 1, "must start with < or >");
  expect_header_refused("{'descr': '=f8'}", 1, "must start with < or >");
  expect_header_refused("{'descr': '<f1'}", 1, "must be one of");
  expect_header_refused("{'descr': ''}", 1, "must be one of");
  expect_header_refused("{'descr': '<f16'}", 1, "must be one of");
  expect_header_refused("{'descr': '|u1', 'fortran_order': 0}", 1, "True or False");
  expect_header_refused(HEAD "()} x", 1, "something after the header's dictionary");
  expect_header_refused(HEAD "2}", 2, "the shape must be a tuple");
  expect_header_refused(HEAD "(2)}", 2, "the shape must be a tuple: (2,)");
  expect_header_refused(HEAD "(2 1)}", 2, "not a tuple of sizes");
  expect_header_refused(HEAD "(-2,)}", 2, "entry 0 is not a size");
  expect_header_refused(HEAD "(1,,)}", 2, "entry 1 is not a size");
  expect_header_refused(HEAD "(2L,)}", 2, "the shape is not a tuple of sizes");
  expect_header_refused(HEAD "(2,", 2, "entry 1 is not a size");
  expect_header_refused(HEAD "(99999999999999999999,)}", 2, "entry 0 is not a size");
  expect_header_refused(HEAD "(1,1,1,1,1,1,1,1,1)}", 1, "more than 8 dimensions");
  expect_header_refused(HEAD "(4294967296, 4294967296)}", 2, "more elements than memory has addresses");
  expect_header_refused(HEAD "(4611686018427387904,)}", 2, "more elements than memory has addresses");
}

Test(npy, the_bytes_must_be_exactly_those_announced) {
  expect_header_refused(HEAD "(3,)}", 2, "truncated: 3 elements of 1 bytes are announced, 2 bytes are there");
  expect_header_refused(HEAD "(3,)}", 4, "longer than its header says");
  expect_header_refused(HEAD "(1000000000000,)}", 4, "truncated");
  expect_header_refused("{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}", 15, "truncated");
  expect_header_refused("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", 9, "longer");
  expect_header_refused(HEAD "(3, 0)}", 1, "longer");
}

Test(npy, a_file_may_end_anywhere_without_harm) {
  static char whole[] = "\x93NUMPY\x02\x00?\x00\x00\x00" HEAD "(1, 1)}\x07";
  whole[8] = (char)(sizeof whole - 1 - 12 - 1); /* the header's length: without the start and the one element */
  NpyArray array;
  for (size_t size = 0; size < sizeof whole - 1; size++) {
    unsigned char *bytes = malloc(size + (size == 0)); /* of the exact size, so that a sanitizer sees a read beyond */
    memcpy(bytes, whole, size);
    Status status = npy_parse("cut.npy", bytes, size, &array);
    cr_expect_eq(status.code, STATUS_INPUT);
    expect_contains(status.message, size < 6 ? "not a .npy file" : "truncated");
    free(bytes);
  }
  Status status = npy_parse("whole.npy", (const unsigned char *)whole, sizeof whole - 1, &array);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect_eq(array.data[0], 7);
  npy_free(&array);
}

Test(npy, other_files_and_versions_are_refused) {
  NpyArray array;
  Status status = npy_parse("x", (const unsigned char *)"PK\x03\x04....", 8, &array);
  expect_contains(status.message, "x: not a .npy file");
  status = npy_parse("x", (const unsigned char *)"\x93NUMPY\x04\x00\x00\x00\x00\x00", 12, &array);
  expect_contains(status.message, "version 4.0 of the format is not known");
  status = npy_parse("x", (const unsigned char *)"\x93NUMPY\x01\x02\x00\x00", 10, &array);
  expect_contains(status.message, "version 1.2 of the format is not known");
  status = npy_read(scratch_path("none.npy"), &array);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "No such file");
}

Test(npy, what_is_written_reads_back) {
  static const double data[6] = {0.1, -1e-320, 1e308, 3, -0.0, 1.0 / 3};
  static const size_t shapes[][3] = {{0}, {6}, {2, 3}, {1, 3, 2}};
  static const size_t counts[] = {1, 6, 6, 6};
  for (size_t rank = 0; rank < 4; rank++) {
    NpyArray array;
    const char *path = scratch_path("w.npy");
    cr_assert_eq(npy_write(path, data, rank, shapes[rank]).code, STATUS_OK);
    Status status = npy_read(path, &array);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_expect_eq(array.rank, rank);
    cr_expect_arr_eq(array.shape, shapes[rank], rank * sizeof(size_t));
    cr_assert_eq(array.count, counts[rank]);
    cr_expect_arr_eq(array.data, data, counts[rank] * sizeof *data);
    npy_free(&array);
  }
}

Test(npy, our_files_are_byte_for_byte_those_of_numpy) {
  double data[24];
  char path[1024], ours[1024], theirs[1024];
  for (size_t k = 0; k < 24; k++)
    data[k] = ramp('f', k);
  snprintf(path, sizeof path, "%s/npy/f8_little_c3.npy", SEESAW_FIXTURES);
  cr_assert_eq(npy_write(scratch_path("w.npy"), data, 3, (size_t[]){2, 3, 4}).code, STATUS_OK);
  memset(ours, 0, sizeof ours);
  memset(theirs, 0, sizeof theirs);
  scratch_read(scratch_path("w.npy"), ours, sizeof ours);
  scratch_read(path, theirs, sizeof theirs);
  cr_expect_arr_eq(ours, theirs, sizeof ours);
}

Test(npy, the_longest_header_fits) {
  size_t shape[NPY_MAX_RANK];
  NpyArray array;
  for (int i = 0; i < NPY_MAX_RANK; i++)
    shape[i] = i == 0 ? 0 : 1;
  shape[1] = SIZE_MAX / 8;
  cr_assert_eq(npy_write(scratch_path("w.npy"), NULL, NPY_MAX_RANK, shape).code, STATUS_OK);
  cr_assert_eq(npy_read(scratch_path("w.npy"), &array).code, STATUS_OK);
  cr_expect_eq(array.count, 0);
  npy_free(&array);
}

Test(npy, a_place_that_cannot_be_written_is_an_output_error) {
  double one = 1;
  cr_expect_eq(npy_write(scratch_path("no/w.npy"), &one, 0, NULL).code, STATUS_OUTPUT);
  cr_expect_eq(npy_write("/dev/full", &one, 0, NULL).code, STATUS_OUTPUT);
}

Test(npy, more_elements_than_memory_is_a_status) {
  enum { COUNT = 8 << 20 }; /* bytes in the file, eight times as many in memory */
  NpyArray array;
  char header[] = HEAD "(8388608,)}";
  unsigned char *bytes = calloc(1, 10 + sizeof header - 1 + COUNT);
  cr_assert_not_null(bytes);
  memcpy(bytes, "\x93NUMPY\x01\x00", 8);
  bytes[8] = sizeof header - 1;
  memcpy(bytes + 10, header, sizeof header - 1);
  limit_memory(32 << 20);
  Status status = npy_parse("big.npy", bytes, 10 + sizeof header - 1 + COUNT, &array);
  cr_expect_eq(status.code, STATUS_MEMORY, "%s", status.message);
  cr_expect_str_eq(status.message, "not enough memory for the 8388608 elements of big.npy");
  free(bytes);
}

static void write_rank_nine(void) {
  npy_write(scratch_path("w.npy"), NULL, 9, (size_t[9]){0});
}

Test(npy, too_many_dimensions_to_write_stop) {
  char text[512];
  cr_expect_eq(WTERMSIG(in_child(write_rank_nine, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, "an array of 9 dimensions");
}
