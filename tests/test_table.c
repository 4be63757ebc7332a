/* test_table.c: `seesaw table`: made-up result files with known values in, the tables out. */
#include <criterion/criterion.h>
#include <sys/stat.h>

#include "ablation_files.h"
#include "program.h"
#include "status.h"

TestSuite(table, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

/* The line that starts with `start`, its columns one blank apart, or "(no line ...)"; good until the next call. */
static const char *line_with(const char *text, const char *start) {
  static char line[1024];
  snprintf(line, sizeof line, "(no line '%s' in: %.700s)", start, text);
  for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
    if (strncmp(at, start, strlen(start)) == 0) {
      char *to = line;
      for (const char *from = at; *from && *from != '\n' && to < line + sizeof line - 1; from++)
        if (*from != ' ' || from[1] != ' ')
          *to++ = *from;
      *to = '\0';
      break;
    }
  return line;
}

/* How many times `part` is there. */
static int occurrences(const char *text, const char *part) {
  int count = 0;
  for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
    count++;
  return count;
}

static Run table(const char *words) {
  Run run = program_run("table %s --results . --resamples 200", words);
  cr_assert_eq(run.exit, 0, "%s", run.err);
  return run;
}

/* Means are known: every row 50 %, but E2E 5 points less, and its local tokens alone 40 points less for odd seeds. */
static int known(const char *id, Shown views, int64_t seed, int family, int block) {
  (void)family;
  (void)block;
  if (strcmp(id, "llava_hd") == 0 || (strcmp(id, "monkey") == 0 && seed == 3))
    return -1;
  if (strcmp(id, "e2e") != 0)
    return 20;
  return views == SHOWN_LOCAL && seed % 2 ? 4 : 18;
}

Test(table, prints_ours_beside_the_papers) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("4");
  cr_expect_not_null(strstr(line_with(run.out, "E2E  "), " 5 45.00 ± 0.00 82.90"), "%s", line_with(run.out, "E2E "));
  cr_expect_not_null(strstr(line_with(run.out, "E2E  "), " 86.00 6000 1.50 51.0"));
  /* 10, 45, 10, 45, 10: mean 24, deviation sqrt(4 * 1470 / 20) */
  cr_expect_not_null(strstr(line_with(run.out, "E2E, only Local "), "24.00 ± 19.17 43.40"), "%s",
                     line_with(run.out, "E2E, only Local"));
  cr_expect_not_null(strstr(line_with(run.out, "Text only"), " 5 50.00 ± 0.00 50.00 ± 0.00"), "%s",
                     line_with(run.out, "Text only"));
  program_free(&run);
}

Test(table, judges_only_what_differs) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("4");
  cr_expect_eq(occurrences(run.out, "better"), 0);
  cr_expect_eq(occurrences(run.out, "worse"), 15, "E2E by five families and three views");
  const char *line = line_with(strstr(run.out, "Paired"), "E2E   ");
  cr_expect_not_null(strstr(line, "-5.00 [-5.00, -5.00] worse"), "%s", line);
  line = line_with(strstr(run.out, "Paired"), "Monkey");
  cr_expect_not_null(strstr(line, "4 exist +0.00 [0.00, 0.00] no difference seen"), "%s", line);
  program_free(&run);
}

static int identical(const char *id, Shown views, int64_t seed, int family, int block) {
  (void)id;
  (void)views;
  return files_varied("any", SHOWN_BOTH, seed, family, block);
}

Test(table, never_tells_identical_rows_apart) {
  static const char *const tables[] = {"3", "4", "figure1", "3 --against final"};
  files_answers(identical, 5);
  files_costs(5);
  for (int i = 0; i < 4; i++) {
    Run run = table(tables[i]);
    cr_expect_eq(occurrences(run.out, "better") + occurrences(run.out, "worse"), 0, "%s", run.out);
    cr_expect_gt(occurrences(run.out, "no difference seen"), 15);
    cr_expect_null(strstr(run.out, "Fewer than five"));
    program_free(&run);
  }
}

