/* test_image.c: pictures that Pillow wrote or read (fixtures/pictures/make.py), damaged ones, and our own read back. */
#include "image.h"

#include <signal.h>
#include <stdint.h>

#include "files.h"
#include "npy.h"
#include "pictures.h"

TestSuite(image, .init = scratch_make, .fini = scratch_remove);

/* How many bytes differ from the array; SIZE_MAX when the sizes do. */
static size_t count_wrong(Image image, const NpyArray *expected) {
  size_t wrong = 0;
  if (expected->rank != 3 || expected->shape[0] != image.height || expected->shape[1] != image.width ||
      expected->shape[2] != 3)
    return SIZE_MAX;
  for (size_t i = 0; i < expected->count; i++)
    wrong += image.pixels[i] != expected->data[i];
  return wrong;
}

static void expect_pixels(const char *name) {
  char pixels[64];
  Image image;
  NpyArray expected;
  Status status = image_read(fixture(name), &image);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
  snprintf(pixels, sizeof pixels, "%.*s.npy", (int)(strlen(name) - 4), name);
  status = npy_read(fixture(pixels), &expected);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
  cr_expect_eq(count_wrong(image, &expected), 0, "%s: %zu bytes differ", name, count_wrong(image, &expected));
  npy_free(&expected);
  image_free(&image);
}

Test(image, jpegs_of_every_kind_are_read_as_pillow_does) {
  static const char *const names[] = {"baseline_410",
                                      "baseline_411",
                                      "baseline_420",
                                      "baseline_422",
                                      "baseline_440",
                                      "baseline_444",
                                      "cmyk",
                                      "cmyk_420",
                                      "cmyk_no_adobe",
                                      "cmyk_progressive",
                                      "exif",
                                      "extra_bytes",
                                      "grey",
                                      "grey_progressive",
                                      "pixel",
                                      "progressive_420",
                                      "progressive_444",
                                      "restarts",
                                      "rgb",
                                      "rough",
                                      "ycck"};
  char name[64];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(name, sizeof name, "%s.jpg", names[i]);
    expect_pixels(name);
  }
}

Test(image, pngs_of_every_kind_are_read_as_pillow_does) {
  static const char *const names[] = {"grey_1",    "grey_2",       "grey_4",        "grey_8",    "grey_16",
                                      "rgb_8",     "rgb_16",       "palette_1",     "palette_2", "palette_4",
                                      "palette_8", "grey_alpha_8", "grey_alpha_16", "rgba_8",    "rgba_16"};
  char name[64];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(name, sizeof name, "%s.png", names[i]);
    expect_pixels(name);
    snprintf(name, sizeof name, "%s_interlaced.png", names[i]);
    expect_pixels(name);
  }
}

Test(image, transparency_gamma_and_the_like_change_no_pixel) {
  static const char *const names[] = {"palette_short", "palette_alpha", "palette_clear",     "rgb_clear",
                                      "rgb_16_clear",  "grey_clear",    "grey_2_clear",      "grey_16_clear",
                                      "extras",        "one",           "narrow_interlaced", "filtered"};
  char name[64];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(name, sizeof name, "%s.png", names[i]);
    expect_pixels(name);
  }
}

Test(image, the_checker_sees_one_wrong_byte) {
  Image image;
  NpyArray expected;
  cr_assert_eq(image_read(fixture("filtered.png"), &image).code, STATUS_OK);
  cr_assert_eq(npy_read(fixture("filtered.npy"), &expected).code, STATUS_OK);
  image.pixels[image.width * image.height * 3 - 1] ^= 1;
  cr_expect_eq(count_wrong(image, &expected), 1);
  image.height--;
  cr_expect_eq(count_wrong(image, &expected), SIZE_MAX);
  npy_free(&expected);
  image_free(&image);
}

static void expect_refused(const char *name, const char *part) {
  Image image;
  Status status = image_read(fixture(name), &image);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", name);
  expect_contains(status.message, name);
  expect_contains(status.message, part);
  cr_expect_null(image.pixels);
}

Test(image, damaged_files_are_refused) {
  expect_refused("bad_truncated.jpg", "Premature end");
  expect_refused("bad_no_end.jpg", "Premature end");
  expect_refused("bad_header.jpg", "Premature end");
  expect_refused("bad_progressive.jpg", "Premature end");
  expect_refused("bad_12_bits.jpg", "precision 12");
  expect_refused("bad_two.jpg", "it has 2 components; 1, 3 or 4 are read");
  expect_refused("bad_truncated.png", "truncated");
  expect_refused("bad_no_end.png", "truncated");
  expect_refused("bad_header.png", "truncated");
  expect_refused("bad_checksum.png", "incorrect data check");
  expect_refused("bad_depth.png", "Invalid IHDR");
  expect_refused("bad_no_palette.png", "Missing PLTE");
  expect_refused("bad_short.png", "Not enough image data");
  expect_refused("bad_wide.png", "70000 x 1 pixels: at most 65535 a side and 89478485 in all");
}

