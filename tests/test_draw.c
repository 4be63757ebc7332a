/* test_draw.c: what a scene's picture shows, and where it is in the views that are cut from it. */
#include <math.h>
#include <string.h>

#include "picture.h"
#include "pretrain.h"
#include "runs.h"
#include "sizes.h"

enum { GREY = COLOURS, KINDS }; /* a pixel is of a colour, or of none: background, plate, letter, edge */

static const double palette[COLOURS][3] = {{215, 45, 45},  {45, 165, 65},  {50, 85, 220},
                                           {230, 215, 50}, {150, 60, 185}, {240, 140, 35}};

/* The letters as they should look. */
static const char *const glyphs[LETTERS] = {".#.#.#####.##.#", ".###..#..#...##", "####..##.#..###", "#.##.#####.##.#",
                                            "#.##.###.#.##.#", "#..#..#..#..###", ".###...#...###.", "###.#..#..#..#.",
                                            "#.##.##.##.####", "###..#.#.#..###"};

static double distance(const unsigned char *pixel, const double *colour) {
  double sum = 0.0;
  for (int c = 0; c < 3; c++)
    sum += (pixel[c] - colour[c]) * (pixel[c] - colour[c]);
  return sqrt(sum);
}

/* The colour that a pixel without noise is near to. */
static int kind_of(const unsigned char *pixel) {
  for (int colour = 0; colour < COLOURS; colour++)
    if (distance(pixel, palette[colour]) < 45)
      return colour;
  return GREY;
}

/* ---- things ---- */

static void count_kinds(Image image, const Thing *t, size_t counts[KINDS]) {
  for (size_t y = 0; y < image.height; y++)
    for (size_t x = 0; x < image.width; x++) {
      double across = ((double)x + 0.5 - t->x) / t->radius, down = ((double)y + 0.5 - t->y) / t->radius;
      if (fabs(across) < 0.9 && fabs(down) < 0.9)
        counts[kind_of(image_row(image, y) + 3 * x)]++;
    }
}

/* Beside a sign of 5 x 7 a small thing has about 40 pixels left. */
Test(draw, shows_every_thing_in_its_colour_and_in_no_other) {
  for (size_t index = 0; index < 400; index++) {
    Scene scene = scene_make(1, SPLIT_TEST, index);
    Image image;
    scene.spread = 0.0;
    assert_ok(scene_draw(&scene, &image));
    cr_assert(image.width == scene.width && image.height == scene.height);
    for (size_t i = 0; i < scene.count; i++) {
      size_t counts[KINDS] = {0}, other = 0;
      const Thing *t = &scene.things[i];
      count_kinds(image, t, counts);
      for (int colour = 0; colour < COLOURS; colour++)
        other += colour == t->colour ? 0 : counts[colour];
      cr_expect_geq(counts[t->colour], t->letter == NO_LETTER ? 35 : 14, "scene %zu: a %s %s at (%g, %g): %zu pixels",
                    index, scene_colours[t->colour], scene_shapes[t->shape], t->x, t->y, counts[t->colour]);
      cr_expect_leq(other, 4, "scene %zu: a %s %s has %zu pixels of other colours", index, scene_colours[t->colour],
                    scene_shapes[t->shape], other);
    }
    image_free(&image);
  }
}

/* The shares of its box that shapes fill, and where: enough to tell them apart. */
Test(draw, shows_every_shape_as_it_is) {
  static const char *const corner = "square", *const wide = "triangle";
  for (int shape = 0; shape < SHAPES; shape++) {
    Scene scene = {.width = 72, .height = 72, .columns = 3, .rows = 3, .count = 1, .grey = 120};
    Image image;
    double upper = 0.0, lower = 0.0, corners = 0.0, all = 0.0;
    scene.things[0] = (Thing){
        .colour = 2, .shape = shape, .letter = NO_LETTER, .size = SIZE_BIG, .x = 36.3, .y = 35.6, .radius = 8.5};
    scene.noise = rng_make(1, RNG_TEST, (uint32_t)shape);
    assert_ok(scene_draw(&scene, &image));
    for (size_t y = 0; y < 72; y++)
      for (size_t x = 0; x < 72; x++)
        if (kind_of(image_row(image, y) + 3 * x) == 2) {
          double across = fabs((double)x + 0.5 - 36.3) / 8.5, down = ((double)y + 0.5 - 35.6) / 8.5;
          cr_expect(across < 1.2 && fabs(down) < 1.2);
          all += 1;
          *(down < 0 ? &upper : &lower) += 1;
          corners += across > 0.5 && across < 0.8 && down < -0.5 && down > -0.8;
        }
    cr_expect(all > 1.6 * 72.25 && all < 2.8 * 72.25, "%s: area %g", scene_shapes[shape], all / 72.25);
    cr_expect((lower > 2 * upper) == (strcmp(scene_shapes[shape], wide) == 0), "%s: %g, %g", scene_shapes[shape], upper,
              lower);
    cr_expect((corners >= 6) == (strcmp(scene_shapes[shape], corner) == 0), "%s: %g corners", scene_shapes[shape],
              corners);
    image_free(&image);
  }
}

