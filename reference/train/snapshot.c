/* snapshot.c: the state of a phase as a safetensors file. */
#include "snapshot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "safetensors.h"

/* ---- tensors of the file ---- */

enum { KINDS = 3, NAME_MOST = 256 }; /* values, m, v */

/* All tensors of a snapshot, in the optimiser's order: of each slot its values, and with moments m and v. */
typedef struct Parts {
  const Snapshot *snapshot;
  size_t slots;          /* tensors of the optimiser's slots; behind them come the snapshot's others */
  size_t count, largest; /* tensors; bytes of the largest */
  NamedTensor *tensors;
  char (*names)[NAME_MOST];
  unsigned char *raw, *turned; /* one tensor as the backend has it, and as the file does */
} Parts;

static size_t kinds(const Snapshot *snapshot) {
  return snapshot->moments ? KINDS : 1;
}

/* NULL of a tensor that is not the optimiser's. */
static const Slot *slot_of(const Parts *parts, size_t i) {
  return i < parts->slots ? &parts->snapshot->optimiser->slots[i / kinds(parts->snapshot)] : NULL;
}

static bool is_transposed(const Parts *parts, size_t i) {
  return i < parts->slots && slot_of(parts, i)->entry.transposed;
}

static Tensor tensor_of(const Parts *parts, size_t i) {
  const Slot *slot = slot_of(parts, i);
  if (!slot)
    return parts->snapshot->others[i - parts->slots].tensor;
  size_t kind = i % kinds(parts->snapshot);
  return kind == 0 ? slot->p : kind == 1 ? slot->m : slot->v;
}

static void parts_free(Parts *parts) {
  free(parts->tensors);
  free(parts->names);
  free(parts->raw);
  free(parts->turned);
}

static NamedTensor name_other(const Parts *parts, size_t i) {
  const NamedTensor *other = &parts->snapshot->others[i];
  Tensor shape = other->tensor;
  shape.data = NULL;
  snprintf(parts->names[parts->slots + i], NAME_MOST, "%s", other->name);
  return named_tensor(parts->names[parts->slots + i], shape);
}

static Status parts_make(Parts *parts, const Snapshot *snapshot) {
  static const char *const ends[KINDS] = {"", ".m", ".v"};
  const Optimiser *optimiser = snapshot->optimiser;
  *parts = (Parts){.snapshot = snapshot, .slots = optimiser->count * kinds(snapshot)};
  parts->count = parts->slots + snapshot->other_count;
  for (size_t i = 0; i < parts->count; i++) {
    size_t bytes = tensor_bytes(tensor_of(parts, i));
    parts->largest = bytes > parts->largest ? bytes : parts->largest;
  }
  parts->tensors = calloc(parts->count + 1, sizeof *parts->tensors);
  parts->names = calloc(parts->count + 1, sizeof *parts->names);
  parts->raw = malloc(parts->largest + 1);
  parts->turned = malloc(parts->largest + 1);
  if (!parts->tensors || !parts->names || !parts->raw || !parts->turned) {
    parts_free(parts);
    return status_error(STATUS_MEMORY, "not enough memory for a checkpoint");
  }
  for (size_t i = 0; i < snapshot->other_count; i++)
    parts->tensors[parts->slots + i] = name_other(parts, i);
  for (size_t i = 0; i < parts->slots; i++) {
    const Entry *entry = &slot_of(parts, i)->entry;
    snprintf(parts->names[i], NAME_MOST, "%s%s", entry->name, ends[i % kinds(snapshot)]);
    Tensor shape = tensor_make(NULL, tensor_of(parts, i).dtype, entry->rank, entry->size);
    parts->tensors[i] = named_tensor(parts->names[i], shape);
  }
  return status_ok();
}

/* Rows become columns: `rows` of `columns` numbers at `from`. */
static void turn(unsigned char *to, const unsigned char *from, size_t rows, size_t columns, size_t each) {
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++)
      memcpy(to + (j * rows + i) * each, from + (i * columns + j) * each, each);
}

/* Tensor i as the file has it; nothing of what a device's fault left behind. */
static Status read_part(const Parts *parts, size_t i, const void **data) {
  const Ops *ops = parts->snapshot->optimiser->store->ops;
  Tensor tensor = tensor_of(parts, i);
  ops_read(ops, parts->raw, tensor.data, tensor_bytes(tensor));
  if (is_transposed(parts, i))
    turn(parts->turned, parts->raw, tensor.size[0], tensor_width(tensor), dtype_bits(tensor.dtype) / 8);
  *data = is_transposed(parts, i) ? parts->turned : parts->raw;
  return ops_status(ops);
}

