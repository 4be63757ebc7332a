/* ops.h: the operations that the model is made of, each with its contract. A backend fills a table of them; the model
 * calls the functions below, which check every shape (ops.c) and hand on to the backend. The C backend (c/) is the
 * definition; any other is compared with it.
 *
 * Conventions
 *   N       rows: of all samples of a batch, one after the other (ragged: no padding), see Ragged
 *   real    the backend's type of activations, their gradients and working copies of parameters: F32, F64 or BF16
 *   fine    F32 where real is BF16, else real: of statistics kept for backward, scores, gates, noise and losses,
 *           gradients of parameters, and what an optimiser keeps. A tensor is real unless its operation says fine.
 *   w       a weight matrix (out, in), or a table of rows: real, F32, BF16 or F16; converted as it is used
 *   dx      the gradient of the loss by x. Backward adds to it (below: +=), unless its Write says that it sets it; a
 *           gradient with data = NULL is not wanted. By a parameter (dw, db, dg, dtable) it is fine, and added to.
 * All two-dimensional activations may be views of columns (their rows apart by `pitch`); parameters are contiguous.
 * No output may overlap an input unless it says 'in place'. Sums run in a fixed order: the same bytes for any number
 * of threads. Wrong shapes are the caller's mistake: the program stops and names both. */
#ifndef SEESAW_OPS_H
#define SEESAW_OPS_H

#include "rng.h"
#include "tensor.h"

typedef struct OpsTable OpsTable;

/* A backend. One without a table is dry: shapes are checked and nothing else happens, so a dry pass of the model
 * measures its memory (its tensors need data that is not NULL, but it is never touched). */
typedef struct Ops {
  const OpsTable *table;
  Dtype real;
  void *state;        /* the backend's own */
  double *operations; /* if not NULL, the floating-point operations of matrix products and attention are added here,
                       * those of a causal attention for the pairs that are seen */
} Ops;

/* ops_fine: the type of what is kept finer than activations (fine above). */
Dtype ops_fine(const Ops *ops);

/* ops_print: what computes, as descriptions of results have it: "F32" of the definition, whose bytes are the same
 * everywhere; of another backend, whose results are its own, its name too: "BF16 on cuda". Returns text. */
enum { OPS_ROOM = 32 };
char *ops_print(const Ops *ops, char text[OPS_ROOM]);

/* ops_definition: is it the definition that computes? Then descriptions need not say so. */
bool ops_definition(const Ops *ops);

/* Does an operation overwrite its output, whatever that held, or add to it? */
typedef enum { WRITE_SET, WRITE_ADD } Write;

/* How a batch's rows divide into samples: sample i has rows [offsets[i], offsets[i + 1]). */
typedef struct Ragged {
  size_t count;        /* samples */
  size_t rows;         /* of all: offsets[count] */
  size_t longest;      /* rows of the longest sample */
  const int32_t *host; /* count + 1 offsets, ascending from 0, for the host */
  Tensor offsets;      /* the same in the backend's memory, I32 (count + 1) */
} Ragged;

/* ---- memory: the host reads and writes a backend's tensors only through these ---- */

/* ops_alloc: zeroed backend memory. Errors: STATUS_MEMORY. ops_free takes what ops_alloc gave, or NULL. */
Status ops_alloc(const Ops *ops, size_t bytes, void **memory);
void ops_free(const Ops *ops, void *memory);

/* ops_write: host to backend. ops_read: backend to host, after all operations before it. Contiguous bytes. */
void ops_write(const Ops *ops, void *to, const void *from, size_t bytes);
void ops_read(const Ops *ops, void *to, const void *from, size_t bytes);

/* ops_status: a device's fault, if there was one; it sticks. Waits for all operations before it. */
Status ops_status(const Ops *ops);

/* ---- linear ---- */

