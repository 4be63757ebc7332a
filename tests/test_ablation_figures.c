/* test_ablation_figures.c: the ablation's figures, drawn from made-up results by way of the tables' own CSV files. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "ablation_files.h"
#include "files.h"
#include "image.h"
#include "plots.h"
#include "program.h"

TestSuite(ablation_figures, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

static void run(const char *words) {
  Run ended = program_run("%s", words);
  cr_assert_eq(ended.exit, 0, "%s: %s", words, ended.err);
  program_free(&ended);
}

/* All files that the figures read, in the scratch folder. */
static void make_results(Level level, int64_t seeds) {
  files_answers(level, seeds);
  files_costs(seeds);
  files_diagnostics();
  run("table 3 --results . --resamples 100 --csv table3.csv");
  run("table 4 --results . --resamples 100 --csv table4.csv");
  run("table figure1 --results . --resamples 100 --csv figure1.csv");
}

static Status draw(const char *name) {
  return figure_draw(figure_find(name), scratch_folder, scratch_folder);
}

/* Pixels that are no shade of grey: data and their keys. Axes, grids and letters are grey. */
static size_t coloured_pixels(const char *name) {
  char file[64];
  Image image;
  size_t count = 0;
  snprintf(file, sizeof file, "%s.png", name);
  Status status = image_read(scratch_path(file), &image);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  for (size_t i = 0; i < image.width * image.height; i++) {
    const unsigned char *p = image.pixels + 3 * i;
    count += abs(p[0] - p[1]) > 40 || abs(p[1] - p[2]) > 40 || abs(p[0] - p[2]) > 40;
  }
  image_free(&image);
  return count;
}

static void expect_drawn(const char *name, size_t pixels) {
  char file[64];
  Status status = draw(name);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
  cr_expect_gt(coloured_pixels(name), pixels, "%s: %zu", name, coloured_pixels(name));
  snprintf(file, sizeof file, "%s.pdf", name);
  FILE *stream = fopen(scratch_path(file), "rb");
  cr_assert_not_null(stream, "%s", file);
  fseek(stream, 0, SEEK_END);
  cr_expect_gt(ftell(stream), 3000, "%s", file);
  fclose(stream);
}

enum { FULL = 4000, BARS = 50000, LITTLE = 200 };

/* Axes and a key, no data. */
static void draw_nothing(FILE *gnuplot, const char *folder) {
  (void)folder;
  fputs("set xrange [0:1]; set yrange [0:1]\n"
        "plot for [i = 1:8] NaN with lines lw 2 lc rgb '#d04020' title sprintf('row %d', i)\n",
        gnuplot);
}

Test(ablation_figures, an_empty_plot_is_told_from_a_full_one) {
  files_diagnostics();
  Figure empty = *figure_find("curves");
  empty.draw = draw_nothing;
  Status status = figure_draw(&empty, scratch_folder, scratch_folder);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  size_t pixels = coloured_pixels("curves");
  cr_expect(pixels > 0 && pixels < FULL, "%zu", pixels);
}

ParameterizedTestParameters(ablation_figures, draws) {
  static char names[32][16];
  size_t count = 0;
  for (const Figure *const *figure = figure_table; *figure; figure++)
    if ((*figure)->set == FIGURES_ABLATION)
      snprintf(names[count++], sizeof names[0], "%s", (*figure)->name);
  return cr_make_param_array(char[16], names, count);
}

ParameterizedTest(char name[16], ablation_figures, draws) {
  bool bars = strcmp(name, "table4") == 0 || strcmp(name, "figure1") == 0 || strcmp(name, "removal") == 0;
  make_results(files_varied, 3);
  expect_drawn(name, bars ? BARS : FULL);
}

/* What an ablation under way leaves: rows without results, a single seed. */
static int half_done(const char *id, Shown views, int64_t seed, int family, int block) {
  bool there = strcmp(id, "e2e") == 0 || strcmp(id, "alternating") == 0 || strcmp(id, "nq64") == 0;
  return there ? files_varied(id, views, seed, family, block) : -1;
}

Test(ablation_figures, draw_what_is_there) {
  make_results(half_done, 1);
  expect_drawn("table4", BARS);
  expect_drawn("figure1", BARS);
  expect_drawn("tokens", LITTLE);
}

