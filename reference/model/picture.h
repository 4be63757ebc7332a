/* picture.h: a picture as the views that a model takes. */
#ifndef SEESAW_PICTURE_H
#define SEESAW_PICTURE_H

#include "config.h"
#include "ops.h"
#include "slice.h"

/* picture_slicing: how this model cuts pictures: the released or the paper's rule, views as its CLIP takes them. */
Slicing picture_slicing(const ModelConfig *config);

/* picture_views: views [first, first + count) as CLIP takes them, (count, 3, S, S) of the backend's reals, to `to` in
 * the backend's memory. Errors: STATUS_MEMORY. */
Status picture_views(const Ops *ops, const Slices *slices, size_t first, size_t count, void *to);

#endif
