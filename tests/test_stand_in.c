/* test_stand_in.c: the card that kernels are tested on: every planted mistake is found, and every word of the language
 * does what CUDA's does. */
#include "test_stand_in.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "c.h"
#include "sanitized.h"
#include "scratch.h"

static Ops opened(StandInOrder order) {
  Ops ops;
  Status status = stand_in_open(&ops, DTYPE_F32, order, 5);
  cr_assert_eq(status.code, STATUS_OK, "%s", status.message);
  return ops;
}

/* ---- mistakes ---- */

/* The result with a barrier is x[i + 1]; without it, what shared memory held. */
Test(stand_in, a_missing_barrier_shows) {
  int wrong = 0;
  float first[64];
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    Ops ops = opened((StandInOrder)order);
    float y[64];
    plant_missing_barrier(&ops, y, 64);
    cr_expect_eq(ops_status(&ops).code, STATUS_OK);
    for (int i = 0; i < 64; i++)
      wrong += !(y[i] == (float)((i + 1) % 64));
    if (order == 0)
      memcpy(first, y, sizeof y);
    else
      cr_expect_neq(memcmp(first, y, sizeof y), 0, "order %d gives what forward gives", order);
    stand_in_close(&ops);
  }
  cr_expect_gt(wrong, 63, "%d", wrong);
}

/* What sticks names the kernel and says all of `parts`, in every order; what is launched afterwards does nothing. */
static void expect_fault(void (*plant)(const Ops *ops), const char *const *parts) {
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    Ops ops = opened((StandInOrder)order);
    float y[2] = {0.0F, 0.0F}, one = 1.0F, back = 1.0F;
    plant(&ops);
    Status status = ops_status(&ops);
    cr_assert_eq(status.code, STATUS_UNAVAILABLE, "%s: no fault in order %d", parts[0], order);
    for (int i = 0; parts[i]; i++)
      cr_expect(strstr(status.message, parts[i]), "'%s' does not say '%s'", status.message, parts[i]);
    plant_unwritten(&ops, y, 2);
    cr_expect_eq(y[0], 0.0F, "a launch after a fault ran");
    ops_read(&ops, &back, &one, sizeof back);
    cr_expect_eq(back, 0.0F, "what is read after a fault is zeros");
    plant_launch(&ops, 4096, 0, 1);
    cr_expect_str_eq(ops_status(&ops).message, status.message, "the first fault sticks");
    stand_in_close(&ops);
    cr_expect_null(ops.table);
  }
}

#define EXPECT_FAULT(plant, ...) expect_fault(plant, (const char *const[]){__VA_ARGS__, NULL})

Test(stand_in, a_barrier_that_not_all_reach_is_a_fault) {
  EXPECT_FAULT(plant_exit_before_barrier, "kernel exit_before_barrier, block (",
               "thread (5, 0, 0): it exited, but thread", "waits at the barrier of test_stand_in.cu:");
  EXPECT_FAULT(plant_two_barriers, "kernel two_barriers",
               "it waits at the barrier of test_stand_in.cu:", "thread (0, 0, 0) at that of");
}

Test(stand_in, a_shuffle_without_all_that_it_names_is_a_fault) {
  EXPECT_FAULT(plant_shuffle_of_an_exited_lane, "kernel shuffle_of_an_exited_lane", "names lane 7, which has exited");
  EXPECT_FAULT(plant_shuffle_of_a_waiting_lane, "names lane 9, which waits at test_stand_in.cu:");
  EXPECT_FAULT(plant_shuffle_without_itself, "the mask 000000ff of test_stand_in.cu:", "does not name its own lane");
  EXPECT_FAULT(plant_shuffle_from_beyond_its_mask, "reads lane 12, which its mask 000000ff does not name");
  EXPECT_FAULT(plant_two_masks, "has the mask ffffffff, but fffffff0 in lane 16");
  EXPECT_FAULT(plant_vote_in_half_a_warp, "names lane 16, which the block does not have");
}

static Ops stopped;
static int past_end;

static void write_beyond_shared(void) {
  plant_write_beyond_shared(&stopped, past_end);
}

