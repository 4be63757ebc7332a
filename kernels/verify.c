/* verify.c: one case at one shape on two backends. */
#include "verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "progress.h"

/* ---- numbers beside numbers ---- */

double tolerance_units(Dtype dtype, double sum, bool rounded) {
  double unit = dtype == DTYPE_F64 ? 0x1p-53 : 0x1p-24;
  return 8.0 * sqrt(sum) * unit + (dtype == DTYPE_BF16 || rounded ? 8.0 * 0x1p-8
                                   : dtype == DTYPE_F16           ? 8.0 * 0x1p-11
                                                                  : 0.0);
}

void compare(Comparison *c, const double *is, const double *should) {
  double square = 0.0;
  for (size_t i = 0; i < c->count; i++)
    square += should[i] * should[i];
  double rms = fmax(c->count > 0 ? sqrt(square / (double)c->count) : 0.0, c->floor);
  c->out = c->first = c->bad = c->at = 0;
  c->worst = 0.0;
  for (size_t i = 0; i < c->count; i++) {
    double error = fabs(is[i] - should[i]);
    double tolerance = c->units * (fabs(should[i]) + rms) + (c->beside ? c->beside[i] : 0.0);
    double ratio = error == 0.0 ? 0.0 : error / tolerance;
    if (!(error <= tolerance) && c->out++ == 0)
      c->first = i;
    c->bad += isnan(is[i]);
    if (!(ratio <= c->worst) && !isinf(c->worst)) {
      c->worst = isnan(ratio) ? INFINITY : ratio;
      c->at = i;
    }
  }
}

void comparison_print(const Comparison *c, const char *name, const double *is, const double *should, char *text,
                      size_t size) {
  size_t columns = c->columns > 0 ? c->columns : 1;
  snprintf(text, size,
           "%s: %zu of %zu numbers are out of tolerance (%zu NaN); the first, (%zu, %zu), is %.9g, should be %.9g; the "
           "worst, (%zu, %zu), is %.9g, should be %.9g",
           name, c->out, c->count, c->bad, c->first / columns, c->first % columns, is[c->first], should[c->first],
           c->at / columns, c->at % columns, is[c->at], should[c->at]);
}

/* ---- a case on both backends ---- */

/* Both results of a piece. */
typedef struct Pair {
  double *is, *should;
  bool intact;
} Pair;

/* A verification under way. */
typedef struct Work {
  const Case *c;
  Workload workload;
  Placed tested, reference;
  Pair pair[PIECES_MOST];
  Verdict *verdict;
} Work;

static void fail(Verdict *verdict, double worst) {
  verdict->good = false;
  verdict->worst = worst > verdict->worst ? worst : verdict->worst;
}

static Status read_pair(Work *w, size_t i) {
  Pair *pair = &w->pair[i];
  size_t count = piece_count(&w->workload.piece[i]);
  bool intact;
  pair->is = malloc((count + 1) * sizeof *pair->is);
  pair->should = malloc((count + 1) * sizeof *pair->should);
  if (!pair->is || !pair->should)
    return status_error(STATUS_MEMORY, "not enough memory to compare %s", w->workload.piece[i].name);
  TRY(placed_read(&w->tested, i, pair->is, &pair->intact));
  return placed_read(&w->reference, i, pair->should, &intact);
}

/* How many numbers of an output are still as they were before the call, where the reference wrote them. */
static size_t count_unwritten(const Pair *pair, size_t count, size_t *first) {
  size_t unwritten = 0;
  for (size_t i = 0; i < count; i++)
    if (number_unwritten(pair->is[i]) && !number_unwritten(pair->should[i]) && unwritten++ == 0)
      *first = i;
  return unwritten;
}

/* Says so if there are any. */
static bool judge_unwritten(Work *w, size_t i, size_t columns) {
  const Piece *piece = &w->workload.piece[i];
  size_t first = 0, count = piece_count(piece), unwritten = count_unwritten(&w->pair[i], count, &first);
  if (unwritten == 0)
    return false;
  fail(w->verdict, INFINITY);
  snprintf(w->verdict->sentence, sizeof w->verdict->sentence,
           "%s: %zu of %zu numbers were not written; the first is (%zu, %zu)", piece->name, unwritten, count,
           first / columns, first % columns);
  return true;
}

static void judge_numbers(Work *w, size_t i) {
  const Piece *piece = &w->workload.piece[i];
  Verdict *verdict = w->verdict;
  Comparison c = {.count = piece_count(piece), .floor = piece->floor};
  c.columns = piece->rank == 1 ? 1 : c.count / (piece->size[0] > 0 ? piece->size[0] : 1);
  c.units = tolerance_units(piece_dtype(piece, w->workload.real), piece->sum,
                            piece->coarse && w->workload.real == DTYPE_BF16);
  compare(&c, w->pair[i].is, w->pair[i].should);
  verdict->worst = c.worst > verdict->worst ? c.worst : verdict->worst;
  if (c.out == 0 || !verdict->good)
    return;
  fail(verdict, c.worst);
  if (!judge_unwritten(w, i, c.columns))
    comparison_print(&c, piece->name, w->pair[i].is, w->pair[i].should, verdict->sentence, sizeof verdict->sentence);
}

