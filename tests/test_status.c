/* test_status.c: sentences, their limits, and the stop at a broken contract. */
#include "status.h"

#include <errno.h>
#include <signal.h>

#include "scratch.h"

Test(status, error_has_code_and_sentence) {
  Status status = status_error(STATUS_INPUT, "%s: line %d", "a.mtx", 3);
  cr_expect_eq(status.code, STATUS_INPUT);
  cr_expect_str_eq(status.message, "a.mtx: line 3");
}

Test(status, long_sentences_are_cut_within_the_message) {
  char text[1000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  Status status = status_error(STATUS_USAGE, "%s", text);
  cr_expect_eq(strlen(status.message), sizeof status.message - 1);
  errno = ENOSPC;
  status = status_from_errno(STATUS_USAGE, "%s", text);
  cr_expect_eq(strlen(status.message), sizeof status.message - 1);
}

Test(status, errno_follows_the_sentence) {
  errno = ENOSPC;
  Status status = status_from_errno(STATUS_OUTPUT, "cannot write %s", "out.csv");
  cr_expect_eq(status.code, STATUS_OUTPUT);
  cr_expect_str_eq(status.message, "cannot write out.csv: No space left on device");
}

static Status after_two(Status first, Status second, int *reached) {
  TRY(first);
  *reached = 1;
  TRY(second);
  *reached = 2;
  return status_ok();
}

Test(status, try_hands_on_the_first_failure) {
  int reached = 0;
  cr_expect_eq(after_two(status_ok(), status_ok(), &reached).code, STATUS_OK);
  cr_expect_eq(reached, 2);
  Status status = after_two(status_ok(), status_error(STATUS_MEMORY, "second"), &reached);
  cr_expect_eq(status.code, STATUS_MEMORY);
  cr_expect_str_eq(status.message, "second");
  cr_expect_eq(reached, 1);
}

static void break_contract(void) {
  int rows = 3;
  REQUIRE(rows == 4, "a has %d rows, b has %d", rows, 4);
}

static void keep_contract(void) {
  REQUIRE(1 + 1 == 2, "arithmetic");
}

Test(status, a_broken_contract_names_the_place_and_aborts) {
  char text[512];
  int end = in_child(break_contract, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT);
  expect_contains(text, "seesaw: ");
  expect_contains(text, "test_status.c:");
  expect_contains(text, ": rows == 4: a has 3 rows, b has 4\n");
}

Test(status, a_kept_contract_is_silent) {
  char text[512];
  int end = in_child(keep_contract, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFEXITED(end) && WEXITSTATUS(end) == 0);
  cr_expect_str_eq(text, "");
}
