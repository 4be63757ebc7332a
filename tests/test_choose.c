/* test_choose.c: a card's matrix products get the algorithm that was asked for: the library's first, that of a file, or
 * the fastest; and whatever fails costs speed alone. Over a stand-in of the library, so it needs no card. */
#include "test_choose.h"

#include "scratch.h"

static Ops ops;
static const char *file;

static void begin(void) {
  scratch_make();
  file = strdup(scratch_path("algorithms"));
  choose_open(&ops);
}

static void end(void) {
  choose_close(&ops);
  scratch_remove();
}

TestSuite(choose, .init = begin, .fini = end);

enum { TIMING = 8 * 6 }; /* runs: eight algorithms, five rounds and one to warm up */

/* One product: the algorithm that made it, after so many runs in all. */
static void expect_product(size_t m, Onto onto, int algorithm, int runs) {
  const void *const added[] = {NULL, choose_output, choose_other};
  int alive = library.alive;
  library.launched = 0;
  library.written = 0;
  choose_product(&ops, m, onto);
  cr_expect_eq(library.last, algorithm, "%d instead of %d", library.last, algorithm);
  cr_expect_eq(library.launched, runs, "%d runs instead of %d", library.launched, runs);
  cr_expect_eq(library.added, added[onto]);
  cr_expect(library.written > 0 && (onto != ONTO_ITSELF || library.written == 1), "what is added to is written once");
  cr_expect_eq(library.alive, alive, "all is given back");
  cr_expect_eq(choose_status(&ops).code, STATUS_OK);
}

static void choose(CudaAlgorithms how) {
  cr_assert_eq(cuda_algorithms(&ops, how, file).code, STATUS_OK);
}

static void expect_choices(size_t first, size_t kept, size_t timed) {
  CudaChoices choices = cuda_choices(&ops);
  cr_expect(choices.first == first && choices.kept == kept && choices.timed == timed, "%zu, %zu, %zu", choices.first,
            choices.kept, choices.timed);
}

static void expect_trouble(StatusCode code, const char *part) {
  Status trouble = cuda_choices(&ops).trouble;
  cr_expect_eq(trouble.code, code);
  if (trouble.code != STATUS_OK)
    expect_contains(trouble.message, part);
}

Test(choose, the_library_is_asked_once_a_shape) {
  library.cost[5] = 1.0; /* nobody finds out */
  expect_product(100, ALONE, 1, 1);
  expect_product(100, ALONE, 1, 1);
  cr_expect_eq(library.asked, 1);
  expect_product(101, ALONE, 1, 1);
  expect_product(100, ONTO_ITSELF, 1, 1);
  cr_expect_eq(library.asked, 3);
  expect_choices(3, 0, 0);
  cr_expect_eq(scratch_count(), 0, "no file is touched");
}

Test(choose, the_fastest_is_found_once_and_kept) {
  choose(CUDA_TIMED);
  library.cost[6] = 3.0;
  expect_product(100, ALONE, 6, TIMING + 1);
  expect_product(100, ALONE, 6, 1);
  expect_product(103, ALONE, 6, 1); /* nearly as many rows */
  expect_product(130, ALONE, 6, TIMING + 1);
  expect_choices(0, 1, 2);
  library.cost[6] = 30.0; /* now the second would be */
  library.cost[2] = 2.0;
  library.asked = 0;
  choose(CUDA_KEPT);
  expect_product(100, ALONE, 6, 1);
  expect_product(131, ALONE, 6, 1);
  cr_expect_eq(library.asked, 0);
  expect_product(300, ALONE, 1, 1); /* not in the file: not timed either */
  expect_choices(1, 2, 0);
  choose(CUDA_TIMED);
  expect_product(131, ALONE, 6, 1);
  expect_product(300, ALONE, 2, TIMING + 1);
  choose(CUDA_FIRST);
  expect_product(300, ALONE, 1, 1);
}

Test(choose, what_is_added_to_is_not_touched_by_timing) {
  choose(CUDA_TIMED);
  library.fails[3] = true;
  library.cost[2] = 4.0;
  expect_product(100, ONTO_ITSELF, 2, 7 * 6 + 1 + 1); /* one that fails is tried once */
  library.without_memory = true;
  expect_product(200, ONTO_ITSELF, 1, 1);
  expect_trouble(STATUS_MEMORY, "not enough memory on the stand-in: 3200 bytes");
  expect_product(200, ALONE, 2, 7 * 6 + 1 + 1); /* needs none */
  expect_product(200, ONTO_ANOTHER, 1, 1);      /* the shape has its answer */
  expect_product(300, ONTO_ANOTHER, 2, 7 * 6 + 1 + 1);
  library.without_memory = false;
  expect_product(200, ONTO_ITSELF, 1, 1); /* as it began */
}

