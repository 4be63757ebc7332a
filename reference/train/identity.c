/* identity.c: all that the result of a phase depends on, as text. */
#include "identity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

typedef struct Digesting {
  const Ops *ops;
  StoreDigests digests;
} Digesting;

static void add(Digest *digest, Tensor piece) {
  *digest = digest_add(*digest, piece.data, tensor_bytes(piece));
}

/* In pieces of as many numbers, whatever their type. */
static void digest_entry(void *context, const Entry *entry) {
  enum { PIECE = 1 << 14 };
  Digesting *digesting = context;
  StoreDigests *digests = &digesting->digests;
  Tensor w = entry->parameter->w;
  double room[PIECE];
  uint16_t rounded[PIECE];
  size_t count = tensor_count(w), each = dtype_bits(w.dtype) / 8;
  digests->exact = digest_add(digests->exact, entry->name, strlen(entry->name));
  digests->rounded = digest_add(digests->rounded, entry->name, strlen(entry->name));
  for (size_t first = 0; first < count; first += PIECE) {
    Tensor piece = tensor_1(room, w.dtype, count - first < PIECE ? count - first : PIECE);
    Tensor to = tensor_1(rounded, DTYPE_BF16, piece.size[0]);
    ops_read(digesting->ops, room, (unsigned char *)w.data + first * each, tensor_bytes(piece));
    for (size_t i = 0; i < piece.size[0]; i++)
      tensor_set(to, i, tensor_get(piece, i));
    add(&digests->exact, piece);
    add(&digests->rounded, to);
  }
}

StoreDigests store_digests(const Store *store) {
  Digest nothing = digest_of("", 0);
  Digesting digesting = {.ops = store->ops, .digests = {nothing, nothing}};
  model_walk(store->model, digest_entry, &digesting);
  return digesting.digests;
}

/* What config_print leaves out, or rounds. */
static void print_rest(FILE *stream, const ModelConfig *config) {
  const Switches *s = &config->switches;
  const double reals[] = {config->vision.epsilon, config->decoder.theta, config->decoder.epsilon,
                          config->lora_alpha,     s->gate_floor,         s->gate_epsilon,
                          s->router_noise,        s->router_temperature, s->gamma};
  char number[NUMBER_ROOM];
  fprintf(stream,
          "more      quick %d, head %zu, tied %d, former heads of %zu, LoRA of rank %zu, separator %d, half %d;",
          config->vision.quick, config->decoder.head, config->decoder.tied, config->former_head, config->lora_rank,
          config->separator_token, s->positions_half);
  for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
    number_print(reals[i], number);
    fprintf(stream, " %s", number);
  }
  fputc('\n', stream);
}

static void print(FILE *stream, const TrainPlan *plan, const char *phase) {
  char digits[2 * DIGEST_SIZE + 1], device[OPS_ROOM];
  fprintf(stream, "%sconversations = %zu\nfeatures = %s\nseed = %" PRIu64 "\ntype = %s\n", phase, plan->feed->count,
          plan->features ? "kept" : "as they come", plan->seed, ops_print(plan->store->ops, device));
  config_print(&plan->store->model->config, stream);
  print_rest(stream, &plan->store->model->config);
  StoreDigests start = store_digests(plan->store);
  fprintf(stream, "start = %s\n", digest_print(start.exact, digits));
  fprintf(stream, "start in BF16 = %s\n", digest_print(start.rounded, digits));
}

Status identity_of(const TrainPlan *plan, char **text) {
  if (plan->identity) {
    *text = strdup(plan->identity);
    return *text ? status_ok() : status_error(STATUS_MEMORY, "not enough memory for the description of a run");
  }
  char *phase = phase_print(plan->phase);
  size_t size;
  *text = NULL;
  FILE *stream = phase ? open_memstream(text, &size) : NULL;
  bool whole = stream != NULL;
  if (stream) {
    print(stream, plan, phase);
    whole = !ferror(stream);
    whole = fclose(stream) == 0 && whole;
  }
  free(phase);
  if (whole)
    return status_ok();
  free(*text);
  *text = NULL;
  return status_error(STATUS_MEMORY, "not enough memory for the description of a run");
}
