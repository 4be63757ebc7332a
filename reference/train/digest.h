/* digest.h: 128 bits that tell contents apart: pictures, weights, the phases of a run.
 *
 * XXH3 (libxxhash): fast, the same on every machine, and no protection against somebody who wants two contents to have
 * one digest. */
#ifndef SEESAW_DIGEST_H
#define SEESAW_DIGEST_H

#include <stddef.h>

enum { DIGEST_SIZE = 16 };

typedef struct Digest {
  unsigned char bytes[DIGEST_SIZE];
} Digest;

/* digest_of: of bytes. digest_print: 32 hexadecimal digits and a zero; returns text. */
Digest digest_of(const void *bytes, size_t count);
char *digest_print(Digest digest, char text[2 * DIGEST_SIZE + 1]);

/* digest_add: of all that `before` is the digest of, and these bytes: contents that come piece by piece. Other pieces
 * of the same contents give another digest. */
Digest digest_add(Digest before, const void *bytes, size_t count);

#endif
