/* mtx.c: Matrix Market files, line by line, from memory.
 *
 * A banner, comment lines, a size line, then one entry a line. What the size line announces is held against the bytes
 * that are left before anything is allocated. */
#include "mtx.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "files.h"
#include "number.h"

enum { MOST_WORDS = 6, LONGEST_WORD = 128 };

typedef enum { FORMAT_COORDINATE, FORMAT_ARRAY } Format;
typedef enum { FIELD_REAL, FIELD_INTEGER, FIELD_PATTERN } Field;
typedef enum { SYMMETRY_GENERAL, SYMMETRY_SYMMETRIC, SYMMETRY_SKEW } Symmetry;

/* The text, the line that was read last and its words (as copies: the text does not end in a zero byte). */
typedef struct Reader {
  const char *name;
  const unsigned char *at, *end;
  size_t line, words;
  char word[MOST_WORDS][LONGEST_WORD];
} Reader;

typedef struct Header {
  Format format;
  Field field;
  Symmetry symmetry;
  size_t entries; /* lines of entries that must follow */
} Header;

__attribute__((format(printf, 2, 3))) static Status malformed(const Reader *reader, const char *format, ...) {
  char what[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s: line %zu: %s", reader->name, reader->line, what);
}

/* ---- Lines and words ---- */

static bool is_blank(unsigned char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

static void copy_word(char word[LONGEST_WORD], const unsigned char *text, size_t length) {
  bool fits = length < LONGEST_WORD;
  size_t kept = fits ? length : LONGEST_WORD - 4;
  for (size_t i = 0; i < kept; i++)
    word[i] = text[i] != '\0' ? (char)text[i] : '?'; /* a zero byte must not end the word early */
  strcpy(word + kept, fits ? "" : "...");
}

/* The words of one line. One too many is left out, which still makes them too many; a word too long for its place ends
 * in dots, so that it is no number. */
static void split_line(Reader *reader, const unsigned char *at, const unsigned char *end) {
  reader->words = 0;
  while (at < end) {
    while (at < end && is_blank(*at))
      at++;
    const unsigned char *start = at;
    while (at < end && !is_blank(*at))
      at++;
    if (at == start || reader->words == MOST_WORDS)
      return;
    copy_word(reader->word[reader->words++], start, (size_t)(at - start));
  }
}

/* The next line, split; false at the end of the text. */
static bool any_line(Reader *reader) {
  reader->line++;
  if (reader->at == reader->end)
    return false;
  const unsigned char *end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
  const unsigned char *stop = end != NULL ? end : reader->end;
  split_line(reader, reader->at, stop);
  reader->at = end != NULL ? end + 1 : reader->end;
  return true;
}

/* The next line that is neither empty nor a comment. */
static bool next_line(Reader *reader) {
  while (any_line(reader))
    if (reader->words > 0 && reader->word[0][0] != '%')
      return true;
  return false;
}

static bool read_size(const char *word, size_t *size) {
  for (*size = 0; *word >= '0' && *word <= '9'; word++)
    if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, (size_t)(*word - '0'), size))
      return false;
  return *word == '\0'; /* words are never empty */
}

/* ---- Banner and size line ---- */

/* Which of the NULL-terminated `names` the word is, in any case of letters; -1 if none. */
static int find_name(const char *word, const char *const *names) {
  for (int i = 0; names[i] != NULL; i++)
    if (strcasecmp(word, names[i]) == 0)
      return i;
  return -1;
}

static Status read_banner(Reader *reader, Header *header) {
  static const char *const formats[] = {"coordinate", "array", NULL};
  static const char *const fields[] = {"real", "integer", "pattern", NULL};
  static const char *const symmetries[] = {"general", "symmetric", "skew-symmetric", NULL};
  char quoted[QUOTE_ROOM];
  if (!any_line(reader) || reader->words == 0 || strcasecmp(reader->word[0], "%%MatrixMarket") != 0)
    return malformed(reader, "not a Matrix Market file: it does not start with %%%%MatrixMarket");
  if (reader->words != 5 || strcasecmp(reader->word[1], "matrix") != 0)
    return malformed(reader, "the banner must read '%%%%MatrixMarket matrix FORMAT FIELD SYMMETRY'");
  int format = find_name(reader->word[2], formats), field = find_name(reader->word[3], fields),
      symmetry = find_name(reader->word[4], symmetries);
  int wrong = format < 0 ? 2 : field < 0 ? 3 : 4;
  if (format < 0 || field < 0 || symmetry < 0)
    return malformed(reader, "'%s' is not read here; the %s",
                     quote_printable(reader->word[wrong], strlen(reader->word[wrong]), quoted),
                     wrong == 2   ? "format must be coordinate or array"
                     : wrong == 3 ? "field must be real, integer or pattern"
                                  : "symmetry must be general, symmetric or skew-symmetric");
  *header = (Header){.format = (Format)format, .field = (Field)field, .symmetry = (Symmetry)symmetry};
  if (header->field == FIELD_PATTERN && (header->format == FORMAT_ARRAY || header->symmetry == SYMMETRY_SKEW))
    return malformed(reader, "a pattern is neither an array nor skew-symmetric");
  return status_ok();
}

