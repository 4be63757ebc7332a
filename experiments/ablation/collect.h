/* collect.h: the files of all finished jobs as one set of result files. */
#ifndef SEESAW_COLLECT_H
#define SEESAW_COLLECT_H

#include "options.h"

/* collect: the files of examined jobs (job.h), or of probed ones (probed.h), from RUNS/rows/ID-SEED/NAME.csv, in the
 * order of rows and seeds, to RESULTS/NAME.csv with a header and an origin: of all jobs whose what.txt has the first
 * line of that of the job `like` (ID-SEED), so that nothing is compared that was trained or tested otherwise. Errors:
 * STATUS_INPUT, STATUS_OUTPUT, STATUS_MEMORY. */
Status collect(const char *runs, bool probed, const char *results, const char *like, const Command *command,
               uint64_t seed);

#endif
