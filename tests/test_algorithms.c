/* test_algorithms.c: choices of algorithms are found by all that decides, and a file gives back what was kept or
 * nothing. */
#include "card/algorithms.h"

#include <math.h>
#include <sys/stat.h>

#include "backends.h"
#include "rng.h"
#include "scratch.h"

TestSuite(algorithms, .init = scratch_make, .fini = scratch_remove);

static const char *const card = "Card 9000, compute capability 9.0, cuBLASLt 130100";

static AlgorithmKey key_of(uint64_t i) {
  return (AlgorithmKey){.bits = 16,
                        .bits_d = 32,
                        .turned_b = i % 2,
                        .m = 1000 + i,
                        .n = 4096,
                        .k = 3 + i / 7,
                        .pitch_a = 64,
                        .pitch_b = UINT64_MAX - i,
                        .pitch_d = 4096,
                        .align_a = 256};
}

static Algorithm algorithm_of(uint64_t i) {
  Algorithm algorithm;
  Rng rng = rng_make(1, RNG_TEST, i);
  for (uint64_t k = 0; k < 8; k++)
    algorithm.word[k] = (uint64_t)(rng_uniform(rng, k) * 0x1p53) << k;
  return algorithm;
}

static bool holds(const AlgorithmTable *table, uint64_t i) {
  AlgorithmKey key = key_of(i);
  Algorithm wanted = algorithm_of(i);
  const Algorithm *found = algorithm_find(table, &key);
  return found && memcmp(found, &wanted, sizeof wanted) == 0;
}

static bool put(AlgorithmTable *table, uint64_t i) {
  AlgorithmKey key = key_of(i);
  Algorithm algorithm = algorithm_of(i);
  return algorithm_put(table, &key, &algorithm);
}

static Status keep(AlgorithmTable *table, const char *path, uint64_t i) {
  AlgorithmKey key = key_of(i);
  Algorithm algorithm = algorithm_of(i);
  return algorithms_keep(table, path, card, &key, &algorithm);
}

/* A file of three, in memory; its size. */
static size_t three(char *text, size_t room) {
  AlgorithmTable table = {0};
  for (uint64_t i = 0; i < 3; i++)
    cr_assert_eq(keep(&table, scratch_path("three"), i).code, STATUS_OK);
  algorithms_clear(&table);
  scratch_read(scratch_path("three"), text, room);
  return strlen(text);
}

/* A new file: to write over an old one makes file systems flush. */
static const char *written(const void *bytes, size_t size) {
  unlink(scratch_path("written"));
  return scratch_write("written", bytes, size);
}

/* Nothing is read, and the sentence says why. */
static void expect_refused(const char *path, const char *why) {
  AlgorithmTable table = {0};
  put(&table, 1);
  Status status = algorithms_read(&table, path, card);
  cr_expect_eq(status.code, STATUS_INPUT, "%s", path);
  if (status.code == STATUS_INPUT)
    expect_contains(status.message, why);
  cr_expect_eq(table.count, 0);
  algorithms_clear(&table);
}

/* ---- the table ---- */

Test(algorithms, are_found_by_every_part_of_their_key) {
  AlgorithmTable table = {0};
  cr_expect_not(holds(&table, 0), "an empty table holds nothing");
  cr_assert(put(&table, 0));
  cr_expect(holds(&table, 0));
  for (size_t i = 0; i < sizeof(AlgorithmKey) / sizeof(uint64_t); i++) {
    AlgorithmKey key = key_of(0);
    uint64_t field[sizeof key / sizeof(uint64_t)];
    memcpy(field, &key, sizeof key);
    field[i] ^= 1;
    memcpy(&key, field, sizeof key);
    cr_expect_null(algorithm_find(&table, &key), "field %zu decides, too", i);
  }
  algorithms_clear(&table);
  algorithms_clear(&table);
}

