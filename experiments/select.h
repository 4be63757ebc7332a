/* select.h: what several commands of the theory take: a list of methods, and the methods' own parameters. */
#ifndef SEESAW_SELECT_H
#define SEESAW_SELECT_H

#include "method.h"
#include "options.h"

enum { METHODS_MOST = 32 };

/* select_methods: "gd,altgd" or "all" to the methods of those names, in the order given, at most METHODS_MOST.
 * Errors: STATUS_USAGE for an unknown, repeated or missing name, with the nearest one. */
Status select_methods(const char *list, const MethodType *methods[METHODS_MOST], size_t *count);

/* Rows of an option table for MethodParameters, all but the step. */
#define METHOD_OPTIONS(parameters)                                                                                     \
  {                                                                                                                    \
      "momentum", OPTION_REAL, &(parameters).momentum, "MU", "heavy-ball coefficient of momentum, in [0, 1)",          \
      0,          0.999999},                                                                                           \
      {"balance-cap", OPTION_REAL, &(parameters).balance_cap, "F", "balance rescales by at most F a step", 1, 1e9}, {  \
    "soft-period", OPTION_REAL, &(parameters).soft_period, "T", "period of soft's lambda(t), in whole steps", 2, 1e9   \
  }

#endif
