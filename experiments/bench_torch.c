/* bench_torch.c: the peer: the same model in PyTorch, not compiled.
 *
 * Rows of all samples lie one behind the other, as here; attention alone is of a batch padded at the end, where a
 * causal mask needs no other. Of three ways to lay the rows out this one and padding everything were equally fast
 * within their spread, an attention a conversation slower; so were fused, foreach and plain AdamW. Indices, all but
 * those that the router's choice changes, are made before the clock starts. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

/* What all share: the first argument is the number of threads. */
static const char *const common =
    "import json, sys, time, torch\n"
    "import torch.nn.functional as F\n"
    "torch.manual_seed(1)\n"
    "torch.set_num_threads(int(sys.argv[1]))\n"
    "def new(moves, *s): return torch.nn.Parameter(torch.randn(*s) * 0.02, requires_grad=bool(moves))\n"
    "def rms(x, g): return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * g\n"
    "def decoder(moves, c):\n"
    "    w, d, h = c['width'], c['head'], c['heads'] + 2 * c['kv']\n"
    "    return [dict(n1=new(moves, w), n2=new(moves, w), qkv=new(moves, h * d, w), o=new(moves, w, c['heads'] * d),\n"
    "                 gu=new(moves, 2 * c['mlp'], w), dn=new(moves, w, c['mlp'])) for i in range(c['layers'])]\n"
    "def rotary(n, d):\n"
    "    a = torch.outer(torch.arange(n).float(), 10000.0 ** (-torch.arange(0, d, 2).float() / d))\n"
    "    return [torch.cat([f, f], 1)[:, None] for f in (a.cos(), a.sin())]\n"
    "def turn(x, cos, sin):\n"
    "    h = x.shape[-1] // 2\n"
    "    return x * cos + torch.cat([-x[..., h:], x[..., :h]], -1) * sin\n"
    "def layout(owner, count):\n"
    "    n = torch.bincount(owner, minlength=count)\n"
    "    place = torch.arange(len(owner)) - (n.cumsum(0) - n)[owner]\n"
    "    return count, int(n.max()), place, owner * int(n.max()) + place\n"
    "def decode(x, layers, c, rotation, where):\n"
    "    count, most, position, place = where\n"
    "    h, kv, d, n = c['heads'], c['kv'], c['head'], len(x)\n"
    "    cos, sin = (t[position] for t in rotation)\n"
    "    for l in layers:\n"
    "        qk, v = F.linear(rms(x, l['n1']), l['qkv']).split([(h + kv) * d, kv * d], 1)\n"
    "        qkv = torch.cat([turn(qk.view(n, -1, d), cos, sin).view(n, -1), v], 1)\n"
    "        qkv = torch.zeros(count * most, qkv.shape[1]).index_copy(0, place, qkv).view(count, most, -1, d)\n"
    "        q, k, v = (t.transpose(1, 2) for t in qkv.split([h, kv, kv], 2))\n"
    "        o = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=kv < h)\n"
    "        x = x + F.linear(o.transpose(1, 2).reshape(count * most, -1).index_select(0, place), l['o'])\n"
    "        g, u = F.linear(rms(x, l['n2']), l['gu']).chunk(2, -1)\n"
    "        x = x + F.linear(F.silu(g) * u, l['dn'])\n"
    "    return x\n"
    "def median(f):\n"
    "    f(); t = []\n"
    "    for i in range(7):\n"
    "        s = time.perf_counter(); f(); t.append(time.perf_counter() - s)\n"
    "    return sorted(t)[3]\n";

/* Forward of a decoder over random tokens, and with its backward. */
static const char *const passes =
    "names = 'width mlp layers heads kv head vocabulary count text answer train'.split()\n"
    "c = dict(zip(names, map(int, sys.argv[2:])))\n"
    "moves, vocabulary, answer = c['train'], c['vocabulary'], c['answer']\n"
    "layers, rotation = decoder(moves, c), rotary(c['text'], c['head'])\n"
    "emb, head, norm = (new(moves, *s) for s in ((vocabulary, c['width']), (vocabulary, c['width']), (c['width'],)))\n"
    "lengths = [c['text'] - (0, 2, 1)[i % 3] for i in range(c['count'])]\n"
    "ids = torch.randint(0, vocabulary, (sum(lengths),))\n"
    "where = layout(torch.repeat_interleave(torch.arange(c['count']), torch.tensor(lengths)), c['count'])\n"
    "last = torch.cat([torch.arange(answer) + sum(lengths[:i + 1]) - answer - 1 for i in range(c['count'])])\n"
    "def forward():\n"
    "    x = decode(F.embedding(ids, emb), layers, c, rotation, where)\n"
    "    return F.cross_entropy(F.linear(rms(x.index_select(0, last), norm), head), ids[last + 1])\n"
    "with torch.no_grad(): fwd = median(forward)\n"
    "print(fwd, median(lambda: forward().backward()) if moves else float('nan'))\n";

