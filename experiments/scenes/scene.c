/* scene.c: what is where in a scene. */
#include "scene.h"

#include <string.h>

const char *const scene_colours[COLOURS] = {"red", "green", "blue", "yellow", "purple", "orange"};
const char *const scene_shapes[SHAPES] = {"circle", "square", "triangle", "diamond", "cross"};
const char *const scene_letters[LETTERS] = {"a", "c", "e", "h", "k", "l", "s", "t", "u", "z"};
const char *const scene_sizes[SIZES] = {"small", "big"};

/* ---- draws ---- */

size_t draw(Draws *draws, size_t count) {
  return (size_t)(rng_uniform(draws->rng, draws->next++) * (double)count);
}

bool draw_chance(Draws *draws, double probability) {
  return rng_uniform(draws->rng, draws->next++) < probability;
}

/* The split takes the seed's highest bits, the purpose the step's lowest. */
Draws scene_draws(uint64_t seed, Split split, size_t index, ScenePurpose purpose) {
  return (Draws){
      .rng = rng_make(seed ^ (uint64_t)split << 62, RNG_SCENES, (uint32_t)(index * SCENE_PURPOSES + (size_t)purpose))};
}

void draw_order(Draws *draws, size_t count, size_t chosen, size_t *order) {
  for (size_t i = 0; i < count; i++)
    order[i] = i;
  for (size_t i = 0; i < chosen; i++) {
    size_t j = i + draw(draws, count - i), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

/* ---- places ---- */

enum { PLACE = 24, MOST_PLACES = 12 }; /* pixels of a place */

/* Grids of places, as often as they stand here. */
static const size_t grids[][2] = {{3, 3}, {3, 3}, {3, 3}, {3, 3}, {3, 2}, {2, 3},
                                  {4, 2}, {2, 4}, {4, 3}, {4, 3}, {3, 4}, {3, 4}};

static void choose_size(Scene *scene, Draws *draws) {
  const size_t *grid = grids[draw(draws, sizeof grids / sizeof *grids)];
  scene->columns = grid[0];
  scene->rows = grid[1];
  scene->width = grid[0] * PLACE + draw(draws, 9) - 4;
  scene->height = grid[1] * PLACE + draw(draws, 9) - 4;
  scene->grey = 100 + (int)draw(draws, 50);
}

/* Things in the order of their places, row by row. */
static void choose_places(Scene *scene, Draws *draws) {
  size_t places = scene->columns * scene->rows, order[MOST_PLACES], next = 0;
  bool taken[MOST_PLACES] = {false};
  scene->count = 3 + draw(draws, places > 6 ? 3 : 2);
  draw_order(draws, places, scene->count, order);
  for (size_t i = 0; i < scene->count; i++)
    taken[order[i]] = true;
  for (size_t place = 0; place < places; place++)
    if (taken[place]) {
      scene->things[next].column = place % scene->columns;
      scene->things[next++].row = place / scene->columns;
    }
}

static void place_thing(const Scene *scene, Draws *draws, Thing *thing) {
  double across = (double)scene->width / (double)scene->columns, down = (double)scene->height / (double)scene->rows;
  thing->size = (ThingSize)draw(draws, SIZES);
  thing->radius = thing->size == SIZE_BIG ? 8.5 : 6.0;
  double room = (across < down ? across : down) / 2 - thing->radius - 0.5;
  room = room > 0 ? room : 0;
  thing->x = ((double)thing->column + 0.5) * across + room * (rng_uniform(draws->rng, draws->next++) * 2 - 1);
  thing->y = ((double)thing->row + 0.5) * down + room * (rng_uniform(draws->rng, draws->next++) * 2 - 1);
}

/* ---- attributes ---- */

/* No two things are alike in both. */
static void choose_attributes(Scene *scene, Draws *draws) {
  bool taken[COLOURS][SHAPES] = {{false}};
  for (size_t i = 0; i < scene->count; i++) {
    Thing *thing = &scene->things[i];
    do {
      thing->colour = (int)draw(draws, COLOURS);
      thing->shape = (int)draw(draws, SHAPES);
    } while (taken[thing->colour][thing->shape]);
    taken[thing->colour][thing->shape] = true;
  }
}

/* Four in five have a sign, and one at least. */
static void choose_letters(Scene *scene, Draws *draws) {
  size_t sure = draw(draws, scene->count);
  for (size_t i = 0; i < scene->count; i++) {
    bool sign = draw_chance(draws, 0.8) || i == sure;
    int letter = (int)draw(draws, LETTERS);
    scene->things[i].letter = sign ? letter : NO_LETTER;
  }
}

Scene scene_make(uint64_t seed, Split split, size_t index) {
  Scene scene;
  Draws draws = scene_draws(seed, split, index, SCENE_THINGS);
  memset(&scene, 0, sizeof scene);
  choose_size(&scene, &draws);
  choose_places(&scene, &draws);
  choose_attributes(&scene, &draws);
  choose_letters(&scene, &draws);
  for (size_t i = 0; i < scene.count; i++)
    place_thing(&scene, &draws, &scene.things[i]);
  scene.noise = scene_draws(seed, split, index, SCENE_NOISE).rng;
  scene.spread = 16.0;
  scene.plate = 170;
  scene.ink = 90;
  return scene;
}

/* ---- looking ---- */

const Thing *scene_find(const Scene *scene, int colour, int shape) {
  for (size_t i = 0; i < scene->count; i++)
    if ((colour < 0 || scene->things[i].colour == colour) && (shape < 0 || scene->things[i].shape == shape))
      return &scene->things[i];
  return NULL;
}

size_t scene_times(const Scene *scene, int colour, int shape) {
  size_t times = 0;
  for (size_t i = 0; i < scene->count; i++)
    times += (colour < 0 || scene->things[i].colour == colour) && (shape < 0 || scene->things[i].shape == shape);
  return times;
}
