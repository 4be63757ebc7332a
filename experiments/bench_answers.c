/* bench_answers.c: an answer on a device, token by token, with random weights, beside copying as many bytes as a token
 * needs: the decoder's weights, and the keys and values so far. */
#include <string.h>

#include "bench.h"
#include "generate.h"
#include "progress.h"

/* A block of memory that is copied. */
typedef struct Block {
  const Ops *ops;
  void *memory;
  Tensor to, from;
} Block;

static Status open_block(Block *b, const Ops *ops, bool small) {
  size_t columns = 8192, rows = small ? 16 : 65536, bytes = rows * columns * dtype_bits(ops->real) / 8;
  *b = (Block){.ops = ops};
  TRY(ops_alloc(ops, 2 * bytes, &b->memory));
  b->to = tensor_2(b->memory, ops->real, rows, columns);
  b->from = tensor_2((unsigned char *)b->memory + bytes, ops->real, rows, columns);
  return status_ok();
}

/* Bytes read and written a second, timed now. */
static double rate_of_copy(const Block *b) {
  enum { TIMES = 4 };
  (void)ops_status(b->ops); /* waits; a fault sticks */
  double began = clock_seconds();
  for (int i = 0; i < TIMES; i++)
    ops_copy(b->ops, b->to, b->from);
  (void)ops_status(b->ops);
  return 2.0 * TIMES * (double)tensor_bytes(b->from) / (clock_seconds() - began);
}

/* What a token reads of the decoder: of an embedding one row, unless it is the output layer, too. */
typedef struct Reading {
  bool tied;
  double bytes;
} Reading;

static void add_weights(void *context, const Entry *entry) {
  Reading *reading = context;
  if (entry->group == GROUP_DECODER && (strcmp(entry->name, "model.embed_tokens.weight") != 0 || reading->tied))
    reading->bytes += (double)tensor_bytes(entry->parameter->w);
}

/* With half of the answer's tokens seen. */
static double bytes_of_token(Model *model, Dtype real, double seen) {
  const DecoderConfig *c = &model->config.decoder;
  Reading reading = {.tied = c->tied};
  model_walk(model, add_weights, &reading);
  return reading.bytes + 2.0 * (double)(c->layers * c->kv_heads * c->head) * seen * dtype_bits(real) / 8.0;
}

static Status take_token(void *context, int32_t id) {
  (void)context, (void)id;
  return status_ok();
}

/* The first answer touches everything for the first time and is not counted. */
static Status time_answers(const AnswersPlan *plan, Model *model, const Batch *batch, const Block *block,
                           AnswersReport *report) {
  const Generation generation = {.most = plan->tokens, .stop = {-1, -1, -1, -1}, .emit = take_token};
  double seconds[SAMPLES_MOST], copying[SAMPLES_MOST], shares[SAMPLES_MOST], prompt[SAMPLES_MOST];
  for (size_t i = 0; i <= plan->repeats; i++) {
    double rate = rate_of_copy(block);
    GenerationReport took;
    TRY(generate(plan->ops, model, batch, &generation, &took));
    size_t at = i > 0 ? i - 1 : 0;
    seconds[at] = took.token_seconds / (double)(took.tokens - 1); /* the prompt's pass gave the first */
    prompt[at] = took.prompt_seconds;
    copying[at] = rate;
    report->rows = (double)took.prompt;
    report->bytes = bytes_of_token(model, plan->ops->real, (double)took.prompt + (double)took.tokens / 2.0);
    shares[at] = report->bytes / seconds[at] / rate;
    report->memory = (double)took.memory;
    TRY(interrupt_check());
  }
  report->seconds = spread_of(seconds, plan->repeats);
  report->prompt = spread_of(prompt, plan->repeats);
  report->copying = spread_of(copying, plan->repeats);
  report->share = spread_of(shares, plan->repeats).median;
  return status_ok();
}

Status bench_answers(const AnswersPlan *plan, Model *model, AnswersReport *report) {
  const SyntheticPlan one = {
      .count = 1, .text = plan->text, .answer = 1, .columns = 3, .rows = 2, .same = true, .seed = 1};
  Synthetic synthetic = {0};
  Block block;
  TRY(open_block(&block, plan->ops, plan->small));
  Status status = synthetic_make(&synthetic, plan->ops, &model->config, &one);
  if (status.code == STATUS_OK)
    status = time_answers(plan, model, &synthetic.batch, &block, report);
  synthetic_free(&synthetic);
  ops_free(plan->ops, block.memory);
  return status;
}
