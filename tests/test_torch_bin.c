/* test_torch_bin.c: files that torch wrote (fixtures/weights/make.py), and zip files and pickles made by hand. */
#include "torch_bin.h"

#include <stdint.h>

#include "pickle.h"
#include "scratch.h"
#include "zip.h"

TestSuite(torch_bin, .init = scratch_make, .fini = scratch_remove);

static const char *fixture(const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/weights/%s.bin", SEESAW_FIXTURES, name);
  return path;
}

static void open_fixture(TensorFile *file, const char *name) {
  Status status = torch_bin_open(file, fixture(name));
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
}

static const NamedTensor *find(const TensorFile *file, const char *name) {
  const NamedTensor *named = tensor_file_find(file, name);
  cr_assert_not_null(named, "there is no %s", name);
  cr_expect_eq((uintptr_t)named->tensor.data % (dtype_bits(named->tensor.dtype) / 8), 0, "%s is not aligned", name);
  cr_expect(tensor_contiguous(named->tensor));
  return named;
}

/* Element k as a double, for the dtypes that tensor_get does not read as well. */
static double element(Tensor tensor, size_t k) {
  if (tensor.dtype == DTYPE_I16)
    return ((const int16_t *)tensor.data)[k];
  if (tensor.dtype == DTYPE_I8)
    return ((const int8_t *)tensor.data)[k];
  return tensor_get(tensor, k);
}

static void expect_ramp(const NamedTensor *named) {
  Tensor tensor = named->tensor;
  for (size_t k = 0; k < tensor_count(tensor); k++) {
    double expected = tensor.dtype == DTYPE_BOOL ? (double)(k % 2) : (double)k + (tensor.dtype == DTYPE_U8 ? 1 : -3);
    cr_expect_eq(element(tensor, k), expected, "%s element %zu: %g", named->name, k, element(tensor, k));
  }
}

/* ---- What torch wrote ---- */

Test(torch_bin, every_dtype_is_read) {
  static const struct {
    const char *name;
    Dtype dtype;
  } expected[] = {{"float16", DTYPE_F16}, {"bfloat16", DTYPE_BF16}, {"float32", DTYPE_F32}, {"float64", DTYPE_F64},
                  {"int64", DTYPE_I64},   {"int32", DTYPE_I32},     {"int16", DTYPE_I16},   {"int8", DTYPE_I8},
                  {"uint8", DTYPE_U8},    {"bool", DTYPE_BOOL}};
  TensorFile file;
  open_fixture(&file, "every_dtype");
  cr_assert_eq(file.count, 10);
  for (size_t i = 0; i < 10; i++) {
    const NamedTensor *named = find(&file, expected[i].name);
    cr_expect_eq(named->tensor.dtype, expected[i].dtype, "%s", named->name);
    cr_expect(named->rank == 2 && named->tensor.size[0] == 2 && named->tensor.size[1] == 3);
    expect_ramp(named);
  }
  cr_expect_eq(file.copies.capacity, 0, "views, not copies");
  tensor_file_close(&file);
}

Test(torch_bin, a_module_with_its_metadata_is_read) {
  TensorFile file;
  open_fixture(&file, "module");
  cr_assert_eq(file.count, 7);
  for (size_t i = 0; i < file.count; i++)
    expect_ramp(find(&file, file.tensors[i].name));
  cr_expect_eq(find(&file, "1.num_batches_tracked")->rank, 0);
  cr_expect_eq(find(&file, "0.weight")->tensor.size[1], 3);
  tensor_file_close(&file);
}

Test(torch_bin, parameters_may_share_their_numbers) {
  TensorFile file;
  open_fixture(&file, "parameters");
  cr_assert_eq(file.count, 3);
  cr_expect_eq(find(&file, "embed")->tensor.data, find(&file, "head")->tensor.data);
  expect_ramp(find(&file, "head"));
  expect_ramp(find(&file, "buffer"));
  tensor_file_close(&file);
}

static void expect_values(const TensorFile *file, const char *name, size_t rank, const size_t *size,
                          const double *values) {
  const NamedTensor *named = find(file, name);
  cr_assert_eq(named->rank, rank, "%s", name);
  for (size_t i = 0; i < rank; i++)
    cr_expect_eq(named_size(named, i), size[i], "%s", name);
  for (size_t k = 0; k < tensor_count(named->tensor); k++)
    cr_expect_eq(element(named->tensor, k), values[k], "%s element %zu: %g", name, k, element(named->tensor, k));
}

