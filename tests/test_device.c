/* test_device.c: the model away from the C backend, here on the kernels' stand-in: trained, resumed from one backend to
 * another, asked; and what `--device` says where it cannot be had. */
#include "backends.h"
#include "c.h"
#include "feature_cache.h"
#include "feeds.h"
#include "files.h"
#include "safetensors.h"
#include "sanitized.h"
#include "small_world.h"
#include "trainer.h"
#include "verify.h"

TestSuite(device, .init = scratch_make, .fini = scratch_remove);

#define PICTURE SEESAW_FIXTURES "/pictures/baseline_420.jpg"

/* ---- phases ---- */

typedef enum { ON_C, ON_HOST, ON_HOST_BF16 } Where;
enum { STEPS = 3 };

/* A phase of the tiny model, and what came of it. */
typedef struct World {
  Ops ops;
  Model model;
  Store store;
  SmallFeed feed;
  Phase phase;
  TrainReport report;
  uint64_t stop; /* end after this step; 0: never */
  double loss[STEPS];
} World;

static Status watch(void *context, const TrainStep *step) {
  World *w = context;
  w->loss[step->step - 1] = step->loss;
  return step->step == w->stop ? status_error(STATUS_UNAVAILABLE, "that will do") : status_ok();
}

static void open_backend(Ops *ops, Where where) {
  if (where == ON_C)
    assert_ok(c_open(ops, DTYPE_F32, 1));
  else
    assert_ok(stand_in_open(ops, where == ON_HOST ? DTYPE_F32 : DTYPE_BF16, STAND_IN_FORWARD, 1));
}

static void close_backend(Ops *ops, Where where) {
  if (where == ON_C)
    c_close(ops);
  else
    stand_in_close(ops);
}

static void begin_world(World *w, Where where, uint64_t seed) {
  const unsigned groups = 1 << GROUP_MLP | 1 << GROUP_COMPRESSION | 1 << GROUP_DECODER;
  ModelConfig config;
  *w = (World){0};
  assert_ok(config_preset("tiny", &config));
  open_backend(&w->ops, where);
  assert_ok(model_alloc(&w->model, &config));
  assert_ok(store_random(&w->store, &w->ops, &w->model, 0.1, seed));
  small_feed(&w->feed, 5, 3);
  w->phase = phase_default("stage1");
  w->phase.samples = 2 * STEPS;
  w->phase.batch = 2;
  w->phase.gamma = 1.0;   /* no choice that rounding might change */
  w->phase.epsilon = 0.1; /* steps stay functions of gradients that are all rounding (verify_model.c) */
  w->phase.warmup = 0.0;
  w->phase.turn[0] = (PhaseTurn){.groups = groups, .views = SANITIZED ? VIEWS_GLOBAL : VIEWS_BOTH};
  for (int group = 0; group < GROUP_COUNT; group++)
    w->phase.rate[group] = groups >> group & 1 ? 1e-2 : 0.0;
}

static void end_world(World *w, Where where) {
  store_free(&w->store);
  model_free(&w->model);
  close_backend(&w->ops, where);
}

/* The phase in FOLDER, with a checkpoint after each step. */
static Status train_in(const char *folder, Where where, uint64_t seed, uint64_t stop, bool resume, World *w) {
  assert_ok(folder_create(scratch_path(folder)));
  begin_world(w, where, seed);
  w->stop = stop;
  TrainPlan plan = {.store = &w->store,
                    .phase = &w->phase,
                    .feed = &w->feed.feed,
                    .seed = 7,
                    .folder = scratch_path(folder),
                    .interval = 1,
                    .resume = resume,
                    .quiet = true,
                    .probe = watch,
                    .context = w};
  Status status = train_phase(&plan, &w->report);
  end_world(w, where);
  return status;
}

static void open_final(TensorFile *file, const char *folder) {
  char name[64];
  snprintf(name, sizeof name, "%s/stage1.safetensors", folder);
  assert_ok(safetensors_open(file, scratch_path(name)));
}

static void expect_devices(const char *folder, const char *devices) {
  TensorFile file;
  open_final(&file, folder);
  cr_expect_str_eq(tensor_file_metadata(&file, "devices"), devices);
  tensor_file_close(&file);
}

enum { PASS = 100 }; /* named tensors of a pass, about */

/* After STEPS steps, no sum longer than the vocabulary (verify_model.c); a loss stored in bf16 is rounded once
 * (verify.h).
 */
