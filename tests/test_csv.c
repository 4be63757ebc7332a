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
