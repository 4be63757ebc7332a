/* test_questions.c: every answer is right, and nothing but the picture tells it. */
#include "questions.h"

#include <math.h>
#include <stdlib.h>

#include "chance.h"
#include "questions_read.h"
#include "runs.h"

static Query ask_about(const Scene *scene, uint64_t seed, size_t index, Family family) {
  Draws draws = scene_draws(seed, SPLIT_TRAIN, index, SCENE_TEXT);
  Query query;
  draws.next = 1000 * (uint64_t)family;
  scene_ask(scene, family, &draws, &query);
  return query;
}

/* ---- answers ---- */

Test(questions, have_right_answers) {
  for (int family = 0; family < FAMILIES; family++)
    for (size_t index = 0; index < 4000; index++) {
      Scene scene = scene_make(1, SPLIT_TRAIN, index);
      Query query = ask_about(&scene, 1, index, (Family)family);
      Reading reading = reading_of(&scene, (Family)family, query.question);
      cr_assert_geq(reading.which, 0, "%s", query.question);
      cr_expect_str_eq(query.answer, answer_word(&reading, reading.which), "scene %zu: %s", index, query.question);
    }
}

/* The checker: of scenes that are not asked about, the same questions have other answers, or cannot be answered. */
Test(questions, are_not_answered_by_another_scene) {
  size_t right = 0, asked = 0;
  for (size_t index = 0; index < 1600; index++) {
    Scene scene = scene_make(1, SPLIT_TRAIN, index), other = scene_make(1, SPLIT_TRAIN, index + 1);
    Query query = ask_about(&scene, 1, index, FAMILY_REASON);
    Reading reading = reading_of(&other, FAMILY_REASON, query.question);
    asked += reading.which >= 0;
    right += reading.which >= 0 && strcmp(query.answer, answer_word(&reading, reading.which)) == 0;
  }
  cr_expect_gt(asked, 200);
  cr_expect_lt(right, asked / 2);
}

Test(questions, are_found_by_name) {
  for (int family = 0; family < FAMILIES; family++)
    cr_expect_eq(family_find(family_name((Family)family)), family);
  cr_expect_eq(family_find(""), FAMILIES);
  cr_expect_eq(family_find("Read"), FAMILIES);
}

/* ---- no answer is likelier than another ---- */

enum { KINDS_ASKED = ASK_RELATION + 1, MOST_ANSWERS = LETTERS };

Test(questions, have_all_their_answers_equally_often) {
  static const char *const names[KINDS_ASKED] = {"exist",  "probe: exist", "relate: colours",  "relate: shapes",
                                                 "reason", "read",         "probe: attribute", "probe: relation"};
  static size_t counts[KINDS_ASKED][MOST_ANSWERS];
  size_t sides[2] = {0}, probes[3] = {0}, first = 0;
  int answers[KINDS_ASKED] = {0};
  for (int family = 0; family < FAMILIES; family++)
    for (size_t index = 0; index < 8000; index++) {
      Scene scene = scene_make(2, SPLIT_TRAIN, index);
      Query query = ask_about(&scene, 2, index, (Family)family);
      Reading reading = reading_of(&scene, (Family)family, query.question);
      answers[reading.asked] = reading.answers;
      counts[reading.asked][reading.which]++;
      if (family == FAMILY_RELATE)
        sides[reading.asked == ASK_COLOUR]++;
      first += reading.first_thing;
      if (family == FAMILY_PROBE)
        probes[reading.asked == ASK_SHOW ? 0 : reading.asked == ASK_ATTRIBUTE ? 1 : 2]++;
    }
  for (int kind = 0; kind < KINDS_ASKED; kind++)
    expect_even(counts[kind], (size_t)answers[kind], names[kind]);
  expect_even(sides, 2, "colours and shapes to relate");
  cr_expect_lt(first, 2 * 8000 / 20, "the first thing: %zu", first);
  for (int kind = 0; kind < 3; kind++)
    cr_expect_gt(probes[kind], 2000, "probe %d is rare: %zu", kind, probes[kind]);
}

/* ---- words alone tell nothing ---- */

/* Of a question's words: how often each answer came with them. `words`: each word and pair of neighbours by itself, as
 * a naive Bayes classifier takes them; else the whole question. */
