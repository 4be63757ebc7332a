/* verify_model.h: the whole tiny model on two backends: forward and backward, every named activation and gradient, then
 * training steps.
 *
 * Routing is discrete, so the reference's choice is replayed: the reference runs first and its choices are kept; where
 * the tested backend chooses, its own choice is checked against the reference's (choice_check of verify.h: other rows
 * only where the margin is within the tolerance), and then overwritten by the reference's. What comes after is then
 * compared on equal terms. The tables of operations are wrapped for that; the model knows nothing of it. */
#ifndef SEESAW_VERIFY_MODEL_H
#define SEESAW_VERIFY_MODEL_H

#include "verify.h"

typedef struct ModelVerdict {
  Verdict pass;     /* forward and backward; its sentence names the first tensor that differs */
  Verdict training; /* losses, then parameters */
  size_t compared;  /* named tensors of a pass, and parameters' gradients */
  size_t doubtful;  /* samples whose routing differed within the tolerance */
  size_t steps;     /* that were trained */
} ModelVerdict;

/* verify_model: the preset `tiny` with the released or the paper's switches, both backends from the same weights,
 * pictures and tokens. steps: of training after the pass; 0: none. The tolerance is measured: see verify_model.c.
 * Errors: STATUS_MEMORY, STATUS_INTERRUPTED. */
Status verify_model(bool paper, const Ops *tested, const Ops *reference, uint64_t seed, size_t steps,
                    ModelVerdict *verdict);

#endif
