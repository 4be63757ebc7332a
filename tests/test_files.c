/* test_files.c: outputs are whole or not there, inputs are read or refused, an interrupt raises a flag. */
#include "files.h"

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "scratch.h"

TestSuite(files, .init = scratch_make, .fini = scratch_remove);

static Status write_file(const char *path, const char *text, size_t times) {
  OutputFile file;
  TRY(output_open(&file, path));
  for (size_t i = 0; i < times; i++)
    fputs(text, file.stream);
  return output_commit(&file);
}

Test(files, an_output_appears_only_when_committed) {
  OutputFile file;
  char text[64];
  const char *path = scratch_path("out.txt");
  cr_assert_eq(output_open(&file, path).code, STATUS_OK);
  fputs("new", file.stream);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "(none)");
  cr_assert_eq(output_commit(&file).code, STATUS_OK);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "new");
  cr_expect_eq(scratch_count(), 1);
  output_abort(&file);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "new", "aborting a closed output does nothing");
}

Test(files, a_name_without_a_folder_lies_in_the_current_one) {
  char text[64];
  cr_assert_eq(chdir(scratch_folder), 0);
  cr_assert_eq(write_file("here.txt", "new", 1).code, STATUS_OK);
  cr_expect_str_eq(scratch_read(scratch_path("here.txt"), text, sizeof text), "new");
  Status status = write_file("none/here.txt", "new", 1);
  expect_contains(status.message, "cannot write none/here.txt: there is no folder none");
}

Test(files, an_output_replaces_the_old_file) {
  char text[64];
  const char *path = scratch_text("out.txt", "old");
  cr_assert_eq(write_file(path, "new", 1).code, STATUS_OK);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "new");
}

Test(files, aborting_keeps_the_old_file) {
  OutputFile file;
  char text[64];
  const char *path = scratch_text("out.txt", "old");
  cr_assert_eq(output_open(&file, path).code, STATUS_OK);
  fputs("new", file.stream);
  output_abort(&file);
  output_abort(&file);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "old");
  cr_expect_eq(scratch_count(), 1);
  file = (OutputFile){0};
  output_abort(&file);
}

static void die_half_way(void) {
  OutputFile file;
  if (output_open(&file, scratch_path("out.txt")).code == STATUS_OK) {
    fputs("half of the n", file.stream);
    fflush(file.stream);
  }
  raise(SIGKILL);
}

Test(files, a_killed_writer_leaves_the_old_file_and_the_next_one_succeeds) {
  char text[64];
  const char *path = scratch_text("out.txt", "old");
  cr_expect_eq(WTERMSIG(in_child(die_half_way, STDOUT_FILENO, text, sizeof text)), SIGKILL);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "old");
  cr_expect_str_eq(scratch_read(scratch_path("out.txt.partial"), text, sizeof text), "half of the n");
  cr_assert_eq(write_file(path, "new", 1).code, STATUS_OK);
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "new");
  cr_expect_eq(scratch_count(), 1);
}

Test(files, a_link_stays_a_link) {
  char text[64];
  struct stat about;
  const char *path = scratch_text("real.txt", "old"), *link = scratch_path("link.txt");
  cr_assert_eq(symlink("real.txt", link), 0);
  cr_assert_eq(write_file(link, "new", 1).code, STATUS_OK);
  cr_expect(lstat(link, &about) == 0 && S_ISLNK(about.st_mode));
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "new");
}

Test(files, opening_says_what_is_wrong) {
  OutputFile file;
  Status status = output_open(&file, scratch_path("none/out.txt"));
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "none/out.txt");
  expect_contains(status.message, "there is no folder");
  output_abort(&file);
  status = output_open(&file, scratch_folder);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "it is a folder");
  scratch_text("plain", "");
  status = output_open(&file, scratch_path("plain/out.txt"));
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "Not a directory");
  cr_assert_eq(folder_create(scratch_path("out.txt.partial")).code, STATUS_OK);
  status = output_open(&file, scratch_path("out.txt"));
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "out.txt.partial is a folder");
}

/* Root may write anywhere, so a child steps down first. */
static void write_without_permission(void) {
  if (geteuid() == 0 && setuid(65534) != 0)
    _exit(9);
  Status new_file = write_file(scratch_path("sealed/out.txt"), "x", 1);
  Status old_file = write_file(scratch_path("sealed/old.txt"), "x", 1);
  printf("%d %s\n%d %s\n", new_file.code, new_file.message, old_file.code, old_file.message);
}

Test(files, no_permission_is_a_status) {
  char text[2048];
  cr_assert_eq(folder_create(scratch_path("sealed")).code, STATUS_OK);
  cr_assert_eq(chmod(scratch_text("sealed/old.txt", "old"), 0444), 0);
  cr_assert(chmod(scratch_path("sealed"), 0555) == 0 && chmod(scratch_folder, 0755) == 0);
  cr_expect_eq(in_child(write_without_permission, STDOUT_FILENO, text, sizeof text), 0);
  expect_contains(text, "sealed/out.txt: Permission denied");
  expect_contains(text, "sealed/old.txt: Permission denied");
  cr_assert_eq(chmod(scratch_path("sealed"), 0755), 0);
}