Test(torch_bin, strided_views_are_copied_in_row_major_order) {
  TensorFile file;
  double transposed[24], permuted[24];
  open_fixture(&file, "strided");
  for (size_t k = 0; k < 24; k++) {
    transposed[k] = (double)(k % 6 * 4 + k / 6) - 3;                /* (4, 6) of (6, 4) */
    permuted[k] = (double)(k / 6 + k % 6 / 3 * 12 + k % 3 * 4) - 3; /* (4, 2, 3) of (2, 3, 4) */
  }
  expect_ramp(find(&file, "base"));
  expect_values(&file, "rows", 2, (size_t[]){2, 4}, (double[]){5, 6, 7, 8, 9, 10, 11, 12});
  expect_values(&file, "columns", 2, (size_t[]){6, 2}, (double[]){-2, -1, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19});
  expect_values(&file, "transposed", 2, (size_t[]){4, 6}, transposed);
  expect_values(&file, "every other", 2, (size_t[]){3, 4}, (double[]){-3, -2, -1, 0, 5, 6, 7, 8, 13, 14, 15, 16});
  expect_values(&file, "permuted", 3, (size_t[]){4, 2, 3}, permuted);
  expect_values(&file, "one column", 2, (size_t[]){6, 1}, (double[]){-3, 1, 5, 9, 13, 17});
  expect_values(&file, "none", 2, (size_t[]){4, 0}, NULL);
  expect_values(&file, "five", 5, (size_t[]){1, 2, 3, 2, 1}, (double[]){-3, 3, -1, 5, 1, 7, -2, 4, 0, 6, 2, 8});
  expect_values(&file, "expanded", 2, (size_t[]){2, 3}, (double[]){-3, -2, -1, -3, -2, -1});
  const char *base = find(&file, "base")->tensor.data, *rows = find(&file, "rows")->tensor.data;
  cr_expect_eq(rows - base, 2 * 4 * 4, "a block of rows is a view");
  tensor_file_close(&file);
}

Test(torch_bin, other_writers_of_zip_files_are_read) {
  TensorFile file;
  open_fixture(&file, "plain_zip"); /* numbers are not aligned there */
  expect_ramp(find(&file, "a"));
  tensor_file_close(&file);
  open_fixture(&file, "no_checksums");
  expect_ramp(find(&file, "a"));
  expect_ramp(find(&file, "b"));
  tensor_file_close(&file);
  open_fixture(&file, "empty");
  cr_expect_eq(file.count, 0);
  tensor_file_close(&file);
}

static void expect_refused(const char *name, const char *part) {
  TensorFile file;
  Status status = torch_bin_open(&file, fixture(name));
  cr_expect_eq(status.code, STATUS_INPUT, "%s", name);
  expect_contains(status.message, name);
  expect_contains(status.message, part);
  cr_expect(file.tensors == NULL && file.memory.base == NULL && file.mapped.bytes == NULL);
}

Test(torch_bin, what_torch_writes_and_we_do_not_read_is_refused) {
  expect_refused("bad_legacy", "a torch file of the time before 1.6");
  expect_refused("bad_protocol", "the pickle has protocol 4");
  expect_refused("bad_wrapped", "the dict has another dict under model: only a flat dict");
  expect_refused("bad_value", "what the dict has under epoch is not a tensor");
  expect_refused("bad_key", "a key of the dict is not a text");
  expect_refused("bad_tensor", "something other than a dict of tensors");
  expect_refused("bad_global", "argparse.Namespace is not allowed: this reader runs no code");
  expect_refused("bad_float8", "torch._utils._rebuild_tensor_v3 is not allowed");
  expect_refused("bad_complex", "torch.ComplexFloatStorage is not allowed");
  expect_refused("bad_list", "the instruction 0x5d is not allowed");
  expect_refused("bad_module", "torch.nn.modules.linear.Linear is not allowed");
  expect_refused("bad_expanded", "copies of such tensors would take more memory than the file");
  expect_refused("bad_compressed", "is compressed");
}

Test(torch_bin, checksums_can_be_verified) {
  static char bytes[8192];
  FILE *stream = fopen(fixture("every_dtype"), "rb");
  size_t size = fread(bytes, 1, sizeof bytes, stream);
  fclose(stream);
  cr_expect_eq(torch_bin_verify(fixture("every_dtype")).code, STATUS_OK);
  cr_expect_eq(torch_bin_verify(fixture("plain_zip")).code, STATUS_OK);
  cr_expect_eq(torch_bin_verify(fixture("no_checksums")).code, STATUS_OK);
  cr_expect_eq(torch_bin_verify(scratch_path("none")).code, STATUS_INPUT);
  TensorFile file;
  open_fixture(&file, "every_dtype");
  size_t at = (size_t)((const unsigned char *)find(&file, "int64")->tensor.data - file.mapped.bytes);
  tensor_file_close(&file);
  bytes[at] ^= 1;
  Status status = torch_bin_verify(scratch_write("damaged", bytes, size));
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "the entry every_dtype/data/4 does not agree with its checksum");
  cr_assert_eq(torch_bin_open(&file, scratch_path("damaged")).code, STATUS_OK);
  tensor_file_close(&file);
  bytes[at] ^= 1;
  bytes[64 + 40] ^= 1; /* in data.pkl */
  status = torch_bin_open(&file, scratch_write("damaged", bytes, size));
  expect_contains(status.message, "data.pkl does not agree with its checksum");
}

