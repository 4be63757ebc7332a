/* keeper.c: checkpoints of a pretraining. */
#include "keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "number.h"

enum { INTERVAL = 250 }; /* steps, usually */

/* All that the result depends on. */
static Status describe(const PretrainPlan *plan, const char *part, const ModelConfig *config, char **text) {
  char rate[NUMBER_ROOM];
  size_t size;
  FILE *stream = open_memstream(text, &size);
  if (!stream)
    return status_error(STATUS_MEMORY, "not enough memory to describe a pretraining");
  number_print(plan->rate, rate);
  fprintf(stream, "part = %s\nseed = %llu\nsteps = %zu\nbatch = %zu\nrate = %s\n", part, (unsigned long long)plan->seed,
          plan->steps, plan->batch, rate);
  config_print(config, stream);
  return fclose(stream) == 0 ? status_ok() : status_error(STATUS_MEMORY, "not enough memory to describe a pretraining");
}

static Status begin(Keeper *keeper, const PretrainPlan *plan, const char *part, size_t *start) {
  if (asprintf(&keeper->path, "%s/%s.checkpoint.safetensors", plan->folder, part) < 0) {
    keeper->path = NULL;
    return status_error(STATUS_MEMORY, "not enough memory for a path");
  }
  TRY(describe(plan, part, &keeper->snapshot.optimiser->store->model->config, &keeper->identity));
  keeper->snapshot.identity = keeper->identity;
  if (access(keeper->path, F_OK) == 0)
    TRY(snapshot_load(&keeper->snapshot, keeper->path));
  *start = keeper->snapshot.counts.steps;
  return status_ok();
}

Status keeper_open(Keeper *keeper, const PretrainPlan *plan, const char *part, Optimiser *optimiser,
                   const NamedTensor *others, size_t other_count, size_t *start) {
  *keeper =
      (Keeper){.snapshot = {.optimiser = optimiser, .moments = true, .others = others, .other_count = other_count}};
  *start = 0;
  keeper->interval = plan->interval > 0 ? plan->interval : INTERVAL;
  return plan->folder && *plan->folder ? begin(keeper, plan, part, start) : status_ok();
}

Status keeper_step(Keeper *keeper, size_t done) {
  keeper->snapshot.counts.steps = done;
  if (keeper->path && (done % keeper->interval == 0 || interrupt_raised()))
    TRY(snapshot_save(&keeper->snapshot, keeper->path));
  return interrupt_check();
}

void keeper_close(Keeper *keeper, bool finished) {
  if (keeper->path && finished)
    unlink(keeper->path);
  free(keeper->path);
  free(keeper->identity);
  *keeper = (Keeper){.path = NULL};
}
