/* digest.c: XXH3 in its canonical order of bytes. */
#include "digest.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

Digest digest_of(const void *bytes, size_t count) {
  Digest digest;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, count));
  _Static_assert(sizeof canonical == sizeof digest, "128 bits");
  memcpy(&digest, &canonical, sizeof digest);
  return digest;
}

Digest digest_add(Digest before, const void *bytes, size_t count) {
  Digest both[2] = {before, digest_of(bytes, count)};
  return digest_of(both, sizeof both);
}

char *digest_print(Digest digest, char text[2 * DIGEST_SIZE + 1]) {
  for (size_t i = 0; i < DIGEST_SIZE; i++)
    snprintf(text + 2 * i, 3, "%02x", digest.bytes[i]);
  return text;
}
