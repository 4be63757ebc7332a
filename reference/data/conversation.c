/* conversation.c: records out of a list in a file; prompts; labels.
 *
 * The list is cut into records by counting brackets outside strings; each record is parsed when it is asked for. */
#include "conversation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "number.h"
#include "utf8.h"

static const char IMAGE[] = "<image>";
static const char SYSTEM[] = "A chat between a curious user and an artificial intelligence assistant. The assistant "
                             "gives helpful, detailed, and polite answers to the user's questions. ";
static const char *const NAMES[TEMPLATE_COUNT] = {"plain", "v1", "llama3"};

const char *template_name(Template which) {
  REQUIRE(which < TEMPLATE_COUNT, "template %d", (int)which);
  return NAMES[which];
}

Template template_find(const char *name) {
  int which = 0;
  while (which < TEMPLATE_COUNT && strcmp(name, NAMES[which]) != 0)
    which++;
  return (Template)which;
}

/* ---- The list ---- */

typedef struct Scan {
  const unsigned char *bytes;
  size_t size, at;
} Scan;

static size_t line_at(const unsigned char *bytes, size_t offset) {
  size_t line = 1;
  for (size_t i = 0; i < offset; i++)
    line += bytes[i] == '\n';
  return line;
}

/* The next byte that is not blank, 0 at the end. */
static unsigned char next_byte(Scan *scan) {
  while (scan->at < scan->size && scan->bytes[scan->at] != 0 && strchr(" \t\r\n", scan->bytes[scan->at]) != NULL)
    scan->at++;
  return scan->at < scan->size ? scan->bytes[scan->at] : 0;
}

/* Past a string, at whose first quote the scan is; false if it does not end. */
static bool skip_string(Scan *scan) {
  for (scan->at++; scan->at < scan->size; scan->at++)
    if (scan->bytes[scan->at] == '\\')
      scan->at++;
    else if (scan->bytes[scan->at] == '"')
      break;
  if (scan->at >= scan->size)
    return false;
  scan->at++;
  return true;
}

/* Past a value in braces, at whose first the scan is; false if it does not end. */
static bool skip_object(Scan *scan) {
  size_t depth = 0;
  while (scan->at < scan->size) {
    unsigned char byte = scan->bytes[scan->at];
    if (byte == '"') {
      if (!skip_string(scan))
        return false;
      continue;
    }
    scan->at++;
    if (byte == '{' || byte == '[')
      depth++;
    else if ((byte == '}' || byte == ']') && --depth == 0)
      return true;
  }
  return false;
}

static Status list_error(const ConversationList *list, const Scan *scan, const char *what) {
  return status_error(STATUS_INPUT, "%s: line %zu, after %zu records: %s", list->path,
                      line_at(scan->bytes, scan->at < scan->size ? scan->at : scan->size), list->count, what);
}

static Status add_place(ConversationList *list, size_t *room, RecordPlace place) {
  if (list->count == *room) {
    size_t more = *room == 0 ? 64 : 2 * *room;
    RecordPlace *places = realloc(list->places, more * sizeof *places);
    if (places == NULL)
      return status_error(STATUS_MEMORY, "not enough memory for the places of more than %zu records of %s", list->count,
                          list->path);
    list->places = places;
    *room = more;
  }
  list->places[list->count++] = place;
  return status_ok();
}

static Status find_records(ConversationList *list) {
  Scan scan = {list->bytes, list->size, 0};
  size_t room = 0, start;
  if (next_byte(&scan) != '[')
    return list_error(list, &scan, "the file must be a JSON list, in [ ]");
  scan.at++;
  bool closed = next_byte(&scan) == ']';
  while (!closed) {
    if (next_byte(&scan) != '{')
      return list_error(list, &scan, "a record must be an object, in { }");
    start = scan.at;
    if (!skip_object(&scan))
      return list_error(list, &scan, "the file ends within a record");
    TRY(add_place(list, &room, (RecordPlace){start, scan.at}));
    closed = next_byte(&scan) == ']';
    if (!closed && next_byte(&scan) != ',')
      return list_error(list, &scan, "a comma or the list's ] must follow a record");
    scan.at += !closed;
  }
  scan.at++;
  return next_byte(&scan) == 0 && scan.at == scan.size ? status_ok()
                                                       : list_error(list, &scan, "something follows the list");
}

