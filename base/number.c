/* number.c: strict numbers, and words made fit for a message. */
#include "number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* strtod with the decimal point, whatever locale a library may have set. */
static double strtod_point(const char *text, char **end) {
  static locale_t point;
  if (point == (locale_t)0)
    point = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  return point != (locale_t)0 ? strtod_l(text, end, point) : strtod(text, end);
}

/* No blanks in front, no hexadecimal, no nan(payload): of the letters a number may have, only those of nan, inf,
 * infinity and the exponent's e. */
static bool plausible(const char *text) {
  return text[0] != '\0' && strspn(text, "+-.0123456789eEnNaAiIfFtTyY") == strlen(text);
}

bool number_parse(const char *text, double *value) {
  char *end;
  if (!plausible(text))
    return false;
  *value = strtod_point(text, &end);
  return *end == '\0';
}

bool number_parse_integer(const char *text, int64_t *value) {
  char *end;
  double real;
  if (!number_parse(text, &real))
    return false;
  if (strspn(text, "+-0123456789") == strlen(text)) {
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0;
  }
  if (!(fabs(real) <= 0x1p53) || real != floor(real))
    return false;
  *value = (int64_t)real;
  return true;
}

bool number_exact(uint64_t magnitude) {
  while (magnitude != 0 && magnitude % 2 == 0)
    magnitude /= 2;
  return magnitude < (uint64_t)1 << 53;
}

void number_print(double value, char *text) {
  double back = 0;
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, NUMBER_ROOM, "%.*g", digits, value);
    if (number_parse(text, &back) && back == value)
      break;
  }
}

const char *quote_printable(const char *text, size_t length, char quoted[QUOTE_ROOM]) {
  bool fits = length < QUOTE_ROOM;
  size_t kept = fits ? length : QUOTE_ROOM - 4;
  for (size_t i = 0; i < kept; i++)
    quoted[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
  strcpy(quoted + kept, fits ? "" : "...");
  return quoted;
}
