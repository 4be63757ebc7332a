/* picture.c: slicing by the model's switch, and views normalised one by one on the host. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

#include "preprocess.h"

Slicing picture_slicing(const ModelConfig *config) {
  Slicing slicing = {.rule = config->switches.slicing_paper ? SLICE_PAPER : SLICE_RELEASED,
                     .tile = config->vision.picture};
  memcpy(slicing.background, clip_mean_colour, sizeof slicing.background);
  return slicing;
}

Status picture_views(const Ops *ops, const Slices *slices, size_t first, size_t count, void *to) {
  size_t side = slices->tile, bytes = 3 * side * side * dtype_bits(ops->real) / 8;
  unsigned char *host = malloc(bytes);
  if (!host)
    return status_error(STATUS_MEMORY, "not enough memory for a view of %zu x %zu pixels", side, side);
  for (size_t i = 0; i < count; i++) {
    clip_normalize(slices_view(slices, first + i), tensor_make(host, ops->real, 3, (const size_t[]){3, side, side}));
    ops_write(ops, (unsigned char *)to + i * bytes, host, bytes);
  }
  free(host);
  return status_ok();
}
