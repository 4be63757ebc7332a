/* test_resize.c: sizes against Pillow (fixtures/pictures/make.py), to the byte. */
#include "resize.h"

#include <signal.h>

#include "pictures.h"

TestSuite(resize);

static const unsigned char colour[3] = {122, 116, 104}; /* of make.py */

Test(resize, every_size_gives_pillows_bytes) {
  size_t n[5], lines = 0; /* width height, new width height, hard */
  uint64_t hash;
  for (FILE *stream = open_lines("resize.txt"); read_line(stream, 5, n, &hash); lines++) {
    Image image = picture(n[0], n[1], n[4] != 0), result;
    Status status = resize_bicubic(image, n[2], n[3], &result);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_expect(result.width == n[2] && result.height == n[3]);
    cr_expect_eq(image_hash(result), hash, "%zu x %zu to %zu x %zu, %zu", n[0], n[1], n[2], n[3], n[4]);
    result.pixels[0] ^= 1; /* the checker sees it */
    cr_expect_neq(image_hash(result), hash);
    image_free(&image);
    image_free(&result);
  }
  cr_expect_eq(lines, 36);
}

Test(resize, padding_to_a_square_needs_no_square) {
  size_t n[3], lines = 0; /* width height, side */
  uint64_t hash;
  for (FILE *stream = open_lines("padded.txt"); read_line(stream, 3, n, &hash); lines++) {
    Image image = picture(n[0], n[1], false), result;
    cr_assert_eq(resize_padded(image, colour, n[2], &result).code, STATUS_OK);
    cr_expect_eq(image_hash(result), hash, "%zu x %zu to %zu", n[0], n[1], n[2]);
    image_free(&image);
    image_free(&result);
  }
  cr_expect_eq(lines, 7);
  Image line = picture(IMAGE_MOST_SIDE, 2, false), result; /* its square has 4 thousand million pixels */
  cr_assert_eq(resize_padded(line, colour, 3, &result).code, STATUS_OK);
  for (size_t i = 0; i < 27; i++)
    cr_expect_eq(result.pixels[i], colour[i % 3]);
  image_free(&line);
  image_free(&result);
}

Test(resize, the_same_size_and_one_colour_stay_as_they_are) {
  Image image = picture(23, 17, false), result;
  cr_assert_eq(resize_bicubic(image, 23, 17, &result).code, STATUS_OK);
  cr_expect_eq(image_hash(result), image_hash(image));
  image_free(&result);
  for (int grey = 0; grey < 256; grey += 51) {
    memset(image.pixels, grey, 23 * 17 * 3);
    cr_assert_eq(resize_bicubic(image, 71, 5, &result).code, STATUS_OK);
    for (size_t i = 0; i < 71 * 5 * 3; i++)
      cr_assert_eq(result.pixels[i], grey, "%zu: %d for %d", i, result.pixels[i], grey);
    image_free(&result);
  }
  image_free(&image);
}

Test(resize, sides_are_independent_of_the_picture_beside_them) {
  Image image = picture(9, 31, false), tall, both; /* every column by itself is a picture of one column */
  cr_assert_eq(resize_bicubic(image, 9, 12, &both).code, STATUS_OK);
  for (size_t x = 0; x < 9; x++) {
    Image column;
    cr_assert_eq(image_new(&column, 1, 31).code, STATUS_OK);
    for (size_t y = 0; y < 31; y++)
      memcpy(image_row(column, y), image_row(image, y) + 3 * x, 3);
    cr_assert_eq(resize_bicubic(column, 1, 12, &tall).code, STATUS_OK);
    for (size_t y = 0; y < 12; y++)
      cr_expect_arr_eq(image_row(tall, y), image_row(both, y) + 3 * x, 3);
    image_free(&column);
    image_free(&tall);
  }
  image_free(&image);
  image_free(&both);
}

Test(resize, results_over_the_limits_and_want_of_memory_are_refused) {
  Image image = picture(3, 3, false), result;
  cr_expect_eq(resize_bicubic(image, IMAGE_MOST_SIDE + 1, 1, &result).code, STATUS_INPUT);
  cr_expect_eq(resize_bicubic(image, 10000, 10000, &result).code, STATUS_INPUT);
  cr_expect_null(result.pixels);
  limit_memory(16 << 20);
  cr_expect_eq(resize_bicubic(image, 9000, 9000, &result).code, STATUS_MEMORY);
  cr_expect_null(result.pixels);
  cr_expect_eq(resize_bicubic(image, IMAGE_MOST_SIDE, 80, &result).code,
               STATUS_MEMORY); /* the weights, not the result */
  cr_expect_null(result.pixels);
  image_free(&image);
}

Test(resize, no_picture_is_a_mistake, .signal = SIGABRT) {
  Image result;
  resize_bicubic((Image){0}, 3, 3, &result);
}

Test(resize, no_size_is_a_mistake, .signal = SIGABRT) {
  Image image = picture(3, 3, false), result;
  resize_bicubic(image, 3, 0, &result);
}
