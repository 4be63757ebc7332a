/* config.h: the sizes of a model, and every place where the paper and the code released with it part, as a switch.
 *
 * Sources: MODEL's tables stand in NOTES.md; names of files' fields are those of HF config.json files. */
#ifndef SEESAW_CONFIG_H
#define SEESAW_CONFIG_H

#include <stdio.h>

#include "status.h"
#include "tensor.h"

/* A CLIP vision transformer. */
typedef struct VisionConfig {
  size_t picture; /* pixels across a view */
  size_t patch;   /* pixels across a patch */
  size_t width, mlp, layers, heads;
  size_t used; /* layers that are run: the feature is the hidden state after them (24 layers, hidden state -2: 23) */
  double epsilon;
  bool quick; /* quick-GELU, as OpenAI's weights have it; else GELU */
} VisionConfig;

/* A Llama decoder. */
typedef struct DecoderConfig {
  size_t vocabulary, width, mlp, layers, heads, kv_heads, head;
  double theta, epsilon;
  bool tied; /* the output layer is the embedding */
} DecoderConfig;

/* What a view's patches become. */
typedef enum {
  BRIDGE_NONE,    /* the view is left out */
  BRIDGE_MLP,     /* every patch through the MLP (LLaVA-1.5; local tokens of LLaVA-HD) */
  BRIDGE_FORMER,  /* queries through the query former, then the MLP (local tokens of SliME; both views of Monkey) */
  BRIDGE_MIXTURE, /* soft mixture of both, token by token (global tokens of SliME) */
  BRIDGE_COUNT
} Bridge;

/* Which of the released router's two histories. */
typedef enum {
  ROUTER_ONE_SOFTMAX, /* the paper; released code since November 2024 */
  ROUTER_TWO_SOFTMAX  /* a first softmax at temperature 1/2, the noise, a second one: published weights were made so */
} RouterHistory;

typedef enum {
  ROUTER_QUESTION, /* the paper: the question's tokens */
  ROUTER_PROMPT    /* released: all text tokens of the sequence, answers included while training */
} RouterText;

/* Paper against released code. */
typedef struct Switches {
  bool gate_shares_weight;   /* the noise's size from the gate's own weight (released), not from W_noise (paper) */
  double gate_floor;         /* added to the softplus: 0 (paper), 1e-2 (released) */
  double gate_epsilon;       /* the gates are divided by their sum and this: 0 (paper), 1e-6 (released) */
  bool router_cosine;        /* cosine (released) instead of the dot product (paper) */
  bool router_sum;           /* sum over text tokens (released) instead of their mean (paper) */
  double router_noise;       /* standard deviation of the noise while training: 0.1 */
  double router_temperature; /* of the last softmax: 1 */
  RouterHistory router_history;
  RouterText router_text;
  double gamma;        /* share of the router's softmax that is kept: 0.75 (paper), 0.95 (released); 1 keeps all */
  bool separator;      /* a token between global and local tokens (released) */
  bool raster;         /* local tokens in the order of one big grid (released), not tile by tile */
  bool positions_half; /* the sin-cos table rounded through fp16 (released) */
  bool slicing_paper;  /* the paper's grids and padded global view; else the released code's */
} Switches;

typedef struct ModelConfig {
  char name[64];
  VisionConfig vision;
  DecoderConfig decoder;
  Bridge global, local;
  size_t global_queries; /* of the adapter's query former: 576, or fewer where it stands alone (Monkey: 144) */
  size_t local_queries;  /* N_q: 144 */
  size_t former_head;    /* numbers a head of the query former: 128 */
  size_t lora_rank;      /* 0: no LoRA */
  double lora_alpha;
  int32_t separator_token; /* the last id of a comma alone: 11 (Llama-3), 1919 (Vicuna, with its leading blank) */
  Switches switches;
} ModelConfig;

/* switches_paper, switches_released: the two presets. */
Switches switches_paper(void);
Switches switches_released(void);

/* config_preset: "tiny", "llama3-8b", "vicuna-7b", "vicuna-13b", "llama3-70b": SliME with the released switches.
 * Errors: STATUS_USAGE naming the presets. */
Status config_preset(const char *name, ModelConfig *config);

/* config_lora: low-rank updates of the decoder's matrices, with LLaVA's alpha, twice the rank; 0: none. */
void config_lora(ModelConfig *config, size_t rank);

/* config_check: do the sizes fit together? Errors: STATUS_INPUT saying which two do not. */
Status config_check(const ModelConfig *config);

/* config_read: from HF's config.json of a SliME, or LLaVA-style, checkpoint: a file, or a folder with one: the fields
 * of LlamaConfig, with its defaults, and those that released code adds. The vision tower is CLIP-L's and the switches
 * are the released ones unless the object "seesaw" says otherwise. config_parse: the same from memory; `name` is for
 * messages. config_write: FOLDER/config.json. config_open: a preset's name, or what config_read takes. Errors:
 * STATUS_INPUT naming the file and the field; STATUS_OUTPUT; STATUS_USAGE for a name that is neither. */
Status config_read(const char *path, ModelConfig *config);
Status config_parse(const char *name, const unsigned char *bytes, size_t size, ModelConfig *config);
Status config_write(const char *folder, const ModelConfig *config);
Status config_open(const char *name, ModelConfig *config);

/* config_print: sizes and switches, a line each, for people. */
void config_print(const ModelConfig *config, FILE *stream);

/* Patches of a view, and what each view gives to the sequence. */
size_t config_patches(const ModelConfig *config);
size_t config_global_tokens(const ModelConfig *config);
size_t config_tile_tokens(const ModelConfig *config);

#endif
