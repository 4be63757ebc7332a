/* kernels_peer.c: a Python process that times what it is asked for. */
#include "kernels_peer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { SECONDS = 280 }; /* for all */

/* What all share. Arguments: device, type, repeats, and for each request
 * operation:direction:sets:sizes:offsets:offsets. The first line told is torch's version; then one a request: seconds,
 * or nan, and a remark. Single quotes only: the script stands between double ones. Backward passes are autograd's of
 * the forward pass, whose graph is kept; they set gradients, where ours may add to them. */
static const char *const setting =
    "import sys, time, torch\n"
    "import torch.nn.functional as F\n"
    "try:\n"
    "    import torch._functorch.config as functorch\n"
    "    functorch.donated_buffer = False\n" /* graphs are kept: back() */
    "except Exception: pass\n"
    "device, dtype, repeats = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3])\n"
    "cuda = device == 'cuda'\n"
    "fuse = torch.compile if cuda else (lambda f: f)\n"
    "torch.empty(1, device=device)\n"
    "print('torch', torch.__version__, '' if not cuda else 'CUDA %s, cuDNN %s' % (torch.version.cuda, "
    "torch.backends.cudnn.version()), flush=True)\n"
    "class Nothing(Exception): pass\n"
    "note = ''\n"
    "def say(text):\n"
    "    global note\n"
    "    note = text\n"
    "R = lambda *s: torch.randn(*s, device=device, dtype=dtype)\n"
    "FINE = lambda *s: torch.randn(*s, device=device)\n"
    "I = lambda most, n: torch.randint(0, max(most, 1), (n,), device=device)\n"
    "def P(*s): return R(*s).requires_grad_()\n"
    "def stored(kind): return (dtype, torch.bfloat16, torch.float16)[kind]\n"
    "def back(y, inputs, dy=None):\n"
    "    dy = torch.randn_like(y) if dy is None else dy\n"
    "    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)\n"
    "def chosen(bits, inputs): return [x for i, x in enumerate(inputs) if not bits >> i & 1]\n"
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
    "    return lambda: turn(x, c, s)\n";

/* Matrix products, attention and the loss. */
static const char *const products =
    "def linear(way, n):\n"
    "    rows, width, out, add, plain = n[:5]\n"
    "    x, w, o, dy = R(rows, width), R(out, width), None if plain else R(out), R(rows, out)\n"
    "    if way != 'bwd_weight' and stored(n[5]) != dtype: raise Nothing('no product of two types')\n"
    "    if way == 'bwd_input':\n"
    "        dx = R(rows, width)\n"
    "        return (lambda: dx.addmm_(dy, w)) if add else (lambda: dy @ w)\n"
    "    if way == 'bwd_weight': return weight_gradient(x, dy, FINE(out, width), None if plain else FINE(out))\n"
    "    if not add: return lambda: F.linear(x, w, o)\n"
    "    onto = dy.addmm_ if add == 1 else (lambda *p: torch.addmm(dy, *p))\n"
    "    if plain: return lambda: onto(x, w.T)\n"
    "    say('the bias apart')\n"
    "    return lambda: onto(x, w.T).add_(o)\n"
    "def weight_gradient(x, dy, dw, db):\n"
    "    def bias():\n"
    "        if db is not None: db.add_(dy.sum(0, dtype=torch.float32))\n"
    "    def whole(): torch.addmm(dw, dy.T, x, out_dtype=torch.float32, out=dw); bias()\n"
    "    def parts(): dw.add_(dy.T @ x); bias()\n"
    "    def plain(): dw.addmm_(dy.T, x); bias()\n"
    "    if dtype == torch.float32: return plain\n"
    "    try: whole(); return whole\n"
    "    except Exception: say('the product in %s, then added' % sys.argv[2]); return parts\n"
    "def attention(n, q, k, backward):\n"
    "    rows = lambda o: [b - a for a, b in zip(o, o[1:])]\n"
    "    qs, ks = rows(q), rows(k)\n"
    "    if n[3] and any(a != b for a, b in zip(qs, ks) if a > 1): raise Nothing('causal only where queries are "
    "keys')\n"
    "    even = len(set(qs)) == 1 and len(set(ks)) == 1\n"
    "    pairs = [(len(qs), qs[0], ks[0])] if even else [(1, a, b) for a, b in zip(qs, ks) if a]\n"
    "    make = P if backward else R\n"
    "    parts = [(make(b, n[0], i, n[2]), make(b, n[1], j, n[2]), make(b, n[1], j, n[2])) for b, i, j in pairs]\n"
    "    def one(a, b, c):\n"
    "        causal = bool(n[3]) and a.shape[2] > 1\n"
    "        return F.scaled_dot_product_attention(a, b, c, is_causal=causal, enable_gqa=n[0] != n[1])\n"
    "    if len(parts) > 1: say('a call a sample')\n"
    "    if not backward: return lambda: [one(*p) for p in parts]\n"
    "    calls = [back(one(*p), p) for p in parts]\n"
    "    return lambda: [call() for call in calls]\n"
    "def loss(n, backward):\n"
    "    if stored(n[5]) != dtype: raise Nothing('no product of two types')\n"
    "    x, w, l = P(n[0], n[1]), P(n[2], n[1]), I(n[2], n[0])\n"
    "    l[2::4] = -100\n"
    "    f = lambda: F.cross_entropy((x @ w.T).float(), l, reduction='sum')\n"
    "    def both():\n"
    "        with torch.enable_grad(): return torch.autograd.grad(f(), chosen(n[4], [x, w]))\n"
    "    if backward: say('forward and backward')\n"
    "    return both if backward else f\n";

