/* test_kernel_cases.c: the cases of operations: they cover the table, the C backend in float passes them, and faults
 * that are planted in one slot are found and named. */
#include "cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends.h"
#include "c.h"
#include "runs.h"
#include "sanitized.h"
#include "scratch.h"
#include "verify_model.h"

typedef struct Pair {
  Ops tested, reference;
  OpsTable table; /* the tested one's, to be broken */
} Pair;

static const OpsTable *right_table;

static void open_pair(Pair *pair) {
  assert_ok(c_open(&pair->tested, DTYPE_F32, 1));
  assert_ok(c_open(&pair->reference, DTYPE_F64, 1));
  right_table = pair->tested.table;
  pair->table = *right_table;
  pair->tested.table = &pair->table;
}

static void close_pair(Pair *pair) {
  pair->tested.table = right_table;
  c_close(&pair->tested);
  c_close(&pair->reference);
}

static const Case *find(const char *operation, const char *direction) {
  for (size_t i = 0; i < case_count(); i++)
    if (strcmp(case_at(i)->operation, operation) == 0 && strcmp(case_at(i)->direction, direction) == 0)
      return case_at(i);
  cr_assert_fail("no case %s %s", operation, direction);
  return NULL;
}

static const Shape *shape_of(const Case *c, const char *name) {
  for (size_t i = 0; i < c->shape_count; i++)
    if (strcmp(c->shapes[i].name, name) == 0)
      return &c->shapes[i];
  cr_assert_fail("%s has no shape %s", c->operation, name);
  return NULL;
}

/* ---- the table ---- */

Test(cases, cover_every_slot) {
  for (size_t slot = offsetof(OpsTable, linear_fwd); slot < sizeof(OpsTable); slot += sizeof(void (*)(void))) {
    bool found = false;
    for (size_t i = 0; i < case_count(); i++)
      found = found || case_at(i)->slot == slot;
    cr_expect(found, "the slot at byte %zu of OpsTable has no case", slot);
  }
}

Test(cases, have_odd_and_real_shapes_and_no_two_names_alike) {
  char left[64], right[64];
  for (size_t i = 0; i < case_count(); i++) {
    const Case *c = case_at(i);
    size_t odd = 0, real = 0;
    for (size_t k = 0; k < c->shape_count; k++)
      ++*(c->shapes[k].real ? &real : &odd);
    cr_expect(odd >= 3 && real >= 1, "%s: %zu odd, %zu real shapes", case_print(c, left), odd, real);
    for (size_t k = 0; k < i; k++)
      cr_expect_str_neq(case_print(c, left), case_print(case_at(k), right));
  }
}

/* Every piece of every shape, without its numbers; bytes and names. */
Test(cases, know_their_size) {
  const Case *c = find("swiglu", "bwd");
  char text[128];
  cr_expect_eq(case_numbers(c, shape_of(c, "odd"), DTYPE_F32), 7.0 * 61.0 * 5.0);
  cr_expect_str_eq(shape_print(shape_of(c, "odd"), text), "odd (7, 61)");
  Workload w;
  Ops none = {0};
  case_begin(c, &w, shape_of(c, "odd"), LAYOUT_VIEW, DTYPE_BF16, &none, 1);
  cr_expect_eq(workload_bytes(&w), 7.0 * 61.0 * 2.0 * 5.0, "x, dy, dx");
  workload_free(&w);
  case_begin(c, &w, shape_of(c, "added"), LAYOUT_VIEW, DTYPE_BF16, &none, 1);
  cr_expect_eq(workload_bytes(&w), 6.0 * 67.0 * 2.0 * 7.0, "x, dy, and dx twice");
  for (size_t i = 0; i < w.count; i++)
    for (size_t k = 0; k < piece_count(&w.piece[i]); k++)
      cr_assert_eq(number_round(DTYPE_BF16, w.piece[i].numbers[k]), w.piece[i].numbers[k], "bf16 as it is stored");
  workload_free(&w);
}

