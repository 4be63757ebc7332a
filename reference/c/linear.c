/* linear.c: y = x w' + b and its gradients.
 *
 * The output is cut into tiles, which threads share; each is a matrix product. Weights that are not reals are converted
 * panel by panel into scratch memory, and the products of panels are added up. Where sums are short, as in narrow
 * layers, a BLAS spends a tenth of its time on arranging x and as much on clearing y: there the weights of a tile are
 * packed and x is read where it lies (product.h). For a few rows (a token at a time) reading the weights is all there
 * is: they are converted in registers and multiplied on the spot. */
#include <string.h>

#include "convert.h"
#include "gemm.h"
#include "product.h"
#include "vector.h"

enum {
  FEW_ROWS = 8,
  TILE_ROWS = 512,    /* of a tile, at most */
  TILE_COLUMNS = 256, /* of a tile, at most; a multiple of PRODUCT_COLUMNS */
  PANEL = 512,        /* of the sum that a converted panel covers: C_SCRATCH >= 8 TILE_COLUMNS PANEL */
  SHORT = 384,        /* a sum so short is a product of ours, not of the BLAS */
  NEAR = 1 << 15,     /* numbers of x that stay in the second cache while panels of w run by */
  LEAST_TILES = 4,
  LEAST_SIDE = 32,
  SMALL = 1 << 17 /* products that are not worth a parallel region */
};

/* ---- tiles: cut by the shape alone ---- */

typedef struct Tiles {
  size_t rows, columns; /* of a tile */
  size_t across, count;
} Tiles;

/* Equal parts of at most `most`, in multiples of 16. */
static size_t part(size_t extent, size_t most) {
  size_t parts = (extent + most - 1) / most;
  return parts > 0 ? ((extent + parts - 1) / parts + 15) / 16 * 16 : 16;
}

/* Tiles of a small output are smaller, so that there are LEAST_TILES of them if they can have LEAST_SIDE rows. */
static Tiles tiles_of(Tensor y) {
  Tiles tiles;
  size_t down, rows = TILE_ROWS;
  do {
    tiles.rows = part(y.size[0], rows);
    tiles.columns = part(y.size[1], TILE_COLUMNS);
    tiles.across = (y.size[1] + tiles.columns - 1) / tiles.columns;
    down = (y.size[0] + tiles.rows - 1) / tiles.rows;
    tiles.count = down * tiles.across;
    rows /= 2;
  } while (tiles.count < LEAST_TILES && rows >= LEAST_SIDE);
  return tiles;
}

/* Tile t: rows [row, row + rows), columns [column, column + columns). */
typedef struct Tile {
  size_t row, rows, column, columns;
} Tile;

static Tile tile_at(Tiles tiles, size_t t, Tensor y) {
  Tile tile = {.row = t / tiles.across * tiles.rows, .column = t % tiles.across * tiles.columns};
  tile.rows = y.size[0] - tile.row < tiles.rows ? y.size[0] - tile.row : tiles.rows;
  tile.columns = y.size[1] - tile.column < tiles.columns ? y.size[1] - tile.column : tiles.columns;
  return tile;
}

/* ---- weights as reals ---- */

static bool is_real(const Ops *ops, Tensor w) {
  return w.dtype == ops->real;
}

/* How much of a sum over `extent` one product covers. */
static size_t panel_of(const Ops *ops, Tensor w, size_t extent) {
  return is_real(ops, w) || extent < PANEL ? extent : PANEL;
}

/* A block of w: in place, or converted into scratch memory. */
static const real *block_of(const Ops *ops, Tensor w, size_t row, size_t rows, size_t column, size_t columns,
                            size_t *pitch) {
  *pitch = w.size[1];
  if (is_real(ops, w))
    return (const real *)w.data + row * w.size[1] + column;
  real *block = c_scratch(ops);
  *pitch = columns;
  for (size_t i = 0; i < rows; i++)
    c_convert(block + i * columns, w, (row + i) * w.size[1] + column, columns);
  return block;
}

