/* test_optimiser.c: steps of the optimiser against a few lines in double; what does not move keeps its bytes. */
#include "optimiser.h"

#include <stdlib.h>

#include "c.h"
#include "runs.h"

typedef struct World {
  Ops ops;
  Model model;
  Store store;
  Optimiser optimiser;
} World;

/* working: the type of the working copies; DTYPE_COUNT: there are none. */
static void begin_narrow(World *w, Dtype real, Dtype working, int threads, unsigned groups) {
  ModelConfig config;
  *w = (World){0};
  assert_ok(config_preset("tiny", &config));
  assert_ok(c_open(&w->ops, real, threads));
  assert_ok(model_alloc(&w->model, &config));
  assert_ok(store_random(&w->store, &w->ops, &w->model, 0.2, 5));
  if (working != DTYPE_COUNT)
    assert_ok(store_narrow(&w->store, working));
  assert_ok(store_train(&w->store, groups));
  assert_ok(optimiser_alloc(&w->optimiser, &w->store));
}

static void begin_world(World *w, Dtype real, int threads, unsigned groups) {
  begin_narrow(w, real, DTYPE_COUNT, threads, groups);
}

static void end_world(World *w) {
  optimiser_free(&w->optimiser);
  store_free(&w->store);
  model_free(&w->model);
  c_close(&w->ops);
}

/* Gradients of normal numbers, another draw for every seed. */
static void draw_gradients(World *w, double spread, uint32_t seed) {
  for (size_t i = 0; i < w->optimiser.count; i++) {
    Tensor d = w->optimiser.slots[i].d;
    normal_fill(&w->ops, d, rng_make(seed, RNG_TEST, (uint32_t)i), 0, spread);
  }
}

static double *copy_of(Tensor tensor) {
  size_t count = tensor_count(tensor);
  double *numbers = malloc(count * sizeof *numbers);
  for (size_t i = 0; i < count; i++)
    numbers[i] = tensor_get(tensor, i);
  return numbers;
}

/* One parameter by the textbook. */
typedef struct Peer {
  double *p, *m, *v;
} Peer;

static void step_peer(Peer *peer, const Slot *slot, const AdamW *rule) {
  double n = (double)rule->step, root1 = 1.0 - pow(rule->beta1, n), root2 = 1.0 - pow(rule->beta2, n);
  for (size_t i = 0; i < tensor_count(slot->w); i++) {
    double g = rule->factor * tensor_get(slot->d, i);
    peer->m[i] = rule->beta1 * peer->m[i] + (1.0 - rule->beta1) * g;
    peer->v[i] = rule->beta2 * peer->v[i] + (1.0 - rule->beta2) * g * g;
    double decay = slot->entry.rank > 1 ? rule->decay * peer->p[i] : 0.0;
    peer->p[i] -= rule->rate * (peer->m[i] / root1 / (sqrt(peer->v[i] / root2) + rule->epsilon) + decay);
  }
}

/* Is the value p, or p rounded to its type? */
static void expect_rounded(const Slot *slot, int step) {
  uint64_t room;
  Tensor one = tensor_1(&room, slot->w.dtype, 1);
  for (size_t i = 0; i < tensor_count(slot->w); i++) {
    tensor_set(one, 0, tensor_get(slot->p, i));
    cr_assert_eq(tensor_get(slot->w, i), tensor_get(one, 0), "%s [%zu], step %d", slot->entry.name, i, step);
  }
}

static double squares(Tensor x) {
  double sum = 0.0;
  for (size_t i = 0; i < tensor_count(x); i++)
    sum += tensor_get(x, i) * tensor_get(x, i);
  return sum;
}

enum { GROUPS = 1 << GROUP_MLP | 1 << GROUP_COMPRESSION | 1 << GROUP_GATE };

static OptimiserRule rule_of_step(int step) {
  OptimiserRule rule = optimiser_rule();
  rule.decay = 0.03;
  rule.clip = 2.5;
  rule.rate[GROUP_MLP] = 0.01 * (1 + step);
  rule.rate[GROUP_COMPRESSION] = step % 2 == 0 ? 0.002 : 0.0;
  rule.measure = step != 1;
  return rule;
}

