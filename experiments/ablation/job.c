/* job.c: one row, one seed. */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examine.h"
#include "files.h"
#include "load.h"
#include "lock.h"
#include "number.h"
#include "probed.h"

enum { TEST_SEED = 1, SEEDS_OF_SCENES = 1000 }; /* the pretrained pair saw the training scenes of small seeds */

/* A row that is never shown a picture has its answers where other rows have those to both views. */
const char *views_name(Views views) {
  static const char *const names[] = {"both", "global", "local", "both"};
  return names[views];
}

/* ---- the pretrained pair ---- */

static void digest_value(void *context, const Entry *entry) {
  Digest *digest = context;
  Tensor w = entry->parameter->w;
  if (entry->group == GROUP_VISION || entry->group == GROUP_DECODER)
    *digest = digest_add(*digest, w.data, tensor_bytes(w));
}

Status pair_open(Pair *pair, const Ops *ops, const char *folder) {
  Checkpoint checkpoint = {0};
  *pair = (Pair){0};
  TRY(config_read(folder, &pair->config));
  TRY(checkpoint_add(&checkpoint, folder));
  Status status = model_alloc(&pair->model, &pair->config);
  if (status.code == STATUS_OK)
    status = store_load(&pair->store, ops, &pair->model, &checkpoint, 0);
  checkpoint_close(&checkpoint);
  if (status.code == STATUS_OK)
    model_walk(&pair->model, digest_value, &pair->digest);
  else
    pair_close(pair);
  return status;
}

void pair_close(Pair *pair) {
  store_free(&pair->store);
  model_free(&pair->model);
  *pair = (Pair){0};
}

/* ---- what a job works with ---- */

typedef struct Desk {
  const Setting *setting;
  const Recipe *recipe;
  uint64_t seed;
  ModelConfig config;
  Scheme scheme;
  SceneFeedPlan training, testing; /* scenes */
  Feed captions, questions;
  SceneTalk caption_talk, question_talk;
} Desk;

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
  const SceneFeedPlan *scenes = &desk->training;
  const SceneTalk *talk = strcmp(name, "captions") == 0 ? &desk->caption_talk : &desk->question_talk;
  char line[160];
  snprintf(line, sizeof line, "scenes %zu of seed %llu: %s, families %u, rounds %zu\n", scenes->count,
           (unsigned long long)scenes->seed, talk->caption ? "captions" : "questions", talk->families, talk->rounds);
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

/* ---- files ---- */

char *job_file(const Setting *setting, const Recipe *recipe, uint64_t seed, const char *name) {
  char *path;
  return asprintf(&path, "%s/rows/%s-%llu%s%s", setting->folder, recipe->id, (unsigned long long)seed, *name ? "/" : "",
                  name) < 0
             ? NULL
             : path;
}

/* Opens one for writing. */
static Status begin_file(const Desk *desk, const char *name, OutputFile *file) {
  char *path = job_file(desk->setting, desk->recipe, desk->seed, name);
  Status status = path ? output_open(file, path) : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(path);
  return status;
}

static Status write_costs(const Desk *desk, const ChainLink *links) {
  OutputFile file;
  TRY(begin_file(desk, "costs.csv", &file));
  for (size_t i = 0; i < desk->scheme.count; i++) {
    const TrainCounts *c = &links[i].report.counts;
    char digest[2 * DIGEST_SIZE + 1];
    fprintf(file.stream, "%s,%llu,%s,%llu,%llu,%.6g,%.6g,%.6g,%s\n", desk->recipe->id, (unsigned long long)desk->seed,
            links[i].phase->name, (unsigned long long)c->samples, (unsigned long long)c->steps, 1e-12 * c->operations,
            (double)c->image_tokens / (double)c->samples, c->seconds, digest_print(links[i].report.digest, digest));
  }
  return output_commit(&file);
}

/* ---- learning curves: the phases' logs, as means over windows ---- */

enum { CURVE_POINTS = 50 };

typedef struct Window {
  size_t lines;
  double loss;
} Window;

