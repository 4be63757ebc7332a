/* phases.c: a panel for each phase of training. */
#include "phases.h"

#include "style.h"

void phases_draw(FILE *gnuplot, const char *folder, const char *file, const char *column, const char *label) {
  style_data(gnuplot, folder, file);
  style_words(gnuplot, "row", "rows");
  style_words(gnuplot, "phase", "phases");
  fputs("before = ''; do for [p in phases] { if (p ne 'stage3') { before = before . ' ' . p } }\n" /* all rows' last */
        "if (strstrt(phases . ' ', ' stage3 ')) { phases = before . ' stage3' }\n",
        gnuplot);
  style_row(gnuplot, "words(phases)", 1.55, 0.3, 0.45);
  fprintf(gnuplot, "column = '%s'; label = '%s'\nstats data using column nooutput name 'all'\n", column, label);
  style_key(gnuplot, 1.48, 0.3);
  fputs(
      "stats data using 'step' nooutput name 'step'; set xtics tick(step_max), tick(step_max)\n"
      "array ends[words(phases)]; do for [i = 1:words(phases)] { ends[i] = 1 }\n"
      "stats data using (sum [i = 1:words(phases)] (strcol('phase') eq word(phases, i) && column('step') > ends[i] ? "
      "(ends[i] = column('step')) : 0), 0) nooutput\n"
      "rim = all_max > all_min ? 0.05 * (all_max - all_min) : 0.5\n"
      "set yrange [all_min - rim:all_max + rim]; set xlabel 'step'\n"
      "set multiplot\n"
      "do for [i = 1:words(phases)] {\n"
      "  eval panel(i); p = word(phases, i); set xrange [0:ends[i]]\n"
      "  set title 'phase ' . p offset 0, -0.7 noenhanced\n"
      "  plot for [j = 1:words(rows)] data using (strcol('row') eq word(rows, j) && strcol('phase') eq p ? "
      "column('step') : NaN):column smooth unique with lines lw 1.2 lc rgb tint(j) dt dash(j) notitle, "
      "for [j = 1:words(rows)] keyentry with lines lw 1.2 lc rgb tint(j) dt dash(j) title i == 1 ? word(rows, j) : ''\n"
      "  unset label 999; unset key\n"
      "}\n"
      "unset multiplot\n",
      gnuplot);
}
