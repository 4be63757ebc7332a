/* ranks.h: the processes of one run: one, or as many as mpirun started.
 *
 * MPI is optional: without it, or when no launcher started the program, there is one rank. */
#ifndef SEESAW_RANKS_H
#define SEESAW_RANKS_H

#include "status.h"

typedef struct Ranks {
  int rank, count;
} Ranks;

/* ranks_begin: join the others (MPI_Init only if an MPI launcher's environment is there). */
Ranks ranks_begin(int *argc, char ***argv);

/* ranks_agree: every rank hands in its status; all get the first failure by rank, or success. A barrier as well. */
Status ranks_agree(Status mine);

void ranks_end(void);

#endif
