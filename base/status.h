/* status.h: how an operation that can fail says so.
 *
 * Anything that depends on the world (files, options, memory, other programs) returns a Status: a code and one
 * sentence that says what is wrong, where, and what would be right. A mistake of the calling code is different: it
 * cannot be handled, so REQUIRE stops the program at once and names the place. */
#ifndef SEESAW_STATUS_H
#define SEESAW_STATUS_H

#include <stdbool.h>

/* The code doubles as the program's exit status. */
typedef enum {
  STATUS_OK = 0,
  STATUS_CONTRADICTED = 1, /* the program ran, and a measurement contradicts what it was compared with */
  STATUS_USAGE = 2,        /* an option, or a combination of options */
  STATUS_INPUT = 3,        /* a file that cannot be read or does not hold what it should */
  STATUS_OUTPUT = 4,       /* a file that cannot be written */
  STATUS_MEMORY = 5,       /* not enough memory */
  STATUS_UNAVAILABLE = 6,  /* another program or device that is not there, or failed */
  STATUS_NUMERICS = 7,     /* a computation that did not succeed (no convergence, singular) */
  STATUS_INTERRUPTED = 130 /* the user interrupted; what was finished is kept */
} StatusCode;

typedef struct Status {
  StatusCode code;
  char message[508]; /* a whole sentence without the program's name; undefined when code is STATUS_OK */
} Status;

static inline Status status_ok(void) {
  Status status;
  status.code = STATUS_OK;
  return status;
}

/* status_error: a failure with a printf-style sentence; longer text is cut at the end of the message. */
Status status_error(StatusCode code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* status_from_errno: the sentence followed by the meaning of the current errno. */
Status status_from_errno(StatusCode code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* TRY: hand a failure to the caller. */
#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    Status try_status = (call);                                                                                        \
    if (try_status.code != STATUS_OK)                                                                                  \
      return try_status;                                                                                               \
  } while (0)

/* REQUIRE: a contract of the calling code; prints file, line, the condition and the sentence, then aborts. */
#define REQUIRE(condition, ...)                                                                                        \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      contract_violation(__FILE__, __LINE__, #condition, __VA_ARGS__);                                                 \
  } while (0)

_Noreturn void contract_violation(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

#endif
