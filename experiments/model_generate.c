/* model_generate.c: `seesaw model generate`: an answer to a question about a picture, as it is found. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "generate.h"
#include "memory.h"
#include "model_open.h"

typedef struct GeneratePlan {
  ModelPlan model;
  const char *image, *prompt, *template;
  int64_t most, seed;
  double temperature, top_p;
  bool report;
} GeneratePlan;

/* Text comes out token by token, whole characters at a time. */
typedef struct Printing {
  TokenStream stream;
  Text text;
  bool report;
  bool host; /* the memory is the host's */
} Printing;

static Status print_text(Printing *printing) {
  bool whole = printing->text.length == 0 ||
               fwrite(printing->text.bytes, 1, printing->text.length, stdout) == printing->text.length;
  printing->text.length = 0;
  if (!whole || fflush(stdout) != 0)
    return status_error(STATUS_OUTPUT, "standard output cannot be written");
  return status_ok();
}

/* A token beyond the tokenizer's vocabulary, of a model that has room for more, shows as its number. */
static Status print_token(void *context, int32_t id) {
  Printing *printing = context;
  if ((size_t)id < tokenizer_size(printing->stream.tokenizer)) {
    TRY(token_stream_next(&printing->stream, id, &printing->text));
  } else {
    char number[24];
    snprintf(number, sizeof number, "<%d>", id);
    TRY(text_append_string(&printing->text, number));
  }
  return print_text(printing);
}

/* Before it is allocated: with --report, or if it is much. */
static void print_memory(void *context, size_t bytes) {
  static const size_t much = (size_t)256 << 20;
  const Printing *printing = context;
  char needed[32], there[32];
  if (!printing->report && bytes <= much)
    return;
  fprintf(stderr, "%s of activations, keys and values are needed", memory_print(bytes, needed));
  if (printing->host)
    fprintf(stderr, "; %s are available", memory_print(memory_available(), there));
  fputc('\n', stderr);
}

static void print_report(const GenerationReport *r) {
  double each = r->tokens > 1 ? r->token_seconds / (double)(r->tokens - 1) : 0.0;
  fprintf(stderr, "%zu rows of prompt in %.2f s; %zu tokens%s", r->prompt, r->prompt_seconds, r->tokens,
          r->tokens > 1 ? "" : "\n");
  if (r->tokens > 1)
    fprintf(stderr, " at %.3g a second\n", 1.0 / each);
}

static Status answer(const void *of, const OpenModel *open, const Tokenizer *tokenizer) {
  const GeneratePlan *plan = of;
  Question question;
  GenerationReport report;
  Printing printing = {
      .stream = token_stream_start(tokenizer, false), .report = plan->report, .host = open->device.ops.table->host};
  Generation generation = {.most = (size_t)plan->most,
                           .temperature = plan->temperature,
                           .top_p = plan->top_p,
                           .seed = (uint64_t)plan->seed,
                           .stop = {tokenizer_eos(tokenizer), tokenizer_find(tokenizer, "<|eot_id|>"),
                                    tokenizer_find(tokenizer, "<|end_of_text|>"), -1},
                           .announce = print_memory,
                           .emit = print_token,
                           .context = &printing};
  TRY(ask(&question, open, tokenizer, plan->template, plan->image, plan->prompt));
  Status status = generate(&open->device.ops, &open->model, &question.batch, &generation, &report);
  if (status.code == STATUS_OK)
    status = token_stream_end(&printing.stream, &printing.text);
  if (status.code == STATUS_OK)
    status = text_append_string(&printing.text, "\n");
  if (status.code == STATUS_OK)
    status = print_text(&printing);
  if (status.code == STATUS_OK && plan->report)
    print_report(&report);
  text_free(&printing.text);
  question_free(&question);
  return status;
}

Status command_model_generate(int argc, char **argv, Ranks ranks) {
  GeneratePlan plan = {
      .model = MODEL_USUAL, .image = "", .prompt = "", .template = "auto", .most = 128, .seed = 1, .top_p = 1.0};
  const Option options[] = {
      MODEL_OPTIONS(plan.model),
      {"image", OPTION_TEXT, &plan.image, "FILE", "JPEG or PNG; without it the question is about no picture"},
      {"prompt", OPTION_TEXT, &plan.prompt, "TEXT", "the question"},
      {"template", OPTION_CHOICE, &plan.template, NULL, "how the question is put; auto: by the tokenizer",
       .choices = "auto,plain,v1,llama3"},
      {"max-new", OPTION_INTEGER, &plan.most, "N", "tokens of the answer at most", 1, 100000},
      {"temperature", OPTION_REAL, &plan.temperature, "T", "0: the likeliest token always; else tokens are drawn", 0.0,
       100.0},
      {"top-p", OPTION_REAL, &plan.top_p, "P", "draw from the likeliest tokens whose shares sum to P", 0.0, 1.0},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of the draws", 0, 9e15},
      {"report", OPTION_FLAG, &plan.report, NULL, "print times and memory to standard error"},
      {NULL},
  };
  const Command command = {
      .name = "model generate",
      .summary = "answer a question about a picture",
      .description = "The answer is printed as it is found. On the processor weights stay mapped in their own type; on "
                     "a GPU they are "
                     "copied, as --dtype.",
      .examples = "seesaw model generate --model tiny --image photo.jpg --prompt 'What is this?' --max-new 20\n"
                  "seesaw model generate --model vicuna --prompt 'Hello' --temperature 0.8 --top-p 0.95 --seed 3\n",
      .options = options,
  };
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  return done ? status_ok() : with_model(&plan.model, answer, &plan);
}
