/* progress.c: one line on standard error, redrawn in place. */
#include "progress.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const double QUIET_SECONDS = 2, REDRAW_SECONDS = 0.1;

double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void progress_start(Progress *progress, const char *title, double total) {
  *progress = (Progress){.title = title, .total = total, .started = clock_seconds(), .terminal = isatty(STDERR_FILENO)};
  progress->drawn = progress->started;
}

/* "8 s", "3 min 5 s", "2 h 10 min", "4 days 3 h" */
static void write_duration(char *text, size_t size, double seconds) {
  static const struct {
    const char *large, *small;
    int ratio;   /* how many small units a large one has */
    int seconds; /* in the small unit */
  } scales[] = {{"min", "s", 60, 1}, {"h", "min", 60, 60}, {"days", "h", 24, 3600}};
  if (seconds < 60) {
    snprintf(text, size, "%.0f s", seconds);
    return;
  }
  size_t i = seconds < 3600 ? 0 : seconds < 86400 ? 1 : 2;
  double small = floor(seconds / scales[i].seconds);
  double large = floor(small / scales[i].ratio);
  snprintf(text, size, "%.0f %s %.0f %s", large, scales[i].large, small - large * scales[i].ratio, scales[i].small);
}

/* The part done and the time left; without a total there is only the time so far. */
static void draw(Progress *progress, double now) {
  enum { WIDTH = 24 };
  char bar[WIDTH + 1], duration[64];
  double elapsed = now - progress->started, part = progress->done / progress->total;
  if (!(progress->total > 0) || !(part >= 0)) {
    write_duration(duration, sizeof duration, elapsed);
    fprintf(stderr, "\r\033[K%.24s  %s", progress->title, duration);
    return;
  }
  part = fmin(part, 1);
  for (int i = 0; i < WIDTH; i++)
    bar[i] = i < (int)(part * WIDTH) ? '#' : '.';
  bar[WIDTH] = '\0';
  fprintf(stderr, "\r\033[K%.24s %3.0f%% %s", progress->title, floor(100 * part), bar);
  if (part > 0) {
    write_duration(duration, sizeof duration, elapsed * (1 - part) / part);
    fprintf(stderr, " %s left", duration);
  }
}

void progress_update(Progress *progress, double done) {
  progress->done = done;
  if (!progress->terminal)
    return;
  double now = clock_seconds();
  if (now - progress->started < QUIET_SECONDS || now - progress->drawn < REDRAW_SECONDS)
    return;
  draw(progress, now);
  fflush(stderr);
  progress->drawn = now;
  progress->visible = true;
}

void progress_end(Progress *progress) {
  if (progress->visible) {
    fputs("\r\033[K", stderr);
    fflush(stderr);
  }
  progress->visible = false;
}

const char *color(FILE *stream, Color which) {
  static const char *const sequences[] = {
      [COLOR_RESET] = "\033[0m",   [COLOR_BOLD] = "\033[1m", [COLOR_GREEN] = "\033[32m",
      [COLOR_YELLOW] = "\033[33m", [COLOR_RED] = "\033[31m",
  };
  const char *refused = getenv("NO_COLOR");
  if ((refused != NULL && refused[0] != '\0') || !isatty(fileno(stream)))
    return "";
  return sequences[which];
}