/* `list->bytes` and `size` are set; fill the rest, or close. */
static Status index_records(ConversationList *list, const char *name) {
  list->path = strdup(name);
  Status status =
      list->path == NULL ? status_error(STATUS_MEMORY, "not enough memory to read %s", name) : find_records(list);
  if (status.code != STATUS_OK)
    conversations_close(list);
  return status;
}

Status conversations_open(ConversationList *list, const char *path) {
  *list = (ConversationList){0};
  TRY(mapped_open(&list->file, path));
  list->bytes = list->file.bytes;
  list->size = list->file.size;
  return index_records(list, path);
}

Status conversations_over(ConversationList *list, const char *name, const unsigned char *bytes, size_t size) {
  *list = (ConversationList){.bytes = bytes, .size = size};
  return index_records(list, name);
}

void conversations_close(ConversationList *list) {
  mapped_close(&list->file);
  free(list->path);
  free(list->places);
  *list = (ConversationList){0};
}

/* ---- A record ---- */

static Status wrong(const Record *record, const char *what) {
  return status_error(STATUS_INPUT, "%s: %s", record->where, what);
}

/* A failure of another part, with the place of the record. */
static Status at_record(const Record *record, Status status) {
  return status.code == STATUS_INPUT ? wrong(record, status.message) : status;
}

/* The id is for messages alone, so a record may lack it, and numbers are as good as texts. */
static Status name_record(const ConversationList *list, size_t index, Record *record) {
  const cJSON *id = fields_get(record->json, "id");
  char quoted[QUOTE_ROOM] = "", number[NUMBER_ROOM];
  if (cJSON_IsString(id))
    quote_printable(id->valuestring, strlen(id->valuestring), quoted);
  if (cJSON_IsNumber(id)) {
    number_print(id->valuedouble, number);
    quote_printable(number, strlen(number), quoted);
  }
  bool named = quoted[0] != '\0';
  if (asprintf(&record->where, "%s: record %zu%s%s%s", list->path, index, named ? " ('" : "", quoted,
               named ? "')" : "") < 0) {
    record->where = NULL;
    return status_error(STATUS_MEMORY, "not enough memory for record %zu of %s", index, list->path);
  }
  return id == NULL || cJSON_IsString(id) || cJSON_IsNumber(id) ? status_ok()
                                                                : wrong(record, "`id` must be a text or a number");
}

static Status read_turn(const Record *record, const cJSON *value, Turn *turn) {
  const char *from = fields_string(value, "from");
  char what[160], quoted[QUOTE_ROOM];
  turn->text = fields_string(value, "value");
  turn->from = from != NULL && strcmp(from, "human") == 0 ? SPEAKER_HUMAN : SPEAKER_GPT;
  if (from == NULL || turn->text == NULL) {
    snprintf(what, sizeof what, "turn %zu of `conversations` must be an object with the texts `from` and `value`",
             record->turn_count);
    return wrong(record, what);
  }
  if (turn->from == SPEAKER_GPT && strcmp(from, "gpt") != 0) {
    snprintf(what, sizeof what, "turn %zu is from '%s'; only human and gpt are known", record->turn_count,
             quote_printable(from, strlen(from), quoted));
    return wrong(record, what);
  }
  return status_ok();
}

static Status read_turns(Record *record) {
  const cJSON *turns = fields_get(record->json, "conversations"), *turn;
  size_t count = cJSON_IsArray(turns) ? (size_t)cJSON_GetArraySize(turns) : 0;
  if (count == 0)
    return wrong(record, turns == NULL           ? "`conversations` is missing"
                         : !cJSON_IsArray(turns) ? "`conversations` must be a list"
                                                 : "`conversations` is empty");
  record->turns = calloc(count, sizeof *record->turns);
  if (record->turns == NULL)
    return status_error(STATUS_MEMORY, "not enough memory for the %zu turns of %s", count, record->where);
  cJSON_ArrayForEach(turn, turns) {
    TRY(read_turn(record, turn, &record->turns[record->turn_count]));
    record->turn_count++;
  }
  return status_ok();
}

