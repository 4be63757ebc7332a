/* test_conversation.c: ids and labels by the rules of visual instruction tuning, written down a second time over the
 * public libraries (fixtures/tokenizer/make.py); prompts; records that are not as they should be. */
#include "conversation.h"

#include "json.h"
#include "scratch.h"

TestSuite(conversation, .init = scratch_make, .fini = scratch_remove);

static const char *fixture(const char *name) {
  static char paths[4][1024];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/tokenizer/%s", SEESAW_FIXTURES, name);
  return path;
}

static Tokenizer *open_tokenizer(const char *folder, TokenizerOptions options) {
  Tokenizer *tokenizer;
  Status status = tokenizer_open(&tokenizer, fixture(folder), &options);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", folder, status.message);
  return tokenizer;
}

static int number(const cJSON *object, const char *key) {
  return cJSON_GetObjectItem(object, key)->valueint;
}

static const char *string(const cJSON *object, const char *key) {
  return cJSON_GetObjectItem(object, key)->valuestring;
}

static bool equals(const Tokens *tokens, const cJSON *list) {
  const cJSON *item;
  size_t i = 0;
  cJSON_ArrayForEach(item, list) {
    if (i >= tokens->count || tokens->ids[i] != item->valueint)
      return false;
    i++;
  }
  return i == tokens->count;
}

static size_t count_of(const cJSON *list, int value) {
  const cJSON *item;
  size_t count = 0;
  cJSON_ArrayForEach(item, list) count += item->valueint == value;
  return count;
}

/* ---- Against the rules ---- */

static void expect_sample(const Tokenizer *tokenizer, const cJSON *entry, const Record *record, const cJSON *result,
                          Sample *sample) {
  size_t longest = (size_t)number(entry, "longest");
  Template which = template_find(string(entry, "template"));
  Status status = sample_make(sample, tokenizer, which, record, longest);
  if (cJSON_IsNull(result)) {
    cr_expect_eq(status.code, STATUS_INPUT, "%s", record->where);
    expect_contains(status.message, record->where);
    return;
  }
  const char *name = string(entry, "name"), *form = string(entry, "template");
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  const cJSON *ids = cJSON_GetObjectItem(result, "ids"), *labels = cJSON_GetObjectItem(result, "labels");
  cr_expect(equals(&sample->ids, ids), "%s, %s, %zu: ids of %s", name, form, longest, record->where);
  cr_expect(equals(&sample->labels, labels), "%s, %s, %zu: labels of %s", name, form, longest, record->where);
  cr_expect_eq(sample->mismatch, cJSON_IsTrue(cJSON_GetObjectItem(result, "mismatch")), "%s, %s, %zu: %s", name, form,
               longest, record->where);
  cr_expect_eq(sample->mismatch, sample->expected != sample->found);
  cr_expect_eq(sample->images, count_of(ids, IMAGE_TOKEN));
  cr_expect(sample->ids.count <= longest && (sample->cut == 0 || sample->ids.count == longest));
}

Test(conversation, ids_and_labels_follow_the_rules) {
  ConversationList list;
  cJSON *entries, *entry;
  cr_assert_eq(conversations_open(&list, fixture("records.json")).code, STATUS_OK);
  cr_assert_eq(json_read(fixture("labels.json"), &entries).code, STATUS_OK);
  cJSON_ArrayForEach(entry, entries) {
    TokenizerOptions options = {.ignore_merges = (Switch)number(entry, "ignore_merges"),
                                .legacy = (Switch)number(entry, "legacy")};
    Tokenizer *tokenizer = open_tokenizer(string(entry, "folder"), options);
    Sample sample = {0}; /* its memory is used again and again */
    const cJSON *result = cJSON_GetObjectItem(entry, "results")->child;
    for (size_t i = 0; i < list.count; i++) {
      Record record;
      cr_assert_eq(conversations_read(&list, i, &record).code, STATUS_OK);
      expect_sample(tokenizer, entry, &record, result, &sample);
      record_free(&record);
      result = result->next;
    }
    cr_expect_null(result);
    sample_free(&sample);
    tokenizer_close(tokenizer);
  }
  cJSON_Delete(entries);
  conversations_close(&list);
}

static void make_one(const Tokenizer *tokenizer, Template which, const char *json, size_t longest, Sample *sample,
                     Status *status) {
  ConversationList list;
  Record record;
  *status = conversations_over(&list, "made.json", (const unsigned char *)json, strlen(json));
  if (status->code == STATUS_OK) {
    *status = conversations_read(&list, 0, &record);
    if (status->code == STATUS_OK) {
      *status = sample_make(sample, tokenizer, which, &record, longest);
      record_free(&record);
    }
    conversations_close(&list);
  }
}

