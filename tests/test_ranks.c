/* test_ranks.c: one rank without a launcher; under mpirun, where it is there, several ranks that agree on a failure.
 *
 * For the second this program starts itself again under mpirun; RANKS_TEST in the environment tells the copies, before
 * Criterion takes over, to be ranks. */
#include "ranks.h"

#include "scratch.h"

Test(ranks, without_a_launcher_there_is_one) {
  static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"};
  for (int i = 0; i < 4; i++)
    unsetenv(variables[i]);
  int argc = 0;
  char **argv = NULL;
  Ranks ranks = ranks_begin(&argc, &argv);
  cr_expect(ranks.rank == 0 && ranks.count == 1);
  cr_expect_eq(ranks_agree(status_ok()).code, STATUS_OK);
  Status status = ranks_agree(status_error(STATUS_INPUT, "mine"));
  cr_expect_eq(status.code, STATUS_INPUT);
  cr_expect_str_eq(status.message, "mine");
  ranks_end();
  cr_expect_eq(ranks_agree(status_ok()).code, STATUS_OK, "after the end");
}

/* Ranks 1 and 2 fail with different sentences; every rank prints what it got, in one write of one line. */
static void be_a_rank(void) {
  int argc = 0;
  char **argv = NULL, line[700];
  Ranks ranks = ranks_begin(&argc, &argv);
  Status fine = ranks_agree(status_ok());
  Status mine = ranks.rank == 0 ? status_ok() : status_error(STATUS_NUMERICS, "rank %d failed", ranks.rank);
  Status agreed = ranks_agree(mine);
  snprintf(line, sizeof line, "%d/%d: %d %d %s\n", ranks.rank, ranks.count, fine.code, agreed.code,
           agreed.code == STATUS_OK ? "" : agreed.message);
  ssize_t written = write(STDOUT_FILENO, line, strlen(line));
  ranks_end();
  _exit(written == (ssize_t)strlen(line) ? 0 : 1);
}

__attribute__((constructor)) static void become_a_rank(void) {
  if (getenv("RANKS_TEST") != NULL)
    be_a_rank();
}

Test(ranks, all_get_the_first_failure_by_rank, .timeout = 60) {
  char program[512] = "", command[1024], text[4096] = "";
  if (system("command -v mpirun >/dev/null 2>&1") != 0)
    cr_skip_test("mpirun is not there");
  cr_assert_gt(readlink("/proc/self/exe", program, sizeof program - 1), 0);
  snprintf(command, sizeof command,
           "RANKS_TEST=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
           "OMPI_MCA_rmaps_base_oversubscribe=1 mpirun -n 3 '%s' 2>/dev/null",
           program);
  FILE *stream = popen(command, "r");
  cr_assert_not_null(stream);
  text[fread(text, 1, sizeof text - 1, stream)] = '\0';
  pclose(stream);
  if (strstr(text, "0/1: ") != NULL)
    cr_skip_test("built without MPI");
  expect_contains(text, "0/3: 0 7 rank 1 failed\n");
  expect_contains(text, "1/3: 0 7 rank 1 failed\n");
  expect_contains(text, "2/3: 0 7 rank 1 failed\n");
}