/* Several steps, the compression in every other one only, the gate in none. */
static void against_peers(Dtype real, Dtype working, double tolerance) {
  World w;
  begin_narrow(&w, real, working, 2, GROUPS);
  Peer peers[64];
  cr_assert_leq(w.optimiser.count, 64);
  for (size_t i = 0; i < w.optimiser.count; i++) {
    size_t count = tensor_count(w.optimiser.slots[i].p);
    peers[i] = (Peer){copy_of(w.optimiser.slots[i].p), calloc(count, sizeof(double)), calloc(count, sizeof(double))};
  }
  for (int step = 0; step < 5; step++) {
    OptimiserRule rule = rule_of_step(step);
    double all[GROUP_COUNT] = {0}, norm = 0.0, before[GROUP_COUNT] = {0}, change[GROUP_COUNT] = {0};
    draw_gradients(&w, step == 3 ? 1e-4 : 0.1, (uint32_t)step);
    for (size_t i = 0; i < w.optimiser.count; i++)
      all[w.optimiser.slots[i].entry.group] += squares(w.optimiser.slots[i].d);
    norm = sqrt(all[GROUP_MLP] + (rule.rate[GROUP_COMPRESSION] > 0 ? all[GROUP_COMPRESSION] : 0.0));
    OptimiserReport report = optimiser_step(&w.optimiser, &rule);
    cr_expect_eq(report.bad, GROUP_COUNT);
    expect_within(relative(report.norm, norm), tolerance, "norm");
    expect_within(relative(report.gradient[GROUP_MLP], sqrt(all[GROUP_MLP])), tolerance, "norm of the MLP");
    cr_expect_eq(report.gradient[GROUP_GATE], 0.0);
    for (size_t i = 0; i < w.optimiser.count; i++) {
      const Slot *slot = &w.optimiser.slots[i];
      AdamW one = {
          .rate = rule.rate[slot->entry.group], .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = rule.decay};
      one.step = slot->entry.group == GROUP_MLP ? (uint64_t)step + 1 : (uint64_t)step / 2 + 1;
      one.factor = fmin(1.0, rule.clip / (norm + 1e-6));
      double *old = malloc(tensor_count(slot->w) * sizeof *old);
      memcpy(old, peers[i].p, tensor_count(slot->w) * sizeof *old);
      if (one.rate > 0.0)
        step_peer(&peers[i], slot, &one);
      double *is = copy_of(slot->p);
      expect_rounded(slot, step);
      expect_within(difference(is, peers[i].p, tensor_count(slot->w)), tolerance, "%s, step %d", slot->entry.name,
                    step);
      for (size_t j = 0; j < tensor_count(slot->w); j++) {
        before[slot->entry.group] += old[j] * old[j];
        change[slot->entry.group] += (peers[i].p[j] - old[j]) * (peers[i].p[j] - old[j]);
      }
      free(is);
      free(old);
    }
    for (int group = 0; group < GROUP_COUNT; group++)
      if (rule.measure && rule.rate[group] > 0.0)
        expect_within(relative(report.update[group], sqrt(change[group] / before[group])), 1e2 * tolerance,
                      "update of %s", group_name((Group)group));
      else
        cr_expect_eq(report.update[group], 0.0);
  }
  cr_expect_eq(w.optimiser.steps[GROUP_MLP], 5);
  cr_expect_eq(w.optimiser.steps[GROUP_COMPRESSION], 3);
  cr_expect_eq(w.optimiser.steps[GROUP_GATE], 0);
  for (size_t i = 0; i < w.optimiser.count; i++)
    free(peers[i].p), free(peers[i].m), free(peers[i].v);
  end_world(&w);
}

Test(optimiser, steps_are_those_of_the_textbook) {
  against_peers(DTYPE_F64, DTYPE_COUNT, 1e-12);
  against_peers(DTYPE_F32, DTYPE_COUNT, 2e-6);
}

/* Masters move as the values themselves would; the working copies are the masters rounded. */
Test(optimiser, masters_move_and_their_copies_are_rounded) {
  against_peers(DTYPE_F64, DTYPE_F32, 1e-12);
  against_peers(DTYPE_F32, DTYPE_BF16, 2e-6);
  against_peers(DTYPE_F32, DTYPE_F16, 2e-6);
}

