/* device.cc: the device under the stand-in: the host's memory, and a machine as its stream. */
#include <stdlib.h>
#include <string.h>

#include "../kernel.h"

namespace stand_in {

Status device_alloc(const Ops *, size_t bytes, void **memory) {
  size_t rounded = ceil_div(bytes > 0 ? bytes : 1, 256) * 256; /* a card's alignment */
  *memory = bytes < SIZE_MAX / 2 ? aligned_alloc(256, rounded) : nullptr;
  if (!*memory)
    return status_error(STATUS_MEMORY, "not enough memory: %zu bytes were asked for", bytes);
  memset(*memory, 0, rounded);
  return status_ok();
}

void device_free(const Ops *, void *memory) {
  free(memory);
}

void device_write(const Ops *, void *to, const void *from, size_t bytes) {
  memcpy(to, from, bytes);
}

Status device_status(const Ops *ops) {
  return machine::machine_status(stream_of(ops));
}

/* After a fault: zeros, as on a card. */
void device_read(const Ops *ops, void *to, const void *from, size_t bytes) {
  if (device_status(ops).code == STATUS_OK)
    memcpy(to, from, bytes);
  else
    memset(to, 0, bytes);
}

void device_copy(Stream, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t rows) {
  for (size_t i = 0; i < rows; i++)
    memcpy(static_cast<char *>(to) + i * to_pitch, static_cast<const char *>(from) + i * from_pitch, width);
}

void device_clear(Stream, void *to, size_t pitch, size_t width, size_t rows) {
  for (size_t i = 0; i < rows; i++)
    memset(static_cast<char *>(to) + i * pitch, 0, width);
}

} // namespace stand_in

extern "C" Status stand_in_open(Ops *ops, Dtype real, StandInOrder order, uint64_t seed) {
  using namespace stand_in;
  *ops = Ops();
  State *state = static_cast<State *>(calloc(1, sizeof *state));
  if (!state)
    return status_error(STATUS_MEMORY, "not enough memory for the stand-in");
  ops->state = state;
  Status status = machine::machine_open(&state->stream, order, seed);
  if (status.code == STATUS_OK)
    status = backend_open(ops, real, state, "stand-in", true);
  if (status.code != STATUS_OK)
    stand_in_close(ops);
  return status;
}

extern "C" void stand_in_close(Ops *ops) {
  using namespace stand_in;
  if (!ops->state)
    return;
  backend_close(ops);
  machine::machine_close(stream_of(ops));
  free(ops->state);
  *ops = Ops();
}
