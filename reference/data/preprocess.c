/* preprocess.c: CLIP's crop and CLIP's scale. A byte has 256 values, so the arithmetic is done once for each. */
#include "preprocess.h"

#include <string.h>

#include "resize.h"

static const double MEAN[3] = {0.48145466, 0.4578275, 0.40821073}, STD[3] = {0.26862954, 0.26130258, 0.27577711};

const unsigned char clip_mean_colour[3] = {122, 116, 104};

/* What each byte of colour c becomes, rounded as in NumPy. */
static void table_float(size_t c, float value[256]) {
  for (int byte = 0; byte < 256; byte++)
    value[byte] = ((float)(byte * (1.0 / 255)) - (float)MEAN[c]) / (float)STD[c];
}

static void plane_float(Image image, size_t c, float *restrict y) {
  float value[256];
  table_float(c, value);
  for (size_t i = 0; i < image.width * image.height; i++)
    y[i] = value[image.pixels[3 * i + c]];
}

static void plane_bf16(Image image, size_t c, uint16_t *restrict y) {
  float value[256];
  uint16_t rounded[256];
  table_float(c, value);
  for (int byte = 0; byte < 256; byte++)
    rounded[byte] = bf16_from_float(value[byte]);
  for (size_t i = 0; i < image.width * image.height; i++)
    y[i] = rounded[image.pixels[3 * i + c]];
}

static void plane_double(Image image, size_t c, double *restrict y) {
  double value[256];
  for (int byte = 0; byte < 256; byte++)
    value[byte] = (byte * (1.0 / 255) - MEAN[c]) / STD[c];
  for (size_t i = 0; i < image.width * image.height; i++)
    y[i] = value[image.pixels[3 * i + c]];
}

void clip_normalize(Image image, Tensor y) {
  char text[64];
  size_t pixels = image.width * image.height;
  bool real = y.dtype == DTYPE_F32 || y.dtype == DTYPE_F64 || y.dtype == DTYPE_BF16;
  REQUIRE(y.rank == 3 && y.size[0] == 3 && y.size[1] == image.height && y.size[2] == image.width &&
              tensor_contiguous(y) && real,
          "a picture of height %zu and width %zu into %s", image.height, image.width, tensor_print(y, text));
  for (size_t c = 0; c < 3; c++)
    if (y.dtype == DTYPE_F32)
      plane_float(image, c, (float *)y.data + c * pixels);
    else if (y.dtype == DTYPE_BF16)
      plane_bf16(image, c, (uint16_t *)y.data + c * pixels);
    else
      plane_double(image, c, (double *)y.data + c * pixels);
}

static void cut(Image from, size_t left, size_t top, Image to) {
  for (size_t y = 0; y < to.height; y++)
    memcpy(image_row(to, y), image_row(from, top + y) + 3 * left, to.width * 3);
}

Status clip_crop(Image image, size_t side, Image *view) {
  REQUIRE(image.width > 0 && image.height > 0 && side > 0, "a picture of %zu x %zu to %zu", image.width, image.height,
          side);
  bool upright = image.width <= image.height;
  size_t shorter = upright ? image.width : image.height, longer = upright ? image.height : image.width;
  size_t length = side * longer / shorter; /* Python divides in double first, which cannot cross an integer here */
  Image whole;
  *view = (Image){0};
  TRY(resize_bicubic(image, upright ? side : length, upright ? length : side, &whole));
  Status status = image_new(view, side, side);
  if (status.code == STATUS_OK)
    cut(whole, (whole.width - side) / 2, (whole.height - side) / 2, *view);
  image_free(&whole);
  return status;
}
