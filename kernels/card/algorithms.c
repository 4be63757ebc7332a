/* algorithms.c: the table is a list with a hash over it; the file is that list in words.
 *
 *   seesaw algorithms 1
 *   NVIDIA H100 80GB HBM3, compute capability 9.0, cuBLASLt 130100
 *   bits bits_d turned_a ... align_d algorithm
 *   16 16 0 1 1 0 4608 4096 1024 1024 1024 4096 4096 256 256 256 256 0000000000000042 ...
 *   digest 0123456789abcdef
 *
 * Nothing of it is believed before the digest fits, and a line only if it is what would be written for what it says. */
#include "algorithms.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include "files.h"

enum {
  FIELDS = sizeof(AlgorithmKey) / sizeof(uint64_t),
  WORDS = sizeof(Algorithm) / sizeof(uint64_t),
  SLOTS = 2 * ALGORITHMS_MOST, /* half of them stay empty, so a search ends soon */
  LINE_ROOM = 512,             /* 17 numbers of 20 digits and 8 words of 16 */
  DIGEST_LINE = 24,            /* bytes of the last line */
  NAME_ROOM = 256,
};
static const size_t file_most = (size_t)ALGORITHMS_MOST * LINE_ROOM + 4096;
static const char title[] = "seesaw algorithms 1\n";
static const char columns[] = "bits bits_d turned_a turned_b bias add m n k pitch_a pitch_b pitch_c pitch_d align_a "
                              "align_b align_c align_d algorithm\n";

/* ---- the table ---- */

/* The slot of a key, or the empty one where it would be. */
static uint16_t *slot_of(const AlgorithmTable *table, const AlgorithmKey *key) {
  size_t i = XXH3_64bits(key, sizeof *key) % SLOTS;
  while (table->slot[i] && memcmp(&table->entry[table->slot[i] - 1].key, key, sizeof *key) != 0)
    i = (i + 1) % SLOTS;
  return &table->slot[i];
}

const Algorithm *algorithm_find(const AlgorithmTable *table, const AlgorithmKey *key) {
  uint16_t place = table->count > 0 ? *slot_of(table, key) : 0;
  return place ? &table->entry[place - 1].algorithm : NULL;
}

/* All the room at once: pages that are never touched cost nothing. */
static bool make_room(AlgorithmTable *table) {
  if (table->entry)
    return true;
  table->entry = calloc(ALGORITHMS_MOST, sizeof *table->entry);
  table->slot = calloc(SLOTS, sizeof *table->slot);
  if (table->entry && table->slot)
    return true;
  algorithms_clear(table);
  return false;
}

bool algorithm_put(AlgorithmTable *table, const AlgorithmKey *key, const Algorithm *algorithm) {
  if (!make_room(table))
    return false;
  uint16_t *place = slot_of(table, key);
  if (*place == 0) {
    if (table->count == ALGORITHMS_MOST)
      return false;
    table->entry[table->count].key = *key;
    *place = (uint16_t)++table->count;
  }
  table->entry[*place - 1].algorithm = *algorithm;
  return true;
}

void algorithms_clear(AlgorithmTable *table) {
  free(table->entry);
  free(table->slot);
  *table = (AlgorithmTable){0};
}

static uint64_t leading_bits(uint64_t x) {
  int drop = 0;
  while (x >> drop >= 16)
    drop++;
  return x >> drop << drop;
}

AlgorithmKey algorithm_key_coarse(const AlgorithmKey *key) {
  AlgorithmKey coarse = *key;
  coarse.m = leading_bits(key->m);
  coarse.k = leading_bits(key->k);
  return coarse;
}

/* ---- the file's name ---- */

/* Letters, digits and dots of the identity; what is between them becomes one dash. */
static void print_name(const char *identity, char name[NAME_ROOM]) {
  size_t used = (size_t)snprintf(name, NAME_ROOM, "algorithms-1");
  for (bool between = true; *identity && used < NAME_ROOM - 6; identity++) {
    bool plain = isalnum((unsigned char)*identity) || *identity == '.';
    if (plain && between)
      name[used++] = '-';
    if (plain)
      name[used++] = *identity;
    between = !plain;
  }
  memcpy(name + used, ".txt", 5);
}

