/* iterations.c: iterations to 1e-12 against c, each method at its best step: what comes from alternating, what from
 * preconditioning. */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "iterations.csv");
  style_methods(gnuplot);
  fputs("set lmargin at screen X(0.72); set rmargin at screen X(width - 1.55)\n"
        "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.12)\n"
        "set xlabel 'cosine  c = a·b  (dimensionless)'\n"
        "set ylabel 'iterations to 10^{−12}  (steps)' offset 1, 0\n"
        "best(m) = strcol('rule') eq 'best' && (strcol('method') eq m || m eq '') ? positive(column('cosine')) : NaN\n"
        "stats data using (best('')):(positive(column('iterations'))) name 'all' nooutput\n"
        "set xrange [all_min_x / 1.15:1]; set yrange [all_min_y / 1.6:all_max_y * 1.6]\n"
        "set logscale xy; set format x '10^{%T}'; set format y '10^{%T}'\n"
        "set key at screen X(width - 1.48), screen 1 - Y(0.12) left top Left reverse samplen 2.2 \\\n"
        "  title 'median over starts;' . \"\\n\" . 'a line ends where' . \"\\n\" . 'under half arrive' "
        "left font small\n"
        "plot for [m in methods] data using (best(m)):(positive(column('iterations'))) with linespoints ls line(m) "
        "title title(m)\n",
        gnuplot);
}

const Figure figure_iterations = {
    .name = "iterations",
    .title = "iterations to 1e-12 against c, each method at its best step",
    .inputs =
        {{.file = "iterations.csv", .texts = "method,rule", .numbers = "cosine,iterations", .only = {"rule", "best"}}},
    .command = "seesaw theory rates --rule best --out DIR/iterations.csv",
    .width = 5.5,
    .height = 3.6,
    .draw = draw,
};
