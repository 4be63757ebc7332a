/* test_feed.c: conversations and pictures from LLaVA-format files, and what is said about those that are not as they
 * should be. */
#include "feed.h"

#include <pthread.h>
#include <signal.h>

#include "files.h"
#include "runs.h"
#include "scratch.h"

TestSuite(feed, .init = scratch_make, .fini = scratch_remove);

#define PICTURES SEESAW_FIXTURES "/pictures"

static Tokenizer *open_tokenizer(const char *name) {
  Tokenizer *tokenizer;
  char path[1024];
  snprintf(path, sizeof path, "%s/tokenizer/%s", SEESAW_FIXTURES, name);
  assert_ok(tokenizer_open(&tokenizer, path, NULL));
  return tokenizer;
}

/* A feed over a file; the tokenizer is that of the template. */
typedef struct World {
  Tokenizer *tokenizer;
  Feed feed;
} World;

static World open_file(const char *path, Template which, size_t longest) {
  World w = {.tokenizer = open_tokenizer(which == TEMPLATE_V1 ? "pieces" : "bytes")};
  const FeedFilesPlan plan = {path, PICTURES, w.tokenizer, which, longest};
  assert_ok(feed_files_open(&w.feed, &plan));
  return w;
}

static World open_text(const char *json, Template which, size_t longest) {
  return open_file(scratch_text("data.json", json), which, longest);
}

static void end(World *w) {
  feed_files_close(&w->feed);
  tokenizer_close(w->tokenizer);
}

static Status take(const World *w, size_t index, Example *example) {
  return w->feed.example(w->feed.state, index, example);
}

#define TALK(question, answer)                                                                                         \
  "\"conversations\":[{\"from\":\"human\",\"value\":\"" question "\"},{\"from\":\"gpt\",\"value\":\"" answer "\"}]"

static const char three[] = "[{\"id\":\"a\",\"image\":\"rgb_8.png\"," TALK(
    "<image>\\nWhat is this?",
    "A red circle.") "},"
                     "{\"id\":\"b\"," TALK("Is there a dog?",
                                           "Yes.") "},"
                                                   "{\"id\":\"c\",\"image\":\"./baseline_420.jpg\"," TALK(
                                                       "Where is it?\\n<image>", "There.") "}]";

/* ---- conversations ---- */

Test(feed, gives_what_conversation_h_gives) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  Example example = {0};
  ConversationList list;
  cr_assert_eq(w.feed.count, 3);
  assert_ok(conversations_open(&list, scratch_path("data.json")));
  for (size_t i = 0; i < 3; i++) {
    Record record;
    Sample sample = {0};
    assert_ok(take(&w, i, &example));
    assert_ok(conversations_read(&list, i, &record));
    assert_ok(sample_make(&sample, w.tokenizer, TEMPLATE_V1, &record, 2048));
    cr_assert_eq(example.text.ids.count, sample.ids.count);
    cr_expect_arr_eq(example.text.ids.ids, sample.ids.ids, sample.ids.count * sizeof(int32_t));
    cr_expect_arr_eq(example.text.labels.ids, sample.labels.ids, sample.ids.count * sizeof(int32_t));
    cr_expect_eq(example.pictured, i != 1);
    sample_free(&sample);
    record_free(&record);
  }
  conversations_close(&list);
  example_free(&example);
  end(&w);
}

/* Between the picture and the answer; from the start where there is no picture, or it comes last. */
Test(feed, places_the_question) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  Example example = {0};
  for (size_t i = 0; i < 3; i++) {
    assert_ok(take(&w, i, &example));
    const int32_t *ids = example.text.ids.ids, *labels = example.text.labels.ids;
    size_t stop = example.question + example.question_count;
    cr_expect_eq(labels[stop], ids[stop], "%zu: what follows is learnt", i);
    cr_expect_eq(example.question == 0, i == 1);
    cr_expect(i == 1 || ids[example.question - 1] == IMAGE_TOKEN);
    for (size_t k = example.question; k < stop; k++)
      cr_expect(labels[k] == IGNORE_LABEL && ids[k] != IMAGE_TOKEN);
  }
  example_free(&example);
  end(&w);
}

