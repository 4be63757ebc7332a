/* scheme_file.c: schemes from INI files. Each section is one table of options, read by the parser of options
 * (options.h) from the file's text with all other sections blanked, so that line numbers are the file's. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "number.h"
#include "options.h"
#include "scheme.h"

enum { ADAPTER = GROUP_COUNT, GROUP_WORDS }; /* the words that name groups: adapter is three of them */

static const char *const group_words = "vision,gate,mlp,former,compression,decoder,lora,adapter";

/* What is being read: for messages, and to find a key's line. */
typedef struct Reader {
  Scheme *scheme;
  const char *name;    /* of the file */
  const char *section; /* "phase stage1" */
  char *text;          /* this section's, all else blank */
  int line;            /* of the section's head */
  size_t counted;      /* bytes of the file before it */
} Reader;

/* ---- errors with their lines ---- */

static const char *after_line(const char *text) {
  text += strcspn(text, "\n");
  return *text ? text + 1 : NULL;
}

/* The line of a key; that of the section's head if it is not there. */
static int line_of(const Reader *reader, const char *key) {
  int line = 1;
  for (const char *at = reader->text; at; at = after_line(at), line++) {
    const char *word = at + strspn(at, " \t");
    size_t length = strlen(key);
    if (strncmp(word, key, length) == 0 && strchr("=: \t", word[length]) && word[length])
      return line;
  }
  return reader->line;
}

__attribute__((format(printf, 3, 4))) static Status refuse(const Reader *reader, const char *key, const char *format,
                                                           ...) {
  char text[320];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return status_error(STATUS_INPUT, "%s: line %d: [%s]: %s", reader->name, line_of(reader, key), reader->section, text);
}

/* "unknown group 'adaptor'; did you mean 'adapter'?" */
static Status unknown(const char *what, const char *word, const char *names) {
  char quoted[QUOTE_ROOM], nearest[64];
  bool close = options_nearest(word, names, nearest, sizeof nearest);
  return status_error(STATUS_INPUT, "unknown %s '%s'; %s%s%s", what, quote_printable(word, strlen(word), quoted),
                      close ? "did you mean '" : "there are ", close ? nearest : names, close ? "'?" : "");
}

/* Such an error, where it is. */
static Status in_line(const Reader *reader, const char *key, Status status) {
  return status.code == STATUS_OK
             ? status
             : status_error(status.code, "%s: line %d: %.400s", reader->name, line_of(reader, key), status.message);
}

/* ---- groups, views, turns ---- */

/* Place of a word in a comma-separated list, or `none`. */
static size_t find_word(const char *word, const char *names, size_t none) {
  size_t place = 0, length = strlen(word);
  for (const char *at = names; *at && length > 0; place++) {
    size_t size = strcspn(at, ",");
    if (size == length && strncmp(at, word, size) == 0)
      return place;
    at += size + (at[size] == ',');
  }
  return none;
}

static unsigned groups_of_word(size_t word) {
  return word == ADAPTER ? 1U << GROUP_GATE | 1U << GROUP_MLP | 1U << GROUP_FORMER : 1U << word;
}

/* `text` is cut up. */
static Status add_groups(char *text, unsigned *groups) {
  char *rest = NULL;
  for (char *word = strtok_r(text, " \t,", &rest); word; word = strtok_r(NULL, " \t,", &rest)) {
    size_t place = find_word(word, group_words, GROUP_WORDS);
    if (place == GROUP_WORDS)
      return unknown("group", word, group_words);
    *groups |= groups_of_word(place);
  }
  return status_ok();
}

Status groups_parse(const char *text, unsigned *groups) {
  char *copy = strdup(text);
  *groups = 0;
  Status status = copy ? add_groups(copy, groups) : status_error(STATUS_MEMORY, "not enough memory for groups' names");
  free(copy);
  return status;
}