/* A phase's log goes on: after each window a point. */
static void curve_of(const Desk *desk, const ChainLink *link, FILE *log, FILE *stream) {
  Window window = {0};
  uint64_t each = link->report.steps / CURVE_POINTS > 0 ? link->report.steps / CURVE_POINTS : 1;
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, log) > 0) {
    unsigned long long step, samples;
    double loss, rate;
    if (sscanf(line, "%*[^,],%llu,%llu,%lf,%lf", &step, &samples, &loss, &rate) != 4)
      continue; /* the header */
    window.lines++;
    window.loss += loss;
    if (step % each == 0) {
      fprintf(stream, "%s,%llu,%s,%llu,%llu,%.6g,%.6g\n", desk->recipe->id, (unsigned long long)desk->seed,
              link->phase->name, step, samples, window.loss / (double)window.lines, rate);
      window = (Window){0};
    }
  }
  free(line);
}

static Status write_curves(const Desk *desk, const ChainLink *links) {
  OutputFile file;
  TRY(begin_file(desk, "curves.csv", &file));
  for (size_t i = 0; i < desk->scheme.count; i++) {
    char *path;
    FILE *log = NULL;
    if (asprintf(&path, "%s/%s/log.csv", desk->setting->folder, links[i].digest) >= 0) {
      log = fopen(path, "r");
      free(path);
    }
    if (!log) {
      output_abort(&file);
      return status_error(STATUS_INPUT, "the log of phase %s is not there", links[i].phase->name);
    }
    curve_of(desk, &links[i], log, file.stream);
    fclose(log);
  }
  return output_commit(&file);
}

/* ---- answers ---- */

static void write_exam(const Desk *desk, Views views, const Exam *exam, FILE *stream) {
  for (int f = 0; f < FAMILIES; f++)
    for (int b = 0; b < EXAM_BLOCKS; b++) {
      const ExamCount *c = &exam->count[f][b];
      fprintf(stream, "%s,%llu,%s,%s,%d,%zu,%zu,%zu,%zu,%zu\n", desk->recipe->id, (unsigned long long)desk->seed,
              views_name(views), family_name((Family)f), b, c->items, c->correct, c->true_positive, c->false_positive,
              c->false_negative);
    }
}

static Status write_answers(Desk *desk, const Store *store, const Features *features) {
  OutputFile file;
  TRY(begin_file(desk, "answers.csv", &file));
  Status status = status_ok();
  for (size_t i = 0; i < desk->recipe->tested_count && status.code == STATUS_OK; i++) {
    ExamPlan plan = {.store = store, .scenes = &desk->testing, .features = features, .views = desk->recipe->tested[i]};
    Exam exam;
    status = examine(&plan, &exam);
    if (status.code == STATUS_OK)
      write_exam(desk, plan.views, &exam, file.stream);
  }
  if (status.code == STATUS_OK)
    return output_commit(&file);
  output_abort(&file);
  return status;
}

/* ---- or what was measured ---- */

static Status write_probed(Desk *desk, const ChainLink *links, const Store *store, const Features *features) {
  char *folder = job_file(desk->setting, desk->recipe, desk->seed, "");
  Probed probed = {.row = desk->recipe->id,
                   .seed = desk->seed,
                   .folder = folder,
                   .runs = desk->setting->folder,
                   .links = links,
                   .phases = desk->scheme.count,
                   .store = store,
                   .scenes = &desk->testing,
                   .features = features,
                   .views = desk->recipe->tested[0]};
  Status status = folder ? probed_write(&probed) : status_error(STATUS_MEMORY, "not enough memory for a path");
  free(folder);
  return status;
}

static Status write_files(Desk *desk, const ChainLink *links, const Store *store, const Features *features) {
  if (desk->setting->probed)
    return write_probed(desk, links, store, features);
  TRY(write_costs(desk, links));
  TRY(write_curves(desk, links));
  return write_answers(desk, store, features);
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
  char line[256], digest[2 * DIGEST_SIZE + 1], scale[NUMBER_ROOM];
  number_print(s->scale, scale);
  snprintf(line, sizeof line, "pair %s, %zu scenes, scale %s, exam of %zu %s scenes\n",
           digest_print(s->pair->digest, digest), s->pictures, scale, s->tests, splits[s->split]);
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
    status = begin_file(desk, "what.txt", &file);
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
    status = write_files(desk, links, store, testing);
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
