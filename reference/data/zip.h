/* zip.h: the entries of a zip archive that stores them uncompressed, as torch writes it; zip64 included.
 *
 * Source: PKWARE's APPNOTE 6.3. The archive ends with its directory, without a comment; one disk, no encryption.
 * Entries are bytes in the caller's memory, never copied. */
#ifndef SEESAW_ZIP_H
#define SEESAW_ZIP_H

#include <stdint.h>

#include "arena.h"

typedef struct ZipEntry {
  const char *name; /* `length` bytes, not followed by a zero byte */
  size_t length;
  const unsigned char *bytes;
  size_t size;
  uint32_t crc; /* of the bytes; 0 when the writer left it out, as torch does on request */
} ZipEntry;

typedef struct Zip {
  size_t count;
  ZipEntry *entries; /* sorted by name, each name once */
  Arena memory;
} Zip;

/* zip_parse: `path` is used in messages. Close with zip_free. Errors: STATUS_INPUT naming the file and what is wrong
 * (not a zip file, truncated, a compressed entry, a name that comes twice), STATUS_MEMORY. */
Status zip_parse(Zip *zip, const char *path, const unsigned char *bytes, size_t size);
void zip_free(Zip *zip);

/* zip_find: NULL if there is none of that name. */
const ZipEntry *zip_find(const Zip *zip, const char *name, size_t length);

/* zip_intact: the bytes agree with their checksum (reads them all), or there is none. */
bool zip_intact(const ZipEntry *entry);

#endif