Test(torch_bin, files_of_torch_are_told_from_safetensors) {
  cr_expect(torch_bin_likely((const unsigned char *)"PK\x03\x04\0\0\0\0\0", 9));
  cr_expect(torch_bin_likely((const unsigned char *)"\x80\x02\x8a\x0a", 4));
  cr_expect(!torch_bin_likely((const unsigned char *)"PK\x03\x04\0\0\0\0{", 9), "a header of 67,324,752 bytes");
  cr_expect(!torch_bin_likely((const unsigned char *)"\x80\x02\0\0\0\0\0\0{", 9), "a header of 640 bytes");
  cr_expect(!torch_bin_likely((const unsigned char *)"PK\x03", 3));
  cr_expect(!torch_bin_likely(NULL, 0));
}

/* ---- Zip files made by hand ---- */

/* Grows from left to right, entry by entry; then the directory. */
typedef struct Made {
  unsigned char bytes[16384];
  size_t size, directory_size, count;
  unsigned char directory[4096];
} Made;

/* What is out of the ordinary about an entry. */
typedef struct Oddity {
  unsigned flags, method;
  const char *local_name;
  size_t more; /* bytes that the directory says beyond those that are there */
  uint32_t crc;
  bool zip64, short_extra, wrong_place, wrong_stored;
} Oddity;

static void put(unsigned char *bytes, size_t *size, uint64_t number, size_t length) {
  for (size_t i = 0; i < length; i++)
    bytes[(*size)++] = (unsigned char)(i < 8 ? number >> 8 * i : 0);
}

static void put_bytes(unsigned char *bytes, size_t *size, const void *from, size_t length) {
  memcpy(bytes + *size, from, length);
  *size += length;
}

static void put_entry(Made *made, const char *name, const void *bytes, size_t length, Oddity odd) {
  const char *local = odd.local_name != NULL ? odd.local_name : name;
  size_t at = made->size + odd.wrong_place, stated = length + odd.more, *to = &made->directory_size;
  put(made->bytes, &made->size, 0x04034b50, 4);
  put(made->bytes, &made->size, 0, 22); /* sizes may be left to the directory */
  put(made->bytes, &made->size, strlen(local), 2);
  put(made->bytes, &made->size, 3, 2);
  put_bytes(made->bytes, &made->size, local, strlen(local));
  put_bytes(made->bytes, &made->size, "pad", 3);
  put_bytes(made->bytes, &made->size, bytes, length);
  put(made->directory, to, 0x02014b50, 4);
  put(made->directory, to, 0, 4);
  put(made->directory, to, odd.flags, 2);
  put(made->directory, to, odd.method, 2);
  put(made->directory, to, 0, 4);
  put(made->directory, to, odd.crc, 4);
  put(made->directory, to, odd.zip64 ? UINT32_MAX : stated + odd.wrong_stored, 4);
  put(made->directory, to, odd.zip64 ? UINT32_MAX : stated, 4);
  put(made->directory, to, strlen(name), 2);
  put(made->directory, to, odd.zip64 ? 5 + 28 : 0, 2);
  put(made->directory, to, 1, 2); /* a comment */
  put(made->directory, to, 0, 8);
  put(made->directory, to, odd.zip64 ? UINT32_MAX : at, 4);
  put_bytes(made->directory, to, name, strlen(name));
  if (odd.zip64) {
    put_bytes(made->directory, to, "XY\1\0Z", 5); /* another extra field */
    put(made->directory, to, 1, 2);
    put(made->directory, to, odd.short_extra ? 20 : 24, 2);
    put(made->directory, to, stated, 8);
    put(made->directory, to, stated + odd.wrong_stored, 8);
    put(made->directory, to, at, 8);
  }
  put_bytes(made->directory, to, "#", 1);
  made->count++;
}

static void put_end(Made *made, bool zip64) {
  size_t at = made->size, end;
  put_bytes(made->bytes, &made->size, made->directory, made->directory_size);
  end = made->size;
  if (zip64) {
    put(made->bytes, &made->size, 0x06064b50, 4);
    put(made->bytes, &made->size, 44, 8);
    put(made->bytes, &made->size, 0, 12);
    put(made->bytes, &made->size, made->count, 8);
    put(made->bytes, &made->size, made->count, 8);
    put(made->bytes, &made->size, made->directory_size, 8);
    put(made->bytes, &made->size, at, 8);
    put(made->bytes, &made->size, 0x07064b50, 4);
    put(made->bytes, &made->size, 0, 4);
    put(made->bytes, &made->size, end, 8);
    put(made->bytes, &made->size, 1, 4);
  }
  put(made->bytes, &made->size, 0x06054b50, 4);
  put(made->bytes, &made->size, 0, 4);
  put(made->bytes, &made->size, zip64 ? UINT16_MAX : made->count, 2);
  put(made->bytes, &made->size, zip64 ? UINT16_MAX : made->count, 2);
  put(made->bytes, &made->size, zip64 ? UINT32_MAX : made->directory_size, 4);
  put(made->bytes, &made->size, zip64 ? UINT32_MAX : at, 4);
  put(made->bytes, &made->size, 0, 2);
}

