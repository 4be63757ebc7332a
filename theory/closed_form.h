/* closed_form.h: what the bilinear X = a b' + b a' has in closed form (paper Section 2.3, THEORY of the spectrum). */
#ifndef SEESAW_CLOSED_FORM_H
#define SEESAW_CLOSED_FORM_H

#include "problem.h"

/* truth_closed: singular values 1+|c|, 1-|c|; the top one is tied at c = 0. Errors: STATUS_MEMORY. */
Status truth_closed(Problem *problem, double cosine);

#endif
