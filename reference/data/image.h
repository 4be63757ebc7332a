/* image.h: pictures as RGB bytes: JPEG and PNG in, PNG out.
 *
 * A picture comes out as Pillow's Image.open(path).convert("RGB") gives it, pixel by pixel:
 * - JPEG: 8 bits, 1, 3 or 4 components, baseline, progressive, Huffman or arithmetic; the accurate integer inverse DCT
 *   and smooth ("fancy") upsampling, the defaults of libjpeg-turbo, where 2.1.5 to 3.2 agree in every pixel. Four
 *   components are taken as Adobe writes them, inverted, and become RGB by (255 - K) (255 - C) / 255, rounded.
 * - PNG: every colour type, depth and interlace. Alpha and tRNS are dropped, not blended; gamma, profiles and text are
 *   skipped; of 16-bit samples the high byte is kept, but 16-bit grey without alpha is cut off at 255. A palette index
 *   past the palette is black.
 * - EXIF orientation is not applied.
 *
 * Stricter than Pillow: a file must be whole. Pillow also takes files without their end marker, grey where the data of
 * a JPEG broke off, and PNG chunks with a wrong checksum; here these are errors. What costs no pixel is let pass. */
#ifndef SEESAW_IMAGE_H
#define SEESAW_IMAGE_H

#include <stddef.h>

#include "status.h"

enum {
  IMAGE_MOST_SIDE = 65535,      /* pixels; JPEG's own limit */
  IMAGE_MOST_PIXELS = 89478485, /* where Pillow starts to warn of decompression bombs */
  IMAGE_MOST_BYTES = 1 << 30    /* of a file */
};

typedef struct Image {
  unsigned char *pixels; /* height x width x 3, row by row; the owner frees with image_free */
  size_t width, height;
} Image;

/* image_new: a black picture. Errors: STATUS_INPUT when a side or the number of pixels is over the limits,
 * STATUS_MEMORY.
 */
Status image_new(Image *image, size_t width, size_t height);

/* image_read: a JPEG or PNG file, told apart by its first bytes. Errors: STATUS_INPUT naming the file and what is wrong
 * (missing, neither format, truncated, damaged, over the limits, a kind of JPEG that is not read), STATUS_MEMORY. */
Status image_read(const char *path, Image *image);

/* image_decode: the same from memory, with a limit on pixels of the caller's, at most IMAGE_MOST_PIXELS; `name` is used
 * in messages. */
Status image_decode(const char *name, const unsigned char *bytes, size_t size, size_t most_pixels, Image *image);

/* image_write_png: 8-bit RGB, whole or not at all. Errors: STATUS_OUTPUT, STATUS_MEMORY. */
Status image_write_png(const char *path, Image image);

void image_free(Image *image);

/* image_row: where row y starts. */
static inline unsigned char *image_row(Image image, size_t y) {
  return image.pixels + y * image.width * 3;
}

#endif
