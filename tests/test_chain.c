/* test_chain.c: what the phases of rows depend on, and what they share. */
#include <dirent.h>
#include <math.h>

#include "batch.h"
#include "job.h"
#include "small_world.h"

#define SCHEMES SEESAW_FIXTURES "/../../experiments/schemes/scenes"

TestSuite(chain, .init = scratch_make, .fini = scratch_remove);
TestSuite(recipe, .init = scratch_make, .fini = scratch_remove);

/* ---- recipes ---- */

Test(recipe, of_every_row_makes_a_model_and_has_its_scheme) {
  ModelConfig base = small_config(400), config;
  for (size_t i = 0; i < recipe_count; i++) {
    char path[1024];
    Scheme scheme;
    assert_ok(recipe_config(&recipes[i], &base, &config));
    cr_expect_eq(recipe_find(recipes[i].id), &recipes[i]);
    cr_expect(recipes[i].tested_count >= 1 && recipes[i].tested_count <= TESTED_MOST);
    cr_expect_eq(config.switches.gamma, recipes[i].gamma);
    snprintf(path, sizeof path, "%s/%s.ini", SCHEMES, recipes[i].scheme);
    assert_ok(scheme_read(&scheme, path));
    scheme_free(&scheme);
  }
  cr_expect_null(recipe_find("nq100"));
}

/* ---- what is shared ---- */

typedef struct Bench {
  Ops ops;
  Pair pair;
  Tokenizer *tokenizer;
  Setting setting;
} Bench;

static void begin_bench(Bench *b, uint64_t seed) {
  *b = (Bench){0};
  small_pair("pair", seed);
  assert_ok(c_open(&b->ops, DTYPE_F32, 1));
  assert_ok(pair_open(&b->pair, &b->ops, scratch_path("pair")));
  assert_ok(tokenizer_open(&b->tokenizer, scratch_path("pair"), NULL));
  assert_ok(folder_create(scratch_path("runs")));
  assert_ok(folder_create(scratch_path("features")));
  b->setting = (Setting){.pair = &b->pair,
                         .ops = &b->ops,
                         .tokenizer = b->tokenizer,
                         .folder = strdup(scratch_path("runs")),
                         .schemes = SCHEMES,
                         .features = strdup(scratch_path("features")),
                         .pictures = 30,
                         .tests = 10,
                         .split = SPLIT_VALIDATION,
                         .scale = 1e-6,
                         .quiet = true};
}

static void end_bench(Bench *b) {
  tokenizer_close(b->tokenizer);
  pair_close(&b->pair);
  c_close(&b->ops);
  free((char *)b->setting.folder);
  free((char *)b->setting.features);
}

static int is_phase(const struct dirent *entry) {
  return strlen(entry->d_name) == 2 * DIGEST_SIZE;
}

static size_t phase_count(const Bench *b) {
  struct dirent **entries;
  int count = scandir(b->setting.folder, &entries, is_phase, alphasort);
  cr_assert_geq(count, 0);
  for (int i = 0; i < count; i++)
    free(entries[i]);
  free(entries);
  return (size_t)count;
}

/* How many phases' folders this row needs that were not there: to ask whether it is busy makes them. */
static size_t new_phases(const Bench *b, const char *row, uint64_t seed) {
  size_t before = phase_count(b);
  bool busy;
  assert_ok(job_busy(&b->setting, recipe_find(row), seed, &busy));
  cr_expect(!busy);
  return phase_count(b) - before;
}

