/* figure1.c: the paper's figure 1: what alternating training is worth, with query tokens alone and with local features.
 */
#include "style.h"

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "figure1.csv");
  fputs("array label[1000]; count = 0\n"
        "stats data using (count = count + 1, label[count] = strcol('name'), 0) nooutput\n"
        "set lmargin at screen X(0.75); set rmargin at screen X(width - 0.12)\n"
        "set bmargin at screen Y(below + 0.3); set tmargin at screen 1 - Y(0.5)\n"
        "set xrange [0.4:count + 0.6]; set yrange [0:*]\n"
        "set ylabel 'ratio to local features, alternating' offset 1, 0; unset grid; set grid y\n"
        "set xtics ('' 0) scale 0 noenhanced; set for [i = 1:count] xtics add (label[i] i)\n"
        "set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead back lw 0.8 dt '-' lc rgb grey\n"
        "set key at graph 0.5, screen 1 - Y(0.08) center top samplen 1.2\n"
        "plot data using (column(0) + 0.81):'ratio':(0.36) with boxes lw 0.4 lc rgb blue fs solid 0.85 "
        "title 'ours, with its 95 % interval', "
        "data using (column(0) + 1.19):'ratio_paper':(0.36) with boxes lw 0.8 lc rgb '#606060' fs empty "
        "title 'the paper', "
        "data using (column(0) + 0.81):'ratio_low':(0):(column('ratio_high') - column('ratio_low')) "
        "with vectors heads size screen 0.008, 90 lw 1 lc rgb black notitle\n",
        gnuplot);
}

const Figure figure_figure1 = {
    .name = "figure1",
    .set = FIGURES_ABLATION,
    .title = "figure 1: ratios to local features with alternating training, ours and the paper's",
    .inputs =
        {{.file = "figure1.csv", .texts = "id", .labels = "name", .numbers = "ratio,ratio_low,ratio_high,ratio_paper"}},
    .note = "Means over five families of questions of the ratio to Local w. alt. The paper's bars are derived from its "
            "table 4;\nfor qformer and qformer w. alt it prints no number.",
    .command = "seesaw table figure1 --results DIR --csv DIR/figure1.csv",
    .width = 5.5,
    .height = 3.4,
    .draw = draw,
};
