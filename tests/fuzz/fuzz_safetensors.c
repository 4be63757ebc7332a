/* fuzz_safetensors.c: any bytes as a safetensors file: tensors that lie within it, can be found and can be written,
 * or an input error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned read_sum; /* so that reading the numbers is not left out */

static void check_tensor(const TensorFile *file, const NamedTensor *named) {
  size_t bytes = tensor_bytes(named->tensor), number = dtype_bits(named->tensor.dtype) / 8;
  REQUIRE(named->tensor.data != NULL && (uintptr_t)named->tensor.data % (number > 0 ? number : 1) == 0, "not aligned");
  REQUIRE(tensor_file_find(file, named->name) == named, "%s is not found", named->name);
  for (size_t i = 0; i < bytes; i++)
    read_sum += ((const unsigned char *)named->tensor.data)[i];
  if (named->rank <= TENSOR_RANK)
    for (size_t i = 0; i < named->rank; i++)
      REQUIRE(named_size(named, i) == named->tensor.size[i], "size %zu of %s", i, named->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  TensorFile file;
  size_t total = 0;
  Status status = safetensors_parse(&file, "fuzz", data, size);
  if (status.code != STATUS_OK) {
    REQUIRE(status.code == STATUS_INPUT && file.tensors == NULL, "an unexpected failure: %s", status.message);
    return 0;
  }
  for (size_t i = 0; i < file.count; i++) {
    check_tensor(&file, &file.tensors[i]);
    total += tensor_bytes(file.tensors[i].tensor);
  }
  REQUIRE(total <= size, "%zu bytes of %zu", total, size);
  status = safetensors_write("/dev/null", file.tensors, file.count, file.metadata, file.metadata_count, NULL);
  REQUIRE(status.code == STATUS_OK, "%s", status.message);
  tensor_file_close(&file);
  return 0;
}
