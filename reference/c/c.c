/* c.c: opening the C backend. */
#include "c.h"

#include <stdlib.h>

#include "real.h"

Status REAL_NAME(c_open)(Ops *ops, int threads) {
  (void)threads;
  *ops = (Ops){.real = sizeof(real) == 8 ? DTYPE_F64 : DTYPE_F32};
  return status_error(STATUS_UNAVAILABLE, "the C backend is not there yet");
}

void REAL_NAME(c_close)(Ops *ops) {
  *ops = (Ops){0};
}