static Status read_record(const ConversationList *list, size_t index, Record *record) {
  cJSON *json;
  char name[256];
  RecordPlace place = list->places[index];
  Status status = fields_parse("", list->bytes + place.start, place.end - place.start, 1, &json);
  if (status.code != STATUS_OK) { /* once more, for a message that counts lines from the start of the file */
    snprintf(name, sizeof name, "%.200s: record %zu", list->path, index);
    return fields_parse(name, list->bytes + place.start, place.end - place.start, line_at(list->bytes, place.start),
                        &json);
  }
  record->json = json;
  TRY(name_record(list, index, record));
  const cJSON *image = cJSON_GetObjectItemCaseSensitive(json, "image");
  record->image = cJSON_GetStringValue(image);
  if (image != NULL && (record->image == NULL || record->image[0] == '\0'))
    return wrong(record, cJSON_IsArray(image)
                             ? "`image` is a list, but only one picture is supported: it must be a path"
                             : "`image` must be a path");
  return read_turns(record);
}

Status conversations_read(const ConversationList *list, size_t index, Record *record) {
  REQUIRE(index < list->count, "record %zu of %zu", index, list->count);
  *record = (Record){0};
  Status status = read_record(list, index, record);
  if (status.code != STATUS_OK)
    record_free(record);
  return status;
}

void record_free(Record *record) {
  free(record->where);
  free(record->turns);
  cJSON_Delete(record->json);
  *record = (Record){0};
}

/* ---- Stretches of text ---- */

typedef struct Span {
  const char *text;
  size_t length;
} Span;

static Span span_of(const char *string) {
  return (Span){string, strlen(string)};
}

/* Where a mark begins in the text, its end if nowhere. No mark occurs across the text's end. */
static const char *find(Span text, Span mark) {
  const char *found = text.length == 0 ? NULL : memmem(text.text, text.length, mark.text, mark.length);
  return found != NULL ? found : text.text + text.length;
}

/* Take what comes before the next mark off the front of `rest`, and the mark too; false when nothing is left. As
 * Python's split: n marks make n + 1 stretches, some of them empty. `rest->text` is NULL after the last. */
static bool split(Span *rest, Span mark, Span *stretch) {
  if (rest->text == NULL)
    return false;
  const char *end = rest->text + rest->length, *found = find(*rest, mark);
  *stretch = (Span){rest->text, (size_t)(found - rest->text)};
  *rest = found == end ? (Span){NULL, 0} : (Span){found + mark.length, (size_t)(end - found) - mark.length};
  return true;
}

static size_t occurrences(Span text, Span mark) {
  size_t count = 0;
  for (Span stretch; split(&text, mark, &stretch);)
    count++;
  return count - 1;
}

/* Append the text without any of the marks. */
static Status append_without(Text *into, Span text, Span mark) {
  for (Span stretch; split(&text, mark, &stretch);)
    TRY(text_append(into, stretch.text, stretch.length));
  return status_ok();
}

/* Append the text of a turn. Of a record with a picture, <image> goes to the front, on a line of its own, and white
 * space around the rest goes. */
static Status append_turn(Text *into, const char *turn, bool pictured) {
  Span text = span_of(turn), image = span_of(IMAGE);
  Text rest = {0};
  if (!pictured || occurrences(text, image) == 0)
    return text_append(into, text.text, text.length);
  Status status = text_append_string(&rest, "");
  if (status.code == STATUS_OK)
    status = append_without(&rest, text, image);
  if (status.code == STATUS_OK) {
    const char *kept = rest.bytes;
    size_t length = rest.length;
    utf8_strip(&kept, &length);
    status = text_append_string(into, length > 0 ? "<image>\n" : IMAGE);
    if (status.code == STATUS_OK)
      status = text_append(into, kept, length);
  }
  text_free(&rest);
  return status;
}

/* ---- Prompts ---- */

