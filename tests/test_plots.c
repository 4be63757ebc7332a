/* test_plots.c: every figure of the theory draws from tiny files (fixtures/plots: the commands' formats, numbers
 * rounded by hand), and whatever goes wrong is said in one sentence and leaves no picture behind. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "files.h"
#include "gnuplot.h"
#include "plots.h"
#include "scratch.h"
#include "style.h"
#include "table.h"

#define FIXTURES SEESAW_FIXTURES "/plots"

TestSuite(plots, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

/* The file's first bytes, and how large it is; -1 if it is not there. */
static long picture_size(const char *path, const char *signature) {
  char start[5] = "";
  FILE *stream = fopen(path, "rb");
  if (!stream)
    return -1;
  cr_expect_eq(fread(start, 1, 4, stream), 4);
  cr_expect_str_eq(start, signature);
  fseek(stream, 0, SEEK_END);
  long size = ftell(stream);
  fclose(stream);
  return size;
}

static void expect_pictures(const char *folder, const char *name) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s.png", folder, name);
  cr_expect_gt(picture_size(path, "\x89PNG"), 10000, "%s", path);
  snprintf(path, sizeof path, "%s/%s.pdf", folder, name);
  cr_expect_gt(picture_size(path, "%PDF"), 3000, "%s", path);
}

static void expect_failure(Status status, StatusCode code, const char *part) {
  cr_assert_eq(status.code, code, "status %d: %s", status.code, status.code ? status.message : "");
  expect_contains(status.message, part);
}

/* Draw losses from a losses.csv of this text into the scratch folder, where nothing but that file may be afterwards. */
static void expect_refused(const char *text, const char *part) {
  scratch_text("losses.csv", text);
  expect_failure(figure_draw(figure_find("losses"), scratch_folder, scratch_folder), STATUS_INPUT, part);
  cr_expect_eq(scratch_count(), 1, "left behind %d files", scratch_count() - 1);
}

static Status draw_fixture(const char *name, const char *output) {
  return figure_draw(figure_find(name), FIXTURES, output);
}

/* A program of our own in place of gnuplot, for this process alone. */
static void pretend_gnuplot(const char *script) {
  const char *path = scratch_text("gnuplot", script);
  cr_assert_eq(chmod(path, 0755), 0);
  char search[1024];
  snprintf(search, sizeof search, "%s:%s", scratch_folder, getenv("PATH"));
  setenv("PATH", search, 1);
}

static char *search_path; /* PATH as it was */

static void hide_gnuplot(void) {
  search_path = strdup(getenv("PATH"));
  setenv("PATH", scratch_folder, 1);
}

static void show_gnuplot(void) {
  setenv("PATH", search_path, 1);
  free(search_path);
}

/* ---- the figures ---- */

ParameterizedTestParameters(plots, draws) {
  static char names[32][16];
  size_t count = 0;
  for (const Figure *const *figure = figure_table; *figure && (*figure)->set == FIGURES_THEORY; figure++)
    snprintf(names[count++], sizeof names[0], "%s", (*figure)->name);
  return cr_make_param_array(char[16], names, count);
}

ParameterizedTest(char name[16], plots, draws) {
  Status status = draw_fixture(name, scratch_folder);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  expect_pictures(scratch_folder, name);
  cr_expect_eq(scratch_count(), 2);
}

Test(plots, table_is_sound) {
  for (const Figure *const *figure = figure_table; *figure; figure++) {
    cr_expect_eq(figure_find((*figure)->name), *figure, "two figures are called %s", (*figure)->name);
    cr_expect_not_null((*figure)->inputs[0].file);
    cr_expect_null((*figure)->inputs[3].file);
    cr_expect(strncmp((*figure)->command, "seesaw ", 7) == 0);
    expect_contains(figure_names(), (*figure)->name);
  }
  cr_expect_null(figure_find("los"));
  cr_expect_null(figure_find(""));
}

