/* lock.h: one worker at a time, by a lock on a file that ends with the process, however it ends. */
#ifndef SEESAW_LOCK_H
#define SEESAW_LOCK_H

#include <stdbool.h>

#include "status.h"

/* lock_take: of FOLDER/lock. waits: until it is free; else *taken tells whether it is ours now. lock: -1, or what
 * lock_give takes back. Errors: STATUS_OUTPUT, STATUS_MEMORY, STATUS_INTERRUPTED while waiting. */
Status lock_take(const char *folder, bool waits, int *lock, bool *taken);
void lock_give(int lock);

#endif
