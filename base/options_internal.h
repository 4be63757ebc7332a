/* options_internal.h: what the three files of the options share: options.c (reading), options_value.c (one value),
 * options_help.c (help and man page). */
#ifndef SEESAW_OPTIONS_INTERNAL_H
#define SEESAW_OPTIONS_INTERNAL_H

#include "options.h"

/* The options that every command has, below its own; their values are NULL. */
enum { BUILTIN_HELP, BUILTIN_MAN, BUILTIN_CONFIG, BUILTIN_COUNT };
extern const Option options_builtin[BUILTIN_COUNT];

/* The rows of a command's table, without the ending one. options_shadowed: the command has an option of its own of the
 * name of this built-in one, which it then lacks. */
size_t options_count(const Command *command);
bool options_shadowed(const Command *command, size_t builtin);

/* option_set: check `text` and store it. For OPTION_TEXT and OPTION_CHOICE the pointer itself is stored. A flag takes
 * yes, no, true or false. `prefix` ("--", or "" in a config file) goes before the name in messages, and the error's
 * code is `code`. */
Status option_set(const Option *option, const char *text, const char *prefix, StatusCode code);

/* option_print: the value as one would type it, allocated; NULL when memory is out. A flag is "yes" or "no". */
char *option_print(const Option *option);

/* option_argument: how messages and help name the option's argument. */
const char *option_argument(const Option *option);

/* option_range: "between 1 and 10", "greater than 0", ...; "" when there is no range. */
enum { RANGE_ROOM = 96 };
void option_range(const Option *option, char text[RANGE_ROOM]);

#endif