/* What runs that diverge or never converge leave: inf, nan, zero, values beyond any axis, methods that we do not know.
 */
Test(plots, hard_values) {
  scratch_text("losses.csv", "method,step,loss,excess\n"
                             "gd,0,2,1\ngd,1,inf,inf\ngd,2,nan,nan\ngd,3,1e308,1e308\n"
                             "als,0,2,1\nals,1,1,1e-9\nals,2,1,0\nals,3,1,0\n"
                             "other,0,2,1\nother,1,1.5,0.5\nother,2,nan,-nan\n"
                             "it's,0,2,1\nit's,3,2,1\n");
  Status status = figure_draw(figure_find("losses"), scratch_folder, scratch_folder);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  expect_pictures(scratch_folder, "losses");
}

Test(plots, one_row) {
  scratch_text("losses.csv", "excess,step,method\r\n1,0,gd\r\n");
  Status status = figure_draw(figure_find("losses"), scratch_folder, scratch_folder);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  expect_pictures(scratch_folder, "losses");
}

Test(plots, phase_for_every_sign_of_c) {
  const char *const signs[] = {"0", "-0.5", "0.5"};
  for (int i = 0; i < 3; i++) {
    char text[200];
    snprintf(text, sizeof text, "trajectory,kind,cosine,tau,nu\n0,gd,%s,0.1,0.1\n0,gd,%s,nan,9e99\n0,flow,%s,1,-2\n",
             signs[i], signs[i], signs[i]);
    scratch_text("phase.csv", text);
    Status status = figure_draw(figure_find("phase"), scratch_folder, scratch_folder);
    cr_assert_eq(status.code, STATUS_OK, "c = %s: %s", signs[i], status.message);
  }
}

/* Names that a shell, gnuplot's quoting, its pipes or its line-by-line reading would trip over. */
Test(plots, awkward_folders) {
  const char *const names[] = {"with space", "it's", "a \"b\\c\" `d` $e @f #g", "line\nbreak", "<touch x", "|touch x"};
  cr_assert_eq(chdir(scratch_folder), 0);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64], text[20000];
    cr_assert_eq(mkdir(names[i], 0777), 0);
    snprintf(path, sizeof path, "%s/escape.csv", names[i]);
    FILE *stream = fopen(path, "w");
    cr_assert_not_null(stream);
    fputs(scratch_read(FIXTURES "/escape.csv", text, sizeof text), stream);
    fclose(stream);
    Status status = figure_draw(figure_find("escape"), names[i], names[i]);
    cr_assert_eq(status.code, STATUS_OK, "%s: %s", names[i], status.message);
    expect_pictures(names[i], "escape");
  }
  cr_expect_eq(scratch_count(), (int)(sizeof names / sizeof *names));
}

/* ---- inputs that are not as they should be ---- */

Test(plots, input_missing) {
  Status status = figure_draw(figure_find("losses"), scratch_folder, scratch_folder);
  expect_failure(status, STATUS_INPUT, "losses.csv");
  expect_contains(status.message, "make it with: seesaw theory run --method all --k 0.9 --out ");
  cr_expect_not_null(strstr(strstr(status.message, "--out "), scratch_path("losses.csv")), "%s", status.message);
  cr_expect_eq(scratch_count(), 0);
}

Test(plots, input_empty) {
  expect_refused("", "is empty; make it with: seesaw theory run");
}

Test(plots, input_header_only) {
  expect_refused("method,step,excess\n", "no rows; make it with: seesaw theory run");
  expect_refused("method,step,excess", "no rows");
}

Test(plots, input_without_a_column) {
  expect_refused("method,step,loss\ngd,0,1\n", "no column 'excess'");
  expect_refused("step,excess\n0,1\n", "no column 'method'");
  expect_refused("\n\n", "no column 'method'");
}

