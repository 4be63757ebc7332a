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
 * the one above it, table 4 with alternating training. Figure 1's numbers are not printed in the paper: where a bar is
 * a row of table 4 it has that row's. */
const Row ablation_rows[] = {
    {TABLE_3, false, "baseline", SHOWN_BOTH, "Baseline", NULL, {83.80, 61.94, 74.30, 58.94, 87.70}},
    {TABLE_3, false, "global_moe", SHOWN_BOTH, "Global MOE", "baseline", {84.10, 62.58, 77.00, 60.57, 88.70}},
    {TABLE_3, false, "nq64", SHOWN_BOTH, "N_q=64", "global_moe", {83.80, 62.91, 76.15, 63.09, 87.60}},
    {TABLE_3, false, "nq196", SHOWN_BOTH, "N_q=196", "nq64", {84.00, 62.51, 75.56, 62.48, 87.40}},
    {TABLE_3, false, "nq144", SHOWN_BOTH, "N_q=144", "nq196", {84.20, 62.96, 77.09, 63.58, 88.20}},
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

bool row_shows_seeds(const Row *row) {
  return row->views == SHOWN_LOCAL && strncmp(row->id, "e2e", 3) == 0;
}

const char *const views_names[SHOWN_WAYS + 1] = {"both", "global", "local", NULL};
const char *const family_names[ROW_FAMILIES + 1] = {"exist", "relate", "reason", "read", "probe", NULL};
const char *const family_benchmarks[ROW_FAMILIES + 1] = {"POPE", "GQA", "SQA", "VQA-T", "AMBER", NULL};

bool family_is_f1(RowFamily family) {
  return family == ROW_EXIST || family == ROW_PROBE;
}
