/* slime.h: the whole model: pictures and text to a loss, or to the next token. */
#ifndef SEESAW_SLIME_H
#define SEESAW_SLIME_H

#include "ids.h"
#include "model.h"

/* A conversation about at most one picture. */
typedef struct Conversation {
  size_t count;                    /* of ids */
  const int32_t *ids;              /* token ids; IMAGE_TOKEN, at most once, where the picture's tokens go */
  const int32_t *labels;           /* alike: the id itself where it is trained, else IGNORE_LABEL; NULL: none is */
  size_t question, question_count; /* the question's place among ids, for the paper's router */
  size_t columns, rows;            /* of its tiles; 0: only the global view */
} Conversation;

/* Which views of a picture the model is shown. */
typedef enum { VIEWS_NONE, VIEWS_GLOBAL, VIEWS_LOCAL, VIEWS_BOTH } Views;

/* model_showing: the same parameters, with the views that are not among `views` left out. It owns nothing, and is good
 * as long as `model` does not move. */
Model model_showing(const Model *model, Views views);

/* Samples side by side. Pictures: of the pictured samples the global views, in order, then their tiles, in order, each
 * picture's row by row; without the kind of view that the model leaves out. */
typedef struct Batch {
  size_t count;
  const Conversation *samples;
  Tensor pictures; /* (views, 3, S, S); absent when the features are there already */
  Tensor features; /* (views * patches, C): of frozen CLIP, kept from before; or absent */
  size_t longest;  /* rows of a sample beyond this are cut off; 0: none */
} Batch;

/* Which rows of the decoder's input are what, made on the host. */
typedef struct Sequence {
  Ragged rows;
  int32_t *ids;        /* of each row: a token, or -1: a picture's token */
  int32_t *position;   /* in its sample */
  int32_t *global_row; /* of each global token, its row, or -1: cut off */
  int32_t *local_row;  /* of each kept local token */
  size_t supervised;   /* rows that predict a trained token */
  int32_t *predicting; /* those rows */
  int32_t *label;      /* and the tokens */
} Sequence;

typedef struct SlimeTape {
  size_t globals, tiles; /* views */
  Tensor features;
  VisionTape vision;
  BridgeTape global, local;
  Tensor raster;        /* of each local token, in the sequence's order, its row among the tiles' tokens */
  Tensor local_ordered; /* local tokens in that order */
  Tensor score, kept;   /* the router's; kept: indices of local_ordered */
  size_t kept_count;
  Sequence sequence;
  Tensor ids, global_row, local_row, predicting, label;
  DecoderTape decoder;
  Tensor hidden, hidden_rstd, normed, loss, lse, work; /* of the supervised rows */
} SlimeTape;

/* slime_tape_alloc: the tapes of all layers. Errors: STATUS_MEMORY. slime_tape_free: safe on a zeroed tape. */
Status slime_tape_alloc(SlimeTape *tape, const ModelConfig *config);
void slime_tape_free(SlimeTape *tape);

/* batch_views: how many views of each kind its pictures or features must have. */
void batch_views(const ModelConfig *config, const Batch *batch, size_t *globals, size_t *tiles);

/* batch_check: do the samples fit the configuration and each other? Errors: STATUS_INPUT naming the sample. */
Status batch_check(const ModelConfig *config, const Batch *batch);

/* slime_input: the decoder's input (rows of all samples, H).  Source: paper Figure 2, Section 2. */
Tensor slime_input(Run *run, const Model *model, const Batch *batch, SlimeTape *tape);

/* slime_forward: the mean cross-entropy of the trained tokens, and how many there are (0: the mean is 0). */
double slime_forward(Run *run, const Model *model, const Batch *batch, SlimeTape *tape, size_t *trained);

/* slime_predict: the likeliest token at every place where slime_forward has a loss, in the order of the samples, into
 * best (room for `most`). Returns how many there are. Not to be followed by backward. */
size_t slime_predict(Run *run, const Model *model, const Batch *batch, SlimeTape *tape, int32_t *best, size_t most);

/* slime_backward: adds to the gradients of all parameters that have one, of the mean that slime_forward gave (after a
 * forward with run->training). divisor: trained tokens that the mean is over; 0: this batch's. */
void slime_backward(Run *run, Model *model, SlimeTape *tape, size_t divisor);

/* slime_measure: the bytes of activations that slime_forward, and with `backward` slime_backward, take at most for this
 * batch, by a dry pass; and the operations of matrix products and attention, if that is not NULL. */
size_t slime_measure(const Model *model, const Batch *batch, SlimeTape *tape, Dtype real, bool backward,
                     double *operations);

/* slime_room: a new pass (run_grow) with room for that much. */
Status slime_room(Run *run, const Ops *ops, const Model *model, const Batch *batch, SlimeTape *tape, bool backward);

/* slime_logits: those of the last row, (1, V), from a decoder output. */
Tensor slime_logits(Run *run, const Model *model, Tensor x);

#endif
