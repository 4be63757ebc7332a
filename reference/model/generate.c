/* generate.c: a prompt at once, then token by token with the keys and values of those before. */
#include "generate.h"

#include <math.h>
#include <stdlib.h>

#include "arena.h"
#include "files.h"
#include "progress.h"

/* ---- the next token ---- */

static int32_t likeliest(const double *logits, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (logits[i] > logits[best])
      best = i;
  return (int32_t)best;
}

typedef struct Candidate {
  double share;
  int32_t id;
} Candidate;

static int falling(const void *left, const void *right) {
  const Candidate *a = left, *b = right;
  return a->share != b->share ? (a->share < b->share) - (a->share > b->share) : (a->id > b->id) - (a->id < b->id);
}

/* Draw among the likeliest candidates, sorted, whose shares sum to top_p. */
static int32_t draw(const Candidate *candidates, size_t count, const Generation *g, uint64_t step) {
  double sum = 0.0, reached = 0.0;
  size_t kept = 0;
  while (kept < count && (kept == 0 || sum < g->top_p))
    sum += candidates[kept++].share;
  double at = sum * rng_uniform(rng_make(g->seed, RNG_SAMPLING, 0), step);
  for (size_t i = 0; i + 1 < kept; i++)
    if ((reached += candidates[i].share) > at)
      return candidates[i].id;
  return candidates[kept - 1].id;
}

int32_t pick_token(double *logits, size_t count, const Generation *g, uint64_t step) {
  int32_t best = likeliest(logits, count);
  double top = logits[best], sum = 0.0;
  Candidate *candidates = g->temperature > 0.0 ? malloc(count * sizeof *candidates) : NULL;
  if (!candidates)
    return best;
  for (size_t i = 0; i < count; i++) {
    candidates[i] = (Candidate){.share = exp((logits[i] - top) / g->temperature), .id = (int32_t)i};
    sum += candidates[i].share;
  }
  for (size_t i = 0; i < count; i++)
    candidates[i].share /= sum;
  qsort(candidates, count, sizeof *candidates, falling);
  int32_t id = draw(candidates, count, g, step);
  free(candidates);
  return id;
}

/* ---- the answer ---- */

typedef struct Session {
  const Ops *ops;
  const Model *model;
  const Batch *batch;
  const Generation *generation;
  SlimeTape tape;
  Run run;
  Cache cache;
  void *cached;   /* its memory */
  double *logits; /* on the host */
  void *raw;
} Session;

/* Bytes of one layer's keys, or values. */
static size_t cache_piece(const Session *s, size_t capacity) {
  const DecoderConfig *c = &s->model->config.decoder;
  return arena_size(capacity * c->kv_heads * c->head, dtype_bits(s->ops->real) / 8);
}

/* Views of all layers' keys and values in `base`. */
static void carve_cache(Session *s, size_t capacity, unsigned char *base) {
  const DecoderConfig *c = &s->model->config.decoder;
  size_t width = c->kv_heads * c->head, size = cache_piece(s, capacity);
  s->cache.capacity = capacity;
  s->cache.length = 0;
  for (size_t i = 0; i < c->layers; i++) {
    s->cache.keys[i] = tensor_2(base + 2 * i * size, s->ops->real, capacity, width);
    s->cache.values[i] = tensor_2(base + (2 * i + 1) * size, s->ops->real, capacity, width);
  }
}

/* The prompt's pass: its last row's logits. */
static Tensor prompt_pass(Session *s, Run *run) {
  Tensor x = slime_input(run, s->model, s->batch, &s->tape);
  const Sequence *sequence = &s->tape.sequence;
  Tensor position = run_upload(run, sequence->position, sequence->rows.rows);
  x = decoder_fwd(run, s->model, x, position, &sequence->rows, &s->cache, &s->tape.decoder);
  return slime_logits(run, s->model, x);
}

/* One more token's. */
static Tensor token_pass(Session *s, Run *run, int32_t id) {
  int32_t *numbers = run_host(run, 2);
  numbers[0] = id;
  numbers[1] = (int32_t)s->cache.length;
  Tensor x = run_reals(run, 1, s->model->config.decoder.width);
  Ragged rows = run_even(run, 1, 1);
  gather_fwd(run->ops, x, s->model->decoder.embedding.w, run_upload(run, numbers, 1), WRITE_SET);
  x = decoder_fwd(run, s->model, x, run_upload(run, numbers + 1, 1), &rows, &s->cache, &s->tape.decoder);
  return slime_logits(run, s->model, x);
}