Test(image, what_is_no_picture_is_refused) {
  Image image;
  expect_refused("make.py", "neither a JPEG nor a PNG");
  expect_refused("missing.jpg", "No such file");
  expect_refused("", "folder");
  cr_expect_eq(image_read(scratch_text("empty.png", ""), &image).code, STATUS_INPUT);
  cr_expect_eq(image_read(scratch_text("short.png", "\x89PNG"), &image).code, STATUS_INPUT);
  cr_expect_eq(image_decode("two", (const unsigned char *)"\xff\xd8", 2, 9, &image).code, STATUS_INPUT);
}

/* A fixture in memory that ends where its allocation does. */
static unsigned char *load(const char *name, size_t *size) {
  unsigned char *bytes;
  cr_assert_eq(file_read(fixture(name), 1 << 20, &bytes, size).code, STATUS_OK);
  unsigned char *exact = malloc(*size);
  cr_assert_not_null(exact);
  memcpy(exact, bytes, *size);
  free(bytes);
  return exact;
}

static StatusCode decode_part(const unsigned char *bytes, size_t size) {
  Image image;
  unsigned char *part = malloc(size > 0 ? size : 1);
  cr_assert_not_null(part);
  memcpy(part, bytes, size);
  Status status = image_decode("part", part, size, IMAGE_MOST_PIXELS, &image);
  cr_expect_eq(image.pixels == NULL, status.code != STATUS_OK);
  image_free(&image);
  free(part);
  return status.code;
}

Test(image, every_beginning_of_a_file_is_refused) {
  static const char *const names[] = {"baseline_420.jpg", "grey_progressive.jpg", "cmyk.jpg",
                                      "palette_4_interlaced.png", "rgb_8.png"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    size_t size;
    unsigned char *bytes = load(names[i], &size);
    for (size_t part = 0; part < size; part++)
      cr_expect_eq(decode_part(bytes, part), STATUS_INPUT, "%s: %zu of %zu bytes", names[i], part, size);
    cr_expect_eq(decode_part(bytes, size), STATUS_OK);
    free(bytes);
  }
}

Test(image, a_flipped_bit_gives_a_picture_or_a_refusal) {
  static const char *const names[] = {"pixel.jpg", "cmyk_progressive.jpg", "palette_2_interlaced.png", "grey_16.png"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    size_t size, refused = 0;
    unsigned char *bytes = load(names[i], &size);
    for (size_t at = 0; at < size; at++) {
      Image image;
      bytes[at] ^= (unsigned char)(1u << at % 8);
      refused += image_decode("flipped", bytes, size, 1 << 16, &image).code != STATUS_OK;
      bytes[at] ^= (unsigned char)(1u << at % 8);
      image_free(&image);
    }
    cr_expect_gt(refused, size / 10, "%s", names[i]);
    free(bytes);
  }
}

/* Overwrite height and width in the frame header (marker 0xff 0xc0). */
static void set_jpeg_size(unsigned char *bytes, size_t size, unsigned height, unsigned width) {
  unsigned char *frame = memmem(bytes, size, "\xff\xc0", 2);
  cr_assert_not_null(frame);
  memcpy(frame + 5, (unsigned char[]){height >> 8, height & 255, width >> 8, width & 255}, 4);
}

Test(image, too_many_pixels_are_refused_before_memory_is_taken) {
  Image image;
  size_t size;
  unsigned char *bytes = load("baseline_444.jpg", &size);
  Status status = image_decode("small", bytes, size, 37 * 29 - 1, &image);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "small has 37 x 29 pixels: at most 65535 a side and 1072 in all");
  cr_expect_eq(image_decode("small", bytes, size, 37 * 29, &image).code, STATUS_OK);
  image_free(&image);
  set_jpeg_size(bytes, size, 65000, 65000);
  status = image_decode("bomb", bytes, size, IMAGE_MOST_PIXELS, &image);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "65000 x 65000");
  cr_expect_null(image.pixels);
  free(bytes);
}