static void write_beyond_dynamic(void) {
  plant_write_beyond_dynamic(&stopped, past_end);
}

/* AddressSanitizer stops the program; without it the fault shows at the block's end. */
static void expect_out_of_bounds(void (*body)(void), int past) {
  stopped = opened(STAND_IN_FORWARD);
  past_end = past;
  if (SANITIZED) {
    static char text[1 << 16];
    int end = in_child(body, STDERR_FILENO, text, sizeof text);
    cr_expect(!WIFEXITED(end) || WEXITSTATUS(end) != 0, "%d past the end", past);
    cr_expect(strstr(text, "use-after-poison"), "%d past the end: %s", past, text);
  } else {
    body();
    Status status = ops_status(&stopped);
    cr_assert_eq(status.code, STATUS_UNAVAILABLE, "%d past the end", past);
    expect_contains(status.message, "kernel write_beyond_");
    expect_contains(status.message, "block (0, 0, 0): shared memory was written out of bounds");
  }
  stand_in_close(&stopped);
}

Test(stand_in, shared_memory_has_bounds) {
  expect_out_of_bounds(write_beyond_shared, 1);
  expect_out_of_bounds(write_beyond_shared, 5);
  expect_out_of_bounds(write_beyond_shared, -5);
  expect_out_of_bounds(write_beyond_dynamic, 1);
  expect_out_of_bounds(write_beyond_dynamic, -33);
  Ops ops = opened(STAND_IN_FORWARD);
  plant_write_beyond_shared(&ops, 0);
  plant_write_beyond_dynamic(&ops, 0);
  cr_expect_eq(ops_status(&ops).code, STATUS_OK, "the last number is within");
  stand_in_close(&ops);
}

Test(stand_in, an_output_that_was_not_written_shows) {
  Ops ops = opened(STAND_IN_RANDOM);
  float y[77];
  for (int i = 0; i < 77; i++)
    y[i] = NAN;
  plant_unwritten(&ops, y, 77);
  for (int i = 0; i < 77; i++)
    cr_expect_eq(isnan(y[i]) != 0, i == 76);
  stand_in_close(&ops);
}

Test(stand_in, scratch_memory_that_was_not_written_shows) {
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    Ops ops = opened((StandInOrder)order);
    float y = 0.0F;
    plant_unwritten_sum(&ops, &y);
    cr_expect(isnan(y), "%g", y);
    stand_in_close(&ops);
  }
}

/* What is not waited for is what shared memory was before. */
Test(stand_in, a_missing_wait_shows) {
  for (int order = 0; order < STAND_IN_ORDERS; order++)
    for (int left = 0; left <= 2; left++) {
      Ops ops = opened((StandInOrder)order);
      float x[64], y[64] = {0.0F};
      for (int i = 0; i < 64; i++)
        x[i] = 1.0F + (float)i;
      language_copies(&ops, y, x, left);
      cr_expect_eq(ops_status(&ops).code, STATUS_OK, "%s", ops_status(&ops).message);
      for (int i = 0; i < 64; i++)
        if (i < 32 * (2 - left))
          cr_expect_eq(y[i], x[i], "%d left, number %d: %g", left, i, y[i]);
        else
          cr_expect(isnan(y[i]), "%d left, number %d: %g", left, i, y[i]);
      stand_in_close(&ops);
    }
}

static void copies_left(const Ops *ops) {
  static const float x[32];
  plant_copies_left(ops, x);
}

Test(stand_in, a_copy_that_nobody_waits_for_is_a_fault) {
  EXPECT_FAULT(copies_left, "kernel copies_left", "it exited with 1 copies under way");
}

Test(stand_in, blocks_that_race_differ_by_order) {
  float last[STAND_IN_ORDERS];
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    Ops ops = opened((StandInOrder)order);
    plant_races_of_blocks(&ops, &last[order], 11);
    stand_in_close(&ops);
  }
  cr_expect_eq(last[STAND_IN_FORWARD], 10.0F);
  cr_expect_eq(last[STAND_IN_REVERSE], 0.0F);
}