Test(plots, input_malformed) {
  expect_refused("method,step,excess\ngd,0,1\ngd,1\n", "line 3: 2 cells where the first line has 3 columns");
  expect_refused("method,step,excess\ngd,0,1,5\n", "line 2: 4 cells");
  expect_refused("method,step,excess\ngd,0,1\n\ngd,1,1\n", "line 3: 1 cells");
  expect_refused("method,step,excess\ngd,zero,1\n", "line 2: column 'step' holds 'zero', which is not a number");
  expect_refused("method,step,excess\ngd,0,\n", "column 'excess' holds ''");
  expect_refused("method,step,excess\ng d,0,1\n", "column 'method' holds 'g d', which is not one word");
  expect_refused("method,step,excess\n,0,1\n", "column 'method' holds ''");
  expect_refused("method,step,excess\ngd,0,1x\n", "column 'excess' holds '1x'");
  expect_refused("method,step,excess\n\"gd,0,1\ngd,1,1\n", "cells");
  expect_refused("method,step,excess\ngd,0,nan\ngd,1,inf\n", "column 'excess' holds no finite number");
}

/* A figure that draws part of the rows asks for that part. */
Test(plots, input_without_its_rows) {
  scratch_text("iterations.csv", "method,rule,cosine,iterations\ngd,k,0.5,10\n");
  Status status = figure_draw(figure_find("iterations"), scratch_folder, scratch_folder);
  expect_failure(status, STATUS_INPUT, "no row with rule 'best'");
  scratch_text("iterations.csv", "method,rule,cosine,iterations\ngd,k,0.5,10\ngd,best,0.5,nan\n");
  status = figure_draw(figure_find("iterations"), scratch_folder, scratch_folder);
  expect_failure(status, STATUS_INPUT, "column 'iterations' holds no finite number");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, input_with_zero_bytes) {
  scratch_write("losses.csv", "method,step,excess\ngd,0,1\n\0\0", 28);
  expect_failure(figure_draw(figure_find("losses"), scratch_folder, scratch_folder), STATUS_INPUT, "zero bytes");
}

Test(plots, input_is_a_folder) {
  cr_assert_eq(mkdir(scratch_path("losses.csv"), 0777), 0);
  expect_failure(figure_draw(figure_find("losses"), scratch_folder, scratch_folder), STATUS_INPUT, "losses.csv");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, input_with_too_many_columns) {
  char text[4000] = "method,step,excess";
  for (int i = 0; i < 200; i++)
    strcat(text, ",x");
  expect_refused(text, "more than 64 columns");
}

Test(plots, quoted_cells_count_as_one) {
  static const FigureInput input = {.file = "x.csv", .texts = "", .numbers = "value"};
  const char *path = scratch_text("x.csv", "name,value\n\"a, \"\"b\"\"\",1\n\"line\nbreak\",-inf\n");
  Status status = table_check(path, &input, "seesaw");
  cr_expect_eq(status.code, STATUS_OK, "%s", status.message);
}

/* ---- gnuplot that is not there or fails ---- */

Test(plots, no_gnuplot) {
  hide_gnuplot();
  expect_failure(figure_check(), STATUS_UNAVAILABLE, "install the Debian package gnuplot-nox");
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_UNAVAILABLE, "gnuplot-nox");
  show_gnuplot();
  cr_expect_eq(scratch_count(), 0);
}

