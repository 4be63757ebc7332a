/* test_slime.c: the whole model: gradients against differences in double, and identities that hold whatever the
 * weights. */
#include "slime.h"

#include <stdio.h>
#include <stdlib.h>

#include "c.h"
#include "gradients.h"
#include "runs.h"
#include "sanitized.h"
#include "store.h"

/* ---- a small world: four samples that differ in all that they may differ in ---- */

enum { SAMPLES = 4, IDS = 16, VIEWS = 10 };

/* Tiles: 2 x 1, none, (no picture), 2 x 2. */
static const int32_t ids[SAMPLES][IDS] = {
    {1, IMAGE_TOKEN, 7, 8, 9, 10, 11, 12},
    {1, 20, IMAGE_TOKEN, 21, 22, 23},
    {1, 30, 31, 32, 33},
    {1, 40, 41, IMAGE_TOKEN, 42, 43, 44, 45, 46},
};
static const int32_t labels[SAMPLES][IDS] = {
    {-100, -100, -100, -100, -100, 10, 11, 12},
    {-100, -100, -100, -100, 22, 23},
    {-100, -100, 31, -100, 33},
    {-100, -100, -100, -100, -100, -100, 44, -100, 46},
};
static const Conversation all_samples[SAMPLES] = {
    {.count = 8, .ids = ids[0], .labels = labels[0], .question = 2, .question_count = 3, .columns = 2, .rows = 1},
    {.count = 6, .ids = ids[1], .labels = labels[1], .question = 3, .question_count = 1},
    {.count = 5, .ids = ids[2], .labels = labels[2]},
    {.count = 9, .ids = ids[3], .labels = labels[3], .question = 4, .question_count = 2, .columns = 2, .rows = 2},
};

typedef struct World {
  Ops ops;
  Model model;
  Store store;
  SlimeTape tape;
  Run run;
  Conversation samples[SAMPLES];
  Batch batch;
  double *pictures; /* VIEWS of them: of the samples in turn, the global view and its tiles */
  void *chosen;     /* the batch's, in its order and type */
} World;

static size_t picture_count(const ModelConfig *config) {
  return 3 * config->vision.picture * config->vision.picture;
}

/* Where a sample's views start among all. */
static size_t first_view(size_t sample) {
  static const size_t first[SAMPLES] = {0, 3, 4, 4};
  return first[sample];
}

/* The batch of the chosen samples: global views first, then tiles. */
static void choose(World *w, const size_t *which, size_t count) {
  size_t size = picture_count(&w->model.config), views = 0;
  bool wide = w->ops.real == DTYPE_F64;
  free(w->chosen);
  w->chosen = malloc(VIEWS * size * sizeof(double));
  for (int tiles = 0; tiles < 2; tiles++)
    for (size_t i = 0; i < count; i++) {
      const Conversation *s = &all_samples[which[i]];
      w->samples[i] = *s;
      size_t first = first_view(which[i]) + (size_t)tiles, many = tiles ? s->columns * s->rows : which[i] != 2;
      if ((tiles ? w->model.config.local : w->model.config.global) == BRIDGE_NONE)
        many = 0;
      for (size_t j = first * size; j < (first + many) * size; j++, views++)
        if (wide)
          ((double *)w->chosen)[views] = w->pictures[j];
        else
          ((float *)w->chosen)[views] = (float)w->pictures[j];
    }
  size_t sizes[4] = {views / size, 3, w->model.config.vision.picture, w->model.config.vision.picture};
  w->batch = (Batch){.count = count, .samples = w->samples};
  w->batch.pictures = views > 0 ? tensor_make(w->chosen, w->ops.real, 4, sizes) : TENSOR_NONE;
  assert_ok(batch_check(&w->model.config, &w->batch));
}

static const size_t everyone[SAMPLES] = {0, 1, 2, 3};

static ModelConfig tiny(void) {
  ModelConfig config;
  assert_ok(config_preset("tiny", &config));
  assert_ok(config_check(&config));
  return config;
}

static void begin_world(World *w, const ModelConfig *config, Dtype real, int threads, unsigned groups) {
  *w = (World){0};
  assert_ok(c_open(&w->ops, real, threads));
  assert_ok(model_alloc(&w->model, config));
  assert_ok(store_random(&w->store, &w->ops, &w->model, 0.15, 5));
  assert_ok(store_train(&w->store, groups));
  assert_ok(slime_tape_alloc(&w->tape, config));
  w->pictures = malloc(VIEWS * picture_count(config) * sizeof *w->pictures);
  fill_normal(w->pictures, VIEWS * picture_count(config), 1.0, 3);
  choose(w, everyone, SAMPLES);
}

