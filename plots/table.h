/* table.h: is a result file what a figure expects? */
#ifndef SEESAW_TABLE_H
#define SEESAW_TABLE_H

#include "plots.h"

/* table_check: a header with the input's columns, rows of as many cells as the header, numbers where numbers belong.
 * Errors: STATUS_INPUT naming the file, the line and what is wrong; `command` tells how to make the file. */
Status table_check(const char *path, const FigureInput *input, const char *command);

#endif
