/* train_data.h: the data of a scheme's phases, by name: --data NAME=FILE[:IMAGES[:TEMPLATE]],... */
#ifndef SEESAW_TRAIN_DATA_H
#define SEESAW_TRAIN_DATA_H

#include "feed.h"
#include "scheme.h"

enum { DATA_FILES = 16 };

typedef struct DataFile {
  char *name, *path, *images, *template; /* of the list's own copy; template: "" if it is not given */
} DataFile;

typedef struct DataList {
  DataFile file[DATA_FILES];
  size_t count;
  char *text;
} DataList;

/* data_parse: the list of --data. Without IMAGES it is the folder that FILE lies in. Errors: STATUS_USAGE naming the
 * piece; STATUS_MEMORY. data_free: safe on a zeroed one. */
Status data_parse(DataList *list, const char *text);
void data_free(DataList *list);

/* data_match: every phase has its data, and all data are used. Errors: STATUS_USAGE naming the phase, or the data. */
Status data_match(const DataList *list, const Scheme *scheme);

/* data_open: the feed of a phase. usual: the template of data that name none. Errors: those of feed_files_open and
 * template_choose. */
Status data_open(Feed *feed, const DataList *list, const Phase *phase, const Tokenizer *tokenizer, const char *usual);

#endif
