/* feature_cache.h: what frozen CLIP sees in the pictures of a feed, computed once and kept.
 *
 * Features are kept as F16: numbers of about one, and the model trained on them never sees others. Files are
 * safetensors under FOLDER, one for a few thousand pictures, named by a digest of their pictures, the vision tower's
 * weights and the slicing, so a change of any of them makes new files and nothing else does; they are written whole or
 * not at all, so a killed run loses at most the one under way. Several processes may share a folder. */
#ifndef SEESAW_FEATURE_CACHE_H
#define SEESAW_FEATURE_CACHE_H

#include "feed.h"
#include "slice.h"
#include "store.h"

typedef struct Features Features;

typedef struct FeaturesPlan {
  const Store *store; /* of the model with the vision tower */
  const Feed *feed;
  const char *folder; /* "": in memory only */
  bool quiet;         /* no progress bar */
} FeaturesPlan;

/* features_open: those of every pictured conversation of the feed: mapped from the files that are there, computed and
 * written where they are not. A picture of several conversations is computed once. Errors: of a picture, naming it; of
 * files; STATUS_MEMORY; STATUS_INTERRUPTED (what was finished stays). *features is NULL then. */
Status features_open(Features **features, const FeaturesPlan *plan);
void features_close(Features *features);

/* features_grid: the tiles of a conversation's picture; 0 x 0 without one. */
TileGrid features_grid(const Features *features, size_t index);

/* features_view: view `view` (0: global; then tiles row by row) of conversation `index`: F16 (patches, C), not owned.
 */
Tensor features_view(const Features *features, size_t index, size_t view);

/* vision_digest: of the tower's weights as they are now. */
Status vision_digest(const Store *store, Digest *digest);

#endif
