/* test_arena.c: alignment, zeros, overflow, and carving too much. */
#include "arena.h"

#include <signal.h>
#include <stdint.h>

#include "scratch.h"

/* Under AddressSanitizer an impossible size shall give NULL, as it does elsewhere. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}

Test(arena, sizes_are_rounded_up_and_saturate) {
  cr_expect_eq(arena_size(0, 8), 0);
  cr_expect_eq(arena_size(1, 1), 64);
  cr_expect_eq(arena_size(8, 8), 64);
  cr_expect_eq(arena_size(13, 5), 128);
  cr_expect_eq(arena_size(SIZE_MAX, 1), ARENA_MOST);
  cr_expect_eq(arena_size(SIZE_MAX / 2, 3), ARENA_MOST);
  cr_expect_eq(arena_size(SIZE_MAX, SIZE_MAX), ARENA_MOST);
  cr_expect_eq(arena_size(ARENA_MOST - 63, 1), ARENA_MOST);
  cr_expect_lt(arena_size(1, 1), 62 * ARENA_MOST + arena_size(1, 1), "sums do not wrap");
}

Test(arena, pieces_are_aligned_zeroed_and_apart) {
  Arena arena;
  size_t capacity = arena_size(3, sizeof(double)) + arena_size(1, 1) + arena_size(17, sizeof(double));
  cr_assert_eq(arena_alloc(&arena, capacity).code, STATUS_OK);
  double *first = arena_doubles(&arena, 3);
  char *second = arena_carve(&arena, 1, 1);
  double *third = arena_doubles(&arena, 17);
  cr_expect_eq((uintptr_t)first % ARENA_ALIGNMENT, 0);
  cr_expect_eq((uintptr_t)second % ARENA_ALIGNMENT, 0);
  cr_expect_eq((uintptr_t)third % ARENA_ALIGNMENT, 0);
  for (int i = 0; i < 17; i++)
    cr_expect_eq(third[i], 0);
  memset(first, 0xff, 3 * sizeof *first);
  *second = 'x';
  cr_expect_eq(third[0], 0);
  cr_expect_eq(arena.used, capacity);
  arena_free(&arena);
  cr_expect_null(arena.base);
  arena_free(&arena);
}

Test(arena, used_memory_is_zeroed_too) {
  for (int round = 0; round < 4; round++) {
    Arena arena;
    cr_assert_eq(arena_alloc(&arena, 1024).code, STATUS_OK);
    unsigned char *bytes = arena_carve(&arena, 1024, 1);
    for (int i = 0; i < 1024; i++)
      cr_assert_eq(bytes[i], 0);
    memset(bytes, 0xff, 1024);
    arena_free(&arena);
  }
}

Test(arena, nothing_can_be_carved_from_an_empty_arena) {
  Arena arena;
  cr_assert_eq(arena_alloc(&arena, 0).code, STATUS_OK);
  cr_expect_not_null(arena_carve(&arena, 0, 8));
  cr_expect_eq(arena.used, 0);
  arena_free(&arena);
}

Test(arena, too_much_memory_is_a_status) {
  Arena arena;
  Status status = arena_alloc(&arena, SIZE_MAX);
  cr_expect_eq(status.code, STATUS_MEMORY);
  expect_contains(status.message, "18446744073709551615 bytes");
  cr_expect_null(arena.base);
  cr_expect_eq(arena_alloc(&arena, SIZE_MAX / 2 - 100).code, STATUS_MEMORY);
  arena_free(&arena);
}

static void carve_too_much(void) {
  Arena arena;
  if (arena_alloc(&arena, 128).code == STATUS_OK) {
    arena_doubles(&arena, 8);
    arena_doubles(&arena, 9);
  }
}

static void carve_an_overflow(void) {
  Arena arena;
  if (arena_alloc(&arena, 128).code == STATUS_OK)
    arena_doubles(&arena, SIZE_MAX / 4);
}

Test(arena, carving_more_than_was_measured_stops) {
  char text[512];
  int end = in_child(carve_too_much, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT);
  expect_contains(text, "9 items of 8 bytes do not fit: 64 of 128 bytes are used");
  end = in_child(carve_an_overflow, STDERR_FILENO, text, sizeof text);
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT);
}
