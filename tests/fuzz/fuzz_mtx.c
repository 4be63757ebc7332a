/* fuzz_mtx.c: any bytes as a Matrix Market file: triplets within the matrix, or an input error. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "mtx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Triplets triplets;
  Status status = mtx_parse("fuzz", data, size, &triplets);
  if (status.code != STATUS_OK) {
    REQUIRE(status.code == STATUS_INPUT && triplets.value == NULL, "an unexpected failure: %s", status.message);
    return 0;
  }
  REQUIRE(triplets.count <= size, "%zu entries in %zu bytes", triplets.count, size);
  for (size_t i = 0; i < triplets.count; i++)
    REQUIRE(triplets.row[i] < triplets.rows && triplets.column[i] < triplets.columns && isfinite(triplets.value[i]),
            "entry %zu", i);
  mtx_free(&triplets);
  return 0;
}