/* What stands in memory alone. */
static const char *const moves =
    "def adamw(n):\n"
    "    p = FINE(n[0], max(n[1], 1)).requires_grad_(); p.grad = torch.randn_like(p)\n"
    "    step = torch.optim.AdamW([p], fused=True).step\n"
    "    if not n[3]: return step\n"
    "    copy = torch.empty_like(p, dtype=(None, torch.bfloat16, torch.float16, dtype)[n[3]], requires_grad=False)\n"
    "    say('the copy apart')\n"
    "    def both():\n"
    "        step()\n"
    "        with torch.no_grad(): copy.copy_(p)\n"
    "    return both\n"
    "def gather(b, n):\n"
    "    i = I(n[2], n[0])\n"
    "    if b:\n"
    "        t, y = FINE(n[2], n[1]), R(n[0], n[1])\n"
    "        return lambda: t.index_add_(0, i, y.float())\n"
    "    t, y = R(n[2], n[1]).to(stored(n[4])), R(n[0], n[1])\n"
    "    if n[3]: return lambda: y.add_(F.embedding(i, t))\n"
    "    return (lambda: F.embedding(i, t)) if t.dtype == dtype else (lambda: F.embedding(i, t).to(dtype))\n"
    "def plain(n):\n"
    "    s = (n[0], n[1]) if n[1] else (n[0],)\n"
    "    return FINE(*s) if n[2] == 1 else I(1000, n[0]).int() if n[2] == 2 else R(*s)\n"
    "def norm(layer, b, n):\n"
    "    x, g, o = P(n[0], n[1]), P(n[1]), P(n[1])\n"
    "    f = lambda: F.layer_norm(x, (n[1],), g, o) if layer else F.rms_norm(x, (n[1],), g, 1e-5)\n"
    "    return back(f(), chosen(n[2], [x, g, o] if layer else [x, g])) if b else f\n";

/* A call for each operation. */
static const char *const cases =
    "def case(op, way, n, q, k):\n"
    "    b = way != 'fwd'\n"
    "    if op == 'linear': return linear(way, n)\n"
    "    if op in ('layernorm', 'rmsnorm'): return norm(op == 'layernorm', b, n)\n"
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
    "        x = FINE(n[0], max(n[1], 1)) if n[2] else R(n[0], max(n[1], 1))\n"
    "        return lambda: torch.linalg.vector_norm(x, dtype=torch.float32)\n"
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
    "    if op == 'gather': return gather(b, n)\n"
    "    if op == 'scatter':\n"
    "        kept = [i for i in range(n[0]) if i % 4 != 2]\n"
    "        y, x, i = R(n[2], n[1]), R(len(kept), n[1]), torch.tensor([n[2] - 1 - i for i in kept], device=device)\n"
    "        say('of the rows that go somewhere, chosen before')\n"
    "        return lambda: y.index_copy_(0, i, x)\n"
    "    if op == 'patches':\n"
    "        s = n[1] // n[2]; x = R(n[0], 3, s, n[2], s, n[2])\n"
    "        return lambda: x.permute(0, 2, 4, 1, 3, 5).contiguous()\n"
    "    if op == 'noisy_gate':\n"
    "        if n[2]: raise Nothing('without noise it is a copy')\n"
    "        c, r, e = P(n[0], n[1]), P(n[0], n[1]), FINE(n[0], n[1])\n"
    "        return back(gate(c, r, e), [c, r]) if b else lambda: gate(c, r, e)\n"
    "    if op == 'expert_mix':\n"
    "        z, h = FINE(n[1], n[0]).requires_grad_(), P(n[0], n[1], n[2])\n"
    "        return back(mix(z, h), chosen(n[3], [z, h])) if b else lambda: mix(z, h)\n"
    "    raise Nothing('no operation of its kind')\n";