Test(optimiser, only_what_is_coarser_has_a_master) {
  World w;
  begin_narrow(&w, DTYPE_F32, DTYPE_BF16, 1, GROUPS);
  size_t masters = 0;
  for (size_t i = 0; i < w.optimiser.count; i++) {
    const Slot *slot = &w.optimiser.slots[i];
    bool narrow = slot->entry.rank > 1 && !slot->entry.input;
    cr_expect_eq(slot->w.dtype, narrow ? DTYPE_BF16 : DTYPE_F32, "%s", slot->entry.name);
    cr_expect_eq(slot_copy(slot).data, narrow ? slot->w.data : NULL, "%s", slot->entry.name);
    cr_expect(slot->p.dtype == DTYPE_F32 && slot->m.dtype == DTYPE_F32 && slot->d.dtype == DTYPE_F32);
    masters += narrow;
  }
  cr_expect(masters > 0 && masters < w.optimiser.count);
  end_world(&w);
}

/* Steps too small for BF16 to show add up in the master. */
Test(optimiser, small_steps_are_not_lost) {
  World w;
  begin_narrow(&w, DTYPE_F32, DTYPE_BF16, 1, 1 << GROUP_MLP);
  Slot *slot = &w.optimiser.slots[0];
  OptimiserRule rule = optimiser_rule();
  float *p = slot->p.data;
  uint16_t *narrow = slot->w.data;
  p[0] = 1.0F;
  narrow[0] = bf16_from_float(1.0F);
  rule.rate[GROUP_MLP] = 1e-4;
  rule.clip = 0.0;
  for (int step = 0; step < 100; step++) {
    for (size_t i = 0; i < w.optimiser.count; i++)
      ops_zero(&w.ops, w.optimiser.slots[i].d);
    *(float *)slot->d.data = 1.0F; /* the same each time: a step of the rate */
    optimiser_step(&w.optimiser, &rule);
    if (step == 10)
      cr_expect_eq(narrow[0], bf16_from_float(1.0F), "BF16 does not show it yet");
  }
  expect_within(fabs(p[0] - 0.99), 1e-5, "the master after 100 steps");
  cr_expect_eq(narrow[0], bf16_from_float(p[0]));
  cr_expect_lt(bf16_to_float(narrow[0]), 1.0F);
  end_world(&w);
}

Test(optimiser, a_group_that_does_not_move_keeps_its_bytes) {
  World w;
  begin_world(&w, DTYPE_F32, 1, GROUPS);
  draw_gradients(&w, 1.0, 3);
  size_t bytes = w.store.gradient_count * sizeof(float);
  OptimiserRule rule = optimiser_rule();
  rule.rate[GROUP_MLP] = rule.rate[GROUP_COMPRESSION] = rule.rate[GROUP_GATE] = 0.1;
  optimiser_step(&w.optimiser, &rule);
  float *old = malloc(3 * bytes), *at = old;
  for (size_t i = 0; i < w.optimiser.count; i++) {
    Tensor tensors[] = {w.optimiser.slots[i].w, w.optimiser.slots[i].m, w.optimiser.slots[i].v};
    for (int k = 0; k < 3; at += tensor_count(tensors[k]), k++)
      memcpy(at, tensors[k].data, tensor_bytes(tensors[k]));
  }
  rule.rate[GROUP_COMPRESSION] = 0.0;
  optimiser_step(&w.optimiser, &rule);
  at = old;
  for (size_t i = 0; i < w.optimiser.count; i++) {
    Slot *slot = &w.optimiser.slots[i];
    Tensor tensors[] = {slot->w, slot->m, slot->v};
    for (int k = 0; k < 3; at += tensor_count(tensors[k]), k++)
      cr_expect_eq(memcmp(at, tensors[k].data, tensor_bytes(tensors[k])) == 0, slot->entry.group == GROUP_COMPRESSION,
                   "%s", slot->entry.name);
  }
  free(old);
  end_world(&w);
}

static void threads_and_measuring(Dtype working) {
  World one, more;
  begin_narrow(&one, DTYPE_F32, working, 1, 1 << GROUP_DECODER);
  begin_narrow(&more, DTYPE_F32, working, 3, 1 << GROUP_DECODER);
  OptimiserRule rule = optimiser_rule();
  rule.rate[GROUP_DECODER] = 0.01;
  for (uint32_t step = 0; step < 3; step++) {
    draw_gradients(&one, 1.0, step);
    draw_gradients(&more, 1.0, step);
    rule.measure = false;
    OptimiserReport a = optimiser_step(&one.optimiser, &rule);
    rule.measure = true;
    OptimiserReport b = optimiser_step(&more.optimiser, &rule);
    cr_expect_eq(a.norm, b.norm);
    cr_expect_gt(b.update[GROUP_DECODER], 0.0);
  }
  for (size_t i = 0; i < one.optimiser.count; i++) {
    Tensor a = one.optimiser.slots[i].w, b = more.optimiser.slots[i].w;
    cr_expect_eq(memcmp(a.data, b.data, tensor_bytes(a)), 0, "%s", one.optimiser.slots[i].entry.name);
    a = one.optimiser.slots[i].p, b = more.optimiser.slots[i].p;
    cr_expect_eq(memcmp(a.data, b.data, tensor_bytes(a)), 0, "%s", one.optimiser.slots[i].entry.name);
  }
  end_world(&one);
  end_world(&more);
}

