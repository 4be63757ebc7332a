/* bifurcation.c: where tau stays after a transient, against k = eta (1 + c): simultaneous and alternating descent. */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "bifurcation.csv");
  fputs("from = 1e300; to = -1e300; low = 1e300; high = -1e300\n"
        "stats data using (k = column('k'), t = column('tau'), from = k < from ? k : from, to = k > to ? k : to, "
        "low = t < low && t > -3 ? t : low, high = t > high && t < 3 ? t : high, 0) nooutput\n"
        "set multiplot\n"
        "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.3)\n"
        "margin = 0.05 * (high - low)\n"
        "set xrange [from:to]; set yrange [low - margin:high + margin]\n"
        "set xlabel 'step size  k = η(1 + c)  (dimensionless)'\n"
        "do for [k = 1:2] { if (from < k && k < to) { set arrow k from k, graph 0 to k, graph 1 nohead back lw 0.8 dt "
        "'-' "
        "lc rgb grey } }\n"
        "half = (width - 0.68 - 0.25) / 2\n"
        "pick(m) = strcol('method') eq m ? column('k') : NaN\n"
        "set ylabel 'τ on the attractor  (dimensionless)' offset 1, 0\n"
        "set lmargin at screen X(0.62); set rmargin at screen X(0.62 + half)\n"
        "set title 'GD (simultaneous)' offset 0, -0.6\n"
        "plot data using (pick('gd')):'tau' with points pt 7 ps 0.06 lc rgb '#900072B2' notitle\n"
        "unset label 999; unset ylabel; set format y ''\n"
        "set lmargin at screen X(0.62 + half + 0.18); set rmargin at screen X(0.62 + 2 * half + 0.18)\n"
        "set title 'AltGD (alternating)'\n"
        "plot data using (pick('altgd')):'tau' with points pt 7 ps 0.06 lc rgb '#90D55E00' notitle\n"
        "unset multiplot\n",
        gnuplot);
}

const Figure figure_bifurcation = {
    .name = "bifurcation",
    .title = "the attractor's tau against k: simultaneous and alternating gradient descent",
    .inputs = {{.file = "bifurcation.csv", .texts = "method", .numbers = "k,tau"}},
    .command = "seesaw theory bifurcation --out DIR/bifurcation.csv",
    .width = 6.8,
    .height = 3.2,
    .draw = draw,
};
