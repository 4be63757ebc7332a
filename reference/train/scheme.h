/* scheme.h: a scheme of training as a small file: a list of phases, each saying which groups of parameters move, which
 * views are shown, on which data, for how many samples, at which rates.
 *
 *   [scheme]
 *   name = alternating                    ; else the file's
 *   [phase stage1]
 *   data = captions                       ; the name of a feed
 *   train = adapter                       ; gate mlp former compression decoder lora vision; adapter: gate mlp former
 *   views = global                        ; global, local, both, none, or mixed: each batch one of the first three
 *   samples = 12000                       ; or epochs = 1: so many times the feed
 *   batch = 32                            ; samples of a pass
 *   accumulate = 1                        ; passes of a step
 *   rate = 6e-3
 *   rate.compression = 3e-3               ; of a group, or of adapter, instead
 *   schedule = cosine                     ; or constant
 *   warmup = 0.03                         ; a share of the steps
 *   clip = 1                              ; norm; 0: none
 *   decay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8     (a line each)
 *   gamma = 1                             ; the router's share; without it the model's
 *   global = mlp                          ; the global view's way in this phase: mlp, former, mixture; else the model's
 *   longest = 2048                        ; rows of a sample; 0: any number
 *
 * Instead of train and views, turns of both:
 *   turns = adapter:global | compression:local
 *   period = 100      ; periodic alternation: so many steps a turn
 *   soft = 200        ; or the soft constraint: two turns at once, the rates of the first times lambda(t), those of the
 *                       second times 1 - lambda(t), lambda(t) = (1 + cos(2 pi t / soft)) / 2; the views of both are
 *                       shown.  Source: paper Section 5, as theory/methods/soft.c. */
#ifndef SEESAW_SCHEME_H
#define SEESAW_SCHEME_H

#include "schedule.h"
#include "slime.h"

enum { PHASE_NAME = 41, PHASE_TURNS = 4, SCHEME_PHASES = 32 };

/* Which groups move and which views are shown. */
typedef struct PhaseTurn {
  unsigned groups; /* bits 1 << Group */
  Views views;
  bool mixed; /* each batch shows the global view, the tiles or both, at random */
} PhaseTurn;

typedef struct Phase {
  char name[PHASE_NAME], data[PHASE_NAME];
  PhaseTurn turn[PHASE_TURNS];
  size_t turns;  /* 1: the same all the time */
  size_t period; /* steps a turn, if there are several; 0: soft */
  double soft;   /* steps of lambda's period; 0: none */
  size_t samples;
  double epochs; /* if samples is 0 */
  size_t batch, accumulate;
  double rate[GROUP_COUNT]; /* 0 of a group that does not move */
  ScheduleKind schedule;
  double warmup, clip, decay, beta1, beta2, epsilon;
  double gamma;   /* negative: the model's */
  Bridge global;  /* BRIDGE_COUNT: the model's */
  size_t longest; /* 0: any number */
} Phase;

typedef struct Scheme {
  char name[PHASE_NAME];
  Phase *phases;
  size_t count;
} Scheme;

/* phase_default: both views, the adapter and the compression, 12,000 samples at 6e-3, 32 a batch, the rest as above. */
Phase phase_default(const char *name);

/* scheme_read: Errors: STATUS_INPUT naming the file, the line and what would be right, with the nearest name for one
 * that is not known; a phase that moves nothing or trains no sample; two phases of one name. scheme_parse: the same
 * from memory; `name` for messages. scheme_free: safe on a zeroed one. The parser of options is used (options.h), so
 * options_line is to be called before. */
Status scheme_read(Scheme *scheme, const char *path);
Status scheme_parse(Scheme *scheme, const char *name, const char *text);
void scheme_free(Scheme *scheme);

/* phase_groups: that move at some time. phase_samples: with a feed of `count` conversations. phase_steps: of the
 * optimiser. */
unsigned phase_groups(const Phase *phase);
size_t phase_samples(const Phase *phase, size_t count);
size_t phase_steps(const Phase *phase, size_t count);

/* phase_turn: the turn of a step; of the soft constraint both at once. phase_rates: the groups' rates in a step, of a
 * phase of `steps`. */
PhaseTurn phase_turn(const Phase *phase, size_t step);
void phase_rates(const Phase *phase, size_t step, size_t steps, double rates[GROUP_COUNT]);

/* phase_print: the canonical text: every field that matters to the result and none else (not the name of the phase), a
 * line each, sorted. Allocated; the caller frees; NULL when memory is out. */
char *phase_print(const Phase *phase);

/* bridge_words: "none", "mlp", "former", "mixture". */
extern const char *const bridge_words[BRIDGE_COUNT];

/* groups_print: "gate mlp former", in the order of Group, into text. Returns text. */
enum { GROUPS_ROOM = 80 };
char *groups_print(unsigned groups, char text[GROUPS_ROOM]);

/* groups_parse: of words between blanks or commas: "adapter, lora" (schemes name groups so). Errors: STATUS_INPUT for a
 * word that names none, with the nearest that does; STATUS_MEMORY. */
Status groups_parse(const char *text, unsigned *groups);

#endif
