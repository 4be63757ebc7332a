/* relay.c: a child that works, and the pipe on which it tells. */
#include "relay.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "progress.h"

enum { LOOK_MILLISECONDS = 50 }; /* between looks at the clock and the user's interrupt */

/* What a child tells of an item; the report's bytes follow. */
typedef struct Told {
  Status status;
  bool begun; /* false: the status is begin's */
} Told;

typedef struct Child {
  pid_t process;
  int pipe; /* what it tells */
} Child;

static void *room_for(const Relay *relay) {
  return calloc(1, relay->size > 0 ? relay->size : 1);
}

/* ---- the child ---- */

static bool write_all(int to, const void *bytes, size_t size) {
  for (ssize_t wrote; size > 0; size -= (size_t)wrote, bytes = (const char *)bytes + wrote)
    if ((wrote = write(to, bytes, size)) <= 0)
      return false;
  return true;
}

static bool tell(const Relay *relay, int to, const Told *told, const void *report) {
  return write_all(to, told, sizeof *told) && write_all(to, report, relay->size);
}

/* Until an item fails: what the device is worth after that, nobody knows. */
_Noreturn static void serve(const Relay *relay, size_t item, int to) {
  unsigned char *report = room_for(relay);
  if (!report)
    _exit(1);
  Told told = {.status = relay->begin(relay->context)};
  told.begun = told.status.code == STATUS_OK;
  if (!told.begun)
    tell(relay, to, &told, report);
  for (bool going = told.begun; going && item < relay->count; item++) {
    memset(report, 0, relay->size);
    told.status = relay->work(relay->context, item, report);
    going = tell(relay, to, &told, report) && told.status.code == STATUS_OK;
  }
  _exit(0);
}

static Status start(const Relay *relay, size_t item, Child *child) {
  int ends[2];
  pid_t parent = getpid();
  fflush(NULL); /* or the child's copy might be printed, too */
  if (pipe(ends) != 0)
    return status_from_errno(STATUS_MEMORY, "no pipe to a process that computes");
  child->process = fork();
  if (child->process == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    if (getppid() == parent)
      serve(relay, item, ends[1]);
    _exit(1);
  }
  close(ends[1]);
  child->pipe = ends[0];
  if (child->process > 0)
    return status_ok();
  close(ends[0]);
  return status_from_errno(STATUS_MEMORY, "no process can be started that computes");
}

/* ---- the program ---- */

static bool read_all(int from, void *bytes, size_t size) {
  for (ssize_t got; size > 0; size -= (size_t)got, bytes = (char *)bytes + got)
    if ((got = read(from, bytes, size)) <= 0)
      return false;
  return true;
}

/* How the child ended, which did not tell. Its end is waited for once: the pipe is closed, so it has come. */
static Status how_it_ended(Child *child) {
  int how = 0;
  waitpid(child->process, &how, 0);
  child->process = -1;
  return WIFSIGNALED(how)
             ? status_error(STATUS_UNAVAILABLE, "the process that computed it was ended by signal %d (%s)",
                            WTERMSIG(how), strsignal(WTERMSIG(how)))
             : status_error(STATUS_UNAVAILABLE, "the process that computed it ended with status %d and no answer",
                            WEXITSTATUS(how));
}

/* The next that the child tells, or why there is nothing. */
static Status hear(const Relay *relay, Child *child, Told *told, void *report) {
  struct pollfd pipe = {.fd = child->pipe, .events = POLLIN};
  double began = clock_seconds();
  while (poll(&pipe, 1, LOOK_MILLISECONDS) <= 0) {
    TRY(interrupt_check());
    if (relay->seconds > 0.0 && clock_seconds() - began > relay->seconds)
      return status_error(STATUS_UNAVAILABLE, "it took longer than %g s and was ended", relay->seconds);
  }
  return read_all(child->pipe, told, sizeof *told) && read_all(child->pipe, report, relay->size) ? status_ok()
                                                                                                 : how_it_ended(child);
}

/* Items from *item on, until one fails. */
static Status follow(const Relay *relay, Child *child, size_t *item, void *report) {
  Status outcome = status_ok();
  while (*item < relay->count && outcome.code == STATUS_OK) {
    TRY(interrupt_check());
    Told told = {.begun = true};
    outcome = hear(relay, child, &told, report);
    if (outcome.code != STATUS_OK)
      memset(report, 0, relay->size);
    else
      outcome = told.status;
    if (outcome.code == STATUS_INTERRUPTED || (!told.begun && *item == 0))
      return outcome;
    TRY(relay->take(relay->context, (*item)++, report, outcome));
  }
  return status_ok();
}

static void finish(Child *child) {
  close(child->pipe);
  if (child->process < 0)
    return;
  kill(child->process, SIGKILL); /* all is told; a device that hangs would keep it */
  waitpid(child->process, NULL, 0);
}

static Status run_apart(const Relay *relay, void *report) {
  Status status = status_ok();
  for (size_t item = 0; item < relay->count && status.code == STATUS_OK;) {
    Child child = {0};
    TRY(start(relay, item, &child));
    status = follow(relay, &child, &item, report);
    finish(&child);
  }
  return status;
}

/* ---- without a child ---- */

static Status work_here(const Relay *relay, size_t item, void *report, bool *open) {
  memset(report, 0, relay->size);
  Status outcome = *open ? status_ok() : relay->begin(relay->context);
  bool begun = outcome.code == STATUS_OK;
  if (begun)
    outcome = relay->work(relay->context, item, report);
  *open = outcome.code == STATUS_OK;
  if (begun && !*open)
    relay->end(relay->context);
  return outcome.code == STATUS_INTERRUPTED || (!begun && item == 0)
             ? outcome
             : relay->take(relay->context, item, report, outcome);
}

static Status run_here(const Relay *relay, void *report) {
  bool open = false;
  Status status = status_ok();
  for (size_t item = 0; item < relay->count && status.code == STATUS_OK; item++) {
    status = interrupt_check();
    if (status.code == STATUS_OK)
      status = work_here(relay, item, report, &open);
  }
  if (open)
    relay->end(relay->context);
  return status;
}

Status relay_run(const Relay *relay) {
  void *report = room_for(relay);
  if (!report)
    return status_error(STATUS_MEMORY, "not enough memory for what a process reports");
  Status status = relay->here ? run_here(relay, report) : run_apart(relay, report);
  free(report);
  return status;
}