/* Its time. */
static const char *const answers =
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
    "def timed(op, way, sets, numbers):\n"
    "    n, q, k = ([int(i) for i in part.split(',') if i] for part in numbers)\n"
    "    calls = [case(op, way, n, q, k) for i in range(int(sets))]\n"
    "    with torch.set_grad_enabled(way != 'fwd'):\n"
    "        seconds(calls, len(calls)); took = seconds(calls, len(calls))\n"
    "        count = max(1, min(250, int(5e-3 / max(took, 1e-7))))\n"
    "        return sorted(seconds(calls, count) for i in range(repeats))[repeats // 2]\n"
    "def fastest(*request):\n"
    "    from torch.nn.attention import SDPBackend as kinds, sdpa_kernel\n"
    "    times, why = [], ''\n"
    "    for name in 'CUDNN_ATTENTION', 'FLASH_ATTENTION', 'EFFICIENT_ATTENTION', 'MATH':\n"
    "        if name == 'MATH' and times: break\n"
    "        try:\n"
    "            with sdpa_kernel(getattr(kinds, name)): times.append((timed(*request), name))\n"
    "        except Nothing: raise\n"
    "        except Exception as trouble: why = trouble\n"
    "    if not times: raise why\n"
    "    say(min(times)[1] + (', ' + note if note else ''))\n"
    "    return min(times)[0]\n"
    "def answer(request):\n"
    "    op, way, sets, *numbers = request.split(':')\n"
    "    say('')\n"
    "    return (fastest if op == 'attention' else timed)(op, way, sets, numbers)\n"
    "for request in sys.argv[4:]:\n"
    "    try: print(answer(request), note, flush=True)\n"
    "    except Nothing as reason: print('nan none:', reason, flush=True)\n"
    "    except Exception as trouble:\n"
    "        print('nan', type(trouble).__name__ + ':', ' '.join(str(trouble).split())[:150], flush=True)\n"
    "    if cuda: torch.cuda.empty_cache()\n";

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
  fprintf(stream, "timeout %d python3 -c \"%s%s%s%s%s\" %s %s %d", SECONDS, setting, products, moves, cases, answers,
          cuda ? "cuda" : "cpu", bf16 ? "bfloat16" : "float32", repeats);
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

/* Text of another's into ours: one line, no control characters, cut to fit. */
static void keep_words(const char *line, char words[PEER_WORDS]) {
  size_t used = 0;
  line += strspn(line, " ");
  for (; *line && *line != '\n' && used + 1 < PEER_WORDS; line++)
    if ((unsigned char)*line >= ' ')
      words[used++] = *line;
  while (used > 0 && words[used - 1] == ' ')
    used--;
  words[used] = '\0';
}

/* "1.5e-4 the bias apart", "nan none: no operation of its kind". */
static void keep_answer(const char *line, Request *request) {
  char *end;
  double seconds = strtod(line, &end);
  request->seconds = end > line && seconds > 0.0 ? seconds : NAN;
  keep_words(end, request->how);
}

static size_t read_answers(FILE *answer, Request *requests, size_t count, char version[PEER_WORDS]) {
  char *line = NULL;
  size_t room = 0, answered = 0;
  if (getline(&line, &room, answer) > 0 && strncmp(line, "torch ", 6) == 0) {
    keep_words(line, version);
    while (answered < count && getline(&line, &room, answer) > 0)
      keep_answer(line, &requests[answered++]);
  }
  free(line);
  return answered;
}

bool peer_ask(Request *requests, size_t count, bool cuda, bool bf16, int repeats, char version[PEER_WORDS]) {
  char *line = command_of(requests, count, cuda, bf16, repeats);
  *version = '\0';
  for (size_t i = 0; i < count; i++) {
    requests[i].seconds = NAN;
    snprintf(requests[i].how, PEER_WORDS, "no answer within %d s", SECONDS);
  }
  fflush(NULL);
  FILE *answer = line ? popen(line, "r") : NULL;
  free(line);
  if (!answer)
    return false;
  size_t answered = read_answers(answer, requests, count, version);
  int how = pclose(answer);
  bool late = WIFEXITED(how) && WEXITSTATUS(how) == 124; /* timeout's */
  for (size_t i = answered; i < count && !late; i++)
    snprintf(requests[i].how, PEER_WORDS, "%s", *version ? "python3 ended before" : "no answer");
  return *version;
}
