/* gates.c: the mean of the gate of the global adapter over training: which of its experts is listened to. */
#include "phases.h"
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  phases_draw(gnuplot, folder, "gates.csv", "mean", "mean of the gate");
}

const Figure figure_gates = {
    .name = "gates",
    .set = FIGURES_ABLATION,
    .title = "the gate's mean over training, one line a row, mean over seeds",
    .inputs = {{.file = "gates.csv", .texts = "row,phase", .numbers = "step,mean"}},
    .command = "seesaw ablate probe --model experiments/pairs/small --results DIR",
    .width = 7.2,
    .height = 3.2,
    .draw = draw,
};