Test(table, says_what_is_missing) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("4");
  const char *line = line_with(run.out, "LLaVA-HD");
  cr_expect_not_null(strstr(line, "0 missing 85.00 missing"), "%s", line);
  cr_expect_not_null(strstr(line_with(strstr(run.out, "Paired"), "LLaVA-HD"), "0 all - - not measured"), "%s", run.out);
  cr_expect_not_null(strstr(run.out, "\nMonkey has no results for seed 3, which other rows have.\n"), "%s", run.out);
  cr_expect_eq(occurrences(run.out, "has no results for seed"), 1);
  cr_expect_not_null(strstr(run.out, "Fewer than five seeds (4 to 5 a row)"), "%s", run.out);
  program_free(&run);
}

Test(table, shows_seeds) {
  files_answers(known, 2);
  files_costs(2);
  Run run = table("4");
  const char *seeds = strstr(run.out, "\nEvery seed\n");
  cr_assert_not_null(seeds);
  cr_expect_not_null(strstr(seeds, "E2E, only Local                                     1  10.00   10.00"), "%s", seeds);
  cr_expect_not_null(strstr(seeds, "E2E, only Local                                     2  45.00   45.00"), "%s", seeds);
  cr_expect_not_null(strstr(seeds, "Alternating, only Global  "));
  cr_expect_null(strstr(seeds, "\nAlternating  "), "with both views a mean says enough");
  cr_expect_not_null(strstr(run.out, "Fewer than five seeds (2 a row)"));
  program_free(&run);
  run = table("4 --seeds-shown");
  cr_expect_not_null(strstr(strstr(run.out, "\nEvery seed\n"), "\nAlternating  "));
  program_free(&run);
  run = table("3");
  cr_expect_null(strstr(run.out, "\nEvery seed\n"));
  program_free(&run);
}

Test(table, one_seed_is_not_judged) {
  files_answers(known, 1);
  files_costs(1);
  Run run = table("4");
  cr_expect_eq(occurrences(run.out, "better") + occurrences(run.out, "worse"), 0);
  cr_expect_not_null(strstr(line_with(strstr(run.out, "Paired"), "E2E   "), "not judged: one seed"));
  cr_expect_not_null(strstr(line_with(run.out, "E2E   "), "1 45.00 82.90"), "%s", line_with(run.out, "E2E   "));
  program_free(&run);
}

Test(table, compares_as_asked) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("3");
  cr_expect_not_null(strstr(line_with(strstr(run.out, "Paired"), "gamma=90%"), " N_q=144 "), "%s", run.out);
  cr_expect_null(strstr(strstr(run.out, "Paired"), "\nBaseline "));
  program_free(&run);
  run = table("3 --against e2e"); /* of no line in this table */
  cr_expect_not_null(strstr(line_with(strstr(run.out, "Paired"), "Baseline"), "e2e 5 exist +5.00"), "%s", run.out);
  cr_expect_eq(occurrences(run.out, "better"), 50);
  program_free(&run);
}

/* ---- two folders ---- */

/* answers.csv and costs.csv go into a folder of their own. */
static void move_to(const char *folder) {
  static const char *const names[] = {"answers.csv", "costs.csv"};
  char from[512], to[512];
  cr_assert_eq(mkdir(scratch_path(folder), 0777), 0);
  for (int i = 0; i < 2; i++) {
    snprintf(from, sizeof from, "%s", scratch_path(names[i]));
    snprintf(to, sizeof to, "%s/%s", scratch_path(folder), names[i]);
    cr_assert_eq(rename(from, to), 0);
  }
}

/* E2E is 10 points better than in `known`, and tested with both views alone; seeds from 2 on. */
static int changed(const char *id, Shown views, int64_t seed, int family, int block) {
  if (strcmp(id, "e2e") == 0)
    return seed > 1 && views == SHOWN_BOTH ? 22 : -1;
  return strcmp(id, "alternating") == 0 || strcmp(id, "e2e_mix") == 0 ? known(id, views, seed, family, block) : -1;
}

