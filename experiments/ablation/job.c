/* job.c: one row, one seed. */
#include "desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examine.h"
#include "files.h"
#include "lock.h"
#include "number.h"
#include "probed.h"

enum { TEST_SEED = 1, SEEDS_OF_SCENES = 1000 }; /* the pretrained pair saw the training scenes of small seeds */

/* ---- what a job works with ---- */

static Status read_scheme(Desk *desk) {
  char *name, *path;
  if (asprintf(&name, "%s.ini", desk->recipe->scheme) < 0)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  path = path_join(desk->setting->schemes, name);
  free(name);
  Status status = path ? scheme_read(&desk->scheme, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  for (size_t i = 0; i < desk->scheme.count && status.code == STATUS_OK; i++) {
    Phase *phase = &desk->scheme.phases[i];
    double samples = desk->setting->scale * (double)phase_samples(phase, desk->setting->pictures);
    phase->samples = samples > (double)phase->batch ? (size_t)samples : phase->batch;
  }
  free(path);
  return status;
}

static void leave(Desk *desk) {
  scheme_free(&desk->scheme);
  feed_scenes_close(&desk->captions);
  feed_scenes_close(&desk->questions);
}

/* Without the reasoning set a conversation has a question of each other family; the set adds its own. */
static Status sit_down(Desk *desk, const Setting *setting, const Recipe *recipe, uint64_t seed) {
  unsigned all = (1U << FAMILIES) - 1;
  *desk = (Desk){.setting = setting, .recipe = recipe, .seed = seed};
  desk->training = (SceneFeedPlan){.seed = SEEDS_OF_SCENES + seed,
                                   .split = SPLIT_TRAIN,
                                   .count = setting->pictures,
                                   .tokenizer = setting->tokenizer};
  desk->testing = (SceneFeedPlan){
      .seed = TEST_SEED, .split = setting->split, .count = setting->tests, .tokenizer = setting->tokenizer};
  SceneFeedPlan captions = desk->training, questions = desk->training;
  desk->caption_talk = (SceneTalk){.caption = true};
  desk->question_talk = recipe->reasoning
                            ? (SceneTalk){.families = all, .rounds = FAMILIES}
                            : (SceneTalk){.families = all & ~(1U << FAMILY_REASON), .rounds = FAMILIES - 1};
  captions.talk = desk->caption_talk;
  questions.talk = desk->question_talk;
  TRY(recipe_config(recipe, &setting->pair->config, &desk->config));
  TRY(read_scheme(desk));
  Status status = feed_scenes_open(&desk->captions, &captions);
  if (status.code == STATUS_OK)
    status = feed_scenes_open(&desk->questions, &questions);
  if (status.code != STATUS_OK)
    leave(desk);
  return status;
}

static const Feed *feed_named(void *context, const char *name) {
  const Desk *desk = context;
  return strcmp(name, "captions") == 0 ? &desk->captions : strcmp(name, "questions") == 0 ? &desk->questions : NULL;
}

/* Rows differ in what they are asked, under one name of the data. */
static Status feed_about(void *context, const char *name, Text *text) {
  const Desk *desk = context;
  SceneFeedPlan scenes = desk->training;
  Digest world;
  char line[200], digest[2 * DIGEST_SIZE + 1];
  scenes.talk = strcmp(name, "captions") == 0 ? desk->caption_talk : desk->question_talk;
  TRY(feed_scenes_digest(&scenes, &world));
  snprintf(line, sizeof line, "scenes %zu of seed %llu: %s, families %u, rounds %zu, as %s\n", scenes.count,
           (unsigned long long)scenes.seed, scenes.talk.caption ? "captions" : "questions", scenes.talk.families,
           scenes.talk.rounds, digest_print(world, digest));
  return text_append_string(text, line);
}

static ChainPlan chain_of(Desk *desk, const Features *features) {
  const Setting *s = desk->setting;
  return (ChainPlan){.pair = s->pair,
                     .ops = s->ops,
                     .scheme = &desk->scheme,
                     .config = &desk->config,
                     .seed = desk->seed,
                     .feed = feed_named,
                     .about = feed_about,
                     .features = features,
                     .context = desk,
                     .folder = s->folder,
                     .probed = s->probed,
                     .quiet = s->quiet};
}

/* ---- features ---- */

/* Those of the training or the test scenes, by a tower that slices as the row does. */
static Status open_features(Desk *desk, const SceneFeedPlan *scenes, Features **features) {
  const Setting *s = desk->setting;
  Model model = s->pair->model;
  Store store = s->pair->store;
  Feed feed;
  SceneFeedPlan plan = *scenes;
  FeaturesPlan kept = {.store = &store, .feed = &feed, .folder = s->features, .quiet = s->quiet};
  model.config.switches = desk->config.switches;
  store.model = &model;
  plan.talk.caption = true;
  TRY(feed_scenes_open(&feed, &plan));
  Status status = features_open(features, &kept);
  feed_scenes_close(&feed);
  return status;
}

Status job_prepare(const Setting *setting, const Recipe *recipe, uint64_t seed) {
  Desk desk;
  Features *features = NULL;
  TRY(sit_down(&desk, setting, recipe, seed));
  Status status = open_features(&desk, &desk.training, &features);
  features_close(features);
  features = NULL;
  if (status.code == STATUS_OK)
    status = open_features(&desk, &desk.testing, &features);
  features_close(features);
  leave(&desk);
  return status;
}

/* ---- the job ---- */

/* The one that is written last. */
static char *last_file(const Setting *setting, const Recipe *recipe, uint64_t seed) {
  return job_file(setting, recipe, seed, setting->probed ? PROBED_LAST : "answers.csv");
}

/* What the answers depend on. */
static Status describe(Desk *desk, Text *text) {
  static const char *const splits[SPLIT_COUNT] = {"train", "validation", "test"};
  const Setting *s = desk->setting;
  ChainPlan chain = chain_of(desk, NULL);
  SceneFeedPlan exam = desk->testing;
  Digest world;
  char line[256], digest[2 * DIGEST_SIZE + 1], as[2 * DIGEST_SIZE + 1], scale[NUMBER_ROOM], device[OPS_ROOM];
  bool usual = ops_definition(s->ops);
  exam.talk = (SceneTalk){.families = (1U << FAMILIES) - 1, .rounds = FAMILIES};
  TRY(feed_scenes_digest(&exam, &world));
  number_print(s->scale, scale);
  snprintf(line, sizeof line, "pair %s, %zu scenes, scale %s, exam of %zu %s scenes as %s%s%s\n",
           digest_print(s->pair->digest, digest), s->pictures, scale, s->tests, splits[s->split],
           digest_print(world, as), usual ? "" : ", computed in ", usual ? "" : ops_print(s->ops, device));
  TRY(text_append_string(text, line));
  return chain_text(&chain, text);
}

/* Is what.txt there, and this? */
static Status compare_what(const Desk *desk, const Text *text, bool *same) {
  char *path = job_file(desk->setting, desk->recipe, desk->seed, "what.txt");
  unsigned char *bytes;
  size_t size;
  Status status = path ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for a path");
  *same = path && access(path, R_OK) == 0;
  if (*same) {
    status = file_read(path, 1 << 20, &bytes, &size);
    *same = status.code == STATUS_OK && size == text->length && memcmp(bytes, text->bytes, size) == 0;
    if (status.code == STATUS_OK)
      free(bytes);
  }
  free(path);
  return status;
}

bool job_answered(const Setting *setting, const Recipe *recipe, uint64_t seed) {
  char *path = last_file(setting, recipe, seed);
  bool done = path && access(path, R_OK) == 0;
  free(path);
  return done;
}

Status job_done(const Setting *setting, const Recipe *recipe, uint64_t seed, bool *done) {
  Desk desk;
  Text text = {0};
  *done = false;
  TRY(sit_down(&desk, setting, recipe, seed));
  Status status = describe(&desk, &text);
  if (status.code == STATUS_OK && job_answered(setting, recipe, seed))
    status = compare_what(&desk, &text, done);
  text_free(&text);
  leave(&desk);
  return status;
}

/* Answers of another setting go before what.txt says that they are of this one. */
static Status begin_job(Desk *desk) {
  char *path = last_file(desk->setting, desk->recipe, desk->seed);
  OutputFile file;
  Text text = {0};
  Status status = path ? describe(desk, &text) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK && access(path, F_OK) == 0 && unlink(path) != 0)
    status = status_from_errno(STATUS_OUTPUT, "cannot remove %s, which is of another setting", path);
  if (status.code == STATUS_OK)
    status = desk_file(desk, "what.txt", &file);
  if (status.code == STATUS_OK) {
    fwrite(text.bytes, 1, text.length, file.stream);
    status = output_commit(&file);
  }
  text_free(&text);
  free(path);
  return status;
}