#define TALK(human, gpt) "{\"from\":\"human\",\"value\":\"" human "\"},{\"from\":\"gpt\",\"value\":\"" gpt "\"}"

/* What is learnt, as text: the answers and their ends, and nothing else. */
static void expect_learnt(const char *folder, Template which, const char *json, const char *text) {
  Tokenizer *tokenizer = open_tokenizer(folder, (TokenizerOptions){0});
  Sample sample = {0};
  Status status;
  Text learnt = {0};
  size_t count = 0;
  make_one(tokenizer, which, json, 2048, &sample, &status);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  for (size_t i = 0; i < sample.labels.count; i++)
    if (sample.labels.ids[i] != IGNORE_LABEL) {
      cr_expect_eq(sample.labels.ids[i], sample.ids.ids[i]);
      sample.labels.ids[count++] = sample.labels.ids[i];
    }
  cr_assert_eq(tokenizer_decode(tokenizer, sample.labels.ids, count, true, &learnt).code, STATUS_OK);
  cr_expect_str_eq(learnt.bytes, text);
  text_free(&learnt);
  sample_free(&sample);
  tokenizer_close(tokenizer);
}

Test(conversation, the_answers_are_learnt) {
  expect_learnt("bytes", TEMPLATE_LLAMA3, "[{\"conversations\":[" TALK("a?", "Yes.") "," TALK("b?", "No.") "]}]",
                "Yes.<|eot_id|>No.<|eot_id|>");
  expect_learnt("pieces", TEMPLATE_V1, "[{\"conversations\":[" TALK("a?", "Yes.") "," TALK("b?", "No.") "]}]",
                "Yes.</s> No.</s>");
  expect_learnt("bytes", TEMPLATE_PLAIN, "[{\"image\":\"x\",\"conversations\":[" TALK("a <image>", "A dog.") "]}]",
                "A dog.\n");
}

/* ---- Prompts ---- */

static void expect_prompt(Template which, const char *question, bool pictured, const char *wanted) {
  Text prompt = {0};
  cr_assert_eq(conversation_prompt(which, question, pictured, &prompt).code, STATUS_OK);
  cr_expect_str_eq(prompt.bytes, wanted);
  text_free(&prompt);
}

#define SYSTEM_PROMPT                                                                                                  \
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "    \
  "and "                                                                                                               \
  "polite answers to the user's questions. "

