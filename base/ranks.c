/* ranks.c: MPI where there is MPI, one rank elsewhere. */
#include "ranks.h"

#ifdef SEESAW_HAVE_MPI

#include <mpi.h>
#include <stddef.h>
#include <stdlib.h>

/* Set by the launchers of Open MPI, MPICH and its kin, and PMIx for every process they start. A batch system's own
 * variables are there for a process started without a launcher too, so they say nothing. */
static bool launched_by_mpi(void) {
  static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"};
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
    if (getenv(variables[i]) != NULL)
      return true;
  return false;
}

/* Whether this process takes part in MPI right now. */
static bool joined(void) {
  int begun = 0, ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  return begun && !ended;
}

Ranks ranks_begin(int *argc, char ***argv) {
  Ranks ranks = {0, 1};
  if (!launched_by_mpi())
    return ranks;
  int provided; /* only the main thread calls MPI, and every MPI grants that */
  MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks.count);
  return ranks;
}

Status ranks_agree(Status mine) {
  if (!joined())
    return mine;
  struct {
    int fine, rank;
  } vote = {mine.code == STATUS_OK, 0}, first;
  MPI_Comm_rank(MPI_COMM_WORLD, &vote.rank);
  MPI_Allreduce(&vote, &first, 1, MPI_2INT, MPI_MINLOC, MPI_COMM_WORLD); /* of equal votes the lowest rank */
  if (first.fine)
    return status_ok();
  MPI_Bcast(&mine, sizeof mine, MPI_BYTE, first.rank, MPI_COMM_WORLD);
  return mine;
}

void ranks_end(void) {
  if (joined())
    MPI_Finalize();
}

#else

Ranks ranks_begin(int *argc, char ***argv) {
  (void)argc, (void)argv;
  return (Ranks){0, 1};
}

Status ranks_agree(Status mine) {
  return mine;
}

void ranks_end(void) {}

#endif
