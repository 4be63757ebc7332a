/* examine.c: questions one by one, answers by one pass. */
#include "examine.h"

#include <math.h>
#include <stdlib.h>

#include "batch.h"
#include "files.h"

enum { BATCH = 50 }; /* questions of a pass */

typedef struct Examiner {
  const ExamPlan *plan;
  Model shown;
  Feed feed;
  Batcher batcher;
  SlimeTape tape;
  Run run;
  bool whole_prompt; /* the router's text is the prompt: here as a question that begins with it */
  int32_t positive;  /* token of the positive answer; -1: none */
} Examiner;

/* ---- one batch ---- */

static void count_answer(ExamCount *count, int32_t given, int32_t right, int32_t positive) {
  count->items++;
  count->correct += given == right;
  if (positive >= 0) {
    count->true_positive += given == positive && right == positive;
    count->false_positive += given == positive && right != positive;
    count->false_negative += given != positive && right == positive;
  }
}

/* An answer's first token is what counts; what follows is the end of the turn. */
static void count_batch(const Examiner *e, size_t first, const int32_t *best, size_t predictions, ExamCount *counts) {
  const Sequence *s = &e->tape.sequence;
  size_t total = e->feed.count, sample = 0;
  for (size_t i = 0; i < predictions && sample < e->batcher.batch.count; i++) {
    if (s->predicting[i] < s->rows.host[sample])
      continue;
    count_answer(&counts[(first + sample) * EXAM_BLOCKS / total], best[i], s->label[i], e->positive);
    sample++;
  }
  REQUIRE(sample == e->batcher.batch.count, "%zu answers to %zu questions", sample, e->batcher.batch.count);
}

Model exam_model(const ExamPlan *plan, bool *whole_prompt) {
  Model shown = model_showing(plan->store->model, plan->views);
  *whole_prompt = shown.config.switches.router_text == ROUTER_PROMPT;
  shown.config.switches.router_text = ROUTER_QUESTION;
  return shown;
}

void exam_hide_answers(Batcher *batcher) {
  for (size_t i = 0; i < batcher->batch.count; i++) {
    Conversation *c = &batcher->conversations[i];
    size_t end = 0;
    while (end < c->count && c->labels[end] == IGNORE_LABEL)
      end++;
    c->question = 0;
    c->question_count = end;
  }
}

static Status ask_batch(Examiner *e, size_t first, size_t count, Exam *exam, Family family) {
  enum { MOST = 16 * BATCH };
  size_t samples[BATCH];
  int32_t best[MOST];
  for (size_t i = 0; i < count; i++)
    samples[i] = first + i;
  TRY(batcher_fill(&e->batcher, &e->shown, samples, count, 0));
  if (e->whole_prompt)
    exam_hide_answers(&e->batcher);
  TRY(slime_room(&e->run, e->plan->store->ops, &e->shown, &e->batcher.batch, &e->tape, false));
  size_t predictions = slime_predict(&e->run, &e->shown, &e->batcher.batch, &e->tape, best, MOST);
  TRY(ops_status(e->plan->store->ops));
  count_batch(e, first, best, predictions, exam->count[family]);
  exam->local += e->tape.tiles * config_tile_tokens(&e->shown.config);
  exam->kept += e->tape.kept_count;
  return interrupt_check();
}

/* ---- one family ---- */

static Status token_of(const Tokenizer *tokenizer, const char *word, int32_t *id) {
  *id = tokenizer_find(tokenizer, word);
  return *id >= 0 ? status_ok() : status_error(STATUS_INPUT, "the tokenizer has no token '%s'", word);
}

static Status open_family(Examiner *e, Family family) {
  SceneFeedPlan scenes = *e->plan->scenes;
  scenes.talk = (SceneTalk){.families = 1U << family, .rounds = 1};
  e->positive = -1;
  if (family == FAMILY_EXIST)
    TRY(token_of(scenes.tokenizer, "yes", &e->positive));
  if (family == FAMILY_PROBE)
    TRY(token_of(scenes.tokenizer, "no", &e->positive));
  TRY(feed_scenes_open(&e->feed, &scenes));
  return batcher_open(&e->batcher, e->plan->store->ops, &e->feed, e->plan->features, BATCH);
}

static Status examine_family(Examiner *e, Family family, Exam *exam) {
  Status status = open_family(e, family);
  for (size_t first = 0; first < e->feed.count && status.code == STATUS_OK; first += BATCH)
    status = ask_batch(e, first, e->feed.count - first < BATCH ? e->feed.count - first : BATCH, exam, family);
  batcher_close(&e->batcher);
  feed_scenes_close(&e->feed);
  return status;
}

Status examine(const ExamPlan *plan, Exam *exam) {
  Examiner e = {.plan = plan};
  e.shown = exam_model(plan, &e.whole_prompt);
  *exam = (Exam){0};
  TRY(slime_tape_alloc(&e.tape, &plan->store->model->config));
  Status status = status_ok();
  for (int family = 0; family < FAMILIES && status.code == STATUS_OK; family++)
    if (plan->families == 0 || plan->families >> family & 1)
      status = examine_family(&e, (Family)family, exam);
  run_free(&e.run);
  slime_tape_free(&e.tape);
  return status;
}

/* ---- scores ---- */

static ExamCount total_of(const Exam *exam, Family family) {
  ExamCount total = {0};
  for (int b = 0; b < EXAM_BLOCKS; b++) {
    const ExamCount *c = &exam->count[family][b];
    total.items += c->items;
    total.correct += c->correct;
    total.true_positive += c->true_positive;
    total.false_positive += c->false_positive;
    total.false_negative += c->false_negative;
  }
  return total;
}

double exam_accuracy(const Exam *exam, Family family) {
  ExamCount total = total_of(exam, family);
  return (double)total.correct / (double)total.items;
}

double exam_f1(const Exam *exam, Family family) {
  ExamCount t = total_of(exam, family);
  double all = 2.0 * (double)t.true_positive + (double)t.false_positive + (double)t.false_negative;
  return all > 0.0 ? 2.0 * (double)t.true_positive / all : NAN;
}
