/* feature_cache.h: what frozen CLIP sees in the pictures of a feed, computed once and kept.
 *
 * Features are kept as F16: numbers of about one, and the model trained on them never sees others. All views of a
 * picture are there, whichever of them a model is shown. Files are safetensors under FOLDER, each for up to a few
 * thousand pictures or about a gigabyte: `features` F16 (views * patches, C), picture by picture, the global view
 * first, then the tiles row by row; `grids` I32 (pictures, 2), columns and rows of tiles; what they were made of as
 * metadata, whose digest is the file's name. So a change of a picture, of the vision tower's weights, of the slicing,
 * of what computes (ops_print) makes new files, and nothing else does: pictures are divided among files by their own
 * digests, whatever their order, and a picture more or less changes one file (all of them when there are to be twice or
 * half as many).
 *
 * Files are written whole or not at all, so a killed run loses at most the one under way; nobody deletes those that are
 * no longer used. Several processes may share a folder, and share the work: the file `lock` in it, whose bytes they
 * lock, stays there empty. */
#ifndef SEESAW_FEATURE_CACHE_H
#define SEESAW_FEATURE_CACHE_H

#include "feature_tower.h"
#include "feed.h"

typedef struct Features Features;

typedef struct FeaturesPlan {
  const Store *store; /* of the model with the vision tower; needed while features_open works, no longer */
  const Feed *feed;   /* alike */
  const char *folder; /* "": in memory only */
  size_t most;        /* pictures in a file; 0: 4096, or fewer of large ones */
  bool quiet;         /* no progress bar */
} FeaturesPlan;

/* features_open: those of every pictured conversation of the feed: mapped from the files that are there, computed and
 * written where they are not. A picture of several conversations is computed once. The bytes do not depend on the
 * number of threads, nor on whether they came from a file. Errors: of a picture, naming it (one that the feed cannot
 * give; STATUS_NUMERICS for features that F16 cannot hold); of files, which also say what may be deleted;
 * STATUS_MEMORY; STATUS_INTERRUPTED (files that were finished stay). *features is NULL then. */
Status features_open(Features **features, const FeaturesPlan *plan);
void features_close(Features *features);

/* features_most_bytes: what the features of so many pictures take at most, each in as many tiles as its slicing makes.
 */
size_t features_most_bytes(const ModelConfig *config, size_t pictures);

/* features_grid: the tiles of a conversation's picture; 0 x 0 without one. */
TileGrid features_grid(const Features *features, size_t index);

/* features_view: view `view` (0: global; then tiles row by row) of conversation `index`: F16 (patches, C), not owned,
 * read-only. */
Tensor features_view(const Features *features, size_t index, size_t view);

/* features_report: what features_open did. */
typedef struct FeaturesReport {
  size_t pictures, views; /* different ones */
  size_t shared;          /* conversations that found their picture with another */
  size_t computed;        /* pictures that this process computed */
  size_t files;           /* 0: in memory */
} FeaturesReport;

FeaturesReport features_report(const Features *features);

#endif
