/* workload.h: one call of an operation, as numbers on the host: what it reads, what it writes, how exactly. A workload
 * is placed on any backend, run there and read back, so that two backends get the same numbers.
 *
 * The numbers are those of the tested backend: rounded to its types (bf16 where its reals are), then held in double, so
 * that the reference in double starts from exactly what the tested backend starts from. */
#ifndef SEESAW_WORKLOAD_H
#define SEESAW_WORKLOAD_H

#include "ops.h"

/* The type of a tensor's numbers: of the backend (real, or its finer companion, see ops.h), or the same everywhere. */
typedef enum { OF_REAL, OF_FINE, OF_F64, OF_BF16, OF_F16, OF_I32 } Kind;

typedef enum {
  ROLE_INPUT,   /* read, and must be as it was afterwards */
  ROLE_SET,     /* overwritten: starts as NaN */
  ROLE_CHANGED, /* added to or changed in place: starts from known numbers */
  ROLE_WORK,    /* starts as NaN, ends as anything */
  ROLE_NONE     /* absent */
} Role;

/* How tensors lie in memory. */
typedef enum {
  LAYOUT_PLAIN,  /* contiguous, aligned */
  LAYOUT_VIEW,   /* aligned to a number only; views' rows have three numbers between them */
  LAYOUT_ALIGNED /* every row of a view starts at 16 bytes, with at least 16 bytes between rows */
} Layout;

typedef struct Piece {
  const char *name;
  Kind kind;
  Role role;
  int rank;
  size_t size[TENSOR_RANK];
  bool view;       /* rows may lie apart */
  bool coarse;     /* summed from intermediates that were rounded to real */
  double sum;      /* the longest sum behind an output: K */
  double floor;    /* of an output in which much cancels: its rms counts as this at least */
  double *numbers; /* rows one after the other; NULL: NaN everywhere */
} Piece;

enum { PIECES_MOST = 16, SIZES_MOST = 6 };

/* A named shape of an operation. */
typedef struct Shape {
  const char *name;
  bool real;            /* of a real model; else odd */
  size_t n[SIZES_MOST]; /* what they mean is the operation's */
  size_t samples;       /* of a ragged batch; the offsets of both sides: queries and keys, local tokens and text */
  const int32_t *first, *second;
} Shape;

typedef struct Workload {
  const Shape *shape;
  Layout layout;
  Dtype real, fine; /* of the tested backend */
  const Ops *maker; /* computes what a backward pass is given of its forward pass */
  uint64_t seed;
  size_t count;
  Piece piece[PIECES_MOST];
  double touched; /* bytes that a call has to move, if not those of all its pieces; 0: those */
  bool dry;       /* sizes only: no numbers are drawn */
  Status status;  /* the first failure: memory */
} Workload;

/* A workload in a backend's memory. */
typedef struct Placed {
  const Ops *ops;
  const Workload *workload;
  Tensor tensor[PIECES_MOST]; /* in the order of the pieces */
  void *memory[PIECES_MOST];
} Placed;

/* One call of the operation on what was placed. */
typedef void Call(const Placed *placed);

/* ---- making: every piece is an input until it is said to be something else ---- */

/* workload_begin: an empty workload, for a backend with these reals. workload_free: safe on a zeroed one. */
void workload_begin(Workload *workload, const Shape *shape, Layout layout, Dtype real, const Ops *maker, uint64_t seed);
void workload_free(Workload *workload);

/* The next piece: piece_view (rows, columns), rows may lie apart; piece_matrix contiguous; piece_vector; piece_cube
 * (a, b, c). More than PIECES_MOST are the caller's mistake. */
Piece *piece_view(Workload *workload, const char *name, Kind kind, size_t rows, size_t columns);
Piece *piece_matrix(Workload *workload, const char *name, Kind kind, size_t rows, size_t columns);
Piece *piece_vector(Workload *workload, const char *name, Kind kind, size_t count);
Piece *piece_cube(Workload *workload, const char *name, Kind kind, size_t a, size_t b, size_t c);

/* piece_numbers: room for its numbers, zeros; NULL when memory is out (then workload->status says so).
 * piece_given: an input of centre + spread * normal numbers of the workload's seed, rounded to the piece's type.
 * piece_round: round what is in `numbers` to it.
 * piece_set, piece_changed: an output and the longest sum behind it; the latter starts like an input. piece_written:
 * one of them, as the operation's Write says.
 * piece_work: scratch memory that the caller gives. piece_none: absent. */
double *piece_numbers(Workload *workload, Piece *piece);
void piece_given(Workload *workload, Piece *piece, double centre, double spread);
void piece_round(const Workload *workload, Piece *piece);
void piece_set(Piece *piece, double sum);
void piece_changed(Workload *workload, Piece *piece, double centre, double spread, double sum);
void piece_written(Workload *workload, Piece *piece, Write write, double centre, double spread, double sum);
void piece_work(Piece *piece);
void piece_none(Piece *piece);

/* piece_integers: an I32 vector with these values. */
void piece_integers(Workload *workload, const char *name, size_t count, const int32_t *values);

/* workload_derive: run `forward` on the maker with the pieces so far; what it sets becomes input. */
void workload_derive(Workload *workload, Call *forward);

/* ---- on a backend ---- */

/* piece_dtype: of its tensor on a backend whose reals are `real`. piece_count: numbers. */
Dtype piece_dtype(const Piece *piece, Dtype real);
size_t piece_count(const Piece *piece);

/* workload_place: copy every piece to the backend, between guards. Errors: STATUS_MEMORY. placed_free: safe on a zeroed
 * one. placed_again: pieces that are not only read get their first numbers once more. */
Status workload_place(const Workload *workload, const Ops *ops, Placed *placed);
void placed_free(Placed *placed);
void placed_again(const Placed *placed);

/* placed_read: the numbers of piece i as they are now, into `numbers` (piece_count of them); *intact: every byte that
 * is not the tensor's own is as it was. Errors: STATUS_MEMORY. */
Status placed_read(const Placed *placed, size_t i, double *numbers, bool *intact);

/* offsets_longest: rows of the longest sample. placed_ragged: the batch whose offsets are piece i and, on the host,
 * `offsets`. */
size_t offsets_longest(const int32_t *offsets, size_t samples);
Ragged placed_ragged(const Placed *placed, size_t i, const int32_t *offsets);

/* workload_bytes: what a call has to move: inputs and set outputs once, changed ones twice. */
double workload_bytes(const Workload *workload);

/* workload_numbers: of all pieces. */
double workload_numbers(const Workload *workload);

/* number_round: to the nearest number of a type (F32, F64, BF16, F16). dtype_fine: ops.h's fine, of a real. */
double number_round(Dtype dtype, double value);
Dtype dtype_fine(Dtype real);

/* number_unwritten: is it what outputs start as: a NaN that no computation gives (as an index INT32_MIN)? */
bool number_unwritten(double value);

#endif
