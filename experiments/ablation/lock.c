/* lock.c: locks of folders. */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "files.h"

static Status cannot(const char *folder) {
  return status_error(STATUS_OUTPUT, "cannot lock %s: %s", folder, strerror(errno));
}

Status lock_take(const char *folder, bool waits, int *lock, bool *taken) {
  char *path = path_join(folder, "lock");
  *taken = false;
  *lock = -1;
  if (!path)
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  *lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  free(path);
  if (*lock < 0)
    return cannot(folder);
  while (flock(*lock, waits ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
    if (!waits && errno == EWOULDBLOCK)
      return status_ok();
    if (errno != EINTR)
      return cannot(folder);
    TRY(interrupt_check());
  }
  *taken = true;
  return status_ok();
}

void lock_give(int lock) {
  if (lock >= 0)
    close(lock);
}