Test(files, a_full_device_is_told_at_commit) {
  for (size_t times = 1; times < 1000000; times *= 1000) { /* within the stream's buffer, and far beyond it */
    Status status = write_file("/dev/full", "0123456789", times);
    cr_expect_eq(status.code, STATUS_OUTPUT);
    cr_expect_str_eq(status.message, "cannot write /dev/full: No space left on device");
  }
}

static Status write_block(const char *path, size_t size) {
  OutputFile file;
  TRY(output_open(&file, path));
  char *block = calloc(1, size); /* too large for the stream's buffer: the stream forgets it after the failure */
  cr_assert_not_null(block);
  fwrite(block, 1, size, file.stream);
  free(block);
  return output_commit(&file);
}

Test(files, a_full_device_is_told_after_a_large_block_too) {
  Status status = write_block("/dev/full", 1000000);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  cr_expect_str_eq(status.message, "cannot write /dev/full: No space left on device");
}

static void fill_standard_output(void) {
  if (freopen("/dev/full", "w", stdout) == NULL)
    _exit(9);
  Status status = write_file("-", "0123456789", 100000);
  fprintf(stderr, "%d %s", status.code, status.message);
}

Test(files, a_full_standard_output_is_told_too) {
  char text[512];
  in_child(fill_standard_output, STDERR_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "4 cannot write standard output: No space left on device");
}

static void limit_file_size(rlim_t bytes) {
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(files, a_disk_that_fills_up_keeps_the_old_file) {
  char text[64];
  const char *path = scratch_text("out.txt", "old");
  for (size_t times = 1000; times <= 100000; times *= 100) { /* fails in the last flush, and long before it */
    limit_file_size(5000);
    Status status = write_file(path, "0123456789", times);
    limit_file_size(RLIM_INFINITY);
    cr_expect_eq(status.code, STATUS_OUTPUT);
    expect_contains(status.message, "out.txt: File too large");
    cr_expect_str_eq(scratch_read(path, text, sizeof text), "old");
    cr_expect_eq(scratch_count(), 1);
  }
}

Test(files, a_disk_that_fills_up_in_a_large_block_keeps_the_old_file) {
  char text[64];
  const char *path = scratch_text("out.txt", "old");
  limit_file_size(5000);
  Status status = write_block(path, 1000000);
  limit_file_size(RLIM_INFINITY);
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "out.txt: File too large");
  cr_expect_str_eq(scratch_read(path, text, sizeof text), "old");
  cr_expect_eq(scratch_count(), 1);
}

static void write_to_standard_output(void) {
  write_file("-", "plain", 1);
  write_file("/dev/stdout", " and by name", 1);
}

Test(files, standard_output_is_written_directly) {
  char text[512];
  in_child(write_to_standard_output, STDOUT_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "plain and by name");
}

static void redirect_output(void) {
  if (freopen(scratch_path("log.txt"), "w", stdout) == NULL)
    _exit(9);
}

static void name_standard_output(void) {
  redirect_output();
  printf("before ");
  write_file("/dev/stdout", "by name ", 1);
  printf("after");
}

Test(files, standard_output_may_be_a_file) {
  char text[64];
  cr_assert_eq(in_child(name_standard_output, STDERR_FILENO, text, sizeof text), 0);
  cr_expect_str_eq(scratch_read(scratch_path("log.txt"), text, sizeof text), "before by name after");
  cr_expect_eq(scratch_count(), 1);
}

static void name_a_descriptor(void) {
  struct stat before, after;
  redirect_output();
  fstat(STDOUT_FILENO, &before);
  Status status = write_file("/dev/fd/1", "text", 1);
  stat(scratch_path("log.txt"), &after);
  if (status.code != STATUS_OK || before.st_ino != after.st_ino)
    _exit(9);
}

Test(files, nothing_is_renamed_over_a_descriptor) {
  char text[64];
  cr_assert_eq(in_child(name_a_descriptor, STDERR_FILENO, text, sizeof text), 0);
  cr_expect_str_eq(scratch_read(scratch_path("log.txt"), text, sizeof text), "text");
}

static void abort_standard_output(void) {
  OutputFile file;
  output_open(&file, "-");
  output_abort(&file);
  puts("still open");
}

Test(files, aborting_leaves_standard_output_open) {
  char text[512];
  in_child(abort_standard_output, STDOUT_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "still open\n");
}

