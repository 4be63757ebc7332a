/* relay.h: work in items, done one after the other by a process of its own: what ends that process, or ruins its device
 * for good (a CUDA context after a fault), costs one item, and another process goes on behind it. The program itself
 * never touches the device: a process that has asked for a GPU cannot be forked any more. */
#ifndef SEESAW_RELAY_H
#define SEESAW_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

typedef struct Relay {
  size_t count;   /* of items */
  size_t size;    /* bytes of a report. It goes through a pipe: no pointers but to what was there before */
  double seconds; /* that an item may take, opening the device for it too; 0: any */
  bool here;      /* in this process, for tools that follow no other: a crash or a hang is then its own */
  void *context;

  /* Of the process that works. begin: opens what items need. work: an error ends the process behind this item; report
   * starts as zeros and counts in any case. end: closes; asked for in this process alone. */
  Status (*begin)(void *context);
  Status (*work)(void *context, size_t item, void *report);
  void (*end)(void *context);

  /* Of the program: what came of an item. outcome: work's; or how the process ended, or why there was none to begin. An
   * error ends it all. */
  Status (*take)(void *context, size_t item, const void *report, Status outcome);
} Relay;

/* Its row in an option table. */
#define RELAY_OPTION(here)                                                                                             \
  {                                                                                                                    \
    "one-process", OPTION_FLAG, &(here), NULL,                                                                         \
        "compute in the program's own process, for debuggers and sanitizers that follow no other"                      \
  }

/* relay_run: every item, in order, each taken once. Errors: begin's before the first item, take's;
 * STATUS_INTERRUPTED: the item under way is not taken; STATUS_MEMORY: no process can be started. */
Status relay_run(const Relay *relay);

#endif
