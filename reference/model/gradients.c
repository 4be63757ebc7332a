/* gradients.c: backward against central differences. */
#include "gradients.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "files.h"

typedef struct Probing {
  Store *store;
  const Batch *batch;
  GradientCheck *check;
  Run run;
  SlimeTape tape;
  double squares, count; /* of all gradients */
  uint64_t draw;
  Status status;
} Probing;

static double loss_of(Probing *p) {
  size_t trained;
  run_reset(&p->run);
  return slime_forward(&p->run, p->store->model, p->batch, &p->tape, &trained);
}

/* The gradients, once, in memory that a dry pass has measured. */
static Status differentiate(Probing *p) {
  const Ops *ops = p->store->ops;
  TRY(run_alloc(&p->run, ops, slime_measure(p->store->model, p->batch, &p->tape, ops->real, true, NULL)));
  p->run.training = true;
  p->run.seed = p->check->seed;
  store_zero(p->store);
  loss_of(p);
  slime_backward(&p->run, p->store->model, &p->tape, 0);
  return ops_status(ops);
}

static double number(const Probing *p, Tensor tensor, size_t place) {
  double value;
  ops_read(p->store->ops, &value, (double *)tensor.data + place, sizeof value);
  return value;
}

static void change(const Probing *p, Tensor tensor, size_t place, double value) {
  ops_write(p->store->ops, (double *)tensor.data + place, &value, sizeof value);
}

static void add_squares(void *context, const Entry *entry) {
  Probing *p = context;
  Tensor d = entry->parameter->d;
  for (size_t i = 0; d.data && i < tensor_count(d); i++) {
    double gradient = number(p, d, i);
    p->squares += gradient * gradient;
    p->count += 1.0;
  }
}

/* (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12 h: the error is of the order of h^4, and rounding's of 1e-16 / h. */
static double slope(Probing *p, Tensor w, size_t place) {
  const double h = 2e-3, at = number(p, w, place);
  static const double steps[4] = {-2, -1, 1, 2};
  double value[4];
  for (int i = 0; i < 4; i++) {
    change(p, w, place, at + steps[i] * h);
    value[i] = loss_of(p);
  }
  change(p, w, place, at);
  return (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * h);
}

static double probe_number(Probing *p, const Entry *entry, size_t place) {
  double exact = number(p, entry->parameter->d, place), measured = slope(p, entry->parameter->w, place);
  double scale = fmax(fabs(exact), sqrt(p->squares / p->count)), error = fabs(exact - measured) / scale;
  GradientCheck *check = p->check;
  check->checked++;
  if (!(error <= check->worst)) {
    check->worst = isnan(error) ? INFINITY : error;
    snprintf(check->at, sizeof check->at, "%.120s [%zu]: %.10g, by differences %.10g", entry->name, place, exact,
             measured);
  }
  return error;
}

static void probe(void *context, const Entry *entry) {
  Probing *p = context;
  const GradientCheck *check = p->check;
  Tensor d = entry->parameter->d;
  double largest = 0.0;
  if (!d.data || p->status.code != STATUS_OK || (check->match && !strstr(entry->name, check->match)))
    return;
  for (size_t i = 0; i < check->probes; i++) {
    double at = rng_uniform(rng_make(check->seed, RNG_TEST, UINT32_MAX - 1), p->draw++);
    double error = probe_number(p, entry, (size_t)(at * (double)tensor_count(d)));
    largest = error <= largest ? largest : error;
  }
  if (check->report)
    check->report(check->context, entry, largest);
  p->status = interrupt_check();
}

Status gradients_check(Store *store, const Batch *batch, GradientCheck *check) {
  REQUIRE(store->ops->real == DTYPE_F64, "gradients are checked in double");
  Probing p = {.store = store, .batch = batch, .check = check, .status = status_ok()};
  check->checked = 0;
  check->worst = 0.0;
  check->at[0] = '\0';
  TRY(slime_tape_alloc(&p.tape, &store->model->config));
  p.status = differentiate(&p);
  if (p.status.code == STATUS_OK) {
    model_walk(store->model, add_squares, &p);
    model_walk(store->model, probe, &p);
  }
  run_free(&p.run);
  slime_tape_free(&p.tape);
  return p.status;
}
