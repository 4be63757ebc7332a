/* feed.h: where training samples come from: a list of conversations, each about at most one picture.
 *
 * Two kinds: LLaVA-format files with a folder of pictures (feed_files.c), and whatever a program makes up as it goes
 * (the experiments' scenes). The trainer sees only this. */
#ifndef SEESAW_FEED_H
#define SEESAW_FEED_H

#include "conversation.h"
#include "digest.h"
#include "image.h"
#include "slime.h"

/* A conversation as the model takes it. */
typedef struct Example {
  Sample text;                     /* ids and labels */
  size_t question, question_count; /* the question's place among ids, for the paper's router */
  bool pictured;
} Example;

typedef struct Feed {
  void *state;
  size_t count; /* of conversations */
  /* example: fill a zeroed Example, or one filled before, whose memory is used again. Threads may read at once. */
  Status (*example)(void *state, size_t index, Example *example);
  /* picture: of a pictured example; the caller frees it. */
  Status (*picture)(void *state, size_t index, Image *image);
  /* digest: of the picture, cheap, and equal only for equal pictures: of a file's bytes, or of what it is made from. */
  Status (*digest)(void *state, size_t index, Digest *digest);
} Feed;

void example_free(Example *example);

/* example_place_question: the question is what lies between the picture (or the start) and the first token that is
 * learnt. */
void example_place_question(Example *example);

/* feed_files_open: a LLaVA-format JSON file and the folder that its pictures' paths are relative to. `longest`: of a
 * conversation, tokens beyond are cut off. The tokenizer must outlive the feed. Errors: those of conversations_open.
 * Conversations whose labels do not match (Sample.mismatch) or are all ignored are errors that name the record: a run
 * must not silently learn nothing from them. feed_files_close: safe on a zeroed Feed. */
typedef struct FeedFilesPlan {
  const char *data, *images;
  const Tokenizer *tokenizer;
  Template template;
  size_t longest;
} FeedFilesPlan;

Status feed_files_open(Feed *feed, const FeedFilesPlan *plan);
void feed_files_close(Feed *feed);

#endif
