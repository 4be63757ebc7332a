/* fiber.h: threads of control that switch by hand, in about ten nanoseconds: callee-saved registers go onto the stack,
 * the stack pointer changes. Assembly for x86-64 and AArch64, ucontext elsewhere. */
#ifndef SEESAW_KERNELS_FIBER_H
#define SEESAW_KERNELS_FIBER_H

#include <stddef.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#define SEESAW_FIBER_UCONTEXT
#endif

struct Fiber {
#ifdef SEESAW_FIBER_UCONTEXT
  ucontext_t context;
#else
  void *stack; /* where its registers lie while it waits */
#endif
#ifdef SEESAW_RACES
  void *thread; /* ThreadSanitizer's */
#endif
};

/* fiber_make: on its first turn it runs entry, which never returns, on that stack. */
void fiber_make(Fiber *fiber, void *stack, size_t bytes, void (*entry)());

/* fiber_own: that of who calls, to switch from. fiber_close: of one that was made, or zeroed. */
void fiber_own(Fiber *fiber);
void fiber_close(Fiber *fiber);

/* fiber_switch: go on with `to`; returns when somebody switches to `from`. */
void fiber_switch(Fiber *from, Fiber *to);

#endif