static const char USER_HEADER[] = "<|start_header_id|>user<|end_header_id|>\n\n";
static const char ANSWER_HEADER[] = "<|start_header_id|>assistant<|end_header_id|>\n\n";
static const char ROUND_END[] = "<|eot_conversation|>"; /* marks the end of a round; taken out before encoding */

/* "USER: text ", "ASSISTANT: text</s>"; of an empty text the released code leaves only "USER:", "ASSISTANT:". */
static Status append_v1(Text *prompt, const char *text, Speaker from, bool pictured) {
  bool human = from == SPEAKER_HUMAN;
  TRY(text_append_string(prompt, human ? "USER:" : "ASSISTANT:"));
  if (text[0] == '\0')
    return status_ok();
  TRY(text_append_string(prompt, " "));
  TRY(append_turn(prompt, text, pictured));
  return text_append_string(prompt, human ? " " : "</s>");
}

static Status append_llama3(Text *prompt, const char *text, Speaker from, bool pictured) {
  TRY(text_append_string(prompt, from == SPEAKER_HUMAN ? USER_HEADER : ANSWER_HEADER));
  TRY(append_turn(prompt, text, pictured));
  TRY(text_append_string(prompt, "<|eot_id|>"));
  return from == SPEAKER_HUMAN ? status_ok() : text_append_string(prompt, ROUND_END);
}

static Status assemble(Template which, const Turn *turns, size_t count, bool pictured, Text *prompt) {
  TRY(text_append_string(prompt, which == TEMPLATE_V1 ? SYSTEM : ""));
  for (size_t i = 0; i < count; i++)
    TRY((which == TEMPLATE_V1 ? append_v1 : append_llama3)(prompt, turns[i].text, turns[i].from, pictured));
  return status_ok();
}

Status conversation_prompt(Template which, const char *question, bool pictured, Text *prompt) {
  REQUIRE(which < TEMPLATE_COUNT, "template %d", (int)which);
  REQUIRE(which != TEMPLATE_PLAIN || pictured, "the plain template is of pictures");
  if (which == TEMPLATE_PLAIN)
    return text_append_string(prompt, IMAGE);
  TRY(text_append_string(prompt, which == TEMPLATE_V1 ? SYSTEM : USER_HEADER));
  TRY(text_append_string(prompt, which == TEMPLATE_V1 ? "USER: " : ""));
  TRY(text_append_string(prompt, pictured ? "<image>\n" : ""));
  TRY(text_append_string(prompt, question));
  TRY(text_append_string(prompt, which == TEMPLATE_V1 ? " ASSISTANT:" : "<|eot_id|>"));
  return text_append_string(prompt, which == TEMPLATE_V1 ? "" : ANSWER_HEADER);
}

/* ---- Tokens ---- */

Status conversation_tokens(const Tokenizer *tokenizer, const char *prompt, size_t length, bool pictured, Tokens *ids) {
  Span rest = {prompt, length}, stretch;
  size_t start = ids->count;
  int32_t bos = tokenizer_bos(tokenizer);
  if (!pictured)
    return tokenizer_encode(tokenizer, prompt, length, ENCODE_USUAL, ids);
  for (bool first = true; split(&rest, span_of(IMAGE), &stretch); first = false) {
    if (!first)
      TRY(tokens_append(ids, IMAGE_TOKEN));
    size_t from = ids->count;
    TRY(tokenizer_encode(tokenizer, stretch.text, stretch.length, ENCODE_USUAL, ids));
    if (!first && ids->count > from && ids->ids[from] == bos && ids->ids[start] == bos) {
      memmove(ids->ids + from, ids->ids + from + 1, (ids->count - from - 1) * sizeof *ids->ids);
      ids->count--;
    }
  }
  return status_ok();
}

/* How many tokens a stretch has by itself. `spare` is memory for them. */
static Status count_tokens(const Tokenizer *tokenizer, Span text, bool pictured, Tokens *spare, size_t *count) {
  spare->count = 0;
  TRY(conversation_tokens(tokenizer, text.text, text.length, pictured, spare));
  *count = spare->count;
  return status_ok();
}

/* ---- Labels ---- */

static void ignore(Sample *sample, size_t from, size_t to) {
  for (size_t i = from; i < to && i < sample->labels.count; i++)
    sample->labels.ids[i] = IGNORE_LABEL;
}

