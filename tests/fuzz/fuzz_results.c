/* fuzz_results.c: any bytes as answers.csv and as costs.csv: counts that fit each other, or an input error. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_run(const ModelRun *run) {
  REQUIRE(row_id(run->id) != NULL, "%s", run->id);
  for (int family = 0; family < ROW_FAMILIES; family++)
    for (int block = 0; block < BLOCK_COUNT; block++) {
      const Counts *counts = &run->counts[family][block];
      double value = counts_value(counts, family_is_f1((RowFamily)family));
      REQUIRE(counts->items > 0 && (isnan(value) || (value >= 0 && value <= 100)), "a value of %g", value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Answers answers;
  Costs costs;
  Status status = answers_parse("fuzz", data, size, &answers);
  REQUIRE(status.code == STATUS_OK || (status.code == STATUS_INPUT && answers.runs == NULL), "%s", status.message);
  for (size_t i = 0; i < answers.count; i++)
    check_run(&answers.runs[i]);
  answers_free(&answers);
  status = costs_parse("fuzz", data, size, &costs);
  REQUIRE(status.code == STATUS_OK || (status.code == STATUS_INPUT && costs.runs == NULL), "%s", status.message);
  for (size_t i = 0; i < costs.count; i++)
    REQUIRE(costs.runs[i].samples >= 0 && costs.runs[i].tflop >= 0, "a cost below zero");
  costs_free(&costs);
  return 0;
}
