/* model_bench.c: `seesaw model bench`: how fast the C backend runs the model, beside what its matrix products and
 * memory could give and beside PyTorch, all measured in turn in one run. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "c.h"
#include "commands.h"
#include "files.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "samples.h"
#include "store.h"
#include "synthetic.h"

enum { MOST_REPEATS = SAMPLES_MOST, SQUARE = 1024, SHAPES = 6 };

typedef struct BenchPlan {
  bool quick;
  int64_t threads, repeats;
  const char *json;
} BenchPlan;

/* ---- what is timed ---- */

/* A model, a batch, and the passes over it. */
typedef struct Bench {
  const char *name;
  ModelConfig config;
  SyntheticPlan batch_plan;
  double target;   /* share of the SGEMM rate aimed for; 0: none */
  unsigned groups; /* that a step trains; 0: forward only */
  Ops ops;
  Model model;
  Store store;
  Synthetic synthetic;
  SlimeTape tape;
  Run run;
  double forward_operations, step_operations;
  double forward[MOST_REPEATS], step[MOST_REPEATS], sgemm[MOST_REPEATS]; /* seconds; operations a second */
  double torch_forward, torch_step;                                      /* seconds; NaN: PyTorch is not there */
} Bench;

static ModelConfig decoder_shape(size_t width, size_t mlp, size_t vocabulary) {
  ModelConfig config;
  REQUIRE(config_preset("tiny", &config).code == STATUS_OK, "the preset tiny");
  config.decoder = (DecoderConfig){.vocabulary = vocabulary,
                                   .width = width,
                                   .mlp = mlp,
                                   .layers = 4,
                                   .heads = width / 32,
                                   .kv_heads = width / 32,
                                   .head = 32,
                                   .theta = 10000.0,
                                   .epsilon = 1e-5};
  return config;
}

/* Some of CLIP-L's layers on one view; the rest is small. */
static ModelConfig clip_shape(void) {
  ModelConfig config, large;
  REQUIRE(config_preset("tiny", &config).code == STATUS_OK, "the preset tiny");
  REQUIRE(config_preset("llama3-8b", &large).code == STATUS_OK, "the preset llama3-8b");
  config.vision = large.vision;
  config.vision.layers = config.vision.used = 4;
  config.global = BRIDGE_MLP;
  config.local = BRIDGE_NONE;
  return config;
}

static ModelConfig llama_shape(void) {
  ModelConfig config, large;
  REQUIRE(config_preset("tiny", &config).code == STATUS_OK, "the preset tiny");
  REQUIRE(config_preset("llama3-8b", &large).code == STATUS_OK, "the preset llama3-8b");
  config.decoder = large.decoder;
  config.decoder.layers = 1;
  config.decoder.vocabulary = 1024;
  return config;
}

static void list_benches(Bench benches[SHAPES]) {
  const SyntheticPlan text = {.count = 8, .text = 250, .answer = 60, .without = 8};
  const unsigned decoder = 1 << GROUP_DECODER;
  const struct {
    const char *name;
    size_t width;
    double target;
  } widths[] = {
      {"decoder, width 128", 128, 0.60}, {"decoder, width 256", 256, 0.75}, {"decoder, width 512", 512, 0.80}};
  benches[0] = (Bench){.name = "decoder, width 96", /* the small experiment's */
                       .config = decoder_shape(96, 256, 640),
                       .batch_plan = {.count = 32, .text = 110, .answer = 30, .without = 32},
                       .groups = decoder};
  for (size_t i = 0; i < 3; i++)
    benches[1 + i] = (Bench){.name = widths[i].name,
                             .config = decoder_shape(widths[i].width, 3 * widths[i].width, 1024),
                             .batch_plan = text,
                             .target = widths[i].target,
                             .groups = decoder};
  benches[4] = (Bench){
      .name = "CLIP-L, 4 layers, a view", .config = clip_shape(), .batch_plan = {.count = 1, .text = 8, .answer = 2}};
  benches[5] = (Bench){.name = "Llama-3-8B, 1 layer",
                       .config = llama_shape(),
                       .batch_plan = {.count = 1, .text = 250, .answer = 60, .without = 1},
                       .groups = 1 << GROUP_MLP};
}

/* ---- passes ---- */

static void pass(Bench *b, Run *run, bool backward) {
  size_t trained;
  run_reset(run);
  run->training = backward;
  slime_forward(run, &b->model, &b->synthetic.batch, &b->tape, &trained);
  if (backward)
    slime_backward(run, &b->model, &b->tape, 0);
}

/* Dry: the bytes of a step, and the operations of both passes. */
static size_t measure(Bench *b) {
  Ops dry = {.real = DTYPE_F32, .operations = &b->forward_operations};
  Run run = run_dry(&dry);
  pass(b, &run, false);
  dry.operations = &b->step_operations;
  pass(b, &run, true);
  run_reset(&run);
  return run.most;
}

