/* parameters.c: the tree of parameters: every one with its name in HF checkpoints, its group and its sizes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

const char *group_name(Group group) {
  static const char *const names[GROUP_COUNT] = {"vision", "gate", "mlp", "former", "compression", "decoder", "lora"};
  return names[group];
}

Status model_alloc(Model *model, const ModelConfig *config) {
  *model = (Model){.config = *config};
  model->vision.layers = calloc(config->vision.layers + 1, sizeof *model->vision.layers);
  model->decoder.layers = calloc(config->decoder.layers + 1, sizeof *model->decoder.layers);
  if (model->vision.layers && model->decoder.layers)
    return status_ok();
  model_free(model);
  return status_error(STATUS_MEMORY, "not enough memory for the tree of a model's parameters");
}

void model_free(Model *model) {
  free(model->vision.layers);
  free(model->decoder.layers);
  *model = (Model){0};
}

Tensor entry_shape(const Entry *entry, void *data, Dtype dtype) {
  size_t rest = 1;
  for (int i = 1; i < entry->rank; i++)
    rest *= entry->size[i];
  if (entry->rank == 1)
    return tensor_1(data, dtype, entry->size[0]);
  return entry->transposed ? tensor_2(data, dtype, rest, entry->size[0]) : tensor_2(data, dtype, entry->size[0], rest);
}

/* ---- the walk ---- */

typedef struct Walk {
  Visit *visit;
  void *context;
  Group group;
} Walk;

enum { ONES = -1 };

