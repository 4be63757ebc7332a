/* test_feed_scenes.c: scenes as training samples: their words, what is learnt of them, and the same through files. */
#include "feed_scenes.h"

#include <string.h>

#include "json.h"
#include "small_world.h"

TestSuite(words, .init = scratch_make, .fini = scratch_remove);
TestSuite(feed, .init = scratch_make, .fini = scratch_remove);
TestSuite(render, .init = scratch_make, .fini = scratch_remove);

/* ---- words ---- */

static size_t tokens_of(const Tokenizer *tokenizer, const char *text) {
  Tokens tokens = {0};
  assert_ok(tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens));
  size_t count = tokens.count;
  tokens_free(&tokens);
  return count;
}

/* Each word of a text is a token; a mark with its blank is two. */
static void expect_words(const Tokenizer *tokenizer, const char *text) {
  size_t words = 0, marks = 0;
  for (const char *at = text; *at; at++) {
    words += (at == text || at[-1] == ' ') && *at != ' ';
    marks += strchr("?,.", *at) != NULL;
  }
  cr_expect_eq(tokens_of(tokenizer, text), words + marks, "%zu tokens: %s", tokens_of(tokenizer, text), text);
}

Test(words, of_captions_questions_and_answers_are_one_token_each) {
  size_t vocabulary;
  Tokenizer *tokenizer = small_tokenizer("words", &vocabulary);
  for (size_t index = 0; index < 300; index++) {
    Scene scene = scene_make(1, SPLIT_TRAIN, index);
    Draws draws = scene_draws(1, SPLIT_TRAIN, index, SCENE_TEXT);
    Text caption = {0};
    assert_ok(scene_caption(&scene, &caption));
    expect_words(tokenizer, caption.bytes);
    text_free(&caption);
    for (int family = 0; family < FAMILIES; family++) {
      Query query;
      scene_ask(&scene, (Family)family, &draws, &query);
      expect_words(tokenizer, query.question);
      cr_expect_eq(tokens_of(tokenizer, query.answer), 1, "%s", query.answer);
    }
  }
  tokenizer_close(tokenizer);
}

Test(words, start_is_the_token_that_llama_has) {
  size_t vocabulary;
  Tokenizer *tokenizer = small_tokenizer("words", &vocabulary);
  Tokens tokens = {0};
  static const char *const text = "<|start_header_id|>user<|end_header_id|>\n\nis<|eot_id|>";
  assert_ok(tokenizer_encode(tokenizer, text, strlen(text), ENCODE_USUAL, &tokens));
  cr_assert_eq(tokens.count, 4, "%zu", tokens.count);
  cr_expect_eq(tokens.ids[0], tokenizer_find(tokenizer, "<|begin_of_text|>"));
  cr_expect_eq(tokens.ids[1], (int32_t)vocabulary - 2, "the header is one token");
  cr_expect_eq(tokens.ids[3], tokenizer_find(tokenizer, "<|eot_id|>"));
  tokens_free(&tokens);
  tokenizer_close(tokenizer);
}

Test(words, in_an_order_that_breaks_are_refused) {
  static const char *const broken[] = {"bc", "abcd", NULL}, *const mended[] = {"abcd", "bc", NULL},
                           *const twice[] = {"ab", "abc", "ab", NULL}, *const one[] = {"x", NULL};
  assert_ok(folder_create(scratch_path("t")));
  TokenizerWords words = {.first = broken};
  expect_refused(tokenizer_write(scratch_path("t"), &words, NULL), STATUS_INPUT, "'abcd' comes out as");
  words.first = mended;
  assert_ok(tokenizer_write(scratch_path("t"), &words, NULL));
  words.first = twice;
  assert_ok(tokenizer_write(scratch_path("t"), &words, NULL));
  words = (TokenizerWords){.inside = one, .first = one};
  assert_ok(tokenizer_write(scratch_path("t"), &words, NULL));
  expect_refused(tokenizer_write(scratch_path("nowhere"), &words, NULL), STATUS_OUTPUT, "nowhere");
}