static void expect_launch(unsigned threads, size_t shared, unsigned rows, const char *says) {
  Ops ops = opened(STAND_IN_FORWARD);
  plant_launch(&ops, threads, shared, rows);
  Status status = ops_status(&ops);
  cr_assert_eq(status.code, says ? STATUS_UNAVAILABLE : STATUS_OK, "%u threads, %zu bytes", threads, shared);
  if (says)
    expect_contains(status.message, says);
  stand_in_close(&ops);
}

Test(stand_in, launches_that_no_card_takes_are_faults) {
  expect_launch(1024, 0, 1, NULL);
  expect_launch(32, 163 * 1024, 1, NULL);
  expect_launch(32, 0, 0, NULL); /* no blocks: nothing to do */
  expect_launch(1025, 0, 1, "1025 x 1 x 1 threads a block: a card takes 1 to 1024");
  expect_launch(0, 0, 1, "0 x 1 x 1 threads a block");
  expect_launch(32, 163 * 1024 + 1, 1, "more shared memory than a card's 166912 bytes a block");
  expect_launch(32, 0, 65536, "1 x 65536 x 1 blocks");
}

/* ---- the language ---- */

/* What lane l of a warp whose lanes hold base + their number gets; see warps in test_stand_in.cu. */
static void expected_of(int thread, double *to) {
  int l = thread % 32, k = 0;
  double base = 100.0 + (thread - l);
  to[k++] = base + 3;
  to[k++] = base + (l + 1) % 32;
  to[k++] = base + l / 8 * 8 + 5;
  to[k++] = base + (l < 1 ? l : l - 1);
  to[k++] = base + (l % 16 < 3 ? l : l - 3);
  to[k++] = base + (l > 30 ? l : l + 1);
  to[k++] = base + (l % 16 > 12 ? l : l + 3);
  to[k++] = base + (l ^ 1);
  to[k++] = base + (l ^ 31);
  to[k++] = base + (l % 16 < 8 ? l : l - 8); /* into an earlier part, not into a later one */
  to[k++] = 1e300 + 1e284 * (thread - l + 31 - l);
  to[k++] = (double)0x49249249u;
  to[k++] = 1.0;
  to[k++] = 0.0;
  to[k++] = 1.0;
  to[k++] = 0.0;
  to[k++] = l < 8 ? base + (l ^ 4) : -1.0;
  to[k++] = l < 8 ? (double)0xe0u : -1.0;
  to[k++] = thread - l + 2 - 50;
  to[k++] = 8 + 100 * 4 + 10000 * 31 + 1000000;
  to[k++] = 2.0 + 2.0 + 20.0 + 0.5;
  cr_assert_leq(k, LANGUAGE_RESULTS);
}

Test(stand_in, shuffles_and_votes_are_as_defined) {
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    static double y[LANGUAGE_THREADS * LANGUAGE_RESULTS], expected[LANGUAGE_RESULTS];
    Ops ops = opened((StandInOrder)order);
    language_warps(&ops, y);
    cr_assert_eq(ops_status(&ops).code, STATUS_OK, "%s", ops_status(&ops).message);
    for (int thread = 0; thread < LANGUAGE_THREADS; thread++) {
      expected_of(thread, expected);
      for (int k = 0; k < LANGUAGE_RESULTS; k++)
        cr_expect_eq(y[thread * LANGUAGE_RESULTS + k], expected[k], "thread %d, result %d: %g, not %g", thread, k,
                     y[thread * LANGUAGE_RESULTS + k], expected[k]);
    }
    stand_in_close(&ops);
  }
}

Test(stand_in, every_thread_of_every_block_runs_once) {
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    int seen[12 * 24] = {0};
    Ops ops = opened((StandInOrder)order);
    language_indices(&ops, seen);
    for (int i = 0; i < 12 * 24; i++)
      cr_expect_eq(seen[i], 1, "order %d, %d", order, i);
    stand_in_close(&ops);
  }
}

