/* test_stand_in.h: the planted kernels of test_stand_in.cu, launched on a stand-in. */
#ifndef SEESAW_TEST_STAND_IN_H
#define SEESAW_TEST_STAND_IN_H

#include "backends.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kernels with a mistake. */
void plant_missing_barrier(const Ops *ops, float *y, unsigned threads); /* y[i] = i + 1 modulo threads, had it one */
void plant_exit_before_barrier(const Ops *ops);
void plant_two_barriers(const Ops *ops);
void plant_shuffle_of_an_exited_lane(const Ops *ops);
void plant_shuffle_of_a_waiting_lane(const Ops *ops);
void plant_shuffle_without_itself(const Ops *ops);
void plant_shuffle_from_beyond_its_mask(const Ops *ops);
void plant_two_masks(const Ops *ops);
void plant_vote_in_half_a_warp(const Ops *ops);
void plant_write_beyond_shared(const Ops *ops, int past);       /* static, `past` numbers behind its last */
void plant_write_beyond_dynamic(const Ops *ops, int past);      /* dynamic */
void plant_unwritten(const Ops *ops, float *y, unsigned count); /* all but the last number */
void plant_unwritten_sum(const Ops *ops, float *y);             /* scratch memory that nobody wrote */
void plant_copies_left(const Ops *ops, const float *x);         /* 32 numbers, of which no copy is waited for */
void plant_launch(const Ops *ops, unsigned threads, size_t shared, unsigned rows);
void plant_races_of_blocks(const Ops *ops, float *y, unsigned blocks); /* y[0]: of the last block */

/* The language: of one block of 96 threads, into y[threads * RESULTS]. */
enum { LANGUAGE_THREADS = 96, LANGUAGE_RESULTS = 21 };
void language_warps(const Ops *ops, double *y);
void language_indices(const Ops *ops,
                      int *seen); /* seen[((z 2 + y) 3 + x) of blocks 3 x 2 x 2, threads 4 x 3 x 2] += 1 */
void language_reduce(const Ops *ops, float *sum, float *most, const float *x, unsigned threads);
void language_atomics(const Ops *ops, float *f, double *d, int *i, unsigned *u, unsigned blocks);
void language_shared(const Ops *ops, float *first, unsigned blocks); /* what a block finds in fresh shared memory */
void language_switches(const Ops *ops, int times, unsigned *passed); /* barriers that each of 256 threads passes */

/* x, 64 numbers, to y through shared memory: two copies of a thread, a group each, of which `left` are not waited for.
 */
void language_copies(const Ops *ops, float *y, const float *x, int left);

/* By a warp, word by word of its lanes: c += a b; four 8 x 8 matrices of bf16, rows one after the other, as they are or
 * transposed. */
void language_mma(const Ops *ops, float c[32][4], const uint32_t a[32][4], const uint32_t b[32][2]);
void language_matrices(const Ops *ops, uint32_t to[32][4], const uint16_t *from, bool transposed);

/* bf16 to float, float to bf16, of this type and, where the toolkit's header is there, of NVIDIA's. */
float own_bf16_to_float(uint16_t bits);
uint16_t own_bf16_from_float(float x);
bool nvidia_bf16(void);
float nvidia_bf16_to_float(uint16_t bits);
uint16_t nvidia_bf16_from_float(float x);

#ifdef __cplusplus
}
#endif

#endif
