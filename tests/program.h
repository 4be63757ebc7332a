/* program.h: runs the program under test and collects how it ended and what it printed. */
#ifndef SEESAW_TEST_PROGRAM_H
#define SEESAW_TEST_PROGRAM_H

#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "scratch.h"

/* A run of the program, under way or ended. */
typedef struct Run {
  pid_t child;
  FILE *streams[2]; /* what it prints, while it runs */
  int exit;         /* its exit status; 128 + the signal's number if it was killed */
  char *out, *err;  /* standard output and standard error, whole */
} Run;

static inline char *program_text(FILE *stream) {
  cr_assert_eq(fseek(stream, 0, SEEK_END), 0);
  long size = ftell(stream);
  char *text = malloc((size_t)size + 1);
  cr_assert_not_null(text);
  rewind(stream);
  cr_assert_eq(fread(text, 1, (size_t)size, stream), (size_t)size);
  text[size] = '\0';
  fclose(stream);
  return text;
}

static inline void program_become(const char *words, FILE *const streams[2]) {
  char command[4096];
  snprintf(command, sizeof command, "exec '%s' %s", SEESAW_PROGRAM, words);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that runs out of time takes it along */
  dup2(fileno(streams[0]), STDOUT_FILENO);
  dup2(fileno(streams[1]), STDERR_FILENO);
  execl("/bin/sh", "sh", "-c", command, (char *)NULL);
  _exit(127);
}

/* program_start: the words after the program's name, as a shell reads them, by printf. Files it names without a folder
 * lie in the scratch folder. */
static inline Run program_start_words(const char *words) {
  Run run = {.streams = {tmpfile(), tmpfile()}};
  cr_assert(run.streams[0] != NULL && run.streams[1] != NULL);
  fflush(NULL);
  run.child = fork();
  cr_assert_geq(run.child, 0);
  if (run.child == 0) {
    if (chdir(scratch_folder) != 0)
      _exit(127);
    program_become(words, run.streams);
  }
  return run;
}

/* program_finish: wait for the end and gather what was printed; free with program_free. */
static inline void program_finish(Run *run) {
  int status;
  cr_assert_eq(waitpid(run->child, &status, 0), run->child);
  run->exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  run->out = program_text(run->streams[0]);
  run->err = program_text(run->streams[1]);
  run->streams[0] = run->streams[1] = NULL;
}

__attribute__((format(printf, 1, 2))) static inline Run program_start(const char *format, ...) {
  char words[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  return program_start_words(words);
}

__attribute__((format(printf, 1, 2))) static inline Run program_run(const char *format, ...) {
  char words[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  Run run = program_start_words(words);
  program_finish(&run);
  return run;
}

static inline void program_free(Run *run) {
  free(run->out);
  free(run->err);
  *run = (Run){0};
}

/* program_succeeds: it ends with status 0. */
__attribute__((format(printf, 1, 2))) static inline void program_succeeds(const char *format, ...) {
  char words[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  Run run = program_start_words(words);
  program_finish(&run);
  cr_expect_eq(run.exit, 0, "%s: exit status %d: %s", words, run.exit, run.err);
  program_free(&run);
}

/* program_refuses: it ends with this status and one sentence that has `part` in it, and leaves the scratch folder as it
 * was. */
__attribute__((format(printf, 3, 4))) static inline void program_refuses(int status, const char *part,
                                                                         const char *format, ...) {
  char words[2048];
  int before = scratch_count();
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  Run run = program_start_words(words);
  program_finish(&run);
  cr_expect_eq(run.exit, status, "%s: exit status %d: %s", words, run.exit, run.err);
  cr_expect(strncmp(run.err, "seesaw: ", 8) == 0 && strchr(run.err, '\n') == run.err + strlen(run.err) - 1,
            "%s: not one sentence: %s", words, run.err);
  expect_contains(run.err, part);
  cr_expect_eq(scratch_count(), before, "%s: something was left behind", words);
  program_free(&run);
}

#endif
