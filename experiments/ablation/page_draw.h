/* page_draw.h: a scene's picture as people look at it: enlarged, with the borders of its tiles, the cells of dropped
 * local tokens darkened. */
#ifndef SEESAW_PAGE_DRAW_H
#define SEESAW_PAGE_DRAW_H

#include "pretrain.h"

enum { PAGE_ENLARGED = 4 }; /* pixels across for one of the picture */

/* page_enlarge: every pixel as a square of factor x factor; the caller frees. Errors: those of image_new. */
Status page_enlarge(Image source, size_t factor, Image *result);

/* Where the tiles of a picture that is enlarged so many times lie: as view_frame has it. */
typedef struct PageTiles {
  const ModelConfig *config;
  const Scene *scene;
  TileGrid grid;
  size_t factor;
} PageTiles;

/* page_draw_tiles: white lines, two pixels wide with the border between them, where a tile's border crosses the
 * picture. */
void page_draw_tiles(Image enlarged, const PageTiles *tiles);

/* page_darken: the cells of local tokens that are not among keeps (tile by tile, side x side cells each, row by row).
 */
void page_darken(Image enlarged, const PageTiles *tiles, size_t side, const bool *keeps);

#endif