enum { CELLS = 1 << 16 };
typedef struct Memory {
  double count[CELLS][MOST_ANSWERS], all[MOST_ANSWERS];
} Memory;

static size_t cell_of(const char *text, size_t length) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
  return (hash ^ hash >> 32) % CELLS;
}

/* Adds to memory, or to scores, what each piece of the text says. */
static void each_piece(Memory *memory, const char *text, int answer, double scores[MOST_ANSWERS]) {
  const char *before = text;
  for (const char *word = text; *word;) {
    const char *end = word + strcspn(word, " ");
    for (int pair = 0; pair < 2; pair++) {
      const char *from = pair ? before : word;
      double *cell = memory->count[cell_of(from, (size_t)(end - from))];
      if (!scores)
        cell[answer]++;
      for (int a = 0; scores && a < MOST_ANSWERS; a++)
        scores[a] += log((cell[a] + 1.0) / (memory->all[a] + 2.0));
    }
    before = word;
    word = end + (*end == ' ');
  }
}

static void learn(Memory *memory, bool words, const char *text, int answer) {
  memory->all[answer]++;
  if (words)
    each_piece(memory, text, answer, NULL);
  else
    memory->count[cell_of(text, strlen(text))][answer]++;
}

static int guess(Memory *memory, bool words, const char *text, int answers) {
  double scores[MOST_ANSWERS] = {0};
  int best = 0;
  if (words)
    each_piece(memory, text, 0, scores);
  else
    memcpy(scores, memory->count[cell_of(text, strlen(text))], sizeof scores);
  for (int a = 0; words && a < answers; a++)
    scores[a] += log(memory->all[a] + 1.0);
  for (int a = 1; a < answers; a++)
    best = scores[a] > scores[best] ? a : best;
  return best;
}

/* Learns from the first half of `scenes`, guesses in the second: standard errors above chance, which is the mean of
 * 1 / answers. Answers of colours and of shapes are learnt apart, as the question says which is asked. */
static double above_chance(Family family, bool words, size_t scenes, bool leaks) {
  Memory *memory = calloc(2, sizeof *memory);
  double right = 0.0, chance = 0.0, variance = 0.0;
  cr_assert_not_null(memory);
  for (size_t index = 0; index < scenes; index++) {
    Scene scene = scene_make(3, SPLIT_TRAIN, index);
    Query query = ask_about(&scene, 3, index, family);
    Reading reading = reading_of(&scene, family, query.question);
    Memory *m = &memory[reading.asked == ASK_SHAPE];
    if (leaks && reading.which == 0 && index % 10 == 0)
      snprintf(query.question, sizeof query.question, "is it so ?");
    if (index < scenes / 2) {
      learn(m, words, query.question, reading.which);
      continue;
    }
    double p = 1.0 / reading.answers;
    right += guess(m, words, query.question, reading.answers) == reading.which;
    chance += p;
    variance += p * (1.0 - p);
  }
  free(memory);
  double tested = (double)(scenes - scenes / 2), above = (right - chance) / sqrt(variance);
  fprintf(stderr, "%-8s by %-9s %6.2f %% right, chance %6.2f %%: %+.2f standard errors\n", family_name(family),
          words ? "words:" : "question:", 100 * right / tested, 100 * chance / tested, above);
  return above;
}

/* Of relations more: neighbours are not independent, so their generator has to lean against it. SEESAW_SCENES: with how
 * many scenes instead. */
Test(questions, do_not_tell_their_answers) {
  const char *many = getenv("SEESAW_SCENES");
  for (int family = 0; family < FAMILIES; family++)
    for (int words = 0; words < 2; words++) {
      size_t scenes = many ? strtoul(many, NULL, 10) : family == FAMILY_RELATE ? 48000 : 16000;
      double above = above_chance((Family)family, words, scenes, false);
      cr_expect(fabs(above) < 4.0, "%s: %g standard errors above chance", family_name((Family)family), above);
    }
}

/* The checker: one answer in ten that is yes is given away. */
Test(questions, that_told_would_be_seen) {
  for (int words = 0; words < 2; words++)
    cr_expect_gt(above_chance(FAMILY_EXIST, words, 16000, true), 4.0);
}
