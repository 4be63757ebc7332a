/* model.h: SliME's parameters and parts. A part's file holds its forward and, below it, its backward as a mirror.
 *
 *   vision.c    pictures to patch features (CLIP)
 *   adapter.c   patch features to tokens: MLP, query former, soft mixture
 *   decoder.c   a sequence of tokens to the next tokens (Llama)
 *   slime.c     all of it: the paper's Figure 2
 * Parts call operations (ops.h) only, and never know which backend runs them. */
#ifndef SEESAW_MODEL_H
#define SEESAW_MODEL_H

#include "config.h"
#include "run.h"

/* Which parameters move together: a training phase names groups. */
typedef enum {
  GROUP_VISION,      /* CLIP: frozen in every stage of the paper */
  GROUP_GATE,        /* W_g and W_noise */
  GROUP_MLP,         /* the adapter's MLP */
  GROUP_FORMER,      /* the adapter's query former */
  GROUP_COMPRESSION, /* the query former of the local tiles */
  GROUP_DECODER,     /* the language model */
  GROUP_LORA,        /* low-rank updates of its matrices */
  GROUP_COUNT
} Group;

const char *group_name(Group group);

/* A parameter: its value w, and the gradient of the loss by it, absent while it is frozen. */
typedef struct Parameter {
  Tensor w, d;
} Parameter;

/* y = x w' + b, and with a low-rank update y += scale (x A') B'.  Source of LoRA: Hu et al. 2021. */
typedef struct Linear {
  Parameter w, b;           /* (out, in); (out), or absent */
  Parameter lora_a, lora_b; /* (r, in), (out, r), or absent */
  double lora_scale;        /* alpha / r */
} Linear;

typedef struct Norm {
  Parameter g, b; /* b is absent in an RMS norm */
} Norm;

typedef struct VisionLayer {
  Norm norm1, norm2;
  Linear q, k, v, out, fc1, fc2;
} VisionLayer;

typedef struct Vision {
  Parameter class_embedding, patch, position; /* (D)  (D, 3 P P)  (1 + patches, D) */
  Norm before, after;                         /* after: not used for features, but part of the files */
  VisionLayer *layers;
} Vision;

typedef struct Former {
  Parameter query;     /* (queries, C) */
  Parameter position;  /* (queries, C): the fixed sin-cos table of the queries, part of the files */
  Tensor key_position; /* (patches, C): the same, resized to the grid of a view's patches */
  Norm norm_query, norm_key, norm_out;
  Linear in; /* queries, keys and values, one below the other: (3 C, C), (3 C) */
  Linear out;
} Former;

typedef struct Adapter {
  Linear fc1, fc2;       /* (H, C), (H, H) */
  Parameter gate, noise; /* (2, C): the transposes of the files' */
  Former former;
} Adapter;

typedef struct DecoderLayer {
  Norm norm1, norm2;
  Linear q, k, v, o, gate, up, down;
} DecoderLayer;

typedef struct Decoder {
  Parameter embedding; /* (V, H) */
  DecoderLayer *layers;
  Norm norm;
  Parameter head; /* (V, H); the embedding itself when they are tied */
} Decoder;

typedef struct Model {
  ModelConfig config;
  Vision vision;
  Adapter adapter;
  Former compression;
  Decoder decoder;
  Tensor frequency; /* of the decoder's rotary positions, F64 (head / 2) */
} Model;

/* model_alloc: the tree of parameters of a configuration, all absent. model_free: the tree, not what tensors point to.
 * Errors: STATUS_MEMORY. */
Status model_alloc(Model *model, const ModelConfig *config);
void model_free(Model *model);

/* What a walk over the parameters sees. */
typedef struct Entry {
  const char *name; /* as in HF checkpoints */
  Group group;
  Parameter *parameter;
  int rank;
  size_t size[TENSOR_RANK]; /* as in the file */
  bool transposed;          /* the model holds the transpose: the gate */
  bool fixed;               /* never trained: a table of positions */
  bool input;               /* goes through operations as activations do, so always in the backend's real type */
  double spread;            /* at random initialisation: standard deviation; 0: zeros; negative: ones */
} Entry;

/* model_walk: every parameter that this configuration has, in the order in which data passes. */
typedef void Visit(void *context, const Entry *entry);
void model_walk(Model *model, Visit *visit, void *context);

/* entry_shape: the parameter's sizes in the model: rank 1 or 2 (rows, all the rest). */
Tensor entry_shape(const Entry *entry, void *data, Dtype dtype);

/* ---- vision.c ---- */

