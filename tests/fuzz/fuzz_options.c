/* fuzz_options.c: any bytes as a command line (words end at line breaks or zero bytes) and as a config file, for a
 * command with every kind of option. What is accepted must lie in its range and print as a command line. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum { MOST_WORDS = 24, ROOM = 3 };

static bool flag;
static int64_t integer;
static double real;
static const char *text, *choice;
static Grid grid;

static const Option table[] = {
    {.name = "flag", .kind = OPTION_FLAG, .value = &flag, .help = "a flag"},
    {.name = "integer", .kind = OPTION_INTEGER, .value = &integer, .help = "an integer", .low = -5, .high = 1e9},
    {.name = "real", .kind = OPTION_REAL, .value = &real, .help = "a real", .low = -1, .high = 1, .open = true},
    {.name = "text", .kind = OPTION_TEXT, .value = &text, .help = "a text"},
    {.name = "choice", .kind = OPTION_CHOICE, .value = &choice, .help = "a choice", .choices = "paper,gaussian,file"},
    {.name = "grid", .kind = OPTION_GRID, .value = &grid, .help = "a grid", .low = -INFINITY, .high = 100},
    {0},
};

static const Command command = {.name = "fuzz", .summary = "Fuzz.", .operands = "WORD...", .options = table};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Help and man pages go nowhere. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  return freopen("/dev/null", "w", stdout) == NULL;
}

static void set_defaults(void) {
  flag = false;
  integer = 0;
  real = 0;
  text = "";
  choice = "file";
  grid = (Grid){0, 1, 5, false};
}

static void check_values(void) {
  REQUIRE(integer >= -5 && integer <= 1000000000, "the integer is %jd", (intmax_t)integer);
  REQUIRE(real > -1 && real < 1, "the real is %g", real);
  REQUIRE(strcmp(choice, "paper") == 0 || strcmp(choice, "gaussian") == 0 || strcmp(choice, "file") == 0,
          "the choice is %s", choice);
  REQUIRE(grid.count >= 1, "the grid is empty");
  for (size_t i = 0; i < 4 && i < grid.count; i++)
    REQUIRE(isfinite(grid_point(&grid, i)), "point %zu", i);
  char *line = options_line(&command);
  REQUIRE(line != NULL && strncmp(line, "seesaw fuzz", 11) == 0, "the line is %s", line);
  free(line);
}

static void read_line(char *words, size_t size) {
  char *argv[MOST_WORDS];
  const char *operands[ROOM];
  int argc = 0;
  size_t count;
  bool done;
  for (char *word = words; word < words + size && argc < MOST_WORDS; word += strlen(word) + 1)
    argv[argc++] = word;
  set_defaults();
  Status status = options_parse(&command, argc, argv, operands, ROOM, &count, &done);
  if (status.code == STATUS_OK && !done)
    check_values();
  else
    REQUIRE(done || status.code == STATUS_USAGE || status.code == STATUS_INPUT, "unexpected: %s", status.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *copy = malloc(size + 1);
  if (copy == NULL)
    return 0;
  memcpy(copy, data, size);
  copy[size] = '\0';
  set_defaults();
  if (options_config(&command, "config", copy).code == STATUS_OK)
    check_values();
  for (size_t i = 0; i < size; i++)
    if (copy[i] == '\n')
      copy[i] = '\0';
  read_line(copy, size);
  free(copy);
  return 0;
}
