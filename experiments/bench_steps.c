/* bench_steps.c: whole steps of the small experiment's stages: the trainer itself, on a batch of scenes that it is
 * shown again and again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "c.h"
#include "feed_scenes.h"
#include "progress.h"
#include "sizes.h"
#include "trainer.h"

enum { SCENES = 32, ADAPTER = 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER, STAGES = 4 };

static const double AIM = 0.60; /* share of the SGEMM rate */

/* As experiments/schemes/scenes/alternating.ini and e2e.ini have them. */
typedef struct Stage {
  const char *name;
  unsigned groups;
  Views views;
  bool captions; /* else questions */
  double rate, gamma;
} Stage;

/* The last is the quick bench's: all parts take part in it. */
static const Stage stages[STAGES] = {
    {"Stage I, width 96", ADAPTER, VIEWS_GLOBAL, true, 6e-3, 1.0},
    {"Stage II, width 96", 1 << GROUP_COMPRESSION, VIEWS_LOCAL, true, 6e-3, 1.0},
    {"E2E, width 96", ADAPTER | 1 << GROUP_COMPRESSION, VIEWS_BOTH, true, 6e-3, 1.0},
    {"Stage III, width 96", ADAPTER | 1 << GROUP_COMPRESSION | 1 << GROUP_DECODER, VIEWS_BOTH, false, 5e-4, 0.75}};

/* A model, and what it is shown. */
typedef struct School {
  char *folder; /* of the tokenizer while it is opened, and of the peer's batch */
  Ops ops;
  Model model;
  Store store;
  Tokenizer *tokenizer;
  Feed captions, questions;
  Features *features;
} School;

/* ---- the school ---- */

static Status make_folder(School *school) {
  const char *place = getenv("TMPDIR");
  if (asprintf(&school->folder, "%s/seesaw-bench-XXXXXX", place && *place ? place : "/tmp") < 0) {
    school->folder = NULL;
    return status_error(STATUS_MEMORY, "not enough memory for a name");
  }
  if (mkdtemp(school->folder))
    return status_ok();
  Status status =
      status_from_errno(STATUS_OUTPUT, "cannot make the temporary folder %s (TMPDIR says where)", school->folder);
  free(school->folder);
  school->folder = NULL;
  return status;
}

static void remove_file(const School *school, const char *name) {
  char *path = path_join(school->folder, name);
  if (path)
    unlink(path);
  free(path);
}

static void remove_folder(School *school) {
  static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "batch.json"};
  for (size_t i = 0; school->folder && i < sizeof names / sizeof *names; i++)
    remove_file(school, names[i]);
  if (school->folder)
    rmdir(school->folder);
  free(school->folder);
}

/* Captions and questions about the same scenes, as the ablation has them without its reasoning set. */
static Status open_feeds(School *school) {
  SceneFeedPlan scenes = {.seed = 1, .split = SPLIT_TRAIN, .count = SCENES, .tokenizer = school->tokenizer};
  scenes.talk = (SceneTalk){.caption = true};
  TRY(feed_scenes_open(&school->captions, &scenes));
  scenes.talk = (SceneTalk){.families = ((1U << FAMILIES) - 1) & ~(1U << FAMILY_REASON), .rounds = FAMILIES - 1};
  TRY(feed_scenes_open(&school->questions, &scenes));
  FeaturesPlan kept = {.store = &school->store, .feed = &school->captions, .folder = "", .quiet = true};
  return features_open(&school->features, &kept);
}

static Status open_school(School *school, int threads) {
  size_t vocabulary;
  ModelConfig config;
  TRY(make_folder(school));
  TRY(tokenizer_write(school->folder, &scene_words, &vocabulary));
  TRY(tokenizer_open(&school->tokenizer, school->folder, NULL));
  TRY(scenes_config("small", vocabulary, &config));
  TRY(c_open(&school->ops, DTYPE_F32, threads));
  TRY(model_alloc(&school->model, &config));
  TRY(store_random(&school->store, &school->ops, &school->model, 0.02, 1));
  return open_feeds(school);
}

static void close_school(School *school) {
  features_close(school->features);
  feed_scenes_close(&school->captions);
  feed_scenes_close(&school->questions);
  store_free(&school->store);
  model_free(&school->model);
  c_close(&school->ops);
  tokenizer_close(school->tokenizer);
  remove_folder(school);
}

/* ---- the batch, for the peer ---- */

static void add_numbers(cJSON *object, const char *name, const int32_t *numbers, size_t count) {
  cJSON *list = cJSON_AddArrayToObject(object, name);
  for (size_t i = 0; i < count; i++)
    cJSON_AddItemToArray(list, cJSON_CreateNumber(numbers[i]));
}

static void add_samples(cJSON *json, const Batch *batch) {
  cJSON *list = cJSON_AddArrayToObject(json, "samples");
  for (size_t i = 0; i < batch->count; i++) {
    const Conversation *c = &batch->samples[i];
    cJSON *sample = cJSON_CreateObject();
    add_numbers(sample, "ids", c->ids, c->count);
    add_numbers(sample, "labels", c->labels, c->count);
    cJSON_AddNumberToObject(sample, "columns", (double)c->columns);
    cJSON_AddNumberToObject(sample, "rows", (double)c->rows);
    cJSON_AddItemToArray(list, sample);
  }
}