/* A step: the parameters, and pictures' features to tokens; */
static const char *const bridges =
    "c = json.load(open(sys.argv[2]))\n"
    "S, W, C, patches = c['samples'], c['width'], c['features'], c['patches']\n"
    "globally, locally = c['views'] & 1, c['views'] & 2\n"
    "B, side = len(S), int(c['local_queries'] ** 0.5)\n"
    "def former(moves, q):\n"
    "    return dict(q=new(moves, q, C), inw=new(moves, 3 * C, C), inb=new(moves, 3 * C), ow=new(moves, C, C),\n"
    "                ob=new(moves, C), g=new(moves, 3, C), b=new(moves, 3, C), pos=new(0, q, C), kpos=new(0, patches, "
    "C))\n"
    "A, K, D = c['adapter'], c['compression'], c['decoder']\n"
    "f_global, f_local = former(A, c['global_queries']), former(K, c['local_queries'])\n"
    "mlp = dict(w1=new(A, W, C), b1=new(A, W), w2=new(A, W, W), b2=new(A, W), gate=new(A, 2, C))\n"
    "top = dict(emb=new(D, c['vocabulary'], W), norm=new(D, W))\n"
    "emb, layers, rotation = top['emb'], decoder(D, c), rotary(2048, c['head'])\n"
    "def normed(f, i, x): return F.layer_norm(x, (C,), f['g'][i], f['b'][i], 1e-6)\n"
    "def look(f, x):\n"
    "    heads = lambda t: t.view(len(t), -1, C // c['former_head'], c['former_head']).transpose(1, 2)\n"
    "    (wq, wk, wv), (bq, bk, bv), y = f['inw'].chunk(3), f['inb'].chunk(3), normed(f, 1, x)\n"
    "    q = heads(F.linear(normed(f, 0, f['q']) + f['pos'], wq, bq)[None]).expand(len(x), -1, -1, -1)\n"
    "    o = F.scaled_dot_product_attention(q, heads(F.linear(y + f['kpos'], wk, bk)), heads(F.linear(y, wv, bv)))\n"
    "    return normed(f, 2, F.linear(o.transpose(1, 2).reshape(len(x), -1, C), f['ow'], f['ob']))\n"
    "def through(x): return F.linear(F.gelu(F.linear(x, mlp['w1'], mlp['b1'])), mlp['w2'], mlp['b2'])\n"
    "def mixture(x):\n"
    "    a, b = through(torch.stack([x, look(f_global, x)])).unbind(0)\n"
    "    z = F.linear(x, mlp['gate'])\n"
    "    s = torch.softmax(z + torch.randn_like(z) * (F.softplus(z) + 1e-2), -1) / (1 + 1e-6)\n"
    "    return s[..., :1] * a + s[..., 1:] * b\n";