/* linear: y = onto + x w' + b; onto absent: nothing is added.
 * Shapes: y, onto (N, O)  x (N, I)  w (O, I)  b (O) or absent.  onto may be y itself, rows as far apart: y += x w' + b.
 * bwd_input: dx += dy w.   bwd_weight: dw += dy' x, db += column sums of dy; dw, db fine, db may be absent. */
void linear_fwd(const Ops *ops, Tensor y, Tensor x, Tensor w, Tensor b, Tensor onto);
void linear_bwd_input(const Ops *ops, Tensor dx, Tensor dy, Tensor w, Write write);
void linear_bwd_weight(const Ops *ops, Tensor dw, Tensor db, Tensor dy, Tensor x);

/* ---- rows: normalisation ---- */

/* layernorm: y = (x - mean) rstd g + b, rstd = 1/sqrt(var + epsilon), var the mean square about the mean.
 * Shapes: x, y (N, D)  g, b (D)  mean, rstd (N), fine: kept for backward.  Source: Ba, Kiros, Hinton 2016. */
void layernorm_fwd(const Ops *ops, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor g, Tensor b, double epsilon);
void layernorm_bwd(const Ops *ops, Tensor dx, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor g, Tensor mean,
                   Tensor rstd);

/* rmsnorm: y = x rstd g, rstd = 1/sqrt(mean x^2 + epsilon).  Shapes: x, y (N, D)  g (D)  rstd (N), fine: kept.
 * Source: Zhang, Sennrich 2019. */
void rmsnorm_fwd(const Ops *ops, Tensor y, Tensor rstd, Tensor x, Tensor g, double epsilon);
void rmsnorm_bwd(const Ops *ops, Tensor dx, Tensor dg, Tensor dy, Tensor x, Tensor g, Tensor rstd);

/* ---- elementwise ---- */

/* GELU: x Phi(x), by erf (Hendrycks, Gimpel 2016). Quick-GELU: x sigmoid(1.702 x) (CLIP). */
typedef enum { ACTIVATION_GELU, ACTIVATION_QUICK_GELU, ACTIVATION_COUNT } Activation;

/* activation: y = f(x).  Shapes: x, y (N, D). */
void activation_fwd(const Ops *ops, Tensor y, Tensor x, Activation kind);
void activation_bwd(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Activation kind, Write write);

/* swiglu: y = silu(gate) up, x = [gate | up].  Shapes: x (N, 2F)  y (N, F).  Source: Shazeer 2020. */
void swiglu_fwd(const Ops *ops, Tensor y, Tensor x);
void swiglu_bwd(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write);

/* rope: rotate each head of x, in place: pair (x_i, x_{i + S/2}) by the angle position * frequency_i, or by its
 * negative (inverse: what backward needs). Shapes: x (N, heads S)  position (N) I32  frequency (S/2) F64.  Source: Su
 * et al. 2021, in the 'rotate-half' layout of HF checkpoints. */
void rope(const Ops *ops, Tensor x, Tensor position, Tensor frequency, bool inverse);

/* ops_copy: y = x.  ops_add: y += x.  ops_scale: y *= factor.  ops_zero: y = 0.  Shapes: (N, D) or (D), x and y
 * of one type: real or fine; to copy or to zero, any. */
void ops_copy(const Ops *ops, Tensor y, Tensor x);
void ops_add(const Ops *ops, Tensor y, Tensor x);
void ops_scale(const Ops *ops, Tensor y, double factor);
void ops_zero(const Ops *ops, Tensor y);

/* normal_fill: y[i] = factor * number first + i of the stream, the same on every backend.  Shapes: y (N, D) or (D),
 * contiguous, real or fine. */
void normal_fill(const Ops *ops, Tensor y, Rng rng, uint64_t first, double factor);

/* ---- attention ---- */

typedef struct Attention {
  size_t heads, kv_heads; /* heads is a multiple of kv_heads: query head h uses key head h / (heads / kv_heads) */
  size_t size;            /* of a head */
  double scale;           /* of the scores, 1/sqrt(size) */
  bool causal; /* query i of n stands at key position (keys - n + i) and sees keys up to there: also with a KV cache */
} Attention;

