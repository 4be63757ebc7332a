/* test_mtx.c: Matrix Market texts of every format, field and symmetry, and what is wrong with others. */
#include "mtx.h"

#include <math.h>

#include "scratch.h"

TestSuite(mtx, .init = scratch_make, .fini = scratch_remove);

/* Parse from a block of exactly the text's size, so that a sanitizer sees a read beyond. */
static Status parse_bytes(const char *text, size_t size, Triplets *triplets) {
  unsigned char *bytes = malloc(size + (size == 0));
  cr_assert_not_null(bytes);
  memcpy(bytes, text, size);
  Status status = mtx_parse("m.mtx", bytes, size, triplets);
  free(bytes);
  return status;
}

static Status parse(const char *text, Triplets *triplets) {
  return parse_bytes(text, strlen(text), triplets);
}

typedef struct Entry {
  size_t row, column;
  double value;
} Entry;

static void expect_matrix(const char *text, size_t rows, size_t columns, bool dense, size_t count,
                          const Entry *entries) {
  Triplets triplets;
  Status status = parse(text, &triplets);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect(triplets.rows == rows && triplets.columns == columns && triplets.dense == dense);
  cr_assert_eq(triplets.count, count);
  for (size_t i = 0; i < count; i++)
    cr_expect(triplets.row[i] == entries[i].row && triplets.column[i] == entries[i].column &&
                  triplets.value[i] == entries[i].value,
              "entry %zu: (%zu, %zu) %g", i, triplets.row[i], triplets.column[i], triplets.value[i]);
  mtx_free(&triplets);
  mtx_free(&triplets);
}

Test(mtx, coordinates_are_read_in_order_with_duplicates) {
  expect_matrix("%%MatrixMarket matrix coordinate real general\n% a comment\n\n2 3 4\n1 1 0.5\n2 3 -1e-3\r\n"
                "\n  1\t1  2 \n1 2 0",
                2, 3, false, 4, (Entry[]){{0, 0, 0.5}, {1, 2, -1e-3}, {0, 0, 2}, {0, 1, 0}});
}

Test(mtx, the_banner_takes_letters_of_any_case) {
  expect_matrix("%%matrixmarket MATRIX Coordinate REAL General\n1 1 1\n1 1 7\n", 1, 1, false, 1, (Entry[]){{0, 0, 7}});
}

Test(mtx, integers_and_patterns_are_read) {
  expect_matrix("%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 2 -9007199254740992\n2 1 +3\n", 2, 2, false,
                2, (Entry[]){{0, 1, -9007199254740992}, {1, 0, 3}});
  expect_matrix("%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n2 2\n", 2, 2, false, 2,
                (Entry[]){{0, 1, 1}, {1, 1, 1}});
}

Test(mtx, symmetry_is_expanded) {
  expect_matrix("%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n2 2 5\n3 1 4\n", 3, 3, false, 3,
                (Entry[]){{1, 1, 5}, {2, 0, 4}, {0, 2, 4}});
  expect_matrix("%%MatrixMarket matrix coordinate real skew-symmetric\n3 3 1\n3 1 4\n", 3, 3, false, 2,
                (Entry[]){{2, 0, 4}, {0, 2, -4}});
  expect_matrix("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n", 2, 2, false, 3,
                (Entry[]){{0, 0, 1}, {1, 0, 1}, {0, 1, 1}});
}

