/* phases.h: what figures over the course of training share: a panel a phase, a line a row, mean over seeds. */
#ifndef SEESAW_PHASES_H
#define SEESAW_PHASES_H

#include <stdio.h>

/* phases_draw: `column` of `file` (columns row, phase, step) against the step, labelled `label`. */
void phases_draw(FILE *gnuplot, const char *folder, const char *file, const char *column, const char *label);

#endif
