/* gradients.c: how hard each part of the bridge and the decoder is pulled at, and how much of the update it gets. */
#include "style.h"

/* A column of panels for each phase of the two rows that the paper compares, or of the file's first rows without them.
 */
static const char PANELS[] =
    "pairs = ''\n"
    "wanted = strstrt(rows . ' ', ' alternating ') || strstrt(rows . ' ', ' e2e ') ? ' alternating e2e ' : "
    "' ' . word(rows, 1) . ' ' . word(rows, 2) . ' '\n"
    "stats data using (p = strcol('row') . '/' . strcol('phase'), strstrt(wanted, ' ' . strcol('row') . ' ') && "
    "!strstrt(pairs . ' ', ' ' . p . ' ') ? (pairs = pairs . ' ' . p) : 0, 0) nooutput\n"
    "shown = words(pairs) < 6 ? words(pairs) : 6\n";

static const char PLOT[] =
    "  plot for [j = 1:words(groups)] data using (strcol('row') . '/' . strcol('phase') eq word(pairs, i) && "
    "strcol('group') eq word(groups, j) ? column('step') : NaN):(kind == 1 ? positive(column('gradient_norm')) : "
    "column('update_share')) smooth unique with lines lw 1.2 lc rgb tint(j) dt dash(j) notitle, "
    "for [j = 1:words(groups)] keyentry with lines lw 1.2 lc rgb tint(j) dt dash(j) title i == 1 && kind == 1 ? "
    "word(groups, j) : ''\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "probes.csv");
  style_words(gnuplot, "row", "rows");
  style_words(gnuplot, "group", "groups");
  fputs(PANELS, gnuplot);
  fputs("smallest = 1e300; largest = 0\n"
        "stats data using (g = column('gradient_norm'), g > 0 && g < smallest ? (smallest = g) : 0, "
        "g > largest && g < 1e300 ? (largest = g) : 0, 0) nooutput\n"
        "if (largest == 0) { smallest = 0.1; largest = 1 }\n"
        "stats data using 'step' nooutput name 'step'; set xrange [0:step_max > 0 ? step_max : 1]; set xtics "
        "tick(step_max), tick(step_max); set "
        "multiplot\n"
        "set key at screen X(width - 1.28), screen 1 - Y(0.3) left top Left reverse noenhanced samplen 2.2\n"
        "kind = 1; label = 'gradient norm'; set logscale y; set format x ''\n"
        "set yrange [smallest / 1.5:largest * 1.5]\n",
        gnuplot);
  style_row(gnuplot, "shown", 1.35, 0.5, 2.3);
  fputs("do for [i = 1:shown] {\n"
        "  eval panel(i); p = word(pairs, i); slash = strstrt(p, '/')\n"
        "  set title p[1:slash - 1] . \"\\n\" . p[slash + 1:*] offset 0, -0.7 noenhanced\n",
        gnuplot);
  fputs(PLOT, gnuplot);
  fputs("  unset label 999; unset key\n}\n"
        "kind = 2; label = 'share of the update'; unset logscale y; set format x '%h'; unset title; set xlabel 'step'\n"
        "set yrange [0:*]\n"
        "stats data using 'update_share' name 'share' nooutput\n"
        "set yrange [0:share_max > 0 ? 1.05 * share_max : 1]\n",
        gnuplot);
  style_row(gnuplot, "shown", 1.35, 2.2, 0.45);
  fputs("do for [i = 1:shown] {\n  eval panel(i)\n", gnuplot);
  fputs(PLOT, gnuplot);
  fputs("}\nunset multiplot\n", gnuplot);
}

const Figure figure_gradients = {
    .name = "gradients",
    .set = FIGURES_ABLATION,
    .title = "gradient norm and share of the update by group of parameters and phase, mean over seeds",
    .inputs = {{.file = "probes.csv", .texts = "row,phase,group", .numbers = "step,gradient_norm,update_share"}},
    .command = "seesaw ablate probe --model experiments/pairs/small --results DIR",
    .width = 7.6,
    .height = 4.4,
    .draw = draw,
};
