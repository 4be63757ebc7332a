/* scenes_render.c: `seesaw scenes render`: scenes as pictures and conversations in LLaVA's format, so that the same
 * data goes through files too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "feed_scenes.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "scenes_options.h"

typedef struct RenderPlan {
  const char *out, *talk, *families, *split;
  int64_t seed, count, rounds;
} RenderPlan;

static Status render_picture(const SceneFeedPlan *feed, const char *folder, size_t index, const char *name) {
  Scene scene = scene_make(feed->seed, feed->split, index);
  char *path = path_join(folder, name);
  Image image;
  if (!path)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  Status status = scene_draw(&scene, &image);
  if (status.code == STATUS_OK) {
    status = image_write_png(path, image);
    image_free(&image);
  }
  free(path);
  return status;
}

/* data.json names pictures from its own folder. */
static Status name_picture(Record *record) {
  char *path = path_join("images", record->image);
  cJSON *name = path ? cJSON_CreateString(path) : NULL;
  free(path);
  if (!name)
    return status_error(STATUS_MEMORY, "not enough memory for the name of a picture");
  cJSON_ReplaceItemInObjectCaseSensitive(record->json, "image", name);
  record->image = cJSON_GetStringValue(name);
  return status_ok();
}

/* The record's JSON goes into the list. */
static Status render_one(const SceneFeedPlan *feed, const char *folder, size_t index, cJSON *list) {
  Record record;
  TRY(scene_record(feed, index, &record));
  Status status = render_picture(feed, folder, index, record.image);
  if (status.code == STATUS_OK)
    status = name_picture(&record);
  if (status.code == STATUS_OK) {
    cJSON_AddItemToArray(list, record.json);
    record.json = NULL;
  }
  record_free(&record);
  return status;
}

static Status render_all(const SceneFeedPlan *feed, const char *folder, cJSON *list) {
  Progress progress;
  Status status = status_ok();
  progress_start(&progress, "scenes", (double)feed->count);
  for (size_t i = 0; i < feed->count && status.code == STATUS_OK; i++) {
    status = render_one(feed, folder, i, list);
    progress_update(&progress, (double)i + 1.0);
    if (status.code == STATUS_OK)
      status = interrupt_check();
  }
  progress_end(&progress);
  return status;
}

static Status render(const RenderPlan *plan) {
  SceneFeedPlan feed = {.seed = (uint64_t)plan->seed,
                        .split = split_find(plan->split),
                        .count = (size_t)plan->count,
                        .talk = {.caption = strcmp(plan->talk, "captions") == 0, .rounds = (size_t)plan->rounds}};
  if (!*plan->out)
    return status_error(STATUS_USAGE, "where to? --out DIR names the folder");
  TRY(families_parse(plan->families, &feed.talk.families));
  char *images = path_join(plan->out, "images"), *data = path_join(plan->out, "data.json");
  cJSON *list = cJSON_CreateArray();
  Status status = status_error(STATUS_MEMORY, "not enough memory for scenes");
  if (images && data && list)
    status = folder_create(images);
  if (status.code == STATUS_OK)
    status = render_all(&feed, images, list);
  if (status.code == STATUS_OK)
    status = json_write(data, list);
  if (status.code == STATUS_OK)
    printf("%s: %zu conversations; pictures in %s\n", data, feed.count, images);
  cJSON_Delete(list);
  free(images);
  free(data);
  return status;
}

Status command_scenes_render(int argc, char **argv, Ranks ranks) {
  RenderPlan plan = {
      .out = "", .talk = "captions", .families = "all", .split = "train", .seed = 1, .count = 16, .rounds = 5};
  const Option options[] = {
      {"out", OPTION_TEXT, &plan.out, "DIR", "folder of data.json and images/; made if it is not there"},
      {"count", OPTION_INTEGER, &plan.count, "N", "scenes", 1, 1000000},
      {"talk", OPTION_CHOICE, &plan.talk, NULL, "what is said about each scene", .choices = "captions,questions"},
      {"families", OPTION_TEXT, &plan.families, "LIST", "which questions: exist,relate,reason,read,probe, or all"},
      {"rounds", OPTION_INTEGER, &plan.rounds, "N", "questions a scene", 1, 100},
      {"split", OPTION_CHOICE, &plan.split, NULL, "whose scenes", .choices = "train,validation,test"},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of the scenes", 0, 9e15},
      {NULL},
  };
  const Command command = {
      .name = "scenes render",
      .summary = "pictures and conversations of the small experiments' world, as files",
      .description =
          "Writes PNG pictures and data.json, a list of conversations in LLaVA's format, which `seesaw train "
          "--data NAME=DIR/data.json` reads: it names pictures from its own folder. A scene depends on seed, split and "
          "its number only.",
      .examples = "seesaw scenes render --out scenes --count 100\n"
                  "seesaw scenes render --out questions --talk questions --families read,exist --rounds 2\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : render(&plan);
}
