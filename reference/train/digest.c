/* digest.c: digests by xxHash. */
#include "digest.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

Digest digest_of(const void *bytes, size_t count) {
  XXH128_canonical_t canonical;
  Digest digest;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, count));
  memcpy(digest.bytes, canonical.digest, DIGEST_SIZE);
  return digest;
}

Digest digest_chain(Digest so_far, const void *bytes, size_t count) {
  Digest pair[2] = {so_far, digest_of(bytes, count)};
  return digest_of(pair, sizeof pair);
}

bool digest_same(Digest a, Digest b) {
  return memcmp(a.bytes, b.bytes, DIGEST_SIZE) == 0;
}

char *digest_print(Digest digest, char text[2 * DIGEST_SIZE + 1]) {
  for (size_t i = 0; i < DIGEST_SIZE; i++)
    snprintf(text + 2 * i, 3, "%02x", digest.bytes[i]);
  return text;
}
