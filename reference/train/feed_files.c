/* feed_files.c: conversations of a LLaVA-format file, their pictures from a folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feed.h"
#include "files.h"

typedef struct FilesState {
  FeedFilesPlan plan; /* images: a copy */
  ConversationList list;
} FilesState;

/* ---- conversations ---- */

static Status check_labels(const FilesState *state, const Record *record, const Example *example) {
  const Sample *text = &example->text;
  if (text->mismatch)
    return status_error(STATUS_INPUT,
                        "%s: its turns one by one have %zu tokens, and its whole text %zu, so it is not known which "
                        "tokens are answers; released code would silently ignore it: mend its text or take it out",
                        record->where, text->found, text->expected);
  if (example_learnt(example) == 0)
    return status_error(STATUS_INPUT,
                        "%s: nothing is learnt from it: its first %zu tokens hold no answer, and %zu beyond the "
                        "longest length of %zu were cut off",
                        record->where, text->ids.count, text->cut, state->plan.longest);
  return status_ok();
}

static Status make_example(const FilesState *state, const Record *record, Example *example) {
  TRY(sample_make(&example->text, state->plan.tokenizer, state->plan.template, record, state->plan.longest));
  TRY(check_labels(state, record, example));
  example->pictured = example->text.images > 0;
  example_place_question(example);
  return status_ok();
}

static Status files_example(void *of, size_t index, Example *example) {
  const FilesState *state = of;
  Record record;
  TRY(conversations_read(&state->list, index, &record));
  Status status = make_example(state, &record, example);
  record_free(&record);
  return status;
}

/* ---- pictures ---- */

/* A picture counts where the text mentions it. */
static bool mentions_picture(const Record *record) {
  for (size_t i = 0; record->image && i < record->turn_count; i++)
    if (strstr(record->turns[i].text, "<image>"))
      return true;
  return false;
}

static Status files_pictured(void *of, size_t index, bool *pictured) {
  const FilesState *state = of;
  Record record;
  *pictured = false;
  TRY(conversations_read(&state->list, index, &record));
  *pictured = mentions_picture(&record);
  record_free(&record);
  return status_ok();
}

/* Does a path stay in the folder that it is relative to? */
static bool stays_inside(const char *path) {
  for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
    if (strcmp(part, "..") == 0 || strncmp(part, "../", 3) == 0)
      return false;
  return *path != '/';
}

static Status picture_path(const FilesState *state, const Record *record, char **path) {
  REQUIRE(record->image, "%s has no picture", record->where);
  if (!stays_inside(record->image))
    return status_error(STATUS_INPUT, "%s: the picture '%.120s' must be a path relative to %.100s, without '..'",
                        record->where, record->image, state->plan.images);
  *path = path_join(state->plan.images, record->image);
  return *path ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the name of a picture");
}

static Status at_record(const Record *record, Status status) {
  return status.code == STATUS_OK || status.code == STATUS_MEMORY
             ? status
             : status_error(status.code, "%s: %s", record->where, status.message);
}

/* `use` with the path of the picture of a record; an error names the record. */
static Status with_picture(const FilesState *state, size_t index, Status (*use)(const char *path, void *result),
                           void *result) {
  Record record;
  char *path = NULL;
  TRY(conversations_read(&state->list, index, &record));
  Status status = picture_path(state, &record, &path);
  if (status.code == STATUS_OK)
    status = at_record(&record, use(path, result));
  free(path);
  record_free(&record);
  return status;
}

static Status read_picture(const char *path, void *image) {
  return image_read(path, image);
}

static Status files_picture(void *state, size_t index, Image *image) {
  return with_picture(state, index, read_picture, image);
}

static Status find_file(const char *path, void *nothing) {
  (void)nothing;
  return access(path, R_OK) == 0 ? status_ok() : status_from_errno(STATUS_INPUT, "cannot read the picture %s", path);
}

static Status files_findable(void *state, size_t index) {
  return with_picture(state, index, find_file, NULL);
}

static Status digest_file(const char *path, void *digest) {
  unsigned char *bytes;
  size_t size;
  TRY(file_read(path, IMAGE_MOST_BYTES, &bytes, &size));
  *(Digest *)digest = digest_of(bytes, size);
  free(bytes);
  return status_ok();
}

static Status files_digest(void *state, size_t index, Digest *digest) {
  return with_picture(state, index, digest_file, digest);
}

static void files_name(void *of, size_t index, char name[PICTURE_NAME]) {
  const FilesState *state = of;
  Record record;
  if (conversations_read(&state->list, index, &record).code != STATUS_OK)
    snprintf(name, PICTURE_NAME, "%.200s: record %zu", state->list.path, index);
  else
    snprintf(name, PICTURE_NAME, "%s: %s", record.where, record.image ? record.image : "no picture");
  record_free(&record);
}

/* ---- the whole ---- */

static Status open_state(FilesState *state, const FeedFilesPlan *plan) {
  state->plan = *plan;
  state->plan.images = strdup(plan->images);
  if (!state->plan.images)
    return status_error(STATUS_MEMORY, "not enough memory to read %s", plan->data);
  return conversations_open(&state->list, plan->data);
}

static void close_state(FilesState *state) {
  conversations_close(&state->list);
  free((char *)state->plan.images);
  free(state);
}

Status feed_files_open(Feed *feed, const FeedFilesPlan *plan) {
  *feed = (Feed){0};
  REQUIRE(plan->tokenizer && plan->template <TEMPLATE_COUNT && plan->longest > 0,
                                             "a feed of files that is half planned");
  FilesState *state = calloc(1, sizeof *state);
  if (!state)
    return status_error(STATUS_MEMORY, "not enough memory to read %s", plan->data);
  Status status = open_state(state, plan);
  if (status.code != STATUS_OK) {
    close_state(state);
    return status;
  }
  *feed = (Feed){.state = state,
                 .count = state->list.count,
                 .example = files_example,
                 .pictured = files_pictured,
                 .picture = files_picture,
                 .findable = files_findable,
                 .digest = files_digest,
                 .name = files_name};
  return status_ok();
}

void feed_files_close(Feed *feed) {
  if (feed->state)
    close_state(feed->state);
  *feed = (Feed){0};
}
