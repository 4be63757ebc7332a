/* test_pretrain.c: a few steps of each part of the pretrained pair; an exam of which the answers are known. */
#include <math.h>
#include <signal.h>

#include "digest.h"
#include "examine.h"
#include "json.h"
#include "pretrain.h"
#include "sanitized.h"
#include "small_world.h"

TestSuite(pretrain, .init = scratch_make, .fini = scratch_remove);
TestSuite(exam, .init = scratch_make, .fini = scratch_remove);

/* ---- pretraining ---- */

typedef struct Losses {
  double first, last;
  size_t killed; /* the step after which the process is killed; 0: none */
} Losses;

static void note(void *context, size_t step, double loss, double caption) {
  (void)caption;
  Losses *losses = context;
  losses->first = step <= 5 ? loss : losses->first;
  losses->last = loss;
  if (losses->killed > 0 && step >= losses->killed)
    kill(getpid(), SIGKILL);
}

static void add_value(void *context, const Entry *entry) {
  Digest *digest = context;
  *digest = digest_add(*digest, entry->parameter->w.data, tensor_bytes(entry->parameter->w));
}

/* 20 steps of a part; the digest of all values after them. */
static Digest pretrained(bool vision, int threads, const char *folder, Losses *losses) {
  SmallModel m;
  VisionSkill seen;
  DecoderSkill said;
  Digest digest = {{0}};
  PretrainPlan plan = {.seed = 1, .steps = 20, .batch = 2, .rate = 5e-3, .report = note, .context = losses, .every = 5};
  plan.folder = folder;
  plan.interval = 3;
  plan.scenes = 8;
  small_begin(&m, threads, 1);
  assert_ok(vision ? pretrain_vision(&m.store, &plan, &seen) : pretrain_decoder(&m.store, m.tokenizer, &plan, &said));
  model_walk(&m.model, add_value, &digest);
  for (int tag = 0; vision && tag < TAGS; tag++)
    cr_expect(seen.global[tag] >= 0 && seen.global[tag] <= 1 && seen.tiles[tag] >= 0 && seen.tiles[tag] <= 1);
  for (int family = 0; !vision && family < FAMILIES; family++)
    cr_expect(said.correct[family] >= 0 && said.correct[family] <= 1);
  small_end(&m);
  return digest;
}

static void expect_learning(bool vision) {
  Losses losses = {0}, again = {0};
  Digest one = pretrained(vision, 1, NULL, &losses), two = pretrained(vision, 2, NULL, &again);
  cr_expect(losses.last < 0.9 * losses.first, "%g, then %g", losses.first, losses.last);
  cr_expect_eq(losses.last, again.last);
  cr_expect_eq(memcmp(&one, &two, sizeof one), 0, "one or two threads: the same bytes");
}

Test(pretrain, of_the_tower_lowers_the_loss_with_any_threads) {
  expect_learning(true);
}

Test(pretrain, of_the_decoder_lowers_the_loss_with_any_threads) {
  expect_learning(false);
}

/* The child is killed after step 10, its last state that of step 9. */
static void expect_going_on(bool vision) {
  Losses losses = {0}, killed = {.killed = 10};
  int code;
  Digest whole = pretrained(vision, 1, NULL, &losses);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    pretrained(vision, 1, scratch_folder, &killed);
    _exit(0);
  }
  cr_assert_eq(waitpid(child, &code, 0), child);
  cr_assert(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL);
  const char *kept = scratch_path(vision ? "vision.checkpoint.safetensors" : "decoder.checkpoint.safetensors");
  cr_expect_eq(access(kept, R_OK), 0);
  Digest resumed = pretrained(vision, 1, scratch_folder, &losses);
  cr_expect_eq(memcmp(&whole, &resumed, sizeof whole), 0);
  cr_expect_neq(access(kept, R_OK), 0, "it is needed no longer");
}

Test(pretrain, of_the_tower_goes_on_after_a_kill) {
  expect_going_on(true);
}

Test(pretrain, of_the_decoder_goes_on_after_a_kill) {
  expect_going_on(false);
}