/* One row, one phase, one seed, one step; numbers that are all alike. */
Test(ablation_figures, draw_very_little) {
  scratch_text("curves.csv", "row,seed,phase,step,samples,loss,rate\ne2e,1,I,10,320,2.5,0.001\n");
  expect_drawn("curves", LITTLE);
  scratch_text("gates.csv", "row,seed,phase,step,mean\ne2e,1,I,0,0.5\n");
  expect_drawn("gates", LITTLE);
  scratch_text("probes.csv", "row,seed,phase,step,group,gradient_norm,update_share\nunfrozen,1,I,10,gate,0,0\n");
  expect_drawn("gradients", LITTLE);
  scratch_text("attention.csv", "row,seed,layer,share_local,share_global,share_text\ne2e,1,0,0,0.5,0.5\n");
  expect_drawn("attention", LITTLE);
  scratch_text("router.csv", "row,seed,gamma,kept_share,relate,read\ne2e,1,0.75,0.7,0.5,0.5\n");
  expect_drawn("kept", LITTLE);
  scratch_text("loss_probes.csv", "row,seed,views,local,global,loss\ne2e,1,both,full,full,0.5\n");
  expect_drawn("removal", LITTLE);
}

/* What a run that diverges leaves. */
Test(ablation_figures, draw_hard_values) {
  scratch_text("curves.csv", "row,seed,phase,step,samples,loss,rate\n"
                             "e2e,1,I,0,0,2,0.1\ne2e,1,I,9,9,inf,0.1\ne2e,1,I,18,18,nan,0.1\ne2e,1,II,5,5,nan,0.1\n");
  expect_drawn("curves", LITTLE);
  scratch_text("probes.csv", "row,seed,phase,step,group,gradient_norm,update_share\n"
                             "e2e,1,I,10,gate,inf,nan\ne2e,1,I,20,gate,1e-300,0.5\ne2e,1,II,20,mlp,nan,nan\n");
  expect_drawn("gradients", LITTLE);
  scratch_text("loss_probes.csv", "row,seed,views,local,global,loss\ne2e,1,both,full,full,0.5\n"
                                  "e2e,1,both,removed,full,inf\ne2e,1,both,full,removed,nan\n");
  expect_drawn("removal", LITTLE);
}

/* Many rows still have each an entry in the key. */
Test(ablation_figures, draw_many_rows) {
  FILE *stream = files_open("curves.csv");
  fputs("row,seed,phase,step,samples,loss,rate\n", stream);
  for (int row = 0; row < 30; row++)
    for (int step = 1; step < 4; step++)
      fprintf(stream, "row_%d,1,III,%d,%d,%d,0.1\n", row, step, step, row + step);
  fclose(stream);
  expect_drawn("curves", FULL);
}

Test(ablation_figures, inputs_are_checked) {
  Status status = draw("curves");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "make it with: seesaw ablate table4 --model ");
  expect_contains(status.message, scratch_folder);
  scratch_text("table4.csv", "id,views\n");
  status = draw("table4");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "no column 'name' in its first line; seesaw table 4 --results ");
  expect_contains(status.message, scratch_path("table4.csv writes one that has"));
  scratch_text("loss_probes.csv", "row,seed,views,local,global,loss\ne2e,1,local,full,full,0.5\n");
  status = draw("removal");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "no row with views 'both'");
}

/* Each set has a folder of its own, and a word that names all of it. */
Test(ablation_figures, come_from_their_own_folder) {
  Run ended = program_run("plot kept losses --out .");
  cr_expect_eq(ended.exit, STATUS_INPUT);
  expect_contains(ended.err, "results/ablation/router.csv");
  expect_contains(ended.err, "results/theory/losses.csv");
  program_free(&ended);
  ended = program_run("plot ablation --out .");
  expect_contains(ended.err, "9 of 9 figures could not be drawn");
  program_free(&ended);
  ended = program_run("plot all ablation --out .");
  expect_contains(ended.err, "17 of 17 figures could not be drawn");
  program_free(&ended);
  Status status = folder_create(scratch_path("results/ablation"));
  cr_assert_eq(status.code, STATUS_OK);
  files_diagnostics();
  cr_assert_eq(rename(scratch_path("gates.csv"), scratch_path("results/ablation/gates.csv")), 0);
  ended = program_run("plot gates --out figures");
  cr_expect_eq(ended.exit, 0, "%s", ended.err);
  expect_contains(ended.out, "figures/gates.png");
  program_free(&ended);
}
