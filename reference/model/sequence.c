/* sequence.c: where each token goes in the decoder's input. */
#include "sequence.h"

bool sample_pictured(const Conversation *sample) {
  for (size_t i = 0; i < sample->count; i++)
    if (sample->ids[i] == IMAGE_TOKEN)
      return true;
  return false;
}

static size_t sample_tiles(const Conversation *sample) {
  return sample_pictured(sample) ? sample->columns * sample->rows : 0;
}

void local_offsets(const Batch *batch, size_t tile_tokens, int32_t *offsets) {
  offsets[0] = 0;
  for (size_t i = 0; i < batch->count; i++)
    offsets[i + 1] = offsets[i] + (int32_t)(sample_tiles(&batch->samples[i]) * tile_tokens);
}

/* Token (row, column) of the big grid of one picture, among the tokens of its tiles. */
static size_t place_in_tiles(size_t row, size_t column, size_t columns, size_t side) {
  size_t tile = row / side * columns + column / side;
  return tile * side * side + row % side * side + column % side;
}

size_t raster_order(const Batch *batch, size_t side, bool raster, int32_t *order) {
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    const Conversation *sample = &batch->samples[i];
    size_t tokens = sample_tiles(sample) * side * side, across = sample->columns * side;
    for (size_t j = 0; j < tokens; j++) {
      size_t place = raster ? place_in_tiles(j / across, j % across, sample->columns, side) : j;
      order[count + j] = (int32_t)(count + place);
    }
    count += tokens;
  }
  return count;
}

/* ---- the plan ---- */

/* The sequence as it grows; the counts of what has been placed so far. */
typedef struct Planner {
  const ModelConfig *config;
  Sequence *sequence;
  int32_t *labels;        /* of each row */
  size_t row, begin, end; /* the next row; the first of this sample; the first one beyond its longest length */
  size_t globals, locals;
} Planner;

/* The next row, or -1 if the sample is full. */
static int32_t place(Planner *p, int32_t id, int32_t label) {
  if (p->row == p->end)
    return -1;
  p->sequence->ids[p->row] = id;
  p->sequence->position[p->row] = (int32_t)(p->row - p->begin);
  p->labels[p->row] = label;
  return (int32_t)p->row++;
}

/* The separator follows the global tokens even if there are no tiles, as in the released code. */
static void place_picture(Planner *p, size_t kept) {
  size_t globals = config_global_tokens(p->config);
  for (size_t i = 0; i < globals; i++)
    p->sequence->global_row[p->globals++] = place(p, -1, IGNORE_LABEL);
  if (p->config->switches.separator && globals > 0 && p->config->local != BRIDGE_NONE)
    place(p, p->config->separator_token, IGNORE_LABEL);
  for (size_t i = 0; i < kept; i++)
    p->sequence->local_row[p->locals++] = place(p, -1, IGNORE_LABEL);
}

static void place_sample(Planner *p, const Conversation *sample, size_t kept, size_t longest) {
  p->begin = p->row;
  p->end = longest > 0 ? p->begin + longest : SIZE_MAX;
  for (size_t i = 0; i < sample->count; i++)
    if (sample->ids[i] == IMAGE_TOKEN)
      place_picture(p, kept);
    else
      place(p, sample->ids[i], sample->labels ? sample->labels[i] : IGNORE_LABEL);
}

/* A row predicts the token of the next row of its sample. */
static void supervise(const int32_t *labels, const int32_t *offsets, size_t samples, Sequence *sequence) {
  for (size_t i = 0; i < samples; i++)
    for (int32_t row = offsets[i]; row + 1 < offsets[i + 1]; row++)
      if (labels[row + 1] >= 0) {
        sequence->predicting[sequence->supervised] = row;
        sequence->label[sequence->supervised++] = labels[row + 1];
      }
}

static size_t most_rows(const ModelConfig *config, const Batch *batch, size_t kept) {
  size_t rows = kept;
  for (size_t i = 0; i < batch->count; i++)
    rows += batch->samples[i].count + config_global_tokens(config);
  return rows;
}

void sequence_plan(Run *run, const ModelConfig *config, const Batch *batch, const int32_t *kept, Sequence *sequence) {
  size_t rows = most_rows(config, batch, (size_t)kept[batch->count]);
  int32_t *offsets = run_host(run, batch->count + 1);
  *sequence = (Sequence){.ids = run_host(run, rows),
                         .position = run_host(run, rows),
                         .global_row = run_host(run, batch->count * config_global_tokens(config)),
                         .local_row = run_host(run, (size_t)kept[batch->count]),
                         .predicting = run_host(run, rows),
                         .label = run_host(run, rows)};
  Planner planner = {.config = config, .sequence = sequence, .labels = run_host(run, rows)};
  for (size_t i = 0; i < batch->count; i++) {
    place_sample(&planner, &batch->samples[i], (size_t)(kept[i + 1] - kept[i]), batch->longest);
    offsets[i + 1] = (int32_t)planner.row;
  }
  supervise(planner.labels, offsets, batch->count, sequence);
  sequence->rows = run_ragged(run, batch->count, offsets);
}
