/* model_bench.c: `seesaw model bench`: how fast the C backend runs the model, beside what its matrix products and
 * memory could give and beside PyTorch, all measured in turn in one run. */
#ifdef _OPENMP
#include <omp.h>
#endif

#include "bench.h"
#include "commands.h"
#include "options.h"

typedef struct BenchOptions {
  bool quick;
  int64_t threads, repeats;
  const char *json;
} BenchOptions;

static int all_threads(void) {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

static Status run_all(const BenchPlan *plan, cJSON *json) {
  TRY(bench_steps(plan, json)); /* first: it may lack a folder */
  TRY(bench_passes(plan, json));
  return plan->quick ? status_ok() : bench_decoding(plan, json);
}

static Status bench(const BenchOptions *options) {
  Limits limits;
  BenchPlan plan = {.limits = &limits, .repeats = (size_t)options->repeats, .quick = options->quick};
  cJSON *json = cJSON_CreateObject();
  Status status = limits_open(&limits, options->threads > 0 ? (int)options->threads : all_threads());
  if (status.code == STATUS_OK)
    status = run_all(&plan, json);
  if (status.code == STATUS_OK && *options->json)
    status = json_write(options->json, json);
  cJSON_Delete(json);
  limits_close(&limits);
  return status;
}

Status command_model_bench(int argc, char **argv, Ranks ranks) {
  BenchOptions plan = {.repeats = 9, .json = ""};
  const Option options[] = {
      {"quick", OPTION_FLAG, &plan.quick, NULL, "the smallest model and one stage only"},
      {"threads", OPTION_INTEGER, &plan.threads, "N", "threads; 0: one for each core", 0, 1024},
      {"repeats", OPTION_INTEGER, &plan.repeats, "N", "samples of each pass; the median counts", 1, SAMPLES_MOST},
      {"json", OPTION_TEXT, &plan.json, "FILE", "write the numbers as JSON too"},
      {NULL},
  };
  const Command command = {
      .name = "model bench",
      .summary = "speed of the model, beside SGEMM and PyTorch",
      .description =
          "Whole steps of the small experiment's stages, I, II, E2E and III, by the trainer itself: 32 scenes whose "
          "features are kept, forward, backward, clip and AdamW. Then forward passes and training steps of a decoder "
          "of "
          "width 96 over 32 conversations of about 110 tokens, of decoders of width 128, 256 and 512 over 8 of about "
          "250 "
          "tokens, of four of CLIP-L's layers on one view and of a layer of Llama-3-8B (their steps with frozen "
          "weights). All in GFLOP/s of their matrix products and attention, beside the rate of a square SGEMM timed "
          "just "
          "before each, and beside the same in PyTorch if python3 has it. Last, a token through a layer of Llama-3-8B, "
          "beside reading its weights.",
      .examples = "seesaw model bench\nseesaw model bench --threads 1 --json bench.json\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : bench(&plan);
}
