/* test_options.c: the command line, the config file, help and man page of a made-up command with every kind of option.
 */
#include "options.h"

#include <math.h>
#include <signal.h>

#include "scratch.h"

static bool verbose, cos_given;
static int64_t steps;
static double cosine, scale;
static const char *output, *start;
static Grid grid;

static const Option table[] = {
    {.name = "verbose", .kind = OPTION_FLAG, .value = &verbose, .help = "say more"},
    {.name = "steps",
     .kind = OPTION_INTEGER,
     .value = &steps,
     .help = "steps to take, a sentence that is long enough to be wrapped onto a second line",
     .low = 1,
     .high = INFINITY},
    {.name = "cos",
     .kind = OPTION_REAL,
     .value = &cosine,
     .help = "the cosine",
     .low = -1,
     .high = 1,
     .open = true,
     .given = &cos_given},
    {.name = "scale", .kind = OPTION_REAL, .value = &scale, .help = "any number"},
    {.name = "output", .kind = OPTION_TEXT, .value = &output, .argument = "FILE", .help = "where to write"},
    {.name = "start", .kind = OPTION_CHOICE, .value = &start, .help = "the start", .choices = "paper,gaussian,file"},
    {.name = "grid", .kind = OPTION_GRID, .value = &grid, .help = "the grid", .low = -2, .high = 2},
    {0},
};

static const Command command = {
    .name = "theory run",
    .summary = "Run one method once.",
    .description = "First line\nof a paragraph.\n\n  u' = -\\grad\n.period",
    .examples = "seesaw theory run --cos -0.5\n  a run\n",
    .options = table,
};

static const Command with_operands = {
    .name = "plot", .summary = "Draw figures.", .operands = "FIGURE|all", .options = table};

static void set_defaults(void) {
  verbose = cos_given = false;
  steps = 100;
  cosine = 0.5;
  scale = 1;
  output = "out.csv";
  start = "paper";
  grid = (Grid){-0.9, 0.9, 10, false};
}

static void begin_test(void) {
  set_defaults();
  scratch_make();
}

TestSuite(options, .init = begin_test, .fini = scratch_remove);

enum { ROOM = 2 };
static const char *operands[ROOM];
static size_t operand_count;
static bool done;

/* Parse words separated by blanks. */
static Status parse_as(const Command *which, const char *line) {
  static char copy[1024]; /* texts point into it, as into argv */
  char *argv[64], *rest = copy;
  int argc = 0;
  snprintf(copy, sizeof copy, "%s", line);
  for (char *word; (word = strsep(&rest, " ")) != NULL;)
    if (word[0] != '\0')
      argv[argc++] = word;
  return options_parse(which, argc, argv, operands, ROOM, &operand_count, &done);
}

static Status parse(const char *line) {
  return parse_as(&command, line);
}

static void expect_refused(const char *line, const char *sentence) {
  set_defaults();
  Status status = parse(line);
  cr_expect_eq(status.code, STATUS_USAGE, "%s", line);
  cr_expect_str_eq(status.message, sentence);
}

Test(options, nothing_given_keeps_the_defaults) {
  cr_assert_eq(parse("").code, STATUS_OK);
  cr_expect(!verbose && steps == 100 && cosine == 0.5 && !cos_given && !done && operand_count == 0);
}

Test(options, the_number_of_operands_need_not_be_asked_for) {
  char *argv[] = {"--verbose"};
  cr_expect_eq(options_parse(&command, 1, argv, NULL, 0, NULL, &done).code, STATUS_OK);
  cr_expect(verbose);
}

Test(options, each_kind_is_read) {
  cr_assert_eq(parse("--verbose --steps 7 --cos=-0.25 --output a=b --start gaussian --grid -1:1:5").code, STATUS_OK);
  cr_expect(verbose && cos_given);
  cr_expect_eq(steps, 7);
  cr_expect_eq(cosine, -0.25);
  cr_expect_str_eq(output, "a=b");
  cr_expect_str_eq(start, "gaussian");
  cr_expect(grid.low == -1 && grid.high == 1 && grid.count == 5 && !grid.geometric);
}