/* The archive in a block of exactly its size. */
static Status parse_zip(const Made *made, Zip *zip, unsigned char **block) {
  *block = malloc(made->size);
  cr_assert_not_null(*block);
  memcpy(*block, made->bytes, made->size);
  return zip_parse(zip, "made", *block, made->size);
}

static void expect_zip_refused(const Made *made, const char *part) {
  Zip zip;
  unsigned char *block;
  Status status = parse_zip(made, &zip, &block);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "made: ");
  expect_contains(status.message, part);
  cr_expect_null(zip.entries);
  free(block);
}

Test(torch_bin, entries_of_a_zip_file_are_found) {
  for (int zip64 = 0; zip64 < 2; zip64++) {
    Made made = {0};
    Zip zip;
    unsigned char *block;
    put_entry(&made, "b", "hello", 5, (Oddity){.zip64 = zip64, .flags = 0x808, .crc = 0x3610a686});
    put_entry(&made, "a/long name", "", 0, (Oddity){.zip64 = zip64});
    put_entry(&made, "b/", "123456789", 9, (Oddity){.crc = 0xcbf43926});
    put_end(&made, zip64);
    Status status = parse_zip(&made, &zip, &block);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_assert_eq(zip.count, 3);
    const ZipEntry *entry = zip_find(&zip, "b", 1);
    cr_assert_not_null(entry);
    cr_expect(entry->size == 5 && memcmp(entry->bytes, "hello", 5) == 0 && zip_intact(entry));
    cr_expect_eq(zip_find(&zip, "a/long name", 11)->size, 0);
    cr_expect(zip_intact(zip_find(&zip, "b/", 2)));
    cr_expect_null(zip_find(&zip, "a/long nam", 10));
    cr_expect_null(zip_find(&zip, "", 0));
    ZipEntry other = *entry;
    other.crc ^= 1;
    cr_expect(!zip_intact(&other));
    zip_free(&zip);
    free(block);
  }
}

Test(torch_bin, an_empty_zip_file_has_no_entries) {
  Made made = {0};
  Zip zip;
  unsigned char *block;
  put_end(&made, false);
  cr_assert_eq(parse_zip(&made, &zip, &block).code, STATUS_OK);
  cr_expect(zip.count == 0 && zip_find(&zip, "a", 1) == NULL);
  zip_free(&zip);
  free(block);
}

static void expect_entry_refused(Oddity odd, const char *part) {
  Made made = {0};
  put_entry(&made, "a", "hello", 5, odd);
  put_end(&made, false);
  expect_zip_refused(&made, part);
}

Test(torch_bin, odd_entries_of_a_zip_file_are_refused) {
  expect_entry_refused((Oddity){.flags = 1}, "the entry a is encrypted");
  expect_entry_refused((Oddity){.method = 8}, "the entry a is compressed");
  expect_entry_refused((Oddity){.local_name = "b"}, "the entry a has another name in front of its bytes");
  expect_entry_refused((Oddity){.local_name = "ab"}, "the entry a has another name in front of its bytes");
  expect_entry_refused((Oddity){.more = 1}, "the entry a reaches beyond the archive's data");
  expect_entry_refused((Oddity){.more = 1, .zip64 = true}, "the entry a reaches beyond the archive's data");
  expect_entry_refused((Oddity){.more = SIZE_MAX - 7, .zip64 = true}, "the entry a reaches beyond the archive's data");
  expect_entry_refused((Oddity){.wrong_place = true}, "the entry a is not where the directory says");
  expect_entry_refused((Oddity){.wrong_place = true, .zip64 = true}, "the entry a is not where the directory says");
  expect_entry_refused((Oddity){.wrong_stored = true}, "the entry a has sizes that make no sense");
  expect_entry_refused((Oddity){.wrong_stored = true, .zip64 = true}, "the entry a has sizes that make no sense");
  expect_entry_refused((Oddity){.zip64 = true, .short_extra = true}, "the entry a has sizes that make no sense");
}

Test(torch_bin, zip64_fields_stand_only_for_what_does_not_fit) {
  Made made = {0}, odd;
  Zip zip;
  unsigned char *block;
  put_entry(&made, "a", "hello", 5, (Oddity){.zip64 = true});
  odd = made;
  memset(odd.directory + 42, 0, 4); /* the place fits; the field's third number is not read */
  put_end(&odd, true);
  Status status = parse_zip(&odd, &zip, &block);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect_eq(zip_find(&zip, "a", 1)->size, 5);
  zip_free(&zip);
  free(block);
  odd = made;
  odd.directory[46 + 1 + 2] = 255; /* a field longer than all fields */
  put_end(&odd, true);
  expect_zip_refused(&odd, "the entry a has sizes that make no sense");
}