/* What backward needs of a layer. */
typedef struct VisionLayerTape {
  Tensor x, mean1, rstd1, normed1, qkv, o, lse, middle, mean2, rstd2, normed2, hidden, active;
} VisionLayerTape;

typedef struct VisionTape {
  size_t views;
  Tensor patches, embedded, mean, rstd, x0;
  Tensor place, is_class, patch_row, row_patch; /* indices: see vision.c */
  Ragged rows;
  VisionLayerTape *layers; /* config.vision.used of them */
} VisionTape;

/* vision_fwd: features (views * patches, D) of pictures (views, 3, S, S): the hidden state after `used` layers without
 * the class token.  Source: Radford et al. 2021, as HF's CLIPVisionModel. */
Tensor vision_fwd(Run *run, const Model *model, Tensor pictures, VisionTape *tape);
void vision_bwd(Run *run, Model *model, const VisionTape *tape, Tensor dfeatures);

/* ---- adapter.c ---- */

/* mlp: y = W2 gelu(W1 x + b1) + b2; backward sets dx or adds to it.  Shapes: x (N, C)  y (N, H). */
typedef struct MlpTape {
  Tensor x, hidden, active;
} MlpTape;

void mlp_fwd(Run *run, const Adapter *adapter, Tensor y, Tensor x, MlpTape *tape);
void mlp_bwd(Run *run, Adapter *adapter, const MlpTape *tape, Tensor dy, Tensor dx, Write write);

/* former: queries look once at the patches of each view:
 *   y = norm_out(out(attention(norm_query(query) + p_q, norm_key(x) + p_k, norm_key(x))))
 * no residual, no MLP of its own; p the fixed sin-cos positions.
 * Shapes: x (views * patches, C)  y (views * queries, C).  Source: paper Section 2.1, 2.2. */
typedef struct FormerTape {
  size_t views, queries;
  Tensor query_mean, query_rstd, query_in, q, each, q_all; /* the queries are the same for every view */
  Tensor x, key_mean, key_rstd, normed, key_in, k, v;
  Tensor o, lse, out, out_mean, out_rstd;
  Ragged query_rows, key_rows;
} FormerTape;

Tensor former_fwd(Run *run, const Model *model, const Former *former, const char *name, Tensor x, size_t views,
                  FormerTape *tape);
void former_bwd(Run *run, const Model *model, Former *former, const FormerTape *tape, Tensor dy, Tensor dx);

/* bridge: a view's patches to the decoder's tokens, in one of the ways of config.h. The mixture blends MLP(x) and
 * MLP(former(x)), token by token:  g = softmax(x W_g + noise softplus(x W_noise)), y = g_0 MLP(x) + g_1 MLP(former(x)).
 * Shapes: x (views * patches, C)  y (views * tokens, H).  Source: paper Section 2.1. */
typedef struct BridgeTape {
  Bridge kind;
  FormerTape former;
  MlpTape mlp, mlp_former;
  Tensor x, formed, experts, clean, raw, noise, z, s;
} BridgeTape;

Tensor bridge_fwd(Run *run, const Model *model, Bridge kind, const Former *former, const char *name, Tensor x,
                  size_t views, BridgeTape *tape);
void bridge_bwd(Run *run, Model *model, Former *former, const BridgeTape *tape, Tensor dy, Tensor dx);

/* ---- decoder.c ---- */

typedef struct DecoderLayerTape {
  Tensor x, rstd1, normed1, qkv, o, lse, middle, rstd2, normed2, gate_up, active;
} DecoderLayerTape;

typedef struct DecoderTape {
  Tensor position, x; /* x: after the last layer */
  Ragged rows;
  size_t recomputed; /* set by the caller: of the first so many layers only the input is kept, and backward computes the
                        rest of their tape again: a third more work there, which is not counted, and the same bytes */
  DecoderLayerTape *layers;
} DecoderTape;

/* The keys and values of tokens that have been seen, for one sample. */
typedef struct Cache {
  size_t length, capacity;
  Tensor *keys, *values; /* a layer each: (capacity, kv_heads * head) */
} Cache;

/* decoder_fwd: x after all layers (not normed), from x (rows of all samples, H) at the given positions. Outside
 * training the result takes the input's place. With a cache: one sample, whose rows follow those cached.  Source:
 * Touvron et al. 2023, as HF's LlamaModel. */
Tensor decoder_fwd(Run *run, const Model *model, Tensor x, Tensor position, const Ragged *rows, Cache *cache,
                   DecoderTape *tape);

/* decoder_bwd: dx, the gradient by the last layer's output on entry, by the first's input on return. */
void decoder_bwd(Run *run, Model *model, const DecoderTape *tape, Tensor dx);

#endif