Test(stand_in, reductions_are_sums_and_maxima) {
  static const unsigned threads[] = {32, 96, 1024};
  for (int order = 0; order < STAND_IN_ORDERS; order++)
    for (int t = 0; t < 3; t++)
      for (int poisoned = 0; poisoned < 2; poisoned++) {
        static float x[1024], sum[1024], most[1024];
        Ops ops = opened((StandInOrder)order);
        unsigned n = threads[t];
        for (unsigned i = 0; i < n; i++)
          x[i] = (float)(i * 37 % n) - 40.0F;
        if (poisoned)
          x[n - 7] = NAN;
        language_reduce(&ops, sum, most, x, n);
        cr_assert_eq(ops_status(&ops).code, STATUS_OK, "%s", ops_status(&ops).message);
        for (unsigned i = 0; i < n; i++)
          if (poisoned)
            cr_expect(isnan(sum[i]) && isnan(most[i]));
          else {
            cr_expect_eq(sum[i], (float)n * (float)(n - 1) / 2.0F - 40.0F * (float)n); /* whole numbers: exact */
            cr_expect_eq(most[i], (float)(n - 1) - 40.0F);
          }
        stand_in_close(&ops);
      }
}

Test(stand_in, atomics_are_as_defined) {
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    float f = 0.5F;
    double d = 0.25;
    int i[5] = {3, -1, 1, -1, -1};
    unsigned u[5] = {1, 0, 0xffff, 0, 200};
    Ops ops = opened((StandInOrder)order);
    language_atomics(&ops, &f, &d, i, u, 2);
    cr_expect_eq(f, 128.5F);
    cr_expect_eq(d, 64.25);
    cr_expect_eq(i[0], 3 - 128);
    cr_expect_eq(i[1], 127);
    cr_expect_eq(i[2], -127);
    cr_expect(i[3] >= 0 && i[3] < 128 && i[4] == 1);
    cr_expect_eq(u[0], 257);
    cr_expect_eq(u[1], 0xffffffff);
    cr_expect_eq(u[2], 0xff00);
    cr_expect_eq(u[3], 77);
    cr_expect_eq(u[4], 200 - 128);
    stand_in_close(&ops);
  }
}

Test(stand_in, shared_memory_is_nan_in_each_block) {
  Ops ops = opened(STAND_IN_FORWARD);
  float first[10] = {0.0F};
  language_shared(&ops, first, 5);
  for (int i = 0; i < 10; i++)
    cr_expect(isnan(first[i]), "%d: %g", i, first[i]);
  stand_in_close(&ops);
}

/* ---- tensor cores: positions as the PTX ISA's figures of m16n8k16 and ldmatrix show them ---- */

/* The lane that holds numbers 2 p and 2 p + 1 of row g in its word of an 8 x 8 matrix (of b: of column g). */
static const int lane_of[8][4] = {{0, 1, 2, 3},     {4, 5, 6, 7},     {8, 9, 10, 11},   {12, 13, 14, 15},
                                  {16, 17, 18, 19}, {20, 21, 22, 23}, {24, 25, 26, 27}, {28, 29, 30, 31}};
static const int word_of_a[2][2] = {{0, 2}, {1, 3}}; /* upper and lower rows; left and right columns */

static uint32_t words_pair(float low, float high) {
  return bf16_from_float(low) | (uint32_t)bf16_from_float(high) << 16;
}

/* Whole numbers, small enough for bf16 and for exact sums, and no two rows or columns alike. */
static float whole(int i, int j, int seed) {
  return (float)((i * 37 + j * 11 + i * j * seed + seed) % 61 - 30);
}

static void fragments_of(uint32_t a[32][4], uint32_t b[32][2], float c[32][4]) {
  for (int g = 0; g < 8; g++)
    for (int p = 0; p < 4; p++)
      for (int half = 0; half < 2; half++) {
        int lane = lane_of[g][p], k = 8 * half + 2 * p;
        b[lane][half] = words_pair(whole(k, g, 5), whole(k + 1, g, 5));
        for (int low = 0; low < 2; low++)
          a[lane][word_of_a[low][half]] = words_pair(whole(g + 8 * low, k, 3), whole(g + 8 * low, k + 1, 3));
        c[lane][2 * half] = whole(g + 8 * half, 2 * p, 7);
        c[lane][2 * half + 1] = whole(g + 8 * half, 2 * p + 1, 7);
      }
}