/* ---- short sums ---- */

/* Not where y is added to: its rows lie apart, and the BLAS asks for them earlier. */
static bool is_short(const Ops *ops, Tensor w, size_t sum) {
  return is_real(ops, w) && sum > 0 && sum <= SHORT;
}

/* A tile of y = x b, b packed. Some rows of x at a time, so that panel after panel finds them in the cache. */
static void multiply_packed(Tensor y, Tile t, Tensor x, const real *b) {
  size_t sum = x.size[1], few = NEAR / sum / PRODUCT_ROWS * PRODUCT_ROWS;
  for (size_t i = 0; i < t.rows; i += few)
    c_product(&(Product){.rows = t.rows - i < few ? t.rows - i : few,
                         .columns = t.columns,
                         .sum = sum,
                         .a = c_row(x, t.row + i),
                         .a_row = x.pitch,
                         .a_step = 1,
                         .b = b,
                         .b_panel = sum * PRODUCT_COLUMNS,
                         .alpha = 1,
                         .c = c_row(y, t.row + i) + t.column,
                         .c_pitch = y.pitch});
}

/* ---- forward ---- */

/* What the products are added to: nothing (0: they overwrite) or what the tile holds now (1): onto + b. */
static real begin(Tensor y, Tile t, Tensor b, Tensor onto) {
  for (size_t i = t.row; i < t.row + t.rows; i++) {
    real *to = c_row(y, i) + t.column;
    if (onto.data && onto.data != y.data)
      memcpy(to, c_row(onto, i) + t.column, t.columns * sizeof *to);
    for (size_t j = 0; b.data && j < t.columns; j++) {
      real from = ((const real *)b.data)[t.column + j];
      to[j] = onto.data ? to[j] + from : from;
    }
  }
  return b.data || onto.data ? 1 : 0;
}

static void forward_tile(const Ops *ops, Tensor y, Tile t, Tensor x, Tensor w, Tensor b, Tensor onto) {
  size_t inputs = w.size[1], panel = panel_of(ops, w, inputs), k = 0, pitch;
  real beta = begin(y, t, b, onto);
  if (beta == 0 && is_short(ops, w, inputs)) {
    real *packed = c_scratch(ops);
    c_pack(packed, c_row(w, t.column), 1, w.pitch, inputs, t.columns);
    multiply_packed(y, t, x, packed);
    return;
  }
  do {
    size_t count = inputs - k < panel ? inputs - k : panel;
    const real *block = block_of(ops, w, t.column, t.columns, k, count, &pitch);
    c_gemm(CblasNoTrans, CblasTrans, t.rows, t.columns, count, 1, c_row(x, t.row) + k, x.pitch, block, pitch, beta,
           c_row(y, t.row) + t.column, y.pitch);
    beta = 1;
    k += count;
  } while (k < inputs);
}

/* ---- forward, few rows ---- */

enum { WIDTH = 32 / sizeof(real), STEP = 4 * WIDTH }; /* numbers of a vector, and of a step through a row */
enum { AHEAD = 1024 };                                /* numbers from what is multiplied to what is asked for */

typedef real Vector __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
typedef float Floats __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef uint32_t Words __attribute__((vector_size(4 * WIDTH)));

/* WIDTH weights as reals: what c_convert does, in registers. */
static inline __attribute__((always_inline)) void widen(Vector *to, const void *w, size_t i, Dtype dtype) {
  if (dtype == DTYPE_F32)
    *to = __builtin_convertvector(*(const Floats *)((const float *)w + i), Vector);
  else if (dtype == DTYPE_F64)
    *to = *(const Vector *)((const real *)w + i);
  else {
    uint32_t each[WIDTH]; /* a loop: better code than __builtin_convertvector's */
    Words bits;
    for (size_t j = 0; j < WIDTH; j++)
      each[j] = ((const uint16_t *)w)[i + j];
    memcpy(&bits, each, sizeof bits);
    if (dtype == DTYPE_BF16)
      bits <<= 16;
    else {
      Words size = bits & 0x7fff, infinite = (Words)(size >= 0x7c00) & 0x7f800000;
      bits = (Words)((Floats)(size << 13) * 0x1p112F) | infinite | (bits & 0x8000) << 16;
    }
    *to = __builtin_convertvector((Floats)bits, Vector);
  }
}

