/* select.c: a list of methods from its text. */
#include "select.h"

#include <string.h>

static Status add_method(const char *name, const MethodType *methods[METHODS_MOST], size_t *count) {
  const MethodType *type = method_find(name);
  char nearest[64];
  if (!type && options_nearest(name, method_names(), nearest, sizeof nearest))
    return status_error(STATUS_USAGE, "--method: there is no method '%s'; did you mean '%s'?", name, nearest);
  if (!type)
    return status_error(STATUS_USAGE, "--method: there is no method '%s'; there are %s", name, method_names());
  for (size_t i = 0; i < *count; ++i)
    if (methods[i] == type)
      return status_error(STATUS_USAGE, "--method: '%s' stands twice in the list", name);
  methods[(*count)++] = type;
  return status_ok();
}

Status select_methods(const char *list, const MethodType *methods[METHODS_MOST], size_t *count) {
  *count = 0;
  if (strcmp(list, "all") == 0)
    list = method_names();
  for (const char *start = list;;) {
    size_t length = strcspn(start, ",");
    char name[64];
    if (length >= sizeof name || *count == METHODS_MOST)
      return status_error(STATUS_USAGE, "--method: '%.40s...' is not a list of methods", list);
    memcpy(name, start, length);
    name[length] = '\0';
    TRY(add_method(name, methods, count));
    if (start[length] == '\0')
      return status_ok();
    start += length + 1;
  }
}
