/* vectors.h: CUDA's small vector types. */
#ifndef SEESAW_KERNELS_VECTORS_H
#define SEESAW_KERNELS_VECTORS_H

#include <stdint.h>

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned columns = 1, unsigned rows = 1, unsigned layers = 1) : x(columns), y(rows), z(layers) {}
};

#define SEESAW_VECTORS(type, name, bytes)                                                                              \
  struct alignas(2 * (bytes)) name##2 {                                                                                \
    type x, y;                                                                                                         \
  };                                                                                                                   \
  struct alignas(4 * (bytes)) name##4 {                                                                                \
    type x, y, z, w;                                                                                                   \
  };                                                                                                                   \
  static inline name##2 make_##name##2(type x, type y) {                                                               \
    return {x, y};                                                                                                     \
  }                                                                                                                    \
  static inline name##4 make_##name##4(type x, type y, type z, type w) {                                               \
    return {x, y, z, w};                                                                                               \
  }
SEESAW_VECTORS(float, float, 4)
SEESAW_VECTORS(int, int, 4)
SEESAW_VECTORS(unsigned, uint, 4)
#undef SEESAW_VECTORS

#endif