static void end_world(World *w) {
  run_free(&w->run);
  slime_tape_free(&w->tape);
  store_free(&w->store);
  model_free(&w->model);
  c_close(&w->ops);
  free(w->pictures);
  free(w->chosen);
}

/* A forward in memory of exactly the measured size. */
static double forward(World *w, bool training) {
  size_t trained;
  if (!w->run.base || w->run.training != training) {
    run_free(&w->run);
    assert_ok(run_alloc(&w->run, &w->ops, slime_measure(&w->model, &w->batch, &w->tape, w->ops.real, training, NULL)));
    w->run.training = training;
  }
  w->run.seed = 9;
  w->run.step = 4;
  run_reset(&w->run);
  return slime_forward(&w->run, &w->model, &w->batch, &w->tape, &trained);
}

/* ---- gradients ---- */

enum { ALL_GROUPS = (1 << GROUP_COUNT) - 1 };

/* Every parameter is probed, in as many places; with sanitizers the norms alone, after the same passes. */
static void check_gradients(const ModelConfig *config, size_t probes, const char *what) {
  World w;
  begin_world(&w, config, DTYPE_F64, 1, ALL_GROUPS);
  GradientCheck check = {.match = SANITIZED ? "norm" : NULL, .probes = probes, .seed = 9};
  assert_ok(gradients_check(&w.store, &w.batch, &check));
  cr_expect(check.checked >= probes * (SANITIZED ? 10 : 70), "%s: only %zu numbers were checked", what, check.checked);
  cr_expect(check.worst <= 1e-7, "%s: relative error %g at %s", what, check.worst, check.at);
  end_world(&w);
}

Test(gradients, of_the_released_model) {
  ModelConfig config = tiny();
  check_gradients(&config, 3, "released");
}

Test(gradients, of_the_paper_s_model) {
  ModelConfig config = tiny();
  config.switches = switches_paper();
  check_gradients(&config, 3, "paper");
}

/* Every way in which views become tokens, with and without the router. */
Test(gradients, of_the_treatments) {
  ModelConfig config = tiny();
  config.local = BRIDGE_MLP; /* LLaVA-HD */
  check_gradients(&config, 1, "LLaVA-HD");
  config = tiny();
  config.global = BRIDGE_FORMER; /* Monkey */
  config.global_queries = 4;
  check_gradients(&config, 1, "Monkey");
  config = tiny();
  config.global = BRIDGE_MLP; /* LLaVA-1.5 */
  config.local = BRIDGE_NONE;
  check_gradients(&config, 1, "baseline");
  config = tiny();
  config.global = BRIDGE_NONE;
  config.switches.gamma = 1.0;
  check_gradients(&config, 1, "local only");
  config = tiny();
  config.decoder.tied = true;
  config.switches.router_history = ROUTER_TWO_SOFTMAX;
  check_gradients(&config, 1, "tied, two softmaxes");
}

/* B starts at zero: there the update changes nothing, and A has no gradient; so B is moved away first. */
static void fill_b(void *context, const Entry *entry) {
  (void)context;
  Tensor w = entry->parameter->w;
  if (strstr(entry->name, "lora_B"))
    fill_normal(w.data, tensor_count(w), 0.1, tensor_count(w));
}

Test(gradients, of_low_rank_updates) {
  ModelConfig config = tiny();
  World w;
  begin_world(&w, &config, DTYPE_F64, 1, 0);
  double without = forward(&w, false);
  end_world(&w);
  config.lora_rank = 3;
  config.lora_alpha = 4.5;
  begin_world(&w, &config, DTYPE_F64, 1, 1 << GROUP_LORA);
  cr_expect_eq(forward(&w, false), without, "a new update changes nothing");
  model_walk(&w.model, fill_b, NULL);
  cr_expect_neq(forward(&w, false), without);
  GradientCheck check = {.probes = SANITIZED ? 1 : 3, .seed = 9};
  assert_ok(gradients_check(&w.store, &w.batch, &check));
  cr_expect_eq(check.checked, 2 * 7 * 2 * check.probes);
  cr_expect(check.worst <= 1e-7, "relative error %g at %s", check.worst, check.at);
  end_world(&w);
}

