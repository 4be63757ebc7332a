/* test_csv.c: cells, quotes, exact numbers, and rows that do not match the header. */
#include "csv.h"

#include <math.h>
#include <signal.h>
#include <stdint.h>

#include "scratch.h"

TestSuite(csv, .init = scratch_make, .fini = scratch_remove);

Test(csv, a_table_is_written_as_expected) {
  CsvWriter csv;
  char text[512];
  cr_assert_eq(csv_open(&csv, scratch_path("t.csv"), "method,step,loss").code, STATUS_OK);
  csv_text(&csv, "gd");
  csv_integer(&csv, 3);
  csv_real(&csv, 0.5);
  csv_end(&csv);
  csv_text(&csv, "a,\"b\"\nc");
  csv_integer(&csv, INT64_MIN);
  csv_real(&csv, -0.0);
  csv_end(&csv);
  cr_assert_eq(csv_commit(&csv).code, STATUS_OK);
  cr_expect_str_eq(scratch_read(scratch_path("t.csv"), text, sizeof text),
                   "method,step,loss\ngd,3,0.5\n\"a,\"\"b\"\"\nc\",-9223372036854775808,-0\n");
}

Test(csv, numbers_read_back_exactly) {
  static const double values[] = {0.1, 1.0 / 3, 1e-320, 1.7976931348623157e308, -2.2250738585072014e-308, 1e22};
  CsvWriter csv;
  char text[1024], *rest = text;
  cr_assert_eq(csv_open(&csv, scratch_path("t.csv"), "x").code, STATUS_OK);
  for (int i = 0; i < 6; i++) {
    csv_real(&csv, values[i]);
    csv_end(&csv);
  }
  cr_assert_eq(csv_commit(&csv).code, STATUS_OK);
  scratch_read(scratch_path("t.csv"), text, sizeof text);
  strsep(&rest, "\n");
  for (int i = 0; i < 6; i++)
    cr_expect_eq(strtod(strsep(&rest, "\n"), NULL), values[i]);
}

Test(csv, what_is_not_finite_has_one_spelling) {
  CsvWriter csv;
  char text[128];
  cr_assert_eq(csv_open(&csv, scratch_path("t.csv"), "a,b,c,d").code, STATUS_OK);
  csv_real(&csv, NAN);
  csv_real(&csv, copysign(NAN, -1));
  csv_real(&csv, INFINITY);
  csv_real(&csv, -INFINITY);
  csv_end(&csv);
  cr_assert_eq(csv_commit(&csv).code, STATUS_OK);
  cr_expect_str_eq(scratch_read(scratch_path("t.csv"), text, sizeof text), "a,b,c,d\nnan,nan,inf,-inf\n");
}

static void one_cell_too_many(void) {
  CsvWriter csv;
  if (csv_open(&csv, scratch_path("t.csv"), "a,b").code == STATUS_OK)
    for (int i = 0; i < 3; i++)
      csv_integer(&csv, i);
}

static void one_cell_too_few(void) {
  CsvWriter csv;
  if (csv_open(&csv, scratch_path("t.csv"), "a,b").code == STATUS_OK) {
    csv_integer(&csv, 1);
    csv_end(&csv);
  }
}

static void row_left_open(void) {
  CsvWriter csv;
  if (csv_open(&csv, scratch_path("t.csv"), "a").code == STATUS_OK) {
    csv_integer(&csv, 1);
    csv_commit(&csv);
  }
}

