/* optimiser.c: AdamW over the groups of a model's parameters. */
#include "optimiser.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

OptimiserRule optimiser_rule(void) {
  return (OptimiserRule){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .clip = 1.0};
}

enum { PIECE = 1 << 16 }; /* numbers whose change is measured at once */

/* ---- making ---- */

/* The slots as a walk fills them; counted only while there are none. */
typedef struct Filling {
  Optimiser *optimiser;
  size_t count, widest; /* numbers of the widest row */
  bool masters;         /* some are needed */
  bool failed;
} Filling;

/* The moments lie as the gradients do: first all m, then all v, then masters, if there are any. */
static Tensor moment_of(const Optimiser *optimiser, Tensor gradient, size_t which) {
  const Store *store = optimiser->store;
  size_t offset = (size_t)((unsigned char *)gradient.data - (unsigned char *)store->gradients);
  gradient.data = (unsigned char *)optimiser->moments + which * tensor_bytes(store_gradients(store)) + offset;
  return gradient;
}

static Tensor master_of(const Optimiser *optimiser, Tensor value, Tensor gradient) {
  if (value.dtype == gradient.dtype)
    return value;
  Tensor master = moment_of(optimiser, gradient, 2);
  store_convert(optimiser->store, master, value);
  return master;
}

Tensor slot_copy(const Slot *slot) {
  return slot->w.data == slot->p.data ? TENSOR_NONE : slot->w;
}

static void fill_slot(void *context, const Entry *entry) {
  Filling *filling = context;
  const Optimiser *optimiser = filling->optimiser;
  Tensor w = entry->parameter->w, d = entry->parameter->d;
  if (!d.data)
    return;
  REQUIRE(store_owns(optimiser->store, w), "%s is trained, but its values are not the store's own", entry->name);
  filling->masters |= w.dtype != d.dtype;
  if (optimiser->slots) {
    char *name = strdup(entry->name);
    filling->failed |= !name;
    Slot *slot = &optimiser->slots[filling->count];
    *slot = (Slot){.entry = *entry,
                   .w = w,
                   .p = master_of(optimiser, w, d),
                   .d = d,
                   .m = moment_of(optimiser, d, 0),
                   .v = moment_of(optimiser, d, 1)};
    slot->entry.name = name;
  }
  filling->count++;
  filling->widest = tensor_width(w) > filling->widest ? tensor_width(w) : filling->widest;
}

static Status no_memory(void) {
  return status_error(STATUS_MEMORY, "not enough memory for the optimiser's moments");
}

static Status alloc(Optimiser *optimiser) {
  const Store *store = optimiser->store;
  Filling filling = {.optimiser = optimiser, .widest = PIECE};
  Tensor all = store_gradients(store);
  model_walk(store->model, fill_slot, &filling);
  TRY(ops_alloc(store->ops, (filling.masters ? 3 : 2) * tensor_bytes(all), &optimiser->moments));
  TRY(ops_alloc(store->ops, filling.widest * (dtype_bits(all.dtype) / 8), &optimiser->old));
  TRY(ops_alloc(store->ops, 2 * GROUP_COUNT * sizeof(double), &optimiser->totals));
  optimiser->slots = calloc(filling.count + 1, sizeof *optimiser->slots);
  if (!optimiser->slots)
    return no_memory();
  filling.count = 0;
  model_walk(store->model, fill_slot, &filling);
  optimiser->count = filling.count;
  return filling.failed ? no_memory() : status_ok();
}

Status optimiser_alloc(Optimiser *optimiser, const Store *store) {
  *optimiser = (Optimiser){.store = store};
  Status status = alloc(optimiser);
  if (status.code != STATUS_OK)
    optimiser_free(optimiser);
  return status;
}

void optimiser_free(Optimiser *optimiser) {
  if (!optimiser->store)
    return;
  const Ops *ops = optimiser->store->ops;
  for (size_t i = 0; i < optimiser->count; i++)
    free((void *)optimiser->slots[i].entry.name);
  free(optimiser->slots);
  ops_free(ops, optimiser->moments);
  ops_free(ops, optimiser->old);
  ops_free(ops, optimiser->totals);
  *optimiser = (Optimiser){0};
}

/* ---- a step ---- */

/* Sums of squares by group: two rows of them in backend memory, read back at once. */
static Tensor total_of(const Optimiser *optimiser, size_t row, Group group) {
  return tensor_1((double *)optimiser->totals + row * GROUP_COUNT + group, DTYPE_F64, 1);
}

