/* store.h: the memory that a model's parameters and gradients live in. */
#ifndef SEESAW_STORE_H
#define SEESAW_STORE_H

#include "model.h"

typedef struct Store {
  const Ops *ops;
  Model *model;
  void *values; /* of the parameters that are not bound to a mapped file */
  size_t value_bytes;
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

/* store_narrow: the matrices and tables that operations convert as they use them become working copies of another type
 * (F32, BF16 or F16), rounded; what is mapped, and the rest, stays. An optimiser keeps finer ones of those that it
 * trains. Before store_train. Errors: STATUS_MEMORY. */
Status store_narrow(Store *store, Dtype working);

/* store_train: gradients, fine (ops.h) and zeroed, for the parameters of these groups (bits 1 << Group) and for no
 * others; fixed tables have none. store_gradients: all of them. store_zero: zero them again. Errors: STATUS_MEMORY. */
Status store_train(Store *store, unsigned groups);
Tensor store_gradients(const Store *store);
void store_zero(Store *store);

/* store_owns: does a parameter's value lie in the store's own memory, where it may be changed? One of a mapped file
 * does not. */
bool store_owns(const Store *store, Tensor value);

/* store_convert: to = from, contiguous and of as many numbers, by way of the host; rounded to nearest even. */
void store_convert(const Store *store, Tensor to, Tensor from);

/* store_free: safe on a zeroed store. */
void store_free(Store *store);

/* ---- for load.c ---- */

/* store_bytes: what a parameter takes of the store's own memory. store_put: numbers [first, first + count) of a
 * contiguous tensor, from doubles, rounded; count at most 4096. */
size_t store_bytes(const Store *store, const Entry *entry);
void store_put(const Store *store, Tensor to, size_t first, size_t count, const double *values);

/* store_draw: one parameter as store_random draws it, `place` in the walk of the model counted from 0; its memory is
 * zeros before. store_positions: the sin-cos tables of the formers in these groups (bits 1 << Group). */
void store_draw(const Store *store, const Entry *entry, uint32_t place, double spread, uint64_t seed);
Status store_positions(const Store *store, unsigned groups);

#endif
