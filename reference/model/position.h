/* position.h: tables that say where a token is. Made once, on the host. */
#ifndef SEESAW_POSITION_H
#define SEESAW_POSITION_H

#include <stdbool.h>
#include <stddef.h>

/* position_sincos: for each cell (row, column) of a side x side grid, row by row, `width` numbers, a multiple of 4:
 * sin and cos of column w_i, then of row w_i, w_i = 10000^(-4 i / width), angles in float.  half: rounded through fp16
 * (released code). table: side^2 x width.  Source: He et al. 2022, as in Qwen-VL's resampler, which SliME's query
 * former is. */
void position_sincos(size_t side, size_t width, bool half, double *table);

/* position_resize: a table of from x from cells to one of to x to, by bicubic interpolation (a = -0.75, the cells'
 * centres aligned, borders repeated), as torch's interpolate does. Equal sizes: a copy. */
void position_resize(size_t from, size_t to, size_t width, const double *table, double *resized);

/* position_rotary: frequency_i = theta^(-2 i / head), i < head / 2, rounded as in HF's code.  Source: Su et al. 2021.
 */
void position_rotary(size_t head, double theta, double *frequency);

#endif
