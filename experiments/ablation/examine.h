/* examine.h: what a trained model answers. */
#ifndef SEESAW_EXAMINE_H
#define SEESAW_EXAMINE_H

#include "batch.h"
#include "feed_scenes.h"
#include "store.h"

enum { EXAM_BLOCKS = 10 }; /* of pictures: what a bootstrap resamples, since questions of a picture go together */

typedef struct ExamCount {
  size_t items, correct;
  size_t true_positive, false_positive, false_negative; /* of 'yes' for exist (POPE), of 'no' for probe (AMBER) */
} ExamCount;

typedef struct Exam {
  ExamCount count[FAMILIES][EXAM_BLOCKS];
  size_t local, kept; /* local tokens of all questions' pictures; those that the router kept */
} Exam;

typedef struct ExamPlan {
  const Store *store;
  const SceneFeedPlan *scenes; /* whose pictures; what is said about them is the exam's affair */
  const Features *features;    /* of those scenes */
  Views views;                 /* that the model is shown */
  unsigned families;           /* bits 1 << Family: which are asked; 0: all */
} ExamPlan;

/* examine: one question of each family about every scene, each alone; the answer is the likeliest token, and right if
 * it is the one asked for. Errors: those of the feeds and the backend; STATUS_MEMORY, STATUS_INTERRUPTED. */
Status examine(const ExamPlan *plan, Exam *exam);

/* exam_accuracy: over all blocks. exam_f1: of the positive answer; NaN where there is none. */
double exam_accuracy(const Exam *exam, Family family);
double exam_f1(const Exam *exam, Family family);

/* exam_model: the model as the exam shows it those views. The released router compares tokens with the text of the
 * whole prompt, and the answer is not part of an exam's: so the model's switch router_text is ROUTER_QUESTION, and
 * where whole_prompt says that it was the prompt, exam_hide_answers makes all that stands before the answers the
 * question. */
Model exam_model(const ExamPlan *plan, bool *whole_prompt);
void exam_hide_answers(Batcher *batcher);

#endif
