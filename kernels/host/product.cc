/* product.cc: matrix products on the stand-in: loops, in float, each sum in the order of k. */
#include "../product.h"
#include "machine.h"

namespace stand_in {

template <class T> static float number_at(Tensor x, bool turned, size_t i, size_t j) {
  return to_float(static_cast<const T *>(x.data)[turned ? j * x.pitch + i : i * x.pitch + j]);
}

template <class A, class D> static void multiply(const Product &p) {
  for (size_t i = 0; i < p.d.size[0]; i++)
    for (size_t j = 0; j < p.d.size[1]; j++) {
      D *d = static_cast<D *>(p.d.data) + i * p.d.pitch + j;
      float sum = 0.0f;
      for (size_t k = 0; k < product_sum(p); k++)
        sum += number_at<A>(p.a, p.turned_a, i, k) * number_at<A>(p.b, p.turned_b, k, j);
      if (p.c.data)
        sum += to_float(static_cast<const D *>(p.c.data)[i * p.c.pitch + j]);
      if (p.bias)
        sum += to_float(static_cast<const D *>(p.bias)[j]);
      *d = from_float<D>(sum);
    }
}

/* After a fault nothing runs, as on a card. */
void product(const Ops *ops, const Product &p) {
  if (!product_check(p) || machine::machine_status(stream_of(ops)).code != STATUS_OK)
    return;
  if (p.a.dtype == DTYPE_F32)
    multiply<float, float>(p);
  else if (p.d.dtype == DTYPE_F32)
    multiply<bf16, float>(p);
  else
    multiply<bf16, bf16>(p);
}

Status product_open(const Ops *) {
  return status_ok();
}

void product_close(const Ops *) {}

} // namespace stand_in
