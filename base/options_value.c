/* options_value.c: one option's value: read, checked, printed. */
#include "options_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

static const int64_t LARGEST_GRID = 1000000000; /* points; also keeps count - 1 exact */
static const double LARGEST_END = 1e290;        /* times LARGEST_GRID is still finite */

/* Where a value comes from, for the messages. */
typedef struct Place {
  const Option *option;
  const char *prefix, *text;
  StatusCode code;
} Place;

double grid_point(const Grid *grid, size_t i) {
  if (i == 0)
    return grid->low;
  if (i + 1 >= grid->count)
    return grid->high;
  /* Whole weights, so that a grid symmetric about zero has exactly symmetric points, and 0:1:11 has 0.3. */
  double intervals = (double)(grid->count - 1), of_high = (double)i, of_low = intervals - of_high;
  if (grid->geometric)
    return pow(grid->low, of_low / intervals) * pow(grid->high, of_high / intervals);
  return (of_low * grid->low + of_high * grid->high) / intervals;
}

static bool has_range(const Option *option) {
  return option->low < option->high;
}

const char *option_argument(const Option *option) {
  static const char *const usual[] = {
      [OPTION_FLAG] = "",     [OPTION_INTEGER] = "N",   [OPTION_REAL] = "X",
      [OPTION_TEXT] = "TEXT", [OPTION_CHOICE] = "NAME", [OPTION_GRID] = "GRID",
  };
  return option->argument != NULL ? option->argument : usual[option->kind];
}

void option_range(const Option *option, char text[RANGE_ROOM]) {
  char low[NUMBER_ROOM], high[NUMBER_ROOM];
  text[0] = '\0';
  if (!has_range(option))
    return;
  number_print(option->low, low);
  number_print(option->high, high);
  if (isinf(option->low) && isinf(option->high))
    return;
  if (isinf(option->high))
    snprintf(text, RANGE_ROOM, "%s %s", option->open ? "greater than" : "at least", low);
  else if (isinf(option->low))
    snprintf(text, RANGE_ROOM, "%s %s", option->open ? "less than" : "at most", high);
  else
    snprintf(text, RANGE_ROOM, "%sbetween %s and %s", option->open ? "strictly " : "", low, high);
}

/* "--steps must be a whole number, not 'ten'" */
static Status must_be(const Place *place, const char *what) {
  char quoted[QUOTE_ROOM];
  return status_error(place->code, "%s%s must be %s, not '%s'", place->prefix, place->option->name, what,
                      quote_printable(place->text, strlen(place->text), quoted));
}

/* "--cos must lie strictly between -1 and 1, not 1.5" */
static Status check_range(const Place *place, double value) {
  const Option *option = place->option;
  char range[RANGE_ROOM], quoted[QUOTE_ROOM];
  if (!has_range(option) ||
      (option->open ? value > option->low && value < option->high : value >= option->low && value <= option->high))
    return status_ok();
  option_range(option, range);
  bool both = strstr(range, "between") != NULL;
  return status_error(place->code, "%s%s must %s %s, not %s", place->prefix, option->name, both ? "lie" : "be", range,
                      quote_printable(place->text, strlen(place->text), quoted));
}

static Status set_flag(const Place *place) {
  const char *text = place->text;
  bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
  if (!yes && strcmp(text, "no") != 0 && strcmp(text, "false") != 0)
    return must_be(place, "yes or no");
  *(bool *)place->option->value = yes;
  return status_ok();
}

static Status set_integer(const Place *place) {
  int64_t value;
  double real;
  if (!number_parse_integer(place->text, &value)) {
    if (number_parse(place->text, &real) && real == floor(real))
      return must_be(place, "a whole number that fits in 64 bits (1e15 and the like: in 53 bits)");
    return must_be(place, "a whole number");
  }
  TRY(check_range(place, (double)value));
  *(int64_t *)place->option->value = value;
  return status_ok();
}

static Status set_real(const Place *place) {
  double value;
  if (!number_parse(place->text, &value))
    return must_be(place, "a number");
  if (!isfinite(value))
    return must_be(place, "a finite number");
  TRY(check_range(place, value));
  *(double *)place->option->value = value;
  return status_ok();
}

