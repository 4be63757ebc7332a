/* test_stand_in_nvidia.cu: NVIDIA's own bf16 on the host, in a source of its own: its vector types have the names of
 * the stand-in's. */
#include <stdint.h>
#include <string.h>

#if __has_include(<cuda_bf16.h>)
#include <cuda_bf16.h>

extern "C" bool nvidia_bf16(void) {
  return true;
}

extern "C" float nvidia_bf16_to_float(uint16_t bits) {
  __nv_bfloat16_raw raw;
  raw.x = bits;
  return __bfloat162float(__nv_bfloat16(raw));
}

extern "C" uint16_t nvidia_bf16_from_float(float x) {
  return __nv_bfloat16_raw(__float2bfloat16_rn(x)).x;
}

#else

extern "C" bool nvidia_bf16(void) {
  return false;
}

extern "C" float nvidia_bf16_to_float(uint16_t) {
  return 0.0f;
}

extern "C" uint16_t nvidia_bf16_from_float(float) {
  return 0;
}

#endif
