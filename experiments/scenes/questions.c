/* questions.c: captions and questions. */
#include "questions.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const names[FAMILIES] = {"exist", "relate", "reason", "read", "probe"};

const char *family_name(Family family) {
  return names[family];
}

Family family_find(const char *name) {
  int family = 0;
  while (family < FAMILIES && strcmp(names[family], name) != 0)
    family++;
  return (Family)family;
}

/* Each word is one token. Of two words the one that holds letters of the other's start elsewhere comes first. */
static const char *const inside[] = {
    "red",   "green",  "blue",  "yellow", "purple", "orange", "circle",  "square", "triangle", "diamond",
    "cross", "small",  "big",   "a",      "c",      "e",      "h",       "k",      "l",        "s",
    "t",     "u",      "z",     "A",      "B",      "C",      "D",       "top",    "middle",   "bottom",
    "left",  "center", "right", "is",     "there",  "what",   "colour",  "shape",  "the",      "thing",
    "of",    "above",  "below", "letter", "on",     "does",   "picture", "show",   "first",    NULL};
static const char *const first[] = {"triangle", "diamond", "bottom", "circle", "square", "purple", "orange",
                                    "yellow",   "middle",  "green",  "cross",  "blue",   "what",   "does",
                                    "red",      "yes",     "top",    "no",     "is",     NULL};

const TokenizerWords scene_words = {.inside = inside, .first = first, .short_headers = true};

/* ---- pieces ---- */

__attribute__((format(printf, 2, 3))) static void ask(Query *query, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(query->question, sizeof query->question, format, arguments);
  va_end(arguments);
}

static void answer(Query *query, const char *word) {
  snprintf(query->answer, sizeof query->answer, "%s", word);
}

static void answer_truth(Query *query, bool truth) {
  answer(query, truth ? "yes" : "no");
}

static const char *colour_of(const Thing *thing) {
  return scene_colours[thing->colour];
}

static const char *shape_of(const Thing *thing) {
  return scene_shapes[thing->shape];
}

static const Thing *any_thing(const Scene *scene, Draws *draws) {
  return &scene->things[draw(draws, scene->count)];
}

/* Any of those that pass; NULL if none does. */
static const Thing *any_that(const Scene *scene, Draws *draws, bool (*passes)(const Scene *, const Thing *)) {
  const Thing *found[THINGS_MOST];
  size_t count = 0;
  for (size_t i = 0; i < scene->count; i++)
    if (passes(scene, &scene->things[i]))
      found[count++] = &scene->things[i];
  return count > 0 ? found[draw(draws, count)] : NULL;
}

/* ---- exist ---- */

/* A colour and a shape that no thing has together. Mostly both are there, on different things. */
static void absent_pair(const Scene *scene, Draws *draws, int *colour, int *shape) {
  bool near = draw_chance(draws, 0.8);
  for (size_t tries = 0; tries == 0 || scene_find(scene, *colour, *shape); tries++) {
    bool there = near && tries < 20;
    *colour = there ? any_thing(scene, draws)->colour : (int)draw(draws, COLOURS);
    *shape = there ? any_thing(scene, draws)->shape : (int)draw(draws, SHAPES);
  }
}

static void ask_existence(const Scene *scene, Draws *draws, const char *form, Query *query) {
  bool truth = draw_chance(draws, 0.5);
  const Thing *thing = any_thing(scene, draws);
  int colour = thing->colour, shape = thing->shape;
  if (!truth)
    absent_pair(scene, draws, &colour, &shape);
  ask(query, "%s a %s %s ?", form, scene_colours[colour], scene_shapes[shape]);
  answer_truth(query, truth);
}

/* ---- relate ---- */

typedef enum { LEFT, RIGHT, ABOVE, BELOW, DIRECTIONS } Direction;
static const char *const directions[DIRECTIONS] = {"left of", "right of", "above", "below"};

/* The nearest thing of the same row or column that lies in this direction. */
static const Thing *neighbour(const Scene *scene, const Thing *of, Direction direction) {
  const Thing *nearest = NULL;
  size_t distance = SIZE_MAX;
  for (size_t i = 0; i < scene->count; i++) {
    const Thing *t = &scene->things[i];
    bool along = direction == LEFT || direction == RIGHT;
    size_t from = along ? of->column : of->row, to = along ? t->column : t->row;
    bool aligned = along ? t->row == of->row : t->column == of->column;
    bool ahead = direction == LEFT || direction == ABOVE ? to < from : to > from;
    size_t away = to < from ? from - to : to - from;
    if (aligned && ahead && away < distance) {
      nearest = t;
      distance = away;
    }
  }
  return nearest;
}

/* Neighbours that are alike in what is asked are rarer than chance, since no two things are alike in both: the words
 * would then tell what the answer is not. With this share of the others kept, the named colour is right in one of six
 * cases, as any other is, and the named shape in one of five (measured over 1,500,000 scenes: within 0.001). */
