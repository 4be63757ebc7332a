/* kernels_names.c: operations by name. */
#include "kernels_names.h"

#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "options.h"

Status operation_check(const char *name) {
  char names[1024] = "model", nearest[64];
  bool known = !*name || strcmp(name, "model") == 0;
  for (size_t i = 0; i < case_count(); i++) {
    size_t used = strlen(names);
    known = known || strcmp(name, case_at(i)->operation) == 0;
    snprintf(names + used, sizeof names - used, ",%s", case_at(i)->operation);
  }
  if (known)
    return status_ok();
  if (options_nearest(name, names, nearest, sizeof nearest))
    return status_error(STATUS_USAGE, "--op %s: there is no such operation; did you mean %s?", name, nearest);
  return status_error(STATUS_USAGE, "--op %s: there is no such operation; reference/ops.h has them all", name);
}