Test(mtx, arrays_are_column_major) {
  expect_matrix("%%MatrixMarket matrix array real general\n2 3\n1\n2\n3\n4\n5\n6\n", 2, 3, true, 6,
                (Entry[]){{0, 0, 1}, {1, 0, 2}, {0, 1, 3}, {1, 1, 4}, {0, 2, 5}, {1, 2, 6}});
  expect_matrix("%%MatrixMarket matrix array integer symmetric\n2 2\n1\n2\n3\n", 2, 2, true, 4,
                (Entry[]){{0, 0, 1}, {1, 0, 2}, {0, 1, 2}, {1, 1, 3}});
  expect_matrix(
      "%%MatrixMarket matrix array real skew-symmetric\n3 3\n1\n2\n3\n", 3, 3, true, 9,
      (Entry[]){{0, 0, 0}, {1, 0, 1}, {2, 0, 2}, {0, 1, -1}, {1, 1, 0}, {2, 1, 3}, {0, 2, -2}, {1, 2, -3}, {2, 2, 0}});
  expect_matrix("%%MatrixMarket matrix array real skew-symmetric\n1 1\n", 1, 1, true, 1, (Entry[]){{0, 0, 0}});
}

Test(mtx, a_matrix_of_zeros_has_no_entries) {
  expect_matrix("%%MatrixMarket matrix coordinate real general\n4 5 0\n", 4, 5, false, 0, NULL);
}

static void expect_refused(const char *text, const char *sentence) {
  Triplets triplets;
  char whole[600];
  Status status = parse(text, &triplets);
  snprintf(whole, sizeof whole, "m.mtx: %s", sentence);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", text);
  cr_expect_str_eq(status.message, whole);
  cr_expect(triplets.row == NULL && triplets.column == NULL && triplets.value == NULL && triplets.count == 0);
}

#define REAL "%%MatrixMarket matrix coordinate real general\n"
#define INTEGER "%%MatrixMarket matrix coordinate integer general\n"
#define PATTERN "%%MatrixMarket matrix coordinate pattern general\n"
#define ARRAY "%%MatrixMarket matrix array real general\n"
#define SYMMETRIC "%%MatrixMarket matrix coordinate real symmetric\n"
#define SKEW "%%MatrixMarket matrix coordinate real skew-symmetric\n"

Test(mtx, bad_banners_are_refused) {
  expect_refused("", "line 1: not a Matrix Market file: it does not start with %%MatrixMarket");
  expect_refused("\n", "line 1: not a Matrix Market file: it does not start with %%MatrixMarket");
  expect_refused("1 2 3\n", "line 1: not a Matrix Market file: it does not start with %%MatrixMarket");
  expect_refused("%%MatrixMarket matrix\n",
                 "line 1: the banner must read '%%MatrixMarket matrix FORMAT FIELD SYMMETRY'");
  expect_refused("%%MatrixMarket vector array real general\n",
                 "line 1: the banner must read '%%MatrixMarket matrix FORMAT FIELD SYMMETRY'");
  expect_refused("%%MatrixMarket matrix array real general 1\n",
                 "line 1: the banner must read '%%MatrixMarket matrix FORMAT FIELD SYMMETRY'");
  expect_refused("%%MatrixMarket matrix dense real general\n",
                 "line 1: 'dense' is not read here; the format must be coordinate or array");
  expect_refused("%%MatrixMarket matrix array complex general\n",
                 "line 1: 'complex' is not read here; the field must be real, integer or pattern");
  expect_refused("%%MatrixMarket matrix array real hermitian\n",
                 "line 1: 'hermitian' is not read here; the symmetry must be general, symmetric or skew-symmetric");
  expect_refused("%%MatrixMarket matrix array pattern general\n",
                 "line 1: a pattern is neither an array nor skew-symmetric");
  expect_refused("%%MatrixMarket matrix coordinate pattern skew-symmetric\n",
                 "line 1: a pattern is neither an array nor skew-symmetric");
}