/* How many lines an array takes: all of it, or what lies on and below, or only below, the diagonal. */
static bool array_entries(Symmetry symmetry, size_t rows, size_t columns, size_t *entries) {
  size_t all;
  if (__builtin_mul_overflow(rows, columns, &all))
    return false;
  *entries = symmetry == SYMMETRY_GENERAL     ? all
             : symmetry == SYMMETRY_SYMMETRIC ? (all - rows) / 2 + rows
                                              : (all - rows) / 2;
  return true;
}

/* The bytes that are left could hold so many entries: each has its numbers with a blank between, and a line break. */
static bool could_hold(const Reader *reader, const Header *header) {
  size_t left = (size_t)(reader->end - reader->at);
  size_t least = header->format == FORMAT_ARRAY ? 2 : header->field == FIELD_PATTERN ? 4 : 6;
  return header->entries <= (left + 1) / least;
}

static Status read_sizes(Reader *reader, Header *header, Triplets *triplets) {
  bool array = header->format == FORMAT_ARRAY;
  if (!next_line(reader))
    return malformed(reader, "the file ends before its size line");
  if (reader->words != (array ? 2 : 3) || !read_size(reader->word[0], &triplets->rows) ||
      !read_size(reader->word[1], &triplets->columns) || (!array && !read_size(reader->word[2], &header->entries)))
    return malformed(reader, "the size line must be %s", array ? "ROWS COLUMNS" : "ROWS COLUMNS ENTRIES");
  if (triplets->rows == 0 || triplets->columns == 0)
    return malformed(reader, "the matrix is empty (%zu x %zu)", triplets->rows, triplets->columns);
  if (header->symmetry != SYMMETRY_GENERAL && triplets->rows != triplets->columns)
    return malformed(reader, "a symmetric matrix must be square, not %zu x %zu", triplets->rows, triplets->columns);
  if (array && !array_entries(header->symmetry, triplets->rows, triplets->columns, &header->entries))
    return malformed(reader, "%zu x %zu entries do not fit in memory", triplets->rows, triplets->columns);
  if (!could_hold(reader, header))
    return malformed(reader, "%zu entries are announced, more than the rest of the file could hold", header->entries);
  triplets->dense = array;
  return status_ok();
}

/* ---- Entries ---- */

static void append(Triplets *triplets, size_t row, size_t column, double value) {
  triplets->row[triplets->count] = row;
  triplets->column[triplets->count] = column;
  triplets->value[triplets->count] = value;
  triplets->count++;
}

static Status read_value(const Reader *reader, const Header *header, const char *word, double *value) {
  char quoted[QUOTE_ROOM];
  int64_t whole;
  *value = 1;
  if (header->field == FIELD_PATTERN)
    return status_ok();
  quote_printable(word, strlen(word), quoted);
  if (!number_parse(word, value))
    return malformed(reader, "'%s' is not a number", quoted);
  if (!isfinite(*value))
    return malformed(reader, "'%s' is NaN, infinite or too large", quoted);
  if (header->field == FIELD_REAL)
    return status_ok();
  if (!number_parse_integer(word, &whole))
    return malformed(reader, "'%s' is not a whole number that fits in 64 bits", quoted);
  if (!number_exact(whole < 0 ? -(uint64_t)whole : (uint64_t)whole))
    return malformed(reader, "%s is an integer that a double cannot hold exactly", quoted);
  return status_ok();
}

/* The next line of entries, with as many words as it must have. */
static Status entry_line(Reader *reader, const Header *header, size_t words, size_t done) {
  if (!next_line(reader))
    return malformed(reader, "the file ends after %zu of %zu entries", done, header->entries);
  if (reader->words != words)
    return malformed(reader, "an entry has %zu words, not %zu", words, reader->words);
  return status_ok();
}