static float product_at(int i, int j) {
  float sum = whole(i, j, 7);
  for (int k = 0; k < 16; k++)
    sum += whole(i, k, 3) * whole(k, j, 5);
  return sum;
}

Test(stand_in, fragments_lie_as_on_tensor_cores) {
  for (int order = 0; order < STAND_IN_ORDERS; order++) {
    Ops ops = opened((StandInOrder)order);
    uint32_t a[32][4], b[32][2];
    float c[32][4];
    fragments_of(a, b, c);
    language_mma(&ops, c, (const uint32_t(*)[4])a, (const uint32_t(*)[2])b);
    cr_assert_eq(ops_status(&ops).code, STATUS_OK, "%s", ops_status(&ops).message);
    for (int g = 0; g < 8; g++)
      for (int p = 0; p < 4; p++)
        for (int i = 0; i < 4; i++) {
          int row = i < 2 ? g : g + 8, column = i % 2 == 0 ? 2 * p : 2 * p + 1;
          float is = c[lane_of[g][p]][i], should = product_at(row, column);
          cr_expect_eq(is, should, "(%d, %d): %g, not %g", row, column, is, should);
        }
    stand_in_close(&ops);
  }
}

Test(stand_in, matrices_are_loaded_as_by_ldmatrix) {
  uint16_t from[4][8][8];
  for (int k = 0; k < 4 * 8 * 8; k++)
    from[k / 64][k / 8 % 8][k % 8] = (uint16_t)(0x1000 + 7 * k);
  for (int transposed = 0; transposed < 2; transposed++) {
    Ops ops = opened(STAND_IN_RANDOM);
    uint32_t to[32][4] = {{0}};
    language_matrices(&ops, to, &from[0][0][0], transposed);
    cr_assert_eq(ops_status(&ops).code, STATUS_OK, "%s", ops_status(&ops).message);
    for (int k = 0; k < 4 * 8 * 4; k++) {
      int i = k / 32, g = k / 4 % 8, p = k % 4;
      uint32_t low = transposed ? from[i][2 * p][g] : from[i][g][2 * p];
      uint32_t high = transposed ? from[i][2 * p + 1][g] : from[i][g][2 * p + 1];
      cr_expect_eq(to[lane_of[g][p]][i], low | high << 16, "matrix %d, lane %d", i, lane_of[g][p]);
    }
    stand_in_close(&ops);
  }
}

/* ---- bf16 ---- */

static bool same_bits(float x, float y) {
  return memcmp(&x, &y, sizeof x) == 0;
}

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* body(high, x): all values of bf16, and of floats those on, beside and halfway between them. */
static void of_all(void (*body)(uint16_t high, float x)) {
  static const uint32_t low[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1234};
  for (uint32_t high = 0; high < 1 << 16; high++)
    for (int k = 0; k < 7; k++)
      body((uint16_t)high, float_of(high << 16 | low[k]));
}

static int wrong;

static void as_on_the_host(uint16_t high, float x) {
  uint16_t is = own_bf16_from_float(x);
  wrong += !same_bits(own_bf16_to_float(high), bf16_to_float(high));
  wrong += isnan(x) ? !isnan(bf16_to_float(is)) : is != bf16_from_float(x);
}

static void as_nvidias(uint16_t high, float x) {
  wrong += !same_bits(own_bf16_to_float(high), nvidia_bf16_to_float(high));
  wrong += own_bf16_from_float(x) != nvidia_bf16_from_float(x);
}

Test(stand_in, bf16_rounds_to_nearest_even) {
  of_all(as_on_the_host);
  cr_expect_eq(wrong, 0, "%d", wrong);
}

Test(stand_in, bf16_is_nvidias) {
  if (!nvidia_bf16())
    cr_skip_test("the toolkit's cuda_bf16.h is not there");
  of_all(as_nvidias);
  cr_expect_eq(wrong, 0, "%d", wrong);
}

/* ---- opening ---- */

