/* scene.h: the world of the small experiments: things on a grid of places, each with a shape, a colour, a size and
 * mostly a small sign, whose letter can be read only where the picture is not shrunk.
 *
 * A scene is a function of (seed, split, index), as everything random here. Shapes, colours, letters and places are
 * drawn alike, so that no answer is likelier than another before one looks; no two things have both in common. */
#ifndef SEESAW_SCENE_H
#define SEESAW_SCENE_H

#include <stdbool.h>

#include "image.h"
#include "rng.h"

enum { COLOURS = 6, SHAPES = 5, LETTERS = 10, THINGS_MOST = 6, NO_LETTER = -1 };

typedef enum { SIZE_SMALL, SIZE_BIG, SIZES } ThingSize;

/* Their words: scene_colours[c] and so on. */
extern const char *const scene_colours[COLOURS], *const scene_shapes[SHAPES], *const scene_letters[LETTERS],
                                                                                  *const scene_sizes[SIZES];

typedef struct Thing {
  int colour, shape, letter; /* letter: NO_LETTER without a sign */
  ThingSize size;
  size_t column, row;  /* its place */
  double x, y, radius; /* pixels */
} Thing;

typedef struct Scene {
  size_t width, height; /* pixels */
  size_t columns, rows; /* places */
  size_t count;
  Thing things[THINGS_MOST]; /* row by row */
  int grey, plate, ink;      /* of the background, of signs and their letters */
  Rng noise;                 /* of the pixels */
  double spread;             /* its standard deviation, grey levels */
} Scene;

/* Rows of different splits have nothing in common. Hyper-parameters are chosen on validation, results are test's. */
typedef enum { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLIT_COUNT } Split;

/* A sequence of draws for one purpose. */
typedef struct Draws {
  Rng rng;
  uint64_t next;
} Draws;

/* draw: uniform among 0 ... count - 1. draw_chance: true with this probability. */
size_t draw(Draws *draws, size_t count);
bool draw_chance(Draws *draws, double probability);

/* draw_order: `chosen` of 0 ... count - 1 in random order; order has room for all `count`. */
void draw_order(Draws *draws, size_t count, size_t chosen, size_t *order);

/* What is drawn for a scene: its things, or what is asked and said about it. */
typedef enum { SCENE_THINGS, SCENE_TEXT, SCENE_NOISE, SCENE_PREFIX, SCENE_PURPOSES } ScenePurpose;
Draws scene_draws(uint64_t seed, Split split, size_t index, ScenePurpose purpose);

/* scene_make: the scene of that index. */
Scene scene_make(uint64_t seed, Split split, size_t index);

/* scene_same: is a thing of this colour and shape in it? Returns the first, or NULL. colour or shape -1: any. */
const Thing *scene_find(const Scene *scene, int colour, int shape);

/* scene_times: how many things have this colour (shape -1) or shape (colour -1) or both. */
size_t scene_times(const Scene *scene, int colour, int shape);

/* scene_draw: its picture; the caller frees. Shapes are antialiased; signs are dark letters of 3 x 5 pixels on a light
 * plate, on whole pixels; every pixel has normal noise. Letters are faint: plain in a tile, drowned in noise where the
 * picture is shrunk to half. Errors: STATUS_MEMORY. */
Status scene_draw(const Scene *scene, Image *image);

#endif
