/* style.c: terminals, colours, fonts and the caption, as gnuplot commands.
 *
 * Colours: Okabe and Ito, "Color universal design" (2008); the yellow is darkened to hold on white. Everything that a
 * colour tells is told by a dash pattern or a point shape as well, for grey print. */
#include "style.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "gnuplot.h"

#define FONT "DejaVu Sans"
static const double FONT_SIZE = 10, CAPTION_SIZE = 6.5, CAPTION_LINE = 0.125, CAPTION_GAP = 0.11; /* points; inches */
static const int PNG_WIDTH = 1600;

typedef struct MethodStyle {
  const char *name, *title, *colour, *dash;
  int point; /* gnuplot's shapes: 1 + 2 x 3 * 4 5 square 6 7 circle 8 9 triangle 10 11 down 12 13 diamond 14 15 pentagon
              */
} MethodStyle;

static const MethodStyle METHODS[] = {
    {"gd", "GD", "#0072B2", "solid", 7},
    {"altgd", "AltGD", "#D55E00", "solid", 9},
    {"als", "ALS", "#000000", "solid", 5},
    {"jacobi", "Jacobi", "#000000", "'.'", 4},
    {"scaledgd", "ScaledGD", "#56B4E9", "'-'", 6},
    {"altscaledgd", "AltScaledGD", "#E69F00", "'-'", 8},
    {"momentum", "Momentum", "#009E73", "'_.'", 13},
    {"balance", "Balancing", "#CC79A7", "'_'", 12},
    {"soft", "Soft alternation", "#A89F00", "'-..'", 11},
    {"flow", "Flow", "#808080", "'.'", 2},
};
enum { METHOD_COUNT = sizeof METHODS / sizeof METHODS[0] };

static void write_methods(FILE *gnuplot) {
  for (int i = 0; i < METHOD_COUNT; i++)
    fprintf(gnuplot, "set style line %d lc rgb '%s' dt %s lw 1.3 pt %d ps 0.6\n", i + 1, METHODS[i].colour,
            METHODS[i].dash, METHODS[i].point);
  fprintf(gnuplot, "set style line %d lc rgb '#808080' dt '-' lw 1.3 pt 3 ps 0.6\n", METHOD_COUNT + 1);
  fputs("line(m) = ", gnuplot);
  for (int i = 0; i < METHOD_COUNT; i++)
    fprintf(gnuplot, "m eq '%s' ? %d : ", METHODS[i].name, i + 1);
  fprintf(gnuplot, "%d\ntitle(m) = ", METHOD_COUNT + 1);
  for (int i = 0; i < METHOD_COUNT; i++)
    fprintf(gnuplot, "m eq '%s' ? '%s' : ", METHODS[i].name, METHODS[i].title);
  fputs("m\n", gnuplot);
}

/* Both terminals draw the same: a point is 1/72 inch in the PDF, and as large in the PNG as its pixels over the width.
 */
static void write_terminal(FILE *gnuplot, Picture picture, double width, double height, const char *path) {
  double scale = PNG_WIDTH / (72 * width);
  if (picture == PICTURE_PNG)
    fprintf(gnuplot,
            "set terminal pngcairo enhanced background '#ffffff' rounded size %d,%.0f font '" FONT
            ",%g' fontscale %.4f "
            "linewidth %.4f pointscale %.4f\n",
            PNG_WIDTH, PNG_WIDTH * height / width, FONT_SIZE, 0.75 * scale, scale, scale);
  else
    fprintf(gnuplot,
            "set terminal pdfcairo enhanced background '#ffffff' rounded size %.4fin,%.4fin font '" FONT
            ",%g' fontscale 0.75 "
            "linewidth 2 pointscale 1.2\n",
            width, height, FONT_SIZE);
  fputs("picture = ", gnuplot);
  gnuplot_path(gnuplot, path);
  fputs("\nset output picture\n", gnuplot);
}

static const char COMMON[] =
    "set encoding utf8\n"
    "set datafile separator comma\n"
    "set datafile columnheaders\n"
    "set datafile missing NaN\n"
    "black = '#000000'; blue = '#0072B2'; vermilion = '#D55E00'; green = '#009E73'; orange = '#E69F00'\n"
    "sky = '#56B4E9'; purple = '#CC79A7'; grey = '#707070'; pale = '#D8D8D8'\n"
    "small = '" FONT ",8.5'\n"
    "set border lw 0.6 lc rgb '#404040'\n"
    "set grid lt 1 lw 0.4 lc rgb '#E2E2E2' dt solid\n"
    "set tics nomirror scale 0.6 textcolor rgb black font small\n"
    "set key font small samplen 2.6 spacing 1.15 height 0.3 width 0\n"
    "set xlabel offset 0, 0.3\n"
    "set format '%h'; set minussign\n"
    "array tints[8] = [blue, vermilion, black, green, purple, orange, sky, grey]\n"
    "array marks[8] = [6, 8, 4, 12, 10, 14, 2, 3]\n"
    "tick(m) = m > 0 ? 10 ** floor(log10(m / 2.0)) * (m / 2.0 >= 5 * 10 ** floor(log10(m / 2.0)) ? 5 : m / 2.0 >= 2 * "
    "10 ** floor(log10(m / 2.0)) ? 2 : 1) : 1\n"
    "tint(i) = tints[(i - 1) % 8 + 1]; mark(i) = marks[(i - 1) % 8 + 1]; dash(i) = (i - 1) % 5 + 1\n"
    "positive(x) = x > 0 && x < 1e300 ? x : NaN\n";