Test(csv, rows_that_do_not_match_the_header_stop) {
  char text[512];
  cr_expect_eq(WTERMSIG(in_child(one_cell_too_many, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, "more than the header's 2 cells");
  cr_expect_eq(WTERMSIG(in_child(one_cell_too_few, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, "the row has 1 cells, the header 2");
  cr_expect_eq(WTERMSIG(in_child(row_left_open, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, "csv_end is missing");
}

Test(csv, failures_are_those_of_the_file) {
  CsvWriter csv;
  cr_expect_eq(csv_open(&csv, scratch_path("no/t.csv"), "a").code, STATUS_OUTPUT);
  csv_abort(&csv);
  cr_assert_eq(csv_open(&csv, "/dev/full", "a").code, STATUS_OK);
  cr_expect_eq(csv_commit(&csv).code, STATUS_OUTPUT);
}

Test(csv, aborting_leaves_nothing) {
  CsvWriter csv;
  cr_assert_eq(csv_open(&csv, scratch_path("t.csv"), "a").code, STATUS_OK);
  csv_integer(&csv, 1);
  csv_abort(&csv);
  cr_expect_eq(scratch_count(), 0);
}

/* ---- reading ---- */

static const char *const WORDS[] = {"red", "green", NULL};

Test(csv, a_file_is_read_row_by_row) {
  CsvReader csv;
  int word;
  int64_t whole;
  double real;
  bool there;
  const char *path = scratch_text("t.csv", "name,count,value\r\ngreen,1e3,-0.5\n\"red\",7,\"1\"\"\"");
  cr_assert_eq(csv_read(&csv, path, "name,count,value").code, STATUS_OK);
  cr_assert_eq(csv_row(&csv, &there).code, STATUS_OK);
  cr_expect(there && csv.line == 2 && csv.columns == 3);
  cr_expect(csv_read_word(&csv, 0, WORDS, &word).code == STATUS_OK && word == 1);
  cr_expect(csv_read_integer(&csv, 1, 0, 1000, &whole).code == STATUS_OK && whole == 1000);
  cr_expect(csv_read_real(&csv, 2, -1, &real).code == STATUS_OK && real == -0.5);
  cr_assert_eq(csv_row(&csv, &there).code, STATUS_OK);
  cr_expect_str_eq(csv.cells[0], "red");
  cr_expect_str_eq(csv.cells[2], "1\"");
  cr_assert_eq(csv_row(&csv, &there).code, STATUS_OK);
  cr_expect_not(there);
  csv_close(&csv);
}

/* The first row of a file with columns name,count,value is refused like this by one of the readers. */
static void expect_cell_refused(const char *row, const char *part) {
  CsvReader csv;
  int word;
  int64_t whole;
  double real;
  bool there;
  char text[256];
  snprintf(text, sizeof text, "name,count,value\n%s\n", row);
  cr_assert_eq(csv_read(&csv, scratch_text("t.csv", text), "name,count,value").code, STATUS_OK);
  Status status = csv_row(&csv, &there);
  if (status.code == STATUS_OK)
    status = csv_read_word(&csv, 0, WORDS, &word);
  if (status.code == STATUS_OK)
    status = csv_read_integer(&csv, 1, 1, 9, &whole);
  if (status.code == STATUS_OK)
    status = csv_read_real(&csv, 2, 0, &real);
  cr_assert_eq(status.code, STATUS_INPUT, "%s", row);
  expect_contains(status.message, part);
  expect_contains(status.message, "t.csv, line 2: ");
  csv_close(&csv);
}

Test(csv, cells_are_checked) {
  expect_cell_refused("", "1 cells where the first line has 3 columns");
  expect_cell_refused("red,1", "2 cells");
  expect_cell_refused("red,1,2,3", "4 cells");
  expect_cell_refused("blue,1,2", "column 'name' holds 'blue', which is not one of red, green");
  expect_cell_refused("red,0,2", "column 'count' holds '0', which is not a whole number from 1 to 9");
  expect_cell_refused("red,10,2", "holds '10'");
  expect_cell_refused("red,1.5,2", "holds '1.5'");
  expect_cell_refused("red, 1,2", "holds ' 1'");
  expect_cell_refused("red,1,nan", "column 'value' holds 'nan', which is not a finite number from 0 up");
  expect_cell_refused("red,1,-1e-300", "holds '-1e-300'");
  expect_cell_refused("red,1,", "holds ''");
  expect_cell_refused("re\x1b[31md,1,2", "holds 're?[31md'");
}

Test(csv, files_that_are_not_tables) {
  CsvReader csv;
  Status status = csv_read(&csv, scratch_path("none.csv"), "a,b");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "none.csv");
  status = csv_read(&csv, scratch_text("t.csv", "a,c\n1,2\n"), "a,b");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "the first line is 'a,c', not 'a,b'");
  status = csv_read(&csv, scratch_text("t.csv", "a,b,c\n"), "a,b");
  cr_expect_eq(status.code, STATUS_INPUT);
  status = csv_read(&csv, scratch_write("t.csv", "a,b\n1\0,2\n", 10), "a,b");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "zero bytes");
}

Test(csv, a_row_of_very_many_cells_is_cut_off) {
  char text[400] = "x", *rest = text, *cells[CSV_COLUMNS_MOST + 1];
  for (int i = 0; i < 150; i++)
    strcat(text, ",x");
  cr_expect_eq(csv_cut(&rest, cells), CSV_COLUMNS_MOST + 1);
  cr_expect_eq(*rest, '\0');
}
