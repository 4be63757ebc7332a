/* position.c: sin-cos tables, their resizing, and rotary frequencies. */
#include "position.h"

#include <math.h>
#include <string.h>

#include "tensor.h"

/* base^(-above / below): fraction, power and quotient are rounded to float, as in the code that checkpoints were made
 * with: what is lost here counts as often as the position says. */
static float inverse_power(double base, size_t above, size_t below) {
  float exponent = (float)above / (float)below, power = (float)pow(base, exponent);
  return 1.0f / power;
}

/* ---- sin-cos ---- */

/* width / 2 numbers for one coordinate: all sines, then all cosines. */
static void encode(size_t coordinate, size_t width, double *out) {
  size_t count = width / 4;
  for (size_t i = 0; i < count; i++) {
    float angle = (float)coordinate * inverse_power(10000.0, i, count);
    out[i] = sin(angle);
    out[count + i] = cos(angle);
  }
}

void position_sincos(size_t side, size_t width, bool half, double *table) {
  for (size_t cell = 0; cell < side * side; cell++) {
    double *out = table + cell * width;
    encode(cell % side, width, out);
    encode(cell / side, width, out + width / 2);
  }
  for (size_t i = 0; half && i < side * side * width; i++)
    table[i] = f16_to_float(f16_from_float((float)table[i]));
}

/* ---- bicubic ---- */

static double near_weight(double t) { /* |t| <= 1 */
  return (1.25 * t - 2.25) * t * t + 1.0;
}

static double far_weight(double t) { /* 1 < |t| < 2 */
  return -0.75 * (((t - 5.0) * t + 8.0) * t - 4.0);
}

/* The four cells around the centre of cell `to`, and their weights. */
static void taps(size_t from, size_t to_count, size_t to, size_t cell[4], double weight[4]) {
  double at = ((double)to + 0.5) * (double)from / (double)to_count - 0.5, base = floor(at), t = at - base;
  const double weights[4] = {far_weight(t + 1.0), near_weight(t), near_weight(1.0 - t), far_weight(2.0 - t)};
  for (int i = 0; i < 4; i++) {
    double place = base + i - 1.0;
    cell[i] = place < 0.0 ? 0 : place > (double)(from - 1) ? from - 1 : (size_t)place;
    weight[i] = weights[i];
  }
}

void position_resize(size_t from, size_t to, size_t width, const double *table, double *resized) {
  size_t row_cell[4], column_cell[4];
  double row_weight[4], column_weight[4];
  if (from == to) {
    memcpy(resized, table, to * to * width * sizeof *table);
    return;
  }
  memset(resized, 0, to * to * width * sizeof *resized);
  for (size_t cell = 0; cell < to * to; cell++) {
    taps(from, to, cell / to, row_cell, row_weight);
    taps(from, to, cell % to, column_cell, column_weight);
    for (int i = 0; i < 16; i++) {
      const double *source = table + (row_cell[i / 4] * from + column_cell[i % 4]) * width;
      for (size_t k = 0; k < width; k++)
        resized[cell * width + k] += row_weight[i / 4] * column_weight[i % 4] * source[k];
    }
  }
}

/* ---- rotary ---- */

void position_rotary(size_t head, double theta, double *frequency) {
  for (size_t i = 0; i < head / 2; i++)
    frequency[i] = inverse_power(theta, 2 * i, head);
}
