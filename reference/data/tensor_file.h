/* tensor_file.h: the named tensors of one file, whatever its format.
 *
 * What safetensors.h and torch_bin.h read into. The file stays mapped and the tensors are views into it, so a model of
 * many gigabytes is open at once and its numbers are fetched as they are touched. What a caller may assume of each
 * tensor: it is contiguous and its data are aligned to the size of one number (tensors that lie otherwise in the file
 * are copied when it is opened); they are read-only. */
#ifndef SEESAW_TENSOR_FILE_H
#define SEESAW_TENSOR_FILE_H

#include "arena.h"
#include "mapped.h"
#include "tensor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are used as they lie in the files: little-endian");

/* A tensor of a file. A file may hold tensors of a higher rank than Tensor can describe: such a tensor is flattened,
 * `tensor` then being of rank 1, and only `rank` and `shape` tell what the file says. */
typedef struct NamedTensor {
  const char *name; /* valid UTF-8, may be empty */
  Tensor tensor;
  size_t rank;         /* as in the file, */
  const size_t *shape; /* `rank` sizes; NULL: those of `tensor` */
} NamedTensor;

typedef struct TextPair {
  const char *key, *value;
} TextPair;

typedef struct TensorFile {
  const char *path;
  size_t count;
  NamedTensor *tensors; /* sorted by the bytes of their names, each name once */
  size_t metadata_count;
  TextPair *metadata; /* sorted by key; what safetensors files keep in __metadata__ */
  Mapped mapped;
  Arena memory, copies; /* names and shapes; tensors that could not be views */
} TensorFile;

/* tensor_file_close: unmap and free; safe on a zeroed TensorFile. */
void tensor_file_close(TensorFile *file);

/* tensor_file_find: NULL if there is none of that name. tensor_file_metadata: the value of the key, or NULL. */
const NamedTensor *tensor_file_find(const TensorFile *file, const char *name);
const char *tensor_file_metadata(const TensorFile *file, const char *key);

/* named_tensor: for writing: the tensor under a name that the caller keeps. */
NamedTensor named_tensor(const char *name, Tensor tensor);

/* named_size: size i of the shape. named_find: among `count` tensors sorted by name; NULL if there is none. */
size_t named_size(const NamedTensor *named, size_t i);
const NamedTensor *named_find(const NamedTensor *tensors, size_t count, const char *name);

/* For messages: "F32 (2, 1, 3, 1, 5)"; a name with ? for what a terminal should not see, cut at its front, since
 * names of tensors differ at their ends. */
enum { NAME_ROOM = 112 };
char *named_print(const NamedTensor *named, char text[NAME_ROOM]);
char *name_print(const char *name, char text[NAME_ROOM]);

/* ---- For the readers ---- */

/* tensor_file_map: a format's file from its path: mapped, parsed, and kept mapped. Errors: those of mapped_open, what
 * `parse` returns; the file is then closed. */
Status tensor_file_map(TensorFile *file, const char *path,
                       Status (*parse)(TensorFile *file, const char *path, const unsigned char *bytes, size_t size));

/* name_valid: UTF-8 without zero bytes. */
bool name_valid(const char *text, size_t length);

/* named_make: the tensor of the shape over data, flattened if it must be. Errors: STATUS_INPUT in the name of `path` if
 * the numbers are more than memory has addresses (sizes of zero count as one, so that no product of them wraps), or
 * end within a byte. */
Status named_make(NamedTensor *named, const char *path, void *data, Dtype dtype, size_t rank, const size_t *shape);

/* named_sort: by name. Errors: STATUS_INPUT in the name of `path` if two have the same. */
Status named_sort(NamedTensor *tensors, size_t count, const char *path);

/* tensor_file_settle: copies each tensor that is not aligned, or whose numbers lie apart: strides[i], if not NULL, has
 * the distance in numbers for each size of tensor i (`strides` itself may be NULL). Errors: STATUS_INPUT if the copies
 * take more than `most` bytes (views may repeat numbers without end), STATUS_MEMORY. */
Status tensor_file_settle(TensorFile *file, const size_t *const *strides, size_t most);

#endif
