/* train_log.c: a line for each step of training. */
#include "train_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "number.h"

static const char *const header = "phase,step,samples,loss,rate,norm\n";

/* The step of a line of this phase; 0 of any other line. */
static uint64_t step_of(const char *line, const char *phase) {
  size_t length = strlen(phase);
  return strncmp(line, phase, length) == 0 && line[length] == ',' ? strtoull(line + length + 1, NULL, 10) : 0;
}

/* The bytes to keep: whole lines before the first of this phase that is beyond the step. */
static size_t kept_bytes(const char *text, const char *phase, uint64_t step) {
  size_t at = strlen(header);
  for (const char *end; (end = strchr(text + at, '\n')); at = (size_t)(end - text) + 1)
    if (step_of(text + at, phase) > step)
      break;
  return at;
}

static Status write_start(const char *path, const char *text, size_t size) {
  OutputFile file;
  TRY(output_open(&file, path));
  fwrite(text, 1, size, file.stream);
  return output_commit(&file);
}

/* The file, cut back; a new one has the header alone. */
static Status start(const char *path, const char *phase, uint64_t step) {
  unsigned char *bytes;
  size_t size;
  if (access(path, F_OK) != 0)
    return write_start(path, header, strlen(header));
  TRY(file_read(path, (size_t)1 << 32, &bytes, &size));
  const char *text = (const char *)bytes;
  Status status = status_error(STATUS_INPUT, "%s is no log of training: its first line is not '%.33s'", path, header);
  if (size == 0)
    status = write_start(path, header, strlen(header));
  else if (strncmp(text, header, strlen(header)) == 0)
    status = write_start(path, text, kept_bytes(text, phase, step));
  free(bytes);
  return status;
}

Status log_open(TrainLog *log, const char *folder, const char *phase, uint64_t step) {
  *log = (TrainLog){.path = path_join(folder, "log.csv"), .phase = phase};
  Status status = status_error(STATUS_MEMORY, "not enough memory for the log");
  if (log->path)
    status = start(log->path, phase, step);
  if (status.code == STATUS_OK && !(log->stream = fopen(log->path, "a")))
    status = status_from_errno(STATUS_OUTPUT, "cannot write %s", log->path);
  if (status.code != STATUS_OK)
    log_close(log);
  return status;
}

void log_close(TrainLog *log) {
  if (log->stream)
    fclose(log->stream);
  free(log->path);
  *log = (TrainLog){0};
}

void log_row(TrainLog *log, const TrainRow *row) {
  char loss[NUMBER_ROOM], rate[NUMBER_ROOM], norm[NUMBER_ROOM];
  number_print(row->loss, loss);
  number_print(row->rate, rate);
  number_print(row->norm, norm);
  fprintf(log->stream, "%s,%" PRIu64 ",%" PRIu64 ",%s,%s,%s\n", log->phase, row->step, row->samples, loss, rate, norm);
}

Status log_sync(TrainLog *log) {
  errno = 0;
  if (fflush(log->stream) == 0 && !ferror(log->stream) && fsync(fileno(log->stream)) == 0)
    return status_ok();
  errno = errno ? errno : EIO;
  return status_from_errno(STATUS_OUTPUT, "cannot write %s", log->path);
}
