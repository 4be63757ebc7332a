/* scratch.h: what tests of files need: a folder of their own, small files, and a child whose end can be looked at. */
#ifndef SEESAW_SCRATCH_H
#define SEESAW_SCRATCH_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch_folder[256];

/* A fresh folder; use as a test's or suite's .init. */
static inline void scratch_make(void) {
  const char *place = getenv("TMPDIR");
  snprintf(scratch_folder, sizeof scratch_folder, "%s/seesaw-test-XXXXXX", place != NULL ? place : "/tmp");
  cr_assert_not_null(mkdtemp(scratch_folder));
}

/* Remove it and everything in it; use as .fini. */
static inline void scratch_remove(void) {
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", scratch_folder);
  cr_assert_eq(system(command), 0);
}

/* FOLDER/name; good until eight later calls. */
static inline const char *scratch_path(const char *name) {
  static char paths[8][512];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
  return path;
}

static inline const char *scratch_write(const char *name, const void *bytes, size_t size) {
  const char *path = scratch_path(name);
  FILE *stream = fopen(path, "wb");
  cr_assert_not_null(stream);
  cr_assert_eq(fwrite(bytes, 1, size, stream), size);
  cr_assert_eq(fclose(stream), 0);
  return path;
}

static inline const char *scratch_text(const char *name, const char *text) {
  return scratch_write(name, text, strlen(text));
}

/* The file's text, up to what `text` holds; "(none)" if there is no file. */
static inline const char *scratch_read(const char *path, char *text, size_t size) {
  FILE *stream = fopen(path, "rb");
  snprintf(text, size, "(none)");
  if (stream != NULL) {
    text[fread(text, 1, size - 1, stream)] = '\0';
    fclose(stream);
  }
  return text;
}

/* How many files and folders lie in the scratch folder. */
static inline int scratch_count(void) {
  int count = -2; /* . and .. */
  DIR *folder = opendir(scratch_folder);
  cr_assert_not_null(folder);
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

/* Of the coverage build (linked with -u __gcov_dump): a child that leaves without exit must write its counts itself. */
extern void __gcov_dump(void) __attribute__((weak));

/* Run `body` in a child process and gather what it prints on descriptor `which`; returns the wait status. */
static inline int in_child(void (*body)(void), int which, char *text, size_t size) {
  int ends[2], status;
  size_t used = 0;
  cr_assert_eq(pipe(ends), 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], which);
    close(ends[0]);
    body();
    fflush(NULL);
    if (__gcov_dump != NULL)
      __gcov_dump();
    _exit(0);
  }
  close(ends[1]);
  for (ssize_t part; (part = read(ends[0], text + used, size - 1 - used)) > 0;)
    used += (size_t)part;
  text[used] = '\0';
  close(ends[0]);
  cr_assert_eq(waitpid(child, &status, 0), child);
  return status;
}

/* From now on this process gets `extra` more bytes of memory at most. Not under AddressSanitizer, which has terabytes
 * of address space: there the test is skipped. */
static inline void limit_memory(size_t extra) {
#ifdef __SANITIZE_ADDRESS__
  (void)extra;
  cr_skip_test("AddressSanitizer needs all of memory");
#else
  size_t pages = 0;
  struct rlimit limit;
  FILE *stream = fopen("/proc/self/statm", "r");
  if (stream == NULL || fscanf(stream, "%zu", &pages) != 1)
    cr_skip_test("no /proc to tell how much memory is used");
  fclose(stream);
  cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
  limit.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + extra;
  cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
#endif
}

#define expect_contains(text, part) cr_expect(strstr((text), (part)) != NULL, "expected '%s' in: %s", (part), (text))

#endif
