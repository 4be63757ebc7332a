/* cases.c: the table of cases out of its families. */
#include "cases.h"

#include <stdio.h>
#include <string.h>

static const CaseFamily *const families[] = {&cases_product, &cases_norm,    &cases_elementwise, &cases_attention,
                                             &cases_moves,   &cases_mixture, &cases_router,      &cases_optimiser};
enum { FAMILIES = sizeof families / sizeof *families };

size_t case_count(void) {
  size_t count = 0;
  for (size_t i = 0; i < FAMILIES; i++)
    count += families[i]->count;
  return count;
}

const Case *case_at(size_t i) {
  size_t family = 0;
  for (; family < FAMILIES && i >= families[family]->count; family++)
    i -= families[family]->count;
  REQUIRE(family < FAMILIES, "there are only %zu cases", case_count());
  return &families[family]->cases[i];
}

/* Numbers differ from operation to operation, too. */
static uint64_t seed_of(const Case *c, uint64_t seed) {
  return seed * 1000003 + c->slot;
}

void case_begin(const Case *c, Workload *workload, const Shape *shape, Layout layout, Dtype real, const Ops *maker,
                uint64_t seed) {
  workload_begin(workload, shape, layout, real, maker, seed_of(c, seed));
  c->make(workload, shape->n);
}

double case_numbers(const Case *c, const Shape *shape, Dtype real) {
  Workload workload;
  workload_begin(&workload, shape, LAYOUT_PLAIN, real, NULL, 1);
  workload.dry = true;
  c->make(&workload, shape->n);
  return workload_numbers(&workload);
}

bool case_supported(const Case *c, const Ops *ops) {
  void (*entry)(void);
  memcpy(&entry, (const char *)ops->table + c->slot, sizeof entry);
  return entry != NULL;
}

char *case_print(const Case *c, char text[64]) {
  snprintf(text, 64, "%s %s", c->operation, c->direction);
  return text;
}

char *shape_print(const Shape *shape, char text[128]) {
  size_t used = (size_t)snprintf(text, 128, "%s (", shape->name), last = SIZES_MOST;
  while (last > 1 && shape->n[last - 1] == 0)
    last--;
  for (size_t i = 0; i < last && used < 120; i++)
    used += (size_t)snprintf(text + used, 128 - used, "%s%zu", i ? ", " : "", shape->n[i]);
  if (used < 120)
    snprintf(text + used, 128 - used, ")");
  return text;
}