Test(plots, gnuplot_fails_with_a_message) {
  pretend_gnuplot("#!/bin/sh\ncat > /dev/null\necho 'plot foo' >&2\necho '     ^' >&2\n"
                  "echo '\"/dev/stdin\" line 7: warning: never mind' >&2\n"
                  "echo '\"/dev/stdin\" line 9: undefined variable: foo' >&2\nexit 1\n");
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_UNAVAILABLE, "line 9: undefined variable: foo");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, gnuplot_fails_without_a_message) {
  pretend_gnuplot("#!/bin/sh\nexit 3\n"); /* reads nothing either: the pipe breaks */
  expect_failure(draw_fixture("basin", scratch_folder), STATUS_UNAVAILABLE, "exit status 3");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, gnuplot_is_killed) {
  pretend_gnuplot("#!/bin/sh\nkill -9 $$\n");
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_UNAVAILABLE, "signal 9");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, gnuplot_leaves_no_picture) {
  pretend_gnuplot("#!/bin/sh\nexec cat > /dev/null\n");
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_UNAVAILABLE, "no whole picture");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, gnuplot_leaves_half_a_picture) {
  pretend_gnuplot(
      "#!/bin/sh\ncat > /dev/null\nfor f in *.png.partial; do printf '\\211PNG and so on, at length' > \"$f\"; done\n");
  cr_assert_eq(chdir(scratch_folder), 0);
  expect_failure(draw_fixture("losses", "."), STATUS_UNAVAILABLE, "no whole picture");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, gnuplot_cannot_be_run) {
  const char *path = scratch_text("gnuplot", "");
  cr_assert_eq(chmod(path, 0644), 0);
  hide_gnuplot();
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_UNAVAILABLE, "gnuplot");
  show_gnuplot();
  cr_expect_eq(scratch_count(), 1);
}

/* A broken pipe must not end the program, nor stay ignored afterwards. */
Test(plots, broken_pipe) {
  pretend_gnuplot("#!/bin/sh\nexec 0<&-\nexit 0\n");
  struct sigaction action;
  Gnuplot gnuplot;
  Status status = gnuplot_start(&gnuplot);
  cr_assert_eq(status.code, STATUS_OK);
  for (int i = 0; i < 100000; i++)
    fputs("# a comment, many times over, until the pipe is full\n", gnuplot.commands);
  expect_failure(gnuplot_finish(&gnuplot), STATUS_UNAVAILABLE, "before it had read all");
  sigaction(SIGPIPE, NULL, &action);
  cr_expect_eq(action.sa_handler, SIG_DFL);
}

/* Messages beyond what a pipe holds must not stop gnuplot and us from ending. */
Test(plots, many_messages) {
  Gnuplot gnuplot;
  Status status = gnuplot_start(&gnuplot);
  cr_assert_eq(status.code, STATUS_OK);
  fputs("do for [i = 1:20000] { print 'much ado about nothing' }\nplot nothing\n", gnuplot.commands);
  expect_failure(gnuplot_finish(&gnuplot), STATUS_UNAVAILABLE, "line 2: undefined variable: nothing");
}

/* gnuplot stops at its first mistake instead of drawing on. */
Test(plots, mistakes_stop_gnuplot) {
  Gnuplot gnuplot;
  Status status = gnuplot_start(&gnuplot);
  cr_assert_eq(status.code, STATUS_OK);
  fprintf(gnuplot.commands, "mistake\nset print '%s'\nprint 'on'\n", scratch_path("on"));
  expect_failure(gnuplot_finish(&gnuplot), STATUS_UNAVAILABLE, "line 1: invalid command");
  cr_expect_eq(scratch_count(), 0);
}

/* ---- outputs ---- */

Test(plots, output_folder_missing) {
  expect_failure(draw_fixture("losses", scratch_path("nowhere")), STATUS_OUTPUT, "nowhere");
  cr_expect_eq(scratch_count(), 0);
}

Test(plots, output_folder_is_a_file) {
  expect_failure(draw_fixture("losses", scratch_text("file", "")), STATUS_OUTPUT, "file");
}

Test(plots, output_folder_unwritable) {
  if (geteuid() == 0) {
    scratch_remove(); /* a skipped test is not finished */
    cr_skip_test("root may write anywhere");
  }
  cr_assert_eq(chmod(scratch_folder, 0555), 0);
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_OUTPUT, "losses.png");
  cr_assert_eq(chmod(scratch_folder, 0755), 0);
  cr_expect_eq(scratch_count(), 0);
}

