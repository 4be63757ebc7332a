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
  Sample text;                     /* ids and labels; text.cut: how many ids beyond the longest length were cut off */
  size_t question, question_count; /* the question's place among ids, for the paper's router */
  bool pictured;                   /* its ids have the picture's place */
} Example;

enum { PICTURE_NAME = 400 };

typedef struct Feed {
  void *state;
  size_t count; /* of conversations */
  /* example: fill a zeroed Example, or one filled before, whose memory is used again. Threads may read at once. */
  Status (*example)(void *state, size_t index, Example *example);
  /* pictured: is there a picture? True wherever example says so, maybe elsewhere too (its place in the text was cut
   * off). NULL: `example` is asked, which may take far longer. */
  Status (*pictured)(void *state, size_t index, bool *pictured);
  /* picture: of a pictured conversation; the caller frees it. */
  Status (*picture)(void *state, size_t index, Image *image);
  /* findable: is the picture where it would be read from? Without reading it. NULL: there is nothing to find. */
  Status (*findable)(void *state, size_t index);
  /* digest: of the picture, cheap, and equal only for equal pictures: of a file's bytes, or of what it is made from, by
   * digest_of, since cached features are divided among files by its leading bits. */
  Status (*digest)(void *state, size_t index, Digest *digest);
  /* name: of the picture, for messages. NULL: the conversation's number is all there is. */
  void (*name)(void *state, size_t index, char name[PICTURE_NAME]);
} Feed;

/* feed_pictured, feed_name: of conversation `index`, whether or not the feed can tell by itself. feed_name returns
 * `name`. */
Status feed_pictured(const Feed *feed, size_t index, bool *pictured);
char *feed_name(const Feed *feed, size_t index, char name[PICTURE_NAME]);

/* feed_count: read every conversation once: what there is to learn, and whether anything is wrong with any of them, or
 * its picture is not there, before a run of days comes to it. Errors: the first conversation's; STATUS_INTERRUPTED. */
typedef struct FeedCount {
  size_t conversations, pictured;
  size_t tokens, trained; /* ids that are kept, those of them that are learnt; a picture counts as one */
  size_t longest;         /* tokens of the longest conversation, as it is kept */
  size_t cut, cut_tokens; /* conversations that were too long; their tokens beyond the longest length */
} FeedCount;

Status feed_count(const Feed *feed, bool quiet, FeedCount *count);

void example_free(Example *example);

/* example_learnt: how many of its tokens are learnt; the first never is, as nothing comes before it. */
size_t example_learnt(const Example *example);

/* example_place_question: the question is what lies between the picture (or the start) and the first token that is
 * learnt. */
void example_place_question(Example *example);

/* feed_files_open: a LLaVA-format JSON file and the folder that its pictures' paths are relative to. `longest`: of a
 * conversation, tokens beyond are cut off. The tokenizer must outlive the feed. Errors: those of conversations_open.
 *
 * Errors of a conversation name its record: those of conversations_read and sample_make; labels that do not match
 * (Sample.mismatch) or are all ignored: a run must not silently learn nothing from them. Errors of a picture name the
 * record and the file: those of image_read; a path that is not relative or has `..` in it: the file may come from
 * anywhere, and reads nothing outside the folder but what links in it lead to. `findable` tells the latter, and a file
 * that is not there or may not be read.
 * feed_files_close: safe on a zeroed Feed. */
typedef struct FeedFilesPlan {
  const char *data, *images;
  const Tokenizer *tokenizer;
  Template template;
  size_t longest;
} FeedFilesPlan;

Status feed_files_open(Feed *feed, const FeedFilesPlan *plan);
void feed_files_close(Feed *feed);

#endif