Test(chain, of_rows_that_begin_alike_is_shared) {
  Bench b;
  begin_bench(&b, 1);
  cr_expect_eq(new_phases(&b, "nq144", 1), 3);
  cr_expect_eq(new_phases(&b, "nq144", 1), 0, "itself");
  cr_expect_eq(new_phases(&b, "nq64", 1), 2, "the number of queries does not change Stage I");
  cr_expect_eq(new_phases(&b, "nq196", 1), 2);
  cr_expect_eq(new_phases(&b, "gamma75", 1), 1, "gamma changes neither Stage I nor Stage II");
  cr_expect_eq(new_phases(&b, "gamma50", 1), 1);
  cr_expect_eq(new_phases(&b, "alternating", 1), 0, "the same as gamma75");
  cr_expect_eq(new_phases(&b, "final", 1), 1, "other questions in Stage III");
  cr_expect_eq(new_phases(&b, "global_moe", 1), 2, "other parameters, so another random start");
  cr_expect_eq(new_phases(&b, "smr", 1), 1, "other questions in Stage III");
  cr_expect_eq(new_phases(&b, "unfrozen", 1), 2);
  cr_expect_eq(new_phases(&b, "reversed", 1), 3);
  cr_expect_eq(new_phases(&b, "e2e", 1), 2);
  cr_expect_eq(new_phases(&b, "nq144", 2), 3, "another seed");
  end_bench(&b);
}

Test(chain, depends_on_pair_scenes_and_samples_but_not_on_the_exam) {
  Bench b, other;
  begin_bench(&b, 1);
  cr_expect_eq(new_phases(&b, "alternating", 1), 3);
  b.setting.tests = 20;
  b.setting.split = SPLIT_TEST;
  cr_expect_eq(new_phases(&b, "alternating", 1), 0);
  b.setting.pictures = 31;
  cr_expect_eq(new_phases(&b, "alternating", 1), 3, "scenes");
  b.setting.scale = 0.01;
  cr_expect_eq(new_phases(&b, "alternating", 1), 3, "samples");
  begin_bench(&other, 2);
  cr_expect_eq(new_phases(&other, "alternating", 1), 3, "another pair");
  end_bench(&other);
  end_bench(&b);
}

/* ---- a row's work ---- */

static char *file_of(const Bench *b, const char *row, const char *name, char *text, size_t size) {
  char *path = job_file(&b->setting, recipe_find(row), 1, name);
  cr_assert_not_null(path);
  scratch_read(path, text, size);
  free(path);
  return text;
}

static void run_row(const Bench *b, const char *row, bool expected) {
  bool taken, done;
  assert_ok(job_run(&b->setting, recipe_find(row), 1, &taken));
  cr_expect_eq(taken, expected);
  assert_ok(job_done(&b->setting, recipe_find(row), 1, &done));
  cr_expect(done || !expected, "%s is done", row);
}

/* The same phases, samples and digests in costs.csv; without seconds, since none was spent. */
Test(chain, a_finished_phase_is_not_trained_again) {
  Bench b;
  char costs[2][4096];
  begin_bench(&b, 1);
  run_row(&b, "gamma75", true);
  size_t phases = phase_count(&b);
  run_row(&b, "alternating", true);
  cr_expect_eq(phase_count(&b), phases);
  char *one = file_of(&b, "gamma75", "costs.csv", costs[0], sizeof costs[0]);
  char *other = file_of(&b, "alternating", "costs.csv", costs[1], sizeof costs[1]);
  for (int phase = 0; phase < 3; phase++) {
    size_t length = strcspn(one, "\n"), others = strcspn(other, "\n");
    one[length] = other[others] = '\0';
    char fields[2][3][64];
    double seconds[2];
    for (int i = 0; i < 2; i++)
      cr_assert_eq(sscanf(i ? other : one, "%*[^,],%63[^,],%63[^,],%*[^,],%*[^,],%*[^,],%*[^,],%lf,%63s", fields[i][0],
                          fields[i][1], &seconds[i], fields[i][2]),
                   4);
    for (int i = 0; i < 3; i++)
      cr_expect_str_eq(fields[0][i], fields[1][i]);
    cr_expect(seconds[0] > 0 && fabs(seconds[0] - seconds[1]) < 1e-3, "%g, %g", seconds[0], seconds[1]);
    one += length + 1;
    other += others + 1;
  }
  end_bench(&b);
}

