/* store.h: the memory that a model's parameters and gradients live in. */
#ifndef SEESAW_STORE_H
#define SEESAW_STORE_H

#include "model.h"

typedef struct Store {
  const Ops *ops;
  Model *model;
  void *values;          /* of the parameters that are not bound to a mapped file */
  void *gradients;       /* of those that are trained */
  void *tables;          /* positions: not parameters */
  size_t gradient_count; /* numbers */
} Store;

/* store_random: all parameters in the backend's real type: matrices normal with standard deviation `spread` (0.02 is
 * the habit of HF), norms one, biases and gates zero, positions sin-cos. The model must have been allocated and must
 * outlive the store. Errors: STATUS_MEMORY. */
Status store_random(Store *store, const Ops *ops, Model *model, double spread, uint64_t seed);

/* store_prepare: the tables that follow from the parameters: key positions and rotary frequencies. Part of the
 * functions above; after a change of a former's position table call it again. */
Status store_prepare(Store *store);

/* store_train: gradients, zeroed, for the parameters of these groups (bits 1 << Group) and for no others; fixed tables
 * have none. store_zero: zero them again. Errors: STATUS_MEMORY. */
Status store_train(Store *store, unsigned groups);
void store_zero(Store *store);

/* store_free: safe on a zeroed store. */
void store_free(Store *store);

/* ---- for load.c ---- */

/* store_bytes: what a parameter takes of the store's own memory. store_put: numbers [first, first + count) of a tensor
 * of reals, from doubles; count at most 4096. */
size_t store_bytes(const Store *store, const Entry *entry);
void store_put(const Store *store, Tensor to, size_t first, size_t count, const double *values);

#endif