/* attention: for each sample and head, o = softmax(scale q k') v.
 * Shapes: q, o (rows of queries, heads S)  k, v (rows of keys, kv_heads S)  lse (rows of queries, heads), fine: the
 * logarithm of the softmax's denominator, kept for backward (absent: not kept). queries.count = keys.count. A sample
 * without keys, or a causal one with more queries than keys, is the caller's mistake.
 * backward: p = exp(scale q k' - lse); dv += p' do; ds = p (do v' - rowsum(do o)); dq += scale ds k; dk += scale ds' q;
 * where they are set, keys without queries get zeros.  Source: Vaswani et al. 2017; blocks as in Dao et al. 2022. */
void attention_fwd(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, const Attention *attention,
                   const Ragged *queries, const Ragged *keys);
void attention_bwd(const Ops *ops, Tensor dq, Tensor dk, Tensor dv, Tensor d_o, Tensor o, Tensor lse, Tensor q,
                   Tensor k, Tensor v, Write write, const Attention *attention, const Ragged *queries,
                   const Ragged *keys);

/* ---- moving rows ---- */

/* gather: y[i] = table[index[i]], or +=; a negative index gives a row of zeros. Embeddings, position tables, selection.
 * Shapes: y (N, D)  table (R, D), any floating type  index (N) I32 < R.
 * backward: dtable[index[i]] += dy[i], in the order of i; dtable fine. Backward of scatter is gather with WRITE_ADD;
 * that of a gather whose indices differ, into zeros, is scatter. */
void gather_fwd(const Ops *ops, Tensor y, Tensor table, Tensor index, Write write);
void gather_bwd(const Ops *ops, Tensor dtable, Tensor dy, Tensor index);

/* scatter: y[index[i]] = x[i]; indices differ; a negative one drops the row.  Shapes: y (R, D)  x (N, D)  index (N). */
void scatter_fwd(const Ops *ops, Tensor y, Tensor x, Tensor index);

/* patches: cut pictures into patches, rows of (channel, row, column) as a convolution's weight has them.
 * Shapes: picture (B, 3, S, S)  y (B (S/P)^2, 3 P P), real. */
void patches_fwd(const Ops *ops, Tensor y, Tensor picture, size_t patch);

/* ---- SliME's own ---- */

/* noisy_gate: z = clean + noise (softplus(raw) + floor); without noise (absent), z = clean.
 * Shapes: z, noise, dz (N, E), fine  clean, raw, dclean, draw (N, E).  Source: paper Section 2.1.  Trap: released code
 * takes raw = clean, floor = 1e-2. */
void noisy_gate_fwd(const Ops *ops, Tensor z, Tensor clean, Tensor raw, Tensor noise, double floor);
void noisy_gate_bwd(const Ops *ops, Tensor dclean, Tensor draw, Tensor dz, Tensor raw, Tensor noise);

/* expert_mix: blend E experts' outputs token by token (soft mixture).
 *   forward   s = softmax(z) / (1 + epsilon) over e;  y[n,d] = sum_e s[n,e] h[e,n,d]
 *   backward  a[n,e] = sum_d dy[n,d] h[e,n,d];  dh += s dy;  dz[n,e] += s[n,e] (a[n,e] - sum_k softmax(z)[n,k] a[n,k])
 * Shapes: z, dz (N, E), fine  h (E, N, D)  y (N, D).  Keeps s (N, E), fine, for backward.  Source: paper Section 2.1.
 * Trap: released code divides by (sum + 1e-6): epsilon. */
void expert_mix_fwd(const Ops *ops, Tensor y, Tensor s, Tensor z, Tensor h, double epsilon);
void expert_mix_bwd(const Ops *ops, Tensor dz, Tensor dh, Tensor dy, Tensor s, Tensor h, double epsilon, Write write);