static const double UNLIKE_COLOUR = 0.722, UNLIKE_SHAPE = 0.767;

typedef struct Beside {
  const Thing *of, *asked; /* asked lies in that direction of the other */
  Direction direction;
} Beside;

/* Of all pairs of neighbours one; false if there is none. */
static bool any_neighbours(const Scene *scene, Draws *draws, bool colour, Beside *beside) {
  Beside pairs[THINGS_MOST * DIRECTIONS];
  size_t count = 0;
  for (size_t i = 0; i < scene->count; i++)
    for (int d = 0; d < DIRECTIONS; d++) {
      const Thing *of = &scene->things[i], *asked = neighbour(scene, of, (Direction)d);
      bool alike = asked && (colour ? asked->colour == of->colour : asked->shape == of->shape);
      if (asked && (alike || draw_chance(draws, colour ? UNLIKE_COLOUR : UNLIKE_SHAPE)))
        pairs[count++] = (Beside){of, asked, (Direction)d};
    }
  if (count > 0)
    *beside = pairs[draw(draws, count)];
  return count > 0;
}

static void ask_relate(const Scene *scene, Draws *draws, Query *query) {
  const Thing *asked = &scene->things[0];
  bool colour = draw_chance(draws, 0.5);
  const char *what = colour ? "colour" : "shape";
  Beside beside;
  if (any_neighbours(scene, draws, colour, &beside)) {
    asked = beside.asked;
    ask(query, "what %s is %s the %s %s ?", what, directions[beside.direction], colour_of(beside.of),
        shape_of(beside.of));
  } else {
    ask(query, "what %s is the first thing ?", what);
  }
  answer(query, colour ? colour_of(asked) : shape_of(asked));
}

/* ---- reason ---- */

enum { CHOICES = 4 };

static bool sole_shape(const Scene *scene, const Thing *thing) {
  return scene_times(scene, -1, thing->shape) == 1;
}

static bool sole_colour(const Scene *scene, const Thing *thing) {
  return scene_times(scene, thing->colour, -1) == 1;
}

/* `right` and others in random order; others that are in the picture before those that are not. Returns the place of
 * the right one. */
static size_t draw_choices(const Scene *scene, bool colour, int right, size_t choices, Draws *draws, int *chosen) {
  size_t kinds = colour ? COLOURS : SHAPES, order[COLOURS], places[CHOICES], count = 0;
  draw_order(draws, choices, choices, places);
  draw_order(draws, kinds, kinds, order);
  chosen[places[count++]] = right;
  for (int there = 1; there >= 0; there--)
    for (size_t i = 0; i < kinds && count < choices; i++) {
      int kind = (int)order[i];
      if (kind != right && there == (scene_times(scene, colour ? kind : -1, colour ? -1 : kind) > 0))
        chosen[places[count++]] = kind;
    }
  return places[0];
}

/* The colour of the only circle, or the shape of the only red thing; where nothing is so singular, of the first. */
static void ask_choice(const Scene *scene, size_t choices, Draws *draws, Query *query) {
  static const char *const letters[CHOICES] = {"A", "B", "C", "D"};
  const Thing *by_shape = any_that(scene, draws, sole_shape), *by_colour = any_that(scene, draws, sole_colour);
  bool colour = by_shape && (!by_colour || draw_chance(draws, 0.5));
  const Thing *thing = colour ? by_shape : by_colour;
  const char *what = colour ? "colour" : "shape", *const *words = colour ? scene_colours : scene_shapes;
  const char *name = !thing ? "first" : colour ? shape_of(thing) : colour_of(thing);
  int chosen[CHOICES], length = 0;
  const Thing *right = thing ? thing : &scene->things[0];
  size_t place = draw_choices(scene, colour, colour ? right->colour : right->shape, choices, draws, chosen);
  length = snprintf(query->question, sizeof query->question, "what %s is the %s%s ?", what, name,
                    thing && colour ? "" : " thing");
  for (size_t i = 0; i < choices; i++)
    length += snprintf(query->question + length, sizeof query->question - (size_t)length, " %s %s", letters[i],
                       words[chosen[i]]);
  answer(query, letters[place]);
}

/* ---- read ---- */

static bool has_sign(const Scene *scene, const Thing *thing) {
  (void)scene;
  return thing->letter != NO_LETTER;
}

static void ask_read(const Scene *scene, Draws *draws, Query *query) {
  const Thing *thing = any_that(scene, draws, has_sign);
  ask(query, "what letter is on the %s %s ?", colour_of(thing), shape_of(thing));
  answer(query, scene_letters[thing->letter]);
}

/* ---- probe ---- */

