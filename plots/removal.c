/* removal.c: does a model use its local tokens? The loss when one kind of token is taken away or comes from another
 * picture. */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "loss_probes.csv");
  style_words(gnuplot, "row", "rows");
  fputs("states = 'full/full removed/full shuffled/full full/removed full/shuffled'\n"
        "array spoken[5] = ['all tokens', 'local removed', 'local shuffled', 'global removed', 'global shuffled']\n"
        "array shade[5] = [black, blue, sky, vermilion, orange]\n"
        "slot(j) = strcol('local') . '/' . strcol('global') eq word(states, j) && strcol('views') eq 'both' ? "
        "6.5 * (sum [i = 1:words(rows)] (word(rows, i) eq strcol('row') ? i - 1 : 0)) + j : NaN\n"
        "set lmargin at screen X(0.68); set rmargin at screen X(width - 1.55)\n"
        "set bmargin at screen Y(below + 0.75); set tmargin at screen 1 - Y(0.12)\n"
        "set ylabel 'loss  (nats a token)' offset 1, 0; set yrange [0:*]; set xrange [0:6.5 * words(rows) - 0.5]\n"
        "unset grid; set grid y; set xtics ('' 0) scale 0 rotate by 30 right noenhanced\n"
        "set for [i = 1:words(rows)] xtics add (word(rows, i) 6.5 * i - 3.5)\n"
        "set key at screen X(width - 1.48), screen 1 - Y(0.12) left top Left reverse samplen 1.2\n"
        "set boxwidth 0.9; set style fill solid 0.85\n"
        "plot for [j = 1:5] data using (slot(j)):'loss' smooth unique with boxes lw 0.4 lc rgb shade[j] notitle, "
        "for [j = 1:5] data using (slot(j)):'loss' with points pt 1 ps 0.35 lw 0.7 lc rgb (j == 1 ? grey : black) "
        "notitle, "
        "for [j = 1:5] keyentry with boxes lw 0.4 lc rgb shade[j] title spoken[j], "
        "keyentry with points pt 1 ps 0.35 lw 0.7 lc rgb black title 'a seed'\n",
        gnuplot);
}

const Figure figure_removal = {
    .name = "removal",
    .set = FIGURES_ABLATION,
    .title = "loss with local or global tokens removed or shuffled, one group a row",
    .inputs =
        {{.file = "loss_probes.csv", .texts = "row,views,local,global", .numbers = "loss", .only = {"views", "both"}}},
    .command = "seesaw ablate probe --model experiments/pairs/small --results DIR",
    .width = 7.2,
    .height = 3.6,
    .draw = draw,
};
