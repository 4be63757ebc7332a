/* job.h: one row of the ablation with one seed: trained, tested, written down.
 *
 * Files of a job, in FOLDER/rows/ID-SEED/, whole or not at all, answers.csv last: lines of the result files that
 * `seesaw table` reads (results.h), without their headers: costs.csv, curves.csv, answers.csv (of a probed job those of
 * probed.h); and what.txt, what they depend on: a first line that all rows of a command share (pair, scenes, scale,
 * exam, what computes), then the row's training. */
#ifndef SEESAW_JOB_H
#define SEESAW_JOB_H

#include "chain.h"
#include "feed_scenes.h"

typedef struct Setting {
  const Pair *pair;
  const Ops *ops;
  const Tokenizer *tokenizer;
  const char *folder;   /* of runs */
  const char *schemes;  /* folder of the scheme files */
  const char *features; /* folder of kept features; "": they are not kept */
  size_t pictures;      /* training scenes */
  size_t tests;         /* scenes of the exam */
  Split split;          /* of the exam: validation to choose by, test to report */
  double scale;         /* of every phase's samples */
  bool probed;          /* measured in training and looked at (probed.h) instead of examined */
  bool quiet;
} Setting;

/* pair_open: the checkpoint of `seesaw scenes pretrain`. pair_close: safe on a zeroed one. */
Status pair_open(Pair *pair, const Ops *ops, const char *folder);
void pair_close(Pair *pair);

/* job_prepare: features of the scenes that this row's training, and its exam, need, if they are not kept yet. */
Status job_prepare(const Setting *setting, const Recipe *recipe, uint64_t seed);

/* job_done: are its files there, and of this very setting? job_busy: is another worker at a phase that it needs?
 * job_answered: is the last of its files there, of whatever setting? */
Status job_done(const Setting *setting, const Recipe *recipe, uint64_t seed, bool *done);
bool job_answered(const Setting *setting, const Recipe *recipe, uint64_t seed);
Status job_busy(const Setting *setting, const Recipe *recipe, uint64_t seed, bool *busy);

/* job_run: all of it, unless another worker is at it (*taken is false then). Errors: those of the parts. */
Status job_run(const Setting *setting, const Recipe *recipe, uint64_t seed, bool *taken);

/* job_visit: calls `visit` with the trained model of the row, the scenes of the exam and their features, if every phase
 * is finished; else *finished is false, and nothing is trained or written. Errors: those of the parts and of `visit`.
 */
typedef Status JobVisit(void *context, const Store *store, const SceneFeedPlan *scenes, const Features *features);
Status job_visit(const Setting *setting, const Recipe *recipe, uint64_t seed, JobVisit *visit, void *context,
                 bool *finished);

/* job_file: the path of one of its files, allocated; NULL when memory is out. */
char *job_file(const Setting *setting, const Recipe *recipe, uint64_t seed, const char *name);

/* views_name: "both", "global" or "local", as result files have it. */
const char *views_name(Views views);

#endif
