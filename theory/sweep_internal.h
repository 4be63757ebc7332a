/* sweep_internal.h: what the files of the sweep share. */
#ifndef SEESAW_SWEEP_INTERNAL_H
#define SEESAW_SWEEP_INTERNAL_H

#include "lanes.h"
#include "sweep.h"

/* ---- sweep_classify.c: what a run that neither arrived nor left within its steps is doing ---- */

/* Some lanes of runs of one method, gathered until there are enough to be worth a bundle. */
typedef struct Batch {
  Bundle bundle;
  size_t count;
  size_t run[LANES];    /* whose verdict it is */
  size_t before[LANES]; /* steps taken before this batch */
} Batch;

/* batch_add: a lane of `from` joins. The batch must have room. */
void batch_add(Batch *batch, const Bundle *from, size_t lane, size_t run, size_t before);

/* follow_orbits: look at the next steps of a batch: saddle, periodic, diverged or undecided go to verdicts[run]; runs
 * that may be chaotic, as they were, to `restless`, which must be empty. follow_chaos: the largest Lyapunov exponent
 * decides between chaos and undecided. Both empty the batch. */
void follow_orbits(LanesIsa isa, LaneRule rule, Batch *batch, double tolerance, Verdict *verdicts, Batch *restless);
void follow_chaos(LanesIsa isa, LaneRule rule, Batch *batch, Verdict *verdicts);

Verdict verdict_of(Outcome outcome);

/* ---- sweep_tile.c: a tile of points ---- */

/* What the starts of one point came to: a row of the output. */
typedef struct Row {
  uint64_t count[OUTCOME_COUNT], period;
  double median_steps, lyapunov;
} Row;

/* The starts, drawn once: (alpha, beta) of the paper's, or the six numbers of the Gaussian ones. */
typedef struct Starts {
  double (*scales)[2];
  Reduced *gaussian;
} Starts;

Status starts_draw(const SweepPlan *plan, Starts *starts);
Reduced starts_get(const Starts *starts, double cosine, size_t start);
void starts_free(Starts *starts);

/* A run of consecutive points of one method. Point i of a method: cosine i / steps, step i % steps of the grids, where
 * steps = 1 for a method without a step. */
typedef struct Tile {
  const MethodType *method;
  size_t first, count;
} Tile;

size_t method_points(const SweepPlan *plan, const MethodType *method);
double point_cosine(const SweepPlan *plan, const MethodType *method, size_t point);
double point_step(const SweepPlan *plan, double cosine, size_t step_index); /* eta */

/* tile_count, tile_at: the tiles of a plan, which depend on nothing else. */
size_t tile_count(const SweepPlan *plan);
Tile tile_at(const SweepPlan *plan, size_t index);

/* tile_compute: rows[0 .. tile.count). Errors: STATUS_MEMORY, STATUS_INTERRUPTED. */
Status tile_compute(const SweepPlan *plan, const Starts *starts, LanesIsa isa, const Tile *tile, Row *rows);

/* ---- sweep_journal.c: finished tiles, on disk ---- */

/* The finished tiles of all journals beside an output. */
typedef struct Ledger {
  uint64_t plan; /* hash of the plan */
  size_t tiles;
  bool *done;      /* tiles */
  Row **rows;      /* tiles; NULL where not done */
  size_t finished; /* how many are done */
} Ledger;

typedef struct Journal {
  int descriptor;
  char *path;
  double synced; /* when, on the monotonic clock */
} Journal;

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size);
#define HASH_START UINT64_C(0xcbf29ce484222325) /* FNV-1a, 64 bits */

Status ledger_alloc(const SweepPlan *plan, uint64_t hash, Ledger *ledger);
void ledger_free(Ledger *ledger);

/* ledger_read: take in every journal beside the output, of any rank. A torn last record is passed over.
 * Errors: STATUS_USAGE (a journal of another plan), STATUS_INPUT, STATUS_MEMORY. */
Status ledger_read(const SweepPlan *plan, const char *output, Ledger *ledger);

/* journal_open: this rank's journal, cut after its last whole record. Errors: STATUS_OUTPUT (also when another process
 * is writing it). journal_append: a tile is done; synced to disk at most about once a second. */
Status journal_open(const SweepPlan *plan, const char *output, int rank, const Ledger *ledger, Journal *journal);
Status journal_append(Journal *journal, size_t tile, const Row *rows, size_t count);
Status journal_close(Journal *journal);

/* journals_remove: all of them, of any rank. */
void journals_remove(const char *output);

#endif
