/* recipe.c: the rows.
 *
 * N_q = 64, 144, 196 of 576 patches are 4, 9, 16 of 36 (196 would be 12.25: the next square). The paper has no script
 * for the rows E2E, LLaVA-HD and Monkey; ours train adapter and compression together in one pretraining stage with both
 * views. 'With SMR' has the paper's numbers of a model without local tokens, so it is the global mixture with the
 * reasoning set; 'Final' has everything. */
#include "recipe.h"

#include <string.h>

#define ALL_VIEWS {VIEWS_BOTH, VIEWS_GLOBAL, VIEWS_LOCAL}, 3
#define BOTH_VIEWS {VIEWS_BOTH}, 1
#define NO_VIEWS {VIEWS_NONE}, 1
#define SLIME BRIDGE_MIXTURE, BRIDGE_FORMER, 36

const Recipe recipes[] = {
    /* Table 3 */
    {"baseline", BRIDGE_MLP, BRIDGE_NONE, 36, 9, 1.0, false, false, "global", BOTH_VIEWS},
    {"global_moe", BRIDGE_MIXTURE, BRIDGE_NONE, 36, 9, 1.0, false, false, "global", BOTH_VIEWS},
    {"nq64", SLIME, 4, 1.0, false, false, "alternating", BOTH_VIEWS},
    {"nq144", SLIME, 9, 1.0, false, false, "alternating", BOTH_VIEWS},
    {"nq196", SLIME, 16, 1.0, false, false, "alternating", BOTH_VIEWS},
    {"gamma90", SLIME, 9, 0.90, false, false, "alternating", BOTH_VIEWS},
    {"gamma75", SLIME, 9, 0.75, false, false, "alternating", BOTH_VIEWS},
    {"gamma50", SLIME, 9, 0.50, false, false, "alternating", BOTH_VIEWS},
    {"smr", BRIDGE_MIXTURE, BRIDGE_NONE, 36, 9, 1.0, false, true, "global", BOTH_VIEWS},
    {"final", SLIME, 9, 0.75, false, true, "alternating", BOTH_VIEWS},
    /* Table 4 */
    {"llava_hd", BRIDGE_MLP, BRIDGE_MLP, 36, 9, 1.0, false, false, "e2e", BOTH_VIEWS},
    {"monkey", BRIDGE_FORMER, BRIDGE_FORMER, 9, 9, 1.0, false, false, "e2e", BOTH_VIEWS},
    {"e2e", SLIME, 9, 0.75, false, false, "e2e", ALL_VIEWS},
    {"alternating", SLIME, 9, 0.75, false, false, "alternating", ALL_VIEWS},
    /* Figure 1 */
    {"qformer", BRIDGE_FORMER, BRIDGE_NONE, 36, 9, 1.0, false, false, "global", BOTH_VIEWS},
    {"qformer_alt", BRIDGE_FORMER, BRIDGE_NONE, 36, 9, 1.0, false, false, "mlp-then-former", BOTH_VIEWS},
    /* what the paper lacks */
    {"e2e_samples", SLIME, 9, 0.75, false, false, "e2e-samples", ALL_VIEWS},
    {"e2e_flops", SLIME, 9, 0.75, false, false, "e2e-flops", ALL_VIEWS},
    {"e2e_mix", SLIME, 9, 0.75, false, false, "e2e-mixed", ALL_VIEWS},
    {"e2e_rate", SLIME, 9, 0.75, false, false, "e2e-rate", ALL_VIEWS},
    {"unfrozen", SLIME, 9, 0.75, false, false, "unfrozen", ALL_VIEWS},
    {"periodic", SLIME, 9, 0.75, false, false, "periodic", ALL_VIEWS},
    {"reversed", SLIME, 9, 0.75, false, false, "reversed", ALL_VIEWS},
    {"local_only", SLIME, 9, 0.75, false, false, "local-only", ALL_VIEWS},
    {"paper_preset", SLIME, 9, 0.75, true, false, "alternating", ALL_VIEWS},
    {"released_preset", SLIME, 9, 0.95, false, false, "released", ALL_VIEWS},
    {"text_only", SLIME, 9, 1.0, false, true, "text-only", NO_VIEWS},
};
const size_t recipe_count = sizeof recipes / sizeof *recipes;

const Recipe *recipe_find(const char *id) {
  for (size_t i = 0; i < recipe_count; i++)
    if (strcmp(recipes[i].id, id) == 0)
      return &recipes[i];
  return NULL;
}

Status recipe_config(const Recipe *recipe, const ModelConfig *base, ModelConfig *config) {
  *config = *base;
  config->switches = recipe->paper ? switches_paper() : switches_released();
  config->switches.gamma = recipe->gamma;
  config->global = recipe->global;
  config->local = recipe->local;
  config->global_queries = recipe->global_queries;
  config->local_queries = recipe->local_queries;
  return config_check(config);
}