Test(words, none_leave_bytes_and_marks) {
  Tokenizer *tokenizer;
  size_t size;
  assert_ok(folder_create(scratch_path("t")));
  assert_ok(tokenizer_write(scratch_path("t"), NULL, &size));
  cr_expect_eq(size, 256 + 5);
  assert_ok(tokenizer_open(&tokenizer, scratch_path("t"), NULL));
  cr_expect_eq(tokens_of(tokenizer, "caf\xc3\xa9 \xe2\x82\xac"), 9, "bytes");
  tokenizer_close(tokenizer);
}

/* ---- what is learnt ---- */

static void open_feed(Feed *feed, const Tokenizer *tokenizer, bool caption, unsigned families, size_t rounds) {
  SceneFeedPlan plan = {.seed = 3,
                        .split = SPLIT_VALIDATION,
                        .count = 40,
                        .talk = {.caption = caption, .families = families, .rounds = rounds},
                        .tokenizer = tokenizer};
  assert_ok(feed_scenes_open(feed, &plan));
}

/* The record's answers, one after the other, each with the end of its turn, are all that is learnt. */
static void expect_learnt(const Feed *feed, size_t index, const Tokenizer *tokenizer, size_t rounds) {
  const SceneFeedPlan *plan = feed->state;
  Example example = {0};
  Record record;
  size_t turn = 1, place = 0;
  int32_t end = tokenizer_find(tokenizer, "<|eot_id|>");
  assert_ok(scene_record(plan, index, &record));
  assert_ok(feed->example(feed->state, index, &example));
  const Sample *s = &example.text;
  cr_assert(!s->mismatch && s->images == 1 && s->cut == 0 && example.pictured);
  cr_assert_eq(record.turn_count, 2 * rounds);
  for (size_t i = 0; i < s->ids.count; i++) {
    if (s->labels.ids[i] == IGNORE_LABEL)
      continue;
    cr_expect_eq(s->labels.ids[i], s->ids.ids[i]);
    int32_t answer = tokenizer_find(tokenizer, record.turns[turn].text);
    cr_expect_eq(s->ids.ids[i], place == 0 ? answer : end, "scene %zu, turn %zu", index, turn);
    turn += place == 1 ? 2 : 0;
    place = 1 - place;
  }
  cr_expect_eq(turn, 2 * rounds + 1, "all answers");
  record_free(&record);
  example_free(&example);
}

Test(feed, trains_answers_and_ends_of_turns_alone) {
  static const struct {
    unsigned families;
    size_t rounds;
  } talks[] = {{31, 5}, {31, 8}, {1 << FAMILY_REASON, 1}, {15, 4}, {1 << FAMILY_PROBE, 3}};
  size_t vocabulary;
  Tokenizer *tokenizer = small_tokenizer("words", &vocabulary);
  for (size_t talk = 0; talk < sizeof talks / sizeof *talks; talk++) {
    Feed feed;
    open_feed(&feed, tokenizer, false, talks[talk].families, talks[talk].rounds);
    for (size_t index = 0; index < feed.count; index++)
      expect_learnt(&feed, index, tokenizer, talks[talk].rounds);
    feed_scenes_close(&feed);
  }
  tokenizer_close(tokenizer);
}

Test(feed, trains_all_of_a_caption_and_no_more) {
  size_t vocabulary;
  Tokenizer *tokenizer = small_tokenizer("words", &vocabulary);
  Feed feed;
  open_feed(&feed, tokenizer, true, 0, 0);
  for (size_t index = 0; index < feed.count; index++) {
    Example example = {0};
    Text caption = {0};
    Scene scene = scene_make(3, SPLIT_VALIDATION, index);
    assert_ok(feed.example(feed.state, index, &example));
    assert_ok(scene_caption(&scene, &caption));
    assert_ok(text_append_string(&caption, "\n"));
    const Sample *s = &example.text;
    cr_assert(!s->mismatch && s->images == 1);
    bool learnt = false;
    size_t count = 0;
    for (size_t i = 0; i < s->ids.count; i++) {
      cr_expect(!learnt || s->labels.ids[i] != IGNORE_LABEL, "nothing is left out");
      learnt |= s->ids.ids[i] == IMAGE_TOKEN;
      count += s->labels.ids[i] != IGNORE_LABEL;
    }
    cr_expect_eq(count, tokens_of(tokenizer, caption.bytes));
    text_free(&caption);
    example_free(&example);
  }
  feed_scenes_close(&feed);
  tokenizer_close(tokenizer);
}