Test(mtx, bad_size_lines_are_refused) {
  expect_refused(REAL, "line 2: the file ends before its size line");
  expect_refused(REAL "% only\n%comments", "line 4: the file ends before its size line");
  expect_refused(REAL "2 2\n", "line 2: the size line must be ROWS COLUMNS ENTRIES");
  expect_refused(REAL "2 2 1 1\n", "line 2: the size line must be ROWS COLUMNS ENTRIES");
  expect_refused(REAL "2 2 -1\n", "line 2: the size line must be ROWS COLUMNS ENTRIES");
  expect_refused(REAL "2 2 x\n", "line 2: the size line must be ROWS COLUMNS ENTRIES");
  expect_refused(REAL "2 2.0 1\n", "line 2: the size line must be ROWS COLUMNS ENTRIES");
  expect_refused(REAL "99999999999999999999 2 1\n", "line 2: the size line must be ROWS COLUMNS ENTRIES");
  expect_refused(ARRAY "2 2 4\n", "line 2: the size line must be ROWS COLUMNS");
  expect_refused(REAL "0 2 0\n", "line 2: the matrix is empty (0 x 2)");
  expect_refused(ARRAY "2 0\n", "line 2: the matrix is empty (2 x 0)");
  expect_refused(SYMMETRIC "2 3 0\n", "line 2: a symmetric matrix must be square, not 2 x 3");
}

Test(mtx, counts_that_the_file_cannot_hold_allocate_nothing) {
  expect_refused(REAL "2 2 9999999999999\n1 1 1\n",
                 "line 2: 9999999999999 entries are announced, more than the rest of the file could hold");
  expect_refused(REAL "2 2 18446744073709551615\n1 1 1\n",
                 "line 2: 18446744073709551615 entries are announced, more than the rest of the file could hold");
  expect_refused(ARRAY "1000000 1000000\n1\n",
                 "line 2: 1000000000000 entries are announced, more than the rest of the file could hold");
  expect_refused(ARRAY "4294967296 4294967296\n1\n", "line 2: 4294967296 x 4294967296 entries do not fit in memory");
  expect_refused(PATTERN "2 2 2\n1 1\n", "line 2: 2 entries are announced, more than the rest of the file could hold");
}

Test(mtx, bad_entries_are_refused_with_their_line) {
  expect_refused(REAL "2 2 1\n3 1 5\n", "line 3: the row must be between 1 and 2, not '3'");
  expect_refused(REAL "2 2 1\n0 1 5\n", "line 3: the row must be between 1 and 2, not '0'");
  expect_refused(REAL "2 2 1\n1 7 5\n", "line 3: the column must be between 1 and 2, not '7'");
  expect_refused(REAL "2 2 1\n1 -1 5\n", "line 3: the column must be between 1 and 2, not '-1'");
  expect_refused(REAL "2 2 1\n1 1 five\n", "line 3: 'five' is not a number");
  expect_refused(REAL "2 2 1\n1 1 0x10\n", "line 3: '0x10' is not a number");
  expect_refused(REAL "2 2 1\n1 1 1,5\n", "line 3: '1,5' is not a number");
  expect_refused(REAL "2 2 1\n1 1 nan\n", "line 3: 'nan' is NaN, infinite or too large");
  expect_refused(REAL "2 2 1\n1 1 -inf\n", "line 3: '-inf' is NaN, infinite or too large");
  expect_refused(REAL "2 2 1\n1 1 1e999\n", "line 3: '1e999' is NaN, infinite or too large");
  expect_refused(REAL "2 2 1\n%\n\n1 1  \n", "line 5: an entry has 3 words, not 2");
  expect_refused(REAL "2 2 1\n1 1 1 1\n", "line 3: an entry has 3 words, not 4");
  expect_refused(REAL "2 2 1\n1 1 1 1 1 1 1 1 1 1\n", "line 3: an entry has 3 words, not 6");
  expect_refused(PATTERN "2 2 1\n1 1 1\n", "line 3: an entry has 2 words, not 3");
  expect_refused(INTEGER "2 2 1\n1 1 1.5\n", "line 3: '1.5' is not a whole number that fits in 64 bits");
  expect_refused(INTEGER "2 2 1\n1 1 9007199254740993\n",
                 "line 3: 9007199254740993 is an integer that a double cannot hold exactly");
  expect_refused(INTEGER "2 2 1\n1 1 99999999999999999999\n",
                 "line 3: '99999999999999999999' is not a whole number that fits in 64 bits");
}

