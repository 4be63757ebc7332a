/* config_file.c: HF's config.json, read and written. What HF has no field for (our switches, and the vision tower's
 * sizes, which a SliME checkpoint leaves to the tower's own files) stands in an object "seesaw", whose values win. */
#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "fields.h"
#include "files.h"
#include "json.h"

/* ---- fields: each is read into a value that holds its default, and written from it ---- */

typedef enum { FIELD_SIZE, FIELD_REAL, FIELD_FLAG, FIELD_TOKEN } FieldKind;

typedef struct Field {
  const char *name;
  FieldKind kind;
  void *value;
} Field;

static Status field_error(const char *path, const char *name, const char *should) {
  return status_error(STATUS_INPUT, "%s: the field %s should be %s", path, name, should);
}

static Status read_size(const char *path, const char *name, const cJSON *json, double most, double *number) {
  *number = cJSON_IsNumber(json) ? json->valuedouble : -1.0;
  if (!(*number >= 0.0 && *number <= most && *number == floor(*number)))
    return field_error(path, name, "a whole number, not negative");
  return status_ok();
}

static Status read_field(const char *path, const cJSON *object, const Field *field) {
  const cJSON *json = cJSON_GetObjectItemCaseSensitive(object, field->name);
  double number;
  if (!json || cJSON_IsNull(json))
    return status_ok();
  switch (field->kind) {
  case FIELD_SIZE:
    TRY(read_size(path, field->name, json, 1e9, &number));
    *(size_t *)field->value = (size_t)number;
    break;
  case FIELD_TOKEN:
    TRY(read_size(path, field->name, json, INT32_MAX, &number));
    *(int32_t *)field->value = (int32_t)number;
    break;
  case FIELD_REAL:
    if (!cJSON_IsNumber(json) || !isfinite(json->valuedouble))
      return field_error(path, field->name, "a number");
    *(double *)field->value = json->valuedouble;
    break;
  case FIELD_FLAG:
    if (!cJSON_IsBool(json))
      return field_error(path, field->name, "true or false");
    *(bool *)field->value = cJSON_IsTrue(json);
    break;
  }
  return status_ok();
}

static Status read_fields(const char *path, const cJSON *object, const Field *fields) {
  for (; fields->name; fields++)
    TRY(read_field(path, object, fields));
  return status_ok();
}

static void write_fields(cJSON *object, const Field *fields) {
  for (; fields->name; fields++)
    if (fields->kind == FIELD_FLAG)
      cJSON_AddBoolToObject(object, fields->name, *(const bool *)fields->value);
    else
      cJSON_AddNumberToObject(object, fields->name,
                              fields->kind == FIELD_SIZE    ? (double)*(const size_t *)fields->value
                              : fields->kind == FIELD_TOKEN ? *(const int32_t *)fields->value
                                                            : *(const double *)fields->value);
}

#define DECODER_FIELDS(c)                                                                                              \
  ((const Field[]){{"vocab_size", FIELD_SIZE, &(c)->vocabulary},                                                       \
                   {"hidden_size", FIELD_SIZE, &(c)->width},                                                           \
                   {"intermediate_size", FIELD_SIZE, &(c)->mlp},                                                       \
                   {"num_hidden_layers", FIELD_SIZE, &(c)->layers},                                                    \
                   {"num_attention_heads", FIELD_SIZE, &(c)->heads},                                                   \
                   {"num_key_value_heads", FIELD_SIZE, &(c)->kv_heads},                                                \
                   {"head_dim", FIELD_SIZE, &(c)->head},                                                               \
                   {"rope_theta", FIELD_REAL, &(c)->theta},                                                            \
                   {"rms_norm_eps", FIELD_REAL, &(c)->epsilon},                                                        \
                   {"tie_word_embeddings", FIELD_FLAG, &(c)->tied},                                                    \
                   {NULL, FIELD_SIZE, NULL}})

#define VISION_FIELDS(c)                                                                                               \
  ((const Field[]){{"image_size", FIELD_SIZE, &(c)->picture},                                                          \
                   {"patch_size", FIELD_SIZE, &(c)->patch},                                                            \
                   {"hidden_size", FIELD_SIZE, &(c)->width},                                                           \
                   {"intermediate_size", FIELD_SIZE, &(c)->mlp},                                                       \
                   {"num_hidden_layers", FIELD_SIZE, &(c)->layers},                                                    \
                   {"num_attention_heads", FIELD_SIZE, &(c)->heads},                                                   \
                   {"layer_norm_eps", FIELD_REAL, &(c)->epsilon},                                                      \
                   {NULL, FIELD_SIZE, NULL}})

