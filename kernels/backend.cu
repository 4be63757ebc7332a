/* backend.cu: the table of a backend, and its scratch memory. */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "product.h"

namespace SEESAW_BACKEND {

static OpsTable table_of(const char *name, bool host) {
  OpsTable table = {};
  table.name = name;
  table.host = host;
  table.alloc = device_alloc;
  table.free = device_free;
  table.write = device_write;
  table.read = device_read;
  table.status = device_status;
#define FILL(operation) table.operation = operation;
  KERNEL_OPERATIONS(FILL)
#undef FILL
  return table;
}

/* NaN, so that a sum that a kernel reads and never wrote shows: fresh memory is zeros, which sums hide. */
static Status scratch_poison(const Ops *ops) {
  const size_t size = SCRATCH * sizeof(float);
  void *bytes = malloc(size);
  if (!bytes)
    return status_error(STATUS_MEMORY, "not enough memory for %zu bytes of NaN", size);
  memset(bytes, 0xff, size);
  device_write(ops, state_of(ops)->scratch, bytes, size);
  free(bytes);
  return status_ok();
}

Status backend_open(Ops *ops, Dtype real, State *state, const char *name, bool host) {
  static OpsTable table;
  void *scratch;
  if (real != DTYPE_F32 && real != DTYPE_BF16)
    return status_error(STATUS_USAGE, "the %s backend computes in F32 or BF16, not in %s", name, dtype_name(real));
  table = table_of(name, host);
  ops->table = &table;
  ops->real = real;
  ops->state = state;
  TRY(device_alloc(ops, SCRATCH * sizeof(float), &scratch));
  state->scratch = static_cast<float *>(scratch);
  TRY(scratch_poison(ops));
  return product_open(ops);
}

void backend_close(Ops *ops) {
  product_close(ops);
  if (state_of(ops)->scratch)
    device_free(ops, state_of(ops)->scratch);
}

} // namespace SEESAW_BACKEND
