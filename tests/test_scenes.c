/* test_scenes.c: what is where in the small world: functions of seed, split and index, and without favourites. */
#include "scene.h"

#include <math.h>
#include <string.h>

#include "chance.h"
#include "feed_scenes.h"
#include "runs.h"

enum { MANY = 6000 };

static bool same_scene(const Scene *one, const Scene *other) {
  bool same = one->width == other->width && one->height == other->height && one->count == other->count &&
              one->grey == other->grey && one->noise.seed == other->noise.seed && one->noise.step == other->noise.step;
  for (size_t i = 0; same && i < one->count; i++) {
    const Thing *a = &one->things[i], *b = &other->things[i];
    same = a->colour == b->colour && a->shape == b->shape && a->letter == b->letter && a->size == b->size &&
           a->x == b->x && a->y == b->y && a->row == b->row && a->column == b->column;
  }
  return same;
}

/* ---- draws ---- */

Test(draws, stay_below_their_count_and_have_no_favourites) {
  for (size_t count = 1; count <= 12; count++) {
    Draws draws = scene_draws(count, SPLIT_TEST, 3, SCENE_TEXT);
    size_t seen[12] = {0};
    for (size_t i = 0; i < 3000; i++) {
      size_t chosen = draw(&draws, count);
      cr_assert_lt(chosen, count);
      seen[chosen]++;
    }
    if (count > 1)
      expect_even(seen, count, "draws");
  }
}

Test(draws, of_a_chance_come_as_often_as_they_should) {
  Draws draws = scene_draws(1, SPLIT_TRAIN, 0, SCENE_TEXT);
  size_t hits = 0, never = 0, always = 0;
  for (size_t i = 0; i < 10000; i++) {
    hits += draw_chance(&draws, 0.3);
    never += draw_chance(&draws, 0.0);
    always += draw_chance(&draws, 1.0);
  }
  expect_within(fabs((double)hits - 3000.0), 5.0 * sqrt(10000 * 0.3 * 0.7), "0.3");
  cr_expect_eq(never, 0);
  cr_expect_eq(always, 10000);
}

Test(draws, differ_by_seed_split_index_and_purpose) {
  enum { KEYS = 4 * 3 * 4 * SCENE_PURPOSES };
  double first[KEYS];
  size_t count = 0;
  for (uint64_t seed = 0; seed < 4; seed++)
    for (int split = 0; split < SPLIT_COUNT; split++)
      for (size_t index = 0; index < 4; index++)
        for (int purpose = 0; purpose < SCENE_PURPOSES; purpose++) {
          Draws draws = scene_draws(seed, (Split)split, index, (ScenePurpose)purpose);
          first[count++] = rng_uniform(draws.rng, 0);
        }
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < i; j++)
      cr_expect_neq(first[i], first[j], "%zu and %zu", i, j);
}

/* ---- scenes ---- */

Test(scene, is_a_function_of_seed_split_and_index) {
  for (size_t index = 0; index < 50; index++) {
    Scene here = scene_make(7, SPLIT_TRAIN, index), again = scene_make(7, SPLIT_TRAIN, index);
    const Scene others[] = {scene_make(8, SPLIT_TRAIN, index), scene_make(7, SPLIT_VALIDATION, index),
                            scene_make(7, SPLIT_TEST, index), scene_make(7, SPLIT_TRAIN, index + 1)};
    cr_expect(same_scene(&here, &again));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
      cr_expect(!same_scene(&here, &others[i]), "%zu, %zu", index, i);
  }
}

Test(scene, of_no_index_comes_twice_or_in_another_split) {
  enum { COUNT = 400 };
  static Scene scenes[SPLIT_COUNT * COUNT];
  for (size_t i = 0; i < SPLIT_COUNT * COUNT; i++)
    scenes[i] = scene_make(3, (Split)(i / COUNT), i % COUNT);
  for (size_t i = 0; i < SPLIT_COUNT * COUNT; i++)
    for (size_t j = 0; j < i; j++)
      cr_assert(!same_scene(&scenes[i], &scenes[j]), "%zu and %zu", i, j);
}