/* How the router scores a local token x against the text tokens t_j of its sample; then softmax over local tokens. */
typedef struct Router {
  bool cosine;              /* x't / (|x| |t|), each norm at least 1e-8; else the dot product x't */
  bool sum;                 /* over text tokens; else their mean */
  double first_temperature; /* > 0: a softmax at this temperature before the noise; 0: none */
  double temperature;       /* of the last softmax */
} Router;

/* router_score: score[n] = the share of the sample's softmax that local token n gets, noise (absent: none) added to the
 * score before the last softmax. No gradient.
 * Shapes: score, noise (rows of local), fine  local (rows of local, D)  text (rows of text, D).  Source: paper
 * Section 2.2.
 */
void router_score(const Ops *ops, Tensor score, Tensor local, Tensor text, Tensor noise, const Router *router,
                  const Ragged *locals, const Ragged *texts);

/* router_select: of each sample the highest scores, until their sum passes gamma (the one that passes included; all if
 * gamma >= 1; of equal scores the earlier), in their old order.
 * kept[0 .. offsets[count]): indices of rows, sample by sample; offsets I32 (count + 1); kept I32 (rows of local);
 * score fine. */
void router_select(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals);

/* ---- the loss ---- */

/* cross_entropy: logits = x w', in blocks of rows of `work`; row n's loss is lse_n - logit_{n, label_n}, 0 where the
 * label is negative (ignored). Shapes: x (N, D)  w (V, D)  label (N) I32 < V  loss, lse (N), fine  work (rows of a
 * block, V). backward, of factor * sum of losses: dlogits = factor (softmax - one-hot); dx += dlogits w; dw += dlogits'
 * x. */
void cross_entropy_fwd(const Ops *ops, Tensor loss, Tensor lse, Tensor x, Tensor w, Tensor label, Tensor work);
void cross_entropy_bwd(const Ops *ops, Tensor dx, Tensor dw, Tensor x, Tensor w, Tensor label, Tensor lse,
                       double factor, Tensor work);

/* ---- the optimiser ---- */

/* sum_squares: total += sum x^2, in double.  Shapes: total F64 (1)  x (N, D) or (D), real or fine. */
void sum_squares(const Ops *ops, Tensor total, Tensor x);

typedef struct AdamW {
  double rate, beta1, beta2, epsilon, decay;
  uint64_t step; /* from 1: for the bias correction */
  double factor; /* on the gradient: the clip */
} AdamW;

/* adamw: g = factor gradient; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 * p -= rate (m^ / (sqrt(v^) + epsilon) + decay p), m^, v^ with bias correction; then copy = p, rounded to nearest even.
 * Shapes: p, m, v, gradient alike, fine  copy, the working copy of p: real, F32, BF16 or F16 of the same sizes, or
 * absent.  Source: Loshchilov, Hutter 2019; torch.optim.AdamW. */
void adamw(const Ops *ops, Tensor p, Tensor m, Tensor v, Tensor gradient, Tensor copy, const AdamW *rule);

/* ---- for backends: one entry an operation; shapes have been checked ---- */

