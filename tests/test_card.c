/* test_card.c: the kernels on a GPU, where there is one: every case at its odd shapes, and the tiny model's pass. */
#include "kernel_cases.h"
#include "verify_model.h"

static CasePair open_card(Dtype real) {
  CudaDevice device;
  CasePair pair;
  Status status = cuda_device(&device);
  if (status.code != STATUS_OK)
    cr_skip_test("%s", status.message);
  status = cuda_open(&pair.tested, real);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_assert_eq(c_open(&pair.reference, DTYPE_F64, 1).code, STATUS_OK);
  return pair;
}

static void close_card(CasePair *pair) {
  cuda_close(&pair->tested);
  c_close(&pair->reference);
}

static void every_case_holds(Dtype real) {
  CasePair pair = open_card(real);
  for (size_t i = 0; i < case_count(); i++)
    for (size_t k = 0; k < case_at(i)->shape_count; k++)
      for (int layout = LAYOUT_PLAIN; layout <= LAYOUT_ALIGNED; layout++)
        if (!case_at(i)->shapes[k].real)
          expect_good(case_at(i), &case_at(i)->shapes[k], (Layout)layout, &pair);
  close_card(&pair);
}

Test(card, every_case_holds_in_float) {
  every_case_holds(DTYPE_F32);
}

Test(card, every_case_holds_in_bf16) {
  every_case_holds(DTYPE_BF16);
}

static void model_holds(Dtype real) {
  CasePair pair = open_card(real);
  for (int paper = 0; paper < 2; paper++) {
    ModelVerdict verdict;
    Status status = verify_model(paper, &pair.tested, &pair.reference, 5, 2, &verdict);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_expect(verdict.pass.supported && verdict.pass.good, "%s", verdict.pass.sentence);
    cr_expect(verdict.training.good && verdict.steps == 2, "%s", verdict.training.sentence);
  }
  close_card(&pair);
}

Test(card, the_tiny_model_holds_in_float) {
  model_holds(DTYPE_F32);
}

Test(card, the_tiny_model_holds_in_bf16) {
  model_holds(DTYPE_BF16);
}
