/* sweep_journal.c: finished tiles on disk, one file a rank: OUT.partial-RANK.
 *
 * A header that names the plan, then a record a tile, appended whole: its index, its rows and a checksum. A process
 * killed while it writes leaves a torn last record, which is passed over and then cut off. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "progress.h"
#include "sweep_internal.h"

typedef struct Header {
  char magic[24];
  uint64_t plan, tiles;
} Header;

static const char MAGIC[24] = "seesaw sweep journal 1\n";
static const size_t LARGEST_JOURNAL = (size_t)1 << 36;

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
  const unsigned char *byte = bytes;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* ---- the ledger ---- */

Status ledger_alloc(const SweepPlan *plan, uint64_t hash, Ledger *ledger) {
  *ledger = (Ledger){.plan = hash, .tiles = tile_count(plan)};
  ledger->done = calloc(ledger->tiles, sizeof *ledger->done);
  ledger->rows = calloc(ledger->tiles, sizeof *ledger->rows);
  if (ledger->done && ledger->rows)
    return status_ok();
  ledger_free(ledger);
  return status_error(STATUS_MEMORY, "not enough memory for %zu tiles", tile_count(plan));
}

void ledger_free(Ledger *ledger) {
  for (size_t i = 0; ledger->rows && i < ledger->tiles; i++)
    free(ledger->rows[i]);
  free(ledger->done);
  free(ledger->rows);
  *ledger = (Ledger){0};
}

/* ---- records ---- */

static size_t record_size(size_t rows) {
  return sizeof(uint64_t) + rows * sizeof(Row) + sizeof(uint64_t);
}

/* index, rows, checksum of both */
static void record_write(unsigned char *record, uint64_t tile, const Row *rows, size_t count) {
  size_t body = record_size(count) - sizeof(uint64_t);
  memcpy(record, &tile, sizeof tile);
  memcpy(record + sizeof tile, rows, count * sizeof *rows);
  uint64_t sum = hash_bytes(HASH_START, record, body);
  memcpy(record + body, &sum, sizeof sum);
}

static Status ledger_take(Ledger *ledger, size_t tile, const void *rows, size_t count) {
  if (ledger->done[tile])
    return status_ok();
  ledger->rows[tile] = malloc(count * sizeof(Row));
  if (!ledger->rows[tile])
    return status_error(STATUS_MEMORY, "not enough memory for the rows of a tile");
  memcpy(ledger->rows[tile], rows, count * sizeof(Row));
  ledger->done[tile] = true;
  ledger->finished++;
  return status_ok();
}

/* The whole record at `bytes`; its size, or 0 when there is none, only a torn one or nothing. */
static size_t record_read(const SweepPlan *plan, const Ledger *ledger, const unsigned char *bytes, size_t size,
                          uint64_t *tile, size_t *count) {
  uint64_t sum;
  if (size < sizeof *tile)
    return 0;
  memcpy(tile, bytes, sizeof *tile);
  if (*tile >= ledger->tiles)
    return 0;
  *count = tile_at(plan, *tile).count;
  size_t whole = record_size(*count);
  if (size < whole)
    return 0;
  memcpy(&sum, bytes + whole - sizeof sum, sizeof sum);
  return sum == hash_bytes(HASH_START, bytes, whole - sizeof sum) ? whole : 0;
}

/* ---- one journal ---- */

static Status check_header(const char *path, const Ledger *ledger, const unsigned char *bytes) {
  Header header;
  memcpy(&header, bytes, sizeof header);
  if (memcmp(header.magic, MAGIC, sizeof MAGIC) != 0)
    return status_error(STATUS_USAGE,
                        "%s is in the way: it is not this version's journal of a sweep; remove it, or "
                        "choose another --out",
                        path);
  if (header.plan != ledger->plan || header.tiles != ledger->tiles)
    return status_error(STATUS_USAGE,
                        "%s is the journal of an unfinished sweep with other options; finish that one "
                        "first, remove the file, or choose another --out",
                        path);
  return status_ok();
}

/* Go through a journal's bytes; *good: up to where they are whole (0: not even the header). into: takes the tiles, or
 * NULL. */
static Status scan(const SweepPlan *plan, const char *path, const unsigned char *bytes, size_t size,
                   const Ledger *ledger, Ledger *into, size_t *good) {
  *good = 0;
  if (size < sizeof(Header))
    return status_ok();
  TRY(check_header(path, ledger, bytes));
  *good = sizeof(Header);
  uint64_t tile;
  size_t count;
  for (size_t part; (part = record_read(plan, ledger, bytes + *good, size - *good, &tile, &count)) > 0; *good += part)
    if (into)
      TRY(ledger_take(into, tile, bytes + *good + sizeof tile, count));
  return status_ok();
}

static Status read_journal(const SweepPlan *plan, const char *path, const Ledger *ledger, Ledger *into, size_t *good) {
  unsigned char *bytes;
  size_t size;
  TRY(file_read(path, LARGEST_JOURNAL, &bytes, &size));
  Status status = scan(plan, path, bytes, size, ledger, into, good);
  free(bytes);
  return status;
}