static Status set_choice(const Place *place) {
  const Option *option = place->option;
  char nearest[64], quoted[QUOTE_ROOM];
  size_t length = strlen(place->text);
  for (const char *choice = option->choices; length > 0 && choice != NULL;) {
    size_t size = strcspn(choice, ",");
    if (size == length && strncmp(choice, place->text, size) == 0) {
      *(const char **)option->value = place->text;
      return status_ok();
    }
    choice = choice[size] == ',' ? choice + size + 1 : NULL;
  }
  bool close = options_nearest(place->text, option->choices, nearest, sizeof nearest);
  Status status = status_error(place->code, "%s%s must be one of ", place->prefix, option->name);
  size_t used = strlen(status.message);
  for (const char *c = option->choices; *c != '\0' && used + 3 < sizeof status.message; c++) {
    status.message[used++] = *c;
    if (*c == ',')
      status.message[used++] = ' ';
  }
  snprintf(status.message + used, sizeof status.message - used, ", not '%s'%s%s%s",
           quote_printable(place->text, length, quoted), close ? "; did you mean '" : "", close ? nearest : "",
           close ? "'?" : "");
  return status;
}

/* Split `text` at its colons into `parts`, which live in `copy`; returns how many there are, at most 5. */
static size_t split_colons(const char *text, char *copy, size_t size, char *parts[5]) {
  size_t count = 0;
  snprintf(copy, size, "%s", text);
  for (char *rest = copy; rest != NULL && count < 5;)
    parts[count++] = strsep(&rest, ":");
  return count;
}

/* The words of a grid without their ranges: low, high, and the count, which is 1 for a single number. */
static bool read_grid(const char *text, Grid *grid) {
  char copy[256], *parts[5];
  int64_t points = 1;
  if (strlen(text) >= sizeof copy)
    return false;
  size_t count = split_colons(text, copy, sizeof copy, parts), first = 0;
  grid->geometric = count == 4 && strcmp(parts[0], "log") == 0;
  if (grid->geometric)
    first = 1;
  if (count - first != 1 && count - first != 3)
    return false;
  if (!number_parse(parts[first], &grid->low))
    return false;
  grid->high = grid->low;
  if (count - first == 3 && !(number_parse(parts[first + 1], &grid->high) &&
                              number_parse_integer(parts[first + 2], &points) && points > 0 && points <= LARGEST_GRID))
    return false;
  grid->count = (size_t)points;
  return true;
}

static Status set_grid(const Place *place) {
  Grid grid;
  if (!read_grid(place->text, &grid))
    return must_be(place, "a number, LOW:HIGH:COUNT or log:LOW:HIGH:COUNT");
  if (!(fabs(grid.low) <= LARGEST_END && fabs(grid.high) <= LARGEST_END))
    return must_be(place, "a grid of finite numbers, at most 1e290 in size");
  if (grid.count == 1 && grid.low != grid.high)
    return must_be(place, "a grid of at least two points when its ends differ");
  if (grid.geometric && !(grid.low > 0 && grid.high > 0))
    return must_be(place, "a grid with positive ends when it is geometric");
  TRY(check_range(place, grid.low));
  TRY(check_range(place, grid.high));
  *(Grid *)place->option->value = grid;
  return status_ok();
}

Status option_set(const Option *option, const char *text, const char *prefix, StatusCode code) {
  const Place place = {option, prefix, text, code};
  switch (option->kind) {
  case OPTION_FLAG:
    return set_flag(&place);
  case OPTION_INTEGER:
    return set_integer(&place);
  case OPTION_REAL:
    return set_real(&place);
  case OPTION_CHOICE:
    return set_choice(&place);
  case OPTION_GRID:
    return set_grid(&place);
  case OPTION_TEXT:
    break;
  }
  *(const char **)option->value = text;
  return status_ok();
}

static char *print_grid(const Grid *grid) {
  char low[NUMBER_ROOM], high[NUMBER_ROOM], *text;
  number_print(grid->low, low);
  number_print(grid->high, high);
  if (grid->count == 1 && grid->low == grid->high)
    return strdup(low);
  return asprintf(&text, "%s%s:%s:%zu", grid->geometric ? "log:" : "", low, high, grid->count) < 0 ? NULL : text;
}

char *option_print(const Option *option) {
  char number[NUMBER_ROOM];
  const char *text = number;
  switch (option->kind) {
  case OPTION_FLAG:
    text = *(const bool *)option->value ? "yes" : "no";
    break;
  case OPTION_INTEGER:
    snprintf(number, sizeof number, "%" PRId64, *(const int64_t *)option->value);
    break;
  case OPTION_REAL:
    number_print(*(const double *)option->value, number);
    break;
  case OPTION_GRID:
    return print_grid(option->value);
  case OPTION_TEXT:
  case OPTION_CHOICE:
    text = *(const char *const *)option->value;
    break;
  }
  return strdup(text != NULL ? text : "");
}
