/* curves.c: learning curves, a panel a phase of training. */
#include "phases.h"
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  phases_draw(gnuplot, folder, "curves.csv", "loss", "loss  (nats a token)");
}

const Figure figure_curves = {
    .name = "curves",
    .set = FIGURES_ABLATION,
    .title = "learning curves by phase, one line a row, mean over seeds",
    .inputs = {{.file = "curves.csv", .texts = "row,phase", .numbers = "step,loss"}},
    .command = "seesaw ablate table4 --model experiments/pairs/small --results DIR",
    .width = 7.2,
    .height = 3.2,
    .draw = draw,
};