Test(torch_bin, odd_directories_of_a_zip_file_are_refused) {
  Made made = {0}, good;
  expect_zip_refused(&made, "does not end with the end of a directory");
  put_entry(&made, "a", "hello", 5, (Oddity){0});
  put_entry(&made, "a", "hello", 5, (Oddity){0});
  put_end(&made, false);
  expect_zip_refused(&made, "the entry a is there twice");
  for (int zip64 = 0; zip64 < 2; zip64++) {
    good = (Made){0};
    put_entry(&good, "a", "hello", 5, (Oddity){0});
    put_end(&good, zip64);
    for (size_t size = 0; size < good.size; size++) {
      made = good;
      made.size = size;
      expect_zip_refused(&made, "made: ");
    }
    made = good;
    made.bytes[made.size++] = 'x'; /* a comment, or another file behind it */
    expect_zip_refused(&made, "does not end with the end of a directory");
  }
  for (size_t i = 1; i <= 22; i++) { /* each byte of the zip64 record's numbers, then of its place */
    made = good;
    made.bytes[made.size - 22 - 20 - 24 + i] ^= 0x55;
    expect_zip_refused(&made, "made: ");
  }
  made = good;
  made.bytes[made.size - 22 - 20 + 8] ^= 1;
  expect_zip_refused(&made, "the zip64 end of the directory is not where it should be");
  good = (Made){0};
  put_entry(&good, "a", "hello", 5, (Oddity){0});
  good.count = 2;
  put_end(&good, false);
  expect_zip_refused(&good, "the directory is too short for its entries");
  good = (Made){0};
  put_entry(&good, "a", "hello", 5, (Oddity){0});
  good.directory_size += 60;
  put_end(&good, false);
  expect_zip_refused(&good, "there is something between the directory and its end");
  good = (Made){0};
  put_entry(&good, "a", "hello", 5, (Oddity){0});
  good.directory_size += 60;
  good.count = 2;
  put_end(&good, false);
  expect_zip_refused(&good, "an entry of the directory is not one");
  good = (Made){0};
  put_entry(&good, "a", "hello", 5, (Oddity){0});
  good.directory[28] = 200;
  put_end(&good, false);
  expect_zip_refused(&good, "an entry of the directory is cut off");
}

/* ---- Pickles made by hand ---- */

#define TEXT1(c) "X\x01\0\0\0" c
#define SEEN(type, key, count) "(X\x07\0\0\0storagectorch\n" type "\n" TEXT1(key) TEXT1("c") "K" count "t"
#define STORAGE(count) SEEN("ByteStorage", "0", count) "Q"
#define HOOKS "ccollections\nOrderedDict\n)R"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define TENSOR(storage, offset, shape, strides) REBUILD "(" storage offset shape strides "\x89" HOOKS "tR"
#define DICT(value) "\x80\x02}" TEXT1("a") value "s."
#define GOOD TENSOR(STORAGE("\x06"), "K\0", "K\x02K\x03\x86", "K\x03K\x01\x86")

/* An archive with the pickle as m/data.pkl and six bytes 0, 1, ... as m/data/0, in a block of exactly its size. */
static Status parse_archive(const Made *made, TensorFile *file, unsigned char **block) {
  *block = malloc(made->size);
  cr_assert_not_null(*block);
  memcpy(*block, made->bytes, made->size);
  return torch_bin_parse(file, "made", *block, made->size);
}

static Status parse_pickle(const char *pickle, size_t size, TensorFile *file, unsigned char **block) {
  static Made made;
  made = (Made){0};
  put_entry(&made, "m/data.pkl", pickle, size, (Oddity){0});
  put_entry(&made, "m/data/0", "\0\1\2\3\4\5", 6, (Oddity){0});
  put_end(&made, true);
  return parse_archive(&made, file, block);
}

static void expect_pickle_refused(const char *pickle, size_t size, const char *part) {
  TensorFile file;
  unsigned char *block;
  Status status = parse_pickle(pickle, size, &file, &block);
  cr_expect_eq(status.code, STATUS_INPUT, "expected: %s", part);
  if (status.code == STATUS_OK)
    tensor_file_close(&file);
  else
    expect_contains(status.message, part);
  free(block);
}

#define REFUSED(pickle, part) expect_pickle_refused(pickle, sizeof pickle - 1, part)

static void expect_bytes(const char *pickle, size_t size, size_t count, const char *bytes) {
  TensorFile file;
  unsigned char *block;
  Status status = parse_pickle(pickle, size, &file, &block);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_assert_eq(file.count, 1);
  cr_assert_eq(tensor_count(file.tensors[0].tensor), count);
  cr_expect_eq(memcmp(file.tensors[0].tensor.data, bytes, count), 0);
  tensor_file_close(&file);
  free(block);
}

