/* fiber.cc: the switch. AddressSanitizer accepts it: frames clean up after themselves, and none is left by a jump. */
#include "fiber.h"

#include <stdint.h>
#include <string.h>

#include "races.h"

/* ---- what ThreadSanitizer is told ---- */

#ifdef SEESAW_RACES
void fiber_own(Fiber *fiber) {
  fiber->thread = __tsan_get_current_fiber();
}

void fiber_close(Fiber *fiber) {
  if (fiber->thread)
    __tsan_destroy_fiber(fiber->thread);
}

static void told_of(Fiber *made) {
  if (!made->thread)
    made->thread = __tsan_create_fiber(0);
}

static void tell_of(const Fiber *next) {
  __tsan_switch_to_fiber(next->thread, __tsan_switch_to_fiber_no_sync);
}
#else
void fiber_own(Fiber *) {}
void fiber_close(Fiber *) {}
static void told_of(const Fiber *) {}
static void tell_of(const Fiber *) {}
#endif

/* ---- the switch ---- */

#ifdef SEESAW_FIBER_UCONTEXT

void fiber_make(Fiber *fiber, void *stack, size_t bytes, void (*entry)()) {
  told_of(fiber);
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = stack;
  fiber->context.uc_stack.ss_size = bytes;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, entry, 0);
}

void fiber_switch(Fiber *from, Fiber *to) {
  tell_of(to);
  swapcontext(&from->context, &to->context);
}

#else

/* stack_switch: registers to the old stack, its pointer to *old, then the same from the new one. */
extern "C" void seesaw_stack_switch(void **old, void *next);

#ifdef __x86_64__
asm(R"(
  .text
  .globl seesaw_stack_switch
  .hidden seesaw_stack_switch
  .type seesaw_stack_switch, @function
seesaw_stack_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size seesaw_stack_switch, .-seesaw_stack_switch
)");
/* Words from the stack pointer: six registers, the return address, and one more so that the stack is aligned as after a
 * call. */
enum { SAVED = 8, RETURN = 6 };
#else
asm(R"(
  .text
  .globl seesaw_stack_switch
  .hidden seesaw_stack_switch
  .type seesaw_stack_switch, %function
seesaw_stack_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size seesaw_stack_switch, .-seesaw_stack_switch
)");
enum { SAVED = 20, RETURN = 11 };
#endif

void fiber_make(Fiber *fiber, void *stack, size_t bytes, void (*entry)()) {
  told_of(fiber);
  uintptr_t top = (reinterpret_cast<uintptr_t>(stack) + bytes) & ~static_cast<uintptr_t>(63);
  uintptr_t *saved = reinterpret_cast<uintptr_t *>(top) - SAVED;
  memset(saved, 0, SAVED * sizeof *saved);
  saved[RETURN] = reinterpret_cast<uintptr_t>(entry);
  fiber->stack = saved;
}

void fiber_switch(Fiber *from, Fiber *to) {
  tell_of(to);
  seesaw_stack_switch(&from->stack, to->stack);
}

#endif
