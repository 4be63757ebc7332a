/* preprocess.h: from a picture to the numbers CLIP takes.
 *
 * Source: transformers' CLIPImageProcessor in NumPy (CLIPImageProcessorPil since version 5), which the released model
 * used. */
#ifndef SEESAW_PREPROCESS_H
#define SEESAW_PREPROCESS_H

#include "image.h"
#include "tensor.h"

/* CLIP's mean colour as bytes, rounded down: what LLaVA pads with. */
extern const unsigned char clip_mean_colour[3];

/* clip_normalize: y[c, i, j] = (x[i, j, c] / 255 - mean[c]) / std[c], colours first, in the order R, G, B.
 * Shapes: image (H, W), y (3, H, W) contiguous, F32, F64 or BF16; anything else is the caller's mistake.
 * F32 is rounded where NumPy rounds: after the product with 1/255 (itself in double), the difference and the quotient;
 * it is equal to the last bit. F64 is the same in double, BF16 is F32 rounded. The torchvision processor of
 * transformers folds 1/255 into mean and std instead and differs by up to 2.4e-7. */
void clip_normalize(Image image, Tensor y);

/* clip_crop: the shorter side resized to `side`, the longer in proportion (rounded down), then side x side from the
 * middle: CLIP's own way with a picture that is not square. The caller frees *view. Errors: STATUS_INPUT (the resized
 * picture, before it is cut, is over the limits of image.h), STATUS_MEMORY. */
Status clip_crop(Image image, size_t side, Image *view);

#endif