static Status read_groups(const Reader *reader, const char *key, const char *text, unsigned *groups) {
  TRY(in_line(reader, key, groups_parse(text, groups)));
  return *groups ? status_ok() : refuse(reader, key, "%s names no group that moves", key);
}

static Status read_views(const Reader *reader, const char *key, const char *word, PhaseTurn *turn) {
  static const char *const names = "none,global,local,both,mixed";
  enum { MIXED = 4, NO_VIEWS };
  size_t place = find_word(word, names, NO_VIEWS);
  if (place == NO_VIEWS)
    return in_line(reader, key, unknown("views", word, names));
  turn->mixed = place == MIXED;
  turn->views = turn->mixed ? VIEWS_BOTH : (Views)place;
  return status_ok();
}

/* "adapter:global" */
static Status read_turn(const Reader *reader, char *text, PhaseTurn *turn) {
  char *views = strrchr(text, ':');
  if (!views)
    return refuse(reader, "turns", "a turn is GROUPS:VIEWS, as in 'adapter:global', not '%s'", text);
  *views++ = '\0';
  views += strspn(views, " \t");
  views[strcspn(views, " \t")] = '\0';
  TRY(read_groups(reader, "turns", text, &turn->groups));
  return read_views(reader, "turns", views, turn);
}

static Status read_turns(const Reader *reader, char *text, Phase *phase) {
  char *rest = NULL;
  phase->turns = 0;
  for (char *turn = strtok_r(text, "|", &rest); turn; turn = strtok_r(NULL, "|", &rest)) {
    if (phase->turns == PHASE_TURNS)
      return refuse(reader, "turns", "there are more than four turns");
    TRY(read_turn(reader, turn, &phase->turn[phase->turns++]));
  }
  return phase->turns >= 2 ? status_ok() : refuse(reader, "turns", "there must be two turns or more, with | between");
}

/* ---- a phase ---- */

/* The values of a phase's keys as they are written. */
typedef struct Keys {
  const char *data, *train, *views, *schedule, *turns, *global;
  int64_t samples, batch, accumulate, period, longest;
  double epochs, rate, rates[GROUP_WORDS], warmup, clip, decay, beta1, beta2, epsilon, gamma, soft;
} Keys;

static Keys keys_default(void) {
  Phase usual = phase_default("");
  Keys keys = {.data = "",
               .train = "",
               .views = "",
               .schedule = "cosine",
               .turns = "",
               .global = "",
               .batch = (int64_t)usual.batch,
               .accumulate = (int64_t)usual.accumulate,
               .longest = (int64_t)usual.longest,
               .warmup = usual.warmup,
               .clip = usual.clip,
               .beta1 = usual.beta1,
               .beta2 = usual.beta2,
               .epsilon = usual.epsilon,
               .gamma = usual.gamma};
  return keys;
}

