/* test_kernels_linear.c: linear.cu where the tests of operations do not go: storage in bf16, rows that take a block
 * several rounds, bias gradients in several strips, weights that scratch memory does not hold at once. */
#include "kernel_cases.h"

/* Rows, inputs, outputs, onto (1: y itself, 2: another), without bias, type of the weight (1: bf16, 2: fp16). */
static const CaseShape shapes[] = {
    {"linear", {"a row in rounds", .n = {1, 4104, 6}}},
    {"linear", {"few rows in rounds", .n = {4, 2051, 5, 1, 0, 2}}},
    {"linear", {"most of few rows", .n = {8, 300, 9, 2, 1, 1}}},
    {"linear", {"one more", .n = {9, 300, 9, 1, 0, 2}}},
    {"linear", {"no inputs", .n = {3, 0, 5}}},
    {"linear", {"no inputs of many rows", .n = {67, 0, 5, 2}}},
    {"linear", {"no outputs", .n = {9, 5, 0}}},
    {"linear", {"no outputs, converted", .n = {9, 5, 0, 1, 0, 1}}},
    {"linear", {"strips of rows", .n = {515, 3, 9}}},
    {"linear", {"several blocks across", .n = {70, 2, 300}}},
};

static void as_the_c_backend(Dtype real, StandInOrder order) {
  CasePair pair = cases_open(real, order);
  expect_shapes(shapes, sizeof shapes / sizeof *shapes, &pair);
  cases_close(&pair);
}

Test(kernels_linear, float_is_as_the_c_backend) {
  as_the_c_backend(DTYPE_F32, STAND_IN_REVERSE);
}

Test(kernels_linear, bf16_is_as_the_c_backend) {
  as_the_c_backend(DTYPE_BF16, STAND_IN_RANDOM);
}

/* In float scratch memory holds 131 such rows, of which 128 are whole tiles: a block of 128 and one of 7. */
Test(kernels_linear, weights_are_converted_block_by_block) {
  static const Shape shapes_of[] = {{"blocks of weights", .n = {9, 32000, 135, 2, 0, 2}},
                                    {"blocks of weights, set", .n = {9, 32000, 135, 0, 0, 2}}};
  CasePair pair = cases_open(DTYPE_F32, STAND_IN_FORWARD);
  for (size_t i = 0; i < case_count(); i++)
    if (case_at(i)->slot == offsetof(OpsTable, linear_fwd) || case_at(i)->slot == offsetof(OpsTable, linear_bwd_input))
      for (int k = 0; k < 2; k++)
        expect_good(case_at(i), &shapes_of[k], LAYOUT_VIEW, &pair);
  cases_close(&pair);
}

/* ---- what is too large ---- */

enum { LONG = (4 << 20) + 1 }; /* a number more than scratch memory has floats */

static float some[16];

static void long_weights(void) {
  CasePair pair = cases_open(DTYPE_F32, STAND_IN_FORWARD);
  linear_bwd_input(&pair.tested, tensor_2(some, DTYPE_F32, 1, LONG), tensor_2(some, DTYPE_F32, 1, 1),
                   tensor_2(some, DTYPE_F16, 1, LONG), WRITE_SET);
}

static void long_bias(void) {
  CasePair pair = cases_open(DTYPE_F32, STAND_IN_FORWARD);
  linear_bwd_weight(&pair.tested, TENSOR_NONE, tensor_1(some, DTYPE_F32, LONG), tensor_2(some, DTYPE_F32, 1, LONG),
                    tensor_2(some, DTYPE_F32, 1, 1));
}

Test(kernels_linear, rows_that_scratch_memory_cannot_hold_stop) {
  expect_stops(long_weights, "linear: rows of 4194305 weights are too long to be converted");
  expect_stops(long_bias, "linear: rows of 4194305 numbers are too long");
}
