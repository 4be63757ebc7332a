/* questions_read.h: questions of the small world read back from their text, and answered from the scene by a logic of
 * their own. */
#ifndef SEESAW_TEST_QUESTIONS_READ_H
#define SEESAW_TEST_QUESTIONS_READ_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "questions.h"

/* What a question is about, and from how many answers it is chosen. */
typedef enum { ASK_EXIST, ASK_SHOW, ASK_COLOUR, ASK_SHAPE, ASK_CHOICE, ASK_LETTER, ASK_ATTRIBUTE, ASK_RELATION } Asked;

typedef struct Reading {
  Asked asked;
  int answers;      /* how many there are: 1 / answers is chance */
  int which;        /* of them is right, by the reading's own logic */
  bool first_thing; /* asked for where there is no better question */
} Reading;

static inline int word_in(const char *const *words, int count, const char *word) {
  for (int i = 0; i < count; i++)
    if (strcmp(words[i], word) == 0)
      return i;
  return -1;
}

static inline int colour_in(const char *word) {
  return word_in(scene_colours, COLOURS, word);
}

static inline int shape_in(const char *word) {
  return word_in(scene_shapes, SHAPES, word);
}

/* The one thing that the words name. */
static inline const Thing *thing_named(const Scene *scene, const char *colour, const char *shape) {
  const Thing *found = NULL;
  for (size_t i = 0; i < scene->count; i++)
    if (scene->things[i].colour == colour_in(colour) && scene->things[i].shape == shape_in(shape)) {
      cr_assert_null(found, "a %s %s is there twice", colour, shape);
      found = &scene->things[i];
    }
  return found;
}

/* Steps from one to the other if that lies straight ahead: by pixels' order and places; -1 if it does not. */
static inline int steps_ahead(const Thing *from, const Thing *to, const char *way) {
  int across = (int)to->column - (int)from->column, down = (int)to->row - (int)from->row;
  if (strcmp(way, "left of") == 0)
    return down == 0 && across < 0 && to->x < from->x ? -across : -1;
  if (strcmp(way, "right of") == 0)
    return down == 0 && across > 0 && to->x > from->x ? across : -1;
  if (strcmp(way, "above") == 0)
    return across == 0 && down < 0 && to->y < from->y ? -down : -1;
  return across == 0 && down > 0 && to->y > from->y ? down : -1;
}

static inline const Thing *thing_beside(const Scene *scene, const Thing *of, const char *way) {
  for (int steps = 1; steps < 4; steps++)
    for (size_t i = 0; i < scene->count; i++)
      if (steps_ahead(of, &scene->things[i], way) == steps)
        return &scene->things[i];
  return NULL;
}

/* Top row first, then the left. */
static inline const Thing *thing_first(const Scene *scene) {
  const Thing *first = &scene->things[0];
  for (size_t i = 0; i < scene->count; i++) {
    const Thing *t = &scene->things[i];
    if (t->row < first->row || (t->row == first->row && t->column < first->column))
      first = t;
  }
  return first;
}

static inline int truth(bool yes) {
  return yes ? 0 : 1;
}

static inline bool read_relate(const Scene *scene, const char *text, Reading *r) {
  char what[16], colour[16], shape[16];
  const Thing *thing = NULL;
  r->first_thing = sscanf(text, "what %15s is the first thing %15s", what, shape) == 2;
  static const char *const ways[] = {"left of", "right of", "above", "below"};
  for (int w = 0; w < 4 && !r->first_thing; w++) {
    char form[64];
    snprintf(form, sizeof form, "what %%15s is %s the %%15s %%15s ?", ways[w]);
    if (sscanf(text, form, what, colour, shape) == 3 && colour_in(colour) >= 0) {
      const Thing *of = thing_named(scene, colour, shape);
      cr_assert_not_null(of, "%s", text);
      thing = thing_beside(scene, of, ways[w]);
      cr_assert_not_null(thing, "nothing there: %s", text);
    }
  }
  if (r->first_thing)
    thing = thing_first(scene);
  if (!thing)
    return false;
  r->asked = strcmp(what, "colour") == 0 ? ASK_COLOUR : ASK_SHAPE;
  cr_assert(r->asked == ASK_COLOUR || strcmp(what, "shape") == 0, "%s", text);
  r->answers = r->asked == ASK_COLOUR ? COLOURS : SHAPES;
  r->which = r->asked == ASK_COLOUR ? thing->colour : thing->shape;
  return true;
}

/* The one thing of that colour, or shape; NULL if there are more. */
static inline const Thing *thing_sole(const Scene *scene, const char *word) {
  const Thing *found = NULL;
  size_t times = 0;
  for (size_t i = 0; i < scene->count; i++)
    if (scene->things[i].colour == colour_in(word) || scene->things[i].shape == shape_in(word)) {
      found = &scene->things[i];
      times++;
    }
  return times == 1 ? found : NULL;
}