Test(algorithms, fill_the_table_and_no_more) {
  AlgorithmTable table = {0};
  for (uint64_t i = 0; i < ALGORITHMS_MOST; i++)
    cr_assert(put(&table, i));
  cr_expect_not(put(&table, ALGORITHMS_MOST));
  cr_expect(put(&table, 5), "what is there may change");
  cr_expect_eq(table.count, ALGORITHMS_MOST);
  size_t held = 0;
  for (uint64_t i = 0; i <= ALGORITHMS_MOST; i++)
    held += holds(&table, i);
  cr_expect_eq(held, ALGORITHMS_MOST);
  algorithms_clear(&table);
}

Test(algorithms, put_again_is_changed) {
  AlgorithmTable table = {0};
  AlgorithmKey key = key_of(0);
  Algorithm other = algorithm_of(9);
  cr_assert(put(&table, 0));
  cr_assert(algorithm_put(&table, &key, &other));
  cr_expect_eq(table.count, 1);
  cr_expect_eq(algorithm_find(&table, &key)->word[3], other.word[3]);
  algorithms_clear(&table);
}

Test(algorithms, of_nearly_as_many_rows_are_the_same) {
  const uint64_t cases[][2] = {{0, 0},       {1, 1},       {15, 15},     {16, 16},     {17, 16},
                               {4607, 4096}, {4608, 4608}, {5119, 4608}, {5120, 5120}, {UINT64_MAX, 15ull << 60}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    AlgorithmKey key = {.m = cases[i][0], .n = 4607, .k = cases[i][0], .pitch_a = 4607};
    AlgorithmKey coarse = algorithm_key_coarse(&key);
    cr_expect_eq(coarse.m, cases[i][1]);
    cr_expect_eq(coarse.k, cases[i][1]);
    cr_expect_eq(coarse.n, 4607);
    cr_expect_eq(coarse.pitch_a, 4607);
  }
}

/* ---- the file ---- */

Test(algorithms, come_back_from_the_file) {
  AlgorithmTable table = {0}, read = {0};
  const char *path = scratch_path("kept");
  cr_assert_eq(algorithms_read(&read, path, card).code, STATUS_OK, "no file: nothing is kept yet");
  cr_expect_eq(read.count, 0);
  for (uint64_t i = 0; i < 9; i++)
    cr_assert_eq(keep(&table, path, i).code, STATUS_OK);
  cr_assert_eq(algorithms_read(&read, path, card).code, STATUS_OK);
  cr_expect_eq(read.count, 9);
  for (uint64_t i = 0; i < 9; i++)
    cr_expect(holds(&read, i) && holds(&table, i));
  cr_expect_not(holds(&read, 9));
  algorithms_clear(&table);
  algorithms_clear(&read);
}

Test(algorithms, of_a_full_table_come_back) {
  AlgorithmTable table = {0}, read = {0};
  const char *path = scratch_path("full");
  for (uint64_t i = 0; i + 1 < ALGORITHMS_MOST; i++)
    cr_assert(put(&table, i));
  cr_assert_eq(keep(&table, path, ALGORITHMS_MOST - 1).code, STATUS_OK);
  Status status = keep(&table, path, ALGORITHMS_MOST);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "has no room for more than 16384");
  cr_assert_eq(algorithms_read(&read, path, card).code, STATUS_OK);
  cr_expect_eq(read.count, ALGORITHMS_MOST);
  cr_expect(holds(&read, ALGORITHMS_MOST - 1));
  algorithms_clear(&table);
  algorithms_clear(&read);
}

Test(algorithms, of_a_damaged_file_are_not_taken) {
  static char text[4096], damaged[4096];
  size_t size = three(text, sizeof text);
  for (size_t i = 0; i < size; i++)
    for (int bit = 0; bit < 8; bit += 3) {
      memcpy(damaged, text, size);
      damaged[i] ^= (char)(1 << bit);
      expect_refused(written(damaged, size), i < 20 ? "no file of algorithms" : "damaged or was cut");
    }
  expect_refused(scratch_write("longer", strcat(text, "\n"), size + 1), "damaged or was cut short");
}

