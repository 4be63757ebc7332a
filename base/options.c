/* options.c: the command line and the config file, read by one table.
 *
 * getopt_long splits the line, inih the file; both end in option_set. Everything is split before anything is stored, so
 * that --help prints the defaults wherever it stands. */
#include "options.h"

#include <getopt.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "number.h"
#include "options_internal.h"

const Option options_builtin[BUILTIN_COUNT] = {
    [BUILTIN_HELP] = {.name = "help", .kind = OPTION_FLAG, .help = "print this help and stop"},
    [BUILTIN_MAN] = {.name = "man", .kind = OPTION_FLAG, .help = "print this command's man page and stop"},
    [BUILTIN_CONFIG] = {.name = "config",
                        .kind = OPTION_TEXT,
                        .argument = "FILE",
                        .help = "read options from the INI file FILE; the command line wins"},
};

enum { FIRST_VALUE = 256 }; /* what getopt_long returns for option 0; above every character */

static const size_t LARGEST_CONFIG = (size_t)1 << 20;

/* What the last parse found, for options_line. */
static struct {
  const Command *command;
  bool *given;          /* one a row of the table */
  const char **operand; /* the operands, in order */
  size_t operands;
} last;

/* Texts from config files, kept as long as the program. */
typedef struct Kept {
  struct Kept *next;
  char text[];
} Kept;
static Kept *kept;

static const char *keep(const char *text) {
  size_t size = strlen(text) + 1;
  Kept *item = malloc(sizeof *item + size);
  if (item == NULL)
    return NULL;
  memcpy(item->text, text, size);
  item->next = kept;
  kept = item;
  return item->text;
}

static Status no_memory(void) {
  return status_error(STATUS_MEMORY, "not enough memory to read the options");
}

size_t options_count(const Command *command) {
  size_t count = 0;
  while (command->options[count].name != NULL)
    count++;
  return count;
}

bool options_shadowed(const Command *command, size_t builtin) {
  for (const Option *option = command->options; option->name != NULL; option++)
    if (strcmp(option->name, options_builtin[builtin].name) == 0)
      return true;
  return false;
}

/* A row by its number: the command's own, then the built-in ones. */
static const Option *option_at(const Command *command, size_t row) {
  size_t count = options_count(command);
  return row < count ? &command->options[row] : &options_builtin[row - count];
}

static Status begin(const Command *command, size_t words) {
  free(last.given);
  free(last.operand);
  last.command = command;
  last.operands = 0;
  last.given = calloc(options_count(command) + 1, sizeof *last.given);
  last.operand = calloc(words + 1, sizeof *last.operand);
  return last.given != NULL && last.operand != NULL ? status_ok() : no_memory();
}

static Status store(const Command *command, size_t row, const char *text, const char *prefix, StatusCode code) {
  const Option *option = &command->options[row];
  TRY(option_set(option, text, prefix, code));
  last.given[row] = true;
  if (option->given != NULL)
    *option->given = true;
  return status_ok();
}

/* ---- The nearest name ---- */

enum { LONGEST_WORD = 40 };

static size_t least(size_t a, size_t b, size_t c) {
  size_t smaller = a < b ? a : b;
  return smaller < c ? smaller : c;
}

/* How many letters to insert, delete, replace or swap with their neighbour to make `a` of `b`. */
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size) {
  size_t rows[3][LONGEST_WORD + 1], *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= b_size; j++)
    above[j] = j;
  for (size_t i = 1; i <= a_size; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b_size; j++) {
      row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
        row[j] = before[j - 2] + 1;
    }
    size_t *oldest = before;
    before = above, above = row, row = oldest;
  }
  return above[b_size];
}

bool options_nearest(const char *word, const char *names, char *nearest, size_t size) {
  size_t length = strlen(word), closest = 2 + length / 4; /* less than this counts as close */
  bool found = false;
  if (length == 0 || length > LONGEST_WORD)
    return false;
  while (*names != '\0') {
    size_t name = strcspn(names, ",");
    size_t distance = name <= LONGEST_WORD ? edit_distance(word, length, names, name) : closest;
    if (distance < closest && distance < name) {
      closest = distance;
      snprintf(nearest, size, "%.*s", (int)name, names);
      found = true;
    }
    names += name + (names[name] == ',');
  }
  return found;
}

/* The nearest option of the command; false if none is close. */
static bool nearest_option(const Command *command, const char *word, char *nearest, size_t size) {
  char *names = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&names, &length);
  if (stream == NULL)
    return false;
  for (size_t row = 0; row < options_count(command) + BUILTIN_COUNT; row++)
    fprintf(stream, "%s%s", row > 0 ? "," : "", option_at(command, row)->name);
  fclose(stream);
  bool found = names != NULL && options_nearest(word, names, nearest, size);
  free(names);
  return found;
}

