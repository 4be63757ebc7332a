/* memory.h: how much memory the machine can still give. */
#ifndef SEESAW_MEMORY_H
#define SEESAW_MEMORY_H

#include <stddef.h>

/* memory_available: bytes that a process can take without anything being swapped out (MemAvailable of /proc/meminfo);
 * SIZE_MAX where that is not known. */
size_t memory_available(void);

/* memory_print: "16.1 GB" and the like, into text[32], for messages. Returns text. */
char *memory_print(size_t bytes, char text[32]);

#endif
