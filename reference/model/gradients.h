/* gradients.h: is backward the derivative of forward? Every parameter against central differences, in double. */
#ifndef SEESAW_GRADIENTS_H
#define SEESAW_GRADIENTS_H

#include "store.h"
#include "synthetic.h"

typedef struct GradientCheck {
  const char *match; /* only parameters with this in their name; NULL: all */
  size_t probes;     /* numbers of each that are changed */
  uint64_t seed;
  /* Called for each parameter: the largest error of its probes, relative to the gradient there, or to all gradients'
   * root mean square if that is larger. May be NULL. */
  void (*report)(void *context, const Entry *entry, double error);
  void *context;
  /* Out: */
  size_t checked;
  double worst;
  char at[200]; /* where, and both values */
} GradientCheck;

/* gradients_check: of the loss of a batch, noise drawn as while training, by differences of fourth order. The store's
 * backend must be one of double; its gradients are made anew by store_train for the groups that have them. Errors:
 * STATUS_MEMORY, STATUS_INTERRUPTED. */
Status gradients_check(Store *store, const Batch *batch, GradientCheck *check);

#endif
