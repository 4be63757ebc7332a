/* test_rows.c: what the ablation's runner trains and tests is what the tables print. */
#include <criterion/criterion.h>

#include "job.h"
#include "recipe.h"
#include "rows.h"

TestSuite(rows);

Test(rows, every_line_of_a_table_is_run) {
  for (size_t i = 0; i < ablation_row_count; i++) {
    const Row *row = &ablation_rows[i];
    const Recipe *recipe = recipe_find(row->id);
    size_t tested = 0;
    cr_assert_not_null(recipe, "%s", row->id);
    for (size_t j = 0; j < recipe->tested_count; j++)
      tested += strcmp(views_name(recipe->tested[j]), views_names[row->views]) == 0;
    cr_expect_eq(tested, 1, "%s, %s", row->id, views_names[row->views]);
  }
}

Test(rows, every_run_has_a_line) {
  for (size_t i = 0; i < recipe_count; i++)
    for (size_t j = 0; j < recipes[i].tested_count; j++) {
      size_t lines = 0;
      for (size_t line = 0; line < ablation_row_count; line++)
        lines += strcmp(ablation_rows[line].id, recipes[i].id) == 0 &&
                 strcmp(views_names[ablation_rows[line].views], views_name(recipes[i].tested[j])) == 0;
      cr_expect_gt(lines, 0, "%s, %s", recipes[i].id, views_name(recipes[i].tested[j]));
    }
}

Test(rows, families_are_named_alike) {
  cr_assert_eq((int)ROW_FAMILIES, (int)FAMILIES);
  for (int family = 0; family < FAMILIES; family++)
    cr_expect_str_eq(family_names[family], family_name((Family)family));
}