Test(table, compares_folders) {
  static char text[40000];
  files_answers(known, 5);
  files_costs(5);
  move_to("before");
  files_answers(changed, 4);
  files_costs(4);
  Run run = table("4 --versus before --differences differences.csv --csv table4.csv");
  const char *paired =
      strstr(run.out, "\nPaired differences from the same rows of the other folder, over the seeds that "
                      "both folders have");
  cr_assert_not_null(paired, "%s", run.out);
  cr_expect_not_null(strstr(line_with(paired, "E2E   "), "before 3 exist +10.00 [10.00, 10.00] better"), "%s", paired);
  cr_expect_not_null(strstr(line_with(paired, "Alternating, only Local"), "before 4 exist +0.00 [0.00, 0.00] no diff"),
                     "%s", paired);
  cr_expect_not_null(strstr(line_with(paired, "E2E, views mixed  "), "before 4 exist +0.00"), "%s", paired);
  cr_expect_eq(occurrences(paired, "\nMonkey") + occurrences(paired, "E2E, only"), 0, "%s", paired);
  cr_expect_not_null(
      strstr(run.out,
             "\nNot compared with before, for no seed is in both: Baseline; LLaVA-HD; Monkey; E2E, only Global; "
             "E2E, only Local\n"),
      "%s", run.out);
  cr_expect_not_null(strstr(run.out, "Fewer than five seeds (3 to 4 a row)"), "%s", run.out);
  cr_expect_eq(occurrences(run.out, "better"), 5);
  program_free(&run);
  scratch_read(scratch_path("differences.csv"), text, sizeof text);
  cr_expect_not_null(strstr(text, "\ne2e,both,E2E,before,3,exist,10,10,10,better\n"), "%s", text);
  cr_expect_not_null(strstr(text, "\nalternating,both,Alternating,before,4,probe,0,0,0,no difference seen\n"));
  cr_expect_not_null(strstr(text, "\nmonkey,both,Monkey,before,0,exist,nan,nan,nan,not measured\n"));
  cr_expect_eq(occurrences(text, "\n"), 1 + 5 * 40);
  scratch_read(scratch_path("table4.csv"), text, sizeof text);
  cr_expect_not_null(strstr(text, "\ne2e,both,E2E,3,55,0,55,55,82."), "%s", text);
}

Test(table, compares_folders_in_every_format) {
  files_answers(known, 5);
  files_costs(5);
  move_to("a_folder");
  files_answers(known, 5);
  files_costs(5);
  Run run = table("3 --versus a_folder --format markdown");
  cr_expect_not_null(
      strstr(run.out, "\n| N_q=64 | a_folder | 5 | exist | +0.00 | [0.00, 0.00] | no difference seen |\n"), "%s",
      run.out);
  program_free(&run);
  run = table("figure1 --versus a_folder --format latex");
  cr_expect_not_null(strstr(run.out, "\nLocal & a\\_folder & 5 & exist & "), "%s", run.out);
  cr_expect_not_null(strstr(run.out, "\nLocal & Local w. alt & 5 & 0.9000 & "), "ratios stay those of this folder");
  program_free(&run);
}

Test(table, figure1_is_a_table_of_ratios) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("figure1 --csv figure1.csv");
  const char *ratios = strstr(run.out, "\nRatios");
  cr_assert_not_null(ratios);
  cr_expect_not_null(strstr(line_with(ratios, "Local   "), "5 0.9000 [0.9000, 0.9000] 0.9673"), "%s", ratios);
  cr_expect_not_null(strstr(line_with(ratios, "Local w. alt"), "1.0000 [1.0000, 1.0000] 1.0000"), "%s", ratios);
  cr_expect_not_null(strstr(line_with(ratios, "qformer   "), "1.0000 [1.0000, 1.0000] -"), "%s", ratios);
  program_free(&run);
  char text[8000];
  scratch_read(scratch_path("figure1.csv"), text, sizeof text);
  cr_expect_not_null(strstr(text, ",image_tokens,ratio,ratio_low,ratio_high,ratio_paper\nbaseline,both,LLaVA,5,50,0,"),
                     "%s", text);
  cr_expect_eq(occurrences(text, "\n"), 6);
}

