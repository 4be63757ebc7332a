/* algorithms.h: which algorithm of the library a matrix product gets: a table by shape, and the file that keeps the
 * choices that were timed. It knows no CUDA, so that it is tested without: an algorithm is eight words that the library
 * gave and takes back.
 *
 * The file is text, a line a shape, between a title, the device and library that it is for, and a digest of all before
 * it. It is read whole or not at all, and written whole (files.h). Processes may add to one file at once: each takes
 * up what the others wrote meanwhile. */
#ifndef SEESAW_KERNELS_CARD_ALGORITHMS_H
#define SEESAW_KERNELS_CARD_ALGORITHMS_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All that decides about a product d = c + a b (product.h). One that differs in none of it gets the same algorithm. */
typedef struct AlgorithmKey {
  uint64_t bits, bits_d;                       /* of a number of a and b, of c and d: 32: F32, 16: BF16 */
  uint64_t turned_a, turned_b;                 /* 0 or 1, like the next two */
  uint64_t bias, add;                          /* there is one; there is a c (else c's numbers are d's) */
  uint64_t m, n, k;                            /* d (m, n), sums of k */
  uint64_t pitch_a, pitch_b, pitch_c, pitch_d; /* numbers from row to row */
  uint64_t align_a, align_b, align_c, align_d; /* bytes: a power of two that divides where every row begins */
} AlgorithmKey;

/* As cuBLASLt serialises one; it means something to the same version of it on the same kind of device alone. */
typedef struct Algorithm {
  uint64_t word[8];
} Algorithm;

typedef struct AlgorithmEntry {
  AlgorithmKey key;
  Algorithm algorithm;
} AlgorithmEntry;

enum { ALGORITHMS_MOST = 16384 };

typedef struct AlgorithmTable {
  size_t count;
  AlgorithmEntry *entry; /* in the order in which they came; NULL while there are none */
  uint16_t *slot;        /* of a hash: 1 + its entry, or 0 */
} AlgorithmTable;

/* algorithm_find: of that very key, or NULL; good until the table changes. */
const Algorithm *algorithm_find(const AlgorithmTable *table, const AlgorithmKey *key);

/* algorithm_put: add it, or change it if it is there. False: the table is full (ALGORITHMS_MOST), or memory is out; it
 * is then as it was. algorithms_clear: empty it and free its memory; safe on a zeroed one. */
bool algorithm_put(AlgorithmTable *table, const AlgorithmKey *key, const Algorithm *algorithm);
void algorithms_clear(AlgorithmTable *table);

/* algorithm_key_coarse: the key with m and k cut to their four leading bits. Batches are ragged, so the number of rows,
 * m of a forward pass and k of a weight's gradient, is new in almost every step, and what is fastest for 4,608 rows is
 * so for 5,000, too: one timing does for up to an eighth more. */
AlgorithmKey algorithm_key_coarse(const AlgorithmKey *key);

/* algorithms_path: the user's file for `identity` (algorithms_read): in $XDG_CACHE_HOME/seesaw, else in
 * ~/.cache/seesaw, a folder that is created if it is not there. The caller frees *path. Errors: neither variable is
 * set: STATUS_USAGE; the folder cannot be created: STATUS_OUTPUT; STATUS_MEMORY. *path is then NULL. */
Status algorithms_path(const char *identity, char **path);

/* algorithms_read: table <- what is in the file; empty if there is no such file. identity: device, compute capability
 * and version of the library in one line; the file must be for the same. Errors: a file that is damaged, cut short,
 * not of this kind or version or for another device: STATUS_INPUT; STATUS_MEMORY. The table is then empty. */
Status algorithms_read(AlgorithmTable *table, const char *path, const char *identity);

/* algorithms_keep: add one to the table and write the table to the file, with what is there and not in the table. Where
 * another process has put that key there already, its algorithm is taken: *algorithm changes. A damaged file is
 * replaced. Errors: the file cannot be written or is none of ours to replace (another kind, version or device):
 * STATUS_OUTPUT; it is full: STATUS_OUTPUT; STATUS_MEMORY. The algorithm is in the table all the same, if it has
 * room. */
Status algorithms_keep(AlgorithmTable *table, const char *path, const char *identity, const AlgorithmKey *key,
                       Algorithm *algorithm);

#ifdef __cplusplus
}
#endif

#endif
