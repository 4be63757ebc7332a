/* kernels_names.h: operations by name, for the commands that verify and time them. */
#ifndef SEESAW_KERNELS_NAMES_H
#define SEESAW_KERNELS_NAMES_H

#include "status.h"

/* operation_check: is that the name of an operation with a case? Empty: yes. Errors: STATUS_USAGE with the nearest. */
Status operation_check(const char *name);

#endif
