/* contract.h: the project's C headers, for C++ sources. */
#ifndef SEESAW_KERNELS_CONTRACT_H
#define SEESAW_KERNELS_CONTRACT_H

#define _Noreturn [[noreturn]]
extern "C" {
#include "cuda.h"
}
#undef _Noreturn

#endif