static Status prepare(Bench *b, int threads) {
  TRY(c_open(&b->ops, DTYPE_F32, threads));
  TRY(model_alloc(&b->model, &b->config));
  TRY(store_random(&b->store, &b->ops, &b->model, 0.02, 1));
  TRY(store_train(&b->store, b->groups));
  TRY(synthetic_make(&b->synthetic, &b->ops, &b->config, &b->batch_plan));
  TRY(slime_tape_alloc(&b->tape, &b->config));
  return run_alloc(&b->run, &b->ops, measure(b));
}

static void finish(Bench *b) {
  run_free(&b->run);
  slime_tape_free(&b->tape);
  synthetic_free(&b->synthetic);
  store_free(&b->store);
  model_free(&b->model);
  c_close(&b->ops);
}

static double time_pass(Bench *b, bool backward) {
  double began = clock_seconds();
  if (backward)
    store_zero(&b->store);
  pass(b, &b->run, backward);
  return clock_seconds() - began;
}

/* ---- the limit: as many square products at once as there are threads ---- */

static double sgemm_rate(int threads, float *numbers) {
  size_t size = (size_t)SQUARE * SQUARE;
  double began = clock_seconds();
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int i = 0; i < threads; i++) {
    float *a = numbers + 3 * size * (size_t)i;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SQUARE, SQUARE, SQUARE, 1.0F, a, SQUARE, a + size, SQUARE,
                0.0F, a + 2 * size, SQUARE);
  }
  return 2.0 * SQUARE * SQUARE * SQUARE * threads / (clock_seconds() - began);
}

/* ---- the peer ---- */

/* The same decoder in PyTorch, as one would write it: one scaled_dot_product_attention a conversation. */
static const char *const torch_script =
    "import sys, time, torch\n"
    "import torch.nn.functional as F\n"
    "threads, width, mlp, layers, heads, kv, vocab, batch, rows, answer, train = map(int, sys.argv[1:])\n"
    "torch.set_num_threads(threads); torch.manual_seed(1)\n"
    "d = 32 if width < 4096 else 128\n"
    "P = lambda *s: torch.nn.Parameter(torch.randn(*s) * 0.02, requires_grad=bool(train))\n"
    "L = [dict(n1=P(width), n2=P(width), qkv=P((heads + 2 * kv) * d, width), o=P(width, heads * d),\n"
    "          gu=P(2 * mlp, width), dn=P(width, mlp)) for i in range(layers)]\n"
    "emb, head, norm = P(vocab, width), P(vocab, width), P(width)\n"
    "lengths = [rows - (0, 2, 1)[i % 3] for i in range(batch)]\n"
    "ids = torch.randint(0, vocab, (sum(lengths),))\n"
    "pos = torch.cat([torch.arange(n) for n in lengths]).float()\n"
    "ang = torch.outer(pos, 10000.0 ** (-torch.arange(0, d, 2).float() / d))\n"
    "cos, sin = (torch.cat([f, f], 1)[:, None] for f in (ang.cos(), ang.sin()))\n"
    "rot = lambda x: x * cos + torch.cat([-x[..., d // 2:], x[..., :d // 2]], -1) * sin\n"
    "rms = lambda x, g: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * g\n"
    "last = torch.cat([torch.arange(answer) + sum(lengths[:i + 1]) - answer - 1 for i in range(batch)])\n"
    "def forward():\n"
    "    x = emb[ids]\n"
    "    for l in L:\n"
    "        q, k, v = (rms(x, l['n1']) @ l['qkv'].T).view(len(x), -1, d).split([heads, kv, kv], 1)\n"
    "        q, k = rot(q), rot(k)\n"
    "        o = [F.scaled_dot_product_attention(*(t.transpose(0, 1)[None] for t in (a, b, c)), is_causal=True,\n"
    "             enable_gqa=kv < heads)[0].transpose(0, 1).reshape(-1, heads * d)\n"
    "             for a, b, c in zip(q.split(lengths), k.split(lengths), v.split(lengths))]\n"
    "        x = x + torch.cat(o) @ l['o'].T\n"
    "        g, u = (rms(x, l['n2']) @ l['gu'].T).chunk(2, -1)\n"
    "        x = x + (F.silu(g) * u) @ l['dn'].T\n"
    "    return F.cross_entropy(rms(x[last], norm) @ head.T, ids[last + 1])\n"
    "def median(f):\n"
    "    f(); t = []\n"
    "    for i in range(7):\n"
    "        s = time.perf_counter(); f(); t.append(time.perf_counter() - s)\n"
    "    return sorted(t)[3]\n"
    "with torch.no_grad(): fwd = median(forward)\n"
    "step = median(lambda: forward().backward()) if train else float('nan')\n"
    "print(fwd, step)\n";

