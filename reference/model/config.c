/* config.c: presets, checks, and HF's config.json. */
#include "config.h"

#include <math.h>
#include <string.h>

/* ---- switches ---- */

Switches switches_paper(void) {
  return (Switches){.router_noise = 0.1,
                    .router_temperature = 1.0,
                    .gamma = 0.75,
                    .router_text = ROUTER_QUESTION,
                    .slicing_paper = true};
}

Switches switches_released(void) {
  return (Switches){.gate_shares_weight = true,
                    .gate_floor = 1e-2,
                    .gate_epsilon = 1e-6,
                    .router_cosine = true,
                    .router_sum = true,
                    .router_noise = 0.1,
                    .router_temperature = 1.0,
                    .router_history = ROUTER_ONE_SOFTMAX,
                    .router_text = ROUTER_PROMPT,
                    .gamma = 0.95,
                    .separator = true,
                    .raster = true,
                    .positions_half = true};
}

/* ---- presets ---- */

static const VisionConfig clip_large = {.picture = 336,
                                        .patch = 14,
                                        .width = 1024,
                                        .mlp = 4096,
                                        .layers = 24,
                                        .heads = 16,
                                        .used = 23,
                                        .epsilon = 1e-5,
                                        .quick = true};

static const VisionConfig clip_tiny = {.picture = 24,
                                       .patch = 6,
                                       .width = 32,
                                       .mlp = 48,
                                       .layers = 3,
                                       .heads = 4,
                                       .used = 2,
                                       .epsilon = 1e-5,
                                       .quick = true};

static const struct {
  const char *name;
  const VisionConfig *vision;
  DecoderConfig decoder;
  size_t global_queries, local_queries, former_head;
  int32_t separator;
} presets[] = {
    {"tiny", &clip_tiny, {320, 48, 80, 2, 6, 2, 8, 10000.0, 1e-5, false}, 16, 4, 16, 44},
    {"llama3-8b", &clip_large, {128256, 4096, 14336, 32, 32, 8, 128, 500000.0, 1e-5, false}, 576, 144, 128, 11},
    {"vicuna-7b", &clip_large, {32000, 4096, 11008, 32, 32, 32, 128, 10000.0, 1e-5, false}, 576, 144, 128, 1919},
    {"vicuna-13b", &clip_large, {32000, 5120, 13824, 40, 40, 40, 128, 10000.0, 1e-5, false}, 576, 144, 128, 1919},
    {"llama3-70b", &clip_large, {128256, 8192, 28672, 80, 64, 8, 128, 500000.0, 1e-5, false}, 576, 144, 128, 11},
};

enum { PRESETS = sizeof presets / sizeof *presets };

Status config_preset(const char *name, ModelConfig *config) {
  for (size_t i = 0; i < PRESETS; i++)
    if (strcmp(presets[i].name, name) == 0) {
      *config = (ModelConfig){.vision = *presets[i].vision,
                              .decoder = presets[i].decoder,
                              .global = BRIDGE_MIXTURE,
                              .local = BRIDGE_FORMER,
                              .global_queries = presets[i].global_queries,
                              .local_queries = presets[i].local_queries,
                              .former_head = presets[i].former_head,
                              .separator_token = presets[i].separator,
                              .switches = switches_released()};
      snprintf(config->name, sizeof config->name, "%s", name);
      return status_ok();
    }
  return status_error(
      STATUS_USAGE,
      "there is no model preset '%s', and no such file; there are tiny, llama3-8b, vicuna-7b, vicuna-13b and "
      "llama3-70b",
      name);
}

/* ---- derived sizes ---- */

size_t config_patches(const ModelConfig *config) {
  size_t across = config->vision.picture / config->vision.patch;
  return across * across;
}

static size_t bridge_tokens(Bridge kind, size_t patches, size_t queries) {
  return kind == BRIDGE_NONE ? 0 : kind == BRIDGE_FORMER ? queries : patches;
}

size_t config_global_tokens(const ModelConfig *config) {
  return bridge_tokens(config->global, config_patches(config), config->global_queries);
}

size_t config_tile_tokens(const ModelConfig *config) {
  return bridge_tokens(config->local, config_patches(config), config->local_queries);
}

/* ---- checks ---- */

static bool is_square(size_t number) {
  size_t root = (size_t)llround(sqrt((double)number));
  return number > 0 && root * root == number;
}

static Status wrong(const char *what, size_t is, const char *should) {
  return status_error(STATUS_INPUT, "the model's %s is %zu; it should be %s", what, is, should);
}

