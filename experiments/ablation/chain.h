/* chain.h: a row's phases one after the other, each trained once however many rows begin with it.
 *
 * What a phase's result depends on is written down as text: the pretrained pair, the seed, what of the model it uses,
 * the data, the phases before it and its own, and what computes it, if that is not the C backend in float. A digest of
 * that text names the folder of its files; a phase whose folder has a finished result is not trained again, one that
 * was stopped goes on. Workers that want the same phase at the same time wait for each other by a lock on its folder.
 */
#ifndef SEESAW_CHAIN_H
#define SEESAW_CHAIN_H

#include "recipe.h"
#include "trainer.h"

/* The pretrained pair, in memory, and what seeds change. */
typedef struct Pair {
  ModelConfig config;
  Model model;
  Store store;
  Digest digest; /* of its values */
} Pair;

typedef struct ChainPlan {
  const Pair *pair;
  const Ops *ops;
  const Scheme *scheme;
  const ModelConfig *config; /* of the row */
  uint64_t seed;             /* of the adapter's start, the order of samples and the noise */
  /* the feed of that name, whose features are the same for all; NULL: there is none */
  const Feed *(*feed)(void *context, const char *name);
  /* appends what that feed is made of, whatever two feeds of one name may differ in */
  Status (*about)(void *context, const char *name, Text *text);
  const Features *features;
  void *context;
  const char *folder; /* where phases' folders are */
  bool quiet;
  bool probed; /* each phase leaves what probe.h measures beside its other files */
} ChainPlan;

/* What a phase took. */
typedef struct ChainLink {
  const Phase *phase;
  TrainReport report;
  char digest[2 * DIGEST_SIZE + 1]; /* the folder's name */
} ChainLink;

/* chain_start: a store for the row's model: the pair's tower and decoder, the rest random by the seed. */
Status chain_start(const ChainPlan *plan, Model *model, Store *store);

/* chain_run: all phases, from chain_start's values; links: as many as the scheme has phases. Errors: those of
 * train_phase; STATUS_INPUT for a feed that there is none of; STATUS_OUTPUT. */
Status chain_run(const ChainPlan *plan, Store *store, ChainLink *links);

/* chain_text: append what the last phase's result depends on. Errors: STATUS_MEMORY. */
Status chain_text(const ChainPlan *plan, Text *text);

/* chain_busy: is another worker at a phase that this chain needs and that is not finished? */
Status chain_busy(const ChainPlan *plan, bool *busy);

/* chain_finished: are the results of all its phases there? Nothing is written. */
Status chain_finished(const ChainPlan *plan, bool *finished);

#endif