Test(mtx, the_number_of_entries_must_be_right) {
  expect_refused(REAL "2 2 2\n1 1 1.0000000\n", "line 4: the file ends after 1 of 2 entries");
  expect_refused(REAL "2 2 1\n1 1 1\n2 2 1\n", "line 4: there is more after the last of 1 entries");
  expect_refused(ARRAY "1 2\n1.0000\n", "line 4: the file ends after 1 of 2 entries");
  expect_refused(ARRAY "1 2\n1\n2\n3\n", "line 5: there is more after the last of 2 entries");
}

Test(mtx, symmetric_files_hold_the_lower_triangle) {
  expect_refused(SYMMETRIC "2 2 1\n1 2 5\n", "line 3: entry (1, 2) is above the diagonal of a symmetric matrix");
  expect_refused(SKEW "2 2 1\n1 2 5\n", "line 3: entry (1, 2) is above the diagonal of a symmetric matrix");
  expect_refused(SKEW "2 2 1\n2 2 0\n", "line 3: entry (2, 2) is on the diagonal of a skew-symmetric matrix");
}

Test(mtx, a_number_too_long_to_be_one_is_refused_not_cut) {
  char text[400] = REAL "1 1 1\n1 1 0.", digits[201];
  Triplets triplets;
  memset(digits, '3', 200);
  digits[200] = '\0';
  strcat(text, digits);
  Status status = parse(text, &triplets);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "is not a number");
}

Test(mtx, a_zero_byte_does_not_end_a_word) {
  Triplets triplets;
  static const char text[] = REAL "1 1 1\n1 1 1\0002\n";
  Status status = parse_bytes(text, sizeof text - 1, &triplets);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "'1?2' is not a number");
}

Test(mtx, a_file_may_end_anywhere_without_harm) {
  static const char text[] = SYMMETRIC "% c\n2 2 2\n1 1 3\n2 1 12345";
  Triplets triplets;
  size_t smallest = sizeof text - 1 - 4; /* "... 2 1 1" is whole too */
  for (size_t size = 0; size < smallest; size++)
    cr_expect_eq(parse_bytes(text, size, &triplets).code, STATUS_INPUT, "%zu", size);
  cr_expect_eq(parse_bytes(text, smallest, &triplets).code, STATUS_OK);
  mtx_free(&triplets);
}

Test(mtx, more_entries_than_memory_is_a_status) {
  enum { COUNT = 2000000 };
  static const char start[] = ARRAY "2000000 1\n";
  size_t head = sizeof start - 1, size = head + 2 * COUNT;
  char *text = malloc(size);
  Triplets triplets;
  cr_assert_not_null(text);
  memcpy(text, start, head);
  for (size_t i = 0; i < COUNT; i++)
    memcpy(text + head + 2 * i, "0\n", 2);
  limit_memory(32 << 20);
  Status status = mtx_parse("big.mtx", (unsigned char *)text, size, &triplets);
  cr_expect_eq(status.code, STATUS_MEMORY, "%s", status.message);
  cr_expect_str_eq(status.message, "not enough memory for the 2000000 entries of big.mtx");
  cr_expect(triplets.row == NULL && triplets.value == NULL);
  free(text);
}

Test(mtx, files_are_read_and_missing_ones_refused) {
  Triplets triplets;
  cr_assert_eq(mtx_read(scratch_text("a.mtx", ARRAY "1 1\n2.5\n"), &triplets).code, STATUS_OK);
  cr_expect_eq(triplets.value[0], 2.5);
  mtx_free(&triplets);
  Status status = mtx_read(scratch_path("none.mtx"), &triplets);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "none.mtx: No such file");
  status = mtx_read(scratch_text("b.mtx", ARRAY "1 1\nx\n"), &triplets);
  expect_contains(status.message, "b.mtx: line 3: 'x' is not a number");
}