/* Caches tell pictures apart by it. */
Test(scene, has_the_same_digest_only_where_it_is_the_same) {
  Feed feed, other;
  SceneFeedPlan plan = {.seed = 4, .split = SPLIT_TRAIN, .count = 60, .talk = {.caption = true}};
  Digest digests[60], again;
  assert_ok(feed_scenes_open(&feed, &plan));
  plan.split = SPLIT_TEST;
  plan.talk = (SceneTalk){.families = 1, .rounds = 1};
  assert_ok(feed_scenes_open(&other, &plan));
  for (size_t i = 0; i < 60; i++)
    assert_ok(feed.digest(feed.state, i, &digests[i]));
  for (size_t i = 0; i < 60; i++) {
    assert_ok(feed.digest(feed.state, i, &again));
    cr_expect_eq(memcmp(&again, &digests[i], sizeof again), 0, "%zu", i);
    for (size_t j = 0; j < i; j++)
      cr_expect_neq(memcmp(&digests[i], &digests[j], sizeof again), 0, "%zu, %zu", i, j);
    assert_ok(other.digest(other.state, i, &again));
    cr_expect_neq(memcmp(&again, &digests[i], sizeof again), 0, "another split: %zu", i);
  }
  feed_scenes_close(&feed);
  feed_scenes_close(&other);
  feed_scenes_close(&other);
}

/* Pictures and words both count; what lies beyond the first few scenes does not. */
Test(scene, a_world_has_the_digest_of_what_is_drawn_and_said) {
  SceneFeedPlan plan = {.seed = 4, .split = SPLIT_TRAIN, .count = 60, .talk = {.caption = true}}, other = plan;
  Digest one, same, another;
  assert_ok(feed_scenes_digest(&plan, &one));
  other.count = 61;
  assert_ok(feed_scenes_digest(&other, &same));
  cr_expect_arr_eq(&one, &same, sizeof one);
  other.talk = (SceneTalk){.families = 1, .rounds = 1};
  assert_ok(feed_scenes_digest(&other, &another));
  cr_expect_neq(memcmp(&one, &another, sizeof one), 0, "words");
  other = plan;
  other.seed = 5;
  assert_ok(feed_scenes_digest(&other, &another));
  cr_expect_neq(memcmp(&one, &another, sizeof one), 0, "pictures");
}

static void expect_places(const Scene *scene, size_t index) {
  double across = (double)scene->width / (double)scene->columns, down = (double)scene->height / (double)scene->rows;
  cr_expect(scene->count >= 3 && scene->count <= THINGS_MOST, "%zu", scene->count);
  for (size_t i = 0; i < scene->count; i++) {
    const Thing *t = &scene->things[i];
    size_t place = t->row * scene->columns + t->column;
    cr_expect(t->row < scene->rows && t->column < scene->columns);
    cr_expect(t->x - t->radius >= 0 && t->y - t->radius >= 0 && t->x + t->radius <= (double)scene->width &&
                  t->y + t->radius <= (double)scene->height,
              "scene %zu: thing %zu leaves the picture", index, i);
    cr_expect(t->x - t->radius >= (double)t->column * across && t->x + t->radius <= (double)(t->column + 1) * across &&
                  t->y - t->radius >= (double)t->row * down && t->y + t->radius <= (double)(t->row + 1) * down,
              "scene %zu: thing %zu leaves its place", index, i);
    cr_expect(i == 0 || place > scene->things[i - 1].row * scene->columns + scene->things[i - 1].column,
              "row by row: scene %zu, thing %zu", index, i);
  }
}

Test(scene, has_its_things_inside_their_places_row_by_row) {
  for (size_t index = 0; index < MANY; index++) {
    Scene scene = scene_make(1, SPLIT_TRAIN, index);
    expect_places(&scene, index);
  }
}