#define SWITCH_FIELDS(s)                                                                                               \
  ((const Field[]){{"gate_shares_weight", FIELD_FLAG, &(s)->gate_shares_weight},                                       \
                   {"gate_floor", FIELD_REAL, &(s)->gate_floor},                                                       \
                   {"gate_epsilon", FIELD_REAL, &(s)->gate_epsilon},                                                   \
                   {"router_cosine", FIELD_FLAG, &(s)->router_cosine},                                                 \
                   {"router_sum", FIELD_FLAG, &(s)->router_sum},                                                       \
                   {"router_noise", FIELD_REAL, &(s)->router_noise},                                                   \
                   {"router_temperature", FIELD_REAL, &(s)->router_temperature},                                       \
                   {"gamma", FIELD_REAL, &(s)->gamma},                                                                 \
                   {"separator", FIELD_FLAG, &(s)->separator},                                                         \
                   {"raster", FIELD_FLAG, &(s)->raster},                                                               \
                   {"positions_half", FIELD_FLAG, &(s)->positions_half},                                               \
                   {"slicing_paper", FIELD_FLAG, &(s)->slicing_paper},                                                 \
                   {NULL, FIELD_SIZE, NULL}})

#define BRIDGE_FIELDS(c)                                                                                               \
  ((const Field[]){{"global_queries", FIELD_SIZE, &(c)->global_queries},                                               \
                   {"local_queries", FIELD_SIZE, &(c)->local_queries},                                                 \
                   {"former_head", FIELD_SIZE, &(c)->former_head},                                                     \
                   {"lora_rank", FIELD_SIZE, &(c)->lora_rank},                                                         \
                   {"lora_alpha", FIELD_REAL, &(c)->lora_alpha},                                                       \
                   {"separator_token", FIELD_TOKEN, &(c)->separator_token},                                            \
                   {NULL, FIELD_SIZE, NULL}})

/* ---- names of choices ---- */

static const char *const bridge_names[] = {"none", "mlp", "former", "mixture", NULL};
static const char *const history_names[] = {"one softmax", "two softmax", NULL};
static const char *const text_names[] = {"question", "prompt", NULL};

static Status read_choice(const char *path, const cJSON *object, const char *name, const char *const *names,
                          int *choice) {
  const cJSON *json = cJSON_GetObjectItemCaseSensitive(object, name);
  const char *text = cJSON_GetStringValue(json);
  if (!json || cJSON_IsNull(json))
    return status_ok();
  for (int i = 0; text && names[i]; i++)
    if (strcmp(text, names[i]) == 0) {
      *choice = i;
      return status_ok();
    }
  return status_error(STATUS_INPUT, "%s: the field %s is not one of %s, %s ...", path, name, names[0], names[1]);
}

/* ---- reading ---- */

/* Is the field this text? A field that is not there is `otherwise`. */
static bool text_is(const cJSON *object, const char *name, const char *text, bool otherwise) {
  const cJSON *json = cJSON_GetObjectItemCaseSensitive(object, name);
  const char *value = cJSON_GetStringValue(json);
  return json && !cJSON_IsNull(json) ? value && strcmp(value, text) == 0 : otherwise;
}

/* mm_projector_type gated is the mixture, or the one expert that mm_learnable_gated names; all else is an MLP. */
static Status read_global(const char *path, const cJSON *json, ModelConfig *config) {
  static const Bridge experts[] = {BRIDGE_MLP, BRIDGE_FORMER};
  const cJSON *only = cJSON_GetObjectItemCaseSensitive(json, "mm_learnable_gated");
  double expert = cJSON_IsNumber(only) ? only->valuedouble : -1.0;
  if (!text_is(json, "mm_projector_type", "gated", false))
    config->global = BRIDGE_MLP;
  else if (expert == 0.0 || expert == 1.0)
    config->global = experts[(int)expert];
  else if (expert >= 0.0 || (only && !cJSON_IsNull(only) && !cJSON_IsNumber(only)))
    return field_error(path, "mm_learnable_gated", "-1 (both experts), 0 (the MLP) or 1 (the query former)");
  return status_ok();
}

