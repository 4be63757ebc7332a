/* test_page.c: `seesaw ablate page`: what it draws, what it writes, what it leaves out. */
#include <ctype.h>

#include "image.h"
#include "page_draw.h"
#include "page_html.h"
#include "small_world.h"

#define SCHEMES SEESAW_FIXTURES "/../../experiments/schemes/scenes"
#define SMALL "--model pair --pictures 40 --scale 0.006 --schemes '" SCHEMES "' --runs r "

enum { ROOM = 1 << 20 };

/* ---- drawing ---- */

/* 74 x 30 pixels in 2 x 1 tiles of 36: shrunk by 36/37, black above and below. */
static const Scene wide = {.width = 74, .height = 30};

static Image grey_picture(const Scene *scene) {
  Image image;
  assert_ok(image_new(&image, scene->width, scene->height));
  memset(image.pixels, 100, 3 * image.width * image.height);
  return image;
}

static int at(Image image, size_t x, size_t y) {
  return image_row(image, y)[3 * x];
}

Test(page_draw, enlarges_by_whole_pixels) {
  Image small, large;
  assert_ok(image_new(&small, 3, 2));
  for (int i = 0; i < 18; i++)
    small.pixels[i] = (unsigned char)i;
  assert_ok(page_enlarge(small, 5, &large));
  cr_assert_eq(large.width, 15);
  cr_assert_eq(large.height, 10);
  for (size_t y = 0; y < 10; y++)
    for (size_t x = 0; x < 15; x++)
      for (size_t c = 0; c < 3; c++)
        cr_assert_eq(image_row(large, y)[3 * x + c], 9 * (y / 5) + 3 * (x / 5) + c);
  image_free(&small);
  image_free(&large);
}

Test(page_draw, puts_borders_where_the_tiles_are_cut) {
  ModelConfig config = small_config(100);
  PageTiles tiles = {.config = &config, .scene = &wide, .grid = {2, 1}, .factor = 3};
  Image image = grey_picture(&wide), large;
  assert_ok(page_enlarge(image, 3, &large));
  page_draw_tiles(large, &tiles);
  for (size_t y = 0; y < 90; y++) {
    cr_assert_eq(at(large, 110, y), 255, "the middle, 37 x 3 = 111, lies between two white pixels");
    cr_assert_eq(at(large, 111, y), 255);
    cr_assert_eq(at(large, 109, y), 100);
    cr_assert_eq(at(large, 112, y), 100);
    cr_assert_eq(at(large, 0, y), 255, "the left edge");
    cr_assert_eq(at(large, 221, y), 255);
  }
  cr_expect_eq(at(large, 50, 0), 100, "the tile ends above the picture");
  cr_expect_eq(at(large, 50, 89), 100);
  image_free(&image);
  image_free(&large);
}

Test(page_draw, darkens_dropped_cells_alone) {
  ModelConfig config = small_config(100);
  const Scene square = {.width = 72, .height = 72};
  PageTiles tiles = {.config = &config, .scene = &square, .grid = {2, 2}, .factor = 2};
  Image image = grey_picture(&square), large;
  bool keeps[36];
  for (int i = 0; i < 36; i++)
    keeps[i] = i != 9 + 5; /* tile (0, 1), cell (1, 2): from (60, 12) to (72, 24) */
  assert_ok(page_enlarge(image, 2, &large));
  page_darken(large, &tiles, 3, keeps);
  for (size_t y = 0; y < 144; y++)
    for (size_t x = 0; x < 144; x++)
      cr_assert_eq(at(large, x, y), x >= 120 && y >= 24 && y < 48 ? 25 : 100, "(%zu, %zu)", x, y);
  image_free(&image);
  image_free(&large);
}

/* ---- text ---- */

Test(page_html, escapes) {
  char *text;
  size_t size;
  FILE *stream = open_memstream(&text, &size);
  html_text(stream, "a<b> & \"c\" 'd' é");
  fclose(stream);
  cr_expect_str_eq(text, "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; é");
  free(text);
}

/* Does every tag that is opened close, in order? Of img and meta nothing is to be closed. */
static bool tags_close(const char *text) {
  char open[64][16];
  size_t depth = 0;
  for (const char *tag = strchr(text, '<'); tag; tag = strchr(tag + 1, '<')) {
    bool closes = tag[1] == '/';
    char name[16];
    size_t length = 0;
    for (const char *c = tag + 1 + closes; isalnum((unsigned char)*c) && length < 15; c++)
      name[length++] = *c;
    name[length] = '\0';
    if (tag[1] == '!' || strcmp(name, "img") == 0 || strcmp(name, "meta") == 0)
      continue;
    if (closes && (depth == 0 || strcmp(open[--depth], name) != 0))
      return false;
    if (!closes && depth == 64)
      return false;
    if (!closes)
      memcpy(open[depth++], name, sizeof name);
  }
  return depth == 0;
}

Test(page_html, checker_sees_what_is_not_balanced) {
  cr_expect(tags_close("<!DOCTYPE html><p><img src=\"a\"><b>x</b></p>"));
  cr_expect_not(tags_close("<p><b>x</p></b>"));
  cr_expect_not(tags_close("<p>"));
  cr_expect_not(tags_close("</p>"));
}

static size_t count(const char *text, const char *part) {
  size_t n = 0;
  for (const char *c = text; (c = strstr(c, part)); c += strlen(part))
    n++;
  return n;
}

/* ---- the page ---- */

