/* test_preprocess.c: CLIP's numbers against transformers' CLIPImageProcessor (fixtures/pictures/make.py), to the bit.
 */
#include "preprocess.h"

#include <math.h>
#include <signal.h>

#include "npy.h"
#include "pictures.h"

TestSuite(preprocess);

/* All bytes in all colours, 16 x 16. */
static Image ramp(void) {
  Image image;
  cr_assert_eq(image_new(&image, 16, 16).code, STATUS_OK);
  for (size_t i = 0; i < 768; i++)
    image.pixels[i] = (unsigned char)(i / 3);
  return image;
}

static void expect_numbers(const char *name, Dtype dtype) {
  NpyArray expected;
  double storage[768];
  Image image = ramp();
  Tensor y = tensor_make(storage, dtype, 3, (size_t[]){3, 16, 16});
  memset(storage, 0xff, sizeof storage); /* NaN: what is not written fails */
  clip_normalize(image, y);
  cr_assert_eq(npy_read(fixture(name), &expected).code, STATUS_OK);
  cr_assert_eq(expected.count, 768);
  for (size_t i = 0; i < 768; i++)
    cr_expect_eq(tensor_get(y, i), expected.data[i], "%s %zu: %.17g, not %.17g", name, i, tensor_get(y, i),
                 expected.data[i]);
  npy_free(&expected);
  image_free(&image);
}

Test(preprocess, every_byte_in_every_colour_is_exact) {
  expect_numbers("normalize_f4.npy", DTYPE_F32);
  expect_numbers("normalize_f8.npy", DTYPE_F64);
}

Test(preprocess, single_and_double_agree_to_single) {
  Image image = picture(5, 3, false);
  float single[45];
  double twice[45];
  clip_normalize(image, tensor_make(single, DTYPE_F32, 3, (size_t[]){3, 3, 5}));
  clip_normalize(image, tensor_make(twice, DTYPE_F64, 3, (size_t[]){3, 3, 5}));
  for (size_t i = 0; i < 45; i++) /* three roundings of numbers up to 1, divided by more than 1/4 */
    cr_expect(fabs(single[i] - twice[i]) <= 4 * 3 * 0x1p-24, "%zu: %g", i, single[i] - twice[i]);
  image_free(&image);
}

Test(preprocess, two_bytes_are_single_rounded) {
  Image image = picture(5, 3, false);
  float single[45];
  uint16_t narrow[45];
  clip_normalize(image, tensor_make(single, DTYPE_F32, 3, (size_t[]){3, 3, 5}));
  clip_normalize(image, tensor_make(narrow, DTYPE_BF16, 3, (size_t[]){3, 3, 5}));
  for (size_t i = 0; i < 45; i++)
    cr_expect_eq(narrow[i], bf16_from_float(single[i]), "%zu", i);
  image_free(&image);
}

Test(preprocess, clips_own_crop_is_exact) {
  size_t n[3], lines = 0; /* width height, side */
  uint64_t hash;
  for (FILE *stream = open_lines("crops.txt"); read_line(stream, 3, n, &hash); lines++) {
    Image image = picture(n[0], n[1], false), view;
    cr_assert_eq(clip_crop(image, n[2], &view).code, STATUS_OK);
    float *y = malloc(3 * n[2] * n[2] * sizeof *y);
    cr_assert_not_null(y);
    clip_normalize(view, tensor_make(y, DTYPE_F32, 3, (size_t[]){3, n[2], n[2]}));
    cr_expect_eq(fnv(y, 3 * n[2] * n[2] * sizeof *y), hash, "%zu x %zu to %zu", n[0], n[1], n[2]);
    free(y);
    image_free(&image);
    image_free(&view);
  }
  cr_expect_eq(lines, 8);
}

Test(preprocess, a_picture_too_long_to_crop_is_refused) {
  Image image = picture(1000, 1, false), view;
  cr_expect_eq(clip_crop(image, 336, &view).code, STATUS_INPUT);
  cr_expect_null(view.pixels);
  image_free(&image);
}

Test(preprocess, another_shape_is_a_mistake, .signal = SIGABRT) {
  float y[45];
  Image image = picture(5, 3, false);
  clip_normalize(image, tensor_make(y, DTYPE_F32, 3, (size_t[]){3, 5, 3}));
}

Test(preprocess, another_type_is_a_mistake, .signal = SIGABRT) {
  uint16_t y[45];
  Image image = picture(5, 3, false);
  clip_normalize(image, tensor_make(y, DTYPE_F16, 3, (size_t[]){3, 3, 5}));
}