/* Which family a question is of, by how it begins. */
static Family family_asked(const char *text) {
  static const struct {
    const char *start;
    Family family;
  } starts[] = {
      {"is there a ", FAMILY_EXIST}, {"what letter ", FAMILY_READ}, {"what ", FAMILY_RELATE}, {"", FAMILY_PROBE}};
  size_t i = 0;
  text += strncmp(text, "<image>\n", 8) == 0 ? 8 : 0;
  while (strncmp(text, starts[i].start, strlen(starts[i].start)) != 0)
    i++;
  return strstr(text, " D ") ? FAMILY_REASON : starts[i].family;
}

/* Of each round of families every one is asked once, in orders that change. */
Test(feed, asks_every_family_once_a_round) {
  size_t firsts[FAMILIES] = {0};
  SceneFeedPlan plan = {.seed = 5, .count = 1, .talk = {.families = 31, .rounds = 2 * FAMILIES}};
  for (size_t index = 0; index < 300; index++) {
    Record record;
    size_t seen[2][FAMILIES] = {{0}};
    assert_ok(scene_record(&plan, index, &record));
    cr_assert_eq(record.turn_count, 4 * FAMILIES);
    for (size_t i = 0; i < 2 * FAMILIES; i++)
      seen[i / FAMILIES][family_asked(record.turns[2 * i].text)]++;
    for (size_t i = 0; i < 2 * FAMILIES; i++)
      cr_expect_eq(seen[i / FAMILIES][i % FAMILIES], 1, "scene %zu", index);
    firsts[family_asked(record.turns[0].text)]++;
    record_free(&record);
  }
  for (int family = 0; family < FAMILIES; family++)
    cr_expect_gt(firsts[family], 30, "%d: %zu", family, firsts[family]);
}

static bool is_easy(const char *text) {
  bool two_choices = strstr(text, " B ") && !strstr(text, " C ");
  return two_choices || strstr(text, " thing ?") || strstr(text, " big ?") ||
         (strstr(text, "what colour is the ") && !strstr(text, " of the ") && !strstr(text, " B "));
}

/* Half of the questions are easy, the first as often as the last. */
Test(feed, asks_easily_by_a_coin) {
  enum { ROUNDS = 6, SCENES = 400 };
  size_t easy[ROUNDS] = {0};
  SceneFeedPlan plan = {
      .seed = 6, .count = 1, .talk = {.families = 1U << FAMILY_READ, .rounds = ROUNDS, .easily = true}};
  for (size_t index = 0; index < SCENES; index++) {
    Record record;
    assert_ok(scene_record(&plan, index, &record));
    for (size_t i = 0; i < ROUNDS; i++) {
      const char *text = record.turns[2 * i].text;
      cr_expect_eq(is_easy(text), strstr(text, "what letter ") == NULL, "%s", text);
      easy[i] += is_easy(text);
    }
    record_free(&record);
  }
  for (size_t i = 0; i < ROUNDS; i++)
    cr_expect(easy[i] > SCENES / 2 - 50 && easy[i] < SCENES / 2 + 50, "round %zu: %zu", i, easy[i]);
}

/* ---- through files ---- */

static void expect_same_tokens(const Tokens *one, const Tokens *other, size_t index) {
  cr_assert_eq(one->count, other->count, "scene %zu: %zu and %zu tokens", index, one->count, other->count);
  cr_expect_eq(memcmp(one->ids, other->ids, one->count * sizeof *one->ids), 0, "scene %zu", index);
}