/* the batch's rows and the router's choice among them; forward, backward, clip, AdamW. */
static const char *const steps =
    "tiles = [s['columns'] * s['rows'] for s in S]\n"
    "X, T = torch.randn(B, patches, C), torch.randn(sum(tiles), patches, C)\n"
    "texts = torch.tensor([i for s in S for i in s['ids'] if i >= 0] + [c['separator']])\n"
    "asker = torch.tensor([i for i, s in enumerate(S) for t in s['ids'] if t >= 0])\n"
    "first_local = len(texts) + (B * patches if globally else 0)\n"
    "source, label, owner, at = [], [], [], 0\n"
    "for i, s in enumerate(S):\n"
    "    picture = [len(texts) + i * patches + p for p in range(patches)] if globally else []\n"
    "    if globally and locally: picture.append(len(texts) - 1)\n"
    "    across = s['columns'] * side\n"
    "    for p in range(tiles[i] * side * side if locally else 0):\n"
    "        y, x = divmod(p, across)\n"
    "        tile = sum(tiles[:i]) + y // side * s['columns'] + x // side\n"
    "        picture.append(first_local + tile * side * side + y % side * side + x % side)\n"
    "    for t, l in zip(s['ids'], s['labels']):\n"
    "        rows = [at] if t >= 0 else picture\n"
    "        at += t >= 0\n"
    "        source, owner = source + rows, owner + [i] * len(rows)\n"
    "        label += [l if t >= 0 else -1] * len(rows)\n"
    "source, label, owner = map(torch.tensor, (source, label, owner))\n"
    "is_local = source >= first_local\n"
    "local_rows, local_owner = source[is_local] - first_local, owner[is_local]\n"
    "_, most, _, local_place = layout(local_owner, B) if locally else [0] * 4\n"
    "def route(local):\n"
    "    want = torch.zeros(B, W).index_add_(0, asker, F.normalize(emb[texts[:-1]], dim=-1))\n"
    "    score = (F.normalize(local, dim=-1) * want[local_owner]).sum(-1)\n"
    "    score += 0.1 * torch.randn_like(score)\n"
    "    share = torch.full((B * most,), -torch.inf).index_copy_(0, local_place, score).view(B, most).softmax(-1)\n"
    "    best, order = share.sort(-1, descending=True)\n"
    "    kept = best.cumsum(-1) - best < c['gamma']\n"
    "    keep = torch.ones(len(source), dtype=torch.bool)\n"
    "    keep[is_local] = torch.zeros(B, most, dtype=torch.bool).scatter_(1, order, kept).view(-1)[local_place]\n"
    "    return keep\n"
    "def shown(keep):\n"
    "    o, l = owner[keep], label[keep]\n"
    "    last = ((l[1:] >= 0) & (o[1:] == o[:-1])).nonzero()[:, 0]\n"
    "    return source[keep], layout(o, B), last, l[last + 1]\n"
    "everything = shown(torch.ones(len(source), dtype=torch.bool))\n"
    "def forward():\n"
    "    parts, rows = [F.embedding(texts, emb)], everything\n"
    "    if globally: parts.append(mixture(X).view(-1, W))\n"
    "    if locally:\n"
    "        parts.append(through(look(f_local, T)).view(-1, W))\n"
    "        if c['gamma'] < 1:\n"
    "            with torch.no_grad(): rows = shown(route(parts[-1][local_rows]))\n"
    "    src, where, last, target = rows\n"
    "    x = decode(torch.cat(parts).index_select(0, src), layers, c, rotation, where)\n"
    "    return F.cross_entropy(F.linear(rms(x.index_select(0, last), top['norm']), emb), target)\n"
    "moving = [p for f in [f_global, f_local, mlp, top] + layers for p in f.values() if p.requires_grad]\n"
    "optimiser = torch.optim.AdamW(moving, lr=1e-3, weight_decay=0.0, fused=True)\n"
    "def step():\n"
    "    optimiser.zero_grad(set_to_none=True)\n"
    "    forward().backward()\n"
    "    torch.nn.utils.clip_grad_norm_(moving, 1.0, foreach=True)\n"
    "    optimiser.step()\n"
    "print(median(step))\n";

/* The numbers that a script prints; those it does not are not numbers. */
static void ask(const char *first, const char *second, int threads, double *answers, size_t count, const char *format,
                ...) __attribute__((format(printf, 6, 7)));

static void ask(const char *first, const char *second, int threads, double *answers, size_t count, const char *format,
                ...) {
  char *command, *arguments;
  va_list list;
  for (size_t i = 0; i < count; i++)
    answers[i] = NAN;
  va_start(list, format);
  int size = vasprintf(&arguments, format, list);
  va_end(list);
  if (size < 0)
    return;
  size = asprintf(&command, "OMP_NUM_THREADS=%d timeout 120 python3 -c \"%s%s%s\" %d %s 2>/dev/null", threads, common,
                  first, second, threads, arguments);
  free(arguments);
  if (size < 0)
    return;
  fflush(NULL);
  FILE *stream = popen(command, "r");
  free(command);
  for (size_t i = 0; stream && i < count && fscanf(stream, "%lf", &answers[i]) == 1; i++)
    continue;
  if (stream)
    pclose(stream);
}

void torch_decoder(const DecoderConfig *c, const SyntheticPlan *p, bool trained, int threads, double *forward,
                   double *step) {
  double answers[2];
  ask(passes, "", threads, answers, 2, "%zu %zu %zu %zu %zu %zu %zu %zu %zu %zu %d", c->width, c->mlp, c->layers,
      c->heads, c->kv_heads, c->head, c->vocabulary, p->count, p->text, p->answer, trained);
  *forward = answers[0];
  *step = answers[1];
}

double torch_step(const char *path, int threads) {
  double seconds;
  ask(bridges, steps, threads, &seconds, 1, "'%s'", path);
  return seconds;
}
