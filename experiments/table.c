/* table.c: `seesaw table`: the ablation's results beside the paper's. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "output.h"
#include "sheet.h"
#include "summary.h"

enum { SEEDS_ENOUGH = 5, CELL_ROOM = 48 };

static const char *const TITLES[TABLE_COUNT] = {
    "Table 3: global MOE, tokens of the compression layer, the router's gamma, training data",
    "Table 4: treatments of global and local features, and training strategies",
    "Figure 1: what alternating training is worth",
};

/* A line of the table, with its difference from another row. */
typedef struct Line {
  Summary summary;
  const char *against; /* id; NULL: of none */
  Difference difference;
  double ratio_paper; /* of the paper's numbers, as Difference.ratio */
} Line;

typedef struct Table {
  PaperTable which;
  Answers answers;
  Costs costs;
  Bootstrap bootstrap;
  Line *lines;
  size_t count;
  SheetFormat format;
} Table;

/* ---- reading and computing ---- */

static Status read_file(const char *folder, const char *name, Status (*read)(const char *path, Table *table),
                        Table *table) {
  char *path = path_join(folder, name);
  if (!path)
    return status_error(STATUS_MEMORY, "not enough memory for the name of %s", name);
  Status status = read(path, table);
  free(path);
  return status;
}

static Status read_answers(const char *path, Table *table) {
  return answers_read(path, &table->answers);
}

static Status read_costs(const char *path, Table *table) {
  return costs_read(path, &table->costs);
}

/* The paper's numbers as the mean over families of row / reference, where the reference is a line of the same table. */
static double paper_ratio(const Row *row, const char *against) {
  double ratio = NAN;
  for (size_t i = 0; i < ablation_row_count; i++) {
    const Row *reference = &ablation_rows[i];
    if (reference->table != row->table || reference->views != row->views || strcmp(reference->id, against) != 0)
      continue;
    ratio = 0;
    for (int family = 0; family < ROW_FAMILIES; family++)
      ratio += row->paper[family] / reference->paper[family] / ROW_FAMILIES;
  }
  return ratio;
}

static Status make_line(Table *table, const Row *row, const char *against, Line *line) {
  const char *reference = against ? against : row->against;
  line->against = reference && strcmp(reference, row->id) != 0 ? reference : NULL;
  TRY(summary_make(row, &table->answers, &table->costs, &table->bootstrap, &line->summary));
  const char *base = line->against ? line->against : row->id;
  line->ratio_paper = paper_ratio(row, base);
  return difference_make(row, base, &table->answers, &table->bootstrap, &line->difference);
}

static Status make_lines(Table *table, const char *against) {
  table->lines = calloc(ablation_row_count, sizeof *table->lines);
  if (!table->lines)
    return status_error(STATUS_MEMORY, "not enough memory for the table's lines");
  for (size_t i = 0; i < ablation_row_count; i++) {
    if (ablation_rows[i].table != table->which)
      continue;
    TRY(interrupt_check());
    TRY(make_line(table, &ablation_rows[i], against, &table->lines[table->count++]));
  }
  return status_ok();
}

/* ---- what is said above the table ---- */