Test(algorithms, of_a_file_cut_short_are_not_taken) {
  static char text[4096];
  size_t size = three(text, sizeof text);
  for (size_t i = 0; i < size; i++)
    expect_refused(written(text, i), "is damaged or was cut short");
}

Test(algorithms, of_another_device_or_version_are_not_taken) {
  static char text[4096];
  AlgorithmTable table = {0};
  three(text, sizeof text);
  const char *path = scratch_path("three");
  Status status = algorithms_read(&table, path, "Card 9001, compute capability 9.0, cuBLASLt 130100");
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, "not for this device and library: Card 9001");
  status = algorithms_read(&table, path, "Card 9000, compute capability 9.0, cuBLASLt 13010");
  cr_expect_eq(status.code, STATUS_INPUT, "a name that goes on is another name");
  *strchr(text, '1') = '2';
  expect_refused(scratch_text("later", text), "of another version of this program");
  expect_refused(scratch_text("other", "not ours at all, but long enough to be\n"), "is no file of algorithms");
  expect_refused(scratch_folder, "it is a folder");
}

Test(algorithms, of_a_million_lines_are_refused_at_once) {
  const size_t lines = 1000000;
  char *text = malloc(2 * lines + 1);
  cr_assert_not_null(text);
  for (size_t i = 0; i < lines; i++)
    memcpy(text + 2 * i, "7\n", 3);
  expect_refused(scratch_write("many", text, 2 * lines), "is no file of algorithms");
  memcpy(text, "seesaw algorithms 1\n", 20);
  expect_refused(scratch_write("many", text, 2 * lines), "is damaged or was cut short");
  free(text);
  FILE *stream = fopen(scratch_path("huge"), "w"); /* a hole: it takes no room on the disk */
  cr_assert_not_null(stream);
  cr_assert_eq(fseek(stream, 1l << 33, SEEK_SET), 0);
  fputc('\n', stream);
  fclose(stream);
  expect_refused(scratch_path("huge"), "more than the");
}

/* ---- writing ---- */

Test(algorithms, of_other_processes_are_taken_up) {
  AlgorithmTable one = {0}, other = {0}, read = {0};
  AlgorithmKey key = key_of(1);
  Algorithm own = algorithm_of(7), theirs = algorithm_of(1);
  const char *path = scratch_path("shared");
  cr_assert_eq(keep(&one, path, 0).code, STATUS_OK);
  cr_assert_eq(keep(&one, path, 1).code, STATUS_OK);
  cr_assert_eq(keep(&other, path, 2).code, STATUS_OK);
  cr_assert_eq(algorithms_keep(&other, path, card, &key, &own).code, STATUS_OK);
  cr_expect_eq(memcmp(&own, &theirs, sizeof own), 0, "whoever wrote first has chosen");
  cr_expect(holds(&other, 1));
  cr_assert_eq(algorithms_read(&read, path, card).code, STATUS_OK);
  cr_expect_eq(read.count, 3);
  cr_expect(holds(&read, 0) && holds(&read, 1) && holds(&read, 2));
  algorithms_clear(&one);
  algorithms_clear(&other);
  algorithms_clear(&read);
}

enum { WRITERS = 3, EACH = 6 };

static void write_part(uint64_t writer) {
  AlgorithmTable table = {0};
  int failed = 0;
  for (uint64_t i = 0; i < EACH; i++)
    failed += keep(&table, scratch_path("crowded"), EACH * writer + i).code != STATUS_OK;
  algorithms_clear(&table);
  _exit(failed);
}

Test(algorithms, of_processes_that_write_at_once_are_all_kept) {
  pid_t child[WRITERS];
  AlgorithmTable read = {0};
  int status;
  for (uint64_t i = 0; i < WRITERS; i++)
    if ((child[i] = fork()) == 0)
      write_part(i);
  for (int i = 0; i < WRITERS; i++) {
    cr_assert_eq(waitpid(child[i], &status, 0), child[i]);
    cr_expect_eq(status, 0);
  }
  cr_assert_eq(algorithms_read(&read, scratch_path("crowded"), card).code, STATUS_OK);
  cr_expect_eq(read.count, WRITERS * EACH);
  for (uint64_t i = 0; i < WRITERS * EACH; i++)
    cr_expect(holds(&read, i));
  algorithms_clear(&read);
}