Test(files, reading_gives_the_bytes_and_a_zero) {
  unsigned char *bytes;
  size_t size;
  const char *path = scratch_write("in.bin", "a\0b", 3);
  cr_assert_eq(file_read(path, 3, &bytes, &size).code, STATUS_OK);
  cr_expect_eq(size, 3);
  cr_expect_arr_eq(bytes, "a\0b", 4);
  free(bytes);
  path = scratch_text("empty", "");
  cr_assert_eq(file_read(path, 0, &bytes, &size).code, STATUS_OK);
  cr_expect_eq(size, 0);
  cr_expect_eq(bytes[0], 0);
  free(bytes);
}

static void expect_unreadable(const char *path, size_t limit, const char *part) {
  unsigned char *bytes;
  size_t size;
  Status status = file_read(path, limit, &bytes, &size);
  cr_expect_eq(status.code, STATUS_INPUT);
  expect_contains(status.message, path);
  expect_contains(status.message, part);
  cr_expect_null(bytes);
}

Test(files, reading_says_what_is_wrong, .timeout = 10) {
  expect_unreadable(scratch_path("none"), 100, "No such file");
  expect_unreadable(scratch_folder, 100, "it is a folder");
  expect_unreadable("/dev/zero", 100, "not a regular file");
  expect_unreadable(scratch_text("big", "12345"), 4, "5 bytes, more than the 4 allowed");
  cr_assert_eq(mkfifo(scratch_path("pipe"), 0600), 0);
  expect_unreadable(scratch_path("pipe"), 100, "not a regular file");
}

Test(files, a_file_larger_than_memory_is_a_status) {
  unsigned char *bytes;
  size_t size;
  const char *path = scratch_text("sparse", "");
  cr_assert_eq(truncate(path, 64 << 20), 0);
  limit_memory(32 << 20);
  Status status = file_read(path, SIZE_MAX, &bytes, &size);
  cr_expect_eq(status.code, STATUS_MEMORY);
  expect_contains(status.message, "not enough memory to read the 67108864 bytes of ");
  cr_expect_null(bytes);
}

Test(files, folders_are_made_with_their_parents) {
  struct stat about;
  cr_expect_eq(folder_create(scratch_path("a//b/c/")).code, STATUS_OK);
  cr_expect_eq(folder_create(scratch_path("a/b/c")).code, STATUS_OK, "again");
  cr_expect(stat(scratch_path("a/b/c"), &about) == 0 && S_ISDIR(about.st_mode));
  cr_expect_eq(folder_create("/").code, STATUS_OK);
  scratch_text("plain", "");
  Status status = folder_create(scratch_path("plain/b"));
  cr_expect_eq(status.code, STATUS_OUTPUT);
  expect_contains(status.message, "Not a directory");
  cr_expect_eq(folder_create(scratch_path("plain")).code, STATUS_OUTPUT);
  cr_expect_eq(folder_create("").code, STATUS_OUTPUT);
}

static void expect_joined(const char *folder, const char *name, const char *expected) {
  char *path = path_join(folder, name);
  cr_expect_str_eq(path, expected);
  free(path);
}

Test(files, paths_are_joined_with_one_slash) {
  expect_joined("a", "b", "a/b");
  expect_joined("a/", "b", "a/b");
  expect_joined("/", "b", "/b");
}

static void interrupt_twice(void) {
  interrupt_watch();
  raise(SIGTERM);
  printf("%d", interrupt_raised());
  fflush(stdout);
  raise(SIGTERM);
  printf(" not reached");
}

Test(files, an_interrupt_raises_a_flag_and_a_second_one_kills) {
  char text[64];
  int end = in_child(interrupt_twice, STDOUT_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "1");
  cr_expect(WIFSIGNALED(end) && WTERMSIG(end) == SIGTERM);
}

/* A read that waits while the signal comes goes on and gets its byte. */
static void interrupt_a_read(void) {
  int ends[2];
  char byte = 0;
  interrupt_watch();
  if (pipe(ends) != 0)
    _exit(9);
  pid_t self = getpid(), other = fork();
  if (other == 0) {
    usleep(50000);
    kill(self, SIGTERM);
    usleep(50000);
    _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
  }
  ssize_t got = read(ends[0], &byte, 1);
  waitpid(other, NULL, 0);
  printf("%zd %c %d", got, byte, interrupt_raised());
}

Test(files, an_interrupt_does_not_break_a_read) {
  char text[64];
  in_child(interrupt_a_read, STDOUT_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "1 x 1");
}

static void interrupt_once(void) {
  interrupt_watch();
  Status before = interrupt_check();
  raise(SIGINT);
  printf("%d %d", before.code, interrupt_check().code);
}

Test(files, a_loop_learns_of_the_interrupt) {
  char text[64];
  int end = in_child(interrupt_once, STDOUT_FILENO, text, sizeof text);
  cr_expect_str_eq(text, "0 130");
  cr_expect(WIFEXITED(end));
}