/* Is the circle red? If not, a colour of another thing is named. False if no shape comes once only. */
static bool ask_attribute(const Scene *scene, Draws *draws, Query *query) {
  const Thing *thing = any_that(scene, draws, sole_shape);
  bool truth = draw_chance(draws, 0.5);
  if (!thing)
    return false;
  int colour = thing->colour;
  for (size_t tries = 0; !truth && colour == thing->colour; tries++)
    colour = tries < 20 ? any_thing(scene, draws)->colour : (int)draw(draws, COLOURS);
  ask(query, "is the %s %s ?", shape_of(thing), scene_colours[colour]);
  answer_truth(query, truth);
  return true;
}

/* Is one left of, or above, another? Both lie in different columns, or rows. False if none do. */
static bool ask_relation(const Scene *scene, Draws *draws, Query *query) {
  bool along = draw_chance(draws, 0.5), truth = draw_chance(draws, 0.5);
  for (size_t tries = 0; tries < 20; tries++) {
    const Thing *one = any_thing(scene, draws), *other = any_thing(scene, draws);
    size_t x = along ? one->column : one->row, y = along ? other->column : other->row;
    if (x == y || (x < y) != truth)
      continue;
    ask(query, "is the %s %s %s the %s %s ?", colour_of(one), shape_of(one), along ? "left of" : "above",
        colour_of(other), shape_of(other));
    answer_truth(query, truth);
    return true;
  }
  return false;
}

static void ask_probe(const Scene *scene, Draws *draws, Query *query) {
  size_t kind = draw(draws, 3);
  if (kind == 1 && ask_attribute(scene, draws, query))
    return;
  if (kind == 2 && ask_relation(scene, draws, query))
    return;
  ask_existence(scene, draws, "does the picture show", query);
}

void scene_ask(const Scene *scene, Family family, Draws *draws, Query *query) {
  switch (family) {
  case FAMILY_EXIST:
    ask_existence(scene, draws, "is there", query);
    break;
  case FAMILY_RELATE:
    ask_relate(scene, draws, query);
    break;
  case FAMILY_REASON:
    ask_choice(scene, CHOICES, draws, query);
    break;
  case FAMILY_READ:
    ask_read(scene, draws, query);
    break;
  default:
    ask_probe(scene, draws, query);
  }
}

/* ---- easy questions ---- */

static bool all_shapes_there(const Scene *scene) {
  for (int shape = 0; shape < SHAPES; shape++)
    if (scene_times(scene, -1, shape) == 0)
      return false;
  return true;
}

/* Is there a red thing? There are more colours than things, so one is always missing. */
static void ask_presence(const Scene *scene, Draws *draws, Query *query) {
  bool truth = draw_chance(draws, 0.5), colour = draw_chance(draws, 0.5) || all_shapes_there(scene);
  int which = colour ? any_thing(scene, draws)->colour : any_thing(scene, draws)->shape;
  while (!truth && scene_times(scene, colour ? which : -1, colour ? -1 : which) > 0)
    which = (int)draw(draws, colour ? COLOURS : SHAPES);
  ask(query, "is there a %s thing ?", colour ? scene_colours[which] : scene_shapes[which]);
  answer_truth(query, truth);
}

void scene_ask_easily(const Scene *scene, Draws *draws, Query *query) {
  const Thing *by_shape = any_that(scene, draws, sole_shape), *by_colour = any_that(scene, draws, sole_colour);
  size_t kind = draw(draws, 5);
  if (kind == 4) {
    ask_choice(scene, 2, draws, query);
  } else if (kind == 0 && by_shape) {
    ask(query, "what colour is the %s ?", shape_of(by_shape));
    answer(query, colour_of(by_shape));
  } else if (kind == 1 && by_colour) {
    ask(query, "what shape is the %s thing ?", colour_of(by_colour));
    answer(query, shape_of(by_colour));
  } else if (kind == 2) {
    const Thing *thing = any_thing(scene, draws);
    ask(query, "is the %s %s big ?", colour_of(thing), shape_of(thing));
    answer_truth(query, thing->size == SIZE_BIG);
  } else {
    ask_presence(scene, draws, query);
  }
}

/* ---- captions ---- */

/* Which third of the grid a place lies in. */
static size_t third(size_t place, size_t places) {
  return 3 * (2 * place + 1) / (2 * places);
}

Status scene_caption(const Scene *scene, Text *caption) {
  static const char *const down[] = {"top", "middle", "bottom"}, *const across[] = {"left", "center", "right"};
  char words[128];
  for (size_t i = 0; i < scene->count; i++) {
    const Thing *t = &scene->things[i];
    bool sign = t->letter != NO_LETTER;
    snprintf(words, sizeof words, "%s%s %s %s %s %s%s%s", i > 0 ? " , " : "", down[third(t->row, scene->rows)],
             across[third(t->column, scene->columns)], scene_sizes[t->size], colour_of(t), shape_of(t), sign ? " " : "",
             sign ? scene_letters[t->letter] : "");
    TRY(text_append_string(caption, words));
  }
  return text_append_string(caption, " .");
}
