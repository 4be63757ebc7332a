/* pair.c: the pretrained pair. */
#include <stdlib.h>

#include "job.h"
#include "load.h"

typedef struct Digesting {
  const Ops *ops;
  Digest digest;
  bool full; /* memory ran out */
} Digesting;

static void digest_value(void *context, const Entry *entry) {
  Digesting *digesting = context;
  Tensor w = entry->parameter->w;
  if (entry->group != GROUP_VISION && entry->group != GROUP_DECODER)
    return;
  void *bytes = malloc(tensor_bytes(w) + 1);
  digesting->full = digesting->full || !bytes;
  if (bytes) {
    ops_read(digesting->ops, bytes, w.data, tensor_bytes(w));
    digesting->digest = digest_add(digesting->digest, bytes, tensor_bytes(w));
  }
  free(bytes);
}

static Status digest_pair(Pair *pair) {
  Digesting digesting = {.ops = pair->store.ops};
  model_walk(&pair->model, digest_value, &digesting);
  pair->digest = digesting.digest;
  return digesting.full ? status_error(STATUS_MEMORY, "not enough memory to read the pretrained pair")
                        : ops_status(pair->store.ops);
}

Status pair_open(Pair *pair, const Ops *ops, const char *folder) {
  Checkpoint checkpoint = {0};
  *pair = (Pair){0};
  TRY(config_read(folder, &pair->config));
  TRY(checkpoint_add(&checkpoint, folder));
  Status status = model_alloc(&pair->model, &pair->config);
  if (status.code == STATUS_OK)
    status = store_load(&pair->store, ops, &pair->model, &checkpoint, 0, (Fresh){0});
  checkpoint_close(&checkpoint);
  if (status.code == STATUS_OK)
    status = digest_pair(pair);
  if (status.code != STATUS_OK)
    pair_close(pair);
  return status;
}

void pair_close(Pair *pair) {
  store_free(&pair->store);
  model_free(&pair->model);
  *pair = (Pair){0};
}