Test(options, negative_numbers_stand_as_words_of_their_own) {
  cr_assert_eq(parse("--cos -0.5 --grid -0.9:0.9:10").code, STATUS_OK);
  cr_expect_eq(cosine, -0.5);
  cr_expect_eq(grid.low, -0.9);
}

Test(options, the_last_of_two_wins_and_abbreviations_do) {
  cr_assert_eq(parse("--steps 7 --ste=9 --verb").code, STATUS_OK);
  cr_expect(steps == 9 && verbose);
}

Test(options, whole_numbers_have_several_spellings) {
  static const struct {
    const char *line;
    int64_t value;
  } cases[] = {{"--steps 1e6", 1000000},
               {"--steps 2.0", 2},
               {"--steps +12", 12},
               {"--steps 1.5e1", 15},
               {"--steps 9223372036854775807", INT64_MAX},
               {"--steps 9007199254740993", 9007199254740993}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cr_expect_eq(parse(cases[i].line).code, STATUS_OK, "%s", cases[i].line);
    cr_expect_eq(steps, cases[i].value, "%s", cases[i].line);
  }
}

Test(options, numbers_are_refused_with_a_sentence) {
  expect_refused("--steps ten", "--steps must be a whole number, not 'ten'");
  expect_refused("--steps 1.5", "--steps must be a whole number, not '1.5'");
  expect_refused("--steps=", "--steps must be a whole number, not ''");
  expect_refused("--steps 7x", "--steps must be a whole number, not '7x'");
  expect_refused("--steps nan", "--steps must be a whole number, not 'nan'");
  expect_refused("--steps 1e30",
                 "--steps must be a whole number that fits in 64 bits (1e15 and the like: in 53 bits), not '1e30'");
  expect_refused("--steps 9223372036854775808",
                 "--steps must be a whole number that fits in 64 bits (1e15 and the like: "
                 "in 53 bits), not '9223372036854775808'");
  expect_refused("--steps 0", "--steps must be at least 1, not 0");
  expect_refused("--cos 1.5", "--cos must lie strictly between -1 and 1, not 1.5");
  expect_refused("--cos 1", "--cos must lie strictly between -1 and 1, not 1");
  expect_refused("--cos half", "--cos must be a number, not 'half'");
  expect_refused("--cos 0,5", "--cos must be a number, not '0,5'");
  expect_refused("--cos 0x1p-1", "--cos must be a number, not '0x1p-1'");
  expect_refused("--scale nan", "--scale must be a finite number, not 'nan'");
  expect_refused("--scale -inf", "--scale must be a finite number, not '-inf'");
  expect_refused("--scale 1e999", "--scale must be a finite number, not '1e999'");
}

Test(options, blanks_around_a_number_are_refused) {
  char *argv[] = {"--scale", " 1"};
  Status status = options_parse(&command, 2, argv, NULL, 0, &operand_count, &done);
  cr_expect_str_eq(status.message, "--scale must be a number, not ' 1'");
}

