/* train_data.c: the data of a scheme's phases, by name. */
#include "train_data.h"

#include <stdlib.h>
#include <string.h>

#include "model_open.h"

static char empty[] = "";

/* The piece before the next `end`, cut off; "" if there is none. */
static char *cut(char **rest, char end) {
  char *piece = *rest, *at = strchr(piece, end);
  if (!*piece)
    return empty;
  *rest = at ? at + 1 : piece + strlen(piece);
  if (at)
    *at = '\0';
  return piece;
}

static Status parse_file(DataList *list, char *piece) {
  if (list->count == DATA_FILES)
    return status_error(STATUS_USAGE, "--data has more than %d files", DATA_FILES);
  DataFile *file = &list->file[list->count];
  char *path = strchr(piece, '=');
  if (!path || path == piece || !path[1])
    return status_error(STATUS_USAGE, "--data must be NAME=FILE[:IMAGES[:TEMPLATE]],..., not '%s'", piece);
  *path++ = '\0';
  file->name = piece;
  file->path = cut(&path, ':');
  file->images = cut(&path, ':');
  file->template = path;
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->file[i].name, file->name) == 0)
      return status_error(STATUS_USAGE, "--data has '%s' twice", file->name);
  list->count++;
  return status_ok();
}

Status data_parse(DataList *list, const char *text) {
  *list = (DataList){.text = strdup(text)};
  if (!list->text)
    return status_error(STATUS_MEMORY, "not enough memory for --data");
  for (char *rest = list->text, *piece = cut(&rest, ','); *piece; piece = cut(&rest, ',')) {
    Status status = parse_file(list, piece);
    if (status.code != STATUS_OK) {
      data_free(list);
      return status;
    }
  }
  return status_ok();
}

void data_free(DataList *list) {
  free(list->text);
  *list = (DataList){0};
}

static const DataFile *find(const DataList *list, const char *name) {
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->file[i].name, name) == 0)
      return &list->file[i];
  return NULL;
}

Status data_match(const DataList *list, const Scheme *scheme) {
  for (size_t i = 0; i < scheme->count; i++)
    if (!find(list, scheme->phases[i].data))
      return status_error(STATUS_USAGE, "phase %s learns from '%s'; --data %s=FILE says where that is",
                          scheme->phases[i].name, scheme->phases[i].data, scheme->phases[i].data);
  for (size_t i = 0; i < list->count; i++) {
    bool used = false;
    for (size_t j = 0; j < scheme->count; j++)
      used = used || strcmp(scheme->phases[j].data, list->file[i].name) == 0;
    if (!used)
      return status_error(STATUS_USAGE, "no phase of scheme %s learns from '%s' of --data", scheme->name,
                          list->file[i].name);
  }
  return status_ok();
}

/* The folder that a file lies in; the caller frees. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

Status data_open(Feed *feed, const DataList *list, const Phase *phase, const Tokenizer *tokenizer, const char *usual) {
  const DataFile *file = find(list, phase->data);
  FeedFilesPlan plan = {.data = file->path, .tokenizer = tokenizer};
  plan.longest = phase->longest > 0 ? phase->longest : SIZE_MAX;
  TRY(template_choose(tokenizer, *file->template ? file->template : usual, &plan.template));
  char *images = *file->images ? strdup(file->images) : folder_of(file->path);
  if (!images)
    return status_error(STATUS_MEMORY, "not enough memory for the data '%s'", file->name);
  plan.images = images;
  Status status = feed_files_open(feed, &plan);
  free(images);
  return status;
}
