/* zip.c: the directory at the archive's end, and for each entry the local header in front of its bytes.
 *
 * Numbers that do not fit their field (all ones) stand in the entry's zip64 extra field, in a fixed order. */
#include "zip.h"

#include <stdlib.h>
#include <string.h>

#include "number.h"

enum {
  END_SIZE = 22,       /* end of the directory */
  LOCATOR_SIZE = 20,   /* in front of it: where its zip64 version is */
  END64_SIZE = 56,     /* the zip64 version, without what may be appended */
  DIRECTORY_SIZE = 46, /* an entry in the directory, without name and extra fields */
  LOCAL_SIZE = 30      /* the same in front of the bytes */
};

typedef struct Archive {
  const char *path;
  const unsigned char *bytes;
  size_t size;
  uint64_t count, directory, directory_size; /* entries; where the directory is */
} Archive;

static uint64_t number_at(const unsigned char *bytes, size_t length) {
  uint64_t number = 0;
  for (size_t i = length; i-- > 0;)
    number = number << 8 | bytes[i];
  return number;
}

static bool signed_as(const unsigned char *bytes, const char *signature) {
  return memcmp(bytes, signature, 4) == 0;
}

static Status damaged(const Archive *archive, const char *what) {
  return status_error(STATUS_INPUT, "%s: not a sound zip file: %s", archive->path, what);
}

static Status damaged_entry(const Archive *archive, const ZipEntry *entry, const char *what) {
  char quoted[QUOTE_ROOM];
  return status_error(STATUS_INPUT, "%s: the entry %s %s", archive->path,
                      quote_printable(entry->name, entry->length, quoted), what);
}

/* ---- The directory ---- */

static Status find_directory64(Archive *archive, const unsigned char *locator) {
  uint64_t at = number_at(locator + 8, 8), locator_at = (uint64_t)(locator - archive->bytes);
  if (locator_at < END64_SIZE || at > locator_at - END64_SIZE || !signed_as(archive->bytes + at, "PK\x06\x06"))
    return damaged(archive, "the zip64 end of the directory is not where it should be");
  const unsigned char *end = archive->bytes + at;
  archive->count = number_at(end + 32, 8);
  archive->directory_size = number_at(end + 40, 8);
  archive->directory = number_at(end + 48, 8);
  return status_ok();
}

static Status find_directory(Archive *archive) {
  if (archive->size < END_SIZE || !signed_as(archive->bytes + archive->size - END_SIZE, "PK\x05\x06"))
    return damaged(archive, "it does not end with the end of a directory (is it cut off?)");
  const unsigned char *end = archive->bytes + archive->size - END_SIZE;
  archive->count = number_at(end + 10, 2);
  archive->directory_size = number_at(end + 12, 4);
  archive->directory = number_at(end + 16, 4);
  if (archive->size >= END_SIZE + LOCATOR_SIZE && signed_as(end - LOCATOR_SIZE, "PK\x06\x07"))
    TRY(find_directory64(archive, end - LOCATOR_SIZE));
  if (archive->directory > archive->size || archive->directory_size > archive->size - archive->directory)
    return damaged(archive, "the directory does not lie in the file");
  if (archive->count > archive->directory_size / DIRECTORY_SIZE)
    return damaged(archive, "the directory is too short for its entries");
  return status_ok();
}

/* ---- Entries ---- */

/* Take what stands in the zip64 extra field for each number that is all ones. */
static bool take_zip64(const unsigned char *extra, size_t length, uint64_t *size, uint64_t *stored, uint64_t *at) {
  uint64_t *const wanted[] = {size, stored, at};
  while (length >= 4) {
    size_t field = number_at(extra + 2, 2), used = 0;
    if (field > length - 4)
      return false;
    for (int i = 0; number_at(extra, 2) == 1 && i < 3; i++) {
      if (*wanted[i] != UINT32_MAX)
        continue;
      if (field - used < 8)
        return false;
      *wanted[i] = number_at(extra + 4 + used, 8);
      used += 8;
    }
    extra += 4 + field;
    length -= 4 + field;
  }
  return true;
}

/* The bytes of the entry, which follow its local header. */
static Status find_bytes(const Archive *archive, ZipEntry *entry, uint64_t at, uint64_t size) {
  const unsigned char *local = archive->bytes + at;
  if (at > archive->directory || archive->directory - at < LOCAL_SIZE || !signed_as(local, "PK\x03\x04"))
    return damaged_entry(archive, entry, "is not where the directory says");
  size_t name = number_at(local + 26, 2), extra = number_at(local + 28, 2), left = archive->directory - at - LOCAL_SIZE;
  if (name + extra > left || size > left - name - extra)
    return damaged_entry(archive, entry, "reaches beyond the archive's data");
  if (name != entry->length || memcmp(local + LOCAL_SIZE, entry->name, name) != 0)
    return damaged_entry(archive, entry, "has another name in front of its bytes");
  entry->bytes = local + LOCAL_SIZE + name + extra;
  entry->size = size;
  return status_ok();
}