Test(options, every_range_has_its_words) {
  static const struct {
    double low, high;
    bool open;
    const char *sentence;
  } cases[] = {{0, INFINITY, true, "--x must be greater than 0, not -1000"},
               {0, INFINITY, false, "--x must be at least 0, not -1000"},
               {-INFINITY, -2000, true, "--x must be less than -2000, not -1000"},
               {-INFINITY, -2000, false, "--x must be at most -2000, not -1000"},
               {1, 10, false, "--x must lie between 1 and 10, not -1000"},
               {1, 10, true, "--x must lie strictly between 1 and 10, not -1000"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double x = 0;
    const Option options[] = {{.name = "x",
                               .kind = OPTION_REAL,
                               .value = &x,
                               .help = "",
                               .low = cases[i].low,
                               .high = cases[i].high,
                               .open = cases[i].open},
                              {0}};
    const Command one = {.name = "one", .summary = "", .options = options};
    Status status = parse_as(&one, "--x -1000");
    cr_expect_eq(status.code, STATUS_USAGE);
    cr_expect_str_eq(status.message, cases[i].sentence);
  }
}

Test(options, a_range_without_ends_accepts_everything) {
  double x = 0;
  const Option options[] = {
      {.name = "x", .kind = OPTION_REAL, .value = &x, .help = "", .low = -INFINITY, .high = INFINITY}, {0}};
  const Command one = {.name = "one", .summary = "", .options = options};
  cr_expect_eq(parse_as(&one, "--x -1e300").code, STATUS_OK);
  cr_expect_eq(x, -1e300);
}

Test(options, words_are_refused_with_the_nearest) {
  expect_refused("--stesp 1", "unknown option --stesp; did you mean --steps?");
  expect_refused("--confg=x", "unknown option --confg; did you mean --config?");
  expect_refused("--frobnicate", "unknown option --frobnicate; see seesaw theory run --help");
  expect_refused("--start papr", "--start must be one of paper, gaussian, file, not 'papr'; did you mean 'paper'?");
  expect_refused("--start xyzzy", "--start must be one of paper, gaussian, file, not 'xyzzy'");
  expect_refused("--start pape", "--start must be one of paper, gaussian, file, not 'pape'; did you mean 'paper'?");
  expect_refused("--start=", "--start must be one of paper, gaussian, file, not ''");
  expect_refused("--start paper,file", "--start must be one of paper, gaussian, file, not 'paper,file'");
  expect_refused("--st 1", "--st is ambiguous: --steps or --start");
  expect_refused("-x", "unknown option -x; options are written with two dashes, see seesaw theory run --help");
  expect_refused("-\x01", "unknown option -?; options are written with two dashes, see seesaw theory run --help");
}

Test(options, a_refused_line_leaves_nothing_for_the_next) {
  cr_expect_eq(parse("-xh").code, STATUS_USAGE);
  cr_expect_eq(parse("--verbose").code, STATUS_OK);
  cr_expect(verbose && !done);
}

Test(options, missing_and_needless_arguments_are_refused) {
  expect_refused("--output", "--output needs an argument (FILE)");
  expect_refused("--cos", "--cos needs an argument (X)");
  expect_refused("--verbose=1", "--verbose takes no argument");
  expect_refused("--output --steps",
                 "--output needs an argument (FILE), and --steps looks like an option; if you mean it, write "
                 "--output=--steps");
  cr_expect_eq(parse("--output=--steps").code, STATUS_OK);
  cr_expect_str_eq(output, "--steps");
}

Test(options, operands_are_gathered) {
  cr_assert_eq(parse_as(&with_operands, "one --steps 3 -- -two").code, STATUS_OK);
  cr_assert_eq(operand_count, 2);
  cr_expect_str_eq(operands[0], "one");
  cr_expect_str_eq(operands[1], "-two");
  Status status = parse_as(&with_operands, "one two three");
  cr_expect_eq(status.code, STATUS_USAGE);
  cr_expect_str_eq(status.message, "unexpected 'three': seesaw plot takes FIGURE|all");
  expect_refused("stray", "unexpected 'stray': seesaw theory run takes options only");
  cr_assert_eq(parse_as(&with_operands, "-").code, STATUS_OK);
  cr_expect_str_eq(operands[0], "-");
}

Test(options, grids_are_read_and_refused) {
  cr_assert_eq(parse("--grid 0.5").code, STATUS_OK);
  cr_expect(grid.low == 0.5 && grid.high == 0.5 && grid.count == 1);
  cr_assert_eq(parse("--grid log:0.001:1:4").code, STATUS_OK);
  cr_expect(grid.geometric && grid.count == 4);
  cr_assert_eq(parse("--grid 1:-1:3").code, STATUS_OK, "downwards");
  static const char *const malformed[] = {"1:2",   "1:2:3:4", "log:1:2", "log:1", "1:2:0",     "1:2:-3",  "1:2:2.5",
                                          "a:2:3", "1:2:3:",  ":",       "1::3",  "lin:1:2:3", "1:2:1e10"};
  for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
    char line[64], sentence[256];
    snprintf(line, sizeof line, "--grid %s", malformed[i]);
    snprintf(sentence, sizeof sentence, "--grid must be a number, LOW:HIGH:COUNT or log:LOW:HIGH:COUNT, not '%s'",
             malformed[i]);
    expect_refused(line, sentence);
  }
  expect_refused("--grid 1:2:1", "--grid must be a grid of at least two points when its ends differ, not '1:2:1'");
  expect_refused("--grid nan", "--grid must be a grid of finite numbers, at most 1e290 in size, not 'nan'");
  expect_refused("--grid 0:1e300:3", "--grid must be a grid of finite numbers, at most 1e290 in size, not '0:1e300:3'");
  expect_refused("--grid log:0:1:3", "--grid must be a grid with positive ends when it is geometric, not 'log:0:1:3'");
  expect_refused("--grid 0:3:4", "--grid must lie between -2 and 2, not 0:3:4");
  expect_refused("--grid -3:0:4", "--grid must lie between -2 and 2, not -3:0:4");
}

