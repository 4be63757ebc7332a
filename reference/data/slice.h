/* slice.h: a picture as one global view and a grid of local tiles.
 *
 * Two rules choose the grid of square tiles, both among grids of columns x rows for a picture of W x H. With
 * s = min(columns tile / W, rows tile / H), the most pixels used wins, then the fewest wasted (grid - used), then the
 * first in order.
 * - paper (Section 2.1): all grids from 1 x 1 to 6 x 6, columns slowest; used = min(WH, (sW)(sH)), real numbers,
 *   compared exactly. The global view is the picture padded to a square in `background` (the paper names no colour;
 *   LLaVA's is clip_mean_colour), then resized.
 * - released (select_best_resolution_uhd): N = ceil(WH / tile^2), at least 2 and at most 6; grids of N - 1, N and N + 1
 *   tiles (N = 2: 2 and 3), in this order, columns ascending; used = min(WH, int(Ws) int(Hs)) in double, as Python
 *   computes it. The global view is the picture squashed to a square.
 *
 * By both the picture is resized by s, its sides rounded up, and lies in the middle of the black grid, the odd pixel to
 * the right or below. This is the released way; the paper does not say how. */
#ifndef SEESAW_SLICE_H
#define SEESAW_SLICE_H

#include "image.h"

typedef enum { SLICE_PAPER, SLICE_RELEASED } SliceRule;

typedef struct Slicing {
  SliceRule rule;
  size_t tile;                 /* side of a tile and of the global view, pixels: 336 for CLIP ViT-L/14-336 */
  unsigned char background[3]; /* around the global view by the paper's rule */
} Slicing;

typedef struct TileGrid {
  size_t columns, rows;
} TileGrid;

/* slice_grid: the rule alone. */
TileGrid slice_grid(SliceRule rule, size_t tile, size_t width, size_t height);

typedef struct Slices {
  TileGrid grid;
  size_t count, tile;    /* count: 1 + columns x rows views of tile x tile pixels */
  unsigned char *pixels; /* count x tile x tile x 3: the global view, then the tiles row by row of the grid */
} Slices;

/* slice_image: the caller frees with slices_free. Errors: STATUS_INPUT (the grid is over the limits of image.h),
 * STATUS_MEMORY. */
Status slice_image(const Slicing *slicing, Image image, Slices *slices);

/* slices_view: view 0 is the global one. It does not own its pixels. */
Image slices_view(const Slices *slices, size_t index);

void slices_free(Slices *slices);

#endif