static Status copy_labels(Sample *sample) {
  sample->labels.count = 0;
  for (size_t i = 0; i < sample->ids.count; i++)
    TRY(tokens_append(&sample->labels, sample->ids.ids[i]));
  return status_ok();
}

static void truncate(Sample *sample, size_t longest) {
  if (sample->ids.count <= longest)
    return;
  sample->cut += sample->ids.count - longest;
  sample->ids.count = longest;
  if (sample->labels.count > longest)
    sample->labels.count = longest;
}

/* How a template's rounds are told apart, and where each round's answer begins. */
typedef struct Rounds {
  Span end, answer;
  size_t before; /* tokens in front of the first round */
  size_t beyond; /* tokens by which a question, encoded alone with the blank after it, is longer than in the prompt */
} Rounds;

static Rounds rounds_of(Template which) {
  if (which == TEMPLATE_V1) /* </s> of each round stands for the token of the start that encoding it alone gives */
    return (Rounds){span_of("</s>"), span_of(" ASSISTANT: "), 1, 2};
  return (Rounds){span_of(ROUND_END), span_of(ANSWER_HEADER), 0, 0};
}

/* Mask all but the answers, round by round, by the lengths of rounds and questions encoded alone. A round that does not
 * have exactly one answer ends it. *reached is how far the rounds go. */
static Status mask_rounds(Sample *sample, const Tokenizer *tokenizer, Template which, Span prompt, bool pictured,
                          size_t *reached) {
  Rounds rounds = rounds_of(which);
  Span one;
  Tokens spare = {0};
  Status status = status_ok();
  size_t at = rounds.before, whole, question;
  ignore(sample, 0, at);
  for (bool first = true; split(&prompt, rounds.end, &one); first = false) {
    if (one.length == 0 || occurrences(one, rounds.answer) != 1)
      break;
    const char *answer = find(one, rounds.answer) + rounds.answer.length;
    status = count_tokens(tokenizer, one, pictured, &spare, &whole);
    if (status.code == STATUS_OK)
      status = count_tokens(tokenizer, (Span){one.text, (size_t)(answer - one.text)}, pictured, &spare, &question);
    if (status.code != STATUS_OK)
      break;
    bool less = !first && !tokenizer_legacy(tokenizer);
    whole -= less && whole > 0;
    question -= question < rounds.beyond + less ? question : rounds.beyond + less;
    ignore(sample, at, at + question);
    at += whole;
  }
  ignore(sample, at, sample->labels.count);
  *reached = at;
  tokens_free(&spare);
  return status;
}

/* The token that the released code pads with: the unknown one, else <|end_of_text|>. */
static int32_t padding(const Tokenizer *tokenizer) {
  int32_t unknown = tokenizer_unknown(tokenizer);
  return unknown >= 0 ? unknown : tokenizer_find(tokenizer, "<|end_of_text|>");
}

/* How far the rounds should reach. With v1 the released code does not count tokens equal to the padding. */
static size_t expected_length(const Sample *sample, const Tokenizer *tokenizer, Template which) {
  size_t count = 0;
  int32_t pad = padding(tokenizer);
  for (size_t i = 0; i < sample->ids.count; i++)
    count += which != TEMPLATE_V1 || sample->ids.ids[i] != pad;
  return count;
}

static Status make_rounds(Sample *sample, const Tokenizer *tokenizer, Template which, Text *prompt, bool pictured,
                          size_t longest) {
  Text encoded = {0};
  size_t reached;
  Status status = text_append_string(&encoded, "");
  if (status.code == STATUS_OK)
    status = append_without(&encoded, (Span){prompt->bytes, prompt->length},
                            span_of(which == TEMPLATE_LLAMA3 ? ROUND_END : "\xFF")); /* no text has this byte */
  if (status.code == STATUS_OK)
    status = conversation_tokens(tokenizer, encoded.bytes, encoded.length, pictured, &sample->ids);
  text_free(&encoded);
  TRY(status);
  if (!pictured) /* with a picture the released code cuts at the end */
    truncate(sample, longest);
  TRY(copy_labels(sample));
  size_t expected = expected_length(sample, tokenizer, which);
  TRY(mask_rounds(sample, tokenizer, which, (Span){prompt->bytes, prompt->length}, pictured, &reached));
  sample->mismatch = reached < longest && reached != expected;
  sample->expected = sample->mismatch ? expected : 0;
  sample->found = sample->mismatch ? reached : 0;
  if (sample->mismatch)
    ignore(sample, 0, sample->labels.count);
  return status_ok();
}

