/* files.c: side files, and a flag for the user's interrupt. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder that PATH lies in, as much of PATH as names it; the caller frees. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    return strdup(".");
  return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *with_suffix(const char *path, const char *suffix) {
  char *text;
  return asprintf(&text, "%s%s", path, suffix) < 0 ? NULL : text;
}

static Status no_memory(const char *path) {
  return status_error(STATUS_MEMORY, "not enough memory to write %s", path);
}

/* Free the names and forget the stream; what is on the disk stays as it is. */
static void forget(OutputFile *file) {
  free(file->path);
  free(file->side);
  *file = (OutputFile){0};
}

/* Why PATH cannot be opened, from errno; `side`: by way of its side file. */
static Status cannot_open(const char *path, bool side) {
  if (errno == EISDIR && side)
    return status_error(STATUS_OUTPUT, "cannot write %s: %s.partial is a folder", path, path);
  if (errno != ENOENT)
    return status_from_errno(STATUS_OUTPUT, "cannot write %s", path);
  char *folder = folder_of(path);
  Status status = status_error(STATUS_OUTPUT, "cannot write %s: there is no folder %s", path, folder ? folder : "");
  free(folder);
  return status;
}

/* Devices, pipes and whatever else is not a regular file are written directly: nothing could be renamed over them.
 * All of /dev, because /dev/fd/3 is a link that may well end at a regular file. */
static bool written_directly(const char *path, const struct stat *there) {
  return strncmp(path, "/dev/", 5) == 0 || !S_ISREG(there->st_mode);
}

/* The names: PATH, followed if it is a link to a regular file, and the side file if one is to be used. */
static Status choose_names(OutputFile *file, const char *path) {
  struct stat itself, there;
  bool link = lstat(path, &itself) == 0 && S_ISLNK(itself.st_mode);
  bool exists = stat(path, &there) == 0, direct = exists && written_directly(path, &there);
  if (exists && S_ISDIR(there.st_mode))
    return status_error(STATUS_OUTPUT, "cannot write %s: it is a folder", path);
  if (exists && access(path, W_OK) != 0)
    return status_from_errno(STATUS_OUTPUT, "cannot write %s", path);
  file->path = exists && link && !direct ? realpath(path, NULL) : strdup(path);
  if (file->path == NULL)
    return no_memory(path);
  if (direct)
    return status_ok();
  file->side = with_suffix(file->path, ".partial");
  return file->side == NULL ? no_memory(path) : status_ok();
}

Status output_open(OutputFile *file, const char *path) {
  *file = (OutputFile){0};
  if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0) {
    file->stream = stdout;
    return status_ok();
  }
  Status status = choose_names(file, path);
  if (status.code == STATUS_OK) {
    const char *name = file->side != NULL ? file->side : file->path;
    int descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | (file->side != NULL ? O_NOFOLLOW : 0), 0666);
    file->stream = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (file->stream == NULL) {
      status = cannot_open(file->path, file->side != NULL);
      if (descriptor >= 0)
        close(descriptor);
    }
  }
  if (status.code != STATUS_OK)
    forget(file);
  return status;
}

/* A stream remembers that a write failed but not why. Trying once more tells: a full disk is still full. Only
 * a side file, which is lost anyway, gets a stray byte; elsewhere the trial is an empty write, which devices answer. */
static int reason_of_failure(OutputFile *file) {
  errno = 0;
  ssize_t written = write(fileno(file->stream), "\n", file->side != NULL ? 1 : 0);
  return written < 0 && errno != 0 ? errno : EIO;
}

/* Everything written so far is in the file, and the file on the disk; else errno says why not. */
static bool flush(OutputFile *file) {
  bool failed_before = ferror(file->stream) != 0;
  if (fflush(file->stream) != 0)
    return false;
  if (failed_before) {
    errno = reason_of_failure(file);
    return false;
  }
  return file->side == NULL || fsync(fileno(file->stream)) == 0;
}

/* So that the new name outlives a power cut. Not every file system can, and the file itself is already whole. */
static void sync_folder_of(const char *path) {
  char *folder = folder_of(path);
  int descriptor = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    (void)fsync(descriptor);
    close(descriptor);
  }
  free(folder);
}

/* Close the stream, which reports what only the last write found out; standard output stays open. */
static bool close_stream(OutputFile *file) {
  FILE *stream = file->stream;
  file->stream = NULL;
  if (file->path != NULL)
    return fclose(stream) == 0;
  clearerr(stream);
  return true;
}

