/* resize.c: two passes, the first a few rows ahead of the second.
 *
 * Pillow makes all rows of the first pass, then the second. Here a ring holds only the rows that the next row of the
 * result needs, which gives the same bytes from less memory, most of it in cache. */
#include "resize.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"

enum { WEIGHT_BITS = 22 };       /* 8 bits of a pixel, 2 for the filter's overshoot */
static const double SUPPORT = 2; /* the filter is zero from here on */

/* ---- Weights ---- */

/* What each pixel of the result takes along one side: `count[i]` pixels from `first[i]`, with weights[i * most ...]. */
typedef struct Taps {
  size_t most, *first, *count;
  int32_t *weights;
} Taps;

static double bicubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* How far the filter reaches on the source, and how many pixels that can be. */
static double reach(size_t from, size_t to) {
  return SUPPORT * fmax((double)from / (double)to, 1);
}

static size_t taps_most(size_t from, size_t to) {
  return (size_t)ceil(reach(from, to)) * 2 + 1;
}

static size_t taps_size(size_t from, size_t to) {
  return 2 * arena_size(to, sizeof(size_t)) + arena_size(to * taps_most(from, to), sizeof(int32_t)) +
         arena_size(taps_most(from, to), sizeof(double));
}

static int32_t fixed(double weight) {
  return (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << WEIGHT_BITS));
}

/* The order of these operations is Pillow's: another one would move some weight by one unit. */
static Taps taps_make(Arena *arena, size_t from, size_t to) {
  Taps taps = {.most = taps_most(from, to),
               .first = arena_carve(arena, to, sizeof(size_t)),
               .count = arena_carve(arena, to, sizeof(size_t))};
  taps.weights = arena_carve(arena, to * taps.most, sizeof(int32_t));
  double *exact = arena_doubles(arena, taps.most), scale = (double)from / (double)to, stretch = 1 / fmax(scale, 1);
  for (size_t i = 0; i < to; i++) {
    double centre = ((double)i + 0.5) * scale, low = centre - reach(from, to) + 0.5, sum = 0;
    size_t first = low > 0 ? (size_t)low : 0, end = (size_t)(centre + reach(from, to) + 0.5);
    taps.first[i] = first;
    taps.count[i] = (end < from ? end : from) - first;
    for (size_t k = 0; k < taps.count[i]; k++)
      sum += exact[k] = bicubic(((double)(k + first) - centre + 0.5) * stretch);
    for (size_t k = 0; k < taps.count[i]; k++)
      taps.weights[i * taps.most + k] = fixed(exact[k] / sum);
  }
  return taps;
}

/* ---- Rows ---- */

/* A picture on a larger canvas of one colour. */
typedef struct Canvas {
  Image image;
  size_t width, height, left, top;
  unsigned char *framed; /* a row of colour, the picture's row laid into it */
} Canvas;

static bool is_margin(const Canvas *canvas, size_t y) {
  return y - canvas->top >= canvas->image.height; /* wraps above the picture */
}

/* A row with picture in it. */
static const unsigned char *canvas_row(const Canvas *canvas, size_t y) {
  const unsigned char *row = image_row(canvas->image, y - canvas->top);
  if (canvas->width == canvas->image.width)
    return row;
  memcpy(canvas->framed + 3 * canvas->left, row, 3 * canvas->image.width);
  return canvas->framed;
}

