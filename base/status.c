/* status.c: sentences for what failed. */
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status status_error(StatusCode code, const char *format, ...) {
  Status status;
  va_list arguments;
  status.code = code;
  va_start(arguments, format);
  vsnprintf(status.message, sizeof status.message, format, arguments);
  va_end(arguments);
  return status;
}

Status status_from_errno(StatusCode code, const char *format, ...) {
  int reason = errno;
  Status status;
  va_list arguments;
  status.code = code;
  va_start(arguments, format);
  vsnprintf(status.message, sizeof status.message, format, arguments);
  va_end(arguments);
  size_t used = strlen(status.message);
  snprintf(status.message + used, sizeof status.message - used, ": %s", strerror(reason));
  return status;
}

void contract_violation(const char *file, int line, const char *condition, const char *format, ...) {
  va_list arguments;
  fprintf(stderr, "seesaw: %s:%d: %s: ", file, line, condition);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  abort();
}