static Status read_keys(const Reader *reader, Keys *k) {
  double *r = k->rates;
  const Option options[] = {
      {"data", OPTION_TEXT, &k->data},
      {"train", OPTION_TEXT, &k->train},
      {"views", OPTION_TEXT, &k->views},
      {"turns", OPTION_TEXT, &k->turns},
      {"period", OPTION_INTEGER, &k->period, .low = 1, .high = 1e15},
      {"soft", OPTION_REAL, &k->soft, .low = 2, .high = 1e15},
      {"samples", OPTION_INTEGER, &k->samples, .low = 1, .high = 1e15},
      {"epochs", OPTION_REAL, &k->epochs, .low = 0, .high = 1e9, .open = true},
      {"batch", OPTION_INTEGER, &k->batch, .low = 1, .high = 1e6},
      {"accumulate", OPTION_INTEGER, &k->accumulate, .low = 1, .high = 1e6},
      {"rate", OPTION_REAL, &k->rate, .low = 0, .high = 1e3, .open = true},
      {"rate.vision", OPTION_REAL, &r[GROUP_VISION], .low = 0, .high = 1e3, .open = true},
      {"rate.gate", OPTION_REAL, &r[GROUP_GATE], .low = 0, .high = 1e3, .open = true},
      {"rate.mlp", OPTION_REAL, &r[GROUP_MLP], .low = 0, .high = 1e3, .open = true},
      {"rate.former", OPTION_REAL, &r[GROUP_FORMER], .low = 0, .high = 1e3, .open = true},
      {"rate.compression", OPTION_REAL, &r[GROUP_COMPRESSION], .low = 0, .high = 1e3, .open = true},
      {"rate.decoder", OPTION_REAL, &r[GROUP_DECODER], .low = 0, .high = 1e3, .open = true},
      {"rate.lora", OPTION_REAL, &r[GROUP_LORA], .low = 0, .high = 1e3, .open = true},
      {"rate.adapter", OPTION_REAL, &r[ADAPTER], .low = 0, .high = 1e3, .open = true},
      {"schedule", OPTION_CHOICE, &k->schedule, .choices = "cosine,constant"},
      {"warmup", OPTION_REAL, &k->warmup, .low = 0, .high = 1},
      {"clip", OPTION_REAL, &k->clip, .low = 0, .high = 1e9},
      {"decay", OPTION_REAL, &k->decay, .low = 0, .high = 10},
      {"beta1", OPTION_REAL, &k->beta1, .low = 0, .high = 0.999999},
      {"beta2", OPTION_REAL, &k->beta2, .low = 0, .high = 0.999999999},
      {"epsilon", OPTION_REAL, &k->epsilon, .low = 0, .high = 1, .open = true},
      {"gamma", OPTION_REAL, &k->gamma, .low = 0, .high = 1},
      {"global", OPTION_CHOICE, &k->global, .choices = "mlp,former,mixture"},
      {"longest", OPTION_INTEGER, &k->longest, .low = 0, .high = 1e9},
      {NULL},
  };
  const Command command = {.name = reader->section, .options = options};
  return options_config(&command, reader->name, reader->text);
}

static Status fill_turns(const Reader *reader, const Keys *k, Phase *phase) {
  char *text = strdup(k->turns); /* is cut up */
  Status status;
  if (!text)
    return status_error(STATUS_MEMORY, "not enough memory to read %s", reader->name);
  if (*k->turns && (*k->train || *k->views))
    status = refuse(reader, "turns", "turns stand instead of train and views");
  else if (*k->turns)
    status = read_turns(reader, text, phase);
  else if (!*k->train || !*k->views)
    status = refuse(reader, "", "%s is missing; or turns instead of train and views", *k->train ? "views" : "train");
  else
    status = read_groups(reader, "train", k->train, &phase->turn[0].groups);
  free(text);
  if (status.code == STATUS_OK && !*k->turns)
    status = read_views(reader, "views", k->views, &phase->turn[0]);
  return status;
}

/* Which numbers go with which turns. */
static Status fill_alternation(const Reader *reader, const Keys *k, Phase *phase) {
  const char *key = k->period > 0 ? "period" : "soft";
  phase->period = (size_t)k->period;
  phase->soft = k->soft;
  if (phase->turns == 1 && (k->period > 0 || k->soft > 0.0))
    return refuse(reader, key, "%s goes with turns, and there are none", key);
  if (phase->turns > 1 && (k->period > 0) == (k->soft > 0.0))
    return refuse(reader, "turns", "turns need either period or soft");
  if (k->soft > 0.0 && (phase->turns != 2 || phase->turn[0].mixed || phase->turn[1].mixed))
    return refuse(reader, "soft", "the soft constraint is between two turns, without mixed views");
  return status_ok();
}

