/* recipe.h: what each row of the ablation is: a model, a scheme of training, the questions that it is trained on, the
 * views that it is tested with. Rows' names and the paper's numbers stand in rows.h. */
#ifndef SEESAW_RECIPE_H
#define SEESAW_RECIPE_H

#include "questions.h"
#include "slime.h"

enum { TESTED_MOST = 3 };

typedef struct Recipe {
  const char *id;        /* of the row */
  Bridge global, local;  /* what the views become */
  size_t global_queries; /* of the adapter's query former */
  size_t local_queries;  /* N_q: 9 of 36 patches, as 144 of 576 */
  double gamma;          /* the router's, in Stage III and in tests */
  bool paper;            /* the paper's switches; else the released code's */
  bool reasoning;        /* the reasoning family is among the training questions */
  const char *scheme;    /* file under experiments/schemes/scenes, without .ini */
  Views tested[TESTED_MOST];
  size_t tested_count;
} Recipe;

extern const Recipe recipes[];
extern const size_t recipe_count;

/* recipe_find: NULL if there is none of that id. */
const Recipe *recipe_find(const char *id);

/* recipe_config: the row's model, from that of the pretrained pair. Errors: those of config_check. */
Status recipe_config(const Recipe *recipe, const ModelConfig *base, ModelConfig *config);

#endif
