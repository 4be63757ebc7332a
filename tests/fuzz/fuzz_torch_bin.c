/* fuzz_torch_bin.c: any bytes as a file of torch: tensors that lie within it or in copies no larger than it, or an
 * input error. Seeds have no checksums, so that what changes in data.pkl gets past them; to reach the pickle more
 * often, bytes that start with a pickle's first two are put into an archive. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "torch_bin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned read_sum; /* so that reading the numbers is not left out */

static void put(unsigned char **to, uint64_t number, size_t length) {
  for (size_t i = 0; i < length; i++)
    *(*to)++ = (unsigned char)(number >> 8 * i);
}

static void put_bytes(unsigned char **to, const void *bytes, size_t length) {
  memcpy(*to, bytes, length);
  *to += length;
}

static void put_local(unsigned char **to, const char *name, const void *bytes, size_t size) {
  put(to, 0x04034b50, 4);
  memset(*to, 0, 22);
  *to += 22;
  put(to, strlen(name), 4);
  put_bytes(to, name, strlen(name));
  put_bytes(to, bytes, size);
}

static void put_record(unsigned char **to, const char *name, size_t size, size_t at) {
  put(to, 0x02014b50, 4);
  memset(*to, 0, 16);
  *to += 16;
  put(to, size, 4);
  put(to, size, 4);
  put(to, strlen(name), 2);
  memset(*to, 0, 12);
  *to += 12;
  put(to, at, 4);
  put_bytes(to, name, strlen(name));
}

/* An archive of the pickle and one storage of 24 bytes; returns its size. */
static size_t make_archive(unsigned char *bytes, const uint8_t *pickle, size_t size) {
  static const char numbers[24] = "abcdefghijklmnopqrstuvwx";
  unsigned char *to = bytes;
  put_local(&to, "m/data.pkl", pickle, size);
  size_t second = (size_t)(to - bytes);
  put_local(&to, "m/data/0", numbers, sizeof numbers);
  size_t directory = (size_t)(to - bytes);
  put_record(&to, "m/data.pkl", size, 0);
  put_record(&to, "m/data/0", sizeof numbers, second);
  size_t end = (size_t)(to - bytes);
  put(&to, 0x06054b50, 4);
  put(&to, 0, 4);
  put(&to, 2, 2);
  put(&to, 2, 2);
  put(&to, end - directory, 4);
  put(&to, directory, 4);
  put(&to, 0, 2);
  return (size_t)(to - bytes);
}

static void read_archive(const uint8_t *data, size_t size) {
  TensorFile file;
  size_t total = 0;
  Status status = torch_bin_parse(&file, "fuzz", data, size);
  if (status.code != STATUS_OK) {
    REQUIRE(status.code == STATUS_INPUT && file.tensors == NULL, "an unexpected failure: %s", status.message);
    return;
  }
  for (size_t i = 0; i < file.count; i++) {
    const NamedTensor *named = &file.tensors[i];
    size_t bytes = tensor_bytes(named->tensor);
    REQUIRE((uintptr_t)named->tensor.data % (dtype_bits(named->tensor.dtype) / 8) == 0, "not aligned");
    REQUIRE(tensor_file_find(&file, named->name) == named, "%s is not found", named->name);
    REQUIRE(bytes <= size, "%zu bytes of %zu", bytes, size);
    for (size_t k = 0; k < bytes && total < 1 << 20; k++, total++)
      read_sum += ((const unsigned char *)named->tensor.data)[k];
  }
  tensor_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || data[0] != 0x80 || data[1] != 2) {
    read_archive(data, size);
    return 0;
  }
  unsigned char *archive = malloc(size + 512);
  if (archive == NULL)
    return 0;
  size_t made = make_archive(archive, data, size);
  unsigned char *exact = realloc(archive, made);
  read_archive(exact != NULL ? exact : archive, made);
  free(exact != NULL ? exact : archive);
  return 0;
}
