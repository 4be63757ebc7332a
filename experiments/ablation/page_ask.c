/* page_ask.c: questions one by one, a pass each, so that the router's choice is that of one sample. */
#include "page_ask.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "files.h"

enum { PREDICTIONS = 16 }; /* tokens of an answer, with the end of its turn */

typedef struct Asker {
  const ExamPlan *plan;
  Model shown;
  bool whole_prompt;    /* the router's text is the prompt, of which the answer is no part (examine.h) */
  SceneFeedPlan scenes; /* with the family that is asked */
  Feed feed;
  Batcher batcher;
  SlimeTape tape;
  Run run;
} Asker;

/* ---- words ---- */

static Status print_token(const Tokenizer *tokenizer, int32_t id, char word[PAGE_WORD]) {
  Text text = {0};
  Status status = tokenizer_decode(tokenizer, &id, 1, true, &text);
  const char *bytes = text.bytes ? text.bytes : "";
  if (bytes[strspn(bytes, " \n\t")])
    snprintf(word, PAGE_WORD, "%.*s", PAGE_WORD - 1, bytes);
  else
    snprintf(word, PAGE_WORD, "token %d", (int)id);
  text_free(&text);
  return status;
}

/* The first turn without the picture's place. */
static Status print_question(const Asker *a, size_t scene, char question[QUESTION_ROOM]) {
  static const char picture[] = "<image>\n";
  size_t skipped = sizeof picture - 1;
  Record record;
  TRY(scene_record(&a->scenes, scene, &record));
  const char *text = record.turns[0].text;
  text += strncmp(text, picture, skipped) == 0 ? skipped : 0;
  snprintf(question, QUESTION_ROOM, "%.*s", QUESTION_ROOM - 1, text);
  record_free(&record);
  return status_ok();
}

/* ---- the router's choice ---- */

/* kept are places in the sequence's order, raster says which of the tiles' tokens is at each. */
static Status read_choice(const Asker *a, PageAnswer *answer) {
  const SlimeTape *t = &a->tape;
  const Ops *ops = a->run.ops;
  answer->side = (size_t)lround(sqrt((double)config_tile_tokens(&a->shown.config)));
  answer->local = t->tiles * answer->side * answer->side;
  answer->kept = t->kept_count;
  if (answer->local == 0)
    return status_ok();
  int32_t *places = malloc(2 * answer->local * sizeof *places), *kept = places + answer->local;
  answer->keeps = calloc(answer->local, sizeof *answer->keeps);
  if (places && answer->keeps) {
    ops_read(ops, places, t->raster.data, answer->local * sizeof *places);
    ops_read(ops, kept, t->kept.data, answer->kept * sizeof *kept);
    for (size_t i = 0; i < answer->kept; i++)
      answer->keeps[places[kept[i]]] = true;
  }
  free(places);
  return places && answer->keeps ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for local tokens");
}

/* ---- a question ---- */

/* An answer's first token is what counts, as in examine. */
static Status ask(Asker *a, size_t scene, PageAnswer *answer) {
  int32_t best[PREDICTIONS];
  const Tokenizer *tokenizer = a->plan->scenes->tokenizer;
  TRY(print_question(a, scene, answer->question));
  TRY(batcher_fill(&a->batcher, &a->shown, &scene, 1, 0));
  if (a->whole_prompt)
    exam_hide_answers(&a->batcher);
  TRY(slime_room(&a->run, a->plan->store->ops, &a->shown, &a->batcher.batch, &a->tape, false));
  size_t count = slime_predict(&a->run, &a->shown, &a->batcher.batch, &a->tape, best, PREDICTIONS);
  TRY(ops_status(a->plan->store->ops));
  REQUIRE(count > 0, "a question without an answer");
  int32_t right = a->tape.sequence.label[0];
  answer->correct = best[0] == right;
  answer->grid = (TileGrid){a->batcher.conversations[0].columns, a->batcher.conversations[0].rows};
  TRY(print_token(tokenizer, best[0], answer->given));
  TRY(print_token(tokenizer, right, answer->right));
  TRY(read_choice(a, answer));
  return interrupt_check();
}

static Status ask_family(Asker *a, Family family, PageAnswer *answers) {
  a->scenes = *a->plan->scenes;
  a->scenes.talk = (SceneTalk){.families = 1U << family, .rounds = 1};
  TRY(feed_scenes_open(&a->feed, &a->scenes));
  Status status = batcher_open(&a->batcher, a->plan->store->ops, &a->feed, a->plan->features, 1);
  for (size_t i = 0; i < a->feed.count && status.code == STATUS_OK; i++)
    status = ask(a, i, &answers[i * FAMILIES + (size_t)family]);
  batcher_close(&a->batcher);
  feed_scenes_close(&a->feed);
  return status;
}

Status page_ask(const ExamPlan *plan, PageAnswer *answers) {
  Asker a = {.plan = plan};
  a.shown = exam_model(plan, &a.whole_prompt);
  TRY(slime_tape_alloc(&a.tape, &plan->store->model->config));
  Status status = status_ok();
  for (int family = 0; family < FAMILIES && status.code == STATUS_OK; family++)
    status = ask_family(&a, (Family)family, answers);
  run_free(&a.run);
  slime_tape_free(&a.tape);
  return status;
}

void page_answers_free(PageAnswer *answers, size_t count) {
  for (size_t i = 0; answers && i < count; i++)
    free(answers[i].keeps);
  free(answers);
}
