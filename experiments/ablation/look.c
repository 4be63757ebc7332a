/* look.c: the loss of a trained model without some of its picture's tokens, and the router at other thresholds. */
#include "look.h"

#include <math.h>
#include <stdlib.h>

#include "files.h"
#include "look_pass.h"

const char *const token_states[TOKEN_STATES] = {"full", "removed", "shuffled"};

/* ---- pictures that can be exchanged ---- */

typedef struct Swaps {
  size_t *samples, *partners; /* of the feed */
  size_t count;
} Swaps;

static bool same_grid(const Features *features, size_t i, size_t j) {
  TileGrid a = features_grid(features, i), b = features_grid(features, j);
  return a.columns == b.columns && a.rows == b.rows;
}

/* The next sample, going round, whose picture is cut alike; the sample itself if there is none. */
static size_t partner_of(const LookPass *pass, size_t place) {
  for (size_t step = 1; step < pass->count; step++) {
    size_t other = pass->samples[(place + step) % pass->count];
    if (same_grid(pass->plan->features, pass->samples[place], other))
      return other;
  }
  return pass->samples[place];
}

static Status find_swaps(const LookPass *pass, Swaps *swaps) {
  *swaps =
      (Swaps){.samples = calloc(pass->count + 1, sizeof(size_t)), .partners = calloc(pass->count + 1, sizeof(size_t))};
  if (!swaps->samples || !swaps->partners)
    return status_error(STATUS_MEMORY, "not enough memory for %zu samples", pass->count);
  for (size_t i = 0; i < pass->count; i++) {
    size_t partner = partner_of(pass, i);
    if (partner == pass->samples[i])
      continue;
    swaps->samples[swaps->count] = pass->samples[i];
    swaps->partners[swaps->count++] = partner;
  }
  return swaps->count > 0
             ? status_ok()
             : status_error(STATUS_INPUT,
                            "no two of the %zu pictures are cut into tiles alike, so none can be exchanged",
                            pass->count);
}

static void free_swaps(Swaps *swaps) {
  free(swaps->samples);
  free(swaps->partners);
}

/* ---- the loss in one state ---- */

typedef struct Losses {
  LookPass pass;
  Batcher others; /* the pictures shown instead */
  Swaps swaps;
  TokenState local, global;
  double sum;
  size_t trained;
} Losses;

static Model model_in(const Losses *l) {
  Views views =
      (Views)((l->global == TOKENS_REMOVED ? 0 : VIEWS_GLOBAL) | (l->local == TOKENS_REMOVED ? 0 : VIEWS_LOCAL));
  return model_showing(l->pass.plan->store->model, views);
}

/* Views lie in a batch as global ones first, then tiles; both batches have as many. */
static Status exchange(Losses *l, const Model *shown, size_t first, size_t count) {
  size_t globals, tiles, patches = config_patches(&shown->config);
  Tensor own = l->pass.batcher.batch.features;
  const Ops *ops = l->pass.plan->store->ops;
  TRY(batcher_fill(&l->others, shown, l->swaps.partners + first, count, 0));
  Tensor other = l->others.batch.features;
  batch_views(&shown->config, &l->pass.batcher.batch, &globals, &tiles);
  REQUIRE(tensor_same(own, other), "%zu views are exchanged for others", globals + tiles);
  if (l->global == TOKENS_SHUFFLED && globals > 0)
    ops_copy(ops, tensor_rows(own, 0, globals * patches), tensor_rows(other, 0, globals * patches));
  if (l->local == TOKENS_SHUFFLED && tiles > 0)
    ops_copy(ops, tensor_rows(own, globals * patches, tiles * patches),
             tensor_rows(other, globals * patches, tiles * patches));
  return status_ok();
}

static Status add_batch(Losses *l, const Model *shown, size_t first, size_t count) {
  LookPass *pass = &l->pass;
  size_t trained;
  TRY(batcher_fill(&pass->batcher, shown, l->swaps.samples + first, count, 0));
  if (l->local == TOKENS_SHUFFLED || l->global == TOKENS_SHUFFLED)
    TRY(exchange(l, shown, first, count));
  TRY(look_room(pass, shown));
  double loss = slime_forward(&pass->run, shown, &pass->batcher.batch, &pass->tape, &trained);
  l->sum += loss * (double)trained;
  l->trained += trained;
  TRY(ops_status(pass->plan->store->ops));
  return interrupt_check();
}

static Status loss_in(Losses *l, TokenState local, TokenState global, double *loss) {
  l->local = local;
  l->global = global;
  l->sum = 0.0;
  l->trained = 0;
  Model shown = model_in(l);
  for (size_t first = 0; first < l->swaps.count; first += LOOK_BATCH) {
    size_t left = l->swaps.count - first;
    TRY(add_batch(l, &shown, first, left < LOOK_BATCH ? left : LOOK_BATCH));
  }
  *loss = l->sum / (double)l->trained;
  return status_ok();
}

/* ---- all states ---- */

static bool has(const LookPlan *plan, Views view) {
  const ModelConfig *config = &plan->store->model->config;
  return plan->views & view && (view == VIEWS_LOCAL ? config->local : config->global) != BRIDGE_NONE;
}

static Status measure_losses(Losses *l, LookLosses *losses) {
  bool local = has(l->pass.plan, VIEWS_LOCAL), global = has(l->pass.plan, VIEWS_GLOBAL);
  TRY(find_swaps(&l->pass, &l->swaps));
  TRY(batcher_open(&l->others, l->pass.plan->store->ops, l->pass.plan->feed, l->pass.plan->features, LOOK_BATCH));
  losses->samples = l->swaps.count;
  for (int i = 0; i < TOKEN_STATES; i++)
    for (int j = 0; j < TOKEN_STATES; j++) {
      losses->loss[i][j] = NAN;
      if ((local || i == TOKENS_REMOVED) && (global || j == TOKENS_REMOVED))
        TRY(loss_in(l, (TokenState)i, (TokenState)j, &losses->loss[i][j]));
    }
  return status_ok();
}

Status look_losses(const LookPlan *plan, LookLosses *losses) {
  Losses l = {0};
  *losses = (LookLosses){0};
  TRY(look_begin(&l.pass, plan));
  Status status = measure_losses(&l, losses);
  batcher_close(&l.others);
  free_swaps(&l.swaps);
  look_end(&l.pass);
  return status;
}

/* ---- the router ---- */

Status look_router(const ExamPlan *plan, LookRouter points[LOOK_GAMMAS]) {
  Model model = *plan->store->model;
  Store store = *plan->store;
  ExamPlan asked = *plan;
  store.model = &model;
  asked.store = &store;
  asked.families = 1U << FAMILY_RELATE | 1U << FAMILY_READ;
  for (int i = 0; i < LOOK_GAMMAS; i++) {
    Exam exam;
    model.config.switches.gamma = (i + 1.0) / LOOK_GAMMAS;
    TRY(examine(&asked, &exam));
    points[i] = (LookRouter){.gamma = model.config.switches.gamma,
                             .kept = (double)exam.kept / (double)exam.local,
                             .relate = exam_accuracy(&exam, FAMILY_RELATE),
                             .read = exam_accuracy(&exam, FAMILY_READ)};
  }
  return status_ok();
}