/* ---- Samples ---- */

static Status make_plain(Sample *sample, const Tokenizer *tokenizer, const Record *record, Text *prompt) {
  size_t masked;
  if (record->turn_count != 2 || record->image == NULL ||
      occurrences(span_of(record->turns[0].text), span_of(IMAGE)) == 0)
    return wrong(record, "the plain template needs two turns, a picture, and <image> in the first turn");
  TRY(text_append_string(prompt, IMAGE));
  TRY(append_turn(prompt, record->turns[1].text, true));
  TRY(text_append_string(prompt, "\n"));
  TRY(count_tokens(tokenizer, span_of(IMAGE), true, &sample->ids, &masked));
  sample->ids.count = 0;
  TRY(at_record(record, conversation_tokens(tokenizer, prompt->bytes, prompt->length, true, &sample->ids)));
  TRY(copy_labels(sample));
  ignore(sample, 0, masked);
  return status_ok();
}

static Status make_talk(Sample *sample, const Tokenizer *tokenizer, Template which, const Record *record,
                        size_t longest, Text *prompt) {
  size_t skipped = record->turns[0].from == SPEAKER_GPT;
  const Turn *turns = record->turns + skipped;
  char what[160];
  if (record->turn_count == skipped)
    return wrong(record, "there is no turn of the human");
  for (size_t i = 0; i < record->turn_count - skipped; i++)
    if (turns[i].from != (i % 2 == 0 ? SPEAKER_HUMAN : SPEAKER_GPT)) {
      snprintf(what, sizeof what, "turn %zu must be of %s: human and gpt take turns", i + skipped,
               i % 2 == 0 ? "the human" : "gpt");
      return wrong(record, what);
    }
  TRY(assemble(which, turns, record->turn_count - skipped, record->image != NULL, prompt));
  return at_record(record, make_rounds(sample, tokenizer, which, prompt, record->image != NULL, longest));
}

/* One picture, so one place for it; a turn's own repetitions were made one. */
static Status check_places(const Sample *sample, const Record *record) {
  size_t places = 0;
  for (size_t i = 0; i < sample->ids.count; i++)
    places += sample->ids.ids[i] == IMAGE_TOKEN;
  return places <= 1 ? status_ok() : wrong(record, "<image> is in more than one turn, but there is one picture");
}

static void clear(Sample *sample) {
  sample->ids.count = sample->labels.count = 0;
  sample->images = sample->cut = sample->expected = sample->found = 0;
  sample->mismatch = false;
}

Status sample_make(Sample *sample, const Tokenizer *tokenizer, Template which, const Record *record, size_t longest) {
  Text prompt = {0};
  REQUIRE(which < TEMPLATE_COUNT && record->turn_count > 0, "template %d of %zu turns", (int)which, record->turn_count);
  clear(sample);
  Status status = which == TEMPLATE_PLAIN ? make_plain(sample, tokenizer, record, &prompt)
                                          : make_talk(sample, tokenizer, which, record, longest, &prompt);
  text_free(&prompt);
  if (status.code == STATUS_OK)
    status = check_places(sample, record);
  if (status.code != STATUS_OK) {
    clear(sample);
    return status;
  }
  truncate(sample, longest);
  for (size_t i = 0; i < sample->ids.count; i++)
    if (sample->ids.ids[i] == IMAGE_TOKEN) { /* may be in an answer */
      sample->images++;
      sample->labels.ids[i] = IGNORE_LABEL;
    }
  return status;
}

void sample_free(Sample *sample) {
  tokens_free(&sample->ids);
  tokens_free(&sample->labels);
  *sample = (Sample){0};
}