static Status read_index(const Reader *reader, const char *word, size_t size, const char *what, size_t *index) {
  char quoted[QUOTE_ROOM];
  if (!read_size(word, index) || *index < 1 || *index > size)
    return malformed(reader, "the %s must be between 1 and %zu, not '%s'", what, size,
                     quote_printable(word, strlen(word), quoted));
  (*index)--;
  return status_ok();
}

static Status read_coordinate(Reader *reader, const Header *header, Triplets *triplets, size_t done) {
  size_t row, column;
  double value;
  TRY(entry_line(reader, header, header->field == FIELD_PATTERN ? 2 : 3, done));
  TRY(read_index(reader, reader->word[0], triplets->rows, "row", &row));
  TRY(read_index(reader, reader->word[1], triplets->columns, "column", &column));
  TRY(read_value(reader, header, reader->word[2], &value));
  if (header->symmetry != SYMMETRY_GENERAL && column > row)
    return malformed(reader, "entry (%zu, %zu) is above the diagonal of a symmetric matrix", row + 1, column + 1);
  if (header->symmetry == SYMMETRY_SKEW && column == row)
    return malformed(reader, "entry (%zu, %zu) is on the diagonal of a skew-symmetric matrix", row + 1, column + 1);
  append(triplets, row, column, value);
  if (header->symmetry != SYMMETRY_GENERAL && column != row)
    append(triplets, column, row, header->symmetry == SYMMETRY_SKEW ? -value : value);
  return status_ok();
}

/* An array into its place in column-major order; the file leaves out what symmetry gives. */
static Status read_array(Reader *reader, const Header *header, Triplets *triplets) {
  size_t n = triplets->rows, done = 0;
  for (size_t column = 0; column < triplets->columns; column++)
    for (size_t row = 0; row < n; row++)
      append(triplets, row, column, 0);
  for (size_t column = 0; column < triplets->columns; column++) {
    size_t first = header->symmetry == SYMMETRY_GENERAL ? 0 : column + (header->symmetry == SYMMETRY_SKEW);
    for (size_t row = first; row < n; row++) {
      double value;
      TRY(entry_line(reader, header, 1, done++));
      TRY(read_value(reader, header, reader->word[0], &value));
      triplets->value[column * n + row] = value;
      if (header->symmetry != SYMMETRY_GENERAL && row != column)
        triplets->value[row * n + column] = header->symmetry == SYMMETRY_SKEW ? -value : value;
    }
  }
  return status_ok();
}

static Status allocate(const char *name, const Header *header, Triplets *triplets) {
  size_t room = triplets->dense                        ? triplets->rows * triplets->columns
                : header->symmetry == SYMMETRY_GENERAL ? header->entries
                                                       : 2 * header->entries;
  if (room <= SIZE_MAX / sizeof(double)) { /* malloc(0) may give NULL */
    triplets->row = malloc((room + (room == 0)) * sizeof *triplets->row);
    triplets->column = malloc((room + (room == 0)) * sizeof *triplets->column);
    triplets->value = malloc((room + (room == 0)) * sizeof *triplets->value);
  }
  if (triplets->row == NULL || triplets->column == NULL || triplets->value == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu entries of %s", room, name);
  return status_ok();
}

static Status parse(Reader *reader, Triplets *triplets) {
  Header header;
  TRY(read_banner(reader, &header));
  TRY(read_sizes(reader, &header, triplets));
  TRY(allocate(reader->name, &header, triplets));
  if (triplets->dense)
    TRY(read_array(reader, &header, triplets));
  else
    for (size_t done = 0; done < header.entries; done++)
      TRY(read_coordinate(reader, &header, triplets, done));
  if (next_line(reader))
    return malformed(reader, "there is more after the last of %zu entries", header.entries);
  return status_ok();
}

Status mtx_parse(const char *name, const unsigned char *bytes, size_t size, Triplets *triplets) {
  Reader reader = {.name = name, .at = bytes, .end = bytes + size};
  *triplets = (Triplets){0};
  Status status = parse(&reader, triplets);
  if (status.code != STATUS_OK)
    mtx_free(triplets);
  return status;
}

Status mtx_read(const char *path, Triplets *triplets) {
  unsigned char *bytes;
  size_t size;
  *triplets = (Triplets){0};
  TRY(file_read(path, SIZE_MAX / 2, &bytes, &size));
  Status status = mtx_parse(path, bytes, size, triplets);
  free(bytes);
  return status;
}

void mtx_free(Triplets *triplets) {
  free(triplets->row);
  free(triplets->column);
  free(triplets->value);
  *triplets = (Triplets){0};
}
