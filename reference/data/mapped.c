/* mapped.c: mmap of a regular file. */
#include "mapped.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static Status map(Mapped *mapped, int descriptor, const char *path) {
  struct stat file;
  if (fstat(descriptor, &file) != 0)
    return status_from_errno(STATUS_INPUT, "cannot read %s", path);
  if (!S_ISREG(file.st_mode))
    return status_error(STATUS_INPUT, "cannot read %s: it is not a regular file", path);
  if (file.st_size == 0)
    return status_ok();
  void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (bytes == MAP_FAILED)
    return status_from_errno(STATUS_INPUT, "cannot map %s", path);
  *mapped = (Mapped){.bytes = bytes, .size = (size_t)file.st_size};
  return status_ok();
}

Status mapped_open(Mapped *mapped, const char *path) {
  *mapped = (Mapped){0};
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return status_from_errno(STATUS_INPUT, "cannot read %s", path);
  Status status = map(mapped, descriptor, path);
  close(descriptor);
  return status;
}

void mapped_close(Mapped *mapped) {
  if (mapped->bytes)
    munmap((void *)mapped->bytes, mapped->size);
  *mapped = (Mapped){0};
}