/* ---- the C backend in float beside double ---- */

Test(cases, hold_for_the_c_backend_in_float) {
  Pair pair;
  open_pair(&pair);
  for (size_t i = 0; i < case_count(); i++)
    for (size_t k = 0; k < case_at(i)->shape_count; k++)
      for (int layout = LAYOUT_PLAIN; layout <= LAYOUT_ALIGNED; layout++) {
        const Case *c = case_at(i);
        Verdict verdict;
        if (c->shapes[k].real)
          continue;
        assert_ok(verify_case(c, &c->shapes[k], (Layout)layout, &pair.tested, &pair.reference, 3, &verdict));
        cr_expect(verdict.good && verdict.worst <= 1.0, "%s %s, %s: %s", c->operation, c->direction, c->shapes[k].name,
                  verdict.sentence);
      }
  close_pair(&pair);
}

/* ---- the kernels, on the stand-in ---- */

typedef struct Orders {
  Ops reference, tested[STAND_IN_ORDERS];
} Orders;

static Orders open_orders(Dtype real) {
  Orders orders;
  assert_ok(c_open(&orders.reference, DTYPE_F64, 1));
  for (int order = 0; order < STAND_IN_ORDERS; order++)
    assert_ok(stand_in_open(&orders.tested[order], real, (StandInOrder)order, 3));
  return orders;
}

static void close_orders(Orders *orders) {
  for (int order = 0; order < STAND_IN_ORDERS; order++)
    stand_in_close(&orders->tested[order]);
  c_close(&orders->reference);
}

/* Right in every order, and the same bytes. */
static void expect_in_orders(const Case *c, const Shape *shape, Layout layout, const Orders *orders) {
  Verdict first, verdict;
  char text[64];
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    assert_ok(verify_case(c, shape, layout, &orders->tested[order], &orders->reference, 3, &verdict));
    cr_expect(verdict.supported && verdict.good && verdict.worst <= 1.0, "%s, %s, layout %d, order %d: %s",
              case_print(c, text), shape->name, (int)layout, order, verdict.sentence);
    if (order == STAND_IN_FORWARD)
      first = verdict;
    cr_expect_arr_eq(&verdict.digest, &first.digest, sizeof first.digest,
                     "%s, %s, layout %d: order %d gives other bytes", case_print(c, text), shape->name, (int)layout,
                     order);
  }
}

/* With sanitizers only numbers at odd addresses, and no large shapes. */
static void hold_in_every_order(const Case *c, const Orders *orders) {
  enum { LARGE = 3000 };
  for (size_t k = 0; k < c->shape_count; k++) {
    const Shape *shape = &c->shapes[k];
    if (shape->real || (SANITIZED && case_numbers(c, shape, orders->tested[0].real) > LARGE))
      continue;
    for (int layout = SANITIZED ? LAYOUT_VIEW : LAYOUT_PLAIN; layout <= (SANITIZED ? LAYOUT_VIEW : LAYOUT_ALIGNED);
         layout++)
      expect_in_orders(c, shape, (Layout)layout, orders);
  }
}

/* Opened for each case, which finds scratch memory as nobody left it. */
static void all_hold_in_every_order(Dtype real) {
  for (size_t i = 0; i < case_count(); i++) {
    Orders orders = open_orders(real);
    hold_in_every_order(case_at(i), &orders);
    close_orders(&orders);
  }
}

Test(kernels, hold_in_float_in_every_order) {
  all_hold_in_every_order(DTYPE_F32);
}

Test(kernels, hold_in_bf16_in_every_order) {
  all_hold_in_every_order(DTYPE_BF16);
}

/* ---- planted faults ---- */

static Verdict verdict_of(Pair *pair, const char *operation, const char *direction, const char *shape) {
  const Case *c = find(operation, direction);
  Verdict verdict;
  assert_ok(verify_case(c, shape_of(c, shape), LAYOUT_VIEW, &pair->tested, &pair->reference, 1, &verdict));
  return verdict;
}