Status job_busy(const Setting *setting, const Recipe *recipe, uint64_t seed, bool *busy) {
  Desk desk;
  TRY(sit_down(&desk, setting, recipe, seed));
  ChainPlan chain = chain_of(&desk, NULL);
  Status status = chain_busy(&chain, busy);
  leave(&desk);
  return status;
}

static Status train_and_test(Desk *desk, Store *store, const Features *training) {
  ChainPlan chain = chain_of(desk, training);
  ChainLink *links = calloc(desk->scheme.count, sizeof *links);
  Features *testing = NULL;
  Status status = links ? chain_run(&chain, store, links) : status_error(STATUS_MEMORY, "not enough memory for phases");
  if (status.code == STATUS_OK)
    status = open_features(desk, &desk->testing, &testing);
  if (status.code == STATUS_OK)
    status = desk_write(desk, links, store, testing);
  features_close(testing);
  free(links);
  return status;
}

static Status work(Desk *desk) {
  Model model;
  Store store;
  Features *features = NULL;
  ChainPlan chain = chain_of(desk, NULL);
  TRY(begin_job(desk));
  TRY(chain_start(&chain, &model, &store));
  Status status = open_features(desk, &desk->training, &features);
  if (status.code == STATUS_OK)
    status = train_and_test(desk, &store, features);
  features_close(features);
  store_free(&store);
  model_free(&model);
  return status;
}

