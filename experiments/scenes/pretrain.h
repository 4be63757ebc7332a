/* pretrain.h: the small vision tower and the small decoder, learnt from scenes. They stand in for CLIP and Llama, which
 * have seen the world before an adapter meets them; here, too, neither has seen the other.
 *
 * Vision: every patch says what thing it shows (colour, shape, size, letter), by a linear layer that is then thrown
 * away. Decoder: captions and questions, with the picture's places in the sequence taken by sums of the embeddings of
 * the words for what is there: what a perfect adapter would give. */
#ifndef SEESAW_PRETRAIN_H
#define SEESAW_PRETRAIN_H

#include "feed_scenes.h"
#include "optimiser.h"
#include "slice.h"
#include "store.h"

typedef struct PretrainPlan {
  uint64_t seed;
  size_t steps, batch; /* scenes a step */
  const char *folder;  /* keeps the state while it learns, so that it goes on when it was stopped; NULL: nowhere */
  size_t interval;     /* steps from one keeping to the next; 0: 250 */
  size_t scenes;       /* that the skill is measured on; 0: 512 for the tower, 64 batches for the decoder */
  double rate;         /* highest learning rate; cosine to 0 after a warm-up of 3 % */
  /* Called every `every` steps, with the mean losses since: of tags, or of answers and of captions. NULL: nobody is. */
  void (*report)(void *context, size_t step, double loss, double caption);
  void *context;
  size_t every;
} PretrainPlan;

/* What the tower knows of scenes of the validation split: share of patches with a thing on them whose tag is right. */
enum { TAGS = 4 };
extern const char *const tag_names[TAGS];
typedef struct VisionSkill {
  double global[TAGS], tiles[TAGS];
} VisionSkill;

/* pretrain_vision: the tower alone; then its skill. Errors: STATUS_MEMORY, STATUS_INTERRUPTED, STATUS_NUMERICS if the
 * loss is not a number. */
Status pretrain_vision(Store *store, const PretrainPlan *plan, VisionSkill *skill);

/* What the decoder answers right, of questions about scenes of the validation split, from perfect tokens: the most that
 * any adapter could reach. */
typedef struct DecoderSkill {
  double correct[FAMILIES];
} DecoderSkill;

Status pretrain_decoder(Store *store, const Tokenizer *tokenizer, const PretrainPlan *plan, DecoderSkill *skill);

/* ---- what both share: where a scene's things lie in a view ---- */

/* A view's coordinates of a picture: x across = across_scale x + across_shift, and alike down. */
typedef struct ViewFrame {
  double across_scale, across_shift, down_scale, down_shift;
} ViewFrame;

/* view_frame: of view `view` (0: global; then the tiles, row by row). */
ViewFrame view_frame(const ModelConfig *config, const Scene *scene, TileGrid grid, size_t view);

#endif
