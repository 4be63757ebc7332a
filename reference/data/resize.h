/* resize.h: pictures to another size, to the byte as Pillow's Image.resize of an RGB picture does by default.
 *
 * Antialiased bicubic (Keys, "Cubic convolution interpolation", 1981, with a = -1/2), the filter stretched by the scale
 * when it shrinks. First along rows, then along columns; weights are fixed-point numbers of 22 bits that sum to about
 * 1, and the rows are rounded to bytes before the columns are done: part of the definition, since models were trained
 * on it. Checked against Pillow 9.5, 10.4, 12.0 and 12.1 on x86-64. From 12.2 on Pillow goes along columns first when
 * the height shrinks much more than the width (12.2: tall pictures only), which moves bytes by up to a few dozen.
 *
 * Pillow resizes palette pictures by NEAREST instead; ours are RGB from the start, as by convert("RGB"), so there is
 * only this one way. */
#ifndef SEESAW_RESIZE_H
#define SEESAW_RESIZE_H

#include "image.h"

/* resize_bicubic: the whole of `source` as a new picture of width x height, which the caller frees.
 * Errors: STATUS_INPUT (the result is over the limits of image.h), STATUS_MEMORY. */
Status resize_bicubic(Image source, size_t width, size_t height, Image *result);

/* resize_padded: `source` in the middle of a square of its longer side (the odd pixel to the right or below), the rest
 * of it in `colour`, as a new picture of side x side. The square itself takes no memory. Errors: as above. Source:
 * expand2square of LLaVA's mm_utils.py, then CLIP's resize. */
Status resize_padded(Image source, const unsigned char colour[3], size_t side, Image *result);

#endif
