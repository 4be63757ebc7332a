/* cases.h: a table of cases, one for each operation of ops.h and each of its directions. A case gives parity
 * (verify.h), speed and support: it makes a workload of a named shape, and calls the operation on any backend where it
 * was placed.
 *
 * Shapes are odd (size one, odd sizes, no rows, empty samples, all that is optional there and not) or real: those of
 * CLIP-L at 336 pixels, Llama-3-8B and SliME's adapter (reference/model/config.c). */
#ifndef SEESAW_CASES_H
#define SEESAW_CASES_H

#include "workload.h"

typedef struct Case {
  const char *operation; /* as in ops.h */
  const char *direction; /* fwd, bwd, bwd_input, bwd_weight */
  size_t slot;           /* its entry's place in OpsTable, in bytes */
  size_t shape_count;
  const Shape *shapes;
  void (*make)(Workload *workload, const size_t n[SIZES_MOST]); /* all pieces, of sizes n of workload->shape */
  Call *call;
  bool choice; /* outputs are choices: router_select, checked by its own rule */
} Case;

/* Cases of a family, for the table. */
typedef struct CaseFamily {
  const Case *cases;
  size_t count;
} CaseFamily;

extern const CaseFamily cases_norm, cases_elementwise, cases_optimiser, cases_product, cases_attention, cases_moves,
    cases_mixture, cases_router;

/* case_count, case_at: all of them, in the order of ops.h's families. */
size_t case_count(void);
const Case *case_at(size_t i);

/* case_begin: the workload of a case at a shape, ready to be placed; look at its status. */
void case_begin(const Case *c, Workload *workload, const Shape *shape, Layout layout, Dtype real, const Ops *maker,
                uint64_t seed);

/* case_numbers: how many numbers all its tensors hold, without making any. */
double case_numbers(const Case *c, const Shape *shape, Dtype real);

/* case_supported: has the backend this operation? */
bool case_supported(const Case *c, const Ops *ops);

/* case_print: "layernorm fwd" into text[64]. shape_print: "CLIP-L (4616, 1024)" into text[128]. Both return text. */
char *case_print(const Case *c, char text[64]);
char *shape_print(const Shape *shape, char text[128]);

/* For the tables of cases. */
#define CASE(name, way, entry, list, maker, caller)                                                                    \
  {                                                                                                                    \
    .operation = name, .direction = way, .slot = offsetof(OpsTable, entry), .shapes = list,                            \
    .shape_count = sizeof list / sizeof *list, .make = maker, .call = caller                                           \
  }
#define CASES(list)                                                                                                    \
  { list, sizeof list / sizeof *list }

#endif