/* ---- The command line ---- */

/* A command line split into words: what was given to each row (NULL: nothing), operands in last. */
typedef struct Line {
  const Command *command;
  struct option *table;
  const char **arguments;
  char **words; /* a name for getopt_long to skip, the words, NULL */
  int count;    /* of words, with the name */
} Line;

static void line_free(Line *line) {
  free(line->table);
  free(line->arguments);
  free(line->words);
}

static Status line_alloc(Line *line, const Command *command, int argc, char **argv) {
  static char program[] = "seesaw";
  size_t rows = options_count(command) + BUILTIN_COUNT, words = (size_t)argc;
  *line = (Line){.command = command, .count = argc + 1};
  line->table = calloc(rows + 1, sizeof *line->table);
  line->arguments = calloc(rows, sizeof *line->arguments);
  line->words = calloc(words + 2, sizeof *line->words);
  if (line->table == NULL || line->arguments == NULL || line->words == NULL)
    return no_memory();
  for (size_t row = 0; row < rows; row++) {
    const Option *option = option_at(command, row);
    line->table[row].name = option->name;
    line->table[row].has_arg = option->kind == OPTION_FLAG ? no_argument : required_argument;
    line->table[row].val = FIRST_VALUE + (int)row;
  }
  line->words[0] = program;
  for (size_t i = 0; i < words; i++)
    line->words[i + 1] = argv[i];
  return status_ok();
}

/* The sentence for a long option that getopt_long does not know, or knows several of. */
static Status unknown_option(const Line *line, const char *word) {
  char nearest[64], quoted[QUOTE_ROOM];
  const char *name = word + strspn(word, "-");
  size_t length = strcspn(name, "="), matches = 0;
  Status status = status_error(STATUS_USAGE, "--%s is ambiguous:", quote_printable(name, length, quoted));
  for (size_t row = 0; line->table[row].name != NULL; row++) {
    if (strncmp(line->table[row].name, name, length) != 0)
      continue;
    size_t used = strlen(status.message);
    snprintf(status.message + used, sizeof status.message - used, "%s --%s", matches++ > 0 ? " or" : "",
             line->table[row].name);
  }
  if (length > 0 && matches > 1)
    return status;
  char *alone = strndup(name, length);
  bool close = alone != NULL && nearest_option(line->command, alone, nearest, sizeof nearest);
  free(alone);
  if (close)
    return status_error(STATUS_USAGE, "unknown option --%s; did you mean --%s?", quoted, nearest);
  return status_error(STATUS_USAGE, "unknown option --%s; see seesaw %s --help", quoted, line->command->name);
}

/* The sentence for getopt_long's '?': optopt tells a known option, a letter, or (zero) an unknown name. */
static Status refused_word(const Line *line) {
  char letter = (char)optopt, quoted[QUOTE_ROOM];
  if (optopt >= FIRST_VALUE)
    return status_error(STATUS_USAGE, "--%s takes no argument", line->table[optopt - FIRST_VALUE].name);
  if (optopt != 0)
    return status_error(STATUS_USAGE, "unknown option -%s; options are written with two dashes, see seesaw %s --help",
                        quote_printable(&letter, 1, quoted), line->command->name);
  return unknown_option(line, line->words[optind - 1]);
}

/* A word that looks like the next option is hardly this one's argument: it was forgotten. */
static Status check_argument(const Line *line, const Option *option) {
  bool separate = optarg == line->words[optind - 1];
  if (separate && strncmp(optarg, "--", 2) == 0) {
    char quoted[QUOTE_ROOM];
    quote_printable(optarg, strlen(optarg), quoted);
    return status_error(STATUS_USAGE,
                        "--%s needs an argument (%s), and %s looks like an option; if you mean it, write --%s=%s",
                        option->name, option_argument(option), quoted, option->name, quoted);
  }
  return status_ok();
}