/* ---- letters ---- */

/* How many of the 15 pixels at (left, top) are as the letter has them, on a plate. */
static int matches(Image image, size_t left, size_t top, int letter) {
  int right = 0;
  for (size_t i = 0; i < 15; i++) {
    const unsigned char *pixel = image_row(image, top + i / 3) + 3 * (left + i % 3);
    bool dark = pixel[0] == 90 && pixel[1] == 90 && pixel[2] == 90;
    bool light = pixel[0] == 170 && pixel[1] == 170 && pixel[2] == 170;
    right += glyphs[letter][i] == '#' ? dark : light;
  }
  return right;
}

/* The letters that stand whole within a pixel of the thing's middle: bits. */
static unsigned letters_on(Image image, const Thing *t) {
  unsigned found = 0;
  for (size_t top = (size_t)floor(t->y - 3.5); top <= (size_t)floor(t->y - 1.0); top++)
    for (size_t left = (size_t)floor(t->x - 2.5); left <= (size_t)floor(t->x - 0.5); left++)
      for (int letter = 0; letter < LETTERS; letter++)
        found |= matches(image, left, top, letter) == 15 ? 1U << letter : 0;
  return found;
}

Test(draw, shows_every_letter_whole_and_none_where_there_is_no_sign) {
  for (size_t index = 0; index < 400; index++) {
    Scene scene = scene_make(2, SPLIT_TRAIN, index);
    Image image;
    scene.spread = 0.0;
    assert_ok(scene_draw(&scene, &image));
    for (size_t i = 0; i < scene.count; i++) {
      const Thing *t = &scene.things[i];
      unsigned found = letters_on(image, t);
      cr_expect_eq(found, t->letter == NO_LETTER ? 0 : 1U << t->letter, "scene %zu, thing %zu: letter %d, found %x",
                   index, i, t->letter, found);
    }
    image_free(&image);
  }
}

/* The plate goes round the letter, on whole pixels, also in the corners. */
Test(draw, shows_signs_at_the_edges_whole) {
  static const double at[][2] = {{6, 6}, {6.99, 6.99}, {3, 4}, {0, 0}, {60, 50}, {57.2, 46.4}, {54.01, 6.2}};
  for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
    Scene scene = {
        .width = 60, .height = 50, .columns = 2, .rows = 2, .count = 1, .grey = 110, .plate = 170, .ink = 90};
    Image image;
    size_t light = 0;
    scene.things[0] =
        (Thing){.colour = 0, .shape = 1, .letter = 3, .size = SIZE_SMALL, .x = at[i][0], .y = at[i][1], .radius = 6};
    scene.noise = rng_make(1, RNG_TEST, (uint32_t)i);
    assert_ok(scene_draw(&scene, &image));
    bool whole = false;
    for (size_t top = 1; top + 6 <= image.height; top++)
      for (size_t left = 1; left + 4 <= image.width; left++)
        whole |= matches(image, left, top, 3) == 15;
    for (size_t p = 0; p < image.width * image.height; p++)
      light += image.pixels[3 * p] == 170 && image.pixels[3 * p + 1] == 170 && image.pixels[3 * p + 2] == 170;
    cr_expect(whole, "(%g, %g)", at[i][0], at[i][1]);
    cr_expect_eq(light, 35 - 11, "a plate of 5 x 7 less the letter: %zu at (%g, %g)", light, at[i][0], at[i][1]);
    image_free(&image);
  }
}

/* ---- noise ---- */

Test(draw, has_noise_of_the_right_size_of_its_own_in_every_scene) {
  Scene scene = {.width = 90, .height = 80, .columns = 3, .rows = 3, .grey = 130, .spread = 10.0};
  Image image, other, again;
  double sum = 0.0, squares = 0.0, count = 90 * 80 * 3;
  scene.noise = scene_draws(1, SPLIT_TRAIN, 0, SCENE_NOISE).rng;
  assert_ok(scene_draw(&scene, &image));
  assert_ok(scene_draw(&scene, &again));
  scene.noise = scene_draws(1, SPLIT_TRAIN, 1, SCENE_NOISE).rng;
  assert_ok(scene_draw(&scene, &other));
  double together = 0.0;
  for (size_t i = 0; i < 90 * 80 * 3; i++) {
    double x = image.pixels[i] - 130.0;
    sum += x;
    squares += x * x;
    together += x * (other.pixels[i] - 130.0);
  }
  expect_within(fabs(sum / count), 5 * 10 / sqrt(count), "mean");
  expect_within(fabs(squares / count - 100.0 - 1.0 / 12.0), 5 * 100 * sqrt(2 / count), "variance");
  expect_within(fabs(together / count), 5 * 100 / sqrt(count), "two scenes");
  cr_expect_eq(memcmp(image.pixels, again.pixels, 90 * 80 * 3), 0);
  image_free(&image);
  image_free(&again);
  image_free(&other);
}