static void expect_same_samples(const Feed *made, const Feed *read, size_t index) {
  Example one = {0}, other = {0};
  Image first, second;
  bool pictured = false;
  assert_ok(made->example(made->state, index, &one));
  assert_ok(read->example(read->state, index, &other));
  expect_same_tokens(&one.text.ids, &other.text.ids, index);
  expect_same_tokens(&one.text.labels, &other.text.labels, index);
  cr_expect(one.question == other.question && one.question_count == other.question_count);
  assert_ok(feed_pictured(made, index, &pictured));
  cr_expect(pictured && one.pictured && other.pictured);
  assert_ok(made->picture(made->state, index, &first));
  assert_ok(read->picture(read->state, index, &second));
  cr_assert(first.width == second.width && first.height == second.height);
  cr_expect_eq(memcmp(first.pixels, second.pixels, first.width * first.height * 3), 0, "scene %zu", index);
  image_free(&first);
  image_free(&second);
  example_free(&one);
  example_free(&other);
}

/* What `scenes render` wrote into `folder`, and the feed that it should be. */
static void expect_rendered(const char *folder, const SceneFeedPlan *plan) {
  char data[64];
  Feed made, read;
  snprintf(data, sizeof data, "%s/data.json", folder);
  assert_ok(feed_scenes_open(&made, plan));
  assert_ok(feed_files_open(&read, &(FeedFilesPlan){.data = scratch_path(data),
                                                    .images = scratch_path(folder),
                                                    .tokenizer = plan->tokenizer,
                                                    .template = plan->talk.caption ? TEMPLATE_PLAIN : TEMPLATE_LLAMA3,
                                                    .longest = 2048}));
  cr_assert_eq(read.count, plan->count);
  for (size_t index = 0; index < plan->count; index++)
    expect_same_samples(&made, &read, index);
  feed_files_close(&read);
  feed_scenes_close(&made);
}

Test(render, then_read_from_files_is_the_same) {
  size_t vocabulary;
  Tokenizer *tokenizer = small_tokenizer("words", &vocabulary);
  SceneFeedPlan plan = {.seed = 9, .split = SPLIT_TEST, .count = 13, .talk.caption = true, .tokenizer = tokenizer};
  program_succeeds("scenes render --out captions --count 13 --split test --seed 9");
  expect_rendered("captions", &plan);
  plan.talk = (SceneTalk){.families = 1U << FAMILY_READ | 1U << FAMILY_EXIST, .rounds = 3};
  program_succeeds("scenes render --out q --talk questions --families read,exist --rounds 3 --count 13 --split test "
                   "--seed 9");
  expect_rendered("q", &plan);
  plan = (SceneFeedPlan){.seed = 1, .count = 16, .talk = {.families = 31, .rounds = 5}, .tokenizer = tokenizer};
  program_succeeds("scenes render --out usual --talk questions");
  expect_rendered("usual", &plan);
  tokenizer_close(tokenizer);
}

Test(render, of_a_smaller_number_is_the_beginning) {
  cJSON *few, *many;
  program_succeeds("scenes render --out few --count 3");
  program_succeeds("scenes render --out many --count 5");
  assert_ok(json_read(scratch_path("few/data.json"), &few));
  assert_ok(json_read(scratch_path("many/data.json"), &many));
  cr_expect_eq(cJSON_GetArraySize(few), 3);
  for (int i = 0; i < 3; i++)
    cr_expect(cJSON_Compare(cJSON_GetArrayItem(few, i), cJSON_GetArrayItem(many, i), true));
  cJSON_Delete(few);
  cJSON_Delete(many);
}

Test(render, refuses_what_it_cannot_do) {
  program_refuses(2, "--out DIR", "scenes render");
  program_refuses(2, "'letters'; there are exist, relate, reason, read, probe",
                  "scenes render --out r --talk questions --families read,letters");
  program_refuses(2, "no family of questions", "scenes render --out r --talk questions --families ''");
  program_refuses(2, "count", "scenes render --out r --count 0");
  program_refuses(2, "rounds", "scenes render --out r --talk questions --rounds 0");
  program_refuses(2, "split", "scenes render --out r --split exam");
  program_refuses(2, "takes options only", "scenes render more --out r");
  scratch_text("file", "in the way");
  program_refuses(4, "file", "scenes render --out file");
  if (geteuid() != 0)
    program_refuses(4, "/proc", "scenes render --out /proc/none");
}