/* And back, from the file's numbers. */
static void write_part(const Parts *parts, size_t i, const void *from) {
  Tensor tensor = tensor_of(parts, i);
  size_t each = dtype_bits(tensor.dtype) / 8;
  bool transposed = is_transposed(parts, i);
  const Slot *slot = slot_of(parts, i);
  const Store *store = parts->snapshot->optimiser->store;
  if (transposed)
    turn(parts->turned, from, tensor_width(tensor), tensor.size[0], each);
  ops_write(store->ops, tensor.data, transposed ? parts->turned : from, tensor_bytes(tensor));
  if (slot && tensor.data == slot->p.data && slot_copy(slot).data)
    store_convert(store, slot->w, slot->p);
}

static Digest add_part(Digest so_far, const Parts *parts, size_t i, const void *data) {
  so_far = digest_add(so_far, parts->names[i], strlen(parts->names[i]));
  return digest_add(so_far, data, tensor_bytes(tensor_of(parts, i)));
}

/* ---- saving ---- */

static Status check_finite(const Parts *parts, size_t i, const void *data) {
  Tensor tensor = tensor_of(parts, i);
  tensor = tensor_1((void *)data, tensor.dtype, tensor_count(tensor));
  const Slot *slot = slot_of(parts, i);
  for (size_t j = 0; j < tensor.size[0]; j++)
    if (!isfinite(tensor_get(tensor, j)))
      return status_error(STATUS_NUMERICS, "group %s holds numbers that are not finite, in %s",
                          slot ? group_name(slot->entry.group) : "none", parts->names[i]);
  return status_ok();
}

static Status digest_parts(const Parts *parts, Digest *digest) {
  *digest = digest_of("", 0);
  for (size_t i = 0; i < parts->count; i++) {
    const void *data;
    TRY(read_part(parts, i, &data));
    TRY(check_finite(parts, i, data));
    *digest = add_part(*digest, parts, i, data);
  }
  return status_ok();
}

Status snapshot_digest(const Snapshot *snapshot, Digest *digest) {
  Parts parts;
  TRY(parts_make(&parts, snapshot));
  Status status = digest_parts(&parts, digest);
  parts_free(&parts);
  return status;
}

static Status fetch(void *context, const NamedTensor *wanted, const void **data) {
  const Parts *parts = context;
  size_t i = 0;
  while (strcmp(parts->names[i], wanted->name) != 0)
    i++;
  return read_part(parts, i, data);
}

/* The metadata's texts. */
static const char *const notes_key = "notes";
enum { PAIRS = 14, TEXT_MOST = 32 * GROUP_COUNT };

typedef struct Notes {
  TextPair pairs[PAIRS];
  char texts[PAIRS][TEXT_MOST];
  size_t count;
} Notes;

static void note(Notes *notes, const char *key, const char *value) {
  notes->pairs[notes->count++] = (TextPair){key, value};
}

static void note_integer(Notes *notes, const char *key, uint64_t value) {
  snprintf(notes->texts[notes->count], TEXT_MOST, "%" PRIu64, value);
  note(notes, key, notes->texts[notes->count]);
}

static void note_real(Notes *notes, const char *key, double value) {
  number_print(value, notes->texts[notes->count]);
  note(notes, key, notes->texts[notes->count]);
}

/* The last one of a list of devices. */
static const char *last_device(const char *devices) {
  const char *last = devices;
  for (const char *comma = devices; (comma = strchr(comma, ',')); last = comma)
    comma += 2;
  return last;
}

/* The oldest of too many are left out. */
static void add_device(char devices[DEVICES_ROOM], const Ops *ops) {
  char device[OPS_ROOM];
  size_t used = strlen(devices);
  if (strcmp(last_device(devices), ops_print(ops, device)) == 0)
    return;
  if (used + OPS_ROOM + 2 > DEVICES_ROOM)
    used = (size_t)snprintf(devices, DEVICES_ROOM, "...");
  snprintf(devices + used, DEVICES_ROOM - used, "%s%s", used > 0 ? ", " : "", device);
}

