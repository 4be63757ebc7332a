/* tokens.c: what picture tokens buy: accuracy of the rows of table 3 that vary their number. */
#include "style.h"

static const char PLOT[] =
    "families = 'exist relate reason read probe'; benchmarks = 'POPE GQA SQA VQA-T AMBER'\n"
    "set lmargin at screen X(0.68); set rmargin at screen X(width - 1.75)\n"
    "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.12)\n"
    "set pointintervalbox 0; set xlabel 'picture tokens a sample, mean'; set ylabel 'percent' offset 1, 0; set offsets "
    "graph 0.05, 0.05, 0.05, "
    "0.05\n"
    "set key at screen X(width - 1.68), screen 1 - Y(0.12) left top Left reverse samplen 2.2\n"
    "tokens(start) = strstrt(strcol('id'), start) == 1 ? column('image_tokens') : NaN\n"
    "plot for [f = 1:5] data using (tokens('nq')):word(families, f) . '_mean' smooth unique with lines lw 1.2 "
    "lc rgb tint(f) notitle, "
    "for [f = 1:5] data using (tokens('gamma')):word(families, f) . '_mean' smooth unique with lines lw 1.2 dt '-' "
    "lc rgb tint(f) notitle, "
    "for [f = 1:5] for [start in 'nq gamma'] data using (tokens(start)):word(families, f) . '_mean':"
    "word(families, f) . '_low':word(families, f) . '_high' with yerrorbars lw 0.8 pt mark(f) ps 0.7 lc rgb tint(f) "
    "notitle, "
    "for [f = 1:5] keyentry with points pt mark(f) ps 0.7 lc rgb tint(f) title word(families, f) . ' (' . "
    "word(benchmarks, f) . ')', "
    "keyentry with lines lw 1.2 lc rgb grey title 'N_q varies', "
    "keyentry with lines lw 1.2 dt '-' lc rgb grey title 'γ varies'\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "table3.csv");
  fputs(PLOT, gnuplot);
}

const Figure figure_tokens = {
    .name = "tokens",
    .set = FIGURES_ABLATION,
    .title = "accuracy against picture tokens, as N_q and gamma vary",
    .inputs = {{.file = "table3.csv",
                .texts = "id",
                .numbers =
                    "image_tokens,exist_mean,exist_low,exist_high,relate_mean,relate_low,relate_high,reason_mean,"
                    "reason_low,reason_high,read_mean,read_low,read_high,probe_mean,probe_low,probe_high"}},
    .command = "seesaw table 3 --results DIR --csv DIR/table3.csv",
    .width = 6.0,
    .height = 3.6,
    .draw = draw,
};