__attribute__((format(printf, 5, 6))) static void visit(const Walk *walk, Parameter *parameter, double spread,
                                                        Entry entry, const char *format, ...) {
  char name[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  entry.name = name;
  entry.group = walk->group;
  entry.parameter = parameter;
  entry.spread = spread;
  walk->visit(walk->context, &entry);
}

static Entry matrix(size_t rows, size_t columns) {
  return (Entry){.rank = 2, .size = {rows, columns}};
}

static Entry vector(size_t count) {
  return (Entry){.rank = 1, .size = {count}};
}

static void walk_linear(const Walk *walk, Linear *linear, size_t out, size_t in, bool bias, const char *name) {
  visit(walk, &linear->w, 0.02, matrix(out, in), "%s.weight", name);
  if (bias)
    visit(walk, &linear->b, 0.0, vector(out), "%s.bias", name);
}

/* Several maps of one input: their weights side by side, then their biases, so that `linears` can take them as one. */
static void walk_linears(const Walk *walk, Linear *const *linears, size_t count, size_t out, size_t in,
                         const char *prefix, const char *const *names) {
  for (size_t i = 0; i < count; i++)
    visit(walk, &linears[i]->w, 0.02, matrix(out, in), "%s.%s.weight", prefix, names[i]);
  for (size_t i = 0; i < count; i++)
    visit(walk, &linears[i]->b, 0.0, vector(out), "%s.%s.bias", prefix, names[i]);
}

static void walk_norm(const Walk *walk, Norm *norm, size_t width, bool bias, const char *name) {
  visit(walk, &norm->g, ONES, vector(width), "%s.weight", name);
  if (bias)
    visit(walk, &norm->b, 0.0, vector(width), "%s.bias", name);
}

#define NAME(...) (snprintf(name, sizeof name, __VA_ARGS__), name)

static void walk_vision_layer(const Walk *walk, const VisionConfig *c, VisionLayer *layer, const char *prefix) {
  char name[192];
  walk_norm(walk, &layer->norm1, c->width, true, NAME("%s.layer_norm1", prefix));
  walk_linears(walk, (Linear *[]){&layer->q, &layer->k, &layer->v}, 3, c->width, c->width, prefix,
               (const char *[]){"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"});
  walk_linear(walk, &layer->out, c->width, c->width, true, NAME("%s.self_attn.out_proj", prefix));
  walk_norm(walk, &layer->norm2, c->width, true, NAME("%s.layer_norm2", prefix));
  walk_linear(walk, &layer->fc1, c->mlp, c->width, true, NAME("%s.mlp.fc1", prefix));
  walk_linear(walk, &layer->fc2, c->width, c->mlp, true, NAME("%s.mlp.fc2", prefix));
}

static void walk_vision(Walk *walk, const ModelConfig *config, Vision *vision) {
  static const char *const prefix = "model.vision_tower.vision_tower.vision_model";
  const VisionConfig *c = &config->vision;
  char name[160];
  walk->group = GROUP_VISION;
  visit(walk, &vision->class_embedding, 0.02, vector(c->width), "%s.embeddings.class_embedding", prefix);
  Entry patch = {.rank = 4, .size = {c->width, 3, c->patch, c->patch}};
  visit(walk, &vision->patch, 0.02, patch, "%s.embeddings.patch_embedding.weight", prefix);
  visit(walk, &vision->position, 0.02, matrix(1 + config_patches(config), c->width),
        "%s.embeddings.position_embedding.weight", prefix);
  walk_norm(walk, &vision->before, c->width, true, NAME("%s.pre_layrnorm", prefix)); /* so in the files */
  for (size_t i = 0; i < c->layers; i++)
    walk_vision_layer(walk, c, &vision->layers[i], NAME("%s.encoder.layers.%zu", prefix, i));
  walk_norm(walk, &vision->after, c->width, true, NAME("%s.post_layernorm", prefix));
}

static void walk_former(const Walk *walk, size_t queries, size_t width, Former *former, const char *prefix) {
  char name[192];
  Entry table = matrix(queries, width), query = matrix(queries, width);
  table.fixed = table.input = query.input = true;
  visit(walk, &former->position, 0.0, table, "%s.pos_embed", prefix);
  visit(walk, &former->query, 0.02, query, "%s.query", prefix);
  visit(walk, &former->in.w, 0.02, matrix(3 * width, width), "%s.attn.in_proj_weight", prefix);
  visit(walk, &former->in.b, 0.0, vector(3 * width), "%s.attn.in_proj_bias", prefix);
  walk_linear(walk, &former->out, width, width, true, NAME("%s.attn.out_proj", prefix));
  walk_norm(walk, &former->norm_query, width, true, NAME("%s.ln_q", prefix));
  walk_norm(walk, &former->norm_key, width, true, NAME("%s.ln_kv", prefix));
  walk_norm(walk, &former->norm_out, width, true, NAME("%s.ln_post", prefix));
}

static void walk_gate(Walk *walk, size_t width, Adapter *adapter) {
  Entry entry = matrix(width, 2);
  entry.transposed = true;
  walk->group = GROUP_GATE;
  visit(walk, &adapter->gate, 0.0, entry, "model.mm_projector.w_gate");
  visit(walk, &adapter->noise, 0.0, entry, "model.mm_projector.w_noise");
}

static void walk_adapter(Walk *walk, const ModelConfig *config, Model *model) {
  Adapter *adapter = &model->adapter;
  size_t c = config->vision.width, h = config->decoder.width;
  if (config->global == BRIDGE_MIXTURE)
    walk_gate(walk, c, adapter);
  walk->group = GROUP_FORMER;
  if (config->global == BRIDGE_MIXTURE || config->global == BRIDGE_FORMER)
    walk_former(walk, config->global_queries, c, &adapter->former, "model.mm_projector.attn");
  walk->group = GROUP_COMPRESSION;
  if (config->local == BRIDGE_FORMER)
    walk_former(walk, config->local_queries, c, &model->compression, "model.sampler.post_qformer");
  walk->group = GROUP_MLP;
  walk_linear(walk, &adapter->fc1, h, c, true, "model.mm_projector.projection.0");
  walk_linear(walk, &adapter->fc2, h, h, true, "model.mm_projector.projection.2");
}

/* A decoder's matrices, each with its low-rank update if the configuration has them. B starts at zero, so a new update
 * changes nothing. */
static void walk_lora(const Walk *walk, const ModelConfig *config, Linear *linear, size_t out, size_t in,
                      const char *name) {
  Walk lora = *walk;
  lora.group = GROUP_LORA;
  if (config->lora_rank == 0)
    return;
  linear->lora_scale = config->lora_alpha / (double)config->lora_rank;
  visit(&lora, &linear->lora_a, 0.02, matrix(config->lora_rank, in), "%s.lora_A.weight", name);
  visit(&lora, &linear->lora_b, 0.0, matrix(out, config->lora_rank), "%s.lora_B.weight", name);
}

static void walk_lora_layer(const Walk *walk, const ModelConfig *config, DecoderLayer *layer, const char *prefix) {
  const DecoderConfig *c = &config->decoder;
  size_t inner = c->heads * c->head, keys = c->kv_heads * c->head;
  char name[192];
  walk_lora(walk, config, &layer->q, inner, c->width, NAME("%s.self_attn.q_proj", prefix));
  walk_lora(walk, config, &layer->k, keys, c->width, NAME("%s.self_attn.k_proj", prefix));
  walk_lora(walk, config, &layer->v, keys, c->width, NAME("%s.self_attn.v_proj", prefix));
  walk_lora(walk, config, &layer->o, c->width, inner, NAME("%s.self_attn.o_proj", prefix));
  walk_lora(walk, config, &layer->gate, c->mlp, c->width, NAME("%s.mlp.gate_proj", prefix));
  walk_lora(walk, config, &layer->up, c->mlp, c->width, NAME("%s.mlp.up_proj", prefix));
  walk_lora(walk, config, &layer->down, c->width, c->mlp, NAME("%s.mlp.down_proj", prefix));
}

static void walk_decoder_layer(const Walk *walk, const DecoderConfig *c, DecoderLayer *layer, const char *prefix) {
  char name[192];
  size_t inner = c->heads * c->head, keys = c->kv_heads * c->head;
  walk_norm(walk, &layer->norm1, c->width, false, NAME("%s.input_layernorm", prefix));
  walk_linear(walk, &layer->q, inner, c->width, false, NAME("%s.self_attn.q_proj", prefix));
  walk_linear(walk, &layer->k, keys, c->width, false, NAME("%s.self_attn.k_proj", prefix));
  walk_linear(walk, &layer->v, keys, c->width, false, NAME("%s.self_attn.v_proj", prefix));
  walk_linear(walk, &layer->o, c->width, inner, false, NAME("%s.self_attn.o_proj", prefix));
  walk_norm(walk, &layer->norm2, c->width, false, NAME("%s.post_attention_layernorm", prefix));
  walk_linear(walk, &layer->gate, c->mlp, c->width, false, NAME("%s.mlp.gate_proj", prefix));
  walk_linear(walk, &layer->up, c->mlp, c->width, false, NAME("%s.mlp.up_proj", prefix));
  walk_linear(walk, &layer->down, c->width, c->mlp, false, NAME("%s.mlp.down_proj", prefix));
}

static void walk_decoder(Walk *walk, const ModelConfig *config, Decoder *decoder) {
  const DecoderConfig *c = &config->decoder;
  char name[160];
  walk->group = GROUP_DECODER;
  visit(walk, &decoder->embedding, 0.02, matrix(c->vocabulary, c->width), "model.embed_tokens.weight");
  for (size_t i = 0; i < c->layers; i++)
    walk_decoder_layer(walk, c, &decoder->layers[i], NAME("model.layers.%zu", i));
  walk_norm(walk, &decoder->norm, c->width, false, "model.norm");
  if (!c->tied)
    visit(walk, &decoder->head, 0.02, matrix(c->vocabulary, c->width), "lm_head.weight");
  for (size_t i = 0; i < c->layers; i++)
    walk_lora_layer(walk, config, &decoder->layers[i], NAME("model.layers.%zu", i));
}

void model_walk(Model *model, Visit *visit_one, void *context) {
  Walk walk = {.visit = visit_one, .context = context};
  const ModelConfig *config = &model->config;
  walk_vision(&walk, config, &model->vision);
  walk_adapter(&walk, config, model);
  walk_decoder(&walk, config, &model->decoder);
}
