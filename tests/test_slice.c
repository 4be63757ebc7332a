/* test_slice.c: grids and views by both rules against Python with Pillow (fixtures/pictures/make.py). */
#include "slice.h"

#include <signal.h>

#include "pictures.h"
#include "preprocess.h"

TestSuite(slice);

static Slicing slicing_of(size_t rule, size_t tile) {
  Slicing slicing = {.rule = rule == 0 ? SLICE_PAPER : SLICE_RELEASED, .tile = tile};
  memcpy(slicing.background, clip_mean_colour, 3);
  return slicing;
}

Test(slice, grids_of_many_sizes_are_those_of_the_rules) {
  size_t n[6], lines = 0; /* rule, tile, width height, columns rows */
  for (FILE *stream = open_lines("grids.txt"); read_line(stream, 6, n, NULL); lines++) {
    TileGrid grid = slice_grid(slicing_of(n[0], n[1]).rule, n[1], n[2], n[3]);
    cr_expect(grid.columns == n[4] && grid.rows == n[5], "rule %zu, tile %zu, %zu x %zu: %zu x %zu, not %zu x %zu",
              n[0], n[1], n[2], n[3], grid.columns, grid.rows, n[4], n[5]);
  }
  cr_expect_eq(lines, 600);
}

Test(slice, some_grids_by_hand) {
  TileGrid grid = slice_grid(SLICE_RELEASED, 336, 336, 336); /* never a single tile */
  cr_expect(grid.columns == 1 && grid.rows == 2);
  grid = slice_grid(SLICE_PAPER, 336, 336, 336);
  cr_expect(grid.columns == 1 && grid.rows == 1);
  grid = slice_grid(SLICE_RELEASED, 336, 7 * 336, 336); /* 7 of the cap of 6 and one more */
  cr_expect(grid.columns == 7 && grid.rows == 1);
  grid = slice_grid(SLICE_PAPER, 336, 9 * 336, 9 * 336);
  cr_expect(grid.columns == 6 && grid.rows == 6);
  grid = slice_grid(SLICE_RELEASED, 336, 65535, 1); /* no grid uses a pixel: int(H s) is 0 */
  cr_expect(grid.columns == 1 && grid.rows == 2);
}

Test(slice, views_are_those_of_pillow) {
  size_t n[6], lines = 0; /* rule, tile, width height, columns rows */
  uint64_t hash;
  for (FILE *stream = open_lines("slices.txt"); read_line(stream, 6, n, &hash); lines++) {
    Image image = picture(n[2], n[3], false);
    Slicing slicing = slicing_of(n[0], n[1]);
    Slices slices;
    Status status = slice_image(&slicing, image, &slices);
    cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
    cr_expect(slices.grid.columns == n[4] && slices.grid.rows == n[5] && slices.count == 1 + n[4] * n[5]);
    uint64_t ours = fnv(slices.pixels, slices.count * n[1] * n[1] * 3);
    cr_expect_eq(ours, hash, "rule %zu, tile %zu, %zu x %zu", n[0], n[1], n[2], n[3]);
    cr_expect_eq(slices_view(&slices, slices.count - 1).pixels, slices.pixels + (slices.count - 1) * n[1] * n[1] * 3);
    slices_free(&slices);
    image_free(&image);
  }
  cr_expect_eq(lines, 20);
}

/* A picture of one tile a grey level: 3 x 2 tiles of 5 pixels, exactly as large as its grid. */
Test(slice, tiles_come_row_by_row_after_the_global_view) {
  Image image;
  Slices slices;
  cr_assert_eq(image_new(&image, 15, 10).code, STATUS_OK);
  for (size_t y = 0; y < 10; y++)
    for (size_t x = 0; x < 15; x++)
      memset(image_row(image, y) + 3 * x, (int)(10 * (y / 5 * 3 + x / 5) + 7), 3);
  for (size_t rule = 0; rule < 2; rule++) {
    Slicing slicing = slicing_of(rule, 5);
    cr_assert_eq(slice_image(&slicing, image, &slices).code, STATUS_OK);
    cr_assert(slices.grid.columns == 3 && slices.grid.rows == 2);
    for (size_t tile = 0; tile < 6; tile++)
      for (size_t i = 0; i < 75; i++)
        cr_assert_eq(slices_view(&slices, 1 + tile).pixels[i], 10 * tile + 7);
    slices_free(&slices);
  }
  image_free(&image);
}

Test(slice, the_background_is_seen_by_the_papers_rule_alone) {
  Image image = picture(40, 8, false);
  Slices slices;
  for (size_t rule = 0; rule < 2; rule++) {
    Slicing slicing = slicing_of(rule, 8);
    cr_assert_eq(slice_image(&slicing, image, &slices).code, STATUS_OK);
    bool framed = memcmp(slices.pixels, clip_mean_colour, 3) == 0;
    cr_expect_eq(framed, rule == 0);
    slices_free(&slices);
  }
  image_free(&image);
}

Test(slice, grids_over_the_limits_are_refused) {
  Image image = picture(4, 3, false);
  Slices slices;
  for (size_t rule = 0; rule < 2; rule++) {
    Slicing slicing = slicing_of(rule, 20000);
    cr_expect_eq(slice_image(&slicing, image, &slices).code, STATUS_INPUT);
    cr_expect_null(slices.pixels);
  }
  image_free(&image);
}

Test(slice, want_of_memory_is_said) {
  Image image = picture(1500, 1000, false);
  Slicing slicing = slicing_of(1, 1000);
  Slices slices;
  limit_memory(8 << 20);
  cr_expect_eq(slice_image(&slicing, image, &slices).code, STATUS_MEMORY);
  cr_expect_null(slices.pixels);
  image_free(&image);
}

Test(slice, a_tile_of_no_size_is_a_mistake, .signal = SIGABRT) {
  slice_grid(SLICE_PAPER, 0, 3, 3);
}

Test(slice, a_view_that_is_not_there_is_a_mistake, .signal = SIGABRT) {
  slices_view(&(Slices){.count = 3, .tile = 2}, 3);
}