Test(algorithms, replace_a_damaged_file_and_no_other) {
  static char text[4096];
  AlgorithmTable table = {0};
  size_t size = three(text, sizeof text);
  const char *cut = scratch_write("cut", text, size / 2), *note = scratch_text("note", "a note\n");
  cr_assert(put(&table, 4));
  cr_expect_eq(keep(&table, cut, 5).code, STATUS_OK);
  cr_assert_eq(algorithms_read(&table, cut, card).code, STATUS_OK);
  cr_expect(table.count == 2 && holds(&table, 4) && holds(&table, 5));
  Status status = keep(&table, note, 6);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "stays as it is");
  cr_expect_str_eq(scratch_read(note, text, sizeof text), "a note\n");
  cr_expect(holds(&table, 6), "in memory it counts");
  AlgorithmKey key = key_of(8);
  Algorithm algorithm = algorithm_of(8);
  cr_expect_eq(algorithms_keep(&table, cut, "another card", &key, &algorithm).code, STATUS_OUTPUT);
  cr_expect_eq(algorithms_read(&table, cut, card).code, STATUS_OK, "the other card's file is whole");
  algorithms_clear(&table);
}

Test(algorithms, say_where_they_cannot_be_kept) {
  AlgorithmTable table = {0};
  Status status = keep(&table, scratch_path("nowhere/kept"), 3);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "there is no folder");
  cr_expect(holds(&table, 3));
  algorithms_clear(&table);
  if (geteuid() == 0)
    return; /* who may write everywhere */
  cr_assert_eq(chmod(scratch_folder, 0500), 0);
  status = keep(&table, scratch_path("kept"), 3);
  cr_assert_eq(chmod(scratch_folder, 0700), 0);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "Permission denied");
  algorithms_clear(&table);
}

/* ---- the name ---- */

Test(algorithms, lie_in_the_users_cache) {
  char *path;
  setenv("XDG_CACHE_HOME", scratch_path("cache"), 1);
  cr_assert_eq(algorithms_path(card, &path).code, STATUS_OK);
  cr_expect_str_eq(path, scratch_path("cache/seesaw/"
                                      "algorithms-1-Card-9000-compute-capability-9.0-cuBLASLt-130100.txt"));
  free(path);
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", scratch_path("home"), 1);
  cr_assert_eq(algorithms_path("../ / x", &path).code, STATUS_OK);
  cr_expect_str_eq(path, scratch_path("home/.cache/seesaw/algorithms-1-..-x.txt"));
  free(path);
  static char name[1000];
  memset(name, 'n', sizeof name - 1);
  cr_assert_eq(algorithms_path(name, &path).code, STATUS_OK);
  cr_expect_lt(strlen(strrchr(path, '/')), 256);
  free(path);
  setenv("HOME", scratch_text("file", ""), 1);
  cr_expect_eq(algorithms_path(card, &path).code, STATUS_OUTPUT);
  cr_expect_null(path);
  unsetenv("HOME");
  Status status = algorithms_path(card, &path);
  cr_expect_eq(status.code, STATUS_USAGE);
  expect_contains(status.message, "name a file");
}

Test(algorithms, cannot_be_chosen_without_cuda) {
  Ops ops = {0};
  CudaClock *clock;
  if (cuda_built())
    cr_skip_test("the toolkit is here: test_choose.c has what there is to test");
  cr_expect_eq(cuda_algorithms(&ops, CUDA_TIMED, NULL).code, STATUS_UNAVAILABLE);
  cr_expect_eq(cuda_choices(&ops).timed, 0);
  cr_expect_eq(cuda_clock_open(&ops, &clock).code, STATUS_UNAVAILABLE);
  cr_expect_null(clock);
  cuda_clock_start(clock, 1);
  cr_expect(isnan(cuda_clock_stop(clock)));
  cuda_clock_close(clock);
}
