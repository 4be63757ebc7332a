/* test_tokenizer.c: ids and text of the public libraries (fixtures/tokenizer/make.py), files made by hand and broken,
 * and text that comes out a token at a time. */
#include "tokenizer.h"

#include <signal.h>
#include <time.h>

#include "json.h"
#include "scratch.h"
#include "tokenizer_parts.h"
#include "utf8.h"

TestSuite(tokenizer, .init = scratch_make, .fini = scratch_remove);

static const char *fixture(const char *name) {
  static char paths[4][1024];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/tokenizer/%s", SEESAW_FIXTURES, name);
  return path;
}

static Tokenizer *open_fixture(const char *name, TokenizerOptions options) {
  Tokenizer *tokenizer;
  Status status = tokenizer_open(&tokenizer, fixture(name), &options);
  cr_assert_eq(status.code, STATUS_OK, "%s: %s", name, status.message);
  return tokenizer;
}

static cJSON *cases(void) {
  cJSON *file;
  Status status = json_read(fixture("cases.json"), &file);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  return file;
}

static int number(const cJSON *object, const char *key) {
  return cJSON_GetObjectItem(object, key)->valueint;
}

static Tokens list_of(const cJSON *array) {
  Tokens tokens = {0};
  const cJSON *item;
  cJSON_ArrayForEach(item, array) cr_assert_eq(tokens_append(&tokens, item->valueint).code, STATUS_OK);
  return tokens;
}

static bool same(const Tokens *x, const Tokens *y) {
  return x->count == y->count && (x->count == 0 || memcmp(x->ids, y->ids, x->count * sizeof *x->ids) == 0);
}

static size_t first_difference(const Tokens *x, const Tokens *y) {
  size_t i = 0;
  while (i < x->count && i < y->count && x->ids[i] == y->ids[i])
    i++;
  return i;
}

/* ---- Against the libraries ---- */

static void expect_encoding(const Tokenizer *tokenizer, const cJSON *encoding, int which, const char *text,
                            const cJSON *ids) {
  Tokens wanted = list_of(ids), got = {0};
  Status status = tokenizer_encode(tokenizer, text, strlen(text), (unsigned)number(encoding, "flags"), &got);
  cr_expect_eq(status.code, STATUS_OK, "%s", status.message);
  cr_expect(same(&wanted, &got), "%s, flags %d, text %d: %zu ids for %zu, differing at %zu, in: %.300s",
            cJSON_GetObjectItem(encoding, "name")->valuestring, number(encoding, "flags"), which, got.count,
            wanted.count, first_difference(&wanted, &got), text);
  tokens_free(&wanted);
  tokens_free(&got);
}

Test(tokenizer, ids_are_those_of_the_libraries) {
  cJSON *file = cases(), *encoding;
  cJSON_ArrayForEach(encoding, cJSON_GetObjectItem(file, "encodings")) {
    TokenizerOptions options = {.ignore_merges = (Switch)number(encoding, "ignore_merges"),
                                .legacy = (Switch)number(encoding, "legacy")};
    Tokenizer *tokenizer = open_fixture(cJSON_GetObjectItem(encoding, "folder")->valuestring, options);
    const cJSON *text = cJSON_GetObjectItem(file, "texts")->child, *ids;
    int which = 0, done = 0;
    cJSON_ArrayForEach(ids, cJSON_GetObjectItem(encoding, "ids")) {
      if (cJSON_IsArray(ids)) {
        expect_encoding(tokenizer, encoding, which, text->valuestring, ids);
        done++;
      }
      which++;
      text = text->next;
    }
    cr_expect(done > 40 && text == NULL);
    tokenizer_close(tokenizer);
  }
  cJSON_Delete(file);
}

static Text decode(const Tokenizer *tokenizer, const Tokens *ids, bool specials) {
  Text text = {0};
  Status status = tokenizer_decode(tokenizer, ids->ids, ids->count, specials, &text);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  return text;
}

/* Token by token, looking after each that what came out so far is whole characters. */
static Text decode_stream(const Tokenizer *tokenizer, const Tokens *ids, bool specials) {
  Text text = {0};
  TokenStream stream = token_stream_start(tokenizer, specials);
  cr_assert_eq(text_append_string(&text, "").code, STATUS_OK);
  for (size_t i = 0; i < ids->count; i++) {
    cr_assert_eq(token_stream_next(&stream, ids->ids[i], &text).code, STATUS_OK);
    cr_expect_eq(utf8_valid((const unsigned char *)text.bytes, text.length), text.length);
  }
  cr_assert_eq(token_stream_end(&stream, &text).code, STATUS_OK);
  return text;
}

