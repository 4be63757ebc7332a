/* basin.c: what becomes of a start, over c and k: each point's colour mixes those of the outcomes by their fractions.
 */
#include "style.h"

/* Outcomes' colours, of different lightness, so that grey print tells them apart too. met[i]: outcome i occurs. */
static const char MIXTURE[] =
    "array outcome[6] = ['optimum', 'saddle', 'periodic', 'chaos', 'diverged', 'undecided']\n"
    "array spoken[6] = ['optimum', 'saddle', 'periodic', 'chaotic', 'diverged', 'undecided']\n"
    "array shade[6] = [0x08306B, 0xA569A8, 0xE69F00, 0xB23A00, 0xF6F6F6, 0xB4DFCB]\n"
    "array met[6]\n"
    "do for [i = 1:6] { met[i] = 0; stats data using outcome[i] nooutput name 'of'; if (of_max > 0) { met[i] = 1 } }\n"
    "part(value, shift) = (value >> shift) & 255\n"
    "mix(shift) = sum [i = 1:6] column(outcome[i]) * part(shade[i], shift)\n";

/* A cell of the grid is centred on its point: the axes reach half a cell beyond the ends. */
static const char RANGES[] = "stats data using 'cosine' name 'c' nooutput\n"
                             "stats data using 'k' name 'k' nooutput\n"
                             "stats data using (column('cosine') == c_min ? 1 : NaN) name 'column' nooutput\n"
                             "rows = column_records / count; columns = k_records / count / rows\n"
                             "half_c = columns > 1 ? (c_max - c_min) / (columns - 1) / 2.0 : 0.5\n"
                             "half_k = rows > 1 ? (k_max - k_min) / (rows - 1) / 2.0 : 0.5\n"
                             "set xrange [c_min - half_c:c_max + half_c]; set yrange [k_min - half_k:k_max + half_k]\n";

static const char KEY[] =
    "set style fill solid border rgb '#606060'\n"
    "set key at screen X(left + 2 * (side + gap) - 0.1), screen Y(low + 2 * side + high) left top Left reverse "
    "samplen 1.2 spacing 1.3 title 'outcomes, mixed by' . \"\\n\" . 'fraction of starts' left font small\n";

static const char PANELS[] =
    "shown = count < 4 ? count : 4\n"
    "do for [i = 1:shown] {\n"
    "  m = word(methods, i); across = (i - 1) % 2; up = i < 3\n"
    "  x = left + across * (side + gap); y = low + up * (side + high)\n"
    "  set lmargin at screen X(x); set rmargin at screen X(x + side)\n"
    "  set bmargin at screen Y(y); set tmargin at screen Y(y + side)\n"
    "  set title title(m) . (m eq 'als' || m eq 'jacobi' ? ' (has no step)' : '') offset 0, -0.7\n"
    "  if (across) { set format y ''; unset ylabel } else { set format y '%h'; set ylabel 'k = η(1 + |c|)' offset 1, 0 "
    "}\n"
    "  if (up && i + 2 <= shown) { set format x ''; unset xlabel } else { set format x '%h'; set xlabel 'cosine  c' "
    "offset 0, 0.6 }\n"
    "  limit = m eq 'gd' ? 1.0 : m eq 'altgd' ? 2.0 : NaN\n"
    "  if (k_min < limit && limit < k_max) {\n"
    "    set arrow 1 from graph 0, first limit to graph 1, first limit nohead front lw 1.6 lc rgb white\n"
    "    set arrow 2 from graph 0, first limit to graph 1, first limit nohead front lw 1 dt '-' lc rgb black\n"
    "  }\n"
    "  plot data using (strcol('method') eq m ? column('cosine') : NaN):'k':(mix(16)):(mix(8)):(mix(0)) with rgbimage "
    "notitle, for [j = 1:6] keyentry with boxes lc rgb shade[j] title met[j] && i == 1 ? spoken[j] : '', "
    "keyentry with lines lw 1 dt '-' lc rgb black title i == 1 ? 'stability limit' : ''\n"
    "  unset label 999; unset arrow; unset key\n"
    "}\n";

static void draw(FILE *gnuplot, const char *folder) {
  style_data(gnuplot, folder, "basin.csv");
  style_methods(gnuplot);
  fputs("white = '#FFFFFF'; left = 0.62; side = 2.1; gap = 0.22; high = 0.36; low = below + 0.52\n", gnuplot);
  fputs(MIXTURE, gnuplot);
  fputs(RANGES, gnuplot);
  fputs("set multiplot\n"
        "unset grid; set tics front out; set xtics 0.2; set ytics 0.5\n",
        gnuplot);
  fputs(KEY, gnuplot);
  fputs(PANELS, gnuplot);
  fputs("unset multiplot\n", gnuplot);
}

const Figure figure_basin = {
    .name = "basin",
    .title = "what becomes of a start over c and k, for GD, AltGD, ALS and Jacobi",
    .inputs = {{.file = "basin.csv",
                .texts = "method",
                .numbers = "cosine,k,optimum,saddle,periodic,chaos,diverged,undecided"}},
    .command = "seesaw theory sweep --method gd,altgd,als,jacobi --out DIR/basin.csv",
    .width = 6.6,
    .height = 5.4,
    .draw = draw,
};
