/* pictures.h: what tests of pictures share with fixtures/pictures/make.py: made-up pictures, hashes, lines of numbers.
 */
#ifndef SEESAW_PICTURES_H
#define SEESAW_PICTURES_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"
#include "scratch.h"

/* FNV-1a, 64 bits. */
static inline uint64_t fnv(const void *bytes, size_t size) {
  uint64_t value = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; i++)
    value = (value ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
  return value;
}

static inline uint64_t image_hash(Image image) {
  return fnv(image.pixels, image.width * image.height * 3);
}

/* make.py's pixels(): waves and noise; or 0 and 255 only. */
static inline Image picture(size_t width, size_t height, bool hard) {
  Image image;
  cr_assert_eq(image_new(&image, width, height).code, STATUS_OK);
  for (uint32_t i = 0; i < width * height * 3; i++) {
    uint32_t noise = (i * 2654435761u) >> 15;
    noise = ((noise ^ (i >> 3)) * 2246822519u) >> 24;
    size_t x = i / 3 % width, y = i / (3 * width);
    image.pixels[i] = (unsigned char)(hard ? (noise & 1) * 255 : noise / 3 + 7 * x + 5 * y);
  }
  return image;
}

static inline const char *fixture(const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/pictures/%s", SEESAW_FIXTURES, name);
  return path;
}

static inline FILE *open_lines(const char *name) {
  FILE *stream = fopen(fixture(name), "r");
  cr_assert_not_null(stream, "%s", name);
  return stream;
}

/* The next `count` numbers of a line; false at the end. `hash`, if wanted, is the word after them. */
static inline bool read_line(FILE *stream, size_t count, size_t *numbers, uint64_t *hash) {
  for (size_t i = 0; i < count; i++)
    if (fscanf(stream, "%zu", &numbers[i]) != 1) {
      cr_assert(i == 0 && feof(stream), "a line of %zu numbers is cut off", count);
      return false;
    }
  unsigned long long word;
  if (hash != NULL) {
    cr_assert_eq(fscanf(stream, "%llx", &word), 1);
    *hash = word;
  }
  return true;
}

#endif