static double units_of(bool bf16) {
  return tolerance_units(DTYPE_F32, 320.0 * PASS * STEPS, bf16);
}

/* Of a value that began as zero, all that there is comes from gradients that a pass has rounded again and again, like a
 * walk. */
static double units_of_bf16_steps(void) {
  return sqrt(PASS) * 8.0 * 0x1p-8;
}

static void expect_close(const char *name, Tensor is, Tensor should, double units) {
  size_t count = tensor_count(should);
  double *x = calloc(2 * count + 1, sizeof *x), *y = x + count;
  cr_assert(x && tensor_same(is, should), "%s", name);
  for (size_t i = 0; i < count; i++) {
    x[i] = tensor_get(is, i);
    y[i] = tensor_get(should, i);
  }
  Comparison c = {.count = count, .units = units};
  compare(&c, x, y);
  cr_expect_eq(c.out, 0, "%s: %zu numbers are out, the worst by %g", name, c.out, c.worst);
  free(x);
}

/* The values that two folders' phases ended with, all in F32. */
static void expect_close_files(const char *path, const char *reference, double units) {
  TensorFile is, should;
  assert_ok(safetensors_open(&is, scratch_path(path)));
  assert_ok(safetensors_open(&should, scratch_path(reference)));
  cr_expect_eq(is.count, should.count);
  cr_expect_gt(should.count, 10);
  for (size_t i = 0; i < should.count; i++) {
    const NamedTensor *found = tensor_file_find(&is, should.tensors[i].name);
    cr_assert_not_null(found, "%s", should.tensors[i].name);
    expect_close(found->name, found->tensor, should.tensors[i].tensor, units);
  }
  tensor_file_close(&is);
  tensor_file_close(&should);
}

static void expect_same_file(const char *path, const char *other) {
  unsigned char *bytes[2];
  size_t size[2];
  assert_ok(file_read(scratch_path(path), 1 << 24, &bytes[0], &size[0]));
  assert_ok(file_read(scratch_path(other), 1 << 24, &bytes[1], &size[1]));
  cr_expect(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0, "%s differs from %s", path, other);
  free(bytes[0]);
  free(bytes[1]);
}

Test(device, a_phase_goes_on_from_the_c_backend_to_the_kernels_and_back) {
  World whole, w;
  assert_ok(train_in("whole", ON_C, 5, 0, false, &whole));
  expect_devices("whole", "F32");
  expect_refused(train_in("moved", ON_C, 5, 2, false, &w), STATUS_UNAVAILABLE, "that will do");
  expect_refused(train_in("moved", ON_HOST, 5, 3, true, &w), STATUS_UNAVAILABLE, "that will do");
  cr_expect_eq(w.report.resumed, 1);
  expect_within(fabs(w.loss[1] - whole.loss[1]) / whole.loss[1], 2 * units_of(false), "the loss of step 2");
  expect_within(fabs(w.loss[2] - whole.loss[2]) / whole.loss[2], 2 * units_of(false), "the loss of step 3");
  assert_ok(train_in("moved", ON_C, 5, 0, true, &w));
  cr_expect_eq(w.report.resumed, 2);
  expect_devices("moved", "F32, F32 on stand-in, F32");
  expect_close_files("moved/stage1.safetensors", "whole/stage1.safetensors", units_of(false));
  assert_ok(train_in("moved", ON_HOST_BF16, 5, 0, true, &w));
  cr_expect(w.report.finished, "a finished phase is taken as it is");
}

Test(device, a_phase_that_stopped_on_the_kernels_goes_on_to_the_same_bytes) {
  World w;
  assert_ok(train_in("whole", ON_HOST, 5, 0, false, &w));
  expect_refused(train_in("killed", ON_HOST, 5, 2, false, &w), STATUS_UNAVAILABLE, "that will do");
  assert_ok(train_in("killed", ON_HOST, 5, 0, true, &w));
  cr_expect_eq(w.report.resumed, 1);
  expect_same_file("killed/stage1.safetensors", "whole/stage1.safetensors");
  expect_same_file("killed/log.csv", "whole/log.csv");
  expect_devices("killed", "F32 on stand-in");
}

/* How many numbers are not those of BF16. */
static size_t finer(const TensorFile *file) {
  size_t count = 0;
  for (size_t i = 0; i < file->count; i++) {
    Tensor tensor = file->tensors[i].tensor;
    cr_expect_eq(tensor.dtype, DTYPE_F32);
    for (size_t k = 0; k < tensor_count(tensor); k++)
      count += bf16_to_float(bf16_from_float((float)tensor_get(tensor, k))) != (float)tensor_get(tensor, k);
  }
  return count;
}

