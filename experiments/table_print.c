/* table_print.c: a table of the ablation as sheets, with what is to be known about them. */
#include "table_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_ENOUGH = 5, CELL_ROOM = 48 };

static const char *const TITLES[TABLE_COUNT] = {
    "Table 3: global MOE, tokens of the compression layer, the router's gamma, training data",
    "Table 4: treatments of global and local features, and training strategies",
    "Figure 1: what alternating training is worth",
};

/* ---- what is said above the table ---- */

/* What few seeds are worth was measured: statistics.h. */
static void note_seeds(const Table *table) {
  size_t least = SIZE_MAX, most = 0;
  char text[300], few[32];
  for (size_t i = 0; i < table->count; i++) {
    const Line *line = &table->lines[i];
    size_t seeds = *table->versus ? line->versus.seeds : line->summary.seeds;
    least = seeds > 0 && seeds < least ? seeds : least;
    most = seeds > most ? seeds : most;
  }
  if (most == 0)
    sheet_note(table->format, "No row of this table has results yet.", stdout);
  if (most == 0 || least >= SEEDS_ENOUGH)
    return;
  snprintf(few, sizeof few, least == most ? "%zu" : "%zu to %zu", least, most);
  snprintf(text, sizeof text,
           "Fewer than five seeds (%s a row): spreads are rough; intervals are wide, and where seeds are what varies, "
           "hold the truth in 90 %% of cases with two seeds and in 94 %% with three, not in 95.",
           few);
  sheet_note(table->format, text, stdout);
}

static bool has_seed(const Summary *summary, int64_t seed) {
  for (size_t i = 0; i < summary->seeds; i++)
    if (summary->runs[i]->seed == seed)
      return true;
  return false;
}

/* Which seeds a row lacks that another row of the table has. Rows without any are missing as a whole. */
static void note_lacking(const Table *table) {
  for (size_t i = 0; i < table->count; i++) {
    const Summary *summary = &table->lines[i].summary;
    int64_t last = -1;
    for (size_t j = 0; summary->seeds > 0 && j < table->answers.count; j++) { /* by seed */
      int64_t seed = table->answers.runs[j].seed;
      bool elsewhere = false;
      for (size_t k = 0; k < table->count; k++)
        elsewhere = elsewhere || has_seed(&table->lines[k].summary, seed);
      if (seed == last || !elsewhere || has_seed(summary, seed))
        continue;
      char text[160];
      last = seed;
      snprintf(text, sizeof text, "%s has no results for seed %" PRId64 ", which other rows have.", summary->row->name,
               seed);
      sheet_note(table->format, text, stdout);
    }
  }
}

/* Controls have no place in the paper's table that would stay empty: those without results are left out. */
static bool is_shown(const Line *line) {
  return !line->summary.row->control || line->summary.seeds > 0;
}

/* Rows that only one of two folders has. */
static void note_alone(const Table *table) {
  char text[2048];
  int length = snprintf(text, sizeof text, "Not compared with %.200s, for no seed is in both:", table->versus);
  bool some = false;
  for (size_t i = 0; i < table->count; i++) {
    const Line *line = &table->lines[i];
    bool alone = is_shown(line) && line->versus.seeds == 0;
    if (alone && (size_t)length < sizeof text)
      length +=
          snprintf(text + length, sizeof text - (size_t)length, "%s %s", some ? ";" : "", line->summary.row->name);
    some = some || alone;
  }
  if (some)
    sheet_note(table->format, text, stdout);
}

static void note_left_out(const Table *table) {
  size_t count = 0;
  char text[160];
  for (size_t i = 0; i < table->count; i++)
    count += !is_shown(&table->lines[i]);
  snprintf(text, sizeof text,
           "%zu lines of controls without results are left out; `seesaw ablate controls` makes them.", count);
  if (count > 0)
    sheet_note(table->format, text, stdout);
}

/* ---- the sheets ---- */

/* The value with `decimals`, or "-" if there is none. */
static const char *real_text(double value, int decimals, char text[CELL_ROOM]) {
  snprintf(text, CELL_ROOM, isnan(value) ? "-" : "%.*f", decimals, value);
  return text;
}

static const char *signed_text(double value, char text[CELL_ROOM]) {
  snprintf(text, CELL_ROOM, isnan(value) ? "-" : "%+.2f", value);
  return text;
}

static const char *interval_text(Interval interval, int decimals, char text[CELL_ROOM]) {
  snprintf(text, CELL_ROOM, isnan(interval.low) ? "-" : "[%.*f, %.*f]", decimals, interval.low, decimals,
           interval.high);
  return text;
}

static const char *ours_text(const Summary *summary, int family, char text[CELL_ROOM]) {
  if (summary->seeds == 0)
    snprintf(text, CELL_ROOM, "missing");
  else if (summary->seeds == 1)
    snprintf(text, CELL_ROOM, "%.2f", summary->mean[family]);
  else
    snprintf(text, CELL_ROOM, "%.2f ± %.2f", summary->mean[family], summary->spread[family]);
  return text;
}