Test(plots, output_is_a_folder) {
  cr_assert_eq(mkdir(scratch_path("losses.pdf"), 0777), 0);
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_OUTPUT, "losses.pdf");
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, output_is_a_pipe) {
  cr_assert_eq(mkfifo(scratch_path("losses.png"), 0666), 0);
  int reader = open(scratch_path("losses.png"), O_RDONLY | O_NONBLOCK);
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_OUTPUT, "not a regular file");
  close(reader);
  cr_expect_eq(scratch_count(), 1);
}

Test(plots, failure_keeps_the_old_pictures) {
  char text[16];
  scratch_text("losses.png", "old png");
  scratch_text("losses.pdf", "old pdf");
  pretend_gnuplot("#!/bin/sh\nexit 1\n");
  expect_failure(draw_fixture("losses", scratch_folder), STATUS_UNAVAILABLE, "gnuplot");
  cr_expect_str_eq(scratch_read(scratch_path("losses.png"), text, sizeof text), "old png");
  cr_expect_str_eq(scratch_read(scratch_path("losses.pdf"), text, sizeof text), "old pdf");
  cr_expect_eq(scratch_count(), 3);
}

Test(plots, success_replaces_the_old_pictures) {
  scratch_text("escape.png", "old png");
  scratch_text("escape.pdf.partial", "what a killed run left");
  Status status = draw_fixture("escape", scratch_folder);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  expect_pictures(scratch_folder, "escape");
  cr_expect_eq(scratch_count(), 2);
}

Test(plots, interrupted) {
  interrupt_watch();
  raise(SIGINT);
  Status status = draw_fixture("losses", scratch_folder);
  cr_expect_eq(status.code, STATUS_INTERRUPTED);
  cr_expect_eq(scratch_count(), 0);
}

/* ---- the caption ---- */

static char *caption_of(const char *origin, size_t columns) {
  const char *path = scratch_path("x.csv");
  if (origin)
    scratch_text("x.csv.origin.json", origin);
  char *caption = caption_read(path, columns);
  cr_assert_not_null(caption);
  return caption;
}

static void expect_caption(const char *origin, size_t columns, const char *expected) {
  char *caption = caption_of(origin, columns);
  cr_expect_str_eq(caption, expected);
  free(caption);
}

Test(plots, caption) {
  expect_caption(NULL, 80, "x.csv");
  expect_caption("{\"command\": \"seesaw theory run --seed 7\", \"seed\": 7, \"commit\": \"0123456789ab-dirty\"}", 80,
                 "seesaw theory run --seed 7 (commit 0123456789ab-dirty)");
  expect_caption("{\"command\": \"seesaw theory run\", \"seed\": 1, \"commit\": \"0123456789ab\"}", 80,
                 "seesaw theory run (seed 1, commit 0123456789ab)");
  expect_caption("{\"command\": \"seesaw theory run\"}", 80, "seesaw theory run");
  expect_caption("{\"command\": \"one\\ntwo\\tthree\\u0001\"}", 80, "one two three ");
  expect_caption("{\"command\": 5, \"seed\": \"x\"}", 80, "x.csv");
  expect_caption("[]", 80, "x.csv");
  expect_caption("{\"command\": ", 80, "x.csv");
}

Test(plots, caption_breaks_lines) {
  expect_caption("{\"command\": \"seesaw run --method gd,als --cos 0.3\"}", 29,
                 "seesaw run --method gd,als \n--cos 0.3");
  expect_caption("{\"command\": \"seesaw run --method gd,altgd,als,jacobi\"}", 27,
                 "seesaw run --method \ngd,altgd,als,jacobi");
  expect_caption("{\"command\": \"aaa,bbb,ccc,ddd\"}", 6, "aaa,\nbbb,\nccc,\nddd");
  expect_caption("{\"command\": \"aaaaaaaaaa\"}", 4, "aaaa\naaaa\naa");
  expect_caption("{\"command\": \"\xcf\x84\xcf\x84\xcf\x84\xcf\x84\xcf\x84\"}", 3,
                 "\xcf\x84\xcf\x84\xcf\x84\n\xcf\x84\xcf\x84");
}

