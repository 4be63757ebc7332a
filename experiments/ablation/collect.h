/* collect.h: the files of all finished jobs as one set of result files. */
#ifndef SEESAW_COLLECT_H
#define SEESAW_COLLECT_H

#include "job.h"
#include "options.h"

/* collect: the files of examined jobs (job.h), or of probed ones (probed.h), from FOLDER/rows/ID-SEED/NAME.csv, in the
 * order of rows and seeds, to RESULTS/NAME.csv with a header and an origin: of all jobs there, asked for or not, that
 * are done by this very setting and by the schemes as they are now (job_done), so that nothing is compared that was
 * trained or tested otherwise. Others that have answers are named in a line on standard error: also those of rows that
 * are not known, or whose scheme cannot be read. Errors: STATUS_INPUT, STATUS_OUTPUT, STATUS_MEMORY. */
Status collect(const Setting *setting, const char *results, const Command *command, uint64_t seed);

#endif
