/* model_bench.c: `seesaw model bench`: how fast the C backend runs the model, beside what its matrix products and
 * memory could give and beside PyTorch, all measured in turn in one run; or whole steps on a GPU. */
#ifdef _OPENMP
#include <omp.h>
#endif

#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "commands.h"
#include "device.h"
#include "options.h"
#include "relay.h"

typedef struct BenchOptions {
  bool quick, here;
  int64_t threads, repeats, batch, recomputed;
  const char *device, *dtype, *config, *json;
  bool dtype_given;
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

static Status bench_processor(const BenchOptions *options, cJSON *json) {
  Limits limits;
  BenchPlan plan = {.limits = &limits, .repeats = (size_t)options->repeats, .quick = options->quick};
  if (*options->config || options->batch > 0 || options->recomputed > 0)
    return status_error(STATUS_USAGE,
                        "--config, --batch and --recompute are of the stages on a GPU: give --device cuda, or host");
  TRY(device_check("cpu", options->dtype));
  Status status = limits_open(&limits, options->threads > 0 ? (int)options->threads : all_threads());
  if (status.code == STATUS_OK)
    status = run_all(&plan, json);
  limits_close(&limits);
  return status;
}

/* A GPU is measured in the type that it is fast in, unless told otherwise; its stand-in is far too slow for more than
 * to be tried out. */
static Status bench_elsewhere(const BenchOptions *options, cJSON *json) {
  bool quick = options->quick || strcmp(options->device, "host") == 0;
  const StagesPlan plan = {.device = options->device,
                           .dtype = options->dtype_given ? options->dtype : "bf16",
                           .config = *options->config ? options->config
                                     : quick          ? "tiny"
                                                      : "llama3-8b",
                           .batch = (size_t)options->batch,
                           .recomputed = (size_t)options->recomputed,
                           .repeats = (size_t)options->repeats,
                           .quick = quick,
                           .here = options->here,
                           .json = options->json};
  return bench_stages(&plan, json);
}

static Status bench(const BenchOptions *options, const Command *command) {
  bool processor = strcmp(options->device, "cpu") == 0;
  cJSON *json = cJSON_CreateObject();
  char *line = options_line(command);
  cJSON_AddItemToObject(json, "origin", json_origin(line ? line : "", 1));
  free(line);
  Status status = processor ? bench_processor(options, json) : bench_elsewhere(options, json);
  if (status.code == STATUS_OK && *options->json && processor) /* the stages write it themselves */
    status = json_write(options->json, json);
  cJSON_Delete(json);
  return status;
}

Status command_model_bench(int argc, char **argv, Ranks ranks) {
  BenchOptions plan = {.repeats = 9, .device = "cpu", .dtype = "f32", .config = "", .json = ""};
  const Option options[] = {
      {"quick", OPTION_FLAG, &plan.quick, NULL, "the smallest model and one stage only; on a GPU few tokens"},
      {"device", OPTION_CHOICE, &plan.device, NULL,
       "what computes: cpu; cuda: the GPU, or host: its kernels on the processor, to try them: steps of SliME's stages",
       .choices = DEVICE_CHOICES},
      {"dtype", OPTION_CHOICE, &plan.dtype, NULL, "what is stored as what; on a GPU bf16 unless given",
       .choices = DTYPE_CHOICES, .given = &plan.dtype_given},
      {"config", OPTION_TEXT, &plan.config, "NAME|PATH",
       "on a GPU: a preset, llama3-8b unless given, or a config.json"},
      {"batch", OPTION_INTEGER, &plan.batch, "N", "on a GPU: samples of a step; 0: 28, 20 and 8", 0, 4096},
      {"recompute", OPTION_INTEGER, &plan.recomputed, "N",
       "on a GPU: of the decoder's first N layers keep the inputs alone and compute the rest again", 0, 1e6},
      {"threads", OPTION_INTEGER, &plan.threads, "N", "threads; 0: one for each core", 0, 1024},
      {"repeats", OPTION_INTEGER, &plan.repeats, "N", "samples of each pass; the median counts", 1, SAMPLES_MOST},
      RELAY_OPTION(plan.here),
      {"json", OPTION_TEXT, &plan.json, "FILE", "write the numbers as JSON too; on a GPU after each stage"},
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
          "beside reading its weights.\n"
          "With --device cuda instead whole steps of SliME-8B's Stages I, II and III with LoRA, CLIP included, with "
          "random weights: samples a second, the share of the rate of a large product timed before each step, and the "
          "memory of weights, gradients, moments and activations. Last, answers: a token after the other, beside the "
          "rate "
          "of a large copy.",
      .examples = "seesaw model bench\nseesaw model bench --threads 1 --json bench.json\n"
                  "seesaw model bench --device cuda --json stages.json\n"
                  "seesaw model bench --device host\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : bench(&plan, &command);
}
