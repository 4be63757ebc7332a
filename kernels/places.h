/* places.h: kernels that treat every number, or every row, alike: a thread takes a chunk of 16 bytes, the grid goes
 * across a row along x and down the rows along y, so that no place is found by a division. */
#ifndef SEESAW_KERNELS_PLACES_H
#define SEESAW_KERNELS_PLACES_H

#include "kernel.h"

namespace SEESAW_BACKEND {

enum { PLACE_THREADS = 256, PLACE_ROWS = 65535 /* the most blocks of a grid along y */, PLACE_ACROSS = 1 << 30 };

/* each_place: body(row, column) for every chunk of COUNT numbers. */
template <int COUNT, class Body> __device__ __forceinline__ void each_place(Shape shape, Body body) {
  size_t first = (blockIdx.x * size_t(blockDim.x) + threadIdx.x) * COUNT, step = gridDim.x * size_t(blockDim.x) * COUNT;
  for (size_t row = blockIdx.y; row < shape.rows; row += gridDim.y)
    for (size_t column = first; column < shape.columns; column += step)
      body(row, column);
}

/* The grid for each_place: whole warps, no more than a row takes. */
struct Places {
  dim3 blocks;
  unsigned threads;
};

template <int COUNT> Places places_of(Shape shape) {
  size_t chunks = ceil_div(shape.columns, COUNT), threads = at_most(ceil_div(chunks, WARP) * WARP, PLACE_THREADS);
  if (chunks == 0)
    return {dim3(0), WARP};
  return {dim3(static_cast<unsigned>(at_most(ceil_div(chunks, threads), PLACE_ACROSS)),
               static_cast<unsigned>(at_most(shape.rows, PLACE_ROWS))),
          static_cast<unsigned>(threads)};
}

/* Rows for a shape: those of x, or all of x as one (flat). */
template <class T> Rows<T> rows_in(Tensor x, bool flat) {
  return flat ? row_of<T>(x) : rows_of<T>(x);
}

} // namespace SEESAW_BACKEND

#endif
