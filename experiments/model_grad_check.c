/* model_grad_check.c: `seesaw model grad-check`: is backward the derivative of forward? */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "c.h"
#include "commands.h"
#include "gradients.h"
#include "options.h"
#include "progress.h"

typedef struct CheckPlan {
  const char *config, *switches, *layer;
  int64_t probes, seed;
  double tolerance;
} CheckPlan;

static void print_row(void *context, const Entry *entry, double error) {
  const CheckPlan *plan = context;
  bool good = error <= plan->tolerance;
  printf("%s%-9s%s %-80s %.2e\n", color(stdout, good ? COLOR_GREEN : COLOR_RED), good ? "agrees" : "DIFFERS",
         color(stdout, COLOR_RESET), entry->name, error);
}

static Status check_store(const CheckPlan *plan, Store *store, const Ops *ops) {
  Synthetic synthetic;
  SyntheticPlan batch = {.count = 3, .text = 9, .answer = 3, .columns = 2, .rows = 1, .without = 1};
  GradientCheck check = {.match = *plan->layer ? plan->layer : NULL,
                         .probes = (size_t)plan->probes,
                         .seed = (uint64_t)plan->seed,
                         .report = print_row,
                         .context = (void *)plan};
  batch.seed = (uint64_t)plan->seed;
  TRY(store_train(store, (1 << GROUP_COUNT) - 1));
  TRY(synthetic_make(&synthetic, ops, &store->model->config, &batch));
  Status status = gradients_check(store, &synthetic.batch, &check);
  synthetic_free(&synthetic);
  if (status.code != STATUS_OK)
    return status;
  if (check.checked == 0)
    return status_error(STATUS_USAGE, "no parameter has '%s' in its name", plan->layer);
  printf("%zu numbers; the largest relative error is %.2e, at %s\n", check.checked, check.worst, check.at);
  return check.worst <= plan->tolerance
             ? status_ok()
             : status_error(STATUS_CONTRADICTED, "a gradient differs from its differences by %.2e", check.worst);
}

static Status check_model(const CheckPlan *plan, const ModelConfig *config, const Ops *ops) {
  Model model;
  Store store = {0};
  TRY(model_alloc(&model, config));
  Status status = store_random(&store, ops, &model, 0.15, (uint64_t)plan->seed);
  if (status.code == STATUS_OK)
    status = check_store(plan, &store, ops);
  store_free(&store);
  model_free(&model);
  return status;
}

Status command_model_grad_check(int argc, char **argv, Ranks ranks) {
  CheckPlan plan = {.config = "tiny", .switches = "released", .layer = "", .probes = 3, .seed = 1, .tolerance = 1e-7};
  const Option options[] = {
      {"config", OPTION_TEXT, &plan.config, "NAME|PATH", "a preset, or a config.json (or a folder with one)"},
      {"switches", OPTION_CHOICE, &plan.switches, NULL, "the paper's model, or the released code's",
       .choices = "released,paper"},
      {"layer", OPTION_TEXT, &plan.layer, "TEXT", "only parameters with TEXT in their names"},
      {"probes", OPTION_INTEGER, &plan.probes, "N", "numbers of each parameter that are changed", 1, 100000},
      {"tolerance", OPTION_REAL, &plan.tolerance, "E", "largest relative error", 0.0, 1.0},
      {"seed", OPTION_INTEGER, &plan.seed, "N", "seed of weights, pictures, tokens and noise", 0, 9e15},
      {NULL},
  };
  const Command command = {
      .name = "model grad-check",
      .summary = "compare every gradient with differences, in double",
      .description =
          "A random model of the given sizes and a batch of three conversations; each parameter is changed in a few "
          "places and the loss differenced to fourth order. Exit status 1 if one differs.",
      .examples = "seesaw model grad-check\n"
                  "seesaw model grad-check --switches paper --layer mm_projector --probes 20\n",
      .options = options,
  };
  ModelConfig config;
  Ops ops;
  bool done;
  (void)ranks;
  TRY(options_parse(&command, argc, argv, NULL, 0, NULL, &done));
  if (done)
    return status_ok();
  TRY(config_open(plan.config, &config));
  if (strcmp(plan.switches, "paper") == 0)
    config.switches = switches_paper();
  TRY(config_check(&config));
  TRY(c_open(&ops, DTYPE_F64, 0));
  Status status = check_model(&plan, &config, &ops);
  c_close(&ops);
  return status;
}
