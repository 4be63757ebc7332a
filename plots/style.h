/* style.h: what all figures share: terminals, colours, fonts, the caption.
 *
 * style_begin writes the part before a figure's own commands. It leaves these for them to use:
 *   X(i), Y(i)      inches as fractions of the picture's width and height, for margins and labels at screen positions
 *   below           height of the caption in inches: what a figure draws starts above
 *   line(m)         line style of method m: one colour, dash and point shape a method in every figure
 *   title(m)        its name in a key
 *   blue, orange, ... colours by name (Okabe and Ito's, told apart by colour-blind readers), and grey, pale
 *   positive(x)     x, or NaN where a logarithmic axis has no place for it
 *   tint(i), mark(i), dash(i)  colour, point shape and dash of the i-th of any number of things, from 1
 *   tick(m)         a round number that goes two to four times into m
 *   small           the font of keys and numbers, below the common size
 * Data files are read with their header line; in a line plot a point that is NaN is left out, not a gap. */
#ifndef SEESAW_STYLE_H
#define SEESAW_STYLE_H

#include "plots.h"

typedef enum { PICTURE_PNG, PICTURE_PDF, PICTURE_COUNT } Picture;

/* style_begin: terminal, output file, style and caption (style_caption's text, its lines separated by line breaks). */
void style_begin(FILE *gnuplot, const Figure *figure, Picture picture, const char *path, const char *caption);

/* style_data: the gnuplot variable `data` <- the name of an input. */
void style_data(FILE *gnuplot, const char *folder, const char *file);

/* style_methods: `methods` <- the methods that `data` holds, in its order, separated by blanks; `count` <- how many;
 * place(m) <- the place of method m, from 1. */
void style_methods(FILE *gnuplot);

/* style_words: the gnuplot variable LIST <- the words that `column` of `data` holds, in its order, separated by blanks.
 */
void style_words(FILE *gnuplot, const char *column, const char *list);

/* style_row: a row of `panels` (a gnuplot expression) of one height, which end `right` inches before the right border;
 * `top` and `bottom` inches are left above and below them. Then `eval panel(i)` sets the margins of the i-th from the
 * left; only the first has numbers and a label on its vertical axis, that of the gnuplot variable `label`. */
void style_row(FILE *gnuplot, const char *panels, double right, double top, double bottom);

/* style_key: a key in the right margin of `right` inches, `top` below the upper border, with as many entries as the
 * gnuplot variable `rows` has words: many are set in small print. */
void style_key(FILE *gnuplot, double right, double top);

/* style_span: after style_methods, how much of a run's log is worth drawing:
 *   least     the excess below which there is only rounding
 *   last[i]   the last step at which method i is above it
 *   shown     where the slowest method that gets there does so: the others are drawn as far
 *   top       the largest excess, as a power of ten
 *   every(i)  how many steps apart method i's points are marked */
void style_span(FILE *gnuplot);

/* caption_read: the caption for the result file at `path`: its command, seed and commit, as PATH.origin.json has them,
 * or the file's name if that is missing; broken into lines of at most `columns` characters. The caller frees. NULL when
 * memory is out. */
char *caption_read(const char *path, size_t columns);

#endif
