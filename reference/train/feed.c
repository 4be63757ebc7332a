/* feed.c: what all feeds share. */
#include "feed.h"

#include <stdio.h>

#include "files.h"
#include "progress.h"

void example_free(Example *example) {
  sample_free(&example->text);
  *example = (Example){0};
}

size_t example_learnt(const Example *example) {
  const Tokens *labels = &example->text.labels;
  size_t learnt = 0;
  for (size_t i = 1; i < labels->count; i++)
    learnt += labels->ids[i] != IGNORE_LABEL;
  return learnt;
}

void example_place_question(Example *example) {
  const Sample *text = &example->text;
  size_t first = 0, end = 0;
  while (end < text->ids.count && text->labels.ids[end] == IGNORE_LABEL)
    end++;
  for (size_t i = 0; i < end; i++)
    if (text->ids.ids[i] == IMAGE_TOKEN)
      first = i + 1;
  example->question = first;
  example->question_count = end - first;
}

Status feed_pictured(const Feed *feed, size_t index, bool *pictured) {
  Example example = {0};
  if (feed->pictured)
    return feed->pictured(feed->state, index, pictured);
  Status status = feed->example(feed->state, index, &example);
  *pictured = example.pictured;
  example_free(&example);
  return status;
}

char *feed_name(const Feed *feed, size_t index, char name[PICTURE_NAME]) {
  if (feed->name)
    feed->name(feed->state, index, name);
  else
    snprintf(name, PICTURE_NAME, "the picture of conversation %zu", index);
  return name;
}

static void count_example(FeedCount *count, const Example *example) {
  const Sample *text = &example->text;
  count->conversations++;
  count->pictured += example->pictured;
  count->tokens += text->ids.count;
  count->longest = text->ids.count > count->longest ? text->ids.count : count->longest;
  count->cut += text->cut > 0;
  count->cut_tokens += text->cut;
  count->trained += example_learnt(example);
}

Status feed_count(const Feed *feed, bool quiet, FeedCount *count) {
  Example example = {0};
  Progress progress = {0}; /* draws nothing */
  Status status = status_ok();
  *count = (FeedCount){0};
  if (!quiet)
    progress_start(&progress, "conversations", (double)feed->count);
  for (size_t i = 0; i < feed->count && status.code == STATUS_OK; i++) {
    status = feed->example(feed->state, i, &example);
    if (status.code == STATUS_OK && example.pictured && feed->findable)
      status = feed->findable(feed->state, i);
    if (status.code == STATUS_OK) {
      count_example(count, &example);
      status = interrupt_check();
    }
    progress_update(&progress, (double)i + 1.0);
  }
  progress_end(&progress);
  example_free(&example);
  return status;
}