Test(options, a_grid_has_exact_ends_and_even_points) {
  Grid linear = {-0.9, 0.9, 10, false}, decades = {1e-3, 1e3, 7, true}, single = {0.3, 0.3, 1, false};
  cr_expect_eq(grid_point(&linear, 0), -0.9);
  cr_expect_eq(grid_point(&linear, 9), 0.9);
  for (size_t i = 0; i < 10; i++) {
    cr_expect_float_eq(grid_point(&linear, i), -0.9 + 0.2 * (double)i, 1e-15);
    cr_expect_eq(grid_point(&linear, i), -grid_point(&linear, 9 - i), "symmetric");
  }
  for (size_t i = 0; i < 7; i++)
    cr_expect_float_eq(grid_point(&decades, i) / pow(10, (double)i - 3), 1, 1e-14);
  cr_expect_eq(grid_point(&decades, 6), 1e3);
  cr_expect_eq(grid_point(&single, 0), 0.3);
}

/* ---- The config file ---- */

static Status parse_with_config(const char *text, const char *line) {
  char whole[1024];
  snprintf(whole, sizeof whole, "--config %s %s", scratch_text("c.ini", text), line);
  return parse(whole);
}

static void expect_bad_config(const char *text, const char *sentence) {
  set_defaults();
  Status status = parse_with_config(text, "");
  cr_expect_eq(status.code, STATUS_INPUT);
  const char *tail = strstr(status.message, "c.ini: ");
  cr_assert_not_null(tail, "%s", status.message);
  cr_expect_str_eq(tail + strlen("c.ini: "), sentence);
}

Test(options, a_config_file_sets_options) {
  cr_assert_eq(parse_with_config("; a comment\n# another\n[theory run]\n  steps = 1e3 ; inline\ncos: -0.5\n"
                                 "verbose = yes\noutput=a b.csv\nstart = file\r\n\tgrid = log:0.1:1:3",
                                 "")
                   .code,
               STATUS_OK);
  cr_expect(steps == 1000 && cosine == -0.5 && verbose && cos_given);
  cr_expect_str_eq(output, "a b.csv");
  cr_expect_str_eq(start, "file");
  cr_expect(grid.geometric);
}

Test(options, the_command_line_wins_over_the_config) {
  cr_assert_eq(parse_with_config("[theory run]\nsteps = 5\nscale = 3\n", "--steps 6").code, STATUS_OK);
  cr_expect_eq(steps, 6);
  cr_expect_eq(scale, 3);
}