/* Tiles go through the sampler, compression and router; without one through the MLP, and all are kept. */
static Status read_local(const char *path, const cJSON *json, ModelConfig *config) {
  Switches *s = &config->switches;
  const Field fields[] = {{"mm_resampler_dim", FIELD_SIZE, &config->local_queries},
                          {"mm_resampler_topp", FIELD_REAL, &s->gamma},
                          {"mm_resampler_temp", FIELD_REAL, &s->router_temperature},
                          {"seperator", FIELD_TOKEN, &config->separator_token},
                          {NULL, FIELD_SIZE, NULL}};
  s->raster = text_is(json, "mm_patch_merge_type", "spatial", false);
  if (!s->raster && !text_is(json, "mm_patch_merge_type", "flat", true))
    return field_error(path, "mm_patch_merge_type", "spatial or flat");
  if (text_is(json, "mm_resampler_type", "cosine", false))
    return read_fields(path, json, fields);
  if (!text_is(json, "mm_resampler_type", "identity", true))
    return field_error(path, "mm_resampler_type", "cosine or identity");
  config->local = BRIDGE_MLP;
  s->gamma = 1.0;
  s->separator = false;
  return status_ok();
}

/* How released code describes its bridge. */
static Status read_released(const char *path, const cJSON *json, ModelConfig *config) {
  bool global_only = false, local_only = false;
  TRY(read_fields(path, json,
                  (const Field[]){{"use_global_only", FIELD_FLAG, &global_only},
                                  {"use_local_only", FIELD_FLAG, &local_only},
                                  {NULL, FIELD_SIZE, NULL}}));
  TRY(read_global(path, json, config));
  TRY(read_local(path, json, config));
  if (!text_is(json, "image_aspect_ratio", "anyres", false) || global_only)
    config->local = BRIDGE_NONE;
  if (local_only)
    config->global = BRIDGE_NONE;
  return status_ok();
}

/* The tower's sizes, and which of its hidden states is the feature: counted from the embedded patches, or, if negative,
 * from behind the last layer's. */
static Status read_vision(const char *path, const cJSON *json, const cJSON *vision, VisionConfig *c) {
  TRY(read_fields(path, vision, VISION_FIELDS(c)));
  const cJSON *select = cJSON_GetObjectItemCaseSensitive(json, "mm_vision_select_layer");
  if (select && !cJSON_IsNull(select)) {
    double number = cJSON_IsNumber(select) ? select->valuedouble : NAN;
    double used = number < 0.0 ? (double)c->layers + 1.0 + number : number;
    if (!(used >= 0.0 && used <= (double)c->layers && used == floor(used)))
      return field_error(path, "mm_vision_select_layer", "one of the vision tower's hidden states");
    c->used = (size_t)used;
  }
  if (!text_is(json, "mm_vision_select_feature", "patch", true))
    return field_error(path, "mm_vision_select_feature", "patch");
  return read_fields(path, vision,
                     (const Field[]){{"used_layers", FIELD_SIZE, &c->used},
                                     {"quick_gelu", FIELD_FLAG, &c->quick},
                                     {NULL, FIELD_SIZE, NULL}});
}

/* Our own object: all that a configuration holds beside the decoder and the vision tower. */
static Status read_own(const char *path, const cJSON *own, ModelConfig *config) {
  int global = (int)config->global, local = (int)config->local;
  int history = (int)config->switches.router_history, text = (int)config->switches.router_text;
  TRY(read_fields(path, own, BRIDGE_FIELDS(config)));
  TRY(read_fields(path, own, SWITCH_FIELDS(&config->switches)));
  TRY(read_choice(path, own, "global", bridge_names, &global));
  TRY(read_choice(path, own, "local", bridge_names, &local));
  TRY(read_choice(path, own, "router_history", history_names, &history));
  TRY(read_choice(path, own, "router_text", text_names, &text));
  config->global = (Bridge)global;
  config->local = (Bridge)local;
  config->switches.router_history = (RouterHistory)history;
  config->switches.router_text = (RouterText)text;
  return status_ok();
}

/* What our decoder does not have. */
static Status check_plain(const char *path, const cJSON *json) {
  bool attention_bias = false, mlp_bias = false;
  TRY(read_fields(path, json,
                  (const Field[]){{"attention_bias", FIELD_FLAG, &attention_bias},
                                  {"mlp_bias", FIELD_FLAG, &mlp_bias},
                                  {NULL, FIELD_SIZE, NULL}}));
  if (attention_bias || mlp_bias)
    return field_error(path, attention_bias ? "attention_bias" : "mlp_bias", "false: biases are not supported");
  if (!text_is(json, "hidden_act", "silu", true))
    return field_error(path, "hidden_act", "silu");
  return status_ok();
}

