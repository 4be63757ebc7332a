/* test_progress.c: what the bar draws on a terminal, and that it is silent elsewhere.
 *
 * A pseudo-terminal stands in for the terminal; instead of waiting two seconds a test moves the start back. */
#include "progress.h"

#include <fcntl.h>
#include <math.h>

#include "scratch.h"

/* Work that has taken `elapsed` seconds and is at `done` of `total`. */
static void show(const char *title, double total, double done, double elapsed) {
  Progress progress;
  progress_start(&progress, title, total);
  progress.started -= elapsed;
  progress.drawn -= elapsed;
  progress_update(&progress, done);
  progress_end(&progress);
}

static void (*terminal_body)(void);

/* Run the body with standard error on a pseudo-terminal and pass on what comes out at the other end. */
static void on_terminal(void) {
  char text[4096];
  int leader = posix_openpt(O_RDWR | O_NOCTTY);
  if (leader < 0 || grantpt(leader) != 0 || unlockpt(leader) != 0)
    _exit(77);
  int terminal = open(ptsname(leader), O_RDWR | O_NOCTTY);
  if (terminal < 0)
    _exit(77);
  dup2(terminal, STDERR_FILENO);
  terminal_body();
  fputc('$', stderr); /* the end, for the loop below */
  fflush(stderr);
  for (ssize_t size; (size = read(leader, text, sizeof text)) > 0;) {
    fwrite(text, 1, (size_t)size, stdout);
    if (text[size - 1] == '$')
      break;
  }
}

static const char *drawn_by(void (*body)(void), char *text, size_t size) {
  terminal_body = body;
  int end = in_child(on_terminal, STDOUT_FILENO, text, size);
  if (WIFEXITED(end) && WEXITSTATUS(end) == 77)
    cr_skip_test("no pseudo-terminals here");
  return text;
}

static void half_of_ten_seconds(void) {
  show("sweep", 200, 100, 10);
}

Test(progress, a_bar_shows_the_part_and_the_time_left_and_clears_itself) {
  char text[4096];
  drawn_by(half_of_ten_seconds, text, sizeof text);
  cr_expect_str_eq(text, "\r\033[Ksweep  50% ############............ 10 s left\r\033[K$");
}

static void first_two_seconds(void) {
  show("sweep", 200, 100, 1.5);
}

Test(progress, nothing_is_drawn_in_the_first_two_seconds) {
  char text[4096];
  cr_expect_str_eq(drawn_by(first_two_seconds, text, sizeof text), "$");
}

static void two_updates(void) {
  Progress progress;
  progress_start(&progress, "sweep", 4);
  progress.started -= 10;
  progress.drawn -= 10;
  progress_update(&progress, 1);
  progress_update(&progress, 2);
  progress_end(&progress);
}

Test(progress, updates_in_quick_succession_are_drawn_once) {
  char text[4096];
  drawn_by(two_updates, text, sizeof text);
  expect_contains(text, " 25%");
  cr_expect_null(strstr(text, " 50%"));
}

static void no_total(void) {
  show("search", 0, 17, 100);
  show("search", -3, 17, 100);
  show("search", NAN, 17, 100);
}

Test(progress, without_a_total_there_is_only_the_time) {
  char text[4096];
  drawn_by(no_total, text, sizeof text);
  cr_expect_str_eq(text, "\r\033[Ksearch  1 min 40 s\r\033[K\r\033[Ksearch  1 min 40 s\r\033[K"
                         "\r\033[Ksearch  1 min 40 s\r\033[K$");
}

static void odd_amounts(void) {
  show("a", 10, 0, 5);
  show("b", 10, 12, 5);
  show("c", 10, NAN, 5);
}

Test(progress, odd_amounts_do_no_harm) {
  char text[4096];
  drawn_by(odd_amounts, text, sizeof text);
  expect_contains(text, "a   0% ........................\r");
  expect_contains(text, "b 100% ######################## 0 s left\r");
  expect_contains(text, "c  5 s\r");
}

static void long_times(void) {
  show("minutes", 2, 1, 185);
  show("hours", 2, 1, 7805);
  show("days", 2, 1, 4 * 86400 + 3 * 3600 + 5);
}

Test(progress, long_times_are_told_in_larger_units) {
  char text[4096];
  drawn_by(long_times, text, sizeof text);
  expect_contains(text, " 3 min 5 s left");
  expect_contains(text, " 2 h 10 min left");
  expect_contains(text, " 4 days 3 h left");
}

static void colors(void) {
  fprintf(stderr, "%sx%s", color(stderr, COLOR_RED), color(stderr, COLOR_RESET));
  setenv("NO_COLOR", "1", 1);
  fprintf(stderr, "%sx%s", color(stderr, COLOR_RED), color(stderr, COLOR_RESET));
}

Test(progress, a_terminal_has_colors_unless_they_are_refused) {
  char text[4096];
  unsetenv("NO_COLOR");
  cr_expect_str_eq(drawn_by(colors, text, sizeof text), "\033[31mx\033[0mx$");
}

static void not_a_terminal(void) {
  show("sweep", 200, 100, 10);
  fprintf(stderr, "%sx", color(stderr, COLOR_RED));
}

Test(progress, elsewhere_there_is_neither_bar_nor_color) {
  char text[4096];
  unsetenv("NO_COLOR");
  in_child(not_a_terminal, STDERR_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "x");
}

Test(progress, the_clock_does_not_go_back) {
  double before = clock_seconds();
  usleep(1000);
  double after = clock_seconds();
  cr_expect(after >= before + 0.001 && after < before + 60);
}