Test(options, flags_in_a_config_have_words) {
  verbose = true;
  cr_assert_eq(parse_with_config("[theory run]\nverbose = false\n", "").code, STATUS_OK);
  cr_expect(!verbose);
  cr_assert_eq(parse_with_config("[theory run]\nverbose = true\n", "").code, STATUS_OK);
  cr_expect(verbose);
  expect_bad_config("[theory run]\nverbose = 1\n", "line 2: verbose must be yes or no, not '1'");
}

Test(options, a_bad_config_is_told_with_its_line) {
  expect_bad_config("[theory run]\n\nsteps = ten\n", "line 3: steps must be a whole number, not 'ten'");
  expect_bad_config("[theory run]\nstesp = 1\n", "line 2: unknown key 'stesp'; did you mean 'steps'?");
  expect_bad_config("[theory run]\nqwertz = 1\n", "line 2: unknown key 'qwertz'");
  expect_bad_config("[theory run]\nconfig = x\n", "line 2: unknown key 'config'; did you mean 'config'?");
  expect_bad_config("[theory runs]\nsteps = 1\n", "line 2: the section must be [theory run], not [theory runs]");
  expect_bad_config("steps = 1\n", "line 1: the section must be [theory run], not []");
  expect_bad_config("[theory run]\nsteps = 1\nnonsense\ncos = 7\n",
                    "line 4: cos must lie strictly between -1 and 1, not 7");
  expect_bad_config("[theory run]\nnonsense\n", "line 2 is not a [section], a 'key = value' or a ; comment");
  expect_bad_config("[theory run\n", "line 1 is not a [section], a 'key = value' or a ; comment");
  expect_bad_config("[theory run]\nsteps = 1\nsteps = 2\n", "line 3: 'steps' is there twice");
  char longer[400] = "[theory run]\noutput = ";
  memset(longer + strlen(longer), 'x', 300);
  expect_bad_config(longer, "line 2 is longer than the 198 bytes a line may have");
}

Test(options, a_config_that_is_no_text_file_is_refused) {
  char line[512];
  snprintf(line, sizeof line, "--config %s", scratch_write("zero.ini", "[theory run]\0\n", 14));
  Status status = parse(line);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "zero.ini: a zero byte is there");
  snprintf(line, sizeof line, "--config %s", scratch_path("none.ini"));
  status = parse(line);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "none.ini: No such file");
}

Test(options, a_config_alone_is_a_parse_of_its_own) {
  cr_assert_eq(parse_as(&with_operands, "--steps 6 word").code, STATUS_OK);
  cr_assert_eq(options_config(&with_operands, "text", "[plot]\nscale = 3\n").code, STATUS_OK);
  cr_expect_eq(scale, 3);
  char *line = options_line(&with_operands);
  cr_expect_str_eq(line, "seesaw plot --scale=3");
  free(line);
}

/* ---- The line again ---- */

static void expect_line(const Command *which, const char *expected) {
  char *line = options_line(which);
  cr_expect_str_eq(line, expected);
  free(line);
}

Test(options, the_line_repeats_what_was_given) {
  cr_assert_eq(parse("").code, STATUS_OK);
  expect_line(&command, "seesaw theory run");
  cr_assert_eq(parse_with_config("[theory run]\nsteps = 1e3\noutput = it's here.csv\nverbose = no\n",
                                 "--grid log:0.1:1:3 --cos 0.1")
                   .code,
               STATUS_OK);
  expect_line(&command, "seesaw theory run --steps=1000 --cos=0.1 --output='it'\\''s here.csv' --grid=log:0.1:1:3");
  cr_assert_eq(parse_as(&with_operands, "--verbose b --grid 0.5 a --start file").code, STATUS_OK);
  expect_line(&with_operands, "seesaw plot --verbose --start=file --grid=0.5 b a");
  cr_assert_eq(parse_as(&with_operands, "-- a -b").code, STATUS_OK);
  expect_line(&with_operands, "seesaw plot -- a -b");
  cr_assert_eq(parse("--output= --scale 0.30000000000000004").code, STATUS_OK);
  expect_line(&command, "seesaw theory run --scale=0.30000000000000004 --output=''");
}

