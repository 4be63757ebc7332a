/* desk.h: what the files of a job share; no affair of others. */
#ifndef SEESAW_DESK_H
#define SEESAW_DESK_H

#include "files.h"
#include "job.h"

/* What a job works with. */
typedef struct Desk {
  const Setting *setting;
  const Recipe *recipe;
  uint64_t seed;
  ModelConfig config;
  Scheme scheme;
  SceneFeedPlan training, testing; /* scenes */
  Feed captions, questions;
  SceneTalk caption_talk, question_talk;
} Desk;

/* desk_file: one of the job's files, opened for writing. */
Status desk_file(const Desk *desk, const char *name, OutputFile *file);

/* desk_write: the files of a job whose phases are done. Errors: STATUS_OUTPUT, those of the exam or the probe. */
Status desk_write(Desk *desk, const ChainLink *links, const Store *store, const Features *features);

#endif
