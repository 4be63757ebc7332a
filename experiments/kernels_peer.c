/* kernels_peer.c: a Python process that times what it is asked for. */
#include "kernels_peer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arguments: device, type, repeats, and for each request operation:direction:sets:sizes:offsets:offsets. One line each:
 * seconds, or nan. Single quotes only: the script stands between double ones. Backward passes are autograd's of the
 * forward pass, whose graph is kept. */
static const char *const functions =
    "import sys, time, torch\n"
    "import torch.nn.functional as F\n"
    "device, dtype, repeats = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3])\n"
    "cuda = device == 'cuda'\n"
    "fuse = torch.compile if cuda else (lambda f: f)\n"
    "R = lambda *s: torch.randn(*s, device=device, dtype=dtype)\n"
    "FINE = lambda *s: torch.randn(*s, device=device)\n"
    "I = lambda most, n: torch.randint(0, max(most, 1), (n,), device=device)\n"
    "def P(*s): return R(*s).requires_grad_()\n"
    "def back(y, inputs, dy=None):\n"
    "    dy = torch.randn_like(y) if dy is None else dy\n"
    "    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)\n"
    "quick = fuse(lambda x: x * torch.sigmoid(1.702 * x))\n"
    "def swiglu(x):\n"
    "    g, u = x.chunk(2, -1)\n"
    "    return F.silu(g) * u\n"
    "swiglu = fuse(swiglu)\n"
    "gate = fuse(lambda c, r, e: c + e * (F.softplus(r) + 1e-2))\n"
    "mix = fuse(lambda z, h: (torch.softmax(z, -1).T[:, :, None] * h).sum(0).to(h.dtype))\n"
    "def turn(x, c, s):\n"
    "    a, b = x.chunk(2, -1)\n"
    "    return torch.cat([a * c - b * s, b * c + a * s], -1)\n"
    "turn = fuse(turn)\n"
    "def rope(n):\n"
    "    angle = torch.rand(n[0], 1, n[2] // 2, device=device) * 100\n"
    "    x, c, s = R(n[0], n[1], n[2]), angle.cos().to(dtype), angle.sin().to(dtype)\n"
    "    return lambda: turn(x, c, s)\n"
    "def attention(n, q, k, backward):\n"
    "    rows = lambda o: [b - a for a, b in zip(o, o[1:])]\n"
    "    qs, ks = rows(q), rows(k)\n"
    "    even = len(set(qs)) == 1 and len(set(ks)) == 1\n"
    "    pairs = [(len(qs), qs[0], ks[0])] if even else [(1, a, b) for a, b in zip(qs, ks) if a]\n"
    "    make = P if backward else R\n"
    "    parts = [(make(b, n[0], i, n[2]), make(b, n[1], j, n[2]), make(b, n[1], j, n[2])) for b, i, j in pairs]\n"
    "    def one(a, b, c):\n"
    "        causal = bool(n[3]) and a.shape[2] > 1\n"
    "        return F.scaled_dot_product_attention(a, b, c, is_causal=causal, enable_gqa=n[0] != n[1])\n"
    "    if not backward: return lambda: [one(*p) for p in parts]\n"
    "    calls = [back(one(*p), p) for p in parts]\n"
    "    return lambda: [call() for call in calls]\n"
    "def loss(n, backward):\n"
    "    x, w, l = P(n[0], n[1]), P(n[2], n[1]), I(n[2], n[0])\n"
    "    f = lambda: F.cross_entropy((x @ w.T).float(), l, reduction='sum')\n"
    "    def both():\n"
    "        with torch.enable_grad(): return torch.autograd.grad(f(), [x] if n[4] & 2 else [x, w])\n"
    "    return both if backward else f\n"
    "def adamw(n):\n"
    "    p = FINE(n[0], max(n[1], 1)).requires_grad_(); p.grad = torch.randn_like(p)\n"
    "    return torch.optim.AdamW([p], fused=True).step\n";