/* Released code takes a picture that the text does not mention; its features go nowhere. */
Test(feed, knows_pictures_without_tokenising) {
  World w = open_text("[{\"image\":\"rgb_8.png\"," TALK(
                          "<image>\\nWhat?", "A dog.") "},"
                                                       "{\"image\":\"rgb_8.png\"," TALK(
                                                           "What?", "A dog.") "},"
                                                                              "{" TALK("<image> is a tag", "Yes.") "}]",
                      TEMPLATE_V1, 2048);
  Feed plain = w.feed;
  plain.pictured = NULL;
  for (size_t i = 0; i < 3; i++) {
    bool quick, asked;
    assert_ok(feed_pictured(&w.feed, i, &quick));
    assert_ok(feed_pictured(&plain, i, &asked));
    cr_expect(quick == (i == 0) && asked == (i == 0), "%zu", i);
  }
  end(&w);
}

typedef struct Reader {
  pthread_t thread;
  const World *w;
  size_t wrong;
} Reader;

static void *read_all(void *of) {
  Reader *reader = of;
  Example example = {0};
  for (size_t i = 0; i < 300; i++)
    if (take(reader->w, i % 3, &example).code != STATUS_OK || example.pictured != (i % 3 != 1))
      reader->wrong++;
  example_free(&example);
  return NULL;
}

Test(feed, is_read_by_threads) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  Reader readers[3] = {{.w = &w}, {.w = &w}, {.w = &w}};
  for (int i = 0; i < 3; i++)
    cr_assert_eq(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
  for (int i = 0; i < 3; i++) {
    pthread_join(readers[i].thread, NULL);
    cr_expect_eq(readers[i].wrong, 0);
  }
  end(&w);
}

/* ---- what must not pass silently ---- */

Test(feed, refuses_labels_that_do_not_match) {
  World w = open_file(SEESAW_FIXTURES "/tokenizer/records.json", TEMPLATE_V1, 2048);
  Example example = {0};
  size_t mismatched = 0;
  for (size_t i = 0; i < w.feed.count; i++) {
    Status status = take(&w, i, &example);
    if (status.code == STATUS_OK || !strstr(status.message, "one by one"))
      continue;
    mismatched++;
    cr_expect_eq(status.code, STATUS_INPUT);
    expect_contains(status.message, "records.json: record ");
    expect_contains(status.message, "mend its text or take it out");
  }
  cr_expect_geq(mismatched, 8, "%zu", mismatched);
  expect_refused(take(&w, 10, &example), STATUS_INPUT, "records.json: record 10 (");
  example_free(&example);
  end(&w);
}

Test(feed, says_what_is_cut_and_refuses_what_is_cut_to_nothing) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  Example whole = {0}, cut = {0};
  assert_ok(take(&w, 0, &whole));
  cr_expect_eq(whole.text.cut, 0);
  size_t length = whole.text.ids.count, answer = whole.question + whole.question_count;
  end(&w);
  w = open_text(three, TEMPLATE_V1, answer + 1);
  assert_ok(take(&w, 0, &cut));
  cr_expect_eq(cut.text.cut, length - answer - 1);
  cr_expect_eq(cut.text.ids.count, answer + 1);
  end(&w);
  w = open_text(three, TEMPLATE_V1, answer);
  expect_refused(take(&w, 0, &cut), STATUS_INPUT, "record 0 ('a'): nothing is learnt from it");
  Status status = take(&w, 0, &cut);
  char part[64];
  snprintf(part, sizeof part, "and %zu beyond the longest length of %zu were cut off", length - answer, answer);
  expect_contains(status.message, part);
  end(&w);
  example_free(&whole);
  example_free(&cut);
}

