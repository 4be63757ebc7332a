/* table.c: `seesaw table`: the ablation's results beside the paper's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "output.h"
#include "table_print.h"

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

static Status read_others(const char *path, Table *table) {
  return answers_read(path, &table->others);
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
  if (*table->versus)
    TRY(difference_make(row, &table->answers, row->id, &table->others, &table->bootstrap, &line->versus));
  return difference_make(row, &table->answers, base, &table->answers, &table->bootstrap, &line->difference);
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

const Difference *table_difference(const Table *table, const Line *line, const char **from) {
  *from = *table->versus ? table->versus : line->against;
  return *table->versus ? &line->versus : &line->difference;
}

/* Is there anything to compare? */
static Status check_versus(const Table *table, const char *results) {
  bool some = !*table->versus;
  for (size_t i = 0; i < table->count; i++)
    some = some || table->lines[i].versus.seeds > 0;
  if (some)
    return status_ok();
  return status_error(STATUS_INPUT, "%s and %s have no row of this table in common, trained with the same seed",
                      results, table->versus);
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
    const char *from;
    const Difference *difference = table_difference(table, line, &from);
    for (int family = 0; from && family < ROW_FAMILIES; family++) {
      csv_text(csv, row->id);
      csv_text(csv, views_names[row->views]);
      csv_text(csv, row->name);
      csv_text(csv, from);
      csv_integer(csv, (int64_t)difference->seeds);
      csv_text(csv, family_names[family]);
      csv_real(csv, difference->mean[family]);
      csv_real(csv, difference->interval[family].low);
      csv_real(csv, difference->interval[family].high);
      csv_text(csv, interval_verdict(difference->interval[family], difference->seeds));
      csv_end(csv);
    }
  }
  return status_ok();
}

/* ---- the command ---- */

typedef struct Settings {
  const char *results, *format, *csv, *differences, *against, *versus;
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
  table->versus = settings->versus;
  TRY(read_file(settings->results, "answers.csv", read_answers, table));
  TRY(read_file(settings->results, "costs.csv", read_costs, table));
  if (*table->versus) {
    TRY(read_file(table->versus, "answers.csv", read_others, table));
    TRY(answers_compare(&table->answers, settings->results, &table->others, table->versus));
  }
  TRY(bootstrap_alloc(&table->bootstrap, (size_t)settings->draws, (unsigned long)seed));
  TRY(make_lines(table, *settings->against ? settings->against : NULL));
  TRY(check_versus(table, settings->results));
  if (strcmp(settings->csv, "-") != 0 && strcmp(settings->differences, "-") != 0)
    TRY(table_print(table, settings->all_seeds));
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
  answers_free(&table->others);
  costs_free(&table->costs);
  bootstrap_free(&table->bootstrap);
  free(table->lines);
}

static const char DESCRIPTION[] =
    "Prints a table of the ablation from answers.csv and costs.csv, ours beside the paper's: means and standard "
    "deviations over seeds, and each row's difference from another one, with 95 % intervals. The intervals are "
    "bootstrap percentiles over seeds and blocks of test pictures, stretched as few of them require; both rows are "
    "compared on the same seeds and blocks. A row without results is printed as missing. 'better' and 'worse' stand "
    "only where an interval excludes zero. With --versus each row is compared with the same row of another folder: of "
    "a "
    "changed scheme, say, with the same exam.\n\nTables:\n"
    "  3            global adapter, N_q, gamma, data; each row against the one that it changes\n"
    "  4            treatments and training strategies, and controls; each row against Alternating with the same "
    "views\n"
    "  figure1      what alternating training is worth, with and without local features\n\n"
    "Samples and TFLOP are of a row's whole training, tokens those of the picture in its last phase. Operations are "
    "those of products and attention, forward and backward, without the tower's, whose features are computed once.";

Status command_table(int argc, char **argv, Ranks ranks) {
  Settings settings = {.results = "results/ablation",
                       .format = "text",
                       .csv = "",
                       .differences = "",
                       .against = "",
                       .versus = "",
                       .draws = 10000,
                       .seed = 1};
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
      {"versus", OPTION_TEXT, &settings.versus, "DIR",
       .help = "compare each row with the same row of the result files there"},
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
                                       "seesaw table 4 --results results/mine --versus results/ablation\n"
                                       "seesaw table 4 --format latex --csv results/ablation/table4.csv",
                           .options = options};
  TRY(options_parse(&command, argc, argv, operands, 2, &count, &done));
  if (done)
    return status_ok();
  TRY(find_table(operands, count, &table.which));
  TRY(find_reference(settings.against));
  if (*settings.versus && *settings.against)
    return status_error(STATUS_USAGE,
                        "--versus compares each row with itself in another folder, --against with another "
                        "row; give one of them");
  if (ranks.rank != 0)
    return status_ok();
  Status status = make_table(&settings, &command, &table);
  free_table(&table);
  return status;
}
