/* sentencepiece.c: tokenizer.model of Llama-2 and Vicuna: SentencePiece BPE with byte fallback, around which the slow
 * LlamaTokenizer of transformers puts special tokens.
 *
 * The file is a protobuf message; a small reader takes the few fields that matter and never passes the end. Blanks
 * become U+2581, one is put before the text, then the neighbours whose union is the piece of the highest score merge,
 * the leftmost first among equals. Characters without a piece become their bytes. Normalisation of the text is not
 * supported, and refused where a file asks for it.
 * Source: sentencepiece_model.proto of sentencepiece 0.2; tokenization_llama.py of transformers 4.57. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "merge.h"
#include "number.h"
#include "tokenizer_parts.h"
#include "utf8.h"

static const char BLANK[] = "\xE2\x96\x81"; /* U+2581 */

static bool blank_at(const char *text, size_t length, size_t at) {
  return length - at >= 3 && memcmp(text + at, BLANK, 3) == 0;
}

/* Where the next blank after something else begins, or the end: such parts, mostly words, are encoded alone, so that
 * the heap stays small. */
static size_t part_length(const char *text, size_t length) {
  size_t at = 0;
  while (blank_at(text, length, at))
    at += 3;
  while (at < length && !blank_at(text, length, at))
    at++;
  return at;
}

/* ---- Protobuf ---- */

typedef struct Wire {
  const unsigned char *at, *end;
} Wire;

typedef struct Field {
  uint32_t number;
  enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 } type;
  uint64_t value; /* of the first two and the last */
  Wire bytes;
} Field;

