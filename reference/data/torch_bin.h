/* torch_bin.h: a dict of tensors as torch.save writes it (pytorch_model.bin, mm_projector.bin), read without Python.
 *
 * Source: torch 2.9.1 (torch/serialization.py, torch/_utils.py) and files that it wrote. The container, of torch 1.6
 * and later, is a zip archive of stored entries: ROOT/data.pkl is the dict as a pickle of protocol 2, ROOT/data/KEY the
 * raw numbers of a storage, ROOT/byteorder (torch 2.1 and later) must be "little". Allowed are only the names that
 * tensors need: torch._utils._rebuild_tensor_v2 and _rebuild_parameter, collections.OrderedDict, and the storages of
 * Half, BFloat16, Float, Double, Long, Int, Short, Char, Byte and Bool; anything else is refused by its name.
 *
 * - The dict must be flat, from names to tensors. A wrapped one ({"model": {...}, "epoch": 3}) is refused.
 * - A storage must have exactly as many bytes in the archive as the pickle says; a tensor must lie within its storage.
 * - Tensors of other strides than row-major (a transposed view) are copied, up to as many bytes as the file has.
 * - Attributes of the dict (_metadata), requires_grad and devices are dropped. */
#ifndef SEESAW_TORCH_BIN_H
#define SEESAW_TORCH_BIN_H

#include "tensor_file.h"

/* torch_bin_open: Close with tensor_file_close. The checksum of data.pkl is checked, those of the numbers are not.
 * Errors: STATUS_INPUT naming the file and the tensor, entry or byte; STATUS_MEMORY. */
Status torch_bin_open(TensorFile *file, const char *path);

/* torch_bin_parse: the same from memory that the caller keeps; `path` is used in messages. */
Status torch_bin_parse(TensorFile *file, const char *path, const unsigned char *bytes, size_t size);

/* torch_bin_verify: read all of the file at `path` and compare every entry with its checksum, where it has one (torch
 * leaves them out on request). Errors: STATUS_INPUT naming the first entry that is damaged. */
Status torch_bin_verify(const char *path);

/* torch_bin_likely: the bytes start like a file of torch, also of the time before zip. */
bool torch_bin_likely(const unsigned char *bytes, size_t size);

#endif
