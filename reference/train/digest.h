/* digest.h: 128 bits that tell contents apart (XXH3): they name cached features and trained parts. No protection
 * against anyone who makes two contents alike on purpose. */
#ifndef SEESAW_DIGEST_H
#define SEESAW_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

enum { DIGEST_SIZE = 16 };

typedef struct Digest {
  unsigned char bytes[DIGEST_SIZE];
} Digest;

/* digest_of: of bytes; the same on every machine. digest_chain: of contents in pieces: of `so_far` and the piece, in
 * this order; other cuts give another digest. digest_same: are they equal? */
Digest digest_of(const void *bytes, size_t count);
Digest digest_chain(Digest so_far, const void *bytes, size_t count);
bool digest_same(Digest a, Digest b);

/* digest_print: 32 hexadecimal digits and a zero, into text. Returns text. */
char *digest_print(Digest digest, char text[2 * DIGEST_SIZE + 1]);

#endif