static bool read_varint(Wire *wire, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
    unsigned char byte = *wire->at++;
    *value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

static bool read_fixed(Wire *wire, size_t size, uint64_t *value) {
  *value = 0;
  if ((size_t)(wire->end - wire->at) < size)
    return false;
  for (size_t i = 0; i < size; i++)
    *value |= (uint64_t)*wire->at++ << 8 * i;
  return true;
}

/* The next field of a message that is not at its end; false if it is malformed. */
static bool read_field(Wire *wire, Field *field) {
  uint64_t tag, length;
  if (!read_varint(wire, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF)
    return false;
  field->number = (uint32_t)(tag >> 3);
  field->type = (int)(tag & 7);
  field->bytes = (Wire){NULL, NULL};
  switch (tag & 7) {
  case WIRE_VARINT:
    return read_varint(wire, &field->value);
  case WIRE_64:
    return read_fixed(wire, 8, &field->value);
  case WIRE_32:
    return read_fixed(wire, 4, &field->value);
  case WIRE_BYTES:
    if (!read_varint(wire, &length) || length > (size_t)(wire->end - wire->at))
      return false;
    field->bytes = (Wire){wire->at, wire->at + length};
    wire->at += length;
    return true;
  default: /* groups are not used */
    return false;
  }
}

static Status malformed(const Tokenizer *tokenizer, const char *what) {
  return status_error(STATUS_INPUT, "%s: not a SentencePiece model: %s", tokenizer->name, what);
}

/* ---- The fields ---- */

typedef struct Model { /* with protobuf's defaults */
  uint64_t model_type, unknown, bos, eos, pad, suffix, fallback, dummy_prefix, fewer_blanks, escapes;
  size_t charsmap;
} Model;

typedef struct Piece {
  const char *text;
  size_t length;
  float score;
  uint64_t type;
} Piece;

enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE };

static Status read_piece(const Tokenizer *tokenizer, Wire wire, Piece *piece) {
  Field field;
  *piece = (Piece){.type = PIECE_NORMAL};
  while (wire.at < wire.end) {
    if (!read_field(&wire, &field))
      return malformed(tokenizer, "a piece is cut off");
    if (field.number == 1 && field.type == WIRE_BYTES) {
      piece->text = (const char *)field.bytes.at;
      piece->length = (size_t)(field.bytes.end - field.bytes.at);
    } else if (field.number == 2 && field.type == WIRE_32) {
      uint32_t bits = (uint32_t)field.value;
      memcpy(&piece->score, &bits, sizeof bits);
    } else if (field.number == 3 && field.type == WIRE_VARINT) {
      piece->type = field.value;
    } else if (field.number <= 3) {
      return malformed(tokenizer, "a piece's field is of another type");
    }
  }
  return status_ok();
}

/* Numbers of one of the two specifications, by field number. */
typedef struct Wanted {
  uint32_t number;
  uint64_t *value;
} Wanted;

static Status read_numbers(const Tokenizer *tokenizer, Wire wire, const Wanted *wanted, size_t *charsmap) {
  Field field;
  while (wire.at < wire.end) {
    if (!read_field(&wire, &field))
      return malformed(tokenizer, "a specification is cut off");
    if (charsmap != NULL && field.number == 2 && field.type == WIRE_BYTES)
      *charsmap = (size_t)(field.bytes.end - field.bytes.at);
    for (const Wanted *w = wanted; w->number != 0; w++)
      if (w->number == field.number) {
        if (field.type != WIRE_VARINT)
          return malformed(tokenizer, "a specification's field is of another type");
        *w->value = field.value;
      }
  }
  return status_ok();
}

/* Everything but the pieces, which are counted. */
static Status read_model(const Tokenizer *tokenizer, Wire wire, Model *model, size_t *pieces) {
  const Wanted trainer[] = {
      {3, &model->model_type}, {24, &model->suffix}, {35, &model->fallback}, {40, &model->unknown},
      {41, &model->bos},       {42, &model->eos},    {43, &model->pad},      {0, NULL}};
  const Wanted normalizer[] = {{3, &model->dummy_prefix}, {4, &model->fewer_blanks}, {5, &model->escapes}, {0, NULL}};
  const Wanted none[] = {{0, NULL}};
  Field field;
  *pieces = 0;
  while (wire.at < wire.end) {
    if (!read_field(&wire, &field))
      return malformed(tokenizer, "it is cut off, or another kind of file");
    if (field.number >= 1 && field.number <= 5 && field.type != WIRE_BYTES)
      return malformed(tokenizer, "a field is of another type");
    *pieces += field.number == 1;
    if (field.number == 2)
      TRY(read_numbers(tokenizer, field.bytes, trainer, NULL));
    if (field.number == 3)
      TRY(read_numbers(tokenizer, field.bytes, normalizer, &model->charsmap));
    if (field.number == 5) /* of decoded text */
      TRY(read_numbers(tokenizer, field.bytes, none, &model->charsmap));
  }
  return status_ok();
}

static Status check_model(const Tokenizer *tokenizer, const Model *model, size_t pieces) {
  if (pieces == 0 || pieces > (size_t)1 << 24)
    return malformed(tokenizer, pieces == 0 ? "it has no pieces" : "it has too many pieces");
  if (model->model_type != 2)
    return status_error(STATUS_INPUT, "%s: the model's type must be BPE (2), not %ju", tokenizer->name,
                        (uintmax_t)model->model_type);
  if (model->charsmap > 0)
    return status_error(STATUS_INPUT,
                        "%s: the model normalises characters, which is not supported: the rule must be "
                        "identity",
                        tokenizer->name);
  if (model->fewer_blanks)
    return status_error(STATUS_INPUT, "%s: the model has remove_extra_whitespaces, which is not supported",
                        tokenizer->name);
  if (model->suffix)
    return status_error(STATUS_INPUT, "%s: the model has treat_whitespace_as_suffix, which is not supported",
                        tokenizer->name);
  return status_ok();
}

/* ---- The pieces ---- */

/* The order in which pieces merge: higher scores are smaller. A float's bits, the sign turned, order as it does. */
static uint32_t score_order(float score) {
  uint32_t bits;
  score += 0.0f; /* -0 is 0 */
  memcpy(&bits, &score, sizeof bits);
  return ~(bits & 0x80000000u ? ~bits : bits | 0x80000000u);
}

/* "<0x0A>" is 10; -1 for anything else. */
static int byte_value(const Piece *piece) {
  static const char digits[] = "0123456789ABCDEF";
  if (piece->length != 6 || memcmp(piece->text, "<0x", 3) != 0 || piece->text[5] != '>')
    return -1;
  const char *high = memchr(digits, piece->text[3], 16), *low = memchr(digits, piece->text[4], 16);
  return high == NULL || low == NULL ? -1 : (int)((high - digits) << 4 | (low - digits));
}

static Status piece_error(const Tokenizer *tokenizer, int32_t id, const Piece *piece, const char *what) {
  char quoted[QUOTE_ROOM];
  return status_error(STATUS_INPUT, "%s: piece %d, '%s', %s", tokenizer->name, id,
                      quote_printable(piece->text, piece->length, quoted), what);
}

/* Add a token of either source; no other may have the same text, for look-ups by text would not know which. */
static Status add_token(Tokenizer *tokenizer, int32_t id, TokenType type, const Piece *piece) {
  Vocabulary *vocabulary = &tokenizer->vocabulary;
  bool taken = vocabulary_find(vocabulary, piece->text, piece->length, true) >= 0 ||
               vocabulary_find(vocabulary, piece->text, piece->length, false) >= 0;
  if (!taken)
    TRY(vocabulary_set(vocabulary, id, type, piece->text, piece->length, &taken));
  return taken ? piece_error(tokenizer, id, piece, "is there twice") : status_ok();
}

static Status add_piece(Tokenizer *tokenizer, int32_t id, const Piece *piece) {
  static const TokenType types[] = {TOKEN_NONE, TOKEN_TEXT, TOKEN_OTHER, TOKEN_OTHER,
                                    TOKEN_USER, TOKEN_NONE, TOKEN_BYTE};
  int byte = byte_value(piece);
  if (piece->length == 0)
    return malformed(tokenizer, "a piece has no text");
  if (utf8_valid((const unsigned char *)piece->text, piece->length) < piece->length)
    return piece_error(tokenizer, id, piece, "is not UTF-8");
  if (memchr(piece->text, '\0', piece->length) != NULL)
    return piece_error(tokenizer, id, piece, "has a zero byte");
  if (piece->type > PIECE_BYTE || types[piece->type] == TOKEN_NONE || isnan(piece->score))
    return piece_error(tokenizer, id, piece, "has a type or a score that is not supported");
  if (piece->type == PIECE_BYTE && byte < 0)
    return piece_error(tokenizer, id, piece, "is a byte and must be written as <0x0A>");
  TRY(add_token(tokenizer, id, types[piece->type], piece));
  Token *token = &tokenizer->vocabulary.tokens[id];
  token->value = piece->type == PIECE_BYTE ? (uint32_t)byte : score_order(piece->score);
  token->special = piece->type == PIECE_CONTROL || piece->type == PIECE_UNKNOWN;
  if (piece->type == PIECE_BYTE)
    tokenizer->byte_ids[byte] = id;
  if (piece->type == PIECE_USER)
    return prefixes_add(&tokenizer->user, id);
  if (piece->type != PIECE_UNKNOWN)
    return status_ok();
  if (tokenizer->unknown >= 0)
    return piece_error(tokenizer, id, piece, "is a second unknown piece");
  tokenizer->unknown = id;
  return status_ok();
}

static Status add_pieces(Tokenizer *tokenizer, Wire wire, const Model *model) {
  Field field;
  Piece piece;
  int32_t id = 0;
  for (int byte = 0; byte < 256; byte++)
    tokenizer->byte_ids[byte] = -1;
  while (wire.at < wire.end && read_field(&wire, &field))
    if (field.number == 1) {
      TRY(read_piece(tokenizer, field.bytes, &piece));
      TRY(add_piece(tokenizer, id++, &piece));
    }
  if (tokenizer->unknown < 0)
    return malformed(tokenizer, "it has no unknown piece");
  for (int byte = 0; byte < 256; byte++) {
    if (model->fallback && tokenizer->byte_ids[byte] < 0)
      return status_error(STATUS_INPUT, "%s: the model has byte_fallback but no piece <0x%02X>", tokenizer->name,
                          (unsigned)byte);
    if (!model->fallback)
      tokenizer->byte_ids[byte] = -1;
  }
  prefixes_sort(&tokenizer->user, &tokenizer->vocabulary);
  return status_ok();
}

/* Whether blanks are only at the beginnings of pieces. */
static bool blanks_begin(const Vocabulary *vocabulary) {
  for (size_t id = 0; id < vocabulary->count; id++) {
    const Token *token = &vocabulary->tokens[id];
    if ((token->type == TOKEN_TEXT || token->type == TOKEN_USER) &&
        part_length(vocabulary_bytes(vocabulary, (int32_t)id), token->length) < token->length)
      return false;
  }
  return true;
}

/* ---- tokenizer_config.json ---- */

/* A token of `added_tokens_decoder`: one of the pieces under its own id, or a new one after them. */
static Status read_added_token(Tokenizer *tokenizer, const cJSON *added) {
  const char *content = fields_string(added, "content");
  char *end, quoted[QUOTE_ROOM];
  unsigned long id = strtoul(added->string, &end, 10);
  if (content == NULL || content[0] == '\0' || strchr("0123456789", added->string[0]) == NULL || *end != '\0' ||
      id >= tokenizer->vocabulary.count)
    return status_error(STATUS_INPUT,
                        "tokenizer_config.json beside %s: in added_tokens_decoder '%s' must be an id below %zu, the "
                        "number of tokens, of an object with `content`",
                        tokenizer->name, quote_printable(added->string, strlen(added->string), quoted),
                        tokenizer->vocabulary.count);
  Piece piece = {.text = content, .length = strlen(content)};
  if (utf8_valid((const unsigned char *)content, piece.length) < piece.length)
    return piece_error(tokenizer, (int32_t)id, &piece, "added by tokenizer_config.json, is not UTF-8");
  TRY(tokenizer_plain_flags(tokenizer, added, content));
  int32_t there = tokenizer_find(tokenizer, content);
  if (there >= 0 ? there != (int32_t)id : tokenizer->vocabulary.tokens[id].type != TOKEN_NONE)
    return piece_error(tokenizer, (int32_t)id, &piece,
                       "added by tokenizer_config.json, has another id, or its id another text, in the model");
  if (there < 0)
    TRY(add_token(tokenizer, (int32_t)id, TOKEN_OTHER, &piece));
  tokenizer->vocabulary.tokens[id].special |= fields_true(added, "special");
  return prefixes_add(&tokenizer->added[0], (int32_t)id);
}

/* A special token by its id, looked for in the text. */
static Status add_special(Tokenizer *tokenizer, int32_t id) {
  if (id < 0)
    return status_ok();
  tokenizer->vocabulary.tokens[id].special = true;
  return prefixes_add(&tokenizer->added[0], id);
}

static Status read_more_specials(Tokenizer *tokenizer, const cJSON *config) {
  const cJSON *more = fields_get(config, "additional_special_tokens"), *token;
  cJSON_ArrayForEach(token, more) {
    const char *text = cJSON_IsObject(token) ? fields_string(token, "content") : cJSON_GetStringValue(token);
    int32_t id = text == NULL ? -1 : tokenizer_find(tokenizer, text);
    if (id < 0)
      return status_error(STATUS_INPUT,
                          "tokenizer_config.json beside %s: additional_special_tokens has something that is not in "
                          "the vocabulary",
                          tokenizer->name);
    TRY(add_special(tokenizer, id));
  }
  return status_ok();
}

static bool choose(Switch choice, const cJSON *config, const char *key, bool otherwise) {
  const cJSON *value = fields_get(config, key);
  return choice != SWITCH_AS_FILE ? choice == SWITCH_ON : value == NULL ? otherwise : cJSON_IsTrue(value);
}

static Status read_config(Tokenizer *tokenizer, const cJSON *config, const Model *model,
                          const TokenizerOptions *options) {
  const cJSON *added;
  int32_t unknown;
  cJSON_ArrayForEach(added, fields_get(config, "added_tokens_decoder")) TRY(read_added_token(tokenizer, added));
  TRY(tokenizer_config_token(tokenizer, config, "bos_token", tokenizer_find(tokenizer, "<s>"), &tokenizer->bos));
  TRY(tokenizer_config_token(tokenizer, config, "eos_token", tokenizer_find(tokenizer, "</s>"), &tokenizer->eos));
  TRY(tokenizer_config_token(tokenizer, config, "unk_token", tokenizer->unknown, &unknown));
  if (unknown != tokenizer->unknown)
    return status_error(STATUS_INPUT, "tokenizer_config.json beside %s: unk_token is not the model's unknown piece",
                        tokenizer->name);
  TRY(tokenizer_config_token(tokenizer, config, "pad_token", -1, &tokenizer->pad));
  TRY(add_special(tokenizer, tokenizer->bos));
  TRY(add_special(tokenizer, tokenizer->eos));
  TRY(add_special(tokenizer, tokenizer->unknown));
  TRY(add_special(tokenizer, tokenizer->pad));
  TRY(read_more_specials(tokenizer, config));
  prefixes_sort(&tokenizer->added[0], &tokenizer->vocabulary);
  tokenizer->adds_bos = tokenizer->bos >= 0 && choose(SWITCH_AS_FILE, config, "add_bos_token", true);
  tokenizer->adds_eos = tokenizer->eos >= 0 && choose(SWITCH_AS_FILE, config, "add_eos_token", false);
  tokenizer->legacy = choose(options->legacy, config, "legacy", true);
  tokenizer->escapes_blanks = model->escapes != 0;
  tokenizer->prefix_everywhere = tokenizer->legacy && model->dummy_prefix;
  tokenizer->prefix_at_start = !tokenizer->legacy && choose(SWITCH_AS_FILE, config, "add_prefix_space", true);
  return status_ok();
}

static Status encode_stretch(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t length,
                             bool at_start, Tokens *tokens);

Status sentencepiece_parse(Tokenizer *tokenizer, const char *name, const unsigned char *bytes, size_t size,
                           const cJSON *config, const TokenizerOptions *options) {
  Model model = {.model_type = 1, .dummy_prefix = 1, .fewer_blanks = 1, .escapes = 1};
  Wire wire = {bytes, bytes + size};
  size_t pieces, added = (size_t)cJSON_GetArraySize(fields_get(config, "added_tokens_decoder"));
  REQUIRE(tokenizer->name == name, "the tokenizer of another file");
  tokenizer->encode_stretch = encode_stretch;
  TRY(read_model(tokenizer, wire, &model, &pieces));
  TRY(check_model(tokenizer, &model, pieces));
  TRY(vocabulary_alloc(&tokenizer->vocabulary, pieces + added));
  TRY(add_pieces(tokenizer, wire, &model));
  tokenizer->blanks_begin = blanks_begin(&tokenizer->vocabulary);
  TRY(read_config(tokenizer, config, &model, options));
  while (tokenizer->vocabulary.tokens[tokenizer->vocabulary.count - 1].type == TOKEN_NONE)
    tokenizer->vocabulary.count--;
  return status_ok();
}

/* ---- Text to ids ---- */

static Status escape(const Tokenizer *tokenizer, const char *text, size_t length, bool prefix, Text *into) {
  const char *blank = tokenizer->escapes_blanks ? BLANK : " ";
  into->length = 0;
  if (prefix)
    TRY(text_append_string(into, blank));
  for (size_t i = 0, from = 0; i <= length; i++)
    if (i == length || text[i] == ' ') {
      TRY(text_append(into, text + from, i - from));
      if (i < length)
        TRY(text_append_string(into, blank));
      from = i + 1;
    }
  return status_ok();
}

/* Neighbours merge if together they are a piece; the user's pieces stay as they are. */
static inline bool rule(const Tokenizer *tokenizer, const char *text, const Symbol *left, const Symbol *right,
                        uint32_t *order, int32_t *id) {
  const Token *tokens = tokenizer->vocabulary.tokens;
  if ((left->id >= 0 && tokens[left->id].type == TOKEN_USER) ||
      (right->id >= 0 && tokens[right->id].type == TOKEN_USER))
    return false;
  *id = vocabulary_find(&tokenizer->vocabulary, text + left->start, left->length + right->length, true);
  *order = *id < 0 ? 0 : tokens[*id].value;
  return *id >= 0;
}

/* Cut the text into the user's pieces and characters. */
static Status first_symbols(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t size,
                            size_t *count) {
  size_t prefix;
  *count = 0;
  TRY(scratch_symbols(scratch, size));
  for (size_t at = 0, length; at < size; at += length) {
    int32_t id = prefixes_longest(&tokenizer->user, &tokenizer->vocabulary, text + at, size - at);
    length = id >= 0 ? tokenizer->vocabulary.tokens[id].length
                     : utf8_length((const unsigned char *)text + at, size - at, &prefix);
    scratch->symbols[(*count)++] = (Symbol){.start = (uint32_t)at, .length = (uint32_t)length, .id = id};
  }
  return status_ok();
}

/* A character that may have no piece: then its bytes, or the unknown piece, once for a run of them. */
static Status put_character(const Tokenizer *tokenizer, const char *bytes, size_t length, bool *in_unknown,
                            Tokens *tokens) {
  int32_t id = vocabulary_find(&tokenizer->vocabulary, bytes, length, true);
  bool known = id >= 0, fallback = tokenizer->byte_ids[0] >= 0, again = *in_unknown;
  *in_unknown = !known && !fallback;
  if (known)
    return tokens_append(tokens, id);
  if (!fallback)
    return again ? status_ok() : tokens_append(tokens, tokenizer->unknown);
  for (size_t i = 0; i < length; i++)
    TRY(tokens_append(tokens, tokenizer->byte_ids[(unsigned char)bytes[i]]));
  return status_ok();
}

/* Merge within a part of the text that nothing merges out of. `in_unknown`: the part before ended in <unk>. */
static Status encode_part(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t length,
                          bool *in_unknown, Tokens *tokens) {
  size_t count;
  TRY(first_symbols(tokenizer, scratch, text, length, &count));
  merge_symbols(tokenizer, scratch, text, count, rule);
  for (uint32_t i = 0; i != NO_SYMBOL; i = scratch->symbols[i].next) {
    const Symbol *symbol = &scratch->symbols[i];
    if (symbol->id < 0) {
      TRY(put_character(tokenizer, text + symbol->start, symbol->length, in_unknown, tokens));
      continue;
    }
    *in_unknown = false;
    TRY(tokens_append(tokens, symbol->id));
  }
  return status_ok();
}

static Status encode_stretch(const Tokenizer *tokenizer, Scratch *scratch, const char *text, size_t length,
                             bool at_start, Tokens *tokens) {
  bool in_unknown = false;
  TRY(escape(tokenizer, text, length, tokenizer->prefix_everywhere || (tokenizer->prefix_at_start && at_start),
             &scratch->text));
  const char *rest = scratch->text.bytes;
  for (size_t left = scratch->text.length, part; left > 0; left -= part) {
    part = tokenizer->blanks_begin ? part_length(rest, left) : left;
    TRY(encode_part(tokenizer, scratch, rest, part, &in_unknown, tokens));
    rest += part;
  }
  return status_ok();
}