/* sum[n] = the sum of x[n][i] w[i] for `rows` rows of x, 1 or 4, in 4 or 2 vectors of partial sums each. */
static inline __attribute__((always_inline)) void dots(real *sum, const real *x, size_t pitch, size_t rows,
                                                       const void *w, Dtype dtype, size_t count) {
  size_t vectors = rows == 1 ? 4 : 2, i = 0;
  Vector part[4][4] = {0};
  for (; i + vectors * WIDTH <= count; i += vectors * WIDTH) {
    if (dtype == DTYPE_BF16 || dtype == DTYPE_F16) /* across pages, where the processor itself stops */
      __builtin_prefetch((const uint16_t *)w + i + AHEAD);
    for (size_t k = 0; k < vectors; k++) {
      Vector weights;
      widen(&weights, w, i + k * WIDTH, dtype);
      for (size_t n = 0; n < rows; n++)
        part[n][k] += *(const Vector *)(x + n * pitch + i + k * WIDTH) * weights;
    }
  }
  real rest[STEP];
  c_convert(rest, tensor_1((void *)w, dtype, count), i, count - i);
  for (size_t n = 0; n < rows; n++) {
    Vector all = (part[n][0] + part[n][1]) + (part[n][2] + part[n][3]);
    for (size_t half = WIDTH / 2; half > 0; half /= 2)
      for (size_t j = 0; j < half; j++)
        all[j] += all[j + half];
    sum[n] = all[0];
    for (size_t j = i; j < count; j++)
      sum[n] += x[n * pitch + j] * rest[j - i];
  }
}

/* Of every row, four at a time; compiled for each type of weights. */
static inline __attribute__((always_inline)) void all_dots(real *sum, Tensor x, const void *w, Dtype dtype) {
  size_t n = 0;
  for (; n + 4 <= x.size[0]; n += 4)
    dots(sum + n, c_row(x, n), x.pitch, 4, w, dtype, x.size[1]);
  for (; n < x.size[0]; n++)
    dots(sum + n, c_row(x, n), x.pitch, 1, w, dtype, x.size[1]);
}

C_CLONES static void few_bf16(real *sum, Tensor x, const void *w) {
  all_dots(sum, x, w, DTYPE_BF16);
}

C_CLONES static void few_f16(real *sum, Tensor x, const void *w) {
  all_dots(sum, x, w, DTYPE_F16);
}

C_CLONES static void few_f32(real *sum, Tensor x, const void *w) {
  all_dots(sum, x, w, DTYPE_F32);
}

C_CLONES static void few_f64(real *sum, Tensor x, const void *w) {
  all_dots(sum, x, w, DTYPE_F64);
}

/* Output o of every row. */
static void forward_output(Tensor y, size_t o, Tensor x, Tensor w, Tensor b, Tensor onto) {
  real sum[FEW_ROWS];
  const void *row = tensor_rows(w, o, 1).data;
  (w.dtype == DTYPE_BF16  ? few_bf16
   : w.dtype == DTYPE_F16 ? few_f16
   : w.dtype == DTYPE_F32 ? few_f32
                          : few_f64)(sum, x, row);
  for (size_t n = 0; n < x.size[0]; n++)
    c_row(y, n)[o] = sum[n] + (b.data ? ((const real *)b.data)[o] : 0) + (onto.data ? c_row(onto, n)[o] : 0);
}