Test(table, writes_csv) {
  static char text[40000];
  files_answers(known, 5);
  files_costs(5);
  Run run = table("4 --csv table4.csv --differences differences.csv");
  program_free(&run);
  scratch_read(scratch_path("table4.csv"), text, sizeof text);
  cr_expect_eq(
      strncmp(text, "id,views,name,seeds,exist_mean,exist_sd,exist_low,exist_high,exist_paper,relate_mean,", 85), 0,
      "%s", text);
  cr_expect_not_null(strstr(text, "\ne2e,both,E2E,5,45,0,45,45,82."), "%s", text);
  cr_expect_not_null(strstr(text, "\nalternating,local,\"Alternating, only Local\",5,50,"));
  cr_expect_not_null(strstr(text, "\nllava_hd,both,LLaVA-HD,0,nan,nan,nan,nan,85,"));
  cr_expect_eq(occurrences(text, "\n"), 1 + 9 + 31);
  run = table("4 --csv -");
  cr_expect_str_eq(run.out, text, "to standard output: nothing but the rows");
  program_free(&run);
  scratch_read(scratch_path("table4.csv.origin.json"), text, sizeof text);
  cr_expect_not_null(strstr(text, "seesaw table"));
  scratch_read(scratch_path("differences.csv"), text, sizeof text);
  cr_expect_not_null(strstr(text, "\ne2e,both,E2E,alternating,5,exist,-5,-5,-5,worse\n"), "%s", text);
  cr_expect_not_null(strstr(text, "\nllava_hd,both,LLaVA-HD,alternating,0,exist,nan,nan,nan,not measured\n"));
  cr_expect_eq(occurrences(text, "\n"), 1 + 5 * 37);
}

Test(table, same_bytes_again) {
  files_answers(files_varied, 3);
  files_costs(3);
  Run first = table("4"), again = table("4"), differs = table("4 --seed 2");
  cr_expect_str_eq(first.out, again.out);
  cr_expect_str_neq(first.out, differs.out);
  program_free(&first);
  program_free(&again);
  program_free(&differs);
}

Test(table, markdown_and_latex) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("3 --format markdown");
  cr_expect_not_null(strstr(run.out, "\n| row | seeds | exist | POPE |"), "%s", run.out);
  cr_expect_not_null(strstr(run.out, "\n|:--|--:|--:|"));
  cr_expect_not_null(strstr(run.out, "\n| N_q=64 | 5 | 50.00 ± 0.00 | 83.80 |"));
  program_free(&run);
  run = table("4 --format latex");
  cr_expect_not_null(strstr(run.out, "\\begin{tabular}{lrrrrrrrrrrrrrr}\nrow & seeds & exist & POPE & "), "%s",
                     run.out);
  cr_expect_not_null(strstr(run.out, "\nE2E & Alternating & 5 & exist & $-$5.00 & [$-$5.00, $-$5.00] & worse \\\\\n"));
  cr_expect_not_null(strstr(run.out, "45.00 $\\pm$ 0.00"));
  cr_expect_eq(occurrences(run.out, "\\begin{"), occurrences(run.out, "\\end{"));
  program_free(&run);
  run = table("3 --format latex");
  cr_expect_not_null(strstr(run.out, "\nN\\_q=64 & ") != NULL && strstr(run.out, "\ngamma=90\\% & ") != NULL);
  program_free(&run);
}