/* Missing fields: the defaults of HF's LlamaConfig. */
static Status read_decoder(const char *path, const cJSON *json, DecoderConfig *c) {
  *c = (DecoderConfig){
      .vocabulary = 32000, .width = 4096, .mlp = 11008, .layers = 32, .heads = 32, .theta = 10000.0, .epsilon = 1e-6};
  TRY(read_fields(path, json, DECODER_FIELDS(c)));
  TRY(check_plain(path, json));
  const cJSON *rope = cJSON_GetObjectItemCaseSensitive(json, "rope_parameters"); /* since transformers 5 */
  TRY(read_fields(path, rope, (const Field[]){{"rope_theta", FIELD_REAL, &c->theta}, {NULL, FIELD_SIZE, NULL}}));
  if (!text_is(rope, "rope_type", "default", true))
    return field_error(path, "rope_type", "default: scaled positions are not supported");
  const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(json, "rope_scaling");
  if (scaling && !cJSON_IsNull(scaling))
    return field_error(path, "rope_scaling", "null: scaled positions are not supported");
  c->kv_heads = c->kv_heads > 0 ? c->kv_heads : c->heads;
  c->head = c->head > 0 || c->heads == 0 ? c->head : c->width / c->heads;
  return status_ok();
}

static Status read_config(const char *path, const cJSON *json, ModelConfig *config) {
  const cJSON *own = cJSON_GetObjectItemCaseSensitive(json, "seesaw");
  if (!cJSON_IsObject(json) || !cJSON_HasObjectItem(json, "hidden_size"))
    return status_error(STATUS_INPUT, "%s is no model's configuration: it has no field hidden_size", path);
  TRY(config_preset("llama3-8b", config)); /* CLIP-L and SliME's bridge, unless the file says otherwise */
  TRY(read_decoder(path, json, &config->decoder));
  if (config->decoder.vocabulary < 100000) /* the comma of Llama-2's tokenizer; Llama-3's otherwise */
    config->separator_token = 1919;
  TRY(read_vision(path, json, cJSON_GetObjectItemCaseSensitive(own, "vision"), &config->vision));
  TRY(read_released(path, json, config));
  TRY(read_own(path, own, config));
  return config_check(config);
}

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

Status config_parse(const char *name, const unsigned char *bytes, size_t size, ModelConfig *config) {
  cJSON *json = NULL;
  TRY(fields_parse(name, bytes, size, 1, &json));
  Status status = read_config(name, json, config);
  if (status.code == STATUS_OK)
    snprintf(config->name, sizeof config->name, "%.60s", name);
  cJSON_Delete(json);
  return status;
}

Status config_read(const char *path, ModelConfig *config) {
  enum { LARGEST_CONFIG = 1 << 22 };
  unsigned char *bytes = NULL;
  size_t size;
  char *file = ends_with(path, ".json") ? strdup(path) : path_join(path, "config.json");
  if (!file)
    return status_error(STATUS_MEMORY, "not enough memory to read %s", path);
  Status status = file_read(file, LARGEST_CONFIG, &bytes, &size);
  if (status.code == STATUS_OK)
    status = config_parse(file, bytes, size, config);
  free(bytes);
  free(file);
  return status;
}

Status config_open(const char *name, ModelConfig *config) {
  Status preset = config_preset(name, config);
  bool path = strchr(name, '/') || ends_with(name, ".json") || access(name, F_OK) == 0;
  return preset.code != STATUS_OK && path ? config_read(name, config) : preset;
}

/* ---- writing ---- */

/* Fields are written from a copy, since they point to what they may change. */
static cJSON *own_object(ModelConfig config) {
  cJSON *own = cJSON_CreateObject(), *vision = cJSON_AddObjectToObject(own, "vision");
  write_fields(vision, VISION_FIELDS(&config.vision));
  cJSON_AddNumberToObject(vision, "used_layers", (double)config.vision.used);
  cJSON_AddBoolToObject(vision, "quick_gelu", config.vision.quick);
  cJSON_AddStringToObject(own, "global", bridge_names[config.global]);
  cJSON_AddStringToObject(own, "local", bridge_names[config.local]);
  write_fields(own, BRIDGE_FIELDS(&config));
  write_fields(own, SWITCH_FIELDS(&config.switches));
  cJSON_AddStringToObject(own, "router_history", history_names[config.switches.router_history]);
  cJSON_AddStringToObject(own, "router_text", text_names[config.switches.router_text]);
  return own;
}