static Status line_split(Line *line) {
  optind = 0; /* start afresh; glibc forgets the last line */
  opterr = 0;
  for (int got; (got = getopt_long(line->count, line->words, ":h", line->table, NULL)) != -1;) {
    if (got == 'h')
      got = FIRST_VALUE + (int)options_count(line->command) + BUILTIN_HELP;
    if (got == '?')
      return refused_word(line);
    if (got == ':') {
      const Option *option = option_at(line->command, (size_t)(optopt - FIRST_VALUE));
      return status_error(STATUS_USAGE, "--%s needs an argument (%s)", option->name, option_argument(option));
    }
    size_t row = (size_t)(got - FIRST_VALUE);
    if (optarg != NULL)
      TRY(check_argument(line, option_at(line->command, row)));
    line->arguments[row] = optarg != NULL ? optarg : "yes";
  }
  for (int i = optind; i < line->count; i++)
    last.operand[last.operands++] = line->words[i];
  return status_ok();
}

static Status hand_out_operands(const Command *command, const char **operands, size_t room, size_t *count) {
  char quoted[QUOTE_ROOM];
  size_t allowed = command->operands != NULL ? room : 0;
  if (last.operands > allowed) {
    const char *extra = last.operand[allowed];
    quote_printable(extra, strlen(extra), quoted);
    if (allowed == 0)
      return status_error(STATUS_USAGE, "unexpected '%s': seesaw %s takes options only", quoted, command->name);
    return status_error(STATUS_USAGE, "unexpected '%s': seesaw %s takes %s", quoted, command->name, command->operands);
  }
  for (size_t i = 0; i < last.operands; i++)
    operands[i] = last.operand[i];
  *count = last.operands;
  return status_ok();
}

/* ---- The config file ---- */

/* A config's text, handed to inih line by line, so that we know which line it is at. */
typedef struct Config {
  const Command *command;
  const char *name, *rest;
  bool *seen; /* one a row: its key was there */
  int line;
  Status status; /* the first failure; it ends the reading */
} Config;

static Status key_unknown(const Config *config, const char *key) {
  char nearest[64], quoted[QUOTE_ROOM];
  bool close = nearest_option(config->command, key, nearest, sizeof nearest);
  return status_error(STATUS_INPUT, "%s: line %d: unknown key '%s'%s%s%s", config->name, config->line,
                      quote_printable(key, strlen(key), quoted), close ? "; did you mean '" : "", close ? nearest : "",
                      close ? "'?" : "");
}

/* A value that was refused, with its place in front of the sentence. */
static Status at_line(const Config *config, Status status) {
  if (status.code == STATUS_OK)
    return status;
  return status_error(status.code, "%s: line %d: %s", config->name, config->line, status.message);
}

static Status apply_key(Config *config, const char *section, const char *key, const char *value) {
  char quoted[QUOTE_ROOM];
  const Command *command = config->command;
  if (strcmp(section, command->name) != 0)
    return status_error(STATUS_INPUT, "%s: line %d: the section must be [%s], not [%s]", config->name, config->line,
                        command->name, quote_printable(section, strlen(section), quoted));
  size_t row = 0;
  while (command->options[row].name != NULL && strcmp(command->options[row].name, key) != 0)
    row++;
  if (command->options[row].name == NULL)
    return key_unknown(config, key);
  if (config->seen[row])
    return status_error(STATUS_INPUT, "%s: line %d: '%s' is there twice", config->name, config->line, key);
  config->seen[row] = true;
  OptionKind kind = command->options[row].kind;
  const char *lasting = kind == OPTION_TEXT || kind == OPTION_CHOICE ? keep(value) : value;
  if (lasting == NULL)
    return no_memory();
  return at_line(config, store(command, row, lasting, "", STATUS_INPUT));
}

static int handle_key(void *user, const char *section, const char *key, const char *value) {
  Config *config = user;
  if (config->status.code == STATUS_OK)
    config->status = apply_key(config, section, key, value);
  return config->status.code == STATUS_OK;
}

/* inih's reader, like fgets. Blanks in front are skipped, else inih would take the line for more of the value above. */
static char *next_line(char *buffer, int size, void *user) {
  Config *config = user;
  if (config->status.code != STATUS_OK || *config->rest == '\0')
    return NULL;
  config->line++;
  config->rest += strspn(config->rest, " \t");
  size_t length = strcspn(config->rest, "\n");
  if (length + 2 > (size_t)size) {
    config->status = status_error(STATUS_INPUT, "%s: line %d is longer than the %d bytes a line may have", config->name,
                                  config->line, size - 2);
    return NULL;
  }
  memcpy(buffer, config->rest, length);
  buffer[length] = '\0';
  config->rest += length + (config->rest[length] == '\n');
  return buffer;
}