Test(conversation, a_prompt_ends_where_the_answer_begins) {
  expect_prompt(TEMPLATE_PLAIN, "dropped", true, "<image>");
  expect_prompt(TEMPLATE_V1, "Why?", false, SYSTEM_PROMPT "USER: Why? ASSISTANT:");
  expect_prompt(TEMPLATE_V1, "Why?", true, SYSTEM_PROMPT "USER: <image>\nWhy? ASSISTANT:");
  expect_prompt(TEMPLATE_LLAMA3, "Why?", true,
                "<|start_header_id|>user<|end_header_id|>\n\n<image>\nWhy?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

/* The prompt's ids are those that training shows before the answer. */
Test(conversation, prompts_are_what_training_shows) {
  static const Template templates[] = {TEMPLATE_PLAIN, TEMPLATE_LLAMA3, TEMPLATE_V1};
  static const char *const folders[] = {"bytes", "bytes", "pieces"};
  for (int i = 0; i < 3; i++) {
    Tokenizer *tokenizer = open_tokenizer(folders[i], (TokenizerOptions){0});
    Sample sample = {0};
    Text prompt = {0};
    Tokens ids = {0};
    Status status;
    make_one(tokenizer, templates[i], "[{\"image\":\"x\",\"conversations\":[" TALK("What?\\n<image>", "A dog.") "]}]",
             2048, &sample, &status);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_assert_eq(conversation_prompt(templates[i], "What?", true, &prompt).code, STATUS_OK);
    cr_assert_eq(conversation_tokens(tokenizer, prompt.bytes, prompt.length, true, &ids).code, STATUS_OK);
    cr_assert(ids.count < sample.ids.count);
    cr_expect_eq(memcmp(ids.ids, sample.ids.ids, ids.count * sizeof *ids.ids), 0, "%s", template_name(templates[i]));
    cr_expect_eq(sample.labels.ids[ids.count - 1], IGNORE_LABEL);
    cr_expect_eq(sample.labels.ids[ids.count], sample.ids.ids[ids.count]);
    tokens_free(&ids);
    text_free(&prompt);
    sample_free(&sample);
    tokenizer_close(tokenizer);
  }
}

Test(conversation, a_picture_stands_between_stretches_of_text) {
  Tokenizer *tokenizer = open_tokenizer("bytes", (TokenizerOptions){0});
  Tokens ids = {0}, text = {0};
  int32_t bos = tokenizer_bos(tokenizer);
  cr_assert_eq(conversation_tokens(tokenizer, "<image><image>a", 15, true, &ids).code, STATUS_OK);
  cr_expect(ids.count == 4 && ids.ids[0] == bos && ids.ids[1] == IMAGE_TOKEN && ids.ids[2] == IMAGE_TOKEN &&
            ids.ids[3] == tokenizer_find(tokenizer, "a"));
  cr_assert_eq(conversation_tokens(tokenizer, "<image>", 7, false, &text).code, STATUS_OK);
  cr_expect(text.count > 2 && text.ids[0] == bos && text.ids[1] != IMAGE_TOKEN);
  tokens_free(&ids);
  tokens_free(&text);
  tokenizer_close(tokenizer);
}

Test(conversation, templates_have_names) {
  for (int which = 0; which < TEMPLATE_COUNT; which++)
    cr_expect_eq(template_find(template_name((Template)which)), (Template)which);
  cr_expect_eq(template_find("v2"), TEMPLATE_COUNT);
}

/* ---- Errors ---- */

static void expect_wrong(Template which, const char *json, const char *part) {
  Tokenizer *tokenizer = open_tokenizer("bytes", (TokenizerOptions){0});
  Sample sample = {0};
  Status status;
  make_one(tokenizer, which, json, 2048, &sample, &status);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", json);
  if (status.code != STATUS_OK) {
    expect_contains(status.message, "made.json: ");
    expect_contains(status.message, part);
  }
  cr_expect(sample.ids.count == 0 && sample.labels.count == 0);
  sample_free(&sample);
  tokenizer_close(tokenizer);
}

Test(conversation, lists_that_are_not_lists_of_records) {
  expect_wrong(TEMPLATE_V1, "", "line 1, after 0 records: the file must be a JSON list");
  expect_wrong(TEMPLATE_V1, "{}", "the file must be a JSON list");
  expect_wrong(TEMPLATE_V1, "[{},\n 7]", "line 2, after 1 records: a record must be an object");
  expect_wrong(TEMPLATE_V1, "[{},]", "a record must be an object");
  expect_wrong(TEMPLATE_V1, "[{} {}]", "a comma or the list's ] must follow a record");
  expect_wrong(TEMPLATE_V1, "[{}", "a comma or the list's ] must follow a record");
  expect_wrong(TEMPLATE_V1, "[\n", "line 2, after 0 records: a record must be an object");
  expect_wrong(TEMPLATE_V1, "[{\"a\":", "the file ends within a record");
  expect_wrong(TEMPLATE_V1, "[{\"a", "the file ends within a record");
  expect_wrong(TEMPLATE_V1, "[{\"a\\", "the file ends within a record");
  expect_wrong(TEMPLATE_V1, "[{\"a\\\"}]", "the file ends within a record");
  expect_wrong(TEMPLATE_V1, "[{}] x", "something follows the list");
  expect_wrong(TEMPLATE_V1, "[\n{\n\"a\": oops}]", "record 0: line 3 is not valid JSON");
  expect_wrong(TEMPLATE_V1, "[{]]", "record 0: line 1 is not valid JSON");
  expect_wrong(TEMPLATE_V1, "[{\"id\":\"\\u0000\"}]", "record 0: line 1 has a zero character");
  expect_wrong(TEMPLATE_V1, "[{\"id\":\"\\ud800\"}]", "record 0: line 1 is not valid JSON");
}

#define ONE "\"conversations\":[" TALK("a", "b") "]"

Test(conversation, records_that_are_not_as_they_should_be) {
  expect_wrong(TEMPLATE_V1, "[{\"id\":\"x\"}]", "record 0 ('x'): `conversations` is missing");
  expect_wrong(TEMPLATE_V1, "[{\"id\":17}]", "record 0 ('17'): `conversations` is missing");
  expect_wrong(TEMPLATE_V1, "[{}]", "record 0: `conversations` is missing");
  expect_wrong(TEMPLATE_V1, "[{\"id\":[]}]", "record 0: `id` must be a text or a number");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":{}}]", "`conversations` must be a list");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[]}]", "`conversations` is empty");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[7]}]", "turn 0 of `conversations` must be an object");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[{\"from\":\"human\"}]}]",
               "turn 0 of `conversations` must be an object");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[{\"value\":\"human\"}]}]", "with the texts `from` and `value`");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[{\"from\":\"human\",\"value\":7}]}]", "the texts `from` and `value`");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[{\"from\":\"system\",\"value\":\"x\"}]}]",
               "turn 0 is from 'system'; only human and gpt are known");
  expect_wrong(TEMPLATE_V1, "[{\"image\":[\"a\",\"b\"]," ONE "}]",
               "`image` is a list, but only one picture is supported");
  expect_wrong(TEMPLATE_V1, "[{\"image\":null," ONE "}]", "`image` must be a path");
  expect_wrong(TEMPLATE_V1, "[{\"image\":\"\"," ONE "}]", "`image` must be a path");
  expect_wrong(TEMPLATE_V1, "[{\"image\":\"x\",\"conversations\":[" TALK("<image>", "<image>") "]}]",
               "<image> is in more than one turn, but there is one picture");
  expect_wrong(TEMPLATE_PLAIN, "[{\"image\":\"x\",\"conversations\":[" TALK("<image>", "<image>") "]}]",
               "<image> is in more than one turn");
  expect_wrong(TEMPLATE_V1, "[{\"conversations\":[" TALK("a", "b") ",{\"from\":\"gpt\",\"value\":\"c\"}]}]",
               "turn 2 must be of the human: human and gpt take turns");
  expect_wrong(TEMPLATE_V1,
               "[{\"conversations\":[{\"from\":\"gpt\",\"value\":\"c\"},{\"from\":\"gpt\",\"value\":\"c\"}]}]",
               "turn 1 must be of the human");
  expect_wrong(TEMPLATE_LLAMA3, "[{\"conversations\":[{\"from\":\"gpt\",\"value\":\"c\"}]}]", "no turn of the human");
  expect_wrong(TEMPLATE_PLAIN, "[{" ONE "}]", "the plain template needs two turns, a picture, and <image>");
  expect_wrong(TEMPLATE_PLAIN, "[{\"image\":\"x\"," ONE "}]",
               "the plain template needs two turns, a picture, and <image>");
  expect_wrong(TEMPLATE_LLAMA3, "[{\"id\":\"x\",\"conversations\":[" TALK("a\xFF", "b") "]}]",
               "record 0 ('x'): the text is not UTF-8 at byte");
}

Test(conversation, a_list_may_be_empty_and_a_file_missing) {
  ConversationList list;
  cr_assert_eq(conversations_open(&list, scratch_text("empty.json", " [ ]\n")).code, STATUS_OK);
  cr_expect_eq(list.count, 0);
  conversations_close(&list);
  Status status = conversations_open(&list, scratch_path("none.json"));
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "none.json");
  status = conversations_open(&list, scratch_text("nothing.json", ""));
  expect_contains(status.message, "nothing.json: line 1, after 0 records");
}

Test(conversation, what_is_cut_is_counted) {
  Tokenizer *tokenizer = open_tokenizer("bytes", (TokenizerOptions){0});
  Sample sample = {0};
  Status status;
  make_one(tokenizer, TEMPLATE_LLAMA3, "[{" ONE "}]", 2048, &sample, &status);
  size_t whole = sample.ids.count;
  for (size_t longest = 0; longest <= whole; longest++) {
    make_one(tokenizer, TEMPLATE_LLAMA3, "[{" ONE "}]", longest, &sample, &status);
    cr_expect(status.code == STATUS_OK && sample.ids.count == longest && sample.labels.count == longest);
    cr_expect_eq(sample.cut, whole - longest);
    cr_expect(!sample.mismatch);
  }
  sample_free(&sample);
  tokenizer_close(tokenizer);
}

static void plain_without_a_picture(void) {
  Text prompt = {0};
  conversation_prompt(TEMPLATE_PLAIN, "x", false, &prompt);
}

Test(conversation, plain_without_a_picture_is_the_callers_mistake) {
  char text[512];
  int status = in_child(plain_without_a_picture, 2, text, sizeof text);
  cr_expect(WIFSIGNALED(status));
  expect_contains(text, "the plain template is of pictures");
}
