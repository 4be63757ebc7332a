/* memory.c: /proc/meminfo. */
#include "memory.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

size_t memory_available(void) {
  FILE *stream = fopen("/proc/meminfo", "re");
  char line[128];
  uint64_t kilobytes, found = 0;
  if (!stream)
    return SIZE_MAX;
  while (found == 0 && fgets(line, sizeof line, stream))
    if (sscanf(line, "MemAvailable: %" SCNu64, &kilobytes) == 1)
      found = kilobytes;
  fclose(stream);
  return found > 0 && found <= SIZE_MAX / 1024 ? (size_t)found * 1024 : SIZE_MAX;
}

char *memory_print(size_t bytes, char text[32]) {
  static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  double value = (double)bytes;
  int unit = 0;
  for (; value >= 1000.0 && unit < 5; unit++)
    value /= 1000.0;
  snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.3g %s", value, units[unit]);
  return text;
}
