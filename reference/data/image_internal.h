/* image_internal.h: what image.c and the two decoders share. */
#ifndef SEESAW_IMAGE_INTERNAL_H
#define SEESAW_IMAGE_INTERNAL_H

#include "image.h"

/* A file in memory, and what it may become. */
typedef struct Encoded {
  const char *name;
  const unsigned char *bytes;
  size_t size, most_pixels;
} Encoded;

/* image_start: the black picture that a decoder fills; the file's limit is checked before anything is allocated. */
Status image_start(Image *image, const Encoded *file, size_t width, size_t height);

/* The decoders. On failure the caller frees what was started. */
Status image_decode_jpeg(const Encoded *file, Image *image);
Status image_decode_png(const Encoded *file, Image *image);

#endif
