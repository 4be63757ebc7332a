/* rates.c: the contraction factor a step against c at one k: predicted (lines) and measured (points). */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "rates.csv");
  style_methods(gnuplot);
  fputs("set lmargin at screen X(0.68); set rmargin at screen X(width - 1.55)\n"
        "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.12)\n"
        "set xlabel 'cosine  c = a·b  (dimensionless)'\n"
        "set ylabel 'contraction factor (per step)' offset 1, 0\n"
        "set xrange [*:*]; set yrange [0:1.05]\n"
        "set key at screen X(width - 1.48), screen 1 - Y(0.12) left top Left reverse samplen 2.2 title 'line: "
        "predicted' . \"\\n\" . 'point: measured' left font small\n"
        "pick(m) = strcol('rule') eq 'k' && strcol('method') eq m ? column('cosine') : NaN\n"
        "plot for [m in methods] data using (pick(m)):'predicted' with lines ls line(m) notitle, "
        "for [m in methods] data using (pick(m)):'measured' with points ls line(m) notitle, "
        "for [m in methods] keyentry with linespoints ls line(m) title title(m)\n",
        gnuplot);
}

const Figure figure_rates = {
    .name = "rates",
    .title = "contraction factor a step against c: predicted and measured",
    .inputs =
        {{.file = "rates.csv", .texts = "method,rule", .numbers = "cosine,predicted,measured", .only = {"rule", "k"}}},
    .command = "seesaw theory rates --out DIR/rates.csv",
    .width = 5.5,
    .height = 3.6,
    .draw = draw,
};