Test(image, not_enough_memory_is_said) {
  Image image;
  size_t size;
  limit_memory(16 << 20);
  unsigned char *bytes = load("baseline_444.jpg", &size);
  set_jpeg_size(bytes, size, 9000, 9000);
  cr_expect_eq(image_new(&image, 9000, 9000).code, STATUS_MEMORY);
  cr_expect_null(image.pixels);
  Status status = image_decode("large", bytes, size, IMAGE_MOST_PIXELS, &image);
  cr_expect_eq(status.code, STATUS_MEMORY, "%s", status.message);
  cr_expect_null(image.pixels);
  free(bytes);
}

/* Where the first marker with this code starts, at or after `from`. */
static size_t find_marker(const unsigned char *bytes, size_t size, size_t from, unsigned char code) {
  const unsigned char *found = memmem(bytes + from, size - from, (unsigned char[]){0xff, code}, 2);
  cr_assert_not_null(found);
  return (size_t)(found - bytes);
}

/* The file with its first scan, which stands alone, over and over again. */
static Status decode_scans(const unsigned char *bytes, size_t size, size_t times, Image *image) {
  size_t scan = find_marker(bytes, size, 0, 0xda), end = find_marker(bytes, size, scan, 0xc4);
  unsigned char *many = malloc(size + times * (end - scan));
  cr_assert_not_null(many);
  memcpy(many, bytes, end);
  for (size_t i = 0; i < times; i++)
    memcpy(many + end + i * (end - scan), bytes + scan, end - scan);
  memcpy(many + end + times * (end - scan), bytes + end, size - end);
  Status status = image_decode("scans", many, size + times * (end - scan), 1 << 16, image);
  free(many);
  return status;
}

Test(image, scans_without_end_are_refused) {
  size_t size;
  unsigned char *bytes = load("grey_progressive.jpg", &size);
  Image once, often;
  cr_assert_eq(decode_scans(bytes, size, 0, &once).code, STATUS_OK);
  cr_assert_eq(decode_scans(bytes, size, 400, &often).code, STATUS_OK);
  cr_expect_eq(image_hash(often), image_hash(once));
  image_free(&once);
  image_free(&often);
  Status status = decode_scans(bytes, size, 600, &often);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "more than 500 scans");
  cr_expect_null(often.pixels);
  free(bytes);
}

Test(image, what_is_written_is_read_back) {
  static const size_t sizes[][2] = {{1, 1}, {1, 7}, {300, 1}, {37, 41}};
  for (size_t i = 0; i < 4; i++) {
    Image image = picture(sizes[i][0], sizes[i][1], false), back;
    cr_assert_eq(image_write_png(scratch_path("a.png"), image).code, STATUS_OK);
    cr_assert_eq(image_read(scratch_path("a.png"), &back).code, STATUS_OK);
    cr_expect(back.width == image.width && back.height == image.height && image_hash(back) == image_hash(image));
    image_free(&image);
    image_free(&back);
  }
  cr_expect_eq(scratch_count(), 1);
}

Test(image, writing_fails_with_the_reason_and_leaves_nothing) {
  Image image = picture(200, 200, false);
  Status status = image_write_png(scratch_path("none/a.png"), image);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "none/a.png");
  status = image_write_png("/dev/full", image);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "No space left");
  cr_expect_eq(scratch_count(), 0);
  image_free(&image);
}

Test(image, writing_without_memory_is_said) {
  static unsigned char pixels[30] = {1};
  struct rlimit limit;
  limit_memory(0);
  Status status = image_write_png(scratch_path("a.png"), (Image){.pixels = pixels, .width = 5, .height = 2});
  cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
  limit.rlim_cur = limit.rlim_max; /* or the folder could not be removed */
  cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
  cr_expect_eq(status.code, STATUS_MEMORY, "%s", status.message);
  cr_expect_eq(scratch_count(), 0);
}

Test(image, sizes_over_the_limits_are_refused) {
  Image image;
  cr_expect_eq(image_new(&image, IMAGE_MOST_SIDE + 1, 1).code, STATUS_INPUT);
  cr_expect_eq(image_new(&image, 1, SIZE_MAX).code, STATUS_INPUT);
  Status status = image_new(&image, 10000, 10000);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "10000 x 10000");
  cr_assert_eq(image_new(&image, IMAGE_MOST_SIDE, 1).code, STATUS_OK);
  cr_expect_eq(image.pixels[IMAGE_MOST_SIDE * 3 - 1], 0);
  image_free(&image);
}

Test(image, a_picture_without_pixels_is_a_mistake, .signal = SIGABRT) {
  Image image;
  image_new(&image, 0, 1);
}