Test(pretrain, stops_where_the_loss_is_not_a_number) {
  SmallModel m;
  VisionSkill seen;
  PretrainPlan plan = {.seed = 1, .steps = 3, .batch = 1, .rate = 1e-3, .every = 1};
  small_begin(&m, 1, 1);
  ((float *)m.model.vision.patch.w.data)[0] = NAN;
  expect_refused(pretrain_vision(&m.store, &plan, &seen), STATUS_NUMERICS, "step 0");
  small_end(&m);
}

/* What it writes opens as a checkpoint and says where it comes from; the tower is not learnt twice. */
Test(pretrain, is_a_command_that_leaves_a_checkpoint) {
  static const char *const words = "scenes pretrain --out p --threads 1 --vision-steps 1 --vision-batch 1 "
                                   "--decoder-steps 1 --decoder-batch 1 --json p.json";
  if (SANITIZED)
    return; /* measuring what was learnt takes long */
  ProgramRun run = program_run("%s", words);
  cr_assert_eq(run.exit, 0, "%s", run.err);
  expect_contains(run.out, "vision: step 1 of 1");
  program_free(&run);
  run = program_run("%s", words);
  cr_assert_eq(run.exit, 0, "%s", run.err);
  cr_expect_null(strstr(run.out, "vision"));
  expect_contains(run.out, "decoder: step 1 of 1");
  program_free(&run);
  program_succeeds("model info p");
  cJSON *json;
  cr_assert_eq(json_read(scratch_path("p/pretrained.json.origin.json"), &json).code, STATUS_OK);
  expect_contains(cJSON_GetStringValue(cJSON_GetObjectItem(json, "command")), "seesaw scenes pretrain --out=p");
  cJSON_Delete(json);
  cr_assert_eq(json_read(scratch_path("p.json"), &json).code, STATUS_OK);
  cr_expect_not_null(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "decoder"), "skill"));
  cJSON_Delete(json);
}

Test(pretrain, refuses_bad_options) {
  program_refuses(2, "--out DIR", "scenes pretrain");
  program_refuses(2, "size", "scenes pretrain --out p --size huge");
  program_refuses(2, "part", "scenes pretrain --out p --part adapter");
  program_refuses(2, "vision-steps", "scenes pretrain --out p --vision-steps 0");
  program_refuses(2, "decoder-rate", "scenes pretrain --out p --decoder-rate -1");
  scratch_text("file", "in the way");
  program_refuses(4, "file", "scenes pretrain --out file");
  ProgramRun run = program_run("scenes pretrain --out p --part decoder --decoder-steps 1 --decoder-batch 1");
  cr_expect_eq(run.exit, 3, "no checkpoint to go on with: %d", run.exit);
  program_free(&run);
}

/* ---- the exam ---- */

/* A decoder that says `word` after every header: its layers add nothing, so what stands before an answer is the
 * header's embedding alone, and the word's is twice that. Other words must not be nearer. */
static void force(SmallModel *m, const char *word) {
  const ModelConfig *c = &m->model.config;
  DecoderLayer *layer = &m->model.decoder.layers[0];
  size_t width = c->decoder.width, header = c->decoder.vocabulary - 1;
  float *table = m->model.decoder.embedding.w.data;
  memset(layer->o.w.w.data, 0, tensor_bytes(layer->o.w.w));
  memset(layer->down.w.w.data, 0, tensor_bytes(layer->down.w.w));
  for (size_t i = 0; i < width; i++)
    table[(size_t)tokenizer_find(m->tokenizer, word) * width + i] = 8 * table[header * width + i];
}

typedef struct Sitting {
  SceneFeedPlan scenes;
  Feed feed;
  Features *features;
} Sitting;

static void sit(Sitting *s, SmallModel *m, size_t count) {
  s->scenes = (SceneFeedPlan){.seed = 1, .split = SPLIT_TEST, .count = count, .tokenizer = m->tokenizer};
  s->scenes.talk.caption = true;
  s->features = NULL;
  assert_ok(feed_scenes_open(&s->feed, &s->scenes));
  assert_ok(
      features_open(&s->features, &(FeaturesPlan){.store = &m->store, .feed = &s->feed, .folder = "", .quiet = true}));
}

static void leave(Sitting *s) {
  features_close(s->features);
  feed_scenes_close(&s->feed);
}

