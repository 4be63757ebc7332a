/* bench_passes.c: forward passes and steps of models of several shapes over synthetic batches. */
#include <math.h>
#include <stdlib.h>

#include "bench.h"
#include "c.h"
#include "progress.h"

enum { SHAPES = 6 };

/* ---- shapes ---- */

static ModelConfig decoder_shape(size_t width, size_t mlp, size_t vocabulary) {
  ModelConfig config;
  REQUIRE(config_preset("tiny", &config).code == STATUS_OK, "the preset tiny");
  config.decoder = (DecoderConfig){.vocabulary = vocabulary,
                                   .width = width,
                                   .mlp = mlp,
                                   .layers = 4,
                                   .heads = width / 32,
                                   .kv_heads = width / 32,
                                   .head = 32,
                                   .theta = 10000.0,
                                   .epsilon = 1e-5};
  return config;
}

/* Some of CLIP-L's layers on one view; the rest is small. */
static ModelConfig clip_shape(void) {
  ModelConfig config, large;
  REQUIRE(config_preset("tiny", &config).code == STATUS_OK, "the preset tiny");
  REQUIRE(config_preset("llama3-8b", &large).code == STATUS_OK, "the preset llama3-8b");
  config.vision = large.vision;
  config.vision.layers = config.vision.used = 4;
  config.global = BRIDGE_MLP;
  config.local = BRIDGE_NONE;
  return config;
}

ModelConfig bench_llama_layer(void) {
  ModelConfig config, large;
  REQUIRE(config_preset("tiny", &config).code == STATUS_OK, "the preset tiny");
  REQUIRE(config_preset("llama3-8b", &large).code == STATUS_OK, "the preset llama3-8b");
  config.decoder = large.decoder;
  config.decoder.layers = 1;
  config.decoder.vocabulary = 1024;
  return config;
}

static void list_benches(Bench benches[SHAPES]) {
  const SyntheticPlan text = {.count = 8, .text = 250, .answer = 60, .without = 8};
  const unsigned decoder = 1 << GROUP_DECODER;
  const struct {
    const char *name;
    size_t width;
    double target;
  } widths[] = {
      {"decoder, width 128", 128, 0.60}, {"decoder, width 256", 256, 0.75}, {"decoder, width 512", 512, 0.80}};
  benches[0] = (Bench){.name = "decoder, width 96", /* the small experiment's */
                       .config = decoder_shape(96, 256, 640),
                       .batch_plan = {.count = 32, .text = 110, .answer = 30, .without = 32},
                       .groups = decoder};
  for (size_t i = 0; i < 3; i++)
    benches[1 + i] = (Bench){.name = widths[i].name,
                             .config = decoder_shape(widths[i].width, 3 * widths[i].width, 1024),
                             .batch_plan = text,
                             .target = widths[i].target,
                             .groups = decoder};
  benches[4] = (Bench){
      .name = "CLIP-L, 4 layers, a view", .config = clip_shape(), .batch_plan = {.count = 1, .text = 8, .answer = 2}};
  benches[5] = (Bench){.name = "Llama-3-8B, 1 layer",
                       .config = bench_llama_layer(),
                       .batch_plan = {.count = 1, .text = 250, .answer = 60, .without = 1},
                       .groups = 1 << GROUP_MLP};
}

/* ---- passes ---- */

static void pass(Bench *b, Run *run, bool backward) {
  size_t trained;
  run_reset(run);
  run->training = backward;
  slime_forward(run, &b->model, &b->synthetic.batch, &b->tape, &trained);
  if (backward)
    slime_backward(run, &b->model, &b->tape, 0);
}

/* Dry: the bytes of a step, and the operations of both passes. */
static size_t measure(Bench *b) {
  Ops dry = {.real = DTYPE_F32, .operations = &b->forward_operations};
  Run run = run_dry(&dry);
  pass(b, &run, false);
  dry.operations = &b->step_operations;
  pass(b, &run, true);
  run_reset(&run);
  return run.most;
}

Status bench_prepare(Bench *b, int threads) {
  TRY(c_open(&b->ops, DTYPE_F32, threads));
  TRY(model_alloc(&b->model, &b->config));
  TRY(store_random(&b->store, &b->ops, &b->model, 0.02, 1));
  TRY(store_train(&b->store, b->groups));
  TRY(synthetic_make(&b->synthetic, &b->ops, &b->config, &b->batch_plan));
  TRY(slime_tape_alloc(&b->tape, &b->config));
  return run_alloc(&b->run, &b->ops, measure(b));
}

void bench_finish(Bench *b) {
  run_free(&b->run);
  slime_tape_free(&b->tape);
  synthetic_free(&b->synthetic);
  store_free(&b->store);
  model_free(&b->model);
  c_close(&b->ops);
}

static double time_pass(Bench *b, bool backward) {
  double began = clock_seconds();
  if (backward)
    store_zero(&b->store);
  pass(b, &b->run, backward);
  return clock_seconds() - began;
}

/* ---- the work ---- */

static Status time_all(Bench *b, const BenchPlan *plan) {
  time_pass(b, b->groups != 0); /* first touches */
  for (size_t i = 0; i < plan->repeats; i++) {
    double sgemm = limits_sgemm(plan->limits);
    timed_add(&b->forward, time_pass(b, false), b->forward_operations, sgemm);
    if (b->groups)
      timed_add(&b->step, time_pass(b, true), b->step_operations, sgemm);
    TRY(interrupt_check());
  }
  b->forward.torch = b->step.torch = NAN;
  if (b->batch_plan.without > 0)
    torch_decoder(&b->config.decoder, &b->batch_plan, b->groups == 1 << GROUP_DECODER, plan->limits->threads,
                  &b->forward.torch, &b->step.torch);
  return status_ok();
}

static void report(const Bench *b, cJSON *list) {
  timed_print(&b->forward, b->name, "forward", b->target, 0);
  if (b->groups)
    timed_print(&b->step, "", "step", b->target, 0);
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", b->name);
  cJSON_AddNumberToObject(row, "sgemm_flops", spread_of(b->forward.sgemm, b->forward.count).median);
  timed_json(&b->forward, "forward", row);
  timed_json(&b->step, "step", row);
  cJSON_AddItemToArray(list, row);
}

Status bench_passes(const BenchPlan *plan, cJSON *json) {
  Bench *benches = calloc(SHAPES, sizeof *benches);
  cJSON *list = cJSON_AddArrayToObject(json, "passes");
  Progress progress;
  Status status = benches && list ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the bench");
  size_t count = plan->quick ? 1 : SHAPES;
  if (benches)
    list_benches(benches);
  progress_start(&progress, "passes", (double)count);
  for (size_t i = 0; i < count && status.code == STATUS_OK; i++) {
    status = bench_prepare(&benches[i], plan->limits->threads);
    if (status.code == STATUS_OK)
      status = time_all(&benches[i], plan);
    progress_update(&progress, (double)i + 1.0);
    if (status.code == STATUS_OK) {
      progress_end(&progress);
      report(&benches[i], list);
    }
    bench_finish(&benches[i]);
  }
  progress_end(&progress);
  free(benches);
  return status;
}
