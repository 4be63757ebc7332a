/* sequence.h: where each token goes in the decoder's input. */
#ifndef SEESAW_SEQUENCE_H
#define SEESAW_SEQUENCE_H

#include "slime.h"

/* sample_pictured: does it have a picture? */
bool sample_pictured(const Conversation *sample);

/* raster_order: for each local token of the batch in the sequence's order, its row among the tiles' tokens (tile by
 * tile, row by row in a tile). raster: one big grid over all tiles of a picture; else the order of the tiles. Square
 * tiles of `side` tokens across. Returns the number of tokens, which is that of `order`. */
size_t raster_order(const Batch *batch, size_t side, bool raster, int32_t *order);

/* local_offsets: offsets (count + 1) of the samples' local tokens. */
void local_offsets(const Batch *batch, size_t tile_tokens, int32_t *offsets);

/* sequence_plan: rows for [text, global tokens, separator, kept local tokens, text] of each sample. kept: offsets
 * (count + 1) of the samples' kept local tokens. Memory from the run. */
void sequence_plan(Run *run, const ModelConfig *config, const Batch *batch, const int32_t *kept, Sequence *sequence);

#endif
