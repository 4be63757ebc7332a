/* questions.h: what is said and asked about a scene.
 *
 * Five families mirror the paper's benchmarks. Every answer is one word; within each family all answers are equally
 * likely before one looks: yes and no by a coin, colours, shapes and letters because the world has no favourites, the
 * choice because choices are shuffled. */
#ifndef SEESAW_QUESTIONS_H
#define SEESAW_QUESTIONS_H

#include "scene.h"
#include "tokenizer.h"
#include "tokenizer_write.h"

typedef enum {
  FAMILY_EXIST,  /* POPE: is there a red circle? Where not, mostly the colour and the shape are there, apart */
  FAMILY_RELATE, /* GQA: what colour, or shape, is the thing beside another */
  FAMILY_REASON, /* ScienceQA: which of four choices is the colour, or the shape, of a thing */
  FAMILY_READ,   /* TextVQA: which letter is on a thing */
  FAMILY_PROBE,  /* AMBER: existence, attribute, relation, yes or no */
  FAMILIES
} Family;

const char *family_name(Family family);

/* family_find: FAMILIES if there is none of that name. */
Family family_find(const char *name);

enum { QUESTION_ROOM = 160, ANSWER_ROOM = 16 };

typedef struct Query {
  char question[QUESTION_ROOM], answer[ANSWER_ROOM];
} Query;

/* scene_ask: a question of that family. */
void scene_ask(const Scene *scene, Family family, Draws *draws, Query *query);

/* scene_ask_easily: about one word of one thing, or with two choices only: what a decoder learns first. Part of its
 * pretraining, of no exam. */
void scene_ask_easily(const Scene *scene, Draws *draws, Query *query);

/* scene_caption: append all things, row by row: "top left big red circle k , ...". Errors: STATUS_MEMORY. */
Status scene_caption(const Scene *scene, Text *caption);

/* scene_words: all words of captions, questions and answers, for tokenizer_write. */
extern const TokenizerWords scene_words;

#endif