#define ACCEPTED(pickle, count, bytes) expect_bytes(pickle, sizeof pickle - 1, count, bytes)

Test(torch_bin, the_instructions_of_a_state_dict_are_run) {
  ACCEPTED(DICT(GOOD), 6, "\0\1\2\3\4\5");
  ACCEPTED("\x80\x02" HOOKS "(" TEXT1("a") GOOD "u.", 6, "\0\1\2\3\4\5");
  ACCEPTED("\x80\x02" HOOKS TEXT1("a") GOOD "s}X\x01\0\0\0_}sb.", 6, "\0\1\2\3\4\5");
  ACCEPTED("\x80\x02}r\x01\0\0\0(" TEXT1("a") "q\x02" GOOD "q\x03u.", 6, "\0\1\2\3\4\5");
}

Test(torch_bin, numbers_of_every_width_are_read) {
  ACCEPTED(DICT(TENSOR(STORAGE("\x06"), "M\x01\0", "J\x02\0\0\0\x85", "\x8a\x01\x02\x85")), 2, "\1\3");
  ACCEPTED(DICT(TENSOR(STORAGE("\x06"), "\x8a\0", "\x8a\x08\x02\0\0\0\0\0\0\0\x85", "\x8a\x02\x01\0\x85")), 2, "\0\1");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "J\xff\xff\xff\xff", "K\x02\x85", "K\x01\x85")),
          "is not made from a storage, an offset");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "\x8a\x01\xff", "K\x02\x85", "K\x01\x85")),
          "is not made from a storage, an offset");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x85", "K\x01\x85")),
          "is not made from");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "\x8a\x09\0\0\0\0\0\0\0\0\0\x85", "K\x01\x85")), "more than 8 bytes");
}

Test(torch_bin, tensors_must_lie_within_their_storage) {
  ACCEPTED(DICT(TENSOR(STORAGE("\x06"), "K\x05", ")", ")")), 1, "\5");
  ACCEPTED(DICT(TENSOR(STORAGE("\x06"), "K\x07", "K\0\x85", "K\x01\x85")), 0, "");
  ACCEPTED(DICT(TENSOR(STORAGE("\x06"), "K\0", "K\x01K\x06\x86", "K\x63K\x01\x86")), 6, "\0\1\2\3\4\5");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\x06", ")", ")")),
          "the tensor a (U8 (), from number 6 on) reaches beyond its storage of 6 numbers");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\x01", "K\x06\x85", "K\x01\x85")), "reaches beyond its storage");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "K\x02\x85", "K\x06\x85")), "reaches beyond its storage");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "K\x03K\x02\x86", "K\x01K\x04\x86")), "reaches beyond its storage");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "K\x03\x85", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")),
          "reaches beyond");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", ")", ")")), "reaches beyond");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x03\x86", "K\0K\0\x86")),
          "more numbers than memory has addresses");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "\x8a\x05\0\0\0\0\x7f\x85", "K\0\x85")),
          "would take more memory than the file");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "K\x05\x85", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")),
          "reaches beyond");
}

Test(torch_bin, storages_must_be_what_the_archive_has) {
  REFUSED(DICT(TENSOR(STORAGE("\x05"), "K\0", ")", ")")),
          "has a storage of 5 numbers of 1 bytes, and data/0 has 6 bytes");
  REFUSED(DICT(TENSOR(STORAGE("\x07"), "K\0", ")", ")")), "has a storage of 7 numbers of 1 bytes");
  REFUSED(DICT(TENSOR(SEEN("LongStorage", "0", "\x06") "Q", "K\0", ")", ")")), "has a storage of 6 numbers of 8 bytes");
  ACCEPTED(DICT(TENSOR(SEEN("BoolStorage", "0", "\x06") "Q", "K\x01", ")", ")")), 1, "\1");
  REFUSED(DICT(TENSOR(SEEN("ByteStorage", "1", "\x06") "Q", "K\0", ")", ")")),
          "has the storage 1, which the file lacks");
  REFUSED(DICT(TENSOR(SEEN("ByteStorage", "\0", "\x06") "Q", "K\0", ")", ")")), "which the file lacks");
  REFUSED(DICT(TENSOR("NQ", "K\0", ")", ")")), "not described by type, key, location and count");
  REFUSED(DICT(TENSOR("(NNNNNtQ", "K\0", ")", ")")), "not described by type");
  REFUSED(DICT(TENSOR("(X\x07\0\0\0storage" REBUILD TEXT1("0") TEXT1("c") "K\x06tQ", "K\0", ")", ")")),
          "not described by");
  REFUSED(
      DICT(TENSOR("(X\x07\0\0\0storageccollections\nOrderedDict\n" TEXT1("0") TEXT1("c") "K\x06tQ", "K\0", ")", ")")),
      "not described by");
  REFUSED(DICT(TENSOR(SEEN("ByteStorage", "0", "\x06"), "K\0", ")", ")")), "is not made from a storage");
}