static void value_header(Sheet *sheet, bool control) {
  sheet_begin(sheet, control ? "lrrrrrrrrr" : "lrrrrrrrrrrrrrr");
  sheet_cell(sheet, "row");
  sheet_cell(sheet, "seeds");
  for (int family = 0; family < ROW_FAMILIES; family++) {
    sheet_cell(sheet, "%s", family_names[family]);
    if (!control)
      sheet_cell(sheet, "%s", family_benchmarks[family]);
  }
  sheet_cell(sheet, "samples");
  sheet_cell(sheet, "TFLOP");
  sheet_cell(sheet, "tokens");
}

/* The paper's rows, each number beside the paper's, or the controls. */
static Status print_values(const Table *table, bool control, const char *title) {
  Sheet sheet;
  char text[CELL_ROOM];
  value_header(&sheet, control);
  for (size_t i = 0; i < table->count; i++) {
    const Summary *summary = &table->lines[i].summary;
    if (summary->row->control != control || !is_shown(&table->lines[i]))
      continue;
    sheet_cell(&sheet, "%s", summary->row->name);
    sheet_cell(&sheet, "%zu", summary->seeds);
    for (int family = 0; family < ROW_FAMILIES; family++) {
      sheet_cell(&sheet, "%s", ours_text(summary, family, text));
      if (!control)
        sheet_cell(&sheet, "%s", real_text(summary->row->paper[family], 2, text));
    }
    sheet_cell(&sheet, "%s", real_text(summary->samples, 0, text));
    sheet_cell(&sheet, "%s", real_text(summary->tflop, 2, text));
    sheet_cell(&sheet, "%s", real_text(summary->image_tokens, 1, text));
  }
  return sheet_print(&sheet, table->format, title, stdout);
}

/* ---- what is said under it ---- */

/* F1 of who always gives the positive answer, over all answers that were read. */
static double constant_f1(const Answers *answers, int family) {
  Counts sum = {0};
  for (size_t i = 0; i < answers->count; i++)
    for (int block = 0; block < BLOCK_COUNT; block++) {
      const Counts *counts = &answers->runs[i].counts[family][block];
      int64_t positive = counts->true_positive + counts->false_negative;
      sum.true_positive += positive;
      sum.false_positive += counts->items - positive;
    }
  return counts_value(&sum, true);
}

static void note_chance(const Table *table) {
  char text[300] = "By chance:", value[CELL_ROOM];
  for (int family = 0; family < ROW_FAMILIES; family++) {
    bool f1 = family_is_f1((RowFamily)family);
    double chance = f1 ? constant_f1(&table->answers, family) : family_chance[family];
    size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, "%s %s %s%s", family ? "," : "", family_names[family],
             real_text(chance, 2, value),
             !f1                   ? ""
             : family == ROW_EXIST ? " (always 'yes')"
                                   : " (always 'no')");
  }
  sheet_note(table->format, text, stdout);
}

/* What each row is; once for the views that it is tested with. */
static void note_meanings(const Table *table, bool control) {
  char text[300];
  for (size_t i = 0; i < table->count; i++) {
    const Row *row = table->lines[i].summary.row;
    if (row->control != control || row->views != SHOWN_BOTH || !is_shown(&table->lines[i]))
      continue;
    snprintf(text, sizeof text, "%s: %s.", row->name, row_what(row->id));
    sheet_note(table->format, text, stdout);
  }
  if (table->format == FORMAT_TEXT)
    putchar('\n');
}

/* ---- differences, ratios, seeds ---- */

static const char *name_of(const Table *table, const char *id, Shown views) {
  for (size_t i = 0; i < table->count; i++) {
    const Row *row = table->lines[i].summary.row;
    if (row->views == views && strcmp(row->id, id) == 0)
      return row->name;
  }
  return id;
}

static void difference_cells(Sheet *sheet, const Row *row, const char *from, const Difference *difference) {
  char text[CELL_ROOM];
  for (int family = 0; family < (difference->seeds ? ROW_FAMILIES : 1); family++) {
    sheet_cell(sheet, "%s", row->name);
    sheet_cell(sheet, "%s", from);
    sheet_cell(sheet, "%zu", difference->seeds);
    sheet_cell(sheet, "%s", difference->seeds ? family_names[family] : "all");
    sheet_cell(sheet, "%s", signed_text(difference->mean[family], text));
    sheet_cell(sheet, "%s", interval_text(difference->interval[family], 2, text));
    sheet_cell(sheet, "%s", interval_verdict(difference->interval[family], difference->seeds));
  }
}