static void line_without_parse(void) {
  free(options_line(&command));
}

Test(options, a_line_without_a_parse_stops) {
  char text[512];
  cr_expect_eq(WTERMSIG(in_child(line_without_parse, STDERR_FILENO, text, sizeof text)), SIGABRT);
  expect_contains(text, "options_line comes after options_parse");
}

/* ---- Help and man page ---- */

static void print_help(void) {
  if (parse("--steps 5 --cos 0.1 -h").code != STATUS_OK || !done)
    _exit(9);
}

Test(options, help_shows_everything_with_the_defaults) {
  char text[8192];
  cr_assert_eq(in_child(print_help, STDOUT_FILENO, text, sizeof text), 0);
  cr_expect_str_eq(text, "Usage: seesaw theory run [OPTION]...\n"
                         "Run one method once.\n"
                         "\n"
                         "First line of a paragraph.\n"
                         "\n"
                         "  u' = -\\grad\n"
                         ".period\n"
                         "\n"
                         "Options:\n"
                         "  --verbose      say more\n"
                         "  --steps=N      steps to take, a sentence that is long enough to be wrapped\n"
                         "                 onto a second line (default 100; at least 1)\n"
                         "  --cos=X        the cosine (default 0.5; strictly between -1 and 1)\n"
                         "  --scale=X      any number (default 1)\n"
                         "  --output=FILE  where to write (default out.csv)\n"
                         "  --start=NAME   the start: paper, gaussian, file (default paper)\n"
                         "  --grid=GRID    the grid (default -0.9:0.9:10; between -2 and 2)\n"
                         "  --help         print this help and stop\n"
                         "  --man          print this command's man page and stop\n"
                         "  --config=FILE  read options from the INI file FILE; the command line wins\n"
                         "\n"
                         "Examples:\n"
                         "  seesaw theory run --cos -0.5\n"
                         "    a run\n");
}

Test(options, help_wins_over_bad_values_and_leaves_out_empty_defaults) {
  cr_assert_eq(freopen("/dev/null", "w", stdout), stdout);
  cr_expect_eq(parse("--steps ten --help").code, STATUS_OK);
  cr_expect(done);
  char *text = NULL;
  size_t size;
  output = NULL;
  FILE *stream = open_memstream(&text, &size);
  options_help(&with_operands, stream);
  fclose(stream);
  expect_contains(text, "Usage: seesaw plot [OPTION]... FIGURE|all\n");
  expect_contains(text, "where to write\n");
  cr_expect_null(strstr(text, "\033"), "no colours in a file");
  free(text);
}