Test(torch_bin, what_makes_a_tensor_is_checked) {
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "N", ")", ")")), "the tensor a is not made from a storage, an offset");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "N", ")")), "is not made from");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "N\x85", "K\x01\x85")), "is not made from");
  REFUSED(DICT(TENSOR(STORAGE("\x06"), "K\0", "K\x01\x85", ")")), "is not made from");
  REFUSED(DICT(REBUILD "(" STORAGE("\x06") "K\0))\x89}" TEXT1("a") "NstR"), "is not made from"); /* a hook */
  REFUSED(DICT(REBUILD ")R"), "is not made by _rebuild_tensor_v2 from six arguments");
  REFUSED(DICT("ctorch\nByteStorage\n)R"), "is not made by _rebuild_tensor_v2");
  REFUSED(DICT("ctorch._utils\n_rebuild_parameter\nN\x88" HOOKS "\x87R"), "is not a tensor");
  REFUSED(DICT("ctorch._utils\n_rebuild_parameter\nctorch._utils\n_rebuild_parameter\n" GOOD "\x88" HOOKS
               "\x87R\x88" HOOKS "\x87R"),
          "is not made by");
  ACCEPTED(DICT("ctorch._utils\n_rebuild_parameter\n" GOOD "\x88" HOOKS "\x87R"), 6, "\0\1\2\3\4\5");
  REFUSED("\x80\x02}(" TEXT1("a") GOOD TEXT1("a") GOOD "u.", "the tensor a is there twice");
  REFUSED("\x80\x02}" TEXT1("\0") GOOD "s.", "a key of the dict is not a text in UTF-8 without zero characters");
  REFUSED("\x80\x02}" TEXT1("\xff") GOOD "s.", "a key of the dict is not a text in UTF-8");
  REFUSED("\x80\x02}q\0" TEXT1("a") "h\0s.", "another dict under a"); /* itself */
}

Test(torch_bin, a_pickle_cannot_make_us_allocate_without_end) {
  static char program[65536];
  size_t size = 0;
  unsigned char *block;
  TensorFile file;
  put_bytes((unsigned char *)program, &size, "\x80\x02}(", 4);
  put_bytes((unsigned char *)program, &size, "X\xe8\x03\0\0", 5); /* a name of 1000 letters */
  memset(program + size, 'n', 1000);
  size += 1000;
  put_bytes((unsigned char *)program, &size, "q\0", 2);
  put_bytes((unsigned char *)program, &size, GOOD "q\x01", sizeof GOOD - 1 + 2);
  for (int i = 0; i < 2000; i++)
    put_bytes((unsigned char *)program, &size, "h\0h\x01", 4);
  put_bytes((unsigned char *)program, &size, "u.", 2);
  static Made made;
  put_entry(&made, "m/data.pkl", program, size, (Oddity){0});
  put_entry(&made, "m/data/0", "\0\1\2\3\4\5", 6, (Oddity){0});
  put_end(&made, true);
  Status status = parse_archive(&made, &file, &block);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "too short for the names and shapes of 2001 tensors");
  free(block);
}

Test(torch_bin, programs_that_are_not_state_dicts_are_refused) {
  REFUSED("", "byte 0: this is not a pickle");
  REFUSED("}.", "this is not a pickle");
  REFUSED("\x80\x03}.", "the pickle has protocol 3");
  REFUSED("\x80\x02", "the pickle is cut off");
  REFUSED("\x80\x02}", "byte 3: the pickle is cut off");
  REFUSED("\x80\x02.", "does not end with one value");
  REFUSED("\x80\x02(.", "does not end with one value");
  REFUSED("\x80\x02}}.", "does not end with one value");
  REFUSED("\x80\x02}.}", "something after the pickle");
  REFUSED("\x80\x02N.", "something other than a dict of tensors");
  REFUSED("\x80\x02"
          "cos\nsystem\n" TEXT1("x") "\x85R.",
          "os.system is not allowed: this reader runs no code");
  REFUSED("\x80\x02"
          "cbuiltins\neval\n.",
          "builtins.eval is not allowed");
  REFUSED("\x80\x02"
          "ctorch._utils \n_rebuild_tensor_v2\n.",
          "torch._utils ._rebuild_tensor_v2 is not allowed");
  REFUSED("\x80\x02"
          "ctorch._utils _rebuild_tensor_v2\n\n.",
          "is not allowed");
  REFUSED("\x80\x02"
          "cos\x1b\nx\ny\n.",
          "os?.x is not allowed");
  REFUSED("\x80\x02"
          "ccollections\nOrderedDict\nN\x85R.",
          "OrderedDict is called with arguments");
  REFUSED("\x80\x02"
          "ios\nsystem\n.",
          "the instruction 0x69 is not allowed");
  REFUSED("\x80\x02"
          "\x93.",
          "the instruction 0x93 is not allowed");
  REFUSED("\x80\x02]q\0.", "the instruction 0x5d is not allowed");
  REFUSED("\x80\x02N)R.", "something is called that is not a function");
  REFUSED("\x80\x02" REBUILD "NR.", "something is called that is not a function");
  REFUSED("\x80\x02NNNs.", "items are put into something that is not a dict");
  REFUSED("\x80\x02(NNs.", "items are put into something that is not a dict");
  REFUSED("\x80\x02N}b.", "attributes are given to something other than a dict");
  REFUSED("\x80\x02}Nb.", "attributes are given to something other than a dict");
}

