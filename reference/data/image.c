/* image.c: pictures in memory, and which decoder a file needs. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "image_internal.h"

static bool within(size_t width, size_t height, size_t most_pixels) {
  return width <= IMAGE_MOST_SIDE && height <= IMAGE_MOST_SIDE && width * height <= most_pixels;
}

static Status allocate(Image *image, size_t width, size_t height) {
  *image = (Image){.pixels = calloc(width * height, 3), .width = width, .height = height};
  if (image->pixels == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for a picture of %zu x %zu pixels", width, height);
  return status_ok();
}

Status image_new(Image *image, size_t width, size_t height) {
  REQUIRE(width > 0 && height > 0, "a picture of %zu x %zu pixels", width, height);
  *image = (Image){0};
  if (!within(width, height, IMAGE_MOST_PIXELS))
    return status_error(STATUS_INPUT,
                        "a picture of %zu x %zu pixels is too large: at most %d a side and %d in all are handled",
                        width, height, IMAGE_MOST_SIDE, IMAGE_MOST_PIXELS);
  return allocate(image, width, height);
}

Status image_start(Image *image, const Encoded *file, size_t width, size_t height) {
  if (!within(width, height, file->most_pixels))
    return status_error(STATUS_INPUT, "%s has %zu x %zu pixels: at most %d a side and %zu in all are read", file->name,
                        width, height, IMAGE_MOST_SIDE, file->most_pixels);
  return allocate(image, width, height);
}

Status image_decode(const char *name, const unsigned char *bytes, size_t size, size_t most_pixels, Image *image) {
  static const unsigned char jpeg[] = {0xff, 0xd8, 0xff}, png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const Encoded file = {name, bytes, size, most_pixels};
  Status status;
  REQUIRE(most_pixels <= IMAGE_MOST_PIXELS, "a limit of %zu pixels, over %d", most_pixels, IMAGE_MOST_PIXELS);
  *image = (Image){0};
  if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
    status = image_decode_jpeg(&file, image);
  else if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
    status = image_decode_png(&file, image);
  else
    status =
        status_error(STATUS_INPUT, "%s is neither a JPEG nor a PNG file: its first bytes are of another kind", name);
  if (status.code != STATUS_OK)
    image_free(image);
  return status;
}

Status image_read(const char *path, Image *image) {
  unsigned char *bytes;
  size_t size;
  *image = (Image){0};
  TRY(file_read(path, IMAGE_MOST_BYTES, &bytes, &size));
  Status status = image_decode(path, bytes, size, IMAGE_MOST_PIXELS, image);
  free(bytes);
  return status;
}

void image_free(Image *image) {
  free(image->pixels);
  *image = (Image){0};
}
