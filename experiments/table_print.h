/* table_print.h: a table of the ablation as `seesaw table` has computed it, and how it is printed. */
#ifndef SEESAW_TABLE_PRINT_H
#define SEESAW_TABLE_PRINT_H

#include "sheet.h"
#include "summary.h"

/* A line of the table, with its differences from another row and from the same row elsewhere. */
typedef struct Line {
  Summary summary;
  const char *against; /* id; NULL: of none */
  Difference difference;
  Difference versus;  /* if the table is compared with another folder */
  double ratio_paper; /* of the paper's numbers, as Difference.ratio */
} Line;

typedef struct Table {
  PaperTable which;
  const char *versus;      /* the folder that it is compared with; "": none */
  Answers answers, others; /* others: of that folder */
  Costs costs;
  Bootstrap bootstrap;
  Line *lines;
  size_t count;
  SheetFormat format;
} Table;

/* table_difference: what the table says about a line: its difference from the same row of the other folder, if there is
 * one, else from the row that it is compared with. *from: the name of that folder, or the id of that row, or NULL if it
 * is compared with none. */
const Difference *table_difference(const Table *table, const Line *line, const char **from);

/* table_print: all of it, to standard output; with every seed's values, or those of rows whose mean says nothing.
 * Errors: STATUS_MEMORY. */
Status table_print(const Table *table, bool all_seeds);

#endif