static Status apply_config(const Command *command, const char *name, const char *text) {
  Config config = {.command = command, .name = name, .rest = text, .status = status_ok()};
  config.seen = calloc(options_count(command) + 1, sizeof *config.seen);
  if (config.seen == NULL)
    return no_memory();
  int wrong = ini_parse_stream(next_line, &config, handle_key, &config);
  free(config.seen);
  if (config.status.code == STATUS_OK && wrong != 0)
    return status_error(STATUS_INPUT, "%s: line %d is not a [section], a 'key = value' or a ; comment", name, wrong);
  return config.status;
}

Status options_config(const Command *command, const char *name, const char *text) {
  TRY(begin(command, 0));
  return apply_config(command, name, text);
}

static Status read_config(const Command *command, const char *path) {
  unsigned char *bytes;
  size_t size;
  TRY(file_read(path, LARGEST_CONFIG, &bytes, &size));
  Status status = strlen((char *)bytes) == size
                      ? apply_config(command, path, (char *)bytes)
                      : status_error(STATUS_INPUT, "%s: a zero byte is there; this is not a text file", path);
  free(bytes);
  return status;
}

/* ---- Both ---- */

/* The file first, then the line over it. */
static Status apply(const Line *line) {
  const Command *command = line->command;
  size_t count = options_count(command);
  if (line->arguments[count + BUILTIN_CONFIG] != NULL)
    TRY(read_config(command, line->arguments[count + BUILTIN_CONFIG]));
  for (size_t row = 0; row < count; row++)
    if (line->arguments[row] != NULL)
      TRY(store(command, row, line->arguments[row], "--", STATUS_USAGE));
  return status_ok();
}

static Status parse(Line *line, const char **operands, size_t room, size_t *count, bool *done) {
  const Command *command = line->command;
  size_t own = options_count(command);
  TRY(line_split(line));
  bool help = line->arguments[own + BUILTIN_HELP] != NULL, man = line->arguments[own + BUILTIN_MAN] != NULL;
  *done = help || man;
  if (help)
    options_help(command, stdout);
  else if (man)
    options_man(command, stdout);
  if (*done && (fflush(stdout) != 0 || ferror(stdout)))
    return status_from_errno(STATUS_OUTPUT, "cannot write standard output");
  if (*done)
    return status_ok();
  TRY(apply(line));
  return hand_out_operands(command, operands, room, count);
}

Status options_parse(const Command *command, int argc, char **argv, const char **operands, size_t room, size_t *count,
                     bool *done) {
  Line line = {0};
  size_t unused;
  if (count == NULL)
    count = &unused; /* a command that takes no operands has no use for their number */
  *count = 0;
  *done = false;
  Status status = begin(command, (size_t)argc);
  if (status.code == STATUS_OK)
    status = line_alloc(&line, command, argc, argv);
  if (status.code == STATUS_OK)
    status = parse(&line, operands, room, count, done);
  line_free(&line);
  return status;
}

/* A word as a shell needs it: quoted if it has anything but letters, digits and harmless signs. */
static void print_word(FILE *stream, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
    fputs(word, stream);
    return;
  }
  fputc('\'', stream);
  for (const char *c = word; *c != '\0'; c++)
    if (*c == '\'')
      fputs("'\\''", stream);
    else
      fputc(*c, stream);
  fputc('\'', stream);
}

static bool print_option(FILE *stream, const Option *option) {
  if (option->kind == OPTION_FLAG) {
    if (*(const bool *)option->value)
      fprintf(stream, " --%s", option->name);
    return true;
  }
  char *value = option_print(option);
  if (value == NULL)
    return false;
  fprintf(stream, " --%s=", option->name);
  print_word(stream, value);
  free(value);
  return true;
}

/* After "--" if one could be taken for an option. */
static void print_operands(FILE *stream) {
  bool mistakable = false;
  for (size_t i = 0; i < last.operands; i++)
    mistakable = mistakable || (last.operand[i][0] == '-' && last.operand[i][1] != '\0');
  fputs(mistakable ? " --" : "", stream);
  for (size_t i = 0; i < last.operands; i++) {
    fputc(' ', stream);
    print_word(stream, last.operand[i]);
  }
}

char *options_line(const Command *command) {
  char *text = NULL;
  size_t length;
  REQUIRE(last.command == command, "options_line comes after options_parse of the same command");
  FILE *stream = open_memstream(&text, &length);
  if (stream == NULL)
    return NULL;
  bool whole = fprintf(stream, "seesaw %s", command->name) > 0;
  for (size_t row = 0; command->options[row].name != NULL; row++)
    if (last.given[row])
      whole = print_option(stream, &command->options[row]) && whole;
  print_operands(stream);
  whole = fclose(stream) == 0 && whole;
  if (whole)
    return text;
  free(text);
  return NULL;
}