static void make_world(void) {
  scratch_make();
  setenv("OMP_WAIT_POLICY", "passive", 1); /* tests share the machine */
  small_pair("pair", 1);
}

TestSuite(page, .init = make_world, .fini = scratch_remove);

/* Every picture that is shown is there, whole, as large as is said. Returns how many there are. */
static size_t expect_pictures(const char *text, const char *folder) {
  size_t pictures = 0;
  for (const char *c = text; (c = strstr(c, "<img src=\"")); pictures++) {
    char name[128], path[256];
    size_t width, height;
    Image image;
    cr_assert_eq(sscanf(c, "<img src=\"%127[^\"]\" width=\"%zu\" height=\"%zu\"", name, &width, &height), 3, "%.80s",
                 c);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(image_read(scratch_path(path), &image));
    cr_expect_eq(image.width, width, "%s", name);
    cr_expect_eq(image.height, height, "%s", name);
    image_free(&image);
    c++;
  }
  return pictures;
}

static char *page_of(const char *path) {
  char *text = malloc(ROOM);
  cr_assert_not_null(text);
  return (char *)scratch_read(scratch_path(path), text, ROOM);
}

/* Two trained rows of the four that are asked for; one has a router. */
Test(page, shows_what_is_trained) {
  program_succeeds("ablate alternating,baseline " SMALL "--tests 10 --seeds 1 --jobs 1 --results x --features f");
  program_succeeds("ablate page:alternating,e2e,baseline,monkey " SMALL "--examples 3 --results x");
  char *text = page_of("x/page/index.html");
  cr_expect(tags_close(text), "%s", text);
  cr_expect_eq(count(text, "<section>"), 3);
  cr_expect_eq(count(text, "class=\"right\"") + count(text, "class=\"wrong\""), 3 * FAMILIES * 2);
  cr_expect_eq(count(text, "class=\"right\""), count(text, "✓"), "the sign says what the colour says");
  cr_expect_eq(count(text, "class=\"wrong\""), count(text, "✗"));
  cr_expect_eq(count(text, "<th scope=\"row\">"), 2 + 3 * FAMILIES);
  cr_expect_eq(expect_pictures(text, "x/page"), 3 * (2 + FAMILIES), "two views, a router");
  expect_contains(text, "not all of their phases are finished with this seed: e2e, monkey.</p>");
  expect_contains(text, "3 scenes of the validation split");
  expect_contains(text, "--examples=3");
  expect_contains(text, "<dt>commit</dt>");
  cr_expect_eq(access(scratch_path("x/page/index.html.origin.json"), F_OK), 0);
  cr_expect_eq(access(scratch_path("x/page/index.html.partial"), F_OK), -1);
  cr_expect_null(strstr(text, "<script"));
  free(text);
}

/* The accuracy on the page is that of the exam, if the scenes are the same. */
static void expect_answers_of_the_exam(const char *page, const char *answers) {
  size_t correct = 0;
  char said[64];
  for (const char *line = strstr(answers, "text_only,1,both"); line; line = strstr(line + 1, "text_only,1,both")) {
    size_t each;
    cr_assert_eq(sscanf(line, "text_only,1,both,%*[^,],%*d,%*d,%zu", &each), 1);
    correct += each;
  }
  snprintf(said, sizeof said, "<td>%zu of %d</td></tr>", correct, 10 * FAMILIES);
  expect_contains(page, said);
}

Test(page, answers_as_the_exam_does) {
  program_succeeds("ablate text_only " SMALL
                   "--tests 10 --split validation --seeds 1 --jobs 1 --results x --features f");
  program_succeeds("ablate page:text_only " SMALL "--examples 10 --results x");
  char *text = page_of("x/page/index.html"), *answers = page_of("x/answers.csv");
  expect_answers_of_the_exam(text, answers);
  expect_contains(text, "<td>has none</td>");
  cr_expect_eq(expect_pictures(text, "x/page"), 20);
  free(text);
  free(answers);
}

Test(page, refuses_what_it_cannot_show) {
  program_refuses(2, "examples", "ablate page " SMALL "--examples 0");
  program_refuses(2, "examples", "ablate page " SMALL "--examples few");
  program_refuses(2, "no row 'pages'", "ablate pages " SMALL);
  program_refuses(2, "no row 'nq65'", "ablate page:nq65 " SMALL);
  program_refuses(2, "no row is named", "ablate page: " SMALL);
  program_refuses(3, "no pretrained pair nowhere", "ablate page --model nowhere");
  program_refuses(3, "none of the rows is trained with seed 1", "ablate page " SMALL);
  program_refuses(3, "no folder of schemes nowhere: --schemes DIR", "ablate page --model pair --schemes nowhere");
}

/* What cannot be written leaves no text that shows half of the pictures. */
Test(page, leaves_no_half_page) {
  program_succeeds("ablate text_only " SMALL "--tests 10 --seeds 1 --jobs 1 --results x --features f");
  program_succeeds("ablate page:text_only " SMALL "--examples 1 --results x");
  cr_assert_eq(unlink(scratch_path("x/page/scene-0-global.png")), 0);
  assert_ok(folder_create(scratch_path("x/page/scene-0-global.png")));
  ProgramRun run = program_run("ablate page:text_only " SMALL "--examples 1 --results x");
  cr_expect_eq(run.exit, 4, "%s", run.err);
  expect_contains(run.err, "scene-0-global.png");
  program_free(&run);
  cr_expect_eq(access(scratch_path("x/page/index.html"), F_OK), -1);
}
