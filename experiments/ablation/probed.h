/* probed.h: the files of a job of `seesaw ablate probe`: lines of result files without their headers, whole or not at
 * all, the last of them last.
 *   probes.csv       row,seed,phase,step,group,gradient_norm,update_share     windows of training (probe.h)
 *   gates.csv        row,seed,phase,step,mean
 *   loss_probes.csv  row,seed,views,local,global,loss                         the trained model (look.h)
 *   attention.csv    row,seed,layer,share_local,share_global,share_text       layers from 0
 *   router.csv       row,seed,gamma,kept_share,relate,read                    accuracies from 0 to 1 */
#ifndef SEESAW_PROBED_H
#define SEESAW_PROBED_H

#include "chain.h"
#include "feed_scenes.h"

#define PROBED_LAST "router.csv"

typedef struct Probed {
  const char *row;
  uint64_t seed;
  const char *folder;     /* of the job */
  const char *runs;       /* where the phases' folders are */
  const ChainLink *links; /* the phases */
  size_t phases;
  const Store *store;          /* trained */
  const SceneFeedPlan *scenes; /* to look at; what is said about them is ours */
  const Features *features;    /* of those scenes */
  Views views;                 /* that the model is used with */
} Probed;

/* probed_write: Errors: those of the measurements; STATUS_OUTPUT. */
Status probed_write(const Probed *probed);

#endif