Test(scene, has_no_two_things_alike_and_a_letter_at_least) {
  for (size_t index = 0; index < MANY; index++) {
    Scene scene = scene_make(2, SPLIT_TEST, index);
    size_t letters = 0;
    for (size_t i = 0; i < scene.count; i++) {
      const Thing *t = &scene.things[i];
      letters += t->letter != NO_LETTER;
      cr_expect(t->colour >= 0 && t->colour < COLOURS && t->shape >= 0 && t->shape < SHAPES && t->letter < LETTERS);
      for (size_t j = 0; j < i; j++)
        cr_expect(t->colour != scene.things[j].colour || t->shape != scene.things[j].shape, "scene %zu", index);
    }
    cr_expect_gt(letters, 0, "scene %zu", index);
  }
}

/* One thing of each scene, so that the counts are of independent things: the first, the last, or any. */
static void expect_no_favourites(size_t (*which)(const Scene *, size_t)) {
  size_t colours[COLOURS] = {0}, shapes[SHAPES] = {0}, letters[LETTERS] = {0}, sizes[SIZES] = {0},
         pairs[COLOURS * SHAPES] = {0};
  for (size_t index = 0; index < MANY; index++) {
    Scene scene = scene_make(6, SPLIT_TRAIN, index);
    const Thing *t = &scene.things[which(&scene, index)];
    colours[t->colour]++;
    shapes[t->shape]++;
    pairs[t->colour * SHAPES + t->shape]++;
    sizes[t->size]++;
    if (t->letter != NO_LETTER)
      letters[t->letter]++;
  }
  expect_even(colours, COLOURS, "colours");
  expect_even(shapes, SHAPES, "shapes");
  expect_even(pairs, COLOURS * SHAPES, "pairs");
  expect_even(letters, LETTERS, "letters");
  expect_even(sizes, SIZES, "sizes");
}

static size_t the_first(const Scene *scene, size_t index) {
  (void)scene, (void)index;
  return 0;
}

static size_t the_last(const Scene *scene, size_t index) {
  (void)index;
  return scene->count - 1;
}

static size_t any_of_them(const Scene *scene, size_t index) {
  return index % scene->count;
}

Test(scene, has_no_favourites) {
  expect_no_favourites(the_first);
  expect_no_favourites(the_last);
  expect_no_favourites(any_of_them);
}

/* Of n things, one is sure of its sign and the others have it four times in five. */
Test(scene, has_signs_on_four_things_in_five_and_one_for_sure) {
  double expected = 0.0, variance = 0.0, found = 0.0;
  for (size_t index = 0; index < MANY; index++) {
    Scene scene = scene_make(9, SPLIT_TRAIN, index);
    expected += 1.0 + 0.8 * (double)(scene.count - 1);
    variance += 0.8 * 0.2 * (double)(scene.count - 1);
    for (size_t i = 0; i < scene.count; i++)
      found += scene.things[i].letter != NO_LETTER;
  }
  expect_within(fabs(found - expected), 5.0 * sqrt(variance), "signs");
}

Test(scene, is_looked_through_by_colour_shape_or_both) {
  for (size_t index = 0; index < 200; index++) {
    Scene scene = scene_make(11, SPLIT_TRAIN, index);
    for (int colour = -1; colour < COLOURS; colour++)
      for (int shape = -1; shape < SHAPES; shape++) {
        const Thing *first = NULL;
        size_t found = 0;
        for (size_t i = scene.count; i-- > 0;)
          if ((colour < 0 || scene.things[i].colour == colour) && (shape < 0 || scene.things[i].shape == shape)) {
            found++;
            first = &scene.things[i];
          }
        cr_expect_eq(scene_times(&scene, colour, shape), found);
        cr_expect_eq(scene_find(&scene, colour, shape), first);
      }
  }
}

/* The checker: what is not even is seen. */
Test(scene, evenness_sees_a_favourite) {
  const size_t even[] = {1000, 1030, 980, 990}, uneven[] = {1000, 1300, 900, 800};
  cr_expect_gt(evenness(even, 4), 0.01);
  cr_expect_lt(evenness(uneven, 4), 1e-6);
}