Test(tokenizer, text_is_that_of_the_libraries_at_once_and_token_by_token) {
  cJSON *file = cases(), *decoding;
  cJSON_ArrayForEach(decoding, cJSON_GetObjectItem(file, "decodings")) {
    const char *folder = cJSON_GetObjectItem(decoding, "folder")->valuestring;
    bool specials = cJSON_IsTrue(cJSON_GetObjectItem(decoding, "specials"));
    Tokenizer *tokenizer = open_fixture(folder, (TokenizerOptions){0});
    const cJSON *wanted = cJSON_GetObjectItem(decoding, "texts")->child, *list;
    int which = 0;
    cJSON_ArrayForEach(list, cJSON_GetObjectItem(decoding, "ids")) {
      Tokens ids = list_of(list);
      Text whole = decode(tokenizer, &ids, specials), parts = decode_stream(tokenizer, &ids, specials);
      size_t length = strlen(wanted->valuestring);
      cr_expect(whole.length == length && memcmp(whole.bytes, wanted->valuestring, length) == 0,
                "%s, specials %d, list %d: '%.200s' for '%.200s'", folder, specials, which, whole.bytes,
                wanted->valuestring);
      cr_expect(parts.length == whole.length && memcmp(parts.bytes, whole.bytes, whole.length) == 0);
      tokens_free(&ids);
      text_free(&whole);
      text_free(&parts);
      wanted = wanted->next;
      which++;
    }
    tokenizer_close(tokenizer);
  }
  cJSON_Delete(file);
}

Test(tokenizer, text_survives_encoding_and_decoding) {
  static const char *const folders[] = {"bytes", "bytes_old", "pieces"};
  cJSON *file = cases(), *text;
  for (int i = 0; i < 3; i++) {
    Tokenizer *tokenizer = open_fixture(folders[i], (TokenizerOptions){0});
    cJSON_ArrayForEach(text, cJSON_GetObjectItem(file, "texts")) {
      if (i == 2 && strstr(text->valuestring, "\xE2\x96\x81") != NULL) /* U+2581 comes back as a blank */
        continue;
      Tokens ids = {0};
      cr_assert_eq(tokenizer_encode(tokenizer, text->valuestring, strlen(text->valuestring), 0, &ids).code, STATUS_OK);
      Text back = decode(tokenizer, &ids, true);
      cr_expect_str_eq(back.bytes, text->valuestring);
      tokens_free(&ids);
      text_free(&back);
    }
    tokenizer_close(tokenizer);
  }
  cJSON_Delete(file);
}

Test(tokenizer, a_zero_byte_is_text_too) {
  static const char *const folders[] = {"bytes", "pieces"};
  for (int i = 0; i < 2; i++) {
    Tokenizer *tokenizer = open_fixture(folders[i], (TokenizerOptions){0});
    Tokens ids = {0};
    cr_assert_eq(tokenizer_encode(tokenizer, "a\0b\0", 4, 0, &ids).code, STATUS_OK);
    Text back = decode(tokenizer, &ids, true);
    cr_expect(back.length == 4 && memcmp(back.bytes, "a\0b\0", 4) == 0);
    tokens_free(&ids);
    text_free(&back);
    tokenizer_close(tokenizer);
  }
}

Test(tokenizer, named_tokens_are_found) {
  Tokenizer *bytes = open_fixture("bytes", (TokenizerOptions){0}),
            *old = open_fixture("bytes_old", (TokenizerOptions){0});
  Tokenizer *pieces = open_fixture("pieces/tokenizer.model", (TokenizerOptions){0});
  Tokenizer *tied = open_fixture("tied", (TokenizerOptions){0});
  cr_expect_eq(tokenizer_bos(bytes), tokenizer_find(bytes, "<|begin_of_text|>"));
  cr_expect_eq(tokenizer_eos(bytes), tokenizer_find(bytes, "<|eot_id|>"));
  cr_expect_eq(tokenizer_pad(bytes), tokenizer_find(bytes, "<|end_of_text|>"));
  cr_expect(tokenizer_bos(bytes) == 980 && tokenizer_size(bytes) == 1000 && tokenizer_unknown(bytes) == -1);
  cr_expect(tokenizer_special(bytes, 980) && !tokenizer_special(bytes, 979) && !tokenizer_special(bytes, 1000) &&
            !tokenizer_special(bytes, -1));
  cr_expect(tokenizer_eos(old) == -1 && tokenizer_bos(old) == 980, "without tokenizer_config.json");
  cr_expect(!tokenizer_special(old, tokenizer_find(old, "<tool>")));
  cr_expect(tokenizer_find(bytes, "Ġthe") >= 256 && tokenizer_find(bytes, " the") == -1);
  cr_expect(tokenizer_find(bytes, "no such token") == -1 && tokenizer_find(bytes, "") == -1);
  cr_expect(tokenizer_bos(pieces) == 1 && tokenizer_eos(pieces) == 2 && tokenizer_unknown(pieces) == 0 &&
            tokenizer_pad(pieces) == 0 && tokenizer_size(pieces) == 620);
  cr_expect(tokenizer_find(pieces, "▁the") > 258 && tokenizer_find(pieces, "<0x00>") > 2);
  cr_expect(!tokenizer_legacy(pieces) && tokenizer_legacy(tied) && !tokenizer_legacy(bytes));
  cr_expect(tokenizer_bos(tied) == 1 && tokenizer_pad(tied) == 0);
  tokenizer_close(bytes);
  tokenizer_close(old);
  tokenizer_close(pieces);
  tokenizer_close(tied);
  tokenizer_close(NULL);
}