/* Dry passes: the rows of the prompt if the router keeps all, and the bytes of a pass. */
static size_t measure(Session *s, size_t *rows) {
  Ops dry = {.real = s->ops->real};
  Run run = run_dry(&dry);
  size_t most = s->batch->samples[0].count + config_global_tokens(&s->model->config) + 1;
  for (size_t i = 0; i < s->batch->count; i++)
    most += s->batch->samples[i].columns * s->batch->samples[i].rows * config_tile_tokens(&s->model->config);
  carve_cache(s, most + 1, run.base);
  prompt_pass(s, &run);
  *rows = s->tape.sequence.rows.rows;
  run_reset(&run);
  token_pass(s, &run, 0);
  run_reset(&run);
  return run.most;
}

static Status prepare(Session *s, GenerationReport *report) {
  size_t layers = s->model->config.decoder.layers, vocabulary = s->model->config.decoder.vocabulary, rows;
  TRY(slime_tape_alloc(&s->tape, &s->model->config));
  s->cache.keys = calloc(layers + 1, sizeof *s->cache.keys);
  s->cache.values = calloc(layers + 1, sizeof *s->cache.values);
  s->logits = malloc(vocabulary * sizeof *s->logits);
  s->raw = malloc(vocabulary * sizeof *s->logits);
  if (!s->cache.keys || !s->cache.values || !s->logits || !s->raw)
    return status_error(STATUS_MEMORY, "not enough memory for the logits of %zu tokens", vocabulary);
  size_t activations = measure(s, &rows), capacity = rows + s->generation->most;
  size_t cache = 2 * layers * cache_piece(s, capacity);
  report->memory = activations + cache;
  if (s->generation->announce)
    s->generation->announce(s->generation->context, report->memory);
  TRY(run_alloc(&s->run, s->ops, activations));
  TRY(ops_alloc(s->ops, cache, &s->cached));
  carve_cache(s, capacity, s->cached);
  s->run.observe = s->generation->observe;
  s->run.context = s->generation->observer;
  return status_ok();
}

static int32_t next_token(Session *s, Tensor logits, size_t step) {
  size_t count = logits.size[1];
  ops_read(s->ops, s->raw, logits.data, tensor_bytes(logits));
  for (size_t i = 0; i < count; i++)
    s->logits[i] = tensor_get(tensor_1(s->raw, logits.dtype, count), i);
  return pick_token(s->logits, count, s->generation, step);
}

static bool is_stop(const Generation *g, int32_t id) {
  for (int i = 0; i < STOPS; i++)
    if (g->stop[i] == id)
      return true;
  return false;
}

static Status answer(Session *s, GenerationReport *report) {
  const Generation *g = s->generation;
  double began = clock_seconds();
  int32_t id = next_token(s, prompt_pass(s, &s->run), 0);
  report->prompt = s->cache.length;
  report->prompt_seconds = clock_seconds() - began;
  s->run.observe = NULL;
  began = clock_seconds();
  while (report->tokens < g->most && !is_stop(g, id)) {
    TRY(g->emit(g->context, id));
    if (++report->tokens == g->most)
      break;
    TRY(interrupt_check());
    run_reset(&s->run);
    id = next_token(s, token_pass(s, &s->run, id), report->tokens);
    report->token_seconds = clock_seconds() - began;
  }
  return ops_status(s->ops);
}

Status generate(const Ops *ops, const Model *model, const Batch *batch, const Generation *generation,
                GenerationReport *report) {
  GenerationReport own;
  Session s = {.ops = ops, .model = model, .batch = batch, .generation = generation};
  report = report ? report : &own;
  *report = (GenerationReport){0};
  REQUIRE(batch->count == 1, "an answer to %zu conversations at once", batch->count);
  Status status = batch_check(&model->config, batch);
  if (status.code == STATUS_OK)
    status = prepare(&s, report);
  if (status.code == STATUS_OK)
    status = answer(&s, report);
  run_free(&s.run);
  ops_free(ops, s.cached);
  slime_tape_free(&s.tape);
  free(s.cache.keys);
  free(s.cache.values);
  free(s.logits);
  free(s.raw);
  return status;
}
