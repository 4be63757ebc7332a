/* test_mixed.c: a backend of BF16: which tensors are real and which fine, by dry passes, which check every operation of
 * the model and measure its memory. */
#include <stdlib.h>

#include "operations.h"
#include "runs.h"
#include "store.h"
#include "synthetic.h"

static const Ops bf16 = {.real = DTYPE_BF16}; /* dry */

Test(mixed, fine_is_real_but_for_two_bytes) {
  cr_expect_eq(ops_fine(&(Ops){.real = DTYPE_F32}), DTYPE_F32);
  cr_expect_eq(ops_fine(&(Ops){.real = DTYPE_F64}), DTYPE_F64);
  cr_expect_eq(ops_fine(&bf16), DTYPE_F32);
}

/* ---- single operations ---- */

static unsigned char memory[64];

static Tensor real_1(size_t count) {
  return tensor_1(memory, DTYPE_BF16, count);
}
static Tensor real_2(size_t rows, size_t columns) {
  return tensor_2(memory, DTYPE_BF16, rows, columns);
}
static Tensor fine_1(size_t count) {
  return tensor_1(memory, DTYPE_F32, count);
}
static Tensor fine_2(size_t rows, size_t columns) {
  return tensor_2(memory, DTYPE_F32, rows, columns);
}
static Tensor indices(size_t count) {
  return tensor_1(memory, DTYPE_I32, count);
}