static void write_caption(FILE *gnuplot, const char *caption) {
  fputs("set label 999 ", gnuplot);
  gnuplot_text(gnuplot, caption);
  fprintf(gnuplot,
          " at screen X(0.08), screen Y(below - %.4f) left noenhanced font '" FONT ",%g' textcolor rgb '#606060'\n",
          CAPTION_GAP, CAPTION_SIZE);
}

void style_begin(FILE *gnuplot, const Figure *figure, Picture picture, const char *path, const char *caption) {
  int lines = 1;
  for (const char *c = caption; *c; c++)
    lines += *c == '\n';
  double below = lines * CAPTION_LINE + CAPTION_GAP, height = figure->height + below;
  write_terminal(gnuplot, picture, figure->width, height, path);
  fputs(COMMON, gnuplot);
  fprintf(gnuplot, "width = %.4f; height = %.4f; below = %.4f\nX(i) = (i) / width\nY(i) = (i) / height\n",
          figure->width, height, below);
  write_methods(gnuplot);
  write_caption(gnuplot, caption);
}

void style_data(FILE *gnuplot, const char *folder, const char *file) {
  char *path = path_join(folder, file);
  REQUIRE(path != NULL, "no memory for the name of %s in %s", file, folder);
  fputs("data = ", gnuplot);
  gnuplot_path(gnuplot, path);
  fputc('\n', gnuplot);
  free(path);
}

void style_words(FILE *gnuplot, const char *column, const char *list) {
  fprintf(gnuplot,
          "%s = ''\n"
          "stats data using (strstrt(%s . ' ', ' ' . strcol('%s') . ' ') ? 0 : (%s = %s . ' ' . strcol('%s'), 0)) "
          "nooutput\n",
          list, list, column, list, list, column);
}

void style_row(FILE *gnuplot, const char *panels, double right, double top, double bottom) {
  fprintf(
      gnuplot,
      "left = 0.68; gap = 0.14; side = (width - left - %.3f - (%s - 1) * gap) / (%s)\n"
      "set bmargin at screen Y(below + %.3f); set tmargin at screen 1 - Y(%.3f)\n"
      "panel(i) = sprintf(\"set lmargin at screen %%.6f; set rmargin at screen %%.6f; set format y '%%s'; set ylabel "
      "'%%s' offset 1, 0\", X(left + (i - 1) * (side + gap)), X(left + (i - 1) * (side + gap) + side), "
      "i > 1 ? '' : '%%h', i > 1 ? '' : label)\n",
      right, panels, panels, bottom, top);
}

void style_key(FILE *gnuplot, double right, double top) {
  fprintf(gnuplot,
          "set key at screen X(width - %.3f), screen 1 - Y(%.3f) left top Left reverse noenhanced samplen 2.2\n"
          "if (words(rows) > 14) { set key font '" FONT ",6' spacing 0.85 }\n",
          right, top);
}

void style_methods(FILE *gnuplot) {
  style_words(gnuplot, "method", "methods");
  fputs("count = words(methods)\n"
        "place(m) = sum [i = 1:count] (word(methods, i) eq m ? i : 0)\n",
        gnuplot);
}

void style_span(FILE *gnuplot) {
  fputs("largest = 0; smallest = 1e300; first = 0; ends = 0; shown = 0\n"
        "stats data using (e = column('excess'), s = column('step'), ends = s > ends ? s : ends, "
        "largest = e > largest && e < 1e300 ? e : largest, smallest = e > 0 && e < smallest ? e : smallest, "
        "first = s == 0 && e > first ? e : first, 0) nooutput\n"
        "top = first > 0 && largest > 1e3 * first ? 1e3 * first : largest\n"
        "top = 10 ** ceil(log10(top) + 0.3)\n"
        "least = smallest > 1e-24 * top ? 10 ** floor(log10(smallest)) : 1e-24 * top\n"
        "array last[count]\n"
        "do for [i = 1:count] { last[i] = 0 }\n"
        "stats data using (i = place(strcol('method')), column('excess') > least ? (last[i] = column('step')) : 0, 0) "
        "nooutput\n"
        "do for [i = 1:count] { if (last[i] < ends && last[i] > shown) { shown = last[i] } }\n"
        "if (shown == 0) { shown = ends }\n"
        "if (shown == 0) { shown = 1 }\n"
        "every(i) = ceil((last[i] < shown ? last[i] : shown) / 7.0 + 0.5)\n",
        gnuplot);
}
