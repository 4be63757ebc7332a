/* page.h: a page of example scenes to look at: their pictures with the tiles, what each row answers to a question of
 * each family, which local tokens its router kept. Plain HTML with PNGs beside it. */
#ifndef SEESAW_PAGE_H
#define SEESAW_PAGE_H

#include "job.h"

typedef struct PagePlan {
  const Setting *setting; /* its split is that of the examples; tests and features do not matter */
  const Recipe *const *recipes;
  size_t count;        /* of recipes */
  uint64_t seed;       /* of training */
  size_t examples;     /* the first scenes of the split */
  const char *folder;  /* made if it is not there */
  const char *command; /* the line as typed */
} PagePlan;

/* page_write: FOLDER/index.html, last, with its origin beside it, and the PNGs that it shows. Rows whose phases are not
 * all finished are left out, which the page says. An older index.html goes first, so a run that is killed leaves none.
 * Errors: STATUS_INPUT if none of the rows is trained; STATUS_OUTPUT, STATUS_MEMORY, STATUS_INTERRUPTED; those of
 * job_visit. */
Status page_write(const PagePlan *plan);

#endif