/* Outputs of router_select: after locals and score come kept and offsets. */
static void judge_choice(Work *w) {
  const Shape *shape = w->workload.shape;
  Choice choice = {.samples = shape->samples,
                   .locals = shape->first,
                   .score = w->pair[1].should,
                   .gamma = (double)shape->n[0] / 100.0,
                   .exact = true,
                   .kept = w->pair[2].is,
                   .offsets = w->pair[3].is,
                   .right = w->pair[2].should,
                   .right_offsets = w->pair[3].should};
  size_t doubtful;
  choice.units = tolerance_units(w->workload.fine, 1.0, false);
  if (w->verdict->good && !judge_unwritten(w, 3, 1) &&
      !choice_check(&choice, &doubtful, w->verdict->sentence, sizeof w->verdict->sentence))
    fail(w->verdict, INFINITY);
}

/* What must be as it was: guards around all pieces, and inputs. */
static void judge_untouched(Work *w, size_t i) {
  const Piece *piece = &w->workload.piece[i];
  Verdict *verdict = w->verdict;
  if (!w->pair[i].intact && verdict->good) {
    fail(verdict, INFINITY);
    snprintf(verdict->sentence, sizeof verdict->sentence,
             "%s: bytes beside the tensor, before it, after it or between its rows, were overwritten", piece->name);
  }
  if (piece->role != ROLE_INPUT || !verdict->good)
    return;
  for (size_t k = 0; k < piece_count(piece); k++)
    if (!(w->pair[i].is[k] == piece->numbers[k])) {
      fail(verdict, INFINITY);
      snprintf(verdict->sentence, sizeof verdict->sentence, "%s: number %zu was changed, though it is only read",
               piece->name, k);
      return;
    }
}

/* As doubles, of which each number of a smaller type is one. */
static void add_digest(Work *w, size_t i) {
  w->verdict->digest =
      digest_add(w->verdict->digest, w->pair[i].is, piece_count(&w->workload.piece[i]) * sizeof *w->pair[i].is);
}

static bool is_output(const Piece *piece) {
  return piece->role == ROLE_SET || piece->role == ROLE_CHANGED;
}

static Status judge(Work *w) {
  Status fault = ops_status(w->tested.ops);
  if (fault.code != STATUS_OK) {
    fail(w->verdict, INFINITY);
    snprintf(w->verdict->sentence, sizeof w->verdict->sentence, "%.380s", fault.message);
    return status_ok();
  }
  for (size_t i = 0; i < w->workload.count; i++)
    if (w->workload.piece[i].role != ROLE_NONE) {
      TRY(read_pair(w, i));
      judge_untouched(w, i);
    }
  for (size_t i = 0; i < w->workload.count; i++)
    if (is_output(&w->workload.piece[i])) {
      add_digest(w, i);
      if (!w->c->choice)
        judge_numbers(w, i);
    }
  if (w->c->choice)
    judge_choice(w);
  return status_ok();
}

static Status run_both(Work *w, const Ops *tested, const Ops *reference) {
  TRY(w->workload.status);
  TRY(workload_place(&w->workload, reference, &w->reference));
  TRY(workload_place(&w->workload, tested, &w->tested));
  w->c->call(&w->reference);
  TRY(ops_status(reference));
  double began = clock_seconds();
  w->c->call(&w->tested);
  (void)ops_status(tested); /* waits; a fault is judged below */
  w->verdict->seconds = clock_seconds() - began;
  return judge(w);
}

Status verify_case(const Case *c, const Shape *shape, Layout layout, const Ops *tested, const Ops *reference,
                   uint64_t seed, Verdict *verdict) {
  Work *w = calloc(1, sizeof *w);
  *verdict = (Verdict){.supported = case_supported(c, tested), .good = true};
  if (!w)
    return status_error(STATUS_MEMORY, "not enough memory to verify %s", c->operation);
  Status status = status_ok();
  if (verdict->supported) {
    w->c = c;
    w->verdict = verdict;
    case_begin(c, &w->workload, shape, layout, tested->real, reference, seed);
    status = run_both(w, tested, reference);
  }
  for (size_t i = 0; i < PIECES_MOST; i++) {
    free(w->pair[i].is);
    free(w->pair[i].should);
  }
  placed_free(&w->tested);
  placed_free(&w->reference);
  workload_free(&w->workload);
  free(w);
  return status;
}