Test(torch_bin, programs_that_find_too_little_are_refused) {
  static const char *const programs[] = {"\x85.", "N\x86.", "(\x85.", "NN\x87.", "t.",       "s.",    "NNs.", "}NNNu.",
                                         "}(Nu.", "(u.",    "u.",     "R.",      ")R.",      "(R.",   "(NR.", "Q.",
                                         "(Q.",   "b.",     "}b.",    "(}b.",    "}(N\x86.", "}N(s.", "N(b."};
  char program[32] = "\x80\x02";
  for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
    strcpy(program + 2, programs[i]);
    expect_pickle_refused(program, strlen(program), "finds too little on the stack");
  }
  REFUSED("\x80\x02q\0.", "finds too little on the stack");
  REFUSED("\x80\x02(q\0.", "finds too little on the stack");
  REFUSED("\x80\x02}h\0.", "the value number 0 is not remembered");
  REFUSED("\x80\x02}j\xff\xff\xff\xff.", "the value number 4294967295 is not remembered");
  REFUSED("\x80\x02}r\xff\xff\xff\xff.", "is remembered as number 4294967295, more than there can be");
  REFUSED("\x80\x02}q\x09.", "is remembered as number 9");
  REFUSED("\x80\x02}h", "cut off");
  REFUSED("\x80\x02X\xff\xff\xff\xff.", "cut off");
  REFUSED("\x80\x02X\x02\0\0\0a", "cut off");
  REFUSED("\x80\x02"
          "cos\nsystem",
          "cut off");
  REFUSED("\x80\x02"
          "cos",
          "cut off");
}

Test(torch_bin, a_pickle_may_end_anywhere_without_harm) {
  static const char whole[] = "\x80\x02}(" TEXT1("a") GOOD "q\0r\x01\0\0\0M\x01\0J\x01\0\0\0\x8a\x01\x01u.";
  for (size_t size = 0; size < sizeof whole - 1; size++)
    expect_pickle_refused(whole, size, "made: data.pkl, byte");
}

/* ---- Archives ---- */

static void expect_archive_refused(Made *made, const char *part) {
  TensorFile file;
  unsigned char *block;
  put_end(made, false);
  Status status = parse_archive(made, &file, &block);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, part);
  free(block);
}

Test(torch_bin, an_archive_must_be_one_of_torch) {
  Made made = {0};
  TensorFile file;
  put_entry(&made, "data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){0});
  put_entry(&made, "a/b/data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){0});
  expect_archive_refused(&made, "made: a zip file, but not one of torch: there is no data.pkl in it");
  made = (Made){0};
  put_entry(&made, "a/data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){0});
  put_entry(&made, "b/data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){0});
  expect_archive_refused(&made, "there are two data.pkl in the archive");
  made = (Made){0};
  put_entry(&made, "a/data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){.crc = 1});
  expect_archive_refused(&made, "data.pkl does not agree with its checksum");
  made = (Made){0};
  put_entry(&made, "a/data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){0});
  put_entry(&made, "a/byteorder", "big", 3, (Oddity){0});
  expect_archive_refused(&made, "its numbers are not little-endian");
  made = (Made){0};
  put_entry(&made, "a/data.pkl", DICT(GOOD), sizeof DICT(GOOD) - 1, (Oddity){0});
  put_entry(&made, "b/data/0", "\0\1\2\3\4\5", 6, (Oddity){0});
  expect_archive_refused(&made, "has the storage 0, which the file lacks");
  cr_expect_eq(torch_bin_open(&file, scratch_path("none")).code, STATUS_INPUT);
  expect_contains(torch_bin_open(&file, scratch_text("empty", "")).message, "not a sound zip file");
  expect_contains(torch_bin_verify(scratch_text("empty", "")).message, "not a sound zip file");
}

Test(torch_bin, a_pickle_larger_than_any_is_refused) {
  const PickleValue *tree;
  Arena memory;
  Status status = pickle_parse(&tree, &memory, "made", NULL, LARGEST_PICKLE + 1, (const char *[]){NULL});
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "data.pkl has 16777217 bytes, more than the 16777216 allowed");
}