static void expect_found(Pair *pair, const char *operation, const char *direction, const char *sentence) {
  Verdict verdict = verdict_of(pair, operation, direction, "odd");
  cr_expect(!verdict.good && !(verdict.worst <= 1.0), "%s %s: not found", operation, direction);
  expect_contains(verdict.sentence, sentence);
}

static float *number_at(Tensor x, size_t i, size_t j) {
  return (float *)x.data + i * x.pitch + j;
}

static void element_wrong(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  *number_at(y, 3, 5) += 1e-4F;
}

/* By a bit, which every tolerance allows. */
static void element_off(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  float *number = number_at(y, 6, 60);
  *number = nextafterf(*number, INFINITY);
}

static void element_nan(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  *number_at(y, 2, 1) = (float)sqrt(-1.0);
}

static void row_untouched(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, tensor_rows(y, 0, y.size[0] - 1), tensor_rows(x, 0, x.size[0] - 1));
}

static void nothing_done(const Ops *ops, Tensor y, Tensor x) {
  (void)ops, (void)y, (void)x;
}

static void beyond_a_row(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  *number_at(y, 4, y.size[1]) = 0.0F;
}

static void beyond_the_end(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  *number_at(y, y.size[0], 7) = 0.0F;
}

static void before_the_start(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  ((float *)y.data)[-1] = 0.0F;
}

static void input_changed(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  *number_at(x, 1, 1) = 0.5F;
}

Test(faults, of_an_element_are_found_and_named) {
  static const struct {
    void (*slot)(const Ops *ops, Tensor y, Tensor x);
    const char *sentence;
  } faults[] = {
      {element_wrong, "y: 1 of 427 numbers are out of tolerance (0 NaN); the first, (3, 5)"},
      {element_nan, "y: 1 of 427 numbers are out of tolerance (1 NaN); the first, (2, 1)"},
      {row_untouched, "y: 61 of 427 numbers were not written; the first is (6, 0)"},
      {nothing_done, "y: 427 of 427 numbers were not written"},
      {beyond_a_row, "y: bytes beside the tensor"},
      {beyond_the_end, "y: bytes beside the tensor"},
      {before_the_start, "y: bytes beside the tensor"},
      {input_changed, "x: number 123 was changed, though it is only read"},
  };
  Pair pair;
  open_pair(&pair);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    pair.table.swiglu_fwd = faults[i].slot;
    expect_found(&pair, "swiglu", "fwd", faults[i].sentence);
  }
  close_pair(&pair);
}

/* The smallest of them, too. */
Test(faults, change_the_digest) {
  Pair pair;
  open_pair(&pair);
  Verdict first = verdict_of(&pair, "swiglu", "fwd", "odd"), again = verdict_of(&pair, "swiglu", "fwd", "odd");
  cr_expect_arr_eq(&again.digest, &first.digest, sizeof first.digest);
  pair.table.swiglu_fwd = element_off;
  again = verdict_of(&pair, "swiglu", "fwd", "odd");
  cr_expect(again.good, "%s", again.sentence);
  cr_expect_arr_neq(&again.digest, &first.digest, sizeof first.digest);
  close_pair(&pair);
}

/* A gradient that is overwritten instead of added to is found, because it starts from known numbers; one that is added
 * to instead of set, because it starts as NaN. */
static void overwritten(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  (void)write;
  right_table->swiglu_bwd(ops, dx, dy, x, WRITE_SET);
}

static void added(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  (void)write;
  right_table->swiglu_bwd(ops, dx, dy, x, WRITE_ADD);
}

/* A status that a kernel's fault left. */
static Status faulty(const Ops *ops) {
  (void)ops;
  return status_error(STATUS_UNAVAILABLE, "kernel norm, block 3: a barrier that 2 threads never reach");
}

