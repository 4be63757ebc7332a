/* rows.c: the rows, in the order of the paper's tables. */
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NONE                                                                                                           \
  { NAN, NAN, NAN, NAN, NAN }

/* A control, tested with both views, with the global one and with the local ones. */
#define CONTROL(id, name)                                                                                              \
  {TABLE_4, true, id, SHOWN_BOTH, name, "alternating", NONE},                                                          \
      {TABLE_4, true, id, SHOWN_GLOBAL, name ", only Global", "alternating", NONE}, {                                  \
    TABLE_4, true, id, SHOWN_LOCAL, name ", only Local", "alternating", NONE                                           \
  }

/* Of the paper's two rows called Baseline, which differ on POPE, each table has its own. Table 3 compares a row with
 * the one from which it differs in one thing, table 4 with alternating training. Figure 1's numbers are not printed in
 * the paper: where a bar is a row of table 4 it has that row's. */
const Row ablation_rows[] = {
    {TABLE_3, false, "baseline", SHOWN_BOTH, "Baseline", NULL, {83.80, 61.94, 74.30, 58.94, 87.70}},
    {TABLE_3, false, "global_moe", SHOWN_BOTH, "Global MOE", "baseline", {84.10, 62.58, 77.00, 60.57, 88.70}},
    {TABLE_3, false, "nq64", SHOWN_BOTH, "N_q=64", "global_moe", {83.80, 62.91, 76.15, 63.09, 87.60}},
    {TABLE_3, false, "nq196", SHOWN_BOTH, "N_q=196", "nq144", {84.00, 62.51, 75.56, 62.48, 87.40}},
    {TABLE_3, false, "nq144", SHOWN_BOTH, "N_q=144", "nq64", {84.20, 62.96, 77.09, 63.58, 88.20}},
    {TABLE_3, false, "gamma90", SHOWN_BOTH, "gamma=90%", "nq144", {84.20, 62.74, 76.05, 64.05, 88.10}},
    {TABLE_3, false, "gamma75", SHOWN_BOTH, "gamma=75%", "gamma90", {84.50, 63.09, 77.44, 63.83, 88.40}},
    {TABLE_3, false, "gamma50", SHOWN_BOTH, "gamma=50%", "gamma75", {84.90, 63.11, 77.09, 62.75, 88.40}},
    {TABLE_3, false, "smr", SHOWN_BOTH, "With SMR", "global_moe", {84.50, 62.58, 82.29, 59.89, 88.40}},
    {TABLE_3, false, "final", SHOWN_BOTH, "Final", "smr", {84.90, 63.94, 84.18, 64.76, 88.90}},

    {TABLE_4, false, "baseline", SHOWN_BOTH, "Baseline", "alternating", {84.20, 61.94, 74.30, 58.94, 87.70}},
    {TABLE_4, false, "llava_hd", SHOWN_BOTH, "LLaVA-HD", "alternating", {85.00, 62.48, 72.97, 61.48, 88.20}},
    {TABLE_4, false, "monkey", SHOWN_BOTH, "Monkey", "alternating", {83.10, 60.70, 73.85, 62.14, 86.90}},
    {TABLE_4, false, "e2e", SHOWN_BOTH, "E2E", "alternating", {82.90, 61.90, 74.12, 59.69, 86.00}},
    {TABLE_4, false, "e2e", SHOWN_GLOBAL, "E2E, only Global", "alternating", {82.10, 62.43, 75.26, 43.65, 84.30}},
    {TABLE_4, false, "e2e", SHOWN_LOCAL, "E2E, only Local", "alternating", {43.40, 38.70, 71.24, 58.22, 78.20}},
    {TABLE_4, false, "alternating", SHOWN_BOTH, "Alternating", NULL, {84.20, 62.96, 77.44, 63.58, 88.40}},
    {TABLE_4,
     false,
     "alternating",
     SHOWN_GLOBAL,
     "Alternating, only Global",
     NULL,
     {84.10, 62.78, 76.01, 59.42, 87.30}},
    {TABLE_4, false, "alternating", SHOWN_LOCAL, "Alternating, only Local", NULL, {82.10, 53.21, 76.23, 62.45, 85.60}},

    CONTROL("e2e_samples", "E2E, samples of Stages I+II"),
    CONTROL("e2e_flops", "E2E, FLOPs of Stages I+II"),
    CONTROL("e2e_mix", "E2E, views mixed"),
    CONTROL("e2e_rate", "E2E, own learning rate"),
    CONTROL("unfrozen", "Stage II, adapter unfrozen"),
    CONTROL("periodic", "Alternating, repeated"),
    CONTROL("reversed", "Alternating, reversed"),
    CONTROL("local_only", "Stage II without Stage I"),
    CONTROL("paper_preset", "Alternating, switches of the paper"),
    CONTROL("released_preset", "Alternating as released"),
    {TABLE_4, true, "text_only", SHOWN_BOTH, "Text only", "alternating", NONE},

    {TABLE_FIGURE_1, false, "baseline", SHOWN_BOTH, "LLaVA", "alternating", {84.20, 61.94, 74.30, 58.94, 87.70}},
    {TABLE_FIGURE_1, false, "qformer", SHOWN_BOTH, "qformer", "alternating", NONE},
    {TABLE_FIGURE_1, false, "qformer_alt", SHOWN_BOTH, "qformer w. alt", "alternating", NONE},
    {TABLE_FIGURE_1, false, "e2e", SHOWN_BOTH, "Local", "alternating", {82.90, 61.90, 74.12, 59.69, 86.00}},
    {TABLE_FIGURE_1, false, "alternating", SHOWN_BOTH, "Local w. alt", NULL, {84.20, 62.96, 77.44, 63.58, 88.40}},
};
const size_t ablation_row_count = sizeof ablation_rows / sizeof *ablation_rows;

