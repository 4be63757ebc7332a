/* feed.c: what all feeds share. */
#include "feed.h"

void example_free(Example *example) {
  sample_free(&example->text);
  *example = (Example){0};
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
