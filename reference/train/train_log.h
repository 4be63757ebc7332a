/* train_log.h: a line for each step of training, in FOLDER/log.csv.
 *
 * The file grows as the run goes, and is synced before each checkpoint; a run that resumes cuts it back to the
 * checkpoint's step, so that in the end it has the same bytes as if the run had never stopped. */
#ifndef SEESAW_TRAIN_LOG_H
#define SEESAW_TRAIN_LOG_H

#include <stdint.h>
#include <stdio.h>

#include "status.h"

typedef struct TrainLog {
  FILE *stream; /* NULL: closed */
  char *path;
  const char *phase;
} TrainLog;

typedef struct TrainRow {
  uint64_t step, samples; /* from 1; shown so far */
  double loss, rate, norm;
} TrainRow;

/* log_open: go on after step `step` of this phase (0: it starts): lines of it beyond that, and all after them, are
 * dropped; those of earlier phases stay. The phase's name must outlive the log. Errors: STATUS_OUTPUT; STATUS_INPUT if
 * the file is not such a log; STATUS_MEMORY. log_close: safe on a zeroed one; what was not synced may be lost. */
Status log_open(TrainLog *log, const char *folder, const char *phase, uint64_t step);
void log_close(TrainLog *log);

/* log_row: the next line. log_sync: all lines are on the disk. Errors: STATUS_OUTPUT. */
void log_row(TrainLog *log, const TrainRow *row);
Status log_sync(TrainLog *log);

#endif
