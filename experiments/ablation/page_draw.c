/* page_draw.c: pictures by whole pixels. */
#include "page_draw.h"

#include <math.h>
#include <string.h>

Status page_enlarge(Image source, size_t factor, Image *result) {
  TRY(image_new(result, source.width * factor, source.height * factor));
  for (size_t y = 0; y < result->height; y++)
    for (size_t x = 0; x < result->width; x++)
      memcpy(image_row(*result, y) + 3 * x, image_row(source, y / factor) + 3 * (x / factor), 3);
  return status_ok();
}

/* From a coordinate of view `view` to the enlarged picture's pixels. */
static long across(const PageTiles *tiles, size_t view, double x) {
  ViewFrame frame = view_frame(tiles->config, tiles->scene, tiles->grid, view);
  return lround((double)tiles->factor * (x - frame.across_shift) / frame.across_scale);
}

static long down(const PageTiles *tiles, size_t view, double y) {
  ViewFrame frame = view_frame(tiles->config, tiles->scene, tiles->grid, view);
  return lround((double)tiles->factor * (y - frame.down_shift) / frame.down_scale);
}

/* Pixels [left, right) x [top, bottom), where they are in the picture, times `factor` plus `light`. */
static void tint(Image image, long left, long right, long top, long bottom, double factor, double light) {
  long width = (long)image.width, height = (long)image.height;
  for (long y = top > 0 ? top : 0; y < (bottom < height ? bottom : height); y++)
    for (long x = left > 0 ? left : 0; x < (right < width ? right : width); x++) {
      unsigned char *at = image_row(image, (size_t)y) + 3 * x;
      for (int c = 0; c < 3; c++)
        at[c] = (unsigned char)lround(at[c] * factor + light);
    }
}

void page_draw_tiles(Image enlarged, const PageTiles *tiles) {
  double side = (double)tiles->config->vision.picture;
  for (size_t view = 1; view <= tiles->grid.columns * tiles->grid.rows; view++) {
    long left = across(tiles, view, 0), right = across(tiles, view, side);
    long top = down(tiles, view, 0), bottom = down(tiles, view, side);
    tint(enlarged, left - 1, left + 1, top, bottom, 0, 255);
    tint(enlarged, right - 1, right + 1, top, bottom, 0, 255);
    tint(enlarged, left, right, top - 1, top + 1, 0, 255);
    tint(enlarged, left, right, bottom - 1, bottom + 1, 0, 255);
  }
}

void page_darken(Image enlarged, const PageTiles *tiles, size_t side, const bool *keeps) {
  double cell = (double)tiles->config->vision.picture / (double)side;
  for (size_t i = 0; i < tiles->grid.columns * tiles->grid.rows * side * side; i++) {
    size_t view = 1 + i / (side * side), row = i / side % side, column = i % side;
    if (!keeps[i])
      tint(enlarged, across(tiles, view, cell * (double)column), across(tiles, view, cell * (double)(column + 1)),
           down(tiles, view, cell * (double)row), down(tiles, view, cell * (double)(row + 1)), 0.25, 0);
  }
}
