/* frame.c: from a picture's coordinates to a view's, as slice.c lays them out. */
#include <math.h>

#include "pretrain.h"

static double smaller(double x, double y) {
  return x < y ? x : y;
}

/* By the paper's rule the picture lies in the middle of a square; by the released one it is squashed. */
static ViewFrame global_frame(const ModelConfig *config, double width, double height) {
  double side = (double)config->vision.picture, longer = width > height ? width : height;
  if (!config->switches.slicing_paper)
    return (ViewFrame){.across_scale = side / width, .down_scale = side / height};
  return (ViewFrame){.across_scale = side / longer,
                     .across_shift = floor((longer - width) / 2) * side / longer,
                     .down_scale = side / longer,
                     .down_shift = floor((longer - height) / 2) * side / longer};
}

ViewFrame view_frame(const ModelConfig *config, const Scene *scene, TileGrid grid, size_t view) {
  double side = (double)config->vision.picture, width = (double)scene->width, height = (double)scene->height;
  if (view == 0)
    return global_frame(config, width, height);
  double across = (double)grid.columns * side, down = (double)grid.rows * side;
  double scale = smaller(across / width, down / height);
  double wide = smaller(ceil(width * scale), across), high = smaller(ceil(height * scale), down); /* whole pixels */
  size_t column = (view - 1) % grid.columns, row = (view - 1) / grid.columns;
  return (ViewFrame){.across_scale = wide / width,
                     .across_shift = floor((across - wide) / 2) - (double)column * side,
                     .down_scale = high / height,
                     .down_shift = floor((down - high) / 2) - (double)row * side};
}
