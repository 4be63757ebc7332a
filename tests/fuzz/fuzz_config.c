/* fuzz_config.c: any bytes as config.json: refused, or sizes that fit together and a tree of parameters that can be
 * walked. */
#include <stdint.h>

#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *context, const Entry *entry) {
  size_t *entries = context;
  REQUIRE(entry->rank >= 1 && tensor_count(entry_shape(entry, NULL, DTYPE_F32)) > 0, "%s has no numbers", entry->name);
  ++*entries;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ModelConfig config;
  Model model;
  size_t entries = 0;
  if (config_parse("fuzz", data, size, &config).code != STATUS_OK ||
      config.vision.layers + config.decoder.layers > 1000)
    return 0;
  REQUIRE(config_check(&config).code == STATUS_OK, "a configuration was taken that does not fit");
  if (model_alloc(&model, &config).code == STATUS_OK) {
    model_walk(&model, count, &entries);
    REQUIRE(entries > 0, "no parameters");
    model_free(&model);
  }
  return 0;
}
