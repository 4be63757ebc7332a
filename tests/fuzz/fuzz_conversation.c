/* fuzz_conversation.c: any bytes as a list of records: each is read, and with every template becomes a sample with as
 * many labels as ids, each label its id or none, or is refused. */
#include <stdint.h>
#include <string.h>

#include "conversation.h"
#include "tokenizer_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(Text *model, const char *bytes, size_t length) {
  REQUIRE(text_append(model, bytes, length).code == STATUS_OK, "no memory");
}

static void put_piece(Text *model, const char *text, char type) {
  char size = (char)strlen(text);
  put(model, (const char[]){0x0A, (char)(size + 4), 0x0A, size}, 4);
  put(model, text, (size_t)size);
  put(model, (const char[]){0x18, type}, 2);
}

/* A model of a few pieces, without bytes: all else is <unk>. */
static Tokenizer *small_tokenizer(void) {
  static const char *const pieces[] = {"\u2581", "a", "b", "\u2581a", "ab", ":", "<|end_of_text|>"};
  Text model = {0};
  Tokenizer *tokenizer;
  put_piece(&model, "<unk>", 2);
  put_piece(&model, "<s>", 3);
  put_piece(&model, "</s>", 3);
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
    put_piece(&model, pieces[i], 1);
  put(&model, "\x12\x02\x18\x02\x1A\x02\x20\x00", 8);
  Status status =
      tokenizer_parse(&tokenizer, "small", (const unsigned char *)model.bytes, model.length, false, NULL, NULL);
  REQUIRE(status.code == STATUS_OK, "%s", status.message);
  text_free(&model);
  return tokenizer;
}

static void check(const Sample *sample, size_t longest) {
  size_t images = 0;
  REQUIRE(sample->ids.count == sample->labels.count && sample->ids.count <= longest, "%zu ids", sample->ids.count);
  for (size_t i = 0; i < sample->ids.count; i++) {
    int32_t id = sample->ids.ids[i], label = sample->labels.ids[i];
    REQUIRE(label == IGNORE_LABEL || (label == id && id >= 0 && !sample->mismatch), "label %d of %d", label, id);
    images += id == IMAGE_TOKEN;
  }
  REQUIRE(images == sample->images && images <= 1, "%zu places of pictures", images);
}

static void read_one(const ConversationList *list, size_t index, const Tokenizer *tokenizer, Sample *sample) {
  Record record;
  if (conversations_read(list, index, &record).code != STATUS_OK)
    return;
  for (int which = 0; which < TEMPLATE_COUNT; which++)
    for (size_t longest = 40; longest <= 100000; longest *= 2500) {
      Status status = sample_make(sample, tokenizer, (Template)which, &record, longest);
      REQUIRE(status.code == STATUS_OK || status.code == STATUS_INPUT, "%s", status.message);
      check(sample, longest);
    }
  record_free(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Tokenizer *tokenizer;
  ConversationList list;
  Sample sample = {0};
  if (tokenizer == NULL)
    tokenizer = small_tokenizer();
  if (conversations_over(&list, "fuzz", data, size).code != STATUS_OK)
    return 0;
  for (size_t i = 0; i < list.count && i < 100; i++)
    read_one(&list, i, tokenizer, &sample);
  sample_free(&sample);
  conversations_close(&list);
  return 0;
}
