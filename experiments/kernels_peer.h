/* kernels_peer.h: the same operations in PyTorch, on the same device, with the same shapes. */
#ifndef SEESAW_KERNELS_PEER_H
#define SEESAW_KERNELS_PEER_H

#include "cases.h"

enum { PEER_WORDS = 200 };

/* A case at a shape, and PyTorch's answer. */
typedef struct Request {
  const Case *c;
  const Shape *shape;
  size_t sets;          /* of inputs, taken in turn */
  double seconds;       /* of a call; NaN: none */
  char how[PEER_WORDS]; /* what was timed, where that says something; without seconds: why there are none */
} Request;

/* peer_ask: one Python process for all requests, with torch's fused AdamW, the fastest kind of
 * scaled_dot_product_attention, and torch.compile on a GPU where an operation is none of torch's own. It is given under
 * five minutes; what it answered until then counts. version: torch's, CUDA's and cuDNN's. False: python3 has no torch.
 */
bool peer_ask(Request *requests, size_t count, bool cuda, bool bf16, int repeats, char version[PEER_WORDS]);

#endif
