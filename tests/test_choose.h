/* test_choose.h: matrix products of a card on a stand-in of cuBLASLt (tests/cublasLt.h). */
#ifndef SEESAW_TEST_CHOOSE_H
#define SEESAW_TEST_CHOOSE_H

#include "backends.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ALGORITHMS = 16 }; /* of the library, from 1 on; it offers the first eight */

typedef struct Library {
  /* what it is told to be */
  int offered;
  double cost[ALGORITHMS];                                         /* of a run, in milliseconds */
  bool refused[ALGORITHMS], hungry[ALGORITHMS], fails[ALGORITHMS]; /* on a check; of memory; on a run */
  bool without_events, broken, without_memory;                     /* the device */
  /* what it saw */
  double now;
  int asked, launched, last; /* for guesses; runs, also failed ones; the algorithm that ran last */
  int written;               /* runs into choose_output */
  const void *added;         /* what the last run added: NULL: nothing */
  int alive;                 /* handles and memory not given back */
} Library;
extern Library library;

/* A backend of which only products work. choose_product: m rows into choose_output, onto nothing, itself or other
 * memory. */
typedef enum { ALONE, ONTO_ITSELF, ONTO_ANOTHER } Onto;
void choose_open(Ops *ops);
void choose_close(Ops *ops);
void choose_product(const Ops *ops, size_t m, Onto onto);
Status choose_status(const Ops *ops);
extern char choose_output[], choose_other[];

#ifdef __cplusplus
}
#endif

#endif
