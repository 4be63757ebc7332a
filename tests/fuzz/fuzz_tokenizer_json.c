/* fuzz_tokenizer_json.c: any bytes as tokenizer.json, then, if it opens, the file's own beginning as text: ids within
 * the vocabulary, and the text comes back. */
#include <stdint.h>
#include <string.h>

#include "tokenizer_parts.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_and_decode(const Tokenizer *tokenizer, const char *text, size_t length, unsigned flags) {
  Tokens ids = {0};
  Text back = {0};
  Status status = tokenizer_encode(tokenizer, text, length, flags, &ids);
  if (status.code == STATUS_OK) {
    for (size_t i = 0; i < ids.count; i++)
      REQUIRE(ids.ids[i] >= 0 && (size_t)ids.ids[i] < tokenizer_size(tokenizer), "id %d", ids.ids[i]);
    status = tokenizer_decode(tokenizer, ids.ids, ids.count, true, &back);
    REQUIRE(status.code == STATUS_OK, "%s", status.message);
    REQUIRE(utf8_valid((const unsigned char *)back.bytes, back.length) == back.length, "half a character");
    REQUIRE(flags & ENCODE_BOS || (back.length == length && memcmp(back.bytes, text, length) == 0),
            "the text does not come back");
  } else {
    REQUIRE(status.code == STATUS_INPUT, "an unexpected failure: %s", status.message);
  }
  tokens_free(&ids);
  text_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Tokenizer *tokenizer;
  size_t length = size < 64 ? size : 64; /* an expression may use its steps at every place */
  Status status = tokenizer_parse(&tokenizer, "fuzz", data, size, true, NULL, NULL);
  if (status.code != STATUS_OK) {
    REQUIRE(status.code == STATUS_INPUT && tokenizer == NULL, "an unexpected failure: %s", status.message);
    return 0;
  }
  length = utf8_valid(data, length);
  encode_and_decode(tokenizer, (const char *)data, length, ENCODE_SPECIALS);
  encode_and_decode(tokenizer, (const char *)data, length, ENCODE_BOS);
  encode_and_decode(tokenizer, " a<|x|>b  \n", 11, ENCODE_SPECIALS);
  tokenizer_close(tokenizer);
  return 0;
}
