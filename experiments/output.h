/* output.h: the end that every command with a CSV result shares: rows into a file, whole or not at all, and its origin.
 */
#ifndef SEESAW_OUTPUT_H
#define SEESAW_OUTPUT_H

#include "csv.h"
#include "options.h"

/* csv_produce: open PATH with the header, let `write` put in the rows (it gets `plan`), commit, and write the origin
 * file with the command's line. If `write` fails nothing is left behind. */
Status csv_produce(const char *path, const char *header, Status (*write)(const void *plan, CsvWriter *csv),
                   const void *plan, const Command *command, uint64_t seed);

#endif