/* As released code has it, as far as it can say it. */
static void write_released(cJSON *json, const ModelConfig *config) {
  bool gated = config->global == BRIDGE_MIXTURE || config->global == BRIDGE_FORMER;
  const Switches *s = &config->switches;
  cJSON_AddStringToObject(json, "mm_projector_type", gated ? "gated" : "mlp2x_gelu");
  cJSON_AddNumberToObject(json, "mm_learnable_gated", config->global == BRIDGE_FORMER ? 1.0 : -1.0);
  cJSON_AddStringToObject(json, "image_aspect_ratio", config->local == BRIDGE_NONE ? "square" : "anyres");
  cJSON_AddBoolToObject(json, "use_local_only", config->global == BRIDGE_NONE);
  cJSON_AddStringToObject(json, "mm_patch_merge_type", s->raster ? "spatial" : "flat");
  cJSON_AddStringToObject(json, "mm_resampler_type", config->local == BRIDGE_FORMER ? "cosine" : "identity");
  cJSON_AddNumberToObject(json, "mm_resampler_dim", (double)config->local_queries);
  cJSON_AddNumberToObject(json, "mm_resampler_topp", s->gamma);
  cJSON_AddNumberToObject(json, "mm_resampler_temp", s->router_temperature);
  cJSON_AddNumberToObject(json, "seperator", config->separator_token);
  cJSON_AddNumberToObject(json, "mm_hidden_size", (double)config->vision.width);
  cJSON_AddStringToObject(json, "mm_vision_select_feature", "patch");
  cJSON_AddNumberToObject(json, "mm_vision_select_layer",
                          (double)config->vision.used - (double)config->vision.layers - 1.0);
}

static cJSON *config_json(ModelConfig config) {
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "model_type", "llava_llama");
  write_fields(json, DECODER_FIELDS(&config.decoder));
  cJSON_AddStringToObject(json, "hidden_act", "silu");
  write_released(json, &config);
  cJSON_AddItemToObject(json, "seesaw", own_object(config));
  return json;
}

Status config_write(const char *folder, const ModelConfig *config) {
  char *path = path_join(folder, "config.json");
  cJSON *json = config_json(*config);
  Status status = path && json ? json_write(path, json)
                               : status_error(STATUS_MEMORY, "not enough memory to write the configuration");
  cJSON_Delete(json);
  free(path);
  return status;
}

/* ---- for people ---- */

static const char *yes(bool flag) {
  return flag ? "yes" : "no";
}

void config_print(const ModelConfig *config, FILE *stream) {
  const VisionConfig *v = &config->vision;
  const DecoderConfig *d = &config->decoder;
  const Switches *s = &config->switches;
  fprintf(stream, "vision    %zu x %zu pixels, patches of %zu, width %zu, MLP %zu, %zu of %zu layers, %zu heads\n",
          v->picture, v->picture, v->patch, v->width, v->mlp, v->used, v->layers, v->heads);
  fprintf(stream, "bridge    global %s (%zu tokens), local %s (%zu tokens a tile)\n", bridge_names[config->global],
          config_global_tokens(config), bridge_names[config->local], config_tile_tokens(config));
  fprintf(stream, "decoder   vocabulary %zu, width %zu, MLP %zu, %zu layers, %zu heads, %zu key heads\n", d->vocabulary,
          d->width, d->mlp, d->layers, d->heads, d->kv_heads);
  fprintf(stream, "gate      noise from the gate's own weight: %s; floor %g; epsilon %g\n", yes(s->gate_shares_weight),
          s->gate_floor, s->gate_epsilon);
  fprintf(stream, "router    %s, %s over the %s, %s, temperature %g, gamma %g, noise %g\n",
          s->router_cosine ? "cosine" : "dot product", s->router_sum ? "sum" : "mean", text_names[s->router_text],
          history_names[s->router_history], s->router_temperature, s->gamma, s->router_noise);
  fprintf(stream, "sequence  separator: %s; local tokens in one big grid: %s; slicing of the %s\n", yes(s->separator),
          yes(s->raster), s->slicing_paper ? "paper" : "released code");
}