/* ---- gnuplot's strings ---- */

Test(plots, text_reads_back) {
  const char *const text = "it's \"quoted\" \\n `ls` @x #y\nsecond line\r; exit";
  char back[200];
  Gnuplot gnuplot;
  Status status = gnuplot_start(&gnuplot);
  cr_assert_eq(status.code, STATUS_OK);
  fputs("set print ", gnuplot.commands);
  gnuplot_path(gnuplot.commands, scratch_path("back"));
  fputs("\nprint ", gnuplot.commands);
  gnuplot_text(gnuplot.commands, text);
  fputs("\n", gnuplot.commands);
  status = gnuplot_finish(&gnuplot);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  scratch_read(scratch_path("back"), back, sizeof back);
  cr_expect_eq(strncmp(back, text, strlen(text)), 0, "%s", back);
}

/* ---- the command ---- */

static char arguments[1200];

static void run_program(void) {
  char command[1600];
  snprintf(command, sizeof command, "'%s' plot %s 2>&1", SEESAW_PROGRAM, arguments);
  int code = system(command);
  fflush(NULL);
  _exit(WIFEXITED(code) ? WEXITSTATUS(code) : 99);
}

/* Exit status and output of `seesaw plot ...`. */
static int program(char *text, size_t size) {
  int status = in_child(run_program, STDOUT_FILENO, text, size);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

Test(plots, command_draws) {
  char text[4000];
  snprintf(arguments, sizeof arguments, "rates escape rates --results '" FIXTURES "' --out '%s'",
           scratch_path("new/folder"));
  cr_expect_eq(program(text, sizeof text), STATUS_OK, "%s", text);
  expect_pictures(scratch_path("new/folder"), "rates");
  expect_pictures(scratch_path("new/folder"), "escape");
  expect_contains(text, "new/folder/rates.png\n");
  expect_contains(text, "new/folder/escape.pdf\n");
}

Test(plots, command_draws_the_others) {
  char text[8000];
  snprintf(arguments, sizeof arguments, "theory --results '%s' --out '%s'", scratch_folder, scratch_folder);
  cr_assert_eq(chdir(scratch_folder), 0);
  cr_assert_eq(system("cp '" FIXTURES "/escape.csv' '" FIXTURES "/rates.csv' ."), 0);
  scratch_text("losses.csv", "method\n");
  cr_expect_eq(program(text, sizeof text), STATUS_INPUT, "%s", text);
  expect_pictures(scratch_folder, "escape");
  expect_pictures(scratch_folder, "rates");
  cr_expect_eq(scratch_count(), 7);
  expect_contains(text, "phase: cannot read");
  expect_contains(text, "losses: ");
  expect_contains(text, "6 of 8 figures could not be drawn");
}

Test(plots, command_mistakes) {
  char text[4000];
  snprintf(arguments, sizeof arguments, "lossses");
  cr_expect_eq(program(text, sizeof text), STATUS_USAGE);
  expect_contains(text, "there is no figure 'lossses'; did you mean 'losses'?");
  snprintf(arguments, sizeof arguments, "moonrise");
  cr_expect_eq(program(text, sizeof text), STATUS_USAGE);
  expect_contains(text, "there are phase,losses,");
  snprintf(arguments, sizeof arguments, " ");
  cr_expect_eq(program(text, sizeof text), STATUS_USAGE);
  expect_contains(text, "which figure?");
}

Test(plots, command_without_gnuplot) {
  char text[4000];
  snprintf(arguments, sizeof arguments, "all --results '" FIXTURES "' --out '%s'", scratch_folder);
  hide_gnuplot();
  cr_expect_eq(program(text, sizeof text), STATUS_UNAVAILABLE, "%s", text);
  show_gnuplot();
  expect_contains(text, "gnuplot-nox");
  cr_expect_eq(scratch_count(), 0);
}