/* ---- where things are in views ---- */

typedef struct Middle {
  double x, y, weight;
} Middle;

/* The middle of a colour: pixels weigh by their nearness to it. */
static Middle middle_of(Image image, const double *colour) {
  Middle m = {0};
  for (size_t y = 0; y < image.height; y++)
    for (size_t x = 0; x < image.width; x++) {
      double weight = 1.0 - distance(image_row(image, y) + 3 * x, colour) / 80.0;
      if (weight > 0.0) {
        m.x += weight * ((double)x + 0.5);
        m.y += weight * ((double)y + 0.5);
        m.weight += weight;
      }
    }
  m.x /= m.weight;
  m.y /= m.weight;
  return m;
}

/* The thing's middle is where the frame says, if it is wholly in the view; nothing of it is there if it is wholly
 * outside. Returns whether it was inside. */
static bool expect_in_view(Image view, const ViewFrame *frame, const Thing *t, size_t index, size_t which) {
  double x = t->x * frame->across_scale + frame->across_shift, y = t->y * frame->down_scale + frame->down_shift;
  double across = 1.2 * t->radius * frame->across_scale + 1, down = 1.2 * t->radius * frame->down_scale + 1;
  double side = (double)view.width;
  bool inside = x - across >= 0 && y - down >= 0 && x + across <= side && y + down <= side;
  bool outside = x + across < 0 || y + down < 0 || x - across > side || y - down > side;
  Middle found = middle_of(view, palette[t->colour]);
  if (inside)
    cr_expect(hypot(found.x - x, found.y - y) < 0.5, "scene %zu, view %zu: at (%.2f, %.2f), not at (%.2f, %.2f)", index,
              which, found.x, found.y, x, y);
  if (outside)
    cr_expect_lt(found.weight, 0.5, "scene %zu, view %zu", index, which);
  return inside;
}

/* One thing alone, of a shape that is alike on all sides, in the place of the scene's first. Returns how many views
 * had it wholly inside; all: how many there are. */
static size_t look_at_views(const ModelConfig *config, Scene scene, size_t index, TileGrid *grid) {
  static const int shapes[] = {0, 1, 3, 4}, colours[] = {0, 2, 3}; /* far from grey */
  Slicing slicing = picture_slicing(config);
  Slices slices;
  Image image;
  size_t inside = 0;
  scene.count = 1;
  scene.things[0].letter = NO_LETTER;
  scene.things[0].shape = shapes[index % 4];
  scene.things[0].colour = colours[index % 3];
  assert_ok(scene_draw(&scene, &image));
  assert_ok(slice_image(&slicing, image, &slices));
  for (size_t view = 0; view < slices.count; view++) {
    ViewFrame frame = view_frame(config, &scene, slices.grid, view);
    inside += expect_in_view(slices_view(&slices, view), &frame, &scene.things[0], index, view) && view > 0;
  }
  *grid = slices.grid;
  slices_free(&slices);
  image_free(&image);
  return inside;
}

static void look_by_rule(bool paper, size_t grids_at_least) {
  ModelConfig config;
  size_t inside = 0, grids = 0;
  bool seen[8][8] = {{false}};
  assert_ok(scenes_config("small", 400, &config));
  config.switches.slicing_paper = paper;
  for (size_t index = 0; index < 300; index++) {
    Scene scene = scene_make(3, SPLIT_TRAIN, index);
    TileGrid grid;
    scene.things[0] = scene.things[index % scene.count];
    inside += look_at_views(&config, scene, index, &grid);
    cr_assert(grid.columns < 8 && grid.rows < 8);
    grids += !seen[grid.columns][grid.rows];
    seen[grid.columns][grid.rows] = true;
  }
  cr_expect_geq(grids, grids_at_least, "%zu grids", grids);
  cr_expect_gt(inside, 40, "%zu tiles with a whole thing", inside);
}

Test(frame, says_where_things_are_in_views_of_the_released_rule) {
  look_by_rule(false, 5);
}

Test(frame, says_where_things_are_in_views_of_the_papers_rule) {
  look_by_rule(true, 4);
}

/* A view of the tower's lessons: as many as it has room for, by the rule that it is pretrained with. */
Test(frame, of_a_scene_has_at_most_eight_views) {
  for (size_t index = 0; index < 6000; index++) {
    Scene scene = scene_make(12, SPLIT_TRAIN, index);
    TileGrid grid = slice_grid(SLICE_RELEASED, 36, scene.width, scene.height);
    cr_expect_leq(1 + grid.columns * grid.rows, 8);
  }
}
