/* feed_scenes.h: scenes as training samples, made as they are asked for. */
#ifndef SEESAW_FEED_SCENES_H
#define SEESAW_FEED_SCENES_H

#include "feed.h"
#include "questions.h"

/* What is said about each scene. */
typedef struct SceneTalk {
  bool caption;      /* a caption; else questions and answers in turns */
  unsigned families; /* bits 1 << Family: which are asked */
  size_t rounds;     /* questions a scene; each round of all families in random order, then again */
  bool easily;       /* a coin for each round: an easy question instead */
} SceneTalk;

typedef struct SceneFeedPlan {
  uint64_t seed;
  Split split;
  size_t count;
  SceneTalk talk;
  const Tokenizer *tokenizer; /* outlives the feed */
} SceneFeedPlan;

/* scene_record: the conversation about scene `index`, as a file would have it; the caller frees it (record_free).
 * Errors: STATUS_MEMORY. */
Status scene_record(const SceneFeedPlan *plan, size_t index, Record *record);

/* feed_scenes_digest: of the first few pictures and conversations of the plan, whole. It changes with the code that
 * draws and asks, so that what was computed in one world is not taken for another's. Errors: STATUS_MEMORY. */
Status feed_scenes_digest(const SceneFeedPlan *plan, Digest *digest);

/* feed_scenes_open: pictures of equal indices are the same whatever is said about them. feed_scenes_close: safe on a
 * zeroed Feed. Errors: STATUS_MEMORY. */
Status feed_scenes_open(Feed *feed, const SceneFeedPlan *plan);
void feed_scenes_close(Feed *feed);

#endif
