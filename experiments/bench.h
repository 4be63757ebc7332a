/* bench.h: the parts of `seesaw model bench`: limits and samples (bench_limits.c), passes of synthetic batches
 * (bench_passes.c), a token through a layer (bench_decoding.c), the steps of the small experiment (bench_steps.c), the
 * same in PyTorch (bench_torch.c), and the steps and answers of SliME itself on a GPU (bench_stages.c,
 * bench_answers.c).
 */
#ifndef SEESAW_BENCH_H
#define SEESAW_BENCH_H

#include "json.h"
#include "samples.h"
#include "store.h"
#include "synthetic.h"

/* ---- bench_limits.c: what the machine gives ---- */

typedef struct Limits {
  int threads;
  float *numbers; /* the factors and products of as many threads */
} Limits;

/* limits_open: Errors: STATUS_MEMORY. limits_close: safe on a zeroed one. */
Status limits_open(Limits *limits, int threads);
void limits_close(Limits *limits);

/* limits_sgemm: operations a second, timed now, of as many square products at once as there are threads.
 * limits_reading: bytes a second of summing a block of memory, of a multiple of 8 bytes, as whole words. */
double limits_sgemm(const Limits *limits);
double limits_reading(const Limits *limits, const void *memory, size_t bytes);

/* ---- bench_limits.c: samples of a pass ---- */

/* Each sample with the SGEMM rate that was timed just before it. */
typedef struct Timed {
  size_t count; /* at most SAMPLES_MOST */
  double seconds[SAMPLES_MOST], operations[SAMPLES_MOST], sgemm[SAMPLES_MOST];
  double torch; /* the peer's median, seconds; NaN: PyTorch is not there */
} Timed;

void timed_add(Timed *timed, double seconds, double operations, double sgemm);

/* timed_seconds: the median. timed_share: of the shares of the SGEMM rate. Not a number without samples. */
double timed_seconds(const Timed *timed);
double timed_share(const Timed *timed);

/* timed_print: a line. target: share of the SGEMM rate that is aimed for, 0: none. samples: of a step, 0: not said.
 * timed_json: "NAME_seconds", "NAME_fraction_of_sgemm", "torch_NAME_seconds" into an object. */
void timed_print(const Timed *timed, const char *title, const char *which, double target, size_t samples);
void timed_json(const Timed *timed, const char *name, cJSON *row);

/* ---- the rows: each timed and printed as it is done, and put into `json` ---- */

typedef struct BenchPlan {
  const Limits *limits;
  size_t repeats; /* samples of each pass, at most SAMPLES_MOST */
  bool quick;     /* the smallest only */
} BenchPlan;

/* bench_passes: "passes", a row for each shape of model. bench_steps: "steps", a row for each stage of the small
 * experiment. bench_decoding: "decode_...". Errors: STATUS_MEMORY, STATUS_INTERRUPTED; bench_steps: STATUS_OUTPUT where
 * there is no folder for temporary files. */
Status bench_passes(const BenchPlan *plan, cJSON *json);
Status bench_steps(const BenchPlan *plan, cJSON *json);
Status bench_decoding(const BenchPlan *plan, cJSON *json);

/* ---- bench_stages.c: another device ---- */

typedef struct StagesPlan {
  const char *device, *dtype, *config; /* as device_open and config_open take them */
  size_t batch;                        /* samples of a pass; 0: each stage's own */
  size_t recomputed;                   /* layers of the decoder whose activations backward computes again */
  size_t repeats;                      /* steps of each stage, at most SAMPLES_MOST */
  bool quick;                          /* few tokens, one sample a pass */
  bool here;                           /* relay.h */
  const char *json;                    /* written after each stage; empty: nowhere */
} StagesPlan;

/* bench_stages: whole steps of Stages I, II and III (LoRA) with random weights: samples a second, the share of the rate
 * of a large product timed before each step, and memory; then an answer: tokens a second, the share of the rate of a
 * large copy. "stages" and "answers", a row each, into `json` and its file. What fails leaves its reason there, and the
 * others go on. Errors: those of device_open; the first stage's that failed
 * (config_open's, STATUS_MEMORY, STATUS_NUMERICS); STATUS_OUTPUT, STATUS_INTERRUPTED. */
Status bench_stages(const StagesPlan *plan, cJSON *json);

/* ---- bench_answers.c ---- */

typedef struct AnswersPlan {
  const Ops *ops;
  size_t text, tokens; /* of the prompt, of the answer */
  size_t repeats;      /* answers, at most SAMPLES_MOST */
  bool small;          /* copies of little memory */
} AnswersPlan;

typedef struct AnswersReport {
  double rows;            /* of the prompt */
  double bytes, memory;   /* that a token reads; of activations and cache */
  Spread seconds, prompt; /* of a token after the first; of the prompt's pass */
  Spread copying;         /* bytes read and written a second */
  double share;           /* of that, which a token's reading is */
} AnswersReport;

/* bench_answers: of a model with its weights, to a random picture of six tiles and random text. Errors: STATUS_MEMORY,
 * STATUS_INTERRUPTED, the device's. */
Status bench_answers(const AnswersPlan *plan, Model *model, AnswersReport *report);

/* ---- bench_passes.c: a model with a batch, for bench_decoding too ---- */

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
  Timed forward, step;
} Bench;

/* bench_llama_layer: the shape of a layer of Llama-3-8B. bench_prepare: of one with name, config, batch_plan and
 * groups. Errors: STATUS_MEMORY. bench_finish: safe on a zeroed one. */
ModelConfig bench_llama_layer(void);
Status bench_prepare(Bench *bench, int threads);
void bench_finish(Bench *bench);

/* ---- bench_torch.c: the peer, if python3 has it; else not a number ---- */

/* torch_decoder: a decoder over conversations without pictures. trained: a step (forward and backward) too. */
void torch_decoder(const DecoderConfig *config, const SyntheticPlan *plan, bool trained, int threads, double *forward,
                   double *step);

/* torch_step: a whole step of training on a batch that a file describes (bench_steps.c). */
double torch_step(const char *path, int threads);

#endif