static void zero_totals(const Optimiser *optimiser) {
  static const double zeros[2 * GROUP_COUNT];
  ops_write(optimiser->store->ops, optimiser->totals, zeros, sizeof zeros);
}

static void gradient_norms(const Optimiser *optimiser, const OptimiserRule *rule, OptimiserReport *report) {
  const Ops *ops = optimiser->store->ops;
  double squares[GROUP_COUNT], all = 0.0;
  zero_totals(optimiser);
  for (size_t i = 0; i < optimiser->count; i++) {
    const Slot *slot = &optimiser->slots[i];
    if (rule->rate[slot->entry.group] != 0.0)
      sum_squares(ops, total_of(optimiser, 0, slot->entry.group), slot->d);
  }
  ops_read(ops, squares, optimiser->totals, sizeof squares);
  for (int group = GROUP_COUNT - 1; group >= 0; group--) {
    all += squares[group];
    report->gradient[group] = sqrt(squares[group]);
    if (!isfinite(squares[group]))
      report->bad = (Group)group;
  }
  report->norm = sqrt(all);
}

/* The step of some rows of a parameter; their squares and those of their change go into the totals. */
static void move_measured(const Optimiser *optimiser, const Slot *slot, const AdamW *rule, size_t first, size_t count) {
  const Ops *ops = optimiser->store->ops;
  Tensor p = tensor_rows(slot->p, first, count), copy = slot_copy(slot), old = p;
  old.data = optimiser->old;
  sum_squares(ops, total_of(optimiser, 1, slot->entry.group), p);
  ops_copy(ops, old, p);
  adamw(ops, p, tensor_rows(slot->m, first, count), tensor_rows(slot->v, first, count),
        tensor_rows(slot->d, first, count), copy.data ? tensor_rows(copy, first, count) : copy, rule);
  ops_scale(ops, old, -1.0);
  ops_add(ops, old, p);
  sum_squares(ops, total_of(optimiser, 0, slot->entry.group), old);
}

static void move(const Optimiser *optimiser, const Slot *slot, const AdamW *rule, bool measure) {
  size_t rows = slot->w.size[0], width = tensor_width(slot->w), block = width < PIECE ? PIECE / width : 1;
  if (!measure)
    adamw(optimiser->store->ops, slot->p, slot->m, slot->v, slot->d, slot_copy(slot), rule);
  for (size_t first = 0; measure && first < rows; first += block)
    move_measured(optimiser, slot, rule, first, rows - first < block ? rows - first : block);
}

static void update_norms(const Optimiser *optimiser, OptimiserReport *report) {
  double squares[2][GROUP_COUNT];
  ops_read(optimiser->store->ops, squares, optimiser->totals, sizeof squares);
  for (int group = 0; group < GROUP_COUNT; group++) {
    report->update[group] = squares[0][group] > 0.0 ? sqrt(squares[0][group] / squares[1][group]) : 0.0;
    report->change[group] = sqrt(squares[0][group]);
  }
}

OptimiserReport optimiser_step(Optimiser *optimiser, const OptimiserRule *rule) {
  OptimiserReport report = {.bad = GROUP_COUNT};
  gradient_norms(optimiser, rule, &report); /* zero also of those without a rate */
  if (report.bad != GROUP_COUNT)
    return report;
  double factor = rule->clip > 0.0 ? fmin(rule->clip / (report.norm + 1e-6), 1.0) : 1.0;
  for (int group = 0; group < GROUP_COUNT; group++)
    optimiser->steps[group] += report.gradient[group] > 0.0;
  if (rule->measure)
    zero_totals(optimiser);
  for (size_t i = 0; i < optimiser->count; i++) {
    const Slot *slot = &optimiser->slots[i];
    AdamW step = {.rate = rule->rate[slot->entry.group],
                  .beta1 = rule->beta1,
                  .beta2 = rule->beta2,
                  .epsilon = rule->epsilon,
                  .decay = slot->entry.rank > 1 ? rule->decay : 0.0,
                  .step = optimiser->steps[slot->entry.group],
                  .factor = factor};
    if (report.gradient[slot->entry.group] > 0.0)
      move(optimiser, slot, &step, rule->measure);
  }
  if (rule->measure)
    update_norms(optimiser, &report);
  return report;
}
