/* fuzz_sentencepiece.c: any bytes as tokenizer.model, then, if it opens, a text and the file's own bytes: ids within
 * the vocabulary, whole characters back, and the same at once and token by token. */
#include <stdint.h>
#include <string.h>

#include "tokenizer_parts.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_and_decode(const Tokenizer *tokenizer, const char *text, size_t length) {
  Tokens ids = {0};
  Text back = {0}, parts = {0};
  TokenStream stream = token_stream_start(tokenizer, false);
  Status status = tokenizer_encode(tokenizer, text, length, ENCODE_USUAL, &ids);
  REQUIRE(status.code == STATUS_OK, "%s", status.message);
  status = tokenizer_decode(tokenizer, ids.ids, ids.count, false, &back);
  REQUIRE(status.code == STATUS_OK, "%s", status.message);
  REQUIRE(utf8_valid((const unsigned char *)back.bytes, back.length) == back.length, "half a character");
  for (size_t i = 0; i < ids.count; i++) {
    status = token_stream_next(&stream, ids.ids[i], &parts);
    REQUIRE(status.code == STATUS_OK, "%s", status.message);
  }
  status = token_stream_end(&stream, &parts);
  REQUIRE(status.code == STATUS_OK && parts.length == back.length, "at once and in parts differ");
  tokens_free(&ids);
  text_free(&back);
  text_free(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TokenizerOptions options[] = {{.legacy = SWITCH_ON}, {.legacy = SWITCH_OFF}};
  for (int i = 0; i < 2; i++) {
    Tokenizer *tokenizer;
    Status status = tokenizer_parse(&tokenizer, "fuzz", data, size, false, NULL, &options[i]);
    if (status.code != STATUS_OK) {
      REQUIRE(status.code == STATUS_INPUT && tokenizer == NULL, "an unexpected failure: %s", status.message);
      return 0;
    }
    encode_and_decode(tokenizer, "<s> aab ab\xC3\xA9</s>x  ", 19);
    encode_and_decode(tokenizer, (const char *)data, utf8_valid(data, size < 4096 ? size : 4096));
    tokenizer_close(tokenizer);
  }
  return 0;
}
