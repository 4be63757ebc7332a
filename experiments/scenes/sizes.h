/* sizes.h: the small models of the experiments. */
#ifndef SEESAW_SIZES_H
#define SEESAW_SIZES_H

#include "config.h"

#define SCENE_SIZES "small,medium,large"

/* scenes_config: SliME with the released switches, over views of 36 x 36 pixels in 6 x 6 patches, at "small", "medium"
 * or "large" width, for a vocabulary of that many tokens. N_q = 9 of 36 patches, as the paper's 144 of 576. Errors:
 * STATUS_USAGE naming the sizes. */
Status scenes_config(const char *size, size_t vocabulary, ModelConfig *config);

#endif