Test(feed, of_one_turn_teaches_nothing) {
  World w = open_text("[{\"conversations\":[{\"from\":\"human\",\"value\":\"Hello?\"}]}]", TEMPLATE_V1, 2048);
  Example example = {0};
  expect_refused(take(&w, 0, &example), STATUS_INPUT, "data.json: record 0");
  example_free(&example);
  end(&w);
}

Test(feed, counts_everything_once) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  FeedCount all, cut;
  Example example = {0};
  size_t lengths[3], tokens = 0, trained = 0, longest = 0;
  for (size_t i = 0; i < 3; i++) {
    assert_ok(take(&w, i, &example));
    lengths[i] = example.text.ids.count;
    tokens += lengths[i];
    longest = lengths[i] > longest ? lengths[i] : longest;
    for (size_t k = 0; k < lengths[i]; k++)
      trained += example.text.labels.ids[k] != IGNORE_LABEL;
  }
  assert_ok(feed_count(&w.feed, true, &all));
  cr_expect(all.conversations == 3 && all.pictured == 2 && all.tokens == tokens && all.trained == trained);
  cr_expect(all.longest == longest && all.cut == 0 && all.cut_tokens == 0);
  end(&w);
  w = open_text(three, TEMPLATE_V1, longest - 2);
  assert_ok(feed_count(&w.feed, false, &cut));
  size_t expected_cut = 0, expected_tokens = 0;
  for (size_t i = 0; i < 3; i++) {
    expected_cut += lengths[i] > longest - 2;
    expected_tokens += lengths[i] > longest - 2 ? lengths[i] - (longest - 2) : 0;
  }
  cr_expect(cut.cut == expected_cut && cut.cut_tokens == expected_tokens && cut.longest == longest - 2);
  cr_expect_eq(cut.tokens, tokens - expected_tokens);
  end(&w);
  w = open_file(SEESAW_FIXTURES "/tokenizer/records.json", TEMPLATE_V1, 2048);
  expect_refused(feed_count(&w.feed, true, &all), STATUS_INPUT,
                 "records.json: record 0 ('talk-0'): cannot read the picture");
  w.feed.findable = NULL; /* nobody looks for them then */
  expect_refused(feed_count(&w.feed, true, &all), STATUS_INPUT, "records.json: record ");
  interrupt_watch();
  raise(SIGINT);
  expect_refused(feed_count(&w.feed, true, &all), STATUS_INTERRUPTED, "interrupted");
  end(&w);
  example_free(&example);
}

/* ---- pictures ---- */

Test(feed, gives_pictures_and_their_digests) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  Image ours, right;
  Digest digest, expected;
  unsigned char *bytes;
  size_t size;
  assert_ok(w.feed.picture(w.feed.state, 2, &ours));
  assert_ok(image_read(PICTURES "/baseline_420.jpg", &right));
  cr_assert(ours.width == right.width && ours.height == right.height);
  cr_expect_arr_eq(ours.pixels, right.pixels, 3 * right.width * right.height);
  assert_ok(w.feed.digest(w.feed.state, 2, &digest));
  assert_ok(file_read(PICTURES "/baseline_420.jpg", IMAGE_MOST_BYTES, &bytes, &size));
  expected = digest_of(bytes, size);
  cr_expect_arr_eq(digest.bytes, expected.bytes, DIGEST_SIZE);
  bytes[size / 2] ^= 1;
  expected = digest_of(bytes, size);
  cr_expect_arr_neq(digest.bytes, expected.bytes, DIGEST_SIZE, "one bit makes another digest");
  free(bytes);
  image_free(&ours);
  image_free(&right);
  end(&w);
}

/* The published test value of XXH3's 128 bits of nothing, in its canonical order. */
Test(feed, digests_are_xxh3) {
  char text[2 * DIGEST_SIZE + 1];
  cr_expect_str_eq(digest_print(digest_of("", 0), text), "99aa06d3014798d86001c324468d497f");
  Digest whole = digest_of("ab", 2), parts = digest_add(digest_of("a", 1), "b", 1);
  cr_expect_arr_neq(whole.bytes, parts.bytes, DIGEST_SIZE);
}

