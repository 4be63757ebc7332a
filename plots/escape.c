/* escape.c: steps to leave the saddle against how close the start is to its stable set. */
#include "style.h"

/* The pairs (c, eta) that the file holds, as words "c/eta". */
static const char PAIRS[] =
    "pair(c, eta) = sprintf('%g/%g', c, eta)\n"
    "cut(p) = strstrt(p, '/')\n"
    "named(p) = sprintf('c = %s, η = %s', p[1:cut(p) - 1], p[cut(p) + 1:*])\n"
    "pairs = ''\n"
    "stats data using (p = pair(column('cosine'), column('eta')), strstrt(pairs . ' ', ' ' . p . ' ') ? 0 : "
    "(pairs = pairs . ' ' . p), 0) nooutput\n"
    "count = words(pairs)\n"
    "away(i) = pair(column('cosine'), column('eta')) eq word(pairs, i) ? abs(column('log10_tau0')) : NaN\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "escape.csv");
  fputs(PAIRS, gnuplot);
  fputs("stats data using (positive(abs(column('log10_tau0')))) name 'away' nooutput\n"
        "stats data using (positive(column('steps'))) name 'steps' nooutput\n"
        "stats data using (positive(column('predicted'))) name 'flow' nooutput\n"
        "low = steps_min < flow_min ? steps_min : flow_min\n"
        "set lmargin at screen X(0.72); set rmargin at screen X(width - 2.05)\n"
        "set bmargin at screen Y(below + 0.45); set tmargin at screen 1 - Y(0.12)\n"
        "set xlabel 'log_{10}(1/|τ_0|)  (dimensionless)'\n"
        "set ylabel 'escape time  (steps)' offset 1, 0\n"
        "set logscale xy; set format y '10^{%T}'\n"
        "set xrange [away_min / 1.25:away_max * 1.25]; set yrange [low / 1.6:steps_max * 1.6]\n"
        "set key at screen X(width - 1.98), screen 1 - Y(0.12) left top Left reverse samplen 2.2 title 'points: "
        "measured' left font small\n"
        "plot for [i = 1:count] data using (away(i)):'exact' with lines lw 1 lc rgb tint(i) notitle, "
        "for [i = 1:count] data using (away(i)):'predicted' with lines lw 1 dt '-' lc rgb tint(i) notitle, "
        "for [i = 1:count] data using (away(i)):'steps' with points pt mark(i) ps 0.8 lw 1.2 lc rgb tint(i) notitle, "
        "for [i = 1:count] keyentry with points pt mark(i) ps 0.8 lw 1.2 lc rgb tint(i) title named(word(pairs, i)), "
        "keyentry with lines lw 1 lc rgb grey title 'ln(1/|τ_0|) / ln(1 + 2cη)', "
        "keyentry with lines lw 1 dt '-' lc rgb grey title 'ln(1/|τ_0|) / (2cη)'\n",
        gnuplot);
}

const Figure figure_escape = {
    .name = "escape",
    .title = "steps to escape the saddle against the start's distance from its stable set",
    .inputs = {{.file = "escape.csv", .texts = "", .numbers = "cosine,eta,log10_tau0,steps,predicted,exact"}},
    .command = "seesaw theory escape --out DIR/escape.csv",
    .width = 6.0,
    .height = 3.6,
    .draw = draw,
};