/* ---- all journals beside an output ---- */

/* OUT.partial-N in the folder of OUT: calls visit with each one's path. */
static Status each_journal(const char *output, Status (*visit)(const char *path, void *context), void *context) {
  const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
  char *folder = slash ? strndup(output, (size_t)(slash - output) + 1) : strdup("./"), *prefix = NULL;
  Status status = status_ok();
  DIR *listing = folder ? opendir(folder) : NULL;
  if (!folder || asprintf(&prefix, "%s.partial-", name) < 0)
    status = status_error(STATUS_MEMORY, "not enough memory to list the journals of %s", output);
  else if (!listing)
    status = status_from_errno(STATUS_OUTPUT, "cannot write %s: cannot list its folder", output);
  for (struct dirent *entry; status.code == STATUS_OK && (entry = readdir(listing)) != NULL;) {
    const char *rank = entry->d_name + strlen(prefix);
    if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || *rank == '\0' ||
        strspn(rank, "0123456789") != strlen(rank))
      continue;
    char *path = path_join(folder, entry->d_name);
    status = path ? visit(path, context) : status_error(STATUS_MEMORY, "not enough memory to list %s", folder);
    free(path);
  }
  if (listing)
    closedir(listing);
  free(prefix);
  free(folder);
  return status;
}

typedef struct Reading {
  const SweepPlan *plan;
  Ledger *ledger;
} Reading;

static Status read_one(const char *path, void *context) {
  Reading *reading = context;
  size_t good;
  return read_journal(reading->plan, path, reading->ledger, reading->ledger, &good);
}

Status ledger_read(const SweepPlan *plan, const char *output, Ledger *ledger) {
  return each_journal(output, read_one, &(Reading){plan, ledger});
}

static Status remove_one(const char *path, void *context) {
  (void)context;
  unlink(path);
  return status_ok();
}

void journals_remove(const char *output) {
  each_journal(output, remove_one, NULL); /* what cannot be removed does no harm: the output is finished */
}

/* ---- writing ---- */

static Status cannot_write(const Journal *journal) {
  return status_from_errno(STATUS_OUTPUT, "cannot write %s", journal->path);
}

/* All of it or, as far as we can, nothing. */
static Status append(Journal *journal, const void *bytes, size_t size) {
  off_t start = lseek(journal->descriptor, 0, SEEK_END);
  for (size_t done = 0; done < size;) {
    ssize_t part = write(journal->descriptor, (const char *)bytes + done, size - done);
    if (part < 0 && errno == EINTR)
      continue;
    if (part < 0) {
      Status status = cannot_write(journal);
      if (ftruncate(journal->descriptor, start) != 0)
        return status; /* the torn record is passed over by whoever reads it */
      return status;
    }
    done += (size_t)part;
  }
  return status_ok();
}

static Status prepare(const SweepPlan *plan, const Ledger *ledger, Journal *journal) {
  size_t good;
  if (flock(journal->descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return status_error(STATUS_OUTPUT, "%s is in use: another sweep is at work on this output", journal->path);
  TRY(read_journal(plan, journal->path, ledger, NULL, &good));
  if (ftruncate(journal->descriptor, (off_t)good) != 0)
    return cannot_write(journal);
  if (good > 0)
    return status_ok();
  Header header = {.plan = ledger->plan, .tiles = ledger->tiles};
  memcpy(header.magic, MAGIC, sizeof MAGIC);
  return append(journal, &header, sizeof header);
}

Status journal_open(const SweepPlan *plan, const char *output, int rank, const Ledger *ledger, Journal *journal) {
  *journal = (Journal){.descriptor = -1, .synced = clock_seconds()};
  if (asprintf(&journal->path, "%s.partial-%d", output, rank) < 0) {
    journal->path = NULL;
    return status_error(STATUS_MEMORY, "not enough memory to open the journal of %s", output);
  }
  journal->descriptor = open(journal->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  Status status = journal->descriptor < 0 ? cannot_write(journal) : prepare(plan, ledger, journal);
  if (status.code != STATUS_OK)
    journal_close(journal);
  return status;
}

Status journal_append(Journal *journal, size_t tile, const Row *rows, size_t count) {
  unsigned char *record = malloc(record_size(count));
  if (!record)
    return status_error(STATUS_MEMORY, "not enough memory to keep a tile of %zu rows", count);
  record_write(record, tile, rows, count);
  Status status = append(journal, record, record_size(count));
  free(record);
  if (status.code == STATUS_OK && clock_seconds() - journal->synced >= 1) {
    if (fdatasync(journal->descriptor) != 0)
      status = cannot_write(journal);
    journal->synced = clock_seconds();
  }
  return status;
}

Status journal_close(Journal *journal) {
  Status status = status_ok();
  if (journal->descriptor >= 0) {
    bool synced = fdatasync(journal->descriptor) == 0;
    bool closed = close(journal->descriptor) == 0;
    if (!synced || !closed)
      status = cannot_write(journal);
  }
  free(journal->path);
  *journal = (Journal){.descriptor = -1};
  return status;
}
