/* install.c: the README's example, compiled against the installed library. */
#include <method.h>
#include <problem.h>
#include <reduction.h>
#include <stdio.h>

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
  return measure.excess < 1e-12 ? 0 : 1;
}
