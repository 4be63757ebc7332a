/* generate.h: answers, token by token. */
#ifndef SEESAW_GENERATE_H
#define SEESAW_GENERATE_H

#include "slime.h"

enum { STOPS = 4 };

typedef struct Generation {
  size_t most;         /* new tokens at most */
  double temperature;  /* 0: the likeliest token always (greedy) */
  double top_p;        /* draw from the likeliest tokens whose shares sum to this; 1: from all */
  uint64_t seed;       /* of the draws */
  int32_t stop[STOPS]; /* ends the answer, and is not part of it; -1: unused */
  /* Told the bytes of activations, keys and values before they are asked for; NULL: nobody is. */
  void (*announce)(void *context, size_t bytes);
  /* Called with each new token; an error ends the answer. */
  Status (*emit)(void *context, int32_t id);
  void *context;
  /* Looks at activations of the prompt's pass; NULL: nobody. */
  void (*observe)(void *context, const char *name, Tensor tensor);
  void *observer;
} Generation;

/* What it took. */
typedef struct GenerationReport {
  size_t prompt, tokens; /* rows of the prompt, pictures included; new tokens */
  double prompt_seconds, token_seconds;
  size_t memory; /* bytes of activations and cache */
} GenerationReport;

/* generate: an answer to a batch of one conversation. Errors: STATUS_MEMORY with the bytes that are needed,
 * STATUS_INTERRUPTED, what emit returns. report may be NULL. */
Status generate(const Ops *ops, const Model *model, const Batch *batch, const Generation *generation,
                GenerationReport *report);

/* pick_token: from `count` logits, changed on return; `step` is the place in the answer. */
int32_t pick_token(double *logits, size_t count, const Generation *generation, uint64_t step);

#endif