struct OpsTable {
  const char *name;
  bool host; /* its memory is the host's: mapped files can be used where they lie */
  Status (*alloc)(const Ops *ops, size_t bytes, void **memory);
  void (*free)(const Ops *ops, void *memory);
  void (*write)(const Ops *ops, void *to, const void *from, size_t bytes);
  void (*read)(const Ops *ops, void *to, const void *from, size_t bytes);
  Status (*status)(const Ops *ops);
  void (*linear_fwd)(const Ops *ops, Tensor y, Tensor x, Tensor w, Tensor b, Tensor onto);
  void (*linear_bwd_input)(const Ops *ops, Tensor dx, Tensor dy, Tensor w, Write write);
  void (*linear_bwd_weight)(const Ops *ops, Tensor dw, Tensor db, Tensor dy, Tensor x);
  void (*layernorm_fwd)(const Ops *ops, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor g, Tensor b,
                        double epsilon);
  void (*layernorm_bwd)(const Ops *ops, Tensor dx, Tensor dg, Tensor db, Tensor dy, Tensor x, Tensor g, Tensor mean,
                        Tensor rstd);
  void (*rmsnorm_fwd)(const Ops *ops, Tensor y, Tensor rstd, Tensor x, Tensor g, double epsilon);
  void (*rmsnorm_bwd)(const Ops *ops, Tensor dx, Tensor dg, Tensor dy, Tensor x, Tensor g, Tensor rstd);
  void (*activation_fwd)(const Ops *ops, Tensor y, Tensor x, Activation kind);
  void (*activation_bwd)(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Activation kind, Write write);
  void (*swiglu_fwd)(const Ops *ops, Tensor y, Tensor x);
  void (*swiglu_bwd)(const Ops *ops, Tensor dx, Tensor dy, Tensor x, Write write);
  void (*rope)(const Ops *ops, Tensor x, Tensor position, Tensor frequency, bool inverse);
  void (*copy)(const Ops *ops, Tensor y, Tensor x);
  void (*add)(const Ops *ops, Tensor y, Tensor x);
  void (*scale)(const Ops *ops, Tensor y, double factor);
  void (*zero)(const Ops *ops, Tensor y);
  void (*normal_fill)(const Ops *ops, Tensor y, Rng rng, uint64_t first, double factor);
  void (*attention_fwd)(const Ops *ops, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, const Attention *attention,
                        const Ragged *queries, const Ragged *keys);
  void (*attention_bwd)(const Ops *ops, Tensor dq, Tensor dk, Tensor dv, Tensor d_o, Tensor o, Tensor lse, Tensor q,
                        Tensor k, Tensor v, Write write, const Attention *attention, const Ragged *queries,
                        const Ragged *keys);
  void (*gather_fwd)(const Ops *ops, Tensor y, Tensor table, Tensor index, Write write);
  void (*gather_bwd)(const Ops *ops, Tensor dtable, Tensor dy, Tensor index);
  void (*scatter_fwd)(const Ops *ops, Tensor y, Tensor x, Tensor index);
  void (*patches_fwd)(const Ops *ops, Tensor y, Tensor picture, size_t patch);
  void (*noisy_gate_fwd)(const Ops *ops, Tensor z, Tensor clean, Tensor raw, Tensor noise, double floor);
  void (*noisy_gate_bwd)(const Ops *ops, Tensor dclean, Tensor draw, Tensor dz, Tensor raw, Tensor noise);
  void (*expert_mix_fwd)(const Ops *ops, Tensor y, Tensor s, Tensor z, Tensor h, double epsilon);
  void (*expert_mix_bwd)(const Ops *ops, Tensor dz, Tensor dh, Tensor dy, Tensor s, Tensor h, double epsilon,
                         Write write);
  void (*router_score)(const Ops *ops, Tensor score, Tensor local, Tensor text, Tensor noise, const Router *router,
                       const Ragged *locals, const Ragged *texts);
  void (*router_select)(const Ops *ops, Tensor kept, Tensor offsets, Tensor score, double gamma, const Ragged *locals);
  void (*cross_entropy_fwd)(const Ops *ops, Tensor loss, Tensor lse, Tensor x, Tensor w, Tensor label, Tensor work);
  void (*cross_entropy_bwd)(const Ops *ops, Tensor dx, Tensor dw, Tensor x, Tensor w, Tensor label, Tensor lse,
                            double factor, Tensor work);
  void (*sum_squares)(const Ops *ops, Tensor total, Tensor x);
  void (*adamw)(const Ops *ops, Tensor p, Tensor m, Tensor v, Tensor gradient, Tensor copy, const AdamW *rule);
};

#endif
