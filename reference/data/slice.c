/* slice.c: choose a grid, lay the picture on it, cut it up. */
#include "slice.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resize.h"

enum { PAPER_MOST = 6, RELEASED_MOST = 6 };

/* ---- The grid ---- */

/* The best grid so far. `used` is whatever grows with the pixels used; between equals the smaller grid wastes less. */
typedef struct Best {
  TileGrid grid;
  uint64_t used, area;
} Best;

static void consider(Best *best, TileGrid grid, uint64_t used) {
  uint64_t area = grid.columns * grid.rows;
  if (best->area == 0 || used > best->used || (used == best->used && area < best->area))
    *best = (Best){grid, used, area};
}

/* With tw x th the grid's size, s W and s H multiply to min(tw H, th W)^2 / (W H), so the pixels used are
 * min(W H, tw H, th W)^2 / (W H): integers decide. */
static TileGrid paper_grid(size_t tile, size_t width, size_t height) {
  Best best = {0};
  for (size_t columns = 1; columns <= PAPER_MOST; columns++)
    for (size_t rows = 1; rows <= PAPER_MOST; rows++) {
      uint64_t used = (uint64_t)width * height, across = (uint64_t)columns * tile * height,
               down = (uint64_t)rows * tile * width;
      used = across < used ? across : used;
      used = down < used ? down : used;
      consider(&best, (TileGrid){columns, rows}, used);
    }
  return best.grid;
}

/* As Python computes it, truncations and all: 336 / 500 * 500 gives 335. */
static uint64_t released_used(TileGrid grid, size_t tile, size_t width, size_t height) {
  double scale = fmin((double)(grid.columns * tile) / (double)width, (double)(grid.rows * tile) / (double)height);
  uint64_t used = (uint64_t)((double)width * scale) * (uint64_t)((double)height * scale);
  uint64_t there = (uint64_t)width * height;
  return used < there ? used : there;
}

static TileGrid released_grid(size_t tile, size_t width, size_t height) {
  uint64_t tiles = ((uint64_t)width * height + tile * tile - 1) / (tile * tile);
  tiles = tiles < 2 ? 2 : tiles > RELEASED_MOST ? RELEASED_MOST : tiles;
  Best best = {0};
  for (size_t n = tiles == 2 ? 2 : tiles - 1; n <= tiles + 1; n++)
    for (size_t columns = 1; columns <= n; columns++)
      if (n % columns == 0) {
        TileGrid grid = {columns, n / columns};
        consider(&best, grid, released_used(grid, tile, width, height));
      }
  return best.grid;
}

TileGrid slice_grid(SliceRule rule, size_t tile, size_t width, size_t height) {
  REQUIRE(tile > 0 && tile <= IMAGE_MOST_SIDE && width > 0 && height > 0 && width <= IMAGE_MOST_SIDE &&
              height <= IMAGE_MOST_SIDE,
          "a picture of %zu x %zu in tiles of %zu", width, height, tile);
  return rule == SLICE_PAPER ? paper_grid(tile, width, height) : released_grid(tile, width, height);
}

/* ---- The views ---- */

static size_t at_most(double size, size_t most) {
  return size < (double)most ? (size_t)size : most;
}

/* The picture in the middle of the black grid. */
static Status lay_out(Image image, size_t width, size_t height, Image *canvas) {
  double across = (double)width / (double)image.width, down = (double)height / (double)image.height;
  Image resized = {0};
  TRY(image_new(canvas, width, height));
  Status status = across < down
                      ? resize_bicubic(image, width, at_most(ceil((double)image.height * across), height), &resized)
                      : resize_bicubic(image, at_most(ceil((double)image.width * down), width), height, &resized);
  if (status.code != STATUS_OK) {
    image_free(canvas);
    return status;
  }
  size_t left = (width - resized.width) / 2, top = (height - resized.height) / 2;
  for (size_t y = 0; y < resized.height; y++)
    memcpy(image_row(*canvas, top + y) + 3 * left, image_row(resized, y), resized.width * 3);
  image_free(&resized);
  return status_ok();
}

/* Each row of the canvas is a row of as many tiles as there are columns. */
static void cut_tiles(Image canvas, Slices *slices) {
  size_t tile = slices->tile;
  for (size_t y = 0; y < canvas.height; y++)
    for (size_t column = 0; column < slices->grid.columns; column++) {
      Image view = slices_view(slices, 1 + y / tile * slices->grid.columns + column);
      memcpy(image_row(view, y % tile), image_row(canvas, y) + 3 * tile * column, 3 * tile);
    }
}

static Status gather(Image whole, Image canvas, Slices *slices) {
  slices->pixels = malloc(slices->count * slices->tile * slices->tile * 3);
  if (slices->pixels == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for %zu views of %zu x %zu pixels", slices->count,
                        slices->tile, slices->tile);
  memcpy(slices->pixels, whole.pixels, slices->tile * slices->tile * 3);
  cut_tiles(canvas, slices);
  return status_ok();
}

static Status global_view(const Slicing *slicing, Image image, Image *view) {
  return slicing->rule == SLICE_PAPER ? resize_padded(image, slicing->background, slicing->tile, view)
                                      : resize_bicubic(image, slicing->tile, slicing->tile, view);
}

Status slice_image(const Slicing *slicing, Image image, Slices *slices) {
  size_t tile = slicing->tile;
  TileGrid grid = slice_grid(slicing->rule, tile, image.width, image.height);
  Image whole = {0}, canvas = {0};
  *slices = (Slices){.grid = grid, .count = 1 + grid.columns * grid.rows, .tile = tile};
  Status status = global_view(slicing, image, &whole);
  if (status.code == STATUS_OK)
    status = lay_out(image, grid.columns * tile, grid.rows * tile, &canvas);
  if (status.code == STATUS_OK)
    status = gather(whole, canvas, slices);
  image_free(&whole);
  image_free(&canvas);
  return status;
}

Image slices_view(const Slices *slices, size_t index) {
  size_t tile = slices->tile;
  REQUIRE(index < slices->count, "view %zu of %zu", index, slices->count);
  return (Image){.pixels = slices->pixels + index * tile * tile * 3, .width = tile, .height = tile};
}

void slices_free(Slices *slices) {
  free(slices->pixels);
  *slices = (Slices){0};
}