static const char *const answers =
    "def plain(n): return R(n[0], max(n[1], 1))\n"
    "def case(op, way, n, q, k):\n"
    "    b = way != 'fwd'\n"
    "    if op == 'linear':\n"
    "        x, w, y, o = R(n[0], n[1]), R(n[2], n[1]), R(n[0], n[2]), None if n[4] else R(n[2])\n"
    "        if way == 'fwd': return lambda: F.linear(x, w, o)\n"
    "        if way == 'bwd_input': return lambda: y @ w\n"
    "        return lambda: (y.T @ x, None if n[4] else y.sum(0))\n"
    "    if op in ('layernorm', 'rmsnorm'):\n"
    "        x, g, o = P(n[0], n[1]), P(n[1]), P(n[1])\n"
    "        layer = op == 'layernorm'\n"
    "        f = lambda: F.layer_norm(x, (n[1],), g, o) if layer else F.rms_norm(x, (n[1],), g, 1e-5)\n"
    "        return back(f(), [x, g, o] if layer else [x, g]) if b else f\n"
    "    if op == 'activation':\n"
    "        x = P(n[0], n[1]); f = (lambda: quick(x)) if n[2] else (lambda: F.gelu(x))\n"
    "        return back(f(), [x]) if b else f\n"
    "    if op == 'swiglu':\n"
    "        x = P(n[0], 2 * n[1]); return back(swiglu(x), [x]) if b else lambda: swiglu(x)\n"
    "    if op == 'rope': return rope(n)\n"
    "    if op == 'attention': return attention(n, q, k, b)\n"
    "    if op == 'cross_entropy': return loss(n, b)\n"
    "    if op == 'adamw': return adamw(n)\n"
    "    if op == 'sum_squares':\n"
    "        x = FINE(n[0], max(n[1], 1)); return lambda: torch.linalg.vector_norm(x)\n"
    "    if op == 'copy':\n"
    "        x, y = plain(n), plain(n); return lambda: y.copy_(x)\n"
    "    if op == 'add':\n"
    "        x, y = plain(n), plain(n); return lambda: y.add_(x)\n"
    "    if op == 'scale':\n"
    "        y = plain(n); return lambda: y.mul_(-1.3)\n"
    "    if op == 'zero':\n"
    "        y = plain(n); return lambda: y.zero_()\n"
    "    if op == 'normal_fill':\n"
    "        y = plain(n); return lambda: y.normal_()\n"
    "    if op == 'gather':\n"
    "        t, i, y = R(n[2], n[1]), I(n[2], n[0]), R(n[0], n[1])\n"
    "        return (lambda: t.index_add_(0, i, y)) if b else (lambda: F.embedding(i, t))\n"
    "    if op == 'scatter':\n"
    "        y, x, i = R(n[2], n[1]), R(n[0], n[1]), torch.randperm(n[2], device=device)[:n[0]]\n"
    "        return lambda: y.index_copy_(0, i, x)\n"
    "    if op == 'patches':\n"
    "        s = n[1] // n[2]; x = R(n[0], 3, s, n[2], s, n[2])\n"
    "        return lambda: x.permute(0, 2, 4, 1, 3, 5).contiguous()\n"
    "    if op == 'noisy_gate':\n"
    "        c, r, e = P(n[0], n[1]), P(n[0], n[1]), FINE(n[0], n[1])\n"
    "        return back(gate(c, r, e), [c, r]) if b else lambda: gate(c, r, e)\n"
    "    if op == 'expert_mix':\n"
    "        z, h = FINE(n[1], n[0]).requires_grad_(), P(n[0], n[1], n[2])\n"
    "        return back(mix(z, h), [z, h]) if b else lambda: mix(z, h)\n"
    "def seconds(calls, count):\n"
    "    if not cuda:\n"
    "        began = time.perf_counter()\n"
    "        for i in range(count): calls[i % len(calls)]()\n"
    "        return (time.perf_counter() - began) / count\n"
    "    a, b = (torch.cuda.Event(enable_timing=True) for i in range(2))\n"
    "    torch.cuda._sleep(100000 * count)\n" /* 50 us a call at 2 GHz: the device waits for the host, as for us */
    "    a.record()\n"
    "    for i in range(count): calls[i % len(calls)]()\n"
    "    b.record(); torch.cuda.synchronize()\n"
    "    return a.elapsed_time(b) / 1e3 / count\n"
    "def answer(request):\n"
    "    op, way, sets, *numbers = request.split(':')\n"
    "    n, q, k = ([int(i) for i in part.split(',') if i] for part in numbers)\n"
    "    calls = [case(op, way, n, q, k) for i in range(int(sets))]\n"
    "    if calls[0] is None: return float('nan')\n"
    "    with torch.set_grad_enabled(way != 'fwd'):\n"
    "        seconds(calls, len(calls)); took = seconds(calls, len(calls))\n"
    "        count = max(1, min(250, int(5e-3 / max(took, 1e-7))))\n"
    "        return sorted(seconds(calls, count) for i in range(repeats))[repeats // 2]\n"
    "for request in sys.argv[4:]:\n"
    "    try: print(answer(request), flush=True)\n"
    "    except Exception: print('nan', flush=True)\n";

static void print_offsets(FILE *stream, const Shape *shape, const int32_t *offsets) {
  fprintf(stream, ":");
  for (size_t i = 0; offsets && i <= shape->samples; i++)
    fprintf(stream, "%s%d", i ? "," : "", offsets[i]);
}

static char *command_of(const Request *requests, size_t count, bool cuda, bool bf16, int repeats) {
  char *line = NULL;
  size_t size;
  FILE *stream = open_memstream(&line, &size);
  if (!stream)
    return NULL;
  fprintf(stream, "timeout 900 python3 -c \"%s%s\" %s %s %d", functions, answers, cuda ? "cuda" : "cpu",
          bf16 ? "bfloat16" : "float32", repeats);
  for (size_t i = 0; i < count; i++) {
    const Request *r = &requests[i];
    fprintf(stream, " %s:%s:%zu:", r->c->operation, r->c->direction, r->sets);
    for (size_t k = 0; k < SIZES_MOST; k++)
      fprintf(stream, "%s%zu", k ? "," : "", r->shape->n[k]);
    print_offsets(stream, r->shape, r->shape->first);
    print_offsets(stream, r->shape, r->shape->second);
  }
  fprintf(stream, " 2>/dev/null");
  if (fclose(stream) == 0)
    return line;
  free(line);
  return NULL;
}

bool peer_ask(Request *requests, size_t count, bool cuda, bool bf16, int repeats) {
  size_t answered = 0;
  char *line = command_of(requests, count, cuda, bf16, repeats);
  for (size_t i = 0; i < count; i++)
    requests[i].seconds = NAN;
  fflush(NULL);
  FILE *answer = line ? popen(line, "r") : NULL;
  free(line);
  if (!answer)
    return false;
  while (answered < count && fscanf(answer, "%lf", &requests[answered].seconds) == 1)
    answered++;
  pclose(answer);
  return answered > 0;
}
