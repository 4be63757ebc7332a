/* output.c: rows into a file, and where they come from beside it. */
#include "output.h"

#include <stdlib.h>

#include "json.h"

Status csv_produce(const char *path, const char *header, Status (*write)(const void *plan, CsvWriter *csv),
                   const void *plan, const Command *command, uint64_t seed) {
  CsvWriter csv;
  TRY(csv_open(&csv, path, header));
  Status status = write(plan, &csv);
  if (status.code != STATUS_OK) {
    csv_abort(&csv);
    return status;
  }
  TRY(csv_commit(&csv));
  char *line = options_line(command);
  status = origin_write(path, line ? line : command->name, seed);
  free(line);
  return status;
}