/* The first line with that id; ablation_row_count if none has it. */
static size_t first_line(const char *id) {
  size_t i = 0;
  while (i < ablation_row_count && strcmp(ablation_rows[i].id, id) != 0)
    i++;
  return i;
}

const char *row_id(const char *id) {
  size_t first = first_line(id);
  return first < ablation_row_count ? ablation_rows[first].id : NULL;
}

const char *row_ids(void) {
  static char ids[512];
  size_t used = 0;
  if (ids[0])
    return ids;
  for (size_t i = 0; i < ablation_row_count && used < sizeof ids; i++)
    if (first_line(ablation_rows[i].id) == i)
      used += (size_t)snprintf(ids + used, sizeof ids - used, "%s%s", used ? "," : "", ablation_rows[i].id);
  return ids;
}

/* The paper has no script for LLaVA-HD, Monkey and E2E: what they are is ours. */
static const struct {
  const char *id, *what;
} meanings[] = {
    {"baseline", "an MLP on the global view, no tiles; Stages I and III"},
    {"global_moe", "the mixture of MLP and query former on the global view, no tiles; Stages I and III"},
    {"nq64", "Global MOE, and each tile compressed to 4 tokens of 36 (64 of 576), all kept; Stages I, II and III"},
    {"nq196", "the same with 16 tokens a tile (196 of 576 would be 12.25: the next square)"},
    {"nq144", "the same with 9 tokens a tile (144 of 576)"},
    {"gamma90", "N_q=144, and in Stage III and the exam the router keeps the best local tokens until they weigh 90 %"},
    {"gamma75", "the same with 75 %"},
    {"gamma50", "the same with 50 %"},
    {"smr", "Global MOE with the family reason among its training questions; no tiles, as the paper's numbers suggest"},
    {"final", "gamma=75% with the family reason among its training questions"},
    {"llava_hd",
     "the MLP on the global view and on all patches of the tiles, none compressed or left out; trained as E2E "
     "(our definition: no script is public)"},
    {"monkey", "query formers take the global view and each tile to 9 tokens of 36 (144 of 576); trained as E2E (our "
               "definition)"},
    {"e2e", "9 tokens a tile, 75 % kept; adapter and compression trained together on both views, in as many steps as "
            "Stage I or II alone, then Stage III (our definition)"},
    {"alternating",
     "9 tokens a tile, 75 % kept; Stage I the adapter on the global view, Stage II the compression on the "
     "tiles, Stage III all and the decoder on both"},
    {"qformer", "a query former and the MLP behind it on the global view, no tiles, trained together in Stage I"},
    {"qformer_alt", "the same in turn: the MLP alone on all patches, then the query former with the MLP frozen"},
    {"e2e_samples", "E2E with as many samples before Stage III as Stages I and II have together"},
    {"e2e_flops", "E2E with as many operations before Stage III as Stages I and II have together"},
    {"e2e_mix", "E2E, but each batch before Stage III shows the global view, the tiles or both, at random"},
    {"e2e_rate", "E2E at the learning rate before Stage III that was best for it on validation scenes"},
    {"unfrozen", "Alternating, but Stage II trains the adapter as well"},
    {"periodic", "Alternating, but Stages I and II take turns of 25 steps, over and over"},
    {"reversed", "the compression and the MLP behind it on the tiles first, then the rest of the adapter on the global "
                 "view, the MLP frozen; then Stage III"},
    {"local_only", "adapter and compression trained together on the tiles alone, then Stage III"},
    {"paper_preset", "Alternating with the switches of the paper, not those of the released code (router, slicing, "
                     "noise, separator)"},
    {"released_preset",
     "Alternating as in the released scripts: Stage I in two runs, the MLP and then the query former with "
     "the MLP frozen, and 95 % of the local tokens' weight kept"},
    {"text_only", "no picture at all: Stage III of the decoder alone, on what questions of all families give away"},
};

const char *row_what(const char *id) {
  for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
    if (strcmp(meanings[i].id, id) == 0)
      return meanings[i].what;
  return NULL;
}

bool row_shows_seeds(const Row *row) {
  return row->views != SHOWN_BOTH;
}

const char *const views_names[SHOWN_WAYS + 1] = {"both", "global", "local", NULL};
const char *const family_names[ROW_FAMILIES + 1] = {"exist", "relate", "reason", "read", "probe", NULL};
const char *const family_benchmarks[ROW_FAMILIES + 1] = {"POPE", "GQA", "SQA", "VQA-T", "AMBER", NULL};

/* relate: one of six colours or of five shapes; reason: one of four choices; read: one of ten letters. */
const double family_chance[ROW_FAMILIES] = {NAN, 100 * (1 / 6.0 + 1 / 5.0) / 2, 25, 10, NAN};

bool family_is_f1(RowFamily family) {
  return family == ROW_EXIST || family == ROW_PROBE;
}