static Status check_vision(const VisionConfig *c) {
  if (c->patch == 0 || c->picture == 0 || c->picture % c->patch != 0)
    return wrong("picture size", c->picture, "a multiple of the patch size");
  if (c->heads == 0 || c->width == 0 || c->width % c->heads != 0)
    return wrong("vision width", c->width, "a multiple of its heads");
  if (c->used > c->layers)
    return wrong("number of vision layers that are used", c->used, "at most the number there is");
  return c->mlp > 0 ? status_ok() : wrong("vision MLP width", c->mlp, "positive");
}

static Status check_decoder(const DecoderConfig *c) {
  if (c->heads == 0 || c->kv_heads == 0 || c->heads % c->kv_heads != 0)
    return wrong("number of heads", c->heads, "a multiple of the key heads");
  if (c->head == 0 || c->head % 2 != 0 || c->head > 1024)
    return wrong("head size", c->head, "even, and at most 1024");
  if (c->vocabulary == 0 || c->width == 0 || c->mlp == 0)
    return status_error(STATUS_INPUT, "the decoder's vocabulary, width and MLP width must be positive");
  return status_ok();
}

static Status check_bridge(const ModelConfig *c) {
  bool global_former = c->global == BRIDGE_MIXTURE || c->global == BRIDGE_FORMER;
  if (c->local == BRIDGE_MIXTURE)
    return status_error(STATUS_INPUT, "local tokens go through the MLP or the query former, not through the mixture");
  if (c->global == BRIDGE_NONE && c->local == BRIDGE_NONE)
    return status_error(STATUS_INPUT, "neither global nor local tokens are used");
  if (!global_former && c->local != BRIDGE_FORMER)
    return status_ok();
  if (c->former_head == 0 || c->vision.width % c->former_head != 0 || c->vision.width % 4 != 0)
    return wrong("vision width", c->vision.width, "a multiple of 4 and of the query former's head size");
  if (global_former && !is_square(c->global_queries))
    return wrong("number of global queries", c->global_queries, "a square");
  if (c->global == BRIDGE_MIXTURE && c->global_queries != config_patches(c))
    return wrong("number of global queries", c->global_queries, "the number of patches, token by token");
  if (c->local == BRIDGE_FORMER && !is_square(c->local_queries))
    return wrong("number of local queries", c->local_queries, "a square");
  return status_ok();
}

/* So large that products of sizes would wrap: no model is. */
static Status check_large(const ModelConfig *config) {
  enum { LARGEST = 1 << 24, LARGEST_PICTURE = 1 << 16, MOST_LAYERS = 1 << 16 };
  const VisionConfig *v = &config->vision;
  const DecoderConfig *d = &config->decoder;
  const size_t sizes[] = {v->width,         v->mlp,   v->heads,    d->vocabulary,          d->width,
                          d->mlp,           d->heads, d->kv_heads, config->global_queries, config->local_queries,
                          config->lora_rank};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i] > LARGEST)
      return status_error(STATUS_INPUT, "one of the model's sizes is %zu; %d is the most", sizes[i], LARGEST);
  if (v->picture > LARGEST_PICTURE || v->layers > MOST_LAYERS || d->layers > MOST_LAYERS)
    return status_error(STATUS_INPUT,
                        "%zu pixels across a view, %zu and %zu layers: %d pixels and %d layers are the most",
                        v->picture, v->layers, d->layers, LARGEST_PICTURE, MOST_LAYERS);
  return status_ok();
}

void config_lora(ModelConfig *config, size_t rank) {
  config->lora_rank = rank;
  config->lora_alpha = 2.0 * (double)rank;
}

Status config_check(const ModelConfig *config) {
  TRY(check_large(config));
  TRY(check_vision(&config->vision));
  TRY(check_decoder(&config->decoder));
  TRY(check_bridge(config));
  if (!(config->switches.gamma > 0.0 && config->switches.gamma <= 1.0))
    return status_error(STATUS_INPUT, "gamma is %g; it should lie in (0, 1]", config->switches.gamma);
  if (!(config->switches.router_temperature > 0.0))
    return status_error(STATUS_INPUT, "the router's temperature is %g; it should be positive",
                        config->switches.router_temperature);
  if (config->separator_token < 0 || (size_t)config->separator_token >= config->decoder.vocabulary)
    return status_error(STATUS_INPUT, "the separator is token %d, but the vocabulary has %zu", config->separator_token,
                        config->decoder.vocabulary);
  return status_ok();
}