static Status print_differences(const Table *table) {
  static const char *const names[] = {"row", "against", "seeds", "family", "difference", "95 % interval", "verdict"};
  char title[300];
  Sheet sheet;
  sheet_begin(&sheet, "llrlrrl");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    sheet_cell(&sheet, "%s", names[i]);
  for (size_t i = 0; i < table->count; i++) {
    const Line *line = &table->lines[i];
    const Row *row = line->summary.row;
    const char *from;
    const Difference *difference = table_difference(table, line, &from);
    if (*table->versus && difference->seeds > 0)
      difference_cells(&sheet, row, from, difference);
    else if (!*table->versus && from && is_shown(line))
      difference_cells(&sheet, row, name_of(table, from, row->views), difference);
  }
  snprintf(
      title, sizeof title,
      "Paired differences%s over the seeds that both %s have, with bootstrap intervals; each for itself: of twenty "
      "differences of nothing, one is expected to seem one",
      *table->versus ? " from the same rows of the other folder," : "", *table->versus ? "folders" : "rows");
  return sheet_print(&sheet, table->format, title, stdout);
}

static Status print_ratios(const Table *table) {
  Sheet sheet;
  char text[CELL_ROOM];
  sheet_begin(&sheet, "llrrrr");
  sheet_cell(&sheet, "row");
  sheet_cell(&sheet, "against");
  sheet_cell(&sheet, "seeds");
  sheet_cell(&sheet, "ratio");
  sheet_cell(&sheet, "95 %% interval");
  sheet_cell(&sheet, "paper");
  for (size_t i = 0; i < table->count; i++) {
    const Line *line = &table->lines[i];
    const Row *row = line->summary.row;
    sheet_cell(&sheet, "%s", row->name);
    sheet_cell(&sheet, "%s", line->against ? name_of(table, line->against, row->views) : row->name);
    sheet_cell(&sheet, "%zu", line->difference.seeds);
    sheet_cell(&sheet, "%s", line->difference.seeds ? real_text(line->difference.ratio, 4, text) : "missing");
    sheet_cell(&sheet, "%s", interval_text(line->difference.ratio_interval, 4, text));
    sheet_cell(&sheet, "%s", real_text(line->ratio_paper, 4, text));
  }
  return sheet_print(&sheet, table->format,
                     "Ratios, as means over the five families; the paper's from its table 4, where that has the row",
                     stdout);
}

/* Every seed's value, of all rows or of those whose mean says nothing, if there are any. */
static Status print_seeds(const Table *table, bool all) {
  Sheet sheet;
  size_t shown = 0;
  for (size_t i = 0; i < table->count; i++)
    shown += all || row_shows_seeds(table->lines[i].summary.row) ? table->lines[i].summary.seeds : 0;
  if (shown == 0)
    return status_ok();
  char text[CELL_ROOM];
  sheet_begin(&sheet, "lrrrrrr");
  sheet_cell(&sheet, "row");
  sheet_cell(&sheet, "seed");
  for (int family = 0; family < ROW_FAMILIES; family++)
    sheet_cell(&sheet, "%s", family_names[family]);
  for (size_t i = 0; i < table->count; i++) {
    const Summary *summary = &table->lines[i].summary;
    for (size_t j = 0; (all || row_shows_seeds(summary->row)) && j < summary->seeds; j++) {
      sheet_cell(&sheet, "%s", summary->row->name);
      sheet_cell(&sheet, "%" PRId64, summary->runs[j]->seed);
      for (int family = 0; family < ROW_FAMILIES; family++)
        sheet_cell(&sheet, "%s", real_text(run_value(summary->runs[j], (RowFamily)family), 2, text));
    }
  }
  return sheet_print(&sheet, table->format, "Every seed", stdout);
}

static bool any(const Table *table, bool (*holds)(const Line *line)) {
  for (size_t i = 0; i < table->count; i++)
    if (holds(&table->lines[i]))
      return true;
  return false;
}

static bool is_shown_control(const Line *line) {
  return line->summary.row->control && is_shown(line);
}

static bool shows_seeds(const Line *line) {
  return row_shows_seeds(line->summary.row);
}

Status table_print(const Table *table, bool all_seeds) {
  sheet_note(table->format, TITLES[table->which], stdout);
  sheet_note(table->format,
             "In percent: F1 of 'yes' for exist, F1 of 'no' for probe, accuracy for the others; mean over seeds ± "
             "standard deviation, beside it the paper's number.",
             stdout);
  note_seeds(table);
  note_lacking(table);
  note_left_out(table);
  if (*table->versus)
    note_alone(table);
  TRY(print_values(table, false, "The paper's rows"));
  note_chance(table);
  note_meanings(table, false);
  if (any(table, is_shown_control)) {
    TRY(print_values(table, true, "Controls, which the paper lacks"));
    note_meanings(table, true);
  }
  if (table->which == TABLE_FIGURE_1)
    TRY(print_ratios(table));
  TRY(print_differences(table));
  return all_seeds || any(table, shows_seeds) ? print_seeds(table, all_seeds) : status_ok();
}
