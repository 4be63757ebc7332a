/* test_kernels_slime.c: mixture.cu, router.cu, cross_entropy.cu and optimiser.cu where the tests of operations do not
 * go: storage in bf16 and rows, samples and lists that take several rounds of a block, on the stand-in; against the C
 * backend in double on the same numbers. */
#include "kernel_cases.h"

#include <math.h>

/* ---- longer shapes than the cases' own ---- */

static const int32_t locals[] = {0, 3, 3, 3003}, texts[] = {0, 2, 5, 24};

static const CaseShape longer[] = {
    {"expert_mix", {"two experts, two rounds", .n = {2, 3, 4100}}},
    {"expert_mix", {"groups of experts", .n = {7, 2, 1030}}},
    {"router_score", {"long", .n = {301, 1, 0}, .samples = 3, .first = locals, .second = texts}},
    {"router_select", {"thousands", .n = {90}, .samples = 3, .first = locals}},
    {"router_select", {"thousands alike", .n = {90, 5}, .samples = 3, .first = locals}},
    {"cross_entropy", {"several strips", .n = {3, 5, SANITIZED_OR(9001, 17001), 2}}},
    {"sum_squares", {"several blocks", .n = {5, 2101}}},
    {"adamw", {"several blocks", .n = {3, 1003, 2, 3}}},
};

static void as_the_c_backend(Dtype real, StandInOrder order) {
  CasePair pair = cases_open(real, order);
  expect_shapes(longer, sizeof longer / sizeof *longer, &pair);
  cases_close(&pair);
}

Test(kernels_slime, float_is_as_the_c_backend) {
  as_the_c_backend(DTYPE_F32, STAND_IN_REVERSE);
}

Test(kernels_slime, bf16_is_as_the_c_backend) {
  as_the_c_backend(DTYPE_BF16, STAND_IN_RANDOM);
}

/* ---- what a kernel cannot stop for, and what its host can ---- */

static float some[64];

/* A label past the last class makes its row's loss and gradient NaN; nothing beyond the row is read. */
Test(kernels_slime, a_label_of_no_class_is_not_a_number) {
  Ops ops;
  cr_assert_eq(stand_in_open(&ops, DTYPE_F32, STAND_IN_FORWARD, 3).code, STATUS_OK);
  int32_t label[2] = {2, 3};
  float x[2] = {1, 2}, w[3] = {1, 0, -1}, loss[2], lse[2], work[6], dx[2] = {0};
  Tensor rows = tensor_2(x, DTYPE_F32, 2, 1), weight = tensor_2(w, DTYPE_F32, 3, 1);
  Tensor of_loss = tensor_1(loss, DTYPE_F32, 2), of_lse = tensor_1(lse, DTYPE_F32, 2);
  Tensor labels = tensor_1(label, DTYPE_I32, 2), block = tensor_2(work, DTYPE_F32, 2, 3);
  cross_entropy_fwd(&ops, of_loss, of_lse, rows, weight, labels, block);
  cross_entropy_bwd(&ops, tensor_2(dx, DTYPE_F32, 2, 1), TENSOR_NONE, rows, weight, labels, of_lse, 1.0, block);
  cr_expect(isfinite(loss[0]) && isfinite(dx[0]));
  cr_expect(isnan(loss[1]) && isnan(dx[1]) && isfinite(lse[1]));
  stand_in_close(&ops);
}

static void many_experts(void) {
  Ops ops;
  cr_assert_eq(stand_in_open(&ops, DTYPE_F32, STAND_IN_FORWARD, 3).code, STATUS_OK);
  const size_t cube[] = {257, 0, 1};
  Tensor z = tensor_2(some, DTYPE_F32, 0, 257), y = tensor_2(some, DTYPE_F32, 0, 1);
  expert_mix_fwd(&ops, y, z, z, tensor_make(some, DTYPE_F32, 3, cube), 0.0);
}

static void long_sample(void) {
  static const int32_t offsets[] = {0, 20000};
  static float score[20000];
  static int32_t kept[20000];
  int32_t ends[2];
  Ops ops;
  cr_assert_eq(stand_in_open(&ops, DTYPE_F32, STAND_IN_FORWARD, 3).code, STATUS_OK);
  Ragged ragged = {.count = 1, .rows = 20000, .longest = 20000, .host = offsets};
  ragged.offsets = tensor_1((void *)(uintptr_t)offsets, DTYPE_I32, 2);
  router_select(&ops, tensor_1(kept, DTYPE_I32, 20000), tensor_1(ends, DTYPE_I32, 2), tensor_1(score, DTYPE_F32, 20000),
                0.5, &ragged);
}

Test(kernels_slime, what_is_too_large_stops) {
  expect_stops(many_experts, "expert_mix: 257 experts, of at most 256");
  expect_stops(long_sample, "router_select: a sample of 20000 local tokens, of at most 16384");
}
