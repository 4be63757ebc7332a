/* bench_decoding.c: decoding: one token through a layer of Llama-3-8B in bf16, beside reading as many bytes. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "progress.h"

typedef struct Decoding {
  Bench bench;    /* the layer */
  uint16_t *half; /* its matrices */
  size_t numbers; /* in them */
  Cache cache;
  Tensor keys, values;
  double seconds[SAMPLES_MOST], reading[SAMPLES_MOST]; /* bytes a second */
} Decoding;

static void count_numbers(void *context, const Entry *entry) {
  Decoding *d = context;
  if (strstr(entry->name, "_proj.weight") && entry->group == GROUP_DECODER)
    d->numbers += tensor_count(entry->parameter->w);
}

/* From F32 to bf16, one matrix behind the other. */
static void halve(void *context, const Entry *entry) {
  Decoding *d = context;
  if (!strstr(entry->name, "_proj.weight") || entry->group != GROUP_DECODER)
    return;
  Tensor w = entry->parameter->w;
  uint16_t *to = d->half + d->numbers;
  for (size_t i = 0; i < tensor_count(w); i++)
    to[i] = bf16_from_float(((const float *)w.data)[i]);
  d->numbers += tensor_count(w);
  entry->parameter->w = tensor_2(to, DTYPE_BF16, w.size[0], w.size[1]);
}

static Status prepare(Decoding *d, int threads) {
  enum { SEEN = 256 };
  Bench *b = &d->bench;
  const DecoderConfig *c = &b->config.decoder;
  void *memory;
  TRY(bench_prepare(b, threads));
  model_walk(&b->model, count_numbers, d);
  TRY(ops_alloc(&b->ops, d->numbers * sizeof *d->half, &memory));
  d->half = memory;
  d->numbers = 0;
  model_walk(&b->model, halve, d);
  run_reset(&b->run);
  d->keys = run_zeros(&b->run, SEEN + 1, c->kv_heads * c->head);
  d->values = run_zeros(&b->run, SEEN + 1, c->kv_heads * c->head);
  d->cache = (Cache){.length = SEEN, .capacity = SEEN + 1, .keys = &d->keys, .values = &d->values};
  return status_ok();
}

static double time_token(Decoding *d) {
  Bench *b = &d->bench;
  size_t mark = run_mark(&b->run), length = d->cache.length;
  Ragged rows = run_even(&b->run, 1, 1);
  Tensor x = run_zeros(&b->run, 1, b->config.decoder.width);
  Tensor position = run_upload(&b->run, (const int32_t[]){(int32_t)length}, 1);
  b->run.training = false;
  double began = clock_seconds();
  decoder_fwd(&b->run, &b->model, x, position, &rows, &d->cache, &b->tape.decoder);
  double seconds = clock_seconds() - began;
  d->cache.length = length;
  run_release(&b->run, mark);
  return seconds;
}

static void report(const Decoding *d, size_t repeats, cJSON *json) {
  double shares[SAMPLES_MOST], bytes = 2.0 * (double)d->numbers;
  for (size_t i = 0; i < repeats; i++)
    shares[i] = bytes / d->seconds[i] / d->reading[i];
  double took = spread_of(d->seconds, repeats).median, share = spread_of(shares, repeats).median;
  printf("%-26s %-8s %9.2f ms  %7.1f GB/s      %4.0f %% of reading the weights\n", "Llama-3-8B, 1 layer, bf16",
         "a token", 1e3 * took, 1e-9 * bytes / took, 100.0 * share);
  cJSON_AddNumberToObject(json, "decode_layer_seconds", took);
  cJSON_AddNumberToObject(json, "decode_fraction_of_reading", share);
}

static Status sample(Decoding *d, const BenchPlan *plan) {
  time_token(d); /* first touches */
  for (size_t i = 0; i < plan->repeats; i++) {
    d->reading[i] = limits_reading(plan->limits, d->half, d->numbers * sizeof *d->half);
    d->seconds[i] = time_token(d);
    TRY(interrupt_check());
  }
  return status_ok();
}

Status bench_decoding(const BenchPlan *plan, cJSON *json) {
  Decoding d = {
      .bench = {.config = bench_llama_layer(), .batch_plan = {.count = 1, .text = 300, .answer = 1, .without = 1}}};
  Status status = prepare(&d, plan->limits->threads);
  if (status.code == STATUS_OK)
    status = sample(&d, plan);
  if (status.code == STATUS_OK)
    report(&d, plan->repeats, json);
  ops_free(&d.bench.ops, d.half);
  bench_finish(&d.bench);
  return status;
}
