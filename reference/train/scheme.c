/* scheme.c: what a phase does in each step, and its canonical text. */
#include "scheme.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

enum { ADAPTER = 1 << GROUP_GATE | 1 << GROUP_MLP | 1 << GROUP_FORMER };

Phase phase_default(const char *name) {
  Phase phase = {.turn = {{.groups = ADAPTER | 1 << GROUP_COMPRESSION, .views = VIEWS_BOTH}},
                 .turns = 1,
                 .samples = 12000,
                 .batch = 32,
                 .accumulate = 1,
                 .warmup = 0.03,
                 .clip = 1.0,
                 .beta1 = 0.9,
                 .beta2 = 0.999,
                 .epsilon = 1e-8,
                 .gamma = -1.0,
                 .global = BRIDGE_COUNT,
                 .longest = 2048};
  for (int group = 0; group < GROUP_COUNT; group++)
    phase.rate[group] = phase.turn[0].groups >> group & 1 ? 6e-3 : 0.0;
  snprintf(phase.name, sizeof phase.name, "%s", name);
  return phase;
}

void scheme_free(Scheme *scheme) {
  free(scheme->phases);
  *scheme = (Scheme){0};
}

/* ---- what a step does ---- */

unsigned phase_groups(const Phase *phase) {
  unsigned groups = 0;
  for (size_t i = 0; i < phase->turns; i++)
    groups |= phase->turn[i].groups;
  return groups;
}

size_t phase_samples(const Phase *phase, size_t count) {
  return phase->samples > 0 ? phase->samples : (size_t)llround(phase->epochs * (double)count);
}

size_t phase_steps(const Phase *phase, size_t count) {
  size_t each = phase->batch * phase->accumulate;
  return (phase_samples(phase, count) + each - 1) / each;
}

PhaseTurn phase_turn(const Phase *phase, size_t step) {
  if (phase->soft > 0.0)
    return (PhaseTurn){.groups = phase_groups(phase), .views = phase->turn[0].views | phase->turn[1].views};
  return phase->turn[phase->turns > 1 ? step / phase->period % phase->turns : 0];
}

/* lambda, and 1 - lambda for the second turn. */
static double weight(const Phase *phase, size_t turn, size_t step) {
  double lambda = 0.5 * (1.0 + cos(2.0 * M_PI * fmod((double)step, phase->soft) / phase->soft));
  return turn == 0 ? lambda : 1.0 - lambda;
}

/* A group of both turns of the soft constraint has lambda + 1 - lambda. */
static double share(const Phase *phase, size_t group, size_t step) {
  double sum = 0.0;
  if (phase->soft == 0.0)
    return phase_turn(phase, step).groups >> group & 1 ? 1.0 : 0.0;
  for (size_t i = 0; i < phase->turns; i++)
    sum += phase->turn[i].groups >> group & 1 ? weight(phase, i, step) : 0.0;
  return sum;
}

void phase_rates(const Phase *phase, size_t step, size_t steps, double rates[GROUP_COUNT]) {
  Schedule schedule = {.kind = phase->schedule, .steps = steps, .warmup = phase->warmup};
  double factor = schedule_factor(&schedule, step);
  for (size_t group = 0; group < GROUP_COUNT; group++)
    rates[group] = factor * phase->rate[group] * share(phase, group, step);
}

/* ---- the canonical text ---- */

char *groups_print(unsigned groups, char text[GROUPS_ROOM]) {
  size_t used = 0;
  text[0] = '\0';
  for (int group = 0; group < GROUP_COUNT; group++)
    if (groups >> group & 1)
      used += (size_t)snprintf(text + used, GROUPS_ROOM - used, "%s%s", used > 0 ? " " : "", group_name((Group)group));
  return text;
}

static const char *views_name(PhaseTurn turn) {
  static const char *const names[] = {"none", "global", "local", "both"};
  return turn.mixed ? "mixed" : names[turn.views];
}

const char *const bridge_words[BRIDGE_COUNT] = {"none", "mlp", "former", "mixture"};

static void print_real(FILE *stream, const char *key, double value) {
  char number[NUMBER_ROOM];
  number_print(value, number);
  fprintf(stream, "%s = %s\n", key, number);
}

static void print_rates(FILE *stream, const Phase *phase) {
  static const Group sorted[] = {GROUP_COMPRESSION, GROUP_DECODER, GROUP_FORMER, GROUP_GATE,
                                 GROUP_LORA,        GROUP_MLP,     GROUP_VISION};
  char key[32];
  for (size_t i = 0; i < GROUP_COUNT; i++)
    if (phase_groups(phase) >> sorted[i] & 1) {
      snprintf(key, sizeof key, "rate.%s", group_name(sorted[i]));
      print_real(stream, key, phase->rate[sorted[i]]);
    }
}

static void print_turns(FILE *stream, const Phase *phase) {
  char groups[GROUPS_ROOM];
  fprintf(stream, "turns =");
  for (size_t i = 0; i < phase->turns; i++)
    fprintf(stream, "%s %s:%s", i > 0 ? " |" : "", groups_print(phase->turn[i].groups, groups),
            views_name(phase->turn[i]));
  fputc('\n', stream);
}

static void print_phase(FILE *stream, const Phase *phase) {
  fprintf(stream, "accumulate = %zu\nbatch = %zu\n", phase->accumulate, phase->batch);
  print_real(stream, "beta1", phase->beta1);
  print_real(stream, "beta2", phase->beta2);
  print_real(stream, "clip", phase->clip);
  fprintf(stream, "data = %s\n", phase->data);
  print_real(stream, "decay", phase->decay);
  if (phase->samples == 0)
    print_real(stream, "epochs", phase->epochs);
  print_real(stream, "epsilon", phase->epsilon);
  if (phase->gamma >= 0.0)
    print_real(stream, "gamma", phase->gamma);
  if (phase->global != BRIDGE_COUNT)
    fprintf(stream, "global = %s\n", bridge_words[phase->global]);
  fprintf(stream, "longest = %zu\n", phase->longest);
  if (phase->turns > 1 && phase->soft == 0.0)
    fprintf(stream, "period = %zu\n", phase->period);
  print_rates(stream, phase);
  if (phase->samples > 0)
    fprintf(stream, "samples = %zu\n", phase->samples);
  fprintf(stream, "schedule = %s\n", schedule_name(phase->schedule));
  if (phase->soft > 0.0)
    print_real(stream, "soft", phase->soft);
  print_turns(stream, phase);
  print_real(stream, "warmup", phase->warmup);
}

char *phase_print(const Phase *phase) {
  char *text = NULL;
  size_t size;
  FILE *stream = open_memstream(&text, &size);
  if (!stream)
    return NULL;
  print_phase(stream, phase);
  bool whole = !ferror(stream);
  if (fclose(stream) == 0 && whole)
    return text;
  free(text);
  return NULL;
}
