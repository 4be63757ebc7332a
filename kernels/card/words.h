/* words.h: the words of language.h for nvcc. */
#ifndef SEESAW_KERNELS_CARD_WORDS_H
#define SEESAW_KERNELS_CARD_WORDS_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

typedef __nv_bfloat16 bf16;
typedef __half f16;
typedef cudaStream_t Stream;

#define SHARED(type, name, count) __shared__ type name[count]
#define DYNAMIC_SHARED(type, name)                                                                                     \
  extern __shared__ __align__(16) unsigned char dynamic_shared[];                                                      \
  type *name = reinterpret_cast<type *>(dynamic_shared)

/* A launch that fails leaves its error with the runtime, from where ops_status takes it. Up to 48 KB of shared memory a
 * block need no permission, but what the kernel declares counts, too; 16 KB are left for that. */
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared, Stream stream,
            Arguments &&...arguments) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0)
    return;
  if (shared > 32 * 1024)
    cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shared));
  kernel<<<blocks, threads, shared, stream>>>(static_cast<Parameters>(arguments)...);
}

#define LAUNCH(kernel, blocks, threads, shared, stream, ...)                                                           \
  launch(kernel, blocks, threads, shared, stream __VA_OPT__(, ) __VA_ARGS__)

#endif