static void add_sizes(cJSON *json, const ModelConfig *c) {
  const struct {
    const char *name;
    size_t value;
  } sizes[] = {{"features", c->vision.width},
               {"patches", config_patches(c)},
               {"global_queries", c->global_queries},
               {"local_queries", c->local_queries},
               {"former_head", c->former_head},
               {"vocabulary", c->decoder.vocabulary},
               {"width", c->decoder.width},
               {"mlp", c->decoder.mlp},
               {"layers", c->decoder.layers},
               {"heads", c->decoder.heads},
               {"kv", c->decoder.kv_heads},
               {"head", c->decoder.head},
               {"separator", (size_t)c->separator_token}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    cJSON_AddNumberToObject(json, sizes[i].name, (double)sizes[i].value);
}

static Status write_batch(const School *school, const Stage *stage, const Batch *batch) {
  cJSON *json = cJSON_CreateObject();
  char *path = path_join(school->folder, "batch.json");
  Status status = status_error(STATUS_MEMORY, "not enough memory for a batch");
  add_sizes(json, &school->model.config);
  cJSON_AddNumberToObject(json, "views", stage->views);
  cJSON_AddNumberToObject(json, "gamma", stage->gamma);
  cJSON_AddBoolToObject(json, "adapter", (stage->groups & ADAPTER) != 0);
  cJSON_AddBoolToObject(json, "compression", stage->groups >> GROUP_COMPRESSION & 1);
  cJSON_AddBoolToObject(json, "decoder", stage->groups >> GROUP_DECODER & 1);
  add_samples(json, batch);
  if (json && path)
    status = json_write(path, json);
  free(path);
  cJSON_Delete(json);
  return status;
}

/* ---- the steps ---- */

/* Between two steps of the trainer. */
typedef struct Stopwatch {
  const Limits *limits;
  const School *school;
  const Stage *stage;
  Timed *timed;
  double since, operations, sgemm; /* when the step under way began; operations before it; the rate just before it */
} Stopwatch;

/* The first step touches everything for the first time: it is not counted, and shows the batch. */
static Status after_step(void *context, const TrainStep *step) {
  Stopwatch *w = context;
  double seconds = clock_seconds() - w->since, operations = step->counts->operations;
  if (step->step == 1)
    TRY(write_batch(w->school, w->stage, step->batch));
  else
    timed_add(w->timed, seconds, operations - w->operations, w->sgemm);
  w->operations = operations;
  w->sgemm = limits_sgemm(w->limits);
  w->since = clock_seconds();
  return status_ok();
}

static Phase phase_of(const Stage *stage, size_t steps) {
  Phase phase = phase_default("bench");
  phase.turn[0] = (PhaseTurn){.groups = stage->groups, .views = stage->views};
  for (int group = 0; group < GROUP_COUNT; group++)
    phase.rate[group] = stage->groups >> group & 1 ? stage->rate : 0.0;
  phase.gamma = stage->gamma;
  phase.batch = SCENES;
  phase.samples = steps * SCENES;
  return phase;
}

static Status time_stage(School *school, const Stage *stage, const BenchPlan *plan, Timed *timed) {
  Phase phase = phase_of(stage, plan->repeats + 1);
  Stopwatch watch = {.limits = plan->limits, .school = school, .stage = stage, .timed = timed};
  TrainReport report;
  TrainPlan train = {.store = &school->store,
                     .phase = &phase,
                     .feed = stage->captions ? &school->captions : &school->questions,
                     .features = school->features,
                     .seed = 1,
                     .folder = "",
                     .quiet = true,
                     .probe = after_step,
                     .context = &watch};
  char *path = path_join(school->folder, "batch.json");
  timed->torch = NAN;
  Status status = path ? train_phase(&train, &report) : status_error(STATUS_MEMORY, "not enough memory for a name");
  if (status.code == STATUS_OK)
    timed->torch = torch_step(path, plan->limits->threads);
  free(path);
  return status;
}

static void report_stage(const Stage *stage, const Timed *timed, cJSON *list) {
  timed_print(timed, stage->name, "step", AIM, SCENES);
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", stage->name);
  cJSON_AddNumberToObject(row, "sgemm_flops", spread_of(timed->sgemm, timed->count).median);
  cJSON_AddNumberToObject(row, "samples_per_second", SCENES / timed_seconds(timed));
  timed_json(timed, "step", row);
  cJSON_AddItemToArray(list, row);
}

static Status time_stages(School *school, const BenchPlan *plan, cJSON *list) {
  Progress progress;
  Status status = status_ok();
  progress_start(&progress, "steps", STAGES);
  for (size_t i = plan->quick ? STAGES - 1 : 0; i < STAGES && status.code == STATUS_OK; i++) {
    Timed timed = {0};
    status = time_stage(school, &stages[i], plan, &timed);
    progress_end(&progress);
    if (status.code == STATUS_OK)
      report_stage(&stages[i], &timed, list);
    progress_update(&progress, (double)i + 1.0);
    if (status.code == STATUS_OK)
      status = interrupt_check();
  }
  progress_end(&progress);
  return status;
}

Status bench_steps(const BenchPlan *plan, cJSON *json) {
  School school = {0};
  cJSON *list = cJSON_AddArrayToObject(json, "steps");
  Status status = list ? open_school(&school, plan->limits->threads)
                       : status_error(STATUS_MEMORY, "not enough memory for the bench");
  if (status.code == STATUS_OK)
    status = time_stages(&school, plan, list);
  close_school(&school);
  return status;
}