Test(faults, of_a_gradient_and_of_a_device) {
  Pair pair;
  open_pair(&pair);
  pair.table.swiglu_bwd = overwritten;
  Verdict verdict = verdict_of(&pair, "swiglu", "bwd", "added");
  cr_expect(!verdict.good && !(verdict.worst <= 1.0));
  expect_contains(verdict.sentence, "dx: ");
  cr_expect(verdict_of(&pair, "swiglu", "bwd", "odd").good, "there it is right");
  pair.table.swiglu_bwd = added;
  expect_found(&pair, "swiglu", "bwd", "dx: ");
  pair.table.swiglu_bwd = right_table->swiglu_bwd;
  pair.table.status = faulty;
  expect_found(&pair, "swiglu", "bwd", "a barrier that 2 threads never reach");
  close_pair(&pair);
}

static void one_more(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals) {
  right_table->router_select(ops, kept, offsets, score, gamma + 0.1, locals);
}

static void fewer(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals) {
  right_table->router_select(ops, kept, offsets, score, 0.3 * gamma, locals);
}

static void another(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals) {
  right_table->router_select(ops, kept, offsets, score, gamma, locals);
  int32_t *rows = kept.data; /* the last kept row of the last sample moves to the last row, or away from it */
  rows[((int32_t *)offsets.data)[locals->count] - 1] = (int32_t)locals->rows - (rows[0] == 0 ? 1 : 2);
}

static void offsets_forgotten(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma,
                              const Ragged *locals) {
  right_table->router_select(ops, kept, offsets, score, gamma, locals);
  ((int32_t *)offsets.data)[locals->count] = INT32_MIN;
}

Test(faults, of_a_choice_are_found) {
  Pair pair;
  open_pair(&pair);
  pair.table.router_select = one_more;
  expect_found(&pair, "router_select", "fwd", "rows are kept, should be");
  pair.table.router_select = another;
  expect_found(&pair, "router_select", "fwd", "sample 3: ");
  pair.table.router_select = offsets_forgotten;
  expect_found(&pair, "router_select", "fwd", "offsets: 1 of 5 numbers were not written");
  pair.table.router_select = NULL;
  cr_expect_not(verdict_of(&pair, "router_select", "fwd", "odd").supported);
  close_pair(&pair);
}

/* Three rows of 0.5, 0.3, 0.2: at gamma 0.8 the sum of the first two decides, within rounding. */
Test(choices, are_free_only_within_the_tolerance) {
  const int32_t locals[] = {0, 3};
  const double score[] = {0.5, 0.3, 0.2}, two[] = {0, 1}, three[] = {0, 1, 2}, others[] = {0, 2};
  const double to_two[] = {0, 2}, to_three[] = {0, 3};
  Choice choice = {.samples = 1,
                   .locals = locals,
                   .score = score,
                   .gamma = 0.8,
                   .units = 1e-6,
                   .kept = three,
                   .offsets = to_three,
                   .right = two,
                   .right_offsets = to_two};
  size_t doubtful;
  char text[300];
  cr_expect(choice_check(&choice, &doubtful, text, sizeof text));
  cr_expect_eq(doubtful, 1);
  choice.gamma = 0.79;
  cr_expect_not(choice_check(&choice, &doubtful, text, sizeof text), "0.01 is no rounding");
  choice.kept = others;
  choice.offsets = to_two;
  cr_expect_not(choice_check(&choice, &doubtful, text, sizeof text), "0.2 instead of 0.3");
  choice.kept = choice.right;
  cr_expect(choice_check(&choice, &doubtful, text, sizeof text) && doubtful == 0);
}

/* ---- the model ---- */

static ModelVerdict model_verdict(Pair *pair, bool paper) {
  ModelVerdict verdict;
  assert_ok(verify_model(paper, &pair->tested, &pair->reference, 5, 2, &verdict));
  return verdict;
}

/* With one slot of the table replaced. */
#define MODEL_WITH(pair, slot, wrong)                                                                                  \
  ((pair)->table = *right_table, (pair)->table.slot = (wrong), model_verdict(pair, false))