/* The checker is checked: with an operation whose backward is a little wrong, does nothing, or gives NaN. */
static const OpsTable *right_table;

static void bit_too_much(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  right_table->swiglu_bwd(ops, dx, dy, x, write);
  right_table->scale(ops, dx, 1.0 + 1e-5);
}

static void nothing(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  (void)ops, (void)dx, (void)dy, (void)x, (void)write;
}

static void not_a_number(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write) {
  right_table->swiglu_bwd(ops, dx, dy, x, write);
  *(double *)dx.data = NAN;
}

Test(gradients, that_are_wrong_are_found) {
  void (*const wrong[])(const Ops *, Tensor, Tensor, Tensor, Write) = {bit_too_much, nothing, not_a_number};
  ModelConfig config = tiny();
  for (int i = 0; i < 3; i++) {
    World w;
    begin_world(&w, &config, DTYPE_F64, 1, ALL_GROUPS);
    OpsTable table = *w.ops.table;
    right_table = w.ops.table;
    table.swiglu_bwd = wrong[i];
    w.ops.table = &table;
    GradientCheck check = {.match = "mlp.gate_proj", .probes = 3};
    assert_ok(gradients_check(&w.store, &w.batch, &check));
    cr_expect(!(check.worst <= 1e-7), "fault %d was not found: %g", i, check.worst);
    w.ops.table = right_table;
    end_world(&w);
  }
}

Test(gradients, are_added_and_frozen_groups_have_none) {
  ModelConfig config = tiny();
  World w;
  begin_world(&w, &config, DTYPE_F64, 1, 1 << GROUP_COMPRESSION);
  cr_expect_null(w.model.adapter.fc1.w.d.data);
  cr_expect_null(w.model.decoder.embedding.d.data);
  cr_expect_null(w.model.compression.position.d.data, "a fixed table");
  forward(&w, true);
  store_zero(&w.store);
  slime_backward(&w.run, &w.model, &w.tape, 0);
  Tensor gradient = w.model.compression.out.w.d;
  double *once = malloc(tensor_bytes(gradient));
  memcpy(once, gradient.data, tensor_bytes(gradient));
  forward(&w, true);
  slime_backward(&w.run, &w.model, &w.tape, 0);
  for (size_t i = 0; i < tensor_count(gradient); i++) /* the order of additions differs */
    cr_assert_lt(fabs(((double *)gradient.data)[i] - 2 * once[i]), 1e-12 * (1 + fabs(once[i])));
  free(once);
  end_world(&w);
}

/* ---- identities ---- */

/* The loss of each trained token, in the order of the samples. */
static size_t losses(World *w, const size_t *which, size_t count, double *out) {
  choose(w, which, count);
  run_free(&w->run);
  forward(w, false);
  for (size_t i = 0; i < w->tape.loss.size[0]; i++)
    out[i] = tensor_get(w->tape.loss, i);
  return w->tape.loss.size[0];
}

/* A sample alone comes to the same bytes as among others: nothing is padded. */
static void check_alone(const ModelConfig *config, Dtype real) {
  World w;
  double together[64], alone[64];
  size_t count = 0;
  begin_world(&w, config, real, 2, 0);
  size_t all = losses(&w, everyone, SAMPLES, together);
  for (size_t i = 0; i < SAMPLES; i++)
    count += losses(&w, &i, 1, alone + count);
  cr_assert_eq(all, count);
  cr_expect(difference(together, alone, count) <= (real == DTYPE_F64 ? 1e-13 : 2e-5), "%g",
            difference(together, alone, count));
  const size_t turned[SAMPLES] = {2, 0, 3, 1};
  cr_assert_eq(losses(&w, turned, SAMPLES, together), count);
  cr_expect(difference(together, alone + 3 + 2, 2) <= (real == DTYPE_F64 ? 1e-13 : 2e-5), "turned round");
  end_world(&w);
}

Test(identities, a_sample_alone_is_the_sample_in_a_batch) {
  ModelConfig config = tiny();
  check_alone(&config, DTYPE_F64);
  check_alone(&config, DTYPE_F32);
}

