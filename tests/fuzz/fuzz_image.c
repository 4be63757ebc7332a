/* fuzz_image.c: any bytes either become a picture whose pixels can all be touched or are refused with a sentence. */
#include <stdint.h>
#include <stdlib.h>

#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Image image;
  unsigned sum = 0;
  Status status = image_decode("fuzz", data, size, 1 << 14, &image);
  if (status.code != STATUS_OK) {
    if (status.message[0] == '\0' || image.pixels != NULL)
      abort();
    return 0;
  }
  for (size_t i = 0; i < image.width * image.height * 3; i++)
    sum += image.pixels[i];
  if (sum > image.width * image.height * 3 * 255)
    abort();
  image_free(&image);
  return 0;
}