static unsigned char byte_of(int32_t sum) {
  int32_t value = sum >> WEIGHT_BITS; /* downwards, also below zero */
  return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* First pass: one row to `width` pixels. */
static void along_row(const Taps *taps, size_t width, const unsigned char *restrict from, unsigned char *restrict to) {
  for (size_t x = 0; x < width; x++) {
    const unsigned char *pixel = from + 3 * taps->first[x];
    const int32_t *weight = taps->weights + x * taps->most;
    int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r; /* one half, to round */
    for (size_t k = 0; k < taps->count[x]; k++, pixel += 3) {
      r += weight[k] * pixel[0];
      g += weight[k] * pixel[1];
      b += weight[k] * pixel[2];
    }
    to[3 * x] = byte_of(r);
    to[3 * x + 1] = byte_of(g);
    to[3 * x + 2] = byte_of(b);
  }
}

/* Second pass: add a weighted row to the sums. */
static void add_row(size_t count, int32_t weight, const unsigned char *restrict row, int32_t *restrict sums) {
  for (size_t i = 0; i < count; i++)
    sums[i] += weight * row[i];
}

/* ---- Pictures ---- */

typedef struct Resizer {
  Canvas canvas;
  Taps across, down;
  size_t ring_rows, ready;      /* rows of the first pass that are done */
  unsigned char *ring, *margin; /* margin: the first pass of a row of colour alone */
  int32_t *sums;                /* of a row */
  Image result;
} Resizer;

/* Row y of the first pass, in the ring. */
static unsigned char *ring_row(const Resizer *self, size_t y) {
  return self->ring + y % self->ring_rows * self->result.width * 3;
}

static void first_pass(Resizer *self, size_t y) {
  if (is_margin(&self->canvas, y))
    memcpy(ring_row(self, y), self->margin, self->result.width * 3);
  else
    along_row(&self->across, self->result.width, canvas_row(&self->canvas, y), ring_row(self, y));
}

static void make_row(Resizer *self, size_t y) {
  size_t count = self->result.width * 3, first = self->down.first[y], end = first + self->down.count[y];
  for (; self->ready < end; self->ready++)
    first_pass(self, self->ready);
  for (size_t i = 0; i < count; i++)
    self->sums[i] = 1 << (WEIGHT_BITS - 1);
  for (size_t k = first; k < end; k++)
    add_row(count, self->down.weights[y * self->down.most + k - first], ring_row(self, k), self->sums);
  for (size_t i = 0; i < count; i++)
    image_row(self->result, y)[i] = byte_of(self->sums[i]);
}

static size_t ring_rows(size_t from, size_t to) {
  return taps_most(from, to) < from ? taps_most(from, to) : from;
}

static Status make_room(Arena *arena, const Canvas *canvas, size_t width, size_t height) {
  return arena_alloc(arena, taps_size(canvas->width, width) + taps_size(canvas->height, height) +
                                arena_size((ring_rows(canvas->height, height) + 1) * width, 3) +
                                arena_size(width * 3, sizeof(int32_t)) + arena_size(canvas->width, 3));
}

static Resizer carve(Arena *arena, Canvas canvas, const unsigned char colour[3], Image result) {
  Resizer self = {.canvas = canvas, .result = result, .ring_rows = ring_rows(canvas.height, result.height)};
  self.across = taps_make(arena, canvas.width, result.width);
  self.down = taps_make(arena, canvas.height, result.height);
  self.ring = arena_carve(arena, (self.ring_rows + 1) * result.width, 3);
  self.margin = self.ring + self.ring_rows * result.width * 3;
  self.sums = arena_carve(arena, result.width * 3, sizeof(int32_t));
  self.canvas.framed = arena_carve(arena, canvas.width, 3);
  for (size_t i = 0; i < canvas.width * 3; i++)
    self.canvas.framed[i] = colour[i % 3];
  along_row(&self.across, result.width, self.canvas.framed, self.margin);
  return self;
}

static Status resize(Canvas canvas, const unsigned char colour[3], size_t width, size_t height, Image *result) {
  Arena arena;
  TRY(image_new(result, width, height));
  Status status = make_room(&arena, &canvas, width, height);
  if (status.code != STATUS_OK) {
    image_free(result);
    return status;
  }
  Resizer self = carve(&arena, canvas, colour, *result);
  for (size_t y = 0; y < height; y++)
    make_row(&self, y);
  arena_free(&arena);
  return status_ok();
}

static void require_picture(Image source) {
  REQUIRE(source.pixels != NULL && source.width > 0 && source.height > 0 && source.width <= IMAGE_MOST_SIDE &&
              source.height <= IMAGE_MOST_SIDE,
          "no picture to resize (%zu x %zu)", source.width, source.height);
}

Status resize_bicubic(Image source, size_t width, size_t height, Image *result) {
  static const unsigned char unused[3];
  require_picture(source);
  return resize((Canvas){.image = source, .width = source.width, .height = source.height}, unused, width, height,
                result);
}

Status resize_padded(Image source, const unsigned char colour[3], size_t side, Image *result) {
  require_picture(source);
  size_t longer = source.width > source.height ? source.width : source.height;
  Canvas square = {.image = source,
                   .width = longer,
                   .height = longer,
                   .left = (longer - source.width) / 2,
                   .top = (longer - source.height) / 2};
  return resize(square, colour, side, side, result);
}