void C_OPERATION(linear_fwd)(const Ops *ops, Tensor y, Tensor x, Tensor w, Tensor b, Tensor onto) {
  bool small = x.size[0] * w.size[0] * w.size[1] < SMALL;
  if (x.size[0] <= FEW_ROWS) {
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (!small)
    for (size_t o = 0; o < w.size[0]; o++)
      forward_output(y, o, x, w, b, onto);
    return;
  }
  Tiles tiles = tiles_of(y);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (!small)
  for (size_t t = 0; t < tiles.count; t++)
    forward_tile(ops, y, tile_at(tiles, t, y), x, w, b, onto);
}

/* ---- backward ---- */

static void input_tile(const Ops *ops, Tensor dx, Tile t, Tensor dy, Tensor w, Write write) {
  size_t outputs = w.size[0], panel = panel_of(ops, w, outputs), o = 0, pitch;
  real beta = write == WRITE_SET ? 0 : 1;
  do {
    size_t count = outputs - o < panel ? outputs - o : panel;
    const real *block = block_of(ops, w, o, count, t.column, t.columns, &pitch);
    c_gemm(CblasNoTrans, CblasNoTrans, t.rows, t.columns, count, 1, c_row(dy, t.row) + o, dy.pitch, block, pitch, beta,
           c_row(dx, t.row) + t.column, dx.pitch);
    beta = 1;
    o += count;
  } while (o < outputs);
}

void C_OPERATION(linear_bwd_input)(const Ops *ops, Tensor dx, Tensor dy, Tensor w, Write write) {
  bool small = dx.size[0] * w.size[0] * w.size[1] < SMALL;
  Tiles tiles = tiles_of(dx);
#pragma omp parallel for schedule(static) num_threads(c_threads(ops)) if (!small)
  for (size_t t = 0; t < tiles.count; t++)
    input_tile(ops, dx, tile_at(tiles, t, dx), dy, w, write);
}

enum { SUM_COLUMNS = 64, SUM_ROWS = 8 };

/* db[j] += the sum of dy's column j, for some columns: eight rows in real, those sums in double. */
C_CLONES static void add_columns(real *db, const real *dy, size_t rows, size_t pitch, size_t columns) {
  double sum[SUM_COLUMNS] = {0.0};
  for (size_t n = 0; n < rows; n += SUM_ROWS) {
    real few[SUM_COLUMNS] = {0};
    for (size_t i = n; i < n + SUM_ROWS && i < rows; i++)
      for (size_t j = 0; j < columns; j++)
        few[j] += dy[i * pitch + j];
    for (size_t j = 0; j < columns; j++)
      sum[j] += few[j];
  }
  for (size_t j = 0; j < columns; j++)
    db[j] = (real)(db[j] + sum[j]);
}

void C_OPERATION(linear_bwd_weight)(const Ops *ops, Tensor dw, Tensor db, Tensor dy, Tensor x) {
  size_t rows = dy.size[0], outputs = dy.size[1], inputs = x.size[1];
  Tiles tiles = dw.data ? tiles_of(dw) : (Tiles){0};
  size_t sums = db.data ? (outputs + SUM_COLUMNS - 1) / SUM_COLUMNS : 0;
#pragma omp parallel num_threads(c_threads(ops)) if (rows * outputs * (dw.data ? inputs : 1) >= SMALL)
  {
#pragma omp for schedule(static) nowait
    for (size_t t = 0; t < tiles.count; t++) {
      Tile tile = tile_at(tiles, t, dw);
      c_gemm(CblasTrans, CblasNoTrans, tile.rows, tile.columns, rows, 1, (const real *)dy.data + tile.row, dy.pitch,
             (const real *)x.data + tile.column, x.pitch, 1, c_row(dw, tile.row) + tile.column, dw.pitch);
    }
#pragma omp for schedule(static)
    for (size_t s = 0; s < sums; s++) {
      size_t first = s * SUM_COLUMNS, columns = outputs - first < SUM_COLUMNS ? outputs - first : SUM_COLUMNS;
      add_columns((real *)db.data + first, (const real *)dy.data + first, rows, dy.pitch, columns);
    }
  }
}