/* Is this the answer to the exam's question of this family about a scene? */
static bool is_answer(const Sitting *s, int family, size_t index, const char *word) {
  SceneFeedPlan plan = s->scenes;
  Record record;
  plan.talk = (SceneTalk){.families = 1U << family, .rounds = 1};
  assert_ok(scene_record(&plan, index, &record));
  bool same = strcmp(record.turns[1].text, word) == 0;
  record_free(&record);
  return same;
}

static void expect_exam_of(const char *word, int family, size_t count, bool positive, bool claimed) {
  SmallModel m;
  Sitting s;
  Exam exam;
  size_t expected[EXAM_BLOCKS] = {0}, items[EXAM_BLOCKS] = {0}, right = 0;
  small_begin(&m, 1, 3);
  force(&m, word);
  sit(&s, &m, count);
  assert_ok(examine(&(ExamPlan){&m.store, &s.scenes, s.features, VIEWS_BOTH}, &exam));
  for (size_t i = 0; i < count; i++) {
    size_t block = i * EXAM_BLOCKS / count;
    items[block]++;
    expected[block] += is_answer(&s, family, i, word);
  }
  for (int b = 0; b < EXAM_BLOCKS; b++) {
    const ExamCount *c = &exam.count[family][b];
    right += expected[b];
    cr_expect_eq(c->items, items[b], "block %d", b);
    cr_expect_eq(c->correct, expected[b], "%s, block %d: %zu, not %zu", word, b, c->correct, expected[b]);
    cr_expect_eq(c->true_positive, positive && claimed ? expected[b] : 0);
    cr_expect_eq(c->false_positive, positive && claimed ? items[b] - expected[b] : 0);
    cr_expect_eq(c->false_negative, positive && !claimed ? items[b] - expected[b] : 0);
  }
  expect_within(fabs(exam_accuracy(&exam, (Family)family) - (double)right / (double)count), 1e-15, "accuracy");
  double f1 = !positive ? NAN : claimed ? 2.0 * (double)right / (double)(count + right) : 0.0;
  double given = exam_f1(&exam, (Family)family);
  cr_expect(positive ? fabs(given - f1) < 1e-15 : isnan(given), "%s: F1 %g, not %g", word, given, f1);
  cr_expect_gt(right, 0, "%s", word);
  leave(&s);
  small_end(&m);
}

Test(exam, counts_what_is_known) {
  expect_exam_of("yes", FAMILY_EXIST, 61, true, true);
  expect_exam_of("no", FAMILY_EXIST, 61, true, false);
  expect_exam_of("no", FAMILY_PROBE, 61, true, true);
  expect_exam_of("yes", FAMILY_PROBE, 61, true, false);
  expect_exam_of("red", FAMILY_RELATE, 61, false, false);
  expect_exam_of("triangle", FAMILY_RELATE, 61, false, false);
}

/* A random model's answers change with what it is shown, and are the same for the same. */
Test(exam, shows_the_views_that_it_is_told_to) {
  static const Views views[] = {VIEWS_BOTH, VIEWS_GLOBAL, VIEWS_LOCAL, VIEWS_NONE, VIEWS_BOTH};
  SmallModel m;
  Sitting s;
  Exam exams[5];
  small_begin(&m, 1, 3);
  float *table = m.model.decoder.embedding.w.data;
  size_t width = m.model.config.decoder.width, words = m.model.config.decoder.vocabulary;
  int32_t yes = tokenizer_find(m.tokenizer, "yes"), no = tokenizer_find(m.tokenizer, "no");
  for (size_t i = 0; i < words * width; i++) /* one of two answers, always: the others are too short to be likelier */
    table[i] *= (int32_t)(i / width) == yes || (int32_t)(i / width) == no ? 1.0F : 0.2F;
  for (size_t i = 0; i < width; i++)
    table[(size_t)no * width + i] = -table[(size_t)yes * width + i];
  sit(&s, &m, 60);
  for (int i = 0; i < 5; i++)
    assert_ok(examine(&(ExamPlan){&m.store, &s.scenes, s.features, views[i]}, &exams[i]));
  cr_expect_eq(memcmp(&exams[0], &exams[4], sizeof exams[0]), 0, "the same views");
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++)
      cr_expect_neq(memcmp(&exams[i], &exams[j], sizeof exams[0]), 0, "views %d and %d", views[i], views[j]);
  leave(&s);
  small_end(&m);
}
