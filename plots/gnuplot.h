/* gnuplot.h: gnuplot at the other end of a pipe. */
#ifndef SEESAW_GNUPLOT_H
#define SEESAW_GNUPLOT_H

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

#include "status.h"

typedef struct Gnuplot {
  FILE *commands; /* write here */
  FILE *messages; /* what gnuplot prints, to be read once it has ended */
  pid_t process;
  struct sigaction pipe_action; /* SIGPIPE as it was: a gnuplot that ends early must not end us */
} Gnuplot;

/* gnuplot_start: without the user's own settings. Errors: STATUS_UNAVAILABLE naming the package to install. */
Status gnuplot_start(Gnuplot *gnuplot);

/* gnuplot_finish: end of the commands; wait for gnuplot. It stops at its first mistake.
 * Errors: STATUS_UNAVAILABLE with its first message and, where there is none, how it ended. */
Status gnuplot_finish(Gnuplot *gnuplot);

/* gnuplot_text: `text` as a string expression of gnuplot's, whatever it holds. */
void gnuplot_text(FILE *commands, const char *text);

/* gnuplot_path: the same for a file's name, so that gnuplot takes it for nothing else (a pipe, a home folder). */
void gnuplot_path(FILE *commands, const char *path);

#endif