/* "0 12 12 12 0 0 0": how often each group has moved. */
static void note_group_steps(Notes *notes, const Optimiser *optimiser) {
  char *text = notes->texts[notes->count];
  size_t used = 0;
  for (int group = 0; group < GROUP_COUNT; group++)
    used +=
        (size_t)snprintf(text + used, TEXT_MOST - used, "%s%" PRIu64, group > 0 ? " " : "", optimiser->steps[group]);
  note(notes, "group_steps", text);
}

/* Of all pairs but the one that holds this digest. */
static Digest digest_notes(const TextPair *pairs, size_t count) {
  Digest digest = digest_of("", 0);
  for (size_t i = 0; i < count; i++)
    if (strcmp(pairs[i].key, notes_key) != 0) {
      digest = digest_add(digest, pairs[i].key, strlen(pairs[i].key));
      digest = digest_add(digest, pairs[i].value, strlen(pairs[i].value));
    }
  return digest;
}

/* In the order of their keys, as they are read back. */
static void fill_notes(Notes *notes, const Snapshot *s, char digits[2 * DIGEST_SIZE + 1]) {
  note_integer(notes, "cut", s->counts.cut);
  note(notes, "devices", s->devices);
  note(notes, "digest", digest_print(s->digest, digits));
  note(notes, "format", "pt");
  note_group_steps(notes, s->optimiser);
  note(notes, "identity", s->identity);
  note_integer(notes, "image_tokens", s->counts.image_tokens);
  note_real(notes, "loss", s->counts.loss);
  size_t place = notes->count;
  note(notes, notes_key, "");
  note_real(notes, "operations", s->counts.operations);
  note_integer(notes, "samples", s->counts.samples);
  if (s->moments)
    note_real(notes, "seconds", s->counts.seconds);
  note_integer(notes, "steps", s->counts.steps);
  note_integer(notes, "trained", s->counts.trained);
  notes->pairs[place].value = digest_print(digest_notes(notes->pairs, notes->count), notes->texts[place]);
}

Status snapshot_save(Snapshot *snapshot, const char *path) {
  Parts parts;
  Notes notes = {.count = 0};
  char digits[2 * DIGEST_SIZE + 1];
  TRY(parts_make(&parts, snapshot));
  SafetensorsSource source = {.fetch = fetch, .context = &parts};
  Status status = digest_parts(&parts, &snapshot->digest);
  add_device(snapshot->devices, snapshot->optimiser->store->ops);
  fill_notes(&notes, snapshot, digits);
  if (status.code == STATUS_OK)
    status = safetensors_write(path, parts.tensors, parts.count, notes.pairs, notes.count, &source);
  parts_free(&parts);
  return status;
}

/* ---- loading ---- */

/* May this line differ where a snapshot was made on another device? */
static bool is_of_device(const char *line) {
  return strncmp(line, "type = ", 7) == 0 || strncmp(line, "start = ", 8) == 0;
}

/* The first line of `text` that `other` has not and should have, up to `size` bytes; false if there is none. */
static bool line_missing(const char *text, const char *other, bool moved, char *line, size_t size) {
  for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
    size_t length = strcspn(at, "\n");
    bool found = moved && is_of_device(at);
    for (const char *o = other; *o && !found; o += strcspn(o, "\n"), o += *o == '\n')
      found = strcspn(o, "\n") == length && strncmp(o, at, length) == 0;
    snprintf(line, size, "%.*s", (int)length, at);
    if (!found)
      return true;
  }
  snprintf(line, size, "(nothing else)");
  return false;
}

static Status check_identity(const TensorFile *file, const Snapshot *snapshot) {
  char there[96], here[96], device[OPS_ROOM];
  const char *text = tensor_file_metadata(file, "identity"), *identity = snapshot->identity;
  const char *devices = tensor_file_metadata(file, "devices");
  if (!text)
    return status_error(STATUS_INPUT, "%s is no checkpoint of training: it has no 'identity'", file->path);
  ops_print(snapshot->optimiser->store->ops, device);
  bool moved = devices && strcmp(last_device(devices), device) != 0;
  bool differs = line_missing(text, identity, moved, there, sizeof there);
  differs |= line_missing(identity, text, moved, here, sizeof here);
  if (strcmp(text, identity) == 0 || (moved && !differs))
    return status_ok();
  return status_error(STATUS_INPUT, "%s is of another run: it has '%s', this run '%s'", file->path, there, here);
}