static void expect_same_gradients(World *one, World *other) {
  World *const worlds[] = {one, other};
  for (int i = 0; i < 2; i++) {
    forward(worlds[i], true);
    store_zero(&worlds[i]->store);
    slime_backward(&worlds[i]->run, &worlds[i]->model, &worlds[i]->tape, 0);
  }
  cr_assert_eq(one->store.gradient_count, other->store.gradient_count);
  cr_expect(memcmp(one->store.gradients, other->store.gradients, one->store.gradient_count * sizeof(float)) == 0);
}

Test(identities, any_number_of_threads_gives_the_same_bytes) {
  ModelConfig config = tiny();
  World one, many;
  begin_world(&one, &config, DTYPE_F32, 1, ALL_GROUPS);
  begin_world(&many, &config, DTYPE_F32, 3, ALL_GROUPS);
  expect_same_gradients(&one, &many);
  end_world(&one);
  end_world(&many);
}

/* What backward computes again is what forward computed; it takes less memory, as measured dry. */
Test(identities, recomputed_layers_give_the_same_bytes) {
  ModelConfig config = tiny();
  World all, some;
  double work[3] = {0};
  size_t bytes[3];
  begin_world(&all, &config, DTYPE_F32, 1, ALL_GROUPS);
  begin_world(&some, &config, DTYPE_F32, 1, ALL_GROUPS);
  cr_assert_geq(config.decoder.layers, 2);
  for (size_t recomputed = 0; recomputed <= 2; recomputed++) {
    some.tape.decoder.recomputed = recomputed;
    bytes[recomputed] = slime_measure(&some.model, &some.batch, &some.tape, DTYPE_F32, true, &work[recomputed]);
    run_free(&some.run);
    expect_same_gradients(&all, &some);
    cr_expect_eq(work[recomputed], work[0]);
    cr_expect(recomputed == 0 || bytes[recomputed] < bytes[0], "%zu bytes with %zu layers recomputed, %zu with none",
              bytes[recomputed], recomputed, bytes[0]);
  }
  end_world(&all);
  end_world(&some);
}

/* ---- views ---- */

/* The loss with only some views shown is that of a configuration without the others. */
static void check_shown(Views views, const ModelConfig *config) {
  World all, only;
  ModelConfig whole = tiny();
  begin_world(&all, &whole, DTYPE_F64, 1, 0);
  begin_world(&only, config, DTYPE_F64, 1, 0);
  Model model = all.model, own = only.model;
  Batch batch = all.batch;
  all.batch = only.batch; /* the pictures that are shown */
  all.model = model_showing(&model, views);
  only.model = model; /* random numbers depend on which parameters there are */
  only.model.config = *config;
  cr_expect_eq(forward(&all, false), forward(&only, false), "views %d", (int)views);
  all.model = model;
  all.batch = batch;
  only.model = own;
  end_world(&only);
  end_world(&all);
}

Test(views, shown_alone_are_a_model_without_the_others) {
  ModelConfig config = tiny();
  config.local = BRIDGE_NONE;
  check_shown(VIEWS_GLOBAL, &config);
  config = tiny();
  config.global = BRIDGE_NONE;
  check_shown(VIEWS_LOCAL, &config);
}

Test(views, none_need_no_pictures) {
  ModelConfig config = tiny();
  World w;
  begin_world(&w, &config, DTYPE_F64, 1, 0);
  Model model = w.model;
  w.model = model_showing(&model, VIEWS_NONE);
  w.batch.pictures = TENSOR_NONE;
  assert_ok(batch_check(&w.model.config, &w.batch));
  cr_expect_gt(forward(&w, false), 0.0);
  w.model = model;
  cr_expect_eq(batch_check(&w.model.config, &w.batch).code, STATUS_INPUT);
  end_world(&w);
}

/* ---- predictions ---- */

