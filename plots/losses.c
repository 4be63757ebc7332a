/* losses.c: excess loss against steps, one line a method. */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "losses.csv");
  style_methods(gnuplot);
  style_span(gnuplot);
  fputs("set lmargin at screen X(0.75); set rmargin at screen X(width - 1.55)\n"
        "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.12)\n"
        "set xlabel 'iteration (steps)'\n"
        "set ylabel 'excess loss  L − L_{min}  (dimensionless)' offset 1, 0\n"
        "set style line line('jacobi') lc rgb '#9A9A9A' dt solid lw 0.3\n" /* it jumps to and fro at every step */
        "set logscale y; unset mytics; set format y '10^{%T}'\n"
        "set xrange [0:shown * 1.02]; set yrange [least:top]\n"
        "set key at screen X(width - 1.48), screen 1 - Y(0.12) left top Left reverse samplen 2.2\n"
        "plot for [i = 1:count] data using (strcol('method') eq word(methods, i) ? column('step') : NaN):"
        "(positive(column('excess'))) with linespoints ls line(word(methods, i)) "
        "pi every(i) title title(word(methods, i))\n",
        gnuplot);
}

const Figure figure_losses = {
    .name = "losses",
    .title = "excess loss against steps, one line a method",
    .inputs = {{.file = "losses.csv", .texts = "method", .numbers = "step,excess"}},
    .command = "seesaw theory run --method all --k 0.9 --out DIR/losses.csv",
    .width = 5.5,
    .height = 3.6,
    .draw = draw,
};
