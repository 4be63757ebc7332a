/* install.c: the README's example, and a kernel on whatever runs kernels, compiled against the installed library. */
#include <backends.h>
#include <method.h>
#include <problem.h>
#include <reduction.h>
#include <stdio.h>

/* 1 + 2, on the GPU if there is one, else on the stand-in. */
static int add_by_kernel(void) {
  Ops ops;
  void *memory;
  float numbers[2] = {1.0f, 2.0f};
  bool card = cuda_open(&ops, DTYPE_F32).code == STATUS_OK;
  if (!card && stand_in_open(&ops, DTYPE_F32, STAND_IN_FORWARD, 1).code != STATUS_OK)
    return 1;
  if (ops_alloc(&ops, sizeof numbers, &memory).code != STATUS_OK)
    return 1;
  Tensor both = tensor_1(memory, DTYPE_F32, 2);
  ops_write(&ops, memory, numbers, sizeof numbers);
  ops_add(&ops, tensor_1(both.data, DTYPE_F32, 1), tensor_1((float *)both.data + 1, DTYPE_F32, 1));
  ops_read(&ops, numbers, memory, sizeof numbers);
  ops_free(&ops, memory);
  (card ? cuda_close : stand_in_close)(&ops);
  return numbers[0] == 3.0f ? 0 : 1;
}

int main(void) {
  static double u[1000], v[1000];
  Problem problem;
  Minimizer minimizer;
  Measure measure;
  MethodParameters parameters = method_defaults();
  if (problem_bilinear_random(&problem, 1000, 0.3, 1).code != STATUS_OK)
    return 1;
  if (minimizer_alloc(&minimizer, method_find("altgd"), &problem, &parameters).code != STATUS_OK)
    return 1;
  start_gaussian(&problem, 0.1, 1, u, v);
  if (minimizer_set(&minimizer, u, v).code != STATUS_OK)
    return 1;
  for (int i = 0; i < 2000; i++)
    if (minimizer_iterate(&minimizer).code != STATUS_OK)
      return 1;
  problem_measure(&problem, minimizer.u, minimizer.v, &measure);
  printf("loss - optimum = %g\n", measure.excess);
  minimizer_free(&minimizer);
  problem_free(&problem);
  return measure.excess < 1e-12 ? add_by_kernel() : 1;
}