static Status bad_note(const TensorFile *file, const char *key) {
  return status_error(STATUS_INPUT, "%s: the metadata's '%s' is missing or no number", file->path, key);
}

static Status take_integer(const TensorFile *file, const char *key, uint64_t *value) {
  const char *text = tensor_file_metadata(file, key);
  int64_t number;
  if (!text || !number_parse_integer(text, &number) || number < 0)
    return bad_note(file, key);
  *value = (uint64_t)number;
  return status_ok();
}

static Status take_real(const TensorFile *file, const char *key, double *value) {
  const char *text = tensor_file_metadata(file, key);
  return text && number_parse(text, value) ? status_ok() : bad_note(file, key);
}

static Status check_digest(const TensorFile *file, const char *key, Digest digest, const char *what) {
  const char *text = tensor_file_metadata(file, key);
  char digits[2 * DIGEST_SIZE + 1];
  digest_print(digest, digits);
  if (text && strcmp(text, digits) == 0)
    return status_ok();
  return status_error(STATUS_INPUT, "%s is damaged: the digest of its %s is %s, not %s", file->path, what, digits,
                      text ? text : "there");
}

static Status take_notes(const TensorFile *file, bool moments, TrainCounts *counts, uint64_t steps[GROUP_COUNT]) {
  const char *text = tensor_file_metadata(file, "group_steps");
  TRY(check_digest(file, notes_key, digest_notes(file->metadata, file->metadata_count), "metadata"));
  TRY(take_integer(file, "cut", &counts->cut));
  TRY(take_integer(file, "image_tokens", &counts->image_tokens));
  TRY(take_integer(file, "samples", &counts->samples));
  TRY(take_integer(file, "steps", &counts->steps));
  TRY(take_integer(file, "trained", &counts->trained));
  TRY(take_real(file, "loss", &counts->loss));
  TRY(take_real(file, "operations", &counts->operations));
  if (moments)
    TRY(take_real(file, "seconds", &counts->seconds));
  for (int group = 0; group < GROUP_COUNT; group++) {
    char *end = NULL;
    steps[group] = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text)
      return bad_note(file, "group_steps");
    text = end;
  }
  return status_ok();
}

/* All tensors are there, of their shapes, none else, and undamaged. */
static Status check_parts(const TensorFile *file, const Parts *parts, Digest *digest) {
  char is[NAME_ROOM], should[64];
  *digest = digest_of("", 0);
  for (size_t i = 0; i < parts->count; i++) {
    const NamedTensor *found = tensor_file_find(file, parts->names[i]);
    if (!found)
      return status_error(STATUS_INPUT, "%s lacks %s", file->path, parts->names[i]);
    if (!tensor_same(found->tensor, parts->tensors[i].tensor))
      return status_error(STATUS_INPUT, "%s: %s is %s and should be %s", file->path, parts->names[i],
                          named_print(found, is), tensor_print(parts->tensors[i].tensor, should));
    *digest = add_part(*digest, parts, i, found->tensor.data);
  }
  if (file->count != parts->count)
    return status_error(STATUS_INPUT, "%s holds %zu tensors and should hold %zu", file->path, file->count,
                        parts->count);
  return check_digest(file, "digest", *digest, "tensors");
}

static Status load(Snapshot *snapshot, const TensorFile *file, const Parts *parts) {
  TrainCounts counts = {0};
  uint64_t steps[GROUP_COUNT];
  const char *devices = tensor_file_metadata(file, "devices");
  TRY(check_identity(file, snapshot));
  TRY(take_notes(file, snapshot->moments, &counts, steps));
  TRY(check_parts(file, parts, &snapshot->digest));
  for (size_t i = 0; i < parts->count; i++)
    write_part(parts, i, tensor_file_find(file, parts->names[i])->tensor.data);
  memcpy(snapshot->optimiser->steps, steps, sizeof steps);
  snapshot->counts = counts;
  snprintf(snapshot->devices, sizeof snapshot->devices, "%s", devices ? devices : "");
  return status_ok();
}

Status snapshot_load(Snapshot *snapshot, const char *path) {
  TensorFile file;
  Parts parts;
  TRY(parts_make(&parts, snapshot));
  Status status = safetensors_open(&file, path);
  if (status.code == STATUS_OK) {
    status = load(snapshot, &file, &parts);
    tensor_file_close(&file);
  }
  parts_free(&parts);
  return status;
}
