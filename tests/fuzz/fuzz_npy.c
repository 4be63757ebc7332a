/* fuzz_npy.c: any bytes as a .npy file: an array with finite elements and the right count, or an input error. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  NpyArray array;
  Status status = npy_parse("fuzz", data, size, &array);
  if (status.code != STATUS_OK) {
    REQUIRE(status.code == STATUS_INPUT && array.data == NULL, "an unexpected failure: %s", status.message);
    return 0;
  }
  size_t count = 1;
  for (size_t i = 0; i < array.rank; i++)
    count *= array.shape[i];
  REQUIRE(count == array.count && count <= size, "%zu elements of %zu in %zu bytes", array.count, count, size);
  for (size_t i = 0; i < count; i++)
    REQUIRE(isfinite(array.data[i]), "element %zu", i);
  npy_free(&array);
  return 0;
}