/* What few seeds are worth was measured: statistics.h. */
static void note_seeds(const Table *table) {
  size_t least = SIZE_MAX, most = 0;
  char text[300], few[32];
  for (size_t i = 0; i < table->count; i++) {
    size_t seeds = table->lines[i].summary.seeds;
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
    if (summary->row->control != control)
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

static const char *name_of(const Table *table, const char *id, Shown views) {
  for (size_t i = 0; i < table->count; i++) {
    const Row *row = table->lines[i].summary.row;
    if (row->views == views && strcmp(row->id, id) == 0)
      return row->name;
  }
  return id;
}

static void difference_cells(Sheet *sheet, const Table *table, const Line *line) {
  const Row *row = line->summary.row;
  const Difference *difference = &line->difference;
  char text[CELL_ROOM];
  for (int family = 0; family < (difference->seeds ? ROW_FAMILIES : 1); family++) {
    sheet_cell(sheet, "%s", row->name);
    sheet_cell(sheet, "%s", name_of(table, line->against, row->views));
    sheet_cell(sheet, "%zu", difference->seeds);
    sheet_cell(sheet, "%s", difference->seeds ? family_names[family] : "all");
    sheet_cell(sheet, "%s", signed_text(difference->mean[family], text));
    sheet_cell(sheet, "%s", interval_text(difference->interval[family], 2, text));
    sheet_cell(sheet, "%s", interval_verdict(difference->interval[family], difference->seeds));
  }
}

static Status print_differences(const Table *table) {
  static const char *const names[] = {"row", "against", "seeds", "family", "difference", "95 % interval", "verdict"};
  Sheet sheet;
  sheet_begin(&sheet, "llrlrrl");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    sheet_cell(&sheet, "%s", names[i]);
  for (size_t i = 0; i < table->count; i++)
    if (table->lines[i].against)
      difference_cells(&sheet, table, &table->lines[i]);
  return sheet_print(
      &sheet, table->format,
      "Paired differences over the seeds that both rows have, with bootstrap intervals; each for itself: "
      "of twenty rows alike, up to one seems to differ",
      stdout);
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

/* Every seed's value, of all rows or of those whose mean says nothing. */
static Status print_seeds(const Table *table, bool all) {
  Sheet sheet;
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

static bool any(const Table *table, bool (*holds)(const Row *row)) {
  for (size_t i = 0; i < table->count; i++)
    if (holds(table->lines[i].summary.row))
      return true;
  return false;
}

static bool is_control(const Row *row) {
  return row->control;
}

static Status print_table(const Table *table, bool all_seeds) {
  sheet_note(table->format, TITLES[table->which], stdout);
  sheet_note(table->format,
             "In percent: F1 of 'yes' for exist, F1 of 'no' for probe, accuracy for the others; mean over seeds ± "
             "standard deviation, beside it the paper's number.",
             stdout);
  note_seeds(table);
  note_lacking(table);
  TRY(print_values(table, false, "The paper's rows"));
  if (any(table, is_control))
    TRY(print_values(table, true, "Controls, which the paper lacks"));
  if (table->which == TABLE_FIGURE_1)
    TRY(print_ratios(table));
  TRY(print_differences(table));
  return all_seeds || any(table, row_shows_seeds) ? print_seeds(table, all_seeds) : status_ok();
}

/* ---- the CSV files ---- */

#define FAMILY_COLUMNS(f) "," f "_mean," f "_sd," f "_low," f "_high," f "_paper"
#define VALUE_COLUMNS                                                                                                  \
  "id,views,name,seeds" FAMILY_COLUMNS("exist") FAMILY_COLUMNS("relate") FAMILY_COLUMNS("reason")                      \
      FAMILY_COLUMNS("read") FAMILY_COLUMNS("probe") ",samples,tflop,image_tokens"
#define RATIO_COLUMNS ",ratio,ratio_low,ratio_high,ratio_paper"
#define DIFFERENCE_COLUMNS "id,views,name,against,seeds,family,difference,low,high,verdict"

static void write_line(const Line *line, bool ratios, CsvWriter *csv) {
  const Summary *summary = &line->summary;
  csv_text(csv, summary->row->id);
  csv_text(csv, views_names[summary->row->views]);
  csv_text(csv, summary->row->name);
  csv_integer(csv, (int64_t)summary->seeds);
  for (int family = 0; family < ROW_FAMILIES; family++) {
    csv_real(csv, summary->mean[family]);
    csv_real(csv, summary->spread[family]);
    csv_real(csv, summary->interval[family].low);
    csv_real(csv, summary->interval[family].high);
    csv_real(csv, summary->row->paper[family]);
  }
  csv_real(csv, summary->samples);
  csv_real(csv, summary->tflop);
  csv_real(csv, summary->image_tokens);
  if (ratios) {
    csv_real(csv, line->difference.ratio);
    csv_real(csv, line->difference.ratio_interval.low);
    csv_real(csv, line->difference.ratio_interval.high);
    csv_real(csv, line->ratio_paper);
  }
  csv_end(csv);
}

static Status write_values(const void *plan, CsvWriter *csv) {
  const Table *table = plan;
  for (size_t i = 0; i < table->count; i++)
    write_line(&table->lines[i], table->which == TABLE_FIGURE_1, csv);
  return status_ok();
}

static Status write_differences(const void *plan, CsvWriter *csv) {
  const Table *table = plan;
  for (size_t i = 0; i < table->count; i++) {
    const Line *line = &table->lines[i];
    const Row *row = line->summary.row;
    for (int family = 0; line->against && family < ROW_FAMILIES; family++) {
      csv_text(csv, row->id);
      csv_text(csv, views_names[row->views]);
      csv_text(csv, row->name);
      csv_text(csv, line->against);
      csv_integer(csv, (int64_t)line->difference.seeds);
      csv_text(csv, family_names[family]);
      csv_real(csv, line->difference.mean[family]);
      csv_real(csv, line->difference.interval[family].low);
      csv_real(csv, line->difference.interval[family].high);
      csv_text(csv, interval_verdict(line->difference.interval[family], line->difference.seeds));
      csv_end(csv);
    }
  }
  return status_ok();
}

/* ---- the command ---- */

typedef struct Settings {
  const char *results, *format, *csv, *differences, *against;
  bool all_seeds;
  int64_t draws, seed;
} Settings;

static Status find_table(const char *const *operands, size_t count, PaperTable *which) {
  static const char *const names[TABLE_COUNT] = {"3", "4", "figure1"};
  if (count != 1)
    return status_error(STATUS_USAGE, "which table? One of 3, 4 and figure1");
  for (int i = 0; i < TABLE_COUNT; i++)
    if (strcmp(operands[0], names[i]) == 0) {
      *which = (PaperTable)i;
      return status_ok();
    }
  return status_error(STATUS_USAGE, "there is no table '%.40s'; there are 3, 4 and figure1", operands[0]);
}

static Status find_reference(const char *id) {
  char nearest[64];
  if (!*id || row_id(id))
    return status_ok();
  if (options_nearest(id, row_ids(), nearest, sizeof nearest))
    return status_error(STATUS_USAGE, "--against: there is no row '%.40s'; did you mean '%s'?", id, nearest);
  return status_error(STATUS_USAGE, "--against: there is no row '%.40s'; there are %s", id, row_ids());
}

static Status make_table(const Settings *settings, const Command *command, Table *table) {
  uint64_t seed = (uint64_t)settings->seed;
  table->format = sheet_format(settings->format);
  TRY(read_file(settings->results, "answers.csv", read_answers, table));
  TRY(read_file(settings->results, "costs.csv", read_costs, table));
  TRY(bootstrap_alloc(&table->bootstrap, (size_t)settings->draws, (unsigned long)seed));
  TRY(make_lines(table, *settings->against ? settings->against : NULL));
  if (strcmp(settings->csv, "-") != 0 && strcmp(settings->differences, "-") != 0)
    TRY(print_table(table, settings->all_seeds));
  if (*settings->csv) {
    bool ratios = table->which == TABLE_FIGURE_1;
    TRY(csv_produce(settings->csv, ratios ? VALUE_COLUMNS RATIO_COLUMNS : VALUE_COLUMNS, write_values, table, command,
                    seed));
  }
  if (*settings->differences)
    TRY(csv_produce(settings->differences, DIFFERENCE_COLUMNS, write_differences, table, command, seed));
  return status_ok();
}

static void free_table(Table *table) {
  answers_free(&table->answers);
  costs_free(&table->costs);
  bootstrap_free(&table->bootstrap);
  free(table->lines);
}

static const char DESCRIPTION[] =
    "Prints a table of the ablation from answers.csv and costs.csv, ours beside the paper's: means and standard "
    "deviations over seeds, and each row's difference from another one, with 95 % intervals. The intervals are "
    "bootstrap percentiles over seeds and blocks of test pictures, stretched as few of them require; both rows are "
    "compared on the same seeds and blocks. A row without results is printed as missing. 'better' and 'worse' stand "
    "only where an interval "
    "excludes zero.\n\nTables:\n"
    "  3            global adapter, N_q, gamma, data; each row against the one above it\n"
    "  4            treatments and training strategies, and controls; each row against Alternating with the same "
    "views\n"
    "  figure1      what alternating training is worth, with and without local features\n\n"
    "Samples and TFLOP are of a row's whole training, tokens those of the picture in its last phase.";

Status command_table(int argc, char **argv, Ranks ranks) {
  Settings settings = {"results/ablation", "text", "", "", "", false, 10000, 1};
  const char *operands[2];
  size_t count = 0;
  bool done = false;
  Table table = {0};
  const Option options[] = {
      {"results", OPTION_TEXT, &settings.results, "DIR", .help = "folder of the result files"},
      {"format", OPTION_CHOICE, &settings.format, "FORMAT", .help = "how to print it", .choices = SHEET_FORMATS},
      {"csv", OPTION_TEXT, &settings.csv, "FILE",
       .help = "write the rows there as well, for `seesaw plot`; - instead: standard output"},
      {"differences", OPTION_TEXT, &settings.differences, "FILE", .help = "the same for the differences"},
      {"against", OPTION_TEXT, &settings.against, "ROW", .help = "the id of the row that all are compared with"},
      {"seeds-shown", OPTION_FLAG, &settings.all_seeds, .help = "print every seed's values, of all rows"},
      {"resamples", OPTION_INTEGER, &settings.draws, "N", .help = "resamples of the bootstrap", .low = 100,
       .high = 1e6},
      {"seed", OPTION_INTEGER, &settings.seed, "S", .help = "seed of the resamples", .low = 0, .high = 4294967295.0},
      {0},
  };
  const Command command = {.name = "table",
                           .summary = "the ablation's tables, ours beside the paper's",
                           .operands = "3|4|figure1",
                           .description = DESCRIPTION,
                           .examples = "seesaw table 4\n"
                                       "seesaw table 3 --against baseline --seeds-shown\n"
                                       "seesaw table 4 --format latex --csv results/ablation/table4.csv",
                           .options = options};
  TRY(options_parse(&command, argc, argv, operands, 2, &count, &done));
  if (done)
    return status_ok();
  TRY(find_table(operands, count, &table.which));
  TRY(find_reference(settings.against));
  if (ranks.rank != 0)
    return status_ok();
  Status status = make_table(&settings, &command, &table);
  free_table(&table);
  return status;
}
