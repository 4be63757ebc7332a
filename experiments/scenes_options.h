/* scenes_options.h: words that the commands about scenes share. */
#ifndef SEESAW_SCENES_OPTIONS_H
#define SEESAW_SCENES_OPTIONS_H

#include "questions.h"

/* split_find: SPLIT_COUNT if there is none of that name. */
Split split_find(const char *name);

/* families_parse: "exist,read" or "all" to bits 1 << Family. Errors: STATUS_USAGE naming the word. */
Status families_parse(const char *list, unsigned *families);

#endif