static int without_controls(const char *id, Shown views, int64_t seed, int family, int block) {
  bool control = strchr(id, '_') && strcmp(id, "llava_hd") != 0 && strcmp(id, "global_moe") != 0;
  bool one_of_them = strcmp(id, "e2e_rate") == 0 && views == SHOWN_BOTH;
  return !one_of_them &&
                 (control || strcmp(id, "unfrozen") == 0 || strcmp(id, "periodic") == 0 || strcmp(id, "reversed") == 0)
             ? -1
             : known(id, views, seed, family, block);
}

Test(table, says_what_it_shows) {
  files_answers(known, 5);
  files_costs(5);
  Run run = table("4");
  cr_expect_not_null(strstr(run.out, "\nBy chance: exist 66.67 (always 'yes'), relate 18.33, reason 25.00, read 10.00, "
                                     "probe 66.67 (always 'no')\n"),
                     "%s", run.out); /* half of the answers are positive */
  cr_expect_not_null(strstr(run.out, "\nMonkey: query formers take "));
  cr_expect_not_null(strstr(run.out, "\nStage II, adapter unfrozen: Alternating, but "));
  cr_expect_eq(occurrences(run.out, "only Global:"), 0);
  cr_expect_null(strstr(run.out, "(null)"));
  cr_expect_null(strstr(run.out, "are left out"));
  program_free(&run);
  run = table("3 --format latex");
  cr_expect_not_null(strstr(run.out, "\\noindent N\\_q=64: Global MOE, and each tile compressed to 4 tokens"), "%s",
                     run.out);
  cr_expect_not_null(strstr(run.out, "gamma=75\\%: the same with 75 \\%.\n\n"), "%s", run.out);
  program_free(&run);
  run = table("figure1 --format markdown");
  cr_expect_not_null(strstr(run.out, "\n\nBy chance: exist 66.67"));
  cr_expect_not_null(strstr(run.out, "\n\nqformer w. alt: the same in turn"), "%s", run.out);
  program_free(&run);
}

Test(table, controls_without_results_are_left_out) {
  static char text[40000];
  files_answers(without_controls, 3);
  files_costs(3);
  Run run = table("4 --csv table4.csv");
  cr_expect_not_null(strstr(run.out, "\n30 lines of controls without results are left out; `seesaw ablate controls` "
                                     "makes them.\n"),
                     "%s", run.out);
  cr_expect_not_null(strstr(line_with(run.out, "E2E, own learning rate "), " 3 50.00 ± 0.00"), "%s", run.out);
  cr_expect_eq(occurrences(run.out, "\nText only") + occurrences(run.out, "\nE2E, views mixed"), 0, "%s", run.out);
  program_free(&run);
  scratch_read(scratch_path("table4.csv"), text, sizeof text);
  cr_expect_eq(occurrences(text, "\n"), 1 + 9 + 31, "the file has them");
}

static void expect_mistake(const char *words, int exit, const char *part) {
  Run run = program_run("%s", words);
  cr_expect_eq(run.exit, exit, "%s: %d", words, run.exit);
  cr_expect_not_null(strstr(run.err, part), "no '%s' in: %s", part, run.err);
  program_free(&run);
}

Test(table, mistakes) {
  expect_mistake("table", STATUS_USAGE, "which table? One of 3, 4 and figure1");
  expect_mistake("table 5", STATUS_USAGE, "there is no table '5'");
  expect_mistake("table 4 --against alternatng", STATUS_USAGE, "did you mean 'alternating'?");
  expect_mistake("table 4 --against moonrise", STATUS_USAGE, "there are baseline,");
  expect_mistake("table 4 --format html", STATUS_USAGE, "html");
  expect_mistake("table 4 --resamples 5", STATUS_USAGE, "--resamples");
  expect_mistake("table 4 --results nowhere", STATUS_INPUT, "nowhere/answers.csv");
  files_answers(known, 2);
  expect_mistake("table 4 --results .", STATUS_INPUT, "costs.csv");
  files_costs(2);
  expect_mistake("table 4 --results . --csv nowhere/t.csv", STATUS_OUTPUT, "nowhere/t.csv");
  expect_mistake("table 4 --results . --versus nowhere", STATUS_INPUT, "nowhere/answers.csv");
  expect_mistake("table 4 --results . --versus . --against e2e", STATUS_USAGE, "give one of them");
  scratch_text("costs.csv", "row\n");
  expect_mistake("table 4 --results .", STATUS_INPUT, "costs.csv: the first line is 'row'");
}

