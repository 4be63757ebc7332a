/* mapped.h: a file as read-only memory, fetched by the system as it is touched. */
#ifndef SEESAW_MAPPED_H
#define SEESAW_MAPPED_H

#include <stddef.h>

#include "status.h"

typedef struct Mapped {
  const unsigned char *bytes; /* NULL when closed, or the file is empty */
  size_t size;
} Mapped;

/* mapped_open: Errors: STATUS_INPUT (missing, a folder, unreadable). A file that is cut short by others while it is
 * mapped kills the process when the missing part is touched: outputs are renamed into place, never rewritten. */
Status mapped_open(Mapped *mapped, const char *path);
void mapped_close(Mapped *mapped);

#endif