Test(predictions, are_the_tokens_of_least_loss) {
  ModelConfig config = tiny();
  World w;
  int32_t best[64], rewritten[64];
  begin_world(&w, &config, DTYPE_F64, 1, 0);
  forward(&w, false);
  run_reset(&w.run);
  size_t count = slime_predict(&w.run, &w.model, &w.batch, &w.tape, best, 64);
  cr_assert_eq(count, w.tape.sequence.supervised);
  /* with these as labels no other label has a smaller loss */
  Conversation *samples = w.samples;
  size_t taken = 0;
  for (size_t i = 0; i < SAMPLES; i++) {
    int32_t *changed = rewritten + taken;
    memcpy(changed, samples[i].labels, samples[i].count * sizeof *changed);
    taken += samples[i].count;
    samples[i].labels = changed;
  }
  double chosen[64], other[64];
  for (int shift = 0; shift < 3; shift++) {
    size_t next = 0;
    for (size_t i = 0; i < SAMPLES; i++)
      for (size_t j = 1; j < samples[i].count; j++)
        if (samples[i].labels[j] >= 0)
          ((int32_t *)samples[i].labels)[j] = (best[next++] + shift) % (int32_t)config.decoder.vocabulary;
    cr_assert_eq(next, count);
    forward(&w, false);
    for (size_t i = 0; i < count; i++)
      other[i] = tensor_get(w.tape.loss, i);
    for (size_t i = 0; i < count && shift > 0; i++)
      cr_expect_leq(chosen[i], other[i], "place %zu", i);
    if (shift == 0)
      memcpy(chosen, other, sizeof chosen);
  }
  end_world(&w);
}

/* A pass takes exactly what the dry pass measured (forward asserts that it fits), and its bytes are all used. */
Test(memory, is_what_a_dry_pass_measures) {
  ModelConfig config = tiny();
  World w;
  begin_world(&w, &config, DTYPE_F32, 1, ALL_GROUPS);
  config.switches.gamma = w.model.config.switches.gamma = 1.0; /* less is kept, less is used */
  forward(&w, true);
  slime_backward(&w.run, &w.model, &w.tape, 0);
  cr_expect_eq(w.run.most, w.run.capacity);
  end_world(&w);
}

/* ---- what is observed ---- */

static void see_gate(void *context, const char *name, Tensor tensor) {
  size_t *seen = context;
  for (size_t i = 0; strcmp(name, "global.gate") == 0 && i < tensor_count(tensor); i++)
    *seen += tensor_get(tensor, i) == 0.5;
}

/* The gates start at zero, so each expert counts half. */
Test(observed, a_new_gate_weighs_both_experts_alike) {
  ModelConfig config = tiny();
  World w;
  size_t halves = 0, trained;
  config.switches.gate_epsilon = 0.0;
  begin_world(&w, &config, DTYPE_F64, 1, 0);
  assert_ok(run_alloc(&w.run, &w.ops, slime_measure(&w.model, &w.batch, &w.tape, DTYPE_F64, false, NULL)));
  w.run.observe = see_gate;
  w.run.context = &halves;
  slime_forward(&w.run, &w.model, &w.batch, &w.tape, &trained);
  cr_expect_eq(halves, 3 * 16 * 2, "%zu", halves);
  cr_expect_eq(trained, 9);
  end_world(&w);
}

/* ---- samples that do not fit ---- */

static Status check_changed(World *w, Conversation sample) {
  w->samples[0] = sample;
  return batch_check(&w->model.config, &w->batch);
}

Test(batch, that_does_not_fit_is_refused) {
  static const int32_t two[] = {1, IMAGE_TOKEN, IMAGE_TOKEN}, large[] = {1, 320}, negative[] = {1, -7};
  ModelConfig config = tiny();
  World w;
  begin_world(&w, &config, DTYPE_F32, 1, 0);
  Conversation sample = all_samples[0];
  sample.ids = two, sample.count = 3, sample.labels = NULL;
  expect_refused(check_changed(&w, sample), STATUS_INPUT, "sample 0 has 2 pictures");
  sample.ids = large, sample.count = 2;
  expect_refused(check_changed(&w, sample), STATUS_INPUT, "token 1 is 320, but the vocabulary has 320");
  sample.ids = negative;
  expect_refused(check_changed(&w, sample), STATUS_INPUT, "token 1 is -7");
  sample = all_samples[0];
  sample.labels = large, sample.count = 2;
  expect_refused(check_changed(&w, sample), STATUS_INPUT, "label 1 is 320");
  sample = all_samples[0];
  sample.question_count = 7;
  expect_refused(check_changed(&w, sample), STATUS_INPUT, "the question lies outside its 8 tokens");
  sample = all_samples[0];
  sample.columns = 3;
  expect_refused(check_changed(&w, sample), STATUS_INPUT, "needs 10 views (3 global, 7 tiles), but has 9");
  end_world(&w);
}
