/* kept.c: the router at test time: tokens kept as gamma falls, and what that costs in relations and in reading. */
#include "style.h"

static const char PLOT[] =
    "do for [i = 1:3] {\n"
    "  eval panel(i); set title word('kept relate read', i) eq 'kept' ? 'tokens kept' : word('kept relate read', i) "
    "offset 0, -0.7\n"
    "  set format y '%h'; set yrange [(i == 1 ? 0 : low):(i == 1 ? 1.02 : high)]\n"
    "  set ylabel i == 1 ? 'share kept' : i == 2 ? 'percent' : '' offset 1, 0\n"
    "  plot for [j = 1:words(rows)] data using (pick(j)):(level(i)) smooth unique with lines lw 1.2 lc rgb tint(j) "
    "dt dash(j) notitle, "
    "for [j = 1:words(rows)] data using (pick(j)):(level(i)) with points pt mark(j) ps 0.5 lc rgb tint(j) notitle, "
    "for [j = 1:words(rows)] keyentry with linespoints pt mark(j) ps 0.5 lw 1.2 lc rgb tint(j) dt dash(j) "
    "title i == 1 ? word(rows, j) : ''\n"
    "  unset label 999; unset key\n"
    "}\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "router.csv");
  style_words(gnuplot, "row", "rows");
  style_row(gnuplot, "3", 1.45, 0.3, 0.45);
  style_key(gnuplot, 1.38, 0.3);
  fputs("label = ''; gap = 0.62; side = (width - left - 1.45 - 2 * gap) / 3\n"
        "stats data using (column('relate') > column('read') ? column('relate') : column('read')) name 'top' nooutput\n"
        "stats data using (column('relate') < column('read') ? column('relate') : column('read')) name 'bottom' "
        "nooutput\n"
        "scale = top_max <= 1 ? 100 : 1\n" /* fractions or percent */
        "rim = scale * (top_max > bottom_min ? 0.08 * (top_max - bottom_min) : 0.01)\n"
        "low = scale * bottom_min - rim; high = scale * top_max + rim\n"
        "level(i) = i == 1 ? column('kept_share') : scale * column(i == 2 ? 'relate' : 'read')\n"
        "pick(j) = strcol('row') eq word(rows, j) ? column('gamma') : NaN\n"
        "set xlabel 'γ'; set xrange [0:1.08]; set xtics 0.25\n"
        "set multiplot\n"
        "set key title 'mean; points: seeds' left font small\n",
        gnuplot);
  fputs(PLOT, gnuplot);
  fputs("unset multiplot\n", gnuplot);
}

const Figure figure_kept = {
    .name = "kept",
    .set = FIGURES_ABLATION,
    .title = "tokens that the router keeps against gamma, and accuracy on relations and reading",
    .inputs = {{.file = "router.csv", .texts = "row", .numbers = "gamma,kept_share,relate,read"}},
    .command = "seesaw ablate probe --model experiments/pairs/small --results DIR",
    .width = 7.2,
    .height = 3.0,
    .draw = draw,
};