/* The entry that starts at *at in the directory; *at moves behind it. */
static Status take_entry(const Archive *archive, const unsigned char **at, const unsigned char *end, ZipEntry *entry) {
  const unsigned char *record = *at;
  if (end - record < DIRECTORY_SIZE || !signed_as(record, "PK\x01\x02"))
    return damaged(archive, "an entry of the directory is not one");
  size_t extra = number_at(record + 30, 2), comment = number_at(record + 32, 2);
  uint64_t stored = number_at(record + 20, 4), size = number_at(record + 24, 4), local = number_at(record + 42, 4);
  entry->name = (const char *)record + DIRECTORY_SIZE;
  entry->length = number_at(record + 28, 2);
  entry->crc = (uint32_t)number_at(record + 16, 4);
  if (entry->length + extra + comment > (size_t)(end - record) - DIRECTORY_SIZE)
    return damaged(archive, "an entry of the directory is cut off");
  *at = record + DIRECTORY_SIZE + entry->length + extra + comment;
  if (number_at(record + 8, 2) & 1)
    return damaged_entry(archive, entry, "is encrypted, which is not read");
  if (number_at(record + 10, 2) != 0)
    return damaged_entry(archive, entry, "is compressed; torch stores its files plainly, and only those are read");
  if (!take_zip64(record + DIRECTORY_SIZE + entry->length, extra, &size, &stored, &local) || size != stored)
    return damaged_entry(archive, entry, "has sizes that make no sense");
  return find_bytes(archive, entry, local, size);
}

static int by_name(const void *x, const void *y) {
  const ZipEntry *a = x, *b = y;
  int order = memcmp(a->name, b->name, a->length < b->length ? a->length : b->length);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static Status take_entries(Zip *zip, const Archive *archive) {
  const unsigned char *at = archive->bytes + archive->directory, *end = at + archive->directory_size;
  TRY(arena_alloc(&zip->memory, arena_size(archive->count, sizeof *zip->entries)));
  zip->entries = arena_carve(&zip->memory, archive->count, sizeof *zip->entries);
  for (zip->count = 0; zip->count < archive->count; zip->count++)
    TRY(take_entry(archive, &at, end, &zip->entries[zip->count]));
  if (at != end)
    return damaged(archive, "there is something between the directory and its end");
  if (zip->count > 0)
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
  for (size_t i = 1; i < zip->count; i++)
    if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
      return damaged_entry(archive, &zip->entries[i], "is there twice");
  return status_ok();
}

Status zip_parse(Zip *zip, const char *path, const unsigned char *bytes, size_t size) {
  Archive archive = {.path = path, .bytes = bytes, .size = size};
  *zip = (Zip){0};
  TRY(find_directory(&archive));
  Status status = take_entries(zip, &archive);
  if (status.code != STATUS_OK)
    zip_free(zip);
  return status;
}

void zip_free(Zip *zip) {
  arena_free(&zip->memory);
  *zip = (Zip){0};
}

const ZipEntry *zip_find(const Zip *zip, const char *name, size_t length) {
  const ZipEntry key = {.name = name, .length = length};
  return zip->count == 0 ? NULL : bsearch(&key, zip->entries, zip->count, sizeof *zip->entries, by_name);
}

/* ---- Checksums ---- */

/* The CRC-32 of zip (reflected, polynomial 0xedb88320), eight bytes at a step: table[k][b] is the effect of byte b with
 * k bytes behind it. */
typedef uint32_t CrcTable[8][256];

static void fill_table(CrcTable table) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    table[0][b] = crc;
  }
  for (int k = 1; k < 8; k++)
    for (int b = 0; b < 256; b++)
      table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 255];
}

bool zip_intact(const ZipEntry *entry) {
  CrcTable table;
  uint32_t crc = UINT32_MAX;
  const unsigned char *at = entry->bytes, *end = at + entry->size;
  if (entry->crc == 0)
    return true;
  fill_table(table);
  for (; end - at >= 8; at += 8) {
    uint32_t low = crc ^ (uint32_t)number_at(at, 4);
    crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
          table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
  }
  for (; at < end; at++)
    crc = crc >> 8 ^ table[0][(crc ^ *at) & 255];
  return (crc ^ UINT32_MAX) == entry->crc;
}