/* which: -1 if the thing is not there, or not what any choice says. */
static inline bool read_choice(const Scene *scene, const char *text, Reading *r) {
  char what[16], name[16], rest[16], choice[4][16] = {""};
  int at = 0, seen = 0, right = -1;
  if (sscanf(text, "what %15s is the %15s %15s%n", what, name, rest, &at) != 3)
    return false;
  bool colour = strcmp(what, "colour") == 0, first = strcmp(name, "first") == 0;
  cr_assert(strcmp(rest, "thing") == 0 ? first || colour_in(name) >= 0 : colour && shape_in(name) >= 0, "%s", text);
  const char *choices = text + at + (strcmp(rest, "thing") == 0 ? 2 : 0);
  cr_assert_eq(sscanf(choices, " A %15s B %15s C %15s D %15s", choice[0], choice[1], choice[2], choice[3]), 4, "%s",
               text);
  const Thing *thing = first ? thing_first(scene) : thing_sole(scene, name);
  for (int i = 0; i < 4; i++) {
    int kind = colour ? colour_in(choice[i]) : shape_in(choice[i]);
    cr_assert_geq(kind, 0, "%s", text);
    cr_assert_eq(seen >> kind & 1, 0, "each choice once: %s", text);
    seen |= 1 << kind;
    right = thing && kind == (colour ? thing->colour : thing->shape) ? i : right;
  }
  *r = (Reading){.asked = ASK_CHOICE, .answers = 4, .which = right, .first_thing = first};
  return true;
}

static inline bool read_letter(const Scene *scene, const char *text, Reading *r) {
  char colour[16], shape[16];
  if (sscanf(text, "what letter is on the %15s %15s ?", colour, shape) != 2)
    return false;
  const Thing *thing = thing_named(scene, colour, shape);
  cr_assert(thing && thing->letter >= 0, "%s", text);
  *r = (Reading){.asked = ASK_LETTER, .answers = LETTERS, .which = thing->letter};
  return true;
}

/* Yes or no: is there, does it show, is the S C, is the C S left of, or above, the C S. */
static inline bool read_truth(const Scene *scene, const char *text, Reading *r) {
  char one[16], two[16], three[16], four[16], end[8];
  *r = (Reading){.answers = 2};
  bool there = sscanf(text, "is there a %15s %15s %7s", one, two, end) == 3;
  if (there || sscanf(text, "does the picture show a %15s %15s %7s", one, two, end) == 3) {
    r->asked = there ? ASK_EXIST : ASK_SHOW;
    r->which = truth(thing_named(scene, one, two) != NULL);
    return colour_in(one) >= 0 && shape_in(two) >= 0;
  }
  bool along = sscanf(text, "is the %15s %15s left of the %15s %15s ?", one, two, three, four) == 4;
  if (along || sscanf(text, "is the %15s %15s above the %15s %15s ?", one, two, three, four) == 4) {
    const Thing *a = thing_named(scene, one, two), *b = thing_named(scene, three, four);
    cr_assert(a && b && a != b, "%s", text);
    cr_assert(along ? a->column != b->column : a->row != b->row, "neither: %s", text);
    cr_assert_eq(along ? a->x < b->x : a->y < b->y, along ? a->column < b->column : a->row < b->row);
    r->asked = ASK_RELATION;
    r->which = truth(along ? a->column < b->column : a->row < b->row);
    return true;
  }
  if (sscanf(text, "is the %15s %15s %7s", one, two, end) == 3 && shape_in(one) >= 0 && colour_in(two) >= 0) {
    const Thing *thing = NULL;
    size_t times = 0;
    for (size_t i = 0; i < scene->count; i++)
      if (scene->things[i].shape == shape_in(one)) {
        thing = &scene->things[i];
        times++;
      }
    cr_assert_eq(times, 1, "which one: %s", text);
    r->asked = ASK_ATTRIBUTE;
    r->which = truth(thing->colour == colour_in(two));
    return true;
  }
  return false;
}

/* reading_of: of a question about the scene; stops at one that cannot be read. */
static inline Reading reading_of(const Scene *scene, Family family, const char *text) {
  Reading r = {0};
  bool read = family == FAMILY_RELATE   ? read_relate(scene, text, &r)
              : family == FAMILY_REASON ? read_choice(scene, text, &r)
              : family == FAMILY_READ   ? read_letter(scene, text, &r)
                                        : read_truth(scene, text, &r);
  cr_assert(read, "what does it ask: %s", text);
  cr_assert(family != FAMILY_EXIST || r.asked == ASK_EXIST, "%s", text);
  cr_assert(family != FAMILY_PROBE || r.asked != ASK_EXIST, "%s", text);
  return r;
}

/* The word of an answer. */
static inline const char *answer_word(const Reading *r, int which) {
  static const char *const choices[] = {"A", "B", "C", "D"}, *const truths[] = {"yes", "no"};
  return r->asked == ASK_COLOUR   ? scene_colours[which]
         : r->asked == ASK_SHAPE  ? scene_shapes[which]
         : r->asked == ASK_CHOICE ? choices[which]
         : r->asked == ASK_LETTER ? scene_letters[which]
                                  : truths[which];
}

#endif