/* What takes either, and weights of any type. */
Test(mixed, some_take_both) {
  Tensor total = tensor_1(memory, DTYPE_F64, 1);
  Tensor both[] = {real_2(2, 3), fine_2(2, 3)};
  for (int i = 0; i < 2; i++) {
    ops_copy(&bf16, both[i], both[i]);
    ops_add(&bf16, both[i], both[i]);
    ops_scale(&bf16, both[i], 2.0);
    ops_zero(&bf16, both[i]);
    normal_fill(&bf16, both[i], rng_make(1, RNG_TEST, 0), 0, 1.0);
    sum_squares(&bf16, total, both[i]);
    linear_fwd(&bf16, real_2(5, 2), real_2(5, 3), both[i], TENSOR_NONE, TENSOR_NONE);
    gather_fwd(&bf16, real_2(5, 3), both[i], indices(5), WRITE_SET);
  }
  static const Dtype copies[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
  for (int i = 0; i < 3; i++)
    adamw(&bf16, fine_1(3), fine_1(3), fine_1(3), fine_1(3), tensor_1(memory, copies[i], 3), &(AdamW){.step = 1});
}

/* Of each operation one tensor of the other type. */
static void coarse_mean(void) {
  layernorm_fwd(&bf16, real_2(2, 3), real_1(2), fine_1(2), real_2(2, 3), real_1(3), real_1(3), 0.0);
}
static void fine_scale(void) {
  layernorm_fwd(&bf16, real_2(2, 3), fine_1(2), fine_1(2), real_2(2, 3), fine_1(3), real_1(3), 0.0);
}
static void coarse_dg(void) {
  rmsnorm_bwd(&bf16, real_2(2, 3), real_1(3), real_2(2, 3), real_2(2, 3), real_1(3), fine_1(2));
}
static void coarse_rstd(void) {
  rmsnorm_fwd(&bf16, real_2(2, 3), real_1(2), real_2(2, 3), real_1(3), 0.0);
}
static void coarse_dw(void) {
  linear_bwd_weight(&bf16, real_2(2, 3), TENSOR_NONE, real_2(5, 2), real_2(5, 3));
}
static void fine_dx(void) {
  linear_bwd_input(&bf16, fine_2(5, 3), real_2(5, 2), real_2(2, 3), WRITE_SET);
}
static void coarse_dtable(void) {
  gather_bwd(&bf16, real_2(4, 3), real_2(5, 3), indices(5));
}
static void coarse_gate(void) {
  noisy_gate_fwd(&bf16, real_2(5, 2), real_2(5, 2), real_2(5, 2), TENSOR_NONE, 0.0);
}
static void fine_raw(void) {
  noisy_gate_bwd(&bf16, real_2(5, 2), real_2(5, 2), fine_2(5, 2), fine_2(5, 2), TENSOR_NONE);
}
static void coarse_share(void) {
  Tensor h = tensor_make(memory, DTYPE_BF16, 3, (const size_t[]){2, 5, 3});
  expert_mix_fwd(&bf16, real_2(5, 3), real_2(5, 2), fine_2(5, 2), h, 0.0);
}
static void coarse_loss(void) {
  cross_entropy_fwd(&bf16, real_1(5), fine_1(5), real_2(5, 3), real_2(4, 3), indices(5), real_2(5, 4));
}
static void fine_work(void) {
  cross_entropy_fwd(&bf16, fine_1(5), fine_1(5), real_2(5, 3), real_2(4, 3), indices(5), fine_2(5, 4));
}
static void coarse_master(void) {
  adamw(&bf16, real_1(3), real_1(3), real_1(3), real_1(3), TENSOR_NONE, &(AdamW){.step = 1});
}
static void half_sum(void) {
  ops_add(&bf16, tensor_1(memory, DTYPE_F16, 3), tensor_1(memory, DTYPE_F16, 3));
}

Test(mixed, the_wrong_type_stops) {
  expect_stop(coarse_mean, "layernorm_fwd: mean is BF16 (2)", "should be F32 (2)");
  expect_stop(fine_scale, "layernorm_fwd: g is F32 (3)", "should be BF16 (3)");
  expect_stop(coarse_dg, "rmsnorm_bwd: dg is BF16 (3)", "should be F32 (3)");
  expect_stop(coarse_rstd, "rmsnorm_fwd: rstd is BF16 (2)", "should be F32 (2)");
  expect_stop(coarse_dw, "linear_bwd_weight: dw is BF16 (2, 3)", "should be F32 (2, 3)");
  expect_stop(fine_dx, "linear_bwd_input: dx is F32 (5, 3)", "should be BF16 (5, 3)");
  expect_stop(coarse_dtable, "gather_bwd: dtable is BF16 (4, 3)", "should be F32 (4, 3)");
  expect_stop(coarse_gate, "noisy_gate_fwd: z is BF16 (5, 2)", "should be F32 (5, 2)");
  expect_stop(fine_raw, "noisy_gate_bwd: raw is F32 (5, 2)", "should be BF16 (5, 2)");
  expect_stop(coarse_share, "expert_mix_fwd: s is BF16 (5, 2)", "should be F32 (5, 2)");
  expect_stop(coarse_loss, "cross_entropy_fwd: loss is BF16 (5)", "should be F32 (5)");
  expect_stop(fine_work, "cross_entropy_fwd: work is F32 (5, 4)", "should be BF16 (5, 4)");
  expect_stop(coarse_master, "adamw: p is BF16 (3)", "should be F32 (3)");
  expect_stop(half_sum, "add: x is F16 (3)", "should be BF16 (3)");
}

/* ---- the whole model ---- */

static void place_nowhere(void *context, const Entry *entry) {
  const Ops *ops = context;
  entry->parameter->w = entry_shape(entry, memory, ops->real);
  entry->parameter->d = entry->fixed ? TENSOR_NONE : entry_shape(entry, memory, ops_fine(ops));
}

/* Bytes of activations of a pass, every parameter trained, the model's own values nowhere. */
static size_t measured(const ModelConfig *config, Dtype real, bool backward) {
  Ops dry = {.real = real};
  Model model;
  Synthetic synthetic;
  SlimeTape tape;
  SyntheticPlan plan = {.count = 4, .text = 9, .answer = 4, .columns = 2, .rows = 2, .without = 1};
  assert_ok(config_check(config));
  assert_ok(model_alloc(&model, config));
  model_walk(&model, place_nowhere, &dry);
  if (config->decoder.tied)
    model.decoder.head = model.decoder.embedding;
  model.frequency = tensor_1(memory, DTYPE_F64, config->decoder.head / 2);
  model.adapter.former.key_position = model.compression.key_position =
      tensor_2(memory, real, config_patches(config), config->vision.width);
  assert_ok(synthetic_make(&synthetic, &dry, config, &plan));
  assert_ok(slime_tape_alloc(&tape, config));
  size_t bytes = slime_measure(&model, &synthetic.batch, &tape, real, backward, NULL);
  slime_tape_free(&tape);
  synthetic_free(&synthetic);
  model_free(&model);
  return bytes;
}

/* Real tensors take half of what they took, fine ones and indices all of it. */
static void expect_less(ModelConfig config, const char *what) {
  for (int paper = 0; paper < 2; paper++)
    for (int backward = 0; backward < 2; backward++) {
      config.switches = paper ? switches_paper() : switches_released();
      size_t single = measured(&config, DTYPE_F32, backward), narrow = measured(&config, DTYPE_BF16, backward);
      cr_expect(narrow < single && 2 * narrow > single, "%s, paper %d, backward %d: %zu bytes, in single %zu", what,
                paper, backward, narrow, single);
    }
}

Test(mixed, a_dry_pass_of_every_treatment_takes_less_memory) {
  static const Bridge globals[] = {BRIDGE_NONE, BRIDGE_MLP, BRIDGE_FORMER, BRIDGE_MIXTURE};
  static const Bridge locals[] = {BRIDGE_NONE, BRIDGE_MLP, BRIDGE_FORMER};
  ModelConfig tiny;
  assert_ok(config_preset("tiny", &tiny));
  for (size_t g = 0; g < 4; g++)
    for (size_t l = g == 0; l < 3; l++) { /* some view is shown */
      ModelConfig config = tiny;
      char what[32];
      config.global = globals[g];
      config.local = locals[l];
      snprintf(what, sizeof what, "global %d, local %d", (int)globals[g], (int)locals[l]);
      expect_less(config, what);
    }
  tiny.lora_rank = 3;
  tiny.lora_alpha = 4.5;
  tiny.decoder.tied = true;
  expect_less(tiny, "tied, with low-rank updates");
}