Test(device, stored_in_bf16_masters_take_the_steps) {
  World whole, w;
  TensorFile file;
  assert_ok(train_in("whole", ON_C, 5, 0, false, &whole));
  expect_refused(train_in("half", ON_HOST_BF16, 5, 2, false, &w), STATUS_UNAVAILABLE, "that will do");
  expect_within(fabs(w.loss[0] - whole.loss[0]) / whole.loss[0], 2 * units_of(true), "the loss of step 1");
  assert_ok(train_in("half", ON_HOST_BF16, 5, 0, true, &w));
  open_final(&file, "half");
  cr_expect_gt(finer(&file), 1000);
  tensor_file_close(&file);
  expect_devices("half", "BF16 on stand-in");
  expect_close_files("half/stage1.safetensors", "whole/stage1.safetensors", units_of_bf16_steps());
}

Test(device, another_start_is_refused_also_after_a_move) {
  World w;
  expect_refused(train_in("run", ON_C, 5, 2, false, &w), STATUS_UNAVAILABLE, "that will do");
  expect_refused(train_in("run", ON_HOST, 6, 0, true, &w), STATUS_INPUT, "is of another run: it has 'start in BF16 = ");
  expect_refused(train_in("run", ON_C, 6, 0, true, &w), STATUS_INPUT, "is of another run: it has 'start = ");
}

/* ---- weights ---- */

typedef struct Check {
  const Store *store;
  size_t count;
} Check;

static void expect_own(void *context, const Entry *entry) {
  Check *check = context;
  cr_expect(store_owns(check->store, entry->parameter->w), "%s", entry->name);
  cr_expect_eq(entry->parameter->w.dtype, DTYPE_BF16, "%s", entry->name);
  check->count++;
}

/* Like a card: nothing can stay in a mapped file. */
Test(device, copies_all_weights_where_memory_is_not_the_hosts) {
  World w;
  Model model;
  Store store;
  Checkpoint checkpoint = {0};
  begin_world(&w, ON_C, 5);
  assert_ok(store_save(&w.store, scratch_path("model"), DTYPE_F32));
  Ops ops;
  open_backend(&ops, ON_HOST_BF16);
  OpsTable card = *ops.table;
  card.host = false;
  ops.table = &card;
  assert_ok(checkpoint_add(&checkpoint, scratch_path("model")));
  assert_ok(model_alloc(&model, &w.model.config));
  assert_ok(store_load(&store, &ops, &model, &checkpoint, (1 << GROUP_COUNT) - 1, (Fresh){0}));
  checkpoint_close(&checkpoint);
  Check check = {.store = &store};
  model_walk(&model, expect_own, &check);
  cr_expect_gt(check.count, 20);
  store_free(&store);
  model_free(&model);
  close_backend(&ops, ON_HOST_BF16);
  end_world(&w, ON_C);
}

/* ---- features ---- */

Test(device, keeps_the_features_of_each_backend_apart) {
  World w[2];
  Features *features[2];
  assert_ok(folder_create(scratch_path("features")));
  for (int i = 0; i < 2; i++) {
    begin_world(&w[i], i ? ON_HOST : ON_C, 5);
    FeaturesPlan plan = {
        .store = &w[i].store, .feed = &w[i].feed.feed, .folder = scratch_path("features"), .quiet = true};
    assert_ok(features_open(&features[i], &plan));
    cr_expect_eq(features_report(features[i]).computed, 4);
    cr_expect_eq(features_report(features[i]).files, 1);
  }
  Tensor is = features_view(features[1], 1, 0), should = features_view(features[0], 1, 0);
  expect_close("features", is, should, units_of(false) + 0x1p-10);
  for (int i = 0; i < 2; i++) {
    features_close(features[i]);
    end_world(&w[i], i ? ON_HOST : ON_C);
  }
}

/* ---- commands ---- */

Test(device, answers_on_the_kernels_as_on_the_processor) {
  program_succeeds("model init --out tiny");
  program_succeeds("model run --model tiny --image '%s' --prompt Why --dump cpu.safetensors", PICTURE);
  program_succeeds("model run --model tiny --image '%s' --prompt Why --dump host.safetensors --device host", PICTURE);
  expect_close_files("host.safetensors", "cpu.safetensors", units_of(false));
  ProgramRun cpu = program_run("model generate --model tiny --image '%s' --prompt Why --max-new 3", PICTURE);
  ProgramRun host =
      program_run("model generate --model tiny --image '%s' --prompt Why --max-new 3 --device host", PICTURE);
  cr_expect_eq(host.exit, 0, "%s", host.err);
  cr_expect_str_eq(host.out, cpu.out);
  program_free(&cpu);
  program_free(&host);
  program_succeeds("model generate --model tiny --prompt Why --max-new 2 --device host --dtype bf16");
}

