/* attention.c: where the decoder looks: the share of its attention that falls on local tokens, layer by layer. */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "attention.csv");
  style_words(gnuplot, "row", "rows");
  fputs(
      "set lmargin at screen X(0.68); set rmargin at screen X(width - 1.55)\n"
      "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.12)\n"
      "set xlabel 'layer of the decoder'; set ylabel 'share of attention on local tokens' offset 1, 0\n"
      "stats data using 'layer' name 'layer' nooutput\n"
      "set xrange [layer_min - 0.3:layer_max + 0.3]; set xtics layer_min, 1; set yrange [0:*]\n"
      "set key at screen X(width - 1.48), screen 1 - Y(0.12) left top Left reverse noenhanced samplen 2.2 "
      "title 'mean; points: seeds' left font small\n"
      "pick(j) = strcol('row') eq word(rows, j) ? column('layer') : NaN\n"
      "plot for [j = 1:words(rows)] data using (pick(j)):'share_local' smooth unique with lines lw 1.2 lc rgb tint(j) "
      "dt dash(j) notitle, "
      "for [j = 1:words(rows)] data using (pick(j)):'share_local' with points pt mark(j) ps 0.5 lc rgb tint(j) "
      "notitle, "
      "for [j = 1:words(rows)] keyentry with linespoints pt mark(j) ps 0.5 lw 1.2 lc rgb tint(j) dt dash(j) "
      "title word(rows, j)\n",
      gnuplot);
}

const Figure figure_attention = {
    .name = "attention",
    .set = FIGURES_ABLATION,
    .title = "share of attention on local tokens by layer, one line a row",
    .inputs = {{.file = "attention.csv", .texts = "row", .numbers = "layer,share_local,share_global,share_text"}},
    .command = "seesaw ablate probe --model experiments/pairs/small --results DIR",
    .width = 5.8,
    .height = 3.4,
    .draw = draw,
};
