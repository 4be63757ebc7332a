/* feature_shard.h: the features of a few thousand pictures: computed in memory, written to a file, or mapped from it.
 */
#ifndef SEESAW_FEATURE_SHARD_H
#define SEESAW_FEATURE_SHARD_H

#include "feature_tower.h"
#include "feed.h"
#include "progress.h"
#include "tensor_file.h"

/* A picture, however many conversations are about it. */
typedef struct CachedPicture {
  Digest digest;
  size_t conversation;      /* one of them */
  const uint16_t *features; /* of its first view, when the shard is there */
  TileGrid grid;
} CachedPicture;

/* What features of a shard are made of, as its file's metadata says it; the digest of all is the file's name. */
enum { RECIPE_PARTS = 6 };
typedef struct Recipe {
  TextPair parts[RECIPE_PARTS];
  char real[OPS_ROOM], slicing[96], tower[2 * DIGEST_SIZE + 1], pictures[2 * DIGEST_SIZE + 1];
} Recipe;

typedef struct Shard {
  CachedPicture *pictures; /* of the cache's, in the order of their digests */
  size_t count;
  Recipe recipe;
  Digest name;
  char *path; /* NULL: in memory only */
  bool ready;
  TensorFile file;    /* mapped, or */
  uint16_t *features; /* in memory: `views` views, room for more */
  int32_t *grids;     /* columns and rows of each picture */
  size_t views, room;
} Shard;

/* shard_name: fill the recipe and the path in a folder ("": none) of a shard whose pictures are set. Errors:
 * STATUS_MEMORY. shard_free: safe on a zeroed one. */
Status shard_name(Shard *shard, const Store *store, Digest tower, const char *folder);
void shard_free(Shard *shard);

/* shard_map: from its file, if that is there; else it stays as it is, not ready. Errors: STATUS_INPUT naming the file,
 * which is damaged or another's; STATUS_MEMORY. */
Status shard_map(Shard *shard, const ModelConfig *config);

/* shard_compute: in memory. progress: counts on, in pictures. Errors: of a picture, naming it; STATUS_MEMORY;
 * STATUS_INTERRUPTED; then nothing of it is kept. shard_write: what was computed, to its file, which is then mapped.
 * Errors: STATUS_OUTPUT, STATUS_MEMORY. */
Status shard_compute(Shard *shard, Tower *tower, const Feed *feed, Progress *progress);
Status shard_write(Shard *shard, const ModelConfig *config);

#endif