static const char *const scheme =
    "[phase one]\ndata = chat\ntrain = adapter\nviews = none\nsamples = 2\nbatch = 1\nrate = 6e-3\n";

Test(device, trains_a_scheme_and_says_with_what) {
  char text[1 << 14];
  program_succeeds("model init --out tiny");
  scratch_text("scheme.ini", scheme);
  scratch_text("chat.json", "[{\"id\": \"a\", \"conversations\": [{\"from\": \"human\", \"value\": \"A?\"}, "
                            "{\"from\": \"gpt\", \"value\": \"B\"}]}]");
  program_succeeds("train --config scheme.ini --model tiny --data chat=chat.json --out run --device host --dtype bf16 "
                   "--json report.json");
  expect_contains(scratch_read(scratch_path("report.json"), text, sizeof text), "\"backend\":\t\"host\"");
  expect_contains(text, "\"dtype\":\t\"bf16\"");
  program_succeeds("model generate --model run/model --prompt Why --max-new 2");
}

#define SCHEMES SEESAW_FIXTURES "/../../experiments/schemes/scenes"
#define ROW                                                                                                            \
  "ablate text_only --model pair --pictures 1 --tests 10 --scale 0.000001 --seeds 1 --jobs 1 --schemes '" SCHEMES "' "

/* One line of the table, text alone; its answers stand where the cpu's stood, and are of another setting. */
Test(device, ablates_a_row) {
  char text[1 << 14];
  small_pair("pair", 1);
  program_succeeds(ROW "--results cpu");
  cr_expect_null(strstr(scratch_read(scratch_path("runs/rows/text_only-1/what.txt"), text, sizeof text), "computed"));
  program_succeeds(ROW "--results host --device host");
  scratch_read(scratch_path("runs/rows/text_only-1/what.txt"), text, sizeof text);
  expect_contains(text, ", computed in F32 on stand-in\npair ");
  expect_contains(text, "\ncomputed in F32 on stand-in\n");
  expect_contains(scratch_read(scratch_path("host/answers.csv"), text, sizeof text), "text_only,1,both,exist,0,1,");
}

Test(device, times_the_stages) {
  char text[1 << 14];
  if (SANITIZED)
    return; /* the kernels have their own tests with sanitizers */
  program_succeeds("model bench --device host --repeats 1 --json b.json");
  scratch_read(scratch_path("b.json"), text, sizeof text);
  expect_contains(text, "\"Stage III, LoRA\"");
  expect_contains(text, "\"samples_per_second\"");
  expect_contains(text, "\"fraction_of_copy\"");
  expect_contains(text, "\"dtype\":\t\"bf16\"");
}

/* ---- what cannot be had ---- */

Test(device, says_in_one_sentence_why_there_is_no_gpu) {
  CudaDevice card;
  if (cuda_device(&card).code == STATUS_OK)
    cr_skip_test("there is a GPU");
  static const char *const words[] = {"model generate --model m --prompt Hi", "model run --model m --prompt Hi",
                                      "model bench", "ablate e2e --model m", "kernels verify"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    program_refuses(6, "take --device cpu", "%s --device cuda", words[i]);
  scratch_text("scheme.ini", scheme);
  program_refuses(6, "take --device cpu", "train --config scheme.ini --model m --data chat=c --out x --device cuda");
}

Test(device, refuses_what_does_not_go_together) {
  program_refuses(2, "the C backend computes in f32", "model run --model m --dtype bf16");
  program_refuses(2, "the C backend computes in f32", "ablate e2e --model m --dtype bf16");
  program_refuses(2, "the C backend computes in f32", "model bench --dtype bf16");
  program_refuses(2, "give --device cuda", "model bench --batch 3");
  program_refuses(2, "give --device cuda", "model bench --config tiny");
  program_refuses(2, "--device", "model run --model m --device tpu");
  ProgramRun run = program_run("model bench --device host --config llama3-70b");
  cr_expect_eq(run.exit, 5, "%d", run.exit);
  expect_contains(run.err, "too little memory for the ");
  program_free(&run);
}
