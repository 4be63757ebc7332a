/* feed_scenes.c: conversations about scenes. */
#include "feed_scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* ---- a conversation, as LLaVA's files have it ---- */

static void add_turn(cJSON *turns, const char *from, const char *value) {
  cJSON *turn = cJSON_CreateObject();
  cJSON_AddStringToObject(turn, "from", from);
  cJSON_AddStringToObject(turn, "value", value);
  cJSON_AddItemToArray(turns, turn);
}

static Status add_caption(const Scene *scene, cJSON *turns) {
  Text caption = {0};
  Status status = scene_caption(scene, &caption);
  if (status.code == STATUS_OK) {
    add_turn(turns, "human", "<image>");
    add_turn(turns, "gpt", caption.bytes);
  }
  text_free(&caption);
  return status;
}

static void add_questions(const Scene *scene, const SceneTalk *talk, Draws *draws, cJSON *turns) {
  Family order[FAMILIES];
  size_t count = 0;
  for (int f = 0; f < FAMILIES; f++)
    if (talk->families >> f & 1)
      order[count++] = (Family)f;
  for (size_t round = 0, hard = 0; round < talk->rounds; round++) {
    Query query;
    char first[QUESTION_ROOM + 16];
    if (talk->easily && draw_chance(draws, 0.5)) {
      scene_ask_easily(scene, draws, &query);
    } else {
      size_t place = hard++ % count, chosen = place + draw(draws, count - place);
      Family family = order[chosen];
      order[chosen] = order[place];
      order[place] = family;
      scene_ask(scene, family, draws, &query);
    }
    snprintf(first, sizeof first, "<image>\n%s", query.question);
    add_turn(turns, "human", round == 0 ? first : query.question);
    add_turn(turns, "gpt", query.answer);
  }
}

static Status fill_record(cJSON *json, Record *record) {
  cJSON *turns = cJSON_GetObjectItemCaseSensitive(json, "conversations"), *turn;
  size_t count = (size_t)cJSON_GetArraySize(turns), i = 0;
  record->turns = calloc(count, sizeof *record->turns);
  if (!record->turns || count == 0)
    return status_error(STATUS_MEMORY, "not enough memory for a conversation");
  cJSON_ArrayForEach(turn, turns) {
    const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(turn, "from"));
    record->turns[i].from = strcmp(from, "human") == 0 ? SPEAKER_HUMAN : SPEAKER_GPT;
    record->turns[i++].text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(turn, "value"));
  }
  record->turn_count = count;
  record->image = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "image"));
  return status_ok();
}

Status scene_record(const SceneFeedPlan *plan, size_t index, Record *record) {
  char image[32];
  Scene scene = scene_make(plan->seed, plan->split, index);
  Draws draws = scene_draws(plan->seed, plan->split, index, SCENE_TEXT);
  REQUIRE(plan->talk.caption || (plan->talk.families > 0 && plan->talk.rounds > 0), "scenes without a word");
  cJSON *json = cJSON_CreateObject(), *turns = NULL;
  *record = (Record){.json = json};
  snprintf(image, sizeof image, "%06zu.png", index);
  cJSON_AddNumberToObject(json, "id", (double)index);
  cJSON_AddStringToObject(json, "image", image);
  turns = cJSON_AddArrayToObject(json, "conversations");
  Status status = status_ok();
  if (plan->talk.caption)
    status = add_caption(&scene, turns);
  else
    add_questions(&scene, &plan->talk, &draws, turns);
  if (status.code == STATUS_OK && asprintf(&record->where, "scene %zu", index) < 0) {
    record->where = NULL;
    status = status_error(STATUS_MEMORY, "not enough memory for a conversation");
  }
  if (status.code == STATUS_OK)
    status = fill_record(json, record);
  if (status.code != STATUS_OK)
    record_free(record);
  return status;
}

/* ---- the world as it is ---- */

enum { LOOKED_AT = 8 }; /* scenes */

static Status add_picture(const SceneFeedPlan *plan, size_t index, Digest *digest) {
  Scene scene = scene_make(plan->seed, plan->split, index);
  Image image;
  TRY(scene_draw(&scene, &image));
  *digest = digest_add(*digest, image.pixels, 3 * image.width * image.height);
  image_free(&image);
  return status_ok();
}

static Status add_words(const SceneFeedPlan *plan, size_t index, Digest *digest) {
  Record record;
  TRY(scene_record(plan, index, &record));
  for (size_t i = 0; i < record.turn_count; i++)
    *digest = digest_add(*digest, record.turns[i].text, strlen(record.turns[i].text));
  record_free(&record);
  return status_ok();
}

/* Of each scene looked at. */
static Status add_up(const SceneFeedPlan *plan, Status (*add)(const SceneFeedPlan *, size_t, Digest *),
                     Digest *digest) {
  for (size_t i = 0; i < LOOKED_AT && i < plan->count; i++)
    TRY(add(plan, i, digest));
  return status_ok();
}

Status feed_scenes_digest(const SceneFeedPlan *plan, Digest *digest) {
  *digest = (Digest){0};
  TRY(add_up(plan, add_picture, digest));
  return add_up(plan, add_words, digest);
}

/* ---- the feed ---- */

typedef struct SceneFeed {
  SceneFeedPlan plan;
  Digest drawn; /* how pictures of the plan look */
} SceneFeed;

static Status scene_example(void *state, size_t index, Example *example) {
  const SceneFeedPlan *plan = &((const SceneFeed *)state)->plan;
  Record record;
  TRY(scene_record(plan, index, &record));
  Status status = sample_make(&example->text, plan->tokenizer, plan->talk.caption ? TEMPLATE_PLAIN : TEMPLATE_LLAMA3,
                              &record, SIZE_MAX);
  example->pictured = true;
  example_place_question(example);
  record_free(&record);
  return status;
}

static Status scene_pictured(void *state, size_t index, bool *pictured) {
  (void)state, (void)index;
  *pictured = true;
  return status_ok();
}

static Status scene_picture(void *state, size_t index, Image *image) {
  const SceneFeedPlan *plan = &((const SceneFeed *)state)->plan;
  Scene scene = scene_make(plan->seed, plan->split, index);
  return scene_draw(&scene, image);
}

/* Equal scenes are equal to the last byte (scene_make zeroes what lies between the fields). */
static Status scene_digest(void *state, size_t index, Digest *digest) {
  const SceneFeed *feed = state;
  Scene scene = scene_make(feed->plan.seed, feed->plan.split, index);
  *digest = digest_add(feed->drawn, &scene, sizeof scene);
  return status_ok();
}

Status feed_scenes_open(Feed *feed, const SceneFeedPlan *plan) {
  SceneFeed *state = malloc(sizeof *state);
  *feed = (Feed){0};
  if (!state)
    return status_error(STATUS_MEMORY, "not enough memory for a feed of scenes");
  *state = (SceneFeed){.plan = *plan};
  Status status = add_up(plan, add_picture, &state->drawn);
  if (status.code != STATUS_OK) {
    free(state);
    return status;
  }
  *feed = (Feed){.state = state,
                 .count = plan->count,
                 .example = scene_example,
                 .pictured = scene_pictured,
                 .picture = scene_picture,
                 .digest = scene_digest};
  return status_ok();
}

void feed_scenes_close(Feed *feed) {
  free(feed->state);
  *feed = (Feed){0};
}