Test(model, holds_for_the_c_backend_in_float) {
  Pair pair;
  open_pair(&pair);
  for (int paper = 0; paper < 2; paper++) {
    ModelVerdict verdict = model_verdict(&pair, paper);
    cr_expect(verdict.pass.good && verdict.pass.worst <= 1.0, "%s", verdict.pass.sentence);
    cr_expect(verdict.training.good && verdict.training.worst <= 1.0, "%s", verdict.training.sentence);
    cr_expect(verdict.compared > 100 && verdict.steps == 2, "%zu tensors, %zu steps", verdict.compared, verdict.steps);
  }
  close_pair(&pair);
}

/* Of many wrong tensors the first is named. */
static void swiglu_too_large(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  right_table->scale(ops, y, 1.01);
}

static void swiglu_much_too_large(const Ops *ops, Tensor y, Tensor x) {
  right_table->swiglu_fwd(ops, y, x);
  right_table->scale(ops, y, 1.5);
}

static void swiglu_gradient_nan(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  right_table->swiglu_bwd(ops, dx, dy, x, write);
  *number_at(dx, 0, 0) = NAN;
}

static void adamw_backwards(const Ops *ops, Tensor p, Tensor m, Tensor v, Tensor gradient, Tensor copy,
                            const AdamW *rule) {
  AdamW wrong = *rule;
  wrong.rate = -rule->rate;
  right_table->adamw(ops, p, m, v, gradient, copy, &wrong);
}

Test(model, names_the_first_tensor_that_differs) {
  Pair pair;
  open_pair(&pair);
  ModelVerdict verdict = MODEL_WITH(&pair, swiglu_fwd, swiglu_too_large);
  cr_expect_not(verdict.pass.good);
  expect_contains(verdict.pass.sentence, "layers.0");
  verdict = MODEL_WITH(&pair, swiglu_bwd, swiglu_gradient_nan);
  cr_expect(!verdict.pass.good && isinf(verdict.pass.worst));
  expect_contains(verdict.pass.sentence, "layers.1");
  expect_contains(verdict.pass.sentence, "NaN); the first, (0, 0), is");
  verdict = MODEL_WITH(&pair, adamw, adamw_backwards);
  cr_expect(verdict.pass.good && !verdict.training.good);
  expect_contains(verdict.training.sentence, "the loss of step 2");
  close_pair(&pair);
}

/* The kernels themselves, on the stand-in, with activations and working copies in BF16. */
Test(model, holds_for_the_kernels_in_bf16) {
  Ops tested, reference;
  ModelVerdict verdict;
  assert_ok(stand_in_open(&tested, DTYPE_BF16, STAND_IN_FORWARD, 3));
  assert_ok(c_open(&reference, DTYPE_F64, 1));
  assert_ok(verify_model(false, &tested, &reference, 5, SANITIZED_OR(0, 2), &verdict));
  cr_expect(verdict.pass.good && verdict.pass.worst <= 1.0, "%s", verdict.pass.sentence);
  cr_expect(verdict.training.good && verdict.training.worst <= 1.0, "%s", verdict.training.sentence);
  right_table = tested.table;
  OpsTable wrong = *right_table;
  wrong.swiglu_fwd = swiglu_much_too_large;
  tested.table = &wrong;
  assert_ok(verify_model(false, &tested, &reference, 5, 0, &verdict));
  cr_expect_not(verdict.pass.good);
  expect_contains(verdict.pass.sentence, "decoder.layers.0");
  tested.table = right_table;
  stand_in_close(&tested);
  c_close(&reference);
}

Test(model, finds_a_wrong_route_and_lacking_operations) {
  Pair pair;
  open_pair(&pair);
  ModelVerdict verdict = MODEL_WITH(&pair, router_select, fewer);
  cr_expect_not(verdict.pass.good);
  expect_contains(verdict.pass.sentence, "router_select: sample ");
  cr_expect_not(MODEL_WITH(&pair, rope, NULL).pass.supported);
  close_pair(&pair);
}