static void expect_no_picture(const char *image, const char *part) {
  char json[512];
  Image picture;
  Digest digest;
  snprintf(json, sizeof json, "[{\"id\":\"x7\",\"image\":\"%s\"," TALK("<image>\\nWhat?", "This.") "}]", image);
  World w = open_text(json, TEMPLATE_V1, 2048);
  Status status = w.feed.picture(w.feed.state, 0, &picture);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", image);
  expect_contains(status.message, "data.json: record 0 ('x7'): ");
  expect_contains(status.message, part);
  if (!strstr(image, "bad_")) /* a damaged file has a digest like any other */
    expect_refused(w.feed.digest(w.feed.state, 0, &digest), STATUS_INPUT, part);
  end(&w);
}

Test(feed, names_the_record_of_a_picture_that_is_not_there_or_damaged) {
  expect_no_picture("none.jpg", PICTURES "/none.jpg");
  expect_no_picture("bad_truncated.jpg", PICTURES "/bad_truncated.jpg");
  expect_no_picture("bad_checksum.png", PICTURES "/bad_checksum.png");
}

Test(feed, reads_nothing_outside_the_folder) {
  expect_no_picture("/etc/passwd", "must be a path relative to");
  expect_no_picture("../README.md", "without '..'");
  expect_no_picture("..", "without '..'");
  expect_no_picture("a/../../pictures/rgb_8.png", "without '..'");
  expect_no_picture("a/..", "without '..'");
  expect_no_picture("..jpg", PICTURES "/..jpg"); /* a name like any other: not there */
  expect_no_picture("a../rgb_8.png", PICTURES "/a../rgb_8.png");
}

Test(feed, names_pictures) {
  World w = open_text(three, TEMPLATE_V1, 2048);
  Feed nameless = {0};
  char name[PICTURE_NAME];
  expect_contains(feed_name(&w.feed, 2, name), "data.json: record 2 ('c'): ./baseline_420.jpg");
  expect_contains(feed_name(&w.feed, 1, name), "data.json: record 1 ('b'): no picture");
  cr_expect_str_eq(feed_name(&nameless, 7, name), "the picture of conversation 7");
  end(&w);
}

/* ---- files that are no feed ---- */

Test(feed, refuses_files_that_are_not_conversations) {
  Tokenizer *tokenizer = open_tokenizer("pieces");
  Feed feed;
  Example example = {0};
  FeedFilesPlan plan = {scratch_path("none.json"), PICTURES, tokenizer, TEMPLATE_V1, 99};
  expect_refused(feed_files_open(&feed, &plan), STATUS_INPUT, "none.json");
  cr_expect_null(feed.state);
  feed_files_close(&feed);
  plan.data = scratch_text("object.json", "{}");
  expect_refused(feed_files_open(&feed, &plan), STATUS_INPUT, "object.json: line 1");
  plan.data = scratch_text("empty.json", "[]");
  assert_ok(feed_files_open(&feed, &plan));
  cr_expect_eq(feed.count, 0);
  feed_files_close(&feed);
  plan.data = scratch_text("odd.json", "[{\"image\": 3}]");
  bool pictured = true;
  char name[PICTURE_NAME];
  assert_ok(feed_files_open(&feed, &plan));
  expect_refused(feed.example(feed.state, 0, &example), STATUS_INPUT, "odd.json: record 0");
  expect_refused(feed_pictured(&feed, 0, &pictured), STATUS_INPUT, "odd.json: record 0");
  cr_expect(!pictured);
  expect_contains(feed_name(&feed, 0, name), "odd.json: record 0");
  feed_files_close(&feed);
  tokenizer_close(tokenizer);
}

static void without_a_tokenizer(void) {
  Feed feed;
  feed_files_open(&feed, &(FeedFilesPlan){"x", "y", NULL, TEMPLATE_V1, 9});
}

Test(feed, half_planned_is_the_caller_s_mistake) {
  char text[512];
  int status = in_child(without_a_tokenizer, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  expect_contains(text, "half planned");
}
