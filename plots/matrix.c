/* matrix.c: a real matrix at rank r: excess loss and alignment against steps, one line a method. */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "matrix.csv");
  style_methods(gnuplot);
  style_span(gnuplot);
  fputs("set multiplot\n"
        "set lmargin at screen X(0.75); set rmargin at screen X(width - 1.55)\n"
        "set xrange [0:shown * 1.02]\n"
        "set tmargin at screen 1 - Y(0.12); set bmargin at screen Y(below + 2.05)\n"
        "set ylabel 'excess loss  L − L_{min}' offset 1, 0\n"
        "set logscale y; unset mytics; set format y '10^{%T}'; set yrange [least:top]\n"
        "set format x ''\n"
        "set key at screen X(width - 1.48), screen 1 - Y(0.12) left top Left reverse samplen 2.2\n"
        "plot for [i = 1:count] data using (strcol('method') eq word(methods, i) ? column('step') : NaN):"
        "(positive(column('excess'))) with linespoints ls line(word(methods, i)) "
        "pi every(i) title title(word(methods, i))\n"
        "unset label 999; unset key\n"
        "set tmargin at screen Y(below + 1.95); set bmargin at screen Y(below + 0.45)\n"
        "set xlabel 'iteration (steps)'; set format x '%g'\n"
        "set ylabel 'alignment  cos θ'\n"
        "unset logscale y; unset mytics; set format y '%g'; set yrange [0:1.05]; set ytics 0.25\n"
        "plot for [i = 1:count] data using (strcol('method') eq word(methods, i) ? column('step') : NaN):"
        "'alignment' with linespoints ls line(word(methods, i)) pi every(i) notitle\n"
        "unset multiplot\n",
        gnuplot);
}

const Figure figure_matrix = {
    .name = "matrix",
    .title = "a real matrix: excess loss and alignment against steps",
    .inputs = {{.file = "matrix.csv", .texts = "method", .numbers = "step,excess,alignment"}},
    .command = "seesaw theory run --matrix FILE --rank R --out DIR/matrix.csv",
    .width = 5.5,
    .height = 4.6,
    .draw = draw,
};
