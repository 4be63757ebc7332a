/* progress.h: a bar with the time left, on a terminal only, and only for work of over two seconds. */
#ifndef SEESAW_PROGRESS_H
#define SEESAW_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

typedef struct Progress {
  const char *title; /* e.g. "sweep" */
  double total, done;
  double started, drawn; /* seconds on the monotonic clock */
  bool terminal, visible;
} Progress;

/* clock_seconds: monotonic time. */
double clock_seconds(void);

/* progress_start: `total` units of work are ahead. Draws on standard error when that is a terminal, else stays silent.
 */
void progress_start(Progress *progress, const char *title, double total);

/* progress_update: `done` units are behind us; draws at most ten times a second, nothing in the first two seconds. */
void progress_update(Progress *progress, double done);

/* progress_end: clear the bar's line. */
void progress_end(Progress *progress);

/* color: the escape sequence if `stream` is a terminal and NO_COLOR is unset, else "". */
typedef enum { COLOR_RESET, COLOR_BOLD, COLOR_GREEN, COLOR_YELLOW, COLOR_RED } Color;
const char *color(FILE *stream, Color which);

#endif