static int only_baseline(const char *id, Shown views, int64_t seed, int family, int block) {
  return strcmp(id, "baseline") == 0 ? known(id, views, seed, family, block) : -1;
}

/* No sheet of seeds without a row in it; one with, if it is asked for. */
Test(table, no_row_has_its_seeds_shown) {
  files_answers(only_baseline, 2);
  files_costs(2);
  Run run = table("4");
  cr_expect_null(strstr(run.out, "Every seed"));
  program_free(&run);
  run = table("4 --seeds-shown");
  cr_expect_not_null(strstr(run.out, "\nEvery seed\n"));
  program_free(&run);
}

/* One line of answers.csv in ./other, by its beginning, becomes another. */
static void alter(const char *from, const char *to) {
  static char text[400000];
  scratch_read(scratch_path("other/answers.csv"), text, sizeof text);
  cr_assert_eq(strlen(from), strlen(to));
  for (char *at = text; (at = strstr(at, from)) != NULL;)
    memcpy(at, to, strlen(to));
  scratch_text("other/answers.csv", text);
}

/* The first row of a seed says what the questions are. */
Test(table, rows_of_other_questions) {
  files_answers(known, 2);
  files_costs(2);
  move_to("other");
  alter("alternating,2,both,reason,7,40,20", "alternating,2,both,reason,7,41,20");
  expect_mistake("table 4 --results other", STATUS_INPUT,
                 "seed 2, family reason, block 7 has 41 items, 0 of them positive, for row 'alternating' (views both) "
                 "and 40, 0 for row '");
  alter("alternating,2,both,reason,7,41,20", "alternating,2,both,reason,7,40,20");
  alter("alternating,2,both,exist,2,40,20,10,10,10", "alternating,2,both,exist,2,40,20,10,09,11");
  expect_mistake("table 4 --results other", STATUS_INPUT,
                 "exist, block 2 has 40 items, 21 of them positive, for row 'alternating' (views both) and 40, 20");
}

static int late_seeds(const char *id, Shown views, int64_t seed, int family, int block) {
  return seed > 2 ? known(id, views, seed, family, block) : -1;
}

Test(table, folders_that_cannot_be_compared) {
  files_answers(late_seeds, 4);
  files_costs(4);
  move_to("other");
  files_answers(known, 2);
  files_costs(2);
  expect_mistake("table 4 --results . --versus other", STATUS_INPUT,
                 ". and other have no row of this table in common, trained with the same seed");
  files_answers(known, 4);
  alter(",reason,7,40,20", ",reason,7,41,20");
  alter(",reason,7,40,18", ",reason,7,41,18");
  alter(",reason,7,40,4,", ",reason,7,41,4,");
  expect_mistake("table 4 --results . --versus other", STATUS_INPUT,
                 "of seed 3, family reason, block 7 the one has 40 items, 0 of them positive, the other 41, 0; compare "
                 "results of the same --tests and --split");
  alter(",reason,7,41,", ",reason,7,40,");
  alter(",exist,2,40,20,10,10,10", ",exist,2,40,20,10,09,11"); /* other pictures: 21 times yes */
  alter(",exist,2,40,18,9,11,11", ",exist,2,40,18,9,10,12");
  alter(",exist,2,40,4,2,18,18", ",exist,2,40,4,2,17,19");
  expect_mistake("table 4 --results . --versus other", STATUS_INPUT,
                 "of seed 3, family exist, block 2 the one has 40 items, 20 of them positive, the other 40, 21");
}
