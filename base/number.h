/* number.h: numbers and words as users and files write them.
 *
 * strtod alone takes leading blanks, trailing letters, hexadecimal and the locale's decimal comma; nothing here does.
 */
#ifndef SEESAW_NUMBER_H
#define SEESAW_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* number_parse: the whole of `text` as a decimal number, or nan, inf, infinity with any sign; false if it is not one.
 * What is too large for a double comes out infinite: callers that want finite numbers test for it. */
bool number_parse(const char *text, double *value);

/* number_parse_integer: the whole of `text` as a whole number, also written 1e6 or 2.0 as long as a double holds it
 * exactly; false if it is not one or does not fit. */
bool number_parse_integer(const char *text, int64_t *value);

/* number_exact: a double holds the whole number `magnitude` exactly. */
bool number_exact(uint64_t magnitude);

/* number_print: the shortest decimal that reads back as `value`. `text` has room for NUMBER_ROOM bytes. */
enum { NUMBER_ROOM = 32 };
void number_print(double value, char *text);

/* quote_printable: at most `length` bytes of `text` for use in a message: cut to fit QUOTE_ROOM, with ... at the cut
 * and ? for what a terminal should not see. Returns `quoted`. */
enum { QUOTE_ROOM = 64 };
const char *quote_printable(const char *text, size_t length, char quoted[QUOTE_ROOM]);

#endif