Test(optimiser, threads_and_measuring_change_no_byte) {
  threads_and_measuring(DTYPE_COUNT);
  threads_and_measuring(DTYPE_BF16);
}

/* NaN and infinity, in the first and the last group: nothing moves, no count goes on. */
Test(optimiser, a_gradient_that_is_not_finite_is_named_and_not_taken) {
  static const double wrong[] = {NAN, INFINITY, -INFINITY};
  World w;
  begin_world(&w, DTYPE_F32, 1, GROUPS);
  OptimiserRule rule = optimiser_rule();
  rule.rate[GROUP_MLP] = rule.rate[GROUP_COMPRESSION] = rule.rate[GROUP_GATE] = 0.1;
  for (size_t i = 0; i < w.optimiser.count; i++) {
    Slot *slot = &w.optimiser.slots[i];
    draw_gradients(&w, 1.0, 3);
    double *old = copy_of(slot->w);
    ((float *)slot->d.data)[tensor_count(slot->d) - 1] = (float)wrong[i % 3];
    OptimiserReport report = optimiser_step(&w.optimiser, &rule);
    cr_expect_eq(report.bad, slot->entry.group, "%s", slot->entry.name);
    double *is = copy_of(slot->w);
    cr_expect_eq(difference(old, is, tensor_count(slot->w)), 0.0);
    free(old);
    free(is);
  }
  cr_expect_eq(w.optimiser.steps[GROUP_MLP], 0);
  /* of two, the first; of a group that does not move, none */
  draw_gradients(&w, 1.0, 3);
  for (size_t i = 0; i < w.optimiser.count; i++)
    *(float *)w.optimiser.slots[i].d.data = NAN;
  cr_expect_eq(optimiser_step(&w.optimiser, &rule).bad, GROUP_GATE);
  rule.rate[GROUP_GATE] = 0.0;
  cr_expect_eq(optimiser_step(&w.optimiser, &rule).bad, GROUP_MLP);
  end_world(&w);
}

/* A group that was not shown has no gradient: with a rate, decay and moments it stays where it is. */
Test(optimiser, a_group_without_any_gradient_does_not_move) {
  World w;
  begin_world(&w, DTYPE_F32, 1, GROUPS);
  OptimiserRule rule = optimiser_rule();
  rule.decay = 0.1;
  rule.rate[GROUP_MLP] = rule.rate[GROUP_COMPRESSION] = 0.1;
  draw_gradients(&w, 1.0, 3);
  optimiser_step(&w.optimiser, &rule);
  double *before = copy_of(w.model.compression.out.w.w);
  draw_gradients(&w, 1.0, 4);
  for (size_t i = 0; i < w.optimiser.count; i++)
    if (w.optimiser.slots[i].entry.group == GROUP_COMPRESSION)
      ops_zero(&w.ops, w.optimiser.slots[i].d);
  optimiser_step(&w.optimiser, &rule);
  double *after = copy_of(w.model.compression.out.w.w);
  cr_expect_eq(difference(before, after, tensor_count(w.model.compression.out.w.w)), 0.0);
  cr_expect(w.optimiser.steps[GROUP_COMPRESSION] == 1 && w.optimiser.steps[GROUP_MLP] == 2);
  free(before);
  free(after);
  end_world(&w);
}

Test(optimiser, without_anything_to_train_does_nothing) {
  World w;
  begin_world(&w, DTYPE_F32, 1, 0);
  OptimiserRule rule = optimiser_rule();
  rule.rate[GROUP_MLP] = 1.0;
  OptimiserReport report = optimiser_step(&w.optimiser, &rule);
  cr_expect(report.norm == 0.0 && report.bad == GROUP_COUNT);
  end_world(&w);
}
