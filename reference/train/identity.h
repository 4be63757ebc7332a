/* identity.h: the text that tells one run of a phase from another: all that its result depends on. */
#ifndef SEESAW_IDENTITY_H
#define SEESAW_IDENTITY_H

#include "trainer.h"

/* identity_of: lines of the phase (phase_print), the number of conversations, whether features are kept, the seed, what
 * computes (ops_print, `type`), the model's configuration, and digests of all its values as they are now: in the types
 * in which they lie in memory (products with mapped weights are rounded elsewhere, `start`), and rounded to BF16, which
 * is the same on every backend. The feed's conversations are only counted.
 * Allocated; the caller frees. Errors: STATUS_MEMORY. */
Status identity_of(const TrainPlan *plan, char **text);

/* store_digests: of all parameters' names and values, as they lie in memory, and rounded to BF16. */
typedef struct StoreDigests {
  Digest exact, rounded;
} StoreDigests;

StoreDigests store_digests(const Store *store);

#endif
