/* test_choose.cu: a card's products as they are, over a stand-in of the library and the device. */
#define SEESAW_BACKEND cuda
#include "kernel.h" /* before the stand-in of the library, which names a stream */

#include "../kernels/card/choose.cu"
#include "../kernels/card/product.cu"

Library library;
char choose_output[16], choose_other[16];
static OpsTable table;
static cuda::State state;

namespace cuda {

Status device_alloc(const Ops *, size_t bytes, void **memory) {
  *memory = nullptr;
  if (library.without_memory)
    return status_error(STATUS_MEMORY, "not enough memory on the stand-in: %zu bytes were asked for", bytes);
  *memory = malloc(1);
  library.alive++;
  return status_ok();
}

void device_free(const Ops *, void *memory) {
  library.alive--;
  free(memory);
}

} // namespace cuda

extern "C" Status cuda_device(CudaDevice *device) {
  *device = CudaDevice();
  snprintf(device->name, sizeof device->name, "Stand-in");
  return status_ok();
}

void choose_open(Ops *ops) {
  *ops = Ops();
  ops->table = &table;
  ops->state = &state;
  library = Library();
  library.offered = 8;
  for (int i = 0; i < ALGORITHMS; i++)
    library.cost[i] = 10 + i;
  REQUIRE(cuda::product_open(ops).code == STATUS_OK, "the stand-in does not open");
}

void choose_close(Ops *ops) {
  cuda::product_close(ops);
  cuda::product_close(ops);
}

void choose_product(const Ops *ops, size_t m, Onto onto) {
  static char a[16], b[16];
  Tensor d = tensor_2(choose_output, DTYPE_BF16, m, 8), other = tensor_2(choose_other, DTYPE_BF16, m, 8);
  Tensor c = onto == ONTO_ITSELF ? d : onto == ONTO_ANOTHER ? other : Tensor();
  cuda::product(ops, {d, c, tensor_2(a, DTYPE_BF16, m, 24), tensor_2(b, DTYPE_BF16, 24, 8), false, false, nullptr});
}

Status choose_status(const Ops *ops) {
  return cuda::product_status(ops);
}