static void ask_torch(Bench *b, int threads) {
  const DecoderConfig *c = &b->config.decoder;
  const SyntheticPlan *p = &b->batch_plan;
  char *command;
  b->torch_forward = b->torch_step = NAN;
  bool trained = b->groups == 1 << GROUP_DECODER;
  if (p->without == 0 ||
      asprintf(&command,
               "OMP_NUM_THREADS=%d timeout 120 python3 -c \"%s\" %d %zu %zu %zu %zu %zu %zu %zu %zu %zu %d 2>/dev/null",
               threads, torch_script, threads, c->width, c->mlp, c->layers, c->heads, c->kv_heads, c->vocabulary,
               p->count, p->text, p->answer, trained) < 0)
    return;
  fflush(NULL);
  FILE *answer = popen(command, "r");
  free(command);
  if (!answer)
    return;
  if (fscanf(answer, "%lf %lf", &b->torch_forward, &b->torch_step) < 1)
    b->torch_forward = b->torch_step = NAN;
  pclose(answer);
}

/* ---- decoding: one token through a layer of Llama-3-8B in bf16, beside reading as many bytes ---- */

typedef struct Decoding {
  Bench bench;    /* the layer */
  uint16_t *half; /* its matrices */
  size_t numbers; /* in them */
  Cache cache;
  Tensor keys, values;
  double seconds[MOST_REPEATS], reading[MOST_REPEATS]; /* bytes a second */
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

static Status prepare_decoding(Decoding *d, int threads) {
  enum { SEEN = 256 };
  Bench *b = &d->bench;
  const DecoderConfig *c = &b->config.decoder;
  void *memory;
  TRY(prepare(b, threads));
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

/* Bytes a second of summing the same weights as whole words. */
static double reading_rate(const Decoding *d, int threads) {
  const uint64_t *words = (const uint64_t *)(const void *)d->half;
  size_t count = d->numbers / 4;
  uint64_t sum = 0;
  static volatile uint64_t sink;
  double began = clock_seconds();
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : sum)
  for (size_t i = 0; i < count; i++)
    sum += words[i];
  sink = sum;
  (void)sink;
  return 8.0 * (double)count / (clock_seconds() - began);
}

static void report_decoding(const Decoding *d, size_t repeats, cJSON *json) {
  double shares[MOST_REPEATS], bytes = 2.0 * (double)d->numbers;
  for (size_t i = 0; i < repeats; i++)
    shares[i] = bytes / d->seconds[i] / d->reading[i];
  double took = spread_of(d->seconds, repeats).median, share = spread_of(shares, repeats).median;
  printf("%-26s %-8s %9.2f ms  %7.1f GB/s      %4.0f %% of reading the weights\n", "Llama-3-8B, 1 layer, bf16",
         "a token", 1e3 * took, 1e-9 * bytes / took, 100.0 * share);
  cJSON_AddNumberToObject(json, "decode_layer_seconds", took);
  cJSON_AddNumberToObject(json, "decode_fraction_of_reading", share);
}

static Status time_decoding(const BenchPlan *plan, int threads, cJSON *json) {
  Decoding d = {.bench = {.config = llama_shape(), .batch_plan = {.count = 1, .text = 300, .answer = 1, .without = 1}}};
  size_t repeats = (size_t)plan->repeats;
  Status status = prepare_decoding(&d, threads);
  if (status.code == STATUS_OK) {
    time_token(&d);
    for (size_t i = 0; i < repeats; i++) {
      d.reading[i] = reading_rate(&d, threads);
      d.seconds[i] = time_token(&d);
    }
    report_decoding(&d, repeats, json);
  }
  ops_free(&d.bench.ops, d.half);
  finish(&d.bench);
  return status;
}

/* ---- the work ---- */

static Status time_all(Bench *b, int threads, size_t repeats, float *numbers) {
  time_pass(b, b->groups != 0); /* first touches */
  for (size_t i = 0; i < repeats; i++) {
    b->sgemm[i] = sgemm_rate(threads, numbers);
    b->forward[i] = time_pass(b, false);
    b->step[i] = b->groups ? time_pass(b, true) : NAN;
    TRY(interrupt_check());
  }
  ask_torch(b, threads);
  return status_ok();
}

static double median(const double *values, size_t count) {
  return spread_of(values, count).median;
}

/* Median of the share of the SGEMM rate, each sample over the product timed just before it. */
static double share(const Bench *b, const double *seconds, double operations, size_t repeats) {
  double shares[MOST_REPEATS];
  for (size_t i = 0; i < repeats; i++)
    shares[i] = operations / seconds[i] / b->sgemm[i];
  return median(shares, repeats);
}

static void print_pass(const char *name, const char *which, const double *seconds, double operations, double of_sgemm,
                       double target, double torch, size_t repeats) {
  double took = median(seconds, repeats);
  printf("%-26s %-8s %9.2f ms  %7.1f GFLOP/s  %4.0f %% of SGEMM", name, which, 1e3 * took, 1e-9 * operations / took,
         100.0 * of_sgemm);
  if (target > 0.0)
    printf(" (aim %.0f %%)", 100.0 * target);
  if (!isnan(torch))
    printf("   PyTorch %.2f ms: %.2f times as long", 1e3 * torch, torch / took);
  printf("\n");
}

static void report(const Bench *b, size_t repeats, cJSON *list) {
  double forward = share(b, b->forward, b->forward_operations, repeats);
  double step = share(b, b->step, b->step_operations, repeats);
  print_pass(b->name, "forward", b->forward, b->forward_operations, forward, b->target, b->torch_forward, repeats);
  if (b->groups)
    print_pass("", "step", b->step, b->step_operations, step, b->target, b->torch_step, repeats);
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", b->name);
  cJSON_AddNumberToObject(row, "sgemm_flops", median(b->sgemm, repeats));
  cJSON_AddNumberToObject(row, "forward_seconds", median(b->forward, repeats));
  cJSON_AddNumberToObject(row, "step_seconds", median(b->step, repeats));
  cJSON_AddNumberToObject(row, "forward_fraction_of_sgemm", forward);
  cJSON_AddNumberToObject(row, "step_fraction_of_sgemm", step);
  cJSON_AddNumberToObject(row, "torch_forward_seconds", b->torch_forward);
  cJSON_AddNumberToObject(row, "torch_step_seconds", b->torch_step);
  cJSON_AddItemToArray(list, row);
}

static Status run_all(const BenchPlan *plan, int threads, float *numbers, cJSON *list) {
  Bench *benches = calloc(SHAPES, sizeof *benches);
  Progress progress;
  Status status = benches ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the bench");
  size_t count = plan->quick ? 1 : SHAPES, repeats = (size_t)plan->repeats;
  if (benches)
    list_benches(benches);
  progress_start(&progress, "bench", (double)count);
  for (size_t i = 0; i < count && status.code == STATUS_OK; i++) {
    status = prepare(&benches[i], threads);
    if (status.code == STATUS_OK)
      status = time_all(&benches[i], threads, repeats, numbers);
    progress_update(&progress, (double)i + 1.0);
    if (status.code == STATUS_OK) {
      progress_end(&progress);
      report(&benches[i], repeats, list);
    }
    finish(&benches[i]);
  }
  progress_end(&progress);
  free(benches);
  return status;
}

static int all_threads(void) {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

static Status bench(const BenchPlan *plan) {
  int threads = plan->threads > 0 ? (int)plan->threads : all_threads();
  size_t count = 3 * (size_t)SQUARE * SQUARE * (size_t)threads;
  float *numbers = calloc(count, sizeof *numbers);
  cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "passes");
  Status status = status_error(STATUS_MEMORY, "not enough memory for the bench");
  for (size_t i = 0; numbers && i < count; i++)
    numbers[i] = (float)(i % 7) - 3.0F;
  if (numbers && list)
    status = run_all(plan, threads, numbers, list);
  if (status.code == STATUS_OK && !plan->quick)
    status = time_decoding(plan, threads, json);
  if (status.code == STATUS_OK && *plan->json)
    status = json_write(plan->json, json);
  cJSON_Delete(json);
  free(numbers);
  return status;
}

Status command_model_bench(int argc, char **argv, Ranks ranks) {
  BenchPlan plan = {.repeats = 9, .json = ""};
  const Option options[] = {
      {"quick", OPTION_FLAG, &plan.quick, NULL, "the smallest model only"},
      {"threads", OPTION_INTEGER, &plan.threads, "N", "threads; 0: one for each core", 0, 1024},
      {"repeats", OPTION_INTEGER, &plan.repeats, "N", "samples of each pass; the median counts", 1, MOST_REPEATS},
      {"json", OPTION_TEXT, &plan.json, "FILE", "write the numbers as JSON too"},
      {NULL},
  };
  const Command command = {
      .name = "model bench",
      .summary = "speed of the model, beside SGEMM and PyTorch",
      .description =
          "Forward passes and training steps of a decoder of width 96 over 32 conversations of about 110 tokens, as "
          "the small experiment trains it, of decoders of width 128, 256 and 512 over 8 of about 250 tokens, of four "
          "of CLIP-L's layers on one view and of a layer of Llama-3-8B (their steps with frozen weights), in GFLOP/s "
          "of their matrix products, beside the rate of a square SGEMM timed just before each, and beside the same in "
          "PyTorch if python3 has it.",
      .examples = "seesaw model bench\nseesaw model bench --threads 1 --json bench.json\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : bench(&plan);
}
