/* phase.c: the (tau, nu) plane: the flow's field and stationary points, trajectories of the flow and of gradient
 * descent. */
#include "style.h"

/* Which runs there are, c, and how far they reach (up to 2: a run that leaves is cut off by the frame). */
static const char RUNS[] = "c = 0; extent = 1.25; runs = ''\n"
                           "stats data using (c = column('cosine'), t = abs(column('tau')), n = abs(column('nu')), "
                           "extent = t > extent && t < 2 ? t : extent, extent = n > extent && n < 2 ? n : extent, "
                           "r = strcol('kind') . '/' . strcol('trajectory'), "
                           "strstrt(runs . ' ', ' ' . r . ' ') ? 0 : (runs = runs . ' ' . r), 0) nooutput\n"
                           "extent = 1.05 * extent\n"
                           "of(r) = strcol('kind') . '/' . strcol('trajectory') eq r ? column('tau') : NaN\n"
                           "flow(r) = strstrt(r, 'flow/') == 1\n";

/* The field of Eq. 6 by its formula, as a table of arrows all of one length, centred on their points. */
static const char FIELD[] = "grain = 19; reach = 1.3 * extent / grain\n"
                            "norm2(t, n) = (1 + c) * t ** 2 + (1 - c) * n ** 2\n"
                            "dtau(t, n) = (1 + c - norm2(t, n)) * t\n"
                            "dnu(t, n) = (1 - c - norm2(t, n)) * n\n"
                            "at(i) = 0.95 * extent * (2.0 * i / (grain - 1) - 1)\n"
                            "set print $field\n"
                            "print 'tau,nu,dtau,dnu'\n"
                            "do for [i = 0:grain - 1] { do for [j = 0:grain - 1] {\n"
                            "  t = at(i); n = at(j); x = dtau(t, n); y = dnu(t, n); length = sqrt(x ** 2 + y ** 2)\n"
                            "  if (length > 1e-9) {\n"
                            "    x = reach * x / length; y = reach * y / length\n"
                            "    print sprintf('%.6f,%.6f,%.6f,%.6f', t - x / 2, n - y / 2, x, y)\n"
                            "  }\n"
                            "} }\n"
                            "unset print\n";

/* Which stationary points attract depends on the sign of c; at c = 0 the whole unit circle is stationary and optimal.
 * The first line of a data block is its header. */
static const char STATIONARY[] =
    "$pair << END\nx\n1\n-1\nEND\n"
    "$one << END\nx\n0\nEND\n"
    "if (c == 0) { set object 1 circle at 0, 0 size first 1 front fillstyle empty border rgb black lw 2 }\n";

static const char FRAME[] =
    "box = 3.7; left = 0.62; bottom = below + 0.46\n"
    "set lmargin at screen X(left); set rmargin at screen X(left + box)\n"
    "set bmargin at screen Y(bottom); set tmargin at screen Y(bottom + box)\n"
    "set xrange [-extent:extent]; set yrange [-extent:extent]\n"
    "set xtics 0.5; set ytics 0.5; unset grid\n"
    "set xlabel 'τ  (dimensionless)'; set ylabel 'ν  (dimensionless)' offset 1, 0\n"
    "set key at screen X(left + box + 0.1), screen Y(bottom + box) left top Left reverse samplen 1.8\n"
    "set style arrow 1 head size graph 0.009, 25 filled lw 0.6 lc rgb '#B8B8B8'\n"
    "set style line 21 lw 1.3 lc rgb orange\n"
    "set style line 22 lw 0.8 pt 7 ps 0.28 lc rgb blue\n"
    "set style line 23 lw 1.6 pt 6 ps 1.1 lc rgb black\n"
    "set style line 24 lw 1.0 pt 7 ps 1.2 lc rgb black\n"
    "set style line 25 lw 1.6 pt 12 ps 1.3 lc rgb black\n"
    "set style line 26 lw 1.6 pt 7 ps 1.1 lc rgb '#FFFFFF'\n"
    "set style line 27 lw 1.6 pt 13 ps 1.3 lc rgb '#FFFFFF'\n";

static const char PLOT[] =
    "plot $field using 1:2:3:4 with vectors as 1 notitle, "
    "for [r in runs] data using (flow(r) ? of(r) : NaN):'nu' with lines ls 21 notitle, "
    "for [r in runs] data using (flow(r) ? NaN : of(r)):'nu' with linespoints ls 22 notitle, "
    "for [s in '26 23'] $one using 1:1 with points ls int(s) notitle, "
    "$pair using (c > 0 ? $1 : 0):(c < 0 ? $1 : c > 0 ? 0 : NaN) with points ls 24 notitle, "
    "for [s in '27 25'] $pair using (c < 0 ? $1 : 0):(c > 0 ? $1 : c < 0 ? 0 : NaN) with points ls int(s) notitle, "
    "keyentry with vectors as 1 title 'direction of the flow', "
    "keyentry with lines ls 21 title 'flow', "
    "keyentry with linespoints ls 22 title 'GD, a dot a step', "
    "keyentry with points ls 23 title 'source', "
    "keyentry with points ls 24 title 'sink: the optimum', "
    "keyentry with points ls 25 title 'saddle'\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "phase.csv");
  fputs(RUNS, gnuplot);
  fputs(FIELD, gnuplot);
  fputs(STATIONARY, gnuplot);
  fputs(FRAME, gnuplot);
  fputs(PLOT, gnuplot);
}

const Figure figure_phase = {
    .name = "phase",
    .title = "phase plane: the flow's field, its stationary points, trajectories of GD and the flow",
    .inputs = {{.file = "phase.csv", .texts = "trajectory,kind", .numbers = "cosine,tau,nu"}},
    .command = "seesaw theory phase --out DIR/phase.csv",
    .width = 6.05,
    .height = 4.29,
    .draw = draw,
};
