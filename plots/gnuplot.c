/* gnuplot.c: start gnuplot, feed it, wait, and find in its messages what went wrong. */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Commands come as the file /dev/stdin: reading plain standard input, gnuplot would go on after a mistake. */
static int spawn_gnuplot(pid_t *process, int commands, int messages) {
  char *const words[] = {"gnuplot", "--default-settings", "/dev/stdin", NULL};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, commands, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, messages, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, messages, STDERR_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  int error = posix_spawnp(process, words[0], &files, &attributes, words, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

static Status spawn_failure(int error) {
  if (error == ENOENT)
    return status_error(STATUS_UNAVAILABLE, "gnuplot is not there; install the Debian package gnuplot-nox");
  errno = error;
  return status_from_errno(STATUS_UNAVAILABLE, "cannot start gnuplot (Debian package gnuplot-nox)");
}

Status gnuplot_start(Gnuplot *gnuplot) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return status_from_errno(STATUS_UNAVAILABLE, "cannot make a pipe to gnuplot");
  gnuplot->messages = tmpfile();
  gnuplot->commands = fdopen(ends[1], "w");
  if (!gnuplot->messages || !gnuplot->commands) {
    Status status = status_from_errno(STATUS_UNAVAILABLE, "cannot open a temporary file for gnuplot's messages");
    close(ends[0]);
    gnuplot->commands ? fclose(gnuplot->commands) : close(ends[1]);
    if (gnuplot->messages)
      fclose(gnuplot->messages);
    return status;
  }
  int error = spawn_gnuplot(&gnuplot->process, ends[0], fileno(gnuplot->messages));
  close(ends[0]);
  if (error != 0) {
    fclose(gnuplot->commands);
    fclose(gnuplot->messages);
    return spawn_failure(error);
  }
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGPIPE, &ignore, &gnuplot->pipe_action);
  return status_ok();
}

/* The first message: gnuplot names the line, and echoes it before; without such a line, the first that says anything.
 */
static void first_message(FILE *messages, char *message, size_t size) {
  char line[512];
  message[0] = '\0';
  rewind(messages);
  while (fgets(line, sizeof line, messages)) {
    char *start = line + strspn(line, " \t\r\n^");
    start[strcspn(start, "\r\n")] = '\0';
    bool located = strncmp(start, "\"/dev/stdin\" line ", 18) == 0 && !strstr(start, "warning:");
    if (*start && (located || !message[0]))
      snprintf(message, size, "%s", start);
    if (located)
      return;
  }
}

static Status end_status(int code, FILE *messages) {
  if (WIFEXITED(code) && WEXITSTATUS(code) == 0)
    return status_ok();
  char message[400];
  first_message(messages, message, sizeof message);
  if (message[0])
    return status_error(STATUS_UNAVAILABLE, "gnuplot failed: %s", message);
  if (WIFSIGNALED(code))
    return status_error(STATUS_UNAVAILABLE, "gnuplot was ended by signal %d (%s)", WTERMSIG(code),
                        strsignal(WTERMSIG(code)));
  return status_error(STATUS_UNAVAILABLE, "gnuplot failed with exit status %d and no message", WEXITSTATUS(code));
}

Status gnuplot_finish(Gnuplot *gnuplot) {
  bool cut = ferror(gnuplot->commands) != 0;
  cut = fclose(gnuplot->commands) != 0 || cut;
  int code = 0;
  pid_t ended;
  do
    ended = waitpid(gnuplot->process, &code, 0);
  while (ended < 0 && errno == EINTR);
  sigaction(SIGPIPE, &gnuplot->pipe_action, NULL);
  Status status =
      ended < 0 ? status_from_errno(STATUS_UNAVAILABLE, "lost gnuplot") : end_status(code, gnuplot->messages);
  fclose(gnuplot->messages);
  if (status.code == STATUS_OK && cut)
    return status_error(STATUS_UNAVAILABLE, "gnuplot ended before it had read all commands");
  return status;
}

/* Within single quotes only the quote itself is special to gnuplot; a line break, which would end the command, is
 * joined on as a string in double quotes. */
void gnuplot_text(FILE *commands, const char *text) {
  fputc('\'', commands);
  for (; *text; text++) {
    if (*text == '\'')
      fputs("''", commands);
    else if (*text == '\n' || *text == '\r')
      fprintf(commands, "' . \"\\%03o\" . '", (unsigned)*text);
    else
      fputc(*text, commands);
  }
  fputc('\'', commands);
}

void gnuplot_path(FILE *commands, const char *path) {
  if (path[0] == '/') {
    gnuplot_text(commands, path);
  } else {
    fputs("'./' . ", commands);
    gnuplot_text(commands, path);
  }
}
