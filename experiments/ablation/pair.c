/* pair.c: the pretrained pair. */
#include "job.h"
#include "load.h"

static void digest_value(void *context, const Entry *entry) {
  Digest *digest = context;
  Tensor w = entry->parameter->w;
  if (entry->group == GROUP_VISION || entry->group == GROUP_DECODER)
    *digest = digest_add(*digest, w.data, tensor_bytes(w));
}

Status pair_open(Pair *pair, const Ops *ops, const char *folder) {
  Checkpoint checkpoint = {0};
  *pair = (Pair){0};
  TRY(config_read(folder, &pair->config));
  TRY(checkpoint_add(&checkpoint, folder));
  Status status = model_alloc(&pair->model, &pair->config);
  if (status.code == STATUS_OK)
    status = store_load(&pair->store, ops, &pair->model, &checkpoint, 0);
  checkpoint_close(&checkpoint);
  if (status.code == STATUS_OK)
    model_walk(&pair->model, digest_value, &pair->digest);
  else
    pair_close(pair);
  return status;
}

void pair_close(Pair *pair) {
  store_free(&pair->store);
  model_free(&pair->model);
  *pair = (Pair){0};
}
