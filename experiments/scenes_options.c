/* scenes_options.c: words that the commands about scenes share. */
#include "scenes_options.h"

#include <stdio.h>
#include <string.h>

Split split_find(const char *name) {
  static const char *const names[SPLIT_COUNT] = {"train", "validation", "test"};
  int split = 0;
  while (split < SPLIT_COUNT && strcmp(names[split], name) != 0)
    split++;
  return (Split)split;
}

Status families_parse(const char *list, unsigned *families) {
  *families = 0;
  if (strcmp(list, "all") == 0)
    *families = (1U << FAMILIES) - 1;
  for (const char *at = list; *families != (1U << FAMILIES) - 1 && *at;) {
    char word[32];
    size_t length = strcspn(at, ",");
    snprintf(word, sizeof word, "%.*s", (int)length, at);
    Family family = family_find(word);
    if (family == FAMILIES)
      return status_error(STATUS_USAGE, "there is no family '%s'; there are exist, relate, reason, read, probe and all",
                          word);
    *families |= 1U << family;
    at += length + (at[length] == ',');
  }
  if (*families == 0)
    return status_error(STATUS_USAGE, "no family of questions is named; there are exist, relate, reason, read, probe");
  return status_ok();
}