Status output_commit(OutputFile *file) {
  Status status = status_ok();
  const char *path = file->path != NULL ? file->path : "standard output";
  bool whole = flush(file);
  int reason = errno;
  bool closed = close_stream(file);
  if (!whole)
    errno = reason;
  if (!whole || !closed || (file->side != NULL && rename(file->side, file->path) != 0)) {
    status = status_from_errno(STATUS_OUTPUT, "cannot write %s", path);
    if (file->side != NULL)
      unlink(file->side);
  } else if (file->side != NULL) {
    sync_folder_of(file->path);
  }
  forget(file);
  return status;
}

void output_abort(OutputFile *file) {
  if (file->stream != NULL)
    close_stream(file);
  if (file->side != NULL)
    unlink(file->side);
  forget(file);
}

/* Read until `size` bytes are there or the file ends; false with errno on failure. */
static bool read_up_to(int descriptor, unsigned char *bytes, size_t size, size_t *got) {
  for (*got = 0; *got < size;) {
    ssize_t part = read(descriptor, bytes + *got, size - *got);
    if (part < 0 && errno == EINTR)
      continue;
    if (part < 0)
      return false;
    if (part == 0)
      break;
    *got += (size_t)part;
  }
  return true;
}

static Status read_descriptor(int descriptor, const char *path, size_t limit, unsigned char **bytes, size_t *size) {
  struct stat about;
  if (fstat(descriptor, &about) != 0)
    return status_from_errno(STATUS_INPUT, "cannot read %s", path);
  if (S_ISDIR(about.st_mode))
    return status_error(STATUS_INPUT, "cannot read %s: it is a folder", path);
  if (!S_ISREG(about.st_mode))
    return status_error(STATUS_INPUT, "cannot read %s: it is not a regular file", path);
  if ((uintmax_t)about.st_size > limit)
    return status_error(STATUS_INPUT, "cannot read %s: it has %jd bytes, more than the %zu allowed", path,
                        (intmax_t)about.st_size, limit);
  *bytes = malloc((size_t)about.st_size + 1);
  if (*bytes == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to read the %jd bytes of %s", (intmax_t)about.st_size, path);
  if (!read_up_to(descriptor, *bytes, (size_t)about.st_size, size)) {
    Status status = status_from_errno(STATUS_INPUT, "cannot read %s", path);
    free(*bytes);
    *bytes = NULL;
    return status;
  }
  (*bytes)[*size] = '\0';
  return status_ok();
}

Status file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size) {
  *bytes = NULL;
  *size = 0;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not block us */
  if (descriptor < 0)
    return status_from_errno(STATUS_INPUT, "cannot read %s", path);
  Status status = read_descriptor(descriptor, path, limit, bytes, size);
  close(descriptor);
  return status;
}

static Status create_one(const char *path) {
  struct stat there;
  if (mkdir(path, 0777) == 0)
    return status_ok();
  if (errno == EEXIST && stat(path, &there) == 0) {
    if (S_ISDIR(there.st_mode))
      return status_ok();
    errno = ENOTDIR;
  }
  return status_from_errno(STATUS_OUTPUT, "cannot create the folder %s", path);
}

Status folder_create(const char *path) {
  char *part = strdup(path);
  Status status = status_ok();
  if (part == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to create the folder %s", path);
  /* Every slash ends the name of a parent, except one at the start or after another slash. */
  for (char *slash = strchr(part, '/'); slash != NULL && status.code == STATUS_OK; slash = strchr(slash + 1, '/')) {
    if (slash == part || slash[-1] == '/')
      continue;
    *slash = '\0';
    status = create_one(part);
    *slash = '/';
  }
  if (status.code == STATUS_OK)
    status = create_one(part);
  free(part);
  return status;
}

char *path_join(const char *folder, const char *name) {
  char *path;
  size_t length = strlen(folder);
  const char *between = length > 0 && folder[length - 1] == '/' ? "" : "/";
  return asprintf(&path, "%s%s%s", folder, between, name) < 0 ? NULL : path;
}

static volatile sig_atomic_t raised;

static void raise_flag(int number) {
  (void)number;
  raised = 1;
}

void interrupt_watch(void) {
  struct sigaction action = {.sa_handler = raise_flag, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

bool interrupt_raised(void) {
  return raised != 0;
}

Status interrupt_check(void) {
  return raised ? status_error(STATUS_INTERRUPTED, "interrupted; what was finished is kept") : status_ok();
}
