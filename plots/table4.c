/* table4.c: table 4 as bars: for each family of questions and row ours, with its interval, and the paper's beside it.
 */
#include "style.h"

/* full(n): the name in full: gnuplot cuts a cell in quotes at its comma.
 * slot[i]: the place of the file's i-th line among those that the paper has too; 0: it has no place. */
static const char SLOTS[] =
    "full(n) = strcol('views') eq 'both' || strstrt(n, ', only ') ? n : n . ', only ' . "
    "(strcol('views') eq 'local' ? 'Local' : 'Global')\n"
    "array slot[1000]; array label[1000]; count = 0\n"
    "stats data using (i = int(column(0)) + 1, slot[i] = strcol('exist_paper') eq 'nan' ? 0 : (count = count + 1), "
    "slot[i] ? (label[count] = full(strcol('name'))) : 0, 0) nooutput\n"
    "row = 0; span = count + 1.6; families = 'exist relate reason read probe'; benchmarks = 'POPE GQA SQA VQA-T "
    "AMBER'\n"
    "at(f) = slot[int(column(0)) + 1] ? (f - 1) * span + slot[int(column(0)) + 1] : NaN\n"
    "of(f, what) = word(families, f) . what\n";

static const char PLOT[] =
    "set lmargin at screen X(0.6); set rmargin at screen X(width - 1.95)\n"
    "set bmargin at screen Y(below + 0.42); set tmargin at screen 1 - Y(0.12)\n"
    "set yrange [0:100]; set ylabel 'percent' offset 1, 0; set xrange [0:5 * span - 0.6]\n"
    "set xtics ('' 0) scale 0; set for [f = 1:5] xtics add (word(families, f) . \"\\n\" . word(benchmarks, f) "
    "((f - 1) * span + (count + 1) / 2.0)); unset grid; set grid y\n"
    "set key at screen X(width - 1.88), screen 1 - Y(0.12) left top Left reverse samplen 1.2 spacing 1.25 noenhanced "
    "title 'filled: ours; hollow: the paper' left font small\n"
    "set style fill solid 0.85 border rgb '#404040'\n"
    "plot for [f = 1:5] data using (at(f) + 0.21):(column(of(f, '_paper'))):(0.42) "
    "with boxes lw 0.5 lc rgb '#606060' fs empty notitle, "
    "for [f = 1:5] for [r = 1:count] data using (slot[int(column(0)) + 1] == r ? at(f) - 0.21 : NaN):"
    "(column(of(f, '_mean'))):(0.42) with boxes lw 0.3 lc rgb tint(r) fs solid (r > 8 ? 0.4 : 0.85) notitle, "
    "for [f = 1:5] data using (at(f) - 0.21):(column(of(f, '_low'))):(0):(column(of(f, '_high')) - column(of(f, "
    "'_low'))) "
    "with vectors heads size screen 0.003, 90 lw 0.7 lc rgb black notitle, "
    "for [r = 1:count] keyentry with boxes lw 0.3 lc rgb tint(r) fs solid (r > 8 ? 0.4 : 0.85) title label[r]\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "table4.csv");
  fputs(SLOTS, gnuplot);
  fputs(PLOT, gnuplot);
}

const Figure figure_table4 = {
    .name = "table4",
    .set = FIGURES_ABLATION,
    .title = "table 4 as bars, ours with 95 % intervals beside the paper's",
    .inputs = {{.file = "table4.csv",
                .texts = "id,views",
                .labels = "name",
                .numbers = "seeds,exist_mean,exist_low,exist_high,exist_paper,relate_mean,relate_low,relate_high,"
                           "relate_paper,reason_mean,reason_low,reason_high,reason_paper,read_mean,read_low,read_high,"
                           "read_paper,probe_mean,probe_low,probe_high,probe_paper"}},
    .command = "seesaw table 4 --results DIR --csv DIR/table4.csv",
    .width = 7.6,
    .height = 3.4,
    .draw = draw,
};