/* The checker of this file is checked: a switch turned the wrong way must be seen. */
Test(tokenizer, the_switches_change_ids) {
  Tokenizer *as_file = open_fixture("bytes", (TokenizerOptions){0});
  Tokenizer *merged = open_fixture("bytes", (TokenizerOptions){.ignore_merges = SWITCH_OFF});
  Tokens x = {0}, y = {0};
  cr_assert_eq(tokenizer_encode(as_file, " Hello", 6, 0, &x).code, STATUS_OK);
  cr_assert_eq(tokenizer_encode(merged, " Hello", 6, 0, &y).code, STATUS_OK);
  cr_expect(x.count == 1 && y.count > 1 && !same(&x, &y));
  tokens_free(&x);
  tokens_free(&y);
  tokenizer_close(as_file);
  tokenizer_close(merged);
}

Test(tokenizer, text_that_is_not_utf8_is_refused_and_changes_nothing) {
  static const char *const bad[] = {"ab\xFF", "a\xE2\x82", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80"};
  static const int places[] = {2, 1, 0, 0, 0, 0};
  Tokenizer *tokenizers[] = {open_fixture("bytes", (TokenizerOptions){0}),
                             open_fixture("pieces", (TokenizerOptions){0})};
  char part[80];
  for (int i = 0; i < 12; i++) {
    Tokens ids = {0};
    cr_assert_eq(tokens_append(&ids, 7).code, STATUS_OK);
    Status status = tokenizer_encode(tokenizers[i / 6], bad[i % 6], strlen(bad[i % 6]), ENCODE_USUAL, &ids);
    snprintf(part, sizeof part, "not UTF-8 at byte %d of %zu", places[i % 6], strlen(bad[i % 6]));
    cr_expect_eq(status.code, STATUS_INPUT);
    expect_contains(status.message, part);
    cr_expect(ids.count == 1 && ids.ids[0] == 7);
    tokens_free(&ids);
  }
  tokenizer_close(tokenizers[0]);
  tokenizer_close(tokenizers[1]);
}

Test(tokenizer, ids_that_are_not_there_are_refused) {
  Tokenizer *tokenizer = open_fixture("bytes", (TokenizerOptions){0});
  static const int32_t wrong[] = {-200, -1, 1000, INT32_MAX, INT32_MIN};
  for (int i = 0; i < 5; i++) {
    Text text = {0};
    Status status = tokenizer_decode(tokenizer, (const int32_t[]){40, wrong[i]}, 2, true, &text);
    cr_expect_eq(status.code, STATUS_INPUT);
    expect_contains(status.message, "id number 1: ");
    expect_contains(status.message, "is not the id of a token: the vocabulary has 1000");
    text_free(&text);
  }
  tokenizer_close(tokenizer);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A word of a million letters merges in well under the time that a quadratic rule takes (hours). */
Test(tokenizer, long_pieces_merge_in_good_time) {
  static const char *const folders[] = {"bytes", "pieces"};
  size_t length = 1000000;
  char *text = malloc(length);
  for (size_t i = 0; i < length; i++)
    text[i] = "seesawthequickandpolite"[(i * i / 7 + i) % 23];
  for (int i = 0; i < 2; i++) {
    Tokenizer *tokenizer = open_fixture(folders[i], (TokenizerOptions){0});
    Tokens ids = {0};
    double start = seconds();
    cr_assert_eq(tokenizer_encode(tokenizer, text, length, 0, &ids).code, STATUS_OK);
    cr_expect_lt(seconds() - start, 20);
    Text back = decode(tokenizer, &ids, true);
    cr_expect(back.length == length && memcmp(back.bytes, text, length) == 0);
    tokens_free(&ids);
    text_free(&back);
    tokenizer_close(tokenizer);
  }
  free(text);
}

Test(tokenizer, long_runs_of_blanks_are_within_the_steps) {
  Tokenizer *tokenizer = open_fixture("bytes", (TokenizerOptions){0});
  size_t length = 300000;
  char *text = malloc(length + 1);
  memset(text, ' ', length);
  text[length] = 'x';
  for (size_t i = 0; i < 2; i++) {
    Tokens ids = {0};
    Status status = tokenizer_encode(tokenizer, text, length + i, 0, &ids);
    cr_expect_eq(status.code, STATUS_OK, "%s", status.message);
    tokens_free(&ids);
  }
  free(text);
  tokenizer_close(tokenizer);
}

/* ---- Files ---- */

Test(tokenizer, files_and_folders_that_are_not_there) {
  Tokenizer *tokenizer;
  Status status = tokenizer_open(&tokenizer, scratch_folder, NULL);
  expect_contains(status.message, "has no tokenizer.model and no tokenizer.json");
  cr_expect(status.code == STATUS_INPUT && tokenizer == NULL);
  status = tokenizer_open(&tokenizer, scratch_path("tokenizer.json"), NULL);
  expect_contains(status.message, "No such file");
  status = tokenizer_open(&tokenizer, scratch_text("tokenizer.json", ""), NULL);
  expect_contains(status.message, "line 1 is not valid JSON");
  status = tokenizer_open(&tokenizer, scratch_text("tokenizer.model", ""), NULL);
  expect_contains(status.message, "it has no pieces");
  cr_expect(status.code == STATUS_INPUT && tokenizer == NULL);
}

static char *slurp(const char *path, size_t *size) {
  unsigned char *bytes;
  Status status = file_read(path, SIZE_MAX / 2, &bytes, size);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  return (char *)bytes;
}

/* bytes/tokenizer.json with the first `from` replaced by `to`. */
static Status parse_edited(const char *from, const char *to) {
  size_t size;
  Text edited = {0};
  char *text = slurp(fixture("bytes/tokenizer.json"), &size), *place = strstr(text, from);
  Tokenizer *tokenizer;
  cr_assert_not_null(place, "%s", from);
  cr_assert_eq(text_append(&edited, text, (size_t)(place - text)).code, STATUS_OK);
  cr_assert_eq(text_append_string(&edited, to).code, STATUS_OK);
  cr_assert_eq(text_append_string(&edited, place + strlen(from)).code, STATUS_OK);
  Status status =
      tokenizer_parse(&tokenizer, "made.json", (const unsigned char *)edited.bytes, edited.length, true, NULL, NULL);
  cr_expect((status.code == STATUS_OK) == (tokenizer != NULL));
  tokenizer_close(tokenizer);
  text_free(&edited);
  free(text);
  return status;
}

static void expect_edited(const char *from, const char *to, const char *part) {
  Status status = parse_edited(from, to);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", to);
  if (status.code == STATUS_OK)
    return;
  expect_contains(status.message, "made.json: ");
  expect_contains(status.message, part);
}

Test(tokenizer, what_llama_3_does_not_use_is_refused) {
  cr_expect_eq(parse_edited("{", "{").code, STATUS_OK);
  expect_edited("\"type\":\"BPE\"", "\"type\":\"Unigram\"", "model.type must be BPE");
  expect_edited("\"normalizer\":null", "\"normalizer\":{\"type\":\"Prepend\"}",
                "for Llama-2 and Vicuna open tokenizer.model");
  expect_edited("\"byte_fallback\":false", "\"byte_fallback\":true", "for Llama-2 and Vicuna open tokenizer.model");
  expect_edited("\"type\":\"Split\"", "\"type\":\"Metaspace\"", "for Llama-2 and Vicuna open tokenizer.model");
  expect_edited("\"use_regex\":false", "\"use_regex\":true", "the pre-tokenizer must be Llama-3's");
  expect_edited("\"add_prefix_space\":false", "\"add_prefix_space\":true", "the pre-tokenizer must be Llama-3's");
  expect_edited("\"Isolated\"", "\"Removed\"", "Isolated and not inverted");
  expect_edited("\"invert\":false", "\"invert\":true", "Isolated and not inverted");
  expect_edited("\"Regex\"", "\"String\"", "must be by a Regex");
  expect_edited("(?i:", "(?i:(", "expression is not understood");
  expect_edited("(?i:", "\\\\b(?i:", "uses \\b, which is not supported");
  expect_edited("[^\\\\s", "[^\\\\S", "uses \\S in brackets, which is not supported");
  expect_edited("[^\\\\s", "[^[a]\\\\s", "a set in a set");
  expect_edited("[^\\\\s", "[a&&\\\\s", "a set in a set");
  expect_edited("\"dropout\":null", "\"dropout\":0.1", "model.dropout is not supported");
  expect_edited("\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", "model.end_of_word_suffix");
  expect_edited("\"truncation\":null", "\"truncation\":{}", "truncation and padding must be null");
  expect_edited("\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"Fuse\"",
                "decoder.type must be ByteLevel");
  expect_edited("\"lstrip\":false", "\"lstrip\":true", "'<|begin_of_text|>' has lstrip");
  expect_edited("\"rstrip\":false", "\"rstrip\":true", "'<|begin_of_text|>' has rstrip");
  expect_edited("\"single_word\":false", "\"single_word\":true", "'<|begin_of_text|>' has single_word");
  expect_edited("{\"type\":\"TemplateProcessing\"", "{\"type\":\"BertProcessing\"", "the post-processor must be");
  expect_edited("{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\"",
                "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"x\"}}],\"pair\"",
                "at most one special token");
  expect_edited("\"ids\":[980]", "\"ids\":[981]", "must have one id, its own");
  expect_edited("\"ids\":[980]", "\"ids\":[980,980]", "must have one id, its own");
}

Test(tokenizer, broken_vocabularies_are_refused) {
  expect_edited("\"vocab\":{", "\"vocab\":[],\"x\":{", "model.vocab must be an object");
  expect_edited("\"merges\":[", "\"merges\":{},\"x\":[", "model.merges must be an array");
  expect_edited("\"vocab\":{", "\"vocab\":{\"zzzzz\":0,", "is there twice");
  expect_edited("\"vocab\":{", "\"vocab\":{\"!\":0,", "'!' or its id 0 is there twice");
  expect_edited("\"vocab\":{", "\"vocab\":{\"zzzzz\":100000,", "whole number below 1001");
  expect_edited("\"vocab\":{", "\"vocab\":{\"zzzzz\":-1,", "whole number below 1001");
  expect_edited("\"vocab\":{", "\"vocab\":{\"zzzzz\":1e99,", "whole number below 1001");
  expect_edited("\"vocab\":{", "\"vocab\":{\"zzzzz\":\"7\",", "whole number below 1001");
  expect_edited("\"vocab\":{", "\"vocab\":{\"\":0,", "must have some text");
  expect_edited("\"!\":0", "\"!!!!!!\":0", "no token for the byte 0x21");
  expect_edited("\"merges\":[", "\"merges\":[7,", "merge 0 must be \"a b\" or [\"a\", \"b\"]");
  expect_edited("\"merges\":[", "\"merges\":[\"ab\",", "merge 0 must be");
  expect_edited("\"merges\":[", "\"merges\":[\"a b c\",", "merge 0 must be");
  expect_edited("\"merges\":[", "\"merges\":[[\"a\"],", "merge 0 must be");
  expect_edited("\"merges\":[", "\"merges\":[[\"a\",\"b\",\"c\"],", "merge 0 must be");
  expect_edited("\"merges\":[", "\"merges\":[\"a qqq\",", "merge 0 is of, or makes, a token that is not in");
  expect_edited("\"merges\":[", "\"merges\":[\"~ ~\",", "merge 0 is of, or makes, a token that is not in");
  expect_edited("\"merges\":[", "\"merges\":[\"世 ~\",", "merge 0 is of, or makes, a token that is not in");
  expect_edited("{\"id\":980", "{\"id\":5", "is there twice");
  expect_edited("{\"id\":980", "{\"id\":1000", "`id`, a whole number below 1000");
  expect_edited("\"content\":\"<|begin_of_text|>\"", "\"content\":\"\"", "must have `content`");
  expect_edited("\"content\":\"<|begin_of_text|>\"", "\"content\":\"\xFF\"", "must have `content`");
  expect_edited("\"content\":\"<|begin_of_text|>\"", "\"content\":\"!\"", "'!' has the ids 0 and 980");
  expect_edited("\"content\":\"<|begin_of_text|>\"", "\"content\":\"a\\u0000b\"", "line 1 has a zero character");
  expect_edited("\"vocab\":{", "\"vocab\":{,", "line 1 is not valid JSON");
}

/* An expression that goes back exponentially stops with an error, and soon. */
Test(tokenizer, a_hostile_expression_cannot_hang) {
  size_t size;
  char *text = slurp(fixture("bytes/tokenizer.json"), &size), *place = strstr(text, "(?i:'s");
  Text edited = {0};
  Tokenizer *tokenizer;
  Tokens ids = {0};
  double start = seconds();
  cr_assert_eq(text_append(&edited, text, (size_t)(place - text)).code, STATUS_OK);
  cr_assert_eq(text_append_string(&edited, "(x+x+)+y|").code, STATUS_OK);
  cr_assert_eq(text_append_string(&edited, place).code, STATUS_OK);
  cr_assert_eq(
      tokenizer_parse(&tokenizer, "made.json", (const unsigned char *)edited.bytes, edited.length, true, NULL, NULL)
          .code,
      STATUS_OK);
  Status status = tokenizer_encode(tokenizer, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 51, 0, &ids);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "expression fails on a text of 51 bytes, at byte 0: match limit exceeded");
  cr_expect_lt(seconds() - start, 5);
  cr_expect_eq(ids.count, 0);
  tokenizer_close(tokenizer);
  text_free(&edited);
  free(text);
}

static Status parse_with_config(const char *folder, const char *text) {
  char name[64];
  size_t size;
  bool json = strcmp(folder, "bytes") == 0;
  snprintf(name, sizeof name, "%s/tokenizer.%s", folder, json ? "json" : "model");
  char *bytes = slurp(fixture(name), &size);
  cJSON *config = cJSON_Parse(text);
  Tokenizer *tokenizer;
  cr_assert_not_null(config);
  Status status = tokenizer_parse(&tokenizer, "made", (const unsigned char *)bytes, size, json, config, NULL);
  tokenizer_close(tokenizer);
  cJSON_Delete(config);
  free(bytes);
  return status;
}

static void expect_config(const char *folder, const char *config, const char *part) {
  Status status = parse_with_config(folder, config);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", config);
  if (status.code != STATUS_OK)
    expect_contains(status.message, part);
}

Test(tokenizer, tokenizer_config_is_checked) {
  cr_expect_eq(parse_with_config("bytes", "{\"eos_token\":null}").code, STATUS_OK);
  expect_config("bytes", "{\"eos_token\":\"</s>\"}",
                "tokenizer_config.json beside made: eos_token is '</s>', which is not");
  expect_config("bytes", "{\"eos_token\":7}", "eos_token must be a token's text");
  expect_config("bytes", "{\"pad_token\":{\"text\":\"x\"}}", "pad_token must be a token's text");
  expect_config("pieces", "{\"bos_token\":\"<bos>\"}", "bos_token is '<bos>', which is not in the vocabulary");
  expect_config("pieces", "{\"unk_token\":\"<s>\"}", "unk_token is not the model's unknown piece");
  expect_config("pieces", "{\"additional_special_tokens\":[\"<x>\"]}", "additional_special_tokens has something");
  expect_config("pieces", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<x>\"}}}", "'x' must be an id below 621");
  expect_config("pieces", "{\"added_tokens_decoder\":{\"621\":{\"content\":\"<x>\"}}}",
                "'621' must be an id below 621");
  expect_config("pieces", "{\"added_tokens_decoder\":{\"1\":{\"content\":\"<x>\"}}}",
                "has another id, or its id another");
  expect_config("pieces", "{\"added_tokens_decoder\":{\"620\":{\"content\":\"<s>\"}}}",
                "has another id, or its id another");
  expect_config("pieces", "{\"added_tokens_decoder\":{\"620\":{\"content\":\"<x>\",\"lstrip\":true}}}",
                "'<x>' has lstrip");
}

Test(tokenizer, tokens_added_to_a_model_are_taken_out_of_the_text) {
  size_t size;
  char *bytes = slurp(fixture("pieces/tokenizer.model"), &size);
  cJSON *config = cJSON_Parse("{\"legacy\":true,\"add_eos_token\":true,\"added_tokens_decoder\":{\"620\":{\"content\":"
                              "\"<image>\",\"special\":true},\"621\":{\"content\":\"<box>\"}}}");
  Tokenizer *tokenizer;
  Tokens ids = {0};
  cr_assert_eq(tokenizer_parse(&tokenizer, "made", (const unsigned char *)bytes, size, false, config, NULL).code,
               STATUS_OK);
  cr_assert_eq(tokenizer_encode(tokenizer, "<image><box>", 12, ENCODE_USUAL, &ids).code, STATUS_OK);
  cr_expect(ids.count == 4 && ids.ids[0] == 1 && ids.ids[1] == 620 && ids.ids[2] == 621 && ids.ids[3] == 2);
  Text with = decode(tokenizer, &ids, true), without = decode(tokenizer, &ids, false);
  cr_expect_str_eq(with.bytes, "<s><image><box></s>");
  cr_expect_str_eq(without.bytes, "<box>");
  text_free(&with);
  text_free(&without);
  tokens_free(&ids);
  tokenizer_close(tokenizer);
  cJSON_Delete(config);
  free(bytes);
}

/* ---- SentencePiece models made by hand ---- */

static void put(Text *model, const char *bytes, size_t length) {
  cr_assert_eq(text_append(model, bytes, length).code, STATUS_OK);
}

/* A field of bytes, shorter than 128. */
static void put_field(Text *model, char number, const char *bytes, size_t length) {
  put(model, (const char[]){(char)(number << 3 | 2), (char)length}, 2);
  put(model, bytes, length);
}

static void put_piece(Text *model, const char *text, float score, char type) {
  Text piece = {0};
  put_field(&piece, 1, text, strlen(text));
  put(&piece, "\x15", 1);
  put(&piece, (const char *)&score, 4); /* as the file has it on little-endian machines */
  put(&piece, (const char[]){3 << 3, type}, 2);
  put_field(model, 1, piece.bytes, piece.length);
  text_free(&piece);
}

static void put_specifications(Text *model) {
  put_field(model, 2, "\x18\x02", 2);         /* model_type BPE */
  put_field(model, 3, "\x18\x00\x20\x00", 4); /* no add_dummy_prefix, no remove_extra_whitespaces */
}

static Status parse_model(const Text *model, Tokenizer **tokenizer) {
  return tokenizer_parse(tokenizer, "made.model", (const unsigned char *)model->bytes, model->length, false, NULL,
                         NULL);
}

static void expect_model(Text *model, const char *part) {
  Tokenizer *tokenizer;
  Status status = parse_model(model, &tokenizer);
  cr_expect(status.code == STATUS_INPUT && tokenizer == NULL, "%s", part);
  if (status.code != STATUS_OK) {
    expect_contains(status.message, "made.model: ");
    expect_contains(status.message, part);
  }
  tokenizer_close(tokenizer);
  text_free(model);
}

static Text small_model(void) {
  Text model = {0};
  put_piece(&model, "<unk>", 0, 2);
  put_piece(&model, "a", -1, 1);
  put_piece(&model, "b", -2, 1);
  put_specifications(&model);
  return model;
}

Test(tokenizer, a_small_model_merges_by_score_and_then_from_the_left) {
  Text model = small_model();
  Tokenizer *tokenizer;
  Tokens ids = {0};
  put_piece(&model, "aa", -5, 1);    /* 3 */
  put_piece(&model, "ab", -5, 1);    /* 4 */
  put_piece(&model, "cd", -0.0f, 1); /* 5: of two characters without pieces */
  put_piece(&model, "aab", 7, 1);    /* 6 */
  put_piece(&model, "ba", +0.0f, 1); /* 7 */
  cr_assert_eq(parse_model(&model, &tokenizer).code, STATUS_OK);
  cr_assert_eq(tokenizer_encode(tokenizer, "aaab cd c\xC3\xA9 cdba", 16, 0, &ids).code, STATUS_OK);
  /* aa merges before ab, for it is left of it, and then nothing makes aab of a, ab. */
  static const int32_t wanted[] = {3, 4, 0, 5, 0, 5, 7};
  cr_expect(ids.count == 7 && memcmp(ids.ids, wanted, sizeof wanted) == 0);
  tokens_free(&ids);
  tokenizer_close(tokenizer);
  text_free(&model);
}

/* Words are encoded alone only where no piece goes over the blank between them. */
Test(tokenizer, a_piece_may_go_over_a_blank) {
  Text model = small_model();
  Tokenizer *tokenizer;
  Tokens ids = {0};
  put_piece(&model, "\u2581", -3, 1);         /* 3 */
  put_piece(&model, "a\u2581", -4, 1);        /* 4 */
  put_piece(&model, "a\u2581\u2581b", -1, 1); /* 5: of 4 and \u2581b, if that were a piece */
  put_piece(&model, "\u2581b", -5, 1);        /* 6 */
  cr_assert_eq(parse_model(&model, &tokenizer).code, STATUS_OK);
  cr_assert_eq(tokenizer_encode(tokenizer, "a  bxy z b a", 12, 0, &ids).code, STATUS_OK);
  static const int32_t wanted[] = {5, 0, 3, 0, 6, 3, 1};
  cr_expect(ids.count == 7 && memcmp(ids.ids, wanted, sizeof wanted) == 0);
  tokens_free(&ids);
  tokenizer_close(tokenizer);
  text_free(&model);
}

Test(tokenizer, models_that_are_not_supported_are_refused) {
  Text model = small_model();
  put_field(&model, 2, "\x18\x01", 2);
  expect_model(&model, "the model's type must be BPE (2), not 1");
  model = small_model();
  put_field(&model, 3, "\x12\x01x", 3);
  expect_model(&model, "normalises characters");
  model = small_model();
  put_field(&model, 5, "\x12\x01x", 3);
  expect_model(&model, "normalises characters");
  model = small_model();
  put_field(&model, 3, "\x20\x01", 2);
  expect_model(&model, "remove_extra_whitespaces, which is not supported");
  model = small_model();
  put_field(&model, 2, "\xC0\x01\x01", 3);
  expect_model(&model, "treat_whitespace_as_suffix");
  model = small_model();
  put_field(&model, 2, "\x98\x02\x01", 3);
  expect_model(&model, "byte_fallback but no piece <0x00>");
}

Test(tokenizer, broken_models_are_refused) {
  static const struct {
    const char *text;
    float score;
    char type;
    const char *part;
  } pieces[] = {
      {"a", 0, 1, "piece 3, 'a', is there twice"},
      {"a", 0, 3, "piece 3, 'a', is there twice"},
      {"", 0, 1, "a piece has no text"},
      {"\xFF", 0, 1, "is not UTF-8"},
      {"c", 0, 5, "a type or a score that is not supported"},
      {"c", 0, 7, "a type or a score that is not supported"},
      {"c", 0, 0, "a type or a score that is not supported"},
      {"c", 0.0f / 0.0f, 1, "a type or a score that is not supported"},
      {"<0x0a>", 0, 6, "is a byte and must be written as <0x0A>"},
      {"<0x0A", 0, 6, "is a byte and must be written as <0x0A>"},
      {"<unk2>", 0, 2, "is a second unknown piece"},
  };
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    Text model = small_model();
    put_piece(&model, pieces[i].text, pieces[i].score, pieces[i].type);
    expect_model(&model, pieces[i].part);
  }
  Text model = {0};
  put_piece(&model, "a", 0, 1);
  put_specifications(&model);
  expect_model(&model, "it has no unknown piece");
  model = small_model();
  put(&model, "\x08\x01", 2);
  expect_model(&model, "a field is of another type");
  model = small_model();
  put_field(&model, 1, "\x08\x01", 2);
  expect_model(&model, "a piece's field is of another type");
  model = small_model();
  put_field(&model, 2, "\x1A\x00", 2);
  expect_model(&model, "a specification's field is of another type");
  model = small_model();
  put_field(&model, 2, "\x18", 1);
  expect_model(&model, "a specification is cut off");
  model = small_model();
  put(&model, "\x0B", 1);
  expect_model(&model, "cut off, or another kind of file");
  model = small_model();
  put(&model, "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11);
  expect_model(&model, "cut off, or another kind of file");
}

Test(tokenizer, a_model_may_end_anywhere_without_harm) {
  size_t size;
  char *whole = slurp(fixture("pieces/tokenizer.model"), &size);
  Tokenizer *tokenizer;
  for (size_t cut = 0; cut < size; cut += 1 + cut / 40) {
    unsigned char *bytes = malloc(cut + (cut == 0));
    memcpy(bytes, whole, cut);
    cr_expect_eq(tokenizer_parse(&tokenizer, "cut", bytes, cut, false, NULL, NULL).code, STATUS_INPUT);
    free(bytes);
  }
  free(whole);
}

/* ---- Small parts ---- */

Test(tokenizer, characters_are_told_from_other_bytes) {
  static const struct {
    const char *bytes;
    size_t size, length, prefix;
  } rows[] = {{"a", 1, 1, 1},
              {"\xC3\xA9", 2, 2, 2},
              {"\xC3", 1, 0, 1},
              {"\xE2\x82\xAC", 3, 3, 3},
              {"\xE2\x82", 2, 0, 2},
              {"\xE2\x28\xA1", 3, 0, 1},
              {"\xE0\x80", 2, 0, 1},
              {"\xF0\x9F\x98\x80", 4, 4, 4},
              {"\xF0\x9F\x98", 3, 0, 3},
              {"\xF0\x9F\x98x", 4, 0, 3},
              {"\x80", 1, 0, 1},
              {"\xED\xA0\x80", 3, 0, 1},
              {"\xF4\x8F\xBF\xBF", 4, 4, 4},
              {"\xF4\x90", 2, 0, 1},
              {"\xF5", 1, 0, 1},
              {"\xC1\x81", 2, 0, 1}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t prefix, length = utf8_length((const unsigned char *)rows[i].bytes, rows[i].size, &prefix);
    cr_expect(length == rows[i].length && prefix == rows[i].prefix, "row %zu", i);
  }
  unsigned char bytes[4];
  for (uint32_t code = 0; code < 0x110000; code += code < 0x3000 ? 1 : 61) {
    size_t prefix, length = utf8_put(code, bytes);
    bool surrogate = code >= 0xD800 && code < 0xE000;
    cr_assert_eq(utf8_length(bytes, length, &prefix), surrogate ? 0 : length);
    cr_assert_eq(utf8_code(bytes, length), code);
  }
}

Test(tokenizer, white_space_is_stripped_as_python_does) {
  static const char *const rows[][2] = {{"", ""},
                                        {" ", ""},
                                        {" a b ", "a b"},
                                        {"\u3000\u00A0x\u2028\n", "x"},
                                        {"\x1C\x85", "\x85"}, /* not UTF-8 */
                                        {"\xC2\x85x\u200B", "x\u200B"},
                                        {"é\u180E", "é\u180E"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *text = rows[i][0];
    size_t size = strlen(text);
    utf8_strip(&text, &size);
    cr_expect(size == strlen(rows[i][1]) && memcmp(text, rows[i][1], size) == 0, "row %zu", i);
  }
}

static void append_to_nothing(void) {
  Vocabulary vocabulary = {0};
  bool taken;
  vocabulary_set(&vocabulary, 0, TOKEN_TEXT, "a", 1, &taken);
}

Test(tokenizer, an_id_beyond_the_vocabulary_is_the_callers_mistake) {
  char text[512];
  int status = in_child(append_to_nothing, 2, text, sizeof text);
  cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  expect_contains(text, "id 0 of 0");
}
