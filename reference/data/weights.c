/* weights.c: which files make a checkpoint, that they agree with their index, and what a model wants of them. */
#include "weights.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "json.h"
#include "safetensors.h"
#include "torch_bin.h"

/* ---- The index ---- */

/* A line of weight_map. */
typedef struct Listing {
  const char *name, *file;
  bool found;
} Listing;

typedef struct Index {
  const char *path;
  cJSON *json; /* owns the names */
  size_t count, file_count;
  Listing *listings;  /* sorted by name */
  const char **files; /* sorted, each once */
  Arena memory;
} Index;

static int by_name(const void *x, const void *y) {
  return strcmp(((const Listing *)x)->name, ((const Listing *)y)->name);
}

static int by_text(const void *x, const void *y) {
  return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* A file beside the index, and nothing else: no separators, no folder, nothing hidden. */
static bool plain_file(const char *file) {
  return file[0] != '\0' && file[0] != '.' && strpbrk(file, "/\\") == NULL && strstr(file, "..") == NULL;
}

static Status take_listing(Index *index, const cJSON *item) {
  char name[NAME_ROOM], file[NAME_ROOM];
  if (!cJSON_IsString(item))
    return status_error(STATUS_INPUT, "%s: what weight_map has for %s is not the name of a file", index->path,
                        name_print(item->string, name));
  if (!plain_file(item->valuestring))
    return status_error(STATUS_INPUT, "%s: weight_map puts %s into %s, which is not the plain name of a file beside it",
                        index->path, name_print(item->string, name), name_print(item->valuestring, file));
  index->files[index->count] = item->valuestring;
  index->listings[index->count++] = (Listing){.name = item->string, .file = item->valuestring};
  return status_ok();
}

static Status sort_index(Index *index) {
  char name[NAME_ROOM];
  qsort(index->listings, index->count, sizeof *index->listings, by_name);
  for (size_t i = 1; i < index->count; i++)
    if (by_name(&index->listings[i - 1], &index->listings[i]) == 0)
      return status_error(STATUS_INPUT, "%s: weight_map has %s twice", index->path,
                          name_print(index->listings[i].name, name));
  qsort(index->files, index->count, sizeof *index->files, by_text);
  for (size_t i = 0; i < index->count; i++)
    if (i == 0 || strcmp(index->files[i - 1], index->files[i]) != 0)
      index->file_count++;
  for (size_t i = 1, kept = 1; i < index->count; i++) /* in place: what is compared last was kept or is equal to it */
    if (strcmp(index->files[kept - 1], index->files[i]) != 0)
      index->files[kept++] = index->files[i];
  return status_ok();
}

static Status read_index(Index *index, const char *path) {
  index->path = path;
  TRY(json_read(path, &index->json));
  const cJSON *map = cJSON_GetObjectItemCaseSensitive(index->json, "weight_map"), *item;
  size_t count = (size_t)cJSON_GetArraySize(map);
  if (!cJSON_IsObject(map) || count == 0)
    return status_error(STATUS_INPUT, "%s: not an index: it has no weight_map from tensors to files", path);
  TRY(arena_alloc(&index->memory,
                  arena_size(count, sizeof *index->listings) + arena_size(count, sizeof *index->files)));
  index->listings = arena_carve(&index->memory, count, sizeof *index->listings);
  index->files = arena_carve(&index->memory, count, sizeof *index->files);
  cJSON_ArrayForEach(item, map) TRY(take_listing(index, item));
  return sort_index(index);
}

static void index_free(Index *index) {
  cJSON_Delete(index->json);
  arena_free(&index->memory);
}

/* Each tensor of the file is listed in it; `name` is the file's own. */
static Status check_listed(const Index *index, const char *name, const TensorFile *file) {
  char quoted[NAME_ROOM];
  for (size_t i = 0; i < file->count; i++) {
    const Listing key = {.name = file->tensors[i].name};
    Listing *listing = bsearch(&key, index->listings, index->count, sizeof key, by_name);
    if (listing == NULL)
      return status_error(STATUS_INPUT, "%s: the tensor %s is in %s but not in weight_map", index->path,
                          name_print(key.name, quoted), name);
    if (strcmp(listing->file, name) != 0)
      return status_error(STATUS_INPUT, "%s: the tensor %s is in %s, and weight_map says %s", index->path,
                          name_print(key.name, quoted), name, listing->file);
    listing->found = true;
  }
  return status_ok();
}

static Status check_complete(const Index *index) {
  char quoted[NAME_ROOM];
  for (size_t i = 0; i < index->count; i++)
    if (!index->listings[i].found)
      return status_error(STATUS_INPUT, "%s: the tensor %s is not in %s, as weight_map says", index->path,
                          name_print(index->listings[i].name, quoted), index->listings[i].file);
  return status_ok();
}

/* ---- The files ---- */

static Status make_room(Weights *weights, const char *path, size_t file_count) {
  TRY(arena_alloc(&weights->memory, arena_size(strlen(path) + 1, 1) + arena_size(file_count, sizeof *weights->files)));
  weights->path = strcpy(arena_carve(&weights->memory, strlen(path) + 1, 1), path);
  weights->files = arena_carve(&weights->memory, file_count, sizeof *weights->files);
  return status_ok();
}

/* The tensors of all files in one list. */
static Status gather(Weights *weights) {
  size_t total = 0;
  for (size_t i = 0; i < weights->file_count; i++)
    total += weights->files[i].count;
  weights->tensors = malloc((total > 0 ? total : 1) * sizeof *weights->tensors);
  if (weights->tensors == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu tensors of %s", total, weights->path);
  for (size_t i = 0; i < weights->file_count; i++)
    for (size_t k = 0; k < weights->files[i].count; k++)
      weights->tensors[weights->count++] = weights->files[i].tensors[k];
  return named_sort(weights->tensors, weights->count, weights->path);
}

/* A safetensors or a torch file, told apart by how it starts. */
static Status open_tensors(TensorFile *file, const char *path) {
  Mapped mapped;
  *file = (TensorFile){0};
  TRY(mapped_open(&mapped, path));
  bool torch = torch_bin_likely(mapped.bytes, mapped.size);
  mapped_close(&mapped);
  return torch ? torch_bin_open(file, path) : safetensors_open(file, path);
}

static Status open_file(Weights *weights, const char *path) {
  TRY(make_room(weights, path, 1));
  TRY(open_tensors(&weights->files[0], path));
  weights->file_count = 1;
  return gather(weights);
}

static Status open_shard(Weights *weights, const Index *index, const char *folder, const char *name) {
  TensorFile *file = &weights->files[weights->file_count];
  char *path = path_join(folder, name);
  if (path == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to read %s", index->path);
  Status status = open_tensors(file, path);
  free(path);
  TRY(status);
  weights->file_count++;
  return check_listed(index, name, file);
}

static Status open_shards(Weights *weights, const char *path, const char *folder, Index *index) {
  TRY(make_room(weights, path, index->file_count));
  for (size_t i = 0; i < index->file_count; i++)
    TRY(open_shard(weights, index, folder, index->files[i]));
  TRY(check_complete(index));
  return gather(weights);
}

/* `path`: as the caller gave it, for messages. */
static Status open_index(Weights *weights, const char *path, const char *index_path) {
  Index index = {0};
  const char *slash = strrchr(index_path, '/');
  char *folder = slash == NULL ? strdup(".") : strndup(index_path, (size_t)(slash - index_path) + 1);
  if (folder == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to read %s", index_path);
  Status status = read_index(&index, index_path);
  if (status.code == STATUS_OK)
    status = open_shards(weights, path, folder, &index);
  index_free(&index);
  free(folder);
  return status;
}

static bool is_index(const char *path) {
  static const char ending[] = ".index.json";
  size_t length = strlen(path), wanted = sizeof ending - 1;
  return length >= wanted && strcmp(path + length - wanted, ending) == 0;
}

static Status open_folder(Weights *weights, const char *folder) {
  static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                      "pytorch_model.bin.index.json"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char *path = path_join(folder, names[i]);
    if (path == NULL)
      return status_error(STATUS_MEMORY, "not enough memory to read %s", folder);
    bool there = access(path, F_OK) == 0;
    Status status = !there           ? status_ok()
                    : is_index(path) ? open_index(weights, folder, path)
                                     : open_file(weights, path);
    free(path);
    if (there)
      return status;
  }
  return status_error(
      STATUS_INPUT,
      "%s: a folder without weights: there is no model.safetensors, pytorch_model.bin or .index.json of "
      "them",
      folder);
}

Status weights_open(Weights *weights, const char *path) {
  struct stat about;
  *weights = (Weights){0};
  bool folder = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
  Status status = folder           ? open_folder(weights, path)
                  : is_index(path) ? open_index(weights, path, path)
                                   : open_file(weights, path);
  if (status.code != STATUS_OK)
    weights_close(weights);
  return status;
}

void weights_close(Weights *weights) {
  for (size_t i = 0; i < weights->file_count; i++)
    tensor_file_close(&weights->files[i]);
  free(weights->tensors);
  arena_free(&weights->memory);
  *weights = (Weights){0};
}

const NamedTensor *weights_find(const Weights *weights, const char *name) {
  return named_find(weights->tensors, weights->count, name);
}

Status weights_select(Weights *part, const Weights *all, const char *marker, WeightsPlace place) {
  size_t length = strlen(marker);
  *part = (Weights){.path = all->path};
  part->tensors = malloc((all->count > 0 ? all->count : 1) * sizeof *part->tensors);
  if (part->tensors == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu tensors of %s", all->count, all->path);
  for (size_t i = 0; i < all->count; i++) {
    const char *name = all->tensors[i].name, *at = strstr(name, marker);
    if (at == NULL || (place == WEIGHTS_PREFIX && at != name))
      continue;
    part->tensors[part->count] = all->tensors[i];
    part->tensors[part->count++].name = at + length;
  }
  Status status = named_sort(part->tensors, part->count, all->path);
  if (status.code != STATUS_OK)
    weights_close(part);
  return status;
}

/* ---- What a model wants ---- */

typedef enum { MISSING, UNEXPECTED, MISSHAPEN, DIFFERENCES } Difference;

/* Told of each difference: `spec` is NULL for an unexpected tensor, `named` for a missing one. */
typedef void Listener(void *context, Difference difference, const WeightSpec *spec, const NamedTensor *named);

static bool same_shape(const WeightSpec *spec, const NamedTensor *named) {
  bool same = (size_t)spec->rank == named->rank;
  for (size_t i = 0; same && i < named->rank; i++)
    same = spec->size[i] == named_size(named, i);
  return same;
}

static Status compare(const Weights *weights, const WeightSpec *wanted, size_t count, Listener *tell, void *context) {
  bool *met = calloc(weights->count + 1, sizeof *met);
  if (met == NULL)
    return status_error(STATUS_MEMORY, "not enough memory to compare the %zu tensors of %s", weights->count,
                        weights->path);
  for (size_t i = 0; i < count; i++) {
    const WeightSpec *spec = &wanted[i];
    const NamedTensor *named = weights_find(weights, spec->name);
    REQUIRE(spec->rank >= 0 && spec->rank <= TENSOR_RANK, "%s is wanted with rank %d", spec->name, spec->rank);
    if (named != NULL) {
      size_t place = (size_t)(named - weights->tensors);
      REQUIRE(!met[place], "%s is wanted twice", spec->name);
      met[place] = true;
      if (!same_shape(spec, named))
        tell(context, MISSHAPEN, spec, named);
    } else if (!spec->optional) {
      tell(context, MISSING, spec, NULL);
    }
  }
  for (size_t i = 0; i < weights->count; i++)
    if (!met[i])
      tell(context, UNEXPECTED, NULL, &weights->tensors[i]);
  free(met);
  return status_ok();
}

static char *spec_print(const WeightSpec *spec, char text[NAME_ROOM]) {
  size_t used = (size_t)snprintf(text, NAME_ROOM, "(");
  for (int i = 0; i < spec->rank; i++)
    used += (size_t)snprintf(text + used, NAME_ROOM - used, "%s%zu", i > 0 ? ", " : "", spec->size[i]);
  strcpy(text + used, ")"); /* four sizes of 20 digits fit */
  return text;
}

/* Counts, and the first names of each kind as long as there is room. */
typedef struct Summary {
  size_t count[DIFFERENCES], used[DIFFERENCES];
  char names[DIFFERENCES][NAME_ROOM + 64];
} Summary;

static void summarise(void *context, Difference difference, const WeightSpec *spec, const NamedTensor *named) {
  Summary *summary = context;
  char name[NAME_ROOM], wanted[NAME_ROOM], there[NAME_ROOM], text[4 * NAME_ROOM];
  char *names = summary->names[difference];
  size_t *used = &summary->used[difference], first = summary->count[difference]++ == 0;
  name_print(spec != NULL ? spec->name : named->name, name);
  int length = snprintf(text, sizeof text, "%s%s", first ? ": " : ", ", name);
  if (difference == MISSHAPEN)
    length += snprintf(text + length, sizeof text - (size_t)length, " is %s and not %s", named_print(named, there),
                       spec_print(spec, wanted));
  if (*used + (size_t)length + sizeof ", ..." <= sizeof summary->names[0]) {
    strcpy(names + *used, text);
    *used += (size_t)length;
  } else if (*used < sizeof summary->names[0]) {
    strcpy(names + *used, first ? ": ..." : ", ...");
    *used = sizeof summary->names[0]; /* and no more */
  }
}

Status weights_match(const Weights *weights, const WeightSpec *wanted, size_t count) {
  Summary summary = {0};
  TRY(compare(weights, wanted, count, summarise, &summary));
  if (summary.count[MISSING] + summary.count[UNEXPECTED] + summary.count[MISSHAPEN] == 0)
    return status_ok();
  return status_error(STATUS_INPUT,
                      "%s: the tensors are not the model's; missing %zu%s; unexpected %zu%s; misshapen %zu%s",
                      weights->path, summary.count[MISSING], summary.names[MISSING], summary.count[UNEXPECTED],
                      summary.names[UNEXPECTED], summary.count[MISSHAPEN], summary.names[MISSHAPEN]);
}

typedef struct Listed {
  FILE *stream;
  size_t count[DIFFERENCES];
} Listed;

static void list(void *context, Difference difference, const WeightSpec *spec, const NamedTensor *named) {
  Listed *listed = context;
  char wanted[NAME_ROOM] = "", there[NAME_ROOM] = "", name[NAME_ROOM];
  listed->count[difference]++;
  if (listed->stream == NULL)
    return;
  name_print(spec != NULL ? spec->name : named->name, name);
  if (spec != NULL)
    spec_print(spec, wanted);
  if (named != NULL)
    named_print(named, there);
  if (difference == MISSHAPEN)
    fprintf(listed->stream, "misshapen %s: %s, wanted %s\n", name, there, wanted);
  else
    fprintf(listed->stream, "%s %s: %s\n", difference == MISSING ? "missing" : "unexpected", name,
            difference == MISSING ? wanted : there);
}

Status weights_diff(const Weights *weights, const WeightSpec *wanted, size_t count, FILE *stream, WeightsDiff *diff) {
  Listed listed = {.stream = stream};
  *diff = (WeightsDiff){0};
  TRY(compare(weights, wanted, count, list, &listed));
  *diff = (WeightsDiff){listed.count[MISSING], listed.count[UNEXPECTED], listed.count[MISSHAPEN]};
  return status_ok();
}