/* Stage I is trained once, whichever row comes first, and gives what a run of its own gives. */
Test(chain, a_row_is_the_same_alone_and_behind_others) {
  Bench b;
  char alone[65536], behind[65536];
  begin_bench(&b, 1);
  run_row(&b, "nq64", true);
  file_of(&b, "nq64", "answers.csv", alone, sizeof alone);
  char *runs = (char *)b.setting.folder;
  assert_ok(folder_create(scratch_path("others")));
  b.setting.folder = strdup(scratch_path("others"));
  run_row(&b, "gamma50", true);
  run_row(&b, "nq64", true);
  file_of(&b, "nq64", "answers.csv", behind, sizeof behind);
  cr_expect_str_eq(alone, behind);
  cr_expect_gt(strlen(alone), 100);
  free(runs);
  end_bench(&b);
}

Test(chain, answers_of_another_setting_are_not_taken_for_done) {
  Bench b;
  bool done;
  char text[4096];
  begin_bench(&b, 1);
  run_row(&b, "text_only", true);
  expect_contains(file_of(&b, "text_only", "what.txt", text, sizeof text), "exam of 10 validation scenes as ");
  const Setting kept = b.setting;
  for (int change = 0; change < 4; change++) {
    b.setting = kept;
    if (change == 0)
      b.setting.split = SPLIT_TEST;
    if (change == 1)
      b.setting.tests = 11;
    if (change == 2)
      b.setting.pictures = 31;
    if (change == 3)
      b.setting.scale = 0.5;
    assert_ok(job_done(&b.setting, recipe_find("text_only"), 1, &done));
    cr_expect(!done, "change %d", change);
  }
  b.setting = kept;
  b.setting.tests = 11;
  run_row(&b, "text_only", true);
  assert_ok(job_done(&kept, recipe_find("text_only"), 1, &done));
  cr_expect(!done, "and the other way round");
  end_bench(&b);
}

Test(chain, names_what_is_missing_or_damaged) {
  Bench b;
  bool taken;
  Pair none;
  begin_bench(&b, 1);
  expect_refused(pair_open(&none, &b.ops, scratch_path("nowhere")), STATUS_INPUT, "nowhere");
  const Setting kept = b.setting;
  b.setting.schemes = "nowhere";
  expect_refused(job_run(&b.setting, recipe_find("text_only"), 1, &taken), STATUS_INPUT, "nowhere/text-only.ini");
  b.setting.schemes = scratch_folder;
  scratch_text("text-only.ini",
               "[phase a]\ndata = pictures\ntrain = decoder\nviews = none\nsamples = 3\nrate = 1e-3\n");
  expect_refused(job_run(&b.setting, recipe_find("text_only"), 1, &taken), STATUS_INPUT, "the data 'pictures'");
  scratch_text("text-only.ini", "[phase a]\ndata = questions\ntrain = decodr\n");
  expect_refused(job_run(&b.setting, recipe_find("text_only"), 1, &taken), STATUS_INPUT, "text-only.ini");
  b.setting = kept;
  run_row(&b, "text_only", true);
  end_bench(&b);
}

/* A finished phase's file with a byte changed is refused by its digest, not taken. */
Test(chain, refuses_a_damaged_finished_phase) {
  Bench b;
  struct dirent **entries;
  char path[1200];
  bool taken;
  begin_bench(&b, 1);
  run_row(&b, "text_only", true);
  cr_assert_eq(scandir(b.setting.folder, &entries, is_phase, alphasort), 1);
  snprintf(path, sizeof path, "%s/%s/stage3.safetensors", b.setting.folder, entries[0]->d_name);
  FILE *stream = fopen(path, "r+b");
  cr_assert_not_null(stream);
  cr_assert_eq(fseek(stream, -5, SEEK_END), 0);
  int byte = fgetc(stream);
  cr_assert_eq(fseek(stream, -5, SEEK_END), 0);
  fputc(byte ^ 1, stream);
  fclose(stream);
  b.setting.tests = 11;
  expect_refused(job_run(&b.setting, recipe_find("text_only"), 1, &taken), STATUS_INPUT, "stage3.safetensors");
  free(entries[0]);
  free(entries);
  end_bench(&b);
}

/* ---- equal operations ---- */

enum { COUNTED = 256 }; /* scenes */

