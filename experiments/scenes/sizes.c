/* sizes.c: the small models of the experiments. */
#include "sizes.h"

#include <stdio.h>
#include <string.h>

typedef struct Size {
  const char *name;
  size_t vision_width, vision_layers, width, mlp, layers;
} Size;

static const Size sizes[] = {
    {"small", 96, 3, 96, 256, 4}, {"medium", 128, 4, 128, 352, 6}, {"large", 192, 6, 256, 704, 8}};

enum { HEAD = 32 };

Status scenes_config(const char *size, size_t vocabulary, ModelConfig *config) {
  size_t which = 0, count = sizeof sizes / sizeof *sizes;
  while (which < count && strcmp(sizes[which].name, size) != 0)
    which++;
  if (which == count)
    return status_error(STATUS_USAGE, "there is no size '%s'; there are small, medium and large", size);
  const Size *s = &sizes[which];
  *config = (ModelConfig){.vision = {.picture = 36,
                                     .patch = 6,
                                     .width = s->vision_width,
                                     .mlp = 4 * s->vision_width,
                                     .layers = s->vision_layers,
                                     .heads = s->vision_width / HEAD,
                                     .used = s->vision_layers,
                                     .epsilon = 1e-5,
                                     .quick = true},
                          .decoder = {.vocabulary = vocabulary,
                                      .width = s->width,
                                      .mlp = s->mlp,
                                      .layers = s->layers,
                                      .heads = s->width / HEAD,
                                      .kv_heads = s->width / HEAD,
                                      .head = HEAD,
                                      .theta = 10000.0,
                                      .epsilon = 1e-5,
                                      .tied = true},
                          .global = BRIDGE_MIXTURE,
                          .local = BRIDGE_FORMER,
                          .global_queries = 36,
                          .local_queries = 9,
                          .former_head = HEAD,
                          .separator_token = ',',
                          .switches = switches_released()};
  snprintf(config->name, sizeof config->name, "scenes-%s", size);
  return config_check(config);
}