static Status sit_down_and_work(const Setting *setting, const Recipe *recipe, uint64_t seed) {
  Desk desk;
  TRY(sit_down(&desk, setting, recipe, seed));
  Status status = work(&desk);
  leave(&desk);
  return status;
}

Status job_run(const Setting *setting, const Recipe *recipe, uint64_t seed, bool *taken) {
  char *folder = job_file(setting, recipe, seed, "");
  int lock = -1;
  bool done = false;
  *taken = false;
  Status status = folder ? folder_create(folder) : status_error(STATUS_MEMORY, "not enough memory for a path");
  if (status.code == STATUS_OK)
    status = lock_take(folder, false, &lock, taken);
  if (status.code == STATUS_OK && *taken)
    status = job_done(setting, recipe, seed, &done);
  if (status.code == STATUS_OK && *taken && !done)
    status = sit_down_and_work(setting, recipe, seed);
  lock_give(lock);
  free(folder);
  return status;
}

/* ---- what is trained already ---- */

/* Finished phases are only loaded: no training features are needed. */
static Status load_and_visit(Desk *desk, JobVisit *visit, void *context) {
  Model model;
  Store store;
  Features *features = NULL;
  ChainPlan chain = chain_of(desk, NULL);
  ChainLink *links = calloc(desk->scheme.count, sizeof *links);
  if (!links)
    return status_error(STATUS_MEMORY, "not enough memory for phases");
  Status status = chain_start(&chain, &model, &store);
  if (status.code == STATUS_OK) {
    status = chain_run(&chain, &store, links);
    if (status.code == STATUS_OK)
      status = open_features(desk, &desk->testing, &features);
    if (status.code == STATUS_OK)
      status = visit(context, &store, &desk->testing, features);
    features_close(features);
    store_free(&store);
    model_free(&model);
  }
  free(links);
  return status;
}

Status job_visit(const Setting *setting, const Recipe *recipe, uint64_t seed, JobVisit *visit, void *context,
                 bool *finished) {
  Desk desk;
  *finished = false;
  TRY(sit_down(&desk, setting, recipe, seed));
  ChainPlan chain = chain_of(&desk, NULL);
  Status status = chain_finished(&chain, finished);
  if (status.code == STATUS_OK && *finished)
    status = load_and_visit(&desk, visit, context);
  leave(&desk);
  return status;
}