/* The row's model at its start, and scenes with captions. */
typedef struct Count {
  Ops ops;
  Pair pair;
  Tokenizer *tokenizer;
  Model model;
  Store store;
  Feed feed;
  SlimeTape tape;
} Count;

static void begin_count(Count *c) {
  static const char *const pair = SEESAW_FIXTURES "/../../experiments/pairs/small";
  ModelConfig config;
  *c = (Count){0};
  assert_ok(c_open(&c->ops, DTYPE_F32, 1));
  assert_ok(pair_open(&c->pair, &c->ops, pair));
  assert_ok(tokenizer_open(&c->tokenizer, pair, NULL));
  assert_ok(recipe_config(recipe_find("alternating"), &c->pair.config, &config));
  assert_ok(
      chain_start(&(ChainPlan){.pair = &c->pair, .ops = &c->ops, .config = &config, .seed = 1}, &c->model, &c->store));
  assert_ok(feed_scenes_open(
      &c->feed, &(SceneFeedPlan){.seed = 1001, .count = COUNTED, .talk.caption = true, .tokenizer = c->tokenizer}));
  assert_ok(slime_tape_alloc(&c->tape, &config));
}

static void end_count(Count *c) {
  slime_tape_free(&c->tape);
  feed_scenes_close(&c->feed);
  store_free(&c->store);
  model_free(&c->model);
  tokenizer_close(c->tokenizer);
  pair_close(&c->pair);
  c_close(&c->ops);
}

/* Of a step with these samples, by a dry pass: features are there, but never looked at. */
static double batch_operations(Count *c, Batcher *batcher, const Model *shown, const size_t *samples, size_t count) {
  const ModelConfig *config = &shown->config;
  double operations = 0.0;
  assert_ok(batcher_fill(batcher, shown, samples, count, 0));
  Batch batch = batcher->batch;
  batch.features =
      tensor_2(batcher->views, DTYPE_F32, batch.pictures.size[0] * config_patches(config), config->vision.width);
  batch.pictures = TENSOR_NONE;
  slime_measure(shown, &batch, &c->tape, DTYPE_F32, true, &operations);
  return operations;
}

/* Of a phase that always shows the same views. */
static double phase_operations(Count *c, const Phase *phase) {
  Batcher batcher;
  double operations = 0.0;
  assert_ok(store_train(&c->store, phase_groups(phase)));
  Model model = c->model;
  model.config.switches.gamma = phase->gamma;
  Model shown = model_showing(&model, phase->turn[0].views);
  assert_ok(batcher_open(&batcher, &c->ops, &c->feed, NULL, phase->batch));
  for (size_t first = 0; first < COUNTED; first += phase->batch) {
    size_t samples[COUNTED], count = COUNTED - first < phase->batch ? COUNTED - first : phase->batch;
    for (size_t i = 0; i < count; i++)
      samples[i] = first + i;
    operations += batch_operations(c, &batcher, &shown, samples, count);
  }
  batcher_close(&batcher);
  return operations / COUNTED * (double)phase->samples;
}

/* Of a scheme's phases before the last. */
static double pretraining_operations(Count *c, const char *name) {
  Scheme scheme;
  char path[1024];
  double operations = 0.0;
  snprintf(path, sizeof path, "%s/%s.ini", SCHEMES, name);
  assert_ok(scheme_read(&scheme, path));
  for (size_t i = 0; i + 1 < scheme.count; i++)
    operations += phase_operations(c, &scheme.phases[i]);
  scheme_free(&scheme);
  return operations;
}

Test(chain, e2e_flops_takes_the_operations_of_stages_I_and_II) {
  Count c;
  begin_count(&c);
  double stages = pretraining_operations(&c, "alternating"), together = pretraining_operations(&c, "e2e-flops");
  cr_expect_gt(stages, 1e12);
  cr_expect_lt(fabs(together / stages - 1.0), 0.01, "%g and %g TFLOP", 1e-12 * together, 1e-12 * stages);
  cr_expect_lt(pretraining_operations(&c, "e2e"), 0.9 * stages, "fewer samples are told apart");
  end_count(&c);
}
