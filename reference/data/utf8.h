/* utf8.h: characters in bytes that may not be UTF-8. */
#ifndef SEESAW_UTF8_H
#define SEESAW_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* utf8_length: the bytes of the character at the start of `size` > 0 bytes; 0 if there is none. *prefix is then how
 * many bytes, at least 1, could begin a character: a decoder replaces these together (Unicode, Section 3.9, maximal
 * subparts), unless they are all there is and more may come. */
size_t utf8_length(const unsigned char *bytes, size_t size, size_t *prefix);

/* utf8_valid: how many bytes at the start are UTF-8: `size` if all are. */
size_t utf8_valid(const unsigned char *bytes, size_t size);

/* utf8_strip: the text without white space, in the sense of Python's str.strip, at both ends: *text and *size change.
 */
void utf8_strip(const char **text, size_t *size);

/* utf8_code: the code point of the whole character of `length` bytes at the start. */
uint32_t utf8_code(const unsigned char *bytes, size_t length);

/* utf8_put: the bytes of a code point below 0x110000, not a surrogate; returns how many. */
size_t utf8_put(uint32_t code, unsigned char bytes[4]);

#endif
