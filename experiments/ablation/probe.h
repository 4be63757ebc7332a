/* probe.h: how hard each group of parameters is pulled at while a phase is trained, and where the gate stands.
 *
 * PHASE.probe.csv in the phase's folder has a line for each step: the mean of the gate, then of each group the norm of
 * its gradient before the clip and the norm of what its values moved by. It grows as the run goes; a run that resumes
 * cuts it back to the step at which it does, so an interrupted phase loses nothing and repeats nothing. The result
 * files have means over windows of steps. */
#ifndef SEESAW_PROBE_H
#define SEESAW_PROBE_H

#include <stdio.h>

#include "trainer.h"

enum { PROBE_WINDOWS = 50 }; /* of a phase, or as many as it has steps, if those are fewer */

typedef struct Probe {
  const char *folder, *phase; /* where to write; the phase's name */
  FILE *stream;               /* NULL until the first step */
  char *path;
} Probe;

/* probe_step: a probe of train_phase (TrainPlan.probe, with measure), whose context is a Probe with folder and phase
 * alone. Errors: STATUS_OUTPUT; STATUS_INPUT if the file ends before the step at which training goes on; STATUS_MEMORY.
 * probe_close: safe if there was no step. */
Status probe_step(void *probe, const TrainStep *step);
void probe_close(Probe *probe);

/* What lines begin with. */
typedef struct ProbeWhose {
  const char *row;
  uint64_t seed;
  const char *phase;
} ProbeWhose;

/* probe_windows: the lines of a phase of so many steps as means over windows, without headers: into `probes`
 *   row,seed,phase,step,group,gradient_norm,update_share
 * of each group that moved in the window: the mean norm of its gradient over the steps in which it moved; of the sum of
 * squares of all values' changes over the window's steps the share that is the group's (the shares of a window have the
 * sum 1). Into `gates`
 *   row,seed,phase,step,mean
 * the mean weight of the gate's first expert, the MLP, noise included, in the steps that show the mixture of the global
 * view; nothing where none does. step is the window's last. Errors: STATUS_INPUT naming the file and the line of a
 * number that is not one, and a file that does not have the phase's steps one by one; STATUS_MEMORY. */
Status probe_windows(const char *path, uint64_t steps, const ProbeWhose *whose, FILE *probes, FILE *gates);

/* probe_path: FOLDER/PHASE.probe.csv, allocated; NULL when memory is out. */
char *probe_path(const char *folder, const char *phase);

#endif
