/* conversation.h: training conversations in LLaVA's format: records, prompts, and which tokens are learnt.
 *
 * A file is a JSON list of {"id", "image" (optional, a path), "conversations": [{"from": "human" or "gpt", "value"}]}.
 * A template makes a prompt of a conversation; <image> in it stands for a picture. Only the answers are learnt: the
 * labels of all else are IGNORE. The ids and labels are exactly those of the released code (train.py: preprocess_*;
 * mm_utils.py: tokenizer_image_token), with its edge cases, and with errors where it stops or goes on silently. */
#ifndef SEESAW_CONVERSATION_H
#define SEESAW_CONVERSATION_H

#include "ids.h"
#include "mapped.h"
#include "tokenizer.h"

/* plain: <image>, the first answer, a line break; what the human says is dropped. Stages I and II.
 * v1: a system prompt, " USER: ", " ASSISTANT: ", </s> after each answer. Vicuna.
 * llama3: <|start_header_id|>user<|end_header_id|>, two line breaks, the turn, <|eot_id|>; no system prompt. */
typedef enum { TEMPLATE_PLAIN, TEMPLATE_V1, TEMPLATE_LLAMA3, TEMPLATE_COUNT } Template;

/* template_name: as users write it. template_find: TEMPLATE_COUNT if there is no such name. */
const char *template_name(Template which);
Template template_find(const char *name);

typedef enum { SPEAKER_HUMAN, SPEAKER_GPT } Speaker;

typedef struct Turn {
  Speaker from;
  const char *text;
} Turn;

typedef struct Record {
  char *where;       /* "FILE: record 7 ('id')", for messages */
  const char *image; /* NULL: none */
  Turn *turns;
  size_t turn_count;
  void *json; /* owns the texts */
} Record;

/* A file of records, mapped; only their places are in memory, so a file of gigabytes is no trouble. */
typedef struct RecordPlace {
  size_t start, end; /* in bytes */
} RecordPlace;

typedef struct ConversationList {
  Mapped file;
  const unsigned char *bytes;
  size_t size;
  char *path;
  RecordPlace *places;
  size_t count;
} ConversationList;

/* conversations_open: find the records. Errors: STATUS_INPUT naming the file and the line (not a list of objects, cut
 * off), STATUS_MEMORY. conversations_over: the same over bytes in memory that outlive the list; `name` for messages. */
Status conversations_open(ConversationList *list, const char *path);
Status conversations_over(ConversationList *list, const char *name, const unsigned char *bytes, size_t size);
void conversations_close(ConversationList *list);

/* conversations_read: record `index`; the caller frees it. Errors: STATUS_INPUT naming the file, the index and the id:
 * JSON errors with the line; conversations, from or value missing or of another type; no turns; a speaker other than
 * human and gpt; image not one path. Threads may read from one list. */
Status conversations_read(const ConversationList *list, size_t index, Record *record);
void record_free(Record *record);

/* A record as the model sees it. */
typedef struct Sample {
  Tokens ids, labels; /* as many; IMAGE_TOKEN in ids is the place of the picture, its label is IGNORE */
  size_t images;      /* how many IMAGE_TOKENs, 0 or 1; 0 also of a picture that the text does not mention */
  size_t cut;         /* how many ids beyond the longest length were dropped */
  bool mismatch;      /* the rounds, tokenised one by one, are not as long as the whole: the released code then ignores
                         the sample, all labels are IGNORE, and prints a warning. Callers must count these */
  size_t expected, found; /* the two lengths, set if they mismatch */
} Sample;

/* sample_make: fill a zeroed sample, or one made before, whose memory is then used again. At most `longest` ids are
 * kept. Errors: STATUS_INPUT, naming the id: speakers that do not alternate, no turn of the human, <image> in more than
 * one turn (within one it counts once), or in plain not two turns, the first with a picture; a text that is not UTF-8;
 * STATUS_MEMORY. A first turn of gpt is dropped. Without `image` in the record, <image> is text like any other.
 *
 * Departure: with plain, the released code takes a record without a picture too if its text has <image>. */
Status sample_make(Sample *sample, const Tokenizer *tokenizer, Template which, const Record *record, size_t longest);
void sample_free(Sample *sample);

/* conversation_prompt: append the prompt's text for one question, up to where the answer begins; `pictured`: <image>
 * and a line break come before the question. With plain, the prompt is what training shows: <image> alone, so
 * `pictured` must be true and the question is dropped. */
Status conversation_prompt(Template which, const char *question, bool pictured, Text *prompt);

/* conversation_tokens: append the ids of a prompt. `pictured`: each <image> becomes IMAGE_TOKEN, and what lies between
 * is encoded piece by piece, each as a text of its own, less its token of the start if it is not the first. */
Status conversation_tokens(const Tokenizer *tokenizer, const char *prompt, size_t length, bool pictured, Tokens *ids);

#endif