/* A group's own rate, else the adapter's if it is of it, else the phase's. */
static Status fill_rates(const Reader *reader, const Keys *k, Phase *phase) {
  unsigned groups = phase_groups(phase);
  char key[32];
  for (int group = 0; group < GROUP_COUNT; group++) {
    bool adapter = groups_of_word(ADAPTER) >> group & 1, moves = groups >> group & 1;
    double rate = k->rates[group] > 0.0                ? k->rates[group]
                  : adapter && k->rates[ADAPTER] > 0.0 ? k->rates[ADAPTER]
                                                       : k->rate;
    snprintf(key, sizeof key, "rate.%s", group_name((Group)group));
    if (moves && rate == 0.0)
      return refuse(reader, "train", "%s moves, but has no rate", group_name((Group)group));
    if (!moves && k->rates[group] > 0.0)
      return refuse(reader, key, "%s has a rate, but does not move", group_name((Group)group));
    phase->rate[group] = moves ? rate : 0.0;
  }
  if (k->rates[ADAPTER] > 0.0 && !(groups & groups_of_word(ADAPTER)))
    return refuse(reader, "rate.adapter", "the adapter has a rate, but does not move");
  return status_ok();
}

/* BRIDGE_COUNT of a word that is no bridge: the model's own. */
static Bridge bridge_of(const char *word) {
  int bridge = 0;
  while (bridge < BRIDGE_COUNT && strcmp(word, bridge_words[bridge]) != 0)
    bridge++;
  return (Bridge)bridge;
}

static Status fill_phase(const Reader *reader, const Keys *k, Phase *phase) {
  *phase = (Phase){.samples = (size_t)k->samples,
                   .epochs = k->epochs,
                   .turns = 1,
                   .batch = (size_t)k->batch,
                   .accumulate = (size_t)k->accumulate,
                   .schedule = strcmp(k->schedule, "constant") == 0 ? SCHEDULE_CONSTANT : SCHEDULE_COSINE,
                   .warmup = k->warmup,
                   .clip = k->clip,
                   .decay = k->decay,
                   .beta1 = k->beta1,
                   .beta2 = k->beta2,
                   .epsilon = k->epsilon,
                   .gamma = k->gamma,
                   .global = bridge_of(k->global),
                   .longest = (size_t)k->longest};
  if (!*k->data || strlen(k->data) >= PHASE_NAME || strpbrk(k->data, " \t="))
    return refuse(reader, "data", "data must be the name of a feed, without blanks, not '%s'", k->data);
  if ((k->samples > 0) == (k->epochs > 0.0))
    return refuse(reader, "samples", "there must be either samples or epochs");
  snprintf(phase->name, sizeof phase->name, "%.40s", reader->section + strlen("phase "));
  snprintf(phase->data, sizeof phase->data, "%s", k->data);
  TRY(fill_turns(reader, k, phase));
  TRY(fill_alternation(reader, k, phase));
  return fill_rates(reader, k, phase);
}

/* ---- sections ---- */

static Status read_phase(const Reader *reader) {
  Scheme *scheme = reader->scheme;
  Keys keys = keys_default();
  Phase *phase = &scheme->phases[scheme->count];
  if (scheme->count == SCHEME_PHASES)
    return refuse(reader, "", "more phases than a scheme may have");
  TRY(read_keys(reader, &keys));
  TRY(fill_phase(reader, &keys, phase));
  for (size_t i = 0; i < scheme->count; i++)
    if (strcmp(scheme->phases[i].name, phase->name) == 0)
      return refuse(reader, "", "a second phase %s", phase->name);
  scheme->count++;
  return status_ok();
}

static bool is_name(const char *text) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return *text && strlen(text) < PHASE_NAME && strspn(text, allowed) == strlen(text);
}

static Status read_head(const Reader *reader) {
  const char *name = "";
  const Option options[] = {{"name", OPTION_TEXT, &name}, {NULL}};
  const Command command = {.name = "scheme", .options = options};
  TRY(options_config(&command, reader->name, reader->text));
  if (*name && !is_name(name))
    return refuse(reader, "name", "a name is of at most 40 letters, digits, - and _, not '%s'", name);
  if (*name)
    snprintf(reader->scheme->name, sizeof reader->scheme->name, "%s", name);
  return status_ok();
}

