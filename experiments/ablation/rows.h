/* rows.h: the rows of the ablation: their ids in result files, their names in the paper, the paper's numbers.
 *
 * One array is all there is to know about them: the runner trains and tests what it lists, the tables print it. */
#ifndef SEESAW_ROWS_H
#define SEESAW_ROWS_H

#include <stdbool.h>
#include <stddef.h>

enum { SEEDS_MOST = 100 }; /* of a row */

/* Which views of a picture the model was shown at test time. */
typedef enum { SHOWN_BOTH, SHOWN_GLOBAL, SHOWN_LOCAL, SHOWN_WAYS } Shown;

/* Families of questions, in the order of the paper's POPE, GQA, SQA, VQA-T and AMBER. */
typedef enum { ROW_EXIST, ROW_RELATE, ROW_REASON, ROW_READ, ROW_PROBE, ROW_FAMILIES } RowFamily;

typedef enum { TABLE_3, TABLE_4, TABLE_FIGURE_1, TABLE_COUNT } PaperTable;

/* A line of a table: a model row shown some views. */
typedef struct Row {
  PaperTable table;
  bool control;        /* not in the paper: printed under its table, in a section of its own */
  const char *id;      /* "e2e": of the model row, in result files */
  Shown views;         /* at test time; a row that never sees a picture: both */
  const char *name;    /* "E2E, only Local" */
  const char *against; /* the id of the row that differences are taken from, with the same views; NULL: of none */
  double paper[ROW_FAMILIES]; /* NaN: the paper has no number */
} Row;

extern const Row ablation_rows[];
extern const size_t ablation_row_count;

/* row_id: the table's own copy of an id, good as long as the program; NULL if no row has it. */
const char *row_id(const char *id);

/* row_ids: "baseline,global_moe,..." for help and messages. */
const char *row_ids(void);

/* row_what: what the row of that id is here, in a few words, as recipe.c and its scheme have it; NULL if no row has it.
 */
const char *row_what(const char *id);

/* row_shows_seeds: lines whose every seed is printed always: tested with tokens of one kind alone a model may collapse
 * with one seed and not with another, and a mean of the two says nothing. */
bool row_shows_seeds(const Row *row);

/* Words of the result files, and the paper's benchmark of a family; each ends with NULL. */
extern const char *const views_names[SHOWN_WAYS + 1];
extern const char *const family_names[ROW_FAMILIES + 1];
extern const char *const family_benchmarks[ROW_FAMILIES + 1];

/* family_chance: accuracy, in percent, of a guess among the answers that a question leaves open (scenes/questions.h);
 * NaN of a family whose value is F1, which depends on how many answers are positive. */
extern const double family_chance[ROW_FAMILIES];

/* family_is_f1: its value is F1, of 'yes' for exist as in POPE, of 'no' for probe as in AMBER; accuracy otherwise. */
bool family_is_f1(RowFamily family);

#endif
