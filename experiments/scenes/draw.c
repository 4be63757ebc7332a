/* draw.c: a scene's picture. */
#include <math.h>
#include <stdlib.h>

#include "scene.h"

static const unsigned char colours[COLOURS][3] = {{215, 45, 45},  {45, 165, 65},  {50, 85, 220},
                                                  {230, 215, 50}, {150, 60, 185}, {240, 140, 35}};
/* Letters of 3 x 5, a row of three pixels an octal digit, from the top. */
static const unsigned glyphs[LETTERS] = {025755, 034443, 074647, 055755, 055655,
                                         044447, 034216, 072222, 055557, 071247};

/* Is (x, y), in radii from the centre, inside? All shapes have about the same area. */
static bool inside(int shape, double x, double y) {
  switch (shape) {
  case 0: /* circle */
    return x * x + y * y <= 0.82;
  case 1: /* square */
    return fabs(x) <= 0.8 && fabs(y) <= 0.8;
  case 2: /* triangle */
    return y <= 0.85 && y >= -1.0 && fabs(x) <= (y + 1.0) * 0.54;
  case 3: /* diamond */
    return fabs(x) + fabs(y) <= 1.12;
  default: /* cross */
    return (fabs(x) <= 0.42 && fabs(y) <= 1.0) || (fabs(y) <= 0.42 && fabs(x) <= 1.0);
  }
}

/* The share of a pixel that the thing covers, by 4 x 4 points. */
static double coverage(const Thing *thing, size_t column, size_t row) {
  int hits = 0;
  for (int i = 0; i < 16; i++) {
    double x = (double)column + (i % 4 + 0.5) / 4 - thing->x, y = (double)row + (i / 4 + 0.5) / 4 - thing->y;
    hits += inside(thing->shape, x / thing->radius, y / thing->radius);
  }
  return hits / 16.0;
}

/* From a coordinate to a pixel of the picture. */
static size_t pixel(double at, size_t size) {
  return at < 0 ? 0 : at >= (double)size ? size - 1 : (size_t)at;
}

static void draw_thing(const Thing *thing, Image image) {
  double reach = 1.2 * thing->radius;
  for (size_t y = pixel(thing->y - reach, image.height); y <= pixel(thing->y + reach, image.height); y++)
    for (size_t x = pixel(thing->x - reach, image.width); x <= pixel(thing->x + reach, image.width); x++) {
      double share = coverage(thing, x, y);
      unsigned char *at = image_row(image, y) + 3 * x;
      for (int c = 0; c < 3; c++)
        at[c] = (unsigned char)lround(at[c] + share * (colours[thing->colour][c] - at[c]));
    }
}

static void draw_sign(const Scene *scene, const Thing *thing, Image image) {
  enum { WIDE = 5, HIGH = 7 };
  size_t left = pixel(thing->x - WIDE / 2.0 + 0.5, image.width - WIDE + 1);
  size_t top = pixel(thing->y - HIGH / 2.0 + 0.5, image.height - HIGH + 1);
  for (int row = 0; row < HIGH; row++)
    for (int column = 0; column < WIDE; column++) {
      bool letter = row > 0 && row < 6 && column > 0 && column < 4 &&
                    (glyphs[thing->letter] >> (3 * (5 - row) + (3 - column)) & 1);
      unsigned char *at = image_row(image, top + (size_t)row) + 3 * (left + (size_t)column);
      at[0] = at[1] = at[2] = (unsigned char)(letter ? scene->ink : scene->plate);
    }
}

static Status add_noise(const Scene *scene, Image image) {
  size_t count = 3 * image.width * image.height;
  double *noise = malloc(count * sizeof *noise);
  if (!noise)
    return status_error(STATUS_MEMORY, "not enough memory for a picture of %zu x %zu", image.width, image.height);
  rng_fill_normal(scene->noise, 0, count, noise);
  for (size_t i = 0; i < count; i++)
    image.pixels[i] = (unsigned char)lround(fmin(255.0, fmax(0.0, image.pixels[i] + scene->spread * noise[i])));
  free(noise);
  return status_ok();
}

Status scene_draw(const Scene *scene, Image *image) {
  TRY(image_new(image, scene->width, scene->height));
  for (size_t i = 0; i < 3 * scene->width * scene->height; i++)
    image->pixels[i] = (unsigned char)scene->grey;
  for (size_t i = 0; i < scene->count; i++)
    draw_thing(&scene->things[i], *image);
  for (size_t i = 0; i < scene->count; i++)
    if (scene->things[i].letter != NO_LETTER)
      draw_sign(scene, &scene->things[i], *image);
  Status status = add_noise(scene, *image);
  if (status.code != STATUS_OK)
    image_free(image);
  return status;
}