static Status read_section(const Reader *reader) {
  if (strcmp(reader->section, "scheme") == 0)
    return read_head(reader);
  if (strncmp(reader->section, "phase ", 6) != 0)
    return refuse(reader, "", "a section is [scheme] or [phase NAME], not [%s]", reader->section);
  if (!is_name(reader->section + 6))
    return refuse(reader, "", "a phase's name is of at most 40 letters, digits, - and _, not '%s'",
                  reader->section + 6);
  return read_phase(reader);
}

/* Everything but the bytes [first, end) and the ends of lines becomes blank. */
static void blank_others(char *text, const char *from, size_t first, size_t end) {
  for (size_t i = 0; from[i]; i++)
    text[i] = (i >= first && i < end) || from[i] == '\n' ? from[i] : ' ';
}

/* Where the next line starts that opens a section, from `at` on; the end of the text if there is none. */
static size_t next_head(const char *text, size_t at) {
  while (text[at]) {
    size_t word = at + strspn(text + at, " \t");
    if (text[word] == '[')
      return at;
    at += strcspn(text + at, "\n");
    at += text[at] == '\n';
  }
  return at;
}

/* The name between the brackets of a section's head. */
static Status name_section(Reader *reader, const char *head, char *section, size_t size) {
  head += strspn(head, " \t[");
  size_t length = strcspn(head, "]\n");
  snprintf(section, size, "%.*s", (int)length, head);
  return head[length] == ']' ? status_ok() : refuse(reader, "", "the ] is missing");
}

static Status read_sections(Reader *reader, const char *text) {
  char section[PHASE_NAME + 32] = "scheme";
  size_t at = 0, end = next_head(text, 0);
  blank_others(reader->text, text, 0, end);
  reader->section = section;
  reader->line = 1;
  if (reader->text[strspn(reader->text, " \t\r\n")]) /* before the first section only comments may stand */
    TRY(read_head(reader));
  while (text[end]) {
    at = end;
    end = next_head(text, at + strcspn(text + at, "\n"));
    for (; reader->counted < at; reader->counted++)
      reader->line += text[reader->counted] == '\n';
    blank_others(reader->text, text, at, end);
    TRY(name_section(reader, text + at, section, sizeof section));
    TRY(read_section(reader));
  }
  return status_ok();
}

static void name_by_file(Scheme *scheme, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  snprintf(scheme->name, sizeof scheme->name, "%.*s", (int)strcspn(name, "."), name);
}

Status scheme_parse(Scheme *scheme, const char *name, const char *text) {
  *scheme = (Scheme){.phases = calloc(SCHEME_PHASES + 1, sizeof *scheme->phases)};
  Reader reader = {.scheme = scheme, .name = name, .text = calloc(strlen(text) + 1, 1)};
  Status status = status_error(STATUS_MEMORY, "not enough memory to read %s", name);
  name_by_file(scheme, name);
  if (scheme->phases && reader.text)
    status = read_sections(&reader, text);
  if (status.code == STATUS_OK && scheme->count == 0)
    status = status_error(STATUS_INPUT, "%s has no [phase NAME]", name);
  free(reader.text);
  if (status.code != STATUS_OK)
    scheme_free(scheme);
  return status;
}

Status scheme_read(Scheme *scheme, const char *path) {
  unsigned char *bytes;
  size_t size;
  *scheme = (Scheme){0};
  TRY(file_read(path, (size_t)1 << 20, &bytes, &size));
  Status status = strlen((char *)bytes) == size
                      ? scheme_parse(scheme, path, (char *)bytes)
                      : status_error(STATUS_INPUT, "%s: a zero byte is there; this is not a text file", path);
  free(bytes);
  return status;
}
