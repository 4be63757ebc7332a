/* feature_tower.h: frozen CLIP over a stream of views, a batch at a time. */
#ifndef SEESAW_FEATURE_TOWER_H
#define SEESAW_FEATURE_TOWER_H

#include "digest.h"
#include "slice.h"
#include "slime.h"
#include "store.h"

enum { TOWER_BATCH = 32 }; /* views: enough for full matrix products; CLIP-L takes 1.3 GB of activations for them */

typedef struct Tower {
  const Store *store;
  Run run;
  SlimeTape tape;
  void *views;  /* room for a batch, in the backend's memory */
  void *host;   /* and for its features, in the host's */
  size_t count; /* views that wait */
} Tower;

/* tower_open: Errors: STATUS_MEMORY. tower_close: safe on a zeroed one. */
Status tower_open(Tower *tower, const Store *store);
void tower_close(Tower *tower);

/* tower_view: numbers in a view's features: patches x C. */
size_t tower_view(const ModelConfig *config);

/* tower_add: as many views of a picture, from `first` on, as there is room for in the batch; *taken: how many. Errors:
 * STATUS_MEMORY. */
Status tower_add(Tower *tower, const Slices *slices, size_t first, size_t *taken);

/* tower_run: the features of the views that wait, F16, one view after the other; none waits then. *bad: the first view
 * with a feature that F16 cannot hold (beyond 65504, or not a number), or how many there were. Errors: the backend's.
 */
Status tower_run(Tower *tower, uint16_t *features, size_t *bad);

/* vision_digest: of the tower's weights as they are now, rounded to float, and its configuration. Errors: the
 * backend's. */
Status vision_digest(const Store *store, Digest *digest);

#endif
