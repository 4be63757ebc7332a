/* look.h: what a trained model makes of its pictures: measurements on scenes that it was not trained on. */
#ifndef SEESAW_LOOK_H
#define SEESAW_LOOK_H

#include "examine.h"

typedef struct LookPlan {
  const Store *store;
  const Feed *feed;         /* conversations; those without a picture are left out */
  const Features *features; /* of its pictures */
  Views views;              /* that the model is used with */
} LookPlan;

/* ---- the loss without some of the tokens ---- */

/* What is done to the tokens of one kind of view: nothing; the model is run without it; they are those of another
 * picture, cut into tiles alike. */
typedef enum { TOKENS_FULL, TOKENS_REMOVED, TOKENS_SHUFFLED, TOKEN_STATES } TokenState;
extern const char *const token_states[TOKEN_STATES]; /* "full", "removed", "shuffled" */

typedef struct LookLosses {
  double loss[TOKEN_STATES][TOKEN_STATES]; /* [local][global], a trained token; NaN where a view is not the model's */
  size_t samples;                          /* over which: those whose grid of tiles another has, too */
} LookLosses;

/* look_losses: a view that the model does not have, or is not used with, counts as removed. The picture that a sample
 * is shown instead of its own is that of the next one with the same grid. Errors: STATUS_INPUT if no two pictures have
 * the same grid; those of the feed; STATUS_MEMORY, STATUS_INTERRUPTED. */
Status look_losses(const LookPlan *plan, LookLosses *losses);

/* ---- attention ---- */

/* What a row of the decoder's input is; a separator is text. */
typedef enum { PART_LOCAL, PART_GLOBAL, PART_TEXT, PARTS } Part;

/* look_attention: of each layer of the decoder the shares of the attention of the rows that predict a trained token,
 * mean over heads and rows. share: as many as there are layers. No noise is drawn: nothing is trained. Errors: as
 * above; STATUS_INPUT if there is no such row. */
Status look_attention(const LookPlan *plan, double (*share)[PARTS]);

/* parts_of: of all rows of a sequence. */
void parts_of(const SlimeTape *tape, Part *parts);

/* attention_add: to sum, by part, the probabilities p = exp(scale q'k - lse) of a layer's attention, over heads and the
 * predicting rows of the sequence. qkv and lse: as the tape of the layer has them, but in the host's memory. */
void attention_add(const DecoderConfig *config, const Sequence *sequence, const Part *parts, Tensor qkv, Tensor lse,
                   double sum[PARTS]);

/* ---- the router ---- */

enum { LOOK_GAMMAS = 10 };

typedef struct LookRouter {
  double gamma;
  double kept;         /* share of the local tokens */
  double relate, read; /* accuracies */
} LookRouter;

/* look_router: the trained model with gamma 0.1, 0.2, ..., 1. Errors: those of examine. */
Status look_router(const ExamPlan *plan, LookRouter points[LOOK_GAMMAS]);

#endif