Test(options, no_line_of_help_is_wider_than_eighty) {
  char *text = NULL, *rest;
  size_t size;
  const Option options[] = {
      {.name = "a-name-so-long-that-it-stands-alone",
       .kind = OPTION_TEXT,
       .value = &output,
       .help = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"},
      {.name = "a-longer-name", .kind = OPTION_REAL, .value = &scale, .help = "a real"},
      {0}};
  const Command wide = {.name = "wide",
                        .summary = "Words words words words words words words words words words words.",
                        .description = "Words words words words words words words words words words words words words "
                                       "words words words words.",
                        .options = options};
  FILE *stream = open_memstream(&text, &size);
  options_help(&wide, stream);
  fclose(stream);
  rest = text;
  for (char *line; (line = strsep(&rest, "\n")) != NULL;)
    cr_expect_leq(strlen(line), 80, "%s", line);
  free(text);
}

static void print_help_to_a_full_device(void) {
  if (freopen("/dev/full", "w", stdout) == NULL)
    _exit(9);
  Status status = parse("--help");
  fprintf(stderr, "%d %s", status.code, status.message);
}

Test(options, help_that_cannot_be_printed_is_an_output_error) {
  char text[512];
  in_child(print_help_to_a_full_device, STDERR_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "4 cannot write standard output: No space left on device");
}

static void print_man(void) {
  if (parse("--man").code != STATUS_OK || !done)
    _exit(9);
}

/* It then means what the command says, and appears once. */
Test(options, a_command_may_have_a_config_of_its_own) {
  const char *own = "none";
  const Option rows[] = {{.name = "config", .kind = OPTION_TEXT, .value = &own, .argument = "NAME", .help = "sizes"},
                         {0}};
  const Command with_own = {.name = "model init", .summary = "Make one.", .options = rows};
  char *words[] = {"--config", "tiny"}, text[4096] = "";
  size_t count;
  bool ended;
  cr_assert_eq(options_parse(&with_own, 2, words, NULL, 0, &count, &ended).code, STATUS_OK);
  cr_expect_str_eq(own, "tiny");
  FILE *stream = fmemopen(text, sizeof text - 1, "w");
  options_help(&with_own, stream);
  fclose(stream);
  cr_expect_not_null(strstr(text, "--config=NAME"));
  cr_expect_null(strstr(text, "--config=FILE"));
}

Test(options, the_man_page_is_escaped) {
  char text[8192];
  cr_assert_eq(in_child(print_man, STDOUT_FILENO, text, sizeof text), 0);
  expect_contains(text, ".TH SEESAW\\-THEORY\\-RUN 1 ");
  expect_contains(text, "seesaw\\-theory\\-run \\- Run one method once.\n");
  expect_contains(text, "\n\\&.period\n");
  expect_contains(text, "  u' = \\-\\egrad\n");
  expect_contains(text, ".TP\n\\fB\\-\\-cos\\fR=\\fIX\\fR\nthe cosine (default 0.5; strictly between \\-1 and 1)\n");
  expect_contains(text, "seesaw theory run \\-\\-cos \\-0.5\n");
}

Test(options, the_man_page_names_the_operands) {
  char *text = NULL;
  size_t size;
  FILE *stream = open_memstream(&text, &size);
  options_man(&with_operands, stream);
  fclose(stream);
  expect_contains(text, ".SH SYNOPSIS\n\\fBseesaw plot\\fR [\\fIOPTION\\fR]... \\fIFIGURE|all\\fR\n");
  cr_expect_null(strstr(text, ".SH EXAMPLES"));
  free(text);
}

Test(options, mandoc_finds_no_fault) {
  char text[8192];
  if (system("command -v mandoc >/dev/null 2>&1") != 0)
    cr_skip_test("mandoc is not there");
  cr_assert_eq(in_child(print_man, STDOUT_FILENO, text, sizeof text), 0);
  char line[600];
  snprintf(line, sizeof line, "mandoc -T lint -W warning %s > %s", scratch_text("page.1", text), scratch_path("lint"));
  (void)!system(line);
  scratch_read(scratch_path("lint"), text, sizeof text);
  char *rest = text;
  for (char *fault; (fault = strsep(&rest, "\n")) != NULL;)
    cr_expect(fault[0] == '\0' || strstr(fault, "missing date") != NULL, "%s",
              fault); /* a page has no date of its own */
}

Test(options, the_nearest_name_is_close_or_none) {
  char nearest[16];
  cr_expect(options_nearest("gdd", "gd,altgd,als", nearest, sizeof nearest));
  cr_expect_str_eq(nearest, "gd");
  cr_expect(options_nearest("alst", "gd,altgd,als", nearest, sizeof nearest));
  cr_expect_str_eq(nearest, "als");
  cr_expect(options_nearest("momnetum", "gd,momentum", nearest, sizeof nearest), "two letters swapped");
  cr_expect_not(options_nearest("", "gd,als", nearest, sizeof nearest));
  cr_expect_not(options_nearest("xyz", "gd,als", nearest, sizeof nearest));
  cr_expect_not(options_nearest("gd", "", nearest, sizeof nearest));
  char word[100] = "";
  memset(word, 'a', sizeof word - 1);
  cr_expect_not(options_nearest(word, "a,aa", nearest, sizeof nearest), "too long to compare");
}
