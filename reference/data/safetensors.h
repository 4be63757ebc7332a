/* safetensors.h: the safetensors format, read as views into the mapped file and written whole or not at all.
 *
 * Source: the format's README and library (safetensors 0.8.0). A file is the length N of the header (8 bytes, little
 * endian, at most 100,000,000), N bytes of JSON, the data. Read more strictly than the library does: the header starts
 * with {, no name and no key comes twice, an entry has dtype, shape and data_offsets and nothing else, strings hold no
 * zero character, sizes of an empty tensor must not wrap either. The tensors must cover the data without holes and
 * overlaps; any rank, rank 0 and sizes of zero are read (see NamedTensor). */
#ifndef SEESAW_SAFETENSORS_H
#define SEESAW_SAFETENSORS_H

#include "tensor_file.h"

enum { SAFETENSORS_LARGEST_HEADER = 100000000 }; /* bytes */

/* safetensors_open: Close with tensor_file_close. Errors: STATUS_INPUT naming the file and the byte or tensor at which
 * it is wrong; STATUS_MEMORY (names and shapes, a few times the header; tensors that are not aligned). */
Status safetensors_open(TensorFile *file, const char *path);

/* safetensors_parse: the same from memory that the caller keeps; `path` is used in messages. */
Status safetensors_parse(TensorFile *file, const char *path, const unsigned char *bytes, size_t size);

/* Where numbers come from that are not in memory all at once: sets *data to those of the tensor, contiguous; they must
 * last until the next call. */
typedef struct SafetensorsSource {
  Status (*fetch)(void *context, const NamedTensor *wanted, const void **data);
  void *context;
} SafetensorsSource;

/* safetensors_write: the tensors with their names, in the library's order (dtype by falling alignment, then name) and
 * byte for byte as it writes them. Tensors may be views whose rows lie apart; those without data are asked of `source`
 * (NULL: a tensor without data is the caller's mistake), in the order of the file, one at a time. metadata NULL: the
 * one pair format=pt; transformers (4.57.3) refuses metadata without it, its older releases files without metadata.
 * Errors: STATUS_OUTPUT (also names that make the header too long), STATUS_MEMORY, what fetch returns; then PATH is as
 * it was. Names that are not UTF-8 or come twice, or are __metadata__, and flattened tensors (NamedTensor) whose sizes
 * do not fit are the caller's mistake. */
Status safetensors_write(const char *path, const NamedTensor *tensors, size_t count, const TextPair *metadata,
                         size_t metadata_count, const SafetensorsSource *source);

#endif