Test(stand_in, only_float_is_computed_in) {
  Ops ops;
  Status status = stand_in_open(&ops, DTYPE_F64, STAND_IN_FORWARD, 1);
  cr_expect_eq(status.code, STATUS_USAGE);
  expect_contains(status.message, "computes in F32 or BF16, not in F64");
  cr_expect(!ops.table && !ops.state);
  stand_in_close(&ops);
}

Test(stand_in, memory_is_zeroed_and_the_hosts) {
  Ops ops = opened(STAND_IN_FORWARD);
  void *memory;
  cr_expect_eq(ops_alloc(&ops, SIZE_MAX - 5, &memory).code, STATUS_MEMORY);
  cr_assert_eq(ops_alloc(&ops, 77, &memory).code, STATUS_OK);
  char text[77] = "", back[77] = "x";
  ops_read(&ops, back, memory, 77);
  cr_expect_arr_eq(back, text, 77);
  strcpy(text, "bytes");
  ops_write(&ops, memory, text, 77);
  ops_read(&ops, back, memory, 77);
  cr_expect_str_eq(back, "bytes");
  ops_free(&ops, memory);
  ops_free(&ops, NULL);
  stand_in_close(&ops);
}

/* Is a slot of the table empty, or the C backend's function? */
static bool slot_has_no_kernel(const OpsTable *table, size_t slot) {
  void (*own)(void), (*c)(void);
  bool none = false;
  memcpy(&own, (const char *)table + slot, sizeof own);
  for (int wide = 0; wide < 2; wide++) {
    Ops ops;
    cr_assert_eq(c_open(&ops, wide ? DTYPE_F64 : DTYPE_F32, 1).code, STATUS_OK);
    memcpy(&c, (const char *)ops.table + slot, sizeof c);
    none = none || !own || own == c;
    c_close(&ops);
  }
  return none;
}

static size_t slots_without_kernel(const OpsTable *table) {
  size_t count = 0;
  for (size_t slot = offsetof(OpsTable, alloc); slot < sizeof *table; slot += sizeof(void (*)(void)))
    count += slot_has_no_kernel(table, slot);
  return count;
}

/* No operation falls back to another backend. */
Test(stand_in, every_slot_has_a_kernel) {
  Ops ops = opened(STAND_IN_FORWARD), c;
  cr_expect_eq(slots_without_kernel(ops.table), 0);
  cr_assert_eq(c_open(&c, DTYPE_F32, 1).code, STATUS_OK);
  OpsTable fallen = *ops.table;
  fallen.rope = c.table->rope;
  fallen.adamw = NULL;
  cr_expect_eq(slots_without_kernel(&fallen), 2, "one of the C backend and an empty one");
  c_close(&c);
  stand_in_close(&ops);
}

Test(stand_in, cuda_says_why_it_is_not_there) {
  CudaDevice device;
  Ops ops;
  Status status = cuda_device(&device);
  if (status.code == STATUS_OK)
    cr_skip_test("there is a CUDA device");
  cr_expect_eq(status.code, STATUS_UNAVAILABLE);
  expect_contains(status.message, cuda_built() ? "CUDA device" : "built without CUDA");
  cr_expect_eq(cuda_open(&ops, DTYPE_F32).code, STATUS_UNAVAILABLE);
  cr_expect(!ops.table && !ops.state);
  cuda_close(&ops);
}

/* Each thread passes every barrier. SEESAW_ERRORS prints the time of a switch. */
Test(stand_in, switches_are_many) {
  enum { TIMES = SANITIZED_OR(200, 2000) };
  Ops ops = opened(STAND_IN_FORWARD);
  struct timespec begin, end;
  unsigned passed[256] = {0};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  language_switches(&ops, TIMES, passed);
  clock_gettime(CLOCK_MONOTONIC, &end);
  cr_expect_eq(ops_status(&ops).code, STATUS_OK);
  for (int i = 0; i < 256; i++)
    cr_expect_eq(passed[i], (unsigned)TIMES, "thread %d passed %u", i, passed[i]);
  if (getenv("SEESAW_ERRORS"))
    fprintf(stderr, "%.1f ns for a thread at a barrier\n",
            ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / TIMES / 256);
  stand_in_close(&ops);
}