Test(choose, a_device_that_cannot_time_multiplies) {
  choose(CUDA_TIMED);
  library.without_events = true;
  expect_product(100, ALONE, 1, 1);
  expect_trouble(STATUS_UNAVAILABLE, "could not be timed on the CUDA device: the stand-in was told to break");
  library.without_events = false;
  library.broken = true;
  expect_product(200, ALONE, 1, TIMING + 1);
  expect_choices(2, 0, 0);
  cr_expect_eq(scratch_count(), 0, "nothing is kept");
}

Test(choose, what_fails_is_not_chosen) {
  choose(CUDA_TIMED);
  library.cost[4] = 1.0;
  library.fails[4] = library.fails[1] = true;
  expect_product(100, ALONE, 2, 6 * 6 + 2 + 1);
  for (int i = 0; i < ALGORITHMS; i++)
    library.fails[i] = true;
  choose_product(&ops, 200, ALONE);
  cr_expect_eq(choose_status(&ops).code, STATUS_UNAVAILABLE);
  expect_contains(choose_status(&ops).message, "a matrix product failed on the CUDA device: the stand-in was told");
  expect_trouble(STATUS_UNAVAILABLE, "none of the algorithms runs");
}

Test(choose, a_shape_without_algorithms_is_a_fault) {
  choose(CUDA_TIMED);
  library.offered = 0;
  choose_product(&ops, 100, ALONE);
  cr_expect_eq(choose_status(&ops).code, STATUS_UNAVAILABLE);
}

Test(choose, a_file_is_not_trusted) {
  choose(CUDA_TIMED);
  library.cost[6] = 3.0;
  expect_product(100, ALONE, 6, TIMING + 1);
  library.refused[6] = true; /* by its check */
  choose(CUDA_TIMED);
  expect_product(100, ALONE, 1, 1);
  library.refused[6] = false;
  library.hungry[6] = true;
  choose(CUDA_KEPT);
  expect_product(100, ALONE, 1, 1);
  library.hungry[6] = false;
  library.fails[6] = true; /* although it was checked */
  choose(CUDA_KEPT);
  expect_product(100, ALONE, 1, 2);
  expect_product(100, ALONE, 1, 1);
}

Test(choose, a_damaged_file_is_said_and_replaced) {
  scratch_text("algorithms", "seesaw algorithms 1\nStand");
  Status status = cuda_algorithms(&ops, CUDA_TIMED, file);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "is damaged or was cut short");
  library.cost[3] = 3.0;
  expect_product(100, ALONE, 3, TIMING + 1);
  expect_trouble(STATUS_OK, "");
  choose(CUDA_KEPT);
  expect_product(100, ALONE, 3, 1);
}

Test(choose, without_a_file_memory_keeps_it) {
  cr_assert_eq(cuda_algorithms(&ops, CUDA_TIMED, scratch_path("none/algorithms")).code, STATUS_OK);
  library.cost[3] = 3.0;
  expect_product(100, ALONE, 3, TIMING + 1);
  expect_product(103, ALONE, 3, 1);
  expect_trouble(STATUS_OUTPUT, "there is no folder");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  cr_expect_eq(cuda_algorithms(&ops, CUDA_TIMED, NULL).code, STATUS_USAGE);
  expect_product(100, ALONE, 3, TIMING + 1);
  expect_product(103, ALONE, 3, 1);
}

Test(choose, closed_it_keeps_nothing) {
  choose(CUDA_TIMED);
  choose_product(&ops, 100, ONTO_ITSELF);
  cr_expect_gt(library.alive, 0);
  choose_close(&ops);
  cr_expect_eq(library.alive, 0);
}

Test(choose, the_users_cache_is_the_place) {
  setenv("XDG_CACHE_HOME", scratch_folder, 1);
  cr_assert_eq(cuda_algorithms(&ops, CUDA_TIMED, NULL).code, STATUS_OK);
  choose_product(&ops, 100, ALONE);
  const char *path = scratch_path("seesaw/algorithms-1-Stand-in-compute-capability-0.0-cuBLASLt-130100.txt");
  cr_expect_eq(access(path, R_OK), 0);
}