Status algorithms_path(const char *identity, char **path) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  bool given = cache && *cache == '/'; /* relative ones are to be ignored, says the XDG Base Directory Specification */
  char name[NAME_ROOM], *folder = NULL;
  *path = NULL;
  if (!given && !(home && *home))
    return status_error(STATUS_USAGE, "neither XDG_CACHE_HOME nor HOME says where algorithms are kept: name a file");
  print_name(identity, name);
  if (asprintf(&folder, "%s%s/seesaw", given ? cache : home, given ? "" : "/.cache") < 0)
    return status_error(STATUS_MEMORY, "not enough memory for the name of a file");
  Status status = folder_create(folder);
  if (status.code == STATUS_OK)
    *path = path_join(folder, name);
  free(folder);
  if (status.code == STATUS_OK && !*path)
    status = status_error(STATUS_MEMORY, "not enough memory for the name of a file");
  return status;
}

/* ---- a line ---- */

static int print_entry(const AlgorithmEntry *entry, char line[LINE_ROOM]) {
  uint64_t field[FIELDS];
  int used = 0;
  memcpy(field, &entry->key, sizeof field);
  for (int i = 0; i < FIELDS; i++)
    used += snprintf(line + used, LINE_ROOM - (size_t)used, "%" PRIu64 " ", field[i]);
  for (int i = 0; i < WORDS; i++)
    used += snprintf(line + used, LINE_ROOM - (size_t)used, "%016" PRIx64 "%c", entry->algorithm.word[i],
                     i + 1 < WORDS ? ' ' : '\n');
  return used;
}

/* *text is behind the line if it was one. */
static bool parse_entry(const char **text, AlgorithmEntry *entry) {
  char line[LINE_ROOM], *end = (char *)*text;
  uint64_t field[FIELDS];
  for (int i = 0; i < FIELDS; i++)
    field[i] = strtoull(end, &end, 10);
  for (int i = 0; i < WORDS; i++)
    entry->algorithm.word[i] = strtoull(end, &end, 16);
  memcpy(&entry->key, field, sizeof field);
  size_t size = (size_t)print_entry(entry, line);
  bool same = strncmp(*text, line, size) == 0;
  *text += same ? size : 0;
  return same;
}

/* ---- the file ---- */

