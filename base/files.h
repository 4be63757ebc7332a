/* files.h: whole files in, whole files out, and the user's interrupt.
 *
 * An output appears under its name only when it is complete: it is written to a side file beside it, flushed, synced
 * and renamed. A killed process leaves the old file, or none, and a side file that the next run overwrites. */
#ifndef SEESAW_FILES_H
#define SEESAW_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "status.h"

typedef struct OutputFile {
  FILE *stream; /* write here; errors are collected and reported by output_commit */
  char *path;   /* NULL when the stream is standard output */
  char *side;   /* the side file, PATH.partial */
} OutputFile;

/* output_open: start writing PATH ("-" is standard output). The folder must exist. A link to a file stays a link;
 * devices and pipes are written directly, without a side file.
 * Errors: STATUS_OUTPUT naming the path and the reason (no such folder, no permission, is a folder). */
Status output_open(OutputFile *file, const char *path);

/* output_commit: flush, sync, rename; then the file is there for good. On failure (a full disk) the side file is gone
 * and PATH is as it was. Errors: STATUS_OUTPUT. The OutputFile is closed either way. */
Status output_commit(OutputFile *file);

/* output_abort: give up: remove the side file. Safe on a closed or never opened (zeroed) OutputFile. */
void output_abort(OutputFile *file);

/* file_read: a whole regular file into memory, followed by a zero byte that `size` does not count. The caller frees
 * *bytes. Errors: STATUS_INPUT (missing, a folder, unreadable, larger than `limit` bytes), STATUS_MEMORY. */
Status file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size);

/* folder_create: the folder and its parents, if they are not there. Errors: STATUS_OUTPUT. */
Status folder_create(const char *path);

/* path_join: "folder/name", allocated; the caller frees. NULL when memory is out. */
char *path_join(const char *folder, const char *name);

/* interrupt_watch: from now on SIGINT and SIGTERM only raise a flag (a second one kills at once).
 * interrupt_check: STATUS_INTERRUPTED if the flag is up; long loops call it between pieces of work. */
void interrupt_watch(void);
bool interrupt_raised(void);
Status interrupt_check(void);

#endif
