/* page_ask.h: what one trained model answers to each question about a few scenes, and which local tokens it kept. */
#ifndef SEESAW_PAGE_ASK_H
#define SEESAW_PAGE_ASK_H

#include "examine.h"

enum { PAGE_WORD = 48 };

typedef struct PageAnswer {
  char question[QUESTION_ROOM], right[PAGE_WORD], given[PAGE_WORD];
  bool correct;
  TileGrid grid; /* of the tiles that it was shown */
  size_t side;   /* a tile gives side x side local tokens */
  size_t local, kept;
  bool *keeps; /* is the local token kept? Tile by tile, each row by row; NULL if there are none */
} PageAnswer;

/* page_ask: one question of each family about every scene of the plan, each alone, those of the exam (examine.h), into
 * answers[scene * FAMILIES + family]; page_answers_free takes back what they own. Errors: those of the feeds;
 * STATUS_MEMORY, STATUS_INTERRUPTED. */
Status page_ask(const ExamPlan *plan, PageAnswer *answers);
void page_answers_free(PageAnswer *answers, size_t count);

#endif
