/* utf8.c: UTF-8 as in RFC 3629: the shortest form only, no surrogates, nothing beyond U+10FFFF. */
#include "utf8.h"

#include <stdbool.h>

/* How many bytes the first one announces, and between which the second must lie; 0 if it begins nothing. */
static size_t announced(unsigned char first, unsigned char *low, unsigned char *high) {
  *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  return first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

size_t utf8_length(const unsigned char *bytes, size_t size, size_t *prefix) {
  unsigned char low, high;
  size_t length = announced(bytes[0], &low, &high), good = 1;
  while (good < length && good < size && bytes[good] >= low && bytes[good] <= high) {
    low = 0x80;
    high = 0xBF;
    good++;
  }
  *prefix = good;
  return good == length ? length : 0;
}

size_t utf8_valid(const unsigned char *bytes, size_t size) {
  size_t at = 0, prefix;
  while (at < size) {
    size_t length = bytes[at] < 0x80 ? 1 : utf8_length(bytes + at, size - at, &prefix);
    if (length == 0)
      return at;
    at += length;
  }
  return size;
}

uint32_t utf8_code(const unsigned char *bytes, size_t length) {
  uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++)
    code = code << 6 | (bytes[i] & 0x3Fu);
  return code;
}

size_t utf8_put(uint32_t code, unsigned char bytes[4]) {
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length; i-- > 1; code >>= 6)
    bytes[i] = (unsigned char)(0x80 | (code & 0x3F));
  bytes[0] = (unsigned char)(length == 1 ? code : (0xF00u >> length & 0xFF) | code);
  return length;
}

/* What Python's str.isspace is true of: Unicode's white space and the four separators of ASCII. */
static bool is_space(uint32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

/* The length of the white space character at the start, 0 if none is there. */
static size_t space_length(const char *text, size_t size) {
  size_t prefix, length = size == 0 ? 0 : utf8_length((const unsigned char *)text, size, &prefix);
  return length > 0 && is_space(utf8_code((const unsigned char *)text, length)) ? length : 0;
}

void utf8_strip(const char **text, size_t *size) {
  for (size_t length; (length = space_length(*text, *size)) > 0; *size -= length)
    *text += length;
  for (size_t length = 1; length <= 3 && length <= *size;) /* white space has at most 3 bytes */
    if (space_length(*text + *size - length, length) == length) {
      *size -= length;
      length = 1;
    } else {
      length++;
    }
}