static void print_digest(const char *text, size_t size, char line[DIGEST_LINE + 1]) {
  snprintf(line, DIGEST_LINE + 1, "digest %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, size));
}

/* What a file is to us: one of ours, what was one, or none to touch. */
typedef enum { FILE_OURS, FILE_DAMAGED, FILE_FOREIGN } Condition;

static bool skip(const char **text, const char *word) {
  size_t size = strlen(word);
  bool there = strncmp(*text, word, size) == 0;
  *text += there ? size : 0;
  return there;
}

static bool digest_fits(const char *text, size_t size) {
  char digest[DIGEST_LINE + 1];
  if (size < DIGEST_LINE)
    return false;
  print_digest(text, size - DIGEST_LINE, digest);
  return memcmp(text + size - DIGEST_LINE, digest, DIGEST_LINE) == 0;
}

/* Into an empty table. text ends with a zero byte that size does not count. */
static Status parse(AlgorithmTable *table, const char *path, const char *text, size_t size, const char *identity,
                    Condition *condition) {
  const char *rest = text;
  AlgorithmEntry entry;
  *condition = FILE_FOREIGN;
  if (!skip(&rest, title) && (size >= sizeof title - 1 || memcmp(text, title, size) != 0))
    return status_error(STATUS_INPUT, "%s is no file of algorithms, or one of another version of this program", path);
  *condition = FILE_DAMAGED;
  if (!digest_fits(text, size))
    return status_error(STATUS_INPUT, "%s is damaged or was cut short", path);
  *condition = FILE_FOREIGN;
  if (!skip(&rest, identity) || !skip(&rest, "\n"))
    return status_error(STATUS_INPUT, "%s is not for this device and library: %s", path, identity);
  *condition = FILE_DAMAGED;
  bool good = skip(&rest, columns);
  while (good && rest < text + size - DIGEST_LINE)
    good = parse_entry(&rest, &entry) && algorithm_put(table, &entry.key, &entry.algorithm);
  if (!good)
    return status_error(STATUS_INPUT, "%s holds a line that is no algorithm, or more than %d of them", path,
                        ALGORITHMS_MOST);
  *condition = FILE_OURS;
  return status_ok();
}

/* Into an empty table; without a file it stays so. */
static Status load(AlgorithmTable *table, const char *path, const char *identity, Condition *condition) {
  unsigned char *bytes;
  size_t size;
  *condition = FILE_OURS;
  if (access(path, F_OK) != 0 && errno == ENOENT)
    return status_ok();
  *condition = FILE_FOREIGN;
  TRY(file_read(path, file_most, &bytes, &size));
  Status status = parse(table, path, (const char *)bytes, size, identity, condition);
  free(bytes);
  if (status.code != STATUS_OK)
    algorithms_clear(table);
  return status;
}

Status algorithms_read(AlgorithmTable *table, const char *path, const char *identity) {
  Condition condition;
  algorithms_clear(table);
  return load(table, path, identity, &condition);
}

static Status write_table(const AlgorithmTable *table, const char *path, const char *identity) {
  char line[LINE_ROOM], digest[DIGEST_LINE + 1], *text = NULL;
  size_t size;
  OutputFile file;
  FILE *stream = open_memstream(&text, &size);
  if (!stream)
    return status_error(STATUS_MEMORY, "not enough memory to write %s", path);
  fprintf(stream, "%s%s\n%s", title, identity, columns);
  for (size_t i = 0; i < table->count; i++)
    fwrite(line, 1, (size_t)print_entry(&table->entry[i], line), stream);
  bool whole = fclose(stream) == 0;
  Status status = whole ? output_open(&file, path) : status_error(STATUS_MEMORY, "not enough memory to write %s", path);
  if (status.code == STATUS_OK) {
    print_digest(text, size, digest);
    fwrite(text, 1, size, file.stream);
    fputs(digest, file.stream);
    status = output_commit(&file);
  }
  free(text);
  return status;
}

/* From now on other processes wait, until it is closed. -1 where that cannot be: then the last of two that write at
 * once wins, and what they may do to each other's side file shows in the digest. */
static int lock(const char *path) {
  char name[4096];
  bool fits = (size_t)snprintf(name, sizeof name, "%s.lock", path) < sizeof name;
  int descriptor = fits ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
  if (descriptor >= 0)
    (void)flock(descriptor, LOCK_EX);
  return descriptor;
}

/* What is on the disk, what is in the table besides, and the new one. */
static Status merge(const AlgorithmTable *table, const char *path, const char *identity, const AlgorithmKey *key,
                    Algorithm *algorithm) {
  AlgorithmTable all = {0};
  Condition condition;
  Status status = load(&all, path, identity, &condition);
  if (condition == FILE_FOREIGN)
    return status_error(STATUS_OUTPUT, "%s: it stays as it is", status.message);
  const Algorithm *there = algorithm_find(&all, key);
  bool room = true;
  if (there)
    *algorithm = *there;
  for (size_t i = 0; i < table->count && room; i++)
    if (!algorithm_find(&all, &table->entry[i].key))
      room = algorithm_put(&all, &table->entry[i].key, &table->entry[i].algorithm);
  room = room && algorithm_put(&all, key, algorithm);
  status = room ? write_table(&all, path, identity)
                : status_error(STATUS_OUTPUT, "%s has no room for more than %d algorithms", path, ALGORITHMS_MOST);
  algorithms_clear(&all);
  return status;
}

Status algorithms_keep(AlgorithmTable *table, const char *path, const char *identity, const AlgorithmKey *key,
                       Algorithm *algorithm) {
  int descriptor = lock(path);
  Status status = merge(table, path, identity, key, algorithm);
  if (descriptor >= 0)
    close(descriptor);
  (void)algorithm_put(table, key, algorithm); /* full: it is only asked for again */
  return status;
}
